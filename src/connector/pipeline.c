#include "connector/pipeline.h"

#include <assert.h>

#include "base/field.h"
#include "base/mem.h"

/* RUNNING -> DRAINING -> CLOSING_SOURCE -> CLOSING_OUT -> DONE */
enum phase {
    PHASE_RUNNING,
    PHASE_DRAINING,
    PHASE_CLOSING_SOURCE,
    PHASE_CLOSING_OUT,
    PHASE_DONE,
};

/* One batch on its way: source records up to last_number, which became
 * `records` records of the stream. */
struct flight {
    uint64_t last_number;
    uint32_t taken;   /* records of the source */
    uint32_t records; /* records of the stream */
    bool done;
};

struct flv_source {
    struct flv_pipeline_conf conf;
    enum phase phase;
    void *state; /* owned; the connector's */
    struct flv_batch batch;
    struct flv_chain chain;
    struct flv_batch *stuck; /* borrowed: had no room in the stream */
    struct flight *ring;     /* owned; FLV_IN_FLIGHT_BATCHES_MAX */
    uint64_t head, tail;     /* tokens: [head, tail) are under way */
    uint32_t in_flight;      /* records of the source */
    uint64_t next_number;    /* of the next record pulled; from 1 */
    bool awake;              /* the source may have something */
    bool broken;             /* the stream gave up: nothing to wait for */
    bool pulling;
    struct flv_task pump;
    struct flv_task finish; /* the close that follows a drain */
    struct flv_timer drain;
    struct flv_err cause;
    uint64_t out, acked;
    uint64_t counters[FLV_COUNTERS_MAX];
};

struct flv_loop *flv_source_loop(struct flv_source *src)
{
    return src->conf.loop;
}

static struct flight *flight_at(struct flv_source *src, uint64_t token)
{
    assert(token >= src->head && token < src->tail);
    return &src->ring[token % FLV_IN_FLIGHT_BATCHES_MAX];
}

static void schedule(struct flv_source *src)
{
    if (src->phase <= PHASE_DRAINING) {
        flv_loop_defer(src->conf.loop, &src->pump);
    }
}

static void keep_cause(struct flv_source *src, const struct flv_err *err)
{
    if (src->cause.rc == FLV_OK) {
        src->cause = *err;
    }
}

/* --- the end ------------------------------------------------------------- */

static void out_closed(void *arg)
{
    struct flv_source *src = arg;
    assert(src->phase == PHASE_CLOSING_OUT);
    src->phase = PHASE_DONE;
    src->conf.done(src->conf.arg);
}

static void close_source(struct flv_source *src)
{
    assert(src->phase == PHASE_DRAINING);
    src->phase = PHASE_CLOSING_SOURCE;
    flv_timer_stop(&src->drain);
    flv_loop_undefer(src->conf.loop, &src->pump);
    flv_loop_undefer(src->conf.loop, &src->finish);
    src->conf.type->source->close(src->state);
}

static bool is_drained(const struct flv_source *src)
{
    return src->broken || (src->head == src->tail && src->stuck == NULL);
}

static void run_finish(struct flv_task *task)
{
    struct flv_source *src = FLV_OWNER_OF(task, struct flv_source, finish);
    if (src->phase == PHASE_DRAINING && is_drained(src)) {
        close_source(src);
    } else if (src->phase == PHASE_CLOSING_SOURCE) {
        src->phase = PHASE_CLOSING_OUT;
        src->conf.out_ops->close(src->conf.out, out_closed, src);
    }
}

void flv_source_closed(struct flv_source *src)
{
    assert(src->phase == PHASE_CLOSING_SOURCE);
    flv_loop_defer(src->conf.loop, &src->finish);
}

static void drain_over(struct flv_timer *timer)
{
    struct flv_source *src = FLV_OWNER_OF(timer, struct flv_source, drain);
    struct flv_err err = {0};
    (void)flv_fail(&err, FLV_E_TIMEOUT,
                   "%u records were not acknowledged within %u ms of the stop",
                   src->in_flight, src->conf.drain_ms);
    keep_cause(src, &err);
    close_source(src);
}

