/* Raw bytes against the server: what a friendly client does, and the others. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cm.h"
#include "http/server.h"
#include "loop/loop.h"
#include "tmpdir.h"

#define BODY_MAX 5000

static struct tmpdir tmp;
static struct sockaddr_un addr;
static struct flv_loop *loop;
static struct flv_http_server *server;

/* What the handler does with the next request. */
static struct {
    enum { ECHO, LATER, STREAM, NEVER } how;
    struct flv_http_req *req;
    unsigned calls, streams_closed;
    unsigned refused; /* by admit() */
    int parts;        /* of a stream, left to send */
} plan;

static void
answer_text(struct flv_http_req *req, unsigned status, const char *text)
{
    struct flv_buf b;
    flv_buf_init(&b, 100000);
    assert_int_equal(flv_buf_add_str(&b, text), FLV_OK);
    flv_http_answer(req, &(struct flv_http_answer){.status = status,
                                                   .type = "text/plain",
                                                   .body = &b,
                                                   .header = "X-Test",
                                                   .value = "yes"});
}

static void add_query(void *arg, const char *text)
{
    char *all = arg;
    size_t len = strlen(all);
    (void)snprintf(all + len, 100 - len, "%s,", text);
}

static void echo(struct flv_http_req *req)
{
    char text[BODY_MAX + 500], all[100] = "";
    const char *q = flv_http_req_query(req, "q");
    const char *h = flv_http_req_header(req, "x-in");
    struct flv_slice body = flv_http_req_body(req);
    flv_http_req_each_query(req, "q", add_query, all);
    (void)snprintf(text, sizeof(text), "%s %s q=%s h=%s body=%.*s all=%s",
                   flv_http_req_method(req), flv_http_req_path(req),
                   q != NULL ? q : "-", h != NULL ? h : "-", (int)body.len,
                   body.len > 0 ? (const char *)body.data : "", all);
    answer_text(req, 200, text);
}

static ssize_t stream_read(void *ctx, char *to, size_t max)
{
    (void)ctx;
    assert_true(max > 10);
    if (plan.parts == 0) {
        return -1;
    }
    if (plan.parts % 2 == 0) {
        plan.parts--;
        return 0;
    }
    plan.parts--;
    memcpy(to, "part\n", 5);
    return 5;
}

static void stream_closed(void *ctx)
{
    (void)ctx;
    plan.streams_closed++;
    plan.req = NULL;
}

static void handle(void *arg, struct flv_http_req *req)
{
    (void)arg;
    plan.calls++;
    if (plan.how == ECHO) {
        echo(req);
    } else if (plan.how == STREAM) {
        plan.req = req;
        flv_http_answer_stream(
            req, "text/plain",
            &(struct flv_http_stream){.read = stream_read,
                                      .closed = stream_closed});
    } else {
        plan.req = req;
    }
}

/* Whoever says X-Out stays out; bodies are nobody's business yet. */
static bool admit(void *arg, struct flv_http_req *req)
{
    (void)arg;
    assert_int_equal(flv_http_req_body(req).len, 0);
    if (flv_http_req_header(req, "X-Out") == NULL) {
        return true;
    }
    plan.refused++;
    answer_text(req, 401, "stay out");
    return false;
}

static int set_up(void **state)
{
    (void)state;
    memset(&plan, 0, sizeof(plan));
    tmpdir_make(&tmp, "httpd");
    addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", tmp.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(flv_loop_create(&loop, 0, NULL), FLV_OK);
    const struct flv_http_server_conf conf = {.loop = loop,
                                              .fd = fd,
                                              .body_bytes_max = BODY_MAX,
                                              .connections_max = 4,
                                              .bodies_bytes_max =
                                                  BODY_MAX + 100,
                                              .idle_s = 1,
                                              .admit = admit,
                                              .handle = handle};
    assert_int_equal(flv_http_server_create(&server, &conf, NULL), FLV_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    flv_http_server_destroy(server);
    while (flv_loop_turn(loop, false)) {
    }
    flv_loop_destroy(loop);
    tmpdir_remove(&tmp);
    return 0;
}

/* ---- A client of bytes -------------------------------------------------- */

static int dial(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static void say(int fd, const char *text, size_t len)
{
    uint64_t limit = flv_clock_mono_ms() + 10000;
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN) {
            return; /* the server has had enough */
        }
        (void)flv_loop_turn(loop, false);
        assert_true(flv_clock_mono_ms() < limit);
    }
}

