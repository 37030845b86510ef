
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cm.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fake_out.h"
#include "http.h"
#include "nginx.h"

enum { POLLS, HTTP_ERRORS, TRANSPORT_ERRORS, OVERSIZED };

static struct flv_loop *loop;
static struct fake_out out;
static struct nginx nginx;

static const char locations[] =
    "location /fact { return 200 'fact'; }\n"
    "location /missing { return 404 'gone'; }\n"
    "location /echo { proxy_set_header X-Body $request_body; "
    "proxy_set_header X-Method $request_method; "
    "proxy_set_header X-Type \"$content_type\"; "
    "proxy_pass http://127.0.0.1:PORT/mirror; }\n"
    "location /mirror { return 200 '$http_x_method|$http_x_type|$http_x_body|"
    "$http_user_agent|$http_x_extra'; }\n";

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

static void setup_init(struct setup *s, const char *path)
{
    char url[256];
    *s = (struct setup){0};
    flv_opts_init(&s->opts, http_connector.opts, &s->conf);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", nginx.port, path);
    set(s, "endpoint", url);
    set(s, "proxy", "");
    set(s, "interval", "20ms");
}

static struct flv_source *start(struct setup *s)
{
    struct flv_err err = {0};
    fake_out_init(&out, loop);
    out.acknowledge = true;
    struct flv_pipeline_conf conf = fake_out_conf(&out);
    conf.type = &http_connector;
    conf.conf = &s->conf;
    if (flv_opts_finish(&s->opts, &err) != FLV_OK ||
        http_connector.check(&s->conf, &err) != FLV_OK ||
        flv__pipeline_open(&out.src, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return out.src;
}

static void finish(struct setup *s, struct flv_source *src)
{
    flv__pipeline_stop(src);
    fake_out_run(&out);
    flv__pipeline_destroy(src);
    fake_out_deinit(&out);
    flv_opts_deinit(&s->opts);
    flv_loop_run(loop);
}

static void wait_counter(struct flv_source *src, unsigned index, uint64_t n)
{
    while (!out.done && flv__pipeline_counter(src, index) < n) {
        (void)flv_loop_turn(loop, true);
    }
}

static void polls_at_once_whatever_the_interval(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s, "/fact");
    set(&s, "interval", "1h");
    struct flv_source *src = start(&s);
    fake_out_wait(&out, 1);
    assert_string_equal(out.records[0], "fact");
    finish(&s, src);
}

static void polls_again_at_the_interval(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s, "/fact");
    set(&s, "interval", "400ms");
    uint64_t before = flv_clock_mono_ms();
    struct flv_source *src = start(&s);
    fake_out_wait(&out, 4);
    assert_true(flv_clock_mono_ms() - before >= 1150);
    assert_string_equal(out.records[0], "fact");
    assert_string_equal(out.records[3], "fact");
    assert_int_equal(flv__pipeline_counter(src, HTTP_ERRORS), 0);
    finish(&s, src);
}

static void intervals_are_seconds_unless_said_otherwise(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s, "/fact");
    set(&s, "interval", "10");
    assert_int_equal(s.conf.interval_ms, 10000);
    flv_opts_deinit(&s.opts);
    s = (struct setup){0};
    flv_opts_init(&s.opts, http_connector.opts, &s.conf);
    set(&s, "endpoint", "http://h/");
    assert_int_equal(flv_opts_finish(&s.opts, NULL), FLV_OK);
    assert_int_equal(s.conf.interval_ms, 300000);
    assert_string_equal(s.conf.method, "GET");
    assert_int_equal(s.conf.on_error, HTTP_ERROR_SKIP);
    flv_opts_deinit(&s.opts);
}

static void expect_echo(struct setup *s, const char *expected)
{
    struct flv_source *src = start(s);
    fake_out_wait(&out, 1);
    assert_string_equal(out.records[0], expected);
    finish(s, src);
}

static void bodies_are_json_unless_a_header_says_otherwise(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s, "/echo");
    set(&s, "method", "POST");
    set(&s, "body", "{\"name\":\"x\"}");
    expect_echo(&s, "POST|application/json|{\"name\":\"x\"}|"
                    "fluvio/http-source 0.1.0|");
    setup_init(&s, "/echo");
    set(&s, "method", "PUT");
    set(&s, "body", "b");
    set(&s, "header", "content-type:text/x");
    set(&s, "headers", "X-Extra:a:b");
    set(&s, "user_agent", "me");
    expect_echo(&s, "PUT|text/x|b|me|a:b");
    setup_init(&s, "/echo");
    expect_echo(&s, "GET|||fluvio/http-source 0.1.0|");
}

