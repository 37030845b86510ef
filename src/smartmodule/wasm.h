/*
 * wasm.h - the outside of a WebAssembly module: imports, exports, signatures.
 *
 * Purpose    Enough of the binary format to say whether a module can be a
 *            SmartModule and what it asks for, without an engine. The engine
 *            validates the rest before anything runs.
 * Threads    Pure.
 * Ownership  Everything borrows from the bytes. Nothing is allocated: tables
 *            are walked where they lie.
 * Errors     FLV_E_INVALID: no module, or a damaged one.
 * See        tests/fuzz/fuzz_wasm.c
 */
#ifndef FLV_SMARTMODULE_WASM_H
#define FLV_SMARTMODULE_WASM_H

#include <fluvio/err.h>
#include <fluvio/slice.h>
#include <stdbool.h>
#include <stdint.h>

/* More than any SmartModule has; walking stays cheap. */
#define FLV_SM_IMPORTS_MAX 256
#define FLV_SM_TYPES_MAX 65536

enum flv__wasm_item {
    FLV__WASM_FUNC,
    FLV__WASM_TABLE,
    FLV__WASM_MEMORY,
    FLV__WASM_GLOBAL,
    FLV__WASM_TAG,
    FLV__WASM_ITEM_COUNT,
};

struct flv__wasm_vec {
    uint32_t count;
    struct flv_slice items;
};

struct flv__wasm {
    struct flv__wasm_vec types, imports, funcs, exports;
    uint32_t imported_funcs;
};

struct flv__wasm_import {
    struct flv_slice module, name;
    enum flv__wasm_item item;
    uint32_t type; /* FUNC: index of its type */
};

struct flv__wasm_export {
    struct flv_slice name;
    enum flv__wasm_item item;
    uint32_t index;
};

/* Finds the sections and walks imports and exports once, so that the walks
 * below cannot fail. */
FLV_CHECKED flv_rc flv__wasm_open(struct flv_slice bytes,
                                  struct flv__wasm *out,
                                  struct flv_err *err);
/* The next of a copy of `imports` or `exports`; false at the end. */
bool flv__wasm_next_import(struct flv__wasm_vec *v,
                           struct flv__wasm_import *out);
bool flv__wasm_next_export(struct flv__wasm_vec *v,
                           struct flv__wasm_export *out);
bool flv__wasm_find_export(const struct flv__wasm *w,
                           const char *name,
                           enum flv__wasm_item item,
                           struct flv__wasm_export *out);
/* Has type number `type` these parameters and results? One letter each: 'i'
 * is i32, 'I' is i64. */
bool flv__wasm_type_is(const struct flv__wasm *w,
                       uint32_t type,
                       const char *params,
                       const char *results);
/* The same of function number `index`, imported or not. */
bool flv__wasm_func_is(const struct flv__wasm *w,
                       uint32_t index,
                       const char *params,
                       const char *results);

#endif
