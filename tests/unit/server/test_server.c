#include "rig.h"

#include <signal.h>
#include <sys/wait.h>

struct both {
    struct rig rig;
    struct link sc, spu;
};

static int setup(void **state)
{
    static struct both b;
    memset(&b, 0, sizeof b);
    rig_init(&b.rig);
    rig_start(&b.rig);
    link_open(&b.sc, b.rig.sc);
    link_open(&b.spu, b.rig.spu);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct both *b = *state;
    link_close(&b->sc);
    link_close(&b->spu);
    rig_stop(&b->rig);
    rig_deinit(&b->rig);
    return 0;
}

static void restart(struct both *b)
{
    link_close(&b->sc);
    link_close(&b->spu);
    rig_stop(&b->rig);
    rig_start(&b->rig);
    link_open(&b->sc, b->rig.sc);
    link_open(&b->spu, b->rig.spu);
}

static struct flv_slice batch_of(struct flv_buf *b, uint32_t count)
{
    flv_buf_init(b, 64u << 20);
    rig_batch(b, count, 10, FLV_CODEC_NONE, -1, -1);
    return flv_buf_slice(b);
}

/* ---- api versions ---- */

static void api_versions_take_any_client_version(void **state)
{
    struct both *b = *state;
    struct flv_wire_api_versions_request req = {
        .client_version = flv_slice_str("not a version")};
    struct flv_wire_api_versions_response resp;
    link_call(&b->sc, FLV_API_VERSIONS, 2,
              &flv_wire_api_versions_request_schema, &req,
              &flv_wire_api_versions_response_schema, &resp);
    assert_int_equal(resp.error.code, 0);
    assert_int_equal(resp.apis.len, 6 + FLV_WIRE_EXT_COUNT);
    assert_int_equal(resp.apis.at[6].api_key, FLV_API_SC_TOPIC_CREATE_EXT);
    assert_true(flv_slice_eq_str(resp.platform_version, FLV_PLATFORM_VERSION));
    req.client_version = flv_slice_str("");
    link_call(&b->spu, FLV_API_VERSIONS, 2,
              &flv_wire_api_versions_request_schema, &req,
              &flv_wire_api_versions_response_schema, &resp);
    for (uint32_t i = 0; i < resp.apis.len; i++) {
        if (resp.apis.at[i].api_key == FLV_API_SPU_STREAM_FETCH) {
            assert_int_equal(resp.apis.at[i].max, 15);
        }
    }
}

/* ---- metadata ---- */

static int32_t watch(struct link *sc, const char *label)
{
    const struct flv_wire_watch_request req = {0};
    return link_ask(sc, FLV_API_SC_WATCH, 19, &flv_wire_watch_request_schema,
                    &req, label);
}

static void watchers_hear_of_a_topic_before_its_creator(void **state)
{
    struct both *b = *state;
    struct flv_wire_topic_watch topics;
    struct flv_wire_partition_watch parts;
    int32_t partition_watch = watch(&b->sc, "Partition");
    assert_int_equal(link_next(&b->sc), partition_watch);
    link_read(&b->sc, 19, &flv_wire_partition_watch_schema, &parts,
              "Partition");
    assert_int_equal(parts.all.len, 1);
    assert_true(flv_slice_eq_str(parts.all.at[0].name, "consumer-offset-0"));
    int32_t topic_watch = watch(&b->sc, "Topic");
    assert_int_equal(link_next(&b->sc), topic_watch);
    link_read(&b->sc, 19, &flv_wire_topic_watch_schema, &topics, "Topic");
    assert_int_equal(topics.all.len, 1);
    assert_true(topics.all.at[0].spec.system);

    const struct flv_wire_topic_create req = {
        .common = {.name = flv_slice_str("t")},
        .spec = {.replicas = {.tag = FLV_WIRE_REPLICA_COMPUTED,
                              .computed = {.partitions = 2,
                                           .replication_factor = 1}},
                 .compression = FLV_WIRE_COMPRESSION_ANY}};
    int32_t create = link_ask(&b->sc, FLV_API_SC_CREATE, 19,
                              &flv_wire_topic_create_schema, &req, "Topic");
    assert_int_equal(link_next(&b->sc), topic_watch);
    link_read(&b->sc, 19, &flv_wire_topic_watch_schema, &topics, "Topic");
    assert_int_equal(topics.all.len, 0);
    assert_int_equal(topics.changes.len, 1);
    assert_int_equal(topics.changes.at[0].item.status.resolution,
                     FLV_WIRE_TOPIC_PROVISIONED);
    assert_int_equal(topics.changes.at[0].item.status.replica_map.len, 2);
    assert_int_equal(link_next(&b->sc), partition_watch);
    link_read(&b->sc, 19, &flv_wire_partition_watch_schema, &parts,
              "Partition");
    assert_int_equal(parts.changes.len, 2);
    assert_int_equal(parts.changes.at[1].item.status.resolution,
                     FLV_WIRE_PARTITION_ONLINE);
    assert_int_equal(parts.changes.at[1].item.spec.leader, 5001);
    assert_int_equal(link_next(&b->sc), create);
}

static void watchers_hear_of_a_deletion_before_the_deleter(void **state)
{
    struct both *b = *state;
    struct flv_wire_topic_watch topics;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    int32_t topic_watch = watch(&b->sc, "Topic");
    assert_int_equal(link_next(&b->sc), topic_watch);
    const struct flv_wire_delete_request req = {.key = flv_slice_str("t")};
    int32_t asked = link_ask(&b->sc, FLV_API_SC_DELETE, 19,
                             &flv_wire_delete_request_schema, &req, "Topic");
    assert_int_equal(link_next(&b->sc), topic_watch);
    link_read(&b->sc, 19, &flv_wire_topic_watch_schema, &topics, "Topic");
    assert_int_equal(topics.changes.len, 1);
    assert_int_equal(topics.changes.at[0].kind, FLV_WIRE_CHANGE_DELETE);
    assert_int_equal(link_next(&b->sc), asked);
}

