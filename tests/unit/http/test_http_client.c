
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cm.h"
#include "base/clock.h"
#include "http/client.h"
#include "loop/loop.h"
#include "nginx.h"

static struct nginx nginx;
static struct flv_loop *loop;

static const char locations[] =
    "location /hello { return 200 'hello'; }\n"
    "location /empty { return 204; }\n"
    "location /headers { add_header X-One a; add_header X-Two ''; "
    "add_header X-One b; add_header X-Spaced '  c  '; return 200 ''; }\n"
    "location /missing { return 404 'no such thing'; }\n"
    "location /broken { return 500; }\n"
    "location /odd { return 299 'odd'; }\n"
    "location /once { return 302 /hello; }\n"
    "location /round { return 302 /round; }\n"
    "location /away { return 302 ftp://127.0.0.1/x; }\n"
    "location /gzip/ { alias html/; gzip on; gzip_types *; "
    "gzip_min_length 1; }\n"
    "location /slow/ { alias html/; limit_rate 200; }\n"
    "location /echo { proxy_set_header X-Body $request_body; "
    "proxy_set_header X-Method $request_method; "
    "proxy_set_header X-Type \"type=$content_type\"; "
    "proxy_pass http://127.0.0.1:PORT/mirror; }\n"
    "location /mirror { return 200 '$http_x_method|$http_x_type|$http_x_body|"
    "$http_user_agent|$http_x_extra'; }\n";

/* What the callback saw; asserted in the test's body. */
struct seen {
    int calls;
    flv_rc rc;
    char error[FLV_ERR_TEXT_MAX];
    unsigned status;
    char version[16], reason[64];
    char headers[4096];
    char *body; /* owned */
    size_t body_len;
    struct flv_http_client *destroy; /* in the callback, or NULL */
};

