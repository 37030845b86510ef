/*
 * manager.h - all connectors of one manager and what is asked of them.
 *
 * Purpose    Desired state from the store, one unit per connector, the
 *            catalogue, topics through the stream, events, logs. Requests
 *            become operations that call back when they are done. Knows
 *            nothing of HTTP.
 * Threads    Loop thread only; the journal writes on a thread of its own.
 * Ownership  create/destroy. Connectors are the manager's; a pointer is good
 *            until the next turn of the loop.
 * Errors     An operation ends with a status of docs/rest.md and a sentence.
 * See        docs/operations.md, tests/e2e/managed.bats
 */
#ifndef FLV_MANAGER_MANAGER_H
#define FLV_MANAGER_MANAGER_H

#include "catalogue/catalogue.h"
#include "config/check.h"
#include "manager/logs.h"
#include "manager/store.h"
#include "manager/unit.h"

#define FLV_CONNECTORS_MAX 2000
#define FLV_MFILE_BYTES_MAX FLV_DOC_BYTES_MAX

struct flv_manager;

struct flv_manager_conf {
    struct flv_loop *loop;
    const char *dir;     /* the folder, locked and absolute; borrowed */
    const char *cluster; /* host:port; NULL: the active profile's; borrowed */
    const char *path;    /* where connector types are looked for; borrowed */
    struct flv_unit_times times;
    uint64_t log_bytes_max;
    unsigned log_files_max;
    /* For files that do not say; 0: unlimited. */
    uint64_t memory_bytes_max, files_max;
};

/* What a file says, as far as the manager needs it. */
struct flv_msummary {
    char name[FLV_NAME_MAX];
    char type[FLV_CONNECTOR_NAME_MAX + 1];
    char topic[256];
    char version[40]; /* as written; "": not said */
    enum flv_cfile_direction direction;
    enum flv_cfile_restart restart;
    uint64_t memory_bytes_max, files_max;
};

struct flv_mconn {
    struct flv_manager *m; /* borrowed */
    struct flv_msummary is;
    char *file; /* owned; as it was given */
    size_t file_len;
    struct flv_unit unit;
    enum flv_mdesired desired;
    bool removing;
    bool changing; /* an operation is under way */
    enum flv_mover over;
    uint64_t generation;
    int64_t created_ms, updated_ms;
    struct flv_mop *remover; /* borrowed: waits for the end; or NULL */
    struct flv_buf secrets;  /* of the start under way */
};

/* Opens the store, asks the catalogue, finds or starts the connectors, then
 * calls `ready`. */
FLV_CHECKED flv_rc flv_manager_create(struct flv_manager **out,
                                      const struct flv_manager_conf *conf,
                                      void (*ready)(void *arg),
                                      void *arg,
                                      struct flv_err *err);
/* Stops every connector, ends operations with 503, then calls `stopped`. */
void flv_manager_stop(struct flv_manager *m,
                      void (*stopped)(void *arg),
                      void *arg);
/* Connectors that still run go on. NULL is allowed. */
void flv_manager_destroy(struct flv_manager *m);

size_t flv_manager_count(const struct flv_manager *m);
/* Sorted by name. */
struct flv_mconn *flv_manager_at(const struct flv_manager *m, size_t i);
struct flv_mconn *flv_manager_find(const struct flv_manager *m,
                                   const char *name);
struct flv_catalogue *flv_manager_catalogue(const struct flv_manager *m);
const struct flv_logs *flv_manager_logs(const struct flv_manager *m);
/* "127.0.0.1:9003", and whether it answered. */
const char *flv_manager_cluster(const struct flv_manager *m);
bool flv_manager_connected(const struct flv_manager *m);

/* ---- Operations -------------------------------------------------------- */

struct flv_mresult {
    unsigned status;        /* of HTTP */
    const char *message;    /* of an error */
    struct flv_mconn *conn; /* of a success, unless it is gone */
    const char *word;       /* "created", "updated", "unchanged", or NULL */
    const struct flv_report *report; /* of a file; NULL: none was read */
};
/* Exactly once; from inside the call that asked only when the manager has no
 * room for another operation (503). */
typedef void (*flv_mdone)(void *arg, const struct flv_mresult *r);

enum flv_mput {
    FLV_MPUT_CREATE, /* 409 when it is there */
    FLV_MPUT_UPDATE, /* 404 when it is not */
    FLV_MPUT_EITHER,
    FLV_MPUT_CHECK, /* only looks at the file */
};
/* name: what the file has to be called, or NULL. */
void flv_manager_put(struct flv_manager *m,
                     enum flv_mput how,
                     const char *name,
                     struct flv_slice file,
                     flv_mdone done,
                     void *arg);
void flv_manager_want(struct flv_manager *m,
                      const char *name,
                      enum flv_mdesired desired,
                      flv_mdone done,
                      void *arg);
void flv_manager_renew(struct flv_manager *m,
                       const char *name,
                       flv_mdone done,
                       void *arg);
/* `done` when the process is gone and all is forgotten. */
void flv_manager_remove(struct flv_manager *m,
                        const char *name,
                        flv_mdone done,
                        void *arg);

/* The catalogue as it is on disk now; all: every program is asked again. */
void flv_manager_look(struct flv_manager *m,
                      bool all,
                      flv_mdone done,
                      void *arg);

/* ---- Events ------------------------------------------------------------ */

/* Calls fn with the last `limit` events behind id `after`, oldest first; name
 * NULL: of all. */
void flv_manager_events(const struct flv_manager *m,
                        const char *name,
                        uint64_t after,
                        size_t limit,
                        void (*fn)(void *arg, const struct flv_mevent *event),
                        void *arg);

/* Its file as YAML, without secrets and comments. */
FLV_CHECKED flv_rc flv_manager_file_shown(const struct flv_mconn *c,
                                          struct flv_buf *out,
                                          struct flv_err *err);
/* The settings of a connector's file as texts, with secrets hidden. */
FLV_CHECKED flv_rc flv_manager_settings_of(const struct flv_mconn *c,
                                           void (*fn)(void *arg,
                                                      const char *key,
                                                      const char *value),
                                           void *arg,
                                           struct flv_err *err);

#endif
