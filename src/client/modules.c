#include "client/modules.h"

#include "base/field.h"
#include "base/mem.h"
#include "client/internal.h"
#include "wire/compress.h"
#include <assert.h>

static flv_rc no_memory(struct flv_err *err)
{
    return flv_fail(err, FLV_E_NOMEM, "out of memory for a SmartModule");
}

/* ---------------------------------------------------------------- bytes */

static bool is_gzip(struct flv_slice s)
{
    return s.len >= 2 && s.data[0] == 0x1f && s.data[1] == 0x8b;
}

/* Through the gzip codec, one way or the other, into the arena. */
static flv_rc recode(struct flv_slice in,
                     bool pack,
                     struct flv_arena *arena,
                     struct flv_slice *out,
                     struct flv_err *err)
{
    struct flv_compressor *z = flv_compressor_create();
    struct flv_buf buf;
    flv_rc rc = FLV_OK;
    void *copy = NULL;

    if (z == NULL) {
        return no_memory(err);
    }
    flv_buf_init(&buf, FLV__MODULE_BYTES_MAX);
    rc = pack ? flv_compress(z, FLV_CODEC_GZIP, in, &buf, err)
              : flv_decompress(z, FLV_CODEC_GZIP, in, &buf, err);
    if (rc == FLV_OK) {
        copy = flv_arena_copy(arena, buf.data, buf.len);
        rc = copy != NULL || buf.len == 0 ? FLV_OK : no_memory(err);
    }
    if (rc == FLV_OK) {
        *out = flv_slice(copy, buf.len);
    }
    flv_buf_deinit(&buf);
    flv_compressor_destroy(z);
    return rc;
}

flv_rc flv__module_pack(struct flv_slice wasm,
                        struct flv_arena *arena,
                        struct flv_slice *out,
                        struct flv_err *err)
{
    void *copy = NULL;

    if (wasm.len > FLV__MODULE_BYTES_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "a SmartModule has %zu bytes and the largest is %zu",
                        wasm.len, FLV__MODULE_BYTES_MAX);
    }
    if (!is_gzip(wasm)) {
        return recode(wasm, true, arena, out, err);
    }
    copy = flv_arena_copy(arena, wasm.data, wasm.len);
    if (copy == NULL) {
        return no_memory(err);
    }
    *out = flv_slice(copy, wasm.len);
    return FLV_OK;
}

/* ----------------------------------------------------------------- info */

struct texts {
    struct flv_arena *arena;
    bool failed;
};

static const char *text(struct texts *t, struct flv_slice s)
{
    const char *copy = flv_arena_text(t->arena, (const char *)s.data, s.len);

    t->failed = t->failed || copy == NULL;
    return copy;
}

static void fill_package(const struct flv_wire_smartmodule_meta *m,
                         struct texts *t,
                         struct flv_smartmodule_info *out)
{
    struct flv_smartmodule_param_info *params = FLV_ARENA_NEW(
        t->arena, struct flv_smartmodule_param_info, (size_t)m->params.len + 1);

    out->package = text(t, m->name);
    out->group = text(t, m->group);
    out->version = text(t, m->version);
    out->api_version = text(t, m->api_version);
    out->description = m->description.has ? text(t, m->description.v) : NULL;
    out->license = m->license.has ? text(t, m->license.v) : NULL;
    out->repository = m->repository.has ? text(t, m->repository.v) : NULL;
    if (params == NULL) {
        t->failed = true;
        return;
    }
    for (uint32_t i = 0; i < m->params.len; i++) {
        const struct flv_wire_smartmodule_param *p = &m->params.at[i];

        params[i].name = text(t, p->name);
        params[i].description =
            p->description.has ? text(t, p->description.v) : NULL;
        params[i].optional = p->optional;
    }
    out->params = params;
    out->param_count = m->params.len;
}

