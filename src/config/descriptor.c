#include "config/descriptor.h"

#include <assert.h>
#include <stdio.h>

#include "base/text.h"
#include "config/try.h"

#define NAME "description"
#define ARENA_MAX ((size_t)4 * 1024 * 1024)
#define TEXT_BYTES_MAX 1000

struct read {
    struct flv_descriptor *d;  /* borrowed; being filled */
    const struct flv_doc *doc; /* borrowed */
    struct flv_err *err;
};

/* --- names --------------------------------------------------------------- */

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool flv_connector_name_ok(const char *name)
{
    size_t len = strnlen(name, FLV_CONNECTOR_NAME_MAX + 1);
    if (len == 0 || len > FLV_CONNECTOR_NAME_MAX || !is_lower(name[0]) ||
        !is_lower(name[len - 1])) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_lower(name[i]) && name[i] != '-' && name[i] != '.') {
            return false;
        }
    }
    return true;
}

bool flv_connector_type_ok(const char *name)
{
    return flv_connector_name_ok(name) && strchr(name, '.') == NULL;
}

/* --- members ------------------------------------------------------------- */

static flv_rc nomem(struct read *r)
{
    bool full = flv_arena_full(&r->d->arena);
    return flv_fail(r->err, full ? FLV_E_LIMIT : FLV_E_NOMEM, NAME ": %s",
                    full ? "the texts are too large together"
                         : "out of memory");
}

/* A text of printable characters on one line; *out is left alone without the
 * member. */
static flv_rc get_text(struct read *r,
                       const struct flv_node *map,
                       const char *key,
                       const char **out)
{
    const struct flv_node *node = flv_node_get(map, key);
    if (node == NULL) {
        return FLV_OK;
    }
    if (node->kind != FLV_NODE_SCALAR || strlen(node->text) != node->len) {
        return flv_doc_fail(r->doc, node, r->err, "%s is no text", key);
    }
    if (node->len > TEXT_BYTES_MAX) {
        return flv_doc_fail(r->doc, node, r->err,
                            "%s has %zu bytes; at most %d are read", key,
                            node->len, TEXT_BYTES_MAX);
    }
    if (!flv_text_is_tidy(flv_slice(node->text, node->len))) {
        return flv_doc_fail(r->doc, node, r->err,
                            "%s holds a control character", key);
    }
    const char *text = flv_arena_text(&r->d->arena, node->text, node->len);
    if (text == NULL) {
        return nomem(r);
    }
    *out = text;
    return FLV_OK;
}

static flv_rc need_text(struct read *r,
                        const struct flv_node *map,
                        const char *key,
                        const char **out)
{
    const char *text = NULL;
    FLV_TRY(get_text(r, map, key, &text));
    if (text == NULL || text[0] == '\0') {
        return flv_doc_fail(r->doc, map, r->err, "there is no %s", key);
    }
    *out = text;
    return FLV_OK;
}

static flv_rc get_flag(struct read *r,
                       const struct flv_node *map,
                       const char *key,
                       unsigned flag,
                       unsigned *flags)
{
    const struct flv_node *node = flv_node_get(map, key);
    if (node == NULL) {
        return FLV_OK;
    }
    if (node->kind == FLV_NODE_SCALAR && strcmp(node->text, "true") == 0) {
        *flags |= flag;
        return FLV_OK;
    }
    if (node->kind == FLV_NODE_SCALAR && strcmp(node->text, "false") == 0) {
        return FLV_OK;
    }
    return flv_doc_fail(r->doc, node, r->err, "%s is not true or false", key);
}

/* A list of texts, ending with NULL; *out is left alone without the member. */
static flv_rc get_words(struct read *r,
                        const struct flv_node *map,
                        const char *key,
                        const char *const **out)
{
    const struct flv_node *list = flv_node_get(map, key);
    if (list == NULL) {
        return FLV_OK;
    }
    if (list->kind != FLV_NODE_LIST || list->count > FLV_DESCRIPTOR_WORDS_MAX) {
        return flv_doc_fail(r->doc, list, r->err,
                            "%s is not a list of at most %d texts", key,
                            FLV_DESCRIPTOR_WORDS_MAX);
    }
    const char **words =
        FLV_ARENA_NEW(&r->d->arena, const char *, list->count + 1);
    if (words == NULL) {
        return nomem(r);
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct flv_node *item = list->items[i];
        if (item->kind != FLV_NODE_SCALAR || item->len == 0 ||
            item->len > TEXT_BYTES_MAX || strlen(item->text) != item->len) {
            return flv_doc_fail(r->doc, item, r->err,
                                "an item of %s is no text", key);
        }
        words[i] = flv_arena_text(&r->d->arena, item->text, item->len);
        if (words[i] == NULL) {
            return nomem(r);
        }
    }
    *out = words;
    return FLV_OK;
}

