/* The end of opening a log: goes on with the segment to come, sets aside what
 * is torn, and writes again what is kept but not proven to be synced. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/recovery.h"

#define TORN_NAMES 100

/* ---- repairs ---- */

static flv_rc changed(const struct flv__recovery *r,
                      const struct flv__segment *s,
                      struct flv_err *err)
{
    return flv_fail(err, FLV_E_IO,
                    "%s/%020" PRId64 "%s changed while it was read",
                    r->log->dir, s->head.base_offset, flv__segment_ending(s));
}

static flv_rc create_torn(const struct flv__recovery *r,
                          int64_t base,
                          uint64_t pos,
                          char **path,
                          struct flv_file **file,
                          struct flv_err *err)
{
    flv_rc rc = FLV_E_EXISTS;

    for (int n = 0; n < TORN_NAMES && rc == FLV_E_EXISTS; n++) {
        char name[80];

        snprintf(name, sizeof(name), "%020" PRId64 "-%010" PRIu64 "-%02d%s",
                 base, pos, n, FLV__ENDING_TORN);
        flv_free(*path);
        *path = flv__path_join(r->log->dir, name);
        if (*path == NULL) {
            return flv__recovery_no_memory(r, err);
        }
        rc = r->log->io->ops->open(
            r->log->io, *path,
            n + 1 < TORN_NAMES ? FLV_IO_CREATE : FLV_IO_OVERWRITE, file, err);
    }
    return rc;
}

static flv_rc sync_torn(const struct flv__recovery *r,
                        struct flv_file *file,
                        struct flv_err *err)
{
    return r->log->io->ops->sync(file, FLV_SYNC_TORN_FILE, err);
}

static flv_rc sync_torn_name(const struct flv__recovery *r, struct flv_err *err)
{
    return r->log->io->ops->sync_dir(r->log->io, r->log->dir, FLV_SYNC_TORN_DIR,
                                     err);
}

/* The copy is for a person to look at: nothing here reads it again, and no
 * part of it was ever served. */
static flv_rc set_aside(struct flv__recovery *r,
                        struct flv_file *log_file,
                        struct flv_err *err)
{
    struct flv_io *io = r->log->io;
    uint64_t pos = r->tail.pos, end = r->tail.file_bytes;
    struct flv_file *file = NULL;
    char *path = NULL;
    flv_rc rc =
        create_torn(r, r->scanned->head.base_offset, pos, &path, &file, err);

    if (rc == FLV_OK) {
        rc = flv_io_copy(log_file, r->tail.path, pos, end, file, 0, err);
    }
    if (rc == FLV_OK) {
        rc = sync_torn(r, file, err);
    }
    if (rc == FLV_OK) {
        rc = sync_torn_name(r, err);
    }
    if (rc == FLV_OK) {
        r->report->torn_bytes += end - pos;
        r->report->torn_files++;
        flv__recovery_note(r, FLV_NOTE_TORN, path, pos, end - pos,
                           "the unfinished end of the log was set aside");
    } else {
        flv_err_prefix(err, "cannot set aside %" PRIu64 " torn bytes",
                       end - pos);
        if (file != NULL) {
            (void)!io->ops->unlink(io, path, NULL);
        }
    }
    flv_io_close(file);
    flv_free(path);
    return rc;
}

static flv_rc find_unproven(const struct flv__recovery *r,
                            const struct flv__segment *s,
                            struct flv__unproven *out,
                            struct flv_err *err)
{
    struct flv__unproven u = {FLV__SEGMENT_HEAD, s->head.first_group,
                              s->head.base_offset};

    if (r->have_ck && r->ck.segment_base == s->head.base_offset) {
        u = (struct flv__unproven){r->ck.pos, r->ck.next_group,
                                   r->ck.next_offset};
    } else if (s == r->scanned && r->tail.synced < u.group) {
        u.pos = 0; /* others have synced headers */
    }
    while (u.pos > 0 && u.pos < s->bytes && u.group <= r->tail.synced) {
        uint8_t bytes[FLV__GROUP_HEAD];
        struct flv__group_head head;
        size_t got = 0;
        flv_rc rc =
            flv_io_read_full(s->file, bytes, sizeof(bytes), u.pos, &got, err);

        if (rc != FLV_OK) {
            return rc;
        }
        if (got < sizeof(bytes) ||
            flv__group_head_get(bytes, &head) != FLV_OK) {
            return changed(r, s, err);
        }
        u.pos += sizeof(bytes) + head.bytes;
        u.group++;
        u.offset = head.next_offset;
    }
    *out = u;
    return FLV_OK;
}

