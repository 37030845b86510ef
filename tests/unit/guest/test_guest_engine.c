/* Modules in C, compiled to WebAssembly with one header, run by the real
 * engine: what comes out is what the same source gives on this machine. */
#include "wasm.h"

#define AT(name) FLV_SMARTMODULES_DIR "/" name ".wasm"

static void contains_filters_by_its_parameter(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = AT("contains"),
        .params = "other x text ap",
        .in = "k=apple pear =grape plum apple",
        .out = "k=apple =grape apple",
        .filtered = 2,
    });
}

static void contains_says_which_parameter_is_missing(void **state)
{
    const struct wasm_case c = {.path = AT("contains")};
    struct flv_err err = {0};

    (void)state;
    assert_null(wasm_chain(&c, &err));
    assert_non_null(strstr(err.text, "contains needs the parameter text"));
}

static void json_field_maps_and_names_what_it_cannot(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = AT("json-field"),
        .params = "field name",
        .in = "k={\"name\":\"\\u00e4\"} {\"nam\":1} {\"x\":[],\"name\":[2]}",
        .out = "k=\xc3\xa4 [2]",
        .failed = "1:the object has no member of this name: name",
    });
}

static void json_array_split_makes_a_record_of_each_element(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = AT("json-array-split"),
        .in = "k=[1,\"two\",{\"a\":3}] [] [4]",
        .out = "k=1 k=\"two\" k={\"a\":3} 4",
    });
}

static void json_sql_makes_operations_of_objects(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = AT("json-sql"),
        .params = "mapping "
                  "{\"table\":\"t\",\"map-columns\":{"
                  "\"id\":{\"json-key\":\"device.id\",\"value\":{"
                  "\"type\":\"int\",\"required\":true}},"
                  "\"n\":{\"json-key\":\".list.1\",\"value\":{"
                  "\"type\":\"float8\",\"default\":7}},"
                  "\"b\":{\"json-key\":\"$\",\"value\":{"
                  "\"type\":\"jsonb\"}}}}",
        .in = "k={\"device\":{\"id\":\"\\u0031\"},\"list\":[1,null]} "
              "{\"device\":{\"id\":2}} {\"device\":3}",
        .out = "k={\"Insert\":{\"table\":\"t\",\"values\":["
               "{\"column\":\"id\",\"raw_value\":\"\\u0031\",\"type\":"
               "\"Int\"},{\"column\":\"n\",\"raw_value\":null,\"type\":"
               "\"DoublePrecision\"},{\"column\":\"b\",\"raw_value\":"
               "\"{\\\"device\\\":{\\\"id\\\":\\\"\\\\u0031\\\"},"
               "\\\"list\\\":[1,null]}\",\"type\":\"Json\"}]}} "
               "{\"Insert\":{\"table\":\"t\",\"values\":["
               "{\"column\":\"id\",\"raw_value\":\"2\",\"type\":\"Int\"},"
               "{\"column\":\"n\",\"raw_value\":\"7\",\"type\":"
               "\"DoublePrecision\"},{\"column\":\"b\",\"raw_value\":"
               "\"{\\\"device\\\":{\\\"id\\\":2}}\",\"type\":"
               "\"Json\"}]}}",
        .failed = "2:the value lacks what is required: device.id",
    });
    wasm_check(&(struct wasm_case){
        .path = AT("json-sql"),
        .params = "mapping "
                  "{\"table\":\"t\",\"operation\":\"upsert\","
                  "\"unique-columns\":[\"a\",\"b\"],\"map-columns\":{"
                  "\"a\":{\"json-key\":\"a\",\"value\":{"
                  "\"type\":\"text\"}}}}",
        .in = "{\"b\":1} {\"b\"",
        .out = "{\"Upsert\":{\"table\":\"t\",\"uniq_idx\":\"a,b\","
               "\"values\":[{\"column\":\"a\",\"raw_value\":\"\","
               "\"type\":\"Text\"}]}}",
        .failed = "1:the value is no JSON object: {\"b\"",
    });
}

static void json_sql_says_what_is_wrong_with_a_mapping(void **state)
{
    static const struct {
        const char *params, *said;
    } cases[] = {
        {"x y", "needs the parameter mapping"},
        {"mapping {\"table\":\"\"}", "table is missing"},
        {"mapping {\"table\":\"t\"}", "map-columns is missing"},
        {"mapping {\"table\":\"t\",\"map-columns\":{}}", "is empty"},
        {"mapping {\"table\":\"t\",\"operation\":\"drop\"}",
         "insert or upsert: drop"},
        {"mapping {\"table\":\"t\",\"operation\":\"upsert\"}",
         "needs unique-columns"},
        {"mapping {\"table\":\"t\",\"map-columns\":{\"a\":{}}}",
         "needs a json-key: a"},
        {"mapping {\"table\":\"t\",\"map-columns\":{\"a\":{\"json-key\":"
         "\"a\",\"value\":{\"type\":\"blob\"}}}}",
         "no such type: blob"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct wasm_case c = {.path = AT("json-sql"),
                                    .params = cases[i].params};
        struct flv_err err = {0};
        assert_null(wasm_chain(&c, &err));
        if (strstr(err.text, cases[i].said) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].said);
        }
    }
}

