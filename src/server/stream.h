/*
 * stream.h - one StreamFetch conversation.
 *
 * Purpose    Sends whole batches of one partition, one frame at a time: the
 *            next one goes out when the client has asked for its offset
 *            (UpdateOffsets) and there is something to send. Recent batches
 *            come from the tail, older ones through the read pool.
 *
 *                WAIT --end moved--> READ --frame--> SEND --written--> ACK
 *                 ^                                                     |
 *                 +------------------- UpdateOffsets -------------------+
 *
 * Threads    Loop thread only.
 * Ownership  A stream belongs to its peer's list while it lives and counts as
 *            one reference on it; it frees itself once it has ended and
 *            nothing is under way.
 * Errors     Go to the client as a frame with the stream's id; the stream is
 *            then over. See docs/server.md for the codes.
 * See        tests/unit/server/test_server.c
 */
#ifndef FLV_SERVER_STREAM_H
#define FLV_SERVER_STREAM_H

#include "server/offsets.h"
#include "server/peer.h"
#include "wire/spu.h"

#include <fluvio/err.h>

#define FLV_STREAMS_PER_PEER_MAX 1024
#define FLV_STREAM_BYTES_MAX (4u << 20) /* of one frame, beyond one batch */

/* Begins the conversation about a partition that is there and has the offset,
 * or answers with an error frame. Only a lack of memory is an error. */
FLV_CHECKED flv_rc
flv_stream_start(const struct flv_request *r,
                 const struct flv_wire_stream_fetch_request *req,
                 struct flv_err *err);
/* The error frame of a conversation that does not begin. */
void flv_stream_refuse(const struct flv_request *r,
                       const struct flv_wire_stream_fetch_request *req,
                       struct flv_wire_error error);
void flv_stream_end_all(struct flv_peer *p);
/* The policy changed: streams of what may no longer be consumed end. */
void flv_stream_recheck(struct flv_peer *p);

/* UpdateOffsets: the offset wanted next. False: no such stream. */
bool flv_stream_update(struct flv_peer *p, uint32_t stream_id, int64_t offset);

struct flv_stream_consumer {
    uint64_t topic_id;
    uint32_t partition;
    const char *name; /* borrowed; NULL: opened without one */
};
/* Whose offsets the stream is about. False: no such stream. */
bool flv_stream_consumer(const struct flv_peer *p,
                         uint32_t stream_id,
                         struct flv_stream_consumer *out);

#endif
