#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "base/field.h"
#include "base/mem.h"
#include "loop/net.h"

static struct flv_loop *loop;

/* ---- Two ends ---------------------------------------------------------- */

struct end {
    struct flv_reader reader; /* first */
    struct flv_conn *conn;
    struct flv_buf got;
    struct flv_write write;
    size_t space;
    int ended, wrote;
    flv_rc end_rc, write_rc;
    bool inside;
};

static struct flv_listener *listener;
static struct flv_connect dial;
static struct end near_end, far_end;
static int accepted, closed, dialed;
static flv_rc dial_rc;
static struct flv_err dial_err;
static struct flv_timer guard;

static void *give_space(struct flv_reader *r, size_t *out_size)
{
    struct end *e = (struct end *)r;
    uint8_t *p = flv_conn_scratch(e->conn, out_size);

    if (e->space > 0) {
        *out_size = e->space;
    }
    return p;
}

static void wrote(struct flv_write *w, flv_rc rc)
{
    struct end *e = FLV_OWNER_OF(w, struct end, write);

    e->wrote += e->inside ? 1000 : 1;
    e->write_rc = rc;
}

static int others;

static void wrote_other(struct flv_write *w, flv_rc rc)
{
    (void)w;
    others += rc == FLV_OK;
}

static void take_data(struct flv_reader *r, size_t n)
{
    struct end *e = (struct end *)r;
    size_t size;
    void *scratch = flv_conn_scratch(e->conn, &size);

    if (flv_buf_add(&e->got, scratch, n) != FLV_OK) {
        abort();
    }
}

static void take_end(struct flv_reader *r, flv_rc rc)
{
    struct end *e = (struct end *)r;

    e->ended++;
    e->end_rc = rc;
    flv_loop_stop(loop);
}

static void end_open(struct end *e, struct flv_conn *conn)
{
    flv_buf_init(&e->got, 256 << 20);
    e->reader = (struct flv_reader){
        .space = give_space, .data = take_data, .end = take_end};
    e->conn = conn;
}

static void on_accepted(void *ctx, struct flv_conn *conn)
{
    (void)ctx;
    accepted++;
    end_open(&far_end, conn);
    if (dialed > 0) {
        flv_loop_stop(loop);
    }
}

static void on_dialed(struct flv_connect *c,
                      flv_rc rc,
                      struct flv_conn *conn,
                      const struct flv_err *err)
{
    (void)c;
    dialed++;
    dial_rc = rc;
    dial_err = *err;
    if (conn != NULL) {
        end_open(&near_end, conn);
    }
    if (accepted > 0 || conn == NULL) {
        flv_loop_stop(loop);
    }
}

static void on_closed(void *ctx)
{
    (void)ctx;
    closed++;
}

static void too_late(struct flv_timer *t)
{
    (void)t;
    fprintf(stderr, "nothing happened for too long\n");
    abort();
}

static struct flv_slice one(const void *data, size_t len)
{
    return flv_slice(data, len);
}

static void send_text(struct end *e, const char *text)
{
    struct flv_slice part = one(text, strlen(text));

    e->inside = true;
    flv_conn_write(e->conn, &e->write, &part, 1, wrote);
    e->inside = false;
}

static void run_until_count(const int *count, int n)
{
    while (*count < n) {
        (void)flv_loop_turn(loop, true);
    }
}

static void run_until_bytes(const struct end *e, size_t n)
{
    while (e->got.len < n) {
        (void)flv_loop_turn(loop, true);
    }
}

static int set_up(void **state)
{
    const struct flv_listen_conf conf = {.host = "127.0.0.1",
                                         .accepted = on_accepted};

    (void)state;
    accepted = closed = dialed = 0;
    memset(&near_end, 0, sizeof(near_end));
    memset(&far_end, 0, sizeof(far_end));
    if (flv_loop_create(&loop, 0, NULL) != FLV_OK ||
        flv_listener_open(&listener, loop, &conf, NULL) != FLV_OK) {
        return -1;
    }
    flv_timer_init(&guard, loop, too_late);
    dial = (struct flv_connect){.host = "127.0.0.1",
                                .port = flv_listener_port(listener),
                                .timeout_ms = 20000,
                                .done = on_dialed};
    return flv_timer_start(&guard, 30000, 0, NULL) == FLV_OK ? 0 : -1;
}

static int connect_ends(void **state)
{
    if (set_up(state) != 0 || flv_connect_start(&dial, loop, NULL) != FLV_OK) {
        return -1;
    }
    flv_loop_run(loop);
    return near_end.conn != NULL && far_end.conn != NULL ? 0 : -1;
}

