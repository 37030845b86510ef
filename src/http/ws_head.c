/* The opening handshake of ws.h: the address, our request, their answer. */
#include <assert.h>
#include <stdio.h>
#include <strings.h>

#include "base/out.h"
#include "base/rand.h"
#include "http/client.h"
#include "http/sha1.h"
#include "http/ws.h"
#include "loop/net.h"

#define HEADERS_MAX 100

/* --- the address -----------------------------------------------------------
 */

static const char *behind_scheme(const char *url, bool *out_tls)
{
    *out_tls = strncasecmp(url, "wss://", 6) == 0;
    if (*out_tls) {
        return url + 6;
    }
    return strncasecmp(url, "ws://", 5) == 0 ? url + 5 : NULL;
}

bool flv_ws_is_url(const char *url)
{
    bool tls;
    return behind_scheme(url, &tls) != NULL;
}

/* What a request line can carry: no blanks, nothing beyond ASCII. */
static bool read_target(const char *from, char *out, size_t size)
{
    size_t slash = *from != '/';
    size_t len = strlen(from);
    if (len + slash >= size) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (from[i] <= ' ' || from[i] > '~' || from[i] == '#') {
            return false;
        }
    }
    out[0] = '/';
    memcpy(out + slash, from, len + 1);
    return true;
}

static bool read_authority(const char *from, size_t len, struct flv_ws_url *out)
{
    struct flv_err err = {0};
    uint16_t port = out->tls ? 443 : 80;
    if (len == 0 || len >= sizeof(out->authority)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (from[i] <= ' ' || from[i] > '~') {
            return false;
        }
    }
    memcpy(out->authority, from, len);
    out->authority[len] = '\0';
    return flv_net_split(out->authority, port, out->host, sizeof(out->host),
                         &out->port, &err) == FLV_OK;
}

flv_rc
flv_ws_url_read(const char *url, struct flv_ws_url *out, struct flv_err *err)
{
    struct flv_ws_url u = {.port = 0};
    char shown[FLV_HTTP_SHOWN_MAX];
    const char *rest = behind_scheme(url, &u.tls);
    flv_http_url_shown(url, shown);
    if (rest == NULL) {
        return flv_fail(err, FLV_E_USAGE,
                        "endpoint: \"%s\" does not begin with ws:// or wss://",
                        shown);
    }
    size_t len = strcspn(rest, "/?#");
    const char *target = rest + len;
    const char *sign = memrchr(rest, '@', len);
    const char *host = sign != NULL ? sign + 1 : rest;
    if (sign != NULL && !flv_text_unpercent(rest, (size_t)(sign - rest), u.user,
                                            sizeof(u.user))) {
        return flv_fail(err, FLV_E_USAGE,
                        "endpoint: the user or password in \"%s\" is longer "
                        "than %d bytes or has a bad %%-escape",
                        shown, FLV_WS_USER_MAX - 1);
    }
    if (!read_authority(host, (size_t)(target - host), &u)) {
        return flv_fail(err, FLV_E_USAGE,
                        "endpoint: \"%s\" has no host, or host and port are "
                        "not written host:port",
                        shown);
    }
    if (!read_target(target, u.target, sizeof(u.target))) {
        return flv_fail(err, FLV_E_USAGE,
                        "endpoint: the path of \"%s\" is longer than %d bytes, "
                        "or has a \"#\" or characters that have to be written "
                        "as %%XX",
                        shown, FLV_WS_TARGET_MAX - 2);
    }
    *out = u;
    return FLV_OK;
}

/* --- our request -----------------------------------------------------------
 */

flv_rc flv_ws_header_check(const char *header, struct flv_err *err)
{
    static const char *const ours[] = {"host",
                                       "upgrade",
                                       "connection",
                                       "content-length",
                                       "transfer-encoding",
                                       "sec-websocket-key",
                                       "sec-websocket-version",
                                       "sec-websocket-extensions",
                                       NULL};
    for (const char *const *name = ours; *name != NULL; name++) {
        if (flv_http_header_is(header, *name)) {
            return flv_fail(err, FLV_E_USAGE,
                            "header \"%s\": a WebSocket makes it itself",
                            *name);
        }
    }
    return flv_http_header_check(header, err);
}

