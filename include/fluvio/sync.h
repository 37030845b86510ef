/*
 * sync.h - libfluvio, blocking: topics and records without an event loop.
 *
 * Purpose    The small face of the library: connect, make topics, put and
 *            flush, next and commit. A call returns when it is done or when
 *            its time is up. What is not here is in client.h, the
 *            asynchronous face that these calls are made of.
 *
 *                struct flv_sync *s = NULL;
 *                struct flv_sync_producer *p = NULL;
 *                struct flv_producer_conf conf =
 *                    flv_producer_conf_default("cats");
 *                struct flv_msg msg = {.value = flv_slice_str("tom"),
 *                                      .partition = -1};
 *                struct flv_err err;
 *
 *                if (flv_sync_open(&s, NULL, &err) != FLV_OK ||
 *                    flv_sync_producer_open(&p, s, &conf, &err) != FLV_OK ||
 *                    flv_sync_put(p, &msg, 1, 5000, &err) != FLV_OK ||
 *                    flv_sync_flush(p, 5000, &err) != FLV_OK)
 *                        fprintf(stderr, "%s\n", err.text);
 *                flv_sync_close(s);
 *
 * Threads    Each flv_sync owns one thread. It runs the event loop, so that
 *            batches are sent, acknowledgements and records come in, offsets
 *            are stored and lost connections are made again while the program
 *            does something else. That thread blocks all signals and calls
 *            nothing of the program's. (While a host name is looked up there
 *            is one more.) Signal handlers, SIGPIPE's too, stay as they are.
 *            Any thread may call any function of an flv_sync and of its
 *            producers, at the same time; a consumer belongs to one thread at
 *            a time. Closing comes last: nobody else may be inside of a call
 *            on what is closed, or make one later. After fork() the child may
 *            not touch any of it.
 * Time       timeout_ms bounds a call: FLV_FOREVER does not, 0 only looks.
 *            Calls without it take at most the timeout_ms of flv_sync_conf.
 *            Each error of time or connection names the server's address.
 * Ownership  Configurations, names and records given are copied. What close
 *            is given may be NULL. Closing an flv_sync also closes what was
 *            opened on it and is still open.
 * Errors     Branch on flv_rc_class(err->rc). Any function may return
 *            FLV_E_NOMEM; what else is said with each. Outputs stay untouched
 *            on failure.
 * See        docs/libfluvio.md, examples/c/
 */
#ifndef FLUVIO_SYNC_H
#define FLUVIO_SYNC_H

#include <fluvio/client.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct flv_sync;
struct flv_sync_producer;
struct flv_sync_consumer;

/* ------------------------------------------------------------ connection */

/* Zeroed, it means the active profile. */
struct flv_sync_conf {
    const char *address;       /* "host:port" of the cluster; NULL: a profile */
    struct flv_client_tls tls; /* with address; zeroed: plain */
    const char *profile;       /* NULL: the active one */
    const char *profile_path;  /* NULL: FLV_PROFILE_PATH, else
                                * ~/.fluvio/config */
    const char *client_id;     /* NULL: the profile's, else "fluvio" */
    uint32_t timeout_ms;       /* of calls without one; 0: 30,000 */
    uint32_t wait_ms;          /* open: goes on trying that long; 0: one
                                * attempt, so that "nobody listens" is told at
                                * once */
    uint32_t quiet_ms;         /* of the server's silence, as in
                                * flv_client_conf; 0: its default */
};

/* Connects. conf NULL: as zeroed. FLV_E_NOT_FOUND: no such profile;
 * FLV_E_INVALID: the profile's file or certificates; FLV_E_CONNECT,
 * FLV_E_CLOSED, FLV_E_TIMEOUT: nobody listens, it hangs up, it is silent;
 * FLV_E_PROTOCOL, FLV_E_LIMIT: what listens there is no Fluvio cluster. */
FLV_CHECKED flv_rc flv_sync_open(struct flv_sync **out,
                                 const struct flv_sync_conf *conf,
                                 struct flv_err *err);
/* Without waiting for what is under way: a producer that was not flushed or
 * closed loses what it holds. */
void flv_sync_close(struct flv_sync *s);

/* ---------------------------------------------------------------- topics */

/* Takes what flv_topic_conf_default(NAME) returns, changed where needed.
 * FLV_E_EXISTS: there is one of that name; FLV_E_INVALID: the server does not
 * like the configuration, and says why. */
FLV_CHECKED flv_rc flv_sync_topic_create(struct flv_sync *s,
                                         const struct flv_topic_conf *conf,
                                         struct flv_err *err);
/* FLV_E_NOT_FOUND. */
FLV_CHECKED flv_rc flv_sync_topic_delete(struct flv_sync *s,
                                         const char *name,
                                         struct flv_err *err);

struct flv_sync_topics {
    const struct flv_topic_info *at;
    size_t count;
    void *memory; /* private */
};
/* All topics but the system's, or only the one of that name (count 0 where
 * there is none). The caller frees what comes. */
FLV_CHECKED flv_rc flv_sync_topics(struct flv_sync *s,
                                   const char *name,
                                   struct flv_sync_topics *out,
                                   struct flv_err *err);
void flv_sync_topics_free(struct flv_sync_topics *topics);

/* -------------------------------------------------------------- producer */

/* Takes what flv_producer_conf_default(TOPIC) returns, changed where needed;
 * its callbacks are not used here and have to be NULL. FLV_E_NOT_FOUND: there
 * is no such topic; FLV_E_INVALID: the configuration. */
FLV_CHECKED flv_rc flv_sync_producer_open(struct flv_sync_producer **out,
                                          struct flv_sync *s,
                                          const struct flv_producer_conf *conf,
                                          struct flv_err *err);

