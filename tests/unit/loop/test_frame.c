#include "cm.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "loop/frame.h"

#define FRAME_MAX (8U << 20)
#define FRAMES 20000

static struct flv_loop *loop;
static struct flv_listener *listener;
static struct flv_connect dial;
static struct flv_timer guard;
static struct flv_conn *near_conn, *far_conn;
static struct flv_frames frames;
static struct flv_budget budget;
static struct flv_frames_conf conf;

/* What on_frame saw. */
static size_t count, sizes[FRAMES];
static uint64_t sum;
static struct flv_chunk *kept[8];
static size_t keep, kept_count;
static size_t pause_every, deinit_at;
static int ended;
static flv_rc end_rc;
static char end_text[FLV_ERR_TEXT_MAX];

static uint64_t sum_of(const uint8_t *data, size_t len)
{
    uint64_t s = len;

    for (size_t i = 0; i < len; i++) {
        s = s * 31 + data[i];
    }
    return s;
}

static void on_frame(void *ctx, struct flv_chunk *frame)
{
    struct flv_frames *f = ctx;

    if (count == FRAMES) {
        abort();
    }
    sizes[count++] = frame->size;
    sum = sum * 17 + sum_of(frame->data, frame->size);
    if (kept_count < keep) {
        kept[kept_count++] = flv_chunk_ref(frame);
    }
    if (pause_every > 0 && count % pause_every == 0) {
        flv_frames_pause(f);
    }
    if (deinit_at > 0 && count == deinit_at) {
        flv_frames_deinit(f);
    }
}

static void on_end(void *ctx, flv_rc rc, const struct flv_err *err)
{
    (void)ctx;
    ended++;
    end_rc = rc;
    snprintf(end_text, sizeof(end_text), "%s", err->text);
    if (deinit_at == 1) {
        flv_frames_deinit(ctx);
    }
}

static void on_accepted(void *ctx, struct flv_conn *conn)
{
    (void)ctx;
    far_conn = conn;
}

static void on_dialed(struct flv_connect *c,
                      flv_rc rc,
                      struct flv_conn *conn,
                      const struct flv_err *err)
{
    (void)c;
    (void)rc;
    (void)err;
    near_conn = conn;
}

static void too_late(struct flv_timer *t)
{
    (void)t;
    fprintf(stderr, "nothing happened for too long\n");
    abort();
}

