#include "server/change.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/state.h"

#include <assert.h>

void *flv_change_create(size_t size,
                        struct flv_server *server,
                        flv_change_done_fn done,
                        void *ctx)
{
    assert(size >= sizeof(struct flv_change));
    struct flv_change *c = flv_zalloc(1, size);
    if (c != NULL) {
        c->server = server;
        c->done = done;
        c->ctx = ctx;
        flv_server_began(server);
    }
    return c;
}

void flv_change_end(struct flv_change *c, int16_t code, const char *why)
{
    struct flv_server *s = c->server;
    c->done(c->ctx, code, why);
    c->drop(c);
    flv_free(c);
    flv_server_ended(s);
}

void flv_change_submit(struct flv_change *c,
                       struct flv_pool *pool,
                       void (*run)(struct flv_work *),
                       void (*over)(struct flv_work *, flv_rc))
{
    c->work.run = run;
    c->work.done = over;
    flv_rc rc = flv_pool_submit(pool, &c->work);
    if (rc != FLV_OK) {
        over(&c->work, rc);
    }
}

flv_rc flv_change_result(struct flv_change *c,
                         flv_rc rc,
                         const char *target,
                         const char *what,
                         const char *name)
{
    if (rc != FLV_OK) {
        c->rc = flv_fail(&c->err, rc, "no thread for the metadata");
    }
    if (c->rc != FLV_OK) {
        flv_log_warn(target, what, FLV_KV_STR("name", name),
                     FLV_KV_ERR(&c->err));
    }
    return c->rc;
}
