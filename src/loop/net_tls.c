/* TLS between a connection and its socket: OpenSSL over two memory buffers. */
#include <assert.h>
#include <string.h>

#include "base/field.h"
#include "base/mem.h"
#include "loop/openssl.h"
#include "loop/tls_priv.h"

/* Plaintext that is encrypted at once. */
#define CHUNK_BYTES ((size_t)16 * 1024)
/* Ciphertext of one flight: the chunk, its records' frames, handshakes. */
#define FLIGHT_BYTES_MAX (CHUNK_BYTES + (size_t)64 * 1024)
/* What OpenSSL may answer by itself while the other side takes nothing. */
#define ANSWERS_BYTES_MAX (16 * 1024)
/* Of an idle connection's memory for flights. */
#define IDLE_BYTES_MAX ((size_t)4 * 1024)

struct flv__tls {
    struct flv_conn *conn;
    SSL *ssl;
    BIO *in, *out;         /* borrowed: the SSL's */
    struct flv_buf flight; /* owned: ciphertext with the kernel */
    size_t plain;          /* bytes of the queue of writes inside of it */
    struct flv_task later; /* delivers what OpenSSL holds, or the outcome */
    struct flv_err err;    /* of the handshake */
    void (*done)(struct flv_conn *conn, const struct flv_err *err);
    char *name; /* owned: of the other side's certificate, or NULL */
    bool shaking, over, ended;
    int end; /* how the socket ended */
};

/* OpenSSL's last word, or `fallback`. */
static const char *reason(const char *fallback)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return text != NULL ? text : fallback;
}

/* ---- Settings ---------------------------------------------------------- */

static flv_rc
bad_pem(const char *what, const struct flv_pem *pem, struct flv_err *err)
{
    const char *why = reason("unreadable");

    if (pem->file == NULL) {
        return flv_fail(err, FLV_E_INVALID, "the %s cannot be used: %.60s",
                        what, why);
    }
    return flv_fail(err, FLV_E_INVALID, "the %s in %.80s cannot be used: %.60s",
                    what, pem->file, why);
}

static bool is_given(const struct flv_pem *pem)
{
    return pem->file != NULL || pem->text != NULL;
}

static BIO *open_pem(const struct flv_pem *pem)
{
    ERR_clear_error();
    return pem->text != NULL ? BIO_new_mem_buf(pem->text, -1)
                             : BIO_new_file(pem->file, "r");
}

/* Nobody is there to type it. */
static int no_password(char *buf, int size, int writing, void *user)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)user;
    return 0;
}

/* The end of a file is no mistake, when something came before it. */
static bool is_end(unsigned count)
{
    unsigned long last = ERR_peek_last_error();
    bool end = count > 0 && ERR_GET_LIB(last) == ERR_LIB_PEM &&
               ERR_GET_REASON(last) == PEM_R_NO_START_LINE;

    if (end) {
        ERR_clear_error();
    }
    return end;
}

static bool
trust(SSL_CTX *ctx, const struct flv_tls_conf *conf, X509 *cert, unsigned n)
{
    (void)n;
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) == 1 &&
           (!conf->server || SSL_CTX_add_client_CA(ctx, cert) == 1);
}

static bool
show(SSL_CTX *ctx, const struct flv_tls_conf *conf, X509 *cert, unsigned n)
{
    (void)conf;
    return n == 0 ? SSL_CTX_use_certificate(ctx, cert) == 1
                  : SSL_CTX_add1_chain_cert(ctx, cert) == 1;
}

/* Each certificate of the text, to `use`. */
static bool each_cert(SSL_CTX *ctx,
                      const struct flv_tls_conf *conf,
                      const struct flv_pem *pem,
                      bool (*use)(SSL_CTX *ctx,
                                  const struct flv_tls_conf *conf,
                                  X509 *cert,
                                  unsigned n))
{
    BIO *bio = open_pem(pem);
    bool ok = bio != NULL;

    for (unsigned n = 0; ok; n++) {
        X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);

        if (cert == NULL) {
            ok = is_end(n);
            break;
        }
        ok = use(ctx, conf, cert, n);
        X509_free(cert);
    }
    BIO_free(bio);
    return ok;
}

