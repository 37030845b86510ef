
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cm.h"
#include "nginx.h"
#include "spawn.h"
#include "tmpdir.h"
#include "util.h" /* of the SmartModules: assembles */

#define FLUVIO BIN_DIR "/fluvio"
#define HTTP BIN_DIR "/fluvio-connect-http"
#define TEST BIN_DIR "/fluvio-connect-test-connector"

/* Real programs, the real engine, and tests/unit/smartmodule/modules/digit.wat:
 * it keeps values that end with an even digit, filters 1, 3 and 5, loops for
 * ever on 7 and refuses 9 in words. */

static struct tmpdir tmp;
static char cluster[32], digit[96];
static struct spawn server;
static struct nginx nginx;

static void server_start(void)
{
    char data[96], sc[8], spu[8];
    unsigned port = tcp_free_port();
    (void)snprintf(data, sizeof(data), "%s/data", tmp.path);
    (void)snprintf(sc, sizeof(sc), "%u", port);
    (void)snprintf(spu, sizeof(spu), "%u", tcp_free_port());
    (void)snprintf(cluster, sizeof(cluster), "127.0.0.1:%u", port);
    spawn_start(&server, (const char *const[]){BIN_DIR "/fluvio-server",
                                               "--data-dir", data, "--sc-port",
                                               sc, "--spu-port", spu, NULL});
    spawn_expect(&server, OUT, "\n", 1); /* the line that says it is ready */
}

/* Runs `fluvio ARGS` and returns its standard output (owned). */
static char *fluvio(const char *args)
{
    char line[512];
    char *text = calloc(1, SPAWN_TEXT_MAX);
    assert_non_null(text);
    (void)snprintf(line, sizeof(line), FLUVIO " --cluster %s %s", cluster,
                   args);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t len = fread(text, 1, SPAWN_TEXT_MAX - 1, pipe);
    text[len] = '\0';
    assert_int_equal(pclose(pipe), 0);
    return text;
}

static void topic_create(const char *name)
{
    char args[64];
    (void)snprintf(args, sizeof(args), "topic create %s", name);
    free(fluvio(args));
}

static char *consume(const char *topic)
{
    char args[64];
    (void)snprintf(args, sizeof(args), "consume %s -B -d", topic);
    return fluvio(args);
}

/* The topic holds the records 1 to n that the module keeps, and no others. */
static void holds_even(const char *topic, unsigned n)
{
    char *got = consume(topic), *at = got;
    for (unsigned i = 2; i <= n; i += 2) {
        char line[64];
        int len = snprintf(line, sizeof(line), "Hello, Fluvio! - %u\n", i);
        if (strncmp(at, line, (size_t)len) != 0) {
            fail_msg("record %u is \"%.40s\"", i, at);
        }
        at += len;
    }
    assert_string_equal(at, "");
    free(got);
}

#define START(s, ...)                                                          \
    spawn_start(                                                               \
        (s), (const char *const[]){__VA_ARGS__, "--cluster", cluster, NULL})
/* Thirty records through the module, with a budget that a loop soon ends. */
#define THIRTY(s, topic, ...)                                                  \
    START(s, TEST, "--topic", topic, "--count=30", "--timeout=0", "--filter",  \
          digit, "--smartmodule-fuel=1000000", __VA_ARGS__)

static void says(const struct spawn *s, const char *text)
{
    if (strstr(s->text[ERR], text) == NULL) {
        fail_msg("\"%s\" is not in: %s", text, s->text[ERR]);
    }
}

static unsigned count_of(const char *text, const char *needle)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, needle)) != NULL; p++) {
        n++;
    }
    return n;
}

static void stop(struct spawn *s)
{
    assert_int_equal(kill(s->pid, SIGTERM), 0);
    int code = spawn_wait(s, 20000);
    if (code != 0) {
        fail_msg("exit %d: %s", code, s->text[ERR]);
    }
}

/* ---------------------------------------------------------------------------
 */

