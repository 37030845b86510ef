#include "base/hash.h"

static uint64_t rotl(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static void rounds(uint64_t v[4], int n)
{
    for (int i = 0; i < n; i++) {
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
    }
}

static void add_word(struct flv_siphash *h, uint64_t word)
{
    h->v[3] ^= word;
    rounds(h->v, 2);
    h->v[0] ^= word;
}

static uint64_t word_le(const uint8_t *p)
{
    uint64_t word = 0;

    for (unsigned i = 0; i < 8; i++) {
        word |= (uint64_t)p[i] << (8 * i);
    }
    return word;
}

void flv_siphash_init(struct flv_siphash *h, uint64_t key0, uint64_t key1)
{
    *h = (struct flv_siphash){
        .v = {key0 ^ 0x736f6d6570736575U, key1 ^ 0x646f72616e646f6dU,
              key0 ^ 0x6c7967656e657261U, key1 ^ 0x7465646279746573U}};
}

void flv_siphash_add(struct flv_siphash *h, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (; len > 0 && h->len % 8 != 0; len--, p++) {
        h->tail |= (uint64_t)*p << (8 * (h->len % 8));
        h->len++;
        if (h->len % 8 == 0) {
            add_word(h, h->tail);
            h->tail = 0;
        }
    }
    for (; len >= 8; len -= 8, p += 8) {
        add_word(h, word_le(p));
        h->len += 8;
    }
    for (; len > 0; len--, p++) {
        h->tail |= (uint64_t)*p << (8 * (h->len % 8));
        h->len++;
    }
}

uint64_t flv_siphash_end(struct flv_siphash *h)
{
    add_word(h, h->len << 56 | h->tail);
    h->v[2] ^= 0xff;
    rounds(h->v, 4);
    return h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3];
}

uint64_t
flv_siphash24(uint64_t key0, uint64_t key1, const void *data, size_t len)
{
    struct flv_siphash h;

    flv_siphash_init(&h, key0, key1);
    flv_siphash_add(&h, data, len);
    return flv_siphash_end(&h);
}
