/* The work of a sink: readers of all partitions, and where they begin. */
#include "connector/run_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "connector/position.h"
#include "connector/sink.h"

#define TARGET "sink"
/* How often it is looked whether the topic got more partitions. */
#define LOOK_MS 5000
/* What the cluster could not answer is asked again. */
#define AGAIN_MS 500
#define PARTITIONS_MAX 10000u
#define FETCH_BYTES_MIN ((size_t)64 * 1024)
#define FETCH_BYTES_MAX ((size_t)1024 * 1024)

/* ASKED -> POSITIONING -> (KEEPING) -> KEPT -> READING */
enum step {
    STEP_ASKED,       /* is a position kept? */
    STEP_POSITIONING, /* the reader looks for its start */
    STEP_KEEPING,     /* the start is being made durable */
    STEP_KEPT,        /* reading may begin when all others are so far */
    STEP_READING,
};

struct part {
    struct flv__reading *reading; /* borrowed */
    uint32_t id;
    enum step step;
    struct flv_reader *reader; /* owned */
    bool has_position;
    int64_t next;    /* kept, or where it begins */
    bool sent;       /* KEEPING: it was asked for */
    bool sink_holds; /* the sink wants nothing now */
    bool suspect;    /* a stream was opened: is it still that topic? */
    bool troubled;
    bool has_read;          /* what is below the reader's place was there */
    int64_t at;             /* the reader's place when the stream was opened */
    int64_t end;            /* of the partition then */
    struct flv_timer again; /* of a commit */
    int64_t committing;
};

struct flv__reading {
    struct flv__run *run;  /* borrowed */
    struct flv_sink *sink; /* owned */
    char topic_id[FLV_TOPIC_ID_MAX + 1];
    struct flv_start start;
    const char *consumer;
    struct part **parts; /* owned, each owned; NULL: not to be read */
    uint32_t count;
    struct flv_sink_ask ask;
    struct flv_sink_position *starts; /* owned; being kept by the sink */
    struct flv_timer look;
    struct flv_timer ask_again; /* for positions */
    uint32_t troubled;          /* parts, and the question for positions */
    bool ask_troubled;
    bool looking, known, sink_done, has_positions;
    bool look_again; /* something became suspect while it was looked */
    uint32_t open;   /* readers that are still to be closed */
    flv_closed_fn closed;
    void *closed_arg;
};

static bool over(const struct flv__reading *g)
{
    return g->run->phase == PHASE_CLOSING || g->sink_done;
}

static void fail(struct flv__reading *g, const struct flv_err *err)
{
    if (over(g)) {
        return;
    }
    if (g->sink != NULL) {
        flv__sink_fail(g->sink, err);
    } else {
        flv__run_give_up(g->run, err);
    }
}

static bool keeps_positions(const struct flv__reading *g)
{
    return g->run->setup->type->sink->keeps_positions;
}

/* One of those that g->troubled counts waits for the cluster; err NULL: it
 * does not any more. Told are the first one and the last. */
static void
set_troubled(struct flv__reading *g, bool *troubled, const struct flv_err *err)
{
    if (over(g) || *troubled == (err != NULL)) {
        return;
    }
    *troubled = err != NULL;
    g->troubled += *troubled ? 1 : UINT32_MAX;
    if (g->troubled == (*troubled ? 1u : 0u)) {
        flv__run_trouble(g->run, flv__run_topic(g->run), err);
    }
}

/* --- positions, while it runs ----------------------------------------------
 */

static void commit(struct part *p);

static void on_again(struct flv_timer *t)
{
    commit(FLV_OWNER_OF(t, struct part, again));
}

static bool may_pass(const struct flv_err *err)
{
    return err->rc != FLV_E_NOT_FOUND && err->rc != FLV_E_CANCELED &&
           err->rc != FLV_E_INVALID && err->rc != FLV_E_UNSUPPORTED;
}

static void recreated(const struct flv__reading *g, struct flv_err *out)
{
    (void)flv_fail(out, FLV_E_NOT_FOUND,
                   "the topic \"%.60s\" was deleted while it was read",
                   flv__run_topic(g->run));
}

