/* The records of a running sink: from the reader through the stage to the far
 * side, and what their settlement means for the position. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"
#include "connector/letter.h"
#include "connector/sink_priv.h"

/* What the copies of a stage's outputs may take; the stage's own ceiling is
 * below. */
#define OUTPUT_BYTES_MAX ((size_t)320 * 1024 * 1024)
#define OUTPUT_BLOCK 16384
/* Of keys and values in one flight, unless one record has more. */
#define FLIGHT_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define PART_RECORDS_MIN 64u
#define PART_BYTES_MIN ((size_t)64 * 1024)
/* Of one partition in the stage's queue, so that others have their turn. */
#define QUEUED_MAX 2

static bool keeps_positions(const struct flv_sink *s)
{
    return s->conf.type->sink->keeps_positions;
}

/* --- room ------------------------------------------------------------------
 */

static uint32_t queued(const struct flv__part *p)
{
    const struct flv__flight *f = TAILQ_LAST(&p->flights, flv__flights);
    uint32_t n = 0;
    for (; f != NULL && f->queued; f = TAILQ_PREV(f, flv__flights, link)) {
        n++;
    }
    return n;
}

/* A partition that was held goes on when half of its share is free. */
void flv__part_limit(struct flv_sink *s, struct flv__part *p)
{
    uint32_t records = FLV_SINK_RECORDS_MAX / s->part_count;
    size_t bytes = FLV_SINK_BYTES_MAX / s->part_count;
    records = records > PART_RECORDS_MIN ? records : PART_RECORDS_MIN;
    bytes = bytes > PART_BYTES_MIN ? bytes : PART_BYTES_MIN;
    if (p->held) {
        records /= 2;
        bytes /= 2;
    }
    bool hold = s->paused || s->halted || s->phase != FLV__SINK_RUNNING ||
                p->records >= records || p->bytes >= bytes ||
                queued(p) >= QUEUED_MAX;
    if (p->started && hold != p->held) {
        p->held = hold;
        s->conf.env->hold(s->conf.env_arg, p->id, hold);
    }
}

void flv__flight_free(struct flv__flight *f)
{
    flv__batch_deinit(&f->in);
    flv_arena_deinit(&f->arena);
    flv_free(f->offsets);
    flv_free(f->timestamps);
    flv_free(f->inputs);
    flv_free(f->origins);
    flv_free(f->out.records);
    flv_free(f);
}

void flv__flights_sweep(struct flv_sink *s)
{
    struct flv__flight *f;
    while ((f = TAILQ_FIRST(&s->settled)) != NULL) {
        struct flv__part *p = f->part;
        TAILQ_REMOVE(&s->settled, f, link);
        assert(p->records >= f->input_count && p->bytes >= f->bytes);
        p->records -= f->input_count;
        p->bytes -= f->bytes;
        flv__flight_free(f);
        flv__part_limit(s, p);
    }
}

/* --- settlement ------------------------------------------------------------
 */

static void count_fate(struct flv_sink *s, enum flv_stage_fate fate)
{
    struct flv_stage_counts *n = &s->counts.stages;
    n->in++;
    n->passed += fate == FLV_STAGED_PASSED;
    n->filtered += fate == FLV_STAGED_FILTERED;
    n->failed += fate == FLV_STAGED_FAILED || fate == FLV_STAGED_DISCARDED;
    n->discarded += fate == FLV_STAGED_DISCARDED;
    assert(flv__stage_adds_up(n));
}

/* Moves the head over what is settled; true when nothing is left. */
static bool flight_advance(struct flv_sink *s, struct flv__flight *f)
{
    if (!f->ready || f->letters > 0) {
        return false;
    }
    while (f->head < f->input_count && f->inputs[f->head].pending == 0) {
        count_fate(s, (enum flv_stage_fate)f->inputs[f->head].fate);
        f->head++;
    }
    return f->head == f->input_count && f->put && !f->empty_put;
}

static void add_one(struct flv_stage_counts *n, bool passed, bool discarded)
{
    n->in++;
    n->passed += passed;
    n->failed += !passed;
    n->discarded += discarded;
    assert(flv__stage_adds_up(n));
}

/* A record that was put went through Extract, and so on to Protocol. */
static void count_put(struct flv_sink *s,
                      const struct flv_sink_record *r,
                      enum flv_stage_fate fate)
{
    bool passed = fate == FLV_STAGED_PASSED;
    bool converted = passed || r->failed_at == FLV_AT_PROTOCOL;
    bool discarded = fate == FLV_STAGED_DISCARDED;
    add_one(&s->counts.extract, converted, discarded && !converted);
    if (converted) {
        add_one(&s->counts.protocol, passed, discarded);
    }
}

