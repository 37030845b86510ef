#include "http_sink.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"

/* One question that sends nothing: any answer says that somebody is there. */
struct probe {
    const struct http_sink_conf *conf; /* borrowed */
    struct flv_probe *probe;           /* borrowed */
    struct flv_http_client *client;
    uint64_t started_ms;
    char text[FLV_ERR_TEXT_MAX]; /* what was found */
    struct flv_err err;          /* or why nothing was */
};

static void client_closed(void *arg)
{
    struct probe *p = arg;
    bool found = p->text[0] != '\0';
    flv_probe_done(p->probe, found ? p->text : NULL, found ? NULL : &p->err);
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
    } else {
        (void)snprintf(
            p->text, sizeof(p->text),
            "%s is there (OPTIONS answers %u in %llu ms); nothing "
            "was sent to it",
            shown, answer->status,
            (unsigned long long)(flv_clock_mono_ms() - p->started_ms));
    }
    flv_http_client_destroy(p->client, client_closed, p);
}

flv_rc
http_sink_probe(const void *conf, struct flv_probe *probe, struct flv_err *err)
{
    struct probe *p = flv_zalloc(1, sizeof(*p));
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    p->conf = conf;
    p->probe = probe;
    p->started_ms = flv_clock_mono_ms();
    const struct flv_http_client_conf client = {
        .connections_max = 1,
        .ca_file = p->conf->ca_file,
        .user_agent = p->conf->user_agent,
        .proxy = p->conf->proxy,
    };
    const struct flv_http_request req = {
        .method = "OPTIONS",
        .url = p->conf->endpoint,
        .no_redirects = true,
        .cut_body = true,
        .connect_timeout_ms = (uint32_t)p->conf->connect_timeout_ms,
        .timeout_ms = (uint32_t)p->conf->request_timeout_ms,
        .body_bytes_max = 1,
    };
    flv_rc rc =
        flv_http_client_create(&p->client, flv_probe_loop(probe), &client, err);
    if (rc == FLV_OK) {
        rc = flv_http_send(p->client, &req, on_answer, p, NULL, err);
    }
    if (rc != FLV_OK) {
        if (p->client != NULL) {
            flv_http_client_destroy(p->client, NULL, NULL);
        }
        flv_free(p);
    }
    return rc;
}
