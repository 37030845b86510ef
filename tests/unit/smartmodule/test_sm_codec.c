/* The bytes between host and guest: golden encodings, and outputs that lie. */
#include "util.h"

#include "base/mem.h"
#include "base/text.h"
#include "smartmodule/codec.h"
#include "smartmodule/wasm.h"
#include <stdio.h>
#include <stdlib.h>

static void assert_hex(struct flv_slice s, const char *expected)
{
    struct flv_buf b;

    flv_buf_init(&b, 1 << 16);
    assert_int_equal(flv_text_hex(&b, s), FLV_OK);
    assert_string_equal(flv_buf_str(&b), expected);
    flv_buf_deinit(&b);
}

static struct flv_slice unhex(const char *hex)
{
    static uint8_t bytes[4096];
    struct flv_buf b;
    size_t len;

    flv_buf_init(&b, sizeof(bytes));
    assert_int_equal(flv_text_unhex(&b, hex, NULL), FLV_OK);
    memcpy(bytes, b.data, b.len);
    len = b.len;
    flv_buf_deinit(&b);
    return flv_slice(bytes, len);
}

/* One record "hi" without key: count, length, attributes, two deltas, no key,
 * value, no headers. */
#define ONE_RECORD                                                             \
    "00000001"                                                                 \
    "10"                                                                       \
    "00"                                                                       \
    "00"                                                                       \
    "00"                                                                       \
    "00"                                                                       \
    "046869"                                                                   \
    "00"

static void input_is_as_fluvio_has_it_at_version_22(void **state)
{
    static uint8_t bytes[256];
    uint8_t section[64];
    struct flv_slice s = unhex(ONE_RECORD);
    struct flv__sm_args args = {
        .base_offset = 0x0102030405060708,
        .base_timestamp_ms = 1700000000000,
    };

    (void)state;
    memcpy(section, s.data, s.len);
    args.section = flv_slice(section, s.len);
    flv__sm_args_put(&args, bytes);
    assert_hex(flv_slice(bytes, flv__sm_args_size(&args)),
               "0102030405060708"           /* base offset */
               "0000000d" ONE_RECORD "0000" /* params */
               "00"                         /* look-back */
               "00000000"                   /* join record */
               "0000018bcfe56800" /* base timestamp */);
    args.aggregate = true;
    args.accumulator = flv_slice_str("acc");
    flv__sm_args_put(&args, bytes);
    assert_hex(flv_slice(bytes, flv__sm_args_size(&args)),
               "0102030405060708"
               "0000000d" ONE_RECORD "0000"
               "00"
               "00000000"
               "0000018bcfe56800"
               "00000003616363");
}

static void parameters_are_sorted_and_carry_the_look_back(void **state)
{
    const struct flv_sm_param params[] = {
        {flv_slice_str("b"), flv_slice_str("2")},
        {flv_slice_str("a"), flv_slice_str("1")},
        {flv_slice_str("ab"), flv_slice_str("")},
    };
    struct flv_sm_step step = {.params = params, .param_count = 3};
    struct flv_err err = {0};
    struct flv_buf b;

    (void)state;
    flv_buf_init(&b, 4096);
    assert_int_equal(flv__sm_init_put(&step, &b, &err), FLV_OK);
    assert_hex(flv_buf_slice(&b), "0003"
                                  "000161000131"
                                  "000261620000"
                                  "000162000132"
                                  "00");
    step.param_count = 0;
    step.look_back_last = 5;
    flv_buf_reset(&b);
    assert_int_equal(flv__sm_init_put(&step, &b, &err), FLV_OK);
    assert_hex(flv_buf_slice(&b), "0000"
                                  "01"
                                  "0000000000000005"
                                  "00");
    step.look_back_age_ms = 90250;
    flv_buf_reset(&b);
    assert_int_equal(flv__sm_init_put(&step, &b, &err), FLV_OK);
    assert_hex(flv_buf_slice(&b), "0000"
                                  "01"
                                  "0000000000000005"
                                  "01"
                                  "000000000000005a0ee6b280");
    flv_buf_deinit(&b);
}

static void parameters_have_ceilings(void **state)
{
    static char large[40000];
    struct flv_sm_param params[300];
    struct flv_sm_step step = {.params = params, .param_count = 2};
    struct flv_err err = {0};
    struct flv_buf b;

    (void)state;
    flv_buf_init(&b, 1 << 20);
    memset(large, 'x', sizeof(large));
    for (size_t i = 0; i < COUNT(params); i++) {
        params[i] =
            (struct flv_sm_param){flv_slice_str("k"), flv_slice_str("v")};
    }
    assert_int_equal(flv__sm_init_put(&step, &b, &err), FLV_E_INVALID);
    assert_string_equal(err.text, "parameter k is given twice");
    step.param_count = 300;
    assert_int_equal(flv__sm_init_put(&step, &b, &err), FLV_E_INVALID);
    step.param_count = 1;
    params[0].value = flv_slice(large, 40000);
    assert_int_equal(flv__sm_init_put(&step, &b, &err), FLV_E_INVALID);
    step.param_count = 3;
    for (int i = 0; i < 3; i++) {
        params[i].key = flv_slice_str(i == 0 ? "a" : i == 1 ? "b" : "c");
        params[i].value = flv_slice(large, 30000);
    }
    assert_int_equal(flv__sm_init_put(&step, &b, &err), FLV_E_INVALID);
    flv_buf_deinit(&b);
}

