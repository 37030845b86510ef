/* Segment files of a log: making, finding, opening and closing them. */
#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/log_impl.h"
#include "store/scan.h"

#define INDEX_FILE_MAX (64u << 20)

struct flv__segment *flv__segment_new(const struct flv_log_conf *conf,
                                      const struct flv__segment_head *head)
{
    struct flv__segment *segment = flv_zalloc(1, sizeof(*segment));

    if (segment != NULL) {
        segment->head = *head;
        segment->bytes = FLV__SEGMENT_HEAD;
        segment->end_offset = head->base_offset;
        segment->begun_ms = segment->written_ms = (int64_t)flv_clock_mono_ms();
        flv__index_init(&segment->index, conf->index_interval,
                        conf->index_entries_max);
    }
    return segment;
}

uint32_t flv__segment_now_s(void)
{
    int64_t s = flv_clock_wall_ms() / 1000;

    return s > 0 && s <= UINT32_MAX ? (uint32_t)s : 0;
}

void flv__segment_set_age(struct flv__segment *segment, int64_t written_ms)
{
    int64_t mono = (int64_t)flv_clock_mono_ms();
    int64_t wall = flv_clock_wall_ms();
    int64_t begun_ms = (int64_t)segment->head.created_s * 1000;

    if (written_ms > 0 && written_ms < wall) {
        segment->written_ms = mono - (wall - written_ms);
    }
    segment->begun_ms = segment->written_ms;
    if (begun_ms > 0 && begun_ms < written_ms) {
        segment->begun_ms -= written_ms - begun_ms;
    }
}

void flv__segment_free(struct flv__segment *segment)
{
    if (segment != NULL) {
        assert(segment->holds == 0);
        flv_io_close(segment->file);
        flv__index_deinit(&segment->index);
        flv_free(segment);
    }
}

flv_rc flv__segment_write_head(struct flv_file *file,
                               const struct flv__segment_head *head,
                               struct flv_err *err)
{
    uint8_t bytes[FLV__SEGMENT_HEAD];
    struct iovec iov = {bytes, sizeof(bytes)};

    flv__segment_head_put(bytes, head);
    return flv_io_write_all(file, &iov, 1, 0, err);
}

/* A failed sync is never just a lack of something. */
static flv_rc sync_name(struct flv_io *io, const char *dir, struct flv_err *err)
{
    return io->ops->sync_dir(io, dir, FLV_SYNC_SEGMENT_DIR, err) == FLV_OK
               ? FLV_OK
               : FLV_E_IO;
}

static flv_rc make_durable(struct flv_io *io,
                           const char *dir,
                           struct flv_file *file,
                           struct flv_err *err)
{
    return io->ops->sync(file, FLV_SYNC_SEGMENT_HEADER, err) == FLV_OK
               ? sync_name(io, dir, err)
               : FLV_E_IO;
}

flv_rc flv__segment_create(struct flv_io *io,
                           const char *dir,
                           struct flv__segment *segment,
                           bool next,
                           struct flv_err *err)
{
    char *path = next ? flv__path_next(dir, segment->head.base_offset)
                      : flv__path_segment(dir, segment->head.base_offset);
    struct flv_file *file = NULL;
    flv_rc rc;

    assert(segment->file == NULL);
    if (path == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "no memory for a segment in %s", dir);
    }
    rc = io->ops->open(io, path, FLV_IO_CREATE, &file, err);
    if (rc != FLV_OK) {
        goto out;
    }
    rc = flv__segment_write_head(file, &segment->head, err);
    if (rc != FLV_OK && io->ops->unlink(io, path, NULL) != FLV_OK) {
        rc = FLV_E_IO; /* it is in the way of the next attempt */
    }
    if (rc == FLV_OK && !next) {
        rc = make_durable(io, dir, file, err);
    }
    if (rc == FLV_OK) {
        segment->file = file;
        segment->next = next;
        segment->indexed = true;
        file = NULL;
    }
out:
    flv_io_close(file);
    flv_free(path);
    return rc;
}

flv_rc flv__segment_name(struct flv_io *io,
                         const char *dir,
                         const struct flv__segment *segment,
                         struct flv_err *err)
{
    char *from = flv__path_next(dir, segment->head.base_offset);
    char *to = flv__path_segment(dir, segment->head.base_offset);
    flv_rc rc =
        from == NULL || to == NULL
            ? flv_fail(err, FLV_E_NOMEM, "no memory for a segment in %s", dir)
            : io->ops->rename(io, from, to, err);

    if (rc == FLV_OK) {
        rc = sync_name(io, dir, err);
    }
    flv_free(to);
    flv_free(from);
    return rc;
}

flv_rc flv__segments_reserve(struct flv_log *log)
{
    uint32_t cap = log->segment_cap > 0 ? log->segment_cap * 2 : 4;
    struct flv__segment **segments;

    if (log->segment_count < log->segment_cap) {
        return FLV_OK;
    }
    segments = flv_realloc(log->segments, cap * sizeof(struct flv__segment *));
    if (segments == NULL) {
        return FLV_E_NOMEM;
    }
    log->segments = segments;
    log->segment_cap = cap;
    return FLV_OK;
}

