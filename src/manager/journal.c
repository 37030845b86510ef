#include "manager/journal.h"

#include <assert.h>

#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/pool.h"

#define GROUP_MAX 256
#define WAITING_MAX 20000

/* One copied change; its slices point behind the struct. */
struct entry {
    struct flv_mchange change;
    struct entry *next;
    flv_journal_fn done;
    void *arg;
    struct flv_err err;
    flv_rc rc;
    uint8_t bytes[];
};

struct flv_journal {
    struct flv_loop *loop;
    struct flv_mstore *store; /* borrowed */
    struct flv_pool *pool;
    struct flv_work work;
    struct flv_task here;       /* completes a group that no thread wrote */
    struct entry *first, *last; /* owned: wait */
    size_t waiting;
    const struct flv_mchange *group[GROUP_MAX];
    struct entry *entries[GROUP_MAX]; /* owned: with the worker */
    size_t count;
    bool busy;
};

/* ---- Copies ------------------------------------------------------------ */

static void move_in(struct flv_slice *s, uint8_t **to)
{
    if (s->len > 0) {
        memcpy(*to, s->data, s->len);
    }
    s->data = *to;
    *to += s->len;
}

static struct entry *copy(const struct flv_mchange *c)
{
    const struct flv_mrow *r = &c->row;
    const struct flv_mevent *v = &c->event;
    size_t size = r->name.len + r->file.len + r->cause.len + v->name.len +
                  v->kind.len + v->text.len;
    struct entry *e = flv_zalloc(1, sizeof(*e) + size);
    if (e == NULL) {
        return NULL;
    }
    uint8_t *to = e->bytes;
    e->change = *c;
    move_in(&e->change.row.name, &to);
    move_in(&e->change.row.file, &to);
    move_in(&e->change.row.cause, &to);
    move_in(&e->change.event.name, &to);
    move_in(&e->change.event.kind, &to);
    move_in(&e->change.event.text, &to);
    return e;
}

/* ---- Writing ----------------------------------------------------------- */

static void run_group(struct flv_work *w)
{
    struct flv_journal *j = FLV_OWNER_OF(w, struct flv_journal, work);
    struct flv_err err = {0};
    flv_rc rc = flv_mstore_apply(j->store, j->group, j->count, &err);
    for (size_t i = 0; i < j->count; i++) {
        struct entry *e = j->entries[i];
        e->rc = rc;
        e->err = err;
        if (rc != FLV_OK && j->count > 1) {
            e->err = (struct flv_err){0};
            e->rc = flv_mstore_apply(j->store, &j->group[i], 1, &e->err);
        }
    }
}

static void submit(struct flv_journal *j);

static void group_done(struct flv_work *w, flv_rc rc)
{
    struct flv_journal *j = FLV_OWNER_OF(w, struct flv_journal, work);
    struct entry *entries[GROUP_MAX];
    size_t count = j->count;
    memcpy(entries, j->entries, count * sizeof(struct entry *));
    j->busy = false;
    j->count = 0;
    submit(j);
    for (size_t i = 0; i < count; i++) {
        struct entry *e = entries[i];
        if (rc != FLV_OK) {
            e->rc = flv_fail(&e->err, rc, "the manager is stopping");
        }
        if (e->rc != FLV_OK && e->done == NULL) {
            flv_log_error("store", "a change is not on disk",
                          FLV_KV_SLICE("name", e->change.row.name),
                          FLV_KV_ERR(&e->err));
        }
        if (e->done != NULL) {
            e->done(e->arg, e->rc != FLV_OK ? &e->err : NULL);
        }
        flv_free(e);
    }
}

static void here_done(struct flv_task *t)
{
    group_done(&FLV_OWNER_OF(t, struct flv_journal, here)->work, FLV_OK);
}

static void submit(struct flv_journal *j)
{
    if (j->busy || j->first == NULL) {
        return;
    }
    while (j->first != NULL && j->count < GROUP_MAX) {
        struct entry *e = j->first;
        j->first = e->next;
        j->entries[j->count] = e;
        j->group[j->count++] = &e->change;
        j->waiting--;
    }
    j->last = j->first != NULL ? j->last : NULL;
    j->busy = true;
    flv_rc rc = flv_pool_submit(j->pool, &j->work);
    if (rc != FLV_OK) {
        run_group(&j->work); /* no thread to be had: here then */
        flv_loop_defer(j->loop, &j->here);
    }
}

/* ---- Life -------------------------------------------------------------- */

flv_rc flv_journal_add(struct flv_journal *j,
                       const struct flv_mchange *change,
                       flv_journal_fn done,
                       void *arg,
                       struct flv_err *err)
{
    if (j->waiting >= WAITING_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "more than %d changes wait for the disk", WAITING_MAX);
    }
    struct entry *e = copy(change);
    if (e == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    e->done = done;
    e->arg = arg;
    *(j->last != NULL ? &j->last->next : &j->first) = e;
    j->last = e;
    j->waiting++;
    submit(j);
    return FLV_OK;
}

flv_rc flv_journal_create(struct flv_journal **out,
                          struct flv_loop *loop,
                          struct flv_mstore *store,
                          struct flv_err *err)
{
    struct flv_journal *j = flv_zalloc(1, sizeof(*j));
    if (j == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    j->loop = loop;
    j->store = store;
    j->work.run = run_group;
    j->work.done = group_done;
    flv_task_init(&j->here, here_done);
    const struct flv_pool_conf conf = {.name = "store",
                                       .threads_max = 1,
                                       .queue_max = 1,
                                       .stack_bytes = 1 << 20};
    flv_rc rc = flv_pool_create(&j->pool, loop, &conf, err);
    if (rc != FLV_OK) {
        flv_free(j);
        return rc;
    }
    *out = j;
    return FLV_OK;
}

void flv_journal_destroy(struct flv_journal *j)
{
    if (j == NULL) {
        return;
    }
    while (j->busy || j->first != NULL) {
        flv_pool_drain(j->pool);
        if (j->here.queued) {
            flv_loop_undefer(j->loop, &j->here);
            here_done(&j->here);
        }
    }
    flv_pool_destroy(j->pool);
    flv_free(j);
}
