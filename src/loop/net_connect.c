/* Connecting of net.h: name, then address after address, within one limit. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/container.h"
#include "base/field.h"
#include "base/mem.h"
#include "loop/net.h"
#include "loop/net_priv.h"
#include "loop/tls_priv.h"

#define ADDRESSES_MAX 8

/* start -> (lookup) -> try 0 -> try 1 -> ... -> finish
 * finish runs from a task, a timer or the kernel's answer, never from start
 * or cancel. */
struct attempt {
    struct flv_connect *owner;  /* borrowed */
    struct flv_loop *loop;      /* borrowed */
    struct flv__lookup *lookup; /* borrowed while it runs */
    struct flv_conn *conn;      /* owned: being connected */
    struct flv_task next;       /* tries on, or finishes */
    struct flv_timer limit;
    struct flv_err err;
    struct sockaddr_storage list[ADDRESSES_MAX];
    size_t count, at;
    uint16_t port;
    bool over;   /* err says how it ended */
    bool shakes; /* TLS, which has a limit of its own */
    char host[];
};

static void stop_work(struct attempt *a)
{
    if (a->lookup != NULL) {
        flv__lookup_cancel(a->lookup);
        a->lookup = NULL;
    }
    if (a->conn != NULL) {
        a->conn->attempt = NULL;
        flv_conn_close(a->conn, NULL, NULL);
        a->conn = NULL;
    }
    flv_timer_stop(&a->limit);
    flv_loop_undefer(a->loop, &a->next);
}

static void finish(struct attempt *a, flv_rc rc)
{
    struct flv_connect *owner = a->owner;
    struct flv_conn *conn = NULL;
    struct flv_err err = a->err;

    if (rc == FLV_OK) {
        conn = a->conn;
        conn->attempt = NULL;
        a->conn = NULL;
    }
    stop_work(a);
    flv_free(a);
    owner->attempt = NULL;
    owner->done(owner, rc, conn, &err);
}

/* Of several addresses a refusal says more than an unreachable network. */
static void note_error(struct attempt *a, int uv)
{
    if (a->err.sys != ECONNREFUSED) {
        (void)flv_fail_sys(&a->err, FLV_E_CONNECT, -uv,
                           "cannot connect to %.80s:%u", a->host, a->port);
        if (uv == UV_ECONNREFUSED && flv_container_here()) {
            flv_err_suffix(&a->err, flv_container_refused(a->host));
        }
    }
}

/* What a certificate is wrong about, another address does not mend. */
static void secured(struct flv_conn *conn, const struct flv_err *err)
{
    struct attempt *a = conn->attempt;

    if (a == NULL) {
        return; /* given up in the meantime */
    }
    assert(a->conn == conn);
    if (err != NULL) {
        a->err = *err;
    }
    finish(a, err != NULL ? err->rc : FLV_OK);
}

static void secure(struct attempt *a)
{
    struct flv_tls *tls = a->owner->tls;
    const char *name = a->owner->name != NULL ? a->owner->name : a->host;
    const uint64_t limit_ms = a->owner->tls_timeout_ms;
    flv_rc rc = FLV_OK;

    a->shakes = limit_ms > 0;
    if (a->shakes) {
        rc = flv_timer_start(&a->limit, limit_ms, 0, &a->err);
    }
    if (rc == FLV_OK) {
        rc = tls->start(tls, a->conn, name, secured, &a->err);
    }
    if (rc != FLV_OK) {
        finish(a, rc);
    }
}

static void connect_cb(uv_connect_t *req, int status)
{
    struct flv_conn *conn = req->handle->data;
    struct attempt *a = conn->attempt;

    if (a == NULL) {
        return; /* given up in the meantime */
    }
    assert(a->conn == conn);
    if (status == 0) {
        flv__conn_opened(conn);
        if (a->owner->tls != NULL) {
            secure(a);
        } else {
            finish(a, FLV_OK);
        }
        return;
    }
    note_error(a, status);
    conn->attempt = NULL;
    flv_conn_close(conn, NULL, NULL);
    a->conn = NULL;
    flv_loop_defer(a->loop, &a->next);
}

static void try_next(struct attempt *a)
{
    const struct sockaddr *addr = (const struct sockaddr *)&a->list[a->at++];
    int rc;

    a->conn = flv__conn_create(a->loop);
    if (a->conn == NULL) {
        (void)flv_fail(&a->err, FLV_E_NOMEM, "out of memory for a connection");
        finish(a, FLV_E_NOMEM);
        return;
    }
    a->conn->attempt = a;
    rc = uv_tcp_connect(&a->conn->connect_req, &a->conn->tcp, addr, connect_cb);
    if (rc != 0) {
        note_error(a, rc);
        a->conn->attempt = NULL;
        flv_conn_close(a->conn, NULL, NULL);
        a->conn = NULL;
        flv_loop_defer(a->loop, &a->next);
    }
}

