/* What the SQL sink takes for an operation, and what it says of the rest. */
#include "cm.h"
#include "ops.h"

struct rig {
    struct flv_arena arena;
    struct sql_op op;
    struct flv_err err;
};

static int setup(void **state)
{
    static struct rig rig;
    memset(&rig, 0, sizeof(rig));
    flv_arena_init(&rig.arena, 4096, (size_t)1 << 20);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    flv_arena_deinit(&r->arena);
    return 0;
}

static flv_rc read_op(struct rig *r, const char *text)
{
    flv_err_clear(&r->err);
    return sql_op_read(flv_slice_str(text), &r->arena, &r->op, &r->err);
}

static void assert_slice(struct flv_slice s, const char *text)
{
    if (!flv_slice_eq_str(s, text)) {
        fail_msg("\"%.*s\" is not \"%s\"", (int)s.len, (const char *)s.data,
                 text);
    }
}

static void insert_is_read_as_json_sql_writes_it(void **state)
{
    struct rig *r = *state;
    assert_int_equal(
        read_op(r, "{\"Insert\":{\"table\":\"topic_message\",\"values\":["
                   "{\"column\":\"device_id\",\"raw_value\":\"1\","
                   "\"type\":\"Int\"},"
                   "{\"column\":\"record\",\"raw_value\":"
                   "\"{\\\"device\\\":{\\\"device_id\\\":1}}\","
                   "\"type\":\"Json\"}]}}"),
        FLV_OK);
    assert_int_equal(r->op.kind, SQL_INSERT);
    assert_slice(r->op.table, "topic_message");
    assert_int_equal(r->op.count, 2);
    assert_slice(r->op.values[0].column, "device_id");
    assert_slice(r->op.values[0].text, "1");
    assert_int_equal(r->op.values[0].type, SQL_INT);
    assert_int_equal(r->op.values[1].type, SQL_JSON);
    assert_slice(r->op.values[1].text, "{\"device\":{\"device_id\":1}}");
}

static void upsert_has_its_index_in_any_order_of_keys(void **state)
{
    struct rig *r = *state;
    assert_int_equal(
        read_op(r, " { \"Upsert\" : { \"uniq_idx\" : \"a, b\" , "
                   "\"more\": [{\"x\": \"]}\"}], \"values\" : [ { "
                   "\"type\": \"Text\", \"raw_value\": \"\\u00e4\\ud83d\\ude00"
                   "\\n\\\"\", \"column\": \"a\" } ] , \"table\":\"t\"}} "),
        FLV_OK);
    assert_int_equal(r->op.kind, SQL_UPSERT);
    assert_slice(r->op.unique, "a, b");
    assert_slice(r->op.values[0].text, "\xc3\xa4\xf0\x9f\x98\x80\n\"");
}

static void nothing_is_null_but_text_and_bytes(void **state)
{
    struct rig *r = *state;
    assert_int_equal(
        read_op(r, "{\"Insert\":{\"table\":\"t\",\"values\":["
                   "{\"column\":\"a\",\"raw_value\":\"\",\"type\":\"Int\"},"
                   "{\"column\":\"b\",\"raw_value\":null,\"type\":\"Text\"},"
                   "{\"column\":\"c\",\"raw_value\":\"\",\"type\":\"Text\"},"
                   "{\"column\":\"d\",\"raw_value\":7,\"type\":\"Int\"},"
                   "{\"column\":\"e\",\"raw_value\":[1, 2],\"type\":\"Json\"}"
                   "]}}"),
        FLV_OK);
    assert_true(r->op.values[0].is_null);
    assert_true(r->op.values[1].is_null);
    assert_false(r->op.values[2].is_null);
    assert_int_equal(r->op.values[2].text.len, 0);
    assert_slice(r->op.values[3].text, "7");
    assert_slice(r->op.values[4].text, "[1, 2]");
}

