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
    bool dead;                       /* state was lost */
    struct flv__sm_records records;  /* of the result */
    struct flv_sm_failure *failures; /* owned */
    size_t failure_count, failure_cap;
    struct flv_buf input;  /* a copy that failures and rewriting need */
    struct flv_buf single; /* one input record as a section */
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
    return flv_fail(err, f->host ? FLV_E_NOMEM : FLV_E_INVALID, "%s: %s", name,
                    f->text);
}

static flv_rc start_steps(struct flv_sm_chain *c,
                          const struct flv_sm_step *steps,
                          size_t count,
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
        if (!flv__step_ready(&c->steps[i], &f)) {
            return fail_step(c, i, &f, err);
        }
    }
    return FLV_OK;
}

flv_rc flv_sm_chain_create(struct flv_sm_chain **out,
                           const struct flv_sm_step *steps,
                           size_t count,
                           struct flv_err *err)
{
    struct flv_sm_chain *c;
    flv_rc rc;

    if (count > FLV_SM_STEPS_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "chain of %zu modules, at most %d",
                        count, FLV_SM_STEPS_MAX);
    }
    c = flv_zalloc(1, sizeof(*c));
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "chain of %zu modules", count);
    }
    flv_buf_init(&c->input, INPUT_BYTES_MAX);
    flv_buf_init(&c->single, INPUT_BYTES_MAX);
    flv_arena_init(&c->kept, 65536, RESULT_BYTES_MAX);
    rc = start_steps(c, steps, count, err);
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
    flv_buf_deinit(&c->single);
    flv_arena_deinit(&c->kept);
    flv_free(c);
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
    size_t bytes = c->input.cap + c->single.cap + c->kept.used +
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

static struct flv__step_input input_of(const struct flv_sm_input *in,
                                       struct flv_slice section,
                                       uint32_t count,
                                       bool single)
{
    return (struct flv__step_input){
        .section = section,
        .count = count,
        .base_offset = in->base_offset,
        .base_timestamp_ms = in->base_timestamp_ms,
        .single = single,
        .deltas_end = count,
    };
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

/* The whole batch at once. False: replay it (or f->host). */
static bool run_batch(struct flv_sm_chain *c,
                      const struct flv_sm_input *in,
                      struct flv_slice section,
                      uint32_t count,
                      struct flv_sm_result *r,
                      struct flv__fault *f)
{
    struct flv__step_input first = input_of(in, section, count, false);
    struct flv_slice out;
    uint32_t reached[FLV_SM_STEPS_MAX + 1] = {0};
    size_t at;

    for (size_t i = 0; i < c->count; i++) {
        if (!flv__step_begin(&c->steps[i], f)) {
            return false;
        }
    }
    c->records.origin_known = loses_origin(c);
    c->records.origin = FLV_SM_NO_ORIGIN;
    if (!pass(c, first, &c->records, &out, reached, &at, f)) {
        return false;
    }
    r->in = count;
    r->passed = reached[c->count];
    r->filtered = count - r->passed;
    memcpy(r->reached, reached, sizeof(r->reached));
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
        .hint = flv_slice(hint, hint != NULL ? hint_len : 0),
        .has_key = record->has_key,
        .key = record->key,
        .value = record->value,
        .timestamp_ms = record->timestamp_ms,
    };
    prefix(c, step, name, sizeof(name));
    snprintf(to->text, sizeof(to->text), "%s: %.*s", name,
             (int)(sizeof(to->text) - sizeof(name) - 3), f->text);
    return FLV_OK;
}

/* Copies what one input record became. */
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
    c->records.origin_known = true;
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

enum end { END_NONE, END_FAILED, END_FULL };

/* One input record through the chain; false only for the host's own trouble.
 * *end says what became of it. */
static bool run_single(struct flv_sm_chain *c,
                       const struct flv_sm_input *in,
                       uint32_t index,
                       const struct flv_sm_record *record,
                       struct flv_sm_result *r,
                       enum end *end,
                       struct flv__fault *f)
{
    struct flv__step_input one =
        input_of(in, flv_buf_slice(&c->single), 1, true);
    struct flv_slice out;
    uint32_t reached[FLV_SM_STEPS_MAX + 1] = {0};
    enum flv_sm_cause cause;
    size_t at;
    bool ok;

