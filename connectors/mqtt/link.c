#include "link.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "loop/net.h"

#define TARGET "mqtt"
#define IN_BYTES_MIN ((size_t)64 * 1024)
/* Acknowledgements, pings and one SUBSCRIBE. */
#define OUT_BYTES_MAX ((size_t)1024 * 1024)
#define SUBSCRIBE_ID 1
#define LINGER_MS 1000
/* After so long without trouble the pauses are short again. */
#define HEALTHY_MS 30000

enum phase {
    WAIT,      /* for the next attempt */
    CONNECT,   /* TCP */
    HANDSHAKE, /* CONNECT was sent */
    SUBSCRIBE, /* SUBSCRIBE was sent */
    LIVE,
    ENDING,  /* the connection is being closed; WAIT follows */
    LEAVING, /* the last words are on their way */
    CLOSED,  /* only `closed` is to come */
};

struct mqtt_link {
    struct mqtt_link_conf conf;
    enum phase phase;
    enum mqtt_version version;
    struct flv_connect connect;
    struct flv_conn *conn; /* owned; NULL: none */
    struct flv_reader reader;
    struct flv_timer attempt; /* limit of one; pause between two */
    struct flv_timer beat;    /* keep-alive */
    struct flv_task news;     /* `readable` from outside of our callers */
    struct mqtt_acks acks;
    uint8_t *in; /* owned; what was read and not consumed is [pos, len) */
    size_t in_pos, in_len, in_cap;
    struct mqtt_packet packet; /* the message that waits */
    bool waiting;              /* packet is one */
    bool fresh;                /* QoS > 0: acks have to be told */
    struct flv_buf out[2];     /* owned: being filled, being written */
    unsigned filling;
    struct flv_write write;
    bool writing;
    uint64_t heard_ms, sent_ms, live_ms;
    uint32_t keep_alive_s;
    bool pinged;
    bool subscribed;   /* the broker's session is known to have all filters */
    unsigned failures; /* in a row */
    uint64_t settled;
    struct flv_err why; /* of the pause to come */
    void (*closed)(void *arg);
    void *closed_arg;
};

static void fail(struct mqtt_link *l, const struct flv_err *err);
static void leave_if_said(struct mqtt_link *l);

static void fail_text(struct mqtt_link *l, flv_rc rc, const char *text)
{
    struct flv_err err = {0};
    (void)flv_fail(&err, rc, "%s:%u: %s", l->conf.where->host,
                   l->conf.where->port, text);
    fail(l, &err);
}

/* The message that waits can be delivered: few enough are unacknowledged. A
 * broker of 3.1.1 was not told how many that are, and some do not heed it. */
static bool has_window(const struct mqtt_link *l)
{
    return !l->fresh || l->acks.owed < l->conf.receive_max;
}

static uint64_t now_ms(const struct mqtt_link *l)
{
    return flv_loop_now_ms(l->conf.loop);
}

/* --- writing -------------------------------------------------------------- */

static void written(struct flv_write *w, flv_rc rc);

static void flush(struct mqtt_link *l)
{
    struct flv_buf *b = &l->out[l->filling];
    if (l->writing || b->len == 0 || l->conn == NULL) {
        return;
    }
    l->writing = true;
    l->filling ^= 1;
    l->sent_ms = now_ms(l);
    const struct flv_slice part = flv_buf_slice(b);
    flv_conn_write(l->conn, &l->write, &part, 1, written);
}

/* What is due now, until the buffer has no room: the rest follows when it was
 * written. */
static void acknowledge(struct mqtt_link *l)
{
    enum mqtt_type type;
    uint16_t id;
    if (l->phase != LIVE && l->phase != SUBSCRIBE && l->phase != LEAVING) {
        return;
    }
    struct flv_buf *b = &l->out[l->filling];
    while (b->len < OUT_BYTES_MAX / 2 && mqtt_acks_next(&l->acks, &type, &id)) {
        if (mqtt_put_ack(b, type, l->version, id, 0) != FLV_OK) {
            fail_text(l, FLV_E_NOMEM, "out of memory for acknowledgements");
            return;
        }
    }
    flush(l);
    if (l->waiting && has_window(l) && l->phase != LEAVING) {
        l->conf.readable(l->conf.arg);
    }
}

