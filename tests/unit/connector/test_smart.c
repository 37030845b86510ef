
#include <stdio.h>
#include <stdlib.h>

#include "base/field.h"
#include "base/log.h"
#include "cm.h"
#include "connector/smart.h"
#include "fake_out.h"
#include "fake_sm.h"

/* A source of words: "k1 f2 e3". */
struct words {
    const char *at;
    uint64_t settled;
    struct flv_source *src;
};

static struct flv_loop *loop;
static struct fake_out out;
static struct words words;
static struct flv_plan plan;
static struct flv_smart *smart;
static struct flv_source *src;

static flv_rc words_open(void *state,
                         const void *conf,
                         struct flv_source *source,
                         struct flv_err *err)
{
    (void)state;
    (void)conf;
    (void)err;
    words.src = source;
    return FLV_OK;
}

static void words_pull(void *state, struct flv_batch *batch, uint32_t credit)
{
    (void)state;
    for (uint32_t i = 0; i < credit; i++) {
        words.at += strspn(words.at, " ");
        size_t len = strcspn(words.at, " ");
        if (len == 0) {
            return;
        }
        assert_int_equal(flv_batch_add(batch, words.at, 1, words.at, len, NULL),
                         FLV_OK);
        words.at += len;
    }
}

static void words_settled(void *state, uint64_t upto)
{
    (void)state;
    assert_true(upto > words.settled);
    words.settled = upto;
}

static void words_close(void *state)
{
    (void)state;
    flv_source_closed(words.src);
}

static const struct flv_source_ops words_ops = {.open = words_open,
                                                .pull = words_pull,
                                                .settled = words_settled,
                                                .close = words_close};
static const struct flv_connector words_type = {
    .abi = FLV_CONNECTOR_ABI, .name = "words", .source = &words_ops};

static struct flv_err opened_err;
static bool opened;

static void on_open(void *user, const struct flv_err *err)
{
    (void)user;
    opened = true;
    opened_err = err != NULL ? *err : (struct flv_err){0};
}

static void give(const char *bytes)
{
    plan.steps[plan.count] = (struct flv_plan_step){
        .option = "--filter", .uses = "m.wasm", .kind = -1};
    plan.count++;
    assert_int_equal(
        flv__plan_give(&plan, plan.count - 1, flv_slice_str(bytes), NULL),
        FLV_OK);
}

/* Two steps with these policies. */
static void make_plan(const char *first, const char *second)
{
    plan = (struct flv_plan){.lanes = 3, .topics = {"talk"}};
    give("filter");
    give("filter");
    assert_int_equal(flv__policy_parse(first, &plan.steps[0].policy, NULL),
                     FLV_OK);
    assert_int_equal(flv__policy_parse(second, &plan.steps[1].policy, NULL),
                     FLV_OK);
    plan.steps[0].policy.lane = 1;
    plan.steps[1].policy.lane = 2;
}

static void open_smart(void)
{
    const struct flv_smart_conf conf = {
        .loop = loop, .plan = &plan, .name = "my", .type = "words"};
    fake_sm_reset();
    opened = false;
    assert_int_equal(flv__smart_create(&smart, &conf, NULL), FLV_OK);
    flv__smart_open(smart, NULL, on_open, NULL);
    while (!opened) {
        (void)flv_loop_turn(loop, true);
    }
}

static void staged(void *arg, const struct flv_stage_result *result)
{
    flv__pipeline_staged(arg, result);
}

