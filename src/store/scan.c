#include "store/scan.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "wire/crc32c.h"

/* Fits a cache, and the allocator keeps it. */
#define READ_AHEAD (64u << 10)

void flv__scan_init(struct flv__scan *s,
                    struct flv_file *file,
                    const char *path,
                    uint64_t file_bytes,
                    const struct flv__segment_head *head)
{
    *s = (struct flv__scan){
        .file = file,
        .path = path,
        .file_bytes = file_bytes,
        .log_id = head->log_id,
        .pos = FLV__SEGMENT_HEAD,
        .next_offset = head->base_offset,
        .next_group = head->first_group,
        .room_max = FLV__SEGMENT_HEAD,
    };
    flv_buf_init(&s->buf, UINT32_MAX);
}

void flv__scan_deinit(struct flv__scan *s)
{
    flv_buf_deinit(&s->buf);
}

/* `len` bytes of the file at `pos`, which it has. */
static flv_rc bytes_at(struct flv__scan *s,
                       uint64_t pos,
                       size_t len,
                       const uint8_t **out,
                       struct flv_err *err)
{
    size_t want;
    flv_rc rc;

    assert(pos + len <= s->file_bytes);
    if (pos >= s->buf_pos && pos + len <= s->buf_pos + s->buf.len) {
        *out = s->buf.data + (pos - s->buf_pos);
        return FLV_OK;
    }
    want = len > READ_AHEAD ? len : READ_AHEAD;
    if (want > s->file_bytes - pos) {
        want = (size_t)(s->file_bytes - pos);
    }
    flv_buf_reset(&s->buf);
    if (flv_buf_reserve(&s->buf, want) != FLV_OK) {
        return flv_fail(err, FLV_E_NOMEM, "no memory to read %zu bytes of %s",
                        want, s->path);
    }
    rc = flv_io_read_full(s->file, s->buf.data, want, pos, &s->buf.len, err);
    if (rc != FLV_OK) {
        return rc;
    }
    s->buf_pos = pos;
    if (s->buf.len < len) {
        return flv_fail(err, FLV_E_IO, "%s became shorter while it was read",
                        s->path);
    }
    *out = s->buf.data;
    return FLV_OK;
}

static flv_rc
bad(const struct flv__scan *s, const char *what, struct flv_err *err)
{
    return flv_fail(err, FLV_E_CORRUPT,
                    "%s at byte %" PRIu64 " (offset %" PRId64 "): %s", s->path,
                    s->pos, s->next_offset, what);
}

static flv_rc verify_head(const struct flv__scan *s,
                          const uint8_t *bytes,
                          struct flv__group_head *head,
                          struct flv_err *err)
{
    if (flv__group_head_get(bytes, head) != FLV_OK) {
        return bad(s, "not a group header", err);
    }
    if (head->log_id != s->log_id) {
        return bad(s, "a group of another log", err);
    }
    if (head->number != s->next_group || head->first_offset != s->next_offset) {
        return bad(s, "not the group that comes next", err);
    }
    if (head->bytes > s->file_bytes - s->pos - FLV__GROUP_HEAD) {
        return bad(s, "the file ends inside a group", err);
    }
    return FLV_OK;
}

/* Batches fill the group exactly, and their records its range of offsets. */
static bool tiles(const struct flv__scan *s,
                  const struct flv__group_head *group,
                  const uint8_t *bytes)
{
    int64_t offset = group->first_offset;
    uint32_t pos = 0;

    while (pos < group->bytes) {
        struct flv__batch_head batch;

        if (group->bytes - pos < FLV__BATCH_HEAD ||
            flv__batch_stored_get(bytes + pos, offset, &batch) != FLV_OK ||
            batch.size > group->bytes - pos ||
            (s->batch_crc && !flv__batch_crc_ok(bytes + pos, batch.size))) {
            return false;
        }
        pos += batch.size;
        offset = batch.next_offset;
    }
    return offset == group->next_offset;
}

static flv_rc visit(const struct flv__scan *s,
                    const struct flv__group_head *group,
                    const uint8_t *bytes,
                    struct flv_err *err)
{
    int64_t offset = group->first_offset;
    flv_rc rc = FLV_OK;

    for (uint32_t pos = 0; rc == FLV_OK && pos < group->bytes;) {
        struct flv__batch_head batch;

        rc = flv__batch_stored_get(bytes + pos, offset, &batch);
        assert(rc == FLV_OK);
        rc = s->fn(s->user, &batch, s->pos + FLV__GROUP_HEAD + pos, err);
        pos += batch.size;
        offset = batch.next_offset;
    }
    return rc;
}

/* To the next group. Only small ones make room, and only where each is synced
 * before the next is written. */
static void pass(struct flv__scan *s, const struct flv__group_head *head)
{
    uint64_t bytes = FLV__GROUP_HEAD + (uint64_t)head->bytes;

    if (bytes <= FLV__AHEAD_MAX / FLV__AHEAD_PER_GROUP &&
        head->synced + 1 == head->number) {
        s->room_max = flv__room_max(s->pos, s->pos + bytes);
    }
    s->pos += bytes;
    s->next_offset = head->next_offset;
    s->next_group = head->number + 1;
    s->synced = s->synced > head->synced ? s->synced : head->synced;
    s->groups++;
}