static bool use_key(SSL_CTX *ctx, const struct flv_pem *pem)
{
    BIO *bio = open_pem(pem);
    EVP_PKEY *key = bio != NULL
                        ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL)
                        : NULL;
    bool ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
              SSL_CTX_check_private_key(ctx) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

static flv_rc
read_files(SSL_CTX *ctx, const struct flv_tls_conf *conf, struct flv_err *err)
{
    if (is_given(&conf->cert) != is_given(&conf->key) ||
        (conf->server && !is_given(&conf->cert))) {
        return flv_fail(err, FLV_E_INVALID,
                        "a certificate and its key are given together");
    }
    if (is_given(&conf->ca) && !each_cert(ctx, conf, &conf->ca, trust)) {
        return bad_pem("CA certificates", &conf->ca, err);
    }
    if ((!is_given(&conf->ca) || conf->system_too) && !conf->server &&
        SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return bad_pem("CA certificates",
                       &(struct flv_pem){.file = "the system"}, err);
    }
    if (!is_given(&conf->cert)) {
        return FLV_OK;
    }
    if (!each_cert(ctx, conf, &conf->cert, show)) {
        return bad_pem("certificate", &conf->cert, err);
    }
    return use_key(ctx, &conf->key) ? FLV_OK : bad_pem("key", &conf->key, err);
}

/* What is asked of the other side. */
static int verify_mode(const struct flv_tls_conf *conf)
{
    if (conf->server) {
        return is_given(&conf->ca)
                   ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                   : SSL_VERIFY_NONE;
    }
    return conf->anonymous ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
}

static flv_rc tls_start(struct flv_tls *tls,
                        struct flv_conn *conn,
                        const char *name,
                        void (*done)(struct flv_conn *conn,
                                     const struct flv_err *err),
                        struct flv_err *err);

/* Rules for all connections; certificates come after. */
static SSL_CTX *new_context(const struct flv_tls_conf *conf)
{
    SSL_CTX *ctx =
        SSL_CTX_new(conf->server ? TLS_server_method() : TLS_client_method());

    if (ctx == NULL) {
        return NULL;
    }
    SSL_CTX_set_verify(ctx, verify_mode(conf), NULL);
    if (conf->server) {
        /* Tickets would outlive a change of who may connect. */
        (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        (void)SSL_CTX_set_num_tickets(ctx, 0);            /* 1.3 */
        (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET); /* 1.2 */
    }
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    /* TLS 1.2 only: an answer while we write would look like an error. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    /* Connections wait long between messages: their buffers need not. */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
                                    SSL_MODE_ENABLE_PARTIAL_WRITE);
    return ctx;
}

flv_rc flv_tls_create(struct flv_tls **out,
                      const struct flv_tls_conf *conf,
                      struct flv_err *err)
{
    flv_rc rc = flv__ssl_load(err);
    struct flv_tls *tls = rc == FLV_OK ? flv_zalloc(1, sizeof(*tls)) : NULL;

    if (rc != FLV_OK) {
        return rc;
    }
    if (tls != NULL) {
        tls->ctx = new_context(conf);
    }
    if (tls == NULL || tls->ctx == NULL) {
        flv_free(tls);
        return flv_fail(err, FLV_E_NOMEM, "out of memory for TLS");
    }
    tls->start = tls_start;
    tls->server = conf->server;
    rc = read_files(tls->ctx, conf, err);
    if (rc != FLV_OK) {
        flv_tls_destroy(tls);
        return rc;
    }
    *out = tls;
    return FLV_OK;
}

void flv_tls_destroy(struct flv_tls *tls)
{
    if (tls != NULL) {
        SSL_CTX_free(tls->ctx);
        flv_free(tls);
    }
}

/* ---- Out --------------------------------------------------------------- */

