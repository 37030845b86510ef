#include "client/peer.h"

#include "base/field.h"
#include "base/mem.h"
#include "base/rand.h"
#include <assert.h>
#include <stdio.h>
#include <sys/utsname.h>

#define HOST_MAX 256
#define STEADY_MS 1000 /* a connection that lived so long was a success */
#define PAYLOAD_CUT_MIN 4096

enum peer_state {
    PEER_IDLE,
    PEER_CONNECTING,
    PEER_GREETING,
    PEER_READY,
    PEER_WAITING,
    PEER_STATE_COUNT
};

/* A frame on its way out; its own object because an answer (or the end of the
 * peer's interest) may come before the kernel took the last byte. */
struct outgoing {
    struct flv_write write; /* first */
    struct flv_buf buf;
    struct flv_chunk *payload; /* referenced */
    struct flv__peer *peer;    /* borrowed; outlives its connections */
    struct flv_conn *conn;     /* compared only */
};

struct flv__peer {
    struct flv__peer_conf conf;
    char host[HOST_MAX];
    uint16_t port;
    char address[HOST_MAX + 8];
    char tls_name[HOST_MAX]; /* empty: the host */

    enum peer_state state;
    struct flv_connect connect;
    bool connecting; /* connect.done is still to come */
    bool moved;      /* the address changed during the attempt */
    bool doubted;    /* asked, and silent for the whole time */
    bool broken;     /* drop was asked for, with last_err */
    bool closing;
    struct flv_conn *conn; /* owned */
    struct flv_frames frames;
    unsigned conns_closing;
    struct flv_timer timer; /* greeting's limit, back-off or silence */
    unsigned attempts;      /* failed ones in a row */
    uint64_t ready_since_ms;
    uint64_t heard_ms, asked_ms; /* the last frame, the last ping */
    size_t unsent;               /* when silence was looked for last */
    struct flv__call ping;
    struct flv_wire_api_versions_request hello_body;
    struct utsname os; /* of hello_body */
    struct flv_err last_err;

    struct flv_chunk *hello; /* owned; what `apis` borrows from */
    struct flv_arena arena;  /* of apis */
    struct flv_wire_api_versions_response apis;
    char platform[64];

    struct flv__call queue, sent; /* heads of rings */
    size_t queue_count, sent_count;
    struct flv__call **slots; /* owned; by correlation */
    int32_t correlation;

    struct flv__peer_listener listeners; /* head of a ring */
    struct flv__peer_listener *cursor;   /* next one to be told */

    struct flv_task pump;
    void (*closed)(void *user);
    void *closed_user;
};

static void ring_init(struct flv__call *head)
{
    head->next = head;
    head->prev = head;
}

static void ring_add(struct flv__call *head, struct flv__call *call)
{
    call->next = head;
    call->prev = head->prev;
    head->prev->next = call;
    head->prev = call;
}

static void ring_remove(struct flv__call *call)
{
    call->prev->next = call->next;
    call->next->prev = call->prev;
    call->next = NULL;
    call->prev = NULL;
}

static void set_state(struct flv__peer *p, enum peer_state to)
{
    static const uint8_t allowed[PEER_STATE_COUNT] = {
        [PEER_IDLE] = 1u << PEER_CONNECTING | 1u << PEER_WAITING,
        [PEER_CONNECTING] = 1u << PEER_GREETING | 1u << PEER_WAITING,
        [PEER_GREETING] = 1u << PEER_READY | 1u << PEER_WAITING,
        [PEER_READY] = 1u << PEER_WAITING,
        [PEER_WAITING] =
            1u << PEER_CONNECTING | 1u << PEER_IDLE | 1u << PEER_WAITING,
    };

    assert((allowed[p->state] & 1u << to) != 0);
    p->state = to;
}

static bool is_wanted(const struct flv__peer *p)
{
    return !p->closing &&
           (p->listeners.next != &p->listeners || p->queue_count > 0);
}

