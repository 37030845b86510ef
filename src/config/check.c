#include "config/check.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/cfile.h"

/* Short, so that sentences behind it have room. */
#define NAME "file"
#define SENTENCE_MAX 400
#define MEANT_MAX 32

struct check {
    struct flv_checked *c;             /* borrowed; being filled */
    const struct flv_check_conf *conf; /* borrowed */
    const struct flv_node *head;       /* the map with name, type, topic */
    /* What unknown settings were probably meant to be: not missing then. */
    const struct flv_opt *meant[MEANT_MAX];
    size_t meant_count;
};

bool flv_topic_name_ok(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > 63 || name[0] == '-' || name[len - 1] == '-') {
        return false;
    }
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static void mistake(struct check *k,
                    const struct flv_node *node,
                    const char *near,
                    const char *example,
                    const char *fmt,
                    ...) FLV_PRINTF(5, 6);

static void mistake(struct check *k,
                    const struct flv_node *node,
                    const char *near,
                    const char *example,
                    const char *fmt,
                    ...)
{
    char text[SENTENCE_MAX];
    va_list ap;
    va_start(ap, fmt);
    /* A false alarm. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    flv_report_addf(&k->c->report, FLV_SEVERITY_ERROR, node, near, example,
                    "%s", text);
}

/* --- the head: name, type, topic, version, direction --------------------- */

static const struct flv_node *key_of(const struct flv_node *map,
                                     const char *key)
{
    for (size_t i = 0;
         map != NULL && map->kind == FLV_NODE_MAP && i < map->count; i++) {
        if (flv_key_eq(flv_node_key(map, i)->text, key)) {
            return flv_node_key(map, i);
        }
    }
    return NULL;
}

/* "-" or "_" in the version's name, or its older name. */
static const struct flv_node *version_node(const struct flv_node *head)
{
    const struct flv_node *node = flv_node_get(head, "connector-version");
    return node != NULL ? node : flv_node_get(head, "version");
}

static void list_installed(const struct check *k, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; len < size; i++) {
        const char *name = k->conf->installed(k->conf->arg, i);
        if (name == NULL) {
            return;
        }
        int n =
            snprintf(out + len, size - len, "%s%s", i > 0 ? ", " : "", name);
        len += n > 0 ? (size_t)n : 0;
    }
}

static void check_type(struct check *k)
{
    const struct flv_cfile *f = &k->c->file;
    if (f->type == NULL) {
        return;
    }
    k->c->type = k->conf->find(k->conf->arg, f->type);
    if (k->c->type != NULL) {
        return;
    }
    const char *why = k->conf->problem != NULL
                          ? k->conf->problem(k->conf->arg, f->type)
                          : NULL;
    if (why != NULL) {
        mistake(k, f->type_node, NULL, NULL,
                "the connector \"%.40s\" is of no use: %s", f->type, why);
        return;
    }
    char all[200], example[100];
    struct flv_nearest near;
    flv_nearest_init(&near, f->type);
    for (size_t i = 0; k->conf->installed(k->conf->arg, i) != NULL; i++) {
        flv_nearest_offer(&near, k->conf->installed(k->conf->arg, i));
    }
    const char *best = flv_nearest_get(&near);
    list_installed(k, all, sizeof(all));
    (void)snprintf(example, sizeof(example), "type: %.60s",
                   best != NULL ? best : "http");
    mistake(k, f->type_node, best, example,
            "there is no connector \"%.40s\" (installed: %s)%s%s%s", f->type,
            all[0] != '\0' ? all : "none",
            best != NULL ? "; did you mean \"" : "", best != NULL ? best : "",
            best != NULL ? "\"?" : "");
}

static void check_version(struct check *k)
{
    const struct flv_descriptor *type = k->c->type;
    const char *version = k->c->file.version;
    if (type == NULL || flv_descriptor_has_version(type, version)) {
        return;
    }
    char all[200] = "";
    for (size_t i = 0, len = 0; type->versions[i] != NULL && len < sizeof(all);
         i++) {
        int n = snprintf(all + len, sizeof(all) - len, "%s%.40s",
                         i > 0 ? ", " : "", type->versions[i]);
        len += n > 0 ? (size_t)n : 0;
    }
    mistake(k, version_node(k->head), type->version, "version: latest",
            "version %.40s of %s is not installed; installed: %s", version,
            type->name, all);
}

