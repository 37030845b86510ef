/*
 * batch.h - record batches: check, patch, build, read.
 *
 * Purpose    A batch travels from producer to disk to consumer as it is. The
 *            server checks it and patches the fields outside the CRC; only
 *            producers build and only consumers and SmartModules read.
 * Threads    A builder or reader belongs to one thread at a time.
 * Ownership  flv_batch_header is a copy; records of a reader borrow from the
 *            batch or from the reader, until its next open or its deinit.
 * Errors     FLV_E_CORRUPT: the bytes lie (length, magic, attributes, CRC,
 *            counts); FLV_E_LIMIT: a ceiling; FLV_E_NOMEM.
 * Units      Timestamps are milliseconds since 1970 UTC; offsets are record
 *            numbers.
 * See        docs/format/wire.md
 */
#ifndef FLV_WIRE_BATCH_H
#define FLV_WIRE_BATCH_H

#include "base/bytes.h"
#include "wire/compress.h"
#include "wire/record.h"

#define FLV_BATCH_PREFIX_SIZE 12 /* base offset and length */
#define FLV_BATCH_HEADER_SIZE 57 /* without the rare schema id */
#define FLV_BATCH_CRC_POS 17
#define FLV_BATCH_CRC_START 21 /* the CRC covers from here to the end */
/* A producer that does not number its batches. */
#define FLV_BATCH_NO_PRODUCER (-1)

struct flv_batch_header {
    int64_t base_offset;
    int32_t length; /* bytes behind this field */
    int32_t leader_epoch;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t first_timestamp_ms; /* -1: none */
    int64_t max_timestamp_ms;
    int64_t producer_id; /* FLV_BATCH_NO_PRODUCER in plain Fluvio */
    int16_t producer_epoch;
    int32_t first_sequence;
    /* derived */
    enum flv_codec codec;
    uint32_t count;     /* last_offset_delta + 1; 0 for an empty batch */
    size_t size_bytes;  /* of the whole batch */
    size_t records_pos; /* where the records section begins */
};

/* Header alone: `bytes` begins with a batch that is whole, its length, magic
 * and attributes are sound. More bytes may follow. No CRC. */
FLV_CHECKED flv_rc flv_batch_parse(struct flv_slice bytes,
                                   struct flv_batch_header *out,
                                   struct flv_err *err);

/* How long the batch is that begins there, as far as `bytes` tell: at least
 * its prefix, which says more. */
size_t flv_batch_extent(struct flv_slice bytes);

/* True when bytes end inside the batch that begins there: a reader of
 * another server's answers drops such a rest. */
bool flv_batch_is_cut(struct flv_slice bytes);

/* Everything a server verifies of exactly one batch (nothing may follow):
 * flv_batch_parse, the CRC, that the count at the head of the records section
 * is the header's, and that so many records fill the section. Of a compressed
 * batch only the head of the section is decompressed: its records may lie. */
FLV_CHECKED flv_rc flv_batch_check(struct flv_slice batch,
                                   struct flv_compressor *z,
                                   struct flv_batch_header *out,
                                   struct flv_err *err);

/* The CRC alone, e.g. of stored bytes on their way out. */
FLV_CHECKED flv_rc flv_batch_check_crc(struct flv_slice batch,
                                       struct flv_err *err);

/* Takes the next batch off a record set (parse only): *batch is its bytes,
 * *rest advances. At the end *batch is empty. What is left over is CORRUPT. */
FLV_CHECKED flv_rc flv_batch_walk(struct flv_slice *rest,
                                  struct flv_slice *batch,
                                  struct flv_batch_header *header,
                                  struct flv_err *err);

/* The fields outside the CRC; the batch is at least a header. */
void flv_batch_set_base_offset(uint8_t *batch, int64_t base_offset);
void flv_batch_set_leader_epoch(uint8_t *batch, int32_t epoch);

/* --- building ---------------------------------------------------------------
 */

struct flv_batch_builder {
    struct flv_buf section; /* count and records, not compressed */
    uint32_t count;
    /* Of a filtered stream: how many offsets the batch stands for, which need
     * not be as many as its records. 0 records are allowed then. */
    bool has_span;
    uint32_t span;
    int64_t first_timestamp_ms;
    int64_t last_timestamp_ms;
};

