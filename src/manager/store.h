/*
 * store.h - DIR/manager.db: what shall run, and what happened, in SQLite.
 *
 * Purpose    The desired state of every connector with how it ended for
 *            good, and a bounded table of events. Changes come in groups; a
 * group is one transaction with synchronous=FULL. Threads    One at a time;
 * blocks on disk: a pool thread while the manager runs (journal.h). Ownership
 * create/destroy. Rows passed to callbacks are borrowed for the call; so are
 * those of changes. Errors     FLV_E_NOSPACE, FLV_E_CORRUPT, FLV_E_UNSUPPORTED
 * (newer schema), FLV_E_IO; the text carries SQLite's own. See
 * docs/operations.md, tests/unit/manager/test_mstore.c
 */
#ifndef FLV_MANAGER_STORE_H
#define FLV_MANAGER_STORE_H

#include "base/bytes.h"

#define FLV_MSTORE_SCHEMA 1
#define FLV_MEVENTS_MAX 10000

struct flv_mstore;

enum flv_mdesired { FLV_MDESIRED_RUNNING, FLV_MDESIRED_PAUSED };
enum flv_mover { FLV_MOVER_NO, FLV_MOVER_FAILED, FLV_MOVER_COMPLETED };

struct flv_mrow {
    struct flv_slice name;
    struct flv_slice file; /* as it was given */
    enum flv_mdesired desired;
    bool removing; /* its deletion has begun */
    uint64_t generation;
    int64_t created_ms, updated_ms;
    enum flv_mover over; /* it is not started again by itself */
    int64_t over_ms;
    struct flv_slice cause; /* of a failure */
};

struct flv_mevent {
    uint64_t id;
    int64_t time_ms;
    struct flv_slice name, kind, text;
};

enum flv_mchange_kind { FLV_MCHANGE_PUT, FLV_MCHANGE_DROP, FLV_MCHANGE_EVENT };

struct flv_mchange {
    enum flv_mchange_kind kind;
    struct flv_mrow row; /* PUT; DROP: its name */
    struct flv_mevent event;
};

FLV_CHECKED flv_rc flv_mstore_create(struct flv_mstore **out,
                                     const char *path,
                                     struct flv_err *err);
void flv_mstore_destroy(struct flv_mstore *s);

/* Ordered by name. */
FLV_CHECKED flv_rc flv_mstore_each_row(struct flv_mstore *s,
                                       flv_rc (*fn)(const struct flv_mrow *row,
                                                    void *arg,
                                                    struct flv_err *err),
                                       void *arg,
                                       struct flv_err *err);
/* Ordered by id. */
FLV_CHECKED flv_rc
flv_mstore_each_event(struct flv_mstore *s,
                      flv_rc (*fn)(const struct flv_mevent *event,
                                   void *arg,
                                   struct flv_err *err),
                      void *arg,
                      struct flv_err *err);
/* All or nothing. Events beyond FLV_MEVENTS_MAX displace the oldest. */
FLV_CHECKED flv_rc flv_mstore_apply(struct flv_mstore *s,
                                    const struct flv_mchange *const *changes,
                                    size_t count,
                                    struct flv_err *err);

#endif
