/*
 * watch.h - clients that follow the metadata.
 *
 * Purpose    A watch first gets every object, then each change. A client that
 *            does not read falls behind: instead of more changes it gets all
 *            objects anew once it reads again, so that memory stays bounded.
 *            SmartModules come as summaries, also to those who ask for their
 *            bytes: a list with the name gives those.
 * Threads    Loop thread only.
 * Ownership  A watch belongs to its peer and ends with it.
 * Errors     FLV_E_LIMIT: too many watches on one connection.
 * See        tests/unit/server/test_server.c
 */
#ifndef FLV_SERVER_WATCH_H
#define FLV_SERVER_WATCH_H

#include "server/formats.h"
#include "server/modules.h"
#include "server/peer.h"
#include "server/topics.h"

#include <fluvio/err.h>

#define FLV_WATCHES_PER_PEER_MAX 256

struct flv_watch {
    struct flv_peer *peer;               /* borrowed: the peer owns it */
    struct flv_wire_request_header head; /* version and correlation */
    enum flv_wire_object object;
    bool behind; /* owes the client all objects */
    LIST_ENTRY(flv_watch) of_peer;
    LIST_ENTRY(flv_watch) of_server;
};

/* Answers with the first frame and goes on from there. */
FLV_CHECKED flv_rc flv_watch_start(const struct flv_request *r,
                                   enum flv_wire_object object,
                                   struct flv_err *err);
void flv_watch_end_all(struct flv_peer *p);
/* The peer's socket took bytes: those behind may catch up. */
void flv_watch_catch_up(struct flv_peer *p);

/* To all watchers: the topic and its partitions from `first` on were made or
 * changed (deleted = false), or are gone. Partitions go first when deleted,
 * last when made. */
void flv_watch_topic(struct flv_server *s,
                     const struct flv_topic *t,
                     uint32_t first,
                     bool deleted);
/* To all watchers: the SmartModule was stored, or is gone. */
void flv_watch_module(struct flv_server *s,
                      const struct flv_module *m,
                      bool deleted);
/* To all watchers: the table format was stored, or is gone. */
void flv_watch_format(struct flv_server *s,
                      const struct flv_format *f,
                      bool deleted);
/* To all watchers of partitions: what changed since the last call. */
void flv_watch_partitions(struct flv_server *s);

#endif
