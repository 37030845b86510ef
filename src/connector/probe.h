/*
 * probe.h - one look at the far side, for `fluvio connector check --probe`.
 *
 * Purpose    Runs the connector's probe on a loop of its own and prints what
 *            it found: one sentence on the standard output, or the reason on
 *            the standard error.
 * Threads    The thread that calls it becomes the loop's.
 * Ownership  Borrows the setup.
 * Errors     FLV_EXIT_PROBE when the far side is not as the settings say.
 */
#ifndef FLV_CONNECTOR_PROBE_H
#define FLV_CONNECTOR_PROBE_H

#include "connector/setup.h"

int flv__connector_probe(struct flv_setup *setup);

#endif
