/*
 * table.h - uthash on our allocator.
 *
 * Purpose    Hash tables whose elements are ours. An element that could not
 *            be added for want of memory has `lost` set and is in no table:
 *            every element type has that member.
 * Threads    As the tables.
 */
#ifndef FLV_CLIENT_TABLE_H
#define FLV_CLIENT_TABLE_H

#include "base/mem.h"
#include <stdbool.h>

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(n) flv_alloc(n)
#define uthash_free(ptr, n) flv_free(ptr)
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

#endif
