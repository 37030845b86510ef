#include "server/dedup.h"

#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/making.h"
#include "server/state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a module may take for one record set. */
#define SET_MS_MAX 10000
/* A chain that nobody used for so long is dropped; it can be made again. */
#define IDLE_MS 600000

STAILQ_HEAD(put_list, flv_dedup_put);

enum deduper_state {
    DEDUPER_IDLE,
    DEDUPER_PREPARES, /* the plan */
    DEDUPER_MAKES,    /* the chain, which looks back */
    DEDUPER_RUNS,     /* the first of the line, as a job */
};

struct flv_deduper {
    struct flv_dedups *set; /* borrowed */
    uint64_t topic_id;
    uint32_t index;
    enum deduper_state state;
    uint32_t busy;         /* calls of ours on the stack: must not go away */
    struct flv_plan *plan; /* owned; while the chain is made */
    struct flv_making making;
    struct flv_sm_chain *chain; /* owned; NULL: to be made */
    uint64_t revision;          /* of the module that it runs */
    uint32_t piece;             /* records of one call */
    size_t memory;              /* of the chain, as counted by the server */
    struct flv_cpu_job job;
    struct flv_dedup_put *running; /* borrowed */
    struct put_list line;          /* to be looked at */
    struct put_list out; /* staged, or with nothing left to stage: in order */
    int64_t end;         /* behind what was answered last */
    struct flv_numbers numbers;
    size_t number_memory; /* of them, as counted by the server */
    /* An append failed while a job ran: its chain goes when it is done. */
    bool stale;
    flv_rc lost_rc;
    struct flv_err lost_err;
    uint64_t used_ms;
    TAILQ_ENTRY(flv_deduper) link;
    char topic[FLV_TOPIC_NAME_MAX + 1];
};

static void pump(struct flv_deduper *d);

static struct flv_server *server_of(const struct flv_deduper *d)
{
    return d->set->server;
}

/* ---- life ---- */

/* NULL: it is gone, or about to. */
static struct flv_topic *topic_of(const struct flv_deduper *d)
{
    struct flv_topic *t =
        flv_topics_find(&server_of(d)->topics, flv_slice_str(d->topic));
    return t != NULL && t->id == d->topic_id && d->index < t->partition_count
               ? t
               : NULL;
}

static void drop_chain(struct flv_deduper *d)
{
    assert(d->state != DEDUPER_RUNS);
    flv_sm_chain_destroy(d->chain);
    d->chain = NULL;
    d->stale = false;
    d->piece = 0;
    (void)flv_smart_resize(&server_of(d)->smart, &d->memory, 0);
}

static bool is_idle(const struct flv_deduper *d)
{
    return d->state == DEDUPER_IDLE && d->busy == 0 && STAILQ_EMPTY(&d->line) &&
           STAILQ_EMPTY(&d->out);
}

static void deduper_free(struct flv_deduper *d)
{
    struct flv_topic *t = topic_of(d);
    assert(is_idle(d));
    drop_chain(d);
    flv_numbers_clear(&d->numbers);
    if (t != NULL) {
        t->dedupers[d->index] = NULL;
    }
    TAILQ_REMOVE(&d->set->by_use, d, link);
    flv_free(d);
}

/* Numbers count like the chain; where they may not, producers are forgotten. */
static bool may_hold(struct flv_numbers *n, size_t bytes)
{
    struct flv_deduper *d = FLV_OWNER_OF(n, struct flv_deduper, numbers);
    struct flv_smart *m = &server_of(d)->smart;
    size_t before = d->number_memory;
    assert(bytes <= before || !is_idle(d)); /* or it might shrink itself */
    if (flv_smart_resize(m, &d->number_memory, bytes)) {
        return true;
    }
    (void)flv_smart_resize(m, &d->number_memory, before);
    return false;
}

