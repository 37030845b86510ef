#include "manager/dir.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/text.h"
#include "http/server.h"

#define BACKLOG 128
#define PUBLIC_NAME "manager.json"

/* ---- The folder and its lock ------------------------------------------- */

static flv_rc make_folders(const char *path, struct flv_err *err)
{
    char part[FLV_MDIR_PATH_MAX];
    (void)snprintf(part, sizeof(part), "%s", path);
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

static long holder_of(int fd)
{
    char text[32] = "";
    uint64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? strcspn(text, "\n") : 0] = '\0';
    return flv_text_u64(text, 1, INT32_MAX, &pid, NULL) == FLV_OK ? (long)pid
                                                                  : 0;
}

static flv_rc lock(struct flv_mdir *d, struct flv_err *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char text[32];
    d->lock_fd = openat(d->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot lock %.120s",
                            d->path);
    }
    if (fcntl(d->lock_fd, F_OFD_SETLK, &lock) != 0) {
        if (errno != EACCES && errno != EAGAIN) {
            return flv_fail_sys(err, FLV_E_IO, errno, "cannot lock %.120s",
                                d->path);
        }
        return flv_fail(err, FLV_E_LOCKED,
                        "%.120s is in use by the process with pid %ld; stop "
                        "it first or name another folder with --data-dir",
                        d->path, holder_of(d->lock_fd));
    }
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(d->lock_fd, 0) != 0 ||
        pwrite(d->lock_fd, text, (size_t)len, 0) != len) {
        return flv_fail_sys(err, errno == ENOSPC ? FLV_E_NOSPACE : FLV_E_IO,
                            errno, "cannot write the lock of %.120s", d->path);
    }
    return FLV_OK;
}

flv_rc flv_mdir_open(struct flv_mdir *d, const char *path, struct flv_err *err)
{
    *d = (struct flv_mdir){.fd = -1, .lock_fd = -1};
    char full[PATH_MAX];
    if (strlen(path) >= sizeof(d->path)) {
        return flv_fail(err, FLV_E_INVALID,
                        "the path of the data directory is longer than %zu "
                        "bytes",
                        sizeof(d->path) - 1);
    }
    flv_rc rc = make_folders(path, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (realpath(path, full) == NULL || strlen(full) >= sizeof(d->path)) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot find %.120s", path);
    }
    memcpy(d->path, full, strlen(full) + 1);
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0 || fchmod(d->fd, 0700) != 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot open %.120s",
                            d->path);
    }
    return lock(d, err);
}

void flv_mdir_close(struct flv_mdir *d)
{
    if (d->lock_fd >= 0) {
        (void)close(d->lock_fd);
    }
    if (d->fd >= 0) {
        (void)close(d->fd);
    }
    d->fd = d->lock_fd = -1;
}

/* ---- Small files ------------------------------------------------------- */

/* Whole or not at all. */
static flv_rc replace(const struct flv_mdir *d,
                      const char *name,
                      struct flv_slice text,
                      struct flv_err *err)
{
    char fresh[64];
    (void)snprintf(fresh, sizeof(fresh), "%s.new", name);
    int fd =
        openat(d->fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, text.data, text.len) == (ssize_t)text.len;
    int sys = errno;
    if (fd >= 0 && close(fd) != 0) {
        ok = false;
    }
    if (ok && renameat(d->fd, fresh, d->fd, name) == 0) {
        return FLV_OK;
    }
    return flv_fail_sys(err, sys == ENOSPC ? FLV_E_NOSPACE : FLV_E_IO, sys,
                        "cannot write %s in %.100s", name, d->path);
}

static bool read_token(struct flv_mdir *d)
{
    char text[FLV_TOKEN_MAX + 1] = "";
    int fd = openat(d->fd, "token", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (n < FLV_TOKEN_MAX - 1 ||
        strspn(text, "0123456789abcdef") != FLV_TOKEN_MAX - 1) {
        return false;
    }
    memcpy(d->token, text, FLV_TOKEN_MAX - 1);
    d->token[FLV_TOKEN_MAX - 1] = '\0';
    return true;
}

flv_rc flv_mdir_token(struct flv_mdir *d, struct flv_err *err)
{
    uint8_t bytes[(FLV_TOKEN_MAX - 1) / 2];
    if (read_token(d)) {
        return FLV_OK;
    }
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot make a token");
    }
    struct flv_buf b;
    flv_buf_init(&b, FLV_TOKEN_MAX + 1);
    flv_rc rc = flv_text_hex(&b, flv_slice(bytes, sizeof(bytes)));
    rc = rc == FLV_OK ? flv_buf_add_str(&b, "\n") : rc;
    rc = rc == FLV_OK ? replace(d, "token", flv_buf_slice(&b), err)
                      : flv_fail(err, rc, "out of memory");
    flv_buf_deinit(&b);
    if (rc == FLV_OK && !read_token(d)) {
        rc =
            flv_fail(err, FLV_E_IO, "cannot read the token in %.100s", d->path);
    }
    return rc;
}

flv_rc flv_mdir_publish(const struct flv_mdir *d,
                        const struct flv_mdir_public *p,
                        struct flv_err *err)
{
    char text[600];
    int n = snprintf(text, sizeof(text),
                     "{\"pid\":%ld,\"guard\":%ld,\"host\":\"127.0.0.1\","
                     "\"port\":%u,\"cluster\":\"%.255s\",\"version\":\"%s\"}\n",
                     (long)getpid(), (long)p->guard, p->port,
                     p->cluster != NULL ? p->cluster : "", FLV_VERSION);
    assert(n > 0 && (size_t)n < sizeof(text));
    return replace(d, PUBLIC_NAME, flv_slice(text, (size_t)n), err);
}

void flv_mdir_unpublish(const struct flv_mdir *d)
{
    (void)unlinkat(d->fd, PUBLIC_NAME, 0);
    (void)unlinkat(d->fd, "manager.sock", 0);
}

/* ---- Sockets ----------------------------------------------------------- */

static flv_rc listen_on(int fd,
                        const struct sockaddr *addr,
                        socklen_t len,
                        const char *what,
                        struct flv_err *err)
{
    if (fd < 0 || bind(fd, addr, len) != 0 || listen(fd, BACKLOG) != 0) {
        int sys = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return flv_fail_sys(err, sys == EADDRINUSE ? FLV_E_EXISTS : FLV_E_IO,
                            sys, "cannot listen on %s", what);
    }
    return FLV_OK;
}

flv_rc
flv_mdir_socket(const struct flv_mdir *d, int *out_fd, struct flv_err *err)
{
    /* The folder's own path may be longer than an address. */
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path),
                   "/proc/self/fd/%d/manager.sock", d->fd);
    (void)unlinkat(d->fd, "manager.sock", 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    flv_rc rc = listen_on(fd, (struct sockaddr *)&addr, sizeof(addr),
                          "manager.sock", err);
    if (rc == FLV_OK) {
        *out_fd = fd;
    }
    return rc;
}

flv_rc flv_mdir_tcp(uint16_t port,
                    int *out_fd,
                    uint16_t *out_port,
                    struct flv_err *err)
{
    return flv_http_listen("127.0.0.1", port, out_fd, out_port, err);
}
