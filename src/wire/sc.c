#include "wire/sc.h"
#include "wire/tables.h"

#define ALL FLV_WIRE_EVER
#define FROM FLV_WIRE_FROM
#define TO(max) FLV_WIRE_SPAN(0, max)
#define F FLV_WIRE_F
#define F_OPT FLV_WIRE_F_OPT
#define S FLV_WIRE_S
#define S_OPT FLV_WIRE_S_OPT
#define E FLV_WIRE_E
#define E_OPT FLV_WIRE_E_OPT
#define V FLV_WIRE_V
#define VS FLV_WIRE_VS
#define MS FLV_WIRE_MS
#define BARE FLV_WIRE_BARE
#define CASE FLV_WIRE_CASE

/* clang-format off */
#define T struct flv_wire_duration
static const struct flv_wire_field duration[] = {
    F(T, seconds, U64, ALL),
    F(T, nanos, U32, ALL),
};
FLV_WIRE_TABLE(duration, duration);
#undef T

#define T struct flv_wire_pair
static const struct flv_wire_field pair[] = {
    F(T, key, STR, ALL),
    F(T, value, STR, ALL),
};
FLV_WIRE_TABLE(pair, pair);
#undef T

/* --- topic ---------------------------------------------------------------- */

#define T struct flv_wire_remote_partition
static const struct flv_wire_field remote_partition[] = {
    F(T, home_cluster, STR, ALL),
    F(T, home_spu_key, STR, ALL),
    F(T, home_spu_id, I32, ALL),
    F(T, home_spu_endpoint, STR, ALL),
    F(T, target, BOOL, FROM(18)),
};
static FLV_WIRE_TABLE(remote_partition, remote_partition);
#undef T

#define T struct flv_wire_home_partition
static const struct flv_wire_field home_partition[] = {
    F(T, remote_cluster, STR, ALL),
    F(T, remote_replica, STR, ALL),
    F(T, source, BOOL, FROM(18)),
};
static FLV_WIRE_TABLE(home_partition, home_partition);
#undef T

#define T struct flv_wire_partition_mirror
static const struct flv_wire_field partition_mirror_remote[] = {
    S(T, remote, remote_partition, ALL),
};
static const struct flv_wire_field partition_mirror_home[] = {
    S(T, home, home_partition, ALL),
};
static const struct flv_wire_case partition_mirror[] = {
    CASE("remote", FLV_WIRE_MIRROR_REMOTE, partition_mirror_remote),
    CASE("home", FLV_WIRE_MIRROR_HOME, partition_mirror_home),
};
static FLV_WIRE_UNION(partition_mirror, partition_mirror);
#undef T

#define T struct flv_wire_partition_map
static const struct flv_wire_field partition_map[] = {
    F(T, id, U32, ALL),
    V(T, replicas, I32, ALL),
    S_OPT(T, mirror, partition_mirror, FROM(14)),
};
static FLV_WIRE_TABLE(partition_map, partition_map);
#undef T

#define T struct flv_wire_home_spu
static const struct flv_wire_field home_spu[] = {
    F(T, id, I32, ALL),
    F(T, key, STR, ALL),
    F(T, endpoint, STR, ALL),
};
static FLV_WIRE_TABLE(home_spu, home_spu);
#undef T

#define T struct flv_wire_mirror_config
static const struct flv_wire_field mirror_config_remote[] = {
    F(T, remote.home_cluster, STR, ALL),
    VS(T, remote.home_spus, home_spu, ALL),
    F(T, remote.target, BOOL, FROM(18)),
};
static const struct flv_wire_field mirror_config_home[] = {
    VS(T, home.partitions, home_partition, ALL),
    F(T, home.source, BOOL, FROM(18)),
};
static const struct flv_wire_case mirror_config[] = {
    CASE("remote", FLV_WIRE_MIRROR_REMOTE, mirror_config_remote),
    CASE("home", FLV_WIRE_MIRROR_HOME, mirror_config_home),
};
static FLV_WIRE_UNION(mirror_config, mirror_config);
#undef T

