#include "connector/consumer.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "connector/position.h"

#define NAME_MAX_BYTES 255

/* --- the file
 * ----------------------------------------------------------------- */

static flv_rc set(const struct flv_cfile *f,
                  struct flv_opts *opts,
                  const char *name,
                  const struct flv_node *node,
                  const char *text,
                  struct flv_err *err)
{
    struct flv_err why = {0};
    if (flv_opts_set(opts, name, text, FLV_SOURCE_FILE, &why) == FLV_OK) {
        return FLV_OK;
    }
    return flv_doc_fail(f->doc, node, err, "%s: %s", name, why.text);
}

/* A scalar, or a list of them. */
static flv_rc set_each(const struct flv_cfile *f,
                       struct flv_opts *opts,
                       const char *name,
                       const struct flv_node *node,
                       struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    if (node == NULL || flv_node_is_null(node)) {
        return FLV_OK;
    }
    if (node->kind == FLV_NODE_SCALAR) {
        return set(f, opts, name, node, node->text, err);
    }
    if (node->kind != FLV_NODE_LIST) {
        return flv_doc_fail(f->doc, node, err,
                            "%s has to be one value or a "
                            "list of them",
                            name);
    }
    for (size_t i = 0; rc == FLV_OK && i < node->count; i++) {
        rc = node->items[i]->kind == FLV_NODE_SCALAR
                 ? set(f, opts, name, node->items[i], node->items[i]->text, err)
                 : flv_doc_fail(f->doc, node->items[i], err,
                                "%s has to be a list of numbers", name);
    }
    return rc;
}

/* `beginning`, or {from-end: 10}, which is "from-end:10" elsewhere. */
static flv_rc set_start(const struct flv_cfile *f,
                        struct flv_opts *opts,
                        const struct flv_node *node,
                        struct flv_err *err)
{
    char text[64];
    if (node == NULL || flv_node_is_null(node)) {
        return FLV_OK;
    }
    if (node->kind == FLV_NODE_SCALAR) {
        return set(f, opts, "start", node, node->text, err);
    }
    if (node->kind != FLV_NODE_MAP || node->count != 1 ||
        flv_node_value(node, 0)->kind != FLV_NODE_SCALAR) {
        return flv_doc_fail(f->doc, node, err,
                            "start is written beginning, end, {absolute: N}, "
                            "{from-beginning: N} or {from-end: N}");
    }
    (void)snprintf(text, sizeof(text), "%.30s:%.30s",
                   flv_node_key(node, 0)->text, flv_node_value(node, 0)->text);
    return set(f, opts, "start", node, text, err);
}

static void ignored(const struct flv_node *map, const char *key)
{
    if (flv_node_get(map, key) != NULL) {
        char why[80];
        (void)snprintf(why, sizeof(why), "%s: a sink always keeps its position",
                       key);
        flv_log_warn("config", "ignored", FLV_KV_STR("reason", why));
    }
}

flv_rc flv__consumer_apply(const struct flv_cfile *f,
                           struct flv_opts *opts,
                           struct flv_err *err)
{
    const struct flv_node *c = f->consumer;
    if (c == NULL) {
        return FLV_OK;
    }
    flv_rc rc = set_each(f, opts, "consumer", flv_node_get(c, "id"), err);
    if (rc == FLV_OK) {
        rc = set_each(f, opts, "consumer-partition",
                      flv_node_get(c, "partition"), err);
    }
    if (rc == FLV_OK) {
        rc = set_each(f, opts, "consumer-max-bytes",
                      flv_node_get(c, "max-bytes"), err);
    }
    const struct flv_node *offset = flv_node_get(c, "offset");
    if (rc == FLV_OK && offset != NULL && offset->kind == FLV_NODE_MAP) {
        rc = set_start(f, opts, flv_node_get(offset, "start"), err);
        ignored(offset, "strategy");
        ignored(offset, "flush-period");
    }
    return rc;
}

/* --- what they say
 * --------------------------------------------------------------- */

static flv_rc check_partitions(const struct flv_list *l, struct flv_err *err)
{
    for (size_t i = 0; i < l->count; i++) {
        uint64_t n;
        if (strcmp(l->items[i], "all") != 0 &&
            flv_text_u64(l->items[i], 0, UINT32_MAX, &n, NULL) != FLV_OK) {
            return flv_fail(err, FLV_E_USAGE,
                            "consumer-partition \"%.40s\" is neither a number "
                            "nor all",
                            l->items[i]);
        }
    }
    return FLV_OK;
}

flv_rc flv__consumer_check(const struct flv_shared_conf *shared,
                           const struct flv_plan *plan,
                           struct flv_err *err)
{
    struct flv_start start;
    flv_rc rc = flv__start_parse(shared->start, &start, err);
    if (rc == FLV_OK) {
        rc = check_partitions(&shared->consumer_partitions, err);
    }
    if (rc == FLV_OK && shared->consumer != NULL &&
        (shared->consumer[0] == '\0' ||
         strlen(shared->consumer) > NAME_MAX_BYTES)) {
        rc = flv_fail(err, FLV_E_USAGE, "consumer: a name has 1 to %d bytes",
                      NAME_MAX_BYTES);
    }
    for (size_t i = 0; rc == FLV_OK && i < plan->count; i++) {
        const struct flv_plan_step *s = &plan->steps[i];
        if (s->look_back_last > 0 || s->look_back_age_ms > 0) {
            /* It would be shown what is still to be delivered. */
            rc = flv_fail(err, FLV_E_UNSUPPORTED,
                          "%.60s: lookback is for sources; leave it out",
                          s->uses);
        }
    }
    return rc;
}
