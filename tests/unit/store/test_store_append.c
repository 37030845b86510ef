/* Staging and committing: what gets which offset, and who hears what. */
#include "base/bytes.h"
#include "util.h"
#include "cm.h"

struct world {
    struct sim disk;
    struct flv_log_conf conf;
    struct flv_log *log;
};

static int begin(void **state)
{
    static struct world w;

    sim_init(&w.disk, 1);
    w.conf = test_conf(&w.disk);
    w.log = open_log(&w.conf, NULL);
    *state = &w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    flv_log_cancel(w->log);
    flv_log_abandon(w->log);
    sim_deinit(&w->disk);
    return 0;
}

static flv_rc stage(struct world *w, struct sent *s)
{
    return flv_log_stage(w->log, &s->append, &s->err);
}

static enum flv_log_state state_of(struct world *w)
{
    struct flv_log_info info;

    flv_log_stat(w->log, &info);
    return info.state;
}

static void offsets_follow_the_order_of_staging(void **state)
{
    struct world *w = *state;
    struct batch_spec two[] = {plain_batch(10, 3, 1), plain_batch(20, 4, 2)};
    struct sent a, b;

    make(&a, two, 2);
    make_plain(&b, 5);
    assert_int_equal(stage(w, &a), FLV_OK);
    assert_int_equal(stage(w, &b), FLV_OK);
    assert_int_equal(a.append.base_offset, 0);
    assert_int_equal(a.append.records, 7);
    assert_int_equal(a.append.batches, 2);
    assert_int_equal(b.append.base_offset, 7);
    assert_int_equal(flv_get_u64(a.bytes + BATCH_HEAD + 10), 3);
    assert_int_equal(flv_get_u32(a.bytes + 12), UINT32_MAX);
    assert_int_equal(flv_log_leo(w->log), 0);
    assert_int_equal(a.ended, 0);
    commit_all(w->log);
    assert_int_equal(a.ended + b.ended, 2);
    assert_int_equal(a.rc, FLV_OK);
    assert_int_equal(flv_log_leo(w->log), 8);
    assert_int_equal(count_records(w->log), 8);
    forget(&a);
    forget(&b);
}

static void nothing_is_visible_before_the_job_ends(void **state)
{
    struct world *w = *state;
    struct flv_log_job *job;
    struct sent s;

    make_plain(&s, 50);
    assert_int_equal(stage(w, &s), FLV_OK);
    job = flv_log_commit_job(w->log);
    assert_non_null(job);
    assert_null(flv_log_commit_job(w->log));
    flv_log_job_run(job);
    assert_int_equal(flv_log_leo(w->log), 0);
    assert_int_equal(s.ended, 0);
    assert_int_equal(flv_log_job_finish(job, NULL), FLV_OK);
    assert_int_equal(s.ended, 1);
    assert_int_equal(flv_log_hw(w->log), 1);
    forget(&s);
}

static void what_arrives_during_a_job_forms_the_next_group(void **state)
{
    struct world *w = *state;
    struct flv_log_job *job;
    struct sent s[3];

    for (unsigned i = 0; i < 3; i++) {
        make_plain(&s[i], 10);
    }
    assert_int_equal(stage(w, &s[0]), FLV_OK);
    job = flv_log_commit_job(w->log);
    assert_int_equal(stage(w, &s[1]), FLV_OK);
    assert_int_equal(stage(w, &s[2]), FLV_OK);
    assert_int_equal(run_job(job), FLV_OK);
    assert_int_equal(s[0].ended, 1);
    assert_int_equal(s[1].ended, 0);
    job = flv_log_commit_job(w->log);
    assert_int_equal(run_job(job), FLV_OK);
    assert_int_equal(s[1].ended + s[2].ended, 2);
    assert_null(flv_log_commit_job(w->log));
    for (unsigned i = 0; i < 3; i++) {
        forget(&s[i]);
    }
}