#define T struct flv_wire_replica_spec
static const struct flv_wire_field replica_assigned[] = {
    VS(T, assigned, partition_map, ALL),
};
static const struct flv_wire_field replica_computed[] = {
    F(T, computed.partitions, U32, ALL),
    F(T, computed.replication_factor, U32, ALL),
    F(T, computed.ignore_rack, BOOL, ALL),
};
static const struct flv_wire_field replica_mirror[] = {
    S(T, mirror, mirror_config, ALL),
};
static const struct flv_wire_case replica_spec[] = {
    CASE("assigned", FLV_WIRE_REPLICA_ASSIGNED, replica_assigned),
    CASE("computed", FLV_WIRE_REPLICA_COMPUTED, replica_computed),
    CASE("mirror", FLV_WIRE_REPLICA_MIRROR, replica_mirror),
};
static FLV_WIRE_UNION(replica_spec, replica_spec);
#undef T

#define T struct flv_wire_cleanup_policy
static const struct flv_wire_field cleanup_segment[] = {
    F(T, retention_seconds, U32, ALL),
};
static const struct flv_wire_case cleanup_policy[] = {
    CASE("segment", 0, cleanup_segment),
};
static FLV_WIRE_UNION(cleanup_policy, cleanup_policy);
#undef T

#define T struct flv_wire_topic_storage
static const struct flv_wire_field topic_storage[] = {
    F_OPT(T, segment_size_bytes, U32, ALL),
    F_OPT(T, partition_size_bytes_max, U64, ALL),
};
static FLV_WIRE_TABLE(topic_storage, topic_storage);
#undef T

#define T struct flv_wire_deduplication
static const struct flv_wire_field deduplication[] = {
    F(T, count, U64, ALL),
    S_OPT(T, age, duration, ALL),
    F(T, uses, STR, ALL),
    MS(T, with, pair, ALL),
};
static FLV_WIRE_TABLE(deduplication, deduplication);
#undef T

static const struct flv_wire_case topic_compression[] = {
    BARE("none", FLV_WIRE_COMPRESSION_NONE),
    BARE("gzip", FLV_WIRE_COMPRESSION_GZIP),
    BARE("snappy", FLV_WIRE_COMPRESSION_SNAPPY),
    BARE("lz4", FLV_WIRE_COMPRESSION_LZ4),
    BARE("any", FLV_WIRE_COMPRESSION_ANY),
    BARE("zstd", FLV_WIRE_COMPRESSION_ZSTD),
};
static FLV_WIRE_ENUM(topic_compression, topic_compression);

#define T struct flv_wire_topic_spec
static const struct flv_wire_field topic_spec[] = {
    S(T, replicas, replica_spec, ALL),
    S_OPT(T, cleanup_policy, cleanup_policy, FROM(3)),
    S_OPT(T, storage, topic_storage, FROM(4)),
    E(T, compression, topic_compression, FROM(6)),
    S_OPT(T, deduplication, deduplication, FROM(12)),
    F(T, system, BOOL, FROM(13)),
};
static FLV_WIRE_TABLE(topic_spec, topic_spec);
#undef T

static const struct flv_wire_case topic_resolution[] = {
    BARE("init", FLV_WIRE_TOPIC_INIT),
    BARE("pending", FLV_WIRE_TOPIC_PENDING),
    BARE("insufficient_resources", FLV_WIRE_TOPIC_INSUFFICIENT_RESOURCES),
    BARE("invalid_config", FLV_WIRE_TOPIC_INVALID_CONFIG),
    BARE("provisioned", FLV_WIRE_TOPIC_PROVISIONED),
    BARE("deleting", FLV_WIRE_TOPIC_DELETING),
};
static FLV_WIRE_ENUM(topic_resolution, topic_resolution);

#define T struct flv_wire_replica_entry
static const struct flv_wire_field replica_entry[] = {
    F(T, partition, U32, ALL),
    V(T, spus, I32, ALL),
};
static FLV_WIRE_TABLE(replica_entry, replica_entry);
#undef T

#define T struct flv_wire_mirror_entry
static const struct flv_wire_field mirror_entry[] = {
    F(T, partition, U32, ALL),
    S(T, mirror, partition_mirror, ALL),
};
static FLV_WIRE_TABLE(mirror_entry, mirror_entry);
#undef T

