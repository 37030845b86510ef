/*
 * chain.h - SmartModules run one behind the other over whole batches.
 *
 * Purpose    Runs a batch of records through every step and says what became
 *            of each input record. One call per step and batch while all is
 *            well. When any step fails (its own error, a trap, a budget), the
 *            state of all steps goes back to where it was before the batch,
 *            and its parts run through the whole chain, ever smaller ones
 *            until each record that fails has failed alone, so that the
 *            outcome is per record, the same every time, and the others are
 *            unaffected.
 *
 *              section --step 1--> successes --step 2--> ... --> records
 *                 |                                                 |
 *                 +-- fails: smaller parts, down to one record -----+
 *
 * Budget     Per step. A batch gets the budget of one record: a batch within
 *            it proves every record within it, a batch beyond it is replayed
 *            with the budget for each. So batching never changes an outcome.
 * State      Accumulators (aggregate) and the memory of modules that export
 *            look_back survive from batch to batch; they are saved before
 *            each batch and a record that fails leaves no trace in them.
 *            Other modules promise nothing about their memory: a fresh
 *            instance takes over after a failure and past the memory mark.
 * Threads    One thread at a time, any thread with
 *            FLV_SM_THREAD_STACK_BYTES. Everything here runs the user's code
 *            and blocks for as long as its budget allows: a pool thread.
 * Ownership  A chain holds its modules; parameters are copied. Outputs borrow
 *            from the chain until its next call or its end.
 * Errors     What a record did is in the result, not an error. An error is
 *            one of the host: FLV_E_CORRUPT (input section), FLV_E_LIMIT (of
 *            records), FLV_E_NOMEM, which spends the chain: state may be
 *            lost, every later run is FLV_E_POISONED. FLV_E_CANCELED: as
 *            asked for, see struct flv_sm_making.
 * See        docs/smartmodules-abi.md, tests/unit/smartmodule/
 */
#ifndef FLV_SMARTMODULE_CHAIN_H
#define FLV_SMARTMODULE_CHAIN_H

#include "smartmodule/module.h"
#include <stdatomic.h>

#define FLV_SM_STEPS_MAX 16
#define FLV_SM_PARAMS_MAX 256        /* of one step */
#define FLV_SM_PARAM_BYTES_MAX 65536 /* all keys and values of one step */
/* Input records of one call; larger batches are cut by the caller or refused
 * with FLV_E_LIMIT. */
#define FLV_SM_RECORDS_MAX 65536

/* A zero takes the default, given behind it. */
struct flv_sm_budget {
    uint64_t fuel;           /* instructions, about: 1,000,000,000 */
    uint32_t cpu_ms;         /* of the thread, a safety net: 1,000 */
    size_t memory_bytes;     /* of one instance, ceiling: 256 MiB */
    size_t recycle_bytes;    /* a fresh instance takes over past it: 16 MiB */
    uint32_t output_records; /* of one input record: 10,000 */
    size_t output_bytes;     /* of one input record: 16 MiB */
};

struct flv_sm_param {
    struct flv_slice key, value;
};

struct flv_sm_step {
    struct flv_sm_module *module; /* the chain takes a reference */
    const struct flv_sm_param *params;
    size_t param_count;
    struct flv_slice accumulator; /* first value, aggregate only */
    /* Past records that the module wants to see first; both 0: none. */
    uint64_t look_back_last;
    uint64_t look_back_age_ms;
    struct flv_sm_budget budget;
};

struct flv_sm_chain;

/* How a chain is made, besides its steps. */
struct flv_sm_making {
    /* Borrowed while the chain lives, or NULL. When it becomes true, a module
     * that runs ends within two ticks (20 ms), whatever it does, and so does
     * the call: making the chain and looking back with FLV_E_CANCELED, a batch
     * as if `stop` of its input were set. The chain is spent then. */
    const atomic_bool *cancel;
    /* Out, when it fails because a module wants more memory than it may have:
     * bytes; else 0. */
    uint64_t memory_wanted, memory_max;
};

/* Instantiates every step and calls init. FLV_E_INVALID with step and text
 * when a module refuses its parameters or cannot start. `making` may be NULL.
 */
FLV_CHECKED flv_rc flv_sm_chain_make(struct flv_sm_chain **out,
                                     const struct flv_sm_step *steps,
                                     size_t count,
                                     struct flv_sm_making *making,
                                     struct flv_err *err);
FLV_CHECKED static inline flv_rc
flv_sm_chain_create(struct flv_sm_chain **out,
                    const struct flv_sm_step *steps,
                    size_t count,
                    struct flv_err *err)
{
    return flv_sm_chain_make(out, steps, count, NULL, err);
}
/* Another one, between two calls. */
void flv_sm_chain_set_cancel(struct flv_sm_chain *c, const atomic_bool *cancel);
void flv_sm_chain_destroy(struct flv_sm_chain *c); /* NULL is allowed */

/* For who can make the chain anew from elsewhere: the memory of modules that
 * export look_back, which may be large, is not saved before each batch. A batch
 * in which a record fails, or that takes more than a record may, ends with
 * FLV_E_POISONED then, and the chain is spent. Between two calls. */
