#include "server/server.h"

#include "base/clock.h"
#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/tls.h"
#include "server/lifecycle.h"
#include "server/policy.h"
#include "server/state.h"
#include "server/stream.h"
#include "server/watch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define TICK_MS 1000
#define IDLE_BYTES ((size_t)4 << 20) /* freed frames, until the next tick */
#define LINGER_MS 200
/* A reader that took nothing for so long, while others wait for memory. */
#define STALLED_MS 30000
#define COMMIT_THREADS 16
#define SYNC_THREADS 16
#define READ_THREADS 4
#define WORKS_MAX (1u << 20)
#define DECODE_ARENA_MAX ((size_t)32 << 20)
#define SCRATCH_MAX ((size_t)96 << 20)

/* ---- counting what the end has to await ---- */

static void stop_step(struct flv_task *t);

void flv_server_began(struct flv_server *s)
{
    s->pending++;
}

void flv_server_poke(struct flv_server *s)
{
    if (s->phase == FLV_SERVER_DRAINING || s->phase == FLV_SERVER_CLOSING) {
        flv_loop_defer(s->loop, &s->stop_task);
    }
}

void flv_server_ended(struct flv_server *s)
{
    assert(s->pending > 0);
    s->pending--;
    flv_server_poke(s);
}

/* ---- every second ---- */

/* Frees memory that readers hold who do not read, when others wait for it. */
static void end_stalled(struct flv_server *s, uint64_t now_ms)
{
    if (s->answers.head == NULL) {
        return;
    }
    struct flv_peer *p;
    LIST_FOREACH(p, &s->peers, link)
    {
        if (p->conn != NULL && flv_conn_write_pending(p->conn) > 0 &&
            now_ms - flv_conn_active_ms(p->conn) > STALLED_MS) {
            flv_peer_close(p, "does not read, and others need the memory");
            return; /* one a second is enough */
        }
    }
}

static void tick(struct flv_timer *timer)
{
    struct flv_server *s = FLV_OWNER_OF(timer, struct flv_server, tick);
    uint64_t now_ms = flv_loop_now_ms(s->loop);
    s->part_env.dirty_before = s->part_env.dirty;
    s->part_env.dirty = s->part_env.synced = 0;
    for (size_t i = 0; i < s->topics.len; i++) {
        const struct flv_topic *t = s->topics.sorted[i];
        for (uint32_t p = 0; p < t->partition_count; p++) {
            flv_partition_tick(t->partitions[p], now_ms);
        }
    }
    flv_watch_partitions(s);
    flv_lifecycle_settle(s);
    end_stalled(s, now_ms);
    flv_dedups_tick(&s->dedups);
    flv_smart_tick(&s->smart);
    flv_budget_tidy(&s->requests);
    flv_budget_tidy(&s->answers);
}

/* ---- open ---- */

static void accept_sc(void *ctx, struct flv_conn *conn)
{
    flv_peer_accept(ctx, FLV_WIRE_SC, conn);
}

static void accept_spu(void *ctx, struct flv_conn *conn)
{
    flv_peer_accept(ctx, FLV_WIRE_SPU, conn);
}

static flv_rc listen_on(struct flv_server *s,
                        uint16_t port,
                        void (*accepted)(void *, struct flv_conn *),
                        struct flv_listener **out,
                        struct flv_err *err)
{
    const struct flv_listen_conf conf = {.host = s->conf.bind,
                                         .port = port,
                                         .tls = s->tls,
                                         .tls_waiting_max = FLV_SHAKING_MAX,
                                         .accepted = accepted,
                                         .ctx = s};
    return flv_listener_open(out, s->loop, &conf, err);
}

