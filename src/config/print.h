/*
 * print.h - a connector's file for people's eyes: without its secrets.
 *
 * Purpose    Prints the document of a file as YAML again, in any dialect, with
 *            what is secret replaced: values of a flat file's `secrets`, and
 *            settings whose option is secret. Templates stay as they were
 *            written, for they only name a secret. Comments are lost.
 * Threads    Pure.
 * Ownership  Text is appended to the caller's buffer.
 * Errors     FLV_E_NOMEM, FLV_E_LIMIT of the buffer.
 * See        docs/connectors.md
 */
#ifndef FLV_CONFIG_PRINT_H
#define FLV_CONFIG_PRINT_H

#include "base/opt.h"
#include "config/connector_file.h"

#define FLV_REDACTED "[REDACTED]"

/* `opts` is the table of the type; NULL when it is not known: then every
 * setting may be secret. Begins with "---". */
FLV_CHECKED flv_rc flv_cfile_print(const struct flv_cfile *f,
                                   const struct flv_opt *opts,
                                   struct flv_buf *out);

#endif
