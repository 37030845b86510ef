#include "server/stream_internal.h"

#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* One frame on its way to the socket. */
struct sending {
    struct flv_write write; /* first */
    struct flv_stream *stream;
    size_t charge;
    uint32_t chunk_count;
    struct flv_chunk **chunks; /* each one reference; behind the parts */
    struct flv_slice *parts;   /* behind this struct */
    uint8_t *head;             /* behind the chunks */
};

/* The next record to be read: behind the last frame, or, with SmartModules,
 * behind what they have seen. */
static int64_t position(const struct flv_stream *s)
{
    return s->sm != NULL ? s->sm->sift.scan : s->offset;
}

/* ---- life ---- */

void flv__stream_give_charge(struct flv_stream *s)
{
    size_t n = s->charge;
    s->charge = 0;
    flv_budget_give(&flv__stream_server(s)->answers, n);
}

/* Whether the chain is at work: what it made comes first. */
static bool is_busy(const struct flv_stream *s)
{
    return s->sm != NULL && s->sm->busy;
}

void flv__stream_free_if_done(struct flv_stream *s)
{
    if (!s->ended || s->writing || s->reading || is_busy(s)) {
        return;
    }
    assert(s->chunk == NULL && s->partition == NULL && s->charge == 0);
    struct flv_peer *peer = s->peer;
    flv__sifting_free(&flv__stream_server(s)->smart, s->sm);
    flv_free(s->consumer);
    flv_free(s);
    flv_peer_unref(peer);
}

static void leave_partition(struct flv_stream *s)
{
    if (s->partition != NULL) {
        flv_partition_leave(s->partition, &s->reader);
        s->partition = NULL;
    }
}

static void end(struct flv_stream *s)
{
    if (s->ended) {
        return;
    }
    s->ended = true;
    LIST_REMOVE(s, link);
    s->peer->stream_count--;
    leave_partition(s);
    flv_loop_undefer(flv__stream_server(s)->loop, &s->granted_task);
    flv_budget_cancel(&flv__stream_server(s)->answers, &s->waiter);
    if (s->sm != NULL) {
        flv__sifting_end(s);
    }
    flv__stream_give_charge(s);
}

void flv_stream_end_all(struct flv_peer *p)
{
    struct flv_stream *s;
    while ((s = LIST_FIRST(&p->streams)) != NULL) {
        end(s);
        flv__stream_free_if_done(s);
    }
}

/* ---- the last frame ---- */

static struct flv_wire_stream_fetch_response
frame_of(const struct flv_stream *s)
{
    const struct flv_partition *p = s->partition;
    return (struct flv_wire_stream_fetch_response){
        .topic = flv_slice_str(s->topic),
        .stream_id = s->id,
        .partition = {
            .partition = s->index,
            .next_filter_offset = s->sm != NULL ? s->sm->to : 0,
            .high_watermark =
                p != NULL ? flv_partition_end(p, FLV_READ_COMMITTED) : 0,
            .log_start_offset = p != NULL ? flv_partition_start(p) : 0}};
}

void flv__stream_finish(struct flv_stream *s, struct flv_wire_error error)
{
    if (s->final.code != FLV_WIRE_NONE) {
        return;
    }
    if (error.text.len > 0) {
        size_t n = error.text.len < sizeof s->final_text ? error.text.len
                                                         : sizeof s->final_text;
        memcpy(s->final_text, error.text.data, n);
        error.text = flv_slice(s->final_text, n);
    }
    flv_wire_error_downgrade(&error, FLV_WIRE_SPU, s->head.version);
    s->final = error;
}

/* Sends them and ends the stream. */
static void send_final(struct flv_stream *s)
{
    struct flv_wire_stream_fetch_response body = frame_of(s);
    body.partition.error = s->final;
    body.partition.next_filter_offset = 0;
    const struct flv_wire_message message = {
        .schema = &flv_wire_stream_fetch_response_schema, .body = &body};
    s->writing = true; /* stays, even if pushing ends the connection */
    flv_peer_push(s->peer, &s->head, &message);
    s->writing = false;
    end(s);
    flv__stream_free_if_done(s);
}

