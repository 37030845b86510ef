/*
 * schema.h - JSON Schema (draft 7) of options and of connector files.
 *
 * Purpose    What editors need to complete and check a connector's file while
 *            it is written. Made from the same table as everything else.
 * Threads    Pure functions.
 * Ownership  Text is appended to the caller's buffer.
 * Errors     FLV_E_NOMEM, FLV_E_LIMIT of the buffer.
 * See        docs/connectors.md
 */
#ifndef FLV_CONFIG_SCHEMA_H
#define FLV_CONFIG_SCHEMA_H

#include "config/descriptor.h"

/* The object of one option. `before` goes in front of each member: a line feed
 * and blanks, or nothing. */
FLV_CHECKED flv_rc flv_schema_property(const struct flv_opt *opt,
                                       const char *before,
                                       struct flv_buf *out);
/* The schema of a whole file for this type, flat or with `meta:`; on one
 * line. */
FLV_CHECKED flv_rc flv_schema_file(const struct flv_descriptor *d,
                                   struct flv_buf *out);

#endif
