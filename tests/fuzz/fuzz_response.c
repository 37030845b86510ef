/* fuzz-libs: flv_wire */
/* Responses as a client reads them: server (0: SC, else SPU), api key (2
 * bytes), version (1 byte), then a frame without its length prefix. */
#include <stdlib.h>
#include <string.h>

#include "wire/schemas.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Read, written, read, written: the two written forms are the same. */
static void round_trip(const struct flv_wire_schema *schema,
                       int16_t version,
                       struct flv_slice in)
{
    _Alignas(16) uint8_t a[1024], b[1024];
    struct flv_arena arena;
    struct flv_buf first, second;
    struct flv_slice again;

    check(schema->size <= sizeof(a));
    flv_arena_init(&arena, 4096, 1 << 22);
    flv_buf_init(&first, 1 << 22);
    flv_buf_init(&second, 1 << 22);
    if (flv_wire_decode(schema, version, &in, &arena, a, NULL) == FLV_OK) {
        check(flv_wire_encode(schema, version, a, &first, NULL, NULL) ==
              FLV_OK);
        again = flv_buf_slice(&first);
        check(flv_wire_decode(schema, version, &again, &arena, b, NULL) ==
              FLV_OK);
        check(again.len == 0);
        check(flv_wire_encode(schema, version, b, &second, NULL, NULL) ==
              FLV_OK);
        check(flv_slice_eq(flv_buf_slice(&first), flv_buf_slice(&second)));
        flv_buf_reset(&first);
        check(flv_wire_dump(schema, version, a, &first) != FLV_E_INVALID);
    }
    flv_buf_deinit(&first);
    flv_buf_deinit(&second);
    flv_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_wire_response_header header;
    struct flv_wire_envelope e = {0};
    const struct flv_wire_schema *schema;
    enum flv_wire_side side;
    struct flv_arena arena;
    struct flv_slice in;
    int16_t version;
    uint16_t api;
    bool ok;

    if (size < 4) {
        return 0;
    }
    side = data[0] == 0 ? FLV_WIRE_SC : FLV_WIRE_SPU;
    api = flv_get_u16(data + 1);
    version = (int16_t)(data[3] % 32);
    in = flv_slice(data + 4, size - 4);
    flv_arena_init(&arena, 4096, 1 << 20);
    ok = flv_wire_response_header_decode(0, &in, &arena, &header, NULL) ==
         FLV_OK;
    if (ok && flv_wire_response_wrapped(side, api)) {
        ok = flv_wire_envelope_decode(version, &in, &arena, &e, NULL) == FLV_OK;
        in = e.body;
    }
    schema = flv_wire_response_schema(side, api, e.label);
    if (ok && schema != NULL) {
        round_trip(schema, version, in);
    }
    flv_arena_deinit(&arena);
    return 0;
}
