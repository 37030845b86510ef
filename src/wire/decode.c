#include "wire/codec.h"
#include "base/text.h"
#include "wire/record.h"
#include "wire/tables.h"
#include <assert.h>
#include <stdalign.h>

/* How vectors lie in memory, whatever they hold. */
struct vec {
    void *at;
    uint32_t len;
};

struct decoder {
    struct flv_slice in;
    const char *message;
    struct flv_arena *arena;
    struct flv_err *err;
    int16_t version;
    int depth;
};

static flv_rc decode_schema(struct decoder *d,
                            const struct flv_wire_schema *schema,
                            uint8_t *out);

static bool field_exists(const struct flv_wire_field *f, int16_t version)
{
    return version >= f->min && version <= f->max;
}

static const uint8_t scalar_sizes[] = {
    [FLV_WIRE_BOOL] = 1, [FLV_WIRE_U8] = 1,  [FLV_WIRE_I8] = 1,
    [FLV_WIRE_U16] = 2,  [FLV_WIRE_I16] = 2, [FLV_WIRE_U32] = 4,
    [FLV_WIRE_I32] = 4,  [FLV_WIRE_U64] = 8, [FLV_WIRE_I64] = 8,
};

size_t flv__wire_elem_size(const struct flv_wire_field *f)
{
    if (f->elem == FLV_WIRE_STRUCT) {
        assert(f->sub != NULL);
        return f->sub->size;
    }
    if (f->elem >= FLV_WIRE_STR) {
        return sizeof(struct flv_slice);
    }
    return scalar_sizes[f->elem];
}

static size_t
value_size_min(uint8_t type, const struct flv_wire_schema *sub, int16_t version)
{
    switch (type) {
    case FLV_WIRE_STR:
    case FLV_WIRE_MAP:
        return 2;
    case FLV_WIRE_BYTES:
    case FLV_WIRE_VEC:
        return 4;
    case FLV_WIRE_RDATA:
        return 1;
    case FLV_WIRE_STRUCT:
        return flv_wire_size_min(sub, version);
    default:
        return scalar_sizes[type];
    }
}

static size_t
fields_size_min(const struct flv_wire_field *fields, size_t n, int16_t version)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++) {
        if (!field_exists(&fields[i], version)) {
            continue;
        }
        size += fields[i].optional
                    ? 1
                    : value_size_min(fields[i].type, fields[i].sub, version);
    }
    return size;
}

size_t flv_wire_size_min(const struct flv_wire_schema *schema, int16_t version)
{
    size_t best = SIZE_MAX;

    if (schema->tag == FLV_WIRE_TAG_NONE) {
        return fields_size_min(schema->fields, schema->nfields, version);
    }
    for (size_t i = 0; i < schema->ncases; i++) {
        const struct flv_wire_case *c = &schema->cases[i];
        size_t size = fields_size_min(c->fields, c->nfields, version);

        if (schema->tag == FLV_WIRE_TAG_NAME) {
            size += strlen(c->name);
        }
        best = size < best ? size : best;
    }
    assert(best != SIZE_MAX);
    return best + (schema->tag == FLV_WIRE_TAG_U8 ? 1 : 2);
}

static flv_rc cut_short(struct decoder *d, const char *name, size_t want)
{
    return flv_fail(d->err, FLV_E_PROTOCOL,
                    "%s: field %s needs %zu bytes, but only %zu are left",
                    d->message, name, want, d->in.len);
}

/* The next n bytes, which the caller has asked for by `need`. */
static const uint8_t *take(struct decoder *d, size_t n)
{
    const uint8_t *p = d->in.data;

    assert(n <= d->in.len);
    d->in = flv_slice(p + n, d->in.len - n);
    return p;
}

static flv_rc
decode_scalar(struct decoder *d, const char *name, uint8_t type, void *out)
{
    size_t size = scalar_sizes[type];
    const uint8_t *p;

    if (d->in.len < size) {
        return cut_short(d, name, size);
    }
    p = take(d, size);
    if (type == FLV_WIRE_BOOL) {
        if (*p > 1) {
            return flv_fail(d->err, FLV_E_PROTOCOL,
                            "%s: field %s is %u, but a bool is 0 or 1",
                            d->message, name, *p);
        }
        *(bool *)out = *p == 1;
    } else if (size == 1) {
        memcpy(out, p, 1);
    } else if (size == 2) {
        uint16_t v = flv_get_u16(p);
        memcpy(out, &v, sizeof(v));
    } else if (size == 4) {
        uint32_t v = flv_get_u32(p);
        memcpy(out, &v, sizeof(v));
    } else {
        uint64_t v = flv_get_u64(p);
        memcpy(out, &v, sizeof(v));
    }
    return FLV_OK;
}

