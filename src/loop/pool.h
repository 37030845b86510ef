/*
 * pool.h - worker threads of our own, never libuv's.
 *
 * Purpose    Runs blocking work (write + fdatasync, reads, decompression)
 *            off the loop and calls back on it. Threads start one by one when
 *            work comes and no worker is idle; an idle pool has none.
 * Threads    All functions: the loop's thread. `run`: a worker. `done`: the
 *            loop's thread.
 * Ownership  struct flv_work is embedded by the caller and borrowed from
 *            submit until `done`, which may free or submit it again.
 * Errors     FLV_E_BUSY: queue_max works wait already, try again after a
 *            `done`. Every accepted work gets exactly one `done`: FLV_OK after
 *            run, FLV_E_CANCELED when it never ran. What run found out is
 *            the embedding struct's business.
 */
#ifndef FLV_LOOP_POOL_H
#define FLV_LOOP_POOL_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"

struct flv_pool;

struct flv_work {
    void (*run)(struct flv_work *w);             /* on a worker */
    void (*done)(struct flv_work *w, flv_rc rc); /* on the loop, once */
    struct flv_work *next;                       /* private */
    flv_rc rc;                                   /* private */
    bool busy;                                   /* private */
};

struct flv_pool_conf {
    const char *name;   /* of its threads; at most 12 bytes are kept */
    size_t threads_max; /* at least 1 */
    size_t queue_max;   /* works that wait, beyond those that run */
    size_t stack_bytes; /* of a thread; 0: 256 KiB */
};

/* Starts no thread yet. */
FLV_CHECKED flv_rc flv_pool_create(struct flv_pool **out,
                                   struct flv_loop *loop,
                                   const struct flv_pool_conf *conf,
                                   struct flv_err *err);
/* Cancels what has not begun, waits (blocks) for what runs, calls every `done`
 * from inside this call, ends the threads. NULL is allowed. No `done` may
 * submit to this pool any more: it gets FLV_E_CANCELED. Neither this nor drain
 * may be called from inside a `done`. */
void flv_pool_destroy(struct flv_pool *pool);
/* Blocks until everything accepted has run, calling every `done` from inside
 * this call (also of works they submit). For orderly ends. */
void flv_pool_drain(struct flv_pool *pool);
/* The same for at most so long; false: something waits or runs still. */
bool flv_pool_wait(struct flv_pool *pool, uint32_t timeout_ms);

/* FLV_E_BUSY when the queue is full, FLV_E_NOMEM when not even one thread
 * could be started, FLV_E_CANCELED during destroy; `done` is then not called.
 * `done` never runs from inside this call. */
FLV_CHECKED flv_rc flv_pool_submit(struct flv_pool *pool, struct flv_work *w);
/* True: it had not begun, `done` comes soon with FLV_E_CANCELED. False: it
 * runs or ran, `done` comes or came as usual. */
bool flv_pool_cancel(struct flv_pool *pool, struct flv_work *w);
/* Works accepted whose `done` has not run yet. */
size_t flv_pool_pending(const struct flv_pool *pool);
/* Threads started so far. */
size_t flv_pool_threads(const struct flv_pool *pool);

#endif