static void add_address(struct attempt *a, const struct sockaddr *addr)
{
    uint16_t port = htons(a->port);

    if (a->count == ADDRESSES_MAX) {
        return;
    }
    memset(&a->list[a->count], 0, sizeof(a->list[0]));
    if (addr->sa_family == AF_INET) {
        memcpy(&a->list[a->count], addr, sizeof(struct sockaddr_in));
        ((struct sockaddr_in *)&a->list[a->count])->sin_port = port;
        a->count++;
    } else if (addr->sa_family == AF_INET6) {
        memcpy(&a->list[a->count], addr, sizeof(struct sockaddr_in6));
        ((struct sockaddr_in6 *)&a->list[a->count])->sin6_port = port;
        a->count++;
    }
}

static void found_cb(void *ctx, int gai, const struct addrinfo *list)
{
    struct attempt *a = ctx;

    a->lookup = NULL;
    if (gai != 0) {
        (void)flv_fail(&a->err, FLV_E_CONNECT,
                       "cannot find the address of '%.80s': %s", a->host,
                       gai_strerror(gai));
    }
    for (; gai == 0 && list != NULL; list = list->ai_next) {
        add_address(a, list->ai_addr);
    }
    a->over = a->count == 0;
    flv_loop_defer(a->loop, &a->next);
}

static void next_cb(struct flv_task *t)
{
    struct attempt *a = FLV_OWNER_OF(t, struct attempt, next);

    if (a->over || (a->count > 0 && a->at == a->count)) {
        finish(a, a->err.rc);
        return;
    }
    if (a->count == 0) {
        flv_rc rc = flv__lookup_start(&a->lookup, a->loop, a->host, found_cb, a,
                                      &a->err);

        if (rc != FLV_OK) {
            finish(a, rc);
        }
        return;
    }
    try_next(a);
}

static void limit_cb(struct flv_timer *t)
{
    struct attempt *a = FLV_OWNER_OF(t, struct attempt, limit);

    if (a->shakes) {
        (void)flv_fail(&a->err, FLV_E_TIMEOUT,
                       "%.80s:%u accepted the connection but did not answer "
                       "within %llu ms",
                       a->host, a->port,
                       (unsigned long long)a->owner->tls_timeout_ms);
    } else {
        (void)flv_fail(&a->err, FLV_E_TIMEOUT,
                       "no answer from %.80s:%u within %llu ms", a->host,
                       a->port, (unsigned long long)a->owner->timeout_ms);
    }
    finish(a, FLV_E_TIMEOUT);
}

flv_rc flv_connect_start(struct flv_connect *c,
                         struct flv_loop *loop,
                         struct flv_err *err)
{
    struct sockaddr_storage known[FLV_NET_KNOWN_MAX];
    size_t size = strlen(c->host) + 1, count;
    struct attempt *a;
    flv_rc rc;

    assert(c->done != NULL && c->timeout_ms > 0 && c->port > 0);
    assert(flv_loop_here(loop));
    if (size == 1 || size > 256) {
        return flv_fail(err, FLV_E_INVALID, "'%.80s' is not a host name",
                        c->host);
    }
    a = flv_zalloc(1, sizeof(*a) + size);
    if (a == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a connection");
    }
    memcpy(a->host, c->host, size);
    a->owner = c;
    a->loop = loop;
    a->port = c->port;
    count = flv__net_known(a->host, a->port, known);
    for (size_t i = 0; i < count; i++) {
        add_address(a, (const struct sockaddr *)&known[i]);
    }
    flv_task_init(&a->next, next_cb);
    flv_timer_init(&a->limit, loop, limit_cb);
    rc = flv_timer_start(&a->limit, c->timeout_ms, 0, err);
    if (rc != FLV_OK) {
        flv_free(a);
        return rc;
    }
    c->attempt = a;
    flv_loop_defer(loop, &a->next);
    return FLV_OK;
}

void flv_connect_cancel(struct flv_connect *c)
{
    struct attempt *a = c->attempt;

    if (a == NULL || a->over) {
        return;
    }
    stop_work(a);
    a->over = true;
    (void)flv_fail(&a->err, FLV_E_CANCELED,
                   "connecting to %.80s:%u was given up", a->host, a->port);
    flv_loop_defer(a->loop, &a->next);
}
