/*
 * watch.h - a descriptor of somebody else's, watched by the loop.
 *
 * Purpose    For what is neither TCP nor a timer: pipes, unix sockets, process
 *            descriptors, the descriptor of a foreign library's own poll.
 * Threads    The loop's thread.
 * Ownership  The descriptor stays the caller's and may be closed as soon as
 *            flv_watch_close() has returned. It is set to be non-blocking. A
 *            watch keeps flv_loop_run() from returning.
 * Errors     FLV_E_IO: the kernel cannot watch such a descriptor.
 */
#ifndef FLV_LOOP_WATCH_H
#define FLV_LOOP_WATCH_H

#include <fluvio/err.h>

#include "loop/loop.h"

struct flv_watch;

enum {
    FLV_WATCH_READ = 1 << 0,
    FLV_WATCH_WRITE = 1 << 1,
};

/* `ready` runs in every turn in which one of the events holds, or the
 * descriptor is broken (then with all that were asked for); it may close the
 * watch. */
FLV_CHECKED flv_rc flv_watch_open(struct flv_watch **out,
                                  struct flv_loop *loop,
                                  int fd,
                                  unsigned events,
                                  void (*ready)(void *ctx, unsigned events),
                                  void *ctx,
                                  struct flv_err *err);
/* Other events from now on; 0: none. */
void flv_watch_set(struct flv_watch *w, unsigned events);
/* `ready` does not run after this. NULL is allowed. */
void flv_watch_close(struct flv_watch *w);

#endif
