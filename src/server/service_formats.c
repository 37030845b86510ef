#include "server/service.h"

#include "base/mem.h"
#include "server/objects.h"
#include "server/state.h"

#include <assert.h>
#include <string.h>

#define LIST_ARENA_MAX ((size_t)64 << 20)

/* ---- create and delete ---- */

struct change {
    struct flv_token token;
    size_t name_len;
    char name[];
};

static struct change *change_new(const struct flv_request *r,
                                 struct flv_slice name)
{
    struct change *c = flv_zalloc(1, sizeof *c + name.len);
    if (c != NULL) {
        c->token = flv_peer_hold(r);
        c->name_len = name.len;
        if (name.len > 0) {
            memcpy(c->name, name.data, name.len);
        }
    }
    return c;
}

static void change_done(void *ctx, int16_t code, const char *why)
{
    struct change *c = ctx;
    flv_status_answer(&c->token, flv_slice(c->name, c->name_len),
                      flv_wire_error_text(code, why), why);
    flv_free(c);
}

static flv_rc refuse(const struct flv_request *r,
                     struct flv_slice name,
                     int16_t code,
                     const char *why)
{
    struct flv_token t = flv_peer_hold(r);
    flv_status_answer(&t, name, flv_wire_error_text(code, why), why);
    return FLV_OK;
}

flv_rc flv_format_create_serve(struct flv_request *r,
                               struct flv_slice body,
                               struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    struct flv_wire_table_format_create req;
    flv_rc rc = flv_wire_table_format_create_decode(r->head.version, &body,
                                                    &s->arena, &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    const struct flv_slice name = req.common.name;
    char why[FLV_FORMAT_WHY_MAX];
    if (!flv_peer_may(r->peer, FLV_RIGHT_CREATE, name)) {
        return refuse(r, name, FLV_WIRE_PERMISSION_DENIED,
                      FLV_SERVICE_NO_RIGHT);
    }
    int16_t code = flv_formats_check(&s->formats, name, &req.spec, why);
    if (code != FLV_WIRE_NONE || req.common.dry_run) {
        return refuse(r, name, code, code != FLV_WIRE_NONE ? why : NULL);
    }
    struct change *c = change_new(r, name);
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_formats_create(&s->formats, name, &req.spec, change_done, c);
    return FLV_OK;
}

flv_rc flv_format_delete_serve(struct flv_request *r,
                               struct flv_slice name,
                               struct flv_err *err)
{
    if (!flv_peer_may(r->peer, FLV_RIGHT_DELETE, name)) {
        return refuse(r, name, FLV_WIRE_PERMISSION_DENIED,
                      FLV_SERVICE_NO_RIGHT);
    }
    struct change *c = change_new(r, name);
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_formats_delete(&r->peer->server->formats, name, change_done, c);
    return FLV_OK;
}

/* ---- list ---- */

/* Fluvio's filters are parts of names; none at all shows everything. */
static bool is_listed(const struct flv_format *f,
                      const struct flv_wire_list_request *req)
{
    bool match = req->name_filters.len == 0;
    for (uint32_t i = 0; i < req->name_filters.len && !match; i++) {
        const struct flv_slice part = req->name_filters.at[i];
        match = part.len == 0 ||
                memmem(f->name, strlen(f->name), part.data, part.len) != NULL;
    }
    return match;
}

flv_rc flv_format_list_serve(struct flv_request *r,
                             struct flv_slice body,
                             struct flv_err *err)
{
    const struct flv_formats *set = &r->peer->server->formats;
    struct flv_wire_list_request req;
    struct flv_wire_table_format_list out = {0};
    struct flv_arena arena;
    flv_rc rc = flv_wire_list_request_decode(
        r->head.version, &body, &r->peer->server->arena, &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    flv_arena_init(&arena, 4096, LIST_ARENA_MAX);
    out.items.at =
        FLV_ARENA_NEW(&arena, struct flv_wire_table_format, set->len + 1);
    if (out.items.at == NULL) {
        rc = flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < set->len && rc == FLV_OK; i++) {
        if (is_listed(set->sorted[i], &req)) {
            out.items.at[out.items.len++] = flv_object_format(set->sorted[i]);
        }
    }
    if (rc == FLV_OK) {
        struct flv_token t = flv_peer_hold(r);
        flv_token_answer(&t, &flv_wire_table_format_list_schema, &out,
                         flv_wire_object_label(FLV_WIRE_TABLE_FORMAT));
    }
    flv_arena_deinit(&arena);
    return rc;
}
