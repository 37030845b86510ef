#include "cli/table_format.h"

#include "base/mem.h"
#include "config/doc.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* As many as a server keeps. */
#define COLUMNS_MAX 128

void cli_format_file_deinit(struct cli_format_file *file)
{
    if (file != NULL) {
        flv_doc_destroy(file->doc);
        flv_free(file->columns);
        *file = (struct cli_format_file){0};
    }
}

/* NULL when there is neither spelling, or its value is null. */
static const struct flv_node *
find(const struct flv_node *map, const char *camel, const char *snake)
{
    const struct flv_node *node = flv_node_get(map, camel);
    if (node == NULL && snake != NULL) {
        node = flv_node_get(map, snake);
    }
    return node != NULL && !flv_node_is_null(node) ? node : NULL;
}

/* What is not there stays as it is. */
static flv_rc read_text(const struct flv_doc *doc,
                        const struct flv_node *node,
                        const char *key,
                        const char **out,
                        struct flv_err *err)
{
    if (node == NULL) {
        return FLV_OK;
    }
    if (node->kind != FLV_NODE_SCALAR) {
        return flv_doc_fail(doc, node, err,
                            "%s has to be a single value, not %s", key,
                            flv_node_kind_name(node));
    }
    *out = node->text;
    return FLV_OK;
}

/* One of a NULL-terminated list, any case: its place there, from 1. */
static flv_rc read_choice(const struct flv_doc *doc,
                          const struct flv_node *node,
                          const char *key,
                          const char *const *choices,
                          int *out,
                          struct flv_err *err)
{
    const char *text = NULL;
    char all[80] = "";
    flv_rc rc = read_text(doc, node, key, &text, err);
    if (rc != FLV_OK || text == NULL) {
        return rc;
    }
    for (int i = 0; choices[i] != NULL; i++) {
        if (strcasecmp(text, choices[i]) == 0) {
            *out = i + 1;
            return FLV_OK;
        }
        size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s%s", i > 0 ? ", " : "",
                 choices[i]);
    }
    return flv_doc_fail(doc, node, err, "%s is '%.40s' and has to be one of %s",
                        key, text, all);
}

static flv_rc read_flag(const struct flv_doc *doc,
                        const struct flv_node *node,
                        const char *key,
                        enum flv_table_flag *out,
                        struct flv_err *err)
{
    static const char *const words[] = {"false", "true", NULL};
    int choice = 0;
    flv_rc rc = read_choice(doc, node, key, words, &choice, err);
    *out = (enum flv_table_flag)choice;
    return rc;
}

static flv_rc read_looks(const struct flv_doc *doc,
                         const struct flv_node *map,
                         struct flv_table_column *out,
                         struct flv_err *err)
{
    static const char *const sides[] = {"LEFT", "RIGHT", "CENTER", NULL};
    static const char *const colors[] = {"BLUE", "YELLOW", "GREEN", NULL};
    int side = 0, back = 0, front = 0;
    flv_rc rc = read_choice(doc, find(map, "alignment", NULL), "alignment",
                            sides, &side, err);
    if (rc == FLV_OK) {
        rc = read_choice(doc, find(map, "headerBgColor", "header_bg_color"),
                         "headerBgColor", colors, &back, err);
    }
    if (rc == FLV_OK) {
        rc = read_choice(doc, find(map, "headerTextColor", "header_text_color"),
                         "headerTextColor", colors, &front, err);
    }
    out->alignment = (enum flv_table_align)side;
    out->header_bg_color = (enum flv_table_color)back;
    out->header_text_color = (enum flv_table_color)front;
    return rc;
}

static flv_rc read_column(const struct flv_doc *doc,
                          const struct flv_node *map,
                          struct flv_table_column *out,
                          struct flv_err *err)
{
    if (map->kind != FLV_NODE_MAP) {
        return flv_doc_fail(doc, map, err, "a column has to be a map, not %s",
                            flv_node_kind_name(map));
    }
    flv_rc rc = read_text(doc, find(map, "keyPath", "key_path"), "keyPath",
                          &out->key_path, err);
    if (rc == FLV_OK && out->key_path == NULL) {
        return flv_doc_fail(doc, map, err,
                            "missing field `keyPath`, the member of a record "
                            "that the column shows");
    }
    if (rc == FLV_OK) {
        rc = read_text(doc, find(map, "headerLabel", "header_label"),
                       "headerLabel", &out->header_label, err);
    }
    if (rc == FLV_OK) {
        rc =
            read_text(doc, find(map, "width", NULL), "width", &out->width, err);
    }
    if (rc == FLV_OK) {
        rc = read_text(doc, find(map, "format", NULL), "format", &out->format,
                       err);
    }
    if (rc == FLV_OK) {
        rc = read_flag(doc, find(map, "display", NULL), "display",
                       &out->display, err);
    }
    if (rc == FLV_OK) {
        rc = read_flag(doc, find(map, "primaryKey", "primary_key"),
                       "primaryKey", &out->primary_key, err);
    }
    return rc == FLV_OK ? read_looks(doc, map, out, err) : rc;
}

static flv_rc read_columns(struct cli_format_file *file,
                           const struct flv_node *list,
                           struct flv_table_format *out,
                           struct flv_err *err)
{
    if (list == NULL) {
        return FLV_OK;
    }
    if (list->kind != FLV_NODE_LIST || list->count > COLUMNS_MAX) {
        return flv_doc_fail(file->doc, list, err,
                            "columns has to be a list of at most %d maps",
                            COLUMNS_MAX);
    }
    assert(file->columns == NULL);
    file->columns = flv_zalloc(list->count + 1, sizeof *file->columns);
    if (file->columns == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < list->count && rc == FLV_OK; i++) {
        rc = read_column(file->doc, list->items[i], &file->columns[i], err);
    }
    out->has_columns = true;
    out->columns = file->columns;
    out->column_count = list->count;
    return rc;
}

flv_rc cli_format_file_read(const char *path,
                            struct cli_format_file *file,
                            struct flv_table_format *out,
                            struct flv_err *err)
{
    static const char *const inputs[] = {"JSON", NULL};
    int input = 0;
    assert(file->doc == NULL);
    flv_rc rc = flv_doc_read(&file->doc, path, err);
    if (rc != FLV_OK) {
        return rc;
    }
    const struct flv_node *root = flv_doc_root(file->doc);
    if (root == NULL || root->kind != FLV_NODE_MAP) {
        return flv_doc_fail(file->doc, root, err,
                            "a table format has to be a map with name and "
                            "columns");
    }
    *out = (struct flv_table_format){.name = NULL};
    rc =
        read_text(file->doc, find(root, "name", NULL), "name", &out->name, err);
    if (rc == FLV_OK && out->name == NULL) {
        return flv_doc_fail(file->doc, root, err,
                            "missing field `name`, that of the table format");
    }
    if (rc == FLV_OK) {
        rc = read_choice(file->doc, find(root, "inputFormat", "input_format"),
                         "inputFormat", inputs, &input, err);
        out->input_json = input > 0;
    }
    if (rc == FLV_OK) {
        rc = read_text(file->doc, find(root, "smartmodule", NULL),
                       "smartmodule", &out->smartmodule, err);
    }
    return rc == FLV_OK
               ? read_columns(file, find(root, "columns", NULL), out, err)
               : rc;
}
