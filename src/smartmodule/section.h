/*
 * section.h - records of a caller in the form that a chain takes.
 *
 * Purpose    Builds struct flv_sm_input.section for callers that have records
 *            and no batch: a count and the records behind it.
 * Threads    Pure.
 * Ownership  The buffer is the caller's and bounds what is added.
 * Errors     FLV_E_LIMIT, FLV_E_NOMEM: the section is as it was.
 */
#ifndef FLV_SMARTMODULE_SECTION_H
#define FLV_SMARTMODULE_SECTION_H

#include "base/bytes.h"

/* Adds one record to the section in b; an empty buffer becomes one. ts_delta:
 * milliseconds since the section's base timestamp. */
FLV_CHECKED flv_rc flv_sm_section_add(struct flv_buf *b,
                                      bool has_key,
                                      struct flv_slice key,
                                      struct flv_slice value,
                                      int64_t ts_delta);

#endif
