#include "cut.h"

#include "base/text.h"

#include <assert.h>
#include <string.h>

/* --- the delimiter as text ----------------------------------------------- */

/* The byte that an escape stands for, which begins behind the backslash; -1:
 * none. */
static int escape(const char *text, size_t *out_len)
{
    static const char letters[] = "nrt0\\";
    static const char bytes[] = "\n\r\t\0\\";
    *out_len = 1;
    if (*text == 'x') {
        int hi = flv_text_hex_digit(text[1]);
        int lo = hi >= 0 ? flv_text_hex_digit(text[2]) : -1;
        *out_len = 3;
        return lo >= 0 ? hi * 16 + lo : -1;
    }
    const char *at = *text != '\0' ? strchr(letters, *text) : NULL;
    return at != NULL ? bytes[at - letters] : -1;
}

flv_rc http_delimiter_read(const char *text,
                           struct http_delimiter *out,
                           struct flv_err *err)
{
    struct http_delimiter d = {.len = 0};
    while (*text != '\0') {
        size_t len = 1;
        int byte = (unsigned char)*text;
        if (*text == '\\') {
            text++;
            byte = escape(text, &len);
        }
        if (byte < 0) {
            return flv_fail(err, FLV_E_USAGE,
                            "delimiter: \"\\%.3s\" stands for no byte; write "
                            "\\n, \\r, \\t, \\0, \\\\ or \\xHH",
                            text);
        }
        if (d.len == HTTP_DELIMITER_MAX) {
            return flv_fail(err, FLV_E_USAGE,
                            "delimiter: it is longer than %d bytes",
                            HTTP_DELIMITER_MAX);
        }
        d.bytes[d.len++] = (uint8_t)byte;
        text += len;
    }
    if (d.len == 0) {
        return flv_fail(err, FLV_E_USAGE,
                        "delimiter: it is empty; write for example \\n");
    }
    *out = d;
    return FLV_OK;
}

/* --- cutting ------------------------------------------------------------- */

void http_cut_init(struct http_cut *c,
                   const struct http_delimiter *delimiter,
                   size_t record_max)
{
    assert(delimiter->len > 0 && record_max > 0);
    c->delimiter = *delimiter;
    c->record_max = record_max;
    c->passing_over = false;
    http_feed_init(&c->feed, record_max + delimiter->len);
}

void http_cut_deinit(struct http_cut *c)
{
    http_feed_deinit(&c->feed);
}

void http_cut_reset(struct http_cut *c)
{
    c->passing_over = false;
    http_feed_reset(&c->feed);
}

/* No end was found: all is looked at but what may be the delimiter's first
 * bytes. */
static enum http_piece wait_for_more(struct http_cut *c)
{
    struct http_feed *f = &c->feed;
    size_t held = c->delimiter.len - 1;
    size_t there = f->buf.len - f->scan;
    f->scan = there > held ? f->buf.len - held : f->scan;
    bool oversized = !c->passing_over && f->scan - f->pos > c->record_max;
    c->passing_over = c->passing_over || oversized;
    if (c->passing_over) {
        f->pos = f->scan;
    }
    return oversized ? HTTP_PIECE_OVERSIZED : HTTP_PIECE_NONE;
}

enum http_piece http_cut_next(struct http_cut *c, struct flv_slice *out)
{
    struct http_feed *f = &c->feed;
    const struct http_delimiter *d = &c->delimiter;
    for (;;) {
        const uint8_t *from = f->buf.data + f->scan;
        const uint8_t *end =
            f->buf.len > f->scan
                ? memmem(from, f->buf.len - f->scan, d->bytes, d->len)
                : NULL;
        if (end == NULL) {
            return wait_for_more(c);
        }
        *out = flv_slice(f->buf.data + f->pos,
                         (size_t)(end - f->buf.data) - f->pos);
        f->pos = f->scan = (size_t)(end - f->buf.data) + d->len;
        if (!c->passing_over) {
            return out->len <= c->record_max ? HTTP_PIECE_RECORD
                                             : HTTP_PIECE_OVERSIZED;
        }
        c->passing_over = false; /* was told when it became one */
    }
}

enum http_piece http_cut_tail(struct http_cut *c, struct flv_slice *out)
{
    struct http_feed *f = &c->feed;
    *out = flv_slice(f->buf.len > 0 ? f->buf.data + f->pos : NULL,
                     f->buf.len - f->pos);
    f->pos = f->scan = f->buf.len;
    if (c->passing_over || out->len == 0) {
        return HTTP_PIECE_NONE;
    }
    return out->len <= c->record_max ? HTTP_PIECE_RECORD : HTTP_PIECE_OVERSIZED;
}