/* --- options ------------------------------------------------------------- */

static const struct {
    const char *name;
    enum flv_opt_type type;
} type_names[] = {
    {"flag", FLV_OPT_FLAG},   {"string", FLV_OPT_STR},
    {"integer", FLV_OPT_U64}, {"duration", FLV_OPT_DURATION},
    {"size", FLV_OPT_SIZE},   {"choice", FLV_OPT_CHOICE},
    {"list", FLV_OPT_LIST},
};

static flv_rc
option_type(struct read *r, const struct flv_node *map, struct flv_opt *opt)
{
    const char *type = "string";
    FLV_TRY(get_text(r, map, "type", &type));
    for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        if (strcmp(type_names[i].name, type) == 0) {
            opt->type = type_names[i].type;
            return FLV_OK;
        }
    }
    return flv_doc_fail(r->doc, map, r->err,
                        "the type \"%.40s\" of option %.40s is none of flag, "
                        "string, integer, duration, size, choice, list",
                        type, opt->name);
}

static flv_rc get_u64(struct read *r,
                      const struct flv_node *map,
                      const char *key,
                      uint64_t *v)
{
    const struct flv_node *node = flv_node_get(map, key);
    if (node != NULL &&
        (node->kind != FLV_NODE_SCALAR ||
         flv_text_u64(node->text, 0, UINT64_MAX, v, NULL) != FLV_OK)) {
        return flv_doc_fail(r->doc, node, r->err, "%s is no whole number", key);
    }
    return FLV_OK;
}

static flv_rc get_i64(struct read *r,
                      const struct flv_node *map,
                      const char *key,
                      uint64_t *v)
{
    const struct flv_node *node = flv_node_get(map, key);
    int64_t n = 0;
    if (node != NULL &&
        (node->kind != FLV_NODE_SCALAR ||
         flv_text_i64(node->text, INT64_MIN, INT64_MAX, &n, NULL) != FLV_OK)) {
        return flv_doc_fail(r->doc, node, r->err, "%s is no whole number", key);
    }
    if (node != NULL) {
        *v = (uint64_t)n;
    }
    return FLV_OK;
}

/* Integers with a negative least value are signed. */
static flv_rc
option_range(struct read *r, const struct flv_node *map, struct flv_opt *opt)
{
    const struct flv_node *min = flv_node_get(map, "min");
    if (opt->type == FLV_OPT_U64 && min != NULL &&
        min->kind == FLV_NODE_SCALAR && min->text[0] == '-') {
        opt->type = FLV_OPT_I64;
        opt->max = (uint64_t)INT64_MAX;
        FLV_TRY(get_i64(r, map, "min", &opt->min));
        FLV_TRY(get_i64(r, map, "max", &opt->max));
        if ((int64_t)opt->min > (int64_t)opt->max) {
            return flv_doc_fail(r->doc, map, r->err,
                                "the range of option %.40s is empty",
                                opt->name);
        }
        return FLV_OK;
    }
    FLV_TRY(get_u64(r, map, "min", &opt->min));
    FLV_TRY(get_u64(r, map, "max", &opt->max));
    FLV_TRY(get_u64(r, map, "unit_ms", &opt->unit_ms));
    if (opt->max > 0 && opt->min > opt->max) {
        return flv_doc_fail(r->doc, map, r->err,
                            "the range of option %.40s is empty", opt->name);
    }
    return FLV_OK;
}

static flv_rc
option_flags(struct read *r, const struct flv_node *map, struct flv_opt *opt)
{
    FLV_TRY(get_flag(r, map, "required", FLV_OPT_REQUIRED, &opt->flags));
    FLV_TRY(get_flag(r, map, "secret", FLV_OPT_SECRET, &opt->flags));
    FLV_TRY(get_flag(r, map, "hidden", FLV_OPT_HIDDEN, &opt->flags));
    FLV_TRY(get_flag(r, map, "shared", FLV_OPT_SHARED, &opt->flags));
    return get_flag(r, map, "line_only", FLV_OPT_LINE, &opt->flags);
}

