/* The four codecs, CRC-32C, and what must not pass through them. */
#include <stdio.h>

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include "cm.h"
#include "frames.h"
#include "wire/compress.h"
#include "wire/crc32c.h"

#define LARGE 300000

struct fixture {
    struct flv_compressor *z;
    struct flv_buf small, plain;
    uint8_t text[LARGE], noise[LARGE];
};

static int setup(void **state)
{
    static struct fixture f;
    uint32_t seed = 1;

    f.z = flv_compressor_create();
    flv_buf_init(&f.small, 1 << 20);
    flv_buf_init(&f.plain, 1 << 20);
    for (size_t i = 0; i < LARGE; i++) {
        seed = seed * 1664525 + 1013904223;
        f.noise[i] = (uint8_t)(seed >> 24);
        f.text[i] = (uint8_t)("abcdefghij"[(i / 7) % 10] + (i % 1000 == 0));
    }
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    flv_compressor_destroy(f->z);
    flv_buf_deinit(&f->small);
    flv_buf_deinit(&f->plain);
    return 0;
}

static void crc32c_is_castagnoli(void **state)
{
    struct fixture *f = *state;
    uint32_t whole = flv_crc32c(0, f->noise, LARGE);

    assert_int_equal(flv_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(flv_crc32c(0, "", 0), 0);
    assert_int_equal(flv_crc32c(flv_crc32c(0, "1234", 4), "56789", 5),
                     0xe3069283);
    assert_int_equal(
        flv_crc32c(flv_crc32c(0, f->noise, 777), f->noise + 777, LARGE - 777),
        whole);
}

static void
expect_round_trip(struct fixture *f, enum flv_codec codec, struct flv_slice in)
{
    struct flv_err err = {0};
    uint8_t head[FLV_DECOMPRESS_HEAD_MAX];
    size_t want = in.len < sizeof(head) ? in.len : sizeof(head);

    flv_buf_reset(&f->small);
    flv_buf_reset(&f->plain);
    assert_int_equal(flv_compress(f->z, codec, in, &f->small, &err), FLV_OK);
    if (flv_decompress(f->z, codec, flv_buf_slice(&f->small), &f->plain,
                       &err) != FLV_OK) {
        fail_msg("%zu bytes: %s", in.len, err.text);
    }
    assert_true(flv_slice_eq(flv_buf_slice(&f->plain), in));
    if (codec != FLV_CODEC_NONE && want > 0) {
        assert_int_equal(flv_decompress_head(f->z, codec,
                                             flv_buf_slice(&f->small), head,
                                             want, &err),
                         FLV_OK);
        assert_memory_equal(head, in.data, want);
    }
}

static void all_sizes_round_trip(void **state)
{
    static const size_t sizes[] = {0,     1,     4,      100,    65535,
                                   65536, 65537, 131072, 262145, LARGE};
    struct fixture *f = *state;

    for (int codec = 0; codec < FLV_CODEC_COUNT; codec++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            expect_round_trip(f, (enum flv_codec)codec,
                              flv_slice(f->text, sizes[i]));
            expect_round_trip(f, (enum flv_codec)codec,
                              flv_slice(f->noise, sizes[i]));
        }
    }
}

static void ceilings_hold_to_the_byte(void **state)
{
    struct fixture *f = *state;

    for (int codec = 0; codec < FLV_CODEC_COUNT; codec++) {
        struct flv_buf exact, short_by_one, tight;
        struct flv_slice packed;

        flv_buf_reset(&f->small);
        assert_int_equal(flv_compress(f->z, (enum flv_codec)codec,
                                      flv_slice(f->text, LARGE), &f->small,
                                      NULL),
                         FLV_OK);
        packed = flv_buf_slice(&f->small);
        flv_buf_init(&exact, LARGE + 3);
        flv_buf_init(&short_by_one, LARGE + 2);
        assert_int_equal(flv_buf_add_str(&exact, "abc"), FLV_OK);
        assert_int_equal(flv_buf_add_str(&short_by_one, "abc"), FLV_OK);
        assert_int_equal(
            flv_decompress(f->z, (enum flv_codec)codec, packed, &exact, NULL),
            FLV_OK);
        assert_int_equal(exact.len, LARGE + 3);
        assert_memory_equal(exact.data + 3, f->text, LARGE);
        assert_int_equal(flv_decompress(f->z, (enum flv_codec)codec, packed,
                                        &short_by_one, NULL),
                         FLV_E_LIMIT);
        assert_int_equal(short_by_one.len, 3);
        flv_buf_deinit(&exact);
        flv_buf_deinit(&short_by_one);
        flv_buf_init(&tight, packed.len - 1);
        assert_int_equal(flv_compress(f->z, (enum flv_codec)codec,
                                      flv_slice(f->text, LARGE), &tight, NULL),
                         FLV_E_LIMIT);
        assert_int_equal(tight.len, 0);
        flv_buf_deinit(&tight);
    }
}

