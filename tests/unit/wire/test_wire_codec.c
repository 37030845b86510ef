/* Golden bytes, version gates and hostile input of the message codec. */
#include <stdio.h>

#include "cm.h"
#include "base/mem.h"
#include "frames.h"
#include "wire/ext.h"
#include "wire/schemas.h"
#include "wire/spu.h"

#define STR(s) flv_slice_str(s)

struct fixture {
    struct flv_arena arena;
    struct flv_buf out;
    struct flv_err err;
};

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    flv_arena_init(&f.arena, 4096, 1 << 20);
    flv_buf_init(&f.out, 1 << 20);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    flv_arena_deinit(&f->arena);
    flv_buf_deinit(&f->out);
    return 0;
}

static void expect_hex(const struct fixture *f, const char *hex)
{
    uint8_t want[512];
    size_t len = unhex(hex, want, sizeof(want));

    if (f->out.len != len || memcmp(f->out.data, want, len) != 0) {
        for (size_t i = 0; i < f->out.len; i++) {
            printf("%02x ", f->out.data[i]);
        }
        printf("\n");
    }
    assert_int_equal(f->out.len, len);
    assert_memory_equal(f->out.data, want, len);
}

static struct flv_wire_request_header
header(uint16_t api, int16_t version, int32_t correlation, const char *client)
{
    return (struct flv_wire_request_header){.api_key = api,
                                            .version = version,
                                            .correlation = correlation,
                                            .client_id = STR(client)};
}

#define BATCH_HEX                                                              \
    "00 00 00 00 00 00 00 00 00 00 00 3d ff ff ff ff 02 af 7d d9 6c "          \
    "00 00 00 00 00 00 00 00 01 8b cf e5 68 00 00 00 01 8b cf e5 68 00 "       \
    "ff ff ff ff ff ff ff ff ff ff ff ff ff ff "                               \
    "00 00 00 01 16 00 00 00 00 0a 68 65 6c 6c 6f 00 "
#define ZERO8 "00 00 00 00 00 00 00 00 "
#define ID "00 06 66 6c 75 76 69 6f "
#define HELLO "00 05 68 65 6c 6c 6f "

/* --- golden bytes
 * -------------------------------------------------------------- */

static void api_versions_are_written_as_documented(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_request_header h = header(18, 2, 1, "fluvio");
    struct flv_wire_api_versions_request q = {
        .client_version = STR("0.18.1"),
        .client_os = STR("linux"),
        .client_arch = STR("x86_64"),
    };
    struct flv_wire_api_range ranges[] = {{1003, 11, 19}, {1004, 11, 19}};
    struct flv_wire_api_versions_response r = {
        .apis = {ranges, 2},
        .platform_version = STR(FLV_PLATFORM_VERSION),
    };
    struct flv_wire_message m = {&flv_wire_api_versions_request_schema, &q, 0};

    assert_int_equal(flv_wire_request_frame(&h, &m, &f->out, NULL, &f->err),
                     FLV_OK);
    expect_hex(f, "00 00 00 27 00 12 00 02 00 00 00 01 " ID
                  "00 06 30 2e 31 38 2e 31 00 05 6c 69 6e 75 78 "
                  "00 06 78 38 36 5f 36 34");
    flv_buf_reset(&f->out);
    m = (struct flv_wire_message){&flv_wire_api_versions_response_schema, &r,
                                  0};
    assert_int_equal(flv_wire_response_frame(&h, &m, &f->out, NULL, &f->err),
                     FLV_OK);
    expect_hex(f, "00 00 00 1e 00 00 00 01 00 00 00 00 00 02 03 eb 00 0b 00 13 "
                  "03 ec 00 0b 00 13 00 06 30 2e 31 38 2e 31");
}