static void written(struct flv_write *w, flv_rc rc)
{
    struct mqtt_link *l = FLV_OWNER_OF(w, struct mqtt_link, write);
    l->writing = false;
    flv_buf_reset(&l->out[l->filling ^ 1]);
    if (l->conn == NULL) {
        return; /* given up meanwhile */
    }
    if (rc == FLV_OK) {
        acknowledge(l);
        flush(l);
    } else if (l->phase != LEAVING) {
        fail(l, flv_conn_error(l->conn));
    }
    leave_if_said(l);
}

/* --- the end of a connection -----------------------------------------------
 */

static void connect_now(struct mqtt_link *l);

static void attempt_over(struct flv_timer *t)
{
    struct mqtt_link *l = FLV_OWNER_OF(t, struct mqtt_link, attempt);
    if (l->phase == WAIT) {
        connect_now(l);
    } else if (l->phase == HANDSHAKE || l->phase == SUBSCRIBE) {
        fail_text(l, FLV_E_TIMEOUT, "the broker does not answer");
    } else if (l->phase == LEAVING) {
        flv_buf_reset(&l->out[l->filling]); /* it had its time */
        l->writing = false;
        leave_if_said(l);
    }
}

/* Doubling from the smallest to the largest pause, half of it by chance. */
static uint64_t pause_ms(const struct mqtt_link *l)
{
    uint64_t ms = l->conf.backoff_min_ms;
    for (unsigned i = 1; i < l->failures && ms < l->conf.backoff_max_ms; i++) {
        ms *= 2;
    }
    ms = ms < l->conf.backoff_max_ms ? ms : l->conf.backoff_max_ms;
    return ms / 2 + flv_rand_below(ms / 2 + 1);
}

static void wait_again(struct mqtt_link *l)
{
    uint64_t ms = pause_ms(l);
    l->phase = WAIT;
    l->conf.state(l->conf.arg, MQTT_RETRYING, &l->why, ms);
    if (l->phase == WAIT &&
        flv_timer_start(&l->attempt, ms, 0, NULL) != FLV_OK) {
        /* Without memory for a timer there is none for a connection. */
        flv_loop_defer(l->conf.loop, &l->news);
    }
}

static void destroy(struct mqtt_link *l)
{
    void (*closed)(void *arg) = l->closed;
    void *arg = l->closed_arg;
    flv_timer_stop(&l->attempt);
    flv_timer_stop(&l->beat);
    flv_loop_undefer(l->conf.loop, &l->news);
    mqtt_acks_deinit(&l->acks);
    flv_buf_deinit(&l->out[0]);
    flv_buf_deinit(&l->out[1]);
    flv_free(l->in);
    flv_free(l);
    closed(arg);
}

static void conn_closed(void *arg)
{
    struct mqtt_link *l = arg;
    if (l->phase == CLOSED) {
        destroy(l);
        return;
    }
    assert(l->phase == ENDING && l->conn == NULL);
    wait_again(l);
}

/* Which protocol to try next, where that is free. */
static void other_version(struct mqtt_link *l)
{
    if (l->conf.protocol == MQTT_PROTOCOL_AUTO) {
        l->version = l->version == MQTT_5 ? MQTT_311 : MQTT_5;
    }
}

/* Forgets what belongs to the connection: it is gone. */
static void drop_input(struct mqtt_link *l)
{
    l->in_pos = l->in_len = 0;
    l->waiting = false;
    mqtt_acks_disconnected(&l->acks);
    flv_buf_reset(&l->out[l->filling]);
}

static void fail(struct mqtt_link *l, const struct flv_err *err)
{
    if (l->phase == ENDING || l->phase >= LEAVING || l->phase == WAIT) {
        return;
    }
    if (l->phase == HANDSHAKE && err->rc == FLV_E_CLOSED) {
        other_version(l); /* brokers of old just hang up on MQTT 5 */
    }
    if (l->phase == LIVE && now_ms(l) - l->live_ms >= HEALTHY_MS) {
        l->failures = 0;
    }
    l->failures++;
    l->why = *err;
    flv_timer_stop(&l->attempt);
    flv_timer_stop(&l->beat);
    drop_input(l);
    l->phase = ENDING;
    struct flv_conn *conn = l->conn;
    l->conn = NULL;
    if (conn != NULL) {
        flv_conn_close(conn, conn_closed, l);
    } else {
        conn_closed(l);
    }
}

/* --- packets ----------------------------------------------------------------
 */

static void go_live(struct mqtt_link *l)
{
    l->phase = LIVE;
    l->live_ms = now_ms(l);
    flv_timer_stop(&l->attempt);
    l->conf.state(l->conf.arg, MQTT_LIVE, NULL, 0);
    acknowledge(l);
}

