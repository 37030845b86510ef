/*
 * cut.h - a stream of bytes, cut into records at a delimiter.
 *
 * Purpose    Finds whole records in a feed, however the bytes were split on
 *            their way. The delimiter is no part of a record.
 * Bounds     A record above the ceiling is told once, as soon as it is known
 *            to be one, and passed over up to its delimiter without being kept.
 * Threads    Loop thread only; no I/O.
 * Ownership  Owns its buffer; a record borrows from it until the next call.
 * Errors     FLV_E_USAGE for a delimiter that cannot be read.
 * See        tests/unit/connector/test_http_cut.c, tests/fuzz/fuzz_http_cut.c
 */
#ifndef FLV_CONNECTORS_HTTP_CUT_H
#define FLV_CONNECTORS_HTTP_CUT_H

#include "feed.h"

#define HTTP_DELIMITER_MAX 64

struct http_delimiter {
    uint8_t bytes[HTTP_DELIMITER_MAX];
    size_t len; /* at least 1 */
};

/* As people write it: \n, \r, \t, \0, \\ and \xHH stand for bytes, all else
 * for itself. */
FLV_CHECKED flv_rc http_delimiter_read(const char *text,
                                       struct http_delimiter *out,
                                       struct flv_err *err);

struct http_cut {
    struct http_feed feed;
    struct http_delimiter delimiter;
    size_t record_max;
    bool passing_over; /* an oversized record, up to its delimiter */
};

void http_cut_init(struct http_cut *c,
                   const struct http_delimiter *delimiter,
                   size_t record_max);
void http_cut_deinit(struct http_cut *c);
/* A new stream begins; what is left of the last one is forgotten. */
void http_cut_reset(struct http_cut *c);

enum http_piece http_cut_next(struct http_cut *c, struct flv_slice *out);
/* What stands behind the last delimiter, once http_cut_next() has no more and
 * nothing more will come; the feed is empty then. */
enum http_piece http_cut_tail(struct http_cut *c, struct flv_slice *out);

#endif
