#include "connector/run.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/container.h"
#include "base/field.h"
#include "base/log.h"
#include "connector/control.h"
#include "connector/dead.h"
#include "connector/pipeline.h"
#include "connector/smart.h"
#include "stream/stream.h"

#define TARGET "connector"
/* The cluster has to answer in this time at the start. */
#define CONNECT_WAIT_MS 1500
#define CONNECT_LIMIT_MS 1900
/* How often it is looked whether records get acknowledged, after how many
 * looks without one the connector is stalled, and how often the log is told. */
#define WATCH_MS 1000
#define STALL_LOOKS 2
#define LOG_LOOKS 5
/* A stop does not wait longer for a compiler, which cannot be interrupted. */
#define COMPILER_WAIT_MS 500
/* Delivery after a stop; containers are killed after 10 s. */
#define DRAIN_MS 8000

/* CONNECTING -> (MODULES) -> (ENSURING) -> (LETTERS) -> OPENING -> RUNNING ->
 * CLOSING; a stop or failure goes to CLOSING from anywhere. */
enum phase {
    PHASE_CONNECTING,
    PHASE_MODULES,
    PHASE_ENSURING,
    PHASE_LETTERS,
    PHASE_OPENING,
    PHASE_RUNNING,
    PHASE_CLOSING,
};

struct run {
    struct flv_setup *setup; /* borrowed */
    struct flv_loop *loop;
    struct flv_stream *stream;
    struct flv_writer *writer;
    struct flv_smart *smart; /* NULL: no SmartModules */
    struct flv_dead *dead;   /* NULL: no topics of dead letters */
    struct flv_source *source;
    struct flv_control control;
    struct flv_timer connect_limit;
    struct flv_timer watch;
    uint64_t watched_acked; /* at the last look */
    unsigned idle_looks;    /* in a row, while records waited */
    struct flv_err cause;   /* the first */
    enum phase phase;
    bool stop_asked;
    bool paused;
    bool dead_closed;
    bool troubled; /* the stream said that it repeats something */
};

static const char *topic_of(struct run *r)
{
    return flv__setup_shared(r->setup)->fluvio_topic;
}

/* --- the end ------------------------------------------------------------- */

static void stream_closed(void *arg)
{
    struct run *r = arg;
    r->stream = NULL;
    flv_loop_stop(r->loop);
}

/* What is still open: the writer, those of dead letters, the stream. */
static void close_next(void *arg)
{
    struct run *r = arg;
    struct flv_writer *writer = r->writer;
    r->writer = NULL;
    if (writer != NULL) {
        flv_writer_close(writer, 0, close_next, r);
    } else if (r->dead != NULL && !r->dead_closed) {
        r->dead_closed = true;
        flv__dead_close(r->dead, close_next, r);
    } else {
        flv_stream_close(r->stream, stream_closed, r);
    }
}

/* Ends what the start has made so far; the pipeline ends itself before. */
static void wind_up(struct run *r)
{
    if (r->phase == PHASE_CLOSING) {
        return;
    }
    r->phase = PHASE_CLOSING;
    flv_timer_stop(&r->connect_limit);
    flv_timer_stop(&r->watch);
    close_next(r);
}

static void keep_cause(struct run *r, const struct flv_err *err)
{
    if (r->cause.rc == FLV_OK) {
        r->cause = *err;
    }
}

