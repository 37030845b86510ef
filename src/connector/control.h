/*
 * control.h - how a running connector answers to a manager.
 *
 * Purpose    Keeps the state of the connector as one truthful word with its
 *            first cause, tells it on a unix socket, takes commands there,
 *            opens its log anew, and leaves an exit file behind. All of it is
 *            optional: without a manager nothing is opened or written.
 * Wire       One JSON object a line. To the connector: {"cmd":"status"}, with
 *            pause, resume, drain, reopen-log in place of status. From it: its
 *            status, at once, after each command, and when it changes (counters
 *            at most once a second).
 * Threads    Loop thread only.
 * Ownership  The caller owns struct flv_control; it owns its descriptors.
 * Errors     A peer that does not read is disconnected. FLV_E_INVALID: the
 *            descriptor is not one.
 * See        docs/connectors.md, tests/unit/connector/test_control.c
 */
#ifndef FLV_CONNECTOR_CONTROL_H
#define FLV_CONNECTOR_CONTROL_H

#include "base/bytes.h"
#include "connector/pipeline.h"

#define FLV_CONTROL_PEERS_MAX 4
#define FLV_CONTROL_LINE_MAX 1024
/* Version of the contract, in --describe and in every status. */
#define FLV_CONTROL_VERSION 1
/* Protocol, Extract, and each SmartModule. */
#define FLV_CONTROL_STAGES_MAX 18

enum flv_control_command {
    FLV_CONTROL_PAUSE,
    FLV_CONTROL_RESUME,
    FLV_CONTROL_DRAIN,
};

enum flv_control_phase {
    FLV_CONTROL_STARTING,
    FLV_CONTROL_UP,
    FLV_CONTROL_PAUSED,
    FLV_CONTROL_DRAINING,
};

struct flv_control_stage {
    char name[24];      /* "protocol", "smartmodule-1" */
    const char *module; /* borrowed; what runs there, or NULL */
    struct flv_stage_counts n;
};

struct flv_control_counts {
    struct flv_pipeline_counts pipeline;
    /* In the order in which a record goes through them. */
    struct flv_control_stage stages[FLV_CONTROL_STAGES_MAX];
    size_t stage_count;
    uint64_t own[FLV_COUNTERS_MAX];
};

struct flv_control_conf {
    struct flv_loop *loop;
    const struct flv_connector *type; /* borrowed */
    int fd;                           /* listening socket, taken; -1: none */
    const char *log_file;             /* borrowed; NULL: none */
    const char *exit_file;            /* borrowed; NULL: none */
    void (*command)(void *arg, enum flv_control_command cmd);
    void (*counts)(void *arg, struct flv_control_counts *out);
    void *arg;
};

/* One side that may be in trouble: the source's, the stream's (what is under
 * way), or the link to the cluster. */
struct flv_trouble {
    bool on;
    uint32_t attempt;     /* tries since it was last well */
    int64_t next_ms;      /* wall time of the next one; 0: unknown */
    struct flv_err cause; /* the first */
};

struct flv_control_peer {
    struct flv_control *control; /* borrowed */
    struct flv_lines *lines;     /* owned; NULL: free place */
};

struct flv_control {
    struct flv_control_conf conf;
    struct flv_watch *watch; /* owned; of the listening socket */
    struct flv_control_peer peers[FLV_CONTROL_PEERS_MAX];
    struct flv_timer tick;
    struct flv_task tell; /* pushes the status in this turn */
    enum flv_control_phase phase;
    struct flv_trouble source, stream, link;
    struct flv_err stall;           /* rc FLV_OK: none */
    bool source_well;               /* it said so since the start */
    const char *word;               /* state as last told */
    int64_t since_ms;               /* of that state */
    struct flv_control_counts told; /* as last pushed */
};

FLV_CHECKED flv_rc flv__control_open(struct flv_control *c,
                                     const struct flv_control_conf *conf,
                                     struct flv_err *err);
/* For a zeroed one, too. */
void flv__control_close(struct flv_control *c);

void flv__control_phase(struct flv_control *c, enum flv_control_phase phase);
/* err NULL: well. retry_in_ms 0: unknown. */
void flv__control_source(struct flv_control *c,
                         const struct flv_err *err,
                         uint64_t retry_in_ms);
void flv__control_stream(struct flv_control *c, const struct flv_err *err);
/* Also when nothing is under way. */
void flv__control_link(struct flv_control *c, const struct flv_err *err);
/* Work without progress; NULL: it moves again. */
void flv__control_stall(struct flv_control *c, const struct flv_err *err);
/* "starting", "running", "retrying", "stalled", "paused", "draining" */
const char *flv__control_word(const struct flv_control *c);
/* The log file anew on stdout and stderr, after a rotation. */
void flv__control_reopen_log(const struct flv_control *c);

/* One line of JSON with its feed. */
FLV_CHECKED flv_rc flv__control_status(const struct flv_control *c,
                                       struct flv_buf *out);
/* A command as it came in; tells the peer what it did. */
void flv__control_line(struct flv_control_peer *peer, struct flv_slice line);

/* Leaves the exit file, whole or not at all. reason: "completed", "stopped",
 * "failed", "configuration" or "aborted". counts NULL: never ran. */
struct flv_control_exit {
    const char *path;                 /* NULL: nothing happens */
    const struct flv_connector *type; /* borrowed */
    int code;
    const char *reason;
    const struct flv_err *cause;             /* NULL: none */
    const struct flv_control_counts *counts; /* NULL: none */
};
void flv__control_exit(const struct flv_control_exit *e);

#endif
