/*
 * A WebSocket that sends messages, opened again whenever it is lost.
 *
 *    PAUSE --pause over--> CONNECT --TCP, TLS--> SHAKE --101--> OPEN
 *      ^                      |                    |             |
 *      +--all pulled-- DRAIN <+--------------------+-------------+
 *
 *    stop: OPEN --our close--> LEAVING --their close--> CLOSED
 *
 * Bytes are made into messages one at a time, and the next only when the last
 * was pulled: what is not taken stays in the socket, in which `in` is 64 KiB.
 */
#include "http.h"

#include <assert.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/ws.h"
#include "loop/net.h"
#include "loop/tls.h"
#include "retry.h"

#define TARGET "http"
#define IN_SIZE ((size_t)64 * 1024)
/* Pongs that wait to be written; above it, nothing is read. */
#define OUT_FULL ((size_t)64 * 1024)
/* Our request, or the subscription messages and what comes behind them. */
#define OUT_MAX (HTTP_WS_MESSAGES_MAX + 2 * OUT_FULL)
#define LINGER_MS 1000

enum phase { PAUSE, CONNECT, SHAKE, OPEN, DRAIN, LEAVING, CLOSED };

struct ws {
    const struct http_conf *conf; /* borrowed */
    struct flv_source *src;
    struct flv_ws_url url;
    const char **headers; /* owned array, borrowed texts */
    struct flv_tls *tls;  /* owned; NULL: plain */
    struct http_retry retry;
    enum phase phase;
    struct flv_connect connect;
    struct flv_conn *conn; /* owned; NULL: none */
    bool closing;          /* one that was given up is not gone yet */
    bool failed;           /* the source has failed: no further attempt */
    bool is_ready;         /* message waits */
    bool writing;
    bool pinged; /* and not heard since */
    struct flv_reader reader;
    struct flv_timer limit; /* of the handshake, and of leaving */
    struct flv_timer beat;
    char key[FLV_WS_KEY_SIZE];
    uint8_t in[IN_SIZE]; /* what was read and not consumed is [pos, len) */
    size_t pos, len;
    struct flv_ws_reader frames;
    struct flv_slice message; /* that waits to be pulled */
    struct flv_buf out[2];    /* owned: being filled, being written */
    unsigned filling;
    struct flv_write write;
    uint64_t heard_ms, sent_ms, message_ms;
    uint64_t least_ms; /* pause that the far side asked for */
    struct flv_task gone;
};

static void consume(struct ws *s);
static void read_on(struct ws *s);

static uint64_t now_ms(const struct ws *s)
{
    return flv_loop_now_ms(flv_source_loop(s->src));
}

/* --- writing -------------------------------------------------------------- */

static void written(struct flv_write *w, flv_rc rc);

static void flush(struct ws *s)
{
    struct flv_buf *b = &s->out[s->filling];
    if (s->writing || b->len == 0 || s->conn == NULL) {
        return;
    }
    s->writing = true;
    s->filling ^= 1;
    const struct flv_slice part = flv_buf_slice(b);
    flv_conn_write(s->conn, &s->write, &part, 1, written);
}

/* --- the end of a connection -----------------------------------------------
 */

static void destroy(struct ws *s)
{
    struct flv_source *src = s->src;
    flv_timer_stop(&s->limit);
    flv_timer_stop(&s->beat);
    http_retry_deinit(&s->retry);
    flv_ws_reader_deinit(&s->frames);
    flv_buf_deinit(&s->out[0]);
    flv_buf_deinit(&s->out[1]);
    flv_tls_destroy(s->tls);
    flv_free(s->headers);
    flv_free(s);
    if (src != NULL) {
        flv_source_closed(src);
    }
}

/* Everything that came is pulled and the connection is gone: now the next one
 * may be made. */
static void drained(struct ws *s)
{
    if (s->phase == DRAIN && !s->closing && !s->is_ready && s->pos == s->len &&
        !s->failed) {
        s->phase = PAUSE;
        http_retry_wait(&s->retry);
    }
}

static void conn_closed(void *arg)
{
    struct ws *s = arg;
    s->closing = false;
    if (s->phase == CLOSED) {
        destroy(s);
    } else {
        drained(s);
    }
}

