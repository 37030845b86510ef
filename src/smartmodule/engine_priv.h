/*
 * engine_priv.h - what modules and instances ask of the engine.
 *
 * Purpose    The engine behind engine.h: its handle, the watch over calls,
 *            the folder of compiled modules.
 * Threads    Any.
 */
#ifndef FLV_SMARTMODULE_ENGINE_PRIV_H
#define FLV_SMARTMODULE_ENGINE_PRIV_H

#include "smartmodule/api.h"
#include "smartmodule/engine.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct flv_sm_engine {
    atomic_size_t refs;
    wasm_engine_t *wt; /* owned */
    char *cache_dir;   /* owned; NULL: nothing is kept */
    /* The ticker: advances the epoch while calls are active. */
    pthread_t ticker;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop; /* under lock */
    atomic_bool asleep;
    atomic_size_t active;
};

#define FLV__SM_TICK_MS 1

struct flv_sm_engine *flv__sm_engine_ref(struct flv_sm_engine *e);
/* Around every call into a module: epochs advance in between. */
void flv__sm_engine_enter(struct flv_sm_engine *e);
void flv__sm_engine_leave(struct flv_sm_engine *e);

/* The ceiling for memories of the instance that this thread makes next, and
 * where to note that one was refused. The note has to outlive the store. */
struct flv__sm_memory_limit {
    size_t bytes_max;
    size_t wanted;    /* of the last growth that was refused */
    bool denied;      /* a growth beyond bytes_max */
    bool host_failed; /* one that the host could not give */
};
void flv__sm_memory_limit_set(struct flv__sm_memory_limit *limit);
/* For the engine's settings. */
void flv__sm_memory_setup(wasm_config_t *config);

#endif
