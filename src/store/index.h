/*
 * index.h - the sparse index of one segment.
 *
 * Purpose    A bounded array of (record, position of its batch), ascending.
 *            When it is full every other entry goes and the distance between
 *            entries doubles. Only ever a hint: whoever uses it checks what
 *            is found there. Internal to store.
 * Threads    One thread at a time; may be read by several once it is final.
 * Ownership  Owns its array until flv__index_deinit().
 * Errors     Adding never fails: without memory an entry is left out.
 * See        docs/format/index.md
 */
#ifndef FLV_STORE_INDEX_H
#define FLV_STORE_INDEX_H

#include <stdbool.h>

#include "base/bytes.h"

struct flv__index_entry {
    uint32_t record; /* offset minus the segment's base offset */
    uint32_t pos;
};

struct flv__index {
    struct flv__index_entry *at; /* owned */
    uint32_t len, cap, max;
    uint32_t interval; /* bytes of log between entries, at least */
};

void flv__index_init(struct flv__index *ix, uint32_t interval, uint32_t max);
void flv__index_deinit(struct flv__index *ix);
/* A batch that begins at `pos`; out of order it is left out. */
void flv__index_add(struct flv__index *ix, uint32_t record, uint32_t pos);
/* The last entry at or before `record`; false: none. */
bool flv__index_find(const struct flv__index *ix,
                     uint32_t record,
                     struct flv__index_entry *out);

/* Entries as bytes, eight each. */
FLV_CHECKED flv_rc flv__index_put(const struct flv__index *ix,
                                  struct flv_buf *out);
/* Replaces the content by `bytes`, which may be anything: CORRUPT unless they
 * ascend and lie below record and pos `end`; NOMEM. */
FLV_CHECKED flv_rc flv__index_get(struct flv__index *ix,
                                  struct flv_slice bytes,
                                  struct flv__index_entry end);

/* What an index file says about its segment. */
struct flv__index_file {
    uint64_t log_id;
    int64_t base_offset;
    int64_t next_offset;
    uint32_t segment_bytes;
};

#define FLV__INDEX_HEAD 64

/* A whole index file. */
FLV_CHECKED flv_rc flv__index_encode(const struct flv__index *ix,
                                     const struct flv__index_file *file,
                                     struct flv_buf *out);
/* CORRUPT unless `bytes` are the index of exactly that segment; NOMEM. */
FLV_CHECKED flv_rc flv__index_decode(struct flv__index *ix,
                                     struct flv_slice bytes,
                                     const struct flv__index_file *expect);

#endif
