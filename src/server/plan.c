#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/smart.h"
#include "server/state.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Parameters and accumulators of a whole chain. */
#define PLAN_ARENA_MAX ((size_t)4 << 20)
#define TELL_EVERY_MS 1000

/* One module of a request: where its bytes come from and what it is given. */
struct step {
    struct flv_smart_source source;
    char name[FLV_SM_NAME_MAX + 1];   /* what people call it */
    char stored[FLV_SM_NAME_MAX + 1]; /* to find it by; empty: came along */
    struct flv_slice bytes;           /* borrowed: of the frame or payload */
    uint8_t *payload;                 /* owned: read from meta.db */
    struct flv_sm_module *module;     /* counted; NULL: missing */
    struct flv_sm_param *params;      /* in the arena */
    size_t param_count;
    struct flv_slice accumulator; /* in the arena */
    uint64_t look_back_last, look_back_age_ms;
};

enum plan_stage { PLAN_MADE, PLAN_READS, PLAN_OPENS, PLAN_COMPILES, PLAN_DONE };

struct flv_plan {
    struct flv_smart *smart; /* borrowed */
    struct flv_chunk *frame; /* counted; NULL: not needed any more */
    struct flv_arena arena;  /* owned */
    struct step *steps;      /* in the arena */
    uint32_t count;
    enum plan_stage stage;
    bool dropped; /* frees itself when nothing is under way */
    struct flv_trouble why;
    struct flv_task told;
    struct flv_cpu_job job;
    struct flv_module_read read;
    uint32_t reading; /* step */
    uint32_t failed;  /* step that does not compile */
    flv_rc rc;        /* of the compile job */
    struct flv_err err;
    void (*done)(void *ctx, struct flv_trouble *why);
    void *ctx;
    STAILQ_ENTRY(flv_plan) link; /* waits for the engine */
};

/* ---- what the request says ---- */

static bool refuse(struct flv_trouble *out, const char *why)
{
    flv_trouble_set(out, FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR, why);
    return false;
}

static bool copy_slice(struct flv_plan *p,
                       struct flv_slice in,
                       struct flv_slice *out,
                       struct flv_trouble *why)
{
    void *copy = flv_arena_copy(&p->arena, in.data, in.len);
    if (in.len > 0 && copy == NULL) {
        return refuse(why, "out of memory");
    }
    *out = flv_slice(copy, in.len);
    return true;
}

static bool is_join(const struct flv_wire_module_kinds *k)
{
    return k->tag == FLV_WIRE_MODULE_JOIN ||
           k->tag == FLV_WIRE_MODULE_JOIN_STREAM ||
           (k->tag == FLV_WIRE_MODULE_GENERIC && k->context.tag >= 2);
}

/* What a module does is decided by its exports; of the kind only the first
 * value of an aggregate is used. */
static bool read_kind(struct flv_plan *p,
                      const struct flv_wire_module_kinds *k,
                      struct step *s,
                      struct flv_trouble *why)
{
    if (is_join(k)) {
        return refuse(why, "joins are not run: neither by this server nor by "
                           "Fluvio since 0.11; ask for another kind of "
                           "SmartModule");
    }
    struct flv_slice first = k->tag == FLV_WIRE_MODULE_GENERIC
                                 ? k->context.accumulator
                                 : k->accumulator;
    if (first.len > FLV_SM_PARAM_BYTES_MAX) {
        return refuse(why, "the first accumulator of a SmartModule has at "
                           "most 65,536 bytes");
    }
    return copy_slice(p, first, &s->accumulator, why);
}

static bool read_params(struct flv_plan *p,
                        const struct flv_wire_module_params *in,
                        struct step *s,
                        struct flv_trouble *why)
{
    size_t bytes = 0;
    if (in->params.len > FLV_SM_PARAMS_MAX) {
        return refuse(why, "a SmartModule takes at most 256 parameters");
    }
    s->params =
        FLV_ARENA_NEW(&p->arena, struct flv_sm_param, in->params.len + 1);
    if (s->params == NULL) {
        return refuse(why, "out of memory");
    }
    for (uint32_t i = 0; i < in->params.len; i++) {
        const struct flv_wire_pair *pair = &in->params.at[i];
        bytes += pair->key.len + pair->value.len;
        if (bytes > FLV_SM_PARAM_BYTES_MAX) {
            return refuse(why, "the parameters of a SmartModule have at most "
                               "65,536 bytes");
        }
        if (!copy_slice(p, pair->key, &s->params[i].key, why) ||
            !copy_slice(p, pair->value, &s->params[i].value, why)) {
            return false;
        }
    }
    s->param_count = in->params.len;
    if (in->lookback.has) {
        const struct flv_wire_lookback *back = &in->lookback.v;
        s->look_back_last = back->last;
        if (back->age.has) {
            s->look_back_age_ms = flv_wire_duration_ms(&back->age.v);
        }
    }
    return true;
}

