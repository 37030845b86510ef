#include "connector/plan.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define ARENA_MAX ((size_t)1024 * 1024)

/* An option that names a module: at most one of the filters, then at most one
 * of the shapes (groups of the option table). */
struct source {
    const char *name;
    size_t at;
    int kind;
};

#define AT(f) offsetof(struct flv_shared_conf, f)
static const struct source sources[] = {
    {"smartstream-filter", AT(smart_filter), FLV_SM_FILTER},
    {"filter", AT(filter), FLV_SM_FILTER},
    {"smartstream-map", AT(smart_map), FLV_SM_MAP},
    {"smartstream-arraymap", AT(smart_arraymap), FLV_SM_ARRAY_MAP},
    {"map", AT(map), FLV_SM_MAP},
    {"arraymap", AT(arraymap), FLV_SM_ARRAY_MAP},
    {"filter-map", AT(filter_map), FLV_SM_FILTER_MAP},
    {"aggregate", AT(aggregate), FLV_SM_AGGREGATE},
    {"smart-module", AT(smart_module), -1},
};
#define SOURCES (sizeof(sources) / sizeof(sources[0]))

static const char *const option_of[FLV_SM_KIND_COUNT] = {
    [FLV_SM_FILTER] = "--filter",         [FLV_SM_MAP] = "--map",
    [FLV_SM_FILTER_MAP] = "--filter-map", [FLV_SM_ARRAY_MAP] = "--arraymap",
    [FLV_SM_AGGREGATE] = "--aggregate",
};

static const struct flv_shared_conf *shared_of(const struct flv_opts *opts)
{
    return flv__conn_shared(opts->conf);
}

static const char *value_of(const struct flv_opts *opts, const struct source *s)
{
    return *(char *const *)(const void *)((const char *)opts->conf + s->at);
}

/* The first option that names a module, or NULL. */
static const char *first_given(const struct flv_opts *opts)
{
    for (size_t i = 0; i < SOURCES; i++) {
        if (value_of(opts, &sources[i]) != NULL) {
            return sources[i].name;
        }
    }
    return NULL;
}

static flv_rc nomem(struct flv_err *err)
{
    return flv_fail(err, FLV_E_NOMEM, "out of memory for the SmartModules");
}

/* --- steps ---------------------------------------------------------------- */

static flv_rc step_add(struct flv_plan *p,
                       const struct flv_opts *opts,
                       const struct flv_plan_step *step,
                       const char *on_error,
                       struct flv_err *err)
{
    const struct flv_shared_conf *c = shared_of(opts);
    const char *policy = on_error != NULL ? on_error : c->on_error;
    if (p->count == FLV_SM_STEPS_MAX) {
        return flv_fail(err, FLV_E_USAGE,
                        "more than %d SmartModules in one connector",
                        FLV_SM_STEPS_MAX);
    }
    struct flv_plan_step *s = &p->steps[p->count++];
    *s = *step;
    const uint64_t given[] = {c->budget.fuel, c->budget.cpu_ms,
                              c->budget.memory_bytes, c->budget.output_records,
                              c->budget.output_bytes};
    uint64_t *const own[] = {&s->budget.fuel, &s->budget.cpu_ms,
                             &s->budget.memory_bytes, &s->budget.output_records,
                             &s->budget.output_bytes};
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        *own[i] = *own[i] != 0 ? *own[i] : given[i];
    }
    flv_rc rc =
        policy != NULL ? flv__policy_parse(policy, &s->policy, err) : FLV_OK;
    if (rc != FLV_OK) {
        flv_err_prefix(err, "on-error");
    }
    return rc;
}

/* "key:value" of --smartmodule-parameters. */
static flv_rc read_params(struct flv_plan *p,
                          const struct flv_list *list,
                          struct flv_transform_param **out,
                          struct flv_err *err)
{
    if (list->count == 0) {
        return FLV_OK;
    }
    struct flv_transform_param *params =
        FLV_ARENA_NEW(&p->arena, struct flv_transform_param, list->count);
    for (size_t i = 0; params != NULL && i < list->count; i++) {
        const char *text = list->items[i], *colon = strchr(text, ':');
        if (colon == NULL || colon == text) {
            return flv_fail(err, FLV_E_USAGE,
                            "--smartmodule-parameters \"%.60s\": a parameter "
                            "is written key:value",
                            text);
        }
        params[i].key = flv_arena_text(&p->arena, text, (size_t)(colon - text));
        params[i].value = colon + 1;
        if (params[i].key == NULL) {
            return nomem(err);
        }
    }
    *out = params;
    return params == NULL ? nomem(err) : FLV_OK;
}

