#include "connector/pipeline.h"

#include <assert.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"

/* A batch through the stage shall take about this long, so that a stop, a
 * slow module and the first record of a batch do not wait for a thousand. */
#define STAGE_SHORT_MS 50
#define STAGE_LONG_MS 200
#define STAGE_LIMIT_FIRST 64u

/* RUNNING -> DRAINING -> CLOSING_SOURCE -> CLOSING_OUT -> DONE */
enum phase {
    PHASE_RUNNING,
    PHASE_DRAINING,
    PHASE_CLOSING_SOURCE,
    PHASE_CLOSING_OUT,
    PHASE_DONE,
};

/* One piece on its way. The last one of a batch stands for the records of the
 * source up to last_number. */
struct flight {
    uint64_t last_number; /* 0: more pieces of the batch follow */
    uint32_t taken;       /* records of the source */
    uint32_t records;     /* of the stream */
    uint32_t lane;
    bool done;
};

/* What the last batch became and nobody has taken yet. */
struct rest {
    const struct flv_msg *msgs; /* borrowed: the batch's or the stage's */
    size_t count;
    const struct flv_letter *letters; /* borrowed from the stage */
    size_t letter_count;
    uint64_t last_number;
    uint32_t taken;
    struct flv_err halt;
    bool any;
};

struct flv_source {
    struct flv_pipeline_conf conf;
    enum phase phase;
    void *state; /* owned; the connector's */
    struct flv_batch batch;
    struct rest rest;
    struct flight *ring;  /* owned; FLV_IN_FLIGHT_BATCHES_MAX */
    uint64_t head, tail;  /* tokens: [head, tail) are under way */
    uint32_t in_flight;   /* records of the source */
    uint64_t next_number; /* of the next record pulled; from 1 */
    bool awake;           /* the source may have something */
    bool broken;          /* the stream gave up: nothing to wait for */
    bool pulling;
    bool paused;          /* the source is not asked for more */
    bool staging;         /* the stage works on the batch */
    bool out_gone;        /* the stream has been closed */
    uint32_t stage_limit; /* records a batch, by how long they take */
    uint64_t staged_at_ms;
    struct flv_task pump;
    struct flv_task finish; /* the close that follows a drain */
    struct flv_timer drain;
    struct flv_err cause;
    struct flv_pipeline_counts counts;
    uint64_t counters[FLV_COUNTERS_MAX];
};

struct flv_loop *flv_source_loop(struct flv_source *src)
{
    return src->conf.loop;
}

const char *flv_source_name(const struct flv_source *src)
{
    return src->conf.name != NULL ? src->conf.name : src->conf.type->name;
}

const char *flv_source_topic(const struct flv_source *src)
{
    return src->conf.topic != NULL ? src->conf.topic : "";
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

/* A module that still runs owns the batch. */
static void maybe_done(struct flv_source *src)
{
    if (src->phase == PHASE_CLOSING_OUT && src->out_gone && !src->staging) {
        src->phase = PHASE_DONE;
        src->conf.done(src->conf.arg);
    }
}

static void out_closed(void *arg)
{
    struct flv_source *src = arg;
    assert(src->phase == PHASE_CLOSING_OUT);
    src->out_gone = true;
    maybe_done(src);
}

static void close_source(struct flv_source *src)
{
    assert(src->phase == PHASE_DRAINING);
    src->phase = PHASE_CLOSING_SOURCE;
    flv_timer_stop(&src->drain);
    flv_loop_undefer(src->conf.loop, &src->pump);
    flv_loop_undefer(src->conf.loop, &src->finish);
    if (src->staging) {
        src->conf.stage->hurry(src->conf.stage->state);
    }
    src->conf.type->source->close(src->state);
}

static bool is_drained(const struct flv_source *src)
{
    return src->broken ||
           (src->head == src->tail && !src->staging && !src->rest.any);
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
        if (f->last_number > 0) {
            upto = f->last_number;
        }
        assert(src->in_flight >= f->taken);
        src->in_flight -= f->taken;
        src->head++;
    }
    if (upto > 0 && src->conf.type->source->settled != NULL &&
        src->phase <= PHASE_DRAINING) {
        src->conf.type->source->settled(src->state, upto);
    }
}

static bool ring_full(const struct flv_source *src)
{
    return src->tail - src->head >= FLV_IN_FLIGHT_BATCHES_MAX;
}

/* The next place in the ring; the last piece of the rest answers for all of
 * its batch. */
