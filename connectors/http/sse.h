/*
 * sse.h - server-sent events, as the HTML standard has them (9.2.6).
 *
 * Purpose    Finds whole events in a feed, however the bytes were split on
 *            their way: lines that end in LF, CR or CRLF, a byte order mark,
 *            comments, the fields data, event, id and retry. What is not ended
 *            by an empty line is no event.
 * Bounds     An event whose data, or one line of it, is above the ceiling is
 *            told once, as soon as it is known, and passed over. So is one
 *            with a type above HTTP_SSE_TYPE_MAX. An id above HTTP_SSE_ID_MAX,
 *            or with a NUL in it, is ignored: the one before it stays.
 * Threads    Loop thread only; no I/O.
 * Ownership  Owns its buffers; an event borrows from them until the next call.
 * Errors     out_rc of http_sse_next(): FLV_E_NOMEM.
 * See        tests/unit/connector/test_http_sse.c, tests/fuzz/fuzz_http_sse.c
 */
#ifndef FLV_CONNECTORS_HTTP_SSE_H
#define FLV_CONNECTORS_HTTP_SSE_H

#include "feed.h"

#define HTTP_SSE_TYPE_MAX 1024
#define HTTP_SSE_ID_MAX 1024
#define HTTP_SSE_NO_RETRY UINT64_MAX

struct http_event {
    struct flv_slice data, type; /* type: "message" where none was given */
};

struct http_sse {
    struct http_feed feed;
    size_t data_max;
    struct flv_buf data;  /* of the event so far, a LF behind each line */
    struct flv_buf type;  /* the same */
    struct flv_buf named; /* the last id field, valid from its event's end on */
    /* Read by the caller: id of the last event that was whole (also of those
     * without data, or passed over); it stays until another is given. */
    struct flv_buf id;
    uint64_t retry_ms; /* of the last retry field, or HTTP_SSE_NO_RETRY */
    bool begun;        /* the byte order mark was looked for */
    bool after_cr;     /* a LF that comes next belongs to it */
    bool skip_line;    /* its begin is gone already */
    bool oversized;    /* the event; it was told */
    bool given;        /* the event in data was returned */
};

void http_sse_init(struct http_sse *s, size_t data_max);
void http_sse_deinit(struct http_sse *s);
/* The id that the first stream begins with. FLV_E_LIMIT, FLV_E_NOMEM: then it
 * has none. */
FLV_CHECKED flv_rc http_sse_begin(struct http_sse *s, struct flv_slice id);
/* A new stream begins: what was no whole event yet is forgotten, the id stays.
 */
void http_sse_reset(struct http_sse *s);

enum http_piece
http_sse_next(struct http_sse *s, struct http_event *out, flv_rc *out_rc);

#endif