static void pump_later(struct flv__peer *p)
{
    flv_loop_defer(p->conf.loop, &p->pump);
}

/* ---------------------------------------------------------------- calls */

/* Takes the call off whatever it is on. */
static void release(struct flv__peer *p, struct flv__call *call)
{
    assert(call->state != FLV__CALL_IDLE && call->peer == p);
    if (call->state == FLV__CALL_SENT) {
        const size_t slot = (size_t)call->correlation % FLV__PEER_CALLS_MAX;

        assert(p->slots[slot] == call);
        p->slots[slot] = NULL;
        p->sent_count--;
    } else {
        p->queue_count--;
    }
    ring_remove(call);
    flv_timer_stop(&call->timer);
    call->state = FLV__CALL_IDLE;
    call->peer = NULL;
}

static void fail_call(struct flv__peer *p,
                      struct flv__call *call,
                      const struct flv_err *err)
{
    assert(err->rc != FLV_OK);
    release(p, call);
    call->done(call, NULL, err);
}

/* Everything that was sent, in order, and of what waits that which must not
 * wait; all of it when `waiting`. */
static void
fail_calls(struct flv__peer *p, bool waiting, const struct flv_err *err)
{
    while (p->sent.next != &p->sent) {
        fail_call(p, p->sent.next, err);
    }
    /* One round: what stays goes to the end, in order; what callbacks add
     * comes behind that. */
    for (size_t n = p->queue_count; n > 0 && p->queue.next != &p->queue; n--) {
        struct flv__call *call = p->queue.next;

        if (waiting || call->only_ready) {
            fail_call(p, call, err);
        } else {
            ring_remove(call);
            ring_add(&p->queue, call);
        }
    }
}

static void call_expired(struct flv_timer *t)
{
    struct flv__call *call = FLV_OWNER_OF(t, struct flv__call, timer);
    struct flv__peer *p = call->peer;
    const bool was_sent = call->state == FLV__CALL_SENT;
    struct flv_err err = {.rc = FLV_OK};

    if (was_sent) {
        (void)flv_fail(&err, FLV_E_TIMEOUT,
                       "%s did not answer the %s request within %u ms",
                       p->address, flv_wire_api_name(p->conf.side, call->api),
                       call->timeout_ms);
        flv__peer_drop(p, &err);
    } else if (p->last_err.rc != FLV_OK) {
        err = p->last_err;
        err.rc = FLV_E_TIMEOUT;
    } else {
        (void)flv_fail(&err, FLV_E_TIMEOUT,
                       "%s could not be reached within %u ms", p->address,
                       call->timeout_ms);
    }
    fail_call(p, call, &err);
}

