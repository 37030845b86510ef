#include "config/cfile.h"

#include <stdio.h>
#include <strings.h>

#include "base/text.h"

/* --- values as JSON text -------------------------------------------------- */

static const char *digits(const char *p)
{
    while (*p >= '0' && *p <= '9') {
        p++;
    }
    return p;
}

/* As JSON writes numbers; other spellings of YAML stay text. */
static bool is_number(const char *p)
{
    p += *p == '-';
    const char *begin = p;
    p = digits(p);
    if (p == begin || (*begin == '0' && p - begin > 1)) {
        return false;
    }
    if (*p == '.') {
        begin = ++p;
        p = digits(p);
        if (p == begin) {
            return false;
        }
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        begin = p;
        p = digits(p);
        if (p == begin) {
            return false;
        }
    }
    return *p == '\0';
}

static flv_rc json_scalar(struct flv__cread *r,
                          const struct flv_node *node,
                          struct flv_buf *b)
{
    if (flv_node_is_null(node)) {
        return flv_buf_add_str(b, "null");
    }
    if (!node->quoted && is_number(node->text)) {
        return flv_buf_add_str(b, node->text);
    }
    bool truth = strcasecmp(node->text, "true") == 0;
    if (!node->quoted && (truth || strcasecmp(node->text, "false") == 0)) {
        return flv_buf_add_str(b, truth ? "true" : "false");
    }
    const char *text = NULL;
    FLV_TRY(flv__cfile_text(r, node, "the value", &text, NULL));
    return flv_text_json_str(b, text);
}

/* Depth is bounded by the document's. */
static flv_rc
json(struct flv__cread *r, const struct flv_node *node, struct flv_buf *b)
{
    if (node->kind == FLV_NODE_SCALAR) {
        return json_scalar(r, node, b);
    }
    bool map = node->kind == FLV_NODE_MAP;
    FLV_TRY(flv_buf_add_str(b, map ? "{" : "["));
    for (size_t i = 0; i < node->count; i++) {
        if (i > 0) {
            FLV_TRY(flv_buf_add_str(b, ","));
        }
        if (map) {
            FLV_TRY(flv_text_json_str(b, flv_node_key(node, i)->text));
            FLV_TRY(flv_buf_add_str(b, ":"));
        }
        FLV_TRY(json(r, map ? flv_node_value(node, i) : node->items[i], b));
    }
    return flv_buf_add_str(b, map ? "}" : "]");
}

static flv_rc
json_text(struct flv__cread *r, const struct flv_node *node, const char **out)
{
    struct flv_buf b;
    flv_buf_init(&b, FLV_DOC_BYTES_MAX);
    flv_rc rc = json(r, node, &b);
    if (rc == FLV_OK) {
        *out = flv_arena_text(&r->f->arena, (const char *)b.data, b.len);
        rc = *out == NULL ? flv__cfile_nomem(r) : FLV_OK;
    } else if (rc != FLV_E_INVALID) { /* that one has its sentence */
        rc = flv_doc_fail(r->f->doc, node, r->err, "the value is too long");
    }
    flv_buf_deinit(&b);
    return rc;
}

/* --- one entry ------------------------------------------------------------ */

static bool is_secret(const struct flv_node *node)
{
    return node->count == 1 && flv_node_get(node, "secret") != NULL;
}

static flv_rc read_with(struct flv__cread *r,
                        const struct flv_node *map,
                        struct flv_transform *t)
{
    const struct flv_node *with;
    FLV_TRY(flv__cfile_map(r, map, "with", &with));
    if (with == NULL || with->count == 0) {
        return FLV_OK;
    }
    struct flv_transform_param *params =
        FLV_ARENA_NEW(&r->f->arena, struct flv_transform_param, with->count);
    if (params == NULL) {
        return flv__cfile_nomem(r);
    }
    for (size_t i = 0; i < with->count; i++) {
        const struct flv_node *value = flv_node_value(with, i);
        params[i].key = flv_node_key(with, i)->text;
        FLV_TRY(value->kind == FLV_NODE_SCALAR || is_secret(value)
                    ? flv__cfile_text(r, value, params[i].key, &params[i].value,
                                      NULL)
                    : json_text(r, value, &params[i].value));
    }
    t->params = params;
    t->param_count = with->count;
    return FLV_OK;
}

