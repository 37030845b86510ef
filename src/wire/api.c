#include "wire/api.h"
#include "wire/ext.h"
#include "wire/tables.h"
#include <assert.h>

#define ALL FLV_WIRE_EVER
#define FROM FLV_WIRE_FROM
#define F FLV_WIRE_F
#define S FLV_WIRE_S
#define VS FLV_WIRE_VS

/* clang-format off */
#define T struct flv_wire_request_header
static const struct flv_wire_field request_header[] = {
    F(T, api_key, U16, ALL),
    F(T, version, I16, ALL),
    F(T, correlation, I32, ALL),
    F(T, client_id, STR, ALL),
};
FLV_WIRE_TABLE(request_header, request_header);
#undef T

#define T struct flv_wire_response_header
static const struct flv_wire_field response_header[] = {
    F(T, correlation, I32, ALL),
};
FLV_WIRE_TABLE(response_header, response_header);
#undef T

#define T struct flv_wire_api_versions_request
static const struct flv_wire_field api_versions_request[] = {
    F(T, client_version, STR, FROM(1)),
    F(T, client_os, STR, FROM(1)),
    F(T, client_arch, STR, FROM(1)),
};
FLV_WIRE_TABLE(api_versions_request, api_versions_request);
#undef T

#define T struct flv_wire_api_range
static const struct flv_wire_field api_range[] = {
    F(T, api_key, I16, ALL),
    F(T, min, I16, ALL),
    F(T, max, I16, ALL),
};
static FLV_WIRE_TABLE(api_range, api_range);
#undef T

#define T struct flv_wire_api_versions_response
static const struct flv_wire_field api_versions_response[] = {
    S(T, error, error, ALL),
    VS(T, apis, api_range, ALL),
    F(T, platform_version, STR, ALL),
};
FLV_WIRE_TABLE(api_versions_response, api_versions_response);
#undef T

#define T struct flv_wire_envelope
static const struct flv_wire_field envelope[] = {
    F(T, label, STR, ALL),
    F(T, body, BYTES, ALL),
};
FLV_WIRE_TABLE(envelope, envelope);
#undef T
/* clang-format on */

/* --- versions
 * ----------------------------------------------------------------- */

/* Lower minimums than Fluvio's own admit its older clients: those before
 * v0.11.11 cannot connect where List and Watch begin at 15. */
static const struct flv_wire_api_range sc_apis[] = {
    {FLV_API_SC_CREATE, FLV_WIRE_SC_CLASSIC, FLV_WIRE_SC_MAX},
    {FLV_API_SC_DELETE, FLV_WIRE_SC_CLASSIC, FLV_WIRE_SC_MAX},
    {FLV_API_SC_LIST, FLV_WIRE_SC_CLASSIC, FLV_WIRE_SC_MAX},
    {FLV_API_SC_WATCH, FLV_WIRE_SC_CLASSIC, FLV_WIRE_SC_MAX},
    {FLV_API_SC_MIRRORING, 14, FLV_WIRE_SC_MAX}, /* answered with an error */
    {FLV_API_SC_UPDATE, FLV_WIRE_SC_MIN, FLV_WIRE_SC_MAX},
};

static const struct flv_wire_api_range spu_apis[] = {
    {FLV_API_SPU_PRODUCE, 0, FLV_WIRE_SPU_MAX},
    {FLV_API_SPU_FETCH, 0, FLV_WIRE_SPU_MAX},
    {FLV_API_SPU_FETCH_OFFSETS, 0, FLV_WIRE_SPU_MAX},
    {FLV_API_SPU_STREAM_FETCH, 0, FLV_WIRE_SPU_MAX},
    {FLV_API_SPU_UPDATE_OFFSETS, 0, 0},
    {FLV_API_SPU_UPDATE_CONSUMER_OFFSET, 23, FLV_WIRE_SPU_MAX},
    {FLV_API_SPU_DELETE_CONSUMER_OFFSET, 23, FLV_WIRE_SPU_MAX},
    {FLV_API_SPU_FETCH_CONSUMER_OFFSETS, 23, FLV_WIRE_SPU_MAX},
};

/* What a client that does not name its version can read of StreamFetch. */
enum { STREAM_FETCH_ANONYMOUS_MAX = 15 };

