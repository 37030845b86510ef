#include "config/cfile.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/text.h"

flv_rc flv__cfile_nomem(struct flv__cread *r)
{
    bool full = flv_arena_full(&r->f->arena);
    return flv_fail(r->err, full ? FLV_E_LIMIT : FLV_E_NOMEM, "%s: %s",
                    flv_doc_name(r->f->doc),
                    full ? "the values are too large together"
                         : "out of memory");
}

flv_rc flv__cfile_keep(struct flv__cread *r, flv_rc rc)
{
    const char *example = r->example;
    r->example = NULL;
    if (rc != FLV_E_INVALID || r->conf->report == NULL) {
        return rc;
    }
    assert(r->err != NULL);
    flv_report_err(r->conf->report, flv_doc_name(r->f->doc), r->err, example);
    flv_err_clear(r->err);
    return FLV_OK;
}

flv_rc flv__cfile_warn(struct flv__cread *r,
                       const struct flv_node *node,
                       const char *fmt,
                       ...)
{
    struct flv_cfile *f = r->f;
    char text[FLV_ERR_TEXT_MAX], line[FLV_ERR_TEXT_MAX + 100];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (r->conf->report != NULL) {
        flv_report_addf(r->conf->report, FLV_SEVERITY_WARNING, node, NULL, NULL,
                        "%s", text);
        return FLV_OK;
    }
    if (f->warning_count == FLV_CFILE_WARNINGS_MAX) {
        return FLV_OK;
    }
    int len = snprintf(line, sizeof(line), "%s:%u:%u: %s", flv_doc_name(f->doc),
                       node->line, node->col, text);
    assert(len > 0 && (size_t)len < sizeof(line));
    const char *copy = flv_arena_text(&f->arena, line, (size_t)len);
    if (copy == NULL) {
        return flv__cfile_nomem(r);
    }
    f->warnings[f->warning_count++] = copy;
    return FLV_OK;
}

static bool is_known(const char *key, const char *const *known)
{
    for (; *known != NULL; known++) {
        if (flv_key_eq(*known, key)) {
            return true;
        }
    }
    return false;
}

flv_rc flv__cfile_unknown(struct flv__cread *r,
                          const struct flv_node *map,
                          const char *where,
                          const char *const *known)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct flv_node *key = flv_node_key(map, i);
        if (is_known(key->text, known)) {
            continue;
        }
        const char *near = flv_text_nearest(key->text, known);
        if (near != NULL && r->conf->report != NULL) {
            flv_report_addf(
                r->conf->report, FLV_SEVERITY_ERROR, key, near, NULL,
                "the key \"%.60s\"%s%s is unknown; did you mean "
                "\"%s\"?",
                key->text, where[0] != '\0' ? " of " : "", where, near);
            continue;
        }
        FLV_TRY(flv__cfile_warn(
            r, key, "the key \"%.60s\"%s%s is unknown and ignored%s%s%s",
            key->text, where[0] != '\0' ? " of " : "", where,
            near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
            near != NULL ? "\"?" : ""));
    }
    return FLV_OK;
}

/* --- templates ----------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Copies the name of "secrets.NAME" out of the text between the braces. */
static bool
template_name(const char *begin, const char *end, char *out, size_t max)
{
    while (begin < end && is_space(*begin)) {
        begin++;
    }
    while (end > begin && is_space(end[-1])) {
        end--;
    }
    static const char prefix[] = "secrets.";
    size_t skip = sizeof(prefix) - 1;
    size_t len = (size_t)(end - begin);
    if (len <= skip || len - skip >= max || strncmp(begin, prefix, skip) != 0) {
        return false;
    }
    memcpy(out, begin + skip, len - skip);
    out[len - skip] = '\0';
    return true;
}

flv_rc flv__cfile_secret(struct flv__cread *r,
                         const struct flv_node *node,
                         const char *name,
                         const char **out)
{
    const struct flv_cfile_conf *conf = r->conf;
    const char *value = NULL;
    r->f->secrets_used = true;
    if (conf->secret != NULL) {
        value = conf->secret(conf->secret_arg, name);
    }
    if (value == NULL && !conf->secrets_open) {
        return flv_doc_fail(r->f->doc, node, r->err,
                            "value not found for secret name %.60s; %s", name,
                            conf->secret_help != NULL
                                ? conf->secret_help
                                : "give it with --secrets FILE or in the "
                                  "environment");
    }
    *out = value != NULL ? value : "";
    return FLV_OK;
}

