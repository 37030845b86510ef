#include "cli/file.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PIECE_BYTES 65536
#define PATH_BYTES_MAX 4096

static flv_rc
read_all(int fd, const char *path, struct flv_buf *out, struct flv_err *err)
{
    for (;;) {
        uint8_t piece[PIECE_BYTES];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n == 0) {
            return FLV_OK;
        }
        if (n < 0 && errno != EINTR) {
            return flv_fail_sys(err, FLV_E_IO, errno, "cannot read %.120s",
                                path);
        }
        flv_rc rc = n > 0 ? flv_buf_add(out, piece, (size_t)n) : FLV_OK;
        if (rc == FLV_E_LIMIT) {
            return flv_fail(err, rc, "%.120s has more than %zu bytes", path,
                            out->max);
        }
        if (rc != FLV_OK) {
            return flv_fail(err, rc, "out of memory");
        }
    }
}

flv_rc cli_file_read(const char *path, struct flv_buf *out, struct flv_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot open %.120s", path);
    }
    flv_rc rc = read_all(fd, path, out, err);
    close(fd);
    return rc;
}

flv_rc cli_file_write(const char *path,
                      struct flv_slice bytes,
                      bool replace,
                      struct flv_err *err)
{
    char aside[PATH_BYTES_MAX];
    int len =
        snprintf(aside, sizeof aside, "%s.%ld.part", path, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof aside) {
        return flv_fail(err, FLV_E_INVALID, "the path %.80s is too long", path);
    }
    int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot write %.120s", path);
    }
    int sys = flv_file_write_all(fd, bytes);
    if (close(fd) != 0 && sys == 0) {
        sys = errno;
    }
    if (sys == 0 && (replace ? rename(aside, path) : link(aside, path)) != 0) {
        sys = errno;
    }
    if (sys != 0 || !replace) {
        unlink(aside);
    }
    if (sys == 0) {
        return FLV_OK;
    }
    return sys == EEXIST
               ? flv_fail(err, FLV_E_EXISTS,
                          "%.120s is there already; choose another file with "
                          "--output",
                          path)
               : flv_fail_sys(err, FLV_E_IO, sys, "cannot write %.120s", path);
}