const struct flv_wire_api_range *flv_wire_apis(enum flv_wire_side side,
                                               size_t *len)
{
    assert(side == FLV_WIRE_SC || side == FLV_WIRE_SPU);
    *len = side == FLV_WIRE_SC ? FLV_WIRE_COUNT(sc_apis)
                               : FLV_WIRE_COUNT(spu_apis);
    return side == FLV_WIRE_SC ? sc_apis : spu_apis;
}

flv_rc
flv_wire_api_versions_answer(enum flv_wire_side side,
                             const struct flv_wire_api_versions_request *req,
                             struct flv_arena *arena,
                             struct flv_wire_api_versions_response *out,
                             struct flv_err *err)
{
    size_t len;
    const struct flv_wire_api_range *apis = flv_wire_apis(side, &len);
    struct flv_wire_api_range *copy =
        FLV_ARENA_NEW(arena, struct flv_wire_api_range, len);

    if (copy == NULL) {
        return flv_fail(err, flv_arena_full(arena) ? FLV_E_LIMIT : FLV_E_NOMEM,
                        "no room for the list of versions");
    }
    memcpy(copy, apis, len * sizeof(*apis));
    for (size_t i = 0; i < len; i++) {
        if (side == FLV_WIRE_SPU && req->client_version.len == 0 &&
            copy[i].api_key == FLV_API_SPU_STREAM_FETCH) {
            copy[i].max = STREAM_FETCH_ANONYMOUS_MAX;
        }
    }
    memset(out, 0, sizeof(*out));
    out->apis.at = copy;
    out->apis.len = (uint32_t)len;
    out->platform_version = flv_slice_str(FLV_PLATFORM_VERSION);
    return FLV_OK;
}

static const struct flv_wire_api_range *find_api(enum flv_wire_side side,
                                                 uint16_t api)
{
    size_t len;
    const struct flv_wire_api_range *apis = flv_wire_apis(side, &len);

    for (size_t i = 0; i < len; i++) {
        if (apis[i].api_key == api) {
            return &apis[i];
        }
    }
    for (size_t i = 0; side == FLV_WIRE_SC && i < FLV_WIRE_EXT_COUNT; i++) {
        if (flv_wire_ext_ranges[i].api_key == api) {
            return &flv_wire_ext_ranges[i];
        }
    }
    return NULL;
}

bool flv_wire_api_served(enum flv_wire_side side, uint16_t api, int16_t version)
{
    const struct flv_wire_api_range *own = find_api(side, api);

    if (api == FLV_API_VERSIONS) {
        return version >= 0 && version <= FLV_WIRE_API_VERSIONS_MAX;
    }
    return own != NULL && version >= own->min && version <= own->max;
}

/* What our client speaks: not the framing of old. */
static int16_t lowest(enum flv_wire_side side,
                      const struct flv_wire_api_range *own)
{
    return side == FLV_WIRE_SC && own->min < FLV_WIRE_SC_MIN ? FLV_WIRE_SC_MIN
                                                             : own->min;
}

flv_rc flv_wire_api_pick(enum flv_wire_side side,
                         uint16_t api,
                         const struct flv_wire_api_versions_response *server,
                         int16_t *version,
                         struct flv_err *err)
{
    const struct flv_wire_api_range *own = find_api(side, api);
    const struct flv_wire_api_range *theirs = NULL;

    assert(own != NULL);
    for (uint32_t i = 0; i < server->apis.len && theirs == NULL; i++) {
        if (server->apis.at[i].api_key == own->api_key) {
            theirs = &server->apis.at[i];
        }
    }
    if (theirs != NULL && theirs->max >= lowest(side, own) &&
        theirs->min <= own->max) {
        *version = theirs->max < own->max ? theirs->max : own->max;
        return FLV_OK;
    }
    if (theirs == NULL && side == FLV_WIRE_SPU) {
        *version = own->max;
        return FLV_OK;
    }
    if (theirs == NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED, "the server does not offer %s",
                        flv_wire_api_name(side, api));
    }
    return flv_fail(err, FLV_E_UNSUPPORTED,
                    "the server offers %s in versions %d to %d, this client "
                    "speaks %d to %d",
                    flv_wire_api_name(side, api), theirs->min, theirs->max,
                    lowest(side, own), own->max);
}

