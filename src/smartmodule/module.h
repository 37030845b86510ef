/*
 * module.h - one compiled SmartModule.
 *
 * Purpose    Takes the bytes of a .wasm file, raw or gzip, checks that it is
 *            a SmartModule (docs/smartmodules.md: exports, imports), compiles
 *            it or takes the compiled form from the engine's folder.
 * Threads    Creating blocks (0.5 s when nothing is kept): a pool thread. A
 *            module never changes and is shared by all threads.
 * Ownership  Counted; holds its engine. The bytes are borrowed for the call.
 * Errors     FLV_E_INVALID with the reason: no WebAssembly, no known entry,
 *            imports that nobody provides (by name), damaged gzip;
 *            FLV_E_LIMIT: larger than FLV_SM_WASM_BYTES_MAX.
 */
#ifndef FLV_SMARTMODULE_MODULE_H
#define FLV_SMARTMODULE_MODULE_H

#include "smartmodule/engine.h"

#include <fluvio/slice.h>
#include <stdbool.h>

#define FLV_SM_WASM_BYTES_MAX ((size_t)32 * 1024 * 1024) /* plain */
#define FLV_SM_NAME_MAX 255
#define FLV_SM_HASH_SIZE 65 /* SHA-256 of the plain bytes, hex, and NUL */

/* In the order in which entries are looked for. */
enum flv_sm_kind {
    FLV_SM_FILTER,
    FLV_SM_MAP,
    FLV_SM_FILTER_MAP,
    FLV_SM_ARRAY_MAP,
    FLV_SM_AGGREGATE,
    FLV_SM_KIND_COUNT,
};

struct flv_sm_module;

struct flv_sm_module_info {
    const char *name; /* what people call it: a path, a name; borrowed */
    const char *hash; /* FLV_SM_HASH_SIZE; borrowed */
    enum flv_sm_kind kind;
    bool has_init, has_look_back;
    size_t wasm_bytes; /* plain */
};

FLV_CHECKED flv_rc flv_sm_module_create(struct flv_sm_module **out,
                                        struct flv_sm_engine *e,
                                        const char *name,
                                        struct flv_slice wasm,
                                        struct flv_err *err);
struct flv_sm_module *flv_sm_module_ref(struct flv_sm_module *m);
void flv_sm_module_unref(struct flv_sm_module *m); /* NULL is allowed */
struct flv_sm_module_info flv_sm_module_info(const struct flv_sm_module *m);

/* "filter", "map", "filter_map", "array_map", "aggregate" */
const char *flv_sm_kind_name(enum flv_sm_kind kind);

/* Without any engine: is this a SmartModule, by its exports and imports? For
 * those who only store it. Raw or gzip; name and hash stay NULL. */
FLV_CHECKED flv_rc flv_sm_inspect(struct flv_slice wasm,
                                  struct flv_sm_module_info *out,
                                  struct flv_err *err);

#endif
