/* fuzz-libs: flv_config */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/connector_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7 loses a buffer when a quoted key is too long. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

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
    return 0;
}