void flv__segments_push(struct flv_log *log, struct flv__segment *segment)
{
    assert(log->segment_count < log->segment_cap);
    assert(log->segment_count == 0 ||
           flv__active(log)->head.base_offset < segment->head.base_offset);
    log->segments[log->segment_count++] = segment;
}

uint32_t flv__segments_find(const struct flv_log *log, int64_t offset)
{
    uint32_t low = 0, high = log->segment_count;

    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;

        if (log->segments[mid]->head.base_offset <= offset) {
            low = mid;
        } else {
            high = mid;
        }
    }
    assert(log->segments[low]->head.base_offset <= offset);
    return low;
}

static struct flv__segment *coldest(struct flv_log *log, uint32_t *open)
{
    struct flv__segment *found = NULL;

    *open = 0;
    for (uint32_t i = 0; i + 1 < log->segment_count; i++) {
        struct flv__segment *s = log->segments[i];

        if (s->file == NULL) {
            continue;
        }
        (*open)++;
        if (s->holds == 0 && !s->index_unsaved &&
            (found == NULL || s->used < found->used)) {
            found = s;
        }
    }
    return found;
}

void flv__segments_cool(struct flv_log *log)
{
    for (;;) {
        uint32_t open;
        struct flv__segment *s = coldest(log, &open);

        if (s == NULL || open <= log->conf.segments_open_max) {
            return;
        }
        flv_io_close(s->file);
        s->file = NULL;
        flv__index_deinit(&s->index);
        s->indexed = false;
    }
}

struct builder {
    struct flv__index *index;
    int64_t base;
};

static flv_rc add_entry(void *user,
                        const struct flv__batch_head *head,
                        uint64_t pos,
                        struct flv_err *err)
{
    struct builder *b = user;

    (void)err;
    flv__index_add(b->index, (uint32_t)(head->base_offset - b->base),
                   (uint32_t)pos);
    return FLV_OK;
}

bool flv__segment_load_index(struct flv_log *log,
                             const struct flv__segment *segment,
                             struct flv__index *out)
{
    struct flv__index_file expect = {
        .log_id = log->log_id,
        .base_offset = segment->head.base_offset,
        .next_offset = segment->end_offset,
        .segment_bytes = segment->bytes,
    };
    char *path = flv__path_index(log->dir, segment->head.base_offset);
    struct flv_file *file = NULL;
    struct flv_buf buf;
    uint64_t size = 0;
    bool ok = false;

    flv_buf_init(&buf, INDEX_FILE_MAX);
    if (path != NULL &&
        log->io->ops->open(log->io, path, FLV_IO_READ, &file, NULL) == FLV_OK &&
        log->io->ops->size(file, &size, NULL) == FLV_OK &&
        size <= INDEX_FILE_MAX && flv_buf_reserve(&buf, size) == FLV_OK &&
        flv_io_read_full(file, buf.data, size, 0, &buf.len, NULL) == FLV_OK) {
        ok = flv__index_decode(out, flv_buf_slice(&buf), &expect) == FLV_OK;
    }
    flv_buf_deinit(&buf);
    flv_io_close(file);
    flv_free(path);
    return ok;
}

flv_rc flv__segment_index(struct flv_log *log,
                          const struct flv__segment *segment,
                          struct flv_file *file,
                          struct flv__index *out,
                          struct flv_err *err)
{
    struct builder builder = {out, segment->head.base_offset};
    char *path = flv__path_segment(log->dir, segment->head.base_offset);
    struct flv__scan scan;
    flv_rc rc;

    if (path == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "no memory to index %s", log->dir);
    }
    flv__scan_init(&scan, file, path, segment->bytes, &segment->head);
    scan.fn = add_entry;
    scan.user = &builder;
    rc = flv__scan_all(&scan, err);
    flv__scan_deinit(&scan);
    flv_free(path);
    /* Damage ends the index, not the reading of what lies before it. */
    return rc == FLV_E_CORRUPT ? FLV_OK : rc;
}

flv_rc flv__segment_save_index(struct flv_log *log,
                               const struct flv__segment *segment,
                               struct flv_err *err)
{
    struct flv__index_file about = {
        .log_id = log->log_id,
        .base_offset = segment->head.base_offset,
        .next_offset = segment->end_offset,
        .segment_bytes = segment->bytes,
    };
    char *path = flv__path_index(log->dir, segment->head.base_offset);
    struct flv_file *file = NULL;
    struct flv_buf buf;
    struct iovec iov;
    flv_rc rc;

    flv_buf_init(&buf, INDEX_FILE_MAX);
    rc = path == NULL ? FLV_E_NOMEM
                      : flv__index_encode(&segment->index, &about, &buf);
    if (rc != FLV_OK) {
        rc = flv_fail(err, rc, "cannot build the index of %s", log->dir);
        goto out;
    }
    rc = log->io->ops->open(log->io, path, FLV_IO_OVERWRITE, &file, err);
    if (rc == FLV_OK) {
        iov = (struct iovec){buf.data, buf.len};
        rc = flv_io_write_all(file, &iov, 1, 0, err);
    }
out:
    flv_io_close(file);
    flv_buf_deinit(&buf);
    flv_free(path);
    return rc;
}
