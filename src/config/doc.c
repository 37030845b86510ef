#include "config/doc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/doc_priv.h"
#include "config/report.h"
#include "config/try.h"

#define NAME_SHOWN_MAX 60
#define ANCHORS_MAX 64
#define ARENA_MAX ((size_t)16 * 1024 * 1024)
#define APOSTROPHES_MAX 9 /* in a row */

/* An open list or map while its events arrive. */
struct frame {
    struct flv_node *node;
    struct flv_node **items; /* in the arena, grows by doubling */
    size_t cap;
    const char *anchor; /* in the arena, or NULL */
};

struct anchor {
    const char *name;
    struct flv_node *node;
};

struct build {
    struct flv_doc *doc; /* borrowed */
    struct frame stack[FLV_DOC_DEPTH_MAX];
    size_t depth;
    size_t nodes;
    struct anchor anchors[ANCHORS_MAX];
    size_t anchor_count;
    bool document_seen;
    struct flv_report *report; /* borrowed; or NULL */
    struct flv_err *err;
};

bool flv_key_eq(const char *a, const char *b)
{
    for (;; a++, b++) {
        char x = *a == '_' ? '-' : *a;
        char y = *b == '_' ? '-' : *b;
        if (x != y) {
            return false;
        }
        if (x == '\0') {
            return true;
        }
    }
}

const struct flv_node *flv_node_key(const struct flv_node *map, size_t i)
{
    assert(map->kind == FLV_NODE_MAP && i < map->count);
    return map->items[2 * i];
}

const struct flv_node *flv_node_value(const struct flv_node *map, size_t i)
{
    assert(map->kind == FLV_NODE_MAP && i < map->count);
    return map->items[2 * i + 1];
}

const struct flv_node *flv_node_get(const struct flv_node *map, const char *key)
{
    if (map == NULL || map->kind != FLV_NODE_MAP) {
        return NULL;
    }
    for (size_t i = 0; i < map->count; i++) {
        if (flv_key_eq(flv_node_key(map, i)->text, key)) {
            return flv_node_value(map, i);
        }
    }
    return NULL;
}

bool flv_node_is_null(const struct flv_node *node)
{
    return node->kind == FLV_NODE_SCALAR && !node->quoted &&
           (node->len == 0 || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0 ||
            strcmp(node->text, "Null") == 0 || strcmp(node->text, "NULL") == 0);
}

const char *flv_node_kind_name(const struct flv_node *node)
{
    switch (node->kind) {
    case FLV_NODE_LIST:
        return "a list";
    case FLV_NODE_MAP:
        return "a map";
    case FLV_NODE_SCALAR:
        break;
    }
    return flv_node_is_null(node) ? "nothing" : "a single value";
}

static flv_rc fail_at(const struct flv_doc *doc,
                      uint32_t line,
                      uint32_t col,
                      struct flv_err *err,
                      const char *text)
{
    return flv_fail(err, FLV_E_INVALID, "%s:%u:%u: %s", doc->name, line, col,
                    text);
}

void flv_doc_raise(const struct flv_doc *doc,
                   const struct flv_node *node,
                   struct flv_err *err,
                   const char *fmt,
                   ...)
{
    char text[FLV_ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)fail_at(doc, node->line, node->col, err, text);
}

const char *
flv_doc_place(const char *name, const char *text, uint32_t *line, uint32_t *col)
{
    size_t len = strlen(name);
    uint64_t place[2];
    if (strncmp(text, name, len) != 0 || text[len] != ':') {
        return text;
    }
    const char *p = text + len + 1;
    for (size_t i = 0; i < 2; i++) {
        char digits[16];
        size_t n = strspn(p, "0123456789");
        if (n == 0 || n >= sizeof(digits) || p[n] != ':') {
            return text;
        }
        memcpy(digits, p, n);
        digits[n] = '\0';
        if (flv_text_u64(digits, 0, UINT32_MAX, &place[i], NULL) != FLV_OK) {
            return text;
        }
        p += n + 1;
    }
    *line = (uint32_t)place[0];
    *col = (uint32_t)place[1];
    return p + (*p == ' ');
}

