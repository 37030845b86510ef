#include "loop/watch.h"

#include <assert.h>

#include "base/mem.h"
#include "loop/loop_priv.h"

struct flv_watch {
    uv_poll_t poll;
    void (*ready)(void *ctx, unsigned events);
    void *ctx;
    unsigned events;
};

static void poll_cb(uv_poll_t *h, int status, int events)
{
    struct flv_watch *w = h->data;
    unsigned seen = 0;

    if (status != 0) {
        seen = w->events;
    }
    if ((events & UV_READABLE) != 0) {
        seen |= FLV_WATCH_READ;
    }
    if ((events & UV_WRITABLE) != 0) {
        seen |= FLV_WATCH_WRITE;
    }
    if (seen != 0) {
        w->ready(w->ctx, seen);
    }
}

static void close_cb(uv_handle_t *h)
{
    flv_free(h->data);
}

void flv_watch_set(struct flv_watch *w, unsigned events)
{
    int mask = 0;
    int rc = 0;

    if (events == w->events) {
        return;
    }
    w->events = events;
    if ((events & FLV_WATCH_READ) != 0) {
        mask |= UV_READABLE;
    }
    if ((events & FLV_WATCH_WRITE) != 0) {
        mask |= UV_WRITABLE;
    }
    rc = mask != 0 ? uv_poll_start(&w->poll, mask, poll_cb)
                   : uv_poll_stop(&w->poll);
    assert(rc == 0); /* only fails while closing */
    (void)rc;
}

flv_rc flv_watch_open(struct flv_watch **out,
                      struct flv_loop *loop,
                      int fd,
                      unsigned events,
                      void (*ready)(void *ctx, unsigned events),
                      void *ctx,
                      struct flv_err *err)
{
    struct flv_watch *w = flv_zalloc(1, sizeof(*w));
    int rc = 0;

    assert(ready != NULL && flv_loop_here(loop));
    if (w == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a watch");
    }
    w->ready = ready;
    w->ctx = ctx;
    w->poll.data = w;
    rc = uv_poll_init(&loop->uv, &w->poll, fd);
    if (rc != 0) {
        flv_free(w);
        return flv_fail_sys(err, FLV_E_IO, -rc, "cannot watch descriptor %d",
                            fd);
    }
    flv_watch_set(w, events);
    *out = w;
    return FLV_OK;
}

void flv_watch_close(struct flv_watch *w)
{
    if (w != NULL) {
        uv_close((uv_handle_t *)&w->poll, close_cb);
    }
}
