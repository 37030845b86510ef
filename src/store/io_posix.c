/* The I/O seam over Linux system calls. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/io.h"

#define IOV_MANY 1024 /* Linux takes no more in one call */
/* What is at least so much is written out before it is synced. */
#define WRITE_OUT_MIN (4 << 20)
/* Then twice so much is in flight, which a disk of 300 MB/s has done in 3 ms,
 * ... */
#define WRITE_OUT_BYTES (512 << 10)
/* ... of so many files, whoever asks. */
#define WRITE_OUT_FILES 2

struct posix_file {
    struct flv_file base;
    int fd;      /* owned */
    char path[]; /* for error texts */
};

static flv_rc
fail(struct flv_err *err, int sys, const char *what, const char *path)
{
    flv_rc rc = FLV_E_IO;

    switch (sys) {
    case ENOSPC:
    case EDQUOT:
        rc = FLV_E_NOSPACE;
        break;
    case ENOENT:
        rc = FLV_E_NOT_FOUND;
        break;
    case EEXIST:
        rc = FLV_E_EXISTS;
        break;
    /* Too many open files: may pass, and nothing was written. */
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        rc = FLV_E_NOMEM;
        break;
    default:
        break;
    }
    return flv_fail_sys(err, rc, sys, "cannot %s %s", what, path);
}

static struct posix_file *of(struct flv_file *file)
{
    return (struct posix_file *)file;
}

static flv_rc posix_open(struct flv_io *io,
                         const char *path,
                         enum flv_io_open how,
                         struct flv_file **out,
                         struct flv_err *err)
{
    static const int flags[] = {
        [FLV_IO_READ] = O_RDONLY,
        [FLV_IO_WRITE] = O_RDWR,
        [FLV_IO_CREATE] = O_RDWR | O_CREAT | O_EXCL,
        [FLV_IO_OVERWRITE] = O_RDWR | O_CREAT | O_TRUNC,
    };
    size_t path_size = strlen(path) + 1;
    struct posix_file *file = flv_alloc(sizeof(*file) + path_size);

    if (file == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "no memory to open %s", path);
    }
    file->base.io = io;
    memcpy(file->path, path, path_size);
    do {
        file->fd = open(path, flags[how] | O_CLOEXEC, 0640);
    } while (file->fd < 0 && errno == EINTR);
    if (file->fd < 0) {
        flv_rc rc =
            fail(err, errno, how >= FLV_IO_CREATE ? "create" : "open", path);

        flv_free(file);
        return rc;
    }
    *out = &file->base;
    return FLV_OK;
}

static void posix_close(struct flv_file *file)
{
    close(of(file)->fd);
    flv_free(file);
}

static flv_rc posix_write(struct flv_file *file,
                          const struct iovec *iov,
                          int count,
                          uint64_t pos,
                          size_t *done,
                          struct flv_err *err)
{
    ssize_t n;

    do {
        n = pwritev(of(file)->fd, iov, count < IOV_MANY ? count : IOV_MANY,
                    (off_t)pos);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return fail(err, n < 0 ? errno : EIO, "write to", of(file)->path);
    }
    *done = (size_t)n;
    return FLV_OK;
}

static flv_rc posix_read(struct flv_file *file,
                         void *buf,
                         size_t len,
                         uint64_t pos,
                         size_t *done,
                         struct flv_err *err)
{
    ssize_t n;

    do {
        n = pread(of(file)->fd, buf, len, (off_t)pos);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return fail(err, errno, "read", of(file)->path);
    }
    *done = (size_t)n;
    return FLV_OK;
}

static flv_rc
posix_size(struct flv_file *file, uint64_t *out, struct flv_err *err)
{
    struct stat st;

    if (fstat(of(file)->fd, &st) != 0) {
        return fail(err, errno, "get the size of", of(file)->path);
    }
    *out = (uint64_t)st.st_size;
    return FLV_OK;
}

static flv_rc
posix_written(struct flv_file *file, int64_t *out, struct flv_err *err)
{
    struct stat st;

    if (fstat(of(file)->fd, &st) != 0) {
        return fail(err, errno, "get the time of", of(file)->path);
    }
    *out = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return FLV_OK;
}

static flv_rc
posix_truncate(struct flv_file *file, uint64_t size, struct flv_err *err)
{
    int fd = of(file)->fd;
    struct stat st;
    int rc = fstat(fd, &st);

    while (rc == 0 && ftruncate(fd, (off_t)size) != 0) {
        rc = errno == EINTR ? 0 : -1;
    }
    if (rc == 0) {
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};

        (void)futimens(fd, times); /* it only looks younger */
    }
    return rc == 0 ? FLV_OK : fail(err, errno, "truncate", of(file)->path);
}

static flv_rc
posix_sync(struct flv_file *file, enum flv_sync site, struct flv_err *err)
{
    (void)site;
    /* Never tried again, not even after EINTR: the kernel may have dropped
     * the pages that it could not write. */
    return fdatasync(of(file)->fd) == 0
               ? FLV_OK
               : fail(err, errno, "sync", of(file)->path);
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int under_way;
} writing_out = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void wait_in_line(void)
{
    pthread_mutex_lock(&writing_out.lock);
    while (writing_out.under_way == WRITE_OUT_FILES) {
        pthread_cond_wait(&writing_out.ended, &writing_out.lock);
    }
    writing_out.under_way++;
    pthread_mutex_unlock(&writing_out.lock);
}

