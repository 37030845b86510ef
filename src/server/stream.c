#include "server/stream.h"

#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/making.h"
#include "server/sift.h"
#include "server/state.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PARTS_MAX 256
#define READ_BYTES_MIN 4096
#define NOTHING_BYTES_MAX ((size_t)1 << 20)

/* What a stream with SmartModules has besides. */
struct sifting {
    struct flv_plan *plan; /* owned; NULL: the chain is made */
    struct flv_sift sift;
    struct flv_sift_pass pass;
    struct flv_making making;
    struct flv_cpu_job job;
    struct flv_slice parts[PARTS_MAX];   /* input of the job */
    struct flv_chunk *chunks[PARTS_MAX]; /* referenced */
    uint32_t part_count;
    struct flv_chunk *frame; /* owned: what the job made */
    size_t job_charge;       /* bytes of the budget that the job holds */
    size_t out_need;         /* outputs of one record larger than bytes_max */
    int64_t to;              /* behind the last frame that was sent */
    struct flv_chunk *ready; /* owned: the next one, not asked for yet */
    int64_t ready_to;
    uint64_t ready_records;
    int64_t catch_up; /* the end of the partition when it began */
    size_t memory;    /* of the chain, as counted by the server */
    bool preparing;   /* the plan, then the chain */
    bool seek;        /* the client went elsewhere meanwhile */
    struct flv_stream *stream;
    struct flv_budget *answers;
    size_t room; /* of the frame that is made */
};

struct flv_stream {
    struct flv_peer *peer;               /* counted */
    struct flv_wire_request_header head; /* version and correlation */
    uint32_t id;
    char topic[FLV_TOPIC_NAME_MAX + 1];
    uint64_t topic_id;
    uint32_t index;
    struct flv_partition *partition; /* borrowed; NULL: gone */
    enum flv_isolation isolation;
    size_t bytes_max;
    int64_t offset; /* wanted next */
    char *consumer; /* owned, or NULL */
    struct flv_part_reader reader;
    struct flv_budget_waiter waiter;
    struct flv_task granted_task;
    size_t charge; /* bytes of the answers' budget held for the next frame */
    size_t need;   /* the batch at `offset` is larger than bytes_max */
    struct flv_wire_error final; /* code != NONE: to be sent, then over */
    char final_text[FLV_ERR_TEXT_MAX];
    bool ended;   /* no longer in the peer's list */
    bool unacked; /* a frame is out and not acknowledged */
    bool writing, reading;
    struct flv_work work;
    struct flv_log_read read;
    struct flv_chunk *chunk;              /* owned: of the read */
    struct flv_partition *read_partition; /* held while reading */
    flv_rc read_rc;
    struct flv_err read_err;
    struct sifting *sm; /* owned; NULL: no SmartModules */
    LIST_ENTRY(flv_stream) link;
};

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

static void pump(struct flv_stream *s);

static struct flv_server *server_of(const struct flv_stream *s)
{
    return s->peer->server;
}

/* The next record to be read: behind the last frame, or, with SmartModules,
 * behind what they have seen. */
static int64_t position(const struct flv_stream *s)
{
    return s->sm != NULL ? s->sm->sift.scan : s->offset;
}

/* ---- life ---- */

static void give_charge(struct flv_stream *s)
{
    size_t n = s->charge;
    s->charge = 0;
    flv_budget_give(&server_of(s)->answers, n);
}

static void drop_input(struct sifting *sm)
{
    for (uint32_t i = 0; i < sm->part_count; i++) {
        flv_chunk_unref(sm->chunks[i]);
    }
    sm->part_count = 0;
}

static void sifting_free(struct flv_smart *smart, struct sifting *sm)
{
    if (sm == NULL) {
        return;
    }
    assert(sm->part_count == 0 && sm->frame == NULL && sm->job_charge == 0);
    assert(sm->ready == NULL);
    flv_plan_drop(sm->plan);
    flv_sift_deinit(&sm->sift);
    (void)flv_smart_resize(smart, &sm->memory, 0);
    flv_smart_leave(smart);
    flv_free(sm);
}

