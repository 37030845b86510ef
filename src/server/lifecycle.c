#include "server/lifecycle.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "server/state.h"
#include "server/watch.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define UNKEPT_BYTES (1ull << 30)
#define UNKEPT_MIN (1ull << 20)
#define UNKEPT_MAX (64ull << 20)

/* One create, grow or delete under way. Which one, the topic's state tells:
 * CREATING, growing, DELETING. */
struct flv_topic_op {
    struct flv_work work; /* first */
    struct flv_server *s;
    struct flv_topic *t;
    uint32_t first, count; /* partitions first..count-1 are new */
    size_t partitions;     /* of all topics, with them */
    flv_rc rc;
    struct flv_err err;
    bool in_doubt; /* it failed and may be found at the next start */
    bool settling; /* the work is out to end that */
    flv_topic_done_fn done;
    void *ctx;
    LIST_ENTRY(flv_topic_op) link; /* while in doubt */
};

/* Partitions on their way out, and the folders to remove behind them. */
struct grave {
    struct flv_work work; /* first */
    struct flv_server *s;
    uint64_t topic_id;
    uint32_t first, count; /* folders of partitions; count 0: the whole topic */
    uint32_t open;         /* partitions not closed yet, and one for burying */
    /* Takes partitions back and counts as growing until then: what the next
     * grow makes has the same names. NULL: the whole topic goes. */
    struct flv_topic *shrinking;
};

static void
make_name(const struct flv_topic *t, uint32_t index, char *out, size_t size)
{
    snprintf(out, size, "%s-%" PRIu32, t->name, index);
}

/* A log id that no producer can guess. */
static uint64_t new_log_id(void)
{
    uint64_t id;
    do {
        id = flv_rand_u64();
    } while (id == 0);
    return id;
}

/* ---- graves ---- */

static void grave_run(struct flv_work *w)
{
    const struct grave *g = (struct grave *)w;
    struct flv_err err = {0};
    flv_rc rc = FLV_OK;
    if (g->count == 0) {
        rc = flv_datadir_remove_topic(&g->s->dir, g->topic_id, &err);
    }
    for (uint32_t i = g->first; i < g->count && rc == FLV_OK; i++) {
        char path[FLV_DATADIR_LOG_PATH_MAX];
        flv_datadir_log_path(&g->s->dir, g->topic_id, i, path);
        rc = flv_log_delete(g->s->conf.io, path, &err);
        rc = rc == FLV_E_NOT_FOUND ? FLV_OK : rc;
    }
    if (rc != FLV_OK) {
        flv_log_warn("topic",
                     "files of a removed topic stay until the next start",
                     FLV_KV_U64("id", g->topic_id), FLV_KV_ERR(&err));
    }
}

static void grave_over(struct flv_work *w, flv_rc rc)
{
    struct grave *g = (struct grave *)w;
    struct flv_server *s = g->s;
    (void)rc; /* not run: the next grow or start sweeps */
    if (g->shrinking != NULL) {
        g->shrinking->growing = false;
    }
    flv_free(g);
    flv_server_ended(s);
}

static void grave_filled(void *ctx)
{
    struct grave *g = ctx;
    assert(g->open > 0);
    if (--g->open > 0) {
        return;
    }
    g->work.run = grave_run;
    g->work.done = grave_over;
    if (flv_pool_submit(g->s->read_pool, &g->work) != FLV_OK) {
        grave_over(&g->work, FLV_E_CANCELED);
    }
}

/* Closes partitions first..end-1 (those that exist) without ceremony and
 * removes the folders; whole: of the topic. Else the topic may grow again once
 * they are gone. Out of memory leaves the files to the next grow or start. */
static void bury(struct flv_server *s,
                 struct flv_topic *t,
                 uint32_t first,
                 uint32_t end,
                 bool whole)
{
    struct grave *g = flv_zalloc(1, sizeof *g);
    if (g != NULL) {
        *g = (struct grave){.s = s,
                            .topic_id = t->id,
                            .first = first,
                            .count = whole ? 0 : end,
                            .open = 1,
                            .shrinking = whole ? NULL : t};
        flv_server_began(s);
    } else if (!whole) {
        t->growing = false;
    }
    for (uint32_t i = first; i < end; i++) {
        struct flv_partition *p = t->partitions[i];
        t->partitions[i] = NULL;
        if (p != NULL && g != NULL) {
            g->open++;
            flv_partition_close(p, false, grave_filled, g);
        }
    }
    if (g != NULL) {
        grave_filled(g);
    }
}

