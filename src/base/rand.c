#include "base/rand.h"

#include <assert.h>
#include <stdatomic.h>
#include <sys/random.h>

#include "base/clock.h"

static atomic_uint_fast64_t state; /* of the repeating numbers; 0: off */

/* splitmix64: each step of a counter gives one well mixed number. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

#define GOLDEN 0x9e3779b97f4a7c15U

uint64_t flv_rand_u64(void)
{
    uint64_t v;

    if (atomic_load(&state) != 0) {
        return mix(atomic_fetch_add(&state, GOLDEN) + GOLDEN);
    }
    if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != (ssize_t)sizeof(v)) {
        v = mix(flv_clock_mono_ns() + GOLDEN);
    }
    return v;
}

uint64_t flv_rand_below(uint64_t n)
{
    uint64_t skip, v;

    assert(n > 0);
    /* 2^64 mod n numbers at the low end would make some answers likelier. */
    skip = (0 - n) % n;
    do {
        v = flv_rand_u64();
    } while (v < skip);
    return v % n;
}

void flv__rand_seed(uint64_t seed)
{
    atomic_store(&state, seed);
}
