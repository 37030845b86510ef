#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/field.h"
#include "cm.h"
#include "manager/unit.h"

/* A deployer whose processes do what the test says. */
struct flv_deployer {
    struct flv_loop *loop;
    struct flv_deployed *proc; /* at most one */
    struct flv_tally tally;
    bool has_tally, refuse, adoptable, deaf, has_last;
    struct flv_ended last;
    unsigned starts, drains, terms, kills, pauses, resumes, pings;
};

struct flv_deployed {
    struct flv_deployer *d;
    struct flv_deploy_events events;
    struct flv_task task;
    struct flv_ended end;
};

static struct flv_deployed *make(struct flv_deployer *d,
                                 const struct flv_deploy_events *events)
{
    static struct flv_deployed one;
    assert_null(d->proc);
    one = (struct flv_deployed){.d = d, .events = *events};
    d->proc = &one;
    return &one;
}

static flv_rc fake_start(struct flv_deployer *d,
                         const struct flv_deploy_spec *spec,
                         const struct flv_deploy_events *events,
                         struct flv_deployed **out,
                         struct flv_err *err)
{
    (void)spec;
    if (d->refuse) {
        return flv_fail(err, FLV_E_IO, "no process to be had");
    }
    d->starts++;
    *out = make(d, events);
    return FLV_OK;
}

static flv_rc fake_adopt(struct flv_deployer *d,
                         const char *name,
                         bool control,
                         const struct flv_deploy_events *events,
                         struct flv_deployed **out,
                         struct flv_err *err)
{
    (void)name;
    (void)control;
    if (!d->adoptable) {
        return flv_fail(err, FLV_E_NOT_FOUND, "none runs");
    }
    *out = make(d, events);
    return FLV_OK;
}

static bool
fake_last_end(struct flv_deployer *d, const char *name, struct flv_ended *out)
{
    (void)name;
    *out = d->last;
    return d->has_last;
}

static bool
fake_load(struct flv_deployer *d, const char *name, struct flv_tally *out)
{
    (void)name;
    *out = d->tally;
    return d->has_tally;
}

static void fake_save(struct flv_deployer *d,
                      const char *name,
                      const struct flv_tally *tally)
{
    (void)name;
    d->tally = *tally;
    d->has_tally = true;
}

static void run_end(struct flv_task *t)
{
    struct flv_deployed *p = FLV_OWNER_OF(t, struct flv_deployed, task);
    const struct flv_deploy_events events = p->events;
    p->d->proc = NULL;
    events.ended(events.arg, &p->end);
}

/* The process ends, in the next turn. */
static void end(struct flv_deployer *d,
                enum flv_end_reason reason,
                int code,
                const char *cause)
{
    struct flv_deployed *p = d->proc;
    assert_non_null(p);
    p->end.reason = reason;
    p->end.code = code;
    (void)snprintf(p->end.cause, sizeof(p->end.cause), "%s", cause);
    flv_task_init(&p->task, run_end);
    flv_loop_defer(d->loop, &p->task);
}

static void tell(struct flv_deployer *d,
                 enum flv_told_state state,
                 uint64_t acked,
                 const char *cause)
{
    struct flv_told t = {.state = state};
    t.counts.all[FLV_C_ACKED] = acked;
    (void)snprintf(t.cause, sizeof(t.cause), "%s", cause);
    d->proc->events.told(d->proc->events.arg, &t);
}

static bool fake_command(struct flv_deployed *p, enum flv_deploy_command cmd)
{
    struct flv_deployer *d = p->d;
    d->drains += cmd == FLV_DEPLOY_DRAIN;
    d->pauses += cmd == FLV_DEPLOY_PAUSE;
    d->resumes += cmd == FLV_DEPLOY_RESUME;
    d->pings += cmd == FLV_DEPLOY_STATUS;
    if (cmd == FLV_DEPLOY_DRAIN && !d->deaf) {
        end(d, FLV_END_STOPPED, 0, "");
    }
    return true;
}

static void fake_signal(struct flv_deployed *p, int signum)
{
    p->d->terms += signum == SIGTERM;
    p->d->kills += signum == SIGKILL;
    if (signum == SIGKILL) {
        end(p->d, FLV_END_FAILED, -1, "killed");
    }
}

