/* Offline verification: reads everything that a partition's directory holds
 * and changes nothing. */
#include <assert.h>
#include <inttypes.h>

#include "base/mem.h"
#include "store/checkpoint.h"
#include "store/log.h"
#include "store/names.h"
#include "store/scan.h"

/* Segments that never got a header are marked in check.names. */
#define MARK(base) (-1 - (base))

struct check {
    struct flv_io *io; /* borrowed */
    const char *dir;   /* borrowed */
    flv_log_note_fn fn;
    void *user;
    struct flv_log_check out;
    struct flv__names names;
    uint32_t newest; /* the last segment that has a header */
    struct flv__checkpoint ck;
    bool have_ck, ck_met;
    /* where the segment before ended, if that is known */
    bool have_prev;
    int64_t prev_base;
    uint64_t prev_bytes;
    int64_t next_offset; /* -1: not known */
    uint64_t next_group;
    uint64_t log_id;
    int64_t follower; /* base of the one to come that goes on; -1: none */
};

static void tell(struct check *c,
                 enum flv_log_note_kind kind,
                 const char *file,
                 uint64_t pos,
                 const char *text)
{
    struct flv_log_note note = {
        .kind = kind,
        .file = file,
        .pos = pos,
        .offset = c->next_offset,
        .text = text,
    };

    if (kind == FLV_NOTE_DAMAGE) {
        c->out.damages++;
    }
    if (c->fn != NULL) {
        c->fn(c->user, &note);
    }
}

static flv_rc no_memory(const struct check *c, struct flv_err *err)
{
    return flv_fail(err, FLV_E_NOMEM, "no memory to check %s", c->dir);
}

/* `path` was just made; NULL: no memory. */
static flv_rc open_file(const struct check *c,
                        const char *path,
                        struct flv_file **out,
                        struct flv_err *err)
{
    return path == NULL ? no_memory(c, err)
                        : c->io->ops->open(c->io, path, FLV_IO_READ, out, err);
}

static flv_rc read_head(struct flv_file *file,
                        const char *path,
                        struct flv__segment_head *head,
                        uint64_t *bytes,
                        struct flv_err *err)
{
    flv_rc rc = file->io->ops->size(file, bytes, err);

    return rc == FLV_OK ? flv__scan_head(file, path, head, err) : rc;
}

static flv_rc check_checkpoint(struct check *c, struct flv_err *err)
{
    struct flv_buf buf;
    flv_rc rc;

    flv_buf_init(&buf, FLV__CHECKPOINT_MAX);
    rc = flv__checkpoint_load(c->io, c->dir, &buf, err);
    if (rc == FLV_OK) {
        rc = flv__checkpoint_decode(flv_buf_slice(&buf), &c->ck, NULL, NULL);
        c->have_ck = rc == FLV_OK;
        if (rc == FLV_E_NOMEM) {
            (void)!no_memory(c, err);
        }
    }
    if (rc == FLV_E_CORRUPT || rc == FLV_E_UNSUPPORTED) {
        tell(c, FLV_NOTE_DAMAGE, c->dir, 0,
             rc == FLV_E_CORRUPT ? "the checkpoint cannot be believed"
                                 : "the checkpoint has a newer format");
        rc = FLV_OK;
    }
    if (rc == FLV_E_NOT_FOUND) {
        rc = FLV_OK;
    }
    if (rc == FLV_OK) {
        flv_err_clear(err);
    }
    flv_buf_deinit(&buf);
    return rc;
}

/* Whether it says that it follows a segment that never got a header. */
static bool follows_headless(struct check *c,
                             const struct flv__segment_head *head,
                             const char *path)
{
    for (uint32_t i = 0; head->prev_base >= 0 && i < c->names.segments.len;
         i++) {
        if (c->names.segments.at[i] == MARK(head->prev_base)) {
            tell(c, FLV_NOTE_DAMAGE, path, 0,
                 "the segment before it has no valid header");
            return true;
        }
    }
    return false;
}

static void check_head(struct check *c,
                       const struct flv__segment_head *head,
                       const char *path,
                       int64_t base)
{
    (void)follows_headless(c, head, path);
    if (head->base_offset != base) {
        tell(c, FLV_NOTE_DAMAGE, path, 0, "its header names another offset");
    }
    if (c->log_id == 0) {
        c->log_id = c->have_ck ? c->ck.log_id : head->log_id;
    }
    if (head->log_id != c->log_id) {
        tell(c, FLV_NOTE_DAMAGE, path, 0, "it belongs to another log");
    }
    if (c->have_prev && (head->prev_base != c->prev_base ||
                         head->prev_bytes != c->prev_bytes)) {
        tell(c, FLV_NOTE_DAMAGE, path, 0,
             "the segment before it is missing or has changed its size");
    }
    if (c->have_prev && c->next_offset >= 0 &&
        (head->base_offset != c->next_offset ||
         head->first_group != c->next_group)) {
        tell(c, FLV_NOTE_DAMAGE, path, 0,
             "it does not continue the segment before it");
    }
    if (!c->have_prev && c->have_ck && base != c->ck.start_offset) {
        tell(c, FLV_NOTE_DAMAGE, path, 0,
             "it is not the first segment that the checkpoint names");
    }
}

