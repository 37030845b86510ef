#include "manager/rest.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/expo.h"
#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/server.h"
#include "manager/show.h"

#define JSON "application/json"
#define BODY_BYTES_MAX ((size_t)32 * 1024 * 1024)
#define LINES_DEFAULT 200
#define LINES_MAX 100000
#define EVENTS_DEFAULT 100
#define EVENTS_MAX 1000
/* How often a follower's log is looked at. */
#define FOLLOW_MS 200

struct flv_rest {
    struct flv_rest_conf conf;
    struct flv_http_server *unix_server, *tcp_server;
    struct flv_timer follow_timer;
    struct follower *followers; /* owned */
    struct call *calls;         /* owned by their operations */
};

/* A log that goes on. */
struct follower {
    struct flv_rest *r;
    struct flv_http_req *req;
    struct follower *next, *prev;
    char name[FLV_NAME_MAX];
    struct flv_buf head; /* the last lines, before what is new */
    uint64_t ino, pos;
};

enum call_shows {
    CALL_INFO,
    CALL_EMPTY,
    CALL_VALID,
    CALL_TYPES,
    CALL_PLUGINS,
};

/* One operation that a request waits for. */
struct call {
    struct flv_rest *r;
    struct flv_http_req *req; /* NULL: the server is gone */
    struct call *next, *prev;
    enum call_shows shows;
    char name[FLV_NAME_MAX]; /* of a type */
};

/* ---- Answers ----------------------------------------------------------- */

static void send(struct flv_http_req *req,
                 unsigned status,
                 const char *type,
                 struct flv_buf *body,
                 flv_rc rc)
{
    if (rc != FLV_OK) {
        flv_buf_deinit(body);
        flv_log_error("rest", "an answer could not be made",
                      FLV_KV_STR("reason", flv_rc_text(rc)));
        flv_http_answer(req, &(struct flv_http_answer){.status = 500});
        return;
    }
    flv_http_answer(req, &(struct flv_http_answer){
                             .status = status, .type = type, .body = body});
}

static void send_error(struct flv_http_req *req,
                       unsigned status,
                       const char *message,
                       const struct flv_report *report)
{
    struct flv_buf b;
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = flv__show_error(status, message, report, &b);
    send(req, status, JSON, &b, rc);
}

static void send_empty(struct flv_http_req *req, unsigned status)
{
    flv_http_answer(req, &(struct flv_http_answer){.status = status});
}

static void not_found(struct flv_http_req *req)
{
    send_error(req, 404, "Connector not found", NULL);
}

/* ---- Queries ----------------------------------------------------------- */

static bool query_number(struct flv_http_req *req,
                         const char *name,
                         uint64_t fallback,
                         uint64_t max,
                         uint64_t *out)
{
    const char *text = flv_http_req_query(req, name);
    struct flv_err err = {0};
    char message[300];
    *out = fallback;
    if (text == NULL || flv_text_u64(text, 0, max, out, &err) == FLV_OK) {
        return true;
    }
    (void)snprintf(message, sizeof(message), "%s: %s", name, err.text);
    send_error(req, 400, message, NULL);
    return false;
}

static bool query_flag(const struct flv_http_req *req, const char *name)
{
    const char *text = flv_http_req_query(req, name);
    return text != NULL && (text[0] == '\0' || strcmp(text, "true") == 0 ||
                            strcmp(text, "1") == 0);
}

/* ---- Operations -------------------------------------------------------- */

static void show_types(struct call *call, const struct flv_mresult *r);
static void show_plugins(struct call *call);

static void show_valid(struct call *call, const struct flv_mresult *r)
{
    struct flv_buf b;
    flv_buf_init(&b, BODY_BYTES_MAX);
    bool good = r->status < 400;
    flv_rc rc = flv_buf_addf(
        &b, "{\"valid\":%s,\"problems\":", good ? "true" : "false");
    if (rc == FLV_OK) {
        rc = r->report != NULL ? flv_report_json(r->report, &b)
                               : flv_buf_add_str(&b, "[]");
    }
    rc = rc == FLV_OK ? flv_buf_add_str(&b, "}") : rc;
    send(call->req, 200, JSON, &b, rc);
}

