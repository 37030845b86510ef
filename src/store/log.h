/*
 * log.h - one partition on one disk.
 *
 * Purpose    An append-only sequence of record batches, kept in segment
 *            files, with group commit, recovery and checked reads. A passive
 *            state machine: it has no threads and never waits by itself.
 *            Whoever drives it runs its jobs in a pool.
 *
 *                stage(req) ... stage(req)          loop
 *                job = commit_job()                 loop, NULL: nothing to do
 *                    job_run(job)                   pool, blocks
 *                job_finish(job)                    loop, calls req->done
 *                commit_job() again                 loop
 *
 * Threads    All functions on one thread (the loop), one at a time, except
 *            those marked "any thread, blocks". Open and close block, too;
 *            they may run anywhere as long as nobody else uses the log.
 * Ownership  struct flv_append and struct flv_log_read are embedded by the
 *            caller and stay his, untouched, until done is called or the read
 *            is finished. struct flv_log_job belongs to the log.
 * Errors     See each function; docs/durability.md says what they promise.
 * Units      offset = record number; pos = byte in file; _ms = time.
 * See        docs/durability.md, docs/format/, tests/unit/store/
 */
#ifndef FLV_STORE_LOG_H
#define FLV_STORE_LOG_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/io.h"

struct flv_log;

enum flv_durability {
    FLV_DURABLE_DISK,       /* told after fdatasync */
    FLV_DURABLE_PAGE_CACHE, /* told after the write */
};

/* What open or check came across; `text` is one sentence for a person. */
enum flv_log_note_kind {
    FLV_NOTE_TORN,    /* bytes of an unfinished group (open set them aside in
                       * `file`, or, if they are all zero, cut them off) */
    FLV_NOTE_DAMAGE,  /* stored records that cannot be trusted */
    FLV_NOTE_REPAIR,  /* something that is derived was made again */
    FLV_NOTE_REMOVED, /* a file that is no longer needed was removed */
};

struct flv_log_note {
    enum flv_log_note_kind kind;
    const char *file; /* borrowed; full path */
    uint64_t pos;     /* where in the file */
    uint64_t bytes;   /* how many, 0 if unknown */
    int64_t offset;   /* first record concerned, -1 if none */
    const char *text; /* borrowed */
};

typedef void (*flv_log_note_fn)(void *user, const struct flv_log_note *note);

/* Zero means the default wherever one is named. */
struct flv_log_conf {
    struct flv_io *io; /* borrowed for the log's life; NULL: flv_io_posix() */
    const char *dir;   /* borrowed during open; the partition's directory */
    bool create;       /* make it if it is not there */
    uint64_t log_id;   /* of a log made now: random, kept secret from
                        * producers, not 0. Of an existing one: it has to be
                        * the same; 0 accepts any. */
    enum flv_durability durability;
    uint32_t segment_bytes;     /* 1 GiB; at most 2 GiB - 1 */
    uint32_t batch_bytes_max;   /* 2 MiB; a larger batch is refused */
    uint32_t append_bytes_max;  /* 32 MiB + 64 KiB; a larger record set is */
    uint32_t group_bytes_max;   /* 4 MiB; one larger append goes alone */
    uint32_t ahead_bytes;       /* 512 KiB of zeros written ahead of small
                                 * groups of a disk topic */
    uint64_t staged_bytes_max;  /* 64 MiB waiting or being written */
    uint64_t checkpoint_bytes;  /* 64 MiB written between checkpoints */
    uint32_t index_interval;    /* 4096 bytes of log per index entry, ... */
    uint32_t index_entries_max; /* ... doubled when 16384 per segment are
                                 * used up */
    uint32_t producers_max;     /* 1024 producer ids remembered */
    uint32_t segments_open_max; /* 8 old segments with an open file */
    flv_log_note_fn note;       /* may be NULL; called by open only */
    void *note_user;
};

