#include "cli/systemd.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Hands variables over by name, so that no value is in the process list. */
#define VERSION_MIN 249
#define ASK_MS_MAX 5000
#define POLL_MS 10
/* What systemd takes to forget a unit whose processes are gone. */
#define GONE_MS_MAX 1000
#define OWN_WORDS 16 /* of systemd-run, at most */
#define WORD_BYTES_MAX (128 << 10)

const char *const cli_supervisor_names[] = {"auto", "systemd", "guard", NULL};

/* ---- Running its commands ----------------------------------------------- */

/* What a command has said, cut to fit, and how it has ended. */
struct answer {
    char text[1024];
    size_t len;
    int status; /* as of waitpid() */
};

static void become(const char *const *words, const char *rust_log, int out_fd)
{
    /* execvp() takes non-const words and leaves them alone. */
    union {
        const char *const *in;
        char *const *out;
    } u = {.in = words};
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    signal(SIGPIPE, SIG_DFL);
    unsetenv("SYSTEMD_LOG_LEVEL"); /* answers alone */
    if (rust_log != NULL) {
        setenv("RUST_LOG", rust_log, 1);
    }
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
        dup2(out_fd, STDOUT_FILENO) < 0 || dup2(out_fd, STDERR_FILENO) < 0) {
        _exit(126);
    }
    execvp(words[0], u.out);
    dprintf(STDERR_FILENO, "cannot run %s: %s%s\n", words[0], strerror(errno),
            errno == E2BIG ? "; start with a smaller environment, or with "
                             "--supervisor guard"
                           : "");
    _exit(127);
}

/* Until the command has closed its output. False: it takes too long. */
static bool listen_to(int fd, uint32_t ms_max, struct answer *a)
{
    uint64_t end_ms = flv_clock_mono_ms() + ms_max;
    for (;;) {
        char part[256];
        uint64_t now_ms = flv_clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = now_ms < end_ms ? poll(&p, 1, (int)(end_ms - now_ms)) : 0;
        if (n == 0) {
            return false;
        }
        ssize_t got = n > 0 ? read(fd, part, sizeof part) : -1;
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return true;
        }
        size_t fits = got > 0 ? (size_t)got : 0;
        if (fits > sizeof a->text - 1 - a->len) {
            fits = sizeof a->text - 1 - a->len;
        }
        memcpy(a->text + a->len, part, fits);
        a->len += fits;
    }
}

static flv_rc run(const char *const *words,
                  const char *rust_log,
                  uint32_t ms_max,
                  struct answer *out,
                  struct flv_err *err)
{
    int ends[2];
    *out = (struct answer){.len = 0};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot make a pipe");
    }
    fflush(NULL);
    /* Where a parent ignored its children, nobody would say how this ends. */
    (void)signal(SIGCHLD, SIG_DFL);
    pid_t pid = fork();
    if (pid == 0) {
        become(words, rust_log, ends[1]);
    }
    int sys = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return flv_fail_sys(err, FLV_E_IO, sys, "cannot start a process");
    }
    bool heard = listen_to(ends[0], ms_max, out);
    close(ends[0]);
    if (!heard) {
        (void)kill(pid, SIGKILL);
    }
    while (waitpid(pid, &out->status, 0) < 0 && errno == EINTR) {
    }
    out->text[out->len] = '\0';
    return heard ? FLV_OK
                 : flv_fail(err, FLV_E_TIMEOUT, "%s has not ended within %u s",
                            words[0], ms_max / 1000);
}

/* Of several the first line says it; the others are cut off. */
static const char *first_line(struct answer *a)
{
    a->text[strcspn(a->text, "\n")] = '\0';
    return a->text;
}

static bool succeeded(const struct answer *a)
{
    return WIFEXITED(a->status) && WEXITSTATUS(a->status) == 0;
}

/* ---- Is it there? ------------------------------------------------------- */

/* A folder of another user is what `su` and `sudo` may leave behind: that
 * user's systemd would run the programs as that user. */
static const char *runtime_dir(struct flv_err *err)
{
    struct stat st;
    const char *dir = getenv("XDG_RUNTIME_DIR");
    if (dir == NULL || dir[0] != '/') {
        cli_ignore(flv_fail(err, FLV_E_UNSUPPORTED,
                            "no systemd of this user can be reached: "
                            "XDG_RUNTIME_DIR is not set; log in as this user, "
                            "or start with --supervisor guard"));
        return NULL;
    }
    if (stat(dir, &st) != 0 || st.st_uid != geteuid()) {
        cli_ignore(flv_fail(err, FLV_E_UNSUPPORTED,
                            "no systemd of this user can be reached: "
                            "XDG_RUNTIME_DIR, %.80s, is not a folder of this "
                            "user; log in as this user, or start with "
                            "--supervisor guard",
                            dir));
        return NULL;
    }
    return dir;
}

