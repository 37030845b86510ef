#include "smartmodule/chain.h"

#include "base/arena.h"
#include "base/mem.h"
#include "smartmodule/module_priv.h"
#include "smartmodule/step.h"
#include "wire/record.h"
#include <assert.h>
#include <stdio.h>

#define COUNT_SIZE 4
/* What the outputs of one call may take together when they are copied. */
#define RESULT_BYTES_MAX ((size_t)256 << 20)
#define RESULT_RECORDS_MAX ((size_t)4 << 20)
#define HINT_BYTES_MAX 4096
/* What is kept from one call to the next. */
#define KEPT_BYTES ((size_t)4 << 20)
#define INPUT_BYTES_MAX ((size_t)INT32_MAX / 2)

struct flv_sm_chain {
    struct flv__step steps[FLV_SM_STEPS_MAX];
    size_t count;
    bool unsaved;
    bool dead, canceled;             /* state was lost, why */
    struct flv__sm_records records;  /* of the result */
    struct flv_sm_failure *failures; /* owned */
    size_t failure_count, failure_cap;
    struct flv_buf input;  /* a copy that failures and rewriting need */
    struct flv_buf piece;  /* some input records as a section */
    struct flv_arena kept; /* outputs and hints of a replay */
};

/* --- life --------------------------------------------------------------- */

static void
prefix(const struct flv_sm_chain *c, size_t step, char *out, size_t size)
{
    const struct flv__step *s = &c->steps[step];

    snprintf(out, size, "%s %s", flv_sm_kind_name(s->kind), s->module->name);
}

/* A fault outside of any batch. */
static flv_rc fail_step(const struct flv_sm_chain *c,
                        size_t step,
                        const struct flv__fault *f,
                        struct flv_err *err)
{
    char name[80];

    prefix(c, step, name, sizeof(name));
    return flv_fail(err,
                    f->canceled ? FLV_E_CANCELED
                    : f->host   ? FLV_E_NOMEM
                                : FLV_E_INVALID,
                    "%s: %s", name, f->text);
}

static flv_rc start_steps(struct flv_sm_chain *c,
                          const struct flv_sm_step *steps,
                          size_t count,
                          struct flv_sm_making *making,
                          struct flv_err *err)
{
    struct flv__fault f;

    for (size_t i = 0; i < count; i++) {
        flv_rc rc = flv__step_init(&c->steps[i], &steps[i], err);

        c->count++;
        if (rc != FLV_OK) {
            flv_err_prefix(err, "%s %.80s", flv_sm_kind_name(c->steps[i].kind),
                           c->steps[i].module->name);
            return rc;
        }
        c->steps[i].cancel = making->cancel;
        if (!flv__step_ready(&c->steps[i], &f)) {
            making->memory_wanted = f.memory_wanted;
            making->memory_max = c->steps[i].budget.memory_bytes;
            return fail_step(c, i, &f, err);
        }
    }
    return FLV_OK;
}

flv_rc flv_sm_chain_make(struct flv_sm_chain **out,
                         const struct flv_sm_step *steps,
                         size_t count,
                         struct flv_sm_making *making,
                         struct flv_err *err)
{
    struct flv_sm_making plain = {.cancel = NULL};
    struct flv_sm_chain *c;
    flv_rc rc;

    making = making != NULL ? making : &plain;
    making->memory_wanted = making->memory_max = 0;

    if (count > FLV_SM_STEPS_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "chain of %zu modules, at most %d",
                        count, FLV_SM_STEPS_MAX);
    }
    c = flv_zalloc(1, sizeof(*c));
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "chain of %zu modules", count);
    }
    flv_buf_init(&c->input, INPUT_BYTES_MAX);
    flv_buf_init(&c->piece, INPUT_BYTES_MAX);
    flv_arena_init(&c->kept, 65536, RESULT_BYTES_MAX);
    rc = start_steps(c, steps, count, making, err);
    if (rc != FLV_OK) {
        flv_sm_chain_destroy(c);
        return rc;
    }
    *out = c;
    return FLV_OK;
}

