/* Varints, records, and batches built, checked, damaged and read. */
#include <stdio.h>

#include "cm.h"
#include "base/mem.h"
#include "frames.h"
#include "wire/batch.h"
#include "wire/crc32c.h"

#define STR(s) flv_slice_str(s)
#define NO_STAMP FLV_BATCH_NO_STAMP

struct fixture {
    struct flv_compressor *z;
    struct flv_batch_builder builder;
    struct flv_batch_reader reader;
    struct flv_buf out;
    struct flv_err err;
};

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    f.z = flv_compressor_create();
    flv_batch_builder_init(&f.builder, 1 << 20);
    flv_batch_reader_init(&f.reader, f.z, 1 << 20);
    flv_buf_init(&f.out, 2 << 20);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    flv_batch_builder_deinit(&f->builder);
    flv_batch_reader_deinit(&f->reader);
    flv_buf_deinit(&f->out);
    flv_compressor_destroy(f->z);
    return 0;
}

/* --- varints and records
 * ------------------------------------------------------ */

static void varints_are_as_documented(void **state)
{
    static const struct {
        int64_t n;
        const char *hex;
    } table[] = {
        {0, "00"},
        {-1, "01"},
        {1, "02"},
        {-2, "03"},
        {2, "04"},
        {63, "7e"},
        {-64, "7f"},
        {64, "80 01"},
        {-65, "81 01"},
        {300, "d8 04"},
        {-300, "d7 04"},
        {8191, "fe 7f"},
        {8192, "80 80 01"},
        {INT32_MAX, "fe ff ff ff 0f"},
        {INT32_MIN, "ff ff ff ff 0f"},
        {2147483648, "80 80 80 80 10"},
        {1700000000000, "80 a0 ab fe f9 62"},
        {INT64_MAX, "fe ff ff ff ff ff ff ff ff 01"},
        {INT64_MIN, "ff ff ff ff ff ff ff ff ff 01"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint8_t want[16], have[FLV_VARINT_MAX];
        size_t len = unhex(table[i].hex, want, sizeof(want));
        int64_t back = 0;

        assert_int_equal(flv_varint_put(have, table[i].n), len);
        assert_int_equal(flv_varint_size(table[i].n), len);
        assert_memory_equal(have, want, len);
        assert_int_equal(flv_varint_get(flv_slice(want, len), &back), len);
        assert_true(back == table[i].n);
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_equal(flv_varint_get(flv_slice(want, cut), &back), 0);
        }
    }
}

static void varints_of_more_than_64_bits_are_refused(void **state)
{
    uint8_t bytes[16];
    int64_t v;
    size_t len;

    (void)state;
    len = unhex("ff ff ff ff ff ff ff ff ff 02", bytes, sizeof(bytes));
    assert_int_equal(flv_varint_get(flv_slice(bytes, len), &v), 0);
    len = unhex("80 80 80 80 80 80 80 80 80 80 00", bytes, sizeof(bytes));
    assert_int_equal(flv_varint_get(flv_slice(bytes, len), &v), 0);
    /* Longer than needed is what other encoders may write. */
    len = unhex("82 80 00", bytes, sizeof(bytes));
    assert_int_equal(flv_varint_get(flv_slice(bytes, len), &v), 3);
    assert_true(v == 1);
}

