#include "config/cfile.h"

#include <assert.h>
#include <stdio.h>

#include "base/text.h"

#define ARENA_MAX ((size_t)8 * 1024 * 1024)

static const char source_suffix[] = "-source";
static const char sink_suffix[] = "-sink";

static bool ends_with(const char *text, const char *suffix)
{
    size_t a = strlen(text), b = strlen(suffix);
    return a > b && strcmp(text + a - b, suffix) == 0;
}

size_t flv_cfile_type_len(const char *type)
{
    const char *suffix = ends_with(type, source_suffix) ? source_suffix
                         : ends_with(type, sink_suffix) ? sink_suffix
                                                        : "";
    return strlen(type) - strlen(suffix);
}

/* The name of the program's type: of a sink it ends with -sink. */
static flv_rc name_type(struct flv__cread *r)
{
    struct flv_cfile *f = r->f;
    const char *type = f->type_node->text;
    size_t len = flv_cfile_type_len(type);
    bool sink = f->direction == FLV_CFILE_SINK;
    char *name = flv_arena_alloc(&f->arena, len + sizeof(sink_suffix), 1);
    if (name == NULL) {
        return flv__cfile_nomem(r);
    }
    (void)snprintf(name, len + sizeof(sink_suffix), "%.*s%s", (int)len, type,
                   sink ? sink_suffix : "");
    f->type = name;
    return FLV_OK;
}

/* "http-source" is the type "http" and the direction source; "http-sink" the
 * type of that name and the direction sink. */
static flv_rc read_type(struct flv__cread *r, const struct flv_node *map)
{
    struct flv_cfile *f = r->f;
    const char *type = NULL;
    f->type_node = flv_node_get(map, "type");
    FLV_TRY(flv__cfile_get(r, map, "type", true, &type));
    if (ends_with(type, source_suffix)) {
        f->direction = FLV_CFILE_SOURCE;
    } else if (ends_with(type, sink_suffix)) {
        f->direction = FLV_CFILE_SINK;
    }
    return name_type(r);
}

static flv_rc read_direction(struct flv__cread *r, const struct flv_node *map)
{
    struct flv_cfile *f = r->f;
    const char *text = NULL;
    FLV_TRY(flv__cfile_get(r, map, "direction", false, &text));
    if (text == NULL) {
        return FLV_OK;
    }
    enum flv_cfile_direction said;
    if (strcmp(text, "source") == 0) {
        said = FLV_CFILE_SOURCE;
    } else if (strcmp(text, "sink") == 0 || strcmp(text, "dest") == 0) {
        said = FLV_CFILE_SINK;
    } else {
        return flv_doc_fail(f->doc, flv_node_get(map, "direction"), r->err,
                            "direction is \"%.40s\"; write source or sink",
                            text);
    }
    if (f->direction != FLV_CFILE_ANY && f->direction != said) {
        return flv_doc_fail(f->doc, flv_node_get(map, "direction"), r->err,
                            "direction \"%s\" does not fit the type \"%.60s\"",
                            text, f->type_node->text);
    }
    f->direction = said;
    return f->type != NULL ? name_type(r) : FLV_OK;
}

static flv_rc read_stages(struct flv__cread *r, const struct flv_node *root)
{
    FLV_STEP(r, flv__cfile_on_error_setting(r, root));
    return flv__cfile_transforms(r, flv_node_get(root, "transforms"));
}

/* --- for a manager -------------------------------------------------------- */

static flv_rc read_restart(struct flv__cread *r, const struct flv_node *map)
{
    static const char *const words[] = {"on-failure", "always", "never", NULL};
    const char *text = NULL;
    FLV_TRY(flv__cfile_get(r, map, "restart", false, &text));
    if (text == NULL) {
        return FLV_OK;
    }
    for (int i = 0; words[i] != NULL; i++) {
        if (flv_key_eq(text, words[i])) {
            r->f->restart = (enum flv_cfile_restart)i;
            return FLV_OK;
        }
    }
    return flv_doc_fail(r->f->doc, flv_node_get(map, "restart"), r->err,
                        "restart is \"%.40s\"; write always, on-failure or "
                        "never",
                        text);
}

