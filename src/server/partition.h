/*
 * partition.h - one partition while it is served.
 *
 * Purpose    Drives the passive log of store: stages what producers send,
 *            runs its jobs in the pools, tells producers and readers. Keeps
 *            the hot tail.
 *
 *                append -> [parked] -> log: staged -> commit job -> done
 *                                                         |
 *                                         tail, waiters <-+
 *
 * Threads    Loop thread, except where a function says that it blocks.
 * Ownership  Heap object; lives until flv_partition_close() has called back.
 *            struct flv_part_append and _reader are embedded by the caller.
 * Errors     An append ends with the store's code (see store/log.h), which is
 *            that of those before it if it waited for room behind them, and
 *            with CANCELED when the partition goes away.
 * Units      offset = record number.
 * See        docs/durability.md, tests/unit/server/test_server.c, test_disk.c
 */
#ifndef FLV_SERVER_PARTITION_H
#define FLV_SERVER_PARTITION_H

#include "base/chunk.h"
#include "loop/loop.h"
#include "loop/pool.h"
#include "server/tail.h"
#include "store/log.h"

#include <fluvio/err.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct flv_partition;

/* How long syncs took: one count for each upper limit, and one beyond. */
#define FLV_SYNC_BUCKETS 15
extern const uint32_t flv_sync_limits_us[FLV_SYNC_BUCKETS];
struct flv_sync_times {
    uint64_t counts[FLV_SYNC_BUCKETS + 1];
    uint64_t sum_ns;
};

/* Pools, tails and counters that all partitions of a server share. */
struct flv_part_env {
    struct flv_loop *loop;        /* borrowed */
    struct flv_pool *commit_pool; /* borrowed: write + sync; upkeep */
    struct flv_pool *write_pool;  /* borrowed: write to the page cache */
    struct flv_pool *sync_pool;   /* borrowed: syncs of the page cache */
    struct flv_pool *read_pool;   /* borrowed: reads, open, close */
    struct flv_io *io;            /* borrowed; NULL: the real disk */
    struct flv_tail_pool tails;
    struct flv_sync_times syncs;
    uint32_t dirty, dirty_before; /* not synced, in this tick and the last */
    uint32_t synced;              /* in turn, in this tick */
    uint32_t upkeeps;             /* under way */
    TAILQ_HEAD(flv_part_line, flv_partition) upkeep_line; /* wait for that */
    uint64_t disk_errors; /* jobs that the disk refused */
};

/* One record set on its way into the log. */
struct flv_part_append {
    struct flv_append base;  /* first; data and len filled by the caller */
    struct flv_chunk *frame; /* holds the data; borrowed until done */
    bool committed;          /* done only when hw has passed it, too */
    /* Exactly once, never from inside flv_partition_append(). base_offset is
     * in base.base_offset. */
    void (*done)(struct flv_part_append *a,
                 flv_rc rc,
                 const struct flv_err *err);
    struct flv_partition *partition;    /* private */
    STAILQ_ENTRY(flv_part_append) link; /* private */
    struct flv_task task;               /* private */
    struct flv_err err;                 /* private: of an early end */
    uint32_t turn;                      /* private: when it was parked */
    int64_t end;                        /* private: hw has to be there */
};

/* Somebody who reads here, from joining to leaving. */
struct flv_part_reader {
    /* The visible end moved; after this it has to wait again. */
    void (*ready)(struct flv_part_reader *r);
    /* The partition goes away: the reader has left it already. */
    void (*gone)(struct flv_part_reader *r);
    LIST_ENTRY(flv_part_reader) all;  /* private */
    LIST_ENTRY(flv_part_reader) link; /* private: while waiting */
    bool joined, waiting;             /* private */
};

struct flv_part_conf {
    const char *dir;  /* borrowed during open */
    const char *name; /* "topic-0" for log lines; copied */
    bool create;
    uint64_t log_id; /* of a log made now: random; 0: any existing one */
    enum flv_durability durability;
    uint32_t segment_bytes; /* 0: the store's default */
    uint32_t batch_bytes_max;
    uint64_t checkpoint_bytes; /* 0: the store's default */
    struct flv_log_keep keep;  /* what retention leaves */
};

enum flv_part_state {
    FLV_PART_OPENING,
    FLV_PART_ONLINE,
    FLV_PART_OFFLINE, /* could not be opened */
    FLV_PART_CLOSING,
};

/* Memory alone; the log is opened by flv_partition_open_log(). With `bare`
 * the partition has no log: it is online and stays empty. */