static void start(const char *text, uint32_t drain_ms)
{
    struct flv_err err = {0};
    words = (struct words){.at = text};
    open_smart();
    assert_int_equal(opened_err.rc, FLV_OK);
    fake_out_init(&out, loop);
    out.acknowledge = true;
    struct flv_pipeline_conf conf = fake_out_conf(&out);
    conf.type = &words_type;
    conf.stage = flv__smart_stage(smart);
    conf.drain_ms = drain_ms;
    if (flv__pipeline_open(&src, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    out.src = src;
    flv__smart_attach(smart, staged, src);
}

static struct flv_pipeline_counts counts(void)
{
    struct flv_pipeline_counts n;
    flv__pipeline_counts(src, &n);
    assert_true(flv__stage_adds_up(&n.stages));
    assert_int_equal(n.stages.failed,
                     n.stages.discarded + n.letters +
                         (flv__pipeline_cause(src) != NULL ? 1 : 0));
    return n;
}

/* What passed a step came to the next one. */
static void steps_add_up(void)
{
    struct flv_pipeline_counts n;
    struct flv_stage_counts a, b;
    flv__pipeline_counts(src, &n);
    flv__smart_counts(smart, 0, &a);
    flv__smart_counts(smart, 1, &b);
    assert_int_equal(a.in, n.stages.in);
    assert_int_equal(a.passed, b.in);
    assert_int_equal(b.passed, n.stages.passed);
    assert_int_equal(a.filtered + b.filtered, n.stages.filtered);
    assert_int_equal(a.failed + b.failed, n.stages.failed);
}

static void end(void)
{
    assert_true(out.done);
    if (flv__pipeline_cause(src) == NULL ||
        flv__pipeline_cause(src)->rc == FLV_E_INVALID) {
        steps_add_up();
    }
    flv__smart_destroy(smart);
    flv__pipeline_destroy(src);
    fake_out_deinit(&out);
    flv__plan_deinit(&plan);
    flv_loop_run(loop);
}

/* All the words, then a stop. */
static void run_all(const char *text, uint64_t expect_settled)
{
    start(text, 20000);
    while (!out.done && words.settled < expect_settled) {
        (void)flv_loop_turn(loop, true);
    }
    flv__pipeline_stop(src);
    fake_out_run(&out);
    assert_int_equal(words.settled, expect_settled);
}

static void arrived(const char *const *expect)
{
    size_t n = 0;
    for (; expect[n] != NULL; n++) {
        assert_true(n < out.record_count);
        assert_string_equal(out.records[n], expect[n]);
    }
    assert_int_equal(out.record_count, n);
}
#define ARRIVED(...) arrived((const char *const[]){__VA_ARGS__, NULL})

/* ---------------------------------------------------------------------------
 */

static void records_pass_vanish_and_multiply_in_order(void **state)
{
    (void)state;
    make_plan("halt", "halt");
    run_all("k1 f2 d3 k4 f5", 5);
    ARRIVED("k1", "d3", "d3", "k4");
    struct flv_pipeline_counts n = counts();
    assert_int_equal(n.stages.in, 5);
    assert_int_equal(n.stages.passed, 3);
    assert_int_equal(n.stages.filtered, 2);
    assert_int_equal(n.out, 4);
    assert_int_equal(atomic_load(&fake_sm_runs), 1); /* a whole batch */
    end();
}

static void halt_says_which_record_and_why(void **state)
{
    (void)state;
    make_plan("halt", "halt");
    run_all("k1 d2 t3 k4", 2);
    ARRIVED("k1", "d2", "d2");
    assert_string_equal(flv__pipeline_cause(src)->text,
                        "record 3 failed in stage 2 (trap): filter: t3 is bad");
    assert_int_equal(counts().stages.in, 3);
    end();
}

static void retry_runs_the_record_again(void **state)
{
    (void)state;
    make_plan("retry:2", "halt");
    run_all("k1 r2 k3", 3);
    ARRIVED("k1", "r2", "k3");
    assert_int_equal(counts().stages.passed, 3);
    assert_int_equal(atomic_load(&fake_sm_runs), 4); /* two more, the rest */
    end();
}

static void retry_ends_with_halt(void **state)
{
    (void)state;
    make_plan("retry:3", "halt");
    run_all("k1 e2 k3", 1);
    ARRIVED("k1");
    assert_string_equal(
        flv__pipeline_cause(src)->text,
        "record 2 failed in stage 1 (user-error, retried): filter: e2 is bad");
    assert_int_equal(atomic_load(&fake_sm_runs), 4);
    end();
}

static void discard_counts_and_goes_on(void **state)
{
    (void)state;
    make_plan("discard", "discard");
    run_all("e1 k2 t3 f4 k5 e6", 6);
    ARRIVED("k2", "k5");
    struct flv_pipeline_counts n = counts();
    assert_int_equal(n.stages.failed, 3);
    assert_int_equal(n.stages.discarded, 3);
    assert_int_equal(atomic_load(&fake_sm_runs), 1);
    struct flv_stage_counts each;
    flv__smart_counts(smart, 0, &each);
    assert_int_equal(each.in, 6);
    assert_int_equal(each.failed, 2);
    assert_int_equal(each.filtered, 1);
    flv__smart_counts(smart, 1, &each);
    assert_int_equal(each.in, 3);
    assert_int_equal(each.failed, 1);
    assert_int_equal(each.passed, 2);
    end();
}

static void letters_go_to_their_topic(void **state)
{
    (void)state;
    make_plan("dead-letter:a", "dead-letter:b");
    run_all("k1 e2 k3 t4", 4);
    assert_int_equal(out.letters, 2);
    assert_string_equal(out.records[0], "k1");
    assert_string_equal(out.records[1], "k3");
    const char *letter = out.records[2];
    assert_non_null(strstr(letter, "{\"version\":1,\"time\":\"2"));
    assert_non_null(strstr(
        letter, "\"connector\":{\"name\":\"my\",\"type\":\"words\","
                "\"topic\":\"talk\"},\"stage\":1,"
                "\"module\":{\"name\":\"m.wasm\",\"sha256\":\"00ff\","
                "\"kind\":\"filter\"},\"error\":{\"cause\":\"user-error\","
                "\"text\":\"filter: e2 is bad\",\"hint\":\"e2\"},"
                "\"source\":{\"number\":2},"
                "\"record\":{\"key\":\"ZQ==\",\"value\":\"ZTI=\"}}"));
    assert_non_null(strstr(out.records[3], "\"value\":\"dDQ=\""));
    assert_int_equal(counts().dead_lettered, 2);
    end();
}

/* A halt of one step while another one discards. */
static void each_step_has_its_own_policy(void **state)
{
    (void)state;
    make_plan("discard", "halt");
    run_all("k1 e2 d3 e4 f5 k6 t7 k8", 6);
    ARRIVED("k1", "d3", "d3", "k6"); /* kept over four calls */
    struct flv_pipeline_counts n = counts();
    assert_int_equal(n.stages.in, 7);
    assert_int_equal(n.stages.discarded, 2);
    end();
}

static void the_hosts_trouble_stops_at_the_record(void **state)
{
    (void)state;
    make_plan("discard", "halt");
    run_all("k1 e2 h3 k4", 2);
    /* The call that fails takes its records with it. */
    assert_string_equal(flv__pipeline_cause(src)->text,
                        "record 3: out of memory");
    end();
}

static void a_stop_waits_for_the_chain(void **state)
{
    (void)state;
    make_plan("halt", "halt");
    start("k1 w2 k3", 20000);
    while (atomic_load(&fake_sm_waits) == 0) {
        (void)flv_loop_turn(loop, false);
    }
    flv__pipeline_stop(src);
    fake_out_spin(&out);
    assert_false(out.done);
    fake_sm_go();
    fake_out_run(&out);
    assert_null(flv__pipeline_cause(src));
    assert_int_equal(words.settled, 3);
    end();
}

static void a_drain_that_is_over_leaves_the_rest_out(void **state)
{
    (void)state;
    make_plan("discard", "halt");
    start("k1 e2 w3 k4 e5 k6", 30);
    while (atomic_load(&fake_sm_waits) == 0) {
        (void)flv_loop_turn(loop, false);
    }
    flv__pipeline_stop(src);
    while (out.closes == 0) {
        (void)flv_loop_turn(loop, true);
    }
    fake_out_spin(&out);
    assert_false(out.done);
    fake_sm_go();
    fake_out_run(&out);
    assert_int_equal(flv__pipeline_cause(src)->rc, FLV_E_TIMEOUT);
    struct flv_pipeline_counts n;
    flv__pipeline_counts(src, &n);
    assert_int_equal(n.stages.in, 3); /* the record that ran was the last */
    assert_int_equal(out.record_count, 0);
    assert_int_equal(words.settled, 0);
    end();
}

static void a_drain_that_is_over_ends_retries(void **state)
{
    (void)state;
    make_plan("retry:1000", "halt");
    start("k1 v2 k3", 30);
    while (atomic_load(&fake_sm_waits) == 0) {
        (void)flv_loop_turn(loop, false);
    }
    flv__pipeline_stop(src);
    while (out.closes == 0) {
        (void)flv_loop_turn(loop, true);
    }
    fake_sm_go();
    fake_out_run(&out);
    struct flv_pipeline_counts n;
    flv__pipeline_counts(src, &n);
    assert_int_equal(n.stages.in, 2);
    assert_int_equal(n.stages.failed, 1);
    assert_int_equal(atomic_load(&fake_sm_runs), 2);
    assert_int_equal(words.settled, 0);
    end();
}

static void a_module_that_does_not_compile_is_told(void **state)
{
    (void)state;
    plan = (struct flv_plan){.lanes = 1};
    give("X");
    open_smart();
    assert_string_equal(opened_err.text,
                        "--filter: \"m.wasm\": does not compile");
    flv__smart_destroy(smart);
    flv__plan_deinit(&plan);
    flv_loop_run(loop);
}

static void a_start_can_be_given_up(void **state)
{
    (void)state;
    const struct flv_smart_conf conf = {
        .loop = loop, .plan = &plan, .name = "my", .type = "words"};
    for (int turns = 0; turns < 3; turns++) {
        make_plan("halt", "halt");
        opened = false;
        assert_int_equal(flv__smart_create(&smart, &conf, NULL), FLV_OK);
        flv__smart_open(smart, NULL, on_open, NULL);
        for (int i = 0; i < turns && !opened; i++) {
            (void)flv_loop_turn(loop, false);
        }
        flv__smart_destroy(smart);
        flv__plan_deinit(&plan);
        flv_loop_run(loop);
    }
}

/* Thousands of words with all outcomes, in a fixed order. */
static void everything_is_accounted_for(void **state)
{
    (void)state;
    static const char kinds[] = "kkkfdetk";
    enum { N = 4000 };
    char *text = calloc(N, 8), *p = text;
    char *expect[2 * N];
    size_t want = 0, failed = 0;
    uint32_t seed = 1;
    assert_non_null(text);
    for (int i = 0; i < N; i++) {
        seed = seed * 1103515245 + 12345;
        char kind = kinds[seed >> 16 & 7];
        char *word = p;
        p += snprintf(p, 8, "%c%d ", kind, i % 1000);
        failed += kind == 'e' || kind == 't';
        for (int k = kind == 'd' ? 2 : kind == 'k'; k > 0; k--) {
            expect[want++] = word;
        }
    }
    make_plan("discard", "dead-letter:b");
    run_all(text, N);
    struct flv_pipeline_counts n = counts();
    assert_int_equal(n.stages.in, N);
    assert_int_equal(n.stages.failed, failed);
    assert_int_equal(n.out, want);
    size_t at = 0;
    for (size_t i = 0; i < out.record_count; i++) {
        if (out.records[i][0] != '{') {
            assert_true(at < want);
            assert_memory_equal(out.records[i], expect[at], out.lens[i]);
            at++;
        }
    }
    assert_int_equal(at, want);
    end();
    free(text);
}

static int setup(void **state)
{
    (void)state;
    return flv_log_setup("off", NULL) == FLV_OK &&
                   setenv("XDG_CACHE_HOME", "/dev/null/x", 1) == 0 &&
                   flv_loop_create(&loop, 0, NULL) == FLV_OK
               ? 0
               : -1;
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
        cmocka_unit_test(records_pass_vanish_and_multiply_in_order),
        cmocka_unit_test(halt_says_which_record_and_why),
        cmocka_unit_test(retry_runs_the_record_again),
        cmocka_unit_test(retry_ends_with_halt),
        cmocka_unit_test(discard_counts_and_goes_on),
        cmocka_unit_test(letters_go_to_their_topic),
        cmocka_unit_test(each_step_has_its_own_policy),
        cmocka_unit_test(the_hosts_trouble_stops_at_the_record),
        cmocka_unit_test(a_stop_waits_for_the_chain),
        cmocka_unit_test(a_drain_that_is_over_leaves_the_rest_out),
        cmocka_unit_test(a_drain_that_is_over_ends_retries),
        cmocka_unit_test(a_module_that_does_not_compile_is_told),
        cmocka_unit_test(a_start_can_be_given_up),
        cmocka_unit_test(everything_is_accounted_for),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
