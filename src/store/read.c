/* Reading: from an offset to whole, verified batches in the caller's memory. */
#include <assert.h>
#include <inttypes.h>

#include "base/mem.h"
#include "store/log_impl.h"
#include "store/scan.h"
#include "wire/crc32c.h"

#define BUF_MIN 128 /* room for any header */

/* An old segment whose file was closed, as run() opened it. */
struct flv__cold {
    struct flv_file *file;   /* owned */
    struct flv__index index; /* owned */
    bool made;               /* the index was not there */
};

static flv_rc judge_offset(const struct flv_log *log,
                           const struct flv_log_read *rd,
                           bool *there,
                           struct flv_err *err)
{
    int64_t limit = rd->isolation == FLV_READ_COMMITTED ? log->hw : log->leo;

    if (rd->offset < log->start_offset) {
        return flv_fail(err, FLV_E_NOT_FOUND,
                        "offset %" PRId64 " was removed: the log begins at "
                        "%" PRId64,
                        rd->offset, log->start_offset);
    }
    if (log->state == FLV_LOG_DAMAGED && rd->offset >= log->leo) {
        return flv_fail(err, FLV_E_CORRUPT, "offset %" PRId64 ": %s",
                        rd->offset, log->cause.text);
    }
    if (rd->offset > log->leo) {
        return flv_fail(err, FLV_E_INVALID,
                        "offset %" PRId64 " does not exist: the next one is "
                        "%" PRId64,
                        rd->offset, log->leo);
    }
    *there = rd->offset < limit;
    return FLV_OK;
}

/* Where an index says to begin; else at the first group. */
static void find_pos(struct flv_log_read *rd,
                     const struct flv__segment *s,
                     const struct flv__index *index)
{
    struct flv__index_entry entry;

    rd->pos = FLV__SEGMENT_HEAD;
    rd->pos_offset = s->head.base_offset;
    if (flv__index_find(index, (uint32_t)(rd->offset - s->head.base_offset),
                        &entry) &&
        entry.pos < rd->limit_pos) {
        rd->pos = entry.pos;
        rd->pos_offset = s->head.base_offset + entry.record;
    }
}

flv_rc flv_log_read_prepare(struct flv_log *log,
                            struct flv_log_read *rd,
                            bool *ready,
                            struct flv_err *err)
{
    struct flv__segment *segment;
    bool there;
    flv_rc rc;

    assert(rd->buf != NULL && rd->segment == NULL && rd->cold == NULL);
    if (rd->buf_bytes < BUF_MIN) {
        return flv_fail(err, FLV_E_INVALID,
                        "a buffer of %zu bytes is too small to read into",
                        rd->buf_bytes);
    }
    rc = judge_offset(log, rd, &there, err);
    if (rc != FLV_OK) {
        return rc;
    }
    rd->len = 0;
    rd->batches = 0;
    rd->need_bytes = 0;
    rd->base_offset = rd->next_offset = rd->offset;
    *ready = there;
    if (!there) {
        return FLV_OK;
    }
    segment = log->segments[flv__segments_find(log, rd->offset)];
    rd->log = log;
    rd->segment = segment;
    rd->segment_base = segment->head.base_offset;
    rd->file = segment->file;
    rd->ending = flv__segment_ending(segment);
    rd->limit_pos = segment->bytes;
    if (rd->isolation == FLV_READ_COMMITTED &&
        segment->head.base_offset == log->hw_base) {
        rd->limit_pos = log->hw_pos;
    }
    if (segment->file != NULL && segment->indexed) {
        find_pos(rd, segment, &segment->index);
    }
    segment->holds++;
    segment->used = ++log->reads;
    log->held++;
    return FLV_OK;
}

/* A segment that nobody has opened, or that has no index, yet. */
static flv_rc warm_up(struct flv_log_read *rd, struct flv_err *err)
{
    struct flv_log *log = rd->log;
    const struct flv__segment *s = rd->segment;
    char *path = flv__path_segment(log->dir, s->head.base_offset);
    struct flv__cold *cold = flv_zalloc(1, sizeof(*cold));
    flv_rc rc;

    if (path == NULL || cold == NULL) {
        rc = flv_fail(err, FLV_E_NOMEM, "no memory to read %s", log->dir);
        goto out;
    }
    flv__index_init(&cold->index, log->conf.index_interval,
                    log->conf.index_entries_max);
    rd->cold = cold;
    rc = log->io->ops->open(log->io, path, FLV_IO_READ, &cold->file, err);
    if (rc == FLV_E_NOT_FOUND) {
        rc = flv_fail(err, FLV_E_CORRUPT, "%s is missing", path);
    }
    if (rc == FLV_OK && !flv__segment_load_index(log, s, &cold->index)) {
        rc = flv__segment_index(log, s, cold->file, &cold->index, err);
        cold->made = true;
    }
    if (rc == FLV_OK) {
        rd->file = cold->file;
        find_pos(rd, s, &cold->index);
    }
    cold = NULL;
out:
    flv_free(cold);
    flv_free(path);
    return rc;
}

/* ---- the walk ---- */

