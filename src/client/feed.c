#include "client/consumer.h"

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"
#include "wire/ext.h"
#include <assert.h>

/* What a frame holds beside its head. */
#define RECORDS_BYTES_MAX ((size_t)32 * 1024 * 1024)

static bool is_live(const struct flv__feed *f)
{
    return !f->ended && f->consumer->state == FLV__CONSUMER_OPEN;
}

/* Tells the owner; err NULL: it works again. */
static void tell_trouble(struct flv__feed *f, const struct flv_err *err)
{
    const struct flv_consumer_conf *c = &f->consumer->conf;

    if (c->trouble != NULL && is_live(f) && (err != NULL || f->troubled)) {
        f->troubled = err != NULL;
        c->trouble(c->user, err);
    }
}

void flv__feed_pump(struct flv__feed *f)
{
    flv_loop_defer(f->consumer->client->loop, &f->pump);
}

static void back_off(struct flv__feed *f)
{
    f->backing_off =
        flv_timer_start(&f->retry,
                        flv__backoff_ms(f->consumer->client, f->attempts), 0,
                        NULL) == FLV_OK;
    f->attempts++;
    if (!f->backing_off) {
        flv__feed_pump(f);
    }
}

static void retry_now(struct flv_timer *t)
{
    struct flv__feed *f = FLV_OWNER_OF(t, struct flv__feed, retry);

    f->backing_off = false;
    flv__feed_pump(f);
}

/* Something was refused: again later, or the end of the consumer. */
static void trouble(struct flv__feed *f, const struct flv_err *err)
{
    struct flv_err why = *err;

    if (flv__may_pass(&why)) {
        if (!f->backing_off) {
            back_off(f);
        }
        tell_trouble(f, err);
        return;
    }
    flv_err_prefix(&why, "%s-%u", f->consumer->topic, f->partition);
    flv__consumer_fail(f->consumer, &why);
}

static void drop_stream(struct flv__feed *f)
{
    flv__peer_cancel(&f->stream);
    flv__peer_cancel(&f->tell);
    f->tell_again = false;
    f->stream_id = 0;
    flv__commit_lost(f);
}

/* ---------------------------------------------------------- positioning */

static int64_t clamp(int64_t n, int64_t low, int64_t high)
{
    return n < low ? low : n > high ? high : n;
}

static void resolve(struct flv__feed *f, int64_t first, int64_t end)
{
    const struct flv_consumer_conf *c = &f->consumer->conf;
    const int64_t n = c->start.n;

    if (f->next_offset < 0) {
        switch (c->start.kind) {
        case FLV_START_END:
            f->next_offset = end;
            break;
        case FLV_START_BEGINNING:
            f->next_offset = first;
            break;
        case FLV_START_ABSOLUTE:
            f->next_offset = n;
            break;
        case FLV_START_FROM_BEGINNING:
            f->next_offset = n > end - first ? end : first + n;
            break;
        case FLV_START_FROM_END:
            f->next_offset = clamp(n > end ? first : end - n, first, end);
            break;
        }
    }
    if (c->stop_at_end && !f->limited) {
        f->stop_offset = f->stop_offset < end ? f->stop_offset : end;
    }
    f->limited = true;
}

static flv_rc read_position(const struct flv__answer *a,
                            int64_t *out_first,
                            int64_t *out_end,
                            struct flv_err *err)
{
    struct flv_wire_fetch_offsets_response answer;
    const struct flv_wire_offsets_partition *p = NULL;
    struct flv_slice in = a->body;
    struct flv_arena arena;
    flv_rc rc = FLV_OK;

    flv_arena_init(&arena, 512, 64 * 1024);
    rc = flv_wire_fetch_offsets_response_decode(a->version, &in, &arena,
                                                &answer, err);
    if (rc == FLV_OK &&
        (answer.topics.len != 1 || answer.topics.at[0].partitions.len != 1)) {
        rc = flv_fail(err, FLV_E_PROTOCOL,
                      "offsets of one partition were asked for, others came");
    }
    if (rc == FLV_OK) {
        p = &answer.topics.at[0].partitions.at[0];
        if (p->error.code != FLV_WIRE_NONE) {
            rc = flv_wire_error_raise(&p->error, err);
        } else if (p->start_offset < 0 ||
                   p->last_stable_offset < p->start_offset) {
            rc = flv_fail(
                err, FLV_E_PROTOCOL, "offsets %lld to %lld are not possible",
                (long long)p->start_offset, (long long)p->last_stable_offset);
        }
    }
    if (rc == FLV_OK) {
        *out_first = p->start_offset;
        *out_end = p->last_stable_offset;
    }
    flv_arena_deinit(&arena);
    return rc;
}

