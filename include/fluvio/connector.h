/*
 * connector.h - what a connector type is, and the runtime that runs it.
 *
 * Purpose    A connector type is one descriptor: name, summary, version, one
 *            option table and the operations of a source or of a sink. main()
 *            of its program is one call of flv_connector_main(), which reads
 *            options and configuration files, answers --help, --describe and
 *            metadata, talks to the topic and keeps the promises of delivery.
 * Source     open -> (pull -> settled)* -> close. The runtime pulls a batch
 *            when the source has said that there is something and when there
 *            is room in flight. Records are numbered from 1 in the order in
 *            which they are added; settled(upto) names the longest prefix of
 *            which every record is durable or disposed of by policy.
 * Sink       open -> (ask -> keep) -> (put -> done or failed)* -> drain ->
 *            close. The runtime reads every partition of the topic, puts
 *            batches, and moves the position of a partition behind the longest
 *            prefix of which every record was confirmed by the far side or
 *            disposed of by policy. See struct flv_sink_ops.
 * Threads    Everything runs on the loop of the one thread.
 * Ownership  The runtime allocates, zeroes and frees the configuration and the
 *            state. What is added to a batch is copied. A batch that is put
 *            stays until each of its records is settled.
 * Errors     A source that cannot go on says so once with flv_source_fail();
 *            what was pulled before is still delivered and settled. A sink
 *            says so with flv_sink_fail(). What may pass by itself (a far side
 *            that is away) is no failure: it is tried again for ever.
 * See        docs/connectors.md, connectors/test-connector/ for the smallest.
 */
#ifndef FLUVIO_CONNECTOR_H
#define FLUVIO_CONNECTOR_H

#include <fluvio/err.h>
#include <fluvio/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FLV_API __attribute__((visibility("default")))
#else
#define FLV_API
#endif

struct flv_loop;   /* loop/loop.h */
struct flv_opt;    /* base/opt.h: the option table, ends with a NULL name */
struct flv_batch;  /* records on their way from the source to the topic */
struct flv_source; /* the runtime's side of one running source */
struct flv_sink;   /* the runtime's side of one running sink */
struct flv_probe;  /* the runtime's side of one look at the far side */

#define FLV_CONNECTOR_ABI 1u

/* How a connector's program ends. Stable; also in docs/connectors.md. */
enum flv_connector_exit {
    FLV_EXIT_DONE = 0,    /* finished, or stopped on request after draining */
    FLV_EXIT_FAILURE = 1, /* bad usage, bad configuration, or it failed */
    FLV_EXIT_ABORTED = 2, /* a second signal cut the draining short */
    FLV_EXIT_PROBE = 3,   /* --probe: all is right here, but not over there */
};

struct flv_source_ops {
    size_t state_size; /* the runtime allocates, zeroes and frees */

    /* Starts the source. `conf` is the filled configuration, borrowed until
     * close has completed; `src` is the handle for the calls below. Must not
     * block. After a failure neither pull nor close is called: open leaves
     * nothing behind. */
    flv_rc (*open)(void *state,
                   const void *conf,
                   struct flv_source *src,
                   struct flv_err *err);

    /* Adds at most `credit` records (at least 1 is allowed) to `batch`, which
     * is borrowed for the call. Called after open and after each
     * flv_source_wake(); called again at once while it adds something. Adding
     * nothing means: wait for the next flv_source_wake(). */
    void (*pull)(void *state, struct flv_batch *batch, uint32_t credit);

    /* Every record up to number `upto` is durable, or was disposed of by a
     * named policy: the far side may be told. Numbers grow; NULL if nobody
     * has to be told. */
    void (*settled)(void *state, uint64_t upto);

    /* Ends the source: cancels what is under way, then calls
     * flv_source_closed() exactly once, at once or later. */
    void (*close)(void *state);
};

/* --- sinks ---------------------------------------------------------------- */

/* What is to be told to the far side. The text before `own` is borrowed from
 * the batch. */
