#include "server/service.h"

#include "server/state.h"
#include "server/stream.h"
#include "wire/ext.h"

#include <assert.h>
#include <string.h>

/* ---- api versions: both services ---- */

flv_rc flv_api_versions_serve(struct flv_request *r, struct flv_err *err)
{
    struct flv_arena *arena = &r->peer->server->arena;
    struct flv_wire_api_versions_request req;
    struct flv_wire_api_versions_response out;
    flv_rc rc = flv_wire_api_versions_request_decode(r->head.version, &r->body,
                                                     arena, &req, err);
    if (rc == FLV_OK) {
        rc =
            flv_wire_api_versions_answer(r->peer->side, &req, arena, &out, err);
    }
    if (rc == FLV_OK && r->peer->side == FLV_WIRE_SC) {
        struct flv_wire_api_range *all =
            FLV_ARENA_NEW(arena, struct flv_wire_api_range, out.apis.len + 1);
        if (all == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory");
        }
        memcpy(all, out.apis.at, out.apis.len * sizeof *all);
        all[out.apis.len] = flv_wire_ext_range;
        out.apis.at = all;
        out.apis.len++;
    }
    if (rc == FLV_OK) {
        struct flv_token t = flv_peer_hold(r);
        flv_token_answer(&t, &flv_wire_api_versions_response_schema, &out,
                         NULL);
    }
    return rc;
}

/* ---- update offsets ---- */

static flv_rc serve_update_offsets(struct flv_request *r, struct flv_err *err)
{
    struct flv_arena *arena = &r->peer->server->arena;
    struct flv_wire_update_offsets_request req;
    struct flv_wire_update_offsets_response out = {0};
    flv_rc rc = flv_wire_update_offsets_request_decode(
        r->head.version, &r->body, arena, &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    out.statuses.at = FLV_ARENA_NEW(arena, struct flv_wire_offset_update_status,
                                    req.offsets.len + 1);
    if (out.statuses.at == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    struct flv_token t = flv_peer_hold(r);
    for (uint32_t i = 0; i < req.offsets.len; i++) {
        const struct flv_wire_offset_update *u = &req.offsets.at[i];
        bool known = flv_stream_update(t.peer, u->stream_id, u->offset);
        out.statuses.at[i] = (struct flv_wire_offset_update_status){
            .stream_id = u->stream_id,
            .error = flv_wire_error(known ? FLV_WIRE_NONE
                                          : FLV_WIRE_FETCH_SESSION_NOT_FOUND)};
    }
    out.statuses.len = req.offsets.len;
    flv_token_answer(&t, &flv_wire_update_offsets_response_schema, &out, NULL);
    return FLV_OK;
}

/* ---- fetch ---- */

/* No client of the last years sends Fetch; it gets an explicit answer. */
static flv_rc serve_fetch(struct flv_request *r, struct flv_err *err)
{
    struct flv_arena *arena = &r->peer->server->arena;
    struct flv_wire_fetch_request req;
    flv_rc rc = flv_wire_fetch_request_decode(r->head.version, &r->body, arena,
                                              &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct flv_wire_fetch_response out = {
        .error = flv_wire_error_text(FLV_WIRE_OTHER,
                                     "Fetch is not served; read with "
                                     "StreamFetch")};
    struct flv_token t = flv_peer_hold(r);
    flv_token_answer(&t, &flv_wire_fetch_response_schema, &out, NULL);
    return FLV_OK;
}

static flv_rc serve_stream_fetch(struct flv_request *r, struct flv_err *err)
{
    struct flv_wire_stream_fetch_request req;
    flv_rc rc = flv_wire_stream_fetch_request_decode(
        r->head.version, &r->body, &r->peer->server->arena, &req, err);
    return rc == FLV_OK ? flv_stream_start(r, &req, err) : rc;
}

/* ---- dispatch ---- */

flv_rc flv_spu_serve(struct flv_request *r, struct flv_err *err)
{
    switch (r->head.api_key) {
    case FLV_API_VERSIONS:
        return flv_api_versions_serve(r, err);
    case FLV_API_SPU_PRODUCE:
        return flv_produce_serve(r, err);
    case FLV_API_SPU_FETCH:
        return serve_fetch(r, err);
    case FLV_API_SPU_STREAM_FETCH:
        return serve_stream_fetch(r, err);
    case FLV_API_SPU_UPDATE_OFFSETS:
        return serve_update_offsets(r, err);
    case FLV_API_SPU_FETCH_OFFSETS:
    case FLV_API_SPU_UPDATE_CONSUMER_OFFSET:
    case FLV_API_SPU_DELETE_CONSUMER_OFFSET:
    case FLV_API_SPU_FETCH_CONSUMER_OFFSETS:
        return flv_consumer_offsets_serve(r, err);
    default:
        return flv_fail(err, FLV_E_PROTOCOL, "api key %u is unknown",
                        r->head.api_key);
    }
}