static void sum_goes_on_from_batch_to_batch(void **state)
{
    struct wasm_case c = {.path = AT("sum"),
                          .accumulator = "100",
                          .in = "k=1 -2 x 3",
                          .out = "k=101 99 102",
                          .failed = "2:the value is no whole number: x"};
    struct flv_err err = {0};
    struct flv_sm_chain *chain = wasm_chain(&c, &err);

    (void)state;
    assert_non_null(chain);
    wasm_run(chain, &c);
    c.in = "8";
    c.out = "110";
    c.failed = NULL;
    wasm_run(chain, &c);
    flv_sm_chain_destroy(chain);
}

static void halve_maps_and_drops(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = AT("halve"),
        .in = "4 k=3 k=-10",
        .out = "2 k=-5",
        .filtered = 1,
    });
}

static void stamp_sees_offset_and_time(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = AT("stamp"),
        .in = "a b",
        .out = "100=1000000 a 101=1000010 b",
    });
}

static void above_looks_back(void **state)
{
    struct wasm_case c = {.path = AT("above"),
                          .in = "41 43 42 44",
                          .out = "43 44",
                          .filtered = 2};
    struct flv_err err = {0};
    struct flv_sm_chain *chain = wasm_chain(&c, &err);

    (void)state;
    assert_non_null(chain);
    wasm_look_back(chain, "7 42 8");
    wasm_run(chain, &c);
    flv_sm_chain_destroy(chain);
}

/* Memory starts over with each batch: it is as large after a thousand as
 * after the first. */
static void memory_stays_as_large_as_one_batch_needs(void **state)
{
    const struct wasm_case c = {
        .path = AT("repeat"), .in = "3=x 0=y", .out = "x x x"};
    struct flv_sm_stats first, last;
    struct flv_err err = {0};
    struct flv_sm_chain *chain = wasm_chain(&c, &err);

    (void)state;
    assert_non_null(chain);
    wasm_run(chain, &c);
    flv_sm_chain_stats(chain, 0, &first);
    for (int i = 0; i < 1000; i++) {
        wasm_run(chain, &c);
    }
    flv_sm_chain_stats(chain, 0, &last);
    assert_int_equal(last.memory_bytes, first.memory_bytes);
    assert_int_equal(last.instances, 1);
    flv_sm_chain_destroy(chain);
}

/* Its own memory ends a module, not its host, and only this record. */
static void what_does_not_fit_fails_alone(void **state)
{
    const struct wasm_case c = {.path = AT("repeat")};
    struct flv_sm_result r = {0};
    struct flv_err err = {0};
    struct flv_buf section;
    struct flv_sm_chain *chain = wasm_chain(&c, &err);

    (void)state;
    assert_non_null(chain);
    wasm_section(&section, "1=a 999999999=b 2=c");
    const struct flv_sm_input in = {.section = flv_buf_slice(&section)};
    assert_int_equal(flv_sm_chain_run(chain, &in, false, &r, &err), FLV_OK);
    assert_int_equal(r.failure_count, 1);
    assert_int_equal(r.failures[0].input, 1);
    assert_int_equal(r.record_count, 3);
    assert_int_equal(r.passed, 2);
    flv_buf_deinit(&section);
    flv_sm_chain_destroy(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contains_filters_by_its_parameter),
        cmocka_unit_test(contains_says_which_parameter_is_missing),
        cmocka_unit_test(json_field_maps_and_names_what_it_cannot),
        cmocka_unit_test(json_array_split_makes_a_record_of_each_element),
        cmocka_unit_test(json_sql_makes_operations_of_objects),
        cmocka_unit_test(json_sql_says_what_is_wrong_with_a_mapping),
        cmocka_unit_test(sum_goes_on_from_batch_to_batch),
        cmocka_unit_test(halve_maps_and_drops),
        cmocka_unit_test(stamp_sees_offset_and_time),
        cmocka_unit_test(above_looks_back),
        cmocka_unit_test(memory_stays_as_large_as_one_batch_needs),
        cmocka_unit_test(what_does_not_fit_fails_alone),
    };

    return cmocka_run_group_tests(tests, setup_engine, teardown_engine);
}
