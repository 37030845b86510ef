#include "client/producer.h"

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"
#include "base/rand.h"
#include "wire/crc32c.h"
#include <assert.h>

/* What a record takes in memory beside its key and value. */
#define RECORD_COST 32
/* Where the numbering lies in a batch: see wire/batch.h. */
#define PRODUCER_ID_POS 43
#define EPOCH_POS 51
#define SEQUENCE_POS 53

static uint64_t now_ms(const struct flv__lane *lane)
{
    return flv_loop_now_ms(lane->producer->client->loop);
}

static bool is_numbered(const struct flv__lane *lane)
{
    return lane->producer->conf.delivery == FLV_AT_LEAST_ONCE;
}

static bool is_named(const struct flv__lane *lane)
{
    return lane->producer->conf.producer_id > 0;
}

static int64_t new_producer_id(void)
{
    return (int64_t)(flv_rand_u64() >> 1);
}

static bool ring_is_empty(const struct flv__lane *lane)
{
    return lane->ring.next == &lane->ring;
}

static void pump_later(struct flv__lane *lane)
{
    flv_loop_defer(lane->producer->client->loop, &lane->pump);
}

/* --------------------------------------------------------------- batches */

static flv_rc shares_reserve(struct flv__shares *s)
{
    struct flv__share *grown = NULL;
    const uint32_t cap = s->cap == 0 ? 4 : s->cap * 2;

    if (s->len < s->cap) {
        return FLV_OK;
    }
    grown = flv_realloc(s->at, cap * sizeof(*grown));
    if (grown == NULL) {
        return FLV_E_NOMEM;
    }
    s->at = grown;
    s->cap = cap;
    return FLV_OK;
}

static void batch_free(struct flv__batch *b)
{
    assert(b->call.state == FLV__CALL_IDLE);
    flv_chunk_unref(b->bytes);
    flv_free(b->shares.at);
    flv_free(b);
}

/* Takes the batch out of the lane; whoever calls settles and frees it. */
static void batch_remove(struct flv__batch *b)
{
    struct flv__lane *lane = b->lane;

    if (b->sent) {
        assert(lane->in_flight > 0);
        lane->in_flight--;
        b->sent = false;
        flv__peer_cancel(&b->call);
    }
    if (lane->next_send == b) {
        lane->next_send = b->next != &lane->ring ? b->next : NULL;
    }
    b->prev->next = b->next;
    b->next->prev = b->prev;
    b->next = NULL;
    b->prev = NULL;
}

static void settle_shares(struct flv__lane *lane,
                          struct flv__shares *shares,
                          int64_t base_offset,
                          const struct flv_err *err)
{
    struct flv__shares own = *shares;

    *shares = (struct flv__shares){.len = 0};
    for (uint32_t i = 0; i < own.len; i++) {
        flv__producer_settle(lane->producer, &own.at[i], lane->partition,
                             base_offset, err);
    }
    flv_free(own.at);
}

static void count_batch(const struct flv__batch *b, bool stored)
{
    struct flv_producer *p = b->lane->producer;

    if (!stored) {
        p->stats.failed += b->count;
        return;
    }
    p->stats.records += b->count;
    p->stats.bytes += b->cost - (size_t)RECORD_COST * b->count;
    p->stats.batches++;
    p->stats.batch_bytes += b->bytes->size;
    flv__latency_add(&p->latency, flv_clock_mono_ns() - b->since_ns);
}

/* The batch is over: err NULL when it is stored. */
static void
batch_end(struct flv__batch *b, int64_t base_offset, const struct flv_err *err)
{
    struct flv__lane *lane = b->lane;
    struct flv_err copy = {.rc = FLV_OK};

    if (err != NULL) {
        copy = *err; /* may lie in the batch */
    }
    batch_remove(b);
    count_batch(b, err == NULL);
    flv__producer_uncharge(lane->producer, b->cost);
    settle_shares(lane, &b->shares, base_offset, err != NULL ? &copy : NULL);
    batch_free(b);
}

