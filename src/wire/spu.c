#include "wire/spu.h"
#include "wire/tables.h"

#define ALL FLV_WIRE_EVER
#define FROM FLV_WIRE_FROM
#define SPAN FLV_WIRE_SPAN
#define F FLV_WIRE_F
#define F_OPT FLV_WIRE_F_OPT
#define S FLV_WIRE_S
#define S_OPT FLV_WIRE_S_OPT
#define E FLV_WIRE_E
#define V FLV_WIRE_V
#define VS FLV_WIRE_VS
#define VS_OPT FLV_WIRE_VS_OPT
#define MS FLV_WIRE_MS
#define BARE FLV_WIRE_BARE
#define CASE FLV_WIRE_CASE

/* clang-format off */
#define T struct flv_wire_replica_key
static const struct flv_wire_field replica_key[] = {
    F(T, topic, STR, ALL),
    F(T, partition, U32, ALL),
};
static FLV_WIRE_TABLE(replica_key, replica_key);
#undef T

static const struct flv_wire_case isolation[] = {
    BARE("read_uncommitted", FLV_WIRE_READ_UNCOMMITTED),
    BARE("read_committed", FLV_WIRE_READ_COMMITTED),
};
static FLV_WIRE_ENUM(isolation, isolation);

/* --- SmartModules asked for in requests ------------------------------------- */

#define T struct flv_wire_module_context
static const struct flv_wire_field context_aggregate[] = {
    F(T, accumulator, BYTES, ALL),
};
static const struct flv_wire_field context_join[] = {
    F(T, topic, STR, ALL),
};
static const struct flv_wire_field context_join_stream[] = {
    F(T, topic, STR, ALL),
    F(T, derivedstream, STR, ALL),
};
static const struct flv_wire_case module_context[] = {
    BARE("none", 0),
    CASE("aggregate", 1, context_aggregate),
    CASE("join", 2, context_join),
    CASE("join_stream", 3, context_join_stream),
};
static FLV_WIRE_UNION(module_context, module_context);
#undef T

#define T struct flv_wire_module_kinds
static const struct flv_wire_field kind_aggregate[] = {
    F(T, accumulator, BYTES, ALL),
};
static const struct flv_wire_field kind_join[] = {
    F(T, topic, STR, ALL),
};
static const struct flv_wire_field kind_join_stream[] = {
    F(T, topic, STR, ALL),
    F(T, derivedstream, STR, ALL),
};
static const struct flv_wire_field kind_generic[] = {
    S(T, context, module_context, ALL),
};
static const struct flv_wire_case module_kinds[] = {
    BARE("filter", FLV_WIRE_MODULE_FILTER),
    BARE("map", FLV_WIRE_MODULE_MAP),
    BARE("array_map", FLV_WIRE_MODULE_ARRAY_MAP),
    CASE("aggregate", FLV_WIRE_MODULE_AGGREGATE, kind_aggregate),
    BARE("filter_map", FLV_WIRE_MODULE_FILTER_MAP),
    CASE("join", FLV_WIRE_MODULE_JOIN, kind_join),
    CASE("join_stream", FLV_WIRE_MODULE_JOIN_STREAM, kind_join_stream),
    CASE("generic", FLV_WIRE_MODULE_GENERIC, kind_generic),
};
static FLV_WIRE_UNION(module_kinds, module_kinds);
#undef T

#define T struct flv_wire_lookback
static const struct flv_wire_field lookback[] = {
    F(T, last, U64, ALL),
    S_OPT(T, age, duration, FROM(21)),
};
static FLV_WIRE_TABLE(lookback, lookback);
#undef T

#define T struct flv_wire_module_params
static const struct flv_wire_field module_params[] = {
    MS(T, params, pair, ALL),
    S_OPT(T, lookback, lookback, FROM(20)),
};
static FLV_WIRE_TABLE(module_params, module_params);
#undef T

#define T struct flv_wire_module_wasm
static const struct flv_wire_field wasm_predefined[] = {
    F(T, name, STR, ALL),
};
static const struct flv_wire_field wasm_adhoc[] = {
    F(T, gzip, BYTES, ALL),
};
static const struct flv_wire_case module_wasm[] = {
    CASE("predefined", 0, wasm_predefined),
    CASE("adhoc", 1, wasm_adhoc),
};
static FLV_WIRE_UNION(module_wasm, module_wasm);
#undef T

