#include "manager/guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* The first start again is at once; while it dies young the wait doubles. */
#define WAIT_MS_MAX 500
#define WAIT_MS_MIN 20
#define HEALTHY_MS 2000

static volatile sig_atomic_t asked; /* the signal that asked for the end */
static volatile pid_t manager;

static void pass_on(int signum)
{
    if (signum != SIGHUP) {
        asked = signum;
    }
    if (manager > 0) {
        (void)kill(manager, signum);
    }
}

static void catch_signals(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = pass_on};
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        (void)sigaction(signals[i], &action, NULL);
    }
}

static void let_signals_be(void)
{
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
}

/* Until the manager ends; others that end were orphans. */
static int wait_for_manager(void)
{
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid == manager) {
            return status;
        }
        if (pid < 0 && errno == ECHILD) {
            return 0;
        }
    }
}

static uint32_t say_and_wait_ms(int status, uint32_t wait_ms, uint64_t lived_ms)
{
    bool by_signal = WIFSIGNALED(status);
    flv_log_error(
        "guard", "the manager died and is started again",
        FLV_KV_STR("by", by_signal ? "signal" : "exit"),
        FLV_KV_U64("code", (uint64_t)(by_signal ? WTERMSIG(status)
                                                : WEXITSTATUS(status))),
        FLV_KV_U64("lived_ms", lived_ms));
    if (lived_ms >= HEALTHY_MS) {
        return 0;
    }
    wait_ms = wait_ms > 0 ? 2 * wait_ms : WAIT_MS_MIN;
    return wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX;
}

bool flv_guard(int *out_status)
{
    uint32_t wait_ms = 0;
    bool first = true;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    catch_signals();
    for (;;) {
        uint64_t start_ms = flv_clock_mono_ms();
        pid_t pid = fork();
        if (pid == 0) {
            let_signals_be();
            return true;
        }
        manager = pid;
        if (asked != 0 && pid > 0) {
            (void)kill(pid, asked); /* it came before there was a manager */
        }
        int status = pid > 0 ? wait_for_manager() : 1 << 8;
        uint64_t lived_ms = flv_clock_mono_ms() - start_ms;
        manager = 0;
        bool exited = WIFEXITED(status);
        /* One that cannot even start once says why and is not repeated. */
        if ((exited && WEXITSTATUS(status) == 0) || asked != 0 ||
            (first && exited)) {
            *out_status = exited ? WEXITSTATUS(status) : 1;
            return false;
        }
        first = false;
        wait_ms = say_and_wait_ms(status, wait_ms, lived_ms);
        (void)poll(NULL, 0, (int)wait_ms);
    }
}
