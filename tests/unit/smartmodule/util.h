/*
 * util.h - what the tests of SmartModules share.
 *
 * Purpose    One engine per program, modules out of modules/NAME.wat, batches
 *            out of words.
 * Threads    Test thread only.
 */
#ifndef FLV_TESTS_UNIT_SMARTMODULE_UTIL_H
#define FLV_TESTS_UNIT_SMARTMODULE_UTIL_H

#include "cm.h"
#include "base/bytes.h"
#include "smartmodule/chain.h"

/* The engine of the program, without a folder; cmocka group fixtures. */
extern struct flv_sm_engine *engine;
int setup_engine(void **state);
int teardown_engine(void **state);
/* See wasm_signals.h; chain_of() and run() do it themselves. */
void restore_signals(void);

/* The text in modules/NAME.wat behind the prelude, assembled. flv_free(). */
struct flv_slice assemble(const char *name);
/* Any text. */
struct flv_slice assemble_text(const char *text);
struct flv_sm_module *module_of(const char *name);
/* The prelude and this text; `prelude` false: this text alone. */
struct flv_slice assemble_body(bool prelude, const char *text);
void free_slice(struct flv_slice s);
/* A chain of one module of this text, or what creating it says. */
struct flv_sm_chain *chain_of_body(const char *text,
                                   const struct flv_sm_budget *budget,
                                   struct flv_err *err);

/* A chain of the modules with these names and one budget for all (NULL:
 * defaults). */
struct flv_sm_chain *
chain_of(const struct flv_sm_budget *budget, size_t count, ...);

/* A section of records without key, one per word: "kept dropped kept". */
struct batch {
    struct flv_buf section;
    uint32_t count;
};
void batch_make(struct batch *b, const char *words);
void batch_free(struct batch *b);

/* Runs the words; base offset 100, base time 1,000,000 ms. */
struct flv_sm_result
run(struct flv_sm_chain *c, const char *words, bool stop_at_failure);
/* The output values, joined by blanks, into a static buffer. */
const char *values_of(const struct flv_sm_result *r);

#endif
