#include "client/internal.h"

#include "base/field.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "loop/tls.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_TIMEOUT_MS 5000
#define REQUEST_TIMEOUT_MS 60000
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 5000
#define QUIET_MS 15000
#define HOST_MAX 256
#define SC_PORT 9003

void flv__op_add(struct flv_client *c, struct flv__op *op)
{
    assert(op->cancel != NULL && op->next == NULL);
    op->next = &c->ops;
    op->prev = c->ops.prev;
    op->prev->next = op;
    c->ops.prev = op;
}

void flv__op_remove(struct flv__op *op)
{
    if (op->next == NULL) {
        return;
    }
    op->prev->next = op->next;
    op->next->prev = op->prev;
    op->next = NULL;
    op->prev = NULL;
}

flv_rc flv__name_copy(char out[FLV__NAME_MAX],
                      const char *name,
                      const char *what,
                      struct flv_err *err)
{
    const size_t len = name != NULL ? strlen(name) : 0;

    if (len == 0) {
        return flv_fail(err, FLV_E_INVALID, "%s is required", what);
    }
    if (len >= FLV__NAME_MAX) {
        return flv_fail(err, FLV_E_INVALID,
                        "%s '%.40s...' has more than %d bytes", what, name,
                        FLV__NAME_MAX - 1);
    }
    memcpy(out, name, len + 1);
    return FLV_OK;
}

bool flv__may_pass(const struct flv_err *err)
{
    switch (err->wire) {
    case FLV_WIRE_NOT_LEADER_FOR_PARTITION:
    case FLV_WIRE_REQUEST_TIMED_OUT:
    case FLV_WIRE_STORAGE_ERROR:
    case FLV_WIRE_PARTITION_FULL:
    case FLV_WIRE_PARTITION_SHORT_CIRCUITED:
    case FLV_WIRE_SPU_ERROR:
    case FLV_WIRE_SPU_OFFLINE:
    case FLV_WIRE_TOPIC_NOT_FOUND: /* the metadata tells a deleted one */
    case FLV_WIRE_TOPIC_PENDING_INITIALIZATION:
    case FLV_WIRE_TOPIC_NOT_PROVISIONED:
    case FLV_WIRE_PARTITION_PENDING_INITIALIZATION:
    case FLV_WIRE_PARTITION_NOT_LEADER:
        return true;
    default:
        return flv_rc_class(err->rc) == FLV_CLASS_RETRY;
    }
}

uint64_t flv__backoff_ms(const struct flv_client *c, unsigned attempts)
{
    const unsigned shift = attempts < 16 ? attempts : 16;
    uint64_t base = (uint64_t)c->conf.retry_min_ms << shift;

    if (base > c->conf.retry_max_ms) {
        base = c->conf.retry_max_ms;
    }
    return base / 2 + flv_rand_below(base / 2 + 1);
}

/* ---------------------------------------------------------- compression */

static const struct {
    const char *name;
    enum flv_compression code;
    uint8_t wire;
} codecs[] = {
    {"none", FLV_COMPRESSION_NONE, FLV_WIRE_COMPRESSION_NONE},
    {"gzip", FLV_COMPRESSION_GZIP, FLV_WIRE_COMPRESSION_GZIP},
    {"snappy", FLV_COMPRESSION_SNAPPY, FLV_WIRE_COMPRESSION_SNAPPY},
    {"lz4", FLV_COMPRESSION_LZ4, FLV_WIRE_COMPRESSION_LZ4},
    {"zstd", FLV_COMPRESSION_ZSTD, FLV_WIRE_COMPRESSION_ZSTD},
    {"any", FLV_COMPRESSION_ANY, FLV_WIRE_COMPRESSION_ANY},
};
#define CODEC_COUNT (sizeof(codecs) / sizeof(codecs[0]))

const char *flv_compression_name(enum flv_compression c)
{
    assert((size_t)c < CODEC_COUNT && codecs[c].code == c);
    return codecs[c].name;
}

