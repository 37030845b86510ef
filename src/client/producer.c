#include "client/producer.h"

#include "base/field.h"
#include "base/hash.h"
#include "base/mem.h"
#include <assert.h>

#define BATCH_SIZE 16384
#define REQUEST_SIZE_MAX (32u * 1024 * 1024)
#define BUFFER_MAX ((size_t)32 * 1024 * 1024)
#define IN_FLIGHT_MAX 32
#define ACK_TIMEOUT_MS 1500
#define DELIVERY_TIMEOUT_MS 120000

static_assert((int)FLV_COMPRESSION_ZSTD == (int)FLV_CODEC_ZSTD &&
                  (int)FLV_COMPRESSION_LZ4 == (int)FLV_CODEC_LZ4 &&
                  (int)FLV_COMPRESSION_SNAPPY == (int)FLV_CODEC_SNAPPY &&
                  (int)FLV_COMPRESSION_GZIP == (int)FLV_CODEC_GZIP,
              "the public names are the codes of batch attributes");

struct flv_producer_conf flv_producer_conf_default(const char *topic)
{
    return (struct flv_producer_conf){
        .topic = topic,
        .batch_size_bytes = BATCH_SIZE,
        .request_size_bytes_max = REQUEST_SIZE_MAX,
        .buffer_bytes_max = BUFFER_MAX,
        .in_flight_max = IN_FLIGHT_MAX,
        .compression = FLV_COMPRESSION_ANY,
        .isolation = FLV_READ_UNCOMMITTED,
        .delivery = FLV_AT_LEAST_ONCE,
        .timeout_ms = ACK_TIMEOUT_MS,
        .delivery_timeout_ms = DELIVERY_TIMEOUT_MS,
    };
}

static void work_later(struct flv_producer *p)
{
    flv_loop_defer(p->client->loop, &p->work);
}

/* ------------------------------------------------------------ for lanes */

void flv__producer_uncharge(struct flv_producer *p, size_t cost)
{
    assert(cost <= p->buffered);
    p->buffered -= cost;
    if (p->wants_writable && p->buffered <= p->conf.buffer_bytes_max / 2) {
        work_later(p);
    }
}

void flv__producer_trouble(struct flv_producer *p, const struct flv_err *err)
{
    const bool was = p->trouble.rc != FLV_OK;

    if (err != NULL) {
        p->trouble = *err;
    } else {
        flv_err_clear(&p->trouble);
    }
    if (was != (err != NULL) && p->conf.trouble != NULL) {
        p->conf.trouble(p->conf.user, err);
    }
}

/* A send of the past is over: it no longer holds up the flushes that came
 * behind it. */
static void count_off(struct flv_producer *p, uint64_t number)
{
    assert(p->outstanding > 0);
    p->outstanding--;
    for (struct flv__flush *f = p->flushes; f != NULL; f = f->next) {
        if (number < f->upto) {
            assert(f->remaining > 0);
            f->remaining--;
        }
    }
    if (p->flushes != NULL || p->state == FLV__PRODUCER_CLOSING) {
        work_later(p);
    }
}

void flv__producer_settle(struct flv_producer *p,
                          const struct flv__share *share,
                          uint32_t partition,
                          int64_t base_offset,
                          const struct flv_err *err)
{
    struct flv_send *send = share->send;
    struct flv_err last = {.rc = FLV_OK};

    assert(send->pending > 0);
    if (err != NULL && send->err.rc == FLV_OK) {
        send->err = *err;
    }
    if (share->begins) {
        send->partition = partition;
        send->offset = base_offset >= 0 ? base_offset + share->first : -1;
    }
    send->pending--;
    if (send->pending > 0) {
        return;
    }
    count_off(p, send->number);
    last = send->err; /* the send may be used again within done */
    send->done(send, last.rc != FLV_OK ? &last : NULL);
}

/* ------------------------------------------------------------------ open */

