/*
 * classic.h - how metadata objects were framed before version 11.
 *
 * Purpose    Clients of Fluvio 0.10.0 to 0.10.8 speak version 10 of the
 *            metadata requests: the fields of version 11, framed otherwise.
 *
 *                list, watch, delete   str label, body, up to the frame's end
 *                create                head, u8 type, spec
 *
 *            Servers read and answer it; our own client never sends it.
 * Threads    None of its own.
 * Ownership  As in codec.h.
 * Errors     As in codec.h.
 * See        docs/format/wire.md, tests/unit/server/test_versions.c
 */
#ifndef FLV_WIRE_CLASSIC_H
#define FLV_WIRE_CLASSIC_H

#include "wire/api.h"

static inline bool flv_wire_is_classic(int16_t version)
{
    return version < FLV_WIRE_SC_MIN;
}

/* Reads the body of a create, delete, list or watch request. The body of
 * `out` is that of an envelope; what create has in it is copied to the arena.
 */
FLV_CHECKED flv_rc flv_wire_classic_open(uint16_t api,
                                         int16_t version,
                                         struct flv_slice in,
                                         struct flv_arena *arena,
                                         struct flv_wire_envelope *out,
                                         struct flv_err *err);

/* flv_wire_response_frame() for a message with a label. */
FLV_CHECKED flv_rc
flv_wire_classic_frame(const struct flv_wire_request_header *answered,
                       const struct flv_wire_message *message,
                       struct flv_buf *out,
                       struct flv_err *err);

#endif
