#include "server/datadir.h"

#include "cm.h"
#include "tmpdir.h"

#include <sys/stat.h>
#include <sys/wait.h>

static int setup(void **state)
{
    static struct tmpdir t;
    tmpdir_make(&t, "datadir");
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    tmpdir_remove(*state);
    return 0;
}

static void open_makes_a_private_marked_folder(void **state)
{
    const struct tmpdir *t = *state;
    struct flv_datadir dir;
    char deep[256];
    snprintf(deep, sizeof deep, "%s/a/b", t->sub);
    assert_int_equal(flv_datadir_open(&dir, deep, FLV_DATADIR_SERVE, NULL),
                     FLV_OK);
    struct stat st;
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    char text[64] = "";
    snprintf(deep, sizeof deep, "%s/a/b/VERSION", t->sub);
    FILE *f = fopen(deep, "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    assert_string_equal(text, "fluvio-c data directory, format 1\n");
    flv_datadir_close(&dir);
    flv_datadir_close(&dir);
}

static void open_again_keeps_what_is_there(void **state)
{
    const struct tmpdir *t = *state;
    struct flv_datadir dir;
    assert_int_equal(flv_datadir_open(&dir, t->sub, FLV_DATADIR_SERVE, NULL),
                     FLV_OK);
    assert_int_equal(flv_datadir_make_topic(&dir, 7, NULL), FLV_OK);
    flv_datadir_close(&dir);
    assert_int_equal(flv_datadir_open(&dir, t->sub, FLV_DATADIR_SERVE, NULL),
                     FLV_OK);
    char path[FLV_DATADIR_LOG_PATH_MAX];
    flv_datadir_log_path(&dir, 7, 1, path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(access(path, F_OK), 0);
    flv_datadir_close(&dir);
}

static void second_holder_hears_the_pid_of_the_first(void **state)
{
    const struct tmpdir *t = *state;
    struct flv_datadir dir;
    struct flv_datadir other;
    struct flv_err err = {0};
    char pid[64];
    assert_int_equal(flv_datadir_open(&dir, t->sub, FLV_DATADIR_SERVE, NULL),
                     FLV_OK);
    assert_int_equal(flv_datadir_open(&other, t->sub, FLV_DATADIR_SERVE, &err),
                     FLV_E_LOCKED);
    snprintf(pid, sizeof pid, "pid %ld;", (long)getpid());
    assert_non_null(strstr(err.text, pid));
    assert_int_equal(flv_datadir_open(&other, t->sub, FLV_DATADIR_CHECK, &err),
                     FLV_E_LOCKED);
    flv_datadir_close(&dir);
    assert_int_equal(flv_datadir_open(&other, t->sub, FLV_DATADIR_SERVE, &err),
                     FLV_OK);
    flv_datadir_close(&other);
}

static void lock_ends_with_the_process(void **state)
{
    const struct tmpdir *t = *state;
    pid_t child = fork();
    if (child == 0) {
        struct flv_datadir dir;
        _exit(flv_datadir_open(&dir, t->sub, FLV_DATADIR_SERVE, NULL) !=
              FLV_OK);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct flv_datadir dir;
    assert_int_equal(flv_datadir_open(&dir, t->sub, FLV_DATADIR_SERVE, NULL),
                     FLV_OK);
    flv_datadir_close(&dir);
}

static void refuse(const char *path, enum flv_datadir_mode mode, flv_rc want)
{
    struct flv_datadir dir;
    struct flv_err err = {0};
    assert_int_equal(flv_datadir_open(&dir, path, mode, &err), want);
    assert_true(strlen(err.text) > 20);
}

static void foreign_folder_is_refused_and_left_alone(void **state)
{
    const struct tmpdir *t = *state;
    tmpdir_write(t->path, "thesis.tex", "years of work");
    refuse(t->path, FLV_DATADIR_SERVE, FLV_E_INVALID);
    char path[256];
    snprintf(path, sizeof path, "%s/lock", t->path);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void foreign_and_newer_markers_are_refused(void **state)
{
    const struct tmpdir *t = *state;
    tmpdir_write(t->path, "VERSION", "15\n"); /* PostgreSQL would say PG_ */
    refuse(t->path, FLV_DATADIR_SERVE, FLV_E_INVALID);
    tmpdir_write(t->path, "VERSION", "fluvio-c data directory, format 2\n");
    refuse(t->path, FLV_DATADIR_SERVE, FLV_E_UNSUPPORTED);
    tmpdir_write(t->path, "VERSION", "fluvio-c data directory, format x\n");
    refuse(t->path, FLV_DATADIR_SERVE, FLV_E_INVALID);
    tmpdir_write(t->path, "VERSION", "fluvio-c data directory, format 1");
    refuse(t->path, FLV_DATADIR_SERVE, FLV_E_INVALID);
}

static void check_never_creates(void **state)
{
    const struct tmpdir *t = *state;
    refuse(t->sub, FLV_DATADIR_CHECK, FLV_E_IO);
    assert_int_not_equal(access(t->sub, F_OK), 0);
    refuse(t->path, FLV_DATADIR_CHECK, FLV_E_INVALID);
}

static void interrupted_first_start_is_taken_up(void **state)
{
    const struct tmpdir *t = *state;
    struct flv_datadir dir;
    tmpdir_write(t->path, "lock", "");
    tmpdir_write(t->path, "VERSION.new", "fluvio-c da");
    assert_int_equal(flv_datadir_open(&dir, t->path, FLV_DATADIR_SERVE, NULL),
                     FLV_OK);
    flv_datadir_close(&dir);
}

static void file_in_place_of_folder_is_a_sentence(void **state)
{
    const struct tmpdir *t = *state;
    tmpdir_write(t->path, "data", "a file");
    refuse(t->sub, FLV_DATADIR_SERVE, FLV_E_IO);
    refuse("", FLV_DATADIR_SERVE, FLV_E_INVALID);
}

static void collect(uint64_t id, void *arg)
{
    *(uint64_t *)arg += id;
}

static void removed_topic_leaves_nothing(void **state)
{
    const struct tmpdir *t = *state;
    struct flv_datadir dir;
    assert_int_equal(flv_datadir_open(&dir, t->sub, FLV_DATADIR_SERVE, NULL),
                     FLV_OK);
    assert_int_equal(flv_datadir_make_topic(&dir, 3, NULL), FLV_OK);
    assert_int_equal(flv_datadir_make_topic(&dir, 5, NULL), FLV_OK);
    char path[FLV_DATADIR_LOG_PATH_MAX];
    flv_datadir_log_path(&dir, 3, 1, path);
    assert_int_equal(mkdir(path, 0700), 0);
    tmpdir_write(path, "segment", "bytes");
    uint64_t sum = 0;
    assert_int_equal(flv_datadir_each_topic(&dir, collect, &sum, NULL), FLV_OK);
    assert_int_equal(sum, 8);
    assert_int_equal(flv_datadir_remove_topic(&dir, 3, NULL), FLV_OK);
    assert_int_equal(flv_datadir_remove_topic(&dir, 3, NULL), FLV_OK);
    sum = 0;
    assert_int_equal(flv_datadir_each_topic(&dir, collect, &sum, NULL), FLV_OK);
    assert_int_equal(sum, 5);
    flv_datadir_close(&dir);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(open_makes_a_private_marked_folder),
        T(open_again_keeps_what_is_there),
        T(second_holder_hears_the_pid_of_the_first),
        T(lock_ends_with_the_process),
        T(foreign_folder_is_refused_and_left_alone),
        T(foreign_and_newer_markers_are_refused),
        T(check_never_creates),
        T(interrupted_first_start_is_taken_up),
        T(file_in_place_of_folder_is_a_sentence),
        T(removed_topic_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
