/*
 * err.h - how every fallible function of fluvio-c reports.
 *
 * Purpose    A return code for the machine, a struct for the person. Zero is
 *            success. A fallible function takes a last `struct flv_err *err`,
 *            which may be NULL, and leaves its outputs untouched on failure.
 * Threads    A struct flv_err belongs to one thread at a time.
 * Ownership  The caller's stack. Reporting never allocates, so that running
 *            out of memory can be reported.
 * Classes    Retry loops branch on the class, never on single codes.
 */
#ifndef FLUVIO_ERR_H
#define FLUVIO_ERR_H

#include <stddef.h>
#include <stdint.h>

/* X(name, class, text). The order is not stable; names are. */
#define FLV_RC_MAP(X)                                                          \
    X(OK, OK, "success")                                                       \
    X(NOMEM, RETRY, "out of memory")                                           \
    X(TIMEOUT, RETRY, "timed out")                                             \
    X(CONNECT, RETRY, "cannot connect")                                        \
    X(CLOSED, RETRY, "connection closed")                                      \
    X(BUSY, RETRY, "busy")                                                     \
    X(NOSPACE, RETRY, "no space left")                                         \
    X(CANCELED, CALLER, "canceled")                                            \
    X(INVALID, CALLER, "invalid")                                              \
    X(USAGE, CALLER, "usage error")                                            \
    X(LIMIT, CALLER, "limit exceeded")                                         \
    X(NOT_FOUND, CALLER, "not found")                                          \
    X(EXISTS, CALLER, "already exists")                                        \
    X(UNSUPPORTED, CALLER, "not supported")                                    \
    X(REFUSED, CALLER, "refused by the server")                                \
    X(PROTOCOL, FATAL, "protocol violated by the peer")                        \
    X(CORRUPT, FATAL, "damaged data")                                          \
    X(POISONED, FATAL, "poisoned by an earlier failure")                       \
    X(LOCKED, FATAL, "locked by another process")                              \
    X(IO, FATAL, "input/output error")

#define FLV_RC_ENUM(name, cls, text) FLV_E_##name,
typedef enum flv_rc { FLV_RC_MAP(FLV_RC_ENUM) FLV_RC_COUNT } flv_rc;
#undef FLV_RC_ENUM
#define FLV_OK FLV_E_OK

enum flv_class {
    FLV_CLASS_OK,
    FLV_CLASS_RETRY,  /* the same call may succeed later */
    FLV_CLASS_CALLER, /* the caller has to change something */
    FLV_CLASS_FATAL,  /* a person has to look */
};

#define FLV_ERR_TEXT_MAX 200

struct flv_err {
    flv_rc rc;
    int sys;          /* errno of the failed call, else 0 */
    int wire;         /* Fluvio error code sent by a server, else 0 */
    int line;         /* where the error was first raised */
    const char *file; /* borrowed, static */
    /* One sentence, cut to fit; control characters are blanks. */
    char text[FLV_ERR_TEXT_MAX];
};

#define FLV_CHECKED __attribute__((warn_unused_result))
#define FLV_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The static name ("NOMEM") and text ("out of memory") of a code. */
const char *flv_rc_name(flv_rc rc);
const char *flv_rc_text(flv_rc rc);
enum flv_class flv_rc_class(flv_rc rc);

/* Fills *err (unless NULL) and returns rc, so that a failure is one line:
 *     return flv_fail(err, FLV_E_LIMIT, "frame of %u bytes", size);
 * flv_fail_sys also stores errno value `sys` and appends its text. */
#define flv_fail(err, rc, ...) flv_fail_sys((err), (rc), 0, __VA_ARGS__)
/* The code itself is the value, so that compiler and analyzer see that a
 * failure is never FLV_OK. */
#define flv_fail_sys(err, rc, sys, ...)                                        \
    (flv_err_raise((err), (rc), (sys), __FILE__, __LINE__, __VA_ARGS__),       \
     flv__rc(rc))
static inline flv_rc flv__rc(flv_rc rc)
{
    return rc;
}
void flv_err_raise(struct flv_err *err,
                   flv_rc rc,
                   int sys,
                   const char *file,
                   int line,
                   const char *fmt,
                   ...) FLV_PRINTF(6, 7);

/* Puts "prefix: " in front of the text on the way up; cuts at the end. */
void flv_err_prefix(struct flv_err *err, const char *fmt, ...) FLV_PRINTF(2, 3);

/* Puts a text behind the text; cuts at the end. */
void flv_err_suffix(struct flv_err *err, const char *text);

/* Back to success. */
void flv_err_clear(struct flv_err *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