static void break_tls(struct flv__tls *t, const char *what)
{
    struct flv_err err = {0};

    (void)flv_fail(&err, FLV_E_PROTOCOL, "TLS with %.60s: %.100s",
                   t->conn->peer, reason(what));
    flv__conn_break(t->conn, &err);
}

/* Sends what OpenSSL has written, unless a flight is under way. False: the
 * connection broke, or is closing. */
static bool fly(struct flv__tls *t)
{
    struct flv_conn *conn = t->conn;
    size_t plain = t->plain;
    int n = BIO_pending(t->out);

    if (conn->flying_bytes > 0) {
        return true;
    }
    flv_buf_reset(&t->flight);
    if (n > 0) {
        if (flv_buf_reserve(&t->flight, (size_t)n) != FLV_OK ||
            BIO_read(t->out, t->flight.data, n) != n) {
            break_tls(t, "out of memory");
            return false;
        }
        t->flight.len = (size_t)n;
        if (!flv__conn_send(conn, t->flight.data, t->flight.len)) {
            return false;
        }
    }
    if (conn->flying_bytes == 0 && plain > 0) {
        t->plain = 0;
        flv__conn_consume(conn, plain);
    }
    return !conn->closing;
}

/* Encrypts the front of the queue; bytes of it, or -1. */
static ssize_t encrypt(struct flv__tls *t)
{
    uv_buf_t bufs[FLV_NET_PARTS_AT_ONCE];
    size_t bytes, done = 0;
    unsigned count = flv__conn_gather(t->conn, bufs, &bytes);

    for (unsigned i = 0; i < count && done < CHUNK_BYTES; i++) {
        size_t len = bufs[i].len;

        if (len > CHUNK_BYTES - done) {
            len = CHUNK_BYTES - done;
        }
        for (size_t pos = 0; pos < len;) {
            ERR_clear_error();
            int n = SSL_write(t->ssl, bufs[i].base + pos, (int)(len - pos));

            if (n <= 0) {
                return -1;
            }
            pos += (size_t)n;
        }
        done += len;
    }
    return (ssize_t)done;
}

static void tls_pump(struct flv_conn *conn)
{
    struct flv__tls *t = conn->tls;

    while (!t->shaking && conn->head != NULL && conn->flying_bytes == 0 &&
           !conn->broken) {
        ssize_t n = encrypt(t);

        if (n < 0) {
            break_tls(t, "cannot encrypt");
            return;
        }
        if (n == 0) {
            flv__conn_consume(conn, 0); /* empty writes */
            continue;
        }
        t->plain = (size_t)n;
        if (!fly(t)) {
            return;
        }
    }
    if (conn->head == NULL && conn->flying_bytes == 0 &&
        t->flight.cap > IDLE_BYTES_MAX) {
        flv_buf_deinit(&t->flight);
        flv_buf_init(&t->flight, FLIGHT_BYTES_MAX);
    }
    if (conn->head == NULL && conn->gentle && conn->flying_bytes == 0) {
        flv__conn_end_gently(conn);
    }
}

static void tls_written(struct flv_conn *conn)
{
    if (fly(conn->tls)) {
        tls_pump(conn);
    }
}

static void tls_goodbye(struct flv_conn *conn)
{
    struct flv__tls *t = conn->tls;

    if (!t->shaking && !conn->broken) {
        (void)SSL_shutdown(t->ssl);
        ERR_clear_error();
        (void)fly(t);
    }
}

/* ---- Handshake --------------------------------------------------------- */

static void shaken(struct flv__tls *t, flv_rc rc, const char *text)
{
    if (rc != FLV_OK) {
        (void)flv_fail(&t->err, rc, "TLS with %.60s: %.110s", t->conn->peer,
                       text);
    }
    t->over = true;
    flv_loop_defer(t->conn->loop, &t->later);
}

