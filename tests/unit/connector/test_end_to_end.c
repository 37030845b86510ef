
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cm.h"
#include "nginx.h"
#include "spawn.h"
#include "tmpdir.h"

#define FLUVIO BIN_DIR "/fluvio"
#define HTTP BIN_DIR "/fluvio-connect-http"
#define TEST BIN_DIR "/fluvio-connect-test-connector"

static struct tmpdir tmp;
static char data[96], sc_port[8], spu_port[8], cluster[32];
static struct spawn server;
static struct nginx nginx;

static void server_start(void)
{
    spawn_start(&server,
                (const char *const[]){BIN_DIR "/fluvio-server", "--data-dir",
                                      data, "--sc-port", sc_port, "--spu-port",
                                      spu_port, NULL});
    spawn_expect(&server, OUT, "\n", 1); /* the line that says it is ready */
}

static void server_stop(int signum)
{
    assert_int_equal(kill(server.pid, signum), 0);
    (void)spawn_wait(&server, 20000);
    spawn_end(&server);
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

/* The topic holds "Hello, Fluvio! - 1" to - n, in order, nothing else. */
static void holds_hellos(const char *topic, unsigned n)
{
    char *got = consume(topic), *at = got;
    for (unsigned i = 1; i <= n; i++) {
        char line[64];
        int len = snprintf(line, sizeof(line), "Hello, Fluvio! - %u", i);
        if (strncmp(at, line, (size_t)len) != 0) {
            fail_msg("record %u of %u is \"%.40s\"", i, n, at);
        }
        at += len;
        at += strspn(at, "\n");
    }
    assert_string_equal(at, "");
    free(got);
}

#define START(s, ...)                                                          \
    spawn_start(                                                               \
        (s), (const char *const[]){__VA_ARGS__, "--cluster", cluster, NULL})

static void stop(struct spawn *s)
{
    assert_int_equal(kill(s->pid, SIGTERM), 0);
    int code = spawn_wait(s, 20000);
    if (code != 0) {
        fail_msg("exit %d: %s", code, s->text[ERR]);
    }
}

static void exactly_as_many_as_counted_are_made(void **state)
{
    (void)state;
    struct spawn s;
    topic_create("counted");
    START(&s, TEST, "--topic", "counted", "--count", "5", "--timeout", "1");
    assert_int_equal(spawn_wait(&s, 20000), 0);
    assert_string_equal(s.text[OUT], "Sending Hello, Fluvio! - 1\n"
                                     "Sending Hello, Fluvio! - 2\n"
                                     "Sending Hello, Fluvio! - 3\n"
                                     "Sending Hello, Fluvio! - 4\n"
                                     "Sending Hello, Fluvio! - 5\n");
    assert_non_null(
        strstr(s.text[ERR], "in=5 passed=5 filtered=0 failed=0 out=5 acked=5"));
    spawn_end(&s);
    holds_hellos("counted", 5);
    START(&s, TEST, "--fluvio-topic", "counted", "--count", "0");
    assert_int_equal(spawn_wait(&s, 20000), 0);
    spawn_end(&s);
    holds_hellos("counted", 5);
}

static void many_records_arrive_in_order(void **state)
{
    (void)state;
    struct spawn s;
    topic_create("many");
    START(&s, TEST, "--fluvio-topic=many", "--count=20000", "--timeout=0",
          "--compression=zstd", "--linger=5ms", "--batch-size=4 KB");
    assert_int_equal(spawn_wait(&s, 60000), 0);
    assert_non_null(strstr(s.text[ERR], "out=20000 acked=20000"));
    spawn_end(&s);
    holds_hellos("many", 20000);
}

static void missing_topics_are_told_or_created(void **state)
{
    (void)state;
    struct spawn s;
    START(&s, TEST, "--fluvio-topic", "absent");
    assert_int_equal(spawn_wait(&s, 20000), 1);
    assert_string_equal(s.text[ERR],
                        "error: the topic \"absent\" does not exist; create "
                        "it with `fluvio topic create absent`\n");
    spawn_end(&s);

    char path[96];
    (void)snprintf(path, sizeof(path), "%s/c.yml", tmp.path);
    for (int round = 0; round < 2; round++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        (void)fputs("version: latest\nname: n\ntype: test-connector\n"
                    "topic: made\ncreate_topic: true\ndirection: source\n"
                    "parameters:\n  topic: made\n  timeout: 1\n  count: 9\n",
                    file);
        assert_int_equal(fclose(file), 0);
        /* The command line overrides the file. */
        START(&s, TEST, "--config", path, "--count", "2");
        assert_int_equal(spawn_wait(&s, 20000), 0);
        assert_int_equal(strstr(s.text[ERR], "topic successfully created") !=
                             NULL,
                         round == 0);
        spawn_end(&s);
    }
    char *got = consume("made");
    assert_string_equal(got, "Hello, Fluvio! - 1\nHello, Fluvio! - 2\n"
                             "Hello, Fluvio! - 1\nHello, Fluvio! - 2\n");
    free(got);
}

static void answers_of_a_web_server_become_records(void **state)
{
    (void)state;
    struct spawn s;
    char endpoint[96], got_line[] = "{\"fact\":\"x\",\"length\":1}\n";
    topic_create("cat-facts");
    (void)snprintf(endpoint, sizeof(endpoint),
                   "--endpoint=http://127.0.0.1:%u/fact", nginx.port);
    START(&s, HTTP, endpoint, "--fluvio-topic=cat-facts", "--interval=50ms",
          "--rust-log=debug");
    char *got = NULL;
    unsigned lines = 0;
    for (int i = 0; i < 200 && lines < 3; i++) {
        free(got);
        got = consume("cat-facts");
        lines = 0;
        for (char *p = got; (p = strstr(p, got_line)) != NULL; p++) {
            lines++;
        }
    }
    free(got);
    assert_true(lines >= 3);
    stop(&s);
    assert_non_null(strstr(s.text[ERR], "http_errors=0 transport_errors=0"));
    spawn_end(&s);
}

/* The server is stopped, killed or hung while records are made. */
static void outlives(const char *topic, int signum)
{
    struct spawn s;
    topic_create(topic);
    START(&s, TEST, "--fluvio-topic", topic, "--timeout", "2");
    spawn_expect(&s, OUT, "Sending", 50);
    for (unsigned round = 1; round <= 3; round++) {
        server_stop(signum);
        spawn_expect(&s, OUT, "Sending", 50 + 100 * round);
        server_start();
        spawn_expect(&s, OUT, "Sending", 100 + 100 * round);
    }
    stop(&s);
    unsigned made = 0;
    for (char *p = s.text[OUT]; (p = strstr(p, "Sending")) != NULL; p++) {
        made++;
    }
    char summary[64];
    (void)snprintf(summary, sizeof(summary), "out=%u acked=%u", made, made);
    assert_non_null(strstr(s.text[ERR], summary));
    spawn_end(&s);
    holds_hellos(topic, made);
}

static void a_restart_of_the_server_loses_and_reorders_nothing(void **state)
{
    (void)state;
    outlives("restarted", SIGTERM);
}

static void a_killed_server_loses_and_reorders_nothing(void **state)
{
    (void)state;
    outlives("killed", SIGKILL);
}

static void a_stop_while_the_cluster_is_away_is_told(void **state)
{
    (void)state;
    struct spawn s;
    topic_create("away");
    START(&s, TEST, "--fluvio-topic", "away", "--timeout", "10");
    spawn_expect(&s, OUT, "Sending", 3);
    server_stop(SIGTERM);
    spawn_expect(&s, OUT, "Sending", 20);
    assert_int_equal(kill(s.pid, SIGTERM), 0);
    spawn_expect(&s, ERR, "Stop signal received", 1);
    assert_int_equal(spawn_wait(&s, 12000), 1);
    assert_non_null(strstr(s.text[ERR], "records were not acknowledged within "
                                        "8000 ms of the stop"));
    spawn_end(&s);
    server_start();
}

static void a_second_signal_ends_at_once(void **state)
{
    (void)state;
    struct spawn s;
    topic_create("twice");
    START(&s, TEST, "--fluvio-topic", "twice", "--timeout", "10");
    spawn_expect(&s, OUT, "Sending", 3);
    server_stop(SIGTERM);
    spawn_expect(&s, OUT, "Sending", 20);
    assert_int_equal(kill(s.pid, SIGINT), 0);
    spawn_expect(&s, ERR, "Stop signal received", 1);
    assert_int_equal(kill(s.pid, SIGINT), 0);
    assert_int_equal(spawn_wait(&s, 2000), 2);
    spawn_end(&s);
    server_start();
}

static int setup(void **state)
{
    (void)state;
    char profile[96];
    tmpdir_make(&tmp, "e2e");
    if (!nginx_start(&nginx, "location /fact { return 200 "
                             "'{\"fact\":\"x\",\"length\":1}'; }\n")) {
        return -1;
    }
    unsigned sc = tcp_free_port();
    (void)snprintf(data, sizeof(data), "%s/data", tmp.path);
    (void)snprintf(sc_port, sizeof(sc_port), "%u", sc);
    (void)snprintf(spu_port, sizeof(spu_port), "%u", tcp_free_port());
    (void)snprintf(cluster, sizeof(cluster), "127.0.0.1:%u", sc);
    (void)snprintf(profile, sizeof(profile), "%s/profile", tmp.path);
    (void)setenv("FLV_PROFILE_PATH", profile, 1);
    (void)unsetenv("RUST_LOG");
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
        cmocka_unit_test(exactly_as_many_as_counted_are_made),
        cmocka_unit_test(many_records_arrive_in_order),
        cmocka_unit_test(missing_topics_are_told_or_created),
        cmocka_unit_test(answers_of_a_web_server_become_records),
        cmocka_unit_test(a_restart_of_the_server_loses_and_reorders_nothing),
        cmocka_unit_test(a_killed_server_loses_and_reorders_nothing),
        cmocka_unit_test(a_stop_while_the_cluster_is_away_is_told),
        cmocka_unit_test(a_second_signal_ends_at_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
