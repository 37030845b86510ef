/*
 * producer.h - a producer and its lanes, one per partition.
 *
 * Purpose    producer.c accepts records, counts bytes and completes sends;
 *            lane.c turns the records of one partition into batches and gets
 *            them acknowledged in order.
 *
 *      records --> builder --seal--> ring: [sent][sent][ready][ready]
 *                                           |           ^
 *                                         head       next_send
 *
 *            A batch leaves the ring when it is acknowledged or has failed
 *            for good. When one fails in a way that may pass, the lane stalls:
 *            nothing more is sent until everything in flight is answered, then
 *            all that is left goes out again from the head, the same bytes
 *            with the same sequence, so that the order is kept and the server
 *            recognises what it has. The head goes alone then, as does the
 *            first batch on a new connection: a server of Fluvio's that is not
 *            yet the leader could refuse it and, a moment later, store the one
 *            behind it.
 * Threads    Loop thread only.
 * Ownership  The producer owns its lanes, a lane its batches; a batch refers
 *            to the sends whose records it carries.
 */
#ifndef FLV_CLIENT_PRODUCER_H
#define FLV_CLIENT_PRODUCER_H

#include "client/internal.h"
#include "client/stats.h"
#include "wire/batch.h"
#include "wire/spu.h"

/* Records of one send within one batch, side by side. */
struct flv__share {
    struct flv_send *send; /* borrowed */
    uint32_t first;        /* place in the batch */
    bool begins;           /* holds the send's first record */
};

struct flv__shares {
    struct flv__share *at; /* owned */
    uint32_t len, cap;
};

struct flv__batch {
    struct flv__batch *next, *prev;
    struct flv__lane *lane;  /* borrowed */
    struct flv_chunk *bytes; /* owned */
    struct flv__shares shares;
    uint32_t count;
    int64_t producer_id; /* -1: not numbered */
    int32_t sequence;
    size_t cost;          /* charged to the producer's buffer */
    uint64_t deadline_ms; /* 0: none */
    uint64_t since_ns;    /* when its first record was accepted */
    bool sent;            /* on its way */
    bool tried;           /* was on its way before */
    bool refused;         /* out of sequence, by the last answer */
    struct flv_err last_err;
    struct flv__call call;
    struct flv_wire_produce_request request;
    struct flv_wire_produce_topic topic;
    struct flv_wire_produce_partition partition;
};

struct flv__lane {
    struct flv_producer *producer; /* borrowed */
    uint32_t partition;
    struct flv_batch_builder builder;
    struct flv__shares open; /* of the builder's records */
    size_t open_cost;
    uint64_t open_deadline_ms, open_since_ns;
    bool due; /* the open batch goes as soon as there is room */

    struct flv__batch ring; /* head */
    struct flv__batch *next_send;
    uint32_t in_flight;
    bool stalled;
    bool proven;      /* took a batch since the connection or a batch failed */
    bool backing_off; /* the retry timer decides when to go on */
    unsigned attempts;
    struct flv_err disk; /* with fail_on_storage: what ends all that waits */
    int64_t producer_id;
    int32_t next_sequence;

    int32_t leader; /* SPU id, -1: none chosen */
    struct flv__peer *peer;
    struct flv__peer_listener link;
    struct flv_timer linger, retry, expiry;
    struct flv_task pump;
};

enum flv__producer_state {
    FLV__PRODUCER_OPENING,
    FLV__PRODUCER_OPEN,
    FLV__PRODUCER_FAILED, /* the topic was not found */
    FLV__PRODUCER_CLOSING,
};

struct flv__flush {
    struct flv__flush *next;
    uint64_t upto;    /* waits for sends with a lower number */
    size_t remaining; /* of them */
    flv_done_fn done;
    void *user;
};

struct flv_producer {
    struct flv__op op;
    struct flv_client *client; /* borrowed */
    struct flv_producer_conf conf;
    char topic[FLV__NAME_MAX];
    enum flv__producer_state state;
    enum flv_codec codec;
    struct flv__finder lookup;
    struct flv__meta_listener changes;
    flv_done_fn opened;
    void *opened_user;

    struct flv__lane **lanes; /* owned */
    uint32_t lane_count;
    uint32_t partitions; /* of the topic now; at most lane_count */
    uint32_t round_robin;
    struct flv_compressor *z; /* owned */
    struct flv_buf scratch;   /* a batch being finished */

    struct flv_producer_stats stats;
    struct flv__latency latency;
    size_t buffered;    /* bytes accepted and not completed */
    size_t outstanding; /* sends accepted and not completed */
    uint64_t next_number;
    bool wants_writable;
    struct flv_err trouble;     /* what is being repeated now */
    bool deleted;               /* the topic is gone; sends are refused */
    struct flv__flush *flushes; /* owned */
    struct flv_send *empty;     /* sends of which nothing is left to send */
    struct flv_task work;       /* writable and flushes */
    struct flv_task close_task;
    struct flv_timer drain;
    flv_closed_fn closed;
    void *closed_user;
};

/* lane.c */
FLV_CHECKED flv_rc flv__lane_create(struct flv_producer *p,
                                    uint32_t partition,
                                    struct flv__lane **out,
                                    struct flv_err *err);
/* Cancels what is in flight; the batches have to be gone (flv__lane_fail). */
void flv__lane_destroy(struct flv__lane *lane);
/* Appends one record of the send; the send's pending counts batches. */
FLV_CHECKED flv_rc flv__lane_add(struct flv__lane *lane,
                                 const struct flv_msg *msg,
                                 struct flv_send *send,
                                 bool begins,
                                 struct flv_err *err);
/* Size of a batch with this record alone. */
size_t flv__lane_record_size(const struct flv_msg *msg);
size_t flv__lane_record_cost(const struct flv_msg *msg);
void flv__lane_push(struct flv__lane *lane); /* no more lingering */
void flv__lane_leader_changed(struct flv__lane *lane);
/* Fails everything the lane holds. */
void flv__lane_fail(struct flv__lane *lane, const struct flv_err *err);

/* producer.c, for the lanes */
/* One batch's part of a send is settled; may complete it. err NULL: stored,
 * base_offset is the batch's (-1: unknown). */
void flv__producer_settle(struct flv_producer *p,
                          const struct flv__share *share,
                          uint32_t partition,
                          int64_t base_offset,
                          const struct flv_err *err);
void flv__producer_uncharge(struct flv_producer *p, size_t cost);
void flv__producer_trouble(struct flv_producer *p, const struct flv_err *err);

#endif
