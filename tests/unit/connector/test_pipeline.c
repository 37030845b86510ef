
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/field.h"
#include "cm.h"
#include "fake_out.h"

/* A source that is driven by the test: it gives `ready` more records, at most
 * `burst` a pull. */
struct plan {
    uint32_t ready, burst, credit_seen;
    uint64_t made, settled;
    unsigned settle_calls, pulls, closes;
    bool fail_open, late_close, end_inside, went_back;
    struct flv_source *src;
};

struct plan_state {
    struct plan *plan; /* borrowed */
};

static struct flv_loop *loop;
static struct fake_out out;

static flv_rc plan_open(void *state,
                        const void *conf,
                        struct flv_source *src,
                        struct flv_err *err)
{
    struct plan_state *s = state;
    struct plan *plan = *(struct plan *const *)conf;
    if (plan->fail_open) {
        return flv_fail(err, FLV_E_INVALID, "does not open");
    }
    s->plan = plan;
    plan->src = src;
    return FLV_OK;
}

static void plan_pull(void *state, struct flv_batch *batch, uint32_t credit)
{
    struct plan *p = ((struct plan_state *)state)->plan;
    uint32_t want = p->ready < p->burst ? p->ready : p->burst;
    p->pulls++;
    p->credit_seen = credit;
    for (uint32_t i = 0; i < want && i < credit; i++) {
        char text[32];
        int len = snprintf(text, sizeof(text), "r%llu",
                           (unsigned long long)p->made + 1);
        if (flv_batch_next_number(batch) != p->made + 1 ||
            flv_batch_add(batch, NULL, 0, text, (size_t)len, NULL) != FLV_OK) {
            return;
        }
        p->made++;
        p->ready--;
    }
    if (p->end_inside && p->ready == 0) {
        flv_source_end(p->src);
    }
}

static void plan_settled(void *state, uint64_t upto)
{
    struct plan *p = ((struct plan_state *)state)->plan;
    p->went_back = p->went_back || upto <= p->settled;
    p->settled = upto;
    p->settle_calls++;
}

static void plan_close(void *state)
{
    struct plan *p = ((struct plan_state *)state)->plan;
    p->closes++;
    if (!p->late_close) {
        flv_source_closed(p->src);
    }
}

static const struct flv_source_ops plan_ops = {
    .state_size = sizeof(struct plan_state),
    .open = plan_open,
    .pull = plan_pull,
    .settled = plan_settled,
    .close = plan_close,
};
static const struct flv_connector plan_type = {
    .abi = FLV_CONNECTOR_ABI, .name = "plan", .source = &plan_ops};

static struct plan *plan_conf;