/* Appends text with every ${{ secrets.NAME }} replaced. */
static flv_rc
expand(struct flv__cread *r, const struct flv_node *node, struct flv_buf *buf)
{
    const char *p = node->text;
    const char *open;
    while ((open = strstr(p, "${{")) != NULL) {
        const char *close = strstr(open, "}}");
        char name[128];
        if (close == NULL ||
            !template_name(open + 3, close, name, sizeof(name))) {
            return flv_doc_fail(r->f->doc, node, r->err,
                                "the template \"%.40s\" is not understood; "
                                "write ${{ secrets.NAME }}",
                                open);
        }
        const char *value = NULL;
        FLV_TRY(flv__cfile_secret(r, node, name, &value));
        if (flv_buf_add(buf, p, (size_t)(open - p)) != FLV_OK ||
            flv_buf_add_str(buf, value) != FLV_OK) {
            return flv_doc_fail(r->f->doc, node, r->err,
                                "the value is too long with its secrets");
        }
        p = close + 2;
    }
    if (flv_buf_add_str(buf, p) != FLV_OK) {
        return flv_doc_fail(r->f->doc, node, r->err,
                            "the value is too long with its secrets");
    }
    return FLV_OK;
}

/* {secret: {name: NAME}} stands for the secret's value. */
static const struct flv_node *secret_ref(const struct flv_node *node)
{
    const struct flv_node *secret = flv_node_get(node, "secret");
    if (secret == NULL || node->count != 1) {
        return NULL;
    }
    const struct flv_node *name = flv_node_get(secret, "name");
    return name != NULL && name->kind == FLV_NODE_SCALAR ? name : NULL;
}

flv_rc flv__cfile_text(struct flv__cread *r,
                       const struct flv_node *node,
                       const char *what,
                       const char **out,
                       bool *out_secret)
{
    bool secret = false;
    const struct flv_node *ref = secret_ref(node);
    if (ref != NULL) {
        FLV_TRY(flv__cfile_secret(r, ref, ref->text, out));
        *out = flv_arena_text(&r->f->arena, *out, strlen(*out));
        secret = true;
    } else if (node->kind != FLV_NODE_SCALAR) {
        return flv_doc_fail(r->f->doc, node, r->err,
                            "%.60s has to be a single value, not %s", what,
                            flv_node_kind_name(node));
    } else if (strlen(node->text) != node->len) {
        return flv_doc_fail(r->f->doc, node, r->err, "%.60s holds a NUL byte",
                            what);
    } else if (strstr(node->text, "${{") != NULL) {
        struct flv_buf buf;
        flv_buf_init(&buf, FLV_DOC_BYTES_MAX);
        flv_rc rc = expand(r, node, &buf);
        if (rc == FLV_OK) {
            const char *text = buf.len > 0 ? (const char *)buf.data : "";
            *out = flv_arena_text(&r->f->arena, text, buf.len);
        }
        flv_buf_deinit(&buf);
        FLV_TRY(rc);
        secret = true;
    } else {
        *out = node->text;
    }
    if (*out == NULL) {
        return flv__cfile_nomem(r);
    }
    if (out_secret != NULL) {
        *out_secret = secret;
    }
    return FLV_OK;
}

static const char *field_example(const char *key)
{
    static const char *const examples[] = {
        "name: cat-facts", "type: http",      "topic: cat-facts",
        "version: latest", "uses: my-module", NULL};
    size_t len = strlen(key);
    for (size_t i = 0; examples[i] != NULL; i++) {
        if (strncmp(examples[i], key, len) == 0 && examples[i][len] == ':') {
            return examples[i];
        }
    }
    return NULL;
}

flv_rc flv__cfile_get(struct flv__cread *r,
                      const struct flv_node *map,
                      const char *key,
                      bool required,
                      const char **out)
{
    const struct flv_node *node = flv_node_get(map, key);
    if (node == NULL && required) {
        r->example = field_example(key);
        return flv_doc_fail(r->f->doc, map, r->err, "missing field `%s`", key);
    }
    if (node == NULL) {
        return FLV_OK;
    }
    const char *text = NULL;
    FLV_TRY(flv__cfile_text(r, node, key, &text, NULL));
    if (flv_node_is_null(node) || (required && text[0] == '\0')) {
        return flv_doc_fail(r->f->doc, node, r->err, "%s has no value", key);
    }
    *out = text;
    return FLV_OK;
}

