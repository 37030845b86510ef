/* fuzz-libs: flv_wire */
/* Metadata requests in the framing before version 11, as a server reads them:
 * one byte for the request (0: create, else list), then its body. A create
 * request that is read is one byte shorter, and its head is unchanged. */
#include <stdlib.h>
#include <string.h>

#include "wire/classic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_arena arena;
    struct flv_wire_envelope e;
    struct flv_slice in;
    uint16_t api;

    if (size == 0) {
        return 0;
    }
    api = data[0] == 0 ? FLV_API_SC_CREATE : FLV_API_SC_LIST;
    in = flv_slice(data + 1, size - 1);
    flv_arena_init(&arena, 1024, 1 << 20);
    if (flv_wire_classic_open(api, 10, in, &arena, &e, NULL) == FLV_OK) {
        size_t less = api == FLV_API_SC_CREATE ? 1 : 2 + e.label.len;
        check(e.body.len == in.len - less);
        check(e.label.len > 0 || api == FLV_API_SC_LIST);
        if (api == FLV_API_SC_CREATE && e.body.len > 2) {
            check(memcmp(e.body.data, in.data, 2) == 0);
        }
    }
    flv_arena_deinit(&arena);
    return 0;
}
