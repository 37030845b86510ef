/*
 * spu.h - messages of the partition service (SPU), versions 0 to 25.
 *
 * Purpose    Produce, fetch, stream fetch, offsets and consumer offsets as
 *            plain structs.
 * Ownership  As in codec.h. Record sets are borrowed bytes, batch after batch
 *            (batch.h); no message decodes them. For sending they can stay
 *            where they are: see flv_wire_cuts.
 * Notes      "from N" and "to N" name the versions in which a field exists;
 *            at others it is not written and reads as zero.
 * Units      In the names; offsets are record numbers.
 * See        docs/format/wire.md
 */
#ifndef FLV_WIRE_SPU_H
#define FLV_WIRE_SPU_H

#include "wire/api.h"
#include "wire/sc.h"

enum flv_wire_isolation {
    FLV_WIRE_READ_UNCOMMITTED = 0,
    FLV_WIRE_READ_COMMITTED = 1,
};

/* The acks of produce: any negative number means committed. */
#define FLV_WIRE_ACKS_UNCOMMITTED 1
#define FLV_WIRE_ACKS_COMMITTED (-1)

struct flv_wire_replica_key {
    struct flv_slice topic;
    uint32_t partition;
};

/* --- SmartModules asked for in requests -------------------------------------
 */

enum flv_wire_module_kind {
    FLV_WIRE_MODULE_FILTER = 0,
    FLV_WIRE_MODULE_MAP = 1,
    FLV_WIRE_MODULE_ARRAY_MAP = 2,
    FLV_WIRE_MODULE_AGGREGATE = 3,
    FLV_WIRE_MODULE_FILTER_MAP = 4,
    FLV_WIRE_MODULE_JOIN = 5,
    FLV_WIRE_MODULE_JOIN_STREAM = 6,
    FLV_WIRE_MODULE_GENERIC = 7,
};

struct flv_wire_module_context {
    uint8_t tag; /* 0 none, 1 aggregate, 2 join, 3 join stream */
    struct flv_slice accumulator;
    struct flv_slice topic, derivedstream;
};

struct flv_wire_module_kinds {
    uint8_t tag; /* enum flv_wire_module_kind */
    struct flv_slice accumulator;
    struct flv_slice topic, derivedstream;
    struct flv_wire_module_context context; /* generic */
};

struct flv_wire_lookback {
    uint64_t last;
    FLV_OPT(struct flv_wire_duration) age; /* from 21 */
};

struct flv_wire_module_params {
    FLV_VEC(struct flv_wire_pair) params;
    FLV_OPT(struct flv_wire_lookback) lookback; /* from 20 */
};

struct flv_wire_module_wasm {
    uint8_t tag;           /* 0 stored under a name, 1 sent along */
    struct flv_slice name; /* 0 */
    struct flv_slice gzip; /* 1 */
};

struct flv_wire_module_invocation {
    struct flv_wire_module_wasm wasm;
    struct flv_wire_module_kinds kind;
    struct flv_wire_module_params params;
    FLV_OPT(struct flv_slice) name; /* from 25 */
};

/* --- produce (0)
 * --------------------------------------------------------------- */

struct flv_wire_produce_partition {
    uint32_t partition;
    struct flv_slice records; /* batches; may be empty */
};

struct flv_wire_produce_topic {
    struct flv_slice name;
    /* The same partition may come several times. */
    FLV_VEC(struct flv_wire_produce_partition) partitions;
};

struct flv_wire_produce_request {
    FLV_OPT(struct flv_slice) transactional_id;
    int16_t acks; /* FLV_WIRE_ACKS_* */
    int32_t timeout_ms;
    FLV_VEC(struct flv_wire_produce_topic) topics;
    FLV_VEC(struct flv_wire_module_invocation) smartmodules; /* from 8 */
};
FLV_WIRE_MESSAGE(produce_request)

struct flv_wire_produce_result {
    uint32_t partition;
    struct flv_wire_error error;
    int64_t base_offset;
    int64_t log_append_time_ms; /* from 2 */
    int64_t log_start_offset;   /* from 5 */
};

struct flv_wire_produce_topic_result {
    struct flv_slice name;
    FLV_VEC(struct flv_wire_produce_result) partitions; /* in request order */
};

struct flv_wire_produce_response {
    FLV_VEC(struct flv_wire_produce_topic_result) topics;
    int32_t throttle_time_ms; /* from 1 */
};
FLV_WIRE_MESSAGE(produce_response)

/* --- fetch offsets (1002)
 * -------------------------------------------------------- */

struct flv_wire_offsets_topic {
    struct flv_slice name;
    FLV_VEC(uint32_t) partitions;
};

struct flv_wire_fetch_offsets_request {
    FLV_VEC(struct flv_wire_offsets_topic) topics;
    FLV_OPT(struct flv_slice) consumer_id; /* at 23 only */
};
FLV_WIRE_MESSAGE(fetch_offsets_request)

struct flv_wire_offsets_partition {
    struct flv_wire_error error;
    uint32_t partition;
    int64_t start_offset;
    int64_t last_stable_offset;
};

struct flv_wire_offsets_topic_result {
    struct flv_slice name;
    FLV_VEC(struct flv_wire_offsets_partition) partitions;
};

struct flv_wire_fetch_offsets_response {
    FLV_VEC(struct flv_wire_offsets_topic_result) topics;
};
FLV_WIRE_MESSAGE(fetch_offsets_response)

/* --- stream fetch (1003) and fetch (1)
 * --------------------------------------------- */

struct flv_wire_legacy_wasm {
    uint8_t tag; /* 0 raw, 1 gzip */
    struct flv_slice bytes;
};

