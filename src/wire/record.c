#include "wire/record.h"
#include <assert.h>

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

size_t flv_varint_put(uint8_t *p, int64_t v)
{
    uint64_t u = zigzag(v);
    size_t n = 0;

    while (u >= 0x80) {
        p[n++] = (uint8_t)(u | 0x80);
        u >>= 7;
    }
    p[n++] = (uint8_t)u;
    assert(n <= FLV_VARINT_MAX);
    return n;
}

size_t flv_varint_size(int64_t v)
{
    uint64_t u = zigzag(v);
    size_t n = 1;

    while (u >= 0x80) {
        u >>= 7;
        n++;
    }
    return n;
}

size_t flv_varint_get(struct flv_slice in, int64_t *v)
{
    uint64_t u = 0;

    for (size_t i = 0; i < in.len && i < FLV_VARINT_MAX; i++) {
        uint8_t b = in.data[i];

        /* The tenth group has room for one bit. */
        if (i == FLV_VARINT_MAX - 1 && b > 1) {
            return 0;
        }
        u |= (uint64_t)(b & 0x7f) << (7 * i);
        if (b < 0x80) {
            *v = (int64_t)((u >> 1) ^ (u & 1 ? UINT64_MAX : 0));
            return i + 1;
        }
    }
    return 0;
}

static size_t data_size(struct flv_slice s)
{
    return flv_varint_size((int64_t)s.len) + s.len;
}

/* Bytes behind the length. */
static size_t body_size(const struct flv_wire_record *r)
{
    return 1 + flv_varint_size(r->ts_delta) + flv_varint_size(r->offset_delta) +
           1 + (r->has_key ? data_size(r->key) : 0) + data_size(r->value) + 1;
}

size_t flv_wire_record_size(const struct flv_wire_record *r)
{
    size_t body = body_size(r);

    return flv_varint_size((int64_t)body) + body;
}

static uint8_t *put_data(uint8_t *p, struct flv_slice s)
{
    p += flv_varint_put(p, (int64_t)s.len);
    if (s.len > 0) {
        memcpy(p, s.data, s.len);
    }
    return p + s.len;
}

flv_rc flv_wire_record_put(struct flv_buf *out, const struct flv_wire_record *r)
{
    size_t body = body_size(r);
    size_t size = flv_varint_size((int64_t)body) + body;
    flv_rc rc = flv_buf_reserve(out, size);
    uint8_t *p;

    if (rc != FLV_OK) {
        return rc;
    }
    p = out->data + out->len;
    p += flv_varint_put(p, (int64_t)body);
    *p++ = 0; /* attributes */
    p += flv_varint_put(p, r->ts_delta);
    p += flv_varint_put(p, r->offset_delta);
    *p++ = r->has_key ? 1 : 0;
    if (r->has_key) {
        p = put_data(p, r->key);
    }
    p = put_data(p, r->value);
    *p++ = 0; /* headers */
    assert(p == out->data + out->len + size);
    out->len += size;
    return FLV_OK;
}

static bool get_varint(struct flv_slice *in, int64_t *v)
{
    size_t n = flv_varint_get(*in, v);

    if (n == 0) {
        return false;
    }
    *in = flv_slice(in->data + n, in->len - n);
    return true;
}

static bool get_byte(struct flv_slice *in, uint8_t *v)
{
    if (in->len == 0) {
        return false;
    }
    *v = in->data[0];
    *in = flv_slice(in->data + 1, in->len - 1);
    return true;
}

static bool get_data(struct flv_slice *in, struct flv_slice *out)
{
    int64_t len;

    if (!get_varint(in, &len) || len < 0 || (uint64_t)len > in->len) {
        return false;
    }
    *out = flv_slice(in->data, (size_t)len);
    *in = flv_slice(in->data + len, in->len - (size_t)len);
    return true;
}

/* NULL, or what is wrong. */
static const char *get_body(struct flv_slice in, struct flv_wire_record *r)
{
    uint8_t attributes, key_tag;
    int64_t headers;

    if (!get_byte(&in, &attributes) || !get_varint(&in, &r->ts_delta) ||
        !get_varint(&in, &r->offset_delta) || !get_byte(&in, &key_tag)) {
        return "is cut in its head";
    }
    if (key_tag > 1) {
        return "has a key tag other than 0 and 1";
    }
    r->has_key = key_tag == 1;
    if (r->has_key && !get_data(&in, &r->key)) {
        return "has a key that passes its end";
    }
    if (!get_data(&in, &r->value)) {
        return "has a value that passes its end";
    }
    if (!get_varint(&in, &headers)) {
        return "is cut before its headers";
    }
    if (headers != 0) {
        return "has headers, which Fluvio does not know";
    }
    return in.len == 0 ? NULL : "is shorter than its length says";
}

flv_rc flv_wire_record_get(struct flv_slice *in,
                           struct flv_wire_record *out,
                           struct flv_err *err)
{
    struct flv_slice rest = *in;
    struct flv_wire_record r = {0};
    const char *wrong;
    int64_t len;

    if (!get_varint(&rest, &len) || len < 0 || (uint64_t)len > rest.len) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "record of a length that passes the %zu bytes left",
                        in->len);
    }
    wrong = get_body(flv_slice(rest.data, (size_t)len), &r);
    if (wrong != NULL) {
        return flv_fail(err, FLV_E_CORRUPT, "record of %lld bytes %s",
                        (long long)len, wrong);
    }
    *out = r;
    *in = flv_slice(rest.data + len, rest.len - (size_t)len);
    return FLV_OK;
}
