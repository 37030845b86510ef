/*
 * lifecycle.h - topics come, grow and go, on disk first.
 *
 * Purpose    Orders the steps so that a crash between any two leaves either
 *            the old state or the new one:
 *                create, grow  folders and logs -> row in meta.db -> visible
 *                delete        row in meta.db gone -> invisible -> folders
 *            Folders without a row are swept at the next start. A change of
 *            meta.db that failed and may yet be found there leaves the topic
 *            in doubt: nothing is removed until that is settled.
 * Threads    Loop thread; disk work in the pools.
 * Ownership  Names and specs are copied. done runs once, possibly from inside
 *            the call, behind all watch updates.
 * Errors     done gets a Fluvio code (FLV_WIRE_NONE: success) and a sentence.
 * See        docs/durability.md, tests/unit/server/test_server.c,
 *            tests/unit/server/test_doubt.c
 */
#ifndef FLV_SERVER_LIFECYCLE_H
#define FLV_SERVER_LIFECYCLE_H

#include "server/topics.h"

#include <fluvio/err.h>

struct flv_server;

typedef void (*flv_topic_done_fn)(void *ctx, int16_t code, const char *why);

/* The caller has checked name and spec. */
void flv_lifecycle_create(struct flv_server *s,
                          struct flv_slice name,
                          const struct flv_wire_topic_spec *spec,
                          enum flv_durability durability,
                          flv_topic_done_fn done,
                          void *ctx);
/* `more` further partitions for a computed topic. */
void flv_lifecycle_grow(struct flv_server *s,
                        struct flv_topic *t,
                        uint32_t more,
                        flv_topic_done_fn done,
                        void *ctx);
void flv_lifecycle_delete(struct flv_server *s,
                          struct flv_topic *t,
                          flv_topic_done_fn done,
                          void *ctx);

/* Every second: tries to settle what is in doubt. */
void flv_lifecycle_settle(struct flv_server *s);

/* Start: reads meta.db, opens every log, makes the system topic, sweeps
 * folders that no row knows. Blocks. Partitions that cannot be opened are
 * offline and logged; errors: meta.db unreadable or made anew beside folders
 * of topics, no memory. */
FLV_CHECKED flv_rc flv_lifecycle_load(struct flv_server *s,
                                      struct flv_err *err);
/* Stop: closes every log in good order; done runs behind the last one. */
void flv_lifecycle_close_all(struct flv_server *s);

#endif
