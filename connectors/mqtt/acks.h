/*
 * acks.h - which messages a broker may forget, and when it is told.
 *
 * Purpose    Keeps promise 1 for MQTT: a message of QoS 1 or 2 is
 *            acknowledged only when its record is settled, in the order in
 *            which messages came on this connection (MQTT-4.6.0-2, -3). Knows
 *            messages again that a broker sends once more on this or a later
 *            connection of the same session.
 *
 *              PUBLISH -> WAITING --settled--> PUBACK -> free     (QoS 1)
 *              PUBLISH -> WAITING --settled--> PUBREC -> RECEIVED
 *                                      PUBREL -> PUBCOMP -> free  (QoS 2)
 *
 * Again      A message is known again only while its acknowledgement was
 *            never sent (QoS 1) or never released (QoS 2), carries DUP, and
 *            has the content that was seen under its identifier: the broker
 *            cannot have given the identifier to another one. Whatever is in
 *            doubt is delivered: at least once, never less.
 * Threads    Loop thread only; no I/O.
 * Ownership  One struct per source, for its whole life; owns its tables.
 * Errors     FLV_E_PROTOCOL: the broker broke the standard.
 * See        MQTT 5.0 sections 4.3, 4.4, 4.6;
 *            tests/unit/connector/test_mqtt_acks.c
 */
#ifndef FLV_CONNECTORS_MQTT_ACKS_H
#define FLV_CONNECTORS_MQTT_ACKS_H

#include "packet.h"

struct mqtt_slot; /* one a packet identifier */
struct mqtt_owed; /* one acknowledgement that waits its turn */

struct mqtt_acks {
    struct mqtt_slot *slots; /* owned; 65536, by packet identifier */
    struct mqtt_owed *ring;  /* owned; as many */
    uint32_t head, owed;     /* ring: first one, how many */
    uint64_t settled;        /* record number */
};

/* Pages of the tables are only taken when they are used. The ceiling of
 * messages under way is that of packet identifiers; how many there are is for
 * the caller, who sees `owed`. */
FLV_CHECKED flv_rc mqtt_acks_init(struct mqtt_acks *a, struct flv_err *err);
void mqtt_acks_deinit(struct mqtt_acks *a);

/* A message of QoS 1 or 2 came. *out_new: it has to be delivered, then
 * mqtt_acks_take() tells under which number. Else it was delivered before and
 * its acknowledgement is owed once more. */
FLV_CHECKED flv_rc mqtt_acks_publish(struct mqtt_acks *a,
                                     const struct mqtt_publish *m,
                                     bool *out_new,
                                     struct flv_err *err);
/* number: that of its record; of the record before it when it left none. */
void mqtt_acks_take(struct mqtt_acks *a,
                    const struct mqtt_publish *m,
                    uint64_t number);

/* Every record up to `upto` is settled. */
void mqtt_acks_settled(struct mqtt_acks *a, uint64_t upto);
/* The next acknowledgement to send, MQTT_PUBACK or MQTT_PUBREC; false: none
 * is due. */
bool mqtt_acks_next(struct mqtt_acks *a, enum mqtt_type *out, uint16_t *out_id);
/* PUBREL. *out_code is PUBCOMP's: 0, or that the identifier is not known. */
FLV_CHECKED flv_rc mqtt_acks_release(struct mqtt_acks *a,
                                     uint16_t id,
                                     uint8_t *out_code,
                                     struct flv_err *err);

/* The connection is over: what is owed is owed no more, until it comes again.
 */
void mqtt_acks_disconnected(struct mqtt_acks *a);
/* The broker kept no session: no message will come again. */
void mqtt_acks_forget(struct mqtt_acks *a);

#endif