static flv_rc read_limit(struct flv__cread *r,
                         const struct flv_node *map,
                         const char *key,
                         uint64_t min,
                         uint64_t *out)
{
    const char *text = NULL;
    struct flv_err why = {0};
    uint64_t value = 0;
    FLV_TRY(flv__cfile_get(r, map, key, false, &text));
    if (text == NULL) {
        return FLV_OK;
    }
    if (flv_text_size(text, &value, &why) != FLV_OK || value < min) {
        return flv_doc_fail(r->f->doc, flv_node_get(map, key), r->err,
                            "limits.%s is \"%.40s\"; write a size of at "
                            "least %llu",
                            key, text, (unsigned long long)min);
    }
    *out = value;
    return FLV_OK;
}

static flv_rc read_managed(struct flv__cread *r, const struct flv_node *map)
{
    static const char *const known[] = {"memory", "files", NULL};
    const struct flv_node *limits;
    FLV_STEP(r, read_restart(r, map));
    FLV_STEP(r, flv__cfile_map(r, map, "limits", &limits));
    if (limits == NULL) {
        return FLV_OK;
    }
    FLV_STEP(r, flv__cfile_unknown(r, limits, "limits", known));
    FLV_STEP(r, read_limit(r, limits, "memory", UINT64_C(16) << 20,
                           &r->f->memory_bytes_max));
    return read_limit(r, limits, "files", 32, &r->f->files_max);
}

/* --- the flat format ----------------------------------------------------- */

static bool env_name_ok(const char *name)
{
    return name[0] != '\0' && strchr(name, '=') == NULL;
}

static flv_rc flat_secrets(struct flv__cread *r, const struct flv_node *root)
{
    struct flv_cfile *f = r->f;
    const struct flv_node *map;
    FLV_STEP(r, flv__cfile_map(r, root, "secrets", &map));
    if (map == NULL) {
        return FLV_OK;
    }
    if (map->count > FLV_CFILE_SECRETS_MAX) {
        return flv_doc_fail(f->doc, map, r->err, "more than %d secrets",
                            FLV_CFILE_SECRETS_MAX);
    }
    f->secrets = FLV_ARENA_NEW(&f->arena, struct flv_cfile_secret, map->count);
    if (f->secrets == NULL && map->count > 0) {
        return flv__cfile_nomem(r);
    }
    for (size_t i = 0; i < map->count; i++) {
        const struct flv_node *key = flv_node_key(map, i);
        struct flv_cfile_secret s = {.name = key->text};
        if (!env_name_ok(s.name)) {
            return flv_doc_fail(f->doc, key, r->err,
                                "\"%.60s\" cannot be the name of an "
                                "environment variable",
                                s.name);
        }
        FLV_STEP(r, flv__cfile_text(r, flv_node_value(map, i), s.name, &s.value,
                                    NULL));
        f->secrets[f->secret_count++] = s;
    }
    return FLV_OK;
}

/* The topic may be repeated in the parameters, if it is the same. */
static flv_rc flat_drop_topic(struct flv__cread *r)
{
    struct flv_cfile *f = r->f;
    size_t kept = 0;
    for (size_t i = 0; i < f->setting_count; i++) {
        const struct flv_setting *s = &f->settings[i];
        if (strcmp(s->key, "topic") != 0 &&
            strcmp(s->key, "fluvio-topic") != 0) {
            f->settings[kept++] = *s;
        } else if (f->topic.name != NULL &&
                   strcmp(s->value, f->topic.name) != 0) {
            FLV_STEP(r,
                     flv_doc_fail(
                         f->doc, s->node, r->err,
                         "the parameter %s is \"%.60s\" but topic in line "
                         "%u is \"%.60s\"; make them the same",
                         s->key, s->value, f->topic.node->line, f->topic.name));
        }
    }
    f->setting_count = kept;
    return FLV_OK;
}

