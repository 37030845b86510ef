#include "client/toml_priv.h"

#include "base/mem.h"
#include "base/text.h"
#include <assert.h>

struct parser {
    struct flv__toml *doc; /* borrowed */
    size_t pos;
    unsigned line;
    struct flv__toml_parts table;
    bool opaque; /* below an array of tables: checked, not kept */
};

static int peek(const struct parser *ps)
{
    return ps->pos < ps->doc->text_len ? ps->doc->text[ps->pos] : -1;
}

static bool at_text(const struct parser *ps, const char *text)
{
    const size_t n = strlen(text);

    return ps->doc->text_len - ps->pos >= n &&
           memcmp(ps->doc->text + ps->pos, text, n) == 0;
}

static bool at_newline(const struct parser *ps)
{
    return peek(ps) == '\n' || at_text(ps, "\r\n");
}

static void skip_newline(struct parser *ps)
{
    assert(at_newline(ps));
    ps->pos += peek(ps) == '\r' ? 2 : 1;
    ps->line++;
}

static void skip_blanks(struct parser *ps)
{
    while (peek(ps) == ' ' || peek(ps) == '\t') {
        ps->pos++;
    }
}

bool flv__toml_is_control(int c)
{
    return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7f;
}

static flv_rc skip_comment(struct parser *ps, struct flv_err *err)
{
    if (peek(ps) != '#') {
        return FLV_OK;
    }
    while (peek(ps) != -1 && !at_newline(ps)) {
        if (flv__toml_is_control(peek(ps))) {
            return flv_fail(err, FLV_E_INVALID,
                            "line %u: control character 0x%02x in a comment",
                            ps->line, (unsigned)peek(ps));
        }
        ps->pos++;
    }
    return FLV_OK;
}

/* Blanks, line ends and comments: what may stand between array elements. */
static flv_rc skip_space(struct parser *ps, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    for (;;) {
        skip_blanks(ps);
        rc = skip_comment(ps, err);
        if (rc != FLV_OK) {
            return rc;
        }
        if (!at_newline(ps)) {
            return FLV_OK;
        }
        skip_newline(ps);
    }
}

/* ------------------------------------------------------------- strings */

static flv_rc add_code_point(struct parser *ps,
                             uint32_t cp,
                             struct flv_buf *out,
                             struct flv_err *err)
{
    uint8_t b[FLV_TEXT_UTF8_MAX];

    if (cp == 0 || cp > 0x10ffff || flv_text_is_surrogate(cp)) {
        return flv_fail(err, FLV_E_INVALID,
                        "line %u: character U+%04X is not allowed", ps->line,
                        (unsigned)cp);
    }
    return flv_buf_add(out, b, flv_text_put_utf8(cp, b));
}

static flv_rc
parse_unicode(struct parser *ps, struct flv_buf *out, struct flv_err *err)
{
    const int digits = peek(ps) == 'u' ? 4 : 8;
    uint32_t cp = 0;

    ps->pos++;
    for (int i = 0; i < digits; i++) {
        const int d = flv_text_hex_digit((char)peek(ps));

        if (d < 0) {
            return flv_fail(err, FLV_E_INVALID,
                            "line %u: \\%c needs %d hexadecimal digits",
                            ps->line, digits == 4 ? 'u' : 'U', digits);
        }
        cp = cp << 4 | (uint32_t)d;
        ps->pos++;
    }
    return add_code_point(ps, cp, out, err);
}

/* Behind the backslash. */
static flv_rc parse_escape(struct parser *ps,
                           bool multi,
                           struct flv_buf *out,
                           struct flv_err *err)
{
    static const char from[] = "btnfr\"\\";
    static const char to[] = "\b\t\n\f\r\"\\";
    const int c = peek(ps);
    const char *hit = c > 0 ? strchr(from, c) : NULL;

    if (hit != NULL) {
        ps->pos++;
        return flv_buf_add_u8(out, (uint8_t)to[hit - from]);
    }
    if (c == 'u' || c == 'U') {
        return parse_unicode(ps, out, err);
    }
    if (multi) {
        const struct parser before = *ps;

        skip_blanks(ps);
        if (at_newline(ps)) {
            while (at_newline(ps)) {
                skip_newline(ps);
                skip_blanks(ps);
            }
            return FLV_OK;
        }
        *ps = before;
    }
    return flv_fail(err, FLV_E_INVALID, "line %u: unknown escape in a string",
                    ps->line);
}

