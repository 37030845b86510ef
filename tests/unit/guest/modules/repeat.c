/*
 * repeat - as many copies of the value as the key says, each made anew.
 *
 * Kind        array_map
 */
#include <fluvio/smartmodule_text.h>

FLV_ARRAY_MAP(in, out)
{
    int64_t times;

    if (!flv_parse_i64(in->key, &times)) {
        return flv_reject("the key is no number");
    }
    for (int64_t i = 0; i < times; i++) {
        struct flv_record copy = {.value = in->value};
        uint8_t *p = flv_alloc(in->value.len);

        if (in->value.len > 0) {
            __builtin_memcpy(p, in->value.data, in->value.len);
        }
        copy.value.data = p;
        flv_emit(out, &copy);
    }
    /* Fails late, to show that nothing of it is passed on. */
    return flv_equal(in->value, flv_text("bad")) ? flv_reject("bad") : FLV_DONE;
}
