#include "cli/unix_http.h"

#include "base/clock.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PIECE_BYTES 65536

/* ---- The head -------------------------------------------------------------
 */

/* Bytes up to and with the empty line; 0: it has not come yet. */
static size_t head_bytes(struct flv_slice text)
{
    for (size_t i = 0; i + 3 < text.len; i++) {
        if (memcmp(text.data + i, "\r\n\r\n", 4) == 0) {
            return i + 4;
        }
    }
    return 0;
}

static bool take_length(const char *value, size_t len, uint64_t *out)
{
    char digits[24];
    while (len > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        len--;
    }
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) {
        len--;
    }
    if (len == 0 || len >= sizeof digits) {
        return false;
    }
    memcpy(digits, value, len);
    digits[len] = '\0';
    return flv_text_u64(digits, 0, UINT64_MAX, out, NULL) == FLV_OK;
}

static flv_rc no_http(struct flv_err *err)
{
    return flv_fail(err, FLV_E_PROTOCOL, "the answer is no HTTP");
}

/* "HTTP/1.1 200 OK" */
static bool take_status(const char *line, size_t len, unsigned *out)
{
    static const char prefix[] = "HTTP/1.";
    const size_t at = sizeof prefix + 1; /* behind the minor number, a blank */
    if (len < at + 3 || memcmp(line, prefix, sizeof prefix - 1) != 0 ||
        line[at - 1] != ' ') {
        return false;
    }
    *out = 0;
    for (size_t i = at; i < at + 3; i++) {
        if (line[i] < '0' || line[i] > '9') {
            return false;
        }
        *out = *out * 10 + (unsigned)(line[i] - '0');
    }
    return *out >= 100;
}

flv_rc cli_http_head(struct flv_slice text,
                     struct cli_http_head *out,
                     struct flv_err *err)
{
    static const char length[] = "content-length:";
    struct cli_http_head head = {.bytes = head_bytes(text)};
    const char *p = (const char *)text.data;
    if (head.bytes == 0) {
        return text.len > CLI_HTTP_HEAD_MAX ? no_http(err) : FLV_E_BUSY;
    }
    const char *end = p + head.bytes - 2;
    for (bool first = true; p < end; first = false) {
        const char *feed = memchr(p, '\n', (size_t)(end - p));
        assert(feed != NULL);
        size_t len = (size_t)(feed - p);
        len -= len > 0 && p[len - 1] == '\r';
        if (first && !take_status(p, len, &head.status)) {
            return no_http(err);
        }
        if (len >= sizeof length - 1 &&
            strncasecmp(p, length, sizeof length - 1) == 0) {
            head.has_length = take_length(
                p + sizeof length - 1, len - (sizeof length - 1), &head.length);
            if (!head.has_length) {
                return no_http(err);
            }
        }
        p = feed + 1;
    }
    *out = head;
    return FLV_OK;
}

/* ---- The socket ------------------------------------------------------------
 */

/* Blocks until the socket is ready or nothing happened for that long. */
static flv_rc await(int fd, short events, int ms, struct flv_err *err)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n = 0;
    do {
        n = poll(&p, 1, ms);
    } while (n < 0 && errno == EINTR);
    if (n == 0) {
        return flv_fail(err, FLV_E_TIMEOUT, "no answer");
    }
    return n > 0 ? FLV_OK : flv_fail_sys(err, FLV_E_IO, errno, "cannot wait");
}

/* A full queue of connections is tried again for a while. */
static flv_rc
dial(const struct cli_http_request *req, int fd, struct flv_err *e)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    uint64_t end = flv_clock_mono_ms() + (uint64_t)req->connect_ms;
    int len = snprintf(to.sun_path, sizeof to.sun_path, "%s", req->socket);
    assert(len > 0 && (size_t)len < sizeof to.sun_path);
    while (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        if (errno != EAGAIN && errno != EINTR) {
            return flv_fail_sys(e, FLV_E_CONNECT, errno, "cannot connect");
        }
        if (flv_clock_mono_ms() >= end) {
            return flv_fail(e, FLV_E_TIMEOUT, "no answer");
        }
        (void)poll(NULL, 0, 10);
    }
    return FLV_OK;
}

static flv_rc send_all(int fd, struct flv_slice s, int ms, struct flv_err *err)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.data, s.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            s = flv_slice(s.data + n, s.len - (size_t)n);
        } else if (errno == EAGAIN || errno == EINTR) {
            flv_rc rc = await(fd, POLLOUT, ms, err);
            if (rc != FLV_OK) {
                return rc;
            }
        } else {
            /* It may have answered already, before all was read. */
            return FLV_OK;
        }
    }
    return FLV_OK;
}