static void give_up(struct run *r, const struct flv_err *err)
{
    keep_cause(r, err);
    wind_up(r);
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

static void count_stages(const struct run *r, struct flv_control_counts *c)
{
    const struct flv_plan *plan = &r->setup->plan;
    if (c->pipeline.protocol.in > 0) {
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
}

static void counts(void *arg, struct flv_control_counts *out)
{
    const struct run *r = arg;
    *out = (struct flv_control_counts){0};
    if (r->source != NULL) {
        flv__pipeline_counts(r->source, &out->pipeline);
        count_stages(r, out);
        for (unsigned i = 0; i < FLV_COUNTERS_MAX; i++) {
            out->own[i] = flv__pipeline_counter(r->source, i);
        }
    }
}

static void leave_exit_file(struct run *r, int code, const char *reason)
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

static void stop(struct run *r)
{
    r->stop_asked = true;
    flv__control_phase(&r->control, FLV_CONTROL_DRAINING);
    if (r->phase == PHASE_RUNNING) {
        flv__pipeline_stop(r->source);
    } else {
        wind_up(r);
    }
}

static void on_signal(void *ctx, int signum)
{
    struct run *r = ctx;
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

static void show_phase(struct run *r)
{
    if (r->phase == PHASE_RUNNING && !r->stop_asked) {
        flv__control_phase(&r->control,
                           r->paused ? FLV_CONTROL_PAUSED : FLV_CONTROL_UP);
    }
}

static void on_command(void *arg, enum flv_control_command cmd)
{
    struct run *r = arg;
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
        flv__pipeline_pause(r->source, r->paused);
    }
    show_phase(r);
}

/* --- the stream below the pipeline --------------------------------------- */

static flv_rc out_append(void *out,
                         uint32_t lane,
                         const struct flv_msg *msgs,
                         size_t count,
                         uint64_t token,
                         struct flv_err *err)
{
    struct run *r = out;
    return lane == FLV_LANE_TOPIC
               ? flv_writer_append(r->writer, msgs, count, token, err)
               : flv__dead_append(r->dead, lane, msgs, count, token, err);
}

static void out_push(void *out)
{
    struct run *r = out;
    flv_writer_push(r->writer);
    if (r->dead != NULL) {
        flv__dead_push(r->dead);
    }
}

/* The writer outlives the pipeline by its last callback. */
static void out_close(void *out, void (*closed)(void *arg), void *arg)
{
    struct run *r = out;
    struct flv_writer *writer = r->writer;
    r->writer = NULL;
    flv_writer_close(writer, 0, closed, arg);
}

static const struct flv_out_ops out_ops = {
    .append = out_append, .push = out_push, .close = out_close};

static void settled(struct run *r,
                    const char *topic,
                    uint64_t token,
                    const struct flv_err *err)
{
    if (r->source == NULL) {
        return;
    }
    struct flv_err named = {0};
    if (err != NULL) {
        named = *err;
        flv_err_prefix(&named, "the topic \"%.60s\" refuses a batch", topic);
    }
    flv__pipeline_settled(r->source, token, err != NULL ? &named : NULL);
    if (err == NULL) {
        flv__control_stall(&r->control, NULL);
        flv__control_stream(&r->control, NULL);
    }
}

static void on_settled(void *user, uint64_t token, const struct flv_err *err)
{
    struct run *r = user;
    settled(r, topic_of(r), token, err);
}

static void on_letter_settled(void *user,
                              const char *topic,
                              uint64_t token,
                              const struct flv_err *err)
{
    settled(user, topic, token, err);
}

static void on_writable(void *user)
{
    struct run *r = user;
    if (r->source != NULL) {
        flv__pipeline_writable(r->source);
    }
}

static void trouble(struct run *r, const char *topic, const struct flv_err *err)
{
    if (err != NULL) {
        flv_log_warn("stream", "delivery is being repeated",
                     FLV_KV_STR("topic", topic), FLV_KV_ERR(err));
    } else if (r->troubled) {
        flv_log_info("stream", "delivery works again",
                     FLV_KV_STR("topic", topic));
    }
    r->troubled = err != NULL;
    flv__control_stream(&r->control, err);
}

static void on_trouble(void *user, const struct flv_err *err)
{
    struct run *r = user;
    trouble(r, topic_of(r), err);
}

static void
on_letter_trouble(void *user, const char *topic, const struct flv_err *err)
{
    trouble(user, topic, err);
}

/* The cluster is lost, also when nothing is under way. */
static void on_link(void *user, const struct flv_err *err)
{
    struct run *r = user;
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

/* What the source says of its far side. */
static void on_told(void *arg, const struct flv_err *err, uint64_t retry_in_ms)
{
    struct run *r = arg;
    flv__control_source(&r->control, err, retry_in_ms);
}

static void note_stall(struct run *r, uint64_t waiting)
{
    struct flv_err err = {0};
    (void)flv_fail(&err, FLV_E_TIMEOUT,
                   "%llu records wait for the acknowledgement of the topic "
                   "\"%.60s\" at %.60s",
                   (unsigned long long)waiting, topic_of(r),
                   flv_stream_address(r->stream));
    flv__control_stall(&r->control, &err);
    if (r->idle_looks % LOG_LOOKS == 0) {
        flv_log_warn("stream", "records wait for their acknowledgement",
                     FLV_KV_STR("topic", topic_of(r)),
                     FLV_KV_STR("cluster", flv_stream_address(r->stream)),
                     FLV_KV_U64("waiting", waiting));
        r->troubled = true;
    }
}

/* A lost cluster may be silent; log and state say that records wait. */
static void on_watch(struct flv_timer *timer)
{
    struct run *r = FLV_OWNER_OF(timer, struct run, watch);
    struct flv_pipeline_counts n;
    flv__pipeline_counts(r->source, &n);
    uint64_t out = n.out + n.letters, acked = n.acked + n.dead_lettered;
    bool waits = out > acked && acked == r->watched_acked;
    r->idle_looks = waits ? r->idle_looks + 1 : 0;
    if (r->idle_looks >= STALL_LOOKS) {
        note_stall(r, out - acked);
    } else if (!waits) {
        flv__control_stall(&r->control, NULL);
        if (r->troubled && acked > r->watched_acked) {
            on_trouble(r, NULL);
        }
    }
    r->watched_acked = acked;
}

static void pipeline_done(void *arg)
{
    struct run *r = arg;
    const struct flv_err *cause = flv__pipeline_cause(r->source);
    if (cause != NULL) {
        keep_cause(r, cause);
    }
    wind_up(r);
}

/* --- the start, step by step --------------------------------------------- */

static void start_pipeline(struct run *r)
{
    struct flv_err err = {0};
    const struct flv_pipeline_conf conf = {
        .loop = r->loop,
        .type = r->setup->type,
        .name = r->setup->has_file ? r->setup->file.name : NULL,
        .topic = topic_of(r),
        .conf = flv__setup_own(r->setup),
        .stage = r->smart != NULL ? flv__smart_stage(r->smart) : NULL,
        .out_ops = &out_ops,
        .out = r,
        .drain_ms = DRAIN_MS,
        .done = pipeline_done,
        .told = on_told,
        .arg = r,
    };
    if (flv__pipeline_open(&r->source, &conf, &err) != FLV_OK) {
        give_up(r, &err);
        return;
    }
    if (r->smart != NULL) {
        flv__smart_attach(r->smart, r->source);
    }
    r->phase = PHASE_RUNNING;
    flv__pipeline_pause(r->source, r->paused);
    show_phase(r);
    if (flv_timer_start(&r->watch, WATCH_MS, WATCH_MS, &err) != FLV_OK) {
        flv__pipeline_fail(r->source, &err);
    }
    flv_log_info(TARGET, "Starting Processing",
                 FLV_KV_STR("type", r->setup->type->name),
                 FLV_KV_STR("version", r->setup->type->version),
                 FLV_KV_STR("topic", topic_of(r)),
                 FLV_KV_STR("cluster", flv_stream_address(r->stream)));
}

static void on_shown(void *user, const struct flv_err *err)
{
    struct run *r = user;
    if (r->phase != PHASE_OPENING) {
        return;
    }
    if (err != NULL) {
        give_up(r, err);
    } else {
        start_pipeline(r);
    }
}

static void on_opened(void *user, const struct flv_err *err)
{
    struct run *r = user;
    if (r->phase != PHASE_OPENING) {
        return;
    }
    if (err != NULL && err->rc == FLV_E_NOT_FOUND) {
        struct flv_err missing = {0};
        (void)flv_fail(&missing, FLV_E_NOT_FOUND,
                       "the topic \"%.60s\" does not exist; create it with "
                       "`fluvio topic create %.60s`",
                       topic_of(r), topic_of(r));
        give_up(r, &missing);
    } else if (err != NULL) {
        give_up(r, err);
    } else if (r->smart != NULL) {
        flv__smart_look_back(r->smart, on_shown, r);
    } else {
        start_pipeline(r);
    }
}

static void open_writer(struct run *r)
{
    struct flv_shared_conf *shared = flv__setup_shared(r->setup);
    struct flv_opts *opts = flv_args_opts(&r->setup->args);
    struct flv_writer_conf conf = flv_writer_conf_default(shared->fluvio_topic);
    if (flv_opts_given(opts, "producer-linger")) {
        conf.linger_ms = (uint32_t)shared->linger_ms;
    }
    if (flv_opts_given(opts, "producer-batch-size")) {
        conf.batch_size_bytes = (uint32_t)shared->batch_size_bytes;
    }
    if (flv_opts_given(opts, "producer-compression")) {
        conf.compression = (enum flv_compression)shared->compression;
    }
    conf.settled = on_settled;
    conf.writable = on_writable;
    conf.trouble = on_trouble;
    conf.user = r;
    struct flv_err err = {0};
    r->phase = PHASE_OPENING;
    if (flv_writer_open(&r->writer, r->stream, &conf, on_opened, r, &err) !=
        FLV_OK) {
        give_up(r, &err);
    }
}

static void on_letters_opened(void *user, const struct flv_err *err)
{
    struct run *r = user;
    if (r->phase != PHASE_LETTERS) {
        return;
    }
    if (err != NULL) {
        give_up(r, err);
        return;
    }
    open_writer(r);
}

static void open_letters(struct run *r)
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
        open_writer(r);
        return;
    }
    r->phase = PHASE_LETTERS;
    if (flv__dead_open(&r->dead, &conf, on_letters_opened, r, &err) != FLV_OK) {
        give_up(r, &err);
    }
}

static void on_ensured(void *user, const struct flv_err *err, bool created)
{
    struct run *r = user;
    if (r->phase != PHASE_ENSURING) {
        return;
    }
    if (err != NULL) {
        struct flv_err copy = *err;
        flv_err_prefix(&copy, "the topic \"%.60s\" cannot be created",
                       topic_of(r));
        give_up(r, &copy);
        return;
    }
    if (created) {
        flv_log_info(TARGET, "topic successfully created",
                     FLV_KV_STR("topic", topic_of(r)));
    }
    open_letters(r);
}

static void ensure_topic(struct run *r)
{
    const struct flv_setup *s = r->setup;
    if (!s->has_file || !s->file.create_topic) {
        open_letters(r);
        return;
    }
    const struct flv_cfile_topic *t = &s->file.topic;
    struct flv_topic_conf conf = flv_topic_conf_default(topic_of(r));
    conf.partitions = t->partitions;
    conf.replication = t->replication;
    conf.ignore_rack = t->ignore_rack;
    conf.retention_s = t->retention_s;
    conf.segment_size_bytes = t->segment_size_bytes;
    conf.partition_bytes_max = t->partition_bytes_max;
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
        give_up(r, &err);
    }
}

