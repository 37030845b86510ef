/*
 * log_impl.h - what the files of store share about a struct flv_log.
 *
 * Purpose    The log's parts. stage.c, commit.c and upkeep.c are the state
 *            machine (staging; jobs' beginning and end), job.c is what jobs
 *            do on disk, read.c reading, recover.c opening. Internal to
 *            store.
 * Threads    Loop thread, except what a job or a read carries with it: those
 *            fields do not change while it is out.
 *
 *     segments  [ 0 ............ ) [ 4711 ....... ) [ 9000 ... active
 *                                                      |    |     |
 *                              synced: hw, hw_pos ------+    |     |
 *                              visible: leo, pos ------------+     |
 *                              staged: next_offset ----------------+
 */
#ifndef FLV_STORE_LOG_IMPL_H
#define FLV_STORE_LOG_IMPL_H

#include "store/checkpoint.h"
#include "store/log.h"

struct flv__segment {
    struct flv__segment_head head;
    uint32_t bytes;          /* visible end of the file */
    uint32_t room_end;       /* behind it there are zeros up to here; 0: none */
    int64_t end_offset;      /* behind its last visible record */
    struct flv_file *file;   /* owned; NULL while cold */
    bool indexed;            /* index is there, complete up to `bytes` */
    bool index_unsaved;      /* its file has to be written */
    bool next;               /* the name of its file still ends so */
    bool trimmed;            /* to be removed when nobody holds it */
    struct flv__index index; /* owned */
    unsigned holds;          /* reads and jobs that use it */
    uint64_t used;           /* when last, in reads of this log */
    /* Monotonic ms, below 0 when before this machine started. */
    int64_t begun_ms;   /* of its first append, or before */
    int64_t written_ms; /* of its last append */
};

struct flv__queue {
    struct flv_append *head, **tail;
};

enum flv__outcome {
    FLV__DONE,
    FLV__ROLLED_BACK, /* nothing of the group is in the file */
    FLV__FAILED,      /* poisons */
};

/* What recovery kept and nobody has synced: to be written again before the
 * sync that has to cover it. */
struct flv__again {
    uint64_t from, end; /* positions in the segment; end 0: nothing,
                           from 0: with its header */
    uint64_t group;     /* the first one */
    int64_t offset;
};

struct flv_log_job {
    struct flv_log *log; /* borrowed */
    bool out;            /* between the making and the end */
    bool ran;
    enum flv__outcome outcome;
    struct flv_err err; /* of an outcome other than DONE; of upkeep: any */
    struct flv__segment *segment; /* held; the active one when it was made */

    /* commit */
    struct flv__queue group;
    struct flv__group_head head;
    uint64_t pos;               /* of the group */
    uint32_t room_end;          /* to be filled with zeros up to here; or 0 */
    bool roll;                  /* alone, when the group is empty */
    bool seal;                  /* with the old segment synced first */
    bool settle;                /* the file was cut back and not synced since */
    struct flv__segment *fresh; /* owned until published */

    struct flv__again again; /* in `segment` */

    /* sync and upkeep */
    bool flush;                  /* sync the segment's file first, ... */
    struct flv__segment *before; /* ... and before it this one; held, or NULL */
    struct flv__again again_before; /* in that */
    uint64_t dirty_from;            /* in the first of them */
    bool keep; /* write indexes and checkpoint, remove trimmed segments */
    bool kept; /* the checkpoint was written */
    struct flv__checkpoint at;     /* where the log is, once flushed */
    struct flv_buf checkpoint;     /* owned */
    struct flv__segment **trimmed; /* owned: to be removed */
    uint32_t trimmed_count;
    struct flv__segment *unsaved; /* held; one index to write */
    bool saved;
};

struct flv_log {
    struct flv_log_conf conf; /* dir and note cleared */
    struct flv_io *io;        /* borrowed */
    char *dir;                /* owned */
    uint64_t log_id;
    enum flv_log_state state;
    struct flv_err cause;

    struct flv__segment **segments; /* owned, by base offset; last: active */
    uint32_t segment_count, segment_cap;
    struct flv__segment **trimmed; /* owned; not removed yet */
    uint32_t trimmed_count;
    uint64_t reads; /* clock of segment.used */
    unsigned held;  /* reads not finished */

    int64_t start_offset;
    int64_t leo;         /* visible end; in the active segment at its bytes */
    int64_t hw;          /* synced end */
    int64_t hw_base;     /* base offset of the segment that hw lies in */
    uint64_t hw_pos;     /* where in it */
    int64_t next_offset; /* staged end */
    uint64_t next_group; /* of the next group written */
    uint64_t synced;     /* the last group known to be synced */

    struct flv__queue staged;
    uint64_t staged_bytes;
    struct flv__producers producers;
    struct flv_log_job commit, upkeep;
    uint64_t unkept_bytes; /* written since the last checkpoint */
    bool keep_due;
    bool closing;   /* canceled: no more appends */
    bool roll_due;  /* the active segment is old enough */
    bool unsettled; /* the active file's end may not be on disk */
    /* Of a page-cache topic: where what was there at open ends, of which
     * nothing proved that it is synced from hw on; 0: nothing. */
    uint64_t again_end;
    /* Of a page-cache topic: the segment before the active one, held, as long
     * as hw lies in it and the active one is `next`. There is no further roll
     * before the next sync. */
    struct flv__segment *unsealed;
    struct flv__checkpoint last_kept; /* what the checkpoint on disk says */
};