static pid_t fake_pid(const struct flv_deployed *p)
{
    (void)p;
    return 4711;
}

static void fake_release(struct flv_deployed *p)
{
    p->d->proc = NULL;
}

static void fake_forget(struct flv_deployer *d, const char *name)
{
    (void)name;
    d->has_tally = false;
}

static const struct flv_deployer_ops fake_ops = {
    .start = fake_start,
    .adopt = fake_adopt,
    .last_end = fake_last_end,
    .load = fake_load,
    .save = fake_save,
    .command = fake_command,
    .signal = fake_signal,
    .pid = fake_pid,
    .release = fake_release,
    .forget = fake_forget,
};

/* ---- The rig ------------------------------------------------------------ */

static const struct flv_unit_times times = {
    .backoff_min_ms = 10,
    .backoff_max_ms = 80,
    .healthy_ms = 100,
    .drain_ms = 40,
    .term_ms = 40,
    .ping_ms = 20,
    .silence_ms = 60,
};

struct rig {
    struct flv_deployer d;
    struct flv_unit u;
    bool control;
    unsigned stopped;
    char events[4096]; /* kinds, each with a blank */
};

static flv_rc
on_spec(void *arg, struct flv_deploy_spec *out, struct flv_err *err)
{
    (void)err;
    out->program = "/bin/true";
    out->control = ((struct rig *)arg)->control;
    return FLV_OK;
}

static void on_event(void *arg, const char *kind, const char *text)
{
    struct rig *r = arg;
    size_t n = strlen(r->events);
    assert_int_not_equal(text[0], '\0');
    (void)snprintf(r->events + n, sizeof(r->events) - n, "%s ", kind);
}

static void on_changed(void *arg)
{
    (void)arg;
}

static void on_stopped(void *arg)
{
    ((struct rig *)arg)->stopped++;
}

static void set_up(struct rig *r)
{
    *r = (struct rig){.control = true};
    assert_int_equal(flv_loop_create(&r->d.loop, 0, NULL), FLV_OK);
    const struct flv_unit_conf conf = {.loop = r->d.loop,
                                       .ops = &fake_ops,
                                       .deployer = &r->d,
                                       .times = &times,
                                       .name = "cats",
                                       .spec = on_spec,
                                       .event = on_event,
                                       .changed = on_changed,
                                       .stopped = on_stopped,
                                       .arg = r};
    flv_unit_init(&r->u, &conf);
}

static void tear_down(struct rig *r)
{
    flv_unit_deinit(&r->u);
    while (flv_loop_turn(r->d.loop, false)) {
    }
    flv_loop_destroy(r->d.loop);
}

static void wait_for(struct rig *r, enum flv_mstate state)
{
    uint64_t limit = flv_clock_mono_ms() + 10000;
    while (flv_unit_state(&r->u) != state) {
        if (flv_clock_mono_ms() > limit) {
            fail_msg("waited for %s, have %s; events: %s",
                     flv_mstate_word(state),
                     flv_mstate_word(flv_unit_state(&r->u)), r->events);
        }
        (void)flv_loop_turn(r->d.loop, true);
    }
}

/* The end that was ordered has come, and it waits to be started again. */
static void wait_waiting(struct rig *r)
{
    for (int i = 0; i < 1000 && r->u.phase != FLV_UNIT_WAITING; i++) {
        (void)flv_loop_turn(r->d.loop, true);
    }
    assert_int_equal(r->u.phase, FLV_UNIT_WAITING);
}

static void turns(struct rig *r, unsigned ms)
{
    uint64_t limit = flv_clock_mono_ms() + ms;
    while (flv_clock_mono_ms() < limit) {
        (void)flv_loop_turn(r->d.loop, flv_timer_active(&r->u.timer) ||
                                           flv_timer_active(&r->u.ping));
    }
}

static void be_running(struct rig *r)
{
    flv_unit_want(&r->u, FLV_UNIT_RUN);
    tell(&r->d, FLV_TOLD_RUNNING, 1, "");
    assert_int_equal(flv_unit_state(&r->u), FLV_MSTATE_RUNNING);
}

/* ---- Tests -------------------------------------------------------------- */