/* `size_bytes_max` is the ceiling of the whole batch before compression. */
void flv_batch_builder_init(struct flv_batch_builder *b, size_t size_bytes_max);
void flv_batch_builder_deinit(struct flv_batch_builder *b);
/* Empty again, with the memory kept. */
void flv_batch_builder_reset(struct flv_batch_builder *b);

/* Bytes of the batch as it is now, before compression. */
size_t flv_batch_builder_size(const struct flv_batch_builder *b);
/* The same with one more record of this key and value. `key` may be NULL. */
size_t flv_batch_builder_size_with(const struct flv_batch_builder *b,
                                   const struct flv_slice *key,
                                   struct flv_slice value,
                                   int64_t timestamp_ms);

/* Copies one record in; `key` NULL means none. FLV_E_LIMIT: it does not fit
 * (or its time is 24 days from the first record's): finish this batch and
 * begin another. A record that does not fit an empty builder is LIMIT too. */
FLV_CHECKED flv_rc flv_batch_builder_add(struct flv_batch_builder *b,
                                         const struct flv_slice *key,
                                         struct flv_slice value,
                                         int64_t timestamp_ms,
                                         struct flv_err *err);

struct flv_batch_stamp { /* FLV_BATCH_NO_PRODUCER everywhere for none */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t first_sequence;
};
#define FLV_BATCH_NO_STAMP                                                     \
    ((struct flv_batch_stamp){                                                 \
        .producer_id = -1, .producer_epoch = -1, .first_sequence = -1})

/* Appends the finished batch (base offset 0, leader epoch -1) to `out`. The
 * builder keeps its records until it is reset; `z` is needed only with a
 * codec. The builder must hold a record. */
FLV_CHECKED flv_rc flv_batch_builder_finish(struct flv_batch_builder *b,
                                            struct flv_compressor *z,
                                            enum flv_codec codec,
                                            struct flv_batch_stamp stamp,
                                            struct flv_buf *out,
                                            struct flv_err *err);

/* --- reading
 * ------------------------------------------------------------------ */

/* Default ceiling of one batch's records section after decompression: twice
 * the largest frame. */
#define FLV_BATCH_SECTION_MAX ((size_t)64 * 1024 * 1024)

struct flv_record {       /* as consumers see it */
    int64_t offset;       /* base offset + position in the batch */
    int64_t timestamp_ms; /* -1: none */
    bool has_key;
    struct flv_slice key, value;
    struct flv_slice raw; /* the record's bytes, length included */
};

struct flv_batch_reader {
    struct flv_batch_header header; /* of the open batch */
    uint32_t count;                 /* records in the section */
    struct flv_slice section;       /* count and records, plain */
    struct flv_slice rest;          /* records not read yet */
    uint32_t next;                  /* position of the next record */
    struct flv_buf plain;           /* decompressed section */
    struct flv_compressor *z;       /* borrowed */
    /* May be set behind init, for what a server sends through SmartModules:
     * the header's count is that of offsets, not of records. */
    bool sparse;
};

/* `section_bytes_max` bounds what one batch may decompress to. */
void flv_batch_reader_init(struct flv_batch_reader *r,
                           struct flv_compressor *z,
                           size_t section_bytes_max);
void flv_batch_reader_deinit(struct flv_batch_reader *r);

/* Begins with one whole batch: parses, decompresses, checks the count. The
 * CRC is not checked; call flv_batch_check_crc where that is wanted. */
FLV_CHECKED flv_rc flv_batch_reader_open(struct flv_batch_reader *r,
                                         struct flv_slice batch,
                                         struct flv_err *err);
/* The next record. At the end *more is false, and nothing may be left over
 * (FLV_E_CORRUPT). */
FLV_CHECKED flv_rc flv_batch_reader_next(struct flv_batch_reader *r,
                                         struct flv_record *out,
                                         bool *more,
                                         struct flv_err *err);
/* The whole section as SmartModules take it: count and records. */
struct flv_slice flv_batch_reader_section(const struct flv_batch_reader *r);

#endif
