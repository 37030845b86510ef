#include "connector/sink.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "connector/sink_priv.h"

#define TARGET "sink"
/* Positions are kept this often while they move: what was confirmed since is
 * sent again after a crash. */
#define COMMIT_MS 100
/* Between tries of a record under the policy `retry`. */
#define RETRY_MIN_MS 250
#define RETRY_MAX_MS 30000
#define COMPLAINT_MS 1000

static const struct flv_sink_ops *ops_of(const struct flv_sink *s)
{
    return s->conf.type->sink;
}

struct flv_loop *flv_sink_loop(struct flv_sink *s)
{
    return s->conf.loop;
}

const char *flv_sink_name(const struct flv_sink *s)
{
    return s->conf.name;
}

const char *flv_sink_topic(const struct flv_sink *s)
{
    return s->conf.topic;
}

const char *flv_sink_consumer(const struct flv_sink *s)
{
    return s->conf.consumer;
}

void flv_sink_place(struct flv_sink *s,
                    const struct flv_sink_record *r,
                    char out[FLV_SINK_PLACE_MAX])
{
    (void)snprintf(out, FLV_SINK_PLACE_MAX, "%.80s-%u@%lld", s->conf.topic,
                   r->batch->partition, (long long)r->offset);
}

static void keep_cause(struct flv_sink *s, const struct flv_err *err)
{
    if (s->cause.rc == FLV_OK) {
        s->cause = *err;
    }
}

void flv__sink_schedule(struct flv_sink *s)
{
    if (s->phase < FLV__SINK_DONE) {
        flv_loop_defer(s->conf.loop, &s->pump);
    }
}

/* --- positions ---------------------------------------------------------------
 */

static bool is_behind(const struct flv_sink *s, const struct flv__part *p)
{
    return p->started && p->position > p->committed &&
           !ops_of(s)->keeps_positions;
}

static void commit_all(struct flv_sink *s)
{
    for (uint32_t i = 0; i < s->part_count; i++) {
        struct flv__part *p = &s->parts[i];
        if (is_behind(s, p) && p->committing < 0) {
            p->committing = p->position;
            s->conf.env->commit(s->conf.env_arg, p->id, p->position);
        }
    }
}

static bool all_committed(const struct flv_sink *s)
{
    for (uint32_t i = 0; i < s->part_count; i++) {
        const struct flv__part *p = &s->parts[i];
        if (is_behind(s, p) || p->committing >= 0) {
            return false;
        }
    }
    return true;
}

static void on_commit(struct flv_timer *t)
{
    commit_all(FLV_OWNER_OF(t, struct flv_sink, commit));
}

void flv__sink_committed(struct flv_sink *s,
                         uint32_t partition,
                         const struct flv_err *err)
{
    assert(partition < s->part_count);
    struct flv__part *p = &s->parts[partition];
    if (s->phase > FLV__SINK_DRAINING) {
        return;
    }
    assert(p->committing >= 0);
    if (err == NULL) {
        p->committed = p->committing;
    }
    p->committing = -1;
    if (err != NULL) {
        flv__sink_fail(s, err);
    }
    flv__sink_schedule(s);
}

/* --- failed records
 * ----------------------------------------------------------- */

static void complain(struct flv_sink *s,
                     const struct flv_sink_record *r,
                     const struct flv_err *err)
{
    uint64_t now = flv_clock_mono_ms();
    char place[FLV_SINK_PLACE_MAX];
    if (now < s->complain_ms) {
        s->complaints_hidden++;
        return;
    }
    flv_sink_place(s, r, place);
    flv_log_warn(TARGET, "a record failed", FLV_KV_STR("record", place),
                 FLV_KV_ERR(err),
                 FLV_KV_STR("policy", flv__policy_name(s->conf.policy.kind)),
                 FLV_KV_U64("attempts", r->attempts),
                 FLV_KV_U64("failed_before_unlogged", s->complaints_hidden));
    s->complain_ms = now + COMPLAINT_MS;
    s->complaints_hidden = 0;
}