static void put_name(char out[FLV_SM_NAME_MAX + 1], struct flv_slice name)
{
    size_t n = name.len < FLV_SM_NAME_MAX ? name.len : FLV_SM_NAME_MAX;
    if (n > 0) {
        memcpy(out, name.data, n);
    }
    out[n] = '\0';
}

static bool find_stored(struct flv_plan *p, struct step *s)
{
    const struct flv_module *m =
        flv_modules_find(&p->smart->server->modules, flv_slice_str(s->stored));
    if (m == NULL) {
        flv_trouble_not_found(&p->why, flv_slice_str(s->stored));
        return false;
    }
    s->source = (struct flv_smart_source){.revision = m->revision};
    return true;
}

static bool read_wasm(struct flv_plan *p,
                      const struct flv_wire_module_invocation *in,
                      struct step *s)
{
    const struct flv_wire_module_wasm *wasm = &in->wasm;
    struct flv_slice name = in->name.has ? in->name.v : flv_slice(NULL, 0);
    if (wasm->tag == 0) {
        if (wasm->name.len > FLV_SM_NAME_MAX) {
            return refuse(&p->why, "the name of a SmartModule has at most 255 "
                                   "bytes");
        }
        put_name(s->stored, wasm->name);
        name = wasm->name;
        if (!find_stored(p, s)) {
            return false;
        }
    } else {
        s->bytes = wasm->gzip;
        s->source = flv_smart_source(p->smart, wasm->gzip);
    }
    put_name(s->name, name.len > 0 ? name : flv_slice_str("sent along"));
    s->module = flv_smart_recall(p->smart, &s->source);
    return true;
}

static bool read_all(struct flv_plan *p,
                     const struct flv_wire_module_invocation *at)
{
    p->steps = FLV_ARENA_NEW(&p->arena, struct step, p->count);
    if (p->steps == NULL) {
        return refuse(&p->why, "out of memory");
    }
    for (uint32_t i = 0; i < p->count; i++) {
        struct step *s = &p->steps[i];
        if (!read_kind(p, &at[i].kind, s, &p->why) ||
            !read_params(p, &at[i].params, s, &p->why) ||
            !read_wasm(p, &at[i], s)) {
            return false;
        }
    }
    return true;
}

struct flv_plan *flv_plan_create(struct flv_smart *m,
                                 const struct flv_wire_module_invocation *at,
                                 uint32_t count,
                                 struct flv_chunk *frame,
                                 struct flv_trouble *out)
{
    if (count > FLV_SM_STEPS_MAX) {
        refuse(out, "a chain has at most 16 SmartModules");
        return NULL;
    }
    struct flv_plan *p = flv_zalloc(1, sizeof *p);
    if (p == NULL) {
        refuse(out, "out of memory");
        return NULL;
    }
    p->smart = m;
    p->count = count;
    flv_arena_init(&p->arena, 1024, PLAN_ARENA_MAX);
    p->frame = frame != NULL ? flv_chunk_ref(frame) : NULL;
    if (!read_all(p, at)) {
        flv_trouble_move(out, &p->why);
        flv_plan_drop(p);
        return NULL;
    }
    return p;
}

/* ---- life ---- */

static void drop_payloads(struct flv_plan *p)
{
    for (uint32_t i = 0; p->steps != NULL && i < p->count; i++) {
        flv_free(p->steps[i].payload);
        p->steps[i].payload = NULL;
    }
    flv_chunk_unref(p->frame);
    p->frame = NULL;
}

static void plan_free(struct flv_plan *p)
{
    drop_payloads(p);
    for (uint32_t i = 0; p->steps != NULL && i < p->count; i++) {
        flv_sm_module_unref(p->steps[i].module);
    }
    flv_trouble_clear(&p->why);
    flv_arena_deinit(&p->arena);
    flv_free(p);
}

void flv_plan_drop(struct flv_plan *p)
{
    if (p == NULL) {
        return;
    }
    flv_loop_undefer(p->smart->server->loop, &p->told);
    if (p->stage == PLAN_OPENS) {
        STAILQ_REMOVE(&p->smart->waiting, p, flv_plan, link);
        p->stage = PLAN_DONE;
    } else if (p->stage == PLAN_COMPILES && flv_cpu_cancel(&p->job)) {
        p->stage = PLAN_DONE;
    }
    p->dropped = true;
    if (p->stage == PLAN_MADE || p->stage == PLAN_DONE) {
        plan_free(p);
    }
}

