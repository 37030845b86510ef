#include "loop/openssl.h"

#include <pthread.h>
#include <stdbool.h>

#define SONAME "libssl.so.3"

struct flv__ssl flv__ssl;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded; /* under lock */

/* The names as they are written in the library. */
static const char *const names[] = {FLV__SSL_MAP(FLV_DYN_NAME)};

static flv_rc load(struct flv_err *err)
{
    const char *missing = NULL;
    const char *why = NULL;
    /* Finds libcrypto's functions, too: libssl needs them. */
    void *dl = flv_dyn_open(SONAME, &why);

    _Static_assert(sizeof(flv__ssl) == sizeof(names),
                   "one pointer per function");
    if (dl == NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "TLS needs OpenSSL 3, and " SONAME
                        " cannot be loaded: %.120s",
                        why);
    }
    missing = FLV_DYN_FILL(dl, names, &flv__ssl);
    return missing == NULL
               ? FLV_OK
               : flv_fail(err, FLV_E_UNSUPPORTED,
                          SONAME " is not OpenSSL 3: it has no %s", missing);
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