#define T struct flv_wire_topic_status
static const struct flv_wire_field topic_status[] = {
    E(T, resolution, topic_resolution, ALL),
    MS(T, replica_map, replica_entry, ALL),
    MS(T, mirror_map, mirror_entry, FROM(14)),
    F(T, reason, STR, ALL),
};
static FLV_WIRE_TABLE(topic_status, topic_status);
#undef T

#define T struct flv_wire_topic
static const struct flv_wire_field topic[] = {
    F(T, name, STR, ALL),
    S(T, spec, topic_spec, ALL),
    S(T, status, topic_status, ALL),
};
static FLV_WIRE_TABLE(topic, topic);
#undef T

/* --- partition -------------------------------------------------------------- */

#define T struct flv_wire_partition_spec
static const struct flv_wire_field partition_spec[] = {
    F(T, leader, I32, ALL),
    V(T, replicas, I32, ALL),
    S_OPT(T, cleanup_policy, cleanup_policy, FROM(4)),
    S_OPT(T, storage, topic_storage, FROM(4)),
    E(T, compression, topic_compression, FROM(6)),
    S_OPT(T, deduplication, deduplication, FROM(12)),
    F(T, system, BOOL, FROM(13)),
    S_OPT(T, mirror, partition_mirror, FROM(14)),
};
static FLV_WIRE_TABLE(partition_spec, partition_spec);
#undef T

static const struct flv_wire_case partition_resolution[] = {
    BARE("offline", FLV_WIRE_PARTITION_OFFLINE),
    BARE("online", FLV_WIRE_PARTITION_ONLINE),
    BARE("leader_offline", FLV_WIRE_PARTITION_LEADER_OFFLINE),
    BARE("election", FLV_WIRE_PARTITION_ELECTION),
    {.name = "out_of_storage", .tag = FLV_WIRE_PARTITION_OUT_OF_STORAGE,
     .since = 19, .before = FLV_WIRE_PARTITION_OFFLINE},
};
static FLV_WIRE_ENUM(partition_resolution, partition_resolution);

#define T struct flv_wire_replica_status
static const struct flv_wire_field replica_status[] = {
    F(T, spu, I32, ALL),
    F(T, hw, I64, ALL),
    F(T, leo, I64, ALL),
};
static FLV_WIRE_TABLE(replica_status, replica_status);
#undef T

#define T struct flv_wire_partition_status
static const struct flv_wire_field partition_status[] = {
    E(T, resolution, partition_resolution, ALL),
    S(T, leader, replica_status, ALL),
    F(T, live_replicas, U32, ALL),
    VS(T, followers, replica_status, ALL),
    F(T, size_bytes, I64, FROM(5)),
    F(T, is_being_deleted, BOOL, ALL),
    F(T, base_offset, I64, FROM(16)),
};
static FLV_WIRE_TABLE(partition_status, partition_status);
#undef T

#define T struct flv_wire_partition
static const struct flv_wire_field partition[] = {
    F(T, name, STR, ALL),
    S(T, spec, partition_spec, ALL),
    S(T, status, partition_status, ALL),
};
static FLV_WIRE_TABLE(partition, partition);
#undef T

/* --- SPU ------------------------------------------------------------------- */

static const struct flv_wire_case encryption[] = {
    BARE("plaintext", 0),
    BARE("tls", 1),
};
static FLV_WIRE_ENUM(encryption, encryption);

#define T struct flv_wire_ingress
static const struct flv_wire_field ingress[] = {
    F_OPT(T, hostname, STR, ALL),
    F_OPT(T, ip, STR, ALL),
};
static FLV_WIRE_TABLE(ingress, ingress);
#undef T

#define T struct flv_wire_ingress_port
static const struct flv_wire_field ingress_port[] = {
    F(T, port, U16, ALL),
    VS(T, ingress, ingress, ALL),
    E(T, encryption, encryption, ALL),
};
static FLV_WIRE_TABLE(ingress_port, ingress_port);
#undef T

