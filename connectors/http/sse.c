#include "sse.h"

#include <assert.h>
#include <string.h>

/* "event: " and its like, in front of a value. */
#define FIELD_MAX 16
#define WINDOW ((size_t)512)

static const uint8_t mark[3] = {0xef, 0xbb, 0xbf};

void http_sse_init(struct http_sse *s, size_t data_max)
{
    assert(data_max > 0);
    *s = (struct http_sse){.data_max = data_max, .retry_ms = HTTP_SSE_NO_RETRY};
    http_feed_init(&s->feed, data_max + FIELD_MAX);
    flv_buf_init(&s->data, data_max + 1);
    flv_buf_init(&s->type, HTTP_SSE_TYPE_MAX);
    flv_buf_init(&s->named, HTTP_SSE_ID_MAX);
    flv_buf_init(&s->id, HTTP_SSE_ID_MAX);
}

void http_sse_deinit(struct http_sse *s)
{
    http_feed_deinit(&s->feed);
    flv_buf_deinit(&s->data);
    flv_buf_deinit(&s->type);
    flv_buf_deinit(&s->named);
    flv_buf_deinit(&s->id);
}

static void forget_event(struct http_sse *s)
{
    flv_buf_reset(&s->data);
    flv_buf_reset(&s->type);
    s->oversized = false;
    s->given = false;
}

static flv_rc copy(struct flv_buf *to, struct flv_slice from)
{
    flv_buf_reset(to);
    return from.len > 0 ? flv_buf_add(to, from.data, from.len) : FLV_OK;
}

flv_rc http_sse_begin(struct http_sse *s, struct flv_slice id)
{
    flv_rc rc = copy(&s->named, id);
    return rc == FLV_OK ? copy(&s->id, id) : rc;
}

void http_sse_reset(struct http_sse *s)
{
    http_feed_reset(&s->feed);
    forget_event(s);
    s->begun = s->after_cr = s->skip_line = false;
    /* An id whose event never ended is not the stream's; this fits. */
    (void)copy(&s->named, flv_buf_slice(&s->id));
}

/* --- lines --------------------------------------------------------------- */

/* What is no part of a line; false: that cannot be known yet. */
static bool skip_between(struct http_sse *s)
{
    struct http_feed *f = &s->feed;
    size_t there = f->buf.len - f->pos;
    if (!s->begun) {
        size_t n = there < sizeof(mark) ? there : sizeof(mark);
        bool may_be = n == 0 || memcmp(f->buf.data + f->pos, mark, n) == 0;
        if (may_be && n < sizeof(mark)) {
            return false;
        }
        f->pos += may_be ? sizeof(mark) : 0;
        f->scan = f->pos;
        s->begun = true;
    }
    if (s->after_cr && f->pos < f->buf.len) {
        s->after_cr = false;
        f->pos += f->buf.data[f->pos] == '\n';
        f->scan = f->pos;
    }
    return true;
}

/* In windows, so that a stream whose lines end in CR is not searched to its
 * end for a LF with each line. */
static const uint8_t *line_end(const struct http_feed *f)
{
    size_t at = f->scan;
    while (at < f->buf.len) {
        const uint8_t *from = f->buf.data + at;
        size_t left = f->buf.len - at;
        size_t len = left < WINDOW ? left : WINDOW;
        const uint8_t *lf = memchr(from, '\n', len);
        const uint8_t *cr =
            memchr(from, '\r', lf != NULL ? (size_t)(lf - from) : len);
        if (cr != NULL || lf != NULL) {
            return cr != NULL ? cr : lf;
        }
        at += len;
    }
    return NULL;
}

/* The line from pos is longer than any may be. True: its event is told. */
static bool too_long(struct http_sse *s)
{
    bool comment = s->feed.buf.data[s->feed.pos] == ':';
    bool told = !comment && !s->oversized;
    s->oversized = s->oversized || !comment;
    return told;
}

/* --- fields -------------------------------------------------------------- */

static bool is(struct flv_slice s, const char *text)
{
    return flv_slice_eq_str(s, text);
}

/* Digits only; what else there is, the standard ignores. */
static void take_retry(struct http_sse *s, struct flv_slice value)
{
    uint64_t ms = 0;
    if (value.len == 0 || value.len > 12) {
        return;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            return;
        }
        ms = ms * 10 + (value.data[i] - '0');
    }
    s->retry_ms = ms;
}