/* The names that the log relies on: of the newest segment, if nothing in it
 * was ever synced, and of the checkpoint, before what it makes superfluous is
 * removed. */
static flv_rc make_names_durable(const struct flv__recovery *r,
                                 bool unproven,
                                 struct flv_err *err)
{
    if (!unproven && r->leftovers == 0) {
        return FLV_OK;
    }
    return r->log->io->ops->sync_dir(r->log->io, r->log->dir,
                                     FLV_SYNC_RECOVER_DIR, err);
}

static void unlink_quietly(const struct flv__recovery *r, char *path)
{
    if (path != NULL &&
        r->log->io->ops->unlink(r->log->io, path, NULL) == FLV_OK) {
        flv__recovery_note(r, FLV_NOTE_REMOVED, path, 0, 0, "no longer needed");
    }
    flv_free(path);
}

static void remove_leftovers(const struct flv__recovery *r)
{
    for (uint32_t i = 0; i < r->leftovers; i++) {
        unlink_quietly(r,
                       flv__path_index(r->log->dir, r->names.segments.at[i]));
        unlink_quietly(r,
                       flv__path_segment(r->log->dir, r->names.segments.at[i]));
    }
    unlink_quietly(r, flv__path_join(r->log->dir, FLV__NAME_CHECKPOINT_TMP));
}

/* It holds nothing; the segment before it goes on, or another does. Should the
 * power fail it may be met again; the next roll makes its removal durable. */
static flv_rc
remove_headless(const struct flv__recovery *r, char *path, struct flv_err *err)
{
    flv_rc rc = path == NULL ? flv__recovery_no_memory(r, err)
                             : r->log->io->ops->unlink(r->log->io, path, err);

    if (rc == FLV_OK) {
        flv__recovery_note(r, FLV_NOTE_REMOVED, path, 0, 0,
                           "a segment without a header");
    }
    flv_free(path);
    return rc;
}

flv_rc flv__repair_torn_rolls(const struct flv__recovery *r,
                              struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    for (uint32_t i = r->leftovers; rc == FLV_OK && i < r->names.segments.len;
         i++) {
        const int64_t base = r->names.segments.at[i];

        if (base < 0) {
            rc = remove_headless(
                r, flv__path_segment(r->log->dir, FLV__MARK(base)), err);
        }
    }
    return rc;
}

static flv_rc write_again(const struct flv__recovery *r,
                          const struct flv__segment *s,
                          const struct flv__unproven *from,
                          struct flv_err *err)
{
    struct flv__scan scan;
    flv_rc rc = FLV_OK;

    flv__scan_init(&scan, s->file, r->log->dir, s->bytes, &s->head);
    if (from->pos == 0) {
        rc = flv__segment_write_head(s->file, &s->head, err);
    } else {
        scan.pos = from->pos;
        scan.next_offset = from->offset;
        scan.next_group = from->group;
    }
    if (rc == FLV_OK) {
        rc = flv__scan_write_again(&scan, err);
    }
    flv__scan_deinit(&scan);
    return rc == FLV_E_CORRUPT ? changed(r, s, err) : rc;
}

/* What is before a newest segment that is `next`. */
static flv_rc settle_before(struct flv__recovery *r, struct flv_err *err)
{
    struct flv__segment *s = r->log->segments[r->log->segment_count - 2];
    flv_rc rc = find_unproven(r, s, &r->before, err);

    if (rc == FLV_OK && !r->later) {
        rc = write_again(r, s, &r->before, err);
    }
    if (rc == FLV_OK && !r->later) {
        rc = s->file->io->ops->sync(s->file, FLV_SYNC_RECOVER_BEFORE, err);
    }
    return rc;
}

/* Of a disk topic, what is kept and not proven to be synced is written again
 * and synced before anybody is served. Of a page-cache topic it was served so
 * before, and the next sync does that. */
static flv_rc
settle_tail(struct flv__recovery *r, bool cut, struct flv_err *err)
{
    struct flv__segment *s = r->scanned;
    struct flv__unproven from = {0};
    flv_rc rc = find_unproven(r, s, &from, err);
    bool all = from.pos == s->bytes;

    r->later = r->conf->durability != FLV_DURABLE_DISK && !cut && !all &&
               (from.pos > 0 || (s->next && s->bytes > FLV__SEGMENT_HEAD));
    r->unproven = from;
    if (rc == FLV_OK && s->next) {
        rc = settle_before(r, err);
    }
    if (rc == FLV_OK && r->later) {
        return make_names_durable(r, false, err);
    }
    if (rc == FLV_OK && !all) {
        rc = write_again(r, s, &from, err);
    }
    if (rc == FLV_OK && (cut || !all)) {
        rc = s->file->io->ops->sync(s->file, FLV_SYNC_RECOVER_TAIL, err);
    }
    if (rc == FLV_OK && s->next) {
        rc = flv__segment_name(r->log->io, r->log->dir, s, err);
        s->next = rc != FLV_OK;
    }
    if (rc == FLV_OK) {
        rc = make_names_durable(r, from.pos == 0, err);
    }
    return rc;
}

