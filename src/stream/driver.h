/*
 * driver.h - what a driver answers for a stream.
 *
 * Purpose    The table behind stream.h. stream.c keeps what all drivers have
 *            in common: choosing one by name, and settling appends in order.
 * Threads    Loop thread only.
 * Ownership  A driver allocates its stream and its writers, each beginning
 *            with the struct here, and frees them before it calls closed. The
 *            appends are stream.c's; the driver borrows one until
 *            flv__append_over().
 */
#ifndef FLV_STREAM_DRIVER_H
#define FLV_STREAM_DRIVER_H

#include "stream/stream.h"

struct flv__append {
    struct flv__append *next;
    uint64_t token;
    bool over;
    struct flv_err err;
};

struct flv__writer_ops {
    size_t append_size; /* of the driver's struct around flv__append */
    flv_rc (*append)(struct flv_writer *w,
                     const struct flv_msg *msgs,
                     size_t count,
                     struct flv__append *a,
                     struct flv_err *err);
    void (*push)(struct flv_writer *w);
    void (*close)(struct flv_writer *w,
                  uint32_t drain_ms,
                  flv_closed_fn closed,
                  void *user);
};

struct flv_writer {
    const struct flv__writer_ops *ops;
    void (*settled)(void *user, uint64_t token, const struct flv_err *err);
    void *user;
    struct flv__append *first, *last; /* owned, in order */
    size_t pending;
};

struct flv__reader_ops {
    void (*hold)(struct flv_reader *r, bool on);
    flv_rc (*commit)(struct flv_reader *r,
                     int64_t offset,
                     flv_done_fn done,
                     void *user,
                     struct flv_err *err);
    void (*close)(struct flv_reader *r, flv_closed_fn closed, void *user);
};

struct flv_reader {
    const struct flv__reader_ops *ops;
};

struct flv__driver {
    const char *name;
    flv_rc (*create)(struct flv_stream **out,
                     struct flv_loop *loop,
                     const struct flv_stream_conf *conf,
                     struct flv_err *err);
    flv_rc (*connect)(struct flv_stream *s,
                      uint32_t wait_ms,
                      flv_done_fn done,
                      void *user,
                      struct flv_err *err);
    const char *(*address)(const struct flv_stream *s);
    void (*close)(struct flv_stream *s, flv_closed_fn closed, void *user);
    flv_rc (*topic_ensure)(struct flv_stream *s,
                           const struct flv_topic_conf *topic,
                           flv_ensured_fn done,
                           void *user,
                           struct flv_err *err);
    flv_rc (*smartmodule)(struct flv_stream *s,
                          const char *name,
                          flv_module_fn done,
                          void *user,
                          struct flv_err *err);
    flv_rc (*tail)(struct flv_stream *s,
                   const struct flv_tail_conf *conf,
                   flv_tail_fn done,
                   void *user,
                   struct flv_err *err);
    flv_rc (*topic_look)(struct flv_stream *s,
                         const char *topic,
                         flv_look_fn done,
                         void *user,
                         struct flv_err *err);
    flv_rc (*positions)(struct flv_stream *s,
                        const char *consumer,
                        flv_offsets_fn done,
                        void *user,
                        struct flv_err *err);
    flv_rc (*position_store)(struct flv_stream *s,
                             const struct flv_position *p,
                             flv_done_fn done,
                             void *user,
                             struct flv_err *err);
    flv_rc (*reader_open)(struct flv_reader **out,
                          struct flv_stream *s,
                          const struct flv_reader_conf *conf,
                          struct flv_err *err);
    flv_rc (*writer_open)(struct flv_writer **out,
                          struct flv_stream *s,
                          const struct flv_writer_conf *conf,
                          flv_done_fn opened,
                          void *user,
                          struct flv_err *err);
};

struct flv_stream {
    const struct flv__driver *driver;
};

extern const struct flv__driver flv__driver_fluvio;

/* The append is durable (err NULL) or has failed for good. */
void flv__append_over(struct flv_writer *w,
                      struct flv__append *a,
                      const struct flv_err *err);

#endif
