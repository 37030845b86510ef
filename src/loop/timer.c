/* Timers of loop.h: a binary heap over one uv_timer. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "loop/loop.h"
#include "loop/loop_priv.h"

static bool before(const struct flv_timer *a, const struct flv_timer *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->seq < b->seq;
}

static void put(struct flv_loop *loop, size_t i, struct flv_timer *t)
{
    loop->heap[i] = t;
    t->slot = i + 1;
}

static void sift_up(struct flv_loop *loop, size_t i)
{
    struct flv_timer *t = loop->heap[i];

    while (i > 0 && before(t, loop->heap[(i - 1) / 2])) {
        put(loop, i, loop->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(loop, i, t);
}

static void sift_down(struct flv_loop *loop, size_t i)
{
    struct flv_timer *t = loop->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < loop->timers &&
            before(loop->heap[child + 1], loop->heap[child])) {
            child++;
        }
        if (child >= loop->timers || !before(loop->heap[child], t)) {
            break;
        }
        put(loop, i, loop->heap[child]);
        i = child;
    }
    put(loop, i, t);
}

static void heap_remove(struct flv_loop *loop, struct flv_timer *t)
{
    size_t i = t->slot - 1;
    struct flv_timer *last;

    assert(t->slot > 0 && i < loop->timers && loop->heap[i] == t);
    last = loop->heap[--loop->timers];
    t->slot = 0;
    if (last != t) {
        put(loop, i, last);
        sift_up(loop, i);
        sift_down(loop, last->slot - 1);
    }
}

/* Room for one more must be there. */
static void heap_add(struct flv_loop *loop, struct flv_timer *t)
{
    assert(loop->timers < loop->timers_cap);
    t->seq = ++loop->timer_seq;
    put(loop, loop->timers, t);
    loop->timers++;
    sift_up(loop, loop->timers - 1);
}

static void alarm_cb(uv_timer_t *h);

/* The alarm may ring too early (its timer was stopped), never too late. */
static void set_alarm(struct flv_loop *loop)
{
    uint64_t now = uv_now(&loop->uv), at;

    if (loop->timers == 0) {
        uv_timer_stop(&loop->alarm);
        return;
    }
    at = loop->heap[0]->at_ms;
    if (!uv_is_active((uv_handle_t *)&loop->alarm) || at < loop->alarm_ms) {
        loop->alarm_ms = at;
        uv_timer_start(&loop->alarm, alarm_cb, at > now ? at - now : 0, 0);
    }
}

static void alarm_cb(uv_timer_t *h)
{
    struct flv_loop *loop = h->data;
    uint64_t now = uv_now(&loop->uv), newest = loop->timer_seq;

    /* What a callback arms for now has a newer number: it waits a turn. */
    while (loop->timers > 0) {
        struct flv_timer *t = loop->heap[0];

        if (t->at_ms > now || t->seq > newest) {
            break;
        }
        /* May be before the poll, and all that the turn was to wait for: it
         * does not block any more. */
        uv_stop(&loop->uv);
        heap_remove(loop, t);
        if (t->repeat_ms > 0) {
            t->at_ms += t->repeat_ms;
            if (t->at_ms <= now) {
                t->at_ms = now + t->repeat_ms;
            }
            heap_add(loop, t);
        }
        t->fired(t);
    }
    set_alarm(loop);
}

void flv_timer_init(struct flv_timer *t,
                    struct flv_loop *loop,
                    void (*fired)(struct flv_timer *t))
{
    assert(fired != NULL);
    *t = (struct flv_timer){.fired = fired, .loop = loop};
}

flv_rc flv_timer_start(struct flv_timer *t,
                       uint64_t delay_ms,
                       uint64_t repeat_ms,
                       struct flv_err *err)
{
    struct flv_loop *loop = t->loop;

    assert(loop != NULL && flv_loop_here(loop));
    flv_timer_stop(t);
    if (loop->timers == loop->timers_cap) {
        size_t cap = loop->timers_cap > 0 ? loop->timers_cap * 2 : 16;
        struct flv_timer **heap =
            flv_realloc(loop->heap, cap * sizeof(struct flv_timer *));

        if (heap == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory for a timer");
        }
        loop->heap = heap;
        loop->timers_cap = cap;
    }
    uv_update_time(&loop->uv);
    if (__builtin_add_overflow(uv_now(&loop->uv), delay_ms, &t->at_ms)) {
        t->at_ms = UINT64_MAX;
    }
    t->repeat_ms = repeat_ms;
    heap_add(loop, t);
    set_alarm(loop);
    return FLV_OK;
}

void flv_timer_stop(struct flv_timer *t)
{
    if (t->slot > 0) {
        assert(flv_loop_here(t->loop));
        heap_remove(t->loop, t);
        if (t->loop->timers == 0) {
            set_alarm(t->loop);
        }
    }
}

bool flv_timer_active(const struct flv_timer *t)
{
    return t->slot > 0;
}