flv_rc
flv__peer_call(struct flv__peer *p, struct flv__call *call, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    assert(call->state == FLV__CALL_IDLE && call->done != NULL);
    assert(!call->stream || call->answer != NULL);
    if (p->closing) {
        return flv_fail(err, FLV_E_CANCELED, "%s: closing", p->address);
    }
    if (p->queue_count >= FLV__PEER_QUEUE_MAX) {
        return flv_fail(err, FLV_E_BUSY, "%u requests wait for %s already",
                        (unsigned)FLV__PEER_QUEUE_MAX, p->address);
    }
    flv_timer_init(&call->timer, p->conf.loop, call_expired);
    if (call->timeout_ms > 0) {
        rc = flv_timer_start(&call->timer, call->timeout_ms, 0, err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    call->peer = p;
    call->state = FLV__CALL_QUEUED;
    ring_add(&p->queue, call);
    p->queue_count++;
    pump_later(p);
    return FLV_OK;
}

void flv__peer_cancel(struct flv__call *call)
{
    if (call->state != FLV__CALL_IDLE) {
        release(call->peer, call);
    }
}

/* -------------------------------------------------------------- sending */

static void outgoing_done(struct flv_write *w, flv_rc rc)
{
    struct outgoing *out = (struct outgoing *)(void *)w;
    struct flv__peer *p = out->peer;

    if (rc != FLV_OK && rc != FLV_E_CANCELED && out->conn == p->conn) {
        flv__peer_drop(p, flv_conn_error(p->conn));
    }
    flv_chunk_unref(out->payload);
    flv_buf_deinit(&out->buf);
    flv_free(out);
}

static flv_rc write_frame(struct flv__peer *p,
                          const struct flv_wire_request_header *header,
                          const struct flv_wire_message *message,
                          struct flv_chunk *payload,
                          struct flv_err *err)
{
    struct flv_wire_cut cut;
    struct flv_wire_cuts cuts = {
        .at = &cut, .max = 1, .min_bytes = PAYLOAD_CUT_MIN};
    struct flv_slice parts[3];
    struct outgoing *out = flv_zalloc(1, sizeof(*out));
    flv_rc rc = FLV_OK;

    if (out == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a request");
    }
    flv_buf_init(&out->buf, FLV_WIRE_FRAME_MAX + FLV_WIRE_PREFIX_SIZE);
    rc = flv_wire_request_frame(header, message, &out->buf,
                                payload != NULL ? &cuts : NULL, err);
    if (rc == FLV_OK && out->buf.len + cuts.size_bytes >
                            FLV_WIRE_FRAME_MAX + FLV_WIRE_PREFIX_SIZE) {
        rc = flv_fail(err, FLV_E_LIMIT,
                      "a request of %zu bytes is above the limit of %d",
                      out->buf.len + cuts.size_bytes, FLV_WIRE_FRAME_MAX);
    }
    if (rc != FLV_OK) {
        flv_buf_deinit(&out->buf);
        flv_free(out);
        return rc;
    }
    if (cuts.len > 0) {
        assert(cut.bytes.data >= payload->data &&
               cut.bytes.data + cut.bytes.len <= payload->data + payload->size);
        out->payload = flv_chunk_ref(payload);
    }
    out->peer = p;
    out->conn = p->conn;
    flv_conn_write(p->conn, &out->write, parts,
                   flv_wire_parts(&out->buf, 0, &cuts, parts, 3),
                   outgoing_done);
    return FLV_OK;
}

static int32_t next_correlation(struct flv__peer *p)
{
    assert(p->sent_count < FLV__PEER_CALLS_MAX);
    for (;;) {
        const int32_t id = p->correlation;

        p->correlation = id == INT32_MAX ? 1 : id + 1;
        if (p->slots[(size_t)id % FLV__PEER_CALLS_MAX] == NULL) {
            return id;
        }
    }
}

static flv_rc
send_call(struct flv__peer *p, struct flv__call *call, struct flv_err *err)
{
    struct flv_wire_request_header header = {
        .api_key = call->api,
        .version = call->version,
        .client_id = flv_slice_str(p->conf.client_id),
    };
    flv_rc rc = FLV_OK;

    if (call->must_list && !flv__peer_lists(p, call->api)) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "%s does not offer this: it is not a fluvio-server",
                        p->address);
    }
    if (call->version < 0) {
        rc = flv_wire_api_pick(p->conf.side, call->api, &p->apis,
                               &header.version, err);
        if (rc != FLV_OK) {
            flv_err_prefix(err, "%s", p->address);
            return rc;
        }
    }
    header.correlation = next_correlation(p);
    rc = write_frame(p, &header, &call->message, call->payload, err);
    if (rc != FLV_OK) {
        return rc;
    }
    ring_remove(call);
    p->queue_count--;
    ring_add(&p->sent, call);
    p->sent_count++;
    p->slots[(size_t)header.correlation % FLV__PEER_CALLS_MAX] = call;
    call->state = FLV__CALL_SENT;
    call->correlation = header.correlation;
    call->sent_version = header.version;
    return FLV_OK;
}