/* --- building the tree --------------------------------------------------- */

static flv_rc fail_mem(struct build *b)
{
    if (flv_arena_full(&b->doc->arena)) {
        return flv_fail(b->err, FLV_E_LIMIT,
                        "%s: the document needs more than %zu MiB of memory",
                        b->doc->name, ARENA_MAX / 1024 / 1024);
    }
    return flv_fail(b->err, FLV_E_NOMEM, "%s: out of memory", b->doc->name);
}

static void node_place(struct flv_node *node, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    node->line = mark != NULL && mark->line >= 0 ? (uint32_t)mark->line + 1 : 1;
    node->col =
        mark != NULL && mark->column >= 0 ? (uint32_t)mark->column + 1 : 1;
}

static flv_rc node_new(struct build *b,
                       struct fy_event *event,
                       enum flv_node_kind kind,
                       struct flv_node **out)
{
    struct flv_node *node = FLV_ARENA_NEW(&b->doc->arena, struct flv_node, 1);
    if (node == NULL) {
        return fail_mem(b);
    }
    node->kind = kind;
    node->text = "";
    node->weight = 1;
    node->height = 1;
    node_place(node, event);
    if (++b->nodes > FLV_DOC_NODES_MAX) {
        return flv_doc_fail(b->doc, node, b->err,
                            "the document has more than %d values",
                            FLV_DOC_NODES_MAX);
    }
    *out = node;
    return FLV_OK;
}

/* Tags would change what a value means; the ones of plain YAML do not. */
static flv_rc
check_tag(struct build *b, const struct flv_node *node, struct fy_token *tag)
{
    if (tag == NULL) {
        return FLV_OK;
    }
    size_t len = 0;
    const char *text = fy_token_get_text(tag, &len);
    static const char core[] = "tag:yaml.org,2002:";
    if (text != NULL && len >= sizeof(core) - 1 &&
        memcmp(text, core, sizeof(core) - 1) == 0) {
        return FLV_OK;
    }
    return flv_doc_fail(b->doc, node, b->err,
                        "the tag \"%.*s\" is not understood; remove it",
                        (int)(len < 40 ? len : 40), text != NULL ? text : "");
}

static flv_rc
anchor_name(struct build *b, struct fy_token *token, const char **out)
{
    *out = NULL;
    if (token == NULL) {
        return FLV_OK;
    }
    size_t len = 0;
    const char *text = fy_token_get_text(token, &len);
    *out = flv_arena_text(&b->doc->arena, text != NULL ? text : "", len);
    return *out != NULL ? FLV_OK : fail_mem(b);
}

static flv_rc
anchor_set(struct build *b, const char *name, struct flv_node *node)
{
    if (name == NULL) {
        return FLV_OK;
    }
    for (size_t i = 0; i < b->anchor_count; i++) {
        if (strcmp(b->anchors[i].name, name) == 0) {
            b->anchors[i].node = node;
            return FLV_OK;
        }
    }
    if (b->anchor_count == ANCHORS_MAX) {
        return flv_doc_fail(b->doc, node, b->err,
                            "the document has more than %d anchors",
                            ANCHORS_MAX);
    }
    b->anchors[b->anchor_count++] = (struct anchor){name, node};
    return FLV_OK;
}

static flv_rc check_duplicate(struct build *b,
                              const struct frame *f,
                              const struct flv_node *key)
{
    for (size_t i = 0; i + 1 < f->node->count; i += 2) {
        const struct flv_node *other = f->items[i];
        if (!flv_key_eq(other->text, key->text)) {
            continue;
        }
        struct flv_err twice = {0};
        flv_doc_raise(b->doc, key, &twice,
                      "the key \"%.60s\" is there twice, first in line %u; "
                      "remove one of them",
                      key->text, other->line);
        if (b->report != NULL) {
            flv_report_err(b->report, b->doc->name, &twice, NULL);
            return FLV_OK;
        }
        if (b->err != NULL) {
            *b->err = twice;
        }
        return FLV_E_INVALID;
    }
    return FLV_OK;
}

