/*
 * producer.h - which batches of numbered producers are stored already.
 *
 * Purpose    For each producer id: its epoch, the last five batches that are
 *            in the log, and how far staging has gone. Bounded; the producer
 *            idle for longest is forgotten first. Internal to store.
 * Threads    One thread at a time.
 * Ownership  Owns its entries; a struct flv__producer stays valid while it
 *            has staged batches.
 * See        docs/durability.md, docs/format/checkpoint.md
 */
#ifndef FLV_STORE_PRODUCER_H
#define FLV_STORE_PRODUCER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "store/format.h"

#define FLV__PRODUCER_WINDOW 5
#define FLV__PRODUCER_BUCKETS 256

struct flv__producer_batch {
    int64_t base_offset;
    int32_t first, last; /* sequences */
};

struct flv__producer {
    int64_t id;
    int16_t epoch; /* of what is stored; valid if count > 0 */
    uint8_t count;
    struct flv__producer_batch stored[FLV__PRODUCER_WINDOW]; /* oldest first */
    /* What is staged and not yet stored. */
    uint32_t staged;
    int16_t staged_epoch;
    int32_t staged_last;
    TAILQ_ENTRY(flv__producer) by_age;
    LIST_ENTRY(flv__producer) in_bucket;
};

TAILQ_HEAD(flv__producer_list, flv__producer);
LIST_HEAD(flv__producer_bucket, flv__producer);

struct flv__producers {
    struct flv__producer_bucket *buckets; /* owned, made on first use */
    struct flv__producer_list by_age;     /* idle for longest first */
    uint32_t count, max;
};

void flv__producers_init(struct flv__producers *t, uint32_t max);
void flv__producers_deinit(struct flv__producers *t);

/* NULL if it is not known. */
struct flv__producer *flv__producers_find(const struct flv__producers *t,
                                          int64_t id);

enum flv__sequence {
    FLV__SEQ_NEXT,    /* new, in order */
    FLV__SEQ_STORED,  /* known; *base_offset says where */
    FLV__SEQ_STAGED,  /* staged already; where: ask the queue */
    FLV__SEQ_OLD,     /* stored longer ago than the window reaches */
    FLV__SEQ_GAP,     /* skips ahead, or overlaps what is known */
    FLV__SEQ_FENCED,  /* an epoch below the current one */
    FLV__SEQ_UNKNOWN, /* no such producer, and not its sequence 0 */
};

/* Judges a run of sequences of one producer; changes nothing. */
enum flv__sequence flv__producers_judge(const struct flv__producers *t,
                                        const struct flv__batch_head *run,
                                        int64_t *base_offset);
/* Notes a run judged NEXT as staged. BUSY: every known producer has staged
 * batches; NOMEM. */
FLV_CHECKED flv_rc flv__producers_stage(struct flv__producers *t,
                                        const struct flv__batch_head *run,
                                        struct flv__producer **out);
/* One staged run ended, well (its batches were noted by _store) or not. */
void flv__producers_unstage(struct flv__producers *t, struct flv__producer *p);

/* Notes one batch as stored at its base offset. Without memory for a producer
 * not known yet: NOMEM. */
FLV_CHECKED flv_rc flv__producers_store(struct flv__producers *t,
                                        const struct flv__batch_head *batch);

/* As bytes, idle for longest first. */
FLV_CHECKED flv_rc flv__producers_put(const struct flv__producers *t,
                                      struct flv_buf *out);
/* Adds `count` producers from the front of *bytes; CORRUPT, NOMEM. */
FLV_CHECKED flv_rc flv__producers_get(struct flv__producers *t,
                                      uint32_t count,
                                      struct flv_slice *bytes);

#endif
