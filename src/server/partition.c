#include "server/partition.h"

#include "base/clock.h"
#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 80
#define SYNCS_PER_TICK 256
#define UPKEEPS_MAX 8
#define REST_MS 5000
#define TAIL_IDLE_MS 10000
#define LOG_EVERY_MS 1000
/* Damaged segments that are told apart: 32 KiB of offsets. */
#define DAMAGES_MAX 4096

enum { JOB_COMMIT, JOB_SYNC, JOB_UPKEEP, JOB_COUNT };

struct job {
    struct flv_work work;
    struct flv_task late; /* when no thread could be had */
    struct flv_partition *p;
    struct flv_log_job *job; /* NULL: none is out */
    int kind;
    bool syncs;       /* it ends with a sync */
    uint64_t took_ns; /* written by the job */
};

const uint32_t flv_sync_limits_us[FLV_SYNC_BUCKETS] = {
    100,   250,    500,    1000,   2500,    5000,    10000,  25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000};

STAILQ_HEAD(append_list, flv_part_append);
LIST_HEAD(reader_list, flv_part_reader);

struct flv_partition {
    struct flv_part_env *env; /* borrowed */
    struct flv_log *log;      /* owned; NULL: bare, or not open */
    enum flv_part_state state;
    bool bare, changed, in_line;
    TAILQ_ENTRY(flv_partition) line;
    bool orderly, closing_log; /* of close */
    bool refused;     /* an append that was staged, by the job that ends */
    bool stuck;       /* the log is poisoned */
    bool sync_failed; /* the last one; the next is for the tick to begin */
    uint32_t turn;    /* of jobs that ended */
    struct flv_err trouble; /* of OFFLINE */
    struct job jobs[JOB_COUNT];
    struct flv_task kick;
    struct append_list parked;      /* the log was full */
    struct append_list uncommitted; /* written, wait for the sync */
    struct reader_list readers, waiters;
    int64_t told_leo, told_hw; /* at the last wake */
    struct flv_log_keep keep;
    enum flv_durability durability;
    struct flv_part_counts counts;
    struct flv_err damage; /* of the newest segment: the last to go */
    int64_t *damaged;      /* owned; first offsets of segments */
    uint32_t damage_count, damage_cap;
    bool damage_more; /* there are some that could not be kept apart */
    struct flv_tail tail;
    uint32_t holds;
    uint64_t written_ms, logged_ms;
    uint32_t dirty_ticks; /* since the last sync */
    flv_rc logged_rc;
    struct flv_work close_work;
    struct flv_task close_late;
    void (*closed)(void *ctx);
    void *closed_ctx;
    char name[NAME_MAX_BYTES];
};

static void kick_soon(struct flv_partition *p);
static void upkeep_over(struct flv_part_env *env);
static void close_if_quiet(struct flv_partition *p);

/* ---- readers ---- */

static void wake_all(struct flv_partition *p)
{
    /* Those that wait again are in the list of the next time. */
    struct reader_list now = {.lh_first = LIST_FIRST(&p->waiters)};
    if (now.lh_first == NULL) {
        return;
    }
    now.lh_first->link.le_prev = &now.lh_first;
    LIST_INIT(&p->waiters);
    struct flv_part_reader *r;
    while ((r = LIST_FIRST(&now)) != NULL) {
        flv_partition_unwait(r);
        r->ready(r);
    }
}

static void send_away(struct flv_partition *p)
{
    struct flv_part_reader *r;
    while ((r = LIST_FIRST(&p->readers)) != NULL) {
        flv_partition_leave(p, r);
        r->gone(r);
    }
}

static void wake_if_moved(struct flv_partition *p)
{
    int64_t leo = flv_log_leo(p->log);
    int64_t hw = flv_log_hw(p->log);
    assert(hw <= leo);
    if (leo != p->told_leo || hw != p->told_hw) {
        p->told_leo = leo;
        p->told_hw = hw;
        p->changed = true;
        wake_all(p);
    }
}

void flv_partition_join(struct flv_partition *p, struct flv_part_reader *r)
{
    assert(!r->joined && p->state != FLV_PART_CLOSING);
    r->joined = true;
    r->waiting = false;
    p->counts.readers++;
    LIST_INSERT_HEAD(&p->readers, r, all);
}