static void end_close(struct end *e)
{
    if (e->conn != NULL) {
        flv_conn_close(e->conn, on_closed, NULL);
        e->conn = NULL;
    }
    flv_buf_deinit(&e->got);
}

static int tear_down(void **state)
{
    (void)state;
    end_close(&near_end);
    end_close(&far_end);
    if (listener != NULL) {
        flv_listener_close(listener, on_closed, NULL);
        listener = NULL;
    }
    flv_timer_stop(&guard);
    flv_loop_run(loop);
    flv_loop_destroy(loop);
    return 0;
}

/* ---- Tests ------------------------------------------------------------- */

static void bytes_go_both_ways(void **state)
{
    char peer[FLV_ADDRESS_MAX];

    (void)state;
    flv_conn_read_start(far_end.conn, &far_end.reader);
    flv_conn_read_start(near_end.conn, &near_end.reader);
    send_text(&near_end, "hello");
    run_until_bytes(&far_end, 5);
    assert_memory_equal(far_end.got.data, "hello", 5);
    send_text(&far_end, "there");
    run_until_bytes(&near_end, 5);
    assert_memory_equal(near_end.got.data, "there", 5);
    run_until_count(&far_end.wrote, 1);
    assert_int_equal(near_end.wrote, 1);
    assert_int_equal(far_end.wrote, 1);
    assert_int_equal(near_end.write_rc, FLV_OK);
    snprintf(peer, sizeof(peer), "127.0.0.1:%u", flv_listener_port(listener));
    assert_string_equal(flv_conn_peer(near_end.conn), peer);
    assert_string_equal(flv_listener_address(listener), peer);
    assert_string_equal(flv_conn_peer(far_end.conn),
                        flv_conn_local(near_end.conn));
}

#define BIG (24U << 20)

static void large_writes_arrive_whole_and_in_order(void **state)
{
    static struct flv_write writes[2];
    struct flv_slice parts[100];
    uint8_t *data = flv_alloc(BIG);
    size_t at = 0;

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < BIG; i++) {
        data[i] = (uint8_t)(i * 7 + (i >> 11));
    }
    /* 100 parts of different sizes, some of them empty, in one write; before
     * and behind it small ones. */
    for (size_t i = 0; i < COUNT(parts); i++) {
        size_t n = i % 7 == 0 ? 0 : (BIG - 20) / 100 + i * 100 - 4950;

        parts[i] = flv_slice(data + 10 + at, n);
        at += n;
    }
    near_end.write_rc = FLV_E_IO;
    flv_conn_write(near_end.conn, &writes[0], &(struct flv_slice){data, 10}, 1,
                   wrote_other);
    flv_conn_write(near_end.conn, &near_end.write, parts, COUNT(parts), wrote);
    flv_conn_write(near_end.conn, &writes[1],
                   &(struct flv_slice){data + 10 + at, 10}, 1, wrote_other);
    assert_true(flv_conn_write_pending(near_end.conn) > 0);
    assert_int_equal(near_end.wrote, 0);
    far_end.space = 60000;
    flv_conn_read_start(far_end.conn, &far_end.reader);
    run_until_bytes(&far_end, at + 20);
    assert_memory_equal(far_end.got.data, data, at + 20);
    run_until_count(&others, 2);
    assert_int_equal(near_end.wrote, 1);
    assert_int_equal(near_end.write_rc, FLV_OK);
    assert_int_equal(flv_conn_write_pending(near_end.conn), 0);
    flv_free(data);
}

static void an_empty_write_completes(void **state)
{
    (void)state;
    send_text(&near_end, "");
    run_until_count(&near_end.wrote, 1);
    assert_int_equal(near_end.write_rc, FLV_OK);
}

static void a_stopped_reader_hears_nothing(void **state)
{
    (void)state;
    flv_conn_read_start(far_end.conn, &far_end.reader);
    flv_conn_read_start(near_end.conn, &near_end.reader);
    flv_conn_read_stop(far_end.conn);
    assert_false(flv_conn_reading(far_end.conn));
    send_text(&near_end, "x");
    run_until_count(&near_end.wrote, 1);
    /* The other direction proves that the byte had time to arrive. */
    send_text(&far_end, "y");
    run_until_bytes(&near_end, 1);
    assert_int_equal(far_end.got.len, 0);
    flv_conn_read_start(far_end.conn, &far_end.reader);
    run_until_bytes(&far_end, 1);
}

