/* The same on real files, with jobs and reads in threads of their own. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cm.h"
#include "tmpdir.h"
#include "util.h"

static struct tmpdir tmp;
static char log_dir[100];

static int begin(void **state)
{
    (void)state;
    tmpdir_make(&tmp, "store");
    snprintf(log_dir, sizeof(log_dir), "%s/topic-0", tmp.path);
    return 0;
}

static int end(void **state)
{
    flv_rc rc = flv_log_delete(NULL, log_dir, NULL);

    (void)state;
    return (rc != FLV_OK && rc != FLV_E_NOT_FOUND) || rmdir(tmp.path) != 0;
}

static struct flv_log_conf real_conf(void)
{
    struct flv_log_conf conf = test_conf(NULL);

    conf.dir = log_dir;
    conf.segment_bytes = 16 << 10;
    conf.checkpoint_bytes = 20000;
    conf.segments_open_max = 2;
    return conf;
}

static void what_is_appended_is_there_after_reopening(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log_report report;
    struct flv_log *log = open_log(&conf, &report);

    (void)state;
    assert_true(report.created);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(append_plain(log, 500), i);
        assert_int_equal(run_job(flv_log_upkeep_job(log)), FLV_OK);
    }
    assert_int_equal(count_records(log), 100);
    flv_log_abandon(log);
    conf.create = false;
    log = open_log(&conf, &report);
    assert_false(report.full_scan);
    assert_int_equal(count_records(log), 100);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    log = open_log(&conf, &report);
    assert_int_equal(report.bytes_read, 0);
    assert_int_equal(report.next_offset, 100);
    flv_log_abandon(log);
}

static void a_cut_tail_is_set_aside(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log_report report;
    struct flv_log *log = open_log(&conf, NULL);
    char path[200];
    struct stat st;

    (void)state;
    append_plain(log, 300);
    append_plain(log, 300);
    flv_log_abandon(log);
    snprintf(path, sizeof(path), "%s/00000000000000000000.log", log_dir);
    assert_int_equal(truncate(path, 64 + 2 * (64 + BATCH_HEAD + 300) - 1), 0);
    log = open_log(&conf, &report);
    assert_int_equal(report.torn_bytes, 64 + BATCH_HEAD + 300 - 1);
    assert_int_equal(report.torn_files, 1);
    assert_int_equal(count_records(log), 1);
    append_plain(log, 10);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    snprintf(path, sizeof(path), "%s/00000000000000000000-0000000485-00.torn",
             log_dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 64 + BATCH_HEAD + 300 - 1);
}

static off_t size_of(const char *name)
{
    char path[200];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", log_dir, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

#define FIRST "00000000000000000000.log"

static void small_groups_are_written_into_room(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log *log = open_log(&conf, NULL);
    struct flv_log_report report;
    struct flv_log_check check;
    struct flv_log_info info;
    off_t size = 0;
    int grown = 0, appends = 0;

    (void)state;
    while (size < conf.segment_bytes) {
        append_plain(log, 100);
        appends++;
        grown += size_of(FIRST) > size;
        size = size_of(FIRST);
    }
    assert_int_equal(size, conf.segment_bytes);
    assert_true(grown <= 10 && appends > 3 * grown);
    flv_log_stat(log, &info);
    assert_int_equal(info.size_bytes, appends * (64 + BATCH_HEAD + 100));
    flv_log_abandon(log);

    log = open_log(&conf, &report);
    assert_int_equal(report.torn_bytes, 0);
    assert_int_equal(report.next_offset, appends);
    append_plain(log, 100);
    assert_int_equal(size_of(FIRST), size);
    assert_int_equal(flv_log_check(NULL, log_dir, NULL, NULL, &check, NULL),
                     FLV_OK);
    assert_int_equal(check.damages + check.torn_bytes, 0);
    for (flv_log_stat(log, &info); info.segments == 1;
         flv_log_stat(log, &info)) {
        append_plain(log, 2000);
    }
    assert_true(size_of(FIRST) < size);
    assert_int_equal(flv_log_check(NULL, log_dir, NULL, NULL, &check, NULL),
                     FLV_OK);
    assert_int_equal(check.damages + check.torn_bytes, 0);
    assert_int_equal(count_records(log), flv_log_leo(log));
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
}

static void large_groups_and_page_cache_topics_get_no_room(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log *log;

    (void)state;
    conf.segment_bytes = 1 << 20;
    log = open_log(&conf, NULL);
    append_plain(log, 900);
    for (int i = 0; i < 3; i++) {
        off_t size = size_of(FIRST);

        append_plain(log, 17000);
        assert_true(size_of(FIRST) <= size + 64 + BATCH_HEAD + 17000);
    }
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    assert_int_equal(flv_log_delete(NULL, log_dir, NULL), FLV_OK);

    conf.durability = FLV_DURABLE_PAGE_CACHE;
    log = open_log(&conf, NULL);
    for (int i = 1; i < 20; i++) {
        append_plain(log, 300);
        assert_int_equal(size_of(FIRST), 64 + i * (64 + BATCH_HEAD + 300));
    }
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
}

/* Zeros from `from` on, up to `to`. */
static void end_in_zeros(off_t from, off_t to)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", log_dir, FIRST);
    assert_int_equal(truncate(path, from), 0);
    assert_int_equal(truncate(path, to), 0);
}

