/*
 * stage.h - what happens to a batch between source and stream.
 *
 * Purpose    A stage takes a whole batch and leaves the records that go on in
 *            another one. It accounts for every record it was given: in =
 *            passed + filtered + failed. A record that passes leaves one or
 * several records behind; one that leaves nothing is filtered. Threads    Loop
 * thread only; a stage must not block. Ownership  The chain borrows the stages.
 * `in` and `out` are borrowed for the call; out has its own memory. Errors An
 * error of apply stops the connector: what a stage can dispose of by policy it
 * counts as failed and returns FLV_OK.
 */
#ifndef FLV_CONNECTOR_STAGE_H
#define FLV_CONNECTOR_STAGE_H

#include "connector/batch.h"

#define FLV_STAGES_MAX 8

struct flv_stage_counts {
    uint64_t in, passed, filtered, failed;
};

struct flv_stage {
    const char *name;
    /* Adds to *counts what became of the records of `in`. */
    flv_rc (*apply)(void *state,
                    const struct flv_batch *in,
                    struct flv_batch *out,
                    struct flv_stage_counts *counts,
                    struct flv_err *err);
    void *state; /* borrowed */
};

struct flv_chain {
    const struct flv_stage *stages; /* borrowed */
    size_t count;
    struct flv_stage_counts each[FLV_STAGES_MAX];
    /* Of all stages together; a record that a stage makes in addition counts as
     * one more that came in. */
    struct flv_stage_counts all;
    struct flv_batch scratch[2]; /* owned; used only with stages */
};

FLV_CHECKED flv_rc flv__chain_init(struct flv_chain *c,
                                   const struct flv_stage *stages,
                                   size_t count,
                                   struct flv_err *err);
void flv__chain_deinit(struct flv_chain *c);
/* Runs `in` through all stages. *out is `in` itself or a batch of the chain,
 * good until the next call. */
FLV_CHECKED flv_rc flv__chain_apply(struct flv_chain *c,
                                    struct flv_batch *in,
                                    struct flv_batch **out,
                                    struct flv_err *err);

#endif
