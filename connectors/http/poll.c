#include "http.h"

#include <assert.h>

#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"

#define TARGET "http"

/* Requests at an interval: the way of an endpoint that answers and is done. */
struct poll {
    const struct http_conf *conf; /* borrowed */
    struct flv_source *src;
    struct flv_http_client *client; /* owned */
    const char **headers;           /* owned array, borrowed texts */
    struct flv_timer tick;
    uint64_t started_ms;  /* of the request under way or the last one */
    struct flv_buf value; /* owned; waits to be pulled */
    bool has_value;
    bool under_way;
};

static uint64_t wait_ms(const struct poll *s)
{
    uint64_t now = flv_loop_now_ms(flv_source_loop(s->src));
    uint64_t due = s->started_ms + s->conf->interval_ms;
    return due > now ? due - now : 0;
}

/* The next request starts an interval after the last one started, at once
 * when that has passed already. Not while an answer waits to be pulled. */
static void plan_next(struct poll *s)
{
    if (s->under_way || s->has_value) {
        return;
    }
    struct flv_err err = {0};
    if (flv_timer_start(&s->tick, wait_ms(s), 0, &err) != FLV_OK) {
        flv_source_fail(s->src, &err);
    }
}

static void take_answer(struct poll *s, struct flv_http_response *answer)
{
    flv_rc rc = FLV_OK;
    bool as_it_is =
        s->conf->type == HTTP_TYPE_TEXT && s->conf->parts == HTTP_PARTS_BODY;
    if (as_it_is) {
        flv_buf_deinit(&s->value);
        s->value = answer->body;
        flv_buf_init(&answer->body, s->value.max);
    } else {
        flv_buf_reset(&s->value);
        rc = http_format(answer, (enum http_parts)s->conf->parts,
                         (enum http_type)s->conf->type, &s->value);
    }
    if (rc != FLV_OK) {
        flv_source_count(s->src, HTTP_COUNT_OVERSIZED, 1);
        flv_source_account(s->src, FLV_AT_EXTRACT, FLV_FATE_FAILED, 1);
        flv_log_error(TARGET, "answer skipped: its record would be too large",
                      FLV_KV_U64("body_bytes", answer->body.len),
                      FLV_KV_U64("largest_bytes", HTTP_VALUE_BYTES_MAX));
        return;
    }
    s->has_value = true;
    flv_source_account(s->src, FLV_AT_EXTRACT, FLV_FATE_PASSED, 1);
    flv_source_wake(s->src);
}

/* An answer outside 2xx: true when it makes a record nevertheless. */
static bool produce_anyway(struct poll *s,
                           const struct flv_http_response *answer)
{
    flv_source_count(s->src, HTTP_COUNT_HTTP_ERRORS, 1);
    if (s->conf->on_error == HTTP_ERROR_PRODUCE) {
        flv_source_well(s->src);
        return true;
    }
    flv_source_account(s->src, FLV_AT_PROTOCOL, FLV_FATE_FAILED, 1);
    struct flv_err err = {0};
    http_bad_status(s->conf, answer, &err);
    if (s->conf->on_error == HTTP_ERROR_FAIL) {
        flv_source_fail(s->src, &err);
        return false;
    }
    flv_source_trouble(s->src, &err, wait_ms(s));
    char shown[FLV_HTTP_SHOWN_MAX];
    flv_http_url_shown(s->conf->endpoint, shown);
    flv_log_warn(TARGET, "answer skipped", FLV_KV_STR("endpoint", shown),
                 FLV_KV_U64("status", answer->status),
                 FLV_KV_STR("reason", answer->reason));
    return false;
}

static void on_answer(void *arg,
                      struct flv_http_response *answer,
                      const struct flv_err *err)
{
    struct poll *s = arg;
    s->under_way = false;
    if (answer == NULL && err->rc == FLV_E_INVALID) {
        flv_source_fail(s->src, err); /* no later poll would do better */
        return;
    }
    if (answer == NULL) {
        flv_source_count(s->src, HTTP_COUNT_TRANSPORT_ERRORS, 1);
        flv_source_account(s->src, FLV_AT_PROTOCOL, FLV_FATE_FAILED, 1);
        flv_source_trouble(s->src, err, wait_ms(s));
        flv_log_warn(TARGET, "no answer, this poll is skipped",
                     FLV_KV_ERR(err));
    } else if (answer->status >= 200 && answer->status < 300) {
        flv_source_well(s->src);
        take_answer(s, answer);
    } else if (produce_anyway(s, answer)) {
        take_answer(s, answer);
    }
    plan_next(s);
}

static void on_tick(struct flv_timer *timer)
{
    struct poll *s = FLV_OWNER_OF(timer, struct poll, tick);
    struct flv_http_request req;
    http_request(s->conf, s->headers, &req);
    assert(!s->under_way && !s->has_value);
    s->started_ms = flv_loop_now_ms(flv_source_loop(s->src));
    flv_source_count(s->src, HTTP_COUNT_POLLS, 1);
    struct flv_err err = {0};
    if (flv_http_send(s->client, &req, on_answer, s, NULL, &err) != FLV_OK) {
        flv_source_fail(s->src, &err);
        return;
    }
    s->under_way = true;
}

static void pull(void *state, struct flv_batch *batch, uint32_t credit)
{
    struct poll *s = state;
    assert(credit > 0);
    if (!s->has_value) {
        return;
    }
    struct flv_err err = {0};
    flv_rc rc =
        flv_batch_add(batch, NULL, 0, s->value.data, s->value.len, &err);
    if (rc == FLV_E_BUSY) {
        return;
    }
    s->has_value = false;
    flv_buf_deinit(&s->value);
    flv_buf_init(&s->value, HTTP_VALUE_BYTES_MAX);
    if (rc != FLV_OK) {
        flv_source_fail(s->src, &err);
        return;
    }
    plan_next(s);
}

/* --- life ---------------------------------------------------------------- */

static flv_rc start(struct poll *s, struct flv_err *err)
{
    const struct flv_http_client_conf client = http_client_conf(s->conf);
    flv_rc rc = http_headers(s->conf, 0, &s->headers, NULL, err);
    if (rc == FLV_OK) {
        rc = flv_timer_start(&s->tick, 0, 0, err);
    }
    if (rc == FLV_OK) {
        rc = flv_http_client_create(&s->client, flv_source_loop(s->src),
                                    &client, err);
    }
    return rc;
}

static void destroy(struct poll *s)
{
    flv_timer_stop(&s->tick);
    flv_buf_deinit(&s->value);
    flv_free(s->headers);
    flv_free(s);
}

static flv_rc open_poll(void **out,
                        const struct http_conf *conf,
                        struct flv_source *src,
                        struct flv_err *err)
{
    struct poll *s = flv_zalloc(1, sizeof(*s));
    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    s->conf = conf;
    s->src = src;
    flv_buf_init(&s->value, HTTP_VALUE_BYTES_MAX);
    flv_timer_init(&s->tick, flv_source_loop(src), on_tick);
    flv_rc rc = start(s, err);
    if (rc != FLV_OK) {
        destroy(s);
        return rc;
    }
    *out = s;
    return FLV_OK;
}

static void client_closed(void *arg)
{
    struct poll *s = arg;
    struct flv_source *src = s->src;
    destroy(s);
    flv_source_closed(src);
}

static void close_poll(void *mode)
{
    struct poll *s = mode;
    flv_timer_stop(&s->tick);
    flv_http_client_destroy(s->client, client_closed, s);
}

const struct http_mode http_poll_mode = {
    .open = open_poll,
    .pull = pull,
    .close = close_poll,
};
