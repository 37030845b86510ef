#include "cm.h"

#include "base/mem.h"
#include "base/text.h"

static void numbers_are_read_strictly(void **state)
{
    static const struct {
        const char *text;
        uint64_t min, max;
        int ok;
        uint64_t value;
    } rows[] = {
        {"0", 0, UINT64_MAX, 1, 0},
        {"007", 0, 10, 1, 7},
        {"18446744073709551615", 0, UINT64_MAX, 1, UINT64_MAX},
        {"18446744073709551616", 0, UINT64_MAX, 0, 0},
        {"99999999999999999999999", 0, UINT64_MAX, 0, 0},
        {"", 0, 10, 0, 0},
        {" 1", 0, 10, 0, 0},
        {"1 ", 0, 10, 0, 0},
        {"+1", 0, 10, 0, 0},
        {"-0", 0, 10, 0, 0},
        {"0x10", 0, 99, 0, 0},
        {"1e3", 0, UINT64_MAX, 0, 0},
        {"1_000", 0, UINT64_MAX, 0, 0},
        {"\xd9\xa1", 0, 10, 0, 0},
        {"65536", 1, 65535, 0, 0},
        {"0", 1, 65535, 0, 0},
        {"65535", 1, 65535, 1, 65535},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t v = 42;
        flv_rc rc =
            flv_text_u64(rows[i].text, rows[i].min, rows[i].max, &v, NULL);

        assert_int_equal(rc, rows[i].ok ? FLV_OK : FLV_E_INVALID);
        assert_int_equal(v, rows[i].ok ? rows[i].value : 42);
    }
}

static void signed_numbers_reach_both_ends(void **state)
{
    int64_t v = 0;

    (void)state;
    assert_int_equal(
        flv_text_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &v, NULL),
        FLV_OK);
    assert_true(v == INT64_MIN);
    assert_int_equal(
        flv_text_i64("9223372036854775807", INT64_MIN, INT64_MAX, &v, NULL),
        FLV_OK);
    assert_true(v == INT64_MAX);
    assert_int_equal(
        flv_text_i64("9223372036854775808", INT64_MIN, INT64_MAX, &v, NULL),
        FLV_E_INVALID);
    assert_int_equal(
        flv_text_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &v, NULL),
        FLV_E_INVALID);
    assert_int_equal(flv_text_i64("-", -5, 5, &v, NULL), FLV_E_INVALID);
    assert_int_equal(flv_text_i64("--1", -5, 5, &v, NULL), FLV_E_INVALID);
    assert_int_equal(flv_text_i64("-5", -5, 5, &v, NULL), FLV_OK);
    assert_int_equal(v, -5);
}

static void number_errors_name_value_and_range(void **state)
{
    struct flv_err err;
    uint64_t v;
    char huge[5000];

    (void)state;
    assert_int_equal(flv_text_u64("70000", 1, 65535, &v, &err), FLV_E_INVALID);
    assert_string_equal(err.text,
                        "'70000' is not a whole number from 1 to 65535");
    assert_int_equal(flv_text_u64("a\nb\x1b[2J", 0, UINT64_MAX, &v, &err),
                     FLV_E_INVALID);
    assert_string_equal(err.text,
                        "'a?b?[2J' is not a whole number of at least 0");
    memset(huge, '9', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    assert_int_equal(flv_text_u64(huge, 0, UINT64_MAX, &v, &err),
                     FLV_E_INVALID);
    assert_non_null(strstr(err.text, "...' is not a whole number"));
}

static void durations_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t unit_ms;
        int ok;
        uint64_t ms;
    } rows[] = {
        {"10", 1000, 1, 10000},
        {"10", 1, 1, 10},
        {"10", 0, 0, 0},
        {"0", 1000, 1, 0},
        {"10s", 1, 1, 10000},
        {"100ms", 1000, 1, 100},
        {"1d", 0, 1, 86400000},
        {"2m", 0, 1, 120000},
        {"1h 30m", 0, 1, 5400000},
        {"1h30m", 0, 1, 5400000},
        {"2 minutes", 0, 1, 120000},
        {"1.5s", 0, 1, 1500},
        {"0.5", 1000, 1, 500},
        {"500us", 0, 1, 1},
        {"1ns", 0, 1, 1},
        {"2w", 0, 1, 1209600000},
        {" 5 s ", 0, 1, 5000},
        {"", 1000, 0, 0},
        {"s", 1000, 0, 0},
        {"-5s", 1000, 0, 0},
        {"5 5", 1000, 0, 0},
        {"1h 30", 1000, 0, 0},
        {"5x", 1000, 0, 0},
        {"5S", 1000, 0, 0},
        {"5.s", 1000, 0, 0},
        {".5s", 1000, 0, 0},
        {"1e3s", 1000, 0, 0},
        {"99999999999d", 0, 0, 0},
        {"18446744073709551616ms", 0, 0, 0},
        {"0.1234567890s", 0, 0, 0},
        {"5secondsandmoreletters", 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t ms = 42;
        flv_rc rc = flv_text_duration(rows[i].text, rows[i].unit_ms, &ms, NULL);

        assert_int_equal(rc, rows[i].ok ? FLV_OK : FLV_E_INVALID);
        assert_int_equal(ms, rows[i].ok ? rows[i].ms : 42);
    }
}

