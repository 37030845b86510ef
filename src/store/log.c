#include "store/log.h"

#include <assert.h>

#include "base/mem.h"
#include "store/log_impl.h"

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
    c.ahead_bytes = ORELSE(c.ahead_bytes, FLV__AHEAD_MAX);
    c.staged_bytes_max = ORELSE(c.staged_bytes_max, 64u << 20);
    c.checkpoint_bytes = ORELSE(c.checkpoint_bytes, 64u << 20);
    c.index_interval = ORELSE(c.index_interval, 4096);
    c.index_entries_max = ORELSE(c.index_entries_max, 16384);
    c.producers_max = ORELSE(c.producers_max, 1024);
    c.segments_open_max = ORELSE(c.segments_open_max, 8);
    if (c.segment_bytes < 1024 || c.segment_bytes > INT32_MAX ||
        c.group_bytes_max > INT32_MAX || c.append_bytes_max > INT32_MAX ||
        c.ahead_bytes > FLV__AHEAD_MAX || c.index_entries_max < 2 ||
        c.index_entries_max > 1u << 20 || c.producers_max > 1u << 18) {
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
    if (log->unsealed != NULL) {
        log->unsealed->holds--;
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
    flv__queue_init(&log->staged);
    flv__queue_init(&log->commit.group);
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
    };
    for (uint32_t i = 0; i < log->segment_count; i++) {
        assert(log->segments[i]->bytes >= FLV__SEGMENT_HEAD);
        out->size_bytes += log->segments[i]->bytes - FLV__SEGMENT_HEAD;
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

bool flv_log_is_dirty(const struct flv_log *log)
{
    return log->hw < log->leo || log->unsealed != NULL;
}

void flv__log_poison(struct flv_log *log, const struct flv_err *cause)
{
    if (log->state == FLV_LOG_OK) {
        log->state = FLV_LOG_POISONED;
        log->cause = *cause;
    }
}

flv_rc flv__log_refuse(const struct flv_log *log, struct flv_err *err)
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

bool flv_log_job_syncs(const struct flv_log_job *job)
{
    return job != &job->log->commit || job->seal || job->settle ||
           job->log->conf.durability == FLV_DURABLE_DISK;
}

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
    return job == &log->commit ? flv__commit_finish(log, job, err)
                               : flv__upkeep_finish(log, job, err);
}
