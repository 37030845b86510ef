/* Where a segment ends: with the sync of the old one for a disk topic, before
 * it for a page-cache topic. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cm.h"
#include "store/format.h"
#include "util.h"

/* Of a group that append_plain(log, 800) makes. */
#define GROUP_BYTES (FLV__GROUP_HEAD + BATCH_HEAD + 800)

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
    w.conf.durability = FLV_DURABLE_PAGE_CACHE;
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

static void reopen(struct world *w, struct flv_log_report *report)
{
    flv_log_abandon(w->log);
    w->log = open_log(&w->conf, report);
}

/* Names that end so. */
static unsigned count_names(struct world *w, const char *ending)
{
    unsigned n = 0;
    const char *name;

    for (size_t i = 0; (name = sim_name(&w->disk, LOG_DIR, i)) != NULL; i++) {
        size_t len = strlen(name), tail = strlen(ending);

        n += len > tail && strcmp(name + len - tail, ending) == 0;
    }
    return n;
}

/* Appends until there is a segment that is still to come; how many. */
static int64_t fill_and_roll(struct world *w)
{
    int64_t n = flv_log_leo(w->log);

    while (count_names(w, ".next") == 0) {
        assert_int_equal(append_plain(w->log, 800), n++);
    }
    return n;
}

static void sync_now(struct world *w)
{
    assert_int_equal(run_job(flv_log_sync_job(w->log)), FLV_OK);
    assert_null(flv_log_sync_job(w->log));
}

static uint64_t all_syncs(const struct world *w)
{
    uint64_t n = 0;

    for (int i = 0; i < FLV_SYNC_COUNT; i++) {
        n += w->disk.syncs[i];
    }
    return n;
}

static void a_roll_to_the_page_cache_does_not_wait_for_the_disk(void **state)
{
    struct world *w = *state;
    struct flv_log_read rd = {.isolation = FLV_READ_COMMITTED};
    uint64_t before;
    int64_t synced, n;

    append_plain(w->log, 800); /* the first settles what was there */
    sync_now(w);
    synced = flv_log_hw(w->log);
    before = all_syncs(w);
    n = fill_and_roll(w);
    append_plain(w->log, 800);
    assert_int_equal(all_syncs(w), before);
    assert_int_equal(count_records(w->log), n + 1);
    assert_int_equal(flv_log_hw(w->log), synced);
    rd.offset = synced;
    assert_int_equal(read_once(w->log, &rd), FLV_E_CLOSED);
}

static void the_next_sync_covers_both_and_gives_the_name(void **state)
{
    struct world *w = *state;
    int64_t n = fill_and_roll(w);

    append_plain(w->log, 800);
    assert_int_equal(count_names(w, ".log"), 1);
    sync_now(w);
    assert_int_equal(flv_log_hw(w->log), n + 1);
    assert_int_equal(count_names(w, ".next"), 0);
    assert_int_equal(count_names(w, ".log"), 2);
    flv_log_abandon(w->log);
    sim_power_cut(&w->disk);
    w->log = open_log(&w->conf, NULL);
    assert_int_equal(count_records(w->log), n + 1);
}

static void the_roll_after_that_waits_for_the_sync(void **state)
{
    struct world *w = *state;
    struct flv_log_info info;
    struct sent s;
    int64_t n = fill_and_roll(w);
    struct flv_log_job *job;

    for (;;) {
        make_plain(&s, 800);
        assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_OK);
        job = flv_log_commit_job(w->log);
        if (job == NULL) {
            break;
        }
        assert_int_equal(run_job(job), FLV_OK);
        forget(&s);
        n++;
    }
    flv_log_stat(w->log, &info);
    assert_int_equal(info.segments, 2);
    sync_now(w);
    assert_int_equal(flv_log_hw(w->log), n);
    commit_all(w->log);
    assert_int_equal(s.rc, FLV_OK);
    forget(&s);
    flv_log_stat(w->log, &info);
    assert_int_equal(info.segments, 3);
    assert_int_equal(count_records(w->log), n + 1);
}

/* ... and ends as that does, when there is no room for it. */
static void what_waits_for_a_refused_sync_is_refused(void **state)
{
    struct world *w = *state;
    int64_t n = fill_and_roll(w);
    struct sent s;

    while (!flv_log_waits_for_sync(w->log)) {
        make_plain(&s, 800);
        assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_OK);
        commit_all(w->log);
        n += s.ended;
        if (s.ended > 0) {
            forget(&s);
        }
    }
    w->disk.faults.no_space = 1; /* also for a name */
    assert_int_equal(run_job(flv_log_sync_job(w->log)), FLV_E_NOSPACE);
    assert_int_equal(s.ended, 1);
    assert_int_equal(s.rc, FLV_E_NOSPACE);
    forget(&s);
    assert_false(flv_log_waits_for_sync(w->log));
    w->disk.faults.no_space = 0;
    sync_now(w);
    assert_int_equal(flv_log_hw(w->log), n);
    assert_int_equal(append_plain(w->log, 800), n);
    assert_int_equal(count_records(w->log), n + 1);
}

