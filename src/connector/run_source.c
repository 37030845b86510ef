/* The work of a source: the pipeline over a writer of the topic. */
#include "connector/run_priv.h"

#include <assert.h>

#include "base/field.h"
#include "base/log.h"
#include "connector/pipeline.h"

#define TARGET "connector"
/* How often it is looked whether records get acknowledged, after how many
 * looks without one the connector is stalled, and how often the log is told. */
#define WATCH_MS 1000
#define STALL_LOOKS 2
#define LOG_LOOKS 5

/* --- the stream below the pipeline --------------------------------------- */

static flv_rc out_append(void *out,
                         uint32_t lane,
                         const struct flv_msg *msgs,
                         size_t count,
                         uint64_t token,
                         struct flv_err *err)
{
    struct flv__run *r = out;
    return lane == FLV_LANE_TOPIC
               ? flv_writer_append(r->writer, msgs, count, token, err)
               : flv__dead_append(r->dead, lane, msgs, count, token, err);
}

static void out_push(void *out)
{
    struct flv__run *r = out;
    flv_writer_push(r->writer);
    if (r->dead != NULL) {
        flv__dead_push(r->dead);
    }
}

/* The writer outlives the pipeline by its last callback. */
static void out_close(void *out, void (*closed)(void *arg), void *arg)
{
    struct flv__run *r = out;
    struct flv_writer *writer = r->writer;
    r->writer = NULL;
    flv_writer_close(writer, 0, closed, arg);
}

static const struct flv_out_ops out_ops = {
    .append = out_append, .push = out_push, .close = out_close};

static void
letter_settled(struct flv__run *r, uint64_t token, const struct flv_err *err);

static void on_settled(void *user, uint64_t token, const struct flv_err *err)
{
    struct flv__run *r = user;
    struct flv_err named = {0};
    if (err != NULL) {
        named = *err;
        flv_err_prefix(&named, "the topic \"%.60s\" refuses a batch",
                       flv__run_topic(r));
    }
    letter_settled(r, token, err != NULL ? &named : NULL);
}

static void on_writable(void *user)
{
    struct flv__run *r = user;
    r->kind->writable(r);
}

static void on_trouble(void *user, const struct flv_err *err)
{
    struct flv__run *r = user;
    flv__run_trouble(r, flv__run_topic(r), err);
}

/* What the source says of its far side. */
static void on_told(void *arg, const struct flv_err *err, uint64_t retry_in_ms)
{
    struct flv__run *r = arg;
    flv__control_source(&r->control, err, retry_in_ms);
}

static void note_stall(struct flv__run *r, uint64_t waiting)
{
    struct flv_err err = {0};
    (void)flv_fail(&err, FLV_E_TIMEOUT,
                   "%llu records wait for the acknowledgement of the topic "
                   "\"%.60s\" at %.60s",
                   (unsigned long long)waiting, flv__run_topic(r),
                   flv_stream_address(r->stream));
    flv__control_stall(&r->control, &err);
    if (r->idle_looks % LOG_LOOKS == 0) {
        flv_log_warn("stream", "records wait for their acknowledgement",
                     FLV_KV_STR("topic", flv__run_topic(r)),
                     FLV_KV_STR("cluster", flv_stream_address(r->stream)),
                     FLV_KV_U64("waiting", waiting));
        r->troubled = true;
    }
}

/* A lost cluster may be silent; log and state say that records wait. */
static void on_watch(struct flv_timer *timer)
{
    struct flv__run *r = FLV_OWNER_OF(timer, struct flv__run, watch);
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
    struct flv__run *r = arg;
    const struct flv_err *cause = flv__pipeline_cause(r->source);
    if (cause != NULL) {
        flv__run_keep_cause(r, cause);
    }
    flv__run_wind_up(r);
}

/* --- the start ------------------------------------------------------------ */

static void on_staged(void *arg, const struct flv_stage_result *result)
{
    flv__pipeline_staged(arg, result);
}