static char heard[100000];

/* Until the text came, or the server closed: NULL then waits for that. */
static bool hear(int fd, const char *needle)
{
    size_t len = 0;
    uint64_t limit = flv_clock_mono_ms() + 10000;
    heard[0] = '\0';
    while (flv_clock_mono_ms() < limit) {
        ssize_t n = recv(fd, heard + len, sizeof(heard) - 1 - len, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return needle == NULL;
        }
        len += n > 0 ? (size_t)n : 0;
        heard[len] = '\0';
        if (needle != NULL && strstr(heard, needle) != NULL) {
            return true;
        }
        (void)flv_loop_turn(loop, false);
    }
    return false;
}

static void exchange(const char *request, const char *needle)
{
    int fd = dial();
    say(fd, request, strlen(request));
    if (!hear(fd, needle)) {
        fail_msg("no \"%s\" in the answer to %s: %s", needle, request, heard);
    }
    close(fd);
}

/* ---- Tests -------------------------------------------------------------- */

static void a_request_arrives_whole(void **state)
{
    (void)state;
    exchange("GET /a/b%20c?q=x%26y&z HTTP/1.1\r\nHost: h\r\nX-In: v\r\n\r\n",
             "GET /a/b c q=x&y h=v body=");
    exchange("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
             "PUT /x q=- h=- body=hello");
    exchange("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
             "POST /x q=- h=- body=abcde");
    assert_int_equal(plan.calls, 3);
}

static void one_connection_serves_many_requests(void **state)
{
    static const char request[] = "GET /one HTTP/1.1\r\nHost: h\r\n\r\n";
    (void)state;
    int fd = dial();
    for (int i = 0; i < 5; i++) {
        say(fd, request, sizeof(request) - 1);
        assert_true(hear(fd, "GET /one"));
    }
    close(fd);
    assert_int_equal(plan.calls, 5);
}

static void an_answer_may_come_later(void **state)
{
    static const char request[] = "GET /late HTTP/1.1\r\nHost: h\r\n\r\n";
    (void)state;
    plan.how = LATER;
    int fd = dial();
    say(fd, request, sizeof(request) - 1);
    while (plan.req == NULL) {
        (void)flv_loop_turn(loop, true);
    }
    for (int i = 0; i < 20; i++) {
        (void)flv_loop_turn(loop, false);
    }
    answer_text(plan.req, 202, "at last");
    assert_true(hear(fd, "at last"));
    assert_non_null(strstr(heard, "HTTP/1.1 202"));
    assert_non_null(strstr(heard, "X-Test: yes"));
    close(fd);
}

static void a_client_that_left_does_no_harm(void **state)
{
    static const char request[] = "GET /gone HTTP/1.1\r\nHost: h\r\n\r\n";
    (void)state;
    plan.how = LATER;
    int fd = dial();
    say(fd, request, sizeof(request) - 1);
    while (plan.req == NULL) {
        (void)flv_loop_turn(loop, true);
    }
    close(fd);
    for (int i = 0; i < 20; i++) {
        (void)flv_loop_turn(loop, false);
    }
    answer_text(plan.req, 200, "to nobody");
    for (int i = 0; i < 20; i++) {
        (void)flv_loop_turn(loop, false);
    }
    plan.how = ECHO;
    exchange("GET /next HTTP/1.1\r\nHost: h\r\n\r\n", "GET /next");
}

