/* The consumer: every start, back-pressure, losses, stored offsets. */
#include "rig.h"

#include "cm.h"
#include <stdio.h>
#include <stdlib.h>

#define RECORDS_MAX 4096

struct got {
    struct flv_consumer *k;
    unsigned count; /* records */
    unsigned calls;
    struct {
        uint32_t partition;
        int64_t offset;
        char value[16];
    } at[RECORDS_MAX];
    unsigned pause_after; /* records; 0: never */
    unsigned wanted;
    bool enough;
    struct note ended, positioned, opened;
    int64_t position;
};

static struct got got;

static void batch_came(void *user, const struct flv_record_batch *b)
{
    struct got *g = user;

    g->calls++;
    assert_true(b->count > 0);
    assert_string_equal(b->topic, "events");
    for (size_t i = 0; i < b->count; i++) {
        assert_true(g->count < RECORDS_MAX);
        g->at[g->count].partition = b->partition;
        g->at[g->count].offset = b->records[i].offset;
        (void)snprintf(g->at[g->count].value, sizeof(g->at[g->count].value),
                       "%.*s", (int)b->records[i].value.len,
                       (const char *)b->records[i].value.data);
        g->count++;
    }
    if (g->pause_after != 0 && g->count >= g->pause_after) {
        flv_consumer_pause(g->k);
    }
    g->enough = g->count >= g->wanted;
}

static void ended_came(void *user, const struct flv_err *err)
{
    rig_done(&((struct got *)user)->ended, err);
}

static void positioned_came(void *user, uint32_t partition, int64_t offset)
{
    struct got *g = user;

    (void)partition;
    g->position = offset;
    rig_done(&g->positioned, NULL);
}

static struct flv_consumer_conf from(enum flv_start_kind kind, int64_t n)
{
    struct flv_consumer_conf conf = flv_consumer_conf_default("events");

    memset(&got, 0, sizeof(got));
    conf.start = (struct flv_start){.kind = kind, .n = n};
    conf.batch = batch_came;
    conf.ended = ended_came;
    conf.positioned = positioned_came;
    conf.user = &got;
    return conf;
}

static void begin(struct rig *r, int records)
{
    rig_init(r);
    for (int i = 0; i < records; i += 10) {
        fake_append(&r->f, 0, "r", i, records - i < 10 ? records - i : 10);
    }
    rig_client(r, 0);
}

