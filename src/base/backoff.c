#include "base/backoff.h"

#include <assert.h>

#include "base/rand.h"

uint64_t flv_backoff_next(struct flv_backoff *b)
{
    assert(b->min_ms > 0 && b->min_ms <= b->max_ms);
    uint64_t ms = b->last_ms == 0 ? b->min_ms
                  : b->last_ms > b->max_ms - b->last_ms / 2
                      ? b->max_ms
                      : b->last_ms + (b->last_ms > 1 ? b->last_ms / 2 : 1);
    b->last_ms = ms < b->max_ms ? ms : b->max_ms;
    ms = b->last_ms;
    return ms - flv_rand_below(ms / 2 + 1);
}
