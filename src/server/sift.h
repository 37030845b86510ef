/*
 * sift.h - stored batches through a chain of SmartModules, into a frame.
 *
 * Purpose    The work of a job: takes whole batches from one offset on, runs
 *            the chain over them, and writes what comes out as batches of
 *            exact offsets.
 *
 *              in   | 10 11 12 13 | 14 15 16 |    even numbers pass
 *              out  | 10 | 12 | 14 | 16 |         one batch per run
 *
 *            A batch of the frame begins at its first record and stands for
 *            all offsets up to the next one's first record (its last offset
 *            delta tells how many), so that clients which count offsets to
 *            find the end are right. What was dropped before the first is an
 *            empty batch. Several outputs of one record have its offset.
 * Threads    One at a time: a job, or the loop between jobs.
 * Ownership  Holds its chain. Outputs that did not fit the frame stay in the
 *            chain until the next job.
 * Errors     What a record did is in `why`, behind the records before it.
 * See        docs/format/wire.md (Streams with SmartModules)
 */
#ifndef FLV_SERVER_SIFT_H
#define FLV_SERVER_SIFT_H

#include "server/smart.h"

struct flv_sift {
    struct flv_sm_chain *chain; /* owned; NULL: not made yet */
    bool loose;                 /* one record at a time */
    uint32_t piece;             /* records of one call; 0: not begun */
    int64_t loose_ms;           /* time of the record, when loose */
    int64_t scan;               /* the next record for the chain */
    /* Outputs that are not in a frame yet. */
    bool has_result;
    struct flv_sm_result result;
    size_t taken;
    int64_t result_base; /* offset of the first input record */
    enum flv_codec result_codec;
    struct flv_trouble why; /* code NONE: all is well */
};

/* One job's worth. */
struct flv_sift_pass {
    const struct flv_slice *parts; /* whole batches, ascending */
    uint32_t part_count;
    int64_t from;  /* where the frame begins: what the client has */
    uint8_t *room; /* borrowed: for the frame */
    size_t room_bytes;
    const atomic_bool *stop;
    /* out */
    size_t frame_bytes; /* of batches in the room; 0: nothing came through */
    uint64_t records;   /* in them */
    int64_t to;         /* the frame stands for from..to-1 */
    size_t need_bytes;  /* > 0: nothing fits but this would */
};

/* Job. */
void flv_sift_run(struct flv_sift *s,
                  struct flv_sift_pass *pass,
                  struct flv_bench *b);
/* Job: one empty batch that stands for from..to-1. */
FLV_CHECKED flv_rc flv_sift_nothing(int64_t from,
                                    int64_t to,
                                    struct flv_buf *out);
/* The client goes somewhere else: outputs that wait are dropped. */
void flv_sift_seek(struct flv_sift *s, int64_t offset);
void flv_sift_deinit(struct flv_sift *s);
size_t flv_sift_memory(const struct flv_sift *s);

/* How record sets pass on their way in. */
struct flv_sift_sets {
    struct flv_sm_chain *chain;
    size_t batch_bytes_max; /* of what comes out */
    const atomic_bool *stop;
    /* Records of one call; 0: not begun. Good for the next set, too. */
    uint32_t piece;
    /* Out, of the last set: */
    uint64_t in, out; /* records */
    bool lost;        /* failed, and the chain was not saved */
};
/* Job: a whole record set through the chain; what comes out is in b->out.
 * False: *why. */
bool flv_sift_set(struct flv_sift_sets *sets,
                  struct flv_slice set,
                  struct flv_bench *b,
                  struct flv_trouble *why);

/* What came of a record set: over what it was, or, when it has grown, in
 * memory of its own. */
struct flv_made {
    size_t bytes;
    struct flv_chunk *grown; /* owned, or NULL; not charged yet */
};
/* Job: takes it off the bench to `place`, which has `room`. False: no
 * memory. */
bool flv_made_put(struct flv_made *m,
                  uint8_t *place,
                  size_t room,
                  const struct flv_buf *made);
/* Loop: the memory of a set that has grown is charged like that of a request.
 * False: the budget has none, and the set is gone. */
bool flv_made_charge(struct flv_made *m, struct flv_budget *requests);
#define FLV_MADE_NO_ROOM                                                       \
    "there is no memory for what the SmartModules made of the records; see "   \
    "--memory-max"

#endif
