/*
 * dedup.h - the part of a topic's description that drops repeated records.
 *
 * Purpose    Reads `deduplication` of a topic file or of the topic of a
 *            connector file, in the one form that Fluvio gives it:
 *
 *                deduplication:
 *                  bounds:
 *                    count: 100
 *                    age: 1m            # optional
 *                  filter:
 *                    transform:
 *                      uses: dedup      # a SmartModule on the cluster
 *                      with:            # optional
 *                        field: id
 *
 * Threads    Any; the document is only read.
 * Ownership  *out borrows from the document and the arena.
 * Errors     FLV_E_INVALID with "file:line:column: sentence"; FLV_E_NOMEM.
 * See        tests/unit/config/test_connector_file.c, tests/e2e/dedup.bats
 */
#ifndef FLV_CONFIG_DEDUP_H
#define FLV_CONFIG_DEDUP_H

#include "base/arena.h"
#include "config/doc.h"

#define FLV_DOC_DEDUP_NAME_MAX 255
#define FLV_DOC_DEDUP_PARAMS_MAX 250

struct flv_doc_dedup {
    const char *filter;
    uint64_t count;            /* 1 or more */
    uint64_t age_ms;           /* 0: not said */
    const char *const *params; /* name, value, name, value, ... */
    size_t param_count;        /* pairs */
};

/* Initializers of a struct flv_dedup (fluvio/client.h, which this room does not
 * know) that borrows what *d does. */
#define FLV_DOC_DEDUP_FIELDS(d)                                                \
    .filter = (d)->filter, .count = (d)->count, .age_ms = (d)->age_ms,         \
    .params = (d)->params, .param_count = (d)->param_count

FLV_CHECKED flv_rc flv_doc_dedup(const struct flv_doc *doc,
                                 const struct flv_node *node,
                                 struct flv_arena *arena,
                                 struct flv_doc_dedup *out,
                                 struct flv_err *err);

#endif
