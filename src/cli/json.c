#include "cli/json.h"

#include "base/text.h"

#include <assert.h>
#include <string.h>

#define JSON_DEPTH_MAX 128

struct scan {
    struct flv_slice text;
    size_t pos;
    unsigned depth;
    struct flv_buf *out; /* borrowed; NULL: check only */
    struct flv_err *err; /* borrowed */
};

static flv_rc bad(struct scan *s, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < s->pos && i < s->text.len; i++) {
        column++;
        if (s->text.data[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return flv_fail(s->err, FLV_E_INVALID, "%s at line %zu column %zu", what,
                    line, column);
}

/* The byte at the cursor, or -1 behind the end. */
static int peek(const struct scan *s)
{
    return s->pos < s->text.len ? s->text.data[s->pos] : -1;
}

static void skip_blanks(struct scan *s)
{
    int c = peek(s);
    while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        s->pos++;
        c = peek(s);
    }
}

static flv_rc emit(struct scan *s, const void *data, size_t len)
{
    if (s->out == NULL) {
        return FLV_OK;
    }
    flv_rc rc = flv_buf_add(s->out, data, len);
    return rc == FLV_OK ? rc : flv_fail(s->err, rc, "output too large");
}

static flv_rc emit_line(struct scan *s)
{
    static const char blanks[] = "                                ";
    flv_rc rc = emit(s, "\n", 1);
    for (size_t left = 2 * (size_t)s->depth; left > 0 && rc == FLV_OK;) {
        size_t n = left < sizeof(blanks) - 1 ? left : sizeof(blanks) - 1;
        rc = emit(s, blanks, n);
        left -= n;
    }
    return rc;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static flv_rc escape(struct scan *s)
{
    assert(peek(s) == '\\');
    s->pos++;
    int c = peek(s);
    if (c < 0 || strchr("\"\\/bfnrtu", c) == NULL || c == 0) {
        return bad(s, "invalid escape");
    }
    s->pos++;
    for (int i = 0; c == 'u' && i < 4; i++, s->pos++) {
        if (flv_text_hex_digit((char)peek(s)) < 0) {
            return bad(s, "invalid escape");
        }
    }
    return FLV_OK;
}

static flv_rc string(struct scan *s)
{
    assert(peek(s) == '"');
    size_t start = s->pos++;
    for (;;) {
        int c = peek(s);
        if (c < 0) {
            return bad(s, "EOF while parsing a string");
        }
        if (c < 0x20) {
            return bad(s, "control character while parsing a string");
        }
        if (c == '\\') {
            flv_rc rc = escape(s);
            if (rc != FLV_OK) {
                return rc;
            }
            continue;
        }
        s->pos++;
        if (c == '"') {
            return emit(s, s->text.data + start, s->pos - start);
        }
    }
}

static bool digits(struct scan *s)
{
    size_t start = s->pos;
    while (is_digit(peek(s))) {
        s->pos++;
    }
    return s->pos > start;
}

static flv_rc number(struct scan *s)
{
    size_t start = s->pos;
    if (peek(s) == '-') {
        s->pos++;
    }
    size_t first = s->pos;
    if (!digits(s) || (s->text.data[first] == '0' && s->pos > first + 1)) {
        return bad(s, "invalid number");
    }
    if (peek(s) == '.') {
        s->pos++;
        if (!digits(s)) {
            return bad(s, "invalid number");
        }
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->pos++;
        if (peek(s) == '+' || peek(s) == '-') {
            s->pos++;
        }
        if (!digits(s)) {
            return bad(s, "invalid number");
        }
    }
    return emit(s, s->text.data + start, s->pos - start);
}

static flv_rc word(struct scan *s, const char *text)
{
    size_t len = strlen(text);
    if (s->text.len - s->pos < len ||
        memcmp(s->text.data + s->pos, text, len) != 0) {
        return bad(s, "expected value");
    }
    s->pos += len;
    return emit(s, text, len);
}

static flv_rc value(struct scan *s);

static flv_rc member_name(struct scan *s)
{
    skip_blanks(s);
    if (peek(s) != '"') {
        return bad(s, "key must be a string");
    }
    flv_rc rc = string(s);
    skip_blanks(s);
    if (rc == FLV_OK && peek(s) != ':') {
        return bad(s, "expected `:`");
    }
    s->pos++;
    return rc == FLV_OK ? emit(s, ": ", 2) : rc;
}

/* An object or a list, with the cursor on its bracket. */
static flv_rc container(struct scan *s, bool object)
{
    const int close = object ? '}' : ']';
    if (++s->depth > JSON_DEPTH_MAX) {
        return bad(s, "recursion limit exceeded");
    }
    s->pos++;
    flv_rc rc = emit(s, object ? "{" : "[", 1);
    skip_blanks(s);
    if (peek(s) == close) {
        s->pos++;
        s->depth--;
        return rc == FLV_OK ? emit(s, object ? "}" : "]", 1) : rc;
    }
    for (bool first = true; rc == FLV_OK; first = false) {
        rc = first ? FLV_OK : emit(s, ",", 1);
        rc = rc == FLV_OK ? emit_line(s) : rc;
        rc = rc == FLV_OK && object ? member_name(s) : rc;
        rc = rc == FLV_OK ? value(s) : rc;
        if (rc != FLV_OK) {
            return rc;
        }
        skip_blanks(s);
        if (peek(s) == close) {
            break;
        }
        if (peek(s) != ',') {
            return bad(s,
                       object ? "expected `,` or `}`" : "expected `,` or `]`");
        }
        s->pos++;
    }
    s->pos++;
    s->depth--;
    rc = rc == FLV_OK ? emit_line(s) : rc;
    return rc == FLV_OK ? emit(s, object ? "}" : "]", 1) : rc;
}

static flv_rc value(struct scan *s)
{
    skip_blanks(s);
    int c = peek(s);
    if (c == '{' || c == '[') {
        return container(s, c == '{');
    }
    if (c == '"') {
        return string(s);
    }
    if (c == '-' || is_digit(c)) {
        return number(s);
    }
    if (c == 't') {
        return word(s, "true");
    }
    if (c == 'f') {
        return word(s, "false");
    }
    if (c == 'n') {
        return word(s, "null");
    }
    return bad(s, c < 0 ? "EOF while parsing a value" : "expected value");
}

flv_rc
cli_json_pretty(struct flv_slice text, struct flv_buf *out, struct flv_err *err)
{
    const size_t kept = out->len;
    struct scan s = {.text = text, .out = out, .err = err};
    flv_rc rc = value(&s);
    if (rc == FLV_OK) {
        skip_blanks(&s);
        rc = s.pos < text.len ? bad(&s, "trailing characters") : FLV_OK;
    }
    if (rc != FLV_OK) {
        out->len = kept;
    }
    return rc;
}

static struct flv_slice cut(const struct scan *s, size_t from, size_t to)
{
    if (s->text.data[from] == '"') {
        from++;
        to--;
    }
    return flv_slice(s->text.data + from, to - from);
}

/* One member; *done becomes true at the end of the object. */
static flv_rc
next_member(struct scan *s, struct cli_json_member *out, bool *done)
{
    skip_blanks(s);
    size_t start = s->pos;
    flv_rc rc = member_name(s);
    if (rc != FLV_OK) {
        return rc;
    }
    size_t end = s->pos - 1;
    while (s->text.data[end - 1] != '"') {
        end--;
    }
    out->name = cut(s, start, end);
    skip_blanks(s);
    start = s->pos;
    rc = value(s);
    if (rc != FLV_OK) {
        return rc;
    }
    out->value = cut(s, start, s->pos);
    out->is_text = s->text.data[start] == '"';
    skip_blanks(s);
    int c = peek(s);
    s->pos++;
    *done = c == '}';
    return c == '}' || c == ',' ? FLV_OK : bad(s, "expected `,` or `}`");
}

flv_rc cli_json_members(struct flv_slice text,
                        struct cli_json_member *out,
                        size_t max,
                        size_t *out_count,
                        struct flv_err *err)
{
    struct scan s = {.text = text, .err = err};
    size_t n = 0;
    skip_blanks(&s);
    if (peek(&s) != '{') {
        return bad(&s, "expected an object");
    }
    s.pos++;
    skip_blanks(&s);
    bool done = peek(&s) == '}';
    if (done) {
        s.pos++;
    }
    while (!done) {
        if (n == max) {
            return flv_fail(err, FLV_E_LIMIT,
                            "the object has more than %zu members", max);
        }
        flv_rc rc = next_member(&s, &out[n], &done);
        if (rc != FLV_OK) {
            return rc;
        }
        n++;
    }
    skip_blanks(&s);
    if (s.pos < text.len) {
        return bad(&s, "trailing characters");
    }
    *out_count = n;
    return FLV_OK;
}

flv_rc cli_json_items(struct flv_slice text,
                      struct flv_slice *out,
                      size_t max,
                      size_t *out_count,
                      struct flv_err *err)
{
    struct scan s = {.text = text, .err = err};
    size_t n = 0;
    int c = ',';
    skip_blanks(&s);
    if (peek(&s) != '[') {
        return bad(&s, "expected a list");
    }
    s.pos++;
    skip_blanks(&s);
    if (peek(&s) == ']') {
        s.pos++;
        c = ']';
    }
    while (c == ',') {
        if (n == max) {
            return flv_fail(err, FLV_E_LIMIT,
                            "the list has more than %zu values", max);
        }
        skip_blanks(&s);
        size_t start = s.pos;
        flv_rc rc = value(&s);
        if (rc != FLV_OK) {
            return rc;
        }
        out[n++] = flv_slice(text.data + start, s.pos - start);
        skip_blanks(&s);
        c = peek(&s);
        if (c != ',' && c != ']') {
            return bad(&s, "expected `,` or `]`");
        }
        s.pos++;
    }
    skip_blanks(&s);
    if (s.pos < text.len) {
        return bad(&s, "trailing characters");
    }
    *out_count = n;
    return FLV_OK;
}

/* ---- Escapes ------------------------------------------------------------- */

/* U+FFFD, for what is no character. */
#define STRANGE 0xfffdu

/* The escape behind the backslash at *pos, which moves behind it. */
static flv_rc put_escape(struct flv_slice s, size_t *pos, struct flv_buf *out)
{
    static const char from[] = "bfnrt";
    static const char to[] = "\b\f\n\r\t";
    int c = s.data[(*pos)++];
    if (c != 'u') {
        const char *known = strchr(from, c);
        return flv_buf_add_u8(out,
                              (uint8_t)(known != NULL ? to[known - from] : c));
    }
    uint8_t bytes[FLV_TEXT_UTF8_MAX];
    uint32_t code = STRANGE;
    *pos += flv_text_json_u(flv_slice(s.data + *pos, s.len - *pos), &code);
    size_t n =
        flv_text_put_utf8(flv_text_is_surrogate(code) ? STRANGE : code, bytes);
    return flv_buf_add(out, bytes, n);
}

flv_rc cli_json_text(struct flv_slice string, struct flv_buf *out)
{
    flv_rc rc = FLV_OK;
    for (size_t pos = 0; pos < string.len && rc == FLV_OK;) {
        uint8_t c = string.data[pos++];
        rc = c == '\\' && pos < string.len ? put_escape(string, &pos, out)
                                           : flv_buf_add_u8(out, c);
    }
    return rc;
}
