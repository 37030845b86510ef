/* What the CLI makes of a manager's answers. */
#include "cli/managed.h"
#include "cm.h"

#define NOW INT64_C(1700000100000)

static const char two[] =
    "{\"my-test-connector\":{\"status\":{\"name\":\"my-test-connector\","
    "\"state\":\"Running\",\"process_only\":true,\"connector_type\":"
    "\"test-connector\",\"version\":\"0.1.0\",\"topic\":\"t\",\"reason\":\"\","
    "\"cause\":\"\",\"since_ms\":1700000000000,\"attempt\":0,\"restarts\":2,"
    "\"pid\":7,\"counters\":{\"in\":9,\"passed\":8,\"filtered\":0,\"failed\":1,"
    "\"out\":8,\"acked\":7}},\"info\":{\"config\":{\"name\":"
    "\"my-test-connector\",\"type\":\"test-connector\",\"topic\":\"t\","
    "\"count\":\"10\"}}},"
    "\"my-test-mqtt\":{\"status\":{\"name\":\"my-test-mqtt\",\"state\":"
    "\"Failed\",\"connector_type\":\"mqtt\",\"version\":\"0.1.0\",\"topic\":"
    "\"u\",\"reason\":\"the broker refuses\\nthe password\",\"cause\":\"\","
    "\"since\":\"2023-11-14T22:13:20.000Z\",\"since_ms\":0,\"attempt\":3,"
    "\"next_retry\":null,\"restarts\":0,\"pid\":0,\"counters\":{}}}}";

static struct flv_doc *doc;

