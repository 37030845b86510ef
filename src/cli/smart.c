#include "cli/smart.h"

#include "base/mem.h"
#include "cli/file.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char *const cli_sm_aliases[] = {"sm", NULL};
const char *const cli_sm_path_aliases[] = {"sm-path", NULL};
const char *const cli_initial_aliases[] = {"a-init", NULL};
const char *const cli_params_aliases[] = {"extra-params", NULL};
const char *const cli_transforms_aliases[] = {"transforms-file", NULL};
const char *const cli_transforms_line_aliases[] = {"transform", NULL};

/* ---- Options to steps --------------------------------------------------- */

#define ACCUMULATOR_BYTES_MAX ((size_t)16 << 20)
#define TEXTS_BYTES_MAX ((size_t)1 << 20)

static flv_rc conflict(const char *a, const char *b, struct flv_err *err)
{
    return flv_fail(err, FLV_E_USAGE,
                    "the argument '--%s' cannot be used with '--%s'", a, b);
}

/* Of the 0.9 options; a filter comes first. */
struct old_kind {
    const char *name;
    size_t offset; /* in struct cli_smart_conf */
    enum flv_smartmodule_kind kind;
};

#define OLD(n, field, k)                                                       \
    {                                                                          \
        (n), offsetof(struct cli_smart_conf, field), (k)                       \
    }
static const struct old_kind old_kinds[] = {
    OLD("filter", filter, FLV_SMARTMODULE_FILTER),
    OLD("map", map, FLV_SMARTMODULE_MAP),
    OLD("filter-map", filter_map, FLV_SMARTMODULE_FILTER_MAP),
    OLD("array-map", array_map, FLV_SMARTMODULE_ARRAY_MAP),
    OLD("aggregate", aggregate, FLV_SMARTMODULE_AGGREGATE),
};
#define OLD_COUNT (sizeof old_kinds / sizeof old_kinds[0])

static const char *old_value(const struct cli_smart_conf *conf, size_t i)
{
    char *value;
    memcpy(&value, (const char *)conf + old_kinds[i].offset, sizeof value);
    return value;
}

/* One way to name modules: a name, a file, transforms, or those of 0.9. */
static flv_rc check_ways(const struct cli_smart_conf *conf,
                         const char **out_way,
                         struct flv_err *err)
{
    const char *given[5 + OLD_COUNT];
    size_t n = 0;
    const char *shape = NULL;
    const struct {
        const char *name;
        bool given;
    } ways[] = {{"smartmodule", conf->smartmodule != NULL},
                {"smartmodule-path", conf->smartmodule_path != NULL},
                {"transforms", conf->transforms != NULL},
                {"transforms-line", conf->transforms_line.count > 0}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (ways[i].given) {
            given[n++] = ways[i].name;
        }
    }
    for (size_t i = 0; i < OLD_COUNT; i++) {
        const char *name = old_kinds[i].name;
        if (old_value(conf, i) == NULL) {
            continue;
        }
        if (n > 0 && (shape != NULL || strcmp(given[n - 1], "filter") != 0)) {
            return conflict(given[n - 1], name, err);
        }
        shape = i > 0 ? name : NULL;
        n = n > 0 ? n : 1;
        given[n - 1] = name;
    }
    *out_way = n > 0 ? given[0] : NULL;
    return n > 1 ? conflict(given[0], given[1], err) : FLV_OK;
}

static struct flv_smartmodule_use *new_use(struct cli_smart *s)
{
    flv_buf_init(&s->wasm[s->count], FLV_SM_WASM_BYTES_MAX);
    return &s->uses[s->count++];
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static flv_rc use_file(struct cli_smart *s,
                       const char *path,
                       enum flv_smartmodule_kind kind,
                       struct flv_err *err)
{
    struct flv_buf *wasm = &s->wasm[s->count];
    struct flv_smartmodule_use *use = new_use(s);
    struct flv_sm_module_info info;
    flv_rc rc = cli_file_read(path, wasm, err);
    if (rc != FLV_OK) {
        return rc;
    }
    rc = flv_sm_inspect(flv_buf_slice(wasm), &info, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "%.100s", path);
        return rc;
    }
    use->name = file_name(path);
    use->wasm = flv_buf_slice(wasm);
    use->kind = kind;
    return FLV_OK;
}