flv_rc flv__cfile_bool(struct flv__cread *r,
                       const struct flv_node *map,
                       const char *key,
                       bool *out)
{
    const char *text = NULL;
    FLV_TRY(flv__cfile_get(r, map, key, false, &text));
    if (text == NULL) {
        return FLV_OK;
    }
    if (strcasecmp(text, "true") == 0) {
        *out = true;
    } else if (strcasecmp(text, "false") == 0) {
        *out = false;
    } else {
        return flv_doc_fail(r->f->doc, flv_node_get(map, key), r->err,
                            "%s is \"%.40s\"; write true or false", key, text);
    }
    return FLV_OK;
}

flv_rc flv__cfile_map(struct flv__cread *r,
                      const struct flv_node *map,
                      const char *key,
                      const struct flv_node **out)
{
    *out = NULL;
    const struct flv_node *node = flv_node_get(map, key);
    if (node == NULL || flv_node_is_null(node)) {
        return FLV_OK;
    }
    if (node->kind != FLV_NODE_MAP) {
        return flv_doc_fail(r->f->doc, node, r->err,
                            "%s has to be a map of keys and values, not %s",
                            key, flv_node_kind_name(node));
    }
    *out = node;
    return FLV_OK;
}

/* --- settings ------------------------------------------------------------ */

static flv_rc setting_add(struct flv__cread *r, const struct flv_setting *s)
{
    struct flv_cfile *f = r->f;
    if (f->settings == NULL) {
        f->settings = FLV_ARENA_NEW(&f->arena, struct flv_setting,
                                    FLV_CFILE_SETTINGS_MAX);
        if (f->settings == NULL) {
            return flv__cfile_nomem(r);
        }
    }
    if (f->setting_count == FLV_CFILE_SETTINGS_MAX) {
        return flv_doc_fail(f->doc, s->node, r->err,
                            "the file has more than %d settings",
                            FLV_CFILE_SETTINGS_MAX);
    }
    f->settings[f->setting_count++] = *s;
    return FLV_OK;
}

static flv_rc setting_key(struct flv__cread *r,
                          const char *prefix,
                          const char *name,
                          const char **out)
{
    size_t size = strlen(prefix) + strlen(name) + 1;
    char *key = flv_arena_alloc(&r->f->arena, size, 1);
    if (key == NULL) {
        return flv__cfile_nomem(r);
    }
    (void)snprintf(key, size, "%s%s", prefix, name);
    for (char *p = key; *p != '\0'; p++) {
        *p = *p == '_' ? '-' : *p;
    }
    *out = key;
    return FLV_OK;
}

static flv_rc add_single(struct flv__cread *r,
                         struct flv_setting *s,
                         const struct flv_node *node)
{
    s->node = node;
    if (flv_node_is_null(node)) {
        return flv_doc_fail(r->f->doc, node, r->err,
                            "%.60s has no value; remove the key, or write \"\" "
                            "for an empty text",
                            s->key);
    }
    FLV_TRY(flv__cfile_text(r, node, s->key, &s->value, &s->secret));
    return setting_add(r, s);
}

/* `k: v` inside a map setting becomes the value "k:v". */
static flv_rc add_pair(struct flv__cread *r,
                       struct flv_setting *s,
                       const struct flv_node *key,
                       const struct flv_node *node)
{
    const char *value = NULL;
    s->node = node;
    FLV_TRY(flv__cfile_text(r, node, s->key, &value, &s->secret));
    size_t a = strlen(key->text), b = strlen(value);
    char *text = flv_arena_alloc(&r->f->arena, a + b + 2, 1);
    if (text == NULL) {
        return flv__cfile_nomem(r);
    }
    (void)snprintf(text, a + b + 2, "%s:%s", key->text, value);
    s->value = text;
    return setting_add(r, s);
}

static flv_rc
add_value(struct flv__cread *r, struct flv_setting s, const struct flv_node *v)
{
    if (v->kind == FLV_NODE_SCALAR || secret_ref(v) != NULL) {
        return add_single(r, &s, v);
    }
    for (size_t i = 0; i < v->count; i++) {
        if (v->kind == FLV_NODE_LIST) {
            FLV_STEP(r, add_single(r, &s, v->items[i]));
        } else {
            FLV_STEP(r,
                     add_pair(r, &s, flv_node_key(v, i), flv_node_value(v, i)));
        }
    }
    return FLV_OK;
}

