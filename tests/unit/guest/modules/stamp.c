/*
 * stamp - the key becomes the offset, the value "TIMESTAMP VALUE".
 *
 * Kind        map
 */
#include <fluvio/smartmodule_text.h>

FLV_MAP(in, out)
{
    struct flv_slice time = flv_format_i64(in->timestamp_ms);
    uint8_t *p = flv_alloc(time.len + 1 + in->value.len);

    __builtin_memcpy(p, time.data, time.len);
    p[time.len] = ' ';
    __builtin_memcpy(p + time.len + 1, in->value.data, in->value.len);
    out->has_key = true;
    out->key = flv_format_i64(in->offset);
    out->value = flv_bytes(p, time.len + 1 + in->value.len);
    return FLV_DONE;
}