#define T struct flv_wire_endpoint
static const struct flv_wire_field endpoint[] = {
    F(T, port, U16, ALL),
    F(T, host, STR, ALL),
    E(T, encryption, encryption, ALL),
};
static FLV_WIRE_TABLE(endpoint, endpoint);
#undef T

static const struct flv_wire_case spu_type[] = {
    BARE("managed", FLV_WIRE_SPU_MANAGED),
    BARE("custom", FLV_WIRE_SPU_CUSTOM),
};
static FLV_WIRE_ENUM(spu_type, spu_type);

#define T struct flv_wire_spu_spec
static const struct flv_wire_field spu_spec[] = {
    F(T, id, I32, ALL),
    E(T, spu_type, spu_type, ALL),
    S(T, public_endpoint, ingress_port, ALL),
    S(T, private_endpoint, endpoint, ALL),
    F_OPT(T, rack, STR, ALL),
    S_OPT(T, public_local, endpoint, FROM(1)),
};
static FLV_WIRE_TABLE(spu_spec, spu_spec);
#undef T

static const struct flv_wire_case spu_status[] = {
    BARE("online", FLV_WIRE_SPU_ONLINE),
    BARE("offline", FLV_WIRE_SPU_DOWN),
    BARE("init", FLV_WIRE_SPU_INIT),
};
static FLV_WIRE_ENUM(spu_status, spu_status);

#define T struct flv_wire_spu
static const struct flv_wire_field spu[] = {
    F(T, name, STR, ALL),
    S(T, spec, spu_spec, ALL),
    E(T, status, spu_status, ALL),
};
static FLV_WIRE_TABLE(spu, spu);
#undef T

#define T struct flv_wire_custom_spu_spec
static const struct flv_wire_field custom_spu_spec[] = {
    F(T, id, I32, ALL),
    S(T, public_endpoint, ingress_port, ALL),
    S(T, private_endpoint, endpoint, ALL),
    F_OPT(T, rack, STR, ALL),
    S_OPT(T, public_local, endpoint, FROM(16)),
};
static FLV_WIRE_TABLE(custom_spu_spec, custom_spu_spec);
#undef T

#define T struct flv_wire_custom_spu
static const struct flv_wire_field custom_spu[] = {
    F(T, name, STR, ALL),
    S(T, spec, custom_spu_spec, ALL),
    E(T, status, spu_status, ALL),
};
static FLV_WIRE_TABLE(custom_spu, custom_spu);
#undef T

#define T struct flv_wire_group_replication
static const struct flv_wire_field group_replication[] = {
    F_OPT(T, in_sync_replica_min, U16, ALL),
};
static FLV_WIRE_TABLE(group_replication, group_replication);
#undef T

#define T struct flv_wire_group_storage
static const struct flv_wire_field group_storage[] = {
    F_OPT(T, log_dir, STR, ALL),
    F_OPT(T, size, STR, ALL),
};
static FLV_WIRE_TABLE(group_storage, group_storage);
#undef T

#define T struct flv_wire_spu_group_spec
static const struct flv_wire_field spu_group_spec[] = {
    F(T, replicas, U16, ALL),
    F(T, min_id, I32, ALL),
    F_OPT(T, rack, STR, ALL),
    S_OPT(T, replication, group_replication, ALL),
    S_OPT(T, storage, group_storage, ALL),
    VS(T, env, pair, ALL),
};
static FLV_WIRE_TABLE(spu_group_spec, spu_group_spec);
#undef T

static const struct flv_wire_case group_resolution[] = {
    BARE("init", 0),
    BARE("invalid", 1),
    BARE("reserved", 2),
};
static FLV_WIRE_ENUM(group_resolution, group_resolution);

#define T struct flv_wire_spu_group
static const struct flv_wire_field spu_group[] = {
    F(T, name, STR, ALL),
    S(T, spec, spu_group_spec, ALL),
    E(T, resolution, group_resolution, ALL),
    F_OPT(T, reason, STR, ALL),
};
static FLV_WIRE_TABLE(spu_group, spu_group);
#undef T

/* --- SmartModule, table format, mirror -------------------------------------- */

