/* The engine of a sink between a reader and a far side that the test plays. */
#include <stdio.h>
#include <stdlib.h>

#include "cm.h"
#include "connector/sink.h"
#include "loop/loop.h"

#define RECORDS_MAX 40000
#define PARTS 3

/* --- the far side --------------------------------------------------------- */

struct far {
    struct flv_sink *sink;
    struct flv_sink_record *records[RECORDS_MAX]; /* as they were put */
    size_t count, empty;
    struct flv_sink_batch *last;
    int verdicts[2];
    bool drained, drain_all, auto_drain, closed;
};

static struct far far;
static struct flv_loop *loop;

static flv_rc far_open(void *state,
                       const void *conf,
                       struct flv_sink *sink,
                       struct flv_err *err)
{
    (void)state;
    (void)conf;
    (void)err;
    far = (struct far){.sink = sink, .auto_drain = true};
    return FLV_OK;
}

static void far_put(void *state, struct flv_sink_batch *b)
{
    (void)state;
    far.last = b;
    far.empty += b->count == 0;
    for (uint32_t i = 0; i < b->count; i++) {
        assert_true(far.count < RECORDS_MAX);
        far.records[far.count++] = &b->records[i];
    }
}

static void
far_verdict(void *state, struct flv_sink_record *r, enum flv_sink_verdict v)
{
    (void)state;
    assert_int_equal(r->settled, 0);
    far.verdicts[v]++;
}

static void far_drain(void *state, bool all)
{
    (void)state;
    far.drained = true;
    far.drain_all = all;
    if (far.auto_drain) {
        flv_sink_drained(far.sink);
    }
}

static void far_close(void *state)
{
    (void)state;
    far.closed = true;
    flv_sink_closed(far.sink);
}

static void far_ask(void *state, const struct flv_sink_ask *ask)
{
    (void)state;
    const struct flv_sink_position at = {
        .partition = 1, .next_offset = 7, .topic_id = ask->id};
    flv_sink_positions(far.sink, &at, 1, NULL);
}

static void
far_keep(void *state, const struct flv_sink_position *starts, size_t count)
{
    (void)state;
    (void)starts;
    assert_int_equal(count, 1);
    flv_sink_kept(far.sink, NULL);
}

static const struct flv_sink_ops ops = {.open = far_open,
                                        .put = far_put,
                                        .verdict = far_verdict,
                                        .drain = far_drain,
                                        .close = far_close};
static const struct flv_sink_ops keeping_ops = {.keeps_positions = true,
                                                .open = far_open,
                                                .ask = far_ask,
                                                .keep = far_keep,
                                                .put = far_put,
                                                .verdict = far_verdict,
                                                .drain = far_drain,
                                                .close = far_close};
static const struct flv_connector plain = {.name = "far-sink", .sink = &ops};
static const struct flv_connector keeping = {.name = "own-sink",
                                             .sink = &keeping_ops};

/* --- what surrounds the engine
 * ------------------------------------------------ */

static struct {
    struct flv_sink *sink;
    bool held[PARTS];
    int64_t committing[PARTS], committed[PARTS];
    bool auto_commit, busy;
    size_t letters;
    uint64_t tokens[16];
    char letter[1024];
    size_t positions, kept, told, well;
    bool done;
} env;

static void on_hold(void *arg, uint32_t p, bool on)
{
    (void)arg;
    assert_true(env.held[p] != on);
    env.held[p] = on;
}

static void on_commit(void *arg, uint32_t p, int64_t next)
{
    (void)arg;
    assert_true(env.committing[p] < 0 && next > env.committed[p]);
    env.committing[p] = next;
}

static flv_rc on_letter(void *arg,
                        uint32_t lane,
                        const struct flv_msg *msg,
                        uint64_t token,
                        struct flv_err *err)
{
    (void)arg;
    assert_int_equal(lane, 1);
    if (env.busy) {
        return flv_fail(err, FLV_E_BUSY, "busy");
    }
    assert_true(env.letters < COUNT(env.tokens));
    env.tokens[env.letters++] = token;
    (void)snprintf(env.letter, sizeof(env.letter), "%.*s", (int)msg->value.len,
                   (const char *)msg->value.data);
    return FLV_OK;
}