/* ---- preparing ---- */

static void go_on(struct flv_plan *p);

static void tell(struct flv_task *t)
{
    struct flv_plan *p = FLV_OWNER_OF(t, struct flv_plan, told);
    p->done(p->ctx, &p->why); /* may drop the plan */
}

static void finish(struct flv_plan *p)
{
    p->stage = PLAN_DONE;
    if (p->dropped) {
        plan_free(p);
        return;
    }
    drop_payloads(p);
    flv_loop_defer(p->smart->server->loop, &p->told);
}

/* No module of a stored one's name, or its bytes are not to be had. */
static void read_done(struct flv_module_read *r)
{
    struct flv_plan *p = r->user;
    struct step *s = &p->steps[p->reading];
    s->payload = r->payload;
    s->bytes = flv_slice(r->payload, r->payload_bytes);
    /* It may have been stored anew meanwhile. */
    if (!p->dropped &&
        (r->rc == FLV_OK || (r->rc == FLV_E_NOT_FOUND && find_stored(p, s)))) {
        go_on(p);
        return;
    }
    if (!p->dropped && p->why.error.code == FLV_WIRE_NONE) {
        flv_trouble_set(&p->why, FLV_WIRE_OTHER, r->err.text);
    }
    finish(p);
}

static void read_stored(struct flv_plan *p, uint32_t i)
{
    p->stage = PLAN_READS;
    p->reading = i;
    p->read = (struct flv_module_read){
        .revision = p->steps[i].source.revision, .done = read_done, .user = p};
    flv_modules_read(&p->smart->server->modules, &p->read);
}

static void compile_run(struct flv_cpu_job *j, struct flv_bench *b)
{
    struct flv_plan *p = FLV_OWNER_OF(j, struct flv_plan, job);
    (void)b;
    p->rc = FLV_OK;
    for (uint32_t i = 0;
         i < p->count && p->rc == FLV_OK && !atomic_load(&j->cancel); i++) {
        struct step *s = &p->steps[i];
        if (s->module == NULL) {
            p->failed = i;
            p->rc = flv_sm_module_create(&s->module, p->smart->engine, s->name,
                                         s->bytes, &p->err);
        }
    }
    if (p->rc == FLV_OK && atomic_load(&j->cancel)) {
        p->rc = flv_fail(&p->err, FLV_E_CANCELED, "the server is stopping");
    }
}

/* Fluvio unpacks what it is given: what is not gzip (here: nor plain) has the
 * code of that failure. */
static bool is_packed_badly(const struct flv_plan *p, const struct step *s)
{
    static const uint8_t gzip[] = {0x1f, 0x8b};
    static const uint8_t plain[] = {0, 'a', 's', 'm'};
    if (p->rc != FLV_E_INVALID) {
        return false;
    }
    if (s->bytes.len >= sizeof gzip &&
        memcmp(s->bytes.data, gzip, sizeof gzip) == 0) {
        return strstr(p->err.text, "gzip") != NULL;
    }
    return s->bytes.len < sizeof plain ||
           memcmp(s->bytes.data, plain, sizeof plain) != 0;
}

/* What fails for each request, as those of producers, is told now and then. */
static bool may_tell(struct flv_smart *m)
{
    uint64_t now_ms = flv_loop_now_ms(m->server->loop);
    if (m->told_ms != 0 && now_ms - m->told_ms < TELL_EVERY_MS) {
        return false;
    }
    m->told_ms = now_ms;
    return true;
}

static void compile_failed(struct flv_plan *p)
{
    struct step *s = &p->steps[p->failed];
    bool packed_badly = is_packed_badly(p, s);
    flv_trouble_set(&p->why,
                    packed_badly ? FLV_WIRE_SMARTMODULE_INVALID
                                 : FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR,
                    p->err.text);
    if (packed_badly) {
        snprintf(p->why.name, sizeof p->why.name, "%s", s->name);
        p->why.error.name.has = true;
        p->why.error.name.v = flv_slice_str(p->why.name);
    }
    if (p->rc != FLV_E_CANCELED && may_tell(p->smart)) {
        flv_log_info("smart", "a SmartModule was refused",
                     FLV_KV_STR("name", s->name), FLV_KV_ERR(&p->err));
    }
}

static void compile_done(struct flv_cpu_job *j, flv_rc rc)
{
    struct flv_plan *p = FLV_OWNER_OF(j, struct flv_plan, job);
    if (rc != FLV_OK) {
        p->rc = flv_fail(&p->err, rc, "no thread for SmartModules");
    }
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->steps[i].module != NULL) {
            flv_smart_remember(p->smart, &p->steps[i].source,
                               p->steps[i].module);
        }
    }
    if (p->rc != FLV_OK) {
        compile_failed(p);
    }
    finish(p);
}