static struct flv_deduper *
find_or_make(struct flv_dedups *set, struct flv_topic *t, uint32_t index)
{
    struct flv_deduper *d = t->dedupers[index];
    if (d == NULL && (d = flv_zalloc(1, sizeof *d)) != NULL) {
        d->set = set;
        d->topic_id = t->id;
        d->index = index;
        d->numbers.may_hold = may_hold;
        snprintf(d->topic, sizeof d->topic, "%s", t->name);
        STAILQ_INIT(&d->line);
        STAILQ_INIT(&d->out);
        TAILQ_INSERT_TAIL(&set->by_use, d, link);
        t->dedupers[index] = d;
    }
    return d;
}

/* ---- answers ---- */

static void finish(struct flv_dedup_put *e)
{
    flv_chunk_unref(e->made.grown);
    e->made.grown = NULL;
    e->done(e);
}

/* It was not stored: its producer goes on with it, and with nothing behind it.
 * Without memory to know that, nobody is known. */
static void undo_numbers(struct flv_deduper *d, const struct flv_dedup_put *e)
{
    if (e->numbered && !e->echo &&
        flv_numbers_undo(&d->numbers, &e->run) != FLV_OK) {
        flv_numbers_clear(&d->numbers);
    }
}

static bool has_turn(const struct flv_deduper *d,
                     const struct flv_dedup_put *e,
                     enum flv_number turn)
{
    int64_t base;
    return !e->numbered ||
           flv_numbers_judge(&d->numbers, &e->run, &base) == turn;
}

/* What waits is answered alike; what comes meanwhile is not meant. */
static void fail_line(struct flv_deduper *d,
                      const struct flv_trouble *why,
                      flv_rc rc,
                      const char *text)
{
    struct put_list now = STAILQ_HEAD_INITIALIZER(now);
    struct flv_dedup_put *e;
    STAILQ_CONCAT(&now, &d->line);
    while ((e = STAILQ_FIRST(&now)) != NULL) {
        STAILQ_REMOVE_HEAD(&now, link);
        if (has_turn(d, e, FLV_NUMBER_NEXT)) {
            undo_numbers(d, e);
        }
        if (why != NULL) {
            flv_trouble_copy(&e->why, why);
        } else {
            e->rc = flv_fail(&e->err, rc, "%s", text);
        }
        finish(e);
    }
}

/* Records that the chain knows are not stored: those of `lost`. */
static void lose(struct flv_deduper *d, const struct flv_dedup_put *lost)
{
    struct flv_dedup_put *e;
    d->lost_rc = lost->rc;
    d->lost_err = lost->err;
    undo_numbers(d, lost);
    STAILQ_FOREACH(e, &d->out, link)
    {
        e->in_doubt = e->in_doubt || e->dropped > 0 || e->echo ||
                      !has_turn(d, e, FLV_NUMBER_KNOWN);
        if (e->in_doubt) {
            undo_numbers(d, e);
        }
    }
    if (d->state == DEDUPER_RUNS) {
        d->stale = true;
    } else {
        drop_chain(d);
    }
}

static void doubt(const struct flv_deduper *d, struct flv_dedup_put *e)
{
    e->rc = d->lost_rc;
    e->err = d->lost_err;
}

/* It is on disk, and so is what it repeats. */
static void succeed(struct flv_deduper *d, struct flv_dedup_put *e)
{
    if (e->echo) {
        int64_t base = -1;
        (void)flv_numbers_judge(&d->numbers, &e->run, &base);
        e->base_offset = base;
        return;
    }
    if (e->made.bytes > 0) {
        d->end = e->base_offset + e->append.base.records;
    } else {
        e->base_offset = d->end;
    }
    if (e->numbered) {
        flv_numbers_place(&d->numbers, &e->run, e->base_offset);
    }
}

/* Answers in the order of the log, as far as that is known. */
static void drain(struct flv_deduper *d)
{
    struct flv_dedup_put *e;
    d->busy++;
    while ((e = STAILQ_FIRST(&d->out)) != NULL && e->over) {
        STAILQ_REMOVE_HEAD(&d->out, link);
        if (e->rc != FLV_OK) {
            lose(d, e);
        } else if (e->in_doubt) {
            doubt(d, e);
        } else {
            succeed(d, e);
        }
        finish(e);
    }
    d->busy--;
    pump(d);
}

/* ---- storing what is left ---- */

