#include "store/log.h"

#include <assert.h>
#include <inttypes.h>

#include "base/mem.h"
#include "store/log_impl.h"

#define NOT_FOR_APPENDS(log) ((log)->state != FLV_LOG_OK)

static void queue_init(struct flv__queue *q)
{
    q->head = NULL;
    q->tail = &q->head;
}

static void queue_push(struct flv__queue *q, struct flv_append *req)
{
    req->next = NULL;
    *q->tail = req;
    q->tail = &req->next;
}

static struct flv_append *queue_pop(struct flv__queue *q)
{
    struct flv_append *req = q->head;

    q->head = req->next;
    if (q->head == NULL) {
        q->tail = &q->head;
    }
    req->next = NULL;
    return req;
}

/* Moves everything from `from` behind `to`. */
static void queue_move(struct flv__queue *to, struct flv__queue *from)
{
    if (from->head != NULL) {
        *to->tail = from->head;
        to->tail = from->tail;
        queue_init(from);
    }
}

/* ---- life ---- */

#define ORELSE(value, fallback) ((value) != 0 ? (value) : (fallback))

static flv_rc set_conf(struct flv_log_conf *out,
                       const struct flv_log_conf *in,
                       struct flv_err *err)
{
    struct flv_log_conf c = *in;

    c.io = c.io != NULL ? c.io : flv_io_posix();
    c.segment_bytes = ORELSE(c.segment_bytes, 1u << 30);
    c.batch_bytes_max = ORELSE(c.batch_bytes_max, 2u << 20);
    c.append_bytes_max = ORELSE(c.append_bytes_max, (32u << 20) + (64u << 10));
    c.group_bytes_max = ORELSE(c.group_bytes_max, 4u << 20);
    c.staged_bytes_max = ORELSE(c.staged_bytes_max, 64u << 20);
    c.checkpoint_bytes = ORELSE(c.checkpoint_bytes, 64u << 20);
    c.index_interval = ORELSE(c.index_interval, 4096);
    c.index_entries_max = ORELSE(c.index_entries_max, 16384);
    c.producers_max = ORELSE(c.producers_max, 1024);
    c.segments_open_max = ORELSE(c.segments_open_max, 8);
    if (c.segment_bytes < 1024 || c.segment_bytes > INT32_MAX ||
        c.group_bytes_max > INT32_MAX || c.append_bytes_max > INT32_MAX ||
        c.index_entries_max < 2 || c.index_entries_max > 1u << 20 ||
        c.producers_max > 1u << 18) {
        return flv_fail(err, FLV_E_INVALID,
                        "log settings out of range (segment_bytes %u, "
                        "index_entries_max %u, producers_max %u)",
                        c.segment_bytes, c.index_entries_max, c.producers_max);
    }
    *out = c;
    return FLV_OK;
}

void flv__log_free(struct flv_log *log)
{
    if (log == NULL) {
        return;
    }
    for (uint32_t i = 0; i < log->segment_count; i++) {
        flv__segment_free(log->segments[i]);
    }
    for (uint32_t i = 0; i < log->trimmed_count; i++) {
        flv__segment_free(log->trimmed[i]);
    }
    flv_free(log->segments);
    flv_free(log->trimmed);
    flv__producers_deinit(&log->producers);
    flv_free(log->dir);
    flv_free(log);
}

flv_rc flv_log_open(const struct flv_log_conf *conf,
                    struct flv_log **out,
                    struct flv_log_report *report,
                    struct flv_err *err)
{
    struct flv_log_report found = {0};
    struct flv_log_conf full;
    struct flv_log *log;
    flv_rc rc;

