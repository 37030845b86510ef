#include "connector/smart.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "connector/smart_priv.h"
#include "smartmodule/engine.h"
#include "smartmodule/folder.h"
#include "smartmodule/section.h"

#define PATH_BYTES_MAX 4096
/* What a module may look back at. */
#define PAST_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define PAST_SECTION_MAX (PAST_BYTES_MAX + 64 * (size_t)FLV_SM_RECORDS_MAX)

static void next_module(struct flv_smart *s);

static void opened(struct flv_smart *s, const struct flv_err *err)
{
    flv_done_fn done = s->done;
    s->done = NULL;
    done(s->done_user, err);
}

/* --- compiling, on the thread -----------------------------------------------
 */

/* Where compiled modules are kept between runs; without such a folder they
 * are compiled at each start. */
static bool cache_dir(char out[FLV_SM_FOLDER_MAX])
{
    struct flv_err err = {0};
    if (flv_sm_cache_folder(out, &err) == FLV_OK) {
        return true;
    }
    if (err.rc != FLV_E_NOT_FOUND) {
        flv_log_warn("smartmodule", "compiled modules cannot be kept",
                     FLV_KV_ERR(&err));
    }
    return false;
}

static flv_rc make_step(struct flv_smart *s,
                        size_t i,
                        struct flv_sm_step *to,
                        struct flv_sm_param *params,
                        struct flv_err *err)
{
    const struct flv_plan_step *from = &s->conf.plan->steps[i];
    const struct flv_budget *b = &from->budget;
    flv_rc rc = flv_sm_module_create(&to->module, s->engine, from->uses,
                                     from->wasm, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "%s: \"%.60s\"", from->option, from->uses);
        return rc;
    }
    for (size_t k = 0; k < from->param_count; k++) {
        params[k] = (struct flv_sm_param){
            .key = flv_slice_str(from->params[k].key),
            .value = flv_slice_str(from->params[k].value)};
    }
    to->params = params;
    to->param_count = from->param_count;
    to->accumulator = flv_slice_str(from->initial);
    to->look_back_last = from->look_back_last;
    to->look_back_age_ms = from->look_back_age_ms;
    to->budget =
        (struct flv_sm_budget){.fuel = b->fuel,
                               .cpu_ms = (uint32_t)b->cpu_ms,
                               .memory_bytes = (size_t)b->memory_bytes,
                               .output_records = (uint32_t)b->output_records,
                               .output_bytes = (size_t)b->output_bytes};
    return FLV_OK;
}

static flv_rc make_chain(struct flv_smart *s, struct flv_err *err)
{
    const struct flv_plan *plan = s->conf.plan;
    struct flv_sm_step steps[FLV_SM_STEPS_MAX] = {{0}};
    size_t total = 1, used = 0;
    for (size_t i = 0; i < plan->count; i++) {
        total += plan->steps[i].param_count;
    }
    struct flv_sm_param *params = flv_zalloc(total, sizeof(*params));
    if (params == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for parameters");
    }
    flv_rc rc = FLV_OK;
    for (size_t i = 0; rc == FLV_OK && i < plan->count; i++) {
        rc = atomic_load(&s->hurry)
                 ? flv_fail(err, FLV_E_CANCELED, "stopped")
                 : make_step(s, i, &steps[i], params + used, err);
        used += plan->steps[i].param_count;
    }
    if (rc == FLV_OK) {
        struct flv_sm_making making = {.cancel = &s->hurry};
        rc = flv_sm_chain_make(&s->chain, steps, plan->count, &making, err);
    }
    for (size_t i = 0; i < plan->count; i++) {
        flv_sm_module_unref(steps[i].module);
    }
    flv_free(params);
    return rc;
}

static void compile(struct flv_work *work)
{
    struct flv_smart *s = FLV_OWNER_OF(work, struct flv_smart, compiling);
    char dir[FLV_SM_FOLDER_MAX];
    const struct flv_sm_engine_conf conf = {.cache_dir =
                                                cache_dir(dir) ? dir : NULL};
    flv_rc rc = flv_sm_engine_create(&s->engine, &conf, &s->trouble);
    if (rc == FLV_OK) {
        rc = make_chain(s, &s->trouble);
    }
    assert((rc == FLV_OK) == (s->trouble.rc == FLV_OK));
}

