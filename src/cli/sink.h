/*
 * sink.h - output that never blocks the loop.
 *
 * Purpose    Collects text and has a worker write it to a descriptor: while
 *            one buffer is written the other is filled. What is collected is
 *            handed over at the end of the loop's turn, so no line waits for
 *            the next one.
 * Threads    The loop's thread; the write itself runs on a worker.
 * Ownership  The sink owns its buffers and its worker, and borrows the loop.
 * Errors     The first failed write ends the sink: `failed` is called once,
 *            later text is dropped.
 */
#ifndef FLV_CLI_SINK_H
#define FLV_CLI_SINK_H

#include "base/bytes.h"
#include "loop/loop.h"
#include "loop/pool.h"

/* Above this much waiting text the filler should pause. */
#define CLI_SINK_HIGH_BYTES ((size_t)1 << 20)
#define CLI_SINK_BYTES_MAX ((size_t)512 << 20)

struct cli_sink {
    struct flv_loop *loop; /* borrowed */
    struct flv_pool *pool; /* owned */
    struct flv_work work;
    struct flv_task task;
    struct flv_buf filling, writing; /* owned */
    int fd;                          /* borrowed */
    int sys;                         /* errno of the first failure */
    bool busy;                       /* a write runs */
    /* Called on the loop after each write: the sink has room again, or it
     * failed (sys != 0). */
    void (*written)(void *user);
    void *user;
};

FLV_CHECKED flv_rc cli_sink_init(struct cli_sink *s,
                                 struct flv_loop *loop,
                                 int fd,
                                 struct flv_err *err);
/* Blocks until a running write ends. */
void cli_sink_deinit(struct cli_sink *s);

/* Call after text was added to s->filling. */
void cli_sink_kick(struct cli_sink *s);
bool cli_sink_is_full(const struct cli_sink *s);
/* Nothing collected, nothing being written. */
bool cli_sink_is_idle(const struct cli_sink *s);

#endif