static void position_done(struct flv__call *call,
                          const struct flv__answer *a,
                          const struct flv_err *err)
{
    struct flv__feed *f = call->user;
    struct flv_err why = {.rc = FLV_OK};
    int64_t first = 0;
    int64_t end = 0;

    if (a == NULL) {
        why = *err;
    } else {
        (void)read_position(a, &first, &end, &why);
    }
    if (why.rc != FLV_OK) {
        trouble(f, &why);
        return;
    }
    resolve(f, first, end);
    f->measured = true;
    if (f->consumer->conf.found != NULL) {
        f->consumer->conf.found(f->consumer->conf.user, f->partition, first,
                                end);
    }
    flv__feed_pump(f);
}

static void ask_position(struct flv__feed *f)
{
    struct flv_consumer *k = f->consumer;
    struct flv_err err;

    f->position_topic.name = flv_slice_str(k->topic);
    f->position_topic.partitions.at = &f->partition;
    f->position_topic.partitions.len = 1;
    f->position_body = (struct flv_wire_fetch_offsets_request){
        .topics = {.at = &f->position_topic, .len = 1}};
    f->position = (struct flv__call){
        .api = FLV_API_SPU_FETCH_OFFSETS,
        .version = -1,
        .only_ready = true,
        .timeout_ms = k->client->conf.request_timeout_ms,
        .message = {.schema = &flv_wire_fetch_offsets_request_schema,
                    .body = &f->position_body},
        .done = position_done,
        .user = f,
    };
    if (flv__peer_call(f->peer, &f->position, &err) != FLV_OK) {
        trouble(f, &err);
    }
}

/* -------------------------------------------------------------- telling */

static void tell_done(struct flv__call *call,
                      const struct flv__answer *a,
                      const struct flv_err *err);

/* The server may send the next frame, from `offset` on. */
static void tell(struct flv__feed *f, int64_t offset)
{
    struct flv_err err;

    if (f->tell.state != FLV__CALL_IDLE) {
        f->tell_again = true;
        f->tell_offset = offset;
        return;
    }
    if (f->stream.state != FLV__CALL_SENT || f->stream_id == 0) {
        return; /* the next stream begins there anyway */
    }
    f->tell_entry = (struct flv_wire_offset_update){.offset = offset,
                                                    .stream_id = f->stream_id};
    f->tell_body.offsets.at = &f->tell_entry;
    f->tell_body.offsets.len = 1;
    f->tell = (struct flv__call){
        .api = FLV_API_SPU_UPDATE_OFFSETS,
        .version = -1,
        .only_ready = true,
        .timeout_ms = f->consumer->client->conf.request_timeout_ms,
        .message = {.schema = &flv_wire_update_offsets_request_schema,
                    .body = &f->tell_body},
        .done = tell_done,
        .user = f,
    };
    if (flv__peer_call(f->peer, &f->tell, &err) != FLV_OK) {
        drop_stream(f);
        trouble(f, &err);
    }
}

static void tell_done(struct flv__call *call,
                      const struct flv__answer *a,
                      const struct flv_err *err)
{
    struct flv__feed *f = call->user;
    struct flv_wire_update_offsets_response answer;
    struct flv_err why = {.rc = FLV_OK};
    struct flv_arena arena;
    struct flv_slice in;

    if (a == NULL) {
        (void)err; /* the stream goes the same way */
        return;
    }
    flv_arena_init(&arena, 512, 64 * 1024);
    in = a->body;
    if (flv_wire_update_offsets_response_decode(a->version, &in, &arena,
                                                &answer, &why) == FLV_OK &&
        answer.statuses.len > 0 &&
        answer.statuses.at[0].error.code != FLV_WIRE_NONE) {
        (void)flv_wire_error_raise(&answer.statuses.at[0].error, &why);
    }
    flv_arena_deinit(&arena);
    if (why.rc != FLV_OK) {
        /* An unknown stream, most likely: open another. */
        drop_stream(f);
        if (!f->backing_off) {
            back_off(f);
        }
        return;
    }
    if (f->tell_again) {
        f->tell_again = false;
        tell(f, f->tell_offset);
    }
}

/* -------------------------------------------------------------- deliver */