static void
on_done(void *arg, struct flv_http_response *a, const struct flv_err *err)
{
    struct seen *s = arg;
    s->calls++;
    s->rc = err != NULL ? err->rc : FLV_OK;
    if (a != NULL) {
        s->status = a->status;
        (void)snprintf(s->version, sizeof(s->version), "%s", a->version);
        (void)snprintf(s->reason, sizeof(s->reason), "%s", a->reason);
        for (size_t i = 0; i < a->header_count; i++) {
            size_t used = strlen(s->headers);
            (void)snprintf(s->headers + used, sizeof(s->headers) - used,
                           "%s=%s\n", a->headers[i].name, a->headers[i].value);
        }
        s->body = (char *)flv_buf_take(&a->body, &s->body_len);
    } else {
        (void)snprintf(s->error, sizeof(s->error), "%s", err->text);
    }
    if (s->destroy != NULL) {
        flv_http_client_destroy(s->destroy, NULL, NULL);
    }
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static struct flv_http_client *client_new(const struct flv_http_client_conf *c)
{
    static const struct flv_http_client_conf plain = {.proxy = ""};
    struct flv_http_client *client = NULL;
    struct flv_err err = {0};
    if (flv_http_client_create(&client, loop, c != NULL ? c : &plain, &err) !=
        FLV_OK) {
        fail_msg("%s", err.text);
    }
    return client;
}

/* Ends the client and proves that the loop is left empty. */
static void client_end(struct flv_http_client *client)
{
    bool closed = false;
    flv_http_client_destroy(client, set_flag, &closed);
    flv_loop_run(loop);
    assert_true(closed);
}

static void run_until(const struct seen *s, int calls)
{
    bool more = true;
    while (s->calls < calls) {
        assert_true(more);
        more = flv_loop_turn(loop, true);
    }
}

static void seen_free(struct seen *s)
{
    free(s->body);
    *s = (struct seen){0};
}

static void exchange(struct flv_http_client *client,
                     struct seen *s,
                     const struct flv_http_request *req)
{
    struct flv_err err = {0};
    if (flv_http_send(client, req, on_done, s, NULL, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(s->calls, 0);
    run_until(s, 1);
}

static const char *url(const char *path)
{
    static char text[4][256];
    static unsigned turn;
    char *out = text[turn++ % 4];
    (void)snprintf(out, sizeof(text[0]), "http://127.0.0.1:%u%s", nginx.port,
                   path);
    return out;
}

/* One request by a client of its own. */
static void get(const char *address, struct seen *s)
{
    struct flv_http_client *client = client_new(NULL);
    const struct flv_http_request req = {.url = address};
    exchange(client, s, &req);
    client_end(client);
}

/* --- answers ------------------------------------------------------------- */

static void answer_has_status_line_headers_and_body(void **state)
{
    (void)state;
    struct seen s = {0};
    get(url("/hello"), &s);
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.status, 200);
    assert_string_equal(s.version, "HTTP/1.1");
    assert_string_equal(s.reason, "OK");
    assert_non_null(strstr(s.headers, "content-type=text/plain\n"));
    assert_non_null(strstr(s.headers, "content-length=5\n"));
    assert_int_equal(s.body_len, 5);
    assert_memory_equal(s.body, "hello", 5);
    seen_free(&s);
}

static void headers_keep_their_order_and_repeat(void **state)
{
    (void)state;
    struct seen s = {0};
    get(url("/headers"), &s);
    const char *one = strstr(s.headers, "x-one=a\n");
    assert_non_null(one);
    assert_non_null(strstr(one, "x-one=b\n"));
    assert_non_null(strstr(s.headers, "x-spaced=c\n"));
    assert_null(strstr(s.headers, "X-One"));
    seen_free(&s);
}

static void every_status_is_an_answer(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        unsigned status;
        size_t body;
    } table[] = {{"/missing", 404, 13}, {"/empty", 204, 0}, {"/odd", 299, 3}};
    for (size_t i = 0; i < 3; i++) {
        struct seen s = {0};
        get(url(table[i].path), &s);
        assert_int_equal(s.rc, FLV_OK);
        assert_int_equal(s.status, table[i].status);
        assert_int_equal(s.body_len, table[i].body);
        seen_free(&s);
    }
}

static void redirects_are_followed(void **state)
{
    (void)state;
    struct seen s = {0};
    get(url("/once"), &s);
    assert_int_equal(s.status, 200);
    assert_int_equal(s.body_len, 5);
    assert_null(strstr(s.headers, "location="));
    seen_free(&s);
}

static void redirects_are_handed_over_when_asked(void **state)
{
    (void)state;
    struct seen s = {0};
    struct flv_http_client *client = client_new(NULL);
    const struct flv_http_request req = {.url = url("/once"),
                                         .no_redirects = true};
    exchange(client, &s, &req);
    assert_int_equal(s.status, 302);
    assert_non_null(strstr(s.headers, "/hello\n"));
    seen_free(&s);
    client_end(client);
}

static void endless_redirects_end(void **state)
{
    (void)state;
    struct seen s = {0};
    get(url("/round"), &s);
    assert_int_equal(s.rc, FLV_E_LIMIT);
    assert_non_null(strstr(s.error, "redirect"));
    seen_free(&s);
}

static void redirects_to_other_protocols_are_refused(void **state)
{
    (void)state;
    struct seen s = {0};
    get(url("/away"), &s);
    assert_int_equal(s.rc, FLV_E_PROTOCOL);
    seen_free(&s);
}

static void compressed_bodies_come_out_decoded(void **state)
{
    (void)state;
    struct seen s = {0};
    assert_true(nginx_file(&nginx, "text", "text", 5000));
    get(url("/gzip/text"), &s);
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.body_len, 5000);
    assert_memory_equal(s.body, "text....", 8);
    assert_null(strstr(s.headers, "content-encoding"));
    assert_null(strstr(s.headers, "content-length"));
    seen_free(&s);
}

/* --- requests ------------------------------------------------------------ */

static void mirror(const struct flv_http_request *req, const char *expected)
{
    struct seen s = {0};
    static const struct flv_http_client_conf conf = {.user_agent = "agent/1",
                                                     .proxy = ""};
    struct flv_http_client *client = client_new(&conf);
    exchange(client, &s, req);
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.status, 200);
    char text[256] = "";
    (void)snprintf(text, sizeof(text), "%.*s", (int)s.body_len, s.body);
    assert_string_equal(text, expected);
    seen_free(&s);
    client_end(client);
}

static void get_sends_no_body_and_the_agent(void **state)
{
    (void)state;
    mirror(&(struct flv_http_request){.url = url("/echo")},
           "GET|type=||agent/1|");
}

static void post_sends_its_body_without_a_made_up_type(void **state)
{
    (void)state;
    mirror(&(struct flv_http_request){.url = url("/echo"),
                                      .method = "POST",
                                      .has_body = true,
                                      .body = flv_slice_str("{\"a\":1}")},
           "POST|type=|{\"a\":1}|agent/1|");
}

