#include "wire/classic.h"

#include "wire/sc.h"
#include "wire/tables.h"

#include <assert.h>
#include <string.h>

/* A label without the length behind it. */
struct flv_wire_classic_label {
    struct flv_slice label;
};

/* clang-format off */
#define T struct flv_wire_classic_label
static const struct flv_wire_field classic_label[] = {
    FLV_WIRE_F(T, label, STR, FLV_WIRE_EVER),
};
static FLV_WIRE_TABLE(classic_label, classic_label);
#undef T
/* clang-format on */

/* By the number that create has for them; those that we do not know have no
 * name here and are told so. */
static const char *type_label(uint8_t type)
{
    static const char *const labels[] = {"Topic",       "CustomSpu",
                                         "SpuGroup",    "ManagedConnector",
                                         "SmartModule", "TableFormat"};
    return type < FLV_WIRE_COUNT(labels) ? labels[type] : "DerivedStream";
}

static flv_rc open_create(int16_t version,
                          struct flv_slice in,
                          struct flv_arena *arena,
                          struct flv_wire_envelope *out,
                          struct flv_err *err)
{
    struct flv_wire_create_common common;
    struct flv_slice rest = in;
    flv_rc rc =
        flv_wire_create_common_decode(version, &rest, arena, &common, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (rest.len == 0) {
        return flv_fail(err, FLV_E_PROTOCOL, "a create request without a type");
    }
    size_t head = in.len - rest.len;
    uint8_t *body = FLV_ARENA_NEW(arena, uint8_t, in.len);
    if (body == NULL) {
        return flv_fail(err, flv_arena_full(arena) ? FLV_E_LIMIT : FLV_E_NOMEM,
                        "no room for a create request of %zu bytes", in.len);
    }
    memcpy(body, in.data, head);
    memcpy(body + head, rest.data + 1, rest.len - 1);
    out->label = flv_slice_str(type_label(rest.data[0]));
    out->body = flv_slice(body, in.len - 1);
    return FLV_OK;
}

flv_rc flv_wire_classic_open(uint16_t api,
                             int16_t version,
                             struct flv_slice in,
                             struct flv_arena *arena,
                             struct flv_wire_envelope *out,
                             struct flv_err *err)
{
    assert(flv_wire_is_classic(version));
    if (api == FLV_API_SC_CREATE) {
        return open_create(version, in, arena, out, err);
    }
    struct flv_wire_classic_label label;
    flv_rc rc = flv_wire_decode(&flv_wire_classic_label_schema, version, &in,
                                arena, &label, err);
    if (rc == FLV_OK) {
        *out = (struct flv_wire_envelope){.label = label.label, .body = in};
    }
    return rc;
}

flv_rc flv_wire_classic_frame(const struct flv_wire_request_header *answered,
                              const struct flv_wire_message *message,
                              struct flv_buf *out,
                              struct flv_err *err)
{
    const struct flv_wire_classic_label label = {
        .label = flv_slice_str(message->label)};
    const struct flv_wire_message front = {
        .schema = &flv_wire_classic_label_schema, .body = &label};
    size_t start = out->len;
    flv_rc rc = flv_wire_response_frame(answered, &front, out, NULL, err);
    if (rc == FLV_OK) {
        rc = flv_wire_encode(message->schema, answered->version, message->body,
                             out, NULL, err);
    }
    size_t size = out->len - start;
    if (rc == FLV_OK && size > INT32_MAX) {
        rc = flv_fail(err, FLV_E_LIMIT, "frame of %zu bytes", size);
    }
    if (rc != FLV_OK) {
        out->len = start;
        return rc;
    }
    flv_put_u32(out->data + start, (uint32_t)(size - FLV_WIRE_PREFIX_SIZE));
    return FLV_OK;
}
