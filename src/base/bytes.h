/*
 * bytes.h - borrowed byte ranges, big-endian numbers, a bounded buffer.
 *
 * Purpose    What every reader and writer of bytes is made of. A flv_buf
 *            demands its ceiling when it is made, so that growth without a
 *            limit cannot be written.
 * Threads    No sharing; a value belongs to one thread at a time.
 * Ownership  A flv_slice borrows. A flv_buf owns its memory until
 *            flv_buf_deinit() or flv_buf_take().
 * Errors     Appending past the ceiling is FLV_E_LIMIT, no memory is
 *            FLV_E_NOMEM; the buffer then keeps what it had before the call.
 */
#ifndef FLV_BASE_BYTES_H
#define FLV_BASE_BYTES_H

#include <fluvio/err.h>
#include <fluvio/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

bool flv_slice_eq(struct flv_slice a, struct flv_slice b);
bool flv_slice_eq_str(struct flv_slice a, const char *text);
/* As strcmp(), by bytes: < 0, 0, > 0. */
int flv_slice_compare_str(struct flv_slice a, const char *text);
/* An owned, NUL-terminated copy, or NULL when out of memory. */
char *flv_slice_dup(struct flv_slice s);

static inline void flv_put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void flv_put_u32(uint8_t *p, uint32_t v)
{
    flv_put_u16(p, (uint16_t)(v >> 16));
    flv_put_u16(p + 2, (uint16_t)v);
}

static inline void flv_put_u64(uint8_t *p, uint64_t v)
{
    flv_put_u32(p, (uint32_t)(v >> 32));
    flv_put_u32(p + 4, (uint32_t)v);
}

static inline uint16_t flv_get_u16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t flv_get_u32(const uint8_t *p)
{
    return (uint32_t)flv_get_u16(p) << 16 | flv_get_u16(p + 2);
}

static inline uint64_t flv_get_u64(const uint8_t *p)
{
    return (uint64_t)flv_get_u32(p) << 32 | flv_get_u32(p + 4);
}

struct flv_buf {
    uint8_t *data;   /* owned */
    size_t len, cap; /* bytes used, bytes allocated */
    size_t max;      /* ceiling of len */
};

void flv_buf_init(struct flv_buf *b, size_t max);
void flv_buf_deinit(struct flv_buf *b);
/* Forgets the content and keeps the memory. */
void flv_buf_reset(struct flv_buf *b);
/* Room for `extra` more bytes; after it, flv_buf_* of at most that many
 * bytes cannot fail. */
FLV_CHECKED flv_rc flv_buf_reserve(struct flv_buf *b, size_t extra);
FLV_CHECKED flv_rc flv_buf_add(struct flv_buf *b, const void *data, size_t len);
FLV_CHECKED flv_rc flv_buf_add_str(struct flv_buf *b, const char *text);
FLV_CHECKED flv_rc flv_buf_addf(struct flv_buf *b, const char *fmt, ...)
    FLV_PRINTF(2, 3);
FLV_CHECKED flv_rc flv_buf_add_u8(struct flv_buf *b, uint8_t v);
FLV_CHECKED flv_rc flv_buf_add_u16(struct flv_buf *b, uint16_t v);
FLV_CHECKED flv_rc flv_buf_add_u32(struct flv_buf *b, uint32_t v);
FLV_CHECKED flv_rc flv_buf_add_u64(struct flv_buf *b, uint64_t v);
/* Drops the first n bytes. */
void flv_buf_drop(struct flv_buf *b, size_t n);
/* NUL-terminates behind the content (not counted in len); NULL on no memory. */
FLV_CHECKED const char *flv_buf_str(struct flv_buf *b);
/* Hands the memory to the caller (flv_free) and empties the buffer. */
uint8_t *flv_buf_take(struct flv_buf *b, size_t *out_len);
static inline struct flv_slice flv_buf_slice(const struct flv_buf *b)
{
    return flv_slice(b->data, b->len);
}

#endif
