/*
 * openssl.h - the functions of OpenSSL that we use, found at run time.
 *
 * Purpose    One table, filled from libssl when the first struct flv_tls is
 *            made. Nothing of this tree links the library: a program that
 *            speaks plain TCP does not pay for it (2 ms of each start and
 *            2 MB). After this header the usual names mean the table's.
 * Threads    Loading: any thread. The table is constant after that.
 * Ownership  The library stays open until the process ends.
 * Errors     FLV_E_UNSUPPORTED: not installed, or not OpenSSL 3.
 */
#ifndef FLV_LOOP_OPENSSL_H
#define FLV_LOOP_OPENSSL_H

#include "base/dyn.h"
#include <fluvio/err.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define FLV__SSL_MAP(X)                                                        \
    X(ASN1_STRING_to_UTF8)                                                     \
    X(BIO_ctrl)                                                                \
    X(BIO_free)                                                                \
    X(BIO_new)                                                                 \
    X(BIO_new_file)                                                            \
    X(BIO_new_mem_buf)                                                         \
    X(BIO_read)                                                                \
    X(BIO_s_mem)                                                               \
    X(BIO_write)                                                               \
    X(CRYPTO_free)                                                             \
    X(ERR_clear_error)                                                         \
    X(ERR_peek_last_error)                                                     \
    X(ERR_reason_error_string)                                                 \
    X(EVP_PKEY_free)                                                           \
    X(PEM_read_bio_PrivateKey)                                                 \
    X(PEM_read_bio_X509)                                                       \
    X(SSL_CTX_add_client_CA)                                                   \
    X(SSL_CTX_check_private_key)                                               \
    X(SSL_CTX_ctrl)                                                            \
    X(SSL_CTX_free)                                                            \
    X(SSL_CTX_get_cert_store)                                                  \
    X(SSL_CTX_new)                                                             \
    X(SSL_CTX_set_default_verify_paths)                                        \
    X(SSL_CTX_set_num_tickets)                                                 \
    X(SSL_CTX_set_options)                                                     \
    X(SSL_CTX_set_verify)                                                      \
    X(SSL_CTX_use_PrivateKey)                                                  \
    X(SSL_CTX_use_certificate)                                                 \
    X(SSL_ctrl)                                                                \
    X(SSL_do_handshake)                                                        \
    X(SSL_free)                                                                \
    X(SSL_get0_param)                                                          \
    X(SSL_get1_peer_certificate)                                               \
    X(SSL_get_error)                                                           \
    X(SSL_get_verify_result)                                                   \
    X(SSL_new)                                                                 \
    X(SSL_pending)                                                             \
    X(SSL_read)                                                                \
    X(SSL_set1_host)                                                           \
    X(SSL_set_accept_state)                                                    \
    X(SSL_set_bio)                                                             \
    X(SSL_set_connect_state)                                                   \
    X(SSL_shutdown)                                                            \
    X(SSL_write)                                                               \
    X(TLS_client_method)                                                       \
    X(TLS_server_method)                                                       \
    X(X509_NAME_ENTRY_get_data)                                                \
    X(X509_NAME_get_entry)                                                     \
    X(X509_NAME_get_index_by_NID)                                              \
    X(X509_STORE_add_cert)                                                     \
    X(X509_VERIFY_PARAM_set1_ip_asc)                                           \
    X(X509_VERIFY_PARAM_set_hostflags)                                         \
    X(X509_free)                                                               \
    X(X509_get_subject_name)                                                   \
    X(X509_verify_cert_error_string)

struct flv__ssl {
    FLV__SSL_MAP(FLV_DYN_FIELD)
};

/* Valid after flv__ssl_load() succeeded once. */
extern struct flv__ssl flv__ssl;

FLV_CHECKED flv_rc flv__ssl_load(struct flv_err *err);