static void meet_checkpoint(struct check *c, const struct flv__scan *s)
{
    if (c->have_ck && c->prev_base == c->ck.segment_base &&
        s->pos == c->ck.pos) {
        c->ck_met = s->next_offset == c->ck.next_offset &&
                    s->next_group == c->ck.next_group;
    }
}

static flv_rc count_batch(void *user,
                          const struct flv__batch_head *head,
                          uint64_t pos,
                          struct flv_err *err)
{
    struct check *c = user;

    (void)head;
    (void)pos;
    (void)err;
    c->out.batches++;
    return FLV_OK;
}

/* Something is wrong at s->pos; is it only the unfinished end? */
static flv_rc judge(struct check *c,
                    struct flv__scan *s,
                    bool newest,
                    const struct flv_err *what,
                    struct flv_err *err)
{
    bool below_ck =
        c->have_ck &&
        (c->ck.segment_base > c->prev_base ||
         (c->ck.segment_base == c->prev_base && s->pos < c->ck.pos));
    bool synced = !newest || below_ck;
    uint64_t used = s->file_bytes;
    flv_rc rc = FLV_OK;

    if (!synced) {
        rc = flv__scan_was_synced(s, &synced, err);
    }
    if (rc == FLV_OK && !synced) {
        rc = flv__scan_used_end(s, &used, err);
    }
    if (rc == FLV_OK && used == s->pos && flv__scan_beyond_room(s)) {
        c->out.torn_bytes += s->file_bytes - s->pos;
        tell(c, FLV_NOTE_TORN, s->path, s->pos, FLV__BEYOND_ROOM);
    }
    if (rc != FLV_OK || used == s->pos) {
        return rc;
    }
    if (synced) {
        tell(c, FLV_NOTE_DAMAGE, s->path, s->pos, what->text);
    } else {
        c->out.torn_bytes += used - s->pos;
        tell(c, FLV_NOTE_TORN, s->path, s->pos, what->text);
    }
    return FLV_OK;
}

static flv_rc check_groups(struct check *c,
                           struct flv__scan *s,
                           bool newest,
                           struct flv_err *err)
{
    struct flv_err what = {0};
    flv_rc rc = FLV_OK;

    s->fn = count_batch;
    s->user = c;
    s->batch_crc = true;
    meet_checkpoint(c, s);
    while (rc == FLV_OK && s->pos < s->file_bytes) {
        rc = flv__scan_next(s, &what);
        c->next_offset = s->next_offset;
        if (rc == FLV_OK) {
            meet_checkpoint(c, s);
        }
    }
    c->out.groups += s->groups;
    c->out.next_offset = s->next_offset;
    if (rc == FLV_E_CORRUPT) {
        rc = judge(c, s, newest, &what, err);
        if (!newest) {
            c->next_offset = -1;
        }
    } else if (rc != FLV_OK && err != NULL) {
        *err = what;
    }
    c->next_group = s->next_group;
    return rc;
}

static flv_rc check_index(struct check *c,
                          const struct flv__segment_head *head,
                          uint64_t bytes,
                          struct flv_err *err)
{
    struct flv__index_file expect = {
        .log_id = head->log_id,
        .base_offset = head->base_offset,
        .next_offset = c->next_offset,
        .segment_bytes = (uint32_t)bytes,
    };
    char *path = flv__path_index(c->dir, head->base_offset);
    struct flv_file *file = NULL;
    struct flv__index index;
    struct flv_buf buf;
    uint64_t size = 0;
    flv_rc rc;

    flv__index_init(&index, 1, 1u << 20);
    flv_buf_init(&buf, 64u << 20);
    rc = open_file(c, path, &file, err);
    if (rc == FLV_OK) {
        rc = c->io->ops->size(file, &size, err);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_reserve(&buf, size);
    }
    if (rc == FLV_OK) {
        rc = flv_io_read_full(file, buf.data, size, 0, &buf.len, err);
    }
    if (rc == FLV_OK) {
        rc = flv__index_decode(&index, flv_buf_slice(&buf), &expect);
    }
    if (rc == FLV_E_CORRUPT || rc == FLV_E_LIMIT) {
        tell(c, FLV_NOTE_REPAIR, path, 0,
             "the index cannot be used and will be made again");
        rc = FLV_OK;
    } else if (rc == FLV_E_NOT_FOUND) {
        rc = FLV_OK; /* made when it is needed */
    }
    flv_io_close(file);
    flv_buf_deinit(&buf);
    flv__index_deinit(&index);
    flv_free(path);
    return rc;
}

