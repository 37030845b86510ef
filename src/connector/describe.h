/*
 * describe.h - a connector type as data.
 *
 * Purpose    --describe (JSON for catalogues), metadata (JSON Schema of the
 *            connector's own settings) and the option table of its README,
 *            all made from the descriptor.
 * Threads    Pure functions.
 * Ownership  Text is appended to the caller's buffer.
 * Errors     FLV_E_NOMEM, FLV_E_LIMIT of the buffer.
 */
#ifndef FLV_CONNECTOR_DESCRIBE_H
#define FLV_CONNECTOR_DESCRIBE_H

#include <fluvio/connector.h>

#include "base/bytes.h"

/* One line of JSON with its line feed; keys always in the same order. */
FLV_CHECKED flv_rc flv__connector_describe(const struct flv_connector *type,
                                           struct flv_buf *b,
                                           struct flv_err *err);
/* Pretty-printed JSON. */
FLV_CHECKED flv_rc flv__connector_metadata(const struct flv_connector *type,
                                           struct flv_buf *b,
                                           struct flv_err *err);
/* A Markdown table of the connector's own options. */
FLV_CHECKED flv_rc flv__connector_table(const struct flv_connector *type,
                                        struct flv_buf *b,
                                        struct flv_err *err);

#endif
