/*
 * peer.h - one server, reached over one connection that is made again.
 *
 * Purpose    Sends requests of the protocol and hands each answer to the call
 *            that it belongs to. Connects when somebody needs it, negotiates
 *            versions, reconnects with capped, jittered back-off. Knows
 *            nothing of topics.
 * Threads    Loop thread only.
 * Ownership  Calls and listeners are embedded by their users. A call is the
 *            peer's from flv__peer_call() until `done`, which runs once. What
 *            is sent is encoded when the connection is ready, so the body
 *            stays the caller's and unchanged until then (or until done).
 * Errors     A call that was sent when the connection broke completes with
 *            FLV_E_CLOSED: nobody knows what became of it. A call whose time
 *            is up completes with FLV_E_TIMEOUT; if it was sent, the
 *            connection is given up as well. Texts name the address.
 * Silence    A connection that somebody wants and that says nothing is asked
 *            for its versions once more; if it still says nothing it is given
 *            up: the process may hang, or the other machine may be gone. What
 *            still takes bytes of ours, however slowly, is not silent.
 * Callbacks  Never from inside the call that asked for them.
 *
 *      idle --wanted--> connecting --tcp--> greeting --versions--> ready
 *        ^                  |                  |                     |
 *        |                  v                  v                     v
 *        +--not wanted-- waiting (back-off) <--+---------------------+
 */
#ifndef FLV_CLIENT_PEER_H
#define FLV_CLIENT_PEER_H

#include "base/chunk.h"
#include "loop/frame.h"
#include "loop/loop.h"
#include "loop/net.h"
#include "wire/api.h"

#define FLV__PEER_CALLS_MAX 4096 /* sent and waiting on one connection */
#define FLV__PEER_QUEUE_MAX 4096 /* waiting for a connection */

struct flv__peer;

/* An answer: `body` borrows from `frame`, which can be referenced. */
struct flv__answer {
    struct flv_slice body;
    int16_t version;
    struct flv_chunk *frame; /* borrowed */
};

enum flv__call_state {
    FLV__CALL_IDLE,
    FLV__CALL_QUEUED,
    FLV__CALL_SENT,
};

struct flv__call {
    /* set by the user */
    uint16_t api;
    int16_t version; /* -1: negotiated; else this one */
    bool stream;     /* many answers; `done` only when it fails */
    bool must_list;  /* fails where the server does not list `api` */
    bool only_ready; /* fails with FLV_E_CLOSED where it would have to wait */
    uint32_t timeout_ms;
    struct flv_wire_message message;
    struct flv_chunk *payload; /* borrowed until done; kept while written: the
                                * byte field of the message that is not copied
                                * lies in it. May be NULL */
    /* stream: every answer. May close the call with flv__peer_cancel(). */
    void (*answer)(struct flv__call *call, const struct flv__answer *a);
    /* answer NULL: failed with err. A stream's `done` always has an err. */
    void (*done)(struct flv__call *call,
                 const struct flv__answer *a,
                 const struct flv_err *err);
    void *user;
    /* private */
    enum flv__call_state state;
    struct flv__peer *peer;
    struct flv__call *next, *prev;
    int32_t correlation;
    int16_t sent_version;
    struct flv_timer timer;
};

/* Hears about the connection, and wants it to exist while attached. */
struct flv__peer_listener {
    void (*up)(struct flv__peer_listener *l);
    /* An attempt failed or the connection broke (calls have been completed
     * before). Another attempt follows. */
    void (*down)(struct flv__peer_listener *l, const struct flv_err *err);
    struct flv__peer_listener *next, *prev; /* private */
    struct flv__peer *peer;                 /* private */
};

struct flv__peer_conf {
    struct flv_loop *loop;     /* borrowed */
    struct flv_budget *budget; /* borrowed; of frames */
    const char *client_id;     /* borrowed, outlives the peer */
    struct flv_tls *tls;       /* borrowed, outlives the peer; NULL: plain */
    const char *tls_name;      /* copied: of the certificate; NULL: host */
    enum flv_wire_side side;
    uint32_t connect_timeout_ms, answer_timeout_ms, stall_timeout_ms;
    uint32_t retry_min_ms, retry_max_ms;
    uint32_t quiet_ms; /* of silence, before and after the question; 0: any */
};

FLV_CHECKED flv_rc flv__peer_create(struct flv__peer **out,
                                    const struct flv__peer_conf *conf,
                                    const char *host,
                                    uint16_t port,
                                    struct flv_err *err);
/* Used by the next attempt; a connection to the old address is dropped. */
FLV_CHECKED flv_rc flv__peer_move(struct flv__peer *p,
                                  const char *host,
                                  uint16_t port,
                                  struct flv_err *err);
/* Completes all calls with FLV_E_CANCELED (not from inside this call), frees
 * itself, then calls closed. Listeners have to be detached by then. */
void flv__peer_close(struct flv__peer *p,
                     void (*closed)(void *user),
                     void *user);

/* "127.0.0.1:9003" */
const char *flv__peer_address(const struct flv__peer *p);
bool flv__peer_is_ready(const struct flv__peer *p);
/* Whether the server lists the key; false when not connected. */
bool flv__peer_lists(const struct flv__peer *p, uint16_t api);
/* Of the last handshake, NULL before. */
const char *flv__peer_platform(const struct flv__peer *p);

/* FLV_E_BUSY when too much waits. */
FLV_CHECKED flv_rc flv__peer_call(struct flv__peer *p,
                                  struct flv__call *call,
                                  struct flv_err *err);
/* Takes the call back: neither answer nor done run any more, also from inside
 * them; a late answer is dropped. Nothing happens to an idle call. */
void flv__peer_cancel(struct flv__call *call);
/* Gives the connection up (a peer that breaks the protocol); every call
 * completes later in this turn. */
void flv__peer_drop(struct flv__peer *p, const struct flv_err *err);

void flv__peer_listen(struct flv__peer *p, struct flv__peer_listener *l);
void flv__peer_unlisten(struct flv__peer_listener *l);

#endif