static void a_stream_comes_bit_by_bit(void **state)
{
    static const char request[] = "GET /s HTTP/1.1\r\nHost: h\r\n\r\n";
    (void)state;
    plan.how = STREAM;
    plan.parts = 6;
    int fd = dial();
    say(fd, request, sizeof(request) - 1);
    uint64_t limit = flv_clock_mono_ms() + 10000;
    while (plan.streams_closed == 0 && flv_clock_mono_ms() < limit) {
        (void)flv_loop_turn(loop, false);
        if (plan.req != NULL) {
            flv_http_wake(plan.req);
        }
    }
    assert_true(hear(fd, "0\r\n\r\n"));
    unsigned parts = 0;
    for (const char *p = heard; (p = strstr(p, "part\n")) != NULL; p++) {
        parts++;
    }
    assert_int_equal(parts, 3);
    close(fd);
}

static void a_stream_ends_when_the_client_leaves(void **state)
{
    static const char request[] = "GET /s HTTP/1.1\r\nHost: h\r\n\r\n";
    (void)state;
    plan.how = STREAM;
    plan.parts = 1000001;
    int fd = dial();
    say(fd, request, sizeof(request) - 1);
    assert_true(hear(fd, "part"));
    close(fd);
    uint64_t limit = flv_clock_mono_ms() + 10000;
    while (plan.streams_closed == 0 && flv_clock_mono_ms() < limit) {
        (void)flv_loop_turn(loop, false);
        if (plan.req != NULL) {
            flv_http_wake(plan.req);
        }
    }
    assert_int_equal(plan.streams_closed, 1);
}

static void an_announced_body_above_the_ceiling_is_413(void **state)
{
    (void)state;
    exchange("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5001\r\n\r\n",
             "HTTP/1.1 413");
    exchange("PUT /x HTTP/1.1\r\nHost: h\r\n"
             "Content-Length: 99999999999999999999999\r\n\r\n",
             "HTTP/1.1 4");
    assert_int_equal(plan.calls, 0);
}

static void who_is_not_admitted_sends_no_body(void **state)
{
    static const char head[] = "PUT /x HTTP/1.1\r\nHost: h\r\nX-Out: 1\r\n"
                               "Content-Length: 4000\r\n\r\n";
    (void)state;
    int fd = dial();
    say(fd, head, sizeof(head) - 1); /* and not a byte more */
    assert_true(hear(fd, "stay out"));
    assert_non_null(strstr(heard, "HTTP/1.1 401"));
    close(fd);
    exchange("GET /x HTTP/1.1\r\nHost: h\r\nX-Out: 1\r\n\r\n", "stay out");
    assert_int_equal(plan.refused, 2);
    assert_int_equal(plan.calls, 0);
    exchange("GET /next HTTP/1.1\r\nHost: h\r\n\r\n", "GET /next");
}

static void bodies_together_have_a_ceiling(void **state)
{
    static const char head[] =
        "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n";
    static char body[4000];
    (void)state;
    memset(body, 'b', sizeof(body));
    int first = dial(), second = dial();
    say(first, head, sizeof(head) - 1);
    say(first, body, sizeof(body) - 1); /* one byte is still to come */
    for (int i = 0; i < 50; i++) {
        (void)flv_loop_turn(loop, false);
    }
    say(second, head, sizeof(head) - 1);
    say(second, body, sizeof(body));
    assert_true(hear(second, "HTTP/1.1 503"));
    close(second);
    say(first, body, 1);
    assert_true(hear(first, "PUT /x"));
    close(first);
    exchange("PUT /y HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
             "PUT /y q=- h=- body=hello");
    assert_int_equal(plan.calls, 2);
}

static void a_query_may_come_more_than_once(void **state)
{
    (void)state;
    exchange("GET /a?q=one&z=two&q=%33 HTTP/1.1\r\nHost: h\r\n\r\n",
             "all=one,3,");
}

