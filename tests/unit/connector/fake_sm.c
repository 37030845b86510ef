#include "fake_sm.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/record.h"

#define RECORDS_MAX 2100

struct flv_sm_engine {
    int none;
};
struct flv_sm_module {
    unsigned refs;
    char name[64];
};
struct result {
    uint8_t *bytes;
    struct flv_sm_record records[RECORDS_MAX];
    struct flv_sm_failure failures[RECORDS_MAX];
};
struct flv_sm_chain {
    struct flv_sm_module *modules[FLV_SM_STEPS_MAX];
    size_t count;
    struct result *last;
    unsigned tries; /* of records that fail twice */
};

atomic_uint fake_sm_waits, fake_sm_runs;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool going;

void fake_sm_go(void)
{
    pthread_mutex_lock(&gate);
    going = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&gate);
}

void fake_sm_reset(void)
{
    pthread_mutex_lock(&gate);
    going = false;
    pthread_mutex_unlock(&gate);
    atomic_store(&fake_sm_waits, 0);
    atomic_store(&fake_sm_runs, 0);
}

static void wait_for_test(void)
{
    atomic_fetch_add(&fake_sm_waits, 1);
    pthread_mutex_lock(&gate);
    while (!going) {
        pthread_cond_wait(&changed, &gate);
    }
    pthread_mutex_unlock(&gate);
}

/* --- engine and modules ----------------------------------------------------
 */

flv_rc flv_sm_engine_create(struct flv_sm_engine **out,
                            const struct flv_sm_engine_conf *conf,
                            struct flv_err *err)
{
    (void)conf;
    (void)err;
    *out = calloc(1, sizeof(**out));
    assert(*out != NULL);
    return FLV_OK;
}

void flv_sm_engine_destroy(struct flv_sm_engine *e)
{
    free(e);
}

flv_rc flv_sm_module_create(struct flv_sm_module **out,
                            struct flv_sm_engine *e,
                            const char *name,
                            struct flv_slice wasm,
                            struct flv_err *err)
{
    assert(e != NULL);
    if (wasm.len > 0 && wasm.data[0] == 'X') {
        return flv_fail(err, FLV_E_INVALID, "does not compile");
    }
    struct flv_sm_module *m = calloc(1, sizeof(*m));
    assert(m != NULL);
    m->refs = 1;
    (void)snprintf(m->name, sizeof(m->name), "%s", name);
    *out = m;
    return FLV_OK;
}

struct flv_sm_module *flv_sm_module_ref(struct flv_sm_module *m)
{
    m->refs++;
    return m;
}

void flv_sm_module_unref(struct flv_sm_module *m)
{
    if (m != NULL && --m->refs == 0) {
        free(m);
    }
}

struct flv_sm_module_info flv_sm_module_info(const struct flv_sm_module *m)
{
    return (struct flv_sm_module_info){
        .name = m->name, .hash = "00ff", .kind = FLV_SM_FILTER};
}

const char *flv_sm_kind_name(enum flv_sm_kind kind)
{
    return kind == FLV_SM_FILTER ? "filter" : "map";
}

flv_rc flv_sm_inspect(struct flv_slice wasm,
                      struct flv_sm_module_info *out,
                      struct flv_err *err)
{
    (void)err;
    *out = (struct flv_sm_module_info){
        .kind =
            wasm.len > 0 && wasm.data[0] == 'm' ? FLV_SM_MAP : FLV_SM_FILTER};
    return FLV_OK;
}

/* --- chains ----------------------------------------------------------------
 */

flv_rc flv_sm_chain_make(struct flv_sm_chain **out,
                         const struct flv_sm_step *steps,
                         size_t count,
                         struct flv_sm_making *making,
                         struct flv_err *err)
{
    (void)making;
    (void)err;
    struct flv_sm_chain *c = calloc(1, sizeof(*c));
    assert(c != NULL);
    c->count = count;
    for (size_t i = 0; i < count; i++) {
        c->modules[i] = flv_sm_module_ref(steps[i].module);
    }
    *out = c;
    return FLV_OK;
}

static void drop_last(struct flv_sm_chain *c)
{
    if (c->last != NULL) {
        free(c->last->bytes);
        free(c->last);
        c->last = NULL;
    }
}

void flv_sm_chain_destroy(struct flv_sm_chain *c)
{
    if (c == NULL) {
        return;
    }
    drop_last(c);
    for (size_t i = 0; i < c->count; i++) {
        flv_sm_module_unref(c->modules[i]);
    }
    free(c);
}

