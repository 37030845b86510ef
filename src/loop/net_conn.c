/* Connections of net.h. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/field.h"
#include "base/mem.h"
#include "loop/net.h"
#include "loop/net_priv.h"

#define KEEPALIVE_S 60

static void pump(struct flv_conn *conn);
static void close_now(struct flv_conn *conn);

/* ---- The socket's bytes, below a layer --------------------------------- */

static void write_cb(uv_write_t *req, int status);
static void alloc_cb(uv_handle_t *h, size_t hint, uv_buf_t *out);
static void read_cb(uv_stream_t *s, ssize_t n, const uv_buf_t *buf);

static ssize_t
raw_try_write(struct flv_conn *conn, uv_buf_t *bufs, unsigned count)
{
    return uv_try_write((uv_stream_t *)&conn->tcp, bufs, count);
}

static int raw_write(struct flv_conn *conn, uv_buf_t *bufs, unsigned count)
{
    return uv_write(&conn->write_req, (uv_stream_t *)&conn->tcp, bufs, count,
                    write_cb);
}

static int raw_read_start(struct flv_conn *conn)
{
    return uv_read_start((uv_stream_t *)&conn->tcp, alloc_cb, read_cb);
}

int flv__conn_listen(struct flv_conn *conn)
{
    return raw_read_start(conn);
}

static void raw_read_stop(struct flv_conn *conn)
{
    (void)uv_read_stop((uv_stream_t *)&conn->tcp);
}

/* ---- Completion -------------------------------------------------------- */

static void deliver_over(struct flv_conn *conn)
{
    struct flv_write *w = conn->over, *next;

    conn->over = NULL;
    conn->over_tail = &conn->over;
    for (; w != NULL; w = next) {
        next = w->next;
        w->next = NULL;
        w->done(w, w->rc);
    }
}

static void flush_cb(struct flv_task *t)
{
    struct flv_conn *conn = FLV_OWNER_OF(t, struct flv_conn, flush);

    deliver_over(conn);
}

static void set_over(struct flv_conn *conn, struct flv_write *w, flv_rc rc)
{
    w->rc = rc;
    w->next = NULL;
    *conn->over_tail = w;
    conn->over_tail = &w->next;
    flv_loop_defer(conn->loop, &conn->flush);
}

static struct flv_write *take_head(struct flv_conn *conn)
{
    struct flv_write *w = conn->head;

    conn->head = w->next;
    conn->tail = conn->head != NULL ? conn->tail : NULL;
    return w;
}

static void fail_all(struct flv_conn *conn, flv_rc rc)
{
    while (conn->head != NULL) {
        set_over(conn, take_head(conn), rc);
    }
    conn->pending_bytes = 0;
}

static flv_rc rc_of(int uv)
{
    switch (uv) {
    case UV_EPIPE:
    case UV_ECONNRESET:
    case UV_ECONNABORTED:
    case UV_ENOTCONN:
    case UV_ETIMEDOUT:
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
        return FLV_E_CLOSED;
    case UV_ENOMEM:
        return FLV_E_NOMEM;
    default:
        return FLV_E_IO;
    }
}

static flv_rc break_conn(struct flv_conn *conn, int uv, const char *what)
{
    if (!conn->broken) {
        conn->broken = true;
        (void)flv_fail_sys(&conn->err, rc_of(uv), -uv, "%s %s", what,
                           conn->peer);
    }
    return conn->err.rc;
}

/* ---- Writing ----------------------------------------------------------- */

void flv__conn_consume(struct flv_conn *conn, size_t n)
{
    assert(n <= conn->pending_bytes);
    conn->pending_bytes -= n;
    while (conn->head != NULL) {
        struct flv_write *w = conn->head;

        while (w->part < w->count) {
            size_t left = w->parts[w->part].len - w->pos;

            if (n < left) {
                w->pos += n;
                return;
            }
            n -= left;
            w->part++;
            w->pos = 0;
        }
        set_over(conn, take_head(conn), FLV_OK);
    }
    assert(n == 0);
}

unsigned flv__conn_gather(const struct flv_conn *conn,
                          uv_buf_t bufs[FLV_NET_PARTS_AT_ONCE],
                          size_t *out_bytes)
{
    unsigned count = 0;
    size_t bytes = 0;

    for (const struct flv_write *w = conn->head; w != NULL; w = w->next) {
        size_t pos = w->pos;

        for (size_t i = w->part; i < w->count; i++, pos = 0) {
            if (w->parts[i].len == pos) {
                continue;
            }
            if (count == FLV_NET_PARTS_AT_ONCE) {
                *out_bytes = bytes;
                return count;
            }
            /* uv_buf_t has no const form; the bytes are only read. */
            bufs[count].base = (char *)(uintptr_t)(w->parts[i].data + pos);
            bufs[count].len = w->parts[i].len - pos;
            bytes += bufs[count++].len;
        }
    }
    *out_bytes = bytes;
    return count;
}