/* How many quotes end a multi-line string here: 3 to 5, of which the last
 * three are the end; 0 when it does not end here. */
static size_t closing_quotes(const struct parser *ps, int quote)
{
    size_t n = 0;

    while (n < 5 && ps->pos + n < ps->doc->text_len &&
           ps->doc->text[ps->pos + n] == quote) {
        n++;
    }
    return n >= 3 ? n : 0;
}

static flv_rc parse_multi_string(struct parser *ps,
                                 int quote,
                                 struct flv_buf *out,
                                 struct flv_err *err)
{
    const unsigned first_line = ps->line;
    flv_rc rc = FLV_OK;

    ps->pos += 3;
    if (at_newline(ps)) {
        skip_newline(ps);
    }
    while (rc == FLV_OK) {
        const size_t quotes = closing_quotes(ps, quote);
        const int c = peek(ps);

        if (quotes > 0) {
            rc = flv_buf_add(out, ps->doc->text + ps->pos, quotes - 3);
            ps->pos += quotes;
            return rc;
        }
        if (c == -1) {
            return flv_fail(err, FLV_E_INVALID, "line %u: string is not closed",
                            first_line);
        }
        if (at_newline(ps)) {
            skip_newline(ps);
            rc = flv_buf_add_u8(out, '\n');
        } else if (c == '\\' && quote == '"') {
            ps->pos++;
            rc = parse_escape(ps, true, out, err);
        } else if (flv__toml_is_control(c)) {
            rc = flv_fail(err, FLV_E_INVALID,
                          "line %u: control character 0x%02x in a string",
                          ps->line, (unsigned)c);
        } else {
            ps->pos++;
            rc = flv_buf_add_u8(out, (uint8_t)c);
        }
    }
    return rc;
}

static flv_rc
parse_string(struct parser *ps, struct flv_buf *out, struct flv_err *err)
{
    const int quote = peek(ps);
    flv_rc rc = FLV_OK;

    assert(quote == '"' || quote == '\'');
    ps->pos++;
    while (rc == FLV_OK) {
        const int c = peek(ps);

        if (c == quote) {
            ps->pos++;
            return FLV_OK;
        }
        if (c == -1 || at_newline(ps)) {
            return flv_fail(err, FLV_E_INVALID, "line %u: string is not closed",
                            ps->line);
        }
        if (flv__toml_is_control(c)) {
            return flv_fail(err, FLV_E_INVALID,
                            "line %u: control character 0x%02x in a string",
                            ps->line, (unsigned)c);
        }
        ps->pos++;
        if (c == '\\' && quote == '"') {
            rc = parse_escape(ps, false, out, err);
        } else {
            rc = flv_buf_add_u8(out, (uint8_t)c);
        }
    }
    return rc;
}

/* ---------------------------------------------------------------- keys */

bool flv__toml_is_bare(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-';
}

flv_rc flv__toml_path_add(struct flv__toml_parts *path,
                          const void *part,
                          size_t len,
                          unsigned line,
                          struct flv_err *err)
{
    if (path->depth == FLV__TOML_DEPTH_MAX ||
        len + 1 > sizeof(path->bytes) - path->len) {
        return flv_fail(err, FLV_E_LIMIT,
                        "line %u: key longer than %u parts or %u bytes", line,
                        (unsigned)FLV__TOML_DEPTH_MAX, FLV__TOML_PATH_MAX);
    }
    if (len > 0) {
        memcpy(path->bytes + path->len, part, len);
    }
    path->bytes[path->len + len] = '\0';
    path->len += len + 1;
    path->depth++;
    return FLV_OK;
}

static flv_rc parse_key_part(struct parser *ps,
                             struct flv__toml_parts *path,
                             struct flv_err *err)
{
    const size_t start = ps->pos;
    struct flv_buf buf;
    flv_rc rc = FLV_OK;

    if (peek(ps) == '"' || peek(ps) == '\'') {
        flv_buf_init(&buf, FLV__TOML_PATH_MAX);
        rc = parse_string(ps, &buf, err);
        if (rc == FLV_OK) {
            rc = flv__toml_path_add(path, buf.data, buf.len, ps->line, err);
        } else if (rc == FLV_E_LIMIT) {
            rc = flv_fail(err, rc, "line %u: key too long", ps->line);
        }
        flv_buf_deinit(&buf);
        return rc;
    }
    while (flv__toml_is_bare(peek(ps))) {
        ps->pos++;
    }
    if (ps->pos == start) {
        return flv_fail(err, FLV_E_INVALID, "line %u: a key is missing",
                        ps->line);
    }
    return flv__toml_path_add(path, ps->doc->text + start, ps->pos - start,
                              ps->line, err);
}