static void get_may_carry_a_body(void **state)
{
    (void)state;
    mirror(&(struct flv_http_request){.url = url("/echo"),
                                      .has_body = true,
                                      .body = flv_slice_str("x")},
           "GET|type=|x|agent/1|");
}

static void headers_of_the_request_win(void **state)
{
    (void)state;
    const char *const headers[] = {"User-Agent: mine", "X-Extra:  padded ",
                                   "Content-Type: text/x", NULL};
    mirror(&(struct flv_http_request){.url = url("/echo"),
                                      .method = "PUT",
                                      .headers = headers,
                                      .has_body = true,
                                      .body = flv_slice_str("b")},
           "PUT|type=text/x|b|mine|padded");
}

static void head_gets_headers_only(void **state)
{
    (void)state;
    struct seen s = {0};
    struct flv_http_client *client = client_new(NULL);
    exchange(
        client, &s,
        &(struct flv_http_request){.url = url("/hello"), .method = "HEAD"});
    assert_int_equal(s.status, 200);
    assert_int_equal(s.body_len, 0);
    seen_free(&s);
    client_end(client);
}

static void bad_requests_are_refused_at_once(void **state)
{
    (void)state;
    const char *const broken[] = {"no colon", NULL};
    const char *const injected[] = {"X: a\r\nY: b", NULL};
    const struct flv_http_request table[] = {
        {.url = "ftp://127.0.0.1/x"},
        {.url = "127.0.0.1/x"},
        {.url = ""},
        {.url = url("/hello"), .method = "GE T"},
        {.url = url("/hello"), .method = ""},
        {.url = url("/hello"), .headers = broken},
        {.url = url("/hello"), .headers = injected},
    };
    struct flv_http_client *client = client_new(NULL);
    struct seen s = {0};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct flv_err err = {0};
        assert_int_equal(
            flv_http_send(client, &table[i], on_done, &s, NULL, &err),
            FLV_E_INVALID);
        assert_true(err.text[0] != '\0');
    }
    client_end(client);
    assert_int_equal(s.calls, 0);
}

static void malformed_addresses_are_told_in_the_callback(void **state)
{
    (void)state;
    struct seen s = {0};
    get("http://user:pw@:port/", &s);
    assert_int_equal(s.rc, FLV_E_INVALID);
    assert_null(strstr(s.error, "pw"));
    seen_free(&s);
}

/* --- limits and failures ------------------------------------------------- */

static void body_above_its_ceiling_is_refused(void **state)
{
    (void)state;
    struct seen s = {0};
    struct flv_http_client *client = client_new(NULL);
    assert_true(nginx_file(&nginx, "big", "", 100001));
    struct flv_http_request req = {.url = url("/big"),
                                   .body_bytes_max = 100000};
    exchange(client, &s, &req);
    assert_int_equal(s.rc, FLV_E_LIMIT);
    assert_non_null(strstr(s.error, "larger than 100000 bytes"));
    seen_free(&s);
    /* The ceiling counts decoded bytes, so that a small file cannot swell. */
    req.url = url("/gzip/big");
    exchange(client, &s, &req);
    assert_int_equal(s.rc, FLV_E_LIMIT);
    seen_free(&s);
    req.body_bytes_max = 100001;
    exchange(client, &s, &req);
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.body_len, 100001);
    seen_free(&s);
    client_end(client);
}

static void slow_answers_hit_the_time_limit(void **state)
{
    (void)state;
    struct seen s = {0};
    struct flv_http_client *client = client_new(NULL);
    uint64_t before = flv_clock_mono_ms();
    exchange(client, &s,
             &(struct flv_http_request){.url = url("/slow/long"),
                                        .timeout_ms = 300});
    uint64_t took = flv_clock_mono_ms() - before;
    assert_int_equal(s.rc, FLV_E_TIMEOUT);
    assert_in_range(took, 290, 2000);
    seen_free(&s);
    client_end(client);
}

static void silent_servers_hit_the_time_limit(void **state)
{
    (void)state;
    struct seen s = {0};
    unsigned port;
    int fd = tcp_listen(&port);
    char address[64];
    (void)snprintf(address, sizeof(address), "http://127.0.0.1:%u/", port);
    struct flv_http_client *client = client_new(NULL);
    exchange(client, &s,
             &(struct flv_http_request){.url = address, .timeout_ms = 200});
    assert_int_equal(s.rc, FLV_E_TIMEOUT);
    assert_non_null(strstr(s.error, address));
    seen_free(&s);
    client_end(client);
    (void)close(fd);
}

