
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cm.h"
#include "connector/plan.h"
#include "tmpdir.h"
#include "util.h" /* of the SmartModules: assembles */

#define MODULE(entry)                                                          \
    "(module (import \"env\" \"copy_records\" (func (param i32 i32)))"         \
    "(memory (export \"memory\") 1)"                                           \
    "(func (export \"alloc\") (param i32) (result i32) (i32.const 0))"         \
    "(func (export \"dealloc\") (param i32 i32))"                              \
    "(func (export \"" entry "\") (param i32 i32 i32) (result i32)"            \
    "  (i32.const 0)))"

static struct tmpdir tmp;

static const struct flv_connector type = {
    .abi = FLV_CONNECTOR_ABI, .name = "plain", .version = "1"};

/* A connector's options, a file, and the plan that they make. */
struct bed {
    struct flv_conn_opts table;
    struct flv_opts opts;
    void *conf;
    struct flv_cfile file;
    bool has_file;
    struct flv_plan plan;
    struct flv_err err;
};

static const char *secret(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "TOKEN") == 0 ? "hidden" : NULL;
}
static const struct flv_cfile_conf secrets = {.secret = secret};

static void set(struct bed *b, const char *name, const char *value, bool line)
{
    struct flv_err err = {0};
    if (flv_opts_set(&b->opts, name, value,
                     line ? FLV_SOURCE_USER : FLV_SOURCE_FILE,
                     &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
}

/* Options as "--name=value" texts; yaml is what follows the head, or NULL. */
static flv_rc make(struct bed *b, const char *const *options, const char *yaml)
{
    *b = (struct bed){.err = {0}};
    assert_int_equal(flv__conn_opts_init(&b->table, &type, NULL), FLV_OK);
    b->conf = flv_zalloc(1, b->table.conf_size);
    assert_non_null(b->conf);
    flv_opts_init(&b->opts, b->table.table, b->conf);
    if (yaml != NULL) {
        char text[1024];
        (void)snprintf(text, sizeof(text), "name: n\ntype: plain\ntopic: t\n%s",
                       yaml);
        b->has_file = true;
        if (flv_cfile_parse(&b->file, "c.yml", flv_slice_str(text), &secrets,
                            &b->err) != FLV_OK) {
            fail_msg("%s", b->err.text);
        }
        for (size_t i = 0; i < b->file.setting_count; i++) {
            set(b, b->file.settings[i].key, b->file.settings[i].value, false);
        }
    }
    for (; *options != NULL; options++) {
        char name[64], value[256];
        assert_int_equal(sscanf(*options, "--%63[^=]=%255[^\n]", name, value),
                         2);
        set(b, name, value, true);
    }
    set(b, "fluvio-topic", "t", true);
    flv_rc rc = flv_opts_finish(&b->opts, &b->err);
    if (rc == FLV_OK) {
        rc = flv__plan_make(&b->plan, &b->opts, b->has_file ? &b->file : NULL,
                            &secrets, false, &b->err);
    }
    return rc == FLV_OK ? flv__plan_read(&b->plan, &b->err) : rc;
}

static void drop(struct bed *b)
{
    flv__plan_deinit(&b->plan);
    if (b->has_file) {
        flv_cfile_deinit(&b->file);
    }
    flv_opts_deinit(&b->opts);
    flv_free(b->conf);
    flv__conn_opts_deinit(&b->table);
}

static void good(struct bed *b, const char *const *options, const char *yaml)
{
    if (make(b, options, yaml) != FLV_OK) {
        fail_msg("%s", b->err.text);
    }
}

static void bad(const char *const *options, const char *yaml, const char *text)
{
    struct bed b;
    flv_rc rc = make(&b, options, yaml);
    if (rc == FLV_OK || strstr(b.err.text, text) == NULL) {
        fail_msg("expected \"%s\", not \"%s\"", text, b.err.text);
    }
    drop(&b);
}
#define LINE(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOTHING ((const char *const[]){NULL})

/* ---------------------------------------------------------------------------
 */

static void without_modules_there_is_nothing_to_do(void **state)
{
    (void)state;
    struct bed b;
    good(&b, NOTHING, NULL);
    assert_int_equal(b.plan.count, 0);
    assert_int_equal(b.plan.lanes, 1);
    drop(&b);
}

static void a_filter_runs_before_the_shape(void **state)
{
    (void)state;
    struct bed b;
    good(&b,
         LINE("--map=map.wasm", "--smartstream-filter=filter.wasm",
              "--smartmodule-parameters=k:v:w", "--smartmodule_fuel=7",
              "--smartmodule-memory=1Mi", "--on-error=retry:3"),
         NULL);
    assert_int_equal(b.plan.count, 2);
    const struct flv_plan_step *s = b.plan.steps;
    assert_string_equal(s[0].uses, "filter.wasm");
    assert_string_equal(s[1].uses, "map.wasm");
    for (int i = 0; i < 2; i++) {
        assert_true(s[i].wasm.len > 0);
        assert_int_equal(s[i].param_count, 1);
        assert_string_equal(s[i].params[0].key, "k");
        assert_string_equal(s[i].params[0].value, "v:w");
        assert_int_equal(s[i].budget.fuel, 7);
        assert_int_equal(s[i].budget.memory_bytes, 1 << 20);
        assert_int_equal(s[i].policy.kind, FLV_POLICY_RETRY);
        assert_int_equal(s[i].policy.retries, 3);
    }
    drop(&b);
}

static void what_is_no_file_may_be_a_name(void **state)
{
    (void)state;
    struct bed b;
    good(&b, LINE("--filter=group/name@1", "--smart-module=folder"), NULL);
    assert_null(b.plan.steps[0].wasm.data);
    assert_null(b.plan.steps[1].wasm.data);
    assert_int_equal(b.plan.steps[1].kind, -1);
    drop(&b);
}

static void transforms_have_policies_and_budgets_of_their_own(void **state)
{
    (void)state;
    struct bed b;
    good(&b, LINE("--smartmodule-cpu-ms=50"),
         "on-error: {dead-letter: d1}\n"
         "transforms:\n"
         "  - {uses: filter.wasm, on-error: {dead-letter: d2},\n"
         "     budget: {fuel: 9, cpu-ms: 8}, lookback: {last: 2},\n"
         "     with: {t: \"${{ secrets.TOKEN }}\"}}\n"
         "  - {uses: map.wasm, on-error: halt}\n"
         "  - {uses: map.wasm}\n"
         "  - {uses: n, on-error: {dead-letter: d2}}\n");
    assert_int_equal(b.plan.count, 4);
    const struct flv_plan_step *s = b.plan.steps;
    assert_int_equal(s[0].policy.lane, 1);
    assert_int_equal(s[1].policy.kind, FLV_POLICY_HALT);
    assert_int_equal(s[2].policy.lane, 2);
    assert_int_equal(s[3].policy.lane, 1);
    assert_int_equal(b.plan.lanes, 3);
    assert_string_equal(b.plan.topics[1], "d2");
    assert_string_equal(b.plan.topics[2], "d1");
    assert_int_equal(s[0].budget.fuel, 9);
    assert_int_equal(s[0].budget.cpu_ms, 8);
    assert_int_equal(s[1].budget.cpu_ms, 50);
    assert_int_equal(s[0].look_back_last, 2);
    assert_string_equal(s[0].params[0].value, "hidden");
    drop(&b);
}

static void the_line_may_give_a_chain_as_json(void **state)
{
    (void)state;
    struct bed b;
    good(&b,
         LINE("--transform={\"uses\":\"filter.wasm\",\"with\":{\"n\":[1,2]}}",
              "--transform={\"uses\":\"map.wasm\",\"on-error\":\"discard\"}"),
         "transforms: [{uses: never}]\n"); /* the line wins */
    assert_int_equal(b.plan.count, 2);
    assert_string_equal(b.plan.steps[0].params[0].value, "[1,2]");
    assert_int_equal(b.plan.steps[1].policy.kind, FLV_POLICY_DISCARD);
    drop(&b);
}

static void what_does_not_go_together_is_told(void **state)
{
    (void)state;
    bad(LINE("--map=a", "--arraymap=b"), NULL, "cannot be used with");
    bad(LINE("--filter=a", "--smartstream-filter=b"), NULL,
        "cannot be used with");
    bad(LINE("--smart-module=a", "--aggregate=b"), NULL, "cannot be used with");
    bad(LINE("--filter=a", "--transform={\"uses\":\"b\"}"), NULL,
        "--filter cannot be used with --transform");
    bad(LINE("--map=a"), "transforms: [{uses: b}]\n",
        "--map cannot be used with transforms");
    bad(NOTHING,
        "transforms: [{uses: b}]\nparameters:\n"
        "  transform: \"{\\\"uses\\\":\\\"c\\\"}\"\n",
        "the file has both transforms and the setting transform");
    bad(LINE("--smartmodule-parameters=a:b"), NULL, "needs a SmartModule");
    bad(LINE("--filter=a", "--smartmodule-parameters=ab"), NULL,
        "\"ab\": a parameter is written key:value");
    bad(LINE("--aggregate-initial-value=1", "--map=a"), NULL,
        "--aggregate-initial-value needs --aggregate");
    bad(LINE("--filter=a", "--on-error=dead-letter:t"), NULL,
        "dead letters cannot go to the connector's own topic \"t\"");
}

static void policies_are_spelled_exactly(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "retry",     "retry:",       "retry:0",  "retry:1001",
        "retry:x",   "dead-letter",  "halt:1",   "dead-letter:",
        "discard:1", "deadletter:t", " discard", "RETRY:1",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct flv_policy p;
        assert_int_equal(flv__policy_parse(wrong[i], &p, NULL), FLV_E_USAGE);
    }
    bad(LINE("--filter=a", "--on-error=maybe"), NULL,
        "on-error: \"maybe\" is none of halt, discard, retry:N and "
        "dead-letter:TOPIC");
    bad(NOTHING, "transforms:\n  - {uses: a, on-error: {retry: many}}\n",
        "c.yml:5:5: on-error: \"retry:many\": retry:N takes a number");
}

static void modules_that_do_not_fit_say_what_they_are(void **state)
{
    (void)state;
    bad(LINE("--filter=map.wasm"), NULL,
        "--filter: \"map.wasm\" is a SmartModule of the kind map, not filter; "
        "use --map");
    bad(LINE("--smartstream-map=filter.wasm"), NULL,
        "--smartstream-map: \"filter.wasm\" is a SmartModule of the kind "
        "filter, not map; use --filter");
    bad(LINE("--smart-module=map.wasm", "--aggregate-initial-value=1"), NULL,
        "is for aggregates; \"map.wasm\" is a SmartModule of the kind map");
    bad(LINE("--filter=text.wasm"), NULL, "--filter: \"text.wasm\"");
    bad(NOTHING, "transforms:\n  - uses: text.wasm\n", "c.yml: \"text.wasm\"");
    bad(LINE("--filter=empty.wasm"), NULL, "--filter: \"empty.wasm\"");
}

static void write_file(const char *name, struct flv_slice bytes)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
}

static void write_module(const char *name, const char *text)
{
    struct flv_slice wasm = assemble_text(text);
    write_file(name, wasm);
    flv_free((void *)(uintptr_t)wasm.data);
}

static int setup(void **state)
{
    (void)state;
    tmpdir_make(&tmp, "plan");
    if (chdir(tmp.path) != 0 || mkdir("folder", 0700) != 0 ||
        flv_log_setup("off", NULL) != FLV_OK) {
        return -1;
    }
    write_module("filter.wasm", MODULE("filter"));
    write_module("map.wasm", MODULE("map"));
    write_file("text.wasm", flv_slice_str("hello"));
    write_file("empty.wasm", flv_slice_str(""));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tmpdir_remove(&tmp);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_modules_there_is_nothing_to_do),
        cmocka_unit_test(a_filter_runs_before_the_shape),
        cmocka_unit_test(what_is_no_file_may_be_a_name),
        cmocka_unit_test(transforms_have_policies_and_budgets_of_their_own),
        cmocka_unit_test(the_line_may_give_a_chain_as_json),
        cmocka_unit_test(what_does_not_go_together_is_told),
        cmocka_unit_test(policies_are_spelled_exactly),
        cmocka_unit_test(modules_that_do_not_fit_say_what_they_are),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
