#include "smart.h"
#include "util.h"

#include "base/clock.h"
#include "base/mem.h"
#include <pthread.h>
#include <unistd.h>

/* ---- streams ---- */

static void a_filter_leaves_exact_offsets(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    int64_t covered = 0;
    smart_put(t, "x k1 x k3 k4 x");
    smart_put(t, "k6 x k8");
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_int_equal(p.error.code, 0);
    assert_string_equal(smart_shown(p.records, &covered),
                        "1:k1 3:k3 4:k4 6:k6 8:k8");
    assert_int_equal(p.next_filter_offset, 9);
    assert_int_equal(covered, 9);
}

static void a_stream_may_begin_inside_a_batch(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    int64_t covered = 0;
    smart_put(t, "k0 k1 x k3 k4 x");
    for (int64_t from = 0; from < 6; from++) {
        static const char *const want[] = {
            "0:k0 1:k1 3:k3 4:k4", "1:k1 3:k3 4:k4", "3:k3 4:k4",
            "3:k3 4:k4",           "4:k4",           ""};
        int32_t asked = smart_fetch(t, from, &m, 1);
        struct flv_wire_fetch_partition p = smart_frame(t, asked);
        assert_string_equal(smart_shown(p.records, &covered), want[from]);
        assert_int_equal(covered, 6 - from);
        assert_int_equal(p.next_filter_offset, 6);
    }
}

static void what_is_dropped_gives_no_frame_behind_the_first_end(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    int64_t covered = 0;
    smart_put(t, "x x");
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "");
    assert_int_equal(covered, 2);
    assert_int_equal(p.next_filter_offset, 2);
    smart_ack(t, 1, 2);
    (void)link_next(&t->reader);
    smart_put(t, "x x x");
    assert_true(link_is_silent(&t->reader, 100));
    smart_put(t, "x k6");
    p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "6:k6");
    assert_int_equal(covered, 5);
    assert_int_equal(p.next_filter_offset, 7);
}

/* A turn ends after 20 ms, so that a slow machine cuts the batch into frames
 * of a few records, and those are not worth compressing. */
static bool
check_frame(struct flv_slice records, int codec, int64_t done, int64_t *covered)
{
    struct flv_batch_header h;
    bool large, kept = smart_shown(records, covered)[0] != '\0';
    assert_int_equal(flv_batch_parse(records, &h, NULL), FLV_OK);
    large = h.count > 200;
    if (large || h.codec != FLV_CODEC_NONE) {
        assert_int_equal(h.codec, codec);
    }
    if (kept) {
        assert_int_equal(h.first_timestamp_ms, 1700000000000 + done);
    }
    return large;
}

static void
compressed_batches_stay_compressed_and_keep_their_times(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    char words[8192];
    for (int i = 0; i < 800; i++) {
        memcpy(words + 5 * i, "kept ", 5);
    }
    memcpy(words + 4000, "x", 2);
    for (int codec = FLV_CODEC_NONE; codec < FLV_CODEC_COUNT; codec++) {
        int64_t base = -1, done = 0, covered = 0;
        bool large = false;
        assert_int_equal(
            rig_produce(&t->spu, "t", 0,
                        smart_batch(t, words, (enum flv_codec)codec), &base),
            0);
        int32_t asked = smart_fetch(t, base, &m, 1);
        while (done < 801) {
            struct flv_wire_fetch_partition p = smart_frame(t, asked);
            large = check_frame(p.records, codec, done, &covered) || large;
            done += covered;
            assert_int_equal(p.next_filter_offset, base + done);
            smart_ack(t, (uint32_t)codec + 1, base + done);
        }
        assert_int_equal(done, 801);
        if (!large) {
            print_message("# codec %d not judged: this machine is so slow that "
                          "all frames were small\n",
                          codec);
        }
    }
}

static void a_failing_record_comes_behind_those_before_it(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    int64_t covered = 0;
    smart_put(t, "k0 x k2 error k4");
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "0:k0 2:k2");
    assert_int_equal(p.next_filter_offset, 3);
    p = smart_frame(t, asked);
    assert_int_equal(p.error.code, FLV_WIRE_SMARTMODULE_RUNTIME_ERROR);
    assert_int_equal(p.error.offset, 3);
    assert_int_equal(p.error.kind, FLV_WIRE_MODULE_FILTER);
    assert_true(flv_slice_eq_str(p.error.record_value, "error"));
    assert_true(p.error.text.len > 0);
}

