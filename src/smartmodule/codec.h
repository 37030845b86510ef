/*
 * codec.h - what goes into a SmartModule's memory and what comes out of it.
 *
 * Purpose    Fluvio's encodings at version FLV__SM_ABI: inputs are written
 *            straight into the guest's memory, outputs are read where they
 *            lie. Pure functions over bytes: the fuzzers' door.
 * Threads    Pure.
 * Ownership  Decoded outputs borrow from the bytes.
 * Errors     Outputs are untrusted: a sentence says what is wrong with them.
 * See        docs/smartmodules-abi.md, tests/fuzz/fuzz_sm_output.c
 */
#ifndef FLV_SMARTMODULE_CODEC_H
#define FLV_SMARTMODULE_CODEC_H

#include "base/bytes.h"
#include "smartmodule/chain.h"

/* The version that every module understands (docs/smartmodules-abi.md). */
#define FLV__SM_ABI 22

/* SmartModuleInput, with an accumulator AggregateInput. */
struct flv__sm_args {
    struct flv_slice section;
    int64_t base_offset, base_timestamp_ms;
    bool aggregate;
    struct flv_slice accumulator;
};
size_t flv__sm_args_size(const struct flv__sm_args *in);
/* Exactly flv__sm_args_size() bytes. */
void flv__sm_args_put(const struct flv__sm_args *in, uint8_t *p);

/* InitInput of a step, appended to `out`. */
FLV_CHECKED flv_rc flv__sm_init_put(const struct flv_sm_step *step,
                                    struct flv_buf *out,
                                    struct flv_err *err);

/* --- output ------------------------------------------------------------- */

/* A growing array of decoded records. */
struct flv__sm_records {
    struct flv_sm_record *at; /* owned */
    size_t len, cap;
    /* of those that are added */
    int64_t base_timestamp_ms;
    bool origin_known;
    uint32_t origin; /* when known; otherwise the offset delta says it */
};
void flv__sm_records_deinit(struct flv__sm_records *r);
FLV_CHECKED flv_rc flv__sm_records_reserve(struct flv__sm_records *r,
                                           size_t extra);
/* Timestamps that are relative to `base`; -1 when it is none. */
int64_t flv__sm_timestamp(int64_t base_ms, int64_t delta);

struct flv__sm_walk {
    uint32_t count;
    size_t record_bytes_max; /* the largest record, with its length */
    /* The offset deltas grow strictly, from the first one, and stay below
     * deltas_end; 0: they do not. */
    uint32_t deltas_begin, deltas_end;
    bool in_place; /* delta k is k */
};

/* Walks a count and so many records at the head of *in and advances it.
 * Records are added to `to` unless it is NULL. FLV_E_CORRUPT, FLV_E_NOMEM. */
FLV_CHECKED flv_rc flv__sm_walk(struct flv_slice *in,
                                struct flv__sm_records *to,
                                struct flv__sm_walk *out,
                                struct flv_err *err);

struct flv__sm_output {
    struct flv_slice section; /* successes: count and records */
    struct flv__sm_walk walk;
    bool has_error;
    struct flv_slice hint;        /* of the error */
    int64_t error_offset;         /* as the module has it */
    struct flv_slice accumulator; /* aggregate */
};

/* SmartModuleOutput or AggregateOutput. */
FLV_CHECKED flv_rc flv__sm_output_get(struct flv_slice bytes,
                                      bool aggregate,
                                      struct flv__sm_records *to,
                                      struct flv__sm_output *out,
                                      struct flv_err *err);
/* InitOutput and LookbackOutput both begin with a hint; empty when broken. */
struct flv_slice flv__sm_hint_get(struct flv_slice bytes);

#endif