static flv_rc frame_grow(struct build *b, struct frame *f)
{
    if (f->node->count < f->cap) {
        return FLV_OK;
    }
    size_t cap = f->cap == 0 ? 8 : f->cap * 2;
    struct flv_node **items =
        FLV_ARENA_NEW(&b->doc->arena, struct flv_node *, cap);
    if (items == NULL) {
        return fail_mem(b);
    }
    if (f->node->count > 0) {
        memcpy(items, f->items, f->node->count * sizeof(struct flv_node *));
    }
    f->items = items;
    f->cap = cap;
    return FLV_OK;
}

/* While a map is open, node->count counts keys and values. */
static flv_rc
attach(struct build *b, struct flv_node *node, const struct flv_node *place)
{
    if (b->depth == 0) {
        assert(b->doc->root == NULL);
        b->doc->root = node;
        return FLV_OK;
    }
    struct frame *f = &b->stack[b->depth - 1];
    bool is_key = f->node->kind == FLV_NODE_MAP && f->node->count % 2 == 0;
    if (is_key && node->kind != FLV_NODE_SCALAR) {
        return flv_doc_fail(b->doc, place, b->err,
                            "a key has to be a word, not %s",
                            flv_node_kind_name(node));
    }
    if (is_key && strlen(node->text) != node->len) {
        return flv_doc_fail(b->doc, place, b->err, "a key holds a NUL byte");
    }
    if (is_key) {
        FLV_TRY(check_duplicate(b, f, node));
    }
    FLV_TRY(frame_grow(b, f));
    f->items[f->node->count++] = node;
    f->node->weight += node->weight;
    if (f->node->height < node->height + 1) {
        f->node->height = node->height + 1;
    }
    if (f->node->weight > FLV_DOC_NODES_MAX) {
        return flv_doc_fail(b->doc, place, b->err,
                            "with its aliases the document has more than %d "
                            "values",
                            FLV_DOC_NODES_MAX);
    }
    if (b->depth + node->height > FLV_DOC_DEPTH_MAX) {
        return flv_doc_fail(b->doc, place, b->err,
                            "values are nested deeper than %d levels",
                            FLV_DOC_DEPTH_MAX);
    }
    return FLV_OK;
}

/* libfyaml begins a quoted text behind its quote, and puts a value that is
 * not there at the beginning; people look at the quote and at the key. */
static void scalar_place(struct build *b, struct flv_node *node, bool there)
{
    if (there || b->depth == 0) {
        return;
    }
    const struct frame *f = &b->stack[b->depth - 1];
    const struct flv_node *near =
        f->node->count > 0 ? f->items[f->node->count - 1] : f->node;
    node->line = near->line;
    node->col = near->col;
}

static flv_rc on_scalar(struct build *b, struct fy_event *event)
{
    struct flv_node *node = NULL;
    FLV_TRY(node_new(b, event, FLV_NODE_SCALAR, &node));
    FLV_TRY(check_tag(b, node, event->scalar.tag));
    size_t len = 0;
    const char *text = NULL;
    enum fy_scalar_style style = FYSS_PLAIN;
    if (event->scalar.value != NULL) {
        text = fy_token_get_text(event->scalar.value, &len);
        style = fy_token_scalar_style(event->scalar.value);
    }
    if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) &&
        node->col > 1) {
        node->col--;
    }
    node->quoted = style != FYSS_PLAIN;
    node->len = text != NULL ? len : 0;
    scalar_place(b, node, node->quoted || node->len > 0);
    node->text =
        flv_arena_text(&b->doc->arena, text != NULL ? text : "", node->len);
    if (node->text == NULL) {
        return fail_mem(b);
    }
    const char *anchor = NULL;
    FLV_TRY(anchor_name(b, event->scalar.anchor, &anchor));
    FLV_TRY(anchor_set(b, anchor, node));
    return attach(b, node, node);
}

