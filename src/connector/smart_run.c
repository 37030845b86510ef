/* Batches through the chain, and the policies. Runs on the stage's thread. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "connector/letter.h"
#include "connector/smart_priv.h"
#include "smartmodule/section.h"

#define TARGET "smartmodule"
/* At most one line for each stage in this time. */
#define COMPLAINT_MS 1000
/* A section is a little larger than its records. */
#define SECTION_MAX (FLV_BATCH_BYTES_MAX + 64 * (size_t)FLV_BATCH_RECORDS_MAX)
/* What is kept from one batch to the next. */
#define KEPT ((size_t)1024 * 1024)
#define BLOCK 16384
/* Of a module's own words in a letter, and all of a letter but the record. */
#define HINT_MAX ((size_t)8192)
#define LETTER_FRAME_MAX ((size_t)65536)

static uint64_t number_of(const struct flv_smart *s, uint32_t at)
{
    return s->in->first_number + at;
}

/* What people know the record by: its number, or its place in a topic. */
#define NAME_MAX_BYTES 128
static const char *
name_of(const struct flv_smart *s, uint32_t at, char out[NAME_MAX_BYTES])
{
    if (s->in->topic == NULL) {
        (void)snprintf(out, NAME_MAX_BYTES, "%llu",
                       (unsigned long long)number_of(s, at));
    } else {
        (void)snprintf(out, NAME_MAX_BYTES, "%.80s-%u@%lld", s->in->topic,
                       s->in->partition, (long long)s->in->offsets[at]);
    }
    return out;
}

static struct flv_sm_module_info info_of(const struct flv_smart *s, size_t step)
{
    return flv_sm_module_info(flv_sm_chain_module(s->chain, step));
}

/* --- results ----------------------------------------------------------------
 */

/* Record `at` of the batch stops the connector. */
static void halt(struct flv_smart *s, const struct flv_err *err)
{
    assert(s->result.halt.rc == FLV_OK && err->rc != FLV_OK);
    s->result.halt = *err;
}

/* Not the record's fault, but it cannot be said to be done. */
static void halt_by_host(struct flv_smart *s, uint32_t at, struct flv_err *err)
{
    char name[NAME_MAX_BYTES];
    flv_err_prefix(err, "record %s", name_of(s, at, name));
    s->result.counts.failed++;
    halt(s, err);
}

static flv_rc grow(void **array, size_t *cap, size_t want, size_t size)
{
    size_t n = *cap > 0 ? *cap : 64;
    while (n < want) {
        n *= 2;
    }
    if (n == *cap) {
        return FLV_OK;
    }
    void *p = flv_realloc(*array, n * size);
    if (p == NULL) {
        return FLV_E_NOMEM;
    }
    *array = p;
    *cap = n;
    return FLV_OK;
}

/* Room for what one more call gave. */
static flv_rc make_room(struct flv_smart *s, size_t count)
{
    void *array = s->msgs;
    flv_rc rc =
        grow(&array, &s->msg_cap, s->msg_count + count, sizeof(*s->msgs));
    s->msgs = array;
    if (rc == FLV_OK && s->conf.origins) {
        array = s->origins;
        rc = grow(&array, &s->origin_cap, s->msg_count + count,
                  sizeof(*s->origins));
        s->origins = array;
    }
    return rc;
}

/* The call began with record `at` of the batch. */
static void
note_origin(struct flv_smart *s, uint32_t at, const struct flv_sm_record *r)
{
    if (s->conf.origins) {
        assert(r->origin != FLV_SM_NO_ORIGIN || s->single);
        uint32_t i = r->origin != FLV_SM_NO_ORIGIN ? at + r->origin : at;
        s->origins[s->msg_count] = i;
        s->fates[i] = FLV_STAGED_PASSED;
    }
}

static flv_rc take(struct flv_smart *s,
                   uint32_t at,
                   const struct flv_sm_result *res,
                   struct flv_err *err)
{
    flv_rc rc = make_room(s, res->record_count);
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "out of memory for %zu records",
                        res->record_count);
    }
    for (size_t i = 0; i < res->record_count; i++) {
        const struct flv_sm_record *r = &res->records[i];
        note_origin(s, at, r);
        s->msgs[s->msg_count++] = (struct flv_msg){.key = r->key,
                                                   .value = r->value,
                                                   .has_key = r->has_key,
                                                   .partition = -1};
    }
    s->result.counts.passed += res->passed;
    s->result.counts.filtered += res->filtered;
    return FLV_OK;
}

/* Of the records that did not fail: what came to a step and did not come to
 * the next one was filtered. Those that fail are counted when they are
 * disposed of, once, however often they are tried. */
