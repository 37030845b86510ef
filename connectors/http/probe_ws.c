/* Looks once whether a WebSocket can be opened. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http.h"
#include "http/ws.h"
#include "loop/net.h"
#include "loop/tls.h"

struct probe {
    const struct http_conf *conf; /* borrowed */
    struct flv_probe *probe;      /* borrowed */
    const char **headers;         /* owned array, borrowed texts */
    struct flv_tls *tls;          /* owned; NULL: plain */
    struct flv_ws_url url;
    struct flv_connect connect;
    struct flv_conn *conn; /* owned */
    struct flv_reader reader;
    struct flv_write write;
    struct flv_timer limit;
    struct flv_buf out; /* owned */
    char key[FLV_WS_KEY_SIZE];
    uint8_t in[FLV_WS_HEAD_MAX];
    size_t len;
    bool over;
    uint64_t started_ms;
    char shown[FLV_HTTP_SHOWN_MAX];
    char text[FLV_ERR_TEXT_MAX]; /* what was found */
    struct flv_err err;          /* or why nothing was */
};

static void destroy(struct probe *p)
{
    flv_timer_stop(&p->limit);
    flv_tls_destroy(p->tls);
    flv_buf_deinit(&p->out);
    flv_free(p->headers);
    flv_free(p);
}

static void done(void *arg)
{
    struct probe *p = arg;
    bool found = p->text[0] != '\0';
    flv_probe_done(p->probe, found ? p->text : NULL, found ? NULL : &p->err);
    destroy(p);
}

static void end(struct probe *p)
{
    if (!p->over) {
        p->over = true;
        flv_timer_stop(&p->limit);
        flv_conn_close(p->conn, done, p);
    }
}

static void shake(struct probe *p)
{
    struct flv_ws_answer a;
    flv_rc rc = flv_ws_read_answer(flv_slice(p->in, p->len), p->key, p->headers,
                                   &a, &p->err);
    if (rc != FLV_OK) {
        flv_err_prefix(&p->err, "%s", p->shown);
    } else if (a.size == 0) {
        return;
    } else if (a.status != 101) {
        (void)flv_fail(&p->err, FLV_E_REFUSED, "%s answers %u %s", p->shown,
                       a.status, a.reason);
    } else {
        (void)snprintf(
            p->text, sizeof(p->text), "%s opens a WebSocket in %llu ms",
            p->shown,
            (unsigned long long)(flv_clock_mono_ms() - p->started_ms));
    }
    end(p);
}

static void *space(struct flv_reader *r, size_t *out_size)
{
    struct probe *p = FLV_OWNER_OF(r, struct probe, reader);
    *out_size = sizeof(p->in) - p->len;
    return *out_size > 0 ? p->in + p->len : NULL;
}

static void data(struct flv_reader *r, size_t n)
{
    struct probe *p = FLV_OWNER_OF(r, struct probe, reader);
    p->len += n;
    shake(p);
}

static void ended(struct flv_reader *r, flv_rc rc)
{
    struct probe *p = FLV_OWNER_OF(r, struct probe, reader);
    (void)flv_fail(&p->err, rc != FLV_OK ? rc : FLV_E_CLOSED,
                   "%s: the server ended the connection", p->shown);
    end(p);
}

static void written(struct flv_write *w, flv_rc rc)
{
    (void)w;
    (void)rc; /* the reader hears of it */
}

static void on_limit(struct flv_timer *timer)
{
    struct probe *p = FLV_OWNER_OF(timer, struct probe, limit);
    (void)flv_fail(&p->err, FLV_E_TIMEOUT,
                   "%s: the server does not answer the handshake", p->shown);
    end(p);
}

static void connected(struct flv_connect *c,
                      flv_rc rc,
                      struct flv_conn *conn,
                      const struct flv_err *err)
{
    struct probe *p = FLV_OWNER_OF(c, struct probe, connect);
    if (rc != FLV_OK) {
        p->err = *err;
        flv_err_prefix(&p->err, "%s", p->shown);
        done(p);
        return;
    }
    p->conn = conn;
    flv_ws_key(p->key);
    if (flv_timer_start(&p->limit, p->conf->timeout_ms, 0, &p->err) != FLV_OK ||
        flv_ws_put_request(&p->out, &p->url, p->key, p->conf->user_agent,
                           p->headers) != FLV_OK) {
        (void)flv_fail(&p->err, FLV_E_NOMEM, "out of memory");
        end(p);
        return;
    }
    const struct flv_slice part = flv_buf_slice(&p->out);
    flv_conn_read_start(conn, &p->reader);
    flv_conn_write(conn, &p->write, &part, 1, written);
}

static flv_rc start(struct probe *p, struct flv_err *err)
{
    flv_rc rc = http_ws_prepare(p->conf, &p->url, &p->tls, &p->headers, err);
    if (rc != FLV_OK) {
        return rc;
    }
    p->connect = (struct flv_connect){
        .tls = p->tls,
        .host = p->url.host,
        .port = p->url.port,
        .timeout_ms = p->conf->connect_timeout_ms,
        .done = connected,
    };
    return flv_connect_start(&p->connect, flv_probe_loop(p->probe), err);
}

flv_rc
http_probe_ws(const void *conf, struct flv_probe *probe, struct flv_err *err)
{
    struct probe *p = flv_zalloc(1, sizeof(*p));
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    p->conf = conf;
    p->probe = probe;
    p->started_ms = flv_clock_mono_ms();
    p->reader = (struct flv_reader){.space = space, .data = data, .end = ended};
    flv_timer_init(&p->limit, flv_probe_loop(probe), on_limit);
    flv_buf_init(&p->out, FLV_WS_HEAD_MAX * 8);
    flv_http_url_shown(p->conf->endpoint, p->shown);
    flv_rc rc = start(p, err);
    if (rc != FLV_OK) {
        destroy(p);
    }
    return rc;
}