static void part_advance(struct flv_sink *s, struct flv__part *p)
{
    struct flv__flight *f;
    int64_t before = p->position;
    while ((f = TAILQ_FIRST(&p->flights)) != NULL) {
        bool over = flight_advance(s, f);
        if (!over) {
            if (f->head > 0) {
                p->position = f->head < f->input_count
                                  ? f->inputs[f->head].offset
                                  : f->out.next_offset;
            }
            break;
        }
        assert(f->left == 0 && p->unput != f);
        p->position = f->out.next_offset;
        TAILQ_REMOVE(&p->flights, f, link);
        TAILQ_INSERT_TAIL(&s->settled, f, link);
    }
    assert(p->position >= before);
    flv__sink_schedule(s);
}

void flv__record_settle(struct flv_sink *s,
                        struct flv_sink_record *r,
                        enum flv_stage_fate fate)
{
    struct flv__flight *f = flv__flight_of(r->batch);
    struct flv__input *in = &f->inputs[f->origins[r - f->out.records]];
    assert(!r->settled && f->left > 0 && in->pending > 0);
    r->settled = true;
    f->left--;
    in->pending--;
    if (fate != FLV_STAGED_PASSED) {
        in->fate = (uint8_t)fate;
    }
    count_put(s, r, fate);
    part_advance(s, f->part);
}

void flv_sink_done(struct flv_sink *s, struct flv_sink_record *r)
{
    s->counts.acked++;
    flv__record_settle(s, r, FLV_STAGED_PASSED);
}

void flv_sink_batch_done(struct flv_sink *s, struct flv_sink_batch *b)
{
    struct flv__flight *f = flv__flight_of(b);
    assert(f->put);
    f->empty_put = false;
    for (uint32_t i = 0; i < b->count; i++) {
        if (!b->records[i].settled) {
            flv_sink_done(s, &b->records[i]); /* freed in a later turn */
        }
    }
    part_advance(s, f->part);
}

/* --- the way to the far side ------------------------------------------------
 */

void flv__part_put(struct flv_sink *s, struct flv__part *p)
{
    struct flv__flight *f;
    while ((f = p->unput) != NULL && f->ready && f->letters == 0 &&
           !s->asked_to_drain && s->phase <= FLV__SINK_DRAINING) {
        p->unput = TAILQ_NEXT(f, link);
        f->put = true;
        s->counts.out += f->out.count;
        if (f->out.count > 0 || keeps_positions(s)) {
            f->empty_put = f->out.count == 0;
            s->conf.type->sink->put(s->state, &f->out);
        }
    }
    part_advance(s, p);
}

static flv_rc out_of_memory(size_t count, struct flv_err *err)
{
    return flv_fail(err, FLV_E_NOMEM, "out of memory for %zu records", count);
}

/* Room for the records that go to the far side. */
static flv_rc make_out(struct flv__flight *f, size_t count, struct flv_err *err)
{
    f->out.partition = f->part->id;
    f->out.records = flv_zalloc(count > 0 ? count : 1, sizeof(*f->out.records));
    f->origins = flv_zalloc(count > 0 ? count : 1, sizeof(*f->origins));
    if (f->out.records == NULL || f->origins == NULL) {
        return out_of_memory(count, err);
    }
    return FLV_OK;
}

/* The next record for the far side, made of input i. */
static struct flv_sink_record *
add_out(struct flv__flight *f, const struct flv_msg *m, uint32_t i)
{
    uint32_t at = f->out.count++;
    struct flv_sink_record *r = &f->out.records[at];
    assert(at == 0 || f->origins[at - 1] <= i);
    bool more = at > 0 && f->origins[at - 1] == i;
    f->origins[at] = i;
    *r = (struct flv_sink_record){.offset = f->inputs[i].offset,
                                  .part = more ? r[-1].part + 1 : 0,
                                  .last = true,
                                  .has_key = m->has_key,
                                  .key = m->key,
                                  .value = m->value,
                                  .timestamp_ms = f->timestamps[i],
                                  .batch = &f->out};
    if (more) {
        r[-1].last = false;
    }
    f->inputs[i].pending++;
    f->left++;
    return r;
}