static void tell_torn_roll(struct check *c, const char *path, uint64_t bytes)
{
    c->out.torn_bytes += bytes;
    tell(c, FLV_NOTE_TORN, path, 0, "a segment that was being made");
}

/* No header: was it only being made, or is it damaged? */
static void
judge_head(struct check *c, uint32_t i, const char *path, uint64_t bytes)
{
    if (bytes <= FLV__SEGMENT_HEAD &&
        !(c->have_ck && c->ck.segment_base >= c->names.segments.at[i])) {
        c->names.segments.at[i] = MARK(c->names.segments.at[i]);
        tell_torn_roll(c, path, bytes);
    } else {
        c->have_prev = false;
        c->next_offset = -1;
        tell(c, FLV_NOTE_DAMAGE, path, 0, "it has no valid header");
    }
}

static flv_rc check_open_segment(struct check *c,
                                 uint32_t i,
                                 struct flv_file *file,
                                 const char *path,
                                 struct flv_err *err)
{
    bool newest = i == c->newest;
    struct flv__segment_head head;
    struct flv__scan scan;
    uint64_t bytes = 0;
    flv_rc rc = read_head(file, path, &head, &bytes, err);

    c->out.bytes += bytes;
    if (rc == FLV_E_CORRUPT || rc == FLV_E_UNSUPPORTED) {
        judge_head(c, i, path, bytes);
        flv_err_clear(err);
        return FLV_OK;
    }
    if (rc != FLV_OK) {
        return rc;
    }
    check_head(c, &head, path, c->names.segments.at[i]);
    c->have_prev = true;
    c->prev_base = head.base_offset;
    c->prev_bytes = bytes;
    flv__scan_init(&scan, file, path, bytes, &head);
    rc = check_groups(c, &scan, newest, err);
    flv__scan_deinit(&scan);
    if (rc == FLV_OK && c->have_ck && c->ck.segment_base == head.base_offset &&
        !c->ck_met) {
        tell(c, FLV_NOTE_DAMAGE, path, c->ck.pos,
             "no group ends where the checkpoint says");
    }
    if (rc == FLV_OK && !newest && c->next_offset >= 0) {
        rc = check_index(c, &head, bytes, err);
    }
    return rc;
}

/* ---- segments to come ---- */

static bool goes_on(const struct check *c,
                    const struct flv__segment_head *head,
                    int64_t base)
{
    const struct flv__segment_head wanted = {
        .log_id = c->log_id,
        .base_offset = c->next_offset,
        .first_group = c->next_group,
        .prev_base = c->prev_base,
        .prev_bytes = c->prev_bytes,
    };

    return head->base_offset == base && flv__segment_head_same(head, &wanted);
}

/* It follows something else: is that known to have been synced? */
static flv_rc judge_claims(struct check *c,
                           struct flv_file *file,
                           const char *path,
                           uint64_t bytes,
                           struct flv_err *err)
{
    bool synced = false;
    flv_rc rc = flv__scan_claims(file, path, bytes, c->log_id, c->next_group,
                                 &synced, err);

    if (rc == FLV_OK && synced) {
        tell(c, FLV_NOTE_DAMAGE, path, 0,
             "it says that records before it were synced, which are gone");
    } else if (rc == FLV_OK) {
        c->out.torn_bytes += bytes;
        tell(c, FLV_NOTE_TORN, path, 0,
             "a segment behind the unfinished end of the log");
    }
    return rc;
}

/* One that was begun before what is before it was synced: it goes on behind
 * that, or it follows what is lost. */
static flv_rc judge_next(struct check *c,
                         int64_t base,
                         struct flv_file *file,
                         const char *path,
                         struct flv_err *err)
{
    struct flv__segment_head head;
    uint64_t bytes = 0;
    flv_rc rc = read_head(file, path, &head, &bytes, err);

    c->out.bytes += bytes;
    if (rc != FLV_OK && rc != FLV_E_CORRUPT && rc != FLV_E_UNSUPPORTED) {
        return rc;
    }
    flv_err_clear(err);
    if (!c->have_prev) {
        tell(c, FLV_NOTE_DAMAGE, path, 0,
             "the segment before it is missing or has no valid header");
    } else if (rc == FLV_E_UNSUPPORTED) {
        tell(c, FLV_NOTE_DAMAGE, path, 0, "it has a newer format");
    } else if (rc == FLV_E_CORRUPT && bytes <= FLV__SEGMENT_HEAD) {
        tell_torn_roll(c, path, bytes);
    } else if (rc == FLV_OK && head.log_id == c->log_id &&
               follows_headless(c, &head, path)) {
        return FLV_OK;
    } else if (rc == FLV_OK && goes_on(c, &head, base)) {
        c->follower = base;
    } else {
        return judge_claims(c, file, path, bytes, err);
    }
    return FLV_OK;
}

