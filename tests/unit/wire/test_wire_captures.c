/* Frames of real clients and a real cluster: read and written unchanged. */
#include <stdio.h>

#include "cm.h"
#include "frames.h"
#include "wire/batch.h"
#include "wire/spu.h"

static struct frames frames;

static int load(void **state)
{
    (void)state;
    frames = frames_load();
    return frames.len > 300 ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    frames_free(&frames);
    return 0;
}

static void name_frame(const struct frame *f)
{
    print_message("%s: %s %s %u version %d\n", f->scenario,
                  f->side == FLV_WIRE_SC ? "SC" : "SPU",
                  f->request ? "request" : "response", f->api, f->version);
}

/* No frame is left out: every object that real clients sent has a table. */
static void every_frame_is_written_as_it_was_read(void **state)
{
    struct flv_arena arena;
    struct flv_buf out;

    (void)state;
    flv_arena_init(&arena, 4096, 1 << 20);
    flv_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < frames.len; i++) {
        const struct frame *f = &frames.at[i];
        struct flv_err err = {0};
        struct opened o;

        if (frame_open(f, &arena, &o, &err) != FLV_OK || o.left_over != 0) {
            name_frame(f);
            fail_msg("%s, %zu left over", err.text, o.left_over);
        }
        if (f->request) {
            assert_int_equal(o.header.api_key, f->api);
            assert_int_equal(o.header.version, f->version);
        }
        assert_int_equal(frame_close(f, &o, &out, NULL, &err), FLV_OK);
        if (out.len != f->len || memcmp(out.data, f->bytes, f->len) != 0) {
            name_frame(f);
            assert_int_equal(out.len, f->len);
            assert_memory_equal(out.data, f->bytes, f->len);
        }
        flv_buf_reset(&out);
        flv_arena_reset(&arena);
    }
    flv_buf_deinit(&out);
    flv_arena_deinit(&arena);
}

static void cut_payloads_give_the_same_bytes(void **state)
{
    struct flv_arena arena;
    struct flv_buf out;
    size_t with_cuts = 0;

    (void)state;
    flv_arena_init(&arena, 4096, 1 << 20);
    flv_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < frames.len; i++) {
        const struct frame *f = &frames.at[i];
        struct flv_wire_cut at[4];
        struct flv_wire_cuts cuts = {.at = at, .max = 4, .min_bytes = 16};
        struct flv_slice parts[9];
        struct opened o;
        size_t pos = 0, n;

        assert_int_equal(frame_open(f, &arena, &o, NULL), FLV_OK);
        assert_int_equal(flv_buf_add_str(&out, "earlier"), FLV_OK);
        assert_int_equal(frame_close(f, &o, &out, &cuts, NULL), FLV_OK);
        n = flv_wire_parts(&out, strlen("earlier"), &cuts, parts, 9);
        for (size_t j = 0; j < n; j++) {
            assert_true(pos + parts[j].len <= f->len);
            assert_memory_equal(f->bytes + pos, parts[j].data, parts[j].len);
            pos += parts[j].len;
        }
        assert_int_equal(pos, f->len);
        with_cuts += cuts.len > 0;
        for (size_t j = 0; j < cuts.len; j++) {
            assert_true(cuts.at[j].bytes.data > f->bytes &&
                        cuts.at[j].bytes.data < f->bytes + f->len);
        }
        flv_buf_reset(&out);
        flv_arena_reset(&arena);
    }
    assert_true(with_cuts > 40);
    flv_buf_deinit(&out);
    flv_arena_deinit(&arena);
}

/* A frame cut anywhere is refused; only whole bodies pass. */
static void no_cut_frame_is_accepted(void **state)
{
    struct flv_arena arena;

    (void)state;
    flv_arena_init(&arena, 4096, 1 << 20);
    for (size_t i = 0; i < frames.len; i += 3) {
        struct frame f = frames.at[i];
        uint8_t *whole = f.bytes;

        for (size_t len = 4; len < frames.at[i].len; len++) {
            /* The heap, so that the sanitizer sees a read past the end. */
            uint8_t *part = test_malloc(len);
            struct opened o;

            memcpy(part, whole, len);
            flv_put_u32(part, (uint32_t)len - 4);
            f.bytes = part;
            f.len = len;
            if (frame_open(&f, &arena, &o, NULL) == FLV_OK) {
                name_frame(&f);
                fail_msg("accepted %zu bytes of %zu", len, frames.at[i].len);
            }
            test_free(part);
            flv_arena_reset(&arena);
        }
    }
    flv_arena_deinit(&arena);
}

/* Every byte of every frame set to other values: refused or read, and what
 * was read can be written and read again to the same. */
static void damaged_frames_never_break_the_codec(void **state)
{
    static const uint8_t flips[] = {0xff, 0x01, 0x80};
    struct flv_arena arena;
    struct flv_buf out;

    (void)state;
    flv_arena_init(&arena, 4096, 1 << 20);
    flv_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < frames.len; i += 5) {
        struct frame f = frames.at[i];

        for (size_t pos = 4; pos < f.len; pos++) {
            for (size_t k = 0; k < sizeof(flips); k++) {
                struct opened o;

                f.bytes[pos] ^= flips[k];
                if (frame_open(&f, &arena, &o, NULL) == FLV_OK) {
                    assert_int_equal(frame_close(&f, &o, &out, NULL, NULL),
                                     FLV_OK);
                    flv_buf_reset(&out);
                }
                f.bytes[pos] ^= flips[k];
                flv_arena_reset(&arena);
            }
        }
    }
    flv_buf_deinit(&out);
    flv_arena_deinit(&arena);
}