static void count_steps(struct flv_smart *s, const struct flv_sm_result *res)
{
    size_t count = flv_sm_chain_steps(s->chain);
    uint32_t came[FLV_SM_STEPS_MAX + 1];
    memcpy(came, res->reached, sizeof(res->reached));
    came[count] = res->passed;
    for (size_t i = 0; i < res->failure_count; i++) {
        for (uint32_t k = 0; k <= res->failures[i].step; k++) {
            came[k]--;
        }
    }
    for (size_t k = 0; k < count; k++) {
        assert(came[k] >= came[k + 1]);
        s->each[k].in += came[k];
        s->each[k].passed += came[k + 1];
        s->each[k].filtered += came[k] - came[k + 1];
    }
}

static bool copy(struct flv_smart *s, struct flv_slice *slice)
{
    if (slice->len == 0) {
        return true;
    }
    const void *p = flv_arena_copy(&s->arena, slice->data, slice->len);
    *slice = flv_slice(p, slice->len);
    return p != NULL;
}

/* The next call takes back what the last one lent. */
static flv_rc keep_borrowed(struct flv_smart *s, struct flv_err *err)
{
    for (; s->borrowed < s->msg_count; s->borrowed++) {
        struct flv_msg *m = &s->msgs[s->borrowed];
        if (!copy(s, &m->key) || !copy(s, &m->value)) {
            return flv_fail(
                err, flv_arena_full(&s->arena) ? FLV_E_LIMIT : FLV_E_NOMEM,
                "no memory for what the SmartModules made of one "
                "batch (at most %zu bytes)",
                FLV__SMART_BYTES_MAX);
        }
    }
    return FLV_OK;
}

/* --- calls ------------------------------------------------------------------
 */

/* When the record was made, where a topic tells; else 0. */
static int64_t time_of(const struct flv_smart *s, uint32_t i)
{
    const int64_t *times = s->in->timestamps;
    return times != NULL && times[i] > 0 ? times[i] : 0;
}

static flv_rc call(struct flv_smart *s,
                   uint32_t at,
                   uint32_t count,
                   struct flv_sm_result *res,
                   struct flv_err *err)
{
    flv_rc rc = keep_borrowed(s, err);
    flv_buf_reset(&s->section);
    for (uint32_t i = at; rc == FLV_OK && i < at + count; i++) {
        const struct flv_msg *m = &s->in->msgs[i];
        rc = flv_sm_section_add(&s->section, m->has_key, m->key, m->value,
                                time_of(s, i) - time_of(s, at));
        if (rc != FLV_OK) {
            return flv_fail(err, rc, "no memory for a batch of %u records",
                            count);
        }
    }
    if (rc != FLV_OK) {
        return rc;
    }
    const struct flv_sm_input in = {
        .section = flv_buf_slice(&s->section),
        .base_offset = s->in->offsets != NULL ? s->in->offsets[at]
                                              : (int64_t)number_of(s, at),
        .base_timestamp_ms =
            s->in->timestamps != NULL ? time_of(s, at) : flv_clock_wall_ms(),
        .stop = &s->hurry,
    };
    rc = flv_sm_chain_run(s->chain, &in, s->stop, res, err);
    if (rc == FLV_OK) {
        assert(res->in == res->passed + res->filtered + res->failed);
        assert(res->in <= count && (res->in > 0 || atomic_load(&s->hurry)));
        assert(res->failed == res->failure_count);
    }
    return rc;
}

/* --- policies ---------------------------------------------------------------
 */

static void complain(struct flv_smart *s,
                     uint32_t at,
                     const struct flv_sm_failure *f,
                     enum flv_policy_kind kind)
{
    struct flv__complaint *c = &s->complaints[f->step];
    uint64_t now = flv_clock_mono_ms();
    char name[NAME_MAX_BYTES];
    if (now < c->next_ms) {
        c->hidden++;
        return;
    }
    flv_log_warn(TARGET, "a record failed",
                 FLV_KV_STR("record", name_of(s, at, name)),
                 FLV_KV_U64("stage", (uint64_t)f->step + 1),
                 FLV_KV_STR("module", info_of(s, f->step).name),
                 FLV_KV_STR("cause", flv_sm_cause_name(f->cause)),
                 FLV_KV_STR("error", f->text),
                 FLV_KV_STR("policy", flv__policy_name(kind)),
                 FLV_KV_U64("failed_before_unlogged", c->hidden));
    c->next_ms = now + COMPLAINT_MS;
    c->hidden = 0;
}

static void halt_at(struct flv_smart *s,
                    uint32_t at,
                    const struct flv_sm_failure *f,
                    const char *why)
{
    struct flv_err err = {0};
    char name[NAME_MAX_BYTES];
    (void)flv_fail(&err, FLV_E_INVALID,
                   "record %s failed in stage %u (%s%s): %s",
                   name_of(s, at, name), f->step + 1,
                   flv_sm_cause_name(f->cause), why, f->text);
    halt(s, &err);
}