#define T struct flv_wire_module_invocation
static const struct flv_wire_field module_invocation[] = {
    S(T, wasm, module_wasm, ALL),
    S(T, kind, module_kinds, ALL),
    S(T, params, module_params, ALL),
    F_OPT(T, name, STR, FROM(25)),
};
static FLV_WIRE_TABLE(module_invocation, module_invocation);
#undef T

/* --- produce -------------------------------------------------------------------- */

#define T struct flv_wire_produce_partition
static const struct flv_wire_field produce_partition[] = {
    F(T, partition, U32, ALL),
    F(T, records, BYTES, ALL),
};
static FLV_WIRE_TABLE(produce_partition, produce_partition);
#undef T

#define T struct flv_wire_produce_topic
static const struct flv_wire_field produce_topic[] = {
    F(T, name, STR, ALL),
    VS(T, partitions, produce_partition, ALL),
};
static FLV_WIRE_TABLE(produce_topic, produce_topic);
#undef T

#define T struct flv_wire_produce_request
static const struct flv_wire_field produce_request[] = {
    F_OPT(T, transactional_id, STR, ALL),
    F(T, acks, I16, ALL),
    F(T, timeout_ms, I32, ALL),
    VS(T, topics, produce_topic, ALL),
    VS(T, smartmodules, module_invocation, FROM(8)),
};
FLV_WIRE_TABLE(produce_request, produce_request);
#undef T

#define T struct flv_wire_produce_result
static const struct flv_wire_field produce_result[] = {
    F(T, partition, U32, ALL),
    S(T, error, error, ALL),
    F(T, base_offset, I64, ALL),
    F(T, log_append_time_ms, I64, FROM(2)),
    F(T, log_start_offset, I64, FROM(5)),
};
static FLV_WIRE_TABLE(produce_result, produce_result);
#undef T

#define T struct flv_wire_produce_topic_result
static const struct flv_wire_field produce_topic_result[] = {
    F(T, name, STR, ALL),
    VS(T, partitions, produce_result, ALL),
};
static FLV_WIRE_TABLE(produce_topic_result, produce_topic_result);
#undef T

#define T struct flv_wire_produce_response
static const struct flv_wire_field produce_response[] = {
    VS(T, topics, produce_topic_result, ALL),
    F(T, throttle_time_ms, I32, FROM(1)),
};
FLV_WIRE_TABLE(produce_response, produce_response);
#undef T

/* --- fetch offsets ---------------------------------------------------------------- */

#define T struct flv_wire_offsets_topic
static const struct flv_wire_field offsets_topic[] = {
    F(T, name, STR, ALL),
    V(T, partitions, U32, ALL),
};
static FLV_WIRE_TABLE(offsets_topic, offsets_topic);
#undef T

#define T struct flv_wire_fetch_offsets_request
static const struct flv_wire_field fetch_offsets_request[] = {
    VS(T, topics, offsets_topic, ALL),
    F_OPT(T, consumer_id, STR, SPAN(23, 23)),
};
FLV_WIRE_TABLE(fetch_offsets_request, fetch_offsets_request);
#undef T

#define T struct flv_wire_offsets_partition
static const struct flv_wire_field offsets_partition[] = {
    S(T, error, error, ALL),
    F(T, partition, U32, ALL),
    F(T, start_offset, I64, ALL),
    F(T, last_stable_offset, I64, ALL),
};
static FLV_WIRE_TABLE(offsets_partition, offsets_partition);
#undef T

#define T struct flv_wire_offsets_topic_result
static const struct flv_wire_field offsets_topic_result[] = {
    F(T, name, STR, ALL),
    VS(T, partitions, offsets_partition, ALL),
};
static FLV_WIRE_TABLE(offsets_topic_result, offsets_topic_result);
#undef T

#define T struct flv_wire_fetch_offsets_response
static const struct flv_wire_field fetch_offsets_response[] = {
    VS(T, topics, offsets_topic_result, ALL),
};
FLV_WIRE_TABLE(fetch_offsets_response, fetch_offsets_response);
#undef T

/* --- stream fetch and fetch --------------------------------------------------------- */

#define T struct flv_wire_legacy_wasm
static const struct flv_wire_field legacy_bytes[] = {
    F(T, bytes, BYTES, ALL),
};
static const struct flv_wire_case legacy_wasm[] = {
    CASE("raw", 0, legacy_bytes),
    CASE("gzip", 1, legacy_bytes),
};
static FLV_WIRE_UNION(legacy_wasm, legacy_wasm);
#undef T

