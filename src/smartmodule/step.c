#include "smartmodule/step.h"

#include "base/mem.h"
#include "smartmodule/module_priv.h"
#include <assert.h>

#define OR(value, fallback) ((value) != 0 ? (value) : (fallback))

/* Negative answers with words of their own. */
#define INIT_USER_ERROR (-2)
#define LOOK_BACK_USER_ERROR (-99)

static struct flv_sm_budget fill_budget(const struct flv_sm_budget *b)
{
    return (struct flv_sm_budget){
        .fuel = OR(b->fuel, 1000000000U),
        .cpu_ms = OR(b->cpu_ms, 1000U),
        .memory_bytes = OR(b->memory_bytes, (size_t)256 << 20),
        .recycle_bytes = OR(b->recycle_bytes, (size_t)16 << 20),
        .output_records = OR(b->output_records, 10000U),
        .output_bytes = OR(b->output_bytes, (size_t)16 << 20),
    };
}

flv_rc flv__step_init(struct flv__step *s,
                      const struct flv_sm_step *conf,
                      struct flv_err *err)
{
    flv_rc rc;

    memset(s, 0, sizeof(*s));
    s->module = flv_sm_module_ref(conf->module);
    s->kind = conf->module->kind;
    s->keeps_memory = conf->module->has_look_back;
    s->budget = fill_budget(&conf->budget);
    s->look_back_last = conf->look_back_last;
    s->look_back_age_ms = conf->look_back_age_ms;
    flv_buf_init(&s->init, FLV_SM_PARAM_BYTES_MAX + 4 * FLV_SM_PARAMS_MAX + 64);
    flv_buf_init(&s->accumulator, s->budget.output_bytes);
    flv_buf_init(&s->accumulator_saved, s->budget.output_bytes);
    flv_buf_init(&s->image, s->budget.memory_bytes);
    rc = flv__sm_init_put(conf, &s->init, err);
    if (rc == FLV_OK && conf->accumulator.len > 0) {
        rc = flv_buf_add(&s->accumulator, conf->accumulator.data,
                         conf->accumulator.len);
        if (rc != FLV_OK) {
            return flv_fail(err, rc, "a first accumulator of %zu bytes",
                            conf->accumulator.len);
        }
    }
    return rc;
}

void flv__step_deinit(struct flv__step *s)
{
    flv__inst_destroy(s->inst);
    flv_buf_deinit(&s->init);
    flv_buf_deinit(&s->accumulator);
    flv_buf_deinit(&s->accumulator_saved);
    flv_buf_deinit(&s->image);
    flv_sm_module_unref(s->module);
    memset(s, 0, sizeof(*s));
}

void flv__step_set_cancel(struct flv__step *s, const atomic_bool *cancel)
{
    s->cancel = cancel;
    if (s->inst != NULL) {
        s->inst->cancel = cancel;
    }
}

static bool host_nomem(struct flv__fault *f)
{
    flv__fault(f, FLV_SM_MEMORY, "the host is out of memory");
    f->host = true;
    return false;
}

/* The module's own words, on one line. */
static bool user_error(struct flv__fault *f, struct flv_slice hint)
{
    int len = (int)(hint.len < 180 ? hint.len : 180);

    flv__fault(f, FLV_SM_USER_ERROR, "%.*s", len,
               hint.len > 0 ? (const char *)hint.data
                            : "reported an error without words");
    for (char *p = f->text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 127) {
            *p = ' ';
        }
    }
    f->hint = hint;
    return false;
}

static bool code_error(struct flv__fault *f, const char *entry, int32_t code)
{
    static const struct {
        int32_t code;
        const char *text;
    } known[] = {
        {-10, "cannot read its parameters"},
        {-11, "cannot read its input"},
        {-22, "cannot read the records of its input"},
        {-33, "cannot write its output"},
        {-44, "does not accept its parameters"},
        {-55, "misses the record to join with"},
        {-66, "cannot read its input"},
        {-77, "cannot read the records of its input"},
        {-88, "cannot write its output"},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].code == code) {
            return flv__fault(f, FLV_SM_CODE, "%s gave %d: it %s", entry, code,
                              known[i].text);
        }
    }
    return flv__fault(f, FLV_SM_CODE, "%s gave %d", entry, code);
}

/* alloc, copy, call. */
static bool call_with(struct flv__inst *in,
                      enum flv__entry entry,
                      struct flv_slice bytes,
                      int32_t *rc,
                      struct flv__fault *f)
{
    uint8_t *host;
    uint32_t ptr;

    if (!flv__inst_alloc(in, bytes.len, &ptr, &host, f)) {
        return false;
    }
    memcpy(host, bytes.data, bytes.len);
    return flv__inst_call(in, entry, ptr, bytes.len, rc, f);
}

static bool
call_init(struct flv__step *s, struct flv__inst *in, struct flv__fault *f)
{
    struct flv_slice out;
    bool ok;
    int32_t rc;

    if (!s->module->has_init) {
        return true;
    }
    flv__inst_begin(in);
    ok = call_with(in, FLV__ENTRY_INIT, flv_buf_slice(&s->init), &rc, f);
    flv__inst_end(in, &s->stats);
    if (!ok) {
        return false;
    }
    if (rc == INIT_USER_ERROR) {
        return flv__inst_output(in, &out, f) &&
               user_error(f, flv__sm_hint_get(out));
    }
    return rc >= 0 || code_error(f, "init", rc);
}

