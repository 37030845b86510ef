#include "config/cfile.h"

#include <stdint.h>
#include <strings.h>

#include "base/text.h"

/* map.key as a whole number; *out is left alone when there is none. */
static flv_rc get_count(struct flv__cread *r,
                        const struct flv_node *map,
                        const char *key,
                        uint32_t *out)
{
    const char *text = NULL;
    FLV_TRY(flv__cfile_get(r, map, key, false, &text));
    if (text == NULL) {
        return FLV_OK;
    }
    uint64_t n = 0;
    if (flv_text_u64(text, 1, INT32_MAX, &n, NULL) != FLV_OK) {
        return flv_doc_fail(r->f->doc, flv_node_get(map, key), r->err,
                            "%s is \"%.40s\"; write a whole number from 1", key,
                            text);
    }
    *out = (uint32_t)n;
    return FLV_OK;
}

static flv_rc get_size(struct flv__cread *r,
                       const struct flv_node *map,
                       const char *key,
                       uint64_t max,
                       uint64_t *out)
{
    const char *text = NULL;
    FLV_TRY(flv__cfile_get(r, map, key, false, &text));
    if (text == NULL) {
        return FLV_OK;
    }
    uint64_t n = 0;
    if (flv_text_size(text, &n, NULL) != FLV_OK || n == 0 || n > max) {
        return flv_doc_fail(r->f->doc, flv_node_get(map, key), r->err,
                            "%s: invalid value: string \"%.40s\", expected "
                            "parsable string such as \"1Gb\"",
                            key, text);
    }
    *out = n;
    return FLV_OK;
}

static flv_rc topic_partition(struct flv__cread *r, const struct flv_node *map)
{
    static const char *const known[] = {"count",       "max-size",
                                        "replication", "ignore-rack-assignment",
                                        "maps",        NULL};
    struct flv_cfile_topic *t = &r->f->topic;
    if (map == NULL) {
        return FLV_OK;
    }
    FLV_STEP(r, flv__cfile_unknown(r, map, "partition", known));
    FLV_STEP(r, get_count(r, map, "count", &t->partitions));
    FLV_STEP(r, get_count(r, map, "replication", &t->replication));
    FLV_STEP(
        r, flv__cfile_bool(r, map, "ignore-rack-assignment", &t->ignore_rack));
    FLV_STEP(r,
             get_size(r, map, "max-size", UINT64_MAX, &t->partition_bytes_max));
    const struct flv_node *maps = flv_node_get(map, "maps");
    if (maps != NULL && !flv_node_is_null(maps)) {
        return flv_doc_fail(r->f->doc, maps, r->err,
                            "maps (replica assignments) are not in this "
                            "version; create the topic with `fluvio topic "
                            "create --replica-assignment` first");
    }
    return FLV_OK;
}

static flv_rc topic_retention(struct flv__cread *r, const struct flv_node *map)
{
    static const char *const known[] = {"time", "segment-size", NULL};
    struct flv_cfile_topic *t = &r->f->topic;
    if (map == NULL) {
        return FLV_OK;
    }
    FLV_STEP(r, flv__cfile_unknown(r, map, "retention", known));
    const char *text = NULL;
    FLV_STEP(r, flv__cfile_get(r, map, "time", false, &text));
    uint64_t ms = 0;
    if (text != NULL && (flv_text_duration(text, 0, &ms, NULL) != FLV_OK ||
                         ms < 1000 || ms / 1000 > UINT32_MAX)) {
        return flv_doc_fail(r->f->doc, flv_node_get(map, "time"), r->err,
                            "time: invalid value: string \"%.40s\", expected "
                            "a duration such as \"7d\"",
                            text);
    }
    t->retention_s = (uint32_t)(ms / 1000);
    uint64_t size = 0;
    FLV_STEP(r, get_size(r, map, "segment-size", UINT32_MAX, &size));
    t->segment_size_bytes = (uint32_t)size;
    return FLV_OK;
}

static flv_rc topic_compression(struct flv__cread *r,
                                const struct flv_node *map)
{
    static const char *const known[] = {"any", "none", "gzip", "snappy",
                                        "lz4", "zstd", NULL};
    const char *text = NULL;
    FLV_TRY(flv__cfile_get(r, map, "type", false, &text));
    for (size_t i = 0; text != NULL && known[i] != NULL; i++) {
        if (strcasecmp(known[i], text) == 0) {
            r->f->topic.compression = known[i];
            return FLV_OK;
        }
    }
    if (text == NULL) {
        return FLV_OK;
    }
    return flv_doc_fail(r->f->doc, flv_node_get(map, "type"), r->err,
                        "compression type: unknown variant `%.40s`, expected "
                        "one of any, none, gzip, snappy, lz4, zstd",
                        text);
}

static flv_rc topic_settings(struct flv__cread *r, const struct flv_node *map)
{
    static const char *const known[] = {
        "version",     "meta",          "partition", "retention",
        "compression", "deduplication", NULL};
    FLV_STEP(r, flv__cfile_unknown(r, map, "topic", known));
    const struct flv_node *part;
    FLV_STEP(r, flv__cfile_map(r, map, "meta", &part));
    if (part != NULL) {
        FLV_STEP(r, flv__cfile_get(r, part, "name", true, &r->f->topic.name));
    } else if (flv_node_get(map, "meta") == NULL) {
        FLV_STEP(r, flv_doc_fail(r->f->doc, map, r->err,
                                 "missing field `meta` of topic; write its "
                                 "`name` there"));
    }
    FLV_STEP(r, flv__cfile_map(r, map, "partition", &part));
    FLV_STEP(r, topic_partition(r, part));
    FLV_STEP(r, flv__cfile_map(r, map, "retention", &part));
    FLV_STEP(r, topic_retention(r, part));
    FLV_STEP(r, flv__cfile_map(r, map, "compression", &part));
    FLV_STEP(r, topic_compression(r, part));
    const struct flv_node *dedup = flv_node_get(map, "deduplication");
    if (dedup != NULL && !flv_node_is_null(dedup)) {
        FLV_STEP(r, flv_doc_dedup(r->f->doc, dedup, &r->f->arena,
                                  &r->f->topic.dedup, r->err));
    }
    return FLV_OK;
}

flv_rc flv__cfile_topic(struct flv__cread *r,
                        const struct flv_node *meta,
                        bool settings_allowed)
{
    const struct flv_node *node = flv_node_get(meta, "topic");
    r->f->topic.node = node != NULL ? node : meta;
    if (node == NULL || node->kind != FLV_NODE_MAP) {
        return flv__cfile_get(r, meta, "topic", true, &r->f->topic.name);
    }
    if (!settings_allowed) {
        return flv_doc_fail(r->f->doc, node, r->err,
                            "topic has to be a name here; a topic with "
                            "settings needs `apiVersion: 0.2.0`");
    }
    return topic_settings(r, node);
}
