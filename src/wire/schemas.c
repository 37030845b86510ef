#include "wire/schemas.h"
#include "wire/ext.h"
#include "wire/spu.h"

struct object {
    const struct flv_wire_schema *create, *list, *watch, *update;
};

static const struct object objects[FLV_WIRE_OBJECT_COUNT] = {
    [FLV_WIRE_TOPIC] = {.create = &flv_wire_topic_create_schema,
                        .list = &flv_wire_topic_list_schema,
                        .watch = &flv_wire_topic_watch_schema,
                        .update = &flv_wire_topic_update_schema},
    [FLV_WIRE_PARTITION] = {.list = &flv_wire_partition_list_schema,
                            .watch = &flv_wire_partition_watch_schema},
    [FLV_WIRE_SPU_OBJECT] = {.list = &flv_wire_spu_list_schema,
                             .watch = &flv_wire_spu_watch_schema},
    [FLV_WIRE_CUSTOM_SPU] = {.create = &flv_wire_custom_spu_create_schema,
                             .list = &flv_wire_custom_spu_list_schema},
    [FLV_WIRE_SPU_GROUP] = {.create = &flv_wire_spu_group_create_schema,
                            .list = &flv_wire_spu_group_list_schema,
                            .watch = &flv_wire_spu_group_watch_schema},
    [FLV_WIRE_SMARTMODULE] = {.create = &flv_wire_smartmodule_create_schema,
                              .list = &flv_wire_smartmodule_list_schema,
                              .watch = &flv_wire_smartmodule_watch_schema},
    [FLV_WIRE_TABLE_FORMAT] = {.create = &flv_wire_table_format_create_schema,
                               .list = &flv_wire_table_format_list_schema,
                               .watch = &flv_wire_table_format_watch_schema},
    [FLV_WIRE_MIRROR] = {.create = &flv_wire_mirror_create_schema,
                         .list = &flv_wire_mirror_list_schema},
};

struct plain {
    uint16_t api;
    const struct flv_wire_schema *request, *response;
};

static const struct plain spu_messages[] = {
    {FLV_API_SPU_PRODUCE, &flv_wire_produce_request_schema,
     &flv_wire_produce_response_schema},
    {FLV_API_SPU_FETCH, &flv_wire_fetch_request_schema,
     &flv_wire_fetch_response_schema},
    {FLV_API_SPU_FETCH_OFFSETS, &flv_wire_fetch_offsets_request_schema,
     &flv_wire_fetch_offsets_response_schema},
    {FLV_API_SPU_STREAM_FETCH, &flv_wire_stream_fetch_request_schema,
     &flv_wire_stream_fetch_response_schema},
    {FLV_API_SPU_UPDATE_OFFSETS, &flv_wire_update_offsets_request_schema,
     &flv_wire_update_offsets_response_schema},
    {FLV_API_SPU_UPDATE_CONSUMER_OFFSET,
     &flv_wire_update_consumer_offset_request_schema,
     &flv_wire_update_consumer_offset_response_schema},
    {FLV_API_SPU_DELETE_CONSUMER_OFFSET,
     &flv_wire_delete_consumer_offset_request_schema,
     &flv_wire_delete_consumer_offset_response_schema},
    {FLV_API_SPU_FETCH_CONSUMER_OFFSETS,
     &flv_wire_fetch_consumer_offsets_request_schema,
     &flv_wire_fetch_consumer_offsets_response_schema},
};

static const struct plain *find_plain(uint16_t api)
{
    for (size_t i = 0; i < sizeof(spu_messages) / sizeof(spu_messages[0]);
         i++) {
        if (spu_messages[i].api == api) {
            return &spu_messages[i];
        }
    }
    return NULL;
}

bool flv_wire_request_wrapped(enum flv_wire_side side, uint16_t api)
{
    return side == FLV_WIRE_SC &&
           (api >= FLV_API_SC_CREATE && api <= FLV_API_SC_UPDATE);
}

bool flv_wire_response_wrapped(enum flv_wire_side side, uint16_t api)
{
    return side == FLV_WIRE_SC &&
           (api == FLV_API_SC_LIST || api == FLV_API_SC_WATCH);
}

static const struct flv_wire_schema *delete_schema(enum flv_wire_object object)
{
    if (object == FLV_WIRE_CUSTOM_SPU) {
        return &flv_wire_custom_spu_delete_schema;
    }
    return objects[object].create != NULL ? &flv_wire_delete_request_schema
                                          : NULL;
}

static const struct flv_wire_schema *sc_request(uint16_t api,
                                                struct flv_slice label)
{
    enum flv_wire_object object;

    switch (api) {
    case FLV_API_SC_TOPIC_CREATE_EXT:
        return &flv_wire_topic_create_ext_schema;
    case FLV_API_SC_TOPIC_LOOK:
        return &flv_wire_topic_look_schema;
    case FLV_API_SC_POSITION_STORE:
        return &flv_wire_position_store_schema;
    case FLV_API_SC_MIRRORING:
        return &flv_wire_mirroring_request_schema;
    case FLV_API_SC_SERVER_LOOK:
        return &flv_wire_server_look_schema;
    default:
        break;
    }
    if (!flv_wire_object_of(label, &object)) {
        return NULL;
    }
    switch (api) {
    case FLV_API_SC_CREATE:
        return objects[object].create;
    case FLV_API_SC_DELETE:
        return delete_schema(object);
    case FLV_API_SC_UPDATE:
        return objects[object].update;
    case FLV_API_SC_LIST:
        return &flv_wire_list_request_schema;
    case FLV_API_SC_WATCH:
        return objects[object].watch != NULL ? &flv_wire_watch_request_schema
                                             : NULL;
    default:
        return NULL;
    }
}

const struct flv_wire_schema *flv_wire_request_schema(enum flv_wire_side side,
                                                      uint16_t api,
                                                      struct flv_slice label)
{
    const struct plain *p;

    if (api == FLV_API_VERSIONS) {
        return &flv_wire_api_versions_request_schema;
    }
    if (side == FLV_WIRE_SC) {
        return sc_request(api, label);
    }
    p = find_plain(api);
    return p != NULL ? p->request : NULL;
}

const struct flv_wire_schema *flv_wire_response_schema(enum flv_wire_side side,
                                                       uint16_t api,
                                                       struct flv_slice label)
{
    enum flv_wire_object object;
    const struct plain *p;

    if (api == FLV_API_VERSIONS) {
        return &flv_wire_api_versions_response_schema;
    }
    if (side == FLV_WIRE_SPU) {
        p = find_plain(api);
        return p != NULL ? p->response : NULL;
    }
    if (api == FLV_API_SC_MIRRORING) {
        return &flv_wire_mirroring_status_schema;
    }
    if (api == FLV_API_SC_SERVER_LOOK) {
        return &flv_wire_server_state_schema;
    }
    if (!flv_wire_response_wrapped(side, api)) {
        return api == FLV_API_SC_CREATE || api == FLV_API_SC_DELETE ||
                       api == FLV_API_SC_UPDATE ||
                       api == FLV_API_SC_TOPIC_CREATE_EXT ||
                       api == FLV_API_SC_TOPIC_LOOK ||
                       api == FLV_API_SC_POSITION_STORE
                   ? &flv_wire_status_schema
                   : NULL;
    }
    if (!flv_wire_object_of(label, &object)) {
        return NULL;
    }
    return api == FLV_API_SC_LIST ? objects[object].list
                                  : objects[object].watch;
}
