/* Opening a log: finds out what is there, then keeps, cuts or reports.
 *
 * First everything is looked at and nothing changed. Damage ends it there.
 * Otherwise the tail is repaired: what is torn is set aside, what is kept but
 * not proven to be synced is written again. */
#include <assert.h>
#include <inttypes.h>

#include "base/mem.h"
#include "store/recovery.h"

#define NO_HEADER "it has no valid header"

flv_rc flv__recovery_no_memory(const struct flv__recovery *r,
                               struct flv_err *err)
{
    return flv_fail(err, FLV_E_NOMEM, "no memory to open the log %s",
                    r->log->dir);
}

void flv__recovery_note(const struct flv__recovery *r,
                        enum flv_log_note_kind kind,
                        const char *file,
                        uint64_t pos,
                        uint64_t bytes,
                        const char *text)
{
    struct flv_log_note n = {
        .kind = kind,
        .file = file,
        .pos = pos,
        .bytes = bytes,
        .offset = r->log->leo,
        .text = text,
    };

    if (r->conf->note != NULL) {
        r->conf->note(r->conf->note_user, &n);
    }
}

/* ---- the directory ---- */

static flv_rc look_around(struct flv__recovery *r, struct flv_err *err)
{
    flv_rc rc = flv__names_list(r->log->io, r->log->dir, &r->names, err);

    if (rc == FLV_E_NOT_FOUND && r->conf->create) {
        flv_err_clear(err);
        return FLV_OK; /* nothing there: will be made */
    }
    r->report->torn_files = r->names.torn;
    return rc;
}

static flv_rc
foreign(const struct flv__recovery *r, uint64_t id, struct flv_err *err)
{
    return flv_fail(err, FLV_E_INVALID,
                    "%s holds the log %016" PRIx64 ", not %016" PRIx64,
                    r->log->dir, id, r->conf->log_id);
}

static flv_rc read_checkpoint(struct flv__recovery *r, struct flv_err *err)
{
    struct flv_buf buf;
    flv_rc rc;

    flv_buf_init(&buf, FLV__CHECKPOINT_MAX);
    rc = flv__checkpoint_load(r->log->io, r->log->dir, &buf, err);
    if (rc == FLV_E_NOT_FOUND) {
        flv_buf_deinit(&buf);
        flv_err_clear(err);
        return FLV_OK;
    }
    if (rc == FLV_OK) {
        rc = flv__checkpoint_decode(flv_buf_slice(&buf), &r->ck,
                                    &r->log->producers, &r->ck_index);
    }
    flv_buf_deinit(&buf);
    switch (rc) {
    case FLV_OK:
        r->have_ck = true;
        r->log->log_id = r->ck.log_id;
        if (r->conf->log_id != 0 && r->conf->log_id != r->ck.log_id) {
            return foreign(r, r->ck.log_id, err);
        }
        return FLV_OK;
    case FLV_E_CORRUPT:
        r->report->checkpoint_bad = true;
        flv__producers_deinit(&r->log->producers);
        flv__producers_init(&r->log->producers, r->conf->producers_max);
        flv__index_deinit(&r->ck_index);
        flv_err_clear(err);
        return FLV_OK;
    case FLV_E_UNSUPPORTED:
        return flv_fail(err, rc,
                        "the checkpoint in %s was written in a newer format: "
                        "use the version of the program that wrote it",
                        r->log->dir);
    case FLV_E_NOMEM:
        return flv__recovery_no_memory(r, err);
    default:
        return rc;
    }
}

/* ---- a new log ---- */

flv_rc flv__recovery_add(struct flv__recovery *r,
                         const struct flv__segment_head *head,
                         struct flv__segment **out,
                         struct flv_err *err)
{
    struct flv__segment *segment;

    if (flv__segments_reserve(r->log) != FLV_OK) {
        return flv__recovery_no_memory(r, err);
    }
    segment = flv__segment_new(r->conf, head);
    if (segment == NULL) {
        return flv__recovery_no_memory(r, err);
    }
    flv__segments_push(r->log, segment);
    *out = segment;
    return FLV_OK;
}

static flv_rc sync_parent(const struct flv__recovery *r, struct flv_err *err)
{
    char *parent = flv__path_parent(r->log->dir);
    flv_rc rc = parent == NULL
                    ? flv__recovery_no_memory(r, err)
                    : r->log->io->ops->sync_dir(r->log->io, parent,
                                                FLV_SYNC_CREATE_PARENT, err);

    flv_free(parent);
    return rc;
}

