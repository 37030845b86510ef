#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

bool flv_slice_eq(struct flv_slice a, struct flv_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool flv_slice_eq_str(struct flv_slice a, const char *text)
{
    return flv_slice_eq(a, flv_slice_str(text));
}

int flv_slice_compare_str(struct flv_slice a, const char *text)
{
    size_t len = strlen(text);
    size_t n = a.len < len ? a.len : len;
    int order = n > 0 ? memcmp(a.data, text, n) : 0;

    return order != 0 ? order : (a.len > len) - (a.len < len);
}

char *flv_slice_dup(struct flv_slice s)
{
    return flv_strndup(s.len > 0 ? (const char *)s.data : "", s.len);
}

void flv_buf_init(struct flv_buf *b, size_t max)
{
    assert(max > 0);
    *b = (struct flv_buf){.max = max};
}

void flv_buf_deinit(struct flv_buf *b)
{
    if (b != NULL) {
        flv_free(b->data);
        *b = (struct flv_buf){.max = b->max};
    }
}

void flv_buf_reset(struct flv_buf *b)
{
    b->len = 0;
}

flv_rc flv_buf_reserve(struct flv_buf *b, size_t extra)
{
    size_t need, cap;
    uint8_t *data;

    assert(b->max > 0 && b->len <= b->max);
    if (extra > b->max - b->len) {
        return FLV_E_LIMIT;
    }
    need = b->len + extra;
    if (need <= b->cap) {
        return FLV_OK;
    }
    cap = b->cap > 0 ? b->cap : 64;
    while (cap < need) {
        cap *= 2;
    }
    cap = cap < b->max ? cap : b->max;
    data = flv_realloc(b->data, cap);
    if (data == NULL) {
        return FLV_E_NOMEM;
    }
    b->data = data;
    b->cap = cap;
    return FLV_OK;
}

flv_rc flv_buf_add(struct flv_buf *b, const void *data, size_t len)
{
    flv_rc rc = flv_buf_reserve(b, len);

    if (rc == FLV_OK && len > 0) {
        memcpy(b->data + b->len, data, len);
        b->len += len;
    }
    return rc;
}

flv_rc flv_buf_add_str(struct flv_buf *b, const char *text)
{
    return flv_buf_add(b, text, strlen(text));
}

flv_rc flv_buf_addf(struct flv_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    flv_rc rc;
    int len;

    va_start(ap, fmt);
    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(len >= 0);
    /* One byte more: vsnprintf ends what it writes with NUL. */
    rc = (size_t)len < b->max ? flv_buf_reserve(b, (size_t)len + 1)
                              : FLV_E_LIMIT;
    if (rc == FLV_OK) {
        vsnprintf((char *)b->data + b->len, (size_t)len + 1, fmt, again);
        b->len += (size_t)len;
    }
    va_end(again);
    return rc;
}

flv_rc flv_buf_add_u8(struct flv_buf *b, uint8_t v)
{
    return flv_buf_add(b, &v, 1);
}

flv_rc flv_buf_add_u16(struct flv_buf *b, uint16_t v)
{
    uint8_t raw[2];

    flv_put_u16(raw, v);
    return flv_buf_add(b, raw, sizeof(raw));
}

flv_rc flv_buf_add_u32(struct flv_buf *b, uint32_t v)
{
    uint8_t raw[4];

    flv_put_u32(raw, v);
    return flv_buf_add(b, raw, sizeof(raw));
}

flv_rc flv_buf_add_u64(struct flv_buf *b, uint64_t v)
{
    uint8_t raw[8];

    flv_put_u64(raw, v);
    return flv_buf_add(b, raw, sizeof(raw));
}

void flv_buf_drop(struct flv_buf *b, size_t n)
{
    assert(n <= b->len);
    if (n > 0) {
        memmove(b->data, b->data + n, b->len - n);
        b->len -= n;
    }
}

const char *flv_buf_str(struct flv_buf *b)
{
    size_t max = b->max;
    flv_rc rc;

    b->max = max < SIZE_MAX ? max + 1 : max;
    rc = flv_buf_reserve(b, 1);
    b->max = max;
    if (rc != FLV_OK) {
        return NULL;
    }
    b->data[b->len] = '\0';
    return (const char *)b->data;
}

uint8_t *flv_buf_take(struct flv_buf *b, size_t *out_len)
{
    uint8_t *data = b->data;

    *out_len = b->len;
    *b = (struct flv_buf){.max = b->max};
    return data;
}
