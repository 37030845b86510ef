/* What only fluvio-server answers: the creation of a topic, and positions that
 * are bound to it. */
#include "client/internal.h"

#include "base/field.h"
#include "base/mem.h"
#include "wire/ext.h"
#include <assert.h>

#define ARENA_MAX ((size_t)64 * 1024)

struct creation_op {
    struct flv__op op;
    struct flv__call call;
    struct flv_arena arena;  /* owns the texts of the request, and the answer */
    flv_topic_id_fn id_done; /* one of the two */
    flv_done_fn done;
    void *user;
    union {
        struct flv_wire_topic_look look;
        struct flv_wire_position_store position;
    } body;
};

/* The end of an op: leaves the client first, so that the callback can be the
 * last thing that happens. */
static void
complete(struct creation_op *o, const struct flv_err *err, const char *id)
{
    flv__op_remove(&o->op);
    flv__peer_cancel(&o->call);
    if (o->id_done != NULL) {
        o->id_done(o->user, err, id);
    } else {
        o->done(o->user, err);
    }
    flv_arena_deinit(&o->arena);
    flv_free(o);
}

static void cancel(struct flv__op *op, const struct flv_err *err)
{
    complete(FLV_OWNER_OF(op, struct creation_op, op), err, NULL);
}

static flv_rc read_answer(struct creation_op *o,
                          const struct flv__answer *a,
                          struct flv_wire_status *out,
                          struct flv_err *err)
{
    struct flv_slice in = a->body;
    const flv_rc rc =
        flv_wire_status_decode(a->version, &in, &o->arena, out, err);

    if (rc != FLV_OK || out->error.code == FLV_WIRE_NONE) {
        return rc;
    }
    return flv_wire_error_raise(&out->error, err);
}

static void answered(struct flv__call *call,
                     const struct flv__answer *a,
                     const struct flv_err *err)
{
    struct creation_op *o = call->user;
    struct flv_wire_status status;
    struct flv_err why = {.rc = FLV_OK};
    char id[FLV_TOPIC_ID_MAX + 1] = "";
    size_t len = 0;

    if (err != NULL) {
        /* A cluster that does not list the question cannot tell. */
        const bool plain = o->id_done != NULL && err->rc == FLV_E_UNSUPPORTED;

        complete(o, plain ? NULL : err, plain ? id : NULL);
        return;
    }
    if (read_answer(o, a, &status, &why) == FLV_OK && o->id_done != NULL) {
        len = status.message.has ? status.message.v.len : 0;
        if (len == 0 || len > FLV_TOPIC_ID_MAX) {
            (void)flv_fail(&why, FLV_E_PROTOCOL,
                           "the id of a topic has %zu bytes", len);
        } else {
            memcpy(id, status.message.v.data, len);
        }
    }
    if (why.rc != FLV_OK) {
        complete(o, &why, NULL);
        return;
    }
    complete(o, NULL, id);
}

static flv_rc new_op(struct flv_client *c,
                     uint16_t api,
                     const struct flv_wire_schema *schema,
                     struct creation_op **out,
                     struct flv_err *err)
{
    struct creation_op *o = NULL;

    if (c->closing) {
        return flv__closing(err);
    }
    o = flv_zalloc(1, sizeof(*o));
    if (o == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a request");
    }
    flv_arena_init(&o->arena, 1024, ARENA_MAX);
    o->op.cancel = cancel;
    o->call = (struct flv__call){
        .api = api,
        .version = FLV_WIRE_SC_MAX,
        .must_list = true,
        .timeout_ms = c->conf.request_timeout_ms,
        .message = {.schema = schema, .body = &o->body},
        .done = answered,
        .user = o,
    };
    *out = o;
    return FLV_OK;
}

/* A copy of a name in the op's arena. */
static flv_rc add_name(struct creation_op *o,
                       const char *name,
                       const char *what,
                       struct flv_slice *out,
                       struct flv_err *err)
{
    char checked[FLV__NAME_MAX];
    const char *copy = NULL;
    const flv_rc rc = flv__name_copy(checked, name, what, err);

    if (rc != FLV_OK) {
        return rc;
    }
    copy = flv_arena_text(&o->arena, checked, strlen(checked));
    if (copy == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a request");
    }
    *out = flv_slice_str(copy);
    return FLV_OK;
}

static flv_rc submit(struct flv_client *c,
                     struct creation_op *o,
                     flv_rc rc,
                     struct flv_err *err)
{
    if (rc == FLV_OK) {
        rc = flv__peer_call(c->sc, &o->call, err);
    }
    if (rc == FLV_OK) {
        flv__op_add(c, &o->op);
    } else {
        flv_arena_deinit(&o->arena);
        flv_free(o);
    }
    return rc;
}

flv_rc flv_client_topic_id(struct flv_client *c,
                           const char *name,
                           flv_topic_id_fn done,
                           void *user,
                           struct flv_err *err)
{
    struct creation_op *o = NULL;
    const flv_rc rc =
        new_op(c, FLV_API_SC_TOPIC_LOOK, &flv_wire_topic_look_schema, &o, err);

    assert(done != NULL);
    if (rc != FLV_OK) {
        return rc;
    }
    o->id_done = done;
    o->user = user;
    return submit(
        c, o, add_name(o, name, "Topic name", &o->body.look.name, err), err);
}

flv_rc flv_client_position_store(struct flv_client *c,
                                 const struct flv_position *p,
                                 flv_done_fn done,
                                 void *user,
                                 struct flv_err *err)
{
    struct creation_op *o = NULL;
    struct flv_wire_position_store *b = NULL;
    flv_rc rc = new_op(c, FLV_API_SC_POSITION_STORE,
                       &flv_wire_position_store_schema, &o, err);

    assert(done != NULL && p->offset >= -1);
    if (rc != FLV_OK) {
        return rc;
    }
    o->done = done;
    o->user = user;
    b = &o->body.position;
    b->partition = p->partition;
    b->offset = p->offset;
    rc = add_name(o, p->consumer_id, "consumer id", &b->consumer, err);
    if (rc == FLV_OK) {
        rc = add_name(o, p->topic, "Topic name", &b->topic, err);
    }
    if (rc == FLV_OK) {
        rc = add_name(o, p->topic_id, "creation id", &b->topic_id, err);
    }
    return submit(c, o, rc, err);
}