/* Lets go of the connection, after a last word where there is a code for it. */
static void hang_up(struct ws *s, uint16_t code)
{
    struct flv_conn *conn = s->conn;
    flv_timer_stop(&s->limit);
    flv_timer_stop(&s->beat);
    if (conn == NULL) {
        return;
    }
    bool said = code != 0 && !s->writing &&
                flv_ws_put_close(&s->out[s->filling], code) == FLV_OK;
    if (said) {
        flush(s);
    }
    s->conn = NULL;
    s->closing = true;
    flv_buf_reset(&s->out[s->filling]); /* nobody is there for it */
    if (said) {
        flv_conn_close_gently(conn, LINGER_MS, conn_closed, s);
    } else {
        flv_conn_close(conn, conn_closed, s);
    }
}

static void leave(struct ws *s)
{
    s->phase = CLOSED;
    hang_up(s, 0);
}

/* What was read whole is still delivered. */
static void lost(struct ws *s, const struct flv_err *why, uint16_t code)
{
    bool stood = s->phase == OPEN;
    if (s->phase == DRAIN || s->phase >= LEAVING) {
        return;
    }
    s->phase = DRAIN;
    if (!stood) {
        s->pos = s->len = 0;
        flv_source_account(s->src, FLV_AT_PROTOCOL, FLV_FATE_FAILED, 1);
    }
    hang_up(s, code);
    if (!s->failed) {
        http_retry_lost(&s->retry, why, s->least_ms);
    }
    flv_source_wake(s->src);
}

static void lost_text(struct ws *s, flv_rc rc, const char *text)
{
    struct flv_err err = {0};
    (void)flv_fail(&err, rc, "%s: %s", s->retry.shown, text);
    flv_source_count(s->src, HTTP_COUNT_TRANSPORT_ERRORS, 1);
    lost(s, &err, 0);
}

/* The source ends; what was pulled is still delivered. */
static void fail(struct ws *s, const struct flv_err *why)
{
    s->failed = true;
    s->pos = s->len = 0;
    lost(s, why, FLV_WS_GOING_AWAY);
    flv_source_fail(s->src, why);
}

static void written(struct flv_write *w, flv_rc rc)
{
    struct ws *s = FLV_OWNER_OF(w, struct ws, write);
    s->writing = false;
    flv_buf_reset(&s->out[s->filling ^ 1]);
    if (s->conn == NULL) {
        return; /* given up meanwhile */
    }
    if (rc != FLV_OK && s->phase != LEAVING) {
        lost_text(s, rc, flv_conn_error(s->conn)->text);
        return;
    }
    flush(s);
    consume(s);
    read_on(s);
}

/* --- messages ---------------------------------------------------------------
 */

static void pass_over(struct ws *s)
{
    struct flv_err err = {0};
    if (http_retry_oversized(&s->retry, "a message", &err)) {
        fail(s, &err);
    } else {
        flv_log_warn(TARGET, "message skipped", FLV_KV_ERR(&err));
    }
}

static void on_close(struct ws *s, const struct flv_ws_event *e)
{
    struct flv_err err = {0};
    struct flv_slice why = e->payload;
    char code[8] = "no code";
    if (e->close_code != FLV_WS_NO_CODE) {
        (void)snprintf(code, sizeof(code), "%u", e->close_code);
    }
    (void)flv_fail(&err, FLV_E_CLOSED, "%s: the server closes: %s%s%.*s",
                   s->retry.shown, code, why.len > 0 ? ", " : "", (int)why.len,
                   (const char *)why.data);
    s->pos = s->len; /* nothing may follow */
    lost(s, &err,
         e->close_code != FLV_WS_NO_CODE ? e->close_code : FLV_WS_NORMAL);
}

static void on_control(struct ws *s, const struct flv_ws_event *e)
{
    if (s->conn == NULL) {
        return; /* from what was read before it was lost */
    }
    if (e->op == FLV_WS_CLOSE) {
        on_close(s, e);
    } else if (e->op == FLV_WS_PING) {
        if (flv_ws_put(&s->out[s->filling], FLV_WS_PONG, e->payload) !=
            FLV_OK) {
            lost_text(s, FLV_E_NOMEM, "out of memory for an answer");
            return;
        }
        flush(s);
    }
}

