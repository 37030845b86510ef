/* Dead letters as the CLI reads them, and the ledger of what became of them. */
#include "cm.h"

#include "cli/ledger.h"
#include "cli/letter.h"

#include <stdio.h>

static struct flv_err err;

/* ---- Ranges ------------------------------------------------------------- */

static void assert_ranges(const struct cli_ranges *r, const char *text)
{
    struct flv_buf b;
    flv_buf_init(&b, 4096);
    assert_int_equal(cli_ranges_json(r, &b), FLV_OK);
    assert_string_equal(flv_buf_str(&b), text);
    flv_buf_deinit(&b);
}

static void ranges_join_what_touches(void **state)
{
    (void)state;
    struct cli_ranges r = {.count = 0};
    assert_int_equal(cli_ranges_add(&r, 5, 6), FLV_OK);
    assert_int_equal(cli_ranges_add(&r, 9, 9), FLV_OK);
    assert_int_equal(cli_ranges_add(&r, 0, 1), FLV_OK);
    assert_ranges(&r, "[[0,1],[5,6],[9,9]]");
    assert_int_equal(cli_ranges_add(&r, 7, 7), FLV_OK);
    assert_ranges(&r, "[[0,1],[5,7],[9,9]]");
    assert_int_equal(cli_ranges_add(&r, 8, 8), FLV_OK);
    assert_ranges(&r, "[[0,1],[5,9]]");
    assert_int_equal(cli_ranges_add(&r, 1, 20), FLV_OK);
    assert_ranges(&r, "[[0,20]]");
    cli_ranges_deinit(&r);
}

/* The same as a set of 64 bits would have it. */
static void ranges_are_a_set(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 200; round++) {
        struct cli_ranges r = {.count = 0};
        uint64_t bits = 0;
        for (int i = 0; i < 12; i++) {
            seed = seed * 1664525u + 1013904223u;
            const int64_t first = seed >> 26, len = (seed >> 16) & 7;
            const int64_t last = first + len > 63 ? 63 : first + len;
            assert_int_equal(cli_ranges_add(&r, first, last), FLV_OK);
            for (int64_t k = first; k <= last; k++) {
                bits |= (uint64_t)1 << k;
            }
        }
        uint64_t count = 0;
        for (int64_t k = 0; k < 64; k++) {
            count += bits >> k & 1;
            assert_int_equal(cli_ranges_has(&r, k), bits >> k & 1);
            assert_int_equal(cli_ranges_count(&r, 0, k), count);
        }
        for (size_t i = 1; i < r.count; i++) {
            assert_true(r.at[i].first > r.at[i - 1].last + 1);
        }
        cli_ranges_deinit(&r);
    }
}

/* ---- Letters ------------------------------------------------------------ */

#define HEAD                                                                   \
    "{\"version\":1,\"time\":\"2026-01-01T12:00:00.000Z\","                    \
    "\"connector\":{\"name\":\"cat-facts\",\"type\":\"http\","                 \
    "\"topic\":\"cats\"},\"stage\":2,\"module\":{\"name\":\"m.wasm\","         \
    "\"sha256\":\"9f\",\"kind\":\"filter\"},\"error\":{\"cause\":"             \
    "\"user-error\",\"text\":\"no \\u0041\",\"hint\":\"h\"},"

static void a_letter_is_read_whole(void **state)
{
    (void)state;
    struct cli_letter l;
    struct flv_buf place;
    flv_buf_init(&place, 100);
    assert_int_equal(
        cli_letter_read(&l,
                        flv_slice_str(HEAD "\"source\":{\"number\":17},"
                                           "\"new\":[{}],\"record\":{\"key\":"
                                           "\"azE=\",\"value\":\"\"}}"),
                        &err),
        FLV_OK);
    assert_string_equal(l.connector, "cat-facts");
    assert_string_equal(l.topic, "cats");
    assert_string_equal(l.module, "m.wasm");
    assert_string_equal(l.text, "no A");
    assert_string_equal(l.hint, "h");
    assert_int_equal(l.stage, 2);
    assert_true(l.has_key);
    assert_true(flv_slice_eq_str(flv_buf_slice(&l.key), "k1"));
    assert_int_equal(l.value.len, 0);
    assert_int_equal(cli_letter_place(&l, &place), FLV_OK);
    assert_string_equal(flv_buf_str(&place), "number 17");
    flv_buf_deinit(&place);
    cli_letter_deinit(&l);
}

