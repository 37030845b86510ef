/*
 * connector.h - what a connector type is, and the runtime that runs it.
 *
 * Purpose    A connector type is one descriptor: name, summary, version, one
 *            option table and the operations of a source. main() of its
 *            program is one call of flv_connector_main(), which reads options
 *            and configuration files, answers --help, --describe and metadata,
 *            talks to the topic and keeps the promises of delivery.
 * Flow       open -> (pull -> settled)* -> close. The runtime pulls a batch
 *            when the source has said that there is something and when there
 *            is room in flight. Records are numbered from 1 in the order in
 *            which they are added; settled(upto) names the longest prefix of
 *            which every record is durable or disposed of by policy.
 * Threads    Everything runs on the loop of the one thread.
 * Ownership  The runtime allocates, zeroes and frees the configuration and the
 *            state. What is added to a batch is copied.
 * Errors     A source that cannot go on says so once with flv_source_fail();
 *            what was pulled before is still delivered and settled.
 * See        docs/connectors.md, connectors/test-connector/ for the smallest.
 */
#ifndef FLUVIO_CONNECTOR_H
#define FLUVIO_CONNECTOR_H

#include <fluvio/err.h>
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

struct flv_connector {
    uint32_t abi;        /* FLV_CONNECTOR_ABI */
    const char *name;    /* "http": the catalogue's name of the type */
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
    const struct flv_source_ops *source;
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

/* Adds n to counter number `index` of flv_connector.counters. */
FLV_API void
flv_source_count(struct flv_source *src, unsigned index, uint64_t n);

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