static void what_is_no_operation_is_named(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "not JSON"},
        {"{\"Insert\":", "not JSON"},
        {"[]", "not an SQL operation"},
        {"{}", "not an SQL operation"},
        {"{\"BatchInsert\":{}}", "not an SQL operation"},
        {"{\"Insert\":[]}", "Insert: not an object"},
        {"{\"Insert\":{\"values\":[]}}", "\"values\" has 0 columns"},
        {"{\"Insert\":{\"table\":\"t\"}}", "\"values\" is missing"},
        {"{\"Insert\":{\"table\":\"\"}}", "\"table\" is empty"},
        {"{\"Insert\":{\"table\":1}}", "\"table\" has to be a text"},
        {"{\"Insert\":{\"table\":\"t\",\"table\":\"t\"}}", "twice"},
        {"{\"Insert\":{\"table\":\"t\",\"values\":[1]}}",
         "Insert: values[0]: not an object"},
        {"{\"Insert\":{\"table\":\"t\",\"values\":[{\"column\":\"a\","
         "\"type\":\"Int\"}]}}",
         "values[0]: \"raw_value\" is missing"},
        {"{\"Insert\":{\"table\":\"t\",\"values\":[{\"column\":\"a\","
         "\"raw_value\":\"1\",\"type\":\"Txt\"}]}}",
         "\"Txt\" is no type of a column; did you mean \"Text\"?"},
        {"{\"Insert\":{\"table\":\"t\",\"values\":[{\"column\":\"age\","
         "\"raw_value\":\"old\",\"type\":\"Int\"}]}}",
         "column \"age\": \"old\" is not of type Int"},
        {"{\"Insert\":{\"table\":\"t\",\"values\":[{\"column\":\"a\","
         "\"raw_value\":\"\\ud83d\",\"type\":\"Text\"}]}}",
         "half of a surrogate pair"},
        {"{\"Upsert\":{\"table\":\"t\",\"values\":[{\"column\":\"a\","
         "\"raw_value\":\"1\",\"type\":\"Int\"}]}}",
         "Upsert: \"uniq_idx\" is missing"},
        {"{\"Insert\":{\"table\":\"t\",\"values\":[{\"column\":\"a\","
         "\"raw_value\":\"1\",\"type\":\"Int\"}]},\"Upsert\":{}}",
         "more than one operation"},
    };
    struct rig *r = *state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_op(r, cases[i].text), FLV_E_INVALID);
        if (strstr(r->err.text, cases[i].said) == NULL) {
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text,
                     r->err.text, cases[i].said);
        }
    }
}

static flv_rc check(enum sql_type type, const char *text)
{
    struct flv_err err = {0};
    const struct sql_value v = {.type = type, .text = flv_slice_str(text)};
    return sql_value_check(&v, &err);
}

static void types_take_what_is_theirs(void **state)
{
    static const struct {
        enum sql_type type;
        const char *good[6], *bad[8];
    } cases[] = {
        {SQL_BOOL, {"true", "false"}, {"t", "1", "TRUE"}},
        {SQL_CHAR, {"-128", "127"}, {"128", "-129", "a"}},
        {SQL_SMALL_INT, {"32767", "-32768", "+1"}, {"32768", "-32769", "1."}},
        {SQL_INT, {"2147483647", "-2147483648"}, {"2147483648", "-", "+"}},
        {SQL_BIG_INT,
         {"9223372036854775807", "-9223372036854775808"},
         {"9223372036854775808", "-9223372036854775809", " 1", "1 "}},
        {SQL_DOUBLE,
         {"1", "-1.5e-30", ".5", "5.", "NaN", "-Infinity"},
         {".", "1e", "e1", "0x1", "1,5", "--1"}},
        {SQL_NUMERIC, {"12.50", "-1e5"}, {"NaN", "1e99999", "1 2"}},
        {SQL_TIMESTAMP,
         {"2026-01-31 23:59:59.123456789", "2024-02-29T00:00", //
          "2026-01-31 23:59:59Z", "2026-01-31 23:59:59-01:30"},
         {"2026-02-29 00:00:00", "2026-13-01 00:00:00", "2026-01-31",
          "2026-01-31 24:00:00", "26-01-31 00:00:00", "2026-01-31 23:59:59 CET",
          "2026-01-31 23:59:59."}},
        {SQL_DATE, {"2000-02-29"}, {"1900-02-29", "2026-4-1", "0000-01-01"}},
        {SQL_TIME, {"23:59", "23:59:59.5"}, {"24:00", "1:00", "12:60"}},
        {SQL_UUID,
         {"6f0c2f4e-8a37-4a39-9b2e-0d4c1a2b3c4d",
          "6F0C2F4E8A374A399B2E0D4C1A2B3C4D"},
         {"6f0c2f4e-8a37-4a39-9b2e-0d4c1a2b3c4", "x",
          "6f0c2f4e-8a37-4a39-9b2e00d4c1a2b3c4d"}},
        {SQL_JSON, {"null", "{\"a\":1}"}, {"{", "x"}},
        {SQL_TEXT, {"anything"}, {NULL}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t j = 0; j < 6 && cases[i].good[j] != NULL; j++) {
            if (check(cases[i].type, cases[i].good[j]) != FLV_OK) {
                fail_msg("%s is not a %s", cases[i].good[j],
                         sql_type_name(cases[i].type));
            }
        }
        for (size_t j = 0; j < 8 && cases[i].bad[j] != NULL; j++) {
            if (check(cases[i].type, cases[i].bad[j]) == FLV_OK) {
                fail_msg("%s is a %s", cases[i].bad[j],
                         sql_type_name(cases[i].type));
            }
        }
    }
    assert_slice(sql_zone_of(flv_slice_str("2026-01-31 23:59:59-01:30")),
                 "-01:30");
    assert_int_equal(sql_zone_of(flv_slice_str("2026-01-31 23:59:59.5")).len,
                     0);
}