#define T struct flv_wire_legacy_payload
static const struct flv_wire_field legacy_payload[] = {
    S(T, wasm, legacy_wasm, ALL),
    S(T, kind, module_kinds, ALL),
    S(T, params, module_params, ALL),
};
static FLV_WIRE_TABLE(legacy_payload, legacy_payload);
#undef T

#define T struct flv_wire_derived_stream
static const struct flv_wire_field derived_stream[] = {
    F(T, stream, STR, ALL),
    S(T, params, module_params, ALL),
};
static FLV_WIRE_TABLE(derived_stream, derived_stream);
#undef T

#define T struct flv_wire_stream_fetch_request
static const struct flv_wire_field stream_fetch_request[] = {
    F(T, topic, STR, ALL),
    F(T, partition, U32, ALL),
    F(T, fetch_offset, I64, ALL),
    F(T, max_bytes, I32, ALL),
    E(T, isolation, isolation, ALL),
    F(T, wasm_module, BYTES, SPAN(11, 18)),
    S_OPT(T, wasm_payload, legacy_payload, SPAN(12, 18)),
    S_OPT(T, smartmodule, module_invocation, SPAN(16, 18)),
    S_OPT(T, derivedstream, derived_stream, SPAN(16, 18)),
    VS(T, smartmodules, module_invocation, FROM(18)),
    F_OPT(T, consumer_id, STR, FROM(23)),
};
FLV_WIRE_TABLE(stream_fetch_request, stream_fetch_request);
#undef T

#define T struct flv_wire_aborted
static const struct flv_wire_field aborted[] = {
    F(T, producer_id, I64, ALL),
    F(T, first_offset, I64, ALL),
};
static FLV_WIRE_TABLE(aborted, aborted);
#undef T

#define T struct flv_wire_fetch_partition
static const struct flv_wire_field fetch_partition[] = {
    F(T, partition, U32, ALL),
    S(T, error, error, ALL),
    F(T, high_watermark, I64, ALL),
    F(T, next_filter_offset, I64, FROM(11)),
    F(T, log_start_offset, I64, ALL),
    VS_OPT(T, aborted, aborted, ALL),
    F(T, records, BYTES, ALL),
};
static FLV_WIRE_TABLE(fetch_partition, fetch_partition);
#undef T

#define T struct flv_wire_stream_fetch_response
static const struct flv_wire_field stream_fetch_response[] = {
    F(T, topic, STR, ALL),
    F(T, stream_id, U32, ALL),
    S(T, partition, fetch_partition, ALL),
};
FLV_WIRE_TABLE(stream_fetch_response, stream_fetch_response);
#undef T

#define T struct flv_wire_fetch_request_partition
static const struct flv_wire_field fetch_request_partition[] = {
    F(T, partition, U32, ALL),
    F(T, leader_epoch, I32, FROM(9)),
    F(T, fetch_offset, I64, ALL),
    F(T, log_start_offset, I64, FROM(5)),
    F(T, max_bytes, I32, ALL),
};
static FLV_WIRE_TABLE(fetch_request_partition, fetch_request_partition);
#undef T

#define T struct flv_wire_fetch_topic
static const struct flv_wire_field fetch_topic[] = {
    F(T, name, STR, ALL),
    VS(T, partitions, fetch_request_partition, ALL),
};
static FLV_WIRE_TABLE(fetch_topic, fetch_topic);
#undef T

#define T struct flv_wire_forgotten_topic
static const struct flv_wire_field forgotten_topic[] = {
    F(T, name, STR, ALL),
    V(T, partitions, I32, ALL),
};
static FLV_WIRE_TABLE(forgotten_topic, forgotten_topic);
#undef T

#define T struct flv_wire_fetch_request
static const struct flv_wire_field fetch_request[] = {
    F(T, max_wait_ms, I32, ALL),
    F(T, min_bytes, I32, ALL),
    F(T, max_bytes, I32, FROM(3)),
    E(T, isolation, isolation, FROM(4)),
    VS(T, topics, fetch_topic, ALL),
    VS(T, forgotten, forgotten_topic, FROM(7)),
};
FLV_WIRE_TABLE(fetch_request, fetch_request);
#undef T

