#include "mqtt.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "loop/tls.h"
#include "options.h"

#define TARGET "mqtt"
/* Of an envelope: four characters a byte, and what stands around them. */
#define VALUE_BYTES_MAX ((size_t)30 * 1024 * 1024)

enum { MESSAGES, INVALID, CONNECTIONS, DISCONNECTS };
static const char *const counters[] = {"messages", "invalid", "connections",
                                       "disconnects", NULL};

struct mqtt_source {
    const struct mqtt_conf *conf; /* borrowed */
    struct flv_source *src;
    struct mqtt_link *link; /* owned until closed */
    struct flv_tls *tls;    /* owned; NULL: plain */
    struct mqtt_url where;
    char client_id[MQTT_CLIENT_ID_MAX];
    struct flv_buf value; /* owned: an envelope being made */
};

static void on_readable(void *arg)
{
    struct mqtt_source *s = arg;
    flv_source_wake(s->src);
}

static void on_state(void *arg,
                     enum mqtt_state state,
                     const struct flv_err *err,
                     uint64_t retry_ms)
{
    struct mqtt_source *s = arg;
    if (state == MQTT_LIVE) {
        flv_source_count(s->src, CONNECTIONS, 1);
        flv_source_well(s->src);
        flv_log_info(TARGET, "subscribed", FLV_KV_STR("broker", s->where.host),
                     FLV_KV_U64("port", s->where.port),
                     FLV_KV_STR("client_id", s->client_id));
        return;
    }
    flv_source_count(s->src, DISCONNECTS, 1);
    flv_source_trouble(s->src, err, retry_ms);
    flv_log_warn(TARGET, "no broker, trying again",
                 FLV_KV_STR("broker", s->where.host),
                 FLV_KV_U64("port", s->where.port), FLV_KV_ERR(err),
                 FLV_KV_U64("retry_ms", retry_ms));
}

/* --- records -----------------------------------------------------------------
 */

static flv_rc add_raw(struct flv_batch *batch,
                      const struct mqtt_publish *m,
                      struct flv_err *err)
{
    return flv_batch_add(batch, m->topic.data, m->topic.len, m->payload.data,
                         m->payload.len, err);
}

static flv_rc add_envelope(struct mqtt_source *s,
                           struct flv_batch *batch,
                           const struct mqtt_publish *m,
                           enum mqtt_payload form,
                           struct flv_err *err)
{
    flv_buf_reset(&s->value);
    flv_rc rc = mqtt_record(m->topic, m->payload, form, &s->value, err);
    if (rc == FLV_E_INVALID && s->conf->invalid == MQTT_INVALID_BINARY) {
        flv_source_count(s->src, INVALID, 1);
        flv_buf_reset(&s->value);
        rc = mqtt_record(m->topic, m->payload, MQTT_PAYLOAD_BINARY, &s->value,
                         err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    return flv_batch_add(batch, NULL, 0, s->value.data, s->value.len, err);
}

static flv_rc add_message(struct mqtt_source *s,
                          struct flv_batch *batch,
                          const struct mqtt_publish *m,
                          struct flv_err *err)
{
    if (s->conf->output == MQTT_OUTPUT_RAW) {
        return add_raw(batch, m, err);
    }
    return add_envelope(s, batch, m, (enum mqtt_payload)s->conf->payload, err);
}

/* A message that cannot become a record. True: it is done with. */
static bool skip_invalid(struct mqtt_source *s,
                         const struct mqtt_publish *m,
                         struct flv_err *err)
{
    if (err->rc != FLV_E_INVALID || s->conf->invalid == MQTT_INVALID_FAIL) {
        flv_err_prefix(err, "message on \"%.*s\"",
                       (int)(m->topic.len < 60 ? m->topic.len : 60),
                       (const char *)m->topic.data);
        flv_source_fail(s->src, err);
        return false;
    }
    flv_source_count(s->src, INVALID, 1);
    flv_log_warn(TARGET, "message skipped", FLV_KV_SLICE("topic", m->topic),
                 FLV_KV_ERR(err));
    return true;
}

static void pull(void *state, struct flv_batch *batch, uint32_t credit)
{
    struct mqtt_source *s = state;
    struct mqtt_publish m;
    assert(credit > 0);
    while (flv_batch_count(batch) < credit && mqtt_link_next(s->link, &m)) {
        struct flv_err err = {0};
        flv_rc rc = add_message(s, batch, &m, &err);
        if (rc == FLV_E_BUSY) {
            return; /* the same message comes again */
        }
        if (rc != FLV_OK && !skip_invalid(s, &m, &err)) {
            return;
        }
        flv_source_count(s->src, MESSAGES, 1);
        flv_source_account(s->src, FLV_AT_EXTRACT,
                           rc == FLV_OK ? FLV_FATE_PASSED : FLV_FATE_FAILED, 1);
        mqtt_link_taken(s->link, flv_batch_next_number(batch) - 1);
    }
}

static void settled(void *state, uint64_t upto)
{
    struct mqtt_source *s = state;
    mqtt_link_settled(s->link, upto);
}

/* --- life --------------------------------------------------------------------
 */

static flv_rc open_source(void *state,
                          const void *data,
                          struct flv_source *src,
                          struct flv_err *err)
{
    struct mqtt_source *s = state;
    const struct mqtt_conf *conf = data;
    struct mqtt_link_conf link;
    flv_rc rc = mqtt_link_settings(conf, &s->where, &s->tls, &link, err);
    if (rc != FLV_OK) {
        return rc;
    }
    s->conf = conf;
    s->src = src;
    mqtt_client_id(conf, &s->where, flv_source_name(src), flv_source_topic(src),
                   s->client_id);
    flv_buf_init(&s->value, VALUE_BYTES_MAX);
    link.loop = flv_source_loop(src);
    link.client_id = s->client_id;
    link.readable = on_readable;
    link.state = on_state;
    link.arg = s;
    rc = mqtt_link_open(&s->link, &link, err);
    if (rc != FLV_OK) {
        flv_tls_destroy(s->tls);
    }
    return rc;
}

static void link_closed(void *arg)
{
    struct mqtt_source *s = arg;
    s->link = NULL;
    flv_tls_destroy(s->tls);
    flv_buf_deinit(&s->value);
    flv_source_closed(s->src);
}

static void close_source(void *state)
{
    struct mqtt_source *s = state;
    mqtt_link_close(s->link, link_closed, s);
}

static const struct flv_source_ops source = {
    .state_size = sizeof(struct mqtt_source),
    .open = open_source,
    .pull = pull,
    .settled = settled,
    .close = close_source,
};

const struct flv_connector mqtt_connector = {
    .abi = FLV_CONNECTOR_ABI,
    .name = "mqtt",
    .version = FLV_VERSION,
    .summary = "Subscribes to an MQTT broker; each message becomes a record",
    .section = "mqtt",
    .opts = mqtt_opts,
    .conf_size = sizeof(struct mqtt_conf),
    .check = mqtt_check,
    .counters = counters,
    .source = &source,
    .probe = mqtt_probe,
};