static flv_rc flat_version(struct flv__cread *r, const struct flv_node *root)
{
    const char *api = NULL;
    FLV_STEP(r, flv__cfile_get(r, root, "api-version", false, &api));
    if (api == NULL) {
        FLV_STEP(r, flv__cfile_get(r, root, "apiVersion", false, &api));
    }
    if (api != NULL && strcmp(api, "v1") != 0) {
        return flv_doc_fail(r->f->doc, root, r->err,
                            "missing field `meta`; a file without it has "
                            "api_version v1, not \"%.40s\"",
                            api);
    }
    FLV_STEP(r, flv__cfile_get(r, root, "version", false, &r->f->version));
    return flv__cfile_get(r, root, "connector-version", false, &r->f->version);
}

static flv_rc read_flat(struct flv__cread *r, const struct flv_node *root)
{
    static const char *const known[] = {
        "version",      "api-version", "apiVersion", "connector-version",
        "name",         "type",        "topic",      "direction",
        "create-topic", "parameters",  "secrets",    "producer",
        "consumer",     "transforms",  "on-error",   "restart",
        "limits",       NULL};
    struct flv_cfile *f = r->f;
    f->dialect = FLV_CFILE_FLAT;
    FLV_STEP(r, flat_version(r, root));
    FLV_STEP(r, flv__cfile_unknown(r, root, "", known));
    FLV_STEP(r, flv__cfile_get(r, root, "name", true, &f->name));
    FLV_STEP(r, read_type(r, root));
    FLV_STEP(r, flv__cfile_topic(r, root, false));
    FLV_STEP(r, read_direction(r, root));
    FLV_STEP(r, flv__cfile_bool(r, root, "create-topic", &f->create_topic));
    FLV_STEP(r, flat_secrets(r, root));
    const struct flv_node *map;
    FLV_STEP(r, flv__cfile_map(r, root, "parameters", &map));
    FLV_STEP(r, flv__cfile_settings(r, map));
    FLV_STEP(r, flat_drop_topic(r));
    FLV_STEP(r, flv__cfile_map(r, root, "producer", &map));
    FLV_STEP(r, flv__cfile_producer(r, map));
    FLV_STEP(r, flv__cfile_map(r, root, "consumer", &f->consumer));
    FLV_STEP(r, read_managed(r, root));
    return read_stages(r, root);
}

/* --- the meta format ----------------------------------------------------- */

