#include "wire/codec.h"
#include "base/text.h"
#include "wire/record.h"
#include "wire/tables.h"
#include <assert.h>

struct vec {
    const void *at;
    uint32_t len;
};

struct encoder {
    struct flv_buf *out;
    struct flv_wire_cuts *cuts; /* may be NULL */
    const char *message;
    struct flv_err *err;
    int16_t version;
    int depth;
};

static flv_rc encode_schema(struct encoder *e,
                            const struct flv_wire_schema *schema,
                            const uint8_t *in);

static flv_rc no_room(struct encoder *e, const char *name, flv_rc rc)
{
    assert(rc == FLV_E_LIMIT || rc == FLV_E_NOMEM);
    return flv_fail(e->err, rc,
                    "%s: no room for field %s behind %zu bytes (ceiling %zu)",
                    e->message, name, e->out->len, e->out->max);
}

static flv_rc
encode_scalar(struct encoder *e, const char *name, uint8_t type, const void *in)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    flv_rc rc;

    switch (type) {
    case FLV_WIRE_BOOL:
        rc = flv_buf_add_u8(e->out, *(const bool *)in ? 1 : 0);
        break;
    case FLV_WIRE_U8:
    case FLV_WIRE_I8:
        rc = flv_buf_add(e->out, in, 1);
        break;
    case FLV_WIRE_U16:
    case FLV_WIRE_I16:
        memcpy(&u16, in, sizeof(u16));
        rc = flv_buf_add_u16(e->out, u16);
        break;
    case FLV_WIRE_U32:
    case FLV_WIRE_I32:
        memcpy(&u32, in, sizeof(u32));
        rc = flv_buf_add_u32(e->out, u32);
        break;
    default:
        assert(type == FLV_WIRE_U64 || type == FLV_WIRE_I64);
        memcpy(&u64, in, sizeof(u64));
        rc = flv_buf_add_u64(e->out, u64);
        break;
    }
    return rc == FLV_OK ? FLV_OK : no_room(e, name, rc);
}

/* Leaves the bytes where they are if the caller wants that. */
static bool cut(struct encoder *e, struct flv_slice s)
{
    struct flv_wire_cuts *cuts = e->cuts;

    if (cuts == NULL || s.len == 0 || s.len < cuts->min_bytes ||
        cuts->len == cuts->max) {
        return false;
    }
    cuts->at[cuts->len++] =
        (struct flv_wire_cut){.pos = e->out->len, .bytes = s};
    cuts->size_bytes += s.len;
    return true;
}

static flv_rc check_slice(struct encoder *e,
                          const char *name,
                          uint8_t type,
                          struct flv_slice s)
{
    size_t max = type == FLV_WIRE_STR ? FLV_WIRE_STR_MAX : INT32_MAX;

    if (s.len > max) {
        return flv_fail(e->err, FLV_E_INVALID,
                        "%s: field %s has %zu bytes, at most %zu are possible",
                        e->message, name, s.len, max);
    }
    if (type == FLV_WIRE_STR && !flv_text_is_utf8(s)) {
        return flv_fail(e->err, FLV_E_INVALID, "%s: field %s is not UTF-8",
                        e->message, name);
    }
    return FLV_OK;
}

static flv_rc
encode_slice(struct encoder *e, const char *name, uint8_t type, const void *in)
{
    struct flv_slice s;
    flv_rc rc;

    memcpy(&s, in, sizeof(s));
    assert(s.data != NULL || s.len == 0);
    rc = check_slice(e, name, type, s);
    if (rc != FLV_OK) {
        return rc;
    }
    if (type == FLV_WIRE_STR) {
        rc = flv_buf_add_u16(e->out, (uint16_t)s.len);
    } else if (type == FLV_WIRE_BYTES) {
        rc = flv_buf_add_u32(e->out, (uint32_t)s.len);
    } else {
        uint8_t varint[FLV_VARINT_MAX];
        rc =
            flv_buf_add(e->out, varint, flv_varint_put(varint, (int64_t)s.len));
    }
    if (rc == FLV_OK && s.len > 0 && !(type == FLV_WIRE_BYTES && cut(e, s))) {
        rc = flv_buf_add(e->out, s.data, s.len);
    }
    return rc == FLV_OK ? FLV_OK : no_room(e, name, rc);
}

static flv_rc
encode_vec(struct encoder *e, const struct flv_wire_field *f, const void *in)
{
    struct vec v;
    size_t size = flv__wire_elem_size(f);
    uint32_t max = f->type == FLV_WIRE_MAP ? UINT16_MAX : INT32_MAX;
    flv_rc rc;

    memcpy(&v, in, sizeof(v));
    if (v.len > max) {
        return flv_fail(e->err, FLV_E_INVALID,
                        "%s: field %s has %u elements, at most %u are possible",
                        e->message, f->name, v.len, max);
    }
    assert(v.len == 0 || v.at != NULL);
    rc = f->type == FLV_WIRE_MAP ? flv_buf_add_u16(e->out, (uint16_t)v.len)
                                 : flv_buf_add_u32(e->out, v.len);
    if (rc != FLV_OK) {
        return no_room(e, f->name, rc);
    }
    for (uint32_t i = 0; i < v.len && rc == FLV_OK; i++) {
        const uint8_t *elem = (const uint8_t *)v.at + size * i;

        if (f->elem == FLV_WIRE_STRUCT) {
            rc = encode_schema(e, f->sub, elem);
        } else if (f->elem >= FLV_WIRE_STR) {
            rc = encode_slice(e, f->name, f->elem, elem);
        } else {
            rc = encode_scalar(e, f->name, f->elem, elem);
        }
    }
    return rc;
}

