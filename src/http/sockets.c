#include "http/sockets.h"

#include <assert.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "loop/loop.h"

#define CAP_MIN 64u

struct flv__socket {
    uv_poll_t poll;
    struct flv__sockets *all; /* borrowed */
    curl_socket_t fd;
    int wanted, armed; /* UV_READABLE, UV_WRITABLE: by curl, in the loop */
    bool kept;         /* of a connection: watched until it is closed */
};

static struct flv__socket *find(const struct flv__sockets *all, int fd)
{
    return fd >= 0 && (size_t)fd < all->cap ? all->by_fd[fd] : NULL;
}

static bool make_room(struct flv__sockets *all, int fd)
{
    size_t cap = all->cap > 0 ? all->cap : CAP_MIN;
    while (cap <= (size_t)fd) {
        cap *= 2;
    }
    if (cap == all->cap) {
        return true;
    }
    struct flv__socket **grown =
        flv_realloc(all->by_fd, cap * sizeof(struct flv__socket *));
    if (grown == NULL) {
        return false;
    }
    for (size_t i = all->cap; i < cap; i++) {
        grown[i] = NULL;
    }
    all->by_fd = grown;
    all->cap = cap;
    return true;
}

static void socket_closed(uv_handle_t *handle)
{
    struct flv__socket *s = handle->data;
    struct flv__sockets *all = s->all;
    flv_free(s);
    assert(all->open > 0);
    all->open--;
    all->gone(all->arg);
}

static void forget(struct flv__socket *s)
{
    s->all->by_fd[s->fd] = NULL;
    uv_close((uv_handle_t *)&s->poll, socket_closed);
}

static struct flv__socket *add(struct flv__sockets *all, int fd)
{
    if (!make_room(all, fd)) {
        return NULL;
    }
    struct flv__socket *s = flv_zalloc(1, sizeof(*s));
    if (s == NULL || uv_poll_init(flv_loop_uv(all->loop), &s->poll, fd) != 0) {
        flv_free(s);
        return NULL;
    }
    s->poll.data = s;
    s->all = all;
    s->fd = fd;
    all->by_fd[fd] = s;
    all->open++;
    return s;
}

/* --- events --------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct flv__socket *s = poll->data;
    int bits = 0;
    if (status < 0) {
        s->armed = 0; /* libuv has stopped it */
        bits = CURL_CSELECT_ERR;
    }
    if (s->wanted == 0) {
        /* Of an idle connection: curl sees it when it is used again. */
        uv_poll_stop(&s->poll);
        s->armed = 0;
        return;
    }
    if ((events & UV_READABLE) != 0) {
        bits |= CURL_CSELECT_IN;
    }
    if ((events & UV_WRITABLE) != 0) {
        bits |= CURL_CSELECT_OUT;
    }
    s->all->ready(s->all->arg, s->fd, bits);
}

static int arm(struct flv__socket *s, int events)
{
    s->wanted = events;
    uv_ref((uv_handle_t *)&s->poll);
    if (s->armed == events) {
        return 0;
    }
    s->armed = events;
    return uv_poll_start(&s->poll, events, on_poll) == 0 ? 0 : -1;
}

/* curl closes a socket through flv__sockets_close() when it is that of a
 * connection that stands; one that is still being made, or that of its
 * resolver, it may close without a word. */
static bool is_connection(CURL *easy, curl_socket_t fd)
{
    curl_socket_t active = CURL_SOCKET_BAD;
    return curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &active) ==
               CURLE_OK &&
           active == fd;
}

static void let_go(struct flv__socket *s, CURL *easy)
{
    s->kept = s->kept || is_connection(easy, s->fd);
    if (!s->kept) {
        forget(s);
        return;
    }
    s->wanted = 0;
    uv_unref((uv_handle_t *)&s->poll); /* nobody waits for it */
}

int flv__sockets_want(struct flv__sockets *all,
                      CURL *easy,
                      curl_socket_t fd,
                      int what)
{
    struct flv__socket *s = find(all, fd);
    if (what == CURL_POLL_REMOVE) {
        if (s != NULL) {
            let_go(s, easy);
        }
        return 0;
    }
    if (s == NULL) {
        s = add(all, fd);
    }
    if (s == NULL) {
        return -1;
    }
    int events = 0;
    if ((what & CURL_POLL_IN) != 0) {
        events |= UV_READABLE;
    }
    if ((what & CURL_POLL_OUT) != 0) {
        events |= UV_WRITABLE;
    }
    return arm(s, events);
}

/* --- life ----------------------------------------------------------------- */

int flv__sockets_close(void *arg, curl_socket_t fd)
{
    struct flv__sockets *all = arg;
    struct flv__socket *s = find(all, fd);
    if (s != NULL) {
        forget(s);
    }
    return close(fd);
}

void flv__sockets_deinit(struct flv__sockets *all)
{
    assert(all->open == 0);
    flv_free(all->by_fd);
    all->by_fd = NULL;
    all->cap = 0;
}
