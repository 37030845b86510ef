/*
 * sink_priv.h - what sink.c (life) and sink_flight.c (records) share.
 *
 * Purpose    The structs behind sink.h.
 * Threads    Loop thread only.
 */
#ifndef FLV_CONNECTOR_SINK_PRIV_H
#define FLV_CONNECTOR_SINK_PRIV_H

#include <sys/queue.h>

#include "base/backoff.h"
#include "connector/sink.h"

/* RUNNING -> DRAINING -> CLOSING -> DONE */
enum flv__sink_phase {
    FLV__SINK_RUNNING,
    FLV__SINK_DRAINING,
    FLV__SINK_CLOSING,
    FLV__SINK_DONE,
};

struct flv__part;

/* A record of the topic on its way. */
struct flv__input {
    int64_t offset;
    uint32_t pending; /* of what was made of it and is not settled */
    uint8_t fate;     /* enum flv_stage_fate */
};

/* The records of one call of the reader, with what became of them. */
struct flv__flight {
    TAILQ_ENTRY(flv__flight) link;   /* of the partition, by offset */
    TAILQ_ENTRY(flv__flight) staged; /* waits for the stage */
    struct flv__part *part;          /* borrowed */
    struct flv_batch in;             /* owns what was read */
    int64_t *offsets, *timestamps;   /* owned; of `in`, for the stage */
    struct flv__input *inputs;       /* owned; as many as in `in` */
    uint32_t input_count;
    uint32_t head;          /* the first input that is not settled */
    struct flv_arena arena; /* owns copies of what the stage made */
    struct flv_sink_batch out;
    uint32_t *origins; /* owned; of out.records: index of the input */
    uint32_t left;     /* of out.records: not settled */
    uint32_t letters;  /* not durable; nothing is put before they are */
    size_t bytes;      /* charged to the partition */
    bool queued;       /* waits for the stage, or is in it */
    bool ready;        /* staged */
    bool put;
    bool empty_put; /* put without records, and not done yet */
};
TAILQ_HEAD(flv__flights, flv__flight);

struct flv__part {
    uint32_t id;
    struct flv__flights flights;
    struct flv__flight *unput;   /* the first one not put; or NULL */
    int64_t position, committed; /* next offset: settled, kept */
    int64_t committing;          /* -1: none under way */
    uint32_t records;            /* in flight */
    size_t bytes;
    bool started, held;
};

/* A letter until it is durable; its address is the token. */
struct flv__sink_letter {
    TAILQ_ENTRY(flv__sink_letter) link;
    struct flv__flight *flight;
    struct flv_sink_record *record; /* NULL: the stage failed on it */
    uint32_t lane;
    bool sent;
    struct flv_msg msg;
    void *bytes; /* owned; of msg */
};
TAILQ_HEAD(flv__sink_letters, flv__sink_letter);

/* A record that failed and is tried again, or was dropped: a verdict is due. */
struct flv__retrial {
    TAILQ_ENTRY(flv__retrial) link;
    struct flv_sink_record *record;
    uint64_t due_ms;
    enum flv_sink_verdict verdict;
};
TAILQ_HEAD(flv__retrials, flv__retrial);

struct flv_sink {
    struct flv_sink_conf conf;
    enum flv__sink_phase phase;
    void *state;             /* owned; the connector's */
    struct flv__part *parts; /* owned */
    uint32_t part_count;
    struct flv__flights queue;   /* for the stage; the first is in it */
    struct flv__flights settled; /* to be freed */
    bool staging;
    struct flv__sink_letters letters;
    struct flv__retrials retrials;
    struct flv_task pump;
    struct flv_timer retry, commit, drain;
    uint64_t number; /* of the last record read; from 1 */
    bool paused;
    bool halted;  /* a policy ended it: what is before it is delivered */
    bool drained; /* the sink said so */
    bool asked_to_drain;
    bool closed; /* the same */
    uint64_t complain_ms, complaints_hidden;
    struct flv_err cause;
    struct flv_pipeline_counts counts;
    uint64_t counters[FLV_COUNTERS_MAX];
};

/* sink_flight.c */
void flv__flight_free(struct flv__flight *f);
/* Frees those that are settled, and gives their room back. */
void flv__flights_sweep(struct flv_sink *s);
/* Puts what is ready, in order, from the head of the partition on. */
void flv__part_put(struct flv_sink *s, struct flv__part *p);
void flv__part_limit(struct flv_sink *s, struct flv__part *p);
/* One record of out is settled. */
void flv__record_settle(struct flv_sink *s,
                        struct flv_sink_record *r,
                        enum flv_stage_fate fate);
/* Letters: makes one of a record that the far side refused; sends what waits.
 */
FLV_CHECKED flv_rc flv__letter_of_record(struct flv_sink *s,
                                         struct flv_sink_record *r,
                                         const struct flv_err *why,
                                         struct flv_err *err);
void flv__letters_send(struct flv_sink *s);
void flv__letter_free(struct flv__sink_letter *l);
/* Hands the first flight of the queue to the stage. */
void flv__stage_next(struct flv_sink *s);

/* sink.c */
void flv__sink_schedule(struct flv_sink *s);
void flv__sink_halt(struct flv_sink *s, const struct flv_err *err);

static inline struct flv__flight *flv__flight_of(struct flv_sink_batch *b)
{
    return FLV_OWNER_OF(b, struct flv__flight, out);
}

#endif
