#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cm.h"
#include "manager/logs.h"
#include "tmpdir.h"

static struct tmpdir tmp;
static struct flv_logs logs;
static int fd = -1;

static int open_log(void)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/cats.log", tmp.path);
    return open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
}

static int set_up(void **state)
{
    (void)state;
    tmpdir_make(&tmp, "mlogs");
    logs =
        (struct flv_logs){.dir = tmp.path, .bytes_max = 1000, .files_max = 3};
    fd = open_log();
    return fd >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    close(fd);
    tmpdir_remove(&tmp);
    return 0;
}

/* Lines "line N" from..to - 1, of 10 bytes each. */
static void write_lines(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char line[16];
        (void)snprintf(line, sizeof(line), "line %4u\n", i);
        assert_int_equal(write(fd, line, 10), 10);
    }
}

static void expect_tail(unsigned lines, unsigned from, unsigned to)
{
    struct flv_buf b;
    uint64_t ino, pos;
    char expected[32];
    flv_buf_init(&b, 1 << 20);
    assert_int_equal(flv_logs_tail(&logs, "cats", lines, &b, &ino, &pos),
                     FLV_OK);
    assert_int_equal(b.len, (size_t)(to - from) * 10);
    if (to > from) {
        (void)snprintf(expected, sizeof(expected), "line %4u\n", from);
        assert_memory_equal(b.data, expected, 10);
        (void)snprintf(expected, sizeof(expected), "line %4u\n", to - 1);
        assert_memory_equal(b.data + b.len - 10, expected, 10);
    }
    flv_buf_deinit(&b);
}

static off_t size_of(const char *name)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", tmp.path, name);
    return stat(path, &st) == 0 ? st.st_size : -1;
}

static void the_tail_has_the_last_lines(void **state)
{
    (void)state;
    expect_tail(5, 0, 0);
    write_lines(0, 20);
    expect_tail(5, 15, 20);
    expect_tail(20, 0, 20);
    expect_tail(100, 0, 20);
    expect_tail(0, 0, 0);
}

static void the_tail_reaches_into_rotated_files(void **state)
{
    (void)state;
    write_lines(0, 120);
    assert_int_equal(flv_logs_rotate(&logs, "cats", false), FLV_ROTATE_REOPEN);
    close(fd);
    fd = open_log();
    write_lines(120, 130);
    expect_tail(30, 100, 130);
    expect_tail(10, 120, 130);
    expect_tail(11, 119, 130);
    expect_tail(1000, 0, 130);
}

static void rotation_keeps_so_many_files_and_no_more(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        write_lines(i * 110, (i + 1) * 110);
        assert_int_equal(flv_logs_rotate(&logs, "cats", false),
                         FLV_ROTATE_REOPEN);
        close(fd);
        fd = open_log();
    }
    assert_int_equal(size_of("cats.log"), 0);
    assert_int_equal(size_of("cats.log.3"), 1100);
    assert_int_equal(size_of("cats.log.4"), -1);
    expect_tail(10000, 550, 880);
}

static void a_small_log_is_left_alone(void **state)
{
    (void)state;
    write_lines(0, 100);
    assert_int_equal(flv_logs_rotate(&logs, "cats", false), FLV_ROTATE_NO);
    assert_int_equal(size_of("cats.log"), 1000);
}

static void a_writer_that_cannot_reopen_gets_its_file_cut(void **state)
{
    (void)state;
    write_lines(0, 150);
    assert_int_equal(flv_logs_rotate(&logs, "cats", true), FLV_ROTATE_CUT);
    assert_int_equal(size_of("cats.log"), 0);
    assert_int_equal(size_of("cats.log.1"), 1000); /* its end */
    write_lines(150, 160); /* the same descriptor, in append mode */
    assert_int_equal(size_of("cats.log"), 100);
    expect_tail(15, 145, 160);
}