static struct flight *
flight_add(struct flv_source *src, uint32_t lane, uint32_t records, bool last)
{
    assert(!ring_full(src));
    struct flight *f = &src->ring[src->tail % FLV_IN_FLIGHT_BATCHES_MAX];
    *f = (struct flight){.lane = lane, .records = records};
    if (last) {
        f->last_number = src->rest.last_number;
        f->taken = src->rest.taken;
    }
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
    if (f->lane == FLV_LANE_TOPIC) {
        src->counts.acked += f->records;
    } else {
        src->counts.dead_lettered += f->records;
    }
    settle(src);
    schedule(src);
    maybe_drained(src);
}

void flv__pipeline_writable(struct flv_source *src)
{
    schedule(src);
}

/* --- the way in ---------------------------------------------------------- */

/* Records of one append: what a batch of the source may hold at most. */
static size_t piece_of(const struct flv_msg *msgs, size_t count)
{
    size_t n = 0, bytes = 0;
    while (n < count && n < FLV_BATCH_RECORDS_MAX) {
        bytes += msgs[n].key.len + msgs[n].value.len;
        if (n > 0 && bytes > FLV_BATCH_BYTES_MAX) {
            break;
        }
        n++;
    }
    return n;
}

/* One append and its place in the ring. */
static flv_rc hand_over(struct flv_source *src,
                        uint32_t lane,
                        const struct flv_msg *msgs,
                        size_t count,
                        bool last,
                        struct flv_err *err)
{
    if (ring_full(src)) {
        return FLV_E_BUSY;
    }
    flv_rc rc = src->conf.out_ops->append(src->conf.out, lane, msgs, count,
                                          src->tail, err);
    if (rc == FLV_OK) {
        (void)flight_add(src, lane, (uint32_t)count, last);
        *(lane == FLV_LANE_TOPIC ? &src->counts.out : &src->counts.letters) +=
            count;
    }
    return rc;
}

static flv_rc next_piece(struct flv_source *src, struct flv_err *err)
{
    struct rest *r = &src->rest;
    if (r->count > 0) {
        size_t n = piece_of(r->msgs, r->count);
        bool last = n == r->count && r->letter_count == 0;
        flv_rc rc = hand_over(src, FLV_LANE_TOPIC, r->msgs, n, last, err);
        if (rc == FLV_OK) {
            r->msgs += n;
            r->count -= n;
        }
        return rc;
    }
    flv_rc rc = hand_over(src, r->letters->lane, &r->letters->msg, 1,
                          r->letter_count == 1, err);
    if (rc == FLV_OK) {
        r->letters++;
        r->letter_count--;
    }
    return rc;
}

/* Hands over what the last batch became; keeps what finds no room. */
static void deliver(struct flv_source *src)
{
    struct flv_err err = {0};
    struct rest *r = &src->rest;
    bool empty = r->count == 0 && r->letter_count == 0 && r->taken > 0;
    flv_rc rc = FLV_OK;
    if (empty && ring_full(src)) {
        return;
    }
    while (rc == FLV_OK && r->count + r->letter_count > 0) {
        rc = next_piece(src, &err);
    }
    if (src->phase == PHASE_DRAINING) {
        src->conf.out_ops->push(src->conf.out);
    }
    if (rc == FLV_E_BUSY) {
        return;
    }
    r->any = false;
    if (rc == FLV_OK && empty) {
        flight_add(src, FLV_LANE_TOPIC, 0, true)->done = true;
        settle(src);
    }
    if (rc != FLV_OK) {
        flv__pipeline_fail(src, &err);
    } else if (r->halt.rc != FLV_OK) {
        flv__pipeline_fail(src, &r->halt);
    }
}

static uint32_t credit(const struct flv_source *src)
{
    if (src->paused || ring_full(src)) {
        return 0;
    }
    uint32_t left = FLV_IN_FLIGHT_RECORDS_MAX - src->in_flight;
    return left < src->stage_limit ? left : src->stage_limit;
}

/* Without a stage every record passes. */
static void pass(struct flv_source *src)
{
    const struct flv_batch *b = &src->batch;
    src->counts.stages.in += b->count;
    src->counts.stages.passed += b->count;
    src->rest = (struct rest){.msgs = b->msgs,
                              .count = b->count,
                              .last_number = src->next_number - 1,
                              .taken = b->count,
                              .any = true};
    deliver(src);
}