static void on_modules(void *user, const struct flv_err *err)
{
    struct run *r = user;
    if (r->phase != PHASE_MODULES) {
        return;
    }
    if (err != NULL) {
        give_up(r, err);
        return;
    }
    ensure_topic(r);
}

static void open_modules(struct run *r)
{
    struct flv_setup *s = r->setup;
    const struct flv_smart_conf conf = {
        .loop = r->loop,
        .plan = &s->plan,
        .name = s->has_file ? s->file.name : s->type->name,
        .type = s->type->name,
    };
    struct flv_err err = {0};
    if (s->plan.count == 0) {
        ensure_topic(r);
        return;
    }
    r->phase = PHASE_MODULES;
    if (flv__smart_create(&r->smart, &conf, &err) != FLV_OK) {
        give_up(r, &err);
        return;
    }
    flv__smart_open(r->smart, r->stream, on_modules, r);
}

static void no_cluster(struct run *r, flv_rc rc, int sys)
{
    const char *address = flv_stream_address(r->stream);
    struct flv_err err = {0};
    (void)flv_fail(&err, FLV_E_CONNECT,
                   "no Fluvio cluster answers at %.60s (%s); start one with "
                   "`fluvio cluster start`",
                   address, flv_rc_text(rc));
    if (sys == ECONNREFUSED && flv_container_here()) {
        flv_err_suffix(&err, flv_container_refused(address));
    }
    give_up(r, &err);
}