static void free_if_done(struct flv_stream *s)
{
    if (!s->ended || s->writing || s->reading) {
        return;
    }
    assert(s->chunk == NULL && s->partition == NULL && s->charge == 0);
    struct flv_peer *peer = s->peer;
    sifting_free(&server_of(s)->smart, s->sm);
    flv_free(s->consumer);
    flv_free(s);
    flv_peer_unref(peer);
}

static void give_job_charge(struct flv_stream *s)
{
    size_t n = s->sm->job_charge;
    s->sm->job_charge = 0;
    flv_budget_give(&server_of(s)->answers, n);
}

/* What runs ends soon; what waits does not begin. */
static void sift_end(struct flv_stream *s)
{
    struct sifting *sm = s->sm;
    flv_chunk_unref(sm->ready);
    sm->ready = NULL;
    if (sm->plan != NULL &&
        (sm->making.smart == NULL || flv_making_cancel(&sm->making))) {
        s->reading = false;
        flv_plan_drop(sm->plan);
        sm->plan = NULL;
    } else if (sm->plan == NULL && flv_cpu_cancel(&sm->job)) {
        s->reading = false;
        drop_input(sm);
        give_job_charge(s);
    }
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
    flv_loop_undefer(server_of(s)->loop, &s->granted_task);
    flv_budget_cancel(&server_of(s)->answers, &s->waiter);
    if (s->sm != NULL) {
        sift_end(s);
    }
    give_charge(s);
}

