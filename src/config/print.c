#include "config/print.h"

#include <assert.h>

#include "base/text.h"

struct print {
    const struct flv_cfile *f;   /* borrowed */
    const struct flv_opt *opts;  /* borrowed; or NULL */
    const struct flv_node *veil; /* all below it is secret; or NULL */
    struct flv_buf *out;
    flv_rc rc;
};

static void add(struct print *p, const char *text)
{
    if (p->rc == FLV_OK) {
        p->rc = flv_buf_add_str(p->out, text);
    }
}

static void indent(struct print *p, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        add(p, "  ");
    }
}

static bool is_secret(const struct print *p, const struct flv_node *node)
{
    if (p->veil != NULL) {
        return true;
    }
    for (size_t i = 0; i < p->f->setting_count; i++) {
        const struct flv_setting *s = &p->f->settings[i];
        if (s->node != node) {
            continue;
        }
        const struct flv_opt *opt =
            p->opts != NULL ? flv_opt_find(p->opts, s->key) : NULL;
        return opt == NULL || (opt->flags & FLV_OPT_SECRET) != 0;
    }
    return false;
}

/* A value that was plain can be so again, unless it went over lines. */
static void scalar(struct print *p, const struct flv_node *node)
{
    bool template = strstr(node->text, "${{") != NULL;
    if (!template && is_secret(p, node)) {
        add(p, "\"" FLV_REDACTED "\"");
    } else if (node->quoted || strchr(node->text, '\n') != NULL) {
        if (p->rc == FLV_OK) {
            p->rc = flv_text_json(p->out, flv_slice(node->text, node->len));
        }
    } else {
        add(p, node->text);
    }
}

static void block(struct print *p, const struct flv_node *node, unsigned depth);

/* What stands behind a key or a dash, up to the line feed. */
static void
value(struct print *p, const struct flv_node *node, unsigned depth, bool item)
{
    if (node->kind == FLV_NODE_SCALAR) {
        bool any = item || node->quoted || node->len > 0 || is_secret(p, node);
        add(p, any ? " " : "");
        scalar(p, node);
        add(p, "\n");
    } else if (node->count == 0) {
        add(p, node->kind == FLV_NODE_MAP ? " {}\n" : " []\n");
    } else {
        add(p, "\n");
        block(p, node, depth + 1);
    }
}

static void key(struct print *p, const struct flv_node *node)
{
    bool plain =
        node->text[0] != '\0' &&
        node->text[strspn(node->text, "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
                                      "/")] == '\0' &&
        node->text[0] != '-';
    if (plain) {
        add(p, node->text);
    } else if (p->rc == FLV_OK) {
        p->rc = flv_text_json(p->out, flv_slice(node->text, node->len));
    }
    add(p, ":");
}

static void
pair(struct print *p, const struct flv_node *map, size_t i, unsigned depth)
{
    const struct flv_node *v = flv_node_value(map, i);
    bool env = depth == 0 && p->f->dialect == FLV_CFILE_FLAT &&
               flv_key_eq(flv_node_key(map, i)->text, "secrets");
    indent(p, depth);
    key(p, flv_node_key(map, i));
    p->veil = env ? v : p->veil;
    value(p, v, depth, false);
    p->veil = env ? NULL : p->veil;
}

/* Depth is bounded by the document's. */
static void block(struct print *p, const struct flv_node *node, unsigned depth)
{
    for (size_t i = 0; i < node->count; i++) {
        if (node->kind == FLV_NODE_MAP) {
            pair(p, node, i, depth);
        } else {
            indent(p, depth);
            add(p, "-");
            value(p, node->items[i], depth, true);
        }
    }
}

/* The order in which it was always printed. */
static void flat_root(struct print *p, const struct flv_node *root)
{
    static const char *const first[] = {"name", "type", "topic", "version"};
    const size_t count = sizeof(first) / sizeof(first[0]);
    for (size_t k = 0; k < count; k++) {
        for (size_t i = 0; i < root->count; i++) {
            if (flv_key_eq(flv_node_key(root, i)->text, first[k])) {
                pair(p, root, i, 0);
            }
        }
    }
    for (size_t i = 0; i < root->count; i++) {
        bool done = false;
        for (size_t k = 0; k < count; k++) {
            done = done || flv_key_eq(flv_node_key(root, i)->text, first[k]);
        }
        if (!done) {
            pair(p, root, i, 0);
        }
    }
}

flv_rc flv_cfile_print(const struct flv_cfile *f,
                       const struct flv_opt *opts,
                       struct flv_buf *out)
{
    struct print p = {.f = f, .opts = opts, .out = out, .rc = FLV_OK};
    const struct flv_node *root = flv_doc_root(f->doc);
    assert(root != NULL && root->kind == FLV_NODE_MAP);
    add(&p, "---\n");
    if (f->dialect == FLV_CFILE_FLAT) {
        flat_root(&p, root);
    } else {
        block(&p, root, 0);
    }
    return p.rc;
}
