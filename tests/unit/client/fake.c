#include "fake.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cm.h"
#include "wire/ext.h"
#include "wire/sc.h"
#include <stdio.h>
#include <stdlib.h>

#define TOPIC "events"
#define OFFSETS "consumer-offset"
#define SPU_ID 5001

static uint64_t armed; /* allocations until the one that fails; 0: none */

void fake_fail_at(uint64_t nth)
{
    armed = nth;
    (void)flv__mem_fail_at(nth);
}

bool fake_fail_end(void)
{
    const uint64_t made = flv__mem_fail_at(0);
    const bool fired = made >= armed;

    armed = 0;
    return fired;
}

/* Around the fake's own work. */
static void spare(void)
{
    const uint64_t made = flv__mem_fail_at(0);

    armed = armed > made ? armed - made : 0;
}

static void spare_no_more(void)
{
    if (armed > 0) {
        (void)flv__mem_fail_at(armed);
    }
}

struct outgoing {
    struct flv_write write; /* first */
    struct flv_buf buf;
};

static void written(struct flv_write *w, flv_rc rc)
{
    struct outgoing *o = (struct outgoing *)(void *)w;

    (void)rc;
    flv_buf_deinit(&o->buf);
    free(o);
}

static struct outgoing *new_outgoing(void)
{
    struct outgoing *o = calloc(1, sizeof(*o));

    assert_non_null(o);
    flv_buf_init(&o->buf, (size_t)64 * 1024 * 1024);
    return o;
}

static void write_out(struct fake_conn *c, struct outgoing *o)
{
    struct flv_slice part = flv_buf_slice(&o->buf);

    flv_conn_write(c->conn, &o->write, &part, 1, written);
}

static void write_bytes(struct fake_conn *c, const void *data, size_t len)
{
    struct outgoing *o = new_outgoing();

    assert_int_equal(flv_buf_add(&o->buf, data, len), FLV_OK);
    write_out(c, o);
}

static void answer(struct fake_conn *c,
                   const struct flv_wire_request_header *h,
                   const struct flv_wire_schema *schema,
                   const void *body,
                   const char *label)
{
    const struct flv_wire_message m = {
        .schema = schema, .body = body, .label = label};
    struct outgoing *o = new_outgoing();
    struct flv_err err;

    if (flv_wire_response_frame(h, &m, &o->buf, NULL, &err) != FLV_OK) {
        fail_msg("fake cannot answer: %s", err.text);
    }
    write_out(c, o);
}

/* A watch is remembered as its header, by the object. */
static struct {
    struct fake_conn *conn;
    struct flv_wire_request_header header;
} watches[8][3];

static void forget_watches(const struct fake_conn *c)
{
    for (size_t i = 0; i < COUNT(watches); i++) {
        for (size_t o = 0; o < COUNT(watches[i]); o++) {
            if (watches[i][o].conn == c) {
                watches[i][o].conn = NULL;
            }
        }
    }
}

static void conn_gone(struct fake_conn *c)
{
    struct fake *f = c->fake;

    for (size_t i = 0; i < FAKE_STREAMS; i++) {
        if (f->streams[i].conn == c) {
            f->streams[i].conn = NULL;
        }
    }
    forget_watches(c);
    flv_frames_deinit(&c->frames);
    flv_conn_close(c->conn, NULL, NULL);
    c->prev->next = c->next;
    c->next->prev = c->prev;
    free(c);
}

/* ---------------------------------------------------------------- hello */

static void hello(struct fake_conn *c, const struct flv_wire_request_header *h)
{
    struct fake *f = c->fake;
    struct flv_wire_request_header head = *h;
    struct flv_wire_api_range apis[32];
    struct flv_wire_api_versions_response body = {
        .platform_version = flv_slice_str(FLV_PLATFORM_VERSION)};
    const enum fake_hello how =
        c->side == FLV_WIRE_SC ? f->hello_sc : f->hello_spu;
    const struct flv_wire_api_range *own = NULL;
    size_t count = 0;

    own = flv_wire_apis(c->side, &count);
    assert_true(count + 1 < COUNT(apis));
    memcpy(apis, own, count * sizeof(*own));
    for (size_t i = 0; c->side == FLV_WIRE_SPU && i < count; i++) {
        if (apis[i].max > f->spu_version_max) {
            apis[i].max = f->spu_version_max;
        }
    }
    if (f->lists_ext && c->side == FLV_WIRE_SC) {
        apis[count++] = flv_wire_ext_ranges[0];
    }
    body.apis.at = apis;
    body.apis.len = (uint32_t)count;
    if (how == FAKE_HELLO_NO_VERSION) {
        body.platform_version = flv_slice_str("x");
    }
    if (how == FAKE_HELLO_WRONG_ID) {
        head.correlation = 7;
    }
    answer(c, &head, &flv_wire_api_versions_response_schema, &body, NULL);
    if (how == FAKE_HELLO_STRAY) {
        write_bytes(c, "\0\0\0\4\0\0\x7\x7", 8);
        write_bytes(c, "\0\0\0\4\xff\xff\xff\xff", 8);
    }
}

