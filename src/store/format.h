/*
 * format.h - the bytes of segment files.
 *
 * Purpose    Headers of segments and groups, the fixed part of a batch, file
 *            names. Internal to store.
 *
 *     segment = header, group, group, ... to the end of the file
 *     group   = header, batch, batch, ...
 *
 *            The first eight bytes of a group, read as a number, are
 *            negative; those of a batch are its base offset. So a reader that
 *            starts at any batch can tell what comes next.
 * Threads    Pure functions.
 * Errors     Reading a header gives CORRUPT or UNSUPPORTED without a text: the
 *            caller knows file and position.
 * See        docs/format/segment.md
 */
#ifndef FLV_STORE_FORMAT_H
#define FLV_STORE_FORMAT_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLV__SEGMENT_HEAD 64
#define FLV__GROUP_HEAD 64
#define FLV__BATCH_HEAD 57 /* bytes before the records of a batch */
#define FLV__BATCH_CRC_POS 17
#define FLV__BATCH_CRC_START 21 /* it covers what follows, to the end */
/* Bytes of a batch that its length field does not count. */
#define FLV__BATCH_PREFIX 12
#define FLV__FORMAT 1 /* version of segment, index and checkpoint */
/* Room: zeros that a small group of a disk topic wrote ahead of itself. As many
 * as the file had bytes before the group, but not more than this, ... */
#define FLV__AHEAD_MAX (512u << 10)
/* ... and a small group has at most such a part of that, header included. */
#define FLV__AHEAD_PER_GROUP 32
#define FLV__GROUP_MAGIC 0xf1666c7667727001u   /* "\xf1" "flvgrp" "\1" */
#define FLV__SEGMENT_MAGIC 0xf1666c7673656701u /* "\xf1" "flvseg" "\1" */

struct flv__segment_head {
    uint64_t log_id;
    int64_t base_offset;
    uint64_t first_group; /* number of the group that comes first */
    int64_t prev_base;    /* base offset of the segment before, -1: none */
    uint64_t prev_bytes;  /* its final size */
    uint32_t created_s;   /* when it was made, since 1970; 0: not known */
};

struct flv__group_head {
    uint64_t log_id;
    uint64_t number;
    uint64_t synced; /* every group up to this one was synced before */
    int64_t first_offset;
    int64_t next_offset; /* behind the last record */
    uint32_t bytes;      /* of batches behind the header */
    uint32_t crc;        /* CRC32C of them */
};

struct flv__batch_head {
    int64_t base_offset;
    int64_t next_offset;
    uint32_t size; /* whole batch */
    int64_t producer_id;
    int32_t first_sequence;
    int32_t last_sequence;
    int16_t producer_epoch;
};

void flv__segment_head_put(uint8_t *out, const struct flv__segment_head *head);
FLV_CHECKED flv_rc flv__segment_head_get(const uint8_t *in,
                                         struct flv__segment_head *out);

/* Whether both say the same, but for when they were made. */
bool flv__segment_head_same(const struct flv__segment_head *a,
                            const struct flv__segment_head *b);

void flv__group_head_put(uint8_t *out, const struct flv__group_head *head);
FLV_CHECKED flv_rc flv__group_head_get(const uint8_t *in,
                                       struct flv__group_head *out);

/* True if a group, not a batch, begins at these eight bytes. */
bool flv__is_group(const uint8_t *in);

/* The fixed part of a batch: FLV__BATCH_HEAD bytes at `in`. CORRUPT if its
 * length, magic, counts or producer fields make no sense. The base offset is
 * not looked at: before staging it is whatever the producer wrote. */
FLV_CHECKED flv_rc flv__batch_head_get(const uint8_t *in,
                                       struct flv__batch_head *out);
/* The same for a stored one, that has to begin at `base_offset` and to carry
 * leader epoch -1. */
FLV_CHECKED flv_rc flv__batch_stored_get(const uint8_t *in,
                                         int64_t base_offset,
                                         struct flv__batch_head *out);
/* Stamps what a stored batch carries. */
void flv__batch_stamp(uint8_t *batch, int64_t base_offset);
/* Whether the batch's own CRC holds; `size` is the whole batch. */
bool flv__batch_crc_ok(const uint8_t *batch, uint32_t size);

/* Sequence numbers go from 0 to 2^31 - 1 and around. */
static inline int32_t flv__sequence_add(int32_t sequence, int64_t n)
{
    return (int32_t)(((int64_t)sequence + n) & INT32_MAX);
}

/* "DIR/00000000000000000000.log", owned by the caller; NULL: no memory. */
char *flv__path_segment(const char *dir, int64_t base_offset);
/* The same of a segment before it is one: with ".next". */
char *flv__path_next(const char *dir, int64_t base_offset);
char *flv__path_index(const char *dir, int64_t base_offset);
char *flv__path_join(const char *dir, const char *name);
/* The directory that holds `path`, "." if it has no other. */
char *flv__path_parent(const char *path);
/* Whether `name` is 20 digits and `ending`; *base is the number. */
bool flv__name_offset(const char *name, const char *ending, int64_t *base);

#define FLV__NAME_CHECKPOINT "checkpoint"
#define FLV__NAME_CHECKPOINT_TMP "checkpoint.tmp"
#define FLV__ENDING_SEGMENT ".log"
#define FLV__ENDING_NEXT ".next"
#define FLV__ENDING_INDEX ".index"
#define FLV__ENDING_TORN ".torn"
#define FLV__ENDING_DELETED ".deleted"

#endif
