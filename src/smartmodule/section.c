#include "smartmodule/section.h"

#include "wire/record.h"

flv_rc flv_sm_section_add(struct flv_buf *b,
                          bool has_key,
                          struct flv_slice key,
                          struct flv_slice value,
                          int64_t ts_delta)
{
    size_t before = b->len;
    flv_rc rc = FLV_OK;
    if (b->len == 0) {
        rc = flv_buf_add_u32(b, 0);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    uint32_t count = flv_get_u32(b->data);
    const struct flv_wire_record r = {.ts_delta = ts_delta,
                                      .offset_delta = (int64_t)count,
                                      .has_key = has_key,
                                      .key = key,
                                      .value = value};
    rc = flv_wire_record_put(b, &r);
    if (rc != FLV_OK) {
        b->len = before;
        return rc;
    }
    flv_put_u32(b->data, count + 1);
    return FLV_OK;
}
