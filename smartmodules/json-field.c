/*
 * json-field - the value becomes one member of the JSON object that it is.
 *
 * Kind        map
 * Parameters  field: name of the member
 *
 * A string loses its quotes and escapes; everything else stays as it is in
 * the text. The key stays. A value that is no object or lacks the member is
 * an error.
 */
#include <fluvio/smartmodule_text.h>

static struct flv_slice field;

FLV_INIT(params)
{
    if (!flv_param(params, "field", &field)) {
        return flv_reject("json-field needs the parameter field: which member");
    }
    return FLV_DONE;
}

FLV_MAP(in, out)
{
    struct flv_slice value;

    switch (flv_json_field(in->value, field, &value)) {
    case FLV_JSON_FOUND:
        break;
    case FLV_JSON_NONE:
        return flv_reject_with("the object has no member of this name", field);
    default:
        return flv_reject_with("the value is no JSON object", in->value);
    }
    if (!flv_json_text(value, &out->value)) {
        return flv_reject_with("the member is no JSON string", value);
    }
    return FLV_DONE;
}