/* ---- create and grow ---- */

static void op_end(struct flv_topic_op *op, int16_t code, const char *why)
{
    struct flv_server *s = op->s;
    op->done(op->ctx, code, why);
    flv_free(op);
    flv_server_ended(s);
}

static int16_t code_of(flv_rc rc)
{
    return rc == FLV_E_NOSPACE ? FLV_WIRE_TOPIC_NOT_PROVISIONED
                               : FLV_WIRE_TOPIC_ERROR;
}

/* What is shown is what is there. */
static void show_old_count(struct flv_topic_op *op)
{
    struct flv_err err;
    if (flv_topic_set_count(op->t, op->first, &err) != FLV_OK) {
        flv_log_error("topic",
                      "shows a wrong number of partitions until restart",
                      FLV_KV_STR("topic", op->t->name), FLV_KV_ERR(&err));
    }
}

/* Takes back what was to be made, with its folders, or lets the topic live
 * that was to be deleted. */
static void take_back(struct flv_topic_op *op)
{
    struct flv_server *s = op->s;
    struct flv_topic *t = op->t;
    if (t->state == FLV_TOPIC_DELETING) {
        t->state = FLV_TOPIC_ONLINE;
        return;
    }
    bool whole = t->state == FLV_TOPIC_CREATING;
    bury(s, t, op->first, op->count, whole);
    if (whole) {
        flv_topics_remove(&s->topics, t);
    } else {
        show_old_count(op);
    }
}

/* It failed and will not be found at the next start: as if never begun. */
static void op_undo(struct flv_topic_op *op)
{
    flv_log_warn("topic", "a change failed", FLV_KV_STR("topic", op->t->name),
                 FLV_KV_ERR(&op->err));
    take_back(op);
    op_end(op, code_of(op->rc), op->err.text);
}

/* Ends a change that meta.db refused. While it may be found there at the next
 * start, everything stays as it is, files above all. */
static void op_fail(struct flv_topic_op *op)
{
    struct flv_server *s = op->s;
    if (!op->in_doubt) {
        op_undo(op);
        return;
    }
    op->t->in_doubt = true;
    if (op->t->growing) {
        show_old_count(op);
    }
    LIST_INSERT_HEAD(&s->doubts, op, link);
    flv_log_error("topic", "a change failed and may be found at the next start",
                  FLV_KV_STR("topic", op->t->name), FLV_KV_ERR(&op->err));
    char why[FLV_ERR_TEXT_MAX + 100];
    snprintf(why, sizeof why, "%s; " FLV_TOPIC_DOUBT_TEXT, op->err.text);
    op->done(op->ctx, code_of(op->rc), why);
    flv_server_ended(s);
}

/* In the thread of the metadata. */
static void note_failure(struct flv_topic_op *op)
{
    op->in_doubt = op->rc != FLV_OK && flv_metadb_in_doubt(op->s->db) &&
                   flv_metadb_settle(op->s->db, NULL) != FLV_OK;
}

static void op_visible(struct flv_topic_op *op)
{
    struct flv_server *s = op->s;
    struct flv_topic *t = op->t;
    t->partition_count = op->count;
    t->state = FLV_TOPIC_ONLINE;
    t->growing = false;
    s->topics.partition_count += op->count - op->first;
    for (uint32_t i = op->first; i < op->count; i++) {
        flv_partition_opened(t->partitions[i]);
    }
    flv_watch_topic(s, t, op->first, false);
    flv_log_info("topic", op->first == 0 ? "created" : "grown",
                 FLV_KV_STR("topic", t->name), FLV_KV_U64("id", t->id),
                 FLV_KV_U64("partitions", t->partition_count));
    op_end(op, FLV_WIRE_NONE, NULL);
}

static void put_run(struct flv_work *w)
{
    struct flv_topic_op *op = (struct flv_topic_op *)w;
    struct flv_topic_row row = flv_topic_row(op->t);
    row.partition_count = op->count;
    op->rc = flv_metadb_put_topic(op->s->db, &row, &op->err);
    note_failure(op);
}