static void refused_connections_are_told(void **state)
{
    (void)state;
    struct seen s = {0};
    char address[64];
    (void)snprintf(address, sizeof(address), "http://127.0.0.1:%u/",
                   tcp_free_port());
    get(address, &s);
    assert_int_equal(s.rc, FLV_E_CONNECT);
    assert_non_null(strstr(s.error, address));
    seen_free(&s);
}

static void unknown_hosts_are_told(void **state)
{
    (void)state;
    struct seen s = {0};
    get("http://no-such-host.invalid/", &s);
    assert_int_equal(s.rc, FLV_E_CONNECT);
    seen_free(&s);
}

static void write_all(int fd, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(write(fd, text, len), len);
}

/* Answers one connection with what is no proper HTTP; `open` leaves it open. */
static flv_rc raw_answer_to(struct flv_http_request req,
                            const char *text,
                            bool open,
                            struct seen *s)
{
    unsigned port;
    int fd = tcp_listen(&port);
    char address[64];
    (void)snprintf(address, sizeof(address), "http://127.0.0.1:%u/", port);
    struct flv_http_client *client = client_new(NULL);
    req.url = address;
    assert_int_equal(flv_http_send(client, &req, on_done, s, NULL, NULL),
                     FLV_OK);
    while (s->calls == 0) {
        (void)flv_loop_turn(loop, false);
        int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
        if (peer >= 0) {
            write_all(peer, text);
            if (!open) {
                (void)shutdown(peer, SHUT_WR);
            }
            run_until(s, 1);
            (void)close(peer);
        }
    }
    client_end(client);
    (void)close(fd);
    return s->rc;
}

static flv_rc raw_answer(const char *text, struct seen *s)
{
    return raw_answer_to((struct flv_http_request){0}, text, false, s);
}

static void bodies_that_do_not_end_may_be_cut(void **state)
{
    (void)state;
    const struct flv_http_request req = {.no_redirects = true,
                                         .cut_body = true,
                                         .timeout_ms = 500,
                                         .body_bytes_max = 2};
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n";
    char text[128];
    struct seen s = {0};
    for (int open = 0; open < 2; open++) {
        (void)snprintf(text, sizeof(text), "%s\r\nabc", head);
        assert_int_equal(raw_answer_to(req, text, open != 0, &s), FLV_OK);
        assert_int_equal(s.status, 200);
        assert_int_equal(s.body_len, 2);
        seen_free(&s);
        /* Without the end of its headers it is no answer. */
        assert_int_equal(raw_answer_to(req, head, open != 0, &s),
                         open != 0 ? FLV_E_TIMEOUT : FLV_E_CLOSED);
        seen_free(&s);
    }
    /* It is not waited for. */
    struct flv_http_client *client = client_new(NULL);
    assert_true(nginx_file(&nginx, "huge", "", 5000000));
    exchange(client, &s,
             &(struct flv_http_request){
                 .url = url("/huge"), .cut_body = true, .body_bytes_max = 512});
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.body_len, 512);
    seen_free(&s);
    client_end(client);
}

static void broken_answers_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        flv_rc rc;
    } table[] = {
        {"", FLV_E_CLOSED},
        {"SSH-2.0-x\r\n", FLV_E_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", FLV_E_CLOSED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
         FLV_E_CLOSED},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nabc",
         FLV_E_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: rot13\r\n\r\nabc",
         FLV_E_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct seen s = {0};
        flv_rc rc = raw_answer(table[i].text, &s);
        if (rc != table[i].rc || s.error[0] == '\0') {
            fail_msg("answer %zu: %s %s", i, flv_rc_name(rc), s.error);
        }
        seen_free(&s);
    }
}

static void odd_but_legal_answers_are_taken(void **state)
{
    (void)state;
    struct seen s = {0};
    assert_int_equal(raw_answer("HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n"
                                "HTTP/1.0 200\r\nX-Fold: a\r\n  b\r\n"
                                "X-Empty:\r\n\r\nbody",
                                &s),
                     FLV_OK);
    assert_string_equal(s.version, "HTTP/1.0");
    assert_string_equal(s.reason, "");
    assert_string_equal(s.headers, "x-fold=a b\nx-empty=\n");
    assert_int_equal(s.body_len, 4);
    seen_free(&s);
}