static void records_that_lie_are_refused(void **state)
{
    static const struct {
        const char *hex, *text;
    } cases[] = {
        {"", "passes the 0 bytes"},
        {"01 00", "passes the 2 bytes"},
        {"16 00 00 00 00 0a 68", "passes the 7 bytes"},
        {"06 00 00 00", "cut in its head"},
        {"0c 00 00 00 02 00 00", "key tag"},
        {"0c 00 00 00 01 08 00", "key that passes"},
        {"0c 00 00 00 01 01 00", "key that passes"},
        {"0c 00 00 00 00 04 61", "value that passes"},
        {"0c 00 00 00 00 02 61", "cut before its headers"},
        {"0c 00 00 00 00 00 02", "headers"},
        {"0e 00 00 00 00 00 00 00", "shorter than its length"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[32];
        struct flv_slice in =
            flv_slice(bytes, unhex(cases[i].hex, bytes, sizeof(bytes)));
        struct flv_wire_record r = {.ts_delta = 77};
        size_t before = in.len;

        assert_int_equal(flv_wire_record_get(&in, &r, &f->err), FLV_E_CORRUPT);
        if (strstr(f->err.text, cases[i].text) == NULL) {
            fail_msg("%s: %s", cases[i].hex, f->err.text);
        }
        assert_int_equal(in.len, before);
        assert_int_equal(r.ts_delta, 77);
    }
}

/* --- building
 * ------------------------------------------------------------------- */

static void
add(struct fixture *f, const char *key, const char *value, int64_t t)
{
    struct flv_slice k = STR(key);

    assert_int_equal(flv_batch_builder_add(&f->builder, key != NULL ? &k : NULL,
                                           STR(value), t, &f->err),
                     FLV_OK);
}

static void finish(struct fixture *f, enum flv_codec codec)
{
    flv_buf_reset(&f->out);
    assert_int_equal(flv_batch_builder_finish(&f->builder, f->z, codec,
                                              NO_STAMP, &f->out, &f->err),
                     FLV_OK);
}

static void expect_hex(const struct fixture *f, const char *hex)
{
    uint8_t want[256];
    size_t len = unhex(hex, want, sizeof(want));

    assert_int_equal(f->out.len, len);
    assert_memory_equal(f->out.data, want, len);
}

#define TS "00 00 01 8b cf e5 68 00 "
#define NOBODY "ff ff ff ff ff ff ff ff ff ff ff ff ff ff "

static void batches_are_built_as_documented(void **state)
{
    struct fixture *f = *state;

    add(f, NULL, "hello", 1700000000000);
    finish(f, FLV_CODEC_NONE);
    expect_hex(f,
               "00 00 00 00 00 00 00 00 00 00 00 3d ff ff ff ff 02 af 7d d9 6c"
               "00 00 00 00 00 00 " TS TS NOBODY
               "00 00 00 01 16 00 00 00 00 0a 68 65 6c 6c 6f 00");
    flv_batch_builder_reset(&f->builder);
    add(f, "k", "hello", 1700000000000);
    finish(f, FLV_CODEC_NONE);
    assert_int_equal(flv_get_u32(f->out.data + 8), 0x3f);
    assert_int_equal(flv_get_u32(f->out.data + 17), 0x81bed24d);
    flv_batch_builder_reset(&f->builder);
    add(f, NULL, "a", 1700000000000);
    add(f, "k", "b", 1700000000070);
    finish(f, FLV_CODEC_NONE);
    expect_hex(f,
               "00 00 00 00 00 00 00 00 00 00 00 44 ff ff ff ff 02 d2 d7 63 ee "
               "00 00 00 00 00 01 " TS "00 00 01 8b cf e5 68 46 " NOBODY
               "00 00 00 02 0e 00 00 00 00 02 61 00 "
               "14 00 8c 01 02 01 02 6b 02 62 00");
}

static void a_captured_batch_verifies(void **state)
{
    struct fixture *f = *state;
    struct flv_batch_header h;
    struct flv_record r;
    uint8_t bytes[128];
    size_t len =
        unhex("00 00 00 00 00 00 00 00 00 00 00 3e ff ff ff ff 02 cb c3 f3 2b "
              "00 00 00 00 00 00 00 00 01 a2 04 8d da 7e "
              "00 00 01 a2 04 8d da 7e " NOBODY
              "00 00 00 01 18 00 00 00 01 00 0a 68 65 6c 6c 6f 00",
              bytes, sizeof(bytes));
    bool more;

    assert_int_equal(flv_batch_check(flv_slice(bytes, len), f->z, &h, &f->err),
                     FLV_OK);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.producer_id, FLV_BATCH_NO_PRODUCER);
    assert_int_equal(
        flv_batch_reader_open(&f->reader, flv_slice(bytes, len), NULL), FLV_OK);
    assert_int_equal(flv_batch_reader_next(&f->reader, &r, &more, NULL),
                     FLV_OK);
    assert_true(more && r.has_key && r.key.len == 0);
    assert_true(flv_slice_eq_str(r.value, "hello"));
}

