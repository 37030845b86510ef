/*
 * net_priv.h - what the files behind net.h share.
 *
 * Purpose    The struct of a connection, how listener and connector make one,
 *            and the lookup of names. Nobody outside the room includes this.
 * Threads    The loop's thread; flv__lookup works on a thread of its own.
 */
#ifndef FLV_LOOP_NET_PRIV_H
#define FLV_LOOP_NET_PRIV_H

#include <netdb.h>
#include <uv.h>

#include "loop/loop_priv.h"
#include "loop/net.h"

struct flv_conn;
struct flv__tls; /* net_tls.c */

/* What stands between a connection and its socket, where something does.
 * Called through this table only, so that a program that makes no TLS does
 * not carry it. */
struct flv__layer {
    /* Bytes from the socket. */
    void (*received)(struct flv_conn *conn, const uint8_t *data, size_t n);
    /* The socket ended (0) or broke (a negative code of libuv). */
    void (*ended)(struct flv_conn *conn, int uv);
    /* Something waits to be written, or the last write is over. */
    void (*pump)(struct flv_conn *conn);
    void (*written)(struct flv_conn *conn);
    /* A reader goes on: there may be bytes without the socket's help. */
    void (*resume)(struct flv_conn *conn);
    /* Our half is about to end. */
    void (*goodbye)(struct flv_conn *conn);
    void (*destroy)(struct flv_conn *conn);
    /* Whom the other side has shown to be, or NULL. */
    const char *(*peer_name)(const struct flv_conn *conn);
};

struct flv_conn {
    uv_tcp_t tcp;
    uv_write_t write_req;
    uv_connect_t connect_req;
    uv_shutdown_t shutdown_req;
    struct flv_loop *loop; /* borrowed */
    void *user;            /* borrowed */
    void *attempt;         /* borrowed: who connects, or NULL */

    const struct flv__layer *layer;      /* or NULL: plain */
    struct flv__tls *tls;                /* owned, the layer's */
    struct flv_reader *reader;           /* borrowed, or NULL */
    struct flv_reader discard;           /* of a gentle close */
    struct flv_write *head, *tail;       /* borrowed: waiting, in order */
    struct flv_write *over, **over_tail; /* borrowed: `done` to come */
    struct flv_task flush;               /* delivers what is over */
    struct flv_task send;                /* pumps, at the end of the turn */
    size_t pending_bytes;
    size_t flying_bytes; /* with the kernel's stream, write_req is busy */

    void (*closed)(void *ctx);
    void *closed_ctx;
    struct flv_timer linger;
    struct flv_err err;
    uint64_t active_ms;
    char peer[FLV_ADDRESS_MAX], local[FLV_ADDRESS_MAX];
    bool reading; /* somebody wants bytes */
    bool ended, broken, closing, gentle, shut;
};

/* A connection without a socket yet; NULL when out of memory. */
struct flv_conn *flv__conn_create(struct flv_loop *loop);
/* After accept or connect: options and addresses. */
void flv__conn_opened(struct flv_conn *conn);

/* --- for a layer -----------------------------------------------------------
 */

#define FLV_NET_PARTS_AT_ONCE 64
/* The front of the queue of writes, and its bytes. */
unsigned flv__conn_gather(const struct flv_conn *conn,
                          uv_buf_t bufs[FLV_NET_PARTS_AT_ONCE],
                          size_t *out_bytes);
/* n bytes of the queue are with the kernel. */
void flv__conn_consume(struct flv_conn *conn, size_t n);
/* Reads from the socket though nobody wants bytes yet. */
int flv__conn_listen(struct flv_conn *conn);
/* Writes now what the socket takes; the rest flies until `written`. False: the
 * connection broke. */
bool flv__conn_send(struct flv_conn *conn, const uint8_t *data, size_t n);
void flv__conn_write_failed(struct flv_conn *conn, int uv);
/* The same with a sentence of the layer's own. */
void flv__conn_break(struct flv_conn *conn, const struct flv_err *err);
/* The reader's end: FLV_OK or why. */
void flv__conn_read_over(struct flv_conn *conn, flv_rc rc);
void flv__conn_end_gently(struct flv_conn *conn);

/* "127.0.0.1:80", "[::1]:80" */
void flv__net_address(const struct sockaddr *addr, char out[FLV_ADDRESS_MAX]);
/* Numeric addresses and "localhost", without asking anybody; false when the
 * name needs a lookup. out has room for two; the number comes back. */
#define FLV_NET_KNOWN_MAX 2
size_t flv__net_known(const char *host,
                      uint16_t port,
                      struct sockaddr_storage out[FLV_NET_KNOWN_MAX]);

/* One name being looked up on its own short-lived thread, so that a name
 * server that does not answer holds up neither loop nor exit. */
struct flv__lookup;
FLV_CHECKED flv_rc flv__lookup_start(struct flv__lookup **out,
                                     struct flv_loop *loop,
                                     const char *host,
                                     void (*found)(void *ctx,
                                                   int gai,
                                                   const struct addrinfo *list),
                                     void *ctx,
                                     struct flv_err *err);
/* `found` does not run after this. */
void flv__lookup_cancel(struct flv__lookup *l);

#endif
