/*
 * offsets.h - consumer offsets, asked for and changed while serving.
 *
 * Purpose    Carries changes and questions to the metadata thread. All
 *            changes that wait go into one transaction; a change is answered
 *            after the commit. A question sees every change that was answered
 *            before it was asked.
 * Threads    Loop thread only.
 * Ownership  The structs are the caller's until `done`. struct flv_offsets is
 *            embedded in the server.
 * Errors     Those of metadb.h.
 */
#ifndef FLV_SERVER_OFFSETS_H
#define FLV_SERVER_OFFSETS_H

#include "loop/pool.h"
#include "server/metadb.h"

#include <fluvio/err.h>
#include <stdbool.h>
#include <sys/queue.h>

#define FLV_CONSUMER_NAME_MAX 255
#define FLV_OFFSETS_GROUP_MAX 1024 /* changes of one transaction */

struct flv_offset_op {
    struct flv_offset_change change; /* consumer may point into `name` */
    char name[FLV_CONSUMER_NAME_MAX + 1];
    /* found: the row to remove, or the topic to store for, was there. */
    void (*done)(struct flv_offset_op *op,
                 flv_rc rc,
                 bool found,
                 const struct flv_err *err);
    STAILQ_ENTRY(flv_offset_op) link; /* private */
};

struct flv_offset_ask {
    struct flv_work work;        /* private, first */
    struct flv_offsets *offsets; /* private */
    struct flv_offset_query query;
    char name[FLV_CONSUMER_NAME_MAX + 1]; /* for query.consumer */
    size_t max;                           /* ceiling of rows */
    /* Rows with their consumer copied behind them; freed after done. */
    struct flv_offset_row *rows; /* owned */
    size_t count;
    flv_rc rc;
    struct flv_err err;
    void (*done)(struct flv_offset_ask *ask);
    void *user;
};

STAILQ_HEAD(flv_offset_list, flv_offset_op);

struct flv_offsets {
    struct flv_metadb *db;          /* borrowed */
    struct flv_pool *pool;          /* borrowed: the metadata thread */
    struct flv_loop *loop;          /* borrowed */
    struct flv_offset_list waiting; /* for the next transaction */
    struct flv_offset_list group;   /* of the one that runs */
    struct flv_work work;
    struct flv_task late;
    bool running;
    flv_rc rc;
    struct flv_err err;
    bool found[FLV_OFFSETS_GROUP_MAX];
};

void flv_offsets_init(struct flv_offsets *o,
                      struct flv_metadb *db,
                      struct flv_pool *pool,
                      struct flv_loop *loop);
/* op->done runs once, later. */
void flv_offsets_change(struct flv_offsets *o, struct flv_offset_op *op);
/* ask->done runs once, from inside this call only when there is no thread to
 * be had; ask->rc is FLV_E_LIMIT when there are more than max rows. */
void flv_offsets_query(struct flv_offsets *o, struct flv_offset_ask *ask);

#endif
