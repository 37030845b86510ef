/*
 * change.h - a change of the metadata of a stored object, under way.
 *
 * Purpose    What SmartModules and table formats share of storing and deleting:
 *            an op that the metadata thread runs, in the order in which it was
 *            asked for, and that answers once.
 * Threads    Loop thread, but for run().
 * Ownership  An op frees itself behind its answer, and what it has besides
 *            through drop().
 * Errors     In err, of what run() did or of the thread that was not to be had.
 * See        modules.c, formats.c
 */
#ifndef FLV_SERVER_CHANGE_H
#define FLV_SERVER_CHANGE_H

#include "loop/pool.h"

#include <fluvio/err.h>
#include <stdint.h>

struct flv_server;

/* FLV_WIRE_NONE or a Fluvio code with a sentence. Runs once, on disk and
 * behind all watch updates, possibly from inside the call that asked. */
typedef void (*flv_change_done_fn)(void *ctx, int16_t code, const char *why);

struct flv_change {
    struct flv_work work; /* first */
    struct flv_server *server;
    flv_rc rc; /* of run() */
    struct flv_err err;
    void (*drop)(struct flv_change *c);
    flv_change_done_fn done;
    void *ctx;
};

/* A zeroed struct that begins with a change; NULL: no memory. The server waits
 * for its end. */
void *flv_change_create(size_t size,
                        struct flv_server *server,
                        flv_change_done_fn done,
                        void *ctx);
/* Answers, and is gone. */
void flv_change_end(struct flv_change *c, int16_t code, const char *why);
/* over() runs later, or at once where there is no thread. */
void flv_change_submit(struct flv_change *c,
                       struct flv_pool *pool,
                       void (*run)(struct flv_work *),
                       void (*over)(struct flv_work *, flv_rc));
/* In over(), with what it was given: how run() went. A failure is logged:
 * TARGET "cannot store" NAME. */
FLV_CHECKED flv_rc flv_change_result(struct flv_change *c,
                                     flv_rc rc,
                                     const char *target,
                                     const char *what,
                                     const char *name);

#endif
