#include "rig.h"

#include "base/rand.h"

#include <sys/resource.h>
#include <sys/socket.h>

/* A server must answer every one of these with an error or a close, and serve
 * others as before. */

static int setup(void **state)
{
    static struct rig r;
    rig_init(&r);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    if (r->pid > 0) {
        rig_stop(r);
    }
    rig_deinit(r);
    return 0;
}

/* False: the server turned the client away. */
static bool serves(struct rig *r)
{
    struct link sc;
    const struct flv_wire_list_request req = {0};
    struct flv_wire_topic_list resp;
    link_open(&sc, r->sc);
    (void)link_ask(&sc, FLV_API_SC_LIST, 19, &flv_wire_list_request_schema,
                   &req, "Topic");
    bool served = !link_ends_or_frame(&sc);
    if (served) {
        link_read(&sc, 19, &flv_wire_topic_list_schema, &resp, "Topic");
    }
    link_close(&sc);
    return served;
}

static void still_serves(struct rig *r)
{
    assert_true(serves(r));
}

/* The bytes go to both services; each ends the connection. */
static void both_end_after(struct rig *r, const void *bytes, size_t len)
{
    const uint16_t ports[2] = {r->sc, r->spu};
    for (int i = 0; i < 2; i++) {
        struct link l;
        link_open(&l, ports[i]);
        link_send(&l, bytes, len);
        assert_true(link_ends(&l));
        link_close(&l);
    }
    still_serves(r);
}

static size_t
header(uint8_t *out, uint32_t size, uint16_t api, uint16_t version)
{
    flv_put_u32(out, size);
    flv_put_u16(out + 4, api);
    flv_put_u16(out + 6, version);
    flv_put_u32(out + 8, 1);
    flv_put_u16(out + 12, 0);
    return 14;
}

static void unknown_key_ends_the_connection(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[64] = {0};
    rig_start(r);
    header(bytes, 10, 999, 0);
    both_end_after(r, bytes, 14);
    header(bytes, 10, 1001, 42);
    both_end_after(r, bytes, 14);
    header(bytes, 10, 18, 0x8000);
    both_end_after(r, bytes, 14);
}

static void lengths_that_cannot_be_end_the_connection(void **state)
{
    struct rig *r = *state;
    static const uint32_t sizes[] = {
        0, 1, 9, 0x7fffffff, 0x80000000, 0xffffffff, FLV_WIRE_FRAME_MAX + 1};
    rig_start(r);
    size_t before = rig_rss_bytes(r);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t bytes[64] = {0};
        header(bytes, sizes[i], 18, 2);
        both_end_after(r, bytes, sizeof bytes);
    }
    assert_true(rig_rss_bytes(r) < before + (16u << 20));
}

static void lying_counts_end_the_connection(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[64] = {0};
    rig_start(r);
    /* Produce: no transaction, acks, timeout, then 2^31-1 topics. */
    size_t n = header(bytes, 10 + 11, 0, 25);
    memset(bytes + n, 0, 7);
    flv_put_u32(bytes + n + 7, 0x7fffffff);
    struct link l;
    link_open(&l, r->spu);
    link_send(&l, bytes, n + 11);
    assert_true(link_ends(&l));
    link_close(&l);
    /* List: 2^31-1 name filters in an envelope whose own length lies, too. */
    n = header(bytes, 10 + 7 + 4 + 4, 1003, 19);
    memcpy(bytes + n, "\0\5Topic", 7);
    flv_put_u32(bytes + n + 7, 4);
    flv_put_u32(bytes + n + 11, 0x7fffffff);
    link_open(&l, r->sc);
    link_send(&l, bytes, n + 15);
    assert_true(link_ends(&l));
    link_close(&l);
    still_serves(r);
}

static void frames_cut_at_any_byte_leave_no_trace(void **state)
{
    struct rig *r = *state;
    struct flv_buf frame;
    rig_start(r);
    flv_buf_init(&frame, 4096);
    const struct flv_wire_topic_create body = {
        .common = {.name = flv_slice_str("cut")},
        .spec = {.replicas = {
                     .tag = FLV_WIRE_REPLICA_COMPUTED,
                     .computed = {.partitions = 1, .replication_factor = 1}}}};
    const struct flv_wire_request_header head = {
        .api_key = FLV_API_SC_CREATE, .version = 19, .correlation = 1};
    const struct flv_wire_message message = {.schema =
                                                 &flv_wire_topic_create_schema,
                                             .body = &body,
                                             .label = "Topic"};
    assert_int_equal(
        flv_wire_request_frame(&head, &message, &frame, NULL, NULL), FLV_OK);
    for (size_t cut = 0; cut < frame.len; cut++) {
        struct link l;
        link_open(&l, r->sc);
        link_send(&l, frame.data, cut);
        shutdown(l.fd, SHUT_WR);
        assert_true(link_ends(&l));
        link_close(&l);
        /* The same bytes as a whole frame whose length was cut as well. */
        if (cut > 4) {
            uint8_t shorter[4096];
            memcpy(shorter, frame.data, cut);
            flv_put_u32(shorter, (uint32_t)cut - 4);
            link_open(&l, r->sc);
            link_send(&l, shorter, cut);
            shutdown(l.fd, SHUT_WR);
            assert_true(link_ends(&l));
            link_close(&l);
        }
    }
    struct link sc;
    link_open(&sc, r->sc);
    assert_int_equal(rig_create_topic(&sc, "cut", 1), 0);
    link_close(&sc);
    flv_buf_deinit(&frame);
}

