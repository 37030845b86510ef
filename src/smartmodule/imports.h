/*
 * imports.h - what a module may ask of its host.
 *
 * Purpose    copy_records, under any module name, and WASI preview 1 with
 *            answers that give nothing away: no files, no network, no
 *            environment, no arguments. Everything else is refused by name.
 * Threads    The linker's definitions have no state of their own.
 * Errors     FLV_E_INVALID with the names that nobody provides.
 * See        docs/smartmodules-abi.md (Imports)
 */
#ifndef FLV_SMARTMODULE_IMPORTS_H
#define FLV_SMARTMODULE_IMPORTS_H

#include "smartmodule/api.h"
#include "smartmodule/wasm.h"

/* Every import is one of ours, with our signature, and copy_records is among
 * them. Needs no engine. */
FLV_CHECKED flv_rc flv__sm_imports_check(const struct flv__wasm *w,
                                         struct flv_err *err);
/* After the check: defines what the module imports. */
FLV_CHECKED flv_rc flv__sm_imports_define(const struct flv__wasm *w,
                                          wasmtime_linker_t *linker,
                                          struct flv_err *err);

#endif
