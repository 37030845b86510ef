#include "loop/lines.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/watch.h"

#define READ_BYTES 4096

struct flv_lines {
    struct flv_lines_conf conf;
    struct flv_watch *watch;
    struct flv_buf in, out; /* owned */
    bool ended;
    bool in_call; /* a callback runs: closing waits for its return */
    bool closed;
};

static void release(struct flv_lines *l)
{
    flv_buf_deinit(&l->in);
    flv_buf_deinit(&l->out);
    flv_free(l);
}

/* False: the callback closed the channel, which is gone now. */
static bool after_call(struct flv_lines *l)
{
    l->in_call = false;
    if (l->closed) {
        release(l);
        return false;
    }
    return true;
}

static bool end(struct flv_lines *l, const struct flv_err *err)
{
    if (l->ended) {
        return true;
    }
    l->ended = true;
    flv_watch_set(l->watch, 0);
    l->in_call = true;
    l->conf.end(l->conf.ctx, err);
    return after_call(l);
}

static bool fail(struct flv_lines *l, int sys, const char *what)
{
    struct flv_err err = {0};

    (void)flv_fail_sys(&err, FLV_E_CLOSED, sys, "%s", what);
    return end(l, &err);
}

/* Hands out every whole line. False: closed. */
static bool split(struct flv_lines *l)
{
    size_t at = 0;

    while (!l->ended) {
        const uint8_t *from = l->in.data + at;
        const uint8_t *feed =
            l->in.len > at ? memchr(from, '\n', l->in.len - at) : NULL;

        if (feed == NULL) {
            break;
        }
        at += (size_t)(feed - from) + 1;
        l->in_call = true;
        l->conf.line(l->conf.ctx, flv_slice(from, (size_t)(feed - from)));
        if (!after_call(l)) {
            return false;
        }
    }
    flv_buf_drop(&l->in, at);
    return true;
}

static bool read_some(struct flv_lines *l)
{
    struct flv_err err = {0};
    ssize_t n = 0;

    if (flv_buf_reserve(&l->in, READ_BYTES) != FLV_OK) {
        return fail(l, ENOMEM, "cannot read a line");
    }
    do {
        n = read(l->conf.fd, l->in.data + l->in.len, READ_BYTES);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return true;
    }
    if (n < 0) {
        return fail(l, errno, "cannot read a line");
    }
    if (n == 0) {
        return end(l, NULL);
    }
    l->in.len += (size_t)n;
    if (!split(l)) {
        return false;
    }
    if (l->in.len > l->conf.line_max) {
        (void)flv_fail(&err, FLV_E_LIMIT, "a line has more than %zu bytes",
                       l->conf.line_max);
        return end(l, &err);
    }
    return true;
}

/* A socket without a peer must not end us by a signal. */
static ssize_t send_bytes(int fd, const struct flv_buf *b)
{
    ssize_t n = send(fd, b->data, b->len, MSG_NOSIGNAL | MSG_DONTWAIT);

    return n < 0 && errno == ENOTSOCK ? write(fd, b->data, b->len) : n;
}

static bool write_some(struct flv_lines *l)
{
    while (l->out.len > 0) {
        ssize_t n = send_bytes(l->conf.fd, &l->out);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (n < 0) {
            return fail(l, errno, "cannot send a line");
        }
        flv_buf_drop(&l->out, (size_t)n);
    }
    if (!l->ended) {
        flv_watch_set(l->watch, l->out.len > 0
                                    ? FLV_WATCH_READ | FLV_WATCH_WRITE
                                    : FLV_WATCH_READ);
    }
    return true;
}

static void on_ready(void *ctx, unsigned events)
{
    struct flv_lines *l = ctx;

    /* Reading first: the last words of a peer that is gone. */
    if ((events & FLV_WATCH_READ) != 0 && !read_some(l)) {
        return;
    }
    if ((events & FLV_WATCH_WRITE) != 0 && !l->ended) {
        (void)write_some(l);
    }
}

flv_rc flv_lines_open(struct flv_lines **out,
                      struct flv_loop *loop,
                      const struct flv_lines_conf *conf,
                      struct flv_err *err)
{
    struct flv_lines *l = flv_zalloc(1, sizeof(*l));
    flv_rc rc = FLV_OK;

    assert(conf->line != NULL && conf->end != NULL && conf->line_max > 0);
    if (l == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a channel");
    }
    l->conf = *conf;
    flv_buf_init(&l->in, conf->line_max + 1 + READ_BYTES);
    flv_buf_init(&l->out, conf->pending_max);
    rc = flv_watch_open(&l->watch, loop, conf->fd, FLV_WATCH_READ, on_ready, l,
                        err);
    if (rc != FLV_OK) {
        release(l);
        return rc;
    }
    *out = l;
    return FLV_OK;
}

flv_rc
flv_lines_send(struct flv_lines *l, struct flv_slice lines, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    if (l->ended) {
        return flv_fail(err, FLV_E_CLOSED, "the peer has closed the channel");
    }
    rc = flv_buf_add(&l->out, lines.data, lines.len);
    if (rc != FLV_OK) {
        return flv_fail(err, rc == FLV_E_LIMIT ? FLV_E_BUSY : rc,
                        "the peer takes no more lines");
    }
    /* What the peer takes at once needs no turn of the loop. A failure shows
     * in the next turn, so that `end` never runs from inside this call. */
    ssize_t n = send_bytes(l->conf.fd, &l->out);
    if (n > 0) {
        flv_buf_drop(&l->out, (size_t)n);
    }
    if (l->out.len > 0) {
        flv_watch_set(l->watch, FLV_WATCH_READ | FLV_WATCH_WRITE);
    }
    return FLV_OK;
}

void flv_lines_close(struct flv_lines *l)
{
    if (l == NULL || l->closed) {
        return;
    }
    flv_watch_close(l->watch);
    l->watch = NULL;
    (void)close(l->conf.fd);
    l->closed = true;
    if (!l->in_call) {
        release(l);
    }
}
