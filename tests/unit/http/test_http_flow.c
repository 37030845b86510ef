#include <stdio.h>
#include <unistd.h>

#include "cm.h"
#include "http/client.h"
#include "loop/loop.h"
#include "nginx.h"

#define BIG_BYTES 4000000

static struct nginx nginx;
static struct flv_loop *loop;

static const char locations[] =
    "location /missing { return 404 'gone'; }\n"
    "location /once { return 302 /big; }\n"
    "location /empty { return 204; }\n"
    "location /slow/ { alias html/; limit_rate_after 600; limit_rate 800; }\n"
    "location /gzip/ { alias html/; gzip on; gzip_types *; "
    "gzip_min_length 1; }\n";

/* What a stream's callbacks saw. */
struct seen {
    int heads, calls;
    unsigned status;
    flv_rc rc;
    size_t bytes, largest;
    size_t take_max; /* says no once so many bytes came */
    int refusals;
    bool unwanted; /* says no to the head */
    bool coded;    /* the head names a coding */
    struct flv_http_call *call;
};

static bool on_head(void *arg, const struct flv_http_response *answer)
{
    struct seen *s = arg;
    s->heads++;
    s->status = answer->status;
    for (size_t i = 0; i < answer->header_count; i++) {
        s->coded = s->coded ||
                   strcmp(answer->headers[i].name, "content-encoding") == 0;
    }
    return !s->unwanted;
}

static bool on_data(void *arg, struct flv_slice bytes)
{
    struct seen *s = arg;
    if (s->take_max > 0 && s->bytes + bytes.len > s->take_max) {
        s->refusals++;
        return false;
    }
    s->bytes += bytes.len;
    s->largest = bytes.len > s->largest ? bytes.len : s->largest;
    return true;
}

static void
on_done(void *arg, struct flv_http_response *answer, const struct flv_err *err)
{
    struct seen *s = arg;
    s->calls++;
    s->rc = err != NULL ? err->rc : FLV_OK;
    s->status = answer != NULL ? answer->status : s->status;
}

static const struct flv_http_flow flow = {.head = on_head, .data = on_data};

static struct flv_http_client *
open_flow(struct seen *s, const char *path, uint32_t timeout_ms)
{
    char url[128];
    struct flv_http_client *client = NULL;
    struct flv_err err = {0};
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", nginx.port, path);
    const struct flv_http_request req = {
        .url = url, .flow = &flow, .timeout_ms = timeout_ms};
    if (flv_http_client_create(&client, loop,
                               &(struct flv_http_client_conf){.proxy = ""},
                               &err) != FLV_OK ||
        flv_http_send(client, &req, on_done, s, &s->call, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return client;
}

static void end(struct flv_http_client *client)
{
    flv_http_client_destroy(client, NULL, NULL);
    flv_loop_run(loop);
}

static void run_flow(struct seen *s, const char *path)
{
    struct flv_http_client *client = open_flow(s, path, 0);
    while (s->calls == 0) {
        (void)flv_loop_turn(loop, true);
    }
    end(client);
    assert_int_equal(s->calls, 1);
}

static void the_body_comes_in_small_pieces_behind_the_head(void **state)
{
    (void)state;
    struct seen s = {0};
    run_flow(&s, "/big");
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.heads, 1);
    assert_int_equal(s.status, 200);
    assert_int_equal(s.bytes, BIG_BYTES);
    assert_in_range(s.largest, 1, 16 * 1024);
    s = (struct seen){0};
    run_flow(&s, "/once");
    assert_int_equal(s.heads, 1);
    assert_int_equal(s.bytes, BIG_BYTES);
    s = (struct seen){0};
    run_flow(&s, "/empty");
    assert_int_equal(s.heads, 1);
    assert_int_equal(s.status, 204);
}

static void an_unwanted_head_ends_the_call_with_its_answer(void **state)
{
    (void)state;
    struct seen s = {.unwanted = true};
    run_flow(&s, "/missing");
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.status, 404);
    assert_int_equal(s.bytes, 0);
    s = (struct seen){.unwanted = true};
    run_flow(&s, "/big");
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.bytes, 0);
}