void flv_partition_leave(struct flv_partition *p, struct flv_part_reader *r)
{
    flv_partition_unwait(r);
    if (r->joined) {
        r->joined = false;
        p->counts.readers--;
        LIST_REMOVE(r, all);
    }
}

void flv_partition_wait(struct flv_partition *p, struct flv_part_reader *r)
{
    assert(r->joined && !r->waiting);
    r->waiting = true;
    LIST_INSERT_HEAD(&p->waiters, r, link);
}

void flv_partition_unwait(struct flv_part_reader *r)
{
    if (r->waiting) {
        r->waiting = false;
        LIST_REMOVE(r, link);
    }
}

/* ---- appends ---- */

static void end_early(struct flv_task *t)
{
    struct flv_part_append *a = FLV_OWNER_OF(t, struct flv_part_append, task);
    a->done(a, a->err.rc, a->err.rc == FLV_OK ? NULL : &a->err);
}

static void end_soon(struct flv_partition *p, struct flv_part_append *a)
{
    flv_task_init(&a->task, end_early);
    flv_loop_defer(p->env->loop, &a->task);
}

static void cancel_list(struct flv_partition *p, struct append_list *list)
{
    struct flv_part_append *a;
    while ((a = STAILQ_FIRST(list)) != NULL) {
        STAILQ_REMOVE_HEAD(list, link);
        (void)flv_fail(&a->err, FLV_E_CANCELED, "%s was closed", p->name);
        end_soon(p, a);
    }
}

static bool is_synced(const struct flv_partition *p,
                      const struct flv_part_append *a)
{
    return a->end <= flv_log_hw(p->log);
}

static void stored(struct flv_append *req, flv_rc rc, const struct flv_err *err)
{
    struct flv_part_append *a = (struct flv_part_append *)req;
    struct flv_partition *p = a->partition;
    if (rc == FLV_OK) {
        if (!LIST_EMPTY(&p->readers) && req->size > 0) {
            flv_tail_add(&p->tail, a->frame, flv_slice(req->data, req->len));
        }
        p->written_ms = flv_loop_now_ms(p->env->loop);
        if (req->size > 0) { /* else it was stored before */
            p->counts.records_in += (uint64_t)req->records;
            p->counts.bytes_in += req->size;
        }
        if (a->committed) {
            /* hw moves behind this callback; looked at after the job. */
            a->end = req->base_offset + req->records;
            STAILQ_INSERT_TAIL(&p->uncommitted, a, link);
            return;
        }
    } else {
        p->refused = true;
    }
    a->done(a, rc, err);
}

static void release_committed(struct flv_partition *p)
{
    struct flv_part_append *a;
    while ((a = STAILQ_FIRST(&p->uncommitted)) != NULL && is_synced(p, a)) {
        STAILQ_REMOVE_HEAD(&p->uncommitted, link);
        a->done(a, FLV_OK, NULL);
    }
}

/* False: the log has no room now. */
static bool stage(struct flv_partition *p, struct flv_part_append *a)
{
    a->base.done = stored;
    flv_rc rc = flv_log_stage(p->log, &a->base, &a->err);
    if (rc == FLV_E_BUSY) {
        return false;
    }
    if (rc == FLV_OK) {
        kick_soon(p);
        return true;
    }
    if (rc == FLV_E_EXISTS) {
        flv_err_clear(&a->err); /* stored already: a success */
        a->end = flv_log_leo(p->log);
        if (a->committed && !is_synced(p, a)) {
            STAILQ_INSERT_TAIL(&p->uncommitted, a, link);
            kick_soon(p);
            return true;
        }
    }
    a->err.rc = rc == FLV_E_EXISTS ? FLV_OK : rc;
    end_soon(p, a);
    return true;
}

static void stage_parked(struct flv_partition *p)
{
    struct flv_part_append *a;
    while ((a = STAILQ_FIRST(&p->parked)) != NULL) {
        /* Out of the list first: its link may be used by then. */
        STAILQ_REMOVE_HEAD(&p->parked, link);
        if (!stage(p, a)) {
            STAILQ_INSERT_HEAD(&p->parked, a, link);
            return;
        }
    }
}

/* Takes appends: else the log says itself why not. */
static bool is_open(const struct flv_partition *p)
{
    struct flv_log_info info;
    flv_log_stat(p->log, &info);
    return info.state == FLV_LOG_OK;
}

/* The log is poisoned: once those that are under way are over no sync will ever
 * come. */
