/*
 * http_sink.h - the HTTP sink: each record, or batch of them, is a request.
 *
 * Purpose    The descriptor of the connector, its configuration, and what its
 *            parts share: lanes keep the order (lanes.h), a request is made of
 *            records here, an answer is judged here.
 * Threads    Loop thread only.
 * Ownership  Texts are appended to the caller's buffers.
 * Errors     FLV_E_LIMIT and FLV_E_NOMEM of the buffer.
 * See        README.md, tests/unit/connector/test_http_sink.c
 */
#ifndef FLV_CONNECTORS_HTTP_SINK_H
#define FLV_CONNECTORS_HTTP_SINK_H

#include <fluvio/connector.h>

#include "base/opt.h"
#include "http/client.h"

enum http_sink_format { HTTP_SINK_RECORD, HTTP_SINK_JSON, HTTP_SINK_NDJSON };
enum http_sink_order {
    HTTP_SINK_BY_KEY,
    HTTP_SINK_BY_PARTITION,
    HTTP_SINK_UNORDERED,
};

struct http_sink_conf {
    char *endpoint;
    char *method;
    struct flv_list headers; /* "Name: Value" */
    char *user_agent;
    uint64_t request_timeout_ms, connect_timeout_ms;
    uint64_t backoff_min_ms, backoff_max_ms, retry_after_max_ms;
    int format; /* enum http_sink_format */
    uint64_t batch_records_max, batch_bytes_max;
    int order; /* enum http_sink_order */
    uint64_t in_flight_max;
    char *ca_file;
    char *proxy;
};

extern const struct flv_connector http_sink_connector;

/* Looks once whether the endpoint answers at all (probe.c). */
FLV_CHECKED flv_rc http_sink_probe(const void *conf,
                                   struct flv_probe *probe,
                                   struct flv_err *err);

/* --- requests (request.c) --------------------------------------------------
 */

/* The configured headers and a type for the body: an array for flv_free() whose
 * texts are the configuration's, with a free place in front of its NULL for
 * the key; *out_key is that place. */
FLV_CHECKED flv_rc http_sink_headers(const struct http_sink_conf *conf,
                                     const char ***out,
                                     size_t *out_key,
                                     struct flv_err *err);

/* "Idempotency-Key: topic/0/17"; "topic/0/17.1" of the second record that
 * SmartModules made of one; "topic/0/17-42" of a batch. */
#define HTTP_SINK_KEY_MAX 256
void http_sink_key(const char *topic,
                   const struct flv_sink_record *first,
                   const struct flv_sink_record *last,
                   char out[HTTP_SINK_KEY_MAX]);

/* Can the value be part of a batch? FLV_E_INVALID says why not. */
FLV_CHECKED flv_rc http_sink_value_check(enum http_sink_format format,
                                         struct flv_slice value,
                                         struct flv_err *err);
/* Adds a value to the body; finish() ends it. */
FLV_CHECKED flv_rc http_sink_body_add(enum http_sink_format format,
                                      struct flv_slice value,
                                      struct flv_buf *body);
FLV_CHECKED flv_rc http_sink_body_end(enum http_sink_format format,
                                      struct flv_buf *body);

/* --- answers (answer.c) ------------------------------------------------------
 */

enum http_sink_outcome {
    HTTP_SINK_DELIVERED,
    HTTP_SINK_RETRY,   /* of this request */
    HTTP_SINK_PAUSE,   /* of all: the far side is away, or wants a rest */
    HTTP_SINK_REFUSED, /* the records are at fault: the policy decides */
};

/* wait_ms: what Retry-After asks for, up to the ceiling; 0: nothing. err says
 * what is wrong unless it was delivered. */
enum http_sink_outcome http_sink_judge(const struct flv_http_response *answer,
                                       const char *shown,
                                       int64_t now_ms,
                                       uint64_t wait_max_ms,
                                       uint64_t *out_wait_ms,
                                       struct flv_err *err);

/* Retry-After: seconds, or a date; false: neither. */
bool http_sink_retry_after(const char *text,
                           int64_t now_ms,
                           uint64_t *out_wait_ms);

#endif