static void compiled(struct flv_work *work, flv_rc rc)
{
    struct flv_smart *s = FLV_OWNER_OF(work, struct flv_smart, compiling);
    flv__plan_drop(s->conf.plan);
    if (rc == FLV_E_CANCELED || s->done == NULL) {
        return; /* destroyed */
    }
    for (size_t i = 0; s->chain != NULL && i < flv_sm_chain_steps(s->chain);
         i++) {
        struct flv_sm_module_info m =
            flv_sm_module_info(flv_sm_chain_module(s->chain, i));
        s->single =
            s->single || (s->conf.origins && m.kind == FLV_SM_ARRAY_MAP);
        flv_log_info("smartmodule", "ready", FLV_KV_U64("stage", i + 1),
                     FLV_KV_STR("kind", flv_sm_kind_name(m.kind)),
                     FLV_KV_STR("module", m.name),
                     FLV_KV_STR("sha256", m.hash));
    }
    opened(s, s->trouble.rc != FLV_OK ? &s->trouble : NULL);
}

/* --- modules of the cluster --------------------------------------------------
 */

static void not_found(const struct flv_smart *s,
                      const struct flv_plan_step *step,
                      struct flv_err *err)
{
    char here[PATH_BYTES_MAX];
    bool relative = step->uses[0] != '/';
    if (!relative || getcwd(here, sizeof(here)) == NULL) {
        here[0] = '\0';
    }
    (void)flv_fail(err, FLV_E_NOT_FOUND,
                   "%.40s: \"%.50s\" is neither a file%s%.40s nor a "
                   "SmartModule on the cluster %.40s",
                   step->option, step->uses, here[0] != '\0' ? " in " : "",
                   here, flv_stream_address(s->stream));
}

static void
on_fetched(void *user, const struct flv_err *err, const struct flv_slice *wasm)
{
    struct flv_smart *s = user;
    const struct flv_plan_step *step = &s->conf.plan->steps[s->next];
    struct flv_err why = {0};
    if (s->done == NULL) {
        return;
    }
    if (err != NULL) {
        why = *err;
        flv_err_prefix(&why, "%s: the SmartModule \"%.60s\"", step->option,
                       step->uses);
    } else if (wasm == NULL) {
        not_found(s, step, &why);
    } else if (flv__plan_give(s->conf.plan, s->next, *wasm, &why) == FLV_OK) {
        next_module(s);
        return;
    }
    opened(s, &why);
}

/* Asks for one module after the other, then compiles all. */
static void next_module(struct flv_smart *s)
{
    const struct flv_plan *plan = s->conf.plan;
    struct flv_err err = {0};
    flv_rc rc;
    while (s->next < plan->count && plan->steps[s->next].wasm.data != NULL) {
        s->next++;
    }
    if (s->next < plan->count) {
        rc = flv_stream_smartmodule(s->stream, plan->steps[s->next].uses,
                                    on_fetched, s, &err);
    } else {
        rc = flv_pool_submit(s->pool, &s->compiling);
        if (rc != FLV_OK) {
            (void)flv_fail(&err, rc, "no thread for SmartModules: %s",
                           flv_rc_text(rc));
        }
    }
    if (rc != FLV_OK) {
        opened(s, &err);
    }
}

static void begin(struct flv_task *task)
{
    next_module(FLV_OWNER_OF(task, struct flv_smart, begin));
}

void flv__smart_open(struct flv_smart *s,
                     struct flv_stream *stream,
                     flv_done_fn done,
                     void *user)
{
    assert(s->done == NULL && s->chain == NULL);
    s->stream = stream;
    s->done = done;
    s->done_user = user;
    flv_loop_defer(s->conf.loop, &s->begin);
}

/* --- looking back, before the first batch ------------------------------------
 */

static void next_look_back(struct flv_smart *s);

static void show(struct flv_work *work)
{
    struct flv_smart *s = FLV_OWNER_OF(work, struct flv_smart, showing);
    flv_rc rc = flv_sm_chain_look_back(s->chain, s->next,
                                       flv_buf_slice(&s->past), &s->trouble);
    assert((rc == FLV_OK) == (s->trouble.rc == FLV_OK));
}