#define T struct flv_wire_fetch_topic_result
static const struct flv_wire_field fetch_topic_result[] = {
    F(T, name, STR, ALL),
    VS(T, partitions, fetch_partition, ALL),
};
static FLV_WIRE_TABLE(fetch_topic_result, fetch_topic_result);
#undef T

#define T struct flv_wire_fetch_response
static const struct flv_wire_field fetch_response[] = {
    F(T, throttle_time_ms, I32, ALL),
    S(T, error, error, ALL),
    F(T, fetch_id, I32, ALL),
    VS(T, topics, fetch_topic_result, ALL),
};
FLV_WIRE_TABLE(fetch_response, fetch_response);
#undef T

/* --- update offsets ------------------------------------------------------------------ */

#define T struct flv_wire_offset_update
static const struct flv_wire_field offset_update[] = {
    F(T, offset, I64, ALL),
    F(T, stream_id, U32, ALL),
};
static FLV_WIRE_TABLE(offset_update, offset_update);
#undef T

#define T struct flv_wire_update_offsets_request
static const struct flv_wire_field update_offsets_request[] = {
    VS(T, offsets, offset_update, ALL),
};
FLV_WIRE_TABLE(update_offsets_request, update_offsets_request);
#undef T

#define T struct flv_wire_offset_update_status
static const struct flv_wire_field offset_update_status[] = {
    F(T, stream_id, U32, ALL),
    S(T, error, error, ALL),
};
static FLV_WIRE_TABLE(offset_update_status, offset_update_status);
#undef T

#define T struct flv_wire_update_offsets_response
static const struct flv_wire_field update_offsets_response[] = {
    VS(T, statuses, offset_update_status, ALL),
};
FLV_WIRE_TABLE(update_offsets_response, update_offsets_response);
#undef T

/* --- consumer offsets ----------------------------------------------------------------- */

#define T struct flv_wire_update_consumer_offset_request
static const struct flv_wire_field update_consumer_offset_request[] = {
    F(T, offset, I64, ALL),
    F(T, stream_id, U32, ALL),
};
FLV_WIRE_TABLE(update_consumer_offset_request, update_consumer_offset_request);
#undef T

#define T struct flv_wire_update_consumer_offset_response
static const struct flv_wire_field update_consumer_offset_response[] = {
    F(T, offset, I64, ALL),
    S(T, error, error, ALL),
};
FLV_WIRE_TABLE(update_consumer_offset_response,
               update_consumer_offset_response);
#undef T

#define T struct flv_wire_delete_consumer_offset_request
static const struct flv_wire_field delete_consumer_offset_request[] = {
    S(T, replica, replica_key, ALL),
    F(T, consumer_id, STR, ALL),
};
FLV_WIRE_TABLE(delete_consumer_offset_request, delete_consumer_offset_request);
#undef T

#define T struct flv_wire_delete_consumer_offset_response
static const struct flv_wire_field delete_consumer_offset_response[] = {
    S(T, error, error, ALL),
};
FLV_WIRE_TABLE(delete_consumer_offset_response,
               delete_consumer_offset_response);
#undef T

#define T struct flv_wire_consumer_filter
static const struct flv_wire_field consumer_filter[] = {
    S_OPT(T, replica, replica_key, ALL),
    F_OPT(T, consumer_id, STR, ALL),
};
static FLV_WIRE_TABLE(consumer_filter, consumer_filter);
#undef T

#define T struct flv_wire_fetch_consumer_offsets_request
static const struct flv_wire_field fetch_consumer_offsets_request[] = {
    S_OPT(T, filter, consumer_filter, FROM(24)),
};
FLV_WIRE_TABLE(fetch_consumer_offsets_request, fetch_consumer_offsets_request);
#undef T

#define T struct flv_wire_consumer_offset
static const struct flv_wire_field consumer_offset[] = {
    F(T, consumer_id, STR, ALL),
    S(T, replica, replica_key, ALL),
    F(T, offset, I64, ALL),
    F(T, modified_time_s, U64, ALL),
};
static FLV_WIRE_TABLE(consumer_offset, consumer_offset);
#undef T

#define T struct flv_wire_fetch_consumer_offsets_response
static const struct flv_wire_field fetch_consumer_offsets_response[] = {
    S(T, error, error, ALL),
    VS(T, consumers, consumer_offset, ALL),
};
FLV_WIRE_TABLE(fetch_consumer_offsets_response,
               fetch_consumer_offsets_response);
#undef T
