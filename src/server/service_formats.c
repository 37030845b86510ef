#include "server/service.h"

#include "base/mem.h"
#include "server/objects.h"
#include "server/state.h"

#include <string.h>

#define LIST_ARENA_MAX ((size_t)64 << 20)

/* ---- create and delete ---- */

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
        return flv_status_refuse(r, name, FLV_WIRE_PERMISSION_DENIED,
                                 FLV_SERVICE_NO_RIGHT);
    }
    int16_t code = flv_formats_check(&s->formats, name, &req.spec, why);
    if (code != FLV_WIRE_NONE || req.common.dry_run) {
        return flv_status_refuse(r, name, code,
                                 code != FLV_WIRE_NONE ? why : NULL);
    }
    struct flv_status_later *c = flv_status_later_new(r, name);
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_formats_create(&s->formats, name, &req.spec, flv_status_later_done, c);
    return FLV_OK;
}

flv_rc flv_format_delete_serve(struct flv_request *r,
                               struct flv_slice name,
                               struct flv_err *err)
{
    if (!flv_peer_may(r->peer, FLV_RIGHT_DELETE, name)) {
        return flv_status_refuse(r, name, FLV_WIRE_PERMISSION_DENIED,
                                 FLV_SERVICE_NO_RIGHT);
    }
    struct flv_status_later *c = flv_status_later_new(r, name);
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_formats_delete(&r->peer->server->formats, name, flv_status_later_done,
                       c);
    return FLV_OK;
}

/* ---- list ---- */

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
        if (flv_list_wants(&req, set->sorted[i]->name)) {
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