/* Appends a dotted key to path. */
static flv_rc
parse_key(struct parser *ps, struct flv__toml_parts *path, struct flv_err *err)
{
    flv_rc rc = parse_key_part(ps, path, err);

    while (rc == FLV_OK) {
        size_t end = ps->pos;

        skip_blanks(ps);
        if (peek(ps) != '.') {
            ps->pos = end;
            return FLV_OK;
        }
        ps->pos++;
        skip_blanks(ps);
        rc = parse_key_part(ps, path, err);
    }
    return rc;
}

struct flv__toml_key *
flv__toml_find(const struct flv__toml *doc, const char *bytes, size_t len)
{
    struct flv__toml_key *key = NULL;

    HASH_FIND(hh, doc->keys, bytes, len, key);
    return key;
}

static void key_destroy(struct flv__toml_key *key)
{
    if (key != NULL) {
        flv_free(key->path);
        flv_free(key->str);
        flv_free(key);
    }
}

/* One macro of uthash. NOLINTNEXTLINE(readability-function-size) */
static bool add_to_table(struct flv__toml *doc, struct flv__toml_key *key)
{
    HASH_ADD_KEYPTR(hh, doc->keys, key->path, key->path_len, key);
    return !key->lost;
}

static flv_rc add_key(struct parser *ps,
                      const char *bytes,
                      size_t len,
                      unsigned depth,
                      struct flv__toml_key **out,
                      struct flv_err *err)
{
    struct flv__toml_key *key = NULL;

    if (HASH_COUNT(ps->doc->keys) >= FLV__TOML_KEYS_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "line %u: more than %u keys",
                        ps->line, (unsigned)FLV__TOML_KEYS_MAX);
    }
    key = flv_zalloc(1, sizeof(*key));
    if (key == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a key");
    }
    key->path = flv_alloc(len);
    if (key->path == NULL) {
        key_destroy(key);
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a key");
    }
    memcpy(key->path, bytes, len);
    key->path_len = len;
    key->depth = depth;
    key->value.line = ps->line;
    if (!add_to_table(ps->doc, key)) {
        key_destroy(key);
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a key");
    }
    *out = key;
    return FLV_OK;
}

const char *flv__toml_last_part(const struct flv__toml_parts *path)
{
    const char *part = path->bytes;
    const char *last = part;

    while (part < path->bytes + path->len) {
        last = part;
        part += strlen(part) + 1;
    }
    return last;
}

/* Every table above the path exists or is made; none of them may be a value.
 * Parts before `from` are known to exist. */
static flv_rc add_parents(struct parser *ps,
                          const struct flv__toml_parts *path,
                          struct flv_err *err)
{
    size_t len = 0;
    flv_rc rc = FLV_OK;

    for (unsigned depth = 1; rc == FLV_OK && depth < path->depth; depth++) {
        struct flv__toml_key *key = NULL;

        len += strlen(path->bytes + len) + 1;
        key = flv__toml_find(ps->doc, path->bytes, len);
        if (key == NULL) {
            rc = add_key(ps, path->bytes, len, depth, &key, err);
        } else if (key->value.type != FLV__TOML_TABLE || key->closed) {
            rc = flv_fail(err, FLV_E_INVALID,
                          "line %u: '%s' lies below a value set on line %u",
                          ps->line, flv__toml_last_part(path), key->value.line);
        }
    }
    return rc;
}

static flv_rc add_value_key(struct parser *ps,
                            const struct flv__toml_parts *path,
                            struct flv__toml_key **out,
                            struct flv_err *err)
{
    struct flv__toml_key *key = flv__toml_find(ps->doc, path->bytes, path->len);
    flv_rc rc = FLV_OK;

    if (key != NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "line %u: '%s' was already set on line %u", ps->line,
                        flv__toml_last_part(path), key->value.line);
    }
    rc = add_parents(ps, path, err);
    if (rc != FLV_OK) {
        return rc;
    }
    return add_key(ps, path->bytes, path->len, path->depth, out, err);
}

