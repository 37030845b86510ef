/*
 * smart.h - the chain of SmartModules as the stage of a connector.
 *
 * Purpose    Gets the modules (those that are no files from the cluster),
 *            compiles them and runs batches through the chain, both on a
 *            thread of its own, and applies each step's policy to the records
 *            that it fails on. Without SmartModules nobody makes one, and the
 *            engine is never loaded.
 *
 *              loop:    run(batch) ----+               +--> staged(result)
 *              thread:                 +--> chain -----+
 *                                           policy: discard, retry,
 *                                           dead letter, halt
 *
 * Threads    Loop thread; the work is done on the thread. The batch, the
 *            chain and what came out of it belong to the thread from run() to
 *            the answer, to the loop otherwise.
 * Ownership  Borrows the plan. A stage that has to hurry, or is destroyed,
 *            ends a module that runs within moments; only the compiler cannot
 *            be interrupted: see _end.
 * Errors     Opening: sentences that name the option and the module. Running:
 *            the policy's business, see stage.h.
 * See        docs/connectors.md, tests/unit/connector/test_smart.c
 */
#ifndef FLV_CONNECTOR_SMART_H
#define FLV_CONNECTOR_SMART_H

#include "connector/plan.h"
#include "loop/loop.h"

struct flv_smart;

struct flv_smart_conf {
    struct flv_loop *loop;
    struct flv_plan *plan;   /* at least one step */
    const char *name, *type; /* of the connector, for letters */
    /* For a sink: say of which record each output was made. A chain that has
     * an array_map is called for one record at a time then. */
    bool origins;
};

FLV_CHECKED flv_rc flv__smart_create(struct flv_smart **out,
                                     const struct flv_smart_conf *conf,
                                     struct flv_err *err);
/* Fetches and compiles; `done` once, unless destroyed before. The stream has
 * to be connected. */
void flv__smart_open(struct flv_smart *s,
                     struct flv_stream *stream,
                     flv_done_fn done,
                     void *user);
/* After that, when the topic is there: shows its last records to the steps
 * that want to look back. `done` once, unless destroyed before. */
void flv__smart_look_back(struct flv_smart *s, flv_done_fn done, void *user);

/* After `done`: what pipeline or sink is opened with, and who is answered. */
const struct flv_stage *flv__smart_stage(const struct flv_smart *s);
void flv__smart_attach(struct flv_smart *s,
                       void (*staged)(void *arg,
                                      const struct flv_stage_result *result),
                       void *arg);

/* What became of the records that step i was given, up to the last batch that
 * was answered. */
void flv__smart_counts(const struct flv_smart *s,
                       size_t i,
                       struct flv_stage_counts *out);
/* One log line for each step. */
void flv__smart_log(const struct flv_smart *s);
/* Ends what the thread does and waits so long for that. False: it still
 * compiles, for up to seconds that _destroy would wait; a program that has
 * nothing else to do may exit instead. NULL is allowed. */
bool flv__smart_end(struct flv_smart *s, uint32_t wait_ms);
/* After the stream has been closed; NULL is allowed. */
void flv__smart_destroy(struct flv_smart *s);

#endif