/* What open found. */
struct flv_log_report {
    bool created;          /* there was no log before */
    bool full_scan;        /* no usable checkpoint: everything was read */
    bool checkpoint_bad;   /* there is one, but it cannot be used */
    bool damaged;          /* refuses appends; reads end before the damage */
    uint32_t segments;     /* files of the log */
    uint32_t torn_files;   /* .torn files in the directory */
    uint64_t groups_kept;  /* whole groups behind the checkpoint */
    uint64_t bytes_read;   /* of segments, to find out */
    uint64_t torn_bytes;   /* cut from the tail just now */
    int64_t start_offset;  /* first record */
    int64_t next_offset;   /* behind the last one that can be served */
    struct flv_err damage; /* the first damage: file, position, cause */
};

/* Recovers the log and makes it ready. Blocks. A damaged log opens (see
 * report->damaged); errors: NOT_FOUND (no log and not conf->create), INVALID
 * (another log's directory, or settings out of range), UNSUPPORTED (written
 * by a newer version), NOSPACE (torn bytes cannot be set aside), NOMEM, IO.
 * `report` may be NULL. */
FLV_CHECKED flv_rc flv_log_open(const struct flv_log_conf *conf,
                                struct flv_log **out,
                                struct flv_log_report *report,
                                struct flv_err *err);

/* Syncs, writes a checkpoint, frees. Blocks. No job may be out, no read
 * unfinished, nothing staged (flv_log_cancel). The log is gone also when an
 * error is returned: then the next open has more to do, but nothing is lost
 * that was promised. */
FLV_CHECKED flv_rc flv_log_close(struct flv_log *log, struct flv_err *err);

/* Frees without touching the disk, as if the process had ended. Same
 * conditions as close. NULL is allowed. */
void flv_log_abandon(struct flv_log *log);

enum flv_log_state {
    FLV_LOG_OK,
    FLV_LOG_POISONED, /* until opened again: appends fail, reads go on */
    FLV_LOG_DAMAGED,  /* found at open: appends fail, reads end before it */
};

struct flv_log_info {
    enum flv_log_state state;
    struct flv_err cause; /* of a state other than OK */
    uint64_t log_id;
    int64_t start_offset;  /* first record that is kept */
    int64_t leo;           /* behind the last visible one: read_uncommitted */
    int64_t hw;            /* behind the last synced one: read_committed */
    uint64_t size_bytes;   /* of all groups: 0 when nothing was ever added */
    uint64_t staged_bytes; /* waiting or being written */
    uint32_t segments;
};

void flv_log_stat(const struct flv_log *log, struct flv_log_info *out);
/* Cheap parts of it. On a disk topic both are the same. */
int64_t flv_log_start_offset(const struct flv_log *log);
int64_t flv_log_leo(const struct flv_log *log);
int64_t flv_log_hw(const struct flv_log *log);
/* Of a page-cache topic: a sync is due. */
bool flv_log_is_dirty(const struct flv_log *log);

/* ---- appending ---- */

struct flv_append;

/* Exactly once for every append that flv_log_stage() took, in the order of
 * staging, from within job_finish or cancel. err is NULL on FLV_OK. The
 * callback may stage again; it must not close the log. */
typedef void (*flv_append_fn)(struct flv_append *req,
                              flv_rc rc,
                              const struct flv_err *err);

/* One record set: whole batches back to back. The caller fills the first
 * group of fields and zeroes the rest. */
struct flv_append {
    uint8_t *data; /* borrowed and changed in place: base offsets, epoch -1 */
    size_t len;
    flv_append_fn done;
    void *user;

    int64_t base_offset; /* of the first record, set by stage; -1: unknown */
    uint32_t batches;    /* set by stage */
    int64_t records;     /* set by stage */

    /* store's own */
    struct flv_append *next;
    void *producer;
    uint32_t pos;
    uint32_t size; /* bytes that go into the log, 0 for a repetition */
};

/* Takes a record set and gives its records their offsets. The batches have
 * been checked by the caller (flv_batch_check: CRC, count, compression), once;
 * here only their frame is walked. FLV_OK: req->done will be called.
 * Otherwise it will not:
 *   EXISTS       a repetition of what is already stored: answer with
 *                req->base_offset (-1 if too long ago to say) as a success
 *   BUSY         too much is waiting: try again after a commit
 *   LIMIT        a batch, the record set or its place in a segment is too big
 *   INVALID      not whole batches, negative counts, or producer ids and
 *                sequences that do not continue within the record set
 *   REFUSED      a sequence that skips ahead or overlaps, or an old epoch
 *   NOT_FOUND    an unknown producer that does not begin with sequence 0
 *   POISONED, CORRUPT (damaged: see info), NOMEM */