static void a_sinks_letter_names_its_record(void **state)
{
    (void)state;
    struct cli_letter l;
    struct flv_buf place;
    flv_buf_init(&place, 100);
    assert_int_equal(
        cli_letter_read(&l,
                        flv_slice_str(HEAD
                                      "\"source\":{\"number\":3,\"topic\":"
                                      "\"t\",\"partition\":2,\"offset\":99},"
                                      "\"record\":{\"value\":\"YQ==\"}}"),
                        &err),
        FLV_OK);
    assert_false(l.has_key);
    assert_int_equal(cli_letter_place(&l, &place), FLV_OK);
    assert_string_equal(flv_buf_str(&place), "t/2 offset 99");
    flv_buf_deinit(&place);
    cli_letter_deinit(&l);
}

static void what_is_no_letter_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"hello", "it:1:1"},
        {"[1]", "no JSON object"},
        {"{}", "no \"version\""},
        {"{\"version\":2}", "of version 2"},
        {"{\"version\":1}", "no \"connector\""},
        {HEAD "\"record\":{}}", "no \"value\""},
        {HEAD "\"record\":{\"value\":\"YQ\"}}", "multiple of 4"},
        {HEAD "\"record\":{\"value\":\"YR==\"}}", "no base 64"},
        {HEAD "\"record\":{\"key\":1,\"value\":\"\"}}", "no \"key\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cli_letter l;
        assert_int_equal(
            cli_letter_read(&l, flv_slice_str(cases[i].text), &err),
            FLV_E_INVALID);
        assert_non_null(strstr(err.text, cases[i].why));
    }
}

/* ---- The ledger
 * -------------------------------------------------------------- */

static struct cli_ledger ledger;

static void take(int64_t offset, const char *text)
{
    assert_int_equal(
        cli_ledger_take(&ledger, offset, flv_slice_str(text), &err), FLV_OK);
}

static void letters(int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last; i++) {
        take(i, "{\"version\":1}");
    }
}

static int begin(void **state)
{
    (void)state;
    cli_ledger_init(&ledger);
    return 0;
}

static int end(void **state)
{
    (void)state;
    cli_ledger_deinit(&ledger);
    return 0;
}

/* Writes a settlement on the ledger's view, and takes it at `offset`. */
static void note_letters(int64_t offset, int64_t first, int64_t last)
{
    struct flv_buf b;
    struct cli_ranges r = {.count = 0};
    flv_buf_init(&b, 4096);
    assert_int_equal(cli_ranges_add(&r, first, last), FLV_OK);
    assert_int_equal(cli_settle_letters(&ledger, &r, "discarded", &b, &err),
                     FLV_OK);
    assert_true(cli_is_settlement(flv_buf_slice(&b)));
    take(offset, flv_buf_str(&b));
    cli_ranges_deinit(&r);
    flv_buf_deinit(&b);
}

static void write_begin(struct flv_buf *b, int64_t id)
{
    static const struct flv_msg msgs[] = {
        {.has_key = true,
         .key = {.data = (const uint8_t *)"k", .len = 1},
         .value = {.data = (const uint8_t *)"one", .len = 3}},
        {.value = {.data = NULL, .len = 0}},
    };
    struct cli_parcel parcel = {
        .partition = 2, .end = 40, .records = msgs, .count = 2};
    struct cli_begin begun = {
        .id = id, .parcels = &parcel, .parcel_count = 1, .record_count = 2};
    char topic[] = "ca\"ts";
    begun.topic = topic;
    assert_int_equal(cli_ranges_add(&begun.letters, 1, 3), FLV_OK);
    assert_int_equal(cli_settle_begin(&ledger, &begun, b, &err), FLV_OK);
    cli_ranges_deinit(&begun.letters);
}

static void settled_letters_are_not_open(void **state)
{
    (void)state;
    letters(0, 9);
    assert_int_equal(cli_ledger_count(&ledger, 0, 100), 10);
    note_letters(10, 2, 4);
    note_letters(11, 0, 0);
    assert_false(cli_ledger_is_open(&ledger, 0));
    assert_true(cli_ledger_is_open(&ledger, 1));
    assert_false(cli_ledger_is_open(&ledger, 3));
    assert_false(cli_ledger_is_open(&ledger, 10)); /* no letter */
    assert_int_equal(cli_ledger_count(&ledger, 0, 100), 6);
    assert_int_equal(cli_ledger_next_open(&ledger, 0), 1);
    assert_int_equal(cli_ledger_next_open(&ledger, 2), 5);
    assert_int_equal(cli_ledger_next_open(&ledger, 10), -1);
}

