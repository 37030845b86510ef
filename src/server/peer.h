/*
 * peer.h - one client connection, of either service.
 *
 * Purpose    Cuts requests off the stream, sends answers, bounds what one
 *            client may have in flight. Knows headers, not bodies.
 *
 *                frames -> serve(peer, request) --hold--> work elsewhere
 *                                                            |
 *                socket <- write <- encode <---- answer -----+
 *
 *            Answers leave in the order in which they are given, which need
 *            not be that of the requests.
 * Threads    Loop thread only.
 * Ownership  A peer is counted: by its connection, by each token, by each
 *            write and by whoever calls ref. A peer without connection
 *            (closed) stays until the last of them is gone; answers to it
 *            are dropped.
 * Errors     What a client does wrong ends its connection, with a log line
 *            at info that names the peer and the reason.
 * See        tests/unit/server/test_server.c, test_hostile.c
 */
#ifndef FLV_SERVER_PEER_H
#define FLV_SERVER_PEER_H

#include "base/bytes.h"
#include "base/chunk.h"
#include "loop/frame.h"
#include "loop/net.h"
#include "server/policy.h"
#include "wire/api.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct flv_server;
struct flv_stream;
struct flv_watch;
struct flv_produce_wait;
struct flv_cpu_job;

struct flv_peer {
    struct flv_server *server; /* borrowed */
    enum flv_wire_side side;
    struct flv_conn *conn; /* NULL: closed */
    struct flv_frames frames;
    uint32_t refs;
    uint32_t in_flight; /* tokens */
    bool paused, draining;
    char *who; /* owned: the name in its certificate, where rules ask for it */
    uint32_t next_stream_id, stream_count, watch_count;
    LIST_HEAD(, flv_stream) streams; /* see stream.h */
    LIST_HEAD(, flv_watch) watches;  /* see watch.h */
    /* Produce requests behind one whose records pass SmartModules; see
     * produce.c. */
    STAILQ_HEAD(, flv_produce_wait) produce_line;
    struct flv_cpu_job *producing; /* of that one; NULL: none */
    bool produce_serving;
    LIST_ENTRY(flv_peer) link;
};

/* Clients on one port that have not agreed on TLS yet. */
#define FLV_SHAKING_MAX 128

/* A request while it is being served. All borrowed for the call. */
struct flv_request {
    struct flv_peer *peer;
    struct flv_wire_request_header head;
    struct flv_slice body;
    struct flv_chunk *frame; /* holds head and body */
};

/* Takes the accepted connection and begins to read. */
void flv_peer_accept(struct flv_server *server,
                     enum flv_wire_side side,
                     struct flv_conn *conn);
struct flv_peer *flv_peer_ref(struct flv_peer *p);
void flv_peer_unref(struct flv_peer *p);
static inline bool flv_peer_is_closed(const struct flv_peer *p)
{
    return p->conn == NULL;
}

/* Whether the policy lets this client do that with a topic or SmartModule; a
 * refusal goes to the log. */
bool flv_peer_may(const struct flv_peer *p,
                  enum flv_right right,
                  struct flv_slice name);

/* Ends the connection at once; why goes to the log. Safe at any time. */
void flv_peer_close(struct flv_peer *p, const char *why);
/* No further request is read (the server stops). */
void flv_peer_drain(struct flv_peer *p);
/* Writes what is pending, then ends the connection. */
void flv_peer_close_gently(struct flv_peer *p, uint64_t linger_ms);

/* The right to one answer. */
struct flv_token {
    struct flv_peer *peer;               /* counted */
    struct flv_wire_request_header head; /* without client_id */
    /* Taken from the answers' budget beforehand, for a large answer; goes
     * over to it or, without one, back. */
    size_t charge;
};
struct flv_token flv_peer_hold(const struct flv_request *r);
/* Sends the answer (schema, body, label: see wire/api.h) and gives the token
 * back. The body is encoded before this returns. */
void flv_token_answer(struct flv_token *t,
                      const struct flv_wire_schema *schema,
                      const void *body,
                      const char *label);
/* Gives it back without an answer. */
void flv_token_drop(struct flv_token *t);

/* A frame outside of question and answer (watches). head tells version and
 * correlation. False: the peer is closed, or was closed for want of memory. */
bool flv_peer_push(struct flv_peer *p,
                   const struct flv_wire_request_header *head,
                   const struct flv_wire_message *message);
/* Bytes that the kernel has not taken yet. */
size_t flv_peer_backlog(const struct flv_peer *p);

#endif
