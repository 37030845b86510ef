#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t made;
static atomic_uint_fast64_t fail_at;

static bool must_fail(void)
{
    uint64_t n = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed) + 1;

    return n == atomic_load_explicit(&fail_at, memory_order_relaxed);
}

void *flv_alloc(size_t size)
{
    return must_fail() ? NULL : malloc(size > 0 ? size : 1);
}

void *flv_zalloc(size_t count, size_t size)
{
    return must_fail() ? NULL : calloc(count > 0 ? count : 1, size);
}

void *flv_realloc(void *ptr, size_t size)
{
    return must_fail() ? NULL : realloc(ptr, size > 0 ? size : 1);
}

char *flv_strdup(const char *text)
{
    return flv_strndup(text, strlen(text));
}

char *flv_strndup(const char *text, size_t len)
{
    char *copy = flv_alloc(len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

void flv_free(void *ptr)
{
    free(ptr);
}

uint64_t flv__mem_fail_at(uint64_t nth)
{
    uint64_t before = atomic_exchange(&made, 0);

    atomic_store(&fail_at, nth);
    return before;
}
