/*
 * moments - the time of a record and its key, each a record of its own.
 *
 * Kind        array_map
 */
#include <fluvio/smartmodule_text.h>

FLV_ARRAY_MAP(in, out)
{
    const struct flv_record time = {.value = flv_format_i64(in->timestamp_ms)};
    const struct flv_record key = {.value = in->has_key ? in->key
                                                        : flv_text("no key")};

    flv_emit(out, &time);
    flv_emit(out, &key);
    return FLV_DONE;
}
