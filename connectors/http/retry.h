/*
 * retry.h - a stream that is opened again for as long as it takes.
 *
 * Purpose    Tells the runtime and the log the truth about a stream that was
 *            opened or lost, and times the next attempt.
 * Threads    Loop thread only.
 * Ownership  Embedded by a mode; borrows its configuration and source.
 * Errors     None: what is lost is tried again.
 */
#ifndef FLV_CONNECTORS_HTTP_RETRY_H
#define FLV_CONNECTORS_HTTP_RETRY_H

#include "base/backoff.h"
#include "http.h"
#include "loop/loop.h"

struct http_retry {
    const struct http_conf *conf; /* borrowed */
    struct flv_source *src;       /* borrowed */
    struct flv_backoff backoff;
    struct flv_timer timer; /* `again` of the mode */
    uint64_t pause_ms;      /* until the next attempt */
    char shown[FLV_HTTP_SHOWN_MAX];
};

void http_retry_init(struct http_retry *r,
                     const struct http_conf *conf,
                     struct flv_source *src,
                     void (*again)(struct flv_timer *timer));
void http_retry_deinit(struct http_retry *r);
/* The stream stands. */
void http_retry_opened(struct http_retry *r);
/* It gave something: the next pause is short again. */
void http_retry_proved(struct http_retry *r);
/* It is lost, or could not be opened; picks the pause, not below at_least_ms.
 */
void http_retry_lost(struct http_retry *r,
                     const struct flv_err *why,
                     uint64_t at_least_ms);
/* From now on the pause runs; a source that cannot even wait fails. */
void http_retry_wait(struct http_retry *r);
/* `what` came that is larger than a record may be: counts it, and says so in
 * *err. True: the settings want the source to fail of it. */
bool http_retry_oversized(struct http_retry *r,
                          const char *what,
                          struct flv_err *err);

#endif
