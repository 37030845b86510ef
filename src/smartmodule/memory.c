/* Guest memories: mapped by ourselves, so that a growth which the budget
 * refuses is known as such and not only as the trap that follows it. */
#include "smartmodule/engine_priv.h"

#include "base/mem.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct memory {
    uint8_t *base;                      /* owned mapping of `mapped` bytes */
    size_t mapped;                      /* reserved, guard included */
    size_t capacity;                    /* what it may grow to without moving */
    size_t size;                        /* readable and writable */
    struct flv__sm_memory_limit *limit; /* borrowed */
};

static _Thread_local struct flv__sm_memory_limit *next_limit;

void flv__sm_memory_limit_set(struct flv__sm_memory_limit *limit)
{
    next_limit = limit;
}

static uint8_t *get_memory(void *env, size_t *size, size_t *capacity)
{
    const struct memory *m = env;

    *size = m->size;
    *capacity = m->capacity;
    return m->base;
}

static wasmtime_error_t *grow_memory(void *env, size_t new_size)
{
    struct memory *m = env;

    if (new_size > m->limit->bytes_max) {
        m->limit->denied = true;
        m->limit->wanted = new_size;
        return flv__wt.wasmtime_error_new("over the memory budget");
    }
    if (new_size > m->capacity ||
        mprotect(m->base, new_size, PROT_READ | PROT_WRITE) != 0) {
        m->limit->host_failed = new_size <= m->capacity;
        return flv__wt.wasmtime_error_new("the host has no memory for it");
    }
    m->size = new_size;
    return NULL;
}

static void free_memory(void *env)
{
    struct memory *m = env;

    munmap(m->base, m->mapped);
    flv_free(m);
}

static wasmtime_error_t *new_memory(void *env,
                                    const wasm_memorytype_t *type,
                                    size_t minimum,
                                    size_t maximum,
                                    size_t reserved,
                                    size_t guard,
                                    wasmtime_linear_memory_t *out)
{
    struct memory *m = flv_zalloc(1, sizeof(*m));
    wasmtime_error_t *error;
    void *base;

    (void)env;
    (void)type;
    (void)maximum;
    assert(next_limit != NULL);
    if (m == NULL) {
        next_limit->host_failed = true;
        return flv__wt.wasmtime_error_new("the host is out of memory");
    }
    m->limit = next_limit;
    m->capacity = reserved > minimum ? reserved : minimum;
    m->mapped = m->capacity + guard;
    base = mmap(NULL, m->mapped, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        char text[120];

        snprintf(text, sizeof(text),
                 "no address space for a memory of %zu MiB (ulimit -v?)",
                 m->mapped >> 20);
        m->limit->host_failed = true;
        flv_free(m);
        return flv__wt.wasmtime_error_new(text);
    }
    m->base = base;
    error = minimum > 0 ? grow_memory(m, minimum) : NULL;
    if (error != NULL) {
        free_memory(m);
        return error;
    }
    *out = (wasmtime_linear_memory_t){
        .env = m,
        .get_memory = get_memory,
        .grow_memory = grow_memory,
        .finalizer = free_memory,
    };
    return NULL;
}

void flv__sm_memory_setup(wasm_config_t *config)
{
    wasmtime_memory_creator_t creator = {.new_memory = new_memory};

    flv__wt.wasmtime_config_host_memory_creator_set(config, &creator);
}
