/* The guard, in processes of its own: signals at its worst moments, and a
 * machine that starts no more processes. */
#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "cm.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_MS 60000
#define OUT_MAX 4096

struct seen {
    int status;        /* exit status of the process around the guard */
    char out[OUT_MAX]; /* its standard error */
};

/* Runs `act` in a process whose exit status is what it returns. */
static struct seen run(int (*act)(void))
{
    struct seen s = {.status = -1};
    size_t len = 0;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        alarm(LONG_MS / 1000 / 2); /* what hangs is seen as signal 14 */
        _exit(act());
    }
    (void)close(ends[1]);
    ssize_t n = 0;
    while ((n = read(ends[0], s.out + len, sizeof(s.out) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    s.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return s;
}

/* ---- a hangup ---- */

static volatile sig_atomic_t hangups;

static void on_hangup(int signum)
{
    (void)signum;
    hangups++;
}

static int deaths;

static void count_death(void *ctx, const struct flv_guard_death *d)
{
    (void)ctx;
    (void)d;
    deaths++;
}

static int hear_early_hangup(void)
{
    const struct flv_guard_conf c = {.what = "the test", .died = count_death};
    int status = -1;
    if (flv_guard(&c, &status) != NULL) {
        /* Before the program has done anything about it. */
        (void)kill(getpid(), SIGHUP);
        (void)signal(SIGHUP, on_hangup);
        flv_guard_hear_hangup();
        return hangups == 1 ? 0 : 3;
    }
    return deaths == 0 ? status : 4;
}

static void a_hangup_before_the_program_is_ready_is_heard_later(void **state)
{
    (void)state;
    assert_int_equal(run(hear_early_hangup).status, 0);
}

/* ---- the end, asked for just before the wait ---- */

static void ask_at_second(void *ctx, const struct flv_guard_death *d)
{
    (void)ctx;
    if (d->row == 2) {
        (void)kill(getpid(), SIGTERM);
    }
}

static int die_until_asked(void)
{
    const struct flv_guard_conf c = {.what = "the test",
                                     .wait_ms_min = LONG_MS,
                                     .wait_ms_max = LONG_MS,
                                     .healthy_ms = LONG_MS,
                                     .died = ask_at_second};
    int status = -1;
    if (flv_guard(&c, &status) != NULL) {
        (void)raise(SIGKILL);
    }
    return 0;
}

static void a_signal_just_before_the_wait_ends_it(void **state)
{
    (void)state;
    const uint64_t start_ms = flv_clock_mono_ms();
    assert_int_equal(run(die_until_asked).status, 0);
    assert_true(flv_clock_mono_ms() - start_ms < LONG_MS / 2);
}

/* A hangup, which is passed on to nobody, does not cut the wait short. */
static void hang_up_at_second(void *ctx, const struct flv_guard_death *d)
{
    (void)ctx;
    if (d->row == 2) {
        (void)kill(getpid(), SIGHUP);
    }
}

static int wait_in_spite_of_hangup(void)
{
    const struct flv_guard_conf c = {.what = "the test",
                                     .wait_ms_min = 200,
                                     .wait_ms_max = 200,
                                     .healthy_ms = LONG_MS,
                                     .deaths_max = 3,
                                     .died = hang_up_at_second};
    int status = -1;
    const uint64_t start_ms = flv_clock_mono_ms();
    if (flv_guard(&c, &status) != NULL) {
        (void)raise(SIGKILL);
    }
    return flv_clock_mono_ms() - start_ms >= 200 ? 0 : 3;
}

static void a_hangup_does_not_shorten_the_wait(void **state)
{
    (void)state;
    assert_int_equal(run(wait_in_spite_of_hangup).status, 0);
}

/* ---- a parent that ignored its children ---- */

static int end_under_ignored_children(void)
{
    const struct flv_guard_conf c = {.what = "the test"};
    int status = -1;
    (void)signal(SIGCHLD, SIG_IGN);
    return flv_guard(&c, &status) != NULL ? 5 : status;
}

static void the_exit_status_is_known_whatever_was_ignored(void **state)
{
    (void)state;
    assert_int_equal(run(end_under_ignored_children).status, 5);
}

/* ---- no more processes ---- */

static int forbid_processes(void)
{
    static struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 2, 0),
#ifdef __NR_fork
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fork, 1, 0),
#else
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 1, 0),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
    };
    const struct sock_fprog program = {.len = sizeof(rules) / sizeof(rules[0]),
                                       .filter = rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0
               ? 0
               : -1;
}

static int start_nothing(void)
{
    const struct flv_guard_conf c = {.what = "the test"};
    int status = -1;
    if (flv_log_setup("info", NULL) != FLV_OK || forbid_processes() != 0) {
        return 77;
    }
    return flv_guard(&c, &status) == NULL ? status : 3;
}

static void a_first_process_that_cannot_be_started_is_told(void **state)
{
    (void)state;
    const struct seen s = run(start_nothing);
    if (s.status == 77) {
        skip(); /* no seccomp here */
    }
    assert_int_equal(s.status, 1);
    assert_non_null(strstr(s.out, "cannot start a process for the test: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hangup_before_the_program_is_ready_is_heard_later),
        cmocka_unit_test(a_signal_just_before_the_wait_ends_it),
        cmocka_unit_test(a_hangup_does_not_shorten_the_wait),
        cmocka_unit_test(the_exit_status_is_known_whatever_was_ignored),
        cmocka_unit_test(a_first_process_that_cannot_be_started_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