static void
appended(struct flv_part_append *a, flv_rc rc, const struct flv_err *err)
{
    struct flv_dedup_put *e = FLV_OWNER_OF(a, struct flv_dedup_put, append);
    e->over = true;
    e->rc = rc;
    if (rc != FLV_OK) {
        e->err = *err;
    }
    e->base_offset = a->base.base_offset;
    drain(e->deduper);
}

static void store(struct flv_deduper *d, struct flv_dedup_put *e)
{
    struct flv_topic *t = topic_of(d);
    if (t == NULL || t->state != FLV_TOPIC_ONLINE) {
        bool open = t != NULL && t->in_doubt;
        e->rc = flv_fail(&e->err, open ? FLV_E_IO : FLV_E_CANCELED,
                         "the topic is being deleted");
        lose(d, e);
        finish(e);
        return;
    }
    struct flv_partition *p = t->partitions[d->index];
    if (e->numbered && flv_numbers_note(&d->numbers, &e->run) != FLV_OK) {
        flv_numbers_clear(&d->numbers); /* the module has to do */
    }
    flv_partition_count_dropped(p, e->dropped);
    STAILQ_INSERT_TAIL(&d->out, e, link);
    if (e->made.bytes == 0) {
        e->over = true;
        return;
    }
    struct flv_chunk *grown = e->made.grown;
    e->append.frame = grown != NULL ? grown : e->frame;
    e->append.base.data = grown != NULL ? grown->data : e->frame->data + e->at;
    e->append.base.len = e->made.bytes;
    e->append.committed = e->committed;
    e->append.done = appended;
    flv_partition_append(p, &e->append);
}

/* ---- the module ---- */

static void set_run(struct flv_cpu_job *j, struct flv_bench *b)
{
    struct flv_deduper *d = FLV_OWNER_OF(j, struct flv_deduper, job);
    struct flv_dedup_put *e = d->running;
    struct flv_sift_sets sets = {
        .chain = d->chain,
        .batch_bytes_max = server_of(d)->conf.batch_bytes_max,
        .stop = &j->stop,
        .piece = e->careful ? FLV_SM_RECORDS_MAX : d->piece};
    uint8_t *place = e->frame->data + e->at;
    flv_sm_chain_set_cancel(d->chain, &j->cancel);
    flv_sm_chain_set_unsaved(d->chain, !e->careful);
    if (flv_sift_set(&sets, flv_slice(place, e->len), b, &e->why) &&
        !flv_made_put(&e->made, place, e->len, &b->out)) {
        flv_trouble_set(&e->why, FLV_WIRE_OTHER, "out of memory");
    }
    if (!e->careful) {
        d->piece = sets.piece;
    }
    e->lost = sets.lost;
    e->dropped = sets.out < sets.in ? sets.in - sets.out : 0;
}

/* The chain and what it made find room in the server's memory. */
static bool fits(struct flv_deduper *d, struct flv_dedup_put *e)
{
    struct flv_server *s = server_of(d);
    if (!flv_smart_resize(&s->smart, &d->memory,
                          flv_sm_chain_memory(d->chain))) {
        flv_trouble_set(&e->why, FLV_WIRE_OTHER,
                        "the SmartModules of all streams and topics take more "
                        "memory than --smartmodule-memory-max allows");
        return false;
    }
    if (e->made.grown != NULL && !flv_made_charge(&e->made, &s->requests)) {
        flv_trouble_set(&e->why, FLV_WIRE_OTHER, FLV_MADE_NO_ROOM);
        return false;
    }
    return true;
}

static void set_done(struct flv_cpu_job *j, flv_rc rc)
{
    struct flv_deduper *d = FLV_OWNER_OF(j, struct flv_deduper, job);
    struct flv_dedup_put *e = d->running;
    d->running = NULL;
    d->state = DEDUPER_IDLE;
    d->busy++;
    if (rc != FLV_OK) {
        flv_trouble_set(&e->why, FLV_WIRE_OTHER, "no thread for SmartModules");
        undo_numbers(d, e);
        finish(e); /* the chain did not see it */
    } else if (e->lost && !e->careful) {
        drop_chain(d);
        flv_trouble_clear(&e->why);
        e->careful = true;
        STAILQ_INSERT_HEAD(&d->line, e, link);
    } else if (e->why.error.code != FLV_WIRE_NONE || !fits(d, e)) {
        drop_chain(d);
        undo_numbers(d, e);
        finish(e);
    } else if (d->stale &&
               (e->dropped > 0 || !has_turn(d, e, FLV_NUMBER_NEXT))) {
        doubt(d, e);
        drop_chain(d);
        undo_numbers(d, e);
        finish(e);
    } else {
        if (d->stale) {
            drop_chain(d);
        }
        store(d, e);
    }
    d->busy--;
    drain(d);
}

