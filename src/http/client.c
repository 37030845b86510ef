#include "http/client.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "base/field.h"
#include "base/mem.h"
#include "http/call.h"
#include "http/sockets.h"

#define CONNECTIONS_MAX 8

struct flv_http_client {
    struct flv_loop *loop; /* borrowed */
    CURLM *multi;          /* owned; NULL once destroyed */
    struct flv_timer timer;
    struct flv_http_client_conf conf; /* texts owned */
    struct flv_http_call *calls;      /* owned, newest first */
    struct flv_http_call *idle;       /* owned, newest first; see idle_push() */
    unsigned idle_count;
    struct flv__sockets sockets;
    bool running; /* inside run(): not to be freed */
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

/* --- calls that are used again --------------------------------------------
 *
 * To make a curl handle and set it up takes as long as a request. One whose
 * request was answered waits for the next request of the same kind.
 */

static void idle_push(struct flv_http_client *c, struct flv_http_call *call)
{
    struct flv_http_call **last = &c->idle;
    if (c->idle_count == c->conf.connections_max) {
        while ((*last)->next != NULL) {
            last = &(*last)->next;
        }
        flv__http_call_destroy(*last);
        *last = NULL;
        c->idle_count--;
    }
    flv__http_call_rest(call);
    call->prev = NULL;
    call->next = c->idle;
    c->idle = call;
    c->idle_count++;
}

/* One of the same kind, ready for `req`; or NULL. */
static struct flv_http_call *idle_pop(struct flv_http_client *c,
                                      const struct flv_http_request *req)
{
    struct flv_http_call **at = &c->idle;
    while (*at != NULL && !flv__http_call_fits(*at, req)) {
        at = &(*at)->next;
    }
    struct flv_http_call *call = *at;
    if (call != NULL) {
        *at = call->next;
        call->next = NULL;
        c->idle_count--;
    }
    return call;
}

static void complete(struct flv_http_call *call, flv_rc rc)
{
    struct flv_http_client *c = call->client;
    unlink_call(call);
    flv_loop_undefer(call->client->loop, &call->go_on);
    if (rc == FLV_OK) {
        call->done(call->arg, &call->answer, NULL);
    } else {
        call->done(call->arg, NULL, &call->err);
    }
    /* What a stream has set cannot be taken back. */
    if (rc == FLV_OK && !c->destroyed && call->flow == NULL) {
        idle_push(c, call);
    } else {
        flv__http_call_destroy(call);
    }
}

/* --- curl on the loop ---------------------------------------------------- */

static void client_gone(struct flv_task *task)
{
    struct flv_http_client *c =
        FLV_OWNER_OF(task, struct flv_http_client, gone);
    void (*closed)(void *arg) = c->closed;
    void *arg = c->closed_arg;
    flv__sockets_deinit(&c->sockets);
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
    if (c->destroyed && c->sockets.open == 0 && !c->running) {
        flv_loop_defer(c->loop, &c->gone);
    }
}

static void socket_gone(void *arg)
{
    maybe_gone(arg);
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

static void on_ready(void *arg, curl_socket_t fd, int events)
{
    run(arg, fd, events);
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct flv_http_client *c = arg;
    (void)socket_arg;
    return flv__sockets_want(&c->sockets, easy, fd, what);
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
    c->sockets = (struct flv__sockets){
        .loop = loop, .ready = on_ready, .gone = socket_gone, .arg = c};
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
    while (c->idle != NULL) {
        struct flv_http_call *call = c->idle;
        c->idle = call->next;
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
    struct flv_http_call *call = idle_pop(c, req);
    flv_rc rc = FLV_OK;
    if (call == NULL) {
        rc = flv__http_call_create(&call, req, &c->conf, &c->sockets, err);
    }
    if (rc == FLV_OK) {
        rc = flv__http_call_load(call, req, err);
    }
    if (rc != FLV_OK) {
        flv__http_call_destroy(call);
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
