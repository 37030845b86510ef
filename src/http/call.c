#include "http/call.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/container.h"
#include "base/mem.h"

#define CONNECT_TIMEOUT_MS 10000
#define TIMEOUT_MS 30000
#define BODY_BYTES_MAX ((uint64_t)16 * 1024 * 1024)
/* Read on, so that the connection can be used again; more is not worth it. */
#define DROPPED_MAX ((uint64_t)64 * 1024)
#define STREAM_KEEPIDLE_S 30L
#define STREAM_KEEPINTVL_S 10L
/* Where little of an answer is wanted, it is not asked to be compressed, and
 * the buffer that curl takes from the heap for each is one quick to get. */
#define SMALL_ANSWER 4096
#define SMALL_BUFFER 1024L
/* A call that rests keeps no more memory for bodies. */
#define KEPT_BODY_MAX ((size_t)64 * 1024)

/* --- the answer ---------------------------------------------------------- */

static flv_rc fail_headers(struct flv_http_call *call)
{
    return flv_fail(&call->err, FLV_E_LIMIT,
                    "%s answers with more headers than %d or %zu KiB",
                    call->shown, FLV_HTTP_HEADERS_MAX,
                    FLV_HTTP_HEADERS_BYTES_MAX / 1024);
}

/* "HTTP/1.1 200 OK": also begins anew after a redirect or a 100. */
static flv_rc
take_status(struct flv_http_call *call, const char *line, size_t len)
{
    flv_arena_reset(&call->texts);
    call->answer.header_count = 0;
    call->encoded = false;
    call->body_begun = false;
    call->answered = false;
    call->dropped = 0;
    flv_buf_reset(&call->answer.body);

    size_t version = 0;
    while (version < len && line[version] != ' ') {
        version++;
    }
    const char *p = line + version;
    const char *end = line + len;
    unsigned status = 0;
    while (p < end && *p == ' ') {
        p++;
    }
    for (int i = 0; i < 3 && p < end && *p >= '0' && *p <= '9'; i++, p++) {
        status = status * 10 + (unsigned)(*p - '0');
    }
    while (p < end && *p == ' ') {
        p++;
    }
    const char *text = flv_arena_text(&call->texts, line, version);
    call->answer.reason = flv_arena_text(&call->texts, p, (size_t)(end - p));
    if (text == NULL || call->answer.reason == NULL) {
        return fail_headers(call);
    }
    call->answer.version = strcmp(text, "HTTP/2") == 0 ? "HTTP/2.0" : text;
    call->answer.status = status;
    return FLV_OK;
}

static flv_rc header_room(struct flv_http_call *call)
{
    if (call->answer.header_count < call->header_cap) {
        return FLV_OK;
    }
    if (call->header_cap == FLV_HTTP_HEADERS_MAX) {
        return fail_headers(call);
    }
    size_t cap = call->header_cap == 0 ? 32 : call->header_cap * 2;
    if (cap > FLV_HTTP_HEADERS_MAX) {
        cap = FLV_HTTP_HEADERS_MAX;
    }
    struct flv_http_header *grown =
        flv_realloc(call->headers, cap * sizeof(*grown));
    if (grown == NULL) {
        return flv_fail(&call->err, FLV_E_NOMEM, "out of memory");
    }
    call->headers = grown;
    call->header_cap = cap;
    return FLV_OK;
}

static void trim(const char **p, size_t *len)
{
    while (*len > 0 && (**p == ' ' || **p == '\t')) {
        (*p)++;
        (*len)--;
    }
    while (*len > 0 && ((*p)[*len - 1] == ' ' || (*p)[*len - 1] == '\t')) {
        (*len)--;
    }
}

/* A line that begins with a blank continues the one before. */
static flv_rc take_folded(struct flv_http_call *call, const char *p, size_t len)
{
    if (call->answer.header_count == 0) {
        return FLV_OK;
    }
    struct flv_http_header *last =
        &call->headers[call->answer.header_count - 1];
    trim(&p, &len);
    size_t before = strlen(last->value);
    char *joined = flv_arena_alloc(&call->texts, before + 1 + len + 1, 1);
    if (joined == NULL) {
        return fail_headers(call);
    }
    memcpy(joined, last->value, before);
    joined[before] = ' ';
    memcpy(joined + before + 1, p, len);
    joined[before + 1 + len] = '\0';
    last->value = joined;
    return FLV_OK;
}

