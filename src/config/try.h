/*
 * try.h - the early return of parsers.
 *
 * Purpose    FLV_TRY(call) returns the call's code from the function around
 *            it unless that is FLV_OK. Only where nothing has to be released.
 */
#ifndef FLV_CONFIG_TRY_H
#define FLV_CONFIG_TRY_H

#include <fluvio/err.h>

#define FLV_TRY(call)                                                          \
    do {                                                                       \
        flv_rc flv_try_rc = (call);                                            \
        if (flv_try_rc != FLV_OK) {                                            \
            return flv_try_rc;                                                 \
        }                                                                      \
    } while (0)

#endif
