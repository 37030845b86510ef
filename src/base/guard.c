#include "base/guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define SIGNAL_COUNT 3
static const int signals[SIGNAL_COUNT] = {SIGTERM, SIGINT, SIGHUP};

static volatile sig_atomic_t asked; /* the signal that asked for the end */
static volatile pid_t child;

static void pass_on(int signum)
{
    if (signum != SIGHUP) {
        asked = signum;
    }
    if (child > 0) {
        (void)kill(child, signum);
    }
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = pass_on};
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        (void)sigaction(signals[i], &action, NULL);
    }
}

static void let_signals_be(void)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        (void)signal(signals[i], SIG_DFL);
    }
}

/* Until the child ends; others that end were orphans. */
static int wait_for_child(void)
{
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid == child) {
            return status;
        }
        if (pid < 0 && errno == ECHILD) {
            return 0;
        }
    }
}

static void explain(struct flv_guard_death *d,
                    const struct flv_guard_note *note,
                    int status)
{
    if (WIFSIGNALED(status)) {
        snprintf(d->why, sizeof d->why, "ended by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (note->words[0] != '\0') {
        snprintf(d->why, sizeof d->why, "%.*s", (int)sizeof d->why - 1,
                 note->words);
    } else {
        snprintf(d->why, sizeof d->why, "ended with exit status %d",
                 WEXITSTATUS(status));
    }
}

static void tell(const struct flv_guard_conf *c,
                 const struct flv_guard_death *d,
                 uint64_t lived_ms)
{
    char text[160];
    if (d->given_up) {
        snprintf(text, sizeof text,
                 "%s died %u times in a row and is not started again", c->what,
                 d->row);
    } else {
        snprintf(text, sizeof text, "%s died and is started again", c->what);
    }
    flv_log_error("guard", text, FLV_KV_STR("why", d->why),
                  FLV_KV_U64("in_a_row", d->row),
                  FLV_KV_U64("lived_ms", lived_ms));
    if (c->died != NULL) {
        c->died(c->ctx, d);
    }
}

/* The first start again is at once; while it dies young the wait doubles. */
static uint32_t next_wait_ms(const struct flv_guard_conf *c,
                             const struct flv_guard_death *d,
                             uint32_t wait_ms)
{
    if (d->row <= 1) {
        return 0;
    }
    wait_ms = wait_ms > 0 ? 2 * wait_ms : c->wait_ms_min;
    return wait_ms < c->wait_ms_max ? wait_ms : c->wait_ms_max;
}

/* It did what it was told, one way or the other. */
static bool in_good_order(int status)
{
    if (WIFSIGNALED(status)) {
        return WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT;
    }
    int code = WEXITSTATUS(status);
    return code == 0 || code == 128 + SIGTERM || code == 128 + SIGINT;
}

static struct flv_guard_note *make_note(void)
{
    static struct flv_guard_note alone; /* without shared memory */
    void *page =
        mmap(NULL, sizeof(struct flv_guard_note), PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page != MAP_FAILED ? page : &alone;
}

/* One life: the status of the child's end in the parent; -1 in the child. */
static int live_once(void)
{
    sigset_t ours, before;
    (void)sigemptyset(&ours);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        (void)sigaddset(&ours, signals[i]);
    }
    /* What comes meanwhile must neither be noted by the child alone nor reach
     * one that still has the guard's handlers. */
    (void)sigprocmask(SIG_BLOCK, &ours, &before);
    pid_t pid = fork();
    if (pid == 0) {
        let_signals_be();
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        return -1;
    }
    child = pid;
    if (asked != 0 && pid > 0) {
        (void)kill(pid, asked); /* it came before there was a child */
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    int status = pid > 0 ? wait_for_child() : 1 << 8;
    child = 0;
    return status;
}

struct flv_guard_note *flv_guard(const struct flv_guard_conf *c,
                                 int *out_status)
{
    struct flv_guard_note *note = make_note();
    struct flv_guard_death d = {.row = 0};
    uint32_t wait_ms = 0;
    bool first = true;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    catch_signals();
    for (;;) {
        uint64_t start_ms = flv_clock_mono_ms();
        note->words[0] = '\0';
        int status = live_once();
        if (status == -1) {
            return note;
        }
        uint64_t lived_ms = flv_clock_mono_ms() - start_ms;
        bool exited = WIFEXITED(status);
        *out_status = exited                  ? WEXITSTATUS(status)
                      : in_good_order(status) ? 0
                                              : 1;
        /* One that cannot even start once says why and is not repeated. */
        if (in_good_order(status) || asked != 0 || (first && exited)) {
            return NULL;
        }
        first = false;
        note->deaths++;
        d.row = lived_ms >= c->healthy_ms ? 1 : d.row + 1;
        d.given_up = c->deaths_max > 0 && d.row >= c->deaths_max;
        explain(&d, note, status);
        tell(c, &d, lived_ms);
        if (d.given_up) {
            return NULL;
        }
        wait_ms = next_wait_ms(c, &d, wait_ms);
        (void)poll(NULL, 0, (int)wait_ms);
        if (asked != 0 && !c->start_to_stop) {
            return NULL;
        }
    }
}