static void show_info(struct call *call, const struct flv_mresult *r)
{
    struct flv_buf b;
    if (r->conn == NULL) {
        not_found(call->req); /* deleted meanwhile */
        return;
    }
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = flv__show_info(r->conn, r->word, &b);
    if (rc == FLV_OK && r->report != NULL && r->report->count > 0) {
        /* What the file warns of is said once, to whoever gave it. */
        assert(b.len > 0 && b.data[b.len - 1] == '}');
        b.len--;
        rc = flv_buf_add_str(&b, ",\"problems\":");
        rc = rc == FLV_OK ? flv_report_json(r->report, &b) : rc;
        rc = rc == FLV_OK ? flv_buf_add_str(&b, "}") : rc;
    }
    send(call->req, r->status, JSON, &b, rc);
}

static void on_done(void *arg, const struct flv_mresult *r)
{
    struct call *call = arg;
    if (call->req == NULL) {
        flv_free(call);
        return;
    }
    /* A file with mistakes is what validation is for. */
    bool judged = call->shows == CALL_VALID && r->status == 400;
    if (r->status >= 400 && !judged) {
        send_error(call->req, r->status, r->message, r->report);
    } else {
        switch (call->shows) {
        case CALL_INFO:
            show_info(call, r);
            break;
        case CALL_EMPTY:
            send_empty(call->req, r->status);
            break;
        case CALL_VALID:
            show_valid(call, r);
            break;
        case CALL_TYPES:
            show_types(call, r);
            break;
        case CALL_PLUGINS:
            show_plugins(call);
            break;
        }
    }
    *(call->prev != NULL ? &call->prev->next : &call->r->calls) = call->next;
    if (call->next != NULL) {
        call->next->prev = call->prev;
    }
    flv_free(call);
}

static struct call *
make_call(struct flv_rest *r, struct flv_http_req *req, enum call_shows shows)
{
    struct call *call = flv_zalloc(1, sizeof(*call));
    if (call == NULL) {
        send_error(req, 503, "out of memory", NULL);
        return NULL;
    }
    call->r = r;
    call->req = req;
    call->shows = shows;
    call->next = r->calls;
    if (call->next != NULL) {
        call->next->prev = call;
    }
    r->calls = call;
    return call;
}

/* ---- /connectors ------------------------------------------------------- */

static void list_names(struct flv_rest *r, struct flv_http_req *req)
{
    struct flv_buf b;
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = flv_buf_add_str(&b, "[");
    for (size_t i = 0; i < flv_manager_count(r->conf.manager) && rc == FLV_OK;
         i++) {
        const struct flv_mconn *c = flv_manager_at(r->conf.manager, i);
        rc = flv_buf_add_str(&b, i > 0 ? "," : "");
        rc = rc == FLV_OK ? flv_text_json_str(&b, c->is.name) : rc;
    }
    rc = rc == FLV_OK ? flv_buf_add_str(&b, "]") : rc;
    send(req, 200, JSON, &b, rc);
}

static flv_rc expand_one(const struct flv_rest *r,
                         const struct flv_mconn *c,
                         bool status,
                         bool info,
                         struct flv_buf *b)
{
    flv_rc rc = flv_text_json_str(b, c->is.name);
    rc = rc == FLV_OK ? flv_buf_add_str(b, ":{") : rc;
    if (rc == FLV_OK && status) {
        rc = flv_buf_add_str(b, "\"status\":");
        rc = rc == FLV_OK ? flv__show_status(c, r->conf.tcp_port, b) : rc;
    }
    if (rc == FLV_OK && info) {
        rc = flv_buf_add_str(b, status ? ",\"info\":" : "\"info\":");
        rc = rc == FLV_OK ? flv__show_info(c, NULL, b) : rc;
    }
    return rc == FLV_OK ? flv_buf_add_str(b, "}") : rc;
}

struct expansion {
    bool any, status, info, unknown;
};