static void hostile_records_end_their_stream_with_a_sentence(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    static const char *const words[] = {"trap", "loop", "recurse", "memory",
                                        "wild", "none", "code",    "y"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char line[64];
        int64_t base = -1;
        int64_t covered = 0;
        snprintf(line, sizeof line, "k x %s k", words[i]);
        assert_int_equal(rig_produce(&t->spu, "t", 0,
                                     smart_batch(t, line, FLV_CODEC_NONE),
                                     &base),
                         0);
        int32_t asked = smart_fetch(t, base, &m, 1);
        struct flv_wire_fetch_partition p = smart_frame(t, asked);
        char want[64];
        snprintf(want, sizeof want, "%lld:k", (long long)base);
        assert_string_equal(smart_shown(p.records, &covered), want);
        p = smart_frame(t, asked);
        assert_int_equal(p.error.code, FLV_WIRE_OTHER);
        snprintf(want, sizeof want, "at offset %lld: ", (long long)base + 2);
        assert_memory_equal(p.error.text.data, want, strlen(want));
    }
}

static void bytes_that_are_no_module_are_refused(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m =
        smart_ad_hoc(flv_slice_str("nonsense"));
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_int_equal(p.error.code, FLV_WIRE_SMARTMODULE_INVALID);
    m = smart_ad_hoc(flv_slice("\0asm\1\0\0\0", 8));
    asked = smart_fetch(t, 0, &m, 1);
    p = smart_frame(t, asked);
    assert_int_equal(p.error.code, FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR);
    m.wasm.tag = 0;
    m.wasm.name = flv_slice_str("missing");
    asked = smart_fetch(t, 0, &m, 1);
    p = smart_frame(t, asked);
    assert_int_equal(p.error.code, FLV_WIRE_SMARTMODULE_NOT_FOUND);
    assert_true(flv_slice_eq_str(p.error.text, "missing"));
}

static void outputs_of_one_record_have_its_offset(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_SPLIT]);
    int64_t covered = 0;
    smart_put(t, "ab c xyz");
    smart_put(t, "d");
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered),
                        "0:a 0:b 1:c 2:x 2:y 2:z 3:d");
    assert_int_equal(covered, 4);
    assert_int_equal(p.next_filter_offset, 4);
    asked = smart_fetch(t, 2, &m, 1);
    p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "2:x 2:y 2:z 3:d");
    assert_int_equal(covered, 2);
}

static void a_small_frame_holds_all_outputs_of_a_record(void **state)
{
    struct smart *t = *state;
    char line[4096];
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_SPLIT]);
    struct flv_wire_stream_fetch_request req = {.topic = flv_slice_str("t"),
                                                .max_bytes = 1};
    int64_t covered = 0;
    memset(line, 'a', sizeof line);
    line[1000] = ' ';
    line[3000] = ' ';
    line[3100] = '\0';
    smart_put(t, line);
    req.smartmodules.at = &m;
    req.smartmodules.len = 1;
    int32_t asked = link_ask(&t->reader, FLV_API_SPU_STREAM_FETCH, 25,
                             &flv_wire_stream_fetch_request_schema, &req, NULL);
    for (int64_t i = 0; i < 3; i++) {
        struct flv_wire_fetch_partition p = smart_frame(t, asked);
        const char *text = smart_shown(p.records, &covered);
        assert_int_equal(covered, 1);
        assert_int_equal(strlen(text), (i == 0   ? 1000
                                        : i == 1 ? 1999
                                                 : 99) *
                                               4 -
                                           1);
        assert_int_equal(p.next_filter_offset, i + 1);
        smart_ack(t, 1, i + 1);
    }
}

static void an_accumulator_goes_on_from_frame_to_frame(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_CHARS]);
    int64_t covered = 0;
    m.kind.context.tag = 1;
    m.kind.context.accumulator = flv_slice_str("<");
    smart_put(t, "a b");
    smart_put(t, "c");
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "0:<a 1:<ab 2:<abc");
    smart_ack(t, 1, 3);
    (void)link_next(&t->reader);
    smart_put(t, "d");
    p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "3:<abcd");
}

static void with_param(struct flv_wire_module_invocation *m,
                       struct flv_wire_pair *pair,
                       const char *value)
{
    pair->key = flv_slice_str("tag");
    pair->value = flv_slice_str(value);
    m->params.params.at = pair;
    m->params.params.len = 1;
}

