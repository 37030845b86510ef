#include "smartmodule/engine_priv.h"

#include "base/mem.h"
#include "smartmodule/cache.h"
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- the ticker ---------------------------------------------------------
 *
 * Sleeps while no call is active. A call that begins wakes it only when it
 * sleeps, so that many short calls cost it nothing but its own ticks. */

static void *tick(void *arg)
{
    const struct timespec pause = {.tv_nsec = FLV__SM_TICK_MS * 1000000L};
    struct flv_sm_engine *e = arg;

    pthread_mutex_lock(&e->lock);
    while (!e->stop) {
        atomic_store(&e->asleep, true);
        if (atomic_load(&e->active) == 0) {
            pthread_cond_wait(&e->wake, &e->lock);
            continue;
        }
        atomic_store(&e->asleep, false);
        pthread_mutex_unlock(&e->lock);
        nanosleep(&pause, NULL);
        flv__wt.wasmtime_engine_increment_epoch(e->wt);
        pthread_mutex_lock(&e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

void flv__sm_engine_enter(struct flv_sm_engine *e)
{
    atomic_fetch_add(&e->active, 1);
    if (atomic_load(&e->asleep)) {
        pthread_mutex_lock(&e->lock);
        pthread_cond_signal(&e->wake);
        pthread_mutex_unlock(&e->lock);
    }
}

void flv__sm_engine_leave(struct flv_sm_engine *e)
{
    size_t before = atomic_fetch_sub(&e->active, 1);

    assert(before > 0);
    (void)before;
}

/* Signals of the process are not for this thread. */
static int start_ticker(struct flv_sm_engine *e)
{
    sigset_t all, old;
    pthread_attr_t attr;
    int rc;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)256 * 1024);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&e->ticker, &attr, tick, e);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0) {
        pthread_setname_np(e->ticker, "sm-ticker");
    }
    return rc;
}

/* --- settings ----------------------------------------------------------- */

/* Whoever changes what compiled code depends on counts SETTINGS in cache.c up,
 * too. */
static wasm_config_t *make_config(void)
{
    wasm_config_t *c = flv__wt.wasm_config_new();

    flv__wt.wasmtime_config_consume_fuel_set(c, true);
    flv__wt.wasmtime_config_epoch_interruption_set(c, true);
    flv__wt.wasmtime_config_max_wasm_stack_set(c, FLV_SM_STACK_BYTES);
    flv__wt.wasmtime_config_cranelift_opt_level_set(c,
                                                    WASMTIME_OPT_LEVEL_SPEED);
    /* Threads of the compiler would stay for good. */
    flv__wt.wasmtime_config_parallel_compilation_set(c, false);
    flv__wt.wasmtime_config_native_unwind_info_set(c, false);
    /* What no SmartModule needs is no door: one memory of 32 bits, no
     * collector, no shared memory. */
    flv__wt.wasmtime_config_wasm_threads_set(c, false);
    flv__wt.wasmtime_config_shared_memory_set(c, false);
    flv__wt.wasmtime_config_wasm_memory64_set(c, false);
    flv__wt.wasmtime_config_wasm_multi_memory_set(c, false);
    flv__wt.wasmtime_config_wasm_gc_set(c, false);
    flv__wt.wasmtime_config_wasm_function_references_set(c, false);
    flv__wt.wasmtime_config_wasm_exceptions_set(c, false);
    flv__wt.wasmtime_config_gc_support_set(c, false);
    /* Images of data go with the engine's own memories only. */
    flv__wt.wasmtime_config_memory_init_cow_set(c, false);
    flv__sm_memory_setup(c);
    return c;
}

/* --- life --------------------------------------------------------------- */

/* The library says its version only in what it compiles: the length and
 * digits of its major number, near the beginning. Structs of the C API change
 * with that number. */
static flv_rc check_version(struct flv_sm_engine *e, struct flv_err *err)
{
    static const uint8_t empty[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    wasmtime_module_t *m;
    wasm_byte_vec_t code;
    char major[16];
    bool same = false;
    wasmtime_error_t *error =
        flv__wt.wasmtime_module_new(e->wt, empty, sizeof(empty), &m);

    snprintf(major, sizeof(major), "%c%d", WASMTIME_VERSION_MAJOR < 100 ? 2 : 3,
             WASMTIME_VERSION_MAJOR);
    if (error == NULL) {
        error = flv__wt.wasmtime_module_serialize(m, &code);
        flv__wt.wasmtime_module_delete(m);
    }
    if (error == NULL) {
        size_t head = code.size < 256 ? code.size : 256;

        same = memmem(code.data, head, major, strlen(major)) != NULL;
        flv__wt.wasm_byte_vec_delete(&code);
    } else {
        flv__wt.wasmtime_error_delete(error);
    }
    return same ? FLV_OK
                : flv_fail(err, FLV_E_UNSUPPORTED,
                           "the WebAssembly engine that was loaded is not "
                           "Wasmtime %d; install %s or set WASMTIME_LIB",
                           WASMTIME_VERSION_MAJOR, WASMTIME_VERSION);
}

static void free_engine(struct flv_sm_engine *e)
{
    if (e->wt != NULL) {
        flv__wt.wasm_engine_delete(e->wt);
    }
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->lock);
    flv_free(e->cache_dir);
    flv_free(e);
}

flv_rc flv_sm_engine_create(struct flv_sm_engine **out,
                            const struct flv_sm_engine_conf *conf,
                            struct flv_err *err)
{
    struct flv_sm_engine *e;
    flv_rc rc = flv__wt_load(conf->library, err);
    int sys;

    if (rc == FLV_OK && conf->cache_dir != NULL) {
        rc = flv__sm_cache_open(conf->cache_dir, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    e = flv_zalloc(1, sizeof(*e));
    if (e == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "engine of SmartModules");
    }
    atomic_init(&e->refs, 1);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->wake, NULL);
    e->wt = flv__wt.wasm_engine_new_with_config(make_config());
    if (conf->cache_dir != NULL) {
        e->cache_dir = flv_strdup(conf->cache_dir);
    }
    if (e->wt == NULL || (conf->cache_dir != NULL && e->cache_dir == NULL)) {
        free_engine(e);
        return flv_fail(err, FLV_E_NOMEM, "engine of SmartModules");
    }
    rc = check_version(e, err);
    if (rc != FLV_OK) {
        free_engine(e);
        return rc;
    }
    sys = start_ticker(e);
    if (sys != 0) {
        free_engine(e);
        return flv_fail_sys(err, FLV_E_NOMEM, sys,
                            "thread that watches SmartModules");
    }
    *out = e;
    return FLV_OK;
}

struct flv_sm_engine *flv__sm_engine_ref(struct flv_sm_engine *e)
{
    atomic_fetch_add(&e->refs, 1);
    return e;
}

void flv_sm_engine_destroy(struct flv_sm_engine *e)
{
    if (e == NULL || atomic_fetch_sub(&e->refs, 1) > 1) {
        return;
    }
    assert(atomic_load(&e->active) == 0);
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->ticker, NULL);
    free_engine(e);
}

const char *flv_sm_engine_version(const struct flv_sm_engine *e)
{
    (void)e;
    return WASMTIME_VERSION;
}
