
#include "http/client.h"

#include "cm.h"

static void shown_url_hides_user_password_and_query(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"http://h/p", "http://h/p"},
        {"https://user:secret@h:8080/p?token=1#x", "https://h:8080/p"},
        {"https://h?token=1", "https://h"},
        {"http://a@b@h/p", "http://h/p"},
        {"http://h/p@q", "http://h/p@q"},
        {"nothing", "nothing"},
        {"http://h/\npath", "http://h/?path"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char out[FLV_HTTP_SHOWN_MAX];
        flv_http_url_shown(table[i][0], out);
        assert_string_equal(out, table[i][1]);
    }
}

static void shown_url_is_cut_to_its_ceiling(void **state)
{
    (void)state;
    char url[400], out[FLV_HTTP_SHOWN_MAX];
    memset(url, 'a', sizeof(url));
    memcpy(url, "http://", 7);
    url[sizeof(url) - 1] = '\0';
    flv_http_url_shown(url, out);
    assert_int_equal(strlen(out), FLV_HTTP_SHOWN_MAX - 1);
}

static void header_names_are_tokens(void **state)
{
    (void)state;
    assert_true(flv_http_name_ok("X-Request_id.1", 14));
    assert_false(flv_http_name_ok("", 0));
    assert_false(flv_http_name_ok("a b", 3));
    assert_false(flv_http_name_ok("a:b", 3));
    assert_false(flv_http_name_ok("a\0b", 3));
    assert_false(flv_http_name_ok("\xc3\xa9", 2));
}

static void header_values_have_no_line_breaks(void **state)
{
    (void)state;
    assert_true(flv_http_value_ok("", 0));
    assert_true(flv_http_value_ok(" any \xff value", 12));
    assert_false(flv_http_value_ok("a\r\nB: c", 7));
    assert_false(flv_http_value_ok("a\nb", 3));
    assert_false(flv_http_value_ok("a\0b", 3));
}

static void reasons_of_known_and_unknown_statuses(void **state)
{
    (void)state;
    assert_string_equal(flv_http_reason(200), "OK");
    assert_string_equal(flv_http_reason(404), "Not Found");
    assert_string_equal(flv_http_reason(299), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shown_url_hides_user_password_and_query),
        cmocka_unit_test(shown_url_is_cut_to_its_ceiling),
        cmocka_unit_test(header_names_are_tokens),
        cmocka_unit_test(header_values_have_no_line_breaks),
        cmocka_unit_test(reasons_of_known_and_unknown_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
