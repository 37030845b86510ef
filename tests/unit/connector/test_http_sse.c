#include <stdio.h>
#include <string.h>

#include "cm.h"
#include "marks.h"
#include "sse.h"

/* What was found, as text: "type:data@id;", "!" for an oversized event. */
struct found {
    char text[2048];
    size_t len;
};

static void note(struct found *f, struct flv_slice s, const char *after)
{
    int n = snprintf(f->text + f->len, sizeof(f->text) - f->len, "%.*s%s",
                     (int)s.len, (const char *)s.data, after);
    f->len += (size_t)n;
    assert_true(f->len < sizeof(f->text));
}

static void take(struct http_sse *s, struct found *f)
{
    struct http_event e;
    enum http_piece piece;
    flv_rc rc;
    while ((piece = http_sse_next(s, &e, &rc)) != HTTP_PIECE_NONE) {
        assert_int_equal(rc, FLV_OK);
        if (piece == HTTP_PIECE_RECORD) {
            note(f, e.type, ":");
            note(f, e.data, "@");
            note(f, flv_buf_slice(&s->id), ";");
        } else {
            note(f, flv_slice_str("!"), "");
        }
    }
    assert_int_equal(rc, FLV_OK);
}

static void add(struct http_sse *s, const char *bytes, size_t len)
{
    assert_true(http_feed_has_room(&s->feed));
    assert_int_equal(http_feed_add(&s->feed, flv_slice(bytes, len)), FLV_OK);
}

static void check(size_t max,
                  const char *bytes,
                  size_t len,
                  size_t split,
                  size_t step,
                  const char *expected)
{
    struct http_sse s;
    struct found f = {.len = 0};
    http_sse_init(&s, max);
    add(&s, bytes, split);
    take(&s, &f);
    for (size_t at = split; at < len; at += step) {
        add(&s, bytes + at, step < len - at ? step : len - at);
        take(&s, &f);
    }
    assert_string_equal(f.text, expected);
    http_sse_deinit(&s);
}

/* The bytes in two pieces at every place, and one by one. */
static void
finds_in(size_t max, const char *bytes, size_t len, const char *expected)
{
    for (size_t split = 0; split <= len; split++) {
        check(max, bytes, len, split, len, expected);
    }
    check(max, bytes, len, 0, 1, expected);
}

static void finds(size_t max, const char *bytes, const char *expected)
{
    finds_in(max, bytes, strlen(bytes), expected);
}

static void examples_of_the_standard_hold_at_every_split(void **state)
{
    (void)state;
    finds(100,
          "data: This is the first message.\n\n"
          "data: This is the second message, it\n"
          "data: has two lines.\n\n"
          "data: This is the third message.\n\n",
          "message:This is the first message.@;"
          "message:This is the second message, it\nhas two lines.@;"
          "message:This is the third message.@;");
    finds(100,
          "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n"
          "event: add\ndata: 113411\n\n",
          "add:73857293@;remove:2153@;add:113411@;");
    finds(100, "data: YHOO\ndata: +2\ndata: 10\n\n", "message:YHOO\n+2\n10@;");
    finds(100,
          ": test stream\n\ndata: first event\nid: 1\n\n"
          "data:second event\nid\n\ndata:  third event\n\n",
          "message:first event@1;message:second event@;"
          "message: third event@;");
    finds(100, "data\n\ndata\ndata\n\ndata:\n", "message:@;message:\n@;");
    finds(100, "data:test\n\ndata: test\n\n", "message:test@;message:test@;");
}

static void lines_end_in_any_of_three_ways(void **state)
{
    (void)state;
    finds(100, "data: a\r\rdata: b\r\n\r\ndata: c\n\n\r\ndata: d\r\n\n",
          "message:a@;message:b@;message:c@;message:d@;");
    finds(100, "data: a\r\n\r\n\r\n", "message:a@;");
    finds(100,
          "\xef\xbb\xbf"
          "data: a\n\n",
          "message:a@;");
    finds(100,
          "\xef\xbb\xbf"
          "\xef\xbb\xbf"
          "data: a\n\ndata: b\n\n",
          "message:b@;");
    finds(100,
          "\xef\xbb"
          "data: a\n\ndata: b\n\n",
          "message:b@;");
    finds(100, "data: no end\n", "");
    finds(100, "data: no end", "");
    finds(100, "", "");
}

/* Lines are searched for in windows, which may end anywhere. */
static void lines_of_any_length_end_in_any_of_three_ways(void **state)
{
    static const char *const ends[] = {"\n", "\r", "\r\n"};
    char x[1100], bytes[2400], expected[2048];
    (void)state;
    memset(x, 'x', sizeof(x));
    for (size_t n = 0; n < sizeof(x); n++) {
        const char *end = ends[n % 3];
        int len = snprintf(bytes, sizeof(bytes), "data:%.*s%s%sdata:b%s%s",
                           (int)n, x, end, end, end, end);
        (void)snprintf(expected, sizeof(expected), "message:%.*s@;message:b@;",
                       (int)n, x);
        check(2000, bytes, (size_t)len, (size_t)len, 1, expected);
        check(2000, bytes, (size_t)len, n, 100, expected);
    }
}

static void ids_stay_until_another_is_given(void **state)
{
    (void)state;
    finds(100, "id: 7\ndata: a\n\ndata: b\n\nid: 8\n\ndata: c\n\n",
          "message:a@7;message:b@7;message:c@8;");
    finds(100, "id: 7\ndata: a\n\nid: 8\ndata: never ended\n", "message:a@7;");
    finds_in(100, "id: 7\ndata: a\n\nid: 8\0\ndata: b\n\n", 31,
             "message:a@7;message:b@7;");
    finds(100, "event: x\n\ndata: a\n\n", "message:a@;");
    finds(100, "ID: 7\nData: a\nfoo: b\ndata: c\n\n", "message:c@;");
}

