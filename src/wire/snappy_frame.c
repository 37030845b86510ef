#include "wire/snappy_frame.h"
#include "wire/crc32c.h"
#include <assert.h>
#include <snappy-c.h>

enum {
    CHUNK_COMPRESSED = 0x00,
    CHUNK_RAW = 0x01,
    CHUNK_SKIPPABLE = 0x80, /* and all above it */
    CHUNK_STREAM_ID = 0xff,
    CHUNK_HEAD = 4,
    CRC_SIZE = 4,
};

static const uint8_t stream_id[] = {
    CHUNK_STREAM_ID, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};

static uint32_t masked_crc(const uint8_t *data, size_t len)
{
    uint32_t crc = flv_crc32c(0, data, len);

    return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

static void put_le(uint8_t *p, size_t v, int n)
{
    for (int i = 0; i < n; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint32_t get_le(const uint8_t *p, int n)
{
    uint32_t v = 0;

    for (int i = 0; i < n; i++) {
        v |= (uint32_t)p[i] << (8 * i);
    }
    return v;
}

static flv_rc put_chunk(const uint8_t *data, size_t len, struct flv_buf *out)
{
    size_t size = snappy_max_compressed_length(len);
    flv_rc rc;
    uint8_t *p;

    assert(len > 0 && len <= FLV_SNAPPY_CHUNK_MAX);
    /* Within the ceiling even where only the worst case would pass it: then
     * the chunk goes out raw. */
    rc = flv_buf_reserve(out, CHUNK_HEAD + CRC_SIZE + size);
    if (rc == FLV_E_LIMIT) {
        size = len;
        rc = flv_buf_reserve(out, CHUNK_HEAD + CRC_SIZE + len);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    p = out->data + out->len;
    put_le(p + CHUNK_HEAD, masked_crc(data, len), CRC_SIZE);
    p[0] = CHUNK_COMPRESSED;
    /* Less than an eighth saved is not worth the reader's work. */
    if (size == len ||
        snappy_compress((const char *)data, len,
                        (char *)p + CHUNK_HEAD + CRC_SIZE,
                        &size) != SNAPPY_OK ||
        size >= len - len / 8) {
        p[0] = CHUNK_RAW;
        memcpy(p + CHUNK_HEAD + CRC_SIZE, data, len);
        size = len;
    }
    put_le(p + 1, CRC_SIZE + size, 3);
    out->len += CHUNK_HEAD + CRC_SIZE + size;
    return FLV_OK;
}

flv_rc flv__snappy_compress(struct flv_slice in,
                            struct flv_buf *out,
                            struct flv_err *err)
{
    size_t start = out->len;
    flv_rc rc = flv_buf_add(out, stream_id, sizeof(stream_id));

    for (size_t pos = 0; pos < in.len && rc == FLV_OK;) {
        size_t n = in.len - pos;

        n = n < FLV_SNAPPY_CHUNK_MAX ? n : FLV_SNAPPY_CHUNK_MAX;
        rc = put_chunk(in.data + pos, n, out);
        pos += n;
    }
    if (rc != FLV_OK) {
        out->len = start;
        return flv_fail(err, rc, "snappy: no room for %zu bytes, ceiling %zu",
                        in.len, out->max);
    }
    return FLV_OK;
}

static flv_rc corrupt(struct flv_err *err, const char *what)
{
    return flv_fail(err, FLV_E_CORRUPT, "snappy: %s", what);
}

/* One chunk of data, CRC included. */
static flv_rc get_chunk(uint8_t type,
                        struct flv_slice chunk,
                        struct flv_buf *out,
                        struct flv_err *err)
{
    const char *data = (const char *)chunk.data + CRC_SIZE;
    size_t len, plain;
    uint8_t *to;
    flv_rc rc;

    if (chunk.len < CRC_SIZE) {
        return corrupt(err, "chunk without a checksum");
    }
    plain = len = chunk.len - CRC_SIZE;
    if (type == CHUNK_COMPRESSED &&
        snappy_uncompressed_length(data, len, &plain) != SNAPPY_OK) {
        return corrupt(err, "chunk without a length");
    }
    if (plain > FLV_SNAPPY_CHUNK_MAX) {
        return corrupt(err, "chunk of more than 64 KiB");
    }
    rc = flv_buf_reserve(out, plain);
    if (rc != FLV_OK) {
        return flv_fail(err, rc,
                        "snappy: no room for %zu more bytes, ceiling %zu",
                        plain, out->max);
    }
    if (plain == 0) {
        return FLV_OK;
    }
    to = out->data + out->len;
    if (type == CHUNK_RAW) {
        memcpy(to, data, plain);
    } else if (snappy_uncompress(data, len, (char *)to, &plain) != SNAPPY_OK) {
        return corrupt(err, "chunk that is not snappy");
    }
    if (masked_crc(to, plain) != get_le(chunk.data, CRC_SIZE)) {
        return corrupt(err, "chunk with a wrong checksum");
    }
    out->len += plain;
    return FLV_OK;
}

static flv_rc
next_chunk(struct flv_slice *in, struct flv_buf *out, struct flv_err *err)
{
    struct flv_slice chunk;
    uint8_t type;
    size_t len;

    if (in->len < CHUNK_HEAD) {
        return corrupt(err, "stream ends inside a chunk's head");
    }
    type = in->data[0];
    len = get_le(in->data + 1, 3);
    if (len > in->len - CHUNK_HEAD) {
        return corrupt(err, "stream ends inside a chunk");
    }
    chunk = flv_slice(in->data + CHUNK_HEAD, len);
    *in = flv_slice(chunk.data + len, in->len - CHUNK_HEAD - len);
    if (type <= CHUNK_RAW) {
        return get_chunk(type, chunk, out, err);
    }
    if (type == CHUNK_STREAM_ID) {
        return flv_slice_eq(chunk, flv_slice(stream_id + CHUNK_HEAD, 6))
                   ? FLV_OK
                   : corrupt(err, "stream identifier is not sNaPpY");
    }
    if (type < CHUNK_SKIPPABLE) {
        return corrupt(err, "chunk of an unknown kind");
    }
    return FLV_OK;
}

flv_rc flv__snappy_decompress(struct flv_slice in,
                              size_t enough,
                              struct flv_buf *out,
                              struct flv_err *err)
{
    size_t start = out->len;
    flv_rc rc = FLV_OK;

    if (in.len < sizeof(stream_id) || in.data[0] != CHUNK_STREAM_ID) {
        return corrupt(err, "stream does not begin with its identifier");
    }
    while (in.len > 0 && out->len - start < enough && rc == FLV_OK) {
        rc = next_chunk(&in, out, err);
    }
    if (rc != FLV_OK) {
        out->len = start;
    }
    return rc;
}
