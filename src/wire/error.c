#include "wire/error.h"
#include "wire/tables.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define E struct flv_wire_error
#define ALL FLV_WIRE_EVER

/* Payloads: which members follow a code, and in which order. */
static const struct flv_wire_case timeout_kinds[] = {
    FLV_WIRE_BARE("produce", 0),
};
static FLV_WIRE_ENUM(timeout_kind, timeout_kinds);

static const struct flv_wire_case module_kinds[] = {
    FLV_WIRE_BARE("filter", 0),     FLV_WIRE_BARE("map", 1),
    FLV_WIRE_BARE("array_map", 2),  FLV_WIRE_BARE("aggregate", 3),
    FLV_WIRE_BARE("filter_map", 4), FLV_WIRE_BARE("join", 5),
    FLV_WIRE_BARE("generic", 6),
};
static FLV_WIRE_ENUM(error_module_kind, module_kinds);

static const struct flv_wire_field f_text[] = {
    FLV_WIRE_F(E, text, STR, ALL),
};
static const struct flv_wire_field f_text2[] = {
    FLV_WIRE_F(E, text, STR, ALL),
    FLV_WIRE_F(E, text2, STR, ALL),
};
static const struct flv_wire_field f_timeout[] = {
    FLV_WIRE_F(E, timeout_ms, U64, ALL),
    FLV_WIRE_E(E, kind, timeout_kind, ALL),
};
static const struct flv_wire_field f_evicted[] = {
    FLV_WIRE_F(E, offset, I64, ALL),
    FLV_WIRE_F(E, next_available, I64, ALL),
};
static const struct flv_wire_field f_replica[] = {
    FLV_WIRE_F(E, topic, STR, ALL),
    FLV_WIRE_F(E, partition, U32, ALL),
};
static const struct flv_wire_field f_invalid[] = {
    FLV_WIRE_F(E, text, STR, ALL),
    FLV_WIRE_F_OPT(E, name, STR, ALL),
};
static const struct flv_wire_field f_runtime[] = {
    FLV_WIRE_F(E, text, STR, ALL),
    FLV_WIRE_F(E, offset, I64, ALL),
    FLV_WIRE_E(E, kind, error_module_kind, ALL),
    FLV_WIRE_F_OPT(E, record_key, RDATA, ALL),
    FLV_WIRE_F(E, record_value, RDATA, ALL),
};
static const struct flv_wire_field f_memory[] = {
    FLV_WIRE_F(E, requested_bytes, U64, ALL),
    FLV_WIRE_F(E, max_bytes, U64, ALL),
};

/* What is known of a code: number, name, words, the SC and SPU version from
 * which every client knows it, and its payload. Where a version was spoken by
 * releases with and without the code, the next version counts. */