static flv_rc
check_secret_name(struct flv__cread *r, const struct flv_node *n, const char *s)
{
    if (s[0] == '\0') {
        return flv_doc_fail(r->f->doc, n, r->err,
                            "Secret name cannot be empty");
    }
    if (s[0] >= '0' && s[0] <= '9') {
        return flv_doc_fail(r->f->doc, n, r->err,
                            "Secret name `%.60s` cannot start with a number",
                            s);
    }
    for (const char *p = s; *p != '\0'; p++) {
        bool ok = (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
                  (*p >= 'A' && *p <= 'Z') || *p == '_';
        if (!ok) {
            return flv_doc_fail(r->f->doc, n, r->err,
                                "Secret name `%.60s` can only contain "
                                "alphanumeric ASCII characters and underscores",
                                s);
        }
    }
    return FLV_OK;
}

/* A declared secret has to have a value, used or not. */
static flv_rc meta_secret(struct flv__cread *r, const struct flv_node *item)
{
    const struct flv_node *name = flv_node_get(item, "name");
    if (name == NULL || name->kind != FLV_NODE_SCALAR) {
        return flv_doc_fail(r->f->doc, item, r->err,
                            "an entry of secrets is written `- name: NAME`");
    }
    FLV_TRY(check_secret_name(r, name, name->text));
    const char *value = NULL;
    return flv__cfile_secret(r, name, name->text, &value);
}

static flv_rc meta_secrets(struct flv__cread *r, const struct flv_node *meta)
{
    const struct flv_node *list = flv_node_get(meta, "secrets");
    if (list == NULL || flv_node_is_null(list)) {
        return FLV_OK;
    }
    if (list->kind != FLV_NODE_LIST) {
        return flv_doc_fail(r->f->doc, list, r->err,
                            "secrets has to be a list of `- name: NAME`, not "
                            "%s",
                            flv_node_kind_name(list));
    }
    for (size_t i = 0; i < list->count; i++) {
        FLV_STEP(r, meta_secret(r, list->items[i]));
    }
    return FLV_OK;
}

static flv_rc meta_section(struct flv__cread *r, const struct flv_node *root)
{
    const char *own = r->conf->section;
    const struct flv_node *custom, *named = NULL;
    FLV_STEP(r, flv__cfile_map(r, root, "custom", &custom));
    if (own != NULL && strcmp(own, "custom") != 0) {
        FLV_STEP(r, flv__cfile_map(r, root, own, &named));
    }
    if (custom != NULL && named != NULL) {
        FLV_STEP(r, flv_doc_fail(r->f->doc, custom, r->err,
                                 "the settings are both under \"%s\" and "
                                 "\"custom\"; keep one of them",
                                 own));
    }
    return flv__cfile_settings(r, named != NULL ? named : custom);
}

static flv_rc meta_api(struct flv__cread *r,
                       const struct flv_node *root,
                       bool *topic_settings)
{
    const char *api = "0.0.0";
    FLV_TRY(flv__cfile_get(r, root, "apiVersion", false, &api));
    *topic_settings = strcmp(api, "0.2.0") == 0;
    if (strcmp(api, "0.0.0") != 0 && strcmp(api, "0.1.0") != 0 &&
        !*topic_settings) {
        return flv_doc_fail(r->f->doc, flv_node_get(root, "apiVersion"), r->err,
                            "unknown variant `%.40s`, expected one of `0.0.0`, "
                            "`0.1.0`, `0.2.0`",
                            api);
    }
    return FLV_OK;
}

static flv_rc read_meta(struct flv__cread *r, const struct flv_node *root)
{
    const char *const known_root[] = {"apiVersion", "meta",   "transforms",
                                      "on-error",   "custom", r->conf->section,
                                      NULL};
    static const char *const known_meta[] = {
        "name",         "type",     "version", "topic",
        "producer",     "consumer", "secrets", "direction",
        "create-topic", "restart",  "limits",  NULL};
    struct flv_cfile *f = r->f;
    f->dialect = FLV_CFILE_META;
    f->create_topic = true;
    bool topic_settings = false;
    FLV_STEP(r, meta_api(r, root, &topic_settings));
    const struct flv_node *meta;
    FLV_STEP(r, flv__cfile_map(r, root, "meta", &meta));
    if (meta == NULL) {
        return flv_doc_fail(f->doc, root, r->err, "meta has no value");
    }
    FLV_STEP(r, flv__cfile_unknown(r, root, "", known_root));
    FLV_STEP(r, flv__cfile_unknown(r, meta, "meta", known_meta));
    FLV_STEP(r, flv__cfile_get(r, meta, "name", true, &f->name));
    FLV_STEP(r, read_type(r, meta));
    FLV_STEP(r, flv__cfile_get(r, meta, "version", true, &f->version));
    FLV_STEP(r, flv__cfile_topic(r, meta, topic_settings));
    FLV_STEP(r, read_direction(r, meta));
    FLV_STEP(r, meta_secrets(r, meta));
    FLV_STEP(r, meta_section(r, root));
    const struct flv_node *producer;
    FLV_STEP(r, flv__cfile_map(r, meta, "producer", &producer));
    FLV_STEP(r, flv__cfile_producer(r, producer));
    FLV_STEP(r, flv__cfile_map(r, meta, "consumer", &f->consumer));
    FLV_STEP(r, read_managed(r, meta));
    return read_stages(r, root);
}

/* --- both ---------------------------------------------------------------- */

static flv_rc read_root(struct flv_cfile *f,
                        const struct flv_cfile_conf *conf,
                        struct flv_err *err)
{
    struct flv__cread r = {.f = f, .conf = conf, .err = err};
    FLV_TRY(flv__cfile_unwrap(f->doc, err));
    const struct flv_node *root = flv_doc_root(f->doc);
    if (root == NULL || flv_node_is_null(root)) {
        return flv__cfile_keep(
            &r, flv_fail(err, FLV_E_INVALID,
                         "%s is empty; a connector needs name, type and topic",
                         flv_doc_name(f->doc)));
    }
    if (root->kind != FLV_NODE_MAP) {
        return flv__cfile_keep(
            &r, flv_doc_fail(f->doc, root, err,
                             "a connector's file is a map of keys and values, "
                             "not %s",
                             flv_node_kind_name(root)));
    }
    bool meta = flv_node_get(root, "meta") != NULL;
    return flv__cfile_keep(&r,
                           meta ? read_meta(&r, root) : read_flat(&r, root));
}

static void cfile_init(struct flv_cfile *f)
{
    *f = (struct flv_cfile){.direction = FLV_CFILE_ANY};
    flv_arena_init(&f->arena, 4096, ARENA_MAX);
}

flv_rc flv_cfile_read(struct flv_cfile *out,
                      const char *path,
                      const struct flv_cfile_conf *conf,
                      struct flv_err *err)
{
    assert(out != NULL && path != NULL && conf != NULL);
    cfile_init(out);
    FLV_TRY(flv_doc_read(&out->doc, path, err));
    return read_root(out, conf, err);
}

flv_rc flv_cfile_parse(struct flv_cfile *out,
                       const char *name,
                       struct flv_slice text,
                       const struct flv_cfile_conf *conf,
                       struct flv_err *err)
{
    assert(out != NULL && name != NULL && conf != NULL);
    cfile_init(out);
    FLV_TRY(flv_doc_parse(&out->doc, name, text, err));
    return read_root(out, conf, err);
}

flv_rc flv_cfile_parse_transform(struct flv_cfile *out,
                                 const char *name,
                                 struct flv_slice text,
                                 const struct flv_cfile_conf *conf,
                                 struct flv_err *err)
{
    struct flv__cread r = {.f = out, .conf = conf, .err = err};
    cfile_init(out);
    FLV_TRY(flv_doc_parse(&out->doc, name, text, err));
    return flv__cfile_one_transform(&r);
}

flv_rc flv_cfile_read_transforms(struct flv_cfile *out,
                                 const char *path,
                                 const struct flv_cfile_conf *conf,
                                 struct flv_err *err)
{
    static const char *const known[] = {"transforms", NULL};
    struct flv__cread r = {.f = out, .conf = conf, .err = err};
    cfile_init(out);
    FLV_TRY(flv_doc_read(&out->doc, path, err));
    const struct flv_node *root = flv_doc_root(out->doc);
    const struct flv_node *list =
        root != NULL ? flv_node_get(root, "transforms") : NULL;
    if (list == NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "%s has no transforms; write a list below "
                        "'transforms:'",
                        path);
    }
    FLV_TRY(flv__cfile_unknown(&r, root, "a file of transforms", known));
    return flv__cfile_transforms(&r, list);
}

flv_rc flv_cfile_take(struct flv_cfile *out,
                      struct flv_doc *doc,
                      const struct flv_cfile_conf *conf,
                      struct flv_err *err)
{
    assert(out != NULL && doc != NULL && conf != NULL);
    cfile_init(out);
    out->doc = doc;
    return read_root(out, conf, err);
}

void flv_cfile_deinit(struct flv_cfile *f)
{
    if (f != NULL) {
        flv_doc_destroy(f->doc);
        flv_arena_deinit(&f->arena);
        *f = (struct flv_cfile){0};
    }
}
