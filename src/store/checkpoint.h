/*
 * checkpoint.h - what is known to be synced, so that opening is quick.
 *
 * Purpose    One small file per partition, replaced whole: where the synced
 *            log ends, where it starts, the producers, and the index of the
 *            segment it ends in. Internal to store.
 * Threads    flv__checkpoint_save() may run in any thread, one at a time.
 * Ownership  Text and tables are written into what the caller owns.
 * Errors     A file that cannot be believed is CORRUPT, one of a newer
 *            version UNSUPPORTED, a missing one NOT_FOUND.
 * See        docs/format/checkpoint.md
 */
#ifndef FLV_STORE_CHECKPOINT_H
#define FLV_STORE_CHECKPOINT_H

#include "store/index.h"
#include "store/io.h"
#include "store/producer.h"

struct flv__checkpoint {
    uint64_t log_id;
    int64_t start_offset;
    int64_t segment_base; /* of the segment that the log ends in */
    uint64_t pos;         /* where in it, behind the last synced group */
    int64_t next_offset;
    uint64_t next_group;
};

/* Ceiling of the file, and of the memory that reading it takes. */
#define FLV__CHECKPOINT_MAX (64u << 20)

FLV_CHECKED flv_rc flv__checkpoint_encode(const struct flv__checkpoint *ck,
                                          const struct flv__producers *table,
                                          const struct flv__index *index,
                                          struct flv_buf *out);
/* `table` and `index` may be NULL: then they are only checked. On CORRUPT
 * they may hold a part: the caller empties them. */
FLV_CHECKED flv_rc flv__checkpoint_decode(struct flv_slice bytes,
                                          struct flv__checkpoint *ck,
                                          struct flv__producers *table,
                                          struct flv__index *index);

/* Replaces the file in `dir`; when it returns FLV_OK the new one is durable. */
FLV_CHECKED flv_rc flv__checkpoint_save(struct flv_io *io,
                                        const char *dir,
                                        struct flv_slice bytes,
                                        struct flv_err *err);
/* Reads the file into `out`, whatever it holds. */
FLV_CHECKED flv_rc flv__checkpoint_load(struct flv_io *io,
                                        const char *dir,
                                        struct flv_buf *out,
                                        struct flv_err *err);

#endif