void flv_sm_chain_destroy(struct flv_sm_chain *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        flv__step_deinit(&c->steps[i]);
    }
    flv__sm_records_deinit(&c->records);
    flv_free(c->failures);
    flv_buf_deinit(&c->input);
    flv_buf_deinit(&c->piece);
    flv_arena_deinit(&c->kept);
    flv_free(c);
}

void flv_sm_chain_set_cancel(struct flv_sm_chain *c, const atomic_bool *cancel)
{
    for (size_t i = 0; i < c->count; i++) {
        flv__step_set_cancel(&c->steps[i], cancel);
    }
}

void flv_sm_chain_set_unsaved(struct flv_sm_chain *c, bool unsaved)
{
    c->unsaved = unsaved;
    for (size_t i = 0; i < c->count; i++) {
        c->steps[i].unsaved = unsaved;
        if (unsaved) {
            flv_buf_deinit(&c->steps[i].image);
            flv_buf_init(&c->steps[i].image, c->steps[i].budget.memory_bytes);
        }
    }
}

size_t flv_sm_chain_steps(const struct flv_sm_chain *c)
{
    return c->count;
}

const struct flv_sm_module *flv_sm_chain_module(const struct flv_sm_chain *c,
                                                size_t step)
{
    assert(step < c->count);
    return c->steps[step].module;
}

void flv_sm_chain_stats(const struct flv_sm_chain *c,
                        size_t step,
                        struct flv_sm_stats *out)
{
    assert(step < c->count);
    *out = c->steps[step].stats;
}

size_t flv_sm_chain_memory(const struct flv_sm_chain *c)
{
    size_t bytes = c->input.cap + c->piece.cap + c->kept.used +
                   c->records.cap * sizeof(*c->records.at) +
                   c->failure_cap * sizeof(*c->failures);

    for (size_t i = 0; i < c->count; i++) {
        bytes += flv__step_memory(&c->steps[i]);
    }
    return bytes;
}

const char *flv_sm_cause_name(enum flv_sm_cause cause)
{
    static const char *const names[FLV_SM_CAUSE_COUNT] = {
        [FLV_SM_USER_ERROR] = "user-error",
        [FLV_SM_CODE] = "code",
        [FLV_SM_TRAP] = "trap",
        [FLV_SM_FUEL] = "fuel",
        [FLV_SM_DEADLINE] = "deadline",
        [FLV_SM_MEMORY] = "memory",
        [FLV_SM_OUTPUT] = "output",
        [FLV_SM_BROKEN] = "broken",
    };

    assert(cause < FLV_SM_CAUSE_COUNT);
    return names[cause];
}

/* --- one pass ----------------------------------------------------------- */

/* Input through all steps. reached[k] is how many input records came to step
 * k, behind the first array_map as many as came to that one; reached[count]
 * are those that passed. */
static bool pass(struct flv_sm_chain *c,
                 struct flv__step_input in,
                 struct flv__sm_records *to,
                 struct flv_slice *section,
                 uint32_t *reached,
                 size_t *at,
                 struct flv__fault *f)
{
    struct flv__sm_output out;
    uint32_t came = in.count;

    for (*at = 0; *at < c->count; (*at)++) {
        struct flv__step *s = &c->steps[*at];
        bool last = *at + 1 == c->count;

        came = in.lost ? came : in.count;
        reached[*at] = came;
        in.lost = in.lost || s->kind == FLV_SM_ARRAY_MAP;
        if (!flv__step_run(s, &in, last ? to : NULL, &out, f)) {
            return false;
        }
        in.section = out.section;
        in.count = out.walk.count;
    }
    reached[c->count] = in.lost ? came : in.count;
    *section = in.section;
    return true;
}

/* Input records first..first+count-1. */
static struct flv__step_input input_of(const struct flv_sm_input *in,
                                       struct flv_slice section,
                                       uint32_t first,
                                       uint32_t count)
{
    return (struct flv__step_input){
        .section = section,
        .count = count,
        .base_offset = in->base_offset,
        .base_timestamp_ms = in->base_timestamp_ms,
        .single = count == 1,
        .deltas_begin = first,
        .deltas_end = first + count,
    };
}

