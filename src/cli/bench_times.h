/*
 * bench_times.h - how long many things took, in little memory.
 *
 * Purpose    Counts times in buckets of at most 1.6 % width and tells their
 *            percentiles, for `fluvio benchmark`.
 * Threads    One thread.
 * Ownership  A plain struct; nothing to free.
 * Units      Nanoseconds.
 * See        docs/cli.md, section benchmark
 */
#ifndef FLV_CLI_BENCH_TIMES_H
#define FLV_CLI_BENCH_TIMES_H

#include <stdint.h>

/* Each power of two is divided into 64 buckets. */
#define CLI_TIMES_STEPS 64
#define CLI_TIMES_BUCKETS (59 * CLI_TIMES_STEPS)
#define CLI_TIMES_TEXT_MAX 32

struct cli_times {
    uint64_t buckets[CLI_TIMES_BUCKETS];
    uint64_t count, sum, min, max;
};

void cli_times_add(struct cli_times *t, uint64_t ns);
/* The time that part of all (0 to 1) do not exceed; 0 of none. */
uint64_t cli_times_at(const struct cli_times *t, double part);
uint64_t cli_times_mean(const struct cli_times *t);

/* "831ns", "12.3us", "4.5ms", "1.2s", "2.0m" */
void cli_times_format(uint64_t ns, char out[CLI_TIMES_TEXT_MAX]);

#endif