void flv_stream_recheck(struct flv_peer *p)
{
    struct flv_stream *s = LIST_FIRST(&p->streams);
    while (s != NULL) {
        if (s->final.code != FLV_WIRE_NONE ||
            flv_peer_may(p, FLV_RIGHT_CONSUME, flv_slice_str(s->topic))) {
            s = LIST_NEXT(s, link);
            continue;
        }
        flv__stream_finish(s, flv_wire_error(FLV_WIRE_PERMISSION_DENIED));
        flv__stream_pump(s); /* may free it, and others */
        s = LIST_FIRST(&p->streams);
    }
}

static void gone(struct flv_part_reader *r)
{
    struct flv_stream *s = FLV_OWNER_OF(r, struct flv_stream, reader);
    s->partition = NULL;
    if (flv__stream_server(s)->phase == FLV_SERVER_SERVING) {
        flv__stream_finish(s, flv_wire_error(FLV_WIRE_TOPIC_DELETED));
        flv__stream_pump(s);
    }
}

static void ready(struct flv_part_reader *r)
{
    flv__stream_pump(FLV_OWNER_OF(r, struct flv_stream, reader));
}

/* ---- sending ---- */

static void written(struct flv_write *w, flv_rc rc)
{
    struct sending *out = (struct sending *)w;
    struct flv_stream *s = out->stream;
    (void)rc; /* a broken connection ends through its reader */
    for (uint32_t i = 0; i < out->chunk_count; i++) {
        flv_chunk_unref(out->chunks[i]);
    }
    flv_budget_give(&flv__stream_server(s)->answers, out->charge);
    flv_free(out);
    s->writing = false;
    if (s->ended) {
        flv__stream_free_if_done(s);
    } else {
        flv__stream_pump(s);
    }
}

/* The frame's head: everything in front of the batches, with both lengths
 * counting them. Lies in the server's scratch buffer. */
static flv_rc encode_head(struct flv_stream *s,
                          size_t batches_bytes,
                          struct flv_slice *out,
                          struct flv_err *err)
{
    struct flv_buf *scratch = &flv__stream_server(s)->scratch;
    const struct flv_wire_stream_fetch_response body = frame_of(s);
    const struct flv_wire_message message = {
        .schema = &flv_wire_stream_fetch_response_schema, .body = &body};
    flv_buf_reset(scratch);
    flv_rc rc = flv_wire_response_frame(&s->head, &message, scratch, NULL, err);
    if (rc != FLV_OK) {
        return rc;
    }
    /* The record set is the last field and empty so far. */
    assert(scratch->len > 8 &&
           flv_get_u32(scratch->data + scratch->len - 4) == 0);
    flv_put_u32(scratch->data, (uint32_t)(scratch->len - FLV_WIRE_PREFIX_SIZE +
                                          batches_bytes));
    flv_put_u32(scratch->data + scratch->len - 4, (uint32_t)batches_bytes);
    *out = flv_buf_slice(scratch);
    return FLV_OK;
}

void flv__stream_send(struct flv_stream *s,
                      const struct flv_slice *parts,
                      struct flv_chunk **chunks,
                      uint32_t n,
                      uint64_t records)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        bytes += parts[i].len;
    }
    if (s->partition != NULL) {
        flv_partition_count_out(s->partition, records, bytes);
    }
    struct flv_err err = {0};
    struct flv_slice head;
    struct sending *out = NULL;
    if (encode_head(s, bytes, &head, &err) == FLV_OK) {
        out = flv_alloc(sizeof *out + (n + 1) * sizeof *parts +
                        n * sizeof(void *) + head.len);
    }
    if (out == NULL) {
        for (uint32_t i = 0; i < n; i++) {
            flv_chunk_unref(chunks[i]);
        }
        flv__stream_finish(
            s, flv_wire_error_text(FLV_WIRE_OTHER, "out of memory"));
        return;
    }
    memset(out, 0, sizeof *out);
    out->stream = s;
    out->charge = s->charge;
    out->parts = (struct flv_slice *)(out + 1);
    out->chunks = (struct flv_chunk **)(out->parts + n + 1);
    out->head = (uint8_t *)(out->chunks + n);
    out->chunk_count = n;
    memcpy(out->head, head.data, head.len);
    out->parts[0] = flv_slice(out->head, head.len);
    memcpy(out->parts + 1, parts, n * sizeof *parts);
    memcpy(out->chunks, chunks, n * sizeof(void *));
    if (out->charge > bytes) {
        flv_budget_give(&flv__stream_server(s)->answers, out->charge - bytes);
        out->charge = bytes;
    }
    s->charge = 0;
    s->writing = true;
    s->unacked = true;
    flv_conn_write(s->peer->conn, &out->write, out->parts, n + 1, written);
}

