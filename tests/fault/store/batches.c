#include "batches.h"

#include <string.h>

#include "base/bytes.h"
#include "wire/crc32c.h"

struct batch_spec plain_batch(uint32_t bytes, uint32_t count, uint64_t seed)
{
    return (struct batch_spec){
        .bytes = bytes,
        .count = count,
        .producer_id = -1,
        .epoch = -1,
        .sequence = -1,
        .seed = seed,
    };
}

size_t put_batch(uint8_t *out, const struct batch_spec *spec)
{
    size_t size = BATCH_HEAD + spec->bytes;
    uint64_t x = spec->seed * 2 + 1;
    uint32_t zeros = (spec->seed & 1) != 0 ? 16 : 0;

    memset(out, 0, BATCH_HEAD);
    flv_put_u64(out, spec->seed); /* anything: the log replaces it */
    flv_put_u32(out + 8, (uint32_t)size - 12);
    flv_put_u32(out + 12, 7);
    out[16] = 2;
    flv_put_u32(out + 23, spec->count - 1);
    flv_put_u64(out + 43, (uint64_t)spec->producer_id);
    flv_put_u16(out + 51, (uint16_t)spec->epoch);
    flv_put_u32(out + 53, (uint32_t)spec->sequence);
    memset(out + BATCH_HEAD, 0, spec->bytes);
    /* Every other one ends in zeros, as records tend to. */
    for (uint32_t i = 0; i + zeros < spec->bytes; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        out[BATCH_HEAD + i] = (uint8_t)(x >> 56);
    }
    flv_put_u32(out + 17, flv_crc32c(0, out + 21, size - 21));
    return size;
}
