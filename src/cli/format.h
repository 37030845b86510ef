/*
 * format.h - one record of a topic as text.
 *
 * Purpose    The value forms of `fluvio consume` (dynamic, text, binary, json,
 *            raw, table), keys in front, templates, cutting to one line. Rows
 *            of a table may be kept instead of printed, for a screen.
 * Threads    One thread.
 * Ownership  A formatter owns its table until
 *            cli_formatter_deinit(); records stay borrowed.
 * Errors     FLV_E_INVALID for a bad template; FLV_E_LIMIT when a record
 *            does not fit the output buffer.
 */
#ifndef FLV_CLI_FORMAT_H
#define FLV_CLI_FORMAT_H

#include "base/bytes.h"
#include "cli/grid.h"

#include <fluvio/client.h>
#include <stdbool.h>

enum cli_value_form {
    CLI_VALUE_DYNAMIC,
    CLI_VALUE_TEXT,
    CLI_VALUE_BINARY,
    CLI_VALUE_JSON,
    CLI_VALUE_RAW,
    CLI_VALUE_TABLE,
};

struct cli_formatter {
    enum cli_value_form form;
    bool key_value;       /* "[key] value" */
    bool suppress;        /* leave out what the form cannot show */
    const char *template; /* borrowed; NULL: none */
    size_t line_max;      /* cut to one line of so many characters; 0: no */
    bool keep_rows;       /* CLI_VALUE_TABLE: keep, print nothing */
    uint64_t no_rows;     /* records that could not be kept */
    struct cli_grid grid; /* of CLI_VALUE_TABLE */
};

/* Checks the template once, before the first record is asked for. */
FLV_CHECKED flv_rc cli_template_check(const char *template,
                                      struct flv_err *err);

void cli_formatter_init(struct cli_formatter *f);
void cli_formatter_deinit(struct cli_formatter *f);

/* Appends the record's text with its line end to `out`; appends nothing for
 * a record that is left out. On failure `out` keeps what it had. */
FLV_CHECKED flv_rc cli_format_record(struct cli_formatter *f,
                                     const struct flv_record_view *r,
                                     uint32_t partition,
                                     struct flv_buf *out,
                                     struct flv_err *err);

/* Fluvio's guess: a NUL byte near the front, or a PNG or PDF. */
bool cli_is_binary(struct flv_slice value);

#endif