static flv_rc repair_tail(struct flv__recovery *r, struct flv_err *err)
{
    struct flv_file *file = r->scanned->file;
    bool torn = r->tail.pos < r->tail.file_bytes;
    bool cut = torn || r->lost_bytes > 0;
    flv_rc rc = torn ? set_aside(r, file, err) : FLV_OK;

    if (rc == FLV_OK && cut) {
        r->scanned->room_end = 0;
        rc = file->io->ops->truncate(file, r->tail.pos, err);
    }
    if (rc == FLV_OK && r->lost_bytes > 0) {
        r->report->torn_bytes += r->lost_bytes;
        flv__recovery_note(r, FLV_NOTE_TORN, r->tail.path, r->tail.pos,
                           r->lost_bytes, FLV__BEYOND_ROOM);
    }
    /* First, or it could be a segment to come that has got its name by now. */
    if (rc == FLV_OK) {
        rc = flv__repair_torn_rolls(r, err);
    }
    if (rc == FLV_OK) {
        rc = settle_tail(r, cut, err);
    }
    if (rc == FLV_OK) {
        remove_leftovers(r);
    }
    return rc;
}

/* ---- segments to come ---- */

static flv_rc open_next(const struct flv__recovery *r,
                        uint32_t i,
                        char **path,
                        struct flv_file **file,
                        uint64_t *bytes,
                        struct flv_err *err)
{
    flv_rc rc =
        flv__recovery_open(r, flv__path_next(r->log->dir, r->names.nexts.at[i]),
                           FLV_IO_WRITE, path, file, err);

    if (rc == FLV_OK) {
        rc = (*file)->io->ops->size(*file, bytes, err);
    }
    return rc;
}

/* Whether that header goes on where the newest segment ends. */
static bool goes_on(const struct flv__recovery *r,
                    int64_t base,
                    const struct flv__segment_head *head)
{
    const struct flv__segment *prev = r->scanned;
    const struct flv__segment_head wanted = {
        .log_id = r->log->log_id,
        .base_offset = r->tail.next_offset,
        .first_group = r->tail.next_group,
        .prev_base = prev->head.base_offset,
        .prev_bytes = r->tail.pos,
    };

    return head->base_offset == base && flv__segment_head_same(head, &wanted) &&
           prev->room_end == 0 && r->tail.pos == r->tail.file_bytes;
}

/* What is found out about the files that were begun without a sync. */
struct nexts {
    uint32_t follows; /* index of the one that goes on, or their number */
    struct flv__segment_head head;
    uint64_t bytes;
    int64_t written_ms;
};

/* It follows something else: is that known to have been synced? */
static flv_rc judge_next(struct flv__recovery *r,
                         struct flv_file *file,
                         const char *path,
                         uint64_t bytes,
                         struct flv_err *err)
{
    bool synced = false;
    flv_rc rc = flv__scan_claims(file, path, bytes, r->log->log_id,
                                 r->tail.next_group, &synced, err);

    if (rc == FLV_OK && synced) {
        (void)!flv_fail(&r->why, FLV_E_CORRUPT,
                        "%s at byte %" PRIu64 " (offset %" PRId64
                        "): the records that were synced here are gone",
                        r->tail.path, r->tail.pos, r->tail.next_offset);
        r->damaged = true;
    }
    return rc;
}

static flv_rc look_at_next(struct flv__recovery *r,
                           uint32_t i,
                           struct flv_file *file,
                           const char *path,
                           uint64_t bytes,
                           struct nexts *out,
                           struct flv_err *err)
{
    const int64_t base = r->names.nexts.at[i];
    struct flv__segment_head head;
    int64_t written_ms = 0;
    flv_rc rc = file->io->ops->written(file, &written_ms, err);

