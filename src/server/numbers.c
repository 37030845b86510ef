#include "server/numbers.h"

#include "base/mem.h"
#include "wire/batch.h"

#include <assert.h>
#include <string.h>

/* Places of the first producers; doubled up to the ceiling. */
#define PRODUCERS_MIN 4

struct passed {
    int32_t first, last;
    int64_t base; /* -1: not told yet */
};

struct flv_numbered {
    int64_t id;
    int16_t epoch;
    uint8_t count;
    struct passed sets[FLV_NUMBERS_WINDOW]; /* oldest first */
    int64_t begun; /* what came before that nobody here has seen */
    int64_t next;  /* the sequence that continues it */
    uint64_t turn; /* when it was last noted */
};

bool flv_run_of(struct flv_slice set, struct flv_run *out)
{
    struct flv_slice batch;
    struct flv_batch_header h;
    bool begun = false;
    while (flv_batch_walk(&set, &batch, &h, NULL) == FLV_OK && batch.len > 0) {
        int64_t last = (int64_t)h.first_sequence + (int64_t)h.count - 1;
        if (h.producer_id < 0 || h.producer_epoch < 0 || h.first_sequence < 0 ||
            h.count == 0 || last > INT32_MAX) {
            return false;
        }
        if (!begun) {
            *out = (struct flv_run){.producer_id = h.producer_id,
                                    .epoch = h.producer_epoch,
                                    .first = h.first_sequence,
                                    .last = (int32_t)last};
            begun = true;
        } else if (h.producer_id != out->producer_id ||
                   h.producer_epoch != out->epoch ||
                   h.first_sequence != (int64_t)out->last + 1) {
            return false;
        } else {
            out->last = (int32_t)last;
        }
    }
    return begun;
}

static struct flv_numbered *find(const struct flv_numbers *n, int64_t id)
{
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->producers[i].id == id) {
            return &n->producers[i];
        }
    }
    return NULL;
}

static struct passed *find_set(struct flv_numbered *p,
                               const struct flv_run *run)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->sets[i].first == run->first && p->sets[i].last == run->last) {
            return &p->sets[i];
        }
    }
    return NULL;
}

enum flv_number flv_numbers_judge(const struct flv_numbers *n,
                                  const struct flv_run *run,
                                  int64_t *base)
{
    struct flv_numbered *p = find(n, run->producer_id);
    if (p == NULL) {
        return FLV_NUMBER_NEXT;
    }
    if (run->epoch != p->epoch) {
        return run->epoch > p->epoch && run->first == 0 ? FLV_NUMBER_NEXT
                                                        : FLV_NUMBER_WRONG;
    }
    if (run->first == p->next) {
        return FLV_NUMBER_NEXT;
    }
    const struct passed *set = find_set(p, run);
    int64_t window = p->count > 0 ? p->sets[0].first : p->next;
    *base = set != NULL ? set->base : -1;
    /* One from before the window, but not from before it all: it went
     * through. */
    return set != NULL || (run->first >= p->begun && run->last < window)
               ? FLV_NUMBER_KNOWN
               : FLV_NUMBER_WRONG;
}

size_t flv_numbers_memory(const struct flv_numbers *n)
{
    return n->cap * sizeof(*n->producers);
}

static bool may_hold(struct flv_numbers *n, uint32_t cap)
{
    return n->may_hold == NULL || n->may_hold(n, cap * sizeof(*n->producers));
}

/* Most partitions have few producers. */
static bool grow(struct flv_numbers *n)
{
    uint32_t cap = n->cap > 0 ? n->cap * 2 : PRODUCERS_MIN;
    if (cap > FLV_NUMBERS_PRODUCERS_MAX || !may_hold(n, cap)) {
        return false;
    }
    struct flv_numbered *more =
        flv_realloc(n->producers, cap * sizeof(*n->producers));
    if (more == NULL) {
        (void)may_hold(n, n->cap);
        return false;
    }
    n->producers = more;
    n->cap = cap;
    return true;
}

/* A place for one more producer, of the idle one if it has to be. */
static struct flv_numbered *make_room(struct flv_numbers *n)
{
    if (n->count < n->cap || grow(n)) {
        return &n->producers[n->count++];
    }
    struct flv_numbered *idle = n->producers;
    for (uint32_t i = 1; i < n->count; i++) {
        if (n->producers[i].turn < idle->turn) {
            idle = &n->producers[i];
        }
    }
    return idle;
}

/* The producer, with the epoch of the run. */
static struct flv_numbered *find_or_begin(struct flv_numbers *n,
                                          const struct flv_run *run)
{
    struct flv_numbered *p = find(n, run->producer_id);
    bool begins = p == NULL || p->epoch != run->epoch;
    if (p == NULL) {
        p = make_room(n);
    }
    if (p != NULL && begins) {
        *p = (struct flv_numbered){.id = run->producer_id,
                                   .epoch = run->epoch,
                                   .begun = run->first,
                                   .next = run->first,
                                   .turn = ++n->turn};
    }
    return p;
}

flv_rc flv_numbers_note(struct flv_numbers *n, const struct flv_run *run)
{
    struct flv_numbered *p = find_or_begin(n, run);
    if (p == NULL) {
        return FLV_E_NOMEM;
    }
    if (p->count == FLV_NUMBERS_WINDOW) {
        memmove(p->sets, p->sets + 1, sizeof p->sets - sizeof p->sets[0]);
        p->count--;
    }
    p->sets[p->count++] =
        (struct passed){.first = run->first, .last = run->last, .base = -1};
    p->next = (int64_t)run->last + 1;
    p->turn = ++n->turn;
    return FLV_OK;
}

flv_rc flv_numbers_undo(struct flv_numbers *n, const struct flv_run *run)
{
    struct flv_numbered *p = find(n, run->producer_id);
    if (p == NULL) {
        return find_or_begin(n, run) != NULL ? FLV_OK : FLV_E_NOMEM;
    }
    if (p->epoch == run->epoch && run->first < p->next) {
        while (p->count > 0 && p->sets[p->count - 1].first >= run->first) {
            p->count--;
        }
        p->next = run->first;
    }
    return FLV_OK;
}

void flv_numbers_place(struct flv_numbers *n,
                       const struct flv_run *run,
                       int64_t base)
{
    struct flv_numbered *p = find(n, run->producer_id);
    struct passed *set =
        p != NULL && p->epoch == run->epoch ? find_set(p, run) : NULL;
    if (set != NULL) {
        set->base = base;
    }
}

void flv_numbers_clear(struct flv_numbers *n)
{
    flv_free(n->producers);
    *n = (struct flv_numbers){.may_hold = n->may_hold};
    (void)may_hold(n, 0);
}