static flv_rc
choose_codec(struct flv_producer *p, uint8_t wire, struct flv_err *err)
{
    const enum flv_compression topic = flv__compression_of(wire);
    const enum flv_compression own = p->conf.compression;

    if (own == FLV_COMPRESSION_ANY) {
        p->codec = topic == FLV_COMPRESSION_ANY ? FLV_CODEC_NONE
                                                : (enum flv_codec)topic;
        return FLV_OK;
    }
    if (topic != FLV_COMPRESSION_ANY && topic != own) {
        return flv_fail(err, FLV_E_INVALID,
                        "topic %s takes compression %s only, not %s", p->topic,
                        flv_compression_name(topic), flv_compression_name(own));
    }
    p->codec = (enum flv_codec)own;
    return FLV_OK;
}

static flv_rc
add_lanes(struct flv_producer *p, uint32_t count, struct flv_err *err)
{
    struct flv__lane **lanes = NULL;
    flv_rc rc = FLV_OK;

    if (count <= p->lane_count) {
        return FLV_OK;
    }
    lanes = flv_realloc(p->lanes, count * sizeof(struct flv__lane *));
    if (lanes == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for partitions");
    }
    p->lanes = lanes;
    while (rc == FLV_OK && p->lane_count < count) {
        rc = flv__lane_create(p, p->lane_count, &lanes[p->lane_count], err);
        p->lane_count += rc == FLV_OK ? 1 : 0;
    }
    return rc;
}

static void fail_all(struct flv_producer *p, const struct flv_err *err)
{
    for (uint32_t i = 0; i < p->lane_count; i++) {
        flv__lane_fail(p->lanes[i], err);
    }
}

/* A topic that was made anew can have fewer. */
static void set_partitions(struct flv_producer *p, uint32_t count)
{
    struct flv_err err;

    p->partitions = count < p->lane_count ? count : p->lane_count;
    for (uint32_t i = p->partitions; i < p->lane_count; i++) {
        (void)flv_fail(&err, FLV_E_NOT_FOUND,
                       "topic %s has no partition %u any more", p->topic, i);
        flv__lane_fail(p->lanes[i], &err);
    }
}

static void metadata_changed(struct flv__meta_listener *l)
{
    struct flv_producer *p = FLV_OWNER_OF(l, struct flv_producer, changes);
    const struct flv__meta *m = &p->client->meta;
    const struct flv__topic_meta *t = flv__meta_topic(m, p->topic);
    struct flv_err err;

    if (t == NULL) {
        if (flv__meta_fresh(m)) {
            p->deleted = true;
            (void)flv_fail(&err, FLV_E_NOT_FOUND, "Topic not found: %s",
                           p->topic);
            err.wire = FLV_WIRE_TOPIC_NOT_FOUND;
            fail_all(p, &err);
        }
        return;
    }
    p->deleted = false;
    if (add_lanes(p, t->partitions, &err) != FLV_OK) {
        flv__producer_trouble(p, &err); /* the old ones go on */
    }
    set_partitions(p, t->partitions);
    for (uint32_t i = 0; i < p->lane_count; i++) {
        if (p->lanes[i]->leader != flv__meta_leader(t, i)) {
            flv__lane_leader_changed(p->lanes[i]);
        }
    }
}

static void found(struct flv__finder *l,
                  const struct flv__topic_meta *t,
                  const struct flv_err *err)
{
    struct flv_producer *p = FLV_OWNER_OF(l, struct flv_producer, lookup);
    struct flv_err why = {.rc = FLV_OK};
    const flv_done_fn opened = p->opened;

    p->opened = NULL;
    if (t == NULL) {
        why = *err;
    } else if (choose_codec(p, t->compression, &why) == FLV_OK) {
        (void)add_lanes(p, t->partitions, &why);
    }
    if (t == NULL || why.rc != FLV_OK) {
        p->state = FLV__PRODUCER_FAILED;
        opened(p->opened_user, &why);
        return;
    }
    set_partitions(p, t->partitions);
    p->state = FLV__PRODUCER_OPEN;
    p->changes.changed = metadata_changed;
    flv__meta_listen(&p->client->meta, &p->changes);
    opened(p->opened_user, NULL);
}