static void on_positions(void *arg,
                         const struct flv_sink_position *positions,
                         size_t count,
                         const struct flv_err *err)
{
    (void)arg;
    assert_null(err);
    assert_int_equal(positions->next_offset, 7);
    env.positions += count;
}

static void on_kept(void *arg, const struct flv_err *err)
{
    (void)arg;
    assert_null(err);
    env.kept++;
}

static void on_told(void *arg, const struct flv_err *err, uint64_t in_ms)
{
    (void)arg;
    (void)in_ms;
    if (err != NULL) {
        env.told++;
    } else {
        env.well++;
    }
}

static void on_done(void *arg)
{
    (void)arg;
    env.done = true;
}

static const struct flv_sink_env env_ops = {.hold = on_hold,
                                            .commit = on_commit,
                                            .letter = on_letter,
                                            .positions = on_positions,
                                            .kept = on_kept,
                                            .told = on_told,
                                            .done = on_done};

/* Commits that are under way are durable now. */
static void confirm_commits(void)
{
    for (uint32_t p = 0; p < PARTS; p++) {
        if (env.committing[p] >= 0) {
            env.committed[p] = env.committing[p];
            env.committing[p] = -1;
            flv__sink_committed(env.sink, p, NULL);
        }
    }
}

static void spin(void)
{
    for (int i = 0; i < 5; i++) {
        (void)flv_loop_turn(loop, false);
    }
}

static void until(const bool *what)
{
    while (!*what) {
        (void)flv_loop_turn(loop, true);
        confirm_commits();
    }
}

/* Until the position of a partition is kept so far. */
static void until_committed(uint32_t p, int64_t next)
{
    while (env.committed[p] < next) {
        (void)flv_loop_turn(loop, true);
        confirm_commits();
    }
    assert_int_equal(env.committed[p], next);
}

static void start_as(const struct flv_connector *type, const char *policy)
{
    struct flv_sink_conf conf = {.loop = loop,
                                 .type = type,
                                 .topic = "facts",
                                 .consumer = "me",
                                 .env = &env_ops,
                                 .drain_ms = 500};
    memset(&env, 0, sizeof(env));
    assert_int_equal(flv__policy_parse(policy, &conf.policy, NULL), FLV_OK);
    conf.policy.lane = 1;
    assert_int_equal(flv__sink_open(&env.sink, &conf, NULL), FLV_OK);
    assert_int_equal(flv__sink_partitions(env.sink, PARTS, NULL), FLV_OK);
    for (uint32_t p = 0; p < PARTS; p++) {
        env.committing[p] = -1;
        env.held[p] = true; /* as the readers begin */
        flv__sink_start(env.sink, p, 0);
        assert_false(env.held[p]);
    }
}

static void start(const char *policy)
{
    start_as(&plain, policy);
}

static void finish(void)
{
    flv__sink_stop(env.sink);
    until(&env.done);
    flv__sink_destroy(env.sink);
}

static void give(uint32_t partition, int64_t from, size_t count)
{
    struct flv_record_view views[1024];
    assert_true(count <= COUNT(views));
    for (size_t i = 0; i < count; i++) {
        views[i] = (struct flv_record_view){.offset = from + (int64_t)i,
                                            .timestamp_ms = 5,
                                            .value = flv_slice_str("value")};
    }
    const struct flv_record_batch b = {.topic = "facts",
                                       .partition = partition,
                                       .records = views,
                                       .count = count};
    flv__sink_batch(env.sink, &b);
}

static struct flv_pipeline_counts counts(void)
{
    struct flv_pipeline_counts n;
    flv__sink_counts(env.sink, &n);
    assert_int_equal(n.stages.in,
                     n.stages.passed + n.stages.filtered + n.stages.failed);
    return n;
}

/* --- claims ----------------------------------------------------------------
 */

