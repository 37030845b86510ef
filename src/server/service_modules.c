#include "server/service.h"

#include "base/field.h"
#include "base/mem.h"
#include "server/objects.h"
#include "server/state.h"

#include <assert.h>
#include <string.h>

/* Bytes of SmartModules in one list: the largest one fits. What is beyond
 * comes as a summary, which a client can tell; it asks for those by name. */
#define LIST_PAYLOAD_MAX FLV_MODULE_PAYLOAD_MAX
#define LIST_ARENA_MAX ((size_t)64 << 20)
/* Name, lengths and flags around the package data of one module. */
#define LIST_ITEM_BYTES ((size_t)FLV_MODULE_KEY_MAX + 64)
#define LIST_FILTERS_MAX 1000
/* A list begins anew when a module is replaced while it is read. */
#define LIST_ROUNDS_MAX 5

/* ---- create and delete ---- */

static void change_done(void *ctx, int16_t code, const char *why)
{
    struct flv_status_later *c = ctx;
    const struct flv_slice name = flv_slice(c->name, c->name_len);
    struct flv_wire_error error = flv_wire_error_text(code, why);
    if (code == FLV_WIRE_SMARTMODULE_NOT_FOUND) {
        error.text = name; /* its payload is the name */
    }
    flv_status_answer(&c->token, name, error, why);
    flv_free(c);
}

/* Both names that others may ask for it by. */
static bool may_create(const struct flv_peer *p,
                       const char *key,
                       const struct flv_wire_smartmodule_spec *spec)
{
    return flv_peer_may(p, FLV_RIGHT_CREATE, flv_slice_str(key)) &&
           (!spec->meta.has ||
            flv_peer_may(p, FLV_RIGHT_CREATE, spec->meta.v.name));
}

flv_rc flv_module_create_serve(struct flv_request *r,
                               struct flv_slice body,
                               struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    struct flv_wire_smartmodule_create req;
    flv_rc rc = flv_wire_smartmodule_create_decode(r->head.version, &body,
                                                   &s->arena, &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    char key[FLV_MODULE_KEY_MAX + 1];
    char why[FLV_MODULE_WHY_MAX];
    int16_t code =
        flv_modules_check(&s->modules, req.common.name, &req.spec, key, why);
    if (code == FLV_WIRE_NONE && !may_create(r->peer, key, &req.spec)) {
        return flv_status_refuse(r, req.common.name, FLV_WIRE_PERMISSION_DENIED,
                                 FLV_SERVICE_NO_RIGHT);
    }
    if (code != FLV_WIRE_NONE || req.common.dry_run) {
        bool bad = code != FLV_WIRE_NONE;
        return flv_status_refuse(r, bad ? req.common.name : flv_slice_str(key),
                                 code, bad ? why : NULL);
    }
    struct flv_status_later *c = flv_status_later_new(r, flv_slice_str(key));
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_modules_store(&s->modules, key, &req.spec, r->frame, change_done, c);
    return FLV_OK;
}

flv_rc flv_module_delete_serve(struct flv_request *r,
                               struct flv_slice key,
                               struct flv_err *err)
{
    const struct flv_modules *set = &r->peer->server->modules;
    const char *found = flv_modules_deleted_key(set, key);
    if (!flv_peer_may(r->peer, FLV_RIGHT_DELETE,
                      found != NULL ? flv_slice_str(found) : key)) {
        return flv_status_refuse(r, key, FLV_WIRE_PERMISSION_DENIED,
                                 FLV_SERVICE_NO_RIGHT);
    }
    struct flv_status_later *c = flv_status_later_new(r, key);
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_modules_delete(&r->peer->server->modules, key, change_done, c);
    return FLV_OK;
}

/* ---- list ---- */

struct payload {
    uint64_t revision;
    size_t bytes;
    uint8_t *data; /* owned; NULL: not read, or empty */
    bool is_there;
};

struct list {
    struct flv_work work; /* first */
    struct flv_budget_waiter waiter;
    struct flv_task task;
    struct flv_server *s;
    struct flv_token token;   /* its charge is that of the payloads */
    struct flv_chunk *frame;  /* owned reference: the filters */
    struct flv_arena filters; /* owned: their vector */
    struct flv_arena arena;   /* owned: items */
    struct flv_wire_list_request req;
    struct payload *payloads; /* owned array */
    size_t count;
    unsigned rounds;
    bool stale; /* a payload was gone */
    flv_rc rc;
    struct flv_err err;
};

static bool is_listed(const struct list *l, const struct flv_module *m)
{
    bool match = l->req.name_filters.len == 0;
    for (uint32_t i = 0; i < l->req.name_filters.len && !match; i++) {
        const struct flv_slice filter = l->req.name_filters.at[i];
        match = filter.len == 0 || flv_module_matches(m, filter);
    }
    return match;
}

static void drop_payloads(struct list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        flv_free(l->payloads[i].data);
    }
    flv_free(l->payloads);
    l->payloads = NULL;
    l->count = 0;
}

