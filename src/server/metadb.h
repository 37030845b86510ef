/*
 * metadb.h - DIR/meta.db: topics, consumer offsets, SmartModules, table
 *            formats in SQLite.
 *
 * Purpose    The durable half of the metadata. Every change is one
 *            transaction with synchronous=FULL: when a call returns, the
 *            change is on disk. Consumer offsets hang on the creation id of
 *            their topic, so that a topic made anew never inherits one. The
 *            bytes of a SmartModule lie in parts under its revision, so that
 *            a large one is written and read piece by piece.
 *            A file of an older schema is brought up to date when it is
 *            opened, one step after the other; a check reads it as it is.
 * Threads    One at a time; blocks on disk, so a pool thread while serving.
 * Ownership  create/destroy. Rows passed to callbacks are borrowed for the
 *            call.
 * Errors     FLV_E_NOSPACE, FLV_E_CORRUPT, FLV_E_UNSUPPORTED (newer schema),
 *            FLV_E_IO; the text carries SQLite's own. A change that failed is
 *            not made as long as the database is open; whether it may be found
 *            when it is opened anew, flv_metadb_in_doubt() tells.
 * See        docs/durability.md, docs/server.md,
 *            tests/unit/server/test_metadb.c, tests/fault/meta
 */
#ifndef FLV_SERVER_METADB_H
#define FLV_SERVER_METADB_H

#include "base/bytes.h"

#include <fluvio/err.h>
#include <stdbool.h>
#include <stdint.h>

#define FLV_METADB_SCHEMA 3 /* 1: no SmartModules; 2: no table formats */
#define FLV_METADB_PATH_MAX 4000

struct flv_metadb;

struct flv_topic_row {
    uint64_t id; /* creation id, never used again */
    struct flv_slice name;
    uint32_t partition_count;
    uint8_t durability; /* enum flv_durability */
    bool system;
    int spec_version; /* wire version in which spec is encoded */
    struct flv_slice spec;
};

struct flv_offset_row {
    uint64_t topic_id;
    uint32_t partition;
    struct flv_slice consumer;
    int64_t offset;     /* last consumed record */
    int64_t modified_s; /* UTC seconds */
};

/* One change of the consumer offsets. */
struct flv_offset_change {
    struct flv_offset_row row;
    bool remove; /* drop the row, offset and modified_s are not read */
};

/* read_only: for checks; never creates or changes anything. */
FLV_CHECKED flv_rc flv_metadb_create(struct flv_metadb **out,
                                     const char *path,
                                     bool read_only,
                                     struct flv_err *err);
/* Checkpoints and closes. */
void flv_metadb_destroy(struct flv_metadb *db);

/* A commit failed and none has succeeded since: what it was to make may be
 * found at the next start. */
bool flv_metadb_in_doubt(const struct flv_metadb *db);
/* Ends the doubt by a commit of its own: after FLV_OK every change that failed
 * so far is gone for good. */
FLV_CHECKED flv_rc flv_metadb_settle(struct flv_metadb *db,
                                     struct flv_err *err);

/* The id that the next topic gets: above every id ever inserted. */
FLV_CHECKED flv_rc flv_metadb_next_id(struct flv_metadb *db,
                                      uint64_t *out_id,
                                      struct flv_err *err);
/* A number that no other data directory has: drawn and made durable when it is
 * asked for the first time. */
FLV_CHECKED flv_rc flv_metadb_store_id(struct flv_metadb *db,
                                       uint64_t *out,
                                       struct flv_err *err);
FLV_CHECKED flv_rc
flv_metadb_each_topic(struct flv_metadb *db,
                      flv_rc (*fn)(const struct flv_topic_row *row,
                                   void *arg,
                                   struct flv_err *err),
                      void *arg,
                      struct flv_err *err);
FLV_CHECKED flv_rc flv_metadb_put_topic(struct flv_metadb *db,
                                        const struct flv_topic_row *row,
                                        struct flv_err *err);
