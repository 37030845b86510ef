/* Producers with an id: stored once, whatever is repeated. */
#include "cm.h"
#include "util.h"

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

static void reopen(struct world *w, bool clean)
{
    if (clean) {
        assert_int_equal(flv_log_close(w->log, NULL), FLV_OK);
    } else {
        flv_log_abandon(w->log);
    }
    w->log = open_log(&w->conf, NULL);
}

/* Stages and commits; the result, and where. */
static flv_rc send(struct world *w,
                   int64_t id,
                   int16_t epoch,
                   int32_t sequence,
                   uint32_t records,
                   int64_t *base)
{
    struct sent s;
    flv_rc rc;

    make_numbered(&s, id, epoch, sequence, records);
    rc = flv_log_stage(w->log, &s.append, NULL);
    if (rc == FLV_OK) {
        commit_all(w->log);
        rc = s.rc;
    }
    *base = s.append.base_offset;
    forget(&s);
    return rc;
}

static void a_repetition_gets_its_old_offset(void **state)
{
    struct world *w = *state;
    int64_t base;

    assert_int_equal(send(w, 9, 0, 0, 3, &base), FLV_OK);
    assert_int_equal(send(w, 9, 0, 3, 2, &base), FLV_OK);
    assert_int_equal(base, 3);
    assert_int_equal(send(w, 9, 0, 3, 2, &base), FLV_E_EXISTS);
    assert_int_equal(base, 3);
    assert_int_equal(send(w, 9, 0, 0, 3, &base), FLV_E_EXISTS);
    assert_int_equal(base, 0);
    assert_int_equal(flv_log_leo(w->log), 5);
}

static void repetitions_are_known_after_reopening(void **state)
{
    struct world *w = *state;
    int64_t base;

    for (int clean = 0; clean < 2; clean++) {
        int32_t seq = clean * 2;

        assert_int_equal(send(w, 9, 0, seq, 2, &base), FLV_OK);
        reopen(w, clean);
        assert_int_equal(send(w, 9, 0, seq, 2, &base), FLV_E_EXISTS);
        assert_int_equal(base, seq);
    }
    assert_int_equal(send(w, 9, 0, 4, 1, &base), FLV_OK);
    assert_int_equal(base, 4);
}

static void what_is_older_than_the_window_is_known_without_a_place(void **state)
{
    struct world *w = *state;
    int64_t base;

    for (int32_t i = 0; i < 7; i++) {
        assert_int_equal(send(w, 9, 0, i, 1, &base), FLV_OK);
    }
    assert_int_equal(send(w, 9, 0, 1, 1, &base), FLV_E_EXISTS);
    assert_int_equal(base, -1);
    assert_int_equal(send(w, 9, 0, 2, 1, &base), FLV_E_EXISTS);
    assert_int_equal(base, 2);
    reopen(w, true);
    assert_int_equal(send(w, 9, 0, 0, 1, &base), FLV_E_EXISTS);
    assert_int_equal(base, -1);
}

static void gaps_overlaps_and_old_epochs_are_refused(void **state)
{
    struct world *w = *state;
    int64_t base;

    assert_int_equal(send(w, 9, 0, 1, 1, &base), FLV_E_NOT_FOUND);
    assert_int_equal(send(w, 9, 1, 0, 3, &base), FLV_OK);
    assert_int_equal(send(w, 9, 1, 4, 1, &base), FLV_E_REFUSED);
    assert_int_equal(send(w, 9, 1, 2, 2, &base), FLV_E_REFUSED);
    assert_int_equal(send(w, 9, 1, 0, 2, &base), FLV_E_REFUSED);
    assert_int_equal(send(w, 9, 0, 0, 3, &base), FLV_E_REFUSED);
    assert_int_equal(send(w, 9, 2, 3, 1, &base), FLV_E_REFUSED);
    assert_int_equal(send(w, 9, 2, 0, 1, &base), FLV_OK);
    assert_int_equal(send(w, 9, 2, 1, 1, &base), FLV_OK);
    assert_int_equal(flv_log_leo(w->log), 5);
}

static void a_repetition_of_what_is_being_written_waits_for_it(void **state)
{
    struct world *w = *state;
    struct flv_log_job *job;
    struct sent a, b, c, d;

    make_numbered(&a, 9, 0, 0, 2);
    make_numbered(&b, 9, 0, 0, 2);
    make_numbered(&c, 9, 0, 2, 1);
    make_numbered(&d, 9, 0, 2, 1);
    assert_int_equal(flv_log_stage(w->log, &a.append, NULL), FLV_OK);
    job = flv_log_commit_job(w->log);
    assert_int_equal(flv_log_stage(w->log, &b.append, NULL), FLV_OK);
    assert_int_equal(flv_log_stage(w->log, &c.append, NULL), FLV_OK);
    assert_int_equal(flv_log_stage(w->log, &d.append, NULL), FLV_OK);
    assert_int_equal(b.ended, 0);
    assert_int_equal(run_job(job), FLV_OK);
    assert_int_equal(a.rc, FLV_OK);
    assert_int_equal(b.rc, FLV_OK);
    assert_int_equal(b.append.base_offset, 0);
    assert_int_equal(c.ended, 0);
    commit_all(w->log);
    assert_int_equal(d.rc, FLV_OK);
    assert_int_equal(d.append.base_offset, 2);
    assert_int_equal(flv_log_leo(w->log), 3);
    forget(&a);
    forget(&b);
    forget(&c);
    forget(&d);
}