static void the_peers_end_is_told_once(void **state)
{
    (void)state;
    flv_conn_read_start(far_end.conn, &far_end.reader);
    flv_conn_close(near_end.conn, on_closed, NULL);
    near_end.conn = NULL;
    run_until_count(&far_end.ended, 1);
    assert_int_equal(far_end.end_rc, FLV_OK);
    flv_conn_read_start(far_end.conn, &far_end.reader);
    assert_false(flv_conn_reading(far_end.conn));
    run_until_count(&closed, 1);
    assert_int_equal(far_end.ended, 1);
}

static void closing_cancels_pending_writes(void **state)
{
    uint8_t *data = flv_zalloc(1, BIG);
    struct flv_slice part = flv_slice(data, BIG);

    (void)state;
    assert_non_null(data);
    flv_conn_write(near_end.conn, &near_end.write, &part, 1, wrote);
    near_end.inside = true;
    flv_conn_close(near_end.conn, on_closed, NULL);
    near_end.inside = false;
    near_end.conn = NULL;
    run_until_count(&closed, 1);
    assert_int_equal(near_end.wrote, 1);
    assert_int_equal(near_end.write_rc, FLV_E_CANCELED);
    flv_free(data);
}

/* The descriptor of far_end: the one whose peer is near_end. */
static int far_socket(void)
{
    char peer[FLV_ADDRESS_MAX];

    for (int fd = 3; fd < 64; fd++) {
        struct sockaddr_in addr = {.sin_family = AF_UNSPEC};
        socklen_t len = sizeof(addr);

        if (getpeername(fd, (struct sockaddr *)&addr, &len) == 0 &&
            addr.sin_family == AF_INET) {
            snprintf(peer, sizeof(peer), "127.0.0.1:%u", ntohs(addr.sin_port));
            if (strcmp(peer, flv_conn_peer(far_end.conn)) == 0) {
                return fd;
            }
        }
    }
    abort();
}

/* What the far end has sent so far. */
static uint32_t packets_sent(void)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    memset(&info, 0, sizeof(info));
    assert_int_equal(
        getsockopt(far_socket(), IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_data_segs_out;
}

/* Many answers of one turn cost one call and one packet. */
static void what_is_written_in_one_turn_goes_out_together(void **state)
{
    struct flv_write writes[20];
    const struct flv_slice part = one("answer", 6);

    (void)state;
    others = 0;
    flv_conn_read_start(near_end.conn, &near_end.reader);
    assert_int_equal(packets_sent(), 0);
    for (size_t i = 0; i < COUNT(writes); i++) {
        flv_conn_write(far_end.conn, &writes[i], &part, 1, wrote_other);
    }
    run_until_bytes(&near_end, 6 * COUNT(writes));
    run_until_count(&others, COUNT(writes));
    assert_int_equal(packets_sent(), 1);
}

/* ... and is not lost when the turn ends with a close. */
static void what_was_written_before_a_close_is_sent(void **state)
{
    (void)state;
    flv_conn_read_start(near_end.conn, &near_end.reader);
    send_text(&far_end, "farewell");
    flv_conn_close(far_end.conn, on_closed, NULL);
    far_end.conn = NULL;
    run_until_count(&near_end.ended, 1);
    assert_int_equal(near_end.got.len, 8);
    assert_int_equal(far_end.wrote, 1);
    assert_int_equal(far_end.write_rc, FLV_OK);
}

static void writing_to_a_broken_connection_fails_each_write(void **state)
{
    const struct linger hard = {.l_onoff = 1};
    int rounds = 0, fd = far_socket();

    (void)state;
    /* A reset instead of an orderly end. */
    flv_conn_read_start(near_end.conn, &near_end.reader);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)),
                     0);
    flv_conn_close(far_end.conn, NULL, NULL);
    far_end.conn = NULL;
    run_until_count(&near_end.ended, 1);
    assert_int_equal(near_end.end_rc, FLV_E_CLOSED);
    assert_non_null(strstr(flv_conn_error(near_end.conn)->text, "127.0.0.1"));
    for (; rounds < 3; rounds++) {
        near_end.wrote = 0;
        send_text(&near_end, "x");
        run_until_count(&near_end.wrote, 1);
        assert_int_equal(near_end.write_rc, FLV_E_CLOSED);
    }
}