static void do_work(struct flv_task *t);
static void close_now(struct flv_task *t);
static void drain_over(struct flv_timer *t);
static void client_closes(struct flv__op *op, const struct flv_err *err);

static flv_rc check_conf(const struct flv_producer_conf *c, struct flv_err *err)
{
    if (c->request_size_bytes_max > REQUEST_SIZE_MAX ||
        c->request_size_bytes_max < FLV_BATCH_HEADER_SIZE + 16) {
        return flv_fail(err, FLV_E_INVALID,
                        "a request size of %u bytes is not within %d and %u",
                        c->request_size_bytes_max, FLV_BATCH_HEADER_SIZE + 16,
                        REQUEST_SIZE_MAX);
    }
    if (c->batch_size_bytes == 0 || c->in_flight_max == 0 ||
        c->buffer_bytes_max == 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "batch size, requests in flight and buffer have to be "
                        "above 0");
    }
    if (c->producer_id < 0 ||
        (c->producer_id > 0 &&
         (c->delivery != FLV_AT_LEAST_ONCE || c->fail_on_storage))) {
        return flv_fail(err, FLV_E_INVALID,
                        "a producer id is above 0, and its batches are "
                        "repeated until they are stored");
    }
    if (c->timeout_ms > INT32_MAX) {
        return flv_fail(err, FLV_E_INVALID, "a timeout of %u ms is above %d",
                        c->timeout_ms, INT32_MAX);
    }
    return FLV_OK;
}

static void producer_free(struct flv_producer *p)
{
    for (uint32_t i = 0; i < p->lane_count; i++) {
        flv__lane_destroy(p->lanes[i]);
    }
    flv_free(p->lanes);
    flv_compressor_destroy(p->z);
    flv_buf_deinit(&p->scratch);
    flv_free(p);
}

flv_rc flv_producer_open(struct flv_producer **out,
                         struct flv_client *c,
                         const struct flv_producer_conf *conf,
                         flv_done_fn opened,
                         void *user,
                         struct flv_err *err)
{
    struct flv_producer *p = NULL;
    flv_rc rc = check_conf(conf, err);

    assert(opened != NULL);
    if (rc != FLV_OK || c->closing) {
        return rc != FLV_OK ? rc : flv__closing(err);
    }
    p = flv_zalloc(1, sizeof(*p));
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a producer");
    }
    p->client = c;
    p->conf = *conf;
    p->conf.topic = p->topic;
    p->opened = opened;
    p->opened_user = user;
    p->op.cancel = client_closes;
    /* A batch compresses to less than this, or hardly more than it was. */
    flv_buf_init(&p->scratch, (size_t)conf->request_size_bytes_max * 2 + 4096);
    flv_task_init(&p->work, do_work);
    flv_task_init(&p->close_task, close_now);
    flv_timer_init(&p->drain, c->loop, drain_over);
    p->z = flv_compressor_create();
    if (p->z == NULL) {
        rc = flv_fail(err, FLV_E_NOMEM, "out of memory for a producer");
    } else {
        rc = flv__name_copy(p->topic, conf->topic, "Topic name", err);
    }
    if (rc == FLV_OK) {
        p->lookup =
            (struct flv__finder){.client = c, .topic = p->topic, .done = found};
        rc = flv__finder_start(&p->lookup, err);
    }
    if (rc != FLV_OK) {
        producer_free(p);
        return rc;
    }
    flv__op_add(c, &p->op);
    *out = p;
    return FLV_OK;
}

uint32_t flv_producer_partition_count(const struct flv_producer *p)
{
    return p->partitions;
}

size_t flv_producer_buffered_bytes(const struct flv_producer *p)
{
    return p->buffered;
}

void flv_producer_stats(const struct flv_producer *p,
                        struct flv_producer_stats *out)
{
    *out = p->stats;
    out->buffered_bytes = p->buffered;
    out->latency = flv__latency_read(&p->latency);
}