static void on_connected(void *user, const struct flv_err *err)
{
    struct run *r = user;
    if (r->phase != PHASE_CONNECTING) {
        return;
    }
    flv_timer_stop(&r->connect_limit);
    if (err == NULL) {
        open_modules(r);
    } else if (flv_rc_class(err->rc) == FLV_CLASS_RETRY) {
        no_cluster(r, err->rc, err->sys);
    } else {
        give_up(r, err);
    }
}

static void on_connect_limit(struct flv_timer *timer)
{
    struct run *r = FLV_OWNER_OF(timer, struct run, connect_limit);
    if (r->phase == PHASE_CONNECTING) {
        no_cluster(r, FLV_E_TIMEOUT, 0);
    }
}

static flv_rc make_stream(struct run *r, struct flv_err *err)
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

static flv_rc open_control(struct run *r, struct flv_err *err)
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

static flv_rc start(struct run *r, struct flv_err *err)
{
    flv_rc rc = flv_loop_create(&r->loop, 0, err);
    if (rc == FLV_OK) {
        flv_timer_init(&r->connect_limit, r->loop, on_connect_limit);
        flv_timer_init(&r->watch, r->loop, on_watch);
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
        give_up(r, err);
    }
    return FLV_OK;
}

/* --- the report ---------------------------------------------------------- */