static void
a_chain_runs_its_modules_in_order_with_their_parameters(void **state)
{
    struct smart *t = *state;
    struct flv_wire_pair pair[2];
    struct flv_wire_module_invocation m[3] = {
        smart_ad_hoc(t->wasm[SMART_TAG]), smart_ad_hoc(t->wasm[SMART_FILTER]),
        smart_ad_hoc(t->wasm[SMART_TAG])};
    int64_t covered = 0;
    smart_put(t, "a b");
    with_param(&m[0], &pair[0], "k");
    with_param(&m[2], &pair[1], "__");
    int32_t asked = smart_fetch(t, 0, m, 3);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "0:__ka 1:__kb");
    m[2].params.params.len = 0;
    asked = smart_fetch(t, 0, m, 3);
    p = smart_frame(t, asked);
    assert_int_equal(p.error.code, FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR);
    assert_non_null(memmem(p.error.text.data, p.error.text.len, "no tag", 6));
}

static void looks_back_on_the_last_records(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_SEEN]);
    int64_t covered = 0;
    smart_put(t, "a abcdef ab abc");
    static const struct {
        uint64_t last;
        const char *want;
    } cases[] = {
        {0, "0:a 1:abcdef"}, {1, "1:abcdef"}, {2, "1:abcdef"}, {3, ""}, {4, ""},
        {1000, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        m.params.lookback.has = true;
        m.params.lookback.v.last = cases[i].last;
        int32_t asked = smart_fetch(t, 0, &m, 1);
        struct flv_wire_fetch_partition p = smart_frame(t, asked);
        assert_int_equal(p.error.code, 0);
        assert_string_equal(smart_shown(p.records, &covered), cases[i].want);
    }
    smart_put(t, "e");
    m.params.lookback.v.last = 1;
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_int_equal(p.error.code, FLV_WIRE_SMARTMODULE_LOOKBACK_ERROR);
}

static void looks_back_on_records_of_an_age(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_SEEN]);
    int64_t covered = 0;
    for (int i = 0; i < 40; i++) {
        smart_put(t, "old-and-long"); /* of November 2023 */
    }
    struct flv_batch_builder b;
    flv_batch_builder_init(&b, 1u << 20);
    flv_buf_reset(&t->buf);
    assert_int_equal(flv_batch_builder_add(&b, NULL, flv_slice_str("new"),
                                           flv_clock_wall_ms(), NULL),
                     FLV_OK);
    assert_int_equal(flv_batch_builder_finish(&b, NULL, FLV_CODEC_NONE,
                                              FLV_BATCH_NO_STAMP, &t->buf,
                                              NULL),
                     FLV_OK);
    flv_batch_builder_deinit(&b);
    assert_int_equal(rig_produce(&t->spu, "t", 0, flv_buf_slice(&t->buf), NULL),
                     0);
    m.params.lookback.has = true;
    m.params.lookback.v.age.has = true;
    m.params.lookback.v.age.v.seconds = 3600;
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "0:old-and-long");
    m.params.lookback.v.age.v.seconds = UINT64_MAX;
    asked = smart_fetch(t, 0, &m, 1);
    p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "");
}

/* ---- stored modules and older clients ---- */

static void stored_modules_are_found_by_name(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = {
        .wasm = {.name = flv_slice_str("keep")},
        .kind = {.tag = FLV_WIRE_MODULE_FILTER}};
    int64_t covered = 0;
    smart_put(t, "k0 x e");
    smart_store(&t->sc, "keep", t->wasm[SMART_FILTER]);
    for (int i = 0; i < 3; i++) {
        int32_t asked = smart_fetch(t, 0, &m, 1);
        struct flv_wire_fetch_partition p = smart_frame(t, asked);
        assert_string_equal(smart_shown(p.records, &covered), "0:k0");
        p = smart_frame(t, asked);
        assert_int_equal(p.error.code, FLV_WIRE_SMARTMODULE_RUNTIME_ERROR);
    }
    /* What is stored anew is what runs from then on. */
    smart_store(&t->sc, "keep", t->wasm[SMART_SEEN]);
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "0:k0");
    assert_int_equal(p.next_filter_offset, 3);
}

