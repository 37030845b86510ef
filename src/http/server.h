/*
 * server.h - HTTP/1.1 requests answered on the loop.
 *
 * Purpose    Takes requests on a listening socket (TCP or unix), hands each
 *            over when its body is complete, and sends the answer now or
 *            later. libmicrohttpd does the protocol in its epoll mode without
 *            threads; its descriptor is watched by the loop. Knows nothing of
 *            what paths and bodies mean.
 * Bounds     Connections, headers, bodies (each, and all together) and silence
 *            have ceilings; what is above is refused with the status for it
 *            (413, 414, 431, 503) or disconnected.
 * Threads    Loop thread only.
 * Ownership  A request is the handler's from `handle` until it is answered,
 *            whether or not the client is still there; texts and body are
 *            borrowed from it. The body of an answer is taken.
 * Errors     FLV_E_IO when the library cannot start, FLV_E_UNSUPPORTED when it
 *            is not there: it is loaded when the first server is made.
 * See        tests/unit/http/test_http_server.c
 */
#ifndef FLV_HTTP_SERVER_H
#define FLV_HTTP_SERVER_H

#include "base/bytes.h"

#include <sys/types.h>

struct flv_loop;
struct flv_http_server;
struct flv_http_req;

struct flv_http_server_conf {
    struct flv_loop *loop;
    int fd;                   /* bound and listening; taken */
    unsigned connections_max; /* 0: 64 */
    unsigned idle_s;          /* longest silence; 0: 30 */
    size_t body_bytes_max;    /* 0: 1 MiB */
    size_t bodies_bytes_max;  /* of all requests together; 0: 8 bodies */
    /* Before a body is read: true lets the request in; false: it has been
     * answered, and the body is not looked at. May be NULL. */
    bool (*admit)(void *arg, struct flv_http_req *req);
    /* Runs once per request and must see to one flv_http_answer() or
     * flv_http_answer_stream(), at once or later. */
    void (*handle)(void *arg, struct flv_http_req *req);
    void *arg;
};

/* A socket for `fd`: a name or address, and a port (0: any free one, told in
 * *out_port). FLV_E_EXISTS: the port is in use. Blocks for a name. */
FLV_CHECKED flv_rc flv_http_listen(const char *host,
                                   uint16_t port,
                                   int *out_fd,
                                   uint16_t *out_port,
                                   struct flv_err *err);

FLV_CHECKED flv_rc flv_http_server_create(struct flv_http_server **out,
                                          const struct flv_http_server_conf *c,
                                          struct flv_err *err);
/* Ends all connections, then the socket. Requests that are not answered yet
 * are answered with 503 and are gone: nobody may answer them any more. The
 * loop has to make a turn before it is destroyed. NULL is allowed. */
void flv_http_server_destroy(struct flv_http_server *s);

/* ---- The request ------------------------------------------------------- */

const char *flv_http_req_method(const struct flv_http_req *r);
const char *flv_http_req_path(const struct flv_http_req *r); /* unescaped */
/* The text behind NAME= ("" for a bare NAME), or NULL. */
const char *flv_http_req_query(const struct flv_http_req *r, const char *name);
/* Each of several NAME=TEXT, in order. */
void flv_http_req_each_query(const struct flv_http_req *r,
                             const char *name,
                             void (*fn)(void *arg, const char *text),
                             void *arg);
const char *flv_http_req_header(const struct flv_http_req *r, const char *name);
struct flv_slice flv_http_req_body(const struct flv_http_req *r);

/* ---- The answer -------------------------------------------------------- */

struct flv_http_answer {
    unsigned status;
    const char *type;     /* content type; NULL: no body */
    struct flv_buf *body; /* taken: left empty; NULL: none */
    const char *header;   /* name of one more header, or NULL */
    const char *value;    /* of it */
};
void flv_http_answer(struct flv_http_req *r, const struct flv_http_answer *a);

/* A body that comes bit by bit. */
struct flv_http_stream {
    /* At most max bytes: how many, 0: none now (flv_http_wake() will come),
     * -1: the end. */
    ssize_t (*read)(void *ctx, char *to, size_t max);
    /* Once, when nothing more is read: at the end or when the client left. */
    void (*closed)(void *ctx);
    void *ctx;
};
/* The request stays valid until `closed`. */
void flv_http_answer_stream(struct flv_http_req *r,
                            const char *type,
                            const struct flv_http_stream *s);
/* There is more to read, or it is time to see whether the client left. */
void flv_http_wake(struct flv_http_req *r);

#endif
