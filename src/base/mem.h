/*
 * mem.h - the only door to the heap.
 *
 * Purpose    Allocation that tests can make fail at the nth call. No other
 *            file of the tree calls malloc, calloc, realloc or strdup.
 * Threads    All functions may be called from any thread.
 * Ownership  The caller owns the result and frees it with flv_free().
 * Errors     NULL when out of memory; never aborts.
 */
#ifndef FLV_BASE_MEM_H
#define FLV_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

void *flv_alloc(size_t size);                /* not zeroed */
void *flv_zalloc(size_t count, size_t size); /* zeroed, overflow checked */
void *flv_realloc(void *ptr, size_t size);
char *flv_strdup(const char *text);
char *flv_strndup(const char *text, size_t len);
void flv_free(void *ptr);

/* Test hook: the nth allocation from now (1 = the next) fails, once.
 * 0 disarms. Returns how many allocations were made since the last call. */
uint64_t flv__mem_fail_at(uint64_t nth);

#endif