static void a_gentle_close_delivers_the_last_answer(void **state)
{
    uint8_t *data = flv_zalloc(1, BIG);
    struct flv_slice part = flv_slice(data, BIG);

    (void)state;
    assert_non_null(data);
    /* Unread input would turn a plain close into a reset. */
    send_text(&near_end, "a question that is never read");
    run_until_count(&near_end.wrote, 1);
    flv_conn_write(far_end.conn, &far_end.write, &part, 1, wrote);
    flv_conn_close_gently(far_end.conn, 20000, on_closed, NULL);
    far_end.conn = NULL;
    flv_conn_read_start(near_end.conn, &near_end.reader);
    run_until_count(&near_end.ended, 1);
    assert_int_equal(near_end.got.len, BIG);
    assert_int_equal(near_end.end_rc, FLV_OK);
    assert_int_equal(closed, 0);
    flv_conn_close(near_end.conn, NULL, NULL);
    near_end.conn = NULL;
    run_until_count(&closed, 1);
    assert_int_equal(far_end.write_rc, FLV_OK);
    flv_free(data);
}

static void a_gentle_close_gives_up_in_time(void **state)
{
    (void)state;
    flv_conn_close_gently(far_end.conn, 20, on_closed, NULL);
    far_end.conn = NULL;
    run_until_count(&closed, 1);
}

static void a_refused_connection_says_so(void **state)
{
    char want[100];

    (void)state;
    flv_listener_close(listener, on_closed, NULL);
    listener = NULL;
    run_until_count(&closed, 1);
    assert_int_equal(flv_connect_start(&dial, loop, NULL), FLV_OK);
    assert_int_equal(dialed, 0);
    flv_loop_run(loop);
    assert_int_equal(dial_rc, FLV_E_CONNECT);
    snprintf(want, sizeof(want),
             "cannot connect to 127.0.0.1:%u: Connection refused", dial.port);
    assert_string_equal(dial_err.text, want);
    dial.host = "localhost";
    assert_int_equal(flv_connect_start(&dial, loop, NULL), FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(dial_rc, FLV_E_CONNECT);
    assert_non_null(strstr(dial_err.text, "Connection refused"));
    assert_int_equal(dialed, 2);
}

/* A listening socket with a full queue answers no further SYN. */
static int deaf_socket(uint16_t *out_port, int *fillers, size_t count)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    for (size_t i = 0; i < count; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&addr, sizeof(addr));
    }
    *out_port = ntohs(addr.sin_port);
    return fd;
}

