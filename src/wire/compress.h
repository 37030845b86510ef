/*
 * compress.h - the four codecs of record batches.
 *
 * Purpose    gzip (level 6), snappy (framing format), lz4 (frame format) and
 *            zstd (level 1), whole and bounded.
 * Threads    One flv_compressor belongs to one thread at a time.
 * Ownership  A flv_compressor keeps the codecs' work memory, so that calls do
 *            not allocate it anew; it is made on first use.
 * Errors     FLV_E_CORRUPT: the bytes are no such stream, are cut, or go on
 *            behind its end; FLV_E_LIMIT: the output would pass the ceiling
 *            of `out`; FLV_E_NOMEM. `out` then keeps what it had.
 */
#ifndef FLV_WIRE_COMPRESS_H
#define FLV_WIRE_COMPRESS_H

#include "base/bytes.h"

enum flv_codec { /* the codes of batch attributes */
                 FLV_CODEC_NONE = 0,
                 FLV_CODEC_GZIP = 1,
                 FLV_CODEC_SNAPPY = 2,
                 FLV_CODEC_LZ4 = 3,
                 FLV_CODEC_ZSTD = 4,
                 FLV_CODEC_COUNT
};

/* "none", "gzip", ...; "unknown" for another number. */
const char *flv_codec_name(enum flv_codec codec);

struct flv_compressor;
struct flv_compressor *flv_compressor_create(void); /* NULL: no memory */
void flv_compressor_destroy(struct flv_compressor *z);

/* Append to `out`. FLV_CODEC_NONE copies. */
FLV_CHECKED flv_rc flv_compress(struct flv_compressor *z,
                                enum flv_codec codec,
                                struct flv_slice in,
                                struct flv_buf *out,
                                struct flv_err *err);
FLV_CHECKED flv_rc flv_decompress(struct flv_compressor *z,
                                  enum flv_codec codec,
                                  struct flv_slice in,
                                  struct flv_buf *out,
                                  struct flv_err *err);

#define FLV_DECOMPRESS_HEAD_MAX 64

/* Only the first `want` <= FLV_DECOMPRESS_HEAD_MAX bytes of the content;
 * fewer is FLV_E_CORRUPT. Work is bounded by one block of the codec. */
FLV_CHECKED flv_rc flv_decompress_head(struct flv_compressor *z,
                                       enum flv_codec codec,
                                       struct flv_slice in,
                                       uint8_t *out,
                                       size_t want,
                                       struct flv_err *err);

#endif
