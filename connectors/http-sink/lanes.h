/*
 * lanes.h - which records may be sent now.
 *
 * Purpose    A lane is a queue of records of which one request at a time is
 *            under way: records of one key, of one partition, or (without
 *            order) a single record. So records of a lane never overlap nor
 *            overtake one another, while lanes go side by side.
 *
 *              ready --next--> busy --done--> ready, or gone when empty
 *                ^              |
 *                +-- asleep <---+-- failed: until its pause is over
 *                +-- blocked <--+-- refused: until the verdict
 *
 * Threads    Loop thread only.
 * Ownership  The caller owns struct lanes and lanes own nothing but
 *            themselves: records are linked by their `next`, lanes found by
 *            their `own`.
 * Errors     FLV_E_NOMEM.
 */
#ifndef FLV_CONNECTORS_HTTP_SINK_LANES_H
#define FLV_CONNECTORS_HTTP_SINK_LANES_H

#include <sys/queue.h>

#include "base/backoff.h"
#include "http_sink.h"

#define LANES_BUCKETS 4096

enum lane_state { LANE_READY, LANE_BUSY, LANE_ASLEEP, LANE_BLOCKED };

struct lane {
    TAILQ_ENTRY(lane) link; /* of ready or asleep */
    TAILQ_ENTRY(lane) every;
    struct lane *same; /* the next one in its bucket */
    uint64_t hash;
    enum lane_state state;
    uint32_t partition;
    bool keyed, shared; /* by key; to be found by later records */
    struct flv_sink_record *first, *last; /* in order */
    struct flv_backoff backoff;
    uint64_t due_ms; /* ASLEEP */
    uint32_t limit;  /* records of its next batch; 0: all */
};
TAILQ_HEAD(lane_list, lane);

struct lanes {
    const struct http_sink_conf *conf; /* borrowed */
    uint64_t seed[2];
    struct lane_list ready, asleep; /* asleep: the first due stands first */
    struct lane_list all;           /* owned */
    size_t count;                   /* of all lanes */
    size_t busy, sleeping, blocked;
    struct lane **buckets; /* owned */
};

FLV_CHECKED flv_rc lanes_init(struct lanes *l,
                              const struct http_sink_conf *conf,
                              struct flv_err *err);
void lanes_deinit(struct lanes *l);
FLV_CHECKED flv_rc lanes_add(struct lanes *l,
                             struct flv_sink_record *record,
                             struct flv_err *err);
/* The next lane that may send; it is BUSY then. NULL: none. */
struct lane *lanes_next(struct lanes *l);
/* The first `count` records of a busy lane are settled; it is ready again, or
 * gone. */
void lanes_done(struct lanes *l, struct lane *lane, uint32_t count);
/* A busy lane tries again: at once, later, or after a verdict. */
void lanes_ready(struct lanes *l, struct lane *lane);
void lanes_sleep(struct lanes *l, struct lane *lane, uint64_t due_ms);
void lanes_block(struct lanes *l, struct lane *lane);
/* Those whose time has come are ready; the time of the next one, 0: none. */
uint64_t lanes_wake(struct lanes *l, uint64_t now_ms);

#endif