static void put_done(struct flv_work *w, flv_rc rc)
{
    struct flv_topic_op *op = (struct flv_topic_op *)w;
    if (rc != FLV_OK) {
        op->rc = flv_fail(&op->err, rc, "the server is stopping");
    }
    if (op->rc != FLV_OK) {
        op_fail(op);
    } else {
        op_visible(op);
    }
}

/* What all partitions of the server together have written since their last
 * checkpoints is read at a start after a kill: half of this, on average. */
static struct flv_part_conf part_conf(const struct flv_server *s,
                                      const struct flv_topic *t,
                                      size_t partitions)
{
    struct flv_part_conf conf =
        flv_topic_part_conf(t, (uint32_t)s->conf.batch_bytes_max);
    uint64_t share = UNKEPT_BYTES / (partitions > 0 ? partitions : 1);
    conf.checkpoint_bytes = share < UNKEPT_MIN   ? UNKEPT_MIN
                            : share > UNKEPT_MAX ? UNKEPT_MAX
                                                 : share;
    return conf;
}

static void logs_run(struct flv_work *w)
{
    struct flv_topic_op *op = (struct flv_topic_op *)w;
    const struct flv_datadir *dir = &op->s->dir;
    struct flv_part_conf conf = part_conf(op->s, op->t, op->partitions);
    conf.create = true;
    op->rc = flv_datadir_make_topic(dir, op->t->id, &op->err);
    for (uint32_t i = op->first; i < op->count && op->rc == FLV_OK; i++) {
        char path[FLV_DATADIR_LOG_PATH_MAX];
        flv_datadir_log_path(dir, op->t->id, i, path);
        /* What an interrupted grow left would be another log's. */
        flv_rc rc = op->first > 0
                        ? flv_log_delete(op->s->conf.io, path, &op->err)
                        : FLV_E_NOT_FOUND;
        if (rc != FLV_OK && rc != FLV_E_NOT_FOUND) {
            op->rc = rc;
            return;
        }
        conf.dir = path;
        conf.log_id = new_log_id();
        op->rc = flv_partition_open_log(op->t->partitions[i], &conf, &op->err);
    }
}

static void logs_done(struct flv_work *w, flv_rc rc)
{
    struct flv_topic_op *op = (struct flv_topic_op *)w;
    if (rc != FLV_OK) {
        op->rc = flv_fail(&op->err, rc, "the server is stopping");
    }
    if (op->rc == FLV_OK) {
        op->work.run = put_run;
        op->work.done = put_done;
        rc = flv_pool_submit(op->s->meta_pool, &op->work);
        if (rc == FLV_OK) {
            return; /* op->rc is the worker's now */
        }
        op->rc = flv_fail(&op->err, rc, "no thread for the metadata");
    }
    op_undo(op);
}

static struct flv_topic_op *op_new(struct flv_server *s,
                                   struct flv_topic *t,
                                   flv_topic_done_fn done,
                                   void *ctx)
{
    struct flv_topic_op *op = flv_zalloc(1, sizeof *op);
    if (op != NULL) {
        op->s = s;
        op->t = t;
        op->done = done;
        op->ctx = ctx;
        flv_server_began(s);
    }
    return op;
}

/* The objects of partitions first..count-1, then their logs in a pool. */
static void op_start(struct flv_topic_op *op)
{
    struct flv_topic *t = op->t;
    op->partitions = op->s->topics.partition_count + op->count - op->first;
    op->rc = flv_topic_reserve(t, op->count, &op->err);
    if (op->rc != FLV_OK) {
        op->count = op->first; /* there are no others to undo */
    }
    for (uint32_t i = op->first; i < op->count && op->rc == FLV_OK; i++) {
        char name[FLV_TOPIC_NAME_MAX + 16];
        make_name(t, i, name, sizeof name);
        t->partitions[i] = flv_partition_create(&op->s->part_env, name, false);
        if (t->partitions[i] == NULL) {
            op->rc = flv_fail(&op->err, FLV_E_NOMEM, "out of memory");
        }
    }
    if (op->rc == FLV_OK) {
        op->work.run = logs_run;
        op->work.done = logs_done;
        /* From here on op->rc is the worker's. */
        flv_rc rc = flv_pool_submit(op->s->read_pool, &op->work);
        if (rc == FLV_OK) {
            return;
        }
        op->rc = flv_fail(&op->err, rc, "no thread for the disk");
    }
    op_undo(op);
}

