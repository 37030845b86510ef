/*
 * latest - the value becomes the time of the newest record so far.
 *
 * Kind        aggregate
 */
#include <fluvio/smartmodule_text.h>

FLV_AGGREGATE(before, record, after)
{
    int64_t newest = 0;

    if (before.len > 0 && !flv_parse_i64(before, &newest)) {
        return flv_reject("the time so far is no number");
    }
    *after = flv_format_i64(record->timestamp_ms > newest ? record->timestamp_ms
                                                          : newest);
    return FLV_DONE;
}