#define CODES(X, P)                                                            \
    X(-1, unknown_server_error, "Unknown server error", 0, 0)                  \
    X(0, none, "None", 0, 0)                                                   \
    X(1, offset_out_of_range, "Offset out of range", 0, 0)                     \
    P(2, other, "Other error", 0, 0, f_text)                                   \
    X(6, not_leader_for_partition, "Not leader for partition", 0, 0)           \
    P(7, request_timed_out, "Request timed out", 0, 0, f_timeout)              \
    X(10, message_too_large, "Message too large", 0, 0)                        \
    X(13, permission_denied, "permission denied", 0, 0)                        \
    X(56, storage_error, "Storage error", 0, 0)                                \
    X(60, invalid_create_request, "Invalid create request", 0, 0)              \
    X(61, invalid_delete_request, "Invalid delete request", 0, 0)              \
    P(71, offset_evicted, "Offset evicted", 13, 23, f_evicted)                 \
    P(72, partition_full, "Partition full", 19, 25, f_replica)                 \
    X(73, partition_short_circuited, "Partition short circuited", 19, 25)      \
    X(1000, spu_error, "SPU error", 0, 0)                                      \
    X(1001, spu_registration_failed, "SPU registration failed", 0, 0)          \
    X(1002, spu_offline, "SPU offline", 0, 0)                                  \
    X(1003, spu_not_found, "SPU not found", 0, 0)                              \
    X(1004, spu_already_exists, "SPU already exists", 0, 0)                    \
    X(2000, topic_error, "Topic error", 0, 0)                                  \
    X(2001, topic_not_found, "Topic not found", 0, 0)                          \
    X(2002, topic_already_exists, "Topic already exists", 0, 0)                \
    X(2003, topic_pending_initialization, "Topic pending initialization", 0,   \
      0)                                                                       \
    X(2004, topic_invalid_configuration, "Topic invalid configuration", 0, 0)  \
    X(2005, topic_not_provisioned, "Topic not provisioned", 0, 0)              \
    X(2006, topic_invalid_name, "Topic invalid name", 0, 0)                    \
    X(2007, topic_deleted, "Topic deleted", 13, 23)                            \
    X(2008, topic_invalid_replica_type, "Topic invalid replica type", 15, 24)  \
    X(3000, partition_pending_initialization,                                  \
      "Partition pending initialization", 0, 0)                                \
    X(3001, partition_not_leader, "Partition not leader", 0, 0)                \
    X(3002, fetch_session_not_found, "Fetch session not found", 0, 0)          \
    P(3003, offset_flush_request_error, "Offset flush request error", 13, 23,  \
      f_text)                                                                  \
    X(3004, offset_management_disabled, "Offset management disabled", 13, 23)  \
    X(3005, max_retry_reached, "Max retry reached", 19, 24)                    \
    X(5000, connector_error, "Connector error", 0, 0)                          \
    X(5001, connector_not_found, "Connector not found", 0, 0)                  \
    X(5002, connector_already_exists, "Connector already exists", 0, 0)        \
    X(6000, smartmodule_error, "SmartModule error", 0, 0)                      \
    P(6001, smartmodule_not_found, "SmartModule not found", 0, 0, f_text)      \
    P(6002, smartmodule_invalid, "SmartModule invalid", 0, 0, f_invalid)       \
    P(6003, smartmodule_invalid_exports, "SmartModule invalid exports", 0, 0,  \
      f_text2)                                                                 \
    P(6004, smartmodule_runtime_error, "SmartModule runtime error", 0, 0,      \
      f_runtime)                                                               \
    P(6005, smartmodule_chain_init_error, "SmartModule chain init error", 0,   \
      18, f_text)                                                              \
    P(6006, smartmodule_init_error, "SmartModule init error", 0, 18, f_text)   \
    P(6007, smartmodule_lookback_error, "SmartModule look back error", 12, 20, \
      f_text)                                                                  \
    P(6008, smartmodule_memory_limit_exceeded,                                 \
      "SmartModule memory limit exceeded", 13, 22, f_memory)                   \
    X(7000, table_format_error, "TableFormat error", 0, 0)                     \
    X(7001, table_format_not_found, "TableFormat not found", 0, 0)             \
    X(7002, table_format_already_exists, "TableFormat already exists", 0, 0)   \
    X(8000, derived_stream_error, "Derived stream error", 0, 0)                \
    P(8001, derived_stream_not_found, "Derived stream not found", 0, 0,        \
      f_text)                                                                  \
    X(8002, derived_stream_join_fetch_error,                                   \
      "Derived stream join fetch error", 0, 0)                                 \
    P(8003, derived_stream_invalid, "Derived stream invalid", 0, 0, f_text)    \
    X(9000, compression_error, "Compression error", 0, 0)                      \
    X(10000, deduplication_not_loaded, "Deduplication SmartModule not loaded", \
      12, 21)                                                                  \
    P(10001, deduplication_name_invalid,                                       \
      "Deduplication SmartModule name invalid", 12, 21, f_text)                \
    X(11001, mirror_not_found, "Mirror not found", 13, 23)                     \
    X(11002, mirror_already_exists, "Mirror already exists", 13, 23)           \
    X(11003, mirror_produce_from_home, "produce from home is not allowed", 15, \
      24)                                                                      \
    X(11004, mirror_delete_from_remote, "delete from remote is not allowed",   \
      15, 24)                                                                  \
    X(11005, mirror_invalid_type, "Mirror invalid type", 15, 24)               \
    X(11006, mirror_produce_from_remote,                                       \
      "produce from remote target is not allowed", 18, 24)                     \
    P(12001, system_spec_deletion_attempt, "System spec deletion attempt", 13, \
      23, f_text2)                                                             \
    P(12002, system_spec_updating_attempt, "System spec updating attempt", 13, \
      23, f_text2)

