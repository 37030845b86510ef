/*
 * loop_priv.h - what the files of this room know of a loop.
 *
 * Purpose    The struct behind loop.h. Nobody outside the room includes this.
 * Threads    Fields without a note: the loop's thread.
 */
#ifndef FLV_LOOP_LOOP_PRIV_H
#define FLV_LOOP_LOOP_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "loop/loop.h"

#define FLV_LOOP_SCRATCH_BYTES (64U << 10)

struct flv__resolver;

struct flv__signal {
    uv_signal_t handle;
    struct flv_loop *loop; /* borrowed */
    void (*caught)(void *ctx, int signum);
    void *ctx;
    bool open;
};

/* Deferred tasks lie in a ring with a sentinel, so that one can leave without
 * knowing which ring it is in; posted ones on a stack that any thread may push
 * to and which the loop turns around when it empties it. Armed timers lie in
 * a binary heap, the next one first, over one uv_timer. */
struct flv_loop {
    uv_loop_t uv;
    uv_async_t mail;  /* posted tasks; referenced only while holds > 0 */
    uv_idle_t soon;   /* active while deferred tasks wait */
    uv_check_t after; /* runs deferred tasks right behind the poll */
    uv_timer_t alarm;
    struct flv_task ready;             /* sentinel: borrowed deferred tasks */
    struct flv_task batch;             /* sentinel: those of this turn */
    _Atomic(struct flv_task *) posted; /* borrowed: any thread */
    atomic_size_t posted_count;        /* any thread */
    size_t posted_max;
    size_t holds;
    struct flv_timer **heap; /* owned array of borrowed timers */
    size_t timers, timers_cap;
    uint64_t timer_seq, alarm_ms;
    struct flv__signal signals[FLV_SIGNAL_MAX];
    struct flv__resolver *resolver; /* owned, NULL until needed */
    uint8_t *scratch;               /* owned, NULL until needed */
    _Atomic pthread_t thread; /* any thread may ask whether it is this one */
    bool stopped;
};

/* For a pool or resolver: posts without the mailbox's ceiling, which its own
 * bounds already. Any thread. */
void flv__loop_push(struct flv_loop *loop, struct flv_task *t);
/* Ends the resolver's ties to the loop; lookups under way go on alone. */
void flv__resolver_detach(struct flv__resolver *r);

#endif