static void check_direction(struct check *k)
{
    const struct flv_cfile *f = &k->c->file;
    if (k->c->type == NULL || f->direction == FLV_CFILE_ANY ||
        f->direction == k->c->type->direction) {
        return;
    }
    const struct flv_node *node = flv_node_get(k->head, "direction");
    if (node != NULL && flv_report_has(&k->c->report, node)) {
        return;
    }
    bool source = f->direction == FLV_CFILE_SOURCE;
    const char *is = source ? "sink" : "source";
    char example[40];
    (void)snprintf(example, sizeof(example), "direction: %s", is);
    mistake(k, node != NULL ? node : f->type_node, is, example,
            "the direction is %s, but \"%s\" is a %s",
            source ? "source" : "sink", k->c->type->name, is);
}

static void check_names(struct check *k)
{
    const struct flv_cfile *f = &k->c->file;
    if (f->name != NULL && !flv_connector_name_ok(f->name)) {
        mistake(k, flv_node_get(k->head, "name"), NULL, "name: cat-facts",
                "\"%.70s\" cannot be the name of a connector; use at most %d "
                "lower case letters, digits, '-' and '.', with a letter or "
                "digit at both ends",
                f->name, FLV_CONNECTOR_NAME_MAX);
    }
    if (f->topic.name != NULL && !flv_topic_name_ok(f->topic.name)) {
        mistake(k, f->topic.node, NULL, "topic: cat-facts",
                "Invalid Topic name %.80s. Contain only lowercase "
                "alphanumeric characters or '-'",
                f->topic.name);
    }
}

static void check_consumer(struct check *k)
{
    const struct flv_cfile *f = &k->c->file;
    if (f->consumer != NULL && k->c->type != NULL &&
        k->c->type->direction == FLV_CFILE_SOURCE) {
        flv_report_addf(&k->c->report, FLV_SEVERITY_WARNING,
                        key_of(k->head, "consumer"), NULL, NULL,
                        "consumer is for sinks; %s is a source, and it is "
                        "ignored",
                        k->c->type->name);
    }
}

/* --- settings ------------------------------------------------------------ */

/* "key: value" as it would be right; out has the size of a line. */
static const char *
example_of(const struct flv_opt *opt, const char *key, char *out)
{
    struct flv_buf b;
    flv_buf_init(&b, SENTENCE_MAX - 100);
    const char *value =
        flv_descriptor_example(opt, &b) == FLV_OK ? flv_buf_str(&b) : NULL;
    bool quote = value != NULL && (strpbrk(value, ":#{}[]&*!|>'\"%@`") != NULL);
    bool list = opt->type == FLV_OPT_LIST;
    (void)snprintf(out, SENTENCE_MAX, "%.80s: %s%s%s%s%s", key, list ? "[" : "",
                   quote ? "\"" : "", value != NULL ? value : "",
                   quote ? "\"" : "", list ? "]" : "");
    flv_buf_deinit(&b);
    return out;
}

static void unknown(struct check *k, const struct flv_setting *s)
{
    struct flv_nearest near;
    char example[SENTENCE_MAX];
    flv_nearest_init(&near, s->key);
    for (const struct flv_opt *o = k->c->type->opts; o->name != NULL; o++) {
        if ((o->flags & (FLV_OPT_LINE | FLV_OPT_HIDDEN)) == 0) {
            flv_nearest_offer(&near, o->name);
        }
    }
    const char *best = flv_nearest_get(&near);
    const struct flv_opt *opt =
        best != NULL ? flv_opt_find(k->c->type->opts, best) : NULL;
    if (opt != NULL && k->meant_count < MEANT_MAX) {
        k->meant[k->meant_count++] = opt;
    }
    mistake(k, s->key_node, best,
            opt != NULL ? example_of(opt, best, example) : NULL,
            "\"%.60s\" is not a setting of %s%s%s%s", s->key, k->c->type->name,
            best != NULL ? "; did you mean \"" : "", best != NULL ? best : "",
            best != NULL ? "\"?" : "");
}

static void replaced(struct check *k,
                     const struct flv_setting *s,
                     const struct flv_opt *opt)
{
    const struct flv_opt *heir =
        flv_opt_find(k->c->type->opts, opt->deprecated);
    char example[SENTENCE_MAX];
    bool gone = (opt->flags & FLV_OPT_HIDDEN) != 0;
    flv_report_addf(&k->c->report,
                    gone ? FLV_SEVERITY_ERROR : FLV_SEVERITY_WARNING,
                    s->key_node, heir != NULL ? heir->name : NULL,
                    heir != NULL ? example_of(heir, heir->name, example) : NULL,
                    "%s %s; use %.80s", opt->name,
                    gone ? "was replaced" : "is deprecated", opt->deprecated);
}