static void envelopes_are_written_as_documented(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_request_header h = header(1004, 19, 1, "dummy");
    struct flv_wire_watch_request w = {0};
    struct flv_wire_topic_create c = {.common = {.name = STR("hello")}};
    struct flv_wire_message m = {&flv_wire_watch_request_schema, &w, "SPU"};

    assert_int_equal(flv_wire_request_frame(&h, &m, &f->out, NULL, &f->err),
                     FLV_OK);
    expect_hex(f, "00 00 00 21 03 ec 00 13 00 00 00 01 00 05 64 75 6d 6d 79 "
                  "00 03 53 50 55 00 00 00 09 00 00 00 00 00 00 00 00 00");
    flv_buf_reset(&f->out);
    c.spec.replicas.tag = FLV_WIRE_REPLICA_COMPUTED;
    c.spec.replicas.computed.partitions = 1;
    c.spec.replicas.computed.replication_factor = 1;
    c.spec.compression = FLV_WIRE_COMPRESSION_ANY;
    m = (struct flv_wire_message){&flv_wire_topic_create_schema, &c, "Topic"};
    h = header(1001, 19, 4, "fluvio");
    assert_int_equal(flv_wire_request_frame(&h, &m, &f->out, NULL, &f->err),
                     FLV_OK);
    expect_hex(f, "00 00 00 33 03 e9 00 13 00 00 00 04 " ID
                  "00 05 54 6f 70 69 63 00 00 00 18 " HELLO
                  "00 00 01 00 00 00 01 00 00 00 01 00 00 00 04 00 00");
}

static void a_status_is_written_as_documented(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_status s = {
        .name = STR("hello"),
        .error = flv_wire_error(FLV_WIRE_TOPIC_ALREADY_EXISTS),
        .message = {true, STR("exists")},
    };

    assert_int_equal(flv_wire_status_encode(19, &s, &f->out, &f->err), FLV_OK);
    expect_hex(f, HELLO "07 d2 01 00 06 65 78 69 73 74 73");
}

static void produce_is_written_as_documented(void **state)
{
    struct fixture *f = *state;
    uint8_t batch[128];
    size_t len = unhex(BATCH_HEX, batch, sizeof(batch));
    struct flv_wire_produce_partition p = {0, flv_slice(batch, len)};
    struct flv_wire_produce_topic t = {STR("hello"), {&p, 1}};
    struct flv_wire_produce_request q = {
        .acks = FLV_WIRE_ACKS_UNCOMMITTED,
        .timeout_ms = 1500,
        .topics = {&t, 1},
    };
    struct flv_wire_produce_result pr = {0};
    struct flv_wire_produce_topic_result tr = {STR("hello"), {&pr, 1}};
    struct flv_wire_produce_response r = {.topics = {&tr, 1}};
    struct flv_wire_request_header h = header(0, 25, 1, "fluvio");
    struct flv_wire_message m = {&flv_wire_produce_request_schema, &q, NULL};

    assert_int_equal(len, 73);
    assert_int_equal(flv_wire_request_frame(&h, &m, &f->out, NULL, &f->err),
                     FLV_OK);
    expect_hex(f,
               "00 00 00 7b 00 00 00 19 00 00 00 01 " ID
               "00 00 01 00 00 05 dc 00 00 00 01 " HELLO
               "00 00 00 01 00 00 00 00 00 00 00 49 " BATCH_HEX "00 00 00 00");
    flv_buf_reset(&f->out);
    m = (struct flv_wire_message){&flv_wire_produce_response_schema, &r, NULL};
    assert_int_equal(flv_wire_response_frame(&h, &m, &f->out, NULL, &f->err),
                     FLV_OK);
    expect_hex(f, "00 00 00 35 00 00 00 01 00 00 00 01 " HELLO
                  "00 00 00 01 00 00 00 00 00 00 " ZERO8 ZERO8 ZERO8
                  "00 00 00 00");
}