static void headers_above_their_ceiling_are_refused(void **state)
{
    (void)state;
    struct seen s = {0};
    struct flv_buf text;
    flv_buf_init(&text, 1 << 20);
    assert_int_equal(flv_buf_add_str(&text, "HTTP/1.1 200 OK\r\n"), FLV_OK);
    for (int i = 0; i < FLV_HTTP_HEADERS_MAX + 1; i++) {
        assert_int_equal(flv_buf_addf(&text, "X-%d: y\r\n", i), FLV_OK);
    }
    assert_int_equal(flv_buf_add_str(&text, "\r\n"), FLV_OK);
    assert_int_equal(raw_answer(flv_buf_str(&text), &s), FLV_E_LIMIT);
    assert_non_null(strstr(s.error, "headers"));
    seen_free(&s);
    flv_buf_deinit(&text);
}

/* --- TLS and proxies ----------------------------------------------------- */

static void private_ca_is_trusted_when_named(void **state)
{
    (void)state;
    char ca[128], address[64];
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", nginx.tmp.path);
    (void)snprintf(address, sizeof(address), "https://localhost:%u/hello",
                   nginx.tls_port);
    struct seen s = {0};
    const struct flv_http_client_conf conf = {.ca_file = ca, .proxy = ""};
    struct flv_http_client *client = client_new(&conf);
    exchange(client, &s, &(struct flv_http_request){.url = address});
    assert_int_equal(s.rc, FLV_OK);
    assert_int_equal(s.body_len, 5);
    seen_free(&s);
    client_end(client);
}

static void unknown_ca_and_wrong_names_are_refused(void **state)
{
    (void)state;
    char ca[128], address[64];
    struct seen s = {0};
    (void)snprintf(address, sizeof(address), "https://localhost:%u/hello",
                   nginx.tls_port);
    get(address, &s);
    assert_int_equal(s.rc, FLV_E_CONNECT);
    assert_non_null(strstr(s.error, "certificate"));
    seen_free(&s);

    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", nginx.tmp.path);
    (void)snprintf(address, sizeof(address), "https://127.0.0.1:%u/hello",
                   nginx.tls_port);
    const struct flv_http_client_conf conf = {.ca_file = ca, .proxy = ""};
    struct flv_http_client *client = client_new(&conf);
    exchange(client, &s, &(struct flv_http_request){.url = address});
    assert_int_equal(s.rc, FLV_E_CONNECT);
    seen_free(&s);
    client_end(client);
}

static void missing_ca_file_is_told_at_once(void **state)
{
    (void)state;
    struct flv_http_client *client = NULL;
    struct flv_err err = {0};
    const struct flv_http_client_conf conf = {.ca_file = "/no/such/file"};
    assert_int_equal(flv_http_client_create(&client, loop, &conf, &err),
                     FLV_E_INVALID);
    assert_non_null(strstr(err.text, "/no/such/file"));
}

static void proxies_come_from_option_and_environment(void **state)
{
    (void)state;
    char proxy[64];
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", nginx.port);
    for (int i = 0; i < 2; i++) {
        struct seen s = {0};
        struct flv_http_client_conf conf = {.proxy = i == 0 ? proxy : NULL};
        assert_int_equal(setenv("http_proxy", i == 1 ? proxy : "", 1), 0);
        struct flv_http_client *client = client_new(&conf);
        exchange(client, &s,
                 &(struct flv_http_request){
                     .url = "http://no-such-host.invalid/hello"});
        assert_int_equal(s.rc, FLV_OK);
        assert_int_equal(s.status, 200);
        seen_free(&s);
        client_end(client);
    }
    assert_int_equal(unsetenv("http_proxy"), 0);
}

/* --- life ---------------------------------------------------------------- */

static void cancelled_calls_complete_once(void **state)
{
    (void)state;
    struct seen s = {0};
    struct flv_http_call *call = NULL;
    struct flv_http_client *client = client_new(NULL);
    const struct flv_http_request req = {.url = url("/slow/long")};
    assert_int_equal(flv_http_send(client, &req, on_done, &s, &call, NULL),
                     FLV_OK);
    (void)flv_loop_turn(loop, true);
    flv_http_cancel(call);
    assert_int_equal(s.calls, 0);
    run_until(&s, 1);
    assert_int_equal(s.rc, FLV_E_CANCELED);
    client_end(client);
    assert_int_equal(s.calls, 1);
}

