#include "cli/local.h"

#include "base/text.h"
#include "cli/cli.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A server that has much to write at the end gets this long. */
#define STOP_MS_MAX 60000
#define STOP_POLL_MS 20
/* Names the data and log folders of the last start, one a line. */
#define RECORD "local-cluster"

/* ---- Folders ----------------------------------------------------------- */

static flv_rc absolute(const char *path, char *out, struct flv_err *err)
{
    char cwd[CLI_PATH_MAX] = "";
    if (path[0] != '/' && getcwd(cwd, sizeof cwd) == NULL) {
        return flv_fail_sys(err, FLV_E_IO, errno,
                            "cannot tell the current folder");
    }
    int len = path[0] == '/' ? snprintf(out, CLI_PATH_MAX, "%s", path)
                             : snprintf(out, CLI_PATH_MAX, "%s/%s", cwd, path);
    if (len < 0 || len >= CLI_PATH_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "the path %.80s... is too long",
                        path);
    }
    return FLV_OK;
}

static flv_rc in_home(const char *name, char *out, struct flv_err *err)
{
    struct flv_buf path;
    flv_buf_init(&path, CLI_PATH_MAX - 1);
    flv_rc rc = cli_home(&path, err);
    if (rc == FLV_OK && flv_buf_addf(&path, "/%s", name) != FLV_OK) {
        rc = flv_fail(err, FLV_E_LIMIT, "the path in HOME is too long");
    }
    const char *text = rc == FLV_OK ? flv_buf_str(&path) : NULL;
    if (rc == FLV_OK) {
        rc = text != NULL ? absolute(text, out, err)
                          : flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_buf_deinit(&path);
    return rc;
}

/* The line without its end, when it is an absolute path. */
static bool take_line(FILE *f, char *out)
{
    if (fgets(out, CLI_PATH_MAX, f) == NULL) {
        return false;
    }
    out[strcspn(out, "\n")] = '\0';
    return out[0] == '/';
}

/* The folders of the last start. A record that cannot be read is none. */
static bool read_record(struct cli_local *l)
{
    char path[CLI_PATH_MAX];
    char data[CLI_PATH_MAX];
    char log[CLI_PATH_MAX];
    if (in_home(RECORD, path, NULL) != FLV_OK) {
        return false;
    }
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return false;
    }
    bool ok = take_line(f, data) && take_line(f, log);
    fclose(f);
    if (ok) {
        memcpy(l->data_dir, data, sizeof data);
        memcpy(l->log_dir, log, sizeof log);
    }
    return ok;
}

static flv_rc write_record(const struct cli_local *l, struct flv_err *err)
{
    char path[CLI_PATH_MAX];
    char fresh[CLI_PATH_MAX + 8];
    flv_rc rc = in_home(RECORD, path, err);
    if (rc != FLV_OK) {
        return rc;
    }
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = fopen(fresh, "we");
    bool ok = f != NULL;
    if (ok) {
        fprintf(f, "%s\n%s\n", l->data_dir, l->log_dir);
        ok = fflush(f) == 0 && ferror(f) == 0;
        ok = fclose(f) == 0 && ok;
    }
    if (!ok || rename(fresh, path) != 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot write %.100s", path);
    }
    return FLV_OK;
}

flv_rc cli_local_find(struct cli_local *l,
                      const char *data_dir,
                      const char *log_dir,
                      bool recorded,
                      struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    *l = (struct cli_local){.data_dir = ""};
    if (!recorded || !read_record(l)) {
        rc = in_home("data", l->data_dir, err);
        rc = rc == FLV_OK ? in_home("log", l->log_dir, err) : rc;
    }
    if (rc == FLV_OK && data_dir != NULL) {
        rc = absolute(data_dir, l->data_dir, err);
    }
    if (rc == FLV_OK && log_dir != NULL) {
        rc = absolute(log_dir, l->log_dir, err);
    }
    snprintf(l->log_file, sizeof l->log_file, "%s/fluvio-server.log",
             l->log_dir);
    snprintf(l->manager_log, sizeof l->manager_log, "%s/fluvio-manager.log",
             l->log_dir);
    snprintf(l->manager_dir, sizeof l->manager_dir, "%s/manager", l->data_dir);
    snprintf(l->manager_profile, sizeof l->manager_profile,
             "%s/cluster.profile", l->manager_dir);
    if (rc == FLV_OK) {
        cli_unit_name("fluvio-server", l->data_dir, l->server_unit);
        cli_unit_name("fluvio-manager", l->data_dir, l->manager_unit);
    }
    return rc;
}