static void names_are_always_in_quotes(void **state)
{
    static const struct {
        const char *text, *pg, *sqlite;
    } cases[] = {
        {"MyTable", "\"mytable\"", "\"MyTable\""},
        {"\"MyTable\"", "\"MyTable\"", "\"MyTable\""},
        {"my table", "\"my table\"", "\"my table\""},
        {"My Table", "\"My Table\"", "\"My Table\""},
        {"a\"b", "\"a\"\"b\"", "\"a\"\"b\""},
        {"\"a\"\"b\"", "\"a\"\"b\"", "\"a\"\"b\""},
        {"x; DROP TABLE y", "\"x; DROP TABLE y\"", "\"x; DROP TABLE y\""},
        {"order", "\"order\"", "\"order\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct flv_buf b;
        struct flv_err err = {0};
        flv_buf_init(&b, 1024);
        struct flv_slice name = flv_slice_str(cases[i].text);
        assert_int_equal(sql_put_name(&b, name, true, &err), FLV_OK);
        assert_slice(flv_buf_slice(&b), cases[i].pg);
        flv_buf_reset(&b);
        assert_int_equal(sql_put_name(&b, name, false, &err), FLV_OK);
        assert_slice(flv_buf_slice(&b), cases[i].sqlite);
        flv_buf_deinit(&b);
    }
}

static void names_that_cannot_be_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "\"\"",
                                      "\"a\"b\"",
                                      "a.b.c",
                                      "a..b",
                                      ".a",
                                      "a.",
                                      "0123456789012345678901234567890123456789"
                                      "012345678901234567890123"};
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct flv_buf b;
        struct flv_err err = {0};
        flv_buf_init(&b, 1024);
        if (sql_put_table(&b, flv_slice_str(bad[i]), true, &err) !=
            FLV_E_INVALID) {
            fail_msg("%s is a table", bad[i]);
        }
        flv_buf_deinit(&b);
    }
}

static void statements_are_written_for_both(void **state)
{
    struct rig *r = *state;
    struct flv_buf b;
    assert_int_equal(
        read_op(r, "{\"Upsert\":{\"table\":\"S.\\\"T.x\\\"\",\"uniq_idx\":"
                   "\"A,b\",\"values\":["
                   "{\"column\":\"A\",\"raw_value\":\"1\",\"type\":\"Int\"},"
                   "{\"column\":\"b\",\"raw_value\":\"1\",\"type\":\"Int\"}"
                   "]}}"),
        FLV_OK);
    flv_buf_init(&b, 1024);
    assert_int_equal(sql_put_head(&b, &r->op, true, &r->err), FLV_OK);
    assert_int_equal(sql_put_conflict(&b, &r->op, true, &r->err), FLV_OK);
    assert_slice(flv_buf_slice(&b),
                 "INSERT INTO \"s\".\"T.x\" (\"a\", \"b\")  ON CONFLICT "
                 "(\"a\", \"b\") DO UPDATE SET \"a\" = EXCLUDED.\"a\", "
                 "\"b\" = EXCLUDED.\"b\"");
    flv_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(insert_is_read_as_json_sql_writes_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            upsert_has_its_index_in_any_order_of_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_null_but_text_and_bytes,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_operation_is_named, setup,
                                        teardown),
        cmocka_unit_test(types_take_what_is_theirs),
        cmocka_unit_test(names_are_always_in_quotes),
        cmocka_unit_test(names_that_cannot_be_are_refused),
        cmocka_unit_test_setup_teardown(statements_are_written_for_both, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
