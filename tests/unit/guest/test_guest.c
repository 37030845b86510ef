/* The examples and the header under them, compiled for this machine: what a
 * host sends is read, what it expects comes back, and nothing else is
 * touched. */
#include "cm.h"
#include "native.h"
#include "wire/record.h"

#include <stdlib.h>

#define VERSION_MIN 16
#define VERSION_MAX 25
#define KIND_FILTER 0
#define KIND_MAP 1
#define KIND_ARRAY_MAP 2
#define KIND_AGGREGATE 3
#define KIND_FILTER_MAP 4

native_entry contains_init, contains_filter, json_field_init, json_field_map,
    split_array_map, sum_aggregate, halve_filter_map, above_look_back,
    above_filter, stamp_map, repeat_array_map;

static int fresh(void **state)
{
    (void)state;
    native_reset();
    return 0;
}

static int32_t init(native_entry *entry, const char *const *pairs)
{
    struct flv_buf in;
    int32_t rc;

    flv_buf_init(&in, 1 << 16);
    native_params(&in, pairs);
    rc = native_call(entry, flv_buf_slice(&in), 22);
    flv_buf_deinit(&in);
    return rc;
}

static int32_t run_at(native_entry *entry,
                      uint32_t version,
                      const struct native_record *records,
                      size_t count,
                      const char *accumulator,
                      struct native_output *out)
{
    struct flv_buf in;
    int32_t rc;

    flv_buf_init(&in, 1 << 24);
    native_input(&in, version, 1000, 5000, records, count, accumulator);
    rc = native_call(entry, flv_buf_slice(&in), version);
    flv_buf_deinit(&in);
    if (rc >= 0) {
        native_decode(out, native_answer(), accumulator != NULL);
        assert_int_equal(rc, out->count);
    }
    return rc;
}

static const struct native_record fruit[] = {
    {"k0", "apple", 10, 0}, {NULL, "pear", 11, 1},  {"", "grape", 12, 2},
    {"k3", "plum", 13, 3},  {NULL, "apple", 14, 4}, {NULL, "grapes", 300, 5},
};

static void same_record(const struct native_record *a,
                        const struct native_record *b)
{
    if (a->key == NULL) {
        assert_null(b->key);
    } else {
        assert_non_null(b->key);
        assert_string_equal(a->key, b->key);
    }
    assert_string_equal(a->value, b->value);
    assert_int_equal(a->ts_delta, b->ts_delta);
    assert_int_equal(a->offset_delta, b->offset_delta);
}

/* --- filter --------------------------------------------------------------- */

static void contains_keeps_what_has_the_text_at_every_version(void **state)
{
    static const char *const p[] = {"other", "x", "text", "ap", NULL};
    static const size_t kept[] = {0, 2, 4, 5};
    struct native_output out;

    (void)state;
    assert_int_equal(init(contains_init, p), 0);
    for (uint32_t v = VERSION_MIN; v <= VERSION_MAX; v++) {
        assert_int_equal(
            run_at(contains_filter, v, fruit, COUNT(fruit), NULL, &out), 4);
        for (size_t i = 0; i < COUNT(kept); i++) {
            same_record(&fruit[kept[i]], &out.records[i]);
        }
        assert_false(out.failed);
        native_output_deinit(&out);
    }
}

static void contains_takes_all_and_nothing(void **state)
{
    static const char *const p[] = {"text", "apple", NULL};
    struct native_output out;

    (void)state;
    assert_int_equal(init(contains_init, p), 0);
    assert_int_equal(run_at(contains_filter, 22, fruit, 1, NULL, &out), 1);
    native_output_deinit(&out);
    assert_int_equal(run_at(contains_filter, 22, fruit, 0, NULL, &out), 0);
    native_output_deinit(&out);
    assert_int_equal(run_at(contains_filter, 22, fruit + 1, 3, NULL, &out), 0);
    native_output_deinit(&out);
}

static void contains_refuses_to_start_without_its_parameter(void **state)
{
    static const char *const none[] = {"texts", "a", NULL};
    static const char *const empty[] = {"text", "", NULL};
    struct flv_slice said;

    (void)state;
    assert_int_equal(init(contains_init, none), -2);
    said = native_answer();
    assert_true(said.len > 2);
    assert_int_equal(said.data[0] << 8 | said.data[1], said.len - 2);
    assert_memory_equal(said.data + 2, "contains needs", 14);
    assert_int_equal(init(contains_init, empty), -2);
}

