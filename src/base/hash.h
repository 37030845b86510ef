/*
 * hash.h - SipHash-2-4, the hash of Fluvio's partitioner.
 *
 * Purpose    Pure functions. See J.-P. Aumasson and D. J. Bernstein,
 *            "SipHash: a fast short-input PRF".
 * Threads    A struct flv_siphash belongs to one thread at a time.
 */
#ifndef FLV_BASE_HASH_H
#define FLV_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct flv_siphash {
    uint64_t v[4];
    uint64_t tail; /* bytes that do not fill a word yet */
    uint64_t len;  /* bytes added so far */
};

void flv_siphash_init(struct flv_siphash *h, uint64_t key0, uint64_t key1);
void flv_siphash_add(struct flv_siphash *h, const void *data, size_t len);
uint64_t flv_siphash_end(struct flv_siphash *h);

/* All at once. */
uint64_t
flv_siphash24(uint64_t key0, uint64_t key1, const void *data, size_t len);

#endif
