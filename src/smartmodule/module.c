#include "smartmodule/module.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "smartmodule/cache.h"
#include "smartmodule/imports.h"
#include "smartmodule/module_priv.h"
#include "smartmodule/wasm.h"
#include "wire/compress.h"
#include <assert.h>

_Static_assert(FLV_SM_HASH_SIZE == FLV_SHA256_HEX, "one spelling of a hash");

const char *flv_sm_kind_name(enum flv_sm_kind kind)
{
    static const char *const names[FLV_SM_KIND_COUNT] = {
        [FLV_SM_FILTER] = "filter",         [FLV_SM_MAP] = "map",
        [FLV_SM_FILTER_MAP] = "filter_map", [FLV_SM_ARRAY_MAP] = "array_map",
        [FLV_SM_AGGREGATE] = "aggregate",
    };

    assert(kind < FLV_SM_KIND_COUNT);
    return names[kind];
}

/* --- what a module is --------------------------------------------------- */

/* The plain bytes: the given ones, or unpacked into `b`. */
static flv_rc get_plain(struct flv_slice wasm,
                        struct flv_buf *b,
                        struct flv_slice *out,
                        struct flv_err *err)
{
    bool packed = wasm.len >= 2 && wasm.data[0] == 0x1f && wasm.data[1] == 0x8b;
    struct flv_compressor *z;
    flv_rc rc;

    *out = wasm;
    if (packed) {
        z = flv_compressor_create();
        if (z == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "unpacking a module");
        }
        rc = flv_decompress(z, FLV_CODEC_GZIP, wasm, b, err);
        flv_compressor_destroy(z);
        if (rc == FLV_E_CORRUPT) {
            return flv_fail(err, FLV_E_INVALID,
                            "damaged gzip: the module of "
                            "%zu packed bytes cannot be unpacked",
                            wasm.len);
        }
        if (rc == FLV_E_NOMEM) {
            return rc;
        }
        *out = flv_buf_slice(b);
        wasm.len = rc == FLV_E_LIMIT ? SIZE_MAX : b->len;
    }
    if (wasm.len > FLV_SM_WASM_BYTES_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "module is larger than the ceiling of %zu MiB",
                        FLV_SM_WASM_BYTES_MAX >> 20);
    }
    return FLV_OK;
}

static bool has_entry(const struct flv__wasm *w, const char *name)
{
    struct flv__wasm_export export;

    return flv__wasm_find_export(w, name, FLV__WASM_FUNC, &export) &&
           flv__wasm_func_is(w, export.index, "iii", "i");
}

/* alloc, dealloc and memory as docs/smartmodules-abi.md has them. */
static flv_rc check_frame(const struct flv__wasm *w, struct flv_err *err)
{
    struct flv__wasm_export export;

    if (!flv__wasm_find_export(w, "memory", FLV__WASM_MEMORY, &export)) {
        return flv_fail(err, FLV_E_INVALID,
                        "not a SmartModule: it does not export its memory");
    }
    if (!flv__wasm_find_export(w, "alloc", FLV__WASM_FUNC, &export) ||
        !flv__wasm_func_is(w, export.index, "i", "i")) {
        return flv_fail(err, FLV_E_INVALID,
                        "not a SmartModule: it does not export alloc (len "
                        "i32) -> i32");
    }
    if (flv__wasm_find_export(w, "dealloc", FLV__WASM_FUNC, &export) &&
        !flv__wasm_func_is(w, export.index, "ii", "")) {
        return flv_fail(err, FLV_E_INVALID,
                        "not a SmartModule: its dealloc is not (ptr i32, len "
                        "i32)");
    }
    return FLV_OK;
}

/* kind, has_init and has_look_back of plain bytes. */
static flv_rc examine(struct flv_slice plain,
                      struct flv__wasm *w,
                      struct flv_sm_module_info *out,
                      struct flv_err *err)
{
    struct flv_sm_module_info info = {
        .kind = FLV_SM_KIND_COUNT,
        .wasm_bytes = plain.len,
    };
    flv_rc rc = flv__wasm_open(plain, w, err);