static void creating_until_the_connector_says_running(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_CREATING);
    flv_unit_want(&r.u, FLV_UNIT_RUN);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_CREATING);
    tell(&r.d, FLV_TOLD_STARTING, 0, "");
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_CREATING);
    tell(&r.d, FLV_TOLD_RUNNING, 0, "");
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_RUNNING);
    assert_string_equal(r.events, "started running ");
    tear_down(&r);
}

static void trouble_of_the_connector_is_shown_with_its_cause(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    tell(&r.d, FLV_TOLD_RETRYING, 1, "no answer");
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_RETRYING);
    assert_string_equal(flv_unit_reason(&r.u), "no answer");
    tell(&r.d, FLV_TOLD_STALLED, 1, "records wait");
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_STALLED);
    tell(&r.d, FLV_TOLD_RUNNING, 2, "");
    assert_string_equal(flv_unit_reason(&r.u), "");
    tear_down(&r);
}

static void a_failure_is_repeated_with_growing_waits(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    for (uint32_t n = 1; n <= 6; n++) {
        end(&r.d, FLV_END_FAILED, 1, n == 1 ? "the first" : "another");
        wait_waiting(&r);
        assert_int_equal(flv_unit_attempt(&r.u), n);
        assert_string_equal(flv_unit_reason(&r.u), "the first");
        int64_t wait = flv_unit_next_ms(&r.u) - flv_clock_wall_ms();
        int64_t plan = 10 << (n - 1);
        assert_true(wait <= (plan < 80 ? plan : 80) * 5 / 4 + 1);
        while (r.d.proc == NULL) {
            (void)flv_loop_turn(r.d.loop, true);
        }
        assert_int_equal(r.d.starts, n + 1);
        assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_RETRYING);
    }
    assert_int_equal(r.u.tally.restarts, 6);
    tear_down(&r);
}

static void a_start_that_fails_is_counted_and_kept(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    r.d.refuse = true;
    end(&r.d, FLV_END_FAILED, 1, "x");
    while (r.u.tally.restarts < 2) {
        (void)flv_loop_turn(r.d.loop, true);
    }
    /* What another manager would find. */
    assert_int_equal(r.d.tally.restarts, r.u.tally.restarts);
    tear_down(&r);
}

static void health_makes_the_waits_short_again(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    for (int n = 0; n < 4; n++) {
        end(&r.d, FLV_END_FAILED, 1, "x");
        wait_waiting(&r);
        while (r.d.proc == NULL) {
            (void)flv_loop_turn(r.d.loop, true);
        }
    }
    assert_int_equal(r.u.fails, 4);
    tell(&r.d, FLV_TOLD_RUNNING, 5, "");
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_RUNNING);
    assert_int_equal(r.u.fails, 4);
    turns(&r, 150);
    assert_int_equal(r.u.fails, 0);
    tear_down(&r);
}

static void policies_decide_about_every_end(void **state)
{
    static const struct {
        enum flv_cfile_restart restart;
        enum flv_end_reason reason;
        enum flv_mstate expected;
    } table[] = {
        {FLV_CFILE_ON_FAILURE, FLV_END_COMPLETED, FLV_MSTATE_COMPLETED},
        {FLV_CFILE_ON_FAILURE, FLV_END_FAILED, FLV_MSTATE_RETRYING},
        {FLV_CFILE_ON_FAILURE, FLV_END_STOPPED, FLV_MSTATE_RETRYING},
        {FLV_CFILE_ON_FAILURE, FLV_END_UNKNOWN, FLV_MSTATE_RETRYING},
        {FLV_CFILE_ON_FAILURE, FLV_END_CONFIGURATION, FLV_MSTATE_FAILED},
        {FLV_CFILE_ALWAYS, FLV_END_COMPLETED, FLV_MSTATE_RETRYING},
        {FLV_CFILE_ALWAYS, FLV_END_FAILED, FLV_MSTATE_RETRYING},
        {FLV_CFILE_ALWAYS, FLV_END_CONFIGURATION, FLV_MSTATE_RETRYING},
        {FLV_CFILE_NEVER, FLV_END_COMPLETED, FLV_MSTATE_COMPLETED},
        {FLV_CFILE_NEVER, FLV_END_FAILED, FLV_MSTATE_FAILED},
        {FLV_CFILE_NEVER, FLV_END_CONFIGURATION, FLV_MSTATE_FAILED},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct rig r;
        set_up(&r);
        r.u.restart = table[i].restart;
        be_running(&r);
        end(&r.d, table[i].reason, 1, "why");
        wait_for(&r, table[i].expected);
        if (table[i].expected == FLV_MSTATE_FAILED) {
            assert_string_equal(flv_unit_reason(&r.u), "why");
        }
        tear_down(&r);
    }
}

