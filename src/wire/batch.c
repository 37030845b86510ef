#include "wire/batch.h"
#include "wire/crc32c.h"
#include <assert.h>

enum {
    POS_LENGTH = 8,
    POS_EPOCH = 12,
    POS_MAGIC = 16,
    POS_ATTRIBUTES = 21,
    POS_LAST_DELTA = 23,
    POS_FIRST_TS = 27,
    POS_MAX_TS = 35,
    POS_PRODUCER_ID = 43,
    POS_PRODUCER_EPOCH = 51,
    POS_SEQUENCE = 53,
    MAGIC = 2,
    ATTR_CODEC = 0x07,
    ATTR_SCHEMA = 0x10,
    SCHEMA_SIZE = 4,
    COUNT_SIZE = 4,
};

static void read_header(const uint8_t *p, struct flv_batch_header *h)
{
    h->base_offset = (int64_t)flv_get_u64(p);
    h->length = (int32_t)flv_get_u32(p + POS_LENGTH);
    h->leader_epoch = (int32_t)flv_get_u32(p + POS_EPOCH);
    h->crc = flv_get_u32(p + FLV_BATCH_CRC_POS);
    h->attributes = (int16_t)flv_get_u16(p + POS_ATTRIBUTES);
    h->last_offset_delta = (int32_t)flv_get_u32(p + POS_LAST_DELTA);
    h->first_timestamp_ms = (int64_t)flv_get_u64(p + POS_FIRST_TS);
    h->max_timestamp_ms = (int64_t)flv_get_u64(p + POS_MAX_TS);
    h->producer_id = (int64_t)flv_get_u64(p + POS_PRODUCER_ID);
    h->producer_epoch = (int16_t)flv_get_u16(p + POS_PRODUCER_EPOCH);
    h->first_sequence = (int32_t)flv_get_u32(p + POS_SEQUENCE);
}

flv_rc flv_batch_parse(struct flv_slice bytes,
                       struct flv_batch_header *out,
                       struct flv_err *err)
{
    struct flv_batch_header h = {0};
    unsigned codec;

    if (bytes.len < FLV_BATCH_HEADER_SIZE) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "batch of %zu bytes is shorter than a batch header",
                        bytes.len);
    }
    read_header(bytes.data, &h);
    if ((int8_t)bytes.data[POS_MAGIC] != MAGIC) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "batch has magic %d, only %d is known",
                        (int8_t)bytes.data[POS_MAGIC], MAGIC);
    }
    codec = (unsigned)h.attributes & ATTR_CODEC;
    if (codec >= FLV_CODEC_COUNT ||
        (h.attributes & ~(ATTR_CODEC | ATTR_SCHEMA)) != 0) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "batch has unknown attributes 0x%04x",
                        (unsigned)(uint16_t)h.attributes);
    }
    h.codec = (enum flv_codec)codec;
    h.records_pos =
        FLV_BATCH_HEADER_SIZE + (h.attributes & ATTR_SCHEMA ? SCHEMA_SIZE : 0);
    if (h.length < (int32_t)(h.records_pos - FLV_BATCH_PREFIX_SIZE) ||
        (size_t)h.length > bytes.len - FLV_BATCH_PREFIX_SIZE) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "batch says it is %d bytes long, but %zu follow",
                        h.length, bytes.len - FLV_BATCH_PREFIX_SIZE);
    }
    h.size_bytes = FLV_BATCH_PREFIX_SIZE + (size_t)h.length;
    if (h.last_offset_delta < -1 || h.last_offset_delta == INT32_MAX) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "batch has the last offset delta %d",
                        h.last_offset_delta);
    }
    h.count = (uint32_t)(h.last_offset_delta + 1);
    *out = h;
    return FLV_OK;
}

size_t flv_batch_extent(struct flv_slice bytes)
{
    int32_t length = 0;

    if (bytes.len >= FLV_BATCH_PREFIX_SIZE) {
        length = (int32_t)flv_get_u32(bytes.data + POS_LENGTH);
    }
    return FLV_BATCH_PREFIX_SIZE + (length > 0 ? (size_t)length : 0);
}

bool flv_batch_is_cut(struct flv_slice bytes)
{
    return flv_batch_extent(bytes) > bytes.len;
}

flv_rc flv_batch_check_crc(struct flv_slice batch, struct flv_err *err)
{
    uint32_t want, have;

    if (batch.len < FLV_BATCH_HEADER_SIZE) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "batch of %zu bytes is shorter than a batch header",
                        batch.len);
    }
    want = flv_get_u32(batch.data + FLV_BATCH_CRC_POS);
    have = flv_crc32c(0, batch.data + FLV_BATCH_CRC_START,
                      batch.len - FLV_BATCH_CRC_START);
    if (want != have) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "batch has CRC %08x, but its bytes give %08x", want,
                        have);
    }
    return FLV_OK;
}