    assert(conf->dir != NULL);
    rc = set_conf(&full, conf, err);
    if (rc != FLV_OK) {
        return rc;
    }
    log = flv_zalloc(1, sizeof(*log));
    if (log == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "no memory for the log %s",
                        conf->dir);
    }
    log->conf = full;
    log->conf.dir = NULL;
    log->conf.note = NULL;
    log->io = full.io;
    log->commit.log = log->upkeep.log = log;
    queue_init(&log->staged);
    queue_init(&log->commit.group);
    flv__producers_init(&log->producers, full.producers_max);
    log->dir = flv_strdup(conf->dir);
    rc = log->dir == NULL
             ? flv_fail(err, FLV_E_NOMEM, "no memory for the log %s", conf->dir)
             : flv__recover(log, &full, &found, err);
    if (rc != FLV_OK) {
        flv__log_free(log);
        return rc;
    }
    if (report != NULL) {
        *report = found;
    }
    *out = log;
    return FLV_OK;
}

static void assert_idle(const struct flv_log *log)
{
    assert(!log->commit.out && !log->upkeep.out);
    assert(log->staged.head == NULL && log->held == 0);
}

void flv_log_abandon(struct flv_log *log)
{
    if (log != NULL) {
        assert_idle(log);
        flv__log_free(log);
    }
}

static flv_rc run_now(struct flv_log_job *job, struct flv_err *err)
{
    if (job == NULL) {
        return FLV_OK;
    }
    flv_log_job_run(job);
    return flv_log_job_finish(job, err);
}

flv_rc flv_log_close(struct flv_log *log, struct flv_err *err)
{
    flv_rc rc;

    assert_idle(log);
    rc = run_now(flv_log_sync_job(log), err);
    log->keep_due = log->keep_due || log->last_kept.pos == 0 ||
                    log->last_kept.next_offset != log->leo ||
                    log->last_kept.start_offset != log->start_offset;
    while (rc == FLV_OK) {
        struct flv_log_job *job = flv_log_upkeep_job(log);

        if (job == NULL) {
            break;
        }
        rc = run_now(job, err);
    }
    flv__log_free(log);
    return rc;
}

void flv_log_stat(const struct flv_log *log, struct flv_log_info *out)
{
    *out = (struct flv_log_info){
        .state = log->state,
        .cause = log->cause,
        .log_id = log->log_id,
        .start_offset = log->start_offset,
        .leo = log->leo,
        .hw = log->hw,
        .staged_bytes = log->staged_bytes,
        .segments = log->segment_count,
        .dirty = log->hw < log->leo,
    };
    for (uint32_t i = 0; i < log->segment_count; i++) {
        out->size_bytes += log->segments[i]->bytes;
    }
}

int64_t flv_log_start_offset(const struct flv_log *log)
{
    return log->start_offset;
}

int64_t flv_log_leo(const struct flv_log *log)
{
    return log->leo;
}

int64_t flv_log_hw(const struct flv_log *log)
{
    return log->hw;
}

static void set_poisoned(struct flv_log *log, const struct flv_err *cause)
{
    if (log->state == FLV_LOG_OK) {
        log->state = FLV_LOG_POISONED;
        log->cause = *cause;
    }
}

/* ---- staging ---- */

static flv_rc refuse(const struct flv_log *log, struct flv_err *err)
{
    if (log->state == FLV_LOG_DAMAGED) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "the partition is damaged and takes no records: %s",
                        log->cause.text);
    }
    return flv_fail(err, FLV_E_POISONED,
                    "the partition takes no records until it is opened again: "
                    "%s",
                    log->cause.text);
}

/* Walks the record set. *run becomes the batch head of it all: producer,
 * first and last sequence; next_offset is the number of records. */
static flv_rc walk(const struct flv_log *log,
                   const struct flv_append *req,
                   struct flv__batch_head *run,
                   uint32_t *batches,
                   struct flv_err *err)
{
    int64_t records = 0;
    size_t pos = 0;
    uint32_t n = 0;

