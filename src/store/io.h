/*
 * io.h - the I/O seam: everything store asks of a disk.
 *
 * Purpose    One table of operations between store and the operating system,
 *            so that tests can put a disk below it that loses, tears, fails
 *            and delays. Nothing in store calls the system on its own.
 * Threads    Operations may be called from any thread, several at a time;
 *            two writes to one file are never concurrent.
 * Ownership  Paths and buffers are borrowed for the call. A struct flv_file
 *            belongs to whoever opened it, until flv_io_close().
 * Errors     NOSPACE (disk or quota full), NOT_FOUND, EXISTS, NOMEM, IO with
 *            errno in err->sys. The text names the path.
 * Units      pos and sizes in bytes.
 * See        io_posix.c, tests/fault/store/io_sim.h
 */
#ifndef FLV_STORE_IO_H
#define FLV_STORE_IO_H

#include <fluvio/err.h>
#include <stdint.h>
#include <sys/uio.h>

/* Every place in store that makes something durable, X(name, text). Each is
 * used exactly once, and the tests show that none can be left out. */
#define FLV_SYNC_MAP(X)                                                        \
    X(CREATE_PARENT, "create-parent")     /* the partition's own directory */  \
    X(SEGMENT_HEADER, "segment-header")   /* a new segment's first bytes */    \
    X(SEGMENT_DIR, "segment-dir")         /* its name */                       \
    X(SEGMENT_SEAL, "segment-seal")       /* the old one before that */        \
    X(COMMIT, "commit")                   /* a group of a disk topic */        \
    X(ROLL_BACK, "roll-back")             /* no trace of a refused group */    \
    X(FLUSH, "flush")                     /* what a page-cache topic wrote */  \
    X(CHECKPOINT_FILE, "checkpoint-file") /* before it gets its name */        \
    X(CHECKPOINT_DIR, "checkpoint-dir")   /* its name */                       \
    X(TORN_FILE, "torn-file")             /* what recovery sets aside */       \
    X(TORN_DIR, "torn-dir")               /* its name */                       \
    X(RECOVER_TAIL, "recover-tail")       /* what recovery keeps */            \
    X(RECOVER_BEFORE, "recover-before")   /* the same before the newest */     \
    X(RECOVER_DIR, "recover-dir")         /* the names that it relies on */    \
    X(DELETE, "delete")                   /* the partition's disappearance */

#define FLV_SYNC_ENUM(name, text) FLV_SYNC_##name,
enum flv_sync { FLV_SYNC_MAP(FLV_SYNC_ENUM) FLV_SYNC_COUNT };
#undef FLV_SYNC_ENUM

const char *flv_sync_text(enum flv_sync site);

enum flv_io_open {
    FLV_IO_READ,      /* existing file, only read */
    FLV_IO_WRITE,     /* existing file, read and written */
    FLV_IO_CREATE,    /* made; EXISTS if it is there */
    FLV_IO_OVERWRITE, /* made, or emptied if it is there */
};

struct flv_io;

/* Base of what an implementation opens; it puts its own fields behind. */
struct flv_file {
    struct flv_io *io; /* borrowed */
};

typedef void (*flv_io_name_fn)(void *user, const char *name);

/* `write` and `read` may do less than asked (at least one byte, except that
 * a read at the end of the file does 0); flv_io_write_all() and
 * flv_io_read_full() repeat them. */
struct flv_io_ops {
    flv_rc (*open)(struct flv_io *io,
                   const char *path,
                   enum flv_io_open how,
                   struct flv_file **out,
                   struct flv_err *err);
    void (*close)(struct flv_file *file);
    flv_rc (*write)(struct flv_file *file,
                    const struct iovec *iov,
                    int count,
                    uint64_t pos,
                    size_t *done,
                    struct flv_err *err);
    flv_rc (*read)(struct flv_file *file,
                   void *buf,
                   size_t len,
                   uint64_t pos,
                   size_t *done,
                   struct flv_err *err);
    flv_rc (*size)(struct flv_file *file, uint64_t *out, struct flv_err *err);
    /* When it was last written to: ms of wall time since 1970. */
    flv_rc (*written)(struct flv_file *file, int64_t *out, struct flv_err *err);
    /* Does not count as written. */
    flv_rc (*truncate)(struct flv_file *file,
                       uint64_t size,
                       struct flv_err *err);
    /* fdatasync: content and size. */
    flv_rc (*sync)(struct flv_file *file,
                   enum flv_sync site,
                   struct flv_err *err);
    /* fsync of a directory: the names in it. */
    flv_rc (*sync_dir)(struct flv_io *io,
                       const char *path,
                       enum flv_sync site,
                       struct flv_err *err);
    flv_rc (*rename)(struct flv_io *io,
                     const char *from,
                     const char *to,
                     struct flv_err *err);
    flv_rc (*unlink)(struct flv_io *io, const char *path, struct flv_err *err);
    flv_rc (*mkdir)(struct flv_io *io, const char *path, struct flv_err *err);
    flv_rc (*rmdir)(struct flv_io *io, const char *path, struct flv_err *err);
    /* Names in no order, without "." and ".."; fn must not change the
     * directory. NOT_FOUND if there is none. */
    flv_rc (*list)(struct flv_io *io,
                   const char *path,
                   flv_io_name_fn fn,
                   void *user,
                   struct flv_err *err);
    /* Bytes that may still be written to the disk of `path`. */
    flv_rc (*space)(struct flv_io *io,
                    const char *path,
                    uint64_t *out,
                    struct flv_err *err);
    /* Before a sync of much: writes these bytes out, little at a time, so that
     * others who want the disk need not wait behind all of it. Nothing is
     * durable after it; an error counts as one of the sync. May be NULL. */
    flv_rc (*write_out)(struct flv_file *file,
                        uint64_t pos,
                        uint64_t len,
                        struct flv_err *err);
    /* A hint that these bytes will not be read again soon. May be NULL. */
    void (*forget)(struct flv_file *file, uint64_t pos, uint64_t len);
};

struct flv_io {
    const struct flv_io_ops *ops; /* borrowed */
};

/* The operating system's files. One for the process; never freed. */
struct flv_io *flv_io_posix(void);

/* NULL is allowed. */
void flv_io_close(struct flv_file *file);

/* All of it, or an error; *iov is used up on the way. */
FLV_CHECKED flv_rc flv_io_write_all(struct flv_file *file,
                                    struct iovec *iov,
                                    int count,
                                    uint64_t pos,
                                    struct flv_err *err);
/* As much as there is: *done < len only at the end of the file. */
FLV_CHECKED flv_rc flv_io_read_full(struct flv_file *file,
                                    void *buf,
                                    size_t len,
                                    uint64_t pos,
                                    size_t *done,
                                    struct flv_err *err);
/* Writes bytes [pos, end) of `from` at to_pos of `to`, which may be the same
 * file; `path` is that of `from`. IO if it ends before that, NOMEM. */
FLV_CHECKED flv_rc flv_io_copy(struct flv_file *from,
                               const char *path,
                               uint64_t pos,
                               uint64_t end,
                               struct flv_file *to,
                               uint64_t to_pos,
                               struct flv_err *err);

#endif
