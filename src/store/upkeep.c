/* Sync and upkeep jobs on the loop, and retention. */
#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/log_impl.h"

#define REST_PART 256 /* so much of checkpoint_bytes is worth one at rest */

static bool begin_upkeep(struct flv_log *log)
{
    struct flv_log_job *job = &log->upkeep;

    if (job->out || log->state != FLV_LOG_OK) {
        return false;
    }
    job->flush = flv_log_is_dirty(log);
    if (job->flush && log->commit.out &&
        (log->commit.seal || log->commit.settle)) {
        return false;
    }
    return true;
}

/* What the sync has to cover, from hw on. */
static void take_dirty(struct flv_log *log, struct flv_log_job *job)
{
    const struct flv__segment *active = flv__active(log);

    job->dirty_from = log->hw_pos;
    job->before = log->unsealed;
    if (job->before == NULL) {
        job->again = flv__again_from_hw(log, log->again_end);
        return;
    }
    job->before->holds++;
    job->again_before = flv__again_from_hw(log, job->before->bytes);
    job->again = (struct flv__again){.from = 0,
                                     .end = log->again_end,
                                     .group = active->head.first_group,
                                     .offset = active->head.base_offset};
}

static void drop_segments(struct flv_log_job *job)
{
    assert(job->segment->holds > 0);
    job->segment->holds--;
    if (job->before != NULL) {
        assert(job->before->holds > 0);
        job->before->holds--;
        job->before = NULL;
    }
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
    take_dirty(log, job);
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
    if (!flv_log_is_dirty(log) || !begin_upkeep(log)) {
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

bool flv_log_upkeep_due(const struct flv_log *log)
{
    return log->state == FLV_LOG_OK &&
           (log->keep_due || log->unkept_bytes >= log->conf.checkpoint_bytes);
}

void flv_log_rest(struct flv_log *log)
{
    if (log->unkept_bytes > log->conf.checkpoint_bytes / REST_PART ||
        log->trimmed_count > 0) {
        log->keep_due = true;
    }
}

struct flv_log_job *flv_log_upkeep_job(struct flv_log *log)
{
    struct flv_log_job *job = &log->upkeep;

    if (!flv_log_upkeep_due(log) || !begin_upkeep(log)) {
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
        drop_segments(job);
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

/* All up to job->at is on disk. (A roll that synced may have been faster.) */
static void flushed(struct flv_log *log, const struct flv_log_job *job)
{
    if (job->before != NULL) {
        assert(job->before == log->unsealed);
        log->unsealed->holds--;
        log->unsealed = NULL;
        job->segment->next = false;
    } else if (job->at.next_offset <= log->hw) {
        return;
    }
    flv__log_wrote_again(log);
    log->hw = job->at.next_offset;
    log->hw_base = job->at.segment_base;
    log->hw_pos = job->at.pos;
    log->synced = job->at.next_group - 1;
}

flv_rc flv__upkeep_finish(struct flv_log *log,
                          struct flv_log_job *job,
                          struct flv_err *err)
{
    const struct flv_err why = job->err;

    if (job->outcome == FLV__FAILED) {
        flv__log_poison(log, &job->err);
    } else if (job->outcome == FLV__DONE && job->flush) {
        flushed(log, job);
    }
    drop_segments(job);
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
    if (why.rc != FLV_OK && err != NULL) {
        *err = why;
    }
    if (job->outcome == FLV__FAILED ||
        (job->outcome == FLV__ROLLED_BACK && flv_log_waits_for_sync(log))) {
        flv__commit_refuse(log, &why);
    }
    return why.rc;
}

/* ---- retention ---- */

uint32_t flv_log_trim(struct flv_log *log, int64_t upto)
{
    struct flv__segment **trimmed;
    uint32_t n = 0;

    if (log->state != FLV_LOG_OK) {
        return 0;
    }
    while (n + 1 < log->segment_count && log->segments[n] != log->unsealed &&
           log->segments[n]->end_offset <= upto &&
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

/* How many of the oldest segments are over. */
static uint32_t count_over(const struct flv_log *log,
                           const struct flv_log_keep *keep,
                           int64_t now_ms)
{
    uint64_t bytes = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < log->segment_count; i++) {
        bytes += log->segments[i]->bytes;
    }
    while (n + 1 < log->segment_count) {
        const struct flv__segment *s = log->segments[n];
        bool old = keep->age_ms > 0 && now_ms > s->written_ms &&
                   (uint64_t)(now_ms - s->written_ms) > keep->age_ms;

        if (!old && (keep->bytes == 0 || bytes <= keep->bytes)) {
            break;
        }
        bytes -= s->bytes;
        n++;
    }
    return n;
}

uint32_t flv_log_retain(struct flv_log *log, const struct flv_log_keep *keep)
{
    const struct flv__segment *active = flv__active(log);
    int64_t now_ms = (int64_t)flv_clock_mono_ms();
    uint32_t n;

    if (log->state != FLV_LOG_OK) {
        return 0;
    }
    log->roll_due = keep->roll && keep->age_ms > 0 &&
                    active->bytes > FLV__SEGMENT_HEAD &&
                    now_ms > active->begun_ms &&
                    (uint64_t)(now_ms - active->begun_ms) > keep->age_ms;
    n = count_over(log, keep, now_ms);
    return n > 0 ? flv_log_trim(log, log->segments[n - 1]->end_offset) : 0;
}
