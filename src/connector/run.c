#include "connector/run_priv.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/container.h"
#include "base/field.h"
#include "base/log.h"

#define TARGET "connector"
/* The cluster has to answer in this time at the start. */
#define CONNECT_WAIT_MS 1500
#define CONNECT_LIMIT_MS 1900
/* A stop does not wait longer for a compiler, which cannot be interrupted. */
#define COMPILER_WAIT_MS 500

/* --- the end ------------------------------------------------------------- */

static void stream_closed(void *arg)
{
    struct flv__run *r = arg;
    r->stream = NULL;
    flv_loop_stop(r->loop);
}

/* What is still open: topics of dead letters, the stream. */
static void close_next(void *arg)
{
    struct flv__run *r = arg;
    if (r->dead != NULL && !r->dead_closed) {
        r->dead_closed = true;
        flv__dead_close(r->dead, close_next, r);
    } else {
        flv_stream_close(r->stream, stream_closed, r);
    }
}

/* Ends what the start has made so far; the work ends itself before. */
void flv__run_wind_up(struct flv__run *r)
{
    if (r->phase == PHASE_CLOSING) {
        return;
    }
    r->phase = PHASE_CLOSING;
    flv_timer_stop(&r->connect_limit);
    r->kind->close(r, close_next, r);
}

void flv__run_keep_cause(struct flv__run *r, const struct flv_err *err)
{
    if (r->cause.rc == FLV_OK) {
        r->cause = *err;
    }
}

void flv__run_give_up(struct flv__run *r, const struct flv_err *err)
{
    flv__run_keep_cause(r, err);
    flv__run_wind_up(r);
}

static void add_stage(struct flv_control_counts *c,
                      const char *name,
                      const char *module,
                      const struct flv_stage_counts *n)
{
    assert(c->stage_count < FLV_CONTROL_STAGES_MAX);
    struct flv_control_stage *s = &c->stages[c->stage_count++];
    (void)snprintf(s->name, sizeof(s->name), "%.23s", name);
    s->module = module;
    s->n = *n;
}

/* Of a sink they come in the reverse order. */
static void count_stages(const struct flv__run *r, struct flv_control_counts *c)
{
    const struct flv_plan *plan = &r->setup->plan;
    if (r->source != NULL && c->pipeline.protocol.in > 0) {
        add_stage(c, "protocol", NULL, &c->pipeline.protocol);
        add_stage(c, "extract", NULL, &c->pipeline.extract);
    }
    for (size_t i = 0; r->smart != NULL && i < plan->count; i++) {
        struct flv_stage_counts n;
        char name[24];
        (void)snprintf(name, sizeof(name), "smartmodule-%u", (unsigned)i + 1);
        flv__smart_counts(r->smart, i, &n);
        add_stage(c, name, plan->steps[i].uses, &n);
    }
    if (r->source == NULL && c->pipeline.extract.in > 0) {
        add_stage(c, "extract", NULL, &c->pipeline.extract);
        add_stage(c, "protocol", NULL, &c->pipeline.protocol);
    }
}

static void counts(void *arg, struct flv_control_counts *out)
{
    const struct flv__run *r = arg;
    *out = (struct flv_control_counts){0};
    r->kind->counts(r, out);
    if (r->source != NULL || r->reading != NULL) {
        count_stages(r, out);
    }
}

static void leave_exit_file(struct flv__run *r, int code, const char *reason)
{
    struct flv_control_counts n;
    counts(r, &n);
    flv__control_exit(&(struct flv_control_exit){
        .path = r->setup->exit_file,
        .type = r->setup->type,
        .code = code,
        .reason = reason,
        .cause = r->cause.rc != FLV_OK ? &r->cause : NULL,
        .counts = &n,
    });
}

static void stop(struct flv__run *r)
{
    r->stop_asked = true;
    flv__control_phase(&r->control, FLV_CONTROL_DRAINING);
    if (r->phase == PHASE_RUNNING) {
        r->kind->stop(r);
    } else {
        flv__run_wind_up(r);
    }
}