static void what_is_no_batch_is_refused(void **state)
{
    struct world *w = *state;
    struct sent s;

    make_plain(&s, 30);
    s.append.len--;
    assert_int_equal(stage(w, &s), FLV_E_INVALID);
    s.append.len = 0;
    assert_int_equal(stage(w, &s), FLV_E_INVALID);
    s.append.len = BATCH_HEAD + 30;
    s.bytes[16] = 1; /* magic */
    assert_int_equal(stage(w, &s), FLV_E_INVALID);
    s.bytes[16] = 2;
    flv_put_u32(s.bytes + 23, UINT32_MAX); /* no record at all */
    assert_int_equal(stage(w, &s), FLV_E_INVALID);
    assert_int_equal(s.ended, 0);
    assert_int_equal(s.append.base_offset, -1);
    assert_null(flv_log_commit_job(w->log));
    forget(&s);
}

static void what_is_too_large_is_refused(void **state)
{
    struct world *w = *state;
    struct sent s;

    make_plain(&s, 4096 - 64 - 64 - BATCH_HEAD + 1);
    assert_int_equal(stage(w, &s), FLV_E_LIMIT); /* for a segment */
    forget(&s);
    make_plain(&s, 4096 - 64 - 64 - BATCH_HEAD);
    assert_int_equal(stage(w, &s), FLV_OK);
    commit_all(w->log);
    assert_int_equal(s.rc, FLV_OK);
    forget(&s);
    flv_log_abandon(w->log);
    w->conf.batch_bytes_max = 100;
    w->log = open_log(&w->conf, NULL);
    make_plain(&s, 44);
    assert_int_equal(stage(w, &s), FLV_E_LIMIT); /* for a batch */
    forget(&s);
}

static void waiting_bytes_have_a_ceiling(void **state)
{
    struct world *w = *state;
    struct sent s[3];

    flv_log_abandon(w->log);
    w->conf.staged_bytes_max = 2 * (BATCH_HEAD + 100);
    w->log = open_log(&w->conf, NULL);
    for (unsigned i = 0; i < 3; i++) {
        make_plain(&s[i], 100);
    }
    assert_int_equal(stage(w, &s[0]), FLV_OK);
    assert_int_equal(stage(w, &s[1]), FLV_OK);
    assert_int_equal(stage(w, &s[2]), FLV_E_BUSY);
    commit_all(w->log);
    assert_int_equal(stage(w, &s[2]), FLV_OK);
    commit_all(w->log);
    assert_int_equal(s[2].rc, FLV_OK);
    assert_int_equal(flv_log_leo(w->log), 3);
    for (unsigned i = 0; i < 3; i++) {
        forget(&s[i]);
    }
}

static void a_full_segment_is_followed_by_another(void **state)
{
    struct world *w = *state;
    struct flv_log_info info;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(append_plain(w->log, 800), i);
    }
    flv_log_stat(w->log, &info);
    assert_true(info.segments >= 5);
    assert_int_equal(count_records(w->log), 20);
}

static void a_full_disk_is_told_and_overcome(void **state)
{
    struct world *w = *state;
    struct sent a, b, c;

    append_plain(w->log, 100);
    w->disk.space = 600;
    make_plain(&a, 500);
    make_plain(&b, 10); /* waits behind */
    assert_int_equal(stage(w, &a), FLV_OK);
    struct flv_log_job *job = flv_log_commit_job(w->log);
    assert_int_equal(stage(w, &b), FLV_OK);
    assert_int_equal(run_job(job), FLV_E_NOSPACE);
    assert_int_equal(a.rc, FLV_E_NOSPACE);
    assert_int_equal(b.rc, FLV_E_NOSPACE);
    assert_int_equal(state_of(w), FLV_LOG_OK);
    assert_int_equal(flv_log_leo(w->log), 1);
    w->disk.space = UINT64_MAX;
    make_plain(&c, 500);
    assert_int_equal(stage(w, &c), FLV_OK);
    assert_int_equal(c.append.base_offset, 1);
    commit_all(w->log);
    assert_int_equal(c.rc, FLV_OK);
    assert_int_equal(count_records(w->log), 2);
    forget(&a);
    forget(&b);
    forget(&c);
}

static void a_full_disk_at_a_roll_is_overcome(void **state)
{
    struct world *w = *state;
    struct sent s;

    append_plain(w->log, 3000);
    w->disk.space = 3200;
    make_plain(&s, 2000);
    assert_int_equal(stage(w, &s), FLV_OK);
    commit_all(w->log);
    assert_int_equal(s.rc, FLV_E_NOSPACE);
    forget(&s);
    w->disk.space = UINT64_MAX;
    assert_int_equal(append_plain(w->log, 2000), 1);
    assert_int_equal(count_records(w->log), 2);
}