const char *flv_wire_api_name(enum flv_wire_side side, uint16_t api)
{
    static const struct {
        uint16_t key;
        const char *name[2];
    } names[] = {
        {FLV_API_VERSIONS, {"api_versions", "api_versions"}},
        {0, {NULL, "produce"}},
        {1, {NULL, "fetch"}},
        {1001, {"create", NULL}},
        {1002, {"delete", "fetch_offsets"}},
        {1003, {"list", "stream_fetch"}},
        {1004, {"watch", NULL}},
        {1005, {"mirroring", "update_offsets"}},
        {1006, {"update", "update_consumer_offset"}},
        {FLV_API_SC_TOPIC_CREATE_EXT, {"topic_create_ext", NULL}},
        {FLV_API_SC_TOPIC_LOOK, {"topic_look", NULL}},
        {FLV_API_SC_POSITION_STORE, {"position_store", NULL}},
        {1007, {NULL, "delete_consumer_offset"}},
        {1008, {NULL, "fetch_consumer_offsets"}},
    };

    assert(side == FLV_WIRE_SC || side == FLV_WIRE_SPU);
    for (size_t i = 0; i < FLV_WIRE_COUNT(names); i++) {
        if (names[i].key == api && names[i].name[side] != NULL) {
            return names[i].name[side];
        }
    }
    return "unknown";
}

/* --- semantic versions
 * ----------------------------------------------------------- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '-';
}

/* A number without leading zeros. */
static bool eat_number(struct flv_slice *s)
{
    size_t n = 0;

    while (n < s->len && is_digit(s->data[n])) {
        n++;
    }
    if (n == 0 || n > 19 || (n > 1 && s->data[0] == '0')) {
        return false;
    }
    *s = flv_slice(s->data + n, s->len - n);
    return true;
}

static bool eat_char(struct flv_slice *s, char c)
{
    if (s->len == 0 || s->data[0] != (uint8_t)c) {
        return false;
    }
    *s = flv_slice(s->data + 1, s->len - 1);
    return true;
}

/* Words separated by dots. */
static bool eat_words(struct flv_slice *s, bool numbers_strict)
{
    do {
        size_t n = 0;
        bool digits = true;

        while (n < s->len && is_word(s->data[n])) {
            digits = digits && is_digit(s->data[n]);
            n++;
        }
        if (n == 0 ||
            (numbers_strict && digits && n > 1 && s->data[0] == '0')) {
            return false;
        }
        *s = flv_slice(s->data + n, s->len - n);
    } while (eat_char(s, '.'));
    return true;
}

bool flv_wire_semver_ok(struct flv_slice text)
{
    struct flv_slice s = text;

    if (!eat_number(&s) || !eat_char(&s, '.') || !eat_number(&s) ||
        !eat_char(&s, '.') || !eat_number(&s)) {
        return false;
    }
    if (eat_char(&s, '-') && !eat_words(&s, true)) {
        return false;
    }
    if (eat_char(&s, '+') && !eat_words(&s, false)) {
        return false;
    }
    return s.len == 0;
}

/* --- objects
 * -------------------------------------------------------------------- */

static const char *const labels[FLV_WIRE_OBJECT_COUNT] = {
    [FLV_WIRE_TOPIC] = "Topic",
    [FLV_WIRE_PARTITION] = "Partition",
    [FLV_WIRE_SPU_OBJECT] = "SPU",
    [FLV_WIRE_CUSTOM_SPU] = "CustomSpu",
    [FLV_WIRE_SPU_GROUP] = "SpuGroup",
    [FLV_WIRE_SMARTMODULE] = "SmartModule",
    [FLV_WIRE_TABLE_FORMAT] = "TableFormat",
    [FLV_WIRE_MIRROR] = "Mirror",
};

const char *flv_wire_object_label(enum flv_wire_object object)
{
    assert((unsigned)object < FLV_WIRE_OBJECT_COUNT);
    return labels[object];
}

bool flv_wire_object_of(struct flv_slice label, enum flv_wire_object *object)
{
    for (unsigned i = 0; i < FLV_WIRE_OBJECT_COUNT; i++) {
        if (flv_slice_eq_str(label, labels[i])) {
            *object = (enum flv_wire_object)i;
            return true;
        }
    }
    return false;
}

