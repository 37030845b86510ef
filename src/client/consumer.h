/*
 * consumer.h - a consumer and its feeds, one per partition.
 *
 * Purpose    consumer.c finds the topic and the stored offsets; feed.c keeps
 *            one stream open, delivers its records and goes on behind the last
 *            one after a loss; commit.c stores offsets; marks.c knows which.
 *
 *      start --no offset--> positioning --offset--> streaming --> ended
 *                                ^                   |   ^
 *                                +---- back-off <----+---+  connection lost
 *
 *            The server sends one frame and waits for the offset that is
 *            wanted next. That is told when a frame comes, so that the next
 *            one is under way while this one is delivered; while the consumer
 *            is paused it is told after delivery. So at most two frames wait.
 * Threads    Loop thread only.
 * Ownership  The consumer owns its feeds; a feed holds references to frames
 *            that are not delivered yet.
 */
#ifndef FLV_CLIENT_CONSUMER_H
#define FLV_CLIENT_CONSUMER_H

#include "client/internal.h"
#include "client/stats.h"
#include "wire/batch.h"
#include "wire/spu.h"

#define FLV__FEED_FRAMES_MAX 2
#define FLV__FEED_VIEWS_MAX 1024 /* records in one call of batch */

struct flv__commit {
    struct flv__commit *next;
    struct flv__feed *feed; /* borrowed */
    int64_t offset;
    flv_done_fn done;
    void *user;
    struct flv_timer timer;
};

/* A frame that waits to be delivered. */
struct flv__held {
    struct flv_chunk *frame; /* referenced */
    struct flv_slice rest;   /* batches not opened yet */
    int64_t floor;           /* what is below is not wanted; -1: not begun */
    int64_t next_offset;     /* where to go on behind it */
    int64_t high_watermark, log_start_offset;
    bool told;          /* the server knows next_offset */
    struct flv_err err; /* comes behind the records */
};

struct flv__feed {
    struct flv_consumer *consumer; /* borrowed */
    uint32_t partition;
    int64_t next_offset; /* of the next record to deliver; -1: not known */
    int64_t stop_offset; /* the first one not to deliver */
    bool limited;        /* stop_at_end has been applied */
    bool measured;       /* `found` was told for the stream that comes next */
    bool ended;
    bool opened;    /* its stream was open and positioned once */
    int64_t marked; /* handled up to here; -1: nothing */
    int64_t asked;  /* the mark that was sent last; -1: none */

    struct flv__peer *peer;
    struct flv__peer_listener link;
    struct flv_timer retry;
    struct flv_task pump;
    unsigned attempts;
    bool backing_off;
    bool troubled; /* and the owner was told */

    struct flv__call position;
    struct flv_wire_fetch_offsets_request position_body;
    struct flv_wire_offsets_topic position_topic;
    struct flv__call stream;
    struct flv_wire_stream_fetch_request stream_body;
    uint32_t stream_id; /* 0: not known yet */
    int64_t opened_at;  /* offset that the stream was asked for */
    uint32_t max_bytes; /* and bytes of one frame; grows, see whole_batch() */
    struct flv__call tell;
    struct flv_wire_update_offsets_request tell_body;
    struct flv_wire_offset_update tell_entry;
    bool tell_again; /* another offset is to be told */
    int64_t tell_offset;

    struct flv__held held[FLV__FEED_FRAMES_MAX];
    size_t held_count;
    struct flv_batch_reader reader;
    bool reading; /* a batch of held[0] is open */
    bool delivering;

    struct flv__commit *commits; /* owned; the oldest first */
    struct flv__call commit;
    struct flv_wire_update_consumer_offset_request commit_body;
    struct flv__commit *commit_upto; /* the last one that was sent */
};

enum flv__consumer_state {
    FLV__CONSUMER_OPENING,
    FLV__CONSUMER_OPEN,
    FLV__CONSUMER_ENDED,
    FLV__CONSUMER_CLOSING,
};

struct flv_consumer {
    struct flv__op op;
    struct flv_client *client; /* borrowed */
    struct flv_consumer_conf conf;
    char topic[FLV__NAME_MAX], consumer_id[FLV__NAME_MAX];
    struct flv_arena arena; /* owned: modules */
    struct flv_wire_module_invocation *modules;
    enum flv__consumer_state state;
    struct flv__finder lookup;
    struct flv__meta_listener changes;
    uint32_t *wanted;         /* owned; partitions asked for, NULL: all */
    struct flv__feed **feeds; /* owned */
    size_t feed_count;
    bool paused;
    bool failed;      /* ended with end_err */
    bool told_opened; /* or there is nobody to tell */
    bool storing;     /* closes when the last marks are stored */
    struct flv__flush_marks *flushes; /* owned */
    struct flv_timer flush_timer;
    struct flv_consumer_stats stats;
    struct flv__latency latency;
    struct flv_err end_err;
    struct flv_compressor *z;      /* owned */
    struct flv_record_view *views; /* owned; FLV__FEED_VIEWS_MAX */
    struct offsets_wait *offsets;  /* borrowed; answer under way */
    struct flv_task close_task, end_task;
    flv_closed_fn closed;
    void *closed_user;
};

/* feed.c */
FLV_CHECKED flv_rc flv__feed_create(struct flv_consumer *k,
                                    uint32_t partition,
                                    struct flv__feed **out,
                                    struct flv_err *err);
void flv__feed_destroy(struct flv__feed *f);
/* Looks for something to do, later in this turn. */
void flv__feed_pump(struct flv__feed *f);
/* Stops for good: nothing is asked or delivered any more. */
void flv__feed_stop(struct flv__feed *f);

/* commit.c */
FLV_CHECKED flv_rc flv__commit_add(struct flv__feed *f,
                                   int64_t offset,
                                   flv_done_fn done,
                                   void *user,
                                   struct flv_err *err);
void flv__commit_send(struct flv__feed *f);
/* The stream is gone: what was sent has to be sent again. */
void flv__commit_lost(struct flv__feed *f);
void flv__commit_fail_all(struct flv__feed *f, const struct flv_err *err);
/* Where a stream has to begin so that the server tells its id at once; the
 * feed's next offset when no commit waits for it. */
int64_t flv__commit_stream_offset(const struct flv__feed *f);

/* marks.c */
FLV_CHECKED flv_rc flv__marks_start(struct flv_consumer *k,
                                    struct flv_err *err);
/* done may be NULL; never from inside the call. */
FLV_CHECKED flv_rc flv__marks_flush(struct flv_consumer *k,
                                    flv_done_fn done,
                                    void *user,
                                    struct flv_err *err);
/* The commits have to be gone. */
void flv__marks_cancel(struct flv_consumer *k, const struct flv_err *err);

/* consumer.c, for the feeds */
/* One more feed is open, or has ended without. */
void flv__consumer_feed_opened(struct flv_consumer *k);
void flv__consumer_fail(struct flv_consumer *k, const struct flv_err *err);
void flv__consumer_feed_ended(struct flv_consumer *k);

#endif
