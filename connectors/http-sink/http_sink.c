#include "http_sink.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "lanes.h"
#include "loop/loop.h"

#define TARGET "http-sink"
/* Of an answer only its first words are of interest. */
#define ANSWER_BYTES_MAX 512
#define IN_FLIGHT_MAX 256
#define BODY_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define LOG_MS 5000

enum { REQUESTS, RETRIES, REFUSED, TRANSPORT_ERRORS };
static const char *const counters[] = {"requests", "retries", "refused",
                                       "transport_errors", NULL};

struct http_sink_state;

/* A request: the first `count` records of a busy lane. */
struct unit {
    struct http_sink_state *sink; /* borrowed */
    struct lane *lane;            /* NULL: free */
    uint32_t count;
    struct flv_buf body; /* of a batch */
};

struct http_sink_state {
    const struct http_sink_conf *conf; /* borrowed */
    struct flv_sink *sink;
    struct flv_http_client *client; /* owned */
    const char **headers;           /* owned array, borrowed texts */
    size_t key_at;                  /* place of the key in headers */
    char shown[FLV_HTTP_SHOWN_MAX];
    struct lanes lanes;
    struct unit *units; /* owned; in_flight_max of them */
    uint32_t in_flight;
    struct flv_backoff backoff; /* of the far side as a whole */
    uint64_t paused_until_ms;   /* 0: not paused */
    bool trial; /* after a pause: one request tells whether it is back */
    bool pumping;
    bool draining, drain_all, drained;
    uint64_t log_ms, unlogged;
    struct flv_task pump;
    struct flv_timer wake;
};

/* --- options ------------------------------------------------------------- */

static const char *const header_names[] = {"headers", NULL};
static const char *const format_names[] = {"record", "json-array", "ndjson",
                                           NULL};
static const char *const order_names[] = {"key", "partition", "none", NULL};

/* clang-format off */
static const struct flv_opt opts[] = {
    {.name = "endpoint", FLV_STR(struct http_sink_conf, endpoint),
     .flags = FLV_OPT_REQUIRED, .example = "https://example.com/in",
     .help = "Address that the records are sent to"},
    {.name = "method", FLV_STR(struct http_sink_conf, method),
     .fallback = "POST", .help = "HTTP method: POST, PUT, PATCH..."},
    {.name = "header", FLV_LIST(struct http_sink_conf, headers),
     .aliases = header_names, .flags = FLV_OPT_SECRET,
     .example = "Authorization: Bearer ${{ secrets.TOKEN }}",
     .help = "Header of the request, Name: Value; Content-Type is text/html, "
             "application/json or application/x-ndjson unless one says "
             "otherwise"},
    {.name = "user-agent", FLV_STR(struct http_sink_conf, user_agent),
     .fallback = "fluvio/http-sink " FLV_VERSION,
     .help = "User agent of the request"},
    {.name = "http-request-timeout",
     FLV_DURATION(struct http_sink_conf, request_timeout_ms), .unit_ms = 1000,
     .fallback = "15s", .min = 1, .max = 86400000,
     .help = "Time limit of a whole request"},
    {.name = "http-connect-timeout",
     FLV_DURATION(struct http_sink_conf, connect_timeout_ms), .unit_ms = 1000,
     .fallback = "1s", .min = 1, .max = 86400000,
     .help = "Time limit of connecting"},
    {.name = "backoff-min", FLV_DURATION(struct http_sink_conf, backoff_min_ms),
     .unit_ms = 1000, .fallback = "1s", .min = 1, .max = 86400000,
     .help = "First pause before a request is sent again; each is longer by "
             "half than the one before"},
    {.name = "backoff-max", FLV_DURATION(struct http_sink_conf, backoff_max_ms),
     .unit_ms = 1000, .fallback = "60s", .min = 1, .max = 86400000,
     .help = "Longest pause before a request is sent again"},
    {.name = "retry-after-max",
     FLV_DURATION(struct http_sink_conf, retry_after_max_ms), .unit_ms = 1000,
     .fallback = "5m", .min = 1, .max = 86400000,
     .help = "Longest pause that a Retry-After of the far side may ask for"},
    {.name = "format", FLV_CHOICE(struct http_sink_conf, format),
     .choices = format_names, .fallback = "record",
     .help = "Body of a request: one record as it is, or several whose values "
             "are JSON, as an array or one a line"},
    {.name = "batch-records",
     FLV_U64(struct http_sink_conf, batch_records_max), .fallback = "500",
     .min = 1, .max = 10000,
     .help = "Largest number of records in one request, where format allows "
             "several"},
    {.name = "batch-bytes", FLV_SIZE(struct http_sink_conf, batch_bytes_max),
     .fallback = "1 MB", .min = 1, .max = UINT64_C(32) << 20,
     .help = "Largest body of a request with several records"},
    {.name = "order", FLV_CHOICE(struct http_sink_conf, order),
     .choices = order_names, .fallback = "key",
     .help = "What keeps its order: records with the same key (and those "
             "without one) in a partition, all of a partition, or nothing"},
    {.name = "in-flight", FLV_U64(struct http_sink_conf, in_flight_max),
     .fallback = "16", .min = 1, .max = IN_FLIGHT_MAX,
     .help = "Largest number of requests, and connections, at a time"},
    {.name = "ca-file", FLV_STR(struct http_sink_conf, ca_file),
     .example = "/etc/ssl/own-ca.pem",
     .help = "File with CA certificates (PEM) to trust besides the system's"},
    {.name = "proxy", FLV_STR(struct http_sink_conf, proxy),
     .example = "http://127.0.0.1:3128",
     .help = "URL of a proxy, or empty for none; default: http_proxy, "
             "https_proxy and no_proxy of the environment"},
    {.name = NULL},
};
/* clang-format on */

