/*
 * module_priv.h - a compiled module as instances need it.
 *
 * Purpose    The struct behind module.h.
 * Threads    Constant once made.
 */
#ifndef FLV_SMARTMODULE_MODULE_PRIV_H
#define FLV_SMARTMODULE_MODULE_PRIV_H

#include "smartmodule/engine_priv.h"
#include "smartmodule/module.h"

struct flv_sm_module {
    atomic_size_t refs;
    struct flv_sm_engine *engine; /* a reference */
    wasmtime_module_t *wt;        /* owned */
    wasmtime_instance_pre_t *pre; /* owned: imports are resolved */
    char *name;                   /* owned */
    char hash[FLV_SM_HASH_SIZE];
    enum flv_sm_kind kind;
    bool has_init, has_look_back;
    size_t wasm_bytes;
};

#endif