static void position_stored(struct part *p, const struct flv_err *err);

static void on_stored(void *user, const struct flv_err *err)
{
    struct part *p = user;
    struct flv__reading *g = p->reading;
    struct flv_err why = {0};
    if (g->sink_done) {
        return;
    }
    if (err != NULL && may_pass(err)) {
        flv__run_trouble(g->run, flv__run_topic(g->run), err);
        if (flv_timer_start(&p->again, AGAIN_MS, 0, &why) != FLV_OK) {
            position_stored(p, &why);
        }
        return;
    }
    if (err != NULL && err->rc == FLV_E_NOT_FOUND) {
        recreated(g, &why);
    } else if (err != NULL) {
        why = *err;
        flv_err_prefix(&why, "the position in %.60s-%u", flv__run_topic(g->run),
                       p->id);
    } else if (g->run->troubled && g->troubled == 0) {
        flv__run_trouble(g->run, flv__run_topic(g->run), NULL);
    }
    position_stored(p, why.rc != FLV_OK ? &why : NULL);
}

/* Makes p->committing durable: by the creation of the topic where the cluster
 * knows it, else through the stream. */
static void commit(struct part *p)
{
    struct flv__reading *g = p->reading;
    struct flv_err err = {0};
    const struct flv_position at = {.consumer_id = g->consumer,
                                    .topic = flv__run_topic(g->run),
                                    .topic_id = g->topic_id,
                                    .partition = p->id,
                                    .offset = p->committing - 1};
    flv_rc rc =
        g->topic_id[0] != '\0'
            ? flv_stream_position_store(g->run->stream, &at, on_stored, p, &err)
            : flv_reader_commit(p->reader, p->committing - 1, on_stored, p,
                                &err);
    if (rc != FLV_OK) {
        on_stored(p, &err);
    }
}

/* --- how reading begins -----------------------------------------------------
 */

static void hold_reader(struct part *p)
{
    if (p->reader != NULL) {
        flv_reader_hold(p->reader,
                        p->sink_holds || p->suspect || p->step < STEP_READING);
    }
}

static bool any_at(const struct flv__reading *g, enum step from, enum step to)
{
    for (uint32_t i = 0; i < g->count; i++) {
        const struct part *p = g->parts[i];
        if (p != NULL && p->step >= from && p->step <= to) {
            return true;
        }
    }
    return false;
}

/* All starts are durable: now, and not before, the first record is read. */
static void release(struct flv__reading *g)
{
    if (any_at(g, STEP_ASKED, STEP_KEEPING) || over(g)) {
        return;
    }
    for (uint32_t i = 0; i < g->count; i++) {
        struct part *p = g->parts[i];
        if (p != NULL && p->step == STEP_KEPT) {
            p->step = STEP_READING;
            p->sink_holds = true;
            flv_log_info(TARGET, "reads", FLV_KV_U64("partition", p->id),
                         FLV_KV_I64("offset", p->next),
                         FLV_KV_STR("consumer", g->consumer));
            flv__sink_start(g->sink, p->id, p->next);
        }
    }
    if (g->run->phase == PHASE_OPENING) {
        flv__control_source(&g->run->control, NULL, 0);
        flv__sink_pause(g->sink, g->run->paused);
        flv__run_working(g->run);
    }
}

static void position_stored(struct part *p, const struct flv_err *err)
{
    struct flv__reading *g = p->reading;
    if (p->step == STEP_READING) {
        flv__sink_committed(g->sink, p->id, err);
    } else if (err != NULL) {
        fail(g, err);
    } else if (p->step == STEP_KEEPING) {
        p->step = STEP_KEPT;
        release(g);
    }
}

/* The sink makes the starts of all new partitions durable, at once. */
static void keep_by_sink(struct flv__reading *g)
{
    struct flv_err err = {0};
    size_t n = 0;
    flv_free(g->starts);
    g->starts = flv_zalloc(g->count, sizeof(*g->starts));
    if (g->starts == NULL) {
        (void)flv_fail(&err, FLV_E_NOMEM, "out of memory for positions");
        fail(g, &err);
        return;
    }
    for (uint32_t i = 0; i < g->count; i++) {
        struct part *p = g->parts[i];
        if (p != NULL && p->step == STEP_KEEPING) {
            p->sent = true;
            g->starts[n++] =
                (struct flv_sink_position){.partition = p->id,
                                           .next_offset = p->next,
                                           .topic_id = g->topic_id};
        }
    }
    flv__sink_keep(g->sink, g->starts, n);
}