static void connecting_has_a_time_limit(void **state)
{
    int fillers[4];
    int fd;

    (void)state;
    fd = deaf_socket(&dial.port, fillers, COUNT(fillers));
    dial.timeout_ms = 30;
    assert_int_equal(flv_connect_start(&dial, loop, NULL), FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(dialed, 1);
    assert_int_equal(dial_rc, FLV_E_TIMEOUT);
    assert_non_null(strstr(dial_err.text, "within 30 ms"));
    dial.timeout_ms = 20000;
    assert_int_equal(flv_connect_start(&dial, loop, NULL), FLV_OK);
    (void)flv_loop_turn(loop, false);
    flv_connect_cancel(&dial);
    assert_int_equal(dialed, 1);
    flv_loop_run(loop);
    assert_int_equal(dialed, 2);
    assert_int_equal(dial_rc, FLV_E_CANCELED);
    flv_connect_cancel(&dial);
    for (size_t i = 0; i < COUNT(fillers); i++) {
        close(fillers[i]);
    }
    close(fd);
}

static void names_are_looked_up(void **state)
{
    (void)state;
    dial.host = "localhost";
    assert_int_equal(flv_connect_start(&dial, loop, NULL), FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(dial_rc, FLV_OK);
    assert_int_equal(accepted, 1);
    end_close(&near_end);
    end_close(&far_end);
    dial.host = "no-such-host.invalid";
    assert_int_equal(flv_connect_start(&dial, loop, NULL), FLV_OK);
    flv_loop_run(loop);
    assert_int_equal(dial_rc, FLV_E_CONNECT);
    assert_non_null(strstr(
        dial_err.text, "cannot find the address of 'no-such-host.invalid'"));
    dial.host = "";
    assert_int_equal(flv_connect_start(&dial, loop, NULL), FLV_E_INVALID);
}

static void a_lookup_given_up_does_not_hold_the_loop(void **state)
{
    (void)state;
    dial.host = "no-such-host.invalid";
    assert_int_equal(flv_connect_start(&dial, loop, NULL), FLV_OK);
    flv_connect_cancel(&dial);
    flv_loop_run(loop);
    assert_int_equal(dialed, 1);
    assert_int_equal(dial_rc, FLV_E_CANCELED);
    /* The loop goes away with the thread still at it. */
}

static void a_port_in_use_is_named(void **state)
{
    struct flv_listen_conf conf = {.host = "127.0.0.1",
                                   .port = flv_listener_port(listener),
                                   .accepted = on_accepted};
    struct flv_listener *second = NULL;
    struct flv_err err;
    char want[200];

    (void)state;
    assert_int_equal(flv_listener_open(&second, loop, &conf, &err),
                     FLV_E_EXISTS);
    snprintf(want, sizeof(want),
             "port %u of 127.0.0.1 is in use by another program; stop it or "
             "choose another port",
             conf.port);
    assert_string_equal(err.text, want);
    conf.host = "192.0.2.1";
    assert_int_equal(flv_listener_open(&second, loop, &conf, &err),
                     FLV_E_INVALID);
    assert_string_equal(err.text, "192.0.2.1 is not an address of this "
                                  "machine");
    assert_null(second);
}

static void addresses_are_split(void **state)
{
    static const struct {
        const char *text;
        uint16_t fallback;
        const char *host; /* NULL: refused */
        uint16_t port;
    } rows[] = {
        {"localhost:9003", 0, "localhost", 9003},
        {"localhost", 9003, "localhost", 9003},
        {"[::1]:80", 0, "::1", 80},
        {"[::1]", 81, "::1", 81},
        {"::1", 82, "::1", 82},
        {"localhost", 0, NULL, 0},
        {"", 9003, NULL, 0},
        {":80", 0, NULL, 0},
        {"a:", 80, NULL, 0},
        {"a:0", 80, NULL, 0},
        {"a:65536", 80, NULL, 0},
        {"a:8x", 80, NULL, 0},
        {"[::1]x", 80, NULL, 0},
        {"http://a:80", 80, NULL, 0},
        {"a b:80", 80, NULL, 0},
        {"averyveryverylonghostname:80", 80, NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char host[20];
        uint16_t port = 0;
        flv_rc rc = flv_net_split(rows[i].text, rows[i].fallback, host,
                                  sizeof(host), &port, NULL);

        assert_int_equal(rc, rows[i].host != NULL ? FLV_OK : FLV_E_INVALID);
        if (rows[i].host != NULL) {
            assert_string_equal(host, rows[i].host);
            assert_int_equal(port, rows[i].port);
        }
    }
    assert_true(flv_net_is_loopback("localhost"));
    assert_true(flv_net_is_loopback("127.8.9.1"));
    assert_true(flv_net_is_loopback("::1"));
    assert_false(flv_net_is_loopback("0.0.0.0"));
    assert_false(flv_net_is_loopback("example.org"));
}

static void a_connection_without_memory_is_dropped(void **state)
{
    uint64_t n = 1;

    (void)state;
    /* Each allocation from the start on fails once; none stalls the ends. */
    for (; n < 12; n++) {
        flv__mem_fail_at(n);
        accepted = 0;
        dialed = 0;
        if (flv_connect_start(&dial, loop, NULL) == FLV_OK) {
            run_until_count(&dialed, 1);
        }
        flv__mem_fail_at(0);
        if (dialed > 0 && dial_rc == FLV_OK) {
            flv_conn_read_start(near_end.conn, &near_end.reader);
            while (accepted == 0 && near_end.ended == 0) {
                (void)flv_loop_turn(loop, true);
            }
        }
        end_close(&near_end);
        end_close(&far_end);
        near_end.ended = 0;
    }
    dialed = 0;
    accepted = 0;
    assert_int_equal(flv_connect_start(&dial, loop, NULL), FLV_OK);
    run_until_count(&accepted, 1);
    run_until_count(&dialed, 1);
    assert_int_equal(dial_rc, FLV_OK);
}

#define ALONE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define BOTH(name)                                                             \
    cmocka_unit_test_setup_teardown(name, connect_ends, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(bytes_go_both_ways),
        BOTH(large_writes_arrive_whole_and_in_order),
        BOTH(an_empty_write_completes),
        BOTH(a_stopped_reader_hears_nothing),
        BOTH(the_peers_end_is_told_once),
        BOTH(closing_cancels_pending_writes),
        BOTH(what_is_written_in_one_turn_goes_out_together),
        BOTH(what_was_written_before_a_close_is_sent),
        BOTH(writing_to_a_broken_connection_fails_each_write),
        BOTH(a_gentle_close_delivers_the_last_answer),
        BOTH(a_gentle_close_gives_up_in_time),
        ALONE(a_refused_connection_says_so),
        ALONE(connecting_has_a_time_limit),
        ALONE(names_are_looked_up),
        ALONE(a_lookup_given_up_does_not_hold_the_loop),
        ALONE(a_port_in_use_is_named),
        ALONE(addresses_are_split),
        ALONE(a_connection_without_memory_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