static void a_begin_survives_its_record(void **state)
{
    (void)state;
    struct flv_buf b;
    flv_buf_init(&b, 4096);
    letters(0, 4);
    write_begin(&b, 77);
    take(5, flv_buf_str(&b));
    flv_buf_deinit(&b);
    assert_true(ledger.open);
    const struct cli_begin *got = &ledger.begun;
    assert_int_equal(got->id, 77);
    assert_string_equal(got->topic, "ca\"ts");
    assert_int_equal(got->parcel_count, 1);
    assert_int_equal(got->parcels[0].partition, 2);
    assert_int_equal(got->parcels[0].end, 40);
    assert_int_equal(got->parcels[0].count, 2);
    const struct flv_msg *m = got->parcels[0].records;
    assert_true(m[0].has_key && flv_slice_eq_str(m[0].key, "k"));
    assert_true(flv_slice_eq_str(m[0].value, "one"));
    assert_true(!m[1].has_key && m[1].value.len == 0);
    assert_int_equal(cli_ledger_count(&ledger, 0, 9), 2);
    assert_int_equal(cli_ledger_next_open(&ledger, 1), 4);
}

static void an_end_settles_or_opens_again(void **state)
{
    (void)state;
    for (int arrived = 0; arrived < 2; arrived++) {
        struct flv_buf b;
        flv_buf_init(&b, 4096);
        cli_ledger_deinit(&ledger);
        letters(0, 4);
        write_begin(&b, 9);
        take(5, flv_buf_str(&b));
        flv_buf_reset(&b);
        assert_int_equal(cli_settle_end(&ledger, arrived != 0, &b, &err),
                         FLV_OK);
        take(6, flv_buf_str(&b));
        take(7, flv_buf_str(&b)); /* again: there is nothing to end */
        assert_false(ledger.open);
        assert_int_equal(ledger.last, 6);
        assert_int_equal(cli_ledger_count(&ledger, 0, 9), arrived ? 2 : 5);
        flv_buf_deinit(&b);
    }
}

/* Two programs write on the same view: the first one in the topic counts. */
static void the_second_of_two_is_void(void **state)
{
    (void)state;
    struct flv_buf one, two;
    flv_buf_init(&one, 4096);
    flv_buf_init(&two, 4096);
    letters(0, 4);
    write_begin(&one, 1);
    write_begin(&two, 2);
    take(5, flv_buf_str(&one));
    take(6, flv_buf_str(&two));
    assert_int_equal(ledger.begun.id, 1);
    assert_int_equal(ledger.last, 5);
    /* Nor does a settlement that the begin covers, on any view. */
    note_letters(7, 3, 3);
    assert_int_equal(ledger.last, 5);
    note_letters(8, 4, 4);
    assert_int_equal(ledger.last, 8);
    assert_int_equal(cli_ledger_count(&ledger, 0, 9), 1);
    flv_buf_deinit(&one);
    flv_buf_deinit(&two);
}

static void views_of_removed_settlements_count(void **state)
{
    (void)state;
    take(100, "{\"version\":1}");
    take(101, "{\"settlement\":1,\"after\":57,\"event\":\"settle\","
              "\"letters\":[[100,100]]}");
    assert_int_equal(ledger.last, 101);
    assert_int_equal(cli_ledger_count(&ledger, 0, 999), 0);
}

#define END(after)                                                             \
    "{\"settlement\":1,\"after\":" after ",\"event\":\"end\",\"id\":7,"        \
    "\"arrived\":true}"

/* The begin at 200 is removed, its end at 301 is not. */
static void what_names_the_end_of_a_removed_begin_counts(void **state)
{
    (void)state;
    letters(201, 300);
    take(301, END("200"));
    assert_int_equal(ledger.last, -1);
    assert_int_equal(cli_ledger_count(&ledger, 0, 999), 100);
    /* Those that lost the race against the end are void as they were. */
    take(302, END("200"));
    take(303, "{\"settlement\":1,\"after\":200,\"event\":\"settle\","
              "\"letters\":[[201,300]]}");
    take(304, "{\"settlement\":1,\"after\":302,\"event\":\"settle\","
              "\"letters\":[[201,300]]}");
    assert_int_equal(ledger.last, -1);
    take(400, "{\"settlement\":1,\"after\":301,\"event\":\"settle\","
              "\"letters\":[[201,290]]}");
    assert_int_equal(ledger.last, 400);
    assert_int_equal(cli_ledger_count(&ledger, 0, 999), 10);
    note_letters(401, 291, 295);
    assert_int_equal(ledger.last, 401);
    assert_int_equal(cli_ledger_count(&ledger, 0, 999), 5);
}

