/* What the CLI prints, held against the texts of a real cluster's CLI. */
#include "cli/format.h"
#include "cli/grid.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cm.h"

#include <stdio.h>

#define CELLS(...)                                                             \
    (const char *const[])                                                      \
    {                                                                          \
        __VA_ARGS__, NULL                                                      \
    }

static void expect_table(struct cli_table *t, const char *expected)
{
    struct flv_buf out;
    flv_buf_init(&out, 1 << 20);
    assert_int_equal(cli_table_print(t, &out, NULL), FLV_OK);
    assert_string_equal(flv_buf_str(&out), expected);
    flv_buf_deinit(&out);
    cli_table_deinit(t);
}

static void table_prints_partition_list_like_fluvio(void **state)
{
    (void)state;
    struct cli_table t;
    cli_table_init(&t, 1);
    cli_table_row(&t, CELLS("TOPIC", "PARTITION", "LEADER", "MIRROR",
                            "REPLICAS", "RESOLUTION", "SIZE", "BASE", "HW",
                            "LEO", "LRS", "FOLLOWER OFFSETS"));
    cli_table_row(&t, CELLS("greetings", "0", "5001", "", "[]", "Online", "0 B",
                            "0", "0", "0", "0", "0", "[]"));
    expect_table(
        &t,
        "  TOPIC      PARTITION  LEADER  MIRROR  REPLICAS  RESOLUTION  SIZE  "
        "BASE  HW  LEO  LRS  FOLLOWER OFFSETS     \n"
        "  greetings  0          5001            []        Online      0 B   "
        "0     0   0    0    0                 [] \n");
}

static void table_prints_spu_list_like_fluvio(void **state)
{
    (void)state;
    struct cli_table t;
    cli_table_init(&t, 1);
    cli_table_row(
        &t, CELLS("ID", "NAME", "STATUS", "TYPE", "RACK", "PUBLIC", "PRIVATE"));
    cli_table_row(&t, CELLS("5001", "custom-spu-5001", "Online", "\"custom\"",
                            "-", "localhost:9010", "localhost:9011"));
    expect_table(&t,
                 "  ID    NAME             STATUS  TYPE      RACK  PUBLIC     "
                 "     PRIVATE        \n"
                 "  5001  custom-spu-5001  Online  \"custom\"  -     "
                 "localhost:9010  localhost:9011 \n");
}

static void table_right_aligns_cells_under_left_headers(void **state)
{
    (void)state;
    struct cli_table t;
    cli_table_init(&t, 1);
    t.right = true;
    cli_table_row(&t, CELLS("NAME", "STATUS"));
    cli_table_row(&t, CELLS("tf1", "Init"));
    expect_table(&t, "  NAME  STATUS \n   tf1    Init \n");
}

static void table_keeps_one_line_per_row_and_counts_characters(void **state)
{
    (void)state;
    struct cli_table t;
    cli_table_init(&t, 0);
    cli_table_row(&t, CELLS("A", "B"));
    cli_table_row(&t, CELLS("\xc3\xa9\nx\x01", "y"));
    expect_table(&t, " A     B \n \xc3\xa9 x   y \n");
}

static void describe_topic(struct cli_doc *d)
{
    cli_doc_list(d, NULL);
    cli_doc_map(d, NULL);
    cli_doc_str(d, "name", "greetings");
    cli_doc_map(d, "spec");
    cli_doc_map(d, "replicas");
    cli_doc_map(d, "computed");
    cli_doc_i64(d, "partitions", 1);
    cli_doc_bool(d, "ignoreRackAssignment", false);
    cli_doc_end(d);
    cli_doc_end(d);
    cli_doc_end(d);
    cli_doc_map(d, "status");
    cli_doc_map(d, "replicaMap");
    cli_doc_list(d, "0");
    cli_doc_i64(d, NULL, 5001);
    cli_doc_end(d);
    cli_doc_end(d);
    cli_doc_map(d, "mirrorMap");
    cli_doc_end(d);
    cli_doc_str(d, "reason", "");
    cli_doc_str(d, "endpoint", "127.0.0.1:9003");
    cli_doc_str(d, "odd", "a: \"b\"");
    cli_doc_null(d, "age");
    cli_doc_end(d);
    cli_doc_end(d);
    cli_doc_end(d);
}