static void held_drop(struct flv__feed *f)
{
    assert(f->held_count > 0);
    flv_chunk_unref(f->held[0].frame);
    f->held_count--;
    f->held[0] = f->held[1];
    f->held[1] = (struct flv__held){.frame = NULL};
    f->reading = false;
}

/* Opens the next batch of the frame; false at its end. */
static bool open_batch(struct flv__feed *f, bool *more, struct flv_err *err)
{
    struct flv__held *h = &f->held[0];
    struct flv_batch_header header;
    struct flv_slice batch;

    if (h->rest.len == 0 || flv_batch_is_cut(h->rest)) {
        *more = false;
        return true;
    }
    *more = true;
    if (h->floor < 0) {
        h->floor = f->next_offset;
    }
    if (flv_batch_walk(&h->rest, &batch, &header, err) != FLV_OK ||
        flv_batch_check_crc(batch, err) != FLV_OK ||
        flv_batch_reader_open(&f->reader, batch, err) != FLV_OK) {
        return false;
    }
    f->reading = true;
    f->consumer->stats.batches++;
    return true;
}

/* Fills the views with what is wanted of the open batch. */
static bool
read_records(struct flv__feed *f, size_t *count, struct flv_err *err)
{
    struct flv_record_view *views = f->consumer->views;

    while (*count < FLV__FEED_VIEWS_MAX) {
        struct flv_record r;
        bool more = false;

        if (flv_batch_reader_next(&f->reader, &r, &more, err) != FLV_OK) {
            return false;
        }
        if (!more) {
            f->reading = false;
            return true;
        }
        if (r.offset >= f->stop_offset) {
            f->reading = false;
            f->held[0].rest.len = 0;
            return true;
        }
        /* Several records of one offset come from SmartModules. */
        if (r.offset >= f->held[0].floor) {
            views[(*count)++] = (struct flv_record_view){
                .offset = r.offset,
                .timestamp_ms = r.timestamp_ms,
                .key = r.key,
                .value = r.value,
                .has_key = r.has_key,
            };
        }
    }
    return true;
}

static void count_records(struct flv_consumer *k, size_t count)
{
    const int64_t stamp_ms = k->views[count - 1].timestamp_ms;
    const int64_t age_ms = flv_clock_wall_ms() - stamp_ms;

    for (size_t i = 0; i < count; i++) {
        const struct flv_record_view *v = &k->views[i];

        k->stats.bytes += v->value.len + (v->has_key ? v->key.len : 0);
    }
    k->stats.records += count;
    if (stamp_ms >= 0 && age_ms >= 0) {
        flv__latency_add(&k->latency, (uint64_t)age_ms * 1000000);
    }
}

static void hand_over(struct flv__feed *f, size_t count)
{
    struct flv_consumer *k = f->consumer;
    const struct flv_record_batch batch = {
        .topic = k->topic,
        .partition = f->partition,
        .records = k->views,
        .count = count,
        .high_watermark = f->held[0].high_watermark,
        .log_start_offset = f->held[0].log_start_offset,
        .producer_id = f->reader.header.producer_id,
    };

    assert(count > 0 && count <= FLV__FEED_VIEWS_MAX);
    f->next_offset = k->views[count - 1].offset + 1;
    count_records(k, count);
    k->conf.batch(k->conf.user, &batch);
    if (k->conf.offsets == FLV_OFFSETS_AUTO) {
        f->marked = f->next_offset - 1;
    }
}

static void corrupt(struct flv__feed *f, const struct flv_err *err)
{
    struct flv_err why = *err;

    flv_err_prefix(&why, "%s-%u at offset %lld", f->consumer->topic,
                   f->partition, (long long)f->next_offset);
    flv__consumer_fail(f->consumer, &why);
}

static void end_feed(struct flv__feed *f)
{
    flv__feed_stop(f);
    flv__consumer_feed_ended(f->consumer);
}

/* The frame is used up. */
static void frame_over(struct flv__feed *f)
{
    struct flv__held h = f->held[0];

    if (h.next_offset > f->next_offset) {
        f->next_offset = h.next_offset;
    }
    h.frame = NULL;
    held_drop(f);
    if (f->next_offset >= f->stop_offset) {
        end_feed(f);
    } else if (h.err.rc != FLV_OK) {
        drop_stream(f);
        trouble(f, &h.err);
    } else if (!h.told) {
        tell(f, h.next_offset);
    }
}

