/*
 * sum - the value becomes the sum of all numbers so far.
 *
 * Kind        aggregate
 * Parameters  none
 *
 * Whole numbers of 64 bits, as text. Anything else, and a sum beyond them,
 * is an error and leaves the sum as it was. The first value can be given
 * from outside; without one the sum begins at 0.
 */
#include <fluvio/smartmodule_text.h>

FLV_AGGREGATE(before, record, after)
{
    int64_t sum = 0, number;

    if (before.len > 0 && !flv_parse_i64(before, &sum)) {
        return flv_reject_with("the sum so far is no whole number", before);
    }
    if (!flv_parse_i64(record->value, &number)) {
        return flv_reject_with("the value is no whole number", record->value);
    }
    if (number > 0 ? sum > INT64_MAX - number : sum < INT64_MIN - number) {
        return flv_reject_with("the sum is beyond 64 bits with", record->value);
    }
    *after = flv_format_i64(sum + number);
    return FLV_DONE;
}
