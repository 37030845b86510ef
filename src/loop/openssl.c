#include "loop/openssl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define SONAME "libssl.so.3"

struct flv__ssl flv__ssl;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded; /* under lock */

/* The names as they are written in the library. */
static const char *const names[] = {
#define FLV__SSL_NAME(name) #name,
    FLV__SSL_MAP(FLV__SSL_NAME)
#undef FLV__SSL_NAME
};

static flv_rc load(struct flv_err *err)
{
    struct flv__ssl found;
    unsigned char *p = (unsigned char *)&found;
    /* Finds libcrypto's functions, too: libssl needs them. */
    void *dl = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

    _Static_assert(sizeof(found) == sizeof(names), "one pointer per function");
    if (dl == NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "TLS needs OpenSSL 3, and " SONAME
                        " cannot be loaded: %.120s",
                        dlerror());
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        void *f = dlsym(dl, names[i]);

        if (f == NULL) {
            return flv_fail(err, FLV_E_UNSUPPORTED,
                            SONAME " is not OpenSSL 3: it has no %s", names[i]);
        }
        memcpy(p + i * sizeof(f), &f, sizeof(f));
    }
    flv__ssl = found;
    return FLV_OK;
}

flv_rc flv__ssl_load(struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    pthread_mutex_lock(&lock);
    if (!loaded) {
        rc = load(err);
        loaded = rc == FLV_OK;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}
