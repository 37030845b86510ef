/*
 * One answer without an end, opened again whenever it ends.
 *
 *    PAUSE --pause over--> ASK --head--> FLOW --done--> DRAIN --all pulled--+
 *      ^                    |                             ^                 |
 *      |                    +------------done-------------+                 |
 *      +--------------------------------------------------------------------+
 *
 * What came is made into records in pull(), so that no more is read than the
 * topic takes: a full feed says no to curl, which stops reading the socket.
 */
#include "http.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cut.h"
#include "marks.h"
#include "place.h"
#include "retry.h"
#include "sse.h"

#define TARGET "http"
#define RETRY_AFTER_MAX_S 3600
#define LAST_ID "Last-Event-ID:"
#define HEAD_BYTES_MAX ((size_t)512 * 1024)

enum phase {
    PAUSE, /* until the next attempt */
    ASK,   /* a request is under way */
    FLOW,  /* its head is there, and is wanted */
    DRAIN, /* it is over; what came is still being pulled */
    OVER,  /* there will be no next one */
};

struct stream {
    const struct http_conf *conf; /* borrowed */
    struct flv_source *src;
    enum phase phase;
    struct flv_http_client *client; /* owned */
    const char **headers;           /* owned array, borrowed texts */
    struct flv_http_call *call;     /* NULL: none is under way */
    size_t header_count;            /* of those that are always sent */
    struct http_retry retry;
    bool events;            /* parsed by sse, not by cut */
    struct http_feed *feed; /* the parser's */
    struct http_cut cut;
    struct http_sse sse;
    struct flv_buf told_id;   /* owned: the id of sse that marks know */
    struct http_marks marks;  /* what may be asked for with Last-Event-ID */
    struct http_place *place; /* owned: keeps it in a file; NULL: nobody does */
    uint64_t last_number;     /* of the last record that was added */
    struct flv_buf last_id;   /* owned: the header */
    struct flv_buf head;      /* owned: in front of every record, or empty */
    struct flv_buf value;     /* owned: a record that is not as it came */
    struct flv_slice ready;   /* the record to add next */
    bool is_ready;
    bool whole;         /* the stream ended as HTTP says it should */
    bool no_more;       /* the far side says that there will be nothing */
    struct flv_err why; /* that the stream is not wanted; rc FLV_OK: it is */
    struct flv_timer idle;
    uint64_t heard_ms;
    uint64_t again_after_ms; /* the far side asked for a longer pause */
};

static uint64_t now_ms(const struct stream *s)
{
    return flv_loop_now_ms(flv_source_loop(s->src));
}

/* --- records ------------------------------------------------------------- */

/* True: it is passed over, and counted. */
static bool pass_over(struct stream *s)
{
    struct flv_err err = {0};
    if (http_retry_oversized(&s->retry, "a record of the stream", &err)) {
        s->phase = OVER;
        flv_source_fail(s->src, &err);
        return false;
    }
    flv_log_warn(TARGET, "record skipped", FLV_KV_ERR(&err));
    return true;
}

/* Makes the value; false: it would be too large. */
static bool form(struct stream *s, const struct http_record *record)
{
    s->ready = record->body;
    if (s->conf->type == HTTP_TYPE_TEXT && s->head.len == 0) {
        return true;
    }
    flv_buf_reset(&s->value);
    if (http_format_record(record, (enum http_type)s->conf->type, &s->value) !=
        FLV_OK) {
        return false;
    }
    s->ready = flv_buf_slice(&s->value);
    return true;
}

static void cut_off(struct stream *s)
{
    flv_source_count(s->src, HTTP_COUNT_CUT_OFF, 1);
    flv_source_account(s->src, FLV_AT_EXTRACT, FLV_FATE_FAILED, 1);
    flv_log_warn(TARGET, "the stream broke off inside of a record, which is "
                         "dropped");
}

/* What stands behind the last delimiter is a record only where HTTP says that
 * the answer is complete. */
static enum http_piece next_tail(struct stream *s, struct flv_slice *out)
{
    enum http_piece piece = http_cut_tail(&s->cut, out);
    if (piece != HTTP_PIECE_NONE && !s->whole) {
        cut_off(s);
        return HTTP_PIECE_NONE;
    }
    return piece;
}

static void no_memory(struct stream *s)
{
    s->phase = OVER;
    (void)flv_fail(&s->why, FLV_E_NOMEM, "out of memory for the stream");
    flv_source_fail(s->src, &s->why);
}