static void cut_and_longer_streams_are_refused(void **state)
{
    struct fixture *f = *state;

    for (int codec = 1; codec < FLV_CODEC_COUNT; codec++) {
        struct flv_slice packed;

        flv_buf_reset(&f->small);
        assert_int_equal(flv_compress(f->z, (enum flv_codec)codec,
                                      flv_slice(f->text, 2000), &f->small,
                                      NULL),
                         FLV_OK);
        assert_int_equal(flv_buf_add_u8(&f->small, 0), FLV_OK);
        packed = flv_buf_slice(&f->small);
        flv_buf_reset(&f->plain);
        assert_int_equal(flv_decompress(f->z, (enum flv_codec)codec, packed,
                                        &f->plain, NULL),
                         FLV_E_CORRUPT);
        for (size_t len = 0; len + 1 < packed.len; len++) {
            /* Snappy has no end mark: between its chunks a cut is an end. */
            flv_rc want =
                codec == FLV_CODEC_SNAPPY && len == 10 ? FLV_OK : FLV_E_CORRUPT;

            assert_int_equal(flv_decompress(f->z, (enum flv_codec)codec,
                                            flv_slice(packed.data, len),
                                            &f->plain, NULL),
                             want);
            assert_int_equal(f->plain.len, 0);
        }
    }
}

static void heads_need_enough_content(void **state)
{
    struct fixture *f = *state;
    uint8_t head[4] = {9, 9, 9, 9};

    for (int codec = 1; codec < FLV_CODEC_COUNT; codec++) {
        for (size_t len = 0; len < 4; len++) {
            flv_buf_reset(&f->small);
            assert_int_equal(flv_compress(f->z, (enum flv_codec)codec,
                                          flv_slice(f->text, len), &f->small,
                                          NULL),
                             FLV_OK);
            assert_int_equal(flv_decompress_head(f->z, (enum flv_codec)codec,
                                                 flv_buf_slice(&f->small), head,
                                                 4, NULL),
                             FLV_E_CORRUPT);
        }
    }
    assert_int_equal(head[0], 9);
}

static void lz4_frames_with_checksums_are_read(void **state)
{
    struct fixture *f = *state;
    LZ4F_preferences_t p = {
        .frameInfo = {.blockMode = LZ4F_blockLinked,
                      .blockSizeID = LZ4F_max256KB,
                      .contentChecksumFlag = LZ4F_contentChecksumEnabled,
                      .blockChecksumFlag = LZ4F_blockChecksumEnabled,
                      .contentSize = LARGE}};
    size_t bound = LZ4F_compressFrameBound(LARGE, &p);

    assert_int_equal(flv_buf_reserve(&f->small, bound), FLV_OK);
    f->small.len = LZ4F_compressFrame(f->small.data, bound, f->text, LARGE, &p);
    assert_false(LZ4F_isError(f->small.len));
    assert_int_equal(flv_decompress(f->z, FLV_CODEC_LZ4,
                                    flv_buf_slice(&f->small), &f->plain, NULL),
                     FLV_OK);
    assert_true(
        flv_slice_eq(flv_buf_slice(&f->plain), flv_slice(f->text, LARGE)));
    f->small.data[f->small.len - 1] ^= 1;
    assert_int_equal(flv_decompress(f->z, FLV_CODEC_LZ4,
                                    flv_buf_slice(&f->small), &f->plain, NULL),
                     FLV_E_CORRUPT);
}

