/*
 * picky - keeps every record and refuses those that contain a text, as a
 * module with a mistake in it does.
 *
 * Kind        filter
 * Parameters  poison: the text
 */
#include <fluvio/smartmodule.h>

static struct flv_slice poison;

FLV_INIT(params)
{
    if (!flv_param(params, "poison", &poison) || poison.len == 0) {
        return flv_reject("picky needs the parameter poison");
    }
    return FLV_DONE;
}

FLV_FILTER(record)
{
    if (flv_contains(record->value, poison)) {
        return flv_reject_with("cannot stand this", record->value);
    }
    return FLV_KEEP;
}
