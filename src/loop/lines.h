/*
 * lines.h - a channel of text lines over a descriptor.
 *
 * Purpose    Splits what arrives at line feeds and sends whole lines, both
 *            within ceilings. For talks between processes of one machine.
 * Threads    The loop's thread.
 * Ownership  Owns the descriptor from a successful open on. Lines are borrowed
 *            for the callback.
 * Errors     A line above the ceiling, an input error or the end of the peer
 *            ends the channel: `end` runs once, and it still has to be closed.
 */
#ifndef FLV_LOOP_LINES_H
#define FLV_LOOP_LINES_H

#include "base/bytes.h"
#include "loop/loop.h"

struct flv_lines;

struct flv_lines_conf {
    int fd;             /* a socket or a pipe; taken */
    size_t line_max;    /* bytes of a line that arrives, without its feed */
    size_t pending_max; /* bytes that wait to be sent */
    /* Without the line feed. May close the channel. */
    void (*line)(void *ctx, struct flv_slice line);
    /* err NULL: the peer closed. May close the channel. */
    void (*end)(void *ctx, const struct flv_err *err);
    void *ctx;
};

/* On failure the descriptor stays the caller's. */
FLV_CHECKED flv_rc flv_lines_open(struct flv_lines **out,
                                  struct flv_loop *loop,
                                  const struct flv_lines_conf *conf,
                                  struct flv_err *err);
/* Sends the bytes, which hold their line feeds, now or as soon as the peer
 * takes them. FLV_E_BUSY: too much waits, nothing was sent. FLV_E_CLOSED: the
 * channel has ended. */
FLV_CHECKED flv_rc flv_lines_send(struct flv_lines *l,
                                  struct flv_slice lines,
                                  struct flv_err *err);
/* Drops what waits; no callback runs after this. NULL is allowed. */
void flv_lines_close(struct flv_lines *l);

#endif
