#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cm.h"
#include "base/mem.h"
#include "config/check.h"

/* What --describe of the real programs prints. */
static struct flv_descriptor types[2];

static void load(struct flv_descriptor *d, const char *name)
{
    char path[512];
    static char text[65536];
    struct flv_err err = {0};
    (void)snprintf(path, sizeof(path), "%s/tests/unit/connector/golden/%s",
                   FLV_SOURCE_DIR, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof(text), f);
    (void)fclose(f);
    if (flv_descriptor_parse(d, flv_slice(text, len), &err) != FLV_OK) {
        fail_msg("%s: %s", name, err.text);
    }
}

static int load_types(void **state)
{
    (void)state;
    load(&types[0], "http-describe.json");
    load(&types[1], "test-connector-describe.json");
    return 0;
}

static int unload_types(void **state)
{
    (void)state;
    flv_descriptor_deinit(&types[0]);
    flv_descriptor_deinit(&types[1]);
    return 0;
}

static const struct flv_descriptor *find(void *arg, const char *type)
{
    /* As the catalogue: a sink may be called without its suffix. */
    size_t len = flv_cfile_type_len(type);
    (void)arg;
    for (size_t i = 0; i < COUNT(types); i++) {
        if (strncmp(types[i].name, type, len) == 0 &&
            types[i].name[len] == '\0') {
            return &types[i];
        }
    }
    return NULL;
}

static const char *installed(void *arg, size_t i)
{
    (void)arg;
    return i < COUNT(types) ? types[i].name : NULL;
}

static const char *secret(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "TOKEN") == 0 ? "hunter2" : NULL;
}