FLV_CHECKED flv_rc flv_log_stage(struct flv_log *log,
                                 struct flv_append *req,
                                 struct flv_err *err);

/* Before closing: ends everything that waits and is not in a running job with
 * CANCELED, and every later append, too. */
void flv_log_cancel(struct flv_log *log);

/* ---- jobs ---- */

struct flv_log_job;

/* The next group to write, or a new segment that is due; NULL: nothing waits,
 * one is already out, or it has to wait for a sync or upkeep job. Ask again
 * after every job_finish. */
struct flv_log_job *flv_log_commit_job(struct flv_log *log);

/* Page-cache topics: a sync of what is written, that moves hw. NULL: nothing
 * to sync, or a job of this kind or an upkeep job is out. */
struct flv_log_job *flv_log_sync_job(struct flv_log *log);
/* Whether what is staged waits for one: nothing is committed before it. If it
 * is refused for want of space or memory so is what waits. */
bool flv_log_waits_for_sync(const struct flv_log *log);

/* Checkpoint, indexes, removal of trimmed segments, when due, else NULL. Ask
 * after every job_finish, read_finish and trim; it costs nothing. */
struct flv_log_job *flv_log_upkeep_job(struct flv_log *log);
/* Whether there will be one, now or when the job that is out is over. */
bool flv_log_upkeep_due(const struct flv_log *log);
/* Nothing is appended at the moment: makes a checkpoint due, if it spares the
 * next open more than a little reading, or if trimmed segments are still there,
 * as after one for which the disk had no room. */
void flv_log_rest(struct flv_log *log);

/* Whether it waits for the disk; otherwise it writes to the page cache. */
bool flv_log_job_syncs(const struct flv_log_job *job);

/* Any thread, blocks. */
void flv_log_job_run(struct flv_log_job *job);

/* Publishes the result: moves leo and hw and calls req->done. Returns what
 * went wrong, for the log line; the log needs nothing more done about it
 * (state POISONED says that it is time to open it again). */
FLV_CHECKED flv_rc flv_log_job_finish(struct flv_log_job *job,
                                      struct flv_err *err);

/* ---- reading ---- */

enum flv_isolation {
    FLV_READ_UNCOMMITTED, /* up to leo */
    FLV_READ_COMMITTED,   /* up to hw */
};

/* Caller fills the first group of fields and zeroes the rest. */
struct flv_log_read {
    int64_t offset; /* the first record wanted */
    enum flv_isolation isolation;
    uint8_t *buf; /* borrowed; receives whole batches, back to back */
    size_t buf_bytes;
    size_t bytes_max; /* of batches; 0: as many as fit into buf. The first
                       * batch comes whole even if it is larger. */

    int64_t segment_base; /* filled by prepare: first offset of the segment */

    /* filled by run; valid after FLV_OK */
    size_t len; /* bytes of batches at the start of buf; 0: none */
    uint32_t batches;
    int64_t base_offset; /* of the first batch, <= offset */
    int64_t next_offset; /* behind the last batch: where to go on */
    size_t need_bytes;   /* after LIMIT: how large buf has to be */

    /* store's own */
    struct flv_log *log;
    void *segment;
    struct flv_file *file;   /* borrowed from the segment or `cold` */
    const char *ending;      /* static; of the file's name */
    struct flv__cold *cold;  /* owned: an old segment opened by run */
    uint64_t pos, limit_pos; /* where to look, and how far */
    int64_t pos_offset;      /* of the batch at pos; -1: a group begins */
};

/* Loop. Finds the place and holds the segment. *ready = false: the offset is
 * where the next record will be, nothing to run or finish.
 *   NOT_FOUND   below start_offset: removed
 *   INVALID     above what is visible
 *   CORRUPT     at or above known damage; names file and position */
FLV_CHECKED flv_rc flv_log_read_prepare(struct flv_log *log,
                                        struct flv_log_read *rd,
                                        bool *ready,
                                        struct flv_err *err);
