/*
 * halve - even numbers become their half, odd ones go.
 *
 * Kind        filter_map
 */
#include <fluvio/smartmodule_text.h>

FLV_FILTER_MAP(in, out)
{
    int64_t number;

    if (!flv_parse_i64(in->value, &number)) {
        return flv_reject("no number");
    }
    if (number % 2 != 0) {
        return FLV_DROP;
    }
    out->value = flv_format_i64(number / 2);
    return FLV_KEEP;
}
