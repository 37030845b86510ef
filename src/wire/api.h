/*
 * api.h - frames, headers, version negotiation.
 *
 * Purpose    What every message of both servers has around it: the length
 *            prefix, the request and response header, the envelope of
 *            metadata objects, and the choice of a version.
 * Threads    Constant tables; values belong to the caller.
 * Ownership  As in codec.h.
 * Errors     As in codec.h.
 * See        sc.h and spu.h for the messages, docs/format/wire.md
 */
#ifndef FLV_WIRE_API_H
#define FLV_WIRE_API_H

#include "wire/codec.h"
#include "wire/error.h"

/* The version of the platform that we speak the protocol of. */
#define FLV_PLATFORM_VERSION "0.18.1"

/* Frames: what is after the length prefix. Batches of 32 MiB and a header. */
#define FLV_WIRE_FRAME_MAX (32 * 1024 * 1024 + 64 * 1024)
#define FLV_WIRE_PREFIX_SIZE 4

enum flv_wire_api {
    FLV_API_VERSIONS = 18, /* both servers */
    FLV_API_SC_CREATE = 1001,
    FLV_API_SC_DELETE = 1002,
    FLV_API_SC_LIST = 1003,
    FLV_API_SC_WATCH = 1004,
    FLV_API_SC_MIRRORING = 1005,
    FLV_API_SC_UPDATE = 1006,
    FLV_API_SPU_PRODUCE = 0,
    FLV_API_SPU_FETCH = 1,
    FLV_API_SPU_FETCH_OFFSETS = 1002,
    FLV_API_SPU_STREAM_FETCH = 1003,
    FLV_API_SPU_UPDATE_OFFSETS = 1005,
    FLV_API_SPU_UPDATE_CONSUMER_OFFSET = 1006,
    FLV_API_SPU_DELETE_CONSUMER_OFFSET = 1007,
    FLV_API_SPU_FETCH_CONSUMER_OFFSETS = 1008,
};

/* Newest versions that we speak; older ones from FLV_WIRE_SC_MIN. Servers also
 * take FLV_WIRE_SC_CLASSIC, in a framing of its own: classic.h. */
#define FLV_WIRE_SC_CLASSIC 10
#define FLV_WIRE_SC_MIN 11
#define FLV_WIRE_SC_MAX 19
#define FLV_WIRE_SPU_MAX 25
#define FLV_WIRE_API_VERSIONS_MAX 2

struct flv_wire_request_header {
    uint16_t api_key;
    int16_t version;
    int32_t correlation;
    struct flv_slice client_id;
};
FLV_WIRE_MESSAGE(request_header) /* version is ignored; pass 0 */

struct flv_wire_response_header {
    int32_t correlation;
};
FLV_WIRE_MESSAGE(response_header)

struct flv_wire_api_versions_request {
    struct flv_slice client_version, client_os, client_arch; /* from 1 on */
};
FLV_WIRE_MESSAGE(api_versions_request)

struct flv_wire_api_range {
    int16_t api_key, min, max;
};

struct flv_wire_api_versions_response {
    struct flv_wire_error error;
    FLV_VEC(struct flv_wire_api_range) apis;
    struct flv_slice platform_version; /* a semantic version */
};
FLV_WIRE_MESSAGE(api_versions_response)

/* What our servers advertise; `len` receives the count. An SPU tells a
 * client that names no version (client_version empty) StreamFetch up to 15,
 * see flv_wire_api_versions_answer. */
const struct flv_wire_api_range *flv_wire_apis(enum flv_wire_side side,
                                               size_t *len);
/* Fills a whole answer; its vector lives in the arena. */
FLV_CHECKED flv_rc
flv_wire_api_versions_answer(enum flv_wire_side side,
                             const struct flv_wire_api_versions_request *req,
                             struct flv_arena *arena,
                             struct flv_wire_api_versions_response *out,
                             struct flv_err *err);

/* Whether our server of this side takes the api at that version: the
 * advertised ones, and what clients send without asking. */
bool flv_wire_api_served(enum flv_wire_side side,
                         uint16_t api,
                         int16_t version);

/* The version with which our client sends `api` to that server; FLV_E_
 * UNSUPPORTED when there is none. On the SPU, apis that servers never list
 * are sent at our newest version. */
FLV_CHECKED flv_rc
flv_wire_api_pick(enum flv_wire_side side,
                  uint16_t api,
                  const struct flv_wire_api_versions_response *server,
                  int16_t *version,
                  struct flv_err *err);

/* True for MAJOR.MINOR.PATCH with optional -pre and +build. */
bool flv_wire_semver_ok(struct flv_slice text);

/* "produce", "create", ...; "unknown" for an unknown key. */
const char *flv_wire_api_name(enum flv_wire_side side, uint16_t api);

/* --- the envelope of metadata objects ----------------------------------- */

enum flv_wire_object {
    FLV_WIRE_TOPIC,
    FLV_WIRE_PARTITION,
    FLV_WIRE_SPU_OBJECT,
    FLV_WIRE_CUSTOM_SPU,
    FLV_WIRE_SPU_GROUP,
    FLV_WIRE_SMARTMODULE,
    FLV_WIRE_TABLE_FORMAT,
    FLV_WIRE_MIRROR,
    FLV_WIRE_OBJECT_COUNT
};

struct flv_wire_envelope {
    struct flv_slice label; /* "Topic"; case matters */
    struct flv_slice body;  /* decoded at the same version */
};
FLV_WIRE_MESSAGE(envelope)

const char *flv_wire_object_label(enum flv_wire_object object);
/* False for a label that we do not know. */
bool flv_wire_object_of(struct flv_slice label, enum flv_wire_object *object);

/* --- whole frames -------------------------------------------------------- */

/* What goes behind a header. */
struct flv_wire_message {
    const struct flv_wire_schema *schema; /* e.g. &flv_wire_status_schema */
    const void *body;
    const char *label; /* envelope of metadata objects, or NULL */
};

/* Append length prefix, header and body: one whole frame, cuts counted in.
 * On failure `out` keeps what it had. A response takes correlation and
 * version from the request that it answers. */
FLV_CHECKED flv_rc
flv_wire_request_frame(const struct flv_wire_request_header *header,
                       const struct flv_wire_message *message,
                       struct flv_buf *out,
                       struct flv_wire_cuts *cuts,
                       struct flv_err *err);
FLV_CHECKED flv_rc
flv_wire_response_frame(const struct flv_wire_request_header *answered,
                        const struct flv_wire_message *message,
                        struct flv_buf *out,
                        struct flv_wire_cuts *cuts,
                        struct flv_err *err);

#endif