static flv_rc take_data(struct http_sse *s, struct flv_slice value)
{
    flv_rc rc = FLV_OK;
    if (value.len > s->data_max - s->data.len) {
        return FLV_E_LIMIT;
    }
    if (value.len > 0) {
        rc = flv_buf_add(&s->data, value.data, value.len);
    }
    return rc == FLV_OK ? flv_buf_add_u8(&s->data, '\n') : rc;
}

static flv_rc take_field(struct http_sse *s, struct flv_slice line)
{
    const uint8_t *colon = memchr(line.data, ':', line.len);
    size_t len = colon != NULL ? (size_t)(colon - line.data) : line.len;
    struct flv_slice name = flv_slice(line.data, len);
    struct flv_slice value = flv_slice(NULL, 0);
    if (colon != NULL) {
        size_t blank = len + 1 < line.len && colon[1] == ' ';
        value = flv_slice(colon + 1 + blank, line.len - len - 1 - blank);
    }
    if (is(name, "data")) {
        return s->oversized ? FLV_OK : take_data(s, value);
    }
    if (is(name, "event")) {
        return copy(&s->type, value);
    }
    if (is(name, "id") && value.len <= HTTP_SSE_ID_MAX &&
        (value.len == 0 || memchr(value.data, '\0', value.len) == NULL)) {
        return copy(&s->named, value);
    }
    if (is(name, "retry")) {
        take_retry(s, value);
    }
    return FLV_OK;
}

/* An empty line: true, the event is to be returned. */
static bool end_event(struct http_sse *s, struct http_event *out, flv_rc *rc)
{
    *rc = copy(&s->id, flv_buf_slice(&s->named));
    if (*rc != FLV_OK || s->oversized || s->data.len == 0) {
        forget_event(s);
        return false;
    }
    out->data = flv_slice(s->data.data, s->data.len - 1);
    out->type =
        s->type.len > 0 ? flv_buf_slice(&s->type) : flv_slice_str("message");
    s->given = true;
    return true;
}

/* --- events -------------------------------------------------------------- */

/* A whole line, at pos. NONE: read on. */
static enum http_piece take_line(struct http_sse *s,
                                 struct flv_slice line,
                                 struct http_event *out,
                                 flv_rc *rc)
{
    if (s->skip_line) {
        s->skip_line = false;
        return HTTP_PIECE_NONE;
    }
    if (line.len > s->data_max + FIELD_MAX) {
        return too_long(s) ? HTTP_PIECE_OVERSIZED : HTTP_PIECE_NONE;
    }
    if (line.len == 0) {
        return end_event(s, out, rc) ? HTTP_PIECE_RECORD : HTTP_PIECE_NONE;
    }
    *rc = line.data[0] == ':' ? FLV_OK : take_field(s, line);
    if (*rc != FLV_E_LIMIT) {
        return HTTP_PIECE_NONE;
    }
    *rc = FLV_OK;
    bool told = !s->oversized;
    s->oversized = true;
    return told ? HTTP_PIECE_OVERSIZED : HTTP_PIECE_NONE;
}

/* No end of the line is there yet. */
static enum http_piece wait_for_more(struct http_sse *s)
{
    struct http_feed *f = &s->feed;
    f->scan = f->buf.len;
    bool told = false;
    if (!s->skip_line && f->scan - f->pos > s->data_max + FIELD_MAX) {
        told = too_long(s);
        s->skip_line = true;
    }
    if (s->skip_line) {
        f->pos = f->scan;
    }
    return told ? HTTP_PIECE_OVERSIZED : HTTP_PIECE_NONE;
}

enum http_piece
http_sse_next(struct http_sse *s, struct http_event *out, flv_rc *out_rc)
{
    struct http_feed *f = &s->feed;
    *out_rc = FLV_OK;
    if (s->given) {
        forget_event(s);
    }
    while (skip_between(s)) {
        const uint8_t *end = line_end(f);
        if (end == NULL) {
            return wait_for_more(s);
        }
        struct flv_slice line = flv_slice(f->buf.data + f->pos,
                                          (size_t)(end - f->buf.data) - f->pos);
        s->after_cr = *end == '\r';
        enum http_piece piece = take_line(s, line, out, out_rc);
        f->pos = f->scan = (size_t)(end - f->buf.data) + 1;
        if (piece != HTTP_PIECE_NONE || *out_rc != FLV_OK) {
            return piece;
        }
    }
    return HTTP_PIECE_NONE;
}