static void fail_uncommitted(struct flv_partition *p)
{
    struct flv_part_append *a;
    struct flv_err why;
    if (p->jobs[JOB_SYNC].job != NULL || p->jobs[JOB_UPKEEP].job != NULL) {
        return;
    }
    flv_partition_trouble(p, &why);
    while ((a = STAILQ_FIRST(&p->uncommitted)) != NULL) {
        STAILQ_REMOVE_HEAD(&p->uncommitted, link);
        (void)flv_fail(&a->err, FLV_E_POISONED,
                       "what was written is not known to be synced, nor will "
                       "it be before the partition is opened again: %s",
                       why.text);
        end_soon(p, a);
    }
}

/* What waited for room behind appends that failed fails with them, as what was
 * staged behind them does: it may be what their producer sent next. What came
 * since they failed is not meant. */
static void fail_parked(struct flv_partition *p, const struct flv_err *err)
{
    struct flv_part_append *a;
    while ((a = STAILQ_FIRST(&p->parked)) != NULL && a->turn != p->turn) {
        STAILQ_REMOVE_HEAD(&p->parked, link);
        a->err = *err;
        end_soon(p, a);
    }
}

void flv_partition_append(struct flv_partition *p, struct flv_part_append *a)
{
    assert(a->done != NULL && a->frame != NULL);
    a->partition = p;
    flv_err_clear(&a->err);
    if (p->state != FLV_PART_ONLINE || p->log == NULL) {
        (void)flv_fail(&a->err,
                       p->state == FLV_PART_CLOSING ? FLV_E_CANCELED
                                                    : FLV_E_POISONED,
                       "%s is not online: %s", p->name, p->trouble.text);
        end_soon(p, a);
        return;
    }
    if (!STAILQ_EMPTY(&p->parked) || !stage(p, a)) {
        a->turn = p->turn;
        STAILQ_INSERT_TAIL(&p->parked, a, link);
        kick_soon(p);
    }
}

/* ---- jobs ---- */

static void job_run(struct flv_work *w)
{
    struct job *j = (struct job *)w;
    uint64_t began_ns = flv_clock_mono_ns();
    flv_log_job_run(j->job);
    j->took_ns = flv_clock_mono_ns() - began_ns;
}

static void count_sync(struct flv_sync_times *t, uint64_t took_ns)
{
    size_t i = 0;
    while (i < FLV_SYNC_BUCKETS &&
           took_ns > (uint64_t)flv_sync_limits_us[i] * 1000) {
        i++;
    }
    t->counts[i]++;
    t->sum_ns += took_ns;
}

static void log_failure(struct flv_partition *p, const struct flv_err *err)
{
    uint64_t now = flv_loop_now_ms(p->env->loop);
    if (err->rc == p->logged_rc && now - p->logged_ms < LOG_EVERY_MS) {
        return;
    }
    p->logged_rc = err->rc;
    p->logged_ms = now;
    flv_log_error("partition", "the disk refused a job",
                  FLV_KV_STR("partition", p->name),
                  FLV_KV_STR("code", flv_rc_name(err->rc)), FLV_KV_ERR(err));
}

static void job_over(struct job *j)
{
    struct flv_partition *p = j->p;
    struct flv_err err = {0};
    struct flv_log_job *job = j->job;
    j->job = NULL;
    p->turn++;
    p->refused = false;
    if (j->kind == JOB_UPKEEP) {
        upkeep_over(p->env);
    }
    if (j->syncs) {
        count_sync(&p->env->syncs, j->took_ns);
    }
    flv_rc rc = flv_log_job_finish(job, &err);
    if (j->kind == JOB_SYNC) {
        p->sync_failed = rc != FLV_OK;
    }
    if (rc != FLV_OK) {
        p->env->disk_errors++;
        log_failure(p, &err);
        if (p->refused && is_open(p)) {
            fail_parked(p, &err);
        }
    } else if (j->kind == JOB_COMMIT) {
        p->logged_rc = FLV_OK;
    }
    p->stuck = p->stuck || (rc != FLV_OK && !is_open(p));
    release_committed(p);
    if (p->stuck) {
        fail_uncommitted(p);
    }
    wake_if_moved(p);
    if (p->state == FLV_PART_CLOSING) {
        cancel_list(p, &p->uncommitted);
        close_if_quiet(p);
        return;
    }
    stage_parked(p);
    kick_soon(p);
}

