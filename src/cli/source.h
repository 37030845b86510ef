/*
 * source.h - input that never blocks the loop.
 *
 * Purpose    A worker reads a descriptor piece by piece while the loop works
 *            on the piece before, and lines are cut from it.
 * Threads    The loop's thread; the read itself runs on a worker and may
 *            block for ever (a terminal): a source that is busy must not be
 *            deinitialised, the program leaves instead.
 * Ownership  The source owns its buffers and its worker, and borrows the loop.
 * Errors     A failed read ends the input; sys holds the errno.
 * Units      At most two pieces and one line are held.
 */
#ifndef FLV_CLI_SOURCE_H
#define FLV_CLI_SOURCE_H

#include "base/bytes.h"
#include "loop/loop.h"
#include "loop/pool.h"

#define CLI_SOURCE_PIECE_BYTES ((size_t)256 << 10)

struct cli_source {
    struct flv_pool *pool; /* owned */
    struct flv_work work;
    int fd;              /* borrowed */
    uint8_t *next;       /* owned; filled by the worker */
    uint8_t *piece;      /* owned; being cut into lines */
    size_t next_len;     /* set by the worker */
    size_t len, pos;     /* of piece */
    struct flv_buf line; /* owned; the front of a line of several pieces */
    bool line_given;     /* line was handed out and is to be forgotten */
    bool busy;           /* a read runs */
    bool ready;          /* `next` holds a piece */
    bool eof;            /* nothing comes behind `next` */
    int sys;             /* errno of a failed read */
    void (*filled)(void *user); /* a read ended */
    void *user;
};

FLV_CHECKED flv_rc cli_source_init(struct cli_source *s,
                                   struct flv_loop *loop,
                                   int fd,
                                   size_t line_max,
                                   struct flv_err *err);
void cli_source_deinit(struct cli_source *s);

enum cli_line {
    CLI_LINE_GOT,      /* *out is a line without its line feed */
    CLI_LINE_WAIT,     /* call again after `filled` */
    CLI_LINE_END,      /* the input is at its end, or failed (sys) */
    CLI_LINE_TOO_LONG, /* longer than line_max; do not call again */
};
/* The line is valid until the next call. A last line without a line feed
 * counts. */
enum cli_line cli_source_line(struct cli_source *s, struct flv_slice *out);

/* The same for as many lines as can be had without reading on, at least one:
 * *out_count of them, at most max. */
enum cli_line cli_source_lines(struct cli_source *s,
                               struct flv_slice *out,
                               size_t max,
                               size_t *out_count);

/* Everything up to the end as one text. */
enum cli_line cli_source_all(struct cli_source *s, struct flv_slice *out);

#endif
