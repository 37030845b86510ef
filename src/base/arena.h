/*
 * arena.h - bump allocation with a ceiling.
 *
 * Purpose    Memory for one message or batch: many small pieces, freed all at
 *            once.
 * Threads    No sharing; an arena belongs to one thread at a time.
 * Ownership  The arena owns all pieces until flv_arena_reset() or _deinit().
 * Errors     NULL when the ceiling or the heap is exhausted; ask
 *            flv_arena_full() which. Pieces handed out stay good.
 */
#ifndef FLV_BASE_ARENA_H
#define FLV_BASE_ARENA_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flv_arena_block;

struct flv_arena {
    struct flv_arena_block *blocks; /* owned, the newest first */
    size_t pos;                     /* used bytes of the newest block */
    size_t used;                    /* bytes in all blocks */
    size_t block_bytes;             /* smallest size of a block */
    size_t max;                     /* ceiling of used */
    bool full;                      /* the ceiling refused a piece */
};

/* No memory is taken before the first piece. */
void flv_arena_init(struct flv_arena *a, size_t block_bytes, size_t max);
void flv_arena_deinit(struct flv_arena *a);
/* Forgets all pieces; keeps one block for the next round. */
void flv_arena_reset(struct flv_arena *a);

/* Not zeroed; align is a power of two of at most 64. */
void *flv_arena_alloc(struct flv_arena *a, size_t size, size_t align);
/* count pieces of size bytes, zeroed, overflow checked. */
void *
flv_arena_zalloc(struct flv_arena *a, size_t count, size_t size, size_t align);
/* A copy; the text one is NUL-terminated. */
void *flv_arena_copy(struct flv_arena *a, const void *data, size_t len);
char *flv_arena_text(struct flv_arena *a, const char *text, size_t len);
/* True when a NULL came from the ceiling, not from the heap. */
bool flv_arena_full(const struct flv_arena *a);

/* A zeroed array of count T, or NULL. */
#define FLV_ARENA_NEW(a, T, count)                                             \
    ((T *)flv_arena_zalloc((a), (count), sizeof(T), alignof(T)))

#endif
