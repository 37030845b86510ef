#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static uint64_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

static int64_t fixed_wall(void *ctx)
{
    (void)ctx;
    return 1767225600000; /* 2026-01-01 */
}

static const struct flv_clock fixed = {.mono_ns = no_time,
                                       .wall_ms = fixed_wall};
static int pipe_fds[2];
static char got[1 << 17];

static int set_up(void **state)
{
    (void)state;
    flv__clock_set(&fixed);
    if (pipe(pipe_fds) != 0 || fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) != 0) {
        return -1;
    }
    flv_log_set_fd(pipe_fds[1]);
    return flv_log_setup("trace", NULL) == FLV_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    flv__clock_set(NULL);
    flv_log_set_fd(STDERR_FILENO);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

/* Everything logged since the last call. */
static const char *logged(void)
{
    size_t len = 0;
    ssize_t n;

    while ((n = read(pipe_fds[0], got + len, sizeof(got) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    got[len] = '\0';
    return got;
}

static void a_line_has_time_level_target_message_values(void **state)
{
    (void)state;
    errno = 42;
    flv_log_info("store", "opened", FLV_KV_STR("topic", "cat-facts"),
                 FLV_KV_U64("offset", UINT64_MAX), FLV_KV_I64("delta", -3),
                 FLV_KV_BOOL("new", true), FLV_KV_STR("none", NULL),
                 FLV_KV_STR("empty", ""));
    assert_int_equal(errno, 42);
    assert_string_equal(
        logged(), "2026-01-01T00:00:00.000Z level=info target=store msg=opened "
                  "topic=cat-facts offset=18446744073709551615 delta=-3 "
                  "new=true none=null empty=\"\"\n");
    flv_log_warn("store", "just this");
    assert_string_equal(logged(), "2026-01-01T00:00:00.000Z level=warn "
                                  "target=store msg=\"just this\"\n");
}

static void a_record_is_one_line_whatever_it_holds(void **state)
{
    static const char nasty[] =
        "a\nb\r\t\"q\" \\ \x1b[0m \xc2\x85 \xe2\x80\xa8 \xff \xc3\xa9";

    (void)state;
    flv_log_info("t", "m", FLV_KV_STR("v", nasty),
                 FLV_KV_SLICE("raw", flv_slice("\0=x", 3)));
    assert_string_equal(
        logged(),
        "2026-01-01T00:00:00.000Z level=info target=t msg=m "
        "v=\"a\\nb\\r\\t\\\"q\\\" \\\\ \\u001b[0m \\u0085 \\u2028 \\ufffd "
        "\xc3\xa9\" raw=\"\\u0000=x\"\n");
}

static void long_values_and_lines_are_cut(void **state)
{
    static char huge[20000];
    const char *text;

    (void)state;
    memset(huge, '\n', sizeof(huge) - 1);
    flv_log_info("t", huge, FLV_KV_STR("a", huge), FLV_KV_STR("b", huge),
                 FLV_KV_STR("c", huge), FLV_KV_STR("d", huge),
                 FLV_KV_STR("e", "last"));
    text = logged();
    assert_in_range(strlen(text), 3000, FLV_LOG_LINE_MAX);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_non_null(strstr(text, "...\" a=\""));
    memset(huge, 'x', sizeof(huge) - 1);
    flv_log_info("t", "m", FLV_KV_STR("a", huge), FLV_KV_STR("b", "kept"));
    assert_non_null(strstr(logged(), "xxx...\" b=kept\n"));
}

static int evaluated;

static const char *evaluate(void)
{
    evaluated++;
    return "x";
}

static void specs_choose_levels_per_target(void **state)
{
    (void)state;
    assert_int_equal(flv_log_setup("info, store=debug,store::index=off", NULL),
                     FLV_OK);
    assert_true(flv_log_on(FLV_LEVEL_INFO, "server"));
    assert_false(flv_log_on(FLV_LEVEL_DEBUG, "server"));
    assert_true(flv_log_on(FLV_LEVEL_DEBUG, "store"));
    assert_true(flv_log_on(FLV_LEVEL_DEBUG, "store::segment"));
    assert_true(flv_log_on(FLV_LEVEL_DEBUG, "store.segment"));
    assert_false(flv_log_on(FLV_LEVEL_DEBUG, "storehouse"));
    assert_false(flv_log_on(FLV_LEVEL_ERROR, "store::index"));
    assert_false(flv_log_on(FLV_LEVEL_TRACE, "store"));
    flv_log_debug("server", "quiet", FLV_KV_STR("v", evaluate()));
    assert_int_equal(evaluated, 0);
    assert_int_equal(flv_log_setup("OFF", NULL), FLV_OK);
    assert_false(flv_log_on(FLV_LEVEL_ERROR, "server"));
    flv_log_error("server", "quiet", FLV_KV_STR("v", evaluate()));
    assert_string_equal(logged(), "");
}

static void bad_specs_change_nothing(void **state)
{
    static const char *const bad[] = {"loud", "=info", "store=", "store=9",
                                      "info,store"};
    struct flv_err err;

    (void)state;
    assert_int_equal(flv_log_setup("warn", NULL), FLV_OK);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(flv_log_setup(bad[i], &err), FLV_E_INVALID);
        assert_true(flv_log_on(FLV_LEVEL_WARN, "x"));
        assert_false(flv_log_on(FLV_LEVEL_INFO, "x"));
    }
    assert_int_equal(flv_log_setup("loud", &err), FLV_E_INVALID);
    assert_string_equal(err.text,
                        "log level 'loud' is none of off, error, warn, info, "
                        "debug, trace or TARGET=LEVEL");
}

static void a_full_pipe_loses_lines_and_says_so(void **state)
{
    uint64_t before = flv_log_dropped(), lost;

    (void)state;
    while (flv_log_dropped() == before) {
        flv_log_info("t", "filling the pipe");
    }
    flv_log_info("t", "lost too");
    lost = flv_log_dropped() - before;
    assert_int_equal(lost, 2);
    (void)logged();
    flv_log_info("t", "heard again");
    assert_string_equal(logged(),
                        "2026-01-01T00:00:00.000Z level=warn target=log "
                        "msg=\"lines were lost\" lost=2\n"
                        "2026-01-01T00:00:00.000Z level=info target=t "
                        "msg=\"heard again\"\n");
}

static void a_closed_descriptor_is_no_trouble(void **state)
{
    uint64_t before = flv_log_dropped();

    (void)state;
    flv_log_set_fd(-1);
    flv_log_info("t", "nowhere");
    assert_int_equal(flv_log_dropped(), before + 1);
    flv_log_set_fd(pipe_fds[1]);
}

static void *many_lines(void *arg)
{
    for (int i = 0; i < 100; i++) {
        flv_log_info("t", "from a thread", FLV_KV_STR("who", arg));
    }
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    static char names[3][8] = {"one", "two", "three"};
    pthread_t threads[3];
    size_t lines = 0;
    char *line, *rest = NULL;

    (void)state;
    (void)logged();
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, many_lines, names[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    (void)logged();
    for (line = strtok_r(got, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        static const char head[] = "2026-01-01T00:00:00.000Z level=info "
                                   "target=t msg=\"from a thread\" who=";

        if (strncmp(line, head, strlen(head)) == 0) {
            lines++;
        } else {
            assert_non_null(strstr(line, "lines were lost"));
        }
    }
    assert_int_equal(lines, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_line_has_time_level_target_message_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_is_one_line_whatever_it_holds,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_values_and_lines_are_cut, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(specs_choose_levels_per_target, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bad_specs_change_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_pipe_loses_lines_and_says_so,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_closed_descriptor_is_no_trouble,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_of_threads_do_not_mix, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
