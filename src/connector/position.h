/*
 * position.h - the rules of a sink's positions.
 *
 * Purpose    Where reading begins, and whether a position that was kept still
 *            means what it meant: it belongs to one creation of a topic and
 *            lies between the first record that is there and the end. What
 *            does not fit is an error with the way out, never a skip. The end
 *            counts only where topics have ids: on a cluster of Fluvio's it is
 *            its servers that refuse what is behind it.
 * Threads    Pure.
 * Ownership  Borrows everything for the call.
 * Errors     FLV_E_USAGE: a start that cannot be read. FLV_E_INVALID: a
 *            position that does not fit.
 * See        docs/connectors.md, tests/unit/connector/test_position.c
 */
#ifndef FLV_CONNECTOR_POSITION_H
#define FLV_CONNECTOR_POSITION_H

#include "stream/stream.h"

/* "beginning", "end", "absolute:N", "from-beginning:N", "from-end:N" */
FLV_CHECKED flv_rc flv__start_parse(const char *text,
                                    struct flv_start *out,
                                    struct flv_err *err);

/* The start of a partition without a position. Where the consumer has one of
 * another partition, this one came later: everything in it is new. */
struct flv_start flv__position_start(struct flv_start asked, bool has_others);

struct flv_position_facts {
    const char *topic, *consumer;
    const char *topic_id; /* of the topic that is there; "": not known */
    const char *kept_id;  /* with the position; "": was not known then; NULL:
                           * kept without one */
    uint32_t partition;
    int64_t next_offset;
    int64_t first, end; /* what is there; end < 0: not known yet */
};
FLV_CHECKED flv_rc flv__position_check(const struct flv_position_facts *f,
                                       struct flv_err *err);

#endif
