/*
 * sha256.h - SHA-256, the name of a file's content.
 *
 * Purpose    Pure functions after FIPS 180-4. A small one of our own, because
 *            a program that hashes one file does not have to load a library
 *            of ciphers for it.
 * Threads    A struct flv_sha256 belongs to one thread at a time.
 */
#ifndef FLV_BASE_SHA256_H
#define FLV_BASE_SHA256_H

#include <fluvio/slice.h>
#include <stddef.h>
#include <stdint.h>

#define FLV_SHA256_SIZE 32
#define FLV_SHA256_HEX 65 /* hex and NUL */

struct flv_sha256 {
    uint32_t state[8];
    uint64_t len;      /* bytes added so far */
    uint8_t block[64]; /* len % 64 bytes wait in it */
};

void flv_sha256_init(struct flv_sha256 *h);
void flv_sha256_add(struct flv_sha256 *h, const void *data, size_t len);
void flv_sha256_end(struct flv_sha256 *h, uint8_t out[FLV_SHA256_SIZE]);

/* All at once, as lower-case hex. */
void flv_sha256_hex(struct flv_slice bytes, char out[FLV_SHA256_HEX]);

#endif