static flv_rc create_log(struct flv__recovery *r, struct flv_err *err)
{
    struct flv_log *log = r->log;
    struct flv__segment_head head = {
        .log_id = r->conf->log_id,
        .first_group = 1,
        .prev_base = -1,
        .created_s = flv__segment_now_s(),
    };
    struct flv__segment *segment;
    flv_rc rc;

    if (!r->conf->create) {
        return flv_fail(err, FLV_E_NOT_FOUND, "there is no log in %s",
                        log->dir);
    }
    if (r->conf->log_id == 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "a new log in %s needs an id other than 0", log->dir);
    }
    rc = log->io->ops->mkdir(log->io, log->dir, err);
    if (rc == FLV_OK || rc == FLV_E_EXISTS) {
        flv_err_clear(err);
        rc = sync_parent(r, err);
    }
    if (rc == FLV_OK) {
        rc = flv__recovery_add(r, &head, &segment, err);
    }
    if (rc == FLV_OK) {
        rc = flv__segment_create(log->io, log->dir, segment, false, err);
    }
    if (rc == FLV_OK) {
        log->log_id = r->conf->log_id;
        log->next_group = 1;
        log->hw_pos = FLV__SEGMENT_HEAD;
        r->report->created = true;
        r->report->segments = 1;
    }
    return rc;
}

/* ---- damage ---- */

/* `readable`: the last segment that is worth reading; none: everything. The
 * reason stands in r->why. */
static void damage(struct flv__recovery *r, uint32_t readable, bool none)
{
    if (!r->damaged) {
        r->damaged = true;
        r->damaged_at = readable;
        r->none_readable = none;
        assert(r->why.rc != FLV_OK);
    }
}

static void
damage_at_base(struct flv__recovery *r, int64_t base, const char *what)
{
    uint32_t n = r->log->segment_count;

    (void)!flv_fail(&r->why, FLV_E_CORRUPT, "%s/%020" PRId64 ".log: %s",
                    r->log->dir, base, what);
    damage(r, n > 0 ? n - 1 : 0, n == 0);
}

/* ---- headers ---- */

/* Segment i has no valid header: was it just being made? Then it holds no
 * group, no checkpoint, which comes later, is at or behind it, and no segment
 * says that it follows it. Such files can lie anywhere at the end: one that
 * was given up is not removed durably before another is begun. */
static bool
is_torn_roll(const struct flv__recovery *r, uint32_t i, uint64_t bytes)
{
    return bytes <= FLV__SEGMENT_HEAD &&
           !(r->have_ck && r->ck.segment_base >= r->names.segments.at[i]) &&
           !(r->report->checkpoint_bad && i == 0);
}

bool flv__recovery_headless(struct flv__recovery *r, int64_t base)
{
    for (uint32_t i = r->leftovers; base >= 0 && i < r->names.segments.len;
         i++) {
        if (r->names.segments.at[i] == FLV__MARK(base)) {
            damage_at_base(r, base, NO_HEADER);
            return true;
        }
    }
    return false;
}

/* What the header of segment i has to be, seen from the one before. */
static bool continues(struct flv__recovery *r,
                      const struct flv__segment_head *head,
                      int64_t base)
{
    struct flv_log *log = r->log;
    const struct flv__segment *prev =
        log->segment_count > 0 ? flv__active(log) : NULL;

    if (head->base_offset != base) {
        damage_at_base(r, base, "its header names another offset");
        return false;
    }
    if (log->log_id != 0 && head->log_id != log->log_id) {
        damage_at_base(r, base, "it belongs to another log");
        return false;
    }
    if (flv__recovery_headless(r, head->prev_base)) {
        return false;
    }
    if (prev == NULL && r->have_ck && base != r->ck.start_offset) {
        damage_at_base(r, r->ck.start_offset, "the first segment is missing");
        return false;
    }
    if (prev != NULL && head->prev_base != prev->head.base_offset) {
        damage_at_base(r, head->prev_base > 0 ? head->prev_base : 0,
                       "the segment is missing");
        return false;
    }
    if (prev != NULL && head->prev_bytes != prev->bytes) {
        damage_at_base(r, prev->head.base_offset, "its size has changed");
        return false;
    }
    return true;
}

static flv_rc take_segment(struct flv__recovery *r,
                           uint32_t i,
                           struct flv_file *file,
                           const char *path,
                           struct flv_err *err)
{
    struct flv__segment_head head;
    struct flv__segment *segment;
    uint64_t bytes = 0;
    int64_t written_ms = 0;
    flv_rc rc = file->io->ops->size(file, &bytes, err);

