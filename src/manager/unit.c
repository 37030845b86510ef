#include "manager/unit.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/rand.h"

const struct flv_unit_times flv_unit_times_default = {
    .backoff_min_ms = 50,
    .backoff_max_ms = 60000,
    .healthy_ms = 10000,
    .drain_ms = 10000,
    .term_ms = 5000,
    .ping_ms = 5000,
    .silence_ms = 12000,
};

#define KILL_AGAIN_MS 1000

static void start(struct flv_unit *u);
static void stop(struct flv_unit *u);

/* ---- What is shown ----------------------------------------------------- */

bool flv_unit_process_only(const struct flv_unit *u)
{
    return u->proc != NULL && !u->control;
}

static enum flv_mstate state_up(const struct flv_unit *u)
{
    if (!u->control) {
        return FLV_MSTATE_RUNNING;
    }
    if (u->silent) {
        return FLV_MSTATE_STALLED;
    }
    enum flv_told_state told = u->has_told ? u->told.state : FLV_TOLD_STARTING;
    switch (told) {
    case FLV_TOLD_STARTING:
        break;
    case FLV_TOLD_RUNNING:
        return FLV_MSTATE_RUNNING;
    case FLV_TOLD_RETRYING:
        return FLV_MSTATE_RETRYING;
    case FLV_TOLD_STALLED:
        return FLV_MSTATE_STALLED;
    case FLV_TOLD_PAUSED:
        return u->want == FLV_UNIT_PAUSE ? FLV_MSTATE_PAUSED
                                         : FLV_MSTATE_CREATING;
    case FLV_TOLD_DRAINING:
        return FLV_MSTATE_STOPPING;
    }
    return u->fresh ? FLV_MSTATE_CREATING : FLV_MSTATE_RETRYING;
}

enum flv_mstate flv_unit_state(const struct flv_unit *u)
{
    if (u->phase == FLV_UNIT_STOPPING) {
        return FLV_MSTATE_STOPPING;
    }
    if (u->want == FLV_UNIT_STOP) {
        return FLV_MSTATE_STOPPING;
    }
    if (u->want == FLV_UNIT_PAUSE &&
        (u->phase == FLV_UNIT_IDLE ||
         (u->phase == FLV_UNIT_UP && state_up(u) == FLV_MSTATE_RUNNING))) {
        return FLV_MSTATE_PAUSED;
    }
    switch (u->phase) {
    case FLV_UNIT_UP:
        return state_up(u);
    case FLV_UNIT_WAITING:
        return FLV_MSTATE_RETRYING;
    case FLV_UNIT_OVER:
        return u->failed ? FLV_MSTATE_FAILED : FLV_MSTATE_COMPLETED;
    case FLV_UNIT_IDLE:
    case FLV_UNIT_STOPPING:
        break;
    }
    return FLV_MSTATE_CREATING;
}

const char *flv_unit_reason(const struct flv_unit *u)
{
    if (u->phase == FLV_UNIT_UP && u->silent) {
        return "the process lives and does not answer";
    }
    if (u->phase == FLV_UNIT_UP && u->has_told && u->told.cause[0] != '\0') {
        return u->told.cause;
    }
    switch (flv_unit_state(u)) {
    case FLV_MSTATE_RETRYING:
    case FLV_MSTATE_FAILED:
        return u->cause;
    case FLV_MSTATE_STOPPING:
        return u->step == FLV_STEP_DRAIN ? "what is under way is delivered"
               : u->step == FLV_STEP_TERM
                   ? "it was not done in time and got SIGTERM"
                   : "it did not end in time and got SIGKILL";
    default:
        return "";
    }
}

uint32_t flv_unit_attempt(const struct flv_unit *u)
{
    switch (flv_unit_state(u)) {
    case FLV_MSTATE_RETRYING:
        return u->phase == FLV_UNIT_UP && u->has_told &&
                       u->told.state == FLV_TOLD_RETRYING
                   ? u->told.attempt
                   : u->fails;
    case FLV_MSTATE_FAILED:
        return u->fails;
    default:
        return 0;
    }
}