/* Who may connect, and what they may do. */
static flv_rc load_gate(const struct flv_server_conf *c,
                        struct flv_tls **out_tls,
                        struct flv_policy **out_policy,
                        struct flv_err *err)
{
    const struct flv_tls_conf conf = {.server = true,
                                      .ca.file = c->tls.client_ca,
                                      .cert.file = c->tls.cert,
                                      .key.file = c->tls.key};
    *out_tls = NULL;
    *out_policy = NULL;
    flv_rc rc =
        c->tls.cert != NULL ? flv_tls_create(out_tls, &conf, err) : FLV_OK;
    if (rc == FLV_OK && c->policy != NULL) {
        rc = flv_policy_load(out_policy, c->policy, err);
    }
    if (rc != FLV_OK) {
        flv_tls_destroy(*out_tls);
        *out_tls = NULL;
    }
    return rc;
}

flv_rc flv_server_reload(struct flv_server *s, struct flv_err *err)
{
    struct flv_tls *old_tls = s->tls;
    struct flv_policy *old_policy = s->policy;
    struct flv_tls *tls;
    struct flv_policy *policy;
    assert(s->phase == FLV_SERVER_SERVING);
    flv_rc rc = load_gate(&s->conf, &tls, &policy, err);
    if (rc != FLV_OK) {
        return rc;
    }
    s->tls = tls;
    s->policy = policy;
    if (tls != NULL) {
        flv_listener_set_tls(s->sc, tls);
        flv_listener_set_tls(s->spu, tls);
    }
    flv_tls_destroy(old_tls);
    flv_policy_destroy(old_policy);
    struct flv_peer *p;
    LIST_FOREACH(p, &s->peers, link)
    {
        flv_stream_recheck(p);
    }
    return FLV_OK;
}

/* Two thousand idle clients are ordinary; files come on top. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static flv_rc open_pools(struct flv_server *s, struct flv_err *err)
{
    const struct flv_pool_conf commit = {.name = "commit",
                                         .threads_max = COMMIT_THREADS,
                                         .queue_max = WORKS_MAX};
    /* One thread: while it is awake, groups of other partitions join its queue
     * and wake nobody. */
    const struct flv_pool_conf write = {
        .name = "write", .threads_max = 1, .queue_max = WORKS_MAX};
    /* Syncs of page-cache topics may take seconds: commits of disk topics have
     * other threads. */
    const struct flv_pool_conf sync = {
        .name = "sync", .threads_max = SYNC_THREADS, .queue_max = WORKS_MAX};
    const struct flv_pool_conf read = {
        .name = "read", .threads_max = READ_THREADS, .queue_max = WORKS_MAX};
    const struct flv_pool_conf meta = {
        .name = "meta", .threads_max = 1, .queue_max = WORKS_MAX};
    flv_rc rc =
        flv_pool_create(&s->part_env.commit_pool, s->loop, &commit, err);
    if (rc == FLV_OK) {
        rc = flv_pool_create(&s->part_env.write_pool, s->loop, &write, err);
    }
    if (rc == FLV_OK) {
        rc = flv_pool_create(&s->part_env.sync_pool, s->loop, &sync, err);
    }
    if (rc == FLV_OK) {
        rc = flv_pool_create(&s->read_pool, s->loop, &read, err);
    }
    if (rc == FLV_OK) {
        rc = flv_pool_create(&s->meta_pool, s->loop, &meta, err);
    }
    if (rc == FLV_OK) {
        const struct flv_server_modules_conf *c = &s->conf.modules;
        const struct flv_smart_conf smart = {
            .budget = {.fuel = c->fuel,
                       .cpu_ms = (uint32_t)c->cpu_ms,
                       .memory_bytes = (size_t)c->memory_bytes},
            .memory_bytes_max = (size_t)c->memory_bytes_max,
            .streams_max = (uint32_t)c->streams_max};
        rc = flv_smart_init(&s->smart, s, &smart, err);
    }
    s->part_env.loop = s->loop;
    TAILQ_INIT(&s->part_env.upkeep_line);
    s->part_env.io = s->conf.io;
    s->part_env.read_pool = s->read_pool;
    return rc;
}

