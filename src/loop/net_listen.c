/* Listeners and addresses of net.h. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "loop/net.h"
#include "loop/net_priv.h"
#include "loop/tls_priv.h"

#define BACKLOG 1024
#define SHAKING_MAX 1000
#define SHAKING_MS 10000
#define TOLD_EVERY_MS 1000

/* A connection that is not accepted before both sides agree on TLS. */
struct shaking {
    struct flv_listener *listener;
    struct flv_conn *conn; /* owned until accepted */
    struct flv_timer limit;
    TAILQ_ENTRY(shaking) link; /* in the order of their coming */
};

struct flv_listener {
    uv_tcp_t tcp;
    uv_tcp_t spare;        /* takes what cannot be served, to close it */
    struct flv_loop *loop; /* borrowed */
    void (*accepted)(void *ctx, struct flv_conn *conn);
    void *ctx;
    struct flv_tls *tls; /* borrowed; NULL: plain */
    TAILQ_HEAD(, shaking) shaking;
    unsigned shaking_count;
    uint32_t shaking_ms, shaking_max;
    uint64_t told_ms; /* when somebody was turned away aloud */
    void (*closed)(void *ctx);
    void *closed_ctx;
    uint16_t port;
    char address[FLV_ADDRESS_MAX];
    bool closing, spare_busy, refuse_more;
    unsigned open; /* handles that have to close before the end */
};

/* ---- Addresses --------------------------------------------------------- */

void flv__net_address(const struct sockaddr *addr, char out[FLV_ADDRESS_MAX])
{
    char host[INET6_ADDRSTRLEN] = "";

    if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)addr;

        (void)inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
        snprintf(out, FLV_ADDRESS_MAX, "[%s]:%u", host, ntohs(in->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;

        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(out, FLV_ADDRESS_MAX, "%s:%u", host, ntohs(in->sin_port));
    }
}

static bool
add_known(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(port)};

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof(v4));
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof(v6));
        return true;
    }
    return false;
}

size_t flv__net_known(const char *host,
                      uint16_t port,
                      struct sockaddr_storage out[FLV_NET_KNOWN_MAX])
{
    if (strcmp(host, "localhost") == 0) {
        /* Never asked of a name server (RFC 6761); most servers on this
         * machine listen on the first. */
        bool ok = add_known("127.0.0.1", port, &out[0]) &&
                  add_known("::1", port, &out[1]);

        assert(ok);
        return ok ? 2 : 0;
    }
    return add_known(host, port, &out[0]) ? 1 : 0;
}

bool flv_net_is_loopback(const char *host)
{
    struct sockaddr_storage known[FLV_NET_KNOWN_MAX];

    if (flv__net_known(host, 0, known) == 0) {
        return false;
    }
    if (known[0].ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&known[0];

        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    return IN6_IS_ADDR_LOOPBACK(
        &((const struct sockaddr_in6 *)&known[0])->sin6_addr);
}

flv_rc flv_net_split(const char *text,
                     uint16_t port_default,
                     char *out_host,
                     size_t host_max,
                     uint16_t *out_port,
                     struct flv_err *err)
{
    const char *host = text, *port = NULL, *end = text + strlen(text);
    uint64_t number = port_default;
    size_t len;

    assert(host_max > 0);
    if (text[0] == '[' && strchr(text, ']') != NULL) {
        host = text + 1;
        end = strchr(text, ']');
        port = end[1] == ':' ? end + 2 : end[1] == '\0' ? NULL : "";
    } else if (strchr(text, ':') != NULL &&
               strchr(text, ':') == strrchr(text, ':')) {
        end = strchr(text, ':');
        port = end + 1;
    }
    len = (size_t)(end - host);
    if (len == 0 || len >= host_max || strcspn(host, " \t\r\n/@") < len ||
        (port == NULL && port_default == 0) ||
        (port != NULL &&
         flv_text_u64(port, 1, UINT16_MAX, &number, NULL) != FLV_OK)) {
        return flv_fail(err, FLV_E_INVALID,
                        "'%.80s' is not an address such as localhost:9003",
                        text);
    }
    memcpy(out_host, host, len);
    out_host[len] = '\0';
    *out_port = (uint16_t)number;
    return FLV_OK;
}

/* ---- Accepting --------------------------------------------------------- */

static void accept_one(struct flv_listener *l);

static void listener_gone(struct flv_listener *l)
{
    void (*closed)(void *ctx) = l->closed;
    void *ctx = l->closed_ctx;

    assert(l->open > 0);
    if (--l->open == 0) {
        flv_free(l);
        if (closed != NULL) {
            closed(ctx);
        }
    }
}

static void spare_closed(uv_handle_t *h)
{
    struct flv_listener *l = h->data;
    bool more = l->refuse_more && !l->closing;

    l->spare_busy = false;
    l->refuse_more = false;
    if (more) {
        accept_one(l);
    }
    listener_gone(l);
}

/* Without memory for a connection its socket still has to be taken and
 * closed, or the listener would stall. */
static void refuse_one(struct flv_listener *l)
{
    if (l->spare_busy) {
        l->refuse_more = true;
        return;
    }
    uv_tcp_init(&l->loop->uv, &l->spare);
    l->spare.data = l;
    l->spare_busy = true;
    l->open++;
    (void)uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&l->spare);
    uv_close((uv_handle_t *)&l->spare, spare_closed);
}