/* A map such as websocket_config is a group: its members are settings like
 * those around it. */
static bool is_group(const struct flv_node *key, const struct flv_node *value)
{
    size_t len = strlen(key->text);
    return value->kind == FLV_NODE_MAP && secret_ref(value) == NULL &&
           len > 7 && flv_key_eq(key->text + len - 7, "-config");
}

static flv_rc add_group(struct flv__cread *r, const struct flv_node *map)
{
    for (size_t i = 0; i < map->count; i++) {
        struct flv_setting s = {.key_node = flv_node_key(map, i)};
        FLV_TRY(setting_key(r, "", s.key_node->text, &s.key));
        FLV_STEP(r, add_value(r, s, flv_node_value(map, i)));
    }
    return FLV_OK;
}

flv_rc flv__cfile_settings(struct flv__cread *r, const struct flv_node *map)
{
    for (size_t i = 0; map != NULL && i < map->count; i++) {
        struct flv_setting s = {.key_node = flv_node_key(map, i)};
        const struct flv_node *value = flv_node_value(map, i);
        if (flv_key_eq(s.key_node->text, "transforms")) {
            FLV_TRY(flv__cfile_transforms(r, value));
            continue;
        }
        if (is_group(s.key_node, value)) {
            FLV_TRY(add_group(r, value));
            continue;
        }
        FLV_TRY(setting_key(r, "", s.key_node->text, &s.key));
        FLV_STEP(r, add_value(r, s, value));
    }
    return FLV_OK;
}

flv_rc flv__cfile_on_error_setting(struct flv__cread *r,
                                   const struct flv_node *map)
{
    struct flv_setting s = {.key = "on-error",
                            .node = flv_node_get(map, "on-error")};
    FLV_TRY(flv__cfile_on_error(r, map, &s.value));
    s.key_node = s.node;
    return s.value != NULL ? setting_add(r, &s) : FLV_OK;
}

/* --- producer ------------------------------------------------------------ */

static const char *const codecs[] = {"none", "gzip", "snappy",
                                     "lz4",  "zstd", NULL};

static flv_rc check_producer(struct flv__cread *r, const struct flv_setting *s)
{
    const struct flv_doc *doc = r->f->doc;
    uint64_t number;
    if (strcmp(s->key, "producer-linger") == 0 &&
        flv_text_duration(s->value, 0, &number, NULL) != FLV_OK) {
        return flv_doc_fail(doc, s->node, r->err,
                            "linger: invalid value: string \"%.40s\", expected "
                            "a duration such as \"100ms\"",
                            s->value);
    }
    if (strcmp(s->key, "producer-compression") == 0 &&
        !is_known(s->value, codecs)) {
        return flv_doc_fail(doc, s->node, r->err,
                            "compression: unknown variant `%.40s`, expected "
                            "one of `none`, `gzip`, `snappy`, `lz4`, `zstd`",
                            s->value);
    }
    if (strcmp(s->key, "producer-batch-size") == 0 &&
        flv_text_size(s->value, &number, NULL) != FLV_OK) {
        return flv_doc_fail(doc, s->node, r->err,
                            "batch-size: couldn't parse \"%.40s\" into a known "
                            "SI unit, expected a size such as \"16 KB\"",
                            s->value);
    }
    return FLV_OK;
}

static flv_rc
add_producer(struct flv__cread *r, const char *key, const struct flv_node *node)
{
    struct flv_setting s = {.key_node = node};
    FLV_TRY(setting_key(r, "producer-", key, &s.key));
    FLV_TRY(add_single(r, &s, node));
    return check_producer(r, &r->f->settings[r->f->setting_count - 1]);
}

flv_rc flv__cfile_producer(struct flv__cread *r, const struct flv_node *map)
{
    static const char *const known[] = {"linger", "compression", "batch-size",
                                        NULL};
    if (map == NULL) {
        return FLV_OK;
    }
    FLV_TRY(flv__cfile_unknown(r, map, "producer", known));
    for (const char *const *k = known; *k != NULL; k++) {
        const struct flv_node *node = flv_node_get(map, *k);
        if (node != NULL) {
            FLV_STEP(r, add_producer(r, *k, node));
        }
    }
    return FLV_OK;
}