static void open_consumer(struct rig *r, const struct flv_consumer_conf *conf)
{
    struct flv_err err;

    if (flv_consumer_open(&got.k, r->c, conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
}

static void wait_for(struct rig *r, unsigned count)
{
    got.wanted = count;
    got.enough = got.count >= count;
    if (!fake_until(&r->f, &got.enough, RIG_LIMIT_MS)) {
        fail_msg("only %u of %u records came", got.count, count);
    }
}

static void close_consumer(struct rig *r)
{
    struct note n = {.came = false};

    flv_consumer_close(got.k, rig_closed, &n);
    rig_wait(r, &n);
}

/* Records first .. first + count - 1 of partition 0 came once, in order. */
static void assert_got(int64_t first, unsigned count)
{
    char expected[16];

    assert_int_equal(got.count, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(got.at[i].offset, first + i);
        (void)snprintf(expected, sizeof(expected), "r%d", (int)first + (int)i);
        assert_string_equal(got.at[i].value, expected);
    }
}

static void every_start_begins_where_it_says(void **state)
{
    static const struct {
        struct flv_start start;
        int64_t first;
    } cases[] = {
        {{FLV_START_BEGINNING, 0}, 0},
        {{FLV_START_ABSOLUTE, 17}, 17},
        {{FLV_START_FROM_BEGINNING, 3}, 3},
        {{FLV_START_FROM_END, 5}, 30},
        {{FLV_START_FROM_END, 500}, 0},
        {{FLV_START_FROM_BEGINNING, 99}, 35},
        {{FLV_START_END, 0}, 35},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct flv_consumer_conf conf =
            from(cases[i].start.kind, cases[i].start.n);
        struct rig r;

        begin(&r, 35);
        conf.stop_at_end = true;
        open_consumer(&r, &conf);
        rig_wait(&r, &got.ended);
        assert_int_equal(got.ended.err.rc, FLV_OK);
        assert_got(cases[i].first, (unsigned)(35 - cases[i].first));
        assert_int_equal(got.ended.times, 1);
        close_consumer(&r);
        rig_deinit(&r);
    }
}

static void stops_behind_the_end_offset(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_ABSOLUTE, 3);
    struct rig r;

    (void)state;
    begin(&r, 35);
    conf.end_offset = 14;
    open_consumer(&r, &conf);
    rig_wait(&r, &got.ended);
    assert_int_equal(got.ended.err.rc, FLV_OK);
    assert_got(3, 12);
    close_consumer(&r);
    rig_deinit(&r);
}

static void new_records_follow(void **state)
{
    const struct flv_consumer_conf conf = from(FLV_START_END, 0);
    struct rig r;

    (void)state;
    begin(&r, 20);
    open_consumer(&r, &conf);
    rig_wait(&r, &got.positioned);
    assert_int_equal(got.position, 20);
    fake_append(&r.f, 0, "r", 20, 5);
    fake_set_topic(&r.f, true, 1); /* nothing wakes the fake's streams */
    fake_break(&r.f, FLV_WIRE_SPU);
    wait_for(&r, 5);
    assert_got(20, 5);
    close_consumer(&r);
    rig_deinit(&r);
}

static void losses_neither_repeat_nor_skip(void **state)
{
    const struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;

    (void)state;
    begin(&r, 400);
    r.f.frame_batches_max = 1;
    open_consumer(&r, &conf);
    for (unsigned n = 25; n < 400; n += 40) {
        wait_for(&r, n);
        fake_break(&r.f, FLV_WIRE_SPU);
    }
    wait_for(&r, 400);
    assert_got(0, 400);
    assert_true(r.f.stream_fetches > 5);
    close_consumer(&r);
    rig_deinit(&r);
}

static void a_paused_consumer_gets_no_more(void **state)
{
    const struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;
    unsigned paused_at = 0;

    (void)state;
    begin(&r, 200);
    r.f.frame_batches_max = 1;
    got.pause_after = 30;
    open_consumer(&r, &conf);
    wait_for(&r, 30);
    paused_at = got.count;
    fake_run(&r.f, 50);
    assert_int_equal(got.count, paused_at);
    got.pause_after = 0;
    flv_consumer_resume(got.k);
    wait_for(&r, 200);
    assert_got(0, 200);
    close_consumer(&r);
    rig_deinit(&r);
}

static void reads_all_partitions(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;
    unsigned per[4] = {0};

    (void)state;
    begin(&r, 20);
    r.f.partitions = 4;
    for (uint32_t p = 1; p < 4; p++) {
        fake_append(&r.f, p, "p", 0, 5);
    }
    conf.stop_at_end = true;
    open_consumer(&r, &conf);
    rig_wait(&r, &got.ended);
    for (unsigned i = 0; i < got.count; i++) {
        assert_int_equal(got.at[i].offset, per[got.at[i].partition]);
        per[got.at[i].partition]++;
    }
    assert_int_equal(per[0], 20);
    assert_int_equal(per[1] + per[2] + per[3], 15);
    close_consumer(&r);
    rig_deinit(&r);
}

static void errors_end_it_with_their_text(void **state)
{
    static const int16_t codes[] = {FLV_WIRE_TOPIC_DELETED,
                                    FLV_WIRE_OFFSET_EVICTED,
                                    FLV_WIRE_SMARTMODULE_INVALID};

    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        const struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
        struct rig r;

        begin(&r, 10);
        r.f.stream_error = codes[i];
        open_consumer(&r, &conf);
        rig_wait(&r, &got.ended);
        assert_int_not_equal(got.ended.err.rc, FLV_OK);
        assert_int_equal(got.ended.err.wire, codes[i]);
        assert_non_null(strstr(got.ended.err.text, "events-0"));
        close_consumer(&r);
        rig_deinit(&r);
    }
}

/* Also to whoever reads up to the end, which such a frame names. */
static void a_record_that_fails_is_told(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;

    (void)state;
    begin(&r, 10);
    r.f.stream_error = FLV_WIRE_SMARTMODULE_RUNTIME_ERROR;
    r.f.failing_offset = 7;
    conf.stop_at_end = true;
    open_consumer(&r, &conf);
    rig_wait(&r, &got.ended);
    assert_int_equal(got.ended.err.wire, FLV_WIRE_SMARTMODULE_RUNTIME_ERROR);
    close_consumer(&r);
    /* It lies behind what is wanted. */
    conf = from(FLV_START_BEGINNING, 0);
    conf.end_offset = 6;
    open_consumer(&r, &conf);
    rig_wait(&r, &got.ended);
    assert_int_equal(got.ended.err.rc, FLV_OK);
    close_consumer(&r);
    rig_deinit(&r);
}

