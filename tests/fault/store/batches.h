/*
 * batches.h - record batches for tests of store.
 *
 * Purpose    Whole batches with a valid CRC and random records. What is in
 *            the records does not matter to store.
 */
#ifndef FLV_TESTS_BATCHES_H
#define FLV_TESTS_BATCHES_H

#include <stddef.h>
#include <stdint.h>

struct batch_spec {
    uint32_t bytes; /* of records, after the header of 57 */
    uint32_t count; /* of records */
    int64_t producer_id;
    int16_t epoch;
    int32_t sequence;
    uint64_t seed; /* of the content */
};

#define BATCH_HEAD 57

/* A batch of a producer without an id. */
struct batch_spec plain_batch(uint32_t bytes, uint32_t count, uint64_t seed);
/* Writes BATCH_HEAD + spec->bytes bytes, returns how many. */
size_t put_batch(uint8_t *out, const struct batch_spec *spec);

#endif