flv_rc flv__scan_next(struct flv__scan *s, struct flv_err *err)
{
    struct flv__group_head head;
    const uint8_t *bytes;
    flv_rc rc;

    assert(s->pos < s->file_bytes);
    if (s->file_bytes - s->pos < FLV__GROUP_HEAD) {
        return bad(s, "the file ends inside a group header", err);
    }
    rc = bytes_at(s, s->pos, FLV__GROUP_HEAD, &bytes, err);
    if (rc == FLV_OK) {
        rc = verify_head(s, bytes, &head, err);
    }
    if (rc == FLV_OK) {
        rc = bytes_at(s, s->pos + FLV__GROUP_HEAD, head.bytes, &bytes, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    if (flv_crc32c(0, bytes, head.bytes) != head.crc) {
        return bad(s, "the CRC of a group does not hold", err);
    }
    if (!tiles(s, &head, bytes)) {
        return bad(s, "a group does not consist of its batches", err);
    }
    if (s->fn != NULL) {
        rc = visit(s, &head, bytes, err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    pass(s, &head);
    return FLV_OK;
}

flv_rc flv__scan_all(struct flv__scan *s, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    while (rc == FLV_OK && s->pos < s->file_bytes) {
        rc = flv__scan_next(s, err);
    }
    return rc;
}

/* Has the group that begins at s->pos as a whole in the buffer, if it is one;
 * flv__scan_next() reads nothing then. */
static flv_rc load_group(struct flv__scan *s, struct flv_err *err)
{
    struct flv__group_head head;
    const uint8_t *bytes;
    uint64_t left = s->file_bytes - s->pos;
    flv_rc rc;

    if (left < FLV__GROUP_HEAD) {
        return FLV_OK;
    }
    rc = bytes_at(s, s->pos, FLV__GROUP_HEAD, &bytes, err);
    if (rc == FLV_OK && flv__group_head_get(bytes, &head) == FLV_OK &&
        head.bytes <= left - FLV__GROUP_HEAD) {
        rc = bytes_at(s, s->pos, FLV__GROUP_HEAD + (size_t)head.bytes, &bytes,
                      err);
    }
    return rc;
}

flv_rc flv__scan_write_again(struct flv__scan *s, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    while (rc == FLV_OK && s->pos < s->file_bytes) {
        uint64_t begin = s->pos;

        rc = load_group(s, err);
        if (rc == FLV_OK) {
            rc = flv__scan_next(s, err);
        }
        if (rc == FLV_OK) {
            struct iovec iov = {s->buf.data + (begin - s->buf_pos),
                                (size_t)(s->pos - begin)};

            assert(begin >= s->buf_pos && s->pos <= s->buf_pos + s->buf.len);
            rc = flv_io_write_all(s->file, &iov, 1, begin, err);
        }
    }
    return rc;
}

flv_rc flv__scan_was_synced(struct flv__scan *s, bool *out, struct flv_err *err)
{
    uint64_t pos = s->pos + 1;

    while (pos + FLV__GROUP_HEAD <= s->file_bytes) {
        uint64_t left = s->file_bytes - pos;
        size_t len = left < READ_AHEAD ? (size_t)left : READ_AHEAD;
        const uint8_t *bytes;
        flv_rc rc = bytes_at(s, pos, len, &bytes, err);

        if (rc != FLV_OK) {
            return rc;
        }
        for (size_t i = 0; i + FLV__GROUP_HEAD <= len; i++) {
            struct flv__group_head head;

            if (bytes[i] == FLV__GROUP_MAGIC >> 56 &&
                flv__group_head_get(bytes + i, &head) == FLV_OK &&
                head.log_id == s->log_id && head.synced >= s->next_group) {
                *out = true;
                return FLV_OK;
            }
        }
        pos += len - FLV__GROUP_HEAD + 1;
    }
    *out = false;
    return FLV_OK;
}

flv_rc flv__scan_claims(struct flv_file *file,
                        const char *path,
                        uint64_t file_bytes,
                        uint64_t log_id,
                        uint64_t number,
                        bool *out,
                        struct flv_err *err)
{
    const struct flv__segment_head head = {.log_id = log_id,
                                           .first_group = number};
    struct flv__scan scan;
    flv_rc rc;

    flv__scan_init(&scan, file, path, file_bytes, &head);
    scan.pos--; /* it looks behind that */
    rc = flv__scan_was_synced(&scan, out, err);
    flv__scan_deinit(&scan);
    return rc;
}

static size_t used_bytes(const uint8_t *bytes, size_t len)
{
    if (len > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0) {
        return 0;
    }
    while (len > 0 && bytes[len - 1] == 0) {
        len--;
    }
    return len;
}

flv_rc
flv__scan_used_end(struct flv__scan *s, uint64_t *out, struct flv_err *err)
{
    *out = s->pos;
    for (uint64_t pos = s->pos; pos < s->file_bytes;) {
        uint64_t left = s->file_bytes - pos;
        size_t len = left < READ_AHEAD ? (size_t)left : READ_AHEAD;
        const uint8_t *bytes;
        flv_rc rc = bytes_at(s, pos, len, &bytes, err);
        size_t used;

        if (rc != FLV_OK) {
            return rc;
        }
        used = used_bytes(bytes, len);
        *out = used > 0 ? pos + used : *out;
        pos += len;
    }
    return FLV_OK;
}

flv_rc flv__scan_head(struct flv_file *file,
                      const char *path,
                      struct flv__segment_head *out,
                      struct flv_err *err)
{
    uint8_t bytes[FLV__SEGMENT_HEAD];
    size_t got = 0;
    flv_rc rc = flv_io_read_full(file, bytes, sizeof(bytes), 0, &got, err);

    if (rc != FLV_OK) {
        return rc;
    }
    rc = got == sizeof(bytes) ? flv__segment_head_get(bytes, out)
                              : FLV_E_CORRUPT;
    if (rc == FLV_E_UNSUPPORTED) {
        return flv_fail(err, rc,
                        "%s was written in a newer format: use the version of "
                        "the program that wrote it",
                        path);
    }
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "%s at byte 0: not a segment header", path);
    }
    return FLV_OK;
}