static void on_kept(void *env, const struct flv_err *err)
{
    struct flv__reading *g = env;
    for (uint32_t i = 0; err == NULL && i < g->count; i++) {
        struct part *p = g->parts[i];
        if (p != NULL && p->step == STEP_KEEPING && p->sent) {
            p->step = STEP_KEPT;
        }
    }
    if (err != NULL) {
        fail(g, err);
        return;
    }
    release(g);
}

/* Every reader has found its place: keeps the starts that are new. */
static void keep(struct flv__reading *g)
{
    if (any_at(g, STEP_ASKED, STEP_POSITIONING) || over(g)) {
        return;
    }
    if (!any_at(g, STEP_KEEPING, STEP_KEEPING)) {
        release(g);
        return;
    }
    if (keeps_positions(g)) {
        keep_by_sink(g);
        return;
    }
    for (uint32_t i = 0; i < g->count; i++) {
        struct part *p = g->parts[i];
        if (p == NULL || p->step != STEP_KEEPING || p->sent) {
            continue;
        }
        p->sent = true;
        p->committing = p->next;
        if (g->topic_id[0] == '\0' && p->next == 0) {
            p->step = STEP_KEPT; /* there is no record to name */
        } else {
            commit(p);
        }
    }
    release(g);
}

/* --- readers -----------------------------------------------------------------
 */

static void look(struct flv__reading *g);

static void on_batch(void *user, const struct flv_record_batch *batch)
{
    struct part *p = user;
    if (!over(p->reading)) {
        p->has_read = true;
        flv__sink_batch(p->reading->sink, batch);
    }
}

static void on_found(void *user, int64_t first, int64_t end)
{
    struct part *p = user;
    struct flv__reading *g = p->reading;
    const struct flv_position_facts facts = {.topic = flv__run_topic(g->run),
                                             .consumer = g->consumer,
                                             .topic_id = g->topic_id,
                                             .partition = p->id,
                                             .next_offset = p->next,
                                             .first = first,
                                             .end = end};
    struct flv_err err = {0};
    p->end = end;
    if (p->step == STEP_POSITIONING && p->has_position &&
        flv__position_check(&facts, &err) != FLV_OK) {
        g->run->unfit = true;
        fail(g, &err);
    }
}

/* The first time it is the start; later the connection was lost meanwhile. In
 * both cases the topic may have been made anew since it was looked at. */
static void on_positioned(void *user, int64_t offset)
{
    struct part *p = user;
    struct flv__reading *g = p->reading;
    if (over(g)) {
        return;
    }
    p->suspect = g->topic_id[0] != '\0';
    p->at = p->has_read || p->has_position ? offset : 0;
    if (p->step == STEP_POSITIONING) {
        p->next = offset;
        p->step = p->has_position ? STEP_KEPT : STEP_KEEPING;
        keep(g);
    }
    if (p->suspect) {
        hold_reader(p);
        g->look_again = g->looking;
        look(g);
    }
}

static void on_ended(void *user, const struct flv_err *err)
{
    struct part *p = user;
    struct flv_err why = *err;
    flv_err_prefix(&why, "the topic \"%.60s\" cannot be read",
                   flv__run_topic(p->reading->run));
    fail(p->reading, &why);
}

static void on_trouble(void *user, const struct flv_err *err)
{
    struct part *p = user;
    set_troubled(p->reading, &p->troubled, err);
}