static void read_expand(void *arg, const char *text)
{
    struct expansion *e = arg;
    bool status = strstr(text, "status") != NULL;
    bool info = strstr(text, "info") != NULL;
    e->any = true;
    e->status = e->status || status;
    e->info = e->info || info;
    e->unknown = e->unknown || (!status && !info);
}

/* ?expand=status&expand=info, as in Kafka Connect, or expand=status,info. */
static void
get_connectors(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    struct expansion e = {.any = false};
    struct flv_buf b;
    (void)name;
    flv_http_req_each_query(req, "expand", read_expand, &e);
    if (!e.any) {
        list_names(r, req);
        return;
    }
    if (e.unknown) {
        send_error(req, 400, "expand: write status, info, or both", NULL);
        return;
    }
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = flv_buf_add_str(&b, "{");
    for (size_t i = 0; i < flv_manager_count(r->conf.manager) && rc == FLV_OK;
         i++) {
        rc = flv_buf_add_str(&b, i > 0 ? "," : "");
        rc = rc == FLV_OK ? expand_one(r, flv_manager_at(r->conf.manager, i),
                                       e.status, e.info, &b)
                          : rc;
    }
    rc = rc == FLV_OK ? flv_buf_add_str(&b, "}") : rc;
    send(req, 200, JSON, &b, rc);
}

static void put_file(struct flv_rest *r,
                     struct flv_http_req *req,
                     enum flv_mput how,
                     const char *name)
{
    struct call *call =
        make_call(r, req, how == FLV_MPUT_CHECK ? CALL_VALID : CALL_INFO);
    if (call != NULL) {
        flv_manager_put(r->conf.manager, how, name, flv_http_req_body(req),
                        on_done, call);
    }
}

static void
post_connectors(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    (void)name;
    put_file(r, req, FLV_MPUT_CREATE, NULL);
}

static void
put_config(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    const char *create = flv_http_req_query(req, "create");
    bool update = create != NULL && strcmp(create, "false") == 0;
    put_file(r, req, update ? FLV_MPUT_UPDATE : FLV_MPUT_EITHER, name);
}

static void
post_validate(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    (void)name;
    put_file(r, req, FLV_MPUT_CHECK, NULL);
}

/* ---- /connectors/NAME -------------------------------------------------- */

static void
get_info(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    const struct flv_mconn *c = flv_manager_find(r->conf.manager, name);
    struct flv_buf b;
    if (c == NULL) {
        not_found(req);
        return;
    }
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = flv__show_info(c, NULL, &b);
    send(req, 200, JSON, &b, rc);
}

static void
get_config(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    const struct flv_mconn *c = flv_manager_find(r->conf.manager, name);
    const char *accept = flv_http_req_header(req, "Accept");
    bool yaml = accept != NULL && strstr(accept, "yaml") != NULL;
    struct flv_buf b;
    if (c == NULL) {
        not_found(req);
        return;
    }
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc =
        yaml ? flv_manager_file_shown(c, &b, NULL) : flv__show_config(c, &b);
    send(req, 200, yaml ? "application/yaml" : JSON, &b, rc);
}

static void
get_status(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    const struct flv_mconn *c = flv_manager_find(r->conf.manager, name);
    struct flv_buf b;
    if (c == NULL) {
        not_found(req);
        return;
    }
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = flv__show_status(c, r->conf.tcp_port, &b);
    send(req, 200, JSON, &b, rc);
}

static void want(struct flv_rest *r,
                 struct flv_http_req *req,
                 const char *name,
                 enum flv_mdesired desired)
{
    struct call *call = make_call(r, req, CALL_EMPTY);
    if (call != NULL) {
        flv_manager_want(r->conf.manager, name, desired, on_done, call);
    }
}

static void
put_pause(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    want(r, req, name, FLV_MDESIRED_PAUSED);
}

static void
put_resume(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    want(r, req, name, FLV_MDESIRED_RUNNING);
}

