/*
 * microhttpd.h - the functions of libmicrohttpd that we use, found at run
 * time.
 *
 * Purpose    One table, filled when the first server is made. Nothing of this
 *            tree links the library: a program that serves no HTTP does not
 *            pay for it and for the GnuTLS it brings along. After this header
 *            the usual names mean the table's.
 * Threads    Loop thread only.
 * Ownership  The library stays open until the process ends.
 * Errors     FLV_E_UNSUPPORTED: not installed, or of another generation.
 */
#ifndef FLV_HTTP_MICROHTTPD_H
#define FLV_HTTP_MICROHTTPD_H

#include "base/dyn.h"
#include <fluvio/err.h>
#include <microhttpd.h>

#define FLV__MHD_MAP(X)                                                        \
    X(MHD_add_response_header)                                                 \
    X(MHD_create_response_from_buffer)                                         \
    X(MHD_create_response_from_callback)                                       \
    X(MHD_destroy_response)                                                    \
    X(MHD_get_connection_info)                                                 \
    X(MHD_get_connection_values)                                               \
    X(MHD_get_daemon_info)                                                     \
    X(MHD_get_timeout)                                                         \
    X(MHD_lookup_connection_value)                                             \
    X(MHD_lookup_connection_value_n)                                           \
    X(MHD_queue_response)                                                      \
    X(MHD_quiesce_daemon)                                                      \
    X(MHD_resume_connection)                                                   \
    X(MHD_run)                                                                 \
    X(MHD_start_daemon)                                                        \
    X(MHD_stop_daemon)                                                         \
    X(MHD_suspend_connection)

struct flv__mhd {
    FLV__MHD_MAP(FLV_DYN_FIELD)
};

/* Valid after flv__mhd_load() succeeded once. */
extern struct flv__mhd flv__mhd;

FLV_CHECKED flv_rc flv__mhd_load(struct flv_err *err);

#define MHD_add_response_header flv__mhd.MHD_add_response_header
#define MHD_create_response_from_buffer flv__mhd.MHD_create_response_from_buffer
#define MHD_create_response_from_callback                                      \
    flv__mhd.MHD_create_response_from_callback
#define MHD_destroy_response flv__mhd.MHD_destroy_response
#define MHD_get_connection_info flv__mhd.MHD_get_connection_info
#define MHD_get_connection_values flv__mhd.MHD_get_connection_values
#define MHD_get_daemon_info flv__mhd.MHD_get_daemon_info
#define MHD_get_timeout flv__mhd.MHD_get_timeout
#define MHD_lookup_connection_value flv__mhd.MHD_lookup_connection_value
#define MHD_lookup_connection_value_n flv__mhd.MHD_lookup_connection_value_n
#define MHD_queue_response flv__mhd.MHD_queue_response
#define MHD_quiesce_daemon flv__mhd.MHD_quiesce_daemon
#define MHD_resume_connection flv__mhd.MHD_resume_connection
#define MHD_run flv__mhd.MHD_run
#define MHD_start_daemon flv__mhd.MHD_start_daemon
#define MHD_stop_daemon flv__mhd.MHD_stop_daemon
#define MHD_suspend_connection flv__mhd.MHD_suspend_connection

#endif
