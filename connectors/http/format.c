#include "http.h"

#include <string.h>

#include "base/out.h"

static void add_status(struct flv_out *o, unsigned status)
{
    if (o->rc == FLV_OK) {
        o->rc = flv_buf_addf(o->b, "%u", status);
    }
}

static void add_bytes(struct flv_out *o, struct flv_slice bytes)
{
    if (o->rc == FLV_OK && bytes.len > 0) {
        o->rc = flv_buf_add(o->b, bytes.data, bytes.len);
    }
}

/* HTTP/2 sends no reason; the customary one stands in. */
static const char *reason(const struct flv_http_response *a)
{
    return a->reason[0] != '\0' ? a->reason : flv_http_reason(a->status);
}

static void full_text(struct flv_out *o, const struct flv_http_response *a)
{
    flv_out_str(o, a->version);
    flv_out_str(o, " ");
    add_status(o, a->status);
    flv_out_str(o, " ");
    flv_out_str(o, reason(a));
    flv_out_str(o, "\n");
    for (size_t i = 0; i < a->header_count; i++) {
        flv_out_str(o, a->headers[i].name);
        flv_out_str(o, ": ");
        flv_out_str(o, a->headers[i].value);
        flv_out_str(o, "\n");
    }
    flv_out_str(o, "\n");
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
json_header(struct flv_out *o, const struct flv_http_response *a, size_t at)
{
    bool list = occurrences(a, at) > 1;
    size_t shown = 0;
    flv_out_json(o, flv_slice_str(a->headers[at].name));
    flv_out_str(o, list ? ":[" : ":");
    for (size_t i = at; i < a->header_count; i++) {
        if (strcmp(a->headers[i].name, a->headers[at].name) == 0) {
            flv_out_str(o, shown++ > 0 ? "," : "");
            flv_out_json(o, flv_slice_str(a->headers[i].value));
        }
    }
    flv_out_str(o, list ? "]" : "");
}

static void json_head(struct flv_out *o, const struct flv_http_response *a)
{
    flv_out_str(o, "\"status\":{\"version\":");
    flv_out_json(o, flv_slice_str(a->version));
    flv_out_str(o, ",\"code\":");
    add_status(o, a->status);
    flv_out_str(o, ",\"string\":");
    flv_out_json(o, flv_slice_str(reason(a)));
    flv_out_str(o, "},\"header\":{");
    size_t shown = 0;
    for (size_t i = 0; i < a->header_count; i++) {
        if (!seen_before(a, i)) {
            flv_out_str(o, shown++ > 0 ? "," : "");
            json_header(o, a, i);
        }
    }
    flv_out_str(o, "},");
}

flv_rc http_format_head(const struct flv_http_response *answer,
                        enum http_type type,
                        struct flv_buf *out)
{
    struct flv_out o = {.b = out, .rc = FLV_OK};
    if (type == HTTP_TYPE_TEXT) {
        full_text(&o, answer);
    } else {
        json_head(&o, answer);
    }
    return o.rc;
}

flv_rc http_format_record(const struct http_record *r,
                          enum http_type type,
                          struct flv_buf *out)
{
    struct flv_out o = {.b = out, .rc = FLV_OK};
    flv_out_str(&o, type == HTTP_TYPE_JSON ? "{" : "");
    add_bytes(&o, r->head);
    if (type == HTTP_TYPE_TEXT) {
        add_bytes(&o, r->body);
        return o.rc;
    }
    if (r->is_event) {
        flv_out_str(&o, "\"event\":");
        flv_out_json(&o, r->type);
        flv_out_str(&o, ",");
    }
    if (r->is_event && r->id.len > 0) {
        flv_out_str(&o, "\"id\":");
        flv_out_json(&o, r->id);
        flv_out_str(&o, ",");
    }
    flv_out_str(&o, "\"body\":");
    flv_out_json(&o, r->body);
    flv_out_str(&o, "}");
    return o.rc;
}

flv_rc http_format(const struct flv_http_response *answer,
                   enum http_parts parts,
                   enum http_type type,
                   struct flv_buf *out)
{
    struct flv_buf head;
    flv_buf_init(&head, out->max);
    flv_rc rc = parts == HTTP_PARTS_FULL ? http_format_head(answer, type, &head)
                                         : FLV_OK;
    if (rc == FLV_OK) {
        const struct http_record record = {
            .head = flv_buf_slice(&head), .body = flv_buf_slice(&answer->body)};
        rc = http_format_record(&record, type, out);
    }
    flv_buf_deinit(&head);
    return rc;
}