static void random_bytes_do_no_harm(void **state)
{
    struct rig *r = *state;
    rig_start(r);
    flv__rand_seed(4711);
    for (int round = 0; round < 300; round++) {
        uint8_t bytes[512];
        size_t len = 14 + flv_rand_below(sizeof bytes - 14);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)flv_rand_u64();
        }
        static const uint16_t keys[] = {18,   0,    1,    1001, 1002, 1003,
                                        1004, 1005, 1006, 1007, 1008, 30001};
        if (round % 4 != 0) { /* past the header, into the bodies */
            header(bytes, (uint32_t)len - 4,
                   keys[flv_rand_below(sizeof keys / sizeof keys[0])],
                   (uint16_t)(11 + flv_rand_below(15)));
        }
        struct link l;
        link_open(&l, round % 2 == 0 ? r->sc : r->spu);
        link_send(&l, bytes, len);
        shutdown(l.fd, SHUT_WR);
        assert_true(link_ends(&l));
        link_close(&l);
    }
    flv__rand_seed(0);
    still_serves(r);
}

static void byte_after_byte_is_served(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[64] = {0};
    struct link l;
    rig_start(r);
    link_open(&l, r->sc);
    size_t n = header(bytes, 16, 18, 2) + 6; /* three empty strings */
    for (size_t i = 0; i < n; i++) {
        link_send(&l, bytes + i, 1);
    }
    assert_int_equal(link_next(&l), 1);
    link_close(&l);
}

static void trickle_ends_when_the_time_of_a_frame_is_over(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[64] = {0};
    struct link l;
    r->conf.stall_ms_max = 100;
    r->conf.frame_ms_max = 300;
    rig_start(r);
    header(bytes, 60, 18, 2);
    link_open(&l, r->spu);
    link_send(&l, bytes, 20); /* and then nothing more */
    assert_true(link_ends(&l));
    link_close(&l);
    /* Never silent for long, and yet never done. */
    link_open(&l, r->spu);
    link_send(&l, bytes, 4);
    for (int i = 4; i < 40 && link_is_silent(&l, 20); i++) {
        link_send(&l, bytes + i, 1);
    }
    assert_true(link_ends(&l));
    link_close(&l);
    /* An idle connection has begun no frame: it may stay. */
    link_open(&l, r->spu);
    assert_true(link_is_silent(&l, 500));
    link_close(&l);
}

static void record_over_the_frame_ceiling_ends_the_connection(void **state)
{
    struct rig *r = *state;
    struct link sc;
    struct link spu;
    struct flv_buf buf;
    rig_start(r);
    link_open(&sc, r->sc);
    link_open(&spu, r->spu);
    flv_buf_init(&buf, 64u << 20);
    assert_int_equal(rig_create_topic(&sc, "t", 1), 0);
    rig_batch(&buf, 1, 40u << 20, FLV_CODEC_NONE, -1, -1);
    (void)rig_produce_ask(&spu, "t", 0, flv_buf_slice(&buf));
    assert_true(link_ends(&spu));
    link_close(&spu);
    link_open(&spu, r->spu);
    flv_buf_reset(&buf);
    rig_batch(&buf, 1, 20u << 20, FLV_CODEC_NONE, -1, -1);
    assert_int_equal(rig_produce(&spu, "t", 0, flv_buf_slice(&buf), NULL),
                     FLV_WIRE_MESSAGE_TOO_LARGE);
    link_close(&sc);
    link_close(&spu);
    flv_buf_deinit(&buf);
}

static void two_thousand_idle_clients_cost_little(void **state)
{
    enum { N = 2000 };
    struct rig *r = *state;
    static struct link links[N];
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 2 * N) {
        skip(); /* this machine does not allow as many descriptors */
    }
    rig_start(r);
    still_serves(r);
    size_t before = rig_rss_bytes(r);
    for (int i = 0; i < N; i++) {
        link_open(&links[i], i % 2 == 0 ? r->sc : r->spu);
    }
    still_serves(r);
    /* Sanitizers put red zones around everything: a release build needs a
     * tenth of this. */
    assert_true(rig_rss_bytes(r) < before + (64u << 20));
    for (int i = 0; i < N; i++) {
        link_close(&links[i]);
    }
    still_serves(r);
}

/* Processor time of the server so far, in ticks of 10 ms. */
static unsigned long ticks(const struct rig *r)
{
    char path[64];
    unsigned long user = 0;
    unsigned long sys = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)r->pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f,
                            "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u "
                            "%*u %*u %lu %lu",
                            &user, &sys),
                     2);
    fclose(f);
    return user + sys;
}

