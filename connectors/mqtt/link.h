/*
 * link.h - the connection to a broker, for as long as the source lives.
 *
 * Purpose    Connects, subscribes, hands out messages one after the other,
 *            acknowledges what is settled, and does it all again when the
 *            connection is lost: for ever, with growing pauses. Never drops
 *            a message: what is not taken stays in the socket.
 *
 *              WAIT --pause over--> CONNECT --CONNACK--> SUBSCRIBE --SUBACK--+
 *               ^                      |  \--session present--> LIVE <-------+
 *               +---- any failure -----+------------------------+
 *
 * Threads    Loop thread only. Only `state` may run from inside a function
 *            here; it must not call back.
 * Ownership  The configuration is borrowed until `closed`. A message borrows
 *            from the link until mqtt_link_taken() or the next turn.
 * Errors     None end a link: they are told to `state`, and it tries again.
 * See        acks.h, README.md; MQTT 5.0 chapter 4
 */
#ifndef FLV_CONNECTORS_MQTT_LINK_H
#define FLV_CONNECTORS_MQTT_LINK_H

#include "acks.h"
#include "mqtt.h"

struct flv_loop;
struct flv_tls;

enum mqtt_state {
    MQTT_LIVE,     /* subscribed */
    MQTT_RETRYING, /* lost or refused; err says why */
};

struct mqtt_link_conf {
    struct flv_loop *loop;
    const struct mqtt_url *where;
    struct flv_tls *tls; /* or NULL: plain */
    const char *client_id;
    const char *user, *password; /* or NULL */
    const char *const *filters;
    size_t filter_count;
    uint8_t qos;
    bool clean;
    enum mqtt_protocol protocol;
    uint64_t timeout_ms; /* of an attempt; its seconds are the keep-alive */
    uint32_t session_expiry_s;
    uint16_t receive_max;
    size_t packet_bytes_max;
    uint64_t backoff_min_ms, backoff_max_ms;
    /* A message waits: mqtt_link_next(). */
    void (*readable)(void *arg);
    /* retry_ms: until the next attempt. err is NULL unless RETRYING. */
    void (*state)(void *arg,
                  enum mqtt_state state,
                  const struct flv_err *err,
                  uint64_t retry_ms);
    void *arg;
};

struct mqtt_link;

FLV_CHECKED flv_rc mqtt_link_open(struct mqtt_link **out,
                                  const struct mqtt_link_conf *conf,
                                  struct flv_err *err);
/* Sends what is due, says goodbye, then `closed`, once; the link is gone. */
void mqtt_link_close(struct mqtt_link *l, void (*closed)(void *arg), void *arg);

/* The next message to deliver. False: none has come yet. The same one comes
 * again until it is taken. */
bool mqtt_link_next(struct mqtt_link *l, struct mqtt_publish *out);
/* It was delivered under this record number; number of the last record when
 * it left none. */
void mqtt_link_taken(struct mqtt_link *l, uint64_t number);
/* Every record up to `upto` is safe. */
void mqtt_link_settled(struct mqtt_link *l, uint64_t upto);

#endif