/* Plain bytes, or why there are none. Only want of memory fails. */
static flv_rc fill_bytes(struct flv_slice payload,
                         struct flv_arena *arena,
                         struct flv_smartmodule_info *out,
                         struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    out->wasm = payload;
    if (!is_gzip(payload)) {
        return FLV_OK;
    }
    out->wasm = flv_slice(NULL, 0);
    rc = recode(payload, false, arena, &out->wasm, &out->wasm_err);
    if (rc == FLV_E_NOMEM) {
        return no_memory(err);
    }
    if (rc == FLV_E_CORRUPT) {
        flv_err_prefix(&out->wasm_err, "SmartModule %s", out->name);
    } else if (rc != FLV_OK) {
        (void)flv_fail(&out->wasm_err, rc,
                       "SmartModule %s unpacks to more than %zu bytes",
                       out->name, FLV__MODULE_BYTES_MAX);
    }
    return FLV_OK;
}

flv_rc flv__module_info(const struct flv_wire_smartmodule *w,
                        struct flv_arena *arena,
                        struct flv_smartmodule_info *out,
                        struct flv_err *err)
{
    const struct flv_wire_smartmodule_spec *s = &w->spec;
    struct texts t = {.arena = arena};

    *out = (struct flv_smartmodule_info){
        .name = text(&t, w->name),
        .stored_bytes = s->summary_wasm_bytes.has ? s->summary_wasm_bytes.v
                                                  : s->payload.len,
    };
    if (s->meta.has) {
        fill_package(&s->meta.v, &t, out);
    }
    if (t.failed) {
        return no_memory(err);
    }
    if (s->summary_wasm_bytes.has) {
        (void)flv_fail(&out->wasm_err, FLV_E_LIMIT,
                       "SmartModule %s came without its bytes; ask for it by "
                       "its name",
                       out->name);
        return FLV_OK;
    }
    return fill_bytes(s->payload, arena, out, err);
}

/* ------------------------------------------------------------------ uses */

static uint8_t kind_wire(enum flv_smartmodule_kind kind)
{
    switch (kind) {
    case FLV_SMARTMODULE_FILTER:
        return FLV_WIRE_MODULE_FILTER;
    case FLV_SMARTMODULE_MAP:
        return FLV_WIRE_MODULE_MAP;
    case FLV_SMARTMODULE_FILTER_MAP:
        return FLV_WIRE_MODULE_FILTER_MAP;
    case FLV_SMARTMODULE_ARRAY_MAP:
        return FLV_WIRE_MODULE_ARRAY_MAP;
    case FLV_SMARTMODULE_AGGREGATE:
        return FLV_WIRE_MODULE_AGGREGATE;
    case FLV_SMARTMODULE_ANY:
        break;
    }
    return FLV_WIRE_MODULE_GENERIC;
}

static struct flv_slice copy_text(struct texts *t, const char *s)
{
    const char *copy = text(t, flv_slice_str(s));

    return copy != NULL ? flv_slice_str(copy) : flv_slice(NULL, 0);
}

static void fill_kind(const struct flv_smartmodule_use *use,
                      struct texts *t,
                      struct flv_wire_module_kinds *out)
{
    struct flv_slice accumulator = {.len = 0};

    if (use->has_accumulator && use->accumulator.len > 0) {
        const void *copy = flv_arena_copy(t->arena, use->accumulator.data,
                                          use->accumulator.len);

        t->failed = t->failed || copy == NULL;
        accumulator = flv_slice(copy, use->accumulator.len);
    }
    out->tag = kind_wire(use->kind);
    if (use->kind == FLV_SMARTMODULE_AGGREGATE) {
        out->accumulator = accumulator;
    } else if (use->has_accumulator) {
        out->tag = FLV_WIRE_MODULE_GENERIC;
        out->context.tag = 1; /* aggregate */
        out->context.accumulator = accumulator;
    }
}

static void fill_params(const struct flv_smartmodule_use *use,
                        struct texts *t,
                        struct flv_wire_module_params *out)
{
    struct flv_wire_pair *pairs =
        FLV_ARENA_NEW(t->arena, struct flv_wire_pair, use->param_count + 1);

