/*
 * mistakes.h - all that is wrong with a connector's file, told by itself.
 *
 * Purpose    The same check as `fluvio connector check`, for somebody who
 *            starts the program by hand: he mends his file once. Runs only
 *            when the start has failed already, so a good start costs nothing.
 * Threads    Before the loop.
 * Ownership  Borrows the setup.
 * See        config/check.h
 */
#ifndef FLV_CONNECTOR_MISTAKES_H
#define FLV_CONNECTOR_MISTAKES_H

#include "connector/setup.h"

/* One line "error: FILE:LINE:COLUMN: sentence" for each on stderr. False: none
 * was found, nothing was printed. */
bool flv__mistakes_print(struct flv_setup *s);

#endif
