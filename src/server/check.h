/*
 * check.h - fluvio-server --check: verifies a data directory offline.
 *
 * Purpose    Reads every byte and changes nothing: the marker, SQLite's own
 *            integrity check, each partition's log. One line per partition
 *            and a summary go to `out`.
 * Threads    Blocks; before a loop runs.
 * Errors     FLV_E_CORRUPT when something is damaged (the lines say what),
 *            FLV_E_LOCKED while a server runs, else as of datadir.h.
 */
#ifndef FLV_SERVER_CHECK_H
#define FLV_SERVER_CHECK_H

#include <fluvio/err.h>
#include <stdio.h>

FLV_CHECKED flv_rc flv_check_data_dir(const char *path,
                                      FILE *out,
                                      struct flv_err *err);

#endif