static void modules_of_a_plain_cluster_get_the_room_of_a_frame(void **state)
{
    const struct flv_smartmodule_use use = {.name = "m"};

    (void)state;
    for (int ours = 0; ours < 2; ours++) {
        struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
        struct rig r;

        begin(&r, 10);
        r.f.lists_ext = ours != 0;
        conf.max_bytes = 1000;
        conf.smartmodules = &use;
        conf.smartmodule_count = 1;
        open_consumer(&r, &conf);
        wait_for(&r, 10);
        assert_int_equal(r.f.streams[0].max_bytes,
                         ours ? 1000 : 32 * 1024 * 1024);
        close_consumer(&r);
        rig_deinit(&r);
    }
}

static void errors_that_pass_are_repeated(void **state)
{
    const struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;

    (void)state;
    begin(&r, 10);
    r.f.fetch_error = FLV_WIRE_PARTITION_NOT_LEADER;
    open_consumer(&r, &conf);
    fake_run(&r.f, 60);
    assert_int_equal(got.ended.times, 0);
    r.f.fetch_error = 0;
    r.f.stream_error = FLV_WIRE_NOT_LEADER_FOR_PARTITION;
    fake_run(&r.f, 60);
    assert_int_equal(got.ended.times, 0);
    r.f.stream_error = 0;
    wait_for(&r, 10);
    assert_got(0, 10);
    close_consumer(&r);
    rig_deinit(&r);
}

static void damaged_batches_are_not_delivered(void **state)
{
    const struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;

    (void)state;
    begin(&r, 30);
    r.f.frame_batches_max = 1;
    r.f.parts[0].log.data[r.f.parts[0].log.len - 3] ^= 1; /* in the last */
    open_consumer(&r, &conf);
    rig_wait(&r, &got.ended);
    assert_int_equal(got.ended.err.rc, FLV_E_CORRUPT);
    assert_got(0, 20);
    close_consumer(&r);
    rig_deinit(&r);
}

static void a_batch_above_max_bytes_is_asked_for_whole(void **state)
{
    static const uint32_t max_bytes[] = {1, 11, 12, 56, 57, 200, 300};

    (void)state;
    for (size_t i = 0; i < COUNT(max_bytes); i++) {
        struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
        struct rig r;

        begin(&r, 110);
        r.f.cuts_frames = true;
        conf.max_bytes = max_bytes[i];
        conf.stop_at_end = true;
        open_consumer(&r, &conf);
        rig_wait(&r, &got.ended);
        assert_int_equal(got.ended.err.rc, FLV_OK);
        assert_got(0, 110);
        /* One for each batch, and few to find out how large they are. */
        assert_in_range(r.f.frames, 1, 11 + 8);
        close_consumer(&r);
        rig_deinit(&r);
    }
}

static void a_batch_that_stays_cut_ends_it(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;

    (void)state;
    begin(&r, 10);
    r.f.cuts_frames = true;
    r.f.frame_bytes_max = 100;
    open_consumer(&r, &conf);
    rig_wait(&r, &got.ended);
    assert_int_equal(got.ended.err.rc, FLV_E_CORRUPT);
    assert_non_null(strstr(got.ended.err.text, "events-0 at offset 0: only "
                                               "100 bytes came of a batch"));
    close_consumer(&r);
    rig_deinit(&r);
}

static void a_deleted_topic_ends_it(void **state)
{
    const struct flv_consumer_conf conf = from(FLV_START_END, 0);
    struct rig r;

    (void)state;
    begin(&r, 10);
    open_consumer(&r, &conf);
    rig_wait(&r, &got.positioned);
    fake_set_topic(&r.f, false, 1);
    rig_wait(&r, &got.ended);
    assert_int_equal(got.ended.err.rc, FLV_E_NOT_FOUND);
    close_consumer(&r);
    rig_deinit(&r);
}

static void commit_and_wait(struct rig *r, int64_t offset)
{
    struct note n = {.came = false};

    assert_int_equal(flv_consumer_commit(got.k, 0, offset, rig_done, &n, NULL),
                     FLV_OK);
    assert_false(n.came);
    rig_wait(r, &n);
    if (n.err.rc != FLV_OK) {
        fail_msg("%s", n.err.text);
    }
    assert_int_equal(r->f.parts[0].stored_offset, offset);
}