#define T struct flv_wire_smartmodule_param
static const struct flv_wire_field smartmodule_param[] = {
    F(T, name, STR, ALL),
    F_OPT(T, description, STR, ALL),
    F(T, optional, BOOL, ALL),
};
static FLV_WIRE_TABLE(smartmodule_param, smartmodule_param);
#undef T

static const struct flv_wire_case visibility[] = {
    BARE("private", 0),
    BARE("public", 1),
};
static FLV_WIRE_ENUM(visibility, visibility);

#define T struct flv_wire_smartmodule_meta
static const struct flv_wire_field smartmodule_meta[] = {
    F(T, name, STR, ALL),
    F(T, group, STR, ALL),
    F(T, version, STR, ALL),
    F(T, api_version, STR, ALL),
    F_OPT(T, description, STR, ALL),
    F_OPT(T, license, STR, ALL),
    E(T, visibility, visibility, FROM(19)),
    F_OPT(T, repository, STR, ALL),
    MS(T, params, smartmodule_param, ALL),
};
static FLV_WIRE_TABLE(smartmodule_meta, smartmodule_meta);
#undef T

static const struct flv_wire_case wasm_format[] = {
    BARE("binary", 0),
    BARE("text", 1),
};
static FLV_WIRE_ENUM(wasm_format, wasm_format);

#define T struct flv_wire_smartmodule_spec
static const struct flv_wire_field smartmodule_spec[] = {
    S_OPT(T, meta, smartmodule_meta, ALL),
    F_OPT(T, summary_wasm_bytes, U32, ALL),
    E(T, format, wasm_format, ALL),
    F(T, payload, BYTES, ALL),
};
static FLV_WIRE_TABLE(smartmodule_spec, smartmodule_spec);
#undef T

#define T struct flv_wire_smartmodule
static const struct flv_wire_field smartmodule[] = {
    F(T, name, STR, ALL),
    S(T, spec, smartmodule_spec, ALL),
};
static FLV_WIRE_TABLE(smartmodule, smartmodule);
#undef T

static const struct flv_wire_case alignment[] = {
    BARE("left", 0),
    BARE("right", 1),
    BARE("center", 2),
};
static FLV_WIRE_ENUM(alignment, alignment);

static const struct flv_wire_case color[] = {
    BARE("blue", 0),
    BARE("yellow", 1),
    BARE("green", 2),
};
static FLV_WIRE_ENUM(color, color);

#define T struct flv_wire_table_column
static const struct flv_wire_field table_column[] = {
    F_OPT(T, header_label, STR, ALL),
    F_OPT(T, width, STR, ALL),
    E_OPT(T, alignment, alignment, ALL),
    F(T, key_path, STR, ALL),
    F_OPT(T, format, STR, ALL),
    F_OPT(T, display, BOOL, ALL),
    F_OPT(T, primary_key, BOOL, ALL),
    E_OPT(T, header_bg_color, color, ALL),
    E_OPT(T, header_text_color, color, ALL),
};
static FLV_WIRE_TABLE(table_column, table_column);
#undef T

static const struct flv_wire_case input_format[] = {
    BARE("json", 0),
};
static FLV_WIRE_ENUM(input_format, input_format);

#define T struct flv_wire_table_format_spec
static const struct flv_wire_field table_format_spec[] = {
    F(T, name, STR, ALL),
    E_OPT(T, input_format, input_format, ALL),
    FLV_WIRE_VS_OPT(T, columns, table_column, ALL),
    F_OPT(T, smartmodule, STR, ALL),
};
static FLV_WIRE_TABLE(table_format_spec, table_format_spec);
#undef T

static const struct flv_wire_case table_resolution[] = {
    BARE("init", 0),
    BARE("invalid", 1),
    BARE("running", 2),
    BARE("pending", 3),
    BARE("failed", 4),
};
static FLV_WIRE_ENUM(table_resolution, table_resolution);

#define T struct flv_wire_table_format
static const struct flv_wire_field table_format[] = {
    F(T, name, STR, ALL),
    S(T, spec, table_format_spec, ALL),
    E(T, resolution, table_resolution, ALL),
    F_OPT(T, reason, STR, ALL),
};
static FLV_WIRE_TABLE(table_format, table_format);
#undef T