static void job_done(struct flv_work *w, flv_rc rc)
{
    struct job *j = (struct job *)w;
    if (rc != FLV_OK) {
        job_run(w); /* the pool ended before it had its turn */
    }
    job_over(j);
}

static void job_late(struct flv_task *t)
{
    job_over(FLV_OWNER_OF(t, struct job, late));
}

static void submit(struct flv_partition *p, int kind, struct flv_log_job *job)
{
    struct job *j = &p->jobs[kind];
    assert(j->job == NULL && job != NULL);
    j->job = job;
    j->syncs = kind == JOB_SYNC ||
               (kind == JOB_COMMIT && p->durability == FLV_DURABLE_DISK);
    j->work.run = job_run;
    j->work.done = job_done;
    struct flv_pool *pool = kind == JOB_SYNC         ? p->env->sync_pool
                            : flv_log_job_syncs(job) ? p->env->commit_pool
                                                     : p->env->write_pool;
    if (flv_pool_submit(pool, &j->work) != FLV_OK) {
        /* No thread to be had: slow is better than not at all. */
        job_run(&j->work);
        flv_loop_defer(p->env->loop, &j->late);
    }
}

/* Few at once: a commit must find a thread, however many partitions want a
 * checkpoint at the same time. */
static void upkeep_in_turn(struct flv_partition *p)
{
    struct flv_part_env *env = p->env;
    struct flv_log_job *job;
    if (p->jobs[JOB_UPKEEP].job != NULL || !flv_log_upkeep_due(p->log)) {
        return;
    }
    if (env->upkeeps == UPKEEPS_MAX) {
        if (!p->in_line) {
            TAILQ_INSERT_TAIL(&env->upkeep_line, p, line);
            p->in_line = true;
        }
    } else if ((job = flv_log_upkeep_job(p->log)) != NULL) {
        env->upkeeps++;
        submit(p, JOB_UPKEEP, job);
    }
}

static void leave_line(struct flv_partition *p)
{
    if (p->in_line) {
        TAILQ_REMOVE(&p->env->upkeep_line, p, line);
        p->in_line = false;
    }
}

static void upkeep_over(struct flv_part_env *env)
{
    struct flv_partition *next = TAILQ_FIRST(&env->upkeep_line);
    assert(env->upkeeps > 0);
    env->upkeeps--;
    if (next != NULL) {
        leave_line(next);
        kick_soon(next);
    }
}

/* Now, and not within a second: somebody waits for it. A disk that refused the
 * last one is not asked again and again. */
static bool wants_sync(const struct flv_partition *p)
{
    return !p->sync_failed &&
           (!STAILQ_EMPTY(&p->uncommitted) || flv_log_waits_for_sync(p->log));
}

static void kick(struct flv_task *t)
{
    struct flv_partition *p = FLV_OWNER_OF(t, struct flv_partition, kick);
    if (p->state != FLV_PART_ONLINE || p->log == NULL) {
        return;
    }
    struct flv_log_job *job = NULL;
    if (p->jobs[JOB_COMMIT].job == NULL &&
        (job = flv_log_commit_job(p->log)) != NULL) {
        submit(p, JOB_COMMIT, job);
    }
    /* First, or under a steady load there would always be one sync more. It
     * syncs, too. */
    upkeep_in_turn(p);
    if (wants_sync(p) && p->jobs[JOB_SYNC].job == NULL &&
        (job = flv_log_sync_job(p->log)) != NULL) {
        submit(p, JOB_SYNC, job);
    }
}

/* At the end of the turn: what arrives in one turn forms one group. */
static void kick_soon(struct flv_partition *p)
{
    flv_loop_defer(p->env->loop, &p->kick);
}

/* ---- damage ---- */

static bool keep_damage(struct flv_partition *p, int64_t segment)
{
    if (p->damage_count == p->damage_cap) {
        uint32_t cap = p->damage_cap > 0 ? 2 * p->damage_cap : 8;
        int64_t *more = cap <= DAMAGES_MAX
                            ? flv_realloc(p->damaged, cap * sizeof *more)
                            : NULL;
        if (more == NULL) {
            return false;
        }
        p->damaged = more;
        p->damage_cap = cap;
    }
    p->damaged[p->damage_count++] = segment;
    return true;
}