/* None of these `count` records failed. */
static void add_counts(struct flv_sm_result *r,
                       const uint32_t *reached,
                       size_t steps,
                       uint32_t count)
{
    r->in += count;
    r->passed += reached[steps];
    r->filtered += count - reached[steps];
    for (size_t i = 0; i < steps; i++) {
        r->reached[i] += reached[i];
    }
}

static bool loses_origin(const struct flv_sm_chain *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->steps[i].kind == FLV_SM_ARRAY_MAP) {
            return true;
        }
    }
    return false;
}

/* The whole batch at once. False: replay it (or f->host); *at is where it
 * failed then. */
static bool run_batch(struct flv_sm_chain *c,
                      const struct flv_sm_input *in,
                      struct flv_slice section,
                      uint32_t count,
                      struct flv_sm_result *r,
                      size_t *at,
                      struct flv__fault *f)
{
    struct flv__step_input first = input_of(in, section, 0, count);
    struct flv_slice out;
    uint32_t reached[FLV_SM_STEPS_MAX + 1] = {0};

    *at = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!flv__step_begin(&c->steps[i], f)) {
            return false;
        }
    }
    c->records.origin_known = count == 1 || loses_origin(c);
    c->records.origin = count == 1 ? 0 : FLV_SM_NO_ORIGIN;
    if (!pass(c, first, &c->records, &out, reached, at, f)) {
        if (!f->host) {
            memcpy(r->reached, reached, sizeof(r->reached));
        }
        return false;
    }
    add_counts(r, reached, c->count, count);
    return true;
}

/* --- replay ------------------------------------------------------------- */

static flv_rc add_failure(struct flv_sm_chain *c,
                          uint32_t input,
                          size_t step,
                          const struct flv__fault *f,
                          const struct flv_sm_record *record)
{
    struct flv_sm_failure *to;
    size_t hint_len =
        f->hint.len < HINT_BYTES_MAX ? f->hint.len : HINT_BYTES_MAX;
    char name[80];
    void *hint = NULL;

    if (c->failure_count == c->failure_cap) {
        size_t cap = c->failure_cap > 0 ? c->failure_cap * 2 : 8;

        to = flv_realloc(c->failures, cap * sizeof(*to));
        if (to == NULL) {
            return FLV_E_NOMEM;
        }
        c->failures = to;
        c->failure_cap = cap;
    }
    if (hint_len > 0) {
        hint = flv_arena_copy(&c->kept, f->hint.data, hint_len);
    }
    to = &c->failures[c->failure_count++];
    *to = (struct flv_sm_failure){
        .input = input,
        .step = (uint32_t)step,
        .cause = f->cause,
        .memory_wanted = f->memory_wanted,
        .memory_max =
            f->memory_wanted > 0 ? c->steps[step].budget.memory_bytes : 0,
        .hint = flv_slice(hint, hint != NULL ? hint_len : 0),
        .has_key = record->has_key,
        .key = record->key,
        .value = record->value,
        .timestamp_ms = record->timestamp_ms,
    };
    prefix(c, step, name, sizeof(name));
    snprintf(to->text, sizeof(to->text), "%s: %.*s", name,
             (int)(sizeof(to->text) - strlen(name) - 3), f->text);
    return FLV_OK;
}

/* Copies what input records became: one (its position), or several. */
static bool keep(struct flv_sm_chain *c,
                 struct flv_slice section,
                 uint32_t origin,
                 int64_t base_timestamp_ms,
                 struct flv__fault *f)
{
    uint32_t count = flv_get_u32(section.data);
    struct flv__sm_walk walk;
    struct flv_slice copy;
    void *p;

    if (count == 0) {
        return true;
    }
    p = flv_arena_copy(&c->kept, section.data, section.len);
    if ((p == NULL && flv_arena_full(&c->kept)) ||
        c->records.len + count > RESULT_RECORDS_MAX) {
        return flv__fault(f, FLV_SM_OUTPUT,
                          "does not fit the %zu MiB and %zu records of one "
                          "batch's outputs",
                          RESULT_BYTES_MAX >> 20, RESULT_RECORDS_MAX);
    }
    copy = flv_slice(p, section.len);
    c->records.origin_known = origin != FLV_SM_NO_ORIGIN || loses_origin(c);
    c->records.origin = origin;
    c->records.base_timestamp_ms = base_timestamp_ms;
    if (p == NULL || flv__sm_walk(&copy, &c->records, &walk, NULL) != FLV_OK) {
        flv__fault(f, FLV_SM_MEMORY, "the host is out of memory");
        f->host = true;
        return false;
    }
    return true;
}

