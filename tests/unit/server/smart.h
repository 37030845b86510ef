/*
 * smart.h - SmartModules and records for tests of a running server.
 *
 * Purpose    Shared by the tests that let a server run SmartModules: modules
 *            of this folder, records that are words, and what is stored of
 *            them as text.
 * Threads    Test thread only.
 * Ownership  Bytes of a module are the caller's (flv_free); texts are static.
 * Errors     What must not happen fails the test from inside the helper.
 */
#ifndef FLV_TESTS_SERVER_SMART_H
#define FLV_TESTS_SERVER_SMART_H

#include "rig.h"

/* modules/NAME.wat of this folder behind the prelude of the others. */
struct flv_slice smart_build(const char *name);
/* Under that name, in place of what is there. */
void smart_store(struct link *sc, const char *name, struct flv_slice wasm);
/* Appends one batch of the words; a millisecond between them. */
void smart_words(struct flv_buf *out, const char *words, enum flv_codec codec);
/* "3:kx 5:ky" of the batches of a frame, and how many offsets they cover. */
const char *smart_shown(struct flv_slice records, int64_t *covered);

/* A server, connections to it, a topic "t", and modules, of which the first
 * one is that of tests/unit/smartmodule. */
enum {
    SMART_FILTER,
    SMART_SPLIT,
    SMART_TAG,
    SMART_CHARS,
    SMART_SEEN,
    SMART_MODULES
};

struct smart {
    struct rig rig;
    struct link sc, spu, reader;
    struct flv_slice wasm[SMART_MODULES]; /* owned */
    struct flv_buf buf;
};

int smart_setup(void **state);
int smart_teardown(void **state);
/* Stops the server and starts it with the conf as it is now. */
void smart_restart(struct smart *t);
/* In t->buf, until the next one. */
struct flv_slice
smart_batch(struct smart *t, const char *words, enum flv_codec codec);
void smart_put(struct smart *t, const char *words);

/* A module whose bytes come along. */
struct flv_wire_module_invocation smart_ad_hoc(struct flv_slice wasm);
/* Asks the reader's connection for a stream; the next frame of it; the offset
 * that is wanted behind it. */
int32_t smart_fetch(struct smart *t,
                    int64_t offset,
                    struct flv_wire_module_invocation *modules,
                    uint32_t count);
struct flv_wire_fetch_partition smart_frame(struct smart *t, int32_t asked);
void smart_ack(struct smart *t, uint32_t stream, int64_t offset);

#endif
