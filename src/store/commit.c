/* Commit jobs on the loop: from what waits to a group, and from its fate to
 * the fate of every append in it. */
#include <assert.h>

#include "base/clock.h"
#include "store/log_impl.h"

/* Everything in `q` is over. The queue is the caller's own: callbacks may
 * stage again. */
static void complete(struct flv__queue *q, flv_rc rc, const struct flv_err *err)
{
    while (q->head != NULL) {
        struct flv_append *req = flv__queue_pop(q);

        req->done(req, rc, err);
    }
}

/* Takes an append off the books. */
static void unstage(struct flv_log *log, struct flv_append *req)
{
    assert(log->staged_bytes >= req->size);
    log->staged_bytes -= req->size;
    if (req->producer != NULL) {
        flv__producers_unstage(&log->producers, req->producer);
        req->producer = NULL;
    }
}

/* Ends what waits, and `group` before it, without having stored it. */
static void fail_all(struct flv_log *log,
                     struct flv__queue *group,
                     const struct flv_err *err)
{
    struct flv__queue all;

    flv__queue_init(&all);
    flv__queue_move(&all, group);
    flv__queue_move(&all, &log->staged);
    for (struct flv_append *r = all.head; r != NULL; r = r->next) {
        unstage(log, r);
    }
    log->next_offset = log->leo;
    assert(log->staged_bytes == 0);
    complete(&all, err->rc, err);
}

void flv_log_cancel(struct flv_log *log)
{
    struct flv__queue all;
    struct flv_err err;
    flv_rc rc = flv_fail(&err, FLV_E_CANCELED, "the partition is being closed");

    log->closing = true;
    flv__queue_init(&all);
    flv__queue_move(&all, &log->staged);
    for (struct flv_append *r = all.head; r != NULL; r = r->next) {
        if (r->size > 0 && log->next_offset > r->base_offset) {
            log->next_offset = r->base_offset;
        }
        unstage(log, r);
    }
    complete(&all, rc, &err);
}

/* How many bytes of what waits go into the next group, given `room`. Zero if
 * not even the first append fits. */
static uint32_t group_size(const struct flv_log *log, uint64_t room)
{
    uint64_t bytes = 0;
    uint64_t max = log->conf.group_bytes_max;

    for (const struct flv_append *r = log->staged.head; r != NULL;
         r = r->next) {
        if (bytes + r->size + FLV__GROUP_HEAD > room ||
            (bytes > 0 && bytes + r->size > max)) {
            break;
        }
        bytes += r->size;
    }
    return (uint32_t)bytes;
}

static bool has_to_roll(const struct flv_log *log)
{
    const struct flv__segment *active = flv__active(log);
    const struct flv_append *first = log->staged.head;

    if (active->bytes == FLV__SEGMENT_HEAD) {
        return false;
    }
    return log->roll_due ||
           (first != NULL &&
            ((uint64_t)active->bytes + FLV__GROUP_HEAD + first->size >
                 log->conf.segment_bytes ||
             first->base_offset + first->records - active->head.base_offset >
                 UINT32_MAX));
}

/* The segment before the active one has to be synced before a third begins. */
bool flv_log_waits_for_sync(const struct flv_log *log)
{
    return log->state == FLV_LOG_OK && log->unsealed != NULL &&
           !log->commit.out && log->staged.head != NULL && has_to_roll(log);
}

void flv__commit_refuse(struct flv_log *log, const struct flv_err *err)
{
    struct flv_err why = *err;
    struct flv__queue none;

    if (log->commit.out) {
        return; /* its end tells what waits behind it, too */
    }
    if (log->state == FLV_LOG_POISONED) {
        (void)!flv__log_refuse(log, &why);
    }
    flv__queue_init(&none);
    fail_all(log, &none, &why);
}

static flv_rc prepare_roll(struct flv_log *log, struct flv_log_job *job)
{
    struct flv__segment *active = flv__active(log);
    struct flv__segment_head head = {
        .log_id = log->log_id,
        .base_offset = log->leo,
        .first_group = log->next_group,
        .prev_base = active->head.base_offset,
        .prev_bytes = active->bytes,
        .created_s = flv__segment_now_s(),
    };

    job->fresh = NULL;
    if (flv__segments_reserve(log) != FLV_OK) {
        return FLV_E_NOMEM;
    }
    job->fresh = flv__segment_new(&log->conf, &head);
    return job->fresh != NULL ? FLV_OK : FLV_E_NOMEM;
}