/* A number at map.key that one of the readers of base/text.h takes. */
struct limit {
    const char *key;
    uint64_t min, max;
    enum { COUNT, BYTES, TIME } unit;
};

static flv_rc read_limit(struct flv__cread *r,
                         const struct flv_node *map,
                         const struct limit *l,
                         uint64_t *out)
{
    const char *text = NULL;
    struct flv_err why = {0};
    FLV_TRY(flv__cfile_get(r, map, l->key, false, &text));
    if (text == NULL) {
        return FLV_OK;
    }
    uint64_t value = 0;
    flv_rc rc = l->unit == COUNT
                    ? flv_text_u64(text, l->min, l->max, &value, &why)
                : l->unit == BYTES ? flv_text_size(text, &value, &why)
                                   : flv_text_duration(text, 0, &value, &why);
    if (rc != FLV_OK) {
        return flv_doc_fail(r->f->doc, flv_node_get(map, l->key), r->err,
                            "%s: %s", l->key, why.text);
    }
    if (value < l->min || value > l->max) {
        return flv_doc_fail(r->f->doc, flv_node_get(map, l->key), r->err,
                            "%s is %.40s; it may be %llu to %llu", l->key, text,
                            (unsigned long long)l->min,
                            (unsigned long long)l->max);
    }
    *out = value;
    return FLV_OK;
}

static flv_rc read_look_back(struct flv__cread *r,
                             const struct flv_node *map,
                             struct flv_transform *t)
{
    static const char *const known[] = {"last", "age", NULL};
    static const struct limit last = {"last", 0, UINT32_MAX, COUNT};
    static const struct limit age = {"age", 0, UINT64_MAX / 2, TIME};
    const struct flv_node *node;
    FLV_TRY(flv__cfile_map(r, map, "lookback", &node));
    if (node == NULL) {
        return FLV_OK;
    }
    FLV_TRY(flv__cfile_unknown(r, node, "lookback", known));
    FLV_TRY(read_limit(r, node, &last, &t->look_back_last));
    return read_limit(r, node, &age, &t->look_back_age_ms);
}

static flv_rc read_budget(struct flv__cread *r,
                          const struct flv_node *map,
                          struct flv_transform *t)
{
    static const char *const known[] = {
        "fuel", "cpu-ms", "memory", "output-records", "output-bytes", NULL};
    const struct {
        struct limit limit;
        uint64_t *to;
    } all[] = {
        {{"fuel", 1, FLV_BUDGET_FUEL_MAX, COUNT}, &t->budget.fuel},
        {{"cpu-ms", 1, FLV_BUDGET_CPU_MS_MAX, COUNT}, &t->budget.cpu_ms},
        {{"memory", FLV_BUDGET_MEMORY_MIN, FLV_BUDGET_MEMORY_MAX, BYTES},
         &t->budget.memory_bytes},
        {{"output-records", 1, FLV_BUDGET_RECORDS_MAX, COUNT},
         &t->budget.output_records},
        {{"output-bytes", 1, FLV_BUDGET_BYTES_MAX, BYTES},
         &t->budget.output_bytes},
    };
    const struct flv_node *node;
    FLV_STEP(r, flv__cfile_map(r, map, "budget", &node));
    if (node == NULL) {
        return FLV_OK;
    }
    FLV_STEP(r, flv__cfile_unknown(r, node, "budget", known));
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        FLV_STEP(r, read_limit(r, node, &all[i].limit, all[i].to));
    }
    return FLV_OK;
}