static void expect_doc(enum cli_format format, const char *expected)
{
    struct cli_doc d;
    cli_doc_init(&d, format);
    describe_topic(&d);
    assert_int_equal(cli_doc_finish(&d, NULL), FLV_OK);
    assert_string_equal(flv_buf_str(&d.text), expected);
    cli_doc_deinit(&d);
}

static void json_has_two_blanks_and_fluvios_empty_maps(void **state)
{
    (void)state;
    expect_doc(CLI_FORMAT_JSON, "[\n"
                                "  {\n"
                                "    \"name\": \"greetings\",\n"
                                "    \"spec\": {\n"
                                "      \"replicas\": {\n"
                                "        \"computed\": {\n"
                                "          \"partitions\": 1,\n"
                                "          \"ignoreRackAssignment\": false\n"
                                "        }\n"
                                "      }\n"
                                "    },\n"
                                "    \"status\": {\n"
                                "      \"replicaMap\": {\n"
                                "        \"0\": [\n"
                                "          5001\n"
                                "        ]\n"
                                "      },\n"
                                "      \"mirrorMap\": {},\n"
                                "      \"reason\": \"\",\n"
                                "      \"endpoint\": \"127.0.0.1:9003\",\n"
                                "      \"odd\": \"a: \\\"b\\\"\",\n"
                                "      \"age\": null\n"
                                "    }\n"
                                "  }\n"
                                "]\n");
}

static void yaml_is_block_style_and_quotes_what_it_must(void **state)
{
    (void)state;
    expect_doc(CLI_FORMAT_YAML, "- name: greetings\n"
                                "  spec:\n"
                                "    replicas:\n"
                                "      computed:\n"
                                "        partitions: 1\n"
                                "        ignoreRackAssignment: false\n"
                                "  status:\n"
                                "    replicaMap:\n"
                                "      '0':\n"
                                "      - 5001\n"
                                "    mirrorMap: {}\n"
                                "    reason: ''\n"
                                "    endpoint: 127.0.0.1:9003\n"
                                "    odd: 'a: \"b\"'\n"
                                "    age: null\n");
}

static void expect_pretty(const char *in, const char *expected)
{
    struct flv_buf out;
    flv_buf_init(&out, 1 << 20);
    assert_int_equal(cli_json_pretty(flv_slice_str(in), &out, NULL), FLV_OK);
    assert_string_equal(flv_buf_str(&out), expected);
    flv_buf_deinit(&out);
}

static void json_values_are_copied_byte_for_byte(void **state)
{
    (void)state;
    expect_pretty("{\"b\":123456789012345678901234567890.10,\"a\":[ ],"
                  "\"c\":{\"d\":[1,-2e+5,\"\\u00e9\\n\"]}}",
                  "{\n"
                  "  \"b\": 123456789012345678901234567890.10,\n"
                  "  \"a\": [],\n"
                  "  \"c\": {\n"
                  "    \"d\": [\n"
                  "      1,\n"
                  "      -2e+5,\n"
                  "      \"\\u00e9\\n\"\n"
                  "    ]\n"
                  "  }\n"
                  "}");
    expect_pretty(" true ", "true");
}

