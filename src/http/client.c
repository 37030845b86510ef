#include "http/client.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>
#include <uv.h>

#include "base/field.h"
#include "base/mem.h"
#include "http/call.h"

#define CONNECTIONS_MAX 8

/* One of curl's sockets as the loop watches it. */
struct watch {
    uv_poll_t poll;
    struct flv_http_client *client; /* borrowed */
    curl_socket_t fd;
};

struct flv_http_client {
    struct flv_loop *loop; /* borrowed */
    CURLM *multi;          /* owned; NULL once destroyed */
    struct flv_timer timer;
    struct flv_http_client_conf conf; /* texts owned */
    struct flv_http_call *calls;      /* owned, newest first */
    size_t watches;                   /* poll handles not yet closed */
    bool running;                     /* inside run(): not to be freed */
    bool destroyed;
    struct flv_task gone;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void unlink_call(struct flv_http_call *call)
{
    struct flv_http_client *c = call->client;
    if (call->prev != NULL) {
        call->prev->next = call->next;
    } else {
        assert(c->calls == call);
        c->calls = call->next;
    }
    if (call->next != NULL) {
        call->next->prev = call->prev;
    }
}

static void complete(struct flv_http_call *call, flv_rc rc)
{
    unlink_call(call);
    flv_loop_undefer(call->client->loop, &call->go_on);
    if (rc == FLV_OK) {
        call->done(call->arg, &call->answer, NULL);
    } else {
        call->done(call->arg, NULL, &call->err);
    }
    flv__http_call_destroy(call);
}

/* --- curl on the loop ---------------------------------------------------- */

static void client_gone(struct flv_task *task)
{
    struct flv_http_client *c =
        FLV_OWNER_OF(task, struct flv_http_client, gone);
    void (*closed)(void *arg) = c->closed;
    void *arg = c->closed_arg;
    curl_global_cleanup();
    flv_free((char *)c->conf.ca_file);
    flv_free((char *)c->conf.user_agent);
    flv_free((char *)c->conf.proxy);
    flv_free(c);
    if (closed != NULL) {
        closed(arg);
    }
}

static void maybe_gone(struct flv_http_client *c)
{
    if (c->destroyed && c->watches == 0 && !c->running) {
        flv_loop_defer(c->loop, &c->gone);
    }
}

static void watch_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    struct flv_http_client *c = w->client;
    flv_free(w);
    assert(c->watches > 0);
    c->watches--;
    maybe_gone(c);
}

static void take_results(struct flv_http_client *c)
{
    CURLMsg *msg;
    int left;
    while (!c->destroyed &&
           (msg = curl_multi_info_read(c->multi, &left)) != NULL) {
        if (msg->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode code = msg->data.result;
        CURL *easy = msg->easy_handle;
        struct flv_http_call *call = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
        assert(call != NULL && call->easy == easy);
        curl_multi_remove_handle(c->multi, easy);
        complete(call, flv__http_call_result(call, code));
    }
}

static void run(struct flv_http_client *c, curl_socket_t fd, int events)
{
    if (c->destroyed) {
        return;
    }
    int still = 0;
    c->running = true;
    (void)curl_multi_socket_action(c->multi, fd, events, &still);
    take_results(c);
    c->running = false;
    maybe_gone(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    int bits = 0;
    if (status < 0) {
        bits = CURL_CSELECT_ERR;
    }
    if ((events & UV_READABLE) != 0) {
        bits |= CURL_CSELECT_IN;
    }
    if ((events & UV_WRITABLE) != 0) {
        bits |= CURL_CSELECT_OUT;
    }
    run(w->client, w->fd, bits);
}

static struct watch *watch_create(struct flv_http_client *c, curl_socket_t fd)
{
    struct watch *w = flv_zalloc(1, sizeof(*w));
    if (w == NULL) {
        return NULL;
    }
    w->client = c;
    w->fd = fd;
    if (uv_poll_init(flv_loop_uv(c->loop), &w->poll, fd) != 0) {
        flv_free(w);
        return NULL;
    }
    w->poll.data = w;
    c->watches++;
    curl_multi_assign(c->multi, fd, w);
    return w;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    struct flv_http_client *c = arg;
    struct watch *w = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            curl_multi_assign(c->multi, fd, NULL);
            uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *)&w->poll, watch_closed);
        }
        return 0;
    }
    if (w == NULL) {
        w = watch_create(c, fd);
    }
    if (w == NULL) {
        return -1;
    }
    int events = 0;
    if ((what & CURL_POLL_IN) != 0) {
        events |= UV_READABLE;
    }
    if ((what & CURL_POLL_OUT) != 0) {
        events |= UV_WRITABLE;
    }
    return uv_poll_start(&w->poll, events, on_poll) == 0 ? 0 : -1;
}