#define T struct flv_wire_client_tls
static const struct flv_wire_field client_tls[] = {
    F(T, domain, STR, ALL),
    F(T, ca_cert, STR, ALL),
    F(T, client_cert, STR, ALL),
    F(T, client_key, STR, ALL),
};
static FLV_WIRE_TABLE(client_tls, client_tls);
#undef T

#define T struct flv_wire_mirror_spec
static const struct flv_wire_field mirror_spec_remote[] = {
    F(T, id, STR, ALL),
};
static const struct flv_wire_field mirror_spec_home[] = {
    F(T, id, STR, ALL),
    F(T, remote_id, STR, ALL),
    F(T, public_endpoint, STR, ALL),
    S_OPT(T, client_tls, client_tls, ALL),
};
static const struct flv_wire_case mirror_spec[] = {
    CASE("remote", FLV_WIRE_MIRROR_REMOTE, mirror_spec_remote),
    CASE("home", FLV_WIRE_MIRROR_HOME, mirror_spec_home),
};
static FLV_WIRE_UNION(mirror_spec, mirror_spec);
#undef T

#define T struct flv_wire_pairing
static const struct flv_wire_field pairing_failure[] = {
    F(T, failure, STR, ALL),
};
static const struct flv_wire_case pairing[] = {
    BARE("waiting", 0),
    BARE("successful", 1),
    BARE("failed", 2),
    BARE("disabled", 3),
    BARE("unauthorized", 4),
    {.name = "detailed_failure", .tag = 5, .since = 17, .before = 2,
     .nfields = FLV_WIRE_COUNT(pairing_failure), .fields = pairing_failure},
};
static FLV_WIRE_UNION(pairing, pairing);
#undef T

static const struct flv_wire_case connection[] = {
    BARE("offline", 0),
    BARE("online", 1),
};
static FLV_WIRE_ENUM(connection, connection);

#define T struct flv_wire_mirror
static const struct flv_wire_field mirror[] = {
    F(T, name, STR, ALL),
    S(T, spec, mirror_spec, ALL),
    E(T, connection, connection, FROM(17)),
    S(T, pairing_sc, pairing, ALL),
    S(T, pairing_spu, pairing, FROM(17)),
    E(T, connection, connection, TO(16)),
    F(T, last_seen_ms, U64, ALL),
};
static FLV_WIRE_TABLE(mirror, mirror);
#undef T

/* --- bodies ------------------------------------------------------------------ */

#define T struct flv_wire_create_common
static const struct flv_wire_field create_common[] = {
    F(T, name, STR, ALL),
    F(T, dry_run, BOOL, ALL),
    F_OPT(T, timeout_ms, U32, FROM(7)),
};
FLV_WIRE_TABLE(create_common, create_common);
#undef T

static const struct flv_wire_case change_kind[] = {
    BARE("update", FLV_WIRE_CHANGE_UPDATE),
    BARE("delete", FLV_WIRE_CHANGE_DELETE),
};
static FLV_WIRE_ENUM(change_kind, change_kind);

