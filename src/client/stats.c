#include "client/stats.h"

#define BUCKETS (FLV__LATENCY_OCTAVES * FLV__LATENCY_STEPS)

/* Below 8 us a bucket is one microsecond wide. */
static size_t bucket_of(uint64_t us)
{
    size_t octave = 0;
    size_t i = 0;

    while (us >> octave >= 2 * FLV__LATENCY_STEPS) {
        octave++;
    }
    if (us < FLV__LATENCY_STEPS) {
        return (size_t)us;
    }
    i = (octave + 1) * FLV__LATENCY_STEPS + (size_t)(us >> octave) -
        FLV__LATENCY_STEPS;
    return i < BUCKETS ? i : BUCKETS - 1;
}

/* The largest value that belongs there. */
static uint64_t bucket_top(size_t i)
{
    const size_t octave =
        i / FLV__LATENCY_STEPS > 0 ? i / FLV__LATENCY_STEPS - 1 : 0;
    const uint64_t step = i - octave * FLV__LATENCY_STEPS;

    return ((step + 1) << octave) - 1;
}

void flv__latency_add(struct flv__latency *l, uint64_t ns)
{
    const uint64_t us = ns / 1000;

    l->count++;
    l->sum_us += us;
    l->max_us = us > l->max_us ? us : l->max_us;
    l->buckets[bucket_of(us)]++;
}

/* `part` hundredths of all were not above this. */
static uint64_t percentile(const struct flv__latency *l, uint64_t part)
{
    const uint64_t wanted = l->count - l->count * (100 - part) / 100;
    uint64_t seen = 0;
    size_t i = 0;

    while (i + 1 < BUCKETS && seen + l->buckets[i] < wanted) {
        seen += l->buckets[i];
        i++;
    }
    return bucket_top(i) < l->max_us ? bucket_top(i) : l->max_us;
}

struct flv_latency flv__latency_read(const struct flv__latency *l)
{
    struct flv_latency out = {.count = l->count, .max_us = l->max_us};

    if (l->count > 0) {
        out.avg_us = l->sum_us / l->count;
        out.p50_us = percentile(l, 50);
        out.p99_us = percentile(l, 99);
    }
    return out;
}
