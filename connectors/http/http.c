#include "http.h"

#include <string.h>

#include "base/field.h"
#include "cut.h"
#include "http/ws.h"

/* In the order of enum http_count. */
static const char *const counters[] = {
    "polls",   "http_errors", "transport_errors", "oversized", "streams",
    "cut_off", NULL};

struct http_state {
    const struct http_mode *mode;
    void *own; /* the mode's */
};

/* --- options ------------------------------------------------------------- */

static const char *const parts_names[] = {"body", "full", NULL};
static const char *const type_names[] = {"text", "json", NULL};
static const char *const error_names[] = {"produce", "skip", "fail", NULL};
static const char *const stream_names[] = {"false", "true", "events", NULL};
static const char *const oversized_names[] = {"skip", "fail", NULL};
static const char *const subscription_names[] = {"subscription-messages", NULL};
static const char *const ping_names[] = {"ping-interval-ms", NULL};
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
     .help = "Time limit of a whole request; of a stream, until it begins"},
    {.name = "connect-timeout",
     FLV_DURATION(struct http_conf, connect_timeout_ms), .unit_ms = 1000,
     .fallback = "10s", .min = 1, .max = 86400000,
     .help = "Time limit of connecting"},
    {.name = "max-response-bytes",
     FLV_SIZE(struct http_conf, response_bytes_max), .fallback = "2 MB",
     .min = 1, .max = HTTP_VALUE_BYTES_MAX,
     .help = "Largest body of an answer, after decompression; largest record "
             "of a stream"},
    {.name = "ca-file", FLV_STR(struct http_conf, ca_file),
     .example = "/etc/ssl/own-ca.pem",
     .help = "File with CA certificates (PEM) to trust besides the system's"},
    {.name = "proxy", FLV_STR(struct http_conf, proxy),
     .example = "http://127.0.0.1:3128",
     .help = "URL of a proxy, or empty for none; default: http_proxy, "
             "https_proxy and no_proxy of the environment"},
    {.name = "stream", FLV_CHOICE(struct http_conf, stream),
     .choices = stream_names, .fallback = "false", .bare = "true",
     .since = "0.4.0",
     .help = "Reads the answer as a stream without an end, cut at the "
             "delimiter; events: as server-sent events"},
    {.name = "delimiter", FLV_STR(struct http_conf, delimiter),
     .fallback = "\\n", .since = "0.4.0",
     .help = "What ends a record of a stream: text, in which \\n, \\r, \\t, "
             "\\0, \\\\ and \\xHH stand for bytes"},
    {.name = "on-oversized", FLV_CHOICE(struct http_conf, on_oversized),
     .choices = oversized_names, .fallback = "skip",
     .help = "What becomes of a record of a stream above max-response-bytes"},
    {.name = "idle-timeout", FLV_DURATION(struct http_conf, idle_timeout_ms),
     .unit_ms = 1000, .fallback = "0", .max = 86400000, .example = "60s",
     .help = "A stream that is silent for so long is opened again; 0: silence "
             "is no trouble"},
    {.name = "reconnect-min", FLV_DURATION(struct http_conf, backoff_min_ms),
     .unit_ms = 1000, .fallback = "200ms", .min = 10, .max = 3600000,
     .help = "First pause before a stream is opened again; it grows each time"},
    {.name = "reconnect-max", FLV_DURATION(struct http_conf, backoff_max_ms),
     .unit_ms = 1000, .fallback = "30s", .min = 10, .max = 3600000,
     .help = "Longest pause before a stream is opened again"},
    {.name = "subscription-message", .arg = "text",
     FLV_LIST(struct http_conf, subscriptions),
     .aliases = subscription_names, .since = "0.5.0",
     .flags = FLV_OPT_SECRET,
     .example = "{\"op\":\"subscribe\"}",
     .help = "Text that a WebSocket is sent first; may be repeated"},
    {.name = "ping-interval", FLV_DURATION(struct http_conf, ping_ms),
     .unit_ms = 1, .aliases = ping_names, .fallback = "10s", .max = 86400000,
     .since = "0.5.0",
     .help = "Time between pings of a WebSocket; 0: none"},
    {.name = "position-file", FLV_STR(struct http_conf, position_file),
     .example = "/var/lib/fluvio/changes.position",
     .help = "File that keeps the id of the last safe event of stream=events"},
    {.name = "output-format", FLV_STR(struct http_conf, output_format),
     .flags = FLV_OPT_HIDDEN, .deprecated = "output-parts",
     .help = "Replaced by output-parts"},
    {.name = NULL},
};
/* clang-format on */