    if (!save(c, f)) {
        return false;
    }
    ok = pass(c, one, NULL, &out, reached, &at, f) &&
         keep(c, out, index, in->base_timestamp_ms, f);
    if (!ok && !f->host && at == c->count && r->in > 0 && in->stop != NULL) {
        *end = END_FULL; /* of others' outputs: its turn is the next call */
        return undo(c, at, f->cause, f);
    }
    r->in++;
    for (size_t i = 0; i < c->count; i++) {
        r->reached[i] += reached[i] > 0;
    }
    *end = ok ? END_NONE : END_FAILED;
    if (ok) {
        r->passed += reached[c->count] > 0;
        r->filtered += reached[c->count] == 0;
        return true;
    }
    if (f->host) {
        return false;
    }
    at = at < c->count ? at : c->count - 1;
    if (add_failure(c, index, at, f, record) != FLV_OK) {
        f->host = true;
        return false;
    }
    r->failed++;
    cause = f->cause;
    return undo(c, at, cause, f);
}

static bool begin_replay(struct flv_sm_chain *c,
                         struct flv_slice section,
                         struct flv__fault *f)
{
    c->records.len = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct flv__step *s = &c->steps[i];

        flv__step_recycle(s);
        s->stats.replays++;
        if (!flv__step_restore(s, f)) {
            return false;
        }
    }
    /* Failures hand their record out: the result must not borrow from the
     * caller. */
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

static bool replay(struct flv_sm_chain *c,
                   const struct flv_sm_input *in,
                   struct flv_slice section,
                   uint32_t count,
                   bool stop_at_failure,
                   struct flv_sm_result *r,
                   struct flv__fault *f)
{
    struct flv_slice rest;
    enum end end = END_NONE;

    r->replayed = true;
    if (!begin_replay(c, section, f)) {
        return false;
    }
    rest = flv_slice(c->input.data + COUNT_SIZE, c->input.len - COUNT_SIZE);
    for (uint32_t i = 0; i < count && end != END_FULL &&
                         !(end == END_FAILED && stop_at_failure) &&
                         !(in->stop != NULL && atomic_load(in->stop));
         i++) {
        const uint8_t *start = rest.data;
        struct flv_wire_record w;
        struct flv_sm_record record;
        flv_rc rc = flv_wire_record_get(&rest, &w, NULL);

        assert(rc == FLV_OK); /* checked when the call began */
        flv_buf_reset(&c->single);
        rc = flv_buf_add_u32(&c->single, 1);
        rc = rc == FLV_OK
                 ? flv_buf_add(&c->single, start, (size_t)(rest.data - start))
                 : rc;
        if (rc != FLV_OK) {
            flv__fault(f, FLV_SM_MEMORY, "the host is out of memory");
            f->host = true;
            return false;
        }
        record = (struct flv_sm_record){
            .has_key = w.has_key,
            .key = w.key,
            .value = w.value,
            .timestamp_ms =
                flv__sm_timestamp(in->base_timestamp_ms, w.ts_delta),
        };
        if (!run_single(c, in, i, &record, r, &end, f)) {
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
    if (c->single.cap > KEPT_BYTES) {
        flv_buf_deinit(&c->single);
        flv_buf_init(&c->single, INPUT_BYTES_MAX);
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

static flv_rc fail_host(struct flv_sm_chain *c,
                        const struct flv__fault *f,
                        struct flv_err *err)
{
    /* Half a batch has run, or state could not be brought back. */
    c->dead = true;
    return flv_fail(err, FLV_E_NOMEM, "SmartModules: %s", f->text);
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
        return flv_fail(err, FLV_E_POISONED,
                        "SmartModules: an earlier batch ran out of memory");
    }
    reset(c, in);
    rc = check_input(c, in, &section, &count, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (c->count == 0 || count == 0) {
        r.in = r.passed = count;
    } else if (!run_batch(c, in, section, count, &r, &f)) {
        if (f.host || !replay(c, in, section, count, stop_at_failure, &r, &f)) {
            return fail_host(c, &f, err);
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
    return flv__step_look_back(&c->steps[step], section, &f)
               ? FLV_OK
               : fail_step(c, step, &f, err);
}
