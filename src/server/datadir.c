#include "server/datadir.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/text.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER "VERSION"
#define MARKER_TEXT "fluvio-c data directory, format "

static flv_rc io_fail(const char *what, const char *path, struct flv_err *err)
{
    int sys = errno;
    flv_rc rc = sys == ENOSPC || sys == EDQUOT ? FLV_E_NOSPACE : FLV_E_IO;
    return flv_fail_sys(err, rc, sys, "cannot %s %s", what, path);
}

/* ---- the path ---- */

/* Creates each missing parent like `mkdir -p`, then the folder itself. */
static flv_rc make_path(const char *path, struct flv_err *err)
{
    char part[FLV_DATADIR_PATH_MAX];
    size_t len = strlen(path);
    assert(len < sizeof part);
    memcpy(part, path, len + 1);
    for (char *p = part + 1; *p != '\0'; p++) {
        if (*p != '/') {
            continue;
        }
        *p = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST) {
            return io_fail("create folder", part, err);
        }
        *p = '/';
    }
    if (mkdir(part, 0700) != 0 && errno != EEXIST) {
        return io_fail("create folder", part, err);
    }
    return FLV_OK;
}

static flv_rc resolve(struct flv_datadir *dir,
                      const char *path,
                      enum flv_datadir_mode mode,
                      struct flv_err *err)
{
    if (path[0] == '\0' || strlen(path) >= sizeof dir->path) {
        return flv_fail(err, FLV_E_INVALID,
                        "the path of the data directory must have 1 to %zu "
                        "bytes",
                        sizeof dir->path - 1);
    }
    if (mode == FLV_DATADIR_SERVE && make_path(path, err) != FLV_OK) {
        return err != NULL ? err->rc : FLV_E_IO;
    }
    char full[PATH_MAX];
    if (realpath(path, full) == NULL) {
        return io_fail("open data directory", path, err);
    }
    if (strlen(full) >= sizeof dir->path) {
        return flv_fail(err, FLV_E_INVALID,
                        "the data directory's path is longer than %zu bytes",
                        sizeof dir->path - 1);
    }
    memcpy(dir->path, full, strlen(full) + 1);
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0) {
        return io_fail("open data directory", dir->path, err);
    }
    return FLV_OK;
}

/* ---- is it ours? ---- */

/* True for what stands in a new folder, or was left there by a first start
 * that was interrupted. */
static bool is_blank(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           strcmp(name, "lock") == 0 || strcmp(name, MARKER ".new") == 0 ||
           strcmp(name, "lost+found") == 0;
}

static bool is_ours(const char *name)
{
    static const char *const names[] = {
        MARKER,        "topics",          "meta.db",     "meta.db-wal",
        "meta.db-shm", "meta.db-journal", "server.json", "server.json.new",
    };
    if (is_blank(name)) {
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

struct contents {
    bool marked, blank;
    char foreign[256]; /* the first name that is not ours, or empty */
};

static flv_rc look_inside(const struct flv_datadir *dir,
                          struct contents *out,
                          struct flv_err *err)
{
    *out = (struct contents){.blank = true};
    DIR *d = opendir(dir->path);
    if (d == NULL) {
        return io_fail("list data directory", dir->path, err);
    }
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (strcmp(e->d_name, MARKER) == 0) {
            out->marked = true;
        }
        if (!is_blank(e->d_name)) {
            out->blank = false;
        }
        if (!is_ours(e->d_name) && out->foreign[0] == '\0') {
            snprintf(out->foreign, sizeof out->foreign, "%s", e->d_name);
        }
    }
    closedir(d);
    return FLV_OK;
}

static flv_rc read_marker(const struct flv_datadir *dir, struct flv_err *err)
{
    char text[128];
    int fd = openat(dir->fd, MARKER, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return io_fail("open the marker " MARKER " in", dir->path, err);
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n < 0) {
        return io_fail("read the marker " MARKER " in", dir->path, err);
    }
    text[n] = '\0';
    size_t prefix = strlen(MARKER_TEXT);
    uint64_t format = 0;
    char *line_end = strchr(text, '\n');
    if (line_end != NULL) {
        *line_end = '\0';
    }
    if (line_end == NULL || strncmp(text, MARKER_TEXT, prefix) != 0 ||
        flv_text_u64(text + prefix, 1, UINT32_MAX, &format, NULL) != FLV_OK) {
        return flv_fail(err, FLV_E_INVALID,
                        "%s is not a fluvio-server data directory: its file "
                        "" MARKER " says something else; name another folder "
                        "with --data-dir",
                        dir->path);
    }
    if (format > FLV_DATADIR_FORMAT) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "%s has format %" PRIu64
                        " and this fluvio-server reads up to "
                        "%d; start the newer version",
                        dir->path, format, FLV_DATADIR_FORMAT);
    }
    return FLV_OK;
}

