/*
 * client.h - HTTP requests on the loop.
 *
 * Purpose    Sends a request, collects the answer up to a ceiling and hands it
 *            over in one callback. Connections are kept and reused. libcurl's
 *            multi interface does the protocol; its sockets and timers are
 *            those of the loop. Knows nothing of what bodies mean.
 * Threads    Loop thread only.
 * Streams    A request with a flow gets the body piece by piece as it comes,
 *            for as long as it comes. What is not taken stays in the socket:
 *            nothing is collected here but one piece.
 * Ownership  flv_http_send() copies the request. The answer belongs to the
 *            client and is gone when the callback returns; a body is kept
 *            with flv_buf_take(). Destroying the client drops
 *            what is under way without callbacks.
 * Errors     An answer with any status is a success here. What prevents an
 *            answer is an error: FLV_E_CONNECT, FLV_E_TIMEOUT, FLV_E_LIMIT
 *            (body, headers), FLV_E_PROTOCOL, FLV_E_INVALID (bad URL),
 *            FLV_E_CANCELED. Texts name the URL without its password and
 *            query.
 * Units      _ms time; _bytes after decompression.
 * See        tests/unit/http/test_http_client.c
 */
#ifndef FLV_HTTP_CLIENT_H
#define FLV_HTTP_CLIENT_H

#include "base/bytes.h"
#include <stdbool.h>

struct flv_loop;
struct flv_http_client;
struct flv_http_call; /* one request under way */
struct flv_http_response;

#define FLV_HTTP_HEADERS_BYTES_MAX ((size_t)256 * 1024)
#define FLV_HTTP_HEADERS_MAX 1000
#define FLV_HTTP_REDIRECTS_MAX 20

struct flv_http_client_conf {
    unsigned connections_max; /* kept open at once; 0 = 8 */
    const char *ca_file;      /* PEM, trusted besides the system's; or NULL */
    const char *user_agent;   /* sent unless a header says otherwise, or NULL */
    const char *proxy;        /* URL; NULL = environment, "" = none */
};

/* Where the body of a stream goes. From inside of these two nothing here may
 * be called, and the client may not be destroyed. */
struct flv_http_flow {
    /* Status and headers of the answer, without a body; borrowed. Once, before
     * the body. False: nobody wants the rest; `done` follows with the answer.
     */
    bool (*head)(void *arg, const struct flv_http_response *answer);
    /* The next bytes of the body, at most 16 KiB; borrowed. False: not now.
     * They come again after flv_http_resume(), and nothing is read until
     * then. */
    bool (*data)(void *arg, struct flv_slice bytes);
};

struct flv_http_request {
    const char *method;         /* NULL = GET */
    const char *url;            /* http:// or https:// */
    const char *const *headers; /* "Name: value"; ends with NULL; or NULL */
    struct flv_slice body;      /* sent when has_body */
    bool has_body;
    bool no_redirects;           /* hand 3xx answers over as they are */
    bool cut_body;               /* what is beyond body_bytes_max is dropped,
                                  * and a body that breaks off or does not end
                                  * in time is no error; a small one is not
                                  * asked to be compressed */
    uint32_t connect_timeout_ms; /* 0 = 10 s */
    uint32_t timeout_ms;         /* whole exchange; of a stream: until its
                                  * head is there; 0 = 30 s */
    uint64_t body_bytes_max;     /* 0 = 16 MiB; not of streams */
    /* A stream: HTTP/1.1, no compression is offered, no limit of time or size
     * once the head is there; or NULL. Static; gets the arg of `done`, whose
     * answer has no body then. */
    const struct flv_http_flow *flow;
};

struct flv_http_header {
    const char *name; /* lower case */
    const char *value;
};

struct flv_http_response {
    const char *version;                   /* "HTTP/1.1" */
    unsigned status;                       /* 200 */
    const char *reason;                    /* as sent; empty in HTTP/2 */
    const struct flv_http_header *headers; /* in the order received */
    size_t header_count;
    struct flv_buf body; /* decompressed; may be taken with flv_buf_take() */
};

/* rc is FLV_OK with an answer, or the failure with answer == NULL and err
 * filled. Runs exactly once unless the client is destroyed before, and never
 * from inside flv_http_send(). */
typedef void (*flv_http_done)(void *arg,
                              struct flv_http_response *answer,
                              const struct flv_err *err);

FLV_CHECKED flv_rc flv_http_client_create(struct flv_http_client **out,
                                          struct flv_loop *loop,
                                          const struct flv_http_client_conf *c,
                                          struct flv_err *err);
/* Stops everything at once. Memory that the loop still looks at is freed in
 * the loop's next turns; `closed` (or NULL) runs when all of it is gone. */
void flv_http_client_destroy(struct flv_http_client *client,
                             void (*closed)(void *arg),
                             void *arg);

FLV_CHECKED flv_rc flv_http_send(struct flv_http_client *client,
                                 const struct flv_http_request *req,
                                 flv_http_done done,
                                 void *arg,
                                 struct flv_http_call **out_call,
                                 struct flv_err *err);

/* Gives up a call whose callback has not run yet: it will run with
 * FLV_E_CANCELED, later. A call is valid until its callback begins. */
void flv_http_cancel(struct flv_http_call *call);

/* Of a stream whose `data` said no: the bytes come again, later. */
void flv_http_resume(struct flv_http_call *call);

/* The customary reason of a status ("Not Found"), "" for unknown ones. */
const char *flv_http_reason(unsigned status);

/* The URL without password, user and query, cut to fit: for messages. */
#define FLV_HTTP_SHOWN_MAX 100
void flv_http_url_shown(const char *url, char out[FLV_HTTP_SHOWN_MAX]);

/* Name of a header: a token of RFC 9110; value: no line break, no NUL. */
bool flv_http_name_ok(const char *name, size_t len);
bool flv_http_value_ok(const char *value, size_t len);
/* Is the line "name: value" of this header, in any case? */
bool flv_http_header_is(const char *line, const char *name);

/* What people write in settings: FLV_OK, or FLV_E_USAGE with a sentence that
 * shows neither a header's value nor a URL's password. */
FLV_CHECKED flv_rc flv_http_header_check(const char *header,
                                         struct flv_err *err);
FLV_CHECKED flv_rc flv_http_endpoint_check(const char *url,
                                           struct flv_err *err);

/* The array that a request takes: the texts as they are, then `type` unless
 * one of them says Content-Type (NULL: no such header), then room for `more`,
 * all NULL. *out_used is the place of the first NULL. Owned by the caller. */
FLV_CHECKED flv_rc flv_http_headers(const char *const *given,
                                    size_t count,
                                    const char *type,
                                    size_t more,
                                    const char ***out,
                                    size_t *out_used,
                                    struct flv_err *err);

#endif
