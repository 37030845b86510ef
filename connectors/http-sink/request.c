#include "http_sink.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char *const types[] = {
    [HTTP_SINK_RECORD] = "Content-Type: text/html",
    [HTTP_SINK_JSON] = "Content-Type: application/json",
    [HTTP_SINK_NDJSON] = "Content-Type: application/x-ndjson",
};

flv_rc http_sink_headers(const struct http_sink_conf *conf,
                         const char ***out,
                         size_t *out_key,
                         struct flv_err *err)
{
    return flv_http_headers((const char *const *)conf->headers.items,
                            conf->headers.count, types[conf->format], 1, out,
                            out_key, err);
}

void http_sink_key(const char *topic,
                   const struct flv_sink_record *first,
                   const struct flv_sink_record *last,
                   char out[HTTP_SINK_KEY_MAX])
{
    char part[16] = "", to[40] = "";
    if (first->part > 0) {
        (void)snprintf(part, sizeof(part), ".%u", first->part);
    }
    if (last != first && last->part > 0) {
        (void)snprintf(to, sizeof(to), "-%lld.%u", (long long)last->offset,
                       last->part);
    } else if (last != first) {
        (void)snprintf(to, sizeof(to), "-%lld", (long long)last->offset);
    }
    (void)snprintf(out, HTTP_SINK_KEY_MAX,
                   "Idempotency-Key: %.100s/%u/%lld%s%s", topic,
                   first->batch->partition, (long long)first->offset, part, to);
}

flv_rc http_sink_value_check(enum http_sink_format format,
                             struct flv_slice value,
                             struct flv_err *err)
{
    if (format == HTTP_SINK_RECORD || flv_text_is_json(value)) {
        return FLV_OK;
    }
    return flv_fail(err, FLV_E_INVALID,
                    "the value is no JSON, so it cannot be in a %s",
                    format == HTTP_SINK_JSON ? "JSON array" : "line of NDJSON");
}

/* In JSON line feeds stand only between words. */
static flv_rc add_line(struct flv_slice value, struct flv_buf *body)
{
    size_t at = body->len;
    flv_rc rc = flv_buf_add(body, value.data, value.len);
    for (; rc == FLV_OK && at < body->len; at++) {
        if (body->data[at] == '\n' || body->data[at] == '\r') {
            body->data[at] = ' ';
        }
    }
    return rc == FLV_OK ? flv_buf_add_str(body, "\n") : rc;
}

flv_rc http_sink_body_add(enum http_sink_format format,
                          struct flv_slice value,
                          struct flv_buf *body)
{
    switch (format) {
    case HTTP_SINK_RECORD:
        break;
    case HTTP_SINK_JSON: {
        flv_rc rc = flv_buf_add_str(body, body->len > 0 ? "," : "[");
        return rc == FLV_OK ? flv_buf_add(body, value.data, value.len) : rc;
    }
    case HTTP_SINK_NDJSON:
        return add_line(value, body);
    }
    return flv_buf_add(body, value.data, value.len);
}

flv_rc http_sink_body_end(enum http_sink_format format, struct flv_buf *body)
{
    return format == HTTP_SINK_JSON ? flv_buf_add_str(body, "]") : FLV_OK;
}
