/*
 * smartmodule_text.h - numbers and JSON for SmartModules in C.
 *
 * Purpose    Reads what a record's value says without making anything of it
 *            but slices: whole numbers, members of JSON objects, elements of
 *            arrays, texts of strings. Beside smartmodule.h; what reads no
 *            text needs it not.
 * Limits     JSON that is passed over is not checked as a whole: quotes and
 *            brackets have to be in pairs, brackets at most 64 deep.
 * Ownership  What is found borrows from the text, except where escapes had to
 *            go: that is the record's, as flv_alloc() has it.
 * Errors     FLV_JSON_BAD, or false; nothing is read past the text.
 * See        smartmodules/sum.c, json-field.c, json-array-split.c
 */
#ifndef FLUVIO_SMARTMODULE_TEXT_H
#define FLUVIO_SMARTMODULE_TEXT_H

#include <fluvio/smartmodule.h>

/* --- numbers ---------------------------------------------------------------
 */

/* Decimal, all of it, within 64 bits. */
static inline bool flv_parse_i64(struct flv_slice text, int64_t *out)
{
    bool minus = text.len > 0 && text.data[0] == '-';
    uint64_t most = (uint64_t)INT64_MAX + minus, v = 0;

    if (text.len == minus) {
        return false;
    }
    for (size_t i = minus; i < text.len; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';

        if (digit > 9 || v > (most - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *out = (int64_t)(minus ? 0 - v : v);
    return true;
}

static inline struct flv_slice flv_format_i64(int64_t number)
{
    const size_t size = 20; /* of the longest, with its sign */
    uint8_t *p = (uint8_t *)flv_alloc(size);
    uint64_t v = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    size_t i = size;

    do {
        p[--i] = (uint8_t)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    if (number < 0) {
        p[--i] = '-';
    }
    return flv_bytes(p + i, size - i);
}

/* --- JSON ------------------------------------------------------------------
 */

enum flv_json {
    FLV_JSON_BAD = -1, /* no JSON, or no object or array where there has to
                          be one */
    FLV_JSON_NONE = 0,
    FLV_JSON_FOUND = 1,
};

FLV__INLINE const uint8_t *flv__json_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) {
        p++;
    }
    return p;
}

/* p is behind the opening quote; gives the closing one, or NULL. */
static inline const uint8_t *flv__json_quote(const uint8_t *p,
                                             const uint8_t *end)
{
    const uint64_t each = 0x0101010101010101U;

    for (;;) {
        while ((size_t)(end - p) >= 8) {
            uint64_t w = flv__word(p);

            if ((flv__zeros(w ^ each * '"') | flv__zeros(w ^ each * '\\')) !=
                0) {
                break;
            }
            p += 8;
        }
        while (p < end && *p != '"' && *p != '\\') {
            p++;
        }
        if (p >= end || *p == '"') {
            return p < end ? p : NULL;
        }
        if (end - p < 2) {
            return NULL;
        }
        p += 2;
    }
}

FLV__INLINE bool flv__json_scalar(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           byte == '-' || byte == '+' || byte == '.' || byte == 'E';
}

/* p is at an opening bracket; gives what is behind the closing one, or
 * NULL. */
static inline const uint8_t *flv__json_nested(const uint8_t *p,
                                              const uint8_t *end)
{
    uint64_t objects = 0; /* one bit for each level: is it an object? */
    unsigned depth = 0;

    for (; p < end; p++) {
        if (*p == '"') {
            p = flv__json_quote(p + 1, end);
            if (p == NULL) {
                return NULL;
            }
        } else if (*p == '{' || *p == '[') {
            if (depth == 64) {
                return NULL;
            }
            objects = objects << 1 | (*p == '{');
            depth++;
        } else if (*p == '}' || *p == ']') {
            if ((objects & 1) != (*p == '}')) {
                return NULL;
            }
            objects >>= 1;
            if (--depth == 0) {
                return p + 1;
            }
        }
    }
    return NULL;
}

/* Gives what is behind the value at p, or NULL. */
static inline const uint8_t *flv__json_value(const uint8_t *p,
                                             const uint8_t *end)
{
    const uint8_t *start = p;

    if (p >= end) {
        return NULL;
    }
    if (*p == '"') {
        p = flv__json_quote(p + 1, end);
        return p != NULL ? p + 1 : NULL;
    }
    if (*p == '{' || *p == '[') {
        return flv__json_nested(p, end);
    }
    while (p < end && flv__json_scalar(*p)) {
        p++;
    }
    return p > start ? p : NULL;
}

/* Goes through the members of an object or the elements of an array. */
struct flv_json_items {
    const uint8_t *p, *end;
    uint8_t closing;
    bool first;
};

/* FOUND, or BAD when the text is neither an object nor an array. */
static inline enum flv_json flv_json_open(struct flv_slice json,
                                          struct flv_json_items *items)
{
    items->end = json.data + json.len;
    items->p = flv__json_space(json.data, items->end);
    items->first = true;
    if (items->p >= items->end || (*items->p != '{' && *items->p != '[')) {
        return FLV_JSON_BAD;
    }
    items->closing = *items->p == '{' ? '}' : ']';
    items->p++;
    return FLV_JSON_FOUND;
}

/* To the next one's first byte; NONE behind the last, with nothing but space
 * behind the bracket. */
static inline enum flv_json flv__json_step(struct flv_json_items *items)
{
    const uint8_t *p = flv__json_space(items->p, items->end);

    if (p < items->end && *p == items->closing) {
        p = flv__json_space(p + 1, items->end);
        items->p = p;
        return p == items->end ? FLV_JSON_NONE : FLV_JSON_BAD;
    }
    if (!items->first) {
        if (p >= items->end || *p != ',') {
            return FLV_JSON_BAD;
        }
        p = flv__json_space(p + 1, items->end);
    }
    items->first = false;
    items->p = p;
    return FLV_JSON_FOUND;
}

/* name (NULL in an array): without quotes, escapes as they are. value: as it
 * is in the text, a string with its quotes. */
static inline enum flv_json flv_json_next(struct flv_json_items *items,
                                          struct flv_slice *name,
                                          struct flv_slice *value)
{
    enum flv_json rc = flv__json_step(items);
    const uint8_t *p = items->p, *end = items->end, *stop;

    if (rc != FLV_JSON_FOUND) {
        return rc;
    }
    if (items->closing == '}') {
        if (p >= end || *p != '"' ||
            (stop = flv__json_quote(p + 1, end)) == NULL) {
            return FLV_JSON_BAD;
        }
        if (name != NULL) {
            *name = flv_bytes(p + 1, (size_t)(stop - p - 1));
        }
        p = flv__json_space(stop + 1, end);
        if (p >= end || *p != ':') {
            return FLV_JSON_BAD;
        }
        p = flv__json_space(p + 1, end);
    }
    stop = flv__json_value(p, end);
    if (stop == NULL) {
        return FLV_JSON_BAD;
    }
    *value = flv_bytes(p, (size_t)(stop - p));
    items->p = stop;
    return FLV_JSON_FOUND;
}

/* The first member of that name in an object, as flv_json_next() has it. */
static inline enum flv_json flv_json_field(struct flv_slice json,
                                           struct flv_slice name,
                                           struct flv_slice *value)
{
    struct flv_json_items items;
    struct flv_slice found;
    enum flv_json rc = flv_json_open(json, &items);

    if (rc != FLV_JSON_FOUND || items.closing != '}') {
        return FLV_JSON_BAD;
    }
    do {
        rc = flv_json_next(&items, &found, value);
    } while (rc == FLV_JSON_FOUND && !flv_equal(found, name));
    return rc;
}

/* Four hex digits, or -1. */
FLV__INLINE int32_t flv__json_hex(const uint8_t *p, const uint8_t *end)
{
    int32_t v = 0;

    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i], low = c | 0x20;

        if (c >= '0' && c <= '9') {
            v = v << 4 | (c - '0');
        } else if (low >= 'a' && low <= 'f') {
            v = v << 4 | (low - 'a' + 10);
        } else {
            return -1;
        }
    }
    return v;
}