static void shown(struct flv_work *work, flv_rc rc)
{
    struct flv_smart *s = FLV_OWNER_OF(work, struct flv_smart, showing);
    flv_buf_deinit(&s->past);
    if (rc == FLV_E_CANCELED || s->done == NULL) {
        return;
    }
    if (s->trouble.rc != FLV_OK) {
        flv_err_prefix(&s->trouble, "looking back");
        opened(s, &s->trouble);
        return;
    }
    s->next++;
    next_look_back(s);
}

static flv_rc add_past(struct flv_smart *s,
                       const struct flv_record_view *records,
                       size_t count,
                       struct flv_err *err)
{
    flv_buf_init(&s->past, PAST_SECTION_MAX);
    for (size_t i = 0; i < count; i++) {
        flv_rc rc = flv_sm_section_add(&s->past, records[i].has_key,
                                       records[i].key, records[i].value, 0);
        if (rc != FLV_OK) {
            return flv_fail(err, rc, "no memory for %zu past records", count);
        }
    }
    flv_rc rc = flv_pool_submit(s->pool, &s->showing);
    return rc == FLV_OK ? rc
                        : flv_fail(err, rc, "no thread for SmartModules: %s",
                                   flv_rc_text(rc));
}

static void on_past(void *user,
                    const struct flv_err *err,
                    const struct flv_record_view *records,
                    size_t count)
{
    struct flv_smart *s = user;
    struct flv_err why = {0};
    if (s->done == NULL) {
        return;
    }
    if (err != NULL) {
        why = *err;
        flv_err_prefix(&why, "looking back");
        opened(s, &why);
        return;
    }
    flv_log_info("smartmodule", "looks back", FLV_KV_U64("stage", s->next + 1),
                 FLV_KV_U64("records", count));
    if (count == 0) {
        s->next++;
        next_look_back(s);
    } else if (add_past(s, records, count, &why) != FLV_OK) {
        flv_buf_deinit(&s->past);
        opened(s, &why);
    }
}

/* One step after the other is shown the end of the topic. */
static void next_look_back(struct flv_smart *s)
{
    struct flv_sm_look_back want;
    struct flv_err err = {0};
    if (!flv_sm_chain_wants_look_back(s->chain, s->next, &want)) {
        opened(s, NULL);
        return;
    }
    s->next = want.step;
    struct flv_tail_conf conf = {
        .topic = s->conf.plan->topics[FLV_LANE_TOPIC],
        .records_max = want.last > 0 && want.last < FLV_SM_RECORDS_MAX
                           ? (size_t)want.last
                           : FLV_SM_RECORDS_MAX,
        .bytes_max = PAST_BYTES_MAX,
    };
    if (want.age_ms > 0) {
        conf.since_ms = flv_clock_wall_ms() - (int64_t)want.age_ms;
    }
    if (flv_stream_tail(s->stream, &conf, on_past, s, &err) != FLV_OK) {
        opened(s, &err);
    }
}

static void begin_look_back(struct flv_task *task)
{
    next_look_back(FLV_OWNER_OF(task, struct flv_smart, looking));
}

void flv__smart_look_back(struct flv_smart *s, flv_done_fn done, void *user)
{
    assert(s->done == NULL && s->chain != NULL);
    s->next = 0;
    s->done = done;
    s->done_user = user;
    flv_loop_defer(s->conf.loop, &s->looking);
}

/* --- the stage --------------------------------------------------------------
 */

static void work_run(struct flv_work *work)
{
    flv__smart_run(FLV_OWNER_OF(work, struct flv_smart, work));
}

static void work_done(struct flv_work *work, flv_rc rc)
{
    struct flv_smart *s = FLV_OWNER_OF(work, struct flv_smart, work);
    s->in = NULL;
    memcpy(s->shown, s->each, sizeof(s->shown));
    if (rc == FLV_OK && s->staged != NULL) {
        s->staged(s->staged_arg, &s->result);
    }
}

static void stage_run(void *state, const struct flv_batch *in)
{
    struct flv_smart *s = state;
    assert(s->in == NULL && s->chain != NULL);
    s->in = in;
    /* The thread is there since it compiled, and has nothing else to do. */
    flv_rc rc = flv_pool_submit(s->pool, &s->work);
    assert(rc == FLV_OK);
    (void)rc;
}

static void stage_hurry(void *state)
{
    struct flv_smart *s = state;
    atomic_store(&s->hurry, true);
}