static void a_failed_sync_poisons_until_reopened(void **state)
{
    struct world *w = *state;
    struct sent a, b;
    struct flv_log_read rd = {.offset = 0};

    append_plain(w->log, 100);
    w->disk.faults.sync = 1;
    make_plain(&a, 10);
    make_plain(&b, 10);
    assert_int_equal(stage(w, &a), FLV_OK);
    commit_all(w->log);
    assert_int_equal(a.rc, FLV_E_POISONED);
    assert_true(strstr(a.err.text, "opened again") != NULL);
    w->disk.faults.sync = 0;
    assert_int_equal(state_of(w), FLV_LOG_POISONED);
    assert_int_equal(stage(w, &b), FLV_E_POISONED);
    assert_null(flv_log_commit_job(w->log));
    assert_null(flv_log_upkeep_job(w->log));
    /* What was synced before can still be read, and only that. */
    assert_int_equal(read_once(w->log, &rd), FLV_OK);
    assert_int_equal(rd.next_offset, 1);
    assert_int_equal(flv_log_leo(w->log), 1);
    assert_int_equal(flv_log_close(w->log, NULL), FLV_OK);
    w->log = open_log(&w->conf, NULL);
    assert_int_equal(state_of(w), FLV_LOG_OK);
    append_plain(w->log, 10);
    forget(&a);
    forget(&b);
}

static void a_failed_write_poisons(void **state)
{
    struct world *w = *state;
    struct sent s;

    w->disk.faults.write = 1;
    make_plain(&s, 10);
    assert_int_equal(stage(w, &s), FLV_OK);
    commit_all(w->log);
    assert_int_equal(s.rc, FLV_E_POISONED);
    assert_int_equal(s.ended, 1);
    w->disk.faults.write = 0;
    forget(&s);
}

static void canceling_ends_what_waits(void **state)
{
    struct world *w = *state;
    struct flv_log_job *job;
    struct sent s[3];

    for (unsigned i = 0; i < 3; i++) {
        make_plain(&s[i], 10);
    }
    assert_int_equal(stage(w, &s[0]), FLV_OK);
    job = flv_log_commit_job(w->log);
    assert_int_equal(stage(w, &s[1]), FLV_OK);
    flv_log_cancel(w->log);
    assert_int_equal(s[1].rc, FLV_E_CANCELED);
    assert_int_equal(s[0].ended, 0);
    assert_int_equal(stage(w, &s[2]), FLV_E_CANCELED);
    assert_int_equal(run_job(job), FLV_OK);
    assert_int_equal(s[0].rc, FLV_OK);
    for (unsigned i = 0; i < 3; i++) {
        forget(&s[i]);
    }
}

static void a_page_cache_log_tells_after_the_write(void **state)
{
    struct world *w = *state;
    struct flv_log_read rd = {.offset = 0, .isolation = FLV_READ_COMMITTED};
    struct flv_log_info info;

    flv_log_abandon(w->log);
    w->conf.durability = FLV_DURABLE_PAGE_CACHE;
    w->log = open_log(&w->conf, NULL);
    append_plain(w->log, 10);
    assert_int_equal(flv_log_leo(w->log), 1);
    assert_int_equal(flv_log_hw(w->log), 0);
    flv_log_stat(w->log, &info);
    assert_true(flv_log_is_dirty(w->log));
    assert_int_equal(read_once(w->log, &rd), FLV_E_CLOSED);
    rd = (struct flv_log_read){.offset = 0};
    assert_int_equal(read_once(w->log, &rd), FLV_OK);
    assert_int_equal(run_job(flv_log_sync_job(w->log)), FLV_OK);
    assert_null(flv_log_sync_job(w->log));
    assert_int_equal(flv_log_hw(w->log), 1);
    rd = (struct flv_log_read){.offset = 0, .isolation = FLV_READ_COMMITTED};
    assert_int_equal(read_once(w->log, &rd), FLV_OK);
}

static void reopen(struct world *w, struct flv_log_report *report)
{
    flv_log_abandon(w->log);
    w->log = open_log(&w->conf, report);
}