static flv_rc
send_request(const struct cli_http_request *req, int fd, struct flv_err *err)
{
    struct flv_buf head;
    flv_buf_init(&head, CLI_HTTP_HEAD_MAX);
    flv_rc rc = flv_buf_addf(&head,
                             "%s %s HTTP/1.0\r\nHost: manager\r\n"
                             "Accept: %s\r\n",
                             req->method != NULL ? req->method : "GET",
                             req->path, req->accept);
    if (rc == FLV_OK && req->has_body) {
        rc = flv_buf_addf(&head, "Content-Length: %zu\r\n", req->body.len);
    }
    rc = rc == FLV_OK ? flv_buf_add_str(&head, "\r\n") : rc;
    if (rc != FLV_OK) {
        rc = flv_fail(err, rc, "the request is too long");
    } else {
        rc = send_all(fd, flv_buf_slice(&head), req->connect_ms, err);
    }
    if (rc == FLV_OK && req->has_body) {
        rc = send_all(fd, req->body, req->connect_ms, err);
    }
    flv_buf_deinit(&head);
    return rc;
}

/* ---- The answer ------------------------------------------------------------
 */

struct reading {
    const struct cli_http_request *req; /* borrowed */
    struct flv_buf head;                /* owned; until it is complete */
    struct cli_http_head is;
    bool has_head;
    uint64_t got; /* bytes of the body */
    struct flv_buf *body;
};

static flv_rc
take_body(struct reading *r, struct flv_slice piece, struct flv_err *err)
{
    r->got += piece.len;
    if (r->req->piece != NULL && r->is.status == 200) {
        if (piece.len > 0) {
            r->req->piece(r->req->arg, piece);
        }
        return FLV_OK;
    }
    flv_rc rc =
        piece.len > 0 ? flv_buf_add(r->body, piece.data, piece.len) : FLV_OK;
    return rc == FLV_OK
               ? rc
               : flv_fail(err, rc, "the answer has more than %zu bytes",
                          r->body->max);
}

static flv_rc
take(struct reading *r, struct flv_slice piece, struct flv_err *err)
{
    if (r->has_head) {
        return take_body(r, piece, err);
    }
    if (flv_buf_add(&r->head, piece.data, piece.len) != FLV_OK) {
        return flv_fail(err, FLV_E_LIMIT, "the head of the answer is too long");
    }
    flv_rc rc = cli_http_head(flv_buf_slice(&r->head), &r->is, err);
    if (rc == FLV_E_BUSY) {
        return FLV_OK;
    }
    if (rc != FLV_OK) {
        return rc;
    }
    r->has_head = true;
    return take_body(
        r, flv_slice(r->head.data + r->is.bytes, r->head.len - r->is.bytes),
        err);
}

/* Up to the end of the connection, or of the length that was announced. */
static flv_rc read_answer(struct reading *r, int fd, struct flv_err *err)
{
    static uint8_t piece[PIECE_BYTES];
    while (!r->has_head || !r->is.has_length || r->got < r->is.length) {
        flv_rc rc = await(fd, POLLIN, r->req->silence_ms, err);
        if (rc != FLV_OK) {
            return rc;
        }
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return flv_fail_sys(err, FLV_E_IO, errno, "cannot read the answer");
        }
        if (n == 0) {
            break;
        }
        rc = take(r, flv_slice(piece, (size_t)n), err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    if (!r->has_head || (r->is.has_length && r->got != r->is.length)) {
        return flv_fail(err, FLV_E_PROTOCOL, "the answer is cut short");
    }
    return FLV_OK;
}

flv_rc cli_http_ask(const struct cli_http_request *req,
                    unsigned *out_status,
                    struct flv_buf *out_body,
                    struct flv_err *err)
{
    struct reading r = {.req = req, .body = out_body};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot make a socket");
    }
    flv_buf_init(&r.head, CLI_HTTP_HEAD_MAX + PIECE_BYTES);
    flv_rc rc = dial(req, fd, err);
    rc = rc == FLV_OK ? send_request(req, fd, err) : rc;
    rc = rc == FLV_OK ? read_answer(&r, fd, err) : rc;
    if (rc == FLV_OK) {
        *out_status = r.is.status;
    }
    flv_buf_deinit(&r.head);
    close(fd);
    return rc;
}
