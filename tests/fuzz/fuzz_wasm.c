/* fuzz-libs: flv_smartmodule */
/* fuzz_wasm.c - modules as people upload them: what is inspected without an
 * engine stays within its bytes, and is the same when it is looked at again. */
#include "smartmodule/module.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_sm_module_info first, second;
    struct flv_err err = {0};
    flv_rc rc = flv_sm_inspect(flv_slice(data, size), &first, &err);

    if (rc != FLV_OK) {
        assert(err.rc == rc && err.text[0] != '\0');
        return 0;
    }
    assert(first.kind < FLV_SM_KIND_COUNT);
    rc = flv_sm_inspect(flv_slice(data, size), &second, &err);
    assert(rc == FLV_OK && first.kind == second.kind);
    assert(first.has_init == second.has_init &&
           first.has_look_back == second.has_look_back);
    return 0;
}
