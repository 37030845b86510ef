/*
 * http.h - the HTTP source: polls an endpoint, one record per answer.
 *
 * Purpose    The descriptor of the connector, its configuration, and the
 *            shapes that an answer takes as a record's value.
 * Threads    Loop thread only.
 * Ownership  Values are appended to the caller's buffer.
 * Errors     FLV_E_LIMIT and FLV_E_NOMEM of the buffer.
 * See        README.md, tests/unit/connector/test_http_format.c
 */
#ifndef FLV_CONNECTORS_HTTP_H
#define FLV_CONNECTORS_HTTP_H

#include <fluvio/connector.h>

#include "base/opt.h"
#include "http/client.h"

enum http_parts { HTTP_PARTS_BODY, HTTP_PARTS_FULL };
enum http_type { HTTP_TYPE_TEXT, HTTP_TYPE_JSON };
enum http_on_error { HTTP_ERROR_PRODUCE, HTTP_ERROR_SKIP, HTTP_ERROR_FAIL };

struct http_conf {
    char *endpoint;
    char *method;
    char *body;
    uint64_t interval_ms;
    struct flv_list headers; /* "Name:Value" */
    char *user_agent;
    int parts;    /* enum http_parts */
    int type;     /* enum http_type */
    int on_error; /* enum http_on_error */
    uint64_t timeout_ms, connect_timeout_ms;
    uint64_t response_bytes_max;
    char *ca_file;
    char *proxy;
    char *output_format; /* replaced; giving it is an error */
};

extern const struct flv_connector http_connector;

/* Looks once at the endpoint (probe.c). */
FLV_CHECKED flv_rc http_probe(const void *conf,
                              struct flv_probe *probe,
                              struct flv_err *err);

/* The configured headers, and the type of a body that names none: an array for
 * flv_free(), whose texts are the configuration's. */
FLV_CHECKED flv_rc http_headers(const struct http_conf *conf,
                                const char ***out,
                                struct flv_err *err);
/* The request of every poll; borrows from conf and headers. */
void http_request(const struct http_conf *conf,
                  const char *const *headers,
                  struct flv_http_request *out);

/* Appends the record's value for an answer. */
FLV_CHECKED flv_rc http_format(const struct flv_http_response *answer,
                               enum http_parts parts,
                               enum http_type type,
                               struct flv_buf *out);

#endif