void flv__conn_write_failed(struct flv_conn *conn, int uv)
{
    fail_all(conn, break_conn(conn, uv, "cannot write to"));
    if (conn->gentle) {
        close_now(conn);
    }
}

void flv__conn_break(struct flv_conn *conn, const struct flv_err *err)
{
    if (!conn->broken) {
        conn->broken = true;
        conn->err = *err;
    }
    fail_all(conn, conn->err.rc);
    if (conn->gentle) {
        close_now(conn);
    }
}

bool flv__conn_send(struct flv_conn *conn, const uint8_t *data, size_t n)
{
    /* uv_buf_t has no const form; the bytes are only read. */
    uv_buf_t buf = {.base = (char *)(uintptr_t)data, .len = n};
    ssize_t done = raw_try_write(conn, &buf, 1);
    int rc = 0;

    assert(conn->flying_bytes == 0 && n > 0);
    if (done < 0 && done != UV_EAGAIN) {
        flv__conn_write_failed(conn, (int)done);
        return false;
    }
    if (done > 0) {
        conn->active_ms = flv_loop_now_ms(conn->loop);
        buf.base += done;
        buf.len -= (size_t)done;
    }
    if (buf.len > 0) {
        rc = raw_write(conn, &buf, 1);
        conn->flying_bytes = rc == 0 ? buf.len : 0;
    }
    if (rc != 0) {
        flv__conn_write_failed(conn, rc);
    }
    return rc == 0;
}

/* Writes what the socket takes now; the rest waits in write_req. */
static void pump(struct flv_conn *conn)
{
    uv_buf_t bufs[FLV_NET_PARTS_AT_ONCE];

    if (conn->layer != NULL) {
        conn->layer->pump(conn);
        return;
    }
    while (conn->head != NULL && conn->flying_bytes == 0) {
        size_t bytes;
        unsigned count = flv__conn_gather(conn, bufs, &bytes);
        ssize_t n = count > 0 ? raw_try_write(conn, bufs, count) : 0;
        int rc;

        if (n < 0 && n != UV_EAGAIN) {
            flv__conn_write_failed(conn, (int)n);
            return;
        }
        if (n > 0) {
            conn->active_ms = flv_loop_now_ms(conn->loop);
        }
        flv__conn_consume(conn, n > 0 ? (size_t)n : 0);
        if (n >= 0 && (size_t)n == bytes) {
            continue;
        }
        count = flv__conn_gather(conn, bufs, &bytes);
        rc = raw_write(conn, bufs, count);
        if (rc != 0) {
            flv__conn_write_failed(conn, rc);
            return;
        }
        conn->flying_bytes = bytes;
    }
    if (conn->head == NULL && conn->gentle) {
        flv__conn_end_gently(conn);
    }
}

static void send_cb(struct flv_task *t)
{
    struct flv_conn *conn = FLV_OWNER_OF(t, struct flv_conn, send);

    if (!conn->closing) {
        pump(conn);
    }
}

static void write_cb(uv_write_t *req, int status)
{
    struct flv_conn *conn = req->handle->data;
    size_t flying = conn->flying_bytes;

    conn->flying_bytes = 0;
    if (conn->closing) {
        return; /* everything was canceled by then */
    }
    if (status != 0) {
        flv__conn_write_failed(conn, status);
        return;
    }
    conn->active_ms = flv_loop_now_ms(conn->loop);
    if (conn->layer != NULL) {
        conn->layer->written(conn);
        return;
    }
    flv__conn_consume(conn, flying);
    pump(conn);
}

void flv_conn_write(struct flv_conn *conn,
                    struct flv_write *w,
                    const struct flv_slice *parts,
                    size_t count,
                    void (*done)(struct flv_write *w, flv_rc rc))
{
    assert(done != NULL && flv_loop_here(conn->loop));
    assert(!conn->closing && !conn->gentle);
    w->done = done;
    w->next = NULL;
    w->parts = parts;
    w->count = count;
    w->part = 0;
    w->pos = 0;
    w->rc = FLV_OK;
    if (count <= FLV_WRITE_INLINE) {
        for (size_t i = 0; i < count; i++) {
            w->few[i] = parts[i];
        }
        w->parts = w->few;
    }
    if (conn->broken) {
        set_over(conn, w, conn->err.rc);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        conn->pending_bytes += w->parts[i].len;
    }
    *(conn->tail != NULL ? &conn->tail->next : &conn->head) = w;
    conn->tail = w;
    flv_loop_defer(conn->loop, &conn->send);
}

