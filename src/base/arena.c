#include "base/arena.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(WITH_ASAN)
#include <sanitizer/asan_interface.h>
#define FORBID(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define ALLOW(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define FORBID(p, n) ((void)(p), (void)(n))
#define ALLOW(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN_MAX 64U

/* blocks -> [newest: pos bytes used | free] -> [older, full] -> NULL
 * A piece that does not fit in what is left opens a new block. */
struct flv_arena_block {
    struct flv_arena_block *next; /* owned */
    size_t size;
    uint8_t *data; /* behind this struct, aligned to ALIGN_MAX */
};

void flv_arena_init(struct flv_arena *a, size_t block_bytes, size_t max)
{
    assert(block_bytes > 0 && max > 0);
    *a = (struct flv_arena){
        .block_bytes = block_bytes < max ? block_bytes : max, .max = max};
}

static void free_blocks(struct flv_arena_block *b)
{
    struct flv_arena_block *next;

    for (; b != NULL; b = next) {
        next = b->next;
        ALLOW(b->data, b->size);
        flv_free(b);
    }
}

void flv_arena_deinit(struct flv_arena *a)
{
    if (a != NULL) {
        free_blocks(a->blocks);
        a->blocks = NULL;
        a->pos = 0;
        a->used = 0;
    }
}

void flv_arena_reset(struct flv_arena *a)
{
    struct flv_arena_block *b = a->blocks;

    a->pos = 0;
    a->used = 0;
    a->full = false;
    if (b != NULL) {
        free_blocks(b->next);
        b->next = NULL;
        a->used = b->size;
        FORBID(b->data, b->size);
    }
}

static bool add_block(struct flv_arena *a, size_t size)
{
    struct flv_arena_block *b;
    size_t room = a->max - a->used;
    size_t want;

    /* Growing with what is there already keeps the number of blocks small. */
    want = a->used > a->block_bytes ? a->used : a->block_bytes;
    want = want < room ? want : room;
    want = want > size ? want : size;
    if (want > room) {
        a->full = true;
        return false;
    }
    b = flv_alloc(sizeof(*b) + ALIGN_MAX + want);
    if (b == NULL) {
        return false;
    }
    b->data = (uint8_t *)(b + 1);
    b->data += -(uintptr_t)b->data & (ALIGN_MAX - 1);
    b->size = want;
    b->next = a->blocks;
    a->blocks = b;
    a->used += want;
    a->pos = 0;
    FORBID(b->data, b->size);
    return true;
}

void *flv_arena_alloc(struct flv_arena *a, size_t size, size_t align)
{
    size_t pos;
    void *piece;

    assert(a->max > 0 && a->used <= a->max);
    assert(align > 0 && align <= ALIGN_MAX && (align & (align - 1)) == 0);
    size = size > 0 ? size : 1;
    if (size > a->max) {
        a->full = true;
        return NULL;
    }
    pos = (a->pos + align - 1) & ~(align - 1);
    if (a->blocks == NULL || pos > a->blocks->size ||
        size > a->blocks->size - pos) {
        if (!add_block(a, size)) {
            return NULL;
        }
        pos = 0;
    }
    piece = a->blocks->data + pos;
    a->pos = pos + size;
    assert(a->pos <= a->blocks->size);
    ALLOW(piece, size);
    return piece;
}

void *
flv_arena_zalloc(struct flv_arena *a, size_t count, size_t size, size_t align)
{
    void *piece;

    assert(size > 0);
    if (count > SIZE_MAX / size) {
        a->full = true;
        return NULL;
    }
    piece = flv_arena_alloc(a, count * size, align);
    if (piece != NULL) {
        memset(piece, 0, count * size);
    }
    return piece;
}

void *flv_arena_copy(struct flv_arena *a, const void *data, size_t len)
{
    void *piece = flv_arena_alloc(a, len, 1);

    if (piece != NULL && len > 0) {
        memcpy(piece, data, len);
    }
    return piece;
}

char *flv_arena_text(struct flv_arena *a, const char *text, size_t len)
{
    char *piece = len < SIZE_MAX ? flv_arena_alloc(a, len + 1, 1) : NULL;

    if (piece != NULL) {
        if (len > 0) {
            memcpy(piece, text, len);
        }
        piece[len] = '\0';
    }
    return piece;
}

bool flv_arena_full(const struct flv_arena *a)
{
    return a->full;
}