static void sizes_are_read(void **state)
{
    static const struct {
        const char *text;
        int ok;
        uint64_t bytes;
    } rows[] = {
        {"16384", 1, 16384},
        {"2 Ki", 1, 2048},
        {"2KiB", 1, 2048},
        {"1Mb", 1, 1000000},
        {"1mB", 1, 1000000},
        {"10Gb", 1, 10000000000},
        {"44.0 MB", 1, 44000000},
        {"1.5Ki", 1, 1536},
        {"1k", 1, 1000},
        {"3 TiB", 1, 3298534883328},
        {"12 B", 1, 12},
        {"12 bytes", 1, 12},
        {"0.0001 kb", 1, 0},
        {" 7 ", 1, 7},
        {"", 0, 0},
        {"Ki", 0, 0},
        {"-1", 0, 0},
        {"1 Kii", 0, 0},
        {"1 2", 0, 0},
        {"99999999 PiB", 0, 0},
        {"1.2.3", 0, 0},
        {"1Mb!", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t bytes = 42;
        flv_rc rc = flv_text_size(rows[i].text, &bytes, NULL);

        assert_int_equal(rc, rows[i].ok ? FLV_OK : FLV_E_INVALID);
        assert_int_equal(bytes, rows[i].ok ? rows[i].bytes : 42);
    }
}

static void formatted_durations_read_back(void **state)
{
    static const uint64_t all[] = {0,       1,        999,      1000,
                                   5400000, 86400000, 90061001, 604800000};
    char text[FLV_TEXT_FORMAT_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        uint64_t ms = 42;

        flv_text_format_duration(all[i], text);
        assert_int_equal(flv_text_duration(text, 0, &ms, NULL), FLV_OK);
        assert_int_equal(ms, all[i]);
    }
    flv_text_format_duration(5400100, text);
    assert_string_equal(text, "1h 30m 100ms");
    flv_text_format_duration(UINT64_MAX, text);
    assert_string_equal(text, "213503982334d 14h 25m 51s 615ms");
}

static void sizes_are_shown_with_one_decimal(void **state)
{
    char text[FLV_TEXT_FORMAT_MAX];

    (void)state;
    flv_text_format_size(0, text);
    assert_string_equal(text, "0 B");
    flv_text_format_size(999, text);
    assert_string_equal(text, "999 B");
    flv_text_format_size(44000000, text);
    assert_string_equal(text, "44.0 MB");
    flv_text_format_size(999960, text);
    assert_string_equal(text, "1.0 MB");
    flv_text_format_size(UINT64_MAX, text);
    assert_string_equal(text, "18.4 EB");
}

static void invalid_utf8_is_found(void **state)
{
    static const struct {
        const char *text;
        size_t good;
    } rows[] = {
        {"", 0},
        {"plain ascii text of some length", 31},
        {"h\xc3\xa9llo", 6},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"a\x80", 1},                /* lone continuation */
        {"a\xc3", 1},                /* cut */
        {"a\xe2\x82", 1},            /* cut */
        {"\xc0\x80", 0},             /* overlong NUL */
        {"\xe0\x9f\xbf", 0},         /* overlong */
        {"\xf0\x8f\xbf\xbf", 0},     /* overlong */
        {"\xed\xa0\x80", 0},         /* surrogate */
        {"\xf4\x90\x80\x80", 0},     /* past U+10FFFF */
        {"\xf8\x88\x80\x80\x80", 0}, /* five bytes */
        {"12345678\xff"
         "12345678",
         8}, /* behind a whole word */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct flv_slice s = flv_slice_str(rows[i].text);

        assert_int_equal(flv_text_utf8_prefix(s), rows[i].good);
        assert_int_equal(flv_text_is_utf8(s), rows[i].good == s.len);
    }
}

