/*
 * above - keeps numbers above the largest one so far, past ones included.
 *
 * Kind        filter, with look_back
 */
#include <fluvio/smartmodule_text.h>

static int64_t largest = INT64_MIN;

FLV_LOOK_BACK(record)
{
    int64_t number;

    if (!flv_parse_i64(record->value, &number)) {
        return flv_reject_with("no number", record->value);
    }
    if (number > largest) {
        largest = number;
    }
    return FLV_DONE;
}

FLV_FILTER(record)
{
    int64_t number;

    if (!flv_parse_i64(record->value, &number)) {
        return flv_reject_with("no number", record->value);
    }
    if (number <= largest) {
        return FLV_DROP;
    }
    largest = number;
    return FLV_KEEP;
}