/* True when the connection gets no ordinary greeting. */
static bool misbehave(struct fake_conn *c)
{
    static const uint8_t garbage[64] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    const enum fake_hello how =
        c->side == FLV_WIRE_SC ? c->fake->hello_sc : c->fake->hello_spu;

    switch (how) {
    case FAKE_HELLO_SILENT:
        return true;
    case FAKE_HELLO_CLOSE:
        conn_gone(c);
        return true;
    case FAKE_HELLO_GARBAGE:
        write_bytes(c, garbage, sizeof(garbage));
        return true;
    case FAKE_HELLO_HUGE:
        write_bytes(c, "\x7f\xff\xff\xff\0\0\0\1", 8);
        return true;
    case FAKE_HELLO_NEGATIVE:
        write_bytes(c, "\xff\xff\xff\xff\0\0\0\1", 8);
        return true;
    case FAKE_HELLO_CUT:
        write_bytes(c, "\0\0\0\x20\0\0\0\1\0\0", 10);
        flv_frames_deinit(&c->frames);
        flv_conn_close_gently(c->conn, 1000, NULL, NULL);
        c->prev->next = c->next;
        c->next->prev = c->prev;
        free(c);
        return true;
    default:
        return false;
    }
}

/* ------------------------------------------------------------- metadata */

static struct flv_wire_topic a_topic(const char *name, uint32_t partitions)
{
    struct flv_wire_topic t = {.name = flv_slice_str(name)};

    t.spec.replicas.tag = FLV_WIRE_REPLICA_COMPUTED;
    t.spec.replicas.computed.partitions = partitions;
    t.spec.replicas.computed.replication_factor = 1;
    t.spec.compression = FLV_WIRE_COMPRESSION_ANY;
    t.spec.system = strcmp(name, OFFSETS) == 0;
    t.status.resolution = FLV_WIRE_TOPIC_PROVISIONED;
    return t;
}

static struct flv_wire_partition a_partition(const char *name, bool leader)
{
    struct flv_wire_partition p = {.name = flv_slice_str(name)};

    p.spec.leader = leader ? SPU_ID : -1;
    p.spec.compression = FLV_WIRE_COMPRESSION_ANY;
    p.status.resolution =
        leader ? FLV_WIRE_PARTITION_ONLINE : FLV_WIRE_PARTITION_OFFLINE;
    p.status.leader = (struct flv_wire_replica_status){.spu = SPU_ID};
    return p;
}

static size_t all_topics(const struct fake *f, struct flv_wire_topic *out)
{
    size_t n = 0;

    if (!f->no_offsets) {
        out[n++] = a_topic(OFFSETS, 1);
    }
    if (!f->no_topic) {
        out[n] = a_topic(TOPIC, f->partitions);
        out[n++].spec.compression = f->compression;
    }
    return n;
}

static size_t all_partitions(const struct fake *f,
                             struct flv_wire_partition *out,
                             char names[][32])
{
    size_t n = 0;

    if (!f->no_offsets) {
        (void)snprintf(names[n], 32, "%s-0", OFFSETS);
        out[n] = a_partition(names[n], true);
        n++;
    }
    for (uint32_t i = 0; !f->no_topic && i < f->partitions; i++) {
        (void)snprintf(names[n], 32, "%s-%u", TOPIC, i);
        out[n] = a_partition(names[n], !f->no_leader);
        n++;
    }
    return n;
}

static struct flv_wire_spu a_spu(const struct fake *f,
                                 struct flv_wire_ingress *ingress)
{
    struct flv_wire_spu s = {.name = flv_slice_str("custom-spu-5001")};