/* Moves appends of `bytes` bytes into the job, repetitions among them too. */
static void take_group(struct flv_log *log,
                       struct flv_log_job *job,
                       uint32_t bytes,
                       int64_t base)
{
    uint32_t pos = 0;
    int64_t next = log->leo;

    while (log->staged.head != NULL && pos + log->staged.head->size <= bytes &&
           next - base <= UINT32_MAX) {
        struct flv_append *req = log->staged.head;

        if (req->size > 0 &&
            req->base_offset + req->records - base > UINT32_MAX) {
            break;
        }
        flv__queue_pop(&log->staged);
        req->pos = pos;
        pos += req->size;
        next = req->size > 0 ? req->base_offset + req->records : next;
        flv__queue_push(&job->group, req);
    }
    assert(pos > 0 && next > log->leo);
    job->head = (struct flv__group_head){
        .log_id = log->log_id,
        .number = log->next_group,
        .synced = log->synced,
        .first_offset = log->leo,
        .next_offset = next,
        .bytes = pos,
    };
}

/* A sync after an append makes the file system write down the file's new size,
 * which takes longer than the group itself if that is small, and waits for
 * threads of the kernel. Into bytes that are there it needs neither. So small
 * groups write zeros ahead of themselves: as many as the file has bytes, up to
 * a limit, so that a partition at rest costs nothing. */
static uint32_t room_end(const struct flv_log *log,
                         const struct flv_log_job *job)
{
    uint64_t bytes = FLV__GROUP_HEAD + (uint64_t)job->head.bytes;
    uint64_t end = job->pos + bytes;
    uint64_t ahead =
        job->pos < log->conf.ahead_bytes ? job->pos : log->conf.ahead_bytes;

    if (log->conf.durability != FLV_DURABLE_DISK || job->group.head == NULL ||
        (!job->roll && end <= flv__active(log)->room_end) ||
        bytes > log->conf.ahead_bytes / FLV__AHEAD_PER_GROUP) {
        return 0;
    }
    end += ahead;
    return (uint32_t)(end < log->conf.segment_bytes ? end
                                                    : log->conf.segment_bytes);
}

/* Those who write to a page cache are not to wait for the disk where a segment
 * ends: the next sync makes up for it. Once, or there would be no end to what
 * is not synced; and not when something else has to be put right first. */
static bool can_seal_later(const struct flv_log *log)
{
    return log->conf.durability == FLV_DURABLE_PAGE_CACHE &&
           log->staged.head != NULL && !log->unsettled && log->again_end == 0 &&
           log->hw < log->leo;
}

struct flv_log_job *flv_log_commit_job(struct flv_log *log)
{
    struct flv_log_job *job = &log->commit;
    struct flv__segment *active = flv__active(log);
    uint64_t room;

    if (job->out || log->state != FLV_LOG_OK || log->closing) {
        return NULL;
    }
    job->roll = has_to_roll(log);
    if (log->staged.head == NULL && !job->roll) {
        return NULL;
    }
    assert(job->group.head == NULL);
    assert(log->staged.head == NULL || log->staged.head->size > 0);
    job->settle = log->unsettled && !job->roll;
    job->seal = job->roll && !can_seal_later(log);
    if (job->roll && log->unsealed != NULL) {
        return NULL; /* until the next sync */
    }
    if ((job->seal || job->settle) && log->upkeep.out && log->upkeep.flush) {
        return NULL; /* two syncs of one file: each might miss an error */
    }
    /* Without memory it is tried again after the next event. */
    if (job->roll && prepare_roll(log, job) != FLV_OK) {
        return NULL;
    }
    job->pos = job->roll ? FLV__SEGMENT_HEAD : active->bytes;
    room = log->conf.segment_bytes - job->pos;
    if (log->staged.head != NULL) {
        take_group(log, job, group_size(log, room),
                   job->roll ? log->leo : active->head.base_offset);
    }
    job->room_end = room_end(log, job);
    if (job->seal) {
        job->again = flv__again_from_hw(log, log->again_end);
    }
    job->segment = active;
    job->segment->holds++;
    job->out = true;
    job->ran = false;
    job->outcome = FLV__DONE;
    flv_err_clear(&job->err);
    return job;
}

static void index_append(struct flv__segment *segment,
                         const struct flv_append *req,
                         uint32_t pos)
{
    for (uint32_t at = 0; at < req->size;) {
        struct flv__batch_head b;
        flv_rc rc = flv__batch_head_get(req->data + at, &b);

        assert(rc == FLV_OK);
        (void)rc;
        flv__index_add(&segment->index,
                       (uint32_t)(b.base_offset - segment->head.base_offset),
                       pos + at);
        if (req->size < segment->index.interval) {
            break; /* no second entry in so few bytes */
        }
        at += b.size;
    }
}