static void maybe_drained(struct flv_source *src)
{
    if (src->phase == PHASE_DRAINING && is_drained(src)) {
        flv_loop_defer(src->conf.loop, &src->finish);
    }
}

void flv__pipeline_stop(struct flv_source *src)
{
    if (src->phase != PHASE_RUNNING) {
        return;
    }
    src->phase = PHASE_DRAINING;
    src->conf.out_ops->push(src->conf.out);
    struct flv_err err = {0};
    if (flv_timer_start(&src->drain, src->conf.drain_ms, 0, &err) != FLV_OK) {
        keep_cause(src, &err);
        src->broken = true;
    }
    maybe_drained(src);
}

void flv__pipeline_fail(struct flv_source *src, const struct flv_err *err)
{
    assert(err->rc != FLV_OK);
    keep_cause(src, err);
    flv__pipeline_stop(src);
}

void flv_source_end(struct flv_source *src)
{
    flv__pipeline_stop(src);
}

void flv_source_fail(struct flv_source *src, const struct flv_err *err)
{
    flv__pipeline_fail(src, err);
}

/* --- settlement ---------------------------------------------------------- */

/* Tells the source about the longest prefix that is done. After a failure the
 * prefix ends there for good: nothing behind it is ever called safe. */
static void settle(struct flv_source *src)
{
    uint64_t upto = 0;
    while (src->head < src->tail && flight_at(src, src->head)->done) {
        struct flight *f = flight_at(src, src->head);
        upto = f->last_number;
        assert(src->in_flight >= f->taken);
        src->in_flight -= f->taken;
        src->head++;
    }
    if (upto > 0 && src->conf.type->source->settled != NULL &&
        src->phase <= PHASE_DRAINING) {
        src->conf.type->source->settled(src->state, upto);
    }
}

static struct flight *flight_add(struct flv_source *src, uint32_t records)
{
    assert(src->tail - src->head < FLV_IN_FLIGHT_BATCHES_MAX);
    struct flight *f = &src->ring[src->tail % FLV_IN_FLIGHT_BATCHES_MAX];
    *f = (struct flight){.last_number = src->next_number - 1,
                         .taken = src->batch.count,
                         .records = records};
    src->tail++;
    return f;
}

void flv__pipeline_settled(struct flv_source *src,
                           uint64_t token,
                           const struct flv_err *err)
{
    if (src->phase >= PHASE_CLOSING_OUT) {
        return; /* cancelled with the stream */
    }
    struct flight *f = flight_at(src, token);
    assert(!f->done);
    if (err != NULL) {
        src->broken = true;
        flv__pipeline_fail(src, err);
        maybe_drained(src);
        return;
    }
    f->done = true;
    src->acked += f->records;
    settle(src);
    schedule(src);
    maybe_drained(src);
}

void flv__pipeline_writable(struct flv_source *src)
{
    schedule(src);
}

/* --- the way in ---------------------------------------------------------- */

/* Hands the batch to the stream; keeps it when there is no room. */
static void deliver(struct flv_source *src, struct flv_batch *batch)
{
    struct flv_err err = {0};
    src->stuck = NULL;
    if (batch->count == 0) {
        flight_add(src, 0)->done = true;
        settle(src);
        return;
    }
    flv_rc rc = src->conf.out_ops->append(src->conf.out, batch->msgs,
                                          batch->count, src->tail, &err);
    if (rc == FLV_E_BUSY) {
        src->stuck = batch;
        return;
    }
    if (rc != FLV_OK) {
        flv__pipeline_fail(src, &err);
        return;
    }
    src->out += batch->count;
    (void)flight_add(src, batch->count);
    if (src->phase == PHASE_DRAINING) {
        src->conf.out_ops->push(src->conf.out);
    }
}

static uint32_t credit(const struct flv_source *src)
{
    if (src->tail - src->head >= FLV_IN_FLIGHT_BATCHES_MAX) {
        return 0;
    }
    uint32_t left = FLV_IN_FLIGHT_RECORDS_MAX - src->in_flight;
    return left < FLV_BATCH_RECORDS_MAX ? left : FLV_BATCH_RECORDS_MAX;
}

