/*
 * commits.h - stored offsets of `consume --consumer ID`.
 *
 * Purpose    Remembers per partition what was handed to the output, and stores
 *            on the server what the output has really taken: every 2 s and at
 *            the end.
 * Threads    The loop's thread.
 * Ownership  Borrows loop and consumer between start and stop. A zeroed one
 *            is idle: every call does nothing.
 * Errors     `failed` hears of each store that ended, with NULL on success.
 */
#ifndef FLV_CLI_COMMITS_H
#define FLV_CLI_COMMITS_H

#include "loop/loop.h"

#include <fluvio/client.h>

struct cli_commit; /* one partition */

struct cli_commits {
    struct flv_loop *loop;         /* borrowed; NULL: idle */
    struct flv_consumer *consumer; /* borrowed */
    struct flv_timer timer;
    struct cli_commit *list; /* owned */
    size_t count, cap;
    size_t pending; /* stores on their way */
    flv_done_fn ended;
    void *user;
};

FLV_CHECKED flv_rc cli_commits_start(struct cli_commits *c,
                                     struct flv_loop *loop,
                                     struct flv_consumer *consumer,
                                     flv_done_fn ended,
                                     void *user,
                                     struct flv_err *err);
/* Nothing may be pending, or the consumer is closed. */
void cli_commits_stop(struct cli_commits *c);

/* `offset` is the last one handed to the output. */
void cli_commits_note(struct cli_commits *c,
                      uint32_t partition,
                      int64_t offset);
/* The output took everything that was noted. */
void cli_commits_written(struct cli_commits *c);
/* Stores what is not stored yet. */
void cli_commits_flush(struct cli_commits *c);
bool cli_commits_are_pending(const struct cli_commits *c);

#endif