size_t flv_conn_write_pending(const struct flv_conn *conn)
{
    return conn->pending_bytes;
}

size_t flv_conn_write_queue(const struct flv_conn *conn)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp);
}

/* ---- Reading ----------------------------------------------------------- */

void *flv_conn_scratch(struct flv_conn *conn, size_t *out_size)
{
    if (conn->loop->scratch == NULL) {
        conn->loop->scratch = flv_alloc(FLV_LOOP_SCRATCH_BYTES);
    }
    *out_size = conn->loop->scratch != NULL ? FLV_LOOP_SCRATCH_BYTES : 0;
    return conn->loop->scratch;
}

static void alloc_cb(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
    struct flv_conn *conn = h->data;
    size_t size = 0;
    void *space = conn->layer != NULL
                      ? flv_conn_scratch(conn, &size)
                      : conn->reader->space(conn->reader, &size);

    (void)hint;
    assert(space == NULL || size > 0);
    out->base = space;
    out->len = space != NULL ? size : 0;
}

static void read_cb(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct flv_conn *conn = s->data;
    struct flv_reader *r = conn->reader;

    if (n == 0 || conn->closing) {
        return;
    }
    if (n > 0) {
        conn->active_ms = flv_loop_now_ms(conn->loop);
        if (conn->layer != NULL) {
            conn->layer->received(conn, (uint8_t *)buf->base, (size_t)n);
        } else {
            r->data(r, (size_t)n);
        }
        return;
    }
    if (n == UV_ENOBUFS) {
        flv_conn_read_stop(conn);
        return; /* the reader had no space: it stopped itself */
    }
    raw_read_stop(conn);
    if (conn->layer != NULL) {
        conn->layer->ended(conn, n == UV_EOF ? 0 : (int)n);
        return;
    }
    flv__conn_read_over(
        conn, n == UV_EOF ? FLV_OK
                          : break_conn(conn, (int)n, "lost the connection to"));
}

void flv__conn_read_over(struct flv_conn *conn, flv_rc rc)
{
    flv_conn_read_stop(conn);
    conn->ended = true;
    conn->reader->end(conn->reader, rc);
}

void flv_conn_read_start(struct flv_conn *conn, struct flv_reader *r)
{
    assert(flv_loop_here(conn->loop) && !conn->closing);
    assert(r->space != NULL && r->data != NULL && r->end != NULL);
    conn->reader = r;
    if (!conn->reading && !conn->ended) {
        int rc = raw_read_start(conn);

        assert(rc == 0 || rc == UV_EALREADY);
        (void)rc;
        conn->reading = true;
        if (conn->layer != NULL) {
            conn->layer->resume(conn);
        }
    }
}

void flv_conn_read_stop(struct flv_conn *conn)
{
    if (conn->reading) {
        raw_read_stop(conn);
        conn->reading = false;
    }
}

bool flv_conn_reading(const struct flv_conn *conn)
{
    return conn->reading;
}

/* ---- Opening and closing ----------------------------------------------- */

static void linger_cb(struct flv_timer *t);

struct flv_conn *flv__conn_create(struct flv_loop *loop)
{
    struct flv_conn *conn = flv_zalloc(1, sizeof(*conn));
    int rc;

    if (conn == NULL) {
        return NULL;
    }
    rc = uv_tcp_init(&loop->uv, &conn->tcp);
    assert(rc == 0); /* makes no socket yet */
    (void)rc;
    conn->tcp.data = conn;
    conn->loop = loop;
    conn->over_tail = &conn->over;
    conn->active_ms = flv_loop_now_ms(loop);
    flv_task_init(&conn->flush, flush_cb);
    flv_task_init(&conn->send, send_cb);
    flv_timer_init(&conn->linger, loop, linger_cb);
    return conn;
}

void flv__conn_opened(struct flv_conn *conn)
{
    struct sockaddr_storage addr;
    int len = sizeof(addr);

    /* A socket that refuses these still moves bytes. */
    (void)uv_tcp_nodelay(&conn->tcp, 1);
    (void)uv_tcp_keepalive(&conn->tcp, 1, KEEPALIVE_S);
    if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&addr, &len) == 0) {
        flv__net_address((struct sockaddr *)&addr, conn->peer);
    }
    len = sizeof(addr);
    if (uv_tcp_getsockname(&conn->tcp, (struct sockaddr *)&addr, &len) == 0) {
        flv__net_address((struct sockaddr *)&addr, conn->local);
    }
    conn->active_ms = flv_loop_now_ms(conn->loop);
}