flv_rc flv_compression_parse(const char *text,
                             enum flv_compression *out,
                             struct flv_err *err)
{
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        if (strcmp(text, codecs[i].name) == 0) {
            *out = codecs[i].code;
            return FLV_OK;
        }
    }
    return flv_fail(err, FLV_E_INVALID,
                    "compression '%.40s' is none of none, gzip, snappy, lz4, "
                    "zstd, any",
                    text);
}

enum flv_compression flv__compression_of(uint8_t wire)
{
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        if (codecs[i].wire == wire) {
            return codecs[i].code;
        }
    }
    return FLV_COMPRESSION_ANY;
}

uint8_t flv__compression_wire(enum flv_compression c)
{
    assert((size_t)c < CODEC_COUNT && codecs[c].code == c);
    return codecs[c].wire;
}

/* ------------------------------------------------------------- lifecycle */

/* A number from the environment, in `unit` ms. */
static uint32_t env_ms(const char *name, uint32_t unit, uint32_t fallback_ms)
{
    const char *text = getenv(name);
    uint64_t n = 0;

    if (text == NULL ||
        flv_text_u64(text, 1, UINT32_MAX / unit, &n, NULL) != FLV_OK) {
        return fallback_ms;
    }
    return (uint32_t)n * unit;
}

/* FLV_SERVER_QUIET, in seconds; 0: silence is no trouble. A slip of the pen
 * would be noticed when a disk stands still. */
