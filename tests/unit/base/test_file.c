/* Files that are the old one or the new one. */
#include "base/file.h"
#include "cm.h"
#include "tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct tmpdir tmp;
static int dir = -1;

static int replace(const char *name, const char *text)
{
    const struct flv_file_replace r = {
        .dir_fd = dir, .name = name, .aside = "aside", .durable = true};
    return flv_file_replace(&r, flv_slice_str(text));
}

static void expect(const char *name, const char *text)
{
    char found[64] = "";
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, found, sizeof(found) - 1) >= 0);
    (void)close(fd);
    assert_string_equal(found, text);
    assert_int_equal(faccessat(dir, "aside", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void a_file_is_replaced_and_its_owners_alone(void **state)
{
    struct stat st;
    (void)state;
    assert_int_equal(replace("a", "one"), 0);
    expect("a", "one");
    /* What a crash has left does not say who may read. */
    int fd = openat(dir, "aside", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(flv_file_write_all(fd, flv_slice_str("longer text")), 0);
    (void)close(fd);
    assert_int_equal(replace("a", "two"), 0);
    expect("a", "two");
    assert_int_equal(fstatat(dir, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(replace("a", ""), 0);
    expect("a", "");
}

static void a_failure_leaves_the_old_file(void **state)
{
    (void)state;
    assert_int_equal(replace("b", "old"), 0);
    /* Nobody makes us write elsewhere. */
    assert_int_equal(symlinkat("victim", dir, "aside"), 0);
    assert_int_equal(replace("b", "new"), ELOOP);
    assert_int_equal(unlinkat(dir, "aside", 0), 0);
    expect("b", "old");
    assert_int_equal(mkdirat(dir, "c", 0700), 0);
    assert_int_equal(replace("c", "new"), EISDIR);
    assert_int_equal(faccessat(dir, "aside", F_OK, 0), -1);
}

static void failures_are_their_errno(void **state)
{
    (void)state;
    assert_int_equal(flv_file_sync_dir(tmp.path), 0);
    assert_int_equal(flv_file_sync_dir("/nowhere/at/all"), ENOENT);
    assert_int_equal(flv_file_write_all(-1, flv_slice_str("x")), EBADF);
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(flv_file_write_all(fd, flv_slice_str("x")), ENOSPC);
    (void)close(fd);
}

static int setup(void **state)
{
    (void)state;
    tmpdir_make(&tmp, "file");
    dir = open(tmp.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    (void)close(dir);
    tmpdir_remove(&tmp);
    return 0;
}

/* In a child, whose outcome is its status: cmocka needs its own streams. */
static int with_closed(int first, int last)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        char byte = 0;
        for (int fd = first; fd <= last; fd++) {
            (void)close(fd);
        }
        flv_file_take_std();
        int fd = openat(dir, "a", O_RDONLY | O_CLOEXEC);
        bool fails = (first > 0 || read(0, &byte, 1) < 0) &&
                     (last < 1 || first > 1 || write(1, "x", 1) < 0) &&
                     (last < 2 || write(2, "x", 1) < 0);
        _exit(fd > STDERR_FILENO && fails ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void no_file_takes_the_place_of_a_closed_stream(void **state)
{
    (void)state;
    assert_int_equal(replace("a", "one"), 0);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        assert_int_equal(with_closed(fd, fd), 0);
    }
    assert_int_equal(with_closed(STDIN_FILENO, STDERR_FILENO), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_and_its_owners_alone),
        cmocka_unit_test(a_failure_leaves_the_old_file),
        cmocka_unit_test(failures_are_their_errno),
        cmocka_unit_test(no_file_takes_the_place_of_a_closed_stream),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
