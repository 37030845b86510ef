#include "http/client.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

static const struct {
    unsigned status;
    const char *reason;
} known[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Payload Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Entity"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};

const char *flv_http_reason(unsigned status)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].status == status) {
            return known[i].reason;
        }
    }
    return "";
}

void flv_http_url_shown(const char *url, char out[FLV_HTTP_SHOWN_MAX])
{
    const char *rest = strstr(url, "://");
    rest = rest != NULL ? rest + 3 : url;
    size_t authority = strcspn(rest, "/?#");
    const char *host = rest;
    for (size_t i = 0; i < authority; i++) {
        if (rest[i] == '@') {
            host = rest + i + 1;
        }
    }
    size_t tail = strcspn(host, "?#");
    size_t n = 0;
    for (const char *p = url; p < rest && n < FLV_HTTP_SHOWN_MAX - 1; p++) {
        out[n++] = *p;
    }
    for (size_t i = 0; i < tail && n < FLV_HTTP_SHOWN_MAX - 1; i++) {
        out[n++] = (unsigned char)host[i] < ' ' ? '?' : host[i];
    }
    out[n] = '\0';
}

bool flv_http_header_is(const char *line, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(line, name, len) == 0 && line[len] == ':';
}

bool flv_http_name_ok(const char *name, size_t len)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z');
        if (!alnum && (c == '\0' || strchr(others, c) == NULL)) {
            return false;
        }
    }
    return len > 0;
}

bool flv_http_value_ok(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '\r' || value[i] == '\n' || value[i] == '\0') {
            return false;
        }
    }
    return true;
}

flv_rc flv_http_header_check(const char *header, struct flv_err *err)
{
    size_t name = strcspn(header, ":");
    const char *colon = header + name;
    if (*colon == ':' && flv_http_name_ok(header, name) &&
        flv_http_value_ok(colon + 1, strlen(colon + 1))) {
        return FLV_OK;
    }
    /* The value may be a password: only the name is shown. */
    return flv_fail(err, FLV_E_USAGE,
                    "header \"%.*s\": a header is written Name:Value",
                    (int)(name < 40 ? name : 40), header);
}

flv_rc flv_http_endpoint_check(const char *url, struct flv_err *err)
{
    char shown[FLV_HTTP_SHOWN_MAX];
    if (strncasecmp(url, "http://", 7) == 0 ||
        strncasecmp(url, "https://", 8) == 0) {
        return FLV_OK;
    }
    flv_http_url_shown(url, shown);
    return flv_fail(err, FLV_E_USAGE,
                    "endpoint: \"%s\" is not a web address; it begins "
                    "with http:// or https://",
                    shown);
}

flv_rc flv_http_headers(const char *const *given,
                        size_t count,
                        const char *type,
                        size_t more,
                        const char ***out,
                        size_t *out_used,
                        struct flv_err *err)
{
    const char **headers = flv_zalloc(count + more + 2, sizeof(*headers));
    if (headers == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    bool typed = type == NULL;
    for (size_t i = 0; i < count; i++) {
        headers[i] = given[i];
        typed = typed || flv_http_header_is(given[i], "content-type");
    }
    if (!typed) {
        headers[count] = type;
    }
    *out = headers;
    *out_used = typed ? count : count + 1;
    return FLV_OK;
}