static void destroying_drops_what_is_under_way(void **state)
{
    (void)state;
    struct seen s = {0};
    struct flv_http_client *client = client_new(NULL);
    const struct flv_http_request req = {.url = url("/slow/long")};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(flv_http_send(client, &req, on_done, &s, NULL, NULL),
                         FLV_OK);
    }
    for (int i = 0; i < 10; i++) {
        (void)flv_loop_turn(loop, false);
    }
    client_end(client);
    assert_int_equal(s.calls, 0);
}

/* curl closes a socket that is not connected yet without a word. */
static void destroying_drops_what_is_connecting(void **state)
{
    (void)state;
    const struct flv_http_request req = {.url = url("/slow/long")};
    for (int turns = 0; turns < 8; turns++) {
        struct seen s = {0};
        struct flv_http_client *client = client_new(NULL);
        assert_int_equal(flv_http_send(client, &req, on_done, &s, NULL, NULL),
                         FLV_OK);
        for (int i = 0; i < turns; i++) {
            (void)flv_loop_turn(loop, false);
        }
        client_end(client);
        assert_int_equal(s.calls, 0);
    }
}

static void callback_may_destroy_the_client(void **state)
{
    (void)state;
    struct flv_http_client *client = client_new(NULL);
    struct seen s = {.destroy = client};
    const struct flv_http_request req = {.url = url("/hello")};
    assert_int_equal(flv_http_send(client, &req, on_done, &s, NULL, NULL),
                     FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(s.calls, 1);
    s.destroy = NULL;
    seen_free(&s);
}

static void connections_are_reused(void **state)
{
    (void)state;
    struct flv_http_client *client = client_new(NULL);
    unsigned port;
    int fd = tcp_listen(&port);
    char address[64];
    (void)snprintf(address, sizeof(address), "http://127.0.0.1:%u/", port);
    const struct flv_http_request req = {.url = address};
    struct seen s = {0};
    int peer = -1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(flv_http_send(client, &req, on_done, &s, NULL, NULL),
                         FLV_OK);
        char request[1024];
        ssize_t got = -1;
        while (got <= 0) {
            (void)flv_loop_turn(loop, false);
            if (peer < 0) {
                peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
            }
            got = peer >= 0 ? read(peer, request, sizeof(request)) : -1;
        }
        write_all(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        run_until(&s, i + 1);
        assert_int_equal(s.rc, FLV_OK);
    }
    client_end(client);
    (void)close(peer);
    (void)close(fd);
}

/* A curl handle is used again for requests of one kind. */
static void requests_of_one_client_do_not_mix(void **state)
{
    (void)state;
    static const char *const extra[] = {"X-Extra: e", "Content-Type: a/b",
                                        NULL};
    const struct {
        const char *method, *body, *expected;
        const char *const *headers;
    } table[] = {
        {"POST", "first body", "POST|type=a/b|first body||e", extra},
        {"POST", "b", "POST|type=|b||", NULL},
        {"GET", NULL, "GET|type=|||", NULL},
        {"POST", "", "POST|type=|||e", (const char *const[]){extra[0], NULL}},
        {"PUT", "c", "PUT|type=|c||", NULL},
        {"POST", "d", "POST|type=a/b|d||e", extra},
        {"GET", NULL, "GET|type=|||", NULL},
    };
    struct flv_http_client *client = client_new(NULL);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct seen s = {0};
        char text[256] = "";
        struct flv_http_request req = {.url = url("/echo"),
                                       .method = table[i].method,
                                       .headers = table[i].headers,
                                       .has_body = table[i].body != NULL};
        if (req.has_body) {
            req.body = flv_slice_str(table[i].body);
        }
        exchange(client, &s, &req);
        (void)snprintf(text, sizeof(text), "%.*s", (int)s.body_len, s.body);
        assert_string_equal(text, table[i].expected);
        seen_free(&s);
        /* Another answer in between leaves nothing behind. */
        exchange(client, &s,
                 &(struct flv_http_request){
                     .url = url(i % 2 != 0 ? "/missing" : "/gzip/no")});
        assert_int_equal(s.status, 404);
        seen_free(&s);
    }
    client_end(client);
}

