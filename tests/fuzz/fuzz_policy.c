/* fuzz-libs: flv_server */
/*
 * A policy file: any bytes are refused with a sentence or read; asking what
 * was read ends.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "server/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_policy *p = NULL;
    struct flv_err err = {.rc = FLV_OK};
    flv_rc rc = flv_policy_read(&p, flv_slice(data, size), "policy", &err);

    if ((rc == FLV_OK) != (p != NULL) ||
        (rc != FLV_OK && err.text[0] == '\0')) {
        abort();
    }
    if (rc == FLV_OK) {
        struct flv_slice name = flv_slice(data, size < 64 ? size : (size_t)64);

        (void)flv_policy_allows(p, "alice", FLV_RIGHT_PRODUCE, name);
        if (flv_policy_allows(p, NULL, FLV_RIGHT_CONSUME, name)) {
            abort();
        }
        flv_policy_destroy(p);
    }
    return 0;
}
