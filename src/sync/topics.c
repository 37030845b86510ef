/* Topics, made, deleted and listed. */
#include "sync/sync_priv.h"

#include "base/arena.h"
#include "base/field.h"
#include "base/mem.h"

#define TOPICS_BYTES_MAX ((size_t)128 * 1024 * 1024)

struct create_op {
    struct flv__sync_op op;
    const struct flv_topic_conf *conf; /* the caller's, for run() */
};

static void create_run(struct flv__sync_op *op)
{
    const struct create_op *o = FLV_OWNER_OF(op, struct create_op, op);
    struct flv_err err;

    if (flv_client_topic_create(op->sync->client, o->conf, flv__sync_done_fn,
                                op, &err) != FLV_OK) {
        flv__sync_done(op, &err);
    }
}

flv_rc flv_sync_topic_create(struct flv_sync *s,
                             const struct flv_topic_conf *conf,
                             struct flv_err *err)
{
    struct create_op *o = NULL;
    flv_rc rc = flv__sync_op_create(s, sizeof(*o), create_run, &o, err);

    if (rc == FLV_OK) {
        o->conf = conf;
        rc = flv__sync_call(&o->op, flv__sync_deadline(s->timeout_ms),
                            "making a topic", err);
        flv__sync_op_release(&o->op);
    }
    return rc;
}

struct delete_op {
    struct flv__sync_op op;
    const char *name; /* the caller's, for run() */
};

static void delete_run(struct flv__sync_op *op)
{
    const struct delete_op *o = FLV_OWNER_OF(op, struct delete_op, op);
    struct flv_err err;

    if (flv_client_topic_delete(op->sync->client, o->name, false,
                                flv__sync_done_fn, op, &err) != FLV_OK) {
        flv__sync_done(op, &err);
    }
}

flv_rc
flv_sync_topic_delete(struct flv_sync *s, const char *name, struct flv_err *err)
{
    struct delete_op *o = NULL;
    flv_rc rc = flv__sync_op_create(s, sizeof(*o), delete_run, &o, err);

    if (rc == FLV_OK) {
        o->name = name;
        rc = flv__sync_call(&o->op, flv__sync_deadline(s->timeout_ms),
                            "deleting a topic", err);
        flv__sync_op_release(&o->op);
    }
    return rc;
}

/* ----------------------------------------------------------------- list */

struct list_op {
    struct flv__sync_op op;
    const char *name;         /* the caller's, for run(); NULL: all */
    struct flv_arena *memory; /* owned, until the caller takes it */
    struct flv_topic_info *topics;
    size_t count;
};

static void memory_free(struct flv_arena *memory)
{
    if (memory != NULL) {
        flv_arena_deinit(memory);
        flv_free(memory);
    }
}

static void list_drop(struct flv__sync_op *op)
{
    memory_free(FLV_OWNER_OF(op, struct list_op, op)->memory);
}

static bool
copy_text(struct flv_arena *memory, const char *text, const char **out)
{
    *out = text != NULL ? flv_arena_text(memory, text, strlen(text)) : NULL;
    return text == NULL || *out != NULL;
}

static bool copy_dedup(struct flv_arena *memory,
                       const struct flv_dedup *from,
                       const struct flv_dedup **out)
{
    struct flv_dedup *d;
    const char **params;

    if (from == NULL) {
        return true;
    }
    d = FLV_ARENA_NEW(memory, struct flv_dedup, 1);
    params = FLV_ARENA_NEW(memory, const char *, 2 * from->param_count + 1);
    if (d == NULL || params == NULL) {
        return false;
    }
    *d = *from;
    for (size_t i = 0; i < 2 * from->param_count; i++) {
        if (!copy_text(memory, from->params[i], &params[i])) {
            return false;
        }
    }
    d->params = params;
    *out = d;
    return copy_text(memory, from->filter, &d->filter);
}

static bool copy_replicas(struct flv_arena *memory,
                          const struct flv_replica *from,
                          size_t count,
                          const struct flv_replica **out)
{
    struct flv_replica *list = flv_arena_zalloc(memory, count, sizeof(*list),
                                                _Alignof(struct flv_replica));

    *out = list;
    for (size_t i = 0; list != NULL && i < count; i++) {
        int32_t *spus = flv_arena_zalloc(memory, from[i].spu_count,
                                         sizeof(*spus), _Alignof(int32_t));

        if (spus == NULL) {
            return false;
        }
        for (size_t n = 0; n < from[i].spu_count; n++) {
            spus[n] = from[i].spus[n];
        }
        list[i] = from[i];
        list[i].spus = spus;
    }
    return list != NULL;
}

static bool copy_topic(struct flv_arena *memory,
                       const struct flv_topic_info *from,
                       struct flv_topic_info *to)
{
    *to = *from;
    return copy_text(memory, from->name, &to->name) &&
           copy_dedup(memory, from->dedup, &to->dedup) &&
           copy_text(memory, from->reason, &to->reason) &&
           copy_replicas(memory, from->assignment, from->assignment_count,
                         &to->assignment) &&
           copy_replicas(memory, from->replicas, from->replica_count,
                         &to->replicas);
}

static flv_rc copy_all(struct list_op *o,
                       const struct flv_topic_info *topics,
                       size_t count,
                       struct flv_err *err)
{
    o->topics = flv_arena_zalloc(o->memory, count, sizeof(*o->topics),
                                 _Alignof(struct flv_topic_info));
    for (size_t i = 0; o->topics != NULL && i < count; i++) {
        if (!copy_topic(o->memory, &topics[i], &o->topics[i])) {
            o->topics = NULL;
        }
    }
    if (o->topics == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for %zu topics",
                        count);
    }
    o->count = count;
    return FLV_OK;
}

static void list_came(void *user,
                      const struct flv_err *err,
                      const struct flv_topic_info *topics,
                      size_t count)
{
    struct list_op *o = user;
    struct flv_err why;

    if (err == NULL && copy_all(o, topics, count, &why) != FLV_OK) {
        err = &why;
    }
    flv__sync_done(&o->op, err);
}

static void list_run(struct flv__sync_op *op)
{
    struct list_op *o = FLV_OWNER_OF(op, struct list_op, op);
    struct flv_err err;

    if (flv_client_topics(op->sync->client, o->name, false, list_came, o,
                          &err) != FLV_OK) {
        flv__sync_done(op, &err);
    }
}

flv_rc flv_sync_topics(struct flv_sync *s,
                       const char *name,
                       struct flv_sync_topics *out,
                       struct flv_err *err)
{
    struct list_op *o = NULL;
    flv_rc rc = flv__sync_op_create(s, sizeof(*o), list_run, &o, err);

    if (rc != FLV_OK) {
        return rc;
    }
    o->op.drop = list_drop;
    o->name = name;
    o->memory = flv_zalloc(1, sizeof(*o->memory));
    if (o->memory == NULL) {
        rc = flv_fail(err, FLV_E_NOMEM, "out of memory for topics");
    } else {
        flv_arena_init(o->memory, 4096, TOPICS_BYTES_MAX);
        rc = flv__sync_call(&o->op, flv__sync_deadline(s->timeout_ms),
                            "listing topics", err);
    }
    if (rc == FLV_OK) {
        out->at = o->topics;
        out->count = o->count;
        out->memory = o->memory;
        o->memory = NULL;
    }
    flv__sync_op_release(&o->op);
    return rc;
}

void flv_sync_topics_free(struct flv_sync_topics *topics)
{
    memory_free(topics->memory);
    *topics = (struct flv_sync_topics){.count = 0};
}