/* ---- reading ---- */

static bool send_from_tail(struct flv_stream *s, int64_t visible_end)
{
    const struct flv_server *server = flv__stream_server(s);
    /* Slow readers must not hold on to what producers need. */
    if (server->requests.used > server->requests.max / 2) {
        return false;
    }
    struct flv_slice parts[FLV__STREAM_PARTS_MAX];
    struct flv_chunk *chunks[FLV__STREAM_PARTS_MAX];
    struct flv_tail_parts got = {parts, chunks, FLV__STREAM_PARTS_MAX, 0};
    uint32_t n = flv_tail_get(flv_partition_tail(s->partition), s->offset,
                              visible_end, s->bytes_max, &got);
    if (n == 0) {
        return false;
    }
    flv__stream_send(s, parts, chunks, n, got.records);
    return true;
}

static void read_run(struct flv_work *w)
{
    struct flv_stream *s = FLV_OWNER_OF(w, struct flv_stream, work);
    s->read_rc = flv_log_read_run(&s->read, &s->read_err);
}

struct flv_chunk *
flv__stream_fit(struct flv_stream *s, struct flv_chunk *chunk, size_t len)
{
    struct flv_chunk *small = NULL;
    if (len >= chunk->size / 2 ||
        flv_chunk_create(&flv__stream_server(s)->answers, len, &small) !=
            FLV_OK) {
        return chunk;
    }
    memcpy(small->data, chunk->data, len);
    flv_chunk_unref(chunk);
    return small;
}

static struct flv_wire_error read_error(const struct flv_stream *s)
{
    bool damage = s->read_err.rc == FLV_E_CORRUPT && s->partition != NULL;
    if (damage) { /* is told once for each segment */
        flv_partition_note_damage(s->partition, s->read.segment_base,
                                  &s->read_err);
    }
    FLV_LOG_AT(damage ? FLV_LEVEL_DEBUG : FLV_LEVEL_WARN, "stream",
               "cannot read", FLV_KV_STR("topic", s->topic),
               FLV_KV_U64("partition", s->index),
               FLV_KV_I64("offset", s->read.offset), FLV_KV_ERR(&s->read_err));
    return flv_wire_error_text(FLV_WIRE_OTHER, s->read_err.text);
}

void flv__stream_read_failed(struct flv_stream *s)
{
    if (s->read_rc == FLV_E_LIMIT && s->read.need_bytes > s->read.buf_bytes) {
        s->need = s->read.need_bytes;
    } else if (s->read_rc != FLV_OK) {
        flv__stream_finish(s, read_error(s));
    }
}

/* What a disk read brought goes out as it is. */
static void use_read(struct flv_stream *s, struct flv_chunk *chunk)
{
    if (s->read_rc != FLV_OK || s->read.len == 0) {
        flv_chunk_unref(chunk);
        flv__stream_read_failed(s);
        return;
    }
    chunk = flv__stream_fit(s, chunk, s->read.len);
    const struct flv_slice part = flv_slice(chunk->data, s->read.len);
    s->need = 0;
    flv__stream_send(s, &part, &chunk, 1,
                     (uint64_t)(s->read.next_offset - s->read.base_offset));
}

static void read_over(struct flv_stream *s)
{
    struct flv_chunk *chunk = s->chunk;
    s->chunk = NULL;
    s->reading = false;
    flv_log_read_finish(&s->read);
    flv_partition_release(s->read_partition);
    s->read_partition = NULL;
    if (s->ended || s->final.code != FLV_WIRE_NONE) {
        flv_chunk_unref(chunk);
    } else if (s->sm != NULL) {
        flv__sifting_read(s, chunk);
    } else {
        use_read(s, chunk);
    }
    if (s->ended) {
        flv__stream_free_if_done(s);
    } else {
        flv__stream_pump(s);
    }
}