/* -------------------------------------------------------------- values */

static flv_rc parse_value(struct parser *ps,
                          const struct flv__toml_parts *path,
                          struct flv__toml_key *key,
                          unsigned nest,
                          struct flv_err *err);

static flv_rc parse_array(struct parser *ps, unsigned nest, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    assert(peek(ps) == '[');
    ps->pos++;
    for (;;) {
        rc = skip_space(ps, err);
        if (rc != FLV_OK) {
            return rc;
        }
        if (peek(ps) == ']') {
            ps->pos++;
            return FLV_OK;
        }
        rc = parse_value(ps, NULL, NULL, nest + 1, err);
        if (rc == FLV_OK) {
            rc = skip_space(ps, err);
        }
        if (rc != FLV_OK) {
            return rc;
        }
        if (peek(ps) == ',') {
            ps->pos++;
        } else if (peek(ps) != ']') {
            return flv_fail(err, FLV_E_INVALID,
                            "line %u: an array needs ',' or ']' here",
                            ps->line);
        }
    }
}

/* key = value inside braces; kept below `path` unless that is NULL. */
static flv_rc parse_inline_pair(struct parser *ps,
                                const struct flv__toml_parts *path,
                                unsigned nest,
                                struct flv_err *err)
{
    struct flv__toml_parts inner = {.len = 0};
    struct flv__toml_key *key = NULL;
    flv_rc rc = FLV_OK;

    if (path != NULL) {
        inner = *path;
    }
    rc = parse_key(ps, &inner, err);
    if (rc != FLV_OK) {
        return rc;
    }
    skip_blanks(ps);
    if (peek(ps) != '=') {
        return flv_fail(err, FLV_E_INVALID,
                        "line %u: '%s' is not followed by '='", ps->line,
                        flv__toml_last_part(&inner));
    }
    ps->pos++;
    skip_blanks(ps);
    if (path != NULL) {
        rc = add_value_key(ps, &inner, &key, err);
        if (rc != FLV_OK) {
            return rc;
        }
        key->inner = true;
    }
    return parse_value(ps, path != NULL ? &inner : NULL, key, nest + 1, err);
}

static flv_rc parse_inline_table(struct parser *ps,
                                 const struct flv__toml_parts *path,
                                 unsigned nest,
                                 struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    assert(peek(ps) == '{');
    ps->pos++;
    skip_blanks(ps);
    if (peek(ps) == '}') {
        ps->pos++;
        return FLV_OK;
    }
    for (;;) {
        skip_blanks(ps);
        rc = parse_inline_pair(ps, path, nest, err);
        if (rc != FLV_OK) {
            return rc;
        }
        skip_blanks(ps);
        if (peek(ps) == '}') {
            ps->pos++;
            return FLV_OK;
        }
        if (peek(ps) != ',') {
            return flv_fail(err, FLV_E_INVALID,
                            "line %u: an inline table needs ',' or '}' here",
                            ps->line);
        }
        ps->pos++;
    }
}

/* Decimal integers within 63 bits are decoded; other numbers are kept. */
static bool decode_int(const uint8_t *p, size_t len, int64_t *out)
{
    const bool minus = len > 0 && p[0] == '-';
    size_t i = len > 0 && (p[0] == '-' || p[0] == '+') ? 1 : 0;
    int64_t n = 0;

    if (i == len || len - i > 18) {
        return false;
    }
    for (; i < len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return false;
        }
        n = n * 10 + (p[i] - '0');
    }
    *out = minus ? -n : n;
    return true;
}

static bool is_scalar_char(int c)
{
    return flv__toml_is_bare(c) || c == '+' || c == '.' || c == ':';
}