/* Without a stage every record passes. */
static flv_rc pass(struct flv__flight *f, struct flv_err *err)
{
    flv_rc rc = make_out(f, f->input_count, err);
    for (uint32_t i = 0; rc == FLV_OK && i < f->input_count; i++) {
        f->inputs[i].fate = FLV_STAGED_PASSED;
        (void)add_out(f, &f->in.msgs[i], i);
    }
    f->ready = rc == FLV_OK;
    return rc;
}

static flv_rc
copy_view(struct flv__flight *f, uint32_t i, const struct flv_record_view *r)
{
    struct flv_msg *m = &f->in.msgs[i];
    const uint8_t *key = flv_arena_copy(&f->in.arena, r->key.data, r->key.len);
    const uint8_t *value =
        flv_arena_copy(&f->in.arena, r->value.data, r->value.len);
    if (key == NULL || value == NULL) {
        return FLV_E_NOMEM;
    }
    *m = (struct flv_msg){.has_key = r->has_key,
                          .key = flv_slice(key, r->key.len),
                          .value = flv_slice(value, r->value.len),
                          .partition = -1};
    f->inputs[i].offset = r->offset;
    f->offsets[i] = r->offset;
    f->timestamps[i] = r->timestamp_ms;
    f->in.bytes += r->key.len + r->value.len;
    return FLV_OK;
}

/* Copies what the reader shows for one call. */
static struct flv__flight *make_flight(struct flv_sink *s,
                                       struct flv__part *p,
                                       const struct flv_record_batch *b)
{
    struct flv__flight *f = flv_zalloc(1, sizeof(*f));
    size_t bytes = 64;
    if (f == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < b->count; i++) {
        /* The arena may set aside a little for each piece. */
        bytes += b->records[i].key.len + b->records[i].value.len + 32;
    }
    flv_arena_init(&f->in.arena, bytes, 2 * bytes + 65536);
    flv_arena_init(&f->arena, OUTPUT_BLOCK, OUTPUT_BYTES_MAX);
    f->part = p;
    f->in.msgs = flv_zalloc(b->count, sizeof(*f->in.msgs));
    f->offsets = flv_zalloc(b->count, sizeof(*f->offsets));
    f->timestamps = flv_zalloc(b->count, sizeof(*f->timestamps));
    f->inputs = flv_zalloc(b->count, sizeof(*f->inputs));
    bool ok = f->in.msgs != NULL && f->offsets != NULL &&
              f->timestamps != NULL && f->inputs != NULL;
    for (uint32_t i = 0; ok && i < b->count; i++) {
        ok = copy_view(f, i, &b->records[i]) == FLV_OK;
    }
    if (!ok) {
        flv__flight_free(f);
        return NULL;
    }
    f->input_count = f->in.count = f->in.limit = (uint32_t)b->count;
    f->in.first_number = s->number + 1;
    f->in.topic = s->conf.topic;
    f->in.partition = p->id;
    f->in.offsets = f->offsets;
    f->in.timestamps = f->timestamps;
    f->out.next_offset = f->offsets[b->count - 1] + 1;
    f->bytes = bytes + sizeof(*f) +
               b->count * (sizeof(*f->in.msgs) + sizeof(*f->inputs) +
                           sizeof(*f->out.records) + 24);
    return f;
}

static void take_piece(struct flv_sink *s,
                       struct flv__part *p,
                       const struct flv_record_batch *b)
{
    struct flv_err err = {0};
    struct flv__flight *f = make_flight(s, p, b);
    if (f == NULL) {
        (void)out_of_memory(b->count, &err);
        flv__sink_fail(s, &err);
        return;
    }
    s->number += b->count;
    p->records += f->input_count;
    p->bytes += f->bytes;
    TAILQ_INSERT_TAIL(&p->flights, f, link);
    p->unput = p->unput != NULL ? p->unput : f;
    if (s->conf.stage != NULL) {
        f->queued = true;
        TAILQ_INSERT_TAIL(&s->queue, f, staged);
        flv__sink_schedule(s);
    } else if (pass(f, &err) == FLV_OK) {
        flv__part_put(s, p);
    } else {
        flv__sink_fail(s, &err);
    }
    flv__part_limit(s, p);
}

/* Records of one flight: what a batch may hold. */
static size_t piece_of(const struct flv_record_view *r, size_t count)
{
    size_t n = 0, bytes = 0;
    while (n < count && n < FLV_BATCH_RECORDS_MAX) {
        bytes += r[n].key.len + r[n].value.len;
        if (n > 0 && bytes > FLIGHT_BYTES_MAX) {
            break;
        }
        n++;
    }
    return n;
}