static void halt_at(struct flv_sink *s,
                    const struct flv_sink_record *r,
                    const struct flv_err *err)
{
    struct flv_err why = *err;
    char place[FLV_SINK_PLACE_MAX];
    flv_sink_place(s, r, place);
    flv_err_prefix(&why, "record %s", place);
    flv__sink_halt(s, &why);
}

static void arm_retry(struct flv_sink *s)
{
    const struct flv__retrial *first = TAILQ_FIRST(&s->retrials);
    struct flv_err err = {0};
    uint64_t now = flv_loop_now_ms(s->conf.loop);
    if (first == NULL) {
        flv_timer_stop(&s->retry);
        return;
    }
    uint64_t in = first->due_ms > now ? first->due_ms - now : 0;
    if (flv_timer_start(&s->retry, in, 0, &err) != FLV_OK) {
        flv__sink_fail(s, &err);
    }
}

/* A verdict, in `in_ms`; the first due stands first. */
static void plan_verdict(struct flv_sink *s,
                         struct flv_sink_record *r,
                         enum flv_sink_verdict verdict,
                         uint64_t in_ms)
{
    struct flv__retrial *t = flv_zalloc(1, sizeof(*t)), *at;
    struct flv_err err = {0};
    if (t == NULL) {
        (void)flv_fail(&err, FLV_E_NOMEM, "out of memory for a record");
        flv__sink_fail(s, &err);
        return;
    }
    t->record = r;
    t->verdict = verdict;
    t->due_ms = flv_loop_now_ms(s->conf.loop) + in_ms;
    TAILQ_FOREACH_REVERSE(at, &s->retrials, flv__retrials, link)
    {
        if (at->due_ms <= t->due_ms) {
            break;
        }
    }
    if (at != NULL) {
        TAILQ_INSERT_AFTER(&s->retrials, at, t, link);
    } else {
        TAILQ_INSERT_HEAD(&s->retrials, t, link);
    }
    arm_retry(s);
}

static void on_retry(struct flv_timer *timer)
{
    struct flv_sink *s = FLV_OWNER_OF(timer, struct flv_sink, retry);
    uint64_t now = flv_loop_now_ms(s->conf.loop);
    struct flv__retrial *t;
    while (s->phase <= FLV__SINK_DRAINING &&
           (t = TAILQ_FIRST(&s->retrials)) != NULL && t->due_ms <= now) {
        struct flv_sink_record *r = t->record;
        enum flv_sink_verdict verdict = t->verdict;
        TAILQ_REMOVE(&s->retrials, t, link);
        flv_free(t);
        ops_of(s)->verdict(s->state, r, verdict);
        if (verdict == FLV_SINK_DISPOSED) {
            flv__record_settle(s, r, FLV_STAGED_DISCARDED);
        }
    }
    arm_retry(s);
    flv__sink_schedule(s);
}

static void
retry(struct flv_sink *s, struct flv_sink_record *r, const struct flv_err *err)
{
    struct flv_backoff pause = {.min_ms = RETRY_MIN_MS, .max_ms = RETRY_MAX_MS};
    uint64_t in_ms = 0;
    for (uint32_t i = 0; i < r->attempts && i < 32; i++) {
        in_ms = flv_backoff_next(&pause);
    }
    flv_sink_trouble(s, err, in_ms);
    plan_verdict(s, r, FLV_SINK_AGAIN, in_ms);
}

