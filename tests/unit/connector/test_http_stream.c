#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cm.h"
#include "fake_out.h"
#include "http.h"
#include "spawn.h"
#include "tmpdir.h"

#define SERVER FLV_SOURCE_DIR "/tests/e2e/stream_end.py"

static struct flv_loop *loop;
static struct fake_out out;
static struct tmpdir tmp;
static struct spawn server;
static char seen[512]; /* the server's log */

/* A configuration made by the option table, as from a command line. */
struct setup {
    struct flv_opts opts;
    struct http_conf conf;
};

static void set(struct setup *s, const char *name, const char *value)
{
    struct flv_err err = {0};
    if (flv_opts_set(&s->opts, name, value, FLV_SOURCE_USER, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
}

/* What the source said of its far side. */
static struct {
    int troubles, wells;
    char first[FLV_ERR_TEXT_MAX];
    uint64_t retry_in_ms;
    bool is_well;
} told;

static void on_told(void *arg, const struct flv_err *err, uint64_t retry_in_ms)
{
    (void)arg;
    told.is_well = err == NULL;
    told.wells += err == NULL;
    told.troubles += err != NULL;
    if (err != NULL && told.troubles == 1) {
        told.retry_in_ms = retry_in_ms;
        (void)snprintf(told.first, sizeof(told.first), "%s", err->text);
    }
}

static void start(struct setup *s, const char *path)
{
    char url[256];
    struct flv_err err = {0};
    *s = (struct setup){0};
    flv_opts_init(&s->opts, http_connector.opts, &s->conf);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%.*s%s",
                   (int)strcspn(server.text[OUT], "\n"), server.text[OUT],
                   path);
    set(s, "endpoint", url);
    set(s, "proxy", "");
    set(s, "stream", "events");
    set(s, "reconnect-min", "10ms");
    set(s, "reconnect-max", "20ms");
    fake_out_init(&out, loop);
    struct flv_pipeline_conf conf = fake_out_conf(&out);
    conf.type = &http_connector;
    conf.conf = &s->conf;
    conf.told = on_told;
    memset(&told, 0, sizeof(told));
    if (flv_opts_finish(&s->opts, &err) != FLV_OK ||
        http_connector.check(&s->conf, &err) != FLV_OK ||
        flv__pipeline_open(&out.src, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
}

static void finish(struct setup *s)
{
    flv__pipeline_stop(out.src);
    fake_out_run(&out);
    flv__pipeline_destroy(out.src);
    fake_out_deinit(&out);
    flv_opts_deinit(&s->opts);
    flv_loop_run(loop);
}

/* Lines of the server's log with this text in them. */
static int requests(const char *text)
{
    char line[512];
    int n = 0;
    FILE *file = fopen(seen, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        n += strstr(line, text) != NULL;
    }
    (void)fclose(file);
    return n;
}

static void nap(struct flv_timer *timer)
{
    (void)timer;
}

/* Turns the loop for so long: for what must not happen. */
static void turn_for(uint64_t ms)
{
    struct flv_timer timer;
    flv_timer_init(&timer, loop, nap);
    assert_int_equal(flv_timer_start(&timer, ms, 0, NULL), FLV_OK);
    while (flv_timer_active(&timer)) {
        (void)flv_loop_turn(loop, true);
    }
}

static void only_the_id_of_a_settled_event_is_asked_for(void **state)
{
    (void)state;
    struct setup s;
    start(&s, "/events?count=3&end=abort&test=1");
    fake_out_wait(&out, 3);
    turn_for(200);
    assert_int_equal(requests("test=1"), 1);
    assert_string_equal(out.records[2], "event 3");
    for (size_t i = 0; i < out.append_count; i++) {
        assert_int_equal(requests("test=1"), 1);
        fake_out_settle(&out, i, NULL);
    }
    out.settled = out.append_count;
    out.acknowledge = true;
    fake_out_wait(&out, 6);
    assert_string_equal(out.records[3], "event 4");
    assert_int_equal(requests("test=1 3\n"), 1);
    finish(&s);
}

static void a_stream_that_is_lost_is_trouble_until_it_is_back(void **state)
{
    (void)state;
    struct setup s;
    start(&s, "/events?count=1&end=clean&test=2");
    out.acknowledge = true;
    fake_out_wait(&out, 4);
    for (size_t i = 0; i < out.record_count; i++) {
        char expected[32];
        (void)snprintf(expected, sizeof(expected), "event %zu", i + 1);
        assert_string_equal(out.records[i], expected);
    }
    assert_true(flv__pipeline_counter(out.src, HTTP_COUNT_STREAMS) >= 4);
    assert_true(told.troubles >= 3 && told.wells >= 4);
    assert_non_null(strstr(told.first, "/events: the stream ended"));
    assert_in_range(told.retry_in_ms, 5, 20);
    while (!told.is_well) {
        (void)flv_loop_turn(loop, true);
    }
    assert_int_equal(
        flv__pipeline_counter(out.src, HTTP_COUNT_TRANSPORT_ERRORS), 0);
    finish(&s);
}

static void a_full_topic_stops_the_stream_and_loses_nothing(void **state)
{
    (void)state;
    struct setup s;
    start(&s, "/events?count=2000&end=stall&test=3");
    out.full = true;
    turn_for(200);
    assert_int_equal(out.record_count, 0);
    out.full = false;
    out.acknowledge = true;
    flv__pipeline_writable(out.src);
    fake_out_wait(&out, 2000);
    assert_string_equal(out.records[0], "event 1");
    assert_string_equal(out.records[1999], "event 2000");
    assert_int_equal(requests("test=3"), 1);
    finish(&s);
}

static void stopping_while_a_stream_is_paused_ends_it(void **state)
{
    (void)state;
    struct setup s;
    start(&s, "/events?count=100000&end=stall&test=4");
    out.full = true;
    turn_for(100);
    out.full = false;
    out.acknowledge = true;
    flv__pipeline_writable(out.src);
    finish(&s);
}

static int group_setup(void **state)
{
    (void)state;
    tmpdir_make(&tmp, "stream");
    (void)snprintf(seen, sizeof(seen), "%s/seen", tmp.path);
    spawn_start(&server, (const char *const[]){"/usr/bin/env", "python3",
                                               SERVER, "0", seen, NULL});
    spawn_expect(&server, OUT, "\n", 1);
    return flv_log_setup("off", NULL) == FLV_OK &&
                   flv_loop_create(&loop, 0, NULL) == FLV_OK
               ? 0
               : -1;
}

static int group_teardown(void **state)
{
    (void)state;
    spawn_end(&server);
    tmpdir_remove(&tmp);
    flv_loop_destroy(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_id_of_a_settled_event_is_asked_for),
        cmocka_unit_test(a_stream_that_is_lost_is_trouble_until_it_is_back),
        cmocka_unit_test(a_full_topic_stops_the_stream_and_loses_nothing),
        cmocka_unit_test(stopping_while_a_stream_is_paused_ends_it),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
