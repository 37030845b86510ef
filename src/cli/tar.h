/*
 * tar.h - a .tar.gz, file by file.
 *
 * Purpose    Writes a ustar archive through gzip; what is put in is in memory.
 * Threads    One; blocks.
 * Ownership  cli_tar_open() makes the file, cli_tar_close() ends it in any
 *            case; a failed one is removed.
 * Errors     The first failure is kept and cli_tar_close() reports it: it
 *            names the archive and the reason.
 */
#ifndef FLV_CLI_TAR_H
#define FLV_CLI_TAR_H

#include "base/bytes.h"

struct cli_tar;

/* FLV_E_EXISTS where there is such a file. Mode 0600. */
FLV_CHECKED flv_rc cli_tar_open(struct cli_tar **out,
                                const char *path,
                                struct flv_err *err);
/* name: at most 99 characters. */
void cli_tar_add(struct cli_tar *t, const char *name, struct flv_slice bytes);
FLV_CHECKED flv_rc cli_tar_close(struct cli_tar *t, struct flv_err *err);

#endif