/* What the guest sees is what the golden bytes say. */
static void a_guest_gets_version_22_and_these_bytes(void **state)
{
    const struct flv_sm_param param = {flv_slice_str("key"),
                                       flv_slice_str("value")};
    struct flv_sm_step step = {
        .module = module_of("echo"), .params = &param, .param_count = 1};
    struct flv_sm_chain *c = NULL;
    struct flv_err err = {0};
    struct flv_sm_result r;

    (void)state;
    assert_int_equal(flv_sm_chain_create(&c, &step, 1, &err), FLV_OK);
    r = run(c, "hi", false);
    assert_int_equal(r.record_count, 3);
    assert_hex(r.records[0].value, "1616"); /* 22 to init and entry */
    assert_hex(r.records[1].value, "0001"
                                   "00036b6579000576616c7565"
                                   "00");
    assert_hex(r.records[2].value, "0000000000000064"
                                   "0000000d" ONE_RECORD "0000"
                                   "00"
                                   "00000000"
                                   "00000000000f4240");
    flv_sm_chain_destroy(c);
    flv_sm_module_unref(step.module);
}

static void outputs_are_read_as_fluvio_writes_them(void **state)
{
    struct flv__sm_records records = {.base_timestamp_ms = 1000};
    struct flv__sm_output out;
    struct flv_err err = {0};

    (void)state;
    assert_int_equal(
        flv__sm_output_get(unhex(ONE_RECORD "00"), false, &records, &out, &err),
        FLV_OK);
    assert_int_equal(records.len, 1);
    assert_true(flv_slice_eq_str(records.at[0].value, "hi"));
    assert_int_equal(records.at[0].timestamp_ms, 1000);
    assert_int_equal(records.at[0].origin, 0);
    assert_true(out.walk.in_place);
    assert_false(out.has_error);
    /* an error with hint "bad", offset 7, key "k", value "v" */
    assert_int_equal(flv__sm_output_get(unhex("00000000"
                                              "01"
                                              "0003626164"
                                              "0000000000000007"
                                              "00"
                                              "01026b"
                                              "0276"),
                                        false, &records, &out, &err),
                     FLV_OK);
    assert_true(out.has_error);
    assert_true(flv_slice_eq_str(out.hint, "bad"));
    assert_int_equal(records.len, 1);
    assert_int_equal(flv__sm_output_get(unhex(ONE_RECORD "00"
                                                         "00000003616363"),
                                        true, NULL, &out, &err),
                     FLV_OK);
    assert_true(flv_slice_eq_str(out.accumulator, "acc"));
    flv__sm_records_deinit(&records);
}

/* What modules built from the public crate (fluvio-smartmodule 0.7.5) gave for
 * two records at base offset 100, of which they took the first and failed on
 * the second, with key "k" and without one. The bytes are the same for all
 * versions of the ABI that they were called with: 16, 17, 19 to 23 and 25. */
#define UTF8_WORDS                                                             \
    "002e696e76616c6964207574662d382073657175656e6365206f662031206279746573"   \
    "2066726f6d20696e6465782030"
#define DIGIT_WORDS                                                            \
    "001d696e76616c696420646967697420666f756e6420696e20737472696e67"
#define OFFSET_101 "0000000000000065"

static const struct {
    const char *hex;
    const char *first; /* value of the record that passed */
    bool aggregate;
} errors[] = {
    {"000000010e000000000261"
     "0001" UTF8_WORDS OFFSET_101 "00"
     "00"
     "02ff",
     "a", false}, /* filter */
    {"000000010e000000000261"
     "0001" UTF8_WORDS OFFSET_101 "00"
     "01026b"
     "02ff",
     "a", false},
    {"000000010e000000000241"
     "0001" UTF8_WORDS OFFSET_101 "01"
     "00"
     "02ff",
     "A", false}, /* map */
    {"000000010e000000000241"
     "0001" UTF8_WORDS OFFSET_101 "01"
     "01026b"
     "02ff",
     "A", false},
    {"000000010e000000000261"
     "0001" UTF8_WORDS OFFSET_101 "02"
     "00"
     "02ff",
     "a", false}, /* array_map */
    {"000000010e000000000261"
     "0001" UTF8_WORDS OFFSET_101 "02"
     "01026b"
     "02ff",
     "a", false},
    {"000000010e000000000233"
     "0001" DIGIT_WORDS OFFSET_101 "03"
     "00"
     "0278"
     "0000000133",
     "3", true}, /* aggregate */
    {"000000010e000000000233"
     "0001" DIGIT_WORDS OFFSET_101 "03"
     "01026b"
     "0278"
     "0000000133",
     "3", true},
    {"000000010e000000000231"
     "0001" DIGIT_WORDS OFFSET_101 "04"
     "00"
     "0278",
     "1", false}, /* filter_map */
    {"000000010e000000000231"
     "0001" DIGIT_WORDS OFFSET_101 "04"
     "01026b"
     "0278",
     "1", false},
};