static void leave_line(void)
{
    pthread_mutex_lock(&writing_out.lock);
    writing_out.under_way--;
    pthread_cond_signal(&writing_out.ended);
    pthread_mutex_unlock(&writing_out.lock);
}

/* The next piece is begun before the last one is waited for: a disk that has
 * nothing to do is no use to anybody. */
static int write_pieces(int fd, off_t pos, off_t end)
{
    const off_t piece = WRITE_OUT_BYTES;
    int rc = 0;

    for (; rc == 0 && pos < end; pos += piece) {
        if (pos + piece < end) {
            rc = sync_file_range(fd, pos + piece, piece, SYNC_FILE_RANGE_WRITE);
        }
        /* gVisor knows no other way to wait. */
        if (rc == 0) {
            rc = sync_file_range(fd, pos, piece, SYNC_FILE_RANGE_WAIT_AFTER);
        }
    }
    return rc;
}

/* There are systems that cannot do it, or may not; the sync writes all the
 * same. They say so at once. Later nothing is passed over, whatever its number:
 * who waits for pages uses up the errors of the file, and the sync, which is of
 * the same descriptor, would not tell of them again. */
static bool cannot_write_out(int sys)
{
    return sys == ENOSYS || sys == EPERM || sys == EINVAL || sys == ESPIPE;
}

static flv_rc write_much(const struct posix_file *file,
                         off_t pos,
                         off_t end,
                         struct flv_err *err)
{
    if (sync_file_range(file->fd, pos, WRITE_OUT_BYTES,
                        SYNC_FILE_RANGE_WRITE) != 0) {
        return cannot_write_out(errno) ? FLV_OK
                                       : fail(err, errno, "sync", file->path);
    }
    return write_pieces(file->fd, pos, end) == 0
               ? FLV_OK
               : fail(err, errno, "sync", file->path);
}

static flv_rc posix_write_out(struct flv_file *file,
                              uint64_t pos,
                              uint64_t len,
                              struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    if (len >= WRITE_OUT_MIN) {
        wait_in_line();
        rc = write_much(of(file), (off_t)pos, (off_t)(pos + len), err);
        leave_line();
    }
    return rc;
}

static flv_rc posix_sync_dir(struct flv_io *io,
                             const char *path,
                             enum flv_sync site,
                             struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)io;
    (void)site;
    if (fd < 0) {
        return fail(err, errno, "open directory", path);
    }
    if (fsync(fd) != 0) {
        rc = fail(err, errno, "sync directory", path);
    }
    close(fd);
    return rc;
}

static flv_rc posix_rename(struct flv_io *io,
                           const char *from,
                           const char *to,
                           struct flv_err *err)
{
    (void)io;
    return rename(from, to) == 0 ? FLV_OK : fail(err, errno, "rename", from);
}

static flv_rc
posix_unlink(struct flv_io *io, const char *path, struct flv_err *err)
{
    (void)io;
    return unlink(path) == 0 ? FLV_OK : fail(err, errno, "remove", path);
}

static flv_rc
posix_mkdir(struct flv_io *io, const char *path, struct flv_err *err)
{
    (void)io;
    return mkdir(path, 0750) == 0 ? FLV_OK
                                  : fail(err, errno, "create directory", path);
}

static flv_rc
posix_rmdir(struct flv_io *io, const char *path, struct flv_err *err)
{
    (void)io;
    return rmdir(path) == 0 ? FLV_OK
                            : fail(err, errno, "remove directory", path);
}

static flv_rc posix_list(struct flv_io *io,
                         const char *path,
                         flv_io_name_fn fn,
                         void *user,
                         struct flv_err *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int sys;

    (void)io;
    if (dir == NULL) {
        return fail(err, errno, "list directory", path);
    }
    for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0) {
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0) {
            fn(user, entry->d_name);
        }
    }
    sys = errno;
    closedir(dir);
    return sys == 0 ? FLV_OK : fail(err, sys, "list directory", path);
}

static flv_rc posix_space(struct flv_io *io,
                          const char *path,
                          uint64_t *out,
                          struct flv_err *err)
{
    struct statvfs st;

    (void)io;
    if (statvfs(path, &st) != 0) {
        return fail(err, errno, "get the free space of", path);
    }
    *out = (uint64_t)st.f_bavail * st.f_frsize;
    return FLV_OK;
}

static void posix_forget(struct flv_file *file, uint64_t pos, uint64_t len)
{
    (void)posix_fadvise(((struct posix_file *)file)->fd, (off_t)pos, (off_t)len,
                        POSIX_FADV_DONTNEED);
}

struct flv_io *flv_io_posix(void)
{
    static const struct flv_io_ops ops = {
        .open = posix_open,
        .close = posix_close,
        .write = posix_write,
        .read = posix_read,
        .size = posix_size,
        .written = posix_written,
        .truncate = posix_truncate,
        .sync = posix_sync,
        .sync_dir = posix_sync_dir,
        .rename = posix_rename,
        .unlink = posix_unlink,
        .mkdir = posix_mkdir,
        .rmdir = posix_rmdir,
        .list = posix_list,
        .space = posix_space,
        .write_out = posix_write_out,
        .forget = posix_forget,
    };
    static struct flv_io io = {.ops = &ops};

    return &io;
}