static void the_position_follows_the_longest_confirmed_prefix(void **state)
{
    (void)state;
    start("halt");
    give(0, 0, 3);
    give(0, 3, 2);
    assert_int_equal(far.count, 5);
    flv_sink_done(far.sink, far.records[4]);
    flv_sink_done(far.sink, far.records[1]);
    spin();
    assert_int_equal(env.committing[0], -1);
    flv_sink_done(far.sink, far.records[0]);
    until_committed(0, 2);
    flv_sink_done(far.sink, far.records[3]);
    flv_sink_done(far.sink, far.records[2]);
    until_committed(0, 5);
    assert_int_equal(counts().stages.passed, 5);
    assert_int_equal(counts().acked, 5);
    finish();
}

static void partitions_move_on_their_own(void **state)
{
    (void)state;
    start("halt");
    give(0, 0, 1);
    give(2, 0, 1);
    assert_int_equal(far.records[1]->batch->partition, 2);
    flv_sink_done(far.sink, far.records[1]);
    until_committed(2, 1);
    assert_int_equal(env.committed[0], 0);
    finish();
    assert_int_equal(env.committed[0], 0);
}

static void what_is_not_confirmed_at_a_stop_is_not_committed(void **state)
{
    (void)state;
    start("halt");
    give(0, 0, 4);
    far.auto_drain = false;
    flv_sink_done(far.sink, far.records[0]);
    flv__sink_stop(env.sink);
    spin();
    assert_true(far.drained && !far.drain_all && !far.closed);
    flv_sink_done(far.sink, far.records[1]); /* it was under way */
    flv_sink_done(far.sink, far.records[3]);
    flv_sink_drained(far.sink);
    until(&env.done);
    assert_int_equal(env.committed[0], 2);
    assert_null(flv__sink_cause(env.sink));
    flv__sink_destroy(env.sink);
}

static void a_far_side_that_does_not_drain_is_closed(void **state)
{
    (void)state;
    start("halt");
    far.auto_drain = false;
    give(0, 0, 1);
    flv__sink_stop(env.sink);
    until(&env.done);
    assert_true(far.closed);
    flv__sink_destroy(env.sink);
}

static void halt_ends_it_and_delivers_what_was_put(void **state)
{
    struct flv_err err = {0};
    (void)state;
    start("halt");
    give(0, 40, 3);
    far.auto_drain = false;
    (void)flv_fail(&err, FLV_E_REFUSED, "no such thing");
    flv_sink_failed(far.sink, far.records[1], FLV_AT_PROTOCOL, &err);
    spin();
    assert_true(far.drained && far.drain_all);
    flv_sink_done(far.sink, far.records[0]);
    flv_sink_done(far.sink, far.records[2]);
    flv_sink_drained(far.sink);
    until(&env.done);
    assert_int_equal(env.committed[0], 41);
    assert_string_equal(flv__sink_cause(env.sink)->text,
                        "record facts-0@41: no such thing");
    flv__sink_destroy(env.sink);
}

static void discard_settles_and_counts(void **state)
{
    struct flv_err err = {0};
    (void)state;
    start("discard");
    give(0, 0, 2);
    (void)flv_fail(&err, FLV_E_REFUSED, "no such thing");
    flv_sink_failed(far.sink, far.records[0], FLV_AT_PROTOCOL, &err);
    flv_sink_done(far.sink, far.records[1]);
    until_committed(0, 2);
    assert_int_equal(far.verdicts[FLV_SINK_DISPOSED], 1);
    assert_int_equal(counts().stages.failed, 1);
    assert_int_equal(counts().stages.discarded, 1);
    assert_int_equal(counts().stages.passed, 1);
    finish();
}