static void stream_fetch_is_written_as_documented(void **state)
{
    struct fixture *f = *state;
    uint8_t batch[128];
    size_t len = unhex(BATCH_HEX, batch, sizeof(batch));
    struct flv_wire_stream_fetch_request q = {
        .topic = STR("hello"),
        .max_bytes = 1048890,
    };
    struct flv_wire_stream_fetch_response r = {
        .topic = STR("hello"),
        .stream_id = 1,
        .partition = {.high_watermark = 1, .records = flv_slice(batch, len)},
    };
    struct flv_wire_offset_update u = {.offset = 1, .stream_id = 1};
    struct flv_wire_update_offsets_request o = {.offsets = {&u, 1}};
    struct flv_wire_request_header h = header(1003, 25, 3, "fluvio");
    struct flv_wire_message m = {&flv_wire_stream_fetch_request_schema, &q,
                                 NULL};

    assert_int_equal(flv_wire_request_frame(&h, &m, &f->out, NULL, &f->err),
                     FLV_OK);
    expect_hex(f, "00 00 00 2d 03 eb 00 19 00 00 00 03 " ID HELLO
                  "00 00 00 00 " ZERO8 "00 10 01 3a 00 00 00 00 00 00");
    flv_buf_reset(&f->out);
    m = (struct flv_wire_message){&flv_wire_stream_fetch_response_schema, &r,
                                  NULL};
    assert_int_equal(flv_wire_response_frame(&h, &m, &f->out, NULL, &f->err),
                     FLV_OK);
    expect_hex(
        f, "00 00 00 7b 00 00 00 03 " HELLO
           "00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 01 " ZERO8 ZERO8
           "00 00 00 00 49 " BATCH_HEX);
    flv_buf_reset(&f->out);
    h = header(1005, 0, 4, "fluvio");
    m = (struct flv_wire_message){&flv_wire_update_offsets_request_schema, &o,
                                  NULL};
    assert_int_equal(flv_wire_request_frame(&h, &m, &f->out, NULL, &f->err),
                     FLV_OK);
    expect_hex(f, "00 00 00 20 03 ed 00 00 00 00 00 04 " ID
                  "00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 01");
}

static void module_invocations_are_read_and_written(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[64];
    size_t len = unhex("00 00 00 01 00 00 09 6d 79 2d 66 69 6c 74 65 72 07 00 "
                       "00 01 00 03 6b 65 79 00 01 61 00 "
                       "01 00 09 6d 79 2d 66 69 6c 74 65 72",
                       bytes, sizeof(bytes));
    /* A Produce request of nothing but the invocation. */
    uint8_t request[128] = {0};
    struct flv_slice in = flv_slice(request, 11 + len);
    struct flv_wire_produce_request q;

    memcpy(request + 11, bytes, len);
    assert_int_equal(
        flv_wire_produce_request_decode(25, &in, &f->arena, &q, &f->err),
        FLV_OK);
    assert_int_equal(in.len, 0);
    assert_int_equal(q.smartmodules.len, 1);
    assert_true(flv_slice_eq_str(q.smartmodules.at[0].wasm.name, "my-filter"));
    assert_int_equal(q.smartmodules.at[0].kind.tag, FLV_WIRE_MODULE_GENERIC);
    assert_true(
        flv_slice_eq_str(q.smartmodules.at[0].params.params.at[0].value, "a"));
    assert_true(q.smartmodules.at[0].name.has);
    assert_int_equal(flv_wire_produce_request_encode(25, &q, &f->out, &f->err),
                     FLV_OK);
    assert_int_equal(f->out.len, 11 + len);
    assert_memory_equal(f->out.data, request, f->out.len);
}

static void custom_spus_are_deleted_by_name_or_id(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_custom_spu_delete d = {.tag = 0, .name = STR("a")}, back;
    struct flv_slice in;

    assert_int_equal(flv_wire_custom_spu_delete_encode(12, &d, &f->out, NULL),
                     FLV_OK);
    expect_hex(f, "00 04 4e 61 6d 65 00 01 61");
    flv_buf_reset(&f->out);
    d = (struct flv_wire_custom_spu_delete){
        .tag = 1, .id = 5001, .force = true};
    assert_int_equal(flv_wire_custom_spu_delete_encode(13, &d, &f->out, NULL),
                     FLV_OK);
    expect_hex(f, "00 02 49 64 00 00 13 89 01");
    in = flv_buf_slice(&f->out);
    assert_int_equal(
        flv_wire_custom_spu_delete_decode(13, &in, &f->arena, &back, NULL),
        FLV_OK);
    assert_int_equal(back.tag, 1);
    assert_int_equal(back.id, 5001);
    assert_true(back.force);
}

/* --- versions
 * ------------------------------------------------------------------- */

/* A topic with everything in it. */
struct full_topic {
    int32_t spus[2];
    struct flv_wire_partition_map map[1];
    struct flv_wire_pair with[2];
    struct flv_wire_replica_entry replicas[1];
    struct flv_wire_mirror_entry mirrors[2];
    struct flv_wire_topic topic[1];
    struct flv_wire_topic_watch watch;
};

