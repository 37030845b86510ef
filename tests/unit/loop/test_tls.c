#include <stdlib.h>
#include <unistd.h>
#include <stdio.h>
#include <string.h>

#include "base/field.h"
#include "cm.h"
#include "loop/net.h"
#include "loop/tls.h"
#include "nginx.h"

#define BIG ((size_t)3 * 1024 * 1024)

static struct nginx nginx;
static struct flv_loop *loop;

/* One request over TLS and what came back. */
struct talk {
    struct flv_connect connect;
    struct flv_conn *conn;
    struct flv_reader reader;
    struct flv_write write[2];
    struct flv_slice parts[2];
    struct flv_err err;
    char head[4096]; /* the beginning of the answer */
    size_t got;
    size_t room; /* bytes taken at once; 0: as many as come */
    unsigned stops;
    char byte[64];
    bool written, ended;
    flv_rc end_rc;
};

static void *space(struct flv_reader *r, size_t *out_size)
{
    struct talk *t = FLV_OWNER_OF(r, struct talk, reader);
    if (t->room > 0) {
        *out_size = t->room < sizeof(t->byte) ? t->room : sizeof(t->byte);
        return t->byte;
    }
    return flv_conn_scratch(t->conn, out_size);
}

static void data(struct flv_reader *r, size_t n)
{
    struct talk *t = FLV_OWNER_OF(r, struct talk, reader);
    size_t size = 0;
    const char *from = t->room > 0 ? t->byte : flv_conn_scratch(t->conn, &size);
    for (size_t i = 0; i < n && t->got + i < sizeof(t->head) - 1; i++) {
        t->head[t->got + i] = from[i];
    }
    t->got += n;
    if (t->room > 0 && t->got % 5 == 0) {
        flv_conn_read_stop(t->conn); /* and the loop of the test goes on */
        t->stops++;
    }
}

static void ended(struct flv_reader *r, flv_rc rc)
{
    struct talk *t = FLV_OWNER_OF(r, struct talk, reader);
    t->ended = true;
    t->end_rc = rc;
}

static void written(struct flv_write *w, flv_rc rc)
{
    assert_int_equal(rc, FLV_OK);
    (void)w;
}

static void connected(struct flv_connect *c,
                      flv_rc rc,
                      struct flv_conn *conn,
                      const struct flv_err *err)
{
    struct talk *t = FLV_OWNER_OF(c, struct talk, connect);
    t->conn = conn;
    if (rc != FLV_OK) {
        t->err = *err;
        t->ended = true;
        return;
    }
    t->reader = (struct flv_reader){.space = space, .data = data, .end = ended};
    flv_conn_read_start(conn, &t->reader);
    for (int i = 0; i < 2; i++) {
        flv_conn_write(conn, &t->write[i], &t->parts[i], 1, written);
    }
}

