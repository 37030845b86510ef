/*
 * sc.h - messages of the metadata service (SC), versions 11 to 19.
 *
 * Purpose    Topics, partitions, SPUs, SmartModules, table formats and
 *            mirrors as plain structs: specs, statuses, and the bodies of
 *            create, delete, list, watch and update.
 * Ownership  As in codec.h: decoded strings borrow from the frame.
 * Notes      "from N" and "to N" name the versions in which a field exists;
 *            at others it is not written and reads as zero. All bodies but
 *            flv_wire_status travel in the envelope of api.h.
 * Units      In the names; times in the storage settings are seconds.
 * See        docs/format/wire.md
 */
#ifndef FLV_WIRE_SC_H
#define FLV_WIRE_SC_H

#include "wire/api.h"

struct flv_wire_duration {
    uint64_t seconds;
    uint32_t nanos;
};

/* As milliseconds, at most what they can hold. */
static inline uint64_t flv_wire_duration_ms(const struct flv_wire_duration *d)
{
    const uint64_t s_max = UINT64_MAX / 1000 - 1;

    return (d->seconds < s_max ? d->seconds : s_max) * 1000 +
           d->nanos / 1000000;
}

static inline struct flv_wire_duration flv_wire_duration_of_ms(uint64_t ms)
{
    return (struct flv_wire_duration){
        .seconds = ms / 1000,
        .nanos = (uint32_t)(ms % 1000) * 1000000,
    };
}

struct flv_wire_pair { /* an entry of map<str, str> */
    struct flv_slice key, value;
};

/* --- topic ---------------------------------------------------------------- */

enum flv_wire_mirror_side {
    FLV_WIRE_MIRROR_REMOTE = 0,
    FLV_WIRE_MIRROR_HOME = 1,
};

struct flv_wire_remote_partition {
    struct flv_slice home_cluster, home_spu_key;
    int32_t home_spu_id;
    struct flv_slice home_spu_endpoint;
    bool target; /* from 18 */
};

struct flv_wire_home_partition {
    struct flv_slice remote_cluster, remote_replica;
    bool source; /* from 18 */
};

struct flv_wire_partition_mirror {
    uint8_t tag; /* enum flv_wire_mirror_side */
    struct flv_wire_remote_partition remote;
    struct flv_wire_home_partition home;
};

struct flv_wire_partition_map {
    uint32_t id;
    FLV_VEC(int32_t) replicas;
    FLV_OPT(struct flv_wire_partition_mirror) mirror; /* from 14 */
};

struct flv_wire_home_spu {
    int32_t id;
    struct flv_slice key, endpoint;
};

struct flv_wire_mirror_config {
    uint8_t tag; /* enum flv_wire_mirror_side */
    struct {
        struct flv_slice home_cluster;
        FLV_VEC(struct flv_wire_home_spu) home_spus;
        bool target; /* from 18 */
    } remote;
    struct {
        FLV_VEC(struct flv_wire_home_partition) partitions;
        bool source; /* from 18 */
    } home;
};

enum flv_wire_replica_kind {
    FLV_WIRE_REPLICA_ASSIGNED = 0,
    FLV_WIRE_REPLICA_COMPUTED = 1,
    FLV_WIRE_REPLICA_MIRROR = 2,
};

struct flv_wire_replica_spec {
    uint8_t tag; /* enum flv_wire_replica_kind */
    FLV_VEC(struct flv_wire_partition_map) assigned;
    struct {
        uint32_t partitions, replication_factor;
        bool ignore_rack;
    } computed;
    struct flv_wire_mirror_config mirror;
};

struct flv_wire_cleanup_policy {
    uint8_t tag; /* 0: by segment */
    uint32_t retention_seconds;
};

struct flv_wire_topic_storage {
    FLV_OPT(uint32_t) segment_size_bytes;
    FLV_OPT(uint64_t) partition_size_bytes_max;
};

struct flv_wire_deduplication {
    uint64_t count;
    FLV_OPT(struct flv_wire_duration) age;
    struct flv_slice uses;
    FLV_VEC(struct flv_wire_pair) with;
};

enum flv_wire_topic_compression { /* not the codes of batch attributes */
                                  FLV_WIRE_COMPRESSION_NONE = 0,
                                  FLV_WIRE_COMPRESSION_GZIP = 1,
                                  FLV_WIRE_COMPRESSION_SNAPPY = 2,
                                  FLV_WIRE_COMPRESSION_LZ4 = 3,
                                  FLV_WIRE_COMPRESSION_ANY = 4,
                                  FLV_WIRE_COMPRESSION_ZSTD = 5,
};