/* Nothing of a failed record stays: state goes back, and a module that did
 * not end by itself is replaced. */
static bool undo(struct flv_sm_chain *c,
                 size_t failed,
                 enum flv_sm_cause cause,
                 struct flv__fault *f)
{
    for (size_t i = 0; i < c->count; i++) {
        if (!flv__step_restore(&c->steps[i], f)) {
            return false;
        }
    }
    if (failed < c->count && cause != FLV_SM_USER_ERROR &&
        cause != FLV_SM_CODE) {
        flv__step_recycle(&c->steps[failed]);
    }
    return true;
}

static bool save(struct flv_sm_chain *c, struct flv__fault *f)
{
    for (size_t i = 0; i < c->count; i++) {
        flv__step_recycle_past_mark(&c->steps[i]);
        if (!flv__step_save(&c->steps[i], f)) {
            return false;
        }
    }
    return true;
}

/* One input record has failed at a step (which of them `reached` tells). */
static bool fail_one(struct flv_sm_chain *c,
                     uint32_t index,
                     const struct flv_sm_record *record,
                     size_t at,
                     struct flv_sm_result *r,
                     struct flv__fault *f)
{
    enum flv_sm_cause cause = f->cause;

    at = at < c->count ? at : c->count - 1;
    if (add_failure(c, index, at, f, record) != FLV_OK) {
        f->host = true;
        return false;
    }
    r->in++;
    r->failed++;
    return undo(c, at, cause, f);
}

/* Failures hand their record out: the result must not borrow from the caller.
 */
static bool keep_input(struct flv_sm_chain *c,
                       struct flv_slice section,
                       struct flv__fault *f)
{
    if (c->input.data == section.data) {
        return true;
    }
    flv_buf_reset(&c->input);
    if (flv_buf_add(&c->input, section.data, section.len) != FLV_OK) {
        flv__fault(f, FLV_SM_MEMORY, "the host is out of memory");
        f->host = true;
        return false;
    }
    return true;
}

static struct flv_sm_record record_of(const struct flv_sm_input *in,
                                      const struct flv_wire_record *w)
{
    return (struct flv_sm_record){
        .has_key = w->has_key,
        .key = w->key,
        .value = w->value,
        .timestamp_ms = flv__sm_timestamp(in->base_timestamp_ms, w->ts_delta),
    };
}

/* A batch of one record, whose failure needs no second look. The words of the
 * module stay where they are until undo(). */
static bool fail_only(struct flv_sm_chain *c,
                      const struct flv_sm_input *in,
                      struct flv_slice section,
                      size_t at,
                      struct flv_sm_result *r,
                      struct flv__fault *f)
{
    struct flv_slice rest;
    struct flv_wire_record w;
    struct flv_sm_record record;
    flv_rc rc;

    c->records.len = 0;
    if (!keep_input(c, section, f)) {
        return false;
    }
    rest = flv_slice(c->input.data + COUNT_SIZE, c->input.len - COUNT_SIZE);
    rc = flv_wire_record_get(&rest, &w, NULL);
    assert(rc == FLV_OK); /* checked when the call began */
    (void)rc;
    record = record_of(in, &w);
    return fail_one(c, 0, &record, at, r, f);
}

/* Where a replay is, and how many records it tries at once: more behind such
 * that went well, half of those that did not, down to one, whose outcome
 * counts. Attempts in vain have a budget of their own. */
struct replay {
    uint32_t next;         /* input record */
    struct flv_slice rest; /* from there on */
    uint32_t piece;
    uint32_t bad; /* what a module complained of; below next: nothing */
    uint64_t wasted, wasted_max;
    bool failed, full;
};

/* What an attempt costs beside fuel and the bytes that it copies. */
#define ATTEMPT_COST 100000

static uint64_t fuel_used(const struct flv_sm_chain *c)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < c->count; i++) {
        sum += c->steps[i].stats.fuel;
    }
    return sum;
}

