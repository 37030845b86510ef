/*
 * tail.h - the newest batches of a partition, kept in memory.
 *
 * Purpose    Readers that keep up are served from the frames in which the
 *            batches arrived, without a disk read or a copy. The tail holds
 *            a gapless run of offsets; old items go first, at any time.
 * Threads    Loop thread only.
 * Ownership  Holds one reference on each chunk. struct flv_tail is embedded
 *            in its partition; zeroed is empty. struct flv_tail_pool counts
 *            the bytes of all tails of a server and outlives them.
 * Errors     None: what does not fit is not kept.
 * Units      Bytes are those of the chunks' budget (flv_chunk_cost), since a
 *            small batch may hold on to a large frame.
 * See        tests/unit/server/test_tail.c
 */
#ifndef FLV_SERVER_TAIL_H
#define FLV_SERVER_TAIL_H

#include "base/bytes.h"
#include "base/chunk.h"

#include <stdbool.h>
#include <stdint.h>

#define FLV_TAIL_ITEMS_MAX 4096

struct flv_tail_pool {
    size_t used, max;  /* all tails together */
    size_t max_of_one; /* a single tail */
};

struct flv_tail_item {
    struct flv_chunk *chunk; /* owned reference */
    const uint8_t *batch;    /* whole batch inside the chunk */
    uint32_t size_bytes;
    int64_t base_offset, next_offset;
};

struct flv_tail {
    struct flv_tail_pool *pool;  /* borrowed */
    struct flv_tail_item *items; /* owned ring, NULL while empty */
    uint32_t head, len, cap;     /* cap is a power of two */
    size_t used;
};

void flv_tail_init(struct flv_tail *t, struct flv_tail_pool *pool);
/* Drops everything and the memory. */
void flv_tail_clear(struct flv_tail *t);

/* Appends the batches of one committed record set. Starts afresh when they
 * do not continue what is there. */
void flv_tail_add(struct flv_tail *t,
                  struct flv_chunk *chunk,
                  struct flv_slice batches);

/* What flv_tail_get() fills: arrays of the caller's, with room for `max`. */
struct flv_tail_parts {
    struct flv_slice *parts;
    struct flv_chunk **chunks; /* each part's, referenced for the caller */
    uint32_t max;
    uint64_t records; /* offsets that the parts stand for */
};

/* The batches from the one that contains `offset` on: whole, at least one, no
 * more than out->max and, behind the first, no more than bytes_max bytes, none
 * at or past `end`. Returns the number of parts; 0: not in memory. */
uint32_t flv_tail_get(const struct flv_tail *t,
                      int64_t offset,
                      int64_t end,
                      size_t bytes_max,
                      struct flv_tail_parts *out);

/* The batch that contains `offset` is there. */
bool flv_tail_has(const struct flv_tail *t, int64_t offset);

#endif