void flv_partition_note_damage(struct flv_partition *p,
                               int64_t segment,
                               const struct flv_err *err)
{
    int64_t newest = 0;
    for (uint32_t i = 0; i < p->damage_count; i++) {
        if (p->damaged[i] == segment) {
            return;
        }
        newest = p->damaged[i] > newest ? p->damaged[i] : newest;
    }
    if (keep_damage(p, segment)) {
        p->damage = segment >= newest ? *err : p->damage;
    } else if (p->damage_more) {
        return; /* perhaps it was told before */
    } else {
        p->damage_more = true;
        flv_log_error("partition",
                      "more segments are damaged than are told one by one",
                      FLV_KV_STR("partition", p->name),
                      FLV_KV_U64("told", p->damage_count));
    }
    flv_log_error("partition", "stored records are damaged",
                  FLV_KV_STR("partition", p->name), FLV_KV_ERR(err));
}

/* What was in removed segments is nobody's trouble any more. */
static void forget_damage(struct flv_partition *p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->damage_count; i++) {
        if (p->damaged[i] >= flv_log_start_offset(p->log)) {
            p->damaged[kept++] = p->damaged[i];
        }
    }
    p->damage_more = p->damage_more && kept == p->damage_count;
    p->damage_count = kept;
}

static void retain(struct flv_partition *p)
{
    uint32_t removed = flv_log_retain(p->log, &p->keep);
    if (removed > 0) {
        p->changed = true;
        forget_damage(p);
        flv_log_info("partition", "removed what is no longer kept",
                     FLV_KV_STR("partition", p->name),
                     FLV_KV_U64("segments", removed),
                     FLV_KV_I64("start_offset", flv_log_start_offset(p->log)));
    }
    if (removed > 0 || p->keep.roll) {
        kick_soon(p);
    }
}

/* What was written to the page cache, once a second; where that would be more
 * than SYNCS_PER_TICK, in so many seconds that it is not. Who has waited for so
 * long finds a place in one of the next: no more than fill them come before it
 * a second time. */
static void sync_in_turn(struct flv_partition *p)
{
    struct flv_log_job *job;
    if (!flv_log_is_dirty(p->log)) {
        p->dirty_ticks = 0;
        return;
    }
    p->env->dirty++;
    p->dirty_ticks++;
    if ((uint64_t)p->dirty_ticks * SYNCS_PER_TICK >= p->env->dirty_before &&
        p->env->synced < SYNCS_PER_TICK && p->jobs[JOB_SYNC].job == NULL &&
        (job = flv_log_sync_job(p->log)) != NULL) {
        submit(p, JOB_SYNC, job);
        p->env->synced++;
        p->dirty_ticks = 0;
    }
}

void flv_partition_tick(struct flv_partition *p, uint64_t now_ms)
{
    if (LIST_EMPTY(&p->readers) || now_ms - p->written_ms > TAIL_IDLE_MS) {
        flv_tail_clear(&p->tail);
    }
    if (p->state != FLV_PART_ONLINE || p->log == NULL) {
        return;
    }
    sync_in_turn(p);
    if (p->sync_failed) {
        p->sync_failed = false;
        kick_soon(p);
    }
    if (now_ms - p->written_ms > REST_MS) {
        flv_log_rest(p->log);
    }
    if (flv_log_upkeep_due(p->log)) {
        kick_soon(p);
    }
    retain(p);
}

/* ---- open ---- */

struct flv_partition *
flv_partition_create(struct flv_part_env *env, const char *name, bool bare)
{
    struct flv_partition *p = flv_zalloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->env = env;
    p->bare = bare;
    p->state = bare ? FLV_PART_ONLINE : FLV_PART_OPENING;
    snprintf(p->name, sizeof p->name, "%s", name);
    for (int i = 0; i < JOB_COUNT; i++) {
        p->jobs[i].p = p;
        p->jobs[i].kind = i;
        flv_task_init(&p->jobs[i].late, job_late);
    }
    flv_task_init(&p->kick, kick);
    STAILQ_INIT(&p->parked);
    STAILQ_INIT(&p->uncommitted);
    LIST_INIT(&p->readers);
    LIST_INIT(&p->waiters);
    flv_tail_init(&p->tail, &env->tails);
    return p;
}