static void on_signal(void *ctx, int signum)
{
    struct flv__run *r = ctx;
    if (signum == SIGHUP) {
        flv__control_reopen_log(&r->control);
        return;
    }
    if (r->stop_asked) {
        flv_log_warn(TARGET, "stopped at once by a second signal",
                     FLV_KV_I64("signal", signum));
        leave_exit_file(r, FLV_EXIT_ABORTED, "aborted");
        _exit(FLV_EXIT_ABORTED);
    }
    flv_log_info(TARGET, "Stop signal received, shutting down connector.",
                 FLV_KV_I64("signal", signum));
    stop(r);
}

static void show_phase(struct flv__run *r)
{
    if (r->phase == PHASE_RUNNING && !r->stop_asked) {
        flv__control_phase(&r->control,
                           r->paused ? FLV_CONTROL_PAUSED : FLV_CONTROL_UP);
    }
}

static void on_command(void *arg, enum flv_control_command cmd)
{
    struct flv__run *r = arg;
    if (r->stop_asked) {
        return;
    }
    if (cmd == FLV_CONTROL_DRAIN) {
        flv_log_info(TARGET, "Stop signal received, shutting down connector.",
                     FLV_KV_STR("signal", "drain"));
        stop(r);
        return;
    }
    r->paused = cmd == FLV_CONTROL_PAUSE;
    if (r->phase == PHASE_RUNNING) {
        flv_log_info(TARGET, r->paused ? "paused" : "resumed");
        r->kind->pause(r);
    }
    show_phase(r);
}

/* --- topics of dead letters ------------------------------------------------
 */

static void on_letter_settled(void *user,
                              const char *topic,
                              uint64_t token,
                              const struct flv_err *err)
{
    struct flv__run *r = user;
    struct flv_err named = {0};
    if (err != NULL) {
        named = *err;
        flv_err_prefix(&named, "the topic \"%.60s\" refuses a batch", topic);
    }
    r->kind->letter_settled(r, token, err != NULL ? &named : NULL);
}

void flv__run_trouble(struct flv__run *r,
                      const char *topic,
                      const struct flv_err *err)
{
    bool reads = r->setup->type->sink != NULL;
    if (err != NULL) {
        flv_log_warn("stream",
                     reads ? "the cluster is away, it is tried again"
                           : "delivery is being repeated",
                     FLV_KV_STR("topic", topic), FLV_KV_ERR(err));
    } else if (r->troubled) {
        flv_log_info("stream",
                     reads ? "the cluster is back" : "delivery works again",
                     FLV_KV_STR("topic", topic));
    }
    r->troubled = err != NULL;
    flv__control_stream(&r->control, err);
}

static void on_writable(void *user)
{
    struct flv__run *r = user;
    r->kind->writable(r);
}

static void
on_letter_trouble(void *user, const char *topic, const struct flv_err *err)
{
    flv__run_trouble(user, topic, err);
}

/* The cluster is lost, also when nothing is under way. */
static void on_link(void *user, const struct flv_err *err)
{
    struct flv__run *r = user;
    if (r->phase != PHASE_RUNNING) {
        return; /* the start has its own words for it */
    }
    if (err == NULL && r->control.link.on) {
        flv_log_info("stream", "the cluster is there again",
                     FLV_KV_STR("cluster", flv_stream_address(r->stream)));
    } else if (err != NULL && !r->control.link.on) {
        flv_log_warn("stream", "the cluster is lost; it is tried again",
                     FLV_KV_STR("cluster", flv_stream_address(r->stream)),
                     FLV_KV_ERR(err));
    }
    flv__control_link(&r->control, err);
}

/* --- the start, step by step --------------------------------------------- */

void flv__run_working(struct flv__run *r)
{
    r->phase = PHASE_RUNNING;
    show_phase(r);
    flv_log_info(TARGET, "Starting Processing",
                 FLV_KV_STR("type", r->setup->type->name),
                 FLV_KV_STR("version", r->setup->type->version),
                 FLV_KV_STR("topic", flv__run_topic(r)),
                 FLV_KV_STR("cluster", flv_stream_address(r->stream)));
}

void flv__run_no_topic(struct flv__run *r)
{
    struct flv_err missing = {0};
    (void)flv_fail(&missing, FLV_E_NOT_FOUND,
                   "the topic \"%.60s\" does not exist; create it with "
                   "`fluvio topic create %.60s`",
                   flv__run_topic(r), flv__run_topic(r));
    flv__run_give_up(r, &missing);
}

