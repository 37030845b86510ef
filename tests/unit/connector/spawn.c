#include "spawn.h"

#include "cm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define EXPECT_MS 30000

void spawn_start(struct spawn *s, const char *const *argv)
{
    int out[2], err[2];
    *s = (struct spawn){.fd = {-1, -1}};
    s->text[OUT] = calloc(1, SPAWN_TEXT_MAX);
    s->text[ERR] = calloc(1, SPAWN_TEXT_MAX);
    assert_true(s->text[OUT] != NULL && s->text[ERR] != NULL);
    assert_int_equal(pipe(out) + pipe(err), 0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(out[1], 1);
        (void)dup2(err[1], 2);
        for (int i = 0; i < 2; i++) {
            (void)close(out[i]);
            (void)close(err[i]);
        }
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(out[1]);
    (void)close(err[1]);
    s->fd[OUT] = out[0];
    s->fd[ERR] = err[0];
}

/* Takes what has arrived; false when both streams are at their end. */
static bool take(struct spawn *s, int wait_ms)
{
    struct pollfd p[2] = {{.fd = s->fd[OUT], .events = POLLIN},
                          {.fd = s->fd[ERR], .events = POLLIN}};
    if (s->fd[OUT] < 0 && s->fd[ERR] < 0) {
        return false;
    }
    if (poll(p, 2, wait_ms) <= 0) {
        return true;
    }
    for (int i = 0; i < 2; i++) {
        if (s->fd[i] < 0 || p[i].revents == 0) {
            continue;
        }
        ssize_t n = read(s->fd[i], s->text[i] + s->len[i],
                         SPAWN_TEXT_MAX - 1 - s->len[i]);
        if (n > 0) {
            s->len[i] += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            (void)close(s->fd[i]);
            s->fd[i] = -1;
        }
    }
    return true;
}

int spawn_wait(struct spawn *s, unsigned limit_ms)
{
    uint64_t end = flv_clock_mono_ms() + limit_ms;
    int status = 0;
    while (take(s, 50)) {
        if (flv_clock_mono_ms() > end) {
            fail_msg("still running after %u ms: %s", limit_ms, s->text[ERR]);
        }
    }
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    s->ended = true;
    s->status =
        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return s->status;
}

static unsigned occurrences(const char *text, const char *needle)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, needle)) != NULL;
         p += strlen(needle)) {
        n++;
    }
    return n;
}

void spawn_expect(struct spawn *s,
                  int which,
                  const char *needle,
                  unsigned count)
{
    uint64_t end = flv_clock_mono_ms() + EXPECT_MS;
    while (occurrences(s->text[which], needle) < count) {
        if (!take(s, 50) || flv_clock_mono_ms() > end) {
            fail_msg("waited in vain for %u times \"%s\": %s%s", count, needle,
                     s->text[OUT], s->text[ERR]);
        }
    }
}

void spawn_end(struct spawn *s)
{
    if (!s->ended && s->pid > 0) {
        (void)kill(s->pid, SIGKILL);
        (void)waitpid(s->pid, NULL, 0);
    }
    for (int i = 0; i < 2; i++) {
        if (s->fd[i] >= 0) {
            (void)close(s->fd[i]);
        }
        free(s->text[i]);
    }
    *s = (struct spawn){.fd = {-1, -1}};
}