struct flv_partition *
flv_partition_create(struct flv_part_env *env, const char *name, bool bare);
/* Blocks (a pool thread, or before the loop runs); nobody else may use the
 * partition meanwhile. */
FLV_CHECKED flv_rc flv_partition_open_log(struct flv_partition *p,
                                          const struct flv_part_conf *conf,
                                          struct flv_err *err);
/* Notes why open_log failed (NULL: it did not), on the thread that opened. */
void flv_partition_set_trouble(struct flv_partition *p,
                               const struct flv_err *err);
/* Loop: after open_log; online, or offline when there is trouble, which is
 * logged. */
void flv_partition_opened(struct flv_partition *p);

/* Ends appends with CANCELED, sends all readers away, waits for what is out,
 * then closes the log (orderly: syncs and writes a checkpoint; else just lets
 * go), frees the partition and calls closed (never from inside). */
void flv_partition_close(struct flv_partition *p,
                         bool orderly,
                         void (*closed)(void *ctx),
                         void *ctx);

enum flv_part_state flv_partition_state(const struct flv_partition *p);
const char *flv_partition_name(const struct flv_partition *p);
/* Why it is OFFLINE, or the store's cause; text empty when all is well. */
void flv_partition_trouble(const struct flv_partition *p, struct flv_err *out);

/* What is wrong with a partition, the worst first. */
enum flv_part_health {
    FLV_HEALTH_OK,
    FLV_HEALTH_OFFLINE,  /* could not be opened */
    FLV_HEALTH_POISONED, /* a write or sync failed: takes nothing more */
    FLV_HEALTH_DAMAGED,  /* some of what is stored cannot be read. Found at
                          * the start: it takes nothing more, too */
};
enum flv_part_health flv_partition_health(const struct flv_partition *p);
/* Damage was met in the segment with that first offset: shown, logged and
 * counted once for each, until the segment is gone. Only behind the first 4,096
 * of a partition one is logged for all that are met. */
void flv_partition_note_damage(struct flv_partition *p,
                               int64_t segment,
                               const struct flv_err *err);
uint32_t flv_partition_damages(const struct flv_partition *p);
const char *flv_health_word(enum flv_part_health h);

/* Since the partition was opened. */
struct flv_part_counts {
    uint64_t records_in, bytes_in;   /* stored */
    uint64_t records_out, bytes_out; /* sent to readers */
    uint64_t records_dropped;        /* by deduplication */
    uint32_t readers;                /* now */
};
const struct flv_part_counts *
flv_partition_counts(const struct flv_partition *p);
void flv_partition_count_out(struct flv_partition *p,
                             uint64_t records,
                             uint64_t bytes);

void flv_partition_count_dropped(struct flv_partition *p, uint64_t records);

struct flv_part_info {
    int64_t start_offset, leo, hw;
    uint64_t size_bytes;
    uint32_t segments;
};
void flv_partition_info(const struct flv_partition *p,
                        struct flv_part_info *out);
/* hw or leo */
int64_t flv_partition_end(const struct flv_partition *p,
                          enum flv_isolation isolation);
int64_t flv_partition_start(const struct flv_partition *p);

/* Takes the append: done will be called. The order of calls is the order in
 * the log. */
void flv_partition_append(struct flv_partition *p, struct flv_part_append *a);

/* While somebody reads, the tail is kept. The partition must not be closing. */
void flv_partition_join(struct flv_partition *p, struct flv_part_reader *r);
/* Nothing is called after this; not joined is fine. */
void flv_partition_leave(struct flv_partition *p, struct flv_part_reader *r);
/* ready runs once, soon after the visible end moved. */
void flv_partition_wait(struct flv_partition *p, struct flv_part_reader *r);
void flv_partition_unwait(struct flv_part_reader *r);
const struct flv_tail *flv_partition_tail(const struct flv_partition *p);

/* For reads that run in the read pool: keeps the log open between prepare and
 * finish. The log is NULL when the partition is bare, offline or closing. */
struct flv_log *flv_partition_log(struct flv_partition *p);
void flv_partition_hold(struct flv_partition *p);
void flv_partition_release(struct flv_partition *p);

/* Anything that Watch shows has changed since the last call. */
bool flv_partition_take_changed(struct flv_partition *p);
/* Syncs of page-cache topics, upkeep and retention, about once a second. */
void flv_partition_tick(struct flv_partition *p, uint64_t now_ms);

#endif