/* ---- the chain ---- */

static void no_chain(struct flv_deduper *d, struct flv_trouble *why)
{
    struct flv_trouble own = {.record = NULL};
    flv_trouble_move(&own, why); /* it may lie in the plan */
    flv_plan_drop(d->plan);
    d->plan = NULL;
    d->state = DEDUPER_IDLE;
    d->busy++;
    fail_line(d, &own, FLV_OK, NULL);
    d->busy--;
    flv_trouble_clear(&own);
    pump(d);
}

static void made(struct flv_making *k)
{
    struct flv_deduper *d = FLV_OWNER_OF(k, struct flv_deduper, making);
    struct flv_server *s = server_of(d);
    const struct flv_topic *t = topic_of(d);
    if (k->why.error.code == FLV_WIRE_NONE &&
        !flv_smart_resize(&s->smart, &d->memory,
                          flv_sm_chain_memory(k->chain))) {
        flv_trouble_set(&k->why, FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR,
                        "the SmartModules of all streams and topics take more "
                        "memory than --smartmodule-memory-max allows");
        flv_sm_chain_destroy(k->chain);
        (void)flv_smart_resize(&s->smart, &d->memory, 0);
    }
    if (k->why.error.code != FLV_WIRE_NONE) {
        no_chain(d, &k->why);
        return;
    }
    flv_plan_drop(d->plan);
    d->plan = NULL;
    d->chain = k->chain;
    d->end = t != NULL ? flv_partition_end(t->partitions[d->index],
                                           FLV_READ_UNCOMMITTED)
                       : 0;
    d->state = DEDUPER_IDLE;
    pump(d);
}

static void prepared(void *ctx, struct flv_trouble *why)
{
    struct flv_deduper *d = ctx;
    const struct flv_topic *t = topic_of(d);
    if (why->error.code != FLV_WIRE_NONE) {
        no_chain(d, why);
        return;
    }
    if (t == NULL) { /* the line is told */
        flv_plan_drop(d->plan);
        d->plan = NULL;
        d->state = DEDUPER_IDLE;
        pump(d);
        return;
    }
    d->state = DEDUPER_MAKES;
    d->making = (struct flv_making){.smart = &server_of(d)->smart,
                                    .plan = d->plan,
                                    .partition = t->partitions[d->index],
                                    .done = made,
                                    .pieces = true};
    flv_making_start(&d->making);
}

/* The topic's own parameters win over the bounds, as with Fluvio. */
static uint32_t put_params(const struct flv_wire_deduplication *spec,
                           struct flv_wire_pair *pairs,
                           char numbers[2][24])
{
    const bool aged = spec->age.has;
    uint32_t n = 0;
    bool count_given = false, age_given = false;
    for (uint32_t i = 0; i < spec->with.len && i < FLV_TOPIC_DEDUP_PARAMS_MAX;
         i++) {
        pairs[n++] = spec->with.at[i];
        count_given =
            count_given || flv_slice_eq_str(spec->with.at[i].key, "count");
        age_given = age_given || flv_slice_eq_str(spec->with.at[i].key, "age");
    }
    snprintf(numbers[0], 24, "%" PRIu64, spec->count);
    snprintf(numbers[1], 24, "%" PRIu64, flv_wire_duration_ms(&spec->age.v));
    if (!count_given) {
        pairs[n++] = (struct flv_wire_pair){flv_slice_str("count"),
                                            flv_slice_str(numbers[0])};
    }
    if (aged && !age_given) {
        pairs[n++] = (struct flv_wire_pair){flv_slice_str("age"),
                                            flv_slice_str(numbers[1])};
    }
    return n;
}

