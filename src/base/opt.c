#include "base/opt.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/opt_priv.h"
#include "base/text.h"

/* ---- Finding ----------------------------------------------------------- */

size_t flv__opt_count(const struct flv_opt *table)
{
    size_t n = 0;

    while (table != NULL && table[n].name != NULL) {
        n++;
    }
    return n;
}

bool flv__opt_name_eq(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        bool alike = (*a == '-' || *a == '_') && (*b == '-' || *b == '_');

        if (*a != *b && !alike) {
            return false;
        }
    }
    return *a == *b;
}

static bool has_name(const struct flv_opt *opt, const char *name)
{
    const char *const *alias = opt->aliases;

    if (flv__opt_name_eq(opt->name, name)) {
        return true;
    }
    for (; alias != NULL && *alias != NULL; alias++) {
        if (flv__opt_name_eq(*alias, name)) {
            return true;
        }
    }
    return false;
}

int flv__opt_index(const struct flv_opt *table, const char *name)
{
    for (int i = 0; table != NULL && table[i].name != NULL; i++) {
        if (has_name(&table[i], name)) {
            return i;
        }
    }
    return -1;
}

const struct flv_opt *flv_opt_find(const struct flv_opt *table,
                                   const char *name)
{
    int i = flv__opt_index(table, name);

    return i >= 0 ? &table[i] : NULL;
}

/* ---- One value --------------------------------------------------------- */

/* Appends ", <quote>word<quote>" to a list of words, as far as it fits. */
static void
list_word(char *list, size_t size, const char *quote, const char *word)
{
    size_t len = strlen(list);

    (void)snprintf(list + len, size - len, "%s%s%s%s", len > 0 ? ", " : "",
                   quote, word, quote);
}

static flv_rc parse_choice(const struct flv_opt *opt,
                           const char *text,
                           int *out,
                           struct flv_err *err)
{
    char all[120] = "";

    assert(opt->choices != NULL);
    for (int i = 0; opt->choices[i] != NULL; i++) {
        if (strcmp(opt->choices[i], text) == 0 ||
            ((opt->flags & FLV_OPT_ANY_CASE) != 0 &&
             strcasecmp(opt->choices[i], text) == 0)) {
            *out = i;
            return FLV_OK;
        }
        list_word(all, sizeof(all), "", opt->choices[i]);
    }
    return flv_fail(err, FLV_E_INVALID, "'%.40s' is none of %s", text, all);
}

static flv_rc
check_text(const struct flv_opt *opt, const char *text, struct flv_err *err)
{
    uint64_t max = opt->max > 0 ? opt->max : FLV_OPT_TEXT_MAX;
    size_t len = strlen(text);

    if (len < opt->min) {
        return flv_fail(err, FLV_E_INVALID, "%s",
                        len == 0 ? "the text is empty"
                                 : "the text is too short");
    }
    if (len > max) {
        return flv_fail(err, FLV_E_INVALID,
                        "the text of %zu bytes is longer than the %llu allowed",
                        len, (unsigned long long)max);
    }
    return FLV_OK;
}

static flv_rc check_range(const struct flv_opt *opt,
                          uint64_t v,
                          const char *text,
                          struct flv_err *err)
{
    char low[FLV_TEXT_FORMAT_MAX], high[FLV_TEXT_FORMAT_MAX];
    uint64_t max = opt->max > 0 ? opt->max : UINT64_MAX;

    if (v >= opt->min && v <= max) {
        return FLV_OK;
    }
    if (opt->type == FLV_OPT_DURATION) {
        flv_text_format_duration(opt->min, low);
        flv_text_format_duration(max, high);
    } else {
        flv_text_format_size(opt->min, low);
        flv_text_format_size(max, high);
    }
    if (opt->max == 0) {
        return flv_fail(err, FLV_E_INVALID, "'%.40s' is less than %s", text,
                        low);
    }
    return flv_fail(err, FLV_E_INVALID, "'%.40s' is not from %s to %s", text,
                    low, high);
}

static flv_rc parse_i64(const struct flv_opt *opt,
                        const char *text,
                        int64_t *out,
                        struct flv_err *err)
{
    bool open = opt->min == 0 && opt->max == 0;

    return flv_text_i64(text, open ? INT64_MIN : (int64_t)opt->min,
                        open ? INT64_MAX : (int64_t)opt->max, out, err);
}

static flv_rc parse_flag(const char *text, bool *out, struct flv_err *err)
{
    bool yes = strcmp(text, "true") == 0;

    if (!yes && strcmp(text, "false") != 0) {
        return flv_fail(err, FLV_E_INVALID, "'%.40s' is none of true, false",
                        text);
    }
    *out = yes;
    return FLV_OK;
}