static flv_rc check(void *data, struct flv_err *err)
{
    const struct http_sink_conf *conf = data;
    flv_rc rc = flv_http_endpoint_check(conf->endpoint, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (!flv_http_name_ok(conf->method, strlen(conf->method)) ||
        strcasecmp(conf->method, "GET") == 0 ||
        strcasecmp(conf->method, "HEAD") == 0) {
        return flv_fail(err, FLV_E_USAGE,
                        "method: \"%.40s\" is not an HTTP method that carries "
                        "a body; write POST, PUT, PATCH...",
                        conf->method);
    }
    if (conf->backoff_min_ms > conf->backoff_max_ms) {
        return flv_fail(err, FLV_E_USAGE,
                        "backoff-min (%llu ms) is above backoff-max (%llu ms)",
                        (unsigned long long)conf->backoff_min_ms,
                        (unsigned long long)conf->backoff_max_ms);
    }
    for (size_t i = 0; rc == FLV_OK && i < conf->headers.count; i++) {
        rc = flv_http_header_check(conf->headers.items[i], err);
    }
    return rc;
}

/* --- sending ---------------------------------------------------------------
 */

static void schedule(struct http_sink_state *s)
{
    flv_loop_defer(flv_sink_loop(s->sink), &s->pump);
}

static uint64_t now_of(const struct http_sink_state *s)
{
    return flv_loop_now_ms(flv_sink_loop(s->sink));
}

static struct unit *free_unit(struct http_sink_state *s)
{
    for (uint64_t i = 0; i < s->conf->in_flight_max; i++) {
        if (s->units[i].lane == NULL) {
            return &s->units[i];
        }
    }
    return NULL;
}

static void unit_end(struct unit *u)
{
    u->lane = NULL;
    u->count = 0;
    flv_buf_reset(&u->body);
    u->sink->in_flight--;
    schedule(u->sink);
}

static enum http_sink_format format_of(const struct http_sink_state *s)
{
    return (enum http_sink_format)s->conf->format;
}

/* The records of the lane's next request, and the body of a batch. The first
 * record that cannot be part of one is left to be refused alone: count 0. */
static flv_rc
fill(struct unit *u, struct flv_sink_record **out_last, struct flv_err *err)
{
    const struct http_sink_conf *c = u->sink->conf;
    enum http_sink_format format = format_of(u->sink);
    uint64_t max = u->lane->limit > 0 && u->lane->limit < c->batch_records_max
                       ? u->lane->limit
                       : c->batch_records_max;
    struct flv_sink_record *r = u->lane->first;
    struct flv_err why = {0};
    flv_rc rc = FLV_OK;
    *out_last = r;
    if (format == HTTP_SINK_RECORD) {
        u->count = 1;
        return FLV_OK;
    }
    for (; rc == FLV_OK && r != NULL && u->count < max; r = r->next) {
        bool fits = u->count == 0 ||
                    u->body.len + r->value.len + 2 <= c->batch_bytes_max;
        if (!fits || http_sink_value_check(format, r->value, &why) != FLV_OK) {
            break;
        }
        rc = http_sink_body_add(format, r->value, &u->body);
        *out_last = r;
        u->count++;
    }
    if (rc == FLV_OK) {
        rc = http_sink_body_end(format, &u->body);
    }
    if (rc == FLV_OK && u->count == 0) {
        *err = why;
    }
    return rc != FLV_OK ? flv_fail(err, rc, "no memory for a batch") : FLV_OK;
}

static void on_answer(void *arg,
                      struct flv_http_response *answer,
                      const struct flv_err *err);

static flv_rc
send_unit(struct unit *u, struct flv_sink_record *last, struct flv_err *err)
{
    struct http_sink_state *s = u->sink;
    struct flv_sink_record *first = u->lane->first;
    char key[HTTP_SINK_KEY_MAX];
    bool batch = format_of(s) != HTTP_SINK_RECORD;
    http_sink_key(flv_sink_topic(s->sink), first, last, key);
    s->headers[s->key_at] = key;
    const struct flv_http_request req = {
        .method = s->conf->method,
        .url = s->conf->endpoint,
        .headers = s->headers,
        .body = batch ? flv_buf_slice(&u->body) : first->value,
        .has_body = true,
        .no_redirects = true,
        .cut_body = true,
        .connect_timeout_ms = (uint32_t)s->conf->connect_timeout_ms,
        .timeout_ms = (uint32_t)s->conf->request_timeout_ms,
        .body_bytes_max = ANSWER_BYTES_MAX,
    };
    flv_rc rc = flv_http_send(s->client, &req, on_answer, u, NULL, err);
    s->headers[s->key_at] = NULL;
    if (rc == FLV_OK) {
        flv_sink_count(s->sink, REQUESTS, 1);
    }
    return rc;
}

/* The record at the head of the lane is at fault. */
static void
refuse(struct unit *u, enum flv_stage_at at, const struct flv_err *err)
{
    struct http_sink_state *s = u->sink;
    struct lane *lane = u->lane;
    flv_sink_count(s->sink, REFUSED, 1);
    lanes_block(&s->lanes, lane);
    unit_end(u);
    flv_sink_failed(s->sink, lane->first, at, err);
}

static void begin(struct http_sink_state *s, struct lane *lane)
{
    struct unit *u = free_unit(s);
    struct flv_sink_record *last;
    struct flv_err err = {0};
    assert(u != NULL);
    u->lane = lane;
    s->in_flight++;
    flv_rc rc = fill(u, &last, &err);
    if (rc == FLV_OK && u->count == 0) {
        refuse(u, FLV_AT_EXTRACT, &err);
        return;
    }
    if (rc == FLV_OK) {
        rc = send_unit(u, last, &err);
    }
    if (rc != FLV_OK) {
        flv_sink_fail(s->sink, &err); /* out of memory, or no address */
        lanes_block(&s->lanes, lane);
        unit_end(u);
    }
}

static void arm_wake(struct http_sink_state *s)
{
    struct flv_err err = {0};
    uint64_t now = now_of(s);
    uint64_t due = lanes_wake(&s->lanes, now);
    if (s->paused_until_ms > now) {
        due = due > 0 && due < s->paused_until_ms ? due : s->paused_until_ms;
    }
    if (due == 0) {
        flv_timer_stop(&s->wake);
    } else if (flv_timer_start(&s->wake, due > now ? due - now : 0, 0, &err) !=
               FLV_OK) {
        flv_sink_fail(s->sink, &err);
    }
}

static bool may_send(const struct http_sink_state *s)
{
    uint32_t max = s->trial ? 1 : (uint32_t)s->conf->in_flight_max;
    return s->in_flight < max && s->paused_until_ms == 0 &&
           (!s->draining || s->drain_all);
}

static void maybe_drained(struct http_sink_state *s)
{
    bool idle = s->in_flight == 0 &&
                (!s->drain_all ||
                 (TAILQ_EMPTY(&s->lanes.ready) && s->lanes.sleeping == 0));
    if (s->draining && !s->drained && idle) {
        s->drained = true;
        flv_sink_drained(s->sink);
    }
}

static void run_pump(struct flv_task *task)
{
    struct http_sink_state *s =
        FLV_OWNER_OF(task, struct http_sink_state, pump);
    struct lane *lane;
    if (s->paused_until_ms > 0 && s->paused_until_ms <= now_of(s)) {
        s->paused_until_ms = 0;
        s->trial = true;
    }
    arm_wake(s);
    while (may_send(s) && (lane = lanes_next(&s->lanes)) != NULL) {
        begin(s, lane);
    }
    maybe_drained(s);
}

static void on_wake(struct flv_timer *timer)
{
    schedule(FLV_OWNER_OF(timer, struct http_sink_state, wake));
}

/* --- answers ---------------------------------------------------------------
 */

/* At most a line in a while: a far side that is away fails every request. */
static void
log_trouble(struct http_sink_state *s, const struct flv_err *err, uint64_t in)
{
    uint64_t now = flv_clock_mono_ms();
    if (now < s->log_ms) {
        s->unlogged++;
        return;
    }
    s->log_ms = now + LOG_MS;
    flv_log_warn(TARGET, "not delivered, it is tried again", FLV_KV_ERR(err),
                 FLV_KV_U64("in_ms", in),
                 FLV_KV_U64("unlogged_before", s->unlogged));
    s->unlogged = 0;
}

static void delivered(struct unit *u)
{
    struct http_sink_state *s = u->sink;
    struct lane *lane = u->lane;
    struct flv_sink_record *r = lane->first;
    uint32_t count = u->count;
    lane->limit =
        lane->limit > 0 && lane->limit < UINT32_MAX / 2 ? lane->limit * 2 : 0;
    if (lane->limit >= s->conf->batch_records_max) {
        lane->limit = 0;
    }
    flv_backoff_reset(&s->backoff);
    s->trial = false;
    lanes_done(&s->lanes, lane, count);
    unit_end(u);
    if (s->lanes.sleeping == 0 && s->paused_until_ms == 0) {
        flv_sink_well(s->sink);
    }
    while (count-- > 0) {
        struct flv_sink_record *next = r->next;
        flv_sink_done(s->sink, r);
        r = next;
    }
}

/* Of this lane only: what is refused here may be taken elsewhere. */
static void retry(struct unit *u, const struct flv_err *err, uint64_t wait_ms)
{
    struct http_sink_state *s = u->sink;
    uint64_t ms = flv_backoff_next(&u->lane->backoff);
    ms = ms > wait_ms ? ms : wait_ms;
    s->trial = false; /* it is there: it answered */
    flv_sink_count(s->sink, RETRIES, 1);
    flv_sink_trouble(s->sink, err, ms);
    log_trouble(s, err, ms);
    lanes_sleep(&s->lanes, u->lane, now_of(s) + ms);
    unit_end(u);
}

/* Of all: the far side is away, or wants a rest. */
static void pause(struct unit *u, const struct flv_err *err, uint64_t wait_ms)
{
    struct http_sink_state *s = u->sink;
    uint64_t now = now_of(s);
    flv_sink_count(s->sink, RETRIES, 1);
    if (s->paused_until_ms <= now || wait_ms > 0) {
        uint64_t ms = s->paused_until_ms <= now ? flv_backoff_next(&s->backoff)
                                                : s->paused_until_ms - now;
        ms = ms > wait_ms ? ms : wait_ms;
        s->paused_until_ms = now + ms;
        flv_sink_trouble(s->sink, err, ms);
        log_trouble(s, err, ms);
    }
    lanes_ready(&s->lanes, u->lane);
    unit_end(u);
}

/* Which record of a batch is it? Half of it is tried next, until it is alone.
 */
static void refused(struct unit *u, const struct flv_err *err)
{
    struct http_sink_state *s = u->sink;
    s->trial = false;
    if (u->count > 1) {
        u->lane->limit = u->count / 2;
        flv_sink_count(s->sink, RETRIES, 1);
        lanes_ready(&s->lanes, u->lane);
        unit_end(u);
        return;
    }
    u->lane->limit = u->lane->limit > 0 ? 1 : 0;
    refuse(u, FLV_AT_PROTOCOL, err);
}

static void on_answer(void *arg,
                      struct flv_http_response *answer,
                      const struct flv_err *err)
{
    struct unit *u = arg;
    struct http_sink_state *s = u->sink;
    struct flv_err why = {0};
    uint64_t wait_ms = 0;
    if (answer == NULL && err->rc == FLV_E_INVALID) {
        flv_sink_fail(s->sink, err); /* no later request would do better */
        lanes_block(&s->lanes, u->lane);
        unit_end(u);
        return;
    }
    if (answer == NULL) {
        flv_sink_count(s->sink, TRANSPORT_ERRORS, 1);
        pause(u, err, 0);
        return;
    }
    switch (http_sink_judge(answer, s->shown, flv_clock_wall_ms(),
                            s->conf->retry_after_max_ms, &wait_ms, &why)) {
    case HTTP_SINK_DELIVERED:
        delivered(u);
        break;
    case HTTP_SINK_RETRY:
        retry(u, &why, wait_ms);
        break;
    case HTTP_SINK_PAUSE:
        pause(u, &why, wait_ms);
        break;
    case HTTP_SINK_REFUSED:
        refused(u, &why);
        break;
    }
}

/* --- what the runtime asks
 * ---------------------------------------------------- */

static void put(void *state, struct flv_sink_batch *batch)
{
    struct http_sink_state *s = state;
    struct flv_err err = {0};
    for (uint32_t i = 0; i < batch->count; i++) {
        if (lanes_add(&s->lanes, &batch->records[i], &err) != FLV_OK) {
            flv_sink_fail(s->sink, &err);
            return;
        }
    }
    schedule(s);
}

static void
verdict(void *state, struct flv_sink_record *record, enum flv_sink_verdict v)
{
    struct http_sink_state *s = state;
    struct lane *lane = record->own;
    assert(lane->state == LANE_BLOCKED && lane->first == record);
    if (v == FLV_SINK_AGAIN) {
        lanes_ready(&s->lanes, lane);
    } else {
        lanes_done(&s->lanes, lane, 1);
        if (s->lanes.sleeping == 0 && s->paused_until_ms == 0) {
            flv_sink_well(s->sink);
        }
    }
    schedule(s);
}

static void drain(void *state, bool all)
{
    struct http_sink_state *s = state;
    s->draining = true;
    s->drain_all = all;
    schedule(s);
}

static void client_closed(void *arg)
{
    struct http_sink_state *s = arg;
    flv_sink_closed(s->sink);
}

static void free_all(struct http_sink_state *s)
{
    for (uint64_t i = 0; s->units != NULL && i < s->conf->in_flight_max; i++) {
        flv_buf_deinit(&s->units[i].body);
    }
    lanes_deinit(&s->lanes);
    flv_free(s->units);
    flv_free(s->headers);
    s->units = NULL;
    s->headers = NULL;
}

static void close_sink(void *state)
{
    struct http_sink_state *s = state;
    flv_timer_stop(&s->wake);
    flv_loop_undefer(flv_sink_loop(s->sink), &s->pump);
    free_all(s);
    flv_http_client_destroy(s->client, client_closed, s);
}

static flv_rc make_units(struct http_sink_state *s, struct flv_err *err)
{
    s->units = flv_zalloc(s->conf->in_flight_max, sizeof(*s->units));
    if (s->units == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (uint64_t i = 0; i < s->conf->in_flight_max; i++) {
        s->units[i].sink = s;
        flv_buf_init(&s->units[i].body, BODY_BYTES_MAX);
    }
    return FLV_OK;
}

static flv_rc open_sink(void *state,
                        const void *conf,
                        struct flv_sink *sink,
                        struct flv_err *err)
{
    struct http_sink_state *s = state;
    s->conf = conf;
    s->sink = sink;
    s->backoff.min_ms = s->conf->backoff_min_ms;
    s->backoff.max_ms = s->conf->backoff_max_ms;
    flv_http_url_shown(s->conf->endpoint, s->shown);
    flv_task_init(&s->pump, run_pump);
    flv_timer_init(&s->wake, flv_sink_loop(sink), on_wake);
    const struct flv_http_client_conf client = {
        .connections_max = (unsigned)s->conf->in_flight_max,
        .ca_file = s->conf->ca_file,
        .user_agent = s->conf->user_agent,
        .proxy = s->conf->proxy,
    };
    flv_rc rc = lanes_init(&s->lanes, s->conf, err);
    if (rc == FLV_OK) {
        rc = make_units(s, err);
    }
    if (rc == FLV_OK) {
        rc = http_sink_headers(s->conf, &s->headers, &s->key_at, err);
    }
    if (rc == FLV_OK) {
        rc = flv_http_client_create(&s->client, flv_sink_loop(sink), &client,
                                    err);
    }
    if (rc != FLV_OK) {
        free_all(s);
    }
    return rc;
}

static const struct flv_sink_ops sink = {
    .state_size = sizeof(struct http_sink_state),
    .open = open_sink,
    .put = put,
    .verdict = verdict,
    .drain = drain,
    .close = close_sink,
};

const struct flv_connector http_sink_connector = {
    .abi = FLV_CONNECTOR_ABI,
    .name = "http-sink",
    .version = FLV_VERSION,
    .summary = "Sends each record, or batches of them, to an HTTP endpoint",
    .section = "http",
    .opts = opts,
    .conf_size = sizeof(struct http_sink_conf),
    .check = check,
    .counters = counters,
    .sink = &sink,
    .probe = http_sink_probe,
};
