#include "http/microhttpd.h"

#include <stdbool.h>

#define SONAME "libmicrohttpd.so.12"

struct flv__mhd flv__mhd;

/* The names as they are written in the library. */
static const char *const names[] = {FLV__MHD_MAP(FLV_DYN_NAME)};

flv_rc flv__mhd_load(struct flv_err *err)
{
    static bool loaded;
    _Static_assert(sizeof(flv__mhd) == sizeof(names),
                   "one pointer per function");
    if (loaded) {
        return FLV_OK;
    }
    const char *why = NULL;
    void *dl = flv_dyn_open(SONAME, &why);
    if (dl == NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "serving HTTP needs libmicrohttpd, and " SONAME
                        " cannot be loaded: %.120s",
                        why);
    }
    const char *missing = FLV_DYN_FILL(dl, names, &flv__mhd);
    if (missing != NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        SONAME " is too old: it has no %s", missing);
    }
    loaded = true;
    return FLV_OK;
}
