/*
 * rand.h - random numbers from the kernel.
 *
 * Purpose    Ids and jitter. Not for keys of cryptography.
 * Threads    Any thread.
 * Errors     None: when the kernel refuses, numbers come from the clock.
 */
#ifndef FLV_BASE_RAND_H
#define FLV_BASE_RAND_H

#include <stdint.h>

uint64_t flv_rand_u64(void);
/* Evenly from 0 to n - 1; n > 0. */
uint64_t flv_rand_below(uint64_t n);

/* Test hook: a fixed seed makes the numbers repeat; 0 brings the kernel's
 * back. Set before other threads start. */
void flv__rand_seed(uint64_t seed);

#endif