static void a_refused_batch_may_come_again(void **state)
{
    struct world *w = *state;
    int64_t base;

    assert_int_equal(send(w, 9, 0, 0, 1, &base), FLV_OK);
    w->disk.space = 0;
    assert_int_equal(send(w, 9, 0, 1, 1, &base), FLV_E_NOSPACE);
    assert_int_equal(send(w, 8, 0, 0, 1, &base), FLV_E_NOSPACE);
    w->disk.space = UINT64_MAX;
    assert_int_equal(send(w, 9, 0, 1, 1, &base), FLV_OK);
    assert_int_equal(base, 1);
    assert_int_equal(send(w, 8, 0, 0, 1, &base), FLV_OK);
    assert_int_equal(flv_log_leo(w->log), 3);
}

static void the_one_idle_for_longest_is_forgotten(void **state)
{
    struct world *w = *state;
    int64_t base;

    flv_log_abandon(w->log);
    w->conf.producers_max = 2;
    w->log = open_log(&w->conf, NULL);
    assert_int_equal(send(w, 1, 0, 0, 1, &base), FLV_OK);
    assert_int_equal(send(w, 2, 0, 0, 1, &base), FLV_OK);
    assert_int_equal(send(w, 1, 0, 1, 1, &base), FLV_OK);
    assert_int_equal(send(w, 3, 0, 0, 1, &base), FLV_OK);
    assert_int_equal(send(w, 2, 0, 1, 1, &base), FLV_E_NOT_FOUND);
    assert_int_equal(send(w, 1, 0, 2, 1, &base), FLV_OK);
}

static void record_sets_of_several_batches_have_to_continue(void **state)
{
    struct world *w = *state;
    struct batch_spec specs[7];
    struct sent s;

    for (int32_t i = 0; i < 7; i++) {
        specs[i] = plain_batch(10, 2, (uint64_t)i);
        specs[i].producer_id = 5;
        specs[i].epoch = 0;
        specs[i].sequence = i * 2;
    }
    make(&s, specs, 6);
    assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_E_INVALID);
    forget(&s);
    make(&s, specs, 5);
    assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_OK);
    commit_all(w->log);
    forget(&s);
    make(&s, specs, 5);
    assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_E_EXISTS);
    assert_int_equal(s.append.base_offset, 0);
    forget(&s);
    specs[6].sequence = 13;
    make(&s, specs + 5, 2);
    assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_E_INVALID);
    forget(&s);
    specs[6].producer_id = -1;
    make(&s, specs + 5, 2);
    assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_E_INVALID);
    forget(&s);
}

static void sequences_go_around(void **state)
{
    struct world *w = *state;
    int64_t base;

    assert_int_equal(send(w, 9, 0, 0, 1u << 30, &base), FLV_OK);
    assert_int_equal(send(w, 9, 0, 1 << 30, (1u << 30) - 2, &base), FLV_OK);
    assert_int_equal(send(w, 9, 0, INT32_MAX - 1, 5, &base), FLV_OK);
    assert_int_equal(send(w, 9, 0, 3, 1, &base), FLV_OK);
    assert_int_equal(base, ((int64_t)1 << 31) + 3);
    assert_int_equal(send(w, 9, 0, INT32_MAX - 1, 5, &base), FLV_E_EXISTS);
    assert_int_equal(base, ((int64_t)1 << 31) - 2);
    reopen(w, false);
    assert_int_equal(send(w, 9, 0, 3, 1, &base), FLV_E_EXISTS);
    assert_int_equal(send(w, 9, 0, 4, 1, &base), FLV_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_repetition_gets_its_old_offset),
        TEST(repetitions_are_known_after_reopening),
        TEST(what_is_older_than_the_window_is_known_without_a_place),
        TEST(gaps_overlaps_and_old_epochs_are_refused),
        TEST(a_repetition_of_what_is_being_written_waits_for_it),
        TEST(a_refused_batch_may_come_again),
        TEST(the_one_idle_for_longest_is_forgotten),
        TEST(record_sets_of_several_batches_have_to_continue),
        TEST(sequences_go_around),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