static bool has_wildcard(const struct mqtt_link *l)
{
    for (size_t i = 0; i < l->conf.filter_count; i++) {
        if (strpbrk(l->conf.filters[i], "+#") != NULL) {
            return true;
        }
    }
    return false;
}

static void subscribe(struct mqtt_link *l)
{
    l->phase = SUBSCRIBE;
    if (mqtt_put_subscribe(&l->out[l->filling], l->version, SUBSCRIBE_ID,
                           l->conf.filters, l->conf.filter_count,
                           l->conf.qos) != FLV_OK) {
        fail_text(l, FLV_E_LIMIT, "the topic filters do not fit one request");
        return;
    }
    flush(l);
}

/* Refused. A broker of old that does not know MQTT 5 is asked once more. */
static void refused(struct mqtt_link *l, uint8_t code, struct flv_slice reason)
{
    char text[160];
    (void)snprintf(
        text, sizeof(text), "the broker refuses the connection: %s%s%.*s",
        mqtt_code_text(l->version, MQTT_CONNACK, code),
        reason.len > 0 ? ": " : "", (int)(reason.len < 60 ? reason.len : 60),
        (const char *)reason.data);
    if (l->version == MQTT_5 && (code == 1 || code == 0x84)) {
        other_version(l);
    }
    fail_text(l, FLV_E_REFUSED, text);
}

/* Often enough for half of the keep-alive, which the broker may shorten. */
static bool beat_as_agreed(struct mqtt_link *l)
{
    uint64_t period = (uint64_t)l->keep_alive_s * 1000 / 4;
    if (l->keep_alive_s > 0 &&
        flv_timer_start(&l->beat, period, period, NULL) != FLV_OK) {
        fail_text(l, FLV_E_NOMEM, "out of memory for a timer");
        return false;
    }
    return true;
}

static void on_connack(struct mqtt_link *l, const struct mqtt_packet *p)
{
    const struct mqtt_connack *c = &p->connack;
    if (l->phase != HANDSHAKE) {
        fail_text(l, FLV_E_PROTOCOL, "the broker accepts twice");
        return;
    }
    if (c->code != 0) {
        refused(l, c->code, p->reason);
        return;
    }
    if (c->qos_max < l->conf.qos) {
        fail_text(l, FLV_E_UNSUPPORTED,
                  "the broker offers a lower quality of service than qos");
        return;
    }
    if (!c->wildcards && has_wildcard(l)) {
        fail_text(l, FLV_E_UNSUPPORTED,
                  "the broker allows no wildcards, but mqtt-topic has one");
        return;
    }
    if (c->has_keep_alive) {
        l->keep_alive_s = c->keep_alive_s;
    }
    if (!beat_as_agreed(l)) {
        return;
    }
    if (c->session_present && l->conf.clean) {
        fail_text(l, FLV_E_PROTOCOL,
                  "the broker kept a session that was to be clean");
        return;
    }
    if (!c->session_present) {
        mqtt_acks_forget(&l->acks);
        l->subscribed = false;
    }
    /* A session may be there without our filters: whoever made it had others,
     * or did not come as far as this. Only what the broker granted to this
     * process is believed. */
    if (l->subscribed) {
        go_live(l);
    } else {
        subscribe(l);
    }
}

static void on_suback(struct mqtt_link *l, const struct mqtt_packet *p)
{
    if (l->phase != SUBSCRIBE || p->id != SUBSCRIBE_ID ||
        p->codes.len != l->conf.filter_count) {
        fail_text(l, FLV_E_PROTOCOL,
                  "the broker answers a subscription that was not made");
        return;
    }
    for (size_t i = 0; i < p->codes.len; i++) {
        uint8_t code = p->codes.data[i];
        struct flv_err err = {0};
        if (code >= MQTT_FAILURE) {
            (void)flv_fail(&err, FLV_E_REFUSED,
                           "the broker rejects the topic filter \"%.80s\": %s",
                           l->conf.filters[i],
                           mqtt_code_text(l->version, MQTT_SUBACK, code));
            fail(l, &err);
            return;
        }
        if (code < l->conf.qos) {
            (void)flv_fail(&err, FLV_E_REFUSED,
                           "the broker grants QoS %u instead of %u for the "
                           "topic filter \"%.80s\"",
                           code, l->conf.qos, l->conf.filters[i]);
            fail(l, &err);
            return;
        }
    }
    l->subscribed = true;
    go_live(l);
}