int64_t flv_unit_next_ms(const struct flv_unit *u)
{
    if (u->phase == FLV_UNIT_WAITING) {
        return u->next_ms;
    }
    return u->phase == FLV_UNIT_UP && u->has_told &&
                   u->told.state == FLV_TOLD_RETRYING
               ? u->told.next_ms
               : 0;
}

static struct flv_counts *own_slot(struct flv_counts *c, const char *name)
{
    for (size_t i = 0; i < c->own_count; i++) {
        if (strcmp(c->own[i].name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

static void add_stage(struct flv_counts *to, const struct flv_stage_count *n)
{
    struct flv_stage_count *s = NULL;
    for (size_t i = 0; i < to->stage_count && s == NULL; i++) {
        s = strcmp(to->stages[i].name, n->name) == 0 ? &to->stages[i] : NULL;
    }
    if (s == NULL && to->stage_count == FLV_STAGES_MAX) {
        return;
    }
    if (s == NULL) {
        s = &to->stages[to->stage_count++];
        memcpy(s->name, n->name, sizeof(s->name));
        memset(s->all, 0, sizeof(s->all));
    }
    memcpy(s->module, n->module, sizeof(s->module));
    for (int i = 0; i < FLV_STAGE_COUNTS; i++) {
        s->all[i] += n->all[i];
    }
}

void flv_counts_add(struct flv_counts *to, const struct flv_counts *n)
{
    for (int i = 0; i < FLV_COUNTS; i++) {
        to->all[i] += n->all[i];
    }
    for (size_t i = 0; i < n->stage_count; i++) {
        add_stage(to, &n->stages[i]);
    }
    for (size_t i = 0; i < n->own_count; i++) {
        if (own_slot(to, n->own[i].name) == NULL) {
            if (to->own_count == FLV_OWN_MAX) {
                continue;
            }
            (void)snprintf(to->own[to->own_count].name, FLV_OWN_NAME_MAX, "%s",
                           n->own[i].name);
            to->own[to->own_count++].value = 0;
        }
        for (size_t k = 0; k < to->own_count; k++) {
            if (strcmp(to->own[k].name, n->own[i].name) == 0) {
                to->own[k].value += n->own[i].value;
            }
        }
    }
}

void flv_unit_counts(const struct flv_unit *u, struct flv_counts *out)
{
    *out = u->tally.base;
    flv_counts_add(out, &u->tally.now);
}

/* ---- Telling ----------------------------------------------------------- */

static void event(struct flv_unit *u, const char *kind, const char *fmt, ...)
    FLV_PRINTF(3, 4);

static void event(struct flv_unit *u, const char *kind, const char *fmt, ...)
{
    char text[FLV_ERR_TEXT_MAX + 100];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    u->conf.event(u->conf.arg, kind, text);
}

/* Says so when the state is another one than before. */
static void changed(struct flv_unit *u)
{
    enum flv_mstate state = flv_unit_state(u);
    if (state != u->shown) {
        u->shown = state;
        u->since_ms = flv_clock_wall_ms();
        if (state == FLV_MSTATE_RUNNING) {
            event(u, "running", "%s",
                  u->control ? "records flow, or the far side is well"
                             : "a process lives; it tells nothing more");
        } else if (state == FLV_MSTATE_RETRYING && u->phase == FLV_UNIT_UP) {
            event(u, "retrying", "%s", flv_unit_reason(u));
        } else if (state == FLV_MSTATE_STALLED) {
            event(u, "stalled", "%s", flv_unit_reason(u));
        }
    }
    u->conf.changed(u->conf.arg);
}

/* ---- The end of a process ---------------------------------------------- */

static void save(struct flv_unit *u)
{
    u->conf.ops->save(u->conf.deployer, u->conf.name, &u->tally);
}

/* What was shown once is never taken back. */
static void raise_counts(struct flv_counts *c, const struct flv_counts *n)
{
    for (int i = 0; i < FLV_COUNTS; i++) {
        c->all[i] = n->all[i] > c->all[i] ? n->all[i] : c->all[i];
    }
    if (n->own_count > 0) {
        memcpy(c->own, n->own, sizeof(c->own));
        c->own_count = n->own_count;
    }
    if (n->stage_count > 0) {
        memcpy(c->stages, n->stages, sizeof(c->stages));
        c->stage_count = n->stage_count;
    }
}

/* The counters of the run join those of all before it. */
static void fold(struct flv_unit *u, const struct flv_ended *e, bool asked)
{
    struct flv_tally *t = &u->tally;
    if (t->ended) {
        return;
    }
    if (e->has_counts) {
        raise_counts(&t->now, &e->counts);
    }
    flv_counts_add(&t->base, &t->now);
    t->now = (struct flv_counts){.own_count = 0};
    t->ended = true;
    t->end = asked ? FLV_END_STOPPED : e->reason;
    save(u);
}

static void be_over(struct flv_unit *u, bool failed)
{
    u->phase = FLV_UNIT_OVER;
    u->failed = failed;
    if (failed) {
        event(u, "failed", "it is not started again: %s", u->cause);
    } else {
        event(u, "completed", "it has done all there was to do");
    }
}

/* min * 2^(n-1), at most max, a quarter more or less. */
static uint32_t backoff_ms(const struct flv_unit *u)
{
    uint64_t ms = u->conf.times->backoff_min_ms;
    for (uint32_t i = 1; i < u->fails && ms < u->conf.times->backoff_max_ms;
         i++) {
        ms *= 2;
    }
    if (ms > u->conf.times->backoff_max_ms) {
        ms = u->conf.times->backoff_max_ms;
    }
    return (uint32_t)(ms - ms / 4 + flv_rand_below(ms / 2 + 1));
}

static void wait_and_start(struct flv_unit *u)
{
    uint32_t ms = backoff_ms(u);
    u->phase = FLV_UNIT_WAITING;
    u->next_ms = flv_clock_wall_ms() + ms;
    event(u, "retrying", "attempt %u in %u ms: %s", u->fails, ms, u->cause);
    if (flv_timer_start(&u->timer, ms, 0, NULL) != FLV_OK) {
        be_over(u, true);
    }
}

/* Nobody asked for this end. */
static void ended_by_itself(struct flv_unit *u, const struct flv_ended *e)
{
    bool well = e->reason == FLV_END_COMPLETED;
    if (u->want != FLV_UNIT_RUN) {
        u->phase = FLV_UNIT_IDLE; /* resume starts it */
        return;
    }
    u->fresh = false;
    u->fails++;
    if (u->cause[0] == '\0') {
        (void)snprintf(u->cause, sizeof(u->cause), "%s",
                       e->cause[0] != '\0' ? e->cause
                                           : "it ended although it shall run");
    }
    bool again = u->restart == FLV_CFILE_ALWAYS ||
                 (u->restart == FLV_CFILE_ON_FAILURE && !well &&
                  e->reason != FLV_END_CONFIGURATION);
    if (again) {
        wait_and_start(u);
        return;
    }
    if (well) {
        u->cause[0] = '\0';
        u->fails = 0;
    }
    be_over(u, !well);
}

/* A stop that was asked for is done. */
static void end_of_stop(struct flv_unit *u)
{
    u->phase = FLV_UNIT_IDLE;
    if (u->want == FLV_UNIT_STOP) {
        event(u, "stopped", "no process of it lives");
        changed(u);
        u->conf.stopped(u->conf.arg);
        return;
    }
    u->again = false;
    if (u->want == FLV_UNIT_RUN) {
        start(u);
    }
}

static void clear_process(struct flv_unit *u)
{
    u->proc = NULL;
    u->has_told = false;
    u->silent = false;
    flv_timer_stop(&u->timer);
    flv_timer_stop(&u->health);
    flv_timer_stop(&u->ping);
}

static void on_ended(void *arg, const struct flv_ended *e)
{
    struct flv_unit *u = arg;
    bool asked = u->phase == FLV_UNIT_STOPPING;
    clear_process(u);
    fold(u, e, asked);
    if (e->cause[0] != '\0') {
        event(u, "exited", "%s", e->cause);
    } else if (e->code >= 0) {
        event(u, "exited", "the process ended with code %d", e->code);
    } else {
        event(u, "exited", "the process ended");
    }
    if (asked) {
        end_of_stop(u);
    } else {
        ended_by_itself(u, e);
    }
    changed(u);
}

/* ---- A running process ------------------------------------------------- */

static void on_health(struct flv_timer *t)
{
    struct flv_unit *u = FLV_OWNER_OF(t, struct flv_unit, health);
    u->fails = 0;
    u->cause[0] = '\0';
    u->conf.changed(u->conf.arg);
}

static void note_well(struct flv_unit *u)
{
    if (u->control) {
        u->cause[0] = '\0';
    }
    u->fresh = false;
    if (u->fails > 0 && !flv_timer_active(&u->health)) {
        (void)!flv_timer_start(&u->health, u->conf.times->healthy_ms, 0, NULL);
    }
}

/* It shall pause, or shall not any more. */
static void align_pause(struct flv_unit *u)
{
    bool paused = u->has_told && u->told.state == FLV_TOLD_PAUSED;
    if (u->want == FLV_UNIT_PAUSE && !paused) {
        (void)u->conf.ops->command(u->proc, FLV_DEPLOY_PAUSE);
    } else if (u->want == FLV_UNIT_RUN && paused) {
        (void)u->conf.ops->command(u->proc, FLV_DEPLOY_RESUME);
    }
}

static void on_told(void *arg, const struct flv_told *t)
{
    struct flv_unit *u = arg;
    bool first = !u->has_told;
    u->heard_ms = flv_loop_now_ms(u->conf.loop);
    u->silent = false;
    u->has_told = true;
    u->told = *t;
    if (memcmp(&u->tally.now, &t->counts, sizeof(t->counts)) != 0) {
        raise_counts(&u->tally.now, &t->counts);
        save(u);
    }
    if (u->phase == FLV_UNIT_UP) {
        if (t->state == FLV_TOLD_RUNNING) {
            note_well(u);
        } else {
            flv_timer_stop(&u->health);
        }
        if (first ||
            (t->state == FLV_TOLD_PAUSED) != (u->want == FLV_UNIT_PAUSE)) {
            align_pause(u);
        }
    }
    changed(u);
}

static void on_ping(struct flv_timer *timer)
{
    struct flv_unit *u = FLV_OWNER_OF(timer, struct flv_unit, ping);
    uint64_t quiet_ms = flv_loop_now_ms(u->conf.loop) - u->heard_ms;
    if (quiet_ms >= u->conf.times->silence_ms && !u->silent) {
        u->silent = true;
        changed(u);
    }
    if (quiet_ms + 1 >= u->conf.times->ping_ms) {
        (void)u->conf.ops->command(u->proc, FLV_DEPLOY_STATUS);
    }
}

/* ---- Starting ---------------------------------------------------------- */

static const struct flv_deploy_events no_events;

static struct flv_deploy_events events_of(struct flv_unit *u)
{
    struct flv_deploy_events e = no_events;
    e.told = on_told;
    e.ended = on_ended;
    e.arg = u;
    return e;
}

static void note_up(struct flv_unit *u)
{
    u->phase = FLV_UNIT_UP;
    u->has_told = false;
    u->silent = false;
    u->started_ms = flv_clock_wall_ms();
    u->heard_ms = flv_loop_now_ms(u->conf.loop);
    if (u->control) {
        (void)!flv_timer_start(&u->ping, u->conf.times->ping_ms,
                               u->conf.times->ping_ms, NULL);
    } else {
        note_well(u);
    }
}

/* What an earlier run counted stays, also when nobody saw its end. */
static void begin_run(struct flv_unit *u)
{
    struct flv_tally *t = &u->tally;
    if (!t->ended) {
        flv_counts_add(&t->base, &t->now);
    }
    t->runs++;
    t->ended = false;
    t->now = (struct flv_counts){.own_count = 0};
    save(u);
}

static void start(struct flv_unit *u)
{
    struct flv_err err = {0};
    struct flv_deploy_spec spec = {.name = u->conf.name};
    const struct flv_deploy_events events = events_of(u);
    assert(u->proc == NULL);
    flv_timer_stop(&u->timer);
    flv_rc rc = u->conf.spec(u->conf.arg, &spec, &err);
    if (rc == FLV_OK) {
        u->control = spec.control;
        rc = u->conf.ops->start(u->conf.deployer, &spec, &events, &u->proc,
                                &err);
    }
    if (rc != FLV_OK) {
        struct flv_ended e = {.reason = FLV_END_FAILED, .code = -1};
        (void)snprintf(e.cause, sizeof(e.cause), "%s", err.text);
        save(u); /* it counts as a start again */
        event(u, "exited", "it cannot be started: %s", err.text);
        ended_by_itself(u, &e);
        changed(u);
        return;
    }
    begin_run(u);
    note_up(u);
    event(u, "started", "as process %ld", (long)u->conf.ops->pid(u->proc));
    changed(u);
}

static void start_again(struct flv_unit *u)
{
    u->tally.restarts++;
    start(u);
}

/* ---- Stopping ---------------------------------------------------------- */

static void next_step(struct flv_unit *u)
{
    static const char *const texts[] = {
        [FLV_STEP_TERM] = "it was not drained in time: SIGTERM",
        [FLV_STEP_KILL] = "it did not end in time: SIGKILL",
    };
    if (u->step != FLV_STEP_KILL) {
        u->step++;
        event(u, "killed", "%s", texts[u->step]);
    }
    u->conf.ops->signal(u->proc, u->step == FLV_STEP_TERM ? SIGTERM : SIGKILL);
    uint32_t ms =
        u->step == FLV_STEP_TERM ? u->conf.times->term_ms : KILL_AGAIN_MS;
    (void)!flv_timer_start(&u->timer, ms, 0, NULL);
}

static void on_timer(struct flv_timer *t)
{
    struct flv_unit *u = FLV_OWNER_OF(t, struct flv_unit, timer);
    if (u->phase == FLV_UNIT_WAITING) {
        start_again(u);
    } else if (u->phase == FLV_UNIT_STOPPING) {
        next_step(u);
        changed(u);
    }
}

/* A process that lives. */
static void stop(struct flv_unit *u)
{
    assert(u->proc != NULL);
    if (u->phase == FLV_UNIT_STOPPING) {
        return;
    }
    u->phase = FLV_UNIT_STOPPING;
    flv_timer_stop(&u->health);
    flv_timer_stop(&u->ping);
    bool drains = u->control && u->conf.ops->command(u->proc, FLV_DEPLOY_DRAIN);
    u->step = drains ? FLV_STEP_DRAIN : FLV_STEP_TERM;
    if (!drains) {
        u->conf.ops->signal(u->proc, SIGTERM);
    }
    /* Whoever was told to drain by a signal gets as long for it. */
    (void)!flv_timer_start(&u->timer, u->conf.times->drain_ms, 0, NULL);
    changed(u);
}

/* ---- What is asked for ------------------------------------------------- */

static void forget_failures(struct flv_unit *u)
{
    u->fails = 0;
    u->fresh = true;
    u->cause[0] = '\0';
}

static void want_run(struct flv_unit *u)
{
    switch (u->phase) {
    case FLV_UNIT_IDLE:
    case FLV_UNIT_WAITING:
    case FLV_UNIT_OVER:
        forget_failures(u);
        start(u);
        break;
    case FLV_UNIT_UP:
        align_pause(u);
        changed(u);
        break;
    case FLV_UNIT_STOPPING:
        changed(u);
        break;
    }
}

static void want_pause(struct flv_unit *u)
{
    if (u->phase == FLV_UNIT_UP && u->control) {
        align_pause(u);
    } else if (u->phase == FLV_UNIT_UP) {
        stop(u); /* it knows no pause: resume starts it anew */
    } else if (u->phase == FLV_UNIT_WAITING) {
        flv_timer_stop(&u->timer);
        u->phase = FLV_UNIT_IDLE;
    }
    changed(u);
}

void flv_unit_want(struct flv_unit *u, enum flv_unit_want want)
{
    if (u->want == FLV_UNIT_STOP) {
        return; /* for good */
    }
    u->want = want;
    if (want == FLV_UNIT_RUN) {
        want_run(u);
    } else if (want == FLV_UNIT_PAUSE) {
        want_pause(u);
    } else if (u->proc != NULL) {
        stop(u);
        changed(u);
    } else {
        /* How one is over is remembered beyond us. */
        flv_timer_stop(&u->timer);
        u->phase = u->phase == FLV_UNIT_WAITING ? FLV_UNIT_IDLE : u->phase;
        changed(u);
        u->conf.stopped(u->conf.arg);
    }
}

void flv_unit_renew(struct flv_unit *u)
{
    if (u->want == FLV_UNIT_STOP) {
        return;
    }
    forget_failures(u);
    if (u->proc != NULL) {
        stop(u); /* its end starts it again */
    } else if (u->want == FLV_UNIT_RUN) {
        start(u);
    } else {
        u->phase = FLV_UNIT_IDLE;
    }
    changed(u);
}

/* ---- Life -------------------------------------------------------------- */

void flv_unit_init(struct flv_unit *u, const struct flv_unit_conf *conf)
{
    *u = (struct flv_unit){.conf = *conf, .fresh = true};
    flv_timer_init(&u->timer, conf->loop, on_timer);
    flv_timer_init(&u->health, conf->loop, on_health);
    flv_timer_init(&u->ping, conf->loop, on_ping);
    u->shown = FLV_MSTATE_CREATING;
    u->since_ms = flv_clock_wall_ms();
}

void flv_unit_deinit(struct flv_unit *u)
{
    if (u->conf.loop == NULL) {
        return;
    }
    struct flv_deployed *proc = u->proc;
    clear_process(u);
    if (proc != NULL) {
        u->conf.ops->release(proc);
    }
    *u = (struct flv_unit){.phase = FLV_UNIT_IDLE};
}

/* It ended while nobody looked, or nobody was there to act on it. */
static void take_last_end(struct flv_unit *u)
{
    struct flv_ended e = {.reason = u->tally.end, .code = -1};
    if (!u->tally.ended) {
        if (!u->conf.ops->last_end(u->conf.deployer, u->conf.name, &e)) {
            e = (struct flv_ended){.reason = FLV_END_UNKNOWN, .code = -1};
            (void)snprintf(e.cause, sizeof(e.cause),
                           "its process ended while no manager ran");
        }
        fold(u, &e, false);
        event(u, "exited", "%s",
              e.cause[0] != '\0' ? e.cause
                                 : "its process ended while no manager ran");
    }
    if (e.reason == FLV_END_STOPPED) {
        start(u);
    } else {
        ended_by_itself(u, &e);
    }
    changed(u);
}

void flv_unit_begin(struct flv_unit *u, bool control)
{
    struct flv_err err = {0};
    const struct flv_deploy_events events = events_of(u);
    u->control = control;
    if (!u->conf.ops->load(u->conf.deployer, u->conf.name, &u->tally)) {
        u->tally = (struct flv_tally){.ended = true};
    }
    flv_rc rc = u->conf.ops->adopt(u->conf.deployer, u->conf.name, control,
                                   &events, &u->proc, &err);
    if (rc == FLV_OK) {
        if (u->tally.ended) {
            begin_run(u); /* its start could not be written down */
        }
        note_up(u);
        event(u, "adopted", "process %ld ran on without a manager",
              (long)u->conf.ops->pid(u->proc));
        if (u->want == FLV_UNIT_STOP ||
            (u->want == FLV_UNIT_PAUSE && !control)) {
            stop(u);
        }
        changed(u);
        return;
    }
    if (u->want == FLV_UNIT_STOP) {
        u->conf.stopped(u->conf.arg);
    } else if (u->want == FLV_UNIT_RUN && u->phase == FLV_UNIT_IDLE) {
        if (u->tally.runs > 0) {
            take_last_end(u);
        } else {
            start(u);
        }
    }
}
