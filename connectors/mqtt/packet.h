/*
 * packet.h - MQTT control packets of a client: bytes to structs and back.
 *
 * Purpose    The strict subset of MQTT 3.1.1 and 5.0 that a subscriber
 *            speaks. Reads what a broker may send, writes what a subscriber
 *            sends. What the standard forbids is an error, not a guess.
 * Threads    Pure functions.
 * Ownership  A decoded packet borrows from the bytes. Encoding appends to the
 *            caller's buffer.
 * Errors     FLV_E_PROTOCOL: malformed, or nothing that a broker may send to
 *            a subscriber; FLV_E_LIMIT: larger than the caller takes, or the
 *            ceiling of the buffer; FLV_E_NOMEM.
 * See        OASIS MQTT 3.1.1 and MQTT 5.0, chapters 2 and 3;
 *            tests/unit/connector/test_mqtt_packet.c, tests/fuzz/fuzz_mqtt.c
 */
#ifndef FLV_CONNECTORS_MQTT_PACKET_H
#define FLV_CONNECTORS_MQTT_PACKET_H

#include <fluvio/err.h>
#include <fluvio/slice.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum mqtt_version { MQTT_311 = 4, MQTT_5 = 5 };

enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_PUBACK = 4,
    MQTT_PUBREC = 5,
    MQTT_PUBREL = 6,
    MQTT_PUBCOMP = 7,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_PINGREQ = 12,
    MQTT_PINGRESP = 13,
    MQTT_DISCONNECT = 14,
    MQTT_AUTH = 15,
};

/* The longest fixed header: type and four bytes of length. */
#define MQTT_HEAD_MAX 5
/* The largest remaining length that four bytes can say. */
#define MQTT_LENGTH_MAX 268435455u
/* Reason and return codes from here on are failures in MQTT 5. */
#define MQTT_FAILURE 0x80
#define MQTT_REASON_PACKET_ID_NOT_FOUND 0x92

/* What a broker says of itself when it accepts (MQTT 5; 3.1.1: defaults). */
struct mqtt_connack {
    bool session_present;
    uint8_t code;        /* 0: accepted */
    uint8_t qos_max;     /* 2 unless it says less */
    bool has_keep_alive; /* then keep_alive_s rules, 0: none */
    uint16_t keep_alive_s;
    bool wildcards;             /* false: filters may have none */
    struct flv_slice client_id; /* assigned; empty: none */
};

struct mqtt_publish {
    bool dup, retain;
    uint8_t qos;
    uint16_t id; /* qos 1 and 2 */
    struct flv_slice topic;
    struct flv_slice payload;
};

struct mqtt_packet {
    enum mqtt_type type;
    size_t size;  /* of the whole packet; 0: more bytes are needed */
    uint16_t id;  /* PUBREL, SUBACK */
    uint8_t code; /* PUBREL, DISCONNECT (MQTT 5) */
    struct mqtt_connack connack;
    struct mqtt_publish publish;
    struct flv_slice codes;  /* SUBACK: one a filter */
    struct flv_slice reason; /* the broker's words (MQTT 5); may be empty */
};

/* Reads the packet at the head of `bytes`. out->size is 0 when it is not
 * whole yet. A packet of more than size_max bytes is FLV_E_LIMIT as soon as
 * its length is known. */
FLV_CHECKED flv_rc mqtt_decode(struct flv_slice bytes,
                               enum mqtt_version version,
                               size_t size_max,
                               struct mqtt_packet *out,
                               struct flv_err *err);

/* --- writing -------------------------------------------------------------- */

struct mqtt_connect {
    enum mqtt_version version;
    const char *client_id; /* at most 65535 bytes, as every text here */
    const char *user;      /* or NULL */
    struct flv_slice password;
    bool has_password;
    bool clean;                /* begin without what the broker kept */
    uint32_t session_expiry_s; /* MQTT 5; UINT32_MAX: never */
    uint16_t keep_alive_s;     /* 0: none */
    uint16_t receive_max;      /* MQTT 5; at least 1 */
    uint32_t packet_max;       /* MQTT 5; bytes, at least 1 */
};
FLV_CHECKED flv_rc mqtt_put_connect(struct flv_buf *b,
                                    const struct mqtt_connect *c);

/* One SUBSCRIBE for all filters at one quality of service; id is not 0. May be
 * repeated: with MQTT 5 retained messages come only the first time. */
FLV_CHECKED flv_rc mqtt_put_subscribe(struct flv_buf *b,
                                      enum mqtt_version version,
                                      uint16_t id,
                                      const char *const *filters,
                                      size_t count,
                                      uint8_t qos);
/* PUBACK, PUBREC, PUBCOMP. code other than 0 only in MQTT 5. */
FLV_CHECKED flv_rc mqtt_put_ack(struct flv_buf *b,
                                enum mqtt_type type,
                                enum mqtt_version version,
                                uint16_t id,
                                uint8_t code);
FLV_CHECKED flv_rc mqtt_put_ping(struct flv_buf *b);
FLV_CHECKED flv_rc mqtt_put_disconnect(struct flv_buf *b);

/* --- words -----------------------------------------------------------------
 */

/* What a code of CONNACK, SUBACK or DISCONNECT means; never NULL. Knows what a
 * broker of 3.1.1 answers to a CONNECT of version 5, too. */
const char *
mqtt_code_text(enum mqtt_version version, enum mqtt_type type, uint8_t code);
/* May a subscription have this filter? '+' and '#' in their places. */
bool mqtt_filter_ok(const char *filter);

#endif