static void full_answers_become_json(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s, "/fact");
    set(&s, "output_parts", "full");
    set(&s, "output-type", "json");
    struct flv_source *src = start(&s);
    fake_out_wait(&out, 1);
    static const char head[] =
        "{\"status\":{\"version\":\"HTTP/1.1\",\"code\":200,"
        "\"string\":\"OK\"},\"header\":{\"server\":";
    assert_memory_equal(out.records[0], head, sizeof(head) - 1);
    assert_non_null(strstr(out.records[0], ",\"body\":\"fact\"}"));
    finish(&s, src);
}

static void errors_are_skipped_and_counted_by_default(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s, "/missing");
    struct flv_source *src = start(&s);
    wait_counter(src, HTTP_ERRORS, 3);
    assert_int_equal(out.record_count, 0);
    assert_null(flv__pipeline_cause(src));
    finish(&s, src);
}

static void errors_are_produced_when_asked(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s, "/missing");
    set(&s, "on-http-error", "produce");
    struct flv_source *src = start(&s);
    fake_out_wait(&out, 1);
    assert_string_equal(out.records[0], "gone");
    assert_int_equal(flv__pipeline_counter(src, HTTP_ERRORS), 1);
    finish(&s, src);
}

static void errors_end_the_connector_when_asked(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s, "/missing?token=1");
    set(&s, "on-http-error", "fail");
    struct flv_source *src = start(&s);
    fake_out_run(&out);
    char text[128];
    (void)snprintf(text, sizeof(text),
                   "http://127.0.0.1:%u/missing answers 404 Not Found, and "
                   "on-http-error is fail",
                   nginx.port);
    assert_string_equal(flv__pipeline_cause(src)->text, text);
    finish(&s, src);
}

static void lost_polls_are_counted_and_polling_goes_on(void **state)
{
    (void)state;
    struct setup s;
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", tcp_free_port());
    setup_init(&s, "/");
    set(&s, "endpoint", url);
    struct flv_source *src = start(&s);
    wait_counter(src, TRANSPORT_ERRORS, 3);
    assert_int_equal(flv__pipeline_counter(src, POLLS), 3);
    assert_int_equal(out.record_count, 0);
    finish(&s, src);
}

static void hanging_answers_hit_the_time_limit_without_overlap(void **state)
{
    (void)state;
    struct setup s;
    unsigned port;
    char url[64];
    int fd = tcp_listen(&port);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    setup_init(&s, "/");
    set(&s, "endpoint", url);
    set(&s, "interval", "1ms");
    set(&s, "timeout", "100ms");
    uint64_t before = flv_clock_mono_ms();
    struct flv_source *src = start(&s);
    wait_counter(src, TRANSPORT_ERRORS, 2);
    assert_true(flv_clock_mono_ms() - before >= 200);
    assert_in_range(flv__pipeline_counter(src, POLLS), 2, 3);
    finish(&s, src);
    (void)close(fd);
}

static void answers_above_the_ceiling_are_skipped(void **state)
{
    (void)state;
    struct setup s;
    assert_true(nginx_file(&nginx, "big", "", 1001));
    setup_init(&s, "/big");
    set(&s, "max-response-bytes", "1000");
    struct flv_source *src = start(&s);
    wait_counter(src, TRANSPORT_ERRORS, 2);
    assert_int_equal(out.record_count, 0);
    assert_null(flv__pipeline_cause(src));
    finish(&s, src);
}

static void a_full_stream_stops_the_polling(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s, "/fact");
    set(&s, "interval", "1ms");
    struct flv_source *src = start(&s);
    out.full = true;
    wait_counter(src, POLLS, 2);
    uint64_t until = flv_clock_mono_ms() + 60;
    while (flv_clock_mono_ms() < until) {
        (void)flv_loop_turn(loop, false);
    }
    /* One answer waits in the pipeline, one at the source. */
    assert_int_equal(flv__pipeline_counter(src, POLLS), 2);
    out.full = false;
    flv__pipeline_writable(src);
    fake_out_wait(&out, 3);
    finish(&s, src);
}

static void https_needs_a_trusted_ca(void **state)
{
    (void)state;
    struct setup s;
    char url[64], ca[128];
    (void)snprintf(url, sizeof(url), "https://localhost:%u/fact",
                   nginx.tls_port);
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", nginx.tmp.path);
    setup_init(&s, "/");
    set(&s, "endpoint", url);
    struct flv_source *src = start(&s);
    wait_counter(src, TRANSPORT_ERRORS, 1);
    finish(&s, src);
    setup_init(&s, "/");
    set(&s, "endpoint", url);
    set(&s, "ca-file", ca);
    src = start(&s);
    fake_out_wait(&out, 1);
    assert_string_equal(out.records[0], "fact");
    finish(&s, src);
}

static void a_stop_during_a_request_ends_at_once(void **state)
{
    (void)state;
    struct setup s;
    unsigned port;
    char url[64];
    int fd = tcp_listen(&port);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    setup_init(&s, "/");
    set(&s, "endpoint", url);
    struct flv_source *src = start(&s);
    wait_counter(src, POLLS, 1);
    uint64_t before = flv_clock_mono_ms();
    flv__pipeline_stop(src);
    fake_out_run(&out);
    assert_true(flv_clock_mono_ms() - before < 1000);
    finish(&s, src);
    (void)close(fd);
}

