/*
 * process.h - a program run to its end, its output collected.
 *
 * Purpose    Starts a program in a process group of its own, reads what it
 *            prints up to a ceiling, waits for its end up to a time limit, and
 *            leaves nothing of its group behind. For short questions to other
 *            programs, not for what has to live on.
 * Threads    Loop thread only.
 * Ownership  The configuration is borrowed for the call of flv_process_run();
 *            descriptors in it stay the caller's. The result belongs to the
 *            process and is gone when the callback returns.
 * Errors     FLV_E_NOT_FOUND, FLV_E_IO: it cannot be started; `done` is not
 *            called then. What happened to one that started is in the result.
 * Units      ms, bytes.
 * See        tests/unit/loop/test_process.c
 */
#ifndef FLV_LOOP_PROCESS_H
#define FLV_LOOP_PROCESS_H

#include "base/bytes.h"
#include "loop/loop.h"

#define FLV_PROCESS_FDS_MAX 4

struct flv_process; /* one that runs */

struct flv_process_conf {
    const char *program;     /* a path */
    const char *const *argv; /* ends with NULL; argv[0] included */
    const char *const *env;  /* NAME=VALUE, ends with NULL; NULL: inherited */
    /* The child finds fds[i] as descriptor 3 + i; the rest is closed. */
    int fds[FLV_PROCESS_FDS_MAX];
    size_t fd_count;
    size_t out_bytes_max; /* of each of its two outputs; more ends it */
    uint32_t timeout_ms;  /* longer ends it, too */
};

enum flv_process_end {
    FLV_PROCESS_EXITED,   /* status */
    FLV_PROCESS_SIGNALED, /* status is the signal's number */
    FLV_PROCESS_TIMEOUT,
    FLV_PROCESS_FLOOD, /* printed more than was allowed */
    FLV_PROCESS_CANCELED,
};

struct flv_process_result {
    enum flv_process_end end;
    int status;
    const char *out; /* NUL-terminated; may hold NUL bytes */
    size_t out_len;
    const char *err_out; /* its standard error, likewise */
    size_t err_len;
};

/* Runs exactly once, never from inside flv_process_run(). */
typedef void (*flv_process_done)(void *arg,
                                 const struct flv_process_result *result);

FLV_CHECKED flv_rc flv_process_run(struct flv_loop *loop,
                                   const struct flv_process_conf *conf,
                                   flv_process_done done,
                                   void *arg,
                                   struct flv_process **out,
                                   struct flv_err *err);
/* Ends it now: `done` comes with FLV_PROCESS_CANCELED. Valid until `done`. */
void flv_process_cancel(struct flv_process *p);

/* "ended with code 3", "was ended by signal 9 (Killed)", "did not answer within
 * 2s": what a sentence needs behind the program's name. */
void flv_process_say(const struct flv_process_result *result,
                     uint32_t timeout_ms,
                     char *out,
                     size_t size);

#endif