static flv_rc
decode_slice(struct decoder *d, const char *name, uint8_t type, void *out)
{
    struct flv_slice s;
    int64_t len;

    if (type == FLV_WIRE_RDATA) {
        size_t n = flv_varint_get(d->in, &len);

        if (n == 0) {
            return cut_short(d, name, 1);
        }
        take(d, n);
    } else {
        size_t n = type == FLV_WIRE_STR ? 2 : 4;
        const uint8_t *p;

        if (d->in.len < n) {
            return cut_short(d, name, n);
        }
        p = take(d, n);
        len = n == 2 ? (int16_t)flv_get_u16(p) : (int32_t)flv_get_u32(p);
    }
    if (len < 0) {
        return flv_fail(d->err, FLV_E_PROTOCOL,
                        "%s: field %s has the negative length %lld", d->message,
                        name, (long long)len);
    }
    if ((uint64_t)len > d->in.len) {
        return cut_short(d, name, (size_t)len);
    }
    s = flv_slice(take(d, (size_t)len), (size_t)len);
    if (type == FLV_WIRE_STR && !flv_text_is_utf8(s)) {
        return flv_fail(d->err, FLV_E_PROTOCOL, "%s: field %s is not UTF-8",
                        d->message, name);
    }
    memcpy(out, &s, sizeof(s));
    return FLV_OK;
}

static flv_rc
decode_count(struct decoder *d, const struct flv_wire_field *f, uint32_t *count)
{
    size_t width = f->type == FLV_WIRE_MAP ? 2 : 4;
    size_t elem_min;
    const uint8_t *p;
    uint32_t n;

    if (d->in.len < width) {
        return cut_short(d, f->name, width);
    }
    p = take(d, width);
    n = width == 2 ? flv_get_u16(p) : flv_get_u32(p);
    *count = n;
    if (n <= 1) {
        return FLV_OK; /* takes no memory to speak of: its end shows itself */
    }
    elem_min = value_size_min(f->elem, f->sub, d->version);
    assert(elem_min > 0);
    if (n > d->in.len / elem_min) {
        return flv_fail(d->err, FLV_E_PROTOCOL,
                        "%s: field %s counts %u elements of at least %zu "
                        "bytes, but only %zu bytes are left",
                        d->message, f->name, n, elem_min, d->in.len);
    }
    return FLV_OK;
}

static flv_rc
decode_vec(struct decoder *d, const struct flv_wire_field *f, void *out)
{
    struct vec v = {0};
    size_t size = flv__wire_elem_size(f);
    flv_rc rc = decode_count(d, f, &v.len);

    if (rc != FLV_OK) {
        return rc;
    }
    if (v.len > 0) {
        v.at = flv_arena_zalloc(d->arena, v.len, size, alignof(max_align_t));
        if (v.at == NULL) {
            return flv_fail(
                d->err, flv_arena_full(d->arena) ? FLV_E_LIMIT : FLV_E_NOMEM,
                "%s: no room for %u elements of field %s", d->message, v.len,
                f->name);
        }
    }
    for (uint32_t i = 0; i < v.len && rc == FLV_OK; i++) {
        uint8_t *elem = (uint8_t *)v.at + size * i;

        if (f->elem == FLV_WIRE_STRUCT) {
            rc = decode_schema(d, f->sub, elem);
        } else if (f->elem >= FLV_WIRE_STR) {
            rc = decode_slice(d, f->name, f->elem, elem);
        } else {
            rc = decode_scalar(d, f->name, f->elem, elem);
        }
    }
    if (rc == FLV_OK) {
        memcpy(out, &v, sizeof(v));
    }
    return rc;
}