static void send_queue(struct flv__peer *p)
{
    while (p->state == PEER_READY && !p->broken && p->queue.next != &p->queue &&
           p->sent_count < FLV__PEER_CALLS_MAX) {
        struct flv__call *call = p->queue.next;
        struct flv_err err = {.rc = FLV_OK};

        if (send_call(p, call, &err) != FLV_OK) {
            fail_call(p, call, &err);
        }
    }
}

/* ----------------------------------------------------------- connection */

static void tell(struct flv__peer *p, const struct flv_err *err)
{
    p->cursor = p->listeners.next;
    while (p->cursor != &p->listeners) {
        struct flv__peer_listener *l = p->cursor;

        p->cursor = l->next;
        if (err == NULL) {
            l->up(l);
        } else {
            l->down(l, err);
        }
    }
    p->cursor = NULL;
}

static void conn_closed(void *ctx)
{
    struct flv__peer *p = ctx;

    assert(p->conns_closing > 0);
    p->conns_closing--;
    if (p->closing) {
        pump_later(p);
    }
}

static void close_conn(struct flv__peer *p)
{
    if (p->conn == NULL) {
        return;
    }
    flv_frames_deinit(&p->frames);
    p->conns_closing++;
    flv_conn_close(p->conn, conn_closed, p);
    p->conn = NULL;
}

static void forget_hello(struct flv__peer *p)
{
    p->apis = (struct flv_wire_api_versions_response){.apis = {.len = 0}};
    flv_arena_reset(&p->arena);
    flv_chunk_unref(p->hello);
    p->hello = NULL;
}

static uint64_t backoff_ms(const struct flv__peer *p)
{
    const unsigned shift = p->attempts < 16 ? p->attempts : 16;
    uint64_t base = (uint64_t)p->conf.retry_min_ms << shift;

    if (base > p->conf.retry_max_ms) {
        base = p->conf.retry_max_ms;
    }
    return base / 2 + flv_rand_below(base / 2 + 1);
}

/* The attempt failed or the connection broke: complete what was sent, tell
 * the listeners, come back later. */
static void go_down(struct flv__peer *p, const struct flv_err *why)
{
    const struct flv_err err = *why; /* why may be p->last_err */
    const bool steady =
        p->state == PEER_READY &&
        flv_loop_now_ms(p->conf.loop) - p->ready_since_ms >= STEADY_MS;

    assert(err.rc != FLV_OK);
    flv_timer_stop(&p->timer);
    close_conn(p);
    forget_hello(p);
    set_state(p, PEER_WAITING);
    p->broken = false;
    p->last_err = err;
    if (steady) {
        p->attempts = 0; /* failures before it are past */
    }
    if (flv_timer_start(&p->timer, backoff_ms(p), 0, NULL) != FLV_OK) {
        pump_later(p); /* no memory for a timer: try again at once */
    }
    p->attempts++;
    fail_calls(p, false, &err);
    tell(p, &err);
}

static void fail_conn(struct flv__peer *p, flv_rc rc, const char *text)
{
    struct flv_err err;

    (void)flv_fail(&err, rc, "%s: %s", p->address, text);
    go_down(p, &err);
}

/* --------------------------------------------------------------- silence */

/* That there is an answer says it all. */
static void pinged(struct flv__call *call,
                   const struct flv__answer *a,
                   const struct flv_err *err)
{
    (void)call;
    (void)a;
    (void)err;
}

static void ping(struct flv__peer *p)
{
    p->ping = (struct flv__call){
        .api = FLV_API_VERSIONS,
        .version = FLV_WIRE_API_VERSIONS_MAX,
        .only_ready = true,
        .message = {.schema = &flv_wire_api_versions_request_schema,
                    .body = &p->hello_body},
        .done = pinged,
    };
    flv_rc rc = flv__peer_call(p, &p->ping, NULL);
    (void)rc; /* too much waits already: the next look tries again */
}

static void watch_silence(struct flv__peer *p, uint32_t ms)
{
    if (p->conf.quiet_ms > 0 &&
        flv_timer_start(&p->timer, ms, 0, NULL) != FLV_OK) {
        flv_timer_stop(&p->timer); /* out of memory: it is not watched */
    }
}