/* nginx answers the number of the request on its connection. */
static void filters_what_a_web_server_answers(const char *topic,
                                              const char *module)
{
    struct spawn s;
    char endpoint[96], option[128];
    topic_create(topic);
    (void)snprintf(endpoint, sizeof(endpoint),
                   "--endpoint=http://127.0.0.1:%u/number", nginx.port);
    (void)snprintf(option, sizeof(option), "--smartstream-filter=%s", module);
    START(&s, HTTP, endpoint, "--fluvio-topic", topic, "--interval=20ms",
          "--smartmodule-fuel=1000000", "--on-error=discard", option);
    char *got = NULL;
    for (int i = 0; i < 400 && (got == NULL || strstr(got, "12\n") == NULL);
         i++) {
        free(got);
        got = consume(topic);
    }
    stop(&s);
    assert_int_equal(strncmp(got, "2\n4\n6\n8\n10\n12\n", 14), 0);
    free(got);
    says(&s, "msg=ready stage=1 kind=filter");
    spawn_end(&s);
}

static void a_filter_by_path_filters_http_input(void **state)
{
    (void)state;
    filters_what_a_web_server_answers("by-path", digit);
}

static void a_filter_by_name_filters_http_input(void **state)
{
    (void)state;
    char args[160];
    (void)snprintf(args, sizeof(args),
                   "smartmodule create digits --wasm-file %s", digit);
    free(fluvio(args));
    filters_what_a_web_server_answers("by-name", "digits");
}

static void what_is_nowhere_is_told_with_both_places(void **state)
{
    (void)state;
    struct spawn s;
    topic_create("nowhere");
    START(&s, TEST, "--topic=nowhere", "--filter=no-such-module");
    assert_int_equal(spawn_wait(&s, 20000), 1);
    says(&s, "error: --filter: \"no-such-module\" is neither a file in /");
    says(&s, " nor a SmartModule on the cluster 127.0.0.1:");
    spawn_end(&s);
    START(&s, TEST, "--topic=nowhere", "--map=digits");
    assert_int_equal(spawn_wait(&s, 20000), 1);
    says(&s, "error: --map: \"digits\" is a SmartModule of the kind filter, "
             "not map; use --filter");
    spawn_end(&s);
}

/* The module keeps as many records as it was shown. */
static void looks_back(const char *lookback, unsigned shown, unsigned *total)
{
    struct spawn s;
    char option[192], said[64];
    (void)snprintf(option, sizeof(option),
                   "--transform={\"uses\":\"%s/past.wasm\",\"lookback\":%s}",
                   tmp.path, lookback);
    START(&s, TEST, "--topic=past", "--count=20", "--timeout=0", option);
    assert_int_equal(spawn_wait(&s, 30000), 0);
    (void)snprintf(said, sizeof(said), "msg=\"looks back\" stage=1 records=%u",
                   shown);
    says(&s, said);
    spawn_end(&s);
    char *got = consume("past");
    *total += shown;
    assert_int_equal(count_of(got, "Hello"), *total);
    free(got);
}

static void modules_look_back_at_the_topic(void **state)
{
    (void)state;
    struct spawn s;
    unsigned total = 4;
    free(fluvio("topic create past -p 2"));
    START(&s, TEST, "--topic=past", "--count=4", "--timeout=0");
    assert_int_equal(spawn_wait(&s, 20000), 0);
    spawn_end(&s);
    looks_back("{\"last\":3}", 3, &total);
    looks_back("{\"last\":50}", 7, &total);
    looks_back("{\"age\":\"1h\"}", 14, &total);
    looks_back("{\"last\":2,\"age\":\"1ms\"}", 0, &total);
}

static void halt_is_the_default(void **state)
{
    (void)state;
    struct spawn s;
    topic_create("halt");
    THIRTY(&s, "halt", "--rust-log=info");
    assert_int_equal(spawn_wait(&s, 30000), 1);
    says(&s, "error: record 7 failed in stage 1 (fuel): filter");
    says(&s, "in=7 passed=3 filtered=3 failed=1 out=3 acked=3");
    spawn_end(&s);
    holds_even("halt", 6);
}

static void retry_gives_up_with_halt(void **state)
{
    (void)state;
    struct spawn s;
    topic_create("retry");
    THIRTY(&s, "retry", "--on-error=retry:2");
    assert_int_equal(spawn_wait(&s, 30000), 1);
    says(&s, "error: record 7 failed in stage 1 (fuel, retried)");
    says(&s, "policy=retry");
    spawn_end(&s);
    holds_even("retry", 6);
}

static void discard_loses_only_what_fails(void **state)
{
    (void)state;
    struct spawn s;
    topic_create("discard");
    THIRTY(&s, "discard", "--on-error=discard");
    assert_int_equal(spawn_wait(&s, 30000), 0);
    says(&s, "in=30 passed=15 filtered=9 failed=6 out=15 acked=15 discarded=6 "
             "dead_lettered=0");
    spawn_end(&s);
    holds_even("discard", 30);
}

