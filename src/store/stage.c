/* Staging: which record sets are taken, and which offsets they get. */
#include <assert.h>
#include <inttypes.h>

#include "store/log_impl.h"

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
    flv__queue_push(&log->staged, req);
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
    if (log->state != FLV_LOG_OK) {
        return flv__log_refuse(log, err);
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
    flv__queue_push(&log->staged, req);
    return FLV_OK;
}
