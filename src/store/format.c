#include "store/format.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "wire/crc32c.h"

#define CRC_AT 60 /* of segment and group headers: their last four bytes */

_Static_assert(FLV__SEGMENT_HEAD == CRC_AT + 4, "CRC ends a segment header");
_Static_assert(FLV__GROUP_HEAD == CRC_AT + 4, "CRC ends a group header");

void flv__segment_head_put(uint8_t *out, const struct flv__segment_head *head)
{
    assert(head->base_offset >= 0 && head->prev_base < head->base_offset);
    memset(out, 0, FLV__SEGMENT_HEAD);
    flv_put_u64(out, FLV__SEGMENT_MAGIC);
    flv_put_u32(out + 8, FLV__FORMAT);
    flv_put_u64(out + 16, head->log_id);
    flv_put_u64(out + 24, (uint64_t)head->base_offset);
    flv_put_u64(out + 32, head->first_group);
    flv_put_u64(out + 40, (uint64_t)head->prev_base);
    flv_put_u64(out + 48, head->prev_bytes);
    flv_put_u32(out + 56, head->created_s);
    flv_put_u32(out + CRC_AT, flv_crc32c(0, out, CRC_AT));
}

flv_rc flv__segment_head_get(const uint8_t *in, struct flv__segment_head *out)
{
    struct flv__segment_head head;

    if (flv_get_u64(in) != FLV__SEGMENT_MAGIC ||
        flv_get_u32(in + CRC_AT) != flv_crc32c(0, in, CRC_AT)) {
        return FLV_E_CORRUPT;
    }
    if (flv_get_u32(in + 8) != FLV__FORMAT) {
        return FLV_E_UNSUPPORTED;
    }
    head = (struct flv__segment_head){
        .log_id = flv_get_u64(in + 16),
        .base_offset = (int64_t)flv_get_u64(in + 24),
        .first_group = flv_get_u64(in + 32),
        .prev_base = (int64_t)flv_get_u64(in + 40),
        .prev_bytes = flv_get_u64(in + 48),
        .created_s = flv_get_u32(in + 56),
    };
    if (head.base_offset < 0 || head.prev_base >= head.base_offset ||
        head.prev_base < -1 || head.first_group == 0) {
        return FLV_E_CORRUPT;
    }
    *out = head;
    return FLV_OK;
}

bool flv__segment_head_same(const struct flv__segment_head *a,
                            const struct flv__segment_head *b)
{
    return a->log_id == b->log_id && a->base_offset == b->base_offset &&
           a->first_group == b->first_group && a->prev_base == b->prev_base &&
           a->prev_bytes == b->prev_bytes;
}

void flv__group_head_put(uint8_t *out, const struct flv__group_head *head)
{
    assert(head->number > head->synced && head->bytes > 0);
    assert(head->first_offset >= 0 && head->next_offset > head->first_offset);
    memset(out, 0, FLV__GROUP_HEAD);
    flv_put_u64(out, FLV__GROUP_MAGIC);
    flv_put_u64(out + 8, head->log_id);
    flv_put_u64(out + 16, head->number);
    flv_put_u64(out + 24, head->synced);
    flv_put_u64(out + 32, (uint64_t)head->first_offset);
    flv_put_u64(out + 40, (uint64_t)head->next_offset);
    flv_put_u32(out + 48, head->bytes);
    flv_put_u32(out + 52, head->crc);
    flv_put_u32(out + CRC_AT, flv_crc32c(0, out, CRC_AT));
}

flv_rc flv__group_head_get(const uint8_t *in, struct flv__group_head *out)
{
    struct flv__group_head head;

    if (flv_get_u64(in) != FLV__GROUP_MAGIC ||
        flv_get_u32(in + CRC_AT) != flv_crc32c(0, in, CRC_AT)) {
        return FLV_E_CORRUPT;
    }
    head = (struct flv__group_head){
        .log_id = flv_get_u64(in + 8),
        .number = flv_get_u64(in + 16),
        .synced = flv_get_u64(in + 24),
        .first_offset = (int64_t)flv_get_u64(in + 32),
        .next_offset = (int64_t)flv_get_u64(in + 40),
        .bytes = flv_get_u32(in + 48),
        .crc = flv_get_u32(in + 52),
    };
    if (head.number <= head.synced || head.bytes == 0 ||
        head.first_offset < 0 || head.next_offset <= head.first_offset) {
        return FLV_E_CORRUPT;
    }
    *out = head;
    return FLV_OK;
}