    ingress->hostname.has = true;
    ingress->hostname.v = flv_slice_str("127.0.0.1");
    s.spec.id = SPU_ID;
    s.spec.spu_type = FLV_WIRE_SPU_CUSTOM;
    s.spec.public_endpoint.port = f->spu_port;
    s.spec.public_endpoint.ingress.at = ingress;
    s.spec.public_endpoint.ingress.len = 1;
    s.spec.private_endpoint.host = flv_slice_str("127.0.0.1");
    return s;
}

static void objects(struct fake_conn *c,
                    const struct flv_wire_request_header *h,
                    enum flv_wire_object object,
                    bool watch)
{
    const struct fake *f = c->fake;
    struct flv_wire_topic topics[4];
    struct flv_wire_partition parts[FAKE_PARTITIONS + 2];
    struct flv_wire_ingress ingress = {.hostname = {.has = false}};
    struct flv_wire_spu spu = a_spu(f, &ingress);
    char names[FAKE_PARTITIONS + 2][32];
    struct flv_wire_topic_watch tw = {.all = {.at = topics}};
    struct flv_wire_partition_watch pw = {.all = {.at = parts}};
    struct flv_wire_spu_watch sw = {.all = {.at = &spu, .len = 1}};
    struct flv_wire_topic_list tl = {.items = {.at = topics}};
    struct flv_wire_partition_list pl = {.items = {.at = parts}};
    struct flv_wire_spu_list sl = {.items = {.at = &spu, .len = 1}};
    const char *label = flv_wire_object_label(object);

    tw.all.len = (uint32_t)all_topics(f, topics);
    pw.all.len = (uint32_t)all_partitions(f, parts, names);
    tl.items.len = tw.all.len;
    pl.items.len = pw.all.len;
    switch (object) {
    case FLV_WIRE_TOPIC:
        answer(c, h,
               watch ? &flv_wire_topic_watch_schema
                     : &flv_wire_topic_list_schema,
               watch ? (void *)&tw : (void *)&tl, label);
        break;
    case FLV_WIRE_PARTITION:
        answer(c, h,
               watch ? &flv_wire_partition_watch_schema
                     : &flv_wire_partition_list_schema,
               watch ? (void *)&pw : (void *)&pl, label);
        break;
    default:
        assert_int_equal(object, FLV_WIRE_SPU_OBJECT);
        answer(c, h,
               watch ? &flv_wire_spu_watch_schema : &flv_wire_spu_list_schema,
               watch ? (void *)&sw : (void *)&sl, label);
    }
}

static void remember_watch(struct fake_conn *c,
                           const struct flv_wire_request_header *h,
                           enum flv_wire_object object)
{
    for (size_t i = 0; i < COUNT(watches); i++) {
        if (watches[i][object].conn == NULL || watches[i][object].conn == c) {
            watches[i][object].conn = c;
            watches[i][object].header = *h;
            watches[i][object].header.client_id = flv_slice_str("");
            return;
        }
    }
}

static void status(struct fake_conn *c,
                   const struct flv_wire_request_header *h,
                   int16_t code)
{
    const struct flv_wire_status s = {.name = flv_slice_str(TOPIC),
                                      .error = {.code = code}};

    answer(c, h, &flv_wire_status_schema, &s, NULL);
}

static void serve_sc(struct fake_conn *c,
                     const struct flv_wire_request_header *h,
                     struct flv_slice in,
                     struct flv_arena *arena)
{
    struct fake *f = c->fake;
    struct flv_wire_envelope env = {.label = {.len = 0}};
    struct flv_wire_topic_create_ext ext;
    enum flv_wire_object object = FLV_WIRE_TOPIC;

    if (h->api_key == FLV_API_SC_TOPIC_CREATE_EXT) {
        assert_int_equal(flv_wire_topic_create_ext_decode(h->version, &in,
                                                          arena, &ext, NULL),
                         FLV_OK);
        f->ext_creates++;
        f->ext_durability = ext.durability;
        status(c, h, f->create_error);
        return;
    }
    assert_int_equal(
        flv_wire_envelope_decode(h->version, &in, arena, &env, NULL), FLV_OK);
    assert_true(flv_wire_object_of(env.label, &object));
    switch (h->api_key) {
    case FLV_API_SC_WATCH:
        remember_watch(c, h, object);
        if (object != FLV_WIRE_SPU_OBJECT || !f->spus_late) {
            objects(c, h, object, true);
        }
        break;
    case FLV_API_SC_LIST:
        objects(c, h, object, false);
        break;
    default:
        f->creates++;
        status(c, h, f->create_error);
    }
}