    if (pairs == NULL) {
        t->failed = true;
        return;
    }
    for (size_t i = 0; i < use->param_count; i++) {
        pairs[i].key = copy_text(t, use->params[i].key);
        pairs[i].value = copy_text(t, use->params[i].value);
    }
    out->params.at = pairs;
    out->params.len = (uint32_t)use->param_count;
    if (use->look_back_last > 0 || use->look_back_age_ms > 0) {
        out->lookback.has = true;
        out->lookback.v.last = use->look_back_last;
        out->lookback.v.age.has = use->look_back_age_ms > 0;
        out->lookback.v.age.v = flv_wire_duration_of_ms(use->look_back_age_ms);
    }
}

static flv_rc fill_use(const struct flv_smartmodule_use *use,
                       struct flv_arena *arena,
                       struct flv_wire_module_invocation *out,
                       struct flv_err *err)
{
    struct texts t = {.arena = arena};
    flv_rc rc = FLV_OK;

    if (use->wasm.len == 0 && (use->name == NULL || use->name[0] == '\0')) {
        return flv_fail(err, FLV_E_INVALID,
                        "a SmartModule needs a name or its bytes");
    }
    if (use->param_count > UINT16_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "%zu parameters for one SmartModule",
                        use->param_count);
    }
    if (use->name != NULL) {
        out->name.has = true;
        out->name.v = copy_text(&t, use->name);
    }
    if (use->wasm.len > 0) {
        out->wasm.tag = 1;
        rc = flv__module_pack(use->wasm, arena, &out->wasm.gzip, err);
    } else {
        out->wasm.name = out->name.v;
    }
    fill_kind(use, &t, &out->kind);
    fill_params(use, &t, &out->params);
    return rc == FLV_OK && t.failed ? no_memory(err) : rc;
}

flv_rc flv__module_uses(const struct flv_smartmodule_use *uses,
                        size_t count,
                        struct flv_arena *arena,
                        struct flv_wire_module_invocation **out,
                        struct flv_err *err)
{
    struct flv_wire_module_invocation *made = NULL;
    flv_rc rc = FLV_OK;

    if (count > FLV__MODULES_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "%zu SmartModules for one consumer; at most %d are "
                        "possible",
                        count, FLV__MODULES_MAX);
    }
    made = FLV_ARENA_NEW(arena, struct flv_wire_module_invocation, count + 1);
    if (made == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; rc == FLV_OK && i < count; i++) {
        rc = fill_use(&uses[i], arena, &made[i], err);
    }
    if (rc == FLV_OK) {
        *out = made;
    }
    return rc;
}

/* ---------------------------------------------------------------- watch */

struct flv_smartmodule_watch {
    struct flv__op op;
    struct flv_client *client; /* borrowed; may be gone at the end */
    struct flv_loop *loop;     /* borrowed */
    struct flv__call call;
    struct flv_task again; /* the connection was lost: ask again */
    struct flv_wire_watch_request body;
    flv_smartmodule_watch_fn changed;
    void *user;
};

static void watch_end(struct flv_smartmodule_watch *w,
                      const struct flv_err *err)
{
    flv__op_remove(&w->op);
    flv__peer_cancel(&w->call);
    flv_loop_undefer(w->loop, &w->again);
    w->changed(w->user, err, false, NULL, 0);
}

static void watch_cancel(struct flv__op *op, const struct flv_err *err)
{
    watch_end(FLV_OWNER_OF(op, struct flv_smartmodule_watch, op), err);
}

static flv_rc fill_changes(const struct flv_wire_smartmodule_watch *in,
                           struct flv_arena *arena,
                           struct flv_smartmodule_change **out,
                           struct flv_err *err)
{
    const bool all = in->changes.len == 0;
    const uint32_t count = all ? in->all.len : in->changes.len;
    struct flv_smartmodule_change *made =
        FLV_ARENA_NEW(arena, struct flv_smartmodule_change, (size_t)count + 1);
    flv_rc rc = made != NULL ? FLV_OK : no_memory(err);

