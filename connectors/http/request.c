#include "http.h"

#include <string.h>

bool http_is_stream(const struct http_conf *conf)
{
    return conf->stream != HTTP_STREAM_NONE;
}

flv_rc http_headers(const struct http_conf *conf,
                    size_t more,
                    const char ***out,
                    size_t *out_used,
                    struct flv_err *err)
{
    size_t used;
    return flv_http_headers(
        (const char *const *)conf->headers.items, conf->headers.count,
        conf->body != NULL ? "Content-Type: application/json" : NULL, more, out,
        out_used != NULL ? out_used : &used, err);
}

struct flv_http_client_conf http_client_conf(const struct http_conf *conf)
{
    return (struct flv_http_client_conf){
        .connections_max = 2,
        .ca_file = conf->ca_file,
        .user_agent = conf->user_agent,
        .proxy = conf->proxy,
    };
}

void http_request(const struct http_conf *conf,
                  const char *const *headers,
                  struct flv_http_request *out)
{
    *out = (struct flv_http_request){
        .method = conf->method,
        .url = conf->endpoint,
        .headers = headers,
        .body = flv_slice_str(conf->body),
        .has_body = conf->body != NULL,
        .timeout_ms = (uint32_t)conf->timeout_ms,
        .connect_timeout_ms = (uint32_t)conf->connect_timeout_ms,
        .body_bytes_max = conf->response_bytes_max,
    };
}

const char *http_header(const struct flv_http_response *answer,
                        const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcmp(answer->headers[i].name, name) == 0) {
            return answer->headers[i].value;
        }
    }
    return NULL;
}

void http_bad_status(const struct http_conf *conf,
                     const struct flv_http_response *answer,
                     struct flv_err *err)
{
    char shown[FLV_HTTP_SHOWN_MAX];
    flv_http_url_shown(conf->endpoint, shown);
    (void)flv_fail(
        err, FLV_E_REFUSED, "%s answers %u %.40s%s", shown, answer->status,
        answer->reason,
        conf->on_error == HTTP_ERROR_FAIL ? ", and on-http-error is fail" : "");
}