/* Hands records over until there are none or the consumer pauses. */
static void deliver(struct flv__feed *f)
{
    struct flv_err err = {.rc = FLV_OK};

    if (f->delivering) {
        return;
    }
    f->delivering = true;
    while (is_live(f) && !f->consumer->paused && f->held_count > 0) {
        size_t count = 0;
        bool more = true;

        if (!f->reading && !open_batch(f, &more, &err)) {
            corrupt(f, &err);
            break;
        }
        if (!more) {
            frame_over(f);
            continue;
        }
        if (!read_records(f, &count, &err)) {
            corrupt(f, &err);
            break;
        }
        if (count > 0) {
            hand_over(f, count);
        }
    }
    f->delivering = false;
}

/* --------------------------------------------------------------- stream */

/* Where to go on behind the whole batches of a record set. */
static flv_rc
behind(struct flv_slice records, int64_t *out_next, struct flv_err *err)
{
    struct flv_batch_header header;
    struct flv_slice batch;

    while (records.len > 0 && !flv_batch_is_cut(records)) {
        const flv_rc rc = flv_batch_walk(&records, &batch, &header, err);

        if (rc != FLV_OK) {
            return rc;
        }
        *out_next = header.base_offset + header.last_offset_delta + 1;
    }
    return FLV_OK;
}

/* Behind a record on which a SmartModule failed there is nothing that was
 * looked at, though Fluvio's server names the end of the log then: whoever
 * reads up to there would never hear of the failure. */
static void stop_at_failure(const struct flv_wire_error *e, struct flv__held *h)
{
    if (e->code == FLV_WIRE_SMARTMODULE_RUNTIME_ERROR && e->offset >= 0 &&
        e->offset < h->next_offset) {
        h->next_offset = e->offset;
    }
}

static flv_rc read_frame(struct flv__feed *f,
                         const struct flv__answer *a,
                         struct flv__held *out,
                         struct flv_err *err)
{
    struct flv_wire_stream_fetch_response answer;
    const struct flv_wire_fetch_partition *p = &answer.partition;
    struct flv_slice in = a->body;
    struct flv_arena arena;
    flv_rc rc = FLV_OK;

    flv_arena_init(&arena, 512, 64 * 1024);
    rc = flv_wire_stream_fetch_response_decode(a->version, &in, &arena, &answer,
                                               err);
    if (rc == FLV_OK && (p->partition != f->partition ||
                         !flv_slice_eq_str(answer.topic, f->consumer->topic))) {
        rc = flv_fail(err, FLV_E_PROTOCOL, "records of another partition came");
    }
    if (rc == FLV_OK) {
        *out = (struct flv__held){
            .rest = p->records,
            .floor = -1,
            .next_offset = f->opened_at,
            .high_watermark = p->high_watermark,
            .log_start_offset = p->log_start_offset,
        };
        rc = behind(p->records, &out->next_offset, err);
    }
    if (rc == FLV_OK) {
        if (p->next_filter_offset > 0) {
            out->next_offset = p->next_filter_offset;
        }
        if (p->error.code != FLV_WIRE_NONE) {
            (void)flv_wire_error_raise(&p->error, &out->err);
            stop_at_failure(&p->error, out);
        }
        f->stream_id = answer.stream_id;
    }
    flv_arena_deinit(&arena);
    return rc;
}

/* Fluvio's server sends as many bytes as it was asked for, even where they are
 * less than the first batch. That one is asked for again, whole: telling an
 * offset would bring the same bytes for ever. */
static flv_rc
whole_batch(struct flv__feed *f, struct flv_slice cut, struct flv_err *err)
{
    const size_t need = flv_batch_extent(cut);

    if (need > RECORDS_BYTES_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "a batch has %zu bytes, a frame can have %zu", need,
                        RECORDS_BYTES_MAX);
    }
    if (need <= f->max_bytes) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "only %zu bytes came of a batch of %zu", cut.len, need);
    }
    f->max_bytes = (uint32_t)need;
    drop_stream(f);
    flv__feed_pump(f);
    return FLV_OK;
}

static bool has_only_a_part(const struct flv__held *h)
{
    return h->rest.len > 0 && flv_batch_is_cut(h->rest);
}