static void what_waits_for_a_failed_sync_hears_of_it(void **state)
{
    struct world *w = *state;
    struct flv_log_job *job;
    struct sent s;

    (void)fill_and_roll(w);
    w->disk.faults.sync = 1;
    job = flv_log_sync_job(w->log);
    make_plain(&s, 800);
    assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_OK);
    assert_int_equal(run_job(job), FLV_E_IO);
    assert_int_equal(s.ended, 1);
    assert_int_equal(s.rc, FLV_E_POISONED);
    forget(&s);
}

/* A sync of the old segment that is under way is no reason to wait, either;
 * what it covered is synced, no more. */
static void a_roll_goes_past_a_sync_that_is_under_way(void **state)
{
    struct world *w = *state;
    struct flv_log_job *job;
    int64_t synced, n;

    append_plain(w->log, 800);
    synced = flv_log_leo(w->log);
    job = flv_log_sync_job(w->log);
    n = fill_and_roll(w);
    assert_int_equal(run_job(job), FLV_OK);
    assert_int_equal(flv_log_hw(w->log), synced);
    assert_true(flv_log_is_dirty(w->log));
    sync_now(w);
    assert_int_equal(flv_log_hw(w->log), n);
}

static void the_end_of_the_process_takes_nothing(void **state)
{
    struct world *w = *state;
    struct flv_log_report report;
    int64_t synced, n;

    append_plain(w->log, 800);
    sync_now(w);
    synced = flv_log_hw(w->log);
    n = fill_and_roll(w);
    append_plain(w->log, 800);
    reopen(w, &report);
    assert_int_equal(report.torn_bytes, 0);
    assert_int_equal(report.segments, 2);
    assert_int_equal(count_records(w->log), n + 1);
    assert_int_equal(flv_log_hw(w->log), synced);
    assert_int_equal(append_plain(w->log, 800), n + 1);
    sync_now(w);
    assert_int_equal(count_names(w, ".next"), 0);
    flv_log_abandon(w->log);
    sim_power_cut(&w->disk);
    w->log = open_log(&w->conf, NULL);
    assert_int_equal(count_records(w->log), n + 2);
}

/* The power failed: the old segment lost what nobody had synced. */
static void what_follows_a_torn_segment_is_set_aside(void **state)
{
    struct world *w = *state;
    struct flv_log_report report;
    size_t old = 0, next = 0;
    char path[64];
    uint8_t *bytes;
    int64_t n;

    append_plain(w->log, 800);
    sync_now(w);
    n = fill_and_roll(w);
    snprintf(path, sizeof(path), LOG_DIR "/%020d.next", (int)n - 1);
    assert_non_null(sim_bytes(&w->disk, path, &next));
    bytes = sim_bytes(&w->disk, LOG_DIR "/00000000000000000000.log", &old);
    bytes[old - 1] ^= 1;
    reopen(w, &report);
    assert_false(report.damaged);
    assert_int_equal(report.next_offset, n - 2);
    assert_int_equal(report.torn_files, 2);
    assert_true(report.torn_bytes > next);
    assert_int_equal(count_names(w, ".next"), 0);
    assert_int_equal(count_names(w, ".torn"), 2);
    assert_int_equal(append_plain(w->log, 800), n - 2);
    reopen(w, &report);
    assert_int_equal(report.torn_bytes, 0);
    assert_int_equal(count_records(w->log), n - 1);
}

/* ... but not what was synced, even if only the new segment knows of that. */
static void what_was_synced_and_is_lost_is_damage(void **state)
{
    struct world *w = *state;
    struct flv_log_check found;
    struct flv_log_report report;
    struct flv_log_job *job;
    uint8_t *bytes;
    size_t len = 0;

    append_plain(w->log, 800);
    append_plain(w->log, 800);
    append_plain(w->log, 800);
    append_plain(w->log, 800);
    job = flv_log_sync_job(w->log);
    (void)fill_and_roll(w);
    assert_int_equal(run_job(job), FLV_OK);
    append_plain(w->log, 800); /* says that those four were synced */
    bytes = sim_bytes(&w->disk, LOG_DIR "/00000000000000000000.log", &len);
    bytes[len - 1] ^= 1;
    assert_int_equal(
        flv_log_check(&w->disk.io, LOG_DIR, NULL, NULL, &found, NULL), FLV_OK);
    assert_int_equal(found.damages, 1);
    reopen(w, &report);
    assert_true(report.damaged);
    assert_non_null(strstr(report.damage.text, ".log at byte"));
    assert_int_equal(count_names(w, ".next"), 1);
}

