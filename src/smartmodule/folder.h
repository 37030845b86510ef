/*
 * folder.h - where programs of a person keep compiled modules.
 *
 * Purpose    One folder for all of them, so that a module is compiled once:
 *            fluvio-c/smartmodules below XDG_CACHE_HOME or ~/.cache.
 * Threads    Any; blocks on the disk.
 * Errors     FLV_E_NOT_FOUND: the environment names no home; FLV_E_IO: the
 *            folder cannot be made, with its path. Without one modules are
 *            compiled each time.
 */
#ifndef FLV_SMARTMODULE_FOLDER_H
#define FLV_SMARTMODULE_FOLDER_H

#include <fluvio/err.h>

#define FLV_SM_FOLDER_MAX 4096

/* Makes it (0700) when it is missing. */
FLV_CHECKED flv_rc flv_sm_cache_folder(char out[FLV_SM_FOLDER_MAX],
                                       struct flv_err *err);

#endif