/* Costs no process where there is none. One that is not answered is found by
 * the question after its version. */
static flv_rc find_socket(struct flv_err *err)
{
    char path[PATH_MAX + 32];
    struct stat st;
    const char *dir = runtime_dir(err);
    if (dir == NULL) {
        return FLV_E_UNSUPPORTED;
    }
    snprintf(path, sizeof path, "%s/systemd/private", dir);
    if (stat(path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "no systemd of this user runs: there is no socket "
                        "%.100s; start with --supervisor guard",
                        path);
    }
    return FLV_OK;
}

static flv_rc check_version(struct flv_err *err)
{
    static const char *const words[] = {"systemctl",          "--user",  "show",
                                        "--property=Version", "--value", NULL};
    struct answer a;
    uint64_t version = 0;
    flv_rc rc = run(words, NULL, ASK_MS_MAX, &a, err);
    if (rc == FLV_OK && !succeeded(&a)) {
        rc = flv_fail(err, FLV_E_UNSUPPORTED,
                      "the systemd of this user does not answer: %.100s; "
                      "start with --supervisor guard",
                      first_line(&a));
    }
    if (rc != FLV_OK) {
        return rc;
    }
    /* "252.39-1~deb12u1", or as Fedora says it: "v253.10-1.fc38" */
    char *number = a.text + (a.text[0] == 'v');
    number[strspn(number, "0123456789")] = '\0';
    if (flv_text_u64(number, 0, UINT32_MAX, &version, NULL) != FLV_OK ||
        version < VERSION_MIN) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "the systemd of this user has version %.20s, and "
                        "%d is the first that will do; start with "
                        "--supervisor guard",
                        number, VERSION_MIN);
    }
    return FLV_OK;
}

/* What logind says: does this systemd stay without a session of the user? */
static bool linger_is(const char *expected)
{
    char user[24];
    const char *const words[] = {"loginctl",          "show-user", user,
                                 "--property=Linger", "--value",   NULL};
    struct answer a;
    snprintf(user, sizeof user, "%lu", (unsigned long)geteuid());
    flv_rc rc = run(words, NULL, ASK_MS_MAX, &a, NULL);
    return rc == FLV_OK && succeeded(&a) &&
           strcmp(first_line(&a), expected) == 0;
}

bool cli_systemd_leaves(void)
{
    return linger_is("no");
}

flv_rc cli_supervisor_choose(enum cli_supervisor asked,
                             const char *unit,
                             enum cli_supervisor *out,
                             struct flv_err *err)
{
    *out = asked;
    if (asked == CLI_BY_GUARD) {
        return FLV_OK;
    }
    flv_rc rc = unit[0] != '\0'
                    ? find_socket(err)
                    : flv_fail(err, FLV_E_UNSUPPORTED,
                               "the path of the data folder is too long for "
                               "a unit of systemd, or has a '$'; start with "
                               "--supervisor guard");
    rc = rc == FLV_OK ? check_version(err) : rc;
    if (asked == CLI_BY_ANY) {
        *out = rc == FLV_OK && linger_is("yes") ? CLI_BY_SYSTEMD : CLI_BY_GUARD;
        return FLV_OK;
    }
    return rc;
}

/* ---- Units -------------------------------------------------------------- */

void cli_unit_name(const char *program, const char *dir, char out[CLI_UNIT_MAX])
{
    static const char ending[] = ".service";
    struct flv_buf b;
    flv_buf_init(&b, CLI_UNIT_MAX - sizeof ending);
    flv_rc rc = strchr(dir, '$') == NULL ? flv_buf_addf(&b, "%s-", program)
                                         : FLV_E_UNSUPPORTED;
    bool first = true;
    assert(dir[0] == '/');
    /* One '-' for each slash between names, however many there are. */
    for (const char *c = dir; *c != '\0' && rc == FLV_OK; c++) {
        bool last = c[strspn(c, "/")] == '\0';
        if (*c == '/') {
            bool parts = !first && !last && c[1] != '/';
            rc = parts ? flv_buf_add_u8(&b, '-') : FLV_OK;
            continue;
        }
        bool plain = isalnum((unsigned char)*c) != 0 || *c == '.';
        rc = plain ? flv_buf_add_u8(&b, (uint8_t)*c)
                   : flv_buf_addf(&b, "_%02x", (unsigned char)*c);
        first = false;
    }
    const char *text = rc == FLV_OK ? flv_buf_str(&b) : NULL;
    out[0] = '\0';
    if (text != NULL) {
        snprintf(out, CLI_UNIT_MAX, "%s%s", text, ending);
    }
    flv_buf_deinit(&b);
}