static void on_time(struct flv_timer *timer)
{
    struct flv_http_client *c =
        FLV_OWNER_OF(timer, struct flv_http_client, timer);
    run(c, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct flv_http_client *c = arg;
    if (ms < 0) {
        flv_timer_stop(&c->timer);
        return 0;
    }
    return flv_timer_start(&c->timer, (uint64_t)ms, 0, NULL) == FLV_OK ? 0 : -1;
}

/* --- the room's door ----------------------------------------------------- */

static flv_rc copy_text(const char *from, const char **to, struct flv_err *err)
{
    *to = NULL;
    if (from != NULL && (*to = flv_strdup(from)) == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    return FLV_OK;
}

static flv_rc copy_conf(struct flv_http_client *c,
                        const struct flv_http_client_conf *conf,
                        struct flv_err *err)
{
    if (conf->ca_file != NULL && access(conf->ca_file, R_OK) != 0) {
        return flv_fail_sys(err, FLV_E_INVALID, errno,
                            "cannot read the CA file %s", conf->ca_file);
    }
    c->conf.connections_max =
        conf->connections_max != 0 ? conf->connections_max : CONNECTIONS_MAX;
    flv_rc rc = copy_text(conf->ca_file, &c->conf.ca_file, err);
    if (rc == FLV_OK) {
        rc = copy_text(conf->user_agent, &c->conf.user_agent, err);
    }
    if (rc == FLV_OK) {
        rc = copy_text(conf->proxy, &c->conf.proxy, err);
    }
    return rc;
}

static flv_rc make_multi(struct flv_http_client *c, struct flv_err *err)
{
    c->multi = curl_multi_init();
    if (c->multi == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    long max = (long)c->conf.connections_max;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, max);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, max);
    return FLV_OK;
}

flv_rc flv_http_client_create(struct flv_http_client **out,
                              struct flv_loop *loop,
                              const struct flv_http_client_conf *conf,
                              struct flv_err *err)
{
    assert(out != NULL && loop != NULL && conf != NULL);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return flv_fail(err, FLV_E_NOMEM, "libcurl cannot be started");
    }
    struct flv_http_client *c = flv_zalloc(1, sizeof(*c));
    if (c == NULL) {
        curl_global_cleanup();
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    c->loop = loop;
    flv_timer_init(&c->timer, loop, on_time);
    flv_task_init(&c->gone, client_gone);
    flv_rc rc = copy_conf(c, conf, err);
    if (rc == FLV_OK) {
        rc = make_multi(c, err);
    }
    if (rc != FLV_OK) {
        client_gone(&c->gone);
        return rc;
    }
    *out = c;
    return FLV_OK;
}

void flv_http_client_destroy(struct flv_http_client *c,
                             void (*closed)(void *arg),
                             void *arg)
{
    assert(c != NULL && !c->destroyed);
    c->destroyed = true;
    c->closed = closed;
    c->closed_arg = arg;
    while (c->calls != NULL) {
        struct flv_http_call *call = c->calls;
        unlink_call(call);
        flv_loop_undefer(c->loop, &call->task);
        flv_loop_undefer(c->loop, &call->go_on);
        curl_multi_remove_handle(c->multi, call->easy);
        flv__http_call_destroy(call);
    }
    curl_multi_cleanup(c->multi);
    flv_timer_stop(&c->timer);
    maybe_gone(c);
}

/* curl hands over what it kept, and reads on. */
static void go_on(struct flv_task *task)
{
    struct flv_http_call *call =
        FLV_OWNER_OF(task, struct flv_http_call, go_on);
    struct flv_http_client *c = call->client;
    call->paused = false;
    CURLcode code = curl_easy_pause(call->easy, CURLPAUSE_CONT);
    if (code == CURLE_OK) {
        run(c, CURL_SOCKET_TIMEOUT, 0);
        return;
    }
    curl_multi_remove_handle(c->multi, call->easy); /* bytes may be missing */
    complete(call, flv__http_call_result(call, code));
}

void flv_http_resume(struct flv_http_call *call)
{
    assert(call != NULL && call->flow != NULL);
    if (call->paused) {
        flv_loop_defer(call->client->loop, &call->go_on);
    }
}

static void call_cancelled(struct flv_task *task)
{
    struct flv_http_call *call = FLV_OWNER_OF(task, struct flv_http_call, task);
    complete(call, call->err.rc);
}

flv_rc flv_http_send(struct flv_http_client *c,
                     const struct flv_http_request *req,
                     flv_http_done done,
                     void *arg,
                     struct flv_http_call **out_call,
                     struct flv_err *err)
{
    assert(!c->destroyed && done != NULL);
    struct flv_http_call *call = NULL;
    flv_rc rc = flv__http_call_create(&call, req, &c->conf, err);
    if (rc != FLV_OK) {
        return rc;
    }
    call->client = c;
    call->done = done;
    call->arg = arg;
    flv_task_init(&call->task, call_cancelled);
    flv_task_init(&call->go_on, go_on);
    if (curl_multi_add_handle(c->multi, call->easy) != CURLM_OK) {
        flv__http_call_destroy(call);
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    call->next = c->calls;
    if (c->calls != NULL) {
        c->calls->prev = call;
    }
    c->calls = call;
    if (out_call != NULL) {
        *out_call = call;
    }
    return FLV_OK;
}

void flv_http_cancel(struct flv_http_call *call)
{
    assert(call != NULL);
    struct flv_http_client *c = call->client;
    curl_multi_remove_handle(c->multi, call->easy);
    flv_loop_undefer(c->loop, &call->go_on);
    (void)flv_fail(&call->err, FLV_E_CANCELED, "%s: the request was cancelled",
                   call->shown);
    flv_loop_defer(c->loop, &call->task);
}