struct flv_wire_legacy_payload {
    struct flv_wire_legacy_wasm wasm;
    struct flv_wire_module_kinds kind;
    struct flv_wire_module_params params;
};

struct flv_wire_derived_stream {
    struct flv_slice stream;
    struct flv_wire_module_params params;
};

struct flv_wire_stream_fetch_request {
    struct flv_slice topic;
    uint32_t partition;
    int64_t fetch_offset;
    int32_t max_bytes;
    uint8_t isolation;            /* flv_wire_isolation */
    struct flv_slice wasm_module; /* 11 to 18, empty */
    FLV_OPT(struct flv_wire_legacy_payload) wasm_payload;    /* 12 to 18 */
    FLV_OPT(struct flv_wire_module_invocation) smartmodule;  /* 16 to 18 */
    FLV_OPT(struct flv_wire_derived_stream) derivedstream;   /* 16 to 18 */
    FLV_VEC(struct flv_wire_module_invocation) smartmodules; /* from 18 */
    FLV_OPT(struct flv_slice) consumer_id;                   /* from 23 */
};
FLV_WIRE_MESSAGE(stream_fetch_request)

struct flv_wire_aborted {
    int64_t producer_id, first_offset;
};

struct flv_wire_fetch_partition {
    uint32_t partition;
    struct flv_wire_error error;
    int64_t high_watermark;
    int64_t next_filter_offset; /* from 11; 0: go on behind the last batch */
    int64_t log_start_offset;
    FLV_OPT(FLV_VEC(struct flv_wire_aborted)) aborted; /* always none */
    struct flv_slice records;                          /* whole batches */
};

struct flv_wire_stream_fetch_response {
    struct flv_slice topic;
    uint32_t stream_id;
    struct flv_wire_fetch_partition partition;
};
FLV_WIRE_MESSAGE(stream_fetch_response)

struct flv_wire_fetch_request_partition {
    uint32_t partition;
    int32_t leader_epoch; /* from 9 */
    int64_t fetch_offset;
    int64_t log_start_offset; /* from 5 */
    int32_t max_bytes;
};

struct flv_wire_fetch_topic {
    struct flv_slice name;
    FLV_VEC(struct flv_wire_fetch_request_partition) partitions;
};

struct flv_wire_forgotten_topic { /* from 7 */
    struct flv_slice name;
    FLV_VEC(int32_t) partitions;
};

struct flv_wire_fetch_request {
    int32_t max_wait_ms;
    int32_t min_bytes;
    int32_t max_bytes; /* from 3 */
    uint8_t isolation; /* from 4 */
    FLV_VEC(struct flv_wire_fetch_topic) topics;
    FLV_VEC(struct flv_wire_forgotten_topic) forgotten; /* from 7 */
};
FLV_WIRE_MESSAGE(fetch_request)

struct flv_wire_fetch_topic_result {
    struct flv_slice name;
    FLV_VEC(struct flv_wire_fetch_partition) partitions;
};

struct flv_wire_fetch_response {
    int32_t throttle_time_ms;
    struct flv_wire_error error;
    int32_t fetch_id;
    FLV_VEC(struct flv_wire_fetch_topic_result) topics;
};
FLV_WIRE_MESSAGE(fetch_response)

/* --- update offsets (1005, version 0)
 * ------------------------------------------------ */

struct flv_wire_offset_update {
    int64_t offset; /* wanted next */
    uint32_t stream_id;
};

struct flv_wire_update_offsets_request {
    FLV_VEC(struct flv_wire_offset_update) offsets;
};
FLV_WIRE_MESSAGE(update_offsets_request)

struct flv_wire_offset_update_status {
    uint32_t stream_id;
    struct flv_wire_error error;
};

struct flv_wire_update_offsets_response {
    FLV_VEC(struct flv_wire_offset_update_status) statuses;
};
FLV_WIRE_MESSAGE(update_offsets_response)

/* --- consumer offsets (1006, 1007, 1008)
 * ---------------------------------------------- */

struct flv_wire_update_consumer_offset_request {
    int64_t offset; /* the last one consumed */
    uint32_t stream_id;
};
FLV_WIRE_MESSAGE(update_consumer_offset_request)

struct flv_wire_update_consumer_offset_response {
    int64_t offset;
    struct flv_wire_error error;
};
FLV_WIRE_MESSAGE(update_consumer_offset_response)

struct flv_wire_delete_consumer_offset_request {
    struct flv_wire_replica_key replica;
    struct flv_slice consumer_id;
};
FLV_WIRE_MESSAGE(delete_consumer_offset_request)

struct flv_wire_delete_consumer_offset_response {
    struct flv_wire_error error;
};
FLV_WIRE_MESSAGE(delete_consumer_offset_response)

struct flv_wire_consumer_filter {
    FLV_OPT(struct flv_wire_replica_key) replica;
    FLV_OPT(struct flv_slice) consumer_id;
};

struct flv_wire_fetch_consumer_offsets_request {
    FLV_OPT(struct flv_wire_consumer_filter) filter; /* from 24 */
};
FLV_WIRE_MESSAGE(fetch_consumer_offsets_request)

struct flv_wire_consumer_offset {
    struct flv_slice consumer_id;
    struct flv_wire_replica_key replica;
    int64_t offset; /* the last one consumed */
    uint64_t modified_time_s;
};

struct flv_wire_fetch_consumer_offsets_response {
    struct flv_wire_error error;
    FLV_VEC(struct flv_wire_consumer_offset) consumers;
};
FLV_WIRE_MESSAGE(fetch_consumer_offsets_response)

#endif
