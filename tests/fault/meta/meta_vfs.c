#include "meta_vfs.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define PATH_MAX_BYTES 256

/* What SQLite allocates for a file. */
struct meta_file {
    sqlite3_file base;
    struct flv_file *file; /* owned */
    enum meta_call sync;   /* what its sync counts as */
    bool sync_dir;         /* its next sync is also one of the folder */
    char path[PATH_MAX_BYTES];
};

static struct meta_disk *disk; /* borrowed */

static struct meta_file *of(sqlite3_file *f)
{
    return (struct meta_file *)f;
}

/* True: not to be done. */
static bool left_out(enum meta_call call)
{
    disk->count[call]++;
    return (disk->ignored & (1u << call)) != 0;
}

static int failed(const struct flv_err *err, int code)
{
    disk->sys = err->sys;
    return err->sys == ENOSPC ? SQLITE_FULL : code;
}

/* A stopped file system: counts as a call that failed. */
static bool refuses(void)
{
    if (disk->stopped) {
        disk->sys = EROFS;
    }
    return disk->stopped;
}

static int sync_folder(const char *path)
{
    char dir[PATH_MAX_BYTES];
    const char *slash = strrchr(path, '/');
    struct flv_err err = {0};

    if (left_out(META_DIR)) {
        return SQLITE_OK;
    }
    assert(slash != NULL);
    snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    if (disk->sim.io.ops->sync_dir(&disk->sim.io, dir, FLV_SYNC_CREATE_PARENT,
                                   &err) != FLV_OK) {
        disk->stopped = true;
        return failed(&err, SQLITE_IOERR_DIR_FSYNC);
    }
    return SQLITE_OK;
}

/* ---- a file ---- */

static int meta_close(sqlite3_file *f)
{
    flv_io_close(of(f)->file);
    of(f)->file = NULL;
    return SQLITE_OK;
}

static int meta_read(sqlite3_file *f, void *buf, int len, sqlite3_int64 pos)
{
    struct flv_err err = {0};
    size_t done = 0;

    if (flv_io_read_full(of(f)->file, buf, (size_t)len, (uint64_t)pos, &done,
                         &err) != FLV_OK) {
        return failed(&err, SQLITE_IOERR_READ);
    }
    if (done < (size_t)len) {
        memset((char *)buf + done, 0, (size_t)len - done);
        return SQLITE_IOERR_SHORT_READ;
    }
    return SQLITE_OK;
}

static int
meta_write(sqlite3_file *f, const void *buf, int len, sqlite3_int64 pos)
{
    struct flv_err err = {0};
    union {
        const void *seen;
        void *base;
    } bytes = {.seen = buf};
    struct iovec iov = {.iov_base = bytes.base, .iov_len = (size_t)len};

    if (refuses()) {
        return SQLITE_IOERR_WRITE;
    }
    if (of(f)->sync == META_RESCUE_SYNC && left_out(META_RESCUE_WRITE)) {
        return SQLITE_OK;
    }
    if (flv_io_write_all(of(f)->file, &iov, 1, (uint64_t)pos, &err) != FLV_OK) {
        return failed(&err, SQLITE_IOERR_WRITE);
    }
    return SQLITE_OK;
}

static int meta_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct flv_err err = {0};

    if (refuses() || disk->sim.io.ops->truncate(of(f)->file, (uint64_t)size,
                                                &err) != FLV_OK) {
        return failed(&err, SQLITE_IOERR_TRUNCATE);
    }
    return SQLITE_OK;
}

static int meta_sync(sqlite3_file *f, int flags)
{
    struct flv_err err = {0};

    (void)flags;
    if (refuses()) {
        return SQLITE_IOERR_FSYNC;
    }
    if (!left_out(of(f)->sync) &&
        disk->sim.io.ops->sync(of(f)->file, FLV_SYNC_COMMIT, &err) != FLV_OK) {
        return failed(&err, SQLITE_IOERR_FSYNC);
    }
    if (of(f)->sync_dir) {
        of(f)->sync_dir = false;
        (void)sync_folder(of(f)->path);
    }
    return SQLITE_OK;
}

static int meta_size(sqlite3_file *f, sqlite3_int64 *out)
{
    struct flv_err err = {0};
    uint64_t size = 0;

    if (disk->sim.io.ops->size(of(f)->file, &size, &err) != FLV_OK) {
        return failed(&err, SQLITE_IOERR_FSTAT);
    }
    *out = (sqlite3_int64)size;
    return SQLITE_OK;
}

static int meta_lock(sqlite3_file *f, int level)
{
    (void)f;
    (void)level;
    return SQLITE_OK;
}

static int meta_is_reserved(sqlite3_file *f, int *out)
{
    (void)f;
    *out = 0;
    return SQLITE_OK;
}