static void open_reader(struct flv__reading *g, struct part *p)
{
    const struct flv_shared_conf *shared = flv__setup_shared(g->run->setup);
    size_t share = FLV_SINK_BYTES_MAX / g->count;
    struct flv_err err = {0};
    share = share < FETCH_BYTES_MIN   ? FETCH_BYTES_MIN
            : share > FETCH_BYTES_MAX ? FETCH_BYTES_MAX
                                      : share;
    struct flv_reader_conf conf = {
        .topic = flv__run_topic(g->run),
        .partition = p->id,
        .start = flv__position_start(g->start, g->has_positions),
        .max_bytes = (uint32_t)(shared->consumer_max_bytes > 0
                                    ? shared->consumer_max_bytes
                                    : share),
        .held = true,
        .batch = on_batch,
        .found = on_found,
        .positioned = on_positioned,
        .ended = on_ended,
        .trouble = on_trouble,
        .user = p,
    };
    if (p->has_position) {
        conf.start =
            (struct flv_start){.kind = FLV_START_ABSOLUTE, .n = p->next};
    }
    if (!keeps_positions(g) && g->topic_id[0] == '\0') {
        conf.consumer = g->consumer;
    }
    p->step = STEP_POSITIONING;
    if (flv_reader_open(&p->reader, g->run->stream, &conf, &err) != FLV_OK) {
        fail(g, &err);
        return;
    }
    g->open++;
}

/* What is kept is known: opens the readers of the new partitions. */
static void open_readers(struct flv__reading *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        struct part *p = g->parts[i];
        g->has_positions =
            g->has_positions ||
            (p != NULL && (p->has_position || p->step == STEP_READING));
    }
    for (uint32_t i = g->ask.first; i < g->count && !over(g); i++) {
        if (g->parts[i] != NULL && g->parts[i]->step == STEP_ASKED) {
            open_reader(g, g->parts[i]);
        }
    }
    keep(g); /* none at all: nothing to wait for */
}

static void
take_position(struct flv__reading *g, uint32_t partition, int64_t next_offset)
{
    struct part *p = partition < g->count ? g->parts[partition] : NULL;
    if (p != NULL && p->step == STEP_ASKED) {
        p->has_position = true;
        p->next = next_offset;
    }
}

static void on_positions(void *env,
                         const struct flv_sink_position *positions,
                         size_t count,
                         const struct flv_err *err)
{
    struct flv__reading *g = env;
    struct flv_err why = {0};
    if (err != NULL) {
        fail(g, err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct flv_sink_position *at = &positions[i];
        const struct flv_position_facts facts = {
            .topic = flv__run_topic(g->run),
            .consumer = g->consumer,
            .topic_id = g->topic_id,
            .kept_id = at->topic_id,
            .partition = at->partition,
            .next_offset = at->next_offset,
            .end = -1,
        };
        if (flv__position_check(&facts, &why) != FLV_OK) {
            g->run->unfit = true;
            fail(g, &why);
            return;
        }
        take_position(g, at->partition, at->next_offset);
    }
    open_readers(g);
}

static void on_offsets(void *user,
                       const struct flv_err *err,
                       const struct flv_consumer_offset *offsets,
                       size_t count)
{
    struct flv__reading *g = user;
    struct flv_err why = {0};
    if (over(g)) {
        return;
    }
    if (err != NULL && may_pass(err)) {
        set_troubled(g, &g->ask_troubled, err);
        if (flv_timer_start(&g->ask_again, AGAIN_MS, 0, &why) != FLV_OK) {
            fail(g, &why);
        }
        return;
    }
    if (err != NULL) {
        fail(g, err);
        return;
    }
    set_troubled(g, &g->ask_troubled, NULL);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(offsets[i].topic, flv__run_topic(g->run)) == 0 &&
            offsets[i].offset >= -1) {
            take_position(g, offsets[i].partition, offsets[i].offset + 1);
        }
    }
    open_readers(g);
}

static void ask_cluster(struct flv__reading *g)
{
    struct flv_err err = {0};
    if (flv_stream_positions(g->run->stream, g->consumer, on_offsets, g,
                             &err) != FLV_OK) {
        on_offsets(g, &err, NULL, 0);
    }
}

static void on_ask_again(struct flv_timer *t)
{
    struct flv__reading *g = FLV_OWNER_OF(t, struct flv__reading, ask_again);
    if (!over(g)) {
        ask_cluster(g);
    }
}

/* --- the topic
 * ---------------------------------------------------------------- */