static flv_rc
parse_scalar(struct parser *ps, struct flv__toml_key *key, struct flv_err *err)
{
    static const char *const words[] = {"inf", "+inf", "-inf",
                                        "nan", "+nan", "-nan"};
    const uint8_t *start = ps->doc->text + ps->pos;
    struct flv_slice word = {.data = start};
    enum flv__toml_type type = FLV__TOML_OTHER;
    int64_t num = 0;
    bool ok = false;

    while (is_scalar_char(peek(ps))) {
        ps->pos++;
        word.len++;
    }
    if (flv_slice_eq_str(word, "true") || flv_slice_eq_str(word, "false")) {
        type = FLV__TOML_BOOL;
        num = word.len == 4;
        ok = true;
    } else if (decode_int(word.data, word.len, &num)) {
        type = FLV__TOML_INT;
        ok = true;
    } else if (word.len > 0) {
        const size_t i = word.data[0] == '+' || word.data[0] == '-' ? 1 : 0;

        ok = i < word.len && word.data[i] >= '0' && word.data[i] <= '9';
        for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
            ok = ok || flv_slice_eq_str(word, words[k]);
        }
    }
    if (!ok) {
        return flv_fail(err, FLV_E_INVALID,
                        "line %u: '%.*s' is not a TOML value; quote texts",
                        ps->line, (int)(word.len < 40 ? word.len : 40),
                        (const char *)word.data);
    }
    if (key != NULL) {
        key->value.type = type;
        key->value.num = num;
    }
    return FLV_OK;
}

static flv_rc parse_string_value(struct parser *ps,
                                 struct flv__toml_key *key,
                                 struct flv_err *err)
{
    const int quote = peek(ps);
    const bool multi = at_text(ps, quote == '"' ? "\"\"\"" : "'''");
    struct flv_buf buf;
    flv_rc rc = FLV_OK;

    flv_buf_init(&buf, FLV__TOML_SIZE_MAX);
    rc = multi ? parse_multi_string(ps, quote, &buf, err)
               : parse_string(ps, &buf, err);
    if (rc == FLV_OK && key != NULL) {
        assert(key->str == NULL);
        key->str = flv_slice_dup(flv_buf_slice(&buf));
        key->value.type = FLV__TOML_STRING;
        key->value.str = key->str;
        if (key->str == NULL) {
            rc = flv_fail(err, FLV_E_NOMEM, "out of memory for a string");
        }
    }
    flv_buf_deinit(&buf);
    return rc;
}

static flv_rc parse_value(struct parser *ps,
                          const struct flv__toml_parts *path,
                          struct flv__toml_key *key,
                          unsigned nest,
                          struct flv_err *err)
{
    const int c = peek(ps);
    const size_t pos = ps->pos;
    flv_rc rc = FLV_OK;

    assert((path == NULL) == (key == NULL));
    if (nest > FLV__TOML_NEST_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "line %u: values nested deeper than %u", ps->line,
                        (unsigned)FLV__TOML_NEST_MAX);
    }
    if (c == '"' || c == '\'') {
        rc = parse_string_value(ps, key, err);
    } else if (c == '[') {
        rc = parse_array(ps, nest, err);
        if (key != NULL) {
            key->value.type = FLV__TOML_OTHER;
        }
    } else if (c == '{') {
        rc = parse_inline_table(ps, path, nest, err);
        if (key != NULL) {
            key->closed = true;
        }
    } else {
        rc = parse_scalar(ps, key, err);
    }
    if (key != NULL) {
        key->pos = pos;
        key->len = ps->pos - pos;
    }
    return rc;
}

/* ---------------------------------------------------------- statements */

static flv_rc new_stmt(struct flv__toml *doc,
                       const struct flv__toml_stmt *stmt,
                       const struct flv__toml_parts *path,
                       struct flv_err *err)
{
    struct flv__toml_stmt *grown = NULL;
    char *bytes = NULL;

    if (doc->stmt_count == doc->stmt_cap) {
        const size_t cap = doc->stmt_cap == 0 ? 64 : doc->stmt_cap * 2;

        grown = flv_realloc(doc->stmts, cap * sizeof(*grown));
        if (grown == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory for a line");
        }
        doc->stmts = grown;
        doc->stmt_cap = cap;
    }
    if (path != NULL) {
        bytes = flv_alloc(path->len);
        if (bytes == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory for a line");
        }
        memcpy(bytes, path->bytes, path->len);
    }
    doc->stmts[doc->stmt_count] = *stmt;
    doc->stmts[doc->stmt_count].path = bytes;
    doc->stmts[doc->stmt_count].path_len = path != NULL ? path->len : 0;
    doc->stmt_count++;
    return FLV_OK;
}

static flv_rc define_table(struct parser *ps,
                           const struct flv__toml_parts *path,
                           bool array,
                           struct flv_err *err)
{
    struct flv__toml_key *key = flv__toml_find(ps->doc, path->bytes, path->len);
    flv_rc rc = FLV_OK;