static const char *dashed(struct flv_plan *p, const char *name)
{
    size_t size = strlen(name) + 3;
    char *text = flv_arena_alloc(&p->arena, size, 1);
    if (text != NULL) {
        (void)snprintf(text, size, "--%s", name);
    }
    return text;
}

/* A filter, then a shape, each with all the parameters. */
static flv_rc from_options(struct flv_plan *p,
                           const struct flv_opts *opts,
                           struct flv_err *err)
{
    const struct flv_shared_conf *c = shared_of(opts);
    struct flv_transform_param *params = NULL;
    flv_rc rc = read_params(p, &c->smart_params, &params, err);
    for (size_t i = 0; rc == FLV_OK && i < SOURCES; i++) {
        struct flv_plan_step s = {.option = dashed(p, sources[i].name),
                                  .uses = value_of(opts, &sources[i]),
                                  .kind = sources[i].kind,
                                  .params = params,
                                  .param_count = c->smart_params.count};
        if (s.uses == NULL) {
            continue;
        }
        if (s.kind == FLV_SM_AGGREGATE || s.kind == -1) {
            s.initial = c->initial_value;
        }
        rc = s.option == NULL ? nomem(err) : step_add(p, opts, &s, NULL, err);
    }
    return rc;
}

static flv_rc add_transform(struct flv_plan *p,
                            const struct flv_opts *opts,
                            const struct flv_cfile *file,
                            const struct flv_transform *t,
                            struct flv_err *err)
{
    const struct flv_plan_step s = {.option = flv_doc_name(file->doc),
                                    .uses = t->uses,
                                    .kind = -1,
                                    .params = t->params,
                                    .param_count = t->param_count,
                                    .look_back_last = t->look_back_last,
                                    .look_back_age_ms = t->look_back_age_ms,
                                    .budget = t->budget};
    struct flv_err why = {0};
    if (step_add(p, opts, &s, t->on_error, &why) != FLV_OK) {
        return flv_doc_fail(file->doc, t->node, err, "%s", why.text);
    }
    return FLV_OK;
}

static flv_rc from_lines(struct flv_plan *p,
                         const struct flv_opts *opts,
                         const struct flv_cfile_conf *secrets,
                         struct flv_err *err)
{
    const struct flv_list *list = &shared_of(opts)->transforms;
    flv_rc rc = FLV_OK;
    p->lines = flv_zalloc(list->count, sizeof(*p->lines));
    if (p->lines == NULL) {
        return nomem(err);
    }
    for (size_t i = 0; rc == FLV_OK && i < list->count; i++) {
        struct flv_cfile *f = &p->lines[p->line_count++];
        rc = flv_cfile_parse_transform(
            f, "--transform", flv_slice_str(list->items[i]), secrets, err);
        if (rc == FLV_OK) {
            rc = add_transform(p, opts, f, f->transforms, err);
        }
        for (size_t k = 0; rc == FLV_OK && k < f->warning_count; k++) {
            flv_log_warn("config", "ignored",
                         FLV_KV_STR("reason", f->warnings[k]));
        }
    }
    return rc;
}

/* --- what does not go together ---------------------------------------------
 */

static flv_rc check(const struct flv_opts *opts,
                    const struct flv_cfile *file,
                    struct flv_err *err)
{
    const struct flv_shared_conf *c = shared_of(opts);
    const char *given = first_given(opts);
    bool in_file = file != NULL && file->transform_count > 0;
    if (in_file && c->transforms.count > 0 &&
        flv_opts_source(opts, "transform") != FLV_SOURCE_USER) {
        return flv_fail(err, FLV_E_USAGE,
                        "the file has both transforms and the setting "
                        "transform; keep one of them");
    }
    if (given != NULL && (in_file || c->transforms.count > 0)) {
        return flv_fail(err, FLV_E_USAGE,
                        "--%s cannot be used with %s; put the module into the "
                        "list",
                        given,
                        c->transforms.count > 0 ? "--transform" : "transforms");
    }
    if (given == NULL && c->smart_params.count > 0) {
        return flv_fail(err, FLV_E_USAGE,
                        "--smartmodule-parameters needs a SmartModule, such as "
                        "--filter; in transforms parameters are under with");
    }
    if (c->initial_value != NULL && c->aggregate == NULL &&
        c->smart_module == NULL) {
        return flv_fail(err, FLV_E_USAGE,
                        "--aggregate-initial-value needs --aggregate");
    }
    return FLV_OK;
}