static flv_rc parse_shown(const struct flv_opt *opt,
                          const char *text,
                          union flv_opt_value *out,
                          struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    switch (opt->type) {
    case FLV_OPT_FLAG:
        return parse_flag(text, &out->flag, err);
    case FLV_OPT_STR:
    case FLV_OPT_LIST:
        return check_text(opt, text, err);
    case FLV_OPT_U64:
        return flv_text_u64(text, opt->min,
                            opt->max > 0 ? opt->max : UINT64_MAX, &out->u64,
                            err);
    case FLV_OPT_I64:
        return parse_i64(opt, text, &out->i64, err);
    case FLV_OPT_CHOICE:
        return parse_choice(opt, text, &out->choice, err);
    case FLV_OPT_DURATION:
        rc = flv_text_duration(text, opt->unit_ms, &out->u64, err);
        break;
    case FLV_OPT_SIZE:
        rc = flv_text_size(text, &out->u64, err);
        break;
    }
    return rc == FLV_OK ? check_range(opt, out->u64, text, err) : rc;
}

flv_rc flv__opt_parse(const struct flv_opt *opt,
                      const char *text,
                      union flv_opt_value *out,
                      struct flv_err *err)
{
    union flv_opt_value v = {.u64 = 0};
    flv_rc rc = parse_shown(opt, text, &v, err);

    if (rc != FLV_OK && (opt->flags & FLV_OPT_SECRET) != 0) {
        return flv_fail(err, rc, "the secret value (not shown) does not fit");
    }
    if (rc == FLV_OK) {
        *out = v;
    }
    return rc;
}

flv_rc
flv_opt_check(const struct flv_opt *opt, const char *text, struct flv_err *err)
{
    union flv_opt_value ignored;

    return flv__opt_parse(opt, text, &ignored, err);
}

static flv_rc set_text(char **field, const char *text, struct flv_err *err)
{
    char *copy = flv_strdup(text);

    if (copy == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for an option");
    }
    flv_free(*field);
    *field = copy;
    return FLV_OK;
}

static void clear_list(struct flv_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        flv_free(list->items[i]);
    }
    flv_free(list->items);
    *list = (struct flv_list){.items = NULL};
}

static flv_rc
add_item(struct flv_list *list, const char *text, struct flv_err *err)
{
    char **items, *copy;

    if (list->count == FLV_OPT_LIST_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "more than %d items",
                        FLV_OPT_LIST_MAX);
    }
    items = flv_realloc(list->items, (list->count + 1) * sizeof(*items));
    if (items == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for an option");
    }
    list->items = items;
    copy = flv_strdup(text);
    if (copy == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for an option");
    }
    items[list->count++] = copy;
    return FLV_OK;
}

static void
store(const struct flv_opt *opt, void *field, const union flv_opt_value *v)
{
    switch (opt->type) {
    case FLV_OPT_FLAG:
        *(bool *)field = v->flag;
        break;
    case FLV_OPT_I64:
        *(int64_t *)field = v->i64;
        break;
    case FLV_OPT_CHOICE:
        *(int *)field = v->choice;
        break;
    case FLV_OPT_U64:
    case FLV_OPT_DURATION:
    case FLV_OPT_SIZE:
        *(uint64_t *)field = v->u64;
        break;
    case FLV_OPT_STR:
    case FLV_OPT_LIST:
        assert(0 && "texts are stored by copy");
        break;
    }
}

flv_rc flv__opt_set_at(struct flv_opts *o,
                       size_t index,
                       const char *text,
                       enum flv_opt_source source,
                       struct flv_err *err)
{
    const struct flv_opt *opt = &o->table[index];
    void *field = (char *)o->conf + opt->offset;
    union flv_opt_value v = {.u64 = 0};
    flv_rc rc;

    assert(source > FLV_SOURCE_NONE && source <= FLV_SOURCE_USER);
    if (o->source[index] > source) {
        return FLV_OK;
    }
    rc = flv__opt_parse(opt, text, &v, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (opt->type == FLV_OPT_STR) {
        rc = set_text(field, text, err);
    } else if (opt->type == FLV_OPT_LIST) {
        if (o->source[index] != source) {
            clear_list(field);
        }
        rc = add_item(field, text, err);
    } else {
        store(opt, field, &v);
    }
    if (rc == FLV_OK) {
        o->source[index] = (uint8_t)source;
    }
    return rc;
}

/* ---- The table --------------------------------------------------------- */

void flv_opts_init(struct flv_opts *o, const struct flv_opt *table, void *conf)
{
    assert(flv__opt_count(table) <= FLV_OPT_COUNT_MAX);
    assert(conf != NULL || flv__opt_count(table) == 0);
    *o = (struct flv_opts){.table = table, .conf = conf};
}

void flv_opts_deinit(struct flv_opts *o)
{
    size_t count = o != NULL ? flv__opt_count(o->table) : 0;

    for (size_t i = 0; i < count; i++) {
        void *field = (char *)o->conf + o->table[i].offset;

        if (o->table[i].type == FLV_OPT_STR) {
            flv_free(*(char **)field);
            *(char **)field = NULL;
        } else if (o->table[i].type == FLV_OPT_LIST) {
            clear_list(field);
        }
        o->source[i] = FLV_SOURCE_NONE;
    }
}

static flv_rc
unknown_name(const struct flv_opt *table, const char *name, struct flv_err *err)
{
    struct flv_nearest near;
    const char *best;

    flv_nearest_init(&near, name);
    for (size_t i = 0; table != NULL && table[i].name != NULL; i++) {
        if ((table[i].flags & FLV_OPT_HIDDEN) == 0) {
            flv_nearest_offer(&near, table[i].name);
        }
    }
    best = flv_nearest_get(&near);
    if (best != NULL) {
        return flv_fail(err, FLV_E_NOT_FOUND,
                        "there is no option '%.60s'; a similar option exists: "
                        "'%s'",
                        name, best);
    }
    return flv_fail(err, FLV_E_NOT_FOUND, "there is no option '%.60s'", name);
}

/* A bad value is the user's: callers tell it from a lack of memory. */
static flv_rc as_usage(flv_rc rc, struct flv_err *err)
{
    if (rc == FLV_E_INVALID || rc == FLV_E_LIMIT) {
        rc = FLV_E_USAGE;
        if (err != NULL) {
            err->rc = rc;
        }
    }
    return rc;
}

flv_rc flv_opts_set(struct flv_opts *o,
                    const char *name,
                    const char *text,
                    enum flv_opt_source source,
                    struct flv_err *err)
{
    int index = flv__opt_index(o->table, name);
    flv_rc rc;

