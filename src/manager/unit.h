/*
 * unit.h - the life of one connector: what it shall be, what it is, and the
 *          way from one to the other.
 *
 * Purpose    A state machine over a deployer: starts, watches, starts again
 *            with back-off, pauses, drains, ends by force. Says truthfully how
 *            the connector is. Knows neither stores nor requests.
 *
 *              IDLE --start--> UP --ends--> WAITING --time--> UP
 *               ^               |  \--> OVER (failed, completed)
 *               +---stopped-- STOPPING (drain, SIGTERM, SIGKILL)
 *
 * Threads    Loop thread only.
 * Ownership  The caller owns struct flv_unit and what its configuration
 *            points at. _deinit lets a process that runs go on.
 * Errors     Failures of the deployer are failures of the connector: they
 *            show in its state.
 * Units      _ms of the wall clock where a time is shown, else of the loop.
 * See        docs/operations.md, tests/unit/manager/test_unit.c
 */
#ifndef FLV_MANAGER_UNIT_H
#define FLV_MANAGER_UNIT_H

#include "config/connector_file.h"
#include "loop/loop.h"
#include "manager/deploy.h"
#include "manager/state.h"

/* One set for all connectors of a manager. */
struct flv_unit_times {
    uint32_t backoff_min_ms, backoff_max_ms;
    uint32_t healthy_ms; /* well for so long: back-off begins anew */
    uint32_t drain_ms;   /* to deliver what is under way */
    uint32_t term_ms;    /* from SIGTERM to SIGKILL */
    uint32_t ping_ms;    /* how often a silent one is asked */
    uint32_t silence_ms; /* no answer for so long: stalled */
};
extern const struct flv_unit_times flv_unit_times_default;

enum flv_unit_want { FLV_UNIT_RUN, FLV_UNIT_PAUSE, FLV_UNIT_STOP };

struct flv_unit;

struct flv_unit_conf {
    struct flv_loop *loop;
    const struct flv_deployer_ops *ops;
    struct flv_deployer *deployer;
    const struct flv_unit_times *times;
    const char *name;
    /* Fills in what a start needs; may fail (program missing, secret
     * missing). The spec is read before the next call. */
    flv_rc (*spec)(void *arg, struct flv_deploy_spec *out, struct flv_err *err);
    /* Something happened: a kind of docs/rest.md and a sentence. */
    void (*event)(void *arg, const char *kind, const char *text);
    /* State, counters or what has to be remembered changed. */
    void (*changed)(void *arg);
    /* A stop that was asked for is done: no process of it lives. */
    void (*stopped)(void *arg);
    void *arg;
};

enum flv_unit_phase {
    FLV_UNIT_IDLE,
    FLV_UNIT_UP,
    FLV_UNIT_STOPPING,
    FLV_UNIT_WAITING,
    FLV_UNIT_OVER,
};

enum flv_unit_step { FLV_STEP_DRAIN, FLV_STEP_TERM, FLV_STEP_KILL };

struct flv_unit {
    struct flv_unit_conf conf;
    enum flv_cfile_restart restart;
    enum flv_unit_want want;
    enum flv_unit_phase phase;
    enum flv_unit_step step; /* of STOPPING */
    bool again;              /* start anew when it has stopped */
    bool failed;             /* OVER: failed, else completed */
    bool fresh;    /* no failure since it was made, changed or asked for */
    bool control;  /* the running one tells how it is */
    bool has_told; /* `told` is of the running one */
    bool silent;   /* it does not answer */
    struct flv_deployed *proc; /* NULL: no process */
    struct flv_told told;
    uint32_t fails;               /* ends in a row, for the back-off */
    int64_t next_ms;              /* WAITING: time of the next start */
    char cause[FLV_ERR_TEXT_MAX]; /* the first since it was well */
    int64_t started_ms;           /* of the process */
    uint64_t heard_ms;            /* loop time of the last word */
    struct flv_timer timer;       /* back-off or the next step of stopping */
    struct flv_timer health;      /* to forget failures */
    struct flv_timer ping;
    enum flv_mstate shown; /* as last announced */
    int64_t since_ms;      /* of `shown`, or of how it is over */
    struct flv_tally tally;
};

/* Idle, and to be run. Set restart, want, and how it is over before
 * flv_unit_begin(). */
void flv_unit_init(struct flv_unit *u, const struct flv_unit_conf *conf);
void flv_unit_deinit(struct flv_unit *u);

/* After a start of the manager: finds its process, or what became of it, or
 * starts one, as it shall be. */
void flv_unit_begin(struct flv_unit *u, bool control);
/* RUN of one that is over or waits starts it at once. */
void flv_unit_want(struct flv_unit *u, enum flv_unit_want want);
/* Drain, stop, start; the count of failures begins anew. */
void flv_unit_renew(struct flv_unit *u);

enum flv_mstate flv_unit_state(const struct flv_unit *u);
/* One sentence for people; "" when all is well. */
const char *flv_unit_reason(const struct flv_unit *u);
/* Starts or tries since it was last well. */
uint32_t flv_unit_attempt(const struct flv_unit *u);
/* 0: none is planned, or it is unknown. */
int64_t flv_unit_next_ms(const struct flv_unit *u);
bool flv_unit_process_only(const struct flv_unit *u);
/* Over its whole life. */
void flv_unit_counts(const struct flv_unit *u, struct flv_counts *out);
void flv_counts_add(struct flv_counts *to, const struct flv_counts *n);

#endif