flv_rc flv__cfile_on_error(struct flv__cread *r,
                           const struct flv_node *map,
                           const char **out)
{
    const struct flv_node *node = flv_node_get(map, "on-error");
    const char *value = NULL;
    if (node == NULL) {
        return FLV_OK;
    }
    if (node->kind == FLV_NODE_SCALAR) {
        return flv__cfile_get(r, map, "on-error", false, out);
    }
    if (node->kind == FLV_NODE_LIST || node->count != 1) {
        return flv_doc_fail(r->f->doc, node, r->err,
                            "on-error is halt, discard, {retry: N} or "
                            "{dead-letter: TOPIC}");
    }
    const char *key = flv_node_key(node, 0)->text;
    FLV_TRY(flv__cfile_text(r, flv_node_value(node, 0), key, &value, NULL));
    size_t size = strlen(key) + strlen(value) + 2;
    char *text = flv_arena_alloc(&r->f->arena, size, 1);
    if (text == NULL) {
        return flv__cfile_nomem(r);
    }
    (void)snprintf(text, size, "%s:%s", key, value);
    for (char *p = text; *p != ':'; p++) {
        *p = *p == '_' ? '-' : *p;
    }
    *out = text;
    return FLV_OK;
}

static flv_rc read_one(struct flv__cread *r,
                       const struct flv_node *node,
                       struct flv_transform *t)
{
    static const char *const known[] = {"uses",     "with",   "lookback",
                                        "on-error", "budget", NULL};
    if (node->kind != FLV_NODE_MAP) {
        return flv_doc_fail(r->f->doc, node, r->err,
                            "a transform is a map with uses and with, not %s",
                            flv_node_kind_name(node));
    }
    t->node = node;
    FLV_STEP(r, flv__cfile_unknown(r, node, "transforms", known));
    FLV_STEP(r, flv__cfile_get(r, node, "uses", true, &t->uses));
    FLV_STEP(r, read_with(r, node, t));
    FLV_STEP(r, read_look_back(r, node, t));
    FLV_STEP(r, flv__cfile_on_error(r, node, &t->on_error));
    return read_budget(r, node, t);
}

/* --- all of them ---------------------------------------------------------- */

static flv_rc
make_room(struct flv__cread *r, const struct flv_node *node, size_t count)
{
    if (count > FLV_CFILE_TRANSFORMS_MAX) {
        return flv_doc_fail(r->f->doc, node, r->err, "more than %d transforms",
                            FLV_CFILE_TRANSFORMS_MAX);
    }
    r->f->transforms = FLV_ARENA_NEW(&r->f->arena, struct flv_transform, count);
    return r->f->transforms == NULL ? flv__cfile_nomem(r) : FLV_OK;
}

flv_rc flv__cfile_transforms(struct flv__cread *r, const struct flv_node *node)
{
    struct flv_cfile *f = r->f;
    if (node == NULL || flv_node_is_null(node)) {
        return FLV_OK;
    }
    if (node->kind != FLV_NODE_LIST) {
        return flv_doc_fail(f->doc, node, r->err,
                            "transforms has to be a list, not %s",
                            flv_node_kind_name(node));
    }
    if (node->count == 0) {
        return FLV_OK;
    }
    if (f->transform_count > 0) {
        return flv_doc_fail(f->doc, node, r->err,
                            "transforms is both beside and inside the "
                            "settings; keep one of them");
    }
    FLV_TRY(make_room(r, node, node->count));
    for (size_t i = 0; i < node->count; i++) {
        FLV_STEP(r, read_one(r, node->items[i], &f->transforms[i]));
    }
    f->transform_count = node->count;
    return FLV_OK;
}

flv_rc flv__cfile_one_transform(struct flv__cread *r)
{
    const struct flv_node *root = flv_doc_root(r->f->doc);
    if (root == NULL) {
        return flv_fail(r->err, FLV_E_INVALID,
                        "%s is empty; write {\"uses\": \"NAME\"}",
                        flv_doc_name(r->f->doc));
    }
    FLV_TRY(make_room(r, root, 1));
    FLV_TRY(read_one(r, root, r->f->transforms));
    r->f->transform_count = 1;
    return FLV_OK;
}