/* Names and values that systemd would refuse are left out, and what it says
 * to this process and not to the other. */
static bool is_to_pass(const char *entry)
{
    static const char *const own[] = {
        "NOTIFY_SOCKET", "INVOCATION_ID",   "JOURNAL_STREAM", "SYSTEMD_",
        "LISTEN_",       "WATCHDOG_",       "MANAGERPID",     "MAINPID",
        "CREDENTIALS_",  "MEMORY_PRESSURE", "RUST_LOG="};
    const char *value = strchr(entry, '=');
    if (value == NULL || value == entry || isdigit((unsigned char)entry[0])) {
        return false;
    }
    for (const char *c = entry; c < value; c++) {
        if (isalnum((unsigned char)*c) == 0 && *c != '_') {
            return false;
        }
    }
    for (const char *c = ++value; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' && *c != '\t' && *c != '\n') {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strncmp(entry, own[i], strlen(own[i])) == 0) {
            return false;
        }
    }
    return flv_text_is_utf8(flv_slice_str(value));
}

/* The one command whose words are not known here. */
struct words {
    char **at; /* owned, each owned; ends with NULL */
    size_t count, max;
    bool failed;
};

static void words_deinit(struct words *w)
{
    for (size_t i = 0; i < w->count; i++) {
        flv_free(w->at[i]);
    }
    flv_free(w->at);
}

static void add(struct words *w, const char *fmt, ...) FLV_PRINTF(2, 3);

static void add(struct words *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *word = !w->failed && len >= 0 && len < WORD_BYTES_MAX
                     ? flv_alloc((size_t)len + 1)
                     : NULL;
    if (word == NULL) {
        w->failed = true;
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(word, (size_t)len + 1, fmt, args);
    va_end(args);
    assert(w->count < w->max);
    w->at[w->count++] = word;
}

/* As a child would inherit it. */
static void add_environment(struct words *w, const char *rust_log)
{
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        if (is_to_pass(*e)) {
            add(w, "--setenv=%.*s", (int)strcspn(*e, "="), *e);
        }
    }
    if (rust_log != NULL || getenv("RUST_LOG") != NULL) {
        add(w, "--setenv=RUST_LOG");
    }
}

/* systemd would look for variables in it. */
static void add_literally(struct words *w, const char *text)
{
    struct flv_buf b;
    flv_buf_init(&b, WORD_BYTES_MAX);
    flv_rc rc = FLV_OK;
    for (const char *c = text; *c != '\0' && rc == FLV_OK; c++) {
        rc = *c == '$' ? flv_buf_add_str(&b, "$$")
                       : flv_buf_add_u8(&b, (uint8_t)*c);
    }
    const char *word = rc == FLV_OK ? flv_buf_str(&b) : NULL;
    if (word != NULL) {
        add(w, "%s", word);
    } else {
        w->failed = true;
    }
    flv_buf_deinit(&b);
}

static size_t count_of(char *const *list)
{
    size_t n = 0;
    while (list != NULL && list[n] != NULL) {
        n++;
    }
    return n;
}

static void add_run(struct words *w, const struct cli_unit *u)
{
    size_t settings = 0;
    while (u->settings[settings] != NULL) {
        settings++;
    }
    /* Of the environment there may be as much as the system lets it be. */
    w->max = OWN_WORDS + settings + count_of(environ) + count_of(u->words);
    w->at = flv_zalloc(w->max + 1, sizeof *w->at);
    w->failed = w->at == NULL;
    add(w, "systemd-run");
    add(w, "--user");
    add(w, "--quiet");
    add(w, "--unit=%s", u->name);
    add(w, "--description=%s", u->about);
    add(w, "--service-type=notify");
    add(w, "--property=UMask=0077");
    add(w, "--property=TimeoutStartSec=infinity"); /* the caller has one */
    add(w, "--property=StandardOutput=append:%s", u->log_file);
    add(w, "--property=StandardError=append:%s", u->log_file);
    for (const char *const *s = u->settings; *s != NULL; s++) {
        add(w, "--property=%s", *s);
    }
    add_environment(w, u->rust_log);
    add(w, "--");
    add_literally(w, u->program);
    for (char *const *word = u->words; *word != NULL; word++) {
        add_literally(w, *word);
    }
}

