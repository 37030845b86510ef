/*
 * loop.h - one event loop: timers, tasks, signals.
 *
 * Purpose    Runs callbacks one after the other on one thread. Never knows
 *            what the bytes mean.
 * Threads    Everything on the loop's thread (the one that calls
 *            flv_loop_run()), except flv_loop_post(): any thread. One loop per
 *            thread; several loops may exist.
 * Ownership  Timers and tasks are embedded in the caller's structs and
 *            borrowed while armed or queued. Stopping is immediate: after
 *            flv_timer_stop() or flv_loop_undefer() the memory may go.
 * Errors     FLV_E_BUSY: the mailbox is full. FLV_E_IO: the kernel refused.
 * Units      ms of the monotonic clock.
 */
#ifndef FLUVIO_LOOP_H
#define FLUVIO_LOOP_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct flv_loop;

/* mailbox_max: ceiling of posted tasks that wait (0: 65536). A SIGPIPE that
 * still has its default action is set to be ignored for the process, unless
 * the calling thread blocks it. */
FLV_CHECKED flv_rc flv_loop_create(struct flv_loop **out,
                                   size_t mailbox_max,
                                   struct flv_err *err);
/* Everything opened on the loop has to be closed (and its closed callbacks to
 * have run: flv_loop_run() returns when nothing is left). What is left is a
 * bug: it is listed on stderr and the process aborts. Tasks still queued are
 * dropped without running. NULL is allowed. */
void flv_loop_destroy(struct flv_loop *loop);

/* Runs until flv_loop_stop() or until nothing is left that could call back:
 * no connection, listener, armed timer, queued task or submitted work.
 * Signal handlers and an idle mailbox do not count. */
void flv_loop_run(struct flv_loop *loop);
/* One turn; with wait it blocks until something happened. Returns whether
 * anything is left. */
bool flv_loop_turn(struct flv_loop *loop, bool wait);
/* flv_loop_run() returns at the end of this turn and may be called again. A
 * stop while it does not run makes the next call return at once. */
void flv_loop_stop(struct flv_loop *loop);
/* Keeps flv_loop_run() from returning while something outside the loop (a
 * thread that will post) owes it a task. Pairs with flv_loop_release(). */
void flv_loop_hold(struct flv_loop *loop);
void flv_loop_release(struct flv_loop *loop);

/* Monotonic time at the start of this turn: cheap, coarse. */
uint64_t flv_loop_now_ms(const struct flv_loop *loop);
/* True on the thread that runs the loop (or created it, before a run). */
bool flv_loop_here(const struct flv_loop *loop);

/* ---- Timers ------------------------------------------------------------ */

struct flv_timer {
    void (*fired)(struct flv_timer *t);
    struct flv_loop *loop; /* borrowed */
    uint64_t at_ms, repeat_ms, seq;
    size_t slot; /* private: place in the loop's heap + 1, 0: not armed */
};

/* A zeroed timer is valid for stop() and active(). */
void flv_timer_init(struct flv_timer *t,
                    struct flv_loop *loop,
                    void (*fired)(struct flv_timer *t));
/* (Re)arms: fires after delay_ms, then every repeat_ms (0: once). Fires in a
 * later turn even when delay_ms is 0. FLV_E_NOMEM leaves it unarmed. */
FLV_CHECKED flv_rc flv_timer_start(struct flv_timer *t,
                                   uint64_t delay_ms,
                                   uint64_t repeat_ms,
                                   struct flv_err *err);
/* Never fires after this returns. */
void flv_timer_stop(struct flv_timer *t);
bool flv_timer_active(const struct flv_timer *t);

/* ---- Tasks ------------------------------------------------------------- */

/* One pending call. Zeroed except `run`, it is ready; queued at most once. */
struct flv_task {
    void (*run)(struct flv_task *t);
    struct flv_task *next, *prev; /* private */
    bool queued;                  /* private; changed atomically */
};

static inline void flv_task_init(struct flv_task *t,
                                 void (*run)(struct flv_task *t))
{
    t->run = run;
    t->next = NULL;
    t->prev = NULL;
    t->queued = false;
}

/* From the loop's thread: runs soon, in order, never from inside this call.
 * A task that is queued already stays where it is. Cannot fail. */
void flv_loop_defer(struct flv_loop *loop, struct flv_task *t);
/* Takes a deferred task back; nothing happens when it is not queued. */
void flv_loop_undefer(struct flv_loop *loop, struct flv_task *t);
/* From any thread: runs on the loop's thread, in order per posting thread.
 * A task must not be posted again before it ran. FLV_E_BUSY when the mailbox
 * is full: nothing happened. The caller keeps the loop alive during the call
 * and, where the loop may run dry, with flv_loop_hold(). */
FLV_CHECKED flv_rc flv_loop_post(struct flv_loop *loop, struct flv_task *t);

/* ---- Signals ----------------------------------------------------------- */

#define FLV_SIGNAL_MAX 8
/* Calls back on the loop for SIGINT, SIGTERM, SIGHUP, ...; NULL ends that.
 * One callback per signal and loop. */
FLV_CHECKED flv_rc flv_loop_on_signal(struct flv_loop *loop,
                                      int signum,
                                      void (*caught)(void *ctx, int signum),
                                      void *ctx,
                                      struct flv_err *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
