#include "cli/topic_file.h"

#include "base/mem.h"
#include "base/text.h"
#include "config/dedup.h"

#include <assert.h>
#include <strings.h>

#define PARTITIONS_MAX 10000
#define REPLICAS_MAX 64
#define ARENA_MAX ((size_t)1 << 20)

void cli_topic_file_deinit(struct cli_topic_file *file)
{
    if (file != NULL) {
        flv_doc_destroy(file->doc);
        flv_free(file->replicas);
        flv_free(file->spus);
        flv_arena_deinit(&file->arena);
        *file = (struct cli_topic_file){0};
    }
}

/* ---- Scalars ----------------------------------------------------------- */

/* NULL when there is no such key or its value is null. */
static const struct flv_node *find(const struct flv_node *map, const char *key)
{
    const struct flv_node *node = NULL;
    if (map != NULL && map->kind == FLV_NODE_MAP) {
        node = flv_node_get(map, key);
    }
    return node != NULL && !flv_node_is_null(node) ? node : NULL;
}

static flv_rc want_scalar(const struct flv_doc *doc,
                          const struct flv_node *node,
                          const char *key,
                          struct flv_err *err)
{
    if (node->kind != FLV_NODE_SCALAR) {
        return flv_doc_fail(doc, node, err,
                            "%s has to be a single value, not %s", key,
                            flv_node_kind_name(node));
    }
    return FLV_OK;
}

static flv_rc read_u64(const struct flv_doc *doc,
                       const struct flv_node *node,
                       const char *key,
                       uint64_t max,
                       uint64_t *out,
                       struct flv_err *err)
{
    struct flv_err why = {0};
    flv_rc rc = want_scalar(doc, node, key, err);
    if (rc == FLV_OK && flv_text_u64(node->text, 0, max, out, &why) != FLV_OK) {
        rc = flv_doc_fail(doc, node, err, "%s: %s", key, why.text);
    }
    return rc;
}

static flv_rc read_size(const struct flv_doc *doc,
                        const struct flv_node *node,
                        const char *key,
                        uint64_t max,
                        uint64_t *out,
                        struct flv_err *err)
{
    struct flv_err why = {0};
    flv_rc rc = want_scalar(doc, node, key, err);
    if (rc == FLV_OK && flv_text_size(node->text, out, &why) != FLV_OK) {
        return flv_doc_fail(doc, node, err, "%s: %s", key, why.text);
    }
    if (rc == FLV_OK && *out > max) {
        rc = flv_doc_fail(doc, node, err, "%s is too large", key);
    }
    return rc;
}

/* ---- Assignments ------------------------------------------------------- */

static flv_rc read_replicas(const struct flv_doc *doc,
                            const struct flv_node *item,
                            struct flv_replica *out,
                            int32_t *spus,
                            struct flv_err *err)
{
    const struct flv_node *id = find(item, "id");
    const struct flv_node *list = find(item, "replicas");
    if (id == NULL || list == NULL || list->kind != FLV_NODE_LIST ||
        list->count == 0 || list->count > REPLICAS_MAX) {
        return flv_doc_fail(doc, item, err,
                            "each partition needs an id and a list of "
                            "replicas, such as {\"id\": 0, \"replicas\": "
                            "[5001]}");
    }
    uint64_t value = 0;
    flv_rc rc = read_u64(doc, id, "id", UINT32_MAX, &value, err);
    out->partition = (uint32_t)value;
    out->spus = spus;
    out->spu_count = list->count;
    for (size_t i = 0; i < list->count && rc == FLV_OK; i++) {
        rc = read_u64(doc, list->items[i], "replicas", INT32_MAX, &value, err);
        spus[i] = (int32_t)value;
    }
    return rc;
}

static flv_rc read_assignment(const struct flv_node *list,
                              struct cli_topic_file *file,
                              struct flv_topic_conf *out,
                              struct flv_err *err)
{
    if (list == NULL || list->kind != FLV_NODE_LIST || list->count == 0 ||
        list->count > PARTITIONS_MAX) {
        return flv_doc_fail(file->doc, list, err,
                            "a replica assignment is a list of 1 to %d "
                            "partitions",
                            PARTITIONS_MAX);
    }
    assert(file->replicas == NULL && file->spus == NULL);
    file->replicas = flv_zalloc(list->count, sizeof *file->replicas);
    file->spus = flv_zalloc(list->count * REPLICAS_MAX, sizeof *file->spus);
    if (file->replicas == NULL || file->spus == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < list->count && rc == FLV_OK; i++) {
        rc = read_replicas(file->doc, list->items[i], &file->replicas[i],
                           file->spus + i * REPLICAS_MAX, err);
    }
    if (rc == FLV_OK) {
        out->assignment = file->replicas;
        out->assignment_count = list->count;
    }
    return rc;
}

flv_rc cli_assignment_read(const char *path,
                           struct cli_topic_file *file,
                           struct flv_topic_conf *out,
                           struct flv_err *err)
{
    assert(file->doc == NULL);
    flv_rc rc = flv_doc_read(&file->doc, path, err);
    return rc == FLV_OK
               ? read_assignment(flv_doc_root(file->doc), file, out, err)
               : rc;
}

/* ---- The topic document ------------------------------------------------ */

