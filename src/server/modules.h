/*
 * modules.h - the SmartModules that clients stored on this server.
 *
 * Purpose    Finds a SmartModule by the name that a request gives, reads its
 *            bytes when somebody is about to use them, stores and deletes.
 *            In memory there is what lists show; the bytes stay in meta.db.
 *            Bytes are kept as they came: gzip or plain, whole or damaged;
 *            who runs them finds out.
 * Threads    Loop thread only. Reads, stores and deletes go through the
 *            metadata thread in the order in which they were asked for; their
 *            `done` runs on the loop thread.
 * Ownership  A found module is borrowed until the loop thread runs anything
 *            else: copy key and revision. The bytes that a read gives belong
 *            to who asked (flv_free).
 * Errors     Of a read: FLV_E_NOT_FOUND when the module was replaced or
 *            deleted meanwhile (find it again), FLV_E_CORRUPT, FLV_E_NOMEM,
 *            FLV_E_IO, FLV_E_CANCELED when the server stops. Stores and
 *            deletes answer with a Fluvio code and a sentence.
 * See        docs/server.md, tests/unit/server/test_modules.c
 *
 * Using one by name:
 *
 *     const struct flv_module *m = flv_modules_find(&s->modules, name);
 *     if (m == NULL) -> FLV_WIRE_SMARTMODULE_NOT_FOUND, text = name
 *     compiled form kept for m->revision? take it; else
 *     read->revision = m->revision; read->done = ...;
 *     flv_modules_read(&s->modules, read);
 *
 * A revision names bytes for ever, so what was made of them may be kept under
 * it; a module that is stored again gets another one.
 */
#ifndef FLV_SERVER_MODULES_H
#define FLV_SERVER_MODULES_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/chunk.h"
#include "loop/pool.h"
#include "server/change.h"
#include "server/metadb.h"
#include "wire/sc.h"

#include <fluvio/err.h>
#include <stdbool.h>
#include <stdint.h>

#define FLV_MODULE_KEY_MAX 255
#define FLV_MODULES_MAX 1000
#define FLV_MODULE_PAYLOAD_MAX ((size_t)32 << 20)
#define FLV_MODULES_PAYLOAD_MAX ((uint64_t)1 << 30) /* of all together */
#define FLV_MODULE_SPEC_BYTES_MAX ((size_t)64 << 10)
#define FLV_MODULE_SPEC_VERSION FLV_WIRE_SC_MAX

struct flv_server;

struct flv_module {
    uint64_t revision;
    uint32_t payload_bytes; /* as stored: usually compressed */
    int64_t created_ms;
    /* Without payload; borrows from spec_bytes and arena. */
    struct flv_wire_smartmodule_spec spec;
    struct flv_buf spec_bytes; /* owned */
    struct flv_arena arena;    /* owned */
    char key[FLV_MODULE_KEY_MAX + 1];
};

struct flv_modules {
    struct flv_module **sorted; /* owned, by key */
    size_t len, cap;
    uint64_t payload_bytes; /* of all */
    uint64_t next_revision;
    /* Being stored: count and bytes that are not in the sums yet. */
    size_t coming;
    uint64_t coming_bytes;
    struct flv_metadb *db;     /* borrowed */
    struct flv_pool *pool;     /* borrowed: the metadata thread */
    struct flv_server *server; /* borrowed */
};

void flv_modules_init(struct flv_modules *set,
                      struct flv_server *server,
                      struct flv_metadb *db,
                      struct flv_pool *pool);
/* Start: reads what meta.db has, without the bytes. Blocks. */
FLV_CHECKED flv_rc flv_modules_load(struct flv_modules *set,
                                    struct flv_err *err);
void flv_modules_deinit(struct flv_modules *set);

/* ---- finding ---- */

/* By what requests give: NAME, GROUP/NAME or GROUP/NAME@VERSION. A module
 * with package data has that name, group and version; one without is found by
 * its key. Of several the one stored last. NULL: there is none. */
const struct flv_module *flv_modules_find(const struct flv_modules *set,
                                          struct flv_slice name);
/* Whether that name means this module. */
bool flv_module_matches(const struct flv_module *m, struct flv_slice name);
/* By its key alone. */
const struct flv_module *flv_modules_by_key(const struct flv_modules *set,
                                            struct flv_slice key);

/* ---- bytes ---- */

struct flv_module_read {
    struct flv_work work;      /* private, first */
    struct flv_modules *set;   /* private */
    struct flv_server *server; /* private */
    uint64_t revision;         /* which */
    uint8_t *payload;          /* out: the receiver's, NULL when empty */
    size_t payload_bytes;      /* out */
    flv_rc rc;                 /* out */
    struct flv_err err;        /* out */
    void (*done)(struct flv_module_read *r);
    void *user;
};
/* done runs once, later; from inside this call only when there is no thread
 * to be had. At most FLV_MODULE_PAYLOAD_MAX bytes: who asks bounds how many
 * reads there are. The struct is the caller's until done. */
void flv_modules_read(struct flv_modules *set, struct flv_module_read *r);

/* ---- changes ---- */

#define FLV_MODULE_WHY_MAX 200
/* FLV_WIRE_NONE and the key under which it would be stored, or the code and a
 * sentence. What the bytes are is not asked. */
int16_t flv_modules_check(const struct flv_modules *set,
                          struct flv_slice name,
                          const struct flv_wire_smartmodule_spec *spec,
                          char key[FLV_MODULE_KEY_MAX + 1],
                          char why[FLV_MODULE_WHY_MAX]);

/* Under a checked key, in place of what is there. The spec is copied; its
 * payload lies in the frame, which is held until done. */
void flv_modules_store(struct flv_modules *set,
                       const char *key,
                       const struct flv_wire_smartmodule_spec *spec,
                       struct flv_chunk *frame,
                       flv_change_done_fn done,
                       void *ctx);
/* The key of what flv_modules_delete() would delete; NULL: nothing so far.
 * Borrowed. */
const char *flv_modules_deleted_key(const struct flv_modules *set,
                                    struct flv_slice name);
/* By key, or by what flv_modules_find() understands. */
void flv_modules_delete(struct flv_modules *set,
                        struct flv_slice name,
                        flv_change_done_fn done,
                        void *ctx);

#endif