struct flv_sink_record {
    int64_t offset; /* of the record of the topic that it was made of */
    /* SmartModules may make several of one: part 0, 1, ...; behind the last
     * one the position is offset + 1. */
    uint32_t part;
    bool last;
    bool has_key;
    struct flv_slice key, value;
    int64_t timestamp_ms; /* since 1970; -1: unknown */
    uint32_t attempts;    /* how often the sink said that it failed */
    uint8_t settled;      /* the runtime's */
    uint8_t failed_at;    /* the same: enum flv_stage_at, of the last time */
    struct flv_sink_batch *batch;
    /* The sink's own. */
    struct flv_sink_record *next;
    void *own;
};

/* Records of one partition, in order. Stays until every record is settled:
 * by flv_sink_done(), flv_sink_batch_done(), or a verdict that it was disposed
 * of. */
struct flv_sink_batch {
    uint32_t partition;
    /* The position behind the batch: what is before it and not here was
     * filtered, or disposed of by policy. */
    int64_t next_offset;
    struct flv_sink_record *records;
    /* 0: everything was filtered. Only sinks that keep positions get such a
     * one, and say flv_sink_batch_done(). */
    uint32_t count;
    /* The sink's own. */
    struct flv_sink_batch *next;
    void *own;
};

/* For sinks that keep positions: whose they are. A position belongs to one
 * creation of a topic: one that was deleted and made anew has another id. */
struct flv_sink_ask {
    const char *consumer; /* the name under which positions are kept */
    const char *name;
    const char *id;        /* at most 63 bytes; "": the cluster cannot tell */
    uint32_t first, count; /* partitions that are asked about */
};

struct flv_sink_position {
    uint32_t partition;
    int64_t next_offset;  /* of the first record that was not applied */
    const char *topic_id; /* as it was kept with it */
};

enum flv_sink_verdict {
    /* Dropped, or its letter is durable: the position may pass it. The record
     * is settled and may be gone when the call returns. */
    FLV_SINK_DISPOSED,
    /* Try it once more, now; the pause has been made. */
    FLV_SINK_AGAIN,
};

/* Who keeps the position of each partition?
 *
 * The runtime, unless keeps_positions: as a named consumer of the cluster,
 * whose rows die with the topic. It resolves and commits the start before it
 * reads, and commits what was confirmed. The far side gets each record at
 * least once.
 *
 * The sink, with keeps_positions: in the same transaction as the records, so
 * that each is applied exactly once. After open the runtime asks (ask) and the
 * sink answers with what it has (flv_sink_positions). A position of another
 * creation of the topic, or beyond its end, ends the connector with the
 * reason. For partitions without a position the runtime resolves the start and
 * has it kept (keep) before anything is read. The cluster's consumer offsets
 * are neither read nor written. When the topic gets more partitions, ask and
 * keep come again for those. */
struct flv_sink_ops {
    size_t state_size; /* the runtime allocates, zeroes and frees */
    bool keeps_positions;

    /* Starts the sink; must not block. A far side that is away is tried for as
     * long as it takes (flv_sink_trouble). After a failure nothing else is
     * called: open leaves nothing behind. */
    flv_rc (*open)(void *state,
                   const void *conf,
                   struct flv_sink *sink,
                   struct flv_err *err);

    /* keeps_positions only, NULL otherwise. Answer with flv_sink_positions(),
     * later; `topic` is borrowed until then, its texts until close. */
    void (*ask)(void *state, const struct flv_sink_ask *topic);
    /* The same: makes these starts durable, then says flv_sink_kept(), later.
     * They are borrowed until that; topic_id is the topic's. */
    void (*keep)(void *state,
                 const struct flv_sink_position *starts,
                 size_t count);

    /* Takes a batch. How much may wait here is limited by the runtime. Of one
     * partition batches come in order. */
    void (*put)(void *state, struct flv_sink_batch *batch);

    /* The answer to flv_sink_failed(), later. */
    void (*verdict)(void *state,
                    struct flv_sink_record *record,
                    enum flv_sink_verdict verdict);

    /* Nothing more is put. all: what is here is still to be delivered; else
     * nothing new is begun, and only what is under way is waited for. Then
     * flv_sink_drained(), at once or later. May come a second time, without
     * all. What stays unconfirmed is read again by the next start. */
    void (*drain)(void *state, bool all);