static void a_chunked_body_above_the_ceiling_is_not_kept(void **state)
{
    static const char head[] =
        "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    char chunk[1100];
    (void)state;
    int len = snprintf(chunk, sizeof(chunk), "3e8\r\n%01000d\r\n", 7);
    int fd = dial();
    say(fd, head, sizeof(head) - 1);
    for (int i = 0; i < 7; i++) {
        say(fd, chunk, (size_t)len);
    }
    say(fd, "0\r\n\r\n", 5);
    assert_true(hear(fd, "HTTP/1.1 413"));
    close(fd);
    /* One that never stops is cut off. */
    fd = dial();
    say(fd, head, sizeof(head) - 1);
    for (int i = 0; i < 50; i++) {
        say(fd, chunk, (size_t)len);
    }
    assert_true(hear(fd, NULL));
    close(fd);
    assert_int_equal(plan.calls, 0);
}

static void long_lines_and_headers_are_refused(void **state)
{
    static char text[100000];
    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "GET /", 5);
    int fd = dial();
    say(fd, text, sizeof(text));
    assert_true(hear(fd, "HTTP/1.1 4") || hear(fd, NULL));
    close(fd);
    fd = dial();
    static const char head[] = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
    say(fd, head, sizeof(head) - 1);
    say(fd, text + 5, sizeof(text) - 5);
    assert_true(hear(fd, "HTTP/1.1 4") || hear(fd, NULL));
    close(fd);
    assert_int_equal(plan.calls, 0);
}

static void nonsense_reaches_nobody(void **state)
{
    static const char *const texts[] = {
        "\r\n\r\n\r\n",
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", /* without a Host */
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5x\r\n\r\nhello",
        "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "zz\r\nabc\r\n0\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        int fd = dial();
        say(fd, texts[i], strlen(texts[i]));
        shutdown(fd, SHUT_WR);
        (void)hear(fd, NULL);
        close(fd);
        if (plan.calls > 0) {
            fail_msg("reached the handler: %s", texts[i]);
        }
    }
    exchange("GET /after HTTP/1.1\r\nHost: h\r\n\r\n", "GET /after");
}

static void a_silent_client_is_disconnected(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, "GET /x HT", 9);
    uint64_t start = flv_clock_mono_ms();
    assert_true(hear(fd, NULL));
    assert_in_range(flv_clock_mono_ms() - start, 500, 9000);
    close(fd);
}

static void connections_have_a_ceiling(void **state)
{
    int fds[12];
    (void)state;
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = dial();
    }
    for (int i = 0; i < 50; i++) {
        (void)flv_loop_turn(loop, false);
    }
    for (size_t i = 0; i < COUNT(fds); i++) {
        close(fds[i]);
    }
    exchange("GET /after HTTP/1.1\r\nHost: h\r\n\r\n", "GET /after");
}

static void the_end_answers_those_who_wait(void **state)
{
    static const char request[] = "GET /w HTTP/1.1\r\nHost: h\r\n\r\n";
    (void)state;
    plan.how = NEVER;
    int fd = dial();
    say(fd, request, sizeof(request) - 1);
    while (plan.req == NULL) {
        (void)flv_loop_turn(loop, true);
    }
    flv_http_server_destroy(server);
    server = NULL;
    assert_true(hear(fd, "HTTP/1.1 503"));
    close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_request_arrives_whole),
        T(one_connection_serves_many_requests),
        T(an_answer_may_come_later),
        T(a_client_that_left_does_no_harm),
        T(a_stream_comes_bit_by_bit),
        T(a_stream_ends_when_the_client_leaves),
        T(an_announced_body_above_the_ceiling_is_413),
        T(who_is_not_admitted_sends_no_body),
        T(bodies_together_have_a_ceiling),
        T(a_query_may_come_more_than_once),
        T(a_chunked_body_above_the_ceiling_is_not_kept),
        T(long_lines_and_headers_are_refused),
        T(nonsense_reaches_nobody),
        T(a_silent_client_is_disconnected),
        T(connections_have_a_ceiling),
        T(the_end_answers_those_who_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
