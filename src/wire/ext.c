#include "wire/ext.h"
#include "wire/tables.h"

#define RANGE(key)                                                             \
    {                                                                          \
        .api_key = (key), .min = FLV_WIRE_SC_MIN, .max = FLV_WIRE_SC_MAX       \
    }

const struct flv_wire_api_range flv_wire_ext_ranges[FLV_WIRE_EXT_COUNT] = {
    RANGE(FLV_API_SC_TOPIC_CREATE_EXT),
    RANGE(FLV_API_SC_TOPIC_LOOK),
    RANGE(FLV_API_SC_POSITION_STORE),
    RANGE(FLV_API_SC_SERVER_LOOK),
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

#define FIELD(T, f, kind)                                                      \
    {                                                                          \
        .name = #f, .offset = offsetof(struct flv_wire_##T, f),                \
        .has = offsetof(struct flv_wire_##T, f), .type = FLV_WIRE_##kind,      \
        .max = INT8_MAX                                                        \
    }

static const struct flv_wire_field topic_look_fields[] = {
    FIELD(topic_look, name, STR),
};

const struct flv_wire_schema flv_wire_topic_look_schema = {
    .name = "topic_look",
    .size = sizeof(struct flv_wire_topic_look),
    .tag = FLV_WIRE_TAG_NONE,
    .nfields = 1,
    .fields = topic_look_fields,
};

static const struct flv_wire_field position_store_fields[] = {
    FIELD(position_store, consumer, STR), FIELD(position_store, topic, STR),
    FIELD(position_store, topic_id, STR), FIELD(position_store, partition, U32),
    FIELD(position_store, offset, I64),
};

const struct flv_wire_schema flv_wire_position_store_schema = {
    .name = "position_store",
    .size = sizeof(struct flv_wire_position_store),
    .tag = FLV_WIRE_TAG_NONE,
    .nfields = 5,
    .fields = position_store_fields,
};

/* clang-format off */
#define T struct flv_wire_server_look
static const struct flv_wire_field server_look[] = {
    FLV_WIRE_F(T, troubles_max, U32, FLV_WIRE_EVER),
};
FLV_WIRE_TABLE(server_look, server_look);
#undef T

#define T struct flv_wire_trouble
static const struct flv_wire_field trouble[] = {
    FLV_WIRE_F(T, topic, STR, FLV_WIRE_EVER),
    FLV_WIRE_F(T, partition, U32, FLV_WIRE_EVER),
    FLV_WIRE_F(T, kind, STR, FLV_WIRE_EVER),
    FLV_WIRE_F(T, cause, STR, FLV_WIRE_EVER),
};
static FLV_WIRE_TABLE(trouble, trouble);
#undef T

#define T struct flv_wire_server_state
static const struct flv_wire_field server_state[] = {
    FLV_WIRE_F(T, version, STR, FLV_WIRE_EVER),
    FLV_WIRE_F(T, platform, STR, FLV_WIRE_EVER),
    FLV_WIRE_F(T, data_dir, STR, FLV_WIRE_EVER),
    FLV_WIRE_F(T, pid, U64, FLV_WIRE_EVER),
    FLV_WIRE_F(T, uptime_ms, U64, FLV_WIRE_EVER),
    FLV_WIRE_F(T, restarts, U64, FLV_WIRE_EVER),
    FLV_WIRE_F(T, disk_bytes, U64, FLV_WIRE_EVER),
    FLV_WIRE_F(T, disk_free_bytes, U64, FLV_WIRE_EVER),
    FLV_WIRE_F(T, partitions, U32, FLV_WIRE_EVER),
    FLV_WIRE_F(T, troubled, U32, FLV_WIRE_EVER),
    FLV_WIRE_VS(T, troubles, trouble, FLV_WIRE_EVER),
};
FLV_WIRE_TABLE(server_state, server_state);
#undef T
/* clang-format on */