/* A record has one outcome, however often it was tried. */
static void the_stages_add_up(void **state)
{
    struct flv_err err = {0};
    (void)state;
    start("discard");
    give(0, 0, 4);
    (void)flv_fail(&err, FLV_E_REFUSED, "no such thing");
    flv_sink_done(far.sink, far.records[0]);
    flv_sink_failed(far.sink, far.records[1], FLV_AT_PROTOCOL, &err);
    flv_sink_failed(far.sink, far.records[2], FLV_AT_EXTRACT, &err);
    flv_sink_done(far.sink, far.records[3]);
    until_committed(0, 4);
    const struct flv_stage_counts extract = counts().extract;
    const struct flv_stage_counts protocol = counts().protocol;
    assert_int_equal(extract.in, 4);
    assert_int_equal(extract.passed, 3);
    assert_int_equal(extract.failed, 1);
    assert_int_equal(extract.discarded, 1);
    assert_int_equal(protocol.in, 3);
    assert_int_equal(protocol.passed, 2);
    assert_int_equal(protocol.failed, 1);
    assert_int_equal(protocol.discarded, 1);
    finish();
}

static void a_dead_letter_settles_when_it_is_durable(void **state)
{
    struct flv_err err = {0};
    (void)state;
    start("dead-letter:bad");
    give(1, 17, 1);
    env.busy = true;
    (void)flv_fail(&err, FLV_E_REFUSED, "no such thing");
    flv_sink_failed(far.sink, far.records[0], FLV_AT_PROTOCOL, &err);
    spin();
    assert_int_equal(env.letters, 0);
    env.busy = false;
    flv__sink_writable(env.sink);
    spin();
    assert_int_equal(env.letters, 1);
    assert_non_null(strstr(env.letter, "\"topic\":\"facts\",\"partition\":1,"
                                       "\"offset\":17}"));
    assert_non_null(strstr(env.letter, "no such thing"));
    assert_non_null(strstr(env.letter, "\"value\":\"dmFsdWU=\""));
    assert_int_equal(far.verdicts[FLV_SINK_DISPOSED], 0);
    flv__sink_letter_settled(env.sink, env.tokens[0], NULL);
    until_committed(1, 18);
    assert_int_equal(far.verdicts[FLV_SINK_DISPOSED], 1);
    assert_int_equal(counts().dead_lettered, 1);
    assert_int_equal(counts().stages.failed, 1);
    finish();
}

static void a_letter_that_is_refused_moves_no_position(void **state)
{
    struct flv_err err = {0};
    (void)state;
    start("dead-letter:bad");
    give(1, 0, 1);
    (void)flv_fail(&err, FLV_E_REFUSED, "no such thing");
    flv_sink_failed(far.sink, far.records[0], FLV_AT_PROTOCOL, &err);
    spin();
    flv__sink_letter_settled(env.sink, env.tokens[0], &err);
    until(&env.done);
    assert_int_equal(env.committed[1], 0);
    assert_non_null(flv__sink_cause(env.sink));
    flv__sink_destroy(env.sink);
}

static void retry_asks_again_and_then_halts(void **state)
{
    struct flv_err err = {0};
    (void)state;
    start("retry:1");
    give(0, 0, 1);
    (void)flv_fail(&err, FLV_E_REFUSED, "no such thing");
    flv_sink_failed(far.sink, far.records[0], FLV_AT_PROTOCOL, &err);
    assert_int_equal(env.told, 1);
    while (far.verdicts[FLV_SINK_AGAIN] == 0) {
        (void)flv_loop_turn(loop, true);
    }
    flv_sink_failed(far.sink, far.records[0], FLV_AT_PROTOCOL, &err);
    until(&env.done);
    assert_int_equal(env.committed[0], 0);
    assert_non_null(flv__sink_cause(env.sink));
    flv__sink_destroy(env.sink);
}

static void a_partition_is_held_at_its_share(void **state)
{
    size_t given = 0;
    (void)state;
    start("halt");
    while (!env.held[0]) {
        give(0, (int64_t)given, 1000);
        given += 1000;
    }
    assert_in_range(given, FLV_SINK_RECORDS_MAX / PARTS,
                    FLV_SINK_RECORDS_MAX / PARTS + 1000);
    assert_false(env.held[1]);
    for (size_t i = 0; i < given / 3; i++) {
        flv_sink_done(far.sink, far.records[i]);
    }
    spin();
    assert_true(env.held[0]);
    for (size_t i = given / 3; i < given; i++) {
        flv_sink_done(far.sink, far.records[i]);
    }
    spin();
    assert_false(env.held[0]);
    until_committed(0, (int64_t)given);
    finish();
}