static void parameters_stay_for_the_life_of_the_instance(void **state)
{
    static const char *const p[] = {"text", "ear", NULL};
    struct native_output out;

    (void)state;
    assert_int_equal(init(contains_init, p), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(
            run_at(contains_filter, 22, fruit, COUNT(fruit), NULL, &out), 1);
        assert_string_equal(out.records[0].value, "pear");
        native_output_deinit(&out);
    }
}

static void memory_is_what_the_largest_batch_needs(void **state)
{
    static const struct native_record ones[] = {{NULL, "1", 0, 0},
                                                {NULL, "2", 0, 1}};
    struct native_output out;
    size_t most = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(run_at(sum_aggregate, 22, ones, 2, "40", &out), 2);
        assert_string_equal(out.accumulator, "43");
        native_output_deinit(&out);
        if (i == 0) {
            most = native_held_max();
        }
    }
    assert_int_equal(native_held_max(), most);
}

static void a_failing_filter_keeps_the_records_before(void **state)
{
    static const struct native_record numbers[] = {
        {NULL, "5", 1, 0},    {NULL, "4", 2, 1}, {NULL, "7", 3, 2},
        {"k", "\xff!", 4, 3}, {NULL, "9", 5, 4},
    };
    struct native_output out;

    (void)state;
    assert_int_equal(run_at(above_filter, 22, numbers, 5, NULL, &out), 2);
    same_record(&numbers[0], &out.records[0]);
    same_record(&numbers[2], &out.records[1]);
    assert_true(out.failed);
    assert_string_equal(out.hint, "no number: ?!"); /* always UTF-8 */
    assert_int_equal(out.offset, 1003);
    assert_int_equal(out.kind, KIND_FILTER);
    assert_string_equal(out.key, "k");
    assert_string_equal(out.value, "\xff!");
    native_output_deinit(&out);
}

static void look_back_sees_past_records_and_says_what_it_cannot_take(void **s)
{
    static const struct native_record past[] = {{NULL, "100", 0, 0},
                                                {"k", "x", 0, 1}};
    static const struct native_record next[] = {{NULL, "100", 0, 0},
                                                {NULL, "101", 0, 1}};
    struct native_output out;
    struct flv_buf in;

    (void)s;
    flv_buf_init(&in, 1 << 16);
    native_input(&in, 22, 0, 0, past, 1, NULL);
    assert_int_equal(native_call(above_look_back, flv_buf_slice(&in), 22), 0);
    assert_null(native_answer().data);
    assert_int_equal(run_at(above_filter, 22, next, 2, NULL, &out), 1);
    assert_string_equal(out.records[0].value, "101");
    native_output_deinit(&out);
    flv_buf_reset(&in);
    native_input(&in, 22, 7, 0, past, 2, NULL);
    assert_int_equal(native_call(above_look_back, flv_buf_slice(&in), 22), -99);
    native_decode_look_back(&out, native_answer());
    assert_string_equal(out.hint, "no number: x");
    assert_int_equal(out.offset, 8);
    assert_string_equal(out.key, "k");
    assert_string_equal(out.value, "x");
    native_output_deinit(&out);
    flv_buf_deinit(&in);
}

/* --- map, filter_map ------------------------------------------------------ */

static void json_field_takes_the_member_and_leaves_the_rest(void **state)
{
    static const char *const p[] = {"field", "name", NULL};
    static const struct native_record in[] = {
        {"k", "{\"name\":\"Ada\"}", 3, 7},
        {NULL, " { \"a\" : [1,{\"name\":2}], \"name\" : 1.5e3 } ", 4, 8},
        {"", "{\"name\":\"\\u00e4\\n\\ud83d\\ude00\"}", -5, 9},
        {NULL, "{\"x\":\"\\\"name\\\":\",\"name\":{\"b\":[]}}", 6, 10},
    };
    static const char *const expected[] = {
        "Ada", "1.5e3", "\xc3\xa4\n\xf0\x9f\x98\x80", "{\"b\":[]}"};
    struct native_output out;

    (void)state;
    assert_int_equal(init(json_field_init, p), 0);
    for (uint32_t v = VERSION_MIN; v <= VERSION_MAX; v++) {
        assert_int_equal(run_at(json_field_map, v, in, COUNT(in), NULL, &out),
                         4);
        for (size_t i = 0; i < COUNT(in); i++) {
            struct native_record same = in[i];

            same.value = expected[i];
            same_record(&same, &out.records[i]);
        }
        native_output_deinit(&out);
    }
}