static void on_pubrel(struct mqtt_link *l, const struct mqtt_packet *p)
{
    uint8_t code = 0;
    struct flv_err err = {0};
    if (mqtt_acks_release(&l->acks, p->id, &code, &err) != FLV_OK) {
        fail(l, &err);
        return;
    }
    struct flv_buf *b = &l->out[l->filling];
    if (b->len > OUT_BYTES_MAX - 16 ||
        mqtt_put_ack(b, MQTT_PUBCOMP, l->version, p->id, code) != FLV_OK) {
        fail_text(l, FLV_E_LIMIT, "the broker does not read what it is sent");
        return;
    }
    flush(l);
}

static void on_goodbye(struct mqtt_link *l, const struct mqtt_packet *p)
{
    char text[160];
    (void)snprintf(text, sizeof(text),
                   "the broker ends the connection: %s%s%.*s",
                   mqtt_code_text(l->version, MQTT_DISCONNECT, p->code),
                   p->reason.len > 0 ? ": " : "",
                   (int)(p->reason.len < 60 ? p->reason.len : 60),
                   (const char *)p->reason.data);
    fail_text(l, FLV_E_CLOSED, text);
}

/* True: it is a message that has to be delivered. */
static bool on_publish(struct mqtt_link *l, const struct mqtt_packet *p)
{
    struct flv_err err = {0};
    l->fresh = false;
    if (l->phase != LIVE && l->phase != SUBSCRIBE) {
        fail_text(l, FLV_E_PROTOCOL, "a message before the connection stands");
        return false;
    }
    if (p->publish.qos == 0) {
        return true;
    }
    if (mqtt_acks_publish(&l->acks, &p->publish, &l->fresh, &err) != FLV_OK) {
        fail(l, &err);
        return false;
    }
    if (!l->fresh) {
        acknowledge(l);
    }
    return l->fresh;
}

static void on_control(struct mqtt_link *l, const struct mqtt_packet *p)
{
    if (l->phase == HANDSHAKE && p->type != MQTT_CONNACK) {
        fail_text(l, FLV_E_PROTOCOL,
                  "the broker begins with something else than CONNACK");
        return;
    }
    switch (p->type) {
    case MQTT_CONNACK:
        on_connack(l, p);
        break;
    case MQTT_SUBACK:
        on_suback(l, p);
        break;
    case MQTT_PUBREL:
        on_pubrel(l, p);
        break;
    case MQTT_DISCONNECT:
        on_goodbye(l, p);
        break;
    default: /* PINGRESP */
        l->pinged = false;
        break;
    }
}

/* Packets in order, up to the first message that has to be delivered. */
static void consume(struct mqtt_link *l)
{
    while (l->conn != NULL && !l->waiting) {
        struct mqtt_packet p;
        struct flv_err err = {0};
        flv_rc rc =
            mqtt_decode(flv_slice(l->in + l->in_pos, l->in_len - l->in_pos),
                        l->version, l->conf.packet_bytes_max, &p, &err);
        if (rc != FLV_OK) {
            fail(l, &err);
            return;
        }
        if (p.size == 0) {
            return;
        }
        if (p.type == MQTT_PUBLISH && on_publish(l, &p)) {
            l->packet = p;
            l->waiting = true;
            return;
        }
        if (p.type != MQTT_PUBLISH) {
            on_control(l, &p);
        }
        if (l->conn != NULL) {
            l->in_pos += p.size;
        }
    }
}

/* --- reading -----------------------------------------------------------------
 */

static bool make_room(struct mqtt_link *l)
{
    if (l->in_pos > 0 && (l->in_pos == l->in_len || l->in_len == l->in_cap)) {
        if (l->waiting) {
            return l->in_len < l->in_cap; /* the message borrows from it */
        }
        memmove(l->in, l->in + l->in_pos, l->in_len - l->in_pos);
        l->in_len -= l->in_pos;
        l->in_pos = 0;
    }
    if (l->in_len < l->in_cap) {
        return true;
    }
    size_t max = l->conf.packet_bytes_max + IN_BYTES_MIN;
    size_t cap = l->in_cap < IN_BYTES_MIN ? IN_BYTES_MIN : l->in_cap * 2;
    cap = cap < max ? cap : max;
    if (cap <= l->in_cap || l->waiting) {
        return false;
    }
    uint8_t *bytes = flv_realloc(l->in, cap);
    if (bytes == NULL) {
        return false;
    }
    l->in = bytes;
    l->in_cap = cap;
    return true;
}

