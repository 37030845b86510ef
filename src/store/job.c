/* What jobs do on disk. Runs in a pool: touches nothing of the log but what
 * does not change while a job is out. */
#include <assert.h>

#include "base/mem.h"
#include "store/log_impl.h"
#include "store/scan.h"
#include "wire/crc32c.h"

#define IOV_MAX_OF_GROUP 256 /* appends in one call */
#define SPACE_PER_ROOM 64    /* so many times as much has to be free */

static void poison(struct flv_log_job *job)
{
    assert(job->err.rc != FLV_OK);
    job->outcome = FLV__FAILED;
}

/* A lack of space or memory leaves the log usable, anything else does not. */
static void roll_back_or_poison(struct flv_log_job *job, flv_rc rc)
{
    job->outcome = rc == FLV_E_NOSPACE || rc == FLV_E_NOMEM ? FLV__ROLLED_BACK
                                                            : FLV__FAILED;
    assert(job->err.rc != FLV_OK);
}

/* Before a sync that has to cover what was there at open. */
static flv_rc write_again(struct flv_log_job *job,
                          const struct flv__segment *segment,
                          const struct flv__again *again)
{
    struct flv__scan scan;
    flv_rc rc;

    if (again->end == 0) {
        return FLV_OK;
    }
    if (again->from == 0) {
        rc = flv__segment_write_head(segment->file, &segment->head, &job->err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    flv__scan_init(&scan, segment->file, job->log->dir, again->end,
                   &segment->head);
    scan.pos = again->from > 0 ? again->from : FLV__SEGMENT_HEAD;
    scan.next_offset = again->offset;
    scan.next_group = again->group;
    rc = flv__scan_write_again(&scan, &job->err);
    flv__scan_deinit(&scan);
    return rc;
}

/* A segment that others follow ends with its last group. */
static flv_rc cut_room(struct flv_log_job *job, struct flv_file *file)
{
    uint64_t size = 0;
    flv_rc rc = file->io->ops->size(file, &size, &job->err);

    if (rc == FLV_OK && size > job->segment->bytes) {
        rc = file->io->ops->truncate(file, job->segment->bytes, &job->err);
    }
    return rc;
}

/* Nothing is written to it any more. */
static flv_rc seal(struct flv_log_job *job, const struct flv__segment *segment)
{
    struct flv_file *file = segment->file;

    return file->io->ops->sync(file, FLV_SYNC_SEGMENT_SEAL, &job->err);
}

static bool end_old(struct flv_log_job *job)
{
    flv_rc rc = write_again(job, job->segment, &job->again);

    if (rc != FLV_OK) {
        roll_back_or_poison(job, rc);
        return false;
    }
    if (cut_room(job, job->segment->file) != FLV_OK ||
        seal(job, job->segment) != FLV_OK) {
        poison(job);
        return false;
    }
    return true;
}

static bool roll(struct flv_log_job *job)
{
    struct flv_io *io = job->log->io;
    flv_rc rc;

    if (job->seal && !end_old(job)) {
        return false;
    }
    rc = flv__segment_create(io, job->log->dir, job->fresh, !job->seal,
                             &job->err);
    if (rc != FLV_OK) {
        roll_back_or_poison(job, rc);
        return false;
    }
    return true;
}

static flv_rc write_group(struct flv_log_job *job, struct flv_file *file)
{
    struct iovec iov[IOV_MAX_OF_GROUP];
    uint8_t head[FLV__GROUP_HEAD];
    struct flv_append *req = job->group.head;
    uint64_t pos = job->pos, bytes = sizeof(head);
    int count = 1;

    flv__group_head_put(head, &job->head);
    iov[0] = (struct iovec){head, sizeof(head)};
    while (req != NULL || count > 0) {
        flv_rc rc;

        for (; req != NULL && count < IOV_MAX_OF_GROUP; req = req->next) {
            if (req->size > 0) {
                iov[count++] = (struct iovec){req->data, req->size};
                bytes += req->size;
            }
        }
        rc = flv_io_write_all(file, iov, count, pos, &job->err);
        if (rc != FLV_OK) {
            return rc;
        }
        pos += bytes;
        bytes = 0;
        count = 0;
    }
    assert(pos == job->pos + FLV__GROUP_HEAD + job->head.bytes);
    return FLV_OK;
}

/* Room for the groups to come is not worth the last of the disk, nor an
 * error if it runs out all the same. */
static flv_rc make_room(struct flv_log_job *job, struct flv_file *file)
{
    static const uint8_t zeros[FLV__AHEAD_MAX];
    struct flv_io *io = job->log->io;
    uint64_t end = job->pos + FLV__GROUP_HEAD + job->head.bytes;
    struct iovec iov = {(void *)zeros, job->room_end - end};
    uint64_t space = 0;
    flv_rc rc;

    if (job->room_end <= end) {
        return FLV_OK; /* the segment is full */
    }
    assert(iov.iov_len <= sizeof(zeros));
    rc = FLV_E_NOSPACE;
    if (io->ops->space(io, job->log->dir, &space, NULL) == FLV_OK &&
        space / SPACE_PER_ROOM >= iov.iov_len) {
        rc = flv_io_write_all(file, &iov, 1, end, &job->err);
    }
    if (rc == FLV_E_NOSPACE) {
        job->room_end = 0;
        flv_err_clear(&job->err);
        rc = FLV_OK;
    }
    return rc;
}

/* Before anything is written behind a refused group: what is left of it on
 * disk could be completed by that, a record that ends in zeros by nothing but
 * a larger file. */
static bool settle(struct flv_log_job *job, struct flv_file *file)
{
    if (file->io->ops->sync(file, FLV_SYNC_ROLL_BACK, &job->err) != FLV_OK) {
        poison(job);
        return false;
    }
    return true;
}

/* Nothing of the group may be met again. In room there are zeros behind it
 * already, so that this is settled before anybody hears of it. (Only disk
 * topics have room: no other sync of the file is under way.) */
static void take_back(struct flv_log_job *job, struct flv_file *file)
{
    struct flv_err why = job->err;

    if (file->io->ops->truncate(file, job->pos, &job->err) != FLV_OK) {
        poison(job);
    } else if (job->log->conf.durability != FLV_DURABLE_DISK ||
               settle(job, file)) {
        job->err = why;
    }
}

static uint32_t group_crc(const struct flv_log_job *job)
{
    uint32_t crc = 0;

    for (const struct flv_append *r = job->group.head; r != NULL; r = r->next) {
        if (r->size > 0) {
            crc = flv_crc32c(crc, r->data, r->size);
        }
    }
    return crc;
}

void flv__job_commit(struct flv_log_job *job)
{
    struct flv_file *file;
    flv_rc rc;

    if (job->roll && !roll(job)) {
        return;
    }
    if (job->group.head == NULL) {
        return;
    }
    file = job->roll ? job->fresh->file : job->segment->file;
    if (job->settle && !settle(job, file)) {
        return;
    }
    job->head.crc = group_crc(job);
    rc = write_group(job, file);
    if (rc != FLV_OK) {
        roll_back_or_poison(job, rc);
        if (job->outcome == FLV__ROLLED_BACK) {
            take_back(job, file);
        }
        return;
    }
    if (job->room_end > 0 && make_room(job, file) != FLV_OK) {
        poison(job);
        return;
    }
    if (job->log->conf.durability == FLV_DURABLE_DISK &&
        file->io->ops->sync(file, FLV_SYNC_COMMIT, &job->err) != FLV_OK) {
        poison(job);
    }
}

/* Indexes first and before anything else: they are only hints, and on a full
 * disk the checkpoint needs the room. */
static void remove_indexes(struct flv_log_job *job)
{
    struct flv_log *log = job->log;

    for (uint32_t i = 0; i < job->trimmed_count; i++) {
        char *path =
            flv__path_index(log->dir, job->trimmed[i]->head.base_offset);

        if (path != NULL) {
            (void)!log->io->ops->unlink(log->io, path, NULL);
        }
        flv_free(path);
    }
}

/* What cannot be removed now is met again by the next open. */
static void remove_segments(struct flv_log_job *job)
{
    struct flv_log *log = job->log;

    for (uint32_t i = 0; i < job->trimmed_count; i++) {
        char *path =
            flv__path_segment(log->dir, job->trimmed[i]->head.base_offset);

        if (path != NULL) {
            (void)!log->io->ops->unlink(log->io, path, &job->err);
        }
        flv_free(path);
    }
}

static flv_rc write_out(struct flv_log_job *job,
                        const struct flv__segment *segment,
                        uint64_t from,
                        uint64_t end)
{
    struct flv_file *file = segment->file;

    return file->io->ops->write_out != NULL
               ? file->io->ops->write_out(file, from, end - from, &job->err)
               : FLV_OK;
}

static flv_rc sync_before(struct flv_log_job *job)
{
    flv_rc rc =
        write_out(job, job->before, job->dirty_from, job->before->bytes);

    return rc == FLV_OK ? seal(job, job->before) : rc;
}

static flv_rc sync_active(struct flv_log_job *job)
{
    struct flv_file *file = job->segment->file;
    flv_rc rc =
        write_out(job, job->segment, job->before == NULL ? job->dirty_from : 0,
                  job->at.pos);

    return rc == FLV_OK ? file->io->ops->sync(file, FLV_SYNC_FLUSH, &job->err)
                        : rc;
}

/* The old segment first: that the new one has its name says that all before it
 * is synced. */
static bool flush(struct flv_log_job *job)
{
    flv_rc rc = FLV_OK;

    if (job->before != NULL) {
        rc = write_again(job, job->before, &job->again_before);
    }
    if (rc == FLV_OK) {
        rc = write_again(job, job->segment, &job->again);
    }
    if (rc != FLV_OK) {
        roll_back_or_poison(job, rc); /* or it is tried again */
        return false;
    }
    if ((job->before != NULL && sync_before(job) != FLV_OK) ||
        sync_active(job) != FLV_OK) {
        poison(job);
        return false;
    }
    if (job->before != NULL) {
        rc = flv__segment_name(job->log->io, job->log->dir, job->segment,
                               &job->err);
    }
    if (rc != FLV_OK) {
        roll_back_or_poison(job, rc);
        return false;
    }
    return true;
}

void flv__job_upkeep(struct flv_log_job *job)
{
    struct flv_log *log = job->log;

    if (job->flush && !flush(job)) {
        return;
    }
    if (!job->keep) {
        return;
    }
    remove_indexes(job);
    if (flv__checkpoint_save(log->io, log->dir, flv_buf_slice(&job->checkpoint),
                             &job->err) != FLV_OK) {
        return;
    }
    job->kept = true;
    if (job->unsaved != NULL &&
        flv__segment_save_index(log, job->unsaved, &job->err) == FLV_OK) {
        job->saved = true;
    }
    remove_segments(job);
}
