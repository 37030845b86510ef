/* Chains that run in this process: for produce and smartmodule test. */
#include "cli/smart.h"

#include "base/mem.h"
#include "smartmodule/engine.h"
#include "smartmodule/folder.h"

/* ---- Modules ------------------------------------------------------------ */

struct fetch {
    struct cli_call call;
    struct flv_sm_engine *engine; /* borrowed */
    const char *name;
    struct flv_sm_module *module; /* out */
};

static void fetched(void *user,
                    const struct flv_err *err,
                    const struct flv_smartmodule_info *modules,
                    size_t count)
{
    struct fetch *f = user;
    struct flv_err own = {0};
    if (err == NULL && count == 0) {
        (void)flv_fail(&own, FLV_E_NOT_FOUND,
                       "SmartModule %.100s was not found", f->name);
    } else if (err == NULL && count > 1) {
        (void)flv_fail(&own, FLV_E_INVALID,
                       "%.60s means %.60s, %.60s and maybe more; say which as "
                       "GROUP/NAME@VERSION",
                       f->name, modules[0].name, modules[1].name);
    } else if (err == NULL && modules[0].wasm_err.rc != FLV_OK) {
        own = modules[0].wasm_err;
    } else if (err == NULL &&
               flv_sm_module_create(&f->module, f->engine, f->name,
                                    modules[0].wasm, &own) != FLV_OK) {
        flv_err_prefix(&own, "SmartModule %.100s", f->name);
    }
    cli_call_end(&f->call, own.rc != FLV_OK ? &own : err);
}

static flv_rc make_module(const struct flv_smartmodule_use *use,
                          struct cli *c,
                          struct flv_sm_engine *engine,
                          struct flv_sm_module **out,
                          struct flv_err *err)
{
    if (use->wasm.len > 0) {
        flv_rc rc =
            flv_sm_module_create(out, engine, use->name, use->wasm, err);
        if (rc != FLV_OK) {
            flv_err_prefix(err, "%.100s", use->name);
        }
        return rc;
    }
    struct fetch f = {.engine = engine, .name = use->name};
    flv_rc rc = c->client != NULL ? FLV_OK : cli_connect(c, err);
    cli_call_init(&f.call, c);
    rc = rc == FLV_OK ? flv_client_smartmodules(c->client, use->name, true,
                                                fetched, &f, err)
                      : rc;
    rc = rc == FLV_OK ? cli_call_wait(&f.call, err) : rc;
    *out = f.module;
    return rc;
}

/* An old spelling says what the module has to be. */
static flv_rc check_kind(const struct flv_smartmodule_use *use,
                         const struct flv_sm_module *module,
                         struct flv_err *err)
{
    static const enum flv_sm_kind kinds[] = {
        [FLV_SMARTMODULE_FILTER] = FLV_SM_FILTER,
        [FLV_SMARTMODULE_MAP] = FLV_SM_MAP,
        [FLV_SMARTMODULE_FILTER_MAP] = FLV_SM_FILTER_MAP,
        [FLV_SMARTMODULE_ARRAY_MAP] = FLV_SM_ARRAY_MAP,
        [FLV_SMARTMODULE_AGGREGATE] = FLV_SM_AGGREGATE,
    };
    enum flv_sm_kind is = flv_sm_module_info(module).kind;
    return use->kind == FLV_SMARTMODULE_ANY || kinds[use->kind] == is
               ? FLV_OK
               : flv_fail(err, FLV_E_INVALID, "%.100s is of kind %s, not %s",
                          use->name, flv_sm_kind_name(is),
                          flv_sm_kind_name(kinds[use->kind]));
}

/* ---- Steps -------------------------------------------------------------- */

static flv_rc make_step(const struct cli_smart *s,
                        size_t i,
                        struct cli *c,
                        struct flv_sm_engine *engine,
                        struct flv_sm_step *to,
                        struct flv_err *err)
{
    const struct flv_smartmodule_use *use = &s->uses[i];
    struct flv_sm_param *params =
        flv_zalloc(use->param_count + 1, sizeof *params);
    if (params == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t k = 0; k < use->param_count; k++) {
        params[k].key = flv_slice_str(use->params[k].key);
        params[k].value = flv_slice_str(use->params[k].value);
    }
    *to = (struct flv_sm_step){.params = params,
                               .param_count = use->param_count,
                               .accumulator = use->accumulator,
                               .look_back_last = use->look_back_last,
                               .look_back_age_ms = use->look_back_age_ms,
                               .budget = s->budgets[i]};
    flv_rc rc = make_module(use, c, engine, &to->module, err);
    return rc == FLV_OK ? check_kind(use, to->module, err) : rc;
}

flv_rc cli_smart_chain(const struct cli_smart *s,
                       struct cli *c,
                       struct flv_sm_chain **out,
                       struct flv_err *err)
{
    char dir[FLV_SM_FOLDER_MAX];
    struct flv_sm_step steps[FLV_SM_STEPS_MAX] = {{0}};
    struct flv_sm_engine *engine = NULL;
    /* Without a folder modules are compiled each time. */
    bool keeps = flv_sm_cache_folder(dir, NULL) == FLV_OK;
    const struct flv_sm_engine_conf conf = {.cache_dir = keeps ? dir : NULL};
    flv_rc rc = flv_sm_engine_create(&engine, &conf, err);
    for (size_t i = 0; i < s->count && rc == FLV_OK; i++) {
        rc = make_step(s, i, c, engine, &steps[i], err);
    }
    if (rc == FLV_OK) {
        rc = flv_sm_chain_create(out, steps, s->count, err);
    }
    for (size_t i = 0; i < s->count; i++) {
        union {
            const struct flv_sm_param *seen;
            void *owned;
        } params = {.seen = steps[i].params};
        flv_sm_module_unref(steps[i].module);
        flv_free(params.owned);
    }
    flv_sm_engine_destroy(engine);
    return rc;
}
