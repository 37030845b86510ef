#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cm.h"
#include "base/clock.h"
#include "loop/process.h"

struct run {
    struct flv_process_result result;
    char out[8192], err[8192], said[200];
    unsigned calls;
};

static void on_done(void *arg, const struct flv_process_result *result)
{
    struct run *r = arg;
    r->calls++;
    r->result = *result;
    (void)snprintf(r->out, sizeof(r->out), "%s", result->out);
    (void)snprintf(r->err, sizeof(r->err), "%s", result->err_out);
    flv_process_say(result, 200, r->said, sizeof(r->said));
}

static struct flv_process_conf shell(const char **argv, const char *script)
{
    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = script;
    argv[3] = NULL;
    return (struct flv_process_conf){.program = "/bin/sh",
                                     .argv = argv,
                                     .out_bytes_max = 4096,
                                     .timeout_ms = 20000};
}

static void run(struct run *r, const struct flv_process_conf *conf)
{
    struct flv_loop *loop = NULL;
    struct flv_err err = {0};
    *r = (struct run){.calls = 0};
    assert_int_equal(flv_loop_create(&loop, 0, &err), FLV_OK);
    if (flv_process_run(loop, conf, on_done, r, NULL, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(r->calls, 0);
    flv_loop_run(loop);
    assert_int_equal(r->calls, 1);
    flv_loop_destroy(loop);
}

static void both_outputs_and_the_code_are_collected(void **state)
{
    (void)state;
    struct run r;
    const char *argv[4];
    struct flv_process_conf conf =
        shell(argv, "echo out; echo err >&2; exit 3");
    run(&r, &conf);
    assert_int_equal(r.result.end, FLV_PROCESS_EXITED);
    assert_int_equal(r.result.status, 3);
    assert_string_equal(r.out, "out\n");
    assert_string_equal(r.err, "err\n");
    assert_string_equal(r.said, "ended with code 3");
}

static void a_signal_is_told_from_a_code(void **state)
{
    (void)state;
    struct run r;
    const char *argv[4];
    struct flv_process_conf conf = shell(argv, "kill -TERM $$");
    run(&r, &conf);
    assert_int_equal(r.result.end, FLV_PROCESS_SIGNALED);
    assert_int_equal(r.result.status, SIGTERM);
    assert_string_equal(r.said, "was ended by signal 15 (Terminated)");
}

static void one_that_hangs_is_ended_with_its_children(void **state)
{
    (void)state;
    struct run r;
    const char *argv[4];
    struct flv_process_conf conf =
        shell(argv, "trap '' TERM; sleep 1000 & echo $!; wait");
    conf.timeout_ms = 200;
    uint64_t start = flv_clock_mono_ms();
    run(&r, &conf);
    assert_true(flv_clock_mono_ms() - start < 15000);
    assert_int_equal(r.result.end, FLV_PROCESS_TIMEOUT);
    assert_string_equal(r.said, "did not answer within 200ms");
    int pid = 0;
    assert_int_equal(sscanf(r.out, "%d", &pid), 1);
    for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++) {
        char path[64], text[256] = "";
        (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        FILE *f = fopen(path, "r");
        if (f == NULL || fgets(text, sizeof(text), f) == NULL ||
            strstr(text, ") Z") != NULL) {
            pid = 0; /* gone, or only its entry is left */
        }
        if (f != NULL) {
            (void)fclose(f);
        }
        if (pid == 0) {
            return;
        }
        (void)usleep(1000);
    }
    assert_int_not_equal(kill(pid, 0), 0);
}

/* A child that outlives its parent must not keep the answer from coming. */
static void a_grandchild_with_the_pipes_does_not_delay_the_end(void **state)
{
    (void)state;
    struct run r;
    const char *argv[4];
    struct flv_process_conf conf = shell(argv, "sleep 1000 & echo done");
    uint64_t start = flv_clock_mono_ms();
    run(&r, &conf);
    assert_true(flv_clock_mono_ms() - start < 10000);
    assert_int_equal(r.result.end, FLV_PROCESS_EXITED);
    assert_string_equal(r.out, "done\n");
}

static void a_flood_is_ended_at_the_ceiling(void **state)
{
    (void)state;
    struct run r;
    const char *argv[4];
    struct flv_process_conf conf = shell(argv, "yes");
    run(&r, &conf);
    assert_int_equal(r.result.end, FLV_PROCESS_FLOOD);
    assert_true(r.result.out_len <= 4096);
}

static void descriptors_are_handed_over_in_order(void **state)
{
    (void)state;
    struct run r;
    const char *argv[4];
    int a[2], b[2];
    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    assert_int_equal(write(a[1], "first\n", 6), 6);
    assert_int_equal(write(b[1], "second\n", 7), 7);
    (void)close(a[1]);
    (void)close(b[1]);
    struct flv_process_conf conf = shell(argv, "cat <&4; cat <&3");
    conf.fds[0] = a[0];
    conf.fds[1] = b[0];
    conf.fd_count = 2;
    run(&r, &conf);
    (void)close(a[0]);
    (void)close(b[0]);
    assert_string_equal(r.out, "second\nfirst\n");
}

static void what_cannot_run_is_said_at_once(void **state)
{
    (void)state;
    struct flv_loop *loop = NULL;
    struct flv_err err = {0};
    struct run r = {.calls = 0};
    const char *argv[] = {"nothing", NULL};
    const struct flv_process_conf conf = {.program = "/nowhere/nothing",
                                          .argv = argv,
                                          .out_bytes_max = 10,
                                          .timeout_ms = 1000};
    assert_int_equal(flv_loop_create(&loop, 0, &err), FLV_OK);
    assert_int_equal(flv_process_run(loop, &conf, on_done, &r, NULL, &err),
                     FLV_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/nothing"));
    flv_loop_run(loop);
    assert_int_equal(r.calls, 0);
    flv_loop_destroy(loop);
}

static void one_can_be_canceled(void **state)
{
    (void)state;
    struct flv_loop *loop = NULL;
    struct flv_process *p = NULL;
    struct run r = {.calls = 0};
    const char *argv[4];
    struct flv_process_conf conf = shell(argv, "sleep 1000");
    assert_int_equal(flv_loop_create(&loop, 0, NULL), FLV_OK);
    assert_int_equal(flv_process_run(loop, &conf, on_done, &r, &p, NULL),
                     FLV_OK);
    flv_process_cancel(p);
    flv_loop_run(loop);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.result.end, FLV_PROCESS_CANCELED);
    flv_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_outputs_and_the_code_are_collected),
        cmocka_unit_test(a_signal_is_told_from_a_code),
        cmocka_unit_test(one_that_hangs_is_ended_with_its_children),
        cmocka_unit_test(a_grandchild_with_the_pipes_does_not_delay_the_end),
        cmocka_unit_test(a_flood_is_ended_at_the_ceiling),
        cmocka_unit_test(descriptors_are_handed_over_in_order),
        cmocka_unit_test(what_cannot_run_is_said_at_once),
        cmocka_unit_test(one_can_be_canceled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