    if (key == NULL) {
        rc = add_parents(ps, path, err);
        if (rc == FLV_OK) {
            rc = add_key(ps, path->bytes, path->len, path->depth, &key, err);
        }
        if (rc != FLV_OK) {
            return rc;
        }
        if (array) {
            key->value.type = FLV__TOML_OTHER;
            return FLV_OK;
        }
    } else if (array && key->value.type == FLV__TOML_OTHER && key->len == 0) {
        return FLV_OK; /* one more element */
    } else if (key->value.type != FLV__TOML_TABLE || key->defined ||
               key->closed || array) {
        return flv_fail(err, FLV_E_INVALID,
                        "line %u: '%s' was already set on line %u", ps->line,
                        flv__toml_last_part(path), key->value.line);
    }
    key->defined = true;
    return FLV_OK;
}

/* Whether a table above path (or path itself) is an array of tables. */
static bool below_array(const struct parser *ps,
                        const struct flv__toml_parts *path)
{
    size_t len = 0;

    while (len < path->len) {
        const struct flv__toml_key *key = NULL;

        len += strlen(path->bytes + len) + 1;
        key = flv__toml_find(ps->doc, path->bytes, len);
        if (key != NULL && key->value.type == FLV__TOML_OTHER &&
            key->len == 0 && len < path->len) {
            return true;
        }
    }
    return false;
}

static flv_rc parse_header(struct parser *ps,
                           struct flv__toml_stmt *stmt,
                           struct flv_err *err)
{
    const bool array = at_text(ps, "[[");
    flv_rc rc = FLV_OK;

    ps->pos += array ? 2 : 1;
    skip_blanks(ps);
    ps->table = (struct flv__toml_parts){.len = 0};
    stmt->kind = array ? FLV__TOML_STMT_ARRAY_TABLE : FLV__TOML_STMT_TABLE;
    stmt->key_pos = ps->pos;
    rc = parse_key(ps, &ps->table, err);
    if (rc != FLV_OK) {
        return rc;
    }
    stmt->key_len = ps->pos - stmt->key_pos;
    stmt->table_depth = ps->table.depth;
    skip_blanks(ps);
    if (!at_text(ps, array ? "]]" : "]")) {
        return flv_fail(err, FLV_E_INVALID,
                        "line %u: table header is not closed", ps->line);
    }
    ps->pos += array ? 2 : 1;
    ps->opaque = below_array(ps, &ps->table);
    if (!ps->opaque) {
        rc = define_table(ps, &ps->table, array, err);
        ps->opaque = array;
    }
    return rc;
}

static flv_rc parse_pair(struct parser *ps,
                         struct flv__toml_stmt *stmt,
                         struct flv__toml_parts *path,
                         struct flv_err *err)
{
    struct flv__toml_key *key = NULL;
    flv_rc rc = FLV_OK;

