/*
 * scan.h - reads the groups of a segment in order and verifies them.
 *
 * Purpose    What recovery, the offline check and the making of an index
 *            share. A scan stands in front of a group and knows what that
 *            group has to be. Internal to store.
 * Threads    One thread at a time; blocks.
 * Ownership  Borrows file and path; owns its buffer until flv__scan_deinit().
 * Errors     CORRUPT: the bytes at `pos` are not that group; IO, NOMEM.
 */
#ifndef FLV_STORE_SCAN_H
#define FLV_STORE_SCAN_H

#include "base/bytes.h"
#include "store/format.h"
#include "store/io.h"

/* Each batch of a group that was verified. */
typedef flv_rc (*flv__scan_fn)(void *user,
                               const struct flv__batch_head *head,
                               uint64_t pos,
                               struct flv_err *err);

struct flv__scan {
    struct flv_file *file; /* borrowed */
    const char *path;      /* borrowed */
    uint64_t file_bytes;
    uint64_t log_id;
    uint64_t pos;        /* of the next group */
    int64_t next_offset; /* that it has to begin with */
    uint64_t next_group; /* that it has to be */
    uint64_t synced;     /* the highest group known to have been synced */
    uint64_t groups;     /* verified so far */
    uint64_t room_max;   /* room behind them ends here at the latest */
    bool batch_crc;      /* verify that of every batch as well */
    flv__scan_fn fn;     /* may be NULL */
    void *user;
    struct flv_buf buf; /* owned: bytes of the file from buf_pos on */
    uint64_t buf_pos;
};

/* In front of the first group of a segment; fn, user, batch_crc and synced
 * are the caller's to set, and what the checkpoint knows better. */
void flv__scan_init(struct flv__scan *s,
                    struct flv_file *file,
                    const char *path,
                    uint64_t file_bytes,
                    const struct flv__segment_head *head);
void flv__scan_deinit(struct flv__scan *s);

/* The next group; there has to be one (pos < file_bytes). */
FLV_CHECKED flv_rc flv__scan_next(struct flv__scan *s, struct flv_err *err);
/* All groups to the end of the file. */
FLV_CHECKED flv_rc flv__scan_all(struct flv__scan *s, struct flv_err *err);

/* Before a sync that has to cover groups of which nothing proves that they are
 * on disk: writes all to the end of the file again. What an earlier sync failed
 * to write is in memory, where it counts as written, and nowhere else; at any
 * moment it may be dropped there, and then something else is read. So each
 * group is verified once more, and what was verified is what is written. */
FLV_CHECKED flv_rc flv__scan_write_again(struct flv__scan *s,
                                         struct flv_err *err);

/* After CORRUPT: looks behind the bad group for the header of a later one
 * that says the bad one had been synced. */
FLV_CHECKED flv_rc flv__scan_was_synced(struct flv__scan *s,
                                        bool *out,
                                        struct flv_err *err);

/* Whether any group in a file, behind its header, says that group `number` of
 * that log had been synced. */
FLV_CHECKED flv_rc flv__scan_claims(struct flv_file *file,
                                    const char *path,
                                    uint64_t file_bytes,
                                    uint64_t log_id,
                                    uint64_t number,
                                    bool *out,
                                    struct flv_err *err);

/* After CORRUPT: behind the last byte of the file that is not zero; s->pos if
 * nothing but zeros is left. */
FLV_CHECKED flv_rc flv__scan_used_end(struct flv__scan *s,
                                      uint64_t *out,
                                      struct flv_err *err);

/* How far the room may reach that a group which begins and ends there, or any
 * before it, has made. */
static inline uint64_t flv__room_max(uint64_t begin, uint64_t end)
{
    return end + (begin < FLV__AHEAD_MAX ? begin : FLV__AHEAD_MAX);
}

/* Zeros from s->pos to the end of the file: more than room for groups to
 * come? */
#define FLV__BEYOND_ROOM                                                       \
    "the end of the log is zeros where there is no room for groups to come: "  \
    "what was written there last is lost"
static inline bool flv__scan_beyond_room(const struct flv__scan *s)
{
    return s->file_bytes > s->pos && s->file_bytes > s->room_max;
}

/* Header of the segment whose file is open. CORRUPT, UNSUPPORTED, IO. */
FLV_CHECKED flv_rc flv__scan_head(struct flv_file *file,
                                  const char *path,
                                  struct flv__segment_head *out,
                                  struct flv_err *err);

#endif