/* The topic and the offsets of its consumers, in one transaction. */
FLV_CHECKED flv_rc flv_metadb_delete_topic(struct flv_metadb *db,
                                           uint64_t id,
                                           struct flv_err *err);

/* All changes in one transaction, in order; a later one wins. An offset of a
 * topic that is gone is dropped. out_found[i], unless NULL, tells whether a
 * removed row was there, or the topic of a stored one. */
FLV_CHECKED flv_rc
flv_metadb_change_offsets(struct flv_metadb *db,
                          const struct flv_offset_change *changes,
                          size_t n,
                          bool *out_found,
                          struct flv_err *err);

/* topic_id 0: every topic; empty consumer: every consumer. Ordered by topic,
 * partition, consumer. */
struct flv_offset_query {
    uint64_t topic_id;
    uint32_t partition;
    struct flv_slice consumer;
};
FLV_CHECKED flv_rc
flv_metadb_each_offset(struct flv_metadb *db,
                       const struct flv_offset_query *query,
                       flv_rc (*fn)(const struct flv_offset_row *row,
                                    void *arg,
                                    struct flv_err *err),
                       void *arg,
                       struct flv_err *err);

/* ---- SmartModules ---- */

struct flv_module_row {
    struct flv_slice key;
    uint64_t revision;  /* of these bytes; never used again */
    int64_t created_ms; /* UTC */
    uint64_t payload_bytes;
    int spec_version; /* wire version in which spec is encoded */
    struct flv_slice spec;
};

/* The revision that the next module gets: above every one ever stored. */
FLV_CHECKED flv_rc flv_metadb_next_revision(struct flv_metadb *db,
                                            uint64_t *out,
                                            struct flv_err *err);
/* Ordered by key. */
FLV_CHECKED flv_rc
flv_metadb_each_module(struct flv_metadb *db,
                       flv_rc (*fn)(const struct flv_module_row *row,
                                    void *arg,
                                    struct flv_err *err),
                       void *arg,
                       struct flv_err *err);
/* The row and its bytes in one transaction; takes the place of what had that
 * key. row->payload_bytes is that of payload. */
FLV_CHECKED flv_rc flv_metadb_put_module(struct flv_metadb *db,
                                         const struct flv_module_row *row,
                                         struct flv_slice payload,
                                         struct flv_err *err);
FLV_CHECKED flv_rc flv_metadb_delete_module(struct flv_metadb *db,
                                            struct flv_slice key,
                                            bool *out_found,
                                            struct flv_err *err);
/* Appends the bytes; FLV_E_NOT_FOUND: replaced or deleted meanwhile,
 * FLV_E_CORRUPT: they are not those that were stored. */
FLV_CHECKED flv_rc flv_metadb_read_module(struct flv_metadb *db,
                                          uint64_t revision,
                                          struct flv_buf *out,
                                          struct flv_err *err);

/* ---- table formats ---- */

struct flv_table_format_row {
    struct flv_slice name;
    int spec_version; /* wire version in which spec is encoded */
    struct flv_slice spec;
};

/* Ordered by name. */
FLV_CHECKED flv_rc
flv_metadb_each_table_format(struct flv_metadb *db,
                             flv_rc (*fn)(const struct flv_table_format_row *r,
                                          void *arg,
                                          struct flv_err *err),
                             void *arg,
                             struct flv_err *err);
/* What has that name already stays as it is, and *out_new is false. */
FLV_CHECKED flv_rc
flv_metadb_put_table_format(struct flv_metadb *db,
                            const struct flv_table_format_row *row,
                            bool *out_new,
                            struct flv_err *err);
FLV_CHECKED flv_rc flv_metadb_delete_table_format(struct flv_metadb *db,
                                                  struct flv_slice name,
                                                  bool *out_found,
                                                  struct flv_err *err);

/* SQLite's own integrity check; FLV_E_CORRUPT with its first finding. */
FLV_CHECKED flv_rc flv_metadb_check(struct flv_metadb *db, struct flv_err *err);

#endif
