#include "http.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"

#define TARGET "http"
/* Largest value of a record; the runtime's own ceiling is above it. */
#define VALUE_BYTES_MAX ((size_t)30 * 1024 * 1024)

enum { POLLS, HTTP_ERRORS, TRANSPORT_ERRORS, OVERSIZED };
static const char *const counters[] = {"polls", "http_errors",
                                       "transport_errors", "oversized", NULL};

struct http_state {
    const struct http_conf *conf; /* borrowed */
    struct flv_source *src;
    struct flv_http_client *client; /* owned */
    const char **headers;           /* owned array, borrowed texts */
    struct flv_timer tick;
    uint64_t started_ms;  /* of the request under way or the last one */
    struct flv_buf value; /* owned; waits to be pulled */
    bool has_value;
    bool under_way;
};

/* --- options ------------------------------------------------------------- */

static const char *const parts_names[] = {"body", "full", NULL};
static const char *const type_names[] = {"text", "json", NULL};
static const char *const error_names[] = {"produce", "skip", "fail", NULL};
static const char *const header_names[] = {"headers", NULL};

/* clang-format off */
static const struct flv_opt opts[] = {
    {.name = "endpoint", FLV_STR(struct http_conf, endpoint),
     .flags = FLV_OPT_REQUIRED, .example = "https://catfact.ninja/fact",
     .help = "Endpoint for the http connector"},
    {.name = "method", FLV_STR(struct http_conf, method), .fallback = "GET",
     .help = "HTTP method used in the request. Eg. GET, POST, PUT..."},
    {.name = "body", FLV_STR(struct http_conf, body), .example = "{}",
     .help = "HTTP body for the request", .flags = FLV_OPT_DASH_OK},
    {.name = "interval", FLV_DURATION(struct http_conf, interval_ms),
     .unit_ms = 1000, .fallback = "300", .min = 1, .max = UINT64_C(1) << 40,
     .example = "10s", .help = "Interval between each request"},
    {.name = "header", FLV_LIST(struct http_conf, headers),
     .aliases = header_names, .since = "0.1.1", .flags = FLV_OPT_SECRET,
     .example = "Accept: application/json",
     .help = "Header of the request, Name:Value"},
    {.name = "user-agent", FLV_STR(struct http_conf, user_agent),
     .fallback = "fluvio/http-source " FLV_VERSION, .since = "0.3.0",
     .help = "User agent of the request"},
    {.name = "output-parts", FLV_CHOICE(struct http_conf, parts),
     .choices = parts_names, .fallback = "body", .since = "0.2.0",
     .help = "Parts of the answer that make the record"},
    {.name = "output-type", FLV_CHOICE(struct http_conf, type),
     .choices = type_names, .fallback = "text", .since = "0.2.0",
     .help = "Form of the record"},
    {.name = "on-http-error", FLV_CHOICE(struct http_conf, on_error),
     .choices = error_names, .fallback = "skip",
     .help = "What becomes of an answer outside 2xx"},
    {.name = "timeout", FLV_DURATION(struct http_conf, timeout_ms),
     .unit_ms = 1000, .fallback = "30s", .min = 1, .max = 86400000,
     .help = "Time limit of a whole request"},
    {.name = "connect-timeout",
     FLV_DURATION(struct http_conf, connect_timeout_ms), .unit_ms = 1000,
     .fallback = "10s", .min = 1, .max = 86400000,
     .help = "Time limit of connecting"},
    {.name = "max-response-bytes",
     FLV_SIZE(struct http_conf, response_bytes_max), .fallback = "2 MB",
     .min = 1, .max = VALUE_BYTES_MAX,
     .help = "Largest body of an answer, after decompression"},
    {.name = "ca-file", FLV_STR(struct http_conf, ca_file),
     .example = "/etc/ssl/own-ca.pem",
     .help = "File with CA certificates (PEM) to trust besides the system's"},
    {.name = "proxy", FLV_STR(struct http_conf, proxy),
     .example = "http://127.0.0.1:3128",
     .help = "URL of a proxy, or empty for none; default: http_proxy, "
             "https_proxy and no_proxy of the environment"},
    {.name = "output-format", FLV_STR(struct http_conf, output_format),
     .flags = FLV_OPT_HIDDEN, .deprecated = "output-parts",
     .help = "Replaced by output-parts"},
    {.name = NULL},
};
/* clang-format on */