static flv_rc make_folders(const char *path, struct flv_err *err)
{
    char part[CLI_PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1;; p++) {
        bool last = *p == '\0';
        if (*p != '/' && !last) {
            continue;
        }
        *p = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return flv_fail_sys(err, FLV_E_IO, errno,
                                "cannot make the folder %.120s", part);
        }
        if (last) {
            return FLV_OK;
        }
        *p = '/';
    }
}

/* ---- Who holds the data directory -------------------------------------- */

/* A small file as text; empty when it cannot be read. */
static void read_small(int dir_fd, const char *name, char *out, size_t size)
{
    out[0] = '\0';
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t n = pread(fd, out, size - 1, 0);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
}

/* The number behind "KEY": in server.json; 0 when there is none. */
static uint64_t json_number(const char *text, const char *key)
{
    char number[16] = "";
    uint64_t value = 0;
    const char *at = strstr(text, key);
    if (at == NULL) {
        return 0;
    }
    at += strlen(key);
    at += strspn(at, "\": ");
    size_t len = strspn(at, "0123456789");
    if (len == 0 || len >= sizeof number) {
        return 0;
    }
    memcpy(number, at, len);
    return flv_text_u64(number, 0, UINT32_MAX, &value, NULL) == FLV_OK ? value
                                                                       : 0;
}

/* Does the process have the lock file open? Pids are used again: only the
 * holder itself may get a signal. */
static bool has_open(pid_t pid, const struct stat *lock)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *dir = opendir(path);
    bool found = false;
    if (dir == NULL) {
        return false;
    }
    for (const struct dirent *e = readdir(dir); e != NULL && !found;
         e = readdir(dir)) {
        struct stat st;
        found = fstatat(dirfd(dir), e->d_name, &st, 0) == 0 &&
                st.st_dev == lock->st_dev && st.st_ino == lock->st_ino;
    }
    closedir(dir);
    return found;
}

/* The text behind "KEY":" in a file of our own. */
static void json_text(const char *text, const char *key, char *out, size_t size)
{
    const char *at = strstr(text, key);
    out[0] = '\0';
    if (at != NULL) {
        at += strlen(key);
        snprintf(out, size, "%.*s", (int)strcspn(at, "\""), at);
    }
}

/* Of those who may be the holder the first that has the lock open. */
static pid_t first_holder(const uint64_t *pids, size_t count, struct stat *lock)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] > 0 && pids[i] <= INT_MAX &&
            has_open((pid_t)pids[i], lock)) {
            return (pid_t)pids[i];
        }
    }
    return 0;
}

/* A lock is held by the program, and by a guard where there is one. */
static void look_at_texts(int dir_fd,
                          enum cli_part part,
                          struct stat *lock,
                          struct cli_holder *out)
{
    char text[1024];
    uint64_t pids[3] = {0};
    read_small(dir_fd, "lock", text, sizeof text);
    text[strcspn(text, "\n")] = '\0';
    cli_ignore(flv_text_u64(text, 1, INT_MAX, &pids[0], NULL));
    read_small(dir_fd, part == CLI_SERVER ? "server.json" : "manager.json",
               text, sizeof text);
    pids[1] = json_number(text, "\"pid\"");
    pids[2] = json_number(text, "\"guard\"");
    out->pid = first_holder(pids, 3, lock);
    if (out->pid == 0 ||
        ((uint64_t)out->pid != pids[1] && (uint64_t)out->pid != pids[2])) {
        return; /* the file is of an earlier one */
    }
    out->port = (uint16_t)json_number(text, part == CLI_SERVER ? "\"sc_port\""
                                                               : "\"port\"");
    json_text(text, "\"cluster\":\"", out->cluster, sizeof out->cluster);
    out->guard = first_holder(&pids[2], 1, lock);
    out->metrics_port = (uint16_t)json_number(text, "\"metrics_port\"");
}