static void
no_cluster(const struct flv__run *r, flv_rc rc, int sys, struct flv_err *out)
{
    const char *address = flv_stream_address(r->stream);
    (void)flv_fail(out, FLV_E_CONNECT,
                   "no Fluvio cluster answers at %.60s (%s); start one with "
                   "`fluvio cluster start`",
                   address, flv_rc_text(rc));
    if (sys == ECONNREFUSED && flv_container_here()) {
        flv_err_suffix(out, flv_container_refused(address));
    }
}

struct flv_err flv__run_of_cluster(const struct flv__run *r,
                                   const struct flv_err *err)
{
    struct flv_err said = *err;
    /* One that was too slow says itself what was waited for, and where. */
    if (err->rc == FLV_E_CONNECT || err->rc == FLV_E_CLOSED) {
        no_cluster(r, err->rc, err->sys, &said);
    }
    return said;
}

/* A step of the start failed. */
static void give_up_start(struct flv__run *r, const struct flv_err *err)
{
    const struct flv_err said = flv__run_of_cluster(r, err);
    flv__run_give_up(r, &said);
}

static void begin_work(struct flv__run *r)
{
    r->phase = PHASE_OPENING;
    r->kind->begin(r);
}

static void on_letters_opened(void *user, const struct flv_err *err)
{
    struct flv__run *r = user;
    if (r->phase != PHASE_LETTERS) {
        return;
    }
    if (err != NULL) {
        give_up_start(r, err);
        return;
    }
    begin_work(r);
}

static void open_letters(struct flv__run *r)
{
    const struct flv_plan *plan = &r->setup->plan;
    const struct flv_dead_conf conf = {.stream = r->stream,
                                       .topics = plan->topics,
                                       .lanes = plan->lanes,
                                       .settled = on_letter_settled,
                                       .writable = on_writable,
                                       .trouble = on_letter_trouble,
                                       .user = r};
    struct flv_err err = {0};
    if (plan->lanes <= FLV_LANE_TOPIC + 1) {
        begin_work(r);
        return;
    }
    r->phase = PHASE_LETTERS;
    if (flv__dead_open(&r->dead, &conf, on_letters_opened, r, &err) != FLV_OK) {
        flv__run_give_up(r, &err);
    }
}

static void on_ensured(void *user, const struct flv_err *err, bool created)
{
    struct flv__run *r = user;
    if (r->phase != PHASE_ENSURING) {
        return;
    }
    if (err != NULL) {
        struct flv_err copy = flv__run_of_cluster(r, err);
        flv_err_prefix(&copy, "the topic \"%.60s\" cannot be created",
                       flv__run_topic(r));
        flv__run_give_up(r, &copy);
        return;
    }
    if (created) {
        flv_log_info(TARGET, "topic successfully created",
                     FLV_KV_STR("topic", flv__run_topic(r)));
    }
    open_letters(r);
}

static void ensure_topic(struct flv__run *r)
{
    const struct flv_setup *s = r->setup;
    if (!s->has_file || !s->file.create_topic) {
        open_letters(r);
        return;
    }
    const struct flv_cfile_topic *t = &s->file.topic;
    struct flv_topic_conf conf = flv_topic_conf_default(flv__run_topic(r));
    conf.partitions = t->partitions;
    conf.replication = t->replication;
    conf.ignore_rack = t->ignore_rack;
    conf.retention_s = t->retention_s;
    conf.segment_size_bytes = t->segment_size_bytes;
    conf.partition_bytes_max = t->partition_bytes_max;
    const struct flv_dedup dedup = {FLV_DOC_DEDUP_FIELDS(&t->dedup)};
    conf.dedup = dedup.filter != NULL ? &dedup : NULL;
    struct flv_err err = {0};
    flv_rc rc = FLV_OK;
    if (t->compression != NULL) {
        rc = flv_compression_parse(t->compression, &conf.compression, &err);
    }
    r->phase = PHASE_ENSURING;
    if (rc == FLV_OK) {
        rc = flv_stream_topic_ensure(r->stream, &conf, on_ensured, r, &err);
    }
    if (rc != FLV_OK) {
        flv__run_give_up(r, &err);
    }
}

