/*
 * crc32c.h - CRC-32C (Castagnoli), as batches carry it.
 *
 * Purpose    One function over isa-l, with the usual convention: start with
 *            0, feed the result back in to go on. "123456789" is e3069283.
 * Threads    Pure.
 */
#ifndef FLV_WIRE_CRC32C_H
#define FLV_WIRE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t flv_crc32c(uint32_t crc, const void *data, size_t len);

#endif