static flv_rc look_at_lock(const char *dir,
                           int dir_fd,
                           enum cli_part part,
                           struct cli_holder *out,
                           struct flv_err *err)
{
    struct stat st;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(dir_fd, "lock", O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return FLV_OK;
    }
    if (fd < 0 || fstat(fd, &st) != 0 || fcntl(fd, F_OFD_GETLK, &lock) != 0) {
        int sys = errno;
        if (fd >= 0) {
            close(fd);
        }
        return flv_fail_sys(err, FLV_E_IO, sys,
                            "cannot look at the lock of %.100s", dir);
    }
    close(fd);
    if (lock.l_type != F_UNLCK) {
        out->held = true;
        look_at_texts(dir_fd, part, &st, out);
    }
    return FLV_OK;
}

static flv_rc holder_of(const struct cli_local *l,
                        enum cli_part part,
                        struct cli_holder *out,
                        struct flv_err *err)
{
    const char *dir = part == CLI_SERVER ? l->data_dir : l->manager_dir;
    *out = (struct cli_holder){.held = false};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return FLV_OK;
    }
    if (fd < 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot open %.120s", dir);
    }
    flv_rc rc = look_at_lock(dir, fd, part, out, err);
    close(fd);
    return rc;
}

flv_rc cli_local_holder(const struct cli_local *l,
                        struct cli_holder *out,
                        struct flv_err *err)
{
    return holder_of(l, CLI_SERVER, out, err);
}

flv_rc cli_manager_holder(const struct cli_local *l,
                          struct cli_holder *out,
                          struct flv_err *err)
{
    return holder_of(l, CLI_MANAGER, out, err);
}

/* ---- The guard ---------------------------------------------------------- */

bool cli_local_deaths(const struct cli_local *l, struct cli_deaths *out)
{
    char text[1024];
    int fd = open(l->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    read_small(fd, "guard.json", text, sizeof text);
    close(fd);
    *out =
        (struct cli_deaths){.row = (unsigned)json_number(text, "\"in_a_row\""),
                            .given_up = json_number(text, "\"given_up\"") > 0,
                            .wall_s = (int64_t)json_number(text, "\"wall_s\"")};
    json_text(text, "\"why\":\"", out->why, sizeof out->why);
    return out->row > 0;
}

/* ---- Connectors without a manager -------------------------------------- */

static bool lock_is_held(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    bool held =
        fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        close(fd);
    }
    return held;
}

bool cli_manager_orphans(const struct cli_local *l)
{
    static const char ending[] = ".lock";
    char path[sizeof l->manager_dir + 8];
    bool found = false;
    snprintf(path, sizeof path, "%s/run", l->manager_dir);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return false;
    }
    for (const struct dirent *e = readdir(dir); e != NULL && !found;
         e = readdir(dir)) {
        size_t len = strlen(e->d_name);
        found = len >= sizeof ending &&
                strcmp(e->d_name + len + 1 - sizeof ending, ending) == 0 &&
                lock_is_held(dirfd(dir), e->d_name);
    }
    closedir(dir);
    return found;
}

/* ---- Stopping ---------------------------------------------------------- */

static int pidfd_open_of(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool wait_gone(pid_t pid, int pidfd)
{
    if (pidfd >= 0) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        int n = 0;
        do {
            n = poll(&p, 1, STOP_MS_MAX);
        } while (n < 0 && errno == EINTR);
        return n > 0;
    }
    for (int i = 0; i < STOP_MS_MAX / STOP_POLL_MS; i++) {
        if (kill(pid, 0) != 0 && errno == ESRCH) {
            return true;
        }
        (void)poll(NULL, 0, STOP_POLL_MS);
    }
    return false;
}

