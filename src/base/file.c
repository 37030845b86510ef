#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void flv_file_take_std(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) {
            continue;
        }
        /* Those below it are open, so it is the one that is given. */
        int got = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        assert(got < 0 || got == fd);
    }
}

int flv_file_write_all(int fd, struct flv_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n > 0) {
            bytes = flv_slice(bytes.data + n, bytes.len - (size_t)n);
        }
    }
    return 0;
}

int flv_file_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int sys;

    if (fd < 0) {
        return errno;
    }
    sys = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return sys;
}

/* What an older one was left with, as its mode, does not matter. */
static int write_aside(int fd, bool durable, struct flv_slice bytes)
{
    int sys = fchmod(fd, 0600) == 0 ? 0 : errno;

    sys = sys == 0 ? flv_file_write_all(fd, bytes) : sys;
    if (sys == 0 && durable && fsync(fd) != 0) {
        sys = errno;
    }
    if (close(fd) != 0 && sys == 0) {
        sys = errno;
    }
    return sys;
}

int flv_file_replace(const struct flv_file_replace *r, struct flv_slice bytes)
{
    int fd =
        openat(r->dir_fd, r->aside,
               O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int sys;

    if (fd < 0) {
        return errno;
    }
    sys = write_aside(fd, r->durable, bytes);
    if (sys == 0 && renameat(r->dir_fd, r->aside, r->dir_fd, r->name) != 0) {
        sys = errno;
    }
    if (sys != 0) {
        (void)unlinkat(r->dir_fd, r->aside, 0);
        return sys;
    }
    return r->durable && fsync(r->dir_fd) != 0 ? errno : 0;
}