static flv_rc open_data(struct flv_server *s, struct flv_err *err)
{
    char path[FLV_DATADIR_PATH_MAX + 16];
    flv_rc rc = FLV_OK;
    if (s->conf.held != NULL) {
        s->dir = *s->conf.held;
        s->conf.held->fd = s->conf.held->lock_fd = -1;
        s->conf.held = NULL;
        rc = flv_datadir_claim(&s->dir, err);
    } else {
        rc =
            flv_datadir_open(&s->dir, s->conf.data_dir, FLV_DATADIR_SERVE, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    snprintf(path, sizeof path, "%s/meta.db", s->dir.path);
    rc = flv_metadb_create(&s->db, path, false, err);
    if (rc != FLV_OK) {
        return rc;
    }
    flv_offsets_init(&s->offsets, s->db, s->meta_pool, s->loop);
    flv_modules_init(&s->modules, s, s->db, s->meta_pool);
    flv_formats_init(&s->formats, s, s->db, s->meta_pool);
    return FLV_OK;
}

#define CONF_TEXTS 8

/* The texts of the settings, which are the server's own. */
static void conf_texts(struct flv_server_conf *c, const char **out[CONF_TEXTS])
{
    out[0] = &c->data_dir;
    out[1] = &c->bind;
    out[2] = &c->advertise;
    out[3] = &c->tls.cert;
    out[4] = &c->tls.key;
    out[5] = &c->tls.client_ca;
    out[6] = &c->policy;
    out[7] = &c->metrics_host;
}

static flv_rc copy_conf(struct flv_server *s,
                        const struct flv_server_conf *conf,
                        struct flv_err *err)
{
    s->conf = *conf;
    const char **texts[CONF_TEXTS];
    conf_texts(&s->conf, texts);
    bool ok = true;
    for (size_t i = 0; i < CONF_TEXTS; i++) {
        if (*texts[i] != NULL) {
            *texts[i] = flv_strdup(*texts[i]);
            ok = ok && *texts[i] != NULL;
        }
    }
    if (!ok) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    return FLV_OK;
}

static void init(struct flv_server *s, struct flv_loop *loop)
{
    s->loop = loop;
    s->started_ms = flv_clock_mono_ms();
    s->dir = (struct flv_datadir){.fd = -1, .lock_fd = -1};
    flv_topics_init(&s->topics);
    flv_dedups_init(&s->dedups, s);
    flv_task_init(&s->stop_task, stop_step);
    LIST_INIT(&s->peers);
    LIST_INIT(&s->watchers);
    LIST_INIT(&s->doubts);
    flv_arena_init(&s->arena, 4096, DECODE_ARENA_MAX);
    flv_buf_init(&s->scratch, SCRATCH_MAX);
}

static void init_budget(struct flv_budget *g, size_t bytes, size_t spare)
{
    flv_budget_init(g, bytes - spare);
    g->spare_max = spare;
    g->idle_max = IDLE_BYTES;
}

/* Half for what comes in, half for what goes out, so that slow readers never
 * starve producers; of each a part for small ones alone, so that a few clients
 * who announce much and send nothing, or read nothing, starve nobody. A frame
 * of the largest size still fits. The tail takes a part of the first. */
static void share_memory(struct flv_server *s)
{
    size_t half = (size_t)s->conf.memory_bytes_max / 2;
    size_t largest = flv_chunk_cost((size_t)s->conf.frame_bytes_max);
    size_t beside = half > largest ? half - largest : 0;
    size_t spare = half / 8 < beside ? half / 8 : beside;
    init_budget(&s->requests, half, spare);
    init_budget(&s->answers, half, spare);
    s->part_env.tails =
        (struct flv_tail_pool){.max = half / 4, .max_of_one = half / 16};
}

static flv_rc open_all(struct flv_server *s, struct flv_err *err)
{
    raise_file_limit();
    share_memory(s);
    s->compressor = flv_compressor_create();
    if (s->compressor == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc = load_gate(&s->conf, &s->tls, &s->policy, err);
    if (rc == FLV_OK) {
        rc = open_pools(s, err);
    }
    if (rc == FLV_OK) {
        rc = open_data(s, err);
    }
    /* Ports before logs: a port in use is told at once. */
    if (rc == FLV_OK) {
        rc = listen_on(s, s->conf.sc_port, accept_sc, &s->sc, err);
    }
    if (rc == FLV_OK) {
        rc = listen_on(s, s->conf.spu_port, accept_spu, &s->spu, err);
    }
    if (rc == FLV_OK && s->conf.metrics_host != NULL) {
        rc = flv_metrics_create(&s->metrics, s, err);
    }
    if (rc == FLV_OK) {
        rc = flv_lifecycle_load(s, err);
    }
    if (rc == FLV_OK) {
        rc = flv_modules_load(&s->modules, err);
    }
    if (rc == FLV_OK) {
        rc = flv_formats_load(&s->formats, err);
    }
    if (rc == FLV_OK) {
        rc = flv_datadir_publish(
            &s->dir, flv_listener_port(s->sc), flv_listener_port(s->spu),
            flv_server_metrics_port(s), s->conf.guard, s->conf.advertise, err);
    }
    if (rc == FLV_OK) {
        s->published = true;
        flv_timer_init(&s->tick, s->loop, tick);
        rc = flv_timer_start(&s->tick, TICK_MS, TICK_MS, err);
    }
    if (rc == FLV_OK) {
        rc = flv_scrub_start(&s->scrub, s, err);
    }
    if (rc == FLV_OK && s->conf.deaths == 0) {
        flv_datadir_forget_deaths(&s->dir); /* of those before this start */
    }
    return rc;
}

static void no_start(void *ctx)
{
    *(bool *)ctx = true;
}

/* Takes apart what a failed start has put together. */
static void give_up(struct flv_server *s)
{
    struct flv_loop *loop = s->loop; /* outlives s */
    bool stopped = false;
    flv_server_stop(s, no_start, &stopped);
    while (!stopped) {
        (void)flv_loop_turn(loop, true);
    }
    flv_server_destroy(s);
    while (flv_loop_turn(loop, false)) {
    }
}

flv_rc flv_server_open(struct flv_server **out,
                       struct flv_loop *loop,
                       const struct flv_server_conf *conf,
                       struct flv_err *err)
{
    struct flv_server *s = flv_zalloc(1, sizeof *s);
    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    init(s, loop);
    flv_rc rc = copy_conf(s, conf, err);
    if (rc == FLV_OK) {
        rc = open_all(s, err);
    }
    if (rc != FLV_OK) {
        give_up(s);
        return rc;
    }
    s->phase = FLV_SERVER_SERVING;
    *out = s;
    return FLV_OK;
}

uint16_t flv_server_sc_port(const struct flv_server *s)
{
    return flv_listener_port(s->sc);
}

uint16_t flv_server_spu_port(const struct flv_server *s)
{
    return flv_listener_port(s->spu);
}

uint16_t flv_server_metrics_port(const struct flv_server *s)
{
    return s->metrics != NULL ? flv_metrics_port(s->metrics) : 0;
}

/* ---- stop ---- */

static bool has_requests(const struct flv_server *s)
{
    const struct flv_peer *p;
    LIST_FOREACH(p, &s->peers, link)
    {
        if (p->in_flight > 0) {
            return true;
        }
    }
    return false;
}

static void begin_closing(struct flv_server *s)
{
    s->phase = FLV_SERVER_CLOSING;
    struct flv_peer *p = LIST_FIRST(&s->peers);
    while (p != NULL) {
        struct flv_peer *next = LIST_NEXT(p, link);
        flv_peer_close_gently(p, LINGER_MS);
        p = next;
    }
    flv_dedups_close(&s->dedups);
    flv_smart_stop(&s->smart);
    flv_lifecycle_close_all(s);
    flv_loop_defer(s->loop, &s->stop_task);
}

static void stop_step(struct flv_task *t)
{
    struct flv_server *s = FLV_OWNER_OF(t, struct flv_server, stop_task);
    if (s->phase == FLV_SERVER_DRAINING && !has_requests(s)) {
        flv_timer_stop(&s->stop_timer);
        begin_closing(s);
        return;
    }
    if (s->phase != FLV_SERVER_CLOSING || s->pending > 0) {
        return;
    }
    s->phase = FLV_SERVER_STOPPED;
    if (s->published) {
        flv_datadir_unpublish(&s->dir);
    }
    s->stopped(s->stopped_ctx);
}

static void stop_late(struct flv_timer *timer)
{
    struct flv_server *s = FLV_OWNER_OF(timer, struct flv_server, stop_timer);
    if (s->phase == FLV_SERVER_DRAINING) {
        flv_log_warn("server", "requests were still open when time was up");
        begin_closing(s);
    }
}

void flv_server_stop(struct flv_server *s,
                     void (*stopped)(void *ctx),
                     void *ctx)
{
    assert(s->stopped == NULL && stopped != NULL);
    s->stopped = stopped;
    s->stopped_ctx = ctx;
    s->phase = FLV_SERVER_DRAINING;
    flv_timer_stop(&s->tick);
    flv_scrub_stop(&s->scrub);
    flv_metrics_destroy(s->metrics);
    s->metrics = NULL;
    if (s->sc != NULL) {
        flv_listener_close(s->sc, NULL, NULL);
    }
    if (s->spu != NULL) {
        flv_listener_close(s->spu, NULL, NULL);
    }
    s->sc = NULL;
    s->spu = NULL;
    struct flv_peer *p;
    LIST_FOREACH(p, &s->peers, link)
    {
        flv_peer_drain(p);
    }
    flv_smart_drain(&s->smart);
    flv_timer_init(&s->stop_timer, s->loop, stop_late);
    if (flv_timer_start(&s->stop_timer, s->conf.stop_ms_max, 0, NULL) !=
        FLV_OK) {
        begin_closing(s);
        return;
    }
    flv_loop_defer(s->loop, &s->stop_task);
}

void flv_server_destroy(struct flv_server *s)
{
    if (s == NULL) {
        return;
    }
    assert(s->phase == FLV_SERVER_STOPPED && LIST_EMPTY(&s->peers));
    flv_timer_stop(&s->stop_timer);
    flv_loop_undefer(s->loop, &s->stop_task);
    flv_dedups_deinit(&s->dedups);
    flv_smart_deinit(&s->smart);
    flv_pool_destroy(s->meta_pool);
    flv_pool_destroy(s->read_pool);
    flv_pool_destroy(s->part_env.sync_pool);
    flv_pool_destroy(s->part_env.write_pool);
    flv_pool_destroy(s->part_env.commit_pool);
    flv_metadb_destroy(s->db);
    flv_datadir_close(&s->dir);
    flv_topics_deinit(&s->topics);
    flv_modules_deinit(&s->modules);
    flv_formats_deinit(&s->formats);
    flv_compressor_destroy(s->compressor);
    flv_tls_destroy(s->tls);
    flv_policy_destroy(s->policy);
    flv_arena_deinit(&s->arena);
    flv_buf_deinit(&s->scratch);
    flv_budget_deinit(&s->requests);
    flv_budget_deinit(&s->answers);
    const char **texts[CONF_TEXTS];
    conf_texts(&s->conf, texts);
    for (size_t i = 0; i < CONF_TEXTS; i++) {
        union {
            const char *seen;
            void *owned;
        } text = {*texts[i]};
        flv_free(text.owned);
    }
    flv_free(s);
}