void flv_ws_key(char out[FLV_WS_KEY_SIZE])
{
    uint8_t bytes[16];
    struct flv_buf b;
    flv_put_u64(bytes, flv_rand_u64());
    flv_put_u64(bytes + 8, flv_rand_u64());
    flv_buf_init(&b, FLV_WS_KEY_SIZE);
    memset(out, 'A', FLV_WS_KEY_SIZE - 1); /* where memory is short */
    if (flv_text_base64(&b, flv_slice(bytes, sizeof(bytes))) == FLV_OK) {
        memcpy(out, b.data, FLV_WS_KEY_SIZE - 1);
    }
    out[FLV_WS_KEY_SIZE - 1] = '\0';
    flv_buf_deinit(&b);
}

static void add_line(struct flv_out *o, const char *name, const char *value)
{
    flv_out_str(o, name);
    flv_out_str(o, value);
    flv_out_str(o, "\r\n");
}

flv_rc flv_ws_put_request(struct flv_buf *b,
                          const struct flv_ws_url *url,
                          const char *key,
                          const char *user_agent,
                          const char *const *headers)
{
    struct flv_out o = {.b = b, .rc = FLV_OK};
    bool agent = user_agent != NULL, user = url->user[0] != '\0';
    flv_out_str(&o, "GET ");
    add_line(&o, url->target, " HTTP/1.1");
    add_line(&o, "Host: ", url->authority);
    add_line(&o, "Upgrade: ", "websocket");
    add_line(&o, "Connection: ", "Upgrade");
    add_line(&o, "Sec-WebSocket-Key: ", key);
    add_line(&o, "Sec-WebSocket-Version: ", "13");
    for (; headers != NULL && *headers != NULL; headers++) {
        agent = agent && !flv_http_header_is(*headers, "user-agent");
        user = user && !flv_http_header_is(*headers, "authorization");
        add_line(&o, *headers, "");
    }
    if (agent) {
        add_line(&o, "User-Agent: ", user_agent);
    }
    if (user) {
        flv_out_str(&o, "Authorization: Basic ");
        if (o.rc == FLV_OK) {
            o.rc = flv_text_base64(b, flv_slice_str(url->user));
        }
        flv_out_str(&o, "\r\n");
    }
    flv_out_str(&o, "\r\n");
    return o.rc;
}

/* --- their answer ----------------------------------------------------------
 */

/* What a 101 has to say, and what it said. */
struct proof {
    bool upgrade, connection, accepted, extension;
    char protocol[128];
};

static bool is(struct flv_slice name, const char *text)
{
    return name.len == strlen(text) &&
           strncasecmp((const char *)name.data, text, name.len) == 0;
}

static struct flv_slice trimmed(struct flv_slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s = flv_slice(s.data + 1, s.len - 1);
    }
    while (s.len > 0 &&
           (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

static bool is_word(struct flv_slice list, const char *word)
{
    while (list.len > 0) {
        const uint8_t *comma = memchr(list.data, ',', list.len);
        size_t n = comma != NULL ? (size_t)(comma - list.data) : list.len;
        if (is(trimmed(flv_slice(list.data, n)), word)) {
            return true;
        }
        n += comma != NULL;
        list = flv_slice(list.data + n, list.len - n);
    }
    return false;
}

static bool is_accept(struct flv_slice value, const char *key)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[FLV_WS_KEY_SIZE + sizeof(guid)];
    uint8_t sum[FLV_SHA1_SIZE];
    struct flv_buf b;
    int n = snprintf(text, sizeof(text), "%.24s%s", key, guid);
    flv__sha1(flv_slice(text, (size_t)n), sum);
    flv_buf_init(&b, 64);
    bool same = flv_text_base64(&b, flv_slice(sum, sizeof(sum))) == FLV_OK &&
                flv_slice_eq(flv_buf_slice(&b), value);
    flv_buf_deinit(&b);
    return same;
}

static void keep(char *out, size_t size, struct flv_slice text)
{
    size_t n = 0;
    for (; n < text.len && n + 1 < size; n++) {
        char c = (char)text.data[n];
        out[n] = c >= ' ' && c <= '~' ? c : '?';
    }
    out[n] = '\0';
}

static void take_header(struct flv_slice name,
                        struct flv_slice value,
                        const char *key,
                        struct flv_ws_answer *out,
                        struct proof *proof)
{
    char text[32];
    if (is(name, "upgrade")) {
        proof->upgrade = proof->upgrade || is_word(value, "websocket");
    } else if (is(name, "connection")) {
        proof->connection = proof->connection || is_word(value, "upgrade");
    } else if (is(name, "sec-websocket-accept")) {
        proof->accepted = is_accept(value, key);
    } else if (is(name, "sec-websocket-extensions")) {
        proof->extension = proof->extension || value.len > 0;
    } else if (is(name, "sec-websocket-protocol")) {
        keep(proof->protocol, sizeof(proof->protocol), value);
    } else if (is(name, "location")) {
        char whole[256];
        keep(whole, sizeof(whole), value);
        flv_http_url_shown(whole, out->location);
    } else if (is(name, "retry-after")) {
        keep(text, sizeof(text), value);
        if (flv_text_u64(text, 0, 3600, &out->retry_after_s, NULL) != FLV_OK) {
            out->retry_after_s = 0; /* a date is not waited for */
        }
    }
}

/* One line without its end; *rest is what follows. False: not whole yet. */
static bool take_line(struct flv_slice *rest, struct flv_slice *out)
{
    const uint8_t *lf =
        rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    if (lf == NULL) {
        return false;
    }
    size_t n = (size_t)(lf - rest->data);
    *out = flv_slice(rest->data, n > 0 && lf[-1] == '\r' ? n - 1 : n);
    *rest = flv_slice(lf + 1, rest->len - n - 1);
    return true;
}

static bool read_status(struct flv_slice line, struct flv_ws_answer *out)
{
    const uint8_t *p = line.data;
    if (line.len < 12 || memcmp(p, "HTTP/1.", 7) != 0 || p[8] != ' ') {
        return false;
    }
    for (size_t i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return false;
        }
        out->status = out->status * 10 + (p[i] - '0');
    }
    keep(out->reason, sizeof(out->reason),
         trimmed(flv_slice(p + 12, line.len - 12)));
    return true;
}

