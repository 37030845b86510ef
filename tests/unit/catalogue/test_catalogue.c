#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cm.h"
#include "base/clock.h"
#include "catalogue/ask.h"
#include "catalogue/catalogue.h"
#include "tmpdir.h"

static struct tmpdir tmp;
static struct flv_loop *loop;
static struct flv_catalogue *catalogue;

static void script(const char *name, const char *text)
{
    char path[256];
    tmpdir_write(tmp.path, name, text);
    (void)snprintf(path, sizeof(path), "%s/%s", tmp.path, name);
    assert_int_equal(chmod(path, 0755), 0);
}

static int set_up(void **state)
{
    (void)state;
    tmpdir_make(&tmp, "catalogue");
    return flv_loop_create(&loop, 0, NULL) == FLV_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    flv_catalogue_destroy(catalogue);
    catalogue = NULL;
    flv_loop_destroy(loop);
    tmpdir_remove(&tmp);
    return 0;
}

static void make(const char *folders, uint32_t timeout_ms)
{
    const struct flv_catalogue_conf conf = {.folders = folders,
                                            .timeout_ms = timeout_ms};
    assert_int_equal(flv_catalogue_create(&catalogue, &conf, NULL), FLV_OK);
}

static void on_done(void *arg)
{
    (*(unsigned *)arg)++;
}

static void refresh(bool all)
{
    unsigned calls = 0;
    struct flv_err err = {0};
    assert_int_equal(
        flv_catalogue_refresh(catalogue, loop, all, on_done, &calls, &err),
        FLV_OK);
    assert_int_equal(calls, 0);
    flv_loop_run(loop);
    assert_int_equal(calls, 1);
}

static const char *problem(const char *name)
{
    const struct flv_cat_entry *e = flv_catalogue_find(catalogue, name);
    assert_non_null(e);
    return e->problem;
}

static void has_problem(const char *name, const char *text)
{
    if (strstr(problem(name), text) == NULL) {
        fail_msg("%s: \"%s\" instead of \"%s\"", name, problem(name), text);
    }
}

#define DESCRIBE(name)                                                         \
    "#!/bin/sh\necho asked >>\"$0.asked\"\ncat <<'E'\n{\"name\":\"" name       \
    "\",\"direction\":\"source\",\"version\":\"1\"}\nE\n"

static unsigned asked(const char *name)
{
    char path[256], line[16];
    unsigned n = 0;
    (void)snprintf(path, sizeof(path), "%s/%s.asked", tmp.path, name);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        n++;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return n;
}

static void real_connectors_describe_themselves(void **state)
{
    (void)state;
    make(BIN_DIR, 60000);
    refresh(false);
    const struct flv_cat_entry *e = flv_catalogue_find(catalogue, "http");
    assert_non_null(e);
    assert_string_equal(e->problem, "");
    assert_string_equal(e->descriptor.version, FLV_VERSION);
    assert_true((e->descriptor.features & FLV_FEATURE_PROBE) != 0);
    assert_non_null(flv_opt_find(e->descriptor.opts, "endpoint"));
    e = flv_catalogue_find(catalogue, "test-connector");
    assert_non_null(e);
    assert_string_equal(e->problem, "");
    for (size_t i = 1; i < flv_catalogue_count(catalogue); i++) {
        assert_true(strcmp(flv_catalogue_at(catalogue, i - 1)->name,
                           flv_catalogue_at(catalogue, i)->name) < 0);
    }
}

static void what_is_of_no_use_is_listed_with_the_reason(void **state)
{
    (void)state;
    script("fluvio-connect-bad", "#!/bin/sh\necho oops >&2\nexit 7\n");
    script("fluvio-connect-hang", "#!/bin/sh\nsleep 1000\n");
    script("fluvio-connect-flood", "#!/bin/sh\nyes\n");
    script("fluvio-connect-text", "#!/bin/sh\necho hello\n");
    script("fluvio-connect-liar", DESCRIBE("other"));
    script("fluvio-connect-dies", "#!/bin/sh\nkill -SEGV $$\n");
    script("fluvio-connect-lost", "#!/nowhere/interpreter\n");
    script("fluvio-connect-good", DESCRIBE("good"));
    script("fluvio-connect-Odd_name", DESCRIBE("odd"));
    tmpdir_write(tmp.path, "fluvio-connect-plain", "not executable");
    make(tmp.path, 2000);
    uint64_t start = flv_clock_mono_ms();
    refresh(false);
    assert_true(flv_clock_mono_ms() - start < 15000);
    assert_int_equal(flv_catalogue_count(catalogue), 8);
    assert_string_equal(problem("good"), "");
    has_problem("bad", "ended with code 7: oops");
    has_problem("hang", "did not answer within 2s");
    has_problem("flood", "printed more than was asked for");
    has_problem("text", "it is no JSON object");
    has_problem("liar", "it calls itself \"other\"");
    has_problem("dies", "signal 11");
    has_problem("lost", "cannot run");
}