static void partition_watch_shows_new_records(void **state)
{
    struct both *b = *state;
    struct flv_wire_partition_watch parts;
    struct flv_buf buf;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    int32_t asked = watch(&b->sc, "Partition");
    assert_int_equal(link_next(&b->sc), asked);
    assert_int_equal(rig_produce(&b->spu, "t", 0, batch_of(&buf, 3), NULL), 0);
    flv_buf_deinit(&buf);
    assert_int_equal(link_next(&b->sc), asked);
    link_read(&b->sc, 19, &flv_wire_partition_watch_schema, &parts,
              "Partition");
    assert_int_equal(parts.changes.len, 1);
    assert_int_equal(parts.changes.at[0].item.status.leader.leo, 3);
    assert_int_equal(parts.changes.at[0].item.status.leader.hw, 3);
    assert_true(parts.changes.at[0].item.status.size_bytes > 0);
}

static int16_t create_with(struct both *b, struct flv_wire_topic_create *req)
{
    struct flv_wire_status status;
    req->spec.compression = FLV_WIRE_COMPRESSION_ANY;
    int32_t asked = link_ask(&b->sc, FLV_API_SC_CREATE, 19,
                             &flv_wire_topic_create_schema, req, "Topic");
    assert_int_equal(link_next(&b->sc), asked);
    link_read(&b->sc, 19, &flv_wire_status_schema, &status, NULL);
    return status.error.code;
}

static struct flv_wire_topic_create plain(const char *name)
{
    return (struct flv_wire_topic_create){
        .common = {.name = flv_slice_str(name)},
        .spec = {.replicas = {
                     .tag = FLV_WIRE_REPLICA_COMPUTED,
                     .computed = {.partitions = 1, .replication_factor = 1}}}};
}

static void create_keeps_the_rules_of_names_and_limits(void **state)
{
    struct both *b = *state;
    static const char *const bad[] = {
        "",
        "-a",
        "a-",
        "A",
        "a_b",
        "a.b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct flv_wire_topic_create req = plain(bad[i]);
        assert_int_equal(create_with(b, &req), FLV_WIRE_TOPIC_INVALID_NAME);
    }
    struct flv_wire_topic_create req = plain("t");
    req.spec.replicas.computed.partitions = 0;
    assert_int_equal(create_with(b, &req),
                     FLV_WIRE_TOPIC_INVALID_CONFIGURATION);
    req.spec.replicas.computed.partitions = UINT32_MAX;
    assert_int_equal(create_with(b, &req),
                     FLV_WIRE_TOPIC_INVALID_CONFIGURATION);
    req = plain("t");
    req.spec.replicas.computed.replication_factor = 3;
    assert_int_equal(create_with(b, &req), FLV_WIRE_TOPIC_NOT_PROVISIONED);
    req = plain("t");
    req.spec.cleanup_policy.has = true;
    req.spec.cleanup_policy.v.retention_seconds = 9;
    assert_int_equal(create_with(b, &req),
                     FLV_WIRE_TOPIC_INVALID_CONFIGURATION);
    req = plain("t");
    req.spec.storage.has = true;
    req.spec.storage.v.segment_size_bytes.has = true;
    req.spec.storage.v.segment_size_bytes.v = 1023;
    assert_int_equal(create_with(b, &req),
                     FLV_WIRE_TOPIC_INVALID_CONFIGURATION);
    req = plain("t");
    req.common.dry_run = true;
    assert_int_equal(create_with(b, &req), FLV_WIRE_NONE);
    req.common.dry_run = false;
    assert_int_equal(create_with(b, &req), FLV_WIRE_NONE);
    assert_int_equal(create_with(b, &req), FLV_WIRE_TOPIC_ALREADY_EXISTS);
}

static void delete_knows_missing_and_system_topics(void **state)
{
    struct both *b = *state;
    assert_int_equal(rig_delete_topic(&b->sc, "nothing"),
                     FLV_WIRE_TOPIC_NOT_FOUND);
    assert_int_equal(rig_delete_topic(&b->sc, "consumer-offset"),
                     FLV_WIRE_SYSTEM_SPEC_DELETION_ATTEMPT);
}

static int16_t delete_topic(struct both *b, const char *name, bool force)
{
    const struct flv_wire_delete_request req = {.key = flv_slice_str(name),
                                                .force = force};
    struct flv_wire_status status;
    int32_t asked = link_ask(&b->sc, FLV_API_SC_DELETE, 19,
                             &flv_wire_delete_request_schema, &req, "Topic");
    while (link_next(&b->sc) != asked) {
    }
    link_read(&b->sc, 19, &flv_wire_status_schema, &status, NULL);
    return status.error.code;
}

static void system_topics_go_by_force_and_the_own_one_stays(void **state)
{
    struct both *b = *state;
    struct flv_wire_topic_create req = {
        .common = {.name = flv_slice_str("mine")},
        .spec = {.replicas = {.tag = FLV_WIRE_REPLICA_COMPUTED,
                              .computed = {.partitions = 1,
                                           .replication_factor = 1}},
                 .compression = FLV_WIRE_COMPRESSION_ANY,
                 .system = true}};
    struct flv_wire_status status;
    int32_t asked = link_ask(&b->sc, FLV_API_SC_CREATE, 19,
                             &flv_wire_topic_create_schema, &req, "Topic");
    while (link_next(&b->sc) != asked) {
    }
    link_read(&b->sc, 19, &flv_wire_status_schema, &status, NULL);
    assert_int_equal(status.error.code, 0);
    assert_int_equal(delete_topic(b, "mine", false),
                     FLV_WIRE_SYSTEM_SPEC_DELETION_ATTEMPT);
    assert_int_equal(delete_topic(b, "mine", true), 0);
    assert_int_equal(delete_topic(b, "consumer-offset", true),
                     FLV_WIRE_SYSTEM_SPEC_DELETION_ATTEMPT);
}

