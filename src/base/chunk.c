#include "base/chunk.h"

#include <assert.h>

#include "base/mem.h"

/* A use of idle memory is one after its end. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define HIDE(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define SHOW(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define HIDE(at, size) ((void)(at), (void)(size))
#define SHOW(at, size) ((void)(at), (void)(size))
#endif

void flv_budget_init(struct flv_budget *g, size_t max)
{
    assert(max > 0);
    *g = (struct flv_budget){.max = max};
}

static void free_idle(struct flv_budget *g)
{
    while (g->idle != NULL) {
        struct flv_chunk *c = g->idle;

        g->idle = c->next;
        g->idle_bytes -= c->cap;
        SHOW(c->data, c->cap);
        flv_free(c);
    }
}

void flv_budget_deinit(struct flv_budget *g)
{
    assert(g->used == 0 && g->spare_used == 0 && g->head == NULL);
    free_idle(g);
    assert(g->idle_bytes == 0);
}

void flv_budget_tidy(struct flv_budget *g)
{
    if (!g->idle_used) {
        free_idle(g);
    }
    g->idle_used = false;
}

static bool fits_spare(const struct flv_budget *g, size_t n)
{
    return n <= FLV_BUDGET_SMALL && n <= g->spare_max - g->spare_used;
}

flv_rc flv_budget_take(struct flv_budget *g, size_t n)
{
    assert(g->used <= g->max && g->spare_used <= g->spare_max);
    if (n > g->max) {
        return FLV_E_LIMIT;
    }
    /* Nobody overtakes those who wait: else a large frame would starve. */
    if (g->head == NULL && n <= g->max - g->used) {
        g->used += n;
        return FLV_OK;
    }
    if (fits_spare(g, n)) {
        g->spare_used += n;
        return FLV_OK;
    }
    return FLV_E_BUSY;
}

static void unlink_waiter(struct flv_budget *g, struct flv_budget_waiter *w)
{
    assert(w->waiting);
    *(w->prev != NULL ? &w->prev->next : &g->head) = w->next;
    *(w->next != NULL ? &w->next->prev : &g->tail) = w->prev;
    w->next = NULL;
    w->prev = NULL;
    w->waiting = false;
}

static void grant_waiters(struct flv_budget *g)
{
    while (g->head != NULL && g->head->need <= g->max - g->used) {
        struct flv_budget_waiter *w = g->head;

        unlink_waiter(g, w);
        g->used += w->need;
        w->granted(w);
    }
}

/* The spare goes to the small ones in line, wherever they stand. */
static void grant_small(struct flv_budget *g)
{
    struct flv_budget_waiter *w = g->head;

    while (w != NULL && g->spare_used < g->spare_max) {
        struct flv_budget_waiter *next = w->next;

        if (fits_spare(g, w->need)) {
            unlink_waiter(g, w);
            g->spare_used += w->need;
            w->granted(w);
        }
        w = next;
    }
}

void flv_budget_give(struct flv_budget *g, size_t n)
{
    size_t spare = n < g->spare_used ? n : g->spare_used;

    assert(n - spare <= g->used);
    /* All bytes are alike: the spare is filled up first. */
    g->spare_used -= spare;
    g->used -= n - spare;
    grant_waiters(g);
    if (spare > 0) {
        grant_small(g);
    }
}

void flv_budget_wait(struct flv_budget *g, struct flv_budget_waiter *w)
{
    assert(!w->waiting && w->granted != NULL && w->need <= g->max);
    w->next = NULL;
    w->prev = g->tail;
    *(g->tail != NULL ? &g->tail->next : &g->head) = w;
    g->tail = w;
    w->waiting = true;
    /* A take() that found nothing free came just before: somebody holds it. */
    assert(g->used > 0 || g->spare_used > 0);
}

void flv_budget_cancel(struct flv_budget *g, struct flv_budget_waiter *w)
{
    if (w->waiting) {
        unlink_waiter(g, w);
        /* It may have stood in the way of smaller ones. */
        grant_waiters(g);
    }
}

size_t flv_chunk_cost(size_t size)
{
    return size <= SIZE_MAX - sizeof(struct flv_chunk)
               ? size + sizeof(struct flv_chunk)
               : SIZE_MAX;
}

/* One that was freed and is large enough, but not more than twice that. What
 * it has beyond `size` is charged to nobody: it counts as idle still. */
static struct flv_chunk *take_idle(struct flv_budget *g, size_t size)
{
    struct flv_chunk **at = &g->idle, *c;

    while ((c = *at) != NULL && (c->cap < size || c->cap / 2 > size)) {
        at = &c->next;
    }
    if (c != NULL) {
        *at = c->next;
        g->idle_bytes -= size;
        g->idle_used = true;
    }
    return c;
}

static bool set_idle(struct flv_chunk *c)
{
    struct flv_budget *g = c->budget;

    if (g != NULL) {
        assert(g->idle_bytes >= c->cap - c->size);
        g->idle_bytes -= c->cap - c->size;
    }
    if (g == NULL || c->cap < FLV_CHUNK_IDLE_MIN ||
        c->cap > g->idle_max - g->idle_bytes) {
        return false;
    }
    c->next = g->idle;
    g->idle = c;
    g->idle_bytes += c->cap;
    HIDE(c->data, c->cap);
    return true;
}

flv_rc flv_chunk_create_granted(struct flv_budget *budget,
                                size_t size,
                                struct flv_chunk **out)
{
    size_t cost = flv_chunk_cost(size);
    struct flv_chunk *c;
    size_t cap = size;

    if (cost == SIZE_MAX) {
        return FLV_E_LIMIT;
    }
    c = budget != NULL ? take_idle(budget, size) : NULL;
    if (c != NULL) {
        cap = c->cap;
        SHOW(c->data, size);
    } else {
        c = flv_alloc(cost);
    }
    if (c == NULL) {
        return FLV_E_NOMEM;
    }
    *c = (struct flv_chunk){.budget = budget,
                            .data = (uint8_t *)(c + 1),
                            .size = size,
                            .cap = cap,
                            .refs = 1};
    *out = c;
    return FLV_OK;
}

flv_rc
flv_chunk_create(struct flv_budget *budget, size_t size, struct flv_chunk **out)
{
    flv_rc rc;

    if (budget != NULL) {
        rc = flv_budget_take(budget, flv_chunk_cost(size));
        if (rc != FLV_OK) {
            return rc;
        }
    }
    rc = flv_chunk_create_granted(budget, size, out);
    if (rc != FLV_OK && budget != NULL) {
        flv_budget_give(budget, flv_chunk_cost(size));
    }
    return rc;
}

struct flv_chunk *flv_chunk_ref(struct flv_chunk *c)
{
    assert(c->refs > 0 && c->refs < UINT32_MAX);
    c->refs++;
    return c;
}

void flv_chunk_unref(struct flv_chunk *c)
{
    struct flv_budget *budget;
    size_t cost;

    if (c == NULL) {
        return;
    }
    assert(c->refs > 0);
    c->refs--;
    if (c->refs > 0) {
        return;
    }
    budget = c->budget;
    cost = flv_chunk_cost(c->size);
    if (!set_idle(c)) {
        flv_free(c);
    }
    if (budget != NULL) {
        flv_budget_give(budget, cost);
    }
}