static void close_cb(uv_handle_t *h)
{
    struct flv_conn *conn = h->data;
    void (*closed)(void *ctx) = conn->closed;
    void *ctx = conn->closed_ctx;

    deliver_over(conn);
    flv_loop_undefer(conn->loop, &conn->flush);
    if (conn->layer != NULL) {
        conn->layer->destroy(conn);
    }
    flv_free(conn);
    if (closed != NULL) {
        closed(ctx);
    }
}

static void close_now(struct flv_conn *conn)
{
    if (conn->closing) {
        return;
    }
    conn->closing = true;
    conn->reading = false;
    flv_loop_undefer(conn->loop, &conn->send);
    flv_timer_stop(&conn->linger);
    /* uv_close() closes the socket at once: no byte moves after it. */
    uv_close((uv_handle_t *)&conn->tcp, close_cb);
    fail_all(conn, FLV_E_CANCELED);
}

void flv_conn_close(struct flv_conn *conn, void (*closed)(void *ctx), void *ctx)
{
    assert(flv_loop_here(conn->loop));
    assert(!conn->closing && !conn->gentle);
    conn->closed = closed;
    conn->closed_ctx = ctx;
    if (conn->head != NULL && !conn->broken) {
        pump(conn); /* what the socket takes at once */
    }
    close_now(conn);
}

static void linger_cb(struct flv_timer *t)
{
    close_now(FLV_OWNER_OF(t, struct flv_conn, linger));
}

static void shutdown_cb(uv_shutdown_t *req, int status)
{
    struct flv_conn *conn = req->handle->data;

    if (!conn->closing && (status != 0 || conn->ended)) {
        close_now(conn);
    }
}

/* All is written: our half ends. What flies still arrives: libuv shuts down
 * behind its own queue. */
void flv__conn_end_gently(struct flv_conn *conn)
{
    if (conn->shut || conn->closing) {
        return;
    }
    conn->shut = true;
    if (conn->layer != NULL) {
        conn->layer->goodbye(conn);
    }
    if (conn->closing) {
        return;
    }
    if (uv_shutdown(&conn->shutdown_req, (uv_stream_t *)&conn->tcp,
                    shutdown_cb) != 0) {
        close_now(conn);
    }
}

static void discard_data(struct flv_reader *r, size_t n)
{
    (void)r;
    (void)n;
}

static void *discard_space(struct flv_reader *r, size_t *out_size)
{
    return flv_conn_scratch(FLV_OWNER_OF(r, struct flv_conn, discard),
                            out_size);
}

static void discard_end(struct flv_reader *r, flv_rc rc)
{
    struct flv_conn *conn = FLV_OWNER_OF(r, struct flv_conn, discard);

    if (rc != FLV_OK || conn->shut) {
        close_now(conn);
    }
}

void flv_conn_close_gently(struct flv_conn *conn,
                           uint64_t linger_ms,
                           void (*closed)(void *ctx),
                           void *ctx)
{
    assert(flv_loop_here(conn->loop));
    assert(!conn->closing && !conn->gentle);
    conn->closed = closed;
    conn->closed_ctx = ctx;
    conn->gentle = true;
    flv_conn_read_stop(conn);
    if (conn->broken ||
        flv_timer_start(&conn->linger, linger_ms, 0, NULL) != FLV_OK) {
        close_now(conn);
        return;
    }
    conn->discard = (struct flv_reader){
        .space = discard_space, .data = discard_data, .end = discard_end};
    flv_conn_read_start(conn, &conn->discard);
    pump(conn);
}

/* ---- The rest ---------------------------------------------------------- */

const char *flv_conn_peer(const struct flv_conn *conn)
{
    return conn->peer;
}

const char *flv_conn_peer_name(const struct flv_conn *conn)
{
    return conn->layer != NULL ? conn->layer->peer_name(conn) : NULL;
}

const char *flv_conn_local(const struct flv_conn *conn)
{
    return conn->local;
}

struct flv_loop *flv_conn_loop(const struct flv_conn *conn)
{
    return conn->loop;
}

const struct flv_err *flv_conn_error(const struct flv_conn *conn)
{
    return &conn->err;
}

uint64_t flv_conn_active_ms(const struct flv_conn *conn)
{
    return conn->active_ms;
}

void flv_conn_set_user(struct flv_conn *conn, void *user)
{
    conn->user = user;
}

void *flv_conn_user(const struct flv_conn *conn)
{
    return conn->user;
}