static void prepare(struct flv_deduper *d, const struct flv_topic *t)
{
    const struct flv_wire_deduplication *spec = &t->spec.deduplication.v;
    struct flv_wire_pair pairs[FLV_TOPIC_DEDUP_PARAMS_MAX + 2];
    char numbers[2][24];
    struct flv_trouble why = {.record = NULL};
    struct flv_wire_module_invocation in = {
        .wasm = {.tag = 0, .name = spec->uses},
        .kind = {.tag = FLV_WIRE_MODULE_FILTER}};
    in.params.params.at = pairs;
    in.params.params.len = put_params(spec, pairs, numbers);
    in.params.lookback.has = true;
    in.params.lookback.v.last =
        spec->count > 0 ? spec->count : FLV_TOPIC_DEDUP_COUNT_MAX;
    in.params.lookback.v.age.has = spec->age.has;
    in.params.lookback.v.age.v = spec->age.v;
    d->plan = flv_plan_create(&server_of(d)->smart, &in, 1, NULL, &why);
    if (d->plan == NULL) {
        no_chain(d, &why);
        return;
    }
    d->state = DEDUPER_PREPARES;
    flv_plan_prepare(d->plan, prepared, d);
}

/* ---- the line ---- */

/* Why nothing can be stored there now; FLV_OK: it can. */
static flv_rc
look_at(struct flv_deduper *d, const struct flv_topic *t, const char **text)
{
    if (t == NULL || t->state != FLV_TOPIC_ONLINE ||
        server_of(d)->phase >= FLV_SERVER_CLOSING) {
        *text = "the topic is going away";
        return t != NULL && t->in_doubt ? FLV_E_IO : FLV_E_CANCELED;
    }
    const struct flv_partition *p = t->partitions[d->index];
    if (flv_partition_state(p) != FLV_PART_ONLINE ||
        flv_partition_health(p) == FLV_HEALTH_POISONED) {
        *text = "the partition takes nothing";
        return FLV_E_POISONED;
    }
    return FLV_OK;
}

/* False: it is missing, and all who wait were told so. */
static bool look_at_module(struct flv_deduper *d, const struct flv_topic *t)
{
    const struct flv_module *m =
        flv_modules_find(&server_of(d)->modules, t->spec.deduplication.v.uses);
    if (m == NULL) {
        struct flv_trouble why = {.record = NULL};
        flv_trouble_not_found(&why, t->spec.deduplication.v.uses);
        drop_chain(d);
        fail_line(d, &why, FLV_OK, NULL);
        return false;
    }
    if (d->chain != NULL && d->revision != m->revision) {
        drop_chain(d); /* it was stored anew */
    }
    d->revision = m->revision;
    return true;
}

/* True: its numbers alone say what becomes of it. */
static bool is_answered(struct flv_deduper *d, struct flv_dedup_put *e)
{
    int64_t base = -1;
    if (!e->numbered) {
        return false;
    }
    switch (flv_numbers_judge(&d->numbers, &e->run, &base)) {
    case FLV_NUMBER_KNOWN:
        e->echo = e->over = true;
        STAILQ_REMOVE_HEAD(&d->line, link);
        STAILQ_INSERT_TAIL(&d->out, e, link);
        drain(d);
        return true;
    case FLV_NUMBER_WRONG:
        e->rc = flv_fail(&e->err, FLV_E_REFUSED,
                         "producer %" PRId64
                         ": sequence %d does not continue what came before",
                         e->run.producer_id, e->run.first);
        STAILQ_REMOVE_HEAD(&d->line, link);
        finish(e);
        return true;
    case FLV_NUMBER_NEXT:
    default:
        return false;
    }
}

