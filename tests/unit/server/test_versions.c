#include "rig.h"

#include <stdio.h>
#include <sys/socket.h>

/* Every request in every version that the server lists, as clients of all
 * releases send them; and Fetch, which none of them sends any more. */

struct both {
    struct rig rig;
    struct link sc, spu;
};

static int setup(void **state)
{
    static struct both b;
    memset(&b, 0, sizeof b);
    rig_init(&b.rig);
    b.rig.conf.memory_bytes_max = 80u << 20; /* a half of it for answers */
    b.rig.conf.metrics_host = "127.0.0.1";
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

static struct flv_slice
batch_of(struct flv_buf *b, uint32_t count, size_t value_bytes)
{
    flv_buf_init(b, 64u << 20);
    rig_batch(b, count, value_bytes, FLV_CODEC_NONE, -1, -1);
    return flv_buf_slice(b);
}

/* The first offset of a record set, and behind its last; -1: empty. */
static int64_t span(struct flv_slice records, int64_t *out_next)
{
    struct flv_batch_header h;
    struct flv_slice batch;
    int64_t base = -1;
    *out_next = -1;
    while (flv_batch_walk(&records, &batch, &h, NULL) == FLV_OK &&
           batch.len > 0) {
        assert_int_equal(flv_batch_check_crc(batch, NULL), FLV_OK);
        base = base < 0 ? h.base_offset : base;
        *out_next = h.base_offset + h.count;
    }
    return base;
}

/* ---- the metadata service ---- */

static int16_t status_of(struct both *b, int32_t asked, int16_t version)
{
    struct flv_wire_status status;
    while (link_next(&b->sc) != asked) {
    }
    link_read(&b->sc, version, &flv_wire_status_schema, &status, NULL);
    return status.error.code;
}

static int16_t create_at(struct both *b, const char *name, int16_t version)
{
    const struct flv_wire_topic_create req = {
        .common = {.name = flv_slice_str(name)},
        .spec = {.replicas = {.tag = FLV_WIRE_REPLICA_COMPUTED,
                              .computed = {.partitions = 2,
                                           .replication_factor = 1}},
                 .compression = FLV_WIRE_COMPRESSION_ANY}};
    return status_of(b,
                     link_ask(&b->sc, FLV_API_SC_CREATE, version,
                              &flv_wire_topic_create_schema, &req, "Topic"),
                     version);
}

static int16_t grow_at(struct both *b, const char *name, int16_t version)
{
    const struct flv_wire_topic_update req = {
        .key = flv_slice_str(name),
        .action = {.tag = FLV_WIRE_TOPIC_ADD_PARTITION, .count = 1}};
    return status_of(b,
                     link_ask(&b->sc, FLV_API_SC_UPDATE, version,
                              &flv_wire_topic_update_schema, &req, "Topic"),
                     version);
}

static int16_t delete_at(struct both *b, const char *name, int16_t version)
{
    const struct flv_wire_delete_request req = {.key = flv_slice_str(name)};
    return status_of(b,
                     link_ask(&b->sc, FLV_API_SC_DELETE, version,
                              &flv_wire_delete_request_schema, &req, "Topic"),
                     version);
}

static void list_at(struct both *b,
                    const char *label,
                    int16_t version,
                    const struct flv_wire_schema *schema,
                    void *out)
{
    const struct flv_wire_list_request req = {0};
    int32_t asked = link_ask(&b->sc, FLV_API_SC_LIST, version,
                             &flv_wire_list_request_schema, &req, label);
    while (link_next(&b->sc) != asked) {
    }
    link_read(&b->sc, version, schema, out, label);
}

static void watch_at(struct both *b, int16_t version)
{
    struct link watcher;
    const struct flv_wire_watch_request req = {0};
    struct flv_wire_partition_watch seen;
    link_open(&watcher, b->rig.sc);
    int32_t asked = link_ask(&watcher, FLV_API_SC_WATCH, version,
                             &flv_wire_watch_request_schema, &req, "Partition");
    assert_int_equal(link_next(&watcher), asked);
    link_read(&watcher, version, &flv_wire_partition_watch_schema, &seen,
              "Partition");
    assert_int_equal(seen.all.len, 4); /* three, and that of the offsets */
    link_close(&watcher);
}

static void metadata_is_served_in_every_version(void **state)
{
    struct both *b = *state;
    for (int16_t v = FLV_WIRE_SC_MIN; v <= FLV_WIRE_SC_MAX; v++) {
        struct flv_wire_topic_list topics;
        struct flv_wire_partition_list partitions;
        struct flv_wire_spu_list spus;
        assert_int_equal(create_at(b, "t", v), 0);
        assert_int_equal(create_at(b, "t", v), FLV_WIRE_TOPIC_ALREADY_EXISTS);
        assert_int_equal(grow_at(b, "t", v), 0);
        list_at(b, "Topic", v, &flv_wire_topic_list_schema, &topics);
        /* Before 13 there is no flag for system topics: none are asked for. */
        assert_int_equal(topics.items.len, 1);
        assert_int_equal(topics.items.at[0].status.replica_map.len, 3);
        list_at(b, "Partition", v, &flv_wire_partition_list_schema,
                &partitions);
        assert_int_equal(partitions.items.len, 3);
        list_at(b, "SPU", v, &flv_wire_spu_list_schema, &spus);
        assert_int_equal(spus.items.len, 1);
        watch_at(b, v);
        assert_int_equal(delete_at(b, "t", v), 0);
        assert_int_equal(delete_at(b, "t", v), FLV_WIRE_TOPIC_NOT_FOUND);
    }
}

static void a_remote_cluster_is_refused_with_a_sentence(void **state)
{
    struct both *b = *state;
    const struct flv_wire_mirroring_request req = {.remote_id =
                                                       flv_slice_str("edge")};
    for (int16_t v = 14; v <= FLV_WIRE_SC_MAX; v++) {
        struct flv_wire_mirroring_status status;
        int32_t asked = link_ask(&b->sc, FLV_API_SC_MIRRORING, v,
                                 &flv_wire_mirroring_request_schema, &req,
                                 "MirroringConnect");
        assert_int_equal(link_next(&b->sc), asked);
        link_read(&b->sc, v, &flv_wire_mirroring_status_schema, &status, NULL);
        assert_int_equal(status.error.code, FLV_WIRE_MIRROR_NOT_FOUND);
        assert_true(flv_slice_eq_str(status.name, "edge"));
        assert_true(status.message.has && status.message.v.len > 20);
    }
}

/* ---- the framing before version 11 ---- */

/* A request by hand: label and body without the length between them, or what
 * create has instead. */
static int32_t classic_ask(struct both *b,
                           uint16_t api,
                           const char *label,
                           const uint8_t *bytes,
                           size_t len)
{
    uint8_t frame[256];
    const size_t label_len = label != NULL ? strlen(label) : 0;
    size_t at = 4;
    flv_put_u16(frame + at, api);
    flv_put_u16(frame + at + 2, FLV_WIRE_SC_CLASSIC);
    flv_put_u32(frame + at + 4, 7000);
    flv_put_u16(frame + at + 8, 0);
    at += 10;
    if (label != NULL) {
        flv_put_u16(frame + at, (uint16_t)label_len);
        memcpy(frame + at + 2, label, label_len);
        at += 2 + label_len;
    }
    assert_true(at + len <= sizeof frame);
    memcpy(frame + at, bytes, len);
    at += len;
    flv_put_u32(frame, (uint32_t)(at - 4));
    link_send(&b->sc, frame, at);
    return 7000;
}

/* Takes the label off the frame that came last. */
static void classic_label(struct both *b, const char *label)
{
    struct flv_buf *f = &b->sc.frame;
    const size_t n = strlen(label);
    assert_true(f->len >= 2 + n);
    assert_int_equal(flv_get_u16(f->data), n);
    assert_memory_equal(f->data + 2, label, n);
    memmove(f->data, f->data + 2 + n, f->len - 2 - n);
    f->len -= 2 + n;
}

static int16_t classic_create(struct both *b, uint8_t type)
{
    /* name "c", no dry run, no timeout, the type, one partition, one replica,
     * racks counted, no policy, no storage, any compression */
    const uint8_t body[] = {0, 1, 'c', 0, 0, type, 1, 0, 0, 0,
                            1, 0, 0,   0, 1, 0,    0, 0, 4};
    return status_of(b,
                     classic_ask(b, FLV_API_SC_CREATE, NULL, body, sizeof body),
                     FLV_WIRE_SC_CLASSIC);
}

static void clients_before_version_11_are_served(void **state)
{
    struct both *b = *state;
    static const uint8_t list[] = {0, 0, 0, 0, 0};
    static const uint8_t watch[] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t name[] = {0, 1, 'c'};
    struct flv_wire_topic_list topics;
    struct flv_wire_spu_watch spus;
    assert_int_equal(classic_create(b, 0), 0);
    assert_int_equal(classic_create(b, 0), FLV_WIRE_TOPIC_ALREADY_EXISTS);
    assert_int_equal(classic_create(b, 3), FLV_WIRE_OTHER);
    int32_t asked = classic_ask(b, FLV_API_SC_LIST, "Topic", list, sizeof list);
    assert_int_equal(link_next(&b->sc), asked);
    classic_label(b, "Topic");
    link_read(&b->sc, FLV_WIRE_SC_CLASSIC, &flv_wire_topic_list_schema, &topics,
              NULL);
    assert_int_equal(topics.items.len, 1);
    assert_true(flv_slice_eq_str(topics.items.at[0].name, "c"));
    asked = classic_ask(b, FLV_API_SC_DELETE, "Topic", name, sizeof name);
    assert_int_equal(status_of(b, asked, FLV_WIRE_SC_CLASSIC), 0);
    asked = classic_ask(b, FLV_API_SC_WATCH, "SPU", watch, sizeof watch);
    assert_int_equal(link_next(&b->sc), asked);
    classic_label(b, "SPU");
    link_read(&b->sc, FLV_WIRE_SC_CLASSIC, &flv_wire_spu_watch_schema, &spus,
              NULL);
    assert_int_equal(spus.all.len, 1);
    static const uint8_t cut[] = {0, 9, 'c'};
    (void)classic_ask(b, FLV_API_SC_CREATE, NULL, cut, sizeof cut);
    assert_true(link_ends(&b->sc));
}

/* ---- the partition service ---- */

static int64_t
produce_at(struct both *b, struct flv_slice records, int16_t version)
{
    struct flv_wire_produce_partition p = {.records = records};
    struct flv_wire_produce_topic t = {.name = flv_slice_str("t")};
    struct flv_wire_produce_request req = {.acks = -1, .timeout_ms = 1500};
    struct flv_wire_produce_response resp;
    t.partitions.at = &p;
    t.partitions.len = 1;
    req.topics.at = &t;
    req.topics.len = 1;
    link_call(&b->spu, FLV_API_SPU_PRODUCE, version,
              &flv_wire_produce_request_schema, &req,
              &flv_wire_produce_response_schema, &resp);
    assert_int_equal(resp.topics.at[0].partitions.at[0].error.code, 0);
    return resp.topics.at[0].partitions.at[0].base_offset;
}

static int64_t end_at(struct both *b, int16_t version)
{
    uint32_t index = 0;
    struct flv_wire_offsets_topic t = {.name = flv_slice_str("t")};
    struct flv_wire_fetch_offsets_request req = {0};
    struct flv_wire_fetch_offsets_response resp;
    t.partitions.at = &index;
    t.partitions.len = 1;
    req.topics.at = &t;
    req.topics.len = 1;
    link_call(&b->spu, FLV_API_SPU_FETCH_OFFSETS, version,
              &flv_wire_fetch_offsets_request_schema, &req,
              &flv_wire_fetch_offsets_response_schema, &resp);
    return resp.topics.at[0].partitions.at[0].last_stable_offset;
}

static int64_t stream_at(struct both *b, int64_t offset, int16_t version)
{
    struct link reader;
    const struct flv_wire_stream_fetch_request req = {.topic =
                                                          flv_slice_str("t"),
                                                      .fetch_offset = offset,
                                                      .max_bytes = 1 << 20};
    struct flv_wire_stream_fetch_response resp;
    int64_t next;
    link_open(&reader, b->rig.spu);
    int32_t asked = link_ask(&reader, FLV_API_SPU_STREAM_FETCH, version,
                             &flv_wire_stream_fetch_request_schema, &req, NULL);
    assert_int_equal(link_next(&reader), asked);
    link_read(&reader, version, &flv_wire_stream_fetch_response_schema, &resp,
              NULL);
    assert_int_equal(resp.partition.error.code, 0);
    assert_int_equal(span(resp.partition.records, &next), offset);
    link_close(&reader);
    return next;
}

/* ---- fetch ---- */

struct wanted {
    const char *topic;
    uint32_t partition;
    int64_t offset;
    int32_t max_bytes;
};

/* One topic entry for each; the answer lies in the link until the next one. */
static struct flv_wire_fetch_response fetch(struct both *b,
                                            const struct wanted *wanted,
                                            uint32_t n,
                                            int32_t max_bytes,
                                            int16_t version)
{
    struct flv_wire_fetch_request_partition p[8];
    struct flv_wire_fetch_topic t[8];
    struct flv_wire_fetch_request req = {.max_bytes = max_bytes,
                                         .isolation = 1};
    struct flv_wire_fetch_response resp;
    assert_true(n <= 8);
    for (uint32_t i = 0; i < n; i++) {
        p[i] = (struct flv_wire_fetch_request_partition){
            .partition = wanted[i].partition,
            .fetch_offset = wanted[i].offset,
            .max_bytes = wanted[i].max_bytes};
        t[i].name = flv_slice_str(wanted[i].topic);
        t[i].partitions.at = &p[i];
        t[i].partitions.len = 1;
    }
    req.topics.at = t;
    req.topics.len = n;
    link_call(&b->spu, FLV_API_SPU_FETCH, version,
              &flv_wire_fetch_request_schema, &req,
              &flv_wire_fetch_response_schema, &resp);
    assert_int_equal(resp.error.code, 0);
    assert_int_equal(resp.topics.len, n);
    return resp;
}

static const struct flv_wire_fetch_partition *
part(const struct flv_wire_fetch_response *resp, uint32_t i)
{
    assert_int_equal(resp->topics.at[i].partitions.len, 1);
    return &resp->topics.at[i].partitions.at[0];
}

static void records_are_served_in_every_version(void **state)
{
    struct both *b = *state;
    struct flv_buf buf;
    const struct flv_slice records = batch_of(&buf, 2, 10);
    int64_t end = 0, next;
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    for (int16_t v = 0; v <= FLV_WIRE_SPU_MAX; v++) {
        assert_int_equal(produce_at(b, records, v), end);
        assert_int_equal(end_at(b, v), end + 2);
        assert_int_equal(stream_at(b, end, v), end + 2);
        const struct wanted w = {"t", 0, end, 1 << 20};
        struct flv_wire_fetch_response resp = fetch(b, &w, 1, 1 << 20, v);
        assert_int_equal(part(&resp, 0)->error.code, 0);
        assert_int_equal(part(&resp, 0)->high_watermark, end + 2);
        assert_int_equal(span(part(&resp, 0)->records, &next), end);
        assert_int_equal(next, end + 2);
        end += 2;
    }
    flv_buf_deinit(&buf);
}

static void fetch_has_an_answer_for_each_partition(void **state)
{
    struct both *b = *state;
    struct flv_buf buf;
    const struct flv_slice records = batch_of(&buf, 3, 10);
    int64_t next;
    assert_int_equal(rig_create_topic(&b->sc, "t", 2), 0);
    assert_int_equal(rig_produce(&b->spu, "t", 0, records, NULL), 0);
    assert_int_equal(rig_produce(&b->spu, "t", 1, records, NULL), 0);
    const struct wanted w[] = {
        {"t", 0, 1, 1 << 20}, {"none", 0, 0, 1 << 20},
        {"t", 7, 0, 1 << 20}, {"t", 1, 4, 1 << 20},
        {"t", 1, 3, 1 << 20}, {"t", 1, -1, 1 << 20},
        {"t", 1, 0, 1 << 20}, {"consumer-offset", 0, 0, 1 << 20}};
    struct flv_wire_fetch_response resp = fetch(b, w, 8, 1 << 20, 25);
    /* The batch that contains the offset, whole. */
    assert_int_equal(span(part(&resp, 0)->records, &next), 0);
    assert_int_equal(next, 3);
    assert_int_equal(part(&resp, 1)->error.code,
                     FLV_WIRE_NOT_LEADER_FOR_PARTITION);
    assert_int_equal(part(&resp, 2)->error.code,
                     FLV_WIRE_NOT_LEADER_FOR_PARTITION);
    assert_int_equal(part(&resp, 2)->partition, 7);
    assert_int_equal(part(&resp, 3)->error.code, FLV_WIRE_OFFSET_OUT_OF_RANGE);
    /* At the end there is nothing, and no error; nobody waits. */
    assert_int_equal(part(&resp, 4)->error.code, 0);
    assert_int_equal(part(&resp, 4)->records.len, 0);
    assert_int_equal(part(&resp, 5)->error.code, FLV_WIRE_OFFSET_EVICTED);
    assert_int_equal(span(part(&resp, 6)->records, &next), 0);
    assert_int_equal(part(&resp, 7)->records.len, 0);
    resp = fetch(b, w, 0, 1 << 20, 25);
    flv_buf_deinit(&buf);
}

static void what_fetch_sends_is_counted(void **state)
{
    struct both *b = *state;
    struct flv_buf buf;
    const struct flv_slice records = batch_of(&buf, 3, 10);
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    assert_int_equal(rig_produce(&b->spu, "t", 0, records, NULL), 0);
    const struct wanted w = {"t", 0, 0, 1 << 20};
    struct flv_wire_fetch_response resp = fetch(b, &w, 1, 1 << 20, 25);
    char bytes[100];
    snprintf(bytes, sizeof bytes,
             "\nfluvio_partition_bytes_out_total{topic=\"t\","
             "partition=\"0\"} %zu\n",
             part(&resp, 0)->records.len);
    const char *page = rig_metrics(&b->rig);
    assert_non_null(strstr(page, "\nfluvio_partition_records_out_total{"
                                 "topic=\"t\",partition=\"0\"} 3\n"));
    assert_non_null(strstr(page, bytes));
    flv_buf_deinit(&buf);
}

static void fetch_keeps_to_its_size_but_sends_a_batch_whole(void **state)
{
    struct both *b = *state;
    struct flv_buf buf;
    const struct flv_slice records = batch_of(&buf, 1, 100000);
    int64_t next;
    assert_int_equal(rig_create_topic(&b->sc, "t", 2), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rig_produce(&b->spu, "t", 0, records, NULL), 0);
        assert_int_equal(rig_produce(&b->spu, "t", 1, records, NULL), 0);
    }
    const struct wanted w[] = {{"t", 0, 0, 1 << 20}, {"t", 1, 0, 1 << 20}};
    struct flv_wire_fetch_response resp = fetch(b, w, 2, 1, 25);
    assert_int_equal(span(part(&resp, 0)->records, &next), 0);
    assert_int_equal(next, 1);
    assert_int_equal(part(&resp, 1)->records.len, 0);
    resp = fetch(b, w, 2, 750000, 25);
    assert_int_equal(span(part(&resp, 0)->records, &next), 0);
    assert_int_equal(next, 5);
    /* What room is left: some of it, and only whole batches. */
    assert_int_equal(span(part(&resp, 1)->records, &next), 0);
    assert_true(next >= 1 && next < 5);
    assert_true(part(&resp, 1)->records.len < 250000);
    const struct wanted small[] = {{"t", 0, 0, 1}, {"t", 1, 2, 400000}};
    resp = fetch(b, small, 2, 1 << 20, 25);
    assert_int_equal(span(part(&resp, 0)->records, &next), 0);
    assert_int_equal(next, 1);
    assert_int_equal(span(part(&resp, 1)->records, &next), 2);
    assert_int_equal(next, 4);
    flv_buf_deinit(&buf);
}