/* ------------------------------------------------------------------ send */

/* SipHash-2-4 with key 0, over the key's length as 8 little-endian bytes and
 * the key: what Fluvio's own producers do. */
static uint32_t key_partition(struct flv_slice key, uint32_t count)
{
    struct flv_siphash h;
    uint8_t len[8];

    for (size_t i = 0; i < sizeof(len); i++) {
        len[i] = (uint8_t)((uint64_t)key.len >> 8 * i);
    }
    flv_siphash_init(&h, 0, 0);
    flv_siphash_add(&h, len, sizeof(len));
    flv_siphash_add(&h, key.data, key.len);
    return (uint32_t)(flv_siphash_end(&h) % count);
}

uint32_t flv_producer_key_partition(const struct flv_producer *p,
                                    struct flv_slice key)
{
    assert(p->partitions > 0);
    return key_partition(key, p->partitions);
}

/* Key-less records go round over the partitions that are online, or over all
 * when none is known to be. */
static uint32_t next_partition(struct flv_producer *p)
{
    const struct flv__topic_meta *t =
        flv__meta_topic(&p->client->meta, p->topic);

    assert(p->partitions > 0);
    for (uint32_t i = 0; t != NULL && i < p->partitions; i++) {
        const uint32_t n = p->round_robin++ % p->partitions;

        if (n < t->part_count && t->parts[n].online) {
            return n;
        }
    }
    return p->round_robin++ % p->partitions;
}

static uint32_t partition_of(struct flv_producer *p, const struct flv_msg *msg)
{
    assert(p->partitions > 0);
    if (msg->partition >= 0) {
        return (uint32_t)msg->partition;
    }
    return msg->has_key ? key_partition(msg->key, p->partitions)
                        : next_partition(p);
}

static flv_rc check_state(const struct flv_producer *p, struct flv_err *err)
{
    if (p->state == FLV__PRODUCER_CLOSING) {
        return flv_fail(err, FLV_E_CANCELED, "the producer is closing");
    }
    if (p->state == FLV__PRODUCER_FAILED || p->deleted ||
        (p->state == FLV__PRODUCER_OPEN && p->partitions == 0)) {
        return flv_fail(err, FLV_E_NOT_FOUND, "Topic not found: %s", p->topic);
    }
    if (p->state == FLV__PRODUCER_OPENING) {
        return flv_fail(err, FLV_E_BUSY, "the producer is not open yet");
    }
    return FLV_OK;
}

static flv_rc check_msgs(struct flv_producer *p,
                         const struct flv_msg *msgs,
                         size_t count,
                         size_t *out_cost,
                         struct flv_err *err)
{
    size_t cost = 0;

    for (size_t i = 0; i < count; i++) {
        const size_t size = flv__lane_record_size(&msgs[i]);

        if (size > p->conf.request_size_bytes_max) {
            return flv_fail(err, FLV_E_LIMIT,
                            "Producer error: record size (%zu bytes), exceeded "
                            "maximum request "
                            "size (%u bytes)",
                            size, p->conf.request_size_bytes_max);
        }
        if (msgs[i].partition >= 0 &&
            (uint32_t)msgs[i].partition >= p->partitions) {
            return flv_fail(err, FLV_E_INVALID,
                            "topic %s has no partition %d, only 0 to %u",
                            p->topic, msgs[i].partition, p->partitions - 1);
        }
        cost += flv__lane_record_cost(&msgs[i]);
    }
    if (cost > p->conf.buffer_bytes_max) {
        return flv_fail(err, FLV_E_LIMIT,
                        "%zu records of %zu bytes are more than the buffer of "
                        "%zu bytes takes at once",
                        count, cost, p->conf.buffer_bytes_max);
    }
    *out_cost = cost;
    return FLV_OK;
}

static flv_rc
check_room(struct flv_producer *p, size_t cost, struct flv_err *err)
{
    if (p->buffered > p->conf.buffer_bytes_max ||
        cost > p->conf.buffer_bytes_max - p->buffered) {
        p->wants_writable = true;
        return flv_fail(err, FLV_E_BUSY, "%zu bytes wait for topic %s",
                        p->buffered, p->topic);
    }
    return FLV_OK;
}