static bool is_wanted(const struct flv__reading *g, uint32_t id)
{
    const struct flv_list *l =
        &flv__setup_shared(g->run->setup)->consumer_partitions;
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", id);
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->items[i], "all") == 0 || strcmp(l->items[i], text) == 0) {
            return true;
        }
    }
    return l->count == 0;
}

static flv_rc add_part(struct flv__reading *g, uint32_t id, struct flv_err *err)
{
    struct part *p = flv_zalloc(1, sizeof(*p));
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a partition");
    }
    p->reading = g;
    p->id = id;
    flv_timer_init(&p->again, g->run->loop, on_again);
    g->parts[id] = p;
    return FLV_OK;
}

/* Partitions `g->count` to `count - 1` are there now. */
static flv_rc
add_parts(struct flv__reading *g, uint32_t count, struct flv_err *err)
{
    struct part **parts = NULL;
    if (count > PARTITIONS_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "the topic \"%.60s\" has %u partitions; a sink reads "
                        "at most %u",
                        flv__run_topic(g->run), count, PARTITIONS_MAX);
    }
    parts = flv_realloc(g->parts, count * sizeof(struct part *));
    if (parts == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for partitions");
    }
    g->parts = parts;
    flv_rc rc = flv__sink_partitions(g->sink, count, err);
    g->ask.first = g->count;
    g->ask.count = count - g->count;
    for (; rc == FLV_OK && g->count < count; g->count++) {
        g->parts[g->count] = NULL;
        rc = is_wanted(g, g->count) ? add_part(g, g->count, err) : FLV_OK;
    }
    return rc;
}

/* Asks whether positions of the new partitions are kept. */
static void ask(struct flv__reading *g, uint32_t count)
{
    struct flv_err err = {0};
    if (add_parts(g, count, &err) != FLV_OK) {
        fail(g, &err);
    } else if (keeps_positions(g)) {
        flv__sink_ask(g->sink, &g->ask);
    } else {
        ask_cluster(g);
    }
}

static void on_hold(void *env, uint32_t partition, bool on)
{
    struct flv__reading *g = env;
    struct part *p = g->parts[partition];
    p->sink_holds = on;
    hold_reader(p);
}

static void on_commit(void *env, uint32_t partition, int64_t next_offset)
{
    struct flv__reading *g = env;
    struct part *p = g->parts[partition];
    p->committing = next_offset;
    commit(p);
}

static flv_rc on_letter(void *env,
                        uint32_t lane,
                        const struct flv_msg *msg,
                        uint64_t token,
                        struct flv_err *err)
{
    struct flv__reading *g = env;
    return flv__dead_append(g->run->dead, lane, msg, 1, token, err);
}

static void on_told(void *env, const struct flv_err *err, uint64_t retry_in_ms)
{
    struct flv__reading *g = env;
    flv__control_source(&g->run->control, err, retry_in_ms);
}

static void close_readers(struct flv__reading *g);

static void on_sink_done(void *env)
{
    struct flv__reading *g = env;
    const struct flv_err *cause = flv__sink_cause(g->sink);
    g->sink_done = true;
    if (cause != NULL) {
        flv__run_keep_cause(g->run, cause);
    }
    if (g->run->phase == PHASE_CLOSING) {
        close_readers(g);
    } else {
        flv__run_wind_up(g->run);
    }
}

static const struct flv_sink_env env_ops = {
    .hold = on_hold,
    .commit = on_commit,
    .letter = on_letter,
    .positions = on_positions,
    .kept = on_kept,
    .told = on_told,
    .done = on_sink_done,
};

static void on_staged(void *arg, const struct flv_stage_result *result)
{
    flv__sink_staged(arg, result);
}

