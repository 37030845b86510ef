/*
 * meta_twin.h - one seeded life story of meta.db, and the promises it checks.
 *
 * Purpose    Drives src/server/metadb.c, and offsets.c above it, over the
 *            simulated disk through several lives: topics, consumer offsets
 *            and questions for them, SmartModules, faults, kills, power cuts.
 *            A model knows what was answered, and what may have happened
 *            without an answer, and is compared with what is there.
 * Threads    One story per process: meta_vfs.h. Offsets go through a pool of
 *            one thread, and the story waits for it.
 */
#ifndef FLV_TESTS_META_TWIN_H
#define FLV_TESTS_META_TWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meta_vfs.h"

struct meta_stats {
    uint64_t stories, lives, commits, failures, power_cuts, kills, closes;
    uint64_t checkpoints; /* in the middle of a life */
    uint64_t unopened;    /* lives that ended before the database was open */
    uint64_t late_new;    /* a change without an answer was there afterwards */
    uint64_t late_gone;   /* and was not */
    uint64_t sure_failures, settled; /* without doubt, and doubts ended */
    uint64_t count[META_CALL_COUNT];
};

/* False: a promise was broken; why says which. `ignored` is what the disk
 * leaves out: META_IGNORE()s. */
bool meta_twin_run(uint64_t seed,
                   unsigned ignored,
                   struct meta_stats *stats,
                   char *why,
                   size_t why_size);

#endif