static void what_is_refused_comes_again_after_resume(void **state)
{
    (void)state;
    struct seen s = {.take_max = 100000};
    struct flv_http_client *client = open_flow(&s, "/big", 0);
    while (s.calls == 0) {
        int before = s.refusals;
        (void)flv_loop_turn(loop, true);
        if (s.refusals > before) {
            /* Nothing moves until it is asked for, not even with time. */
            size_t bytes = s.bytes;
            for (int i = 0; i < 20; i++) {
                (void)flv_loop_turn(loop, false);
            }
            assert_int_equal(s.bytes, bytes);
            assert_int_equal(s.refusals, before + 1);
            s.take_max += 100000;
            flv_http_resume(s.call);
            flv_http_resume(s.call);
            assert_int_equal(s.bytes, bytes);
        }
    }
    end(client);
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.bytes, BIG_BYTES);
    assert_true(s.refusals >= 30);
}

static void resuming_what_cannot_be_taken_yet_loses_nothing(void **state)
{
    (void)state;
    struct seen s = {.take_max = 50000};
    struct flv_http_client *client = open_flow(&s, "/big", 0);
    while (s.refusals < 5) {
        (void)flv_loop_turn(loop, true);
        flv_http_resume(s.call);
    }
    s.take_max = 0;
    flv_http_resume(s.call);
    while (s.calls == 0) {
        (void)flv_loop_turn(loop, true);
    }
    end(client);
    assert_int_equal(s.bytes, BIG_BYTES);
}

static void paused_streams_may_be_cancelled_and_dropped(void **state)
{
    (void)state;
    struct seen s = {.take_max = 1};
    struct flv_http_client *client = open_flow(&s, "/big", 0);
    while (s.refusals == 0) {
        (void)flv_loop_turn(loop, true);
    }
    flv_http_resume(s.call);
    flv_http_cancel(s.call);
    while (s.calls == 0) {
        (void)flv_loop_turn(loop, true);
    }
    assert_int_equal(s.rc, FLV_E_CANCELED);
    end(client);
    s = (struct seen){.take_max = 1};
    client = open_flow(&s, "/big", 0);
    while (s.refusals == 0) {
        (void)flv_loop_turn(loop, true);
    }
    flv_http_resume(s.call);
    end(client);
    assert_int_equal(s.calls, 0);
}

static void the_time_limit_ends_with_the_head(void **state)
{
    (void)state;
    struct seen s = {0};
    struct flv_http_client *client = open_flow(&s, "/slow/short", 300);
    while (s.calls == 0) {
        (void)flv_loop_turn(loop, true);
    }
    end(client);
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.bytes, 1500);

    unsigned port, real = nginx.port;
    int fd = tcp_listen(&port);
    nginx.port = port;
    s = (struct seen){0};
    client = open_flow(&s, "/", 100);
    nginx.port = real;
    while (s.calls == 0) {
        (void)flv_loop_turn(loop, true);
    }
    end(client);
    assert_int_equal(s.rc, FLV_E_TIMEOUT);
    assert_int_equal(s.heads, 0);
    (void)close(fd);
}

static void no_compression_is_offered(void **state)
{
    (void)state;
    struct seen s = {0};
    run_flow(&s, "/gzip/short");
    assert_false(s.coded);
    assert_int_equal(s.bytes, 1500);
}

static int setup(void **state)
{
    (void)state;
    return flv_loop_create(&loop, 0, NULL) == FLV_OK &&
                   nginx_start(&nginx, locations) &&
                   nginx_file(&nginx, "big", "", BIG_BYTES) &&
                   nginx_file(&nginx, "short", "", 1500)
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
        cmocka_unit_test(the_body_comes_in_small_pieces_behind_the_head),
        cmocka_unit_test(an_unwanted_head_ends_the_call_with_its_answer),
        cmocka_unit_test(what_is_refused_comes_again_after_resume),
        cmocka_unit_test(resuming_what_cannot_be_taken_yet_loses_nothing),
        cmocka_unit_test(paused_streams_may_be_cancelled_and_dropped),
        cmocka_unit_test(the_time_limit_ends_with_the_head),
        cmocka_unit_test(no_compression_is_offered),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