static void warn_of_idle(const struct flv_opts *opts, bool sink)
{
    static const char *const names[] = {
        "on-error",
        "smartmodule-fuel",
        "smartmodule-cpu-ms",
        "smartmodule-memory",
        "smartmodule-output-records",
        "smartmodule-output-bytes",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (flv_opts_given(opts, names[i]) && !(sink && i == 0)) {
            flv_log_warn("config", "ignored: no SmartModule is used",
                         FLV_KV_STR("setting", names[i]));
        }
    }
}

/* Each topic of dead letters is a lane of its own. */
static flv_rc add_lane(struct flv_plan *p,
                       struct flv_policy *policy,
                       const char *topic,
                       struct flv_err *err)
{
    if (policy->kind != FLV_POLICY_DEAD_LETTER) {
        return FLV_OK;
    }
    if (topic != NULL && strcmp(policy->topic, topic) == 0) {
        return flv_fail(err, FLV_E_USAGE,
                        "dead letters cannot go to the connector's own topic "
                        "\"%.60s\"",
                        topic);
    }
    uint32_t lane = FLV_LANE_TOPIC + 1;
    while (lane < p->lanes && strcmp(p->topics[lane], policy->topic) != 0) {
        lane++;
    }
    assert(lane < FLV_LANES_MAX);
    p->topics[lane] = policy->topic;
    p->lanes = lane == p->lanes ? lane + 1 : p->lanes;
    policy->lane = lane;
    return FLV_OK;
}

static flv_rc
make_lanes(struct flv_plan *p, const char *topic, struct flv_err *err)
{
    p->topics[FLV_LANE_TOPIC] = topic;
    p->lanes = FLV_LANE_TOPIC + 1;
    flv_rc rc = add_lane(p, &p->sink_policy, topic, err);
    for (size_t i = 0; rc == FLV_OK && i < p->count; i++) {
        rc = add_lane(p, &p->steps[i].policy, topic, err);
    }
    return rc;
}

/* What the far side refuses: on-error of all. */
static flv_rc sink_policy(struct flv_plan *p,
                          const struct flv_opts *opts,
                          struct flv_err *err)
{
    const char *text = shared_of(opts)->on_error;
    flv_rc rc =
        text != NULL ? flv__policy_parse(text, &p->sink_policy, err) : FLV_OK;
    if (rc != FLV_OK) {
        flv_err_prefix(err, "on-error");
    }
    return rc;
}

flv_rc flv__plan_make(struct flv_plan *p,
                      const struct flv_opts *opts,
                      const struct flv_cfile *file,
                      const struct flv_cfile_conf *secrets,
                      bool sink,
                      struct flv_err *err)
{
    *p = (struct flv_plan){0};
    flv_arena_init(&p->arena, 1024, ARENA_MAX);
    const struct flv_shared_conf *c = shared_of(opts);
    flv_rc rc = check(opts, file, err);
    if (rc == FLV_OK && c->transforms.count > 0) {
        rc = from_lines(p, opts, secrets, err);
    } else if (rc == FLV_OK && file != NULL && file->transform_count > 0) {
        for (size_t i = 0; rc == FLV_OK && i < file->transform_count; i++) {
            rc = add_transform(p, opts, file, &file->transforms[i], err);
        }
    } else if (rc == FLV_OK) {
        rc = from_options(p, opts, err);
    }
    if (rc == FLV_OK && p->count == 0) {
        warn_of_idle(opts, sink);
    }
    if (rc == FLV_OK && sink) {
        rc = sink_policy(p, opts, err);
    }
    return rc == FLV_OK ? make_lanes(p, c->fluvio_topic, err) : rc;
}