    if (rc != FLV_OK) {
        return rc;
    }
    for (int k = 0; k < FLV_SM_KIND_COUNT; k++) {
        if (has_entry(w, flv_sm_kind_name((enum flv_sm_kind)k))) {
            info.kind = (enum flv_sm_kind)k;
            break;
        }
    }
    if (info.kind == FLV_SM_KIND_COUNT) {
        return flv_fail(err, FLV_E_INVALID,
                        "not a SmartModule: it exports none of filter, map, "
                        "filter_map, array_map and aggregate (i32, i32, i32) "
                        "-> i32");
    }
    info.has_init = has_entry(w, "init");
    info.has_look_back = has_entry(w, "look_back");
    rc = check_frame(w, err);
    rc = rc == FLV_OK ? flv__sm_imports_check(w, err) : rc;
    if (rc == FLV_OK) {
        *out = info;
    }
    return rc;
}

flv_rc flv_sm_inspect(struct flv_slice wasm,
                      struct flv_sm_module_info *out,
                      struct flv_err *err)
{
    struct flv__wasm w;
    struct flv_slice plain;
    struct flv_buf b;
    flv_rc rc;

    flv_buf_init(&b, FLV_SM_WASM_BYTES_MAX);
    rc = get_plain(wasm, &b, &plain, err);
    rc = rc == FLV_OK ? examine(plain, &w, out, err) : rc;
    flv_buf_deinit(&b);
    return rc;
}

/* --- modules ------------------------------------------------------------ */

static flv_rc link_module(struct flv_sm_module *m,
                          const struct flv__wasm *w,
                          struct flv_err *err)
{
    wasmtime_linker_t *linker = flv__wt.wasmtime_linker_new(m->engine->wt);
    flv_rc rc = flv__sm_imports_define(w, linker, err);
    wasmtime_error_t *error;

    if (rc == FLV_OK) {
        error = flv__wt.wasmtime_linker_instantiate_pre(linker, m->wt, &m->pre);
        if (error != NULL) {
            char text[140];

            flv__wt_error_text(error, text, sizeof(text));
            rc = flv_fail(err, FLV_E_INVALID, "cannot link: %s", text);
        }
    }
    flv__wt.wasmtime_linker_delete(linker);
    return rc;
}

static flv_rc make(struct flv_sm_module *m,
                   struct flv_slice wasm,
                   struct flv_buf *b,
                   struct flv_err *err)
{
    struct flv_sm_module_info info;
    struct flv_slice plain;
    struct flv__wasm w;
    flv_rc rc = get_plain(wasm, b, &plain, err);

    rc = rc == FLV_OK ? examine(plain, &w, &info, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    m->kind = info.kind;
    m->has_init = info.has_init;
    m->has_look_back = info.has_look_back;
    m->wasm_bytes = info.wasm_bytes;
    flv_sha256_hex(plain, m->hash);
    rc = flv__sm_compile(m->engine, m->hash, plain, &m->wt, err);
    return rc == FLV_OK ? link_module(m, &w, err) : rc;
}

flv_rc flv_sm_module_create(struct flv_sm_module **out,
                            struct flv_sm_engine *e,
                            const char *name,
                            struct flv_slice wasm,
                            struct flv_err *err)
{
    struct flv_sm_module *m = flv_zalloc(1, sizeof(*m));
    struct flv_buf b;
    flv_rc rc;

    if (m == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "module %s", name);
    }
    atomic_init(&m->refs, 1);
    m->engine = flv__sm_engine_ref(e);
    m->name = flv_strndup(name, strnlen(name, FLV_SM_NAME_MAX));
    flv_buf_init(&b, FLV_SM_WASM_BYTES_MAX);
    rc = m->name != NULL ? make(m, wasm, &b, err)
                         : flv_fail(err, FLV_E_NOMEM, "module %s", name);
    flv_buf_deinit(&b);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "SmartModule %s", name);
        flv_sm_module_unref(m);
        return rc;
    }
    *out = m;
    return FLV_OK;
}

struct flv_sm_module *flv_sm_module_ref(struct flv_sm_module *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void flv_sm_module_unref(struct flv_sm_module *m)
{
    if (m == NULL || atomic_fetch_sub(&m->refs, 1) > 1) {
        return;
    }
    if (m->pre != NULL) {
        flv__wt.wasmtime_instance_pre_delete(m->pre);
    }
    if (m->wt != NULL) {
        flv__wt.wasmtime_module_delete(m->wt);
    }
    flv_sm_engine_destroy(m->engine);
    flv_free(m->name);
    flv_free(m);
}

struct flv_sm_module_info flv_sm_module_info(const struct flv_sm_module *m)
{
    return (struct flv_sm_module_info){
        .name = m->name,
        .hash = m->hash,
        .kind = m->kind,
        .has_init = m->has_init,
        .has_look_back = m->has_look_back,
        .wasm_bytes = m->wasm_bytes,
    };
}
