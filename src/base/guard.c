#include "base/guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
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
    /* Where a parent ignored its children, their ends were nobody's news. */
    (void)signal(SIGCHLD, SIG_DFL);
}

static void let_signals_be(void)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        (void)signal(signals[i], SIG_DFL);
    }
}

/* Until the child ends, which is left to be buried; others that end were
 * orphans. */
static void wait_for_child(void)
{
    for (;;) {
        siginfo_t info = {.si_pid = 0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) != 0) {
            if (errno == ECHILD) {
                return;
            }
        } else if (info.si_pid == child) {
            return;
        } else {
            (void)waitpid(info.si_pid, NULL, 0);
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

/* The guard hears its signals only where it waits, so that none falls between
 * a look at `asked` and a wait, reaches a child that still has the guard's
 * handlers, or is passed on to one that is buried. Returns what was heard. */
static void hear_nothing(sigset_t *out_before)
{
    sigset_t ours;
    (void)sigemptyset(&ours);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        (void)sigaddset(&ours, signals[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &ours, out_before);
}

/* The child: a hangup waits until the program can do something about it. */
static void be_the_program(const sigset_t *before)
{
    sigset_t mask = *before;
    let_signals_be();
    (void)sigaddset(&mask, SIGHUP);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
}

void flv_guard_hear_hangup(void)
{
    sigset_t hangup;
    (void)sigemptyset(&hangup);
    (void)sigaddset(&hangup, SIGHUP);
    (void)sigprocmask(SIG_UNBLOCK, &hangup, NULL);
}

/* One life: the status of the child's end in the parent; -1 in the child. */
static int live_once(const struct flv_guard_conf *c,
                     struct flv_guard_note *note,
                     const sigset_t *before)
{
    int status = 1 << 8;
    pid_t pid = fork();
    if (pid == 0) {
        be_the_program(before);
        return -1;
    }
    if (pid < 0) {
        snprintf(note->words, sizeof note->words,
                 "cannot start a process for %s: %s", c->what, strerror(errno));
        flv_log_error("guard", note->words);
        return status;
    }
    child = pid;
    if (asked != 0) {
        (void)kill(pid, asked); /* it came before there was a child */
    }
    (void)sigprocmask(SIG_SETMASK, before, NULL);
    wait_for_child();
    sigset_t heard;
    hear_nothing(&heard);
    child = 0;
    (void)waitpid(pid, &status, 0);
    return status;
}

/* Until the time is up, or somebody asks for the end. */
static void pause_for(uint32_t wait_ms, const sigset_t *before)
{
    const uint64_t end_ms = flv_clock_mono_ms() + wait_ms;
    uint64_t now_ms = end_ms - wait_ms;
    while (asked == 0 && now_ms < end_ms) {
        const uint64_t left_ms = end_ms - now_ms;
        const struct timespec left = {.tv_sec = (time_t)(left_ms / 1000),
                                      .tv_nsec =
                                          (long)(left_ms % 1000 * 1000000)};
        (void)ppoll(NULL, 0, &left, before);
        now_ms = flv_clock_mono_ms();
    }
}

struct flv_guard_note *flv_guard(const struct flv_guard_conf *c,
                                 int *out_status)
{
    struct flv_guard_note *note = make_note();
    struct flv_guard_death d = {.row = 0};
    uint32_t wait_ms = 0;
    bool first = true;
    sigset_t before;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    hear_nothing(&before);
    catch_signals();
    for (;;) {
        uint64_t start_ms = flv_clock_mono_ms();
        note->words[0] = '\0';
        int status = live_once(c, note, &before);
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
        pause_for(wait_ms, &before);
        if (asked != 0 && !c->start_to_stop) {
            return NULL;
        }
    }
}