static void oversized_events_are_told_once_and_passed_over(void **state)
{
    (void)state;
    finds(4, "data: 1234\n\ndata: 12345\n\ndata: 1\n\n",
          "message:1234@;!message:1@;");
    finds(4, "data: 12\ndata: 3\n\ndata: 12\ndata: 34\ndata: 5\n\ndata: 1\n\n",
          "message:12\n3@;!message:1@;");
    finds(4,
          "data: 1234567890123456789012345678901234567890\n"
          "data: 1234567890123456789012345678901234567890\nid: 9\n\n"
          "data: 1\n\n",
          "!message:1@9;");
    finds(4, ": a comment may be as long as it likes to be\ndata: 1\n\n",
          "message:1@;");
    finds(4, "unknown: field that is longer than any line\ndata: 1\n\n", "!");
}

static void an_endless_line_takes_no_memory(void **state)
{
    (void)state;
    static char dots[4096];
    struct http_sse s;
    struct http_event e;
    flv_rc rc;
    int oversized = 0;
    memset(dots, '.', sizeof(dots));
    http_sse_init(&s, 1000);
    for (int i = 0; i < 10000; i++) {
        add(&s, dots, sizeof(dots));
        enum http_piece piece = http_sse_next(&s, &e, &rc);
        assert_true(piece != HTTP_PIECE_RECORD);
        oversized += piece == HTTP_PIECE_OVERSIZED;
    }
    assert_int_equal(oversized, 1);
    assert_true(s.feed.buf.cap < 64 * 1024);
    http_sse_deinit(&s);
}

static void retry_is_digits_only(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {{"retry: 3000\n", 3000},
                 {"retry:0\n", 0},
                 {"retry: 3s\n", HTTP_SSE_NO_RETRY},
                 {"retry: -1\n", HTTP_SSE_NO_RETRY},
                 {"retry:\n", HTTP_SSE_NO_RETRY},
                 {"retry: 99999999999999999999\n", HTTP_SSE_NO_RETRY}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_sse s;
        struct found f = {.len = 0};
        http_sse_init(&s, 100);
        add(&s, cases[i].text, strlen(cases[i].text));
        take(&s, &f);
        assert_true(s.retry_ms == cases[i].ms);
        http_sse_deinit(&s);
    }
}

static void a_new_stream_forgets_half_events_and_keeps_the_id(void **state)
{
    (void)state;
    struct http_sse s;
    struct found f = {.len = 0};
    static const char first[] = "id: 7\ndata: a\n\nid: 8\ndata: half";
    static const char second[] = "\xef\xbb\xbf"
                                 "data: b\n\n";
    http_sse_init(&s, 100);
    add(&s, first, sizeof(first) - 1);
    take(&s, &f);
    http_sse_reset(&s);
    add(&s, second, sizeof(second) - 1);
    take(&s, &f);
    assert_string_equal(f.text, "message:a@7;message:b@7;");
    http_sse_deinit(&s);
}

/* --- marks -----------------------------------------------------------------
 */

static void an_id_is_durable_with_its_record_and_no_sooner(void **state)
{
    (void)state;
    static struct http_marks m;
    http_marks_add(&m, 0, flv_slice_str("start"));
    assert_string_equal(m.durable, "start");
    http_marks_add(&m, 3, flv_slice_str("c"));
    http_marks_add(&m, 3, flv_slice_str("c2"));
    http_marks_add(&m, 5, flv_slice_str("e"));
    assert_false(http_marks_settled(&m, 2));
    assert_string_equal(m.durable, "start");
    assert_true(http_marks_settled(&m, 3));
    assert_string_equal(m.durable, "c2");
    assert_true(http_marks_settled(&m, 9));
    assert_string_equal(m.durable, "e");
    http_marks_add(&m, 9, flv_slice_str(""));
    assert_string_equal(m.durable, "");
    http_marks_deinit(&m);
}

static void too_many_ids_move_in_larger_steps_and_never_too_far(void **state)
{
    (void)state;
    static struct http_marks m;
    char id[32];
    const uint64_t all = 3 * HTTP_MARKS_MAX;
    for (uint64_t i = 1; i <= all; i++) {
        (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)i);
        http_marks_add(&m, i, flv_slice_str(id));
    }
    (void)http_marks_settled(&m, 10);
    assert_string_equal(m.durable, "10");
    (void)http_marks_settled(&m, all - 1);
    (void)snprintf(id, sizeof(id), "%d", HTTP_MARKS_MAX - 1);
    assert_string_equal(m.durable, id);
    (void)http_marks_settled(&m, all);
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)all);
    assert_string_equal(m.durable, id);
    http_marks_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_standard_hold_at_every_split),
        cmocka_unit_test(lines_end_in_any_of_three_ways),
        cmocka_unit_test(lines_of_any_length_end_in_any_of_three_ways),
        cmocka_unit_test(ids_stay_until_another_is_given),
        cmocka_unit_test(oversized_events_are_told_once_and_passed_over),
        cmocka_unit_test(an_endless_line_takes_no_memory),
        cmocka_unit_test(retry_is_digits_only),
        cmocka_unit_test(a_new_stream_forgets_half_events_and_keeps_the_id),
        cmocka_unit_test(an_id_is_durable_with_its_record_and_no_sooner),
        cmocka_unit_test(too_many_ids_move_in_larger_steps_and_never_too_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
