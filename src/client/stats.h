/*
 * stats.h - how long something took, counted.
 *
 * Purpose    A histogram with eight steps to an octave: what it tells of the
 *            median and the slowest hundredth is at most an eighth too much.
 * Threads    Loop thread only.
 * Ownership  Embedded; zeroed is empty.
 * Units      Nanoseconds in, microseconds out.
 */
#ifndef FLV_CLIENT_STATS_H
#define FLV_CLIENT_STATS_H

#include <fluvio/client.h>

#define FLV__LATENCY_STEPS 8
#define FLV__LATENCY_OCTAVES 40

struct flv__latency {
    uint64_t count, sum_us, max_us;
    uint64_t buckets[FLV__LATENCY_OCTAVES * FLV__LATENCY_STEPS];
};

void flv__latency_add(struct flv__latency *l, uint64_t ns);
struct flv_latency flv__latency_read(const struct flv__latency *l);

#endif
