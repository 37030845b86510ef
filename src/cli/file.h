/*
 * file.h - whole files, in and out.
 *
 * Purpose    Files that are small enough to be held: modules, documents.
 * Threads    Blocks; one thread.
 * Ownership  The buffer is the caller's.
 * Errors     FLV_E_IO names the file and the reason; FLV_E_LIMIT: too large.
 */
#ifndef FLV_CLI_FILE_H
#define FLV_CLI_FILE_H

#include "base/bytes.h"

#include <stdbool.h>

/* Appends the file; at most what the buffer's ceiling allows. */
FLV_CHECKED flv_rc cli_file_read(const char *path,
                                 struct flv_buf *out,
                                 struct flv_err *err);
/* Whole or not at all, under that name. replace false: FLV_E_EXISTS where
 * there is one. */
FLV_CHECKED flv_rc cli_file_write(const char *path,
                                  struct flv_slice bytes,
                                  bool replace,
                                  struct flv_err *err);

#endif
