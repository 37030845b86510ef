/*
 * error.h - the error codes that travel inside messages.
 *
 * Purpose    Codes with their payloads, the texts people see, what an older
 *            client knows, and what a code means to a retry loop.
 * Threads    Constant tables; values belong to the caller.
 * Ownership  Slices in a flv_wire_error borrow.
 * See        docs/format/wire.md
 */
#ifndef FLV_WIRE_ERROR_H
#define FLV_WIRE_ERROR_H

#include "wire/codec.h"

enum flv_wire_code {
    FLV_WIRE_UNKNOWN_SERVER_ERROR = -1,
    FLV_WIRE_NONE = 0,
    FLV_WIRE_OFFSET_OUT_OF_RANGE = 1,
    FLV_WIRE_OTHER = 2, /* text */
    FLV_WIRE_NOT_LEADER_FOR_PARTITION = 6,
    FLV_WIRE_REQUEST_TIMED_OUT = 7, /* timeout_ms, kind */
    FLV_WIRE_MESSAGE_TOO_LARGE = 10,
    FLV_WIRE_PERMISSION_DENIED = 13,
    FLV_WIRE_STORAGE_ERROR = 56,
    FLV_WIRE_INVALID_CREATE_REQUEST = 60,
    FLV_WIRE_INVALID_DELETE_REQUEST = 61,
    FLV_WIRE_OFFSET_EVICTED = 71, /* offset, next_available */
    FLV_WIRE_PARTITION_FULL = 72, /* topic, partition */
    FLV_WIRE_PARTITION_SHORT_CIRCUITED = 73,
    FLV_WIRE_SPU_ERROR = 1000,
    FLV_WIRE_SPU_REGISTRATION_FAILED = 1001,
    FLV_WIRE_SPU_OFFLINE = 1002,
    FLV_WIRE_SPU_NOT_FOUND = 1003,
    FLV_WIRE_SPU_ALREADY_EXISTS = 1004,
    FLV_WIRE_TOPIC_ERROR = 2000,
    FLV_WIRE_TOPIC_NOT_FOUND = 2001,
    FLV_WIRE_TOPIC_ALREADY_EXISTS = 2002,
    FLV_WIRE_TOPIC_PENDING_INITIALIZATION = 2003,
    FLV_WIRE_TOPIC_INVALID_CONFIGURATION = 2004,
    FLV_WIRE_TOPIC_NOT_PROVISIONED = 2005,
    FLV_WIRE_TOPIC_INVALID_NAME = 2006,
    FLV_WIRE_TOPIC_DELETED = 2007,
    FLV_WIRE_TOPIC_INVALID_REPLICA_TYPE = 2008,
    FLV_WIRE_PARTITION_PENDING_INITIALIZATION = 3000,
    FLV_WIRE_PARTITION_NOT_LEADER = 3001,
    FLV_WIRE_FETCH_SESSION_NOT_FOUND = 3002,
    FLV_WIRE_OFFSET_FLUSH_REQUEST_ERROR = 3003, /* text */
    FLV_WIRE_OFFSET_MANAGEMENT_DISABLED = 3004,
    FLV_WIRE_MAX_RETRY_REACHED = 3005,
    FLV_WIRE_CONNECTOR_ERROR = 5000,
    FLV_WIRE_CONNECTOR_NOT_FOUND = 5001,
    FLV_WIRE_CONNECTOR_ALREADY_EXISTS = 5002,
    FLV_WIRE_SMARTMODULE_ERROR = 6000,
    FLV_WIRE_SMARTMODULE_NOT_FOUND = 6001, /* text = name */
    FLV_WIRE_SMARTMODULE_INVALID = 6002,   /* text = error, opt name */
    FLV_WIRE_SMARTMODULE_INVALID_EXPORTS =
        6003,                                  /* text = error, text2 = kind */
    FLV_WIRE_SMARTMODULE_RUNTIME_ERROR = 6004, /* text = hint, record */
    FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR = 6005,      /* text */
    FLV_WIRE_SMARTMODULE_INIT_ERROR = 6006,            /* text = hint */
    FLV_WIRE_SMARTMODULE_LOOKBACK_ERROR = 6007,        /* text */
    FLV_WIRE_SMARTMODULE_MEMORY_LIMIT_EXCEEDED = 6008, /* requested, max */
    FLV_WIRE_TABLE_FORMAT_ERROR = 7000,
    FLV_WIRE_TABLE_FORMAT_NOT_FOUND = 7001,
    FLV_WIRE_TABLE_FORMAT_ALREADY_EXISTS = 7002,
    FLV_WIRE_DERIVED_STREAM_ERROR = 8000,
    FLV_WIRE_DERIVED_STREAM_NOT_FOUND = 8001, /* text */
    FLV_WIRE_DERIVED_STREAM_JOIN_FETCH_ERROR = 8002,
    FLV_WIRE_DERIVED_STREAM_INVALID = 8003, /* text */
    FLV_WIRE_COMPRESSION_ERROR = 9000,
    FLV_WIRE_DEDUPLICATION_NOT_LOADED = 10000,
    FLV_WIRE_DEDUPLICATION_NAME_INVALID = 10001, /* text */
    FLV_WIRE_MIRROR_NOT_FOUND = 11001,
    FLV_WIRE_MIRROR_ALREADY_EXISTS = 11002,
    FLV_WIRE_MIRROR_PRODUCE_FROM_HOME = 11003,
    FLV_WIRE_MIRROR_DELETE_FROM_REMOTE = 11004,
    FLV_WIRE_MIRROR_INVALID_TYPE = 11005,
    FLV_WIRE_MIRROR_PRODUCE_FROM_REMOTE = 11006,
    FLV_WIRE_SYSTEM_SPEC_DELETION_ATTEMPT = 12001, /* text kind, text2 name */
    FLV_WIRE_SYSTEM_SPEC_UPDATING_ATTEMPT = 12002, /* text kind, text2 name */
};

