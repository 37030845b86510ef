/* UTF-8, JSON strings, hex and base 64 of text.h. */
#include "base/text.h"

#include <assert.h>
#include <string.h>

/* Bytes of the valid sequence at p, of n > 0 bytes; 0 when it is not one. */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
    uint8_t low = 0x80, high = 0xbf; /* range of the second byte */
    size_t len;

    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    switch (p[0]) {
    case 0xe0:
        low = 0xa0; /* overlong below */
        break;
    case 0xed:
        high = 0x9f; /* surrogates above */
        break;
    case 0xf0:
        low = 0x90; /* overlong below */
        break;
    case 0xf4:
        high = 0x8f; /* past U+10FFFF above */
        break;
    default:
        break;
    }
    if (n < len || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

size_t flv_text_utf8_prefix(struct flv_slice s)
{
    size_t pos = 0;

    while (pos < s.len) {
        uint64_t word;
        size_t n;

        /* Most text is ASCII: eight bytes at a time. */
        if (s.len - pos >= sizeof(word)) {
            memcpy(&word, s.data + pos, sizeof(word));
            if ((word & 0x8080808080808080U) == 0) {
                pos += sizeof(word);
                continue;
            }
        }
        n = utf8_sequence(s.data + pos, s.len - pos);
        if (n == 0) {
            break;
        }
        pos += n;
    }
    return pos;
}

bool flv_text_is_utf8(struct flv_slice s)
{
    return flv_text_utf8_prefix(s) == s.len;
}

/* Bytes of the control character at p, of n > 0 bytes; 0 when it is none. */
static size_t control(const uint8_t *p, size_t n)
{
    if (p[0] < 0x20 || p[0] == 0x7f) {
        return 1;
    }
    return n >= 2 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

void flv_text_tidy(void *text, size_t len)
{
    uint8_t *p = text;

    for (size_t i = 0; i < len; i++) {
        const size_t n = control(p + i, len - i);

        if (n > 0) {
            memset(p + i, ' ', n);
        }
    }
}

bool flv_text_is_tidy(struct flv_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (control(s.data + i, s.len - i) > 0) {
            return false;
        }
    }
    return true;
}

size_t flv_text_put_utf8(uint32_t c, uint8_t out[FLV_TEXT_UTF8_MAX])
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    assert(c <= 0x10ffff);
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (uint8_t)(lead[n] | c);
    return n;
}

/* -1: no four hex digits. */
static int32_t four_hex(struct flv_slice s)
{
    int32_t v = 0;

    for (size_t i = 0; i < 4; i++) {
        const int digit = i < s.len ? flv_text_hex_digit((char)s.data[i]) : -1;

        if (digit < 0) {
            return -1;
        }
        v = v << 4 | digit;
    }
    return v;
}

size_t flv_text_json_u(struct flv_slice s, uint32_t *out)
{
    const int32_t high = four_hex(s);
    int32_t low = -1;

    if (high < 0) {
        return 0;
    }
    if (high >= 0xd800 && high < 0xdc00 && s.len >= 10 && s.data[4] == '\\' &&
        s.data[5] == 'u') {
        low = four_hex(flv_slice(s.data + 6, s.len - 6));
    }
    if (low < 0xdc00 || low >= 0xe000) {
        *out = (uint32_t)high;
        return 4;
    }
    *out =
        0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return 10;
}

static flv_rc add_escape(struct flv_buf *b, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    const char *hit = c != 0 ? strchr(from, c) : NULL;
    char text[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};

    if (hit != NULL) {
        text[1] = to[hit - from];
    }
    return flv_buf_add(b, text, hit != NULL ? 2 : sizeof(text));
}

/* Bytes of the character at p that may stand as it is; 0: it may not. */
static size_t plain(const uint8_t *p, size_t n)
{
    if (p[0] >= 0x20 && p[0] < 0x7f) {
        return p[0] != '"' && p[0] != '\\';
    }
    return p[0] > 0x7f && control(p, n) == 0 ? utf8_sequence(p, n) : 0;
}

/* The character at p, which may not; returns the bytes of it. */
static size_t
add_strange(struct flv_buf *b, const uint8_t *p, size_t n, flv_rc *rc)
{
    const size_t taken = control(p, n);

    if (p[0] >= 0x80 && taken == 0) {
        *rc = flv_buf_add(b, "\xef\xbf\xbd", 3);
        return 1;
    }
    *rc = add_escape(b, p[taken == 2]);
    return taken == 2 ? 2 : 1;
}

static flv_rc add_escaped(struct flv_buf *b, struct flv_slice s)
{
    flv_rc rc = FLV_OK;
    size_t pos = 0;

    while (pos < s.len && rc == FLV_OK) {
        size_t run = pos, n = 1;

        while (run < s.len && n > 0) {
            n = plain(s.data + run, s.len - run);
            run += n;
        }
        rc = flv_buf_add(b, s.data + pos, run - pos);
        pos = run;
        if (rc == FLV_OK && pos < s.len) {
            pos += add_strange(b, s.data + pos, s.len - pos, &rc);
        }
    }
    return rc;
}

