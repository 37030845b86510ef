/*
 * metrics.h - what a server knows about itself, as Prometheus text.
 *
 * Purpose    Answers GET /metrics on a port of its own. A scrape asks the disk
 *            for its space and meta.db for consumer offsets in the pools, then
 *            writes one page on the loop.
 * Threads    Loop thread only.
 * Ownership  The server makes it where a port is asked for, and destroys it
 *            before it stops: scrapes that are under way are then dropped.
 * Errors     The port (EXISTS, IO), or libmicrohttpd (UNSUPPORTED): it is
 *            loaded here, and nowhere else in fluvio-server.
 * Bounds     16 connections; the samples of 10,000 partitions and 10,000
 *            consumer offsets; labels are names of topics and of consumers,
 *            partition numbers, and words from fixed lists.
 * See        docs/operations.md has all names, tests/e2e/operations.bats
 */
#ifndef FLV_SERVER_METRICS_H
#define FLV_SERVER_METRICS_H

#include <fluvio/err.h>
#include <stdint.h>

struct flv_server;
struct flv_metrics;

/* On the address of the server's settings. */
FLV_CHECKED flv_rc flv_metrics_create(struct flv_metrics **out,
                                      struct flv_server *s,
                                      struct flv_err *err);
uint16_t flv_metrics_port(const struct flv_metrics *m);
/* NULL is allowed. */
void flv_metrics_destroy(struct flv_metrics *m);

#endif