    if (index < 0) {
        return unknown_name(o->table, name, err);
    }
    rc = flv__opt_set_at(o, (size_t)index, text, source, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "invalid value for '%s'", name);
    }
    return as_usage(rc, err);
}

flv_rc flv__opt_fill(struct flv_opts *o, struct flv_err *err)
{
    size_t count = flv__opt_count(o->table);

    for (size_t i = 0; i < count; i++) {
        const struct flv_opt *opt = &o->table[i];
        const char *env = opt->env != NULL ? getenv(opt->env) : NULL;
        flv_rc rc = FLV_OK;

        if (env != NULL && *env != '\0' && o->source[i] < FLV_SOURCE_ENV) {
            rc = flv__opt_set_at(o, i, env, FLV_SOURCE_ENV, err);
            if (rc != FLV_OK) {
                flv_err_prefix(err, "invalid value in the environment's %s",
                               opt->env);
            }
        } else if (o->source[i] == FLV_SOURCE_NONE && opt->fallback != NULL) {
            rc = flv__opt_set_at(o, i, opt->fallback, FLV_SOURCE_FALLBACK, err);
            if (rc != FLV_OK) {
                flv_err_prefix(err, "invalid default of '%s'", opt->name);
            }
        }
        if (rc != FLV_OK) {
            return as_usage(rc, err);
        }
    }
    return FLV_OK;
}

bool flv__opt_conflict(const struct flv_opts *o, size_t *out_a, size_t *out_b)
{
    size_t count = flv__opt_count(o->table);

    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count && o->table[i].group != NULL; j++) {
            if (o->table[j].group != NULL &&
                strcmp(o->table[i].group, o->table[j].group) == 0 &&
                o->source[i] >= FLV_SOURCE_ENV &&
                o->source[j] >= FLV_SOURCE_ENV) {
                *out_a = i;
                *out_b = j;
                return true;
            }
        }
    }
    return false;
}

bool flv__opt_missing(const struct flv_opts *o, size_t index)
{
    return (o->table[index].flags & FLV_OPT_REQUIRED) != 0 &&
           o->source[index] == FLV_SOURCE_NONE;
}

flv_rc flv__opt_fail_missing(const struct flv_opts *o, struct flv_err *err)
{
    size_t count = flv__opt_count(o->table);
    char names[FLV_ERR_TEXT_MAX] = "";

    for (size_t i = 0; i < count; i++) {
        if (flv__opt_missing(o, i)) {
            list_word(names, sizeof(names), "'", o->table[i].name);
        }
    }
    return names[0] == '\0' ? FLV_OK
                            : flv_fail(err, FLV_E_USAGE,
                                       "required and not given: %s", names);
}

flv_rc flv_opts_finish(struct flv_opts *o, struct flv_err *err)
{
    size_t a, b;
    flv_rc rc = flv__opt_fill(o, err);

    if (rc != FLV_OK) {
        return rc;
    }
    if (flv__opt_conflict(o, &a, &b)) {
        return flv_fail(err, FLV_E_USAGE, "'%s' cannot be used with '%s'",
                        o->table[a].name, o->table[b].name);
    }
    return flv__opt_fail_missing(o, err);
}

enum flv_opt_source flv_opts_source(const struct flv_opts *o, const char *name)
{
    int i = flv__opt_index(o->table, name);

    assert(i >= 0);
    return (enum flv_opt_source)o->source[i];
}

bool flv_opts_given(const struct flv_opts *o, const char *name)
{
    return flv_opts_source(o, name) >= FLV_SOURCE_ENV;
}