static flv_rc open_sink(struct flv__reading *g, struct flv_err *err)
{
    struct flv__run *r = g->run;
    const struct flv_plan *plan = &r->setup->plan;
    const struct flv_sink_conf conf = {
        .loop = r->loop,
        .type = r->setup->type,
        .name = r->setup->has_file ? r->setup->file.name : NULL,
        .topic = flv__run_topic(r),
        .consumer = g->consumer,
        .conf = flv__setup_own(r->setup),
        .stage = r->smart != NULL ? flv__smart_stage(r->smart) : NULL,
        .stage_steps = plan->count,
        .policy = plan->sink_policy,
        .env = &env_ops,
        .env_arg = g,
        .drain_ms = FLV__DRAIN_MS,
    };
    flv_rc rc = flv__sink_open(&g->sink, &conf, err);
    if (rc == FLV_OK && r->smart != NULL) {
        flv__smart_attach(r->smart, on_staged, g->sink);
    }
    return rc;
}

static void first_look(struct flv__reading *g, const struct flv_topic_look *at)
{
    struct flv_err err = {0};
    (void)snprintf(g->topic_id, sizeof(g->topic_id), "%s", at->id);
    g->ask = (struct flv_sink_ask){.consumer = g->consumer,
                                   .name = flv__run_topic(g->run),
                                   .id = g->topic_id};
    if (g->topic_id[0] == '\0') {
        flv_log_warn(TARGET, "this cluster does not tell a topic from one that "
                             "was made anew under its name");
    }
    if (open_sink(g, &err) != FLV_OK) {
        flv__run_give_up(g->run, &err);
        return;
    }
    g->known = true;
    ask(g, at->partitions);
}

/* It is the same topic; but its end may have gone back under the reader, as
 * that of a backup does, and other records come in the place of those read. */
static flv_rc check_end(const struct part *p, struct flv_err *err)
{
    const struct flv__reading *g = p->reading;
    const struct flv_position_facts facts = {.topic = flv__run_topic(g->run),
                                             .consumer = g->consumer,
                                             .topic_id = g->topic_id,
                                             .partition = p->id,
                                             .next_offset = p->at,
                                             .end = p->end};
    return flv__position_check(&facts, err);
}

/* Readers that were held until it was clear what they read. */
static void clear_suspects(struct flv__reading *g)
{
    struct flv_err err = {0};
    for (uint32_t i = 0; i < g->count && !over(g); i++) {
        struct part *p = g->parts[i];
        if (p == NULL || !p->suspect) {
            continue;
        }
        if (check_end(p, &err) != FLV_OK) {
            g->run->unfit = true;
            fail(g, &err);
            return;
        }
        p->suspect = false;
        hold_reader(p);
    }
}

static void later_look(struct flv__reading *g, const struct flv_topic_look *at)
{
    struct flv_err err = {0};
    if (strcmp(g->topic_id, at->id) != 0) {
        recreated(g, &err);
        fail(g, &err);
        return;
    }
    clear_suspects(g);
    if (over(g)) {
        return;
    }
    if (at->partitions > g->count && !any_at(g, STEP_ASKED, STEP_KEPT)) {
        flv_log_info(TARGET, "the topic has more partitions",
                     FLV_KV_U64("partitions", at->partitions));
        ask(g, at->partitions);
    }
}

static void
on_look(void *user, const struct flv_err *err, const struct flv_topic_look *at)
{
    struct flv__reading *g = user;
    struct flv_err why = {0};
    g->looking = false;
    if (over(g)) {
        return;
    }
    if (err == NULL && !g->known) {
        first_look(g, at);
    } else if (err == NULL && g->look_again) {
        look(g); /* the answer may be older than what is suspect */
    } else if (err == NULL) {
        later_look(g, at);
    } else if (err->rc == FLV_E_NOT_FOUND && !g->known) {
        flv__run_no_topic(g->run);
    } else if (err->rc == FLV_E_NOT_FOUND) {
        recreated(g, &why);
        fail(g, &why);
    } else if (!g->known) {
        why = flv__run_of_cluster(g->run, err);
        fail(g, &why);
    } else if (flv_timer_start(&g->look, AGAIN_MS, LOOK_MS, &why) != FLV_OK) {
        fail(g, &why);
    }
}

static void look(struct flv__reading *g)
{
    struct flv_err err = {0};
    if (g->looking || over(g)) {
        return;
    }
    g->looking = true;
    g->look_again = false;
    if (flv_stream_topic_look(g->run->stream, flv__run_topic(g->run), on_look,
                              g, &err) != FLV_OK) {
        on_look(g, &err, NULL);
    }
}