struct flv_wire_topic_spec {
    struct flv_wire_replica_spec replicas;
    FLV_OPT(struct flv_wire_cleanup_policy) cleanup_policy;
    FLV_OPT(struct flv_wire_topic_storage) storage;
    uint8_t compression; /* enum flv_wire_topic_compression */
    FLV_OPT(struct flv_wire_deduplication) deduplication; /* from 12 */
    bool system;                                          /* from 13 */
};

enum flv_wire_topic_resolution {
    FLV_WIRE_TOPIC_INIT = 0,
    FLV_WIRE_TOPIC_PENDING = 1,
    FLV_WIRE_TOPIC_INSUFFICIENT_RESOURCES = 2,
    FLV_WIRE_TOPIC_INVALID_CONFIG = 3,
    FLV_WIRE_TOPIC_PROVISIONED = 4,
    FLV_WIRE_TOPIC_DELETING = 5,
};

struct flv_wire_replica_entry {
    uint32_t partition;
    FLV_VEC(int32_t) spus;
};

struct flv_wire_mirror_entry {
    uint32_t partition;
    struct flv_wire_partition_mirror mirror;
};

struct flv_wire_topic_status {
    uint8_t resolution; /* enum flv_wire_topic_resolution */
    FLV_VEC(struct flv_wire_replica_entry) replica_map;
    FLV_VEC(struct flv_wire_mirror_entry) mirror_map; /* from 14 */
    struct flv_slice reason;
};

struct flv_wire_topic {
    struct flv_slice name;
    struct flv_wire_topic_spec spec;
    struct flv_wire_topic_status status;
};

/* --- partition --------------------------------------------------------------
 */

struct flv_wire_partition_spec {
    int32_t leader;
    FLV_VEC(int32_t) replicas;
    FLV_OPT(struct flv_wire_cleanup_policy) cleanup_policy;
    FLV_OPT(struct flv_wire_topic_storage) storage;
    uint8_t compression; /* enum flv_wire_topic_compression */
    FLV_OPT(struct flv_wire_deduplication) deduplication; /* from 12 */
    bool system;                                          /* from 13 */
    FLV_OPT(struct flv_wire_partition_mirror) mirror;     /* from 14 */
};

enum flv_wire_partition_resolution {
    FLV_WIRE_PARTITION_OFFLINE = 0,
    FLV_WIRE_PARTITION_ONLINE = 1,
    FLV_WIRE_PARTITION_LEADER_OFFLINE = 2,
    FLV_WIRE_PARTITION_ELECTION = 3,
    /* Written as OFFLINE below version 19, where clients do not know it. */
    FLV_WIRE_PARTITION_OUT_OF_STORAGE = 4,
};

struct flv_wire_replica_status { /* unknown: -1 everywhere */
    int32_t spu;
    int64_t hw, leo;
};

struct flv_wire_partition_status {
    uint8_t resolution; /* enum flv_wire_partition_resolution */
    struct flv_wire_replica_status leader;
    uint32_t live_replicas;
    FLV_VEC(struct flv_wire_replica_status) followers;
    int64_t size_bytes; /* -1 error, -2 unsupported */
    bool is_being_deleted;
    int64_t base_offset; /* from 16 */
};

struct flv_wire_partition {
    struct flv_slice name; /* TOPIC-NUMBER, split at the last dash */
    struct flv_wire_partition_spec spec;
    struct flv_wire_partition_status status;
};

/* --- SPU -------------------------------------------------------------------
 */

struct flv_wire_ingress {
    FLV_OPT(struct flv_slice) hostname;
    FLV_OPT(struct flv_slice) ip;
};

struct flv_wire_ingress_port {
    uint16_t port;
    FLV_VEC(struct flv_wire_ingress) ingress;
    uint8_t encryption; /* 0 plaintext, 1 TLS */
};

struct flv_wire_endpoint {
    uint16_t port;
    struct flv_slice host;
    uint8_t encryption; /* 0 plaintext, 1 TLS */
};

enum flv_wire_spu_type {
    FLV_WIRE_SPU_MANAGED = 0,
    FLV_WIRE_SPU_CUSTOM = 1,
};

struct flv_wire_spu_spec {
    int32_t id;
    uint8_t spu_type; /* enum flv_wire_spu_type */
    struct flv_wire_ingress_port public_endpoint;
    struct flv_wire_endpoint private_endpoint;
    FLV_OPT(struct flv_slice) rack;
    FLV_OPT(struct flv_wire_endpoint) public_local;
};