/* What the count leaves must be able to hold that many records. */
static flv_rc check_count(const struct flv_batch_header *h,
                          struct flv_slice section,
                          uint32_t count,
                          struct flv_err *err)
{
    if (count != h->count) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "batch counts %u records, but its header %u", count,
                        h->count);
    }
    if (h->codec == FLV_CODEC_NONE &&
        count > (section.len - COUNT_SIZE) / FLV_RECORD_SIZE_MIN) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "batch counts %u records in %zu bytes", count,
                        section.len - COUNT_SIZE);
    }
    return FLV_OK;
}

/* Where each record ends, without looking inside: else one client's nonsense
 * would be every later reader's failure. What is compressed stays closed. */
static flv_rc check_ends(const struct flv_batch_header *h,
                         struct flv_slice section,
                         struct flv_err *err)
{
    size_t pos = COUNT_SIZE;

    if (h->codec != FLV_CODEC_NONE || h->count == 0) {
        return FLV_OK;
    }
    for (uint32_t i = 0; i < h->count; i++) {
        int64_t len = 0;
        size_t n = flv_varint_get(
            flv_slice(section.data + pos, section.len - pos), &len);

        if (n == 0 || len < 0 || (uint64_t)len > section.len - pos - n) {
            return flv_fail(err, FLV_E_CORRUPT,
                            "record %u of %u is longer than its batch", i,
                            h->count);
        }
        pos += n + (size_t)len;
    }
    if (pos != section.len) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "%zu bytes follow the %u records of a batch",
                        section.len - pos, h->count);
    }
    return FLV_OK;
}

static flv_rc read_count(const struct flv_batch_header *h,
                         struct flv_slice section,
                         struct flv_compressor *z,
                         uint32_t *count,
                         struct flv_err *err)
{
    uint8_t head[COUNT_SIZE];
    flv_rc rc;

    if (h->codec != FLV_CODEC_NONE) {
        rc = flv_decompress_head(z, h->codec, section, head, sizeof(head), err);
        if (rc != FLV_OK) {
            return rc;
        }
        *count = flv_get_u32(head);
        return FLV_OK;
    }
    if (section.len < COUNT_SIZE) {
        return flv_fail(err, FLV_E_CORRUPT, "batch ends before its count");
    }
    *count = flv_get_u32(section.data);
    return FLV_OK;
}

flv_rc flv_batch_check(struct flv_slice batch,
                       struct flv_compressor *z,
                       struct flv_batch_header *out,
                       struct flv_err *err)
{
    struct flv_batch_header h;
    struct flv_slice section;
    uint32_t count = 0;
    flv_rc rc = flv_batch_parse(batch, &h, err);

    if (rc != FLV_OK) {
        return rc;
    }
    if (h.size_bytes != batch.len) {
        return flv_fail(err, FLV_E_CORRUPT, "%zu bytes follow a batch of %zu",
                        batch.len - h.size_bytes, h.size_bytes);
    }
    rc = flv_batch_check_crc(batch, err);
    if (rc != FLV_OK) {
        return rc;
    }
    section = flv_slice(batch.data + h.records_pos, batch.len - h.records_pos);
    rc = read_count(&h, section, z, &count, err);
    if (rc == FLV_OK) {
        rc = check_count(&h, section, count, err);
    }
    if (rc == FLV_OK) {
        rc = check_ends(&h, section, err);
    }
    if (rc == FLV_OK) {
        *out = h;
    }
    return rc;
}

flv_rc flv_batch_walk(struct flv_slice *rest,
                      struct flv_slice *batch,
                      struct flv_batch_header *header,
                      struct flv_err *err)
{
    flv_rc rc;

    if (rest->len == 0) {
        *batch = flv_slice(NULL, 0);
        return FLV_OK;
    }
    rc = flv_batch_parse(*rest, header, err);
    if (rc != FLV_OK) {
        return rc;
    }
    *batch = flv_slice(rest->data, header->size_bytes);
    *rest = flv_slice(rest->data + header->size_bytes,
                      rest->len - header->size_bytes);
    return FLV_OK;
}

void flv_batch_set_base_offset(uint8_t *batch, int64_t base_offset)
{
    assert(batch != NULL && base_offset >= 0);
    flv_put_u64(batch, (uint64_t)base_offset);
}

void flv_batch_set_leader_epoch(uint8_t *batch, int32_t epoch)
{
    assert(batch != NULL);
    flv_put_u32(batch + POS_EPOCH, (uint32_t)epoch);
}

/* --- building ---------------------------------------------------------------
 */

void flv_batch_builder_init(struct flv_batch_builder *b, size_t size_bytes_max)
{
    size_t least = FLV_BATCH_HEADER_SIZE + COUNT_SIZE + FLV_RECORD_SIZE_MIN;

    assert(size_bytes_max >= least);
    memset(b, 0, sizeof(*b));
    flv_buf_init(&b->section, size_bytes_max - FLV_BATCH_HEADER_SIZE);
}