/* Any thread, blocks. At least one whole batch, the first being the one that
 * contains rd->offset; stops at the end of a segment.
 *   LIMIT       buf is too small for the first batch: see need_bytes
 *   CORRUPT     what is stored there is not what was written
 *   NOMEM, IO */
FLV_CHECKED flv_rc flv_log_read_run(struct flv_log_read *rd,
                                    struct flv_err *err);
/* Loop. Always, after a prepare that was ready. */
void flv_log_read_finish(struct flv_log_read *rd);

/* ---- scrubbing ---- */

/* A walk over all that is stored and synced, in steps: finds damage before a
 * reader does. It changes nothing. Zeroed, a walk begins at the start. */
struct flv_log_scrub {
    uint64_t bytes_max; /* about how much a step reads; caller's, not 0 */

    /* of the last step */
    uint64_t bytes;        /* read and found good */
    int64_t base;          /* of its segment: first offset of it */
    struct flv_err damage; /* rc OK: none. Told once for each segment, of
                            * which the rest is then passed over */
    bool unread;           /* for want of memory or descriptors; the next step
                            * tries again */

    /* store's own */
    struct flv_log *log;
    void *segment;
    uint64_t pos, limit_pos;
    int64_t next_offset;
    uint64_t next_group;
    bool begun, skip, newest, next;
};

/* Loop. Holds the segment for one step. False: the walk is at the end, and
 * would begin anew; nothing to run or finish. */
bool flv_log_scrub_prepare(struct flv_log *log, struct flv_log_scrub *sc);
/* Any thread, blocks. */
void flv_log_scrub_run(struct flv_log_scrub *sc);
/* Loop. Always, after a prepare that was true. */
void flv_log_scrub_finish(struct flv_log_scrub *sc);

/* ---- retention and deletion ---- */

/* How much is kept; 0: as much as there is. */
struct flv_log_keep {
    uint64_t age_ms; /* since the append, by the clock of this machine */
    uint64_t bytes;  /* of all segments */
    bool roll;       /* the newest segment, too, has to get old */
};

/* Removes the oldest segments as flv_log_trim() does: those last written to
 * longer ago than keep->age_ms, and more while the log is larger than
 * keep->bytes. With keep->roll a newest segment whose first record is that old
 * is closed by the next commit job, also when nothing waits, so that its time
 * comes, too: a record is gone after twice the age at the latest; without, the
 * newest segment stays as long as it is not full. Ask for jobs after it.
 * Ages within this process are monotonic time; those of an earlier one are
 * taken once, at open, from the time of the file. Returns how many. */
uint32_t flv_log_retain(struct flv_log *log, const struct flv_log_keep *keep);

/* Removes the oldest segments of which every record is below `upto` (never
 * the newest segment): start_offset moves at once, the files go with the next
 * upkeep job, once the new start is durable and nobody reads them. Returns
 * how many. */
uint32_t flv_log_trim(struct flv_log *log, int64_t upto);

/* Removes a partition's directory for good. Blocks. When it returns FLV_OK
 * the partition will not come back; NOT_FOUND if there is none. After an
 * error or a crash it is there as before, or what is left of it lies in
 * `dir`.deleted, for flv_log_sweep(). `io` may be NULL. */
FLV_CHECKED flv_rc flv_log_delete(struct flv_io *io,
                                  const char *dir,
                                  struct flv_err *err);
/* Removes what interrupted deletions left in the directory `parent`. */
FLV_CHECKED flv_rc flv_log_sweep(struct flv_io *io,
                                 const char *parent,
                                 struct flv_err *err);

/* ---- offline verification ---- */

struct flv_log_check {
    uint32_t segments;
    uint64_t groups, batches;
    uint64_t bytes;      /* of segment files */
    uint64_t torn_bytes; /* at the tail; the next open cuts them off */
    int64_t start_offset, next_offset;
    uint32_t damages; /* notes of kind DAMAGE */
};

/* Reads every byte of one partition's directory and changes nothing. FLV_OK
 * when it could be read, whatever it found: out->damages says how many notes
 * of damage `note` was given. `io` and `note` may be NULL. */
FLV_CHECKED flv_rc flv_log_check(struct flv_io *io,
                                 const char *dir,
                                 flv_log_note_fn note,
                                 void *user,
                                 struct flv_log_check *out,
                                 struct flv_err *err);

#endif