static void arm_expiry(struct flv__lane *lane)
{
    uint64_t at = lane->open.len > 0 ? lane->open_deadline_ms : 0;
    const uint64_t now = now_ms(lane);

    if (!ring_is_empty(lane)) {
        at = lane->ring.next->deadline_ms;
    }
    if (at == 0) {
        flv_timer_stop(&lane->expiry);
        return;
    }
    if (flv_timer_active(&lane->expiry)) {
        return; /* fires no later than needed, and looks again */
    }
    if (flv_timer_start(&lane->expiry, at > now ? at - now : 0, 0, NULL) !=
        FLV_OK) {
        pump_later(lane);
    }
}

/* Gives the batch its number: the bytes are nobody else's any more. */
static void stamp(struct flv__batch *b, int64_t producer_id, int32_t sequence)
{
    uint8_t *p = b->bytes->data;

    assert(b->bytes->size >= FLV_BATCH_HEADER_SIZE && !b->sent);
    b->producer_id = producer_id;
    b->sequence = sequence;
    flv_put_u64(p + PRODUCER_ID_POS, (uint64_t)producer_id);
    flv_put_u16(p + EPOCH_POS, 0);
    flv_put_u32(p + SEQUENCE_POS, (uint32_t)sequence);
    flv_put_u32(p + FLV_BATCH_CRC_POS,
                flv_crc32c(0, p + FLV_BATCH_CRC_START,
                           b->bytes->size - FLV_BATCH_CRC_START));
}

/* The next numbers; a new id where they would run over. */
static struct flv_batch_stamp take_numbers(struct flv__lane *lane,
                                           uint32_t count)
{
    struct flv_batch_stamp s = FLV_BATCH_NO_STAMP;

    if (!is_numbered(lane)) {
        return s;
    }
    if (lane->producer_id < 0 ||
        count > (uint32_t)(INT32_MAX - lane->next_sequence)) {
        lane->producer_id = is_named(lane) && lane->producer_id < 0
                                ? lane->producer->conf.producer_id
                                : new_producer_id();
        lane->next_sequence = 0;
    }
    s.producer_id = lane->producer_id;
    s.producer_epoch = 0;
    s.first_sequence = lane->next_sequence;
    lane->next_sequence += (int32_t)count;
    return s;
}

static flv_rc make_chunk(struct flv__batch *b, size_t size, struct flv_err *err)
{
    return flv_chunk_create(NULL, size, &b->bytes) == FLV_OK
               ? FLV_OK
               : flv_fail(err, FLV_E_NOMEM, "out of memory for a batch");
}

/* How long it will be is known: it is made where it is sent from. */
static flv_rc finish_plain(struct flv__lane *lane,
                           struct flv__batch *b,
                           struct flv_batch_stamp s,
                           struct flv_err *err)
{
    const size_t size = flv_batch_builder_size(&lane->builder);
    struct flv_buf out = {.cap = size, .max = size};
    flv_rc rc = make_chunk(b, size, err);

    if (rc == FLV_OK) {
        out.data = b->bytes->data;
        rc = flv_batch_builder_finish(&lane->builder, NULL, FLV_CODEC_NONE, s,
                                      &out, err);
        assert(rc != FLV_OK || out.len == size);
    }
    return rc;
}

static flv_rc finish_compressed(struct flv__lane *lane,
                                struct flv__batch *b,
                                struct flv_batch_stamp s,
                                struct flv_err *err)
{
    struct flv_producer *p = lane->producer;
    flv_rc rc = FLV_OK;

    flv_buf_reset(&p->scratch);
    rc = flv_batch_builder_finish(&lane->builder, p->z, p->codec, s,
                                  &p->scratch, err);
    if (rc == FLV_OK) {
        rc = make_chunk(b, p->scratch.len, err);
    }
    if (rc == FLV_OK) {
        memcpy(b->bytes->data, p->scratch.data, p->scratch.len);
    }
    return rc;
}