enum flv_wire_spu_status {
    FLV_WIRE_SPU_ONLINE = 0,
    FLV_WIRE_SPU_DOWN = 1, /* "offline" */
    FLV_WIRE_SPU_INIT = 2,
};

struct flv_wire_spu {
    struct flv_slice name; /* e.g. custom-spu-5001 */
    struct flv_wire_spu_spec spec;
    uint8_t status; /* enum flv_wire_spu_status */
};

struct flv_wire_custom_spu_spec {
    int32_t id;
    struct flv_wire_ingress_port public_endpoint;
    struct flv_wire_endpoint private_endpoint;
    FLV_OPT(struct flv_slice) rack;
    FLV_OPT(struct flv_wire_endpoint) public_local; /* from 16 */
};

struct flv_wire_custom_spu {
    struct flv_slice name;
    struct flv_wire_custom_spu_spec spec;
    uint8_t status; /* enum flv_wire_spu_status */
};

struct flv_wire_group_replication {
    FLV_OPT(uint16_t) in_sync_replica_min;
};

struct flv_wire_group_storage {
    FLV_OPT(struct flv_slice) log_dir;
    FLV_OPT(struct flv_slice) size;
};

struct flv_wire_spu_group_spec {
    uint16_t replicas;
    int32_t min_id;
    FLV_OPT(struct flv_slice) rack;
    FLV_OPT(struct flv_wire_group_replication) replication;
    FLV_OPT(struct flv_wire_group_storage) storage;
    FLV_VEC(struct flv_wire_pair) env;
};

struct flv_wire_spu_group {
    struct flv_slice name;
    struct flv_wire_spu_group_spec spec;
    uint8_t resolution; /* 0 init, 1 invalid, 2 reserved */
    FLV_OPT(struct flv_slice) reason;
};

/* --- SmartModule, table format, mirror --------------------------------------
 */

struct flv_wire_smartmodule_param {
    struct flv_slice name;
    FLV_OPT(struct flv_slice) description;
    bool optional;
};

struct flv_wire_smartmodule_meta {
    struct flv_slice name, group;
    struct flv_slice version, api_version; /* semantic versions */
    FLV_OPT(struct flv_slice) description;
    FLV_OPT(struct flv_slice) license;
    uint8_t visibility; /* from 19; 0 private, 1 public */
    FLV_OPT(struct flv_slice) repository;
    FLV_VEC(struct flv_wire_smartmodule_param) params;
};

struct flv_wire_smartmodule_spec {
    FLV_OPT(struct flv_wire_smartmodule_meta) meta;
    FLV_OPT(uint32_t) summary_wasm_bytes;
    uint8_t format;           /* 0 binary, 1 text */
    struct flv_slice payload; /* gzip of the module; empty in a summary */
};

struct flv_wire_smartmodule {
    struct flv_slice name;
    struct flv_wire_smartmodule_spec spec;
};

struct flv_wire_table_column {
    FLV_OPT(struct flv_slice) header_label;
    FLV_OPT(struct flv_slice) width;
    FLV_OPT(uint8_t) alignment; /* 0 left, 1 right, 2 center */
    struct flv_slice key_path;
    FLV_OPT(struct flv_slice) format;
    FLV_OPT(bool) display;
    FLV_OPT(bool) primary_key;
    FLV_OPT(uint8_t) header_bg_color; /* 0 blue, 1 yellow, 2 green */
    FLV_OPT(uint8_t) header_text_color;
};

struct flv_wire_table_format_spec {
    struct flv_slice name;
    FLV_OPT(uint8_t) input_format; /* 0 JSON */
    FLV_OPT(FLV_VEC(struct flv_wire_table_column)) columns;
    FLV_OPT(struct flv_slice) smartmodule;
};

struct flv_wire_table_format {
    struct flv_slice name;
    struct flv_wire_table_format_spec spec;
    uint8_t resolution; /* 0 init, 1 invalid, 2 running, 3 pending, 4 failed */
    FLV_OPT(struct flv_slice) reason;
};

struct flv_wire_client_tls {
    struct flv_slice domain, ca_cert, client_cert, client_key;
};

struct flv_wire_mirror_spec {
    uint8_t tag; /* enum flv_wire_mirror_side */
    struct flv_slice id;
    struct flv_slice remote_id, public_endpoint;    /* home */
    FLV_OPT(struct flv_wire_client_tls) client_tls; /* home */
};

struct flv_wire_pairing {
    uint8_t tag;              /* 0 waiting, 1 successful, 2 failed, 3 disabled,
                               * 4 unauthorized, 5 detailed failure (from 17, else 2) */
    struct flv_slice failure; /* 5 */
};