static void a_check_follows_into_what_is_to_come(void **state)
{
    struct world *w = *state;
    struct flv_log_check found;
    int64_t n = fill_and_roll(w);

    assert_int_equal(
        flv_log_check(&w->disk.io, LOG_DIR, NULL, NULL, &found, NULL), FLV_OK);
    assert_int_equal(found.damages, 0);
    assert_int_equal(found.torn_bytes, 0);
    assert_int_equal(found.segments, 2);
    assert_int_equal(found.next_offset, n);
}

static void what_is_not_synced_is_not_removed(void **state)
{
    struct world *w = *state;
    int64_t n = fill_and_roll(w);

    assert_int_equal(flv_log_trim(w->log, n), 0);
    sync_now(w);
    assert_int_equal(flv_log_trim(w->log, n), 1);
    assert_int_equal(flv_log_start_offset(w->log), n - 1);
    assert_int_equal(run_job(flv_log_upkeep_job(w->log)), FLV_OK);
    assert_int_equal(count_names(w, ".log"), 1);
}

/* All of the old segment is synced, but nothing makes the new one durable. */
static void the_old_one_stays_until_the_new_one_has_its_name(void **state)
{
    struct world *w = *state;
    struct flv_log_job *job;
    int64_t n;

    for (n = 0; n < 4; n++) {
        append_plain(w->log, 800);
    }
    job = flv_log_sync_job(w->log);
    n = fill_and_roll(w);
    assert_int_equal(n, 5); /* it took what the sync covers */
    assert_int_equal(run_job(job), FLV_OK);
    assert_int_equal(flv_log_hw(w->log), n - 1);
    assert_int_equal(flv_log_trim(w->log, n - 1), 0);
    sync_now(w);
    assert_int_equal(flv_log_trim(w->log, n - 1), 1);
}

/* Either might miss the error of the other. */
static void one_file_is_not_synced_by_two_jobs_at_once(void **state)
{
    struct world *w = *state;
    struct flv_log_job *sync;
    struct sent s;

    append_plain(w->log, 800);
    sync_now(w);
    append_plain(w->log, 800);
    append_plain(w->log, 800);
    reopen(w, NULL); /* the next commit settles with a sync what is there */
    sync = flv_log_sync_job(w->log);
    assert_non_null(sync);
    make_plain(&s, 800);
    assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_OK);
    assert_null(flv_log_commit_job(w->log));
    assert_int_equal(run_job(sync), FLV_OK);
    commit_all(w->log);
    assert_int_equal(s.rc, FLV_OK);
    forget(&s);
}

static void a_full_disk_at_such_a_roll_is_overcome(void **state)
{
    struct world *w = *state;
    struct sent s;

    append_plain(w->log, 100);
    append_plain(w->log, 2900);
    w->disk.space = 3200;
    make_plain(&s, 2000);
    assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_OK);
    commit_all(w->log);
    assert_int_equal(s.rc, FLV_E_NOSPACE);
    forget(&s);
    w->disk.space = UINT64_MAX;
    assert_int_equal(append_plain(w->log, 2000), 2);
    assert_int_equal(count_records(w->log), 3);
    sync_now(w);
    reopen(w, NULL);
    assert_int_equal(count_records(w->log), 3);
}

/* What is left of a refused group must not come back in front of a segment that
 * does not know of it. */
static void behind_a_refused_group_the_old_one_is_synced_first(void **state)
{
    struct world *w = *state;
    uint64_t sealed = w->disk.syncs[FLV_SYNC_SEGMENT_SEAL];
    struct sent s;

    append_plain(w->log, 2900);
    w->disk.faults.no_space = 1;
    make_plain(&s, 100);
    assert_int_equal(flv_log_stage(w->log, &s.append, NULL), FLV_OK);
    commit_all(w->log);
    assert_int_equal(s.rc, FLV_E_NOSPACE);
    forget(&s);
    w->disk.faults.no_space = 0;
    assert_int_equal(append_plain(w->log, 2000), 1);
    assert_int_equal(w->disk.syncs[FLV_SYNC_SEGMENT_SEAL], sealed + 1);
    assert_int_equal(count_names(w, ".log"), 2);
    assert_int_equal(count_names(w, ".next"), 0);
}