/* The setting before this one that is the same option, or NULL. */
static const struct flv_setting *
same_before(const struct check *k, size_t at, const struct flv_opt *opt)
{
    const struct flv_cfile *f = &k->c->file;
    for (size_t i = 0; i < at; i++) {
        if (flv_opt_find(k->c->type->opts, f->settings[i].key) == opt) {
            return &f->settings[i];
        }
    }
    return NULL;
}

/* Two settings of one group exclude each other. */
static const struct flv_setting *
rival_before(const struct check *k, size_t at, const struct flv_opt *opt)
{
    const struct flv_cfile *f = &k->c->file;
    for (size_t i = 0; i < at && opt->group != NULL; i++) {
        const struct flv_opt *o =
            flv_opt_find(k->c->type->opts, f->settings[i].key);
        if (o != NULL && o != opt && o->group != NULL &&
            strcmp(o->group, opt->group) == 0) {
            return &f->settings[i];
        }
    }
    return NULL;
}

static void check_once(struct check *k, size_t at, const struct flv_opt *opt)
{
    const struct flv_setting *s = &k->c->file.settings[at];
    const struct flv_setting *rival = rival_before(k, at, opt);
    char example[SENTENCE_MAX];
    if (rival != NULL) {
        mistake(k, s->key_node, NULL, NULL,
                "%s cannot be used with %s in line %u", s->key, rival->key,
                rival->key_node->line);
    }
    const struct flv_setting *other = same_before(k, at, opt);
    if (other == NULL || opt->type == FLV_OPT_LIST) {
        return;
    }
    if (other->key_node == s->key_node) {
        mistake(k, s->key_node, NULL, example_of(opt, s->key, example),
                "%s takes one value, not a list or map", s->key);
    } else if (!flv_key_eq(other->key, s->key)) {
        mistake(k, s->key_node, NULL, NULL,
                "%s is the same setting as %s in line %u; remove one of them",
                s->key, other->key, other->key_node->line);
    }
}

static void check_value(struct check *k,
                        const struct flv_setting *s,
                        const struct flv_opt *opt)
{
    struct flv_err why = {0};
    char example[SENTENCE_MAX];
    if ((s->secret && k->conf->secrets_open) ||
        flv_report_has(&k->c->report, s->node) ||
        flv_opt_check(opt, s->value, &why) == FLV_OK) {
        return;
    }
    example_of(opt, s->key, example);
    if (s->secret) {
        mistake(k, s->node, NULL, example,
                "the secret in \"%.60s\" is not a valid value", s->key);
        return;
    }
    const char *near =
        opt->choices != NULL && (opt->flags & FLV_OPT_SECRET) == 0
            ? flv_text_nearest(s->value, opt->choices)
            : NULL;
    if (near != NULL) {
        (void)snprintf(example, sizeof(example), "%.80s: %.80s", s->key, near);
    }
    mistake(k, s->node, near, example, "%s: %s%s%s%s", s->key, why.text,
            near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
            near != NULL ? "\"?" : "");
}

static void check_topic_again(struct check *k, const struct flv_setting *s)
{
    const struct flv_cfile_topic *t = &k->c->file.topic;
    if (t->name != NULL && strcmp(s->value, t->name) != 0) {
        mistake(k, s->node, t->name, NULL,
                "the parameter %s is \"%.60s\" but topic in line %u is "
                "\"%.60s\"; make them the same",
                s->key, s->value, t->node->line, t->name);
    }
}

static void check_setting(struct check *k, size_t at)
{
    const struct flv_setting *s = &k->c->file.settings[at];
    const struct flv_opt *opt = flv_opt_find(k->c->type->opts, s->key);
    if (opt == NULL) {
        unknown(k, s);
    } else if ((opt->flags & FLV_OPT_LINE) != 0) {
        mistake(k, s->key_node, NULL, NULL,
                "\"%.60s\" belongs on a command line, not in a file; remove it",
                s->key);
    } else if (opt->deprecated != NULL && (opt->flags & FLV_OPT_HIDDEN) != 0) {
        replaced(k, s, opt);
    } else if (strcmp(opt->name, "fluvio-topic") == 0) {
        check_topic_again(k, s);
    } else {
        if (opt->deprecated != NULL) {
            replaced(k, s, opt);
        }
        check_once(k, at, opt);
        check_value(k, s, opt);
    }
}