static void the_size_is_known_before_and_after(void **state)
{
    struct fixture *f = *state;
    struct flv_slice key = STR("key");

    assert_int_equal(flv_batch_builder_size(&f->builder), 61);
    for (int i = 0; i < 200; i++) {
        int64_t t = 1000 + i * 3;
        size_t with = flv_batch_builder_size_with(
            &f->builder, i % 2 ? &key : NULL, STR("value"), t);

        add(f, i % 2 ? "key" : NULL, "value", t);
        assert_int_equal(flv_batch_builder_size(&f->builder), with);
    }
    finish(f, FLV_CODEC_NONE);
    assert_int_equal(f->out.len, flv_batch_builder_size(&f->builder));
}

static void a_full_builder_says_so_and_keeps_its_records(void **state)
{
    struct fixture *f = *state;
    struct flv_batch_builder b;

    flv_batch_builder_init(&b, 80);
    assert_int_equal(flv_batch_builder_add(&b, NULL, STR("hello"), 1, NULL),
                     FLV_OK);
    assert_int_equal(flv_batch_builder_add(&b, NULL, STR("x"), 1, &f->err),
                     FLV_E_LIMIT);
    assert_non_null(strstr(f->err.text, "does not fit a batch that has 73"));
    assert_int_equal(b.count, 1);
    assert_int_equal(flv_batch_builder_size(&b), 73);
    assert_int_equal(flv_batch_builder_finish(&b, NULL, FLV_CODEC_NONE,
                                              NO_STAMP, &f->out, NULL),
                     FLV_OK);
    flv_batch_builder_deinit(&b);
}

static void times_too_far_apart_need_another_batch(void **state)
{
    struct fixture *f = *state;
    int64_t far = (int64_t)INT32_MAX + 1;

    add(f, NULL, "a", 5);
    add(f, NULL, "b", 5 + far - 1);
    add(f, NULL, "c", 4 - far + 1);
    assert_int_equal(
        flv_batch_builder_add(&f->builder, NULL, STR("d"), 5 + far, &f->err),
        FLV_E_LIMIT);
    assert_int_equal(
        flv_batch_builder_add(&f->builder, NULL, STR("d"), INT64_MIN, &f->err),
        FLV_E_LIMIT);
    assert_int_equal(f->builder.count, 3);
}

/* --- reading back
 * ----------------------------------------------------------------- */

static void every_codec_round_trips(void **state)
{
    struct fixture *f = *state;
    char value[64];

    for (int codec = 0; codec < FLV_CODEC_COUNT; codec++) {
        struct flv_batch_header h;
        struct flv_slice batch;
        struct flv_record r;
        bool more;
        int n = 0;

        flv_batch_builder_reset(&f->builder);
        for (int i = 0; i < 3000; i++) {
            snprintf(value, sizeof(value), "value %d of many", i);
            add(f, i % 3 == 0 ? "k" : NULL, value, 1700000000000 + i);
        }
        finish(f, (enum flv_codec)codec);
        assert_true(codec == 0 ||
                    f->out.len < flv_batch_builder_size(&f->builder) / 2);
        flv_batch_set_base_offset(f->out.data, 1000);
        flv_batch_set_leader_epoch(f->out.data, 7);
        batch = flv_buf_slice(&f->out);
        if (flv_batch_check(batch, f->z, &h, &f->err) != FLV_OK) {
            fail_msg("%s", f->err.text);
        }
        assert_int_equal(h.codec, codec);
        assert_int_equal(h.base_offset, 1000);
        assert_int_equal(h.leader_epoch, 7);
        assert_int_equal(h.count, 3000);
        assert_int_equal(h.max_timestamp_ms, 1700000000000 + 2999);
        assert_int_equal(flv_batch_reader_open(&f->reader, batch, NULL),
                         FLV_OK);
        for (;; n++) {
            assert_int_equal(flv_batch_reader_next(&f->reader, &r, &more, NULL),
                             FLV_OK);
            if (!more) {
                break;
            }
            snprintf(value, sizeof(value), "value %d of many", n);
            assert_int_equal(r.offset, 1000 + n);
            assert_int_equal(r.timestamp_ms, 1700000000000 + n);
            assert_true(flv_slice_eq_str(r.value, value));
            assert_int_equal(r.has_key, n % 3 == 0);
        }
        assert_int_equal(n, 3000);
    }
}