static void fill(struct full_topic *t)
{
    struct flv_wire_topic *topic = t->topic;

    memset(t, 0, sizeof(*t));
    t->spus[0] = 5001;
    t->spus[1] = 5002;
    t->map[0].id = 7;
    t->map[0].replicas.at = t->spus;
    t->map[0].replicas.len = 2;
    t->map[0].mirror.has = true;
    t->map[0].mirror.v.tag = FLV_WIRE_MIRROR_HOME;
    t->map[0].mirror.v.home.remote_cluster = STR("edge");
    t->map[0].mirror.v.home.source = true;
    t->with[0] = (struct flv_wire_pair){STR("a"), STR("1")};
    t->with[1] = (struct flv_wire_pair){STR("b"), STR("2")};
    t->replicas[0].partition = 7;
    t->replicas[0].spus.at = t->spus;
    t->replicas[0].spus.len = 1;
    t->mirrors[0].mirror.tag = FLV_WIRE_MIRROR_REMOTE;
    t->mirrors[0].mirror.remote.home_spu_id = 9;
    t->mirrors[0].mirror.remote.target = true;
    t->mirrors[1].partition = 1;
    t->mirrors[1].mirror.tag = FLV_WIRE_MIRROR_HOME;
    topic->name = STR("full");
    topic->spec.replicas.tag = FLV_WIRE_REPLICA_ASSIGNED;
    topic->spec.replicas.assigned.at = t->map;
    topic->spec.replicas.assigned.len = 1;
    topic->spec.cleanup_policy.has = true;
    topic->spec.cleanup_policy.v.retention_seconds = 3600;
    topic->spec.storage.has = true;
    topic->spec.storage.v.segment_size_bytes.has = true;
    topic->spec.storage.v.segment_size_bytes.v = 2048;
    topic->spec.compression = FLV_WIRE_COMPRESSION_ZSTD;
    topic->spec.deduplication.has = true;
    topic->spec.deduplication.v.count = 10;
    topic->spec.deduplication.v.age.has = true;
    topic->spec.deduplication.v.age.v.nanos = 5;
    topic->spec.deduplication.v.uses = STR("dedup");
    topic->spec.deduplication.v.with.at = t->with;
    topic->spec.deduplication.v.with.len = 2;
    topic->spec.system = true;
    topic->status.resolution = FLV_WIRE_TOPIC_PROVISIONED;
    topic->status.replica_map.at = t->replicas;
    topic->status.replica_map.len = 1;
    topic->status.mirror_map.at = t->mirrors;
    topic->status.mirror_map.len = 2;
    topic->status.reason = STR("because");
    t->watch.epoch = 3;
    t->watch.all.at = topic;
    t->watch.all.len = 1;
}

static void fields_appear_in_their_versions(void **state)
{
    struct fixture *f = *state;
    struct full_topic full;
    size_t len[FLV_WIRE_SC_MAX + 1] = {0};

    fill(&full);
    for (int16_t v = FLV_WIRE_SC_MIN; v <= FLV_WIRE_SC_MAX; v++) {
        struct flv_wire_topic_watch back;
        const struct flv_wire_topic *t;
        struct flv_buf again;
        struct flv_slice in;

        flv_buf_reset(&f->out);
        flv_buf_init(&again, 1 << 16);
        assert_int_equal(
            flv_wire_topic_watch_encode(v, &full.watch, &f->out, NULL), FLV_OK);
        len[v] = f->out.len;
        in = flv_buf_slice(&f->out);
        assert_int_equal(
            flv_wire_topic_watch_decode(v, &in, &f->arena, &back, NULL),
            FLV_OK);
        assert_int_equal(in.len, 0);
        t = back.all.at;
        assert_true(flv_slice_eq_str(t->status.reason, "because"));
        assert_int_equal(t->spec.deduplication.has, v >= 12);
        assert_int_equal(t->spec.system, v >= 13);
        assert_int_equal(t->status.mirror_map.len, v >= 14 ? 2 : 0);
        assert_int_equal(t->spec.replicas.assigned.at[0].mirror.has, v >= 14);
        assert_int_equal(t->spec.replicas.assigned.at[0].mirror.v.home.source,
                         v >= 18);
        assert_int_equal(flv_wire_topic_watch_encode(v, &back, &again, NULL),
                         FLV_OK);
        assert_int_equal(again.len, f->out.len);
        assert_memory_equal(again.data, f->out.data, again.len);
        flv_buf_deinit(&again);
    }
    assert_true(len[12] > len[11] && len[14] > len[13]);
    assert_int_equal(len[13], len[12] + 1);
    assert_int_equal(len[15], len[14]);
    assert_int_equal(len[18], len[17] + 3);
    assert_int_equal(len[19], len[18]);
}