static void give_up_silent(struct flv__peer *p)
{
    struct flv_err err;

    (void)flv_fail(&err, FLV_E_TIMEOUT,
                   "%s has stopped answering: it was silent for %u ms, was "
                   "asked whether it is there, and was silent for as long "
                   "again",
                   p->address, p->conf.quiet_ms);
    go_down(p, &err);
}

static void look_for_silence(struct flv__peer *p)
{
    const uint64_t now = flv_loop_now_ms(p->conf.loop);
    const bool asked = p->ping.state == FLV__CALL_SENT;
    const size_t unsent = flv_conn_write_queue(p->conn);
    uint64_t since = p->heard_ms;

    if (!flv_frames_between(&p->frames) || unsent != p->unsent) {
        /* A frame that has begun has limits of its own, and a request that is
         * still being taken is read by somebody. */
        since = now;
    } else if (asked && p->asked_ms > since) {
        since = p->asked_ms;
    }
    p->unsent = unsent;
    if (now - since < p->conf.quiet_ms) {
        p->doubted = false;
        watch_silence(p, p->conf.quiet_ms - (uint32_t)(now - since));
        return;
    }
    if (asked && p->doubted) {
        give_up_silent(p);
        return;
    }
    if (p->ping.state == FLV__CALL_IDLE && !p->broken &&
        (p->sent_count > 0 || p->listeners.next != &p->listeners)) {
        p->asked_ms = now;
        ping(p);
    }
    /* It may be that this process slept: what has come is read first. */
    p->doubted = asked;
    watch_silence(p, asked ? 1 : p->conf.quiet_ms);
}

static void greeted(struct flv__peer *p, struct flv_chunk *frame)
{
    struct flv_slice in = flv_slice(frame->data, frame->size);
    struct flv_wire_response_header header = {.correlation = 0};
    struct flv_err err = {.rc = FLV_OK};
    flv_rc rc =
        flv_wire_response_header_decode(0, &in, &p->arena, &header, &err);

    if (rc == FLV_OK && header.correlation != 1) {
        rc = flv_fail(&err, FLV_E_PROTOCOL,
                      "the first answer has correlation id %d, not 1",
                      header.correlation);
    }
    if (rc == FLV_OK) {
        rc = flv_wire_api_versions_response_decode(
            FLV_WIRE_API_VERSIONS_MAX, &in, &p->arena, &p->apis, &err);
    }
    if (rc == FLV_OK && p->apis.error.code != FLV_WIRE_NONE) {
        rc = flv_wire_error_raise(&p->apis.error, &err);
    }
    if (rc == FLV_OK && !flv_wire_semver_ok(p->apis.platform_version)) {
        rc = flv_fail(&err, FLV_E_PROTOCOL, "platform version is no version");
    }
    if (rc != FLV_OK) {
        flv_err_prefix(&err, "%s does not speak Fluvio's protocol", p->address);
        go_down(p, &err);
        return;
    }
    p->hello = flv_chunk_ref(frame);
    (void)snprintf(p->platform, sizeof(p->platform), "%.*s",
                   (int)p->apis.platform_version.len,
                   (const char *)p->apis.platform_version.data);
    flv_timer_stop(&p->timer);
    set_state(p, PEER_READY);
    p->ready_since_ms = flv_loop_now_ms(p->conf.loop);
    flv_err_clear(&p->last_err);
    p->correlation = 1;
    p->doubted = false;
    p->unsent = 0;
    watch_silence(p, p->conf.quiet_ms);
    tell(p, NULL);
    pump_later(p);
}