    while (pos < req->len) {
        struct flv__batch_head b;

        if (req->len - pos < FLV__BATCH_HEAD ||
            flv__batch_head_get(req->data + pos, &b) != FLV_OK ||
            b.size > req->len - pos) {
            return flv_fail(err, FLV_E_INVALID,
                            "byte %zu of a record set of %zu: not a whole "
                            "batch with records",
                            pos, req->len);
        }
        if (b.size > log->conf.batch_bytes_max) {
            return flv_fail(err, FLV_E_LIMIT,
                            "a batch of %u bytes: at most %u are allowed",
                            b.size, log->conf.batch_bytes_max);
        }
        if (n > 0 && (b.producer_id != run->producer_id ||
                      (b.producer_id >= 0 &&
                       (b.producer_epoch != run->producer_epoch ||
                        b.first_sequence !=
                            flv__sequence_add(run->last_sequence, 1))))) {
            return flv_fail(err, FLV_E_INVALID,
                            "batch %u of a record set does not continue the "
                            "producer's sequence",
                            n);
        }
        records += (int64_t)((uint64_t)b.next_offset - (uint64_t)b.base_offset);
        run->last_sequence = b.last_sequence;
        if (n == 0) {
            *run = b;
        }
        pos += b.size;
        n++;
    }
    run->next_offset = records;
    *batches = n;
    return FLV_OK;
}

static flv_rc check_limits(const struct flv_log *log,
                           const struct flv_append *req,
                           const struct flv__batch_head *run,
                           uint32_t batches,
                           struct flv_err *err)
{
    uint64_t room = log->conf.segment_bytes - FLV__SEGMENT_HEAD;

    if (req->len + FLV__GROUP_HEAD > room) {
        return flv_fail(err, FLV_E_LIMIT,
                        "a record set of %zu bytes does not fit into a "
                        "segment of %u bytes",
                        req->len, log->conf.segment_bytes);
    }
    if (run->next_offset > UINT32_MAX / 2 ||
        run->next_offset > INT64_MAX - log->next_offset) {
        return flv_fail(err, FLV_E_LIMIT,
                        "a record set of %" PRId64 " records is too large",
                        run->next_offset);
    }
    if (run->producer_id >= 0 && batches > FLV__PRODUCER_WINDOW) {
        return flv_fail(err, FLV_E_INVALID,
                        "a record set with a producer id may have %d batches, "
                        "not %u",
                        FLV__PRODUCER_WINDOW, batches);
    }
    if (log->staged_bytes > 0 &&
        req->len > log->conf.staged_bytes_max - log->staged_bytes) {
        return flv_fail(err, FLV_E_BUSY,
                        "%" PRIu64 " bytes are waiting to be written already",
                        log->staged_bytes);
    }
    return FLV_OK;
}

/* The staged append that `run` repeats, or NULL. */
static struct flv_append *find_staged(struct flv_append *from,
                                      void *producer,
                                      const struct flv__batch_head *run)
{
    for (; from != NULL; from = from->next) {
        struct flv__batch_head first;

        if (from->size > 0 && from->producer == producer &&
            flv__batch_head_get(from->data, &first) == FLV_OK &&
            first.producer_epoch == run->producer_epoch &&
            first.first_sequence == run->first_sequence &&
            from->records == run->next_offset) {
            return from;
        }
    }
    return NULL;
}

static flv_rc repeat_staged(struct flv_log *log,
                            struct flv_append *req,
                            const struct flv__batch_head *run,
                            struct flv_err *err)
{
    void *producer = flv__producers_find(&log->producers, run->producer_id);
    struct flv_append *known;

    assert(producer != NULL);
    known = find_staged(log->commit.group.head, producer, run);
    if (known == NULL) {
        known = find_staged(log->staged.head, producer, run);
    }
    if (known == NULL) {
        return flv_fail(err, FLV_E_REFUSED,
                        "producer %" PRId64 ": sequence %d overlaps batches "
                        "that are being written",
                        run->producer_id, run->first_sequence);
    }
    req->base_offset = known->base_offset;
    req->batches = known->batches;
    req->records = known->records;
    req->producer = NULL;
    req->size = 0;
    queue_push(&log->staged, req);
    return FLV_OK;
}