static void older_clients_ask_for_one_module_and_learn_known_codes(void **state)
{
    struct smart *t = *state;
    struct flv_wire_stream_fetch_request req = {.topic = flv_slice_str("t"),
                                                .max_bytes = 1 << 20};
    struct flv_wire_stream_fetch_response resp;
    int64_t covered = 0;
    smart_put(t, "k0 x k2");
    req.wasm_payload.has = true;
    req.wasm_payload.v.wasm.bytes = t->wasm[SMART_FILTER];
    int32_t asked = link_ask(&t->reader, FLV_API_SPU_STREAM_FETCH, 14,
                             &flv_wire_stream_fetch_request_schema, &req, NULL);
    assert_int_equal(link_next(&t->reader), asked);
    link_read(&t->reader, 14, &flv_wire_stream_fetch_response_schema, &resp,
              NULL);
    assert_string_equal(smart_shown(resp.partition.records, &covered),
                        "0:k0 2:k2");
    req.wasm_payload.has = false;
    req.smartmodule.has = true;
    req.smartmodule.v = smart_ad_hoc(t->wasm[SMART_TAG]);
    req.smartmodule.v.kind.tag = FLV_WIRE_MODULE_MAP;
    asked = link_ask(&t->reader, FLV_API_SPU_STREAM_FETCH, 16,
                     &flv_wire_stream_fetch_request_schema, &req, NULL);
    assert_int_equal(link_next(&t->reader), asked);
    link_read(&t->reader, 16, &flv_wire_stream_fetch_response_schema, &resp,
              NULL);
    assert_int_equal(resp.partition.error.code, FLV_WIRE_OTHER);
    assert_non_null(memmem(resp.partition.error.text.data,
                           resp.partition.error.text.len, "no tag", 6));
    req.smartmodule.v.kind.tag = FLV_WIRE_MODULE_JOIN;
    asked = link_ask(&t->reader, FLV_API_SPU_STREAM_FETCH, 17,
                     &flv_wire_stream_fetch_request_schema, &req, NULL);
    assert_int_equal(link_next(&t->reader), asked);
    link_read(&t->reader, 17, &flv_wire_stream_fetch_response_schema, &resp,
              NULL);
    assert_int_equal(resp.partition.error.code, FLV_WIRE_OTHER);
    assert_non_null(memmem(resp.partition.error.text.data,
                           resp.partition.error.text.len, "join", 4));
}

/* ---- produce ---- */

static int32_t produce_ask(struct smart *t,
                           struct flv_slice records,
                           struct flv_wire_module_invocation *modules,
                           uint32_t count)
{
    struct flv_wire_produce_partition p = {.records = records};
    struct flv_wire_produce_topic topic = {.name = flv_slice_str("t")};
    topic.partitions.at = &p;
    topic.partitions.len = 1;
    struct flv_wire_produce_request req = {.acks = 1, .timeout_ms = 1500};
    req.topics.at = &topic;
    req.topics.len = 1;
    req.smartmodules.at = modules;
    req.smartmodules.len = count;
    return link_ask(&t->spu, FLV_API_SPU_PRODUCE, 25,
                    &flv_wire_produce_request_schema, &req, NULL);
}

static struct flv_wire_produce_result produced(struct smart *t, int32_t asked)
{
    struct flv_wire_produce_response resp;
    assert_int_equal(link_next(&t->spu), asked);
    link_read(&t->spu, 25, &flv_wire_produce_response_schema, &resp, NULL);
    return resp.topics.at[0].partitions.at[0];
}

static const char *stored_records(struct smart *t)
{
    int64_t covered = 0;
    int32_t asked = rig_stream_ask(&t->reader, "t", 0, 0, 1 << 20, NULL);
    return smart_shown(smart_frame(t, asked).records, &covered);
}