static void pause_holds_all_and_resume_lets_go(void **state)
{
    (void)state;
    start("halt");
    flv__sink_pause(env.sink, true);
    assert_true(env.held[0] && env.held[1] && env.held[2]);
    flv__sink_pause(env.sink, false);
    assert_false(env.held[0] || env.held[1] || env.held[2]);
    finish();
}

static void a_position_that_cannot_be_kept_ends_it(void **state)
{
    struct flv_err err = {0};
    (void)state;
    start("halt");
    give(0, 0, 1);
    flv_sink_done(far.sink, far.records[0]);
    while (env.committing[0] < 0) {
        (void)flv_loop_turn(loop, true);
    }
    env.committing[0] = -1;
    (void)flv_fail(&err, FLV_E_NOT_FOUND, "the topic was deleted");
    flv__sink_committed(env.sink, 0, &err);
    until(&env.done);
    assert_string_equal(flv__sink_cause(env.sink)->text,
                        "the topic was deleted");
    flv__sink_destroy(env.sink);
}

static void
a_sink_that_keeps_positions_is_asked_and_never_committed(void **state)
{
    const struct flv_sink_ask ask = {.id = "a-1", .count = PARTS};
    const struct flv_sink_position at = {.partition = 0, .topic_id = "a-1"};
    (void)state;
    start_as(&keeping, "halt");
    flv__sink_ask(env.sink, &ask);
    flv__sink_keep(env.sink, &at, 1);
    assert_int_equal(env.positions, 1);
    assert_int_equal(env.kept, 1);
    give(0, 0, 3);
    assert_int_equal(far.last->next_offset, 3);
    flv_sink_batch_done(far.sink, far.last);
    spin();
    assert_int_equal(env.committing[0], -1);
    assert_int_equal(counts().acked, 3);
    finish();
    assert_int_equal(env.committed[0], 0);
}

/* --- with a stage ------------------------------------------------------------
 */

/* Drops odd offsets, doubles those that divide by four, fails on 6. */
static struct {
    const struct flv_batch *in;
    struct flv_msg msgs[64];
    uint32_t origins[64];
    uint8_t fates[64];
    struct flv_letter letter;
    struct flv_stage_result result;
} stage;

static void stage_run(void *state, const struct flv_batch *in)
{
    (void)state;
    assert_null(stage.in);
    stage.in = in;
}

static void stage_hurry(void *state)
{
    (void)state;
}

static const struct flv_stage odd_stage = {.run = stage_run,
                                           .hurry = stage_hurry};

static void answer_stage(void)
{
    struct flv_stage_result *r = &stage.result;
    const struct flv_batch *in = stage.in;
    *r = (struct flv_stage_result){.msgs = stage.msgs,
                                   .origins = stage.origins,
                                   .fates = stage.fates,
                                   .letters = &stage.letter};
    for (uint32_t i = 0; i < in->count; i++) {
        int64_t at = in->offsets[i];
        r->counts.in++;
        stage.fates[i] = FLV_STAGED_FILTERED;
        if (at == 6) {
            stage.letter = (struct flv_letter){
                .lane = 1, .msg = {.value = flv_slice_str("letter")}};
            r->letter_count = 1;
            r->counts.failed++;
            stage.fates[i] = FLV_STAGED_FAILED;
            continue;
        }
        if (at % 2 == 1) {
            r->counts.filtered++;
            continue;
        }
        r->counts.passed++;
        stage.fates[i] = FLV_STAGED_PASSED;
        for (int k = 0; k < (at % 4 == 0 ? 2 : 1); k++) {
            stage.origins[r->count] = i;
            stage.msgs[r->count++] = in->msgs[i];
        }
    }
    stage.in = NULL;
    flv__sink_staged(env.sink, r);
}