static flv_rc sync_dir(const char *path, struct flv_err *err)
{
    errno = flv_file_sync_dir(path);
    return errno == 0 ? FLV_OK : io_fail("sync folder", path, err);
}

/* Whole file or nothing; when durable, also after a crash. */
static flv_rc replace_file(const struct flv_datadir *dir,
                           const char *name,
                           const char *text,
                           bool durable,
                           struct flv_err *err)
{
    char aside[64];
    snprintf(aside, sizeof aside, "%s.new", name);
    const struct flv_file_replace r = {
        .dir_fd = dir->fd, .name = name, .aside = aside, .durable = durable};
    errno = flv_file_replace(&r, flv_slice_str(text));
    return errno == 0 ? FLV_OK
                      : io_fail("write into data directory", dir->path, err);
}

static flv_rc recognise(struct flv_datadir *dir,
                        enum flv_datadir_mode mode,
                        struct flv_err *err)
{
    struct contents in;
    flv_rc rc = look_inside(dir, &in, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (in.marked) {
        return read_marker(dir, err);
    }
    if (!in.blank || mode == FLV_DATADIR_CHECK) {
        return flv_fail(err, FLV_E_INVALID,
                        "%s is not a fluvio-server data directory: it has no "
                        "file " MARKER "%s%s; name %s folder with --data-dir",
                        dir->path, in.foreign[0] != '\0' ? ", but it has " : "",
                        in.foreign,
                        mode == FLV_DATADIR_CHECK ? "another" : "an empty");
    }
    return FLV_OK;
}

/* ---- the lock ---- */

static uint64_t holder_pid(int fd)
{
    char text[32] = "";
    uint64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n > 1 && text[n - 1] == '\n') {
        text[n - 1] = '\0';
    }
    return flv_text_u64(text, 1, INT32_MAX, &pid, NULL) == FLV_OK ? pid : 0;
}

static flv_rc lock_file(struct flv_datadir *dir,
                        enum flv_datadir_mode mode,
                        struct flv_err *err)
{
    bool serve = mode == FLV_DATADIR_SERVE;
    int flags = serve ? O_RDWR | O_CREAT : O_RDONLY;
    int fd = openat(dir->fd, "lock", flags | O_CLOEXEC, 0600);
    if (fd < 0) {
        if (!serve && errno == ENOENT) {
            return FLV_OK; /* no server ever got as far as locking */
        }
        return io_fail("lock data directory", dir->path, err);
    }
    struct flock lock = {.l_type = serve ? F_WRLCK : F_RDLCK,
                         .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        int sys = errno;
        uint64_t pid = holder_pid(fd);
        close(fd);
        errno = sys;
        if (sys != EACCES && sys != EAGAIN) {
            return io_fail("lock data directory", dir->path, err);
        }
        return flv_fail(err, FLV_E_LOCKED,
                        "%s is in use by the process with pid %" PRIu64
                        "; stop it "
                        "first or name another folder with --data-dir",
                        dir->path, pid);
    }
    dir->lock_fd = fd;
    return serve ? flv_datadir_claim(dir, err) : FLV_OK;
}

