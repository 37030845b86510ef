#include "loop/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "loop/loop_priv.h"

#define MAILBOX_MAX 65536U
/* Turns that destroy() gives to closing handles. */
#define LAST_TURNS_MAX 1000

/* ---- Tasks ------------------------------------------------------------- */

static void ring_init(struct flv_task *ring)
{
    ring->next = ring;
    ring->prev = ring;
}

static bool ring_empty(const struct flv_task *ring)
{
    return ring->next == ring;
}

static void ring_append(struct flv_task *ring, struct flv_task *t)
{
    t->next = ring;
    t->prev = ring->prev;
    ring->prev->next = t;
    ring->prev = t;
}

static void ring_remove(struct flv_task *t)
{
    t->prev->next = t->next;
    t->next->prev = t->prev;
    t->next = NULL;
    t->prev = NULL;
}

static void run_ready(struct flv_loop *loop);

/* Before the poll: what runs here may be all that the turn was to wait for. */
static void soon_cb(uv_idle_t *h)
{
    struct flv_loop *loop = h->data;

    if (!ring_empty(&loop->ready)) {
        uv_stop(&loop->uv); /* this turn does not block any more */
    }
    run_ready(loop);
}

static void after_cb(uv_check_t *h)
{
    run_ready(h->data);
}

static void make_ready(struct flv_loop *loop, struct flv_task *t)
{
    ring_append(&loop->ready, t);
    uv_idle_start(&loop->soon, soon_cb);
}

void flv_loop_defer(struct flv_loop *loop, struct flv_task *t)
{
    assert(t->run != NULL && flv_loop_here(loop));
    if (!__atomic_exchange_n(&t->queued, true, __ATOMIC_SEQ_CST)) {
        make_ready(loop, t);
    }
}

void flv__loop_push(struct flv_loop *loop, struct flv_task *t)
{
    bool was = __atomic_exchange_n(&t->queued, true, __ATOMIC_SEQ_CST);
    struct flv_task *top = atomic_load(&loop->posted);

    assert(t->run != NULL && !was);
    (void)was;
    atomic_fetch_add(&loop->posted_count, 1);
    do {
        t->next = top;
    } while (!atomic_compare_exchange_weak(&loop->posted, &top, t));
    if (top == NULL) {
        uv_async_send(&loop->mail);
    }
}

flv_rc flv_loop_post(struct flv_loop *loop, struct flv_task *t)
{
    if (atomic_load(&loop->posted_count) >= loop->posted_max) {
        return FLV_E_BUSY;
    }
    flv__loop_push(loop, t);
    return FLV_OK;
}

/* The stack has the newest on top: turned around, then behind the others. */
static void take_mail(struct flv_loop *loop)
{
    struct flv_task *top = atomic_exchange(&loop->posted, NULL);
    struct flv_task *first = NULL, *next;

    for (; top != NULL; top = next) {
        next = top->next;
        top->next = first;
        first = top;
    }
    for (; first != NULL; first = next) {
        next = first->next;
        atomic_fetch_sub(&loop->posted_count, 1);
        make_ready(loop, first);
    }
}

void flv_loop_undefer(struct flv_loop *loop, struct flv_task *t)
{
    if (!__atomic_load_n(&t->queued, __ATOMIC_SEQ_CST)) {
        return;
    }
    assert(flv_loop_here(loop));
    take_mail(loop);
    ring_remove(t);
    __atomic_store_n(&t->queued, false, __ATOMIC_SEQ_CST);
    if (ring_empty(&loop->ready)) {
        uv_idle_stop(&loop->soon);
    }
}

/* Tasks that these defer run in the next turn: I/O comes in between. */
static void run_ready(struct flv_loop *loop)
{
    struct flv_task *batch = &loop->batch;

    if (ring_empty(&loop->ready)) {
        uv_idle_stop(&loop->soon);
        return;
    }
    assert(ring_empty(batch));
    *batch =
        (struct flv_task){.next = loop->ready.next, .prev = loop->ready.prev};
    batch->next->prev = batch;
    batch->prev->next = batch;
    ring_init(&loop->ready);
    while (!ring_empty(batch)) {
        struct flv_task *t = batch->next;

        ring_remove(t);
        __atomic_store_n(&t->queued, false, __ATOMIC_SEQ_CST);
        t->run(t);
    }
    if (ring_empty(&loop->ready)) {
        uv_idle_stop(&loop->soon);
    }
}

