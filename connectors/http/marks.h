/*
 * marks.h - which event id the far side may be told.
 *
 * Purpose    An id that is sent as Last-Event-ID says "everything up to here
 *            is safe". So it is kept beside the number of the last record that
 *            was made up to it, and becomes the durable one when that record
 *            is settled.
 * Bounds     At most HTTP_MARKS_MAX ids wait. When more come, the newest of
 *            them replaces the newest that waits: the durable one then moves
 *            in larger steps, never too far.
 * Threads    Loop thread only; no I/O.
 * Ownership  Owns its texts.
 * Errors     Without memory an id is passed over: the one before it is durable
 *            for longer.
 * See        tests/unit/connector/test_http_sse.c
 */
#ifndef FLV_CONNECTORS_HTTP_MARKS_H
#define FLV_CONNECTORS_HTTP_MARKS_H

#include "base/bytes.h"

#define HTTP_MARKS_MAX 1024

struct http_mark {
    uint64_t number;
    char *id; /* owned */
};

struct http_marks {
    struct http_mark ring[HTTP_MARKS_MAX];
    size_t head, count;
    uint64_t settled;
    char *durable; /* owned; NULL: none is known, "": it was taken back */
};

void http_marks_deinit(struct http_marks *m);
/* Every record up to `number` was made of events up to `id`. */
void http_marks_add(struct http_marks *m, uint64_t number, struct flv_slice id);
/* Every record up to `upto` is settled. True: `durable` is another one. */
bool http_marks_settled(struct http_marks *m, uint64_t upto);

#endif