static void log_counters(const struct run *r)
{
    struct flv_pipeline_counts n;
    flv__pipeline_counts(r->source, &n);
    const char *const *names = r->setup->type->counters;
    struct flv_kv kv[FLV_COUNTERS_MAX];
    unsigned count = 0;
    for (; names != NULL && names[count] != NULL; count++) {
        assert(count < FLV_COUNTERS_MAX);
        kv[count] =
            FLV_KV_U64(names[count], flv__pipeline_counter(r->source, count));
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

static int report(struct run *r, bool ended)
{
    if (r->smart != NULL && ended) {
        flv__smart_log(r->smart);
    }
    if (r->source != NULL) {
        log_counters(r);
    }
    if (r->cause.rc != FLV_OK) {
        (void)fprintf(stderr, "error: %s\n", r->cause.text);
        leave_exit_file(r, FLV_EXIT_FAILURE, "failed");
        return FLV_EXIT_FAILURE;
    }
    leave_exit_file(r, FLV_EXIT_DONE, r->stop_asked ? "stopped" : "completed");
    return FLV_EXIT_DONE;
}

int flv__connector_run(struct flv_setup *setup)
{
    struct run *r = &(struct run){.setup = setup};
    struct flv_err err = {0};
    if (start(r, &err) == FLV_OK) {
        flv_loop_hold(r->loop);
        flv_loop_run(r->loop);
        flv_loop_release(r->loop);
        assert(r->phase == PHASE_CLOSING && r->stream == NULL);
    } else {
        keep_cause(r, &err);
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
    flv__pipeline_destroy(r->source);
    if (r->loop != NULL) {
        flv_loop_run(r->loop); /* what is closed still says so */
        flv_loop_destroy(r->loop);
    }
    return code;
}