static flv_rc
finish_batch(struct flv__lane *lane, struct flv__batch *b, struct flv_err *err)
{
    const struct flv_batch_stamp s = take_numbers(lane, lane->builder.count);
    flv_rc rc = lane->producer->codec == FLV_CODEC_NONE
                    ? finish_plain(lane, b, s, err)
                    : finish_compressed(lane, b, s, err);

    if (rc != FLV_OK) {
        flv_chunk_unref(b->bytes);
        return rc;
    }
    b->producer_id = s.producer_id;
    b->sequence = s.first_sequence;
    return FLV_OK;
}

/* Turns what the builder holds into a batch at the end of the ring. A failure
 * changes nothing. */
static flv_rc seal(struct flv__lane *lane, struct flv_err *err)
{
    const int64_t producer_id = lane->producer_id;
    const int32_t sequence = lane->next_sequence;
    struct flv__batch *b = NULL;
    flv_rc rc = FLV_OK;

    if (lane->open.len == 0) {
        lane->due = false;
        return FLV_OK;
    }
    assert(lane->builder.count > 0);
    b = flv_zalloc(1, sizeof(*b));
    if (b == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a batch");
    }
    rc = finish_batch(lane, b, err);
    if (rc != FLV_OK) {
        lane->producer_id = producer_id;
        lane->next_sequence = sequence;
        flv_free(b);
        return rc;
    }
    b->lane = lane;
    b->count = lane->builder.count;
    b->cost = lane->open_cost;
    b->deadline_ms = lane->open_deadline_ms;
    b->since_ns = lane->open_since_ns;
    b->shares = lane->open;
    b->next = &lane->ring;
    b->prev = lane->ring.prev;
    b->prev->next = b;
    lane->ring.prev = b;
    if (lane->next_send == NULL) {
        lane->next_send = b;
    }
    flv_timer_stop(&lane->linger);
    flv_batch_builder_reset(&lane->builder);
    lane->open = (struct flv__shares){.len = 0};
    lane->open_cost = 0;
    lane->due = false;
    return FLV_OK;
}

/* What cannot become a batch fails. */
static void fail_open(struct flv__lane *lane, const struct flv_err *err)
{
    struct flv__shares shares = lane->open;
    const size_t cost = lane->open_cost;

    lane->producer->stats.failed += lane->builder.count;
    flv_timer_stop(&lane->linger);
    flv_batch_builder_reset(&lane->builder);
    lane->open = (struct flv__shares){.len = 0};
    lane->open_cost = 0;
    lane->due = false;
    flv__producer_uncharge(lane->producer, cost);
    settle_shares(lane, &shares, -1, err);
}

static void seal_or_fail(struct flv__lane *lane)
{
    struct flv_err err = {.rc = FLV_OK};

    if (seal(lane, &err) != FLV_OK) {
        fail_open(lane, &err);
    }
}

/* --------------------------------------------------------------- sending */

static void lane_up(struct flv__peer_listener *l)
{
    pump_later(FLV_OWNER_OF(l, struct flv__lane, link));
}

static void lane_down(struct flv__peer_listener *l, const struct flv_err *err)
{
    struct flv__lane *lane = FLV_OWNER_OF(l, struct flv__lane, link);

    lane->proven = false;
    if (!ring_is_empty(lane) || lane->open.len > 0) {
        flv__producer_trouble(lane->producer, err);
    }
}

static void back_off(struct flv__lane *lane)
{
    lane->backing_off =
        flv_timer_start(&lane->retry,
                        flv__backoff_ms(lane->producer->client, lane->attempts),
                        0, NULL) == FLV_OK;
    lane->attempts++;
    if (!lane->backing_off) {
        pump_later(lane);
    }
}

/* Makes sure that the lane talks to the present leader. Nothing is in flight.
 * False: not now; somebody will pump again. */
