#include "base/field.h"
#include "base/mem.h"
#include "server/stream_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NOTHING_BYTES_MAX ((size_t)1 << 20)

/* The next record for the chain. */
static int64_t position(const struct flv_stream *s)
{
    return s->sm->sift.scan;
}

/* A trouble of SmartModules brings its own bytes. */
static void finish_trouble(struct flv_stream *s, struct flv_trouble *why)
{
    if (s->final.code != FLV_WIRE_NONE) {
        return;
    }
    flv__stream_server(s)->counts.module_failures++;
    flv_trouble_downgrade(why, s->head.version);
    if (why != &s->sm->sift.why) {
        flv_trouble_move(&s->sm->sift.why, why);
    }
    s->final = s->sm->sift.why.error;
}

/* ---- input ---- */

static void drop_first_input(struct flv__sifting *sm)
{
    flv_chunk_unref(sm->inputs[0].chunk);
    sm->input_count--;
    memmove(sm->inputs, sm->inputs + 1, sm->input_count * sizeof *sm->inputs);
}

static void drop_inputs(struct flv__sifting *sm)
{
    while (sm->input_count > 0) {
        drop_first_input(sm);
    }
}

/* The first input, if there is one, has the next record afterwards. */
static void pass_inputs(struct flv_stream *s)
{
    struct flv__sifting *sm = s->sm;
    while (sm->input_count > 0 && (sm->inputs[0].base > position(s) ||
                                   sm->inputs[0].next <= position(s))) {
        drop_first_input(sm);
    }
}

static void drop_parts(struct flv__sifting *sm)
{
    for (uint32_t i = 0; i < sm->part_count; i++) {
        flv_chunk_unref(sm->chunks[i]);
    }
    sm->part_count = 0;
}

/* The job's part is the first input, which stays until it is passed. */
static void use_input(struct flv__sifting *sm)
{
    assert(sm->part_count == 0);
    if (sm->input_count > 0) {
        const struct flv__input *in = &sm->inputs[0];
        sm->parts[0] = flv_slice(in->chunk->data, in->len);
        sm->chunks[0] = flv_chunk_ref(in->chunk);
        sm->part_count = 1;
    }
}

/* While memory is plenty: what is made or read ahead does not take that of
 * others. Inputs that are there count for nobody else. */
static bool may_go_ahead(const struct flv_stream *s)
{
    const struct flv_budget *answers = &flv__stream_server(s)->answers;
    const struct flv__sifting *sm = s->sm;
    size_t own = 0;
    for (uint32_t i = 0; i < sm->input_count; i++) {
        own += flv_chunk_cost(sm->inputs[i].chunk->size);
    }
    return answers->head == NULL && answers->used < answers->max / 4 + own;
}

/* While the chain has one input the next one is read. What failed so is met
 * again when it is its turn. */
static void read_ahead(struct flv_stream *s)
{
    struct flv__sifting *sm = s->sm;
    struct flv_chunk *chunk = NULL;
    bool started = false;
    if (s->reading || sm->input_count == 0 ||
        sm->input_count == FLV__STREAM_INPUTS_MAX || !may_go_ahead(s)) {
        return;
    }
    const int64_t from = sm->inputs[sm->input_count - 1].next;
    if (from == sm->not_ahead ||
        from >= flv_partition_end(s->partition, s->isolation) ||
        flv_tail_has(flv_partition_tail(s->partition), from) ||
        flv_chunk_create(&flv__stream_server(s)->answers, flv__stream_bytes(s),
                         &chunk) != FLV_OK) {
        return;
    }
    if (flv__stream_read(s, from, chunk, &started) != FLV_OK) {
        flv_err_clear(&s->read_err);
        sm->not_ahead = from;
    }
}