    for (uint32_t i = 0; rc == FLV_OK && i < count; i++) {
        rc = flv__module_info(all ? &in->all.at[i] : &in->changes.at[i].item,
                              arena, &made[i].info, err);
        made[i].deleted =
            !all && in->changes.at[i].kind == FLV_WIRE_CHANGE_DELETE;
    }
    *out = made;
    return rc;
}

static void watch_answer(struct flv__call *call, const struct flv__answer *a)
{
    struct flv_smartmodule_watch *w = call->user;
    struct flv_wire_smartmodule_watch in;
    struct flv_wire_envelope env;
    struct flv_smartmodule_change *changes = NULL;
    struct flv_slice body = a->body;
    struct flv_err err = {.rc = FLV_OK};
    struct flv_arena arena;
    flv_rc rc = FLV_OK;

    flv_arena_init(&arena, 4096, FLV__CLIENT_ARENA_MAX);
    rc = flv_wire_envelope_decode(a->version, &body, &arena, &env, &err);
    if (rc == FLV_OK) {
        rc = flv_wire_smartmodule_watch_decode(a->version, &env.body, &arena,
                                               &in, &err);
    }
    if (rc == FLV_OK) {
        rc = fill_changes(&in, &arena, &changes, &err);
    }
    if (rc != FLV_OK) {
        watch_end(w, &err);
    } else {
        const bool all = in.changes.len == 0;

        w->changed(w->user, NULL, all, changes,
                   all ? in.all.len : in.changes.len);
    }
    flv_arena_deinit(&arena);
}

static void watch_done(struct flv__call *call,
                       const struct flv__answer *a,
                       const struct flv_err *err)
{
    struct flv_smartmodule_watch *w = call->user;

    assert(a == NULL && err != NULL);
    (void)a;
    if (flv_rc_class(err->rc) == FLV_CLASS_RETRY) {
        flv_loop_defer(w->loop, &w->again);
    } else {
        watch_end(w, err);
    }
}

/* Waits for a connection where there is none. */
static flv_rc watch_ask(struct flv_smartmodule_watch *w, struct flv_err *err)
{
    w->body = (struct flv_wire_watch_request){.summary = true};
    w->call = (struct flv__call){
        .api = FLV_API_SC_WATCH,
        .version = -1,
        .stream = true,
        .message = {.schema = &flv_wire_watch_request_schema,
                    .body = &w->body,
                    .label = flv_wire_object_label(FLV_WIRE_SMARTMODULE)},
        .answer = watch_answer,
        .done = watch_done,
        .user = w,
    };
    return flv__peer_call(w->client->sc, &w->call, err);
}

static void watch_again(struct flv_task *t)
{
    struct flv_smartmodule_watch *w =
        FLV_OWNER_OF(t, struct flv_smartmodule_watch, again);
    struct flv_err err = {.rc = FLV_OK};

    if (watch_ask(w, &err) != FLV_OK) {
        watch_end(w, &err);
    }
}

flv_rc flv_client_smartmodule_watch(struct flv_smartmodule_watch **out,
                                    struct flv_client *c,
                                    flv_smartmodule_watch_fn changed,
                                    void *user,
                                    struct flv_err *err)
{
    struct flv_smartmodule_watch *w = NULL;
    flv_rc rc = FLV_OK;

    assert(changed != NULL);
    if (c->closing) {
        return flv__closing(err);
    }
    w = flv_zalloc(1, sizeof(*w));
    if (w == NULL) {
        return no_memory(err);
    }
    w->op.cancel = watch_cancel;
    w->client = c;
    w->loop = c->loop;
    w->changed = changed;
    w->user = user;
    flv_task_init(&w->again, watch_again);
    rc = watch_ask(w, err);
    if (rc != FLV_OK) {
        flv_free(w);
        return rc;
    }
    flv__op_add(c, &w->op);
    *out = w;
    return FLV_OK;
}

void flv_smartmodule_watch_close(struct flv_smartmodule_watch *w)
{
    if (w == NULL) {
        return;
    }
    flv__op_remove(&w->op);
    flv__peer_cancel(&w->call);
    flv_loop_undefer(w->loop, &w->again);
    flv_free(w);
}