static void stream_answer(struct flv__call *call, const struct flv__answer *a)
{
    struct flv__feed *f = call->user;
    struct flv__held h = {.frame = NULL};
    struct flv_err err = {.rc = FLV_OK};
    flv_rc rc = FLV_OK;

    if (f->held_count == FLV__FEED_FRAMES_MAX) {
        rc = flv_fail(&err, FLV_E_PROTOCOL,
                      "more records came than were asked for");
    } else {
        rc = read_frame(f, a, &h, &err);
    }
    if (rc == FLV_OK && has_only_a_part(&h)) {
        rc = whole_batch(f, h.rest, &err);
        if (rc == FLV_OK) {
            return;
        }
        flv_err_prefix(&err, "%s-%u at offset %lld", f->consumer->topic,
                       f->partition, (long long)f->next_offset);
    }
    if (rc != FLV_OK) {
        flv_err_prefix(&err, "%s", flv__peer_address(f->peer));
        flv__consumer_fail(f->consumer, &err);
        return;
    }
    if (h.err.rc == FLV_OK) {
        f->attempts = 0;
        tell_trouble(f, NULL);
    }
    if (h.err.rc != FLV_OK && f->opened_at < f->next_offset) {
        /* It began so early only to learn its id for a commit. */
        flv__commit_fail_all(f, &h.err);
        drop_stream(f);
        flv__feed_pump(f);
        return;
    }
    flv__commit_send(f);
    if (f->ended) {
        return;
    }
    h.frame = flv_chunk_ref(a->frame);
    h.told = h.err.rc == FLV_OK && !f->consumer->paused && f->held_count == 0 &&
             h.next_offset < f->stop_offset;
    f->held[f->held_count++] = h;
    if (h.told) {
        tell(f, h.next_offset);
    }
    deliver(f);
}

static void stream_done(struct flv__call *call,
                        const struct flv__answer *a,
                        const struct flv_err *err)
{
    struct flv__feed *f = call->user;

    assert(a == NULL && err != NULL);
    drop_stream(f);
    if (flv_rc_class(err->rc) == FLV_CLASS_RETRY) {
        flv__feed_pump(f); /* the connection comes back by itself */
    } else {
        trouble(f, err);
    }
}

/* Of a batch of which its SmartModules make more than was asked for Fluvio's
 * server sends nothing, and says nothing, and goes on behind it: it is asked
 * for as much as a frame can hold. */
static uint32_t frame_bytes(const struct flv__feed *f)
{
    const struct flv_consumer *k = f->consumer;
    const bool is_ours =
        flv__peer_lists(k->client->sc, FLV_API_SC_TOPIC_CREATE_EXT);

    return k->conf.smartmodule_count > 0 && !is_ours
               ? (uint32_t)RECORDS_BYTES_MAX
               : f->max_bytes;
}

static void open_stream(struct flv__feed *f)
{
    struct flv_consumer *k = f->consumer;
    struct flv_err err;

    f->measured = false;
    f->opened_at = flv__commit_stream_offset(f);
    f->stream_body = (struct flv_wire_stream_fetch_request){
        .topic = flv_slice_str(k->topic),
        .partition = f->partition,
        .fetch_offset = f->opened_at,
        .max_bytes = (int32_t)frame_bytes(f),
        .isolation = k->conf.isolation == FLV_READ_COMMITTED
                         ? FLV_WIRE_READ_COMMITTED
                         : FLV_WIRE_READ_UNCOMMITTED,
    };
    f->stream_body.smartmodules.at = k->modules;
    f->stream_body.smartmodules.len = (uint32_t)k->conf.smartmodule_count;
    if (k->consumer_id[0] != '\0') {
        f->stream_body.consumer_id.has = true;
        f->stream_body.consumer_id.v = flv_slice_str(k->consumer_id);
    }
    f->stream_id = 0;
    f->stream = (struct flv__call){
        .api = FLV_API_SPU_STREAM_FETCH,
        .version = -1,
        .stream = true,
        .only_ready = true,
        .message = {.schema = &flv_wire_stream_fetch_request_schema,
                    .body = &f->stream_body},
        .answer = stream_answer,
        .done = stream_done,
        .user = f,
    };
    if (flv__peer_call(f->peer, &f->stream, &err) != FLV_OK) {
        trouble(f, &err);
        return;
    }
    if (f->attempts == 0) {
        tell_trouble(f, NULL);
    }
    k->stats.retries += f->opened ? 1 : 0;
    f->opened = true;
    if (k->conf.positioned != NULL && !f->ended) {
        k->conf.positioned(k->conf.user, f->partition, f->next_offset);
    }
    flv__consumer_feed_opened(k);
}

/* ----------------------------------------------------------------- pump */

static void link_up(struct flv__peer_listener *l)
{
    flv__feed_pump(FLV_OWNER_OF(l, struct flv__feed, link));
}