static void list_free(struct list *l)
{
    struct flv_server *s = l->s;
    drop_payloads(l);
    flv_chunk_unref(l->frame);
    flv_arena_deinit(&l->filters);
    flv_arena_deinit(&l->arena);
    flv_free(l);
    flv_server_ended(s);
}

/* Gives up on it: no list at all would be taken for an empty one. */
static void list_fail(struct list *l, const char *why)
{
    struct flv_peer *p = flv_peer_ref(l->token.peer);
    flv_token_drop(&l->token);
    flv_peer_close(p, why);
    flv_peer_unref(p);
    list_free(l);
}

static struct payload *payload_of(const struct list *l, uint64_t revision)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->payloads[i].revision == revision) {
            return &l->payloads[i];
        }
    }
    return NULL;
}

/* False: a module is here whose bytes were not asked for. */
static bool fill_items(struct list *l, struct flv_wire_smartmodule_list *out)
{
    const struct flv_modules *set = &l->s->modules;
    for (size_t i = 0; i < set->len; i++) {
        const struct flv_module *m = set->sorted[i];
        if (!is_listed(l, m)) {
            continue;
        }
        struct flv_wire_smartmodule *item = &out->items.at[out->items.len++];
        *item = flv_object_module(m);
        const struct payload *p =
            l->req.summary ? NULL : payload_of(l, m->revision);
        if (p == NULL && !l->req.summary && l->rounds < LIST_ROUNDS_MAX) {
            return false;
        }
        if (p != NULL && p->is_there) {
            item->spec.summary_wasm_bytes.has = false;
            item->spec.payload = flv_slice(p->data, p->bytes);
        }
    }
    return true;
}

static void list_start(struct list *l);

static void list_end(struct list *l)
{
    struct flv_wire_smartmodule_list out = {0};
    out.items.at = FLV_ARENA_NEW(&l->arena, struct flv_wire_smartmodule,
                                 l->s->modules.len + 1);
    if (out.items.at == NULL) {
        list_fail(l, "out of memory");
        return;
    }
    if (l->stale || !fill_items(l, &out)) {
        flv_budget_give(&l->s->answers, l->token.charge);
        l->token.charge = 0;
        list_start(l);
        return;
    }
    flv_token_answer(&l->token, &flv_wire_smartmodule_list_schema, &out,
                     flv_wire_object_label(FLV_WIRE_SMARTMODULE));
    list_free(l);
}

static void list_run(struct flv_work *w)
{
    struct list *l = (struct list *)w;
    for (size_t i = 0; i < l->count && l->rc == FLV_OK && !l->stale; i++) {
        struct payload *p = &l->payloads[i];
        if (!p->is_there) {
            continue; /* it stays a summary */
        }
        struct flv_buf bytes;
        flv_buf_init(&bytes, FLV_MODULE_PAYLOAD_MAX);
        l->rc = flv_metadb_read_module(l->s->db, p->revision, &bytes, &l->err);
        if (l->rc == FLV_OK) {
            p->data = flv_buf_take(&bytes, &p->bytes);
        } else if (l->rc == FLV_E_NOT_FOUND) {
            l->stale = l->rounds < LIST_ROUNDS_MAX;
            p->is_there = false;
            l->rc = FLV_OK;
        }
        flv_buf_deinit(&bytes);
    }
}

