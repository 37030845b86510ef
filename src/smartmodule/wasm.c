#include "smartmodule/wasm.h"

#include "base/bytes.h"

enum section {
    SECTION_TYPE = 1,
    SECTION_IMPORT = 2,
    SECTION_FUNCTION = 3,
    SECTION_EXPORT = 7,
};

#define FUNC_TYPE 0x60
#define TYPE_I32 0x7f
#define TYPE_I64 0x7e

/* A reader that only remembers that something was wrong. */
static bool take(struct flv_slice *in, size_t n, struct flv_slice *out)
{
    if (n > in->len) {
        return false;
    }
    *out = flv_slice(in->data, n);
    *in = flv_slice(in->data + n, in->len - n);
    return true;
}

static bool get_byte(struct flv_slice *in, uint8_t *v)
{
    struct flv_slice b;

    if (!take(in, 1, &b)) {
        return false;
    }
    *v = b.data[0];
    return true;
}

/* LEB128 of at most `bits` bits. */
static bool get_leb(struct flv_slice *in, unsigned bits, uint64_t *v)
{
    uint64_t sum = 0;
    uint8_t b;

    for (unsigned shift = 0; shift < bits; shift += 7) {
        if (!get_byte(in, &b)) {
            return false;
        }
        sum |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *v = sum;
            return bits == 64 || sum >> bits == 0;
        }
    }
    return false;
}

static bool get_u32(struct flv_slice *in, uint32_t *v)
{
    uint64_t wide;

    if (!get_leb(in, 32, &wide)) {
        return false;
    }
    *v = (uint32_t)wide;
    return true;
}

static bool get_name(struct flv_slice *in, struct flv_slice *out)
{
    uint32_t len;

    return get_u32(in, &len) && take(in, len, out);
}

static bool skip_limits(struct flv_slice *in)
{
    uint64_t v;
    uint8_t flags;

    /* bit 0: has a maximum, 1: shared, 2: 64 bits, 3: page size */
    return get_byte(in, &flags) && flags < 16 && get_leb(in, 64, &v) &&
           ((flags & 1) == 0 || get_leb(in, 64, &v)) &&
           ((flags & 8) == 0 || get_leb(in, 32, &v));
}

/* Types of one byte only: longer ones come with proposals that the engine is
 * told to refuse. */
static bool skip_value_type(struct flv_slice *in)
{
    uint8_t b;

    return get_byte(in, &b) && b != 0x63 && b != 0x64;
}

static bool get_import(struct flv_slice *in, struct flv__wasm_import *out)
{
    uint8_t item, b;

    if (!get_name(in, &out->module) || !get_name(in, &out->name) ||
        !get_byte(in, &item)) {
        return false;
    }
    out->item = (enum flv__wasm_item)item;
    out->type = 0;
    switch (item) {
    case FLV__WASM_FUNC:
        return get_u32(in, &out->type);
    case FLV__WASM_TABLE:
        return skip_value_type(in) && skip_limits(in);
    case FLV__WASM_MEMORY:
        return skip_limits(in);
    case FLV__WASM_GLOBAL:
        return skip_value_type(in) && get_byte(in, &b);
    case FLV__WASM_TAG:
        return get_byte(in, &b) && get_u32(in, &out->type);
    default:
        return false;
    }
}

static bool get_export(struct flv_slice *in, struct flv__wasm_export *out)
{
    uint8_t item;

    if (!get_name(in, &out->name) || !get_byte(in, &item) ||
        item >= FLV__WASM_ITEM_COUNT) {
        return false;
    }
    out->item = (enum flv__wasm_item)item;
    return get_u32(in, &out->index);
}

bool flv__wasm_next_import(struct flv__wasm_vec *v,
                           struct flv__wasm_import *out)
{
    if (v->count == 0 || !get_import(&v->items, out)) {
        return false;
    }
    v->count--;
    return true;
}

bool flv__wasm_next_export(struct flv__wasm_vec *v,
                           struct flv__wasm_export *out)
{
    if (v->count == 0 || !get_export(&v->items, out)) {
        return false;
    }
    v->count--;
    return true;
}

/* The walks that later ones rely on. */
static flv_rc check(struct flv__wasm *w, struct flv_err *err)
{
    struct flv__wasm_vec imports = w->imports, exports = w->exports;
    struct flv__wasm_import import;
    struct flv__wasm_export export;

    if (w->imports.count > FLV_SM_IMPORTS_MAX ||
        w->types.count > FLV_SM_TYPES_MAX) {
        return flv_fail(err, FLV_E_INVALID,
                        "module has %u imports and %u types, at most %u and "
                        "%u are taken",
                        w->imports.count, w->types.count, FLV_SM_IMPORTS_MAX,
                        FLV_SM_TYPES_MAX);
    }
    while (flv__wasm_next_import(&imports, &import)) {
        w->imported_funcs += import.item == FLV__WASM_FUNC;
    }
    while (flv__wasm_next_export(&exports, &export)) {
    }
    if (imports.count > 0 || exports.count > 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "damaged WebAssembly: its %s cannot be read",
                        imports.count > 0 ? "imports" : "exports");
    }
    return FLV_OK;
}