static void produced_records_pass_the_chain(void **state)
{
    struct smart *t = *state;
    struct flv_wire_pair pair;
    struct flv_wire_module_invocation m[2] = {
        smart_ad_hoc(t->wasm[SMART_FILTER]), smart_ad_hoc(t->wasm[SMART_TAG])};
    with_param(&m[1], &pair, "a longer tag: ");
    for (int codec = FLV_CODEC_NONE; codec < FLV_CODEC_COUNT; codec++) {
        int32_t asked = produce_ask(
            t, smart_batch(t, "k x k x", (enum flv_codec)codec), m, 2);
        struct flv_wire_produce_result r = produced(t, asked);
        assert_int_equal(r.error.code, 0);
        assert_int_equal(r.base_offset, 2 * codec);
    }
    int32_t asked = produce_ask(t, smart_batch(t, "x x", FLV_CODEC_NONE), m, 2);
    struct flv_wire_produce_result r = produced(t, asked);
    assert_int_equal(r.error.code, 0);
    assert_int_equal(r.base_offset, 0);
    asked = produce_ask(t, smart_batch(t, "k x error", FLV_CODEC_NONE), m, 2);
    r = produced(t, asked);
    assert_int_equal(r.error.code, FLV_WIRE_SMARTMODULE_RUNTIME_ERROR);
    assert_int_equal(r.error.offset, 2);
    assert_true(flv_slice_eq_str(r.error.record_value, "error"));
    asked = produce_ask(t, smart_batch(t, "k x trap", FLV_CODEC_NONE), m, 2);
    assert_int_equal(produced(t, asked).error.code, FLV_WIRE_OTHER);
    m[0].wasm = (struct flv_wire_module_wasm){.name = flv_slice_str("none")};
    asked = produce_ask(t, smart_batch(t, "k", FLV_CODEC_NONE), m, 2);
    assert_int_equal(produced(t, asked).error.code,
                     FLV_WIRE_SMARTMODULE_NOT_FOUND);
    const char *text = stored_records(t);
    assert_non_null(strstr(text, "9:a longer tag: k"));
    assert_null(strstr(text, "10:"));
}

static void numbered_batches_do_not_pass_modules(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    flv_buf_reset(&t->buf);
    rig_batch(&t->buf, 2, 4, FLV_CODEC_NONE, 77, 0);
    int32_t asked = produce_ask(t, flv_buf_slice(&t->buf), &m, 1);
    struct flv_wire_produce_result r = produced(t, asked);
    assert_int_equal(r.error.code, FLV_WIRE_OTHER);
    assert_non_null(
        memmem(r.error.text.data, r.error.text.len, "exactly-once", 12));
}

static void requests_of_a_connection_keep_their_order(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    int32_t asked[40];
    char want[512] = "";
    for (int i = 0; i < 40; i++) {
        char word[16];
        snprintf(word, sizeof word, "k%d", i);
        asked[i] = produce_ask(t, smart_batch(t, word, FLV_CODEC_NONE), &m,
                               i % 3 == 0 ? 1 : 0);
        snprintf(want + strlen(want), sizeof want - strlen(want), "%s%d:k%d",
                 i > 0 ? " " : "", i, i);
    }
    for (int i = 0; i < 40; i++) {
        assert_int_equal(produced(t, asked[i]).error.code, 0);
    }
    assert_string_equal(stored_records(t), want);
}

/* ---- neighbours ----
 *
 * Twice their own p99 is the bound, and `bench/run --smartmodules` holds the
 * release build to it. Here sanitizers and other tests share the cores: 30 ms
 * are added. */

static void *spin(void *arg)
{
    uint64_t end_ns = flv_clock_mono_ns() + 100000000;
    uint64_t begun_ns = flv_clock_thread_ns();
    while (flv_clock_mono_ns() < end_ns) {
    }
    *(uint64_t *)arg = flv_clock_thread_ns() - begun_ns;
    return NULL;
}

/* Do the cores belong to this test? A tenth of a second on each tells. What
 * takes real time is judged only then. */
static bool machine_is_ours(void)
{
    enum { THREADS_MAX = 64 };
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int n = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (int)cores;
    pthread_t threads[THREADS_MAX];
    uint64_t used_ns[THREADS_MAX], sum_ns = 0;
    for (int i = 0; i < n; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, spin, &used_ns[i]),
                         0);
    }
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        sum_ns += used_ns[i];
    }
    return sum_ns >= (uint64_t)n * 85000000;
}

/* How long a record takes from its producer to a plain consumer: the 99th of
 * a hundred, in microseconds. */
