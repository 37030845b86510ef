/*
 * backoff.h - how long to wait before the next try.
 *
 * Purpose    Pauses that grow by half from min_ms to max_ms, each shortened by
 *            up to a half at random, so that many who failed together do not
 *            come back together.
 * Threads    A struct belongs to one thread at a time.
 * Ownership  The caller's; zeroed except min_ms and max_ms it is ready.
 * Units      _ms.
 * See        tests/unit/base/test_backoff.c
 */
#ifndef FLV_BASE_BACKOFF_H
#define FLV_BASE_BACKOFF_H

#include <stdint.h>

struct flv_backoff {
    uint64_t min_ms, max_ms; /* 1 <= min_ms <= max_ms */
    uint64_t last_ms;        /* before jitter; 0: none yet */
};

/* The pause before the next try. */
uint64_t flv_backoff_next(struct flv_backoff *b);
/* It worked: the next pause is min_ms again. */
static inline void flv_backoff_reset(struct flv_backoff *b)
{
    b->last_ms = 0;
}

#endif
