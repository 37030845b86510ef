/*
 * manager_priv.h - what the files behind manager.h share.
 *
 * Purpose    The struct of the manager and of an operation. Nobody outside the
 *            room includes this.
 * Threads    Loop thread only.
 */
#ifndef FLV_MANAGER_MANAGER_PRIV_H
#define FLV_MANAGER_MANAGER_PRIV_H

#include <limits.h>

#include "config/secrets.h"
#include "manager/child.h"
#include "manager/journal.h"
#include "manager/manager.h"
#include "stream/stream.h"

#define FLV_MOPS_MAX 128

enum flv_mop_kind {
    FLV_MOP_PUT,
    FLV_MOP_WANT,
    FLV_MOP_RENEW,
    FLV_MOP_REMOVE,
    FLV_MOP_LOOK
};

/* One request on its way; freed after its `done`, and when no callback can
 * reach it any more. */
struct flv_mop {
    struct flv_manager *m;
    struct flv_mop *next, *prev;
    enum flv_mop_kind kind;
    enum flv_mput how;
    enum flv_mdesired desired;
    char name[FLV_NAME_MAX];
    char *file; /* owned; PUT */
    size_t file_len;
    flv_mdone done;
    void *arg;
    struct flv_checked checked;
    struct flv_msummary is;
    struct flv_timer limit; /* of what the cluster has to say */
    struct flv_task later;  /* answers, not from inside the call */
    const char *word;
    char message[FLV_ERR_TEXT_MAX + 120];
    unsigned status; /* 0: not answered */
    bool holds;      /* the connector, so that nobody else changes it */
    bool decided;    /* its name is taken, although nothing is stored yet */
    bool named;      /* the file has to be called `name` */
    bool create_topic;
    bool has_checked;
    bool looks;   /* waits for the first look at the cluster */
    bool waiting; /* a callback of somebody else's will come */
    bool answered;
};

struct flv_manager {
    struct flv_manager_conf conf;
    char logs_dir[PATH_MAX];
    char secrets_path[PATH_MAX];
    struct flv_logs logs;
    struct flv_mstore *store;
    struct flv_journal *journal;
    struct flv_deployer *deployer;
    struct flv_catalogue *catalogue;
    bool refreshing; /* the catalogue is */
    struct flv_stream *stream;
    bool looked;    /* for the cluster, the first time, to the end */
    bool connected; /* it was, once */
    bool lost;      /* and is not now */
    struct flv_timer reconnect;
    struct flv_timer tick;   /* logs */
    struct flv_mconn **list; /* owned array of owned, sorted */
    size_t count;
    struct flv_mop *ops; /* owned */
    size_t op_count;
    struct flv_mevent *events; /* owned ring of FLV_MEVENTS_MAX */
    size_t event_first, event_count;
    uint64_t event_next;
    bool stopping, begun;
    size_t stop_left; /* connectors that have to stop */
    void (*ready)(void *arg);
    void *ready_arg;
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct flv_task stop_task;
};

/* Events: kept in memory, then on disk. */
void flv__manager_event(struct flv_manager *m,
                        const char *name,
                        const char *kind,
                        const char *text);

/* The row of a connector as it is now. */
struct flv_mrow flv__mconn_row(const struct flv_mconn *c);
/* A connector that is not in the list yet; takes the file. NULL: no memory. */
struct flv_mconn *flv__mconn_create(struct flv_manager *m,
                                    const struct flv_msummary *is,
                                    char *file,
                                    size_t file_len);
flv_rc flv__manager_insert(struct flv_manager *m, struct flv_mconn *c);
/* Out of the list, and freed. */
void flv__manager_drop(struct flv_manager *m, struct flv_mconn *c);
void flv__mconn_free(struct flv_mconn *c);
/* Stores whether it is over, when that is news. */
void flv__mconn_note_over(struct flv_mconn *c);
void flv__mconn_take_file(struct flv_mconn *c,
                          const struct flv_msummary *is,
                          char *file,
                          size_t file_len);
void flv__summary_of(const struct flv_cfile *f, struct flv_msummary *out);

/* From the unit: the process of a connector that is being removed is gone. */
void flv__mop_gone(struct flv_mop *op);
/* Those that waited for the first look at the cluster go on. */
void flv__mops_looked(struct flv_manager *m);
/* Every operation gets 503. */
void flv__mops_end(struct flv_manager *m);
/* Goes on with a removal that was under way when the manager ended. */
void flv__manager_finish_removal(struct flv_manager *m, struct flv_mconn *c);

/* The values of secrets as they are now; a file that is not there has none.
 * flv__secrets_deinit() in any case. */
FLV_CHECKED flv_rc flv__manager_secrets(const struct flv_manager *m,
                                        struct flv_secrets *out,
                                        struct flv_err *err);

#endif
