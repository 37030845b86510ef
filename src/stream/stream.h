/*
 * stream.h - what a connector asks of the place where records live.
 *
 * Purpose    Names the few verbs a connector needs (make sure that a topic
 *            exists, append batches, learn what is durable, read partitions
 *            and keep positions) and lets drivers
 *            answer them. A driver is chosen by name when the stream is made.
 *            Knows nothing of connectors or YAML.
 * Threads    Loop thread only. Callbacks run on the loop, never from inside
 *            the call that asked for them.
 * Ownership  create/open hands out a handle, close ends with its callback,
 *            after which the handle is gone. Configuration is copied; the
 *            records of an append are copied by the append.
 * Errors     `err` is NULL on success. What can be repeated is repeated by
 *            the driver for as long as delivery_timeout_ms allows.
 * See        include/fluvio/client.h, tests/unit/stream/test_stream.c
 */
#ifndef FLV_STREAM_STREAM_H
#define FLV_STREAM_STREAM_H

#include <fluvio/client.h>

struct flv_stream;
struct flv_writer;

struct flv_stream_conf {
    const char *driver;    /* NULL: "fluvio" */
    const char *address;   /* "host:port"; NULL: the profile's */
    const char *profile;   /* NULL: the active one; not with address */
    const char *client_id; /* "fluvio_connector_NAME" */
    /* From flv_stream_connect() on: the cluster is lost, or one more attempt
     * to reach it failed (err); NULL: it is there again. Nothing has to be
     * under way for that. May be NULL. */
    void (*link)(void *user, const struct flv_err *err);
    void *user; /* of link */
};

FLV_CHECKED flv_rc flv_stream_create(struct flv_stream **out,
                                     struct flv_loop *loop,
                                     const struct flv_stream_conf *conf,
                                     struct flv_err *err);
/* Keeps trying for wait_ms (0: one attempt); `done` says how it went. Losses
 * after that are repaired; only `link` hears of them. */
FLV_CHECKED flv_rc flv_stream_connect(struct flv_stream *s,
                                      uint32_t wait_ms,
                                      flv_done_fn done,
                                      void *user,
                                      struct flv_err *err);
/* "127.0.0.1:9003": for log lines. */
const char *flv_stream_address(const struct flv_stream *s);
/* Closes writers (cancelling), then the rest. `closed` may be NULL. */
void flv_stream_close(struct flv_stream *s, flv_closed_fn closed, void *user);

/* created: whether this call made it. An existing topic is left as it is. */
typedef void (*flv_ensured_fn)(void *user,
                               const struct flv_err *err,
                               bool created);
FLV_CHECKED flv_rc flv_stream_topic_ensure(struct flv_stream *s,
                                           const struct flv_topic_conf *topic,
                                           flv_ensured_fn done,
                                           void *user,
                                           struct flv_err *err);

/* A SmartModule of the cluster with its bytes, borrowed for the call; both
 * NULL: there is none of that name. */
typedef void (*flv_module_fn)(void *user,
                              const struct flv_err *err,
                              const struct flv_slice *wasm);
FLV_CHECKED flv_rc flv_stream_smartmodule(struct flv_stream *s,
                                          const char *name,
                                          flv_module_fn done,
                                          void *user,
                                          struct flv_err *err);

struct flv_tail_conf {
    const char *topic;  /* borrowed until `done` */
    size_t records_max; /* at least 1: the newest of all partitions */
    size_t bytes_max;   /* of what is read: FLV_E_LIMIT beyond */
    int64_t since_ms;   /* none that is older; 0: no limit */
};
/* The end of a topic, oldest first by time; borrowed for the call. */
typedef void (*flv_tail_fn)(void *user,
                            const struct flv_err *err,
                            const struct flv_record_view *records,
                            size_t count);
FLV_CHECKED flv_rc flv_stream_tail(struct flv_stream *s,
                                   const struct flv_tail_conf *conf,
                                   flv_tail_fn done,
                                   void *user,
                                   struct flv_err *err);

struct flv_topic_look {
    const char *id; /* of this creation; "": the cluster cannot tell */
    uint32_t partitions;
};
/* Borrowed for the call. FLV_E_NOT_FOUND: there is no such topic. */
typedef void (*flv_look_fn)(void *user,
                            const struct flv_err *err,
                            const struct flv_topic_look *look);
FLV_CHECKED flv_rc flv_stream_topic_look(struct flv_stream *s,
                                         const char *topic,
                                         flv_look_fn done,
                                         void *user,
                                         struct flv_err *err);