static bool choose_peer(struct flv__lane *lane)
{
    struct flv_producer *p = lane->producer;
    const struct flv__topic_meta *t =
        flv__meta_topic(&p->client->meta, p->topic);
    const int32_t leader =
        t != NULL ? flv__meta_leader(t, lane->partition) : -1;
    struct flv__peer *peer = NULL;
    struct flv_err err = {.rc = FLV_OK};

    assert(lane->in_flight == 0);
    if (leader < 0 ||
        flv__client_spu(p->client, leader, &peer, &err) != FLV_OK) {
        if (err.rc == FLV_OK) {
            (void)flv_fail(&err, FLV_E_CONNECT,
                           "partition %u of topic %s has no leader",
                           lane->partition, p->topic);
        }
        flv__producer_trouble(p, &err);
        if (lane->peer == NULL) {
            back_off(lane);
        }
        return lane->peer != NULL; /* the metadata may be the old part */
    }
    if (peer != lane->peer) {
        flv__peer_unlisten(&lane->link);
        flv__peer_listen(peer, &lane->link);
        lane->peer = peer;
        lane->proven = false;
    }
    lane->leader = leader;
    return true;
}

/* The server's disk took one batch no more, and nobody wants to wait: those
 * behind it end with it, so that what is stored has no hole. */
static void end_at_disk(struct flv__lane *lane)
{
    const struct flv_err why = lane->disk;

    flv_err_clear(&lane->disk);
    lane->producer_id = -1; /* what comes later is numbered anew */
    lane->next_send = NULL;
    while (!ring_is_empty(lane)) {
        batch_end(lane->ring.next, -1, &why);
    }
    if (lane->open.len > 0) {
        fail_open(lane, &why);
    }
}

/* All is answered after a failure: whatever is left goes out again, from the
 * head. */
static void recover(struct flv__lane *lane)
{
    struct flv__batch *head = lane->ring.next;
    bool wait = false;

    assert(lane->stalled && lane->in_flight == 0);
    lane->stalled = false;
    lane->proven = false;
    if (lane->disk.rc != FLV_OK) {
        end_at_disk(lane);
    }
    if (ring_is_empty(lane)) {
        return;
    }
    /* The server has nothing of the head and will not take it with this
     * number, because a batch before it failed for good or because it forgot
     * us. What is left begins anew under another id. */
    if (head->refused) {
        lane->producer_id = -1;
        for (struct flv__batch *b = head; b != &lane->ring; b = b->next) {
            const struct flv_batch_stamp s = take_numbers(lane, b->count);

            stamp(b, s.producer_id, s.first_sequence);
        }
        wait = lane->attempts > 0;
        lane->attempts++;
    } else {
        wait = head->last_err.wire != 0 || head->last_err.rc == FLV_E_NOMEM;
    }
    lane->next_send = head;
    if (wait) {
        back_off(lane);
    }
}

/* Whether the server's disk is at fault and nobody wants to wait for it. */
static bool ends_at_disk(const struct flv__lane *lane,
                         const struct flv_err *err)
{
    return lane->producer->conf.fail_on_storage &&
           (err->wire == FLV_WIRE_STORAGE_ERROR ||
            err->wire == FLV_WIRE_PARTITION_FULL);
}

/* A batch was not stored, as far as anybody knows. */
static void batch_failed(struct flv__batch *b, const struct flv_err *err)
{
    struct flv__lane *lane = b->lane;
    const bool refused =
        b->producer_id >= 0 && err->wire == FLV_WIRE_OFFSET_OUT_OF_RANGE;

    if (ends_at_disk(lane, err)) {
        lane->disk = *err;
        lane->stalled = true;
        batch_end(b, -1, err);
        return;
    }
    if (!is_numbered(lane) || (refused && is_named(lane)) ||
        (!refused && !flv__may_pass(err))) {
        batch_end(b, -1, err);
        return;
    }
    b->last_err = *err;
    b->refused = refused;
    lane->stalled = true;
    if (!refused) {
        flv__producer_trouble(lane->producer, err);
    }
}

static flv_rc read_answer(const struct flv__batch *b,
                          const struct flv__answer *a,
                          int64_t *out_base,
                          struct flv_err *err)
{
    struct flv_wire_produce_response answer;
    const struct flv_wire_produce_result *r = NULL;
    struct flv_slice in = a->body;
    struct flv_arena arena;
    flv_rc rc = FLV_OK;