/* Did we ask for the protocol that they chose? */
static bool was_asked(const char *const *headers, const char *protocol)
{
    for (; headers != NULL && *headers != NULL; headers++) {
        if (flv_http_header_is(*headers, "sec-websocket-protocol") &&
            is_word(flv_slice_str(strchr(*headers, ':') + 1), protocol)) {
            return true;
        }
    }
    return false;
}

static flv_rc check_proof(const struct proof *proof,
                          const char *const *headers,
                          struct flv_err *err)
{
    const char *what = NULL;
    if (!proof->upgrade || !proof->connection) {
        what = "it agrees without saying to what (no Upgrade: websocket)";
    } else if (!proof->accepted) {
        what = "its Sec-WebSocket-Accept does not belong to our key";
    } else if (proof->extension) {
        what = "it uses an extension that was not offered";
    } else if (proof->protocol[0] != '\0' &&
               !was_asked(headers, proof->protocol)) {
        what = "it chose a Sec-WebSocket-Protocol that was not asked for";
    }
    return what == NULL ? FLV_OK
                        : flv_fail(err, FLV_E_PROTOCOL,
                                   "the server breaks RFC 6455: %s", what);
}

flv_rc flv_ws_read_answer(struct flv_slice bytes,
                          const char *key,
                          const char *const *headers,
                          struct flv_ws_answer *out,
                          struct flv_err *err)
{
    struct flv_slice rest = bytes, line;
    struct proof proof = {.upgrade = false};
    struct flv_ws_answer answer = {.size = 0};
    size_t count = 0;
    *out = answer;
    if (bytes.len >= 5 && memcmp(bytes.data, "HTTP/", 5) != 0) {
        return flv_fail(err, FLV_E_PROTOCOL,
                        "the server does not answer with HTTP");
    }
    while (take_line(&rest, &line)) {
        if (count == 0 && !read_status(line, &answer)) {
            return flv_fail(err, FLV_E_PROTOCOL,
                            "the server does not answer with HTTP/1.1");
        }
        if (count > 0 && line.len == 0) {
            answer.size = bytes.len - rest.len;
            *out = answer;
            return answer.status == 101 ? check_proof(&proof, headers, err)
                                        : FLV_OK;
        }
        const uint8_t *colon =
            line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
        if (count > 0 && colon != NULL) {
            size_t n = (size_t)(colon - line.data);
            take_header(flv_slice(line.data, n),
                        trimmed(flv_slice(colon + 1, line.len - n - 1)), key,
                        &answer, &proof);
        }
        if (++count > HEADERS_MAX) {
            break;
        }
    }
    if (count > HEADERS_MAX || bytes.len >= FLV_WS_HEAD_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "the server answers with more headers than %d or %zu "
                        "KiB",
                        HEADERS_MAX, FLV_WS_HEAD_MAX / 1024);
    }
    return FLV_OK;
}