static void idle_connections_let_the_loop_end(void **state)
{
    (void)state;
    struct flv_http_client *client = client_new(NULL);
    const struct flv_http_request req = {.url = url("/hello")};
    for (int i = 0; i < 3; i++) {
        struct seen s = {0};
        exchange(client, &s, &req);
        assert_int_equal(s.status, 200);
        seen_free(&s);
        flv_loop_run(loop);
    }
    client_end(client);
}

static int take_peer(int fd, const struct seen *s, int calls)
{
    char request[1024];
    int peer = -1;
    ssize_t got = -1;
    while (got <= 0) {
        assert_true(s->calls < calls);
        (void)flv_loop_turn(loop, false);
        if (peer < 0) {
            peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
        }
        got = peer >= 0 ? read(peer, request, sizeof(request)) : -1;
    }
    return peer;
}

static void connections_closed_while_idle_are_made_anew(void **state)
{
    (void)state;
    struct flv_http_client *client = client_new(NULL);
    unsigned port;
    int fd = tcp_listen(&port);
    char address[64];
    (void)snprintf(address, sizeof(address), "http://127.0.0.1:%u/", port);
    const struct flv_http_request req = {.url = address};
    struct seen s = {0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(flv_http_send(client, &req, on_done, &s, NULL, NULL),
                         FLV_OK);
        int peer = take_peer(fd, &s, i + 1);
        write_all(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        run_until(&s, i + 1);
        assert_int_equal(s.rc, FLV_OK);
        (void)close(peer);
        flv_loop_run(loop);
    }
    client_end(client);
    (void)close(fd);
}

static int setup(void **state)
{
    (void)state;
    for (const char *const *v =
             (const char *const[]){"http_proxy", "https_proxy", "all_proxy",
                                   "HTTPS_PROXY", "ALL_PROXY", "no_proxy",
                                   "NO_PROXY", NULL};
         *v != NULL; v++) {
        (void)unsetenv(*v);
    }
    return flv_loop_create(&loop, 0, NULL) == FLV_OK &&
                   nginx_start(&nginx, locations) &&
                   nginx_file(&nginx, "long", "", 20000)
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
        cmocka_unit_test(answer_has_status_line_headers_and_body),
        cmocka_unit_test(headers_keep_their_order_and_repeat),
        cmocka_unit_test(every_status_is_an_answer),
        cmocka_unit_test(redirects_are_followed),
        cmocka_unit_test(redirects_are_handed_over_when_asked),
        cmocka_unit_test(endless_redirects_end),
        cmocka_unit_test(redirects_to_other_protocols_are_refused),
        cmocka_unit_test(compressed_bodies_come_out_decoded),
        cmocka_unit_test(get_sends_no_body_and_the_agent),
        cmocka_unit_test(post_sends_its_body_without_a_made_up_type),
        cmocka_unit_test(get_may_carry_a_body),
        cmocka_unit_test(headers_of_the_request_win),
        cmocka_unit_test(head_gets_headers_only),
        cmocka_unit_test(bad_requests_are_refused_at_once),
        cmocka_unit_test(malformed_addresses_are_told_in_the_callback),
        cmocka_unit_test(body_above_its_ceiling_is_refused),
        cmocka_unit_test(slow_answers_hit_the_time_limit),
        cmocka_unit_test(silent_servers_hit_the_time_limit),
        cmocka_unit_test(refused_connections_are_told),
        cmocka_unit_test(unknown_hosts_are_told),
        cmocka_unit_test(bodies_that_do_not_end_may_be_cut),
        cmocka_unit_test(broken_answers_are_told),
        cmocka_unit_test(odd_but_legal_answers_are_taken),
        cmocka_unit_test(headers_above_their_ceiling_are_refused),
        cmocka_unit_test(private_ca_is_trusted_when_named),
        cmocka_unit_test(unknown_ca_and_wrong_names_are_refused),
        cmocka_unit_test(missing_ca_file_is_told_at_once),
        cmocka_unit_test(proxies_come_from_option_and_environment),
        cmocka_unit_test(cancelled_calls_complete_once),
        cmocka_unit_test(destroying_drops_what_is_under_way),
        cmocka_unit_test(destroying_drops_what_is_connecting),
        cmocka_unit_test(callback_may_destroy_the_client),
        cmocka_unit_test(connections_are_reused),
        cmocka_unit_test(requests_of_one_client_do_not_mix),
        cmocka_unit_test(idle_connections_let_the_loop_end),
        cmocka_unit_test(connections_closed_while_idle_are_made_anew),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