static uint32_t list_topics(struct both *b, const char *filter, bool system)
{
    struct flv_slice name = flv_slice_str(filter);
    struct flv_wire_list_request req = {.system = system};
    struct flv_wire_topic_list resp;
    req.name_filters.at = &name;
    req.name_filters.len = filter != NULL ? 1 : 0;
    int32_t asked = link_ask(&b->sc, FLV_API_SC_LIST, 19,
                             &flv_wire_list_request_schema, &req, "Topic");
    assert_int_equal(link_next(&b->sc), asked);
    link_read(&b->sc, 19, &flv_wire_topic_list_schema, &resp, "Topic");
    return resp.items.len;
}

static void list_filters_by_part_of_the_name_and_system_flag(void **state)
{
    struct both *b = *state;
    assert_int_equal(rig_create_topic(&b->sc, "cats", 1), 0);
    assert_int_equal(rig_create_topic(&b->sc, "concats", 1), 0);
    assert_int_equal(rig_create_topic(&b->sc, "dogs", 1), 0);
    assert_int_equal(list_topics(b, NULL, false), 3);
    assert_int_equal(list_topics(b, "cat", false), 2);
    assert_int_equal(list_topics(b, "birds", false), 0);
    assert_int_equal(list_topics(b, NULL, true), 1);
}

static void objects_that_are_not_served_are_empty_and_refused(void **state)
{
    struct both *b = *state;
    static const char *const labels[] = {"SpuGroup", "CustomSpu", "Mirror"};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        const struct flv_wire_list_request req = {0};
        struct flv_wire_smartmodule_list empty;
        int32_t asked =
            link_ask(&b->sc, FLV_API_SC_LIST, 19, &flv_wire_list_request_schema,
                     &req, labels[i]);
        assert_int_equal(link_next(&b->sc), asked);
        link_read(&b->sc, 19, &flv_wire_smartmodule_list_schema, &empty,
                  labels[i]);
        assert_int_equal(empty.items.len, 0);

        struct flv_wire_smartmodule_watch all;
        asked = watch(&b->sc, labels[i]);
        assert_int_equal(link_next(&b->sc), asked);
        link_read(&b->sc, 19, &flv_wire_smartmodule_watch_schema, &all,
                  labels[i]);
        assert_int_equal(all.all.len + all.changes.len, 0);

        const struct flv_wire_create_common create = {.name =
                                                          flv_slice_str("x")};
        struct flv_wire_status status;
        asked = link_ask(&b->sc, FLV_API_SC_CREATE, 19,
                         &flv_wire_create_common_schema, &create, labels[i]);
        assert_int_equal(link_next(&b->sc), asked);
        link_read(&b->sc, 19, &flv_wire_status_schema, &status, NULL);
        assert_int_not_equal(status.error.code, 0);
        assert_true(status.message.has && status.message.v.len > 20);
    }
}

static void topic_grows_and_the_new_partitions_work(void **state)
{
    struct both *b = *state;
    struct flv_buf buf;
    struct flv_wire_status status;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    const struct flv_wire_topic_update req = {.key = flv_slice_str("t"),
                                              .action = {.tag = 0, .count = 2}};
    int32_t asked = link_ask(&b->sc, FLV_API_SC_UPDATE, 19,
                             &flv_wire_topic_update_schema, &req, "Topic");
    assert_int_equal(link_next(&b->sc), asked);
    link_read(&b->sc, 19, &flv_wire_status_schema, &status, NULL);
    assert_int_equal(status.error.code, 0);
    assert_int_equal(rig_produce(&b->spu, "t", 2, batch_of(&buf, 1), NULL), 0);
    restart(b);
    int64_t base = -1;
    assert_int_equal(rig_produce(&b->spu, "t", 2, flv_buf_slice(&buf), &base),
                     0);
    assert_int_equal(base, 1);
    flv_buf_deinit(&buf);
}

/* ---- produce ---- */

static void answer_has_an_entry_for_each_of_the_request(void **state)
{
    struct both *b = *state;
    struct flv_buf one;
    struct flv_buf two;
    assert_int_equal(rig_create_topic(&b->sc, "t", 2), 0);
    struct flv_slice a = batch_of(&one, 1);
    struct flv_slice c = batch_of(&two, 2);
    struct flv_wire_produce_partition parts[] = {
        {0, a}, {1, c}, {0, c}, {0, flv_slice(NULL, 0)}, {7, a}, {0, a}};
    struct flv_wire_produce_topic topics[3] = {{.name = flv_slice_str("t")},
                                               {.name = flv_slice_str("t")},
                                               {.name = flv_slice_str("none")}};
    topics[0].partitions.at = parts;
    topics[0].partitions.len = 6;
    topics[2].partitions.at = parts;
    topics[2].partitions.len = 1;
    struct flv_wire_produce_request req = {.acks = -1, .timeout_ms = 1500};
    req.topics.at = topics;
    req.topics.len = 3;
    struct flv_wire_produce_response resp;
    link_call(&b->spu, FLV_API_SPU_PRODUCE, 25,
              &flv_wire_produce_request_schema, &req,
              &flv_wire_produce_response_schema, &resp);
    assert_int_equal(resp.topics.len, 3);
    const struct flv_wire_produce_result *r = resp.topics.at[0].partitions.at;
    assert_int_equal(resp.topics.at[0].partitions.len, 6);
    assert_true(r[0].error.code == 0 && r[0].base_offset == 0);
    assert_true(r[1].error.code == 0 && r[1].base_offset == 0);
    assert_true(r[2].error.code == 0 && r[2].base_offset == 1);
    assert_true(r[3].error.code == 0 && r[3].base_offset == 0);
    assert_int_equal(r[4].error.code, FLV_WIRE_NOT_LEADER_FOR_PARTITION);
    assert_true(r[5].error.code == 0 && r[5].base_offset == 3);
    assert_int_equal(resp.topics.at[1].partitions.len, 0);
    assert_int_equal(resp.topics.at[2].partitions.at[0].error.code,
                     FLV_WIRE_TOPIC_NOT_FOUND);
    flv_buf_deinit(&one);
    flv_buf_deinit(&two);
}

