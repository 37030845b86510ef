/* Prometheus' text format. */
#include "cm.h"

#include "base/expo.h"

static void label_is(const char *value, const char *wanted)
{
    struct flv_buf b;
    struct flv_out o = {.b = &b, .rc = FLV_OK};
    flv_buf_init(&b, 4096);
    flv_expo_label(&o, "l", value);
    assert_int_equal(o.rc, FLV_OK);
    assert_string_equal(flv_buf_str(&b), wanted);
    flv_buf_deinit(&b);
}

static void what_would_end_a_label_is_escaped(void **state)
{
    (void)state;
    label_is("plain", "l=\"plain\"");
    label_is("", "l=\"\"");
    label_is("a\"b\\c\nd", "l=\"a\\\"b\\\\c\\nd\"");
}

static void each_byte_that_is_not_utf8_is_replaced(void **state)
{
    (void)state;
    label_is("gr\xc3\xbc\xc3\x9f", "l=\"gr\xc3\xbc\xc3\x9f\"");
    label_is("\xff", "l=\"\xef\xbf\xbd\"");
    label_is("a\xc3\"b\xf0\x9f",
             "l=\"a\xef\xbf\xbd\\\"b\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void a_family_has_two_lines_above_its_samples(void **state)
{
    struct flv_buf b;
    struct flv_out o = {.b = &b, .rc = FLV_OK};
    (void)state;
    flv_buf_init(&b, 4096);
    flv_expo_family(&o, "x_total", "counter", "What it is.");
    flv_expo_addf(&o, "x_total %d\n", 7);
    assert_int_equal(o.rc, FLV_OK);
    assert_string_equal(flv_buf_str(&b), "# HELP x_total What it is.\n"
                                         "# TYPE x_total counter\n"
                                         "x_total 7\n");
    flv_buf_deinit(&b);
}

static void a_full_page_is_an_error_that_stays(void **state)
{
    struct flv_buf b;
    struct flv_out o = {.b = &b, .rc = FLV_OK};
    (void)state;
    flv_buf_init(&b, 8);
    flv_expo_label(&o, "topic", "a-long-name");
    assert_int_equal(o.rc, FLV_E_LIMIT);
    flv_expo_addf(&o, "x");
    assert_int_equal(o.rc, FLV_E_LIMIT);
    flv_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_would_end_a_label_is_escaped),
        cmocka_unit_test(each_byte_that_is_not_utf8_is_replaced),
        cmocka_unit_test(a_family_has_two_lines_above_its_samples),
        cmocka_unit_test(a_full_page_is_an_error_that_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