static void json_refuses_what_is_not_one_value(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",   "tru",     "{\"a\"}", "[1,]",    "01",      "-",     "1.",
        "1e", "{}{}",    "\"a",     "\"\\x\"", "\"\n\"",  "[1 2]", "{a:1}",
        "[",  "{\"a\":", "\"\\u00", "nullx",   "{\"a\":1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct flv_buf out;
        struct flv_err err = {0};
        flv_buf_init(&out, 1 << 20);
        assert_int_equal(flv_buf_add_str(&out, "kept"), FLV_OK);
        assert_int_equal(cli_json_pretty(flv_slice_str(bad[i]), &out, &err),
                         FLV_E_INVALID);
        assert_string_equal(flv_buf_str(&out), "kept");
        assert_non_null(strstr(err.text, " at line "));
        flv_buf_deinit(&out);
    }
}

static void json_refuses_deep_nesting(void **state)
{
    (void)state;
    char deep[4000];
    memset(deep, '[', sizeof deep);
    struct flv_buf out;
    struct flv_err err = {0};
    flv_buf_init(&out, 1 << 20);
    assert_int_equal(cli_json_pretty(flv_slice(deep, sizeof deep), &out, &err),
                     FLV_E_INVALID);
    flv_buf_deinit(&out);
}

struct shown {
    struct cli_formatter f;
    struct flv_buf out;
};

static const char *
show(struct shown *s, const char *key, const void *value, size_t len)
{
    struct flv_record_view r = {.offset = 7,
                                .timestamp_ms = 1500,
                                .key = flv_slice_str(key),
                                .has_key = key != NULL,
                                .value = flv_slice(value, len)};
    flv_buf_reset(&s->out);
    assert_int_equal(cli_format_record(&s->f, &r, 3, &s->out, NULL), FLV_OK);
    return flv_buf_str(&s->out);
}

static int show_up(void **state)
{
    static struct shown s;
    cli_formatter_init(&s.f);
    flv_buf_init(&s.out, 1 << 20);
    *state = &s;
    return 0;
}

static int show_down(void **state)
{
    struct shown *s = *state;
    cli_formatter_deinit(&s->f);
    flv_buf_deinit(&s->out);
    return 0;
}

static void records_print_as_text_with_and_without_keys(void **state)
{
    struct shown *s = *state;
    assert_string_equal(show(s, NULL, "one", 3), "one\n");
    assert_string_equal(show(s, NULL, "", 0), "\n");
    s->f.key_value = true;
    assert_string_equal(show(s, NULL, "one", 3), "[null] one\n");
    assert_string_equal(show(s, "k", "one", 3), "[k] one\n");
    assert_string_equal(show(s, "", "one", 3), "[] one\n");
}

static void binary_records_become_a_hex_dump(void **state)
{
    struct shown *s = *state;
    assert_string_equal(
        show(s, NULL, "{\n    \"p\0", 9),
        "00000000  7b 0a 20 20 20 20 22 70  00                      "
        " |{.    \"p        |\n"
        "-----------------------------------------------------------------"
        "-------------\n\n");
    s->f.form = CLI_VALUE_TEXT;
    assert_string_equal(show(s, NULL, "a\0b", 3), "binary: (3 bytes)\n");
    s->f.form = CLI_VALUE_RAW;
    assert_string_equal(show(s, NULL, "ab", 2), "ab");
}

static void json_records_that_are_none_say_why(void **state)
{
    struct shown *s = *state;
    s->f.form = CLI_VALUE_JSON;
    assert_string_equal(show(s, NULL, "{\"a\":1}", 7), "{\n  \"a\": 1\n}\n");
    assert_string_equal(
        show(s, NULL, "x", 1),
        "{\n  \"error\": \"expected value at line 1 column 1\"\n}\n");
    s->f.suppress = true;
    assert_string_equal(show(s, NULL, "x", 1), "");
}

static void templates_fill_every_hole(void **state)
{
    struct shown *s = *state;
    s->f.template = "{{offset}}|{{ key }}|{{{value}}}|{{partition}}|{{time}}";
    assert_int_equal(cli_template_check(s->f.template, NULL), FLV_OK);
    assert_string_equal(show(s, NULL, "<v>", 3),
                        "7|null|<v>|3|1970-01-01T00:00:01.500Z\n");
    struct flv_err err = {0};
    assert_int_equal(cli_template_check("{{nope}}", &err), FLV_E_INVALID);
    assert_int_equal(cli_template_check("{{key", &err), FLV_E_INVALID);
}

