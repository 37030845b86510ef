/* fuzz-libs: flv_wire */
/* Compressed bytes: one byte for the codec, then a stream. Whole and head
 * agree, a ceiling holds, and what comes out can be packed again. */
#include <stdlib.h>
#include <string.h>

#include "wire/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PLAIN_MAX (1 << 18)

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void pack_again(struct flv_compressor *z,
                       enum flv_codec codec,
                       struct flv_slice plain)
{
    struct flv_buf packed, back;

    flv_buf_init(&packed, 2 * PLAIN_MAX);
    flv_buf_init(&back, PLAIN_MAX);
    check(flv_compress(z, codec, plain, &packed, NULL) == FLV_OK);
    check(flv_decompress(z, codec, flv_buf_slice(&packed), &back, NULL) ==
          FLV_OK);
    check(flv_slice_eq(flv_buf_slice(&back), plain));
    flv_buf_deinit(&packed);
    flv_buf_deinit(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_compressor *z;
    enum flv_codec codec;
    struct flv_slice in;
    struct flv_buf plain;
    uint8_t head[4];
    flv_rc whole, part;

    if (size < 1) {
        return 0;
    }
    codec = (enum flv_codec)(1 + data[0] % (FLV_CODEC_COUNT - 1));
    in = flv_slice(data + 1, size - 1);
    z = flv_compressor_create();
    check(z != NULL);
    flv_buf_init(&plain, PLAIN_MAX);
    part = flv_decompress_head(z, codec, in, head, sizeof(head), NULL);
    whole = flv_decompress(z, codec, in, &plain, NULL);
    check(plain.len <= PLAIN_MAX);
    if (whole == FLV_OK) {
        check((part == FLV_OK) == (plain.len >= sizeof(head)));
        check(part != FLV_OK || memcmp(head, plain.data, sizeof(head)) == 0);
        pack_again(z, codec, flv_buf_slice(&plain));
    } else {
        check(plain.len == 0);
    }
    flv_buf_deinit(&plain);
    flv_compressor_destroy(z);
    return 0;
}