static flv_rc
take_header(struct flv_http_call *call, const char *line, size_t len)
{
    if (*line == ' ' || *line == '\t') {
        return take_folded(call, line, len);
    }
    const char *colon = memchr(line, ':', len);
    if (colon == NULL) {
        return FLV_OK;
    }
    flv_rc rc = header_room(call);
    if (rc != FLV_OK) {
        return rc;
    }
    size_t name_len = (size_t)(colon - line);
    const char *value = colon + 1;
    size_t value_len = len - name_len - 1;
    trim(&value, &value_len);
    char *name = flv_arena_text(&call->texts, line, name_len);
    char *text = flv_arena_text(&call->texts, value, value_len);
    if (name == NULL || text == NULL) {
        return fail_headers(call);
    }
    for (char *p = name; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            *p = (char)(*p - 'A' + 'a');
        }
    }
    if (strcmp(name, "content-encoding") == 0 &&
        strcasecmp(text, "identity") != 0) {
        call->encoded = true;
    }
    call->headers[call->answer.header_count++] =
        (struct flv_http_header){name, text};
    return FLV_OK;
}

/* --- streams ------------------------------------------------------------- */

/* Status and headers are those that `done` would see. False: unwanted. */
static bool tell_head(struct flv_http_call *call)
{
    if (call->head_told) {
        return true;
    }
    call->head_told = true;
    call->answer.headers = call->headers;
    /* From here on there is no limit: a stream may be as old as it likes. */
    curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, 0L);
    if (call->flow->head(call->arg, &call->answer)) {
        return true;
    }
    call->cut = true;
    return false;
}

static size_t stream_body(struct flv_http_call *call, char *data, size_t len)
{
    if (!tell_head(call)) {
        return 0;
    }
    if (len > 0 && !call->flow->data(call->arg, flv_slice(data, len))) {
        call->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    return len;
}

/* --- curl's callbacks ---------------------------------------------------- */

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct flv_http_call *call = arg;
    size_t total = size * count, len = total;
    while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == '\n')) {
        len--;
    }
    if (len == 0 || call->body_begun) {
        unsigned status = call->answer.status;
        call->answered = status >= 200 &&
                         !(call->redirects && status < 400 && status >= 300);
        /* The empty line, or a trailer. A stream's body may be long in
         * coming; of what may be a redirect only a body tells that it is the
         * answer. */
        bool told = call->flow != NULL && call->answered && !call->body_begun;
        return told && !tell_head(call) ? 0 : total;
    }
    bool status = len >= 5 && strncmp(data, "HTTP/", 5) == 0;
    flv_rc rc =
        status ? take_status(call, data, len) : take_header(call, data, len);
    return rc == FLV_OK ? total : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct flv_http_call *call = arg;
    size_t len = size * count, kept = len;
    call->body_begun = true;
    if (call->flow != NULL) {
        return stream_body(call, data, len);
    }
    if (call->cut_body &&
        kept > call->answer.body.max - call->answer.body.len) {
        kept = call->answer.body.max - call->answer.body.len;
        call->dropped += len - kept;
        if (call->dropped > DROPPED_MAX) {
            call->cut = true;
            return 0;
        }
    }
    flv_rc rc = flv_buf_add(&call->answer.body, data, kept);
    if (rc == FLV_E_LIMIT) {
        (void)flv_fail(&call->err, rc,
                       "the answer of %s is larger than %zu bytes", call->shown,
                       call->answer.body.max);
        return 0;
    }
    if (rc != FLV_OK) {
        (void)flv_fail(&call->err, rc, "out of memory");
        return 0;
    }
    return len;
}

/* The body was decoded, so that its coding and coded length are no longer
 * true of it. */
