/*
 * native.h - the host of a SmartModule that was compiled for this machine.
 *
 * Purpose    Calls the entries that smartmodule.h makes, as a host calls a
 *            WebAssembly module: alloc, copy, entry, copy_records. Each block
 *            is one of the heap, as large as was asked for, and ends when the
 *            module's own memory would take it back, so that the address
 *            sanitizer sees every byte too far or too late.
 * Threads    One at a time; there is one instance.
 * Ownership  The answer stays until the next call or native_reset().
 * Units      Versions are those of the input's encoding.
 */
#ifndef FLV_TESTS_UNIT_GUEST_NATIVE_H
#define FLV_TESTS_UNIT_GUEST_NATIVE_H

#include "base/bytes.h"

typedef int32_t native_entry(uint8_t *in, size_t len, uint32_t version);

/* A fresh instance; frees everything. */
void native_reset(void);
/* What the entry returned. */
int32_t native_call(native_entry *entry, struct flv_slice input, uint32_t v);
/* What it showed the host; data is NULL when it showed nothing. */
struct flv_slice native_answer(void);
/* Bytes that it holds now, and held at most since the last reset. */
size_t native_held(void);
size_t native_held_max(void);

/* --- inputs and outputs --------------------------------------------------- */

struct native_record {
    const char *key; /* NULL: none */
    const char *value;
    int64_t ts_delta, offset_delta;
};

/* Version 16 to 25; accumulator NULL: no aggregate. */
void native_input(struct flv_buf *out,
                  uint32_t version,
                  int64_t base_offset,
                  int64_t base_timestamp_ms,
                  const struct native_record *records,
                  size_t count,
                  const char *accumulator);
/* Pairs end with NULL. */
void native_params(struct flv_buf *out, const char *const *pairs);

#define NATIVE_RECORDS_MAX 64
struct native_output {
    struct native_record
        records[NATIVE_RECORDS_MAX]; /* texts are owned by the output */
    size_t count;
    bool failed;
    char *hint, *key, *value, *accumulator;
    int64_t offset;
    int kind;
    char *owned[256];
    size_t owned_count;
};

/* Aborts when the bytes are not an output. */
void native_decode(struct native_output *out,
                   struct flv_slice bytes,
                   bool aggregate);
/* Of look_back: no records, no kind. */
void native_decode_look_back(struct native_output *out, struct flv_slice bytes);
void native_output_deinit(struct native_output *out);

#endif
