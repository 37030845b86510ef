/*
 * net.h - TCP: listeners and connections.
 *
 * Purpose    Moves bytes; accepted and connected ends are the same struct
 *            flv_conn. Names are resolved off the loop, on threads of this
 *            room's own.
 * Threads    The loop's thread.
 * Ownership  flv_listener and flv_conn are heap objects which free themselves
 *            behind their `closed` callback; from flv_*_close() on only that
 *            callback may be awaited. Embedded requests and readers are the
 *            caller's, borrowed as stated.
 * Errors     Callbacks get an flv_rc; flv_conn_error() has the sentence.
 *            FLV_E_CONNECT, FLV_E_TIMEOUT, FLV_E_CLOSED, FLV_E_IO,
 *            FLV_E_CANCELED.
 * Calls      No callback ever runs from inside the function that asked for
 *            it. Every accepted request completes exactly once.
 * TLS        Sits between flv_conn and its socket where a struct flv_tls is
 *            given; nothing else changes for those who read and write.
 */
#ifndef FLV_LOOP_NET_H
#define FLV_LOOP_NET_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "loop/loop.h"

struct flv_conn;
struct flv_listener;
struct flv_tls; /* loop/tls.h */

#define FLV_ADDRESS_MAX 80 /* "[address]:port" and its NUL */

/* Splits "host", "host:port", "[v6]:port"; port_default where none is given
 * (0: one must be given). out_host has host_max bytes. */
FLV_CHECKED flv_rc flv_net_split(const char *text,
                                 uint16_t port_default,
                                 char *out_host,
                                 size_t host_max,
                                 uint16_t *out_port,
                                 struct flv_err *err);
/* True for 127.0.0.0/8, ::1 and "localhost". */
bool flv_net_is_loopback(const char *host);

/* ---- Listener ---------------------------------------------------------- */

struct flv_listen_conf {
    const char *host; /* name or address; "0.0.0.0", "::" for all */
    uint16_t port;    /* 0: any free one */
    int backlog;      /* 0: 1024 */
    /* Borrowed until closed; NULL: plain. Who does not agree on it in time is
     * turned away before `accepted`; so is the longest waiting one when more
     * than tls_waiting_max (0: 1,000) are about it. */
    struct flv_tls *tls;
    uint32_t tls_timeout_ms; /* 0: 10,000 */
    uint32_t tls_waiting_max;
    /* Takes the connection; it reads nothing before flv_conn_read_start(). */
    void (*accepted)(void *ctx, struct flv_conn *conn);
    void *ctx;
};

/* Blocks while a name is resolved: for start-up. The error names address and
 * reason ("port 9003 of 127.0.0.1 is in use by another program"). */
FLV_CHECKED flv_rc flv_listener_open(struct flv_listener **out,
                                     struct flv_loop *loop,
                                     const struct flv_listen_conf *conf,
                                     struct flv_err *err);
uint16_t flv_listener_port(const struct flv_listener *l);
const char *flv_listener_address(const struct flv_listener *l); /* borrowed */
/* Other rules for connections from now on; only where there were some. Who
 * had not agreed on the old ones yet is turned away. */
void flv_listener_set_tls(struct flv_listener *l, struct flv_tls *tls);
/* closed may be NULL. No connection is accepted any more. */
void flv_listener_close(struct flv_listener *l,
                        void (*closed)(void *ctx),
                        void *ctx);

/* ---- Connecting -------------------------------------------------------- */

struct flv_connect {
    struct flv_tls *tls; /* borrowed until closed; NULL: plain */
    const char *host;    /* copied; name or address */
    const char *name; /* borrowed until done: of the certificate; NULL: host */
    uint16_t port;    /* 1..65535 */
    uint64_t timeout_ms;     /* for all of it: name, addresses, TLS; > 0 */
    uint64_t tls_timeout_ms; /* not 0: for TLS alone, which is not part of
                              * timeout_ms then */
    /* rc FLV_OK: conn is connected and yours. Else conn is NULL and err
     * (borrowed) says why: FLV_E_CONNECT, FLV_E_TIMEOUT, FLV_E_CANCELED; with
     * TLS also FLV_E_REFUSED (certificate) and FLV_E_PROTOCOL. */
    void (*done)(struct flv_connect *c,
                 flv_rc rc,
                 struct flv_conn *conn,
                 const struct flv_err *err);
    void *attempt; /* private */
};

/* c is embedded by the caller and borrowed until `done`, which always runs
 * later, once. All addresses of a name are tried in order. */
