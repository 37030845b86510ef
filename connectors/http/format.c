#include "http.h"

#include <string.h>

#include "base/text.h"

/* Stops adding at the first failure. */
struct out {
    struct flv_buf *b;
    flv_rc rc;
};

static void add(struct out *o, const char *text)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_add_str(o->b, text);
    }
}

static void add_json(struct out *o, struct flv_slice text)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_text_json(o->b, text);
    }
}

static void add_status(struct out *o, unsigned status)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_addf(o->b, "%u", status);
    }
}

/* HTTP/2 sends no reason; the customary one stands in. */
static const char *reason(const struct flv_http_response *a)
{
    return a->reason[0] != '\0' ? a->reason : flv_http_reason(a->status);
}

static void full_text(struct out *o, const struct flv_http_response *a)
{
    add(o, a->version);
    add(o, " ");
    add_status(o, a->status);
    add(o, " ");
    add(o, reason(a));
    add(o, "\n");
    for (size_t i = 0; i < a->header_count; i++) {
        add(o, a->headers[i].name);
        add(o, ": ");
        add(o, a->headers[i].value);
        add(o, "\n");
    }
    add(o, "\n");
}

static size_t occurrences(const struct flv_http_response *a, size_t from)
{
    size_t n = 0;
    for (size_t i = from; i < a->header_count; i++) {
        n += strcmp(a->headers[i].name, a->headers[from].name) == 0;
    }
    return n;
}

static bool seen_before(const struct flv_http_response *a, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(a->headers[i].name, a->headers[at].name) == 0) {
            return true;
        }
    }
    return false;
}

/* A header that occurs once is text, one that repeats a list. */
static void
json_header(struct out *o, const struct flv_http_response *a, size_t at)
{
    bool list = occurrences(a, at) > 1;
    size_t shown = 0;
    add_json(o, flv_slice_str(a->headers[at].name));
    add(o, list ? ":[" : ":");
    for (size_t i = at; i < a->header_count; i++) {
        if (strcmp(a->headers[i].name, a->headers[at].name) == 0) {
            add(o, shown++ > 0 ? "," : "");
            add_json(o, flv_slice_str(a->headers[i].value));
        }
    }
    add(o, list ? "]" : "");
}

static void json_head(struct out *o, const struct flv_http_response *a)
{
    add(o, "\"status\":{\"version\":");
    add_json(o, flv_slice_str(a->version));
    add(o, ",\"code\":");
    add_status(o, a->status);
    add(o, ",\"string\":");
    add_json(o, flv_slice_str(reason(a)));
    add(o, "},\"header\":{");
    size_t shown = 0;
    for (size_t i = 0; i < a->header_count; i++) {
        if (!seen_before(a, i)) {
            add(o, shown++ > 0 ? "," : "");
            json_header(o, a, i);
        }
    }
    add(o, "},");
}

flv_rc http_format(const struct flv_http_response *answer,
                   enum http_parts parts,
                   enum http_type type,
                   struct flv_buf *out)
{
    struct out o = {.b = out, .rc = FLV_OK};
    if (type == HTTP_TYPE_TEXT) {
        if (parts == HTTP_PARTS_FULL) {
            full_text(&o, answer);
        }
        if (o.rc == FLV_OK) {
            o.rc = flv_buf_add(out, answer->body.data, answer->body.len);
        }
        return o.rc;
    }
    add(&o, "{");
    if (parts == HTTP_PARTS_FULL) {
        json_head(&o, answer);
    }
    add(&o, "\"body\":");
    add_json(&o, flv_buf_slice(&answer->body));
    add(&o, "}");
    return o.rc;
}