flv_rc cli_local_stop(const struct cli_local *l,
                      enum cli_part part,
                      const struct cli_holder *holder,
                      struct flv_err *err)
{
    const char *what = part == CLI_SERVER ? "server" : "manager";
    struct cli_holder again;
    assert(holder->pid > 0);
    /* A guard passes it on, and ends behind the program. */
    pid_t pid = holder->guard > 0 ? holder->guard : holder->pid;
    /* The descriptor names the process for good; the second look makes sure
     * that it is still the one that holds the directory. */
    int pidfd = pidfd_open_of(pid);
    flv_rc rc = holder_of(l, part, &again, err);
    if (rc == FLV_OK && again.held &&
        (again.guard == pid || again.pid == pid)) {
        if (kill(pid, SIGTERM) != 0 && errno != ESRCH) {
            rc = flv_fail_sys(err, FLV_E_REFUSED, errno,
                              "cannot stop the %s with pid %ld", what,
                              (long)holder->pid);
        } else if (!wait_gone(pid, pidfd)) {
            rc = flv_fail(err, FLV_E_TIMEOUT,
                          "the %s with pid %ld has not ended within %d s; "
                          "see %.80s",
                          what, (long)holder->pid, STOP_MS_MAX / 1000,
                          part == CLI_SERVER ? l->log_file : l->manager_log);
        }
    }
    if (pidfd >= 0) {
        close(pidfd);
    }
    return rc;
}

/* ---- Removing ---------------------------------------------------------- */

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    return ftw->level > 0 ? remove(path) : 0;
}

static flv_rc remove_locked(const struct cli_local *l,
                            int dir_fd,
                            bool *out_removed,
                            struct flv_err *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (faccessat(dir_fd, "VERSION", F_OK, 0) != 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "%.120s is no data directory of fluvio-server; "
                        "nothing was removed",
                        l->data_dir);
    }
    int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        int sys = errno;
        if (fd >= 0) {
            close(fd);
        }
        return flv_fail_sys(err, FLV_E_LOCKED, sys, "%.120s is in use",
                            l->data_dir);
    }
    /* Contents only: the folder may be a mount point or somebody's choice. */
    int rc =
        nftw(l->data_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    int sys = errno;
    close(fd);
    if (rc != 0) {
        return flv_fail_sys(err, FLV_E_IO, sys, "cannot remove all of %.120s",
                            l->data_dir);
    }
    *out_removed = true;
    return FLV_OK;
}

flv_rc cli_local_remove(const struct cli_local *l,
                        bool *out_removed,
                        struct flv_err *err)
{
    *out_removed = false;
    int fd = open(l->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return FLV_OK;
    }
    if (fd < 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot open %.120s",
                            l->data_dir);
    }
    flv_rc rc = remove_locked(l, fd, out_removed, err);
    close(fd);
    if (*out_removed) {
        (void)rmdir(l->data_dir);
    }
    return rc;
}

/* ---- Preparing --------------------------------------------------------- */

flv_rc cli_local_lock(int *out_fd, struct flv_err *err)
{
    char path[CLI_PATH_MAX];
    flv_rc rc = in_home("", path, err);
    rc = rc == FLV_OK ? make_folders(path, err) : rc;
    rc = rc == FLV_OK ? in_home(RECORD ".lock", path, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int locked = -1;
    do {
        locked = fd >= 0 ? flock(fd, LOCK_EX) : -1;
    } while (fd >= 0 && locked != 0 && errno == EINTR);
    if (locked != 0) {
        int sys = errno;
        if (fd >= 0) {
            close(fd);
        }
        return flv_fail_sys(err, FLV_E_IO, sys, "cannot lock %.120s", path);
    }
    *out_fd = fd;
    return FLV_OK;
}

flv_rc cli_local_prepare(const struct cli_local *l, struct flv_err *err)
{
    flv_rc rc = make_folders(l->data_dir, err);
    rc = rc == FLV_OK ? make_folders(l->log_dir, err) : rc;
    return rc == FLV_OK ? write_record(l, err) : rc;
}
