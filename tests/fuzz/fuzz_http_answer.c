/* fuzz-libs: flv_connect_http-sink */
/* What an endpoint answers to http-sink: status, Retry-After, the first words
 * of the body. */
#include "../../connectors/http-sink/http_sink.h"

#include <assert.h>

#define NOW_MS INT64_C(1700000000000)
#define WAIT_MAX_MS UINT64_C(300000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char after[256];
    uint64_t wait_ms = 0;
    struct flv_err err = {0};
    if (size < 3) {
        return 0;
    }
    size_t len = data[2] < size - 3 ? data[2] : size - 3;
    for (size_t i = 0; i < len; i++) {
        after[i] = data[3 + i] != 0 ? (char)data[3 + i] : ' ';
    }
    after[len] = '\0';
    const struct flv_http_header header = {"retry-after", after};
    struct flv_http_response a = {.status = (unsigned)(data[0] * 4 + data[1]),
                                  .reason = after,
                                  .headers = &header,
                                  .header_count = 1};
    flv_buf_init(&a.body, size + 1);
    assert(flv_buf_add(&a.body, data + 3 + len, size - 3 - len) == FLV_OK);
    enum http_sink_outcome o =
        http_sink_judge(&a, "http://x", NOW_MS, WAIT_MAX_MS, &wait_ms, &err);
    assert(wait_ms <= WAIT_MAX_MS);
    assert((o == HTTP_SINK_DELIVERED) == (err.rc == FLV_OK));
    assert((o == HTTP_SINK_DELIVERED) == (a.status / 100 == 2));
    flv_buf_deinit(&a.body);
    return 0;
}