static void list_over(struct flv_work *w, flv_rc rc)
{
    struct list *l = (struct list *)w;
    if (rc != FLV_OK) {
        l->rc = flv_fail(&l->err, rc, "the server is stopping");
    }
    if (l->rc != FLV_OK) {
        list_fail(l, l->err.text);
    } else {
        list_end(l);
    }
}

static void list_read(struct list *l)
{
    l->work.run = list_run;
    l->work.done = list_over;
    flv_rc rc = flv_pool_submit(l->s->meta_pool, &l->work);
    if (rc != FLV_OK) {
        list_over(&l->work, rc);
    }
}

static void list_granted(struct flv_budget_waiter *waiter)
{
    struct list *l = FLV_OWNER_OF(waiter, struct list, waiter);
    l->token.charge = waiter->need;
    flv_loop_defer(l->s->loop, &l->task);
}

static void list_go_on(struct flv_task *task)
{
    list_read(FLV_OWNER_OF(task, struct list, task));
}

/* Which bytes to read, and what the answer will be charged. A server with
 * little memory sends less. */
static flv_rc plan(struct list *l, size_t *out_charge)
{
    const struct flv_modules *set = &l->s->modules;
    const size_t half = l->s->answers.max / 2;
    const size_t most = half < LIST_PAYLOAD_MAX ? half : LIST_PAYLOAD_MAX;
    size_t payload_bytes = 0;
    *out_charge = 0;
    drop_payloads(l);
    l->payloads = flv_zalloc(set->len + 1, sizeof *l->payloads);
    if (l->payloads == NULL) {
        return FLV_E_NOMEM;
    }
    for (size_t i = 0; i < set->len; i++) {
        const struct flv_module *m = set->sorted[i];
        if (!is_listed(l, m)) {
            continue;
        }
        struct payload *p = &l->payloads[l->count++];
        p->revision = m->revision;
        p->is_there = payload_bytes + m->payload_bytes <= most;
        payload_bytes += p->is_there ? m->payload_bytes : 0;
        *out_charge += LIST_ITEM_BYTES + m->spec_bytes.len;
    }
    *out_charge += payload_bytes;
    return FLV_OK;
}

static void list_start(struct list *l)
{
    size_t charge = 0;
    flv_arena_reset(&l->arena);
    l->rounds++;
    l->stale = false;
    flv_rc rc = plan(l, &charge);
    if (rc == FLV_OK) {
        rc = flv_budget_take(&l->s->answers, charge);
    }
    if (rc == FLV_OK) {
        l->token.charge = charge;
        list_read(l);
    } else if (rc == FLV_E_BUSY) {
        l->waiter.need = charge;
        l->waiter.granted = list_granted;
        flv_budget_wait(&l->s->answers, &l->waiter);
    } else {
        list_fail(l, "the list is too large for --memory-max");
    }
}

flv_rc flv_module_list_serve(struct flv_request *r,
                             struct flv_slice body,
                             struct flv_err *err)
{
    struct list *l = flv_zalloc(1, sizeof *l);
    if (l == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_arena_init(&l->arena, 1024, LIST_ARENA_MAX);
    flv_arena_init(&l->filters, 256, LIST_ARENA_MAX);
    flv_rc rc = flv_wire_list_request_decode(r->head.version, &body,
                                             &l->filters, &l->req, err);
    if (rc == FLV_OK && l->req.name_filters.len > LIST_FILTERS_MAX) {
        rc = flv_fail(err, FLV_E_LIMIT, "a list with more than %d names",
                      LIST_FILTERS_MAX);
    }
    if (rc != FLV_OK) {
        flv_arena_deinit(&l->filters);
        flv_free(l);
        return rc;
    }
    l->s = r->peer->server;
    flv_server_began(l->s);
    flv_task_init(&l->task, list_go_on);
    l->frame = flv_chunk_ref(r->frame);
    l->token = flv_peer_hold(r);
    if (l->req.summary) {
        list_end(l);
    } else {
        list_start(l);
    }
    return FLV_OK;
}