/* A file of that name, or a SmartModule on the cluster, as 0.9 has it. */
static flv_rc use_old(struct cli_smart *s,
                      const char *value,
                      enum flv_smartmodule_kind kind,
                      struct flv_err *err)
{
    if (access(value, F_OK) == 0) {
        return use_file(s, value, kind, err);
    }
    struct flv_smartmodule_use *use = new_use(s);
    use->name = value;
    use->kind = kind;
    return FLV_OK;
}

/* ---- Parameters and accumulators ---------------------------------------- */

static flv_rc load_params(struct cli_smart *s,
                          const struct flv_list *list,
                          struct flv_err *err)
{
    s->params = flv_zalloc(list->count + 1, sizeof *s->params);
    if (s->params == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    size_t total = 0;
    for (size_t i = 0; i < list->count; i++) {
        total += strlen(list->items[i]) + 1;
    }
    flv_rc rc = flv_buf_reserve(&s->texts, total); /* so that it stays put */
    for (size_t i = 0; i < list->count && rc == FLV_OK; i++) {
        const char *item = list->items[i];
        const char *sign = strchr(item, '=');
        if (sign == NULL || sign == item) {
            return flv_fail(err, FLV_E_USAGE,
                            "invalid value '%.60s' for '--params <PARAMS>': "
                            "invalid KEY=value: no `=` found",
                            item);
        }
        size_t at = s->texts.len;
        rc = flv_buf_add(&s->texts, item, (size_t)(sign - item));
        rc = rc == FLV_OK ? flv_buf_add_u8(&s->texts, 0) : rc;
        s->params[i].key = (const char *)s->texts.data + at;
        s->params[i].value = sign + 1;
    }
    return rc == FLV_OK ? FLV_OK : flv_fail(err, rc, "too many parameters");
}

static flv_rc load_accumulator(struct cli_smart *s,
                               const struct cli_smart_conf *conf,
                               struct flv_err *err)
{
    if (conf->aggregate_initial != NULL && conf->initial != NULL) {
        return conflict("aggregate-initial", "initial", err);
    }
    if (conf->initial != NULL) {
        return cli_file_read(conf->initial, &s->accumulator, err);
    }
    if (conf->aggregate_initial != NULL &&
        flv_buf_add_str(&s->accumulator, conf->aggregate_initial) != FLV_OK) {
        return flv_fail(err, FLV_E_LIMIT, "the accumulator is too large");
    }
    return FLV_OK;
}

/* What options say about all steps. */
static flv_rc apply(struct cli_smart *s,
                    const struct cli_smart_conf *conf,
                    struct flv_err *err)
{
    flv_rc rc = load_params(s, &conf->params, err);
    rc = rc == FLV_OK ? load_accumulator(s, conf, err) : rc;
    for (size_t i = 0; i < s->count && rc == FLV_OK; i++) {
        struct flv_smartmodule_use *use = &s->uses[i];
        use->params = s->params;
        use->param_count = conf->params.count;
        if ((conf->aggregate_initial != NULL || conf->initial != NULL) &&
            (use->kind == FLV_SMARTMODULE_ANY ||
             use->kind == FLV_SMARTMODULE_AGGREGATE)) {
            use->has_accumulator = true;
            use->accumulator = flv_buf_slice(&s->accumulator);
        }
    }
    return rc;
}

/* ---- Transforms --------------------------------------------------------- */

static flv_rc use_transform(struct cli_smart *s,
                            const struct flv_transform *t,
                            const char *where,
                            struct flv_err *err)
{
    if (s->count == FLV_SM_STEPS_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "%.80s: more than %d transforms",
                        where, FLV_SM_STEPS_MAX);
    }
    if (t->on_error != NULL && strcmp(t->on_error, "halt") != 0) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "%.80s: on-error is for connectors; this command "
                        "stops at a record that fails",
                        where);
    }
    const size_t at = s->count;
    struct flv_smartmodule_use *use = new_use(s);
    struct flv_smartmodule_param *params =
        flv_zalloc(t->param_count + 1, sizeof *params);
    if (params == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    s->file_params[at] = params;
    for (size_t i = 0; i < t->param_count; i++) {
        params[i].key = t->params[i].key;
        params[i].value = t->params[i].value;
    }
    use->name = t->uses;
    use->params = params;
    use->param_count = t->param_count;
    use->look_back_last = t->look_back_last;
    use->look_back_age_ms = t->look_back_age_ms;
    const struct flv_budget *b = &t->budget;
    s->has_budget[at] = b->fuel + b->cpu_ms + b->memory_bytes +
                            b->output_records + b->output_bytes >
                        0;
    s->budgets[at] =
        (struct flv_sm_budget){.fuel = b->fuel,
                               .cpu_ms = (uint32_t)b->cpu_ms,
                               .memory_bytes = (size_t)b->memory_bytes,
                               .output_records = (uint32_t)b->output_records,
                               .output_bytes = (size_t)b->output_bytes};
    return FLV_OK;
}

