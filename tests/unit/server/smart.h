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

#endif