FLV_CHECKED flv_rc flv_connect_start(struct flv_connect *c,
                                     struct flv_loop *loop,
                                     struct flv_err *err);
/* `done` comes soon with FLV_E_CANCELED, unless it was already under way. */
void flv_connect_cancel(struct flv_connect *c);

/* ---- Reading ----------------------------------------------------------- */

/* Takes a connection's bytes; embedded by the user. */
struct flv_reader {
    /* Where the next bytes go, at least 1: the memory stays good until `data`
     * runs. NULL stops reading until flv_conn_read_start(). */
    void *(*space)(struct flv_reader *r, size_t *out_size);
    /* n > 0 bytes were put at the start of that space. */
    void (*data)(struct flv_reader *r, size_t n);
    /* FLV_OK: the peer ended its half; else the connection broke. Nothing
     * more is read; the connection still has to be closed. */
    void (*end)(struct flv_reader *r, flv_rc rc);
};

/* Starts or goes on; r is borrowed until stop, end or close. */
void flv_conn_read_start(struct flv_conn *conn, struct flv_reader *r);
/* No callback of the reader runs after this, until started again. */
void flv_conn_read_stop(struct flv_conn *conn);
bool flv_conn_reading(const struct flv_conn *conn);
/* 64 KiB of the loop's own, for a reader's `space`: valid until its `data`
 * returns. */
void *flv_conn_scratch(struct flv_conn *conn, size_t *out_size);

/* ---- Writing ----------------------------------------------------------- */

#define FLV_WRITE_INLINE 4

/* One write, embedded by the caller. */
struct flv_write {
    void (*done)(struct flv_write *w, flv_rc rc);
    struct flv_write *next;                 /* private */
    const struct flv_slice *parts;          /* private */
    size_t count, part, pos;                /* private */
    flv_rc rc;                              /* private */
    struct flv_slice few[FLV_WRITE_INLINE]; /* private */
};

/* Queues the parts, in order. w and the bytes stay borrowed until `done`; so
 * does the array of parts when count > FLV_WRITE_INLINE. They are written at
 * the end of the loop's turn, together with what else is queued by then: many
 * small answers cost one call, one packet, and one waking of the other side.
 * `done`: FLV_OK when all bytes were handed to the
 * kernel, FLV_E_CLOSED or FLV_E_IO when the connection broke, FLV_E_CANCELED
 * when it was closed before. Writing on a broken connection is allowed and
 * completes with the error. */
void flv_conn_write(struct flv_conn *conn,
                    struct flv_write *w,
                    const struct flv_slice *parts,
                    size_t count,
                    void (*done)(struct flv_write *w, flv_rc rc));
/* Bytes queued and not yet taken by the kernel: the measure for
 * back-pressure. */
size_t flv_conn_write_pending(const struct flv_conn *conn);
/* Bytes of the write under way that the kernel has not taken: changes as long
 * as the other side reads. */
size_t flv_conn_write_queue(const struct flv_conn *conn);

/* ---- The rest ---------------------------------------------------------- */

/* "127.0.0.1:40312"; borrowed, lives as long as the connection. */
const char *flv_conn_peer(const struct flv_conn *conn);
const char *flv_conn_local(const struct flv_conn *conn);
/* The common name in the certificate that the other side showed, NULL if it
 * showed none or has none; borrowed as well. */
const char *flv_conn_peer_name(const struct flv_conn *conn);
struct flv_loop *flv_conn_loop(const struct flv_conn *conn);
/* Why reading or writing failed; text empty when it did not. */
const struct flv_err *flv_conn_error(const struct flv_conn *conn);
/* flv_loop_now_ms() of the last bytes in or out. */
uint64_t flv_conn_active_ms(const struct flv_conn *conn);
/* A pointer of the owner's, for the callbacks. */
void flv_conn_set_user(struct flv_conn *conn, void *user);
void *flv_conn_user(const struct flv_conn *conn);

/* Stops reading, completes pending writes with FLV_E_CANCELED, then calls
 * closed (may be NULL) and frees. Once per connection. */
void flv_conn_close(struct flv_conn *conn,
                    void (*closed)(void *ctx),
                    void *ctx);
/* The same, but first writes what is pending, ends our half, and discards
 * input until the peer ends too, for linger_ms at most: so that a last answer
 * is not lost to a reset. */
void flv_conn_close_gently(struct flv_conn *conn,
                           uint64_t linger_ms,
                           void (*closed)(void *ctx),
                           void *ctx);

#endif
