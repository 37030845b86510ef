/*
 * record.h - varints and single records.
 *
 * Purpose    The bytes inside a batch's records section, and of SmartModule
 *            inputs and outputs, which use the same form.
 * Threads    Pure.
 * Ownership  Decoded keys and values borrow from the input.
 * Errors     FLV_E_CORRUPT for bytes that are no record; FLV_E_LIMIT and
 *            FLV_E_NOMEM from the buffer.
 * Units      ts_delta is milliseconds relative to the batch's first timestamp.
 */
#ifndef FLV_WIRE_RECORD_H
#define FLV_WIRE_RECORD_H

#include "base/bytes.h"

#define FLV_VARINT_MAX 10 /* bytes of the longest varint */
/* Smallest record: length, attributes, deltas, key tag, value, headers. */
#define FLV_RECORD_SIZE_MIN 7

/* Zig-zag base 128. Writes at most FLV_VARINT_MAX bytes, returns how many. */
size_t flv_varint_put(uint8_t *p, int64_t v);
size_t flv_varint_size(int64_t v);
/* Bytes read, or 0 when the varint is cut, longer than 10 bytes, or more than
 * 64 bits. */
size_t flv_varint_get(struct flv_slice in, int64_t *v);

struct flv_wire_record {
    int64_t ts_delta;
    int64_t offset_delta;
    bool has_key; /* an empty key is not the same as none */
    struct flv_slice key, value;
};

size_t flv_wire_record_size(const struct flv_wire_record *r);
FLV_CHECKED flv_rc flv_wire_record_put(struct flv_buf *out,
                                       const struct flv_wire_record *r);
/* Reads the record at the head of *in and advances it; on failure *in and
 * *out are untouched. */
FLV_CHECKED flv_rc flv_wire_record_get(struct flv_slice *in,
                                       struct flv_wire_record *out,
                                       struct flv_err *err);

#endif
