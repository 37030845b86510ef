/*
 * logs.h - the log files of connectors: bounded, kept across restarts.
 *
 * Purpose    Rotates NAME.log to NAME.log.1, ... when it has grown, and reads
 *            the last lines across all of them. A connector is told to open
 *            its log anew; the file of one that cannot or does not is cut.
 * Threads    Loop thread; small reads of the page cache.
 * Ownership  Text goes to the caller's buffer.
 * Errors     A file that is not there has no lines.
 */
#ifndef FLV_MANAGER_LOGS_H
#define FLV_MANAGER_LOGS_H

#include "base/bytes.h"

struct flv_logs {
    const char *dir;    /* the folder of the logs; borrowed */
    uint64_t bytes_max; /* of one file */
    unsigned files_max; /* older ones that are kept, at most 99 */
};

enum flv_rotate {
    FLV_ROTATE_NO,     /* small enough */
    FLV_ROTATE_REOPEN, /* moved away: the writer has to open it anew */
    FLV_ROTATE_CUT,    /* copied and cut: the writer need not know */
};
/* cut: the writer cannot open its log anew. */
enum flv_rotate
flv_logs_rotate(const struct flv_logs *l, const char *name, bool cut);

/* The last `lines` lines, of at most bytes_max bytes; *out_pos is the size of
 * NAME.log up to which it was read. */
FLV_CHECKED flv_rc flv_logs_tail(const struct flv_logs *l,
                                 const char *name,
                                 unsigned lines,
                                 struct flv_buf *out,
                                 uint64_t *out_ino,
                                 uint64_t *out_pos);
/* What was added behind *pos; goes on with the new file after a rotation.
 * Bytes put into `to`, 0: nothing new. */
size_t flv_logs_follow(const struct flv_logs *l,
                       const char *name,
                       uint64_t *ino,
                       uint64_t *pos,
                       char *to,
                       size_t max);

#endif