static size_t
size_at(struct fixture *f, const struct flv_wire_schema *s, int16_t v, void *m)
{
    flv_buf_reset(&f->out);
    assert_int_equal(flv_wire_encode(s, v, m, &f->out, NULL, NULL), FLV_OK);
    return f->out.len;
}

/* Before version 12 there is none, from 13 on more comes behind it. */
static void deduplication_is_written_as_documented(void **state)
{
    static const char head[] = "00 01 74 00 00 " /* "t", no dry run */
                               "01 00 00 00 01 00 00 00 01 00 " /* computed */
                               "00 00 04 "; /* no cleanup, no storage, any */
    static const char dedup[] =
        "01 00 00 00 00 00 00 00 64 "             /* there: count */
        "01 00 00 00 00 00 00 00 3c 00 00 00 05 " /* age: seconds, nanos */
        "00 06 67 2f 64 40 76 31 "                /* uses */
        "00 01 00 02 62 79 00 03 6b 65 79 ";      /* with */
    struct fixture *f = *state;
    struct flv_wire_pair with = {STR("by"), STR("key")};
    struct flv_wire_topic_create create = {
        .common = {.name = STR("t")},
        .spec = {.replicas = {.tag = FLV_WIRE_REPLICA_COMPUTED,
                              .computed = {.partitions = 1,
                                           .replication_factor = 1}},
                 .compression = FLV_WIRE_COMPRESSION_ANY,
                 .deduplication = {.has = true,
                                   .v = {.count = 100,
                                         .age = {.has = true, .v = {60, 5}},
                                         .uses = STR("g/d@v1")}}}};
    char want[400];

    create.spec.deduplication.v.with.at = &with;
    create.spec.deduplication.v.with.len = 1;
    for (int16_t v = 11; v <= 13; v++) {
        struct flv_wire_topic_create back;
        struct flv_slice in;

        flv_buf_reset(&f->out);
        assert_int_equal(
            flv_wire_topic_create_encode(v, &create, &f->out, NULL), FLV_OK);
        (void)snprintf(want, sizeof(want), "%s%s%s", head, v >= 12 ? dedup : "",
                       v >= 13 ? "00" : "");
        expect_hex(f, want);
        in = flv_buf_slice(&f->out);
        assert_int_equal(
            flv_wire_topic_create_decode(v, &in, &f->arena, &back, NULL),
            FLV_OK);
        assert_int_equal(back.spec.deduplication.has, v >= 12);
        assert_true(v < 12 || (back.spec.deduplication.v.count == 100 &&
                               back.spec.deduplication.v.age.v.nanos == 5 &&
                               back.spec.deduplication.v.with.len == 1));
    }
}

static void stream_fetch_changes_with_its_version(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_stream_fetch_request q = {
        .topic = STR("t"),
        .consumer_id = {true, STR("c1")},
    };
    static const struct {
        int16_t version;
        size_t size;
    } cases[] = {
        {10, 20},     {11, 24}, /* + wasm_module */
        {12, 25},               /* + wasm_payload */
        {15, 25},               /* */
        {16, 27},               /* + smartmodule, derivedstream */
        {18, 31},               /* + smartmodules */
        {19, 24},               /* - everything old */
        {22, 24},               /* */
        {23, 24 + 5},           /* + consumer_id */
        {25, 24 + 5},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(size_at(f, &flv_wire_stream_fetch_request_schema,
                                 cases[i].version, &q),
                         cases[i].size);
    }
}

static void consumer_ids_travel_only_where_they_may(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_fetch_offsets_request q = {.consumer_id = {true, STR("c")}};
    struct flv_wire_fetch_consumer_offsets_request c = {.filter.has = true};
    const struct flv_wire_schema *s = &flv_wire_fetch_offsets_request_schema;

    assert_int_equal(size_at(f, s, 22, &q), 4);
    assert_int_equal(size_at(f, s, 23, &q), 8);
    assert_int_equal(size_at(f, s, 24, &q), 4);
    s = &flv_wire_fetch_consumer_offsets_request_schema;
    assert_int_equal(size_at(f, s, 23, &c), 0);
    assert_int_equal(size_at(f, s, 24, &c), 3);
}