static flv_rc encode_field(struct encoder *e,
                           const struct flv_wire_field *f,
                           const uint8_t *base)
{
    const uint8_t *in = base + f->offset;

    if (f->optional) {
        const bool *has = (const bool *)(base + f->has);
        flv_rc rc = encode_scalar(e, f->name, FLV_WIRE_BOOL, has);

        if (rc != FLV_OK || !*has) {
            return rc;
        }
    }
    switch (f->type) {
    case FLV_WIRE_STRUCT:
        return encode_schema(e, f->sub, in);
    case FLV_WIRE_VEC:
    case FLV_WIRE_MAP:
        return encode_vec(e, f, in);
    case FLV_WIRE_STR:
    case FLV_WIRE_BYTES:
    case FLV_WIRE_RDATA:
        return encode_slice(e, f->name, f->type, in);
    default:
        return encode_scalar(e, f->name, f->type, in);
    }
}

static flv_rc encode_fields(struct encoder *e,
                            const struct flv_wire_field *fields,
                            size_t n,
                            const uint8_t *base)
{
    for (size_t i = 0; i < n; i++) {
        if (e->version >= fields[i].min && e->version <= fields[i].max) {
            flv_rc rc = encode_field(e, &fields[i], base);

            if (rc != FLV_OK) {
                return rc;
            }
        }
    }
    return FLV_OK;
}

const struct flv_wire_case *
flv__wire_case_of(const struct flv_wire_schema *schema, const uint8_t *in)
{
    int16_t tag = *in;

    assert(schema->tag != FLV_WIRE_TAG_NONE);
    if (schema->tag == FLV_WIRE_TAG_I16) {
        memcpy(&tag, in, sizeof(tag));
    }
    for (size_t i = 0; i < schema->ncases; i++) {
        if (schema->cases[i].tag == tag) {
            return &schema->cases[i];
        }
    }
    return NULL;
}

static flv_rc encode_tag(struct encoder *e,
                         const struct flv_wire_schema *schema,
                         const struct flv_wire_case *c)
{
    bool known = e->version >= c->since;
    int16_t tag = known ? c->tag : c->before;
    flv_rc rc;

    if (schema->tag == FLV_WIRE_TAG_NAME) {
        struct flv_slice name = flv_slice_str(c->name);
        return encode_slice(e, schema->name, FLV_WIRE_STR, &name);
    }
    if (schema->tag == FLV_WIRE_TAG_U8) {
        rc = flv_buf_add_u8(e->out, (uint8_t)tag);
    } else {
        rc = flv_buf_add_u16(e->out, (uint16_t)tag);
    }
    return rc == FLV_OK ? FLV_OK : no_room(e, schema->name, rc);
}

static flv_rc encode_schema(struct encoder *e,
                            const struct flv_wire_schema *schema,
                            const uint8_t *in)
{
    const struct flv_wire_field *fields = schema->fields;
    size_t nfields = schema->nfields;
    flv_rc rc;

    assert(e->depth < FLV_WIRE_DEPTH_MAX);
    if (schema->tag != FLV_WIRE_TAG_NONE) {
        const struct flv_wire_case *c = flv__wire_case_of(schema, in);

        if (c == NULL) {
            return flv_fail(e->err, FLV_E_INVALID,
                            "%s: %s has a tag that does not exist", e->message,
                            schema->name);
        }
        rc = encode_tag(e, schema, c);
        if (rc != FLV_OK || e->version < c->since) {
            return rc;
        }
        fields = c->fields;
        nfields = c->nfields;
    }
    e->depth++;
    rc = encode_fields(e, fields, nfields, in);
    e->depth--;
    return rc;
}

flv_rc flv_wire_encode(const struct flv_wire_schema *schema,
                       int16_t version,
                       const void *msg,
                       struct flv_buf *out,
                       struct flv_wire_cuts *cuts,
                       struct flv_err *err)
{
    struct encoder e = {
        .out = out,
        .cuts = cuts,
        .message = schema->name,
        .err = err,
        .version = version,
    };
    size_t len = out->len;
    size_t ncuts = cuts != NULL ? cuts->len : 0;
    size_t cut_bytes = cuts != NULL ? cuts->size_bytes : 0;
    flv_rc rc = encode_schema(&e, schema, msg);

    if (rc != FLV_OK) {
        out->len = len;
        if (cuts != NULL) {
            cuts->len = ncuts;
            cuts->size_bytes = cut_bytes;
        }
    }
    return rc;
}

size_t flv_wire_parts(const struct flv_buf *buf,
                      size_t start,
                      const struct flv_wire_cuts *cuts,
                      struct flv_slice *parts,
                      size_t max)
{
    size_t n = 0;
    size_t pos = start;

    assert(start <= buf->len);
    for (size_t i = 0; i < cuts->len; i++) {
        const struct flv_wire_cut *c = &cuts->at[i];

        assert(c->pos >= pos && c->pos <= buf->len);
        if (c->pos > pos) {
            assert(n < max);
            parts[n++] = flv_slice(buf->data + pos, c->pos - pos);
        }
        assert(n < max);
        parts[n++] = c->bytes;
        pos = c->pos;
    }
    if (pos < buf->len) {
        assert(n < max);
        parts[n++] = flv_slice(buf->data + pos, buf->len - pos);
    }
    return n;
}
