/*
 * json.h - users' JSON values, checked and laid out anew, never re-written.
 *
 * Purpose    Records may hold numbers and strings that a parser's own types
 *            would change. Here every scalar is copied byte for byte; only
 *            the blanks between them are ours.
 * Threads    Pure functions.
 * Ownership  Slices point into the input.
 * Errors     FLV_E_INVALID with "what was expected at line L column C";
 *            nesting deeper than 128 is refused.
 */
#ifndef FLV_CLI_JSON_H
#define FLV_CLI_JSON_H

#include "base/bytes.h"

#include <stdbool.h>

/* Appends `text`, which must be exactly one JSON value, laid out with two
 * blanks per level and no line feed at the end. On failure `out` keeps what
 * it had. */
FLV_CHECKED flv_rc cli_json_pretty(struct flv_slice text,
                                   struct flv_buf *out,
                                   struct flv_err *err);

struct cli_json_member {
    struct flv_slice name;  /* without quotes, escapes as written */
    struct flv_slice value; /* as written; a string without its quotes */
    bool is_text;           /* it was a string */
};

/* Splits a JSON object into at most `max` members in the order written and
 * stores how many there are. FLV_E_LIMIT when there are more. */
FLV_CHECKED flv_rc cli_json_members(struct flv_slice text,
                                    struct cli_json_member *out,
                                    size_t max,
                                    size_t *out_count,
                                    struct flv_err *err);
/* Splits a list into its values, as written, likewise. */
FLV_CHECKED flv_rc cli_json_items(struct flv_slice text,
                                  struct flv_slice *out,
                                  size_t max,
                                  size_t *out_count,
                                  struct flv_err *err);
/* The text that a checked string between its quotes stands for. Half a
 * surrogate pair becomes U+FFFD. */
FLV_CHECKED flv_rc cli_json_text(struct flv_slice string, struct flv_buf *out);

#endif