static int set_up(void **state)
{
    const struct flv_listen_conf lc = {.host = "127.0.0.1",
                                       .accepted = on_accepted};

    (void)state;
    near_conn = far_conn = NULL;
    count = keep = kept_count = pause_every = deinit_at = 0;
    sum = 0;
    ended = 0;
    flv_budget_init(&budget, 64U << 20);
    conf = (struct flv_frames_conf){.frame_bytes_max = FRAME_MAX,
                                    .budget = &budget,
                                    .on_frame = on_frame,
                                    .on_end = on_end,
                                    .ctx = &frames};
    if (flv_loop_create(&loop, 0, NULL) != FLV_OK ||
        flv_listener_open(&listener, loop, &lc, NULL) != FLV_OK) {
        return -1;
    }
    flv_timer_init(&guard, loop, too_late);
    dial = (struct flv_connect){.host = "127.0.0.1",
                                .port = flv_listener_port(listener),
                                .timeout_ms = 20000,
                                .done = on_dialed};
    if (flv_timer_start(&guard, 40000, 0, NULL) != FLV_OK ||
        flv_connect_start(&dial, loop, NULL) != FLV_OK) {
        return -1;
    }
    while (near_conn == NULL || far_conn == NULL) {
        (void)flv_loop_turn(loop, true);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    flv_frames_deinit(&frames);
    for (size_t i = 0; i < kept_count; i++) {
        flv_chunk_unref(kept[i]);
    }
    if (near_conn != NULL) {
        flv_conn_close(near_conn, NULL, NULL);
    }
    flv_conn_close(far_conn, NULL, NULL);
    flv_listener_close(listener, NULL, NULL);
    flv_timer_stop(&guard);
    flv_loop_run(loop);
    flv_loop_destroy(loop);
    return budget.used == 0 ? 0 : -1;
}

static void begin(void)
{
    flv_frames_init(&frames, far_conn, &conf);
    flv_frames_resume(&frames);
}

/* ---- The sending end --------------------------------------------------- */

static int written;

static void wrote(struct flv_write *w, flv_rc rc)
{
    (void)w;
    (void)rc;
    written++;
}

static void turn_until(const size_t *value, size_t n)
{
    while (*value < n && ended == 0) {
        (void)flv_loop_turn(loop, true);
    }
}

static void turn_until_end(void)
{
    while (ended == 0) {
        (void)flv_loop_turn(loop, true);
    }
}

static void send_bytes(struct flv_write *w, const void *data, size_t len)
{
    struct flv_slice part = flv_slice(data, len);

    flv_conn_write(near_conn, w, &part, 1, wrote);
}

static void send_now(const void *data, size_t len)
{
    struct flv_write w;

    written = 0;
    send_bytes(&w, data, len);
    while (written == 0) {
        (void)flv_loop_turn(loop, true);
    }
}

static void hang_up(void)
{
    flv_conn_close(near_conn, NULL, NULL);
    near_conn = NULL;
}

/* Appends a frame of that size and its share of the sum. */
static void add_frame(struct flv_buf *b, size_t size, uint64_t *want)
{
    size_t start;

    assert_int_equal(flv_buf_add_u32(b, (uint32_t)size), FLV_OK);
    assert_int_equal(flv_buf_reserve(b, size), FLV_OK);
    start = b->len;
    for (size_t i = 0; i < size; i++) {
        b->data[b->len++] = (uint8_t)(i * 13 + size);
    }
    *want = *want * 17 + sum_of(b->data + start, size);
}

/* ---- Tests ------------------------------------------------------------- */

static void frames_come_whole_from_single_bytes(void **state)
{
    struct flv_buf b;
    uint64_t want = 0;

    (void)state;
    flv_buf_init(&b, 1000);
    add_frame(&b, 3, &want);
    add_frame(&b, 0, &want);
    add_frame(&b, 17, &want);
    begin();
    for (size_t i = 0; i < b.len; i++) {
        send_now(b.data + i, 1);
    }
    turn_until(&count, 3);
    assert_int_equal(sizes[0], 3);
    assert_int_equal(sizes[1], 0);
    assert_int_equal(sizes[2], 17);
    assert_true(sum == want);
    assert_true(flv_frames_between(&frames));
    hang_up();
    turn_until_end();
    assert_int_equal(end_rc, FLV_OK);
    flv_buf_deinit(&b);
}

static void many_and_large_frames_come_whole(void **state)
{
    static const size_t big[] = {1,     65531,     65532,     65533,  16383,
                                 16384, FRAME_MAX, 3U << 20U, 100000, 7};
    struct flv_buf b;
    struct flv_write w;
    uint64_t want = 0;

    (void)state;
    flv_buf_init(&b, 64U << 20);
    for (size_t i = 0; i < 10000; i++) {
        add_frame(&b, i % 50, &want);
    }
    for (size_t i = 0; i < COUNT(big); i++) {
        add_frame(&b, big[i], &want);
    }
    begin();
    send_bytes(&w, b.data, b.len);
    turn_until(&count, 10000 + COUNT(big));
    assert_true(sum == want);
    flv_buf_deinit(&b);
}

static void a_kept_frame_outlives_the_connection(void **state)
{
    struct flv_buf b;
    uint64_t want = 0;

    (void)state;
    flv_buf_init(&b, 1000);
    add_frame(&b, 100, &want);
    keep = 1;
    begin();
    send_now(b.data, b.len);
    turn_until(&count, 1);
    flv_frames_deinit(&frames);
    assert_int_equal(budget.used, flv_chunk_cost(100));
    assert_memory_equal(kept[0]->data, b.data + 4, 100);
    flv_buf_deinit(&b);
}

static void pausing_keeps_frames_back(void **state)
{
    struct flv_buf b;
    uint64_t want = 0;

    (void)state;
    flv_buf_init(&b, 1000000);
    for (size_t i = 0; i < 100; i++) {
        add_frame(&b, i, &want);
    }
    pause_every = 7;
    begin();
    send_now(b.data, b.len);
    for (size_t n = 7; n <= 100; n += 7) {
        turn_until(&count, n);
        assert_true(flv_frames_paused(&frames));
        (void)flv_loop_turn(loop, false);
        assert_int_equal(count, n);
        flv_frames_resume(&frames);
        assert_int_equal(count, n);
    }
    turn_until(&count, 100);
    assert_true(sum == want);
    flv_buf_deinit(&b);
}

static void sizes_over_the_ceiling_end_it(void **state)
{
    static const struct {
        const char *head;
        flv_rc rc;
        const char *text;
    } rows[] = {
        {"\x00\x80\x00\x01", FLV_E_LIMIT,
         "frame of 8388609 bytes is over the limit of 8388608 bytes"},
        {"\x7f\xff\xff\xff", FLV_E_LIMIT,
         "frame of 2147483647 bytes is over the limit of 8388608 bytes"},
        {"\xff\xff\xff\xff", FLV_E_PROTOCOL, "frame size -1 is negative"},
        {"\x80\x00\x00\x00", FLV_E_PROTOCOL,
         "frame size -2147483648 is negative"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (i > 0) {
            assert_int_equal(tear_down(NULL), 0);
            assert_int_equal(set_up(NULL), 0);
        }
        begin();
        send_now(rows[i].head, 4);
        turn_until_end();
        assert_int_equal(end_rc, rows[i].rc);
        assert_string_equal(end_text, rows[i].text);
        assert_int_equal(budget.used, 0);
        assert_int_equal(count, 0);
    }
}

static void an_end_within_a_frame_is_told(void **state)
{
    static const char *const cut[] = {"\0", "\0\0\0", "\0\0\0\4",
                                      "\0\0\0\4abc"};
    static const size_t lens[] = {1, 3, 4, 7};

    (void)state;
    for (size_t i = 0; i < COUNT(cut); i++) {
        if (i > 0) {
            assert_int_equal(tear_down(NULL), 0);
            assert_int_equal(set_up(NULL), 0);
        }
        begin();
        send_now(cut[i], lens[i]);
        hang_up();
        turn_until_end();
        assert_int_equal(end_rc, FLV_E_CLOSED);
        assert_non_null(strstr(end_text, "within a frame"));
    }
}

static void an_empty_budget_pauses_until_bytes_are_free(void **state)
{
    struct flv_buf b;
    struct flv_write w;
    uint64_t want = 0;

    (void)state;
    flv_buf_init(&b, 1000000);
    for (size_t i = 0; i < 6; i++) {
        add_frame(&b, 1000, &want);
    }
    flv_budget_init(&budget, 2 * flv_chunk_cost(1000));
    keep = 2;
    begin();
    send_bytes(&w, b.data, b.len);
    turn_until(&count, 2);
    (void)flv_loop_turn(loop, false);
    assert_int_equal(count, 2);
    assert_false(flv_conn_reading(far_conn));
    flv_chunk_unref(kept[0]);
    assert_int_equal(count, 2);
    /* One at a time from here on: each is given back after its callback. */
    turn_until(&count, 6);
    assert_true(sum == want);
    kept[0] = NULL;
    flv_buf_deinit(&b);
}

static void a_frame_larger_than_the_budget_is_refused(void **state)
{
    (void)state;
    flv_budget_init(&budget, 1000);
    begin();
    send_now("\0\0\x03\xe8", 4);
    turn_until_end();
    assert_int_equal(end_rc, FLV_E_LIMIT);
}

static void a_waiting_reader_can_leave(void **state)
{
    struct flv_chunk *hog = NULL;

    (void)state;
    flv_budget_init(&budget, 2000);
    assert_int_equal(flv_chunk_create(&budget, 1500, &hog), FLV_OK);
    begin();
    send_now("\0\0\x03\xe8zzz", 7);
    while (!frames.waiter.waiting) {
        (void)flv_loop_turn(loop, true);
    }
    flv_chunk_unref(hog); /* grants; the reader has not acted on it yet */
    assert_true(budget.used > 0);
    flv_frames_deinit(&frames);
    assert_int_equal(budget.used, 0);
}

static void a_user_may_leave_from_its_callbacks(void **state)
{
    struct flv_buf b;
    uint64_t want = 0;

    (void)state;
    flv_buf_init(&b, 1000);
    add_frame(&b, 10, &want);
    add_frame(&b, 11, &want);
    add_frame(&b, 12, &want);
    deinit_at = 2;
    begin();
    send_now(b.data, b.len);
    turn_until(&count, 2);
    (void)flv_loop_turn(loop, false);
    assert_int_equal(count, 2);
    assert_int_equal(ended, 0);
    deinit_at = 1;
    count = 2;
    begin();
    hang_up();
    turn_until_end();
    assert_int_equal(end_rc, FLV_OK);
    flv_buf_deinit(&b);
}

static void a_frame_that_stalls_is_given_up(void **state)
{
    (void)state;
    conf.stall_ms_max = 20;
    begin();
    send_now("\0\0\0\4ab", 6);
    turn_until_end();
    assert_int_equal(end_rc, FLV_E_TIMEOUT);
    assert_non_null(strstr(end_text, "a frame stopped after 6 bytes"));
}

static struct flv_timer dripper;
static struct flv_write drips[200];
static size_t dripped;

static void drip(struct flv_timer *t)
{
    static const char byte[] = "\0";

    (void)t;
    if (dripped < COUNT(drips)) {
        send_bytes(&drips[dripped++], byte, 1);
    }
}

static void a_dripping_frame_ends_at_its_total_time(void **state)
{
    (void)state;
    conf.stall_ms_max = 10000;
    conf.frame_ms_max = 40;
    dripped = 0;
    begin();
    send_now("\0\0\1\0", 4);
    flv_timer_init(&dripper, loop, drip);
    assert_int_equal(flv_timer_start(&dripper, 1, 2, NULL), FLV_OK);
    turn_until_end();
    flv_timer_stop(&dripper);
    assert_int_equal(end_rc, FLV_E_TIMEOUT);
    assert_int_equal(count, 0);
}

static void the_clock_stands_still_between_frames_and_pauses(void **state)
{
    struct flv_timer wait;
    struct flv_buf b;
    uint64_t want = 0;

    (void)state;
    flv_buf_init(&b, 1000);
    add_frame(&b, 10, &want);
    conf.stall_ms_max = 400;
    conf.frame_ms_max = 400;
    begin();
    send_now(b.data, b.len);
    send_now("\0\0\0", 3);
    turn_until(&count, 1);
    flv_frames_pause(&frames);
    assert_false(flv_timer_active(&frames.timer));
    flv_timer_init(&wait, loop, drip);
    dripped = COUNT(drips);
    assert_int_equal(flv_timer_start(&wait, 500, 0, NULL), FLV_OK);
    while (flv_timer_active(&wait)) {
        (void)flv_loop_turn(loop, true);
    }
    assert_int_equal(ended, 0);
    flv_frames_resume(&frames);
    send_now("\1x", 2);
    turn_until(&count, 2);
    assert_int_equal(ended, 0);
    assert_false(flv_timer_active(&frames.timer));
    flv_buf_deinit(&b);
}

static void failing_memory_ends_it(void **state)
{
    struct flv_buf b;
    uint64_t want = 0;

    (void)state;
    flv_buf_init(&b, 1000);
    add_frame(&b, 10, &want);
    begin();
    while (!flv_conn_reading(far_conn)) {
        (void)flv_loop_turn(loop, true);
    }
    send_now(b.data, 2);
    flv__mem_fail_at(1);
    send_now(b.data + 2, b.len - 2);
    turn_until_end();
    flv__mem_fail_at(0);
    assert_true(end_rc == FLV_E_NOMEM);
    flv_buf_deinit(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_come_whole_from_single_bytes),
        TEST(many_and_large_frames_come_whole),
        TEST(a_kept_frame_outlives_the_connection),
        TEST(pausing_keeps_frames_back),
        TEST(sizes_over_the_ceiling_end_it),
        TEST(an_end_within_a_frame_is_told),
        TEST(an_empty_budget_pauses_until_bytes_are_free),
        TEST(a_frame_larger_than_the_budget_is_refused),
        TEST(a_waiting_reader_can_leave),
        TEST(a_user_may_leave_from_its_callbacks),
        TEST(a_frame_that_stalls_is_given_up),
        TEST(a_dripping_frame_ends_at_its_total_time),
        TEST(the_clock_stands_still_between_frames_and_pauses),
        TEST(failing_memory_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