/* --- records
 * -------------------------------------------------------------------- */

struct text {
    char bytes[1024];
    size_t len;
    unsigned batches;
};

static void
read_batches(struct flv_compressor *z, struct flv_slice rest, struct text *out)
{
    struct flv_batch_reader reader;

    flv_batch_reader_init(&reader, z, FLV_BATCH_SECTION_MAX);
    for (;;) {
        struct flv_batch_header h, checked;
        struct flv_slice batch;
        struct flv_record r;
        struct flv_err err = {0};
        bool more = true;

        assert_int_equal(flv_batch_walk(&rest, &batch, &h, NULL), FLV_OK);
        if (batch.len == 0) {
            break;
        }
        if (flv_batch_check(batch, z, &checked, &err) != FLV_OK) {
            fail_msg("%s", err.text);
        }
        assert_int_equal(checked.size_bytes, h.size_bytes);
        assert_int_equal(flv_batch_reader_open(&reader, batch, NULL), FLV_OK);
        for (;;) {
            if (flv_batch_reader_next(&reader, &r, &more, &err) != FLV_OK) {
                fail_msg("%s", err.text);
            }
            if (!more) {
                break;
            }
            assert_true(r.timestamp_ms > 1700000000000);
            out->len += (size_t)snprintf(
                out->bytes + out->len, sizeof(out->bytes) - out->len,
                "%s%.*s%s%.*s", out->len > 0 ? " " : "", (int)r.key.len,
                (const char *)r.key.data, r.key.len > 0 ? ":" : "",
                (int)r.value.len, (const char *)r.value.data);
            assert_true(out->len < sizeof(out->bytes));
        }
        out->batches++;
    }
    flv_batch_reader_deinit(&reader);
}

/* All records of a scenario, in the order of its frames. */
static struct text
records_of(const char *scenario, bool request, struct flv_compressor *z)
{
    struct text text = {0};
    struct flv_arena arena;

    flv_arena_init(&arena, 4096, 1 << 20);
    for (size_t i = 0; i < frames.len; i++) {
        const struct frame *f = &frames.at[i];
        struct opened o;

        if (f->side != FLV_WIRE_SPU || f->request != request ||
            f->api !=
                (request ? FLV_API_SPU_PRODUCE : FLV_API_SPU_STREAM_FETCH) ||
            (scenario != NULL && strcmp(f->scenario, scenario) != 0)) {
            continue;
        }
        assert_int_equal(frame_open(f, &arena, &o, NULL), FLV_OK);
        if (request) {
            struct flv_wire_produce_request r;

            memcpy(&r, o.body, sizeof(r));
            for (uint32_t t = 0; t < r.topics.len; t++) {
                for (uint32_t p = 0; p < r.topics.at[t].partitions.len; p++) {
                    read_batches(z, r.topics.at[t].partitions.at[p].records,
                                 &text);
                }
            }
        } else {
            struct flv_wire_stream_fetch_response r;

            memcpy(&r, o.body, sizeof(r));
            read_batches(z, r.partition.records, &text);
        }
        if (scenario == NULL) {
            text.len = 0;
        }
    }
    flv_arena_deinit(&arena);
    return text;
}

static void batches_of_real_clients_verify_and_read(void **state)
{
    static const struct {
        const char *scenario, *text;
    } cases[] = {
        {"cli-produce-none", "alpha beta gamma gamma"},
        {"cli-produce-gzip", "alpha beta gamma gamma"},
        {"cli-produce-snappy", "alpha beta gamma gamma"},
        {"cli-produce-lz4", "alpha beta gamma gamma"},
        {"cli-produce-zstd", "alpha beta gamma gamma"},
        {"cli-produce-keys", "1:one 2:two 3:three"},
        {"cli-produce-at-most-once", "once"},
        {"cli-produce-read-committed", "rc"},
    };
    struct flv_compressor *z = flv_compressor_create();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct text t = records_of(cases[i].scenario, true, z);

        assert_string_equal(t.bytes, cases[i].text);
    }
    assert_true(records_of(NULL, true, z).batches > 20);
    flv_compressor_destroy(z);
}

static void batches_of_a_real_server_verify_and_read(void **state)
{
    struct flv_compressor *z = flv_compressor_create();
    struct text t = records_of("cli-consume-all", false, z);

    (void)state;
    assert_string_equal(t.bytes,
                        "alpha beta gamma gamma alpha beta gamma gamma "
                        "alpha beta gamma gamma alpha beta gamma gamma "
                        "alpha beta gamma gamma once rc");
    assert_true(records_of(NULL, false, z).batches > 20);
    flv_compressor_destroy(z);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_is_written_as_it_was_read),
        cmocka_unit_test(cut_payloads_give_the_same_bytes),
        cmocka_unit_test(no_cut_frame_is_accepted),
        cmocka_unit_test(damaged_frames_never_break_the_codec),
        cmocka_unit_test(batches_of_real_clients_verify_and_read),
        cmocka_unit_test(batches_of_a_real_server_verify_and_read),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