static flv_rc
on_start(struct build *b, struct fy_event *event, enum flv_node_kind kind)
{
    struct flv_node *node = NULL;
    FLV_TRY(node_new(b, event, kind, &node));
    bool map = kind == FLV_NODE_MAP;
    FLV_TRY(check_tag(
        b, node, map ? event->mapping_start.tag : event->sequence_start.tag));
    if (b->depth == FLV_DOC_DEPTH_MAX) {
        return flv_doc_fail(b->doc, node, b->err,
                            "values are nested deeper than %d levels",
                            FLV_DOC_DEPTH_MAX);
    }
    struct frame *f = &b->stack[b->depth];
    *f = (struct frame){.node = node};
    FLV_TRY(anchor_name(
        b, map ? event->mapping_start.anchor : event->sequence_start.anchor,
        &f->anchor));
    b->depth++;
    return FLV_OK;
}

static flv_rc on_end(struct build *b)
{
    assert(b->depth > 0);
    struct frame *f = &b->stack[--b->depth];
    f->node->items = f->items;
    if (f->node->kind == FLV_NODE_MAP) {
        assert(f->node->count % 2 == 0);
        f->node->count /= 2;
    }
    FLV_TRY(anchor_set(b, f->anchor, f->node));
    return attach(b, f->node, f->node);
}

static flv_rc on_alias(struct build *b, struct fy_event *event)
{
    struct flv_node place = {.kind = FLV_NODE_SCALAR};
    node_place(&place, event);
    const char *name = NULL;
    FLV_TRY(anchor_name(b, event->alias.anchor, &name));
    for (size_t i = 0; name != NULL && i < b->anchor_count; i++) {
        if (strcmp(b->anchors[i].name, name) == 0) {
            return attach(b, b->anchors[i].node, &place);
        }
    }
    return flv_doc_fail(b->doc, &place, b->err,
                        "the alias \"*%.60s\" has no anchor \"&%.60s\" "
                        "before it",
                        name != NULL ? name : "", name != NULL ? name : "");
}

static flv_rc on_event(struct build *b, struct fy_event *event)
{
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (b->document_seen) {
            struct flv_node place = {.kind = FLV_NODE_SCALAR};
            node_place(&place, event);
            return flv_doc_fail(b->doc, &place, b->err,
                                "a second document begins here; keep one "
                                "document per file");
        }
        b->document_seen = true;
        return FLV_OK;
    case FYET_SCALAR:
        return on_scalar(b, event);
    case FYET_SEQUENCE_START:
        return on_start(b, event, FLV_NODE_LIST);
    case FYET_MAPPING_START:
        return on_start(b, event, FLV_NODE_MAP);
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END:
        return on_end(b);
    case FYET_ALIAS:
        return on_alias(b, event);
    default:
        return FLV_OK;
    }
}

/* --- parsing ------------------------------------------------------------- */

static flv_rc fail_syntax(struct build *b, struct fy_diag *diag)
{
    void *prev = NULL;
    struct fy_diag_error *e;
    while ((e = fy_diag_errors_iterate(diag, &prev)) != NULL) {
        if (e->type == FYET_ERROR) {
            char text[FLV_ERR_TEXT_MAX];
            (void)snprintf(text, sizeof(text), "this is not YAML: %s",
                           e->msg != NULL ? e->msg : "syntax error");
            text[strcspn(text, "\r\n")] = '\0';
            return fail_at(b->doc, e->line > 0 ? (uint32_t)e->line : 1,
                           e->column > 0 ? (uint32_t)e->column : 1, b->err,
                           text);
        }
    }
    return flv_fail(b->err, FLV_E_INVALID, "%s: this is not YAML",
                    b->doc->name);
}

