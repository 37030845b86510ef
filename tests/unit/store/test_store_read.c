/* Reading, retention, deletion, checking. */
#include <stdio.h>

#include "base/clock.h"
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
    w.conf.segments_open_max = 1;
    w.log = open_log(&w.conf, NULL);
    *state = &w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    flv_log_abandon(w->log);
    sim_deinit(&w->disk);
    return 0;
}

static void upkeep(struct world *w)
{
    struct flv_log_job *job;

    while ((job = flv_log_upkeep_job(w->log)) != NULL) {
        assert_int_equal(run_job(job), FLV_OK);
    }
}

/* `groups` groups of three batches, the second with two records. */
static void fill(struct world *w, unsigned groups)
{
    for (unsigned i = 0; i < groups; i++) {
        struct batch_spec specs[] = {
            plain_batch(50, 1, i),
            plain_batch(60, 2, i),
            plain_batch(70, 1, i),
        };
        struct sent s;

        make(&s, specs, 3);
        assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_OK);
        commit_all(w->log);
        assert_int_equal(s.rc, FLV_OK);
        forget(&s);
        upkeep(w);
    }
}

static void every_offset_is_found_in_its_batch(void **state)
{
    struct world *w = *state;

    fill(w, 60);
    for (int64_t offset = 0; offset < 240; offset++) {
        struct flv_log_read rd = {.offset = offset, .bytes_max = 1};
        int64_t in = offset % 4;

        assert_int_equal(read_once(w->log, &rd), FLV_OK);
        assert_int_equal(rd.batches, 1);
        assert_int_equal(rd.base_offset, offset - (in == 2));
        assert_int_equal(rd.next_offset, offset + 1 + (in == 1));
    }
    assert_int_equal(count_records(w->log), 240);
}

static void offsets_outside_are_told_apart(void **state)
{
    struct world *w = *state;
    struct flv_log_read rd = {.offset = 240};

    fill(w, 60);
    assert_int_equal(read_once(w->log, &rd), FLV_E_CLOSED);
    rd = (struct flv_log_read){.offset = 241};
    assert_int_equal(read_once(w->log, &rd), FLV_E_INVALID);
    assert_true(flv_log_trim(w->log, 100) > 0);
    rd = (struct flv_log_read){.offset = 0};
    assert_int_equal(read_once(w->log, &rd), FLV_E_NOT_FOUND);
    rd = (struct flv_log_read){.offset = -5};
    assert_int_equal(read_once(w->log, &rd), FLV_E_NOT_FOUND);
}

static void a_batch_that_does_not_fit_says_how_large_it_is(void **state)
{
    struct world *w = *state;
    struct flv_log_read rd = {.offset = 0, .buf_bytes = 500};

    append_plain(w->log, 1000);
    assert_int_equal(read_once(w->log, &rd), FLV_E_LIMIT);
    assert_int_equal(rd.need_bytes, BATCH_HEAD + 1000);
    rd = (struct flv_log_read){.buf_bytes = BATCH_HEAD + 1000, .bytes_max = 9};
    assert_int_equal(read_once(w->log, &rd), FLV_OK);
    assert_int_equal(rd.len, BATCH_HEAD + 1000);
    rd = (struct flv_log_read){.buf_bytes = 20};
    assert_int_equal(read_once(w->log, &rd), FLV_E_INVALID);
}

static void as_many_whole_batches_as_asked_for(void **state)
{
    struct world *w = *state;
    size_t two = 2 * BATCH_HEAD + 50 + 60;
    struct flv_log_read rd = {.offset = 0, .bytes_max = two};

    fill(w, 3);
    assert_int_equal(read_once(w->log, &rd), FLV_OK);
    assert_int_equal(rd.batches, 2);
    rd = (struct flv_log_read){.offset = 0, .bytes_max = two - 1};
    assert_int_equal(read_once(w->log, &rd), FLV_OK);
    assert_int_equal(rd.batches, 1);
    rd = (struct flv_log_read){.offset = 0};
    assert_int_equal(read_once(w->log, &rd), FLV_OK);
    assert_int_equal(rd.batches, 9);
}