static void *space(struct flv_reader *r, size_t *out_size)
{
    struct mqtt_link *l = FLV_OWNER_OF(r, struct mqtt_link, reader);
    if (!make_room(l)) {
        return NULL;
    }
    *out_size = l->in_cap - l->in_len;
    return l->in + l->in_len;
}

static void data(struct flv_reader *r, size_t n)
{
    struct mqtt_link *l = FLV_OWNER_OF(r, struct mqtt_link, reader);
    l->in_len += n;
    l->heard_ms = now_ms(l);
    consume(l);
    if (l->waiting) {
        l->conf.readable(l->conf.arg);
    }
}

static void ended(struct flv_reader *r, flv_rc rc)
{
    struct mqtt_link *l = FLV_OWNER_OF(r, struct mqtt_link, reader);
    if (rc != FLV_OK) {
        fail(l, flv_conn_error(l->conn));
    } else {
        fail_text(l, FLV_E_CLOSED, "the broker closed the connection");
    }
}

/* Reading goes on when it stopped for want of room and there is some. */
static void read_on(struct mqtt_link *l)
{
    if (l->conn != NULL && !flv_conn_reading(l->conn) && make_room(l)) {
        l->heard_ms = now_ms(l); /* we were the silent one */
        flv_conn_read_start(l->conn, &l->reader);
    }
}

bool mqtt_link_next(struct mqtt_link *l, struct mqtt_publish *out)
{
    if (!l->waiting) {
        consume(l);
    }
    if (!l->waiting) {
        read_on(l);
        return false;
    }
    if (!has_window(l)) {
        return false; /* acknowledge() says when */
    }
    *out = l->packet.publish;
    return true;
}

void mqtt_link_taken(struct mqtt_link *l, uint64_t number)
{
    assert(l->waiting);
    if (l->fresh) {
        mqtt_acks_take(&l->acks, &l->packet.publish, number);
    }
    l->waiting = false;
    l->in_pos += l->packet.size;
    if (l->fresh && number <= l->settled) {
        acknowledge(l);
    }
}

void mqtt_link_settled(struct mqtt_link *l, uint64_t upto)
{
    l->settled = upto;
    mqtt_acks_settled(&l->acks, upto);
    acknowledge(l);
}

/* --- connecting --------------------------------------------------------------
 */

static void beat(struct flv_timer *t)
{
    struct mqtt_link *l = FLV_OWNER_OF(t, struct mqtt_link, beat);
    uint64_t limit = (uint64_t)l->keep_alive_s * 1000, now = now_ms(l);
    if (limit == 0 || l->conn == NULL) {
        return;
    }
    if (l->pinged && flv_conn_reading(l->conn) && now - l->heard_ms >= limit) {
        fail_text(l, FLV_E_TIMEOUT, "the broker is silent");
        return;
    }
    /* Silence is broken by asking: also when only the broker is talking, and
     * again when its answer waits behind messages that nobody takes yet. */
    if (!l->writing && (now - l->sent_ms >= limit / 2 ||
                        (!l->pinged && now - l->heard_ms >= limit / 2))) {
        l->pinged = true;
        if (mqtt_put_ping(&l->out[l->filling]) == FLV_OK) {
            flush(l);
        }
    }
}

static void say_hello(struct mqtt_link *l)
{
    const struct mqtt_link_conf *c = &l->conf;
    uint64_t seconds = (c->timeout_ms + 999) / 1000;
    l->keep_alive_s = seconds < UINT16_MAX ? (uint32_t)seconds : UINT16_MAX;
    const struct mqtt_connect hello = {
        .version = l->version,
        .client_id = c->client_id,
        .user = c->user,
        .password = flv_slice_str(c->password),
        .has_password = c->password != NULL,
        .clean = c->clean,
        .session_expiry_s = c->clean ? 0 : c->session_expiry_s,
        .keep_alive_s = (uint16_t)l->keep_alive_s,
        .receive_max = c->receive_max,
        .packet_max = (uint32_t)c->packet_bytes_max,
    };
    if (mqtt_put_connect(&l->out[l->filling], &hello) != FLV_OK) {
        fail_text(l, FLV_E_NOMEM, "out of memory for the request to connect");
        return;
    }
    flush(l);
}