/* An end that was void itself does not hide what counted. */
static void a_view_behind_a_removed_begin_counts(void **state)
{
    (void)state;
    letters(251, 300);
    take(301, END("200"));
    take(400, "{\"settlement\":1,\"after\":250,\"event\":\"settle\","
              "\"letters\":[[251,299]]}");
    assert_int_equal(ledger.last, 400);
    assert_int_equal(cli_ledger_count(&ledger, 0, 999), 1);
}

static void what_is_written_names_the_end_that_is_left(void **state)
{
    (void)state;
    letters(201, 300);
    take(301, END("200"));
    note_letters(302, 201, 299);
    assert_int_equal(ledger.last, 302);
    assert_int_equal(cli_ledger_count(&ledger, 0, 999), 1);
}

static void take_begin_after(const char *after, int64_t offset)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "{\"settlement\":1,\"after\":%s,\"event\":\"begin\","
                   "\"id\":8,\"letters\":[[150,199]],\"topic\":\"t\","
                   "\"batches\":[]}",
                   after);
    take(offset, text);
    assert_true(ledger.open);
}

static void a_begin_may_be_void_when_all_it_names_is_removed(void **state)
{
    (void)state;
    letters(199, 200);
    take_begin_after("100", 201);
    assert_false(ledger.begun.doubtful); /* 199 is there */
    cli_ledger_deinit(&ledger);
    take_begin_after("100", 201);
    assert_true(ledger.begun.doubtful);
    cli_ledger_deinit(&ledger);
    take(201, END("200"));
    take_begin_after("201", 202);
    assert_false(ledger.begun.doubtful);
}

static void nonsense_is_void(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{\"settlement\":1",
        "{\"settlement\":1}",
        "{\"settlement\":1,\"after\":-1,\"event\":\"sing\"}",
        "{\"settlement\":1,\"after\":-1,\"event\":\"settle\"}",
        "{\"settlement\":1,\"after\":-1,\"event\":\"settle\","
        "\"letters\":[[0,9]]}", /* not there yet */
        "{\"settlement\":1,\"after\":-1,\"event\":\"settle\","
        "\"letters\":[[1,0]]}",
        "{\"settlement\":1,\"after\":-1,\"event\":\"settle\","
        "\"letters\":[[-1,0]]}",
        "{\"settlement\":1,\"after\":-1,\"event\":\"settle\",\"letters\":[0]}",
        "{\"settlement\":1,\"after\":-1,\"event\":\"end\",\"id\":5,"
        "\"arrived\":true}",
        "{\"settlement\":1,\"after\":-1,\"event\":\"begin\",\"id\":5,"
        "\"letters\":[[0,0]],\"topic\":\"t\",\"batches\":[{\"partition\":0,"
        "\"end\":0,\"records\":[{\"value\":\"?\"}]}]}",
        "{\"settlement\":1,\"after\":-1,\"event\":\"begin\",\"id\":0,"
        "\"letters\":[[0,0]],\"topic\":\"t\",\"batches\":[]}",
    };
    letters(0, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        take((int64_t)i + 1, cases[i]);
        assert_int_equal(ledger.last, -1);
        assert_false(ledger.open);
    }
    assert_int_equal(cli_ledger_count(&ledger, 0, 999), 1);
    assert_int_equal(
        cli_ledger_take(&ledger, 50,
                        flv_slice_str("{\"settlement\":2,\"x\":[]}"), &err),
        FLV_E_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_join_what_touches),
        cmocka_unit_test(ranges_are_a_set),
        cmocka_unit_test(a_letter_is_read_whole),
        cmocka_unit_test(a_sinks_letter_names_its_record),
        cmocka_unit_test(what_is_no_letter_says_why),
        cmocka_unit_test_setup_teardown(settled_letters_are_not_open, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_begin_survives_its_record, begin,
                                        end),
        cmocka_unit_test_setup_teardown(an_end_settles_or_opens_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(the_second_of_two_is_void, begin, end),
        cmocka_unit_test_setup_teardown(views_of_removed_settlements_count,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            what_names_the_end_of_a_removed_begin_counts, begin, end),
        cmocka_unit_test_setup_teardown(a_view_behind_a_removed_begin_counts,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            what_is_written_names_the_end_that_is_left, begin, end),
        cmocka_unit_test_setup_teardown(
            a_begin_may_be_void_when_all_it_names_is_removed, begin, end),
        cmocka_unit_test_setup_teardown(nonsense_is_void, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
