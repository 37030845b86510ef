/* The SQL sink between the runtime of sinks and a database of SQLite: two
 * threads, batches, verdicts, and the end. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cm.h"
#include "connector/sink.h"
#include "loop/loop.h"
#include "sql_sink.h"
#include "tmpdir.h"

static struct {
    struct tmpdir tmp;
    char path[128], url[160];
    struct sql_conf conf;
    struct flv_loop *loop;
    struct flv_sink *sink;
    bool asked, kept, letter, done;
    uint64_t token;
    size_t found;
    int64_t next; /* found, or 0 */
    size_t troubles, well;
} t;

/* --- what surrounds the sink --------------------------------------------- */

static void on_hold(void *arg, uint32_t p, bool on)
{
    (void)arg;
    (void)p;
    (void)on;
}

static flv_rc on_letter(void *arg,
                        uint32_t lane,
                        const struct flv_msg *msg,
                        uint64_t token,
                        struct flv_err *err)
{
    (void)arg;
    (void)lane;
    (void)msg;
    (void)err;
    assert_false(t.letter);
    t.letter = true;
    t.token = token;
    return FLV_OK;
}

static void on_positions(void *arg,
                         const struct flv_sink_position *positions,
                         size_t count,
                         const struct flv_err *err)
{
    (void)arg;
    assert_null(err);
    t.asked = true;
    t.found = count;
    t.next = count > 0 ? positions[0].next_offset : 0;
}

static void on_kept(void *arg, const struct flv_err *err)
{
    (void)arg;
    assert_null(err);
    t.kept = true;
}

static void on_told(void *arg, const struct flv_err *err, uint64_t in_ms)
{
    (void)arg;
    (void)in_ms;
    t.troubles += err != NULL;
    t.well += err == NULL;
}

static void on_done(void *arg)
{
    (void)arg;
    t.done = true;
}

static const struct flv_sink_env env = {.hold = on_hold,
                                        .letter = on_letter,
                                        .positions = on_positions,
                                        .kept = on_kept,
                                        .told = on_told,
                                        .done = on_done};

static void until(const bool *what)
{
    while (!*what) {
        (void)flv_loop_turn(t.loop, true);
    }
}

/* --- the database, asked beside the sink ---------------------------------- */

static void ask(const char *sql, char *out, size_t max)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_open(t.path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 20000);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    if (sqlite3_step(s) == SQLITE_ROW && out != NULL) {
        (void)snprintf(out, max, "%s", sqlite3_column_text(s, 0));
    }
    sqlite3_finalize(s);
    sqlite3_close(db);
}

static void assert_answer(const char *sql, const char *expected)
{
    char out[256] = "";
    ask(sql, out, sizeof(out));
    assert_string_equal(out, expected);
}

static void until_next(const char *expected)
{
    char out[64];
    do {
        (void)flv_loop_turn(t.loop, false);
        out[0] = '\0';
        ask("SELECT next_offset FROM fluvio_position", out, sizeof(out));
    } while (strcmp(out, expected) != 0);
}

/* --- a life ----------------------------------------------------------------
 */

static void begin(const char *policy)
{
    struct flv_sink_conf conf = {.loop = t.loop,
                                 .type = &sql_sink_connector,
                                 .name = "test",
                                 .topic = "facts",
                                 .consumer = "me",
                                 .conf = &t.conf,
                                 .env = &env,
                                 .drain_ms = 3000};
    const struct flv_sink_ask question = {
        .consumer = "me", .name = "facts", .id = "id", .count = 1};
    const struct flv_sink_position start = {.topic_id = "id"};
    t.asked = t.kept = t.letter = t.done = false;
    t.troubles = t.well = 0;
    assert_int_equal(flv__policy_parse(policy, &conf.policy, NULL), FLV_OK);
    conf.policy.lane = 1;
    assert_int_equal(flv__sink_open(&t.sink, &conf, NULL), FLV_OK);
    assert_int_equal(flv__sink_partitions(t.sink, 1, NULL), FLV_OK);
    flv__sink_ask(t.sink, &question);
    until(&t.asked);
    if (t.found == 0) {
        flv__sink_keep(t.sink, &start, 1);
        until(&t.kept);
    }
    flv__sink_start(t.sink, 0, t.next);
}

/* Records [from, from + count); number `bad` has a text for a number. */
static void give(int64_t from, size_t count, int64_t bad)
{
    static char texts[1024][160];
    struct flv_record_view views[1024];
    assert_true(count <= COUNT(views));
    for (size_t i = 0; i < count; i++) {
        int64_t offset = from + (int64_t)i;
        (void)snprintf(texts[i], sizeof(texts[i]),
                       "{\"Insert\":{\"table\":\"t\",\"values\":[{\"column\":"
                       "\"n\",\"raw_value\":\"%s%lld\",\"type\":\"Int\"}]}}",
                       offset == bad ? "x" : "", (long long)offset);
        views[i] = (struct flv_record_view){.offset = offset,
                                            .value = flv_slice_str(texts[i])};
    }
    const struct flv_record_batch b = {
        .topic = "facts", .records = views, .count = count};
    flv__sink_batch(t.sink, &b);
}