static void stored_offsets_are_gone_on_from(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;

    (void)state;
    begin(&r, 30);
    conf.consumer_id = "c";
    open_consumer(&r, &conf);
    wait_for(&r, 30);
    commit_and_wait(&r, 11);
    close_consumer(&r);
    conf = from(FLV_START_BEGINNING, 0);
    conf.consumer_id = "c";
    open_consumer(&r, &conf);
    wait_for(&r, 18);
    assert_got(12, 18);
    /* After a loss nothing new comes, and yet it can be stored. */
    fake_break(&r.f, FLV_WIRE_SPU);
    fake_run(&r.f, 60);
    commit_and_wait(&r, 25);
    commit_and_wait(&r, 29);
    assert_int_equal(got.count, 18);
    fake_append(&r.f, 0, "r", 30, 5);
    fake_break(&r.f, FLV_WIRE_SPU);
    wait_for(&r, 23);
    assert_got(12, 23);
    close_consumer(&r);
    rig_deinit(&r);
}

static void the_topic_of_offsets_may_come_later(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;

    (void)state;
    begin(&r, 30);
    r.f.no_offsets = true;
    conf.consumer_id = "c";
    open_consumer(&r, &conf);
    fake_run(&r.f, 100);
    assert_int_equal(got.count, 0);
    assert_false(got.ended.came);
    /* Then it is there, and its leader does not know that it is. */
    r.f.no_offsets = false;
    r.f.offsets_error = FLV_WIRE_PARTITION_NOT_LEADER;
    fake_set_topic(&r.f, true, 1);
    fake_run(&r.f, 300);
    assert_int_equal(got.count, 0);
    assert_false(got.ended.came);
    r.f.offsets_error = 0;
    wait_for(&r, 30);
    commit_and_wait(&r, 29);
    close_consumer(&r);
    rig_deinit(&r);
}

static void offsets_came(void *user,
                         const struct flv_err *err,
                         const struct flv_consumer_offset *offsets,
                         size_t count)
{
    (void)offsets;
    (void)count;
    rig_done(user, err);
}

static void the_place_of_a_leader_may_come_later(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct note n = {.came = false};
    struct rig r;

    (void)state;
    begin(&r, 30);
    r.f.spus_late = true;
    assert_int_equal(
        flv_client_consumer_offsets(r.c, NULL, offsets_came, &n, NULL), FLV_OK);
    conf.consumer_id = "c";
    open_consumer(&r, &conf);
    fake_run(&r.f, 100);
    assert_false(n.came);
    assert_false(got.ended.came);
    r.f.spus_late = false;
    fake_set_topic(&r.f, true, 1);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_OK);
    wait_for(&r, 30);
    close_consumer(&r);
    rig_deinit(&r);
}

static void offsets_can_be_stored_after_the_end(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;

    (void)state;
    begin(&r, 30);
    conf.consumer_id = "c";
    conf.stop_at_end = true;
    open_consumer(&r, &conf);
    rig_wait(&r, &got.ended);
    commit_and_wait(&r, 29);
    fake_break(&r.f, FLV_WIRE_SPU);
    fake_run(&r.f, 60);
    commit_and_wait(&r, 28);
    close_consumer(&r);
    rig_deinit(&r);
}

static void marks_are_stored_when_flushed(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct flv_consumer_stats stats;
    struct note n = {.came = false};
    struct rig r;

    (void)state;
    begin(&r, 30);
    conf.consumer_id = "c";
    open_consumer(&r, &conf);
    wait_for(&r, 30);
    assert_int_equal(flv_consumer_flush(got.k, rig_done, &n, NULL), FLV_OK);
    assert_false(n.came);
    rig_wait(&r, &n);
    assert_int_equal(r.f.commits, 0); /* nothing is marked */
    assert_int_equal(flv_consumer_mark(got.k, 0, 7, NULL), FLV_OK);
    assert_int_equal(flv_consumer_mark(got.k, 0, 5, NULL), FLV_OK);
    assert_int_equal(flv_consumer_mark(got.k, 0, 30, NULL), FLV_E_INVALID);
    assert_int_equal(flv_consumer_mark(got.k, 3, 0, NULL), FLV_E_INVALID);
    for (int i = 0; i < 2; i++) { /* the second has nothing to store */
        n = (struct note){.came = false};
        assert_int_equal(flv_consumer_flush(got.k, rig_done, &n, NULL), FLV_OK);
        rig_wait(&r, &n);
        assert_int_equal(n.err.rc, FLV_OK);
        assert_int_equal(r.f.parts[0].stored_offset, 7);
        assert_int_equal(r.f.commits, 1);
    }
    flv_consumer_stats(got.k, &stats);
    assert_int_equal(stats.commits, 1);
    assert_int_equal(stats.records, 30);
    assert_int_equal(stats.batches, 3);
    assert_int_equal(flv_consumer_mark(got.k, 0, 20, NULL), FLV_OK);
    close_consumer(&r); /* by hand means by hand */
    assert_int_equal(r.f.parts[0].stored_offset, 7);
    rig_deinit(&r);
}