/* Whether a numbered run may be stored. EXISTS sets req->base_offset. */
static flv_rc check_sequence(struct flv_log *log,
                             struct flv_append *req,
                             const struct flv__batch_head *run,
                             bool *repeats,
                             struct flv_err *err)
{
    int64_t base = -1;

    *repeats = false;
    switch (flv__producers_judge(&log->producers, run, &base)) {
    case FLV__SEQ_NEXT:
        return FLV_OK;
    case FLV__SEQ_STAGED:
        *repeats = true;
        return FLV_OK;
    case FLV__SEQ_STORED:
    case FLV__SEQ_OLD:
        req->base_offset = base;
        return flv_fail(err, FLV_E_EXISTS,
                        "producer %" PRId64 ": sequence %d is stored already",
                        run->producer_id, run->first_sequence);
    case FLV__SEQ_FENCED:
        return flv_fail(err, FLV_E_REFUSED,
                        "producer %" PRId64 ": epoch %d is over",
                        run->producer_id, run->producer_epoch);
    case FLV__SEQ_UNKNOWN:
        return flv_fail(err, FLV_E_NOT_FOUND,
                        "producer %" PRId64 " is not known and does not begin "
                        "with sequence 0 but %d",
                        run->producer_id, run->first_sequence);
    case FLV__SEQ_GAP:
    default:
        return flv_fail(err, FLV_E_REFUSED,
                        "producer %" PRId64 ": sequence %d does not continue "
                        "what is stored",
                        run->producer_id, run->first_sequence);
    }
}

static void stamp(struct flv_log *log, struct flv_append *req)
{
    int64_t offset = log->next_offset;

    for (size_t pos = 0; pos < req->len;) {
        struct flv__batch_head b;
        flv_rc rc;

        flv__batch_stamp(req->data + pos, offset);
        rc = flv__batch_head_get(req->data + pos, &b);
        assert(rc == FLV_OK);
        (void)rc;
        offset = b.next_offset;
        pos += b.size;
    }
    assert(offset == log->next_offset + req->records);
    log->next_offset = offset;
}