static void dead_letters_hold_the_original_bytes(void **state)
{
    (void)state;
    struct spawn s;
    topic_create("letters");
    for (int round = 0; round < 2; round++) { /* made, then there */
        THIRTY(&s, "letters", "--on-error=dead-letter:letters-dead");
        assert_int_equal(spawn_wait(&s, 30000), 0);
        assert_int_equal(
            count_of(s.text[ERR], "dead letters successfully created"),
            round == 0);
        says(&s, "in=30 passed=15 filtered=9 failed=6 out=15 acked=15 "
                 "discarded=0 dead_lettered=6");
        spawn_end(&s);
    }
    char *got = consume("letters-dead");
    assert_int_equal(count_of(got, "{\"version\":1,"), 12);
    assert_int_equal(count_of(got, "\"cause\":\"fuel\""), 6);
    assert_int_equal(count_of(got, "\"hint\":\"Hello, Fluvio! - 9\""), 2);
    /* "Hello, Fluvio! - 7" */
    assert_int_equal(count_of(got, "\"source\":{\"number\":7},\"record\":{"
                                   "\"value\":\"SGVsbG8sIEZsdXZpbyEgLSA3\"}}"),
                     2);
    free(got);
}

/* Both dialects of files, a chain of two, each step with its policy. */
static void a_file_holds_the_chain(void **state)
{
    (void)state;
    struct spawn s;
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/c.yml", tmp.path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "apiVersion: 0.1.0\nmeta:\n  name: chained\n"
                  "  type: test-connector-source\n  version: 0.1.0\n"
                  "  topic: chain\n"
                  "custom: {count: 30, timeout: 0}\n"
                  "on-error: {dead-letter: chain-dead}\n"
                  "transforms:\n"
                  "  - {uses: %s, budget: {fuel: 1000000}, with: {a: [1]}}\n"
                  "  - {uses: %s, on-error: halt}\n",
                  digit, digit);
    assert_int_equal(fclose(file), 0);
    START(&s, TEST, "--config", path);
    assert_int_equal(spawn_wait(&s, 30000), 0);
    says(&s, "in=30 passed=15 filtered=9 failed=6 out=15 acked=15 "
             "discarded=0 dead_lettered=6");
    spawn_end(&s);
    holds_even("chain", 30);
    char *got = consume("chain-dead");
    assert_int_equal(count_of(got, "\"name\":\"chained\""), 6);
    free(got);
}

/* A loop on every tenth record, real budgets, and a signal in the middle. */
static void a_stop_is_not_held_up_by_a_hostile_module(void **state)
{
    (void)state;
    struct spawn s;
    topic_create("stopped");
    START(&s, TEST, "--topic=stopped", "--timeout=1", "--filter", digit,
          "--on-error=discard", "--smartmodule-cpu-ms=20");
    spawn_expect(&s, ERR, "policy=discard", 1);
    spawn_expect(&s, OUT, "Sending", 100);
    stop(&s);
    spawn_end(&s);
}