static void a_start_that_fails_is_a_failure(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    r.d.refuse = true;
    flv_unit_want(&r.u, FLV_UNIT_RUN);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_RETRYING);
    assert_string_equal(flv_unit_reason(&r.u), "no process to be had");
    r.d.refuse = false;
    while (r.d.proc == NULL) {
        (void)flv_loop_turn(r.d.loop, true);
    }
    tell(&r.d, FLV_TOLD_RUNNING, 0, "");
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_RUNNING);
    tear_down(&r);
}

static void pause_keeps_the_process_and_resume_wakes_it(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    flv_unit_want(&r.u, FLV_UNIT_PAUSE);
    assert_int_equal(r.d.pauses, 1);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_PAUSED);
    tell(&r.d, FLV_TOLD_PAUSED, 1, "");
    flv_unit_want(&r.u, FLV_UNIT_RUN);
    assert_int_equal(r.d.resumes, 1);
    tell(&r.d, FLV_TOLD_RUNNING, 1, "");
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_RUNNING);
    assert_int_equal(r.d.starts, 1);
    tear_down(&r);
}

static void a_paused_connector_that_dies_waits_for_resume(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    flv_unit_want(&r.u, FLV_UNIT_PAUSE);
    end(&r.d, FLV_END_FAILED, 1, "x");
    turns(&r, 50);
    assert_null(r.d.proc);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_PAUSED);
    flv_unit_want(&r.u, FLV_UNIT_RUN);
    assert_non_null(r.d.proc);
    tear_down(&r);
}

static void a_program_without_control_is_stopped_to_pause(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    r.control = false;
    flv_unit_want(&r.u, FLV_UNIT_RUN);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_RUNNING);
    assert_true(flv_unit_process_only(&r.u));
    flv_unit_want(&r.u, FLV_UNIT_PAUSE);
    assert_int_equal(r.d.terms, 1);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_STOPPING);
    end(&r.d, FLV_END_FAILED, -1, "signal 15");
    wait_for(&r, FLV_MSTATE_PAUSED);
    assert_int_equal(r.u.tally.restarts, 0);
    flv_unit_want(&r.u, FLV_UNIT_RUN);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_RUNNING);
    tear_down(&r);
}

static void stopping_goes_from_drain_to_term_to_kill(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    r.d.deaf = true;
    flv_unit_want(&r.u, FLV_UNIT_STOP);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_STOPPING);
    uint64_t limit = flv_clock_mono_ms() + 10000;
    while (r.stopped == 0 && flv_clock_mono_ms() < limit) {
        (void)flv_loop_turn(r.d.loop, true);
    }
    assert_int_equal(r.d.drains, 1);
    assert_int_equal(r.d.terms, 1);
    assert_int_equal(r.d.kills, 1);
    assert_int_equal(r.stopped, 1);
    assert_null(r.d.proc);
    tear_down(&r);
}

static void renewal_drains_before_it_starts(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    flv_unit_renew(&r.u);
    assert_int_equal(r.d.drains, 1);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_STOPPING);
    wait_for(&r, FLV_MSTATE_CREATING);
    assert_int_equal(r.d.starts, 2);
    assert_int_equal(r.u.tally.restarts, 0);
    tear_down(&r);
}

static void renewal_revives_what_is_over(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    end(&r.d, FLV_END_COMPLETED, 0, "");
    wait_for(&r, FLV_MSTATE_COMPLETED);
    flv_unit_renew(&r.u);
    assert_int_equal(r.d.starts, 2);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_CREATING);
    tear_down(&r);
}

