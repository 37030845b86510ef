#include "server/peer.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/service.h"
#include "server/state.h"
#include "server/stream.h"
#include "server/watch.h"
#include "wire/classic.h"

#include <assert.h>
#include <string.h>
#include <sys/resource.h>

/* What one client may have under way before it is not read for a while. */
#define IN_FLIGHT_MAX 256
#define BACKLOG_MAX_BYTES ((size_t)4 << 20)
/* Smaller answers are not worth a charge: IN_FLIGHT_MAX bounds them. */
#define CHARGED_FROM_BYTES 4096
#define SCRATCH_KEEP_BYTES ((size_t)256 << 10)

struct out {
    struct flv_write write; /* first */
    struct flv_peer *peer;  /* counted */
    size_t charge;
    uint8_t data[];
};

struct flv_peer *flv_peer_ref(struct flv_peer *p)
{
    assert(p->refs > 0);
    p->refs++;
    return p;
}

void flv_peer_unref(struct flv_peer *p)
{
    assert(p->refs > 0);
    if (--p->refs > 0) {
        return;
    }
    assert(p->conn == NULL && LIST_EMPTY(&p->streams) &&
           LIST_EMPTY(&p->watches));
    struct flv_server *s = p->server;
    LIST_REMOVE(p, link);
    s->peer_count--;
    flv_free(p->who);
    flv_free(p);
    flv_server_ended(s);
}

/* ---- closing ---- */

static void conn_closed(void *ctx)
{
    flv_peer_unref(ctx);
}

/* Lets go of everything but the connection, which is returned. */
static struct flv_conn *detach(struct flv_peer *p)
{
    struct flv_conn *conn = p->conn;
    p->conn = NULL;
    flv_frames_deinit(&p->frames);
    flv_stream_end_all(p);
    flv_watch_end_all(p);
    flv_produce_left(p);
    return conn;
}

void flv_peer_close(struct flv_peer *p, const char *why)
{
    if (p->conn == NULL) {
        return;
    }
    if (why != NULL) {
        flv_log_info(
            "peer", "connection ended",
            FLV_KV_STR("peer", flv_conn_peer(p->conn)),
            FLV_KV_STR("service", p->side == FLV_WIRE_SC ? "sc" : "spu"),
            FLV_KV_STR("reason", why));
    }
    flv_conn_close(detach(p), conn_closed, p);
}

void flv_peer_close_gently(struct flv_peer *p, uint64_t linger_ms)
{
    if (p->conn != NULL) {
        flv_conn_close_gently(detach(p), linger_ms, conn_closed, p);
    }
}

/* ---- rights ---- */

bool flv_peer_may(const struct flv_peer *p,
                  enum flv_right right,
                  struct flv_slice name)
{
    const struct flv_policy *policy = p->server->policy;
    if (policy == NULL || flv_policy_allows(policy, p->who, right, name)) {
        return true;
    }
    uint64_t now_ms = flv_loop_now_ms(p->server->loop);
    if (now_ms - p->server->refused_ms < 1000) {
        return false; /* one line a second tells enough */
    }
    p->server->refused_ms = now_ms;
    static const struct {
        enum flv_right right;
        const char *text;
    } texts[] = {{FLV_RIGHT_CREATE, "create"},
                 {FLV_RIGHT_DELETE, "delete"},
                 {FLV_RIGHT_PRODUCE, "produce"},
                 {FLV_RIGHT_CONSUME, "consume"}};
    const char *what = "";
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        what = texts[i].right == right ? texts[i].text : what;
    }
    flv_log_info(
        "peer", "refused by the policy",
        FLV_KV_STR("who", p->who != NULL ? p->who : ""),
        FLV_KV_STR("right", what),
        FLV_KV_SLICE("name",
                     flv_slice(name.data, name.len < 64 ? name.len : 64)));
    return false;
}

/* ---- back-pressure ---- */

static bool is_overloaded(const struct flv_peer *p)
{
    return p->in_flight >= IN_FLIGHT_MAX ||
           flv_conn_write_pending(p->conn) >= BACKLOG_MAX_BYTES;
}

static void pause_or_resume(struct flv_peer *p)
{
    if (p->conn == NULL) {
        return;
    }
    bool pause = p->draining || is_overloaded(p);
    if (pause && !p->paused) {
        flv_frames_pause(&p->frames);
    } else if (!pause && p->paused) {
        flv_frames_resume(&p->frames);
    }
    p->paused = pause;
}