void fake_set_topic(struct fake *f, bool exists, uint32_t partitions)
{
    f->no_topic = !exists;
    f->partitions = partitions;
    for (size_t i = 0; i < COUNT(watches); i++) {
        for (size_t o = 0; o < COUNT(watches[i]); o++) {
            if (watches[i][o].conn != NULL) {
                objects(watches[i][o].conn, &watches[i][o].header,
                        (enum flv_wire_object)o, true);
            }
        }
    }
}

/* ------------------------------------------------------------- the log */

static void log_add(struct fake *f, uint32_t partition, struct flv_slice batch)
{
    struct fake_partition *p = &f->parts[partition];
    const size_t pos = p->log.len;
    struct flv_batch_header h;

    assert_int_equal(flv_batch_parse(batch, &h, NULL), FLV_OK);
    assert_int_equal(flv_buf_add(&p->log, batch.data, batch.len), FLV_OK);
    flv_batch_set_base_offset(p->log.data + pos, p->leo);
    p->leo += h.count;
}

void fake_append(struct fake *f,
                 uint32_t partition,
                 const char *prefix,
                 int first,
                 int count)
{
    struct flv_batch_builder b;
    struct flv_buf out;
    char value[64];

    flv_batch_builder_init(&b, 1024 * 1024);
    flv_buf_init(&out, 2 * 1024 * 1024);
    for (int i = 0; i < count; i++) {
        const int n = snprintf(value, sizeof(value), "%s%d", prefix, first + i);

        assert_int_equal(flv_batch_builder_add(&b, NULL,
                                               flv_slice(value, (size_t)n),
                                               1700000000000, NULL),
                         FLV_OK);
    }
    assert_int_equal(flv_batch_builder_finish(&b, f->z, FLV_CODEC_NONE,
                                              FLV_BATCH_NO_STAMP, &out, NULL),
                     FLV_OK);
    log_add(f, partition, flv_buf_slice(&out));
    flv_buf_deinit(&out);
    flv_batch_builder_deinit(&b);
}

bool fake_value(
    struct fake *f, uint32_t partition, int64_t offset, char *out, size_t size)
{
    struct flv_slice rest = flv_buf_slice(&f->parts[partition].log);
    struct flv_batch_reader r;
    bool found = false;

    flv_batch_reader_init(&r, f->z, FLV_BATCH_SECTION_MAX);
    while (!found && rest.len > 0) {
        struct flv_batch_header h;
        struct flv_slice batch;
        struct flv_record rec;
        bool more = true;

        assert_int_equal(flv_batch_walk(&rest, &batch, &h, NULL), FLV_OK);
        assert_int_equal(flv_batch_reader_open(&r, batch, NULL), FLV_OK);
        while (more && !found) {
            assert_int_equal(flv_batch_reader_next(&r, &rec, &more, NULL),
                             FLV_OK);
            if (more && rec.offset == offset) {
                (void)snprintf(out, size, "%.*s", (int)rec.value.len,
                               (const char *)rec.value.data);
                found = true;
            }
        }
    }
    flv_batch_reader_deinit(&r);
    return found;
}

/* -------------------------------------------------------------- produce */

static struct fake_producer *
producer_of(struct fake *f, int64_t id, uint32_t partition)
{
    for (size_t i = 0; i < f->producer_count; i++) {
        if (f->producers[i].id == id &&
            f->producers[i].partition == partition) {
            return &f->producers[i];
        }
    }
    assert_true(f->producer_count < FAKE_PRODUCERS);
    f->producers[f->producer_count] =
        (struct fake_producer){.id = id, .partition = partition};
    return &f->producers[f->producer_count++];
}

