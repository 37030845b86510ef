#include "store/index.h"

#include <assert.h>

#include "base/mem.h"
#include "store/format.h"
#include "wire/crc32c.h"

#define INDEX_MAGIC 0xf1666c7669647801u /* "\xf1" "flvidx" "\1" */
#define ENTRY_BYTES 8
#define CRC_AT 60

void flv__index_init(struct flv__index *ix, uint32_t interval, uint32_t max)
{
    assert(interval > 0 && max >= 2);
    *ix = (struct flv__index){.interval = interval, .max = max};
}

void flv__index_deinit(struct flv__index *ix)
{
    if (ix != NULL) {
        flv_free(ix->at);
        ix->at = NULL;
        ix->len = ix->cap = 0;
    }
}

static bool grow(struct flv__index *ix, uint32_t want)
{
    uint32_t cap = ix->cap > 0 ? ix->cap : 16;
    struct flv__index_entry *at;

    if (want <= ix->cap) {
        return true;
    }
    while (cap < want) {
        cap *= 2;
    }
    cap = cap < ix->max ? cap : ix->max;
    at = flv_realloc(ix->at, cap * sizeof(*at));
    if (at == NULL) {
        return false;
    }
    ix->at = at;
    ix->cap = cap;
    return true;
}

static void thin_out(struct flv__index *ix)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < ix->len; i += 2) {
        ix->at[kept++] = ix->at[i];
    }
    ix->len = kept;
    ix->interval =
        ix->interval <= UINT32_MAX / 2 ? ix->interval * 2 : UINT32_MAX;
}

void flv__index_add(struct flv__index *ix, uint32_t record, uint32_t pos)
{
    if (ix->len > 0) {
        const struct flv__index_entry *last = &ix->at[ix->len - 1];

        if (record <= last->record || pos <= last->pos ||
            pos - last->pos < ix->interval) {
            return;
        }
    }
    if (ix->len == ix->max) {
        thin_out(ix);
        flv__index_add(ix, record, pos);
        return;
    }
    if (grow(ix, ix->len + 1)) {
        ix->at[ix->len++] =
            (struct flv__index_entry){.record = record, .pos = pos};
    }
    assert(ix->len <= ix->max);
}

bool flv__index_find(const struct flv__index *ix,
                     uint32_t record,
                     struct flv__index_entry *out)
{
    uint32_t low = 0, high = ix->len;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (ix->at[mid].record <= record) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == 0) {
        return false;
    }
    *out = ix->at[low - 1];
    assert(out->record <= record);
    return true;
}

flv_rc flv__index_put(const struct flv__index *ix, struct flv_buf *out)
{
    flv_rc rc = flv_buf_reserve(out, (size_t)ix->len * ENTRY_BYTES);

    if (rc != FLV_OK) {
        return rc;
    }
    for (uint32_t i = 0; i < ix->len; i++) {
        uint8_t *p = out->data + out->len;

        flv_put_u32(p, ix->at[i].record);
        flv_put_u32(p + 4, ix->at[i].pos);
        out->len += ENTRY_BYTES;
    }
    return FLV_OK;
}

static bool ascends(struct flv_slice bytes, struct flv__index_entry end)
{
    uint32_t record = 0, pos = 0;

    for (size_t i = 0; i < bytes.len; i += ENTRY_BYTES) {
        uint32_t r = flv_get_u32(bytes.data + i);
        uint32_t p = flv_get_u32(bytes.data + i + 4);

        if ((i > 0 && (r <= record || p <= pos)) || r >= end.record ||
            p >= end.pos || p < FLV__SEGMENT_HEAD + FLV__GROUP_HEAD) {
            return false;
        }
        record = r;
        pos = p;
    }
    return true;
}

flv_rc flv__index_get(struct flv__index *ix,
                      struct flv_slice bytes,
                      struct flv__index_entry end)
{
    uint32_t count = (uint32_t)(bytes.len / ENTRY_BYTES);
    uint32_t distance = ix->interval;

    if (bytes.len % ENTRY_BYTES != 0 ||
        bytes.len / ENTRY_BYTES > (size_t)ix->max || !ascends(bytes, end)) {
        return FLV_E_CORRUPT;
    }
    if (!grow(ix, count)) {
        return FLV_E_NOMEM;
    }
    ix->len = count;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *p = bytes.data + (size_t)i * ENTRY_BYTES;

        ix->at[i] =
            (struct flv__index_entry){flv_get_u32(p), flv_get_u32(p + 4)};
    }
    /* Goes on at the distance that it had reached. */
    while (count > 0 && count > ix->max / 2 && distance < end.pos / count / 2) {
        distance *= 2;
    }
    ix->interval = distance;
    return FLV_OK;
}

flv_rc flv__index_encode(const struct flv__index *ix,
                         const struct flv__index_file *file,
                         struct flv_buf *out)
{
    size_t start = out->len;
    uint8_t *head;
    flv_rc rc = flv_buf_reserve(out, FLV__INDEX_HEAD);

    if (rc != FLV_OK) {
        return rc;
    }
    memset(out->data + start, 0, FLV__INDEX_HEAD);
    out->len += FLV__INDEX_HEAD;
    rc = flv__index_put(ix, out);
    if (rc != FLV_OK) {
        out->len = start;
        return rc;
    }
    head = out->data + start;
    flv_put_u64(head, INDEX_MAGIC);
    flv_put_u32(head + 8, FLV__FORMAT);
    flv_put_u32(head + 12, ix->len);
    flv_put_u64(head + 16, file->log_id);
    flv_put_u64(head + 24, (uint64_t)file->base_offset);
    flv_put_u64(head + 32, (uint64_t)file->next_offset);
    flv_put_u32(head + 40, file->segment_bytes);
    flv_put_u32(head + CRC_AT,
                flv_crc32c(flv_crc32c(0, head, CRC_AT), head + FLV__INDEX_HEAD,
                           out->len - start - FLV__INDEX_HEAD));
    return FLV_OK;
}

flv_rc flv__index_decode(struct flv__index *ix,
                         struct flv_slice bytes,
                         const struct flv__index_file *expect)
{
    const uint8_t *head = bytes.data;
    struct flv_slice entries;

    if (bytes.len < FLV__INDEX_HEAD) {
        return FLV_E_CORRUPT;
    }
    entries = flv_slice(head + FLV__INDEX_HEAD, bytes.len - FLV__INDEX_HEAD);
    if (flv_get_u64(head) != INDEX_MAGIC ||
        flv_get_u32(head + CRC_AT) != flv_crc32c(flv_crc32c(0, head, CRC_AT),
                                                 entries.data, entries.len) ||
        flv_get_u32(head + 8) != FLV__FORMAT ||
        entries.len != (size_t)flv_get_u32(head + 12) * ENTRY_BYTES ||
        flv_get_u64(head + 16) != expect->log_id ||
        flv_get_u64(head + 24) != (uint64_t)expect->base_offset ||
        flv_get_u64(head + 32) != (uint64_t)expect->next_offset ||
        flv_get_u32(head + 40) != expect->segment_bytes) {
        return FLV_E_CORRUPT;
    }
    return flv__index_get(
        ix, entries,
        (struct flv__index_entry){
            .record = (uint32_t)(expect->next_offset - expect->base_offset),
            .pos = expect->segment_bytes,
        });
}