static uint64_t neighbour_us(struct smart *t, struct link *spu, int64_t *next)
{
    enum { ROUNDS = 200 };
    uint64_t us[ROUNDS];
    struct link reader;
    link_open(&reader, t->rig.spu);
    int32_t asked = rig_stream_ask(&reader, "plain", 0, *next, 1 << 20, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start_ns = flv_clock_mono_ns();
        assert_int_equal(rig_produce(spu, "plain", 0,
                                     smart_batch(t, "x", FLV_CODEC_NONE), NULL),
                         0);
        while (link_next(&reader) != asked) {
        }
        us[i] = (flv_clock_mono_ns() - start_ns) / 1000;
        (*next)++;
        struct flv_wire_offset_update u = {.offset = *next, .stream_id = 1};
        struct flv_wire_update_offsets_request req;
        req.offsets.at = &u;
        req.offsets.len = 1;
        (void)link_ask(&reader, FLV_API_SPU_UPDATE_OFFSETS, 0,
                       &flv_wire_update_offsets_request_schema, &req, NULL);
    }
    link_close(&reader);
    for (int i = 1; i < ROUNDS; i++) {
        for (int k = i; k > 0 && us[k - 1] > us[k]; k--) {
            uint64_t swap = us[k];
            us[k] = us[k - 1];
            us[k - 1] = swap;
        }
    }
    return us[ROUNDS * 99 / 100];
}

/* Streams whose module takes all of its budget for each record. */
static void start_hostile(struct smart *t, struct link *links, int count)
{
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    struct flv_wire_stream_fetch_request req = {.topic = flv_slice_str("t"),
                                                .max_bytes = 1 << 20};
    req.smartmodules.at = &m;
    req.smartmodules.len = 1;
    for (int i = 0; i < count; i++) {
        link_open(&links[i], t->rig.spu);
        for (int k = 0; k < 20; k++) {
            (void)link_ask(&links[i], FLV_API_SPU_STREAM_FETCH, 25,
                           &flv_wire_stream_fetch_request_schema, &req, NULL);
        }
    }
}

static void neighbours_of_hostile_modules_keep_their_latency(void **state)
{
    struct smart *t = *state;
    struct link hostile[4];
    int64_t next = 0;
    smart_put(t, "loop");
    assert_int_equal(rig_create_topic(&t->sc, "plain", 1), 0);
    (void)neighbour_us(t, &t->spu, &next); /* warm */
    bool holds = false, judged = false;
    for (int attempt = 0; attempt < 10 && !holds; attempt++) {
        bool ours = machine_is_ours();
        uint64_t alone = neighbour_us(t, &t->spu, &next);
        start_hostile(t, hostile, 4);
        uint64_t beside = neighbour_us(t, &t->spu, &next);
        print_message("# p99 alone %llu us, beside hostile modules %llu us\n",
                      (unsigned long long)alone, (unsigned long long)beside);
        holds = beside <= 2 * alone + 30000;
        for (int i = 0; i < 4; i++) {
            link_close(&hostile[i]);
        }
        judged = (ours && machine_is_ours()) || judged;
    }
    if (!holds && !judged) {
        print_message("# not judged: other programs used this machine's cores "
                      "in every attempt\n");
        return;
    }
    assert_true(holds);
}

static void connections_and_topics_may_go_while_modules_run(void **state)
{
    struct smart *t = *state;
    struct link hostile[4];
    for (int round = 0; round < 3; round++) {
        smart_put(t, "k loop");
        start_hostile(t, hostile, 4);
        assert_true(link_is_silent(&t->reader, 5 * round));
        link_close(&hostile[0]);
        link_close(&hostile[1]);
        assert_int_equal(rig_delete_topic(&t->sc, "t"), 0);
        assert_int_equal(rig_create_topic(&t->sc, "t", 1), 0);
        smart_put(t, "k");
        link_close(&hostile[2]);
        link_close(&hostile[3]);
    }
    /* All of them have given their place back. */
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    int64_t covered = 0;
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_string_equal(smart_shown(p.records, &covered), "0:k");
}

static void a_server_stops_while_modules_run(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    struct link hostile[4];
    smart_put(t, "loop");
    start_hostile(t, hostile, 4);
    /* One that produces, too: it is answered or told to try elsewhere. */
    (void)produce_ask(t, smart_batch(t, "k loop", FLV_CODEC_NONE), &m, 1);
    (void)produce_ask(t, smart_batch(t, "k", FLV_CODEC_NONE), &m, 1);
    assert_true(link_is_silent(&t->reader, 20));
    uint64_t start_ms = flv_clock_mono_ms();
    rig_stop(&t->rig);
    /* Its own time for that is ten seconds, before what runs is ended. */
    uint64_t took_ms = flv_clock_mono_ms() - start_ms;
    if (took_ms >= 15000 && !machine_is_ours()) {
        print_message("# %llu ms not judged: other programs use this machine's "
                      "cores\n",
                      (unsigned long long)took_ms);
    } else {
        assert_true(took_ms < 15000);
    }
    for (int i = 0; i < 4; i++) {
        link_close(&hostile[i]);
    }
    rig_start(&t->rig); /* for the teardown */
}

