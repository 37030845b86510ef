#include "http/server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/field.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/microhttpd.h"
#include "loop/loop.h"
#include "loop/watch.h"

#define CONNECTIONS_MAX 64
#define IDLE_S 30
#define BODY_BYTES_MAX ((size_t)1024 * 1024)
#define BODIES_MAX 8
/* Request line, headers and read buffer of a connection. */
#define CONNECTION_BYTES_MAX ((size_t)32 * 1024)
#define STREAM_BLOCK_BYTES 8192

struct flv_http_req {
    struct flv_http_server *server;   /* borrowed */
    struct MHD_Connection *conn;      /* NULL: the client is gone */
    struct flv_http_req *next, *prev; /* the server's list */
    char *method, *path;              /* owned */
    struct flv_buf body;              /* owned */
    size_t discarded;                 /* bytes of a body that is too large */
    bool crowded;                     /* the bodies together are */
    struct MHD_Response *response;    /* owned until queued */
    unsigned status;
    struct flv_http_stream stream;
    bool handed;    /* the handler has it, or had it */
    bool answered;  /* the handler is done with it */
    bool suspended; /* waits for the handler */
    bool streaming;
    bool queued; /* the answer is with the library */
};

struct flv_http_server {
    struct flv_http_server_conf conf;
    struct MHD_Daemon *daemon;
    struct flv_watch *watch;
    struct flv_timer timer;
    struct flv_http_req *reqs; /* owned: with a connection or a handler */
    size_t bodies_bytes;       /* of all requests */
    bool stopping;
};

/* ---- Life of a request ------------------------------------------------- */

static void req_free(struct flv_http_req *r)
{
    if (r->prev != NULL) {
        r->prev->next = r->next;
    } else {
        r->server->reqs = r->next;
    }
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    if (r->response != NULL) {
        MHD_destroy_response(r->response);
    }
    assert(r->server->bodies_bytes >= r->body.len);
    r->server->bodies_bytes -= r->body.len;
    flv_buf_deinit(&r->body);
    flv_free(r->method);
    flv_free(r->path);
    flv_free(r);
}

static struct flv_http_req *req_create(struct flv_http_server *s,
                                       struct MHD_Connection *conn,
                                       const char *method,
                                       const char *path)
{
    struct flv_http_req *r = flv_zalloc(1, sizeof(*r));
    if (r == NULL) {
        return NULL;
    }
    r->server = s;
    r->conn = conn;
    flv_buf_init(&r->body, s->conf.body_bytes_max);
    r->next = s->reqs;
    if (r->next != NULL) {
        r->next->prev = r;
    }
    s->reqs = r;
    r->method = flv_strdup(method);
    r->path = flv_strdup(path);
    if (r->method == NULL || r->path == NULL) {
        req_free(r);
        return NULL;
    }
    return r;
}

/* Neither side needs it any more. */
static void maybe_free(struct flv_http_req *r)
{
    if (r->conn == NULL && (r->answered || !r->handed)) {
        req_free(r);
    }
}

/* ---- Answers ----------------------------------------------------------- */

static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (response != NULL && name != NULL && value != NULL) {
        (void)MHD_add_response_header(response, name, value);
    }
}

static struct MHD_Response *make_response(const struct flv_http_answer *a)
{
    size_t len = a->body != NULL ? a->body->len : 0;
    void *data = len > 0 ? a->body->data : (void *)(uintptr_t) "";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_COPY);
    if (a->body != NULL) {
        flv_buf_deinit(a->body);
    }
    add_header(response, "Content-Type", a->type);
    add_header(response, a->header, a->value);
    add_header(response, "Cache-Control", "no-store");
    return response;
}

static enum MHD_Result queue_now(struct flv_http_req *r)
{
    struct MHD_Response *response = r->response;
    r->response = NULL;
    if (response == NULL) {
        return MHD_NO;
    }
    r->queued = true;
    enum MHD_Result ok = MHD_queue_response(r->conn, r->status, response);
    MHD_destroy_response(response);
    return ok;
}