static void drop_coding(struct flv_http_call *call)
{
    size_t kept = 0;
    for (size_t i = 0; i < call->answer.header_count; i++) {
        const char *name = call->headers[i].name;
        if (strcmp(name, "content-encoding") != 0 &&
            strcmp(name, "content-length") != 0) {
            call->headers[kept++] = call->headers[i];
        }
    }
    call->answer.header_count = kept;
}

static flv_rc rc_of(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_PROXY:
        return FLV_E_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return FLV_E_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_SSL_CACERT_BADFILE:
        return FLV_E_INVALID;
    case CURLE_TOO_MANY_REDIRECTS:
        return FLV_E_LIMIT;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        return FLV_E_CLOSED;
    case CURLE_OUT_OF_MEMORY:
        return FLV_E_NOMEM;
    default:
        return FLV_E_PROTOCOL;
    }
}

/* libcurl's text is what knows to whom the connection was to be made. */
static void explain(struct flv_http_call *call, CURLcode code)
{
    static const char words[] = "Failed to connect to ";
    const char *host = strstr(call->curl_text, words);

    if (code == CURLE_COULDNT_CONNECT && host != NULL && flv_container_here()) {
        flv_err_suffix(&call->err,
                       flv_container_refused(host + sizeof(words) - 1));
    }
}

/* The answer is there, and only the rest of its body is not. */
static bool is_enough(const struct flv_http_call *call, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return true;
    case CURLE_WRITE_ERROR:
        return call->cut;
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2_STREAM:
        return call->cut_body && call->answered;
    default:
        return false;
    }
}

flv_rc flv__http_call_result(struct flv_http_call *call, CURLcode code)
{
    if (call->err.rc != FLV_OK) {
        return call->err.rc;
    }
    if (!is_enough(call, code)) {
        const char *text = call->curl_text[0] != '\0'
                               ? call->curl_text
                               : curl_easy_strerror(code);
        (void)flv_fail(&call->err, rc_of(code), "%s: %s", call->shown, text);
        explain(call, code);
        return call->err.rc;
    }
    if (call->answer.status == 0) {
        return flv_fail(&call->err, FLV_E_PROTOCOL,
                        "%s does not answer with HTTP", call->shown);
    }
    if (call->encoded && call->flow == NULL) {
        drop_coding(call);
    }
    call->answer.headers = call->headers;
    return FLV_OK;
}

/* --- the request --------------------------------------------------------- */

static flv_rc
add_line(struct flv_http_call *call, const char *line, struct flv_err *err)
{
    struct curl_slist *list = curl_slist_append(call->request_headers, line);
    if (list == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    call->request_headers = list;
    return FLV_OK;
}

/* In curl's list "Name:" removes a header and "Name;" sends an empty one. */
static flv_rc
add_header(struct flv_http_call *call, const char *line, struct flv_err *err)
{
    size_t name = strcspn(line, ":");
    if (line[name] != ':' || !flv_http_name_ok(line, name) ||
        !flv_http_value_ok(line, strlen(line))) {
        return flv_fail(err, FLV_E_INVALID,
                        "\"%.40s\" is not a header; write \"Name: value\"",
                        line);
    }
    if (line[name + 1 + strspn(line + name + 1, " \t")] != '\0') {
        return add_line(call, line, err);
    }
    char *empty = flv_strdup(line);
    if (empty == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    empty[name] = ';';
    empty[name + 1] = '\0';
    flv_rc rc = add_line(call, empty, err);
    flv_free(empty);
    return rc;
}

static flv_rc set_headers(struct flv_http_call *call,
                          const struct flv_http_request *req,
                          struct flv_err *err)
{
    bool typed = false;
    for (const char *const *h = req->headers; h != NULL && *h != NULL; h++) {
        flv_rc rc = add_header(call, *h, err);
        if (rc != FLV_OK) {
            return rc;
        }
        typed = typed || flv_http_header_is(*h, "content-type");
    }
    /* curl would call a body a form and wait for 100. */
    if (req->has_body && !typed) {
        flv_rc rc = add_line(call, "Content-Type:", err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    flv_rc rc = add_line(call, "Expect:", err);
    if (rc == FLV_OK) {
        curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->request_headers);
    }
    return rc;
}

static const char *method_of(const struct flv_http_request *req)
{
    return req->method != NULL ? req->method : "GET";
}

static flv_rc set_method(struct flv_http_call *call,
                         const struct flv_http_request *req,
                         struct flv_err *err)
{
    const char *method = method_of(req);
    if (!flv_http_name_ok(method, strlen(method))) {
        return flv_fail(err, FLV_E_INVALID,
                        "\"%.40s\" is not an HTTP method; write GET, POST, "
                        "PUT...",
                        method);
    }
    CURL *e = call->easy;
    bool post = strcmp(method, "POST") == 0;
    if (req->has_body || post) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    }
    bool plain = !req->has_body && strcmp(method, "GET") == 0;
    if (!post && !plain) {
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
    }
    return FLV_OK;
}

static flv_rc set_body(struct flv_http_call *call,
                       const struct flv_http_request *req,
                       struct flv_err *err)
{
    if (!req->has_body) {
        return FLV_OK;
    }
    flv_rc rc = flv_buf_add(&call->body, req->body.data, req->body.len);
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "out of memory");
    }
    const struct flv_slice body = flv_buf_slice(&call->body);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS,
                     body.len > 0 ? (const char *)body.data : "");
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)body.len);
    return FLV_OK;
}