    if (rc == FLV_OK) {
        rc = file->io->ops->written(file, &written_ms, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    rc = flv__scan_head(file, path, &head, err);
    if (rc == FLV_E_CORRUPT) {
        flv_err_clear(err);
        if (is_torn_roll(r, i, bytes)) {
            r->torn_rolls = true;
            r->names.segments.at[i] = FLV__MARK(r->names.segments.at[i]);
        } else {
            damage_at_base(r, r->names.segments.at[i], NO_HEADER);
        }
        return FLV_OK;
    }
    if (rc != FLV_OK) {
        return rc;
    }
    if (r->log->log_id == 0) {
        if (r->conf->log_id != 0 && head.log_id != r->conf->log_id) {
            return foreign(r, head.log_id, err);
        }
        r->log->log_id = head.log_id;
    }
    if (!continues(r, &head, r->names.segments.at[i])) {
        return FLV_OK;
    }
    if (bytes > UINT32_MAX) {
        damage_at_base(r, r->names.segments.at[i], "it is too large");
        return FLV_OK;
    }
    rc = flv__recovery_add(r, &head, &segment, err);
    if (rc == FLV_OK) {
        segment->bytes = (uint32_t)bytes;
        flv__segment_set_age(segment, written_ms);
    }
    return rc;
}

/* A path as flv__path_segment() makes it, or NULL. */
flv_rc flv__recovery_open(const struct flv__recovery *r,
                          char *made,
                          enum flv_io_open how,
                          char **path,
                          struct flv_file **file,
                          struct flv_err *err)
{
    flv_rc rc;

    *file = NULL;
    *path = made;
    if (made == NULL) {
        return flv__recovery_no_memory(r, err);
    }
    rc = r->log->io->ops->open(r->log->io, *path, how, file, err);
    if (rc != FLV_OK) {
        flv_free(*path);
        *path = NULL;
    }
    return rc;
}

static flv_rc open_segment(const struct flv__recovery *r,
                           int64_t base,
                           enum flv_io_open how,
                           char **path,
                           struct flv_file **file,
                           struct flv_err *err)
{
    return flv__recovery_open(r, flv__path_segment(r->log->dir, base), how,
                              path, file, err);
}

static flv_rc read_headers(struct flv__recovery *r, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    for (uint32_t i = r->leftovers;
         rc == FLV_OK && !r->damaged && i < r->names.segments.len; i++) {
        struct flv_file *file;
        char *path;

        rc = open_segment(r, r->names.segments.at[i], FLV_IO_READ, &path, &file,
                          err);
        if (rc == FLV_OK) {
            rc = take_segment(r, i, file, path, err);
        }
        flv_io_close(file);
        flv_free(path);
    }
    return rc;
}

/* Where the checkpoint says that the log ended: segment i. */
static void check_against_checkpoint(struct flv__recovery *r, uint32_t *from)
{
    struct flv_log *log = r->log;
    uint32_t i = 0;

    *from = 0;
    if (!r->have_ck || r->damaged) {
        return;
    }
    while (i < log->segment_count &&
           log->segments[i]->head.base_offset != r->ck.segment_base) {
        i++;
    }
    if (i == log->segment_count) {
        damage_at_base(r, r->ck.segment_base, "the segment is missing");
    } else if (log->segments[i]->bytes < r->ck.pos) {
        (void)!flv_fail(&r->why, FLV_E_CORRUPT,
                        "%s/%020" PRId64 ".log ends at byte %u, not at %" PRIu64
                        " or later",
                        log->dir, r->ck.segment_base, log->segments[i]->bytes,
                        r->ck.pos);
        damage(r, i, false);
    }
    *from = i;
}

/* ---- the scan ---- */

static flv_rc see_batch(void *user,
                        const struct flv__batch_head *head,
                        uint64_t pos,
                        struct flv_err *err)
{
    struct flv__recovery *r = user;
    struct flv__segment *s = r->scanned;

    flv__index_add(&s->index,
                   (uint32_t)(head->base_offset - s->head.base_offset),
                   (uint32_t)pos);
    if (head->producer_id >= 0 &&
        flv__producers_store(&r->log->producers, head) != FLV_OK) {
        return flv__recovery_no_memory(r, err);
    }
    return FLV_OK;
}

/* Sets r->tail in front of what has to be read of segment i. */
static void begin_scan(struct flv__recovery *r,
                       uint32_t i,
                       struct flv_file *file,
                       const char *path)
{
    struct flv__segment *s = r->log->segments[i];

    flv__scan_init(&r->tail, file, path, s->bytes, &s->head);
    r->tail.fn = see_batch;
    r->tail.user = r;
    r->tail.synced = s->head.first_group - 1; /* the segments before are */
    r->scanned = s;
    if (r->have_ck && !r->damaged &&
        s->head.base_offset == r->ck.segment_base) {
        r->tail.pos = r->ck.pos;
        r->tail.next_offset = r->ck.next_offset;
        r->tail.next_group = r->ck.next_group;
        r->tail.synced = r->ck.next_group - 1;
        r->tail.room_max = flv__room_max(r->ck.pos, r->ck.pos);
        flv__index_deinit(&s->index);
        s->index = r->ck_index;
        r->ck_index.at = NULL;
        r->ck_index.len = r->ck_index.cap = 0;
    }
}

/* Something is wrong at r->tail.pos: is it only torn? */
static flv_rc judge(struct flv__recovery *r, bool newest, struct flv_err *err)
{
    bool synced = true;
    flv_rc rc = FLV_OK;

    if (newest) {
        rc = flv__scan_was_synced(&r->tail, &synced, err);
    }
    if (rc == FLV_OK && synced) {
        r->damaged = true;
    }
    return rc;
}

static bool next_continues(struct flv__recovery *r, uint32_t i)
{
    const struct flv__segment *next = r->log->segments[i + 1];

    if (next->head.base_offset == r->tail.next_offset &&
        next->head.first_group == r->tail.next_group) {
        return true;
    }
    (void)!flv_fail(&r->why, FLV_E_CORRUPT,
                    "%s ends at offset %" PRId64 ", but the next segment "
                    "begins at %" PRId64,
                    r->tail.path, r->tail.next_offset, next->head.base_offset);
    r->damaged = true;
    return false;
}

/* The log ends where the scan did, in segment i. */
static void settle_end(struct flv__recovery *r, uint32_t i)
{
    struct flv_log *log = r->log;
    struct flv__segment *s = log->segments[i];

    while (log->segment_count > i + 1) {
        flv__segment_free(log->segments[--log->segment_count]);
    }
    s->bytes = (uint32_t)r->tail.pos;
    s->end_offset = r->tail.next_offset;
    s->indexed = true;
    log->leo = r->tail.next_offset;
    log->next_group = r->tail.next_group;
}

/* Zeros behind the groups of the newest segment: of which topics have no room,
 * or beyond it, they stand for something that was written and is lost. */
static void see_zeros(struct flv__recovery *r)
{
    if (flv__scan_beyond_room(&r->tail) ||
        (r->conf->durability != FLV_DURABLE_DISK &&
         r->tail.file_bytes > r->tail.pos)) {
        r->lost_bytes = r->tail.file_bytes - r->tail.pos;
    }
}

/* The scan of segment i met something else than a group. In the last one it
 * may be room for groups to come; zeros behind torn bytes are not worth being
 * set aside with them. */
static flv_rc
end_scan(struct flv__recovery *r, uint32_t i, bool newest, struct flv_err *err)
{
    struct flv_log *log = r->log;
    uint64_t used = r->tail.file_bytes;
    flv_rc rc = FLV_OK;

    if (i + 1 == log->segment_count) {
        rc = flv__scan_used_end(&r->tail, &used, err);
    }
    if (rc == FLV_OK && used == r->tail.pos) {
        log->segments[i]->room_end = (uint32_t)r->tail.file_bytes;
        flv_err_clear(&r->why);
        if (newest) {
            see_zeros(r);
        }
    } else if (rc == FLV_OK) {
        rc = judge(r, newest, err);
    }
    r->tail.file_bytes = used;
    settle_end(r, i);
    return rc;
}

/* Scans segment i. With a path that the caller frees: the scan, left in
 * r->tail, goes on borrowing it. */
static flv_rc scan_segment(struct flv__recovery *r,
                           uint32_t i,
                           bool newest,
                           struct flv_err *err)
{
    flv_rc rc = flv__scan_all(&r->tail, &r->why);

    r->report->groups_kept += r->tail.groups;
    if (rc == FLV_E_CORRUPT) {
        return end_scan(r, i, newest, err);
    }
    if (rc != FLV_OK) {
        if (err != NULL) {
            *err = r->why;
        }
        return rc;
    }
    if (!newest && i + 1 < r->log->segment_count && !next_continues(r, i)) {
        settle_end(r, i);
    }
    return FLV_OK;
}

/* All segments from `from` on, and then the repair of the last. */
static flv_rc
scan_from(struct flv__recovery *r, uint32_t from, struct flv_err *err)
{
    struct flv_log *log = r->log;
    const uint32_t count = log->segment_count;
    flv_rc rc = FLV_OK;

    for (uint32_t i = from; rc == FLV_OK && !r->damaged && i < count; i++) {
        bool last = i + 1 == count;
        struct flv__segment *s = log->segments[i];
        struct flv_file *file;
        char *path;
        uint64_t start;

        rc = open_segment(r, s->head.base_offset,
                          last ? FLV_IO_WRITE : FLV_IO_READ, &path, &file, err);
        if (rc != FLV_OK) {
            break;
        }
        begin_scan(r, i, file, path);
        start = r->tail.pos;
        rc = scan_segment(r, i, last, err);
        r->report->bytes_read += r->tail.pos - start;
        if (rc == FLV_OK && (last || r->damaged)) {
            settle_end(r, i);
            s->file = file;
            file = NULL;
            rc = r->damaged ? FLV_OK : flv__repair(r, err);
        } else if (rc == FLV_OK && r->have_ck && i == from) {
            /* Its index is at hand, from the checkpoint and the scan. */
            s->file = file;
            file = NULL;
            s->indexed = s->index_unsaved = true;
        } else {
            flv__index_deinit(&s->index);
        }
        flv__scan_deinit(&r->tail);
        flv_io_close(file);
        flv_free(path);
    }
    return rc;
}

flv_rc flv__recovery_scan_newest(struct flv__recovery *r,
                                 const char *path,
                                 uint64_t synced,
                                 struct flv_err *err)
{
    const uint32_t i = r->log->segment_count - 1;
    flv_rc rc;

    begin_scan(r, i, r->log->segments[i]->file, path);
    r->tail.synced = synced;
    rc = scan_segment(r, i, true, err);
    r->report->bytes_read += r->tail.pos - FLV__SEGMENT_HEAD;
    if (rc == FLV_OK) {
        settle_end(r, i);
    }
    return rc;
}

/* Reads the last readable segment from its start, to where it breaks. */
static flv_rc scan_to_damage(struct flv__recovery *r, struct flv_err *err)
{
    struct flv_log *log = r->log;
    uint32_t i = r->damaged_at;
    struct flv_err why = r->why;
    struct flv_file *file;
    char *path;
    flv_rc rc;

    assert(i < log->segment_count);
    rc = open_segment(r, log->segments[i]->head.base_offset, FLV_IO_READ, &path,
                      &file, err);
    if (rc != FLV_OK) {
        return rc;
    }
    begin_scan(r, i, file, path);
    rc = scan_segment(r, i, false, err);
    if (rc == FLV_OK) {
        settle_end(r, i);
        log->segments[i]->file = file;
        file = NULL;
        if (r->tail.pos == r->tail.file_bytes) {
            r->why = why; /* nothing wrong before its end */
        }
    }
    flv__scan_deinit(&r->tail);
    flv_io_close(file);
    flv_free(path);
    return rc;
}

/* A log of which nothing can be read. */
static flv_rc stand_in(struct flv__recovery *r, struct flv_err *err)
{
    struct flv_log *log = r->log;
    int64_t first = r->names.segments.len > r->leftovers
                        ? r->names.segments.at[r->leftovers]
                        : 0;
    struct flv__segment_head head = {
        .log_id = log->log_id,
        .base_offset = r->have_ck  ? r->ck.start_offset
                       : first < 0 ? FLV__MARK(first)
                                   : first,
        .first_group = 1,
        .prev_base = -1,
    };
    struct flv__segment *segment;
    flv_rc rc;

    assert(log->segment_count == 0);
    rc = flv__recovery_add(r, &head, &segment, err);
    if (rc == FLV_OK) {
        log->leo = head.base_offset;
        log->next_group = 1;
    }
    return rc;
}

static flv_rc accept_damage(struct flv__recovery *r, struct flv_err *err)
{
    struct flv_log *log = r->log;

    (void)err;
    log->state = FLV_LOG_DAMAGED;
    log->cause = r->why;
    r->report->damaged = true;
    r->report->damage = r->why;
    flv__recovery_note(r, FLV_NOTE_DAMAGE, log->dir, flv__active(log)->bytes, 0,
                       r->why.text);
    return FLV_OK;
}

/* ---- all of it ---- */

static flv_rc examine(struct flv__recovery *r, struct flv_err *err)
{
    struct flv_log *log = r->log;
    uint32_t from;
    flv_rc rc = read_headers(r, err);

    if (rc != FLV_OK) {
        return rc;
    }
    check_against_checkpoint(r, &from);
    /* There is a segment to come only behind one that is there for good. */
    if (!r->damaged && log->segment_count == 0 && r->names.nexts.len > 0) {
        damage_at_base(r, FLV__MARK(r->names.segments.at[r->leftovers]),
                       NO_HEADER);
    }
    if (!r->damaged && log->segment_count == 0) {
        assert(r->torn_rolls);
        rc = r->conf->create ? flv__repair_torn_rolls(r, err) : FLV_OK;
        return rc == FLV_OK ? create_log(r, err) : rc;
    }
    if (!r->damaged) {
        r->report->full_scan = !r->have_ck;
        rc = scan_from(r, from, err);
    } else if (r->none_readable) {
        rc = stand_in(r, err);
    } else {
        rc = scan_to_damage(r, err);
    }
    if (rc == FLV_OK && r->damaged) {
        rc = accept_damage(r, err);
    }
    return rc;
}

static void stay_behind(struct flv_log *log,
                        const struct flv__segment *segment,
                        const struct flv__unproven *from)
{
    log->hw = from->offset;
    log->hw_base = segment->head.base_offset;
    log->hw_pos = from->pos;
    log->synced = from->group - 1;
}

static void finish(struct flv__recovery *r)
{
    struct flv_log *log = r->log;
    struct flv_log_report *report = r->report;

    for (uint32_t i = 0; i + 1 < log->segment_count; i++) {
        log->segments[i]->end_offset = log->segments[i + 1]->head.base_offset;
    }
    log->start_offset = log->segments[0]->head.base_offset;
    log->hw = log->next_offset = log->leo;
    log->hw_base = flv__active(log)->head.base_offset;
    log->hw_pos = flv__active(log)->bytes;
    log->synced = log->next_group - 1;
    if (r->later) {
        log->again_end = log->hw_pos;
        stay_behind(log, flv__active(log), &r->unproven);
    }
    if (r->later && flv__active(log)->next) {
        log->unsealed = log->segments[log->segment_count - 2];
        log->unsealed->holds++;
        stay_behind(log, log->unsealed, &r->before);
    }
    /* Whoever wrote before may have cut back and not synced. */
    log->unsettled = !report->created;
    log->unkept_bytes = report->bytes_read;
    log->keep_due = report->full_scan || log->unsealed != NULL;
    if (r->have_ck) {
        log->last_kept = r->ck;
    }
    if (report->checkpoint_bad) {
        flv__recovery_note(
            r, FLV_NOTE_REPAIR, log->dir, 0, 0,
            "the checkpoint cannot be used: everything was read");
    }
    report->segments = log->segment_count;
    report->start_offset = log->start_offset;
    report->next_offset = log->leo;
    assert(log->next_group > 0 && log->start_offset <= log->leo);
}

flv_rc flv__recover(struct flv_log *log,
                    const struct flv_log_conf *conf,
                    struct flv_log_report *report,
                    struct flv_err *err)
{
    struct flv__recovery r = {.log = log, .conf = conf, .report = report};
    flv_rc rc;

    flv__index_init(&r.ck_index, conf->index_interval, conf->index_entries_max);
    rc = look_around(&r, err);
    if (rc == FLV_OK) {
        rc = read_checkpoint(&r, err);
    }
    while (r.have_ck && r.leftovers < r.names.segments.len &&
           r.names.segments.at[r.leftovers] < r.ck.start_offset) {
        r.leftovers++;
    }
    if (rc == FLV_OK && r.leftovers < r.names.segments.len) {
        rc = examine(&r, err);
    } else if (rc == FLV_OK &&
               (r.have_ck || report->checkpoint_bad || r.names.nexts.len > 0)) {
        (void)!flv_fail(&r.why, FLV_E_CORRUPT, "%s: all segments are missing",
                        log->dir);
        r.damaged = true;
        rc = stand_in(&r, err);
        rc = rc == FLV_OK ? accept_damage(&r, err) : rc;
    } else if (rc == FLV_OK) {
        rc = create_log(&r, err);
    }
    if (rc == FLV_OK) {
        finish(&r);
    }
    flv__index_deinit(&r.ck_index);
    flv__names_deinit(&r.names);
    return rc;
}