/* The next thing that can be done; true: look again. */
static bool step(struct flv_deduper *d)
{
    const struct flv_topic *t = topic_of(d);
    const char *text = NULL;
    flv_rc rc = look_at(d, t, &text);
    if (rc != FLV_OK) {
        fail_line(d, NULL, rc, text);
        return true;
    }
    if (!look_at_module(d, t) || is_answered(d, STAILQ_FIRST(&d->line))) {
        return true;
    }
    if (d->chain != NULL) {
        d->running = STAILQ_FIRST(&d->line);
        STAILQ_REMOVE_HEAD(&d->line, link);
        d->state = DEDUPER_RUNS;
        d->job.smart = &server_of(d)->smart;
        d->job.run = set_run;
        d->job.done = set_done;
        d->job.turn_ms = SET_MS_MAX;
        flv_cpu_submit(&d->job);
        return false;
    }
    if (!STAILQ_EMPTY(&d->out)) {
        return false; /* the chain has to see all that was let pass */
    }
    prepare(d, t);
    return true;
}

static void pump(struct flv_deduper *d)
{
    if (d->busy > 0) {
        return; /* whoever it is goes on */
    }
    d->busy++;
    while (d->state == DEDUPER_IDLE && !STAILQ_EMPTY(&d->line) && step(d)) {
    }
    d->busy--;
}

flv_rc flv_dedup_add(struct flv_dedups *set,
                     struct flv_topic *t,
                     uint32_t index,
                     struct flv_dedup_put *e,
                     struct flv_err *err)
{
    assert(t->spec.deduplication.has && index < t->partition_count);
    struct flv_deduper *d = find_or_make(set, t, index);
    if (d == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    d->used_ms = flv_loop_now_ms(set->server->loop);
    TAILQ_REMOVE(&set->by_use, d, link);
    TAILQ_INSERT_TAIL(&set->by_use, d, link);
    e->deduper = d;
    e->rc = FLV_OK;
    e->numbered =
        flv_run_of(flv_slice(e->frame->data + e->at, e->len), &e->run);
    STAILQ_INSERT_TAIL(&d->line, e, link);
    pump(d);
    return FLV_OK;
}

/* ---- all of them ---- */

void flv_dedups_init(struct flv_dedups *set, struct flv_server *server)
{
    set->server = server;
    TAILQ_INIT(&set->by_use);
}

void flv_dedups_deinit(struct flv_dedups *set)
{
    while (!TAILQ_EMPTY(&set->by_use)) {
        deduper_free(TAILQ_FIRST(&set->by_use));
    }
}

bool flv_dedups_shrink(struct flv_dedups *set)
{
    struct flv_deduper *d;
    TAILQ_FOREACH(d, &set->by_use, link)
    {
        if (d->chain != NULL && is_idle(d)) {
            drop_chain(d);
            return true;
        }
    }
    TAILQ_FOREACH(d, &set->by_use, link)
    {
        if (d->number_memory > 0 && is_idle(d)) {
            flv_numbers_clear(&d->numbers);
            return true;
        }
    }
    return false;
}

void flv_dedups_tick(struct flv_dedups *set)
{
    uint64_t now_ms = flv_loop_now_ms(set->server->loop);
    struct flv_deduper *d = TAILQ_FIRST(&set->by_use);
    while (d != NULL) {
        struct flv_deduper *next = TAILQ_NEXT(d, link);
        if (is_idle(d) &&
            (topic_of(d) == NULL || now_ms - d->used_ms > IDLE_MS)) {
            deduper_free(d);
        }
        d = next;
    }
}

static void close_one(struct flv_deduper *d)
{
    if (d->state == DEDUPER_PREPARES ||
        (d->state == DEDUPER_MAKES && flv_making_cancel(&d->making))) {
        flv_plan_drop(d->plan);
        d->plan = NULL;
        d->state = DEDUPER_IDLE;
    } else if (d->state == DEDUPER_RUNS && flv_cpu_cancel(&d->job)) {
        STAILQ_INSERT_HEAD(&d->line, d->running, link);
        d->running = NULL;
        d->state = DEDUPER_IDLE;
    }
    fail_line(d, NULL, FLV_E_CANCELED, "the server is stopping");
}

void flv_dedups_close(struct flv_dedups *set)
{
    struct flv_deduper *d;
    TAILQ_FOREACH(d, &set->by_use, link)
    {
        d->busy++;
        close_one(d);
        d->busy--;
    }
}