void flv_stream_end_all(struct flv_peer *p)
{
    struct flv_stream *s;
    while ((s = LIST_FIRST(&p->streams)) != NULL) {
        end(s);
        free_if_done(s);
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

/* Remembers the last words; pump sends them when the way is free. */
static void finish(struct flv_stream *s, struct flv_wire_error error)
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

/* The same for a trouble of SmartModules, which brings its own bytes. */
static void finish_trouble(struct flv_stream *s, struct flv_trouble *why)
{
    if (s->final.code != FLV_WIRE_NONE) {
        return;
    }
    server_of(s)->counts.module_failures++;
    flv_trouble_downgrade(why, s->head.version);
    if (why != &s->sm->sift.why) {
        flv_trouble_move(&s->sm->sift.why, why);
    }
    s->final = s->sm->sift.why.error;
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
    free_if_done(s);
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
        finish(s, flv_wire_error(FLV_WIRE_PERMISSION_DENIED));
        pump(s); /* may free it, and others */
        s = LIST_FIRST(&p->streams);
    }
}

static void gone(struct flv_part_reader *r)
{
    struct flv_stream *s = FLV_OWNER_OF(r, struct flv_stream, reader);
    s->partition = NULL;
    if (server_of(s)->phase == FLV_SERVER_SERVING) {
        finish(s, flv_wire_error(FLV_WIRE_TOPIC_DELETED));
        pump(s);
    }
}

static void ready(struct flv_part_reader *r)
{
    pump(FLV_OWNER_OF(r, struct flv_stream, reader));
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
    flv_budget_give(&server_of(s)->answers, out->charge);
    flv_free(out);
    s->writing = false;
    if (s->ended) {
        free_if_done(s);
    } else {
        pump(s);
    }
}

/* The frame's head: everything in front of the batches, with both lengths
 * counting them. Lies in the server's scratch buffer. */
static flv_rc encode_head(struct flv_stream *s,
                          size_t batches_bytes,
                          struct flv_slice *out,
                          struct flv_err *err)
{
    struct flv_buf *scratch = &server_of(s)->scratch;
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

/* Takes over the references and as much of the charge as is needed. */
static void send_parts(struct flv_stream *s,
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
        finish(s, flv_wire_error_text(FLV_WIRE_OTHER, "out of memory"));
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
        flv_budget_give(&server_of(s)->answers, out->charge - bytes);
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
    const struct flv_server *server = server_of(s);
    /* Slow readers must not hold on to what producers need. */
    if (server->requests.used > server->requests.max / 2) {
        return false;
    }
    struct flv_slice parts[PARTS_MAX];
    struct flv_chunk *chunks[PARTS_MAX];
    struct flv_tail_parts got = {parts, chunks, PARTS_MAX, 0};
    uint32_t n = flv_tail_get(flv_partition_tail(s->partition), s->offset,
                              visible_end, s->bytes_max, &got);
    if (n == 0) {
        return false;
    }
    send_parts(s, parts, chunks, n, got.records);
    return true;
}

static void read_run(struct flv_work *w)
{
    struct flv_stream *s = FLV_OWNER_OF(w, struct flv_stream, work);
    s->read_rc = flv_log_read_run(&s->read, &s->read_err);
}

/* A frame much smaller than what was set aside for it gives that back. */
static struct flv_chunk *
fit(struct flv_stream *s, struct flv_chunk *chunk, size_t len)
{
    struct flv_chunk *small = NULL;
    if (len >= chunk->size / 2 ||
        flv_chunk_create(&server_of(s)->answers, len, &small) != FLV_OK) {
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
               FLV_KV_I64("offset", position(s)), FLV_KV_ERR(&s->read_err));
    return flv_wire_error_text(FLV_WIRE_OTHER, s->read_err.text);
}

static void sift_submit(struct flv_stream *s);

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
    } else if (s->sm != NULL && s->sm->seek) {
        flv_chunk_unref(chunk);
        s->sm->seek = false;
        flv_sift_seek(&s->sm->sift, s->offset);
    } else if (s->read_rc == FLV_OK && s->read.len > 0 && s->sm != NULL) {
        s->need = 0;
        s->sm->parts[0] = flv_slice(chunk->data, s->read.len);
        s->sm->chunks[0] = chunk;
        s->sm->part_count = 1;
        sift_submit(s);
    } else if (s->read_rc == FLV_OK && s->read.len > 0) {
        chunk = fit(s, chunk, s->read.len);
        const struct flv_slice part = flv_slice(chunk->data, s->read.len);
        s->need = 0;
        send_parts(s, &part, &chunk, 1,
                   (uint64_t)(s->read.next_offset - s->read.base_offset));
    } else {
        flv_chunk_unref(chunk);
        if (s->read_rc == FLV_E_LIMIT &&
            s->read.need_bytes > s->read.buf_bytes) {
            s->need = s->read.need_bytes;
        } else if (s->read_rc != FLV_OK) {
            finish(s, read_error(s));
        }
    }
    if (s->ended) {
        free_if_done(s);
    } else {
        pump(s);
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

/* Uses the charge for the buffer; what SmartModules make has its own part. */
static void read_from_disk(struct flv_stream *s, size_t bytes)
{
    struct flv_log *log = flv_partition_log(s->partition);
    bool ready_to_run = false;
    s->read = (struct flv_log_read){.offset = position(s),
                                    .isolation = s->isolation,
                                    .buf_bytes = bytes,
                                    .bytes_max = s->bytes_max};
    flv_err_clear(&s->read_err);
    flv_rc rc =
        flv_chunk_create_granted(&server_of(s)->answers, bytes, &s->chunk);
    if (rc != FLV_OK) {
        finish(s, flv_wire_error_text(FLV_WIRE_OTHER, "out of memory"));
        return;
    }
    assert(s->charge >= flv_chunk_cost(bytes));
    s->charge -= flv_chunk_cost(bytes);
    s->read.buf = s->chunk->data;
    rc = flv_log_read_prepare(log, &s->read, &ready_to_run, &s->read_err);
    if (rc == FLV_OK && ready_to_run) {
        s->reading = true;
        s->read_partition = s->partition;
        flv_partition_hold(s->partition);
        s->work.run = read_run;
        s->work.done = read_done;
        if (flv_pool_submit(server_of(s)->read_pool, &s->work) == FLV_OK) {
            return;
        }
        s->reading = false;
        s->read_partition = NULL;
        flv_log_read_finish(&s->read);
        flv_partition_release(s->partition);
        rc = flv_fail(&s->read_err, FLV_E_BUSY, "no thread for a disk read");
    }
    flv_chunk_unref(s->chunk);
    s->chunk = NULL;
    if (rc != FLV_OK) {
        finish(s, read_error(s));
    } else {
        flv_partition_wait(s->partition, &s->reader);
    }
}

/* ---- memory for frames ---- */

static void granted_later(struct flv_task *t)
{
    pump(FLV_OWNER_OF(t, struct flv_stream, granted_task));
}

static void granted(struct flv_budget_waiter *w)
{
    struct flv_stream *s = FLV_OWNER_OF(w, struct flv_stream, waiter);
    s->charge += w->need;
    flv_loop_defer(server_of(s)->loop, &s->granted_task);
}

/* The size of the next frame's memory, as far as can be told. */
static size_t bytes_wanted(const struct flv_stream *s)
{
    struct flv_part_info info;
    flv_partition_info(s->partition, &info);
    size_t bytes = s->bytes_max;
    if (info.size_bytes < bytes) {
        bytes = (size_t)info.size_bytes;
    }
    if (bytes < READ_BYTES_MIN) {
        bytes = READ_BYTES_MIN;
    }
    return bytes > s->need ? bytes : s->need;
}

/* While memory is short, a client that reads what it gets may have little at
 * once instead of much later. */
static size_t bytes_now(const struct flv_stream *s)
{
    const struct flv_budget *answers = &server_of(s)->answers;
    const size_t small = FLV_BUDGET_SMALL - flv_chunk_cost(0);
    size_t bytes = bytes_wanted(s);
    bool is_short = answers->head != NULL ||
                    flv_chunk_cost(bytes) > answers->max - answers->used;
    if (!is_short || s->charge > 0 || bytes <= small || s->need > small ||
        flv_conn_write_pending(s->peer->conn) > 0) {
        return bytes;
    }
    return small;
}

/* Holds a charge for `bytes` afterwards, or waits for it. */
static bool take_charge(struct flv_stream *s, size_t bytes)
{
    size_t cost = flv_chunk_cost(bytes);
    if (s->charge == cost) {
        return true;
    }
    give_charge(s);
    struct flv_budget *answers = &server_of(s)->answers;
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
        finish(s, flv_wire_error_text(FLV_WIRE_OTHER,
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
        finish(s, error);
        return false;
    }
    return true;
}

/* ---- SmartModules ---- */

/* A chain that grows beyond what all may have together ends its stream. */
static void count_memory(struct flv_stream *s)
{
    struct sifting *sm = s->sm;
    struct flv_smart *smart = &server_of(s)->smart;
    if (!flv_smart_resize(smart, &sm->memory, flv_sift_memory(&sm->sift))) {
        char text[FLV_ERR_TEXT_MAX];
        snprintf(text, sizeof text,
                 "the SmartModules of all streams would hold more than %zu "
                 "MiB of memory; see --smartmodule-memory-max",
                 smart->conf.memory_bytes_max >> 20);
        finish(s, flv_wire_error_text(FLV_WIRE_OTHER, text));
    }
}

static void pass_run(struct flv_cpu_job *j, struct flv_bench *b)
{
    struct sifting *sm = FLV_OWNER_OF(j, struct sifting, job);
    struct flv_slice frame;
    flv_sift_run(&sm->sift, &sm->pass, b);
    frame = sm->pass.frame;
    if (frame.len == 0) {
        return;
    }
    /* On the job's charge, which is larger. */
    if (flv_chunk_create_granted(sm->answers, frame.len, &sm->frame) ==
        FLV_OK) {
        memcpy(sm->frame->data, frame.data, frame.len);
    } else {
        flv_trouble_set(&sm->sift.why, FLV_WIRE_OTHER, "out of memory");
    }
}

static void send_ready(struct flv_stream *s)
{
    struct sifting *sm = s->sm;
    struct flv_chunk *frame = sm->ready;
    const struct flv_slice part = flv_slice(frame->data, frame->size);
    sm->ready = NULL;
    sm->to = sm->ready_to;
    send_parts(s, &part, &frame, 1, sm->ready_records);
    if (sm->sift.why.error.code != FLV_WIRE_NONE) {
        finish_trouble(s, &sm->sift.why);
    }
}

/* Keeps what the job made; without a frame its charge serves the next one. */
static void use_frame(struct flv_stream *s)
{
    struct sifting *sm = s->sm;
    struct flv_chunk *frame = sm->frame;
    sm->frame = NULL;
    s->charge = sm->job_charge;
    sm->job_charge = 0;
    sm->out_need = sm->pass.need_bytes;
    if (frame != NULL) {
        assert(s->charge >= flv_chunk_cost(frame->size));
        s->charge -= flv_chunk_cost(frame->size);
        give_charge(s);
        sm->ready = frame;
        sm->ready_to = sm->pass.to;
        sm->ready_records = sm->pass.records;
    }
}

static void drop_frame(struct flv_stream *s)
{
    struct sifting *sm = s->sm;
    if (sm->frame != NULL) {
        sm->job_charge -= flv_chunk_cost(sm->frame->size);
        flv_chunk_unref(sm->frame);
        sm->frame = NULL;
    }
    give_job_charge(s);
}

static void pass_done(struct flv_cpu_job *j, flv_rc rc)
{
    struct sifting *sm = FLV_OWNER_OF(j, struct sifting, job);
    struct flv_stream *s = sm->stream;
    s->reading = false;
    drop_input(sm);
    if (s->ended || s->final.code != FLV_WIRE_NONE || sm->seek) {
        drop_frame(s);
        if (sm->seek) {
            sm->seek = false;
            flv_sift_seek(&sm->sift, s->offset);
        }
    } else if (rc != FLV_OK) {
        drop_frame(s);
        finish(s, flv_wire_error_text(FLV_WIRE_OTHER,
                                      "no thread for SmartModules"));
    } else {
        use_frame(s);
    }
    if (s->ended) {
        free_if_done(s);
        return;
    }
    count_memory(s);
    /* Behind the records before it. */
    if (sm->sift.why.error.code != FLV_WIRE_NONE && sm->ready == NULL) {
        finish_trouble(s, &sm->sift.why);
    }
    pump(s);
}

/* The chain's turn, with the input that is there; holds the whole charge. */
static void sift_submit(struct flv_stream *s)
{
    struct sifting *sm = s->sm;
    assert(sm->job_charge == 0 && s->charge > flv_chunk_cost(0));
    sm->job_charge = s->charge;
    s->charge = 0;
    sm->answers = &server_of(s)->answers;
    sm->pass = (struct flv_sift_pass){
        .parts = sm->parts,
        .part_count = sm->part_count,
        .from = sm->to,
        .stop = &sm->job.stop,
        .room_bytes = sm->job_charge - flv_chunk_cost(0),
    };
    if (sm->pass.room_bytes > sm->room) {
        sm->pass.room_bytes = sm->room;
    }
    sm->job.smart = &server_of(s)->smart;
    sm->job.run = pass_run;
    sm->job.done = pass_done;
    sm->job.yields = true;
    s->reading = true;
    flv_cpu_submit(&sm->job);
}

static bool sift_from_tail(struct flv_stream *s, int64_t visible_end)
{
    const struct flv_server *server = server_of(s);
    struct sifting *sm = s->sm;
    if (server->requests.used > server->requests.max / 2) {
        return false;
    }
    struct flv_tail_parts got = {sm->parts, sm->chunks, PARTS_MAX, 0};
    sm->part_count = flv_tail_get(flv_partition_tail(s->partition), position(s),
                                  visible_end, s->bytes_max, &got);
    if (sm->part_count == 0) {
        return false;
    }
    sift_submit(s);
    return true;
}

/* Nothing has come through up to the end that was there at the beginning:
 * a client that reads up to there has to learn it. */
static void send_nothing(struct flv_stream *s)
{
    struct flv_buf out;
    struct flv_chunk *chunk = NULL;
    flv_buf_init(&out, NOTHING_BYTES_MAX);
    flv_rc rc = flv_sift_nothing(s->sm->to, s->sm->sift.scan, &out);
    if (rc == FLV_OK) {
        rc = flv_chunk_create(NULL, out.len, &chunk);
    }
    if (rc == FLV_OK) {
        const struct flv_slice part = flv_slice(chunk->data, out.len);
        memcpy(chunk->data, out.data, out.len);
        s->sm->to = s->sm->sift.scan;
        send_parts(s, &part, &chunk, 1, 0);
    } else {
        finish(s, flv_wire_error_text(FLV_WIRE_OTHER, "out of memory"));
    }
    flv_buf_deinit(&out);
}

/* Bytes for input and for output. */
static bool sift_charge(struct flv_stream *s, size_t *in_bytes)
{
    struct sifting *sm = s->sm;
    const struct flv_budget *answers = &server_of(s)->answers;
    const size_t small = FLV_BUDGET_SMALL / 2 - flv_chunk_cost(0);
    size_t in = bytes_wanted(s);
    size_t room = s->bytes_max > READ_BYTES_MIN ? s->bytes_max : READ_BYTES_MIN;
    bool is_short =
        answers->head != NULL || flv_chunk_cost(in) + flv_chunk_cost(room) >
                                     answers->max - answers->used;
    if (is_short && s->charge == 0 && s->need <= small && in > small) {
        in = small;
    }
    if (is_short && s->charge == 0 && room > small) {
        room = small;
    }
    if (room < sm->out_need) {
        room = sm->out_need;
    }
    *in_bytes = in;
    sm->room = room;
    return take_charge(s, in + sizeof(struct flv_chunk) + room);
}

/* While the client is busy with one frame the next one is made, as long as
 * such frames do not take the memory of others. */
static bool may_go_ahead(const struct flv_stream *s)
{
    const struct flv_budget *answers = &server_of(s)->answers;
    return answers->head == NULL && answers->used < answers->max / 4;
}

static bool sift_step(struct flv_stream *s)
{
    struct sifting *sm = s->sm;
    int64_t visible_end = flv_partition_end(s->partition, s->isolation);
    size_t in_bytes;
    bool asked = !s->unacked && !s->writing;
    if (!asked && (sm->ready != NULL || !may_go_ahead(s))) {
        give_charge(s);
        return false;
    }
    if (sm->ready != NULL) {
        give_charge(s);
        send_ready(s);
        return true;
    }
    if (sm->sift.has_result) {
        if (sift_charge(s, &in_bytes)) {
            sift_submit(s);
        }
        return true;
    }
    if (sm->to < sm->catch_up && sm->sift.scan >= sm->catch_up) {
        give_charge(s);
        if (asked) {
            send_nothing(s);
        }
        return asked;
    }
    if (sm->sift.scan >= visible_end) {
        give_charge(s);
        flv_partition_wait(s->partition, &s->reader);
        return false;
    }
    if (sift_charge(s, &in_bytes) && !sift_from_tail(s, visible_end)) {
        read_from_disk(s, in_bytes);
    }
    return true;
}

static void chain_ready(struct flv_stream *s)
{
    struct sifting *sm = s->sm;
    sm->preparing = false;
    if (sm->seek) {
        sm->seek = false;
        flv_sift_seek(&sm->sift, s->offset);
    }
    count_memory(s);
    if (sm->sift.why.error.code != FLV_WIRE_NONE) {
        finish_trouble(s, &sm->sift.why);
    }
    pump(s);
}

static void made(struct flv_making *k)
{
    struct sifting *sm = FLV_OWNER_OF(k, struct sifting, making);
    struct flv_stream *s = sm->stream;
    s->reading = false;
    flv_plan_drop(sm->plan);
    sm->plan = NULL;
    sm->sift.chain = k->chain;
    flv_trouble_move(&sm->sift.why, &k->why);
    if (s->ended) {
        free_if_done(s);
    } else {
        chain_ready(s);
    }
}

static void prepared(void *ctx, struct flv_trouble *why)
{
    struct flv_stream *s = ctx;
    struct sifting *sm = s->sm;
    if (why->error.code != FLV_WIRE_NONE) {
        flv_trouble_move(&sm->sift.why, why);
        chain_ready(s);
        return;
    }
    sm->sift.loose = flv_plan_is_loose(sm->plan);
    if (s->final.code != FLV_WIRE_NONE) {
        chain_ready(s); /* the topic was deleted meanwhile */
        return;
    }
    sm->making.smart = &server_of(s)->smart;
    sm->making.plan = sm->plan;
    sm->making.partition = s->partition;
    sm->making.done = made;
    s->reading = true;
    flv_making_start(&sm->making);
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
        return sift_step(s);
    }
    int64_t visible_end = flv_partition_end(s->partition, s->isolation);
    if (s->offset >= visible_end) {
        give_charge(s);
        flv_partition_wait(s->partition, &s->reader);
        return false;
    }
    size_t bytes = bytes_now(s);
    if (take_charge(s, bytes) && !send_from_tail(s, visible_end)) {
        read_from_disk(s, bytes);
    }
    return true;
}

/* Last words wait for nothing but the frame under way. */
static bool can_go(const struct flv_stream *s)
{
    bool preparing = s->sm != NULL && s->sm->preparing;
    bool ahead = s->sm != NULL && s->final.code == FLV_WIRE_NONE;
    return !s->ended && !s->reading && (!s->writing || ahead) &&
           (s->final.code != FLV_WIRE_NONE ||
            (!s->waiter.waiting && !s->reader.waiting && !preparing));
}

/* May free the stream. */
static void pump(struct flv_stream *s)
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

/* The part for SmartModules; NULL: *why says it. */
static struct sifting *sifting_new(const struct flv_request *r,
                                   const struct asked *asked,
                                   struct flv_trouble *why)
{
    struct flv_smart *smart = &r->peer->server->smart;
    struct sifting *sm;
    if (!flv_smart_enter(smart, why)) {
        return NULL;
    }
    sm = flv_zalloc(1, sizeof *sm);
    if (sm == NULL) {
        flv_smart_leave(smart);
        flv_trouble_set(why, FLV_WIRE_OTHER, "out of memory");
        return NULL;
    }
    sm->plan = flv_plan_create(smart, asked->at, asked->len, r->frame, why);
    if (sm->plan == NULL) {
        sifting_free(smart, sm);
        return NULL;
    }
    sm->preparing = true;
    return sm;
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

static void begin(struct flv_stream *s)
{
    struct sifting *sm = s->sm;
    if (sm == NULL) {
        pump(s);
        return;
    }
    sm->stream = s;
    sm->to = s->offset;
    sm->catch_up = flv_partition_end(s->partition, s->isolation);
    flv_sift_seek(&sm->sift, s->offset);
    flv_plan_prepare(sm->plan, prepared, s);
}

flv_rc flv_stream_start(const struct flv_request *r,
                        const struct flv_wire_stream_fetch_request *req,
                        struct flv_err *err)
{
    struct flv_server *server = r->peer->server;
    struct flv_topic *t = NULL;
    struct flv_trouble why = {.error = flv_wire_error(FLV_WIRE_NONE)};
    struct sifting *sm = NULL;
    struct asked asked;
    struct flv_partition *p =
        flv_topics_partition(&server->topics, req->topic, req->partition, &t);
    assert(p != NULL);
    read_asked(req, &asked);
    if (asked.len > 0 && (sm = sifting_new(r, &asked, &why)) == NULL) {
        flv_trouble_downgrade(&why, r->head.version);
        flv_stream_refuse(r, req, why.error);
        flv_trouble_clear(&why);
        return FLV_OK;
    }
    struct flv_stream *s = stream_new(r, req);
    if (s == NULL) {
        sifting_free(&server->smart, sm);
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
    begin(s);
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
    if (s->sm != NULL && offset != s->sm->to) {
        s->sm->to = offset;
        s->sm->seek = s->reading;
        flv_chunk_unref(s->sm->ready);
        s->sm->ready = NULL;
        if (!s->reading) {
            flv_sift_seek(&s->sm->sift, offset);
        }
    }
    if (s->partition != NULL) {
        flv_partition_unwait(&s->reader);
    }
    s->offset = offset;
    s->need = 0;
    pump(s);
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