static void on_look_time(struct flv_timer *t)
{
    look(FLV_OWNER_OF(t, struct flv__reading, look));
}

/* --- what run.c asks -------------------------------------------------------
 */

static void begin(struct flv__run *r)
{
    const struct flv_shared_conf *shared = flv__setup_shared(r->setup);
    struct flv_err err = {0};
    struct flv__reading *g = flv_zalloc(1, sizeof(*g));
    if (g == NULL) {
        (void)flv_fail(&err, FLV_E_NOMEM, "out of memory");
        flv__run_give_up(r, &err);
        return;
    }
    r->reading = g;
    g->run = r;
    g->consumer = shared->consumer != NULL ? shared->consumer
                  : r->setup->has_file     ? r->setup->file.name
                                           : r->setup->type->name;
    flv_timer_init(&g->look, r->loop, on_look_time);
    flv_timer_init(&g->ask_again, r->loop, on_ask_again);
    if (flv__start_parse(shared->start, &g->start, &err) != FLV_OK ||
        flv_timer_start(&g->look, LOOK_MS, LOOK_MS, &err) != FLV_OK) {
        flv__run_give_up(r, &err);
        return;
    }
    look(g);
}

static void stop(struct flv__run *r)
{
    flv__sink_stop(r->reading->sink);
}

static void pause(struct flv__run *r)
{
    flv__sink_pause(r->reading->sink, r->paused);
}

static void reader_closed(void *user)
{
    struct flv__reading *g = user;
    assert(g->open > 0);
    if (--g->open == 0) {
        g->closed(g->closed_arg);
    }
}

static void close_readers(struct flv__reading *g)
{
    flv_timer_stop(&g->look);
    flv_timer_stop(&g->ask_again);
    if (g->open == 0) {
        g->closed(g->closed_arg);
        return;
    }
    for (uint32_t i = 0; i < g->count; i++) {
        struct part *p = g->parts[i];
        struct flv_reader *reader = p != NULL ? p->reader : NULL;
        if (reader != NULL) {
            flv_timer_stop(&p->again);
            p->reader = NULL;
            flv_reader_close(reader, reader_closed, g);
        }
    }
}

static void close_all(struct flv__run *r, flv_closed_fn closed, void *arg)
{
    struct flv__reading *g = r->reading;
    if (g == NULL) {
        closed(arg);
        return;
    }
    g->closed = closed;
    g->closed_arg = arg;
    if (g->sink != NULL && !g->sink_done) {
        flv__sink_stop(g->sink);
    } else {
        close_readers(g);
    }
}

static void counts(const struct flv__run *r, struct flv_control_counts *out)
{
    const struct flv__reading *g = r->reading;
    if (g == NULL || g->sink == NULL) {
        return;
    }
    flv__sink_counts(g->sink, &out->pipeline);
    for (unsigned i = 0; i < FLV_COUNTERS_MAX; i++) {
        out->own[i] = flv__sink_counter(g->sink, i);
    }
}

static void
letter_settled(struct flv__run *r, uint64_t token, const struct flv_err *err)
{
    if (r->reading != NULL && r->reading->sink != NULL) {
        flv__sink_letter_settled(r->reading->sink, token, err);
    }
}

static void writable(struct flv__run *r)
{
    if (r->reading != NULL && r->reading->sink != NULL) {
        flv__sink_writable(r->reading->sink);
    }
}

static void destroy(struct flv__run *r)
{
    struct flv__reading *g = r->reading;
    if (g == NULL) {
        return;
    }
    flv_timer_stop(&g->look);
    flv_timer_stop(&g->ask_again);
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->parts[i] != NULL) {
            flv_timer_stop(&g->parts[i]->again);
        }
        flv_free(g->parts[i]);
    }
    flv__sink_destroy(g->sink);
    flv_free(g->parts);
    flv_free(g->starts);
    flv_free(g);
}

const struct flv__run_kind flv__run_sink = {
    .begin = begin,
    .stop = stop,
    .pause = pause,
    .close = close_all,
    .counts = counts,
    .letter_settled = letter_settled,
    .writable = writable,
    .destroy = destroy,
};
