#include "server/offsets.h"

#include "base/field.h"
#include "base/mem.h"

#include <assert.h>
#include <string.h>

void flv_offsets_init(struct flv_offsets *o,
                      struct flv_metadb *db,
                      struct flv_pool *pool,
                      struct flv_loop *loop)
{
    *o = (struct flv_offsets){.db = db, .pool = pool, .loop = loop};
    STAILQ_INIT(&o->waiting);
    STAILQ_INIT(&o->group);
}

static struct flv_offsets *of_work(struct flv_work *w)
{
    return FLV_OWNER_OF(w, struct flv_offsets, work);
}

/* ---- changes ---- */

static void group_run(struct flv_work *w)
{
    struct flv_offsets *o = of_work(w);
    /* Two thousand small structs: too many for a thread's small stack. */
    struct flv_offset_change *changes =
        flv_alloc(FLV_OFFSETS_GROUP_MAX * sizeof *changes);
    if (changes == NULL) {
        o->rc = flv_fail(&o->err, FLV_E_NOMEM, "out of memory");
        return;
    }
    size_t n = 0;
    const struct flv_offset_op *op;
    STAILQ_FOREACH(op, &o->group, link)
    {
        assert(n < FLV_OFFSETS_GROUP_MAX);
        changes[n++] = op->change;
    }
    o->rc = flv_metadb_change_offsets(o->db, changes, n, o->found, &o->err);
    flv_free(changes);
}

static void group_start(struct flv_offsets *o);

static void group_over(struct flv_offsets *o)
{
    struct flv_offset_list group = STAILQ_HEAD_INITIALIZER(group);
    STAILQ_CONCAT(&group, &o->group);
    flv_rc rc = o->rc;
    size_t i = 0;
    struct flv_offset_op *op;
    while ((op = STAILQ_FIRST(&group)) != NULL) {
        STAILQ_REMOVE_HEAD(&group, link);
        op->done(op, rc, o->found[i++], rc == FLV_OK ? NULL : &o->err);
    }
    o->running = false;
    group_start(o);
}

static void group_done(struct flv_work *w, flv_rc rc)
{
    struct flv_offsets *o = of_work(w);
    if (rc != FLV_OK) {
        o->rc = flv_fail(&o->err, rc, "the server is stopping");
    }
    group_over(o);
}

static void group_late(struct flv_task *t)
{
    group_over(FLV_OWNER_OF(t, struct flv_offsets, late));
}

static void group_start(struct flv_offsets *o)
{
    if (o->running || STAILQ_EMPTY(&o->waiting)) {
        return;
    }
    assert(STAILQ_EMPTY(&o->group));
    struct flv_offset_op *op;
    for (size_t n = 0;
         n < FLV_OFFSETS_GROUP_MAX && (op = STAILQ_FIRST(&o->waiting)) != NULL;
         n++) {
        STAILQ_REMOVE_HEAD(&o->waiting, link);
        STAILQ_INSERT_TAIL(&o->group, op, link);
        o->found[n] = false;
    }
    o->running = true;
    o->rc = FLV_OK;
    o->work.run = group_run;
    o->work.done = group_done;
    flv_rc rc = flv_pool_submit(o->pool, &o->work);
    if (rc != FLV_OK) {
        o->rc = flv_fail(&o->err, rc, "no thread for the metadata");
        flv_task_init(&o->late, group_late);
        flv_loop_defer(o->loop, &o->late);
    }
}

void flv_offsets_change(struct flv_offsets *o, struct flv_offset_op *op)
{
    assert(op->done != NULL);
    STAILQ_INSERT_TAIL(&o->waiting, op, link);
    group_start(o);
}

/* ---- questions ---- */

static flv_rc
keep_row(const struct flv_offset_row *row, void *arg, struct flv_err *err)
{
    struct flv_offset_ask *ask = arg;
    if (ask->count == ask->max) {
        return flv_fail(err, FLV_E_LIMIT,
                        "there are more than %zu consumer offsets; ask for a "
                        "single consumer or partition",
                        ask->max);
    }
    if ((ask->count & (ask->count - 1)) == 0) {
        size_t cap = ask->count > 0 ? ask->count * 2 : 1;
        void *grown = flv_realloc(ask->rows, cap * sizeof *ask->rows);
        if (grown == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory");
        }
        ask->rows = grown;
    }
    struct flv_offset_row copy = *row;
    char *name =
        flv_strndup((const char *)row->consumer.data, row->consumer.len);
    if (name == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    copy.consumer = flv_slice(name, row->consumer.len);
    ask->rows[ask->count++] = copy;
    return FLV_OK;
}

static void ask_run(struct flv_work *w)
{
    struct flv_offset_ask *ask = (struct flv_offset_ask *)w;
    ask->rc = flv_metadb_each_offset(ask->offsets->db, &ask->query, keep_row,
                                     ask, &ask->err);
}

static void ask_done(struct flv_work *w, flv_rc rc)
{
    struct flv_offset_ask *ask = (struct flv_offset_ask *)w;
    if (rc != FLV_OK) {
        ask->rc = flv_fail(&ask->err, rc, "the server is stopping");
    }
    struct flv_offset_row *rows = ask->rows;
    size_t count = ask->count;
    ask->done(ask); /* may free the ask */
    for (size_t i = 0; i < count; i++) {
        union {
            const uint8_t *seen;
            void *owned;
        } name = {.seen = rows[i].consumer.data};
        flv_free(name.owned);
    }
    flv_free(rows);
}

void flv_offsets_query(struct flv_offsets *o, struct flv_offset_ask *ask)
{
    assert(ask->done != NULL && ask->rows == NULL && ask->count == 0);
    ask->offsets = o;
    ask->work.run = ask_run;
    ask->work.done = ask_done;
    ask->rc = FLV_OK;
    flv_rc rc = flv_pool_submit(o->pool, &ask->work);
    if (rc != FLV_OK) {
        ask_done(&ask->work, rc);
    }
}
