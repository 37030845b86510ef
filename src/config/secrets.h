/*
 * secrets.h - values that files name and only the runtime knows.
 *
 * Purpose    Reads a file of NAME=VALUE lines and finds values by name: in it
 *            alone, in it and the environment, or in it and remembering what
 *            was asked for, so that nobody is handed more than he names.
 * Threads    No sharing.
 * Ownership  The values belong to struct flv_secrets or the environment.
 * Errors     FLV_E_NOT_FOUND: there is no such file. FLV_E_INVALID
 *            "file:line: sentence", never with a value in it.
 */
#ifndef FLV_CONFIG_SECRETS_H
#define FLV_CONFIG_SECRETS_H

#include "base/bytes.h"

struct flv_secrets {
    struct flv_buf text; /* owned: NAME\0VALUE\0NAME\0VALUE\0... */
    struct flv_buf used; /* owned: NAME=VALUE lines of those asked for */
};

void flv__secrets_init(struct flv_secrets *s);
/* Leaves no value in memory. */
void flv__secrets_deinit(struct flv_secrets *s);
/* path may name a descriptor, such as /dev/fd/3. */
FLV_CHECKED flv_rc flv__secrets_read(struct flv_secrets *s,
                                     const char *path,
                                     struct flv_err *err);
/* All of these are a flv_secret_fn: NULL when nobody knows the name. */
const char *flv__secrets_find(void *secrets, const char *name);
/* The same, or from the environment. */
const char *flv__secrets_get(void *secrets, const char *name);
/* As _find; what was found is in `used` from then on. NULL also without
 * memory for that. */
const char *flv__secrets_use(void *secrets, const char *name);

#endif
