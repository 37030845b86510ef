/*
 * step.h - one module of a chain: its instance, its state, its budget.
 *
 * Purpose    Runs one input section through one module and keeps what has to
 *            survive from batch to batch.
 * Threads    As chain.h.
 * Ownership  A step owns its instance and its saved state.
 * Errors     `false` and a fault, see instance.h.
 */
#ifndef FLV_SMARTMODULE_STEP_H
#define FLV_SMARTMODULE_STEP_H

#include "base/bytes.h"
#include "smartmodule/codec.h"
#include "smartmodule/instance.h"

struct flv__step {
    struct flv_sm_module *module; /* a reference */
    enum flv_sm_kind kind;
    bool keeps_memory; /* its memory is state: it exports look_back */
    bool unsaved;      /* that memory is not saved, nor brought back */
    struct flv_sm_budget budget;
    const atomic_bool *cancel; /* borrowed; of the chain */
    struct flv_buf init;       /* InitInput */
    uint64_t look_back_last, look_back_age_ms;
    struct flv__inst *inst; /* owned; NULL: made when needed */
    uint64_t served;        /* transforms of that instance */
    size_t mark;            /* memory past which a fresh instance comes */
    /* keeps_memory past the mark: its outputs are given back to it. */
    bool reclaims, reclaim_fails;
    struct flv_buf accumulator, accumulator_saved;
    struct flv_buf image; /* the memory as it was saved */
    struct flv_sm_stats stats;
};

FLV_CHECKED flv_rc flv__step_init(struct flv__step *s,
                                  const struct flv_sm_step *conf,
                                  struct flv_err *err);
void flv__step_deinit(struct flv__step *s);

void flv__step_set_cancel(struct flv__step *s, const atomic_bool *cancel);

/* There is an instance, started and initialised. */
bool flv__step_ready(struct flv__step *s, struct flv__fault *f);
/* Before a batch: no instance whose memory passed the mark, state saved. A
 * failure of these three is the host's. */
bool flv__step_begin(struct flv__step *s, struct flv__fault *f);
/* Saves the state as it is now. */
bool flv__step_save(struct flv__step *s, struct flv__fault *f);
/* Back to what was saved: after a failure, whatever the guest did. */
bool flv__step_restore(struct flv__step *s, struct flv__fault *f);
/* Bytes that it holds: the instance's memory and saved state. */
size_t flv__step_memory(const struct flv__step *s);
/* Drops an instance whose memory promises nothing. */
void flv__step_recycle(struct flv__step *s);
/* The same only past the mark. */
void flv__step_recycle_past_mark(struct flv__step *s);
/* Its last failure would be the same on a fresh instance: the module said it
 * in its own words, or nothing that came before can have caused it. */
bool flv__step_is_final(const struct flv__step *s, const struct flv__fault *f);

struct flv__step_input {
    struct flv_slice section;
    uint32_t count;
    int64_t base_offset, base_timestamp_ms;
    bool single; /* all of it comes from one input record */
    bool lost;   /* offset deltas tell no origin */
    /* !single, !lost: they are from here to below there */
    uint32_t deltas_begin, deltas_end;
};
/* One call of the transform. Outputs borrow from the guest's memory. */
bool flv__step_run(struct flv__step *s,
                   const struct flv__step_input *in,
                   struct flv__sm_records *to,
                   struct flv__sm_output *out,
                   struct flv__fault *f);
/* One call of look_back. */
bool flv__step_look_back(struct flv__step *s,
                         struct flv_slice section,
                         struct flv__fault *f);

#endif