/* --- frames
 * --------------------------------------------------------------------- */

static flv_rc no_room(const struct flv_buf *out, flv_rc rc, struct flv_err *err)
{
    return flv_fail(err, rc,
                    "no room for a frame behind %zu bytes, ceiling %zu",
                    out->len, out->max);
}

/* Label, length and body; the length is known only afterwards. */
static flv_rc add_body(const struct flv_wire_message *m,
                       int16_t version,
                       struct flv_buf *out,
                       struct flv_wire_cuts *cuts,
                       struct flv_err *err)
{
    size_t label_len = m->label != NULL ? strlen(m->label) : 0;
    size_t cut_bytes = cuts != NULL ? cuts->size_bytes : 0;
    size_t start, size;
    flv_rc rc;

    if (m->label == NULL) {
        return flv_wire_encode(m->schema, version, m->body, out, cuts, err);
    }
    assert(label_len <= FLV_WIRE_STR_MAX);
    rc = flv_buf_reserve(out, 2 + label_len + 4);
    if (rc != FLV_OK) {
        return no_room(out, rc, err);
    }
    flv_put_u16(out->data + out->len, (uint16_t)label_len);
    memcpy(out->data + out->len + 2, m->label, label_len);
    out->len += 2 + label_len + 4;
    start = out->len;
    rc = flv_wire_encode(m->schema, version, m->body, out, cuts, err);
    if (rc != FLV_OK) {
        return rc;
    }
    size = out->len - start + (cuts != NULL ? cuts->size_bytes - cut_bytes : 0);
    if (size > INT32_MAX) {
        return flv_fail(err, FLV_E_LIMIT, "%s of %zu bytes", m->schema->name,
                        size);
    }
    flv_put_u32(out->data + start - 4, (uint32_t)size);
    return FLV_OK;
}

struct head {
    const struct flv_wire_schema *schema;
    const void *body;
    int16_t version; /* of the message */
};

static flv_rc add_frame(const struct head *head,
                        const struct flv_wire_message *message,
                        struct flv_buf *out,
                        struct flv_wire_cuts *cuts,
                        struct flv_err *err)
{
    size_t start = out->len, size;
    size_t ncuts = cuts != NULL ? cuts->len : 0;
    size_t cut_bytes = cuts != NULL ? cuts->size_bytes : 0;
    flv_rc rc = flv_buf_add_u32(out, 0);

    if (rc != FLV_OK) {
        return no_room(out, rc, err);
    }
    rc = flv_wire_encode(head->schema, 0, head->body, out, NULL, err);
    if (rc == FLV_OK) {
        rc = add_body(message, head->version, out, cuts, err);
    }
    if (rc == FLV_OK) {
        size = out->len - start - FLV_WIRE_PREFIX_SIZE;
        size += cuts != NULL ? cuts->size_bytes - cut_bytes : 0;
        if (size <= INT32_MAX) {
            flv_put_u32(out->data + start, (uint32_t)size);
            return FLV_OK;
        }
        rc = flv_fail(err, FLV_E_LIMIT, "frame of %zu bytes", size);
    }
    out->len = start;
    if (cuts != NULL) {
        cuts->len = ncuts;
        cuts->size_bytes = cut_bytes;
    }
    return rc;
}

flv_rc flv_wire_request_frame(const struct flv_wire_request_header *header,
                              const struct flv_wire_message *message,
                              struct flv_buf *out,
                              struct flv_wire_cuts *cuts,
                              struct flv_err *err)
{
    struct head head = {&flv_wire_request_header_schema, header,
                        header->version};

    return add_frame(&head, message, out, cuts, err);
}

flv_rc flv_wire_response_frame(const struct flv_wire_request_header *answered,
                               const struct flv_wire_message *message,
                               struct flv_buf *out,
                               struct flv_wire_cuts *cuts,
                               struct flv_err *err)
{
    struct flv_wire_response_header header = {answered->correlation};
    struct head head = {&flv_wire_response_header_schema, &header,
                        answered->version};

    return add_frame(&head, message, out, cuts, err);
}