static void batches_that_lie_are_refused(void **state)
{
    struct both *b = *state;
    struct flv_buf buf;
    int64_t base = -1;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    (void)batch_of(&buf, 2);
    buf.data[buf.len - 1] ^= 1; /* a record; the CRC is now wrong */
    assert_int_equal(rig_produce(&b->spu, "t", 0, flv_buf_slice(&buf), NULL),
                     FLV_WIRE_OTHER);
    buf.data[buf.len - 1] ^= 1;
    uint32_t length = flv_get_u32(buf.data + 8);
    flv_put_u32(buf.data + 8, length + 100);
    assert_int_equal(rig_produce(&b->spu, "t", 0, flv_buf_slice(&buf), NULL),
                     FLV_WIRE_OTHER);
    flv_put_u32(buf.data + 8, length);
    assert_int_equal(
        rig_produce(&b->spu, "t", 0, flv_slice(buf.data, buf.len - 1), NULL),
        FLV_WIRE_OTHER);
    assert_int_equal(rig_produce(&b->spu, "t", 0, flv_buf_slice(&buf), &base),
                     0);
    assert_int_equal(base, 0);
    flv_buf_deinit(&buf);
}

static void batch_over_the_limit_is_too_large(void **state)
{
    struct both *b = *state;
    struct flv_buf buf;
    flv_buf_init(&buf, 64u << 20);
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    rig_batch(&buf, 1, 3u << 20, FLV_CODEC_NONE, -1, -1);
    assert_int_equal(rig_produce(&b->spu, "t", 0, flv_buf_slice(&buf), NULL),
                     FLV_WIRE_MESSAGE_TOO_LARGE);
    flv_buf_reset(&buf);
    rig_batch(&buf, 1, 1u << 20, FLV_CODEC_NONE, -1, -1);
    assert_int_equal(rig_produce(&b->spu, "t", 0, flv_buf_slice(&buf), NULL),
                     0);
    flv_buf_deinit(&buf);
}

static void topic_of_one_codec_refuses_the_others(void **state)
{
    struct both *b = *state;
    struct flv_wire_topic_create req = plain("t");
    struct flv_wire_status status;
    req.spec.compression = FLV_WIRE_COMPRESSION_ZSTD;
    int32_t asked = link_ask(&b->sc, FLV_API_SC_CREATE, 19,
                             &flv_wire_topic_create_schema, &req, "Topic");
    assert_int_equal(link_next(&b->sc), asked);
    link_read(&b->sc, 19, &flv_wire_status_schema, &status, NULL);
    for (int codec = FLV_CODEC_NONE; codec <= FLV_CODEC_ZSTD; codec++) {
        struct flv_buf buf;
        flv_buf_init(&buf, 1u << 20);
        rig_batch(&buf, 5, 100, (enum flv_codec)codec, -1, -1);
        assert_int_equal(
            rig_produce(&b->spu, "t", 0, flv_buf_slice(&buf), NULL),
            codec == FLV_CODEC_ZSTD ? 0 : FLV_WIRE_COMPRESSION_ERROR);
        flv_buf_deinit(&buf);
    }
}

static void repeated_sequence_keeps_its_offset(void **state)
{
    struct both *b = *state;
    struct flv_buf first;
    struct flv_buf next;
    int64_t base = -1;
    flv_buf_init(&first, 1u << 20);
    flv_buf_init(&next, 1u << 20);
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    rig_batch(&first, 3, 10, FLV_CODEC_NONE, 77, 0);
    rig_batch(&next, 2, 10, FLV_CODEC_NONE, 77, 3);
    assert_int_equal(rig_produce(&b->spu, "t", 0, flv_buf_slice(&first), &base),
                     0);
    assert_int_equal(base, 0);
    assert_int_equal(rig_produce(&b->spu, "t", 0, flv_buf_slice(&next), &base),
                     0);
    assert_int_equal(base, 3);
    assert_int_equal(rig_produce(&b->spu, "t", 0, flv_buf_slice(&first), &base),
                     0);
    assert_int_equal(base, 0);
    restart(b);
    assert_int_equal(rig_produce(&b->spu, "t", 0, flv_buf_slice(&next), &base),
                     0);
    assert_int_equal(base, 3);
    flv_buf_reset(&next);
    rig_batch(&next, 1, 10, FLV_CODEC_NONE, 77, 9);
    assert_int_equal(rig_produce(&b->spu, "t", 0, flv_buf_slice(&next), NULL),
                     FLV_WIRE_OFFSET_OUT_OF_RANGE);
    flv_buf_deinit(&first);
    flv_buf_deinit(&next);
}

static void pipelined_requests_keep_their_order(void **state)
{
    enum { N = 64 };
    struct both *b = *state;
    struct flv_buf buf;
    int32_t first = 0;
    int64_t bases[N];
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    struct flv_slice records = batch_of(&buf, 2);
    for (int i = 0; i < N; i++) {
        int32_t asked = rig_produce_ask(&b->spu, "t", 0, records);
        first = i == 0 ? asked : first;
    }
    for (int i = 0; i < N; i++) {
        struct flv_wire_produce_response resp;
        int32_t at = link_next(&b->spu) - first;
        assert_in_range(at, 0, N - 1);
        link_read(&b->spu, 25, &flv_wire_produce_response_schema, &resp, NULL);
        assert_int_equal(resp.topics.at[0].partitions.at[0].error.code, 0);
        bases[at] = resp.topics.at[0].partitions.at[0].base_offset;
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(bases[i], 2 * i);
    }
    flv_buf_deinit(&buf);
}

