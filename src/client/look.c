#include "client/look.h"

#include "base/field.h"
#include "base/mem.h"
#include "client/internal.h"

#include <assert.h>

#define ARENA_MAX ((size_t)16 << 20)

struct look_op {
    struct flv__op op;
    struct flv__call call;
    struct flv_arena arena; /* of the answer */
    struct flv_wire_server_look body;
    flv_server_state_fn done;
    void *user;
};

/* Leaves the client first, so that the callback can be the last thing. */
static void complete(struct look_op *o,
                     const struct flv_err *err,
                     const struct flv_wire_server_state *state)
{
    flv__op_remove(&o->op);
    flv__peer_cancel(&o->call);
    o->done(o->user, err, state);
    flv_arena_deinit(&o->arena);
    flv_free(o);
}

static void cancel(struct flv__op *op, const struct flv_err *err)
{
    complete(FLV_OWNER_OF(op, struct look_op, op), err, NULL);
}

static void answered(struct flv__call *call,
                     const struct flv__answer *a,
                     const struct flv_err *err)
{
    struct look_op *o = call->user;
    struct flv_wire_server_state state;
    struct flv_err own = {0};

    if (err == NULL) {
        struct flv_slice in = a->body;
        flv_rc rc = flv_wire_server_state_decode(a->version, &in, &o->arena,
                                                 &state, &own);
        err = rc != FLV_OK ? &own : NULL;
    }
    complete(o, err, err == NULL ? &state : NULL);
}

flv_rc flv_client_server_state(struct flv_client *c,
                               uint32_t troubles_max,
                               flv_server_state_fn done,
                               void *user,
                               struct flv_err *err)
{
    struct look_op *o = NULL;
    flv_rc rc;

    assert(done != NULL);
    if (c->closing) {
        return flv__closing(err);
    }
    o = flv_zalloc(1, sizeof(*o));
    if (o == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a request");
    }
    flv_arena_init(&o->arena, 1024, ARENA_MAX);
    o->body.troubles_max = troubles_max;
    o->done = done;
    o->user = user;
    o->op.cancel = cancel;
    o->call = (struct flv__call){
        .api = FLV_API_SC_SERVER_LOOK,
        .version = FLV_WIRE_SC_MAX,
        .must_list = true,
        .timeout_ms = c->conf.request_timeout_ms,
        .message = {.schema = &flv_wire_server_look_schema, .body = &o->body},
        .done = answered,
        .user = o,
    };
    rc = flv__peer_call(c->sc, &o->call, err);
    if (rc == FLV_OK) {
        flv__op_add(c, &o->op);
    } else {
        flv_arena_deinit(&o->arena);
        flv_free(o);
    }
    return rc;
}
