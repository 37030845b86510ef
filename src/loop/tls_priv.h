/*
 * tls_priv.h - how net_connect.c and net_listen.c put TLS on a connection.
 *
 * Purpose    struct flv_tls carries its own entry, so that a program that
 *            makes none does not link OpenSSL.
 * Threads    The loop's thread.
 */
#ifndef FLV_LOOP_TLS_PRIV_H
#define FLV_LOOP_TLS_PRIV_H

#include "loop/net_priv.h"
#include "loop/tls.h"

struct flv_tls {
    /* Shakes hands on a connected socket; name is the server's, as in its
     * certificate, NULL on its own side. `done` runs later, once, unless the
     * connection is closed before: err NULL when both sides agree. */
    flv_rc (*start)(struct flv_tls *tls,
                    struct flv_conn *conn,
                    const char *name,
                    void (*done)(struct flv_conn *conn,
                                 const struct flv_err *err),
                    struct flv_err *err);
    void *ctx; /* owned SSL_CTX */
    bool server;
};

#endif
