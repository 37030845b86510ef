/*
 * call.h - one HTTP exchange: the request as curl wants it, the answer as it
 *          arrives.
 *
 * Purpose    Sets a curl handle up from a request and collects status line,
 *            headers and body within their ceilings. Private to this room.
 * Threads    Loop thread only.
 * Ownership  The call owns its curl handle and all texts.
 * Errors     A ceiling that is hit is kept in `err` and ends the transfer.
 */
#ifndef FLV_HTTP_CALL_H
#define FLV_HTTP_CALL_H

#include <curl/curl.h>

#include "base/arena.h"
#include "http/client.h"
#include "loop/loop.h"

struct flv_http_call {
    struct flv_http_client *client;     /* borrowed */
    struct flv_http_call *next, *prev;  /* the client's list */
    CURL *easy;                         /* owned */
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
                                         struct flv_err *err);
void flv__http_call_destroy(struct flv_http_call *call);

/* What curl's result means; FLV_OK makes the answer presentable. */
flv_rc flv__http_call_result(struct flv_http_call *call, CURLcode code);

#endif
