/* Real SmartModules: tests/smartmodules-rust, built from the public crate by
 * scripts/rust-smartmodules, run by the real engine. The folder that holds
 * them is in FLV_RUST_SMARTMODULES, else the script is asked. */
#include "wasm.h"

#include <stdio.h>
#include <stdlib.h>

static char folder[512];

static const char *at(const char *name)
{
    static char path[600];

    snprintf(path, sizeof(path), "%s/rust_%s.wasm", folder, name);
    return path;
}

static void filter_keeps_and_drops(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = at("filter"),
        .in = "k=apple melon =pear",
        .out = "k=apple =pear",
        .filtered = 1,
    });
}

static void filter_fails_on_the_record_that_is_no_text(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = at("filter"),
        .in = "apple \xff pear",
        .out = "apple pear",
        .failed = "1:invalid utf-8 sequence",
    });
}

static void filter_takes_its_parameter_from_init(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = at("filter_init"),
        .params = "word el",
        .in = "apple melon",
        .out = "melon",
        .filtered = 1,
    });
}

static void filter_refuses_to_start_without_it(void **state)
{
    const struct wasm_case c = {.path = at("filter_init")};
    struct flv_err err = {0};

    (void)state;
    assert_null(wasm_chain(&c, &err));
    assert_non_null(strstr(err.text, "the parameter word is missing"));
}

static void map_changes_values_and_keeps_keys(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = at("map"),
        .in = "k=apple =p \xc3\xa4",
        .out = "k=APPLE =P \xc3\x84",
    });
}

static void map_sees_offset_and_time(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = at("map_record"),
        .in = "a b",
        .out = "100=100 1000000 a 101=101 1000010 b",
    });
}

static void array_map_makes_several_of_one(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = at("array_map"),
        .in = "k=one\ttwo\tthree \t four",
        .out = "k=one k=two k=three four",
    });
}

static void filter_map_maps_drops_and_fails(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = at("filter_map"),
        .in = "4 3 x k=10",
        .out = "2 k=5",
        .filtered = 1,
        .failed = "2:invalid digit found in string",
    });
}

static void aggregate_goes_on_from_batch_to_batch(void **state)
{
    struct wasm_case c = {.path = at("aggregate"),
                          .accumulator = "100",
                          .in = "k=1 x 2",
                          .out = "k=101 103",
                          .failed = "1:invalid digit found in string"};
    struct flv_err err = {0};
    struct flv_sm_chain *chain = wasm_chain(&c, &err);

    (void)state;
    assert_non_null(chain);
    wasm_run(chain, &c);
    c.in = "7";
    c.out = "110";
    c.failed = NULL;
    wasm_run(chain, &c);
    flv_sm_chain_destroy(chain);
}

static void aggregate_takes_its_parameter_from_init(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = at("aggregate_init"),
        .params = "glue +",
        .in = "a b c",
        .out = "a a+b a+b+c",
    });
}

static void look_back_sees_past_records_first(void **state)
{
    struct wasm_case c = {.path = at("look_back"),
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

static void wasi_imports_are_answered(void **state)
{
    (void)state;
    wasm_check(&(struct wasm_case){
        .path = at("filter_wasi"),
        .in = "k=apple melon \xff",
        .out = "k=apple",
        .filtered = 1,
        .failed = "2:invalid utf-8 sequence",
    });
}

/* They leak each output; fresh instances keep that within bounds. */
static void a_thousand_batches_stay_within_the_memory_mark(void **state)
{
    const struct wasm_case c = {
        .path = at("map"), .in = "k=apple", .out = "k=APPLE"};
    struct flv_sm_stats stats;
    struct flv_err err = {0};
    struct flv_sm_chain *chain = wasm_chain(&c, &err);

    (void)state;
    assert_non_null(chain);
    for (int i = 0; i < 1000; i++) {
        wasm_run(chain, &c);
    }
    flv_sm_chain_stats(chain, 0, &stats);
    assert_true(stats.memory_bytes <= (size_t)17 << 20);
    flv_sm_chain_destroy(chain);
}

/* False: the modules are not there. */
static bool find_folder(void)
{
    const char *given = getenv("FLV_RUST_SMARTMODULES");
    FILE *script;

    if (given != NULL) {
        return snprintf(folder, sizeof(folder), "%s", given) > 0;
    }
    script = popen(FLV_SOURCE_DIR "/scripts/rust-smartmodules --if-built "
                                  "2>/dev/null",
                   "r");
    if (script == NULL || fgets(folder, sizeof(folder), script) == NULL) {
        folder[0] = '\0';
    }
    folder[strcspn(folder, "\n")] = '\0';
    return script != NULL && pclose(script) == 0 && folder[0] != '\0';
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filter_keeps_and_drops),
        cmocka_unit_test(filter_fails_on_the_record_that_is_no_text),
        cmocka_unit_test(filter_takes_its_parameter_from_init),
        cmocka_unit_test(filter_refuses_to_start_without_it),
        cmocka_unit_test(map_changes_values_and_keeps_keys),
        cmocka_unit_test(map_sees_offset_and_time),
        cmocka_unit_test(array_map_makes_several_of_one),
        cmocka_unit_test(filter_map_maps_drops_and_fails),
        cmocka_unit_test(aggregate_goes_on_from_batch_to_batch),
        cmocka_unit_test(aggregate_takes_its_parameter_from_init),
        cmocka_unit_test(look_back_sees_past_records_first),
        cmocka_unit_test(wasi_imports_are_answered),
        cmocka_unit_test(a_thousand_batches_stay_within_the_memory_mark),
    };

    if (!find_folder()) {
        printf("1..0 # skip run scripts/rust-smartmodules first\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, setup_engine, teardown_engine);
}