/* clang-format off */
#define CASE_BARE(code, name, text, sc, spu) FLV_WIRE_BARE(#name, code),
#define CASE_WITH(code, name, text, sc, spu, fields)                           \
    FLV_WIRE_CASE(#name, code, fields),
static const struct flv_wire_case cases[] = {CODES(CASE_BARE, CASE_WITH)};

struct known {
    const char *text;
    int8_t since[2]; /* by enum flv_wire_side */
};
#define KNOWN_BARE(code, name, text, sc, spu) {(text), {(sc), (spu)}},
#define KNOWN_WITH(code, name, text, sc, spu, fields) {(text), {(sc), (spu)}},
static const struct known known[] = {CODES(KNOWN_BARE, KNOWN_WITH)};
_Static_assert(sizeof(known) / sizeof(known[0]) ==
                   sizeof(cases) / sizeof(cases[0]),
               "one entry per code in both tables");
/* clang-format on */

const struct flv_wire_schema flv_wire_error_schema = {
    .name = "error",
    .size = sizeof(struct flv_wire_error),
    .tag = FLV_WIRE_TAG_I16,
    .ncases = FLV_WIRE_COUNT(cases),
    .cases = cases,
};

/* Index into both tables, or -1. */
static int find(int16_t code)
{
    for (size_t i = 0; i < FLV_WIRE_COUNT(cases); i++) {
        if (cases[i].tag == code) {
            return (int)i;
        }
    }
    return -1;
}

const char *flv_wire_code_text(int16_t code)
{
    int i = find(code);

    return i >= 0 ? known[i].text : "Unknown error code";
}

const char *flv_wire_code_name(int16_t code)
{
    int i = find(code);

    return i >= 0 ? cases[i].name : NULL;
}

bool flv_wire_code_known(int16_t code, enum flv_wire_side side, int16_t version)
{
    int i = find(code);

    assert(side == FLV_WIRE_SC || side == FLV_WIRE_SPU);
    return i >= 0 && version >= known[i].since[side];
}

void flv_wire_error_downgrade(struct flv_wire_error *e,
                              enum flv_wire_side side,
                              int16_t version)
{
    if (!flv_wire_code_known(e->code, side, version)) {
        *e = flv_wire_error_text(FLV_WIRE_OTHER, flv_wire_code_text(e->code));
    }
}

static int len(struct flv_slice s)
{
    return s.len < FLV_ERR_TEXT_MAX ? (int)s.len : FLV_ERR_TEXT_MAX;
}

#define TEXT(s) len(s), ((s).len > 0 ? (const char *)(s).data : "")

/* The front of a record's key or value, fit for one line. */
#define EXCERPT_MAX 40
static const char *excerpt(struct flv_slice s, char out[EXCERPT_MAX + 4])
{
    size_t n = s.len < EXCERPT_MAX ? s.len : EXCERPT_MAX;

    for (size_t i = 0; i < n; i++) {
        out[i] = s.data[i] >= 0x20 && s.data[i] < 0x7f ? (char)s.data[i] : '.';
    }
    snprintf(out + n, 4, "%s", s.len > n ? "..." : "");
    return out;
}

/* What the module said first: the record may be cut off behind it. */
static void
describe_record(const struct flv_wire_error *e, char *out, size_t size)
{
    char key[EXCERPT_MAX + 4], value[EXCERPT_MAX + 4];

    snprintf(out, size, "%s at offset %" PRId64 ": %.*s (%s%s%svalue '%s')",
             flv_wire_code_text(e->code), e->offset, TEXT(e->text),
             e->record_key.has ? "key '" : "",
             e->record_key.has ? excerpt(e->record_key.v, key) : "",
             e->record_key.has ? "', " : "", excerpt(e->record_value, value));
}

void flv_wire_error_describe(const struct flv_wire_error *e,
                             char *out,
                             size_t size)
{
    const char *text = flv_wire_code_text(e->code);

    assert(size > 0);
    switch (e->code) {
    case FLV_WIRE_OTHER:
    case FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR:
    case FLV_WIRE_SMARTMODULE_INIT_ERROR:
    case FLV_WIRE_SMARTMODULE_LOOKBACK_ERROR:
    case FLV_WIRE_SMARTMODULE_INVALID:
    case FLV_WIRE_OFFSET_FLUSH_REQUEST_ERROR:
    case FLV_WIRE_DERIVED_STREAM_NOT_FOUND:
    case FLV_WIRE_DERIVED_STREAM_INVALID:
    case FLV_WIRE_DEDUPLICATION_NAME_INVALID:
        snprintf(out, size, "%s: %.*s", text, TEXT(e->text));
        break;
    case FLV_WIRE_REQUEST_TIMED_OUT:
        snprintf(out, size, "%s after %" PRIu64 " ms", text, e->timeout_ms);
        break;
    case FLV_WIRE_OFFSET_EVICTED:
        snprintf(out, size,
                 "Offset %" PRId64
                 " is evicted. The next available is %" PRId64,
                 e->offset, e->next_available);
        break;
    case FLV_WIRE_PARTITION_FULL:
        snprintf(out, size, "%s: no space is left for %.*s-%u", text,
                 TEXT(e->topic), (unsigned)e->partition);
        break;
    case FLV_WIRE_SMARTMODULE_NOT_FOUND:
        snprintf(out, size, "SmartModule %.*s was not found", TEXT(e->text));
        break;
    case FLV_WIRE_SMARTMODULE_INVALID_EXPORTS:
        snprintf(out, size, "%s for kind %.*s: %.*s", text, TEXT(e->text2),
                 TEXT(e->text));
        break;
    case FLV_WIRE_SMARTMODULE_RUNTIME_ERROR:
        describe_record(e, out, size);
        break;
    case FLV_WIRE_SMARTMODULE_MEMORY_LIMIT_EXCEEDED:
        snprintf(out, size, "%s: %" PRIu64 " bytes requested, at most %" PRIu64,
                 text, e->requested_bytes, e->max_bytes);
        break;
    case FLV_WIRE_SYSTEM_SPEC_DELETION_ATTEMPT:
    case FLV_WIRE_SYSTEM_SPEC_UPDATING_ATTEMPT:
        snprintf(out, size, "system %.*s '%.*s' can only be %s forcibly",
                 TEXT(e->text), TEXT(e->text2),
                 e->code == FLV_WIRE_SYSTEM_SPEC_DELETION_ATTEMPT ? "deleted"
                                                                  : "updated");
        break;
    default:
        snprintf(out, size, "%s", text);
        break;
    }
}

static flv_rc rc_of(int16_t code)
{
    switch (code) {
    case FLV_WIRE_NOT_LEADER_FOR_PARTITION:
    case FLV_WIRE_PARTITION_NOT_LEADER:
    case FLV_WIRE_SPU_OFFLINE:
    case FLV_WIRE_TOPIC_PENDING_INITIALIZATION:
    case FLV_WIRE_PARTITION_PENDING_INITIALIZATION:
    case FLV_WIRE_TOPIC_NOT_PROVISIONED:
        return FLV_E_BUSY;
    case FLV_WIRE_REQUEST_TIMED_OUT:
        return FLV_E_TIMEOUT;
    case FLV_WIRE_PARTITION_FULL:
        return FLV_E_NOSPACE;
    case FLV_WIRE_MESSAGE_TOO_LARGE:
    case FLV_WIRE_SMARTMODULE_MEMORY_LIMIT_EXCEEDED:
        return FLV_E_LIMIT;
    case FLV_WIRE_SPU_NOT_FOUND:
    case FLV_WIRE_TOPIC_NOT_FOUND:
    case FLV_WIRE_TOPIC_DELETED:
    case FLV_WIRE_FETCH_SESSION_NOT_FOUND:
    case FLV_WIRE_CONNECTOR_NOT_FOUND:
    case FLV_WIRE_SMARTMODULE_NOT_FOUND:
    case FLV_WIRE_TABLE_FORMAT_NOT_FOUND:
    case FLV_WIRE_DERIVED_STREAM_NOT_FOUND:
    case FLV_WIRE_MIRROR_NOT_FOUND:
        return FLV_E_NOT_FOUND;
    case FLV_WIRE_SPU_ALREADY_EXISTS:
    case FLV_WIRE_TOPIC_ALREADY_EXISTS:
    case FLV_WIRE_CONNECTOR_ALREADY_EXISTS:
    case FLV_WIRE_TABLE_FORMAT_ALREADY_EXISTS:
    case FLV_WIRE_MIRROR_ALREADY_EXISTS:
        return FLV_E_EXISTS;
    case FLV_WIRE_TOPIC_INVALID_NAME:
    case FLV_WIRE_TOPIC_INVALID_CONFIGURATION:
    case FLV_WIRE_TOPIC_INVALID_REPLICA_TYPE:
    case FLV_WIRE_INVALID_CREATE_REQUEST:
    case FLV_WIRE_INVALID_DELETE_REQUEST:
    case FLV_WIRE_OFFSET_OUT_OF_RANGE:
    case FLV_WIRE_OFFSET_EVICTED:
        return FLV_E_INVALID;
    case FLV_WIRE_STORAGE_ERROR:
        return FLV_E_IO;
    default:
        return FLV_E_REFUSED;
    }
}

flv_rc flv_wire_error_raise(const struct flv_wire_error *e, struct flv_err *err)
{
    char text[FLV_ERR_TEXT_MAX];
    flv_rc rc = rc_of(e->code);

    assert(e->code != FLV_WIRE_NONE);
    flv_wire_error_describe(e, text, sizeof(text));
    rc = flv_fail(err, rc, "%s", text);
    if (err != NULL) {
        err->wire = e->code;
    }
    return rc;
}