static void stop_answers_what_was_received(void **state)
{
    enum { N = 32 };
    struct both *b = *state;
    struct flv_buf buf;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    struct flv_slice records = batch_of(&buf, 1);
    assert_int_equal(rig_produce(&b->spu, "t", 0, records, NULL), 0);
    for (int i = 0; i < N; i++) {
        (void)rig_produce_ask(&b->spu, "t", 0, records);
    }
    /* The first answer proves that the server has begun on them. */
    (void)link_next(&b->spu);
    kill(b->rig.pid, SIGTERM);
    int answered = 1;
    bool ended = false;
    while (!ended) {
        struct flv_wire_produce_response resp;
        ended = link_ends_or_frame(&b->spu);
        if (!ended) {
            link_read(&b->spu, 25, &flv_wire_produce_response_schema, &resp,
                      NULL);
            assert_int_equal(resp.topics.at[0].partitions.at[0].error.code, 0);
            answered++;
        }
    }
    int status = -1;
    assert_int_equal(waitpid(b->rig.pid, &status, 0), b->rig.pid);
    assert_int_equal(status, 0);
    b->rig.pid = 0;
    rig_start(&b->rig);
    link_close(&b->spu);
    link_open(&b->spu, b->rig.spu);
    int64_t base = -1;
    assert_int_equal(rig_produce(&b->spu, "t", 0, records, &base), 0);
    /* Everything acknowledged is there; what was not read may be missing. */
    assert_true(base >= 1 + answered);
    flv_buf_deinit(&buf);
}

/* ---- streams ---- */

static struct flv_wire_stream_fetch_response next_frame(struct link *l,
                                                        int32_t asked)
{
    struct flv_wire_stream_fetch_response resp;
    assert_int_equal(link_next(l), asked);
    link_read(l, 25, &flv_wire_stream_fetch_response_schema, &resp, NULL);
    return resp;
}

/* Base of the first batch, and where to go on behind the last. */
static int64_t span(struct flv_slice records, int64_t *out_next)
{
    struct flv_batch_header h;
    struct flv_slice batch;
    int64_t base = -1;
    while (flv_batch_walk(&records, &batch, &h, NULL) == FLV_OK &&
           batch.len > 0) {
        assert_int_equal(flv_batch_check_crc(batch, NULL), FLV_OK);
        base = base < 0 ? h.base_offset : base;
        *out_next = h.base_offset + h.count;
    }
    return base;
}

static void update(struct link *l, uint32_t stream, int64_t offset)
{
    struct flv_wire_offset_update u = {.offset = offset, .stream_id = stream};
    struct flv_wire_update_offsets_request req;
    req.offsets.at = &u;
    req.offsets.len = 1;
    (void)link_ask(l, FLV_API_SPU_UPDATE_OFFSETS, 0,
                   &flv_wire_update_offsets_request_schema, &req, NULL);
}

/* The answer to an update and the next frame come in any order. */
static struct flv_wire_stream_fetch_response
frame_and_answer(struct link *l, int32_t stream_asked, struct flv_buf *keep)
{
    struct flv_wire_stream_fetch_response resp = {0};
    for (int i = 0; i < 2; i++) {
        if (link_next(l) == stream_asked) {
            flv_buf_reset(keep);
            assert_int_equal(flv_buf_add(keep, l->frame.data, l->frame.len),
                             FLV_OK);
        }
    }
    flv_buf_reset(&l->frame);
    assert_int_equal(flv_buf_add(&l->frame, keep->data, keep->len), FLV_OK);
    link_read(l, 25, &flv_wire_stream_fetch_response_schema, &resp, NULL);
    return resp;
}

static void stream_waits_for_data_and_for_the_client(void **state)
{
    struct both *b = *state;
    struct link reader;
    struct flv_buf buf;
    struct flv_buf keep;
    int64_t next = -1;
    flv_buf_init(&keep, 1u << 20);
    link_open(&reader, b->rig.spu);
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    int32_t asked = rig_stream_ask(&reader, "t", 0, 0, 1 << 20, NULL);
    assert_true(link_is_silent(&reader, 50));
    struct flv_slice records = batch_of(&buf, 3);
    assert_int_equal(rig_produce(&b->spu, "t", 0, records, NULL), 0);
    struct flv_wire_stream_fetch_response resp = next_frame(&reader, asked);
    assert_int_equal(resp.stream_id, 1);
    assert_int_equal(resp.partition.error.code, 0);
    assert_int_equal(resp.partition.high_watermark, 3);
    assert_int_equal(span(resp.partition.records, &next), 0);
    assert_int_equal(next, 3);
    assert_int_equal(rig_produce(&b->spu, "t", 0, records, NULL), 0);
    assert_true(link_is_silent(&reader, 50));
    update(&reader, 1, 3);
    resp = frame_and_answer(&reader, asked, &keep);
    assert_int_equal(span(resp.partition.records, &next), 3);
    assert_int_equal(next, 6);
    link_close(&reader);
    flv_buf_deinit(&buf);
    flv_buf_deinit(&keep);
}