static struct flv_conn *end_shaking(struct shaking *s)
{
    struct flv_conn *conn = s->conn;

    TAILQ_REMOVE(&s->listener->shaking, s, link);
    s->listener->shaking_count--;
    flv_timer_stop(&s->limit);
    conn->attempt = NULL;
    flv_free(s);
    return conn;
}

static void turn_away(struct shaking *s)
{
    flv_conn_close(end_shaking(s), NULL, NULL);
}

static void limit_cb(struct flv_timer *t)
{
    turn_away(FLV_OWNER_OF(t, struct shaking, limit));
}

static void secured(struct flv_conn *conn, const struct flv_err *err)
{
    struct shaking *s = conn->attempt;
    struct flv_listener *l;

    if (s == NULL) {
        return; /* turned away in the meantime */
    }
    l = s->listener;
    if (err != NULL) {
        uint64_t now_ms = flv_loop_now_ms(l->loop);

        if (now_ms - l->told_ms >= TOLD_EVERY_MS) {
            l->told_ms = now_ms;
            flv_log_info("net", "no agreement on TLS",
                         FLV_KV_STR("address", l->address), FLV_KV_ERR(err));
        }
        turn_away(s);
        return;
    }
    l->accepted(l->ctx, end_shaking(s));
}

static void secure(struct flv_listener *l, struct flv_conn *conn)
{
    struct shaking *s = flv_zalloc(1, sizeof(*s));

    if (s == NULL) {
        flv_conn_close(conn, NULL, NULL);
        return;
    }
    if (l->shaking_count == l->shaking_max) {
        turn_away(TAILQ_FIRST(&l->shaking));
    }
    s->listener = l;
    s->conn = conn;
    conn->attempt = s;
    TAILQ_INSERT_TAIL(&l->shaking, s, link);
    l->shaking_count++;
    flv_timer_init(&s->limit, l->loop, limit_cb);
    if (flv_timer_start(&s->limit, l->shaking_ms, 0, NULL) != FLV_OK ||
        l->tls->start(l->tls, conn, NULL, secured, NULL) != FLV_OK) {
        turn_away(s);
    }
}

static void accept_one(struct flv_listener *l)
{
    struct flv_conn *conn = flv__conn_create(l->loop);

    if (conn == NULL) {
        refuse_one(l);
        return;
    }
    if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&conn->tcp) != 0) {
        flv_conn_close(conn, NULL, NULL);
        return;
    }
    flv__conn_opened(conn);
    if (l->tls != NULL) {
        secure(l, conn);
    } else {
        l->accepted(l->ctx, conn);
    }
}

static void connection_cb(uv_stream_t *s, int status)
{
    struct flv_listener *l = s->data;

    /* A client that went away before it was accepted is no news. */
    if (status == 0 && !l->closing) {
        accept_one(l);
    }
}

/* ---- Listening --------------------------------------------------------- */