/* The end of the process took nothing, and no sync has covered it since. */
static void a_page_cache_log_is_served_at_once_and_synced_later(void **state)
{
    struct world *w = *state;
    struct flv_log_read rd = {.offset = 1, .isolation = FLV_READ_COMMITTED};

    w->conf.durability = FLV_DURABLE_PAGE_CACHE;
    reopen(w, NULL);
    append_plain(w->log, 10);
    assert_int_equal(run_job(flv_log_sync_job(w->log)), FLV_OK);
    append_plain(w->log, 10);
    append_plain(w->log, 10);
    reopen(w, NULL);
    assert_int_equal(flv_log_leo(w->log), 3);
    assert_int_equal(flv_log_hw(w->log), 1);
    assert_int_equal(read_once(w->log, &rd), FLV_E_CLOSED);
    append_plain(w->log, 10);
    assert_int_equal(run_job(flv_log_sync_job(w->log)), FLV_OK);
    assert_int_equal(flv_log_hw(w->log), 4);
    flv_log_abandon(w->log);
    sim_power_cut(&w->disk);
    w->log = open_log(&w->conf, NULL);
    assert_int_equal(flv_log_leo(w->log), 4);
}

/* What a failed write left in memory is dropped there like anything that is
 * written; then something else is read, and is not said to be synced. */
static void what_changed_since_it_was_opened_is_not_synced(void **state)
{
    struct world *w = *state;
    uint8_t *bytes;
    size_t len = 0;

    w->conf.durability = FLV_DURABLE_PAGE_CACHE;
    reopen(w, NULL);
    append_plain(w->log, 10);
    assert_int_equal(run_job(flv_log_sync_job(w->log)), FLV_OK);
    append_plain(w->log, 10);
    append_plain(w->log, 10);
    reopen(w, NULL);
    assert_int_equal(flv_log_leo(w->log), 3);
    assert_int_equal(flv_log_hw(w->log), 1);
    bytes = sim_bytes(&w->disk, LOG_DIR "/00000000000000000000.log", &len);
    bytes[len - 1] ^= 1;
    assert_int_equal(run_job(flv_log_sync_job(w->log)), FLV_E_CORRUPT);
    assert_int_equal(flv_log_hw(w->log), 1);
    reopen(w, NULL);
    assert_int_equal(flv_log_leo(w->log), 2);
    assert_int_equal(append_plain(w->log, 10), 2);
}

/* A disk of which one read gives the last byte wrong. */
static struct {
    struct flv_io_ops ops;
    const struct flv_io_ops *real;
    unsigned reads, lie; /* the one that lies; 0: none */
} liar;

static flv_rc lying_read(struct flv_file *file,
                         void *buf,
                         size_t len,
                         uint64_t pos,
                         size_t *done,
                         struct flv_err *err)
{
    flv_rc rc = liar.real->read(file, buf, len, pos, done, err);

    if (rc == FLV_OK && ++liar.reads == liar.lie && *done > 0) {
        ((uint8_t *)buf)[*done - 1] ^= 1;
    }
    return rc;
}

/* What a failed sync left in memory may be dropped there at any moment, and
 * something else is read then. Whatever is served after a start is what later
 * starts find; and what was read wrong only then was not written. */
static void what_is_written_again_at_a_start_was_verified(void **state)
{
    struct world *w = *state;
    struct flv_err err = {0};
    unsigned refused = 0;
    bool lied = true;

    liar.real = w->disk.io.ops;
    liar.ops = *liar.real;
    liar.ops.read = lying_read;
    for (unsigned lie = 1; lied; lie++) {
        struct flv_log_report report = {0};
        int64_t there = 2;
        flv_rc rc;

        append_plain(w->log, 10);
        append_plain(w->log, 300);
        flv_log_abandon(w->log);
        w->disk.io.ops = &liar.ops;
        liar.reads = 0;
        liar.lie = lie;
        w->conf.create = false;
        rc = flv_log_open(&w->conf, &w->log, &report, &err);
        w->disk.io.ops = liar.real;
        lied = liar.reads >= lie;
        if (rc == FLV_OK) {
            there = report.damaged ? 2 : count_records(w->log);
            flv_log_abandon(w->log);
        } else {
            assert_true(err.text[0] != '\0');
            refused++;
        }
        w->log = open_log(&w->conf, NULL);
        assert_int_equal(count_records(w->log), there);
        append_plain(w->log, 10);
        flv_log_abandon(w->log);
        assert_int_equal(flv_log_delete(&w->disk.io, LOG_DIR, &err), FLV_OK);
        w->conf.log_id++;
        w->conf.create = true;
        w->log = open_log(&w->conf, NULL);
    }
    assert_true(refused > 0);
}