static void truncation_keeps_one_line_of_whole_characters(void **state)
{
    struct shown *s = *state;
    s->f.line_max = 3;
    assert_string_equal(show(s, NULL, "a\xc3\xa9zzz", 6), "a\xc3\xa9z\n");
    assert_string_equal(show(s, NULL, "a\nb", 3), "a\n");
}

static void table_records_share_one_header(void **state)
{
    struct shown *s = *state;
    s->f.form = CLI_VALUE_TABLE;
    assert_string_equal(show(s, NULL, "{\"name\":\"tom\",\"age\":3}", 22),
                        " age  name \n 3    tom  \n");
    assert_string_equal(show(s, NULL, "{\"age\":12,\"name\":\"x\"}", 21),
                        " 12   x    \n");
    assert_string_equal(
        show(s, NULL, "[{\"age\":1},{\"name\":\"\\u00e9\\n\\ud83d\\ude00\"}]",
             43),
        " 1         \n      \xc3\xa9 \xf0\x9f\x98\x80  \n");
    assert_string_equal(show(s, NULL, "7", 1),
                        "error: Unable to parse json as object map\n");
    assert_string_equal(show(s, NULL, "x", 1),
                        "error parsing record as json: expected value at line "
                        "1 column 1\n");
    /* A row that is printed is whole: a script may read it. */
    char value[1011];
    memset(value, 'v', sizeof value);
    memcpy(value, "{\"age\":\"", 8);
    memcpy(value + 1008, "\"}", 3);
    const char *row = show(s, NULL, value, 1010);
    assert_int_equal(strspn(row + 1, "v"), 1000);
    s->f.suppress = true;
    assert_string_equal(show(s, NULL, "x", 1), "");
}

static const struct flv_table_column grid_columns[] = {
    {.key_path = "item", .header_label = "Item", .primary_key = FLV_TABLE_YES},
    {.key_path = "cost.eur", .alignment = FLV_TABLE_ALIGN_RIGHT, .width = "9"},
    {.key_path = "secret", .display = FLV_TABLE_NO}};

static void grid_of(struct cli_grid *g)
{
    const struct flv_table_format format = {.name = "f",
                                            .has_columns = true,
                                            .columns = grid_columns,
                                            .column_count = 3};
    cli_grid_init(g);
    assert_int_equal(cli_grid_use(g, &format, NULL), FLV_OK);
}

static void table_format_says_columns_and_looks(void **state)
{
    struct shown *s = *state;
    const struct flv_table_format format = {.name = "f",
                                            .has_columns = true,
                                            .columns = grid_columns,
                                            .column_count = 3};
    s->f.form = CLI_VALUE_TABLE;
    assert_int_equal(cli_grid_use(&s->f.grid, &format, NULL), FLV_OK);
    static const char one[] = "{\"secret\":1,\"cost\":{\"eur\":1.50},"
                              "\"item\":\"pen\"}";
    assert_string_equal(show(s, NULL, one, sizeof one - 1),
                        " Item   cost.eur \n pen        1.50 \n");
    static const char two[] = "{\"item\":\"a longer one\"}";
    assert_string_equal(show(s, NULL, two, sizeof two - 1),
                        " a longer one            \n");
}

static void a_header_does_not_move_the_cursor(void **state)
{
    struct shown *s = *state;
    const struct flv_table_column column = {
        .key_path = "a", .header_label = "x\033[2J\xc2\x9b\n"};
    const struct flv_table_format format = {.name = "f",
                                            .has_columns = true,
                                            .columns = &column,
                                            .column_count = 1};
    s->f.form = CLI_VALUE_TABLE;
    assert_int_equal(cli_grid_use(&s->f.grid, &format, NULL), FLV_OK);
    assert_string_equal(show(s, NULL, "{\"a\":1}", 7),
                        " x [2J    \n 1        \n");
}