/* Messages in order, up to the first that has to be delivered. */
static void consume(struct ws *s)
{
    while ((s->phase == OPEN || s->phase == DRAIN) && !s->is_ready &&
           s->pos < s->len && !s->frames.closed &&
           s->out[s->filling].len < OUT_FULL) {
        struct flv_slice in = flv_slice(s->in + s->pos, s->len - s->pos);
        enum flv_ws_piece piece;
        struct flv_ws_event e;
        struct flv_err err = {0};
        flv_rc rc = flv_ws_read(&s->frames, &in, &piece, &e, &err);
        s->pos = s->len - in.len;
        if (rc != FLV_OK) {
            flv_err_prefix(&err, "%s", s->retry.shown);
            flv_source_count(s->src, HTTP_COUNT_TRANSPORT_ERRORS, 1);
            s->pos = s->len;
            lost(s, &err, rc == FLV_E_PROTOCOL ? s->frames.close_code : 0);
        } else if (piece == FLV_WS_MESSAGE) {
            s->message = e.payload;
            s->message_ms = now_ms(s);
            s->is_ready = true;
            flv_source_wake(s->src);
        } else if (piece == FLV_WS_OVERSIZED) {
            pass_over(s);
        } else if (piece == FLV_WS_CONTROL) {
            on_control(s, &e);
        }
    }
    if (s->frames.closed) {
        s->pos = s->len;
    }
    drained(s);
}

/* Reading goes on when it stopped for want of room. */
static void read_on(struct ws *s)
{
    if (s->conn != NULL && s->phase == OPEN && s->pos == s->len &&
        !flv_conn_reading(s->conn)) {
        s->heard_ms = now_ms(s); /* we were the silent one */
        flv_conn_read_start(s->conn, &s->reader);
    }
}

static void pull(void *mode, struct flv_batch *batch, uint32_t credit)
{
    struct ws *s = mode;
    while (!s->failed && flv_batch_count(batch) < credit) {
        struct flv_err err = {0};
        consume(s);
        if (!s->is_ready) {
            break;
        }
        flv_rc rc = flv_batch_add(batch, NULL, 0, s->message.data,
                                  s->message.len, &err);
        if (rc == FLV_E_BUSY) {
            return; /* the same message comes again */
        }
        s->is_ready = false;
        if (rc != FLV_OK) {
            fail(s, &err);
            return;
        }
        flv_source_account(s->src, FLV_AT_EXTRACT, FLV_FATE_PASSED, 1);
        http_retry_proved(&s->retry);
    }
    read_on(s);
    drained(s);
}

/* --- the handshake -----------------------------------------------------------
 */

static bool subscribe(struct ws *s)
{
    const struct flv_list *list = &s->conf->subscriptions;
    for (size_t i = 0; i < list->count; i++) {
        if (flv_ws_put(&s->out[s->filling], FLV_WS_TEXT,
                       flv_slice_str(list->items[i])) != FLV_OK) {
            return false;
        }
    }
    flush(s);
    return true;
}

static uint64_t beat_ms(const struct ws *s)
{
    uint64_t ping = s->conf->ping_ms, idle = s->conf->idle_timeout_ms;
    uint64_t least = ping == 0 || (idle > 0 && idle < ping) ? idle : ping;
    return least == 0 ? 0 : least / 4 + 1;
}

static void opened(struct ws *s)
{
    struct flv_err err = {0};
    uint64_t period = beat_ms(s);
    s->phase = OPEN;
    s->sent_ms = s->message_ms = now_ms(s);
    s->pinged = false;
    flv_timer_stop(&s->limit);
    flv_ws_reader_reset(&s->frames);
    http_retry_opened(&s->retry);
    if (period > 0 &&
        flv_timer_start(&s->beat, period, period, &err) != FLV_OK) {
        lost_text(s, FLV_E_NOMEM, "out of memory for a timer");
    } else if (!subscribe(s)) {
        lost_text(s, FLV_E_NOMEM, "out of memory for what is said first");
    }
}

static void refused(struct ws *s, const struct flv_ws_answer *a)
{
    struct flv_err err = {0};
    bool ends = s->conf->on_error == HTTP_ERROR_FAIL;
    (void)flv_fail(&err, FLV_E_REFUSED, "%s answers %u %s%s%s%s",
                   s->retry.shown, a->status, a->reason,
                   a->location[0] != '\0' ? ", see " : "", a->location,
                   ends ? ", and on-http-error is fail" : "");
    flv_source_count(s->src, HTTP_COUNT_HTTP_ERRORS, 1);
    if (ends) {
        fail(s, &err);
        return;
    }
    s->least_ms = a->retry_after_s * 1000;
    lost(s, &err, 0);
}

static void shake(struct ws *s)
{
    struct flv_ws_answer answer;
    struct flv_err err = {0};
    flv_rc rc = flv_ws_read_answer(flv_slice(s->in, s->len), s->key, s->headers,
                                   &answer, &err);
    if (rc != FLV_OK) {
        flv_err_prefix(&err, "%s", s->retry.shown);
        flv_source_count(s->src, HTTP_COUNT_TRANSPORT_ERRORS, 1);
        lost(s, &err, 0);
        return;
    }
    if (answer.size == 0) {
        return;
    }
    s->pos = answer.size;
    if (answer.status == 101) {
        opened(s);
    } else {
        refused(s, &answer);
    }
}