static flv_rc check_follower(struct check *c,
                             int64_t base,
                             struct flv_file *file,
                             const char *path,
                             struct flv_err *err)
{
    struct flv__segment_head head;
    struct flv__scan scan;
    uint64_t bytes = 0;
    flv_rc rc = read_head(file, path, &head, &bytes, err);

    if (rc != FLV_OK) {
        return rc;
    }
    c->out.segments++;
    c->prev_base = base;
    flv__scan_init(&scan, file, path, bytes, &head);
    rc = check_groups(c, &scan, true, err);
    flv__scan_deinit(&scan);
    return rc;
}

typedef flv_rc (*next_fn)(struct check *c,
                          int64_t base,
                          struct flv_file *file,
                          const char *path,
                          struct flv_err *err);

static flv_rc
with_next(struct check *c, int64_t base, next_fn fn, struct flv_err *err)
{
    struct flv_file *file = NULL;
    char *path = flv__path_next(c->dir, base);
    flv_rc rc = open_file(c, path, &file, err);

    if (rc == FLV_OK) {
        rc = fn(c, base, file, path, err);
    }
    flv_io_close(file);
    flv_free(path);
    return rc;
}

/* The one that goes on last: the others are seen from where the last segment
 * ends. */
static flv_rc check_nexts(struct check *c, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    for (uint32_t i = 0; rc == FLV_OK && i < c->names.nexts.len; i++) {
        rc = with_next(c, c->names.nexts.at[i], judge_next, err);
    }
    if (rc == FLV_OK && c->follower >= 0) {
        rc = with_next(c, c->follower, check_follower, err);
    }
    return rc;
}

/* Sets c->newest; without any header it is the last file. */
static flv_rc find_newest(struct check *c, struct flv_err *err)
{
    c->newest = c->names.segments.len > 0 ? c->names.segments.len - 1 : 0;
    for (uint32_t i = c->names.segments.len; i > 0; i--) {
        struct flv__segment_head head;
        struct flv_file *file = NULL;
        char *path = flv__path_segment(c->dir, c->names.segments.at[i - 1]);
        flv_rc rc = open_file(c, path, &file, err);

        if (rc == FLV_OK) {
            rc = flv__scan_head(file, path, &head, err);
        }
        flv_io_close(file);
        flv_free(path);
        if (rc == FLV_OK) {
            c->newest = i - 1;
            return FLV_OK;
        }
        if (rc != FLV_E_CORRUPT && rc != FLV_E_UNSUPPORTED) {
            return rc;
        }
    }
    flv_err_clear(err);
    return FLV_OK;
}

static flv_rc check_segments(struct check *c, struct flv_err *err)
{
    bool ck_segment = !c->have_ck;
    flv_rc rc = FLV_OK;

    for (uint32_t i = 0; rc == FLV_OK && i < c->names.segments.len; i++) {
        struct flv_file *file = NULL;
        char *path;

        if (c->have_ck && c->names.segments.at[i] < c->ck.start_offset) {
            continue; /* trimmed; the next open removes it */
        }
        ck_segment =
            ck_segment || c->names.segments.at[i] == c->ck.segment_base;
        if (c->out.segments++ == 0) {
            c->out.start_offset = c->names.segments.at[i];
        }
        path = flv__path_segment(c->dir, c->names.segments.at[i]);
        rc = open_file(c, path, &file, err);
        if (rc == FLV_OK) {
            rc = check_open_segment(c, i, file, path, err);
        }
        flv_io_close(file);
        flv_free(path);
    }
    if (rc == FLV_OK && !ck_segment) {
        tell(c, FLV_NOTE_DAMAGE, c->dir, 0,
             "the segment that the checkpoint names is missing");
    }
    return rc;
}

flv_rc flv_log_check(struct flv_io *io,
                     const char *dir,
                     flv_log_note_fn note,
                     void *user,
                     struct flv_log_check *out,
                     struct flv_err *err)
{
    struct check c = {
        .io = io != NULL ? io : flv_io_posix(),
        .dir = dir,
        .fn = note,
        .user = user,
        .next_offset = -1,
        .follower = -1,
    };
    flv_rc rc = flv__names_list(c.io, dir, &c.names, err);

    if (rc == FLV_OK) {
        rc = check_checkpoint(&c, err);
    }
    if (rc == FLV_OK) {
        rc = find_newest(&c, err);
    }
    if (rc == FLV_OK) {
        rc = check_segments(&c, err);
    }
    if (rc == FLV_OK) {
        rc = check_nexts(&c, err);
    }
    flv__names_deinit(&c.names);
    if (rc == FLV_OK) {
        *out = c.out;
    }
    return rc;
}
