#include "loop/pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"
#include "loop/loop_priv.h"

#define STACK_BYTES (256U << 10)
#define NAME_MAX_BYTES 16

struct list {
    struct flv_work *head, *tail; /* borrowed */
    size_t count;
};

/* submit -> queue -> (worker: run) -> over -> (loop: done)
 * The gate guards queue, over and the counts; each work belongs to the side
 * that took it out of a list. */
struct flv_pool {
    struct flv_loop *loop; /* borrowed */
    struct flv_task report;
    size_t threads_max, queue_max, stack_bytes;
    size_t pending, started; /* loop's thread */
    bool delivering;         /* loop's thread */
    char name[NAME_MAX_BYTES];
    pthread_t *threads; /* owned */

    pthread_mutex_t gate;
    pthread_cond_t work;  /* queue has something, or ending */
    pthread_cond_t quiet; /* a work is over */
    struct list queue, over;
    size_t idle, running;
    bool ending, reported;
};

static void append(struct list *l, struct flv_work *w)
{
    w->next = NULL;
    *(l->tail != NULL ? &l->tail->next : &l->head) = w;
    l->tail = w;
    l->count++;
}

static struct flv_work *take_first(struct list *l)
{
    struct flv_work *w = l->head;

    if (w != NULL) {
        l->head = w->next;
        l->tail = l->head != NULL ? l->tail : NULL;
        l->count--;
        w->next = NULL;
    }
    return w;
}

/* With the gate held. True: the loop has to be told, without it. */
FLV_CHECKED static bool
set_over(struct flv_pool *p, struct flv_work *w, flv_rc rc)
{
    const bool first = !p->reported;

    w->rc = rc;
    append(&p->over, w);
    p->reported = true;
    pthread_cond_signal(&p->quiet);
    return first;
}

/* What wakes another thread is done without the gate, which that one would
 * find closed. */
static void *worker(void *arg)
{
    struct flv_pool *p = arg;
    bool tell = false;

    pthread_mutex_lock(&p->gate);
    for (;;) {
        struct flv_work *w = take_first(&p->queue);

        if (w == NULL && !tell) {
            if (p->ending) {
                break;
            }
            p->idle++;
            pthread_cond_wait(&p->work, &p->gate);
            p->idle--;
            continue;
        }
        p->running += w != NULL;
        pthread_mutex_unlock(&p->gate);
        if (tell) {
            flv__loop_push(p->loop, &p->report);
        }
        if (w != NULL) {
            w->run(w);
        }
        pthread_mutex_lock(&p->gate);
        p->running -= w != NULL;
        tell = w != NULL && set_over(p, w, FLV_OK);
    }
    pthread_mutex_unlock(&p->gate);
    return NULL;
}

/* What a thread brings on itself: blocked, it would end the process instead of
 * reaching a handler (WebAssembly's traps, the sanitizers' reports). */
static const int own_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};

/* All other signals are the loop thread's: a worker must not take them. */
static int start_thread(struct flv_pool *p)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int rc = pthread_attr_init(&attr);

    if (rc != 0) {
        return rc;
    }
    (void)pthread_attr_setstacksize(&attr, p->stack_bytes);
    sigfillset(&all);
    for (size_t i = 0; i < sizeof(own_signals) / sizeof(own_signals[0]); i++) {
        sigdelset(&all, own_signals[i]);
    }
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&p->threads[p->started], &attr, worker, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0) {
        (void)pthread_setname_np(p->threads[p->started], p->name);
        p->started++;
    }
    return rc;
}

static void deliver(struct flv_pool *p)
{
    struct list over;
    struct flv_work *w;

    assert(!p->delivering);
    pthread_mutex_lock(&p->gate);
    over = p->over;
    p->over = (struct list){.head = NULL};
    pthread_mutex_unlock(&p->gate);
    p->delivering = true;
    for (w = take_first(&over); w != NULL; w = take_first(&over)) {
        assert(w->busy && p->pending > 0);
        w->busy = false;
        p->pending--;
        flv_loop_release(p->loop);
        w->done(w, w->rc);
    }
    p->delivering = false;
}

static void report_cb(struct flv_task *t)
{
    struct flv_pool *p = FLV_OWNER_OF(t, struct flv_pool, report);

    /* Only here: drain and destroy leave a queued report where it is. */
    pthread_mutex_lock(&p->gate);
    p->reported = false;
    pthread_mutex_unlock(&p->gate);
    deliver(p);
}

flv_rc flv_pool_create(struct flv_pool **out,
                       struct flv_loop *loop,
                       const struct flv_pool_conf *conf,
                       struct flv_err *err)
{
    struct flv_pool *p = flv_zalloc(1, sizeof(*p));

