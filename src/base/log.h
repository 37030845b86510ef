/*
 * log.h - log lines, one record per line.
 *
 * Purpose    Lines such as
 *            2026-01-01T00:00:00.000Z level=info target=store msg="opened"
 *            topic=cats offset=17
 *            (all on one line) for people, grep and log shippers. Only
 *            programs log; libraries return errors.
 * Threads    Logging: any thread; a line is one write(2). Set-up: before other
 *            threads start.
 * Ownership  Keys and values are borrowed during the call.
 * Errors     A line that cannot be written at once (full pipe, closed fd) is
 *            dropped and counted; logging never blocks and never fails. The
 *            next line that gets through says how many were lost.
 * Units      A line has at most FLV_LOG_LINE_MAX bytes; longer values are cut.
 */
#ifndef FLV_BASE_LOG_H
#define FLV_BASE_LOG_H

#include <fluvio/err.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define FLV_LOG_LINE_MAX 4096

enum flv_level {
    FLV_LEVEL_OFF,
    FLV_LEVEL_ERROR,
    FLV_LEVEL_WARN,
    FLV_LEVEL_INFO,
    FLV_LEVEL_DEBUG,
    FLV_LEVEL_TRACE,
};

enum flv_kv_kind {
    FLV_KV_KIND_END,
    FLV_KV_KIND_STR,
    FLV_KV_KIND_SLICE,
    FLV_KV_KIND_U64,
    FLV_KV_KIND_I64,
    FLV_KV_KIND_BOOL,
};

struct flv_kv {
    const char *key;
    enum flv_kv_kind kind;
    union {
        const char *str; /* NULL is written as null */
        struct flv_slice slice;
        uint64_t u64;
        int64_t i64;
        bool truth;
    } v;
};

/* clang-format off */
#define FLV_KV_STR(k, x)                                                       \
    ((struct flv_kv){.key = (k), .kind = FLV_KV_KIND_STR, .v.str = (x)})
#define FLV_KV_SLICE(k, x)                                                     \
    ((struct flv_kv){.key = (k), .kind = FLV_KV_KIND_SLICE, .v.slice = (x)})
#define FLV_KV_U64(k, x)                                                       \
    ((struct flv_kv){.key = (k), .kind = FLV_KV_KIND_U64, .v.u64 = (x)})
#define FLV_KV_I64(k, x)                                                       \
    ((struct flv_kv){.key = (k), .kind = FLV_KV_KIND_I64, .v.i64 = (x)})
#define FLV_KV_BOOL(k, x)                                                      \
    ((struct flv_kv){.key = (k), .kind = FLV_KV_KIND_BOOL, .v.truth = (x)})
/* error="the sentence" of a struct flv_err * */
#define FLV_KV_ERR(e) FLV_KV_STR("error", (e)->text)
#define FLV_KV_END ((struct flv_kv){.kind = FLV_KV_KIND_END})
/* clang-format on */

/* flv_log_info("store", "opened", FLV_KV_STR("topic", t), ...): target and
 * message are static texts; any number of FLV_KV_ values follows. Arguments
 * are not evaluated when the level is off for the target. */
#define flv_log_error(target, ...)                                             \
    FLV_LOG_AT(FLV_LEVEL_ERROR, target, __VA_ARGS__)
#define flv_log_warn(target, ...)                                              \
    FLV_LOG_AT(FLV_LEVEL_WARN, target, __VA_ARGS__)
#define flv_log_info(target, ...)                                              \
    FLV_LOG_AT(FLV_LEVEL_INFO, target, __VA_ARGS__)
#define flv_log_debug(target, ...)                                             \
    FLV_LOG_AT(FLV_LEVEL_DEBUG, target, __VA_ARGS__)
#define flv_log_trace(target, ...)                                             \
    FLV_LOG_AT(FLV_LEVEL_TRACE, target, __VA_ARGS__)
#define FLV_LOG_AT(level, target, ...)                                         \
    do {                                                                       \
        if (flv_log_on((level), (target))) {                                   \
            flv_log_line((level), (target), __VA_ARGS__, FLV_KV_END);          \
        }                                                                      \
    } while (0)

/* A RUST_LOG-style spec: a level for all, and TARGET=LEVEL for single targets
 * and those below them ("store" also rules "store::index" and "store.index").
 * The longest matching target wins. Default: "info". Nothing changes on
 * failure. */
FLV_CHECKED flv_rc flv_log_setup(const char *spec, struct flv_err *err);
/* Where lines go; 2 at first. The descriptor stays the caller's. */
void flv_log_set_fd(int fd);
/* Lines dropped so far. */
uint64_t flv_log_dropped(void);

bool flv_log_on(enum flv_level level, const char *target);
/* Use the macros above. Values are struct flv_kv, the last is FLV_KV_END. */
void flv_log_line(enum flv_level level,
                  const char *target,
                  const char *msg,
                  ...);

#endif