void flv_lifecycle_create(struct flv_server *s,
                          struct flv_slice name,
                          const struct flv_wire_topic_spec *spec,
                          enum flv_durability durability,
                          flv_topic_done_fn done,
                          void *ctx)
{
    struct flv_err err = {0};
    struct flv_topic *t = NULL;
    uint32_t count = 0;
    char why[FLV_TOPIC_WHY_MAX];
    int16_t code = flv_topic_spec_check(spec, &count, why);
    assert(code == FLV_WIRE_NONE && flv_topics_find(&s->topics, name) == NULL);
    (void)code;
    if (flv_topics_add(&s->topics, name, spec, durability, &t, &err) !=
        FLV_OK) {
        done(ctx, FLV_WIRE_TOPIC_ERROR, err.text);
        return;
    }
    struct flv_topic_op *op = op_new(s, t, done, ctx);
    if (op == NULL) {
        flv_topics_remove(&s->topics, t);
        done(ctx, FLV_WIRE_TOPIC_ERROR, "out of memory");
        return;
    }
    op->count = count;
    op_start(op);
}

void flv_lifecycle_grow(struct flv_server *s,
                        struct flv_topic *t,
                        uint32_t more,
                        flv_topic_done_fn done,
                        void *ctx)
{
    assert(t->state == FLV_TOPIC_ONLINE && !t->growing && more > 0);
    struct flv_err err = {0};
    uint32_t count = t->partition_count + more;
    struct flv_topic_op *op = op_new(s, t, done, ctx);
    if (op == NULL) {
        done(ctx, FLV_WIRE_TOPIC_ERROR, "out of memory");
        return;
    }
    if (flv_topic_set_count(t, count, &err) != FLV_OK) {
        op_end(op, FLV_WIRE_TOPIC_ERROR, err.text);
        return;
    }
    t->growing = true;
    op->first = t->partition_count;
    op->count = count;
    op_start(op);
}

/* ---- delete ---- */

static void delete_run(struct flv_work *w)
{
    struct flv_topic_op *op = (struct flv_topic_op *)w;
    op->rc = flv_metadb_delete_topic(op->s->db, op->t->id, &op->err);
    note_failure(op);
}

static void delete_done(struct flv_work *w, flv_rc rc)
{
    struct flv_topic_op *op = (struct flv_topic_op *)w;
    struct flv_server *s = op->s;
    struct flv_topic *t = op->t;
    if (rc != FLV_OK) {
        op->rc = flv_fail(&op->err, rc, "the server is stopping");
    }
    if (op->rc != FLV_OK) {
        op_fail(op);
        return;
    }
    flv_log_info("topic", "deleted", FLV_KV_STR("topic", t->name),
                 FLV_KV_U64("id", t->id));
    flv_watch_topic(s, t, 0, true);
    s->topics.partition_count -= t->partition_count;
    bury(s, t, 0, t->partition_count, true);
    flv_topics_remove(&s->topics, t);
    op_end(op, FLV_WIRE_NONE, NULL);
}

void flv_lifecycle_delete(struct flv_server *s,
                          struct flv_topic *t,
                          flv_topic_done_fn done,
                          void *ctx)
{
    assert(t->state == FLV_TOPIC_ONLINE && !t->growing);
    struct flv_topic_op *op = op_new(s, t, done, ctx);
    if (op == NULL) {
        done(ctx, FLV_WIRE_TOPIC_ERROR, "out of memory");
        return;
    }
    t->state = FLV_TOPIC_DELETING;
    op->work.run = delete_run;
    op->work.done = delete_done;
    flv_rc rc = flv_pool_submit(s->meta_pool, &op->work);
    if (rc != FLV_OK) {
        op->rc = flv_fail(&op->err, rc, "no thread for the metadata");
        op_undo(op);
    }
}

/* ---- doubt ---- */

static void closed_one(void *ctx)
{
    flv_server_ended(ctx);
}

/* The server stops: the next start will see. */
static void let_go(struct flv_topic_op *op)
{
    struct flv_topic *t = op->t;
    for (uint32_t i = op->first; i < op->count; i++) {
        struct flv_partition *p = t->partitions[i];
        t->partitions[i] = NULL;
        flv_server_began(op->s);
        flv_partition_close(p, false, closed_one, op->s);
    }
    LIST_REMOVE(op, link);
    flv_free(op);
}

static void settle_run(struct flv_work *w)
{
    struct flv_topic_op *op = (struct flv_topic_op *)w;
    op->in_doubt = flv_metadb_settle(op->s->db, NULL) != FLV_OK;
}