static struct flv_source *open_with(struct plan *p,
                                    struct flv_pipeline_conf conf)
{
    struct flv_err err = {0};
    conf.type = &plan_type;
    plan_conf = p;
    conf.conf = &plan_conf;
    if (flv__pipeline_open(&out.src, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return out.src;
}

static struct flv_source *open_plan(struct plan *p)
{
    fake_out_init(&out, loop);
    return open_with(p, fake_out_conf(&out));
}

static void finish(struct flv_source *src)
{
    assert_true(out.done);
    assert_int_equal(out.closes, 1);
    flv__pipeline_destroy(src);
    fake_out_deinit(&out);
    flv_loop_run(loop); /* returns: nothing was left behind */
}

static void ready(struct plan *p, uint32_t more)
{
    p->ready += more;
    flv_source_wake(p->src);
    fake_out_spin(&out);
}

/* ------------------------------------------------------------------------ */

static void records_arrive_in_order_and_are_settled(void **state)
{
    (void)state;
    struct plan p = {.ready = 2500, .burst = 100000, .end_inside = true};
    struct flv_source *src = open_plan(&p);
    out.acknowledge = true;
    fake_out_run(&out);
    assert_int_equal(out.record_count, 2500);
    for (size_t i = 0; i < 2500; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "r%zu", i + 1);
        assert_string_equal(out.records[i], text);
    }
    struct flv_pipeline_counts n;
    flv__pipeline_counts(src, &n);
    assert_int_equal(n.stages.in, 2500);
    assert_int_equal(n.stages.passed, 2500);
    assert_int_equal(n.out, 2500);
    assert_int_equal(n.acked, 2500);
    assert_int_equal(p.settled, 2500);
    assert_false(p.went_back);
    assert_null(flv__pipeline_cause(src));
    finish(src);
}

static void only_the_longest_durable_prefix_is_settled(void **state)
{
    (void)state;
    struct plan p = {.burst = 2};
    struct flv_source *src = open_plan(&p);
    ready(&p, 8); /* four appends of two */
    assert_int_equal(out.append_count, 4);
    assert_int_equal(p.settle_calls, 0);
    fake_out_settle(&out, 1, NULL);
    fake_out_settle(&out, 2, NULL);
    assert_int_equal(p.settle_calls, 0);
    fake_out_settle(&out, 0, NULL);
    assert_int_equal(p.settled, 6);
    assert_int_equal(p.settle_calls, 1);
    fake_out_settle(&out, 3, NULL);
    assert_int_equal(p.settled, 8);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    finish(src);
}

static void nothing_behind_a_failure_is_ever_settled(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_source *src = open_plan(&p);
    struct flv_err first = {0}, second = {0};
    (void)flv_fail(&first, FLV_E_NOT_FOUND, "the topic is gone");
    (void)flv_fail(&second, FLV_E_CANCELED, "cancelled");
    ready(&p, 4);
    fake_out_settle(&out, 0, NULL);
    fake_out_settle(&out, 1, &first);
    fake_out_settle(&out, 2, NULL);
    fake_out_settle(&out, 3, &second);
    fake_out_run(&out);
    assert_int_equal(p.settled, 1);
    assert_non_null(flv__pipeline_cause(src));
    assert_string_equal(flv__pipeline_cause(src)->text, "the topic is gone");
    finish(src);
}

static void records_in_flight_are_bounded(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_source *src = open_plan(&p);
    p.ready = 5000;
    flv_source_wake(src);
    for (int i = 0; i < 5000; i++) {
        (void)flv_loop_turn(loop, false);
    }
    assert_int_equal(out.append_count, FLV_IN_FLIGHT_BATCHES_MAX);
    fake_out_settle(&out, 0, NULL);
    fake_out_spin(&out);
    assert_int_equal(out.append_count, FLV_IN_FLIGHT_BATCHES_MAX + 1);
    out.acknowledge = true;
    out.settled = 1;
    flv__pipeline_stop(src);
    for (size_t i = 1; i < out.append_count; i++) {
        fake_out_settle(&out, i, NULL);
    }
    fake_out_run(&out);
    finish(src);
}

static void credit_never_exceeds_a_batch(void **state)
{
    (void)state;
    struct plan p = {.ready = 3000, .burst = 100000};
    struct flv_source *src = open_plan(&p);
    fake_out_spin(&out);
    assert_int_equal(p.credit_seen, FLV_BATCH_RECORDS_MAX);
    assert_int_equal(out.record_count, 3000);
    assert_int_equal(out.append_count, 3);
    out.acknowledge = true;
    flv_loop_defer(loop, &out.task);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    finish(src);
}

static void a_full_stream_holds_the_source_back(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_source *src = open_plan(&p);
    out.full = true;
    ready(&p, 3);
    assert_int_equal(p.made, 1);
    assert_int_equal(out.record_count, 0);
    ready(&p, 0); /* waking changes nothing */
    assert_int_equal(p.made, 1);
    out.full = false;
    out.acknowledge = true;
    flv__pipeline_writable(src);
    fake_out_spin(&out);
    assert_int_equal(out.record_count, 3);
    assert_string_equal(out.records[0], "r1");
    assert_int_equal(p.settled, 3);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    finish(src);
}

static void a_stop_delivers_what_was_pulled(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_source *src = open_plan(&p);
    ready(&p, 1);
    out.full = true;
    ready(&p, 1);
    assert_int_equal(p.made, 2);
    flv__pipeline_stop(src);
    flv__pipeline_stop(src);
    p.ready = 5;
    flv_source_wake(src);
    fake_out_spin(&out);
    assert_int_equal(p.made, 2); /* nothing new is pulled */
    assert_int_equal(p.closes, 0);
    assert_true(out.pushes > 0);
    out.full = false;
    out.acknowledge = true;
    flv__pipeline_writable(src);
    fake_out_run(&out);
    assert_int_equal(out.record_count, 2);
    assert_int_equal(p.settled, 2);
    assert_int_equal(p.closes, 1);
    assert_null(flv__pipeline_cause(src));
    finish(src);
}

static void a_drain_that_takes_too_long_is_a_failure(void **state)
{
    (void)state;
    struct plan p = {.burst = 3};
    fake_out_init(&out, loop);
    struct flv_pipeline_conf conf = fake_out_conf(&out);
    conf.drain_ms = 30;
    struct flv_source *src = open_with(&p, conf);
    ready(&p, 3);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    assert_int_equal(flv__pipeline_cause(src)->rc, FLV_E_TIMEOUT);
    assert_string_equal(flv__pipeline_cause(src)->text,
                        "3 records were not acknowledged within 30 ms of the "
                        "stop");
    assert_int_equal(p.settle_calls, 0);
    finish(src);
}

static void the_first_cause_is_kept(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_source *src = open_plan(&p);
    struct flv_err first = {0}, second = {0};
    (void)flv_fail(&first, FLV_E_IO, "first");
    (void)flv_fail(&second, FLV_E_IO, "second");
    ready(&p, 1);
    flv_source_fail(src, &first);
    flv_source_fail(src, &second);
    out.acknowledge = true;
    flv_loop_defer(loop, &out.task);
    fake_out_run(&out);
    assert_string_equal(flv__pipeline_cause(src)->text, "first");
    assert_int_equal(p.settled, 1); /* what was pulled is still delivered */
    finish(src);
}

static void a_refused_append_ends_the_connector(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_source *src = open_plan(&p);
    out.refuse = FLV_E_LIMIT;
    ready(&p, 1);
    fake_out_run(&out);
    assert_string_equal(flv__pipeline_cause(src)->text, "refused by the test");
    assert_int_equal(p.settle_calls, 0);
    finish(src);
}

static void a_source_may_close_later(void **state)
{
    (void)state;
    struct plan p = {.burst = 1, .late_close = true};
    struct flv_source *src = open_plan(&p);
    flv__pipeline_stop(src);
    fake_out_spin(&out);
    assert_int_equal(p.closes, 1);
    assert_false(out.done);
    flv_source_closed(src);
    fake_out_run(&out);
    finish(src);
}

static void a_source_that_does_not_open_leaves_nothing(void **state)
{
    (void)state;
    struct plan p = {.fail_open = true};
    struct flv_err err = {0};
    fake_out_init(&out, loop);
    struct flv_pipeline_conf conf = fake_out_conf(&out);
    conf.type = &plan_type;
    plan_conf = &p;
    conf.conf = &plan_conf;
    assert_int_equal(flv__pipeline_open(&out.src, &conf, &err), FLV_E_INVALID);
    assert_string_equal(err.text, "does not open");
    flv_loop_run(loop);
    assert_false(out.done);
}

/* --- a stage that answers when it is told to ------------------------------ */

struct slow_stage {
    struct flv_task task;
    const struct flv_batch *in;
    struct flv_msg msgs[2 * FLV_BATCH_RECORDS_MAX];
    struct flv_letter letters[FLV_BATCH_RECORDS_MAX];
    bool held; /* answers only when the test says so */
    unsigned runs, hurried;
    uint64_t halt_at;    /* number of the record that stops it */
    uint64_t letters_of; /* every nth becomes a letter */
    uint64_t doubles_of; /* every nth becomes two */
};

static void slow_answer(struct slow_stage *s)
{
    struct flv_stage_result r = {.msgs = s->msgs, .letters = s->letters};
    const struct flv_batch *in = s->in;
    s->in = NULL;
    for (uint32_t i = 0; i < in->count && s->hurried == 0; i++) {
        uint64_t number = in->first_number + i;
        r.counts.in++;
        if (number == s->halt_at) {
            r.counts.failed++;
            (void)flv_fail(&r.halt, FLV_E_INVALID, "record %u is bad",
                           (unsigned)number);
            break;
        }
        if (s->letters_of > 0 && number % s->letters_of == 0) {
            r.counts.failed++;
            s->letters[r.letter_count++] =
                (struct flv_letter){.lane = 1, .msg = in->msgs[i]};
        } else if (number % 2 == 0) {
            r.counts.filtered++;
        } else {
            r.counts.passed++;
            s->msgs[r.count++] = in->msgs[i];
            if (s->doubles_of > 0 && number % s->doubles_of == 0) {
                s->msgs[r.count++] = in->msgs[i];
            }
        }
    }
    flv__pipeline_staged(out.src, &r);
}

static void slow_task(struct flv_task *task)
{
    slow_answer(FLV_OWNER_OF(task, struct slow_stage, task));
}

static void slow_run(void *state, const struct flv_batch *in)
{
    struct slow_stage *s = state;
    assert_null(s->in); /* one batch at a time */
    s->in = in;
    s->runs++;
    if (!s->held) {
        flv_loop_defer(loop, &s->task);
    }
}

static void slow_hurry(void *state)
{
    struct slow_stage *s = state;
    s->hurried++;
}

static struct slow_stage slow;
static const struct flv_stage slow_stage = {
    .run = slow_run, .hurry = slow_hurry, .state = &slow};

static struct flv_source *open_staged(struct plan *p, uint32_t drain_ms)
{
    memset(&slow, 0, sizeof(slow));
    flv_task_init(&slow.task, slow_task);
    fake_out_init(&out, loop);
    struct flv_pipeline_conf conf = fake_out_conf(&out);
    conf.stage = &slow_stage;
    conf.drain_ms = drain_ms;
    return open_with(p, conf);
}

static struct flv_pipeline_counts counts_of(struct flv_source *src)
{
    struct flv_pipeline_counts n;
    flv__pipeline_counts(src, &n);
    assert_true(flv__stage_adds_up(&n.stages));
    return n;
}

static void filtered_records_are_settled_in_their_place(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_source *src = open_staged(&p, 5000);
    ready(&p, 4); /* 1 and 3 are sent, 2 and 4 are not */
    fake_out_spin(&out);
    assert_int_equal(out.append_count, 2);
    assert_int_equal(p.settle_calls, 0); /* 2 waits for 1 */
    fake_out_settle(&out, 0, NULL);
    assert_int_equal(p.settled, 2);
    fake_out_settle(&out, 1, NULL);
    assert_int_equal(p.settled, 4);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    struct flv_pipeline_counts n = counts_of(src);
    assert_int_equal(n.stages.in, 4);
    assert_int_equal(n.stages.passed, 2);
    assert_int_equal(n.stages.filtered, 2);
    assert_int_equal(n.acked, 2);
    finish(src);
}

static void a_busy_stage_holds_the_source_back(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_source *src = open_staged(&p, 5000);
    slow.held = true;
    ready(&p, 3);
    ready(&p, 0);
    assert_int_equal(p.made, 1);
    assert_int_equal(slow.runs, 1);
    slow.held = false;
    slow_answer(&slow);
    out.acknowledge = true;
    fake_out_spin(&out);
    fake_out_spin(&out);
    assert_int_equal(p.made, 3);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    finish(src);
}

static void a_stop_waits_for_the_stage(void **state)
{
    (void)state;
    struct plan p = {.burst = 5};
    struct flv_source *src = open_staged(&p, 5000);
    slow.held = true;
    ready(&p, 5);
    flv__pipeline_stop(src);
    fake_out_spin(&out);
    assert_int_equal(p.closes, 0);
    assert_int_equal(slow.hurried, 0);
    out.acknowledge = true;
    slow_answer(&slow);
    fake_out_run(&out);
    assert_int_equal(p.settled, 5);
    assert_null(flv__pipeline_cause(src));
    finish(src);
}

static void a_drain_that_is_over_hurries_the_stage(void **state)
{
    (void)state;
    struct plan p = {.burst = 5};
    struct flv_source *src = open_staged(&p, 30);
    slow.held = true;
    ready(&p, 5);
    flv__pipeline_stop(src);
    while (slow.hurried == 0) {
        (void)flv_loop_turn(loop, true);
    }
    fake_out_spin(&out);
    assert_int_equal(p.closes, 1);
    assert_int_equal(out.closes, 1);
    assert_false(out.done); /* the stage still has the batch */
    slow_answer(&slow);
    assert_true(out.done);
    assert_int_equal(flv__pipeline_cause(src)->rc, FLV_E_TIMEOUT);
    assert_int_equal(p.settled, 0);
    assert_int_equal(out.record_count, 0);
    finish(src);
}

static void a_broken_stream_waits_for_the_stage_only(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_err gone = {0};
    struct flv_source *src = open_staged(&p, 5000);
    ready(&p, 1);
    slow.held = true;
    ready(&p, 1);
    (void)flv_fail(&gone, FLV_E_NOT_FOUND, "the topic is gone");
    fake_out_settle(&out, 0, &gone);
    fake_out_spin(&out);
    assert_int_equal(slow.hurried, 1);
    assert_false(out.done);
    slow_answer(&slow);
    fake_out_run(&out);
    assert_string_equal(flv__pipeline_cause(src)->text, "the topic is gone");
    finish(src);
}

static void a_halt_delivers_and_settles_what_is_before_it(void **state)
{
    (void)state;
    struct plan p = {.burst = 9};
    struct flv_source *src = open_staged(&p, 5000);
    slow.halt_at = 4;
    out.acknowledge = true;
    ready(&p, 9);
    fake_out_run(&out);
    assert_int_equal(out.record_count, 2); /* 1 and 3 */
    assert_int_equal(p.settled, 3);
    assert_string_equal(flv__pipeline_cause(src)->text, "record 4 is bad");
    struct flv_pipeline_counts n = counts_of(src);
    assert_int_equal(n.stages.in, 4);
    assert_int_equal(n.stages.failed, 1);
    finish(src);
}

static void a_halt_at_the_first_record_settles_nothing(void **state)
{
    (void)state;
    struct plan p = {.burst = 9};
    struct flv_source *src = open_staged(&p, 5000);
    slow.halt_at = 1;
    ready(&p, 9);
    fake_out_run(&out);
    assert_int_equal(out.append_count, 0);
    assert_int_equal(p.settle_calls, 0);
    finish(src);
}

static void a_letter_settles_its_record_only_when_durable(void **state)
{
    (void)state;
    struct plan p = {.burst = 6};
    struct flv_source *src = open_staged(&p, 5000);
    slow.letters_of = 3;
    ready(&p, 6); /* 1 and 5 to the topic, letters of 3 and 6 */
    fake_out_spin(&out);
    assert_int_equal(out.append_count, 3);
    assert_int_equal(out.letters, 2);
    fake_out_settle(&out, 0, NULL);
    fake_out_settle(&out, 2, NULL);
    assert_int_equal(p.settle_calls, 0);
    fake_out_settle(&out, 1, NULL);
    assert_int_equal(p.settled, 6);
    struct flv_pipeline_counts n = counts_of(src);
    assert_int_equal(n.letters, 2);
    assert_int_equal(n.dead_lettered, 2);
    assert_int_equal(n.acked, 2);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    finish(src);
}

static void letters_wait_for_room_behind_their_records(void **state)
{
    (void)state;
    struct plan p = {.burst = 6};
    struct flv_source *src = open_staged(&p, 5000);
    slow.letters_of = 3;
    out.full = true;
    ready(&p, 6);
    fake_out_spin(&out);
    assert_int_equal(out.append_count, 0);
    flv__pipeline_stop(src);
    fake_out_spin(&out);
    assert_int_equal(p.closes, 0);
    out.full = false;
    out.acknowledge = true;
    flv__pipeline_writable(src);
    fake_out_run(&out);
    assert_int_equal(out.letters, 2);
    assert_int_equal(p.settled, 6);
    finish(src);
}

static void one_record_may_become_several_appends(void **state)
{
    (void)state;
    struct plan p = {.burst = 100000};
    struct flv_source *src = open_staged(&p, 5000);
    slow.doubles_of = 1;
    out.acknowledge = true;
    ready(&p, 8000);
    while (p.settled < 8000) {
        (void)flv_loop_turn(loop, true);
    }
    assert_int_equal(out.record_count, 8000); /* half, and each twice */
    for (size_t i = 0; i < 8000; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "r%zu", i / 2 * 2 + 1);
        assert_string_equal(out.records[i], text);
    }
    assert_false(p.went_back);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    finish(src);
}

