#include "http/microhttpd.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

#define SONAME "libmicrohttpd.so.12"

struct flv__mhd flv__mhd;

/* The names as they are written in the library. */
static const char *const names[] = {
#define FLV__MHD_NAME(name) #name,
    FLV__MHD_MAP(FLV__MHD_NAME)
#undef FLV__MHD_NAME
};

flv_rc flv__mhd_load(struct flv_err *err)
{
    static bool loaded;
    struct flv__mhd found;
    unsigned char *p = (unsigned char *)&found;
    _Static_assert(sizeof(found) == sizeof(names), "one pointer per function");
    if (loaded) {
        return FLV_OK;
    }
    void *dl = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    if (dl == NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "serving HTTP needs libmicrohttpd, and " SONAME
                        " cannot be loaded: %.120s",
                        dlerror());
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        void *f = dlsym(dl, names[i]);
        if (f == NULL) {
            return flv_fail(err, FLV_E_UNSUPPORTED,
                            SONAME " is too old: it has no %s", names[i]);
        }
        memcpy(p + i * sizeof(f), &f, sizeof(f));
    }
    flv__mhd = found;
    loaded = true;
    return FLV_OK;
}