static long at_most(uint32_t ms, long fallback)
{
    return ms != 0 ? (long)ms : fallback;
}

static uint64_t body_max_of(const struct flv_http_request *req)
{
    return req->body_bytes_max != 0 ? req->body_bytes_max : BODY_BYTES_MAX;
}

static void set_limits(struct flv_http_call *call,
                       const struct flv_http_request *req)
{
    CURL *e = call->easy;
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    call->redirects = !req->no_redirects;
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, req->no_redirects ? 0L : 1L);
    curl_easy_setopt(e, CURLOPT_MAXREDIRS, (long)FLV_HTTP_REDIRECTS_MAX);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     at_most(req->connect_timeout_ms, CONNECT_TIMEOUT_MS));
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS,
                     at_most(req->timeout_ms, TIMEOUT_MS));
    uint64_t max = body_max_of(req);
    call->cut_body = req->cut_body;
    if (req->cut_body && max <= SMALL_ANSWER) {
        curl_easy_setopt(e, CURLOPT_BUFFERSIZE, SMALL_BUFFER);
    } else if (call->flow == NULL) {
        curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    }
}

static void set_peer(struct flv_http_call *call,
                     const struct flv_http_client_conf *c)
{
    CURL *e = call->easy;
    if (c->ca_file != NULL) {
        /* The system's CA directory stays trusted besides it. */
        curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
    }
    if (c->user_agent != NULL) {
        curl_easy_setopt(e, CURLOPT_USERAGENT, c->user_agent);
    }
    if (c->proxy != NULL) {
        curl_easy_setopt(e, CURLOPT_PROXY, c->proxy);
    }
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    if (call->flow == NULL) {
        return;
    }
    /* A connection that carries one stream and no more: what is not read
     * holds the sender back. A peer that is gone is noticed in a minute. */
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, STREAM_KEEPIDLE_S);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, STREAM_KEEPINTVL_S);
}

static void set_callbacks(struct flv_http_call *call,
                          struct flv__sockets *sockets)
{
    CURL *e = call->easy;
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, flv__sockets_close);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, sockets);
    curl_easy_setopt(e, CURLOPT_PRIVATE, call);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->curl_text);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
}

static flv_rc
set_url(struct flv_http_call *call, const char *url, struct flv_err *err)
{
    flv_http_url_shown(url, call->shown);
    bool http = strncasecmp(url, "http://", 7) == 0 ||
                strncasecmp(url, "https://", 8) == 0;
    if (!http) {
        return flv_fail(err, FLV_E_INVALID,
                        "\"%s\" is not a web address; it begins with http:// "
                        "or https://",
                        call->shown);
    }
    if (curl_easy_setopt(call->easy, CURLOPT_URL, url) != CURLE_OK) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    return FLV_OK;
}