/* --- reading -----------------------------------------------------------------
 */

static void *space(struct flv_reader *r, size_t *out_size)
{
    struct ws *s = FLV_OWNER_OF(r, struct ws, reader);
    if (s->phase != SHAKE && s->pos == s->len) {
        s->pos = s->len = 0;
    }
    if (s->len == IN_SIZE || (s->phase == OPEN && s->pos < s->len)) {
        return NULL; /* read_on() */
    }
    *out_size = IN_SIZE - s->len;
    return s->in + s->len;
}

/* Our close was said: all that is of interest is theirs. */
static void wait_for_close(struct ws *s)
{
    while (s->pos < s->len) {
        struct flv_slice in = flv_slice(s->in + s->pos, s->len - s->pos);
        enum flv_ws_piece piece;
        struct flv_ws_event e;
        struct flv_err err = {0};
        flv_rc rc = flv_ws_read(&s->frames, &in, &piece, &e, &err);
        s->pos = s->len - in.len;
        if (rc != FLV_OK || s->frames.closed) {
            leave(s);
            return;
        }
    }
}

static void data(struct flv_reader *r, size_t n)
{
    struct ws *s = FLV_OWNER_OF(r, struct ws, reader);
    s->len += n;
    s->heard_ms = now_ms(s);
    s->pinged = false;
    if (s->phase == SHAKE) {
        shake(s);
    }
    if (s->phase == LEAVING) {
        wait_for_close(s);
        return;
    }
    consume(s);
}

static void ended(struct flv_reader *r, flv_rc rc)
{
    struct ws *s = FLV_OWNER_OF(r, struct ws, reader);
    if (s->phase == LEAVING) {
        leave(s);
    } else if (rc != FLV_OK) {
        lost_text(s, rc, flv_conn_error(s->conn)->text);
    } else {
        lost_text(s, FLV_E_CLOSED, "the server ended the connection");
    }
}

/* --- connecting --------------------------------------------------------------
 */

static void on_beat(struct flv_timer *timer)
{
    struct ws *s = FLV_OWNER_OF(timer, struct ws, beat);
    uint64_t now = now_ms(s), ping = s->conf->ping_ms;
    if (s->phase != OPEN || s->is_ready) {
        s->heard_ms = s->message_ms = now; /* we are the silent one */
        return;
    }
    /* A ping cannot even be written while the server reads nothing. */
    bool asked = s->pinged || (s->writing && ping > 0);
    if (asked && now - s->heard_ms >= 2 * ping) {
        lost_text(s, FLV_E_TIMEOUT, "the server does not answer a ping");
        return;
    }
    if (s->conf->idle_timeout_ms > 0 &&
        now - s->message_ms >= s->conf->idle_timeout_ms) {
        lost_text(s, FLV_E_TIMEOUT, "no message came within idle-timeout");
        return;
    }
    if (ping > 0 && now - s->sent_ms >= ping && !s->writing) {
        s->sent_ms = now;
        s->pinged = true;
        if (flv_ws_put(&s->out[s->filling], FLV_WS_PING, flv_slice(NULL, 0)) ==
            FLV_OK) {
            flush(s);
        }
    }
}

static void on_limit(struct flv_timer *timer)
{
    struct ws *s = FLV_OWNER_OF(timer, struct ws, limit);
    if (s->phase == LEAVING) {
        leave(s);
    } else {
        lost_text(s, FLV_E_TIMEOUT, "the server does not answer the handshake");
    }
}

static void say_hello(struct ws *s)
{
    struct flv_err err = {0};
    flv_ws_key(s->key);
    flv_rc rc = flv_ws_put_request(&s->out[s->filling], &s->url, s->key,
                                   s->conf->user_agent, s->headers);
    if (rc == FLV_OK) {
        rc = flv_timer_start(&s->limit, s->conf->timeout_ms, 0, &err);
    }
    if (rc != FLV_OK) {
        lost_text(s, rc, "out of memory for the request");
        return;
    }
    flush(s);
}

