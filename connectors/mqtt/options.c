#include "options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/rand.h"
#include "loop/tls.h"

static const char *const url_names[] = {"url", NULL};
static const char *const filter_names[] = {"topic", NULL};
static const char *const user_names[] = {"username", NULL};
static const char *const outputs[] = {"envelope", "raw", NULL};
static const char *const payloads[] = {"binary", "json", NULL};
static const char *const sessions[] = {"auto", "clean", "persistent", NULL};
static const char *const protocols[] = {"auto", "3.1.1", "5", NULL};
static const char *const invalids[] = {"skip", "binary", "fail", NULL};

/* clang-format off */
const struct flv_opt mqtt_opts[] = {
    {.name = "mqtt-url", .letter = 'm', FLV_STR(struct mqtt_conf, url),
     .aliases = url_names, .env = "MQTT_URL",
     .flags = FLV_OPT_REQUIRED | FLV_OPT_SECRET,
     .example = "mqtt://127.0.0.1:1883",
     .help = "Broker: host, host:port, mqtt://host or mqtts://host"},
    {.name = "mqtt-topic", FLV_LIST(struct mqtt_conf, filters),
     .aliases = filter_names, .flags = FLV_OPT_REQUIRED,
     .example = "plant/+/temperature",
     .help = "Topic filter to subscribe to, + and # are wildcards; may be "
             "repeated"},
    {.name = "timeout", FLV_DURATION(struct mqtt_conf, timeout_ms),
     .unit_ms = 1000, .fallback = "60", .min = 1000, .max = 65535000,
     .help = "Time limit of an attempt to connect, and the keep-alive"},
    {.name = "qos", .letter = 'q', FLV_U64(struct mqtt_conf, qos),
     .fallback = "1", .max = 2,
     .help = "Quality of service: 0 at most once, 1 at least once, 2 exactly "
             "once from the broker"},
    {.name = "client-id", FLV_STR(struct mqtt_conf, client_id), .since = "0.3",
     .max = MQTT_CLIENT_ID_MAX - 1,
     .example = "plant-reader",
     .help = "Name under which the broker keeps the session; default: made of "
             "connector, topic and subscription"},
    {.name = "payload-output-type", FLV_CHOICE(struct mqtt_conf, payload),
     .choices = payloads, .fallback = "binary", .since = "0.4",
     .help = "Payload in the envelope: bytes as numbers, or JSON as it is"},
    {.name = "on-invalid-json", FLV_CHOICE(struct mqtt_conf, invalid),
     .choices = invalids, .fallback = "skip",
     .help = "What becomes of a payload that is not JSON where JSON is asked "
             "for"},
    {.name = "output", FLV_CHOICE(struct mqtt_conf, output),
     .choices = outputs, .fallback = "envelope",
     .help = "Record: an envelope with mqtt_topic and payload, or raw: the "
             "payload as value, the topic as key"},
    {.name = "user", FLV_STR(struct mqtt_conf, user), .aliases = user_names,
     .example = "reader",
     .help = "User name for the broker"},
    {.name = "password", FLV_STR(struct mqtt_conf, password),
     .env = "MQTT_PASSWORD", .flags = FLV_OPT_SECRET,
     .help = "Password for the broker"},
    {.name = "ca-file", FLV_STR(struct mqtt_conf, ca_file),
     .example = "/etc/ssl/own-ca.pem",
     .help = "File with the CA certificates (PEM) to trust for mqtts://; "
             "default: the system's"},
    {.name = "cert-file", FLV_STR(struct mqtt_conf, cert_file),
     .example = "/etc/ssl/client.pem",
     .help = "File with the client's certificate (PEM) for mqtts://"},
    {.name = "key-file", FLV_STR(struct mqtt_conf, key_file),
     .example = "/etc/ssl/client.key",
     .help = "File with its key (PEM)"},
    {.name = "session", FLV_CHOICE(struct mqtt_conf, session),
     .choices = sessions, .fallback = "auto",
     .help = "Whether the broker keeps messages while the connector is away; "
             "auto: persistent from qos 1 up"},
    {.name = "session-expiry", FLV_DURATION(struct mqtt_conf, session_expiry_ms),
     .unit_ms = 1000, .min = 1000, .max = UINT64_C(4294967294) * 1000,
     .example = "7d",
     .help = "How long it keeps them (MQTT 5); default: for ever"},
    {.name = "receive-max", FLV_U64(struct mqtt_conf, receive_max),
     .fallback = "1000", .min = 1, .max = 65535,
     .help = "Messages taken before the first is acknowledged; MQTT 5 brokers "
             "are told"},
    {.name = "max-packet-bytes", FLV_SIZE(struct mqtt_conf, packet_bytes_max),
     .fallback = "500 KB", .min = 128, .max = 7000000,
     .help = "Largest packet that is taken"},
    {.name = "protocol", FLV_CHOICE(struct mqtt_conf, protocol),
     .choices = protocols, .fallback = "auto",
     .help = "Version of MQTT; auto: 5, then 3.1.1"},
    {.name = "reconnect-min", FLV_DURATION(struct mqtt_conf, backoff_min_ms),
     .unit_ms = 1000, .fallback = "200ms", .min = 10, .max = 3600000,
     .help = "First pause before connecting again; it doubles each time"},
    {.name = "reconnect-max", FLV_DURATION(struct mqtt_conf, backoff_max_ms),
     .unit_ms = 1000, .fallback = "30s", .min = 10, .max = 3600000,
     .help = "Longest pause before connecting again"},
    {.name = NULL},
};
/* clang-format on */