/* Five seconds ahead. */
static uint64_t late_ns(void *ctx)
{
    (void)ctx;
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)(now.tv_sec + 5) * 1000000000 + (uint64_t)now.tv_nsec;
}

static int64_t late_wall(void *ctx)
{
    (void)ctx;
    return 0;
}

static const struct flv_clock late_clock = {.mono_ns = late_ns,
                                            .wall_ms = late_wall};

static void slow_batches_become_smaller_and_quick_ones_larger(void **state)
{
    (void)state;
    struct plan p = {.burst = 100000};
    struct flv_source *src = open_staged(&p, 5000);
    out.acknowledge = true;
    ready(&p, 6000);
    while (p.settled < 6000) {
        (void)flv_loop_turn(loop, true);
    }
    assert_int_equal(p.credit_seen, FLV_BATCH_RECORDS_MAX);
    slow.held = true;
    p.burst = 1;
    ready(&p, 2);
    flv__clock_set(&late_clock);
    slow_answer(&slow);
    flv__clock_set(NULL);
    fake_out_spin(&out);
    assert_int_equal(p.credit_seen, FLV_BATCH_RECORDS_MAX / 2);
    slow.held = false;
    slow_answer(&slow);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    finish(src);
}

static void counters_belong_to_the_connector(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_source *src = open_plan(&p);
    flv_source_count(src, 0, 2);
    flv_source_count(src, 1, 5);
    flv_source_count(src, 0, 1);
    assert_int_equal(flv__pipeline_counter(src, 0), 3);
    assert_int_equal(flv__pipeline_counter(src, 1), 5);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    finish(src);
}

