/*
 * stage.h - what happens to a batch between source and stream, or stream and
 *           sink.
 *
 * Purpose    The seam between the pipeline and the chain of SmartModules. A
 *            stage is handed a whole batch and answers later, with what goes
 *            on to the topic, what goes to topics of dead letters, and what
 *            became of every record: in = passed + filtered + failed. A record
 *            that passes leaves one or several records behind; one that leaves
 *            nothing is filtered; one that failed was disposed of by policy,
 *            or it stops the connector.
 *
 *              in:  | passed | filtered | failed | passed | failed | (rest) |
 *                   +-- run, and counted -----------------+   ^
 *                                                             halt: the last
 *                                                             one that ran
 *
 * Threads    Loop thread only; the work behind `run` is done elsewhere.
 * Ownership  The pipeline borrows the stage. `in` is borrowed from run() until
 *            the answer; what the answer points at, until the next run().
 * Errors     In the answer: halt.
 * See        pipeline.h, smart.h, tests/unit/connector/test_pipeline.c
 */
#ifndef FLV_CONNECTOR_STAGE_H
#define FLV_CONNECTOR_STAGE_H

#include "connector/batch.h"

/* Where records go: the topic, then topics of dead letters. */
#define FLV_LANE_TOPIC 0u
#define FLV_LANES_MAX 18u

struct flv_stage_counts {
    uint64_t in, passed, filtered, failed;
    uint64_t discarded; /* of failed: by policy */
};

/* A failed record, packed up for a topic of dead letters. */
struct flv_letter {
    uint32_t lane; /* > FLV_LANE_TOPIC */
    struct flv_msg msg;
};

/* What became of a record that was run. */
enum flv_stage_fate {
    FLV_STAGED_FILTERED, /* it left nothing */
    FLV_STAGED_PASSED,
    FLV_STAGED_FAILED,
    FLV_STAGED_DISCARDED, /* failed, and dropped by policy */
};

/* What a batch became. */
struct flv_stage_result {
    const struct flv_msg *msgs; /* to the topic, in order */
    size_t count;
    /* For sinks, else NULL: of each of msgs the index of the record in the
     * batch that it was made of, never smaller than the one before; and of
     * each record that was run its enum flv_stage_fate. */
    const uint32_t *origins;
    const uint8_t *fates;
    const struct flv_letter *letters;
    size_t letter_count;
    struct flv_stage_counts counts; /* in: how many of the batch were run */
    /* Other than FLV_OK: the last record of counts.in, one that failed, stops
     * the connector. Everything before it is still delivered and settled. */
    struct flv_err halt;
};

struct flv_stage {
    /* Begins with `in`; ends with one flv__pipeline_staged() or
     * flv__sink_staged(), never from inside. One batch at a time. */
    void (*run)(void *state, const struct flv_batch *in);
    /* Time is up: records that are not through are left out of the answer,
     * which comes soon. May come more than once. */
    void (*hurry)(void *state);
    void *state; /* borrowed */
};

static inline bool flv__stage_adds_up(const struct flv_stage_counts *n)
{
    return n->in == n->passed + n->filtered + n->failed &&
           n->discarded <= n->failed;
}

#endif
