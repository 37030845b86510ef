/* What smartmodule.h offers beside its entries: finding, numbers, JSON. */
#include "cm.h"
#include "native.h"

#include <fluvio/smartmodule_text.h>
#include <stdlib.h>

static struct flv_slice own(const char *text)
{
    struct flv_slice s = flv_text(text);
    void *copy = malloc(s.len > 0 ? s.len : 1);

    assert_non_null(copy);
    memcpy(copy, text, s.len);
    return flv_bytes(copy, s.len);
}

static void disown(struct flv_slice s)
{
    free((void *)(uintptr_t)s.data);
}

static void find_agrees_with_looking_at_every_place(void **state)
{
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        uint8_t hay[40], needle[12];
        size_t hay_len, needle_len, expected = FLV_NOT_FOUND;

        seed = seed * 1103515245 + 12345;
        hay_len = (seed >> 16) % 40;
        needle_len = (seed >> 8) % 12;
        for (size_t i = 0; i < hay_len + needle_len; i++) {
            seed = seed * 1103515245 + 12345;
            *(i < hay_len ? &hay[i] : &needle[i - hay_len]) =
                (uint8_t)(0x7f + (seed >> 16) % 3);
        }
        for (size_t i = 0; i + needle_len <= hay_len; i++) {
            if (needle_len == 0 || memcmp(hay + i, needle, needle_len) == 0) {
                expected = i;
                break;
            }
        }
        assert_int_equal(
            flv_find(flv_bytes(hay, hay_len), flv_bytes(needle, needle_len)),
            expected);
    }
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1a", false, 0},
        {"1/", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct flv_slice s = own(cases[i].text);
        int64_t v = 42;

        assert_int_equal(flv_parse_i64(s, &v), cases[i].ok);
        assert_int_equal(v, cases[i].ok ? cases[i].value : 42);
        disown(s);
    }
}

static void numbers_are_written_as_they_are_read(void **state)
{
    static const int64_t numbers[] = {0,   1,  -1,        9,        10,
                                      -10, 99, INT64_MAX, INT64_MIN};

    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        int64_t back = 0;

        assert_true(flv_parse_i64(flv_format_i64(numbers[i]), &back));
        assert_int_equal(back, numbers[i]);
    }
    assert_true(flv_equal(flv_format_i64(-120), flv_text("-120")));
    native_reset();
}

static void json_fields_are_found_or_not_or_bad(void **state)
{
    static const struct {
        const char *json, *value; /* NULL: none; "": bad */
    } cases[] = {
        {"{\"f\":1}", "1"},
        {"{\"a\":{\"f\":2},\"f\":\"x\\\"y\"}", "\"x\\\"y\""},
        {"{\"f\":[1,[2,{\"f\":3}]] }", "[1,[2,{\"f\":3}]]"},
        {"{\"f\":1,\"f\":2}", "1"},
        {"{\"ff\":1,\"g\":null}", NULL},
        {"{}", NULL},
        {" { } ", NULL},
        {"", ""},
        {"f", ""},
        {"[\"f\",1]", ""},
        {"{", ""},
        {"{\"f\"", ""},
        {"{\"f\":", ""},
        {"{\"f\":}", ""},
        {"{\"f\":\"x}", ""},
        {"{\"f\":\"x\\", ""},
        {"{\"f\":[1}", ""},
        {"{\"f\":{]}", ""},
        {"{\"f\" 1}", ""},
        {"{f:1}", ""},
        {"{\"a\":1 \"f\":2}", ""},
        {"{\"a\":1,}", ""},
        {"{\"a\":1}x", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct flv_slice json = own(cases[i].json), value = {NULL, 0};
        const char *v = cases[i].value;

        assert_int_equal(flv_json_field(json, flv_text("f"), &value),
                         v == NULL      ? FLV_JSON_NONE
                         : v[0] == '\0' ? FLV_JSON_BAD
                                        : FLV_JSON_FOUND);
        if (v != NULL && v[0] != '\0') {
            assert_true(flv_equal(value, flv_text(v)));
        }
        disown(json);
    }
}

static void json_nests_64_deep_and_no_deeper(void **state)
{
    char text[300];
    struct flv_slice value;

    (void)state;
    for (int depth = 64; depth <= 65; depth++) {
        size_t n = 5;

        memcpy(text, "{\"f\":", 5);
        for (int i = 0; i < depth; i++) {
            text[n++] = '[';
        }
        for (int i = 0; i < depth; i++) {
            text[n++] = ']';
        }
        text[n++] = '}';
        assert_int_equal(
            flv_json_field(flv_bytes(text, n), flv_text("f"), &value),
            depth == 64 ? FLV_JSON_FOUND : FLV_JSON_BAD);
    }
}

static void json_strings_lose_quotes_and_escapes(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"12", "12"},
        {"{\"a\":\"\\n\"}", "{\"a\":\"\\n\"}"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00E9\\u20ac\\uD83D\\uDE00\"",
         "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"\\x\"", NULL},
        {"\"\\u12\"", NULL},
        {"\"\\u12g4\"", NULL},
        {"\"\\ud83d\"", NULL},
        {"\"\\ud83d\\u0041\"", NULL},
        {"\"\\ude00\"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct flv_slice in = own(cases[i].in), out = {NULL, 0};

        assert_int_equal(flv_json_text(in, &out), cases[i].out != NULL);
        if (cases[i].out != NULL) {
            assert_true(flv_equal(out, flv_text(cases[i].out)));
        }
        disown(in);
    }
    native_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_agrees_with_looking_at_every_place),
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(numbers_are_written_as_they_are_read),
        cmocka_unit_test(json_fields_are_found_or_not_or_bad),
        cmocka_unit_test(json_nests_64_deep_and_no_deeper),
        cmocka_unit_test(json_strings_lose_quotes_and_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