/* A key, or its spelling without '-'; both are found by flv_node_get(). */
static flv_rc read_partition(const struct flv_node *map,
                             struct cli_topic_file *file,
                             struct flv_topic_conf *out,
                             struct flv_err *err)
{
    const struct flv_doc *doc = file->doc;
    const struct flv_node *node = find(map, "count");
    uint64_t value = 0;
    flv_rc rc = FLV_OK;
    if (node != NULL) {
        rc = read_u64(doc, node, "partition.count", UINT32_MAX, &value, err);
        out->partitions = (uint32_t)value;
    }
    node = find(map, "replication");
    if (rc == FLV_OK && node != NULL) {
        rc = read_u64(doc, node, "partition.replication", UINT32_MAX, &value,
                      err);
        out->replication = (uint32_t)value;
    }
    node = find(map, "max-size");
    if (rc == FLV_OK && node != NULL) {
        rc = read_size(doc, node, "partition.max-size", INT64_MAX,
                       &out->partition_bytes_max, err);
    }
    node = find(map, "ignore-rack-assignment");
    out->ignore_rack = node != NULL && node->kind == FLV_NODE_SCALAR &&
                       strcasecmp(node->text, "true") == 0;
    node = find(map, "maps");
    return rc == FLV_OK && node != NULL ? read_assignment(node, file, out, err)
                                        : rc;
}

static flv_rc read_retention(const struct flv_doc *doc,
                             const struct flv_node *map,
                             struct flv_topic_conf *out,
                             struct flv_err *err)
{
    const struct flv_node *node = find(map, "time");
    struct flv_err why = {0};
    uint64_t value = 0;
    flv_rc rc = FLV_OK;
    if (node != NULL) {
        rc = want_scalar(doc, node, "retention.time", err);
        if (rc == FLV_OK &&
            (flv_text_duration(node->text, 0, &value, &why) != FLV_OK ||
             value / 1000 >= UINT32_MAX)) {
            rc = flv_doc_fail(doc, node, err, "retention.time: %s",
                              why.rc != FLV_OK ? why.text : "too long");
        }
        out->retention_s = (uint32_t)((value + 999) / 1000);
    }
    node = find(map, "segment-size");
    if (rc == FLV_OK && node != NULL) {
        rc = read_size(doc, node, "retention.segment-size", UINT32_MAX, &value,
                       err);
        out->segment_size_bytes = (uint32_t)value;
    }
    return rc;
}

static flv_rc read_compression(const struct flv_doc *doc,
                               const struct flv_node *node,
                               struct flv_topic_conf *out,
                               struct flv_err *err)
{
    char lower[16] = {0};
    struct flv_err why = {0};
    flv_rc rc = want_scalar(doc, node, "compression.type", err);
    for (size_t i = 0; rc == FLV_OK && i < node->len && i + 1 < sizeof lower;
         i++) {
        char ch = node->text[i];
        lower[i] = (char)(ch >= 'A' && ch <= 'Z' ? ch - 'A' + 'a' : ch);
    }
    if (rc == FLV_OK &&
        flv_compression_parse(lower, &out->compression, &why) != FLV_OK) {
        rc = flv_doc_fail(doc, node, err, "compression.type: %s", why.text);
    }
    return rc;
}

static flv_rc read_dedup(struct cli_topic_file *file,
                         const struct flv_node *node,
                         struct flv_topic_conf *out,
                         struct flv_err *err)
{
    struct flv_doc_dedup d;
    flv_arena_init(&file->arena, 1024, ARENA_MAX);
    flv_rc rc = flv_doc_dedup(file->doc, node, &file->arena, &d, err);
    if (rc != FLV_OK) {
        return rc;
    }
    file->dedup = (struct flv_dedup){FLV_DOC_DEDUP_FIELDS(&d)};
    out->dedup = &file->dedup;
    return FLV_OK;
}

static flv_rc read_topic(const struct flv_node *root,
                         struct cli_topic_file *file,
                         struct flv_topic_conf *out,
                         struct flv_err *err)
{
    const struct flv_doc *doc = file->doc;
    const struct flv_node *name = find(find(root, "meta"), "name");
    if (root == NULL || name == NULL) {
        return flv_doc_fail(doc, root, err,
                            "missing field `meta.name`, the topic's name");
    }
    flv_rc rc = want_scalar(doc, name, "meta.name", err);
    if (rc != FLV_OK) {
        return rc;
    }
    *out = flv_topic_conf_default(name->text);
    if (find(root, "deduplication") != NULL) {
        rc = read_dedup(file, find(root, "deduplication"), out, err);
    }
    if (rc == FLV_OK) {
        rc = read_partition(find(root, "partition"), file, out, err);
    }
    if (rc == FLV_OK) {
        rc = read_retention(doc, find(root, "retention"), out, err);
    }
    const struct flv_node *type = find(find(root, "compression"), "type");
    return rc == FLV_OK && type != NULL ? read_compression(doc, type, out, err)
                                        : rc;
}

flv_rc cli_topic_file_read(const char *path,
                           struct cli_topic_file *file,
                           struct flv_topic_conf *out,
                           struct flv_err *err)
{
    assert(file->doc == NULL);
    flv_rc rc = flv_doc_read(&file->doc, path, err);
    return rc == FLV_OK ? read_topic(flv_doc_root(file->doc), file, out, err)
                        : rc;
}