flv_rc cli_unit_run(const struct cli_unit *u,
                    uint32_t ready_ms_max,
                    struct flv_err *err)
{
    struct answer a;
    struct words w = {0};
    add_run(&w, u);
    flv_rc rc = w.failed
                    ? flv_fail(err, FLV_E_NOMEM, "out of memory for a command")
                    : run((const char *const *)w.at, u->rust_log, ready_ms_max,
                          &a, err);
    words_deinit(&w);
    if (rc == FLV_OK && !succeeded(&a)) {
        cli_ignore(cli_unit_stop(u->name, ASK_MS_MAX, NULL));
        rc = flv_fail(err, FLV_E_IO, "%.160s", first_line(&a));
    }
    return rc;
}

bool cli_unit_exists(const char *name)
{
    char path[PATH_MAX + CLI_UNIT_MAX + 32];
    const char *dir = name[0] != '\0' ? runtime_dir(NULL) : NULL;
    if (dir == NULL) {
        return false;
    }
    /* systemd.unit(5), section "Unit File Load Path". */
    snprintf(path, sizeof path, "%s/systemd/transient/%s", dir, name);
    return access(path, F_OK) == 0;
}

static flv_rc ask_about(const char *verb,
                        const char *option,
                        const char *name,
                        uint32_t ms_max,
                        struct answer *out,
                        struct flv_err *err)
{
    /* Without an option the last word is not there. */
    const char *const words[] = {"systemctl",
                                 "--user",
                                 verb,
                                 option != NULL ? option : "--",
                                 option != NULL ? "--" : name,
                                 option != NULL ? name : NULL,
                                 NULL};
    return run(words, NULL, ms_max, out, err);
}

flv_rc cli_unit_stop(const char *name, uint32_t ms_max, struct flv_err *err)
{
    struct answer a = {.len = 0};
    flv_rc rc = FLV_OK;
    if (cli_unit_exists(name)) {
        rc = ask_about("stop", NULL, name, ms_max, &a, err);
    }
    if (rc == FLV_OK && cli_unit_exists(name)) {
        rc = ask_about("reset-failed", NULL, name, ASK_MS_MAX, &a, err);
    }
    /* It may have ended by itself just now: then there was nothing to stop. */
    if (rc == FLV_OK && !succeeded(&a) && cli_unit_exists(name)) {
        rc = flv_fail(err, FLV_E_IO, "cannot stop %.100s: %.80s", name,
                      first_line(&a));
    }
    return rc;
}

bool cli_unit_gone(const char *name)
{
    uint64_t end_ms = flv_clock_mono_ms() + GONE_MS_MAX;
    while (cli_unit_exists(name)) {
        if (flv_clock_mono_ms() >= end_ms) {
            return false;
        }
        (void)poll(NULL, 0, POLL_MS);
    }
    return true;
}

/* "KEY=VALUE" on a line of its own. */
static void property(const struct answer *a, const char *key, char out[32])
{
    size_t len = strlen(key);
    out[0] = '\0';
    for (const char *line = a->text; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        if (size > len && memcmp(line, key, len) == 0 && line[len] == '=') {
            snprintf(out, 32, "%.*s", (int)(size - len - 1), line + len + 1);
            return;
        }
        line += size + (line[size] == '\n');
    }
}

bool cli_unit_look(const char *name, struct cli_unit_state *out)
{
    struct answer a;
    char text[32];
    uint64_t count = 0;
    *out = (struct cli_unit_state){.restarts = 0};
    if (!cli_unit_exists(name) ||
        ask_about("show", "--property=NRestarts,ActiveState,Result", name,
                  ASK_MS_MAX, &a, NULL) != FLV_OK ||
        !succeeded(&a)) {
        return false;
    }
    property(&a, "NRestarts", text);
    cli_ignore(flv_text_u64(text, 0, UINT32_MAX, &count, NULL));
    out->restarts = (uint32_t)count;
    property(&a, "ActiveState", text);
    out->failed = strcmp(text, "failed") == 0;
    property(&a, "Result", out->result);
    return true;
}