static flv_rc write_letter(struct flv_smart *s,
                           uint32_t at,
                           const struct flv_sm_failure *f,
                           struct flv_buf *b)
{
    const struct flv_msg *m = &s->in->msgs[at];
    struct flv_sm_module_info info = info_of(s, f->step);
    const struct flv_letter_facts facts = {
        .connector = s->conf.name,
        .type = s->conf.type,
        .topic = s->conf.origins ? NULL : s->conf.plan->topics[FLV_LANE_TOPIC],
        .stage = (size_t)f->step + 1,
        .module = info.name,
        .hash = info.hash,
        .kind = flv_sm_kind_name(info.kind),
        .cause = flv_sm_cause_name(f->cause),
        .text = f->text,
        .hint = {.data = f->hint.data,
                 .len = f->hint.len < HINT_MAX ? f->hint.len : HINT_MAX},
        .number = number_of(s, at),
        .of_topic = s->in->topic,
        .partition = s->in->partition,
        .offset = s->in->offsets != NULL ? s->in->offsets[at] : 0,
        .time_ms = flv_clock_wall_ms(),
        .has_key = m->has_key,
        .key = m->key,
        .value = m->value,
    };
    return flv__letter_write(b, &facts);
}

static flv_rc add_letter(struct flv_smart *s,
                         uint32_t at,
                         const struct flv_sm_failure *f,
                         uint32_t lane)
{
    const struct flv_msg *m = &s->in->msgs[at];
    struct flv_buf b;
    void *array = s->letters;
    flv_rc rc =
        grow(&array, &s->letter_cap, s->letter_count + 1, sizeof(*s->letters));
    s->letters = array;
    flv_buf_init(&b, FLV_BATCH_BYTES_MAX - m->key.len);
    if (rc == FLV_OK) {
        rc = write_letter(s, at, f, &b);
    }
    /* The key belongs to the batch, which stays as long. */
    struct flv_letter l = {.lane = lane,
                           .msg = {.key = m->key,
                                   .has_key = m->has_key,
                                   .value = flv_buf_slice(&b),
                                   .partition = -1}};
    if (rc == FLV_OK && !copy(s, &l.msg.value)) {
        rc = FLV_E_LIMIT;
    }
    if (rc == FLV_OK) {
        s->letters[s->letter_count++] = l;
    }
    flv_buf_deinit(&b);
    return rc;
}

static void set_fate(struct flv_smart *s, uint32_t at, enum flv_stage_fate fate)
{
    if (s->conf.origins) {
        s->fates[at] = (uint8_t)fate;
    }
}

/* The record has failed for good. */
static void
dispose(struct flv_smart *s, uint32_t at, const struct flv_sm_failure *f)
{
    const struct flv_policy *p = &s->conf.plan->steps[f->step].policy;
    s->result.counts.failed++;
    set_fate(s, at,
             p->kind == FLV_POLICY_DISCARD ? FLV_STAGED_DISCARDED
                                           : FLV_STAGED_FAILED);
    for (uint32_t k = 0; k < f->step; k++) {
        s->each[k].in++;
        s->each[k].passed++;
    }
    s->each[f->step].in++;
    s->each[f->step].failed++;
    switch (p->kind) {
    case FLV_POLICY_HALT:
        halt_at(s, at, f, "");
        return;
    case FLV_POLICY_RETRY:
        halt_at(s, at, f, ", retried");
        return;
    case FLV_POLICY_DISCARD:
        s->result.counts.discarded++;
        s->each[f->step].discarded++;
        break;
    case FLV_POLICY_DEAD_LETTER:
        if (add_letter(s, at, f, p->lane) != FLV_OK) {
            halt_at(s, at, f, ", and too large for a dead letter");
            return;
        }
        break;
    }
    complain(s, at, f, p->kind);
}

/* Runs the record again as often as the policy of the step that failed says,
 * whichever that is each time. */
static void
fail(struct flv_smart *s, uint32_t at, const struct flv_sm_failure *first)
{
    const struct flv_plan_step *steps = s->conf.plan->steps;
    struct flv_sm_failure f = *first;
    for (uint32_t tries = 0; steps[f.step].policy.kind == FLV_POLICY_RETRY &&
                             tries < steps[f.step].policy.retries;
         tries++) {
        struct flv_sm_result res;
        struct flv_err err = {0};
        complain(s, at, &f, FLV_POLICY_RETRY);
        flv_rc rc = call(s, at, 1, &res, &err);
        if (rc == FLV_OK && res.in > 0 && res.failed == 0) {
            rc = take(s, at, &res, &err);
            if (rc == FLV_OK) {
                count_steps(s, &res);
                return;
            }
        }
        if (rc != FLV_OK) {
            halt_by_host(s, at, &err);
            return;
        }
        if (res.in == 0) {
            break; /* time is up: it failed as it did the last time */
        }
        f = res.failures[0];
    }
    dispose(s, at, &f);
}