void flv_peer_drain(struct flv_peer *p)
{
    p->draining = true;
    pause_or_resume(p);
}

size_t flv_peer_backlog(const struct flv_peer *p)
{
    return p->conn != NULL ? flv_conn_write_pending(p->conn) : 0;
}

/* ---- requests ---- */

static flv_rc serve(struct flv_peer *p,
                    struct flv_chunk *frame,
                    struct flv_request *r,
                    struct flv_err *err)
{
    *r = (struct flv_request){.peer = p, .frame = frame};
    r->body = flv_slice(frame->data, frame->size);
    flv_rc rc = flv_wire_request_header_decode(0, &r->body, &p->server->arena,
                                               &r->head, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (!flv_wire_api_served(p->side, r->head.api_key, r->head.version)) {
        return flv_fail(err, FLV_E_PROTOCOL,
                        "api key %u at version %d is not served here",
                        r->head.api_key, r->head.version);
    }
    return p->side == FLV_WIRE_SC ? flv_sc_serve(r, err)
                                  : flv_spu_serve(r, err);
}

static void on_frame(void *ctx, struct flv_chunk *frame)
{
    struct flv_peer *p = flv_peer_ref(ctx);
    struct flv_server *s = p->server;
    struct flv_request r;
    struct flv_err err = {0};
    flv_rc rc = serve(p, frame, &r, &err);
    flv_arena_reset(&s->arena);
    if (rc != FLV_OK) {
        flv_peer_close(p, err.text);
    }
    pause_or_resume(p);
    flv_peer_unref(p);
}

static void on_end(void *ctx, flv_rc rc, const struct flv_err *err)
{
    struct flv_peer *p = ctx;
    bool left = rc == FLV_OK || rc == FLV_E_CLOSED;
    if (left) {
        flv_log_debug("peer", "client left",
                      FLV_KV_STR("peer", flv_conn_peer(p->conn)),
                      FLV_KV_STR("how", rc == FLV_OK ? "" : err->text));
    }
    flv_peer_close(p, left ? NULL : err->text);
}

/* Descriptors that clients must leave to logs: each partition may have its
 * newest segment, some old ones and a new one open. */
#define FILES_BASE 64
#define FILES_PER_PARTITION 4
#define CLIENTS_MIN 16

static bool has_room(struct flv_server *s)
{
    struct rlimit limit;
    size_t files = FILES_BASE + FILES_PER_PARTITION * s->topics.partition_count;
    if (s->tls != NULL) {
        files += 2 * FLV_SHAKING_MAX; /* not accepted yet, on two ports */
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY || s->peer_count < CLIENTS_MIN ||
        s->peer_count + files < limit.rlim_cur) {
        return true;
    }
    uint64_t now_ms = flv_loop_now_ms(s->loop);
    if (now_ms - s->crowded_ms >= 1000) {
        s->crowded_ms = now_ms;
        flv_log_warn("peer",
                     "a client was turned away: too few descriptors (ulimit "
                     "-n)",
                     FLV_KV_U64("clients", s->peer_count),
                     FLV_KV_U64("limit", limit.rlim_cur));
    }
    return false;
}

void flv_peer_accept(struct flv_server *server,
                     enum flv_wire_side side,
                     struct flv_conn *conn)
{
    struct flv_peer *p = flv_zalloc(1, sizeof *p);
    const char *name = server->policy != NULL ? flv_conn_peer_name(conn) : NULL;
    if (p != NULL && name != NULL) {
        p->who = flv_strdup(name);
    }
    if (p == NULL || (p->who == NULL && name != NULL) ||
        server->phase != FLV_SERVER_SERVING || !has_room(server)) {
        if (p != NULL) {
            flv_free(p->who);
        }
        flv_free(p);
        server->counts.turned_away += server->phase == FLV_SERVER_SERVING;
        flv_conn_close(conn, NULL, NULL);
        return;
    }
    p->server = server;
    p->side = side;
    p->conn = conn;
    p->refs = 1;
    LIST_INIT(&p->streams);
    LIST_INIT(&p->watches);
    STAILQ_INIT(&p->produce_line);
    LIST_INSERT_HEAD(&server->peers, p, link);
    server->peer_count++;
    server->counts.connections[side == FLV_WIRE_SPU]++;
    flv_server_began(server);
    const struct flv_frames_conf conf = {
        .frame_bytes_max = server->conf.frame_bytes_max,
        .budget = &server->requests,
        .stall_ms_max = server->conf.stall_ms_max,
        .frame_ms_max = server->conf.frame_ms_max,
        .on_frame = on_frame,
        .on_end = on_end,
        .ctx = p,
    };
    flv_frames_init(&p->frames, conn, &conf);
    flv_frames_resume(&p->frames);
}

/* ---- answers ---- */

static void written(struct flv_write *w, flv_rc rc)
{
    struct out *out = (struct out *)w;
    struct flv_peer *p = out->peer;
    flv_budget_give(&p->server->answers, out->charge);
    flv_free(out);
    if (rc == FLV_OK && p->conn != NULL) {
        flv_watch_catch_up(p);
        pause_or_resume(p);
    }
    flv_peer_unref(p);
}

/* The bytes as a write of their own, or NULL when there is no memory. *held is
 * what was charged for them already; the write takes it over. */
static struct out *
make_out(struct flv_peer *p, struct flv_slice bytes, size_t *held)
{
    size_t charge = bytes.len >= CHARGED_FROM_BYTES ? bytes.len : 0;
    size_t more = charge > *held ? charge - *held : 0;
    if (more > 0 && flv_budget_take(&p->server->answers, more) != FLV_OK) {
        return NULL;
    }
    struct out *out = flv_alloc(sizeof *out + bytes.len);
    if (out == NULL) {
        flv_budget_give(&p->server->answers, more);
        return NULL;
    }
    memset(out, 0, sizeof *out);
    out->peer = flv_peer_ref(p);
    out->charge = *held + more;
    *held = 0;
    memcpy(out->data, bytes.data, bytes.len);
    return out;
}

static bool push(struct flv_peer *p,
                 const struct flv_wire_request_header *head,
                 const struct flv_wire_message *message,
                 size_t *held)
{
    if (p->conn == NULL) {
        return false;
    }
    struct flv_buf *scratch = &p->server->scratch;
    struct flv_err err = {0};
    flv_buf_reset(scratch);
    flv_rc rc =
        message->label != NULL && flv_wire_is_classic(head->version)
            ? flv_wire_classic_frame(head, message, scratch, &err)
            : flv_wire_response_frame(head, message, scratch, NULL, &err);
    struct out *out =
        rc == FLV_OK ? make_out(p, flv_buf_slice(scratch), held) : NULL;
    if (rc == FLV_OK && out != NULL) {
        const struct flv_slice part = flv_slice(out->data, scratch->len);
        flv_conn_write(p->conn, &out->write, &part, 1, written);
    }
    if (scratch->cap > SCRATCH_KEEP_BYTES) {
        flv_buf_deinit(scratch);
        flv_buf_init(scratch, scratch->max);
    }
    if (out == NULL) {
        flv_peer_close(p, rc != FLV_OK ? err.text
                                       : "no memory left for the answer; see "
                                         "--memory-max");
        return false;
    }
    return true;
}

bool flv_peer_push(struct flv_peer *p,
                   const struct flv_wire_request_header *head,
                   const struct flv_wire_message *message)
{
    size_t held = 0;
    return push(p, head, message, &held);
}

struct flv_token flv_peer_hold(const struct flv_request *r)
{
    struct flv_token t = {.peer = flv_peer_ref(r->peer), .head = r->head};
    t.head.client_id = flv_slice(NULL, 0);
    t.peer->in_flight++;
    return t;
}

void flv_token_drop(struct flv_token *t)
{
    struct flv_peer *p = t->peer;
    t->peer = NULL;
    assert(p != NULL && p->in_flight > 0);
    p->in_flight--;
    if (t->charge > 0) {
        flv_budget_give(&p->server->answers, t->charge);
        t->charge = 0;
    }
    flv_server_poke(p->server);
    pause_or_resume(p);
    flv_peer_unref(p);
}

void flv_token_answer(struct flv_token *t,
                      const struct flv_wire_schema *schema,
                      const void *body,
                      const char *label)
{
    const struct flv_wire_message message = {
        .schema = schema, .body = body, .label = label};
    push(t->peer, &t->head, &message, &t->charge);
    flv_token_drop(t);
}