void flv__sink_batch(struct flv_sink *s, const struct flv_record_batch *all)
{
    struct flv_record_batch b = *all;
    assert(b.partition < s->part_count && s->parts[b.partition].started);
    for (size_t at = 0; at < all->count && s->phase == FLV__SINK_RUNNING;
         at += b.count) {
        b.records = all->records + at;
        b.count = piece_of(b.records, all->count - at);
        take_piece(s, &s->parts[b.partition], &b);
    }
}

/* --- the stage --------------------------------------------------------------
 */

void flv__stage_next(struct flv_sink *s)
{
    struct flv__flight *f = TAILQ_FIRST(&s->queue);
    if (f != NULL && !s->staging && !s->halted &&
        s->phase == FLV__SINK_RUNNING) {
        s->staging = true;
        s->conf.stage->run(s->conf.stage->state, &f->in);
    }
}

static flv_rc
copy_slice(struct flv__flight *f, struct flv_slice *slice, struct flv_err *err)
{
    if (slice->len == 0) {
        return FLV_OK;
    }
    const void *p = flv_arena_copy(&f->arena, slice->data, slice->len);
    if (p == NULL) {
        return out_of_memory(f->input_count, err);
    }
    f->bytes += slice->len;
    *slice = flv_slice(p, slice->len);
    return FLV_OK;
}

static flv_rc add_stage_letter(struct flv_sink *s,
                               struct flv__flight *f,
                               const struct flv_letter *from,
                               struct flv_err *err)
{
    size_t len = from->msg.value.len;
    struct flv__sink_letter *l = flv_zalloc(1, sizeof(*l));
    if (l != NULL) {
        l->bytes = flv_alloc(len > 0 ? len : 1);
    }
    if (l == NULL || l->bytes == NULL) {
        flv_free(l);
        return out_of_memory(1, err);
    }
    memcpy(l->bytes, from->msg.value.data, len);
    l->flight = f;
    l->lane = from->lane;
    l->msg = from->msg; /* the key is that of the input */
    l->msg.value = flv_slice(l->bytes, len);
    f->letters++;
    TAILQ_INSERT_TAIL(&s->letters, l, link);
    return FLV_OK;
}

/* What the stage made of the first `taken` inputs. */
static flv_rc digest(struct flv_sink *s,
                     struct flv__flight *f,
                     const struct flv_stage_result *res,
                     uint32_t taken,
                     struct flv_err *err)
{
    size_t before = f->bytes;
    flv_rc rc = make_out(f, res->count, err);
    assert(res->count == 0 || res->origins != NULL);
    for (uint32_t i = 0; i < taken; i++) {
        f->inputs[i].fate = res->fates[i];
    }
    for (size_t i = 0; rc == FLV_OK && i < res->count; i++) {
        struct flv_msg m = res->msgs[i];
        assert(res->origins[i] < taken);
        rc = copy_slice(f, &m.key, err);
        if (rc == FLV_OK) {
            rc = copy_slice(f, &m.value, err);
        }
        if (rc == FLV_OK) {
            (void)add_out(f, &m, res->origins[i]);
        }
    }
    for (size_t i = 0; rc == FLV_OK && i < res->letter_count; i++) {
        rc = add_stage_letter(s, f, &res->letters[i], err);
    }
    f->part->bytes += f->bytes - before;
    return rc;
}

/* Records from `taken` on were not run: they are as if never read. */
static void cut(struct flv__flight *f, uint32_t taken)
{
    if (taken < f->input_count) {
        f->out.next_offset = f->inputs[taken].offset;
        f->part->records -= f->input_count - taken;
        f->input_count = taken;
    }
}

void flv__sink_staged(struct flv_sink *s, const struct flv_stage_result *res)
{
    struct flv__flight *f = TAILQ_FIRST(&s->queue);
    bool halted = res->halt.rc != FLV_OK;
    uint32_t taken = (uint32_t)res->counts.in - (halted ? 1 : 0);
    struct flv_err err = {0};
    assert(s->staging && f != NULL && f->queued);
    assert(flv__stage_adds_up(&res->counts) && taken <= f->input_count);
    s->staging = false;
    f->queued = false;
    TAILQ_REMOVE(&s->queue, f, staged);
    flv__sink_schedule(s);
    if (s->phase > FLV__SINK_DRAINING || s->asked_to_drain) {
        return; /* too late: it is read again by the next start */
    }
    flv_rc rc = digest(s, f, res, taken, &err);
    if (rc != FLV_OK) {
        flv__sink_fail(s, &err);
        return;
    }
    f->ready = true;
    cut(f, taken);
    if (halted) {
        flv__sink_halt(s, &res->halt);
    }
    flv__letters_send(s);
    flv__part_put(s, f->part);
    flv__part_limit(s, f->part);
}