static void
post_restart(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    struct call *call = make_call(r, req, CALL_EMPTY);
    if (call != NULL) {
        flv_manager_renew(r->conf.manager, name, on_done, call);
    }
}

static void
delete_connector(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    struct call *call = make_call(r, req, CALL_EMPTY);
    if (call != NULL) {
        flv_manager_remove(r->conf.manager, name, on_done, call);
    }
}

/* ---- Logs -------------------------------------------------------------- */

static ssize_t follow_read(void *ctx, char *to, size_t max)
{
    struct follower *f = ctx;
    struct flv_manager *m = f->r->conf.manager;
    if (f->head.len > 0) {
        size_t n = f->head.len < max ? f->head.len : max;
        memcpy(to, f->head.data, n);
        flv_buf_drop(&f->head, n);
        return (ssize_t)n;
    }
    size_t n = flv_logs_follow(flv_manager_logs(m), f->name, &f->ino, &f->pos,
                               to, max);
    if (n == 0 && flv_manager_find(m, f->name) == NULL) {
        return -1;
    }
    return (ssize_t)n;
}

static void follow_closed(void *ctx)
{
    struct follower *f = ctx;
    *(f->prev != NULL ? &f->prev->next : &f->r->followers) = f->next;
    if (f->next != NULL) {
        f->next->prev = f->prev;
    }
    if (f->r->followers == NULL) {
        flv_timer_stop(&f->r->follow_timer);
    }
    flv_buf_deinit(&f->head);
    flv_free(f);
}

static void on_follow(struct flv_timer *t)
{
    struct flv_rest *r = FLV_OWNER_OF(t, struct flv_rest, follow_timer);
    for (struct follower *f = r->followers, *next; f != NULL; f = next) {
        next = f->next;
        flv_http_wake(f->req);
    }
}

/* Takes what `from` has. */
static void start_follow(struct flv_rest *r,
                         struct flv_http_req *req,
                         struct follower *from)
{
    struct follower *f = flv_zalloc(1, sizeof(*f));
    if (f == NULL || flv_timer_start(&r->follow_timer, FOLLOW_MS, FOLLOW_MS,
                                     NULL) != FLV_OK) {
        flv_free(f);
        flv_buf_deinit(&from->head);
        send_error(req, 503, "out of memory", NULL);
        return;
    }
    *f = *from;
    f->r = r;
    f->req = req;
    f->next = r->followers;
    if (f->next != NULL) {
        f->next->prev = f;
    }
    r->followers = f;
    const struct flv_http_stream s = {
        .read = follow_read, .closed = follow_closed, .ctx = f};
    flv_http_answer_stream(req, "text/plain; charset=utf-8", &s);
}

static void
get_logs(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    uint64_t lines = 0;
    struct follower f = {.ino = 0};
    if (flv_manager_find(r->conf.manager, name) == NULL) {
        not_found(req);
        return;
    }
    if (!query_number(req, "lines", LINES_DEFAULT, LINES_MAX, &lines)) {
        return;
    }
    (void)snprintf(f.name, sizeof(f.name), "%s", name);
    flv_buf_init(&f.head, BODY_BYTES_MAX);
    flv_rc rc = flv_logs_tail(flv_manager_logs(r->conf.manager), name,
                              (unsigned)lines, &f.head, &f.ino, &f.pos);
    if (rc == FLV_OK && query_flag(req, "follow")) {
        start_follow(r, req, &f);
        return;
    }
    send(req, 200, "text/plain; charset=utf-8", &f.head, rc);
}

/* ---- Events ------------------------------------------------------------ */

struct event_list {
    struct flv_buf b;
    flv_rc rc;
    bool any;
};

static void add_event(void *arg, const struct flv_mevent *e)
{
    struct event_list *l = arg;
    if (l->rc == FLV_OK && l->any) {
        l->rc = flv_buf_add_str(&l->b, ",");
    }
    l->any = true;
    l->rc = l->rc == FLV_OK ? flv__show_event(e, &l->b) : l->rc;
}

