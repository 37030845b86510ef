#include "manager/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/field.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "loop/lines.h"
#include "loop/watch.h"
#include "manager/spawn.h"

#define TARGET "process"
#define LINE_MAX_BYTES ((size_t)16 * 1024)
#define PENDING_MAX_BYTES ((size_t)16 * 1024)
#define COUNT_BYTES 1536
#define SMALL_FILE_MAX (FLV_TALLY_BYTES + 1)
#define TALLY_BLOCK ((size_t)1024)
/* After the end: how often, how many times it is looked whether the lock is
 * free. */
#define LOCK_LOOK_MS 20
#define LOCK_LOOKS 250
/* The child writes its pid into the lock file right behind the fork. */
#define PID_WAIT_US 1000
#define PID_WAITS 200

struct flv_deployer {
    struct flv_child_conf conf;
    int run_fd, log_fd; /* of the folders */
    char **env;         /* owned array; texts borrowed but the last */
    char profile[PATH_MAX + 64];
    size_t count; /* handles */
};

struct flv_deployed {
    struct flv_deployer *d; /* borrowed */
    struct flv_deploy_events events;
    char name[FLV_NAME_MAX];
    pid_t pid; /* 0: nobody knows */
    int pidfd;
    bool child;              /* ours: the kernel tells us how it ended */
    bool control;            /* it has a control socket */
    struct flv_watch *watch; /* of pidfd */
    struct flv_lines *lines; /* NULL: not connected */
    struct flv_timer look;   /* after the end, until the lock is free */
    unsigned looks;
    struct flv_ended end;
};

/* ---- Small files ------------------------------------------------------- */

static void file_name(const char *name, const char *ending, char out[256])
{
    assert(strlen(name) < FLV_NAME_MAX);
    (void)snprintf(out, 256, "%s%s", name, ending);
}

static void
drop_file(const struct flv_deployer *d, const char *name, const char *ending)
{
    char file[256];
    file_name(name, ending, file);
    (void)unlinkat(d->run_fd, file, 0);
}