flv_rc flv_datadir_claim(const struct flv_datadir *dir, struct flv_err *err)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(dir->lock_fd, 0) != 0 ||
        pwrite(dir->lock_fd, text, (size_t)len, 0) != len) {
        return io_fail("write the lock of data directory", dir->path, err);
    }
    return FLV_OK;
}

/* ---- open and close ---- */

/* First start: the marker, the folder of logs, and both names synced. */
static flv_rc mark(struct flv_datadir *dir, struct flv_err *err)
{
    struct contents in;
    flv_rc rc = look_inside(dir, &in, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (mkdirat(dir->fd, "topics", 0700) != 0 && errno != EEXIST) {
        return io_fail("write into data directory", dir->path, err);
    }
    if (in.marked) {
        return FLV_OK;
    }
    char text[64];
    snprintf(text, sizeof text, "%s%d\n", MARKER_TEXT, FLV_DATADIR_FORMAT);
    rc = replace_file(dir, MARKER, text, true, err);
    if (rc != FLV_OK) {
        return rc;
    }
    /* A parent that this user may not open still lets us serve. */
    char up[FLV_DATADIR_PATH_MAX + 4];
    snprintf(up, sizeof up, "%s/..", dir->path);
    if (sync_dir(up, NULL) != FLV_OK && errno == EIO) {
        return io_fail("sync the parent of", dir->path, err);
    }
    return FLV_OK;
}

flv_rc flv_datadir_open(struct flv_datadir *dir,
                        const char *path,
                        enum flv_datadir_mode mode,
                        struct flv_err *err)
{
    struct flv_err local = {0};
    *dir = (struct flv_datadir){.fd = -1, .lock_fd = -1};
    flv_rc rc = resolve(dir, path, mode, &local);
    if (rc == FLV_OK) {
        rc = recognise(dir, mode, &local);
    }
    if (rc == FLV_OK) {
        rc = lock_file(dir, mode, &local);
    }
    if (rc == FLV_OK && mode == FLV_DATADIR_SERVE) {
        rc = mark(dir, &local);
    }
    if (rc != FLV_OK) {
        flv_datadir_close(dir);
        if (err != NULL) {
            *err = local;
        }
    }
    return rc;
}

void flv_datadir_close(struct flv_datadir *dir)
{
    if (dir == NULL) {
        return;
    }
    if (dir->lock_fd >= 0 && dir->path[0] != '\0') {
        close(dir->lock_fd);
        dir->lock_fd = -1;
    }
    if (dir->fd >= 0 && dir->path[0] != '\0') {
        close(dir->fd);
        dir->fd = -1;
    }
    dir->path[0] = '\0';
}

/* ---- folders of topics ---- */

void flv_datadir_log_path(const struct flv_datadir *dir,
                          uint64_t topic_id,
                          uint32_t partition,
                          char *out)
{
    int n = snprintf(out, FLV_DATADIR_LOG_PATH_MAX,
                     "%s/topics/%" PRIu64 "/%" PRIu32, dir->path, topic_id,
                     partition);
    assert(n > 0 && n < FLV_DATADIR_LOG_PATH_MAX);
}

flv_rc flv_datadir_make_topic(const struct flv_datadir *dir,
                              uint64_t topic_id,
                              struct flv_err *err)
{
    char path[FLV_DATADIR_LOG_PATH_MAX];
    snprintf(path, sizeof path, "%s/topics/%" PRIu64, dir->path, topic_id);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return io_fail("create folder", path, err);
    }
    snprintf(path, sizeof path, "%s/topics", dir->path);
    return sync_dir(path, err);
}