/* What open and check say of them, and that it is said once. */
static void expect_lost(const struct flv_log_conf *conf, uint64_t bytes)
{
    struct flv_log_report report;
    struct flv_log_check check;

    if (conf->durability == FLV_DURABLE_DISK) {
        assert_int_equal(flv_log_check(NULL, log_dir, NULL, NULL, &check, NULL),
                         FLV_OK);
        assert_int_equal(check.torn_bytes, bytes);
        assert_int_equal(check.damages, 0);
    }
    for (int i = 0; i < 2; i++) {
        struct flv_log *log = open_log(conf, &report);

        assert_int_equal(report.torn_bytes, i == 0 ? bytes : 0);
        assert_int_equal(report.torn_files, 0);
        assert_false(report.damaged);
        append_plain(log, 300);
        flv_log_abandon(log);
    }
}

#define SMALL (64 + BATCH_HEAD + 300)
#define LARGE (64 + BATCH_HEAD + 17000)

/* In place of the system's: fails with `sys` at the call `at`, 0: never. */
static struct {
    unsigned calls, at;
    int sys;
} writing_out;

int sync_file_range(int fd, off_t pos, off_t len, unsigned flags)
{
    if (++writing_out.calls == writing_out.at) {
        errno = writing_out.sys;
        return -1;
    }
    return (int)syscall(SYS_sync_file_range, fd, pos, len, flags);
}

static flv_rc write_out_with(unsigned at, int sys)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log *log;
    struct flv_log_info info;
    flv_rc rc;

    conf.durability = FLV_DURABLE_PAGE_CACHE;
    conf.segment_bytes = 64 << 20;
    log = open_log(&conf, NULL);
    for (int i = 0; i < 9; i++) {
        append_plain(log, 512 << 10);
    }
    writing_out.calls = 0;
    writing_out.at = at;
    writing_out.sys = sys;
    rc = run_job(flv_log_sync_job(log));
    writing_out.at = 0;
    flv_log_stat(log, &info);
    assert_int_equal(info.state, rc == FLV_OK ? FLV_LOG_OK : FLV_LOG_POISONED);
    assert_int_equal(info.hw, rc == FLV_OK ? 9 : 0);
    flv_log_abandon(log);
    assert_int_equal(flv_log_delete(NULL, log_dir, NULL), FLV_OK);
    return rc;
}

