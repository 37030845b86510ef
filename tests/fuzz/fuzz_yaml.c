/* fuzz-libs: flv_config */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/check.h"
#include "config/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *secret(void *arg, const char *name)
{
    (void)arg;
    return name[0] == 'A' ? "value" : NULL;
}

/* Visits every node the way a reader would, aliases expanded. */
static size_t walk(const struct flv_node *n, unsigned depth)
{
    size_t seen = 1;
    size_t items = n->kind == FLV_NODE_MAP ? n->count * 2 : n->count;
    assert(depth <= FLV_DOC_DEPTH_MAX);
    assert(n->line > 0 && n->col > 0 && n->text != NULL);
    assert(n->text[n->len] == '\0');
    for (size_t i = 0; i < items; i++) {
        seen += walk(n->items[i], depth + 1);
    }
    assert(seen <= FLV_DOC_NODES_MAX);
    return seen;
}

/* --- the same file, read to its end ------------------------------------- */

static const struct flv_opt opts[] = {
    {.name = "endpoint", .type = FLV_OPT_STR, .help = ""},
    {.name = "interval",
     .type = FLV_OPT_DURATION,
     .unit_ms = 1000,
     .max = 1 << 30,
     .help = ""},
    {.name = "header",
     .type = FLV_OPT_LIST,
     .flags = FLV_OPT_SECRET,
     .help = ""},
    {.name = NULL}};
static const char *const versions[] = {"1", NULL};
static const struct flv_descriptor type = {.name = "http",
                                           .version = "1",
                                           .versions = versions,
                                           .summary = "",
                                           .section = "http",
                                           .direction = FLV_CFILE_SOURCE,
                                           .opts = opts,
                                           .opt_count = 3};

static const struct flv_descriptor *find(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return &type;
}

static const char *installed(void *arg, size_t i)
{
    (void)arg;
    return i == 0 ? type.name : NULL;
}

/* What the strict reader refuses, a check must not call right; and what is
 * printed again is a document again. */
static void check(struct flv_slice text, bool refused)
{
    static const struct flv_check_conf conf = {
        .find = find, .installed = installed, .secret = secret};
    struct flv_checked c;
    struct flv_err err = {0};
    struct flv_buf out;
    flv_rc rc = flv_check_text(&c, text, &conf, &err);
    assert(rc == FLV_OK || rc == FLV_E_LIMIT);
    assert(rc != FLV_OK || !refused || c.report.errors > 0);
    const struct flv_node *root =
        c.file.doc != NULL ? flv_doc_root(c.file.doc) : NULL;
    flv_buf_init(&out, 1 << 26);
    if (rc == FLV_OK && root != NULL && root->kind == FLV_NODE_MAP &&
        flv_cfile_print(&c.file, opts, &out) == FLV_OK &&
        out.len <= FLV_DOC_BYTES_MAX && c.report.errors == 0) {
        struct flv_doc *again = NULL;
        rc = flv_doc_parse(&again, "again", flv_buf_slice(&out), &err);
        assert(rc == FLV_OK);
        flv_doc_destroy(again);
    }
    flv_buf_deinit(&out);
    flv_checked_deinit(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct flv_cfile_conf conf = {.section = "http",
                                               .secret = secret};
    struct flv_cfile f;
    struct flv_err err = {0};
    flv_rc rc = flv_cfile_parse(&f, "f", flv_slice(data, size), &conf, &err);
    assert((rc == FLV_OK) == (err.text[0] == '\0'));
    if (f.doc != NULL && flv_doc_root(f.doc) != NULL) {
        const struct flv_node *root = flv_doc_root(f.doc);
        assert(walk(root, 1) == root->weight);
    }
    for (size_t i = 0; rc == FLV_OK && i < f.setting_count; i++) {
        assert(strchr(f.settings[i].key, '_') == NULL);
        assert(f.settings[i].value != NULL);
    }
    for (size_t i = 0; rc == FLV_OK && i < f.transform_count; i++) {
        const struct flv_transform *t = &f.transforms[i];
        assert(t->uses != NULL && t->node != NULL);
        for (size_t k = 0; k < t->param_count; k++) {
            assert(t->params[k].key != NULL && t->params[k].value != NULL);
        }
    }
    flv_cfile_deinit(&f);
    check(flv_slice(data, size), rc == FLV_E_INVALID);
    return 0;
}