static void read_done(struct flv_work *w, flv_rc rc)
{
    struct flv_stream *s = FLV_OWNER_OF(w, struct flv_stream, work);
    if (rc != FLV_OK) {
        s->read_rc = flv_fail(&s->read_err, rc, "the server is stopping");
    }
    read_over(s);
}

flv_rc flv__stream_read(struct flv_stream *s,
                        int64_t offset,
                        struct flv_chunk *chunk,
                        bool *out_started)
{
    struct flv_log *log = flv_partition_log(s->partition);
    bool ready_to_run = false;
    assert(!s->reading && s->chunk == NULL);
    *out_started = false;
    s->read = (struct flv_log_read){.offset = offset,
                                    .isolation = s->isolation,
                                    .buf = chunk->data,
                                    .buf_bytes = chunk->size,
                                    .bytes_max = s->bytes_max};
    flv_err_clear(&s->read_err);
    flv_rc rc =
        flv_log_read_prepare(log, &s->read, &ready_to_run, &s->read_err);
    if (rc == FLV_OK && ready_to_run) {
        s->reading = true;
        s->chunk = chunk;
        s->read_partition = s->partition;
        flv_partition_hold(s->partition);
        s->work.run = read_run;
        s->work.done = read_done;
        if (flv_pool_submit(flv__stream_server(s)->read_pool, &s->work) ==
            FLV_OK) {
            *out_started = true;
            return FLV_OK;
        }
        s->reading = false;
        s->chunk = NULL;
        s->read_partition = NULL;
        flv_log_read_finish(&s->read);
        flv_partition_release(s->partition);
        rc = flv_fail(&s->read_err, FLV_E_BUSY, "no thread for a disk read");
    }
    flv_chunk_unref(chunk);
    return rc;
}

void flv__stream_read_next(struct flv_stream *s, int64_t offset, size_t bytes)
{
    struct flv_chunk *chunk = NULL;
    bool started = false;
    flv_rc rc = flv_chunk_create_granted(&flv__stream_server(s)->answers, bytes,
                                         &chunk);
    if (rc != FLV_OK) {
        flv__stream_finish(
            s, flv_wire_error_text(FLV_WIRE_OTHER, "out of memory"));
        return;
    }
    assert(s->charge >= flv_chunk_cost(bytes));
    s->charge -= flv_chunk_cost(bytes);
    if (flv__stream_read(s, offset, chunk, &started) != FLV_OK) {
        flv__stream_finish(s, read_error(s));
    } else if (!started) {
        flv_partition_wait(s->partition, &s->reader);
    }
}

/* ---- memory for frames ---- */

static void granted_later(struct flv_task *t)
{
    flv__stream_pump(FLV_OWNER_OF(t, struct flv_stream, granted_task));
}

static void granted(struct flv_budget_waiter *w)
{
    struct flv_stream *s = FLV_OWNER_OF(w, struct flv_stream, waiter);
    s->charge += w->need;
    flv_loop_defer(flv__stream_server(s)->loop, &s->granted_task);
}

size_t flv__stream_bytes(const struct flv_stream *s)
{
    struct flv_part_info info;
    flv_partition_info(s->partition, &info);
    size_t bytes = s->bytes_max;
    if (info.size_bytes < bytes) {
        bytes = (size_t)info.size_bytes;
    }
    if (bytes < FLV__STREAM_BYTES_MIN) {
        bytes = FLV__STREAM_BYTES_MIN;
    }
    return bytes > s->need ? bytes : s->need;
}

/* While memory is short, a client that reads what it gets may have little at
 * once instead of much later. */
static size_t bytes_now(const struct flv_stream *s)
{
    const struct flv_budget *answers = &flv__stream_server(s)->answers;
    const size_t small = FLV_BUDGET_SMALL - flv_chunk_cost(0);
    size_t bytes = flv__stream_bytes(s);
    bool is_short = answers->head != NULL ||
                    flv_chunk_cost(bytes) > answers->max - answers->used;
    if (!is_short || s->charge > 0 || bytes <= small || s->need > small ||
        flv_conn_write_pending(s->peer->conn) > 0) {
        return bytes;
    }
    return small;
}