static void indexes_are_made_again_when_they_are_gone_or_lie(void **state)
{
    struct world *w = *state;
    size_t removed = 0, spoilt = 0;
    struct flv_log_report report;

    fill(w, 60);
    assert_int_equal(flv_log_close(w->log, NULL), FLV_OK);
    for (size_t i = 0; sim_name(&w->disk, LOG_DIR, i) != NULL;) {
        const char *name = sim_name(&w->disk, LOG_DIR, i);
        char path[100];
        size_t len;

        snprintf(path, sizeof(path), "%s/%s", LOG_DIR, name);
        if (strstr(name, ".index") == NULL) {
            i++;
        } else if (removed++ == 0) {
            sim_remove(&w->disk, path);
        } else {
            sim_bytes(&w->disk, path, &len)[70] ^= 1;
            spoilt++;
            i++;
        }
    }
    assert_true(removed > 2 && spoilt > 1);
    w->log = open_log(&w->conf, &report);
    assert_int_equal(report.bytes_read, 0);
    assert_int_equal(count_records(w->log), 240);
    upkeep(w);
    assert_int_equal(count_records(w->log), 240);
}

static void trimming_waits_for_readers(void **state)
{
    struct world *w = *state;
    uint8_t buf[1000];
    struct flv_log_read rd = {
        .offset = 3, .buf = buf, .buf_bytes = sizeof(buf)};
    bool ready = false;
    size_t len;

    fill(w, 60);
    upkeep(w);
    assert_int_equal(flv_log_read_prepare(w->log, &rd, &ready, NULL), FLV_OK);
    assert_true(ready);
    assert_true(flv_log_trim(w->log, 200) > 1);
    assert_true(flv_log_start_offset(w->log) > 100);
    upkeep(w);
    assert_int_equal(flv_log_read_run(&rd, NULL), FLV_OK);
    assert_int_equal(rd.base_offset, 3);
    assert_non_null(
        sim_bytes(&w->disk, LOG_DIR "/00000000000000000000.log", &len));
    flv_log_read_finish(&rd);
    upkeep(w);
    assert_null(sim_bytes(&w->disk, LOG_DIR "/00000000000000000000.log", &len));
    assert_int_equal(count_records(w->log), 240 - flv_log_start_offset(w->log));
    assert_int_equal(flv_log_trim(w->log, 200), 0);
}

static void trimmed_segments_do_not_come_back(void **state)
{
    struct world *w = *state;
    struct flv_log_report report;
    int64_t start;

    fill(w, 60);
    assert_true(flv_log_trim(w->log, 150) > 0);
    start = flv_log_start_offset(w->log);
    assert_int_equal(flv_log_close(w->log, NULL), FLV_OK);
    w->log = open_log(&w->conf, &report);
    assert_int_equal(report.start_offset, start);
    assert_int_equal(count_records(w->log), 240 - start);
}

static void the_newest_segment_is_never_trimmed(void **state)
{
    struct world *w = *state;

    fill(w, 2);
    assert_int_equal(flv_log_trim(w->log, INT64_MAX), 0);
    fill(w, 60);
    assert_true(flv_log_trim(w->log, INT64_MAX) > 0);
    assert_true(flv_log_start_offset(w->log) < flv_log_leo(w->log));
    append_plain(w->log, 10);
}

/* ---- retention ---- */

static uint64_t now_ms;

static uint64_t fake_mono_ns(void *ctx)
{
    (void)ctx;
    return now_ms * 1000000;
}

static int64_t fake_wall_ms(void *ctx)
{
    (void)ctx;
    return 1700000000000; /* stands still: ages do not depend on it */
}

static const struct flv_clock fake_clock = {fake_mono_ns, fake_wall_ms, NULL};

static void the_oldest_go_when_there_is_too_much(void **state)
{
    struct world *w = *state;
    struct flv_log_keep keep = {.bytes = 9000};
    struct flv_log_info info;

    fill(w, 60);
    flv_log_stat(w->log, &info);
    assert_true(info.size_bytes > keep.bytes);
    assert_true(flv_log_retain(w->log, &keep) > 0);
    flv_log_stat(w->log, &info);
    assert_true(info.size_bytes <= keep.bytes && info.start_offset > 0);
    assert_int_equal(count_records(w->log), 240 - info.start_offset);
    assert_int_equal(flv_log_retain(w->log, &keep), 0);
    keep.bytes = 1;
    assert_true(flv_log_retain(w->log, &keep) > 0);
    flv_log_stat(w->log, &info);
    assert_int_equal(info.segments, 1); /* the newest stays */
    assert_true(info.start_offset < info.leo);
}

static void what_is_too_old_goes_and_what_is_young_stays(void **state)
{
    struct world *w = *state;
    struct flv_log_keep keep = {.age_ms = 1000};
    int64_t young;

    flv__clock_set(&fake_clock);
    now_ms = 5000;
    fill(w, 60);
    young = flv_log_leo(w->log);
    now_ms = 6000;
    assert_int_equal(flv_log_retain(w->log, &keep), 0);
    fill(w, 60);
    now_ms = 6001;
    assert_true(flv_log_retain(w->log, &keep) > 0);
    assert_true(flv_log_start_offset(w->log) > 0);
    assert_true(flv_log_start_offset(w->log) <= young);
    flv__clock_set(NULL);
}

