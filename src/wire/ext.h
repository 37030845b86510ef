/*
 * ext.h - what our server offers beyond Fluvio's protocol.
 *
 * Purpose    Topic settings that Fluvio's TopicSpec has no place for, and the
 *            meaning of the sequence fields that Fluvio leaves at -1. A client
 *            uses them only where the server's ApiVersions lists the key, or
 *            where a plain server does no harm by ignoring them.
 * Threads    Constant tables; values belong to the caller.
 * Ownership  As in codec.h.
 * Errors     As in codec.h.
 *
 * Key 30001 on the SC, versions 11 to 19: a create request for a topic with a
 * durability in front. The body is flv_wire_topic_create_ext without an
 * envelope, the answer is flv_wire_status. The server adds flv_wire_ext_range
 * to its ApiVersions answer; plain clients ignore a key they do not know.
 *
 * Sequences in Produce: a producer with an id numbers the records of one
 * partition from 0; first_sequence of a batch is the number of its first
 * record. The server answers
 *   a batch that it has already   success, with the old base offset (-1 when
 *                                 it no longer knows where)
 *   a sequence that skips ahead,  FLV_WIRE_OFFSET_OUT_OF_RANGE, which means
 *   or an id it does not know     nothing else in an answer to Produce: the
 *   that begins above 0           batch was not stored
 */
#ifndef FLV_WIRE_EXT_H
#define FLV_WIRE_EXT_H

#include "wire/sc.h"

#define FLV_API_SC_TOPIC_CREATE_EXT 30001

extern const struct flv_wire_api_range flv_wire_ext_range;

enum flv_wire_durability {
    FLV_WIRE_DURABILITY_DEFAULT = 0,
    FLV_WIRE_DURABILITY_DISK = 1,
    FLV_WIRE_DURABILITY_PAGE_CACHE = 2,
};

struct flv_wire_topic_create_ext {
    uint8_t durability; /* enum flv_wire_durability; others are invalid */
    struct flv_wire_topic_create create;
};
FLV_WIRE_MESSAGE(topic_create_ext)

#endif