    stmt->kind = FLV__TOML_STMT_KEY;
    stmt->key_pos = ps->pos;
    stmt->table_depth = ps->table.depth;
    *path = ps->table;
    rc = parse_key(ps, path, err);
    if (rc != FLV_OK) {
        return rc;
    }
    stmt->key_len = ps->pos - stmt->key_pos;
    skip_blanks(ps);
    if (peek(ps) != '=') {
        return flv_fail(err, FLV_E_INVALID,
                        "line %u: '%s' is not followed by '='", ps->line,
                        flv__toml_last_part(path));
    }
    ps->pos++;
    skip_blanks(ps);
    if (!ps->opaque) {
        rc = add_value_key(ps, path, &key, err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    return parse_value(ps, key != NULL ? path : NULL, key, 0, err);
}

static flv_rc parse_stmt(struct parser *ps, struct flv_err *err)
{
    struct flv__toml_stmt stmt = {.kind = FLV__TOML_STMT_BLANK, .pos = ps->pos};
    struct flv__toml_parts path = {.len = 0};
    flv_rc rc = FLV_OK;

    skip_blanks(ps);
    if (peek(ps) == '[') {
        rc = parse_header(ps, &stmt, err);
        path = ps->table;
    } else if (peek(ps) != -1 && peek(ps) != '#' && !at_newline(ps)) {
        rc = parse_pair(ps, &stmt, &path, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    skip_blanks(ps);
    rc = skip_comment(ps, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (peek(ps) != -1) {
        if (!at_newline(ps)) {
            return flv_fail(err, FLV_E_INVALID,
                            "line %u: unexpected text behind the value",
                            ps->line);
        }
        skip_newline(ps);
    }
    stmt.len = ps->pos - stmt.pos;
    return new_stmt(ps->doc, &stmt,
                    stmt.kind == FLV__TOML_STMT_BLANK ? NULL : &path, err);
}

flv_rc flv__toml_parse(struct flv__toml **out,
                       struct flv_slice text,
                       struct flv_err *err)
{
    struct parser ps = {.line = 1};
    flv_rc rc = FLV_OK;

    assert(out != NULL);
    if (text.len > FLV__TOML_SIZE_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "%zu bytes; at most %u are read",
                        text.len, FLV__TOML_SIZE_MAX);
    }
    if (!flv_text_is_utf8(text)) {
        return flv_fail(err, FLV_E_INVALID, "the text is not UTF-8");
    }
    ps.doc = flv_zalloc(1, sizeof(*ps.doc));
    if (ps.doc == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a document");
    }
    ps.doc->text = flv_alloc(text.len + 1);
    if (ps.doc->text == NULL) {
        flv__toml_destroy(ps.doc);
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a document");
    }
    if (text.len > 0) {
        memcpy(ps.doc->text, text.data, text.len);
    }
    ps.doc->text_len = text.len;
    while (rc == FLV_OK && ps.pos < text.len) {
        rc = parse_stmt(&ps, err);
    }
    if (rc != FLV_OK) {
        flv__toml_destroy(ps.doc);
        return rc;
    }
    assert(ps.pos == text.len);
    *out = ps.doc;
    return FLV_OK;
}

void flv__toml_clear(struct flv__toml *doc)
{
    struct flv__toml_key *key = NULL;
    struct flv__toml_key *tmp = NULL;

    HASH_ITER(hh, doc->keys, key, tmp)
    {
        HASH_DEL(doc->keys, key);
        key_destroy(key);
    }
    for (size_t i = 0; i < doc->stmt_count; i++) {
        flv_free(doc->stmts[i].path);
    }
    flv_free(doc->stmts);
    flv_free(doc->text);
}

void flv__toml_destroy(struct flv__toml *doc)
{
    if (doc != NULL) {
        flv__toml_clear(doc);
        flv_free(doc);
    }
}

struct flv_slice flv__toml_text(const struct flv__toml *doc)
{
    return flv_slice(doc->text, doc->text_len);
}

/* -------------------------------------------------------------- lookups */

flv_rc flv__toml_path_of(const struct flv__toml_path *from,
                         struct flv__toml_parts *out,
                         struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    *out = (struct flv__toml_parts){.len = 0};
    for (size_t i = 0;
         rc == FLV_OK && i < FLV__TOML_DEPTH_MAX && from->parts[i] != NULL;
         i++) {
        rc = flv__toml_path_add(out, from->parts[i], strlen(from->parts[i]), 0,
                                err);
    }
    return rc;
}

struct flv__toml_key *flv__toml_find_path(const struct flv__toml *doc,
                                          const struct flv__toml_path *path)
{
    struct flv__toml_parts bytes;

    if (flv__toml_path_of(path, &bytes, NULL) != FLV_OK) {
        return NULL;
    }
    return flv__toml_find(doc, bytes.bytes, bytes.len);
}

bool flv__toml_get(const struct flv__toml *doc,
                   const struct flv__toml_path *path,
                   struct flv__toml_value *out)
{
    const struct flv__toml_key *key = flv__toml_find_path(doc, path);

    if (key == NULL) {
        return false;
    }
    *out = key->value;
    return true;
}

const char *flv__toml_str(const struct flv__toml *doc,
                          const struct flv__toml_path *path)
{
    struct flv__toml_value v;

    if (!flv__toml_get(doc, path, &v) || v.type != FLV__TOML_STRING) {
        return NULL;
    }
    return v.str;
}

const char *flv__toml_child(const struct flv__toml *doc,
                            const struct flv__toml_path *path,
                            size_t i)
{
    struct flv__toml_parts above;

    if (flv__toml_path_of(path, &above, NULL) != FLV_OK) {
        return NULL;
    }
    for (const struct flv__toml_key *key = doc->keys; key != NULL;
         key = key->hh.next) {
        if (key->depth == above.depth + 1 && key->path_len > above.len &&
            memcmp(key->path, above.bytes, above.len) == 0) {
            if (i == 0) {
                return key->path + above.len;
            }
            i--;
        }
    }
    return NULL;
}