/* Names and aliases of all options together have to be unique. */
static flv_rc check_unique(struct read *r,
                           const struct flv_node *node,
                           const struct flv_opt *table,
                           const struct flv_opt *opt)
{
    const char *taken =
        flv_opt_find(table, opt->name) != opt ? opt->name : NULL;
    for (size_t i = 0;
         taken == NULL && opt->aliases != NULL && opt->aliases[i] != NULL;
         i++) {
        taken = flv_opt_find(table, opt->aliases[i]) != opt ? opt->aliases[i]
                                                            : NULL;
    }
    if (taken != NULL) {
        return flv_doc_fail(r->doc, node, r->err,
                            "the option \"%.40s\" is there twice", taken);
    }
    return FLV_OK;
}

static bool option_name_ok(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        if (!is_lower(*p) && !(*p >= 'A' && *p <= 'Z') && *p != '-' &&
            *p != '_' && *p != '.') {
            return false;
        }
    }
    return name[0] != '\0' && strlen(name) <= 64;
}

static flv_rc
read_option(struct read *r, const struct flv_node *map, struct flv_opt *opt)
{
    if (map->kind != FLV_NODE_MAP) {
        return flv_doc_fail(r->doc, map, r->err,
                            "an option is an object, not %s",
                            flv_node_kind_name(map));
    }
    FLV_TRY(need_text(r, map, "name", &opt->name));
    if (!option_name_ok(opt->name)) {
        return flv_doc_fail(r->doc, map, r->err,
                            "\"%.40s\" cannot be the name of an option",
                            opt->name);
    }
    opt->help = "";
    FLV_TRY(option_type(r, map, opt));
    FLV_TRY(option_range(r, map, opt));
    FLV_TRY(get_text(r, map, "help", &opt->help));
    FLV_TRY(get_text(r, map, "default", &opt->fallback));
    FLV_TRY(get_text(r, map, "arg", &opt->arg));
    FLV_TRY(get_text(r, map, "env", &opt->env));
    FLV_TRY(get_text(r, map, "group", &opt->group));
    FLV_TRY(get_text(r, map, "since", &opt->since));
    FLV_TRY(get_text(r, map, "deprecated", &opt->deprecated));
    FLV_TRY(get_text(r, map, "example", &opt->example));
    FLV_TRY(get_words(r, map, "choices", &opt->choices));
    FLV_TRY(get_words(r, map, "aliases", &opt->aliases));
    FLV_TRY(option_flags(r, map, opt));
    if (opt->type == FLV_OPT_CHOICE &&
        (opt->choices == NULL || opt->choices[0] == NULL)) {
        return flv_doc_fail(r->doc, map, r->err, "option %.40s has no choices",
                            opt->name);
    }
    return FLV_OK;
}

static flv_rc read_options(struct read *r, const struct flv_node *root)
{
    const struct flv_node *list = flv_node_get(root, "options");
    size_t count = list != NULL ? list->count : 0;
    if (list != NULL &&
        (list->kind != FLV_NODE_LIST || count > FLV_DESCRIPTOR_OPTIONS_MAX)) {
        return flv_doc_fail(r->doc, list, r->err,
                            "options is not a list of at most %d",
                            FLV_DESCRIPTOR_OPTIONS_MAX);
    }
    struct flv_opt *opts =
        FLV_ARENA_NEW(&r->d->arena, struct flv_opt, count + 1);
    if (opts == NULL) {
        return nomem(r);
    }
    for (size_t i = 0; i < count; i++) {
        FLV_TRY(read_option(r, list->items[i], &opts[i]));
        FLV_TRY(check_unique(r, list->items[i], opts, &opts[i]));
    }
    r->d->opts = opts;
    r->d->opt_count = count;
    return FLV_OK;
}

/* --- the whole ----------------------------------------------------------- */

static flv_rc read_direction(struct read *r, const struct flv_node *root)
{
    const char *text = NULL;
    FLV_TRY(need_text(r, root, "direction", &text));
    if (strcmp(text, "source") == 0) {
        r->d->direction = FLV_CFILE_SOURCE;
    } else if (strcmp(text, "sink") == 0) {
        r->d->direction = FLV_CFILE_SINK;
    } else {
        return flv_doc_fail(r->doc, flv_node_get(root, "direction"), r->err,
                            "direction is \"%.40s\"; it has to be source or "
                            "sink",
                            text);
    }
    return FLV_OK;
}

static flv_rc read_versions(struct read *r, const struct flv_node *root)
{
    FLV_TRY(need_text(r, root, "version", &r->d->version));
    FLV_TRY(get_words(r, root, "versions", &r->d->versions));
    if (r->d->versions != NULL) {
        return FLV_OK;
    }
    const char **one = FLV_ARENA_NEW(&r->d->arena, const char *, 2);
    if (one == NULL) {
        return nomem(r);
    }
    one[0] = r->d->version;
    r->d->versions = one;
    return FLV_OK;
}