static void json_field_names_the_record_without_the_member(void **state)
{
    static const char *const p[] = {"field", "name", NULL};
    static const struct native_record in[] = {
        {NULL, "{\"name\":1}", 0, 0},
        {NULL, "{\"nam\":1}", 0, 1},
        {NULL, "{\"name\":1}", 0, 2},
    };
    struct native_output out;

    (void)state;
    assert_int_equal(init(json_field_init, p), 0);
    assert_int_equal(run_at(json_field_map, 22, in, 3, NULL, &out), 1);
    assert_true(out.failed);
    assert_string_equal(out.hint,
                        "the object has no member of this name: name");
    assert_int_equal(out.kind, KIND_MAP);
    assert_int_equal(out.offset, 1001);
    assert_null(out.key);
    native_output_deinit(&out);
}

static void stamp_sees_offset_and_time_from_version_22_on(void **state)
{
    static const struct native_record in[] = {{NULL, "a", 7, 3}};
    struct native_output out;

    (void)state;
    for (uint32_t v = VERSION_MIN; v <= VERSION_MAX; v++) {
        assert_int_equal(run_at(stamp_map, v, in, 1, NULL, &out), 1);
        assert_string_equal(out.records[0].key, "1003");
        assert_string_equal(out.records[0].value, v < 22 ? "-1 a" : "5007 a");
        native_output_deinit(&out);
    }
}

static void halve_drops_odd_numbers(void **state)
{
    static const struct native_record in[] = {{"a", "4", 1, 0},
                                              {"b", "3", 2, 1},
                                              {NULL, "-9000000000", 3, 2},
                                              {NULL, "", 4, 3}};
    struct native_output out;

    (void)state;
    assert_int_equal(run_at(halve_filter_map, 22, in, 4, NULL, &out), 2);
    assert_string_equal(out.records[0].key, "a");
    assert_string_equal(out.records[0].value, "2");
    assert_string_equal(out.records[1].value, "-4500000000");
    assert_int_equal(out.records[1].offset_delta, 2);
    assert_int_equal(out.kind, KIND_FILTER_MAP);
    assert_string_equal(out.hint, "no number");
    native_output_deinit(&out);
}

/* --- array_map ------------------------------------------------------------ */

static void split_gives_one_record_for_each_element(void **state)
{
    static const struct native_record in[] = {
        {"k", "[1, \"two\" ,[3],{\"f\":4}, null]", 5, 6},
        {NULL, " [ ] ", 5, 7},
        {NULL, "[true]", 5, 8},
    };
    static const char *const expected[] = {"1",         "\"two\"", "[3]",
                                           "{\"f\":4}", "null",    "true"};
    struct native_output out;

    (void)state;
    assert_int_equal(run_at(split_array_map, 22, in, 3, NULL, &out), 6);
    for (size_t i = 0; i < 6; i++) {
        const struct native_record same = {i < 5 ? "k" : NULL, expected[i], 0,
                                           0};

        same_record(&same, &out.records[i]);
    }
    native_output_deinit(&out);
}

static void a_record_that_fails_late_leaves_nothing(void **state)
{
    static const struct native_record in[] = {
        {"2", "x", 0, 0}, {"30", "bad", 0, 1}, {"1", "y", 0, 2}};
    struct native_output out;

    (void)state;
    assert_int_equal(run_at(repeat_array_map, 22, in, 3, NULL, &out), 2);
    assert_string_equal(out.hint, "bad");
    assert_int_equal(out.kind, KIND_ARRAY_MAP);
    native_output_deinit(&out);
}

static void output_may_be_much_larger_than_input(void **state)
{
    struct native_record in = {"60", NULL, 0, 0};
    struct native_output out;
    char *large = malloc(5001);

    (void)state;
    assert_non_null(large);
    memset(large, 'x', 5000);
    large[5000] = '\0';
    in.value = large;
    assert_int_equal(run_at(repeat_array_map, 22, &in, 1, NULL, &out), 60);
    assert_string_equal(out.records[59].value, large);
    native_output_deinit(&out);
    free(large);
}

/* --- aggregate ------------------------------------------------------------ */