static void on_modules(void *user, const struct flv_err *err)
{
    struct flv__run *r = user;
    if (r->phase != PHASE_MODULES) {
        return;
    }
    if (err != NULL) {
        give_up_start(r, err);
        return;
    }
    ensure_topic(r);
}

static void open_modules(struct flv__run *r)
{
    struct flv_setup *s = r->setup;
    const struct flv_smart_conf conf = {
        .loop = r->loop,
        .plan = &s->plan,
        .name = s->has_file ? s->file.name : s->type->name,
        .type = s->type->name,
        .origins = s->type->sink != NULL,
    };
    struct flv_err err = {0};
    if (s->plan.count == 0) {
        ensure_topic(r);
        return;
    }
    r->phase = PHASE_MODULES;
    if (flv__smart_create(&r->smart, &conf, &err) != FLV_OK) {
        flv__run_give_up(r, &err);
        return;
    }
    flv__smart_open(r->smart, r->stream, on_modules, r);
}

/* There is no cluster to begin with. */
static void give_up_cluster(struct flv__run *r, flv_rc rc, int sys)
{
    struct flv_err none = {0};
    no_cluster(r, rc, sys, &none);
    flv__run_give_up(r, &none);
}

static void on_connected(void *user, const struct flv_err *err)
{
    struct flv__run *r = user;
    if (r->phase != PHASE_CONNECTING) {
        return;
    }
    flv_timer_stop(&r->connect_limit);
    if (err == NULL) {
        open_modules(r);
    } else if (flv_rc_class(err->rc) == FLV_CLASS_RETRY) {
        give_up_cluster(r, err->rc, err->sys);
    } else {
        flv__run_give_up(r, err);
    }
}

static void on_connect_limit(struct flv_timer *timer)
{
    struct flv__run *r = FLV_OWNER_OF(timer, struct flv__run, connect_limit);
    if (r->phase == PHASE_CONNECTING) {
        give_up_cluster(r, FLV_E_TIMEOUT, 0);
    }
}

static flv_rc make_stream(struct flv__run *r, struct flv_err *err)
{
    const struct flv_shared_conf *shared = flv__setup_shared(r->setup);
    char client_id[128];
    (void)snprintf(client_id, sizeof(client_id), "fluvio_connector_%.100s",
                   r->setup->has_file ? r->setup->file.name
                                      : r->setup->type->name);
    const struct flv_stream_conf conf = {.address = shared->cluster,
                                         .profile = shared->profile,
                                         .client_id = client_id,
                                         .link = on_link,
                                         .user = r};
    flv_rc rc = flv_stream_create(&r->stream, r->loop, &conf, err);
    if (rc == FLV_E_NOT_FOUND) {
        char why[FLV_ERR_TEXT_MAX];
        (void)snprintf(why, sizeof(why), "%s", err->text);
        const char *fix =
            flv_container_here()
                ? "mount the host's with -v "
                  "\"$HOME/.fluvio/config:/home/fluvio/.fluvio/config\""
                : "start a cluster with `fluvio cluster start`";
        return flv_fail(err, rc,
                        "%.60s; %s, or name one with --cluster HOST:PORT", why,
                        fix);
    }
    return rc;
}

static flv_rc open_control(struct flv__run *r, struct flv_err *err)
{
    const struct flv_shared_conf *shared = flv__setup_shared(r->setup);
    const struct flv_control_conf conf = {
        .loop = r->loop,
        .type = r->setup->type,
        .fd = shared->control_fd > 0 ? (int)shared->control_fd : -1,
        .log_file = shared->log_file,
        .command = on_command,
        .counts = counts,
        .arg = r,
    };
    flv_rc rc = flv__control_open(&r->control, &conf, err);
    if (rc == FLV_OK && shared->log_file != NULL) {
        flv__control_reopen_log(&r->control);
        rc = flv_loop_on_signal(r->loop, SIGHUP, on_signal, r, err);
    }
    return rc;
}