static void what_ends_in_extract_has_passed_protocol(void **state)
{
    (void)state;
    struct plan p = {.burst = 1};
    struct flv_pipeline_counts n;
    struct flv_source *src = open_plan(&p);
    flv_source_account(src, FLV_AT_PROTOCOL, FLV_FATE_FAILED, 2);
    flv_source_account(src, FLV_AT_EXTRACT, FLV_FATE_FILTERED, 1);
    flv_source_account(src, FLV_AT_EXTRACT, FLV_FATE_PASSED, 4);
    flv__pipeline_counts(src, &n);
    assert_int_equal(n.protocol.in, 7);
    assert_int_equal(n.protocol.passed, 5);
    assert_int_equal(n.protocol.failed, 2);
    assert_int_equal(n.extract.in, 5);
    assert_int_equal(n.extract.filtered, 1);
    assert_int_equal(n.extract.passed, 4);
    flv__pipeline_stop(src);
    fake_out_run(&out);
    finish(src);
}

static int setup(void **state)
{
    (void)state;
    return flv_loop_create(&loop, 0, NULL) == FLV_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    flv_loop_destroy(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_arrive_in_order_and_are_settled),
        cmocka_unit_test(only_the_longest_durable_prefix_is_settled),
        cmocka_unit_test(nothing_behind_a_failure_is_ever_settled),
        cmocka_unit_test(records_in_flight_are_bounded),
        cmocka_unit_test(credit_never_exceeds_a_batch),
        cmocka_unit_test(a_full_stream_holds_the_source_back),
        cmocka_unit_test(a_stop_delivers_what_was_pulled),
        cmocka_unit_test(a_drain_that_takes_too_long_is_a_failure),
        cmocka_unit_test(the_first_cause_is_kept),
        cmocka_unit_test(a_refused_append_ends_the_connector),
        cmocka_unit_test(a_source_may_close_later),
        cmocka_unit_test(a_source_that_does_not_open_leaves_nothing),
        cmocka_unit_test(filtered_records_are_settled_in_their_place),
        cmocka_unit_test(a_busy_stage_holds_the_source_back),
        cmocka_unit_test(a_stop_waits_for_the_stage),
        cmocka_unit_test(a_drain_that_is_over_hurries_the_stage),
        cmocka_unit_test(a_broken_stream_waits_for_the_stage_only),
        cmocka_unit_test(a_halt_delivers_and_settles_what_is_before_it),
        cmocka_unit_test(a_halt_at_the_first_record_settles_nothing),
        cmocka_unit_test(a_letter_settles_its_record_only_when_durable),
        cmocka_unit_test(letters_wait_for_room_behind_their_records),
        cmocka_unit_test(one_record_may_become_several_appends),
        cmocka_unit_test(slow_batches_become_smaller_and_quick_ones_larger),
        cmocka_unit_test(counters_belong_to_the_connector),
        cmocka_unit_test(what_ends_in_extract_has_passed_protocol),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