/* Four batches of 1 MB each. */
static void fill(struct both *b)
{
    struct flv_buf buf;
    const struct flv_slice records = batch_of(&buf, 1, 1000000);
    assert_int_equal(rig_create_topic(&b->sc, "t", 1), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rig_produce(&b->spu, "t", 0, records, NULL), 0);
    }
    flv_buf_deinit(&buf);
}

static void fetch_all_ask(struct link *l)
{
    struct flv_wire_fetch_request_partition p = {.max_bytes = 1 << 30};
    struct flv_wire_fetch_topic t = {.name = flv_slice_str("t")};
    struct flv_wire_fetch_request req = {.max_bytes = 1 << 30};
    t.partitions.at = &p;
    t.partitions.len = 1;
    req.topics.at = &t;
    req.topics.len = 1;
    (void)link_ask(l, FLV_API_SPU_FETCH, 25, &flv_wire_fetch_request_schema,
                   &req, NULL);
}

/* More than the server's memory for answers holds at a time. */
enum { FETCHES = 40 };

static void fetches_wait_for_memory_and_all_are_answered(void **state)
{
    struct both *b = *state;
    struct link readers[4];
    int64_t next;
    fill(b);
    for (int r = 0; r < 4; r++) {
        link_open(&readers[r], b->rig.spu);
        for (int i = 0; i < FETCHES / 4; i++) {
            fetch_all_ask(&readers[r]);
        }
    }
    for (int r = 0; r < 4; r++) {
        for (int i = 0; i < FETCHES / 4; i++) {
            struct flv_wire_fetch_response resp;
            (void)link_next(&readers[r]);
            link_read(&readers[r], 25, &flv_wire_fetch_response_schema, &resp,
                      NULL);
            assert_int_equal(resp.error.code, 0);
            assert_int_equal(span(part(&resp, 0)->records, &next), 0);
            assert_int_equal(next, 4);
        }
        link_close(&readers[r]);
    }
}