/* Bytes of the file [at, at + len) lie at buf + skip. */
struct walk {
    struct flv_log_read *rd;
    uint64_t at;        /* file position of the next thing to look at */
    size_t in;          /* the same in buf */
    size_t end;         /* end of the file's bytes in buf */
    int64_t expect;     /* base offset of the next batch */
    uint64_t group;     /* number of the group, 0: not seen yet */
    uint64_t group_end; /* file position, 0: not seen yet */
};

static flv_rc
corrupt(const struct walk *w, const char *what, struct flv_err *err)
{
    const struct flv__segment *s = w->rd->segment;

    return flv_fail(err, FLV_E_CORRUPT,
                    "%s/%020" PRId64 "%s at byte %" PRIu64 " (offset %" PRId64
                    "): %s",
                    w->rd->log->dir, s->head.base_offset, w->rd->ending, w->at,
                    w->expect, what);
}

/* Fills buf behind what is delivered already with what begins at w->at. */
static flv_rc refill(struct walk *w, struct flv_err *err)
{
    struct flv_log_read *rd = w->rd;
    size_t want = rd->buf_bytes - rd->len;
    size_t got = 0;
    flv_rc rc;

    if (want > rd->limit_pos - w->at) {
        want = (size_t)(rd->limit_pos - w->at);
    }
    rc = flv_io_read_full(rd->file, rd->buf + rd->len, want, w->at, &got, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (got < want) {
        return corrupt(w, "the file ends before its records do", err);
    }
    w->in = rd->len;
    w->end = rd->len + got;
    return FLV_OK;
}

static flv_rc enter_group(struct walk *w, struct flv_err *err)
{
    struct flv__group_head head;
    const struct flv__segment *s = w->rd->segment;

    if (w->group_end != 0 && w->at != w->group_end) {
        return corrupt(w, "a group begins inside another", err);
    }
    if (flv__group_head_get(w->rd->buf + w->in, &head) != FLV_OK ||
        head.log_id != s->head.log_id || head.first_offset != w->expect ||
        (w->group != 0 && head.number != w->group + 1) ||
        head.bytes > w->rd->limit_pos - w->at - FLV__GROUP_HEAD) {
        return corrupt(w, "not the group header that was written", err);
    }
    w->group = head.number;
    w->at += FLV__GROUP_HEAD;
    w->in += FLV__GROUP_HEAD;
    w->group_end = w->at + head.bytes;
    return FLV_OK;
}

/* The batch at w->in lies in buf whole: moves it behind the others. */
static flv_rc deliver(struct walk *w,
                      const struct flv__batch_head *batch,
                      struct flv_err *err)
{
    struct flv_log_read *rd = w->rd;

    if (!flv__batch_crc_ok(rd->buf + w->in, batch->size)) {
        return corrupt(w, "the CRC of a batch does not hold", err);
    }
    assert(rd->len <= w->in);
    if (rd->len != w->in) {
        memmove(rd->buf + rd->len, rd->buf + w->in, batch->size);
    }
    if (rd->batches == 0) {
        rd->base_offset = batch->base_offset;
    }
    rd->len += batch->size;
    rd->batches++;
    rd->next_offset = batch->next_offset;
    return FLV_OK;
}

/* The first batch does not fit. Before the caller finds memory for it, it has
 * to be true: a damaged length could ask for a whole segment. */
static flv_rc ask_for_room(struct walk *w,
                           const struct flv__batch_head *batch,
                           struct flv_err *err)
{
    struct flv_log_read *rd = w->rd;
    uint32_t crc = 0, stored = 0;

    assert(rd->len == 0);
    for (uint32_t at = 0; at < batch->size;) {
        size_t want = batch->size - at, got = 0;
        size_t skip = at == 0 ? FLV__BATCH_CRC_START : 0;
        flv_rc rc;

        want = want < rd->buf_bytes ? want : rd->buf_bytes;
        rc = flv_io_read_full(rd->file, rd->buf, want, w->at + at, &got, err);
        if (rc != FLV_OK) {
            return rc;
        }
        if (got < want) {
            return corrupt(w, "the file ends before its records do", err);
        }
        if (at == 0) {
            stored = flv_get_u32(rd->buf + FLV__BATCH_CRC_POS);
        }
        crc = flv_crc32c(crc, rd->buf + skip, got - skip);
        at += (uint32_t)got;
    }
    if (crc != stored) {
        return corrupt(w, "the CRC of a batch does not hold", err);
    }
    rd->need_bytes = batch->size;
    return flv_fail(err, FLV_E_LIMIT,
                    "a batch of %u bytes does not fit into %zu", batch->size,
                    rd->buf_bytes);
}

enum step { STEP_ON, STEP_REFILL, STEP_STOP };

static flv_rc step_batch(struct walk *w, enum step *next, struct flv_err *err)
{
    struct flv_log_read *rd = w->rd;
    size_t max = rd->bytes_max > 0 && rd->bytes_max < rd->buf_bytes
                     ? rd->bytes_max
                     : rd->buf_bytes;
    struct flv__batch_head batch;
    flv_rc rc;

    if (flv__batch_stored_get(rd->buf + w->in, w->expect, &batch) != FLV_OK ||
        batch.size > rd->limit_pos - w->at ||
        (w->group_end != 0 && batch.size > w->group_end - w->at)) {
        return corrupt(w, "not the batch that was written", err);
    }
    *next = STEP_ON;
    if (batch.next_offset > rd->offset) {
        if (rd->len >= max || (rd->len > 0 && batch.size > max - rd->len)) {
            *next = STEP_STOP;
            return FLV_OK;
        }
        if (batch.size > rd->buf_bytes) {
            return ask_for_room(w, &batch, err);
        }
        if (batch.size > w->end - w->in) {
            *next = STEP_REFILL;
            return FLV_OK;
        }
        rc = deliver(w, &batch, err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    w->at += batch.size;
    w->expect = batch.next_offset;
    if (batch.size > w->end - w->in) {
        *next = STEP_REFILL; /* skipped beyond what was read */
        w->in = w->end;
    } else {
        w->in += batch.size;
    }
    return FLV_OK;
}

static flv_rc step(struct walk *w, enum step *next, struct flv_err *err)
{
    struct flv_log_read *rd = w->rd;
    size_t have = w->end - w->in;
    size_t need = w->group_end != 0 && w->at == w->group_end ? FLV__GROUP_HEAD
                                                             : FLV__BATCH_HEAD;

    if (have >= sizeof(uint64_t) && flv__is_group(rd->buf + w->in)) {
        need = FLV__GROUP_HEAD;
    }
    if (need > rd->limit_pos - w->at) {
        return corrupt(w, "the file ends inside a header", err);
    }
    if (have < need) {
        *next = STEP_REFILL;
        return FLV_OK;
    }
    if (flv__is_group(rd->buf + w->in)) {
        *next = STEP_ON;
        return enter_group(w, err);
    }
    if (w->at == w->group_end) {
        return corrupt(w, "not a group header", err);
    }
    return step_batch(w, next, err);
}

/* *misled: there is nothing where the index says, so do without it. */
static flv_rc walk(struct flv_log_read *rd, bool *misled, struct flv_err *err)
{
    struct walk w = {
        .rd = rd,
        .at = rd->pos,
        .expect = rd->pos_offset,
        .group_end = rd->pos == FLV__SEGMENT_HEAD ? rd->pos : 0,
    };
    flv_rc rc = FLV_OK;

    *misled = false;
    while (w.at < rd->limit_pos) {
        enum step next = STEP_REFILL;

        if (w.in < w.end) {
            rc = step(&w, &next, err);
        }
        if (rc == FLV_OK && next == STEP_REFILL) {
            if (rd->len > 0) {
                return FLV_OK; /* enough for one read */
            }
            rc = refill(&w, err);
        }
        if (rc == FLV_E_CORRUPT && rd->len > 0) {
            flv_err_clear(err);
            return FLV_OK; /* what lies before the damage is good */
        }
        if (rc != FLV_OK || next == STEP_STOP) {
            *misled = rc == FLV_E_CORRUPT && w.at == rd->pos &&
                      rd->pos > FLV__SEGMENT_HEAD;
            return rc;
        }
    }
    return rd->len > 0 ? FLV_OK
                       : corrupt(&w, "the records end before the offset", err);
}

flv_rc flv_log_read_run(struct flv_log_read *rd, struct flv_err *err)
{
    const struct flv__segment *segment = rd->segment;
    bool misled;
    flv_rc rc;

    assert(segment != NULL);
    rd->len = 0;
    rd->batches = 0;
    rd->next_offset = rd->offset;
    if (rd->file == NULL) {
        rc = warm_up(rd, err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    assert(rd->pos >= FLV__SEGMENT_HEAD && rd->pos_offset <= rd->offset);
    rc = walk(rd, &misled, err);
    if (misled) {
        rd->pos = FLV__SEGMENT_HEAD;
        rd->pos_offset = segment->head.base_offset;
        rc = walk(rd, &misled, err);
    }
    assert(rc != FLV_OK || (rd->batches > 0 && rd->next_offset > rd->offset));
    return rc;
}

/* Another read may have been quicker. */
static void adopt(struct flv__segment *segment, struct flv__cold *cold)
{
    if (segment->file == NULL && cold->file != NULL && !segment->trimmed) {
        segment->file = cold->file;
        flv__index_deinit(&segment->index);
        segment->index = cold->index;
        segment->indexed = true;
        segment->index_unsaved = cold->made;
    } else {
        flv_io_close(cold->file);
        flv__index_deinit(&cold->index);
    }
    flv_free(cold);
}

void flv_log_read_finish(struct flv_log_read *rd)
{
    struct flv__segment *segment = rd->segment;
    struct flv_log *log = rd->log;

    assert(segment != NULL && segment->holds > 0 && log->held > 0);
    segment->holds--;
    log->held--;
    rd->segment = NULL;
    if (rd->cold != NULL) {
        adopt(segment, rd->cold);
        rd->cold = NULL;
        log->keep_due = log->keep_due || segment->index_unsaved;
        flv__segments_cool(log);
    }
    if (segment->trimmed && segment->holds == 0) {
        log->keep_due = true;
    }
}
