/*
 * tls.h - TLS for connections of net.h.
 *
 * Purpose    Certificates and rules, read once and shared by connections: we
 *            verify who we talk to, by name and certificate, and show our own
 *            where the other side asks. OpenSSL 3, TLS 1.2 and 1.3. Clients
 *            only, so far.
 * Threads    Creating blocks on files: at start-up. Else the loop's thread.
 * Ownership  create/destroy; connections that were made with it keep what
 *            they need.
 * Errors     FLV_E_INVALID names the file and OpenSSL's reason.
 * See        tests/unit/loop/test_tls.c
 */
#ifndef FLV_LOOP_TLS_H
#define FLV_LOOP_TLS_H

#include <fluvio/err.h>

struct flv_tls;

struct flv_tls_conf {
    /* Certificates of those who may sign the other side's (PEM); NULL: the
     * system's. */
    const char *ca_file;
    /* Our certificate with its chain, and its key (PEM); both or none. */
    const char *cert_file, *key_file;
};

FLV_CHECKED flv_rc flv_tls_create(struct flv_tls **out,
                                  const struct flv_tls_conf *conf,
                                  struct flv_err *err);
void flv_tls_destroy(struct flv_tls *tls); /* NULL is allowed */

#endif
