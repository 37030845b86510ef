
#include "cm.h"
#include "http.h"

static const struct flv_http_header headers[] = {
    {"content-type", "text/plain;charset=utf-8"},
    {"set-cookie", "a=1"},
    {"x-quote", "say \"hi\""},
    {"set-cookie", "b=2"},
};

static void expect(const char *body,
                   size_t body_len,
                   enum http_parts parts,
                   enum http_type type,
                   struct flv_slice expected)
{
    struct flv_http_response a = {.version = "HTTP/1.1",
                                  .status = 200,
                                  .reason = "OK",
                                  .headers = headers,
                                  .header_count = 4};
    struct flv_buf value;
    flv_buf_init(&a.body, 1 << 20);
    flv_buf_init(&value, 1 << 20);
    assert_int_equal(flv_buf_add(&a.body, body, body_len), FLV_OK);
    assert_int_equal(http_format(&a, parts, type, &value), FLV_OK);
    if (!flv_slice_eq(flv_buf_slice(&value), expected)) {
        fail_msg("%.*s", (int)value.len, value.data);
    }
    flv_buf_deinit(&a.body);
    flv_buf_deinit(&value);
}

static void body_as_text_is_the_body(void **state)
{
    (void)state;
    expect("Hello\n", 6, HTTP_PARTS_BODY, HTTP_TYPE_TEXT,
           flv_slice("Hello\n", 6));
    expect("", 0, HTTP_PARTS_BODY, HTTP_TYPE_TEXT, flv_slice("", 0));
    expect("\xff\0\xfe", 3, HTTP_PARTS_BODY, HTTP_TYPE_TEXT,
           flv_slice("\xff\0\xfe", 3));
}

static void full_text_has_status_headers_and_body(void **state)
{
    (void)state;
    expect("Hello", 5, HTTP_PARTS_FULL, HTTP_TYPE_TEXT,
           flv_slice_str("HTTP/1.1 200 OK\n"
                         "content-type: text/plain;charset=utf-8\n"
                         "set-cookie: a=1\n"
                         "x-quote: say \"hi\"\n"
                         "set-cookie: b=2\n"
                         "\n"
                         "Hello"));
}

static void body_as_json_is_one_key(void **state)
{
    (void)state;
    expect("{\"fact\":\"x\"}\n", 13, HTTP_PARTS_BODY, HTTP_TYPE_JSON,
           flv_slice_str("{\"body\":\"{\\\"fact\\\":\\\"x\\\"}\\n\"}"));
    expect("", 0, HTTP_PARTS_BODY, HTTP_TYPE_JSON,
           flv_slice_str("{\"body\":\"\"}"));
}

static void invalid_bytes_are_replaced_in_json(void **state)
{
    (void)state;
    expect("a\xff\xc3\xa9\xc3", 5, HTTP_PARTS_BODY, HTTP_TYPE_JSON,
           flv_slice_str("{\"body\":\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\"}"));
}

static void full_json_has_repeated_headers_as_lists(void **state)
{
    (void)state;
    expect(
        "Hello", 5, HTTP_PARTS_FULL, HTTP_TYPE_JSON,
        flv_slice_str("{\"status\":{\"version\":\"HTTP/1.1\",\"code\":200,"
                      "\"string\":\"OK\"},\"header\":{"
                      "\"content-type\":\"text/plain;charset=utf-8\","
                      "\"set-cookie\":[\"a=1\",\"b=2\"],"
                      "\"x-quote\":\"say \\\"hi\\\"\"},\"body\":\"Hello\"}"));
}

static void missing_reasons_are_the_customary_ones(void **state)
{
    (void)state;
    struct flv_http_response a = {
        .version = "HTTP/2.0", .status = 404, .reason = ""};
    struct flv_buf value;
    flv_buf_init(&a.body, 16);
    flv_buf_init(&value, 1 << 10);
    assert_int_equal(http_format(&a, HTTP_PARTS_FULL, HTTP_TYPE_TEXT, &value),
                     FLV_OK);
    assert_true(
        flv_slice_eq_str(flv_buf_slice(&value), "HTTP/2.0 404 Not Found\n\n"));
    flv_buf_reset(&value);
    assert_int_equal(http_format(&a, HTTP_PARTS_FULL, HTTP_TYPE_JSON, &value),
                     FLV_OK);
    assert_true(flv_slice_eq_str(
        flv_buf_slice(&value),
        "{\"status\":{\"version\":\"HTTP/2.0\",\"code\":404,\"string\":"
        "\"Not Found\"},\"header\":{},\"body\":\"\"}"));
    flv_buf_deinit(&value);
}

static void values_above_the_ceiling_are_refused(void **state)
{
    (void)state;
    struct flv_http_response a = {
        .version = "HTTP/1.1", .status = 200, .reason = "OK"};
    struct flv_buf value;
    flv_buf_init(&a.body, 100);
    flv_buf_init(&value, 60);
    assert_int_equal(flv_buf_add(&a.body, "\"\"\"\"\"\"\"\"\"\"", 10), FLV_OK);
    for (int type = 0; type < 2; type++) {
        for (int i = 0; i < 4; i++) {
            assert_int_equal(flv_buf_add(&a.body, "\"\"\"\"\"\"\"\"\"\"", 10),
                             FLV_OK);
        }
        flv_buf_reset(&value);
        assert_int_equal(
            http_format(&a, HTTP_PARTS_FULL,
                        type == 0 ? HTTP_TYPE_TEXT : HTTP_TYPE_JSON, &value),
            FLV_E_LIMIT);
    }
    flv_buf_deinit(&a.body);
    flv_buf_deinit(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_as_text_is_the_body),
        cmocka_unit_test(full_text_has_status_headers_and_body),
        cmocka_unit_test(body_as_json_is_one_key),
        cmocka_unit_test(invalid_bytes_are_replaced_in_json),
        cmocka_unit_test(full_json_has_repeated_headers_as_lists),
        cmocka_unit_test(missing_reasons_are_the_customary_ones),
        cmocka_unit_test(values_above_the_ceiling_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