void flv__sifting_read(struct flv_stream *s, struct flv_chunk *chunk)
{
    struct flv__sifting *sm = s->sm;
    const bool ahead =
        sm->busy || sm->ready != NULL || s->read.offset != position(s);
    if (s->read_rc != FLV_OK || s->read.len == 0) {
        flv_chunk_unref(chunk);
        if (ahead) { /* it is met again, behind what comes before it */
            sm->not_ahead = s->read.offset;
        } else {
            flv__stream_read_failed(s);
        }
        return;
    }
    if (s->waiter.waiting) {
        flv_chunk_unref(chunk); /* who waits for memory holds none */
        return;
    }
    s->need = 0;
    /* Only what was dropped can have come between them. */
    assert(sm->input_count < FLV__STREAM_INPUTS_MAX &&
           (sm->input_count == 0 ||
            sm->inputs[sm->input_count - 1].next == s->read.offset));
    sm->inputs[sm->input_count++] =
        (struct flv__input){.chunk = chunk,
                            .len = s->read.len,
                            .base = s->read.base_offset,
                            .next = s->read.next_offset};
}

/* ---- the chain's turn ---- */

/* A chain that grows beyond what all may have together ends its stream. */
static void count_memory(struct flv_stream *s)
{
    struct flv__sifting *sm = s->sm;
    struct flv_smart *smart = &flv__stream_server(s)->smart;
    if (!flv_smart_resize(smart, &sm->memory, flv_sift_memory(&sm->sift))) {
        char text[FLV_ERR_TEXT_MAX];
        snprintf(text, sizeof text,
                 "the SmartModules of all streams would hold more than %zu "
                 "MiB of memory; see --smartmodule-memory-max",
                 smart->conf.memory_bytes_max >> 20);
        flv__stream_finish(s, flv_wire_error_text(FLV_WIRE_OTHER, text));
    }
}

static void pass_run(struct flv_cpu_job *j, struct flv_bench *b)
{
    struct flv__sifting *sm = FLV_OWNER_OF(j, struct flv__sifting, job);
    flv_sift_run(&sm->sift, &sm->pass, b);
}

static void send_ready(struct flv_stream *s)
{
    struct flv__sifting *sm = s->sm;
    struct flv_chunk *frame = sm->ready;
    const struct flv_slice part = flv_slice(frame->data, sm->ready_bytes);
    sm->ready = NULL;
    sm->to = sm->ready_to;
    flv__stream_send(s, &part, &frame, 1, sm->ready_records);
    if (sm->sift.why.error.code != FLV_WIRE_NONE) {
        finish_trouble(s, &sm->sift.why);
    }
}

static void drop_frame(struct flv__sifting *sm)
{
    flv_chunk_unref(sm->frame);
    sm->frame = NULL;
}

/* Keeps what the job made. */
static void use_frame(struct flv_stream *s)
{
    struct flv__sifting *sm = s->sm;
    sm->out_need = sm->pass.need_bytes;
    if (sm->pass.frame_bytes == 0) {
        drop_frame(sm);
        return;
    }
    sm->ready = flv__stream_fit(s, sm->frame, sm->pass.frame_bytes);
    sm->ready_bytes = sm->pass.frame_bytes;
    sm->ready_to = sm->pass.to;
    sm->ready_records = sm->pass.records;
    sm->frame = NULL;
}

static void pass_done(struct flv_cpu_job *j, flv_rc rc)
{
    struct flv__sifting *sm = FLV_OWNER_OF(j, struct flv__sifting, job);
    struct flv_stream *s = sm->stream;
    sm->busy = false;
    drop_parts(sm);
    if (s->ended || s->final.code != FLV_WIRE_NONE || sm->seek) {
        drop_frame(sm);
        if (sm->seek) {
            sm->seek = false;
            flv_sift_seek(&sm->sift, s->offset);
        }
    } else if (rc != FLV_OK) {
        drop_frame(sm);
        flv__stream_finish(
            s,
            flv_wire_error_text(FLV_WIRE_OTHER, "no thread for SmartModules"));
    } else {
        use_frame(s);
    }
    if (s->ended) {
        flv__stream_free_if_done(s);
        return;
    }
    count_memory(s);
    /* Behind the records before it. */
    if (sm->sift.why.error.code != FLV_WIRE_NONE && sm->ready == NULL) {
        finish_trouble(s, &sm->sift.why);
    }
    flv__stream_pump(s);
}

/* The chain's turn, with the parts that are there, for a frame of the charge;
 * what else is charged is given back. */