static void settle_done(struct flv_work *w, flv_rc rc)
{
    struct flv_topic_op *op = (struct flv_topic_op *)w;
    struct flv_server *s = op->s;
    op->settling = false;
    if (s->phase >= FLV_SERVER_CLOSING) {
        let_go(op);
    } else if (rc == FLV_OK && !op->in_doubt) {
        flv_log_info("topic", "settled: what failed was not done",
                     FLV_KV_STR("topic", op->t->name));
        op->t->in_doubt = false;
        LIST_REMOVE(op, link);
        take_back(op);
        flv_free(op);
    }
    flv_server_ended(s);
}

void flv_lifecycle_settle(struct flv_server *s)
{
    struct flv_topic_op *op;
    LIST_FOREACH(op, &s->doubts, link)
    {
        if (op->settling) {
            continue;
        }
        op->work.run = settle_run;
        op->work.done = settle_done;
        if (flv_pool_submit(s->meta_pool, &op->work) == FLV_OK) {
            op->settling = true;
            flv_server_began(s);
        }
    }
}

/* ---- start ---- */

struct opener {
    struct flv_work work; /* first */
    struct flv_partition *p;
    struct flv_part_conf conf;
    char path[FLV_DATADIR_LOG_PATH_MAX];
};

static void opener_run(struct flv_work *w)
{
    struct opener *o = (struct opener *)w;
    struct flv_err err = {0};
    o->conf.dir = o->path;
    bool ok = flv_partition_open_log(o->p, &o->conf, &err) == FLV_OK;
    flv_partition_set_trouble(o->p, ok ? NULL : &err);
}

static void opener_done(struct flv_work *w, flv_rc rc)
{
    struct opener *o = (struct opener *)w;
    assert(rc == FLV_OK);
    (void)rc;
    flv_partition_opened(o->p);
    flv_free(o);
}

static flv_rc open_one(struct flv_server *s,
                       struct flv_topic *t,
                       uint32_t index,
                       struct flv_err *err)
{
    char name[FLV_TOPIC_NAME_MAX + 16];
    bool bare = flv_topic_is_own(t);
    make_name(t, index, name, sizeof name);
    t->partitions[index] = flv_partition_create(&s->part_env, name, bare);
    struct opener *o = flv_zalloc(1, sizeof *o);
    if (t->partitions[index] == NULL || o == NULL || bare) {
        flv_free(o);
        return bare && t->partitions[index] != NULL
                   ? FLV_OK
                   : flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    o->p = t->partitions[index];
    o->conf = part_conf(s, t, s->topics.partition_count);
    o->work.run = opener_run;
    o->work.done = opener_done;
    flv_datadir_log_path(&s->dir, t->id, index, o->path);
    if (s->topics.partition_count <= 4 ||
        flv_pool_submit(s->part_env.commit_pool, &o->work) != FLV_OK) {
        /* A thread would take longer to start than this takes. */
        opener_run(&o->work);
        opener_done(&o->work, FLV_OK);
    }
    return FLV_OK;
}

static flv_rc
load_row(const struct flv_topic_row *row, void *arg, struct flv_err *err)
{
    struct flv_server *s = arg;
    struct flv_topic *t = NULL;
    flv_rc rc = flv_topics_load(&s->topics, row, &t, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (row->partition_count == 0 ||
        row->partition_count > FLV_TOPIC_PARTITIONS_MAX) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "topic %s in meta.db has %u partitions", t->name,
                        row->partition_count);
    }
    rc = flv_topic_reserve(t, row->partition_count, err);
    if (rc == FLV_OK) {
        t->partition_count = row->partition_count;
        t->state = FLV_TOPIC_ONLINE;
        s->topics.partition_count += row->partition_count;
    }
    return rc;
}