/* Bytes read, or 0. */
static size_t read_file(const struct flv_deployer *d,
                        const char *name,
                        const char *ending,
                        char out[SMALL_FILE_MAX])
{
    char file[256];
    file_name(name, ending, file);
    int fd = openat(d->run_fd, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t n = pread(fd, out, SMALL_FILE_MAX - 1, 0);
    (void)close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static flv_rc write_file(const struct flv_deployer *d,
                         const char *name,
                         const char *ending,
                         struct flv_slice text,
                         struct flv_err *err)
{
    char file[256], fresh[300];
    file_name(name, ending, file);
    (void)snprintf(fresh, sizeof(fresh), "%s.new", file);
    const struct flv_file_replace r = {
        .dir_fd = d->run_fd, .name = file, .aside = fresh};
    int sys = flv_file_replace(&r, text);
    return sys == 0
               ? FLV_OK
               : flv_fail_sys(err, sys == ENOSPC ? FLV_E_NOSPACE : FLV_E_IO,
                              sys, "cannot write run/%.80s", file);
}

/* Blanks behind the text: a shorter one leaves no rest of the longer one. */
static bool cover(int fd, struct flv_buf *b)
{
    struct stat st;
    size_t want = b->len + (TALLY_BLOCK - b->len % TALLY_BLOCK) % TALLY_BLOCK;
    if (fstat(fd, &st) != 0) {
        return false;
    }
    if ((uint64_t)st.st_size > want) {
        want = (uint64_t)st.st_size < FLV_TALLY_BYTES ? (size_t)st.st_size
                                                      : FLV_TALLY_BYTES;
    }
    if (flv_buf_reserve(b, want - b->len) != FLV_OK) {
        return false;
    }
    memset(b->data + b->len, ' ', want - b->len);
    b->len = want;
    return true;
}

/* One write in place, no sync: what is shown once is not taken back when we
 * are killed. */
static void child_save(struct flv_deployer *d,
                       const char *name,
                       const struct flv_tally *tally)
{
    char file[256];
    struct flv_buf b;
    flv_buf_init(&b, FLV_TALLY_BYTES);
    flv_rc rc = flv__tally_format(tally, &b);
    file_name(name, ".tally", file);
    int fd = rc == FLV_OK
                 ? openat(d->run_fd, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)
                 : -1;
    if (fd < 0 || !cover(fd, &b) ||
        pwrite(fd, b.data, b.len, 0) != (ssize_t)b.len) {
        flv_log_warn(TARGET, "the counters cannot be kept",
                     FLV_KV_STR("name", name));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    flv_buf_deinit(&b);
}

static bool
child_load(struct flv_deployer *d, const char *name, struct flv_tally *out)
{
    char text[SMALL_FILE_MAX];
    size_t len = read_file(d, name, ".tally", text);
    return len > 0 &&
           flv__tally_parse(flv_slice(text, len), out, NULL) == FLV_OK;
}

/* ---- The lock ---------------------------------------------------------- */

/* A descriptor with the lock, or -1 with errno (EWOULDBLOCK: it is held). */
static int take_lock(const struct flv_deployer *d, const char *name)
{
    char file[256];
    file_name(name, ".lock", file);
    int fd = openat(d->run_fd, file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int sys = errno;
        (void)close(fd);
        errno = sys;
        return -1;
    }
    return fd;
}

static bool
lock_stat(const struct flv_deployer *d, const char *name, struct stat *out)
{
    char file[256];
    file_name(name, ".lock", file);
    return fstatat(d->run_fd, file, out, 0) == 0;
}

static pid_t lock_pid(const struct flv_deployer *d, const char *name)
{
    char text[SMALL_FILE_MAX];
    uint64_t pid = 0;
    (void)read_file(d, name, ".lock", text);
    text[strcspn(text, "\n")] = '\0';
    return flv_text_u64(text, 2, INT_MAX, &pid, NULL) == FLV_OK ? (pid_t)pid
                                                                : 0;
}

/* ---- The control socket ------------------------------------------------ */

static void socket_address(const struct flv_deployer *d,
                           const char *name,
                           struct sockaddr_un *out)
{
    /* The folder's own path may be longer than an address. */
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(out->sun_path, sizeof(out->sun_path),
                     "/proc/self/fd/%d/%s.sock", d->run_fd, name);
    assert(n > 0 && (size_t)n < sizeof(out->sun_path));
    (void)n;
}

static int
make_socket(const struct flv_deployer *d, const char *name, struct flv_err *err)
{
    struct sockaddr_un addr;
    socket_address(d, name, &addr);
    drop_file(d, name, ".sock");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
        listen(fd, 8) == 0) {
        return fd;
    }
    int sys = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    (void)flv_fail_sys(err, sys == ENOSPC ? FLV_E_NOSPACE : FLV_E_IO, sys,
                       "cannot make the socket run/%.64s.sock", name);
    return -1;
}

static void on_line(void *ctx, struct flv_slice line)
{
    struct flv_deployed *p = ctx;
    struct flv_told t;
    struct flv_err err = {0};
    if (flv__told_parse(line, &t, &err) != FLV_OK) {
        flv_log_warn(TARGET, "a connector says something unknown",
                     FLV_KV_STR("name", p->name), FLV_KV_ERR(&err));
        return;
    }
    p->events.told(p->events.arg, &t);
}

static void on_line_end(void *ctx, const struct flv_err *err)
{
    struct flv_deployed *p = ctx;
    (void)err;
    flv_lines_close(p->lines);
    p->lines = NULL;
}

static void connect_control(struct flv_deployed *p)
{
    struct sockaddr_un addr;
    socket_address(p->d, p->name, &addr);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct flv_lines_conf conf = {
        .fd = fd,
        .line_max = LINE_MAX_BYTES,
        .pending_max = PENDING_MAX_BYTES,
        .line = on_line,
        .end = on_line_end,
        .ctx = p,
    };
    if (fd >= 0 &&
        (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
         flv_lines_open(&p->lines, p->d->conf.loop, &conf, NULL) != FLV_OK)) {
        (void)close(fd);
    }
}

static bool child_command(struct flv_deployed *p, enum flv_deploy_command cmd)
{
    static const char *const lines[] = {
        [FLV_DEPLOY_STATUS] = "{\"cmd\":\"status\"}\n",
        [FLV_DEPLOY_PAUSE] = "{\"cmd\":\"pause\"}\n",
        [FLV_DEPLOY_RESUME] = "{\"cmd\":\"resume\"}\n",
        [FLV_DEPLOY_DRAIN] = "{\"cmd\":\"drain\"}\n",
        [FLV_DEPLOY_REOPEN_LOG] = "{\"cmd\":\"reopen-log\"}\n",
    };
    /* It hangs up on a manager that stood still for long. */
    if (p->control && p->lines == NULL) {
        connect_control(p);
    }
    return p->lines != NULL &&
           flv_lines_send(p->lines, flv_slice_str(lines[cmd]), NULL) == FLV_OK;
}

/* ---- The end ----------------------------------------------------------- */

static void free_handle(struct flv_deployed *p)
{
    flv_watch_close(p->watch);
    flv_lines_close(p->lines);
    flv_timer_stop(&p->look);
    if (p->pidfd >= 0) {
        (void)close(p->pidfd);
    }
    assert(p->d->count > 0);
    p->d->count--;
    flv_free(p);
}

/* The last line of the log, for programs that say nothing else. */
static void last_words(const struct flv_deployed *p, char *out, size_t size)
{
    char file[256], text[2049];
    out[0] = '\0';
    file_name(p->name, ".log", file);
    int fd = openat(p->d->log_fd, file, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0) {
        return;
    }
    ssize_t n = -1;
    if (fstat(fd, &st) == 0) {
        off_t from = st.st_size > 2048 ? st.st_size - 2048 : 0;
        n = pread(fd, text, sizeof(text) - 1, from);
    }
    (void)close(fd);
    while (n > 0 && text[n - 1] == '\n') {
        n--;
    }
    text[n > 0 ? n : 0] = '\0';
    const char *line = strrchr(text, '\n');
    (void)snprintf(out, size, "%.120s", line != NULL ? line + 1 : text);
}

static void describe_end(struct flv_deployed *p)
{
    struct flv_ended *e = &p->end;
    char text[SMALL_FILE_MAX], words[128];
    struct flv_ended said;
    size_t len = read_file(p->d, p->name, ".exit", text);
    if (len > 0 &&
        flv__ended_parse(flv_slice(text, len), &said, NULL) == FLV_OK) {
        int code = e->code, signum = e->signal;
        *e = said;
        e->code = code >= 0 ? code : said.code;
        e->signal = signum;
        return;
    }
    if (e->signal != 0) {
        e->reason = FLV_END_FAILED;
        (void)snprintf(e->cause, sizeof(e->cause),
                       "the process %ld was ended by signal %d (%s)",
                       (long)p->pid, e->signal, strsignal(e->signal));
    } else if (e->code > 0) {
        last_words(p, words, sizeof(words));
        e->reason = FLV_END_FAILED;
        (void)snprintf(e->cause, sizeof(e->cause),
                       "the process %ld ended with code %d%s%s", (long)p->pid,
                       e->code, words[0] != '\0' ? ": " : "", words);
    } else if (e->code == 0) {
        e->reason = FLV_END_COMPLETED;
    } else {
        e->reason = FLV_END_UNKNOWN;
        (void)snprintf(e->cause, sizeof(e->cause),
                       "the process %ld ended and nobody saw how",
                       (long)p->pid);
    }
}

static void finish(struct flv_deployed *p)
{
    const struct flv_deploy_events events = p->events;
    struct flv_ended e;
    describe_end(p);
    e = p->end;
    free_handle(p);
    events.ended(events.arg, &e);
}

/* The process is gone; what it left behind with the lock has to go, too. */
static void on_look(struct flv_timer *t)
{
    struct flv_deployed *p = FLV_OWNER_OF(t, struct flv_deployed, look);
    struct stat st;
    int fd = take_lock(p->d, p->name);
    if (fd >= 0) {
        (void)close(fd);
        finish(p);
        return;
    }
    if (errno == EWOULDBLOCK && p->looks++ < LOCK_LOOKS) {
        if (lock_stat(p->d, p->name, &st)) {
            (void)flv__signal_holders(&st, SIGKILL);
        }
        return;
    }
    flv_log_error(TARGET, "the lock is not free although the process is gone",
                  FLV_KV_STR("name", p->name));
    finish(p);
}

static void reap(struct flv_deployed *p)
{
    siginfo_t info = {.si_pid = 0};
    p->end.code = -1;
    /* Our own child keeps its number until it is reaped: its group is hit and
     * nobody else. */
    if (p->child) {
        (void)kill(-p->pid, SIGKILL);
        if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG) == 0 &&
            info.si_pid == p->pid) {
            p->end.code = info.si_code == CLD_EXITED ? info.si_status : -1;
            p->end.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
        }
    } else {
        flv__kill_session(p->pid);
    }
}