static flv_rc check(void *data, struct flv_err *err)
{
    const struct http_conf *conf = data;
    if (conf->output_format != NULL) {
        return flv_fail(err, FLV_E_USAGE,
                        "output-format was replaced; write "
                        "--output-parts=%.20s",
                        conf->output_format);
    }
    if (strncasecmp(conf->endpoint, "ws://", 5) == 0 ||
        strncasecmp(conf->endpoint, "wss://", 6) == 0) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "endpoint: WebSocket is not in this version; give an "
                        "http:// or https:// address");
    }
    flv_rc rc = flv_http_endpoint_check(conf->endpoint, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (!flv_http_name_ok(conf->method, strlen(conf->method))) {
        return flv_fail(err, FLV_E_USAGE,
                        "method: \"%.40s\" is not an HTTP method; write GET, "
                        "POST, PUT...",
                        conf->method);
    }
    for (size_t i = 0; rc == FLV_OK && i < conf->headers.count; i++) {
        rc = flv_http_header_check(conf->headers.items[i], err);
    }
    return rc;
}

/* --- polling ------------------------------------------------------------- */

static uint64_t wait_ms(const struct http_state *s)
{
    uint64_t now = flv_loop_now_ms(flv_source_loop(s->src));
    uint64_t due = s->started_ms + s->conf->interval_ms;
    return due > now ? due - now : 0;
}

/* The next request starts an interval after the last one started, at once
 * when that has passed already. Not while an answer waits to be pulled. */
static void plan_next(struct http_state *s)
{
    if (s->under_way || s->has_value) {
        return;
    }
    struct flv_err err = {0};
    if (flv_timer_start(&s->tick, wait_ms(s), 0, &err) != FLV_OK) {
        flv_source_fail(s->src, &err);
    }
}

static void take_answer(struct http_state *s, struct flv_http_response *answer)
{
    flv_rc rc = FLV_OK;
    bool as_it_is =
        s->conf->type == HTTP_TYPE_TEXT && s->conf->parts == HTTP_PARTS_BODY;
    if (as_it_is) {
        flv_buf_deinit(&s->value);
        s->value = answer->body;
        flv_buf_init(&answer->body, s->value.max);
    } else {
        flv_buf_reset(&s->value);
        rc = http_format(answer, (enum http_parts)s->conf->parts,
                         (enum http_type)s->conf->type, &s->value);
    }
    if (rc != FLV_OK) {
        flv_source_count(s->src, OVERSIZED, 1);
        flv_source_account(s->src, FLV_AT_EXTRACT, FLV_FATE_FAILED, 1);
        flv_log_error(TARGET, "answer skipped: its record would be too large",
                      FLV_KV_U64("body_bytes", answer->body.len),
                      FLV_KV_U64("largest_bytes", VALUE_BYTES_MAX));
        return;
    }
    s->has_value = true;
    flv_source_account(s->src, FLV_AT_EXTRACT, FLV_FATE_PASSED, 1);
    flv_source_wake(s->src);
}

/* An answer outside 2xx: true when it makes a record nevertheless. */
static bool produce_anyway(struct http_state *s,
                           const struct flv_http_response *answer)
{
    char shown[FLV_HTTP_SHOWN_MAX];
    flv_http_url_shown(s->conf->endpoint, shown);
    flv_source_count(s->src, HTTP_ERRORS, 1);
    if (s->conf->on_error == HTTP_ERROR_PRODUCE) {
        flv_source_well(s->src);
        return true;
    }
    flv_source_account(s->src, FLV_AT_PROTOCOL, FLV_FATE_FAILED, 1);
    if (s->conf->on_error == HTTP_ERROR_FAIL) {
        struct flv_err err = {0};
        (void)flv_fail(&err, FLV_E_REFUSED,
                       "%s answers %u %.40s, and on-http-error is fail", shown,
                       answer->status, answer->reason);
        flv_source_fail(s->src, &err);
        return false;
    }
    struct flv_err skipped = {0};
    (void)flv_fail(&skipped, FLV_E_REFUSED, "%s answers %u %.40s", shown,
                   answer->status, answer->reason);
    flv_source_trouble(s->src, &skipped, wait_ms(s));
    flv_log_warn(TARGET, "answer skipped", FLV_KV_STR("endpoint", shown),
                 FLV_KV_U64("status", answer->status),
                 FLV_KV_STR("reason", answer->reason));
    return false;
}

