/*
 * policy.h - who may do what, by the name in a client's certificate.
 *
 * Purpose    A file of rules, read whole; what no rule allows is refused.
 *
 *                # who      may               topics and other objects
 *                alice      produce,consume   orders-*
 *                "the ops"  all               *
 *                *          consume           public-*
 *
 *            Words are apart by blanks; `#` begins a comment; quotes allow
 *            blanks in a name. `*` alone as who is every certificate; in the
 *            last word it stands for any characters.
 * Threads    Reading blocks. Asking: any thread.
 * Ownership  load/destroy.
 * Errors     FLV_E_INVALID names file, line, word and what would be right.
 * Units      At most FLV_POLICY_BYTES_MAX and FLV_POLICY_RULES_MAX.
 * See        docs/security.md, tests/unit/server/test_policy.c
 */
#ifndef FLV_SERVER_POLICY_H
#define FLV_SERVER_POLICY_H

#include "base/bytes.h"

#include <fluvio/err.h>
#include <stdbool.h>

#define FLV_POLICY_BYTES_MAX (1u << 20)
#define FLV_POLICY_RULES_MAX 10000u

/* Listing what there is, and reading offsets, is allowed to all who may
 * connect. */
enum flv_right {
    FLV_RIGHT_CREATE = 1 << 0, /* and adding partitions */
    FLV_RIGHT_DELETE = 1 << 1,
    FLV_RIGHT_PRODUCE = 1 << 2,
    FLV_RIGHT_CONSUME = 1 << 3, /* and keeping offsets */
};

struct flv_policy;

FLV_CHECKED flv_rc flv_policy_load(struct flv_policy **out,
                                   const char *path,
                                   struct flv_err *err);
/* The same from memory; `path` is for errors. */
FLV_CHECKED flv_rc flv_policy_read(struct flv_policy **out,
                                   struct flv_slice text,
                                   const char *path,
                                   struct flv_err *err);
void flv_policy_destroy(struct flv_policy *p); /* NULL is allowed */

/* who NULL: nobody knows; nothing is allowed. */
bool flv_policy_allows(const struct flv_policy *p,
                       const char *who,
                       enum flv_right right,
                       struct flv_slice name);

#endif