FLV__INLINE uint8_t *flv__put_utf8(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (uint8_t)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (uint8_t)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *to++ = (uint8_t)(0xe0 | c >> 12);
        } else {
            *to++ = (uint8_t)(0xf0 | c >> 18);
            *to++ = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        }
        *to++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    }
    *to++ = (uint8_t)(0x80 | (c & 0x3f));
    return to;
}

/* One escape, *p behind the backslash; gives the character, or -1. */
static inline int32_t flv__json_escape(const uint8_t **p, const uint8_t *end)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    uint8_t byte = *p < end ? *(*p)++ : 0;
    int32_t high, low;

    for (size_t i = 0; i < sizeof(names) - 1; i++) {
        if (byte == (uint8_t)names[i]) {
            return means[i];
        }
    }
    high = byte == 'u' ? flv__json_hex(*p, end) : -1;
    if (high < 0) {
        return -1;
    }
    *p += 4;
    if (high < 0xd800 || high > 0xdfff) {
        return high;
    }
    if (high > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u') {
        return -1;
    }
    low = flv__json_hex(*p + 2, end);
    if (low < 0xdc00 || low > 0xdfff) {
        return -1;
    }
    *p += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* A value's text: a string loses its quotes and escapes, anything else stays
 * as it is. False: an escape that JSON does not know. */
static inline bool flv_json_text(struct flv_slice value, struct flv_slice *out)
{
    const uint8_t *p = value.data, *end = value.data + value.len;
    const struct flv_slice escape = {(const uint8_t *)"\\", 1};
    uint8_t *text, *to;

    if (value.len < 2 || p[0] != '"') {
        *out = value;
        return true;
    }
    p++;
    end--;
    if (!flv_contains(flv_bytes(p, (size_t)(end - p)), escape)) {
        *out = flv_bytes(p, (size_t)(end - p));
        return true;
    }
    /* No escape is shorter than the character that it stands for. */
    text = to = (uint8_t *)flv_alloc((size_t)(end - p));
    while (p < end) {
        int32_t c = *p++;

        if (c != '\\') {
            *to++ = (uint8_t)c;
            continue;
        }
        c = flv__json_escape(&p, end);
        if (c < 0) {
            return false;
        }
        to = flv__put_utf8(to, (uint32_t)c);
    }
    *out = flv_bytes(text, (size_t)(to - text));
    return true;
}

#endif
