#include "manager/logs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define COPY_BYTES ((size_t)64 * 1024)
/* A rotated file that still grows past this many ceilings is cut. */
#define STALE_FACTOR 2
/* Of file systems that can take the front of a file away. */
#define BLOCK ((uint64_t)4096)
#define LOOKS_MAX 8

static void path_of(const struct flv_logs *l,
                    const char *name,
                    unsigned number,
                    char out[PATH_MAX])
{
    if (number == 0) {
        (void)snprintf(out, PATH_MAX, "%s/%s.log", l->dir, name);
    } else {
        (void)snprintf(out, PATH_MAX, "%s/%s.log.%u", l->dir, name, number);
    }
}

static uint64_t size_of(const struct flv_logs *l, const char *name, unsigned n)
{
    char path[PATH_MAX];
    struct stat st;
    path_of(l, name, n, path);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* ---- Rotation ---------------------------------------------------------- */

/* Makes room for NAME.log.1; the oldest goes. */
static void shift(const struct flv_logs *l, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    for (unsigned n = l->files_max; n > 0; n--) {
        path_of(l, name, n, from);
        if (n == l->files_max) {
            (void)unlink(from);
        } else {
            path_of(l, name, n + 1, to);
            (void)rename(from, to);
        }
    }
}

/* Copies [from, upto) of one file behind the other. */
static bool copy_part(int in, int out, uint64_t from, uint64_t upto, char *buf)
{
    while (from < upto) {
        size_t want =
            upto - from < COPY_BYTES ? (size_t)(upto - from) : COPY_BYTES;
        ssize_t n = pread(in, buf, want, (off_t)from);
        if (n <= 0 || write(out, buf, (size_t)n) != n) {
            return false;
        }
        from += (uint64_t)n;
    }
    return true;
}

static uint64_t bytes_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Where the file system can take the front of a file away, no line is lost:
 * what the writer appends meanwhile stays behind the cut, which lies on a
 * block and may go through a line. */
static bool cut_front(int fd, int out, uint64_t max, char *buf)
{
    uint64_t size = bytes_of(fd);
    uint64_t cut = size > BLOCK ? (size - 1) / BLOCK * BLOCK : 0;
    return cut > 0 && copy_part(fd, out, cut > max ? cut - max : 0, cut, buf) &&
           fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, (off_t)cut) == 0;
}

/* Everywhere else what is written between the last look and the cut is lost:
 * the look is made so short that it is next to nothing. */
static void cut_all(int fd, int out, uint64_t max, char *buf)
{
    uint64_t size = bytes_of(fd), done = size > max ? size - max : 0;
    if (out >= 0 && ftruncate(out, 0) != 0) {
        out = -1;
    }
    for (int i = 0; i < LOOKS_MAX && done < size; i++) {
        if (out < 0 || !copy_part(fd, out, done, size, buf)) {
            break; /* on a full disk the lines are lost, the disk is not */
        }
        done = size;
        size = bytes_of(fd);
    }
    (void)!ftruncate(fd, 0);
}

/* The writer keeps the file, which begins anew under it. */
static enum flv_rotate cut_file(const struct flv_logs *l, const char *name)
{
    char path[PATH_MAX], old[PATH_MAX];
    path_of(l, name, 0, path);
    path_of(l, name, 1, old);
    int fd = open(path, O_RDWR | O_CLOEXEC), out = -1;
    char *buf = flv_alloc(COPY_BYTES);
    if (l->files_max > 0 && buf != NULL) {
        shift(l, name);
        out = open(old, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
                   0600);
    }
    if (fd >= 0 && (out < 0 || !cut_front(fd, out, l->bytes_max, buf))) {
        cut_all(fd, out, l->bytes_max, buf);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (out >= 0) {
        (void)close(out);
    }
    flv_free(buf);
    return FLV_ROTATE_CUT;
}

static enum flv_rotate move_file(const struct flv_logs *l, const char *name)
{
    char path[PATH_MAX], old[PATH_MAX];
    path_of(l, name, 0, path);
    path_of(l, name, 1, old);
    shift(l, name);
    if (rename(path, old) != 0) {
        return FLV_ROTATE_NO;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)close(fd);
    }
    return FLV_ROTATE_REOPEN;
}

enum flv_rotate
flv_logs_rotate(const struct flv_logs *l, const char *name, bool cut)
{
    char old[PATH_MAX];
    /* A writer that was told and did not hear goes on in the old file. */
    if (l->files_max > 0 && size_of(l, name, 1) > STALE_FACTOR * l->bytes_max) {
        path_of(l, name, 1, old);
        (void)!truncate(old, 0);
    }
    if (size_of(l, name, 0) <= l->bytes_max) {
        return FLV_ROTATE_NO;
    }
    return cut || l->files_max == 0 ? cut_file(l, name) : move_file(l, name);
}

/* ---- Reading ----------------------------------------------------------- */

