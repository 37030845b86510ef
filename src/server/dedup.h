/*
 * dedup.h - topics that drop records which they have had lately.
 *
 * Purpose    Between the check of a record set and its partition: the
 *            SmartModule that the topic names looks at each record, and what
 *            it lets through is stored. One chain for each partition, made
 *            when the first record set comes, and shown what the partition
 *            holds (the last `count` records, none older than `age`).
 *
 *              put -> line -> chain (cpu pool) -> append -> out -> done
 *                       \-> makes the chain, when there is none (making.h)
 *
 * Truth      An answer is sent when all that was stored before it is on disk:
 *            a record that was dropped is a repetition of one that is safe.
 *            When a record set fails, in the module or on the disk, the chain
 *            knows records that are not stored: it is dropped and made anew
 *            from what is. What it let pass meanwhile is safe; what it
 *            dropped meanwhile is answered with the error of the first.
 *            Because it can be made anew, its memory is not saved before each
 *            batch; only a record set that failed runs once more, with a
 *            chain that is, to find out which record it was.
 * Threads    Loop thread; the module runs in the cpu pool.
 * Ownership  flv_dedups is embedded in the server. A put is embedded by its
 *            owner, zeroed, until done.
 * Errors     In the put: `why` of the module, else `rc` of the store, as
 *            flv_partition_append() has them.
 * Units      Memory of chains, and of the numbers of producers, counts as that
 *            of streams with SmartModules; chains that have nothing to do give
 *            way to those that have, and after them numbers do.
 * See        docs/server.md (Deduplication), tests/unit/server/test_dedup.c
 */
#ifndef FLV_SERVER_DEDUP_H
#define FLV_SERVER_DEDUP_H

#include "server/numbers.h"
#include "server/partition.h"
#include "server/sift.h"
#include "server/topics.h"

#include <sys/queue.h>

struct flv_server;
struct flv_deduper; /* of one partition */

/* One record set on its way. */
struct flv_dedup_put {
    struct flv_chunk *frame; /* borrowed until done; written over */
    size_t at, len;          /* the set, checked, in it */
    bool committed;          /* as in struct flv_part_append */
    /* Once, possibly from inside flv_dedup_add(). */
    void (*done)(struct flv_dedup_put *e);
    void *user;
    struct flv_trouble why; /* out */
    flv_rc rc;              /* out */
    struct flv_err err;     /* out */
    int64_t base_offset;    /* out; nothing was stored: where it would be */
    /* private: */
    struct flv_part_append append;
    struct flv_deduper *deduper;
    struct flv_made made; /* owned until done */
    uint64_t dropped;     /* records */
    struct flv_run run;   /* if numbered */
    bool numbered, echo;  /* echo: the numbers of one before it */
    bool in_doubt;        /* what it repeats may be lost */
    bool careful;         /* it failed once: with a chain that is saved */
    bool lost;            /* it failed, and the chain with it */
    bool over;
    STAILQ_ENTRY(flv_dedup_put) link;
};

struct flv_dedups {
    struct flv_server *server;                        /* borrowed */
    TAILQ_HEAD(flv_deduper_list, flv_deduper) by_use; /* longest ago first */
};

void flv_dedups_init(struct flv_dedups *set, struct flv_server *server);
/* Nothing runs any more. */
void flv_dedups_deinit(struct flv_dedups *set);
/* Now and then: chains of topics that are gone, or that nobody uses. */
void flv_dedups_tick(struct flv_dedups *set);
/* The server closes: what waits ends, what runs ends soon. */
void flv_dedups_close(struct flv_dedups *set);
/* Drops the chain that is idle for longest; if there is none the numbers that
 * are; false: all have something to do. */
bool flv_dedups_shrink(struct flv_dedups *set);

/* The topic is ONLINE and deduplicates. The order of calls is the order in the
 * partition. FLV_E_NOMEM: done is not called. */
FLV_CHECKED flv_rc flv_dedup_add(struct flv_dedups *set,
                                 struct flv_topic *t,
                                 uint32_t index,
                                 struct flv_dedup_put *e,
                                 struct flv_err *err);

#endif
