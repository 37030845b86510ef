/*
 * clock.h - the only door to the time of day.
 *
 * Purpose    Monotonic time for limits and intervals, wall time for stamps.
 *            Tests put their own clock in place.
 * Threads    Reading: any thread. Replacing: before other threads start.
 * Units      _ns and _ms as named. Wall time counts from 1970-01-01 UTC.
 */
#ifndef FLV_BASE_CLOCK_H
#define FLV_BASE_CLOCK_H

#include <stdint.h>

struct flv_clock {
    uint64_t (*mono_ns)(void *ctx); /* never goes back */
    int64_t (*wall_ms)(void *ctx);  /* may jump */
    void *ctx;                      /* borrowed */
};

uint64_t flv_clock_mono_ns(void);
uint64_t flv_clock_mono_ms(void);
int64_t flv_clock_wall_ms(void);
/* Processor time of the calling thread; always the real one. */
uint64_t flv_clock_thread_ns(void);

/* "2026-01-01T00:00:00.000Z" and its NUL; years past 9999 are shown as
 * 9999-12-31, times before 0000 as 0000-01-01. */
#define FLV_CLOCK_TEXT_MAX 25
void flv_clock_format(int64_t wall_ms, char out[FLV_CLOCK_TEXT_MAX]);

/* Test hook: *clock (borrowed until replaced) answers from now on; NULL
 * brings the real one back. */
void flv__clock_set(const struct flv_clock *clock);

#endif