void flv_sink_failed(struct flv_sink *s,
                     struct flv_sink_record *r,
                     enum flv_stage_at at,
                     const struct flv_err *err)
{
    const struct flv_policy *p = &s->conf.policy;
    struct flv_err why = {0};
    assert(!r->settled && err->rc != FLV_OK);
    r->attempts++;
    r->failed_at = (uint8_t)at;
    if (s->phase > FLV__SINK_DRAINING) {
        return;
    }
    complain(s, r, err);
    switch (p->kind) {
    case FLV_POLICY_RETRY:
        if (r->attempts <= p->retries) {
            retry(s, r, err);
            return;
        }
        halt_at(s, r, err);
        return;
    case FLV_POLICY_DISCARD:
        plan_verdict(s, r, FLV_SINK_DISPOSED, 0);
        return;
    case FLV_POLICY_DEAD_LETTER:
        if (flv__letter_of_record(s, r, err, &why) != FLV_OK) {
            flv_err_prefix(&why, "%.60s", err->text);
            halt_at(s, r, &why);
        }
        return;
    case FLV_POLICY_HALT:
        halt_at(s, r, err);
        return;
    }
}

/* --- the end
 * ------------------------------------------------------------------ */

static void hold_all(struct flv_sink *s)
{
    for (uint32_t i = 0; i < s->part_count; i++) {
        flv__part_limit(s, &s->parts[i]);
    }
}

/* What waits for another try stays for the next start. */
static void drop_retrials(struct flv_sink *s)
{
    struct flv__retrial *t, *next;
    for (t = TAILQ_FIRST(&s->retrials); t != NULL; t = next) {
        next = TAILQ_NEXT(t, link);
        if (t->verdict == FLV_SINK_AGAIN || s->phase > FLV__SINK_DRAINING) {
            TAILQ_REMOVE(&s->retrials, t, link);
            flv_free(t);
        }
    }
    arm_retry(s);
}

static void close_sink(struct flv_sink *s)
{
    assert(s->phase == FLV__SINK_DRAINING);
    s->phase = FLV__SINK_CLOSING;
    drop_retrials(s);
    flv_timer_stop(&s->drain);
    flv_timer_stop(&s->commit);
    flv_timer_stop(&s->retry);
    if (s->staging) {
        s->conf.stage->hurry(s->conf.stage->state);
    }
    ops_of(s)->close(s->state);
}

static void on_drain_over(struct flv_timer *t)
{
    struct flv_sink *s = FLV_OWNER_OF(t, struct flv_sink, drain);
    flv_log_warn(TARGET, "closed before everything was confirmed",
                 FLV_KV_U64("put", s->counts.out),
                 FLV_KV_U64("confirmed", s->counts.acked));
    close_sink(s);
}

/* After a halt, letters of the records before it are waited for. */
static bool may_ask_to_drain(const struct flv_sink *s)
{
    for (uint32_t i = 0; s->halted && i < s->part_count; i++) {
        const struct flv__flight *f = s->parts[i].unput;
        if (f != NULL && f->ready && f->letters > 0) {
            return false;
        }
    }
    return true;
}

static void drain(struct flv_sink *s)
{
    if (!s->asked_to_drain && may_ask_to_drain(s)) {
        s->asked_to_drain = true;
        ops_of(s)->drain(s->state, s->halted);
    }
    if (!s->drained || !TAILQ_EMPTY(&s->retrials) ||
        !TAILQ_EMPTY(&s->letters)) {
        return;
    }
    commit_all(s);
    if (all_committed(s)) {
        close_sink(s);
    }
}

void flv__sink_stop(struct flv_sink *s)
{
    struct flv_err err = {0};
    if (s->phase != FLV__SINK_RUNNING) {
        return;
    }
    s->phase = FLV__SINK_DRAINING;
    hold_all(s);
    drop_retrials(s);
    if (flv_timer_start(&s->drain, s->conf.drain_ms, 0, &err) != FLV_OK) {
        keep_cause(s, &err);
        close_sink(s);
        return;
    }
    flv__sink_schedule(s);
}

void flv__sink_fail(struct flv_sink *s, const struct flv_err *err)
{
    assert(err->rc != FLV_OK);
    keep_cause(s, err);
    flv__sink_stop(s);
}

