/* Where a segment ends: with the sync of the old one for a disk topic, before
 * it for a page-cache topic. */
#include <stdio.h>

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_roll_to_the_page_cache_does_not_wait_for_the_disk),
        TEST(the_next_sync_covers_both_and_gives_the_name),
        TEST(the_roll_after_that_waits_for_the_sync),
        TEST(a_roll_goes_past_a_sync_that_is_under_way),
        TEST(the_end_of_the_process_takes_nothing),
        TEST(what_follows_a_torn_segment_is_set_aside),
        TEST(what_was_synced_and_is_lost_is_damage),
        TEST(a_check_follows_into_what_is_to_come),
        TEST(what_is_not_synced_is_not_removed),
        TEST(a_full_disk_at_such_a_roll_is_overcome),
        TEST(as_a_disk_topic_it_is_synced_at_the_start),
        TEST(a_disk_topic_syncs_the_old_one_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