/* The kernel tells an error of the disk once, to whoever asks first. */
static void an_error_while_writing_out_is_one_of_the_sync(void **state)
{
    static const int cannot[] = {ENOSYS, EPERM, EINVAL, ESPIPE};

    (void)state;
    assert_int_equal(write_out_with(0, 0), FLV_OK);
    assert_int_equal(writing_out.calls, 20); /* ten begun, ten waited for */
    for (size_t i = 0; i < sizeof(cannot) / sizeof(cannot[0]); i++) {
        assert_int_equal(write_out_with(1, cannot[i]), FLV_OK);
        assert_int_equal(writing_out.calls, 1);
    }
    for (unsigned at = 1; at <= 20; at++) {
        assert_int_equal(write_out_with(at, EIO), FLV_E_IO);
        assert_int_equal(write_out_with(at, at == 1 ? ENOSPC : EINVAL),
                         at == 1 ? FLV_E_NOSPACE : FLV_E_IO);
    }
}

/* More than a piece at once, with the end of a segment among it. */
static void much_that_was_written_is_synced_in_pieces(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log_report report;
    struct flv_log *log;

    (void)state;
    conf.durability = FLV_DURABLE_PAGE_CACHE;
    conf.segment_bytes = 14 << 20;
    log = open_log(&conf, NULL);
    for (int i = 0; i < 25; i++) {
        assert_int_equal(append_plain(log, 1 << 20), i);
    }
    assert_int_equal(flv_log_hw(log), 0);
    assert_int_equal(run_job(flv_log_sync_job(log)), FLV_OK);
    assert_int_equal(flv_log_hw(log), 25);
    assert_int_equal(size_of(FIRST), 64 + 13 * (64 + BATCH_HEAD + (1 << 20)));
    flv_log_abandon(log);
    log = open_log(&conf, &report);
    assert_int_equal(report.segments, 2);
    assert_int_equal(report.next_offset, 25);
    assert_int_equal(report.torn_bytes, 0);
    flv_log_abandon(log);
}

static void zeros_that_are_not_room_are_told(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log *log;
    off_t end = 64;

    (void)state;
    conf.segment_bytes = 1 << 20;
    log = open_log(&conf, NULL);
    append_plain(log, 17000); /* makes no room */
    end += LARGE;
    append_plain(log, 17000);
    flv_log_abandon(log);
    end_in_zeros(end, end + LARGE);
    expect_lost(&conf, LARGE);
    end += 2 * SMALL; /* each opening has added one, which made room */
    end_in_zeros(end, end + end - SMALL);
    expect_lost(&conf, 0);
    end += 2 * SMALL;
    end_in_zeros(end, 2 * end + 100);
    expect_lost(&conf, (uint64_t)end + 100);
    end += 2 * SMALL;
    log = open_log(&conf, NULL); /* and behind a checkpoint */
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    end_in_zeros(end, 2 * end - SMALL);
    expect_lost(&conf, 0);
    end += 2 * SMALL;
    log = open_log(&conf, NULL);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    end_in_zeros(end, 2 * end + 1);
    expect_lost(&conf, (uint64_t)end + 1);
    assert_int_equal(flv_log_delete(NULL, log_dir, NULL), FLV_OK);

    conf.durability = FLV_DURABLE_PAGE_CACHE; /* has none at all */
    log = open_log(&conf, NULL);
    append_plain(log, 300);
    append_plain(log, 300);
    flv_log_abandon(log);
    end_in_zeros(64 + SMALL, 64 + 2 * SMALL);
    expect_lost(&conf, SMALL);
}

/* Retention goes by the time of the last append. */
static void cutting_room_off_does_not_make_a_segment_younger(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log *log = open_log(&conf, NULL);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};
    char path[200];
    struct stat st;

    (void)state;
    for (int i = 0; i < 20; i++) {
        append_plain(log, 300);
    }
    snprintf(path, sizeof(path), "%s/" FIRST, log_dir);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_true(size_of(FIRST) > 64 + 20 * (64 + BATCH_HEAD + 300));
    append_plain(log, 15000);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 64 + 20 * (64 + BATCH_HEAD + 300));
    assert_int_equal(st.st_mtime, 1000);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
}

