/*
 * contains - keeps the records whose value contains a text.
 *
 * Kind        filter
 * Parameters  text: what to look for, byte by byte
 */
#include <fluvio/smartmodule.h>

static struct flv_slice text;

FLV_INIT(params)
{
    if (!flv_param(params, "text", &text) || text.len == 0) {
        return flv_reject(
            "contains needs the parameter text: what to look for");
    }
    return FLV_DONE;
}

FLV_FILTER(record)
{
    return flv_contains(record->value, text);
}