    /* Cancels what is under way, then calls flv_sink_closed() exactly once, at
     * once or later. Batches are gone after that. */
    void (*close)(void *state);
};

struct flv_connector {
    uint32_t abi;        /* FLV_CONNECTOR_ABI */
    const char *name;    /* "http", "http-sink": the catalogue's name of the
                          * type; that of a sink ends with -sink */
    const char *version; /* "0.1.0" */
    const char *summary; /* one sentence for people */
    const char *section; /* key of its settings in `meta:` files, or NULL */
    const struct flv_opt *opts;
    size_t conf_size; /* of the struct that opts point into */
    /* Checks what single options cannot; NULL if nothing. Runs before
     * anything is opened; the text must name the option. */
    flv_rc (*check)(void *conf, struct flv_err *err);
    /* Further names of --fluvio-topic, ends with NULL; or NULL. */
    const char *const *topic_aliases;
    /* Names of the connector's own counters, ends with NULL; or NULL. They are
     * logged at exit behind the runtime's. */
    const char *const *counters;
    const struct flv_source_ops *source; /* exactly one of these two */
    const struct flv_sink_ops *sink;
    /* Looks once whether the far side is there and gives something (resolve,
     * connect, fetch), then calls flv_probe_done() exactly once, with nothing
     * left open; NULL if there is nothing to look at. Runs instead of the
     * source, never beside it. */
    flv_rc (*probe)(const void *conf,
                    struct flv_probe *probe,
                    struct flv_err *err);
};

/* The whole program: returns the exit status. */
FLV_API int
flv_connector_main(const struct flv_connector *type, int argc, char **argv);

/* --- what a running source may call ------------------------------------- */

/* The loop on which everything runs. */
FLV_API struct flv_loop *flv_source_loop(struct flv_source *src);
/* Name of the instance (the type's where it has none), and its topic; for
 * names that a far side has to know again. Borrowed, never NULL. */
FLV_API const char *flv_source_name(const struct flv_source *src);
FLV_API const char *flv_source_topic(const struct flv_source *src);

/* There is something to pull. Cheap, may be repeated; pull() is never called
 * from inside. */
FLV_API void flv_source_wake(struct flv_source *src);

/* There will never be more: deliver what was pulled, then exit with 0. */
FLV_API void flv_source_end(struct flv_source *src);

/* The source cannot go on: deliver what was pulled, then exit with 1. The
 * first cause is kept and printed. */
FLV_API void flv_source_fail(struct flv_source *src, const struct flv_err *err);

/* The far side is well: records flow from it, or it is known to have none.
 * Cheap, may be repeated. Until a source has said so once, or one of its
 * records is safe, the connector is not called running. */
FLV_API void flv_source_well(struct flv_source *src);

/* Something fails at the far side that the source goes on trying, the next
 * time in retry_in_ms (0: unknown). The first cause is shown to people until
 * the source is well again. */
FLV_API void flv_source_trouble(struct flv_source *src,
                                const struct flv_err *err,
                                uint64_t retry_in_ms);

/* close() has completed; the state is freed soon after. */
FLV_API void flv_source_closed(struct flv_source *src);

/* The stages of a connector itself. Of a source Protocol reads what the far
 * side sends, Extract makes records of it. Of a sink Extract makes of a record
 * what the far side takes (a request, rows), Protocol brings it there. */
enum flv_stage_at {
    FLV_AT_PROTOCOL,
    FLV_AT_EXTRACT,
};
enum flv_fate {
    FLV_FATE_PASSED, /* of Extract: records were made of it */
    FLV_FATE_FILTERED,
    FLV_FATE_FAILED,
};
/* What became of n things of the far side (messages, answers, rows). Each of
 * them ends in one stage; what ends in Extract has passed Protocol. A source
 * that never says it is shown without these stages. */
FLV_API void flv_source_account(struct flv_source *src,
                                enum flv_stage_at at,
                                enum flv_fate fate,
                                uint64_t n);