static enum http_piece next_cut(struct stream *s, struct flv_slice *out)
{
    enum http_piece piece;
    do {
        piece = http_cut_next(&s->cut, out);
        if (piece == HTTP_PIECE_NONE && s->phase == DRAIN) {
            piece = next_tail(s, out);
        }
        if (piece == HTTP_PIECE_RECORD && out->len == 0) {
            /* Empty lines keep connections awake. */
            flv_source_account(s->src, FLV_AT_EXTRACT, FLV_FATE_FILTERED, 1);
        }
    } while (piece == HTTP_PIECE_RECORD && out->len == 0);
    return piece;
}

/* The next piece and what belongs to it; *out_rc: there is no memory. */
static enum http_piece
next_piece(struct stream *s, struct http_record *out, flv_rc *out_rc)
{
    struct http_event event;
    *out = (struct http_record){.head = flv_buf_slice(&s->head),
                                .is_event = s->events};
    *out_rc = FLV_OK;
    if (!s->events) {
        return next_cut(s, &out->body);
    }
    enum http_piece piece = http_sse_next(&s->sse, &event, out_rc);
    if (piece == HTTP_PIECE_RECORD) {
        out->body = event.data;
        out->type = event.type;
        out->id = flv_buf_slice(&s->sse.id);
    }
    return piece;
}

/* The next record into `ready`; false: there is none, or it is all over. */
static bool next_record(struct stream *s)
{
    for (;;) {
        struct http_record record;
        flv_rc rc;
        enum http_piece piece = next_piece(s, &record, &rc);
        if (rc != FLV_OK) {
            no_memory(s);
            return false;
        }
        if (piece == HTTP_PIECE_NONE) {
            return false;
        }
        if (piece == HTTP_PIECE_RECORD && form(s, &record)) {
            return true;
        }
        if (!pass_over(s)) {
            return false;
        }
    }
}

/* A restart may begin behind the event that is safe now. */
static void keep_place(struct stream *s)
{
    const char *id = s->marks.durable;
    if (s->place != NULL && id != NULL) {
        http_place_keep(s->place, id);
    }
}

/* The events up to here became records up to last_number. */
static void mark(struct stream *s)
{
    struct flv_slice id = flv_buf_slice(&s->sse.id);
    if (!s->events || flv_slice_eq(id, flv_buf_slice(&s->told_id))) {
        return;
    }
    flv_buf_reset(&s->told_id);
    if (id.len > 0 && flv_buf_add(&s->told_id, id.data, id.len) != FLV_OK) {
        return; /* the next one does */
    }
    http_marks_add(&s->marks, s->last_number, id);
    if (s->marks.settled >= s->last_number) {
        keep_place(s); /* it left no record that would have to be awaited */
    }
}

static void read_on(struct stream *s)
{
    if (s->call != NULL && !s->is_ready && http_feed_has_room(s->feed)) {
        s->heard_ms = now_ms(s); /* perhaps we were the silent one */
        flv_http_resume(s->call);
    }
}

/* Everything that came is pulled: now the next one may be opened. Where the
 * far side knows ids it can begin behind what came, so that is waited for to
 * be safe; nothing is lost meanwhile. */
static void drained(struct stream *s)
{
    bool resumes = s->events && s->sse.id.len > 0;
    if (s->phase != DRAIN || (resumes && s->marks.settled < s->last_number)) {
        return;
    }
    if (s->no_more) {
        s->phase = OVER;
        flv_source_end(s->src);
        return;
    }
    http_cut_reset(&s->cut);
    http_sse_reset(&s->sse);
    s->phase = PAUSE;
    http_retry_wait(&s->retry);
}

static void pull(void *mode, struct flv_batch *batch, uint32_t credit)
{
    struct stream *s = mode;
    while (s->phase != OVER && flv_batch_count(batch) < credit) {
        struct flv_err err = {0};
        if (!s->is_ready && !next_record(s)) {
            break;
        }
        s->is_ready = true;
        flv_rc rc =
            flv_batch_add(batch, NULL, 0, s->ready.data, s->ready.len, &err);
        if (rc == FLV_E_BUSY) {
            return; /* the same record comes again */
        }
        if (rc != FLV_OK) {
            s->phase = OVER;
            flv_source_fail(s->src, &err);
            return;
        }
        s->is_ready = false;
        s->last_number = flv_batch_next_number(batch) - 1;
        mark(s);
        flv_source_account(s->src, FLV_AT_EXTRACT, FLV_FATE_PASSED, 1);
        http_retry_proved(&s->retry);
    }
    if (flv_batch_count(batch) < credit) {
        mark(s); /* of events that left no record */
        drained(s);
    }
    read_on(s);
}