/* What would run for ten minutes takes no thread for longer than its client
 * is there: others would never be served. */
static void what_a_client_asked_for_ends_when_it_leaves(void **state)
{
    enum { CLIENTS = 24 };
    struct smart *t = *state;
    struct flv_wire_module_invocation m[2] = {
        smart_ad_hoc(t->wasm[SMART_FILTER]),
        smart_ad_hoc(t->wasm[SMART_FILTER])};
    struct flv_slice slow = assemble_body(
        true, "(func $s (loop $l (br $l))) (start $s)"
              "(func (export \"filter\") (param i32 i32 i32) (result i32)"
              " (i32.const 0))");
    t->rig.conf.modules.fuel = UINT64_MAX / 4;
    t->rig.conf.modules.cpu_ms = 600000;
    smart_restart(t);
    smart_put(t, "loop");
    for (int kind = 0; kind < 4; kind++) {
        struct link left[CLIENTS];
        struct flv_wire_module_invocation bad[2] = {
            kind % 2 == 0 ? m[0] : smart_ad_hoc(slow), m[1]};
        struct flv_wire_stream_fetch_request req = {.topic = flv_slice_str("t"),
                                                    .max_bytes = 1 << 20};
        req.smartmodules.at = bad;
        req.smartmodules.len = 2;
        for (int i = 0; i < CLIENTS; i++) {
            struct link spu = t->spu;
            link_open(&left[i], t->rig.spu);
            if (kind < 2) {
                (void)link_ask(&left[i], FLV_API_SPU_STREAM_FETCH, 25,
                               &flv_wire_stream_fetch_request_schema, &req,
                               NULL);
                continue;
            }
            t->spu = left[i];
            (void)produce_ask(t, smart_batch(t, "loop k", FLV_CODEC_NONE), bad,
                              2);
            (void)produce_ask(t, smart_batch(t, "k loop", FLV_CODEC_NONE), bad,
                              2);
            left[i] = t->spu;
            t->spu = spu;
        }
        assert_true(link_is_silent(&t->reader, 20));
        for (int i = 0; i < CLIENTS; i++) {
            link_close(&left[i]);
        }
        int32_t asked =
            produce_ask(t, smart_batch(t, "k", FLV_CODEC_NONE), m, 2);
        assert_int_equal(produced(t, asked).error.code, 0);
    }
    assert_string_equal(stored_records(t), "0:loop 1:k 2:k 3:k 4:k");
    free_slice(slow);
}

/* As a cluster of Fluvio says it, in both kinds of requests. */
static void too_much_memory_has_a_code_of_its_own(void **state)
{
    struct smart *t = *state;
    struct flv_slice large = assemble_body(
        false,
        "(import \"env\" \"copy_records\" (func (param i32 i32)))"
        "(memory (export \"memory\") 300)"
        "(func (export \"alloc\") (param i32) (result i32) (i32.const 8))"
        "(func (export \"filter\") (param i32 i32 i32) (result i32)"
        " (i32.const 0))");
    struct flv_wire_module_invocation m = smart_ad_hoc(large);
    struct flv_wire_fetch_partition p =
        smart_frame(t, smart_fetch(t, 0, &m, 1));
    assert_int_equal(p.error.code, FLV_WIRE_SMARTMODULE_MEMORY_LIMIT_EXCEEDED);
    assert_int_equal(p.error.requested_bytes, 300 << 16);
    assert_int_equal(p.error.max_bytes, 16 << 20);
    int32_t asked = produce_ask(t, smart_batch(t, "k", FLV_CODEC_NONE), &m, 1);
    struct flv_wire_produce_result r = produced(t, asked);
    assert_int_equal(r.error.code, FLV_WIRE_SMARTMODULE_MEMORY_LIMIT_EXCEEDED);
    assert_int_equal(r.error.max_bytes, 16 << 20);
    /* A record that makes it grow: of a request; in streams it is code 2. */
    m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    asked = produce_ask(t, smart_batch(t, "k memory", FLV_CODEC_NONE), &m, 1);
    r = produced(t, asked);
    assert_int_equal(r.error.code, FLV_WIRE_SMARTMODULE_MEMORY_LIMIT_EXCEEDED);
    assert_true(r.error.requested_bytes > r.error.max_bytes);
    /* Clients of before that code get the sentence. */
    m = smart_ad_hoc(large);
    struct flv_wire_stream_fetch_request req = {.topic = flv_slice_str("t"),
                                                .max_bytes = 1 << 20};
    struct flv_wire_stream_fetch_response resp;
    req.smartmodules.at = &m;
    req.smartmodules.len = 1;
    asked = link_ask(&t->reader, FLV_API_SPU_STREAM_FETCH, 21,
                     &flv_wire_stream_fetch_request_schema, &req, NULL);
    assert_int_equal(link_next(&t->reader), asked);
    link_read(&t->reader, 21, &flv_wire_stream_fetch_response_schema, &resp,
              NULL);
    assert_int_equal(resp.partition.error.code, FLV_WIRE_OTHER);
    assert_non_null(memmem(resp.partition.error.text.data,
                           resp.partition.error.text.len, "19660800", 8));
    free_slice(large);
}

