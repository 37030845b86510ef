#include "cli/bench_times.h"

#include <inttypes.h>
#include <stdio.h>

/* Below 64: exact. Above: the six bits behind the highest one. */
static unsigned bucket_of(uint64_t ns)
{
    unsigned top = 0;
    if (ns < CLI_TIMES_STEPS) {
        return (unsigned)ns;
    }
    top = 63 - (unsigned)__builtin_clzll(ns);
    return (top - 5) * CLI_TIMES_STEPS +
           (unsigned)((ns >> (top - 6)) & (CLI_TIMES_STEPS - 1));
}

/* The largest time of a bucket. */
static uint64_t end_of(unsigned bucket)
{
    unsigned row = bucket / CLI_TIMES_STEPS;
    uint64_t low = bucket % CLI_TIMES_STEPS;
    if (row == 0) {
        return low;
    }
    return ((low + CLI_TIMES_STEPS + 1) << (row - 1)) - 1;
}

void cli_times_add(struct cli_times *t, uint64_t ns)
{
    t->buckets[bucket_of(ns)]++;
    t->min = t->count == 0 || ns < t->min ? ns : t->min;
    t->max = ns > t->max ? ns : t->max;
    t->count++;
    t->sum += ns;
}

uint64_t cli_times_at(const struct cli_times *t, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)t->count + 0.5), seen = 0;
    if (wanted == 0) {
        return t->min;
    }
    for (unsigned i = 0; i < CLI_TIMES_BUCKETS; i++) {
        seen += t->buckets[i];
        if (seen >= wanted) {
            uint64_t end = end_of(i);
            return end > t->max ? t->max : end;
        }
    }
    return t->max;
}

uint64_t cli_times_mean(const struct cli_times *t)
{
    return t->count == 0 ? 0 : t->sum / t->count;
}

void cli_times_format(uint64_t ns, char out[CLI_TIMES_TEXT_MAX])
{
    static const struct {
        uint64_t below;
        double unit;
        const char *name;
    } units[] = {{1000000, 1e3, "us"},
                 {1000000000, 1e6, "ms"},
                 {60000000000, 1e9, "s"},
                 {UINT64_MAX, 60e9, "m"}};
    unsigned i = 0;
    if (ns < 1000) {
        snprintf(out, CLI_TIMES_TEXT_MAX, "%" PRIu64 "ns", ns);
        return;
    }
    while (i < 3 && ns >= units[i].below) {
        i++;
    }
    snprintf(out, CLI_TIMES_TEXT_MAX, "%.1f%s", (double)ns / units[i].unit,
             units[i].name);
}