static void sift_submit(struct flv_stream *s)
{
    struct flv__sifting *sm = s->sm;
    size_t room = s->charge - flv_chunk_cost(0);
    assert(sm->frame == NULL && s->charge > flv_chunk_cost(0));
    if (room > sm->room) {
        room = sm->room;
    }
    if (flv_chunk_create_granted(&flv__stream_server(s)->answers, room,
                                 &sm->frame) != FLV_OK) {
        drop_parts(sm);
        flv__stream_finish(
            s, flv_wire_error_text(FLV_WIRE_OTHER, "out of memory"));
        return;
    }
    s->charge -= flv_chunk_cost(room);
    flv__stream_give_charge(s);
    sm->pass = (struct flv_sift_pass){
        .parts = sm->parts,
        .part_count = sm->part_count,
        .from = sm->to,
        .stop = &sm->job.stop,
        .room = sm->frame->data,
        .room_bytes = room,
    };
    sm->job.smart = &flv__stream_server(s)->smart;
    sm->job.run = pass_run;
    sm->job.done = pass_done;
    sm->job.yields = true;
    sm->busy = true;
    flv_cpu_submit(&sm->job);
    read_ahead(s);
}

static bool sift_from_tail(struct flv_stream *s, int64_t visible_end)
{
    const struct flv_server *server = flv__stream_server(s);
    struct flv__sifting *sm = s->sm;
    if (server->requests.used > server->requests.max / 2) {
        return false;
    }
    struct flv_tail_parts got = {sm->parts, sm->chunks, FLV__STREAM_PARTS_MAX,
                                 0};
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
        flv__stream_send(s, &part, &chunk, 1, 0);
    } else {
        flv__stream_finish(
            s, flv_wire_error_text(FLV_WIRE_OTHER, "out of memory"));
    }
    flv_buf_deinit(&out);
}

/* Memory for a frame, and for its input when that is to be read. */
static bool sift_charge(struct flv_stream *s, size_t *in_bytes)
{
    struct flv__sifting *sm = s->sm;
    const struct flv_budget *answers = &flv__stream_server(s)->answers;
    const size_t small = FLV_BUDGET_SMALL / 2 - flv_chunk_cost(0);
    size_t in = in_bytes != NULL ? flv__stream_bytes(s) : 0;
    size_t room = s->bytes_max > FLV__STREAM_BYTES_MIN ? s->bytes_max
                                                       : FLV__STREAM_BYTES_MIN;
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
    sm->room = room;
    if (in_bytes == NULL) {
        return flv__stream_charge(s, flv_chunk_cost(room));
    }
    *in_bytes = in;
    return flv__stream_charge(s, flv_chunk_cost(in) + flv_chunk_cost(room));
}

/* The way of the next records: from what was read, from the tail, from
 * disk. */
static bool sift_next(struct flv_stream *s, int64_t visible_end)
{
    struct flv__sifting *sm = s->sm;
    size_t in_bytes = 0;
    if (sm->input_count > 0 || sm->sift.has_result) {
        /* What was charged with the input does. */
        if (s->charge > flv_chunk_cost(0) || sift_charge(s, NULL)) {
            /* A frame made larger for one record holds nothing else. */
            if (!sm->sift.has_result || sm->out_need == 0) {
                use_input(sm);
            }
            sift_submit(s);
        } else {
            drop_inputs(sm); /* else all might wait for what others hold */
        }
        return true;
    }
    if (s->reading) {
        return false;
    }
    if (sift_charge(s, &in_bytes) && !sift_from_tail(s, visible_end)) {
        flv__stream_read_next(s, position(s), in_bytes);
    }
    return true;
}

bool flv__sifting_step(struct flv_stream *s)
{
    struct flv__sifting *sm = s->sm;
    const int64_t visible_end = flv_partition_end(s->partition, s->isolation);
    const bool asked = !s->unacked && !s->writing;
    pass_inputs(s);
    if (!asked && flv__stream_server(s)->answers.head != NULL) {
        drop_inputs(sm); /* others wait */
    }
    if (!asked && (sm->ready != NULL || !may_go_ahead(s))) {
        flv__stream_give_charge(s);
        return false;
    }
    if (sm->ready != NULL) {
        flv__stream_give_charge(s);
        send_ready(s);
        return true;
    }
    if (sm->sift.has_result) {
        return sift_next(s, visible_end);
    }
    if (sm->to < sm->catch_up && position(s) >= sm->catch_up) {
        flv__stream_give_charge(s);
        if (asked) {
            send_nothing(s);
        }
        return asked;
    }
    if (position(s) >= visible_end) {
        flv__stream_give_charge(s);
        flv_partition_wait(s->partition, &s->reader);
        return false;
    }
    return sift_next(s, visible_end);
}