/* The next attempt, after one of `n` > 1 records failed. */
static void split(struct replay *p,
                  const struct flv_sm_input *in,
                  uint32_t n,
                  const struct flv__fault *f)
{
    int64_t bad = f->offset - in->base_offset;

    if (f->cause == FLV_SM_FUEL || f->cause == FLV_SM_DEADLINE ||
        f->cause == FLV_SM_MEMORY || f->cause == FLV_SM_OUTPUT) {
        /* Too much for one record: each needs its own. */
        p->wasted = p->wasted_max;
    }
    if (f->offset >= 0 && bad >= p->next && bad < (int64_t)p->next + n) {
        p->bad = (uint32_t)bad;
        p->piece = p->bad > p->next ? p->bad - p->next : 1;
    } else {
        p->piece = n > 1 ? n / 2 : 1;
    }
    if (p->wasted >= p->wasted_max) {
        p->piece = 1;
    }
}

/* Behind `n` records whose outcome is known. */
static void advance(struct replay *p, struct flv_slice behind, uint32_t n)
{
    p->next += n;
    p->rest = behind;
    if (p->next == p->bad || p->failed || p->wasted >= p->wasted_max) {
        p->piece = 1;
    } else {
        p->piece = 2 * n;
    }
}

/* The next records as a section; where they end, and the first of them. */
static bool cut(struct flv_sm_chain *c,
                const struct replay *p,
                uint32_t n,
                struct flv_slice *behind,
                struct flv_wire_record *first,
                struct flv__fault *f)
{
    struct flv_slice rest = p->rest;
    flv_rc rc = flv_wire_record_get(&rest, first, NULL);

    for (uint32_t i = 1; i < n && rc == FLV_OK; i++) {
        struct flv_wire_record w;

        rc = flv_wire_record_get(&rest, &w, NULL);
    }
    assert(rc == FLV_OK); /* checked when the call began */
    *behind = rest;
    flv_buf_reset(&c->piece);
    rc = flv_buf_add_u32(&c->piece, n);
    rc = rc == FLV_OK ? flv_buf_add(&c->piece, p->rest.data,
                                    (size_t)(rest.data - p->rest.data))
                      : rc;
    if (rc != FLV_OK) {
        flv__fault(f, FLV_SM_MEMORY, "the host is out of memory");
        f->host = true;
    }
    return rc == FLV_OK;
}

/* The next attempt; false only for the host's own trouble. */
static bool run_piece(struct flv_sm_chain *c,
                      const struct flv_sm_input *in,
                      struct replay *p,
                      struct flv_sm_result *r,
                      struct flv__fault *f)
{
    const uint32_t n = p->piece;
    uint64_t fuel = fuel_used(c);
    struct flv_wire_record first;
    struct flv_slice behind, out;
    struct flv__step_input input;
    struct flv_sm_record record;
    uint32_t reached[FLV_SM_STEPS_MAX + 1] = {0};
    size_t at;

    if (!cut(c, p, n, &behind, &first, f) || !save(c, f)) {
        return false;
    }
    input = input_of(in, flv_buf_slice(&c->piece), p->next, n);
    if (pass(c, input, NULL, &out, reached, &at, f) &&
        keep(c, out, n == 1 ? p->next : FLV_SM_NO_ORIGIN, in->base_timestamp_ms,
             f)) {
        add_counts(r, reached, c->count, n);
        p->failed = false;
        advance(p, behind, n);
        return true;
    }
    if (f->host) {
        return false;
    }
    if (n > 1) {
        p->wasted += fuel_used(c) - fuel + c->piece.len + ATTEMPT_COST;
        split(p, in, n, f);
        return undo(c, at, f->cause, f);
    }
    if (at == c->count && r->in > 0 && in->stop != NULL) {
        p->full = true; /* of others' outputs: its turn is the next call */
        return undo(c, at, f->cause, f);
    }
    for (size_t i = 0; i < c->count; i++) {
        r->reached[i] += reached[i];
    }
    record = record_of(in, &first);
    p->failed = true;
    if (!fail_one(c, p->next, &record, at, r, f)) {
        return false;
    }
    advance(p, behind, 1);
    return true;
}

