#include "store/producer.h"

#include <assert.h>

#include "base/mem.h"

#define PUT_HEAD 12  /* id, epoch, count, zero */
#define PUT_BATCH 16 /* base offset, first and last sequence */

void flv__producers_init(struct flv__producers *t, uint32_t max)
{
    assert(max > 0);
    *t = (struct flv__producers){.max = max};
    TAILQ_INIT(&t->by_age);
}

static struct flv__producer_bucket *bucket_of(const struct flv__producers *t,
                                              int64_t id)
{
    uint64_t x = (uint64_t)id * 0x9e3779b97f4a7c15u;

    return &t->buckets[x >> 56];
}
_Static_assert(FLV__PRODUCER_BUCKETS == 256, "buckets are chosen by 8 bits");

static void drop(struct flv__producers *t, struct flv__producer *p)
{
    assert(t->count > 0);
    TAILQ_REMOVE(&t->by_age, p, by_age);
    LIST_REMOVE(p, in_bucket);
    t->count--;
    flv_free(p);
}

void flv__producers_deinit(struct flv__producers *t)
{
    if (t == NULL || t->max == 0) {
        return;
    }
    while (!TAILQ_EMPTY(&t->by_age)) {
        drop(t, TAILQ_FIRST(&t->by_age));
    }
    flv_free(t->buckets);
    t->buckets = NULL;
}

struct flv__producer *flv__producers_find(const struct flv__producers *t,
                                          int64_t id)
{
    struct flv__producer *p;

    if (t->buckets == NULL) {
        return NULL;
    }
    LIST_FOREACH(p, bucket_of(t, id), in_bucket)
    {
        if (p->id == id) {
            return p;
        }
    }
    return NULL;
}

static bool make_room(struct flv__producers *t)
{
    struct flv__producer *p;

    if (t->count < t->max) {
        return true;
    }
    TAILQ_FOREACH(p, &t->by_age, by_age)
    {
        if (p->staged == 0) {
            drop(t, p);
            return true;
        }
    }
    return false;
}

static flv_rc
find_or_add(struct flv__producers *t, int64_t id, struct flv__producer **out)
{
    struct flv__producer *p = flv__producers_find(t, id);

    if (p != NULL) {
        TAILQ_REMOVE(&t->by_age, p, by_age);
        TAILQ_INSERT_TAIL(&t->by_age, p, by_age);
        *out = p;
        return FLV_OK;
    }
    if (t->buckets == NULL) {
        t->buckets = flv_zalloc(FLV__PRODUCER_BUCKETS, sizeof(*t->buckets));
        if (t->buckets == NULL) {
            return FLV_E_NOMEM;
        }
    }
    p = flv_zalloc(1, sizeof(*p));
    if (p == NULL) {
        return FLV_E_NOMEM;
    }
    if (!make_room(t)) {
        flv_free(p);
        return FLV_E_BUSY;
    }
    p->id = id;
    TAILQ_INSERT_TAIL(&t->by_age, p, by_age);
    LIST_INSERT_HEAD(bucket_of(t, id), p, in_bucket);
    t->count++;
    *out = p;
    return FLV_OK;
}

/* Whether `sequence` lies behind `next`, seen the short way round. */
static bool is_past(int32_t sequence, int32_t next)
{
    uint32_t ahead = ((uint32_t)sequence - (uint32_t)next) & INT32_MAX;

    return ahead >= 1u << 30;
}

static enum flv__sequence judge_past(const struct flv__producer *p,
                                     const struct flv__batch_head *run,
                                     int64_t *base_offset)
{
    int32_t next = p->count > 0 && p->epoch == run->producer_epoch
                       ? flv__sequence_add(p->stored[p->count - 1].last, 1)
                       : 0;

    for (unsigned i = 0; i < p->count && p->epoch == run->producer_epoch; i++) {
        if (p->stored[i].first != run->first_sequence) {
            continue;
        }
        /* A run of several batches: it ends with one of those that follow. */
        for (unsigned j = i; j < p->count; j++) {
            if (p->stored[j].last == run->last_sequence) {
                *base_offset = p->stored[i].base_offset;
                return FLV__SEQ_STORED;
            }
        }
        return FLV__SEQ_GAP;
    }
    if (p->staged > 0 && !is_past(run->first_sequence, next)) {
        return FLV__SEQ_STAGED;
    }
    /* Begins before the window and ends below what is stored: all of it is. */
    if (p->count > 0 && p->epoch == run->producer_epoch &&
        is_past(run->first_sequence, p->stored[0].first) &&
        is_past(run->last_sequence, next)) {
        return FLV__SEQ_OLD;
    }
    return FLV__SEQ_GAP;
}

