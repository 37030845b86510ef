/*
 * sync_priv.h - what the files of this room share.
 *
 * Purpose    Carries a call from the program's thread to the loop's and its
 *            answer back.
 *
 *      program's thread          mailbox          loop's thread
 *      flv__sync_call() ---- struct flv__sync_op ----> op->run()
 *            | waits                                      |
 *            +<---------- flv__sync_done() <-- callback --+
 *
 *            A call whose time is up leaves its op behind: the loop completes
 *            it some day and frees it.
 * Threads    As noted. One lock per flv_sync guards what both sides touch; it
 *            is never held while something waits or calls back.
 * Ownership  An op is owned by both sides, the last one frees it. While run()
 *            runs, the caller waits: it may read the caller's memory.
 */
#ifndef FLV_SYNC_SYNC_PRIV_H
#define FLV_SYNC_SYNC_PRIV_H

#include <fluvio/loop.h>
#include <fluvio/sync.h>
#include <pthread.h>

/* When a call has to be back, by the monotonic clock; 0: never. */
typedef uint64_t flv__deadline;
flv__deadline flv__sync_deadline(uint32_t timeout_ms);
FLV_CHECKED flv_rc flv__sync_cond_init(pthread_cond_t *cond,
                                       struct flv_err *err);
/* Waits with the lock held; false when the time is up. */
bool flv__sync_wait(struct flv_sync *s, pthread_cond_t *cond, flv__deadline at);

/* What is open on a handle, so that it can be closed with it. */
struct flv__sync_child {
    void (*close)(struct flv__sync_child *child);
    struct flv__sync_child *next, *prev;
};

struct flv_sync {
    pthread_mutex_t lock;
    pthread_cond_t started_cond;
    pthread_t thread;
    struct flv_loop *loop;           /* the thread's */
    struct flv_client *client;       /* the thread's */
    char *address;                   /* owned */
    uint32_t timeout_ms;             /* of calls without one */
    bool started;                    /* lock: loop and client are there */
    struct flv_err start_err;        /* lock: or this is why not */
    struct flv_err link;             /* lock: why the server is away */
    struct flv__sync_child children; /* lock: head of a ring */
};

/* Loop: what is wrong now (NULL: nothing) into a field that the lock guards. */
void flv__sync_note(struct flv_sync *s,
                    struct flv_err *field,
                    const struct flv_err *err);
void flv__sync_adopt(struct flv_sync *s, struct flv__sync_child *child);
void flv__sync_disown(struct flv_sync *s, struct flv__sync_child *child);

struct flv__sync_op {
    struct flv_task task;
    struct flv_sync *sync; /* borrowed */
    /* Loop: begins it; flv__sync_done() ends it, then or later. */
    void (*run)(struct flv__sync_op *op);
    /* Either thread, once: frees what the op has besides; may be NULL. */
    void (*drop)(struct flv__sync_op *op);
    pthread_cond_t cond;
    struct flv_err err;              /* lock, until done */
    unsigned refs;                   /* lock */
    bool running, done, left_behind; /* lock */
};

/* A zeroed struct that begins with an op. */
FLV_CHECKED flv_rc flv__sync_op_create(struct flv_sync *s,
                                       size_t size,
                                       void (*run)(struct flv__sync_op *op),
                                       void *out_op,
                                       struct flv_err *err);
/* Caller: runs it and waits. `what` is said when the time is up: "WHAT took
 * more than 5 ms at ADDRESS". The op has to be released after it. */
FLV_CHECKED flv_rc flv__sync_call(struct flv__sync_op *op,
                                  flv__deadline at,
                                  const char *what,
                                  struct flv_err *err);
/* Caller: runs it and waits, however long; closing ends like this. */
void flv__sync_must(struct flv__sync_op *op);
/* Caller: the op is not needed any more. */
void flv__sync_op_release(struct flv__sync_op *op);
/* Loop: the answer, err NULL for success. */
void flv__sync_done(struct flv__sync_op *op, const struct flv_err *err);
/* Loop: the same as a flv_done_fn, whose user is the op. */
void flv__sync_done_fn(void *op, const struct flv_err *err);
/* Loop: nobody waits for the answer any more. */
bool flv__sync_is_left(struct flv__sync_op *op);

/* What could not be done in time, and what is wrong there: trouble, unless its
 * rc is FLV_OK, also gives the code. */
FLV_CHECKED flv_rc flv__sync_late(const struct flv_err *trouble,
                                  flv_rc rc,
                                  struct flv_err *err,
                                  const char *text);

#endif