/* Accepts records, all or none, in the order of the calls: they are copied and
 * sent as the configuration says; they are stored when a later flush says so.
 * Waits while buffer_bytes_max are accepted and not acknowledged: FLV_E_BUSY
 * (or what keeps the server from acknowledging, which the text names in any
 * case) when there is no room in time. FLV_E_LIMIT: a record is larger than a
 * request, or all together than the buffer. */
FLV_CHECKED flv_rc flv_sync_put(struct flv_sync_producer *p,
                                const struct flv_msg *msgs,
                                size_t count,
                                uint32_t timeout_ms,
                                struct flv_err *err);

/* Returns when every record accepted before is acknowledged, or failed for
 * good: then with the first failure since the last flush that told one.
 * FLV_E_TIMEOUT: not yet; it goes on, and may be waited for again. */
FLV_CHECKED flv_rc flv_sync_flush(struct flv_sync_producer *p,
                                  uint32_t timeout_ms,
                                  struct flv_err *err);

/* Where a record went. */
struct flv_sync_place {
    uint32_t partition;
    int64_t offset; /* -1: it failed, or was a repetition of what the server
                     * had and no longer knows the place of */
};
/* Puts, and waits for these records' own acknowledgement. places has room for
 * count of them, or is NULL; they are filled in also where only some records
 * failed, which is the error then. FLV_E_TIMEOUT: nobody knows yet whether
 * they will be stored; flush tells. Errors are those of put and flush;
 * FLV_E_INVALID: there is no such partition. */
FLV_CHECKED flv_rc flv_sync_send(struct flv_sync_producer *p,
                                 const struct flv_msg *msgs,
                                 size_t count,
                                 struct flv_sync_place *places,
                                 uint32_t timeout_ms,
                                 struct flv_err *err);

FLV_CHECKED flv_rc flv_sync_producer_stats(struct flv_sync_producer *p,
                                           struct flv_producer_stats *out,
                                           struct flv_err *err);

/* Sends and waits for what is left for at most timeout_ms, then closes in any
 * case. The error, if any, is a failure that no flush has told. */
flv_rc flv_sync_producer_close(struct flv_sync_producer *p,
                               uint32_t timeout_ms,
                               struct flv_err *err);

/* -------------------------------------------------------------- consumer */

/* Takes what flv_consumer_conf_default(TOPIC) returns, changed where needed:
 * partitions (all of the topic), start, end, isolation, consumer_id and
 * strategy of offsets; its callbacks are not used here and have to be NULL.
 * Returns when every partition is positioned: what is produced later comes.
 * FLV_E_NOT_FOUND: there is no such topic or partition; FLV_E_INVALID: the
 * configuration. */
FLV_CHECKED flv_rc flv_sync_consumer_open(struct flv_sync_consumer **out,
                                          struct flv_sync *s,
                                          const struct flv_consumer_conf *conf,
                                          struct flv_err *err);

struct flv_sync_record {
    const char *topic;
    uint32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* since 1970; -1: unknown */
    struct flv_slice key; /* only with has_key */
    struct flv_slice value;
    bool has_key;
};

/* The next record of any partition: in order within each. *out is NULL at the
 * end, where one was asked for (end_offset, stop_at_end); otherwise it is
 * valid until the next call on the consumer. FLV_E_TIMEOUT: none came in time;
 * FLV_E_CONNECT, FLV_E_CLOSED: the same, and why: the connection is lost and
 * is being made again. All of that is of FLV_CLASS_RETRY. Any other class:
 * the consumer has ended, as with FLV_E_NOT_FOUND, the topic was deleted;
 * FLV_E_CORRUPT, the records are damaged; and every later call says so
 * again. */
FLV_CHECKED flv_rc flv_sync_next(struct flv_sync_consumer *k,
                                 uint32_t timeout_ms,
                                 const struct flv_sync_record **out,
                                 struct flv_err *err);

/* With FLV_OFFSETS_MANUAL: all that next has given of that partition, up to
 * and with that offset, was handled. Does not wait: it is stored by commit and,
 * where offset_flush_ms is not 0, from time to time, but not at close. With
 * FLV_OFFSETS_AUTO there is no need: a record was handled when next is called
 * for the one behind it. FLV_E_INVALID: no consumer_id, or not a partition or
 * an offset that was given. */
FLV_CHECKED flv_rc flv_sync_mark(struct flv_sync_consumer *k,
                                 uint32_t partition,
                                 int64_t offset,
                                 struct flv_err *err);

/* Stores what is marked, or, with FLV_OFFSETS_AUTO, what was handled; returns
 * when the server has made it durable. AUTO does it by itself too, every
 * offset_flush_ms (0: 10,000) and at close. FLV_E_TIMEOUT; FLV_E_INVALID: no
 * consumer_id.
 */
FLV_CHECKED flv_rc flv_sync_commit(struct flv_sync_consumer *k,
                                   uint32_t timeout_ms,
                                   struct flv_err *err);

FLV_CHECKED flv_rc flv_sync_consumer_stats(struct flv_sync_consumer *k,
                                           struct flv_consumer_stats *out,
                                           struct flv_err *err);

/* With FLV_OFFSETS_AUTO it first stores what was handled, for which it takes
 * at most timeout_ms (0: it does not); that may fail, as with commit, and is
 * the error then. It closes in any case. A record that no call of next
 * followed counts as not handled: it comes again. */
flv_rc flv_sync_consumer_close(struct flv_sync_consumer *k,
                               uint32_t timeout_ms,
                               struct flv_err *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