static flv_rc env_quiet_ms(uint32_t *out, struct flv_err *err)
{
    const char *text = getenv("FLV_SERVER_QUIET");
    uint64_t n = QUIET_MS / 1000;

    if (text != NULL &&
        flv_text_u64(text, 0, UINT32_MAX / 1000, &n, NULL) != FLV_OK) {
        return flv_fail(err, FLV_E_INVALID,
                        "FLV_SERVER_QUIET is '%.40s' and has to be a number of "
                        "seconds; 0 keeps a silent server for ever",
                        text);
    }
    *out = n > 0 ? (uint32_t)n * 1000 : FLV_FOREVER;
    return FLV_OK;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

static struct flv__peer_conf peer_conf(struct flv_client *c,
                                       enum flv_wire_side side)
{
    return (struct flv__peer_conf){
        .loop = c->loop,
        .budget = &c->budget,
        .client_id = c->client_id,
        .tls = c->tls,
        .tls_name = c->domain,
        .side = side,
        .connect_timeout_ms = c->conf.connect_timeout_ms,
        .answer_timeout_ms = c->conf.answer_timeout_ms,
        .stall_timeout_ms = c->conf.request_timeout_ms,
        .retry_min_ms = c->conf.retry_min_ms,
        .retry_max_ms = c->conf.retry_max_ms,
        .quiet_ms = c->conf.quiet_ms,
    };
}

static flv_rc fill_conf(struct flv_client *c,
                        const struct flv_client_conf *conf,
                        struct flv_err *err)
{
    struct flv_client_conf *own = &c->conf;
    uint32_t quiet_ms = conf->quiet_ms;
    const flv_rc rc = quiet_ms == 0 ? env_quiet_ms(&quiet_ms, err) : FLV_OK;

    *own = *conf;
    own->address = NULL;
    own->client_id = NULL;
    own->tls = (struct flv_client_tls){.policy = conf->tls.policy};
    own->connect_timeout_ms =
        or_default(conf->connect_timeout_ms, CONNECT_TIMEOUT_MS);
    own->answer_timeout_ms =
        or_default(conf->answer_timeout_ms, own->connect_timeout_ms);
    own->request_timeout_ms =
        or_default(conf->request_timeout_ms,
                   env_ms("FLV_SOCKET_WAIT", 1000, REQUEST_TIMEOUT_MS));
    own->metadata_timeout_ms =
        or_default(conf->metadata_timeout_ms,
                   env_ms("FLV_METADATA_TIMEOUT", 1, REQUEST_TIMEOUT_MS));
    own->quiet_ms = quiet_ms != FLV_FOREVER ? quiet_ms : 0;
    own->retry_min_ms = or_default(conf->retry_min_ms, RETRY_MIN_MS);
    own->retry_max_ms = or_default(conf->retry_max_ms, RETRY_MAX_MS);
    if (own->retry_max_ms < own->retry_min_ms) {
        own->retry_max_ms = own->retry_min_ms;
    }
    return rc;
}

static void client_free(struct flv_client *c)
{
    if (c != NULL) {
        flv_tls_destroy(c->tls);
        flv_free(c->domain);
        flv_free(c->client_id);
        flv_free(c->address);
        flv_free(c);
    }
}

static struct flv_pem pem_of(const struct flv_client_tls *tls, const char *what)
{
    return (struct flv_pem){.file = tls->is_inline ? NULL : what,
                            .text = tls->is_inline ? what : NULL};
}

static flv_rc make_tls(struct flv_client *c,
                       const struct flv_client_tls *tls,
                       struct flv_err *err)
{
    struct flv_tls_conf conf = {.anonymous = tls->policy == FLV_TLS_ANONYMOUS};

    if (tls->policy == FLV_TLS_DISABLED) {
        return FLV_OK;
    }
    if (tls->policy == FLV_TLS_VERIFIED) {
        conf.ca = pem_of(tls, tls->ca_cert);
        conf.cert = pem_of(tls, tls->cert);
        conf.key = pem_of(tls, tls->key);
        c->domain = tls->domain != NULL ? flv_strdup(tls->domain) : NULL;
        if (tls->domain != NULL && c->domain == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory for a client");
        }
    }
    return flv_tls_create(&c->tls, &conf, err);
}

static void close_all(struct flv_task *t);

static flv_rc make_sc(struct flv_client *c, struct flv_err *err)
{
    const struct flv__peer_conf conf = peer_conf(c, FLV_WIRE_SC);
    char host[HOST_MAX];
    uint16_t port = 0;
    flv_rc rc =
        flv_net_split(c->address, SC_PORT, host, sizeof(host), &port, err);

    if (rc != FLV_OK) {
        return rc;
    }
    return flv__peer_create(&c->sc, &conf, host, port, err);
}

flv_rc flv_client_create(struct flv_client **out,
                         struct flv_loop *loop,
                         const struct flv_client_conf *conf,
                         struct flv_err *err)
{
    struct flv_client *c = NULL;
    flv_rc rc = FLV_OK;

    assert(out != NULL && loop != NULL && conf != NULL);
    if (conf->address == NULL || conf->address[0] == '\0') {
        return flv_fail(err, FLV_E_INVALID, "the cluster's address is missing");
    }
    c = flv_zalloc(1, sizeof(*c));
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a client");
    }
    rc = fill_conf(c, conf, err);
    c->loop = loop;
    c->ops.next = &c->ops;
    c->ops.prev = &c->ops;
    flv_budget_init(&c->budget, FLV__CLIENT_BYTES_MAX);
    flv_task_init(&c->close_task, close_all);
    c->address = flv_strdup(conf->address);
    c->client_id =
        flv_strdup(conf->client_id != NULL ? conf->client_id : "fluvio");
    if (c->address == NULL || c->client_id == NULL) {
        rc = flv_fail(err, FLV_E_NOMEM, "out of memory for a client");
    }
    if (rc == FLV_OK) {
        rc = make_tls(c, &conf->tls, err);
    }
    if (rc == FLV_OK) {
        rc = make_sc(c, err);
    }
    if (rc != FLV_OK) {
        client_free(c);
        return rc;
    }
    c->peers_open = 1;
    flv__meta_init(&c->meta, c->sc);
    *out = c;
    return FLV_OK;
}

const char *flv_client_address(const struct flv_client *c)
{
    return c->address;
}

const char *flv_client_platform_version(const struct flv_client *c)
{
    return flv__peer_platform(c->sc);
}