/* Wakes a connection that waited for this. */
static void resume(struct flv_http_req *r)
{
    if (r->suspended && r->conn != NULL) {
        r->suspended = false;
        MHD_resume_connection(r->conn);
        /* The library takes it up in its next round, which nothing else may
         * bring about. */
        (void)!flv_timer_start(&r->server->timer, 0, 0, NULL);
    }
}

void flv_http_answer(struct flv_http_req *r, const struct flv_http_answer *a)
{
    assert(r->handed && !r->answered);
    r->answered = true;
    if (r->conn == NULL || r->response != NULL || r->queued) {
        if (a->body != NULL) {
            flv_buf_deinit(a->body);
        }
        maybe_free(r);
        return;
    }
    r->response = make_response(a);
    r->status = a->status;
    resume(r);
}

/* A client that reads nothing more has closed its end, or reset it. */
static bool client_left(struct flv_http_req *r)
{
    char byte;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL) {
        return true;
    }
    ssize_t n = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 ||
           (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static ssize_t stream_read(void *ctx, uint64_t pos, char *to, size_t max)
{
    struct flv_http_req *r = ctx;
    (void)pos;
    if (r->server->stopping || client_left(r)) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    ssize_t n = r->stream.read(r->stream.ctx, to, max);
    if (n < 0) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (n == 0) {
        r->suspended = true;
        MHD_suspend_connection(r->conn);
    }
    return n;
}

void flv_http_answer_stream(struct flv_http_req *r,
                            const char *type,
                            const struct flv_http_stream *s)
{
    assert(r->handed && !r->answered && !r->streaming);
    r->stream = *s;
    r->streaming = true;
    struct MHD_Response *response = NULL;
    if (r->conn != NULL && r->response == NULL && !r->queued) {
        response = MHD_create_response_from_callback(
            MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, stream_read, r, NULL);
    }
    if (response == NULL) {
        r->answered = true;
        s->closed(s->ctx);
        maybe_free(r);
        return;
    }
    add_header(response, "Content-Type", type);
    add_header(response, "Cache-Control", "no-store");
    r->response = response;
    r->status = MHD_HTTP_OK;
    resume(r);
}

void flv_http_wake(struct flv_http_req *r)
{
    assert(r->streaming);
    resume(r);
}

/* ---- The library's callbacks ------------------------------------------- */

static enum MHD_Result
refuse(struct flv_http_req *r, unsigned status, const char *why)
{
    struct flv_buf body;
    flv_buf_init(&body, 500);
    if (flv_buf_addf(&body, "{\"error_code\":%u,\"message\":\"%s\"}", status,
                     why) != FLV_OK) {
        flv_buf_deinit(&body);
        return MHD_NO;
    }
    const struct flv_http_answer a = {
        .status = status, .type = "application/json", .body = &body};
    r->response = make_response(&a);
    r->status = status;
    return queue_now(r);
}

static enum MHD_Result refuse_large(struct flv_http_req *r)
{
    return refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
}

static bool announced_too_large(const struct flv_http_req *r)
{
    uint64_t length = 0;
    const char *text = MHD_lookup_connection_value(
        r->conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text != NULL &&
           (flv_text_u64(text, 0, UINT64_MAX, &length, NULL) != FLV_OK ||
            length > r->server->conf.body_bytes_max);
}

static enum MHD_Result
take_body(struct flv_http_req *r, const char *data, size_t len)
{
    struct flv_http_server *s = r->server;
    bool fits = r->body.len + len <= s->conf.body_bytes_max;
    if (fits && s->bodies_bytes + len > s->conf.bodies_bytes_max) {
        r->crowded = true;
    }
    if (r->crowded || r->discarded > 0 ||
        flv_buf_add(&r->body, data, len) != FLV_OK) {
        r->discarded += len;
    } else {
        s->bodies_bytes += len;
    }
    /* A client that does not stop gets no answer in the end. */
    return r->discarded <= s->conf.body_bytes_max ? MHD_YES : MHD_NO;
}

static enum MHD_Result hand_over(struct flv_http_req *r)
{
    struct flv_http_server *s = r->server;
    if (!r->handed) {
        if (r->crowded) {
            return refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE,
                          "too much is being sent at once; try again");
        }
        if (r->discarded > 0) {
            return refuse_large(r);
        }
        if (s->stopping) {
            return MHD_NO;
        }
        r->handed = true;
        s->conf.handle(s->conf.arg, r);
    }
    if (r->response != NULL) {
        return queue_now(r);
    }
    r->suspended = true;
    MHD_suspend_connection(r->conn);
    return MHD_YES;
}

/* The head is there, the body is not. */
static enum MHD_Result begin(struct flv_http_req *r)
{
    const struct flv_http_server_conf *c = &r->server->conf;
    if (c->admit != NULL) {
        r->handed = true; /* it may answer */
        if (!c->admit(c->arg, r)) {
            assert(r->answered);
            return queue_now(r);
        }
        r->handed = false;
    }
    return announced_too_large(r) ? refuse_large(r) : MHD_YES;
}

/* The library's signature. NOLINTNEXTLINE(readability-function-size) */
static enum MHD_Result on_request(void *arg,
                                  struct MHD_Connection *conn,
                                  const char *url,
                                  const char *method,
                                  const char *version,
                                  const char *data,
                                  size_t *data_len,
                                  void **state)
{
    struct flv_http_server *s = arg;
    struct flv_http_req *r = *state;
    (void)version;
    if (r == NULL) {
        r = req_create(s, conn, method, url);
        *state = r;
        if (r == NULL) {
            return MHD_NO;
        }
        return begin(r);
    }
    if (*data_len > 0) {
        size_t len = *data_len;
        *data_len = 0;
        return take_body(r, data, len);
    }
    return hand_over(r);
}

static void on_completed(void *arg,
                         struct MHD_Connection *conn,
                         void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct flv_http_req *r = *state;
    (void)arg;
    (void)conn;
    (void)code;
    if (r == NULL) {
        return;
    }
    *state = NULL;
    r->conn = NULL;
    r->suspended = false;
    if (r->streaming && !r->answered) {
        r->answered = true;
        r->stream.closed(r->stream.ctx);
    }
    maybe_free(r);
}

/* The library's own complaints are about clients: they get a status. */
static void no_log(void *arg, const char *fmt, va_list args)
{
    (void)arg;
    (void)fmt;
    (void)args;
}

/* ---- The loop ---------------------------------------------------------- */

static void run(struct flv_http_server *s)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    (void)MHD_run(s->daemon);
    /* A round that ended connections may accept new ones only in the next. */
    (void)MHD_run(s->daemon);
    if (MHD_get_timeout(s->daemon, &wait_ms) != MHD_YES) {
        flv_timer_stop(&s->timer);
        return;
    }
    if (flv_timer_start(&s->timer, wait_ms, 0, NULL) != FLV_OK) {
        return; /* the next request repairs it */
    }
}