enum flv__sequence flv__producers_judge(const struct flv__producers *t,
                                        const struct flv__batch_head *run,
                                        int64_t *base_offset)
{
    const struct flv__producer *p = flv__producers_find(t, run->producer_id);
    int16_t epoch;
    int32_t next;

    assert(run->producer_id >= 0 && run->first_sequence >= 0);
    if (p == NULL || (p->staged == 0 && p->count == 0)) {
        return run->first_sequence == 0 ? FLV__SEQ_NEXT : FLV__SEQ_UNKNOWN;
    }
    epoch = p->staged > 0 ? p->staged_epoch : p->epoch;
    if (run->producer_epoch < epoch) {
        return FLV__SEQ_FENCED;
    }
    if (run->producer_epoch > epoch) {
        return run->first_sequence == 0 ? FLV__SEQ_NEXT : FLV__SEQ_GAP;
    }
    next = flv__sequence_add(
        p->staged > 0 ? p->staged_last : p->stored[p->count - 1].last, 1);
    if (run->first_sequence == next) {
        return FLV__SEQ_NEXT;
    }
    return is_past(run->first_sequence, next) ? judge_past(p, run, base_offset)
                                              : FLV__SEQ_GAP;
}

flv_rc flv__producers_stage(struct flv__producers *t,
                            const struct flv__batch_head *run,
                            struct flv__producer **out)
{
    struct flv__producer *p;
    flv_rc rc = find_or_add(t, run->producer_id, &p);

    if (rc != FLV_OK) {
        return rc;
    }
    p->staged++;
    p->staged_epoch = run->producer_epoch;
    p->staged_last = run->last_sequence;
    *out = p;
    return FLV_OK;
}

void flv__producers_unstage(struct flv__producers *t, struct flv__producer *p)
{
    assert(p->staged > 0);
    p->staged--;
    if (p->staged == 0 && p->count == 0) {
        drop(t, p);
    }
}

flv_rc flv__producers_store(struct flv__producers *t,
                            const struct flv__batch_head *batch)
{
    struct flv__producer *p;
    flv_rc rc;

    assert(batch->producer_id >= 0 && batch->base_offset >= 0);
    rc = find_or_add(t, batch->producer_id, &p);
    if (rc != FLV_OK) {
        return rc;
    }
    if (p->epoch != batch->producer_epoch) {
        p->count = 0;
        p->epoch = batch->producer_epoch;
    }
    if (p->count == FLV__PRODUCER_WINDOW) {
        memmove(p->stored, p->stored + 1,
                sizeof(p->stored) - sizeof(p->stored[0]));
        p->count--;
    }
    p->stored[p->count++] = (struct flv__producer_batch){
        .base_offset = batch->base_offset,
        .first = batch->first_sequence,
        .last = batch->last_sequence,
    };
    return FLV_OK;
}

flv_rc flv__producers_put(const struct flv__producers *t, struct flv_buf *out)
{
    const struct flv__producer *p;

    TAILQ_FOREACH(p, &t->by_age, by_age)
    {
        uint8_t *to;
        flv_rc rc =
            flv_buf_reserve(out, PUT_HEAD + (size_t)p->count * PUT_BATCH);

        if (rc != FLV_OK) {
            return rc;
        }
        to = out->data + out->len;
        flv_put_u64(to, (uint64_t)p->id);
        flv_put_u16(to + 8, (uint16_t)p->epoch);
        to[10] = p->count;
        to[11] = 0;
        to += PUT_HEAD;
        for (unsigned i = 0; i < p->count; i++, to += PUT_BATCH) {
            flv_put_u64(to, (uint64_t)p->stored[i].base_offset);
            flv_put_u32(to + 8, (uint32_t)p->stored[i].first);
            flv_put_u32(to + 12, (uint32_t)p->stored[i].last);
        }
        out->len = (size_t)(to - out->data);
    }
    return FLV_OK;
}

static flv_rc get_batches(struct flv__producers *t,
                          struct flv_slice *bytes,
                          struct flv__batch_head *batch,
                          unsigned count)
{
    for (; count > 0; count--) {
        flv_rc rc;

        if (bytes->len < PUT_BATCH) {
            return FLV_E_CORRUPT;
        }
        batch->base_offset = (int64_t)flv_get_u64(bytes->data);
        batch->first_sequence = (int32_t)flv_get_u32(bytes->data + 8);
        batch->last_sequence = (int32_t)flv_get_u32(bytes->data + 12);
        if (batch->base_offset < 0 || batch->first_sequence < 0 ||
            batch->last_sequence < 0) {
            return FLV_E_CORRUPT;
        }
        rc = flv__producers_store(t, batch);
        if (rc != FLV_OK) {
            return rc;
        }
        *bytes = flv_slice(bytes->data + PUT_BATCH, bytes->len - PUT_BATCH);
    }
    return FLV_OK;
}

flv_rc flv__producers_get(struct flv__producers *t,
                          uint32_t count,
                          struct flv_slice *bytes)
{
    for (; count > 0; count--) {
        struct flv__batch_head batch = {0};
        unsigned batches;
        flv_rc rc;

        if (bytes->len < PUT_HEAD) {
            return FLV_E_CORRUPT;
        }
        batch.producer_id = (int64_t)flv_get_u64(bytes->data);
        batch.producer_epoch = (int16_t)flv_get_u16(bytes->data + 8);
        batches = bytes->data[10];
        if (batch.producer_id < 0 || batch.producer_epoch < 0 ||
            batches > FLV__PRODUCER_WINDOW || bytes->data[11] != 0) {
            return FLV_E_CORRUPT;
        }
        *bytes = flv_slice(bytes->data + PUT_HEAD, bytes->len - PUT_HEAD);
        rc = get_batches(t, bytes, &batch, batches);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    return FLV_OK;
}