struct flv_wire_mirror {
    struct flv_slice name;
    struct flv_wire_mirror_spec spec;
    uint8_t connection; /* 0 offline, 1 online */
    struct flv_wire_pairing pairing_sc;
    struct flv_wire_pairing pairing_spu; /* from 17 */
    uint64_t last_seen_ms;
};

/* --- bodies ------------------------------------------------------------------
 */

/* The head of every create body; for objects that are not served. */
struct flv_wire_create_common {
    struct flv_slice name;
    bool dry_run;
    FLV_OPT(uint32_t) timeout_ms;
};
FLV_WIRE_MESSAGE(create_common)

#define FLV_WIRE_OBJECT(NAME)                                                  \
    struct flv_wire_##NAME##_create {                                          \
        struct flv_wire_create_common common;                                  \
        struct flv_wire_##NAME##_spec spec;                                    \
    };                                                                         \
    FLV_WIRE_MESSAGE(NAME##_create)                                            \
    struct flv_wire_##NAME##_list {                                            \
        FLV_VEC(struct flv_wire_##NAME) items;                                 \
    };                                                                         \
    FLV_WIRE_MESSAGE(NAME##_list)                                              \
    struct flv_wire_##NAME##_change {                                          \
        uint8_t kind; /* enum flv_wire_change_kind */                          \
        struct flv_wire_##NAME item;                                           \
    };                                                                         \
    struct flv_wire_##NAME##_watch {                                           \
        int64_t epoch;                                                         \
        FLV_VEC(struct flv_wire_##NAME##_change) changes;                      \
        FLV_VEC(struct flv_wire_##NAME) all;                                   \
    };                                                                         \
    FLV_WIRE_MESSAGE(NAME##_watch)

enum flv_wire_change_kind {
    FLV_WIRE_CHANGE_UPDATE = 0, /* insert or replace */
    FLV_WIRE_CHANGE_DELETE = 1,
};

/* For each: flv_wire_NAME_create, _list and _watch (the response bodies). */
FLV_WIRE_OBJECT(topic)
FLV_WIRE_OBJECT(partition) /* nobody creates partitions */
FLV_WIRE_OBJECT(spu)       /* nobody creates these: see custom_spu */
FLV_WIRE_OBJECT(custom_spu)
FLV_WIRE_OBJECT(spu_group)
FLV_WIRE_OBJECT(smartmodule)
FLV_WIRE_OBJECT(table_format)
FLV_WIRE_OBJECT(mirror)

struct flv_wire_delete_request { /* all objects but custom SPUs */
    struct flv_slice key;
    bool force; /* from 13 */
};
FLV_WIRE_MESSAGE(delete_request)

struct flv_wire_custom_spu_delete {
    uint8_t tag;           /* 0 by name, 1 by id */
    struct flv_slice name; /* 0 */
    int32_t id;            /* 1 */
    bool force;            /* from 13 */
};
FLV_WIRE_MESSAGE(custom_spu_delete)

enum flv_wire_topic_action_kind {
    FLV_WIRE_TOPIC_ADD_PARTITION = 0,
    FLV_WIRE_TOPIC_ADD_MIRROR = 1,
};

struct flv_wire_topic_action {
    uint8_t tag;                     /* enum flv_wire_topic_action_kind */
    uint32_t count;                  /* add partition */
    struct flv_slice remote_cluster; /* add mirror */
    bool home_to_mirror;             /* add mirror, from 18 */
};

struct flv_wire_topic_update {
    struct flv_slice key;
    struct flv_wire_topic_action action;
};
FLV_WIRE_MESSAGE(topic_update)

struct flv_wire_list_request {
    FLV_VEC(struct flv_slice) name_filters;
    bool summary;
    bool system; /* from 13 */
};
FLV_WIRE_MESSAGE(list_request)

struct flv_wire_watch_request {
    int64_t epoch; /* ignored by servers */
    bool summary;
};
FLV_WIRE_MESSAGE(watch_request)

/* The answer to create, delete and update; no envelope. */
struct flv_wire_status {
    struct flv_slice name;
    struct flv_wire_error error;
    FLV_OPT(struct flv_slice) message;
};
FLV_WIRE_MESSAGE(status)

struct flv_wire_mirroring_request { /* of a remote cluster */
    struct flv_slice remote_id;
};
FLV_WIRE_MESSAGE(mirroring_request)

struct flv_wire_mirroring_status { /* the answer to it; no envelope */
    struct flv_slice name;
    struct flv_wire_error error;
    FLV_OPT(struct flv_slice) message;
    uint32_t topics; /* how many follow; none ever does here */
};
FLV_WIRE_MESSAGE(mirroring_status)

#endif