static flv_rc parse_events(struct build *b, struct fy_parser *parser)
{
    flv_rc rc = FLV_OK;
    struct fy_event *event;
    while (rc == FLV_OK && (event = fy_parser_parse(parser)) != NULL) {
        rc = on_event(b, event);
        fy_parser_event_free(parser, event);
    }
    return rc;
}

static flv_rc parse_text(struct build *b, struct flv_slice text)
{
    flv_rc rc;
    struct fy_parser *parser = NULL;
    struct fy_diag_cfg diag_conf;
    fy_diag_cfg_default(&diag_conf);
    diag_conf.fp = NULL;
    diag_conf.level = FYET_ERROR;
    diag_conf.module_mask = (1u << FYEM_MAX) - 1;
    struct fy_diag *diag = fy_diag_create(&diag_conf);
    if (diag == NULL) {
        return flv_fail(b->err, FLV_E_NOMEM, "%s: out of memory", b->doc->name);
    }
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg conf = {
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE,
        .diag = diag,
    };
    parser = fy_parser_create(&conf);
    if (parser == NULL ||
        fy_parser_set_string(parser, (const char *)text.data, text.len) != 0) {
        rc = flv_fail(b->err, FLV_E_NOMEM, "%s: out of memory", b->doc->name);
        goto out;
    }
    rc = parse_events(b, parser);
    if (rc == FLV_OK &&
        (fy_parser_get_stream_error(parser) || fy_diag_got_error(diag))) {
        rc = fail_syntax(b, diag);
    }
out:
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return rc;
}

/* The byte at `pos` is the mistake. */
static flv_rc fail_byte(const struct flv_doc *doc,
                        struct flv_slice text,
                        size_t pos,
                        const char *sentence,
                        struct flv_err *e)
{
    uint32_t line = 1, col = 1;
    for (size_t i = 0; i < pos; i++) {
        if (text.data[i] == '\n') {
            line++;
            col = 1;
        } else if ((text.data[i] & 0xC0) != 0x80) {
            col++;
        }
    }
    return fail_at(doc, line, col, e, sentence);
}

/* For each text in single quotes with five doubled apostrophes in a row
 * libfyaml 0.7 loses a buffer for good: ''''''''''''. Nobody needs
 * such a text; double quotes can say it, too. */
static bool find_row(struct flv_slice text, size_t *out)
{
    size_t row = 0;
    bool begun = false, comment = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        begun = begun && c != '\n' && c != '\r';
        if (!begun && strchr(" \t\r\n", c) == NULL) {
            begun = true;
            comment = c == '#';
        }
        row = c == '\'' && !comment ? row + 1 : 0;
        if (row > APOSTROPHES_MAX) {
            *out = i - APOSTROPHES_MAX;
            return true;
        }
    }
    return false;
}

static flv_rc
check_bytes(const struct flv_doc *doc, struct flv_slice text, struct flv_err *e)
{
    if (text.len > FLV_DOC_BYTES_MAX) {
        return flv_fail(e, FLV_E_LIMIT,
                        "%s: the document has %zu bytes; at most %zu are read",
                        doc->name, text.len, FLV_DOC_BYTES_MAX);
    }
    size_t good = flv_text_utf8_prefix(text), row = 0;
    const uint8_t *nul =
        text.len > 0 ? memchr(text.data, '\0', text.len) : NULL;
    if (nul != NULL && (size_t)(nul - text.data) < good) {
        good = (size_t)(nul - text.data);
    }
    if (good < text.len) {
        return fail_byte(doc, text, good,
                         "this byte is not text; save the file as UTF-8", e);
    }
    if (find_row(text, &row)) {
        return fail_byte(doc, text, row,
                         "ten apostrophes in a row are not read; write this "
                         "text in double quotes",
                         e);
    }
    return FLV_OK;
}

