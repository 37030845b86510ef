/*
 * plugin.h - subcommands that are programs of their own.
 *
 * Purpose    `fluvio NAME ...` runs `fluvio-NAME ...` from the plugin folder,
 *            from beside this program or from PATH.
 * Threads    One. On success the process image is replaced.
 */
#ifndef FLV_CLI_PLUGIN_H
#define FLV_CLI_PLUGIN_H

#include "base/bytes.h"

/* words[0] is the subcommand; ends with NULL. Returns only when it failed:
 * the exit status, after saying why. */
int cli_plugin_run(char *const *words);

/* Finds a program beside this one, else in PATH. FLV_E_NOT_FOUND. */
FLV_CHECKED flv_rc cli_program_find(const char *name,
                                    struct flv_buf *out,
                                    struct flv_err *err);

#endif