static void automatic_offsets_are_stored_at_close(void **state)
{
    (void)state;
    for (unsigned broken = 0; broken < 2; broken++) {
        struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
        struct rig r;

        begin(&r, 30);
        conf.consumer_id = "c";
        conf.offsets = FLV_OFFSETS_AUTO;
        open_consumer(&r, &conf);
        wait_for(&r, 30);
        assert_int_equal(r.f.commits, 0);
        if (broken == 1) {
            fake_break(&r.f, FLV_WIRE_SPU);
        }
        close_consumer(&r);
        assert_int_equal(r.f.parts[0].stored_offset, 29);
        assert_false(got.ended.came);
        rig_deinit(&r);
    }
}

static void automatic_offsets_are_stored_from_time_to_time(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct rig r;

    (void)state;
    begin(&r, 10);
    conf.consumer_id = "c";
    conf.offsets = FLV_OFFSETS_AUTO;
    conf.offset_flush_ms = 5;
    open_consumer(&r, &conf);
    wait_for(&r, 10);
    while (r.f.parts[0].stored_offset != 9) {
        (void)flv_loop_turn(r.f.loop, true);
    }
    fake_run(&r.f, 50);
    assert_int_equal(r.f.commits, 1); /* what is stored is not stored again */
    fake_append(&r.f, 0, "r", 10, 5);
    fake_break(&r.f, FLV_WIRE_SPU);
    while (r.f.parts[0].stored_offset != 14) {
        (void)flv_loop_turn(r.f.loop, true);
    }
    close_consumer(&r);
    rig_deinit(&r);
}

static void opened_came(void *user)
{
    rig_done(&((struct got *)user)->opened, NULL);
}

static void opening_is_told_once_for_all_partitions(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_END, 0);
    struct rig r;

    (void)state;
    rig_init(&r);
    r.f.partitions = 3;
    rig_client(&r, 0);
    conf.opened = opened_came;
    open_consumer(&r, &conf);
    rig_wait(&r, &got.opened);
    assert_int_equal(got.positioned.times, 3);
    fake_append(&r.f, 2, "r", 0, 1);
    fake_break(&r.f, FLV_WIRE_SPU);
    wait_for(&r, 1);
    assert_int_equal(got.opened.times, 1);
    close_consumer(&r);
    rig_deinit(&r);
}

static void offsets_need_an_id_and_a_delivered_record(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
    struct note n = {.came = false};
    struct rig r;

    (void)state;
    begin(&r, 10);
    open_consumer(&r, &conf);
    wait_for(&r, 10);
    assert_int_equal(flv_consumer_commit(got.k, 0, 1, rig_done, &n, NULL),
                     FLV_E_INVALID);
    close_consumer(&r);
    conf = from(FLV_START_BEGINNING, 0);
    conf.consumer_id = "c";
    open_consumer(&r, &conf);
    wait_for(&r, 10);
    assert_int_equal(flv_consumer_commit(got.k, 0, 10, rig_done, &n, NULL),
                     FLV_E_INVALID);
    assert_int_equal(flv_consumer_commit(got.k, 3, 1, rig_done, &n, NULL),
                     FLV_E_INVALID);
    /* a commit under way is completed by the close */
    fake_stop_spu(&r.f);
    assert_int_equal(flv_consumer_commit(got.k, 0, 9, rig_done, &n, NULL),
                     FLV_OK);
    close_consumer(&r);
    assert_int_equal(n.times, 1);
    assert_int_equal(n.err.rc, FLV_E_CANCELED);
    rig_deinit(&r);
}