bool flv__stream_charge(struct flv_stream *s, size_t cost)
{
    if (s->charge == cost) {
        return true;
    }
    flv__stream_give_charge(s);
    struct flv_budget *answers = &flv__stream_server(s)->answers;
    flv_rc rc = flv_budget_take(answers, cost);
    if (rc == FLV_OK) {
        s->charge = cost;
        return true;
    }
    if (rc == FLV_E_BUSY) {
        s->waiter.granted = granted;
        s->waiter.need = cost;
        flv_budget_wait(answers, &s->waiter);
    } else {
        flv__stream_finish(
            s, flv_wire_error_text(FLV_WIRE_OTHER,
                                   "the next batch is larger than the "
                                   "server's memory for answers; see "
                                   "--memory-max"));
    }
    return false;
}

static bool in_range(struct flv_stream *s)
{
    int64_t start = flv_partition_start(s->partition);
    if (position(s) < start) {
        struct flv_wire_error error = {.code = FLV_WIRE_OFFSET_EVICTED,
                                       .offset = position(s),
                                       .next_available = start};
        flv__stream_finish(s, error);
        return false;
    }
    return true;
}

/* ---- the pump ---- */

/* Does what can be done now; false: something else has to happen first. */
static bool step(struct flv_stream *s)
{
    if (s->unacked && s->sm == NULL) {
        return false;
    }
    assert(s->partition != NULL);
    if (!in_range(s)) {
        return true;
    }
    if (s->sm != NULL) {
        return flv__sifting_step(s);
    }
    int64_t visible_end = flv_partition_end(s->partition, s->isolation);
    if (s->offset >= visible_end) {
        flv__stream_give_charge(s);
        flv_partition_wait(s->partition, &s->reader);
        return false;
    }
    size_t bytes = bytes_now(s);
    if (flv__stream_charge(s, flv_chunk_cost(bytes)) &&
        !send_from_tail(s, visible_end)) {
        flv__stream_read_next(s, s->offset, bytes);
    }
    return true;
}

/* Last words wait for nothing but the frame under way. */
static bool can_go(const struct flv_stream *s)
{
    bool preparing = s->sm != NULL && s->sm->preparing;
    bool ahead = s->sm != NULL && s->final.code == FLV_WIRE_NONE;
    bool working = s->sm != NULL ? s->sm->busy : s->reading;
    return !s->ended && !working && (!s->writing || ahead) &&
           (s->final.code != FLV_WIRE_NONE ||
            (!s->waiter.waiting && !s->reader.waiting && !preparing));
}

void flv__stream_pump(struct flv_stream *s)
{
    while (can_go(s)) {
        if (s->final.code != FLV_WIRE_NONE) {
            send_final(s);
            return;
        }
        if (!step(s)) {
            return;
        }
    }
}

/* ---- start ---- */

/* The chain that is asked for, in whatever form: a list since 18, before that
 * one at most. Borrows from the request. */
struct asked {
    const struct flv_wire_module_invocation *at;
    uint32_t len;
    struct flv_wire_module_invocation one;
};

static void read_asked(const struct flv_wire_stream_fetch_request *req,
                       struct asked *out)
{
    *out = (struct asked){.at = req->smartmodules.at,
                          .len = req->smartmodules.len};
    if (out->len > 0) {
        return;
    }
    if (req->smartmodule.has) {
        out->one = req->smartmodule.v;
    } else if (req->wasm_payload.has) {
        out->one.wasm.tag = 1;
        out->one.wasm.gzip = req->wasm_payload.v.wasm.bytes;
        out->one.kind = req->wasm_payload.v.kind;
        out->one.params = req->wasm_payload.v.params;
    } else if (req->wasm_module.len > 0) {
        out->one.wasm.tag = 1;
        out->one.wasm.gzip = req->wasm_module;
    } else {
        return;
    }
    out->at = &out->one;
    out->len = 1;
}

void flv_stream_refuse(const struct flv_request *r,
                       const struct flv_wire_stream_fetch_request *req,
                       struct flv_wire_error error)
{
    bool unknown = error.code == FLV_WIRE_NOT_LEADER_FOR_PARTITION;
    flv_wire_error_downgrade(&error, FLV_WIRE_SPU, r->head.version);
    const struct flv_wire_stream_fetch_response body = {
        .topic = req->topic,
        .stream_id = unknown ? 0 : ++r->peer->next_stream_id,
        .partition = {.partition = req->partition, .error = error}};
    const struct flv_wire_message message = {
        .schema = &flv_wire_stream_fetch_response_schema, .body = &body};
    flv_peer_push(r->peer, &r->head, &message);
}