static void connected(struct flv_connect *c,
                      flv_rc rc,
                      struct flv_conn *conn,
                      const struct flv_err *err)
{
    struct ws *s = FLV_OWNER_OF(c, struct ws, connect);
    if (s->phase == CLOSED) {
        s->conn = conn;
        hang_up(s, 0);
        if (conn == NULL) {
            destroy(s);
        }
        return;
    }
    if (rc != FLV_OK) {
        lost_text(s, rc, err->text);
        return;
    }
    s->conn = conn;
    s->phase = SHAKE;
    s->pos = s->len = 0;
    s->heard_ms = now_ms(s);
    flv_conn_read_start(conn, &s->reader);
    say_hello(s);
}

static void on_again(struct flv_timer *timer)
{
    struct ws *s = FLV_OWNER_OF(timer, struct ws, retry.timer);
    struct flv_err err = {0};
    assert(s->phase == PAUSE && s->conn == NULL && !s->writing);
    s->phase = CONNECT;
    s->least_ms = 0;
    flv_buf_reset(&s->out[s->filling]);
    s->connect = (struct flv_connect){
        .tls = s->tls,
        .host = s->url.host,
        .port = s->url.port,
        .timeout_ms = s->conf->connect_timeout_ms,
        .done = connected,
    };
    if (flv_connect_start(&s->connect, flv_source_loop(s->src), &err) !=
        FLV_OK) {
        lost_text(s, err.rc, err.text);
    }
}

/* --- life --------------------------------------------------------------------
 */

flv_rc http_ws_prepare(const struct http_conf *conf,
                       struct flv_ws_url *url,
                       struct flv_tls **tls,
                       const char ***headers,
                       struct flv_err *err)
{
    flv_rc rc = flv_ws_url_read(conf->endpoint, url, err);
    if (rc == FLV_OK && url->tls) {
        const struct flv_tls_conf given = {.ca.file = conf->ca_file,
                                           .system_too = true};
        rc = flv_tls_create(tls, &given, err);
    }
    return rc == FLV_OK ? http_headers(conf, 0, headers, NULL, err) : rc;
}

static flv_rc start(struct ws *s, struct flv_err *err)
{
    flv_rc rc = http_ws_prepare(s->conf, &s->url, &s->tls, &s->headers, err);
    if (rc == FLV_OK) {
        rc = flv_timer_start(&s->retry.timer, 0, 0, err);
    }
    return rc;
}

static flv_rc open_ws(void **out,
                      const struct http_conf *conf,
                      struct flv_source *src,
                      struct flv_err *err)
{
    struct ws *s = flv_zalloc(1, sizeof(*s));
    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    s->conf = conf;
    s->src = src;
    s->reader = (struct flv_reader){.space = space, .data = data, .end = ended};
    http_retry_init(&s->retry, conf, src, on_again);
    flv_timer_init(&s->limit, flv_source_loop(src), on_limit);
    flv_timer_init(&s->beat, flv_source_loop(src), on_beat);
    flv_ws_reader_init(&s->frames, (size_t)conf->response_bytes_max);
    flv_buf_init(&s->out[0], OUT_MAX);
    flv_buf_init(&s->out[1], OUT_MAX);
    flv_rc rc = start(s, err);
    if (rc != FLV_OK) {
        s->src = NULL; /* was never open */
        destroy(s);
        return rc;
    }
    *out = s;
    return FLV_OK;
}

static void destroy_now(struct flv_task *task)
{
    destroy(FLV_OWNER_OF(task, struct ws, gone));
}

static void say_goodbye(struct ws *s)
{
    s->phase = LEAVING;
    flv_timer_stop(&s->beat);
    if (flv_ws_put_close(&s->out[s->filling], FLV_WS_NORMAL) != FLV_OK ||
        flv_timer_start(&s->limit, LINGER_MS, 0, NULL) != FLV_OK) {
        leave(s);
        return;
    }
    flush(s);
    wait_for_close(s); /* perhaps it is here */
    if (s->conn != NULL && !flv_conn_reading(s->conn)) {
        flv_conn_read_start(s->conn, &s->reader);
    }
}

static void close_ws(void *mode)
{
    struct ws *s = mode;
    enum phase phase = s->phase;
    http_retry_deinit(&s->retry);
    if (phase == OPEN) {
        say_goodbye(s);
        return;
    }
    s->phase = CLOSED;
    if (phase == CONNECT) {
        flv_connect_cancel(&s->connect);
    } else if (s->conn != NULL) {
        hang_up(s, 0);
    } else if (!s->closing) {
        flv_task_init(&s->gone, destroy_now);
        flv_loop_defer(flv_source_loop(s->src), &s->gone);
    }
}

const struct http_mode http_ws_mode = {
    .open = open_ws,
    .pull = pull,
    .close = close_ws,
};
