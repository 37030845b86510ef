#include "cm.h"
#include "http_sink.h"
#include "lanes.h"

/* --- keys and bodies ------------------------------------------------------ */

static void keys_name_topic_partition_and_offsets(void **state)
{
    struct flv_sink_batch b = {.partition = 3};
    struct flv_sink_record r[2] = {{.offset = 17, .batch = &b},
                                   {.offset = 42, .batch = &b}};
    char key[HTTP_SINK_KEY_MAX];
    (void)state;
    http_sink_key("facts", &r[0], &r[0], key);
    assert_string_equal(key, "Idempotency-Key: facts/3/17");
    http_sink_key("facts", &r[0], &r[1], key);
    assert_string_equal(key, "Idempotency-Key: facts/3/17-42");
    r[0].part = 2;
    http_sink_key("facts", &r[0], &r[0], key);
    assert_string_equal(key, "Idempotency-Key: facts/3/17.2");
    r[1].part = 1;
    http_sink_key("facts", &r[0], &r[1], key);
    assert_string_equal(key, "Idempotency-Key: facts/3/17.2-42.1");
}

static void body_is(enum http_sink_format format,
                    const char *const *values,
                    const char *expected)
{
    struct flv_buf b;
    flv_buf_init(&b, 1000);
    for (; *values != NULL; values++) {
        assert_int_equal(http_sink_body_add(format, flv_slice_str(*values), &b),
                         FLV_OK);
    }
    assert_int_equal(http_sink_body_end(format, &b), FLV_OK);
    assert_string_equal(flv_buf_str(&b), expected);
    flv_buf_deinit(&b);
}

static void batches_hold_values_as_they_are(void **state)
{
    static const char *const values[] = {"{\"a\":\n 1e400}",
                                         "12345678901234567890", "null", NULL};
    (void)state;
    body_is(HTTP_SINK_JSON, values,
            "[{\"a\":\n 1e400},12345678901234567890,null]");
    body_is(HTTP_SINK_NDJSON, values,
            "{\"a\":  1e400}\n12345678901234567890\nnull\n");
    body_is(HTTP_SINK_RECORD, values + 1, "12345678901234567890null");
}

static void only_json_can_be_in_a_batch(void **state)
{
    struct flv_err err = {0};
    (void)state;
    const struct flv_slice bad = flv_slice_str("{} {}");
    assert_int_equal(http_sink_value_check(HTTP_SINK_RECORD, bad, NULL),
                     FLV_OK);
    assert_int_equal(http_sink_value_check(HTTP_SINK_NDJSON, bad, &err),
                     FLV_E_INVALID);
    assert_int_equal(http_sink_value_check(HTTP_SINK_JSON, bad, &err),
                     FLV_E_INVALID);
    assert_int_equal(
        http_sink_value_check(HTTP_SINK_JSON, flv_slice_str("[1]"), NULL),
        FLV_OK);
}

/* --- answers ---------------------------------------------------------------
 */

#define NOW_MS INT64_C(784111777000) /* Sun, 06 Nov 1994 08:49:37 GMT */