void flv__sink_halt(struct flv_sink *s, const struct flv_err *err)
{
    if (s->phase == FLV__SINK_RUNNING) {
        s->halted = true;
    }
    flv__sink_fail(s, err);
}

void flv_sink_fail(struct flv_sink *s, const struct flv_err *err)
{
    flv__sink_fail(s, err);
}

void flv_sink_drained(struct flv_sink *s)
{
    assert(s->asked_to_drain);
    s->drained = true;
    flv__sink_schedule(s);
}

void flv_sink_closed(struct flv_sink *s)
{
    assert(s->phase == FLV__SINK_CLOSING);
    s->closed = true;
    flv__sink_schedule(s);
}

static void run_pump(struct flv_task *task)
{
    struct flv_sink *s = FLV_OWNER_OF(task, struct flv_sink, pump);
    struct flv_err err = {0};
    flv__flights_sweep(s);
    if (s->phase <= FLV__SINK_DRAINING) {
        flv__letters_send(s);
        flv__stage_next(s);
    }
    if (s->phase == FLV__SINK_RUNNING && !flv_timer_active(&s->commit) &&
        !all_committed(s) &&
        flv_timer_start(&s->commit, COMMIT_MS, 0, &err) != FLV_OK) {
        flv__sink_fail(s, &err);
    }
    if (s->phase == FLV__SINK_DRAINING) {
        drain(s);
    }
    /* A module that still runs owns its batch. */
    if (s->phase == FLV__SINK_CLOSING && s->closed && !s->staging) {
        s->phase = FLV__SINK_DONE;
        s->conf.env->done(s->conf.env_arg);
    }
}

/* --- what a sink may call
 * ------------------------------------------------------ */

void flv_sink_positions(struct flv_sink *s,
                        const struct flv_sink_position *positions,
                        size_t count,
                        const struct flv_err *err)
{
    if (s->phase == FLV__SINK_RUNNING) {
        s->conf.env->positions(s->conf.env_arg, positions, count, err);
    }
}

void flv_sink_kept(struct flv_sink *s, const struct flv_err *err)
{
    if (s->phase == FLV__SINK_RUNNING) {
        s->conf.env->kept(s->conf.env_arg, err);
    }
}

void flv_sink_well(struct flv_sink *s)
{
    s->conf.env->told(s->conf.env_arg, NULL, 0);
}

void flv_sink_trouble(struct flv_sink *s,
                      const struct flv_err *err,
                      uint64_t retry_in_ms)
{
    assert(err->rc != FLV_OK);
    s->conf.env->told(s->conf.env_arg, err, retry_in_ms);
}

void flv_sink_count(struct flv_sink *s, unsigned index, uint64_t n)
{
    assert(index < FLV_COUNTERS_MAX);
    s->counters[index] += n;
}

/* --- life
 * ---------------------------------------------------------------------- */

void flv__sink_ask(struct flv_sink *s, const struct flv_sink_ask *ask)
{
    assert(ops_of(s)->keeps_positions);
    if (s->phase == FLV__SINK_RUNNING) {
        ops_of(s)->ask(s->state, ask);
    }
}

void flv__sink_keep(struct flv_sink *s,
                    const struct flv_sink_position *starts,
                    size_t count)
{
    assert(ops_of(s)->keeps_positions && count > 0);
    if (s->phase == FLV__SINK_RUNNING) {
        ops_of(s)->keep(s->state, starts, count);
    }
}

flv_rc
flv__sink_partitions(struct flv_sink *s, uint32_t count, struct flv_err *err)
{
    assert(count >= s->part_count);
    flv__flights_sweep(s);
    struct flv__part *parts = flv_zalloc(count > 0 ? count : 1, sizeof(*parts));
    if (parts == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for %u partitions",
                        count);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct flv__part *p = &parts[i];
        TAILQ_INIT(&p->flights);
        if (i < s->part_count) {
            struct flv__part *old = &s->parts[i];
            struct flv__flight *f;
            *p = *old;
            TAILQ_INIT(&p->flights);
            TAILQ_CONCAT(&p->flights, &old->flights, link);
            TAILQ_FOREACH(f, &p->flights, link)
            {
                f->part = p;
            }
        } else {
            p->id = i;
            p->committing = -1;
        }
    }
    flv_free(s->parts);
    s->parts = parts;
    s->part_count = count;
    return FLV_OK;
}