static void peer_closed(void *user)
{
    struct flv_client *c = user;
    flv_closed_fn closed = c->closed;
    void *closed_user = c->closed_user;

    assert(c->peers_open > 0);
    c->peers_open--;
    if (!c->closing || c->peers_open > 0) {
        return;
    }
    assert(c->budget.used == 0);
    client_free(c);
    if (closed != NULL) {
        closed(closed_user);
    }
}

static void close_all(struct flv_task *t)
{
    struct flv_client *c = FLV_OWNER_OF(t, struct flv_client, close_task);
    struct flv__spu_link *link = NULL;
    struct flv__spu_link *tmp = NULL;
    struct flv_err err;

    (void)flv_fail(&err, FLV_E_CANCELED, "the client was closed");
    while (c->ops.next != &c->ops) {
        struct flv__op *op = c->ops.next;

        flv__op_remove(op);
        op->cancel(op, &err);
    }
    flv__meta_deinit(&c->meta);
    flv__peer_unlisten(&c->link);
    flv__peer_close(c->sc, peer_closed, c);
    HASH_ITER(hh, c->spus, link, tmp)
    {
        HASH_DEL(c->spus, link);
        flv__peer_close(link->peer, peer_closed, c);
        flv_free(link);
    }
}

void flv_client_close(struct flv_client *c, flv_closed_fn closed, void *user)
{
    assert(!c->closing);
    c->closing = true;
    c->closed = closed;
    c->closed_user = user;
    flv_loop_defer(c->loop, &c->close_task);
}

/* ----------------------------------------------------------------- SPUs */

/* One macro of uthash. NOLINTNEXTLINE(readability-function-size) */
static bool add_link(struct flv_client *c, struct flv__spu_link *link)
{
    HASH_ADD(hh, c->spus, id, sizeof(link->id), link);
    return !link->lost;
}

static flv_rc make_spu(struct flv_client *c,
                       const struct flv__spu_meta *s,
                       const char *host,
                       uint16_t port,
                       struct flv__spu_link **out,
                       struct flv_err *err)
{
    struct flv__peer_conf conf = peer_conf(c, FLV_WIRE_SPU);
    char name[HOST_MAX];
    struct flv__spu_link *link = flv_zalloc(1, sizeof(*link));
    flv_rc rc = FLV_OK;

    if (link == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a connection");
    }
    if (c->domain != NULL) {
        (void)snprintf(name, sizeof(name), "%s.%s", s->name, c->domain);
        conf.tls_name = name;
    }
    rc = flv__peer_create(&link->peer, &conf, host, port, err);
    if (rc != FLV_OK) {
        flv_free(link);
        return rc;
    }
    c->peers_open++;
    link->id = s->id;
    if (!add_link(c, link)) {
        flv__peer_close(link->peer, peer_closed, c);
        flv_free(link);
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a connection");
    }
    *out = link;
    return FLV_OK;
}

flv_rc flv__client_spu(struct flv_client *c,
                       int32_t id,
                       struct flv__peer **out,
                       struct flv_err *err)
{
    const struct flv__spu_meta *s = flv__meta_spu(&c->meta, id);
    struct flv__spu_link *link = NULL;
    const char *host = NULL;
    uint16_t port = 0;
    flv_rc rc = FLV_OK;

    if (s == NULL) {
        return flv_fail(err, FLV_E_NOT_FOUND, "SPU %d is not known to %s", id,
                        c->address);
    }
    host = s->host;
    port = s->port;
    if (c->conf.use_spu_local_address && s->local_host != NULL) {
        host = s->local_host;
        port = s->local_port;
    }
    HASH_FIND(hh, c->spus, &id, sizeof(id), link);
    rc = link != NULL ? flv__peer_move(link->peer, host, port, err)
                      : make_spu(c, s, host, port, &link, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "SPU %d", id);
        return rc;
    }
    *out = link->peer;
    return FLV_OK;
}

/* ----------------------------------------------------------------- link */