/* One common name, without a NUL inside; anything else is nobody. */
static char *common_name(SSL *ssl)
{
    X509 *cert = SSL_get1_peer_certificate(ssl);
    X509_NAME *subject = cert != NULL ? X509_get_subject_name(cert) : NULL;
    int at = subject != NULL
                 ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
                 : -1;
    unsigned char *text = NULL;
    char *name = NULL;

    if (at >= 0 &&
        X509_NAME_get_index_by_NID(subject, NID_commonName, at) < 0) {
        int len = ASN1_STRING_to_UTF8(
            &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));

        if (len > 0 && memchr(text, 0, (size_t)len) == NULL) {
            name = flv_strndup((const char *)text, (size_t)len);
        }
        OPENSSL_free(text);
    }
    X509_free(cert);
    ERR_clear_error();
    return name;
}

static void shake(struct flv__tls *t)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(t->ssl);
    int why = SSL_get_error(t->ssl, rc);
    long verdict = SSL_get_verify_result(t->ssl);

    (void)fly(t); /* also the alert that says no */
    if (t->over) {
        return;
    }
    if (rc == 1) {
        t->name = common_name(t->ssl);
        shaken(t, FLV_OK, NULL);
    } else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        if (verdict != X509_V_OK) {
            ERR_clear_error();
            shaken(t, FLV_E_REFUSED, X509_verify_cert_error_string(verdict));
        } else {
            shaken(t, FLV_E_PROTOCOL, reason("the handshake failed"));
        }
    }
}

static void end_of_shaking(struct flv__tls *t)
{
    struct flv_conn *conn = t->conn;

    t->shaking = t->over = false;
    if (!conn->reading) {
        (void)uv_read_stop((uv_stream_t *)&conn->tcp);
    }
    t->done(conn, t->err.rc != FLV_OK ? &t->err : NULL);
}

/* ---- In ---------------------------------------------------------------- */

static void tls_over(struct flv__tls *t)
{
    struct flv_conn *conn = t->conn;

    if (t->end == 0) {
        flv__conn_read_over(conn, FLV_OK);
        return;
    }
    if (!conn->broken) {
        struct flv_err err = {0};

        (void)flv_fail_sys(&err, FLV_E_CLOSED, -t->end,
                           "lost the connection to %s", conn->peer);
        flv__conn_break(conn, &err);
    }
    if (!conn->closing) {
        flv__conn_read_over(conn, conn->err.rc);
    }
}

/* Key updates that the other side asks for and does not take. */
static bool is_flooded(const struct flv__tls *t)
{
    return t->conn->flying_bytes > 0 && BIO_pending(t->out) > ANSWERS_BYTES_MAX;
}

static void break_reading(struct flv__tls *t, const char *what)
{
    struct flv_conn *conn = t->conn;

    break_tls(t, what);
    if (!conn->closing) {
        flv__conn_read_over(conn, conn->err.rc);
    }
}

/* Plaintext for the reader, for as long as it wants some. */
static void deliver(struct flv__tls *t)
{
    struct flv_conn *conn = t->conn;

    while (conn->reading && !conn->closing && !conn->ended) {
        size_t size = 0;
        void *space = conn->reader->space(conn->reader, &size);
        int n;

        if (space == NULL) {
            flv_conn_read_stop(conn);
            return;
        }
        size = size < INT32_MAX ? size : INT32_MAX;
        ERR_clear_error();
        n = SSL_read(t->ssl, space, (int)size);
        if (is_flooded(t)) {
            ERR_clear_error();
            break_reading(t, "asks for answers and takes none");
            return;
        }
        if (n > 0) {
            conn->reader->data(conn->reader, (size_t)n);
            continue;
        }
        int why = SSL_get_error(t->ssl, n);

        (void)fly(t); /* key updates, alerts */
        if (why == SSL_ERROR_WANT_READ && !t->ended) {
            return;
        }
        if (conn->closing) {
            return;
        }
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN) {
            break_reading(t, "broken records");
            return;
        }
        t->end = why == SSL_ERROR_ZERO_RETURN ? 0 : t->end;
        tls_over(t);
        return;
    }
}

