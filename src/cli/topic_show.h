/*
 * topic_show.h - what topics and their partitions show alike.
 *
 * Purpose    Writes deduplication into a document, with Fluvio's keys.
 * Threads    One.
 * Ownership  Borrows everything for the call.
 * Errors     As in output.h.
 */
#ifndef FLV_CLI_TOPIC_SHOW_H
#define FLV_CLI_TOPIC_SHOW_H

#include "cli/output.h"

#include <fluvio/client.h>

/* NULL is written as null. */
void cli_dedup_doc(struct cli_doc *d, const struct flv_dedup *dedup);

#endif