bool flv__step_ready(struct flv__step *s, struct flv__fault *f)
{
    size_t ceiling = s->budget.memory_bytes - s->budget.memory_bytes / 4;
    struct flv__inst *in;

    if (s->inst != NULL) {
        return true;
    }
    if (!flv__inst_create(&in, s->module, &s->budget, s->cancel, f)) {
        return false;
    }
    if (!call_init(s, in, f)) {
        /* The words are in the memory of an instance that ends here. */
        f->hint = flv_slice(NULL, 0);
        flv__inst_destroy(in);
        return false;
    }
    s->inst = in;
    s->served = 0;
    s->stats.instances++;
    s->mark = flv__inst_memory(in) * 2;
    s->mark =
        s->mark > s->budget.recycle_bytes ? s->mark : s->budget.recycle_bytes;
    s->mark = s->mark < ceiling ? s->mark : ceiling;
    return true;
}

size_t flv__step_memory(const struct flv__step *s)
{
    return (s->inst != NULL ? flv__inst_memory(s->inst) : 0) +
           s->accumulator.cap + s->accumulator_saved.cap + s->image.cap +
           s->init.cap;
}

void flv__step_recycle(struct flv__step *s)
{
    if (!s->keeps_memory) {
        flv__inst_destroy(s->inst);
        s->inst = NULL;
    }
}

void flv__step_recycle_past_mark(struct flv__step *s)
{
    if (s->inst != NULL && flv__inst_memory(s->inst) > s->mark) {
        flv__step_recycle(s);
    }
}

bool flv__step_is_final(const struct flv__step *s, const struct flv__fault *f)
{
    return f->cause == FLV_SM_USER_ERROR || f->cause == FLV_SM_CODE ||
           s->keeps_memory || s->served == 1;
}

/* --- state -------------------------------------------------------------- */

bool flv__step_save(struct flv__step *s, struct flv__fault *f)
{
    flv_rc rc = FLV_OK;

    if (s->kind == FLV_SM_AGGREGATE) {
        flv_buf_reset(&s->accumulator_saved);
        rc = flv_buf_add(&s->accumulator_saved, s->accumulator.data,
                         s->accumulator.len);
    }
    if (rc == FLV_OK && s->keeps_memory && !s->unsaved) {
        assert(s->inst != NULL); /* from the beginning */
        rc = flv__inst_save(s->inst, &s->image);
    }
    return rc == FLV_OK || host_nomem(f);
}

bool flv__step_restore(struct flv__step *s, struct flv__fault *f)
{
    if (s->kind == FLV_SM_AGGREGATE) {
        flv_buf_reset(&s->accumulator);
        if (flv_buf_add(&s->accumulator, s->accumulator_saved.data,
                        s->accumulator_saved.len) != FLV_OK) {
            return host_nomem(f);
        }
    }
    if (!s->keeps_memory) {
        return true;
    }
    flv__inst_destroy(s->inst);
    s->inst = NULL;
    if (flv__step_ready(s, f) &&
        flv__inst_restore(s->inst, flv_buf_slice(&s->image), f)) {
        return true;
    }
    f->host = true; /* state is lost: nothing further may run */
    return false;
}

/* A module that keeps its memory cannot be replaced, and guests leave their
 * outputs behind: past the mark they get them back. One that does not survive
 * that is left alone from then on, with its state as it was. */
static bool reclaim(struct flv__step *s, struct flv__fault *f)
{
    struct flv__fault ignored;
    bool ok;

    s->reclaims = s->reclaims || flv__inst_memory(s->inst) > s->mark;
    if (!s->reclaims || s->reclaim_fails || !s->inst->announced) {
        return true;
    }
    flv__inst_begin(s->inst);
    ok = flv__inst_dealloc(s->inst, &ignored);
    flv__inst_end(s->inst, &s->stats);
    if (ok) {
        return flv__step_save(s, f);
    }
    if (s->unsaved) {
        *f = ignored;
        return false;
    }
    s->reclaim_fails = true;
    return flv__step_restore(s, f);
}

bool flv__step_begin(struct flv__step *s, struct flv__fault *f)
{
    flv__step_recycle_past_mark(s);
    return flv__step_save(s, f) && (!s->keeps_memory || reclaim(s, f));
}

/* --- calls -------------------------------------------------------------- */

static bool check_output(const struct flv__step *s,
                         const struct flv__step_input *in,
                         const struct flv__sm_output *out,
                         struct flv__fault *f)
{
    const struct flv_sm_budget *b = &s->budget;
    bool many = s->kind == FLV_SM_ARRAY_MAP;
    bool together = many || in->lost || in->single;
    size_t bytes = together ? out->section.len : out->walk.record_bytes_max;

