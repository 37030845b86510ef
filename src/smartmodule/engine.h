/*
 * engine.h - the WebAssembly engine, loaded when the first module is used.
 *
 * Purpose    One engine per process: settings, the ticker that ends calls
 *            which take too long, and the folder of compiled modules. The
 *            engine is Wasmtime's C API, found at run time: a program that
 *            uses no module never loads it and runs without it.
 * Threads    Everything here may be called from any thread; creating blocks
 *            (33 ms), so a pool thread. The ticker is a thread of its own
 *            that only runs while modules run.
 * Ownership  An engine is counted: modules hold it.
 * Errors     FLV_E_UNSUPPORTED when the library cannot be found or is of
 *            another version; the sentence says where it was looked for and
 *            how to have it.
 * See        docs/smartmodules-abi.md, docs/architecture.md (Dependencies)
 */
#ifndef FLV_SMARTMODULE_ENGINE_H
#define FLV_SMARTMODULE_ENGINE_H

#include <fluvio/err.h>
#include <stddef.h>
#include <stdint.h>

struct flv_sm_engine;

/* The deepest stack of a module. Threads that run modules need
 * FLV_SM_THREAD_STACK_BYTES (struct flv_pool_conf.stack_bytes). */
#define FLV_SM_STACK_BYTES ((size_t)512 * 1024)
#define FLV_SM_THREAD_STACK_BYTES ((size_t)4 * 1024 * 1024)

struct flv_sm_engine_conf {
    /* Where compiled modules are kept, made (0700) when missing; NULL: they
     * are not kept. A file there is used only if it is this user's and nobody
     * else may write it: it is machine code. */
    const char *cache_dir;
    /* The shared library; NULL: WASMTIME_LIB, then the one installed with the
     * program (../lib/fluvio-c/), then the system's search path. */
    const char *library;
};

FLV_CHECKED flv_rc flv_sm_engine_create(struct flv_sm_engine **out,
                                        const struct flv_sm_engine_conf *conf,
                                        struct flv_err *err);
/* Gives the caller's reference back; NULL is allowed. */
void flv_sm_engine_destroy(struct flv_sm_engine *e);

/* "50.0.1" */
const char *flv_sm_engine_version(const struct flv_sm_engine *e);

#endif
