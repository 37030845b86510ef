#include "fake_out.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/field.h"

static void acknowledge(struct flv_task *task)
{
    struct fake_out *o = FLV_OWNER_OF(task, struct fake_out, task);
    while (o->settled < o->append_count) {
        fake_out_settle(o, o->settled, NULL);
        o->settled++;
    }
}

static void close_now(struct flv_task *task)
{
    struct fake_out *o = FLV_OWNER_OF(task, struct fake_out, close_task);
    o->closed(o->closed_arg);
}

static flv_rc append(void *out,
                     uint32_t lane,
                     const struct flv_msg *msgs,
                     size_t count,
                     uint64_t token,
                     struct flv_err *err)
{
    struct fake_out *o = out;
    if (o->full) {
        return flv_fail(err, FLV_E_BUSY, "full");
    }
    if (o->refuse != FLV_OK) {
        return flv_fail(err, o->refuse, "refused by the test");
    }
    assert(o->append_count < FAKE_APPENDS_MAX);
    o->tokens[o->append_count++] = token;
    o->letters += lane != FLV_LANE_TOPIC ? count : 0;
    for (size_t i = 0; i < count; i++) {
        assert(o->record_count < FAKE_RECORDS_MAX);
        char *copy = malloc(msgs[i].value.len + 1);
        assert(copy != NULL);
        if (msgs[i].value.len > 0) {
            memcpy(copy, msgs[i].value.data, msgs[i].value.len);
        }
        copy[msgs[i].value.len] = '\0';
        o->lens[o->record_count] = msgs[i].value.len;
        o->records[o->record_count++] = copy;
    }
    if (o->acknowledge) {
        flv_loop_defer(o->loop, &o->task);
    }
    return FLV_OK;
}

static void push(void *out)
{
    struct fake_out *o = out;
    o->pushes++;
}

static void close_out(void *out, void (*closed)(void *arg), void *arg)
{
    struct fake_out *o = out;
    o->closes++;
    o->closed = closed;
    o->closed_arg = arg;
    flv_loop_undefer(o->loop, &o->task);
    flv_loop_defer(o->loop, &o->close_task);
}

const struct flv_out_ops fake_out_ops = {
    .append = append, .push = push, .close = close_out};

static void pipeline_done(void *arg)
{
    struct fake_out *o = arg;
    o->done = true;
}

void fake_out_init(struct fake_out *o, struct flv_loop *loop)
{
    memset(o, 0, sizeof(*o));
    o->loop = loop;
    flv_task_init(&o->task, acknowledge);
    flv_task_init(&o->close_task, close_now);
}

void fake_out_deinit(struct fake_out *o)
{
    for (size_t i = 0; i < o->record_count; i++) {
        free(o->records[i]);
    }
    o->record_count = 0;
}

void fake_out_settle(struct fake_out *o, size_t i, const struct flv_err *err)
{
    assert(i < o->append_count);
    flv__pipeline_settled(o->src, o->tokens[i], err);
}

struct flv_pipeline_conf fake_out_conf(struct fake_out *o)
{
    return (struct flv_pipeline_conf){.loop = o->loop,
                                      .out_ops = &fake_out_ops,
                                      .out = o,
                                      .drain_ms = 5000,
                                      .done = pipeline_done,
                                      .arg = o};
}

void fake_out_run(struct fake_out *o)
{
    while (!o->done) {
        (void)flv_loop_turn(o->loop, true);
    }
}

void fake_out_wait(struct fake_out *o, size_t count)
{
    while (!o->done && o->record_count < count) {
        (void)flv_loop_turn(o->loop, true);
    }
}

void fake_out_spin(struct fake_out *o)
{
    for (int i = 0; i < 8; i++) {
        (void)flv_loop_turn(o->loop, false);
    }
}