void flv_sm_chain_set_unsaved(struct flv_sm_chain *c, bool unsaved);

size_t flv_sm_chain_steps(const struct flv_sm_chain *c);
/* Borrowed from the chain. */
const struct flv_sm_module *flv_sm_chain_module(const struct flv_sm_chain *c,
                                                size_t step);

/* --- one batch ------------------------------------------------------------ */

struct flv_sm_input {
    /* Record count (u32) and records as in a batch, not compressed:
     * flv_batch_reader_section(), flv_batch_builder's section. */
    struct flv_slice section;
    int64_t base_offset;
    int64_t base_timestamp_ms;
    /* NULL, or looked at before each part of a replay: when true the call
     * ends there, and the records behind are not counted. Such a caller runs
     * them again, so a replay also ends before a record whose outputs find
     * no room beside those of the others; without it that record fails. */
    const atomic_bool *stop;
};

/* Where an output record comes from, when that can be told: array_map gives
 * up the relation inside a whole batch. */
#define FLV_SM_NO_ORIGIN UINT32_MAX

struct flv_sm_record {
    bool has_key;
    struct flv_slice key, value;
    int64_t timestamp_ms; /* of the input record, or the base one */
    uint32_t origin;      /* position of the input record in its batch */
};

enum flv_sm_cause {
    FLV_SM_USER_ERROR, /* the module said so; hint has its words */
    FLV_SM_CODE,       /* a negative code without words */
    FLV_SM_TRAP,
    FLV_SM_FUEL,
    FLV_SM_DEADLINE,
    FLV_SM_MEMORY,
    FLV_SM_OUTPUT, /* too many or too large */
    FLV_SM_BROKEN, /* output that does not decode, wild pointers */
    FLV_SM_CAUSE_COUNT,
};
const char *flv_sm_cause_name(enum flv_sm_cause cause);

/* One input record that failed. */
struct flv_sm_failure {
    uint32_t input; /* position in the batch */
    uint32_t step;
    enum flv_sm_cause cause;
    uint64_t memory_wanted, memory_max; /* MEMORY: bytes, if known; else 0 */
    struct flv_slice hint;              /* USER_ERROR: the module's own words */
    char text[FLV_ERR_TEXT_MAX];        /* one sentence, always */
    bool has_key;                       /* the input record itself */
    struct flv_slice key, value;
    int64_t timestamp_ms;
};

struct flv_sm_result {
    const struct flv_sm_record *records; /* in order */
    size_t record_count;
    const struct flv_sm_failure *failures; /* in order */
    size_t failure_count;
    /* in = passed + filtered + failed; a record that passes leaves one or
     * more, one that is filtered leaves none. A record that reaches an
     * array_map has passed, whatever comes of it there and behind. With
     * stop_at_failure the records behind the first failure are not counted:
     * they did not run. */
    uint32_t in, passed, filtered, failed;
    /* Of `in`: how many came to each step. Those that were not filtered there
     * and did not fail there came to the next one, or passed. */
    uint32_t reached[FLV_SM_STEPS_MAX];
    bool replayed;
};

/* stop_at_failure: nothing behind the first record that fails is run, and
 * what is before it is in the result. */
FLV_CHECKED flv_rc flv_sm_chain_run(struct flv_sm_chain *c,
                                    const struct flv_sm_input *in,
                                    bool stop_at_failure,
                                    struct flv_sm_result *out,
                                    struct flv_err *err);

/* --- looking back --------------------------------------------------------- */

struct flv_sm_look_back {
    size_t step;
    uint64_t last;   /* records, 0: no limit */
    uint64_t age_ms; /* 0: no limit */
};
/* The next step, from `from` on, that wants to see past records; false: none.
 * A step wants them when its module exports look_back and it was asked to. */
bool flv_sm_chain_wants_look_back(const struct flv_sm_chain *c,
                                  size_t from,
                                  struct flv_sm_look_back *out);
/* Shows them; once per step, before the first batch. FLV_E_INVALID with the
 * module's words when it refuses. */
FLV_CHECKED flv_rc flv_sm_chain_look_back(struct flv_sm_chain *c,
                                          size_t step,
                                          struct flv_slice section,
                                          struct flv_err *err);

/* --- figures ---------------------------------------------------------------
 */

struct flv_sm_stats {    /* of one step, since the chain was made */
    uint64_t calls;      /* of the entry */
    uint64_t records;    /* given to it */
    uint64_t fuel;       /* used */
    uint64_t cpu_ns;     /* of the thread, inside calls */
    size_t memory_bytes; /* of the instance now */
    uint64_t replays, instances;
};
void flv_sm_chain_stats(const struct flv_sm_chain *c,
                        size_t step,
                        struct flv_sm_stats *out);
/* Bytes that the chain holds now: memories of instances, saved state, and the
 * outputs of the last call. */
size_t flv_sm_chain_memory(const struct flv_sm_chain *c);

#endif