static void rows_of_the_same_keys_are_replaced_on_the_screen(void **state)
{
    struct cli_grid g;
    struct flv_buf out;
    (void)state;
    grid_of(&g);
    flv_buf_init(&out, 1 << 16);
    static const char *const records[] = {
        "{\"item\":\"a\",\"cost\":{\"eur\":1}}",
        "[{\"item\":\"b\",\"cost\":{\"eur\":2}},{\"item\":\"c\"}]",
        "{\"item\":\"a\",\"cost\":{\"eur\":3}}"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(cli_grid_keep(&g, flv_slice_str(records[i]), NULL),
                         FLV_OK);
    }
    assert_int_equal(cli_grid_draw(&g, "title", 24, 80, false, &out), FLV_OK);
    assert_string_equal(flv_buf_str(&out), "\033[Htitle\033[K\r\n"
                                           " Item   cost.eur \033[K\r\n"
                                           " a             3 \033[K\r\n"
                                           " b             2 \033[K\r\n"
                                           " c               \033[K\r\n\033[J");
    flv_buf_reset(&out);
    /* A small terminal: the newest row, and no line longer than it is. */
    assert_int_equal(cli_grid_draw(&g, "title", 4, 4, false, &out), FLV_OK);
    assert_string_equal(flv_buf_str(&out), "\033[Htitl\033[K\r\n"
                                           " It \033[K\r\n"
                                           " c  \033[K\r\n\033[J");
    flv_buf_deinit(&out);
    cli_grid_deinit(&g);
}

/* The rows that a screen of two rows shows. */
static void expect_rows(struct cli_grid *g, const char *expected)
{
    static const char head[] = "\033[Ht\033[K\r\n n \033[K\r\n";
    struct flv_buf out;
    flv_buf_init(&out, 1 << 16);
    assert_int_equal(cli_grid_draw(g, "t", 5, 80, false, &out), FLV_OK);
    const char *text = flv_buf_str(&out);
    assert_memory_equal(text, head, strlen(head));
    text += strlen(head);
    for (; *expected != '\0'; expected += 2) {
        char line[16];
        (void)snprintf(line, sizeof line, "%.2s \033[K\r\n", expected);
        assert_memory_equal(text, line, strlen(line));
        text += strlen(line);
    }
    assert_string_equal(text, "\033[J");
    flv_buf_deinit(&out);
}

static void keep_number(struct cli_grid *g, int n)
{
    char text[64];
    (void)snprintf(text, sizeof text, "{\"n\":%d}", n);
    assert_int_equal(cli_grid_keep(g, flv_slice_str(text), NULL), FLV_OK);
}

static void a_selected_row_stays_where_it_is_and_is_shown(void **state)
{
    struct cli_grid g;
    (void)state;
    cli_grid_init(&g);
    cli_grid_move(&g, CLI_GRID_UP); /* there is none */
    for (int i = 0; i < 5; i++) {
        keep_number(&g, i);
    }
    expect_rows(&g, " 3 4");
    cli_grid_move(&g, CLI_GRID_UP);
    expect_rows(&g, " 3>4");
    cli_grid_move(&g, CLI_GRID_UP);
    cli_grid_move(&g, CLI_GRID_UP);
    expect_rows(&g, ">2 3");
    /* New rows come at the end and move nothing. */
    keep_number(&g, 5);
    expect_rows(&g, ">2 3");
    cli_grid_move(&g, CLI_GRID_DOWN);
    expect_rows(&g, " 2>3");
    cli_grid_move(&g, CLI_GRID_DOWN);
    expect_rows(&g, " 3>4");
    cli_grid_move(&g, CLI_GRID_FIRST);
    expect_rows(&g, ">0 1");
    cli_grid_move(&g, CLI_GRID_UP); /* around the end */
    expect_rows(&g, " 4>5");
    cli_grid_move(&g, CLI_GRID_DOWN);
    expect_rows(&g, ">0 1");
    cli_grid_move(&g, CLI_GRID_PAGE_UP);
    expect_rows(&g, ">0 1");
    cli_grid_move(&g, CLI_GRID_LAST);
    cli_grid_move(&g, CLI_GRID_PAGE_DOWN);
    expect_rows(&g, " 4>5");
    cli_grid_move(&g, CLI_GRID_PAGE_UP);
    expect_rows(&g, ">4 5");
    cli_grid_clear(&g);
    expect_rows(&g, "");
    keep_number(&g, 7);
    expect_rows(&g, " 7");
    cli_grid_move(&g, CLI_GRID_DOWN);
    expect_rows(&g, ">7");
    cli_grid_deinit(&g);
}