static void open_run(struct flv_cpu_job *j, struct flv_bench *b)
{
    struct flv_smart *m = FLV_OWNER_OF(j, struct flv_smart, opening);
    char dir[FLV_DATADIR_PATH_MAX + 32];
    (void)b;
    snprintf(dir, sizeof dir, "%s/smartmodules-cache", m->server->dir.path);
    const struct flv_sm_engine_conf conf = {.cache_dir = dir};
    flv_err_clear(&m->opening_err);
    m->opening_rc = flv_sm_engine_create(&m->opened, &conf, &m->opening_err);
}

static void open_done(struct flv_cpu_job *j, flv_rc rc)
{
    struct flv_smart *m = FLV_OWNER_OF(j, struct flv_smart, opening);
    struct flv_plan *p;
    if (rc != FLV_OK) {
        m->opening_rc =
            flv_fail(&m->opening_err, rc, "no thread for SmartModules");
    }
    if (m->opening_rc == FLV_OK) {
        m->engine = m->opened;
        flv_log_info("smart", "WebAssembly engine opened",
                     FLV_KV_STR("version", flv_sm_engine_version(m->engine)));
    } else if (may_tell(m)) {
        flv_log_warn("smart", "no WebAssembly engine",
                     FLV_KV_ERR(&m->opening_err));
    }
    while ((p = STAILQ_FIRST(&m->waiting)) != NULL) {
        STAILQ_REMOVE_HEAD(&m->waiting, link);
        if (m->opening_rc == FLV_OK) {
            go_on(p);
        } else {
            flv_trouble_set(&p->why, FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR,
                            m->opening_err.text);
            finish(p);
        }
    }
}

static void open_engine(struct flv_plan *p)
{
    struct flv_smart *m = p->smart;
    bool first = STAILQ_EMPTY(&m->waiting) && m->opening.state == FLV_CPU_IDLE;
    p->stage = PLAN_OPENS;
    STAILQ_INSERT_TAIL(&m->waiting, p, link);
    if (first) {
        m->opening.smart = m;
        m->opening.run = open_run;
        m->opening.done = open_done;
        flv_cpu_submit(&m->opening);
    }
}

/* The next thing that is missing. */
static void go_on(struct flv_plan *p)
{
    bool missing = false;
    for (uint32_t i = 0; i < p->count; i++) {
        struct step *s = &p->steps[i];
        if (s->module == NULL) {
            s->module = flv_smart_recall(p->smart, &s->source);
        }
        if (s->module == NULL && s->stored[0] != '\0' && s->payload == NULL) {
            read_stored(p, i);
            return;
        }
        missing = missing || s->module == NULL;
    }
    if (!missing) {
        finish(p);
    } else if (p->smart->engine == NULL) {
        open_engine(p);
    } else {
        p->stage = PLAN_COMPILES;
        p->job.smart = p->smart;
        p->job.run = compile_run;
        p->job.done = compile_done;
        flv_cpu_submit(&p->job);
    }
}

void flv_plan_prepare(struct flv_plan *p,
                      void (*done)(void *ctx, struct flv_trouble *why),
                      void *ctx)
{
    assert(p->stage == PLAN_MADE);
    p->done = done;
    p->ctx = ctx;
    flv_task_init(&p->told, tell);
    go_on(p);
}

/* ---- chains ---- */

struct flv_sm_chain *flv_plan_chain(const struct flv_plan *p,
                                    const atomic_bool *cancel,
                                    struct flv_trouble *out)
{
    struct flv_sm_step steps[FLV_SM_STEPS_MAX];
    struct flv_sm_making making = {.cancel = cancel};
    struct flv_sm_chain *chain = NULL;
    struct flv_err err = {0};
    for (uint32_t i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        steps[i] = (struct flv_sm_step){
            .module = s->module,
            .params = s->params,
            .param_count = s->param_count,
            .accumulator = s->accumulator,
            .look_back_last = s->look_back_last,
            .look_back_age_ms = s->look_back_age_ms,
            .budget = p->smart->conf.budget,
        };
    }
    flv_rc rc = flv_sm_chain_make(&chain, steps, p->count, &making, &err);
    if (rc == FLV_OK) {
        return chain;
    }
    if (making.memory_wanted > 0) {
        flv_trouble_memory(out, making.memory_wanted, making.memory_max);
    } else {
        flv_trouble_set(out, FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR, err.text);
    }
    return NULL;
}

bool flv_plan_is_loose(const struct flv_plan *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if (flv_sm_module_info(p->steps[i].module).kind == FLV_SM_ARRAY_MAP) {
            return true;
        }
    }
    return false;
}