static void sum_goes_on_from_the_accumulator(void **state)
{
    static const struct native_record in[] = {
        {"k", "5", 1, 2}, {NULL, "-7", 2, 3}, {NULL, "1000000", 3, 4}};
    static const char *const expected[] = {"45", "38", "1000038"};
    struct native_output out;

    (void)state;
    for (uint32_t v = VERSION_MIN; v <= VERSION_MAX; v++) {
        assert_int_equal(run_at(sum_aggregate, v, in, 3, "40", &out), 3);
        for (size_t i = 0; i < 3; i++) {
            struct native_record same = in[i];

            same.value = expected[i];
            same_record(&same, &out.records[i]);
        }
        assert_string_equal(out.accumulator, "1000038");
        native_output_deinit(&out);
    }
    assert_int_equal(run_at(sum_aggregate, 22, in, 1, "", &out), 1);
    assert_string_equal(out.accumulator, "5");
    native_output_deinit(&out);
}

static void sum_fails_beyond_64_bits_and_stays_as_it_was(void **state)
{
    static const struct native_record in[] = {
        {NULL, "9223372036854775806", 0, 0},
        {NULL, "1", 0, 1},
        {NULL, "1", 0, 2},
    };
    struct native_output out;

    (void)state;
    assert_int_equal(run_at(sum_aggregate, 22, in, 3, "", &out), 2);
    assert_string_equal(out.accumulator, "9223372036854775807");
    assert_string_equal(out.hint, "the sum is beyond 64 bits with: 1");
    assert_int_equal(out.kind, KIND_AGGREGATE);
    assert_int_equal(out.offset, 1002);
    native_output_deinit(&out);
    assert_int_equal(run_at(sum_aggregate, 22, in, 0, "12", &out), 0);
    assert_string_equal(out.accumulator, "12");
    native_output_deinit(&out);
}

/* --- golden bytes --------------------------------------------------------- */

/* One record, "k" = "42", offset delta 3, 7 ms: what modules of the public
 * crate, tests/smartmodules-rust, answered at each of the versions. */
static const struct native_record golden[] = {{"k", "42", 7, 3}};
static const uint8_t golden_halved[] = {0, 0, 0,   1, 0x14, 0,   14, 6,
                                        1, 2, 'k', 4, '2',  '1', 0,  0};
static const uint8_t golden_sum[] = {0, 0, 0,   1, 0x16, 0,   14,  6,
                                     1, 2, 'k', 6, '1',  '0', '0', 0,
                                     0, 0, 0,   0, 3,    '1', '0', '0'};

static void answers_are_byte_for_byte_those_of_real_modules(void **state)
{
    struct native_output out;

    (void)state;
    for (uint32_t v = VERSION_MIN; v <= VERSION_MAX; v++) {
        assert_int_equal(run_at(halve_filter_map, v, golden, 1, NULL, &out), 1);
        native_output_deinit(&out);
        assert_int_equal(native_answer().len, sizeof(golden_halved));
        assert_memory_equal(native_answer().data, golden_halved,
                            sizeof(golden_halved));
        assert_int_equal(run_at(sum_aggregate, v, golden, 1, "58", &out), 1);
        native_output_deinit(&out);
        assert_int_equal(native_answer().len, sizeof(golden_sum));
        assert_memory_equal(native_answer().data, golden_sum,
                            sizeof(golden_sum));
    }
}

/* --- hostile hosts -------------------------------------------------------- */

static native_entry *const entries[] = {
    contains_filter, json_field_map, halve_filter_map, split_array_map,
    stamp_map,       sum_aggregate,  above_look_back,  contains_init,
};

static void input_that_is_cut_anywhere_is_refused(void **state)
{
    struct flv_buf in;

    (void)state;
    flv_buf_init(&in, 1 << 16);
    for (uint32_t v = VERSION_MIN; v <= VERSION_MAX; v++) {
        flv_buf_reset(&in);
        native_input(&in, v, 0, 1, fruit, COUNT(fruit), "");
        for (size_t len = 0; len < in.len; len++) {
            assert_int_equal(
                native_call(sum_aggregate, flv_slice(in.data, len), v), -11);
            assert_null(native_answer().data);
        }
    }
    flv_buf_deinit(&in);
}