static flv_rc
decode_field(struct decoder *d, const struct flv_wire_field *f, uint8_t *base)
{
    uint8_t *out = base + f->offset;

    if (f->optional) {
        bool *has = (bool *)(base + f->has);
        flv_rc rc = decode_scalar(d, f->name, FLV_WIRE_BOOL, has);

        if (rc != FLV_OK || !*has) {
            return rc;
        }
    }
    switch (f->type) {
    case FLV_WIRE_STRUCT:
        return decode_schema(d, f->sub, out);
    case FLV_WIRE_VEC:
    case FLV_WIRE_MAP:
        return decode_vec(d, f, out);
    case FLV_WIRE_STR:
    case FLV_WIRE_BYTES:
    case FLV_WIRE_RDATA:
        return decode_slice(d, f->name, f->type, out);
    default:
        return decode_scalar(d, f->name, f->type, out);
    }
}

static flv_rc decode_fields(struct decoder *d,
                            const struct flv_wire_field *fields,
                            size_t n,
                            uint8_t *base)
{
    for (size_t i = 0; i < n; i++) {
        if (field_exists(&fields[i], d->version)) {
            flv_rc rc = decode_field(d, &fields[i], base);

            if (rc != FLV_OK) {
                return rc;
            }
        }
    }
    return FLV_OK;
}

static flv_rc decode_tag(struct decoder *d,
                         const struct flv_wire_schema *schema,
                         const struct flv_wire_case **out)
{
    struct flv_slice name = {0};
    int tag = 0;
    flv_rc rc;

    if (schema->tag == FLV_WIRE_TAG_NAME) {
        rc = decode_slice(d, schema->name, FLV_WIRE_STR, &name);
    } else if (schema->tag == FLV_WIRE_TAG_U8) {
        uint8_t v = 0;
        rc = decode_scalar(d, schema->name, FLV_WIRE_U8, &v);
        tag = v;
    } else {
        int16_t v = 0;
        rc = decode_scalar(d, schema->name, FLV_WIRE_I16, &v);
        tag = v;
    }
    if (rc != FLV_OK) {
        return rc;
    }
    for (size_t i = 0; i < schema->ncases; i++) {
        const struct flv_wire_case *c = &schema->cases[i];

        if (schema->tag == FLV_WIRE_TAG_NAME ? flv_slice_eq_str(name, c->name)
                                             : tag == c->tag) {
            *out = c;
            return FLV_OK;
        }
    }
    return flv_fail(d->err, FLV_E_PROTOCOL, "%s: %s has the unknown tag %d",
                    d->message, schema->name, tag);
}

static flv_rc decode_schema(struct decoder *d,
                            const struct flv_wire_schema *schema,
                            uint8_t *out)
{
    const struct flv_wire_case *c = NULL;
    flv_rc rc;

    assert(schema != NULL);
    assert(d->depth < FLV_WIRE_DEPTH_MAX);
    if (schema->tag == FLV_WIRE_TAG_NONE) {
        d->depth++;
        rc = decode_fields(d, schema->fields, schema->nfields, out);
        d->depth--;
        return rc;
    }
    rc = decode_tag(d, schema, &c);
    if (rc != FLV_OK) {
        return rc;
    }
    if (schema->tag == FLV_WIRE_TAG_I16) {
        memcpy(out, &c->tag, sizeof(c->tag));
    } else {
        *out = (uint8_t)c->tag;
    }
    d->depth++;
    rc = decode_fields(d, c->fields, c->nfields, out);
    d->depth--;
    return rc;
}

flv_rc flv_wire_decode(const struct flv_wire_schema *schema,
                       int16_t version,
                       struct flv_slice *in,
                       struct flv_arena *arena,
                       void *out,
                       struct flv_err *err)
{
    struct decoder d = {
        .in = *in,
        .message = schema->name,
        .arena = arena,
        .err = err,
        .version = version,
    };
    uint8_t *draft;
    flv_rc rc;

    assert(schema->size > 0);
    /* A draft keeps *out untouched until all is known to be well. */
    draft = flv_arena_zalloc(arena, 1, schema->size, alignof(max_align_t));
    if (draft == NULL) {
        return flv_fail(err, flv_arena_full(arena) ? FLV_E_LIMIT : FLV_E_NOMEM,
                        "%s: no room for %zu bytes", schema->name,
                        schema->size);
    }
    rc = decode_schema(&d, schema, draft);
    if (rc == FLV_OK) {
        memcpy(out, draft, schema->size);
        *in = d.in;
    }
    return rc;
}