/* The thread that compiles and runs modules is there. */
static bool has_smart_thread(pid_t pid)
{
    char path[64], name[32];
    bool found = false;
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    struct dirent *task;
    while (dir != NULL && !found && (task = readdir(dir)) != NULL) {
        char comm[400];
        (void)snprintf(comm, sizeof(comm), "%s/%s/comm", path, task->d_name);
        FILE *f = fopen(comm, "r");
        found = f != NULL && fgets(name, sizeof(name), f) != NULL &&
                strcmp(name, "smartmodule\n") == 0;
        if (f != NULL) {
            (void)fclose(f);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return found;
}

/* A module at `path` that ends by itself only after minutes. */
static void write_slow(const char *path, bool to_compile)
{
    struct flv_buf b;
    flv_buf_init(&b, 64U << 20);
    assert_int_equal(
        flv_buf_add_str(&b, "(func (export \"filter\") (param i32 i32 i32)"
                            " (result i32) (i32.const 0))"),
        FLV_OK);
    for (unsigned i = 0; to_compile && i < 60000; i++) {
        assert_int_equal(
            flv_buf_add_str(&b, "(func (param $a i32) (result i32)"
                                " (loop $l (br_if $l (local.tee $a (i32.mul"
                                " (local.get $a) (local.get $a)))))"
                                " (i32.div_u (local.get $a) (i32.add"
                                " (local.get $a) (i32.const 3))))"),
            FLV_OK);
    }
    if (!to_compile) {
        assert_int_equal(
            flv_buf_add_str(&b, "(func $s (loop $l (br $l))) (start $s)"),
            FLV_OK);
    }
    struct flv_slice wasm = assemble_body(true, flv_buf_str(&b));
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(wasm.data, 1, wasm.len, f), wasm.len);
    assert_int_equal(fclose(f), 0);
    free_slice(wasm);
    flv_buf_deinit(&b);
}

static void a_stop_waits_neither_for_compiling_nor_for_starting(void **state)
{
    (void)state;
    char path[96];
    topic_create("never");
    for (int to_compile = 0; to_compile < 2; to_compile++) {
        struct spawn s;
        (void)snprintf(path, sizeof(path), "%s/slow.wasm", tmp.path);
        write_slow(path, to_compile);
        START(&s, TEST, "--topic=never", "--filter", path,
              "--smartmodule-fuel=1000000000000",
              "--smartmodule-cpu-ms=600000");
        while (!has_smart_thread(s.pid)) {
            assert_int_equal(kill(s.pid, 0), 0);
        }
        uint64_t start_ms = flv_clock_mono_ms();
        stop(&s);
        /* A second or two; a machine that others use adds what it likes. */
        assert_true(flv_clock_mono_ms() - start_ms < 10000);
        spawn_end(&s);
    }
}

/* Killed without a word while batches are in the chain: what is in the topic
 * are beginnings of what it would have written, one for each life. */
static void a_killed_connector_invents_and_reorders_nothing(void **state)
{
    (void)state;
    enum { LIVES = 5 };
    topic_create("killed");
    for (unsigned life = 1; life <= LIVES; life++) {
        struct spawn s;
        START(&s, TEST, "--topic=killed", "--timeout=0", "--filter", digit,
              "--on-error=discard", "--smartmodule-fuel=10000");
        spawn_expect(&s, OUT, "Sending", 300 * life + life);
        assert_int_equal(kill(s.pid, SIGKILL), 0);
        spawn_end(&s);
    }
    char *got = consume("killed"), *at = got;
    unsigned next = 2, lives = 0, n;
    int len;
    while (sscanf(at, "Hello, Fluvio! - %u\n%n", &n, &len) == 1) {
        if (n == 2) {
            lives++;
            next = 2;
        }
        assert_int_equal(n, next);
        next += 2;
        at += len;
    }
    assert_string_equal(at, "");
    assert_in_range(lives, 1, LIVES);
    free(got);
}

/* modules/NAME.wat becomes NAME.wasm in the folder. */
static void write_module(const char *name, char path[96])
{
    struct flv_slice wasm = assemble(name);
    (void)snprintf(path, 96, "%s/%s.wasm", tmp.path, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(wasm.data, 1, wasm.len, f), wasm.len);
    assert_int_equal(fclose(f), 0);
    flv_free((void *)(uintptr_t)wasm.data);
}

static int setup(void **state)
{
    (void)state;
    char path[96];
    tmpdir_make(&tmp, "smartmodules");
    if (!nginx_start(&nginx, "location /number { return 200 "
                             "$connection_requests; }\n")) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/profile", tmp.path);
    (void)setenv("FLV_PROFILE_PATH", path, 1);
    (void)setenv("XDG_CACHE_HOME", tmp.path, 1);
    (void)unsetenv("RUST_LOG");
    write_module("digit", digit);
    write_module("past", path);
    server_start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spawn_end(&server);
    nginx_stop(&nginx);
    tmpdir_remove(&tmp);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_by_path_filters_http_input),
        cmocka_unit_test(a_filter_by_name_filters_http_input),
        cmocka_unit_test(what_is_nowhere_is_told_with_both_places),
        cmocka_unit_test(modules_look_back_at_the_topic),
        cmocka_unit_test(halt_is_the_default),
        cmocka_unit_test(retry_gives_up_with_halt),
        cmocka_unit_test(discard_loses_only_what_fails),
        cmocka_unit_test(dead_letters_hold_the_original_bytes),
        cmocka_unit_test(a_file_holds_the_chain),
        cmocka_unit_test(a_stop_is_not_held_up_by_a_hostile_module),
        cmocka_unit_test(a_stop_waits_neither_for_compiling_nor_for_starting),
        cmocka_unit_test(a_killed_connector_invents_and_reorders_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