static void on_ready(void *ctx, unsigned events)
{
    (void)events;
    run(ctx);
}

static void on_timer(struct flv_timer *t)
{
    run(FLV_OWNER_OF(t, struct flv_http_server, timer));
}

static flv_rc start_daemon(struct flv_http_server *s, struct flv_err *err)
{
    /* clang-format off */
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, on_request, s,
        MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, s->conf.fd,
        MHD_OPTION_CONNECTION_LIMIT, s->conf.connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, s->conf.idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES_MAX,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_END);
    /* clang-format on */
    return s->daemon != NULL
               ? FLV_OK
               : flv_fail(err, FLV_E_IO, "the HTTP server cannot start");
}

flv_rc flv_http_server_create(struct flv_http_server **out,
                              const struct flv_http_server_conf *c,
                              struct flv_err *err)
{
    assert(c->handle != NULL && c->fd >= 0);
    struct flv_http_server *s = flv_zalloc(1, sizeof(*s));
    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    s->conf = *c;
    s->conf.connections_max =
        c->connections_max > 0 ? c->connections_max : CONNECTIONS_MAX;
    s->conf.idle_s = c->idle_s > 0 ? c->idle_s : IDLE_S;
    s->conf.body_bytes_max =
        c->body_bytes_max > 0 ? c->body_bytes_max : BODY_BYTES_MAX;
    s->conf.bodies_bytes_max = c->bodies_bytes_max > 0
                                   ? c->bodies_bytes_max
                                   : BODIES_MAX * s->conf.body_bytes_max;
    flv_timer_init(&s->timer, c->loop, on_timer);
    flv_rc rc = flv__mhd_load(err);
    if (rc == FLV_OK) {
        rc = start_daemon(s, err);
    }
    if (rc == FLV_OK) {
        const union MHD_DaemonInfo *info =
            MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        assert(info != NULL);
        rc = flv_watch_open(&s->watch, c->loop, info->epoll_fd, FLV_WATCH_READ,
                            on_ready, s, err);
    }
    if (rc != FLV_OK) {
        if (s->daemon != NULL) {
            (void)MHD_quiesce_daemon(s->daemon); /* the socket stays */
            MHD_stop_daemon(s->daemon);
        }
        flv_free(s);
        return rc;
    }
    *out = s;
    run(s);
    return FLV_OK;
}

