#include "cm.h"
#include "connector/position.h"

static void starts_are_read_in_every_form(void **state)
{
    static const struct {
        const char *text;
        enum flv_start_kind kind;
        int64_t n;
    } rows[] = {
        {"beginning", FLV_START_BEGINNING, 0},
        {"end", FLV_START_END, 0},
        {"absolute:17", FLV_START_ABSOLUTE, 17},
        {"from-beginning:0", FLV_START_FROM_BEGINNING, 0},
        {"from-end:9223372036854775807", FLV_START_FROM_END, INT64_MAX},
    };
    static const char *const bad[] = {"",           "begin",      "absolute",
                                      "absolute:",  "end:1",      "from-end:-1",
                                      "absolute:x", "from-end: 1"};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct flv_start s = {0};
        assert_int_equal(flv__start_parse(rows[i].text, &s, NULL), FLV_OK);
        assert_int_equal(s.kind, rows[i].kind);
        assert_int_equal(s.n, rows[i].n);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct flv_start s = {.n = 7};
        struct flv_err err = {0};
        assert_int_equal(flv__start_parse(bad[i], &s, &err), FLV_E_USAGE);
        assert_non_null(strstr(err.text, "beginning"));
        assert_int_equal(s.n, 7);
    }
}

static void a_partition_that_came_later_begins_at_its_beginning(void **state)
{
    const struct flv_start end = {.kind = FLV_START_END};
    (void)state;
    assert_int_equal(flv__position_start(end, false).kind, FLV_START_END);
    assert_int_equal(flv__position_start(end, true).kind, FLV_START_BEGINNING);
}

static struct flv_position_facts facts(void)
{
    return (struct flv_position_facts){.topic = "facts",
                                       .consumer = "me",
                                       .topic_id = "a-1",
                                       .kept_id = "a-1",
                                       .partition = 3,
                                       .next_offset = 10,
                                       .first = 5,
                                       .end = 10};
}

static void positions_within_the_topic_are_good(void **state)
{
    (void)state;
    for (int64_t at = 5; at <= 10; at++) {
        struct flv_position_facts f = facts();
        f.next_offset = at;
        assert_int_equal(flv__position_check(&f, NULL), FLV_OK);
    }
    struct flv_position_facts f = facts();
    f.kept_id = NULL;
    assert_int_equal(flv__position_check(&f, NULL), FLV_OK);
    f.topic_id = "";
    assert_int_equal(flv__position_check(&f, NULL), FLV_OK);
    f.kept_id = ""; /* a server without ids, then and now */
    assert_int_equal(flv__position_check(&f, NULL), FLV_OK);
}

static void refuses(const struct flv_position_facts *f, const char *text)
{
    struct flv_err err = {0};
    assert_int_equal(flv__position_check(f, &err), FLV_E_INVALID);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" has no \"%s\"", err.text, text);
    }
}

static void positions_of_another_creation_are_refused(void **state)
{
    struct flv_position_facts f = facts();
    (void)state;
    f.kept_id = "a-2";
    refuses(&f, "the topic facts was deleted and made anew");
    f.end = -1; /* also before it is known what is there */
    refuses(&f, "deleted and made anew");
}

/* Whoever keeps positions itself owns only one of the same id, "" or not. */
static void positions_are_refused_where_only_one_id_is_known(void **state)
{
    struct flv_position_facts f = facts();
    (void)state;
    f.topic_id = "";
    refuses(&f, "the server answers without the topic's id");
    f = facts();
    f.kept_id = "";
    refuses(&f, "it was kept without the topic's id");
}

static void positions_outside_the_topic_are_refused(void **state)
{
    struct flv_position_facts f = facts();
    (void)state;
    f.next_offset = 11;
    refuses(&f, "behind the end of facts-3 (10)");
    f.next_offset = 4;
    refuses(&f, "records 4 to 4 of facts-3 are gone");
    f.next_offset = -1;
    refuses(&f, "no offset");
}

/* A server of Fluvio's that was killed may tell less than it has. */
static void the_end_counts_only_where_topics_have_ids(void **state)
{
    struct flv_position_facts f = facts();
    (void)state;
    f.topic_id = "";
    f.kept_id = NULL;
    f.next_offset = 11;
    assert_int_equal(flv__position_check(&f, NULL), FLV_OK);
    f.next_offset = 4;
    refuses(&f, "records 4 to 4 of facts-3 are gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_are_read_in_every_form),
        cmocka_unit_test(a_partition_that_came_later_begins_at_its_beginning),
        cmocka_unit_test(positions_within_the_topic_are_good),
        cmocka_unit_test(positions_of_another_creation_are_refused),
        cmocka_unit_test(positions_are_refused_where_only_one_id_is_known),
        cmocka_unit_test(positions_outside_the_topic_are_refused),
        cmocka_unit_test(the_end_counts_only_where_topics_have_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