static void connected(struct flv_connect *c,
                      flv_rc rc,
                      struct flv_conn *conn,
                      const struct flv_err *err)
{
    struct mqtt_link *l = FLV_OWNER_OF(c, struct mqtt_link, connect);
    if (l->phase == CLOSED) {
        if (conn != NULL) {
            flv_conn_close(conn, conn_closed, l);
        } else {
            destroy(l);
        }
        return;
    }
    if (rc != FLV_OK) {
        fail(l, err);
        return;
    }
    l->conn = conn;
    l->phase = HANDSHAKE;
    l->heard_ms = l->sent_ms = now_ms(l);
    l->pinged = false;
    flv_conn_read_start(conn, &l->reader);
    if (flv_timer_start(&l->attempt, l->conf.timeout_ms, 0, NULL) != FLV_OK) {
        fail_text(l, FLV_E_NOMEM, "out of memory for a timer");
        return;
    }
    say_hello(l);
}

static void connect_now(struct mqtt_link *l)
{
    struct flv_err err = {0};
    l->phase = CONNECT;
    l->connect = (struct flv_connect){
        .tls = l->conf.tls,
        .host = l->conf.where->host,
        .port = l->conf.where->port,
        .timeout_ms = l->conf.timeout_ms,
        .done = connected,
    };
    if (flv_connect_start(&l->connect, l->conf.loop, &err) != FLV_OK) {
        fail(l, &err);
    }
}

static void start(struct flv_task *t)
{
    connect_now(FLV_OWNER_OF(t, struct mqtt_link, news));
}

static void destroy_now(struct flv_task *t)
{
    destroy(FLV_OWNER_OF(t, struct mqtt_link, news));
}

/* --- life --------------------------------------------------------------------
 */

flv_rc mqtt_link_open(struct mqtt_link **out,
                      const struct mqtt_link_conf *conf,
                      struct flv_err *err)
{
    struct mqtt_link *l = flv_zalloc(1, sizeof(*l));
    if (l == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    l->conf = *conf;
    l->version = conf->protocol == MQTT_PROTOCOL_311 ? MQTT_311 : MQTT_5;
    flv_rc rc = mqtt_acks_init(&l->acks, err);
    if (rc != FLV_OK) {
        flv_free(l);
        return rc;
    }
    flv_buf_init(&l->out[0], OUT_BYTES_MAX);
    flv_buf_init(&l->out[1], OUT_BYTES_MAX);
    l->reader = (struct flv_reader){.space = space, .data = data, .end = ended};
    flv_timer_init(&l->attempt, conf->loop, attempt_over);
    flv_timer_init(&l->beat, conf->loop, beat);
    flv_task_init(&l->news, start);
    flv_loop_defer(conf->loop, &l->news);
    *out = l;
    return FLV_OK;
}

/* The last words were said, or nobody takes them. */
static void leave_if_said(struct mqtt_link *l)
{
    if (l->phase != LEAVING || l->writing ||
        (l->out[l->filling].len > 0 && flv_conn_error(l->conn)->rc == FLV_OK)) {
        return;
    }
    struct flv_conn *conn = l->conn;
    l->phase = CLOSED;
    l->conn = NULL;
    flv_timer_stop(&l->attempt);
    flv_conn_close_gently(conn, LINGER_MS, conn_closed, l);
}

static void say_goodbye(struct mqtt_link *l)
{
    l->phase = LEAVING;
    flv_conn_read_stop(l->conn);
    acknowledge(l);
    if (mqtt_put_disconnect(&l->out[l->filling]) == FLV_OK) {
        flush(l);
    }
    if (flv_timer_start(&l->attempt, LINGER_MS, 0, NULL) != FLV_OK) {
        flv_buf_reset(&l->out[l->filling]);
    }
    leave_if_said(l);
}

void mqtt_link_close(struct mqtt_link *l, void (*closed)(void *arg), void *arg)
{
    enum phase phase = l->phase;
    assert(phase < LEAVING);
    l->closed = closed;
    l->closed_arg = arg;
    flv_timer_stop(&l->attempt);
    flv_timer_stop(&l->beat);
    flv_loop_undefer(l->conf.loop, &l->news);
    if (l->conn != NULL) {
        say_goodbye(l);
        return;
    }
    l->phase = CLOSED;
    if (phase == CONNECT) {
        flv_connect_cancel(&l->connect);
    } else if (phase == WAIT) {
        flv_task_init(&l->news, destroy_now);
        flv_loop_defer(l->conf.loop, &l->news);
    } /* ENDING: conn_closed() follows */
}