static void a_log_at_rest_makes_a_checkpoint(void **state)
{
    struct world *w = *state;
    struct flv_log_report report;

    w->conf.checkpoint_bytes = 100000;
    reopen(w, NULL);
    assert_int_equal(run_job(flv_log_upkeep_job(w->log)), FLV_OK); /* first */
    append_plain(w->log, 10);
    flv_log_rest(w->log);
    assert_false(flv_log_upkeep_due(w->log)); /* not worth it */
    for (int i = 0; i < 3; i++) {
        append_plain(w->log, 300);
    }
    assert_null(flv_log_upkeep_job(w->log));
    flv_log_rest(w->log);
    assert_true(flv_log_upkeep_due(w->log));
    assert_int_equal(run_job(flv_log_upkeep_job(w->log)), FLV_OK);
    assert_false(flv_log_upkeep_due(w->log));
    reopen(w, &report);
    assert_int_equal(report.bytes_read, 0);
    assert_int_equal(report.next_offset, 4);
}

/* The checkpoint that has to come first finds no room. */
static void a_full_disk_is_relieved_by_what_was_trimmed(void **state)
{
    struct world *w = *state;
    size_t len;

    while (flv_log_trim(w->log, flv_log_leo(w->log)) == 0) {
        append_plain(w->log, 800);
    }
    w->disk.faults.no_space = 1;
    assert_int_equal(run_job(flv_log_upkeep_job(w->log)), FLV_E_NOSPACE);
    w->disk.faults.no_space = 0;
    assert_false(flv_log_upkeep_due(w->log)); /* not again and again */
    flv_log_rest(w->log);
    assert_int_equal(run_job(flv_log_upkeep_job(w->log)), FLV_OK);
    assert_null(sim_bytes(&w->disk, LOG_DIR "/00000000000000000000.log", &len));
    flv_log_rest(w->log);
    assert_false(flv_log_upkeep_due(w->log));
}

/* A callback may stage again, and close nothing. */
static struct world *again_world;
static struct sent again_next;

static void
again_done(struct flv_append *req, flv_rc rc, const struct flv_err *err)
{
    struct sent *s = req->user;

    (void)err;
    s->ended++;
    s->rc = rc;
    assert_int_equal(stage(again_world, &again_next), FLV_OK);
}

static void a_callback_may_stage_again(void **state)
{
    struct world *w = *state;
    struct sent s;

    again_world = w;
    make_plain(&s, 10);
    s.append.done = again_done;
    make_plain(&again_next, 10);
    assert_int_equal(stage(w, &s), FLV_OK);
    assert_int_equal(run_job(flv_log_commit_job(w->log)), FLV_OK);
    assert_int_equal(s.ended, 1);
    assert_int_equal(again_next.ended, 0);
    commit_all(w->log);
    assert_int_equal(again_next.ended, 1);
    assert_int_equal(again_next.append.base_offset, 1);
    forget(&s);
    forget(&again_next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(offsets_follow_the_order_of_staging),
        TEST(nothing_is_visible_before_the_job_ends),
        TEST(what_arrives_during_a_job_forms_the_next_group),
        TEST(what_is_no_batch_is_refused),
        TEST(what_is_too_large_is_refused),
        TEST(waiting_bytes_have_a_ceiling),
        TEST(a_full_segment_is_followed_by_another),
        TEST(a_full_disk_is_told_and_overcome),
        TEST(a_full_disk_at_a_roll_is_overcome),
        TEST(a_failed_sync_poisons_until_reopened),
        TEST(a_failed_write_poisons),
        TEST(canceling_ends_what_waits),
        TEST(a_page_cache_log_tells_after_the_write),
        TEST(a_page_cache_log_is_served_at_once_and_synced_later),
        TEST(what_changed_since_it_was_opened_is_not_synced),
        TEST(what_is_written_again_at_a_start_was_verified),
        TEST(a_log_at_rest_makes_a_checkpoint),
        TEST(a_full_disk_is_relieved_by_what_was_trimmed),
        TEST(a_callback_may_stage_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