static struct flv_stream *
stream_new(const struct flv_request *r,
           const struct flv_wire_stream_fetch_request *req)
{
    struct flv_stream *s = flv_zalloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    if (req->consumer_id.has) {
        s->consumer = flv_slice_dup(req->consumer_id.v);
        if (s->consumer == NULL) {
            flv_free(s);
            return NULL;
        }
    }
    assert(req->topic.len <= FLV_TOPIC_NAME_MAX);
    memcpy(s->topic, req->topic.data, req->topic.len);
    s->head = r->head;
    s->head.client_id = flv_slice(NULL, 0);
    s->index = req->partition;
    s->offset = req->fetch_offset;
    s->isolation = req->isolation == FLV_WIRE_READ_COMMITTED
                       ? FLV_READ_COMMITTED
                       : FLV_READ_UNCOMMITTED;
    s->bytes_max = req->max_bytes > 0 ? (size_t)req->max_bytes : 1;
    if (s->bytes_max > FLV_STREAM_BYTES_MAX) {
        s->bytes_max = FLV_STREAM_BYTES_MAX;
    }
    s->reader.ready = ready;
    s->reader.gone = gone;
    flv_task_init(&s->granted_task, granted_later);
    return s;
}

flv_rc flv_stream_start(const struct flv_request *r,
                        const struct flv_wire_stream_fetch_request *req,
                        struct flv_err *err)
{
    struct flv_server *server = r->peer->server;
    struct flv_topic *t = NULL;
    struct flv_trouble why = {.error = flv_wire_error(FLV_WIRE_NONE)};
    struct flv__sifting *sm = NULL;
    struct asked asked;
    struct flv_partition *p =
        flv_topics_partition(&server->topics, req->topic, req->partition, &t);
    assert(p != NULL);
    read_asked(req, &asked);
    if (asked.len > 0 &&
        (sm = flv__sifting_new(r, asked.at, asked.len, &why)) == NULL) {
        flv_trouble_downgrade(&why, r->head.version);
        flv_stream_refuse(r, req, why.error);
        flv_trouble_clear(&why);
        return FLV_OK;
    }
    struct flv_stream *s = stream_new(r, req);
    if (s == NULL) {
        flv__sifting_free(&server->smart, sm);
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    s->peer = flv_peer_ref(r->peer);
    s->id = ++s->peer->next_stream_id;
    s->topic_id = t->id;
    s->partition = p;
    s->sm = sm;
    LIST_INSERT_HEAD(&s->peer->streams, s, link);
    s->peer->stream_count++;
    flv_partition_join(p, &s->reader);
    if (sm != NULL) {
        flv__sifting_begin(s);
    } else {
        flv__stream_pump(s);
    }
    return FLV_OK;
}

/* ---- from the client ---- */

static struct flv_stream *find(const struct flv_peer *p, uint32_t stream_id)
{
    struct flv_stream *s;
    LIST_FOREACH(s, &p->streams, link)
    {
        if (s->id == stream_id) {
            return s;
        }
    }
    return NULL;
}

bool flv_stream_update(struct flv_peer *p, uint32_t stream_id, int64_t offset)
{
    struct flv_stream *s = find(p, stream_id);
    if (s == NULL) {
        return false;
    }
    s->unacked = false;
    if (s->sm != NULL) {
        flv__sifting_update(s, offset);
    }
    if (s->partition != NULL) {
        flv_partition_unwait(&s->reader);
    }
    s->offset = offset;
    s->need = 0;
    flv__stream_pump(s);
    return true;
}

bool flv_stream_consumer(const struct flv_peer *p,
                         uint32_t stream_id,
                         struct flv_stream_consumer *out)
{
    const struct flv_stream *s = find(p, stream_id);
    if (s == NULL || s->final.code != FLV_WIRE_NONE) {
        return false;
    }
    *out = (struct flv_stream_consumer){
        .topic_id = s->topic_id, .partition = s->index, .name = s->consumer};
    return true;
}