    flv_arena_init(&arena, 512, 64 * 1024);
    rc =
        flv_wire_produce_response_decode(a->version, &in, &arena, &answer, err);
    if (rc == FLV_OK &&
        (answer.topics.len != 1 || answer.topics.at[0].partitions.len != 1 ||
         answer.topics.at[0].partitions.at[0].partition !=
             b->lane->partition)) {
        rc = flv_fail(err, FLV_E_PROTOCOL,
                      "%s answered for other partitions than it was sent",
                      flv__peer_address(b->lane->peer));
    }
    if (rc == FLV_OK) {
        r = &answer.topics.at[0].partitions.at[0];
        *out_base = r->base_offset;
        if (r->error.code != FLV_WIRE_NONE) {
            rc = flv_wire_error_raise(&r->error, err);
        }
    }
    flv_arena_deinit(&arena);
    return rc;
}

static void batch_done(struct flv__call *call,
                       const struct flv__answer *a,
                       const struct flv_err *err)
{
    struct flv__batch *b = call->user;
    struct flv__lane *lane = b->lane;
    struct flv_err why = {.rc = FLV_OK};
    int64_t base = -1;

    assert(b->sent && lane->in_flight > 0);
    b->sent = false;
    lane->in_flight--;
    if (a != NULL) {
        (void)read_answer(b, a, &base, &why);
    } else {
        why = *err;
    }
    if (why.rc == FLV_OK) {
        lane->attempts = 0;
        lane->proven = true;
        flv__producer_trouble(lane->producer, NULL);
        batch_end(b, base, NULL);
    } else {
        batch_failed(b, &why);
    }
    pump_later(lane);
}

static flv_rc transmit(struct flv__batch *b, struct flv_err *err)
{
    struct flv__lane *lane = b->lane;
    const struct flv_producer *p = lane->producer;
    flv_rc rc = FLV_OK;

    b->partition = (struct flv_wire_produce_partition){
        .partition = lane->partition,
        .records = flv_slice(b->bytes->data, b->bytes->size),
    };
    b->topic.name = flv_slice_str(p->topic);
    b->topic.partitions.at = &b->partition;
    b->topic.partitions.len = 1;
    b->request = (struct flv_wire_produce_request){
        .acks = p->conf.isolation == FLV_READ_COMMITTED
                    ? FLV_WIRE_ACKS_COMMITTED
                    : FLV_WIRE_ACKS_UNCOMMITTED,
        .timeout_ms = (int32_t)p->conf.timeout_ms,
    };
    b->request.topics.at = &b->topic;
    b->request.topics.len = 1;
    b->call = (struct flv__call){
        .api = FLV_API_SPU_PRODUCE,
        .version = -1,
        .only_ready = true,
        .timeout_ms = p->client->conf.request_timeout_ms,
        .message = {.schema = &flv_wire_produce_request_schema,
                    .body = &b->request},
        .payload = b->bytes,
        .done = batch_done,
        .user = b,
    };
    b->refused = false;
    rc = flv__peer_call(lane->peer, &b->call, err);
    if (rc == FLV_OK) {
        lane->producer->stats.retries += b->tried ? 1 : 0;
        b->sent = true;
        b->tried = true;
        lane->in_flight++;
    }
    return rc;
}

static bool has_room(const struct flv__lane *lane)
{
    return lane->in_flight <
           (lane->proven ? lane->producer->conf.in_flight_max : 1);
}

/* A change of id must not overtake what is in flight under the old one. */
static bool in_order(const struct flv__lane *lane, const struct flv__batch *b)
{
    return lane->in_flight == 0 || b->prev == &lane->ring ||
           b->prev->producer_id == b->producer_id;
}

static void send_ready(struct flv__lane *lane)
{
    struct flv_err err = {.rc = FLV_OK};

    for (;;) {
        struct flv__batch *b = NULL;

        if (!has_room(lane)) {
            return;
        }
        if (lane->next_send == NULL && lane->due) {
            seal_or_fail(lane);
        }
        b = lane->next_send;
        if (b == NULL || !in_order(lane, b)) {
            return;
        }
        if (transmit(b, &err) != FLV_OK) {
            flv__producer_trouble(lane->producer, &err);
            back_off(lane);
            return;
        }
        lane->next_send = b->next != &lane->ring ? b->next : NULL;
    }
}

