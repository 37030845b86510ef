/*
 * json-array-split - one record for each element of the JSON array that the
 * value is.
 *
 * Kind        array_map
 * Parameters  none
 *
 * Elements stay as they are in the text, strings with their quotes. Each has
 * the key of the record that it came from. A value that is no array is an
 * error, and none of its elements is passed on.
 */
#include <fluvio/smartmodule_text.h>

FLV_ARRAY_MAP(in, out)
{
    struct flv_record element = *in;
    struct flv_json_items items;
    enum flv_json found;

    if (flv_json_open(in->value, &items) != FLV_JSON_FOUND ||
        items.closing != ']') {
        return flv_reject_with("the value is no JSON array", in->value);
    }
    while ((found = flv_json_next(&items, NULL, &element.value)) ==
           FLV_JSON_FOUND) {
        flv_emit(out, &element);
    }
    if (found == FLV_JSON_BAD) {
        return flv_reject_with("the array is not whole", in->value);
    }
    return FLV_DONE;
}