static void on_frame(void *ctx, struct flv_chunk *frame)
{
    struct flv__peer *p = ctx;
    struct flv__call *call = NULL;
    struct flv__answer a;
    int32_t id = 0;

    if (p->broken) {
        return;
    }
    p->heard_ms = flv_loop_now_ms(p->conf.loop);
    if (p->state == PEER_GREETING) {
        greeted(p, frame);
        return;
    }
    assert(p->state == PEER_READY);
    if (frame->size < 4) {
        fail_conn(p, FLV_E_PROTOCOL, "an answer has less than 4 bytes");
        return;
    }
    id = (int32_t)flv_get_u32(frame->data);
    call = id > 0 ? p->slots[(size_t)id % FLV__PEER_CALLS_MAX] : NULL;
    if (call == NULL || call->correlation != id) {
        return; /* nobody waits for it any more */
    }
    a = (struct flv__answer){
        .body = flv_slice(frame->data + 4, frame->size - 4),
        .version = call->sent_version,
        .frame = frame,
    };
    if (call->stream) {
        call->answer(call, &a);
        return;
    }
    release(p, call);
    call->done(call, &a, NULL);
    if (p->queue_count > 0) {
        pump_later(p);
    }
}

static void on_end(void *ctx, flv_rc rc, const struct flv_err *err)
{
    struct flv__peer *p = ctx;
    struct flv_err why;

    if (rc == FLV_OK || err == NULL || err->text[0] == '\0') {
        fail_conn(p, rc == FLV_OK ? FLV_E_CLOSED : rc,
                  rc == FLV_OK ? "connection closed by the server"
                               : flv_rc_text(rc));
        return;
    }
    why = *err;
    why.rc = rc;
    flv_err_prefix(&why, "%s", p->address);
    go_down(p, &why);
}

static flv_rc send_hello(struct flv__peer *p, struct flv_err *err)
{
    const struct flv_wire_request_header header = {
        .api_key = FLV_API_VERSIONS,
        .version = FLV_WIRE_API_VERSIONS_MAX,
        .correlation = 1,
        .client_id = flv_slice_str(p->conf.client_id),
    };
    const struct flv_wire_message message = {
        .schema = &flv_wire_api_versions_request_schema,
        .body = &p->hello_body};

    return write_frame(p, &header, &message, NULL, err);
}

static void greet(struct flv__peer *p, struct flv_conn *conn)
{
    const struct flv_frames_conf conf = {
        .frame_bytes_max = FLV_WIRE_FRAME_MAX,
        .budget = p->conf.budget,
        .stall_ms_max = p->conf.stall_timeout_ms,
        .on_frame = on_frame,
        .on_end = on_end,
        .ctx = p,
    };
    struct flv_err err = {.rc = FLV_OK};
    flv_rc rc = FLV_OK;

    set_state(p, PEER_GREETING);
    p->conn = conn;
    flv_frames_init(&p->frames, conn, &conf);
    flv_frames_resume(&p->frames);
    rc = flv_timer_start(&p->timer, p->conf.answer_timeout_ms, 0, &err);
    if (rc == FLV_OK) {
        rc = send_hello(p, &err);
    }
    if (rc != FLV_OK) {
        go_down(p, &err);
    }
}

static void connected(struct flv_connect *c,
                      flv_rc rc,
                      struct flv_conn *conn,
                      const struct flv_err *err)
{
    struct flv__peer *p = FLV_OWNER_OF(c, struct flv__peer, connect);
    const bool moved = p->moved;
    struct flv_err why;

    assert(p->connecting && p->state == PEER_CONNECTING);
    assert((rc == FLV_OK) == (conn != NULL));
    p->connecting = false;
    p->moved = false;
    if (p->closing || moved) {
        p->conn = conn;
        if (conn != NULL) {
            p->conns_closing++;
            flv_conn_close(conn, conn_closed, p);
            p->conn = NULL;
        }
        set_state(p, PEER_WAITING);
        pump_later(p);
        return;
    }
    if (rc == FLV_OK) {
        greet(p, conn);
        return;
    }
    why = *err;
    why.rc = rc;
    go_down(p, &why);
}