static void start_staged(const struct flv_connector *type)
{
    struct flv_sink_conf conf = {.loop = loop,
                                 .type = type,
                                 .topic = "facts",
                                 .consumer = "me",
                                 .stage = &odd_stage,
                                 .stage_steps = 1,
                                 .env = &env_ops,
                                 .drain_ms = 500};
    memset(&env, 0, sizeof(env));
    memset(&stage, 0, sizeof(stage));
    assert_int_equal(flv__sink_open(&env.sink, &conf, NULL), FLV_OK);
    assert_int_equal(flv__sink_partitions(env.sink, PARTS, NULL), FLV_OK);
    for (uint32_t p = 0; p < PARTS; p++) {
        env.committing[p] = -1;
        env.held[p] = true;
        flv__sink_start(env.sink, p, 0);
    }
}

static void a_record_is_settled_with_the_last_one_made_of_it(void **state)
{
    (void)state;
    start_staged(&plain);
    give(0, 0, 3); /* 0 twice, 1 not, 2 once */
    spin();
    answer_stage();
    assert_int_equal(far.count, 3);
    assert_int_equal(far.records[0]->part, 0);
    assert_false(far.records[0]->last);
    assert_int_equal(far.records[1]->part, 1);
    assert_true(far.records[1]->last);
    flv_sink_done(far.sink, far.records[0]);
    spin();
    assert_int_equal(counts().stages.in, 0);
    flv_sink_done(far.sink, far.records[1]);
    until_committed(0, 2); /* 1 was filtered */
    assert_int_equal(counts().stages.filtered, 1);
    flv_sink_done(far.sink, far.records[2]);
    until_committed(0, 3);
    finish();
}

static void a_batch_is_put_when_its_letters_are_durable(void **state)
{
    (void)state;
    start_staged(&plain);
    give(0, 4, 3); /* 4 twice, 5 not, 6 fails */
    spin();
    answer_stage();
    spin();
    assert_int_equal(env.letters, 1);
    assert_int_equal(far.count, 0);
    flv__sink_letter_settled(env.sink, env.tokens[0], NULL);
    assert_int_equal(far.count, 2);
    flv_sink_batch_done(far.sink, far.last);
    until_committed(0, 7);
    assert_int_equal(counts().stages.failed, 1);
    finish();
}

static void a_batch_that_was_filtered_moves_the_position(void **state)
{
    (void)state;
    start_staged(&plain);
    give(0, 1, 1);
    spin();
    answer_stage();
    until_committed(0, 2);
    assert_int_equal(far.count, 0);
    assert_int_equal(far.empty, 0);
    finish();
}

static void a_sink_that_keeps_positions_hears_of_what_was_filtered(void **state)
{
    (void)state;
    start_staged(&keeping);
    give(0, 1, 1);
    spin();
    answer_stage();
    assert_int_equal(far.empty, 1);
    assert_int_equal(far.last->next_offset, 2);
    flv_sink_batch_done(far.sink, far.last);
    spin();
    assert_int_equal(counts().stages.filtered, 1);
    finish();
}

static int setup(void **state)
{
    (void)state;
    return flv_loop_create(&loop, 0, NULL) == FLV_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    flv_loop_run(loop);
    flv_loop_destroy(loop);
    return 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_position_follows_the_longest_confirmed_prefix),
        T(partitions_move_on_their_own),
        T(what_is_not_confirmed_at_a_stop_is_not_committed),
        T(a_far_side_that_does_not_drain_is_closed),
        T(halt_ends_it_and_delivers_what_was_put),
        T(discard_settles_and_counts),
        T(the_stages_add_up),
        T(a_dead_letter_settles_when_it_is_durable),
        T(a_letter_that_is_refused_moves_no_position),
        T(retry_asks_again_and_then_halts),
        T(a_partition_is_held_at_its_share),
        T(pause_holds_all_and_resume_lets_go),
        T(a_position_that_cannot_be_kept_ends_it),
        T(a_sink_that_keeps_positions_is_asked_and_never_committed),
        T(a_record_is_settled_with_the_last_one_made_of_it),
        T(a_batch_is_put_when_its_letters_are_durable),
        T(a_batch_that_was_filtered_moves_the_position),
        T(a_sink_that_keeps_positions_hears_of_what_was_filtered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