static void later(struct flv_task *task)
{
    struct flv__tls *t = FLV_OWNER_OF(task, struct flv__tls, later);

    if (t->shaking) {
        end_of_shaking(t); /* may close the connection */
    } else {
        deliver(t);
    }
}

static void tls_received(struct flv_conn *conn, const uint8_t *data, size_t n)
{
    struct flv__tls *t = conn->tls;

    /* Little by little: OpenSSL's buffer keeps its largest size. */
    while (n > 0 && !conn->closing && !conn->broken) {
        size_t some = n < CHUNK_BYTES ? n : CHUNK_BYTES;

        if (BIO_write(t->in, data, (int)some) != (int)some) {
            break_tls(t, "out of memory");
            return;
        }
        data += some;
        n -= some;
        if (!t->shaking) {
            deliver(t);
        } else if (!t->over) {
            shake(t);
        }
    }
}

static void tls_ended(struct flv_conn *conn, int uv)
{
    struct flv__tls *t = conn->tls;

    t->ended = true;
    t->end = uv;
    if (!t->shaking) {
        deliver(t);
    } else if (!t->over) {
        shaken(t, FLV_E_CLOSED, "the other side ended the handshake");
    }
}

static void tls_resume(struct flv_conn *conn)
{
    struct flv__tls *t = conn->tls;

    /* What OpenSSL holds, or an end that was seen while nobody read. */
    if (!t->shaking &&
        (t->ended || SSL_pending(t->ssl) > 0 || BIO_pending(t->in) > 0)) {
        flv_loop_defer(conn->loop, &t->later);
    }
}

static const char *tls_peer_name(const struct flv_conn *conn)
{
    return conn->tls->name;
}

static void tls_destroy(struct flv_conn *conn)
{
    struct flv__tls *t = conn->tls;

    flv_loop_undefer(conn->loop, &t->later);
    SSL_free(t->ssl);
    flv_free(t->name);
    flv_buf_deinit(&t->flight);
    flv_free(t);
}

static const struct flv__layer layer = {
    .received = tls_received,
    .ended = tls_ended,
    .pump = tls_pump,
    .written = tls_written,
    .resume = tls_resume,
    .goodbye = tls_goodbye,
    .destroy = tls_destroy,
    .peer_name = tls_peer_name,
};

/* ---- Start ------------------------------------------------------------- */

/* Whom we want to talk to: as the name in the certificate, and for servers
 * with several of them. */
static bool expect(const struct flv_tls *tls, SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (tls->server) {
        return true;
    }
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1) {
        return true;
    }
    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 &&
           SSL_set_tlsext_host_name(ssl, name) == 1;
}

static flv_rc tls_start(struct flv_tls *tls,
                        struct flv_conn *conn,
                        const char *name,
                        void (*done)(struct flv_conn *conn,
                                     const struct flv_err *err),
                        struct flv_err *err)
{
    struct flv__tls *t = flv_zalloc(1, sizeof(*t));
    SSL *ssl = t != NULL ? SSL_new(tls->ctx) : NULL;
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    assert(tls->server == (name == NULL));
    if (ssl == NULL || in == NULL || out == NULL || !expect(tls, ssl, name)) {
        SSL_free(ssl);
        BIO_free(in);
        BIO_free(out);
        flv_free(t);
        ERR_clear_error();
        return flv_fail(err, FLV_E_NOMEM, "out of memory for TLS");
    }
    SSL_set_bio(ssl, in, out);
    if (tls->server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    *t = (struct flv__tls){.conn = conn,
                           .ssl = ssl,
                           .in = in,
                           .out = out,
                           .done = done,
                           .shaking = true};
    flv_buf_init(&t->flight, FLIGHT_BYTES_MAX);
    flv_task_init(&t->later, later);
    conn->tls = t;
    conn->layer = &layer;
    int rc = flv__conn_listen(conn);
    assert(rc == 0);
    (void)rc;
    shake(t);
    return FLV_OK;
}