static void a_writer_that_does_not_hear_is_cut_in_the_end(void **state)
{
    (void)state;
    write_lines(0, 120);
    assert_int_equal(flv_logs_rotate(&logs, "cats", false), FLV_ROTATE_REOPEN);
    write_lines(120, 300); /* still into what is cats.log.1 now */
    assert_int_equal(flv_logs_rotate(&logs, "cats", false), FLV_ROTATE_NO);
    assert_int_equal(size_of("cats.log.1"), 0);
}

static void following_goes_on_through_a_rotation(void **state)
{
    struct flv_buf b;
    uint64_t ino, pos;
    char got[4096];
    size_t n = 0;
    (void)state;
    write_lines(0, 10);
    flv_buf_init(&b, 1 << 20);
    assert_int_equal(flv_logs_tail(&logs, "cats", 1, &b, &ino, &pos), FLV_OK);
    flv_buf_deinit(&b);
    write_lines(10, 120);
    assert_int_equal(flv_logs_rotate(&logs, "cats", false), FLV_ROTATE_REOPEN);
    close(fd);
    fd = open_log();
    write_lines(120, 130);
    for (int i = 0; i < 4; i++) {
        n += flv_logs_follow(&logs, "cats", &ino, &pos, got + n,
                             sizeof(got) - n);
    }
    assert_int_equal(n, 1200);
    assert_memory_equal(got, "line   10\n", 10);
    assert_memory_equal(got + 1190, "line  129\n", 10);
}

/* ---- A writer that does not stop for a rotation -------------------------- */

#define BUSY_LINES 30000u
#define BUSY_MAX ((uint64_t)64 * 1024)

static void *write_on(void *arg)
{
    int log = *(const int *)arg;
    for (unsigned i = 0; i < BUSY_LINES; i++) {
        char line[16];
        struct stat st = {.st_size = 0};
        (void)snprintf(line, sizeof(line), "busy %8u\n", i);
        if (write(log, line, 14) != 14) {
            return arg;
        }
        /* More than a file may have is cut on purpose. */
        while (fstat(log, &st) == 0 && (uint64_t)st.st_size > BUSY_MAX + 2048) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static bool can_take_the_front_away(void)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/try", tmp.path);
    int f = open(path, O_RDWR | O_CREAT, 0600);
    bool ok = f >= 0 && ftruncate(f, 8192) == 0 &&
              fallocate(f, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) == 0;
    close(f);
    (void)unlink(path);
    return ok;
}

static void no_line_is_lost_while_a_file_is_cut(void **state)
{
    pthread_t writer;
    void *failed = NULL;
    struct flv_buf b;
    uint64_t ino, pos;
    unsigned cuts = 0, next = 0;
    (void)state;
    if (!can_take_the_front_away()) {
        skip(); /* this file system cannot: a line may be lost */
    }
    logs.bytes_max = BUSY_MAX;
    logs.files_max = 90;
    assert_int_equal(pthread_create(&writer, NULL, write_on, &fd), 0);
    while (size_of("cats.log") + (off_t)cuts * (off_t)BUSY_MAX <
           (off_t)(BUSY_LINES * 14)) {
        cuts += flv_logs_rotate(&logs, "cats", true) == FLV_ROTATE_CUT;
    }
    assert_int_equal(pthread_join(writer, &failed), 0);
    assert_null(failed);
    assert_true(cuts > 3);
    flv_buf_init(&b, 1 << 20);
    assert_int_equal(flv_logs_tail(&logs, "cats", 100000, &b, &ino, &pos),
                     FLV_OK);
    assert_int_equal(b.len, BUSY_LINES * 14);
    for (size_t at = 0; at < b.len; at += 14) {
        char line[16];
        (void)snprintf(line, sizeof(line), "busy %8u\n", next++);
        assert_memory_equal(b.data + at, line, 14);
    }
    flv_buf_deinit(&b);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(the_tail_has_the_last_lines),
        T(the_tail_reaches_into_rotated_files),
        T(rotation_keeps_so_many_files_and_no_more),
        T(a_small_log_is_left_alone),
        T(a_writer_that_cannot_reopen_gets_its_file_cut),
        T(a_writer_that_does_not_hear_is_cut_in_the_end),
        T(following_goes_on_through_a_rotation),
        T(no_line_is_lost_while_a_file_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