static void a_stamp_is_inside_the_checksum(void **state)
{
    struct fixture *f = *state;
    struct flv_batch_stamp stamp = {
        .producer_id = 42, .producer_epoch = 3, .first_sequence = 1000};
    struct flv_batch_header h;

    add(f, NULL, "a", 1);
    assert_int_equal(flv_batch_builder_finish(&f->builder, NULL, FLV_CODEC_NONE,
                                              stamp, &f->out, NULL),
                     FLV_OK);
    assert_int_equal(flv_batch_check(flv_buf_slice(&f->out), f->z, &h, NULL),
                     FLV_OK);
    assert_int_equal(h.producer_id, 42);
    assert_int_equal(h.producer_epoch, 3);
    assert_int_equal(h.first_sequence, 1000);
    f->out.data[50] ^= 1;
    assert_int_equal(flv_batch_check(flv_buf_slice(&f->out), f->z, &h, NULL),
                     FLV_E_CORRUPT);
}

static void a_walk_takes_whole_batches_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct flv_batch_header h;
    struct flv_slice rest, batch;
    size_t first;

    add(f, NULL, "a", 1);
    finish(f, FLV_CODEC_NONE);
    first = f->out.len;
    assert_int_equal(flv_batch_builder_finish(&f->builder, f->z, FLV_CODEC_ZSTD,
                                              NO_STAMP, &f->out, NULL),
                     FLV_OK);
    rest = flv_buf_slice(&f->out);
    assert_int_equal(flv_batch_walk(&rest, &batch, &h, NULL), FLV_OK);
    assert_int_equal(batch.len, first);
    assert_int_equal(flv_batch_walk(&rest, &batch, &h, NULL), FLV_OK);
    assert_int_equal(h.codec, FLV_CODEC_ZSTD);
    assert_int_equal(rest.len, 0);
    assert_int_equal(flv_batch_walk(&rest, &batch, &h, NULL), FLV_OK);
    assert_int_equal(batch.len, 0);
    rest = flv_slice(f->out.data, first + 30);
    assert_int_equal(flv_batch_walk(&rest, &batch, &h, NULL), FLV_OK);
    assert_true(flv_batch_is_cut(rest));
    assert_int_equal(flv_batch_walk(&rest, &batch, &h, &f->err), FLV_E_CORRUPT);
    assert_int_equal(rest.len, 30);
    assert_false(flv_batch_is_cut(flv_slice(f->out.data, first)));
}

/* --- damage
 * ----------------------------------------------------------------------- */

/* Reads all records; true when that worked. */
static bool readable(struct fixture *f, struct flv_slice batch)
{
    struct flv_record r;
    bool more = true;

    if (flv_batch_reader_open(&f->reader, batch, NULL) != FLV_OK) {
        return false;
    }
    while (more) {
        if (flv_batch_reader_next(&f->reader, &r, &more, NULL) != FLV_OK) {
            return false;
        }
    }
    return true;
}

static void every_flipped_bit_is_found_or_harmless(void **state)
{
    struct fixture *f = *state;

    for (int codec = 0; codec < FLV_CODEC_COUNT; codec++) {
        flv_batch_builder_reset(&f->builder);
        for (int i = 0; i < 5; i++) {
            add(f, "key", "some value, some value", 1700000000000 + i);
        }
        finish(f, (enum flv_codec)codec);
        for (size_t bit = 0; bit < f->out.len * 8; bit++) {
            struct flv_slice batch = flv_buf_slice(&f->out);
            size_t pos = bit / 8;
            struct flv_batch_header h;
            flv_rc rc;

            f->out.data[pos] ^= (uint8_t)(1 << bit % 8);
            rc = flv_batch_check(batch, f->z, &h, NULL);
            readable(f, batch);
            f->out.data[pos] ^= (uint8_t)(1 << bit % 8);
            /* Base offset and leader epoch are the server's to write. */
            if (pos < 8 || (pos >= 12 && pos < 16)) {
                assert_int_equal(rc, FLV_OK);
            } else {
                assert_int_equal(rc, FLV_E_CORRUPT);
            }
        }
    }
}