    if (!many && out->walk.count > in->count) {
        return flv__fault(f, FLV_SM_BROKEN, "gave %u records for %u",
                          out->walk.count, in->count);
    }
    if (bytes > b->output_bytes) {
        return flv__fault(f, FLV_SM_OUTPUT,
                          "gave %zu bytes for one record, at most %zu are "
                          "taken",
                          bytes, b->output_bytes);
    }
    if (together && out->walk.count > b->output_records) {
        return flv__fault(f, FLV_SM_OUTPUT,
                          "gave %u records for one, at most %u are taken",
                          out->walk.count, b->output_records);
    }
    if (!together && out->walk.count > 0 &&
        (out->walk.deltas_end == 0 || out->walk.deltas_end > in->deltas_end ||
         out->walk.deltas_begin < in->deltas_begin)) {
        return flv__fault(f, FLV_SM_BROKEN,
                          "gave records whose offsets are not those of its "
                          "input");
    }
    return true;
}

static bool take_output(struct flv__step *s,
                        const struct flv__step_input *in,
                        struct flv__sm_records *to,
                        struct flv__sm_output *out,
                        struct flv__fault *f)
{
    struct flv_slice bytes;
    struct flv_err err;
    flv_rc rc;

    if (!flv__inst_output(s->inst, &bytes, f)) {
        return false;
    }
    rc = flv__sm_output_get(bytes, s->kind == FLV_SM_AGGREGATE, to, out, &err);
    if (rc == FLV_E_NOMEM) {
        return host_nomem(f);
    }
    if (rc != FLV_OK) {
        return flv__fault(f, FLV_SM_BROKEN, "its output %s", err.text);
    }
    if (out->has_error) {
        user_error(f, out->hint);
        f->offset = out->error_offset;
        return false;
    }
    if (!check_output(s, in, out, f)) {
        return false;
    }
    if (s->kind == FLV_SM_AGGREGATE) {
        flv_buf_reset(&s->accumulator);
        rc = flv_buf_add(&s->accumulator, out->accumulator.data,
                         out->accumulator.len);
        if (rc == FLV_E_LIMIT) {
            return flv__fault(f, FLV_SM_OUTPUT,
                              "gave an accumulator of %zu bytes, at most %zu "
                              "are kept",
                              out->accumulator.len, s->budget.output_bytes);
        }
        return rc == FLV_OK || host_nomem(f);
    }
    return true;
}

static bool transform(struct flv__step *s,
                      const struct flv__step_input *in,
                      struct flv__sm_records *to,
                      struct flv__sm_output *out,
                      struct flv__fault *f)
{
    const struct flv__sm_args args = {
        .section = in->section,
        .base_offset = in->base_offset,
        .base_timestamp_ms = in->base_timestamp_ms,
        .aggregate = s->kind == FLV_SM_AGGREGATE,
        .accumulator = flv_buf_slice(&s->accumulator),
    };
    size_t size = flv__sm_args_size(&args);
    uint8_t *host;
    uint32_t ptr;
    int32_t rc;

    if (!flv__inst_alloc(s->inst, size, &ptr, &host, f)) {
        return false;
    }
    flv__sm_args_put(&args, host);
    if (!flv__inst_call(s->inst, FLV__ENTRY_TRANSFORM, ptr, size, &rc, f)) {
        return false;
    }
    if (rc < 0) {
        return code_error(f, flv_sm_kind_name(s->kind), rc);
    }
    return take_output(s, in, to, out, f);
}

bool flv__step_run(struct flv__step *s,
                   const struct flv__step_input *in,
                   struct flv__sm_records *to,
                   struct flv__sm_output *out,
                   struct flv__fault *f)
{
    size_t before = to != NULL ? to->len : 0;
    bool ok;

    if (!flv__step_ready(s, f)) {
        return false;
    }
    flv__inst_begin(s->inst);
    ok = transform(s, in, to, out, f);
    flv__inst_end(s->inst, &s->stats);
    s->served++;
    s->stats.calls++;
    s->stats.records += in->count;
    if (!ok && to != NULL) {
        to->len = before;
    }
    return ok;
}

bool flv__step_look_back(struct flv__step *s,
                         struct flv_slice section,
                         struct flv__fault *f)
{
    const struct flv__sm_args args = {.section = section};
    size_t size = flv__sm_args_size(&args);
    struct flv_slice out;
    uint8_t *host;
    uint32_t ptr;
    int32_t rc;
    bool ok;

    if (!flv__step_ready(s, f)) {
        return false;
    }
    flv__inst_begin(s->inst);
    ok = flv__inst_alloc(s->inst, size, &ptr, &host, f);
    if (ok) {
        flv__sm_args_put(&args, host);
        ok = flv__inst_call(s->inst, FLV__ENTRY_LOOK_BACK, ptr, size, &rc, f);
    }
    flv__inst_end(s->inst, &s->stats);
    if (!ok) {
        return false;
    }
    if (rc == LOOK_BACK_USER_ERROR) {
        return flv__inst_output(s->inst, &out, f) &&
               user_error(f, flv__sm_hint_get(out));
    }
    return rc >= 0 || code_error(f, "look_back", rc);
}
