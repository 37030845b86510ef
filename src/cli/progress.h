/*
 * progress.h - how far a long command is, for a person who waits.
 *
 * Purpose    One line on stderr that is written over: a bar, how many of how
 *            many, the rate, the time that is left. Only on a terminal;
 *            elsewhere nothing is written. Where the end is not known, what
 *            there is so far.
 * Threads    One.
 * Ownership  None.
 * Units      Whatever is counted; `what` NULL: bytes.
 */
#ifndef FLV_CLI_PROGRESS_H
#define FLV_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cli_progress {
    const char *what; /* "letters" */
    uint64_t total;   /* 0: not known */
    uint64_t started_ms, shown_ms;
    bool on;    /* a terminal */
    bool shown; /* the line holds something */
};

void cli_progress_start(struct cli_progress *p,
                        const char *what,
                        uint64_t total);
void cli_progress_show(struct cli_progress *p, uint64_t done);
/* Before anything else is printed: the line is empty again. */
void cli_progress_clear(struct cli_progress *p);

#endif