static const struct flv_node *read(const char *json)
{
    struct flv_err err = {0};
    if (flv_doc_json(&doc, "answer", flv_slice_str(json), &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return flv_doc_root(doc);
}

static void is(struct flv_buf *out, const char *expected)
{
    assert_string_equal(flv_buf_str(out), expected);
    flv_buf_deinit(out);
    flv_doc_destroy(doc);
    doc = NULL;
}

static void
table_is(const char *json, enum cli_list_style style, const char *expected)
{
    struct flv_buf out;
    flv_buf_init(&out, 1 << 20);
    assert_int_equal(cli_managed_table(read(json), style, NOW, &out, NULL),
                     FLV_OK);
    is(&out, expected);
}

static void list_is_a_plain_table(void **state)
{
    (void)state;
    table_is(two, CLI_LIST_PLAIN,
             " NAME               STATUS  \n"
             " my-test-connector  Running \n"
             " my-test-mqtt       Failed  \n");
    table_is("{}", CLI_LIST_PLAIN, "no managed connectors\n");
    table_is("{}", CLI_LIST_CLUSTER, "no managed connectors\n");
}

static void cluster_list_has_dashes_and_right_aligned_names(void **state)
{
    (void)state;
    table_is(two, CLI_LIST_CLUSTER,
             "-------------\n"
             " NAME               STATUS  \n"
             " my-test-connector  Running \n"
             "      my-test-mqtt   Failed \n");
}

static void wide_list_tells_how_they_are(void **state)
{
    (void)state;
    table_is(two, CLI_LIST_WIDE,
             " NAME               STATUS                  TYPE            "
             "VERSION  TOPIC  SINCE   IN  OUT  FAILED  DISCARDED  "
             "DEAD-LETTERED  RESTARTS  REASON"
             "                          \n"
             " my-test-connector  Running (process only)  test-connector  "
             "0.1.0    t      1m 40s  9   7    1       0          "
             "0              2               "
             "                          \n"
             " my-test-mqtt       Failed                  mqtt            "
             "0.1.0    u      -       0   0    0       0          "
             "0              0         "
             "the broker refuses the password \n");
}

static void documents_have_name_spec_and_status(void **state)
{
    (void)state;
    struct flv_buf out;
    flv_buf_init(&out, 1 << 20);
    assert_int_equal(cli_managed_doc(read(two), CLI_FORMAT_JSON, &out, NULL),
                     FLV_OK);
    const char *text = flv_buf_str(&out);
    assert_non_null(strstr(text,
                           "[\n  {\n    \"name\": \"my-test-connector\",\n"
                           "    \"spec\": {\n"));
    assert_non_null(strstr(text, "      \"parameters\": {\n"
                                 "        \"count\": \"10\"\n      }\n"));
    assert_non_null(strstr(text, "      \"resolution\": \"Failed\",\n"
                                 "      \"reason\": \"the broker refuses\\nthe "
                                 "password\",\n"));
    flv_buf_deinit(&out);
    flv_doc_destroy(doc);
}

static void problems_are_lines_with_places(void **state)
{
    (void)state;
    struct flv_buf out;
    flv_buf_init(&out, 1 << 20);
    const struct flv_node *list =
        read("[{\"line\":3,\"column\":7,\"severity\":\"warning\",\"message\":"
             "\"odd\",\"hint\":\"\",\"example\":\"a: b\"},"
             "{\"line\":0,\"column\":0,\"message\":\"bad\",\"hint\":\"\"}]");
    assert_int_equal(cli_problems_text(list, "f.yml", &out), FLV_OK);
    is(&out, "f.yml:3:7: warning: odd\n    for example: a: b\n"
             "f.yml: error: bad\n");
}

static void describe_shows_cause_and_events(void **state)
{
    (void)state;
    struct flv_buf out;
    flv_buf_init(&out, 1 << 20);
    const struct flv_node *root = read(
        "{\"status\":{\"name\":\"n\",\"state\":\"Retrying\","
        "\"connector_type\":\"http\",\"version\":\"0.1.0\",\"type\":"
        "\"source\",\"topic\":\"t\",\"reason\":\"waits\",\"cause\":\"gone\","
        "\"since_ms\":1700000095000,\"attempt\":2,\"next_retry\":\"soon\","
        "\"restarts\":4,\"pid\":0,\"counters\":{\"in\":1,"
        "\"discarded\":2,\"dead_lettered\":3},\"stages\":[{\"name\":"
        "\"extract\",\"in\":9},{\"name\":\"smartmodule-1\",\"module\":"
        "\"a.wasm\",\"in\":8,\"passed\":4,\"filtered\":3,\"failed\":1}],"
        "\"own_counters\":{\"polls\":5}},"
        "\"info\":{\"created\":\"c\",\"updated\":\"u\",\"config\":{\"name\":"
        "\"n\",\"interval\":\"10\"}},\"events\":[{\"time\":\"T\",\"name\":"
        "\"n\",\"kind\":\"exited\",\"text\":\"x\"}]}");
    assert_int_equal(cli_managed_describe(flv_node_get(root, "status"),
                                          flv_node_get(root, "info"),
                                          flv_node_get(root, "events"), NOW,
                                          &out, NULL),
                     FLV_OK);
    is(&out, " Name        n\n"
             " Status      Retrying, for 5s\n"
             " Reason      waits\n"
             " Cause       gone\n"
             " Attempt     2, the next one at soon\n"
             " Type        http 0.1.0, source\n"
             " Topic       t\n"
             " Restarts    4\n"
             " Records     in 1, passed 0, filtered 0, failed 0 (discarded 2, "
             "dead-lettered 3), safe in the topic 0\n"
             " Stages      extract: in 9, passed 0, filtered 0, failed 0\n"
             "             smartmodule-1 a.wasm: in 8, passed 4, filtered 3, "
             "failed 1\n"
             " Counters    polls 5\n"
             " Created     c\n"
             " Updated     u\n"
             " Settings    interval: 10\n"
             "\n"
             " TIME  NAME  EVENT   TEXT \n"
             " T     n     exited  x    \n");
}

static void any_answer_becomes_a_document(void **state)
{
    (void)state;
    struct flv_buf out;
    flv_buf_init(&out, 1 << 20);
    assert_int_equal(cli_node_doc(read("{\"a\":[1,true,null,\"x\"],\"b\":{}}"),
                                  CLI_FORMAT_JSON, &out, NULL),
                     FLV_OK);
    is(&out, "{\n  \"a\": [\n    1,\n    true,\n    null,\n    \"x\"\n  ],\n"
             "  \"b\": {}\n}\n");
}

static void names_are_encoded_in_paths(void **state)
{
    (void)state;
    struct flv_buf out;
    flv_buf_init(&out, 100);
    assert_int_equal(cli_path_add(&out, "../a b?c%"), FLV_OK);
    assert_string_equal(flv_buf_str(&out), "%2E.%2Fa%20b%3Fc%25");
    flv_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_is_a_plain_table),
        cmocka_unit_test(cluster_list_has_dashes_and_right_aligned_names),
        cmocka_unit_test(wide_list_tells_how_they_are),
        cmocka_unit_test(documents_have_name_spec_and_status),
        cmocka_unit_test(problems_are_lines_with_places),
        cmocka_unit_test(describe_shows_cause_and_events),
        cmocka_unit_test(any_answer_becomes_a_document),
        cmocka_unit_test(names_are_encoded_in_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