static void clients_beyond_the_descriptors_are_turned_away(void **state)
{
    enum { N = 100 };
    struct rig *r = *state;
    static struct link links[N];
    struct rlimit few = {.rlim_cur = 64, .rlim_max = 64};
    rig_start(r);
    assert_int_equal(prlimit(r->pid, RLIMIT_NOFILE, &few, NULL), 0);
    for (int i = 0; i < N; i++) {
        link_open(&links[i], r->sc);
    }
    assert_true(link_ends(&links[N - 1]));
    unsigned long before = ticks(r);
    assert_true(link_is_silent(&links[0], 300)); /* and served */
    assert_true(ticks(r) - before < 15);
    for (int i = 0; i < N; i++) {
        link_close(&links[i]);
    }
    /* The server may hear of a new client before it hears of those gone. */
    bool served = false;
    for (int i = 0; i < 1000 && !served; i++) {
        served = serves(r);
    }
    assert_true(served);
}

/* Requests of one client that together are more than the whole budget. */
static void memory_budget_makes_clients_wait_not_fail(void **state)
{
    enum { N = 24 };
    struct rig *r = *state;
    static struct link links[N];
    struct link sc;
    struct flv_buf buf;
    r->conf.frame_bytes_max = 4u << 20;
    r->conf.memory_bytes_max = 10u << 20;
    rig_start(r);
    link_open(&sc, r->sc);
    assert_int_equal(rig_create_topic(&sc, "t", 1), 0);
    flv_buf_init(&buf, 8u << 20);
    rig_batch(&buf, 1, 1u << 20, FLV_CODEC_NONE, -1, -1);
    for (int i = 0; i < N; i++) {
        link_open(&links[i], r->spu);
        (void)rig_produce_ask(&links[i], "t", 0, flv_buf_slice(&buf));
    }
    for (int i = 0; i < N; i++) {
        struct flv_wire_produce_response resp;
        (void)link_next(&links[i]);
        link_read(&links[i], 25, &flv_wire_produce_response_schema, &resp,
                  NULL);
        assert_int_equal(resp.topics.at[0].partitions.at[0].error.code, 0);
        link_close(&links[i]);
    }
    link_close(&sc);
    flv_buf_deinit(&buf);
}

static void readers_who_do_not_read_hold_bounded_memory(void **state)
{
    enum { N = 64 };
    struct rig *r = *state;
    static struct link links[N];
    struct link sc;
    struct link spu;
    struct flv_buf buf;
    r->conf.memory_bytes_max = 80u << 20;
    rig_start(r);
    link_open(&sc, r->sc);
    link_open(&spu, r->spu);
    assert_int_equal(rig_create_topic(&sc, "t", 1), 0);
    flv_buf_init(&buf, 8u << 20);
    rig_batch(&buf, 1, 1u << 20, FLV_CODEC_NONE, -1, -1);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(rig_produce(&spu, "t", 0, flv_buf_slice(&buf), NULL),
                         0);
    }
    for (int i = 0; i < N; i++) {
        link_open(&links[i], r->spu);
        (void)rig_stream_ask(&links[i], "t", 0, 0, 4 << 20, NULL);
        (void)rig_stream_ask(&links[i], "t", 0, 0, 4 << 20, NULL);
    }
    /* Producers go on while the readers hold what they may. */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(rig_produce(&spu, "t", 0, flv_buf_slice(&buf), NULL),
                         0);
    }
    assert_true(rig_rss_bytes(r) < (400u << 20));
    for (int i = 0; i < N; i++) {
        link_close(&links[i]);
    }
    still_serves(r);
    link_close(&sc);
    link_close(&spu);
    flv_buf_deinit(&buf);
}

static void more_watches_than_any_client_needs_end_it(void **state)
{
    struct rig *r = *state;
    const struct flv_wire_watch_request req = {0};
    struct link l;
    rig_start(r);
    link_open(&l, r->sc);
    for (int i = 0; i < 300; i++) {
        (void)link_ask(&l, FLV_API_SC_WATCH, 19, &flv_wire_watch_request_schema,
                       &req, "SPU");
    }
    assert_true(link_ends(&l));
    link_close(&l);
    still_serves(r);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(unknown_key_ends_the_connection),
        T(lengths_that_cannot_be_end_the_connection),
        T(lying_counts_end_the_connection),
        T(frames_cut_at_any_byte_leave_no_trace),
        T(random_bytes_do_no_harm),
        T(byte_after_byte_is_served),
        T(trickle_ends_when_the_time_of_a_frame_is_over),
        T(record_over_the_frame_ceiling_ends_the_connection),
        T(two_thousand_idle_clients_cost_little),
        T(clients_beyond_the_descriptors_are_turned_away),
        T(memory_budget_makes_clients_wait_not_fail),
        T(readers_who_do_not_read_hold_bounded_memory),
        T(more_watches_than_any_client_needs_end_it),
    };
    cmocka_set_test_filter(getenv("RIG_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
