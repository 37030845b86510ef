#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "loop/pool.h"
#include "sql_sink.h"

struct probe {
    struct flv_probe *probe; /* borrowed */
    struct sql_db_conf conf;
    struct flv_pool *pool; /* owned */
    struct flv_work work;
    struct flv_task leave;
    atomic_bool canceled;
    struct flv_err err;
};

static void look(struct flv_work *w)
{
    struct probe *p = FLV_OWNER_OF(w, struct probe, work);
    struct sql_db *db = NULL;
    if (sql_db_open(&db, &p->conf, &p->err) == FLV_OK) {
        sql_db_close(db);
    }
}

static void looked(struct flv_work *w, flv_rc rc)
{
    struct probe *p = FLV_OWNER_OF(w, struct probe, work);
    if (rc != FLV_OK) {
        (void)flv_fail(&p->err, rc, "canceled");
    }
    flv_loop_defer(flv_probe_loop(p->probe), &p->leave);
}

static void leave(struct flv_task *task)
{
    struct probe *p = FLV_OWNER_OF(task, struct probe, leave);
    bool ok = p->err.rc == FLV_OK;
    flv_pool_destroy(p->pool);
    flv_probe_done(p->probe,
                   ok ? "the database is open to the connector" : NULL,
                   ok ? NULL : &p->err);
    flv_free(p);
}

flv_rc sql_probe(const void *conf, struct flv_probe *probe, struct flv_err *err)
{
    const struct flv_pool_conf pool = {.name = "sql",
                                       .threads_max = 1,
                                       .queue_max = 1,
                                       .stack_bytes = 1 << 20};
    struct probe *p = flv_zalloc(1, sizeof(*p));
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    p->probe = probe;
    p->conf = sql_db_settings(conf, "probe", &p->canceled);
    p->work.run = look;
    p->work.done = looked;
    flv_task_init(&p->leave, leave);
    flv_rc rc = flv_pool_create(&p->pool, flv_probe_loop(probe), &pool, err);
    if (rc == FLV_OK) {
        rc = flv_pool_submit(p->pool, &p->work);
        if (rc != FLV_OK) {
            (void)flv_fail(err, rc, "a thread for the database");
            flv_pool_destroy(p->pool);
        }
    }
    if (rc != FLV_OK) {
        flv_free(p);
    }
    return rc;
}
