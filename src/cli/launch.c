#include "cli/local.h"

#include "base/mem.h"
#include "cli/plugin.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Recovery after a crash is bounded by the last checkpoint; a disk may still
 * be slow. */
#define READY_MS_MAX 120000
/* What is left of a unit that nobody runs: failed, or about to be tried. */
#define LEFT_MS_MAX 5000
#define WORDS_MAX 48
#define LOG_TAIL_BYTES 4096

struct launch {
    const char *name;           /* of the program */
    const char *log_file;       /* borrowed */
    const char *rust_log;       /* borrowed; NULL: as inherited */
    char *words[WORDS_MAX + 1]; /* borrowed */
    size_t count;
    const char *unit;            /* of systemd; NULL: a child of this one */
    const char *const *settings; /* of the unit */
    char sc_port[8], spu_port[8], ready_fd[16];
    int log_fd;
    off_t log_start; /* where this start's lines begin */
    int ready[2];    /* pipe: the program tells when it serves */
};

static void add_word(struct launch *s, const char *word)
{
    assert(s->count < WORDS_MAX);
    /* execv() takes non-const words and leaves them alone. */
    union {
        const char *in;
        char *out;
    } u = {.in = word};
    s->words[s->count++] = u.out;
}

static void add_option(struct launch *s, const char *name, const char *value)
{
    if (value != NULL) {
        add_word(s, name);
        add_word(s, value);
    }
}

/* Further words from the environment, with blanks between them: for tests. */
static void add_from_env(struct launch *s, char *text)
{
    char *rest = text;
    char *word = NULL;
    while ((word = strsep(&rest, " ")) != NULL && s->count + 3 < WORDS_MAX) {
        if (word[0] != '\0') {
            add_word(s, word);
        }
    }
}

static flv_rc open_log(struct launch *s, struct flv_err *err)
{
    const char *path = s->log_file;
    s->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (s->log_fd < 0) {
        return flv_fail_sys(err, FLV_E_IO, errno,
                            "cannot open the log file %.120s", path);
    }
    s->log_start = lseek(s->log_fd, 0, SEEK_END);
    return FLV_OK;
}

/* In the child: a session of its own, so that neither the terminal nor the
 * shell's signals reach the program. Never returns. */
static void become(struct launch *s, const char *program)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    setsid();
    signal(SIGPIPE, SIG_DFL);
    if (s->rust_log != NULL) {
        setenv("RUST_LOG", s->rust_log, 1);
    }
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
        dup2(s->log_fd, STDOUT_FILENO) < 0 ||
        dup2(s->log_fd, STDERR_FILENO) < 0 || chdir("/") != 0) {
        _exit(126);
    }
    close(s->ready[0]);
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0) {
        (void)fcntl(s->ready[1], F_SETFD, 0);
    }
    execv(program, s->words);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", program, strerror(errno));
    _exit(127);
}

/* The program's own last sentence since this start, or else the last line of
 * whatever was written there, cut to fit. */
static void pick_line(const char *name, char *text, char *out, size_t size)
{
    char prefix[40];
    size_t head = (size_t)snprintf(prefix, sizeof prefix, "%.30s: ", name);
    const char *last = "";
    const char *sentence = NULL;
    for (char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        char *next = line + len + (line[len] == '\n');
        line[len] = '\0';
        if (len > 0) {
            last = line;
        }
        if (strncmp(line, prefix, head) == 0) {
            sentence = line + head;
        }
        line = next;
    }
    snprintf(out, size, "%.*s", (int)size - 1,
             sentence != NULL ? sentence : last);
}

