/*
 * guard.h - the small parent that brings a program back.
 *
 * Purpose    Runs a program in a child process, starts it again when it dies,
 *            passes signals on, and buries what its death orphans. What dies
 *            again and again has longer and longer waits, and in the end is
 *            given up.
 * Threads    One, before anything else is set up.
 * Ownership  What is open before the call is held by both.
 * Errors     The exit status of the child that ended in good order, or of the
 *            last one.
 * Units      _ms
 * See        tests/e2e/operations.bats, managed.bats
 */
#ifndef FLV_BASE_GUARD_H
#define FLV_BASE_GUARD_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stdint.h>

/* Who signals a whole group, as a terminal and systemd do, reaches guard and
 * child, and the guard passes it on: for so long it is one and the same. */
#define FLV_GUARD_SAME_SIGNAL_MS 1000

/* A page that guard and children share. */
struct flv_guard_note {
    char words[FLV_ERR_TEXT_MAX]; /* of a child that is about to end */
    uint16_t ports[4];            /* that the next one has to have, too */
    uint32_t deaths;              /* all so far */
};

struct flv_guard_death {
    char why[FLV_ERR_TEXT_MAX];
    uint32_t row;  /* of deaths that came before the child was healthy */
    bool given_up; /* it is not started again */
};

struct flv_guard_conf {
    const char *what;     /* "the manager" */
    uint32_t wait_ms_min; /* before the second start in a row, then doubled */
    uint32_t wait_ms_max;
    uint32_t healthy_ms; /* who lives so long begins a new row */
    uint32_t deaths_max; /* in a row, then it is given up; 0: never */
    bool start_to_stop;  /* one that is told to end while it is dead has to
                          * be started for it */
    /* After each death that is not an end in good order; may be NULL. */
    void (*died)(void *ctx, const struct flv_guard_death *d);
    void *ctx;
};

/* Returns the note in the child, which is to become the program, and in which
 * SIGHUP waits; NULL in the parent at the end, with the exit status in
 * *out_status. One that ends with an exit status the first time is not started
 * again: it said why. */
struct flv_guard_note *flv_guard(const struct flv_guard_conf *c,
                                 int *out_status);

/* The child catches SIGHUP now: one that came since its start comes now, too,
 * instead of having been its end. Others lose nothing by the call. */
void flv_guard_hear_hangup(void);

#endif