static void streams_with_modules_have_a_ceiling(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    t->rig.conf.modules.streams_max = 2;
    smart_restart(t);
    struct flv_wire_fetch_partition p;
    for (int i = 0; i < 3; i++) {
        (void)smart_fetch(t, 0, &m, 1);
    }
    p = smart_frame(t, 3);
    assert_int_equal(p.error.code, FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR);
    assert_non_null(memmem(p.error.text.data, p.error.text.len,
                           "--smartmodule-streams", 21));
    /* Plain ones are not counted. */
    smart_put(t, "k");
    assert_string_equal(stored_records(t), "0:k");
}

/* A server without the library serves, and says what is missing. */
static void without_the_engine_a_sentence_says_so(void **state)
{
    struct smart *t = *state;
    struct flv_wire_module_invocation m = smart_ad_hoc(t->wasm[SMART_FILTER]);
    link_close(&t->sc);
    link_close(&t->spu);
    link_close(&t->reader);
    rig_stop(&t->rig);
    setenv("WASMTIME_LIB", "/nonexistent/libwasmtime.so", 1);
    rig_start(&t->rig);
    unsetenv("WASMTIME_LIB");
    link_open(&t->sc, t->rig.sc);
    link_open(&t->spu, t->rig.spu);
    link_open(&t->reader, t->rig.spu);
    int32_t asked = smart_fetch(t, 0, &m, 1);
    struct flv_wire_fetch_partition p = smart_frame(t, asked);
    assert_int_equal(p.error.code, FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR);
    assert_non_null(memmem(p.error.text.data, p.error.text.len,
                           "/nonexistent/libwasmtime.so", 27));
    smart_put(t, "k");
    assert_string_equal(stored_records(t), "0:k");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, smart_setup, smart_teardown)
    const struct CMUnitTest tests[] = {
        T(a_filter_leaves_exact_offsets),
        T(a_stream_may_begin_inside_a_batch),
        T(what_is_dropped_gives_no_frame_behind_the_first_end),
        T(compressed_batches_stay_compressed_and_keep_their_times),
        T(a_failing_record_comes_behind_those_before_it),
        T(hostile_records_end_their_stream_with_a_sentence),
        T(bytes_that_are_no_module_are_refused),
        T(outputs_of_one_record_have_its_offset),
        T(a_small_frame_holds_all_outputs_of_a_record),
        T(an_accumulator_goes_on_from_frame_to_frame),
        T(a_chain_runs_its_modules_in_order_with_their_parameters),
        T(looks_back_on_the_last_records),
        T(looks_back_on_records_of_an_age),
        T(stored_modules_are_found_by_name),
        T(older_clients_ask_for_one_module_and_learn_known_codes),
        T(produced_records_pass_the_chain),
        T(numbered_batches_do_not_pass_modules),
        T(requests_of_a_connection_keep_their_order),
        T(neighbours_of_hostile_modules_keep_their_latency),
        T(connections_and_topics_may_go_while_modules_run),
        T(a_server_stops_while_modules_run),
        T(what_a_client_asked_for_ends_when_it_leaves),
        T(too_much_memory_has_a_code_of_its_own),
        T(streams_with_modules_have_a_ceiling),
        T(without_the_engine_a_sentence_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