/* Gives the records to their lanes. Where one cannot be taken, the send is
 * refused if nothing of it was, else it will complete with that error. */
static flv_rc distribute(struct flv_producer *p,
                         const struct flv_msg *msgs,
                         size_t count,
                         struct flv_send *send,
                         struct flv_err *err)
{
    struct flv_err why = {.rc = FLV_OK};
    flv_rc rc = FLV_OK;

    for (size_t i = 0; i < count; i++) {
        struct flv__lane *lane = p->lanes[partition_of(p, &msgs[i])];

        rc = flv__lane_add(lane, &msgs[i], send, i == 0, &why);
        if (rc != FLV_OK && send->pending == 0) {
            if (err != NULL) {
                *err = why;
            }
            return rc;
        }
        if (rc != FLV_OK) {
            send->err = why;
            return FLV_OK;
        }
        p->buffered += flv__lane_record_cost(&msgs[i]);
    }
    return FLV_OK;
}

flv_rc flv_producer_send(struct flv_producer *p,
                         const struct flv_msg *msgs,
                         size_t count,
                         struct flv_send *send,
                         struct flv_err *err)
{
    size_t cost = 0;
    flv_rc rc = check_state(p, err);

    assert(count > 0 && send->done != NULL);
    if (rc == FLV_OK) {
        rc = check_msgs(p, msgs, count, &cost, err);
    }
    if (rc == FLV_OK) {
        rc = check_room(p, cost, err);
    }
    /* Room is not asked for again: a transform runs once per send. */
    if (rc == FLV_OK && p->conf.transform != NULL) {
        rc = p->conf.transform(p->conf.transform_user, msgs, count, &msgs,
                               &count, err);
        if (rc == FLV_OK) {
            rc = check_msgs(p, msgs, count, &cost, err);
        }
    }
    if (rc != FLV_OK) {
        return rc;
    }
    send->pending = 0;
    send->offset = -1;
    send->partition = 0;
    send->number = p->next_number;
    send->err.rc = FLV_OK;
    rc = distribute(p, msgs, count, send, err);
    if (rc != FLV_OK) {
        return rc;
    }
    p->next_number++;
    p->outstanding++;
    if (send->pending == 0) {
        send->next = p->empty;
        p->empty = send;
        work_later(p);
    }
    return FLV_OK;
}

/* ------------------------------------------------------- flush and close */

static void push_all(struct flv_producer *p)
{
    for (uint32_t i = 0; i < p->lane_count; i++) {
        flv__lane_push(p->lanes[i]);
    }
}

flv_rc flv_producer_flush(struct flv_producer *p,
                          flv_done_fn done,
                          void *user,
                          struct flv_err *err)
{
    struct flv__flush *f = NULL;

    assert(done != NULL);
    if (p->state == FLV__PRODUCER_CLOSING) {
        return flv_fail(err, FLV_E_CANCELED, "the producer is closing");
    }
    f = flv_zalloc(1, sizeof(*f));
    if (f == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a flush");
    }
    f->upto = p->next_number;
    f->remaining = p->outstanding;
    f->done = done;
    f->user = user;
    f->next = p->flushes;
    p->flushes = f;
    push_all(p);
    work_later(p);
    return FLV_OK;
}

/* The oldest flush that is over (or any, with an error), taken off. */
static struct flv__flush *take_flush(struct flv_producer *p, bool any)
{
    struct flv__flush **oldest = NULL;
    struct flv__flush *f = NULL;

    for (struct flv__flush **at = &p->flushes; *at != NULL; at = &(*at)->next) {
        if (any || (*at)->remaining == 0) {
            oldest = at; /* the list begins with the newest */
        }
    }
    if (oldest != NULL) {
        f = *oldest;
        *oldest = f->next;
    }
    return f;
}