flv_rc flv_text_json(struct flv_buf *b, struct flv_slice s)
{
    size_t before = b->len;
    flv_rc rc = flv_buf_add(b, "\"", 1);

    if (rc == FLV_OK) {
        rc = add_escaped(b, s);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add(b, "\"", 1);
    }
    if (rc != FLV_OK) {
        b->len = before;
    }
    return rc;
}

flv_rc flv_text_json_str(struct flv_buf *b, const char *text)
{
    return flv_text_json(b, flv_slice_str(text));
}

flv_rc flv_text_hex(struct flv_buf *b, struct flv_slice s)
{
    static const char digits[] = "0123456789abcdef";
    flv_rc rc =
        s.len <= SIZE_MAX / 2 ? flv_buf_reserve(b, s.len * 2) : FLV_E_LIMIT;

    for (size_t i = 0; i < s.len && rc == FLV_OK; i++) {
        b->data[b->len++] = (uint8_t)digits[s.data[i] >> 4];
        b->data[b->len++] = (uint8_t)digits[s.data[i] & 15];
    }
    return rc;
}

int flv_text_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool flv_text_unpercent(const char *from, size_t len, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = from[i];

        if (c == '%') {
            int high = i + 1 < len ? flv_text_hex_digit(from[i + 1]) : -1;
            int low = i + 2 < len ? flv_text_hex_digit(from[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || n + 1 >= size) {
            return false;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

flv_rc flv_text_unhex(struct flv_buf *b, const char *text, struct flv_err *err)
{
    size_t len = strlen(text), before = b->len;
    flv_rc rc;

    if (len % 2 != 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "hex text has %zu digits, an odd number", len);
    }
    rc = flv_buf_reserve(b, len / 2);
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "no room for %zu bytes of hex text", len / 2);
    }
    for (size_t i = 0; i < len; i += 2) {
        int high = flv_text_hex_digit(text[i]),
            low = flv_text_hex_digit(text[i + 1]);

        if (high < 0 || low < 0) {
            b->len = before;
            return flv_fail(err, FLV_E_INVALID,
                            "hex text has another character at position %zu",
                            high < 0 ? i + 1 : i + 2);
        }
        b->data[b->len++] = (uint8_t)(high << 4 | low);
    }
    return FLV_OK;
}

flv_rc flv_text_base64(struct flv_buf *b, struct flv_slice s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    flv_rc rc = s.len <= SIZE_MAX / 2 ? flv_buf_reserve(b, (s.len + 2) / 3 * 4)
                                      : FLV_E_LIMIT;

    for (size_t i = 0; i < s.len && rc == FLV_OK; i += 3) {
        size_t n = s.len - i < 3 ? s.len - i : 3;
        uint32_t v = (uint32_t)s.data[i] << 16;

        v |= n > 1 ? (uint32_t)s.data[i + 1] << 8 : 0;
        v |= n > 2 ? (uint32_t)s.data[i + 2] : 0;
        for (size_t k = 0; k < 4; k++) {
            b->data[b->len++] =
                (uint8_t)(k <= n ? digits[v >> (18 - 6 * k) & 63] : '=');
        }
    }
    return rc;
}

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits, the last `pad` of them '='; -1: they are none, or leave bits. */
static int32_t base64_group(const uint8_t *p, size_t pad)
{
    int32_t v = 0;

    for (size_t k = 0; k < 4; k++) {
        int digit = k < 4 - pad ? base64_digit(p[k]) : 0;

        if (digit < 0 || (k >= 4 - pad && p[k] != '=')) {
            return -1;
        }
        v = v << 6 | digit;
    }
    return (v & ((1 << 8 * pad) - 1)) == 0 ? v : -1;
}

flv_rc
flv_text_unbase64(struct flv_buf *b, struct flv_slice text, struct flv_err *err)
{
    const size_t before = b->len;
    flv_rc rc;

    if (text.len % 4 != 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "base 64 text of %zu characters, not a multiple of 4",
                        text.len);
    }
    rc = flv_buf_reserve(b, text.len / 4 * 3);
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "no room for %zu bytes of base 64",
                        text.len / 4 * 3);
    }
    for (size_t i = 0; i < text.len; i += 4) {
        const uint8_t *p = text.data + i;
        const bool last = i + 4 == text.len;
        const size_t pad = !last || p[3] != '=' ? 0 : p[2] != '=' ? 1 : 2;
        const int32_t v = base64_group(p, pad);

        if (v < 0) {
            b->len = before;
            return flv_fail(err, FLV_E_INVALID,
                            "no base 64 at position %zu of the text", i + 1);
        }
        for (size_t k = 0; k < 3 - pad; k++) {
            b->data[b->len++] = (uint8_t)(v >> (16 - 8 * k) & 255);
        }
    }
    return FLV_OK;
}