static void only_what_is_new_or_changed_is_asked_again(void **state)
{
    (void)state;
    script("fluvio-connect-a", DESCRIBE("a"));
    script("fluvio-connect-b", DESCRIBE("b"));
    make(tmp.path, 20000);
    refresh(false);
    refresh(false);
    assert_int_equal(asked("fluvio-connect-a"), 1);
    script("fluvio-connect-b", DESCRIBE("b") "# changed\n");
    script("fluvio-connect-c", DESCRIBE("c"));
    refresh(false);
    assert_int_equal(asked("fluvio-connect-a"), 1);
    assert_int_equal(asked("fluvio-connect-b"), 2);
    assert_int_equal(flv_catalogue_count(catalogue), 3);
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/fluvio-connect-a", tmp.path);
    assert_int_equal(unlink(path), 0);
    refresh(true);
    assert_int_equal(asked("fluvio-connect-b"), 3);
    assert_null(flv_catalogue_find(catalogue, "a"));
}

static void the_first_folder_wins(void **state)
{
    (void)state;
    char folders[300];
    script("fluvio-connect-http", "#!/bin/sh\nexit 1\n");
    (void)snprintf(folders, sizeof(folders), "relative::%s:%s:/nowhere",
                   BIN_DIR, tmp.path);
    make(folders, 60000);
    refresh(false);
    assert_string_equal(problem("http"), "");
}

/* ---- Asking a program about a file --------------------------------------- */

struct answer {
    unsigned calls;
    enum flv_ask_outcome outcome;
    char text[400];
};

static void on_answer(void *arg, enum flv_ask_outcome outcome, const char *text)
{
    struct answer *a = arg;
    a->calls++;
    a->outcome = outcome;
    (void)snprintf(a->text, sizeof(a->text), "%s", text);
}

static void
ask(struct answer *a, const char *file, const char *secrets, bool probe)
{
    struct flv_err err = {0};
    const struct flv_cat_entry *e = flv_catalogue_find(catalogue, "http");
    *a = (struct answer){.calls = 0};
    const struct flv_question question = {.file = flv_slice_str(file),
                                          .secrets = flv_slice_str(secrets),
                                          .probe = probe};
    if (flv_ask(loop, e, &question, on_answer, a, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    flv_loop_run(loop);
    assert_int_equal(a->calls, 1);
}

#define HEAD "name: n\ntype: http\ntopic: t\nparameters:\n"

static void a_program_judges_what_a_table_cannot(void **state)
{
    (void)state;
    struct answer a;
    make(BIN_DIR, 60000);
    refresh(false);
    ask(&a, HEAD "  endpoint: http://127.0.0.1:1/\n", "", false);
    assert_int_equal(a.outcome, FLV_ASK_FINE);
    ask(&a, HEAD "  endpoint: ftp://127.0.0.1/\n", "", false);
    assert_int_equal(a.outcome, FLV_ASK_WRONG);
    assert_non_null(strstr(a.text, "error: endpoint: "));
    ask(&a, HEAD "  endpont: http://127.0.0.1/\n", "", false);
    assert_int_equal(a.outcome, FLV_ASK_WRONG);
    assert_non_null(strstr(a.text, FLV_ASK_PATH ":5:3: "));
    ask(&a, HEAD "  endpoint: http://127.0.0.1:1/${{ secrets.S }}\n",
        "S=hunter2\n", true);
    assert_int_equal(a.outcome, FLV_ASK_FAR);
    assert_null(strstr(a.text, "secrets"));
}

static void one_that_cannot_be_asked_says_so(void **state)
{
    (void)state;
    struct flv_err err = {0};
    make(BIN_DIR, 60000);
    refresh(false);
    const struct flv_cat_entry *e =
        flv_catalogue_find(catalogue, "test-connector");
    const struct flv_question question = {.file = flv_slice_str("x"),
                                          .probe = true};
    assert_int_equal(flv_ask(loop, e, &question, on_answer, NULL, &err),
                     FLV_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "test-connector"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(real_connectors_describe_themselves),
        T(what_is_of_no_use_is_listed_with_the_reason),
        T(only_what_is_new_or_changed_is_asked_again),
        T(the_first_folder_wins),
        T(a_program_judges_what_a_table_cannot),
        T(one_that_cannot_be_asked_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