static void silence_is_a_stall(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    wait_for(&r, FLV_MSTATE_STALLED);
    assert_true(r.d.pings >= 1);
    assert_string_equal(flv_unit_reason(&r.u),
                        "the process lives and does not answer");
    tell(&r.d, FLV_TOLD_RUNNING, 1, "");
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_RUNNING);
    tear_down(&r);
}

static void counters_add_up_over_runs_and_never_fall(void **state)
{
    struct rig r;
    struct flv_counts n;
    (void)state;
    set_up(&r);
    be_running(&r);
    tell(&r.d, FLV_TOLD_RUNNING, 10, "");
    tell(&r.d, FLV_TOLD_RUNNING, 7, ""); /* a lie */
    flv_unit_counts(&r.u, &n);
    assert_int_equal(n.all[FLV_C_ACKED], 10);
    r.d.proc->end.has_counts = true;
    r.d.proc->end.counts.all[FLV_C_ACKED] = 12;
    end(&r.d, FLV_END_FAILED, 1, "x");
    wait_for(&r, FLV_MSTATE_RETRYING);
    flv_unit_counts(&r.u, &n);
    assert_int_equal(n.all[FLV_C_ACKED], 12);
    while (r.d.proc == NULL) {
        (void)flv_loop_turn(r.d.loop, true);
    }
    tell(&r.d, FLV_TOLD_RUNNING, 5, "");
    flv_unit_counts(&r.u, &n);
    assert_int_equal(n.all[FLV_C_ACKED], 17);
    tear_down(&r);
}

static void stages_add_up_by_their_names(void **state)
{
    struct flv_counts sum = {.stage_count = 1}, one = {.stage_count = 2};
    (void)state;
    sum.stages[0] = (struct flv_stage_count){.name = "b", .all = {1, 2, 3, 4}};
    one.stages[0] =
        (struct flv_stage_count){.name = "a", .module = "m", .all = {5}};
    one.stages[1] =
        (struct flv_stage_count){.name = "b", .module = "n", .all = {10, 20}};
    flv_counts_add(&sum, &one);
    flv_counts_add(&sum, &one);
    assert_int_equal(sum.stage_count, 2);
    assert_string_equal(sum.stages[0].module, "n"); /* the newest */
    assert_int_equal(sum.stages[0].all[FLV_C_IN], 21);
    assert_int_equal(sum.stages[0].all[FLV_C_FAILED], 4);
    assert_string_equal(sum.stages[1].name, "a");
    assert_int_equal(sum.stages[1].all[FLV_C_IN], 10);
}

static void a_new_manager_adopts_what_runs(void **state)
{
    struct rig r;
    struct flv_counts n;
    (void)state;
    set_up(&r);
    r.d.adoptable = true;
    r.d.has_tally = true;
    r.d.tally = (struct flv_tally){.runs = 3};
    r.d.tally.base.all[FLV_C_ACKED] = 100;
    r.d.tally.now.all[FLV_C_ACKED] = 5;
    flv_unit_begin(&r.u, true);
    assert_int_equal(r.d.starts, 0);
    flv_unit_counts(&r.u, &n);
    assert_int_equal(n.all[FLV_C_ACKED], 105);
    tell(&r.d, FLV_TOLD_RUNNING, 6, "");
    flv_unit_counts(&r.u, &n);
    assert_int_equal(n.all[FLV_C_ACKED], 106);
    assert_string_equal(r.events, "adopted running ");
    tear_down(&r);
}

/* Its manager died between the start and the note of it, or the disk was
 * full; or the machine went down while it was paused. */