/* --- modules ---------------------------------------------------------------
 */

static flv_rc wrong_kind(const struct flv_plan_step *s,
                         enum flv_sm_kind is,
                         struct flv_err *err)
{
    return flv_fail(err, FLV_E_USAGE,
                    "%s: \"%.60s\" is a SmartModule of the kind %s, not %s; "
                    "use %s",
                    s->option, s->uses, flv_sm_kind_name(is),
                    flv_sm_kind_name((enum flv_sm_kind)s->kind), option_of[is]);
}

flv_rc flv__plan_give(struct flv_plan *p,
                      size_t i,
                      struct flv_slice wasm,
                      struct flv_err *err)
{
    assert(i < p->count && p->steps[i].wasm.data == NULL);
    struct flv_plan_step *s = &p->steps[i];
    struct flv_sm_module_info info;
    flv_rc rc = flv_sm_inspect(wasm, &info, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "%s: \"%.60s\"", s->option, s->uses);
        return rc;
    }
    if (s->kind >= 0 && (int)info.kind != s->kind) {
        return wrong_kind(s, info.kind, err);
    }
    if (s->initial != NULL && info.kind != FLV_SM_AGGREGATE) {
        return flv_fail(err, FLV_E_USAGE,
                        "--aggregate-initial-value is for aggregates; "
                        "\"%.60s\" is a SmartModule of the kind %s",
                        s->uses, flv_sm_kind_name(info.kind));
    }
    uint8_t *copy = flv_alloc(wasm.len);
    if (copy == NULL) {
        return nomem(err);
    }
    memcpy(copy, wasm.data, wasm.len);
    s->wasm = flv_slice(copy, wasm.len);
    return FLV_OK;
}

static flv_rc read_all(int fd, struct flv_buf *b)
{
    static const size_t step = 65536;
    for (;;) {
        flv_rc rc = flv_buf_reserve(b, step);
        if (rc != FLV_OK) {
            return rc;
        }
        ssize_t n = read(fd, b->data + b->len, step);
        if (n <= 0) {
            return n == 0 ? FLV_OK : FLV_E_IO;
        }
        b->len += (size_t)n;
    }
}

/* *found stays false where there is no such file: it may be a name. */
static flv_rc
read_file(const char *path, struct flv_buf *b, bool *found, struct flv_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) {
            return FLV_OK;
        }
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot read %.80s", path);
    }
    flv_rc rc = FLV_OK;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *found = true;
        rc = read_all(fd, b);
    }
    int sys = rc == FLV_E_IO ? errno : 0;
    (void)close(fd);
    if (rc == FLV_E_LIMIT) {
        return flv_fail(err, rc,
                        "%.80s is larger than a SmartModule may be (%zu "
                        "bytes)",
                        path, FLV_SM_WASM_BYTES_MAX);
    }
    return rc != FLV_OK ? flv_fail_sys(err, rc, sys, "cannot read %.80s", path)
                        : FLV_OK;
}

flv_rc flv__plan_read(struct flv_plan *p, struct flv_err *err)
{
    struct flv_buf b;
    flv_rc rc = FLV_OK;
    flv_buf_init(&b, FLV_SM_WASM_BYTES_MAX + 65536);
    for (size_t i = 0; rc == FLV_OK && i < p->count; i++) {
        bool found = false;
        flv_buf_reset(&b);
        rc = read_file(p->steps[i].uses, &b, &found, err);
        if (rc != FLV_OK) {
            flv_err_prefix(err, "%s", p->steps[i].option);
        } else if (found) {
            rc = flv__plan_give(p, i, flv_buf_slice(&b), err);
        }
    }
    flv_buf_deinit(&b);
    return rc;
}

void flv__plan_drop(struct flv_plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        flv_free((void *)(uintptr_t)p->steps[i].wasm.data);
        p->steps[i].wasm = flv_slice(NULL, 0);
    }
}

void flv__plan_deinit(struct flv_plan *p)
{
    flv__plan_drop(p);
    for (size_t i = 0; i < p->line_count; i++) {
        flv_cfile_deinit(&p->lines[i]);
    }
    flv_free(p->lines);
    flv_arena_deinit(&p->arena);
    *p = (struct flv_plan){0};
}