static void on_answer(void *arg,
                      struct flv_http_response *answer,
                      const struct flv_err *err)
{
    struct http_state *s = arg;
    s->under_way = false;
    if (answer == NULL && err->rc == FLV_E_INVALID) {
        flv_source_fail(s->src, err); /* no later poll would do better */
        return;
    }
    if (answer == NULL) {
        flv_source_count(s->src, TRANSPORT_ERRORS, 1);
        flv_source_account(s->src, FLV_AT_PROTOCOL, FLV_FATE_FAILED, 1);
        flv_source_trouble(s->src, err, wait_ms(s));
        flv_log_warn(TARGET, "no answer, this poll is skipped",
                     FLV_KV_ERR(err));
    } else if (answer->status >= 200 && answer->status < 300) {
        flv_source_well(s->src);
        take_answer(s, answer);
    } else if (produce_anyway(s, answer)) {
        take_answer(s, answer);
    }
    plan_next(s);
}

static void on_tick(struct flv_timer *timer)
{
    struct http_state *s = FLV_OWNER_OF(timer, struct http_state, tick);
    struct flv_http_request req;
    http_request(s->conf, s->headers, &req);
    assert(!s->under_way && !s->has_value);
    s->started_ms = flv_loop_now_ms(flv_source_loop(s->src));
    flv_source_count(s->src, POLLS, 1);
    struct flv_err err = {0};
    if (flv_http_send(s->client, &req, on_answer, s, NULL, &err) != FLV_OK) {
        flv_source_fail(s->src, &err);
        return;
    }
    s->under_way = true;
}

static void pull(void *state, struct flv_batch *batch, uint32_t credit)
{
    struct http_state *s = state;
    assert(credit > 0);
    if (!s->has_value) {
        return;
    }
    struct flv_err err = {0};
    flv_rc rc =
        flv_batch_add(batch, NULL, 0, s->value.data, s->value.len, &err);
    if (rc == FLV_E_BUSY) {
        return;
    }
    s->has_value = false;
    flv_buf_deinit(&s->value);
    flv_buf_init(&s->value, VALUE_BYTES_MAX);
    if (rc != FLV_OK) {
        flv_source_fail(s->src, &err);
        return;
    }
    plan_next(s);
}

/* --- life ---------------------------------------------------------------- */

static flv_rc open_source(void *state,
                          const void *conf,
                          struct flv_source *src,
                          struct flv_err *err)
{
    struct http_state *s = state;
    s->conf = conf;
    s->src = src;
    flv_buf_init(&s->value, VALUE_BYTES_MAX);
    flv_timer_init(&s->tick, flv_source_loop(src), on_tick);
    const struct flv_http_client_conf client = {
        .connections_max = 2,
        .ca_file = s->conf->ca_file,
        .user_agent = s->conf->user_agent,
        .proxy = s->conf->proxy,
    };
    flv_rc rc = http_headers(s->conf, &s->headers, err);
    if (rc == FLV_OK) {
        rc = flv_timer_start(&s->tick, 0, 0, err);
    }
    if (rc == FLV_OK) {
        rc = flv_http_client_create(&s->client, flv_source_loop(src), &client,
                                    err);
    }
    if (rc != FLV_OK) {
        flv_timer_stop(&s->tick);
        flv_free(s->headers);
    }
    return rc;
}

static void client_closed(void *arg)
{
    struct http_state *s = arg;
    flv_source_closed(s->src);
}

static void close_source(void *state)
{
    struct http_state *s = state;
    flv_timer_stop(&s->tick);
    flv_http_client_destroy(s->client, client_closed, s);
    flv_buf_deinit(&s->value);
    flv_free(s->headers);
    s->headers = NULL;
}

static const struct flv_source_ops source = {
    .state_size = sizeof(struct http_state),
    .open = open_source,
    .pull = pull,
    .close = close_source,
};

const struct flv_connector http_connector = {
    .abi = FLV_CONNECTOR_ABI,
    .name = "http",
    .version = FLV_VERSION,
    .summary = "Polls an HTTP endpoint; each answer becomes a record",
    .section = "http",
    .opts = opts,
    .conf_size = sizeof(struct http_conf),
    .check = check,
    .counters = counters,
    .source = &source,
    .probe = http_probe,
};
