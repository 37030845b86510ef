/*
 * consumer.h - the settings of a sink's reading, from options and file.
 *
 * Purpose    Turns `consumer:` of a file into the options that say the same,
 *            and checks what these say.
 * Threads    Before the loop.
 * Ownership  Borrows the file.
 * Errors     FLV_E_INVALID with file and line; FLV_E_USAGE names the option.
 * See        docs/connectors.md, tests/unit/connector/test_position.c
 */
#ifndef FLV_CONNECTOR_CONSUMER_H
#define FLV_CONNECTOR_CONSUMER_H

#include "connector/plan.h"

FLV_CHECKED flv_rc flv__consumer_apply(const struct flv_cfile *file,
                                       struct flv_opts *opts,
                                       struct flv_err *err);
FLV_CHECKED flv_rc flv__consumer_check(const struct flv_shared_conf *shared,
                                       const struct flv_plan *plan,
                                       struct flv_err *err);

#endif