/* Appends [from, size) of an open file. */
static flv_rc
add_part(int fd, uint64_t from, uint64_t size, struct flv_buf *out)
{
    while (from < size) {
        size_t want =
            size - from < COPY_BYTES ? (size_t)(size - from) : COPY_BYTES;
        flv_rc rc = flv_buf_reserve(out, want);
        if (rc != FLV_OK) {
            return rc;
        }
        ssize_t n = pread(fd, out->data + out->len, want, (off_t)from);
        if (n <= 0) {
            return FLV_OK; /* cut meanwhile */
        }
        out->len += (size_t)n;
        from += (uint64_t)n;
    }
    return FLV_OK;
}

/* Where the last `*lines` lines of the file begin; counts them down. */
static uint64_t find_start(int fd, uint64_t size, unsigned *lines, char *buf)
{
    uint64_t pos = size;
    while (pos > 0) {
        uint64_t from = pos > COPY_BYTES ? pos - COPY_BYTES : 0;
        ssize_t n = pread(fd, buf, (size_t)(pos - from), (off_t)from);
        if (n <= 0) {
            return pos;
        }
        for (ssize_t i = n - 1; i >= 0; i--) {
            uint64_t at = from + (uint64_t)i;
            if (buf[i] == '\n' && at + 1 < size) {
                if (*lines == 1) {
                    *lines = 0;
                    return at + 1;
                }
                (*lines)--;
            }
        }
        pos = from;
    }
    *lines -= size > 0 ? 1 : 0; /* the first line has no feed before it */
    return 0;
}

struct part {
    int fd;
    uint64_t from, size;
};

flv_rc flv_logs_tail(const struct flv_logs *l,
                     const char *name,
                     unsigned lines,
                     struct flv_buf *out,
                     uint64_t *out_ino,
                     uint64_t *out_pos)
{
    struct part parts[100];
    unsigned count = 0;
    flv_rc rc = FLV_OK;
    char *buf = flv_alloc(COPY_BYTES);
    *out_ino = *out_pos = 0;
    if (buf == NULL) {
        return FLV_E_NOMEM;
    }
    for (unsigned n = 0; n <= l->files_max && n < 100; n++) {
        char path[PATH_MAX];
        struct stat st;
        path_of(l, name, n, path);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            break;
        }
        if (fstat(fd, &st) != 0) {
            st = (struct stat){.st_size = 0};
        }
        if (n == 0) {
            *out_ino = (uint64_t)st.st_ino;
            *out_pos = (uint64_t)st.st_size;
        }
        parts[count] = (struct part){.fd = fd, .size = (uint64_t)st.st_size};
        parts[count].from = lines > 0
                                ? find_start(fd, parts[count].size, &lines, buf)
                                : parts[count].size;
        count++;
        if (lines == 0) {
            break;
        }
    }
    while (count > 0) {
        const struct part *p = &parts[--count];
        rc = rc == FLV_OK ? add_part(p->fd, p->from, p->size, out) : rc;
        (void)close(p->fd);
    }
    flv_free(buf);
    return rc;
}

/* Opens the file that was followed so far, wherever it is called now. */
static int open_followed(const struct flv_logs *l,
                         const char *name,
                         uint64_t ino,
                         unsigned *out_number)
{
    for (unsigned n = 0; n <= 2; n++) {
        char path[PATH_MAX];
        struct stat st;
        path_of(l, name, n, path);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            return -1;
        }
        if (fstat(fd, &st) == 0 && (uint64_t)st.st_ino == ino) {
            *out_number = n;
            return fd;
        }
        (void)close(fd);
    }
    return -1;
}

size_t flv_logs_follow(const struct flv_logs *l,
                       const char *name,
                       uint64_t *ino,
                       uint64_t *pos,
                       char *to,
                       size_t max)
{
    unsigned number = 0;
    struct stat st;
    int fd = open_followed(l, name, *ino, &number);
    if (fd >= 0) {
        if (fstat(fd, &st) == 0 && (uint64_t)st.st_size < *pos) {
            /* It was cut: what went stands in the first old one. */
            uint64_t gone = size_of(l, name, 1);
            *pos = *pos > gone ? *pos - gone : 0;
        }
        ssize_t n = pread(fd, to, max, (off_t)*pos);
        (void)close(fd);
        if (n > 0) {
            *pos += (uint64_t)n;
            return (size_t)n;
        }
        if (number == 0) {
            return 0;
        }
    }
    /* The old file is read to its end: on with the new one. */
    char path[PATH_MAX];
    path_of(l, name, 0, path);
    if (stat(path, &st) != 0 || (uint64_t)st.st_ino == *ino) {
        return 0;
    }
    *ino = (uint64_t)st.st_ino;
    *pos = 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? pread(fd, to, max, 0) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    *pos = n > 0 ? (uint64_t)n : 0;
    return n > 0 ? (size_t)n : 0;
}