static void
list_events(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    uint64_t limit = 0, after = 0;
    struct event_list l = {.rc = FLV_OK};
    if (!query_number(req, "limit", EVENTS_DEFAULT, EVENTS_MAX, &limit) ||
        !query_number(req, "after", 0, INT64_MAX, &after)) {
        return;
    }
    flv_buf_init(&l.b, BODY_BYTES_MAX);
    l.rc = flv_buf_add_str(&l.b, "[");
    flv_manager_events(r->conf.manager, name, after, limit, add_event, &l);
    l.rc = l.rc == FLV_OK ? flv_buf_add_str(&l.b, "]") : l.rc;
    send(req, 200, JSON, &l.b, l.rc);
}

static void
get_events(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    (void)name;
    list_events(r, req, NULL);
}

static void
get_own_events(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    if (flv_manager_find(r->conf.manager, name) == NULL) {
        not_found(req);
        return;
    }
    list_events(r, req, name);
}

/* ---- The catalogue ----------------------------------------------------- */

static void show_types(struct call *call, const struct flv_mresult *r)
{
    const struct flv_catalogue *c =
        flv_manager_catalogue(call->r->conf.manager);
    struct flv_buf b;
    (void)r;
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = FLV_OK;
    if (call->name[0] != '\0') {
        const struct flv_cat_entry *t = flv_catalogue_find(c, call->name);
        if (t == NULL) {
            flv_buf_deinit(&b);
            send_error(call->req, 404, "connector type not found", NULL);
            return;
        }
        rc = flv__show_type(t, &b);
        send(call->req, 200, JSON, &b, rc);
        return;
    }
    rc = flv_buf_add_str(&b, "[");
    for (size_t i = 0; i < flv_catalogue_count(c) && rc == FLV_OK; i++) {
        rc = flv_buf_add_str(&b, i > 0 ? "," : "");
        rc = rc == FLV_OK ? flv__show_type(flv_catalogue_at(c, i), &b) : rc;
    }
    rc = rc == FLV_OK ? flv_buf_add_str(&b, "]") : rc;
    send(call->req, 200, JSON, &b, rc);
}

static void show_plugins(struct call *call)
{
    const struct flv_catalogue *c =
        flv_manager_catalogue(call->r->conf.manager);
    struct flv_buf b;
    bool any = false;
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = flv_buf_add_str(&b, "[");
    for (size_t i = 0; i < flv_catalogue_count(c) && rc == FLV_OK; i++) {
        const struct flv_cat_entry *t = flv_catalogue_at(c, i);
        if (t->problem[0] != '\0') {
            continue;
        }
        rc = flv_buf_addf(
            &b,
            "%s{\"class\":\"%s\",\"type\":\"%s\",\"version\":", any ? "," : "",
            t->name,
            t->descriptor.direction == FLV_CFILE_SINK ? "sink" : "source");
        rc = rc == FLV_OK ? flv_text_json_str(&b, t->descriptor.version) : rc;
        rc = rc == FLV_OK ? flv_buf_add_str(&b, "}") : rc;
        any = true;
    }
    rc = rc == FLV_OK ? flv_buf_add_str(&b, "]") : rc;
    send(call->req, 200, JSON, &b, rc);
}

static void look(struct flv_rest *r,
                 struct flv_http_req *req,
                 const char *name,
                 enum call_shows shows)
{
    struct call *call = make_call(r, req, shows);
    if (call != NULL) {
        (void)snprintf(call->name, sizeof(call->name), "%s",
                       name != NULL ? name : "");
        flv_manager_look(r->conf.manager, query_flag(req, "refresh"), on_done,
                         call);
    }
}

static void
get_catalogue(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    look(r, req, name, CALL_TYPES);
}

static void
get_plugins(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    look(r, req, name, CALL_PLUGINS);
}

/* ---- The rest ---------------------------------------------------------- */

