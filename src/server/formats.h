/*
 * formats.h - the table formats that clients stored on this server.
 *
 * Purpose    Keeps the rules by which consumers lay out JSON records as
 *            tables, in memory and in meta.db. The server itself makes no
 *            tables: it stores, lists and deletes.
 * Threads    Loop thread only. Creates and deletes go through the metadata
 *            thread in the order in which they were asked for; their `done`
 *            runs on the loop thread.
 * Ownership  A format is borrowed until the loop thread runs anything else.
 * Errors     Creates and deletes answer with a Fluvio code and a sentence.
 * See        docs/server.md, tests/unit/server/test_formats.c
 */
#ifndef FLV_SERVER_FORMATS_H
#define FLV_SERVER_FORMATS_H

#include "base/arena.h"
#include "base/bytes.h"
#include "loop/pool.h"
#include "server/change.h"
#include "server/metadb.h"
#include "wire/sc.h"

#include <fluvio/err.h>
#include <stdbool.h>

#define FLV_FORMAT_NAME_MAX 255
#define FLV_FORMAT_COLUMNS_MAX 128
#define FLV_FORMAT_SPEC_BYTES_MAX ((size_t)16 << 10)
#define FLV_FORMATS_MAX 500
#define FLV_FORMAT_SPEC_VERSION FLV_WIRE_SC_MAX

struct flv_server;

struct flv_format {
    struct flv_wire_table_format_spec spec; /* borrows from the two below */
    struct flv_buf spec_bytes;              /* owned */
    struct flv_arena arena;                 /* owned */
    char name[FLV_FORMAT_NAME_MAX + 1];
};

struct flv_formats {
    struct flv_format **sorted; /* owned, by name */
    size_t len, cap;
    size_t coming, going;      /* creates and deletes under way */
    struct flv_metadb *db;     /* borrowed */
    struct flv_pool *pool;     /* borrowed: the metadata thread */
    struct flv_server *server; /* borrowed */
};

void flv_formats_init(struct flv_formats *set,
                      struct flv_server *server,
                      struct flv_metadb *db,
                      struct flv_pool *pool);
/* Start: reads what meta.db has. Blocks. */
FLV_CHECKED flv_rc flv_formats_load(struct flv_formats *set,
                                    struct flv_err *err);
void flv_formats_deinit(struct flv_formats *set);

#define FLV_FORMAT_WHY_MAX 200
/* FLV_WIRE_NONE: it could be created; else the code and a sentence. */
int16_t flv_formats_check(const struct flv_formats *set,
                          struct flv_slice name,
                          const struct flv_wire_table_format_spec *spec,
                          char why[FLV_FORMAT_WHY_MAX]);

/* What flv_formats_check() has passed; the spec is copied. */
void flv_formats_create(struct flv_formats *set,
                        struct flv_slice name,
                        const struct flv_wire_table_format_spec *spec,
                        flv_change_done_fn done,
                        void *ctx);
void flv_formats_delete(struct flv_formats *set,
                        struct flv_slice name,
                        flv_change_done_fn done,
                        void *ctx);

#endif
