/* Scrubbing: what is stored and synced is read again, group by group, whether
 * or not anybody asks for it. */
#include <assert.h>
#include <inttypes.h>

#include "base/mem.h"
#include "store/log_impl.h"
#include "store/scan.h"

/* Up to where the segment is on disk for good. */
static uint64_t limit_of(const struct flv_log *log,
                         const struct flv__segment *s)
{
    if (s->head.base_offset < log->hw_base) {
        return s->bytes;
    }
    return s->head.base_offset == log->hw_base ? log->hw_pos : 0;
}

static void enter(struct flv_log_scrub *sc, const struct flv__segment *s)
{
    sc->base = s->head.base_offset;
    sc->pos = 0;
    sc->next_offset = s->head.base_offset;
    sc->next_group = s->head.first_group;
}

/* The segment where the walk goes on: the one it is in, or, at its end or
 * when it is gone, the next. NULL: there is none. */
static struct flv__segment *where(const struct flv_log *log,
                                  struct flv_log_scrub *sc)
{
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct flv__segment *s = log->segments[i];

        if (sc->begun && s->head.base_offset < sc->base) {
            continue;
        }
        if (!sc->begun || s->head.base_offset > sc->base) {
            enter(sc, s);
            sc->begun = true;
        } else if (sc->skip) {
            continue;
        }
        sc->skip = false;
        if (sc->pos < limit_of(log, s)) {
            return s;
        }
        sc->skip = true;
    }
    return NULL;
}

bool flv_log_scrub_prepare(struct flv_log *log, struct flv_log_scrub *sc)
{
    struct flv__segment *s = where(log, sc);

    assert(sc->segment == NULL && sc->bytes_max > 0);
    sc->bytes = 0;
    sc->unread = false;
    flv_err_clear(&sc->damage);
    if (s == NULL) {
        sc->begun = sc->skip = false;
        return false;
    }
    sc->log = log;
    sc->segment = s;
    sc->limit_pos = limit_of(log, s);
    sc->newest = s == flv__active(log);
    sc->next = s->next; /* of a damaged log: else it is not synced yet */
    s->holds++;
    log->held++;
    return true;
}

static flv_rc check_head(const struct flv__segment *s,
                         struct flv_file *file,
                         const char *path,
                         struct flv_err *err)
{
    struct flv__segment_head head;
    flv_rc rc = flv__scan_head(file, path, &head, err);

    if (rc == FLV_OK && (head.log_id != s->head.log_id ||
                         head.base_offset != s->head.base_offset ||
                         head.first_group != s->head.first_group)) {
        rc = flv_fail(err, FLV_E_CORRUPT,
                      "%s at byte 0: not the header that was written", path);
    }
    return rc;
}

/* Some groups from where the walk is. */
static flv_rc step(struct flv_log_scrub *sc,
                   struct flv_file *file,
                   const char *path,
                   struct flv_err *err)
{
    const struct flv__segment *s = sc->segment;
    struct flv__scan scan;
    uint64_t size = 0;
    uint64_t from;
    flv_rc rc = file->io->ops->size(file, &size, err);

    if (rc == FLV_OK && size < sc->limit_pos) {
        rc = flv_fail(err, FLV_E_CORRUPT,
                      "%s at byte %" PRIu64 ": the file ends before its "
                      "records do",
                      path, size);
    }
    if (rc == FLV_OK && sc->pos == 0) {
        rc = check_head(s, file, path, err);
        sc->pos = FLV__SEGMENT_HEAD;
    }
    if (rc != FLV_OK) {
        return rc;
    }
    flv__scan_init(&scan, file, path, sc->limit_pos, &s->head);
    scan.pos = from = sc->pos;
    scan.next_offset = sc->next_offset;
    scan.next_group = sc->next_group;
    while (rc == FLV_OK && scan.pos < sc->limit_pos &&
           scan.pos - from < sc->bytes_max) {
        rc = flv__scan_next(&scan, err);
    }
    sc->bytes = scan.pos - from;
    sc->pos = scan.pos;
    sc->next_offset = scan.next_offset;
    sc->next_group = scan.next_group;
    flv__scan_deinit(&scan);
    /* What nobody else reads does not stay in memory for this. */
    if (!sc->newest && file->io->ops->forget != NULL) {
        file->io->ops->forget(file, from, sc->bytes);
    }
    return rc;
}

void flv_log_scrub_run(struct flv_log_scrub *sc)
{
    const struct flv__segment *s = sc->segment;
    const struct flv_log *log = sc->log;
    char *path = sc->next ? flv__path_next(log->dir, s->head.base_offset)
                          : flv__path_segment(log->dir, s->head.base_offset);
    struct flv_file *file = NULL;
    struct flv_err err = {0};
    flv_rc rc;

    if (path == NULL) {
        sc->unread = true;
        return;
    }
    rc = log->io->ops->open(log->io, path, FLV_IO_READ, &file, &err);
    if (rc == FLV_E_NOT_FOUND) {
        rc = flv_fail(&err, FLV_E_CORRUPT, "%s is missing", path);
    }
    if (rc == FLV_OK) {
        rc = step(sc, file, path, &err);
    }
    /* A lack of memory or descriptors says nothing about the disk. */
    if (rc == FLV_E_CORRUPT || rc == FLV_E_UNSUPPORTED || rc == FLV_E_IO) {
        sc->damage = err;
    } else {
        sc->unread = rc != FLV_OK;
    }
    flv_io_close(file);
    flv_free(path);
}

void flv_log_scrub_finish(struct flv_log_scrub *sc)
{
    struct flv__segment *s = sc->segment;
    struct flv_log *log = sc->log;

    assert(s != NULL && s->holds > 0 && log->held > 0);
    s->holds--;
    log->held--;
    sc->segment = NULL;
    sc->skip = sc->damage.rc != FLV_OK; /* told once for each segment */
    if (s->trimmed && s->holds == 0) {
        log->keep_due = true;
    }
}