static void the_oldest_row_goes_when_there_are_too_many(void **state)
{
    struct cli_grid g;
    struct flv_buf out;
    char text[64];
    (void)state;
    cli_grid_init(&g);
    flv_buf_init(&out, 1 << 16);
    for (int i = 0; i < CLI_GRID_ROWS_MAX + 3; i++) {
        snprintf(text, sizeof text, "{\"n\":%d}", i);
        assert_int_equal(cli_grid_keep(&g, flv_slice_str(text), NULL), FLV_OK);
    }
    assert_int_equal(g.row_count, CLI_GRID_ROWS_MAX);
    assert_int_equal(g.dropped, 3);
    assert_int_equal(cli_grid_draw(&g, "", 5, 80, false, &out), FLV_OK);
    assert_string_equal(flv_buf_str(&out), "\033[H\033[K\r\n n    \033[K\r\n"
                                           " 5001 \033[K\r\n"
                                           " 5002 \033[K\r\n\033[J");
    /* A row that is selected is followed until it goes itself. */
    cli_grid_move(&g, CLI_GRID_FIRST);
    cli_grid_move(&g, CLI_GRID_DOWN);
    assert_int_equal(cli_grid_keep(&g, flv_slice_str("{\"n\":1}"), NULL),
                     FLV_OK);
    assert_int_equal(g.selected, 0);
    flv_buf_reset(&out);
    assert_int_equal(cli_grid_draw(&g, "", 5, 80, true, &out), FLV_OK);
    assert_non_null(strstr(flv_buf_str(&out), "\033[7m>4 \033[0m\033[K"));
    flv_buf_deinit(&out);
    cli_grid_deinit(&g);
}

int main(void)
{
#define SHOWN(t) cmocka_unit_test_setup_teardown(t, show_up, show_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_prints_partition_list_like_fluvio),
        cmocka_unit_test(table_prints_spu_list_like_fluvio),
        cmocka_unit_test(table_right_aligns_cells_under_left_headers),
        cmocka_unit_test(table_keeps_one_line_per_row_and_counts_characters),
        cmocka_unit_test(json_has_two_blanks_and_fluvios_empty_maps),
        cmocka_unit_test(yaml_is_block_style_and_quotes_what_it_must),
        cmocka_unit_test(json_values_are_copied_byte_for_byte),
        cmocka_unit_test(json_refuses_what_is_not_one_value),
        cmocka_unit_test(json_refuses_deep_nesting),
        SHOWN(records_print_as_text_with_and_without_keys),
        SHOWN(binary_records_become_a_hex_dump),
        SHOWN(json_records_that_are_none_say_why),
        SHOWN(templates_fill_every_hole),
        SHOWN(truncation_keeps_one_line_of_whole_characters),
        SHOWN(table_records_share_one_header),
        SHOWN(table_format_says_columns_and_looks),
        SHOWN(a_header_does_not_move_the_cursor),
        cmocka_unit_test(rows_of_the_same_keys_are_replaced_on_the_screen),
        cmocka_unit_test(a_selected_row_stays_where_it_is_and_is_shown),
        cmocka_unit_test(the_oldest_row_goes_when_there_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