static void note(void *user, const struct flv_log_note *n)
{
    const struct flv_partition *p = user;
    FLV_LOG_AT(n->kind == FLV_NOTE_DAMAGE ? FLV_LEVEL_ERROR : FLV_LEVEL_WARN,
               "partition", "recovery", FLV_KV_STR("partition", p->name),
               FLV_KV_STR("file", n->file), FLV_KV_U64("pos", n->pos),
               FLV_KV_U64("bytes", n->bytes), FLV_KV_STR("what", n->text));
}

flv_rc flv_partition_open_log(struct flv_partition *p,
                              const struct flv_part_conf *conf,
                              struct flv_err *err)
{
    assert(p->log == NULL && !p->bare);
    struct flv_log_report report = {0};
    const struct flv_log_conf log_conf = {
        .io = p->env->io,
        .dir = conf->dir,
        .create = conf->create,
        .log_id = conf->log_id,
        .durability = conf->durability,
        .segment_bytes = conf->segment_bytes,
        .batch_bytes_max = conf->batch_bytes_max,
        .checkpoint_bytes = conf->checkpoint_bytes,
        .note = note,
        .note_user = p,
    };
    p->keep = conf->keep;
    p->durability = conf->durability;
    flv_rc rc = flv_log_open(&log_conf, &p->log, &report, err);
    if (rc == FLV_OK && report.torn_bytes > 0) {
        flv_log_warn("partition", "cut off what is not a whole group",
                     FLV_KV_STR("partition", p->name),
                     FLV_KV_U64("bytes", report.torn_bytes),
                     FLV_KV_I64("next_offset", report.next_offset));
    }
    return rc;
}

void flv_partition_set_trouble(struct flv_partition *p,
                               const struct flv_err *err)
{
    assert(p->state == FLV_PART_OPENING);
    flv_err_clear(&p->trouble);
    if (err != NULL) {
        p->trouble = *err;
    }
}

void flv_partition_opened(struct flv_partition *p)
{
    assert(p->state == FLV_PART_OPENING);
    p->changed = true;
    if (p->trouble.rc != FLV_OK) {
        p->state = FLV_PART_OFFLINE;
        flv_log_error("partition", "cannot be opened",
                      FLV_KV_STR("partition", p->name),
                      FLV_KV_ERR(&p->trouble));
        return;
    }
    assert(p->log != NULL);
    p->state = FLV_PART_ONLINE;
    p->told_leo = flv_log_leo(p->log);
    p->told_hw = flv_log_hw(p->log);
    kick_soon(p);
}

/* ---- close ---- */

static void close_run(struct flv_work *w)
{
    struct flv_partition *p = FLV_OWNER_OF(w, struct flv_partition, close_work);
    struct flv_err err = {0};
    if (p->orderly && flv_log_close(p->log, &err) != FLV_OK) {
        flv_log_error("partition", "closing failed",
                      FLV_KV_STR("partition", p->name), FLV_KV_ERR(&err));
    } else if (!p->orderly) {
        flv_log_abandon(p->log);
    }
}

static void close_over(struct flv_partition *p)
{
    assert(p->holds == 0 && LIST_EMPTY(&p->readers) && LIST_EMPTY(&p->waiters));
    void (*closed)(void *ctx) = p->closed;
    void *ctx = p->closed_ctx;
    flv_loop_undefer(p->env->loop, &p->kick);
    flv_tail_clear(&p->tail);
    flv_free(p->damaged);
    flv_free(p);
    closed(ctx);
}

static void close_done(struct flv_work *w, flv_rc rc)
{
    struct flv_partition *p = FLV_OWNER_OF(w, struct flv_partition, close_work);
    if (rc != FLV_OK) {
        close_run(w);
    }
    close_over(p);
}

static void close_late(struct flv_task *t)
{
    struct flv_partition *p = FLV_OWNER_OF(t, struct flv_partition, close_late);
    if (p->log != NULL) {
        close_run(&p->close_work);
    }
    close_over(p);
}

static void close_if_quiet(struct flv_partition *p)
{
    assert(p->state == FLV_PART_CLOSING);
    for (int i = 0; i < JOB_COUNT; i++) {
        if (p->jobs[i].job != NULL) {
            return;
        }
    }
    if (p->holds > 0 || p->closing_log) {
        return;
    }
    p->closing_log = true;
    p->close_work.run = close_run;
    p->close_work.done = close_done;
    flv_task_init(&p->close_late, close_late);
    if (p->log == NULL ||
        flv_pool_submit(p->env->read_pool, &p->close_work) != FLV_OK) {
        flv_loop_defer(p->env->loop, &p->close_late);
    }
}