static void a_directory_that_cannot_be_written_is_an_error(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log *log = NULL;
    struct flv_err err;
    int fd;

    (void)state;
    /* A file where the directory should be: root is stopped by it, too. */
    fd = open(log_dir, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(flv_log_open(&conf, &log, NULL, &err), FLV_E_IO);
    assert_true(strstr(err.text, log_dir) != NULL);
    assert_int_equal(unlink(log_dir), 0);
}

static void *run_in_thread(void *job)
{
    flv_log_job_run(job);
    return NULL;
}

struct reader {
    struct flv_log_read rd;
    uint8_t buf[3000];
    flv_rc rc;
};

static void *read_in_thread(void *user)
{
    struct reader *r = user;

    r->rc = flv_log_read_run(&r->rd, NULL);
    return NULL;
}

#define READERS 3

static void start_reads(struct flv_log *log,
                        struct reader *readers,
                        pthread_t *threads,
                        bool *running)
{
    for (int i = 0; i < READERS; i++) {
        int64_t start = flv_log_start_offset(log);
        int64_t leo = flv_log_leo(log);
        struct reader *r = &readers[i];

        r->rd = (struct flv_log_read){
            .offset = start + (leo - start) * i / READERS,
            .buf = r->buf,
            .buf_bytes = sizeof(r->buf),
        };
        assert_int_equal(flv_log_read_prepare(log, &r->rd, &running[i], NULL),
                         FLV_OK);
        if (running[i]) {
            assert_int_equal(
                pthread_create(&threads[i], NULL, read_in_thread, r), 0);
        }
    }
}

static void end_reads(struct reader *readers, pthread_t *threads, bool *running)
{
    for (int i = 0; i < READERS; i++) {
        if (!running[i]) {
            continue;
        }
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readers[i].rc, FLV_OK);
        assert_true(readers[i].rd.next_offset > readers[i].rd.offset);
        flv_log_read_finish(&readers[i].rd);
    }
}

/* A commit, an upkeep job and reads at once, while the loop goes on staging:
 * for the thread sanitizer to look at. */
static void jobs_and_reads_run_beside_the_loop(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log *log;
    static struct reader readers[READERS];
    struct sent s[120];

    (void)state;
    conf.durability = FLV_DURABLE_PAGE_CACHE;
    log = open_log(&conf, NULL);
    for (int i = 0; i < 120; i++) {
        pthread_t commit, upkeep, threads[READERS];
        bool running[READERS];
        struct flv_log_job *a, *b;

        make_plain(&s[i], 600);
        assert_int_equal(flv_log_stage(log, &s[i].append, NULL), FLV_OK);
        a = flv_log_commit_job(log);
        b = i % 3 == 0 ? flv_log_sync_job(log) : flv_log_upkeep_job(log);
        if (a != NULL) {
            assert_int_equal(pthread_create(&commit, NULL, run_in_thread, a),
                             0);
        }
        if (b != NULL) {
            assert_int_equal(pthread_create(&upkeep, NULL, run_in_thread, b),
                             0);
        }
        start_reads(log, readers, threads, running);
        if (i == 80) {
            (void)flv_log_trim(log, 30);
        }
        end_reads(readers, threads, running);
        if (a != NULL) {
            assert_int_equal(pthread_join(commit, NULL), 0);
            assert_int_equal(flv_log_job_finish(a, NULL), FLV_OK);
        }
        if (b != NULL) {
            assert_int_equal(pthread_join(upkeep, NULL), 0);
            assert_int_equal(flv_log_job_finish(b, NULL), FLV_OK);
        }
    }
    commit_all(log);
    for (int i = 0; i < 120; i++) {
        assert_int_equal(s[i].rc, FLV_OK);
        forget(&s[i]);
    }
    assert_int_equal(flv_log_leo(log), 120);
    assert_int_equal(count_records(log), 120 - flv_log_start_offset(log));
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
}