static flv_rc keep_kind(struct flv_http_call *call,
                        const struct flv_http_request *req,
                        struct flv_err *err)
{
    call->kind = (struct flv__http_kind){
        .url = flv_strdup(req->url),
        .method = flv_strdup(method_of(req)),
        .has_body = req->has_body,
        .no_redirects = req->no_redirects,
        .cut_body = req->cut_body,
        .connect_timeout_ms = req->connect_timeout_ms,
        .timeout_ms = req->timeout_ms,
        .body_bytes_max = req->body_bytes_max,
    };
    bool kept = call->kind.url != NULL && call->kind.method != NULL;
    return kept ? FLV_OK : flv_fail(err, FLV_E_NOMEM, "out of memory");
}

bool flv__http_call_fits(const struct flv_http_call *call,
                         const struct flv_http_request *req)
{
    const struct flv__http_kind *k = &call->kind;
    return call->flow == req->flow && k->has_body == req->has_body &&
           k->no_redirects == req->no_redirects &&
           k->cut_body == req->cut_body &&
           k->connect_timeout_ms == req->connect_timeout_ms &&
           k->timeout_ms == req->timeout_ms &&
           k->body_bytes_max == req->body_bytes_max &&
           strcmp(k->url, req->url) == 0 &&
           strcmp(k->method, method_of(req)) == 0;
}

flv_rc flv__http_call_create(struct flv_http_call **out,
                             const struct flv_http_request *req,
                             const struct flv_http_client_conf *c,
                             struct flv__sockets *sockets,
                             struct flv_err *err)
{
    assert(req->url != NULL);
    struct flv_http_call *call = flv_zalloc(1, sizeof(*call));
    if (call == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_arena_init(&call->texts, 2048, FLV_HTTP_HEADERS_BYTES_MAX);
    flv_buf_init(&call->body, SIZE_MAX);
    call->flow = req->flow;
    flv_rc rc = keep_kind(call, req, err);
    if (rc == FLV_OK) {
        call->easy = curl_easy_init();
        rc = call->easy != NULL ? FLV_OK
                                : flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    if (rc == FLV_OK) {
        set_limits(call, req);
        set_peer(call, c);
        set_callbacks(call, sockets);
        rc = set_url(call, req->url, err);
    }
    if (rc == FLV_OK) {
        rc = set_method(call, req, err);
    }
    if (rc != FLV_OK) {
        flv__http_call_destroy(call);
        return rc;
    }
    *out = call;
    return FLV_OK;
}

flv_rc flv__http_call_load(struct flv_http_call *call,
                           const struct flv_http_request *req,
                           struct flv_err *err)
{
    uint64_t max = body_max_of(req);
    assert(call->request_headers == NULL && call->body.len == 0);
    flv_buf_init(&call->answer.body, max < SIZE_MAX ? (size_t)max : SIZE_MAX);
    flv_rc rc = set_body(call, req, err);
    return rc == FLV_OK ? set_headers(call, req, err) : rc;
}

void flv__http_call_rest(struct flv_http_call *call)
{
    flv_buf_deinit(&call->answer.body);
    call->answer = (struct flv_http_response){0};
    call->encoded = call->body_begun = call->answered = call->cut = false;
    call->dropped = 0;
    call->curl_text[0] = '\0';
    flv_arena_reset(&call->texts);
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(call->request_headers);
    call->request_headers = NULL;
    if (call->body.cap > KEPT_BODY_MAX) {
        flv_buf_deinit(&call->body);
        flv_buf_init(&call->body, SIZE_MAX);
    }
    flv_buf_reset(&call->body);
}

void flv__http_call_destroy(struct flv_http_call *call)
{
    if (call == NULL) {
        return;
    }
    if (call->easy != NULL) {
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->request_headers);
    flv_buf_deinit(&call->body);
    flv_buf_deinit(&call->answer.body);
    flv_arena_deinit(&call->texts);
    flv_free(call->headers);
    flv_free(call->kind.url);
    flv_free(call->kind.method);
    flv_free(call);
}
