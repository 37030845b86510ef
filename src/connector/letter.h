/*
 * letter.h - the envelope of a record that a stage failed on.
 *
 * Purpose    Writes docs/format/dead-letter.md, version 1: the original bytes
 *            with where they came from and why they are here.
 * Threads    Pure.
 * Ownership  Borrows everything for the call.
 * Errors     FLV_E_LIMIT and FLV_E_NOMEM from the buffer.
 */
#ifndef FLV_CONNECTOR_LETTER_H
#define FLV_CONNECTOR_LETTER_H

#include "base/bytes.h"

#define FLV_LETTER_VERSION 1

struct flv_letter_facts {
    const char *connector; /* name of the instance */
    const char *type;      /* "http" */
    const char *topic;     /* what a source fills; NULL: none */
    size_t stage;          /* from 1 */
    const char *module;    /* its name: a path or what the cluster calls it;
                            * NULL: the far side of a sink failed, no module */
    const char *hash;      /* SHA-256 of the module, hex */
    const char *kind;      /* "filter" */
    const char *cause;     /* "trap" */
    const char *text;      /* one sentence */
    struct flv_slice hint; /* the module's own words, or empty */
    uint64_t number;       /* of the record in this life of the connector */
    const char *of_topic;  /* where it came from a topic; else NULL */
    uint32_t partition;
    int64_t offset;
    int64_t time_ms; /* when it failed */
    bool has_key;
    struct flv_slice key, value;
};

FLV_CHECKED flv_rc flv__letter_write(struct flv_buf *b,
                                     const struct flv_letter_facts *facts);

#endif