static bool replay(struct flv_sm_chain *c,
                   const struct flv_sm_input *in,
                   struct flv_slice section,
                   uint32_t count,
                   bool stop_at_failure,
                   struct flv_sm_result *r,
                   struct flv__fault *f)
{
    struct replay p = {.piece = count};

    *r = (struct flv_sm_result){.replayed = true};
    c->records.len = 0;
    for (size_t i = 0; i < c->count; i++) {
        p.wasted_max = c->steps[i].budget.fuel > p.wasted_max
                           ? c->steps[i].budget.fuel
                           : p.wasted_max;
    }
    split(&p, in, count, f);
    for (size_t i = 0; i < c->count; i++) {
        struct flv__step *s = &c->steps[i];

        flv__step_recycle(s);
        s->stats.replays++;
        if (!flv__step_restore(s, f)) {
            return false;
        }
    }
    if (!keep_input(c, section, f)) {
        return false;
    }
    p.rest = flv_slice(c->input.data + COUNT_SIZE, c->input.len - COUNT_SIZE);
    while (p.next < count && !p.full && !(p.failed && stop_at_failure) &&
           !(in->stop != NULL && atomic_load(in->stop))) {
        p.piece = p.piece < count - p.next ? p.piece : count - p.next;
        if (!run_piece(c, in, &p, r, f)) {
            return false;
        }
    }
    return true;
}

/* --- the call ----------------------------------------------------------- */

/* Offset deltas become positions: that is the offset which consumers see, and
 * how outputs tell where they come from. */
static flv_rc renumber(struct flv_sm_chain *c,
                       struct flv_slice *section,
                       uint32_t count,
                       struct flv_err *err)
{
    struct flv_slice rest =
        flv_slice(section->data + COUNT_SIZE, section->len - COUNT_SIZE);
    flv_rc rc;

    flv_buf_reset(&c->input);
    rc = flv_buf_add_u32(&c->input, count);
    for (uint32_t i = 0; i < count && rc == FLV_OK; i++) {
        struct flv_wire_record r;

        rc = flv_wire_record_get(&rest, &r, NULL);
        assert(rc == FLV_OK);
        r.offset_delta = i;
        rc = flv_wire_record_put(&c->input, &r);
    }
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "batch of %u records", count);
    }
    *section = flv_buf_slice(&c->input);
    return FLV_OK;
}

static flv_rc check_input(struct flv_sm_chain *c,
                          const struct flv_sm_input *in,
                          struct flv_slice *section,
                          uint32_t *count,
                          struct flv_err *err)
{
    struct flv_slice rest = in->section;
    struct flv__sm_walk walk;
    flv_rc rc;

    if (in->section.len > INPUT_BYTES_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "batch of %zu bytes for SmartModules",
                        in->section.len);
    }
    rc = flv__sm_walk(&rest, c->count == 0 ? &c->records : NULL, &walk, err);
    if (rc != FLV_OK || rest.len > 0) {
        if (rc == FLV_OK) {
            rc = flv_fail(err, FLV_E_CORRUPT, "%zu bytes behind its records",
                          rest.len);
        }
        flv_err_prefix(err, "batch at offset %lld for SmartModules",
                       (long long)in->base_offset);
        return rc;
    }
    if (walk.count > FLV_SM_RECORDS_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "batch of %u records for SmartModules, at most %d",
                        walk.count, FLV_SM_RECORDS_MAX);
    }
    *section = in->section;
    *count = walk.count;
    return walk.in_place ? FLV_OK : renumber(c, section, walk.count, err);
}

/* One large batch must not hold its memory for ever. */
static void trim(struct flv_sm_chain *c)
{
    if (c->kept.used > KEPT_BYTES) {
        flv_arena_deinit(&c->kept);
    }
    if (c->input.cap > KEPT_BYTES) {
        flv_buf_deinit(&c->input);
        flv_buf_init(&c->input, INPUT_BYTES_MAX);
    }
    if (c->piece.cap > KEPT_BYTES) {
        flv_buf_deinit(&c->piece);
        flv_buf_init(&c->piece, INPUT_BYTES_MAX);
    }
    if (c->records.cap > FLV_SM_RECORDS_MAX) {
        flv__sm_records_deinit(&c->records);
    }
}