/* Files of an earlier process are as old as their last write says. */
static void age_outlives_the_process(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log *log = open_log(&conf, NULL);
    struct flv_log_keep keep = {.age_ms = 3600000, .roll = true};
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 0}};
    char path[PATH_MAX];
    int64_t next;

    (void)state;
    for (int i = 0; i < 50; i++) {
        append_plain(log, 700);
    }
    next = flv_log_leo(log);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    assert_true(snprintf(path, sizeof(path), "%s/%020d.log", log_dir, 0) > 0);
    times[1].tv_sec = time(NULL) - 3000;
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    log = open_log(&conf, NULL);
    assert_int_equal(flv_log_retain(log, &keep), 0);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);

    times[1].tv_sec = time(NULL) - 4000;
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    log = open_log(&conf, NULL);
    assert_int_equal(flv_log_retain(log, &keep), 1);
    assert_true(flv_log_start_offset(log) > 0);
    assert_int_equal(count_records(log), next - flv_log_start_offset(log));
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);

    times[1].tv_sec = time(NULL) + 100000; /* a clock that was wrong */
    log = open_log(&conf, NULL);
    assert_true(snprintf(path, sizeof(path), "%s/%020" PRId64 ".log", log_dir,
                         flv_log_start_offset(log)) > 0);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    log = open_log(&conf, NULL);
    assert_int_equal(flv_log_retain(log, &keep), 0);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    assert_int_equal(flv_log_delete(NULL, log_dir, NULL), FLV_OK);
}

/* One that is still to come is as old as any other. */
static void age_outlives_the_process_where_a_segment_was_begun(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log_keep keep = {.age_ms = 3600000, .roll = true};
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 0}};
    struct flv_log_job *job;
    struct flv_log *log;
    char path[PATH_MAX];
    int64_t next = 0;

    (void)state;
    conf.durability = FLV_DURABLE_PAGE_CACHE;
    log = open_log(&conf, NULL);
    for (path[0] = '\0'; access(path, F_OK) != 0; next++) {
        append_plain(log, 700);
        snprintf(path, sizeof(path), "%s/%020" PRId64 ".next", log_dir, next);
    }
    flv_log_abandon(log);
    times[1].tv_sec = time(NULL) - 10000;
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    log = open_log(&conf, NULL);
    assert_int_equal(flv_log_leo(log), next);
    assert_int_equal(run_job(flv_log_sync_job(log)), FLV_OK);
    assert_int_equal(flv_log_retain(log, &keep), 0);
    job = flv_log_commit_job(log); /* its time has come */
    assert_non_null(job);
    assert_int_equal(run_job(job), FLV_OK);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
}

static void checking_and_deleting_work_on_real_files(void **state)
{
    struct flv_log_conf conf = real_conf();
    struct flv_log *log = open_log(&conf, NULL);
    struct flv_log_check out;
    struct stat st;
    uint64_t space = 0;

    (void)state;
    for (int i = 0; i < 50; i++) {
        append_plain(log, 700);
    }
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    assert_int_equal(flv_log_check(NULL, log_dir, NULL, NULL, &out, NULL),
                     FLV_OK);
    assert_int_equal(out.damages, 0);
    assert_int_equal(out.batches, 50);
    assert_int_equal(
        flv_io_posix()->ops->space(flv_io_posix(), tmp.path, &space, NULL),
        FLV_OK);
    assert_true(space > 0);
    assert_int_equal(flv_log_delete(NULL, log_dir, NULL), FLV_OK);
    assert_int_equal(stat(log_dir, &st), -1);
    assert_int_equal(flv_log_sweep(NULL, tmp.path, NULL), FLV_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_appended_is_there_after_reopening),
        TEST(a_cut_tail_is_set_aside),
        TEST(small_groups_are_written_into_room),
        TEST(large_groups_and_page_cache_topics_get_no_room),
        TEST(an_error_while_writing_out_is_one_of_the_sync),
        TEST(much_that_was_written_is_synced_in_pieces),
        TEST(zeros_that_are_not_room_are_told),
        TEST(cutting_room_off_does_not_make_a_segment_younger),
        TEST(a_directory_that_cannot_be_written_is_an_error),
        TEST(jobs_and_reads_run_beside_the_loop),
        TEST(age_outlives_the_process),
        TEST(age_outlives_the_process_where_a_segment_was_begun),
        TEST(checking_and_deleting_work_on_real_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