static void an_idle_log_ends_up_empty_when_asked(void **state)
{
    struct world *w = *state;
    struct flv_log_keep keep = {.age_ms = 1000};
    struct flv_log_info info;
    struct flv_log_report report;

    flv__clock_set(&fake_clock);
    now_ms = 5000;
    fill(w, 2);
    now_ms = 6001;
    assert_int_equal(flv_log_retain(w->log, &keep), 0);
    assert_null(flv_log_commit_job(w->log)); /* only with roll */
    keep.roll = true;
    assert_int_equal(flv_log_retain(w->log, &keep), 0);
    assert_int_equal(run_job(flv_log_commit_job(w->log)), FLV_OK);
    assert_null(flv_log_commit_job(w->log));
    assert_int_equal(flv_log_retain(w->log, &keep), 1);
    flv_log_stat(w->log, &info);
    assert_int_equal(info.start_offset, 8);
    assert_int_equal(info.leo, 8);
    upkeep(w);
    assert_int_equal(flv_log_retain(w->log, &keep), 0);
    assert_null(flv_log_commit_job(w->log)); /* an empty one is not closed */
    flv_log_abandon(w->log);
    w->log = open_log(&w->conf, &report);
    assert_int_equal(report.next_offset, 8);
    assert_int_equal(append_plain(w->log, 10), 8);
    assert_int_equal(count_records(w->log), 1);
    flv__clock_set(NULL);
}

static void closing_a_segment_on_a_full_disk_harms_nobody(void **state)
{
    struct world *w = *state;
    struct flv_log_keep keep = {.age_ms = 1, .roll = true};
    struct flv_log_job *job;
    struct sent s;

    flv__clock_set(&fake_clock);
    now_ms = 5000;
    fill(w, 2);
    now_ms = 6000;
    (void)flv_log_retain(w->log, &keep);
    w->disk.space = 0;
    job = flv_log_commit_job(w->log);
    assert_non_null(job);
    make_plain(&s, 10);
    assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_OK);
    assert_int_equal(run_job(job), FLV_E_NOSPACE);
    assert_int_equal(s.ended, 0);
    w->disk.space = UINT64_MAX;
    commit_all(w->log);
    assert_int_equal(s.ended, 1);
    assert_int_equal(s.rc, FLV_OK);
    forget(&s);
    assert_int_equal(count_records(w->log), 9);
    flv__clock_set(NULL);
}

static void a_deleted_partition_is_gone_for_good(void **state)
{
    struct world *w = *state;

    fill(w, 20);
    assert_int_equal(flv_log_close(w->log, NULL), FLV_OK);
    assert_int_equal(flv_log_delete(&w->disk.io, LOG_DIR, NULL), FLV_OK);
    sim_power_cut(&w->disk);
    assert_int_equal(flv_log_delete(&w->disk.io, LOG_DIR, NULL),
                     FLV_E_NOT_FOUND);
    w->conf.create = false;
    assert_int_equal(flv_log_open(&w->conf, &w->log, NULL, NULL),
                     FLV_E_NOT_FOUND);
    w->conf.create = true;
    w->log = open_log(&w->conf, NULL);
    assert_int_equal(flv_log_leo(w->log), 0);
}

static void what_an_interrupted_deletion_left_is_swept(void **state)
{
    struct world *w = *state;

    sim_mkdir(&w->disk, "/q.deleted");
    sim_put(&w->disk, "/q.deleted/00000000000000000000.log", "x", 1);
    sim_mkdir(&w->disk, "/other");
    assert_int_equal(flv_log_sweep(&w->disk.io, "/", NULL), FLV_OK);
    assert_string_equal(sim_name(&w->disk, "/", 0), "other");
    assert_string_equal(sim_name(&w->disk, "/", 1), "p");
    assert_null(sim_name(&w->disk, "/", 2));
}

static void another_log_is_not_opened(void **state)
{
    struct world *w = *state;
    struct flv_log *log = NULL;
    struct flv_err err;

    append_plain(w->log, 10);
    w->conf.log_id++;
    assert_int_equal(flv_log_open(&w->conf, &log, NULL, &err), FLV_E_INVALID);
    assert_true(strstr(err.text, LOG_DIR) != NULL);
    assert_int_equal(flv_log_close(w->log, NULL), FLV_OK); /* a checkpoint */
    assert_int_equal(flv_log_open(&w->conf, &log, NULL, &err), FLV_E_INVALID);
    w->conf.log_id = 0; /* any */
    w->log = open_log(&w->conf, NULL);
    assert_null(log);
}