static void mail_cb(uv_async_t *h)
{
    take_mail(h->data);
}

/* ---- Life -------------------------------------------------------------- */

/* A thread that blocks it is not ended by it. */
static void ignore_sigpipe(void)
{
    struct sigaction act;
    sigset_t blocked;

    if (pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0 &&
        sigismember(&blocked, SIGPIPE) == 1) {
        return;
    }
    if (sigaction(SIGPIPE, NULL, &act) == 0 && act.sa_handler == SIG_DFL) {
        act.sa_handler = SIG_IGN;
        (void)sigaction(SIGPIPE, &act, NULL);
    }
}

flv_rc
flv_loop_create(struct flv_loop **out, size_t mailbox_max, struct flv_err *err)
{
    struct flv_loop *loop = flv_zalloc(1, sizeof(*loop));
    int rc;

    if (loop == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for an event loop");
    }
    rc = uv_loop_init(&loop->uv);
    if (rc != 0) {
        flv_free(loop);
        return flv_fail_sys(err, FLV_E_IO, -rc, "cannot make an event loop");
    }
    rc = uv_async_init(&loop->uv, &loop->mail, mail_cb);
    if (rc != 0) {
        (void)uv_loop_close(&loop->uv);
        flv_free(loop);
        return flv_fail_sys(err, FLV_E_IO, -rc, "cannot make an event loop");
    }
    uv_idle_init(&loop->uv, &loop->soon);
    uv_check_init(&loop->uv, &loop->after);
    uv_timer_init(&loop->uv, &loop->alarm);
    uv_check_start(&loop->after, after_cb);
    uv_unref((uv_handle_t *)&loop->mail);
    uv_unref((uv_handle_t *)&loop->after);
    loop->mail.data = loop;
    loop->soon.data = loop;
    loop->after.data = loop;
    loop->alarm.data = loop;
    ring_init(&loop->ready);
    ring_init(&loop->batch);
    loop->posted_max = mailbox_max > 0 ? mailbox_max : MAILBOX_MAX;
    atomic_init(&loop->thread, pthread_self());
    ignore_sigpipe();
    *out = loop;
    return FLV_OK;
}

static bool is_ours(const struct flv_loop *loop, const uv_handle_t *h)
{
    /* Handles of the loop itself lie inside its struct. */
    const char *p = (const char *)h, *start = (const char *)loop;

    return p >= start && p < start + sizeof(*loop);
}

struct census {
    const struct flv_loop *loop;
    size_t closing, open;
};

static void count_handle(uv_handle_t *h, void *arg)
{
    struct census *c = arg;

    if (is_ours(c->loop, h)) {
        return;
    }
    if (uv_is_closing(h)) {
        c->closing++;
    } else {
        c->open++;
        fprintf(stderr, "loop: a %s handle was left open\n",
                uv_handle_type_name(h->type));
    }
}

/* Leaking a handle is a bug that must not hide: it would keep calling into
 * memory that goes away with the loop. */
