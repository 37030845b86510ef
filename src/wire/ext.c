#include "wire/ext.h"

const struct flv_wire_api_range flv_wire_ext_range = {
    .api_key = FLV_API_SC_TOPIC_CREATE_EXT,
    .min = FLV_WIRE_SC_MIN,
    .max = FLV_WIRE_SC_MAX,
};

static const struct flv_wire_field topic_create_ext_fields[] = {
    {.name = "durability",
     .offset = offsetof(struct flv_wire_topic_create_ext, durability),
     .has = offsetof(struct flv_wire_topic_create_ext, durability),
     .type = FLV_WIRE_U8,
     .max = INT8_MAX},
    {.name = "create",
     .offset = offsetof(struct flv_wire_topic_create_ext, create),
     .has = offsetof(struct flv_wire_topic_create_ext, create),
     .type = FLV_WIRE_STRUCT,
     .max = INT8_MAX,
     .sub = &flv_wire_topic_create_schema},
};

const struct flv_wire_schema flv_wire_topic_create_ext_schema = {
    .name = "topic_create_ext",
    .size = sizeof(struct flv_wire_topic_create_ext),
    .tag = FLV_WIRE_TAG_NONE,
    .nfields = 2,
    .fields = topic_create_ext_fields,
};