/* Also for what OpenSSL's own macros call. */
#define ASN1_STRING_to_UTF8 flv__ssl.ASN1_STRING_to_UTF8
#define BIO_ctrl flv__ssl.BIO_ctrl
#define BIO_free flv__ssl.BIO_free
#define BIO_new flv__ssl.BIO_new
#define BIO_new_file flv__ssl.BIO_new_file
#define BIO_new_mem_buf flv__ssl.BIO_new_mem_buf
#define BIO_read flv__ssl.BIO_read
#define BIO_s_mem flv__ssl.BIO_s_mem
#define BIO_write flv__ssl.BIO_write
#define CRYPTO_free flv__ssl.CRYPTO_free
#define ERR_clear_error flv__ssl.ERR_clear_error
#define ERR_peek_last_error flv__ssl.ERR_peek_last_error
#define ERR_reason_error_string flv__ssl.ERR_reason_error_string
#define EVP_PKEY_free flv__ssl.EVP_PKEY_free
#define PEM_read_bio_PrivateKey flv__ssl.PEM_read_bio_PrivateKey
#define PEM_read_bio_X509 flv__ssl.PEM_read_bio_X509
#define SSL_CTX_add_client_CA flv__ssl.SSL_CTX_add_client_CA
#define SSL_CTX_check_private_key flv__ssl.SSL_CTX_check_private_key
#define SSL_CTX_ctrl flv__ssl.SSL_CTX_ctrl
#define SSL_CTX_free flv__ssl.SSL_CTX_free
#define SSL_CTX_get_cert_store flv__ssl.SSL_CTX_get_cert_store
#define SSL_CTX_new flv__ssl.SSL_CTX_new
#define SSL_CTX_set_default_verify_paths                                       \
    flv__ssl.SSL_CTX_set_default_verify_paths
#define SSL_CTX_set_num_tickets flv__ssl.SSL_CTX_set_num_tickets
#define SSL_CTX_set_options flv__ssl.SSL_CTX_set_options
#define SSL_CTX_set_verify flv__ssl.SSL_CTX_set_verify
#define SSL_CTX_use_PrivateKey flv__ssl.SSL_CTX_use_PrivateKey
#define SSL_CTX_use_certificate flv__ssl.SSL_CTX_use_certificate
#define SSL_ctrl flv__ssl.SSL_ctrl
#define SSL_do_handshake flv__ssl.SSL_do_handshake
#define SSL_free flv__ssl.SSL_free
#define SSL_get0_param flv__ssl.SSL_get0_param
#define SSL_get1_peer_certificate flv__ssl.SSL_get1_peer_certificate
#define SSL_get_error flv__ssl.SSL_get_error
#define SSL_get_verify_result flv__ssl.SSL_get_verify_result
#define SSL_new flv__ssl.SSL_new
#define SSL_pending flv__ssl.SSL_pending
#define SSL_read flv__ssl.SSL_read
#define SSL_set1_host flv__ssl.SSL_set1_host
#define SSL_set_accept_state flv__ssl.SSL_set_accept_state
#define SSL_set_bio flv__ssl.SSL_set_bio
#define SSL_set_connect_state flv__ssl.SSL_set_connect_state
#define SSL_shutdown flv__ssl.SSL_shutdown
#define SSL_write flv__ssl.SSL_write
#define TLS_client_method flv__ssl.TLS_client_method
#define TLS_server_method flv__ssl.TLS_server_method
#define X509_NAME_ENTRY_get_data flv__ssl.X509_NAME_ENTRY_get_data
#define X509_NAME_get_entry flv__ssl.X509_NAME_get_entry
#define X509_NAME_get_index_by_NID flv__ssl.X509_NAME_get_index_by_NID
#define X509_STORE_add_cert flv__ssl.X509_STORE_add_cert
#define X509_VERIFY_PARAM_set1_ip_asc flv__ssl.X509_VERIFY_PARAM_set1_ip_asc
#define X509_VERIFY_PARAM_set_hostflags flv__ssl.X509_VERIFY_PARAM_set_hostflags
#define X509_free flv__ssl.X509_free
#define X509_get_subject_name flv__ssl.X509_get_subject_name
#define X509_verify_cert_error_string flv__ssl.X509_verify_cert_error_string

#endif
