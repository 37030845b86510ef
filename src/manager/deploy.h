/*
 * deploy.h - where connectors live: the interface of deployers.
 *
 * Purpose    Starts one connector, finds one that runs already, passes
 *            commands on, tells how it is and how it ended. Knows neither
 *            desired states nor restarts. One implementation: child processes
 *            (child.h).
 * Threads    Loop thread only.
 * Ownership  A handle lives from start or adopt until `ended` has returned, or
 *            release. Everything in a spec is borrowed for the call.
 * Errors     FLV_E_LOCKED: one of that name runs already. FLV_E_NOT_FOUND from
 *            adopt: none runs.
 */
#ifndef FLV_MANAGER_DEPLOY_H
#define FLV_MANAGER_DEPLOY_H

#include "base/bytes.h"

#include <sys/types.h>

#define FLV_NAME_MAX 64 /* of a connector, with its NUL */
#define FLV_COUNTS 8    /* enum flv_counter */
#define FLV_OWN_MAX 16
#define FLV_OWN_NAME_MAX 32
#define FLV_STAGES_MAX 18 /* Protocol, Extract, each SmartModule */
#define FLV_STAGE_NAME_MAX 24
#define FLV_STAGE_MODULE_MAX 64
#define FLV_STAGE_COUNTS 4 /* of enum flv_counter, up to FAILED */

struct flv_deploy_spec {
    const char *name;
    const char *program;                  /* path */
    bool control;                         /* it knows the control contract */
    struct flv_slice file;                /* its configuration */
    struct flv_slice secrets;             /* NAME=VALUE lines; empty: none */
    uint64_t memory_bytes_max, files_max; /* 0: unlimited */
};

enum flv_counter {
    FLV_C_IN,
    FLV_C_PASSED,
    FLV_C_FILTERED,
    FLV_C_FAILED,
    FLV_C_OUT,
    FLV_C_ACKED,
    FLV_C_DISCARDED, /* of failed */
    FLV_C_DEAD_LETTERED
};
/* "in", ...: as connectors say it, and as we do. */
extern const char *const flv_counter_names[FLV_COUNTS];

/* A stage that a record goes through. */
struct flv_stage_count {
    char name[FLV_STAGE_NAME_MAX];
    char module[FLV_STAGE_MODULE_MAX]; /* what runs there, or "" */
    uint64_t all[FLV_STAGE_COUNTS];
};

struct flv_counts {
    uint64_t all[FLV_COUNTS];
    struct flv_stage_count stages[FLV_STAGES_MAX]; /* in order */
    size_t stage_count;
    struct {
        char name[FLV_OWN_NAME_MAX];
        uint64_t value;
    } own[FLV_OWN_MAX];
    size_t own_count;
};

enum flv_told_state {
    FLV_TOLD_STARTING,
    FLV_TOLD_RUNNING,
    FLV_TOLD_RETRYING,
    FLV_TOLD_STALLED,
    FLV_TOLD_PAUSED,
    FLV_TOLD_DRAINING,
};

/* What a running connector says of itself. */
struct flv_told {
    enum flv_told_state state;
    uint32_t attempt;
    int64_t next_ms;
    char cause[FLV_ERR_TEXT_MAX];
    char version[40];
    struct flv_counts counts;
};

enum flv_end_reason {
    FLV_END_UNKNOWN, /* nobody saw how; or by the code alone */
    FLV_END_COMPLETED,
    FLV_END_STOPPED, /* on request, after draining */
    FLV_END_FAILED,
    FLV_END_CONFIGURATION, /* it cannot run like this */
    FLV_END_ABORTED,
};

struct flv_ended {
    enum flv_end_reason reason;
    int code;                     /* -1: unknown, or by a signal */
    int signal;                   /* 0: none */
    char cause[FLV_ERR_TEXT_MAX]; /* a sentence; "": it ended well */
    bool has_counts;
    struct flv_counts counts; /* of this run */
};

/* What outlives process and manager: written at once where it lives, without
 * waiting for the disk. */
struct flv_tally {
    uint64_t runs;     /* started so far; 0: never */
    uint64_t restarts; /* of them after an end that nobody asked for */
    bool ended;        /* `base` holds the last run, `end` says how */
    enum flv_end_reason end;
    struct flv_counts base; /* of all ended runs */
    struct flv_counts now;  /* of the one that runs */
};

struct flv_deploy_events {
    void (*told)(void *arg, const struct flv_told *t);
    /* Once; nothing of it lives any more. Never from inside a call. */
    void (*ended)(void *arg, const struct flv_ended *e);
    void *arg;
};

enum flv_deploy_command {
    FLV_DEPLOY_STATUS, /* also a sign of life */
    FLV_DEPLOY_PAUSE,
    FLV_DEPLOY_RESUME,
    FLV_DEPLOY_DRAIN,
    FLV_DEPLOY_REOPEN_LOG,
};

struct flv_deployer; /* of the implementation */
struct flv_deployed; /* one running connector */

struct flv_deployer_ops {
    flv_rc (*start)(struct flv_deployer *d,
                    const struct flv_deploy_spec *spec,
                    const struct flv_deploy_events *events,
                    struct flv_deployed **out,
                    struct flv_err *err);
    flv_rc (*adopt)(struct flv_deployer *d,
                    const char *name,
                    bool control,
                    const struct flv_deploy_events *events,
                    struct flv_deployed **out,
                    struct flv_err *err);
    /* How the last one of that name ended, while nobody looked, in its own
     * words; false: it left none. */
    bool (*last_end)(struct flv_deployer *d,
                     const char *name,
                     struct flv_ended *out);
    /* False: there is none, or it cannot be read. */
    bool (*load)(struct flv_deployer *d,
                 const char *name,
                 struct flv_tally *out);
    void (*save)(struct flv_deployer *d,
                 const char *name,
                 const struct flv_tally *tally);
    /* False: it cannot be told (no control, or it is gone). */
    bool (*command)(struct flv_deployed *p, enum flv_deploy_command cmd);
    /* SIGTERM or SIGKILL, to all of it. */
    void (*signal)(struct flv_deployed *p, int signum);
    pid_t (*pid)(const struct flv_deployed *p);
    /* It goes on without us; no event comes any more. */
    void (*release)(struct flv_deployed *p);
    /* Everything of that name goes, logs included. */
    void (*forget)(struct flv_deployer *d, const char *name);
};

#endif
