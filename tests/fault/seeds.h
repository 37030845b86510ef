/*
 * seeds.h - seeded runs, shared out over two processes.
 *
 * Purpose    What every crash twin does around its own work: read FLV_SEED,
 *            FLV_RUNS and FLV_IGNORED, give half of the seeds to each of two
 *            workers, and want both to end well.
 */
#ifndef FLV_TESTS_FAULT_SEEDS_H
#define FLV_TESTS_FAULT_SEEDS_H

#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEED_WORKERS 2

/* The number in an environment variable; fallback when it is not set. */
static inline uint64_t seed_number(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    uint64_t n = 0;

    if (text == NULL || *text == '\0') {
        return fallback;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        n = n * 10 + (uint64_t)(*text - '0');
    }
    return n;
}

/* Runs work(first, end) in each worker, which takes every SEED_WORKERS-th
 * seed from its first one on; 0 means that all is well. */
static inline void seeds_share(uint64_t runs,
                               int (*work)(uint64_t first, uint64_t end))
{
    pid_t workers[SEED_WORKERS];
    int bad = 0;

    fflush(stdout);
    for (int i = 0; i < SEED_WORKERS; i++) {
        workers[i] = fork();
        assert_true(workers[i] >= 0);
        if (workers[i] == 0) {
            exit(work(1 + (uint64_t)i, 1 + runs));
        }
    }
    for (int i = 0; i < SEED_WORKERS; i++) {
        int status = 0;

        assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
        bad += status != 0;
    }
    assert_int_equal(bad, 0);
}

#endif
