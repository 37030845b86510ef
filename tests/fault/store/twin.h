/*
 * twin.h - one seeded life story of a partition, and the promises it checks.
 *
 * Purpose    Drives a log over the simulated disk through several lives:
 *            appends, commits, reads, rolls, trims, checkpoints, faults,
 *            power cuts, deletion. A model knows what has been promised
 *            (docs/durability.md) and is compared with what is there.
 * Threads    One: it replaces the clock.
 */
#ifndef FLV_TESTS_TWIN_H
#define FLV_TESTS_TWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/io.h"

struct twin_stats {
    uint64_t lives, appended, reads, power_cuts, kills, faults_met, torn;
    uint64_t zeros, rolls, trims, deletions, repeats;
    uint64_t late_seals; /* rolls that left the old segment to a sync */
    uint64_t dropped;    /* segments behind a torn one */
    uint64_t syncs[FLV_SYNC_COUNT];
};

/* Puts its own clock in place while it runs. False: a promise was broken; why
 * says which. `ignored` is the enum flv_sync that the disk leaves out, -1:
 * none. */
bool twin_run(uint64_t seed,
              int ignored,
              struct twin_stats *stats,
              char *why,
              size_t why_size);

#endif