/* The key of the settings' map, or NULL. */
static const struct flv_node *settings_key(const struct check *k)
{
    const struct flv_cfile *f = &k->c->file;
    const struct flv_node *root = flv_doc_root(f->doc);
    const struct flv_node *key = NULL;
    if (f->dialect == FLV_CFILE_FLAT) {
        return key_of(root, "parameters");
    }
    if (k->c->type->section != NULL) {
        key = key_of(root, k->c->type->section);
    }
    return key != NULL ? key : key_of(root, "custom");
}

/* Is it written there, even misspelled or with a value that could not be
 * read? */
static bool is_written(const struct check *k, const struct flv_opt *opt)
{
    for (size_t i = 0; i < k->meant_count; i++) {
        if (k->meant[i] == opt) {
            return true;
        }
    }
    const struct flv_node *key = settings_key(k);
    const struct flv_node *map =
        key != NULL ? flv_node_get(flv_doc_root(k->c->file.doc), key->text)
                    : NULL;
    for (size_t i = 0;
         map != NULL && map->kind == FLV_NODE_MAP && i < map->count; i++) {
        if (flv_opt_find(k->c->type->opts, flv_node_key(map, i)->text) == opt) {
            return true;
        }
    }
    return false;
}

static bool in_environment(const struct flv_cfile *f, const char *name)
{
    for (size_t i = 0; name != NULL && i < f->secret_count; i++) {
        if (strcmp(f->secrets[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_required(struct check *k)
{
    const struct flv_cfile *f = &k->c->file;
    for (const struct flv_opt *o = k->c->type->opts; o->name != NULL; o++) {
        char example[SENTENCE_MAX];
        if ((o->flags & FLV_OPT_REQUIRED) == 0 ||
            (o->flags & FLV_OPT_LINE) != 0 ||
            strcmp(o->name, "fluvio-topic") == 0 ||
            same_before(k, f->setting_count, o) != NULL || is_written(k, o) ||
            in_environment(f, o->env) ||
            (k->conf->given != NULL && k->conf->given(k->conf->arg, o->name))) {
            continue;
        }
        const struct flv_node *key = settings_key(k);
        mistake(k, key != NULL ? key : f->type_node, NULL,
                example_of(o, o->name, example),
                "the setting \"%s\" of %s is missing", o->name,
                k->c->type->name);
    }
}

/* --- the whole ----------------------------------------------------------- */

/* The map with name and type. */
static const struct flv_node *find_head(const struct flv_node *root)
{
    const struct flv_node *meta = flv_node_get(root, "meta");
    return meta != NULL && meta->kind == FLV_NODE_MAP ? meta : root;
}

/* The section's key has to be known before the file can be read. Without the
 * type, the first map that is nothing else is taken for it. */
static const char *find_section(const struct check *k,
                                const struct flv_node *root)
{
    const struct flv_node *type = flv_node_get(k->head, "type");
    const struct flv_node *way = flv_node_get(k->head, "direction");
    if (type != NULL && type->kind == FLV_NODE_SCALAR) {
        char name[FLV_CONNECTOR_NAME_MAX + 8];
        size_t stem = flv_cfile_type_len(type->text);
        bool sink = strcmp(type->text + stem, "-sink") == 0 ||
                    (way != NULL && way->kind == FLV_NODE_SCALAR &&
                     strcmp(way->text, "sink") == 0);
        int len = snprintf(name, sizeof(name), "%.*s%s", (int)stem, type->text,
                           sink ? "-sink" : "");
        const struct flv_descriptor *d = len > 0 && (size_t)len < sizeof(name)
                                             ? k->conf->find(k->conf->arg, name)
                                             : NULL;
        if (d != NULL) {
            return d->section;
        }
    }
    for (size_t i = 0; root->kind == FLV_NODE_MAP && i < root->count; i++) {
        const char *key = flv_node_key(root, i)->text;
        if (flv_node_value(root, i)->kind == FLV_NODE_MAP &&
            strcmp(key, "meta") != 0 && strcmp(key, "custom") != 0 &&
            strcmp(key, "transforms") != 0) {
            return key;
        }
    }
    return NULL;
}

/* One that would read the template as the value. */
static void check_secrets(struct check *k)
{
    const struct flv_cfile *f = &k->c->file;
    const struct flv_node *node = key_of(k->head, "secrets");
    if (!f->secrets_used || (k->c->type->features & FLV_FEATURE_SECRETS) != 0) {
        return;
    }
    for (size_t i = f->setting_count; i > 0; i--) {
        node = f->settings[i - 1].secret ? f->settings[i - 1].node : node;
    }
    mistake(k, node != NULL ? node : f->type_node, NULL, NULL,
            "the connector \"%.40s\" takes no secrets: its --describe does not "
            "list the feature \"secrets\"; write the value itself",
            k->c->type->name);
}

static flv_rc
check_doc(struct check *k, struct flv_doc *doc, struct flv_err *err)
{
    flv_rc rc = flv__cfile_unwrap(doc, err);
    if (rc != FLV_OK) {
        flv_doc_destroy(doc);
        return rc;
    }
    const struct flv_node *root = flv_doc_root(doc);
    struct flv_cfile_conf conf = {.secret = k->conf->secret,
                                  .secret_arg = k->conf->secret_arg,
                                  .secrets_open = k->conf->secrets_open,
                                  .secret_help = k->conf->secret_help,
                                  .report = &k->c->report};
    if (root != NULL) {
        k->head = find_head(root);
        conf.section = find_section(k, root);
    }
    FLV_TRY(flv_cfile_take(&k->c->file, doc, &conf, err));
    if (root == NULL || root->kind != FLV_NODE_MAP) {
        return FLV_OK;
    }
    check_type(k);
    check_version(k);
    check_direction(k);
    check_names(k);
    check_consumer(k);
    for (size_t i = 0; k->c->type != NULL && i < k->c->file.setting_count;
         i++) {
        check_setting(k, i);
    }
    if (k->c->type != NULL) {
        check_required(k);
        check_secrets(k);
    }
    return FLV_OK;
}

flv_rc flv_check_text(struct flv_checked *out,
                      struct flv_slice text,
                      const struct flv_check_conf *conf,
                      struct flv_err *err)
{
    assert(conf->find != NULL && conf->installed != NULL);
    struct flv_err why = {0};
    struct flv_doc *doc = NULL;
    *out = (struct flv_checked){.type = NULL};
    flv_report_init(&out->report);
    flv_rc rc = flv_doc_parse_all(&doc, NAME, text, &out->report, &why);
    if (rc == FLV_OK) {
        struct check k = {.c = out, .conf = conf};
        rc = check_doc(&k, doc, &why);
    } else if (rc == FLV_E_INVALID || rc == FLV_E_LIMIT) {
        flv_report_err(&out->report, NAME, &why, NULL);
        rc = FLV_OK;
    }
    flv_report_sort(&out->report);
    if (rc != FLV_OK && err != NULL) {
        *err = why;
    }
    return rc;
}

/* The node of the setting that a sentence begins with, or NULL. */
static const struct flv_node *named_setting(const struct flv_checked *c,
                                            const char *text)
{
    char word[80];
    size_t len = strcspn(text, " :\"");
    if (c->type == NULL || len == 0 || len >= sizeof(word)) {
        return NULL;
    }
    memcpy(word, text, len);
    word[len] = '\0';
    const struct flv_opt *opt = flv_opt_find(c->type->opts, word);
    for (size_t i = 0; opt != NULL && i < c->file.setting_count; i++) {
        if (flv_opt_find(c->type->opts, c->file.settings[i].key) == opt) {
            return c->file.settings[i].node;
        }
    }
    return NULL;
}

void flv_check_add_program(struct flv_checked *c,
                           const char *path,
                           const char *line)
{
    static const char prefix[] = "error: ";
    char text[SENTENCE_MAX];
    if (strncmp(line, prefix, sizeof(prefix) - 1) == 0) {
        line += sizeof(prefix) - 1;
    }
    struct flv_problem p = {.severity = FLV_SEVERITY_ERROR};
    line = flv_doc_place(path, line, &p.line, &p.col);
    (void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\r\n"),
                   line);
    p.text = text[0] != '\0' ? text : "the connector refuses the file";
    const struct flv_node *node = p.line == 0 ? named_setting(c, text) : NULL;
    if (node != NULL) {
        p.line = node->line;
        p.col = node->col;
    }
    flv_report_add(&c->report, &p);
    flv_report_sort(&c->report);
}

void flv_checked_deinit(struct flv_checked *c)
{
    if (c != NULL) {
        flv_cfile_deinit(&c->file);
        flv_report_deinit(&c->report);
        c->type = NULL;
    }
}