void flv_batch_builder_deinit(struct flv_batch_builder *b)
{
    if (b != NULL) {
        flv_buf_deinit(&b->section);
    }
}

void flv_batch_builder_reset(struct flv_batch_builder *b)
{
    flv_buf_reset(&b->section);
    b->count = 0;
    b->has_span = false;
    b->span = 0;
    b->first_timestamp_ms = 0;
    b->last_timestamp_ms = 0;
}

size_t flv_batch_builder_size(const struct flv_batch_builder *b)
{
    size_t section = b->section.len > 0 ? b->section.len : COUNT_SIZE;

    return FLV_BATCH_HEADER_SIZE + section;
}

static struct flv_wire_record next_record(const struct flv_batch_builder *b,
                                          const struct flv_slice *key,
                                          struct flv_slice value,
                                          int64_t timestamp_ms)
{
    struct flv_wire_record r = {
        .offset_delta = b->count,
        .has_key = key != NULL,
        .value = value,
    };

    if (b->count > 0) {
        /* Unsigned: two far ends of time are out of range, not a bug. */
        r.ts_delta =
            (int64_t)((uint64_t)timestamp_ms - (uint64_t)b->first_timestamp_ms);
    }
    if (key != NULL) {
        r.key = *key;
    }
    return r;
}

size_t flv_batch_builder_size_with(const struct flv_batch_builder *b,
                                   const struct flv_slice *key,
                                   struct flv_slice value,
                                   int64_t timestamp_ms)
{
    struct flv_wire_record r = next_record(b, key, value, timestamp_ms);

    return flv_batch_builder_size(b) + flv_wire_record_size(&r);
}

flv_rc flv_batch_builder_add(struct flv_batch_builder *b,
                             const struct flv_slice *key,
                             struct flv_slice value,
                             int64_t timestamp_ms,
                             struct flv_err *err)
{
    struct flv_wire_record r = next_record(b, key, value, timestamp_ms);
    size_t size = flv_wire_record_size(&r);
    size_t head = b->count == 0 ? COUNT_SIZE : 0;
    flv_rc rc;

    /* Fluvio's own encoder is wrong beyond 32 bits (docs/format/wire.md). */
    if (r.ts_delta < INT32_MIN || r.ts_delta > INT32_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "record is %lld ms away from the batch's first one",
                        (long long)r.ts_delta);
    }
    rc = b->count < INT32_MAX ? flv_buf_reserve(&b->section, head + size)
                              : FLV_E_LIMIT;
    if (rc != FLV_OK) {
        return flv_fail(err, rc,
                        "record of %zu bytes does not fit a batch that has "
                        "%zu bytes of %zu",
                        size, flv_batch_builder_size(b),
                        b->section.max + FLV_BATCH_HEADER_SIZE);
    }
    if (b->count == 0) {
        b->section.len = COUNT_SIZE;
        b->first_timestamp_ms = timestamp_ms;
    }
    rc = flv_wire_record_put(&b->section, &r);
    assert(rc == FLV_OK);
    b->count++;
    b->last_timestamp_ms = timestamp_ms;
    flv_put_u32(b->section.data, b->count);
    return FLV_OK;
}

static void write_header(uint8_t *p,
                         const struct flv_batch_builder *b,
                         enum flv_codec codec,
                         struct flv_batch_stamp stamp,
                         size_t size)
{
    assert(size - FLV_BATCH_PREFIX_SIZE <= INT32_MAX);
    flv_put_u64(p, 0);
    flv_put_u32(p + POS_LENGTH, (uint32_t)(size - FLV_BATCH_PREFIX_SIZE));
    flv_put_u32(p + POS_EPOCH, UINT32_MAX);
    p[POS_MAGIC] = MAGIC;
    flv_put_u16(p + POS_ATTRIBUTES, (uint16_t)codec);
    flv_put_u32(p + POS_LAST_DELTA, (b->has_span ? b->span : b->count) - 1);
    flv_put_u64(p + POS_FIRST_TS, (uint64_t)b->first_timestamp_ms);
    flv_put_u64(p + POS_MAX_TS, (uint64_t)b->last_timestamp_ms);
    flv_put_u64(p + POS_PRODUCER_ID, (uint64_t)stamp.producer_id);
    flv_put_u16(p + POS_PRODUCER_EPOCH, (uint16_t)stamp.producer_epoch);
    flv_put_u32(p + POS_SEQUENCE, (uint32_t)stamp.first_sequence);
    flv_put_u32(p + FLV_BATCH_CRC_POS, flv_crc32c(0, p + FLV_BATCH_CRC_START,
                                                  size - FLV_BATCH_CRC_START));
}