static void a_damaged_log_serves_what_lies_before(void **state)
{
    struct world *w = *state;
    struct flv_log_report report;
    struct flv_log_info info;
    struct flv_log_read rd = {.offset = 0};
    struct flv_err err;
    struct sent s;
    size_t len;

    fill(w, 8);
    flv_log_abandon(w->log);
    /* In the third group: later ones say that it was synced. */
    sim_bytes(&w->disk, LOG_DIR "/00000000000000000000.log", &len)[900] ^= 1;
    w->log = open_log(&w->conf, &report);
    assert_true(report.damaged);
    assert_int_equal(report.next_offset, 8);
    assert_true(strstr(report.damage.text, "00000.log at byte 894") != NULL);
    flv_log_stat(w->log, &info);
    assert_int_equal(info.state, FLV_LOG_DAMAGED);
    assert_int_equal(read_once(w->log, &rd), FLV_OK);
    assert_int_equal(rd.next_offset, 8);
    rd = (struct flv_log_read){.offset = 8};
    assert_int_equal(read_once(w->log, &rd), FLV_E_CORRUPT);
    make_plain(&s, 10);
    assert_int_equal(flv_log_stage(w->log, &s.append, &err), FLV_E_CORRUPT);
    assert_true(strstr(err.text, "damaged") != NULL);
    forget(&s);
}

static void count_note(void *user, const struct flv_log_note *note)
{
    ((unsigned *)user)[note->kind]++;
}

static void checking_reads_all_and_changes_nothing(void **state)
{
    struct world *w = *state;
    struct flv_log_check out;
    unsigned notes[4] = {0};
    size_t len;
    uint8_t *bytes;

    fill(w, 60);
    assert_int_equal(
        flv_log_check(&w->disk.io, LOG_DIR, count_note, notes, &out, NULL),
        FLV_OK);
    assert_int_equal(out.damages + notes[FLV_NOTE_TORN], 0);
    assert_int_equal(out.groups, 60);
    assert_int_equal(out.batches, 180);
    assert_int_equal(out.next_offset, 240);
    bytes = sim_bytes(&w->disk, LOG_DIR "/00000000000000000000.log", &len);
    bytes[500] ^= 1;
    bytes[30] ^= 1;
    assert_int_equal(
        flv_log_check(&w->disk.io, LOG_DIR, count_note, notes, &out, NULL),
        FLV_OK);
    assert_true(out.damages > 0);
    assert_int_equal(out.damages, notes[FLV_NOTE_DAMAGE]);
    bytes[500] ^= 1;
    bytes[30] ^= 1;
    assert_int_equal(
        flv_log_check(&w->disk.io, "/none", NULL, NULL, &out, NULL),
        FLV_E_NOT_FOUND);
}

static void settings_out_of_range_are_refused(void **state)
{
    struct world *w = *state;
    struct flv_log_conf conf = w->conf;
    struct flv_log *log = NULL;

    conf.segment_bytes = 100;
    assert_int_equal(flv_log_open(&conf, &log, NULL, NULL), FLV_E_INVALID);
    conf = w->conf;
    conf.index_entries_max = 1;
    assert_int_equal(flv_log_open(&conf, &log, NULL, NULL), FLV_E_INVALID);
    conf = w->conf;
    conf.dir = "/new";
    conf.log_id = 0;
    assert_int_equal(flv_log_open(&conf, &log, NULL, NULL), FLV_E_INVALID);
    conf.create = false;
    assert_int_equal(flv_log_open(&conf, &log, NULL, NULL), FLV_E_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_offset_is_found_in_its_batch),
        TEST(offsets_outside_are_told_apart),
        TEST(a_batch_that_does_not_fit_says_how_large_it_is),
        TEST(as_many_whole_batches_as_asked_for),
        TEST(indexes_are_made_again_when_they_are_gone_or_lie),
        TEST(trimming_waits_for_readers),
        TEST(trimmed_segments_do_not_come_back),
        TEST(the_newest_segment_is_never_trimmed),
        TEST(the_oldest_go_when_there_is_too_much),
        TEST(what_is_too_old_goes_and_what_is_young_stays),
        TEST(an_idle_log_ends_up_empty_when_asked),
        TEST(closing_a_segment_on_a_full_disk_harms_nobody),
        TEST(a_deleted_partition_is_gone_for_good),
        TEST(what_an_interrupted_deletion_left_is_swept),
        TEST(another_log_is_not_opened),
        TEST(a_damaged_log_serves_what_lies_before),
        TEST(checking_reads_all_and_changes_nothing),
        TEST(settings_out_of_range_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