    if (rc == FLV_OK) {
        rc = flv__scan_head(file, path, &head, err);
    }
    if (rc == FLV_E_CORRUPT) {
        flv_err_clear(err);
        if (bytes <= FLV__SEGMENT_HEAD) {
            r->names.nexts.at[i] = FLV__MARK(base);
            return FLV_OK;
        }
        return judge_next(r, file, path, bytes, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    if (head.log_id == r->log->log_id &&
        flv__recovery_headless(r, head.prev_base)) {
        return FLV_OK;
    }
    if (goes_on(r, base, &head) && bytes <= UINT32_MAX) {
        *out = (struct nexts){i, head, bytes, written_ms};
        return FLV_OK;
    }
    return judge_next(r, file, path, bytes, err);
}

static flv_rc
look_at_nexts(struct flv__recovery *r, struct nexts *out, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    out->follows = r->names.nexts.len;
    for (uint32_t i = 0; rc == FLV_OK && !r->damaged && i < r->names.nexts.len;
         i++) {
        struct flv_file *file;
        uint64_t bytes = 0;
        char *path;

        rc = open_next(r, i, &path, &file, &bytes, err);
        if (rc == FLV_OK) {
            rc = look_at_next(r, i, file, path, bytes, out, err);
        }
        flv_io_close(file);
        flv_free(path);
    }
    return rc;
}

/* It follows what is lost. It gets another name: copied, it would be needed
 * twice on a disk that may be full. */
static flv_rc
set_next_aside(struct flv__recovery *r, uint32_t i, struct flv_err *err)
{
    struct flv_io *io = r->log->io;
    struct flv_file *file = NULL, *torn = NULL;
    char *from = NULL, *path = NULL;
    uint64_t bytes = 0;
    flv_rc rc = open_next(r, i, &from, &file, &bytes, err);

    if (rc == FLV_OK) {
        rc = sync_torn(r, file, err);
    }
    flv_io_close(file);
    if (rc == FLV_OK) {
        rc = create_torn(r, r->names.nexts.at[i], 0, &path, &torn, err);
    }
    flv_io_close(torn);
    if (rc == FLV_OK) {
        rc = io->ops->rename(io, from, path, err);
    }
    if (rc == FLV_OK) {
        rc = sync_torn_name(r, err);
    }
    if (rc == FLV_OK) {
        r->report->torn_bytes += bytes;
        r->report->torn_files++;
        flv__recovery_note(
            r, FLV_NOTE_TORN, path, 0, bytes,
            "a segment behind the unfinished end of the log was set aside");
    }
    flv_free(path);
    flv_free(from);
    return rc;
}

static flv_rc put_nexts_away(struct flv__recovery *r,
                             const struct nexts *n,
                             struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    for (uint32_t i = 0; rc == FLV_OK && i < r->names.nexts.len; i++) {
        const int64_t base = r->names.nexts.at[i];

        if (base < 0) {
            rc = remove_headless(
                r, flv__path_next(r->log->dir, FLV__MARK(base)), err);
        } else if (i != n->follows) {
            rc = set_next_aside(r, i, err);
        }
    }
    return rc;
}

/* The newest segment is whole, and this goes on behind it. */
static flv_rc
take_next(struct flv__recovery *r, const struct nexts *n, struct flv_err *err)
{
    struct flv__segment *before = r->scanned, *s;
    const uint64_t synced = r->tail.synced;
    struct flv_file *file;
    uint64_t bytes;
    char *path;
    flv_rc rc = open_next(r, n->follows, &path, &file, &bytes, err);

    if (rc == FLV_OK) {
        rc = flv__recovery_add(r, &n->head, &s, err);
    }
    if (rc == FLV_OK) {
        before->index_unsaved = true;
        flv__segment_set_age(s, n->written_ms);
        s->next = true;
        s->bytes = (uint32_t)n->bytes;
        s->file = file;
        file = NULL;
        flv__scan_deinit(&r->tail);
        rc = flv__recovery_scan_newest(r, path, synced, err);
    }
    if (rc == FLV_OK && !r->damaged) {
        rc = put_nexts_away(r, n, err);
    }
    if (rc == FLV_OK && !r->damaged) {
        rc = repair_tail(r, err);
    }
    flv_io_close(file);
    flv_free(path);
    return rc;
}

/* The scan of the last of the segments is over. */
flv_rc flv__repair(struct flv__recovery *r, struct flv_err *err)
{
    struct nexts found = {0};
    flv_rc rc = look_at_nexts(r, &found, err);

    if (rc != FLV_OK || r->damaged) {
        return rc;
    }
    if (found.follows < r->names.nexts.len) {
        return take_next(r, &found, err);
    }
    rc = put_nexts_away(r, &found, err);
    return rc == FLV_OK ? repair_tail(r, err) : rc;
}
