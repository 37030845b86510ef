/*
 * run_priv.h - what the life of a connector (run.c) and its two kinds of work
 *              (run_source.c, run_sink.c) share.
 *
 * Purpose    run.c connects, gets SmartModules, makes sure of the topic, opens
 *            topics of dead letters, answers signals and commands, and ends it
 *            all. In between works one kind: from a source to the topic, or
 *            from the topic to a sink.
 * Threads    Loop thread only.
 */
#ifndef FLV_CONNECTOR_RUN_PRIV_H
#define FLV_CONNECTOR_RUN_PRIV_H

#include "connector/control.h"
#include "connector/dead.h"
#include "connector/run.h"
#include "connector/smart.h"
#include "stream/stream.h"

/* Delivery after a stop; containers are killed after 10 s. */
#define FLV__DRAIN_MS 8000

struct flv__run;
struct flv__reading; /* run_sink.c */

struct flv__run_kind {
    /* Begins the work; ends with flv__run_working() or flv__run_give_up(). */
    void (*begin)(struct flv__run *r);
    /* Ends it in its own time, then flv__run_wind_up(). While it works. */
    void (*stop)(struct flv__run *r);
    void (*pause)(struct flv__run *r);
    /* Closes what is open of it, then calls `closed`, at once or later. */
    void (*close)(struct flv__run *r, flv_closed_fn closed, void *arg);
    void (*counts)(const struct flv__run *r, struct flv_control_counts *out);
    void (*letter_settled)(struct flv__run *r,
                           uint64_t token,
                           const struct flv_err *err);
    void (*writable)(struct flv__run *r);
    void (*destroy)(struct flv__run *r);
};

extern const struct flv__run_kind flv__run_source, flv__run_sink;

/* CONNECTING -> (MODULES) -> (ENSURING) -> (LETTERS) -> OPENING -> RUNNING ->
 * CLOSING; a stop or failure goes to CLOSING from anywhere. */
enum flv__run_phase {
    PHASE_CONNECTING,
    PHASE_MODULES,
    PHASE_ENSURING,
    PHASE_LETTERS,
    PHASE_OPENING,
    PHASE_RUNNING,
    PHASE_CLOSING,
};

struct flv__run {
    struct flv_setup *setup; /* borrowed */
    const struct flv__run_kind *kind;
    struct flv_loop *loop;
    struct flv_stream *stream;
    struct flv_smart *smart; /* NULL: no SmartModules */
    struct flv_dead *dead;   /* NULL: no topics of dead letters */
    struct flv_control control;
    struct flv_timer connect_limit;
    struct flv_err cause; /* the first */
    enum flv__run_phase phase;
    bool unfit; /* the position is not one of the topic: no start helps */
    bool stop_asked;
    bool paused;
    bool dead_closed;
    bool troubled; /* the stream said that it repeats something */
    /* of a source */
    struct flv_writer *writer;
    struct flv_source *source;
    struct flv_timer watch;
    uint64_t watched_acked; /* at the last look */
    unsigned idle_looks;    /* in a row, while records waited */
    /* of a sink */
    struct flv__reading *reading; /* owned */
};

static inline const char *flv__run_topic(struct flv__run *r)
{
    return flv__setup_shared(r->setup)->fluvio_topic;
}

/* The work has begun. */
void flv__run_working(struct flv__run *r);
/* It has ended, or cannot begin: closes the rest. */
void flv__run_wind_up(struct flv__run *r);
void flv__run_keep_cause(struct flv__run *r, const struct flv_err *err);
void flv__run_give_up(struct flv__run *r, const struct flv_err *err);
/* What the cluster says to a step of the start. One that is lost meanwhile is
 * told like one that is not there. */
struct flv_err flv__run_of_cluster(const struct flv__run *r,
                                   const struct flv_err *err);
/* The topic was looked for and is not there. */
void flv__run_no_topic(struct flv__run *r);
/* Delivery to (or reading of) a topic is being repeated; NULL: it works. */
void flv__run_trouble(struct flv__run *r,
                      const char *topic,
                      const struct flv_err *err);

#endif