/* Its durability was changed meanwhile. */
static void as_a_disk_topic_it_is_synced_at_the_start(void **state)
{
    struct world *w = *state;
    int64_t n = fill_and_roll(w);

    flv_log_abandon(w->log);
    w->conf.durability = FLV_DURABLE_DISK;
    w->disk.faults.names = 1;
    assert_int_not_equal(flv_log_open(&w->conf, &w->log, NULL, NULL), FLV_OK);
    w->disk.faults.names = 0;
    w->log = open_log(&w->conf, NULL);
    assert_int_equal(count_names(w, ".next"), 0);
    assert_int_equal(count_records(w->log), n);
    assert_int_equal(flv_log_hw(w->log), n);
}

static void a_disk_topic_syncs_the_old_one_first(void **state)
{
    struct world *w = *state;

    w->conf.durability = FLV_DURABLE_DISK;
    reopen(w, NULL);
    for (int i = 0; i < 20; i++) {
        uint64_t sealed = w->disk.syncs[FLV_SYNC_SEGMENT_SEAL];
        unsigned logs = count_names(w, ".log");

        append_plain(w->log, 800);
        assert_int_equal(w->disk.syncs[FLV_SYNC_SEGMENT_SEAL] - sealed,
                         count_names(w, ".log") - logs);
        assert_int_equal(count_names(w, ".next"), 0);
    }
    assert_true(count_names(w, ".log") > 3);
}

/* ---- what recovery makes of odd things ---- */

static void path_of(char *path, size_t size, int64_t base, const char *ending)
{
    snprintf(path, size, LOG_DIR "/%020" PRId64 "%s", base, ending);
}

/* An earlier roll to the same offset had been given up; its removal was not
 * synced, and the power failed. */
static void a_roll_given_up_does_not_take_the_segment_to_come(void **state)
{
    struct world *w = *state;
    struct flv_log_check found;
    char path[64];
    int64_t n = fill_and_roll(w);

    path_of(path, sizeof(path), n - 1, ".log");
    sim_put(&w->disk, path, "torn", 4);
    assert_int_equal(
        flv_log_check(&w->disk.io, LOG_DIR, NULL, NULL, &found, NULL), FLV_OK);
    assert_int_equal(found.damages, 0);
    assert_int_equal(found.next_offset, n);
    flv_log_abandon(w->log);
    w->conf.durability = FLV_DURABLE_DISK; /* so that it gets its name */
    w->log = open_log(&w->conf, NULL);
    assert_int_equal(count_names(w, ".log"), 2);
    reopen(w, NULL);
    assert_int_equal(count_records(w->log), n);
}

/* The power failed before any of it was on disk. */
static void one_without_a_header_is_removed(void **state)
{
    struct world *w = *state;
    struct flv_log_report report;
    struct flv_log_check found;
    char path[64];
    int64_t n = 3;

    for (int i = 0; i < n; i++) {
        append_plain(w->log, 800);
    }
    path_of(path, sizeof(path), n, ".next");
    for (size_t len = 0; len <= 64; len += 32) {
        static const uint8_t bytes[64] = {0xf1};

        sim_put(&w->disk, path, bytes, len);
        assert_int_equal(
            flv_log_check(&w->disk.io, LOG_DIR, NULL, NULL, &found, NULL),
            FLV_OK);
        assert_int_equal(found.damages, 0);
        assert_int_equal(found.torn_bytes, len);
        reopen(w, &report);
        assert_int_equal(report.torn_files, 0);
        assert_int_equal(count_names(w, ".next"), 0);
        assert_int_equal(count_names(w, ".torn"), 0);
        assert_int_equal(count_records(w->log), n);
    }
}

/* What it is begun behind had a header, which is synced before that. */
static void a_lost_header_in_front_of_it_is_damage(void **state)
{
    struct world *w = *state;
    struct flv_log_report report;
    struct flv_log_check found;
    char path[64];
    int64_t second = fill_and_roll(w) - 1;

    sync_now(w);
    (void)fill_and_roll(w);
    path_of(path, sizeof(path), second, ".log");
    sim_put(&w->disk, path, "", 0);
    assert_int_equal(
        flv_log_check(&w->disk.io, LOG_DIR, NULL, NULL, &found, NULL), FLV_OK);
    assert_true(found.damages > 0);
    reopen(w, &report);
    assert_true(report.damaged);
    assert_non_null(strstr(report.damage.text, path));
    assert_int_equal(count_names(w, ".log"), 2);
    assert_int_equal(count_names(w, ".next"), 1);
}

