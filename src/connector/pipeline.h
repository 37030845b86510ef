/*
 * pipeline.h - one running source: pull, stages, stream, settlement.
 *
 * Purpose    Moves batches from the source through the stage to the stream
 *            and tells the source which records are safe. Bounded: at most
 *            FLV_IN_FLIGHT_RECORDS_MAX records and FLV_IN_FLIGHT_BATCHES_MAX
 *            pieces are under way, and one batch in the stage or on its way
 *            out of it. Knows neither command lines nor where records live.
 *
 *              source --pull--> batch --stage--> pieces --> topic
 *                 ^                                 |        |
 *                 |                                 +--> dead letters
 *                 +-- settled(longest prefix) <-----+--------+  durable
 *
 *            in flight: | done | done | waiting | done | waiting |   (ring)
 *                         ^ only a done head moves the settled number
 *
 *            What a batch became is handed over in pieces, each with a place
 *            in the ring; the last piece carries the number of its last
 *            record. Without a stage a batch is one piece.
 *
 * Threads    Loop thread only.
 * Ownership  struct flv_source is made by _open and freed by _destroy, after
 *            `done` ran. Everything in the configuration is borrowed.
 * Errors     The first cause of a failure is kept (flv__pipeline_cause).
 * See        <fluvio/connector.h>, tests/unit/connector/test_pipeline.c
 */
#ifndef FLV_CONNECTOR_PIPELINE_H
#define FLV_CONNECTOR_PIPELINE_H

#include "connector/stage.h"
#include "loop/loop.h"

#define FLV_IN_FLIGHT_RECORDS_MAX 65536
#define FLV_IN_FLIGHT_BATCHES_MAX 1024
#define FLV_COUNTERS_MAX 16

/* Where batches go: the stream, or a test's twin of it. */
struct flv_out_ops {
    /* As flv_writer_append(): all or nothing, FLV_E_BUSY until
     * flv__pipeline_writable(); each append that was taken ends with one
     * flv__pipeline_settled(), never from inside. */
    flv_rc (*append)(void *out,
                     uint32_t lane, /* FLV_LANE_TOPIC, or of a letter */
                     const struct flv_msg *msgs,
                     size_t count,
                     uint64_t token,
                     struct flv_err *err);
    /* Sends what lingers. */
    void (*push)(void *out);
    /* Cancels what is left; `closed` runs later, once. */
    void (*close)(void *out, void (*closed)(void *arg), void *arg);
};

struct flv_pipeline_conf {
    struct flv_loop *loop;
    const struct flv_connector *type;
    const char *name, *topic; /* of the instance; NULL: the type's, none */
    const void *conf;
    const struct flv_stage *stage; /* NULL: straight to the topic */
    const struct flv_out_ops *out_ops;
    void *out;
    uint32_t drain_ms;       /* longest time to deliver what is under way */
    void (*done)(void *arg); /* everything has been closed */
    /* What the source says of its far side, as flv_source_well() (err NULL)
     * and flv_source_trouble(); or NULL. */
    void (*told)(void *arg, const struct flv_err *err, uint64_t retry_in_ms);
    void *arg;
};

struct flv_pipeline_counts {
    struct flv_stage_counts stages; /* in = passed + filtered + failed */
    /* As the source accounts for it; in 0: it does not. Of a sink, in records
     * whose outcome is known. */
    struct flv_stage_counts protocol, extract;
    uint64_t out;           /* records handed to the topic */
    uint64_t acked;         /* of those, durable */
    uint64_t letters;       /* records handed to dead letters */
    uint64_t dead_lettered; /* of those, durable */
};

/* Opens the source and begins to pull. On failure nothing is left and `done`
 * does not run. */
FLV_CHECKED flv_rc flv__pipeline_open(struct flv_source **out,
                                      const struct flv_pipeline_conf *conf,
                                      struct flv_err *err);
/* Stop pulling, deliver, settle, close. May be repeated. */
void flv__pipeline_stop(struct flv_source *src);
/* The same, because of a failure; the first one is kept. */
void flv__pipeline_fail(struct flv_source *src, const struct flv_err *err);
/* A paused source is not asked for more; what is under way goes on. */
void flv__pipeline_pause(struct flv_source *src, bool paused);
void flv__pipeline_destroy(struct flv_source *src);

/* From the stream. err NULL: every record of the append is durable. */
void flv__pipeline_settled(struct flv_source *src,
                           uint64_t token,
                           const struct flv_err *err);
void flv__pipeline_writable(struct flv_source *src);

/* From the stage: the answer to run(). The struct is borrowed for the call,
 * what it points at until the next run(). */
void flv__pipeline_staged(struct flv_source *src,
                          const struct flv_stage_result *result);

/* NULL when nothing failed. */
const struct flv_err *flv__pipeline_cause(const struct flv_source *src);
void flv__pipeline_counts(const struct flv_source *src,
                          struct flv_pipeline_counts *out);
uint64_t flv__pipeline_counter(const struct flv_source *src, unsigned index);

#endif
