/*
 * dedup - drops a record that repeats one of those before it.
 *
 * Kind        filter, with look_back: for the deduplication of a topic
 * Parameters  count: how many of the last records that stayed are remembered;
 *             10,000 when it is not given
 *             age: for how many milliseconds; for ever when it is not given
 *             by: what makes a record a repetition: its `key` (when it has
 *             none, its value), or its `value`; key when it is not given
 *
 * Remembered is a fingerprint, 128 bits of SHA-256, so that what others send
 * cannot be made to collide. Takes about 40 bytes of memory for each of
 * `count`.
 *
 *     ring:   | oldest | ... | newest |      what stayed, in its order
 *     table:  fingerprint -> its newest place in the ring (open addressing)
 */
#include <fluvio/smartmodule_text.h>

#define COUNT_DEFAULT 10000
#define COUNT_MAX 10000000
#define FREE UINT32_MAX

struct seen {
    uint64_t print[2];
    int64_t at_ms; /* negative: not known */
};

static struct seen *ring;
static uint32_t *table;
static uint32_t ring_size, ring_len, ring_next, table_mask;
static int64_t age_ms;
static bool by_value;

/* --- SHA-256 (FIPS 180-4) ------------------------------------------------- */

static const uint32_t rounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, unsigned by)
{
    return x >> by | x << (32 - by);
}

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static void add_block(uint32_t h[8], const uint8_t *block)
{
    uint32_t w[64], v[8];

    for (unsigned i = 0; i < 16; i++) {
        w[i] = big_endian(block + 4 * i);
    }
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];

        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[i - 7] +
               (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
    __builtin_memcpy(v, h, sizeof(v));
    for (unsigned i = 0; i < 64; i++) {
        uint32_t e = v[4], a = v[0];
        uint32_t t1 = v[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
                      ((e & v[5]) ^ (~e & v[6])) + rounds[i] + w[i];
        uint32_t t2 = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) +
                      ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

        __builtin_memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++) {
        h[i] += v[i];
    }
}

/* Of one byte and some more, so that a key never looks like a value. */
static void fingerprint(uint8_t kind, struct flv_slice s, uint64_t out[2])
{
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const uint64_t bits = 8 * ((uint64_t)s.len + 1);
    uint8_t block[64] = {kind};
    size_t used = 1, at = 0;

    while (s.len - at >= sizeof(block) - used) {
        __builtin_memcpy(block + used, s.data + at, sizeof(block) - used);
        at += sizeof(block) - used;
        used = 0;
        add_block(h, block);
    }
    if (s.len > at) {
        __builtin_memcpy(block + used, s.data + at, s.len - at);
        used += s.len - at;
    }
    block[used++] = 0x80;
    __builtin_memset(block + used, 0, sizeof(block) - used);
    if (used > sizeof(block) - 8) {
        add_block(h, block);
        __builtin_memset(block, 0, sizeof(block));
    }
    for (unsigned i = 0; i < 8; i++) {
        block[56 + i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    add_block(h, block);
    out[0] = (uint64_t)h[0] << 32 | h[1];
    out[1] = (uint64_t)h[2] << 32 | h[3];
}

/* --- what stayed ---------------------------------------------------------- */

/* Where the fingerprint is in the table, or where it would be. */
static uint32_t place_of(const uint64_t print[2])
{
    uint32_t i = (uint32_t)print[0] & table_mask;

    while (table[i] != FREE && (ring[table[i]].print[0] != print[0] ||
                                ring[table[i]].print[1] != print[1])) {
        i = (i + 1) & table_mask;
    }
    return i;
}

/* Takes the entry out and closes the gap that it leaves. */
static void take_out(uint32_t gap)
{
    uint32_t i = gap;

    for (;;) {
        uint32_t home;

        table[gap] = FREE;
        do {
            i = (i + 1) & table_mask;
            if (table[i] == FREE) {
                return;
            }
            home = (uint32_t)ring[table[i]].print[0] & table_mask;
        } while (((i - home) & table_mask) < ((i - gap) & table_mask));
        table[gap] = table[i];
        gap = i;
    }
}

static void forget_oldest(void)
{
    uint32_t place = place_of(ring[ring_next].print);

    if (table[place] == ring_next) { /* else it was seen again since */
        take_out(place);
    }
}

static void remember(const struct seen *s)
{
    if (ring_len == ring_size) {
        forget_oldest();
    } else {
        ring_len++;
    }
    ring[ring_next] = *s;
    table[place_of(s->print)] = ring_next;
    ring_next = ring_next + 1 < ring_size ? ring_next + 1 : 0;
}

static struct seen look_at(const struct flv_record *record)
{
    bool value = by_value || !record->has_key;
    struct seen s = {.at_ms = record->timestamp_ms};

    fingerprint(value ? 'v' : 'k', value ? record->value : record->key,
                s.print);
    return s;
}

static bool is_repetition(const struct seen *s)
{
    uint32_t at = table[place_of(s->print)];

    if (at == FREE) {
        return false;
    }
    return s->at_ms < 0 || ring[at].at_ms < 0 ||
           s->at_ms - ring[at].at_ms <= age_ms;
}

/* --- the module ----------------------------------------------------------- */

static bool read_number(const struct flv_params *params,
                        const char *name,
                        int64_t max,
                        int64_t *out)
{
    struct flv_slice text;

    return !flv_param(params, name, &text) ||
           (flv_parse_i64(text, out) && *out >= 1 && *out <= max);
}

FLV_INIT(params)
{
    int64_t count = COUNT_DEFAULT;
    struct flv_slice by = flv_text("key");
    uint32_t size = 4;

    (void)flv_param(params, "by", &by);
    by_value = flv_equal(by, flv_text("value"));
    if (!by_value && !flv_equal(by, flv_text("key"))) {
        return flv_reject("dedup knows by: key and by: value");
    }
    if (!read_number(params, "count", COUNT_MAX, &count)) {
        return flv_reject("the count of dedup is 1 to 10,000,000 records");
    }
    age_ms = INT64_MAX;
    if (!read_number(params, "age", INT64_MAX, &age_ms)) {
        return flv_reject("the age of dedup is a number of milliseconds");
    }
    while (size < 2 * (uint32_t)count) {
        size *= 2;
    }
    ring_size = (uint32_t)count;
    ring_len = ring_next = 0;
    table_mask = size - 1;
    ring = flv_alloc(ring_size * sizeof(*ring));
    table = flv_alloc(size * sizeof(*table));
    __builtin_memset(table, 0xff, size * sizeof(*table));
    return FLV_DONE;
}

FLV_LOOK_BACK(record)
{
    struct seen s = look_at(record);

    remember(&s);
    return FLV_DONE;
}

FLV_FILTER(record)
{
    struct seen s = look_at(record);

    if (is_repetition(&s)) {
        return FLV_DROP;
    }
    remember(&s);
    return FLV_KEEP;
}
