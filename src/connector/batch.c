#include "connector/batch.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

#define ARENA_BLOCK 16384
/* A block may be left with a rest smaller than the piece that did not fit:
 * never more in all than the pieces themselves. */
#define ARENA_MAX (2 * FLV_BATCH_BYTES_MAX + 16 * (size_t)ARENA_BLOCK)
/* What a batch keeps from one pull to the next. */
#define ARENA_KEPT ((size_t)256 * 1024)

flv_rc flv__batch_init(struct flv_batch *b, struct flv_err *err)
{
    *b = (struct flv_batch){0};
    flv_arena_init(&b->arena, ARENA_BLOCK, ARENA_MAX);
    b->msgs = flv_zalloc(FLV_BATCH_RECORDS_MAX, sizeof(*b->msgs));
    if (b->msgs == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    return FLV_OK;
}

void flv__batch_deinit(struct flv_batch *b)
{
    flv_arena_deinit(&b->arena);
    flv_free(b->msgs);
    b->msgs = NULL;
    b->count = 0;
}

void flv__batch_reset(struct flv_batch *b,
                      uint32_t limit,
                      uint64_t first_number)
{
    assert(limit <= FLV_BATCH_RECORDS_MAX);
    flv_arena_reset(&b->arena);
    if (b->arena.used > ARENA_KEPT) {
        flv_arena_deinit(&b->arena);
        flv_arena_init(&b->arena, ARENA_BLOCK, ARENA_MAX);
    }
    b->count = 0;
    b->bytes = 0;
    b->limit = limit;
    b->first_number = first_number;
}

static flv_rc
copy(struct flv_batch *b, const void *data, size_t len, struct flv_slice *out)
{
    if (len == 0) {
        *out = flv_slice(NULL, 0);
        return FLV_OK;
    }
    uint8_t *bytes = flv_arena_alloc(&b->arena, len, 1);
    if (bytes == NULL) {
        return FLV_E_NOMEM;
    }
    memcpy(bytes, data, len);
    *out = flv_slice(bytes, len);
    return FLV_OK;
}

flv_rc flv_batch_add(struct flv_batch *b,
                     const void *key,
                     size_t key_len,
                     const void *value,
                     size_t value_len,
                     struct flv_err *err)
{
    assert(b->count <= b->limit);
    assert(key != NULL || key_len == 0);
    size_t room = FLV_BATCH_BYTES_MAX;
    if (key_len > room || value_len > room - key_len) {
        return flv_fail(err, FLV_E_LIMIT,
                        "a record of %zu bytes is larger than the largest "
                        "batch (%zu bytes)",
                        key_len + value_len, room);
    }
    if (b->count == b->limit || key_len + value_len > room - b->bytes) {
        return flv_fail(err, FLV_E_BUSY, "the batch is full");
    }
    struct flv_msg msg = {.has_key = key != NULL, .partition = -1};
    flv_rc rc = copy(b, key, key_len, &msg.key);
    if (rc == FLV_OK) {
        rc = copy(b, value, value_len, &msg.value);
    }
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "no memory for a record of %zu bytes",
                        key_len + value_len);
    }
    b->msgs[b->count++] = msg;
    b->bytes += key_len + value_len;
    return FLV_OK;
}

uint32_t flv_batch_count(const struct flv_batch *b)
{
    return b->count;
}

uint64_t flv_batch_next_number(const struct flv_batch *b)
{
    return b->first_number + b->count;
}