/* Features of later versions are not known here and not missed. */
static flv_rc read_features(struct read *r, const struct flv_node *root)
{
    static const struct {
        const char *word;
        unsigned feature;
    } known[] = {{"check", FLV_FEATURE_CHECK},
                 {"probe", FLV_FEATURE_PROBE},
                 {"secrets", FLV_FEATURE_SECRETS}};
    const char *const *words = NULL;
    FLV_TRY(get_words(r, root, "features", &words));
    FLV_TRY(get_u64(r, root, "control", &r->d->control));
    for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
            r->d->features |=
                strcmp(words[i], known[k].word) == 0 ? known[k].feature : 0U;
        }
    }
    r->d->features |= r->d->control > 0 ? FLV_FEATURE_SECRETS : 0U;
    return FLV_OK;
}

static flv_rc read_root(struct read *r, const struct flv_node *root)
{
    if (root == NULL || root->kind != FLV_NODE_MAP) {
        return flv_fail(r->err, FLV_E_INVALID, NAME ": it is no JSON object");
    }
    FLV_TRY(need_text(r, root, "name", &r->d->name));
    if (!flv_connector_type_ok(r->d->name)) {
        return flv_doc_fail(r->doc, flv_node_get(root, "name"), r->err,
                            "\"%.40s\" cannot be the name of a connector",
                            r->d->name);
    }
    r->d->summary = "";
    FLV_TRY(read_direction(r, root));
    FLV_TRY(read_versions(r, root));
    FLV_TRY(get_text(r, root, "summary", &r->d->summary));
    FLV_TRY(get_text(r, root, "section", &r->d->section));
    FLV_TRY(read_features(r, root));
    return read_options(r, root);
}

flv_rc flv_descriptor_parse(struct flv_descriptor *out,
                            struct flv_slice json,
                            struct flv_err *err)
{
    struct flv_doc *doc = NULL;
    *out = (struct flv_descriptor){.direction = FLV_CFILE_ANY};
    flv_arena_init(&out->arena, 4096, ARENA_MAX);
    if (json.len > FLV_DESCRIPTOR_BYTES_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        NAME ": %zu bytes; at most %zu are read", json.len,
                        FLV_DESCRIPTOR_BYTES_MAX);
    }
    flv_rc rc = flv_doc_parse(&doc, NAME, json, err);
    if (rc == FLV_OK) {
        struct read r = {.d = out, .doc = doc, .err = err};
        rc = read_root(&r, flv_doc_root(doc));
    }
    flv_doc_destroy(doc);
    return rc;
}

void flv_descriptor_deinit(struct flv_descriptor *d)
{
    if (d != NULL) {
        flv_arena_deinit(&d->arena);
        *d = (struct flv_descriptor){.direction = FLV_CFILE_ANY};
    }
}

bool flv_descriptor_has_version(const struct flv_descriptor *d,
                                const char *version)
{
    if (version == NULL || strcmp(version, "v1") == 0 ||
        strcmp(version, "latest") == 0) {
        return true;
    }
    for (size_t i = 0; d->versions[i] != NULL; i++) {
        if (strcmp(d->versions[i], version) == 0) {
            return true;
        }
    }
    return false;
}

flv_rc flv_descriptor_example(const struct flv_opt *opt, struct flv_buf *out)
{
    char text[FLV_TEXT_FORMAT_MAX];
    if (opt->example != NULL || opt->fallback != NULL) {
        return flv_buf_add_str(out, opt->example != NULL ? opt->example
                                                         : opt->fallback);
    }
    switch (opt->type) {
    case FLV_OPT_FLAG:
        return flv_buf_add_str(out, "true");
    case FLV_OPT_CHOICE:
        return flv_buf_add_str(out, opt->choices[0]);
    case FLV_OPT_I64:
        return flv_buf_addf(
            out, "%lld",
            (long long)((int64_t)opt->min > 0 || (int64_t)opt->max < 0
                            ? (int64_t)opt->min
                            : 0));
    case FLV_OPT_U64:
        return flv_buf_addf(out, "%llu",
                            (unsigned long long)(opt->min > 0 ? opt->min : 1));
    case FLV_OPT_DURATION:
        flv_text_format_duration(
            opt->min > 100 || (opt->max > 0 && opt->max < 100) ? opt->min : 100,
            text);
        return flv_buf_add_str(out, text);
    case FLV_OPT_SIZE:
        return flv_buf_add_str(out, "16 KB");
    case FLV_OPT_STR:
    case FLV_OPT_LIST:
        break;
    }
    return flv_buf_add_str(out, "text");
}
