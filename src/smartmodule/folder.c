#include "smartmodule/folder.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The folder and those above it; false: it cannot be made. */
static bool make_folders(char *path)
{
    bool ok = true;

    for (char *p = strchr(path + 1, '/'); ok && p != NULL;
         p = strchr(p + 1, '/')) {
        *p = '\0';
        ok = mkdir(path, 0700) == 0 || errno == EEXIST || errno == EROFS;
        *p = '/';
    }
    return ok && (mkdir(path, 0700) == 0 || errno == EEXIST);
}

flv_rc flv_sm_cache_folder(char out[FLV_SM_FOLDER_MAX], struct flv_err *err)
{
    const char *dir = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int len = -1;

    if (dir != NULL && dir[0] == '/') {
        len = snprintf(out, FLV_SM_FOLDER_MAX, "%s/fluvio-c/smartmodules", dir);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(out, FLV_SM_FOLDER_MAX,
                       "%s/.cache/fluvio-c/smartmodules", home);
    }
    if (len <= 0 || len >= FLV_SM_FOLDER_MAX) {
        return flv_fail(err, FLV_E_NOT_FOUND,
                        "neither XDG_CACHE_HOME nor HOME names a folder");
    }
    return make_folders(out)
               ? FLV_OK
               : flv_fail_sys(err, FLV_E_IO, errno,
                              "cannot make the folder %.140s", out);
}
