/*
 * http.h - the HTTP source: what an endpoint answers becomes records.
 *
 * Purpose    The descriptor of the connector, its configuration, the shapes
 *            that an answer takes as a record's value, and the ways of
 *            getting answers: poll.c asks at an interval, stream.c reads one
 *            answer without an end, websocket.c messages.
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
enum http_stream {
    HTTP_STREAM_NONE,
    HTTP_STREAM_CUT,    /* at a delimiter */
    HTTP_STREAM_EVENTS, /* server-sent events */
};
enum http_on_oversized { HTTP_OVERSIZED_SKIP, HTTP_OVERSIZED_FAIL };

/* Largest value of a record; the runtime's own ceiling is above it. */
#define HTTP_VALUE_BYTES_MAX ((size_t)30 * 1024 * 1024)

/* The counters of the descriptor. */
enum http_count {
    HTTP_COUNT_POLLS,
    HTTP_COUNT_HTTP_ERRORS,
    HTTP_COUNT_TRANSPORT_ERRORS,
    HTTP_COUNT_OVERSIZED,
    HTTP_COUNT_STREAMS, /* that were opened */
    HTTP_COUNT_CUT_OFF, /* records whose end never came */
};

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
    int stream;          /* enum http_stream */
    char *delimiter;
    int on_oversized;         /* enum http_on_oversized */
    uint64_t idle_timeout_ms; /* 0: none */
    uint64_t backoff_min_ms, backoff_max_ms;
    char *position_file;           /* of server-sent events; or NULL */
    struct flv_list subscriptions; /* said first on a WebSocket */
    uint64_t ping_ms;              /* of a WebSocket; 0: none */
};

extern const struct flv_connector http_connector;

/* One way of getting answers; the connector's operations go to the one that
 * the configuration asks for. */
struct http_mode {
    flv_rc (*open)(void **out,
                   const struct http_conf *conf,
                   struct flv_source *src,
                   struct flv_err *err);
    void (*pull)(void *mode, struct flv_batch *batch, uint32_t credit);
    void (*settled)(void *mode, uint64_t upto); /* NULL: not interested */
    /* Frees itself, then says flv_source_closed(). */
    void (*close)(void *mode);
};

extern const struct http_mode http_poll_mode;
extern const struct http_mode http_stream_mode;
extern const struct http_mode http_ws_mode;

bool http_is_stream(const struct http_conf *conf);

/* Of all subscription messages, each with what its frame needs. */
#define HTTP_WS_MESSAGES_MAX ((size_t)4 * 1024 * 1024)
#define HTTP_WS_FRAME_MAX 14

/* Looks once at the endpoint (probe.c, probe_ws.c). */
FLV_CHECKED flv_rc http_probe(const void *conf,
                              struct flv_probe *probe,
                              struct flv_err *err);
FLV_CHECKED flv_rc http_probe_ws(const void *conf,
                                 struct flv_probe *probe,
                                 struct flv_err *err);

/* The configured headers, the type of a body that names none, and room for
 * `more`, which begins at *out_used (NULL: nobody asks): an array for
 * flv_free(), whose texts are the configuration's. */
FLV_CHECKED flv_rc http_headers(const struct http_conf *conf,
                                size_t more,
                                const char ***out,
                                size_t *out_used,
                                struct flv_err *err);
/* Where a WebSocket is, its TLS (NULL: plain) and its headers; what was made
 * before a failure is the caller's to free, too (websocket.c). */
struct flv_tls;
struct flv_ws_url;
FLV_CHECKED flv_rc http_ws_prepare(const struct http_conf *conf,
                                   struct flv_ws_url *url,
                                   struct flv_tls **tls,
                                   const char ***headers,
                                   struct flv_err *err);
struct flv_http_client_conf http_client_conf(const struct http_conf *conf);
/* The request of every poll and stream; borrows from conf and headers. */
void http_request(const struct http_conf *conf,
                  const char *const *headers,
                  struct flv_http_request *out);

/* The header's value, or NULL. `name` is in lower case. */
const char *http_header(const struct flv_http_response *answer,
                        const char *name);
/* The sentence about an answer outside 2xx. */
void http_bad_status(const struct http_conf *conf,
                     const struct flv_http_response *answer,
                     struct flv_err *err);

/* Appends status and headers, as they stand in front of every record made of
 * this answer. */
FLV_CHECKED flv_rc http_format_head(const struct flv_http_response *answer,
                                    enum http_type type,
                                    struct flv_buf *out);
/* What makes a record of a stream. */
struct http_record {
    struct flv_slice head; /* such a head, or nothing */
    struct flv_slice body;
    bool is_event;             /* JSON says its type, and its id if any */
    struct flv_slice type, id; /* of the event */
};
FLV_CHECKED flv_rc http_format_record(const struct http_record *r,
                                      enum http_type type,
                                      struct flv_buf *out);
/* Appends the record's value for an answer. */
FLV_CHECKED flv_rc http_format(const struct flv_http_response *answer,
                               enum http_parts parts,
                               enum http_type type,
                               struct flv_buf *out);

#endif
