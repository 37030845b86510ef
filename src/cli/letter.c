#include "cli/letter.h"

#include "base/text.h"

#include <assert.h>
#include <inttypes.h>

#define RECORD_BYTES_MAX ((size_t)64 << 20)

/* ---- Members ------------------------------------------------------------ */

static flv_rc get_map(const struct flv_node *from,
                      const char *name,
                      const struct flv_node **out,
                      struct flv_err *err)
{
    *out = flv_node_get(from, name);
    return *out != NULL && (*out)->kind == FLV_NODE_MAP
               ? FLV_OK
               : flv_fail(err, FLV_E_INVALID, "it has no \"%s\"", name);
}

static bool is_text(const struct flv_node *n)
{
    return n != NULL && n->kind == FLV_NODE_SCALAR && n->quoted;
}

/* What a newer writer leaves out is not worth refusing the record for. */
static const char *
text_or(const struct flv_node *from, const char *name, const char *other)
{
    const struct flv_node *n = flv_node_get(from, name);
    return is_text(n) ? n->text : other;
}

static int64_t
number_or(const struct flv_node *from, const char *name, int64_t other)
{
    const struct flv_node *n = flv_node_get(from, name);
    int64_t v = 0;
    return n != NULL && n->kind == FLV_NODE_SCALAR && !n->quoted &&
                   flv_text_i64(n->text, 0, INT64_MAX, &v, NULL) == FLV_OK
               ? v
               : other;
}

static flv_rc get_bytes(const struct flv_node *from,
                        const char *name,
                        struct flv_buf *out,
                        struct flv_err *err)
{
    const struct flv_node *n = flv_node_get(from, name);
    if (!is_text(n)) {
        return flv_fail(err, FLV_E_INVALID, "its record has no \"%s\"", name);
    }
    flv_rc rc = flv_text_unbase64(out, flv_slice(n->text, n->len), err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "its record's \"%s\"", name);
    }
    return rc;
}

/* ---- The letter --------------------------------------------------------- */

static flv_rc check_version(const struct flv_node *root, struct flv_err *err)
{
    if (root == NULL || root->kind != FLV_NODE_MAP) {
        return flv_fail(err, FLV_E_INVALID, "it is no JSON object");
    }
    const int64_t version = number_or(root, "version", -1);
    if (version == -1) {
        return flv_fail(err, FLV_E_INVALID, "it has no \"version\"");
    }
    return version == CLI_LETTER_VERSION
               ? FLV_OK
               : flv_fail(err, FLV_E_INVALID,
                          "it is of version %" PRId64 ", and this program "
                          "reads version %d",
                          version, CLI_LETTER_VERSION);
}

static flv_rc read_record(struct cli_letter *l,
                          const struct flv_node *root,
                          struct flv_err *err)
{
    const struct flv_node *record = NULL;
    flv_rc rc = get_map(root, "record", &record, err);
    if (rc != FLV_OK) {
        return rc;
    }
    l->has_key = flv_node_get(record, "key") != NULL;
    rc = l->has_key ? get_bytes(record, "key", &l->key, err) : FLV_OK;
    return rc == FLV_OK ? get_bytes(record, "value", &l->value, err) : rc;
}

static void read_source(struct cli_letter *l, const struct flv_node *root)
{
    const struct flv_node *source = flv_node_get(root, "source");
    if (source == NULL || source->kind != FLV_NODE_MAP) {
        return;
    }
    l->number = number_or(source, "number", 0);
    l->source_topic = text_or(source, "topic", NULL);
    l->source_partition = number_or(source, "partition", 0);
    l->source_offset = number_or(source, "offset", 0);
}

static void read_module(struct cli_letter *l, const struct flv_node *root)
{
    const struct flv_node *module = flv_node_get(root, "module");
    const bool known = module != NULL && module->kind == FLV_NODE_MAP;
    l->module = known ? text_or(module, "name", "") : "";
    l->hash = known ? text_or(module, "sha256", "") : "";
    l->kind = known ? text_or(module, "kind", "") : "";
}

static flv_rc read_all(struct cli_letter *l, struct flv_err *err)
{
    const struct flv_node *root = flv_doc_root(l->doc);
    const struct flv_node *connector = NULL, *error = NULL;
    flv_rc rc = check_version(root, err);
    rc = rc == FLV_OK ? get_map(root, "connector", &connector, err) : rc;
    rc = rc == FLV_OK ? get_map(root, "error", &error, err) : rc;
    rc = rc == FLV_OK ? read_record(l, root, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    l->time = text_or(root, "time", "");
    l->connector = text_or(connector, "name", "");
    l->type = text_or(connector, "type", "");
    l->topic = text_or(connector, "topic", NULL);
    l->stage = number_or(root, "stage", 0);
    l->cause = text_or(error, "cause", "");
    l->text = text_or(error, "text", "");
    l->hint = text_or(error, "hint", NULL);
    read_module(l, root);
    read_source(l, root);
    return FLV_OK;
}

flv_rc cli_letter_read(struct cli_letter *out,
                       struct flv_slice value,
                       struct flv_err *err)
{
    struct cli_letter l = {.doc = NULL};
    flv_buf_init(&l.key, RECORD_BYTES_MAX);
    flv_buf_init(&l.value, RECORD_BYTES_MAX);
    flv_rc rc = flv_doc_json(&l.doc, "it", value, err);
    rc = rc == FLV_OK ? read_all(&l, err) : rc;
    if (rc != FLV_OK) {
        cli_letter_deinit(&l);
        return rc;
    }
    *out = l;
    return FLV_OK;
}

void cli_letter_deinit(struct cli_letter *l)
{
    flv_doc_destroy(l->doc);
    flv_buf_deinit(&l->key);
    flv_buf_deinit(&l->value);
    *l = (struct cli_letter){.doc = NULL};
}

flv_rc cli_letter_place(const struct cli_letter *l, struct flv_buf *out)
{
    if (l->source_topic != NULL) {
        return flv_buf_addf(out, "%s/%" PRId64 " offset %" PRId64,
                            l->source_topic, l->source_partition,
                            l->source_offset);
    }
    return l->number > 0 ? flv_buf_addf(out, "number %" PRId64, l->number)
                         : FLV_OK;
}
