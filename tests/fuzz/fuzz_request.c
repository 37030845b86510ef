/* fuzz-libs: flv_wire */
/* Requests as a server reads them: one byte for the server (0: SC, else SPU),
 * then a frame without its length prefix. What is read can be written; the
 * written form reads back to itself, whole or in parts. */
#include <stdlib.h>
#include <string.h>

#include "wire/schemas.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct request {
    struct flv_wire_request_header header;
    struct flv_slice label;
    const struct flv_wire_schema *schema;
    _Alignas(16) uint8_t body[1024];
};

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static bool read_request(enum flv_wire_side side,
                         struct flv_slice in,
                         struct flv_arena *arena,
                         struct request *r)
{
    struct flv_wire_envelope e = {0};

    if (flv_wire_request_header_decode(0, &in, arena, &r->header, NULL) !=
        FLV_OK) {
        return false;
    }
    if (flv_wire_request_wrapped(side, r->header.api_key)) {
        if (flv_wire_envelope_decode(r->header.version, &in, arena, &e, NULL) !=
            FLV_OK) {
            return false;
        }
        in = e.body;
    }
    r->label = e.label;
    r->schema = flv_wire_request_schema(side, r->header.api_key, e.label);
    if (r->schema == NULL) {
        return false;
    }
    check(r->schema->size <= sizeof(r->body));
    return flv_wire_decode(r->schema, r->header.version, &in, arena, r->body,
                           NULL) == FLV_OK;
}

static void write_request(const struct request *r,
                          struct flv_buf *out,
                          struct flv_wire_cuts *cuts)
{
    char label[32] = "";
    struct flv_wire_message m = {.schema = r->schema, .body = r->body};

    if (r->label.len > 0) {
        check(r->label.len < sizeof(label));
        memcpy(label, r->label.data, r->label.len);
        m.label = label;
    }
    check(flv_wire_request_frame(&r->header, &m, out, cuts, NULL) == FLV_OK);
}

static void check_parts(const struct request *r, const struct flv_buf *whole)
{
    struct flv_wire_cut at[8];
    struct flv_wire_cuts cuts = {.at = at, .max = 8, .min_bytes = 1};
    struct flv_slice parts[17];
    struct flv_buf out;
    size_t pos = 0, n;

    flv_buf_init(&out, 1 << 22);
    write_request(r, &out, &cuts);
    n = flv_wire_parts(&out, 0, &cuts, parts, 17);
    for (size_t i = 0; i < n; i++) {
        check(parts[i].len <= whole->len - pos);
        check(memcmp(whole->data + pos, parts[i].data, parts[i].len) == 0);
        pos += parts[i].len;
    }
    check(pos == whole->len);
    flv_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum flv_wire_side side;
    struct request a, b;
    struct flv_arena arena;
    struct flv_buf first, second;

    if (size < 1) {
        return 0;
    }
    side = data[0] == 0 ? FLV_WIRE_SC : FLV_WIRE_SPU;
    flv_arena_init(&arena, 4096, 1 << 22);
    flv_buf_init(&first, 1 << 22);
    flv_buf_init(&second, 1 << 22);
    if (read_request(side, flv_slice(data + 1, size - 1), &arena, &a)) {
        check(flv_wire_dump(a.schema, a.header.version, a.body, &first) !=
              FLV_E_INVALID);
        flv_buf_reset(&first);
        write_request(&a, &first, NULL);
        check(read_request(side, flv_slice(first.data + 4, first.len - 4),
                           &arena, &b));
        write_request(&b, &second, NULL);
        check(flv_slice_eq(flv_buf_slice(&first), flv_buf_slice(&second)));
        check_parts(&a, &first);
    }
    flv_buf_deinit(&first);
    flv_buf_deinit(&second);
    flv_arena_deinit(&arena);
    return 0;
}