static struct flv_tls *make_tls(const char *ca)
{
    char path[256];
    struct flv_tls *tls = NULL;
    struct flv_err err = {0};
    (void)snprintf(path, sizeof(path), "%s/%s", nginx.tmp.path, ca);
    const struct flv_tls_conf conf = {.ca.file = ca[0] != '\0' ? path : NULL};
    if (flv_tls_create(&tls, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return tls;
}

static void talk(struct talk *t,
                 struct flv_tls *tls,
                 const char *host,
                 unsigned port,
                 const char *head,
                 struct flv_slice body)
{
    struct flv_err err = {0};
    t->parts[0] = flv_slice_str(head);
    t->parts[1] = body;
    t->connect = (struct flv_connect){.tls = tls,
                                      .host = host,
                                      .port = (uint16_t)port,
                                      .timeout_ms = 20000,
                                      .done = connected};
    assert_int_equal(flv_connect_start(&t->connect, loop, &err), FLV_OK);
    while (!t->ended) {
        (void)flv_loop_turn(loop, true);
        if (t->conn != NULL && !t->ended && !flv_conn_reading(t->conn)) {
            flv_conn_read_start(t->conn, &t->reader);
        }
    }
    if (t->conn != NULL) {
        flv_conn_close_gently(t->conn, 100, NULL, NULL);
    }
    flv_loop_run(loop);
}

static void bytes_go_both_ways(void **state)
{
    struct talk t = {.room = 0};
    struct flv_tls *tls = make_tls("ca.pem");
    (void)state;
    talk(&t, tls, "localhost", nginx.tls_port,
         "GET /fact HTTP/1.0\r\nHost: localhost\r\n\r\n", flv_slice(NULL, 0));
    assert_int_equal(t.end_rc, FLV_OK);
    assert_non_null(strstr(t.head, "200 OK"));
    assert_non_null(strstr(t.head, "over TLS"));
    flv_tls_destroy(tls);
}

static void much_arrives_whole(void **state)
{
    struct talk t = {.room = 0};
    struct flv_tls *tls = make_tls("ca.pem");
    (void)state;
    assert_true(nginx_file(&nginx, "big", "begin", BIG));
    talk(&t, tls, "localhost", nginx.tls_port,
         "GET /big HTTP/1.0\r\nHost: localhost\r\n\r\n", flv_slice(NULL, 0));
    assert_int_equal(t.end_rc, FLV_OK);
    assert_in_range(t.got, BIG + 100, BIG + 1000);
    flv_tls_destroy(tls);
}

static void a_reader_may_take_little_and_stop(void **state)
{
    struct talk t = {.room = 7};
    struct flv_tls *tls = make_tls("ca.pem");
    (void)state;
    assert_true(nginx_file(&nginx, "some", "begin", 50000));
    talk(&t, tls, "localhost", nginx.tls_port,
         "GET /some HTTP/1.0\r\nHost: localhost\r\n\r\n", flv_slice(NULL, 0));
    assert_int_equal(t.end_rc, FLV_OK);
    assert_true(t.stops > 100);
    assert_in_range(t.got, 50100, 51000);
    flv_tls_destroy(tls);
}

static void much_is_sent_whole(void **state)
{
    struct talk t = {.room = 0};
    struct flv_tls *tls = make_tls("ca.pem");
    char head[128];
    char *body = malloc(BIG);
    (void)state;
    assert_non_null(body);
    memset(body, 'x', BIG);
    (void)snprintf(head, sizeof(head),
                   "POST /length HTTP/1.0\r\nHost: localhost\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   BIG);
    talk(&t, tls, "localhost", nginx.tls_port, head, flv_slice(body, BIG));
    assert_non_null(strstr(t.head, "took 3145728"));
    free(body);
    flv_tls_destroy(tls);
}

static void
refused(const char *ca, const char *host, unsigned port, const char *why)
{
    struct talk t = {.room = 0};
    struct flv_tls *tls = make_tls(ca);
    talk(&t, tls, host, port, "", flv_slice(NULL, 0));
    assert_null(t.conn);
    if (strstr(t.err.text, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", t.err.text, why);
    }
    flv_tls_destroy(tls);
}

static void whoever_is_not_who_they_should_be_is_refused(void **state)
{
    (void)state;
    /* The system does not know our CA. */
    refused("", "localhost", nginx.tls_port, "certificate");
    /* The certificate is for localhost, not for its address. */
    refused("ca.pem", "127.0.0.1", nginx.tls_port, "mismatch");
    /* Not TLS at all. */
    refused("ca.pem", "localhost", nginx.port, "TLS with");
}

static void silence_ends_with_the_limit(void **state)
{
    struct talk t = {.room = 0};
    struct flv_tls *tls = make_tls("ca.pem");
    unsigned port = 0;
    struct flv_err err = {0};
    int fd = tcp_listen(&port);
    (void)state;
    t.connect = (struct flv_connect){.tls = tls,
                                     .host = "127.0.0.1",
                                     .port = (uint16_t)port,
                                     .timeout_ms = 50,
                                     .done = connected};
    assert_int_equal(flv_connect_start(&t.connect, loop, &err), FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(t.err.rc, FLV_E_TIMEOUT);
    /* TLS may have a limit of its own, whatever that of the address is. */
    t.connect.timeout_ms = 20000;
    t.connect.tls_timeout_ms = 60;
    t.err = (struct flv_err){0};
    assert_int_equal(flv_connect_start(&t.connect, loop, &err), FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(t.err.rc, FLV_E_TIMEOUT);
    assert_non_null(strstr(t.err.text, "accepted the connection but did not "
                                       "answer within 60 ms"));
    /* And may be given up before. */
    t.connect.tls_timeout_ms = 0;
    t.err = (struct flv_err){0};
    assert_int_equal(flv_connect_start(&t.connect, loop, &err), FLV_OK);
    (void)flv_loop_turn(loop, false);
    flv_connect_cancel(&t.connect);
    flv_loop_run(loop);
    assert_int_equal(t.err.rc, FLV_E_CANCELED);
    (void)close(fd);
    flv_tls_destroy(tls);
}

static void bad_files_are_named(void **state)
{
    struct flv_tls *tls = NULL;
    struct flv_err err = {0};
    char cert[256], key[256];
    (void)state;
    (void)snprintf(cert, sizeof(cert), "%s/tls.pem", nginx.tmp.path);
    (void)snprintf(key, sizeof(key), "%s/ca.key", nginx.tmp.path);
    struct flv_tls_conf conf = {.ca.file = "/no/such/file"};
    assert_int_equal(flv_tls_create(&tls, &conf, &err), FLV_E_INVALID);
    assert_non_null(strstr(err.text, "/no/such/file"));
    conf = (struct flv_tls_conf){.cert.file = cert};
    assert_int_equal(flv_tls_create(&tls, &conf, &err), FLV_E_INVALID);
    conf.key.file = key; /* of another certificate */
    assert_int_equal(flv_tls_create(&tls, &conf, &err), FLV_E_INVALID);
    assert_non_null(strstr(err.text, "key"));
}

/* ---- our own side as the server ---- */

/* Sends back what comes, until the client ends its half. */
struct echo {
    struct flv_listener *listener;
    struct flv_conn *conn;
    struct flv_reader reader;
    struct flv_write write;
    char bytes[4096];
    unsigned accepted;
};

static void *echo_space(struct flv_reader *r, size_t *out_size)
{
    struct echo *e = FLV_OWNER_OF(r, struct echo, reader);
    *out_size = sizeof(e->bytes);
    return e->bytes;
}

static void echoed(struct flv_write *w, flv_rc rc)
{
    struct echo *e = FLV_OWNER_OF(w, struct echo, write);
    if (rc == FLV_OK) {
        flv_conn_close_gently(e->conn, 1000, NULL, NULL);
    }
}

static void echo_data(struct flv_reader *r, size_t n)
{
    struct echo *e = FLV_OWNER_OF(r, struct echo, reader);
    const struct flv_slice part = flv_slice(e->bytes, n);
    flv_conn_read_stop(e->conn);
    flv_conn_write(e->conn, &e->write, &part, 1, echoed);
}

static void echo_end(struct flv_reader *r, flv_rc rc)
{
    struct echo *e = FLV_OWNER_OF(r, struct echo, reader);
    (void)rc;
    flv_conn_close(e->conn, NULL, NULL);
}

static void echo_accepted(void *ctx, struct flv_conn *conn)
{
    struct echo *e = ctx;
    e->accepted++;
    e->conn = conn;
    e->reader = (struct flv_reader){
        .space = echo_space, .data = echo_data, .end = echo_end};
    flv_conn_read_start(conn, &e->reader);
}

static char *pem_text(const char *name)
{
    static char text[3][8192];
    static unsigned turn;
    char path[256];
    char *out = text[turn++ % 3];
    (void)snprintf(path, sizeof(path), "%s/%s", nginx.tmp.path, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(out, 1, sizeof(text[0]) - 1, f);
    out[n] = '\0';
    (void)fclose(f);
    return out;
}

static struct flv_tls *make_side(bool server, bool ca, bool own)
{
    struct flv_tls *tls = NULL;
    struct flv_err err = {0};
    struct flv_tls_conf conf = {.server = server};
    if (ca) {
        conf.ca.text = pem_text("ca.pem");
    }
    if (own) {
        conf.cert.text = pem_text("tls.pem");
        conf.key.text = pem_text("tls.key");
    }
    if (flv_tls_create(&tls, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return tls;
}

/* What a client that is made so hears from a server that is made so. */
static void shake_hands(struct talk *t,
                        struct flv_tls *server,
                        struct flv_tls *client,
                        const char *name)
{
    struct echo e = {.accepted = 0};
    struct flv_err err = {0};
    const struct flv_listen_conf conf = {.host = "127.0.0.1",
                                         .tls = server,
                                         .accepted = echo_accepted,
                                         .ctx = &e};
    assert_int_equal(flv_listener_open(&e.listener, loop, &conf, &err), FLV_OK);
    t->parts[0] = flv_slice_str("over and back");
    t->connect = (struct flv_connect){.tls = client,
                                      .host = "127.0.0.1",
                                      .name = name,
                                      .port = flv_listener_port(e.listener),
                                      .timeout_ms = 20000,
                                      .done = connected};
    assert_int_equal(flv_connect_start(&t->connect, loop, &err), FLV_OK);
    while (!t->ended) {
        (void)flv_loop_turn(loop, true);
    }
    if (t->conn != NULL) {
        t->err = *flv_conn_error(t->conn);
        flv_conn_close(t->conn, NULL, NULL);
    }
    flv_listener_close(e.listener, NULL, NULL);
    flv_loop_run(loop);
    flv_tls_destroy(server);
    flv_tls_destroy(client);
}

static void a_server_shows_its_certificate(void **state)
{
    struct talk t = {.room = 0};
    (void)state;
    shake_hands(&t, make_side(true, false, true), make_side(false, true, false),
                "localhost");
    assert_string_equal(t.head, "over and back");
    /* By the address that was connected to it is somebody else. */
    t = (struct talk){.room = 0};
    shake_hands(&t, make_side(true, false, true), make_side(false, true, false),
                NULL);
    assert_int_equal(t.err.rc, FLV_E_REFUSED);
    assert_non_null(strstr(t.err.text, "mismatch"));
}

static void a_server_may_ask_for_certificates(void **state)
{
    struct talk t = {.room = 0};
    (void)state;
    shake_hands(&t, make_side(true, true, true), make_side(false, true, true),
                "localhost");
    assert_string_equal(t.head, "over and back");
    t = (struct talk){.room = 0};
    shake_hands(&t, make_side(true, true, true), make_side(false, true, false),
                "localhost");
    assert_int_equal(t.got, 0);
    assert_non_null(strstr(t.err.text, "certificate required"));
}

static void the_anonymous_believe_anybody(void **state)
{
    struct talk t = {.room = 0};
    struct flv_tls *tls = NULL;
    struct flv_err err = {0};
    const struct flv_tls_conf conf = {.anonymous = true};
    (void)state;
    assert_int_equal(flv_tls_create(&tls, &conf, &err), FLV_OK);
    shake_hands(&t, make_side(true, false, true), tls, "somebody.else");
    assert_string_equal(t.head, "over and back");
}

static void who_says_nothing_is_turned_away(void **state)
{
    struct echo e = {.accepted = 0};
    struct flv_err err = {0};
    struct talk t = {.room = 0};
    struct flv_tls *server = make_side(true, false, true);
    const struct flv_listen_conf conf = {.host = "127.0.0.1",
                                         .tls = server,
                                         .tls_timeout_ms = 50,
                                         .accepted = echo_accepted,
                                         .ctx = &e};
    (void)state;
    assert_int_equal(flv_listener_open(&e.listener, loop, &conf, &err), FLV_OK);
    for (int i = 0; i < 2; i++) { /* silence, and what is not TLS */
        t = (struct talk){.room = 0};
        t.parts[0] = flv_slice_str(i == 0 ? "" : "GET / HTTP/1.0\r\n\r\n");
        t.connect = (struct flv_connect){.host = "127.0.0.1",
                                         .port = flv_listener_port(e.listener),
                                         .timeout_ms = 20000,
                                         .done = connected};
        assert_int_equal(flv_connect_start(&t.connect, loop, &err), FLV_OK);
        while (!t.ended) {
            (void)flv_loop_turn(loop, true);
        }
        assert_non_null(t.conn);
        flv_conn_close(t.conn, NULL, NULL);
    }
    assert_int_equal(e.accepted, 0);
    /* One that is still waiting goes with the listener. */
    t = (struct talk){.room = 0};
    t.connect = (struct flv_connect){.host = "127.0.0.1",
                                     .port = flv_listener_port(e.listener),
                                     .timeout_ms = 20000,
                                     .done = connected};
    assert_int_equal(flv_connect_start(&t.connect, loop, &err), FLV_OK);
    while (t.conn == NULL) {
        (void)flv_loop_turn(loop, true);
    }
    (void)flv_loop_turn(loop, false);
    flv_listener_close(e.listener, NULL, NULL);
    flv_conn_close(t.conn, NULL, NULL);
    flv_loop_run(loop);
    flv_tls_destroy(server);
}

static int start(void **state)
{
    struct flv_err err = {0};
    (void)state;
    return nginx_start(&nginx, "location /fact { return 200 'over TLS'; }\n"
                               "client_max_body_size 8m;\n"
                               "location /length { proxy_pass "
                               "http://127.0.0.1:PORT/taken; }\n"
                               "location /taken { return 200 "
                               "'took $http_content_length'; }\n") &&
                   flv_loop_create(&loop, 0, &err) == FLV_OK
               ? 0
               : -1;
}

static int stop(void **state)
{
    (void)state;
    flv_loop_destroy(loop);
    nginx_stop(&nginx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(much_arrives_whole),
        cmocka_unit_test(a_reader_may_take_little_and_stop),
        cmocka_unit_test(much_is_sent_whole),
        cmocka_unit_test(whoever_is_not_who_they_should_be_is_refused),
        cmocka_unit_test(silence_ends_with_the_limit),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(a_server_shows_its_certificate),
        cmocka_unit_test(a_server_may_ask_for_certificates),
        cmocka_unit_test(the_anonymous_believe_anybody),
        cmocka_unit_test(who_says_nothing_is_turned_away),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