size_t flv_sm_chain_steps(const struct flv_sm_chain *c)
{
    return c->count;
}

const struct flv_sm_module *flv_sm_chain_module(const struct flv_sm_chain *c,
                                                size_t step)
{
    return c->modules[step];
}

void flv_sm_chain_stats(const struct flv_sm_chain *c,
                        size_t step,
                        struct flv_sm_stats *out)
{
    (void)c;
    (void)step;
    *out = (struct flv_sm_stats){0};
}

bool flv_sm_chain_wants_look_back(const struct flv_sm_chain *c,
                                  size_t from,
                                  struct flv_sm_look_back *out)
{
    (void)c;
    (void)from;
    (void)out;
    return false;
}

flv_rc flv_sm_chain_look_back(struct flv_sm_chain *c,
                              size_t step,
                              struct flv_slice section,
                              struct flv_err *err)
{
    (void)c;
    (void)step;
    (void)section;
    (void)err;
    return FLV_OK;
}

const char *flv_sm_cause_name(enum flv_sm_cause cause)
{
    return cause == FLV_SM_USER_ERROR ? "user-error" : "trap";
}

static void add_failure(struct flv_sm_result *out,
                        struct result *r,
                        const struct flv_wire_record *w,
                        uint32_t input,
                        uint32_t step)
{
    struct flv_sm_failure *f = &r->failures[out->failure_count++];
    *f = (struct flv_sm_failure){
        .input = input,
        .step = step,
        .cause = step == 0 ? FLV_SM_USER_ERROR : FLV_SM_TRAP,
        .hint = step == 0 ? w->value : flv_slice(NULL, 0),
        .key = w->key,
        .value = w->value,
        .has_key = w->has_key};
    (void)snprintf(f->text, sizeof(f->text), "filter: %.*s is bad",
                   (int)w->value.len, (const char *)w->value.data);
    out->failed++;
}

static void add_record(struct flv_sm_result *out,
                       struct result *r,
                       const struct flv_wire_record *w,
                       uint32_t input)
{
    assert(out->record_count < RECORDS_MAX);
    r->records[out->record_count++] =
        (struct flv_sm_record){.has_key = w->has_key,
                               .key = w->key,
                               .value = w->value,
                               .origin = input};
}

static flv_rc one(struct flv_sm_chain *c,
                  struct flv_sm_result *out,
                  const struct flv_wire_record *w,
                  uint32_t input,
                  struct flv_err *err)
{
    char what = (char)w->value.data[0];
    unsigned failed = out->failed;
    if (what == 'h') {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    if (what == 'w' || what == 'v') {
        wait_for_test();
    }
    if (what == 'e' || what == 'v' || (what == 'r' && c->tries++ % 3 != 2)) {
        add_failure(out, c->last, w, input, 0);
    } else if (what == 't') {
        add_failure(out, c->last, w, input, 1);
    } else if (what == 'f') {
        out->filtered++;
    } else {
        add_record(out, c->last, w, input);
        if (what == 'd') {
            add_record(out, c->last, w, input);
        }
        out->passed++;
    }
    out->in++;
    /* 'f' is filtered by step 1, too. */
    out->reached[0]++;
    if (c->count > 1 && what != 'f' && (out->failed == failed || what == 't')) {
        out->reached[1]++;
    }
    return FLV_OK;
}

flv_rc flv_sm_chain_run(struct flv_sm_chain *c,
                        const struct flv_sm_input *in,
                        bool stop_at_failure,
                        struct flv_sm_result *out,
                        struct flv_err *err)
{
    atomic_fetch_add(&fake_sm_runs, 1);
    drop_last(c);
    c->last = calloc(1, sizeof(*c->last));
    assert(c->last != NULL && in->section.len > 4);
    c->last->bytes = malloc(in->section.len);
    assert(c->last->bytes != NULL);
    memcpy(c->last->bytes, in->section.data, in->section.len);
    struct flv_slice rest = flv_slice(c->last->bytes + 4, in->section.len - 4);
    uint32_t count = flv_get_u32(in->section.data);
    *out = (struct flv_sm_result){.records = c->last->records,
                                  .failures = c->last->failures};
    for (uint32_t i = 0; i < count && !(stop_at_failure && out->failed > 0) &&
                         !(in->stop != NULL && atomic_load(in->stop));
         i++) {
        struct flv_wire_record w;
        if (flv_wire_record_get(&rest, &w, err) != FLV_OK ||
            w.offset_delta != (int64_t)i) {
            return FLV_E_CORRUPT;
        }
        flv_rc rc = one(c, out, &w, i, err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    return FLV_OK;
}