void flv__sink_start(struct flv_sink *s,
                     uint32_t partition,
                     int64_t next_offset)
{
    assert(partition < s->part_count && !s->parts[partition].started);
    struct flv__part *p = &s->parts[partition];
    p->started = true;
    p->position = p->committed = next_offset;
    p->held = true; /* by its reader, so far */
    flv__part_limit(s, p);
}

void flv__sink_writable(struct flv_sink *s)
{
    flv__sink_schedule(s);
}

void flv__sink_pause(struct flv_sink *s, bool paused)
{
    s->paused = paused;
    hold_all(s);
}

flv_rc flv__sink_open(struct flv_sink **out,
                      const struct flv_sink_conf *conf,
                      struct flv_err *err)
{
    const struct flv_sink_ops *ops = conf->type->sink;
    assert(ops != NULL && ops->keeps_positions == (ops->ask != NULL));
    struct flv_sink *s = flv_zalloc(1, sizeof(*s));
    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    s->conf = *conf;
    s->conf.name = conf->name != NULL ? conf->name : conf->type->name;
    TAILQ_INIT(&s->queue);
    TAILQ_INIT(&s->settled);
    TAILQ_INIT(&s->letters);
    TAILQ_INIT(&s->retrials);
    flv_task_init(&s->pump, run_pump);
    flv_timer_init(&s->retry, conf->loop, on_retry);
    flv_timer_init(&s->commit, conf->loop, on_commit);
    flv_timer_init(&s->drain, conf->loop, on_drain_over);
    s->state = flv_zalloc(1, ops->state_size > 0 ? ops->state_size : 1);
    flv_rc rc = s->state != NULL ? ops->open(s->state, conf->conf, s, err)
                                 : flv_fail(err, FLV_E_NOMEM, "out of memory");
    if (rc != FLV_OK) {
        flv__sink_destroy(s);
        return rc;
    }
    *out = s;
    return FLV_OK;
}

void flv__sink_destroy(struct flv_sink *s)
{
    struct flv__flight *f;
    struct flv__sink_letter *l;
    if (s == NULL) {
        return;
    }
    flv_timer_stop(&s->retry);
    flv_timer_stop(&s->commit);
    flv_timer_stop(&s->drain);
    flv_loop_undefer(s->conf.loop, &s->pump);
    while ((l = TAILQ_FIRST(&s->letters)) != NULL) {
        TAILQ_REMOVE(&s->letters, l, link);
        flv__letter_free(l);
    }
    while ((f = TAILQ_FIRST(&s->settled)) != NULL) {
        TAILQ_REMOVE(&s->settled, f, link);
        flv__flight_free(f);
    }
    for (uint32_t i = 0; i < s->part_count; i++) {
        while ((f = TAILQ_FIRST(&s->parts[i].flights)) != NULL) {
            TAILQ_REMOVE(&s->parts[i].flights, f, link);
            flv__flight_free(f);
        }
    }
    flv_free(s->parts);
    flv_free(s->state);
    flv_free(s);
}

const struct flv_err *flv__sink_cause(const struct flv_sink *s)
{
    return s->cause.rc != FLV_OK ? &s->cause : NULL;
}

void flv__sink_counts(const struct flv_sink *s, struct flv_pipeline_counts *out)
{
    *out = s->counts;
}

uint64_t flv__sink_counter(const struct flv_sink *s, unsigned index)
{
    assert(index < FLV_COUNTERS_MAX);
    return s->counters[index];
}