static void pull(struct flv_source *src, uint32_t limit)
{
    flv__batch_reset(&src->batch, limit, src->next_number);
    src->awake = false;
    src->pulling = true;
    src->conf.type->source->pull(src->state, &src->batch, limit);
    src->pulling = false;
    if (src->batch.count == 0) {
        return;
    }
    src->awake = true;
    src->next_number += src->batch.count;
    src->in_flight += src->batch.count;
    struct flv_err err = {0};
    struct flv_batch *batch;
    if (flv__chain_apply(&src->chain, &src->batch, &batch, &err) != FLV_OK) {
        flv__pipeline_fail(src, &err);
        return;
    }
    deliver(src, batch);
}

/* One batch a turn, so that the loop stays fair. */
static void run_pump(struct flv_task *task)
{
    struct flv_source *src = FLV_OWNER_OF(task, struct flv_source, pump);
    if (src->stuck != NULL) {
        deliver(src, src->stuck);
    }
    uint32_t limit = credit(src);
    if (src->phase == PHASE_RUNNING && src->stuck == NULL && src->awake &&
        limit > 0) {
        pull(src, limit);
        if (src->awake && src->stuck == NULL) {
            schedule(src);
        }
    }
    maybe_drained(src);
}

void flv_source_wake(struct flv_source *src)
{
    src->awake = true;
    if (!src->pulling) {
        schedule(src);
    }
}

void flv_source_count(struct flv_source *src, unsigned index, uint64_t n)
{
    assert(index < FLV_COUNTERS_MAX);
    src->counters[index] += n;
}

/* --- life ---------------------------------------------------------------- */

static flv_rc make_parts(struct flv_source *src, struct flv_err *err)
{
    const struct flv_pipeline_conf *c = &src->conf;
    size_t size = c->type->source->state_size;
    src->ring = flv_zalloc(FLV_IN_FLIGHT_BATCHES_MAX, sizeof(*src->ring));
    src->state = flv_zalloc(1, size > 0 ? size : 1);
    if (src->ring == NULL || src->state == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc = flv__batch_init(&src->batch, err);
    if (rc == FLV_OK) {
        rc = flv__chain_init(&src->chain, c->stages, c->stage_count, err);
    }
    return rc;
}

flv_rc flv__pipeline_open(struct flv_source **out,
                          const struct flv_pipeline_conf *conf,
                          struct flv_err *err)
{
    assert(conf->type->source != NULL && conf->done != NULL);
    struct flv_source *src = flv_zalloc(1, sizeof(*src));
    if (src == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    src->conf = *conf;
    src->next_number = 1;
    flv_task_init(&src->pump, run_pump);
    flv_task_init(&src->finish, run_finish);
    flv_timer_init(&src->drain, conf->loop, drain_over);
    flv_rc rc = make_parts(src, err);
    if (rc == FLV_OK) {
        rc = conf->type->source->open(src->state, conf->conf, src, err);
    }
    if (rc != FLV_OK) {
        flv__pipeline_destroy(src);
        return rc;
    }
    *out = src;
    flv_source_wake(src);
    return FLV_OK;
}

void flv__pipeline_destroy(struct flv_source *src)
{
    if (src == NULL) {
        return;
    }
    flv_timer_stop(&src->drain);
    flv_loop_undefer(src->conf.loop, &src->pump);
    flv_loop_undefer(src->conf.loop, &src->finish);
    flv__batch_deinit(&src->batch);
    flv__chain_deinit(&src->chain);
    flv_free(src->ring);
    flv_free(src->state);
    flv_free(src);
}

const struct flv_err *flv__pipeline_cause(const struct flv_source *src)
{
    return src->cause.rc != FLV_OK ? &src->cause : NULL;
}

void flv__pipeline_counts(const struct flv_source *src,
                          struct flv_pipeline_counts *out)
{
    *out = (struct flv_pipeline_counts){
        .stages = src->chain.all, .out = src->out, .acked = src->acked};
}

uint64_t flv__pipeline_counter(const struct flv_source *src, unsigned index)
{
    assert(index < FLV_COUNTERS_MAX);
    return src->counters[index];
}