static flv_rc use_transforms(struct cli_smart *s,
                             const struct flv_cfile *f,
                             const char *where,
                             struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < f->warning_count; i++) {
        fprintf(stderr, "warning: %s\n", f->warnings[i]);
    }
    for (size_t i = 0; i < f->transform_count && rc == FLV_OK; i++) {
        rc = use_transform(s, &f->transforms[i], where, err);
    }
    return rc;
}

static flv_rc load_transforms(struct cli_smart *s,
                              const struct cli_smart_conf *conf,
                              struct flv_err *err)
{
    static const struct flv_cfile_conf plain = {0};
    const struct flv_list *lines = &conf->transforms_line;
    if (conf->params.count > 0) {
        return conflict(
            "params", lines->count > 0 ? "transforms-line" : "transforms", err);
    }
    if (conf->transforms != NULL) {
        struct flv_cfile *f = &s->files[s->file_count++];
        flv_rc rc = flv_cfile_read_transforms(f, conf->transforms, &plain, err);
        return rc == FLV_OK ? use_transforms(s, f, conf->transforms, err) : rc;
    }
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < lines->count && rc == FLV_OK; i++) {
        if (s->file_count == FLV_SM_STEPS_MAX) {
            return flv_fail(err, FLV_E_LIMIT, "more than %d --transforms-line",
                            FLV_SM_STEPS_MAX);
        }
        struct flv_cfile *f = &s->files[s->file_count++];
        rc = flv_cfile_parse_transform(f, "--transforms-line",
                                       flv_slice_str(lines->items[i]), &plain,
                                       err);
        rc = rc == FLV_OK ? use_transforms(s, f, "--transforms-line", err) : rc;
    }
    return rc;
}

/* ---- All of it ---------------------------------------------------------- */

static flv_rc load_modules(struct cli_smart *s,
                           const struct cli_smart_conf *conf,
                           struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    if (conf->smartmodule != NULL) {
        new_use(s)->name = conf->smartmodule;
    } else if (conf->smartmodule_path != NULL) {
        rc = use_file(s, conf->smartmodule_path, FLV_SMARTMODULE_ANY, err);
    }
    for (size_t i = 0; i < OLD_COUNT && rc == FLV_OK; i++) {
        const char *value = old_value(conf, i);
        if (value != NULL) {
            rc = use_old(s, value, old_kinds[i].kind, err);
        }
    }
    return rc;
}