static void pump(struct flv_task *t)
{
    struct flv__lane *lane = FLV_OWNER_OF(t, struct flv__lane, pump);

    arm_expiry(lane);
    if (lane->stalled && lane->in_flight == 0) {
        recover(lane);
    }
    if (lane->stalled || lane->backing_off) {
        return;
    }
    if (lane->next_send == NULL && !lane->due) {
        return;
    }
    if (lane->in_flight == 0 && !choose_peer(lane)) {
        return;
    }
    if (flv__peer_is_ready(lane->peer)) {
        send_ready(lane);
    }
}

/* ---------------------------------------------------------------- timers */

static void linger_over(struct flv_timer *t)
{
    flv__lane_push(FLV_OWNER_OF(t, struct flv__lane, linger));
}

static void retry_now(struct flv_timer *t)
{
    struct flv__lane *lane = FLV_OWNER_OF(t, struct flv__lane, retry);

    lane->backing_off = false;
    pump_later(lane);
}

static void describe_expiry(const struct flv__lane *lane,
                            const struct flv_err *last,
                            struct flv_err *out)
{
    const struct flv_producer *p = lane->producer;

    if (last == NULL || last->rc == FLV_OK) {
        last = &p->trouble;
    }
    (void)flv_fail(out, FLV_E_TIMEOUT, "not acknowledged within %u ms%s%.120s",
                   p->conf.delivery_timeout_ms, last->rc != FLV_OK ? ": " : "",
                   last->rc != FLV_OK ? last->text : "");
    out->wire = last->wire;
}

static void fail_expired(struct flv__batch *b)
{
    struct flv_err err = {.rc = FLV_OK};

    describe_expiry(b->lane, &b->last_err, &err);
    batch_end(b, -1, &err);
}

static void expired(struct flv_timer *t)
{
    struct flv__lane *lane = FLV_OWNER_OF(t, struct flv__lane, expiry);
    const uint64_t now = now_ms(lane);

    while (!ring_is_empty(lane) && lane->ring.next->deadline_ms <= now) {
        fail_expired(lane->ring.next);
    }
    if (ring_is_empty(lane) && lane->open.len > 0 &&
        lane->open_deadline_ms <= now) {
        struct flv_err err = {.rc = FLV_OK};

        describe_expiry(lane, NULL, &err);
        fail_open(lane, &err);
    }
    pump_later(lane);
}

/* ------------------------------------------------------------- interface */

size_t flv__lane_record_size(const struct flv_msg *msg)
{
    struct flv_batch_builder empty;
    size_t size = 0;

    flv_batch_builder_init(&empty, SIZE_MAX);
    size = flv_batch_builder_size_with(&empty, msg->has_key ? &msg->key : NULL,
                                       msg->value, 0);
    flv_batch_builder_deinit(&empty);
    return size;
}

size_t flv__lane_record_cost(const struct flv_msg *msg)
{
    return RECORD_COST + msg->value.len + (msg->has_key ? msg->key.len : 0);
}

static bool is_full(const struct flv__lane *lane,
                    const struct flv_msg *msg,
                    int64_t time_ms)
{
    return lane->builder.count > 0 &&
           flv_batch_builder_size_with(
               &lane->builder, msg->has_key ? &msg->key : NULL, msg->value,
               time_ms) > lane->producer->conf.batch_size_bytes;
}

static void start_linger(struct flv__lane *lane)
{
    const uint32_t linger_ms = lane->producer->conf.linger_ms;

    if (linger_ms > 0 && flv_timer_active(&lane->linger) &&
        flv_batch_builder_size(&lane->builder) <
            lane->producer->conf.batch_size_bytes) {
        return;
    }
    if (linger_ms == 0 ||
        flv_batch_builder_size(&lane->builder) >=
            lane->producer->conf.batch_size_bytes ||
        flv_timer_start(&lane->linger, linger_ms, 0, NULL) != FLV_OK) {
        flv__lane_push(lane);
    }
}

