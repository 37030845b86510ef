#include "server/tail.h"

#include "base/mem.h"
#include "wire/batch.h"

#include <assert.h>

void flv_tail_init(struct flv_tail *t, struct flv_tail_pool *pool)
{
    *t = (struct flv_tail){.pool = pool};
}

static struct flv_tail_item *at(const struct flv_tail *t, uint32_t i)
{
    assert(i < t->len);
    return &t->items[(t->head + i) & (t->cap - 1)];
}

static size_t cost(const struct flv_tail_item *item)
{
    return flv_chunk_cost(item->chunk->size);
}

static void drop_first(struct flv_tail *t)
{
    struct flv_tail_item *first = at(t, 0);
    size_t n = cost(first);
    assert(t->used >= n && t->pool->used >= n);
    t->used -= n;
    t->pool->used -= n;
    struct flv_chunk *chunk = first->chunk;
    *first = (struct flv_tail_item){0};
    t->head = (t->head + 1) & (t->cap - 1);
    t->len--;
    flv_chunk_unref(chunk);
}

static void drop_all(struct flv_tail *t)
{
    while (t->len > 0) {
        drop_first(t);
    }
}

void flv_tail_clear(struct flv_tail *t)
{
    drop_all(t);
    flv_free(t->items);
    t->items = NULL;
    t->cap = 0;
    t->head = 0;
}

static bool grow(struct flv_tail *t)
{
    uint32_t cap = t->cap > 0 ? t->cap * 2 : 32;
    struct flv_tail_item *items = flv_zalloc(cap, sizeof *items);
    if (items == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < t->len; i++) {
        items[i] = *at(t, i);
    }
    flv_free(t->items);
    t->items = items;
    t->cap = cap;
    t->head = 0;
    return true;
}

/* Room for one more item of n bytes, old ones giving way; false: none. */
static bool make_room(struct flv_tail *t, size_t n)
{
    if (n > t->pool->max_of_one) {
        return false;
    }
    while (t->len > 0 &&
           (t->used + n > t->pool->max_of_one ||
            t->pool->used + n > t->pool->max || t->len == FLV_TAIL_ITEMS_MAX)) {
        drop_first(t);
    }
    if (t->pool->used + n > t->pool->max) {
        return false; /* the others hold it all */
    }
    return t->len < t->cap || grow(t);
}

void flv_tail_add(struct flv_tail *t,
                  struct flv_chunk *chunk,
                  struct flv_slice batches)
{
    assert(batches.data >= chunk->data &&
           batches.data + batches.len <= chunk->data + chunk->size);
    struct flv_slice batch;
    struct flv_batch_header header;
    while (flv_batch_walk(&batches, &batch, &header, NULL) == FLV_OK &&
           batch.len > 0) {
        if (t->len > 0 &&
            at(t, t->len - 1)->next_offset != header.base_offset) {
            drop_all(t);
        }
        if (!make_room(t, flv_chunk_cost(chunk->size))) {
            drop_all(t);
            return;
        }
        t->len++;
        *at(t, t->len - 1) = (struct flv_tail_item){
            .chunk = flv_chunk_ref(chunk),
            .batch = batch.data,
            .size_bytes = (uint32_t)batch.len,
            .base_offset = header.base_offset,
            .next_offset = header.base_offset + (int64_t)header.count,
        };
        t->used += flv_chunk_cost(chunk->size);
        t->pool->used += flv_chunk_cost(chunk->size);
    }
}

/* Index of the item that contains the offset, or len. */
static uint32_t find(const struct flv_tail *t, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = t->len;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (at(t, mid)->next_offset <= offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < t->len && at(t, low)->base_offset <= offset ? low : t->len;
}

bool flv_tail_has(const struct flv_tail *t, int64_t offset)
{
    return find(t, offset) < t->len;
}

uint32_t flv_tail_get(const struct flv_tail *t,
                      int64_t offset,
                      int64_t end,
                      size_t bytes_max,
                      struct flv_tail_parts *out)
{
    uint32_t n = 0;
    size_t bytes = 0;
    out->records = 0;
    for (uint32_t i = find(t, offset); i < t->len && n < out->max; i++) {
        const struct flv_tail_item *item = at(t, i);
        if (item->next_offset > end ||
            (n > 0 && bytes + item->size_bytes > bytes_max)) {
            break;
        }
        bytes += item->size_bytes;
        out->records += (uint64_t)(item->next_offset - item->base_offset);
        out->parts[n] = flv_slice(item->batch, item->size_bytes);
        out->chunks[n] = flv_chunk_ref(item->chunk);
        n++;
    }
    return n;
}
