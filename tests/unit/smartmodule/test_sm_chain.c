/* Whole batches through modules: outcomes, replay, state. */
#include "util.h"

#include <stdio.h>

static void filter_keeps_what_the_module_keeps(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "filter");
    struct flv_sm_result r = run(c, "k1 x2 k3 x4", false);

    (void)state;
    assert_string_equal(values_of(&r), "k1 k3");
    assert_int_equal(r.in, 4);
    assert_int_equal(r.passed, 2);
    assert_int_equal(r.filtered, 2);
    assert_false(r.replayed);
    assert_int_equal(r.records[1].origin, 2);
    assert_int_equal(r.records[1].timestamp_ms, 1000020);
    flv_sm_chain_destroy(c);
}

static const struct flv_sm_budget small = {
    .fuel = 2000000,
    .memory_bytes = (size_t)4 << 20,
};

static void each_hostile_record_fails_alone(void **state)
{
    static const struct {
        const char *word;
        enum flv_sm_cause cause;
    } cases[] = {
        {"error", FLV_SM_USER_ERROR}, {"trap", FLV_SM_TRAP},
        {"loop", FLV_SM_FUEL},        {"recurse", FLV_SM_TRAP},
        {"memory", FLV_SM_MEMORY},    {"wild", FLV_SM_BROKEN},
        {"nothing", FLV_SM_BROKEN},   {"code", FLV_SM_CODE},
        {"y", FLV_SM_BROKEN},
    };
    struct flv_sm_chain *c = chain_of(&small, 1, "filter");

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char words[64];
        struct flv_sm_result r;

        snprintf(words, sizeof(words), "k1 x2 %s k4 x5", cases[i].word);
        r = run(c, words, false);
        assert_string_equal(values_of(&r), "k1 k4");
        assert_int_equal(r.in, 5);
        assert_int_equal(r.passed, 2);
        assert_int_equal(r.filtered, 2);
        assert_int_equal(r.failed, 1);
        assert_true(r.replayed);
        print_message("%s\n", r.failures[0].text);
        assert_int_equal(r.failures[0].cause, cases[i].cause);
        assert_int_equal(r.failures[0].input, 2);
        assert_int_equal(r.failures[0].value.len, strlen(cases[i].word));
        assert_int_equal(r.failures[0].timestamp_ms, 1000020);
        assert_int_equal(r.records[1].origin, 3);
        assert_int_equal(r.records[1].timestamp_ms, 1000030);
    }
    flv_sm_chain_destroy(c);
}

static void stop_ends_at_the_first_failure(void **state)
{
    struct flv_sm_chain *c = chain_of(&small, 1, "filter");
    struct flv_sm_result r = run(c, "k1 x2 trap k4 trap k6", true);

    (void)state;
    assert_string_equal(values_of(&r), "k1");
    assert_int_equal(r.in, 3);
    assert_int_equal(r.failure_count, 1);
    r = run(c, "k1 k2", true);
    assert_string_equal(values_of(&r), "k1 k2");
    flv_sm_chain_destroy(c);
}

static void a_result_says_how_far_records_came(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 2, "filter", "filter");
    struct flv_sm_result r = run(c, "keep drop keep", false);

    (void)state;
    assert_int_equal(r.reached[0], 3);
    assert_int_equal(r.reached[1], 2);
    r = run(c, "keep error drop keep", false);
    assert_true(r.replayed);
    assert_int_equal(r.reached[0], 4);
    assert_int_equal(r.reached[1], 2);
    r = run(c, "keep error drop keep", true);
    assert_int_equal(r.reached[0], 2);
    assert_int_equal(r.reached[1], 1);
    flv_sm_chain_destroy(c);
}

static void a_replay_can_be_stopped(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "filter");
    atomic_bool stop = true;
    struct flv_sm_result r;
    struct batch b;

    (void)state;
    batch_make(&b, "keep error keep");
    const struct flv_sm_input in = {.section = flv_buf_slice(&b.section),
                                    .stop = &stop};
    assert_int_equal(flv_sm_chain_run(c, &in, false, &r, NULL), FLV_OK);
    assert_int_equal(r.in, 0);
    assert_int_equal(r.record_count + r.failure_count, 0);
    atomic_store(&stop, false);
    assert_int_equal(flv_sm_chain_run(c, &in, false, &r, NULL), FLV_OK);
    assert_int_equal(r.in, 3);
    assert_int_equal(r.failed, 1);
    batch_free(&b);
    flv_sm_chain_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filter_keeps_what_the_module_keeps),
        cmocka_unit_test(each_hostile_record_fails_alone),
        cmocka_unit_test(stop_ends_at_the_first_failure),
        cmocka_unit_test(a_result_says_how_far_records_came),
        cmocka_unit_test(a_replay_can_be_stopped),
    };

    return cmocka_run_group_tests(tests, setup_engine, teardown_engine);
}