static void on_gone(void *ctx, unsigned events)
{
    struct flv_deployed *p = ctx;
    (void)events;
    flv_watch_close(p->watch);
    p->watch = NULL;
    reap(p);
    if (flv_timer_start(&p->look, 0, LOCK_LOOK_MS, NULL) != FLV_OK) {
        finish(p);
    }
}

/* ---- Starting ---------------------------------------------------------- */

struct start {
    const struct flv_deploy_spec *spec;
    int lock_fd, control_fd, secrets_fd, log_fd;
    char config[PATH_MAX + 128], log[PATH_MAX + 128], exit_file[PATH_MAX + 128];
    char secrets_path[32], lock[16], control[16];
    char *argv[20];
    size_t argc;
};

static void add_word(struct start *s, const char *word)
{
    assert(s->argc + 1 < sizeof(s->argv) / sizeof(s->argv[0]));
    /* execve() takes non-const words and leaves them alone. */
    union {
        const char *in;
        char *out;
    } u = {.in = word};
    s->argv[s->argc++] = u.out;
    s->argv[s->argc] = NULL;
}

static void add_option(struct start *s, const char *name, const char *value)
{
    add_word(s, name);
    add_word(s, value);
}

static void make_words(struct start *s, const struct flv_deployer *d)
{
    const char *name = s->spec->name, *dir = d->conf.dir;
    (void)snprintf(s->config, sizeof(s->config), "%s/run/%s.yml", dir, name);
    (void)snprintf(s->log, sizeof(s->log), "%s/log/%s.log", dir, name);
    (void)snprintf(s->exit_file, sizeof(s->exit_file), "%s/run/%s.exit", dir,
                   name);
    (void)snprintf(s->lock, sizeof(s->lock), "%d", s->lock_fd);
    (void)snprintf(s->control, sizeof(s->control), "%d", s->control_fd);
    (void)snprintf(s->secrets_path, sizeof(s->secrets_path), "/dev/fd/%d",
                   s->secrets_fd);
    add_word(s, s->spec->program);
    add_option(s, "--config", s->config);
    if (s->secrets_fd >= 0) {
        add_option(s, "--secrets", s->secrets_path);
    }
    if (!s->spec->control) {
        return;
    }
    if (d->conf.cluster != NULL) {
        add_option(s, "--cluster", d->conf.cluster);
    }
    add_option(s, "--lock-fd", s->lock);
    add_option(s, "--control-fd", s->control);
    add_option(s, "--log-file", s->log);
    add_option(s, "--exit-file", s->exit_file);
}

