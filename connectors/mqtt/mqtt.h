/*
 * mqtt.h - the MQTT source: subscribes, one record a message.
 *
 * Purpose    The descriptor, the configuration and its pure helpers: where
 *            the broker is, and the shape of a record.
 * Threads    Loop thread only.
 * Ownership  See <fluvio/connector.h>.
 * Errors     FLV_E_USAGE for settings, naming the option.
 * See        README.md (delivery semantics), session.h
 */
#ifndef FLV_CONNECTORS_MQTT_H
#define FLV_CONNECTORS_MQTT_H

#include <fluvio/connector.h>

#include "base/opt.h"

#define MQTT_HOST_MAX 256
#define MQTT_CLIENT_ID_MAX 256

enum mqtt_output { MQTT_OUTPUT_ENVELOPE, MQTT_OUTPUT_RAW };
enum mqtt_payload { MQTT_PAYLOAD_BINARY, MQTT_PAYLOAD_JSON };
enum mqtt_session_kind {
    MQTT_SESSION_AUTO,
    MQTT_SESSION_CLEAN,
    MQTT_SESSION_PERSISTENT,
};
/* What becomes of a payload that is not JSON, where JSON is asked for. */
enum mqtt_invalid { MQTT_INVALID_SKIP, MQTT_INVALID_BINARY, MQTT_INVALID_FAIL };
enum mqtt_protocol { MQTT_PROTOCOL_AUTO, MQTT_PROTOCOL_311, MQTT_PROTOCOL_5 };

struct mqtt_conf {
    char *url;
    struct flv_list filters;
    uint64_t timeout_ms; /* of an attempt to connect; keep-alive as well */
    uint64_t qos;        /* 0, 1, 2 */
    char *client_id;
    char *user, *password;
    int output;   /* enum mqtt_output */
    int payload;  /* enum mqtt_payload */
    int session;  /* enum mqtt_session_kind */
    int protocol; /* enum mqtt_protocol */
    int invalid;  /* enum mqtt_invalid */
    uint64_t session_expiry_ms;
    uint64_t receive_max;
    uint64_t packet_bytes_max;
    uint64_t backoff_min_ms, backoff_max_ms;
    char *ca_file, *cert_file, *key_file;
};

extern const struct flv_connector mqtt_connector;

/* --- where the broker is ---------------------------------------------------
 */

struct mqtt_url {
    char host[MQTT_HOST_MAX];
    uint16_t port;
    bool tls;
    char user[MQTT_CLIENT_ID_MAX], password[MQTT_CLIENT_ID_MAX];
    char client_id[MQTT_CLIENT_ID_MAX]; /* ?client_id=; empty: none */
    bool has_user, has_password;
};

/* host, host:port, mqtt://, tcp://, mqtts://, ssl://, with user:password@ and
 * ?client_id=; ports 1883 and 8883 where none is given. The text of an error
 * never has a password in it. */
FLV_CHECKED flv_rc mqtt_url_read(const char *text,
                                 struct mqtt_url *out,
                                 struct flv_err *err);

/* --- the record ------------------------------------------------------------
 */

/* Appends {"mqtt_topic":"...","payload":[1,2,3]}, or with MQTT_PAYLOAD_JSON
 * the payload itself as JSON. FLV_E_INVALID: it is none. */
FLV_CHECKED flv_rc mqtt_record(struct flv_slice topic,
                               struct flv_slice payload,
                               enum mqtt_payload form,
                               struct flv_buf *out,
                               struct flv_err *err);

#endif