static void cases_unknown_to_an_old_version_are_replaced(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_partition_list back;
    struct flv_wire_partition p = {
        .name = STR("t-0"),
        .status = {.resolution = FLV_WIRE_PARTITION_OUT_OF_STORAGE},
    };
    struct flv_wire_partition_list list = {.items = {&p, 1}};
    struct flv_wire_mirror m = {
        .pairing_sc = {.tag = 5, .failure = STR("no route")}};
    struct flv_wire_mirror_list mirrors = {.items = {&m, 1}}, mirrors_back;

    for (int16_t v = 18; v <= 19; v++) {
        struct flv_slice in;

        size_at(f, &flv_wire_partition_list_schema, v, &list);
        in = flv_buf_slice(&f->out);
        assert_int_equal(
            flv_wire_partition_list_decode(v, &in, &f->arena, &back, NULL),
            FLV_OK);
        assert_int_equal(back.items.at[0].status.resolution,
                         v == 19 ? FLV_WIRE_PARTITION_OUT_OF_STORAGE
                                 : FLV_WIRE_PARTITION_OFFLINE);
    }
    for (int16_t v = 16; v <= 17; v++) {
        struct flv_slice in;

        size_at(f, &flv_wire_mirror_list_schema, v, &mirrors);
        in = flv_buf_slice(&f->out);
        assert_int_equal(
            flv_wire_mirror_list_decode(v, &in, &f->arena, &mirrors_back, NULL),
            FLV_OK);
        assert_int_equal(in.len, 0);
        assert_int_equal(mirrors_back.items.at[0].pairing_sc.tag,
                         v == 17 ? 5 : 2);
    }
}

/* --- hostile input
 * -------------------------------------------------------------- */

static void expect_refused(struct fixture *f,
                           const struct flv_wire_schema *s,
                           const char *hex,
                           const char *text)
{
    uint8_t bytes[256], out[1024];
    struct flv_slice in = flv_slice(bytes, unhex(hex, bytes, sizeof(bytes)));
    struct flv_slice before = in;

    memset(out, 0x5a, sizeof(out));
    assert_int_equal(flv_wire_decode(s, 19, &in, &f->arena, out, &f->err),
                     FLV_E_PROTOCOL);
    if (strstr(f->err.text, text) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", f->err.text, text);
    }
    assert_ptr_equal(in.data, before.data);
    assert_int_equal(in.len, before.len);
    for (size_t i = 0; i < sizeof(out); i++) {
        assert_int_equal(out[i], 0x5a);
    }
}

static void lies_are_refused_by_name(void **state)
{
    struct fixture *f = *state;

    expect_refused(f, &flv_wire_topic_list_schema, "7f ff ff ff 00 00 00 00",
                   "topic_list: field items counts 2147483647");
    expect_refused(f, &flv_wire_topic_list_schema, "ff ff ff ff",
                   "items counts");
    expect_refused(f, &flv_wire_list_request_schema, "00 00 00 02 00 01 61 00",
                   "name_filters");
    expect_refused(f, &flv_wire_delete_request_schema, "ff fe 61 62",
                   "delete_request: field key has the negative length -2");
    expect_refused(f, &flv_wire_delete_request_schema, "00 03 61 62",
                   "key needs 3 bytes, but only 2");
    expect_refused(f, &flv_wire_delete_request_schema, "00 01 61 02",
                   "field force is 2, but a bool is 0 or 1");
    expect_refused(f, &flv_wire_delete_request_schema, "00 02 c3 28 00",
                   "not UTF-8");
    expect_refused(f, &flv_wire_status_schema, "00 00 0b b7 00",
                   "status: error has the unknown tag 2999");
    expect_refused(f, &flv_wire_topic_update_schema, "00 01 61 02 00",
                   "topic_action has the unknown tag 2");
    expect_refused(f, &flv_wire_custom_spu_delete_schema,
                   "00 04 4e 6f 6e 65 00 00", "unknown tag");
    expect_refused(f, &flv_wire_envelope_schema, "00 01 61 80 00 00 00 00",
                   "body has the negative length");
    expect_refused(f, &flv_wire_envelope_schema, "", "label needs 2 bytes");
}