/* Secrets in memory: no file, no argument, no environment. */
static flv_rc hand_secrets(struct start *s, struct flv_err *err)
{
    struct flv_slice text = s->spec->secrets;
    if (text.len == 0) {
        return FLV_OK;
    }
    s->secrets_fd = memfd_create("secrets", MFD_CLOEXEC);
    if (s->secrets_fd < 0 ||
        write(s->secrets_fd, text.data, text.len) != (ssize_t)text.len) {
        return flv_fail_sys(err, FLV_E_IO, errno,
                            "cannot hand over the secrets");
    }
    return FLV_OK;
}

static flv_rc
open_log(struct start *s, const struct flv_deployer *d, struct flv_err *err)
{
    char file[256];
    file_name(s->spec->name, ".log", file);
    s->log_fd = openat(d->log_fd, file,
                       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return s->log_fd >= 0 ? FLV_OK
                          : flv_fail_sys(err, FLV_E_IO, errno,
                                         "cannot open log/%.80s", file);
}

static flv_rc
prepare(struct start *s, const struct flv_deployer *d, struct flv_err *err)
{
    const char *name = s->spec->name;
    s->lock_fd = take_lock(d, name);
    if (s->lock_fd < 0) {
        return errno == EWOULDBLOCK
                   ? flv_fail(err, FLV_E_LOCKED,
                              "the connector \"%s\" runs already as process "
                              "%ld",
                              name, (long)lock_pid(d, name))
                   : flv_fail_sys(err, FLV_E_IO, errno,
                                  "cannot lock run/%.64s.lock", name);
    }
    drop_file(d, name, ".exit");
    flv_rc rc = write_file(d, name, ".yml", s->spec->file, err);
    if (rc == FLV_OK && s->spec->control) {
        s->control_fd = make_socket(d, name, err);
        rc = s->control_fd >= 0 ? FLV_OK : FLV_E_IO;
    }
    rc = rc == FLV_OK ? hand_secrets(s, err) : rc;
    return rc == FLV_OK ? open_log(s, d, err) : rc;
}

static void close_all(const struct start *s)
{
    const int fds[] = {s->lock_fd, s->control_fd, s->secrets_fd, s->log_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
}

static struct flv_deployed *make_handle(struct flv_deployer *d,
                                        const char *name,
                                        bool control,
                                        const struct flv_deploy_events *events)
{
    struct flv_deployed *p = flv_zalloc(1, sizeof(*p));
    if (p != NULL) {
        p->d = d;
        p->events = *events;
        p->control = control;
        p->pidfd = -1;
        (void)snprintf(p->name, sizeof(p->name), "%s", name);
        flv_timer_init(&p->look, d->conf.loop, on_look);
        d->count++;
    }
    return p;
}

static flv_rc watch_process(struct flv_deployed *p, struct flv_err *err)
{
    p->pidfd = flv__pidfd_open(p->pid);
    if (p->pidfd < 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot watch process %ld",
                            (long)p->pid);
    }
    (void)fcntl(p->pidfd, F_SETFD, FD_CLOEXEC);
    return flv_watch_open(&p->watch, p->d->conf.loop, p->pidfd, FLV_WATCH_READ,
                          on_gone, p, err);
}

static flv_rc
launch(struct flv_deployed *p, struct start *s, struct flv_err *err)
{
    make_words(s, p->d);
    const struct flv_spawn spawn = {
        .program = s->spec->program,
        .argv = s->argv,
        .envp = p->d->env,
        .in_fd = -1,
        .out_fd = s->log_fd,
        .err_fd = s->log_fd,
        .keep = {s->lock_fd, s->control_fd, s->secrets_fd, -1},
        .pid_fd = s->lock_fd,
        .memory_bytes_max = s->spec->memory_bytes_max,
        .files_max = s->spec->files_max,
    };
    flv_rc rc = flv__spawn(&spawn, &p->pid, err);
    if (rc != FLV_OK) {
        return rc;
    }
    p->child = true;
    rc = watch_process(p, err);
    if (rc != FLV_OK) {
        (void)kill(-p->pid, SIGKILL);
        (void)waitpid(p->pid, NULL, 0);
    }
    return rc;
}

static flv_rc child_start(struct flv_deployer *d,
                          const struct flv_deploy_spec *spec,
                          const struct flv_deploy_events *events,
                          struct flv_deployed **out,
                          struct flv_err *err)
{
    struct start s = {.spec = spec,
                      .lock_fd = -1,
                      .control_fd = -1,
                      .secrets_fd = -1,
                      .log_fd = -1};
    struct flv_deployed *p = make_handle(d, spec->name, spec->control, events);
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc = prepare(&s, d, err);
    rc = rc == FLV_OK ? launch(p, &s, err) : rc;
    close_all(&s);
    if (rc != FLV_OK) {
        free_handle(p);
        return rc;
    }
    if (spec->control) {
        connect_control(p);
    }
    *out = p;
    return FLV_OK;
}

/* ---- Adopting ---------------------------------------------------------- */

/* Who holds the lock: 0 when it is nobody who wrote his pid into it. */
static pid_t find_holder(const struct flv_deployer *d, const char *name)
{
    struct stat st;
    if (!lock_stat(d, name, &st)) {
        return 0;
    }
    for (int i = 0; i < PID_WAITS; i++) {
        pid_t pid = lock_pid(d, name);
        if (pid > 0 && flv__holds(pid, &st)) {
            return pid;
        }
        int fd = take_lock(d, name);
        if (fd >= 0) {
            (void)close(fd);
            return 0;
        }
        (void)usleep(PID_WAIT_US);
    }
    /* The leader is gone and left something behind. */
    (void)flv__signal_holders(&st, SIGKILL);
    return 0;
}

static flv_rc child_adopt(struct flv_deployer *d,
                          const char *name,
                          bool control,
                          const struct flv_deploy_events *events,
                          struct flv_deployed **out,
                          struct flv_err *err)
{
    int fd = take_lock(d, name);
    if (fd >= 0) {
        (void)close(fd);
        return flv_fail(err, FLV_E_NOT_FOUND, "no connector \"%s\" runs", name);
    }
    pid_t pid = find_holder(d, name);
    if (pid == 0) {
        return flv_fail(err, FLV_E_NOT_FOUND, "no connector \"%s\" runs", name);
    }
    struct flv_deployed *p = make_handle(d, name, control, events);
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    p->pid = pid;
    flv_rc rc = watch_process(p, err);
    if (rc != FLV_OK) {
        free_handle(p);
        return flv_fail(err, FLV_E_NOT_FOUND, "no connector \"%s\" runs", name);
    }
    if (control) {
        connect_control(p);
    }
    *out = p;
    return FLV_OK;
}

static bool
child_last_end(struct flv_deployer *d, const char *name, struct flv_ended *out)
{
    char text[SMALL_FILE_MAX];
    size_t len = read_file(d, name, ".exit", text);
    return len > 0 &&
           flv__ended_parse(flv_slice(text, len), out, NULL) == FLV_OK;
}

/* ---- The rest ---------------------------------------------------------- */

static void child_signal(struct flv_deployed *p, int signum)
{
    struct pollfd gone = {.fd = p->pidfd, .events = POLLIN};
    if (p->watch == NULL || (!p->child && poll(&gone, 1, 0) != 0)) {
        return; /* it has ended: the number may be somebody else's */
    }
    (void)kill(-p->pid, signum);
}

static pid_t child_pid(const struct flv_deployed *p)
{
    return p->pid;
}

static void child_forget(struct flv_deployer *d, const char *name)
{
    char file[256];
    /* Those of who was killed between writing and renaming, too. */
    static const char *const endings[] = {
        ".tally", ".exit", ".exit.new", ".sock", ".yml", ".yml.new", ".lock"};
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        drop_file(d, name, endings[i]);
    }
    for (int i = 0; i < 100; i++) {
        (void)snprintf(file, sizeof(file), i == 0 ? "%s.log" : "%s.log.%d",
                       name, i);
        if (unlinkat(d->log_fd, file, 0) != 0 && i > 0) {
            break;
        }
    }
}