/* All problems of a file, one a line, as people see them. */
static const char *check(const char *file)
{
    static char shown[8192];
    const struct flv_check_conf conf = {.find = find,
                                        .installed = installed,
                                        .secret = secret,
                                        .secret_help =
                                            "set it with `fluvio secret set`"};
    struct flv_checked c;
    struct flv_err err = {0};
    struct flv_buf b;
    flv_buf_init(&b, sizeof(shown) - 1);
    if (flv_check_text(&c, flv_slice_str(file), &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(flv_report_text(&c.report, "f", &b), FLV_OK);
    assert_int_equal(c.report.count, c.report.errors + c.report.warnings);
    (void)snprintf(shown, sizeof(shown), "%.*s", (int)b.len,
                   b.data != NULL ? (const char *)b.data : "");
    flv_buf_deinit(&b);
    flv_checked_deinit(&c);
    return shown;
}

static void is(const char *file, const char *expected)
{
    assert_string_equal(check(file), expected);
}

#define HEAD "name: n\ntype: http\ntopic: t\n"
#define URL "  endpoint: http://h/\n"

/* ---- Right files -------------------------------------------------------- */

static void files_of_the_seed_are_right(void **state)
{
    (void)state;
    is("version: v1\nname: cat-facts\ntype: http\ntopic: cat-facts\n"
       "create_topic: true\ndirection: source\nparameters:\n"
       "  endpoint: https://catfact.ninja/fact\n  interval: 10\n",
       "");
    is("version: latest\nname: my-test-connector\ntype: test-connector\n"
       "topic: my-test-connector\ncreate_topic: true\ndirection: source\n"
       "parameters:\n  topic: my-test-connector\n",
       "");
}

static void all_dialects_are_one_model(void **state)
{
    (void)state;
    static const char *const apis[] = {"", "apiVersion: 0.0.0\n",
                                       "apiVersion: 0.1.0\n",
                                       "apiVersion: 0.2.0\n"};
    for (size_t i = 0; i < COUNT(apis); i++) {
        char file[512];
        (void)snprintf(file, sizeof(file),
                       "%smeta:\n  name: n\n  type: http-source\n"
                       "  version: latest\n  topic: t\nhttp:\n"
                       "  endpoint: http://h/\n  output_type: json\n",
                       apis[i]);
        is(file, "");
    }
    is("api_version: v1\nversion: 0.1.0\n" HEAD "parameters:\n" URL
       "  header: [\"A: 1\", \"B: 2\"]\n"
       "producer:\n  linger: 1ms\n  compression: gzip\n  batch-size: 16 KB\n",
       "");
    is("apiVersion: 0.2.0\nmeta:\n  name: n\n  type: http\n"
       "  version: latest\n  topic:\n    meta:\n      name: t\n"
       "    partition: {count: 1}\ncustom:\n  endpoint: http://h/\n",
       "");
}

/* ---- One mistake each ---------------------------------------------------- */

static void values_are_held_against_their_type(void **state)
{
    (void)state;
    is(HEAD "parameters:\n" URL "  interval: ten\n",
       "f:6:13: error: interval: 'ten' is not a duration such as 10s, "
       "100ms, 1h 30m or 1d\n    for example: interval: 10s\n");
    is(HEAD "parameters:\n" URL "  output-type: jsn\n",
       "f:6:16: error: output-type: 'jsn' is none of text, json; did you mean "
       "\"json\"?\n    for example: output-type: json\n");
    is(HEAD "parameters:\n  endpoint: [http://a/, http://b/]\n",
       "f:5:3: error: endpoint takes one value, not a list or map\n"
       "    for example: endpoint: \"https://catfact.ninja/fact\"\n");
    is("name: n\ntype: test-connector\ntopic: t\nparameters:\n  count: -1\n",
       "f:5:10: error: count: '-1' is not a whole number from 0 to "
       "9223372036854775807\n    for example: count: 100\n");
}

static void names_are_held_against_the_table(void **state)
{
    (void)state;
    is(HEAD "parameters:\n" URL "  intervall: 10\n",
       "f:6:3: error: \"intervall\" is not a setting of http; did you mean "
       "\"interval\"?\n    for example: interval: 10s\n");
    is(HEAD "parameters:\n" URL "  config: x\n",
       "f:6:3: error: \"config\" belongs on a command line, not in a file; "
       "remove it\n");
    is(HEAD "parameters:\n" URL "  output_format: body\n",
       "f:6:3: error: output-format was replaced; use output-parts\n"
       "    for example: output-parts: body\n");
    is(HEAD "parameters:\n" URL "  linger: 1s\nproducer:\n  linger: 2s\n",
       "f:8:11: error: producer-linger is the same setting as linger in line "
       "6; remove one of them\n");
    is(HEAD "parameters:\n  interval: 10\n",
       "f:4:1: error: the setting \"endpoint\" of http is missing\n"
       "    for example: endpoint: \"https://catfact.ninja/fact\"\n");
}

static void the_head_is_checked(void **state)
{
    (void)state;
    is("name: n\ntype: htp\ntopic: t\nparameters:\n" URL,
       "f:2:7: error: there is no connector \"htp\" (installed: http, "
       "test-connector); did you mean \"http\"?\n    for example: type: "
       "http\n");
    is(HEAD "version: 9.9.9\nparameters:\n" URL,
       "f:4:10: error: version 9.9.9 of http is not installed; installed: "
       "0.1.0\n    for example: version: latest\n");
    is(HEAD "direction: sink\nparameters:\n" URL,
       "f:4:12: error: the direction is sink, but \"http\" is a source\n"
       "    for example: direction: source\n");
    is("name: N_1\ntype: http\ntopic: t\nparameters:\n" URL,
       "f:1:7: error: \"N_1\" cannot be the name of a connector; use at most "
       "63 lower case letters, digits, '-' and '.', with a letter or digit at "
       "both ends\n    for example: name: cat-facts\n");
    is("type: http\ntopic: t\nparameters:\n" URL,
       "f:1:1: error: missing field `name`\n"
       "    for example: name: cat-facts\n");
    is(HEAD "paramters:\n" URL "parameters:\n" URL,
       "f:4:1: error: the key \"paramters\" is unknown; did you mean "
       "\"parameters\"?\n");
    is(HEAD "colour: red\nparameters:\n" URL,
       "f:4:1: warning: the key \"colour\" is unknown and ignored\n");
}

static void texts_that_old_tests_rely_on_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text;
    } cases[] = {
        {HEAD "parameters:\n" URL "producer:\n  linger: 1\n",
         "invalid value: string \"1\", expected a duration"},
        {HEAD "parameters:\n" URL "producer:\n  compression: zip\n",
         "unknown variant"},
        {HEAD "parameters:\n" URL "producer:\n  batch-size: aoeu\n",
         "couldn't parse \"aoeu\" into a known SI unit"},
        {"meta:\n  name: n\n  type: http\n  topic: t\nhttp:\n" URL,
         "missing field `version`"},
        {"meta:\n  name: n\n  type: http\n  version: latest\n  topic: t\n"
         "  secrets:\n    - name: 1x\nhttp:\n" URL,
         "Secret name `1x` cannot start with a number"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *shown = check(cases[i].file);
        if (strstr(shown, cases[i].text) == NULL) {
            fail_msg("%s\ninstead of: %s", shown, cases[i].text);
        }
    }
}

/* ---- Several, secrets ---------------------------------------------------- */

static void all_mistakes_are_told_at_once_in_order(void **state)
{
    (void)state;
    is("name: UPPER\ntype: http\ntopic: t\ntopic: u\ncreate_topic: yes\n"
       "direction: sideways\nparameters:\n  endpont: http://h/\n"
       "  interval: soon\nproducer:\n  linger: 1\n",
       "f:1:7: error: \"UPPER\" cannot be the name of a connector; use at most "
       "63 lower case letters, digits, '-' and '.', with a letter or digit at "
       "both ends\n    for example: name: cat-facts\n"
       "f:4:1: error: the key \"topic\" is there twice, first in line 3; "
       "remove one of them\n"
       "f:5:15: error: create-topic is \"yes\"; write true or false\n"
       "f:6:12: error: direction is \"sideways\"; write source or sink\n"
       "f:8:3: error: \"endpont\" is not a setting of http; did you mean "
       "\"endpoint\"?\n"
       "    for example: endpoint: \"https://catfact.ninja/fact\"\n"
       "f:9:13: error: interval: 'soon' is not a duration such as 10s, "
       "100ms, 1h 30m or 1d\n    for example: interval: 10s\n"
       "f:11:11: error: linger: invalid value: string \"1\", expected a "
       "duration such as \"100ms\"\n");
}

static void secrets_are_looked_up_and_never_shown(void **state)
{
    (void)state;
    is(HEAD "parameters:\n  endpoint: http://h/${{ secrets.TOKEN }}\n", "");
    is(HEAD "parameters:\n  endpoint: http://h/${{ secrets.NO }}\n",
       "f:5:13: error: value not found for secret name NO; set it with `fluvio "
       "secret set`\n");
    const char *shown =
        check(HEAD "parameters:\n" URL "  interval: ${{ secrets.TOKEN }}\n");
    assert_non_null(strstr(shown, "the secret in \"interval\""));
    assert_null(strstr(shown, "hunter2"));
}

static void what_is_no_yaml_is_one_mistake_with_a_place(void **state)
{
    (void)state;
    const char *shown = check("name: [\n");
    assert_non_null(strstr(shown, "error: this is not YAML"));
    assert_non_null(strstr(check(""), "is empty"));
    assert_non_null(strstr(check("- a\n"), "is a map of keys and values"));
}

static void a_sentence_of_the_program_finds_its_place(void **state)
{
    (void)state;
    static const char file[] = HEAD "parameters:\n  endpoint: ftp://h/\n";
    const struct flv_check_conf conf = {.find = find, .installed = installed};
    struct flv_checked c;
    struct flv_buf b;
    assert_int_equal(flv_check_text(&c, flv_slice_str(file), &conf, NULL),
                     FLV_OK);
    flv_check_add_program(&c, "/dev/fd/3", "error: endpoint: is odd\nmore");
    flv_check_add_program(&c, "/dev/fd/3", "error: /dev/fd/3:2:7: bad type");
    flv_check_add_program(&c, "/dev/fd/3", "the rest");
    flv_buf_init(&b, 4096);
    assert_int_equal(flv_report_text(&c.report, "f", &b), FLV_OK);
    assert_string_equal(flv_buf_str(&b),
                        "f: error: the rest\nf:2:7: error: bad type\n"
                        "f:5:13: error: endpoint: is odd\n");
    flv_buf_reset(&b);
    assert_int_equal(flv_report_json(&c.report, &b), FLV_OK);
    assert_non_null(strstr(flv_buf_str(&b),
                           "{\"line\":2,\"column\":7,\"severity\":\"error\","
                           "\"message\":\"bad type\",\"hint\":\"\"}"));
    flv_buf_deinit(&b);
    flv_checked_deinit(&c);
}

/* ---- Out of memory --------------------------------------------------------
 */

/* Whichever allocation fails: an error or a shorter report, never a crash, and
 * never a wrong "right". */
static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    static const char file[] = HEAD "topic: u\nparameters:\n  endpont: x\n"
                                    "  interval: soon\n  header: [a, b]\n";
    const struct flv_check_conf conf = {.find = find, .installed = installed};
    flv_rc rc = FLV_E_NOMEM;
    for (uint64_t n = 1; n < 2000; n++) {
        struct flv_checked c;
        struct flv_err err = {0};
        flv__mem_fail_at(n);
        rc = flv_check_text(&c, flv_slice_str(file), &conf, &err);
        bool fired = flv__mem_fail_at(0) >= n;
        assert_true(rc == FLV_OK || rc == FLV_E_NOMEM);
        assert_true(rc != FLV_OK || c.report.errors > 0);
        flv_checked_deinit(&c);
        if (!fired) {
            break;
        }
    }
    assert_int_equal(rc, FLV_OK);
}

