/* fuzz-libs: flv_smartmodule flv_wire */
/* fuzz_sm_output.c - what a SmartModule leaves in its memory: every record
 * that is read lies within the bytes, and a section that was taken can be
 * walked again. The first byte says whether it is an aggregate's. */
#include "smartmodule/codec.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct flv_slice part, struct flv_slice whole)
{
    if (part.len > 0) {
        assert(part.data >= whole.data);
        assert(part.len <= whole.len - (size_t)(part.data - whole.data));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv__sm_records records = {.base_timestamp_ms = 1};
    struct flv_slice bytes, rest;
    struct flv__sm_output out;
    struct flv__sm_walk walk;
    struct flv_err err = {0};

    if (size == 0) {
        return 0;
    }
    bytes = flv_slice(data + 1, size - 1);
    check_inside(flv__sm_hint_get(bytes), bytes);
    if (flv__sm_output_get(bytes, data[0] & 1, &records, &out, &err) ==
        FLV_OK) {
        assert(records.len == out.walk.count);
        for (size_t i = 0; i < records.len; i++) {
            check_inside(records.at[i].key, bytes);
            check_inside(records.at[i].value, bytes);
        }
        check_inside(out.hint, bytes);
        check_inside(out.accumulator, bytes);
        rest = out.section;
        flv_rc rc = flv__sm_walk(&rest, NULL, &walk, &err);
        assert(rc == FLV_OK && rest.len == 0);
        (void)rc;
    } else {
        assert(records.len == 0 && err.text[0] != '\0');
    }
    flv__sm_records_deinit(&records);
    return 0;
}
