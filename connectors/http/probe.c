#include "http.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/ws.h"

/* One request with the settings of a file, and what became of it. */
struct probe {
    const struct http_conf *conf; /* borrowed */
    struct flv_probe *probe;      /* borrowed */
    struct flv_http_client *client;
    const char **headers; /* owned array, borrowed texts */
    uint64_t started_ms;
    char text[FLV_ERR_TEXT_MAX]; /* what was found */
    struct flv_err err;          /* or why nothing was */
};

static void client_closed(void *arg)
{
    struct probe *p = arg;
    bool found = p->text[0] != '\0';
    flv_probe_done(p->probe, found ? p->text : NULL, found ? NULL : &p->err);
    flv_free(p->headers);
    flv_free(p);
}

static void on_answer(void *arg,
                      struct flv_http_response *answer,
                      const struct flv_err *err)
{
    struct probe *p = arg;
    char shown[FLV_HTTP_SHOWN_MAX];
    flv_http_url_shown(p->conf->endpoint, shown);
    if (answer == NULL) {
        p->err = *err;
    } else if (answer->status < 200 || answer->status > 299) {
        (void)flv_fail(&p->err, FLV_E_REFUSED, "%s answers %u %.40s", shown,
                       answer->status, flv_http_reason(answer->status));
    } else if (http_is_stream(p->conf)) {
        const char *type = http_header(answer, "content-type");
        (void)snprintf(
            p->text, sizeof(p->text),
            "%s answers %u with a stream of %.60s in %llu ms", shown,
            answer->status, type != NULL ? type : "no type",
            (unsigned long long)(flv_clock_mono_ms() - p->started_ms));
    } else {
        (void)snprintf(
            p->text, sizeof(p->text), "%s answers %u with %zu bytes in %llu ms",
            shown, answer->status, answer->body.len,
            (unsigned long long)(flv_clock_mono_ms() - p->started_ms));
    }
    flv_http_client_destroy(p->client, client_closed, p);
}

static bool on_head(void *arg, const struct flv_http_response *answer)
{
    (void)arg;
    (void)answer;
    return false; /* a stream has no end to wait for */
}

static bool on_data(void *arg, struct flv_slice bytes)
{
    (void)arg;
    (void)bytes;
    return true;
}

static const struct flv_http_flow head_only = {.head = on_head,
                                               .data = on_data};

flv_rc
http_probe(const void *conf, struct flv_probe *probe, struct flv_err *err)
{
    if (flv_ws_is_url(((const struct http_conf *)conf)->endpoint)) {
        return http_probe_ws(conf, probe, err);
    }
    struct probe *p = flv_zalloc(1, sizeof(*p));
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    p->conf = conf;
    p->probe = probe;
    p->started_ms = flv_clock_mono_ms();
    const struct flv_http_client_conf client = http_client_conf(p->conf);
    struct flv_http_request req;
    flv_rc rc = http_headers(p->conf, 0, &p->headers, NULL, err);
    if (rc == FLV_OK) {
        rc = flv_http_client_create(&p->client, flv_probe_loop(probe), &client,
                                    err);
    }
    if (rc == FLV_OK) {
        http_request(p->conf, p->headers, &req);
        req.flow = http_is_stream(p->conf) ? &head_only : NULL;
        rc = flv_http_send(p->client, &req, on_answer, p, NULL, err);
    }
    if (rc != FLV_OK) {
        if (p->client != NULL) {
            flv_http_client_destroy(p->client, NULL, NULL);
        }
        flv_free(p->headers);
        flv_free(p);
    }
    return rc;
}