static void end_flushes(struct flv_producer *p, const struct flv_err *err)
{
    struct flv__flush *f = take_flush(p, err != NULL);

    while (f != NULL) {
        const flv_done_fn done = f->done;
        void *user = f->user;

        flv_free(f);
        done(user, err);
        f = take_flush(p, err != NULL);
    }
}

/* Sends that a transform left nothing of, the oldest first. */
static void end_empty(struct flv_producer *p)
{
    while (p->empty != NULL) {
        struct flv_send **at = &p->empty;
        struct flv_send *send = NULL;

        while ((*at)->next != NULL) {
            at = &(*at)->next;
        }
        send = *at;
        *at = NULL;
        count_off(p, send->number);
        send->done(send, NULL);
    }
}

static void finalize(struct flv_producer *p, const struct flv_err *err)
{
    struct flv_loop *loop = p->client->loop;
    const flv_done_fn opened = p->opened;
    flv_closed_fn closed = NULL;
    void *user = NULL;

    p->state = FLV__PRODUCER_CLOSING;
    flv__op_remove(&p->op);
    flv__finder_stop(&p->lookup);
    flv__meta_unlisten(&p->client->meta, &p->changes);
    flv_timer_stop(&p->drain);
    p->opened = NULL;
    if (opened != NULL) {
        opened(p->opened_user, err);
    }
    end_empty(p);
    fail_all(p, err);
    assert(p->outstanding == 0 && p->buffered == 0);
    end_flushes(p, err);
    flv_loop_undefer(loop, &p->work);
    flv_loop_undefer(loop, &p->close_task);
    closed = p->closed; /* a callback may just have set it */
    user = p->closed_user;
    producer_free(p);
    if (closed != NULL) {
        closed(user);
    }
}

static void client_closes(struct flv__op *op, const struct flv_err *err)
{
    finalize(FLV_OWNER_OF(op, struct flv_producer, op), err);
}

static void close_now(struct flv_task *t)
{
    struct flv_producer *p = FLV_OWNER_OF(t, struct flv_producer, close_task);
    struct flv_err err;

    (void)flv_fail(&err, FLV_E_CANCELED, "the producer was closed");
    finalize(p, &err);
}

static void drain_over(struct flv_timer *t)
{
    struct flv_producer *p = FLV_OWNER_OF(t, struct flv_producer, drain);
    struct flv_err err;

    (void)flv_fail(
        &err, FLV_E_CANCELED,
        "the producer was closed before topic %s acknowledged%s%.100s",
        p->topic, p->trouble.rc != FLV_OK ? ": " : "",
        p->trouble.rc != FLV_OK ? p->trouble.text : "");
    finalize(p, &err);
}

static void do_work(struct flv_task *t)
{
    struct flv_producer *p = FLV_OWNER_OF(t, struct flv_producer, work);

    end_empty(p);
    end_flushes(p, NULL);
    if (p->wants_writable && p->state == FLV__PRODUCER_OPEN &&
        p->buffered <= p->conf.buffer_bytes_max / 2) {
        p->wants_writable = false;
        if (p->conf.writable != NULL) {
            p->conf.writable(p->conf.user);
        }
    }
    if (p->state == FLV__PRODUCER_CLOSING && p->outstanding == 0) {
        flv_loop_defer(p->client->loop, &p->close_task);
    }
}

void flv_producer_close(struct flv_producer *p,
                        uint32_t drain_ms,
                        flv_closed_fn closed,
                        void *user)
{
    if (p->state == FLV__PRODUCER_CLOSING) {
        assert(p->closed == NULL); /* closed by its client, not yet by us */
        p->closed = closed;
        p->closed_user = user;
        return;
    }
    p->state = FLV__PRODUCER_CLOSING;
    p->closed = closed;
    p->closed_user = user;
    if (drain_ms == 0 || p->outstanding == 0 ||
        flv_timer_start(&p->drain, drain_ms, 0, NULL) != FLV_OK) {
        flv_loop_defer(p->client->loop, &p->close_task);
        return;
    }
    push_all(p);
}
