/* JSON into the tree of doc.h. */
#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/doc_priv.h"
#include "config/try.h"

#define ARENA_MAX ((size_t)512 * 1024 * 1024)

struct json {
    struct flv_doc *doc; /* borrowed; being filled */
    const char *p, *end;
    const char *line_begin;
    uint32_t line;
    size_t nodes;
    unsigned depth;
    struct flv_err *err;
};

static flv_rc fail(const struct json *j, const char *what)
{
    return flv_fail(j->err, FLV_E_INVALID, "%s:%u:%u: this is not JSON: %s",
                    j->doc->name, j->line, (unsigned)(j->p - j->line_begin) + 1,
                    what);
}

static flv_rc nomem(const struct json *j)
{
    bool full = flv_arena_full(&j->doc->arena);
    return flv_fail(j->err, full ? FLV_E_LIMIT : FLV_E_NOMEM, "%s: %s",
                    j->doc->name,
                    full ? "the document is too large" : "out of memory");
}

static void blanks(struct json *j)
{
    for (; j->p < j->end; j->p++) {
        if (*j->p == '\n') {
            j->line++;
            j->line_begin = j->p + 1;
        } else if (*j->p != ' ' && *j->p != '\t' && *j->p != '\r') {
            return;
        }
    }
}

static bool take(struct json *j, char c)
{
    blanks(j);
    if (j->p < j->end && *j->p == c) {
        j->p++;
        return true;
    }
    return false;
}

static flv_rc
node_new(struct json *j, enum flv_node_kind kind, struct flv_node **out)
{
    if (++j->nodes > FLV_JSON_NODES_MAX) {
        return flv_fail(j->err, FLV_E_LIMIT,
                        "%s: the document has more than %d values",
                        j->doc->name, FLV_JSON_NODES_MAX);
    }
    struct flv_node *node = FLV_ARENA_NEW(&j->doc->arena, struct flv_node, 1);
    if (node == NULL) {
        return nomem(j);
    }
    node->kind = kind;
    node->text = "";
    node->weight = 1;
    node->height = 1;
    node->line = j->line;
    node->col = (uint32_t)(j->p - j->line_begin) + 1;
    *out = node;
    return FLV_OK;
}

/* --- strings ------------------------------------------------------------- */

/* Behind "\u"; half of a pair alone becomes U+FFFD. */
static flv_rc take_unicode(struct json *j, char **out)
{
    uint32_t code = 0;
    size_t n = flv_text_json_u(flv_slice(j->p, (size_t)(j->end - j->p)), &code);
    if (n == 0) {
        return fail(j, "\\u needs four hex digits");
    }
    j->p += n;
    *out += flv_text_put_utf8(flv_text_is_surrogate(code) ? 0xfffd : code,
                              (uint8_t *)*out);
    return FLV_OK;
}

static flv_rc take_escape(struct json *j, char **out)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (j->p == j->end) {
        return fail(j, "the text has no end");
    }
    char c = *j->p++;
    if (c == 'u') {
        return take_unicode(j, out);
    }
    const char *at = memchr(names, c, sizeof(names) - 1);
    if (at == NULL) {
        return fail(j, "an unknown escape");
    }
    *(*out)++ = values[at - names];
    return FLV_OK;
}

/* Behind the opening quote. No escape is shorter than what it stands for. */
static flv_rc take_string(struct json *j, struct flv_node *node)
{
    assert(node != NULL);
    const char *close = j->p;
    while (close < j->end && *close != '"') {
        close += *close == '\\' && close + 1 < j->end ? 2 : 1;
    }
    char *text = flv_arena_alloc(&j->doc->arena, (size_t)(close - j->p) + 1, 1);
    if (text == NULL) {
        return nomem(j);
    }
    char *out = text;
    while (j->p < j->end && *j->p != '"') {
        if ((unsigned char)*j->p < 0x20) {
            return fail(j, "a control character in a text");
        }
        if (*j->p != '\\') {
            *out++ = *j->p++;
            continue;
        }
        j->p++;
        FLV_TRY(take_escape(j, &out));
    }
    if (j->p == j->end) {
        return fail(j, "the text has no end");
    }
    j->p++;
    *out = '\0';
    node->quoted = true;
    node->text = text;
    node->len = (size_t)(out - text);
    return FLV_OK;
}

/* --- values -------------------------------------------------------------- */

static flv_rc take_value(struct json *j, struct flv_node **out);

static bool is_word(const char *text, size_t len)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0) {
            return true;
        }
    }
    /* Numbers are held to their letters; who reads one checks the rest. */
    size_t i = 0;
    while (i < len && ((text[i] >= '0' && text[i] <= '9') ||
                       (text[i] != '\0' && strchr("+-.eE", text[i]) != NULL))) {
        i++;
    }
    return len > 0 && i == len && (text[0] == '-' || text[0] >= '0') &&
           text[0] <= '9';
}

