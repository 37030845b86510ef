/*
 * wasm.h - SmartModules from files, run by the real engine.
 *
 * Purpose    One case is a module, what it is given and what has to come out,
 *            as texts: the same cases prove modules in C and in Rust.
 * Threads    Test thread only, inside setup_engine() and teardown_engine().
 */
#ifndef FLV_TESTS_UNIT_GUEST_WASM_H
#define FLV_TESTS_UNIT_GUEST_WASM_H

#include "util.h"

struct wasm_case {
    const char *path;   /* of the .wasm file */
    const char *params; /* "key value key value"; NULL: none */
    const char *accumulator;
    const char *in;     /* records as "value" or "key=value", blanks between */
    const char *out;    /* the same */
    const char *failed; /* "3:part of the hint", NULL: nothing fails */
    uint32_t filtered;
};

/* Records as in a case: a section for flv_sm_input. */
void wasm_section(struct flv_buf *out, const char *records);
/* NULL when the chain cannot start; *err says why. */
struct flv_sm_chain *wasm_chain(const struct wasm_case *c, struct flv_err *err);
/* One batch with base offset 100 and base time 1,000,000 ms, records 10 ms
 * apart; holds the result against the case. */
void wasm_run(struct flv_sm_chain *chain, const struct wasm_case *c);
/* Both, on a chain of its own. */
void wasm_check(const struct wasm_case *c);
void wasm_look_back(struct flv_sm_chain *chain, const char *records);

#endif