static int meta_control(sqlite3_file *f, int op, void *arg)
{
    (void)f;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

/* These two as the VFS for unix has them. */
static int meta_sector_size(sqlite3_file *f)
{
    (void)f;
    return 4096;
}

static int meta_traits(sqlite3_file *f)
{
    (void)f;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = meta_close,
    .xRead = meta_read,
    .xWrite = meta_write,
    .xTruncate = meta_truncate,
    .xSync = meta_sync,
    .xFileSize = meta_size,
    .xLock = meta_lock,
    .xUnlock = meta_lock,
    .xCheckReservedLock = meta_is_reserved,
    .xFileControl = meta_control,
    .xSectorSize = meta_sector_size,
    .xDeviceCharacteristics = meta_traits,
};

/* ---- the file system ---- */

static int meta_open(sqlite3_vfs *vfs,
                     const char *path,
                     sqlite3_file *out,
                     int flags,
                     int *out_flags)
{
    struct meta_file *f = of(out);
    struct flv_io *io = &disk->sim.io;
    struct flv_err err = {0};
    bool create = (flags & SQLITE_OPEN_CREATE) != 0;

    (void)vfs;
    *f = (struct meta_file){0};
    /* There are no temporary files: temp_store is MEMORY. */
    assert(path != NULL && strlen(path) < sizeof f->path);
    snprintf(f->path, sizeof f->path, "%s", path);
    if ((flags & SQLITE_OPEN_WAL) != 0) {
        f->sync = create ? META_WAL : META_RESCUE_SYNC;
    } else if ((flags & SQLITE_OPEN_MAIN_JOURNAL) != 0) {
        f->sync = META_JOURNAL;
    } else {
        assert((flags & SQLITE_OPEN_MAIN_DB) != 0);
        f->sync = META_DB;
    }
    f->sync_dir = create && f->sync != META_DB;
    flv_rc rc = io->ops->open(
        io, path,
        (flags & SQLITE_OPEN_READWRITE) != 0 ? FLV_IO_WRITE : FLV_IO_READ,
        &f->file, &err);
    if (rc == FLV_E_NOT_FOUND && create && !refuses()) {
        rc = io->ops->open(io, path, FLV_IO_CREATE, &f->file, &err);
    }
    if (rc != FLV_OK) {
        disk->sys = err.sys;
        return SQLITE_CANTOPEN;
    }
    f->base.pMethods = &methods;
    if (out_flags != NULL) {
        *out_flags = flags;
    }
    return SQLITE_OK;
}

static int meta_delete(sqlite3_vfs *vfs, const char *path, int dir_sync)
{
    struct flv_io *io = &disk->sim.io;
    struct flv_err err = {0};

    (void)vfs;
    if (refuses()) {
        return SQLITE_IOERR_DELETE;
    }
    flv_rc rc = io->ops->unlink(io, path, &err);
    if (rc != FLV_OK) {
        return failed(&err, rc == FLV_E_NOT_FOUND ? SQLITE_IOERR_DELETE_NOENT
                                                  : SQLITE_IOERR_DELETE);
    }
    return (dir_sync & 1) != 0 ? sync_folder(path) : SQLITE_OK;
}

/* An empty file does not count. */
static int meta_access(sqlite3_vfs *vfs, const char *path, int what, int *out)
{
    size_t len = 0;

    (void)vfs;
    if (disk->sim.down) {
        return SQLITE_IOERR_ACCESS;
    }
    *out = sim_bytes(&disk->sim, path, &len) != NULL &&
           (what != SQLITE_ACCESS_EXISTS || len > 0);
    return SQLITE_OK;
}

static int
meta_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    int len = snprintf(out, (size_t)size, "%s", path);
    return len < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int meta_randomness(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs;
    for (int i = 0; i < len; i++) {
        disk->random = disk->random * 6364136223846793005u + 1442695040888963u;
        out[i] = (char)(disk->random >> 56);
    }
    return len;
}

static int meta_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int meta_time(sqlite3_vfs *vfs, double *out)
{
    (void)vfs;
    *out = 2460000.5;
    return SQLITE_OK;
}

static int meta_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    (void)size;
    (void)out;
    return disk->sys;
}

static sqlite3_vfs vfs = {
    .iVersion = 1,
    .szOsFile = sizeof(struct meta_file),
    .mxPathname = PATH_MAX_BYTES - 1,
    .zName = "meta-twin",
    .xOpen = meta_open,
    .xDelete = meta_delete,
    .xAccess = meta_access,
    .xFullPathname = meta_full_path,
    .xRandomness = meta_randomness,
    .xSleep = meta_sleep,
    .xCurrentTime = meta_time,
    .xGetLastError = meta_last_error,
};

/* ---- the disk ---- */

const char *meta_call_text(enum meta_call call)
{
    static const char *const texts[META_CALL_COUNT] = {
#define META_IGNORE_TEXT(name, text) [META_##name] = (text),
        META_IGNORE_MAP(META_IGNORE_TEXT)
#undef META_IGNORE_TEXT
    };

    return texts[call];
}

void meta_disk_use(struct meta_disk *d, uint64_t seed)
{
    disk = d;
    d->random = seed;
    if (sqlite3_vfs_find(NULL) != &vfs) {
        int code = sqlite3_vfs_register(&vfs, 1);
        assert(code == SQLITE_OK);
        (void)code;
    }
    sqlite3_randomness(0, NULL);
}

void meta_disk_power_cut(struct meta_disk *d)
{
    sim_power_cut(&d->sim);
    d->stopped = false;
}