/* --- a batch ----------------------------------------------------------------
 */

static void reset(struct flv_smart *s)
{
    flv_arena_reset(&s->arena);
    if (s->arena.used > KEPT) {
        flv_arena_deinit(&s->arena);
        flv_arena_init(&s->arena, BLOCK, FLV__SMART_BYTES_MAX);
    }
    if (s->section.cap > KEPT) {
        flv_buf_deinit(&s->section);
        flv_buf_init(&s->section, SECTION_MAX);
    }
    s->msg_count = s->borrowed = s->letter_count = 0;
    s->result = (struct flv_stage_result){0};
}

/* A letter takes a third more than its record, and may not fit anywhere. */
static bool has_huge(const struct flv_batch *in)
{
    const size_t max = FLV_BATCH_BYTES_MAX - LETTER_FRAME_MAX;
    for (uint32_t i = 0; i < in->count && in->bytes > max / 2; i++) {
        const struct flv_msg *m = &in->msgs[i];
        if ((m->key.len + m->value.len) / 3 * 4 + m->key.len > max) {
            return true;
        }
    }
    return false;
}

/* The heap gave out among failures of a batch whose later records have run:
 * nothing of it is handed over, so nothing of it is called safe. What is
 * counted is one record, the first. */
static uint32_t give_up_all(struct flv_smart *s)
{
    s->msg_count = s->borrowed = s->letter_count = 0;
    s->result.counts = (struct flv_stage_counts){.failed = 1};
    return 1;
}

/* The records of one call, in order; returns where the next one begins. */
static uint32_t
digest(struct flv_smart *s, uint32_t at, const struct flv_sm_result *res)
{
    struct flv_err err = {0};
    uint32_t in = res->in; /* a retry takes the result back */
    if (take(s, at, res, &err) != FLV_OK) {
        halt_by_host(s, at, &err);
        return at + 1;
    }
    count_steps(s, res);
    size_t count = res->failure_count;
    for (size_t i = 0; i < count && s->result.halt.rc == FLV_OK; i++) {
        const struct flv_sm_failure *f = &res->failures[i];
        assert(!s->stop || (count == 1 && f->input == in - 1));
        fail(s, at + f->input, f);
    }
    return s->result.halt.rc != FLV_OK && !s->stop ? give_up_all(s) : at + in;
}

static bool clear_fates(struct flv_smart *s)
{
    void *array = s->fates;
    flv_rc rc = grow(&array, &s->fate_cap, s->in->count, sizeof(*s->fates));
    s->fates = array;
    if (rc != FLV_OK) {
        struct flv_err err = {0};
        (void)flv_fail(&err, rc, "out of memory for %u records", s->in->count);
        halt_by_host(s, 0, &err);
        return false;
    }
    memset(s->fates, 0, s->in->count * sizeof(*s->fates));
    return true;
}

void flv__smart_run(struct flv_smart *s)
{
    struct flv_stage_result *r = &s->result;
    uint32_t at = 0;
    reset(s);
    s->stop = s->stop_at_failure || has_huge(s->in);
    if (s->conf.origins && !clear_fates(s)) {
        at++;
    }
    while (at < s->in->count && r->halt.rc == FLV_OK &&
           !atomic_load(&s->hurry)) {
        struct flv_sm_result res;
        struct flv_err err = {0};
        uint32_t count = s->single ? 1 : s->in->count - at;
        if (call(s, at, count, &res, &err) != FLV_OK) {
            halt_by_host(s, at, &err);
            at++;
            break;
        }
        at = digest(s, at, &res);
    }
    r->counts.in = at;
    r->msgs = s->msgs;
    r->count = s->msg_count;
    r->origins = s->origins;
    r->fates = s->fates;
    r->letters = s->letters;
    r->letter_count = s->letter_count;
    assert(flv__stage_adds_up(&r->counts));
}

void flv__smart_run_init(struct flv_smart *s)
{
    flv_arena_init(&s->arena, BLOCK, FLV__SMART_BYTES_MAX);
    flv_buf_init(&s->section, SECTION_MAX);
}

void flv__smart_run_deinit(struct flv_smart *s)
{
    flv_arena_deinit(&s->arena);
    flv_buf_deinit(&s->section);
    flv_free(s->msgs);
    flv_free(s->letters);
    flv_free(s->origins);
    flv_free(s->fates);
}