static void link_up(struct flv__peer_listener *l)
{
    struct flv_client *c = FLV_OWNER_OF(l, struct flv_client, link);

    if (c->link_lost) {
        c->link_lost = false;
        c->conf.link(c->conf.user, NULL);
    }
}

static void link_down(struct flv__peer_listener *l, const struct flv_err *err)
{
    struct flv_client *c = FLV_OWNER_OF(l, struct flv_client, link);

    c->link_lost = true;
    c->conf.link(c->conf.user, err);
}

static void watch_link(struct flv_client *c)
{
    if (c->conf.link != NULL && c->link.peer == NULL) {
        c->link.up = link_up;
        c->link.down = link_down;
        flv__peer_listen(c->sc, &c->link);
    }
}

/* -------------------------------------------------------------- connect */

struct connect_op {
    struct flv__op op;
    struct flv_client *client; /* borrowed */
    struct flv__peer_listener link;
    struct flv_timer timer;
    struct flv_task ready;
    struct flv_err last_err;
    uint32_t wait_ms;
    flv_done_fn done;
    void *user;
};

static void connect_end(struct connect_op *o, const struct flv_err *err)
{
    const flv_done_fn done = o->done;
    void *user = o->user;
    struct flv_err copy = {.rc = FLV_OK};

    if (err != NULL) {
        copy = *err;
    }
    flv__op_remove(&o->op);
    flv__peer_unlisten(&o->link);
    flv_timer_stop(&o->timer);
    flv_loop_undefer(o->client->loop, &o->ready);
    flv_free(o);
    done(user, err != NULL ? &copy : NULL);
}

static void connect_up(struct flv__peer_listener *l)
{
    connect_end(FLV_OWNER_OF(l, struct connect_op, link), NULL);
}

static void connect_down(struct flv__peer_listener *l,
                         const struct flv_err *err)
{
    struct connect_op *o = FLV_OWNER_OF(l, struct connect_op, link);

    o->last_err = *err;
    if (o->wait_ms == 0) {
        connect_end(o, err);
    }
}

static void connect_expired(struct flv_timer *t)
{
    struct connect_op *o = FLV_OWNER_OF(t, struct connect_op, timer);

    if (o->last_err.rc == FLV_OK) {
        (void)flv_fail(&o->last_err, FLV_E_TIMEOUT,
                       "%s could not be reached within %u ms",
                       o->client->address, o->wait_ms);
    }
    connect_end(o, &o->last_err);
}

static void connect_ready(struct flv_task *t)
{
    struct connect_op *o = FLV_OWNER_OF(t, struct connect_op, ready);

    if (flv__peer_is_ready(o->client->sc)) {
        connect_end(o, NULL);
    }
}

static void connect_cancel(struct flv__op *op, const struct flv_err *err)
{
    connect_end(FLV_OWNER_OF(op, struct connect_op, op), err);
}

flv_rc flv_client_connect(struct flv_client *c,
                          uint32_t wait_ms,
                          flv_done_fn done,
                          void *user,
                          struct flv_err *err)
{
    struct connect_op *o = NULL;

    assert(done != NULL);
    if (c->closing) {
        return flv__closing(err);
    }
    o = flv_zalloc(1, sizeof(*o));
    if (o == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a connection");
    }
    o->op.cancel = connect_cancel;
    o->client = c;
    o->link.up = connect_up;
    o->link.down = connect_down;
    o->wait_ms = wait_ms;
    o->done = done;
    o->user = user;
    flv_task_init(&o->ready, connect_ready);
    flv_timer_init(&o->timer, c->loop, connect_expired);
    if (wait_ms > 0) {
        const flv_rc rc = flv_timer_start(&o->timer, wait_ms, 0, err);

        if (rc != FLV_OK) {
            flv_free(o);
            return rc;
        }
    }
    flv__op_add(c, &o->op);
    watch_link(c);
    flv__peer_listen(c->sc, &o->link);
    flv_loop_defer(c->loop, &o->ready);
    return FLV_OK;
}