static void reset(struct flv_sm_chain *c, const struct flv_sm_input *in)
{
    trim(c);
    c->records.len = 0;
    c->records.base_timestamp_ms = in->base_timestamp_ms;
    c->records.origin_known = false;
    c->failure_count = 0;
    flv_arena_reset(&c->kept);
}

/* Batch, then what a failure asks for; false: the host's own trouble. */
static bool run_all(struct flv_sm_chain *c,
                    const struct flv_sm_input *in,
                    struct flv_slice section,
                    uint32_t count,
                    bool stop_at_failure,
                    struct flv_sm_result *r,
                    struct flv__fault *f)
{
    size_t at;

    if (run_batch(c, in, section, count, r, &at, f)) {
        return true;
    }
    if (f->host || c->unsaved) {
        return false;
    }
    return count == 1 && flv__step_is_final(&c->steps[at], f)
               ? fail_only(c, in, section, at, r, f)
               : replay(c, in, section, count, stop_at_failure, r, f);
}

/* Those of a canceled call that had run are its result. */
static flv_rc fail_host(struct flv_sm_chain *c,
                        const struct flv__fault *f,
                        struct flv_err *err)
{
    /* Half a batch has run, or state could not be brought back. */
    c->dead = true;
    c->canceled = f->canceled;
    if (f->canceled) {
        return FLV_E_CANCELED;
    }
    return flv_fail(err, f->host ? FLV_E_NOMEM : FLV_E_POISONED,
                    "SmartModules: %s", f->text);
}

flv_rc flv_sm_chain_run(struct flv_sm_chain *c,
                        const struct flv_sm_input *in,
                        bool stop_at_failure,
                        struct flv_sm_result *out,
                        struct flv_err *err)
{
    struct flv_sm_result r = {0};
    struct flv__fault f = {0};
    struct flv_slice section;
    uint32_t count;
    flv_rc rc;

    if (c->dead) {
        return flv_fail(err, c->canceled ? FLV_E_CANCELED : FLV_E_POISONED,
                        "SmartModules: an earlier batch %s",
                        c->canceled  ? "was ended"
                        : c->unsaved ? "failed"
                                     : "ran out of memory");
    }
    reset(c, in);
    rc = check_input(c, in, &section, &count, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (c->count == 0 || count == 0) {
        r.in = r.passed = count;
    } else if (!run_all(c, in, section, count, stop_at_failure, &r, &f)) {
        rc = fail_host(c, &f, err);
        if (rc != FLV_E_CANCELED) {
            return rc;
        }
    }
    assert(r.in == r.passed + r.filtered + r.failed);
    r.records = c->records.at;
    r.record_count = c->records.len;
    r.failures = c->failures;
    r.failure_count = c->failure_count;
    *out = r;
    return FLV_OK;
}

/* --- looking back ------------------------------------------------------- */

bool flv_sm_chain_wants_look_back(const struct flv_sm_chain *c,
                                  size_t from,
                                  struct flv_sm_look_back *out)
{
    for (size_t i = from; i < c->count; i++) {
        const struct flv__step *s = &c->steps[i];

        if (s->module->has_look_back &&
            (s->look_back_last > 0 || s->look_back_age_ms > 0)) {
            *out = (struct flv_sm_look_back){
                .step = i,
                .last = s->look_back_last,
                .age_ms = s->look_back_age_ms,
            };
            return true;
        }
    }
    return false;
}

flv_rc flv_sm_chain_look_back(struct flv_sm_chain *c,
                              size_t step,
                              struct flv_slice section,
                              struct flv_err *err)
{
    struct flv_sm_input in = {.section = section};
    struct flv__fault f;
    uint32_t count;
    flv_rc rc;

    assert(step < c->count && c->steps[step].module->has_look_back);
    reset(c, &in);
    rc = check_input(c, &in, &section, &count, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (flv__step_look_back(&c->steps[step], section, &f)) {
        return FLV_OK;
    }
    if (f.canceled) {
        c->dead = c->canceled = true;
    }
    return fail_step(c, step, &f, err);
}