static void start_pipeline(struct flv__run *r)
{
    struct flv_err err = {0};
    const struct flv_pipeline_conf conf = {
        .loop = r->loop,
        .type = r->setup->type,
        .name = r->setup->has_file ? r->setup->file.name : NULL,
        .topic = flv__run_topic(r),
        .conf = flv__setup_own(r->setup),
        .stage = r->smart != NULL ? flv__smart_stage(r->smart) : NULL,
        .out_ops = &out_ops,
        .out = r,
        .drain_ms = FLV__DRAIN_MS,
        .done = pipeline_done,
        .told = on_told,
        .arg = r,
    };
    if (flv__pipeline_open(&r->source, &conf, &err) != FLV_OK) {
        flv__run_give_up(r, &err);
        return;
    }
    if (r->smart != NULL) {
        flv__smart_attach(r->smart, on_staged, r->source);
    }
    flv__pipeline_pause(r->source, r->paused);
    flv__run_working(r);
    if (flv_timer_start(&r->watch, WATCH_MS, WATCH_MS, &err) != FLV_OK) {
        flv__pipeline_fail(r->source, &err);
    }
}

static void on_shown(void *user, const struct flv_err *err)
{
    struct flv__run *r = user;
    if (r->phase != PHASE_OPENING) {
        return;
    }
    if (err != NULL) {
        const struct flv_err said = flv__run_of_cluster(r, err);
        flv__run_give_up(r, &said);
    } else {
        start_pipeline(r);
    }
}

static void on_opened(void *user, const struct flv_err *err)
{
    struct flv__run *r = user;
    if (r->phase != PHASE_OPENING) {
        return;
    }
    if (err != NULL && err->rc == FLV_E_NOT_FOUND) {
        flv__run_no_topic(r);
    } else if (err != NULL) {
        const struct flv_err said = flv__run_of_cluster(r, err);
        flv__run_give_up(r, &said);
    } else if (r->smart != NULL) {
        flv__smart_look_back(r->smart, on_shown, r);
    } else {
        start_pipeline(r);
    }
}

static void begin(struct flv__run *r)
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
    flv_timer_init(&r->watch, r->loop, on_watch);
    if (flv_writer_open(&r->writer, r->stream, &conf, on_opened, r, &err) !=
        FLV_OK) {
        flv__run_give_up(r, &err);
    }
}

/* --- what run.c asks -------------------------------------------------------
 */

static void stop(struct flv__run *r)
{
    flv__pipeline_stop(r->source);
}

static void pause(struct flv__run *r)
{
    flv__pipeline_pause(r->source, r->paused);
}

static void close_all(struct flv__run *r, flv_closed_fn closed, void *arg)
{
    struct flv_writer *writer = r->writer;
    flv_timer_stop(&r->watch);
    r->writer = NULL;
    if (writer != NULL) {
        flv_writer_close(writer, 0, closed, arg);
    } else {
        closed(arg);
    }
}

static void counts(const struct flv__run *r, struct flv_control_counts *out)
{
    if (r->source == NULL) {
        return;
    }
    flv__pipeline_counts(r->source, &out->pipeline);
    for (unsigned i = 0; i < FLV_COUNTERS_MAX; i++) {
        out->own[i] = flv__pipeline_counter(r->source, i);
    }
}

static void
letter_settled(struct flv__run *r, uint64_t token, const struct flv_err *err)
{
    if (r->source == NULL) {
        return;
    }
    flv__pipeline_settled(r->source, token, err);
    if (err == NULL) {
        flv__control_stall(&r->control, NULL);
        flv__control_stream(&r->control, NULL);
    }
}

static void writable(struct flv__run *r)
{
    if (r->source != NULL) {
        flv__pipeline_writable(r->source);
    }
}

static void destroy(struct flv__run *r)
{
    flv__pipeline_destroy(r->source);
}

const struct flv__run_kind flv__run_source = {
    .begin = begin,
    .stop = stop,
    .pause = pause,
    .close = close_all,
    .counts = counts,
    .letter_settled = letter_settled,
    .writable = writable,
    .destroy = destroy,
};