static void zstd_frames_of_unknown_size_are_read(void **state)
{
    struct fixture *f = *state;
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_inBuffer in = {f->text, LARGE, 0};
    ZSTD_outBuffer out;

    assert_int_equal(flv_buf_reserve(&f->small, LARGE), FLV_OK);
    out = (ZSTD_outBuffer){f->small.data, LARGE, 0};
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    assert_int_equal(ZSTD_compressStream2(c, &out, &in, ZSTD_e_end), 0);
    f->small.len = out.pos;
    assert_int_equal(flv_decompress(f->z, FLV_CODEC_ZSTD,
                                    flv_buf_slice(&f->small), &f->plain, NULL),
                     FLV_OK);
    assert_int_equal(f->plain.len, LARGE);
    ZSTD_freeCCtx(c);
}

/* A frame head alone, which asks for a window of 1 GiB. */
static void zstd_windows_have_a_ceiling(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[16];
    size_t len = unhex("28 b5 2f fd 00 a0 01 00 00", bytes, sizeof(bytes));
    struct flv_err err = {0};

    assert_int_equal(flv_decompress(f->z, FLV_CODEC_ZSTD, flv_slice(bytes, len),
                                    &f->plain, &err),
                     FLV_E_CORRUPT);
    assert_non_null(strstr(err.text, "memory"));
}

static void expect_snappy(struct fixture *f, const char *hex, const char *want)
{
    uint8_t bytes[128];
    struct flv_slice in = flv_slice(bytes, unhex(hex, bytes, sizeof(bytes)));
    struct flv_err err = {0};
    flv_rc rc;

    flv_buf_reset(&f->plain);
    rc = flv_decompress(f->z, FLV_CODEC_SNAPPY, in, &f->plain, &err);
    if (rc == FLV_OK) {
        assert_true(flv_slice_eq_str(flv_buf_slice(&f->plain), want));
    } else if (strstr(err.text, want) == NULL) {
        fail_msg("%s: %s", hex, err.text);
    }
}

#define SNAPPY_ID "ff 06 00 00 73 4e 61 50 70 59 "
#define SNAPPY_HELLO "01 09 00 00 bb 1f 1c 19 68 65 6c 6c 6f "

static void snappy_frames_are_read_chunk_by_chunk(void **state)
{
    struct fixture *f = *state;

    expect_snappy(f, SNAPPY_ID SNAPPY_HELLO, "hello");
    expect_snappy(f, SNAPPY_ID SNAPPY_HELLO SNAPPY_HELLO, "hellohello");
    expect_snappy(f, SNAPPY_ID SNAPPY_ID SNAPPY_HELLO, "hello");
    expect_snappy(f, SNAPPY_ID "fe 02 00 00 00 00 " SNAPPY_HELLO, "hello");
    expect_snappy(f, SNAPPY_HELLO, "does not begin with its identifier");
    expect_snappy(f, SNAPPY_ID "02 00 00 00", "unknown kind");
    expect_snappy(f, SNAPPY_ID "01 03 00 00 00 00 00", "without a checksum");
    expect_snappy(f, SNAPPY_ID "01 09 00 00 bb 1f 1c 18 68 65 6c 6c 6f",
                  "wrong checksum");
    expect_snappy(f, SNAPPY_ID "01 09 00", "inside a chunk's head");
    expect_snappy(f, SNAPPY_ID "01 09 00 00 bb", "ends inside a chunk");
    expect_snappy(f, SNAPPY_ID "00 0a 00 00 00 00 00 00 ff ff ff ff 0f 00",
                  "more than 64 KiB");
    expect_snappy(f, "ff 06 00 00 73 4e 61 50 70 5a", "not sNaPpY");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(crc32c_is_castagnoli),
        T(all_sizes_round_trip),
        T(ceilings_hold_to_the_byte),
        T(cut_and_longer_streams_are_refused),
        T(heads_need_enough_content),
        T(lz4_frames_with_checksums_are_read),
        T(zstd_frames_of_unknown_size_are_read),
        T(zstd_windows_have_a_ceiling),
        T(snappy_frames_are_read_chunk_by_chunk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