/* Only the members that the comment at a code names are written and read. */
struct flv_wire_error {
    int16_t code; /* enum flv_wire_code; must stay first */
    uint8_t kind; /* 6004: kind of module (0 filter ... 6 generic); 7: 0 */
    struct flv_slice text, text2;
    FLV_OPT(struct flv_slice) name;       /* 6002 */
    uint64_t timeout_ms;                  /* 7 */
    int64_t offset;                       /* 71, 6004 */
    int64_t next_available;               /* 71 */
    struct flv_slice topic;               /* 72 */
    uint32_t partition;                   /* 72 */
    uint64_t requested_bytes, max_bytes;  /* 6008 */
    FLV_OPT(struct flv_slice) record_key; /* 6004 */
    struct flv_slice record_value;        /* 6004 */
};
extern const struct flv_wire_schema flv_wire_error_schema;

static inline struct flv_wire_error flv_wire_error(int16_t code)
{
    return (struct flv_wire_error){.code = code};
}

/* Code with its first text: 2, 3003, 6001, 6005, ...; text is borrowed. */
static inline struct flv_wire_error flv_wire_error_text(int16_t code,
                                                        const char *text)
{
    return (struct flv_wire_error){.code = code, .text = flv_slice_str(text)};
}

/* The words without payload, e.g. "Topic already exists"; never NULL. */
const char *flv_wire_code_text(int16_t code);
/* "topic_already_exists", or NULL for a number that is no code. */
const char *flv_wire_code_name(int16_t code);
/* The words with payload, e.g. "SmartModule a was not found", cut to fit. */
void flv_wire_error_describe(const struct flv_wire_error *e,
                             char *out,
                             size_t size);

enum flv_wire_side {
    FLV_WIRE_SC,  /* metadata service */
    FLV_WIRE_SPU, /* partition service */
};

/* Whether a client that sent a request of this version is sure to know the
 * code: a client that does not loses the whole response. */
bool flv_wire_code_known(int16_t code,
                         enum flv_wire_side side,
                         int16_t version);
/* Turns an unknown code into OTHER with the code's words. */
void flv_wire_error_downgrade(struct flv_wire_error *e,
                              enum flv_wire_side side,
                              int16_t version);

/* For clients: reports a received error. Returns the flv_rc whose class fits
 * (NOT_FOUND, EXISTS, TIMEOUT, ..., else REFUSED) and stores the code in
 * err->wire. e->code must not be NONE. */
flv_rc flv_wire_error_raise(const struct flv_wire_error *e,
                            struct flv_err *err);

#endif