static void stream_sends_whole_batches_from_the_one_asked_for(void **state)
{
    struct both *b = *state;
    struct flv_buf buf;
    int64_t next = -1;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    struct flv_slice records = batch_of(&buf, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_produce(&b->spu, "t", 0, records, NULL), 0);
    }
    int32_t asked = rig_stream_ask(&b->spu, "t", 0, 4, 1, NULL);
    struct flv_wire_stream_fetch_response resp = next_frame(&b->spu, asked);
    assert_int_equal(span(resp.partition.records, &next), 3);
    assert_int_equal(next, 6);
    asked = rig_stream_ask(&b->spu, "t", 0, 4, 1 << 20, NULL);
    resp = next_frame(&b->spu, asked);
    assert_int_equal(resp.stream_id, 2);
    assert_int_equal(span(resp.partition.records, &next), 3);
    assert_int_equal(next, 9);
    restart(b);
    asked = rig_stream_ask(&b->spu, "t", 0, 8, 1 << 20, NULL);
    resp = next_frame(&b->spu, asked);
    assert_int_equal(span(resp.partition.records, &next), 6);
    assert_int_equal(next, 9);
    flv_buf_deinit(&buf);
}

static void stream_errors_name_what_is_wrong(void **state)
{
    struct both *b = *state;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    int32_t asked = rig_stream_ask(&b->spu, "t", 3, 0, 1000, NULL);
    struct flv_wire_stream_fetch_response resp = next_frame(&b->spu, asked);
    assert_int_equal(resp.stream_id, 0);
    assert_int_equal(resp.partition.error.code,
                     FLV_WIRE_NOT_LEADER_FOR_PARTITION);
    asked = rig_stream_ask(&b->spu, "t", 0, 1, 1000, NULL);
    resp = next_frame(&b->spu, asked);
    assert_int_equal(resp.partition.error.code, FLV_WIRE_OTHER);

    struct flv_wire_module_invocation module = {
        .wasm = {.tag = 0, .name = flv_slice_str("m")},
        .kind = {.tag = FLV_WIRE_MODULE_GENERIC}};
    struct flv_wire_stream_fetch_request req = {.topic = flv_slice_str("t"),
                                                .max_bytes = 1000};
    req.smartmodules.at = &module;
    req.smartmodules.len = 1;
    asked = link_ask(&b->spu, FLV_API_SPU_STREAM_FETCH, 25,
                     &flv_wire_stream_fetch_request_schema, &req, NULL);
    resp = next_frame(&b->spu, asked);
    assert_int_equal(resp.partition.error.code, FLV_WIRE_SMARTMODULE_NOT_FOUND);
    assert_true(flv_slice_eq_str(resp.partition.error.text, "m"));
}

static void deleted_topic_ends_its_streams(void **state)
{
    struct both *b = *state;
    struct flv_buf buf;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    int32_t asked = rig_stream_ask(&b->spu, "t", 0, 0, 1000, NULL);
    assert_true(link_is_silent(&b->spu, 20));
    assert_int_equal(rig_delete_topic(&b->sc, "t"), 0);
    struct flv_wire_stream_fetch_response resp = next_frame(&b->spu, asked);
    assert_int_equal(resp.partition.error.code, FLV_WIRE_TOPIC_DELETED);
    assert_int_equal(rig_produce(&b->spu, "t", 0, batch_of(&buf, 1), NULL),
                     FLV_WIRE_TOPIC_NOT_FOUND);
    flv_buf_deinit(&buf);
}

static void update_of_an_unknown_stream_is_told(void **state)
{
    struct both *b = *state;
    struct flv_wire_update_offsets_response resp;
    update(&b->spu, 99, 0);
    (void)link_next(&b->spu);
    link_read(&b->spu, 0, &flv_wire_update_offsets_response_schema, &resp,
              NULL);
    assert_int_equal(resp.statuses.at[0].error.code,
                     FLV_WIRE_FETCH_SESSION_NOT_FOUND);
}

/* ---- consumer offsets ---- */

static int16_t commit(struct link *l, uint32_t stream, int64_t offset)
{
    const struct flv_wire_update_consumer_offset_request req = {
        .offset = offset, .stream_id = stream};
    struct flv_wire_update_consumer_offset_response resp;
    link_call(l, FLV_API_SPU_UPDATE_CONSUMER_OFFSET, 25,
              &flv_wire_update_consumer_offset_request_schema, &req,
              &flv_wire_update_consumer_offset_response_schema, &resp);
    return resp.error.code;
}

/* The only stored offset; -1: there is none. */
static int64_t stored(struct link *l)
{
    const struct flv_wire_fetch_consumer_offsets_request req = {0};
    struct flv_wire_fetch_consumer_offsets_response resp;
    link_call(l, FLV_API_SPU_FETCH_CONSUMER_OFFSETS, 25,
              &flv_wire_fetch_consumer_offsets_request_schema, &req,
              &flv_wire_fetch_consumer_offsets_response_schema, &resp);
    assert_int_equal(resp.error.code, 0);
    assert_true(resp.consumers.len <= 1);
    return resp.consumers.len == 1 ? resp.consumers.at[0].offset : -1;
}

static int16_t look(struct link *sc, const char *topic, char id[64])
{
    const struct flv_wire_topic_look req = {.name = flv_slice_str(topic)};
    struct flv_wire_status status;
    link_call(sc, FLV_API_SC_TOPIC_LOOK, 19, &flv_wire_topic_look_schema, &req,
              &flv_wire_status_schema, &status);
    id[0] = '\0';
    if (status.error.code == 0) {
        assert_true(status.message.has);
        assert_in_range(status.message.v.len, 1, FLV_WIRE_TOPIC_ID_MAX);
        memcpy(id, status.message.v.data, status.message.v.len);
        id[status.message.v.len] = '\0';
    }
    return status.error.code;
}

static void every_creation_of_a_topic_has_an_id_of_its_own(void **state)
{
    struct both *b = *state;
    char first[64], again[64], second[64];
    assert_int_equal(look(&b->sc, "t", first), FLV_WIRE_TOPIC_NOT_FOUND);
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    assert_int_equal(look(&b->sc, "t", first), 0);
    assert_int_equal(look(&b->sc, "t", again), 0);
    assert_string_equal(first, again);
    assert_int_equal(rig_delete_topic(&b->sc, "t"), 0);
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    assert_int_equal(look(&b->sc, "t", second), 0);
    assert_string_not_equal(first, second);
}