static inline struct flv__segment *flv__active(const struct flv_log *log)
{
    return log->segments[log->segment_count - 1];
}

static inline void flv__queue_init(struct flv__queue *q)
{
    q->head = NULL;
    q->tail = &q->head;
}

static inline void flv__queue_push(struct flv__queue *q, struct flv_append *req)
{
    req->next = NULL;
    *q->tail = req;
    q->tail = &req->next;
}

static inline struct flv_append *flv__queue_pop(struct flv__queue *q)
{
    struct flv_append *req = q->head;

    q->head = req->next;
    if (q->head == NULL) {
        q->tail = &q->head;
    }
    req->next = NULL;
    return req;
}

/* Moves everything from `from` behind `to`. */
static inline void flv__queue_move(struct flv__queue *to,
                                   struct flv__queue *from)
{
    if (from->head != NULL) {
        *to->tail = from->head;
        to->tail = from->tail;
        flv__queue_init(from);
    }
}

/* What was to be written again is on disk. */
static inline void flv__log_wrote_again(struct flv_log *log)
{
    log->again_end = 0;
}

/* From where hw is, to `end` of its segment. */
static inline struct flv__again flv__again_from_hw(const struct flv_log *log,
                                                   uint64_t end)
{
    return log->again_end == 0 ? (struct flv__again){0}
                               : (struct flv__again){.from = log->hw_pos,
                                                     .end = end,
                                                     .group = log->synced + 1,
                                                     .offset = log->hw};
}

/* Of the name of its file. */
static inline const char *flv__segment_ending(const struct flv__segment *s)
{
    return s->next ? FLV__ENDING_NEXT : FLV__ENDING_SEGMENT;
}

/* log.c */
void flv__log_free(struct flv_log *log);
/* Takes no more appends until it is opened again. */
void flv__log_poison(struct flv_log *log, const struct flv_err *cause);
/* Why not, for a log in another state than OK. */
FLV_CHECKED flv_rc flv__log_refuse(const struct flv_log *log,
                                   struct flv_err *err);

/* commit.c, upkeep.c: what job_finish does */
FLV_CHECKED flv_rc flv__commit_finish(struct flv_log *log,
                                      struct flv_log_job *job,
                                      struct flv_err *err);
/* After a sync that failed: ends what is staged. */
void flv__commit_refuse(struct flv_log *log, const struct flv_err *err);
FLV_CHECKED flv_rc flv__upkeep_finish(struct flv_log *log,
                                      struct flv_log_job *job,
                                      struct flv_err *err);

/* segment.c */
struct flv__segment *flv__segment_new(const struct flv_log_conf *conf,
                                      const struct flv__segment_head *head);
/* Seconds since 1970 for a header; 0: the clock makes no sense. */
uint32_t flv__segment_now_s(void);
/* Of one that was there before: its file was last written to at that wall
 * time (ms, 0: not known, which counts as now). */
void flv__segment_set_age(struct flv__segment *segment, int64_t written_ms);
/* Closes and frees; NULL is allowed. */
void flv__segment_free(struct flv__segment *segment);
/* Makes the file, durable with its name, and opens it; or, not durable, under
 * the name of one to come. */
FLV_CHECKED flv_rc flv__segment_create(struct flv_io *io,
                                       const char *dir,
                                       struct flv__segment *segment,
                                       bool next,
                                       struct flv_err *err);
/* Any thread: gives the file of one to come, which has been synced like all
 * that is before it, its own name, durably. NOSPACE and NOMEM: the same can be
 * tried again; IO: not known which name it has. `segment` goes on saying
 * `next`. */
FLV_CHECKED flv_rc flv__segment_name(struct flv_io *io,
                                     const char *dir,
                                     const struct flv__segment *segment,
                                     struct flv_err *err);
FLV_CHECKED flv_rc flv__segment_write_head(struct flv_file *file,
                                           const struct flv__segment_head *head,
                                           struct flv_err *err);
/* Appends to log->segments; NOMEM. */
FLV_CHECKED flv_rc flv__segments_reserve(struct flv_log *log);
void flv__segments_push(struct flv_log *log, struct flv__segment *segment);
/* Position in log->segments of the last that begins at or before `offset`,
 * which is not below the first one's base. */
uint32_t flv__segments_find(const struct flv_log *log, int64_t offset);
/* Closes files and drops indexes of old segments that nobody uses, the least
 * recently used first, until no more than conf.segments_open_max are open. */
void flv__segments_cool(struct flv_log *log);
/* Any thread: the saved index, if it can be believed. */
bool flv__segment_load_index(struct flv_log *log,
                             const struct flv__segment *segment,
                             struct flv__index *out);
/* Any thread: reads the segment's groups and makes its index. */
FLV_CHECKED flv_rc flv__segment_index(struct flv_log *log,
                                      const struct flv__segment *segment,
                                      struct flv_file *file,
                                      struct flv__index *out,
                                      struct flv_err *err);
FLV_CHECKED flv_rc flv__segment_save_index(struct flv_log *log,
                                           const struct flv__segment *segment,
                                           struct flv_err *err);

/* recover.c: fills a zeroed log's segments, offsets, producers. */
FLV_CHECKED flv_rc flv__recover(struct flv_log *log,
                                const struct flv_log_conf *conf,
                                struct flv_log_report *report,
                                struct flv_err *err);

/* job.c */
void flv__job_commit(struct flv_log_job *job);
void flv__job_upkeep(struct flv_log_job *job);

#endif