#define OBJECT(NAME)                                                           \
    static const struct flv_wire_field NAME##_create[] = {                     \
        S(struct flv_wire_##NAME##_create, common, create_common, ALL),        \
        S(struct flv_wire_##NAME##_create, spec, NAME##_spec, ALL),            \
    };                                                                         \
    FLV_WIRE_TABLE(NAME##_create, NAME##_create);                              \
    static const struct flv_wire_field NAME##_list[] = {                       \
        VS(struct flv_wire_##NAME##_list, items, NAME, ALL),                   \
    };                                                                         \
    FLV_WIRE_TABLE(NAME##_list, NAME##_list);                                  \
    static const struct flv_wire_field NAME##_change[] = {                     \
        E(struct flv_wire_##NAME##_change, kind, change_kind, ALL),            \
        S(struct flv_wire_##NAME##_change, item, NAME, ALL),                   \
    };                                                                         \
    static FLV_WIRE_TABLE(NAME##_change, NAME##_change);                       \
    static const struct flv_wire_field NAME##_watch[] = {                      \
        F(struct flv_wire_##NAME##_watch, epoch, I64, ALL),                    \
        VS(struct flv_wire_##NAME##_watch, changes, NAME##_change, ALL),       \
        VS(struct flv_wire_##NAME##_watch, all, NAME, ALL),                    \
    };                                                                         \
    FLV_WIRE_TABLE(NAME##_watch, NAME##_watch)

OBJECT(topic);
OBJECT(partition);
OBJECT(spu);
OBJECT(custom_spu);
OBJECT(spu_group);
OBJECT(smartmodule);
OBJECT(table_format);
OBJECT(mirror);

#define T struct flv_wire_delete_request
static const struct flv_wire_field delete_request[] = {
    F(T, key, STR, ALL),
    F(T, force, BOOL, FROM(13)),
};
FLV_WIRE_TABLE(delete_request, delete_request);
#undef T

#define T struct flv_wire_custom_spu_delete
static const struct flv_wire_field spu_key_name[] = {
    F(T, name, STR, ALL),
};
static const struct flv_wire_field spu_key_id[] = {
    F(T, id, I32, ALL),
};
static const struct flv_wire_case spu_keys[] = {
    CASE("Name", 0, spu_key_name),
    CASE("Id", 1, spu_key_id),
};
static const struct flv_wire_schema flv_wire_spu_key_schema = {
    .name = "spu_key", .size = sizeof(T), .tag = FLV_WIRE_TAG_NAME,
    .ncases = FLV_WIRE_COUNT(spu_keys), .cases = spu_keys,
};
static const struct flv_wire_field custom_spu_delete[] = {
    FLV_WIRE_FLAT("key", spu_key, ALL),
    F(T, force, BOOL, FROM(13)),
};
FLV_WIRE_TABLE(custom_spu_delete, custom_spu_delete);
#undef T

#define T struct flv_wire_topic_action
static const struct flv_wire_field add_partition[] = {
    F(T, count, U32, ALL),
};
static const struct flv_wire_field add_mirror[] = {
    F(T, remote_cluster, STR, ALL),
    F(T, home_to_mirror, BOOL, FROM(18)),
};
static const struct flv_wire_case topic_action[] = {
    CASE("add_partition", FLV_WIRE_TOPIC_ADD_PARTITION, add_partition),
    CASE("add_mirror", FLV_WIRE_TOPIC_ADD_MIRROR, add_mirror),
};
static FLV_WIRE_UNION(topic_action, topic_action);
#undef T

#define T struct flv_wire_topic_update
static const struct flv_wire_field topic_update[] = {
    F(T, key, STR, ALL),
    S(T, action, topic_action, ALL),
};
FLV_WIRE_TABLE(topic_update, topic_update);
#undef T

#define T struct flv_wire_list_request
static const struct flv_wire_field list_request[] = {
    V(T, name_filters, STR, ALL),
    F(T, summary, BOOL, FROM(10)),
    F(T, system, BOOL, FROM(13)),
};
FLV_WIRE_TABLE(list_request, list_request);
#undef T

#define T struct flv_wire_watch_request
static const struct flv_wire_field watch_request[] = {
    F(T, epoch, I64, ALL),
    F(T, summary, BOOL, FROM(10)),
};
FLV_WIRE_TABLE(watch_request, watch_request);
#undef T

#define T struct flv_wire_status
static const struct flv_wire_field status[] = {
    F(T, name, STR, ALL),
    S(T, error, error, ALL),
    F_OPT(T, message, STR, ALL),
};
FLV_WIRE_TABLE(status, status);
#undef T

#define T struct flv_wire_mirroring_request
static const struct flv_wire_field mirroring_request[] = {
    F(T, remote_id, STR, ALL),
};
FLV_WIRE_TABLE(mirroring_request, mirroring_request);
#undef T

#define T struct flv_wire_mirroring_status
static const struct flv_wire_field mirroring_status[] = {
    F(T, name, STR, ALL),
    S(T, error, error, ALL),
    F_OPT(T, message, STR, ALL),
    F(T, topics, U32, ALL),
};
FLV_WIRE_TABLE(mirroring_status, mirroring_status);
#undef T
