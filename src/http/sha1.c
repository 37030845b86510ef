#include "http/sha1.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"

#define BLOCK 64

static uint32_t turned(uint32_t v, unsigned by)
{
    return v << by | v >> (32 - by);
}

/* The function and constant of round i. */
static uint32_t mixed(unsigned i, uint32_t b, uint32_t c, uint32_t d)
{
    if (i < 20) {
        return ((b & c) | (~b & d)) + UINT32_C(0x5a827999);
    }
    if (i < 40) {
        return (b ^ c ^ d) + UINT32_C(0x6ed9eba1);
    }
    if (i < 60) {
        return ((b & c) | (b & d) | (c & d)) + UINT32_C(0x8f1bbcdc);
    }
    return (b ^ c ^ d) + UINT32_C(0xca62c1d6);
}

static void add_block(uint32_t h[5], const uint8_t *block)
{
    uint32_t w[80];
    for (unsigned i = 0; i < 16; i++) {
        w[i] = flv_get_u32(block + (size_t)i * 4);
    }
    for (unsigned i = 16; i < 80; i++) {
        w[i] = turned(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (unsigned i = 0; i < 80; i++) {
        uint32_t next = turned(a, 5) + mixed(i, b, c, d) + e + w[i];
        e = d;
        d = c;
        c = turned(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void flv__sha1(struct flv_slice text, uint8_t out[FLV_SHA1_SIZE])
{
    uint32_t h[5] = {UINT32_C(0x67452301), UINT32_C(0xefcdab89),
                     UINT32_C(0x98badcfe), UINT32_C(0x10325476),
                     UINT32_C(0xc3d2e1f0)};
    uint8_t last[2 * BLOCK] = {0};
    size_t at = 0;
    assert(text.len <= FLV_SHA1_BYTES_MAX);
    for (; text.len - at >= BLOCK; at += BLOCK) {
        add_block(h, text.data + at);
    }
    size_t rest = text.len - at;
    if (rest > 0) {
        memcpy(last, text.data + at, rest);
    }
    last[rest] = 0x80;
    size_t size = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    flv_put_u64(last + size - 8, (uint64_t)text.len * 8);
    for (at = 0; at < size; at += BLOCK) {
        add_block(h, last + at);
    }
    for (size_t i = 0; i < 5; i++) {
        flv_put_u32(out + i * 4, h[i]);
    }
}
