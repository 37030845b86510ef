/*
 * policy.h - what becomes of a record that a SmartModule fails on.
 *
 * Purpose    Reads `halt`, `discard`, `retry:N` and `dead-letter:TOPIC`.
 * Threads    No sharing.
 * Ownership  The topic borrows from the text that was read.
 * Errors     FLV_E_USAGE with the text and all that it may be.
 * See        docs/connectors.md, tests/unit/connector/test_plan.c
 */
#ifndef FLV_CONNECTOR_POLICY_H
#define FLV_CONNECTOR_POLICY_H

#include <fluvio/err.h>
#include <stdint.h>

#define FLV_RETRIES_MAX 1000

enum flv_policy_kind {
    FLV_POLICY_HALT,
    FLV_POLICY_RETRY, /* then halt */
    FLV_POLICY_DISCARD,
    FLV_POLICY_DEAD_LETTER,
};

struct flv_policy {
    enum flv_policy_kind kind;
    uint32_t retries;
    const char *topic; /* DEAD_LETTER; borrowed */
    uint32_t lane;     /* DEAD_LETTER: of the topic; set by the plan */
};

FLV_CHECKED flv_rc flv__policy_parse(const char *text,
                                     struct flv_policy *out,
                                     struct flv_err *err);
/* "halt", "retry", "discard", "dead-letter" */
const char *flv__policy_name(enum flv_policy_kind kind);

#endif
