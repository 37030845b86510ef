/* fuzz-libs: flv_cli */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/unix_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cli_http_head head = {.status = 0};
    struct flv_err err = {0};
    flv_rc rc = cli_http_head(flv_slice(data, size), &head, &err);
    assert(rc == FLV_OK || rc == FLV_E_BUSY || rc == FLV_E_PROTOCOL);
    assert((rc == FLV_E_PROTOCOL) == (err.text[0] != '\0'));
    if (rc == FLV_OK) {
        assert(head.bytes >= 4 && head.bytes <= size);
        assert(head.status >= 100 && head.status <= 999);
    }
    return 0;
}