static void link_down(struct flv__peer_listener *l, const struct flv_err *err)
{
    /* The calls have been completed with it. */
    tell_trouble(FLV_OWNER_OF(l, struct flv__feed, link), err);
}

static bool choose_peer(struct flv__feed *f)
{
    struct flv_consumer *k = f->consumer;
    const struct flv__topic_meta *t =
        flv__meta_topic(&k->client->meta, k->topic);
    const int32_t leader = t != NULL ? flv__meta_leader(t, f->partition) : -1;
    struct flv__peer *peer = NULL;

    if (leader < 0 ||
        flv__client_spu(k->client, leader, &peer, NULL) != FLV_OK) {
        if (f->peer == NULL && !f->backing_off) {
            back_off(f);
        }
        return f->peer != NULL;
    }
    if (peer != f->peer) {
        flv__peer_unlisten(&f->link);
        flv__peer_listen(peer, &f->link);
        f->peer = peer;
    }
    return true;
}

static bool needs_position(const struct flv__feed *f)
{
    const struct flv_consumer_conf *c = &f->consumer->conf;
    return f->next_offset < 0 || (c->stop_at_end && !f->limited) ||
           (c->found != NULL && !f->measured);
}

/* A commit needs the stream's id, which comes with its first frame: where
 * none is due, the stream is opened again at a record that is there. */
static bool commit_is_stuck(const struct flv__feed *f)
{
    return f->commits != NULL && f->stream.state == FLV__CALL_SENT &&
           f->stream_id == 0 && f->opened_at > flv__commit_stream_offset(f);
}

/* Opens what is missing: the position, then the stream. */
static void connect(struct flv__feed *f)
{
    if (!choose_peer(f) || !flv__peer_is_ready(f->peer)) {
        return;
    }
    if (!f->ended && needs_position(f)) {
        ask_position(f);
    } else {
        f->limited = true;
        open_stream(f);
    }
}

static void pump(struct flv_task *t)
{
    struct flv__feed *f = FLV_OWNER_OF(t, struct flv__feed, pump);
    const struct flv_consumer *k = f->consumer;

    deliver(f);
    if (k->state == FLV__CONSUMER_OPENING ||
        k->state == FLV__CONSUMER_CLOSING || k->failed || f->backing_off) {
        return;
    }
    flv__commit_send(f);
    if (commit_is_stuck(f)) {
        drop_stream(f);
    }
    if (f->stream.state != FLV__CALL_IDLE ||
        f->position.state != FLV__CALL_IDLE || f->held_count > 0) {
        return;
    }
    if (!f->ended && f->limited && f->next_offset >= f->stop_offset) {
        end_feed(f);
    }
    if (!f->ended || f->commits != NULL) {
        connect(f);
    }
}

/* ------------------------------------------------------------- lifecycle */

flv_rc flv__feed_create(struct flv_consumer *k,
                        uint32_t partition,
                        struct flv__feed **out,
                        struct flv_err *err)
{
    struct flv__feed *f = flv_zalloc(1, sizeof(*f));

    if (f == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a partition");
    }
    f->consumer = k;
    f->partition = partition;
    f->next_offset = -1;
    f->max_bytes = k->conf.max_bytes;
    f->marked = -1;
    f->asked = -1;
    f->stop_offset =
        k->conf.end_offset < 0 ? INT64_MAX : k->conf.end_offset + 1;
    f->link.up = link_up;
    f->link.down = link_down;
    flv_timer_init(&f->retry, k->client->loop, retry_now);
    flv_task_init(&f->pump, pump);
    flv_batch_reader_init(&f->reader, k->z, FLV_BATCH_SECTION_MAX);
    f->reader.sparse = true;
    *out = f;
    return FLV_OK;
}

void flv__feed_stop(struct flv__feed *f)
{
    f->ended = true;
    flv_timer_stop(&f->retry);
    f->backing_off = false;
    flv__peer_cancel(&f->position);
    while (f->held_count > 0) {
        held_drop(f);
    }
}

void flv__feed_destroy(struct flv__feed *f)
{
    if (f == NULL) {
        return;
    }
    assert(f->commits == NULL);
    flv__feed_stop(f);
    drop_stream(f);
    flv__peer_unlisten(&f->link);
    flv_loop_undefer(f->consumer->client->loop, &f->pump);
    flv_batch_reader_deinit(&f->reader);
    flv_free(f);
}