static void every_cut_batch_is_refused(void **state)
{
    struct fixture *f = *state;

    for (int codec = 0; codec < FLV_CODEC_COUNT; codec++) {
        flv_batch_builder_reset(&f->builder);
        for (int i = 0; i < 5; i++) {
            add(f, NULL, "some value, some value", 1700000000000 + i);
        }
        finish(f, (enum flv_codec)codec);
        for (size_t len = 0; len < f->out.len; len++) {
            uint8_t *part = test_malloc(len + 1);
            struct flv_batch_header h;

            memcpy(part, f->out.data, len);
            assert_true(flv_batch_is_cut(flv_slice(part, len)));
            assert_int_equal(
                flv_batch_check(flv_slice(part, len), f->z, &h, NULL),
                FLV_E_CORRUPT);
            /* With a length that agrees the records do not. */
            if (len >= FLV_BATCH_HEADER_SIZE) {
                flv_put_u32(part + 8, (uint32_t)len - 12);
                assert_false(readable(f, flv_slice(part, len)));
            }
            test_free(part);
        }
    }
}

/* Writes the checksum anew, as a liar would. */
static void seal(struct flv_buf *b)
{
    flv_put_u32(b->data + 17, flv_crc32c(0, b->data + 21, b->len - 21));
}

static void lies_under_a_good_checksum_are_refused(void **state)
{
    struct fixture *f = *state;
    struct flv_batch_header h;

    add(f, NULL, "a", 1);
    add(f, NULL, "b", 1);
    for (int codec = 0; codec < FLV_CODEC_COUNT; codec++) {
        finish(f, (enum flv_codec)codec);
        flv_put_u32(f->out.data + 23, 2); /* last offset delta */
        seal(&f->out);
        assert_int_equal(
            flv_batch_check(flv_buf_slice(&f->out), f->z, &h, &f->err),
            FLV_E_CORRUPT);
        assert_non_null(
            strstr(f->err.text, "counts 2 records, but its header 3"));
        assert_false(readable(f, flv_buf_slice(&f->out)));
    }
    /* Header and count agree on a number that the bytes cannot hold. */
    finish(f, FLV_CODEC_NONE);
    flv_put_u32(f->out.data + 23, 999999);
    flv_put_u32(f->out.data + 57, 1000000);
    seal(&f->out);
    assert_int_equal(flv_batch_check(flv_buf_slice(&f->out), f->z, &h, &f->err),
                     FLV_E_CORRUPT);
    assert_non_null(strstr(f->err.text, "1000000 records in 16 bytes"));
    assert_false(readable(f, flv_buf_slice(&f->out)));
    /* One record fewer than there are bytes for. */
    finish(f, FLV_CODEC_NONE);
    flv_put_u32(f->out.data + 23, 0);
    flv_put_u32(f->out.data + 57, 1);
    seal(&f->out);
    assert_false(readable(f, flv_buf_slice(&f->out)));
}

static void unknown_headers_are_refused(void **state)
{
    static const struct {
        size_t pos;
        uint8_t value;
        const char *text;
    } cases[] = {
        {16, 1, "magic 1"},
        {22, 5, "unknown attributes 0x0005"},
        {22, 0x20, "unknown attributes 0x0020"},
        {21, 0x80, "unknown attributes 0x8000"},
        {8, 0xff, "says it is -"},
        {11, 10, "says it is 10 bytes"},
        {23, 0x80, "last offset delta -2147483648"},
    };
    struct fixture *f = *state;
    struct flv_batch_header h;

    add(f, NULL, "a", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        finish(f, FLV_CODEC_NONE);
        f->out.data[cases[i].pos] = cases[i].value;
        assert_int_equal(flv_batch_parse(flv_buf_slice(&f->out), &h, &f->err),
                         FLV_E_CORRUPT);
        if (strstr(f->err.text, cases[i].text) == NULL) {
            fail_msg("%s", f->err.text);
        }
    }
}

static void an_empty_batch_counts_nothing(void **state)
{
    struct fixture *f = *state;
    struct flv_batch_header h;

    add(f, NULL, "a", 1);
    finish(f, FLV_CODEC_NONE);
    f->out.len = 61;
    flv_put_u32(f->out.data + 8, 49);
    flv_put_u32(f->out.data + 23, UINT32_MAX);
    flv_put_u32(f->out.data + 57, 0);
    seal(&f->out);
    assert_int_equal(flv_batch_check(flv_buf_slice(&f->out), f->z, &h, &f->err),
                     FLV_OK);
    assert_int_equal(h.count, 0);
    assert_true(readable(f, flv_buf_slice(&f->out)));
}