flv_rc
flv_log_stage(struct flv_log *log, struct flv_append *req, struct flv_err *err)
{
    struct flv__batch_head run = {0};
    struct flv__producer *producer = NULL;
    uint32_t batches = 0;
    bool repeats = false;
    flv_rc rc;

    assert(req->done != NULL && req->next == NULL);
    req->base_offset = -1;
    if (NOT_FOR_APPENDS(log)) {
        return refuse(log, err);
    }
    if (log->closing) {
        return flv_fail(err, FLV_E_CANCELED, "the partition is being closed");
    }
    if (req->len == 0 || req->len > log->conf.append_bytes_max) {
        return flv_fail(err, req->len == 0 ? FLV_E_INVALID : FLV_E_LIMIT,
                        "a record set of %zu bytes: 1 to %u are allowed",
                        req->len, log->conf.append_bytes_max);
    }
    rc = walk(log, req, &run, &batches, err);
    if (rc == FLV_OK) {
        rc = check_limits(log, req, &run, batches, err);
    }
    if (rc == FLV_OK && run.producer_id >= 0) {
        rc = check_sequence(log, req, &run, &repeats, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    if (repeats) {
        return repeat_staged(log, req, &run, err);
    }
    if (run.producer_id >= 0) {
        rc = flv__producers_stage(&log->producers, &run, &producer);
        if (rc != FLV_OK) {
            return flv_fail(err, rc, "no room for producer %" PRId64,
                            run.producer_id);
        }
    }
    req->base_offset = log->next_offset;
    req->batches = batches;
    req->records = run.next_offset;
    req->producer = producer;
    req->size = (uint32_t)req->len;
    stamp(log, req);
    log->staged_bytes += req->size;
    queue_push(&log->staged, req);
    return FLV_OK;
}

/* ---- ending appends ---- */

/* Everything in `q` is over. The queue is the caller's own: callbacks may
 * stage again. */
static void complete(struct flv__queue *q, flv_rc rc, const struct flv_err *err)
{
    while (q->head != NULL) {
        struct flv_append *req = queue_pop(q);

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

    queue_init(&all);
    queue_move(&all, group);
    queue_move(&all, &log->staged);
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
    queue_init(&all);
    queue_move(&all, &log->staged);
    for (struct flv_append *r = all.head; r != NULL; r = r->next) {
        if (r->size > 0 && log->next_offset > r->base_offset) {
            log->next_offset = r->base_offset;
        }
        unstage(log, r);
    }
    complete(&all, rc, &err);
}

/* ---- commit jobs ---- */

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

    return active->bytes > FLV__SEGMENT_HEAD &&
           ((uint64_t)active->bytes + FLV__GROUP_HEAD + first->size >
                log->conf.segment_bytes ||
            first->base_offset + first->records - active->head.base_offset >
                UINT32_MAX);
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
        queue_pop(&log->staged);
        req->pos = pos;
        pos += req->size;
        next = req->size > 0 ? req->base_offset + req->records : next;
        queue_push(&job->group, req);
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

struct flv_log_job *flv_log_commit_job(struct flv_log *log)
{
    struct flv_log_job *job = &log->commit;
    struct flv__segment *active = flv__active(log);
    uint64_t room;

    if (job->out || NOT_FOR_APPENDS(log) || log->staged.head == NULL) {
        return NULL;
    }
    assert(log->staged.head->size > 0 && job->group.head == NULL);
    job->roll = has_to_roll(log);
    if (job->roll && log->upkeep.out && log->upkeep.flush) {
        return NULL; /* two syncs of one file: each might miss an error */
    }
    /* Without memory it is tried again after the next event. */
    if (job->roll && prepare_roll(log, job) != FLV_OK) {
        return NULL;
    }
    job->pos = job->roll ? FLV__SEGMENT_HEAD : active->bytes;
    room = log->conf.segment_bytes - job->pos;
    take_group(log, job, group_size(log, room),
               job->roll ? log->leo : active->head.base_offset);
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
    for (struct flv_append *r = job->group.head; r != NULL; r = r->next) {
        index_append(active, r, (uint32_t)job->pos + FLV__GROUP_HEAD + r->pos);
        store_append(log, r);
        unstage(log, r);
    }
    active->bytes = (uint32_t)job->pos + FLV__GROUP_HEAD + job->head.bytes;
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

/* The new segment is durable, whatever became of the group. */
static void publish_roll(struct flv_log *log, struct flv_log_job *job)
{
    assert(job->fresh->head.base_offset == log->leo);
    log->hw = log->leo; /* the old one was synced on the way */
    log->synced = log->next_group - 1;
    job->segment->index_unsaved = true;
    flv__segments_push(log, job->fresh);
    log->hw_base = job->fresh->head.base_offset;
    log->hw_pos = job->fresh->bytes;
    job->fresh = NULL;
    log->keep_due = true;
    flv__segments_cool(log);
}

/* Repetitions of what is stored by now, at the head of the queue. */
static void take_repetitions(struct flv_log *log, struct flv__queue *out)
{
    while (log->staged.head != NULL && log->staged.head->size == 0) {
        struct flv_append *req = queue_pop(&log->staged);

        assert(req->base_offset + req->records <= log->leo);
        queue_push(out, req);
    }
}

static flv_rc
finish_commit(struct flv_log *log, struct flv_log_job *job, struct flv_err *err)
{
    struct flv__queue done;
    struct flv_err why = job->err;

    queue_init(&done);
    if (job->fresh != NULL && job->fresh->file != NULL &&
        job->outcome != FLV__FAILED) {
        publish_roll(log, job);
    }
    flv__segment_free(job->fresh);
    job->fresh = NULL;
    if (job->outcome == FLV__FAILED) {
        set_poisoned(log, &why);
    }
    if (log->state == FLV_LOG_POISONED) {
        (void)!refuse(log, &why);
    }
    if (log->state == FLV_LOG_OK && job->outcome == FLV__DONE) {
        publish(log, job);
        queue_move(&done, &job->group);
        take_repetitions(log, &done);
        complete(&done, FLV_OK, NULL);
        return FLV_OK;
    }
    queue_move(&done, &job->group);
    if (err != NULL) {
        *err = job->outcome == FLV__DONE ? why : job->err;
    }
    fail_all(log, &done, &why);
    return why.rc;
}

/* ---- sync and upkeep jobs ---- */

static bool begin_upkeep(struct flv_log *log)
{
    struct flv_log_job *job = &log->upkeep;

    if (job->out || NOT_FOR_APPENDS(log)) {
        return false;
    }
    job->flush = log->hw < log->leo;
    if (job->flush && log->commit.out && log->commit.roll) {
        return false;
    }
    return true;
}

static struct flv_log_job *send_upkeep(struct flv_log *log)
{
    struct flv_log_job *job = &log->upkeep;

    job->at = (struct flv__checkpoint){
        .log_id = log->log_id,
        .start_offset = log->start_offset,
        .segment_base = flv__active(log)->head.base_offset,
        .pos = flv__active(log)->bytes,
        .next_offset = log->leo,
        .next_group = log->next_group,
    };
    job->segment = flv__active(log);
    job->segment->holds++;
    job->out = true;
    job->ran = false;
    job->kept = job->saved = false;
    job->outcome = FLV__DONE;
    flv_err_clear(&job->err);
    return job;
}

struct flv_log_job *flv_log_sync_job(struct flv_log *log)
{
    if (log->hw == log->leo || !begin_upkeep(log)) {
        return NULL;
    }
    log->upkeep.keep = false;
    return send_upkeep(log);
}

/* Moves trimmed segments that nobody holds into the job. */
static bool take_trimmed(struct flv_log *log, struct flv_log_job *job)
{
    uint32_t kept = 0;

    if (log->trimmed_count == 0) {
        return true;
    }
    job->trimmed =
        flv_zalloc(log->trimmed_count, sizeof(struct flv__segment *));
    if (job->trimmed == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < log->trimmed_count; i++) {
        struct flv__segment *s = log->trimmed[i];

        if (s->holds == 0) {
            job->trimmed[job->trimmed_count++] = s;
        } else {
            log->trimmed[kept++] = s;
        }
    }
    log->trimmed_count = kept;
    return true;
}

static struct flv__segment *one_unsaved(const struct flv_log *log)
{
    for (uint32_t i = 0; i + 1 < log->segment_count; i++) {
        if (log->segments[i]->index_unsaved) {
            return log->segments[i];
        }
    }
    return NULL;
}

/* Segments whose files could not be removed yet wait for the next time; the
 * next open would remove them, too. */
static void put_back(struct flv_log *log, struct flv_log_job *job)
{
    struct flv__segment **all =
        flv_realloc(log->trimmed, (log->trimmed_count + job->trimmed_count) *
                                      sizeof(struct flv__segment *));

    if (all == NULL) {
        return;
    }
    log->trimmed = all;
    for (uint32_t i = 0; i < job->trimmed_count; i++) {
        all[log->trimmed_count++] = job->trimmed[i];
    }
    job->trimmed_count = 0;
}

static void drop_upkeep(struct flv_log *log, struct flv_log_job *job)
{
    flv_buf_deinit(&job->checkpoint);
    if (!job->kept && job->trimmed_count > 0) {
        put_back(log, job);
    }
    for (uint32_t i = 0; i < job->trimmed_count; i++) {
        flv__segment_free(job->trimmed[i]);
    }
    flv_free(job->trimmed);
    job->trimmed = NULL;
    job->trimmed_count = 0;
}

struct flv_log_job *flv_log_upkeep_job(struct flv_log *log)
{
    struct flv_log_job *job = &log->upkeep;

    if (!log->keep_due && log->unkept_bytes < log->conf.checkpoint_bytes) {
        return NULL;
    }
    if (!begin_upkeep(log)) {
        return NULL;
    }
    flv_buf_init(&job->checkpoint, FLV__CHECKPOINT_MAX);
    send_upkeep(log);
    if (flv__checkpoint_encode(&job->at, &log->producers,
                               &flv__active(log)->index,
                               &job->checkpoint) != FLV_OK ||
        !take_trimmed(log, job)) {
        /* Without memory it is tried again after the next event. */
        flv_buf_deinit(&job->checkpoint);
        job->segment->holds--;
        job->out = false;
        return NULL;
    }
    job->unsaved = one_unsaved(log);
    if (job->unsaved != NULL) {
        job->unsaved->holds++;
    }
    job->keep = true;
    log->keep_due = false;
    log->unkept_bytes = 0;
    return job;
}

static flv_rc
finish_upkeep(struct flv_log *log, struct flv_log_job *job, struct flv_err *err)
{
    if (job->outcome == FLV__FAILED) {
        set_poisoned(log, &job->err);
    } else if (job->flush && job->at.next_offset > log->hw) {
        log->hw = job->at.next_offset;
        log->hw_base = job->at.segment_base;
        log->hw_pos = job->at.pos;
        log->synced = job->at.next_group - 1;
    }
    if (job->kept) {
        log->last_kept = job->at;
    }
    if (job->unsaved != NULL) {
        job->unsaved->holds--;
        if (job->saved) {
            job->unsaved->index_unsaved = false;
            log->keep_due = log->keep_due || one_unsaved(log) != NULL;
            flv__segments_cool(log);
        }
        job->unsaved = NULL;
    }
    if (job->keep) {
        drop_upkeep(log, job);
    }
    if (job->err.rc != FLV_OK && err != NULL) {
        *err = job->err;
    }
    return job->err.rc;
}

/* ---- any job ---- */

void flv_log_job_run(struct flv_log_job *job)
{
    assert(job->out && !job->ran);
    job->ran = true;
    if (job == &job->log->commit) {
        flv__job_commit(job);
    } else {
        flv__job_upkeep(job);
    }
}

flv_rc flv_log_job_finish(struct flv_log_job *job, struct flv_err *err)
{
    struct flv_log *log = job->log;

    assert(job->out && job->ran);
    job->out = false;
    assert(job->segment->holds > 0);
    job->segment->holds--;
    return job == &log->commit ? finish_commit(log, job, err)
                               : finish_upkeep(log, job, err);
}

/* ---- retention ---- */

uint32_t flv_log_trim(struct flv_log *log, int64_t upto)
{
    struct flv__segment **trimmed;
    uint32_t n = 0;

    if (NOT_FOR_APPENDS(log)) {
        return 0;
    }
    while (n + 1 < log->segment_count && log->segments[n]->end_offset <= upto &&
           log->segments[n]->end_offset <= log->hw) {
        n++;
    }
    if (n == 0) {
        return 0;
    }
    trimmed = flv_realloc(log->trimmed, (log->trimmed_count + n) *
                                            sizeof(struct flv__segment *));
    if (trimmed == NULL) {
        return 0;
    }
    log->trimmed = trimmed;
    for (uint32_t i = 0; i < n; i++) {
        log->segments[i]->index_unsaved = false;
        log->segments[i]->trimmed = true;
        log->trimmed[log->trimmed_count++] = log->segments[i];
    }
    log->segment_count -= n;
    memmove(log->segments, log->segments + n,
            log->segment_count * sizeof(struct flv__segment *));
    log->start_offset = log->segments[0]->head.base_offset;
    log->keep_due = true;
    return n;
}
