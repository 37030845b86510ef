/*
 * run.h - the life of a connector's process on its loop.
 *
 * Purpose    Connects to the cluster, makes sure of the topic, runs the
 *            pipeline until it ends or a signal asks for it, and says how it
 *            went.
 * Threads    The thread that calls it becomes the loop's.
 * Ownership  Borrows the setup.
 * Errors     Printed on stderr; the result is the exit status.
 * See        docs/connectors.md
 */
#ifndef FLV_CONNECTOR_RUN_H
#define FLV_CONNECTOR_RUN_H

#include "connector/setup.h"

int flv__connector_run(struct flv_setup *setup);

#endif