static void store_append(struct flv_log *log, const struct flv_append *req)
{
    for (uint32_t at = 0; req->producer != NULL && at < req->size;) {
        struct flv__batch_head b;
        flv_rc rc = flv__batch_head_get(req->data + at, &b);

        assert(rc == FLV_OK);
        rc = flv__producers_store(&log->producers, &b);
        assert(rc == FLV_OK); /* it is there since staging */
        (void)rc;
        at += b.size;
    }
}

/* The group is in the log. */
static void publish(struct flv_log *log, struct flv_log_job *job)
{
    struct flv__segment *active = flv__active(log);

    assert(job->head.first_offset == log->leo && job->pos == active->bytes);
    active->written_ms = (int64_t)flv_clock_mono_ms();
    if (active->bytes == FLV__SEGMENT_HEAD) {
        active->begun_ms = active->written_ms;
    }
    for (struct flv_append *r = job->group.head; r != NULL; r = r->next) {
        index_append(active, r, (uint32_t)job->pos + FLV__GROUP_HEAD + r->pos);
        store_append(log, r);
        unstage(log, r);
    }
    active->bytes = (uint32_t)job->pos + FLV__GROUP_HEAD + job->head.bytes;
    active->room_end = job->room_end > 0 ? job->room_end : active->room_end;
    active->end_offset = log->leo = job->head.next_offset;
    log->next_group = job->head.number + 1;
    log->unkept_bytes += FLV__GROUP_HEAD + job->head.bytes;
    if (log->conf.durability == FLV_DURABLE_DISK) {
        log->synced = job->head.number;
        log->hw = log->leo;
        log->hw_base = active->head.base_offset;
        log->hw_pos = active->bytes;
    }
}

/* Whatever became of the group. If the old segment was synced, the new one is
 * durable; else both will be with the next sync. */
static void publish_roll(struct flv_log *log, struct flv_log_job *job)
{
    assert(job->fresh->head.base_offset == log->leo);
    job->segment->index_unsaved = true;
    job->segment->room_end = 0;
    flv__segments_push(log, job->fresh);
    if (job->seal) {
        flv__log_wrote_again(log);
        log->hw = log->leo;
        log->synced = log->next_group - 1;
        log->hw_base = job->fresh->head.base_offset;
        log->hw_pos = job->fresh->bytes;
    } else {
        assert(log->unsealed == NULL);
        log->unsealed = job->segment;
        log->unsealed->holds++;
    }
    job->fresh = NULL;
    log->roll_due = false;
    log->keep_due = true;
    flv__segments_cool(log);
}

/* Repetitions of what is stored by now, at the head of the queue. */
static void take_repetitions(struct flv_log *log, struct flv__queue *out)
{
    while (log->staged.head != NULL && log->staged.head->size == 0) {
        struct flv_append *req = flv__queue_pop(&log->staged);

        assert(req->base_offset + req->records <= log->leo);
        flv__queue_push(out, req);
    }
}

flv_rc flv__commit_finish(struct flv_log *log,
                          struct flv_log_job *job,
                          struct flv_err *err)
{
    struct flv__queue done;
    struct flv_err why = job->err;

    assert(job->segment->holds > 0);
    job->segment->holds--;
    flv__queue_init(&done);
    if (job->fresh != NULL && job->fresh->file != NULL &&
        job->outcome != FLV__FAILED) {
        publish_roll(log, job);
    }
    flv__segment_free(job->fresh);
    job->fresh = NULL;
    if (job->outcome == FLV__FAILED) {
        flv__log_poison(log, &why);
    }
    if (log->state == FLV_LOG_POISONED) {
        (void)!flv__log_refuse(log, &why);
    }
    log->unsettled = job->outcome != FLV__DONE;
    if (log->unsettled) {
        flv__active(log)->room_end = 0; /* cut off */
    }
    if (log->state == FLV_LOG_OK && job->outcome == FLV__DONE) {
        if (job->group.head != NULL) {
            publish(log, job);
        }
        flv__queue_move(&done, &job->group);
        take_repetitions(log, &done);
        complete(&done, FLV_OK, NULL);
        return FLV_OK;
    }
    if (job->outcome == FLV__ROLLED_BACK && job->group.head == NULL) {
        log->roll_due = false; /* nobody waits for it; until the next time */
        if (err != NULL) {
            *err = job->err;
        }
        return job->err.rc;
    }
    flv__queue_move(&done, &job->group);
    if (err != NULL) {
        *err = job->outcome == FLV__DONE ? why : job->err;
    }
    fail_all(log, &done, &why);
    return why.rc;
}