static flv_rc check_filters(const struct mqtt_conf *conf, struct flv_err *err)
{
    for (size_t i = 0; i < conf->filters.count; i++) {
        if (!mqtt_filter_ok(conf->filters.items[i])) {
            return flv_fail(err, FLV_E_USAGE,
                            "mqtt-topic: \"%.80s\" is not a topic filter; "
                            "+ stands for one whole level, # for all that "
                            "follow, at the end",
                            conf->filters.items[i]);
        }
    }
    return FLV_OK;
}

flv_rc mqtt_check(void *data, struct flv_err *err)
{
    const struct mqtt_conf *conf = data;
    struct mqtt_url where;
    flv_rc rc = mqtt_url_read(conf->url, &where, err);
    if (rc == FLV_OK) {
        rc = check_filters(conf, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    if (!where.tls && (conf->ca_file != NULL || conf->cert_file != NULL ||
                       conf->key_file != NULL)) {
        return flv_fail(err, FLV_E_USAGE,
                        "ca-file, cert-file and key-file are for TLS; write "
                        "mqtt-url as mqtts://host");
    }
    if ((conf->cert_file == NULL) != (conf->key_file == NULL)) {
        return flv_fail(err, FLV_E_USAGE,
                        "cert-file and key-file are given together");
    }
    if (conf->password != NULL && conf->user == NULL && !where.has_user) {
        return flv_fail(err, FLV_E_USAGE,
                        "password is given without user; MQTT takes one only "
                        "with the other");
    }
    return FLV_OK;
}

bool mqtt_is_clean(const struct mqtt_conf *conf)
{
    return conf->session == MQTT_SESSION_CLEAN ||
           (conf->session == MQTT_SESSION_AUTO && conf->qos == 0);
}

static uint32_t expiry_s(const struct mqtt_conf *conf)
{
    return conf->session_expiry_ms > 0
               ? (uint32_t)((conf->session_expiry_ms + 999) / 1000)
               : UINT32_MAX;
}

/* The option, else what the address says. */
static const char *
either(const char *option, bool has, const char *from_address)
{
    return option != NULL ? option : has ? from_address : NULL;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

flv_rc mqtt_link_settings(const struct mqtt_conf *conf,
                          struct mqtt_url *where,
                          struct flv_tls **out_tls,
                          struct mqtt_link_conf *out,
                          struct flv_err *err)
{
    const struct flv_tls_conf tls = {.ca.file = conf->ca_file,
                                     .cert.file = conf->cert_file,
                                     .key.file = conf->key_file};
    *out_tls = NULL;
    flv_rc rc = mqtt_url_read(conf->url, where, err);
    if (rc == FLV_OK && where->tls) {
        rc = flv_tls_create(out_tls, &tls, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    *out = (struct mqtt_link_conf){
        .where = where,
        .tls = *out_tls,
        .user = either(conf->user, where->has_user, where->user),
        .password =
            either(conf->password, where->has_password, where->password),
        .filters = (const char *const *)conf->filters.items,
        .filter_count = conf->filters.count,
        .qos = (uint8_t)conf->qos,
        .clean = mqtt_is_clean(conf),
        .protocol = (enum mqtt_protocol)conf->protocol,
        .timeout_ms = conf->timeout_ms,
        .session_expiry_s = expiry_s(conf),
        .receive_max = (uint16_t)conf->receive_max,
        .packet_bytes_max = (size_t)conf->packet_bytes_max,
        .backoff_min_ms = smaller(conf->backoff_min_ms, conf->backoff_max_ms),
        .backoff_max_ms = conf->backoff_max_ms,
    };
    return FLV_OK;
}

static uint32_t subscription_hash(const struct mqtt_conf *conf)
{
    struct flv_siphash h;
    char qos = (char)('0' + conf->qos);
    flv_siphash_init(&h, 0, 0);
    flv_siphash_add(&h, &qos, 1);
    for (size_t i = 0; i < conf->filters.count; i++) {
        const char *filter = conf->filters.items[i];
        flv_siphash_add(&h, filter, strlen(filter) + 1);
    }
    return (uint32_t)flv_siphash_end(&h);
}

void mqtt_client_id(const struct mqtt_conf *conf,
                    const struct mqtt_url *where,
                    const char *name,
                    const char *topic,
                    char out[MQTT_CLIENT_ID_MAX])
{
    if (conf->client_id != NULL) {
        (void)snprintf(out, MQTT_CLIENT_ID_MAX, "%s", conf->client_id);
    } else if (where->client_id[0] != '\0') {
        (void)snprintf(out, MQTT_CLIENT_ID_MAX, "%s", where->client_id);
    } else if (mqtt_is_clean(conf)) {
        (void)snprintf(out, MQTT_CLIENT_ID_MAX, "fluvio-%016" PRIx64,
                       flv_rand_u64());
    } else {
        (void)snprintf(out, MQTT_CLIENT_ID_MAX, "fluvio-%.80s-%.80s-%08" PRIx32,
                       name, topic, subscription_hash(conf));
    }
}