/* Stores the batch unless it was; false: out of sequence. */
static bool store(struct fake *f,
                  uint32_t partition,
                  struct flv_slice batch,
                  const struct flv_batch_header *h,
                  int64_t *base)
{
    struct fake_producer *p = NULL;

    *base = f->parts[partition].leo;
    if (h->producer_id >= 0 && f->refuses_gaps) {
        p = producer_of(f, h->producer_id, partition);
        for (size_t i = 0; i < p->seen_count; i++) {
            if (p->seen[i].sequence == h->first_sequence) {
                *base = p->seen[i].base;
                return true;
            }
        }
        if (h->first_sequence != p->next_sequence) {
            return false;
        }
        if (p->seen_count == FAKE_REMEMBERED) {
            memmove(&p->seen[0], &p->seen[1],
                    (FAKE_REMEMBERED - 1) * sizeof(p->seen[0]));
            p->seen_count--;
        }
        p->seen[p->seen_count].sequence = h->first_sequence;
        p->seen[p->seen_count++].base = *base;
        p->next_sequence += (int32_t)h->count;
    }
    log_add(f, partition, batch);
    return true;
}

static void feed_streams(struct fake *f);

static void produce(struct fake_conn *c,
                    const struct flv_wire_request_header *h,
                    struct flv_slice in,
                    struct flv_arena *arena)
{
    struct fake *f = c->fake;
    struct flv_wire_produce_request req;
    struct flv_wire_produce_result r = {.partition = 0};
    struct flv_wire_produce_topic_result t = {
        .partitions = {.at = &r, .len = 1}};
    struct flv_wire_produce_response body = {.topics = {.at = &t, .len = 1}};
    struct flv_batch_header batch;
    struct flv_slice records;
    enum fake_act act = FAKE_ACT_ANSWER;
    int16_t code = 0;

    assert_int_equal(
        flv_wire_produce_request_decode(h->version, &in, arena, &req, NULL),
        FLV_OK);
    assert_int_equal(req.topics.len, 1);
    assert_int_equal(req.topics.at[0].partitions.len, 1);
    records = req.topics.at[0].partitions.at[0].records;
    r.partition = req.topics.at[0].partitions.at[0].partition;
    t.name = req.topics.at[0].name;
    assert_int_equal(flv_batch_check(records, f->z, &batch, NULL), FLV_OK);
    f->produces++;
    if (f->on_produce != NULL) {
        act = f->on_produce(f, r.partition, &batch, &code);
    }
    if (act == FAKE_ACT_ERROR) {
        r.error.code = code;
    } else if (act != FAKE_ACT_CLOSE_BEFORE &&
               !store(f, r.partition, records, &batch, &r.base_offset)) {
        r.error.code = FLV_WIRE_OFFSET_OUT_OF_RANGE;
    }
    if (act == FAKE_ACT_OTHER) {
        r.partition++;
    }
    if (act == FAKE_ACT_CLOSE_BEFORE || act == FAKE_ACT_CLOSE_AFTER) {
        conn_gone(c);
    } else if (act == FAKE_ACT_GARBAGE) {
        uint8_t bytes[12] = {0, 0, 0, 8};

        flv_put_u32(bytes + 4, (uint32_t)h->correlation);
        memset(bytes + 8, 0xff, 4);
        write_bytes(c, bytes, sizeof(bytes));
    } else if (act != FAKE_ACT_SILENT) {
        answer(c, h, &flv_wire_produce_response_schema, &body, NULL);
    }
    feed_streams(f);
}

/* -------------------------------------------------------------- consume */

static void feed_stream(struct fake *f, struct fake_stream *s)
{
    struct fake_partition *p = &f->parts[s->partition];
    struct flv_slice rest = flv_buf_slice(&p->log);
    struct flv_wire_stream_fetch_response body = {.topic = flv_slice_str(TOPIC),
                                                  .stream_id = s->id};
    const uint8_t *from = NULL;
    size_t len = 0;
    size_t batches = 0;

    if (s->outstanding || s->offset >= p->leo) {
        return;
    }
    while (rest.len > 0 && batches < f->frame_batches_max) {
        struct flv_batch_header h;
        struct flv_slice batch;

        assert_int_equal(flv_batch_walk(&rest, &batch, &h, NULL), FLV_OK);
        if (h.base_offset + h.last_offset_delta >= s->offset) {
            from = from == NULL ? batch.data : from;
            len += batch.len;
            batches++;
        }
    }
    if (f->cuts_frames && len > s->max_bytes) {
        len = s->max_bytes;
    }
    if (f->cuts_frames && f->frame_bytes_max != 0 && len > f->frame_bytes_max) {
        len = f->frame_bytes_max;
    }
    body.partition.partition = s->partition;
    body.partition.high_watermark = p->leo;
    body.partition.records = flv_slice(from, len);
    s->outstanding = true;
    f->frames++;
    answer(s->conn, &s->header, &flv_wire_stream_fetch_response_schema, &body,
           NULL);
}

