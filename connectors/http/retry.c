#include "retry.h"

#include "base/log.h"

#define TARGET "http"

void http_retry_init(struct http_retry *r,
                     const struct http_conf *conf,
                     struct flv_source *src,
                     void (*again)(struct flv_timer *timer))
{
    *r = (struct http_retry){
        .conf = conf,
        .src = src,
        .backoff = {.min_ms = conf->backoff_min_ms,
                    .max_ms = conf->backoff_max_ms},
    };
    flv_timer_init(&r->timer, flv_source_loop(src), again);
    flv_http_url_shown(conf->endpoint, r->shown);
}

void http_retry_deinit(struct http_retry *r)
{
    flv_timer_stop(&r->timer);
}

void http_retry_opened(struct http_retry *r)
{
    flv_source_count(r->src, HTTP_COUNT_STREAMS, 1);
    flv_source_well(r->src);
    flv_log_info(TARGET, "stream opened", FLV_KV_STR("endpoint", r->shown));
}

void http_retry_proved(struct http_retry *r)
{
    flv_backoff_reset(&r->backoff);
}

void http_retry_lost(struct http_retry *r,
                     const struct flv_err *why,
                     uint64_t at_least_ms)
{
    r->pause_ms = flv_backoff_next(&r->backoff);
    if (r->pause_ms < at_least_ms) {
        r->pause_ms = at_least_ms;
    }
    flv_source_trouble(r->src, why, r->pause_ms);
    flv_log_warn(TARGET, "no stream, trying again", FLV_KV_ERR(why),
                 FLV_KV_U64("retry_ms", r->pause_ms));
}

void http_retry_wait(struct http_retry *r)
{
    struct flv_err err = {0};
    if (flv_timer_start(&r->timer, r->pause_ms, 0, &err) != FLV_OK) {
        flv_source_fail(r->src, &err);
    }
}

bool http_retry_oversized(struct http_retry *r,
                          const char *what,
                          struct flv_err *err)
{
    (void)flv_fail(err, FLV_E_LIMIT,
                   "%s: %s is larger than max-response-bytes, %llu bytes",
                   r->shown, what,
                   (unsigned long long)r->conf->response_bytes_max);
    flv_source_count(r->src, HTTP_COUNT_OVERSIZED, 1);
    flv_source_account(r->src, FLV_AT_EXTRACT, FLV_FATE_FAILED, 1);
    return r->conf->on_oversized == HTTP_OVERSIZED_FAIL;
}
