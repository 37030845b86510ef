/*
 * recovery.h - a log while it is being opened.
 *
 * Purpose    What recover.c, which finds out what is there, and repair.c,
 *            which changes it, share. Internal to store.
 * Threads    One at a time; blocks.
 */
#ifndef FLV_STORE_RECOVERY_H
#define FLV_STORE_RECOVERY_H

#include "store/log_impl.h"
#include "store/names.h"
#include "store/scan.h"

/* The first kept group that nothing proves to be synced. */
struct flv__unproven {
    uint64_t pos; /* 0: not even the file's header is */
    uint64_t group;
    int64_t offset;
};

struct flv__recovery {
    struct flv_log *log;
    const struct flv_log_conf *conf;
    struct flv_log_report *report;
    /* the directory */
    struct flv__names names;
    uint32_t leftovers; /* the first segments, below the log's start */
    /* the checkpoint */
    struct flv__checkpoint ck;
    struct flv__index ck_index; /* owned */
    bool have_ck;
    /* the scan */
    struct flv__segment *scanned; /* borrowed; the one being scanned */
    bool torn_rolls;              /* segments that never got a header, marked */
    bool damaged;
    uint32_t damaged_at;   /* segment to read up to its damage, ... */
    bool none_readable;    /* ... if it can be read at all */
    struct flv__scan tail; /* where the scan of the newest one ended */
    uint64_t lost_bytes;   /* behind it: zeros that are not room */
    bool later;            /* what is unproven is left to the next sync: */
    struct flv__unproven unproven; /* in the newest */
    struct flv__unproven before;   /* in the one before it, if that is `next` */
    struct flv_err why;
};

/* Files that never got a header are marked in names.segments and names.nexts:
 * there is nothing in them, and they are removed. */
#define FLV__MARK(base) (-1 - (base))

/* recover.c */
FLV_CHECKED flv_rc flv__recovery_no_memory(const struct flv__recovery *r,
                                           struct flv_err *err);
void flv__recovery_note(const struct flv__recovery *r,
                        enum flv_log_note_kind kind,
                        const char *file,
                        uint64_t pos,
                        uint64_t bytes,
                        const char *text);
/* Opens the file of that path, which was just made and becomes the caller's;
 * NULL: no memory. On failure *path and *file are NULL. */
FLV_CHECKED flv_rc flv__recovery_open(const struct flv__recovery *r,
                                      char *made,
                                      enum flv_io_open how,
                                      char **path,
                                      struct flv_file **file,
                                      struct flv_err *err);
FLV_CHECKED flv_rc flv__recovery_add(struct flv__recovery *r,
                                     const struct flv__segment_head *head,
                                     struct flv__segment **out,
                                     struct flv_err *err);
/* Whether the segment `base`, which another says that it follows, is such a
 * file: then it had a header once, and it is damage. */
bool flv__recovery_headless(struct flv__recovery *r, int64_t base);
/* Reads the newest segment, of which `path` goes on being borrowed by
 * r->tail: the log ends where that does, or r->damaged is set. Groups up to
 * `synced` are known to be. */
FLV_CHECKED flv_rc flv__recovery_scan_newest(struct flv__recovery *r,
                                             const char *path,
                                             uint64_t synced,
                                             struct flv_err *err);

/* repair.c: all segments have been read and none is damaged. r->tail is where
 * the last of them ends. Goes on with the one to come, if there is one; what
 * is torn is set aside, what is kept is made durable or left to the next sync
 * (r->later). May find damage. */
FLV_CHECKED flv_rc flv__repair(struct flv__recovery *r, struct flv_err *err);
FLV_CHECKED flv_rc flv__repair_torn_rolls(const struct flv__recovery *r,
                                          struct flv_err *err);

#endif