void flv_partition_close(struct flv_partition *p,
                         bool orderly,
                         void (*closed)(void *ctx),
                         void *ctx)
{
    assert(p->state != FLV_PART_CLOSING && closed != NULL);
    p->state = FLV_PART_CLOSING;
    leave_line(p);
    p->orderly = orderly;
    p->closed = closed;
    p->closed_ctx = ctx;
    if (p->log != NULL) {
        flv_log_cancel(p->log);
    }
    cancel_list(p, &p->parked);
    cancel_list(p, &p->uncommitted);
    send_away(p);
    close_if_quiet(p);
}

void flv_partition_hold(struct flv_partition *p)
{
    assert(p->log != NULL && p->state != FLV_PART_CLOSING);
    p->holds++;
}

void flv_partition_release(struct flv_partition *p)
{
    assert(p->holds > 0);
    p->holds--;
    if (p->state == FLV_PART_CLOSING) {
        close_if_quiet(p);
    }
}

/* ---- questions ---- */

/* While it closes the log belongs to a pool thread. */
static bool is_live(const struct flv_partition *p)
{
    return p->state == FLV_PART_ONLINE && p->log != NULL;
}

enum flv_part_state flv_partition_state(const struct flv_partition *p)
{
    return p->state;
}

const char *flv_partition_name(const struct flv_partition *p)
{
    return p->name;
}

void flv_partition_trouble(const struct flv_partition *p, struct flv_err *out)
{
    *out = p->trouble;
    if (is_live(p)) {
        struct flv_log_info info;
        flv_log_stat(p->log, &info);
        if (info.state != FLV_LOG_OK) {
            *out = info.cause;
        } else if (p->damage_count > 0) {
            *out = p->damage;
        }
    }
}

enum flv_part_health flv_partition_health(const struct flv_partition *p)
{
    struct flv_log_info info;
    if (p->state == FLV_PART_OFFLINE) {
        return FLV_HEALTH_OFFLINE;
    }
    if (!is_live(p)) {
        return FLV_HEALTH_OK;
    }
    flv_log_stat(p->log, &info);
    return info.state == FLV_LOG_POISONED ? FLV_HEALTH_POISONED
           : info.state == FLV_LOG_DAMAGED || p->damage_count > 0
               ? FLV_HEALTH_DAMAGED
               : FLV_HEALTH_OK;
}

uint32_t flv_partition_damages(const struct flv_partition *p)
{
    return p->damage_count;
}

const char *flv_health_word(enum flv_part_health h)
{
    static const char *const words[] = {"ok", "offline", "poisoned", "damaged"};
    return words[h];
}

const struct flv_part_counts *
flv_partition_counts(const struct flv_partition *p)
{
    return &p->counts;
}

void flv_partition_count_out(struct flv_partition *p,
                             uint64_t records,
                             uint64_t bytes)
{
    p->counts.records_out += records;
    p->counts.bytes_out += bytes;
}

void flv_partition_count_dropped(struct flv_partition *p, uint64_t records)
{
    p->counts.records_dropped += records;
}

void flv_partition_info(const struct flv_partition *p,
                        struct flv_part_info *out)
{
    *out = (struct flv_part_info){0};
    if (is_live(p)) {
        struct flv_log_info info;
        flv_log_stat(p->log, &info);
        *out = (struct flv_part_info){.start_offset = info.start_offset,
                                      .leo = info.leo,
                                      .hw = info.hw,
                                      .size_bytes = info.size_bytes,
                                      .segments = info.segments};
    }
}

int64_t flv_partition_end(const struct flv_partition *p,
                          enum flv_isolation isolation)
{
    if (!is_live(p)) {
        return 0;
    }
    return isolation == FLV_READ_COMMITTED ? flv_log_hw(p->log)
                                           : flv_log_leo(p->log);
}

int64_t flv_partition_start(const struct flv_partition *p)
{
    return is_live(p) ? flv_log_start_offset(p->log) : 0;
}

const struct flv_tail *flv_partition_tail(const struct flv_partition *p)
{
    return &p->tail;
}

struct flv_log *flv_partition_log(struct flv_partition *p)
{
    return p->state == FLV_PART_ONLINE ? p->log : NULL;
}

bool flv_partition_take_changed(struct flv_partition *p)
{
    bool changed = p->changed;
    p->changed = false;
    return changed;
}