/* --- letters ----------------------------------------------------------------
 */

void flv__letter_free(struct flv__sink_letter *l)
{
    flv_free(l->bytes);
    flv_free(l);
}

static flv_rc write_letter(const struct flv_sink *s,
                           const struct flv_sink_record *r,
                           const struct flv_err *why,
                           struct flv_buf *b)
{
    const struct flv__flight *f = flv__flight_of(r->batch);
    uint32_t i = f->origins[r - f->out.records];
    const struct flv_msg *m = &f->in.msgs[i];
    const struct flv_letter_facts facts = {
        .connector = s->conf.name,
        .type = s->conf.type->name,
        .stage = s->conf.stage_steps + 1,
        .cause = "refused",
        .text = why->text,
        .number = f->in.first_number + i,
        .of_topic = s->conf.topic,
        .partition = r->batch->partition,
        .offset = r->offset,
        .time_ms = flv_clock_wall_ms(),
        .has_key = m->has_key,
        .key = m->key,
        .value = m->value,
    };
    return flv__letter_write(b, &facts);
}

flv_rc flv__letter_of_record(struct flv_sink *s,
                             struct flv_sink_record *r,
                             const struct flv_err *why,
                             struct flv_err *err)
{
    struct flv__flight *f = flv__flight_of(r->batch);
    const struct flv_msg *m = &f->in.msgs[f->origins[r - f->out.records]];
    struct flv_buf b;
    flv_buf_init(&b, FLV_BATCH_BYTES_MAX - m->key.len);
    flv_rc rc = write_letter(s, r, why, &b);
    struct flv__sink_letter *l =
        rc == FLV_OK ? flv_zalloc(1, sizeof(*l)) : NULL;
    if (l == NULL) {
        flv_buf_deinit(&b);
        return flv_fail(err, rc != FLV_OK ? rc : FLV_E_NOMEM,
                        "no room for a dead letter");
    }
    l->flight = f;
    l->record = r;
    l->lane = s->conf.policy.lane;
    l->msg = (struct flv_msg){.has_key = m->has_key,
                              .key = m->key,
                              .value = flv_buf_slice(&b),
                              .partition = -1};
    size_t len;
    l->bytes = flv_buf_take(&b, &len);
    TAILQ_INSERT_TAIL(&s->letters, l, link);
    flv__letters_send(s);
    return FLV_OK;
}

void flv__letters_send(struct flv_sink *s)
{
    struct flv__sink_letter *l;
    struct flv_err err = {0};
    TAILQ_FOREACH(l, &s->letters, link)
    {
        if (l->sent || s->phase > FLV__SINK_DRAINING) {
            continue;
        }
        flv_rc rc = s->conf.env->letter(s->conf.env_arg, l->lane, &l->msg,
                                        (uint64_t)(uintptr_t)l, &err);
        if (rc == FLV_E_BUSY) {
            return;
        }
        if (rc != FLV_OK) {
            flv__sink_fail(s, &err);
            return;
        }
        l->sent = true;
        s->counts.letters++;
    }
}

void flv__sink_letter_settled(struct flv_sink *s,
                              uint64_t token,
                              const struct flv_err *err)
{
    if (s->phase > FLV__SINK_DRAINING) {
        return; /* cancelled with the stream */
    }
    struct flv__sink_letter *l = (struct flv__sink_letter *)(uintptr_t)token;
    assert(l->sent);
    if (err != NULL) {
        flv__sink_fail(s, err);
        return;
    }
    s->counts.dead_lettered++;
    TAILQ_REMOVE(&s->letters, l, link);
    if (l->record != NULL) {
        struct flv_sink_record *r = l->record;
        s->conf.type->sink->verdict(s->state, r, FLV_SINK_DISPOSED);
        flv__record_settle(s, r, FLV_STAGED_FAILED);
    } else {
        assert(l->flight->letters > 0);
        l->flight->letters--;
        flv__part_put(s, l->flight->part);
    }
    flv__letter_free(l);
    flv__sink_schedule(s);
}