static void feed_streams(struct fake *f)
{
    for (size_t i = 0; i < FAKE_STREAMS; i++) {
        if (f->streams[i].conn != NULL) {
            feed_stream(f, &f->streams[i]);
        }
    }
}

static void stream_fetch(struct fake_conn *c,
                         const struct flv_wire_request_header *h,
                         struct flv_slice in,
                         struct flv_arena *arena)
{
    struct fake *f = c->fake;
    struct flv_wire_stream_fetch_request req;
    struct fake_stream *s = NULL;

    assert_int_equal(flv_wire_stream_fetch_request_decode(h->version, &in,
                                                          arena, &req, NULL),
                     FLV_OK);
    f->stream_fetches++;
    for (size_t i = 0; i < FAKE_STREAMS && s == NULL; i++) {
        s = f->streams[i].conn == NULL ? &f->streams[i] : NULL;
    }
    assert_non_null(s);
    *s = (struct fake_stream){
        .conn = c,
        .header = *h,
        .id = ++c->next_stream,
        .partition = req.partition,
        .offset = req.fetch_offset,
        .max_bytes = (size_t)req.max_bytes,
        .named = req.consumer_id.has,
    };
    s->header.client_id = flv_slice_str("");
    if (f->stream_error != 0) {
        struct flv_wire_stream_fetch_response body = {
            .topic = flv_slice_str(TOPIC), .stream_id = s->id};

        body.partition.partition = req.partition;
        body.partition.error.code = f->stream_error;
        if (f->stream_error == FLV_WIRE_SMARTMODULE_RUNTIME_ERROR) {
            body.partition.error.offset = f->failing_offset;
            body.partition.next_filter_offset = f->parts[req.partition].leo;
        }
        answer(c, h, &flv_wire_stream_fetch_response_schema, &body, NULL);
        s->conn = NULL; /* an error ends the stream */
        return;
    }
    feed_stream(f, s);
}

static struct fake_stream *stream_of(struct fake_conn *c, uint32_t id)
{
    struct fake *f = c->fake;

    for (size_t i = 0; i < FAKE_STREAMS; i++) {
        if (f->streams[i].conn == c && f->streams[i].id == id) {
            return &f->streams[i];
        }
    }
    return NULL;
}

static void update_offsets(struct fake_conn *c,
                           const struct flv_wire_request_header *h,
                           struct flv_slice in,
                           struct flv_arena *arena)
{
    struct flv_wire_update_offsets_request req;
    struct flv_wire_offset_update_status st = {.stream_id = 0};
    struct flv_wire_update_offsets_response body = {
        .statuses = {.at = &st, .len = 1}};
    struct fake_stream *s = NULL;

    assert_int_equal(flv_wire_update_offsets_request_decode(h->version, &in,
                                                            arena, &req, NULL),
                     FLV_OK);
    assert_int_equal(req.offsets.len, 1);
    st.stream_id = req.offsets.at[0].stream_id;
    s = stream_of(c, st.stream_id);
    if (s == NULL) {
        st.error.code = FLV_WIRE_FETCH_SESSION_NOT_FOUND;
    } else {
        s->offset = req.offsets.at[0].offset;
        s->outstanding = false;
    }
    answer(c, h, &flv_wire_update_offsets_response_schema, &body, NULL);
    feed_streams(c->fake);
}

static void fetch_offsets(struct fake_conn *c,
                          const struct flv_wire_request_header *h,
                          struct flv_slice in,
                          struct flv_arena *arena)
{
    struct fake *f = c->fake;
    struct flv_wire_fetch_offsets_request req;
    struct flv_wire_offsets_partition p = {.partition = 0};
    struct flv_wire_offsets_topic_result t = {
        .partitions = {.at = &p, .len = 1}};
    struct flv_wire_fetch_offsets_response body = {
        .topics = {.at = &t, .len = 1}};