static flv_rc add_to_builder(struct flv__lane *lane,
                             const struct flv_msg *msg,
                             int64_t time_ms,
                             struct flv_err *err)
{
    if (shares_reserve(&lane->open) != FLV_OK) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a send");
    }
    return flv_batch_builder_add(&lane->builder,
                                 msg->has_key ? &msg->key : NULL, msg->value,
                                 time_ms, err);
}

/* The record is the builder's last. */
static void
note_share(struct flv__lane *lane, struct flv_send *send, bool begins)
{
    struct flv__shares *s = &lane->open;

    assert(lane->builder.count > 0);
    if (s->len > 0 && s->at[s->len - 1].send == send) {
        return;
    }
    assert(s->len < s->cap);
    s->at[s->len++] = (struct flv__share){
        .send = send, .first = lane->builder.count - 1, .begins = begins};
    send->pending++;
}

flv_rc flv__lane_add(struct flv__lane *lane,
                     const struct flv_msg *msg,
                     struct flv_send *send,
                     bool begins,
                     struct flv_err *err)
{
    const uint32_t limit_ms = lane->producer->conf.delivery_timeout_ms;
    const int64_t time_ms = flv_clock_wall_ms();
    flv_rc rc = FLV_OK;

    if (is_full(lane, msg, time_ms)) {
        rc = seal(lane, err);
        pump_later(lane);
    }
    if (rc == FLV_OK) {
        rc = add_to_builder(lane, msg, time_ms, err);
    }
    if (rc == FLV_E_LIMIT && lane->builder.count > 0) {
        rc = seal(lane, err); /* full in another way, or far too old */
        if (rc == FLV_OK) {
            rc = add_to_builder(lane, msg, time_ms, err);
        }
        pump_later(lane);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    if (lane->open.len == 0) {
        lane->open_deadline_ms = limit_ms > 0 ? now_ms(lane) + limit_ms : 0;
        lane->open_since_ns = flv_clock_mono_ns();
        arm_expiry(lane);
    }
    note_share(lane, send, begins);
    lane->open_cost += flv__lane_record_cost(msg);
    start_linger(lane);
    return FLV_OK;
}

void flv__lane_push(struct flv__lane *lane)
{
    if (lane->open.len > 0) {
        lane->due = true;
    }
    pump_later(lane);
}

void flv__lane_leader_changed(struct flv__lane *lane)
{
    pump_later(lane);
}

void flv__lane_fail(struct flv__lane *lane, const struct flv_err *err)
{
    while (!ring_is_empty(lane)) {
        batch_end(lane->ring.next, -1, err);
    }
    if (lane->open.len > 0) {
        fail_open(lane, err);
    }
}

flv_rc flv__lane_create(struct flv_producer *p,
                        uint32_t partition,
                        struct flv__lane **out,
                        struct flv_err *err)
{
    struct flv__lane *lane = flv_zalloc(1, sizeof(*lane));
    struct flv_loop *loop = p->client->loop;

    if (lane == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a partition");
    }
    lane->producer = p;
    lane->partition = partition;
    lane->producer_id = -1;
    lane->leader = -1;
    lane->ring.next = &lane->ring;
    lane->ring.prev = &lane->ring;
    lane->link.up = lane_up;
    lane->link.down = lane_down;
    flv_batch_builder_init(&lane->builder, p->conf.request_size_bytes_max);
    flv_timer_init(&lane->linger, loop, linger_over);
    flv_timer_init(&lane->retry, loop, retry_now);
    flv_timer_init(&lane->expiry, loop, expired);
    flv_task_init(&lane->pump, pump);
    *out = lane;
    return FLV_OK;
}

void flv__lane_destroy(struct flv__lane *lane)
{
    if (lane == NULL) {
        return;
    }
    assert(ring_is_empty(lane) && lane->open.len == 0);
    flv__peer_unlisten(&lane->link);
    flv_timer_stop(&lane->linger);
    flv_timer_stop(&lane->retry);
    flv_timer_stop(&lane->expiry);
    flv_loop_undefer(lane->producer->client->loop, &lane->pump);
    flv_batch_builder_deinit(&lane->builder);
    flv_free(lane->open.at);
    flv_free(lane);
}
