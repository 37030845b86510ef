/* Kafka Connect's form of a connector: {"name": N, "config": {...}}. */
#include "config/cfile.h"

#include <assert.h>

#include "config/doc_priv.h"

/* What stands at the top of a flat file, wherever it stood before. */
static const char *const head_keys[] = {
    "version", "type",     "topic",     "direction",  "create-topic",
    "secrets", "producer", "consumer",  "transforms", "on-error",
    "restart", "limits",   "parameters"};

static bool is_head(const char *key)
{
    for (size_t i = 0; i < sizeof(head_keys) / sizeof(head_keys[0]); i++) {
        if (flv_key_eq(key, head_keys[i])) {
            return true;
        }
    }
    return false;
}

/* Kafka's words for what has another name here; "" for what has none. */
static const char *translated(const char *key)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {{"connector.class", "type"},
                 {"topics", "topic"},
                 {"kafka.topic", "topic"},
                 {"tasks.max", ""}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(key, words[i].theirs) == 0) {
            return words[i].ours;
        }
    }
    return key;
}

static bool is_envelope(const struct flv_node *root)
{
    const struct flv_node *config =
        root != NULL ? flv_node_get(root, "config") : NULL;
    return config != NULL && config->kind == FLV_NODE_MAP &&
           flv_node_get(root, "name") != NULL &&
           flv_node_get(root, "meta") == NULL &&
           flv_node_get(root, "type") == NULL;
}

struct parts {
    struct flv_doc *doc;                  /* borrowed */
    struct flv_node *root, *params, *key; /* in its arena */
};

static struct flv_node *
new_map(struct flv_doc *doc, const struct flv_node *like, size_t pairs)
{
    struct flv_node *map = FLV_ARENA_NEW(&doc->arena, struct flv_node, 1);
    struct flv_node **items =
        FLV_ARENA_NEW(&doc->arena, struct flv_node *, 2 * pairs);
    if (map == NULL || items == NULL) {
        return NULL;
    }
    *map = *like;
    map->items = items;
    map->count = 0;
    map->weight = 1;
    map->height = 1;
    return map;
}

/* The same place with another word. */
static struct flv_node *
renamed(struct flv_doc *doc, const struct flv_node *key, const char *word)
{
    struct flv_node *copy = FLV_ARENA_NEW(&doc->arena, struct flv_node, 1);
    if (copy != NULL) {
        *copy = *key;
        copy->text = word;
        copy->len = strlen(word);
    }
    return copy;
}

static void
put(struct flv_node *map, struct flv_node *key, struct flv_node *value)
{
    map->items[2 * map->count] = key;
    map->items[2 * map->count + 1] = value;
    map->count++;
    map->weight += key->weight + value->weight;
    if (map->height < value->height + 1) {
        map->height = value->height + 1;
    }
}

/* One pair of `config`: to the top, to the parameters, or nowhere. */
static bool place(struct parts *p, struct flv_node *key, struct flv_node *value)
{
    const char *word = translated(key->text);
    const struct flv_node *name = flv_node_get(p->root, "name");
    bool again = flv_key_eq(word, "name") && value->kind == FLV_NODE_SCALAR &&
                 name->kind == FLV_NODE_SCALAR &&
                 strcmp(value->text, name->text) == 0;
    if (word[0] == '\0' || again) {
        return true;
    }
    if (word != key->text) {
        key = renamed(p->doc, key, word);
    }
    if (key != NULL) {
        put(is_head(word) ? p->root : p->params, key, value);
    }
    return key != NULL;
}

flv_rc flv__cfile_unwrap(struct flv_doc *doc, struct flv_err *err)
{
    static const char params[] = "parameters";
    struct flv_node *root = doc->root;
    if (!is_envelope(root)) {
        return FLV_OK;
    }
    struct parts p = {.doc = doc};
    struct flv_node *config = NULL, *config_key = NULL;
    for (size_t i = 0; i < root->count; i++) {
        if (flv_key_eq(root->items[2 * i]->text, "config")) {
            config_key = root->items[2 * i];
            config = root->items[2 * i + 1];
        }
    }
    assert(config != NULL); /* what makes it an envelope */
    p.root = new_map(doc, root, root->count + config->count + 1);
    p.params = new_map(doc, config, config->count);
    p.key = renamed(doc, config_key, params);
    bool ok = p.root != NULL && p.params != NULL && p.key != NULL;
    for (size_t i = 0; ok && i < root->count; i++) {
        if (root->items[2 * i] != config_key) {
            put(p.root, root->items[2 * i], root->items[2 * i + 1]);
        }
    }
    for (size_t i = 0; ok && i < config->count; i++) {
        ok = place(&p, config->items[2 * i], config->items[2 * i + 1]);
    }
    if (!ok) {
        return flv_fail(err, FLV_E_NOMEM, "%s: out of memory", doc->name);
    }
    if (p.params->count > 0) {
        put(p.root, p.key, p.params);
    }
    doc->root = p.root;
    return FLV_OK;
}