static void errors_of_every_kind_are_read_as_the_crate_writes_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct flv__sm_records records = {.base_timestamp_ms = 1000};
        struct flv__sm_output out;
        struct flv_err err = {0};
        bool digit = strstr(errors[i].hex, DIGIT_WORDS) != NULL;

        assert_int_equal(flv__sm_output_get(unhex(errors[i].hex),
                                            errors[i].aggregate, &records, &out,
                                            &err),
                         FLV_OK);
        assert_int_equal(records.len, 1);
        assert_true(flv_slice_eq_str(records.at[0].value, errors[i].first));
        assert_true(out.has_error);
        assert_true(flv_slice_eq_str(
            out.hint, digit ? "invalid digit found in string"
                            : "invalid utf-8 sequence of 1 bytes from index "
                              "0"));
        assert_int_equal(out.error_offset, 101);
        if (errors[i].aggregate) {
            assert_true(flv_slice_eq_str(out.accumulator, "3"));
        }
        flv__sm_records_deinit(&records);
    }
}

/* The same of `init` (-2) and `look_back` (-99, the record at offset 103). */
static void refusals_are_read_as_the_crate_writes_them(void **state)
{
    (void)state;
    assert_true(flv_slice_eq_str(
        flv__sm_hint_get(unhex("001d74686520706172616d6574657220776f7264206973"
                               "206d697373696e67")),
        "the parameter word is missing"));
    assert_true(
        flv_slice_eq_str(flv__sm_hint_get(unhex(DIGIT_WORDS "0000000000000067"
                                                            "01026b0278")),
                         "invalid digit found in string"));
}

static void outputs_that_are_cut_anywhere_are_refused(void **state)
{
    struct flv_slice all = unhex(ONE_RECORD "01"
                                            "0003626164"
                                            "0000000000000007"
                                            "00"
                                            "01026b"
                                            "0276"
                                            "00000003616363");
    struct flv__sm_records records = {0};
    struct flv__sm_output out;
    struct flv_err err = {0};

    (void)state;
    assert_int_equal(flv__sm_output_get(all, true, NULL, &out, &err), FLV_OK);
    for (size_t len = 0; len < all.len; len++) {
        /* At the very end of a piece of memory: a sanitizer sees more. */
        uint8_t *copy = flv_alloc(len);

        memcpy(copy, all.data, len);
        assert_int_equal(flv__sm_output_get(flv_slice(copy, len), true,
                                            &records, &out, &err),
                         FLV_E_CORRUPT);
        assert_int_equal(records.len, 0);
        flv_free(copy);
    }
    flv__sm_records_deinit(&records);
}

static void
a_module_that_is_cut_or_changed_is_read_within_its_bytes(void **state)
{
    struct flv_slice wasm = assemble("filter");
    struct flv_sm_module_info info;
    struct flv_err err;
    size_t ok = 0;

    (void)state;
    for (size_t len = 0; len <= wasm.len; len++) {
        uint8_t *copy = flv_alloc(len);

        memcpy(copy, wasm.data, len);
        ok += flv_sm_inspect(flv_slice(copy, len), &info, &err) == FLV_OK;
        flv_free(copy);
    }
    assert_true(ok >= 1);
    srand(1);
    for (int i = 0; i < 20000; i++) {
        uint8_t *copy = flv_alloc(wasm.len);

        memcpy(copy, wasm.data, wasm.len);
        for (int j = rand() % 4; j >= 0; j--) {
            copy[(size_t)rand() % (wasm.len < 400 ? wasm.len : 400)] =
                (uint8_t)rand();
        }
        if (flv_sm_inspect(flv_slice(copy, wasm.len), &info, &err) == FLV_OK) {
            assert_true(info.kind < FLV_SM_KIND_COUNT);
        }
        flv_free(copy);
    }
    free_slice(wasm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_is_as_fluvio_has_it_at_version_22),
        cmocka_unit_test(parameters_are_sorted_and_carry_the_look_back),
        cmocka_unit_test(parameters_have_ceilings),
        cmocka_unit_test(a_guest_gets_version_22_and_these_bytes),
        cmocka_unit_test(outputs_are_read_as_fluvio_writes_them),
        cmocka_unit_test(
            errors_of_every_kind_are_read_as_the_crate_writes_them),
        cmocka_unit_test(refusals_are_read_as_the_crate_writes_them),
        cmocka_unit_test(outputs_that_are_cut_anywhere_are_refused),
        cmocka_unit_test(
            a_module_that_is_cut_or_changed_is_read_within_its_bytes),
    };

    return cmocka_run_group_tests(tests, setup_engine, teardown_engine);
}