bool flv__is_group(const uint8_t *in)
{
    return flv_get_u64(in) == FLV__GROUP_MAGIC;
}

flv_rc flv__batch_head_get(const uint8_t *in, struct flv__batch_head *out)
{
    uint32_t length = flv_get_u32(in + 8);
    int32_t last_delta = (int32_t)flv_get_u32(in + 23);
    struct flv__batch_head head = {
        .base_offset = (int64_t)flv_get_u64(in),
        .size = length + FLV__BATCH_PREFIX,
        .producer_id = (int64_t)flv_get_u64(in + 43),
        .producer_epoch = (int16_t)flv_get_u16(in + 51),
        .first_sequence = (int32_t)flv_get_u32(in + 53),
    };

    if (length < FLV__BATCH_HEAD - FLV__BATCH_PREFIX ||
        length > INT32_MAX - FLV__BATCH_PREFIX || in[16] != 2 ||
        last_delta < 0) {
        return FLV_E_CORRUPT;
    }
    if (head.producer_id >= 0 &&
        (head.producer_epoch < 0 || head.first_sequence < 0)) {
        return FLV_E_CORRUPT;
    }
    head.last_sequence =
        head.producer_id < 0
            ? -1
            : flv__sequence_add(head.first_sequence, last_delta);
    /* Wraps for a base offset that nobody has checked yet. */
    head.next_offset =
        (int64_t)((uint64_t)head.base_offset + (uint32_t)last_delta + 1);
    *out = head;
    return FLV_OK;
}

flv_rc flv__batch_stored_get(const uint8_t *in,
                             int64_t base_offset,
                             struct flv__batch_head *out)
{
    struct flv__batch_head head;

    if (flv__batch_head_get(in, &head) != FLV_OK ||
        head.base_offset != base_offset || head.next_offset <= base_offset ||
        flv_get_u32(in + 12) != UINT32_MAX) {
        return FLV_E_CORRUPT;
    }
    *out = head;
    return FLV_OK;
}

void flv__batch_stamp(uint8_t *batch, int64_t base_offset)
{
    assert(base_offset >= 0);
    flv_put_u64(batch, (uint64_t)base_offset);
    flv_put_u32(batch + 12, UINT32_MAX); /* leader epoch -1 */
}

bool flv__batch_crc_ok(const uint8_t *batch, uint32_t size)
{
    assert(size >= FLV__BATCH_HEAD);
    return flv_get_u32(batch + FLV__BATCH_CRC_POS) ==
           flv_crc32c(0, batch + FLV__BATCH_CRC_START,
                      size - FLV__BATCH_CRC_START);
}

static char *offset_path(const char *dir, int64_t base, const char *ending)
{
    char name[32];

    snprintf(name, sizeof(name), "%020" PRId64 "%s", base, ending);
    return flv__path_join(dir, name);
}

char *flv__path_segment(const char *dir, int64_t base_offset)
{
    return offset_path(dir, base_offset, FLV__ENDING_SEGMENT);
}

char *flv__path_next(const char *dir, int64_t base_offset)
{
    return offset_path(dir, base_offset, FLV__ENDING_NEXT);
}

char *flv__path_index(const char *dir, int64_t base_offset)
{
    return offset_path(dir, base_offset, FLV__ENDING_INDEX);
}

char *flv__path_join(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = flv_alloc(size);

    if (path != NULL) {
        snprintf(path, size, "%s/%s", dir, name);
    }
    return path;
}

char *flv__path_parent(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return flv_strdup(".");
    }
    return slash == path ? flv_strdup("/")
                         : flv_strndup(path, (size_t)(slash - path));
}

bool flv__name_offset(const char *name, const char *ending, int64_t *base)
{
    uint64_t n = 0;

    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9' || n > INT64_MAX / 10) {
            return false;
        }
        n = n * 10 + (uint64_t)(name[i] - '0');
    }
    if (n > INT64_MAX || strcmp(name + 20, ending) != 0) {
        return false;
    }
    *base = (int64_t)n;
    return true;
}