static void settled(void *mode, uint64_t upto)
{
    struct stream *s = mode;
    if (http_marks_settled(&s->marks, upto)) {
        keep_place(s);
    }
    if (s->phase == DRAIN) {
        flv_source_wake(s->src);
    }
}

/* --- the answer ---------------------------------------------------------- */

/* Says why a good status is of no use nevertheless. */
static bool is_usable(struct stream *s, const struct flv_http_response *answer)
{
    const char *coding = http_header(answer, "content-encoding");
    if (coding != NULL && strcasecmp(coding, "identity") != 0) {
        (void)flv_fail(&s->why, FLV_E_UNSUPPORTED,
                       "%s sends its stream in the coding %.40s, which was "
                       "not offered to it",
                       s->retry.shown, coding);
        return false;
    }
    const char *kind = http_header(answer, "content-type");
    static const char event_stream[] = "text/event-stream";
    if (s->events && (kind == NULL || strncasecmp(kind, event_stream,
                                                  strlen(event_stream)) != 0)) {
        (void)flv_fail(&s->why, FLV_E_PROTOCOL,
                       "%s answers with %.60s, not with server-sent events "
                       "(text/event-stream)",
                       s->retry.shown, kind != NULL ? kind : "no type");
        return false;
    }
    flv_rc rc = FLV_OK;
    if (s->conf->parts == HTTP_PARTS_FULL) {
        rc = http_format_head(answer, (enum http_type)s->conf->type, &s->head);
    }
    if (rc != FLV_OK) {
        (void)flv_fail(&s->why, rc, "%s: the headers do not fit a record",
                       s->retry.shown);
    }
    return rc == FLV_OK;
}

/* "Retry-After: 30"; a date is not waited for. */
static uint64_t retry_after_ms(const struct flv_http_response *answer)
{
    const char *text = http_header(answer, "retry-after");
    uint64_t seconds = 0;
    if (text == NULL ||
        flv_text_u64(text, 0, RETRY_AFTER_MAX_S, &seconds, NULL) != FLV_OK) {
        return 0;
    }
    return seconds * 1000;
}

static bool on_head(void *arg, const struct flv_http_response *answer)
{
    struct stream *s = arg;
    bool good = answer->status >= 200 && answer->status < 300;
    if (!good) {
        flv_source_count(s->src, HTTP_COUNT_HTTP_ERRORS, 1);
        s->again_after_ms = retry_after_ms(answer);
    }
    if (!good && s->conf->on_error != HTTP_ERROR_PRODUCE) {
        http_bad_status(s->conf, answer, &s->why);
        return false;
    }
    if (s->events && answer->status == 204) {
        s->no_more = true; /* that is how the standard ends it */
        return false;
    }
    if (!is_usable(s, answer)) {
        return false;
    }
    s->phase = FLOW;
    s->heard_ms = now_ms(s);
    http_retry_opened(&s->retry);
    return true;
}

static bool on_data(void *arg, struct flv_slice bytes)
{
    struct stream *s = arg;
    if (s->phase == OVER) {
        return true;
    }
    if (s->is_ready || !http_feed_has_room(s->feed)) {
        return false; /* a record that waits borrows from the feed */
    }
    s->heard_ms = now_ms(s);
    if (http_feed_add(s->feed, bytes) != FLV_OK) {
        no_memory(s);
        return true;
    }
    flv_source_wake(s->src);
    return true;
}

static const struct flv_http_flow flow = {.head = on_head, .data = on_data};

/* --- the end of it ------------------------------------------------------- */

static void fail(struct stream *s)
{
    s->phase = OVER;
    flv_source_fail(s->src, &s->why);
}

