/*
 * place.h - the id of the last safe event, kept in a file.
 *
 * Purpose    A connector that starts again asks for what came behind the last
 *            event that is safe in the topic, also after a kill. The file is
 *            written beside, synced and renamed: it is the old one or the new
 *            one, and never names an event that is not safe.
 *
 *                fluvio-http-position 1
 *                https://stream.example/changes     (without user and query)
 *                42                                  (empty: none is known any
 *                                                     more, ask for no other)
 *
 * Bounds     At most one write is under way, and one a second begins; the
 *            file has at most HTTP_PLACE_BYTES_MAX bytes.
 * Threads    Loop thread; files are written on a thread of its own. Opening
 *            blocks on the file: at start-up. Closing waits for the last write.
 * Ownership  open/close.
 * Errors     FLV_E_INVALID: the file is none of ours; FLV_E_IO. A write that
 *            fails is logged and tried again with the next id.
 * See        README.md, tests/unit/connector/test_http_place.c
 */
#ifndef FLV_CONNECTORS_HTTP_PLACE_H
#define FLV_CONNECTORS_HTTP_PLACE_H

#include "base/bytes.h"

#define HTTP_PLACE_BYTES_MAX 4096

struct flv_loop;
struct http_place;

/* `endpoint` as it is shown, by which queries and long paths are not told
 * apart: an id of another one is not used. *out_id is that of the file, ""
 * where the far side took it back, NULL if there is none; for flv_free(). */
FLV_CHECKED flv_rc http_place_open(struct http_place **out,
                                   struct flv_loop *loop,
                                   const char *path,
                                   const char *endpoint,
                                   char **out_id,
                                   struct flv_err *err);
/* This one is safe now; "": the far side took back what it gave. */
void http_place_keep(struct http_place *p, const char *id);
/* Writes what is not written yet (blocks). NULL is allowed. */
void http_place_close(struct http_place *p);

#endif