static void json_strings_are_escaped(void **state)
{
    struct flv_buf b;

    (void)state;
    flv_buf_init(&b, 1000);
    assert_int_equal(
        flv_text_json(
            &b, flv_slice("a\"\\\n\r\t\b\f\x01\0\x7f/\xc2\x9b\xc2\xa0\xc3\xa9"
                          "\xff\xc3",
                          20)),
        FLV_OK);
    assert_string_equal(flv_buf_str(&b),
                        "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u0000\\u007f/"
                        "\\u009b\xc2\xa0\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
    flv_buf_reset(&b);
    assert_int_equal(flv_text_json_str(&b, ""), FLV_OK);
    assert_string_equal(flv_buf_str(&b), "\"\"");
    flv_buf_deinit(&b);
}

static void characters_become_utf8(void **state)
{
    static const struct {
        uint32_t c;
        const char *bytes;
    } rows[] = {{'A', "A"},
                {0x7f, "\x7f"},
                {0x80, "\xc2\x80"},
                {0x7ff, "\xdf\xbf"},
                {0x800, "\xe0\xa0\x80"},
                {0xffff, "\xef\xbf\xbf"},
                {0x10000, "\xf0\x90\x80\x80"},
                {0x10ffff, "\xf4\x8f\xbf\xbf"}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t out[FLV_TEXT_UTF8_MAX];
        const size_t n = flv_text_put_utf8(rows[i].c, out);

        assert_int_equal(n, strlen(rows[i].bytes));
        assert_memory_equal(out, rows[i].bytes, n);
        assert_true(flv_text_is_utf8(flv_slice(out, n)));
    }
}

static void json_characters_are_read(void **state)
{
    static const struct {
        const char *text;
        size_t taken;
        uint32_t c;
    } rows[] = {{"00e9", 4, 0xe9},
                {"20AC and more", 4, 0x20ac},
                {"d83d\\ude00", 10, 0x1f600},
                {"dbff\\udfff!", 10, 0x10ffff},
                {"d83d", 4, 0xd83d},
                {"d83d\\u0041", 4, 0xd83d},
                {"d83d\\ude0", 4, 0xd83d},
                {"d83d\\n1234", 4, 0xd83d},
                {"ude00", 0, 0},
                {"de00\\ud83d", 4, 0xde00},
                {"12", 0, 0},
                {"", 0, 0},
                {"12x4", 0, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t c = 0;

        assert_int_equal(flv_text_json_u(flv_slice_str(rows[i].text), &c),
                         rows[i].taken);
        assert_int_equal(c, rows[i].c);
    }
}

static void control_characters_become_blanks(void **state)
{
    static const char text[] = "a\x1b[2J\n\0\x7f\xc2\x9bz\xc2\xa0\xc3\xa9\xc2";
    char s[sizeof(text)];

    (void)state;
    memcpy(s, text, sizeof(s));
    assert_false(flv_text_is_tidy(flv_slice(s, sizeof(s) - 1)));
    flv_text_tidy(s, sizeof(s) - 1);
    assert_string_equal(s, "a [2J     z\xc2\xa0\xc3\xa9\xc2");
    assert_true(flv_text_is_tidy(flv_slice(s, sizeof(s) - 1)));
    assert_true(flv_text_is_tidy(flv_slice(NULL, 0)));
}

static void errors_hold_no_control_characters(void **state)
{
    struct flv_err err;

    (void)state;
    assert_int_equal(
        flv_fail(&err, FLV_E_REFUSED, "the server: %s", "\x1b[31mred\r\ntwo"),
        FLV_E_REFUSED);
    assert_string_equal(err.text, "the server:  [31mred  two");
    flv_err_prefix(&err, "topic %s", "\x1b]0;x\x07");
    flv_err_suffix(&err, "\t!");
    assert_string_equal(err.text, "topic  ]0;x : the server:  [31mred  two !");
}

static void a_full_buffer_keeps_what_it_had(void **state)
{
    struct flv_buf b;

    (void)state;
    flv_buf_init(&b, 8);
    assert_int_equal(flv_buf_add_str(&b, "keep"), FLV_OK);
    assert_int_equal(flv_text_json_str(&b, "toolong"), FLV_E_LIMIT);
    assert_int_equal(flv_text_hex(&b, flv_slice_str("abc")), FLV_E_LIMIT);
    assert_int_equal(flv_text_unhex(&b, "616z", NULL), FLV_E_INVALID);
    assert_string_equal(flv_buf_str(&b), "keep");
    flv_buf_deinit(&b);
}

static void base_64_pads(void **state)
{
    static const char *const table[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe\xfd\xfc", "//79/A=="},
    };
    struct flv_buf b;

    (void)state;
    flv_buf_init(&b, 8);
    for (size_t i = 0; i < COUNT(table); i++) {
        flv_buf_reset(&b);
        assert_int_equal(flv_text_base64(&b, flv_slice_str(table[i][0])),
                         FLV_OK);
        assert_string_equal(flv_buf_str(&b), table[i][1]);
    }
    flv_buf_reset(&b);
    assert_int_equal(flv_text_base64(&b, flv_slice_str("foobarb")),
                     FLV_E_LIMIT);
    assert_int_equal(b.len, 0);
    flv_buf_deinit(&b);
}

static void base_64_is_read_back(void **state)
{
    static const char *const good[][2] = {
        {"", ""},        {"Zg==", "f"},        {"Zm8=", "fo"},
        {"Zm9v", "foo"}, {"Zm9vYg==", "foob"}, {"//79/A==", "\xff\xfe\xfd\xfc"},
    };
    static const char *const bad[] = {"Z",    "Zg=",  "Zg===",    "Zg=a",
                                      "Zh==", "Zm9=", "Zg==Zg==", "====",
                                      "Z===", "Zm 9", "Zm9-",     "Zm9v\n"};
    struct flv_buf b;

    (void)state;
    flv_buf_init(&b, 12);
    for (size_t i = 0; i < COUNT(good); i++) {
        flv_buf_reset(&b);
        assert_int_equal(flv_text_unbase64(&b, flv_slice_str(good[i][0]), NULL),
                         FLV_OK);
        assert_string_equal(flv_buf_str(&b), good[i][1]);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct flv_err err = {.rc = FLV_OK};

        assert_int_equal(flv_text_unbase64(&b, flv_slice_str(bad[i]), &err),
                         FLV_E_INVALID);
        assert_int_equal(b.len, 4);
    }
    assert_int_equal(flv_text_unbase64(&b, flv_slice_str("Zm9vYmFyYmF6"), NULL),
                     FLV_E_LIMIT);
    flv_buf_deinit(&b);
}

static void hex_goes_both_ways(void **state)
{
    struct flv_buf b;
    struct flv_err err;

    (void)state;
    flv_buf_init(&b, 100);
    assert_int_equal(flv_text_hex(&b, flv_slice("\x00\xff\x1a", 3)), FLV_OK);
    assert_string_equal(flv_buf_str(&b), "00ff1a");
    flv_buf_reset(&b);
    assert_int_equal(flv_text_unhex(&b, "00fF1A", NULL), FLV_OK);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "\x00\xff\x1a", 3);
    assert_int_equal(flv_text_unhex(&b, "123", &err), FLV_E_INVALID);
    assert_int_equal(flv_text_unhex(&b, "0g", &err), FLV_E_INVALID);
    assert_string_equal(err.text,
                        "hex text has another character at position 2");
    flv_buf_deinit(&b);
}

static void slips_find_the_word_meant(void **state)
{
    static const char *const known[] = {"endpoint", "interval", "fluvio-topic",
                                        "body", NULL};
    char lengthy[100];

    (void)state;
    assert_int_equal(flv_text_distance("kitten", "sitting"), 3);
    assert_int_equal(flv_text_distance("", "abc"), 3);
    assert_string_equal(flv_text_nearest("endpiont", known), "endpoint");
    assert_string_equal(flv_text_nearest("fluvio", known), "fluvio-topic");
    assert_string_equal(flv_text_nearest("bdy", known), "body");
    assert_null(flv_text_nearest("zzzzz", known));
    assert_null(flv_text_nearest("", known));
    memset(lengthy, 'e', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    assert_null(flv_text_nearest(lengthy, known));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_strictly),
        cmocka_unit_test(signed_numbers_reach_both_ends),
        cmocka_unit_test(number_errors_name_value_and_range),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(formatted_durations_read_back),
        cmocka_unit_test(sizes_are_shown_with_one_decimal),
        cmocka_unit_test(invalid_utf8_is_found),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(characters_become_utf8),
        cmocka_unit_test(json_characters_are_read),
        cmocka_unit_test(control_characters_become_blanks),
        cmocka_unit_test(errors_hold_no_control_characters),
        cmocka_unit_test(a_full_buffer_keeps_what_it_had),
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(base_64_pads),
        cmocka_unit_test(base_64_is_read_back),
        cmocka_unit_test(slips_find_the_word_meant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