    assert(conf->threads_max > 0 && conf->queue_max > 0);
    if (p != NULL) {
        p->threads = flv_zalloc(conf->threads_max, sizeof(*p->threads));
    }
    if (p == NULL || p->threads == NULL) {
        flv_free(p);
        return flv_fail(err, FLV_E_NOMEM, "out of memory for the pool '%s'",
                        conf->name);
    }
    p->loop = loop;
    p->threads_max = conf->threads_max;
    p->queue_max = conf->queue_max;
    p->stack_bytes = conf->stack_bytes > 0 ? conf->stack_bytes : STACK_BYTES;
    snprintf(p->name, sizeof(p->name), "%.12s", conf->name);
    flv_task_init(&p->report, report_cb);
    pthread_mutex_init(&p->gate, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->quiet, NULL);
    *out = p;
    return FLV_OK;
}

void flv_pool_destroy(struct flv_pool *pool)
{
    struct flv_work *w;
    bool tell = false;

    if (pool == NULL) {
        return;
    }
    assert(!pool->delivering && flv_loop_here(pool->loop));
    pthread_mutex_lock(&pool->gate);
    pool->ending = true;
    for (w = take_first(&pool->queue); w != NULL;
         w = take_first(&pool->queue)) {
        tell = set_over(pool, w, FLV_E_CANCELED) || tell;
    }
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->gate);
    if (tell) {
        flv__loop_push(pool->loop, &pool->report);
    }
    for (size_t i = 0; i < pool->started; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    deliver(pool);
    assert(pool->pending == 0 && pool->running == 0);
    flv_loop_undefer(pool->loop, &pool->report);
    pthread_cond_destroy(&pool->quiet);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->gate);
    flv_free(pool->threads);
    flv_free(pool);
}

void flv_pool_drain(struct flv_pool *pool)
{
    assert(!pool->delivering && flv_loop_here(pool->loop));
    while (pool->pending > 0) {
        pthread_mutex_lock(&pool->gate);
        while (pool->over.count == 0) {
            pthread_cond_wait(&pool->quiet, &pool->gate);
        }
        pthread_mutex_unlock(&pool->gate);
        deliver(pool);
    }
}

bool flv_pool_wait(struct flv_pool *pool, uint32_t timeout_ms)
{
    const uint64_t until_ns =
        flv_clock_mono_ns() + (uint64_t)timeout_ms * 1000000;
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / 1000000000),
        .tv_nsec = (long)(until_ns % 1000000000),
    };
    int late = 0;

    assert(!pool->delivering && flv_loop_here(pool->loop));
    while (pool->pending > 0 && late == 0) {
        pthread_mutex_lock(&pool->gate);
        while (pool->over.count == 0 && late == 0) {
            late = pthread_cond_clockwait(&pool->quiet, &pool->gate,
                                          CLOCK_MONOTONIC, &until);
        }
        pthread_mutex_unlock(&pool->gate);
        deliver(pool);
    }
    return pool->pending == 0;
}

flv_rc flv_pool_submit(struct flv_pool *pool, struct flv_work *w)
{
    flv_rc rc = FLV_OK;
    bool more;

    assert(flv_loop_here(pool->loop));
    assert(!w->busy && w->run != NULL && w->done != NULL);
    pthread_mutex_lock(&pool->gate);
    if (pool->ending) {
        rc = FLV_E_CANCELED;
    } else if (pool->queue.count >= pool->queue_max) {
        rc = FLV_E_BUSY;
    }
    more = pool->queue.count >= pool->idle && pool->started < pool->threads_max;
    pthread_mutex_unlock(&pool->gate);
    /* Without a thread at all the work would wait for ever. */
    if (rc == FLV_OK && more && start_thread(pool) != 0 && pool->started == 0) {
        rc = FLV_E_NOMEM;
    }
    if (rc != FLV_OK) {
        return rc;
    }
    w->busy = true;
    pool->pending++;
    flv_loop_hold(pool->loop);
    pthread_mutex_lock(&pool->gate);
    append(&pool->queue, w);
    pthread_mutex_unlock(&pool->gate);
    pthread_cond_signal(&pool->work);
    return FLV_OK;
}

bool flv_pool_cancel(struct flv_pool *pool, struct flv_work *w)
{
    struct flv_work *before = NULL, *at;
    bool tell = false;

    assert(flv_loop_here(pool->loop));
    pthread_mutex_lock(&pool->gate);
    for (at = pool->queue.head; at != NULL && at != w; at = at->next) {
        before = at;
    }
    if (at != NULL) {
        *(before != NULL ? &before->next : &pool->queue.head) = at->next;
        pool->queue.tail = at->next != NULL ? pool->queue.tail : before;
        pool->queue.count--;
        tell = set_over(pool, at, FLV_E_CANCELED);
    }
    pthread_mutex_unlock(&pool->gate);
    if (tell) {
        flv__loop_push(pool->loop, &pool->report);
    }
    return at != NULL;
}

size_t flv_pool_pending(const struct flv_pool *pool)
{
    return pool->pending;
}

size_t flv_pool_threads(const struct flv_pool *pool)
{
    return pool->started;
}