static void
get_root(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    struct flv_buf b;
    (void)name;
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = flv_buf_addf(&b, "{\"version\":\"%s\",\"pid\":%ld,\"cluster\":",
                             FLV_VERSION, (long)getpid());
    rc = rc == FLV_OK
             ? flv_text_json_str(&b, flv_manager_cluster(r->conf.manager))
             : rc;
    rc = rc == FLV_OK ? flv_buf_addf(&b, ",\"connectors\":%zu}",
                                     flv_manager_count(r->conf.manager))
                      : rc;
    send(req, 200, JSON, &b, rc);
}

static void
get_health(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    struct flv_buf b;
    (void)name;
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = flv__show_health(r->conf.manager, &b);
    send(req, 200, JSON, &b, rc);
}

static void
get_metrics(struct flv_rest *r, struct flv_http_req *req, const char *name)
{
    struct flv_buf b;
    (void)name;
    flv_buf_init(&b, BODY_BYTES_MAX);
    flv_rc rc = flv__show_metrics(r->conf.manager, &b);
    send(req, 200, FLV_EXPO_TYPE, &b, rc);
}

/* ---- Routes ------------------------------------------------------------ */

struct route {
    const char *method;
    const char *path; /* '*' stands for one part of it: a name */
    void (*serve)(struct flv_rest *r,
                  struct flv_http_req *req,
                  const char *name);
};

static const struct route routes[] = {
    {"GET", "/", get_root},
    {"GET", "/health", get_health},
    {"GET", "/metrics", get_metrics},
    {"GET", "/connectors", get_connectors},
    {"POST", "/connectors", post_connectors},
    {"GET", "/connectors/*", get_info},
    {"DELETE", "/connectors/*", delete_connector},
    {"GET", "/connectors/*/config", get_config},
    {"PUT", "/connectors/*/config", put_config},
    {"GET", "/connectors/*/status", get_status},
    {"PUT", "/connectors/*/pause", put_pause},
    {"PUT", "/connectors/*/resume", put_resume},
    {"POST", "/connectors/*/restart", post_restart},
    {"GET", "/connectors/*/logs", get_logs},
    {"GET", "/connectors/*/events", get_own_events},
    {"GET", "/events", get_events},
    {"GET", "/catalogue", get_catalogue},
    {"GET", "/catalogue/*", get_catalogue},
    {"GET", "/connector-plugins", get_plugins},
    {"POST", "/validate", post_validate},
};
#define ROUTES (sizeof(routes) / sizeof(routes[0]))

/* Puts what stands for '*' into out; an empty or too long name matches
 * nothing. */
static bool
matches(const char *pattern, const char *path, char out[FLV_NAME_MAX])
{
    const char *star = strchr(pattern, '*');
    size_t head = star != NULL ? (size_t)(star - pattern) : strlen(pattern);
    if (strncmp(pattern, path, head) != 0) {
        return false;
    }
    if (star == NULL) {
        /* One '/' at the end is nobody's mistake. */
        const char *rest = path + head;
        return rest[0] == '\0' ||
               (head > 1 && rest[0] == '/' && rest[1] == '\0');
    }
    size_t len = strcspn(path + head, "/");
    if (len == 0 || len >= FLV_NAME_MAX ||
        strcmp(star + 1, path + head + len) != 0) {
        return false;
    }
    memcpy(out, path + head, len);
    out[len] = '\0';
    return true;
}

static const char *method_of(const struct flv_http_req *req)
{
    const char *method = flv_http_req_method(req);
    return strcmp(method, "HEAD") == 0 ? "GET" : method;
}

static void wrong_method(struct flv_http_req *req, const char *path)
{
    char name[FLV_NAME_MAX], allow[64] = "";
    for (size_t i = 0; i < ROUTES; i++) {
        if (matches(routes[i].path, path, name)) {
            size_t used = strlen(allow);
            (void)snprintf(allow + used, sizeof(allow) - used, "%s%s",
                           used > 0 ? ", " : "", routes[i].method);
        }
    }
    struct flv_buf b;
    flv_buf_init(&b, BODY_BYTES_MAX);
    if (flv__show_error(405, "the route knows other methods", NULL, &b) !=
        FLV_OK) {
        flv_buf_deinit(&b);
    }
    flv_http_answer(req, &(struct flv_http_answer){.status = 405,
                                                   .type = JSON,
                                                   .body = &b,
                                                   .header = "Allow",
                                                   .value = allow});
}