static void last_words(const struct launch *s, char *out, size_t size)
{
    char text[LOG_TAIL_BYTES + 1];
    out[0] = '\0';
    int fd = open(s->log_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t n = pread(fd, text, LOG_TAIL_BYTES, s->log_start);
    close(fd);
    if (n > 0) {
        text[n] = '\0';
        pick_line(s->name, text, out, size);
    }
}

static flv_rc late(const struct launch *s, struct flv_err *err)
{
    return flv_fail(err, FLV_E_TIMEOUT,
                    "%s is not ready after %d s; see %.100s", s->name,
                    READY_MS_MAX / 1000, s->log_file);
}

static flv_rc died(const struct launch *s, pid_t pid, struct flv_err *err)
{
    char why[160];
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    last_words(s, why, sizeof why);
    if (why[0] != '\0') {
        return flv_fail(err, FLV_E_IO, "%s did not start: %s", s->name, why);
    }
    return flv_fail(err, FLV_E_IO, "%s did not start (%s %d); see %.100s",
                    s->name, WIFSIGNALED(status) ? "signal" : "exit",
                    WIFSIGNALED(status) ? WTERMSIG(status)
                                        : WEXITSTATUS(status),
                    s->log_file);
}

/* The pipe says something: it serves. It ends: the server is gone. */
static flv_rc wait_ready(const struct launch *s, pid_t pid, struct flv_err *err)
{
    struct pollfd p = {.fd = s->ready[0], .events = POLLIN};
    char byte = 0;
    int n = 0;
    do {
        n = poll(&p, 1, READY_MS_MAX);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return late(s, err);
    }
    return read(s->ready[0], &byte, 1) == 1 ? FLV_OK : died(s, pid, err);
}

static flv_rc spawn(struct launch *s,
                    const char *program,
                    pid_t *out_pid,
                    struct flv_err *err)
{
    if (pipe2(s->ready, O_CLOEXEC) != 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot make a pipe");
    }
    snprintf(s->ready_fd, sizeof s->ready_fd, "%d", s->ready[1]);
    add_option(s, "--ready-fd", s->ready_fd);
    s->words[s->count] = NULL;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        become(s, program);
    }
    close(s->ready[1]);
    if (pid < 0) {
        int sys = errno;
        close(s->ready[0]);
        return flv_fail_sys(err, FLV_E_IO, sys, "cannot start a process");
    }
    *out_pid = pid;
    return FLV_OK;
}

static flv_rc
run_child(struct launch *s, const char *program, struct flv_err *err)
{
    pid_t pid = 0;
    flv_rc rc = spawn(s, program, &pid, err);
    if (rc == FLV_OK) {
        rc = wait_ready(s, pid, err);
        close(s->ready[0]);
    }
    return rc;
}

static flv_rc
run_unit(struct launch *s, const char *program, struct flv_err *err)
{
    char why[160];
    char about[CLI_PATH_MAX + 64];
    s->words[s->count] = NULL;
    snprintf(about, sizeof about, "%s of `fluvio cluster start`, log in %s",
             s->name, s->log_file);
    const struct cli_unit u = {.name = s->unit,
                               .about = about,
                               .settings = s->settings,
                               .log_file = s->log_file,
                               .rust_log = s->rust_log,
                               .program = program,
                               .words = s->words + 1};
    flv_rc rc = cli_unit_run(&u, READY_MS_MAX, err);
    if (rc == FLV_E_TIMEOUT) {
        return late(s, err);
    }
    if (rc != FLV_OK) {
        last_words(s, why, sizeof why);
    }
    return rc == FLV_OK || why[0] == '\0'
               ? rc
               : flv_fail(err, FLV_E_IO, "%s did not start: %s", s->name, why);
}

/* Runs the words and returns when the program serves. */
static flv_rc launch(struct launch *s, struct flv_err *err)
{
    struct flv_buf program;
    flv_buf_init(&program, CLI_PATH_MAX);
    flv_rc rc = cli_program_find(s->name, &program, err);
    rc = rc == FLV_OK ? open_log(s, err) : rc;
    if (rc == FLV_OK) {
        const char *path = (const char *)program.data;
        rc = s->unit != NULL ? run_unit(s, path, err) : run_child(s, path, err);
    }
    if (s->log_fd >= 0) {
        close(s->log_fd);
    }
    flv_buf_deinit(&program);
    return rc;
}

/* With the further words that a variable of the environment has. */
static flv_rc
launch_with(struct launch *s, const char *variable, struct flv_err *err)
{
    const char *further = getenv(variable);
    char *copy = further != NULL ? flv_strdup(further) : NULL;
    if (copy != NULL) {
        add_from_env(s, copy);
    }
    flv_rc rc = launch(s, err);
    flv_free(copy);
    return rc;
}

/* The guard is in the unit, too: it holds the folder's lock and the ports,
 * waits longer each time, counts, and knows the reason. systemd brings back
 * what the guard cannot: itself. One that the guard gave up has an exit
 * status, and stays down. */