    assert_int_equal(flv_wire_fetch_offsets_request_decode(h->version, &in,
                                                           arena, &req, NULL),
                     FLV_OK);
    assert_int_equal(req.topics.len, 1);
    assert_int_equal(req.topics.at[0].partitions.len, 1);
    p.partition = req.topics.at[0].partitions.at[0];
    t.name = req.topics.at[0].name;
    p.error.code = f->fetch_error;
    p.last_stable_offset = f->parts[p.partition].leo;
    answer(c, h, &flv_wire_fetch_offsets_response_schema, &body, NULL);
}

static void consumer_offsets(struct fake_conn *c,
                             const struct flv_wire_request_header *h,
                             struct flv_slice in,
                             struct flv_arena *arena)
{
    struct fake *f = c->fake;
    struct flv_wire_update_consumer_offset_request req;
    struct flv_wire_update_consumer_offset_response done = {.offset = 0};
    struct flv_wire_consumer_offset rows[FAKE_PARTITIONS];
    struct flv_wire_fetch_consumer_offsets_response list = {
        .consumers = {.at = rows}};
    struct fake_stream *s = NULL;

    if (h->api_key == FLV_API_SPU_UPDATE_CONSUMER_OFFSET) {
        assert_int_equal(flv_wire_update_consumer_offset_request_decode(
                             h->version, &in, arena, &req, NULL),
                         FLV_OK);
        s = stream_of(c, req.stream_id);
        done.offset = req.offset;
        if (s == NULL || !s->named) {
            done.error.code = FLV_WIRE_FETCH_SESSION_NOT_FOUND;
        } else {
            f->parts[s->partition].stored_offset = req.offset;
            f->commits++;
        }
        answer(c, h, &flv_wire_update_consumer_offset_response_schema, &done,
               NULL);
        return;
    }
    for (uint32_t i = 0; i < f->partitions; i++) {
        if (f->parts[i].stored_offset >= 0) {
            rows[list.consumers.len++] = (struct flv_wire_consumer_offset){
                .consumer_id = flv_slice_str("c"),
                .replica = {.topic = flv_slice_str(TOPIC), .partition = i},
                .offset = f->parts[i].stored_offset,
                .modified_time_s = 1700000000,
            };
        }
    }
    list.error.code = f->offsets_error;
    answer(c, h, &flv_wire_fetch_consumer_offsets_response_schema, &list, NULL);
}

static void serve_spu(struct fake_conn *c,
                      const struct flv_wire_request_header *h,
                      struct flv_slice in,
                      struct flv_arena *arena)
{
    switch (h->api_key) {
    case FLV_API_SPU_PRODUCE:
        produce(c, h, in, arena);
        break;
    case FLV_API_SPU_FETCH_OFFSETS:
        fetch_offsets(c, h, in, arena);
        break;
    case FLV_API_SPU_STREAM_FETCH:
        stream_fetch(c, h, in, arena);
        break;
    case FLV_API_SPU_UPDATE_OFFSETS:
        update_offsets(c, h, in, arena);
        break;
    default:
        consumer_offsets(c, h, in, arena);
    }
}

/* ------------------------------------------------------------ connections */

static void on_frame(void *ctx, struct flv_chunk *frame)
{
    struct fake_conn *c = ctx;
    struct flv_slice in = flv_slice(frame->data, frame->size);
    struct flv_wire_request_header h;
    struct flv_arena arena;

    spare();
    flv_arena_init(&arena, 4096, 16 * 1024 * 1024);
    assert_int_equal(flv_wire_request_header_decode(0, &in, &arena, &h, NULL),
                     FLV_OK);
    if (h.api_key == FLV_API_VERSIONS) {
        c->fake->hellos++;
        if (!misbehave(c)) {
            hello(c, &h);
        }
    } else if (c->side == FLV_WIRE_SC) {
        serve_sc(c, &h, in, &arena);
    } else {
        serve_spu(c, &h, in, &arena);
    }
    flv_arena_deinit(&arena);
    spare_no_more();
}

static void on_end(void *ctx, flv_rc rc, const struct flv_err *err)
{
    (void)rc;
    (void)err;
    conn_gone(ctx);
}

