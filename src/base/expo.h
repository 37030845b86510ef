/*
 * expo.h - Prometheus' text format, version 0.0.4.
 *
 * Purpose    The pieces of a /metrics page:
 *                flv_expo_family(o, "fluvio_x_total", "counter", "What.");
 *                flv_expo_addf(o, "fluvio_x_total{");
 *                flv_expo_label(o, "topic", name);
 *                flv_expo_addf(o, "} %" PRIu64 "\n", n);
 * Threads    No sharing.
 * Ownership  Borrows everything.
 * Errors     In the struct flv_out.
 * See        docs/operations.md
 */
#ifndef FLV_BASE_EXPO_H
#define FLV_BASE_EXPO_H

#include "base/out.h"

#define FLV_EXPO_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* At most 511 bytes at a time. */
void flv_expo_addf(struct flv_out *o, const char *fmt, ...) FLV_PRINTF(2, 3);
/* The two lines above a family's samples. */
void flv_expo_family(struct flv_out *o,
                     const char *name,
                     const char *kind,
                     const char *help);
/* name="value": backslash, quote and line feed are escaped, and each byte that
 * is not UTF-8 becomes U+FFFD. */
void flv_expo_label(struct flv_out *o, const char *name, const char *value);

#endif