static struct flv__wasm_vec *vec_of(struct flv__wasm *w, uint8_t id)
{
    switch (id) {
    case SECTION_TYPE:
        return &w->types;
    case SECTION_IMPORT:
        return &w->imports;
    case SECTION_FUNCTION:
        return &w->funcs;
    case SECTION_EXPORT:
        return &w->exports;
    default:
        return NULL;
    }
}

static flv_rc check_magic(struct flv_slice bytes, struct flv_err *err)
{
    static const uint8_t magic[] = {0, 'a', 's', 'm'};

    if (bytes.len < 8 || memcmp(bytes.data, magic, sizeof(magic)) != 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "not WebAssembly: %zu bytes that do not begin with "
                        "\\0asm (text format has to be assembled first)",
                        bytes.len);
    }
    if (bytes.data[4] != 1 || bytes.data[5] != 0 || bytes.data[6] != 0 ||
        bytes.data[7] != 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "WebAssembly %s is not supported; build a module of "
                        "version 1 (target wasm32-unknown-unknown)",
                        bytes.data[6] == 1 ? "component" : "version");
    }
    return FLV_OK;
}

flv_rc flv__wasm_open(struct flv_slice bytes,
                      struct flv__wasm *out,
                      struct flv_err *err)
{
    struct flv__wasm w = {0};
    struct flv_slice rest, body;
    flv_rc rc = check_magic(bytes, err);

    if (rc != FLV_OK) {
        return rc;
    }
    rest = flv_slice(bytes.data + 8, bytes.len - 8);
    while (rest.len > 0) {
        size_t pos = (size_t)(rest.data - bytes.data);
        struct flv__wasm_vec *v;
        uint32_t len;
        uint8_t id;

        if (!get_byte(&rest, &id) || !get_u32(&rest, &len) ||
            !take(&rest, len, &body)) {
            return flv_fail(err, FLV_E_INVALID,
                            "damaged WebAssembly: the section at byte %zu "
                            "passes the end of the module",
                            pos);
        }
        v = vec_of(&w, id);
        if (v == NULL) {
            continue;
        }
        if (v->items.data != NULL || !get_u32(&body, &v->count)) {
            return flv_fail(err, FLV_E_INVALID,
                            "damaged WebAssembly: section %u at byte %zu is "
                            "there twice or empty",
                            id, pos);
        }
        v->items = body;
    }
    rc = check(&w, err);
    if (rc == FLV_OK) {
        *out = w;
    }
    return rc;
}

bool flv__wasm_find_export(const struct flv__wasm *w,
                           const char *name,
                           enum flv__wasm_item item,
                           struct flv__wasm_export *out)
{
    struct flv__wasm_vec v = w->exports;

    while (flv__wasm_next_export(&v, out)) {
        if (out->item == item && flv_slice_eq_str(out->name, name)) {
            return true;
        }
    }
    return false;
}

/* One function type; the value types are slices of one byte each. */
static bool get_type(struct flv_slice *in,
                     struct flv_slice *params,
                     struct flv_slice *results)
{
    uint8_t form;
    uint32_t n;

    return get_byte(in, &form) && form == FUNC_TYPE && get_u32(in, &n) &&
           take(in, n, params) && get_u32(in, &n) && take(in, n, results);
}

static bool types_are(struct flv_slice types, const char *letters)
{
    size_t n = strlen(letters);

    if (types.len != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (types.data[i] != (letters[i] == 'I' ? TYPE_I64 : TYPE_I32)) {
            return false;
        }
    }
    return true;
}

bool flv__wasm_type_is(const struct flv__wasm *w,
                       uint32_t type,
                       const char *params,
                       const char *results)
{
    struct flv_slice rest = w->types.items, p, r;

    if (type >= w->types.count) {
        return false;
    }
    for (uint32_t i = 0; i <= type; i++) {
        if (!get_type(&rest, &p, &r)) {
            return false;
        }
    }
    return types_are(p, params) && types_are(r, results);
}

bool flv__wasm_func_is(const struct flv__wasm *w,
                       uint32_t index,
                       const char *params,
                       const char *results)
{
    struct flv__wasm_vec imports = w->imports;
    struct flv_slice rest = w->funcs.items;
    struct flv__wasm_import import;
    uint32_t type = UINT32_MAX;

    while (flv__wasm_next_import(&imports, &import)) {
        if (import.item != FLV__WASM_FUNC) {
            continue;
        }
        if (index == 0) {
            return flv__wasm_type_is(w, import.type, params, results);
        }
        index--;
    }
    if (index >= w->funcs.count) {
        return false;
    }
    for (uint32_t i = 0; i <= index; i++) {
        if (!get_u32(&rest, &type)) {
            return false;
        }
    }
    return flv__wasm_type_is(w, type, params, results);
}