static void trailing_bytes_are_left_to_the_caller(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[16];
    struct flv_slice in =
        flv_slice(bytes, unhex("00 01 61 01 aa bb", bytes, sizeof(bytes)));
    struct flv_wire_delete_request d;

    assert_int_equal(
        flv_wire_delete_request_decode(19, &in, &f->arena, &d, NULL), FLV_OK);
    assert_int_equal(in.len, 2);
    assert_int_equal(in.data[0], 0xaa);
    assert_true(d.force);
}

static void small_input_cannot_take_much_memory(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_fetch_offsets_request q;
    struct flv_arena arena;
    struct flv_slice in;
    uint8_t *bytes;

    /* 64 KiB of partitions would be 64 KiB of numbers: fits exactly. */
    bytes = test_calloc(1, 65536 + 11);
    flv_put_u32(bytes, 1);
    flv_put_u32(bytes + 6, 16384);
    in = flv_slice(bytes, 65536 + 10);
    flv_arena_init(&arena, 4096, 1024);
    assert_int_equal(
        flv_wire_fetch_offsets_request_decode(22, &in, &arena, &q, &f->err),
        FLV_E_LIMIT);
    assert_non_null(strstr(f->err.text, "no room for 16384 elements"));
    flv_arena_deinit(&arena);
    test_free(bytes);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    struct fixture *f = *state;
    char *large = test_malloc(FLV_WIRE_STR_MAX + 1);
    struct flv_wire_delete_request d = {.key =
                                            flv_slice(large, FLV_WIRE_STR_MAX)};
    struct flv_wire_topic_update u = {.key = STR("a"), .action = {.tag = 9}};
    struct flv_wire_status s = {.error = {.code = 2999}};
    struct flv_buf tight;

    memset(large, 'a', FLV_WIRE_STR_MAX + 1);
    assert_int_equal(flv_buf_add_str(&f->out, "kept"), FLV_OK);
    assert_int_equal(flv_wire_delete_request_encode(19, &d, &f->out, NULL),
                     FLV_OK);
    f->out.len = 4;
    d.key.len++;
    assert_int_equal(flv_wire_delete_request_encode(19, &d, &f->out, &f->err),
                     FLV_E_INVALID);
    d.key = STR("\xff");
    assert_int_equal(flv_wire_delete_request_encode(19, &d, &f->out, &f->err),
                     FLV_E_INVALID);
    assert_int_equal(flv_wire_topic_update_encode(19, &u, &f->out, &f->err),
                     FLV_E_INVALID);
    assert_int_equal(flv_wire_status_encode(19, &s, &f->out, &f->err),
                     FLV_E_INVALID);
    assert_int_equal(f->out.len, 4);
    test_free(large);
    flv_buf_init(&tight, 3);
    d.key = STR("ab");
    assert_int_equal(flv_wire_delete_request_encode(19, &d, &tight, &f->err),
                     FLV_E_LIMIT);
    assert_int_equal(tight.len, 0);
    flv_buf_deinit(&tight);
}

static void smallest_sizes_are_the_smallest(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_topic t = {0};
    struct flv_wire_topic_list list = {.items = {&t, 1}};

    assert_int_equal(flv_wire_size_min(&flv_wire_topic_list_schema, 19), 4);
    assert_int_equal(flv_wire_size_min(&flv_wire_error_schema, 19), 2);
    assert_int_equal(flv_wire_size_min(&flv_wire_custom_spu_delete_schema, 12),
                     2 + 4 + 2);
    for (int16_t v = FLV_WIRE_SC_MIN; v <= FLV_WIRE_SC_MAX; v++) {
        size_t whole = size_at(f, &flv_wire_topic_list_schema, v, &list);

        assert_int_equal(
            whole,
            4 + flv_wire_size_min(flv_wire_topic_list_schema.fields[0].sub, v));
    }
}

/* --- memory and text
 * -------------------------------------------------------------- */