static void start_connect(struct flv__peer *p)
{
    struct flv_err err = {.rc = FLV_OK};

    assert(!p->connecting && p->conn == NULL);
    set_state(p, PEER_CONNECTING);
    p->connect = (struct flv_connect){
        .host = p->host,
        .tls = p->conf.tls,
        .name = p->tls_name[0] != '\0' ? p->tls_name : NULL,
        .port = p->port,
        .timeout_ms = p->conf.connect_timeout_ms,
        .tls_timeout_ms = p->conf.answer_timeout_ms,
        .done = connected,
    };
    p->moved = false;
    if (flv_connect_start(&p->connect, p->conf.loop, &err) != FLV_OK) {
        go_down(p, &err);
        return;
    }
    p->connecting = true;
}

static void timer_fired(struct flv_timer *t)
{
    struct flv__peer *p = FLV_OWNER_OF(t, struct flv__peer, timer);

    if (p->state == PEER_GREETING) {
        struct flv_err err;

        (void)flv_fail(&err, FLV_E_TIMEOUT,
                       "%s accepted the connection but did not answer within "
                       "%u ms",
                       p->address, p->conf.answer_timeout_ms);
        go_down(p, &err);
        return;
    }
    if (p->state == PEER_READY) {
        look_for_silence(p);
        return;
    }
    assert(p->state == PEER_WAITING);
    pump_later(p);
}

static void finish_close(struct flv__peer *p)
{
    struct flv_err err;
    void (*closed)(void *user) = p->closed;
    void *user = p->closed_user;

    (void)flv_fail(&err, FLV_E_CANCELED, "%s: closed by the caller",
                   p->address);
    flv_timer_stop(&p->timer);
    close_conn(p);
    fail_calls(p, true, &err);
    if (p->connecting) {
        flv_connect_cancel(&p->connect);
        return; /* connected() comes back here */
    }
    if (p->conns_closing > 0) {
        return;
    }
    assert(p->listeners.next == &p->listeners);
    assert(p->sent_count == 0 && p->queue_count == 0);
    flv_loop_undefer(p->conf.loop, &p->pump);
    forget_hello(p);
    flv_arena_deinit(&p->arena);
    flv_free(p->slots);
    flv_free(p);
    if (closed != NULL) {
        closed(user);
    }
}

static void pump(struct flv_task *t)
{
    struct flv__peer *p = FLV_OWNER_OF(t, struct flv__peer, pump);

    if (p->closing) {
        finish_close(p);
        return;
    }
    if (p->broken) {
        p->broken = false;
        if (p->state == PEER_READY || p->state == PEER_GREETING) {
            go_down(p, &p->last_err);
            return;
        }
    }
    if (p->state == PEER_WAITING && !flv_timer_active(&p->timer)) {
        set_state(p, PEER_IDLE);
    }
    if (p->state == PEER_IDLE && is_wanted(p)) {
        start_connect(p);
    }
    send_queue(p);
}

/* ------------------------------------------------------------- lifecycle */

static flv_rc set_address(struct flv__peer *p,
                          const char *host,
                          uint16_t port,
                          struct flv_err *err)
{
    if (host[0] == '\0' || strlen(host) >= sizeof(p->host) || port == 0) {
        return flv_fail(err, FLV_E_INVALID, "'%.100s:%u' is not an address",
                        host, (unsigned)port);
    }
    (void)snprintf(p->host, sizeof(p->host), "%s", host);
    p->port = port;
    (void)snprintf(p->address, sizeof(p->address),
                   strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", p->host,
                   (unsigned)port);
    return FLV_OK;
}

flv_rc flv__peer_create(struct flv__peer **out,
                        const struct flv__peer_conf *conf,
                        const char *host,
                        uint16_t port,
                        struct flv_err *err)
{
    struct flv__peer *p = flv_zalloc(1, sizeof(*p));
    flv_rc rc = FLV_OK;