static void who_leaves_while_fetches_wait_holds_up_nobody(void **state)
{
    struct both *b = *state;
    fill(b);
    for (int round = 0; round < 4; round++) {
        struct link reader;
        link_open(&reader, b->rig.spu);
        for (int i = 0; i < FETCHES; i++) {
            fetch_all_ask(&reader);
        }
        link_close(&reader);
    }
    const struct wanted w = {"t", 0, 3, 1 << 20};
    const struct flv_wire_fetch_response resp = fetch(b, &w, 1, 1 << 20, 25);
    int64_t next;
    assert_int_equal(span(part(&resp, 0)->records, &next), 3);
    /* What still waits ends with the server. */
    fetch_all_ask(&b->spu);
}

static void fetch_of_too_many_partitions_ends_the_connection(void **state)
{
    struct both *b = *state;
    static struct flv_wire_fetch_request_partition p[1025];
    struct flv_wire_fetch_topic t = {.name = flv_slice_str("t")};
    struct flv_wire_fetch_request req = {.max_bytes = 1000};
    t.partitions.at = p;
    t.partitions.len = 1025;
    req.topics.at = &t;
    req.topics.len = 1;
    (void)link_ask(&b->spu, FLV_API_SPU_FETCH, 25,
                   &flv_wire_fetch_request_schema, &req, NULL);
    assert_true(link_ends(&b->spu));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(metadata_is_served_in_every_version),
        T(a_remote_cluster_is_refused_with_a_sentence),
        T(clients_before_version_11_are_served),
        T(records_are_served_in_every_version),
        T(fetch_has_an_answer_for_each_partition),
        T(what_fetch_sends_is_counted),
        T(fetch_keeps_to_its_size_but_sends_a_batch_whole),
        T(fetches_wait_for_memory_and_all_are_answered),
        T(who_leaves_while_fetches_wait_holds_up_nobody),
        T(fetch_of_too_many_partitions_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
