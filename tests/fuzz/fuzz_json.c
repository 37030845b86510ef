/* fuzz-libs: flv_config */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "config/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Prints the tree; what is printed reads as the same tree. */
static void print(const struct flv_node *n, struct flv_buf *b, unsigned depth)
{
    flv_rc rc = FLV_OK;
    assert(depth <= FLV_DOC_DEPTH_MAX + 1);
    assert(n->line > 0 && n->col > 0 && n->text[n->len] == '\0');
    if (n->kind == FLV_NODE_SCALAR) {
        rc = n->quoted ? flv_text_json(b, flv_slice(n->text, n->len))
                       : flv_buf_add(b, n->text, n->len);
        assert(rc == FLV_OK);
        return;
    }
    bool map = n->kind == FLV_NODE_MAP;
    rc = flv_buf_add_str(b, map ? "{" : "[");
    for (size_t i = 0; i < n->count * (map ? 2 : 1) && rc == FLV_OK; i++) {
        rc =
            i == 0 ? FLV_OK : flv_buf_add_str(b, map && i % 2 == 1 ? ":" : ",");
        print(n->items[i], b, depth + 1);
    }
    rc = rc == FLV_OK ? flv_buf_add_str(b, map ? "}" : "]") : rc;
    assert(rc == FLV_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_doc *doc = NULL, *again = NULL;
    struct flv_err err = {0};
    struct flv_buf a, b;
    if (flv_doc_json(&doc, "f", flv_slice(data, size), &err) != FLV_OK) {
        assert(err.text[0] != '\0' && doc == NULL);
        return 0;
    }
    flv_buf_init(&a, 1 << 28);
    flv_buf_init(&b, 1 << 28);
    print(flv_doc_root(doc), &a, 1);
    flv_rc rc = flv_doc_json(&again, "g", flv_buf_slice(&a), &err);
    assert(rc == FLV_OK);
    print(flv_doc_root(again), &b, 1);
    assert(flv_slice_eq(flv_buf_slice(&a), flv_buf_slice(&b)));
    flv_buf_deinit(&a);
    flv_buf_deinit(&b);
    flv_doc_destroy(doc);
    flv_doc_destroy(again);
    return 0;
}
