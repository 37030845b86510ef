#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cm.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "place.h"
#include "tmpdir.h"

#define WHERE "https://h/changes"

static struct flv_loop *loop;
static struct tmpdir tmp;

static const char *path_of(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", tmp.path, name);
    return path;
}

static struct http_place *
open_place(const char *name, const char *endpoint, const char *expected)
{
    struct http_place *p = NULL;
    struct flv_err err = {0};
    char *id = NULL;
    if (http_place_open(&p, loop, path_of(name), endpoint, &id, &err) !=
        FLV_OK) {
        fail_msg("%s", err.text);
    }
    if (expected == NULL) {
        assert_null(id);
    } else {
        assert_non_null(id);
        assert_string_equal(id, expected);
    }
    flv_free(id);
    return p;
}

static void close_place(struct http_place *p)
{
    http_place_close(p);
    flv_loop_run(loop);
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void the_last_id_is_found_again(void **state)
{
    (void)state;
    struct stat st;
    struct http_place *p = open_place("a", WHERE, NULL);
    http_place_keep(p, "1");
    http_place_keep(p, "2 of \xc3\xa9");
    close_place(p);
    assert_int_equal(stat(path_of("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    p = open_place("a", WHERE, "2 of \xc3\xa9");
    close_place(p);
    p = open_place("a", WHERE, "2 of \xc3\xa9");
    close_place(p);
    assert_int_not_equal(access(path_of("a.new"), F_OK), 0);
}

/* Which is not the same as never having had one. */
static void an_id_that_was_taken_back_is_kept_so(void **state)
{
    (void)state;
    struct http_place *p = open_place("f", WHERE, NULL);
    http_place_keep(p, "1");
    http_place_keep(p, "");
    close_place(p);
    close_place(open_place("f", WHERE, ""));
}

static void ids_are_written_while_it_runs(void **state)
{
    (void)state;
    struct http_place *p = open_place("b", WHERE, NULL);
    http_place_keep(p, "1");
    while (access(path_of("b"), F_OK) != 0) {
        (void)flv_loop_turn(loop, true);
    }
    close_place(open_place("b", WHERE, "1"));
    for (int i = 0; i < 1000; i++) {
        http_place_keep(p, "7");
    }
    close_place(p);
    close_place(open_place("b", WHERE, "7"));
}

static void ids_of_another_endpoint_are_not_used(void **state)
{
    (void)state;
    write_text("c", "fluvio-http-position 1\nhttps://other/\n5\n");
    struct http_place *p = open_place("c", WHERE, NULL);
    http_place_keep(p, "6");
    close_place(p);
    close_place(open_place("c", WHERE, "6"));
}

static void what_is_no_position_is_refused_and_left_alone(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "secret\n",
        "fluvio-http-position 2\n" WHERE "\n5\n",
        "fluvio-http-position 1\n" WHERE "\n",
        "fluvio-http-position 1\n" WHERE "\n5",
        "fluvio-http-position 1\n" WHERE "\n5\n6\n",
        "fluvio-http-position 1\n" WHERE "\n5\r\n",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct http_place *p = NULL;
        struct flv_err err = {0};
        struct stat st;
        char *id = NULL;
        write_text("d", bad[i]);
        assert_int_equal(
            http_place_open(&p, loop, path_of("d"), WHERE, &id, &err),
            FLV_E_INVALID);
        assert_memory_equal(err.text, "position-file: ", 15);
        assert_null(id);
        assert_int_equal(stat(path_of("d"), &st), 0);
        assert_int_equal(st.st_size, strlen(bad[i]));
    }
    struct http_place *p = NULL;
    struct flv_err err = {0};
    char *id = NULL;
    assert_int_equal(
        http_place_open(&p, loop, "/nowhere/at/all", WHERE, &id, &err),
        FLV_E_INVALID);
    assert_non_null(strstr(err.text, "/nowhere/at"));
}

static void a_write_that_fails_ends_nothing(void **state)
{
    (void)state;
    struct http_place *p = open_place("e", WHERE, NULL);
    assert_int_equal(mkdir(path_of("e.new"), 0700), 0);
    http_place_keep(p, "1");
    close_place(p);
    assert_int_not_equal(access(path_of("e"), F_OK), 0);
    assert_int_equal(rmdir(path_of("e.new")), 0);
}

static int setup(void **state)
{
    (void)state;
    tmpdir_make(&tmp, "place");
    return flv_loop_create(&loop, 0, NULL) == FLV_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tmpdir_remove(&tmp);
    flv_loop_destroy(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_id_is_found_again),
        cmocka_unit_test(an_id_that_was_taken_back_is_kept_so),
        cmocka_unit_test(ids_are_written_while_it_runs),
        cmocka_unit_test(ids_of_another_endpoint_are_not_used),
        cmocka_unit_test(what_is_no_position_is_refused_and_left_alone),
        cmocka_unit_test(a_write_that_fails_ends_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
