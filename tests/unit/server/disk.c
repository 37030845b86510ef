#include "disk.h"

#include "cm.h"

#include <errno.h>
#include <sys/mman.h>

static struct flv_io_ops ops;
static struct flv_io io = {.ops = &ops};
/* Files come from the real one: what fails here is found without them. */
static struct disk *disk;

static flv_rc switched_write(struct flv_file *file,
                             const struct iovec *iov,
                             int count,
                             uint64_t pos,
                             size_t *done,
                             struct flv_err *err)
{
    if (atomic_load(&disk->full)) {
        return flv_fail_sys(err, FLV_E_NOSPACE, ENOSPC,
                            "cannot write to the log");
    }
    return flv_io_posix()->ops->write(file, iov, count, pos, done, err);
}

static flv_rc switched_read(struct flv_file *file,
                            void *buf,
                            size_t len,
                            uint64_t pos,
                            size_t *done,
                            struct flv_err *err)
{
    if (atomic_exchange(&disk->holds, false)) {
        sem_post(&disk->stopped);
        sem_wait(&disk->go);
    }
    return flv_io_posix()->ops->read(file, buf, len, pos, done, err);
}

static flv_rc
switched_sync(struct flv_file *file, enum flv_sync site, struct flv_err *err)
{
    if (atomic_load(&disk->sync_fails)) {
        return flv_fail_sys(err, FLV_E_IO, EIO, "cannot sync the log");
    }
    if (site == FLV_SYNC_FLUSH) {
        sem_post(&disk->flushes);
    }
    return flv_io_posix()->ops->sync(file, site, err);
}

static flv_rc switched_open(struct flv_io *own,
                            const char *path,
                            enum flv_io_open how,
                            struct flv_file **out,
                            struct flv_err *err)
{
    flv_rc rc = flv_io_posix()->ops->open(flv_io_posix(), path, how, out, err);
    if (rc == FLV_OK) {
        (*out)->io = own;
    }
    return rc;
}

struct disk *disk_init(void)
{
    ops = *flv_io_posix()->ops;
    ops.open = switched_open;
    ops.write = switched_write;
    ops.read = switched_read;
    ops.sync = switched_sync;
    disk = mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(disk != MAP_FAILED);
    assert_int_equal(sem_init(&disk->stopped, 1, 0), 0);
    assert_int_equal(sem_init(&disk->go, 1, 0), 0);
    assert_int_equal(sem_init(&disk->flushes, 1, 0), 0);
    return disk;
}

void disk_deinit(void)
{
    munmap(disk, sizeof *disk);
    disk = NULL;
}

struct flv_io *disk_io(void)
{
    return &io;
}