static void retry_after_is_seconds_or_a_date(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t ms;
    } rows[] = {
        {"0", true, 0},
        {"120", true, 120000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", true, 0},
        {"Sun, 06 Nov 1994 08:50:37 GMT", true, 60000},
        {"Sat, 05 Nov 1994 08:50:37 GMT", true, 0},
        {"Fri, 01 Mar 1996 00:00:00 GMT", true, 41526623000},
        {"-1", false, 0},
        {"1.5", false, 0},
        {"soon", false, 0},
        {"", false, 0},
        {"99999999999999999999", false, 0},
        {"Sun, 06 Nov 1994 08:49:37 CET", false, 0},
        {"Sun, 06 Xyz 1994 08:49:37 GMT", false, 0},
        {"Sun, 06 anF 1994 08:49:37 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT+1", false, 0},
        {"Sun, 06 Nov 1994 25:49:37 GMT", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t ms = 0;
        if (http_sink_retry_after(rows[i].text, NOW_MS, &ms) != rows[i].ok ||
            ms != rows[i].ms) {
            fail_msg("\"%s\": %llu", rows[i].text, (unsigned long long)ms);
        }
    }
}

static enum http_sink_outcome
judge(unsigned status, const char *after, uint64_t *wait_ms)
{
    const struct flv_http_header header = {"retry-after", after};
    const struct flv_http_response a = {.status = status,
                                        .reason = "",
                                        .headers = &header,
                                        .header_count = after != NULL};
    struct flv_err err = {0};
    enum http_sink_outcome o =
        http_sink_judge(&a, "http://x", NOW_MS, 300000, wait_ms, &err);
    assert_true((o == HTTP_SINK_DELIVERED) == (err.rc == FLV_OK));
    return o;
}

static void only_2xx_is_delivered(void **state)
{
    uint64_t ms;
    (void)state;
    for (unsigned s = 100; s < 600; s++) {
        enum http_sink_outcome o = judge(s, NULL, &ms);
        bool again = s == 408 || s == 425 || s == 429 || s >= 500;
        assert_true((o == HTTP_SINK_DELIVERED) == (s / 100 == 2));
        assert_true((o == HTTP_SINK_RETRY || o == HTTP_SINK_PAUSE) == again);
        assert_int_equal(ms, 0);
    }
}

static void control_bytes_of_an_answer_stay_away(void **state)
{
    (void)state;
    struct flv_http_response a = {.status = 404, .reason = "No\tsuch\x1b[2J"};
    struct flv_err err = {0};
    uint64_t ms;
    (void)http_sink_judge(&a, "http://x", NOW_MS, 300000, &ms, &err);
    assert_string_equal(err.text, "http://x answers 404 Not Found");
    a.reason = "Nothing here";
    (void)http_sink_judge(&a, "http://x", NOW_MS, 300000, &ms, &err);
    assert_string_equal(err.text, "http://x answers 404 Nothing here");
}

static void retry_after_counts_up_to_its_ceiling(void **state)
{
    uint64_t ms;
    (void)state;
    assert_int_equal(judge(429, "7", &ms), HTTP_SINK_PAUSE);
    assert_int_equal(ms, 7000);
    assert_int_equal(judge(503, "86400", &ms), HTTP_SINK_PAUSE);
    assert_int_equal(ms, 300000);
    assert_int_equal(judge(500, "2", &ms), HTTP_SINK_RETRY);
    assert_int_equal(ms, 2000);
    assert_int_equal(judge(503, "never", &ms), HTTP_SINK_RETRY);
    assert_int_equal(ms, 0);
    assert_int_equal(judge(400, "7", &ms), HTTP_SINK_REFUSED);
    assert_int_equal(ms, 0);
}

/* --- lanes -------------------------------------------------------------------
 */

#define RECORDS 8

struct bunch {
    struct flv_sink_batch batch;
    struct flv_sink_record records[RECORDS];
    struct http_sink_conf conf;
    struct lanes lanes;
};

/* Keys: one letter each, '-' is none. */
static void fill(struct bunch *b, enum http_sink_order order, const char *keys)
{
    *b = (struct bunch){.conf = {.order = (int)order,
                                 .backoff_min_ms = 1,
                                 .backoff_max_ms = 2}};
    assert_int_equal(lanes_init(&b->lanes, &b->conf, NULL), FLV_OK);
    for (size_t i = 0; keys[i] != '\0'; i++) {
        struct flv_sink_record *r = &b->records[i];
        r->batch = &b->batch;
        r->offset = (int64_t)i;
        r->has_key = keys[i] != '-';
        r->key = flv_slice(&keys[i], r->has_key ? 1 : 0);
        assert_int_equal(lanes_add(&b->lanes, r, NULL), FLV_OK);
    }
}

/* The offsets that may go now, all at once. */
static size_t take_all(struct bunch *b, struct lane *out[RECORDS])
{
    size_t n = 0;
    while ((out[n] = lanes_next(&b->lanes)) != NULL) {
        n++;
    }
    return n;
}

static void records_of_a_key_wait_for_one_another(void **state)
{
    struct bunch b;
    struct lane *lane[RECORDS];
    (void)state;
    fill(&b, HTTP_SINK_BY_KEY, "aab--c");
    assert_int_equal(take_all(&b, lane), 4); /* a, b, none, c */
    assert_int_equal(lane[0]->first->offset, 0);
    assert_int_equal(lane[1]->first->offset, 2);
    assert_int_equal(lane[2]->first->offset, 3);
    assert_int_equal(lane[3]->first->offset, 5);
    lanes_done(&b.lanes, lane[0], 1);
    lanes_done(&b.lanes, lane[3], 1);
    struct lane *next = lanes_next(&b.lanes);
    assert_ptr_equal(next, lane[0]);
    assert_int_equal(next->first->offset, 1);
    assert_null(lanes_next(&b.lanes));
    lanes_deinit(&b.lanes);
}

static void a_key_that_comes_back_finds_its_lane_or_a_new_one(void **state)
{
    struct bunch b;
    struct lane *lane[RECORDS];
    (void)state;
    fill(&b, HTTP_SINK_BY_KEY, "a");
    b.records[1] = b.records[0];
    assert_int_equal(take_all(&b, lane), 1);
    assert_int_equal(lanes_add(&b.lanes, &b.records[1], NULL), FLV_OK);
    assert_null(lanes_next(&b.lanes)); /* the first one is under way */
    lanes_done(&b.lanes, lane[0], 1);
    assert_int_equal(take_all(&b, lane), 1);
    lanes_done(&b.lanes, lane[0], 1);
    assert_int_equal(b.lanes.count, 0);
    b.records[2] = b.records[0];
    assert_int_equal(lanes_add(&b.lanes, &b.records[2], NULL), FLV_OK);
    assert_int_equal(take_all(&b, lane), 1);
    lanes_deinit(&b.lanes);
}

static void order_by_partition_and_none_do_as_they_say(void **state)
{
    struct bunch b;
    struct lane *lane[RECORDS];
    (void)state;
    fill(&b, HTTP_SINK_BY_PARTITION, "abc-");
    assert_int_equal(take_all(&b, lane), 1);
    lanes_deinit(&b.lanes);
    fill(&b, HTTP_SINK_UNORDERED, "aa--");
    assert_int_equal(take_all(&b, lane), 4);
    lanes_done(&b.lanes, lane[2], 1);
    lanes_block(&b.lanes, lane[1]);
    lanes_sleep(&b.lanes, lane[0], 5);
    lanes_deinit(&b.lanes);
}

static void sleepers_wake_in_the_order_of_their_times(void **state)
{
    struct bunch b;
    struct lane *lane[RECORDS];
    (void)state;
    fill(&b, HTTP_SINK_BY_KEY, "abc");
    assert_int_equal(take_all(&b, lane), 3);
    lanes_sleep(&b.lanes, lane[0], 300);
    lanes_sleep(&b.lanes, lane[1], 100);
    lanes_sleep(&b.lanes, lane[2], 200);
    assert_int_equal(lanes_wake(&b.lanes, 50), 100);
    assert_null(lanes_next(&b.lanes));
    assert_int_equal(lanes_wake(&b.lanes, 200), 300);
    assert_ptr_equal(lanes_next(&b.lanes), lane[1]);
    assert_ptr_equal(lanes_next(&b.lanes), lane[2]);
    assert_int_equal(b.lanes.sleeping, 1);
    assert_int_equal(lanes_wake(&b.lanes, 300), 0);
    assert_int_equal(b.lanes.sleeping, 0);
    lanes_deinit(&b.lanes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_name_topic_partition_and_offsets),
        cmocka_unit_test(batches_hold_values_as_they_are),
        cmocka_unit_test(only_json_can_be_in_a_batch),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(only_2xx_is_delivered),
        cmocka_unit_test(control_bytes_of_an_answer_stay_away),
        cmocka_unit_test(retry_after_counts_up_to_its_ceiling),
        cmocka_unit_test(records_of_a_key_wait_for_one_another),
        cmocka_unit_test(a_key_that_comes_back_finds_its_lane_or_a_new_one),
        cmocka_unit_test(order_by_partition_and_none_do_as_they_say),
        cmocka_unit_test(sleepers_wake_in_the_order_of_their_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
