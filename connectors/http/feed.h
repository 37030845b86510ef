/*
 * feed.h - what came of a stream and was not made into records yet.
 *
 * Purpose    A bounded buffer between a socket that brings pieces of any size
 *            and a parser that wants whole ones. cut.h and sse.h parse it.
 *
 *              |  done with  |  looked at, no end found  |  not looked at |
 *              0            pos                        scan          buf.len
 *
 * Bounds     Takes no more while HTTP_FEED_AHEAD bytes wait to be looked at;
 *            a parser never lets [pos, scan) grow beyond its own ceiling.
 * Threads    Loop thread only; no I/O.
 * Ownership  Owns its memory.
 * Errors     FLV_E_LIMIT (a bug of the caller: http_feed_has_room said no) and
 *            FLV_E_NOMEM.
 */
#ifndef FLV_CONNECTORS_HTTP_FEED_H
#define FLV_CONNECTORS_HTTP_FEED_H

#include "base/bytes.h"

#define HTTP_FEED_AHEAD ((size_t)64 * 1024)
/* Most that one call may add. */
#define HTTP_FEED_PIECE ((size_t)64 * 1024)

struct http_feed {
    struct flv_buf buf; /* owned */
    size_t pos, scan;   /* pos <= scan <= buf.len */
};

/* What a parser found next. */
enum http_piece {
    HTTP_PIECE_NONE,   /* more has to come first */
    HTTP_PIECE_RECORD, /* whole; borrowed from the parser until its next call */
    HTTP_PIECE_OVERSIZED, /* larger than the ceiling: it is passed over */
};

/* kept_max: the parser's ceiling of what it has looked at. */
void http_feed_init(struct http_feed *f, size_t kept_max);
void http_feed_deinit(struct http_feed *f);
/* Forgets what is there; for a new stream. */
void http_feed_reset(struct http_feed *f);

static inline bool http_feed_has_room(const struct http_feed *f)
{
    return f->buf.len - f->scan < HTTP_FEED_AHEAD;
}

/* After http_feed_has_room(); at most HTTP_FEED_PIECE bytes. */
FLV_CHECKED flv_rc http_feed_add(struct http_feed *f, struct flv_slice bytes);

#endif