static flv_rc
listen_error(int uv, const char *host, uint16_t port, struct flv_err *err)
{
    switch (uv) {
    case UV_EADDRINUSE:
        return flv_fail(err, FLV_E_EXISTS,
                        "port %u of %s is in use by another program; stop it "
                        "or choose another port",
                        port, host);
    case UV_EADDRNOTAVAIL:
        return flv_fail(err, FLV_E_INVALID,
                        "%s is not an address of this machine", host);
    case UV_EACCES:
        return flv_fail(err, FLV_E_INVALID,
                        "no right to listen on port %u of %s; choose one from "
                        "1024 on",
                        port, host);
    default:
        return flv_fail_sys(err, FLV_E_IO, -uv,
                            "cannot listen on port %u of %s", port, host);
    }
}

static flv_rc find_address(const struct flv_listen_conf *conf,
                           struct sockaddr_storage *out,
                           struct flv_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE};
    struct sockaddr_storage known[FLV_NET_KNOWN_MAX];
    struct addrinfo *list = NULL;
    char port[8];
    int rc;

    if (flv__net_known(conf->host, conf->port, known) > 0) {
        *out = known[0];
        return FLV_OK;
    }
    snprintf(port, sizeof(port), "%u", conf->port);
    rc = getaddrinfo(conf->host, port, &hints, &list);
    if (rc != 0) {
        return flv_fail(err, FLV_E_NOT_FOUND,
                        "cannot find the address of '%.80s': %s", conf->host,
                        gai_strerror(rc));
    }
    assert(list != NULL && list->ai_addrlen <= sizeof(*out));
    memcpy(out, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return FLV_OK;
}

static void name_listener(struct flv_listener *l)
{
    struct sockaddr_storage addr;
    int len = sizeof(addr);

    if (uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&addr, &len) == 0) {
        flv__net_address((struct sockaddr *)&addr, l->address);
        /* The port lies at the same place for both families. */
        l->port = ntohs(((struct sockaddr_in *)&addr)->sin_port);
    }
}

static void listener_closed(uv_handle_t *h)
{
    listener_gone(h->data);
}

flv_rc flv_listener_open(struct flv_listener **out,
                         struct flv_loop *loop,
                         const struct flv_listen_conf *conf,
                         struct flv_err *err)
{
    struct sockaddr_storage addr;
    struct flv_listener *l;
    int rc;
    flv_rc found = find_address(conf, &addr, err);

    assert(conf->accepted != NULL && flv_loop_here(loop));
    if (found != FLV_OK) {
        return found;
    }
    l = flv_zalloc(1, sizeof(*l));
    if (l == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a listener");
    }
    l->loop = loop;
    l->accepted = conf->accepted;
    l->ctx = conf->ctx;
    l->tls = conf->tls;
    l->shaking_ms =
        conf->tls_timeout_ms > 0 ? conf->tls_timeout_ms : SHAKING_MS;
    l->shaking_max =
        conf->tls_waiting_max > 0 ? conf->tls_waiting_max : SHAKING_MAX;
    TAILQ_INIT(&l->shaking);
    l->open = 1;
    uv_tcp_init(&loop->uv, &l->tcp);
    l->tcp.data = l;
    rc = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&addr, 0);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)&l->tcp,
                       conf->backlog > 0 ? conf->backlog : BACKLOG,
                       connection_cb);
    }
    if (rc != 0) {
        l->closing = true;
        uv_close((uv_handle_t *)&l->tcp, listener_closed);
        return listen_error(rc, conf->host, conf->port, err);
    }
    name_listener(l);
    *out = l;
    return FLV_OK;
}

uint16_t flv_listener_port(const struct flv_listener *l)
{
    return l->port;
}

const char *flv_listener_address(const struct flv_listener *l)
{
    return l->address;
}

void flv_listener_set_tls(struct flv_listener *l, struct flv_tls *tls)
{
    assert(l->tls != NULL && tls != NULL);
    while (!TAILQ_EMPTY(&l->shaking)) {
        turn_away(TAILQ_FIRST(&l->shaking));
    }
    l->tls = tls;
}

void flv_listener_close(struct flv_listener *l,
                        void (*closed)(void *ctx),
                        void *ctx)
{
    assert(!l->closing && flv_loop_here(l->loop));
    l->closing = true;
    while (!TAILQ_EMPTY(&l->shaking)) {
        turn_away(TAILQ_FIRST(&l->shaking));
    }
    l->closed = closed;
    l->closed_ctx = ctx;
    uv_close((uv_handle_t *)&l->tcp, listener_closed);
}
