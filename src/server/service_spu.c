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
            FLV_ARENA_NEW(arena, struct flv_wire_api_range,
                          out.apis.len + FLV_WIRE_EXT_COUNT);
        if (all == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory");
        }
        memcpy(all, out.apis.at, out.apis.len * sizeof *all);
        memcpy(all + out.apis.len, flv_wire_ext_ranges,
               sizeof flv_wire_ext_ranges);
        out.apis.at = all;
        out.apis.len += FLV_WIRE_EXT_COUNT;
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

/* ---- stream fetch ---- */

/* What is wrong with the request, if anything. */
static struct flv_wire_error
judge(const struct flv_request *r,
      const struct flv_wire_stream_fetch_request *req,
      const struct flv_partition *p)
{
    if (!flv_peer_may(r->peer, FLV_RIGHT_CONSUME, req->topic)) {
        return flv_wire_error(FLV_WIRE_PERMISSION_DENIED);
    }
    if (p == NULL || flv_partition_state(p) == FLV_PART_CLOSING) {
        return flv_wire_error(FLV_WIRE_NOT_LEADER_FOR_PARTITION);
    }
    if (req->derivedstream.has) {
        return flv_wire_error_text(FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR,
                                   "derived streams are not served; ask for "
                                   "the SmartModules themselves");
    }
    if (flv_partition_state(p) != FLV_PART_ONLINE) {
        return flv_wire_error(FLV_WIRE_STORAGE_ERROR);
    }
    if (r->peer->stream_count >= FLV_STREAMS_PER_PEER_MAX) {
        return flv_wire_error_text(FLV_WIRE_OTHER,
                                   "this connection has 1024 streams already; "
                                   "open another one");
    }
    if (req->consumer_id.has &&
        (req->consumer_id.v.len == 0 ||
         req->consumer_id.v.len > FLV_CONSUMER_NAME_MAX)) {
        return flv_wire_error_text(FLV_WIRE_OTHER,
                                   "a consumer name has 1 to 255 bytes");
    }
    if (req->fetch_offset < 0 ||
        req->fetch_offset > flv_partition_end(p, FLV_READ_UNCOMMITTED)) {
        return flv_wire_error_text(FLV_WIRE_OTHER,
                                   "the offset asked for is behind the end of "
                                   "the partition");
    }
    return flv_wire_error(FLV_WIRE_NONE);
}

static flv_rc serve_stream_fetch(struct flv_request *r, struct flv_err *err)
{
    struct flv_wire_stream_fetch_request req;
    flv_rc rc = flv_wire_stream_fetch_request_decode(
        r->head.version, &r->body, &r->peer->server->arena, &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct flv_topic *t = NULL;
    struct flv_wire_error error =
        judge(r, &req,
              flv_topics_partition(&r->peer->server->topics, req.topic,
                                   req.partition, &t));
    if (error.code != FLV_WIRE_NONE) {
        flv_stream_refuse(r, &req, error);
        return FLV_OK;
    }
    return flv_stream_start(r, &req, err);
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
        return flv_fetch_serve(r, err);
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