static void a_descriptor_survives_every_failing_allocation(void **state)
{
    (void)state;
    static const char json[] =
        "{\"name\":\"x\",\"direction\":\"sink\",\"version\":\"1\","
        "\"features\":[\"check\"],\"options\":[{\"name\":\"a\",\"type\":"
        "\"choice\",\"choices\":[\"b\",\"c\"],\"aliases\":[\"d\"]}]}";
    flv_rc rc = FLV_E_NOMEM;
    for (uint64_t n = 1; n < 500; n++) {
        struct flv_descriptor d;
        flv__mem_fail_at(n);
        rc = flv_descriptor_parse(&d, flv_slice_str(json), NULL);
        bool fired = flv__mem_fail_at(0) >= n;
        assert_true(rc == FLV_OK || rc == FLV_E_NOMEM);
        flv_descriptor_deinit(&d);
        if (!fired) {
            break;
        }
    }
    assert_int_equal(rc, FLV_OK);
}

static void bad_descriptors_are_told(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", "no JSON object"},
        {"{}", "there is no name"},
        {"{\"name\":\"A\"}", "cannot be the name"},
        {"{\"name\":\"a\",\"direction\":\"up\"}", "source or sink"},
        {"{\"name\":\"a\",\"direction\":\"sink\"}", "there is no version"},
#define D "{\"name\":\"a\",\"direction\":\"sink\",\"version\":\"1\","
        {D "\"options\":{}}", "options is not a list"},
        {D "\"options\":[1]}", "an option is an object"},
        {D "\"options\":[{\"name\":\"a b\"}]}", "name of an option"},
        {D "\"options\":[{\"name\":\"a\",\"type\":\"blob\"}]}", "none of"},
        {D "\"options\":[{\"name\":\"a\",\"type\":\"choice\"}]}",
         "has no choices"},
        {D "\"options\":[{\"name\":\"a\",\"type\":\"integer\",\"min\":9,"
           "\"max\":1}]}",
         "range of option a is empty"},
        {D "\"options\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "there twice"},
        {D "\"options\":[{\"name\":\"a\",\"required\":1}]}",
         "not true or false"},
        {D "\"summary\":\"a\\u0007\"}", "control character"},
#undef D
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct flv_descriptor d;
        struct flv_err err = {0};
        flv_rc rc = flv_descriptor_parse(&d, flv_slice_str(cases[i][0]), &err);
        if (rc == FLV_OK || strstr(err.text, cases[i][1]) == NULL) {
            fail_msg("%s: \"%s\"", cases[i][0], err.text);
        }
        flv_descriptor_deinit(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_the_seed_are_right),
        cmocka_unit_test(all_dialects_are_one_model),
        cmocka_unit_test(values_are_held_against_their_type),
        cmocka_unit_test(names_are_held_against_the_table),
        cmocka_unit_test(the_head_is_checked),
        cmocka_unit_test(texts_that_old_tests_rely_on_are_kept),
        cmocka_unit_test(all_mistakes_are_told_at_once_in_order),
        cmocka_unit_test(secrets_are_looked_up_and_never_shown),
        cmocka_unit_test(what_is_no_yaml_is_one_mistake_with_a_place),
        cmocka_unit_test(a_sentence_of_the_program_finds_its_place),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(a_descriptor_survives_every_failing_allocation),
        cmocka_unit_test(bad_descriptors_are_told),
    };
    return cmocka_run_group_tests(tests, load_types, unload_types);
}