static void an_unusable_address_ends_the_connector(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s, "/");
    set(&s, "endpoint", "http://host:notaport/");
    struct flv_source *src = start(&s);
    fake_out_run(&out);
    assert_int_equal(flv__pipeline_cause(src)->rc, FLV_E_INVALID);
    finish(&s, src);
}

/* Whether a socket may be sent that, so often, each time it is opened. */
static flv_rc check_messages(size_t size, size_t count, struct flv_err *err)
{
    struct setup s;
    char *text = flv_zalloc(1, size + 1);
    assert_non_null(text);
    memset(text, 'm', size);
    setup_init(&s, "/");
    set(&s, "endpoint", "ws://h/");
    for (size_t i = 0; i < count; i++) {
        set(&s, "subscription-message", text);
    }
    assert_int_equal(flv_opts_finish(&s.opts, err), FLV_OK);
    flv_rc rc = http_connector.check(&s.conf, err);
    flv_opts_deinit(&s.opts);
    flv_free(text);
    return rc;
}

static void subscriptions_that_cannot_be_sent_are_refused(void **state)
{
    (void)state;
    /* Longer texts are no values of an option. */
    const size_t size = HTTP_WS_MESSAGES_MAX / 64 - HTTP_WS_FRAME_MAX;
    struct flv_err err = {0};
    assert_int_equal(check_messages(size, 64, &err), FLV_OK);
    assert_int_equal(check_messages(size, 65, &err), FLV_E_USAGE);
    assert_string_equal(err.text,
                        "subscription-message: 65 messages take 4259840 bytes, "
                        "and at most 4194304 are sent; leave some out");
    assert_int_equal(check_messages(size + 1, 64, &err), FLV_E_USAGE);
}

static void bad_settings_are_refused_before_anything_opens(void **state)
{
    (void)state;
    static const char *const table[][3] = {
        {"endpoint", "ftp://h/x", "endpoint: \"ftp://h/x\" is not a web"},
        {"endpoint", "user:secret@h/x", "endpoint: \"h/x\" is not a web"},
        {"endpoint", "wss:///x", "endpoint: \"wss:///x\" has no host"},
        {"endpoint", "ws://u:secret@h/x#y", "endpoint: the path of \"ws://h/x"},
        {"method", "GE T", "method: \"GE T\" is not an HTTP method"},
        {"header", "NoColon", "header \"NoColon\": a header is written"},
        {"header", "Bad Name:x", "header \"Bad Name\""},
        {"header", "A:secret\nB:c", "header \"A\""},
        {"output_format", "full", "write --output-parts=full"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct setup s;
        struct flv_err err = {0};
        setup_init(&s, "/");
        set(&s, table[i][0], table[i][1]);
        assert_int_equal(flv_opts_finish(&s.opts, &err), FLV_OK);
        flv_rc rc = http_connector.check(&s.conf, &err);
        if (rc == FLV_OK || strstr(err.text, table[i][2]) == NULL ||
            strstr(err.text, "secret") != NULL) {
            fail_msg("%s=%s: %s", table[i][0], table[i][1], err.text);
        }
        flv_opts_deinit(&s.opts);
    }
}

static int setup(void **state)
{
    (void)state;
    return flv_log_setup("off", NULL) == FLV_OK &&
                   flv_loop_create(&loop, 0, NULL) == FLV_OK &&
                   nginx_start(&nginx, locations)
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    nginx_stop(&nginx);
    flv_loop_destroy(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polls_at_once_whatever_the_interval),
        cmocka_unit_test(polls_again_at_the_interval),
        cmocka_unit_test(intervals_are_seconds_unless_said_otherwise),
        cmocka_unit_test(bodies_are_json_unless_a_header_says_otherwise),
        cmocka_unit_test(full_answers_become_json),
        cmocka_unit_test(errors_are_skipped_and_counted_by_default),
        cmocka_unit_test(errors_are_produced_when_asked),
        cmocka_unit_test(errors_end_the_connector_when_asked),
        cmocka_unit_test(lost_polls_are_counted_and_polling_goes_on),
        cmocka_unit_test(hanging_answers_hit_the_time_limit_without_overlap),
        cmocka_unit_test(answers_above_the_ceiling_are_skipped),
        cmocka_unit_test(a_full_stream_stops_the_polling),
        cmocka_unit_test(https_needs_a_trusted_ca),
        cmocka_unit_test(a_stop_during_a_request_ends_at_once),
        cmocka_unit_test(an_unusable_address_ends_the_connector),
        cmocka_unit_test(bad_settings_are_refused_before_anything_opens),
        cmocka_unit_test(subscriptions_that_cannot_be_sent_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
