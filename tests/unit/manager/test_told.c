#include <stdio.h>

#include "cm.h"
#include "manager/child.h"

#define STATUS                                                                 \
    "{\"control\":1,\"type\":\"http\",\"version\":\"0.1.0\",\"pid\":7,"        \
    "\"state\":\"retrying\",\"since_ms\":5,\"attempt\":3,\"next_ms\":99,"      \
    "\"cause\":\"no \\\"way\\\"\",\"counters\":{\"in\":5,\"passed\":4,"        \
    "\"filtered\":1,\"failed\":0,\"out\":4,\"acked\":3,\"discarded\":8,"       \
    "\"dead_lettered\":9},"                                                    \
    "\"own\":{\"polls\":6,\"odd\":\"x\",\"minus\":-4},"                        \
    "\"stages\":[{\"name\":\"protocol\",\"in\":7,\"passed\":7},{\"in\":1},3,"  \
    "{\"name\":\"smartmodule-1\",\"module\":\"a\",\"failed\":2}]}"

static void a_status_is_read(void **state)
{
    struct flv_told t;
    struct flv_err err = {0};
    (void)state;
    assert_int_equal(flv__told_parse(flv_slice_str(STATUS), &t, &err), FLV_OK);
    assert_int_equal(t.state, FLV_TOLD_RETRYING);
    assert_int_equal(t.attempt, 3);
    assert_int_equal(t.next_ms, 99);
    assert_string_equal(t.cause, "no \"way\"");
    assert_string_equal(t.version, "0.1.0");
    assert_int_equal(t.counts.all[FLV_C_FILTERED], 1);
    assert_int_equal(t.counts.all[FLV_C_ACKED], 3);
    assert_int_equal(t.counts.own_count, 2);
    assert_string_equal(t.counts.own[0].name, "polls");
    assert_int_equal(t.counts.own[0].value, 6);
    assert_int_equal(t.counts.own[1].value, 0); /* nothing counts backwards */
    assert_int_equal(t.counts.all[FLV_C_DISCARDED], 8);
    assert_int_equal(t.counts.all[FLV_C_DEAD_LETTERED], 9);
    assert_int_equal(t.counts.stage_count, 2); /* of those with a name */
    assert_string_equal(t.counts.stages[0].name, "protocol");
    assert_int_equal(t.counts.stages[0].all[FLV_C_PASSED], 7);
    assert_string_equal(t.counts.stages[1].module, "a");
    assert_int_equal(t.counts.stages[1].all[FLV_C_FAILED], 2);
}

static void nonsense_is_refused_with_a_sentence(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"state\":1}",
        "{\"state\":\"dancing\"}",
        "{\"state\":\"running\",\"state\":\"running\"}",
        "{\"state\":\"running\",\"x\":\"\xff\"}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct flv_told t;
        struct flv_ended e;
        struct flv_err err = {0};
        assert_int_equal(flv__told_parse(flv_slice_str(texts[i]), &t, &err),
                         FLV_E_INVALID);
        assert_int_not_equal(err.text[0], '\0');
        assert_int_equal(flv__ended_parse(flv_slice_str(texts[i]), &e, &err),
                         FLV_E_INVALID);
    }
}

static void an_exit_file_is_read(void **state)
{
    struct flv_ended e;
    (void)state;
    assert_int_equal(
        flv__ended_parse(
            flv_slice_str("{\"control\":1,\"code\":1,\"reason\":\"failed\","
                          "\"cause\":\"c\",\"counters\":{\"in\":2}}"),
            &e, NULL),
        FLV_OK);
    assert_int_equal(e.reason, FLV_END_FAILED);
    assert_int_equal(e.code, 1);
    assert_string_equal(e.cause, "c");
    assert_true(e.has_counts);
    assert_int_equal(e.counts.all[FLV_C_IN], 2);
}

static void a_tally_comes_back_as_it_was(void **state)
{
    struct flv_tally t = {
        .runs = 7, .restarts = 3, .ended = true, .end = FLV_END_COMPLETED};
    struct flv_tally back;
    struct flv_buf b;
    (void)state;
    for (int i = 0; i < FLV_COUNTS; i++) {
        t.base.all[i] = UINT64_C(1) << (50 + i);
        t.now.all[i] = (uint64_t)i;
    }
    t.base.own_count = FLV_OWN_MAX;
    for (size_t i = 0; i < FLV_OWN_MAX; i++) {
        (void)snprintf(t.base.own[i].name, FLV_OWN_NAME_MAX, "counter-%zu", i);
        t.base.own[i].value = i;
    }
    t.now.stage_count = FLV_STAGES_MAX;
    for (size_t i = 0; i < FLV_STAGES_MAX; i++) {
        struct flv_stage_count *s = &t.now.stages[i];
        (void)snprintf(s->name, sizeof(s->name), "stage-%zu", i);
        memset(s->module, '\x01', sizeof(s->module) - 1); /* six each */
        s->all[FLV_C_FILTERED] = i;
    }
    flv_buf_init(&b, FLV_TALLY_BYTES);
    assert_int_equal(flv__tally_format(&t, &b), FLV_OK);
    assert_int_equal(flv__tally_parse(flv_buf_slice(&b), &back, NULL), FLV_OK);
    assert_memory_equal(&back, &t, sizeof(t));
    flv_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_is_read),
        cmocka_unit_test(nonsense_is_refused_with_a_sentence),
        cmocka_unit_test(an_exit_file_is_read),
        cmocka_unit_test(a_tally_comes_back_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