/* The library wants no suspended connection when it stops. */
static void answer_the_waiting(struct flv_http_server *s)
{
    for (struct flv_http_req *r = s->reqs; r != NULL; r = r->next) {
        if (r->suspended && !r->streaming && r->response == NULL) {
            const struct flv_http_answer a = {.status = 503};
            r->response = make_response(&a);
            r->status = a.status;
        }
        resume(r);
    }
}

void flv_http_server_destroy(struct flv_http_server *s)
{
    if (s == NULL) {
        return;
    }
    s->stopping = true;
    answer_the_waiting(s);
    (void)MHD_run(s->daemon);
    (void)MHD_run(s->daemon);
    flv_watch_close(s->watch);
    flv_timer_stop(&s->timer);
    MHD_stop_daemon(s->daemon);
    /* What handlers still hold has no connection any more and outlives us only
     * until they answer: nobody may, since the server is gone. */
    while (s->reqs != NULL) {
        req_free(s->reqs);
    }
    flv_free(s);
}

/* ---- Reading a request ------------------------------------------------- */

const char *flv_http_req_method(const struct flv_http_req *r)
{
    return r->method;
}

const char *flv_http_req_path(const struct flv_http_req *r)
{
    return r->path;
}

static const char *value_of(const struct flv_http_req *r,
                            enum MHD_ValueKind kind,
                            const char *name)
{
    const char *value = NULL;
    size_t len = 0;
    if (r->conn == NULL ||
        MHD_lookup_connection_value_n(r->conn, kind, name, strlen(name), &value,
                                      &len) != MHD_YES) {
        return NULL;
    }
    return value != NULL ? value : "";
}

const char *flv_http_req_query(const struct flv_http_req *r, const char *name)
{
    return value_of(r, MHD_GET_ARGUMENT_KIND, name);
}

struct each_query {
    const char *name;
    void (*fn)(void *arg, const char *text);
    void *arg;
};

static enum MHD_Result next_query(void *ctx,
                                  enum MHD_ValueKind kind,
                                  const char *key,
                                  const char *value)
{
    const struct each_query *e = ctx;
    (void)kind;
    if (strcmp(key, e->name) == 0) {
        e->fn(e->arg, value != NULL ? value : "");
    }
    return MHD_YES;
}

void flv_http_req_each_query(const struct flv_http_req *r,
                             const char *name,
                             void (*fn)(void *arg, const char *text),
                             void *arg)
{
    struct each_query e = {.name = name, .fn = fn, .arg = arg};
    if (r->conn != NULL) {
        (void)MHD_get_connection_values(r->conn, MHD_GET_ARGUMENT_KIND,
                                        next_query, &e);
    }
}

const char *flv_http_req_header(const struct flv_http_req *r, const char *name)
{
    return value_of(r, MHD_HEADER_KIND, name);
}

struct flv_slice flv_http_req_body(const struct flv_http_req *r)
{
    return flv_buf_slice(&r->body);
}