static void a_schema_id_is_skipped(void **state)
{
    struct fixture *f = *state;
    struct flv_batch_header h;
    struct flv_buf with;

    add(f, NULL, "a", 1);
    finish(f, FLV_CODEC_NONE);
    flv_buf_init(&with, 1024);
    assert_int_equal(flv_buf_add(&with, f->out.data, 57), FLV_OK);
    assert_int_equal(flv_buf_add_u32(&with, 77), FLV_OK);
    assert_int_equal(flv_buf_add(&with, f->out.data + 57, f->out.len - 57),
                     FLV_OK);
    with.data[22] = 0x10;
    flv_put_u32(with.data + 8, (uint32_t)with.len - 12);
    seal(&with);
    assert_int_equal(flv_batch_check(flv_buf_slice(&with), f->z, &h, &f->err),
                     FLV_OK);
    assert_int_equal(h.records_pos, 61);
    assert_true(readable(f, flv_buf_slice(&with)));
    flv_buf_deinit(&with);
}

/* A few bytes that decompress to far more than the reader allows. */
static void bombs_stop_at_the_ceiling(void **state)
{
    struct fixture *f = *state;
    struct flv_batch_reader small;
    char *zeros = test_calloc(1, 100001);

    memset(zeros, 'x', 100000);
    flv_batch_reader_init(&small, f->z, 100000);
    add(f, NULL, zeros, 1);
    for (int codec = 1; codec < FLV_CODEC_COUNT; codec++) {
        finish(f, (enum flv_codec)codec);
        assert_true(f->out.len < 8000);
        assert_int_equal(
            flv_batch_reader_open(&small, flv_buf_slice(&f->out), &f->err),
            FLV_E_LIMIT);
        assert_true(readable(f, flv_buf_slice(&f->out)));
    }
    test_free(zeros);
    flv_batch_reader_deinit(&small);
}

/* Builds, checks and reads with the nth allocation failing. */
static flv_rc round_trip(enum flv_codec codec, uint64_t nth)
{
    struct flv_compressor *z;
    struct flv_batch_builder b;
    struct flv_batch_reader r;
    struct flv_batch_header h;
    struct flv_buf out;
    flv_rc rc = FLV_E_NOMEM;

    flv_batch_builder_init(&b, 4096);
    flv_buf_init(&out, 4096);
    flv__mem_fail_at(nth);
    z = flv_compressor_create();
    flv_batch_reader_init(&r, z, 4096);
    if (z != NULL) {
        rc = flv_batch_builder_add(&b, NULL, STR("abc abc abc"), 1, NULL);
    }
    if (rc == FLV_OK) {
        rc = flv_batch_builder_finish(&b, z, codec, NO_STAMP, &out, NULL);
    }
    if (rc == FLV_OK) {
        rc = flv_batch_check(flv_buf_slice(&out), z, &h, NULL);
    }
    if (rc == FLV_OK) {
        rc = flv_batch_reader_open(&r, flv_buf_slice(&out), NULL);
    }
    flv__mem_fail_at(0);
    flv_batch_builder_deinit(&b);
    flv_batch_reader_deinit(&r);
    flv_buf_deinit(&out);
    flv_compressor_destroy(z);
    return rc;
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    for (int codec = 0; codec < FLV_CODEC_COUNT; codec++) {
        uint64_t nth = 1;
        flv_rc rc;

        while ((rc = round_trip((enum flv_codec)codec, nth)) != FLV_OK) {
            assert_int_equal(rc, FLV_E_NOMEM);
            nth++;
        }
        assert_true(nth > 2);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(varints_are_as_documented),
        T(varints_of_more_than_64_bits_are_refused),
        T(records_that_lie_are_refused),
        T(batches_are_built_as_documented),
        T(a_captured_batch_verifies),
        T(the_size_is_known_before_and_after),
        T(a_full_builder_says_so_and_keeps_its_records),
        T(times_too_far_apart_need_another_batch),
        T(every_codec_round_trips),
        T(a_stamp_is_inside_the_checksum),
        T(a_walk_takes_whole_batches_and_leaves_nothing),
        T(every_flipped_bit_is_found_or_harmless),
        T(every_cut_batch_is_refused),
        T(lies_under_a_good_checksum_are_refused),
        T(unknown_headers_are_refused),
        T(an_empty_batch_counts_nothing),
        T(a_schema_id_is_skipped),
        T(bombs_stop_at_the_ceiling),
        T(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