flv_rc cli_smart_load(struct cli_smart *s,
                      const struct cli_smart_conf *conf,
                      struct flv_err *err)
{
    const char *way = NULL;
    *s = (struct cli_smart){.count = 0};
    flv_buf_init(&s->texts, TEXTS_BYTES_MAX);
    flv_buf_init(&s->accumulator, ACCUMULATOR_BYTES_MAX);
    flv_rc rc = check_ways(conf, &way, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (way == NULL) {
        const char *alone = conf->params.count > 0  ? "params"
                            : conf->initial != NULL ? "initial"
                            : conf->aggregate_initial != NULL
                                ? "aggregate-initial"
                                : NULL;
        return alone == NULL ? FLV_OK
                             : flv_fail(err, FLV_E_USAGE,
                                        "'--%s' needs a SmartModule, such as "
                                        "'--smartmodule <NAME>'",
                                        alone);
    }
    if (conf->transforms != NULL || conf->transforms_line.count > 0) {
        return load_transforms(s, conf, err);
    }
    rc = load_modules(s, conf, err);
    return rc == FLV_OK ? apply(s, conf, err) : rc;
}

flv_rc cli_smart_load_list(struct cli_smart *s,
                           const struct flv_list *modules,
                           const struct flv_list *params,
                           struct flv_err *err)
{
    const struct cli_smart_conf conf = {.params = *params};
    flv_rc rc = FLV_OK;
    *s = (struct cli_smart){.count = 0};
    flv_buf_init(&s->texts, TEXTS_BYTES_MAX);
    flv_buf_init(&s->accumulator, ACCUMULATOR_BYTES_MAX);
    if (modules->count > FLV_SM_STEPS_MAX) {
        return flv_fail(err, FLV_E_USAGE,
                        "%zu modules are more than the %d "
                        "that a chain may have",
                        modules->count, FLV_SM_STEPS_MAX);
    }
    for (size_t i = 0; i < modules->count && rc == FLV_OK; i++) {
        rc = use_old(s, modules->items[i], FLV_SMARTMODULE_ANY, err);
    }
    return rc == FLV_OK ? apply(s, &conf, err) : rc;
}

void cli_smart_deinit(struct cli_smart *s)
{
    for (size_t i = 0; i < s->count; i++) {
        flv_buf_deinit(&s->wasm[i]);
        flv_free(s->file_params[i]);
    }
    for (size_t i = 0; i < s->file_count; i++) {
        flv_cfile_deinit(&s->files[i]);
    }
    flv_free(s->params);
    flv_buf_deinit(&s->texts);
    flv_buf_deinit(&s->accumulator);
    *s = (struct cli_smart){.count = 0};
}

flv_rc cli_smart_check_remote(const struct cli_smart *s, struct flv_err *err)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->has_budget[i]) {
            return flv_fail(err, FLV_E_UNSUPPORTED,
                            "%.80s: a budget cannot be told a server; leave "
                            "it out",
                            s->uses[i].name);
        }
    }
    return FLV_OK;
}

/* ---- Values in several spellings ----------------------------------------- */

/* The same word whether written with '-', '_' or capitals. */
static bool same_word(const char *a, const char *b)
{
    for (;;) {
        while (*a == '-' || *a == '_') {
            a++;
        }
        while (*b == '-' || *b == '_') {
            b++;
        }
        if (*a == '\0' || *b == '\0') {
            return *a == *b;
        }
        if (strncasecmp(a, b, 1) != 0) {
            return false;
        }
        a++;
        b++;
    }
}

flv_rc cli_parse_isolation(const char *text,
                           enum flv_isolation *out,
                           struct flv_err *err)
{
    if (same_word(text, "read_committed")) {
        *out = FLV_READ_COMMITTED;
    } else if (same_word(text, "read_uncommitted")) {
        *out = FLV_READ_UNCOMMITTED;
    } else {
        return flv_fail(err, FLV_E_USAGE,
                        "unrecognized isolation: %.60s. Supported: "
                        "read_committed (ReadCommitted), read_uncommitted "
                        "(ReadUncommitted)",
                        text);
    }
    return FLV_OK;
}

flv_rc cli_parse_delivery(const char *text,
                          enum flv_delivery *out,
                          struct flv_err *err)
{
    if (same_word(text, "at_least_once")) {
        *out = FLV_AT_LEAST_ONCE;
    } else if (same_word(text, "at_most_once")) {
        *out = FLV_AT_MOST_ONCE;
    } else {
        return flv_fail(err, FLV_E_USAGE,
                        "unrecognized delivery semantic: %.60s. Supported: "
                        "at_most_once (AtMostOnce), at_least_once "
                        "(AtLeastOnce)",
                        text);
    }
    return FLV_OK;
}
