/* The check of JSON texts of text.h. */
#include "base/text.h"

#include <string.h>

struct scan {
    const uint8_t *p, *end;
};

static bool at(const struct scan *s, char c)
{
    return s->p < s->end && *s->p == (uint8_t)c;
}

static bool eat(struct scan *s, char c)
{
    if (!at(s, c)) {
        return false;
    }
    s->p++;
    return true;
}

static void blanks(struct scan *s)
{
    while (at(s, ' ') || at(s, '\t') || at(s, '\n') || at(s, '\r')) {
        s->p++;
    }
}

static bool word(struct scan *s, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(s->end - s->p) < len || memcmp(s->p, text, len) != 0) {
        return false;
    }
    s->p += len;
    return true;
}

static bool digits(struct scan *s)
{
    const uint8_t *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
        s->p++;
    }
    return s->p > from;
}

static bool number(struct scan *s)
{
    (void)eat(s, '-');
    if (!eat(s, '0') && !digits(s)) {
        return false;
    }
    if (eat(s, '.') && !digits(s)) {
        return false;
    }
    if (eat(s, 'e') || eat(s, 'E')) {
        if (!eat(s, '+')) {
            (void)eat(s, '-');
        }
        return digits(s);
    }
    return true;
}

static bool hex4(struct scan *s)
{
    for (int i = 0; i < 4; i++, s->p++) {
        if (s->p == s->end || strchr("0123456789abcdefABCDEF", *s->p) == NULL ||
            *s->p == '\0') {
            return false;
        }
    }
    return true;
}

/* Behind the opening quote. */
static bool string(struct scan *s)
{
    while (s->p < s->end) {
        uint8_t c = *s->p++;
        if (c == '"') {
            return true;
        }
        if (c < 0x20) {
            return false;
        }
        if (c != '\\') {
            continue;
        }
        if (s->p == s->end) {
            return false;
        }
        c = *s->p++;
        if (c == 'u' ? !hex4(s)
                     : c == '\0' || strchr("\"\\/bfnrt", c) == NULL) {
            return false;
        }
    }
    return false;
}

/* What is open, innermost last: true is an object. */
struct open {
    bool object[FLV_TEXT_JSON_DEPTH_MAX];
    size_t depth;
};

static bool key(struct scan *s)
{
    blanks(s);
    if (!eat(s, '"') || !string(s)) {
        return false;
    }
    blanks(s);
    return eat(s, ':');
}

/* A value that opens nothing. */
static bool plain(struct scan *s)
{
    if (eat(s, '"')) {
        return string(s);
    }
    return word(s, "true") || word(s, "false") || word(s, "null") || number(s);
}

/* Begins a value. *out_open: something was opened, another value follows. */
static bool begin(struct scan *s, struct open *o, bool *out_open)
{
    blanks(s);
    bool object = at(s, '{');
    *out_open = false;
    if (!object && !at(s, '[')) {
        return plain(s);
    }
    s->p++;
    blanks(s);
    if (eat(s, object ? '}' : ']')) {
        return true;
    }
    if (o->depth == FLV_TEXT_JSON_DEPTH_MAX) {
        return false;
    }
    o->object[o->depth++] = object;
    *out_open = true;
    return !object || key(s);
}

/* Behind a value: closes what ends there. *out_more: a value follows. */
static bool finish(struct scan *s, struct open *o, bool *out_more)
{
    *out_more = false;
    while (o->depth > 0) {
        bool object = o->object[o->depth - 1];
        blanks(s);
        if (eat(s, ',')) {
            *out_more = true;
            return !object || key(s);
        }
        if (!eat(s, object ? '}' : ']')) {
            return false;
        }
        o->depth--;
    }
    return true;
}

bool flv_text_is_json(struct flv_slice text)
{
    struct scan s = {.p = text.data, .end = text.data + text.len};
    struct open o = {.depth = 0};
    bool more = true;
    if (text.len == 0 || !flv_text_is_utf8(text)) {
        return false;
    }
    while (more) {
        if (!begin(&s, &o, &more)) {
            return false;
        }
        if (!more && !finish(&s, &o, &more)) {
            return false;
        }
    }
    blanks(&s);
    return s.p == s.end;
}
