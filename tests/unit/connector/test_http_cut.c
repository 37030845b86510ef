#include <stdio.h>
#include <string.h>

#include "cm.h"
#include "cut.h"

static struct http_delimiter delimiter(const char *text)
{
    struct http_delimiter d;
    struct flv_err err = {0};
    if (http_delimiter_read(text, &d, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return d;
}

/* What was found, as text: "[record]", "!" for an oversized one, "(tail)". */
struct found {
    char text[1024];
    size_t len;
};

static void
note(struct found *f, const char *before, struct flv_slice s, const char *after)
{
    int n = snprintf(f->text + f->len, sizeof(f->text) - f->len, "%s%.*s%s",
                     before, (int)s.len, (const char *)s.data, after);
    f->len += (size_t)n;
    assert_true(f->len < sizeof(f->text));
}

static void take(struct http_cut *c, struct found *f)
{
    struct flv_slice s;
    enum http_piece piece;
    while ((piece = http_cut_next(c, &s)) != HTTP_PIECE_NONE) {
        if (piece == HTTP_PIECE_RECORD) {
            note(f, "[", s, "]");
        } else {
            note(f, "!", flv_slice(NULL, 0), "");
        }
    }
}

static void add(struct http_cut *c, const char *bytes, size_t len)
{
    assert_true(http_feed_has_room(&c->feed));
    assert_int_equal(http_feed_add(&c->feed, flv_slice(bytes, len)), FLV_OK);
}

static void end(struct http_cut *c, struct found *f)
{
    struct flv_slice s;
    enum http_piece piece = http_cut_tail(c, &s);
    if (piece == HTTP_PIECE_RECORD) {
        note(f, "(", s, ")");
    } else if (piece == HTTP_PIECE_OVERSIZED) {
        note(f, "(!", flv_slice(NULL, 0), ")");
    }
}

/* The bytes whole, in two pieces at every place, and one by one. */
static void
finds(const char *d, size_t max, const char *bytes, const char *expected)
{
    const struct http_delimiter del = delimiter(d);
    size_t len = strlen(bytes);
    for (size_t split = 0; split <= len; split++) {
        struct http_cut c;
        struct found f = {.len = 0};
        http_cut_init(&c, &del, max);
        add(&c, bytes, split);
        take(&c, &f);
        add(&c, bytes + split, len - split);
        take(&c, &f);
        end(&c, &f);
        assert_string_equal(f.text, expected);
        http_cut_deinit(&c);
    }
    struct http_cut c;
    struct found f = {.len = 0};
    http_cut_init(&c, &del, max);
    for (size_t i = 0; i < len; i++) {
        add(&c, bytes + i, 1);
        take(&c, &f);
    }
    end(&c, &f);
    assert_string_equal(f.text, expected);
    http_cut_deinit(&c);
}

static void records_end_at_the_delimiter_at_every_split(void **state)
{
    (void)state;
    finds("\\n", 100, "a\nbc\n\ndef\n", "[a][bc][][def]");
    finds("\\n", 100, "", "");
    finds("\\n", 100, "no end", "(no end)");
    finds("\\r\\n", 100, "a\r\nb\rc\nd\r\n\r", "[a][b\rc\nd](\r)");
    finds("ab", 100, "xaabyabab", "[xa][y][]");
    finds("aab", 100, "aaaab", "[aa]");
    finds("\\n\\n", 100, "data: 1\n\ndata: 2\n\n\n", "[data: 1][data: 2](\n)");
}

static void oversized_records_are_told_once_and_passed_over(void **state)
{
    (void)state;
    finds("\\n", 4, "1234\n12345\n1\n", "[1234]![1]");
    finds("\\n", 4, "123456789012345678901234567890\nend\n", "![end]");
    finds("\\n", 4, "12345", "!");
    finds("--", 4, "1234--12345--123-4--12-", "[1234]!!(12-)");
    finds("--", 4, "1234-", "(!)");
}

static void an_endless_record_takes_no_memory(void **state)
{
    (void)state;
    static char dots[4096];
    const struct http_delimiter d = delimiter("\\n");
    struct http_cut c;
    struct flv_slice s;
    int oversized = 0;
    http_cut_init(&c, &d, 1000);
    memset(dots, '.', sizeof(dots));
    for (int i = 0; i < 10000; i++) {
        add(&c, dots, sizeof(dots));
        enum http_piece piece = http_cut_next(&c, &s);
        assert_true(piece != HTTP_PIECE_RECORD);
        oversized += piece == HTTP_PIECE_OVERSIZED;
    }
    assert_int_equal(oversized, 1);
    assert_true(c.feed.buf.cap < 64 * 1024);
    http_cut_deinit(&c);
}

static void a_feed_that_is_ahead_takes_no_more(void **state)
{
    (void)state;
    static char lines[HTTP_FEED_AHEAD];
    const struct http_delimiter d = delimiter("\\n");
    struct http_cut c;
    struct flv_slice s;
    memset(lines, '\n', sizeof(lines));
    http_cut_init(&c, &d, 1000);
    add(&c, lines, sizeof(lines));
    assert_false(http_feed_has_room(&c.feed));
    assert_int_equal(http_cut_next(&c, &s), HTTP_PIECE_RECORD);
    assert_true(http_feed_has_room(&c.feed));
    http_cut_deinit(&c);
}

static void delimiters_are_text_with_escapes(void **state)
{
    (void)state;
    struct http_delimiter d = delimiter("a\\n\\r\\t\\0\\\\\\x1e\\xFF");
    assert_int_equal(d.len, 8);
    assert_memory_equal(d.bytes, "a\n\r\t\0\\\x1e\xff", 8);
    d = delimiter("\n\n");
    assert_int_equal(d.len, 2);
}

static void bad_delimiters_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "\\", "\\q", "\\x", "\\x1", "\\xg0"};
    char longest[HTTP_DELIMITER_MAX + 2] = {0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct http_delimiter d;
        struct flv_err err = {0};
        assert_int_equal(http_delimiter_read(bad[i], &d, &err), FLV_E_USAGE);
        assert_memory_equal(err.text, "delimiter: ", 11);
    }
    memset(longest, '-', HTTP_DELIMITER_MAX);
    assert_int_equal(delimiter(longest).len, HTTP_DELIMITER_MAX);
    longest[HTTP_DELIMITER_MAX] = '-';
    struct http_delimiter d;
    struct flv_err err = {0};
    assert_int_equal(http_delimiter_read(longest, &d, &err), FLV_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_end_at_the_delimiter_at_every_split),
        cmocka_unit_test(oversized_records_are_told_once_and_passed_over),
        cmocka_unit_test(an_endless_record_takes_no_memory),
        cmocka_unit_test(a_feed_that_is_ahead_takes_no_more),
        cmocka_unit_test(delimiters_are_text_with_escapes),
        cmocka_unit_test(bad_delimiters_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