/* Adds n to counter number `index` of flv_connector.counters. */
FLV_API void
flv_source_count(struct flv_source *src, unsigned index, uint64_t n);

/* --- what a running sink may call ----------------------------------------- */

FLV_API struct flv_loop *flv_sink_loop(struct flv_sink *sink);
/* Name of the instance (the type's where it has none), topic, and the name
 * under which positions are kept. Borrowed, never NULL. */
FLV_API const char *flv_sink_name(const struct flv_sink *sink);
FLV_API const char *flv_sink_topic(const struct flv_sink *sink);
FLV_API const char *flv_sink_consumer(const struct flv_sink *sink);

/* Answers ask(): what is kept, of the partitions asked about or of others; the
 * array is copied. err not NULL: it cannot be known, the connector ends. */
FLV_API void flv_sink_positions(struct flv_sink *sink,
                                const struct flv_sink_position *positions,
                                size_t count,
                                const struct flv_err *err);
/* Answers keep(). */
FLV_API void flv_sink_kept(struct flv_sink *sink, const struct flv_err *err);

/* The far side confirmed it. The record may be gone when this returns; put()
 * is never called from inside. */
FLV_API void flv_sink_done(struct flv_sink *sink,
                           struct flv_sink_record *record);
/* Of a batch: every record that is not settled yet. */
FLV_API void flv_sink_batch_done(struct flv_sink *sink,
                                 struct flv_sink_batch *batch);
/* The record itself is at fault and would be again: it cannot be converted
 * (Extract), or the far side refuses it (Protocol). The policy decides
 * (on-error), a verdict follows, unless the policy ends the connector. err is
 * borrowed; its text stands in log and letter and names what is wrong. */
FLV_API void flv_sink_failed(struct flv_sink *sink,
                             struct flv_sink_record *record,
                             enum flv_stage_at at,
                             const struct flv_err *err);
/* For letters and messages: "topic-0@17". */
#define FLV_SINK_PLACE_MAX 128
FLV_API void flv_sink_place(struct flv_sink *sink,
                            const struct flv_sink_record *record,
                            char out[FLV_SINK_PLACE_MAX]);

/* As for sources: the far side is well; it is in trouble that may pass, and is
 * tried again in retry_in_ms (0: unknown). */
FLV_API void flv_sink_well(struct flv_sink *sink);
FLV_API void flv_sink_trouble(struct flv_sink *sink,
                              const struct flv_err *err,
                              uint64_t retry_in_ms);
/* The sink cannot go on: exit with 1. The first cause is kept and printed. */
FLV_API void flv_sink_fail(struct flv_sink *sink, const struct flv_err *err);
/* drain() and close() have completed. */
FLV_API void flv_sink_drained(struct flv_sink *sink);
FLV_API void flv_sink_closed(struct flv_sink *sink);
/* Adds n to counter number `index` of flv_connector.counters. */
FLV_API void flv_sink_count(struct flv_sink *sink, unsigned index, uint64_t n);

/* --- what a probe may call ------------------------------------------------ */

FLV_API struct flv_loop *flv_probe_loop(struct flv_probe *probe);

/* What was found: a sentence for people, or why it failed (text NULL). */
FLV_API void flv_probe_done(struct flv_probe *probe,
                            const char *text,
                            const struct flv_err *err);

/* --- filling a batch ----------------------------------------------------- */

/* Copies one record into the batch. A NULL key is a record without a key.
 * FLV_E_BUSY: the batch is full, keep the record for the next pull.
 * FLV_E_LIMIT: no batch can ever hold it. */
FLV_API FLV_CHECKED flv_rc flv_batch_add(struct flv_batch *b,
                                         const void *key,
                                         size_t key_len,
                                         const void *value,
                                         size_t value_len,
                                         struct flv_err *err);

/* Records added so far in this pull, and the number (from 1, over the life of
 * the connector) that the next record added will have. */
FLV_API uint32_t flv_batch_count(const struct flv_batch *b);
FLV_API uint64_t flv_batch_next_number(const struct flv_batch *b);

#endif