static void serve(struct flv_rest *r, struct flv_http_req *req)
{
    const char *path = flv_http_req_path(req), *method = method_of(req);
    char name[FLV_NAME_MAX] = "";
    bool known = false;
    for (size_t i = 0; i < ROUTES; i++) {
        if (!matches(routes[i].path, path, name)) {
            continue;
        }
        known = true;
        if (strcmp(method, routes[i].method) == 0) {
            routes[i].serve(r, req, name[0] != '\0' ? name : NULL);
            return;
        }
    }
    if (known) {
        wrong_method(req, path);
    } else if (strncmp(path, "/connectors/", 12) == 0) {
        not_found(req);
    } else {
        send_error(req, 404, "no such route; see docs/rest.md", NULL);
    }
}

static void handle(void *arg, struct flv_http_req *req)
{
    serve(arg, req);
}

/* The time it takes tells nothing about the token. */
static bool same(const char *a, const char *b)
{
    size_t len = strlen(a);
    if (strlen(b) != len) {
        return false;
    }
    unsigned differs = 0;
    for (size_t i = 0; i < len; i++) {
        differs |= (unsigned)(a[i] ^ b[i]);
    }
    return differs == 0;
}

/* On TCP nobody's body is read who has not shown the token. */
static bool admit_tcp(void *arg, struct flv_http_req *req)
{
    struct flv_rest *r = arg;
    static const char bearer[] = "Bearer ";
    const char *given = flv_http_req_header(req, "Authorization");
    bool open = strcmp(flv_http_req_path(req), "/health") == 0 &&
                strcmp(method_of(req), "GET") == 0;
    if (open ||
        (given != NULL && strncmp(given, bearer, sizeof(bearer) - 1) == 0 &&
         same(r->conf.token, given + sizeof(bearer) - 1))) {
        return true;
    }
    struct flv_buf b;
    flv_buf_init(&b, BODY_BYTES_MAX);
    if (flv__show_error(401,
                        "send the token of the manager's folder as "
                        "`Authorization: Bearer TOKEN`",
                        NULL, &b) != FLV_OK) {
        flv_buf_deinit(&b);
    }
    flv_http_answer(req, &(struct flv_http_answer){.status = 401,
                                                   .type = JSON,
                                                   .body = &b,
                                                   .header = "WWW-Authenticate",
                                                   .value = "Bearer"});
    return false;
}

/* ---- Life -------------------------------------------------------------- */

flv_rc flv_rest_create(struct flv_rest **out,
                       const struct flv_rest_conf *conf,
                       struct flv_err *err)
{
    struct flv_rest *r = flv_zalloc(1, sizeof(*r));
    if (r == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    r->conf = *conf;
    flv_timer_init(&r->follow_timer, conf->loop, on_follow);
    struct flv_http_server_conf server = {.loop = conf->loop,
                                          .fd = conf->unix_fd,
                                          .body_bytes_max = FLV_MFILE_BYTES_MAX,
                                          .handle = handle,
                                          .arg = r};
    flv_rc rc = flv_http_server_create(&r->unix_server, &server, err);
    if (rc == FLV_OK && conf->tcp_fd >= 0) {
        server.fd = conf->tcp_fd;
        server.admit = admit_tcp;
        rc = flv_http_server_create(&r->tcp_server, &server, err);
    }
    if (rc != FLV_OK) {
        flv_rest_destroy(r);
        return rc;
    }
    *out = r;
    return FLV_OK;
}

void flv_rest_destroy(struct flv_rest *r)
{
    if (r == NULL) {
        return;
    }
    flv_http_server_destroy(r->unix_server);
    flv_http_server_destroy(r->tcp_server);
    assert(r->followers == NULL);
    for (struct call *call = r->calls; call != NULL; call = call->next) {
        call->req = NULL;
    }
    flv_timer_stop(&r->follow_timer);
    flv_free(r);
}
