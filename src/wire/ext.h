/*
 * ext.h - what our server offers beyond Fluvio's protocol.
 *
 * Purpose    Topic settings that Fluvio's TopicSpec has no place for, positions
 *            bound to one creation of a topic, and the
 *            meaning of the sequence fields that Fluvio leaves at -1. A client
 *            uses them only where the server's ApiVersions lists the key, or
 *            where a plain server does no harm by ignoring them.
 * Threads    Constant tables; values belong to the caller.
 * Ownership  As in codec.h.
 * Errors     As in codec.h.
 *
 * Key 30001 on the SC, versions 11 to 19: a create request for a topic with a
 * durability in front. The body is flv_wire_topic_create_ext without an
 * envelope, the answer is flv_wire_status. The server adds flv_wire_ext_ranges
 * to its ApiVersions answer; plain clients ignore keys they do not know.
 *
 * Key 30002 on the SC, same versions: flv_wire_topic_look asks for the creation
 * id of a topic, a text that no other topic has, of any name, time or server;
 * it is the message of the flv_wire_status that answers.
 *
 * Key 30003 on the SC, same versions: flv_wire_position_store stores the offset
 * of the last record that a consumer has done with, -1 for none, if the topic
 * is still of that creation; else the error is FLV_WIRE_TOPIC_NOT_FOUND. Unlike
 * UpdateConsumerOffset it needs no stream, so that a position can be stored
 * before anything is read. The answer, a flv_wire_status, comes when it is on
 * disk.
 *
 * Key 30004 on the SC, same versions: flv_wire_server_look asks how the server
 * is; the answer is flv_wire_server_state, with the first partitions of which
 * something is wrong, and the cause in words.
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
#define FLV_API_SC_TOPIC_LOOK 30002
#define FLV_API_SC_POSITION_STORE 30003
#define FLV_API_SC_SERVER_LOOK 30004
#define FLV_WIRE_EXT_COUNT 4
#define FLV_WIRE_TOPIC_ID_MAX 63

extern const struct flv_wire_api_range flv_wire_ext_ranges[FLV_WIRE_EXT_COUNT];

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

struct flv_wire_topic_look {
    struct flv_slice name;
};
FLV_WIRE_MESSAGE(topic_look)

struct flv_wire_position_store {
    struct flv_slice consumer, topic, topic_id;
    uint32_t partition;
    int64_t offset;
};
FLV_WIRE_MESSAGE(position_store)

struct flv_wire_server_look {
    uint32_t troubles_max; /* of partitions in the answer */
};
FLV_WIRE_MESSAGE(server_look)

/* What is wrong with a partition. */
struct flv_wire_trouble {
    struct flv_slice topic;
    uint32_t partition;
    struct flv_slice kind; /* offline, poisoned, damaged */
    struct flv_slice cause;
};

struct flv_wire_server_state {
    struct flv_slice version, platform, data_dir;
    uint64_t pid, uptime_ms, restarts;
    uint64_t disk_bytes, disk_free_bytes; /* 0, 0: not known */
    uint32_t partitions, troubled;        /* how many there are */
    FLV_VEC(struct flv_wire_trouble) troubles;
};
FLV_WIRE_MESSAGE(server_state)

#endif