static flv_rc take_word(struct json *j, struct flv_node *node)
{
    assert(node != NULL);
    const char *begin = j->p;
    while (j->p < j->end && strchr(",]}: \t\r\n", *j->p) == NULL) {
        j->p++;
    }
    size_t len = (size_t)(j->p - begin);
    if (!is_word(begin, len)) {
        j->p = begin;
        return fail(j, "a value is expected");
    }
    node->len = len;
    node->text = flv_arena_text(&j->doc->arena, begin, len);
    return node->text != NULL ? FLV_OK : nomem(j);
}

/* Items in the arena, grown by doubling. */
static flv_rc push(struct json *j,
                   struct flv_node *node,
                   size_t *cap,
                   size_t count,
                   struct flv_node *item)
{
    assert(node != NULL && item != NULL);
    if (count == *cap) {
        size_t grown = *cap == 0 ? 8 : *cap * 2;
        struct flv_node **items =
            FLV_ARENA_NEW(&j->doc->arena, struct flv_node *, grown);
        if (items == NULL) {
            return nomem(j);
        }
        if (count > 0) {
            memcpy(items, node->items, count * sizeof(struct flv_node *));
        }
        node->items = items;
        *cap = grown;
    }
    node->items[count] = item;
    node->weight += item->weight;
    if (node->height <= item->height) {
        node->height = item->height + 1;
    }
    return FLV_OK;
}

static flv_rc take_key(struct json *j, struct flv_node **out)
{
    blanks(j);
    FLV_TRY(node_new(j, FLV_NODE_SCALAR, out));
    if (!take(j, '"')) {
        return fail(j, "a name in quotes is expected");
    }
    FLV_TRY(take_string(j, *out));
    return take(j, ':') ? FLV_OK : fail(j, "a colon is expected");
}

/* Behind the opening bracket. */
static flv_rc take_items(struct json *j, struct flv_node *node)
{
    assert(node != NULL);
    bool map = node->kind == FLV_NODE_MAP;
    char close = map ? '}' : ']';
    size_t cap = 0, count = 0;
    if (take(j, close)) {
        return FLV_OK;
    }
    do {
        struct flv_node *item = NULL;
        if (map) {
            FLV_TRY(take_key(j, &item));
            FLV_TRY(push(j, node, &cap, count++, item));
        }
        FLV_TRY(take_value(j, &item));
        FLV_TRY(push(j, node, &cap, count++, item));
    } while (take(j, ','));
    node->count = map ? count / 2 : count;
    return take(j, close) ? FLV_OK
                          : fail(j, map ? "a comma or } is expected"
                                        : "a comma or ] is expected");
}

/* Depth is bounded. */
static flv_rc take_value(struct json *j, struct flv_node **out)
{
    struct flv_node *node = NULL;
    blanks(j);
    char c = j->p < j->end ? *j->p : '\0';
    bool map = c == '{', list = c == '[';
    FLV_TRY(node_new(j,
                     map    ? FLV_NODE_MAP
                     : list ? FLV_NODE_LIST
                            : FLV_NODE_SCALAR,
                     &node));
    if (map || list) {
        if (++j->depth > FLV_DOC_DEPTH_MAX) {
            return fail(j, "it is nested too deep");
        }
        j->p++;
        FLV_TRY(take_items(j, node));
        j->depth--;
    } else if (c == '"') {
        j->p++;
        FLV_TRY(take_string(j, node));
    } else {
        FLV_TRY(take_word(j, node));
    }
    *out = node;
    return FLV_OK;
}

flv_rc flv_doc_json(struct flv_doc **out,
                    const char *name,
                    struct flv_slice text,
                    struct flv_err *err)
{
    assert(out != NULL && name != NULL);
    if (text.len > FLV_JSON_BYTES_MAX || !flv_text_is_utf8(text)) {
        return flv_fail(err, FLV_E_INVALID,
                        "%.60s: the document is too large or no UTF-8", name);
    }
    struct flv_doc *doc = flv_zalloc(1, sizeof(*doc));
    if (doc == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "%.60s: out of memory", name);
    }
    flv_arena_init(&doc->arena, 65536, ARENA_MAX);
    doc->name = flv__doc_name_shown(name);
    const char *begin = text.len > 0 ? (const char *)text.data : "";
    struct json j = {.doc = doc,
                     .p = begin,
                     .end = begin + text.len,
                     .line_begin = begin,
                     .line = 1,
                     .err = err};
    flv_rc rc = doc->name != NULL ? take_value(&j, &doc->root) : nomem(&j);
    if (rc == FLV_OK) {
        blanks(&j);
        rc = j.p == j.end ? FLV_OK : fail(&j, "something follows the value");
    }
    if (rc != FLV_OK) {
        flv_doc_destroy(doc);
        return rc;
    }
    *out = doc;
    return FLV_OK;
}