static void demand_empty(struct flv_loop *loop)
{
    struct census c = {.loop = loop};

    for (int i = 0; i < LAST_TURNS_MAX; i++) {
        c.closing = 0;
        c.open = 0;
        uv_walk(&loop->uv, count_handle, &c);
        if (c.closing == 0 || c.open > 0) {
            break;
        }
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    if (loop->timers > 0) {
        fprintf(stderr, "loop: %zu timers were left armed\n", loop->timers);
    }
    if (loop->holds > 0) {
        fprintf(stderr, "loop: %zu holds were not released\n", loop->holds);
    }
    if (c.open > 0 || c.closing > 0 || loop->timers > 0 || loop->holds > 0) {
        abort();
    }
}

void flv_loop_destroy(struct flv_loop *loop)
{
    int rc;

    if (loop == NULL) {
        return;
    }
    assert(flv_loop_here(loop));
    demand_empty(loop);
    flv__resolver_detach(loop->resolver);
    uv_close((uv_handle_t *)&loop->mail, NULL);
    uv_close((uv_handle_t *)&loop->soon, NULL);
    uv_close((uv_handle_t *)&loop->after, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    for (size_t i = 0; i < FLV_SIGNAL_MAX; i++) {
        if (loop->signals[i].open) {
            uv_close((uv_handle_t *)&loop->signals[i].handle, NULL);
        }
    }
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    rc = uv_loop_close(&loop->uv);
    assert(rc == 0);
    (void)rc;
    flv_free(loop->scratch);
    flv_free(loop->heap);
    flv_free(loop);
}

bool flv_loop_turn(struct flv_loop *loop, bool wait)
{
    atomic_store(&loop->thread, pthread_self());
    take_mail(loop);
    uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    return uv_loop_alive(&loop->uv) != 0 || atomic_load(&loop->posted) != NULL;
}

void flv_loop_run(struct flv_loop *loop)
{
    while (!loop->stopped && flv_loop_turn(loop, true)) {
        /* Each turn is one round of callbacks. */
    }
    loop->stopped = false;
}

void flv_loop_stop(struct flv_loop *loop)
{
    assert(flv_loop_here(loop));
    loop->stopped = true;
}

void flv_loop_hold(struct flv_loop *loop)
{
    assert(flv_loop_here(loop));
    if (loop->holds++ == 0) {
        uv_ref((uv_handle_t *)&loop->mail);
    }
}

void flv_loop_release(struct flv_loop *loop)
{
    assert(flv_loop_here(loop) && loop->holds > 0);
    if (--loop->holds == 0) {
        uv_unref((uv_handle_t *)&loop->mail);
    }
}

uint64_t flv_loop_now_ms(const struct flv_loop *loop)
{
    return uv_now(&loop->uv);
}

bool flv_loop_here(const struct flv_loop *loop)
{
    return pthread_equal(atomic_load(&loop->thread), pthread_self()) != 0;
}

struct uv_loop_s *flv_loop_uv(struct flv_loop *loop)
{
    return &loop->uv;
}

/* ---- Signals ----------------------------------------------------------- */

static void signal_cb(uv_signal_t *h, int signum)
{
    struct flv__signal *s = h->data;

    if (s->caught != NULL) {
        s->caught(s->ctx, signum);
    }
}

/* The slot of signum, else a free one, else NULL. */
static struct flv__signal *signal_slot(struct flv_loop *loop, int signum)
{
    struct flv__signal *unused = NULL;

    for (size_t i = 0; i < FLV_SIGNAL_MAX; i++) {
        struct flv__signal *s = &loop->signals[i];

        if (s->caught != NULL && s->handle.signum == signum) {
            return s;
        }
        if (s->caught == NULL && unused == NULL) {
            unused = s;
        }
    }
    return unused;
}

flv_rc flv_loop_on_signal(struct flv_loop *loop,
                          int signum,
                          void (*caught)(void *ctx, int signum),
                          void *ctx,
                          struct flv_err *err)
{
    struct flv__signal *s = signal_slot(loop, signum);
    int rc = 0;

    if (s == NULL) {
        return flv_fail(err, FLV_E_LIMIT,
                        "more than %d signals are caught on one loop",
                        FLV_SIGNAL_MAX);
    }
    if (caught == NULL) {
        if (s->caught != NULL) {
            uv_signal_stop(&s->handle);
            s->caught = NULL;
        }
        return FLV_OK;
    }
    if (!s->open) {
        rc = uv_signal_init(&loop->uv, &s->handle);
        s->open = rc == 0;
        s->handle.data = s;
    }
    if (rc == 0) {
        rc = uv_signal_start(&s->handle, signal_cb, signum);
    }
    if (rc != 0) {
        return flv_fail_sys(err, FLV_E_IO, -rc, "cannot catch signal %d",
                            signum);
    }
    uv_unref((uv_handle_t *)&s->handle);
    s->caught = caught;
    s->ctx = ctx;
    return FLV_OK;
}