/* Batches grow while they are quick and shrink when they are slow. */
static void adapt(struct flv_source *src, uint64_t took_ms)
{
    uint32_t n = src->stage_limit;
    if (took_ms > STAGE_LONG_MS) {
        src->stage_limit = n > 1 ? n / 2 : 1;
    } else if (took_ms < STAGE_SHORT_MS && src->batch.count == n) {
        n *= 2;
        src->stage_limit =
            n < FLV_BATCH_RECORDS_MAX ? n : FLV_BATCH_RECORDS_MAX;
    }
}

static void add_counts(struct flv_source *src, const struct flv_stage_counts *n)
{
    struct flv_stage_counts *all = &src->counts.stages;
    assert(flv__stage_adds_up(n) && n->in <= src->batch.count);
    all->in += n->in;
    all->passed += n->passed;
    all->filtered += n->filtered;
    all->failed += n->failed;
    all->discarded += n->discarded;
    assert(flv__stage_adds_up(all));
}

void flv__pipeline_staged(struct flv_source *src,
                          const struct flv_stage_result *result)
{
    assert(src->staging && src->phase < PHASE_DONE);
    uint32_t run = (uint32_t)result->counts.in;
    bool halted = result->halt.rc != FLV_OK;
    src->staging = false;
    add_counts(src, &result->counts);
    assert(!halted || run > 0);
    if (src->phase >= PHASE_CLOSING_SOURCE) {
        maybe_done(src); /* too late: what it became is nobody's */
        return;
    }
    assert(halted || run == src->batch.count);
    adapt(src, flv_clock_mono_ms() - src->staged_at_ms);
    uint32_t taken = halted ? run - 1 : run;
    src->in_flight -= src->batch.count - taken;
    src->rest = (struct rest){
        .msgs = result->msgs,
        .count = result->count,
        .letters = result->letters,
        .letter_count = result->letter_count,
        .last_number = src->batch.first_number + taken - 1,
        .taken = taken,
        .halt = result->halt,
        .any = true,
    };
    deliver(src);
    schedule(src);
    maybe_drained(src);
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
    if (src->conf.stage == NULL) {
        pass(src);
        return;
    }
    src->staging = true;
    src->staged_at_ms = flv_clock_mono_ms();
    src->conf.stage->run(src->conf.stage->state, &src->batch);
}

/* One batch a turn, so that the loop stays fair. */
static void run_pump(struct flv_task *task)
{
    struct flv_source *src = FLV_OWNER_OF(task, struct flv_source, pump);
    if (src->rest.any) {
        deliver(src);
    }
    uint32_t limit = credit(src);
    if (src->phase == PHASE_RUNNING && !src->rest.any && !src->staging &&
        src->awake && limit > 0) {
        pull(src, limit);
        if (src->awake && !src->rest.any && !src->staging) {
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

void flv__pipeline_pause(struct flv_source *src, bool paused)
{
    src->paused = paused;
    schedule(src);
}

void flv_source_well(struct flv_source *src)
{
    if (src->conf.told != NULL) {
        src->conf.told(src->conf.arg, NULL, 0);
    }
}

void flv_source_trouble(struct flv_source *src,
                        const struct flv_err *err,
                        uint64_t retry_in_ms)
{
    assert(err->rc != FLV_OK);
    if (src->conf.told != NULL) {
        src->conf.told(src->conf.arg, err, retry_in_ms);
    }
}

static void add_fate(struct flv_stage_counts *c, enum flv_fate fate, uint64_t n)
{
    c->in += n;
    switch (fate) {
    case FLV_FATE_PASSED:
        c->passed += n;
        break;
    case FLV_FATE_FILTERED:
        c->filtered += n;
        break;
    case FLV_FATE_FAILED:
        c->failed += n;
        break;
    }
    assert(flv__stage_adds_up(c));
}

void flv_source_account(struct flv_source *src,
                        enum flv_stage_at at,
                        enum flv_fate fate,
                        uint64_t n)
{
    bool first = at == FLV_AT_PROTOCOL;
    assert(!first || fate != FLV_FATE_PASSED); /* it ends in Extract */
    add_fate(&src->counts.protocol, first ? fate : FLV_FATE_PASSED, n);
    if (!first) {
        add_fate(&src->counts.extract, fate, n);
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
    return flv__batch_init(&src->batch, err);
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
    src->stage_limit =
        conf->stage != NULL ? STAGE_LIMIT_FIRST : FLV_BATCH_RECORDS_MAX;
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
    *out = src->counts;
}

uint64_t flv__pipeline_counter(const struct flv_source *src, unsigned index)
{
    assert(index < FLV_COUNTERS_MAX);
    return src->counters[index];
}
