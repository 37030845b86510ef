#include "config/dedup.h"

#include "base/text.h"
#include "config/try.h"

struct reader {
    const struct flv_doc *doc;
    struct flv_arena *arena;
    struct flv_doc_dedup *out;
    struct flv_err *err;
};

/* All names of the map under `key`, NULL: of the whole, are known. */
static flv_rc check_names(const struct reader *r,
                          const struct flv_node *map,
                          const char *key,
                          const char *const *known)
{
    const char *const second = known[1];
    for (size_t i = 0; i < map->count; i++) {
        const struct flv_node *name = flv_node_key(map, i);
        bool found = false;
        for (size_t k = 0; known[k] != NULL; k++) {
            found = found || flv_key_eq(name->text, known[k]);
        }
        if (!found) {
            return flv_doc_fail(
                r->doc, name, r->err,
                "`%.60s` does not belong into %s%s%sdeduplication; known are "
                "`%s`%s%s%s",
                name->text, key != NULL ? "`" : "", key != NULL ? key : "",
                key != NULL ? "` of " : "", known[0],
                second != NULL ? " and `" : "", second != NULL ? second : "",
                second != NULL ? "`" : "");
        }
    }
    return FLV_OK;
}

/* The map under `key`, whose names are all known; it has to be there. */
static flv_rc get_map(const struct reader *r,
                      const struct flv_node *in,
                      const char *key,
                      const char *const *known,
                      const struct flv_node **out)
{
    const struct flv_node *map = flv_node_get(in, key);
    if (map == NULL || map->kind != FLV_NODE_MAP) {
        return flv_doc_fail(r->doc, map != NULL ? map : in, r->err,
                            "deduplication needs `%s`, a map with `%s`", key,
                            known[0]);
    }
    *out = map;
    return check_names(r, map, key, known);
}

/* NULL when it is not there or null. */
static flv_rc get_text(const struct reader *r,
                       const struct flv_node *map,
                       const char *key,
                       const struct flv_node **out)
{
    const struct flv_node *node = flv_node_get(map, key);
    *out = NULL;
    if (node == NULL || flv_node_is_null(node)) {
        return FLV_OK;
    }
    if (node->kind != FLV_NODE_SCALAR) {
        return flv_doc_fail(r->doc, node, r->err,
                            "`%s` of deduplication has to be a single value, "
                            "not %s",
                            key, flv_node_kind_name(node));
    }
    *out = node;
    return FLV_OK;
}

static flv_rc read_bounds(const struct reader *r, const struct flv_node *root)
{
    static const char *const known[] = {"count", "age", NULL};
    const struct flv_node *map = NULL;
    const struct flv_node *node = NULL;
    struct flv_err why = {0};
    FLV_TRY(get_map(r, root, "bounds", known, &map));
    FLV_TRY(get_text(r, map, "count", &node));
    if (node == NULL) {
        return flv_doc_fail(r->doc, map, r->err,
                            "missing field `count` of deduplication: how many "
                            "of the last records are remembered, such as "
                            "`count: 100`");
    }
    if (flv_text_u64(node->text, 0, INT64_MAX, &r->out->count, &why) !=
        FLV_OK) {
        return flv_doc_fail(r->doc, node, r->err, "count of deduplication: %s",
                            why.text);
    }
    if (r->out->count == 0) {
        return flv_doc_fail(r->doc, node, r->err,
                            "count must be non-zero; write how many of the "
                            "last records are remembered");
    }
    FLV_TRY(get_text(r, map, "age", &node));
    if (node != NULL &&
        flv_text_duration(node->text, 0, &r->out->age_ms, &why) != FLV_OK) {
        return flv_doc_fail(r->doc, node, r->err, "age of deduplication: %s",
                            why.text);
    }
    if (node != NULL && r->out->age_ms == 0) {
        return flv_doc_fail(r->doc, node, r->err,
                            "age of deduplication must be more than nothing; "
                            "leave it out for records of any age");
    }
    return FLV_OK;
}

static flv_rc read_params(const struct reader *r, const struct flv_node *with)
{
    const char **params = NULL;
    if (with->kind != FLV_NODE_MAP || with->count > FLV_DOC_DEDUP_PARAMS_MAX) {
        return flv_doc_fail(r->doc, with, r->err,
                            "`with` of deduplication is a map of at most %d "
                            "parameters, such as `field: id`",
                            FLV_DOC_DEDUP_PARAMS_MAX);
    }
    params = FLV_ARENA_NEW(r->arena, const char *, 2 * with->count + 1);
    if (params == NULL) {
        return flv_fail(r->err, FLV_E_NOMEM, "out of memory for parameters");
    }
    for (size_t i = 0; i < with->count; i++) {
        const struct flv_node *value = flv_node_value(with, i);
        if (value->kind != FLV_NODE_SCALAR) {
            return flv_doc_fail(r->doc, value, r->err,
                                "the parameter `%.60s` of deduplication has "
                                "to be a single value, not %s",
                                flv_node_key(with, i)->text,
                                flv_node_kind_name(value));
        }
        params[2 * i] = flv_node_key(with, i)->text;
        params[2 * i + 1] = value->text;
    }
    r->out->params = params;
    r->out->param_count = with->count;
    return FLV_OK;
}

static flv_rc read_filter(const struct reader *r, const struct flv_node *root)
{
    static const char *const known[] = {"transform", NULL};
    static const char *const of_transform[] = {"uses", "with", NULL};
    const struct flv_node *filter = NULL;
    const struct flv_node *map = NULL;
    const struct flv_node *node = NULL;
    FLV_TRY(get_map(r, root, "filter", known, &filter));
    FLV_TRY(get_map(r, filter, "transform", of_transform, &map));
    FLV_TRY(get_text(r, map, "uses", &node));
    if (node == NULL || node->len == 0 || node->len > FLV_DOC_DEDUP_NAME_MAX) {
        return flv_doc_fail(r->doc, node != NULL ? node : map, r->err,
                            "deduplication needs `uses`, the name of a "
                            "SmartModule on the cluster (1 to %d bytes)",
                            FLV_DOC_DEDUP_NAME_MAX);
    }
    r->out->filter = node->text;
    node = flv_node_get(map, "with");
    return node != NULL && !flv_node_is_null(node) ? read_params(r, node)
                                                   : FLV_OK;
}

flv_rc flv_doc_dedup(const struct flv_doc *doc,
                     const struct flv_node *node,
                     struct flv_arena *arena,
                     struct flv_doc_dedup *out,
                     struct flv_err *err)
{
    static const char *const known[] = {"bounds", "filter", NULL};
    const struct reader r = {
        .doc = doc, .arena = arena, .out = out, .err = err};
    *out = (struct flv_doc_dedup){.filter = NULL};
    if (node->kind != FLV_NODE_MAP) {
        return flv_doc_fail(doc, node, err,
                            "deduplication has to be a map with `bounds` and "
                            "`filter`, not %s",
                            flv_node_kind_name(node));
    }
    FLV_TRY(check_names(&r, node, NULL, known));
    FLV_TRY(read_bounds(&r, node));
    return read_filter(&r, node);
}