static void
on_done(void *arg, struct flv_http_response *answer, const struct flv_err *err)
{
    struct stream *s = arg;
    bool flowed = s->phase == FLOW;
    s->call = NULL;
    flv_timer_stop(&s->idle);
    if (s->phase == OVER) {
        return;
    }
    s->whole = answer != NULL;
    if (s->no_more) {
        flv_log_info(TARGET, "the far side says that there is no more",
                     FLV_KV_STR("endpoint", s->retry.shown));
        s->phase = DRAIN;
        flv_source_wake(s->src);
        return;
    }
    if (s->sse.retry_ms != HTTP_SSE_NO_RETRY) {
        uint64_t ms = s->sse.retry_ms, max = s->conf->backoff_max_ms;
        s->retry.backoff.min_ms = ms < 10 ? 10 : ms < max ? ms : max;
    }
    if (s->why.rc == FLV_OK && answer == NULL) {
        s->why = *err;
    } else if (s->why.rc == FLV_OK && !flowed) {
        http_bad_status(s->conf, answer, &s->why);
    } else if (s->why.rc == FLV_OK) {
        (void)flv_fail(&s->why, FLV_E_CLOSED, "%s: the stream ended",
                       s->retry.shown);
    }
    if (answer == NULL) {
        flv_source_count(s->src, HTTP_COUNT_TRANSPORT_ERRORS, 1);
    }
    if (!flowed) {
        flv_source_account(s->src, FLV_AT_PROTOCOL, FLV_FATE_FAILED, 1);
    }
    bool refused = answer != NULL && !flowed && s->why.rc == FLV_E_REFUSED;
    if (s->why.rc == FLV_E_INVALID ||
        (refused && s->conf->on_error == HTTP_ERROR_FAIL)) {
        fail(s); /* no later attempt would do better, or none is wanted */
        return;
    }
    s->phase = DRAIN;
    http_retry_lost(&s->retry, &s->why, s->again_after_ms);
    flv_source_wake(s->src);
}

static void on_idle(struct flv_timer *timer)
{
    struct stream *s = FLV_OWNER_OF(timer, struct stream, idle);
    uint64_t silent_ms = now_ms(s) - s->heard_ms;
    bool listening = !s->is_ready && http_feed_has_room(s->feed);
    if (s->phase != FLOW || !listening ||
        silent_ms < s->conf->idle_timeout_ms) {
        return;
    }
    (void)flv_fail(&s->why, FLV_E_TIMEOUT,
                   "%s: the stream is silent for %llu ms", s->retry.shown,
                   (unsigned long long)silent_ms);
    flv_timer_stop(&s->idle);
    flv_http_cancel(s->call);
}

/* --- the request --------------------------------------------------------- */

/* "Last-Event-ID: 42", where an id is known. */
static flv_rc add_last_id(struct stream *s)
{
    const char *id = s->marks.durable;
    s->headers[s->header_count] = NULL;
    if (id == NULL || id[0] == '\0') {
        return FLV_OK;
    }
    flv_buf_reset(&s->last_id);
    flv_rc rc = flv_buf_addf(&s->last_id, LAST_ID " %s", id);
    s->headers[s->header_count] = flv_buf_str(&s->last_id);
    return s->headers[s->header_count] != NULL ? rc : FLV_E_NOMEM;
}

static void on_again(struct flv_timer *timer)
{
    struct stream *s = FLV_OWNER_OF(timer, struct stream, retry.timer);
    struct flv_http_request req;
    struct flv_err err = {0};
    assert(s->phase == PAUSE && s->call == NULL);
    flv_rc rc = add_last_id(s);
    http_request(s->conf, s->headers, &req);
    req.flow = &flow;
    flv_err_clear(&s->why);
    flv_buf_reset(&s->head);
    s->again_after_ms = 0;
    s->phase = ASK;
    if (rc == FLV_OK) {
        rc = flv_http_send(s->client, &req, on_done, s, &s->call, &err);
    } else {
        (void)flv_fail(&err, rc, "out of memory for the request");
    }
    if (rc == FLV_OK && s->conf->idle_timeout_ms > 0) {
        uint64_t period = s->conf->idle_timeout_ms / 4 + 1;
        rc = flv_timer_start(&s->idle, period, period, &err);
    }
    if (rc != FLV_OK) {
        s->why = err;
        fail(s);
    }
}

/* --- life ---------------------------------------------------------------- */