/* Decodes and encodes all of it with the nth allocation failing. */
static flv_rc round_trip(const struct flv_buf *bytes, uint64_t nth)
{
    struct flv_slice in = flv_buf_slice(bytes);
    struct flv_wire_topic_watch back;
    struct flv_arena arena;
    struct flv_buf out;
    flv_rc rc;

    flv_arena_init(&arena, 64, 1 << 20);
    flv_buf_init(&out, 1 << 20);
    flv__mem_fail_at(nth);
    rc = flv_wire_topic_watch_decode(19, &in, &arena, &back, NULL);
    if (rc == FLV_OK) {
        rc = flv_wire_topic_watch_encode(19, &back, &out, NULL);
        assert_int_equal(out.len, rc == FLV_OK ? bytes->len : 0);
    }
    flv__mem_fail_at(0);
    flv_buf_deinit(&out);
    flv_arena_deinit(&arena);
    return rc;
}

static void every_failing_allocation_is_survived(void **state)
{
    struct fixture *f = *state;
    struct full_topic full;
    uint64_t nth = 1;

    fill(&full);
    size_at(f, &flv_wire_topic_watch_schema, 19, &full.watch);
    while (round_trip(&f->out, nth) != FLV_OK) {
        assert_int_equal(round_trip(&f->out, nth), FLV_E_NOMEM);
        nth++;
    }
    assert_true(nth > 5);
}

static void a_dump_names_every_field(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_status s = {
        .name = STR("a\"b"),
        .error = flv_wire_error_text(FLV_WIRE_SMARTMODULE_NOT_FOUND, "refuser"),
    };
    struct full_topic full;

    assert_int_equal(flv_wire_dump(&flv_wire_status_schema, 19, &s, &f->out),
                     FLV_OK);
    assert_string_equal(
        flv_buf_str(&f->out),
        "status{name=\"a\\\"b\" error=smartmodule_not_found{text=\"refuser\"} "
        "message=none}");
    flv_buf_reset(&f->out);
    fill(&full);
    assert_int_equal(
        flv_wire_dump(&flv_wire_topic_watch_schema, 19, &full.watch, &f->out),
        FLV_OK);
    assert_non_null(strstr(flv_buf_str(&f->out), "replicas=[5001 5002]"));
    assert_non_null(strstr(flv_buf_str(&f->out), "resolution=provisioned"));
    assert_non_null(
        strstr(flv_buf_str(&f->out), "mirror=home{home={remote_cluster="));
}

static void our_own_create_request_round_trips(void **state)
{
    struct fixture *f = *state;
    struct flv_wire_topic_create_ext e = {
        .durability = FLV_WIRE_DURABILITY_PAGE_CACHE,
        .create.common.name = STR("t"),
        .create.spec.replicas.tag = FLV_WIRE_REPLICA_COMPUTED,
    };
    struct flv_wire_topic_create_ext back;
    struct flv_slice in;

    assert_int_equal(flv_wire_topic_create_ext_encode(19, &e, &f->out, NULL),
                     FLV_OK);
    in = flv_buf_slice(&f->out);
    assert_int_equal(
        flv_wire_topic_create_ext_decode(19, &in, &f->arena, &back, NULL),
        FLV_OK);
    assert_int_equal(in.len, 0);
    assert_int_equal(back.durability, FLV_WIRE_DURABILITY_PAGE_CACHE);
    assert_true(flv_slice_eq_str(back.create.common.name, "t"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(api_versions_are_written_as_documented),
        T(envelopes_are_written_as_documented),
        T(a_status_is_written_as_documented),
        T(produce_is_written_as_documented),
        T(stream_fetch_is_written_as_documented),
        T(module_invocations_are_read_and_written),
        T(custom_spus_are_deleted_by_name_or_id),
        T(fields_appear_in_their_versions),
        T(deduplication_is_written_as_documented),
        T(stream_fetch_changes_with_its_version),
        T(consumer_ids_travel_only_where_they_may),
        T(cases_unknown_to_an_old_version_are_replaced),
        T(lies_are_refused_by_name),
        T(trailing_bytes_are_left_to_the_caller),
        T(small_input_cannot_take_much_memory),
        T(what_cannot_be_sent_is_refused),
        T(smallest_sizes_are_the_smallest),
        T(every_failing_allocation_is_survived),
        T(a_dump_names_every_field),
        T(our_own_create_request_round_trips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