static void a_server_says_how_it_is(void **state)
{
    struct both *b = *state;
    const struct flv_wire_server_look req = {.troubles_max = UINT32_MAX};
    struct flv_wire_server_state st;
    assert_int_equal(rig_create_topic(&b->sc, "t", 3), 0);
    link_call(&b->sc, FLV_API_SC_SERVER_LOOK, 19, &flv_wire_server_look_schema,
              &req, &flv_wire_server_state_schema, &st);
    assert_memory_equal(st.version.data, FLV_VERSION, st.version.len);
    assert_int_equal(st.partitions, 3);
    assert_int_equal(st.troubled, 0);
    assert_int_equal(st.troubles.len, 0);
    assert_true(st.disk_bytes >= st.disk_free_bytes && st.disk_bytes > 0);
    assert_true(st.pid > 0);
}

static int16_t
store(struct link *sc, const char *id, uint32_t partition, int64_t offset)
{
    const struct flv_wire_position_store req = {.consumer = flv_slice_str("me"),
                                                .topic = flv_slice_str("t"),
                                                .topic_id = flv_slice_str(id),
                                                .partition = partition,
                                                .offset = offset};
    struct flv_wire_status status;
    link_call(sc, FLV_API_SC_POSITION_STORE, 19,
              &flv_wire_position_store_schema, &req, &flv_wire_status_schema,
              &status);
    return status.error.code;
}

static void
a_position_is_stored_for_one_creation_and_before_any_record(void **state)
{
    struct both *b = *state;
    char id[64], other[64];
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    assert_int_equal(look(&b->sc, "t", id), 0);
    assert_int_equal(store(&b->sc, id, 0, -1), 0);
    const struct flv_wire_fetch_consumer_offsets_request req = {0};
    struct flv_wire_fetch_consumer_offsets_response resp;
    link_call(&b->spu, FLV_API_SPU_FETCH_CONSUMER_OFFSETS, 25,
              &flv_wire_fetch_consumer_offsets_request_schema, &req,
              &flv_wire_fetch_consumer_offsets_response_schema, &resp);
    assert_int_equal(resp.consumers.len, 1);
    assert_int_equal(resp.consumers.at[0].offset, -1);
    assert_int_equal(store(&b->sc, id, 1, 5), FLV_WIRE_TOPIC_NOT_FOUND);
    assert_int_equal(store(&b->sc, "x-1", 0, 5), FLV_WIRE_TOPIC_NOT_FOUND);
    assert_int_equal(rig_delete_topic(&b->sc, "t"), 0);
    assert_int_equal(store(&b->sc, id, 0, 5), FLV_WIRE_TOPIC_NOT_FOUND);
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    assert_int_equal(store(&b->sc, id, 0, 5), FLV_WIRE_TOPIC_NOT_FOUND);
    assert_int_equal(look(&b->sc, "t", other), 0);
    assert_int_equal(store(&b->sc, other, 0, 5), 0);
}

static void consumer_offset_survives_a_kill_but_not_its_topic(void **state)
{
    struct both *b = *state;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    (void)rig_stream_ask(&b->spu, "t", 0, 0, 1000, "c1");
    assert_int_equal(commit(&b->spu, 1, 41), 0);
    assert_int_equal(commit(&b->spu, 1, 17), 0);
    assert_int_equal(stored(&b->spu), 17);
    rig_kill(&b->rig);
    rig_start(&b->rig);
    link_close(&b->sc);
    link_close(&b->spu);
    link_open(&b->sc, b->rig.sc);
    link_open(&b->spu, b->rig.spu);
    assert_int_equal(stored(&b->spu), 17);
    struct flv_wire_offsets_topic topic = {.name = flv_slice_str("t")};
    uint32_t zero = 0;
    topic.partitions.at = &zero;
    topic.partitions.len = 1;
    struct flv_wire_fetch_offsets_request req = {0};
    struct flv_wire_fetch_offsets_response resp;
    req.topics.at = &topic;
    req.topics.len = 1;
    req.consumer_id.has = true;
    req.consumer_id.v = flv_slice_str("c1");
    link_call(&b->spu, FLV_API_SPU_FETCH_OFFSETS, 23,
              &flv_wire_fetch_offsets_request_schema, &req,
              &flv_wire_fetch_offsets_response_schema, &resp);
    assert_int_equal(resp.topics.at[0].partitions.at[0].start_offset, 18);
    assert_int_equal(rig_delete_topic(&b->sc, "t"), 0);
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    assert_int_equal(stored(&b->spu), -1);
}

static void consumer_offset_can_be_deleted(void **state)
{
    struct both *b = *state;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    (void)rig_stream_ask(&b->spu, "t", 0, 0, 1000, "c1");
    assert_int_equal(commit(&b->spu, 1, 5), 0);
    const struct flv_wire_delete_consumer_offset_request req = {
        .replica = {.topic = flv_slice_str("t")},
        .consumer_id = flv_slice_str("c1")};
    struct flv_wire_delete_consumer_offset_response resp;
    link_call(&b->spu, FLV_API_SPU_DELETE_CONSUMER_OFFSET, 25,
              &flv_wire_delete_consumer_offset_request_schema, &req,
              &flv_wire_delete_consumer_offset_response_schema, &resp);
    assert_int_equal(resp.error.code, 0);
    assert_int_equal(stored(&b->spu), -1);
}