static flv_rc make_system_topic(struct flv_server *s, struct flv_err *err)
{
    if (flv_topics_find(&s->topics, flv_slice_str(FLV_OFFSETS_TOPIC)) != NULL) {
        return FLV_OK;
    }
    struct flv_wire_topic_spec spec = {
        .replicas = {.tag = FLV_WIRE_REPLICA_COMPUTED,
                     .computed = {.partitions = 1, .replication_factor = 1}},
        .cleanup_policy = {.has = true, .v = {.retention_seconds = 604800}},
        .storage = {.has = true},
        .compression = FLV_WIRE_COMPRESSION_ANY,
        .system = true,
    };
    spec.storage.v.segment_size_bytes.has = true;
    spec.storage.v.segment_size_bytes.v = 512000000;
    spec.storage.v.partition_size_bytes_max.has = true;
    spec.storage.v.partition_size_bytes_max.v = 2048000000;
    struct flv_topic *t = NULL;
    flv_rc rc = flv_topics_add(&s->topics, flv_slice_str(FLV_OFFSETS_TOPIC),
                               &spec, FLV_DURABLE_DISK, &t, err);
    if (rc == FLV_OK) {
        rc = flv_topic_reserve(t, 1, err);
    }
    if (rc == FLV_OK) {
        t->partition_count = 1;
        t->state = FLV_TOPIC_ONLINE;
        s->topics.partition_count++;
        const struct flv_topic_row row = flv_topic_row(t);
        rc = flv_metadb_put_topic(s->db, &row, err);
    }
    return rc;
}

static void find_highest(uint64_t topic_id, void *arg)
{
    uint64_t *highest = arg;
    if (topic_id > *highest) {
        *highest = topic_id;
    }
}

static void sweep_one(uint64_t topic_id, void *arg)
{
    struct flv_server *s = arg;
    if (flv_topics_by_id(&s->topics, topic_id) != NULL) {
        return;
    }
    struct flv_err err = {0};
    flv_rc rc = flv_datadir_remove_topic(&s->dir, topic_id, &err);
    flv_log_info("topic", "removed what an interrupted create or delete left",
                 FLV_KV_U64("id", topic_id),
                 FLV_KV_STR("error", rc == FLV_OK ? "" : err.text));
}

/* Every start leaves a topic in meta.db, before there is any folder. */
static flv_rc
check_not_new(struct flv_server *s, uint64_t highest, struct flv_err *err)
{
    return highest == 0 || s->topics.next_id > 1
               ? FLV_OK
               : flv_fail(err, FLV_E_CORRUPT,
                          "%s/meta.db knows no topic, but there are folders of "
                          "topics; restore meta.db, or move %s/topics away",
                          s->dir.path, s->dir.path);
}

flv_rc flv_lifecycle_load(struct flv_server *s, struct flv_err *err)
{
    uint64_t highest = 0;
    flv_rc rc = flv_metadb_next_id(s->db, &s->topics.next_id, err);
    if (rc == FLV_OK) {
        rc = flv_metadb_store_id(s->db, &s->store_id, err);
    }
    if (rc == FLV_OK) {
        rc = flv_datadir_each_topic(&s->dir, find_highest, &highest, err);
    }
    if (rc == FLV_OK) {
        rc = check_not_new(s, highest, err);
    }
    if (rc == FLV_OK) {
        rc = flv_metadb_each_topic(s->db, load_row, s, err);
    }
    if (rc == FLV_OK) {
        rc = make_system_topic(s, err);
    }
    if (rc == FLV_OK) {
        rc = flv_datadir_each_topic(&s->dir, sweep_one, s, err);
    }
    if (highest >= s->topics.next_id) {
        s->topics.next_id = highest + 1;
    }
    for (size_t i = 0; i < s->topics.len && rc == FLV_OK; i++) {
        struct flv_topic *t = s->topics.sorted[i];
        for (uint32_t p = 0; p < t->partition_count && rc == FLV_OK; p++) {
            rc = open_one(s, t, p, err);
        }
    }
    flv_pool_drain(s->part_env.commit_pool);
    return rc;
}

/* ---- stop ---- */

void flv_lifecycle_close_all(struct flv_server *s)
{
    struct flv_topic_op *op = LIST_FIRST(&s->doubts);
    while (op != NULL) {
        struct flv_topic_op *next = LIST_NEXT(op, link);
        if (!op->settling) {
            let_go(op);
        }
        op = next;
    }
    for (size_t i = 0; i < s->topics.len; i++) {
        struct flv_topic *t = s->topics.sorted[i];
        for (uint32_t p = 0; p < t->partition_count; p++) {
            struct flv_partition *part = t->partitions[p];
            t->partitions[p] = NULL;
            if (part != NULL) {
                flv_server_began(s);
                flv_partition_close(part, true, closed_one, s);
            }
        }
        t->partition_count = 0;
    }
}