static void accept_on(struct fake *f, struct flv_conn *conn, int side)
{
    const struct flv_frames_conf conf = {
        .frame_bytes_max = FLV_WIRE_FRAME_MAX,
        .on_frame = on_frame,
        .on_end = on_end,
    };
    struct flv_frames_conf own = conf;
    struct fake_conn *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    f->connects++;
    c->fake = f;
    c->side = (enum flv_wire_side)side;
    c->conn = conn;
    c->next = &f->conns;
    c->prev = f->conns.prev;
    c->prev->next = c;
    f->conns.prev = c;
    own.ctx = c;
    flv_frames_init(&c->frames, conn, &own);
    flv_frames_resume(&c->frames);
}

static void accept_sc(void *ctx, struct flv_conn *conn)
{
    accept_on(ctx, conn, FLV_WIRE_SC);
}

static void accept_spu(void *ctx, struct flv_conn *conn)
{
    accept_on(ctx, conn, FLV_WIRE_SPU);
}

void fake_start_spu(struct fake *f)
{
    const struct flv_listen_conf conf = {.host = "127.0.0.1",
                                         .port = f->spu_port,
                                         .accepted = accept_spu,
                                         .ctx = f};
    struct flv_err err;

    if (flv_listener_open(&f->spu, f->loop, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    f->spu_port = flv_listener_port(f->spu);
}

void fake_stop_spu(struct fake *f)
{
    flv_listener_close(f->spu, NULL, NULL);
    f->spu = NULL;
    fake_break(f, FLV_WIRE_SPU);
}

void fake_init(struct fake *f)
{
    struct flv_listen_conf conf = {
        .host = "127.0.0.1", .accepted = accept_sc, .ctx = f};

    memset(f, 0, sizeof(*f));
    memset(watches, 0, sizeof(watches));
    f->conns.next = &f->conns;
    f->conns.prev = &f->conns;
    f->partitions = 1;
    f->compression = FLV_WIRE_COMPRESSION_ANY;
    f->refuses_gaps = true;
    f->spu_version_max = FLV_WIRE_SPU_MAX;
    f->frame_batches_max = 3;
    f->z = flv_compressor_create();
    assert_non_null(f->z);
    for (size_t i = 0; i < FAKE_PARTITIONS; i++) {
        flv_buf_init(&f->parts[i].log, (size_t)64 * 1024 * 1024);
        f->parts[i].stored_offset = -1;
    }
    assert_int_equal(flv_loop_create(&f->loop, 0, NULL), FLV_OK);
    assert_int_equal(flv_listener_open(&f->sc, f->loop, &conf, NULL), FLV_OK);
    f->sc_port = flv_listener_port(f->sc);
    fake_start_spu(f);
    (void)snprintf(f->address, sizeof(f->address), "127.0.0.1:%u",
                   (unsigned)f->sc_port);
}

void fake_break(struct fake *f, enum flv_wire_side side)
{
    struct fake_conn *c = f->conns.next;

    while (c != &f->conns) {
        struct fake_conn *next = c->next;

        if (c->side == side) {
            conn_gone(c);
        }
        c = next;
    }
}

void fake_deinit(struct fake *f)
{
    fake_break(f, FLV_WIRE_SC);
    fake_break(f, FLV_WIRE_SPU);
    flv_listener_close(f->sc, NULL, NULL);
    if (f->spu != NULL) {
        flv_listener_close(f->spu, NULL, NULL);
    }
    flv_loop_run(f->loop);
    flv_loop_destroy(f->loop);
    flv_compressor_destroy(f->z);
    for (size_t i = 0; i < FAKE_PARTITIONS; i++) {
        flv_buf_deinit(&f->parts[i].log);
    }
}

static void limit_reached(struct flv_timer *t)
{
    (void)t; /* only wakes the loop */
}

bool fake_until(struct fake *f, const bool *flag, uint64_t limit_ms)
{
    const uint64_t end = flv_clock_mono_ms() + limit_ms;
    struct flv_timer t;

    flv_timer_init(&t, f->loop, limit_reached);
    assert_int_equal(flv_timer_start(&t, limit_ms, 0, NULL), FLV_OK);
    while (!*flag && flv_clock_mono_ms() < end) {
        (void)flv_loop_turn(f->loop, true);
    }
    flv_timer_stop(&t);
    return *flag;
}

void fake_run(struct fake *f, uint64_t ms)
{
    const bool never = false;

    (void)fake_until(f, &never, ms);
}