static void destroy(struct stream *s)
{
    http_retry_deinit(&s->retry);
    flv_timer_stop(&s->idle);
    http_place_close(s->place);
    http_cut_deinit(&s->cut);
    http_sse_deinit(&s->sse);
    http_marks_deinit(&s->marks);
    flv_buf_deinit(&s->told_id);
    flv_buf_deinit(&s->last_id);
    flv_buf_deinit(&s->head);
    flv_buf_deinit(&s->value);
    flv_free(s->headers);
    flv_free(s);
}

/* All up to the event with that id was had before. It is what an event without
 * an id has, too, and what an empty id takes back. */
static void begin_behind(struct stream *s, const char *id)
{
    const struct flv_slice text = flv_slice_str(id);
    http_marks_add(&s->marks, 0, text);
    if (http_sse_begin(&s->sse, text) == FLV_OK) {
        flv_buf_reset(&s->told_id);
        (void)!flv_buf_add(&s->told_id, text.data, text.len);
    }
}

/* An event stream is asked for as one, and from where the settings say until
 * an id is known that is safe. */
static void adapt_headers(struct stream *s)
{
    bool accepts = false;
    size_t kept = 0;
    for (size_t i = 0; i < s->header_count; i++) {
        const char *line = s->headers[i];
        accepts = accepts || flv_http_header_is(line, "Accept");
        if (flv_http_header_is(line, "Last-Event-ID")) {
            line += strlen(LAST_ID) + strspn(line + strlen(LAST_ID), " \t");
            begin_behind(s, line);
        } else {
            s->headers[kept++] = line;
        }
    }
    if (!accepts) {
        s->headers[kept++] = "Accept: text/event-stream";
    }
    s->header_count = kept;
}

static flv_rc open_place(struct stream *s, struct flv_err *err)
{
    char *id = NULL;
    if (s->conf->position_file == NULL) {
        return FLV_OK;
    }
    flv_rc rc =
        http_place_open(&s->place, flv_source_loop(s->src),
                        s->conf->position_file, s->retry.shown, &id, err);
    if (id != NULL) {
        begin_behind(s, id);
    }
    flv_free(id);
    return rc;
}

static flv_rc start(struct stream *s, struct flv_err *err)
{
    const struct flv_http_client_conf client = http_client_conf(s->conf);
    struct http_delimiter delimiter;
    size_t record_max = (size_t)s->conf->response_bytes_max;
    flv_rc rc = http_delimiter_read(s->conf->delimiter, &delimiter, err);
    if (rc != FLV_OK) {
        return rc;
    }
    http_cut_init(&s->cut, &delimiter, record_max);
    http_sse_init(&s->sse, record_max);
    s->events = s->conf->stream == HTTP_STREAM_EVENTS;
    s->feed = s->events ? &s->sse.feed : &s->cut.feed;
    /* Room for Accept and Last-Event-ID. */
    rc = http_headers(s->conf, 2, &s->headers, &s->header_count, err);
    if (rc == FLV_OK && s->events) {
        adapt_headers(s);
        rc = open_place(s, err);
    }
    if (rc == FLV_OK) {
        rc = flv_timer_start(&s->retry.timer, 0, 0, err);
    }
    if (rc == FLV_OK) {
        rc = flv_http_client_create(&s->client, flv_source_loop(s->src),
                                    &client, err);
    }
    return rc;
}

static flv_rc open_stream(void **out,
                          const struct http_conf *conf,
                          struct flv_source *src,
                          struct flv_err *err)
{
    struct stream *s = flv_zalloc(1, sizeof(*s));
    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    s->conf = conf;
    s->src = src;
    http_retry_init(&s->retry, conf, src, on_again);
    flv_timer_init(&s->idle, flv_source_loop(src), on_idle);
    flv_buf_init(&s->head, HEAD_BYTES_MAX);
    flv_buf_init(&s->told_id, HTTP_SSE_ID_MAX);
    flv_buf_init(&s->last_id, HTTP_SSE_ID_MAX + sizeof(LAST_ID) + 2);
    flv_buf_init(&s->value, HTTP_VALUE_BYTES_MAX);
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
    struct stream *s = arg;
    struct flv_source *src = s->src;
    destroy(s);
    flv_source_closed(src);
}

static void close_stream(void *mode)
{
    struct stream *s = mode;
    http_retry_deinit(&s->retry);
    flv_timer_stop(&s->idle);
    flv_http_client_destroy(s->client, client_closed, s);
}

const struct http_mode http_stream_mode = {
    .open = open_stream,
    .pull = pull,
    .settled = settled,
    .close = close_stream,
};