char *flv__doc_name_shown(const char *name)
{
    size_t len = strlen(name);
    if (len <= NAME_SHOWN_MAX) {
        return flv_strdup(name);
    }
    char cut[NAME_SHOWN_MAX + 1];
    (void)snprintf(cut, sizeof(cut), "...%s",
                   name + len - (NAME_SHOWN_MAX - 3));
    return flv_strdup(cut);
}

flv_rc flv_doc_parse(struct flv_doc **out,
                     const char *name,
                     struct flv_slice text,
                     struct flv_err *err)
{
    return flv_doc_parse_all(out, name, text, NULL, err);
}

flv_rc flv_doc_parse_all(struct flv_doc **out,
                         const char *name,
                         struct flv_slice text,
                         struct flv_report *report,
                         struct flv_err *err)
{
    assert(out != NULL && name != NULL);
    struct flv_doc *doc = flv_zalloc(1, sizeof(*doc));
    struct build *b = flv_zalloc(1, sizeof(*b));
    flv_rc rc;
    if (doc == NULL || b == NULL) {
        rc = flv_fail(err, FLV_E_NOMEM, "%.60s: out of memory", name);
        goto out;
    }
    flv_arena_init(&doc->arena, 4096, ARENA_MAX);
    doc->name = flv__doc_name_shown(name);
    if (doc->name == NULL) {
        rc = flv_fail(err, FLV_E_NOMEM, "%.60s: out of memory", name);
        goto out;
    }
    b->doc = doc;
    b->report = report;
    b->err = err;
    rc = check_bytes(doc, text, err);
    /* libfyaml takes a length of 0 for "measure it yourself". */
    if (rc == FLV_OK && text.len > 0) {
        rc = parse_text(b, text);
    }
    if (rc == FLV_OK) {
        assert(b->depth == 0);
        *out = doc;
        doc = NULL;
    }
out:
    flv_doc_destroy(doc);
    flv_free(b);
    return rc;
}

static flv_rc
read_fd(struct flv_buf *buf, int fd, const char *path, struct flv_err *err)
{
    for (;;) {
        uint8_t chunk[16384];
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return flv_fail_sys(err, FLV_E_IO, errno, "cannot read %s", path);
        }
        if (n == 0) {
            return FLV_OK;
        }
        flv_rc rc = flv_buf_add(buf, chunk, (size_t)n);
        if (rc == FLV_E_LIMIT) {
            return flv_fail(err, rc, "%s has more than %zu bytes", path,
                            FLV_DOC_BYTES_MAX);
        }
        if (rc != FLV_OK) {
            return flv_fail(err, rc, "cannot read %s: out of memory", path);
        }
    }
}

flv_rc flv_doc_load(struct flv_buf *out, const char *path, struct flv_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return flv_fail_sys(err, errno == ENOENT ? FLV_E_NOT_FOUND : FLV_E_IO,
                            errno, "cannot read %s", path);
    }
    flv_buf_init(out, FLV_DOC_BYTES_MAX);
    struct stat st;
    flv_rc rc = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)
                    ? flv_fail(err, FLV_E_INVALID,
                               "%s is a directory; name a file in it", path)
                    : read_fd(out, fd, path, err);
    (void)close(fd);
    if (rc != FLV_OK) {
        flv_buf_deinit(out);
    }
    return rc;
}

flv_rc flv_doc_read(struct flv_doc **out, const char *path, struct flv_err *err)
{
    struct flv_buf buf;
    FLV_TRY(flv_doc_load(&buf, path, err));
    flv_rc rc = flv_doc_parse(out, path, flv_buf_slice(&buf), err);
    flv_buf_deinit(&buf);
    return rc;
}

void flv_doc_destroy(struct flv_doc *doc)
{
    if (doc != NULL) {
        flv_arena_deinit(&doc->arena);
        flv_free(doc->name);
        flv_free(doc);
    }
}

const struct flv_node *flv_doc_root(const struct flv_doc *doc)
{
    return doc->root;
}

const char *flv_doc_name(const struct flv_doc *doc)
{
    return doc->name;
}