static void refuses_settings_that_cannot_be(void **state)
{
    struct flv_consumer_conf conf = from(FLV_START_ABSOLUTE, 9);
    struct flv_err err;
    struct rig r;

    (void)state;
    begin(&r, 10);
    conf.end_offset = 3;
    assert_int_equal(flv_consumer_open(&got.k, r.c, &conf, &err),
                     FLV_E_INVALID);
    assert_non_null(strstr(err.text, "end-offset must be greater"));
    conf = from(FLV_START_ABSOLUTE, -1);
    assert_int_equal(flv_consumer_open(&got.k, r.c, &conf, &err),
                     FLV_E_INVALID);
    rig_deinit(&r);
}

static void closing_at_any_moment_leaves_nothing_behind(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 80; turns++) {
        struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
        struct rig r;

        begin(&r, 50);
        r.f.frame_batches_max = 1;
        conf.consumer_id = turns % 2 == 0 ? "c" : NULL;
        conf.offsets = turns % 4 == 0 ? FLV_OFFSETS_AUTO : FLV_OFFSETS_MANUAL;
        open_consumer(&r, &conf);
        for (unsigned i = 0; i < turns; i++) {
            (void)flv_loop_turn(r.f.loop, false);
        }
        if (turns % 3 == 0) {
            close_consumer(&r);
        }
        rig_deinit(&r);
    }
}

static void survives_each_failing_allocation(void **state)
{
    uint64_t nth = 1;

    (void)state;
    for (bool fired = true; fired; nth++) {
        struct flv_consumer_conf conf = from(FLV_START_BEGINNING, 0);
        struct note flushed = {.came = false};
        struct rig r;

        rig_init(&r);
        fake_append(&r.f, 0, "r", 0, 10);
        fake_append(&r.f, 0, "r", 10, 10);
        rig_client(&r, 300);
        conf.stop_at_end = true;
        conf.consumer_id = "c";
        fake_fail_at(nth);
        if (flv_consumer_open(&got.k, r.c, &conf, NULL) == FLV_OK) {
            rig_wait(&r, &got.ended);
            if (flv_consumer_mark(got.k, 0, 5, NULL) == FLV_OK &&
                flv_consumer_flush(got.k, rig_done, &flushed, NULL) == FLV_OK) {
                rig_wait(&r, &flushed);
            }
        }
        fired = fake_fail_end();
        if (got.ended.came && got.ended.err.rc == FLV_OK) {
            assert_got(0, 20);
        }
        rig_deinit(&r);
    }
    assert_true(nth > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_start_begins_where_it_says),
        cmocka_unit_test(stops_behind_the_end_offset),
        cmocka_unit_test(new_records_follow),
        cmocka_unit_test(losses_neither_repeat_nor_skip),
        cmocka_unit_test(a_paused_consumer_gets_no_more),
        cmocka_unit_test(reads_all_partitions),
        cmocka_unit_test(errors_end_it_with_their_text),
        cmocka_unit_test(a_record_that_fails_is_told),
        cmocka_unit_test(modules_of_a_plain_cluster_get_the_room_of_a_frame),
        cmocka_unit_test(errors_that_pass_are_repeated),
        cmocka_unit_test(damaged_batches_are_not_delivered),
        cmocka_unit_test(a_batch_above_max_bytes_is_asked_for_whole),
        cmocka_unit_test(a_batch_that_stays_cut_ends_it),
        cmocka_unit_test(a_deleted_topic_ends_it),
        cmocka_unit_test(stored_offsets_are_gone_on_from),
        cmocka_unit_test(the_topic_of_offsets_may_come_later),
        cmocka_unit_test(the_place_of_a_leader_may_come_later),
        cmocka_unit_test(offsets_can_be_stored_after_the_end),
        cmocka_unit_test(marks_are_stored_when_flushed),
        cmocka_unit_test(automatic_offsets_are_stored_at_close),
        cmocka_unit_test(automatic_offsets_are_stored_from_time_to_time),
        cmocka_unit_test(opening_is_told_once_for_all_partitions),
        cmocka_unit_test(offsets_need_an_id_and_a_delivered_record),
        cmocka_unit_test(refuses_settings_that_cannot_be),
        cmocka_unit_test(closing_at_any_moment_leaves_nothing_behind),
        cmocka_unit_test(survives_each_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