static void commit_needs_a_stream_with_a_consumer(void **state)
{
    struct both *b = *state;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    (void)rig_stream_ask(&b->spu, "t", 0, 0, 1000, NULL);
    assert_int_equal(commit(&b->spu, 1, 5), FLV_WIRE_OTHER);
    assert_int_equal(commit(&b->spu, 2, 5), FLV_WIRE_FETCH_SESSION_NOT_FOUND);
}

/* ---- the process ---- */

static void second_server_is_told_the_pid_of_the_first(void **state)
{
    struct both *b = *state;
    struct flv_err err = {0};
    char pid[32];
    snprintf(pid, sizeof pid, "pid %d;", (int)b->rig.pid);
    assert_int_equal(rig_second(&b->rig, &err), FLV_E_LOCKED);
    assert_non_null(strstr(err.text, pid));
}

static void port_in_use_is_a_sentence(void **state)
{
    struct both *b = *state;
    struct rig other;
    struct flv_err err = {0};
    rig_init(&other);
    other.conf.spu_port = b->rig.spu;
    assert_int_not_equal(rig_second(&other, &err), FLV_OK);
    assert_true(strlen(err.text) > 20);
    rig_deinit(&other);
}

static void page_cache_topic_acknowledges_and_commits(void **state)
{
    struct both *b = *state;
    assert_int_equal(rig_create_page_cache(&b->sc, "t", 1), 0);
    struct flv_buf buf;
    int64_t base = -1;
    struct flv_slice records = batch_of(&buf, 1);
    assert_int_equal(rig_produce(&b->spu, "t", 0, records, &base), 0);
    struct flv_wire_produce_partition p = {.records = records};
    struct flv_wire_produce_topic t = {.name = flv_slice_str("t")};
    t.partitions.at = &p;
    t.partitions.len = 1;
    struct flv_wire_produce_request committed = {.acks = -1};
    committed.topics.at = &t;
    committed.topics.len = 1;
    struct flv_wire_produce_response resp;
    link_call(&b->spu, FLV_API_SPU_PRODUCE, 25,
              &flv_wire_produce_request_schema, &committed,
              &flv_wire_produce_response_schema, &resp);
    assert_int_equal(resp.topics.at[0].partitions.at[0].base_offset, 1);
    flv_buf_deinit(&buf);
}

/* Notes a partition "t-N" whose records are all synced; 1: the first time. */
static uint32_t note_synced(bool *seen,
                            uint32_t count,
                            struct flv_slice name,
                            const struct flv_wire_partition_status *status)
{
    char text[16];
    unsigned n = count;
    if (name.len >= sizeof text || status->leader.hw != 2) {
        return 0;
    }
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    if (sscanf(text, "t-%u", &n) != 1 || n >= count || seen[n]) {
        return 0;
    }
    seen[n] = true;
    return 1;
}

/* More than are synced in one turn: it takes several, and none is left out. */
static void every_page_cache_partition_is_synced_in_its_turn(void **state)
{
    enum { MANY = 600 };
    struct both *b = *state;
    struct flv_wire_partition_watch parts;
    struct flv_buf buf;
    bool seen[MANY] = {false};
    uint32_t synced = 0;
    int32_t asked;
    assert_int_equal(rig_create_page_cache(&b->sc, "t", MANY), 0);
    struct flv_slice records = batch_of(&buf, 1);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            assert_int_equal(rig_produce(&b->spu, "t", i, records, NULL), 0);
        }
    }
    flv_buf_deinit(&buf);
    asked = watch(&b->sc, "Partition");
    while (synced < MANY) {
        assert_int_equal(link_next(&b->sc), asked);
        link_read(&b->sc, 19, &flv_wire_partition_watch_schema, &parts,
                  "Partition");
        for (uint32_t i = 0; i < parts.all.len; i++) {
            synced += note_synced(seen, MANY, parts.all.at[i].name,
                                  &parts.all.at[i].status);
        }
        for (uint32_t i = 0; i < parts.changes.len; i++) {
            synced += note_synced(seen, MANY, parts.changes.at[i].item.name,
                                  &parts.changes.at[i].item.status);
        }
    }
    assert_int_equal(synced, MANY);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(api_versions_take_any_client_version),
        T(watchers_hear_of_a_topic_before_its_creator),
        T(watchers_hear_of_a_deletion_before_the_deleter),
        T(partition_watch_shows_new_records),
        T(create_keeps_the_rules_of_names_and_limits),
        T(delete_knows_missing_and_system_topics),
        T(system_topics_go_by_force_and_the_own_one_stays),
        T(list_filters_by_part_of_the_name_and_system_flag),
        T(objects_that_are_not_served_are_empty_and_refused),
        T(topic_grows_and_the_new_partitions_work),
        T(answer_has_an_entry_for_each_of_the_request),
        T(batches_that_lie_are_refused),
        T(batch_over_the_limit_is_too_large),
        T(topic_of_one_codec_refuses_the_others),
        T(repeated_sequence_keeps_its_offset),
        T(pipelined_requests_keep_their_order),
        T(stop_answers_what_was_received),
        T(stream_waits_for_data_and_for_the_client),
        T(stream_sends_whole_batches_from_the_one_asked_for),
        T(stream_errors_name_what_is_wrong),
        T(deleted_topic_ends_its_streams),
        T(update_of_an_unknown_stream_is_told),
        T(consumer_offset_survives_a_kill_but_not_its_topic),
        T(every_creation_of_a_topic_has_an_id_of_its_own),
        T(a_server_says_how_it_is),
        T(a_position_is_stored_for_one_creation_and_before_any_record),
        T(consumer_offset_can_be_deleted),
        T(commit_needs_a_stream_with_a_consumer),
        T(second_server_is_told_the_pid_of_the_first),
        T(port_in_use_is_a_sentence),
        T(page_cache_topic_acknowledges_and_commits),
        T(every_page_cache_partition_is_synced_in_its_turn),
    };
    cmocka_set_test_filter(getenv("RIG_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