static void finish(void)
{
    flv__sink_stop(t.sink);
    until(&t.done);
    flv__sink_destroy(t.sink);
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    tmpdir_make(&t.tmp, "sqlsink");
    (void)snprintf(t.path, sizeof(t.path), "%s/data.db", t.tmp.path);
    (void)snprintf(t.url, sizeof(t.url), "sqlite://%s", t.path);
    static char positions[] = "fluvio_position";
    t.conf = (struct sql_conf){.url = t.url,
                               .positions = positions,
                               .backoff_min_ms = 10,
                               .backoff_max_ms = 20,
                               .timeout_ms = 20000};
    ask("CREATE TABLE t (n INTEGER)", NULL, 0);
    return flv_loop_create(&t.loop, 0, NULL) == FLV_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    flv_loop_destroy(t.loop);
    tmpdir_remove(&t.tmp);
    return 0;
}

/* --- claims ----------------------------------------------------------------
 */

static void batches_that_wait_are_applied_once_and_in_order(void **state)
{
    (void)state;
    begin("halt");
    for (int64_t i = 0; i < 8; i++) {
        give(i * 1000, 1000, -1);
    }
    until_next("8000");
    finish();
    assert_answer("SELECT count(*) || ' ' || count(DISTINCT n) || ' ' || "
                  "max(rowid - n) FROM t",
                  "8000 8000 1");
    begin("halt");
    assert_int_equal(t.next, 8000);
    finish();
}

static void what_stands_before_a_record_that_halts_is_applied(void **state)
{
    (void)state;
    begin("halt");
    give(0, 100, 42);
    until(&t.done);
    assert_non_null(strstr(flv__sink_cause(t.sink)->text, "facts-0@42"));
    assert_non_null(strstr(flv__sink_cause(t.sink)->text, "column \"n\""));
    flv__sink_destroy(t.sink);
    assert_answer("SELECT count(*) FROM t", "42");
    assert_answer("SELECT next_offset FROM fluvio_position", "42");
}

static void position_waits_for_the_letter(void **state)
{
    (void)state;
    begin("dead-letter:dead");
    give(0, 100, 42);
    until(&t.letter);
    assert_answer("SELECT count(*) FROM t", "0");
    assert_answer("SELECT next_offset FROM fluvio_position", "0");
    flv__sink_letter_settled(t.sink, t.token, NULL);
    until_next("100");
    assert_answer("SELECT count(*) FROM t", "99");
    finish();
}

static void stop_before_the_letter_leaves_its_record_for_later(void **state)
{
    (void)state;
    begin("dead-letter:dead");
    give(0, 100, 42);
    until(&t.letter);
    flv__sink_stop(t.sink);
    until_next("42");
    flv__sink_letter_settled(t.sink, t.token, NULL);
    until(&t.done);
    flv__sink_destroy(t.sink);
    assert_answer("SELECT count(*) FROM t", "42");
}

static void database_that_vanished_is_tried_until_it_is_back(void **state)
{
    char aside[160];
    (void)state;
    (void)snprintf(aside, sizeof(aside), "%s.aside", t.path);
    begin("halt");
    give(0, 10, -1);
    until_next("10");
    assert_int_equal(rename(t.path, aside), 0);
    give(10, 10, -1);
    while (t.troubles < 3) {
        (void)flv_loop_turn(t.loop, true);
    }
    size_t well = t.well;
    assert_int_equal(rename(aside, t.path), 0);
    until_next("20");
    while (t.well == well) {
        (void)flv_loop_turn(t.loop, true);
    }
    finish();
    assert_answer("SELECT count(*) FROM t", "20");
}

static void stop_does_not_wait_for_a_database_that_is_away(void **state)
{
    (void)state;
    begin("halt");
    assert_int_equal(unlink(t.path), 0);
    give(0, 10, -1);
    while (t.troubles < 2) {
        (void)flv_loop_turn(t.loop, true);
    }
    uint64_t from = flv_loop_now_ms(t.loop);
    finish();
    assert_true(flv_loop_now_ms(t.loop) - from < 2500);
}

int main(void)
{
#define IN(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN(batches_that_wait_are_applied_once_and_in_order),
        IN(what_stands_before_a_record_that_halts_is_applied),
        IN(position_waits_for_the_letter),
        IN(stop_before_the_letter_leaves_its_record_for_later),
        IN(database_that_vanished_is_tried_until_it_is_back),
        IN(stop_does_not_wait_for_a_database_that_is_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
