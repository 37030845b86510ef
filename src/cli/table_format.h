/*
 * table_format.h - table formats described in files.
 *
 * Purpose    Reads the YAML document of `table-format create --config` into
 *            what the client sends. The keys are Fluvio's, of which those in
 *            two words may be written keyPath or key_path; others are passed
 *            over, as Fluvio does.
 * Threads    One.
 * Ownership  *out borrows from the file; it is valid until
 *            cli_format_file_deinit().
 * Errors     FLV_E_INVALID with "file:line:column: sentence".
 * See        tests/e2e/table_format.bats
 */
#ifndef FLV_CLI_TABLE_FORMAT_H
#define FLV_CLI_TABLE_FORMAT_H

#include <fluvio/client.h>

struct flv_doc;

struct cli_format_file {
    struct flv_doc *doc;              /* owned */
    struct flv_table_column *columns; /* owned */
};

/* A zeroed file is valid for deinit. */
void cli_format_file_deinit(struct cli_format_file *file);

FLV_CHECKED flv_rc cli_format_file_read(const char *path,
                                        struct cli_format_file *file,
                                        struct flv_table_format *out,
                                        struct flv_err *err);

#endif