const struct flv_stage *flv__smart_stage(const struct flv_smart *s)
{
    return &s->stage;
}

void flv__smart_attach(struct flv_smart *s,
                       void (*staged)(void *arg,
                                      const struct flv_stage_result *result),
                       void *arg)
{
    s->staged = staged;
    s->staged_arg = arg;
}

/* --- figures ----------------------------------------------------------------
 */

void flv__smart_counts(const struct flv_smart *s,
                       size_t i,
                       struct flv_stage_counts *out)
{
    assert(i < s->conf.plan->count);
    *out = s->shown[i];
    assert(flv__stage_adds_up(out));
}

void flv__smart_log(const struct flv_smart *s)
{
    for (size_t i = 0; s->chain != NULL && i < flv_sm_chain_steps(s->chain);
         i++) {
        struct flv_stage_counts n;
        struct flv_sm_stats stats;
        struct flv_sm_module_info m =
            flv_sm_module_info(flv_sm_chain_module(s->chain, i));
        flv__smart_counts(s, i, &n);
        flv_sm_chain_stats(s->chain, i, &stats);
        flv_log_info(
            "smartmodule", "stage", FLV_KV_U64("stage", i + 1),
            FLV_KV_STR("kind", flv_sm_kind_name(m.kind)),
            FLV_KV_STR("module", m.name), FLV_KV_U64("in", n.in),
            FLV_KV_U64("passed", n.passed), FLV_KV_U64("filtered", n.filtered),
            FLV_KV_U64("failed", n.failed),
            FLV_KV_U64("discarded", n.discarded),
            FLV_KV_U64("calls", stats.calls), FLV_KV_U64("fuel", stats.fuel),
            FLV_KV_U64("cpu_ms", stats.cpu_ns / 1000000),
            FLV_KV_U64("replays", stats.replays));
    }
}

/* --- life -------------------------------------------------------------------
 */

flv_rc flv__smart_create(struct flv_smart **out,
                         const struct flv_smart_conf *conf,
                         struct flv_err *err)
{
    const struct flv_pool_conf pool = {.name = "smartmodule",
                                       .threads_max = 1,
                                       .queue_max = 2,
                                       .stack_bytes =
                                           FLV_SM_THREAD_STACK_BYTES};
    assert(conf->plan->count > 0);
    struct flv_smart *s = flv_zalloc(1, sizeof(*s));
    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for SmartModules");
    }
    s->conf = *conf;
    s->stage =
        (struct flv_stage){.run = stage_run, .hurry = stage_hurry, .state = s};
    s->compiling = (struct flv_work){.run = compile, .done = compiled};
    s->work = (struct flv_work){.run = work_run, .done = work_done};
    s->showing = (struct flv_work){.run = show, .done = shown};
    flv_task_init(&s->begin, begin);
    flv_task_init(&s->looking, begin_look_back);
    flv__smart_run_init(s);
    for (size_t i = 0; i < conf->plan->count; i++) {
        enum flv_policy_kind kind = conf->plan->steps[i].policy.kind;
        s->stop_at_failure = s->stop_at_failure || kind == FLV_POLICY_HALT ||
                             kind == FLV_POLICY_RETRY;
    }
    flv_rc rc = flv_pool_create(&s->pool, conf->loop, &pool, err);
    if (rc != FLV_OK) {
        flv__smart_destroy(s);
        return rc;
    }
    *out = s;
    return FLV_OK;
}

bool flv__smart_end(struct flv_smart *s, uint32_t wait_ms)
{
    if (s == NULL) {
        return true;
    }
    s->done = NULL;
    s->staged = NULL;
    atomic_store(&s->hurry, true);
    return s->pool == NULL || flv_pool_wait(s->pool, wait_ms);
}

void flv__smart_destroy(struct flv_smart *s)
{
    if (s == NULL) {
        return;
    }
    s->done = NULL;
    s->staged = NULL;
    atomic_store(&s->hurry, true);
    flv_loop_undefer(s->conf.loop, &s->begin);
    flv_loop_undefer(s->conf.loop, &s->looking);
    flv_pool_destroy(s->pool);
    flv_sm_chain_destroy(s->chain);
    flv_sm_engine_destroy(s->engine);
    flv__smart_run_deinit(s);
    flv_buf_deinit(&s->past);
    flv_free(s);
}