const struct flv_deployer_ops flv_deploy_children = {
    .start = child_start,
    .adopt = child_adopt,
    .last_end = child_last_end,
    .load = child_load,
    .save = child_save,
    .command = child_command,
    .signal = child_signal,
    .pid = child_pid,
    .release = free_handle,
    .forget = child_forget,
};

static int open_folder(const char *dir, const char *name, struct flv_err *err)
{
    char path[PATH_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        (void)flv_fail_sys(err, FLV_E_IO, errno,
                           "cannot make the folder %.120s", path);
        return -1;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        (void)flv_fail_sys(err, FLV_E_IO, errno,
                           "cannot open the folder %.120s", path);
    }
    return fd;
}

/* Programs that find their cluster through a profile find ours. */
static flv_rc make_env(struct flv_deployer *d, struct flv_err *err)
{
    static const char name[] = "FLV_PROFILE_PATH=";
    size_t count = 0, kept = 0;
    while (environ[count] != NULL) {
        count++;
    }
    d->env = flv_zalloc(count + 2, sizeof(*d->env));
    if (d->env == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        if (d->conf.cluster == NULL ||
            strncmp(environ[i], name, sizeof(name) - 1) != 0) {
            d->env[kept++] = environ[i];
        }
    }
    if (d->conf.cluster == NULL) {
        return FLV_OK;
    }
    (void)snprintf(d->profile, sizeof(d->profile), "%s%s/run/profile", name,
                   d->conf.dir);
    d->env[kept] = d->profile;
    char text[512];
    (void)snprintf(text, sizeof(text),
                   "version = \"2.0\"\ncurrent_profile = \"local\"\n\n"
                   "[profile.local]\ncluster = \"local\"\n\n[cluster.local]\n"
                   "endpoint = \"%.255s\"\nuse_spu_local_address = false\n\n"
                   "[cluster.local.tls]\ntls_policy = \"disabled\"\n",
                   d->conf.cluster);
    return write_file(d, "profile", "", flv_slice_str(text), err);
}

flv_rc flv_children_create(struct flv_deployer **out,
                           const struct flv_child_conf *conf,
                           struct flv_err *err)
{
    struct flv_deployer *d = flv_zalloc(1, sizeof(*d));
    if (d == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    d->conf = *conf;
    d->run_fd = open_folder(conf->dir, "run", err);
    d->log_fd = d->run_fd >= 0 ? open_folder(conf->dir, "log", err) : -1;
    flv_rc rc = d->log_fd >= 0 ? make_env(d, err) : FLV_E_IO;
    if (rc != FLV_OK) {
        flv_children_destroy(d);
        return rc;
    }
    *out = d;
    return FLV_OK;
}

void flv_children_destroy(struct flv_deployer *d)
{
    if (d == NULL) {
        return;
    }
    assert(d->count == 0);
    if (d->run_fd >= 0) {
        (void)close(d->run_fd);
    }
    if (d->log_fd >= 0) {
        (void)close(d->log_fd);
    }
    flv_free(d->env);
    flv_free(d);
}