static void alone_it_is_damage(void **state)
{
    struct world *w = *state;
    struct flv_log_report report;
    struct flv_log_check found;

    (void)fill_and_roll(w);
    sim_remove(&w->disk, LOG_DIR "/00000000000000000000.log");
    assert_int_equal(
        flv_log_check(&w->disk.io, LOG_DIR, NULL, NULL, &found, NULL), FLV_OK);
    assert_true(found.damages > 0);
    reopen(w, &report);
    assert_true(report.damaged);
    assert_int_equal(count_names(w, ".log"), 0);
    assert_int_equal(count_names(w, ".next"), 1);
    sim_put(&w->disk, LOG_DIR "/00000000000000000000.log", "", 0);
    assert_int_equal(
        flv_log_check(&w->disk.io, LOG_DIR, NULL, NULL, &found, NULL), FLV_OK);
    assert_true(found.damages > 0);
    reopen(w, &report);
    assert_true(report.damaged);
    assert_int_equal(count_names(w, ".next"), 1);
}

/* The second group of the file says that the first had been synced, of which a
 * byte has changed. */
static void damage_first_group(uint8_t *bytes, size_t len)
{
    uint8_t *second = bytes + FLV__SEGMENT_HEAD + GROUP_BYTES;
    struct flv__group_head head;

    assert_int_equal(len, FLV__SEGMENT_HEAD + 2 * GROUP_BYTES);
    assert_int_equal(flv__group_head_get(second, &head), FLV_OK);
    head.synced = head.number - 1;
    flv__group_head_put(second, &head);
    second[-1] ^= 1;
}

/* Several, of which one goes on and is damaged: nothing is changed. The
 * others come from rolls that were given up. */
static void nothing_is_changed_where_one_of_several_is_damaged(void **state)
{
    struct world *w = *state;
    struct flv_log_report report;
    struct flv_log_check found;
    struct flv_log_scrub sc = {.bytes_max = 1 << 20};
    char path[64], other[64];
    int64_t base;
    uint8_t *bytes;
    size_t len = 0;

    base = fill_and_roll(w) - 1;
    append_plain(w->log, 800);
    path_of(path, sizeof(path), base, ".next");
    bytes = sim_bytes(&w->disk, path, &len);
    damage_first_group(bytes, len);
    for (int64_t at = 1; at < 10; at += 8) {
        path_of(other, sizeof(other), at, ".next");
        sim_put(&w->disk, other, bytes, 100);
    }
    assert_int_equal(
        flv_log_check(&w->disk.io, LOG_DIR, NULL, NULL, &found, NULL), FLV_OK);
    assert_true(found.damages > 0);
    reopen(w, &report);
    assert_true(report.damaged);
    assert_non_null(strstr(report.damage.text, path));
    assert_int_equal(count_names(w, ".next"), 3);
    assert_int_equal(count_names(w, ".torn"), 0);
    /* ... and what is whole of it is read under the name that it has. */
    while (flv_log_scrub_prepare(w->log, &sc)) {
        flv_log_scrub_run(&sc);
        flv_log_scrub_finish(&sc);
        assert_int_equal(sc.damage.rc, FLV_OK);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_roll_to_the_page_cache_does_not_wait_for_the_disk),
        TEST(the_next_sync_covers_both_and_gives_the_name),
        TEST(the_roll_after_that_waits_for_the_sync),
        TEST(what_waits_for_a_refused_sync_is_refused),
        TEST(what_waits_for_a_failed_sync_hears_of_it),
        TEST(a_roll_goes_past_a_sync_that_is_under_way),
        TEST(the_end_of_the_process_takes_nothing),
        TEST(what_follows_a_torn_segment_is_set_aside),
        TEST(what_was_synced_and_is_lost_is_damage),
        TEST(a_check_follows_into_what_is_to_come),
        TEST(what_is_not_synced_is_not_removed),
        TEST(the_old_one_stays_until_the_new_one_has_its_name),
        TEST(one_file_is_not_synced_by_two_jobs_at_once),
        TEST(a_full_disk_at_such_a_roll_is_overcome),
        TEST(behind_a_refused_group_the_old_one_is_synced_first),
        TEST(as_a_disk_topic_it_is_synced_at_the_start),
        TEST(a_disk_topic_syncs_the_old_one_first),
        TEST(a_roll_given_up_does_not_take_the_segment_to_come),
        TEST(one_without_a_header_is_removed),
        TEST(a_lost_header_in_front_of_it_is_damage),
        TEST(alone_it_is_damage),
        TEST(nothing_is_changed_where_one_of_several_is_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
