/*
 * tls.h - TLS for connections of net.h.
 *
 * Purpose    Certificates and rules, read once and shared by connections: we
 *            verify who we talk to, by name and certificate, and show our own
 *            where the other side asks. OpenSSL 3, TLS 1.2 and 1.3. A server
 *            shows its certificate and, with CA certificates, asks clients
 *            for theirs.
 * Threads    Creating blocks on files: at start-up. Else the loop's thread.
 * Ownership  create/destroy; connections that were made with it keep what
 *            they need.
 * Errors     FLV_E_INVALID names the file and OpenSSL's reason;
 *            FLV_E_UNSUPPORTED: there is no OpenSSL 3 to load.
 * See        tests/unit/loop/test_tls.c
 */
#ifndef FLV_LOOP_TLS_H
#define FLV_LOOP_TLS_H

#include <fluvio/err.h>
#include <stdbool.h>

struct flv_tls;

/* PEM text, in a file or in memory; both NULL: none. Borrowed. */
struct flv_pem {
    const char *file, *text;
};

struct flv_tls_conf {
    bool server; /* for listeners; else for connecting */
    /* A client's: encrypts, and believes whoever answers. */
    bool anonymous;
    /* Certificates of those who may sign the other side's. None: a client
     * takes the system's, a server asks nobody for a certificate. */
    struct flv_pem ca;
    bool system_too; /* a client's: the system's besides `ca` */
    /* Our certificate with its chain, and its key without a password; both or
     * none, and a server needs them. */
    struct flv_pem cert, key;
};

FLV_CHECKED flv_rc flv_tls_create(struct flv_tls **out,
                                  const struct flv_tls_conf *conf,
                                  struct flv_err *err);
void flv_tls_destroy(struct flv_tls *tls); /* NULL is allowed */

#endif
