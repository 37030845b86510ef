
#include <stdio.h>

#include "cm.h"
#include "connector/describe.h"
#include "connector/options.h"
#include "connector/pipeline.h"
#include "http.h"
#include "http_sink.h"
#include "mqtt.h"
#include "sql_sink.h"
#include "test_connector.h"

static const struct flv_connector *const types[] = {
    &http_connector, &http_sink_connector, &mqtt_connector, &sql_sink_connector,
    &test_connector};

static void check_sink(const struct flv_connector *t)
{
    const struct flv_sink_ops *ops = t->sink;
    size_t len = strlen(t->name);
    assert_true(len > 5 && strcmp(t->name + len - 5, "-sink") == 0);
    assert_true(ops->open != NULL && ops->put != NULL);
    assert_true(ops->verdict != NULL && ops->drain != NULL);
    assert_non_null(ops->close);
    assert_true(ops->keeps_positions == (ops->ask != NULL));
    assert_true(ops->keeps_positions == (ops->keep != NULL));
}

static void descriptors_fill_their_mandatory_slots(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        const struct flv_connector *t = types[i];
        assert_int_equal(t->abi, FLV_CONNECTOR_ABI);
        assert_true(t->name[0] != '\0');
        assert_string_equal(t->version, FLV_VERSION);
        assert_true(t->summary[0] >= 'A' && t->summary[0] <= 'Z');
        assert_true((t->source != NULL) != (t->sink != NULL));
        if (t->source != NULL) {
            assert_non_null(t->source->open);
            assert_non_null(t->source->pull);
            assert_non_null(t->source->close);
        } else {
            check_sink(t);
        }
        size_t counters = 0;
        while (t->counters != NULL && t->counters[counters] != NULL) {
            counters++;
        }
        assert_true(counters <= FLV_COUNTERS_MAX);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(t->name, types[j]->name);
        }
    }
}

static void option_tables_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        struct flv_err err = {0};
        struct flv_conn_opts o;
        if (flv_opt_check_table(types[i]->opts, types[i]->conf_size, &err) !=
                FLV_OK ||
            flv__conn_opts_init(&o, types[i], &err) != FLV_OK ||
            flv_opt_check_table(o.table, o.conf_size, &err) != FLV_OK) {
            fail_msg("%s: %s", types[i]->name, err.text);
        }
        for (size_t j = 1; o.table[j].name != NULL; j++) {
            assert_true(strcmp(o.table[j - 1].name, o.table[j].name) < 0);
        }
        flv__conn_opts_deinit(&o);
    }
}

/* The text between two lines of a file. */
static void read_readme(const char *name, struct flv_buf *b)
{
    char path[512], line[1024];
    (void)snprintf(path, sizeof(path), "%s/connectors/%s/README.md",
                   FLV_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        assert_int_equal(flv_buf_add_str(b, line), FLV_OK);
    }
    (void)fclose(file);
}

static void readmes_hold_the_generated_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        struct flv_buf readme, table;
        flv_buf_init(&readme, 1 << 20);
        flv_buf_init(&table, 1 << 20);
        read_readme(types[i]->name, &readme);
        assert_int_equal(flv__connector_table(types[i], &table, NULL), FLV_OK);
        if (strstr(flv_buf_str(&readme), flv_buf_str(&table)) == NULL) {
            fail_msg("connectors/%s/README.md has to hold:\n%s", types[i]->name,
                     flv_buf_str(&table));
        }
        flv_buf_deinit(&readme);
        flv_buf_deinit(&table);
    }
}

/* `test_registry NAME` prints the table for the README. */
static int print_table(const char *name)
{
    for (size_t i = 0; i < COUNT(types); i++) {
        struct flv_buf b;
        flv_buf_init(&b, 1 << 20);
        if (strcmp(types[i]->name, name) == 0 &&
            flv__connector_table(types[i], &b, NULL) == FLV_OK) {
            (void)fwrite(b.data, 1, b.len, stdout);
        }
        flv_buf_deinit(&b);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return print_table(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_fill_their_mandatory_slots),
        cmocka_unit_test(option_tables_are_sound),
        cmocka_unit_test(readmes_hold_the_generated_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