static void counters_outlive_runs_that_were_not_written_down(void **state)
{
    struct rig r;
    struct flv_counts n;
    (void)state;
    set_up(&r);
    r.d.adoptable = true;
    r.d.has_tally = true;
    r.d.tally = (struct flv_tally){.runs = 1, .ended = true};
    r.d.tally.base.all[FLV_C_ACKED] = 100;
    flv_unit_begin(&r.u, true);
    tell(&r.d, FLV_TOLD_RUNNING, 6, "");
    end(&r.d, FLV_END_FAILED, 1, "x");
    wait_for(&r, FLV_MSTATE_RETRYING);
    flv_unit_counts(&r.u, &n);
    assert_int_equal(n.all[FLV_C_ACKED], 106);
    tear_down(&r);

    set_up(&r);
    r.d.has_tally = true;
    r.d.tally = (struct flv_tally){.runs = 1};
    r.d.tally.now.all[FLV_C_ACKED] = 7;
    r.u.want = FLV_UNIT_PAUSE;
    flv_unit_begin(&r.u, true);
    assert_int_equal(flv_unit_state(&r.u), FLV_MSTATE_PAUSED);
    flv_unit_want(&r.u, FLV_UNIT_RUN);
    tell(&r.d, FLV_TOLD_RUNNING, 1, "");
    flv_unit_counts(&r.u, &n);
    assert_int_equal(n.all[FLV_C_ACKED], 8);
    tear_down(&r);
}

static void a_new_manager_learns_how_it_ended(void **state)
{
    static const struct {
        bool ended; /* the tally knows already */
        enum flv_end_reason reason;
        enum flv_mstate expected;
        unsigned starts;
    } table[] = {
        {false, FLV_END_COMPLETED, FLV_MSTATE_COMPLETED, 0},
        {true, FLV_END_COMPLETED, FLV_MSTATE_COMPLETED, 0},
        {false, FLV_END_STOPPED, FLV_MSTATE_CREATING, 1},
        {true, FLV_END_STOPPED, FLV_MSTATE_CREATING, 1},
        {false, FLV_END_FAILED, FLV_MSTATE_RETRYING, 0},
        {true, FLV_END_CONFIGURATION, FLV_MSTATE_FAILED, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct rig r;
        struct flv_counts n;
        set_up(&r);
        r.d.has_tally = true;
        r.d.tally = (struct flv_tally){
            .runs = 1, .ended = table[i].ended, .end = table[i].reason};
        r.d.tally.now.all[FLV_C_IN] = table[i].ended ? 0 : 4;
        r.d.tally.base.all[FLV_C_IN] = table[i].ended ? 4 : 0;
        r.d.has_last = true;
        r.d.last = (struct flv_ended){.reason = table[i].reason};
        flv_unit_begin(&r.u, true);
        assert_int_equal(flv_unit_state(&r.u), table[i].expected);
        assert_int_equal(r.d.starts, table[i].starts);
        flv_unit_counts(&r.u, &n);
        assert_int_equal(n.all[FLV_C_IN], 4);
        tear_down(&r);
    }
}

static void what_is_stopped_for_good_stays_stopped(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    be_running(&r);
    flv_unit_want(&r.u, FLV_UNIT_STOP);
    flv_unit_want(&r.u, FLV_UNIT_RUN);
    flv_unit_renew(&r.u);
    turns(&r, 60);
    assert_int_equal(r.stopped, 1);
    assert_int_equal(r.d.starts, 1);
    tear_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creating_until_the_connector_says_running),
        cmocka_unit_test(trouble_of_the_connector_is_shown_with_its_cause),
        cmocka_unit_test(a_failure_is_repeated_with_growing_waits),
        cmocka_unit_test(a_start_that_fails_is_counted_and_kept),
        cmocka_unit_test(health_makes_the_waits_short_again),
        cmocka_unit_test(policies_decide_about_every_end),
        cmocka_unit_test(a_start_that_fails_is_a_failure),
        cmocka_unit_test(pause_keeps_the_process_and_resume_wakes_it),
        cmocka_unit_test(a_paused_connector_that_dies_waits_for_resume),
        cmocka_unit_test(a_program_without_control_is_stopped_to_pause),
        cmocka_unit_test(stopping_goes_from_drain_to_term_to_kill),
        cmocka_unit_test(renewal_drains_before_it_starts),
        cmocka_unit_test(renewal_revives_what_is_over),
        cmocka_unit_test(silence_is_a_stall),
        cmocka_unit_test(counters_add_up_over_runs_and_never_fall),
        cmocka_unit_test(stages_add_up_by_their_names),
        cmocka_unit_test(a_new_manager_adopts_what_runs),
        cmocka_unit_test(counters_outlive_runs_that_were_not_written_down),
        cmocka_unit_test(a_new_manager_learns_how_it_ended),
        cmocka_unit_test(what_is_stopped_for_good_stays_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