static flv_rc check_stream(const struct http_conf *conf, struct flv_err *err)
{
    struct http_delimiter delimiter;
    if (conf->position_file != NULL && conf->stream != HTTP_STREAM_EVENTS) {
        return flv_fail(err, FLV_E_USAGE,
                        "position-file: only events have ids to keep; write "
                        "stream=events, or leave it out");
    }
    if (conf->backoff_min_ms > conf->backoff_max_ms) {
        return flv_fail(err, FLV_E_USAGE,
                        "reconnect-min: it is above reconnect-max");
    }
    return http_delimiter_read(conf->delimiter, &delimiter, err);
}

/* They are said all at once, and again for each connection. */
static flv_rc check_subscriptions(const struct http_conf *conf,
                                  struct flv_err *err)
{
    size_t size = 0;
    for (size_t i = 0; i < conf->subscriptions.count; i++) {
        size += strlen(conf->subscriptions.items[i]) + HTTP_WS_FRAME_MAX;
    }
    if (size > HTTP_WS_MESSAGES_MAX) {
        return flv_fail(err, FLV_E_USAGE,
                        "subscription-message: %zu messages take %zu bytes, "
                        "and at most %zu are sent; leave some out",
                        conf->subscriptions.count, size, HTTP_WS_MESSAGES_MAX);
    }
    return FLV_OK;
}

static flv_rc check_ws(const struct http_conf *conf, struct flv_err *err)
{
    struct flv_ws_url url;
    if (conf->body != NULL) {
        return flv_fail(err, FLV_E_USAGE,
                        "body: a WebSocket has none; write "
                        "subscription-message for what is sent first");
    }
    if (conf->proxy != NULL && conf->proxy[0] != '\0') {
        return flv_fail(err, FLV_E_USAGE,
                        "proxy: WebSockets are opened without one; leave it "
                        "out");
    }
    flv_rc rc = flv_ws_url_read(conf->endpoint, &url, err);
    for (size_t i = 0; rc == FLV_OK && i < conf->headers.count; i++) {
        rc = flv_ws_header_check(conf->headers.items[i], err);
    }
    rc = rc == FLV_OK ? check_subscriptions(conf, err) : rc;
    return rc == FLV_OK ? check_stream(conf, err) : rc;
}

static flv_rc check(void *data, struct flv_err *err)
{
    const struct http_conf *conf = data;
    if (conf->output_format != NULL) {
        return flv_fail(err, FLV_E_USAGE,
                        "output-format was replaced; write "
                        "--output-parts=%.20s",
                        conf->output_format);
    }
    if (flv_ws_is_url(conf->endpoint)) {
        return check_ws(conf, err);
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
    return rc == FLV_OK ? check_stream(conf, err) : rc;
}

/* --- life ---------------------------------------------------------------- */

static flv_rc open_source(void *state,
                          const void *data,
                          struct flv_source *src,
                          struct flv_err *err)
{
    struct http_state *s = state;
    const struct http_conf *conf = data;
    s->mode = flv_ws_is_url(conf->endpoint) ? &http_ws_mode
              : http_is_stream(conf)        ? &http_stream_mode
                                            : &http_poll_mode;
    return s->mode->open(&s->own, conf, src, err);
}

static void pull(void *state, struct flv_batch *batch, uint32_t credit)
{
    struct http_state *s = state;
    s->mode->pull(s->own, batch, credit);
}

static void settled(void *state, uint64_t upto)
{
    struct http_state *s = state;
    if (s->mode->settled != NULL) {
        s->mode->settled(s->own, upto);
    }
}

static void close_source(void *state)
{
    struct http_state *s = state;
    s->mode->close(s->own);
}

static const struct flv_source_ops source = {
    .state_size = sizeof(struct http_state),
    .open = open_source,
    .pull = pull,
    .settled = settled,
    .close = close_source,
};

const struct flv_connector http_connector = {
    .abi = FLV_CONNECTOR_ABI,
    .name = "http",
    .version = FLV_VERSION,
    .summary = "Reads an HTTP endpoint, again and again, as a stream or as a "
               "WebSocket; what it says becomes records",
    .section = "http",
    .opts = opts,
    .conf_size = sizeof(struct http_conf),
    .check = check,
    .counters = counters,
    .source = &source,
    .probe = http_probe,
};