/* What is stored for a consumer, of every topic. */
FLV_CHECKED flv_rc flv_stream_positions(struct flv_stream *s,
                                        const char *consumer,
                                        flv_offsets_fn done,
                                        void *user,
                                        struct flv_err *err);
/* Bound to a creation of the topic (an id that is not ""). FLV_E_NOT_FOUND: it
 * is not there any more. */
FLV_CHECKED flv_rc flv_stream_position_store(struct flv_stream *s,
                                             const struct flv_position *p,
                                             flv_done_fn done,
                                             void *user,
                                             struct flv_err *err);

struct flv_reader;
struct flv_reader_conf {
    const char *topic;
    uint32_t partition;
    struct flv_start start;
    /* NULL; or, where positions are stored by flv_reader_commit(): whose. What
     * is stored takes the place of the start. */
    const char *consumer;
    uint32_t max_bytes; /* of one answer; 0: the client's default */
    bool held;          /* begin with flv_reader_hold() in force */
    void (*batch)(void *user, const struct flv_record_batch *batch);
    /* Before `positioned`: what is there. */
    void (*found)(void *user, int64_t first, int64_t end);
    /* Each time it reads from `offset` on: at the start, and after a loss. */
    void (*positioned)(void *user, int64_t offset);
    /* What cannot be repeated; once. Close it in any case. */
    void (*ended)(void *user, const struct flv_err *err);
    /* As flv_writer_conf. */
    void (*trouble)(void *user, const struct flv_err *err);
    void *user; /* of all; no callback may be NULL */
};
FLV_CHECKED flv_rc flv_reader_open(struct flv_reader **out,
                                   struct flv_stream *s,
                                   const struct flv_reader_conf *conf,
                                   struct flv_err *err);
/* No batches until it is let go; a bounded number of bytes waits. */
void flv_reader_hold(struct flv_reader *r, bool on);
/* Of the last record handled; durable when `done` runs. */
FLV_CHECKED flv_rc flv_reader_commit(struct flv_reader *r,
                                     int64_t offset,
                                     flv_done_fn done,
                                     void *user,
                                     struct flv_err *err);
/* No callback but `closed` (may be NULL) after this. */
void flv_reader_close(struct flv_reader *r, flv_closed_fn closed, void *user);

struct flv_writer_conf {
    const char *topic;
    uint32_t linger_ms;               /* 0: end of the loop's turn */
    uint32_t batch_size_bytes;        /* 16,384 */
    uint32_t request_size_bytes_max;  /* 32 MiB */
    size_t buffer_bytes_max;          /* 32 MiB */
    enum flv_compression compression; /* ANY: the topic's choice */
    uint32_t delivery_timeout_ms;     /* 0: no limit (the default) */
    /* Exactly once per accepted append, in the order of the appends. On
     * success every record of the append is durable. */
    void (*settled)(void *user, uint64_t token, const struct flv_err *err);
    /* After FLV_E_BUSY: try again. May be NULL. */
    void (*writable)(void *user);
    /* Something failed that is being repeated; NULL: it works again. For log
     * lines and states. May be NULL. */
    void (*trouble)(void *user, const struct flv_err *err);
    void *user; /* of all */
};
struct flv_writer_conf flv_writer_conf_default(const char *topic);

/* `opened` once; appends are refused with FLV_E_BUSY before. Close it in any
 * case. */
FLV_CHECKED flv_rc flv_writer_open(struct flv_writer **out,
                                   struct flv_stream *s,
                                   const struct flv_writer_conf *conf,
                                   flv_done_fn opened,
                                   void *user,
                                   struct flv_err *err);
/* Takes all count records (>= 1) or none: FLV_E_BUSY (wait for writable),
 * FLV_E_LIMIT (a record above the request size, or all above the buffer). */
FLV_CHECKED flv_rc flv_writer_append(struct flv_writer *w,
                                     const struct flv_msg *msgs,
                                     size_t count,
                                     uint64_t token,
                                     struct flv_err *err);
/* Sends what lingers now. */
void flv_writer_push(struct flv_writer *w);
/* Appends that were accepted and not settled. */
size_t flv_writer_pending(const struct flv_writer *w);
/* Waits for what is pending for at most drain_ms (0: cancels it), settles
 * every append, then calls closed (may be NULL). */
void flv_writer_close(struct flv_writer *w,
                      uint32_t drain_ms,
                      flv_closed_fn closed,
                      void *user);

#endif
