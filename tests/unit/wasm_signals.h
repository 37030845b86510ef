/*
 * wasm_signals.h - traps of WebAssembly inside cmocka's tests.
 *
 * Purpose    The engine turns faults of a guest's code into traps with signal
 *            handlers, set when the process makes its first engine. cmocka
 *            puts its own in their place around every test and fixture. Tests
 *            that run modules in their own process keep the handlers behind
 *            the engine's creation and bring them back in each test's body.
 * Threads    Test thread only.
 */
#ifndef FLV_TESTS_UNIT_WASM_SIGNALS_H
#define FLV_TESTS_UNIT_WASM_SIGNALS_H

#include <assert.h>
#include <signal.h>
#include <stddef.h>

#define WASM_SIGNALS 4

struct wasm_signals {
    struct sigaction old[WASM_SIGNALS];
};

static const int wasm_signals[WASM_SIGNALS] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS};

static inline void wasm_signals_keep(struct wasm_signals *s)
{
    for (int i = 0; i < WASM_SIGNALS; i++) {
        int rc = sigaction(wasm_signals[i], NULL, &s->old[i]);

        assert(rc == 0);
        (void)rc;
    }
}

static inline void wasm_signals_restore(const struct wasm_signals *s)
{
    for (int i = 0; i < WASM_SIGNALS; i++) {
        int rc = sigaction(wasm_signals[i], &s->old[i], NULL);

        assert(rc == 0);
        (void)rc;
    }
}

#endif
