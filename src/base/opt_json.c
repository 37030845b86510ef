/* Tables and values of opt.h as JSON, and the check of tables. */
#include "base/opt.h"

#include <assert.h>
#include <string.h>

#include "base/opt_priv.h"
#include "base/text.h"

static const char *const type_names[] = {
    [FLV_OPT_FLAG] = "flag",         [FLV_OPT_STR] = "string",
    [FLV_OPT_U64] = "integer",       [FLV_OPT_I64] = "integer",
    [FLV_OPT_DURATION] = "duration", [FLV_OPT_SIZE] = "size",
    [FLV_OPT_CHOICE] = "choice",     [FLV_OPT_LIST] = "list",
};

/* Stops adding at the first failure, so that a row of calls needs one check. */
struct out {
    struct flv_buf *b;
    flv_rc rc;
};

static void add(struct out *o, const char *text)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_add_str(o->b, text);
    }
}

static void add_text(struct out *o, const char *text)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_text_json_str(o->b, text);
    }
}

static void add_number(struct out *o, bool negative, uint64_t v)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_addf(o->b, "%s%llu", negative ? "-" : "",
                             (unsigned long long)v);
    }
}

static void add_i64(struct out *o, int64_t v)
{
    add_number(o, v < 0, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static void add_member(struct out *o, const char *key, const char *text)
{
    if (text != NULL) {
        add(o, ",");
        add_text(o, key);
        add(o, ":");
        add_text(o, text);
    }
}

static void add_array(struct out *o, const char *const *items)
{
    add(o, "[");
    for (size_t i = 0; items[i] != NULL; i++) {
        add(o, i > 0 ? "," : "");
        add_text(o, items[i]);
    }
    add(o, "]");
}

static void add_range(struct out *o, const struct flv_opt *opt)
{
    bool open = opt->min == 0 && opt->max == 0;

    if (opt->type == FLV_OPT_I64) {
        add(o, ",\"min\":");
        add_i64(o, open ? INT64_MIN : (int64_t)opt->min);
        add(o, ",\"max\":");
        add_i64(o, open ? INT64_MAX : (int64_t)opt->max);
        return;
    }
    if (opt->min > 0) {
        add(o, ",\"min\":");
        add_number(o, false, opt->min);
    }
    if (opt->max > 0) {
        add(o, ",\"max\":");
        add_number(o, false, opt->max);
    }
}

static void add_flags(struct out *o, unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *text;
    } names[] = {
        {FLV_OPT_REQUIRED, ",\"required\":true"},
        {FLV_OPT_SECRET, ",\"secret\":true"},
        {FLV_OPT_POSITIONAL, ",\"positional\":true"},
        {FLV_OPT_HIDDEN, ",\"hidden\":true"},
        {FLV_OPT_SHARED, ",\"shared\":true"},
        {FLV_OPT_LINE, ",\"line_only\":true"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        add(o, (flags & names[i].flag) != 0 ? names[i].text : "");
    }
}

static void add_option(struct out *o, const struct flv_opt *opt)
{
    char letter[2] = {opt->letter, '\0'};

    add(o, "{\"name\":");
    add_text(o, opt->name);
    add_member(o, "type", type_names[opt->type]);
    add_member(o, "help", opt->help);
    add_member(o, "default", opt->fallback);
    add_member(o, "short", opt->letter != 0 ? letter : NULL);
    add_member(o, "env", opt->env);
    add_member(o, "group", opt->group);
    add_member(o, "since", opt->since);
    add_member(o, "deprecated", opt->deprecated);
    add_member(o, "example", opt->example);
    add_member(o, "arg", opt->arg);
    if (opt->choices != NULL) {
        add(o, ",\"choices\":");
        add_array(o, opt->choices);
    }
    if (opt->aliases != NULL) {
        add(o, ",\"aliases\":");
        add_array(o, opt->aliases);
    }
    add_range(o, opt);
    if (opt->type == FLV_OPT_DURATION && opt->unit_ms > 0) {
        add(o, ",\"unit_ms\":");
        add_number(o, false, opt->unit_ms);
    }
    add_flags(o, opt->flags);
    add(o, "}");
}

flv_rc flv_opt_describe(const struct flv_opt *table, struct flv_buf *b)
{
    struct out o = {.b = b, .rc = FLV_OK};
    size_t before = b->len;

    add(&o, "[");
    for (size_t i = 0; table != NULL && table[i].name != NULL; i++) {
        add(&o, i > 0 ? "," : "");
        add_option(&o, &table[i]);
    }
    add(&o, "]");
    if (o.rc != FLV_OK) {
        b->len = before;
    }
    return o.rc;
}

static void add_list(struct out *o, const struct flv_list *list, bool secret)
{
    add(o, "[");
    for (size_t i = 0; i < list->count; i++) {
        add(o, i > 0 ? "," : "");
        add_text(o, secret ? "***" : list->items[i]);
    }
    add(o, "]");
}

static void
add_value(struct out *o, const struct flv_opt *opt, const void *field)
{
    bool secret = (opt->flags & FLV_OPT_SECRET) != 0;
    char shown[FLV_TEXT_FORMAT_MAX];

    if (opt->type == FLV_OPT_LIST) {
        add_list(o, field, secret);
        return;
    }
    if (secret) {
        add_text(o, "***");
        return;
    }
    switch (opt->type) {
    case FLV_OPT_FLAG:
        add(o, *(const bool *)field ? "true" : "false");
        break;
    case FLV_OPT_STR:
        add_text(o, *(char *const *)field);
        break;
    case FLV_OPT_I64:
        add_i64(o, *(const int64_t *)field);
        break;
    case FLV_OPT_CHOICE:
        add_text(o, opt->choices[*(const int *)field]);
        break;
    case FLV_OPT_DURATION:
        flv_text_format_duration(*(const uint64_t *)field, shown);
        add_text(o, shown);
        break;
    case FLV_OPT_U64:
    case FLV_OPT_SIZE:
        add_number(o, false, *(const uint64_t *)field);
        break;
    case FLV_OPT_LIST:
        assert(0 && "handled above");
        break;
    }
}

flv_rc flv_opts_values(const struct flv_opts *opts, struct flv_buf *b)
{
    struct out o = {.b = b, .rc = FLV_OK};
    size_t before = b->len, shown = 0;

    add(&o, "{");
    for (size_t i = 0; i < flv__opt_count(opts->table); i++) {
        if (opts->source[i] != FLV_SOURCE_NONE) {
            add(&o, shown++ > 0 ? "," : "");
            add_text(&o, opts->table[i].name);
            add(&o, ":");
            add_value(&o, &opts->table[i], flv__opt_field(opts, i));
        }
    }
    add(&o, "}");
    if (o.rc != FLV_OK) {
        b->len = before;
    }
    return o.rc;
}

/* ---- Check ------------------------------------------------------------- */

static size_t field_size(enum flv_opt_type type)
{
    switch (type) {
    case FLV_OPT_FLAG:
        return sizeof(bool);
    case FLV_OPT_STR:
        return sizeof(char *);
    case FLV_OPT_CHOICE:
        return sizeof(int);
    case FLV_OPT_LIST:
        return sizeof(struct flv_list);
    case FLV_OPT_U64:
    case FLV_OPT_I64:
    case FLV_OPT_DURATION:
    case FLV_OPT_SIZE:
        break;
    }
    return sizeof(uint64_t);
}

static bool same_name(const struct flv_opt *table, size_t i)
{
    const char *const *alias = table[i].aliases;

    if (flv__opt_index(table, table[i].name) != (int)i) {
        return true;
    }
    for (; alias != NULL && *alias != NULL; alias++) {
        if (flv__opt_index(table, *alias) != (int)i) {
            return true;
        }
    }
    for (size_t j = 0; j < i && table[i].letter != 0; j++) {
        if (table[i].letter == table[j].letter) {
            return true;
        }
    }
    return false;
}

static bool out_of_place(const struct flv_opt *table, size_t i)
{
    const unsigned place = FLV_OPT_POSITIONAL, must = FLV_OPT_REQUIRED;

    for (size_t j = 0; j < i && (table[i].flags & place) != 0; j++) {
        if ((table[j].flags & place) != 0 &&
            (table[j].type == FLV_OPT_LIST ||
             (table[i].flags & must) > (table[j].flags & must))) {
            return true;
        }
    }
    return false;
}

static flv_rc check_option(const struct flv_opt *table,
                           size_t i,
                           size_t conf_size,
                           struct flv_err *err)
{
    const struct flv_opt *opt = &table[i];
    const char *why = NULL;
    union flv_opt_value v;
    flv_rc rc = FLV_OK;

    if (same_name(table, i)) {
        why = "its name, alias or letter is taken";
    } else if (out_of_place(table, i)) {
        why = "a positional cannot follow that before it";
    } else if ((opt->flags & FLV_OPT_HIDDEN) == 0 &&
               (opt->help == NULL || *opt->help == '\0')) {
        why = "it has no help";
    } else if ((opt->type == FLV_OPT_CHOICE) != (opt->choices != NULL)) {
        why = "choices and type do not agree";
    } else if (opt->offset > conf_size ||
               conf_size - opt->offset < field_size(opt->type)) {
        why = "its field is outside the struct";
    } else if ((opt->flags & FLV_OPT_REQUIRED) != 0 && opt->fallback != NULL) {
        why = "required and a default exclude each other";
    } else if (opt->type != FLV_OPT_I64 && opt->max > 0 &&
               opt->min > opt->max) {
        why = "its range is empty";
    }
    if (why != NULL) {
        return flv_fail(err, FLV_E_INVALID, "option '%s': %s", opt->name, why);
    }
    if (opt->fallback != NULL) {
        rc = flv__opt_parse(opt, opt->fallback, &v, err);
    }
    if (rc == FLV_OK && opt->bare != NULL) {
        rc = flv__opt_parse(opt, opt->bare, &v, err);
    }
    if (rc != FLV_OK) {
        flv_err_prefix(err, "default of option '%s'", opt->name);
    }
    return rc;
}

flv_rc flv_opt_check_table(const struct flv_opt *table,
                           size_t conf_size,
                           struct flv_err *err)
{
    size_t count = flv__opt_count(table);

    if (count > FLV_OPT_COUNT_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "%zu options, at most %d are allowed",
                        count, FLV_OPT_COUNT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        flv_rc rc = check_option(table, i, conf_size, err);

        if (rc != FLV_OK) {
            return rc;
        }
    }
    return FLV_OK;
}