/* ---- life ---- */

static void chain_ready(struct flv_stream *s)
{
    struct flv__sifting *sm = s->sm;
    sm->preparing = false;
    if (sm->seek) {
        sm->seek = false;
        flv_sift_seek(&sm->sift, s->offset);
    }
    count_memory(s);
    if (sm->sift.why.error.code != FLV_WIRE_NONE) {
        finish_trouble(s, &sm->sift.why);
    }
    flv__stream_pump(s);
}

static void made(struct flv_making *k)
{
    struct flv__sifting *sm = FLV_OWNER_OF(k, struct flv__sifting, making);
    struct flv_stream *s = sm->stream;
    sm->busy = false;
    flv_plan_drop(sm->plan);
    sm->plan = NULL;
    sm->sift.chain = k->chain;
    flv_trouble_move(&sm->sift.why, &k->why);
    if (s->ended) {
        flv__stream_free_if_done(s);
    } else {
        chain_ready(s);
    }
}

static void prepared(void *ctx, struct flv_trouble *why)
{
    struct flv_stream *s = ctx;
    struct flv__sifting *sm = s->sm;
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
    sm->making.smart = &flv__stream_server(s)->smart;
    sm->making.plan = sm->plan;
    sm->making.partition = s->partition;
    sm->making.done = made;
    sm->busy = true;
    flv_making_start(&sm->making);
}

struct flv__sifting *
flv__sifting_new(const struct flv_request *r,
                 const struct flv_wire_module_invocation *at,
                 uint32_t count,
                 struct flv_trouble *why)
{
    struct flv_smart *smart = &r->peer->server->smart;
    struct flv__sifting *sm;
    if (!flv_smart_enter(smart, why)) {
        return NULL;
    }
    sm = flv_zalloc(1, sizeof *sm);
    if (sm == NULL) {
        flv_smart_leave(smart);
        flv_trouble_set(why, FLV_WIRE_OTHER, "out of memory");
        return NULL;
    }
    sm->plan = flv_plan_create(smart, at, count, r->frame, why);
    if (sm->plan == NULL) {
        flv__sifting_free(smart, sm);
        return NULL;
    }
    sm->preparing = true;
    return sm;
}

void flv__sifting_begin(struct flv_stream *s)
{
    struct flv__sifting *sm = s->sm;
    sm->stream = s;
    sm->to = s->offset;
    sm->catch_up = flv_partition_end(s->partition, s->isolation);
    sm->not_ahead = -1;
    flv_sift_seek(&sm->sift, s->offset);
    flv_plan_prepare(sm->plan, prepared, s);
}

void flv__sifting_update(struct flv_stream *s, int64_t offset)
{
    struct flv__sifting *sm = s->sm;
    if (offset == sm->to) {
        return;
    }
    sm->to = offset;
    sm->seek = sm->busy;
    flv_chunk_unref(sm->ready);
    sm->ready = NULL;
    if (!sm->busy) {
        flv_sift_seek(&sm->sift, offset);
    }
}

void flv__sifting_end(struct flv_stream *s)
{
    struct flv__sifting *sm = s->sm;
    flv_chunk_unref(sm->ready);
    sm->ready = NULL;
    drop_inputs(sm);
    if (sm->plan != NULL &&
        (sm->making.smart == NULL || flv_making_cancel(&sm->making))) {
        sm->busy = false;
        flv_plan_drop(sm->plan);
        sm->plan = NULL;
    } else if (sm->plan == NULL && flv_cpu_cancel(&sm->job)) {
        sm->busy = false;
        drop_parts(sm);
        drop_frame(sm);
    }
}

void flv__sifting_free(struct flv_smart *smart, struct flv__sifting *sm)
{
    if (sm == NULL) {
        return;
    }
    assert(sm->part_count == 0 && sm->frame == NULL);
    assert(sm->ready == NULL && sm->input_count == 0);
    flv_plan_drop(sm->plan);
    flv_sift_deinit(&sm->sift);
    (void)flv_smart_resize(smart, &sm->memory, 0);
    flv_smart_leave(smart);
    flv_free(sm);
}