static flv_rc start(struct flv__run *r, struct flv_err *err)
{
    flv_rc rc = flv_loop_create(&r->loop, 0, err);
    if (rc == FLV_OK) {
        flv_timer_init(&r->connect_limit, r->loop, on_connect_limit);
        rc = flv_loop_on_signal(r->loop, SIGTERM, on_signal, r, err);
    }
    if (rc == FLV_OK) {
        rc = flv_loop_on_signal(r->loop, SIGINT, on_signal, r, err);
    }
    if (rc == FLV_OK) {
        rc = open_control(r, err);
    }
    if (rc == FLV_OK) {
        rc = make_stream(r, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    rc = flv_timer_start(&r->connect_limit, CONNECT_LIMIT_MS, 0, err);
    if (rc == FLV_OK) {
        rc = flv_stream_connect(r->stream, CONNECT_WAIT_MS, on_connected, r,
                                err);
    }
    if (rc != FLV_OK) {
        flv__run_give_up(r, err);
    }
    return FLV_OK;
}

/* --- the report ---------------------------------------------------------- */

static void log_counters(const struct flv__run *r)
{
    struct flv_control_counts all = {0};
    r->kind->counts(r, &all);
    const struct flv_pipeline_counts n = all.pipeline;
    const char *const *names = r->setup->type->counters;
    struct flv_kv kv[FLV_COUNTERS_MAX];
    unsigned count = 0;
    for (; names != NULL && names[count] != NULL; count++) {
        assert(count < FLV_COUNTERS_MAX);
        kv[count] = FLV_KV_U64(names[count], all.own[count]);
    }
    for (unsigned i = count; i < FLV_COUNTERS_MAX; i++) {
        kv[i] = FLV_KV_END;
    }
    flv_log_info(TARGET, "stopped", FLV_KV_U64("in", n.stages.in),
                 FLV_KV_U64("passed", n.stages.passed),
                 FLV_KV_U64("filtered", n.stages.filtered),
                 FLV_KV_U64("failed", n.stages.failed),
                 FLV_KV_U64("out", n.out), FLV_KV_U64("acked", n.acked),
                 FLV_KV_U64("discarded", n.stages.discarded),
                 FLV_KV_U64("dead_lettered", n.dead_lettered), kv[0], kv[1],
                 kv[2], kv[3], kv[4], kv[5], kv[6], kv[7]);
}

/* What another start would only run into again, or, of two instances under
 * one name, only turn around: a person has to decide. */
static bool is_final(const struct flv__run *r)
{
    return r->unfit || r->cause.rc == FLV_E_LOCKED;
}

static int report(struct flv__run *r, bool ended)
{
    if (r->smart != NULL && ended) {
        flv__smart_log(r->smart);
    }
    if (r->source != NULL || r->reading != NULL) {
        log_counters(r);
    }
    if (r->cause.rc != FLV_OK) {
        (void)fprintf(stderr, "error: %s\n", r->cause.text);
        leave_exit_file(r, FLV_EXIT_FAILURE,
                        is_final(r) ? "configuration" : "failed");
        return FLV_EXIT_FAILURE;
    }
    leave_exit_file(r, FLV_EXIT_DONE, r->stop_asked ? "stopped" : "completed");
    return FLV_EXIT_DONE;
}

int flv__connector_run(struct flv_setup *setup)
{
    struct flv__run *r = &(struct flv__run){
        .setup = setup,
        .kind = setup->type->sink != NULL ? &flv__run_sink : &flv__run_source,
    };
    struct flv_err err = {0};
    if (start(r, &err) == FLV_OK) {
        flv_loop_hold(r->loop);
        flv_loop_run(r->loop);
        flv_loop_release(r->loop);
        assert(r->phase == PHASE_CLOSING && r->stream == NULL);
    } else {
        flv__run_keep_cause(r, &err);
    }
    bool ended = flv__smart_end(r->smart, COMPILER_WAIT_MS);
    int code = report(r, ended);
    flv__control_close(&r->control);
    if (!ended) {
        /* All that others see is done; what is left is memory. */
        (void)fflush(NULL);
        _exit(code);
    }
    flv__smart_destroy(r->smart);
    flv__dead_destroy(r->dead);
    r->kind->destroy(r);
    if (r->loop != NULL) {
        flv_loop_run(r->loop); /* what is closed still says so */
        flv_loop_destroy(r->loop);
    }
    return code;
}
