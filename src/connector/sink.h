/*
 * sink.h - one running sink: batches, stages, far side, positions.
 *
 * Purpose    Takes the records of every partition from its reader, runs them
 *            through the stage, puts them to the sink, applies the policy to
 *            those that fail, and has the position of a partition kept behind
 *            its longest settled prefix. Bounded: a partition is held while
 *            its share of FLV_SINK_RECORDS_MAX and FLV_SINK_BYTES_MAX is in
 *            flight. Knows neither command lines nor where records live.
 *
 *              reader --batch--> flight --stage--> put --> far side
 *                 ^                 |                         |
 *                 | hold            +--> dead letters         |
 *                 |                          | durable        | done, failed
 *              commit <--- settled prefix <--+----------------+
 *
 *            flights of a partition, by offset:
 *              | done | waiting | done |     only the first moves the position
 *                        ^ head: its first record that is not settled
 *
 * Threads    Loop thread only.
 * Ownership  struct flv_sink is made by _open and freed by _destroy, after
 *            `done` ran. Everything in the configuration is borrowed. A flight
 *            owns what the sink was put.
 * Errors     The first cause of a failure is kept (flv__sink_cause).
 * See        <fluvio/connector.h>, tests/unit/connector/test_sink.c
 */
#ifndef FLV_CONNECTOR_SINK_H
#define FLV_CONNECTOR_SINK_H

#include "connector/pipeline.h"
#include "connector/policy.h"

/* In flight, of all partitions together; a partition may have a batch more
 * than its share. */
#define FLV_SINK_RECORDS_MAX 16384u
#define FLV_SINK_BYTES_MAX ((size_t)32 * 1024 * 1024)

/* What surrounds a running sink, or a test's twin of it. */
struct flv_sink_env {
    /* No more batches of the partition, until it is let go. */
    void (*hold)(void *env, uint32_t partition, bool on);
    /* Keeps the position; ends with one flv__sink_committed(), never from
     * inside. One at a time for a partition. Not called where the sink keeps
     * positions. */
    void (*commit)(void *env, uint32_t partition, int64_t next_offset);
    /* As flv_out_ops.append; ends with flv__sink_letter_settled(). */
    flv_rc (*letter)(void *env,
                     uint32_t lane,
                     const struct flv_msg *msg,
                     uint64_t token,
                     struct flv_err *err);
    /* What the sink answers to ask() and keep(). */
    void (*positions)(void *env,
                      const struct flv_sink_position *positions,
                      size_t count,
                      const struct flv_err *err);
    void (*kept)(void *env, const struct flv_err *err);
    /* What the sink says of its far side, err NULL: it is well. */
    void (*told)(void *env, const struct flv_err *err, uint64_t retry_in_ms);
    void (*done)(void *env); /* everything has been closed */
};

struct flv_sink_conf {
    struct flv_loop *loop;
    const struct flv_connector *type;
    const char *name, *topic, *consumer; /* name NULL: the type's */
    const void *conf;
    const struct flv_stage *stage; /* NULL: straight to the sink */
    size_t stage_steps;            /* of the stage: the sink is the next one */
    struct flv_policy policy;      /* for what the far side refuses */
    const struct flv_sink_env *env;
    void *env_arg;
    uint32_t drain_ms; /* longest time for what is under way */
};

/* Opens the sink. On failure nothing is left and `done` does not run. */
FLV_CHECKED flv_rc flv__sink_open(struct flv_sink **out,
                                  const struct flv_sink_conf *conf,
                                  struct flv_err *err);
/* Asks a sink that keeps positions; the answers come through env. */
void flv__sink_ask(struct flv_sink *s, const struct flv_sink_ask *ask);
void flv__sink_keep(struct flv_sink *s,
                    const struct flv_sink_position *starts,
                    size_t count);
/* Partitions 0 to count - 1 exist from now on; grows only. */
FLV_CHECKED flv_rc flv__sink_partitions(struct flv_sink *s,
                                        uint32_t count,
                                        struct flv_err *err);
/* Reading of a partition begins at this position, which is kept already. */
void flv__sink_start(struct flv_sink *s,
                     uint32_t partition,
                     int64_t next_offset);
void flv__sink_batch(struct flv_sink *s, const struct flv_record_batch *batch);
/* From the stage: the answer to run(), with origins. */
void flv__sink_staged(struct flv_sink *s,
                      const struct flv_stage_result *result);
/* err: it cannot be kept, the sink ends. */
void flv__sink_committed(struct flv_sink *s,
                         uint32_t partition,
                         const struct flv_err *err);
void flv__sink_letter_settled(struct flv_sink *s,
                              uint64_t token,
                              const struct flv_err *err);
/* Letters that were refused with FLV_E_BUSY may be taken now. */
void flv__sink_writable(struct flv_sink *s);

/* Nothing new is begun, what is under way is waited for, positions are kept,
 * the sink is closed. May be repeated. */
void flv__sink_stop(struct flv_sink *s);
/* The same, because of a failure; the first one is kept. */
void flv__sink_fail(struct flv_sink *s, const struct flv_err *err);
void flv__sink_pause(struct flv_sink *s, bool paused);
void flv__sink_destroy(struct flv_sink *s);

const struct flv_err *flv__sink_cause(const struct flv_sink *s);
/* in = passed + filtered + failed of the records whose outcome is known; out:
 * put to the sink, acked: confirmed by the far side. */
void flv__sink_counts(const struct flv_sink *s,
                      struct flv_pipeline_counts *out);
uint64_t flv__sink_counter(const struct flv_sink *s, unsigned index);

#endif
