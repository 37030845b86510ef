/*
 * call.h - one HTTP exchange: the request as curl wants it, the answer as it
 *          arrives.
 *
 * Purpose    Sets a curl handle up from a request and collects status line,
 *            headers and body within their ceilings. Private to this room.
 *
 *              create --> load --> (exchange) --> rest --> load --> ...
 *
 *            What requests of one kind have in common (address, method,
 *            limits) is set by _create, what each has of its own by _load.
 * Threads    Loop thread only.
 * Ownership  The call owns its curl handle and all texts.
 * Errors     A ceiling that is hit is kept in `err` and ends the transfer.
 */
#ifndef FLV_HTTP_CALL_H
#define FLV_HTTP_CALL_H

#include <curl/curl.h>

#include "base/arena.h"
#include "http/client.h"
#include "http/sockets.h"
#include "loop/loop.h"

/* What a curl handle keeps from one request to the next. */
struct flv__http_kind {
    char *url, *method; /* owned */
    bool has_body, no_redirects, cut_body;
    uint32_t connect_timeout_ms, timeout_ms;
    uint64_t body_bytes_max;
};

struct flv_http_call {
    struct flv_http_client *client;    /* borrowed */
    struct flv_http_call *next, *prev; /* the client's list */
    CURL *easy;                        /* owned */
    struct flv__http_kind kind;
    struct flv_buf body;                /* of the request */
    struct curl_slist *request_headers; /* owned */
    struct flv_http_response answer;    /* body owned */
    struct flv_http_header *headers;    /* owned; of answer */
    size_t header_cap;
    struct flv_arena texts; /* owns what the answer points to */
    bool encoded;           /* the answer names a content coding */
    bool body_begun;
    bool cut_body;      /* what becomes of the body is no error */
    bool redirects;     /* are followed */
    bool answered;      /* all headers of the last answer are there */
    bool cut;           /* ended here, since nobody wants the rest */
    bool head_told;     /* flow.head has run */
    bool paused;        /* flow.data said no */
    uint64_t dropped;   /* bytes of the body */
    struct flv_err err; /* why the transfer was ended here */
    char curl_text[CURL_ERROR_SIZE];
    char shown[FLV_HTTP_SHOWN_MAX];   /* URL for messages */
    struct flv_task task;             /* a cancelled call's completion */
    struct flv_task go_on;            /* of a paused stream */
    const struct flv_http_flow *flow; /* NULL: the body is collected */
    flv_http_done done;
    void *arg;
};

FLV_CHECKED flv_rc flv__http_call_create(struct flv_http_call **out,
                                         const struct flv_http_request *req,
                                         const struct flv_http_client_conf *c,
                                         struct flv__sockets *sockets,
                                         struct flv_err *err);
void flv__http_call_destroy(struct flv_http_call *call);

/* Can a call that rests be loaded with this request? */
bool flv__http_call_fits(const struct flv_http_call *call,
                         const struct flv_http_request *req);
FLV_CHECKED flv_rc flv__http_call_load(struct flv_http_call *call,
                                       const struct flv_http_request *req,
                                       struct flv_err *err);
/* Forgets request and answer of an exchange that succeeded. */
void flv__http_call_rest(struct flv_http_call *call);

/* What curl's result means; FLV_OK makes the answer presentable. */
flv_rc flv__http_call_result(struct flv_http_call *call, CURLcode code);

#endif