static void records_that_lie_are_refused(void **state)
{
    static const uint8_t lies[][16] = {
        /* length, attributes, deltas, no key, value "a", headers */
        {12, 0, 0, 0, 0, 2, 'a', 0},   /* shorter than what is in it */
        {16, 0, 0, 0, 0, 2, 'a', 0},   /* longer */
        {13, 0, 0, 0, 0, 2, 'a', 0},   /* negative */
        {14, 0, 0, 0, 2, 2, 'a', 0},   /* key tag */
        {14, 0, 0, 0, 0, 3, 'a', 0},   /* value of negative length */
        {14, 0, 0, 0, 0, 200, 200, 1}, /* value beyond the record */
        {14, 0, 255, 255, 255, 255, 255, 255, 255}, /* endless varint */
    };
    struct flv_buf in;

    (void)state;
    flv_buf_init(&in, 1 << 16);
    for (size_t i = 0; i < COUNT(lies); i++) {
        flv_buf_reset(&in);
        assert_int_equal(flv_buf_add_u64(&in, 0), FLV_OK);
        assert_int_equal(flv_buf_add_u32(&in, 4 + 16), FLV_OK);
        assert_int_equal(flv_buf_add_u32(&in, 1), FLV_OK);
        assert_int_equal(flv_buf_add(&in, lies[i], 16), FLV_OK);
        assert_int_equal(flv_buf_add_u64(&in, 0), FLV_OK);
        assert_int_equal(native_call(halve_filter_map, flv_buf_slice(&in), 23),
                         -22);
        assert_null(native_answer().data);
    }
    flv_buf_deinit(&in);
}

static void a_count_beyond_the_records_is_refused(void **state)
{
    struct flv_buf in;

    (void)state;
    flv_buf_init(&in, 1 << 16);
    native_input(&in, 22, 0, 0, fruit, COUNT(fruit), NULL);
    memset(in.data + 12, 0xff, 4);
    assert_int_equal(native_call(split_array_map, flv_buf_slice(&in), 22), 0);
    /* The first value is no array: that comes before the missing ones. */
    native_reset();
    assert_int_equal(native_call(stamp_map, flv_buf_slice(&in), 22), -22);
    flv_buf_deinit(&in);
}

/* Every byte of the input in turn becomes something else. */
static void corrupt(native_entry *entry, struct flv_buf *in)
{
    unsigned seed = 1;

    for (size_t i = 0; i < in->len; i++) {
        const uint8_t was = in->data[i];

        seed = seed * 1103515245 + 12345;
        in->data[i] = (uint8_t)(seed >> 16);
        (void)native_call(entry, flv_buf_slice(in), 22);
        in->data[i] = was;
    }
}

static void one_wrong_byte_anywhere_does_no_harm(void **state)
{
    static const char *const p[] = {"text", "a", "more", "", NULL};
    struct flv_buf in;

    (void)state;
    flv_buf_init(&in, 1 << 16);
    native_params(&in, p);
    corrupt(contains_init, &in);
    native_reset();
    assert_int_equal(init(contains_init, p), 0);
    flv_buf_reset(&in);
    native_input(&in, 22, 0, 1, fruit, COUNT(fruit), "12");
    for (size_t e = 0; e < COUNT(entries); e++) {
        corrupt(entries[e], &in);
    }
    flv_buf_deinit(&in);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(contains_keeps_what_has_the_text_at_every_version),
        TEST(contains_takes_all_and_nothing),
        TEST(contains_refuses_to_start_without_its_parameter),
        TEST(parameters_stay_for_the_life_of_the_instance),
        TEST(memory_is_what_the_largest_batch_needs),
        TEST(a_failing_filter_keeps_the_records_before),
        TEST(look_back_sees_past_records_and_says_what_it_cannot_take),
        TEST(json_field_takes_the_member_and_leaves_the_rest),
        TEST(json_field_names_the_record_without_the_member),
        TEST(stamp_sees_offset_and_time_from_version_22_on),
        TEST(halve_drops_odd_numbers),
        TEST(split_gives_one_record_for_each_element),
        TEST(a_record_that_fails_late_leaves_nothing),
        TEST(output_may_be_much_larger_than_input),
        TEST(sum_goes_on_from_the_accumulator),
        TEST(sum_fails_beyond_64_bits_and_stays_as_it_was),
        TEST(answers_are_byte_for_byte_those_of_real_modules),
        TEST(input_that_is_cut_anywhere_is_refused),
        TEST(records_that_lie_are_refused),
        TEST(a_count_beyond_the_records_is_refused),
        TEST(one_wrong_byte_anywhere_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