flv_rc flv_batch_builder_finish(struct flv_batch_builder *b,
                                struct flv_compressor *z,
                                enum flv_codec codec,
                                struct flv_batch_stamp stamp,
                                struct flv_buf *out,
                                struct flv_err *err)
{
    static const uint8_t none[COUNT_SIZE];
    size_t start = out->len;
    flv_rc rc = flv_buf_reserve(out, FLV_BATCH_HEADER_SIZE);

    assert(b->has_span || b->count > 0);
    assert(b->span <= INT32_MAX);
    assert(z != NULL || codec == FLV_CODEC_NONE);
    if (rc == FLV_OK && b->count == 0) {
        rc = flv_buf_add(&b->section, none, sizeof(none));
    }
    if (rc == FLV_OK) {
        out->len += FLV_BATCH_HEADER_SIZE;
        if (codec == FLV_CODEC_NONE) {
            rc = flv_buf_add(out, b->section.data, b->section.len);
        } else {
            rc = flv_compress(z, codec, flv_buf_slice(&b->section), out, err);
            if (rc != FLV_OK) {
                out->len = start;
                return rc;
            }
        }
    }
    if (rc != FLV_OK) {
        out->len = start;
        return flv_fail(err, rc, "no room for a batch of %zu bytes",
                        flv_batch_builder_size(b));
    }
    write_header(out->data + start, b, codec, stamp, out->len - start);
    return FLV_OK;
}

/* --- reading
 * ------------------------------------------------------------------ */

void flv_batch_reader_init(struct flv_batch_reader *r,
                           struct flv_compressor *z,
                           size_t section_bytes_max)
{
    memset(r, 0, sizeof(*r));
    flv_buf_init(&r->plain, section_bytes_max);
    r->z = z;
}

void flv_batch_reader_deinit(struct flv_batch_reader *r)
{
    if (r != NULL) {
        flv_buf_deinit(&r->plain);
    }
}

flv_rc flv_batch_reader_open(struct flv_batch_reader *r,
                             struct flv_slice batch,
                             struct flv_err *err)
{
    struct flv_batch_header h;
    struct flv_slice section;
    flv_rc rc = flv_batch_parse(batch, &h, err);

    if (rc != FLV_OK) {
        return rc;
    }
    section =
        flv_slice(batch.data + h.records_pos, h.size_bytes - h.records_pos);
    /* What the last batch lent out ends here, also when this one fails. */
    r->section = r->rest = flv_slice(NULL, 0);
    r->next = 0;
    r->count = 0;
    memset(&r->header, 0, sizeof(r->header));
    flv_buf_reset(&r->plain);
    if (h.codec != FLV_CODEC_NONE) {
        rc = flv_decompress(r->z, h.codec, section, &r->plain, err);
        if (rc != FLV_OK) {
            return rc;
        }
        section = flv_buf_slice(&r->plain);
    }
    if (section.len < COUNT_SIZE) {
        return flv_fail(err, FLV_E_CORRUPT, "batch ends before its count");
    }
    if (flv_get_u32(section.data) != h.count && !r->sparse) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "batch counts %u records, but its header %u",
                        flv_get_u32(section.data), h.count);
    }
    r->header = h;
    r->count = flv_get_u32(section.data);
    r->section = section;
    r->rest = flv_slice(section.data + COUNT_SIZE, section.len - COUNT_SIZE);
    return FLV_OK;
}

flv_rc flv_batch_reader_next(struct flv_batch_reader *r,
                             struct flv_record *out,
                             bool *more,
                             struct flv_err *err)
{
    const uint8_t *start = r->rest.data;
    struct flv_wire_record wire;
    flv_rc rc;

    assert(r->next <= r->count);
    if (r->next == r->count) {
        if (r->rest.len > 0) {
            return flv_fail(err, FLV_E_CORRUPT,
                            "%zu bytes are left over behind the %u records "
                            "of a batch",
                            r->rest.len, r->count);
        }
        *more = false;
        return FLV_OK;
    }
    rc = flv_wire_record_get(&r->rest, &wire, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "record %u of %u", r->next, r->count);
        return rc;
    }
    out->offset = (int64_t)((uint64_t)r->header.base_offset + r->next);
    out->timestamp_ms = -1;
    if (r->header.first_timestamp_ms > 0) {
        out->timestamp_ms = (int64_t)((uint64_t)r->header.first_timestamp_ms +
                                      (uint64_t)wire.ts_delta);
    }
    out->has_key = wire.has_key;
    out->key = wire.key;
    out->value = wire.value;
    out->raw = flv_slice(start, (size_t)(r->rest.data - start));
    r->next++;
    *more = true;
    return FLV_OK;
}

struct flv_slice flv_batch_reader_section(const struct flv_batch_reader *r)
{
    return r->section;
}