    assert(conf->connect_timeout_ms > 0 && conf->answer_timeout_ms > 0);
    assert(conf->retry_min_ms > 0);
    assert(conf->retry_max_ms >= conf->retry_min_ms);
    if (p != NULL) {
        p->slots = flv_zalloc(FLV__PEER_CALLS_MAX, sizeof(struct flv__call *));
    }
    if (p == NULL || p->slots == NULL) {
        flv_free(p);
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a connection");
    }
    rc = set_address(p, host, port, err);
    if (rc != FLV_OK) {
        flv_free(p->slots);
        flv_free(p);
        return rc;
    }
    p->conf = *conf;
    p->conf.tls_name = NULL;
    if (conf->tls_name != NULL) {
        (void)snprintf(p->tls_name, sizeof(p->tls_name), "%s", conf->tls_name);
    }
    p->correlation = 1;
    p->hello_body = (struct flv_wire_api_versions_request){
        .client_version = flv_slice_str(FLV_VERSION),
        .client_os = flv_slice_str("linux"),
        .client_arch =
            flv_slice_str(uname(&p->os) == 0 ? p->os.machine : "unknown"),
    };
    ring_init(&p->queue);
    ring_init(&p->sent);
    p->listeners.next = &p->listeners;
    p->listeners.prev = &p->listeners;
    flv_arena_init(&p->arena, 1024, 1024 * 1024);
    flv_timer_init(&p->timer, conf->loop, timer_fired);
    flv_task_init(&p->pump, pump);
    *out = p;
    return FLV_OK;
}

flv_rc flv__peer_move(struct flv__peer *p,
                      const char *host,
                      uint16_t port,
                      struct flv_err *err)
{
    struct flv_err why;
    flv_rc rc = FLV_OK;

    if (strcmp(p->host, host) == 0 && p->port == port) {
        return FLV_OK;
    }
    rc = set_address(p, host, port, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (p->connecting) {
        p->moved = true;
        flv_connect_cancel(&p->connect);
    } else if (p->conn != NULL) {
        (void)flv_fail(&why, FLV_E_CLOSED, "%s: new address", p->address);
        flv__peer_drop(p, &why);
    }
    return FLV_OK;
}

void flv__peer_close(struct flv__peer *p,
                     void (*closed)(void *user),
                     void *user)
{
    assert(!p->closing);
    p->closing = true;
    p->closed = closed;
    p->closed_user = user;
    pump_later(p);
}

const char *flv__peer_address(const struct flv__peer *p)
{
    return p->address;
}

bool flv__peer_is_ready(const struct flv__peer *p)
{
    return p->state == PEER_READY && !p->broken && !p->closing;
}

bool flv__peer_lists(const struct flv__peer *p, uint16_t api)
{
    for (uint32_t i = 0; i < p->apis.apis.len; i++) {
        if (p->apis.apis.at[i].api_key == (int16_t)api) {
            return true;
        }
    }
    return false;
}

const char *flv__peer_platform(const struct flv__peer *p)
{
    return p->platform[0] != '\0' ? p->platform : NULL;
}

void flv__peer_drop(struct flv__peer *p, const struct flv_err *err)
{
    if (p->broken || p->closing) {
        return;
    }
    p->broken = true;
    p->last_err = *err;
    if (p->last_err.rc == FLV_OK) {
        (void)flv_fail(&p->last_err, FLV_E_CLOSED, "%s: connection broke",
                       p->address);
    }
    pump_later(p);
}

void flv__peer_listen(struct flv__peer *p, struct flv__peer_listener *l)
{
    assert(l->peer == NULL && l->up != NULL && l->down != NULL);
    l->peer = p;
    l->next = &p->listeners;
    l->prev = p->listeners.prev;
    l->prev->next = l;
    p->listeners.prev = l;
    pump_later(p);
}

void flv__peer_unlisten(struct flv__peer_listener *l)
{
    struct flv__peer *p = l->peer;

    if (p == NULL) {
        return;
    }
    if (p->cursor == l) {
        p->cursor = l->next;
    }
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->peer = NULL;
    l->next = NULL;
    l->prev = NULL;
}
