/*
 * schemas.h - which table belongs to which frame.
 *
 * Purpose    For those who handle any message alike: logs, tests, fuzzers.
 * Threads    Constant tables.
 */
#ifndef FLV_WIRE_SCHEMAS_H
#define FLV_WIRE_SCHEMAS_H

#include "wire/api.h"

/* True when the body is in an envelope, flv_wire_envelope. */
bool flv_wire_request_wrapped(enum flv_wire_side side, uint16_t api);
bool flv_wire_response_wrapped(enum flv_wire_side side, uint16_t api);

/* The table of a body, or NULL when there is none. `label` is the envelope's;
 * it is ignored where there is no envelope. */
const struct flv_wire_schema *flv_wire_request_schema(enum flv_wire_side side,
                                                      uint16_t api,
                                                      struct flv_slice label);
const struct flv_wire_schema *flv_wire_response_schema(enum flv_wire_side side,
                                                       uint16_t api,
                                                       struct flv_slice label);

#endif