static const char *const server_settings[] = {
    /* As if it were part of what all others need: when the machine stops, the
     * manager has ended before this one is told to. */
    "DefaultDependencies=no",
    "Conflicts=shutdown.target",
    "Before=basic.target shutdown.target",
    "NotifyAccess=all", /* the server is the guard's child */
    "Restart=on-abnormal",
    "RestartSec=100ms",
    "StartLimitIntervalSec=60s",
    "StartLimitBurst=8",
    "TimeoutStopSec=60s",
    "OOMPolicy=continue",
    NULL};

/* Ends what is left of a unit of that name. *out: the name is free. */
static flv_rc free_unit(const char *unit, bool *out, struct flv_err *err)
{
    flv_rc rc = cli_unit_stop(unit, LEFT_MS_MAX, err);
    *out = rc == FLV_OK && cli_unit_gone(unit);
    return rc;
}

flv_rc cli_local_start(const struct cli_local *l,
                       const struct cli_server_conf *conf,
                       struct cli_holder *out,
                       struct flv_err *err)
{
    assert(l != NULL && conf != NULL);
    struct launch s = {.name = "fluvio-server",
                       .log_file = l->log_file,
                       .rust_log = conf->rust_log,
                       .unit = conf->as_unit ? l->server_unit : NULL,
                       .settings = server_settings,
                       .log_fd = -1};
    snprintf(s.sc_port, sizeof s.sc_port, "%u", conf->sc_port);
    snprintf(s.spu_port, sizeof s.spu_port, "%u", conf->spu_port);
    add_word(&s, s.name);
    add_option(&s, "--data-dir", l->data_dir);
    add_option(&s, "--sc-port", s.sc_port);
    add_option(&s, "--spu-port", s.spu_port);
    add_option(&s, "--bind", conf->bind);
    add_option(&s, "--advertise", conf->advertise);
    add_option(&s, "--tls-cert", conf->tls_cert);
    add_option(&s, "--tls-key", conf->tls_key);
    add_option(&s, "--tls-client-ca", conf->tls_client_ca);
    add_option(&s, "--policy", conf->policy);
    add_option(&s, "--metrics-addr", conf->metrics_addr);
    if (conf->insecure) {
        add_word(&s, "--insecure");
    }
    add_word(&s, "--guard");
    bool is_free = true; /* if not, systemd says why */
    flv_rc rc = s.unit != NULL ? free_unit(s.unit, &is_free, err) : FLV_OK;
    rc = rc == FLV_OK ? launch_with(&s, "FLV_SERVER_OPTIONS", err) : rc;
    return rc == FLV_OK ? cli_local_holder(l, out, err) : rc;
}

flv_rc cli_manager_start(const struct cli_local *l,
                         const char *cluster,
                         const char *rust_log,
                         bool as_unit,
                         struct flv_err *err)
{
    /* Here systemd does all that the guard would. Connectors outlive a manager
     * that dies; one that is told to end drains them first. */
    static const char *const settings[] = {
        "KillMode=process",          "Restart=on-failure",
        "RestartSec=500ms",          "StartLimitIntervalSec=0",
        "SuccessExitStatus=130 143", "TimeoutStopSec=60s",
        "OOMPolicy=continue",        NULL};
    if (as_unit) {
        flv_rc rc = free_unit(l->manager_unit, &as_unit, err);
        if (rc != FLV_OK) {
            return rc;
        }
        if (!as_unit) {
            fprintf(stderr, "connectors of an earlier manager run in its unit "
                            "of systemd, so this one has a guard; `fluvio "
                            "cluster shutdown` and start make a new unit\n");
        }
    }
    struct launch s = {.name = "fluvio-manager",
                       .log_file = l->manager_log,
                       .rust_log = rust_log,
                       .unit = as_unit ? l->manager_unit : NULL,
                       .settings = settings,
                       .log_fd = -1};
    add_word(&s, s.name);
    add_option(&s, "--data-dir", l->manager_dir);
    const char *profile = l->manager_profile;
    assert(profile != NULL);
    if (access(profile, F_OK) == 0) {
        add_option(&s, "--profile-file", profile);
    } else {
        add_option(&s, "--cluster", cluster);
    }
    if (!as_unit) {
        add_word(&s, "--guard");
    }
    return launch_with(&s, "FLV_MANAGER_OPTIONS", err);
}
