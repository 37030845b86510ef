/*
 * snappy_frame.h - the snappy framing format over the raw snappy library.
 *
 * Purpose    Stream identifier, then chunks of at most 64 KiB, each with a
 *            masked CRC-32C. Fluvio uses this form and neither raw snappy nor
 *            Kafka's own.
 * Threads    Pure; the scratch memory is the caller's.
 * Errors     As in compress.h.
 */
#ifndef FLV_WIRE_SNAPPY_FRAME_H
#define FLV_WIRE_SNAPPY_FRAME_H

#include "base/bytes.h"

#define FLV_SNAPPY_CHUNK_MAX 65536

FLV_CHECKED flv_rc flv__snappy_compress(struct flv_slice in,
                                        struct flv_buf *out,
                                        struct flv_err *err);
/* Stops when at least `enough` bytes were appended. */
FLV_CHECKED flv_rc flv__snappy_decompress(struct flv_slice in,
                                          size_t enough,
                                          struct flv_buf *out,
                                          struct flv_err *err);

#endif
