#include "base/text.h"
#include "wire/codec.h"
#include "wire/tables.h"
#include <assert.h>
#include <inttypes.h>

struct vec {
    const void *at;
    uint32_t len;
};

static flv_rc dump_schema(struct flv_buf *out,
                          const struct flv_wire_schema *schema,
                          int16_t version,
                          const uint8_t *in);

static flv_rc dump_scalar(struct flv_buf *out, uint8_t type, const void *in)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    switch (type) {
    case FLV_WIRE_BOOL:
        return flv_buf_add_str(out, *(const bool *)in ? "true" : "false");
    case FLV_WIRE_U8:
        return flv_buf_addf(out, "%u", *(const uint8_t *)in);
    case FLV_WIRE_I8:
        return flv_buf_addf(out, "%d", *(const int8_t *)in);
    case FLV_WIRE_U16:
        memcpy(&u16, in, sizeof(u16));
        return flv_buf_addf(out, "%u", u16);
    case FLV_WIRE_I16:
        memcpy(&u16, in, sizeof(u16));
        return flv_buf_addf(out, "%d", (int16_t)u16);
    case FLV_WIRE_U32:
        memcpy(&u32, in, sizeof(u32));
        return flv_buf_addf(out, "%" PRIu32, u32);
    case FLV_WIRE_I32:
        memcpy(&u32, in, sizeof(u32));
        return flv_buf_addf(out, "%" PRId32, (int32_t)u32);
    case FLV_WIRE_U64:
        memcpy(&u64, in, sizeof(u64));
        return flv_buf_addf(out, "%" PRIu64, u64);
    default:
        assert(type == FLV_WIRE_I64);
        memcpy(&u64, in, sizeof(u64));
        return flv_buf_addf(out, "%" PRId64, (int64_t)u64);
    }
}

static flv_rc dump_slice(struct flv_buf *out, uint8_t type, const void *in)
{
    struct flv_slice s;

    memcpy(&s, in, sizeof(s));
    if (type == FLV_WIRE_STR) {
        return flv_text_json(out, s);
    }
    return flv_buf_addf(out, "%zu bytes", s.len);
}

static flv_rc dump_one(struct flv_buf *out,
                       uint8_t type,
                       const struct flv_wire_schema *sub,
                       int16_t version,
                       const uint8_t *in)
{
    if (type == FLV_WIRE_STRUCT) {
        return dump_schema(out, sub, version, in);
    }
    if (type >= FLV_WIRE_STR) {
        return dump_slice(out, type, in);
    }
    return dump_scalar(out, type, in);
}

static flv_rc dump_vec(struct flv_buf *out,
                       const struct flv_wire_field *f,
                       int16_t version,
                       const uint8_t *in)
{
    struct vec v;
    size_t size = flv__wire_elem_size(f);
    flv_rc rc;

    memcpy(&v, in, sizeof(v));
    rc = flv_buf_add_u8(out, '[');
    for (uint32_t i = 0; i < v.len && rc == FLV_OK; i++) {
        const uint8_t *elem = (const uint8_t *)v.at + size * i;

        if (i > 0) {
            rc = flv_buf_add_u8(out, ' ');
        }
        if (rc == FLV_OK) {
            rc = dump_one(out, f->elem, f->sub, version, elem);
        }
    }
    return rc == FLV_OK ? flv_buf_add_u8(out, ']') : rc;
}

static flv_rc dump_field(struct flv_buf *out,
                         const struct flv_wire_field *f,
                         int16_t version,
                         const uint8_t *base)
{
    flv_rc rc = flv_buf_addf(out, "%s=", f->name);

    if (rc != FLV_OK) {
        return rc;
    }
    if (f->optional && !*(const bool *)(base + f->has)) {
        return flv_buf_add_str(out, "none");
    }
    if (f->type == FLV_WIRE_VEC || f->type == FLV_WIRE_MAP) {
        return dump_vec(out, f, version, base + f->offset);
    }
    return dump_one(out, f->type, f->sub, version, base + f->offset);
}

static flv_rc dump_fields(struct flv_buf *out,
                          const struct flv_wire_field *fields,
                          size_t n,
                          int16_t version,
                          const uint8_t *base)
{
    flv_rc rc = flv_buf_add_u8(out, '{');
    bool first = true;

    for (size_t i = 0; i < n && rc == FLV_OK; i++) {
        if (version < fields[i].min || version > fields[i].max) {
            continue;
        }
        if (!first) {
            rc = flv_buf_add_u8(out, ' ');
        }
        first = false;
        if (rc == FLV_OK) {
            rc = dump_field(out, &fields[i], version, base);
        }
    }
    return rc == FLV_OK ? flv_buf_add_u8(out, '}') : rc;
}

static flv_rc dump_schema(struct flv_buf *out,
                          const struct flv_wire_schema *schema,
                          int16_t version,
                          const uint8_t *in)
{
    const struct flv_wire_field *fields = schema->fields;
    size_t nfields = schema->nfields;
    const struct flv_wire_case *c;
    flv_rc rc;

    if (schema->tag != FLV_WIRE_TAG_NONE) {
        c = flv__wire_case_of(schema, in);
        if (c == NULL) {
            return flv_buf_add_str(out, "unknown");
        }
        rc = flv_buf_add_str(out, c->name);
        if (rc != FLV_OK || c->nfields == 0) {
            return rc;
        }
        fields = c->fields;
        nfields = c->nfields;
    }
    return dump_fields(out, fields, nfields, version, in);
}

flv_rc flv_wire_dump(const struct flv_wire_schema *schema,
                     int16_t version,
                     const void *msg,
                     struct flv_buf *out)
{
    size_t len = out->len;
    flv_rc rc = flv_buf_add_str(out, schema->name);

    if (rc == FLV_OK) {
        rc = dump_schema(out, schema, version, msg);
    }
    if (rc != FLV_OK) {
        out->len = len;
    }
    return rc;
}
