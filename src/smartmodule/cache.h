/*
 * cache.h - the folder of compiled modules.
 *
 * Purpose    Keeps the machine code of a module by the hash of its bytes, so
 *            that it is compiled once and mapped from then on. The engine
 *            trusts what it loads; so every file ends with a checksum and is
 *            used only if it is this user's and nobody else may write it.
 * Threads    Any thread and any process: files come by rename.
 * Errors     A folder that does not work costs time, never the module: only
 *            compiling itself can fail.
 * See        docs/smartmodules-abi.md (Compiled modules)
 */
#ifndef FLV_SMARTMODULE_CACHE_H
#define FLV_SMARTMODULE_CACHE_H

#include "smartmodule/engine_priv.h"

#include <fluvio/slice.h>

/* Past this the files that were not used for the longest time go. */
#define FLV__SM_CACHE_BYTES_MAX ((uint64_t)256 << 20)

/* Makes the folder (and what is above it) when it is missing. */
FLV_CHECKED flv_rc flv__sm_cache_open(const char *dir, struct flv_err *err);

/* The compiled form of plain bytes with this hash: out of the engine's
 * folder, or compiled now and put there. FLV_E_INVALID: does not compile. */
FLV_CHECKED flv_rc flv__sm_compile(struct flv_sm_engine *e,
                                   const char *hash,
                                   struct flv_slice plain,
                                   wasmtime_module_t **out,
                                   struct flv_err *err);

/* Removes the oldest files of `dir` until `bytes_max` are left. */
void flv__sm_cache_trim(const char *dir, uint64_t bytes_max);

#endif