/* A topic is two folders deep (ID/P/file); nothing deeper is ours. */
static flv_rc
remove_tree(int at, const char *name, int depth, struct flv_err *err)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? FLV_OK : io_fail("open folder", name, err);
    }
    DIR *d = fdopendir(fd);
    if (d == NULL) {
        close(fd);
        return io_fail("list folder", name, err);
    }
    flv_rc rc = FLV_OK;
    for (const struct dirent *e = readdir(d); e != NULL && rc == FLV_OK;
         e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT) {
            continue;
        }
        if ((errno != EISDIR && errno != EPERM) || depth == 0) {
            rc = io_fail("remove", e->d_name, err);
            break;
        }
        rc = remove_tree(fd, e->d_name, depth - 1, err);
    }
    closedir(d);
    if (rc == FLV_OK && unlinkat(at, name, AT_REMOVEDIR) != 0 &&
        errno != ENOENT) {
        rc = io_fail("remove folder", name, err);
    }
    return rc;
}

flv_rc flv_datadir_remove_topic(const struct flv_datadir *dir,
                                uint64_t topic_id,
                                struct flv_err *err)
{
    char name[32];
    int topics = openat(dir->fd, "topics", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (topics < 0) {
        return io_fail("open the folder topics in", dir->path, err);
    }
    snprintf(name, sizeof name, "%" PRIu64, topic_id);
    flv_rc rc = remove_tree(topics, name, 1, err);
    close(topics);
    return rc;
}

flv_rc flv_datadir_each_topic(const struct flv_datadir *dir,
                              void (*fn)(uint64_t topic_id, void *arg),
                              void *arg,
                              struct flv_err *err)
{
    char path[FLV_DATADIR_LOG_PATH_MAX];
    snprintf(path, sizeof path, "%s/topics", dir->path);
    DIR *d = opendir(path);
    if (d == NULL) {
        return io_fail("list folder", path, err);
    }
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        uint64_t id = 0;
        if (flv_text_u64(e->d_name, 1, INT64_MAX, &id, NULL) == FLV_OK) {
            fn(id, arg);
        }
    }
    closedir(d);
    return FLV_OK;
}

/* ---- server.json ---- */

flv_rc flv_datadir_publish(const struct flv_datadir *dir,
                           uint16_t sc_port,
                           uint16_t spu_port,
                           uint16_t metrics_port,
                           long guard,
                           const char *advertise,
                           struct flv_err *err)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "{\"pid\":%ld,\"sc_port\":%u,\"spu_port\":%u,"
                     "\"metrics_port\":%u,\"guard\":%ld,\"advertise\":\"%s\","
                     "\"version\":\"%s\"}\n",
                     (long)getpid(), sc_port, spu_port, metrics_port, guard,
                     advertise, FLV_VERSION);
    assert(n > 0 && (size_t)n < sizeof text);
    return replace_file(dir, "server.json", text, false, err);
}

void flv_datadir_unpublish(const struct flv_datadir *dir)
{
    /* A file that stays behind names a pid that no longer holds the lock. */
    (void)!unlinkat(dir->fd, "server.json", 0);
}

/* ---- guard.json ---- */

void flv_datadir_note_death(const struct flv_datadir *dir,
                            const struct flv_guard_death *d)
{
    char why[FLV_ERR_TEXT_MAX];
    char text[512];
    snprintf(why, sizeof why, "%s", d->why);
    for (char *c = why; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ') {
            *c = '\''; /* nothing to escape is left */
        }
    }
    snprintf(text, sizeof text,
             "{\"in_a_row\":%u,\"given_up\":%d,\"wall_s\":%lld,"
             "\"why\":\"%s\"}\n",
             d->row, d->given_up, (long long)(flv_clock_wall_ms() / 1000), why);
    (void)!replace_file(dir, "guard.json", text, false, NULL);
}

void flv_datadir_forget_deaths(const struct flv_datadir *dir)
{
    (void)!unlinkat(dir->fd, "guard.json", 0);
}
