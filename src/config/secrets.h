/*
 * secrets.h - values that files name and only the runtime knows.
 *
 * Purpose    Reads a file of NAME=VALUE lines; a name that is not in it is
 *            looked for in the environment.
 * Threads    No sharing.
 * Ownership  The values belong to struct flv_secrets or the environment.
 * Errors     FLV_E_INVALID "file:line: sentence", never with a value in it.
 */
#ifndef FLV_CONFIG_SECRETS_H
#define FLV_CONFIG_SECRETS_H

#include "base/bytes.h"

struct flv_secrets {
    struct flv_buf text; /* owned: NAME\0VALUE\0NAME\0VALUE\0... */
};

void flv__secrets_init(struct flv_secrets *s);
void flv__secrets_deinit(struct flv_secrets *s);
/* path may name a descriptor, such as /dev/fd/3. */
FLV_CHECKED flv_rc flv__secrets_read(struct flv_secrets *s,
                                     const char *path,
                                     struct flv_err *err);
/* NULL when nobody knows the name. */
const char *flv__secrets_get(void *secrets, const char *name);
/* The same without the environment. */
const char *flv__secrets_find(void *secrets, const char *name);

#endif
