/*
 * slice.h - a borrowed range of bytes, as the installed headers pass it.
 *
 * Purpose    One spelling of "these bytes, not yours" for records, keys and
 *            texts without a terminator.
 * Threads    A value; no sharing.
 * Ownership  Borrows. Whoever hands a slice out says how long it stays valid.
 */
#ifndef FLUVIO_SLICE_H
#define FLUVIO_SLICE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct flv_slice {
    const uint8_t *data; /* borrowed; may be NULL when len is 0 */
    size_t len;
};

static inline struct flv_slice flv_slice(const void *data, size_t len)
{
    struct flv_slice s;

    s.data = (const uint8_t *)data;
    s.len = len;
    return s;
}

static inline struct flv_slice flv_slice_str(const char *text)
{
    return flv_slice(text, text != NULL ? strlen(text) : 0);
}

#endif
