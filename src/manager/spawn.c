#include "manager/spawn.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

/* ---- In the child: only what is safe after a fork with threads ---------- */

static void write_pid(int fd)
{
    char text[24];
    size_t at = sizeof(text);
    text[--at] = '\n';
    for (pid_t pid = getpid(); pid > 0; pid /= 10) {
        text[--at] = (char)('0' + pid % 10);
    }
    if (ftruncate(fd, 0) != 0 ||
        pwrite(fd, text + at, sizeof(text) - at, 0) < 0) {
        _exit(126);
    }
}

static void set_limit(int what, uint64_t value)
{
    struct rlimit limit;
    if (value == 0 || getrlimit((__rlimit_resource_t)what, &limit) != 0) {
        return;
    }
    limit.rlim_max = value < limit.rlim_max ? value : limit.rlim_max;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit((__rlimit_resource_t)what, &limit);
}

static void reset_signals(void)
{
    sigset_t none;
    for (int i = 1; i < NSIG; i++) {
        (void)signal(i, SIG_DFL);
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become(const struct flv_spawn *s)
{
    static const char failed[] = "the program cannot be run\n";
    int in_fd =
        s->in_fd >= 0 ? s->in_fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)setsid();
    if (s->pid_fd >= 0) {
        write_pid(s->pid_fd);
    }
    if (in_fd < 0 || dup2(in_fd, STDIN_FILENO) < 0 ||
        dup2(s->out_fd, STDOUT_FILENO) < 0 ||
        dup2(s->err_fd, STDERR_FILENO) < 0 || chdir("/") != 0) {
        _exit(126);
    }
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
        _exit(126);
    }
    for (size_t i = 0; i < sizeof(s->keep) / sizeof(s->keep[0]); i++) {
        if (s->keep[i] >= 0) {
            (void)fcntl(s->keep[i], F_SETFD, 0);
        }
    }
    set_limit(RLIMIT_DATA, s->memory_bytes_max);
    set_limit(RLIMIT_NOFILE, s->files_max);
    reset_signals();
    execve(s->program, s->argv, s->envp);
    (void)!write(STDERR_FILENO, failed, sizeof(failed) - 1);
    _exit(127);
}

flv_rc flv__spawn(const struct flv_spawn *s, pid_t *out, struct flv_err *err)
{
    sigset_t all, before;
    assert(s->program[0] != '\0');
    (void)fflush(stdout);
    /* A handler of ours must not run in the child. */
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        become(s);
    }
    int sys = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        return flv_fail_sys(err, FLV_E_IO, sys, "cannot start a process");
    }
    *out = pid;
    return FLV_OK;
}

/* ---- Looking around in /proc ------------------------------------------- */

int flv__pidfd_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool has_open(int proc, const char *pid, const struct stat *file)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%.200s/fd", pid);
    int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    bool found = false;
    if (dir == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    for (const struct dirent *e = readdir(dir); e != NULL && !found;
         e = readdir(dir)) {
        struct stat st;
        found = fstatat(dirfd(dir), e->d_name, &st, 0) == 0 &&
                st.st_dev == file->st_dev && st.st_ino == file->st_ino;
    }
    closedir(dir);
    return found;
}

bool flv__holds(pid_t pid, const struct stat *file)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "/proc/%ld", (long)pid);
    return has_open(AT_FDCWD, text, file);
}

/* Calls fn with every process but this one. */
static void each_process(void (*fn)(int proc, pid_t pid, void *arg), void *arg)
{
    DIR *dir = opendir("/proc");
    if (dir == NULL) {
        return;
    }
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        uint64_t pid = 0;
        if (flv_text_u64(e->d_name, 1, INT_MAX, &pid, NULL) == FLV_OK &&
            (pid_t)pid != getpid()) {
            fn(dirfd(dir), (pid_t)pid, arg);
        }
    }
    closedir(dir);
}

struct holders {
    const struct stat *file;
    int signum;
    unsigned count;
};

static void look_at_holder(int proc, pid_t pid, void *arg)
{
    struct holders *h = arg;
    char text[24];
    (void)snprintf(text, sizeof(text), "%ld", (long)pid);
    if (has_open(proc, text, h->file)) {
        h->count++;
        if (h->signum != 0) {
            (void)kill(pid, h->signum);
        }
    }
}

unsigned flv__signal_holders(const struct stat *file, int signum)
{
    struct holders h = {.file = file, .signum = signum};
    each_process(look_at_holder, &h);
    return h.count;
}

static void kill_member(int proc, pid_t pid, void *arg)
{
    const pid_t *session = arg;
    (void)proc;
    if (getsid(pid) == *session) {
        (void)kill(pid, SIGKILL);
    }
}

void flv__kill_session(pid_t session)
{
    assert(session > 1 && session != getsid(0));
    /* Somebody else is called like that by now. */
    if (getsid(session) == session) {
        return;
    }
    each_process(kill_member, &session);
}
