/* fuzz-libs: flv_wire guest_native */
/*
 * What a host sends to a SmartModule in C: the input is refused or answered,
 * and an answer is one that a host can read. The first byte chooses entry and
 * version. A filter that keeps everything gives back what it was given.
 */
#include "native.h"
#include "wire/record.h"

#include <fluvio/smartmodule_text.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static unsigned calls;

/* --- the module ----------------------------------------------------------- */

FLV_INIT(params)
{
    struct flv_slice value;

    return flv_param(params, "a", &value) ? flv_reject_with("a", value)
                                          : FLV_DONE;
}

FLV_FILTER(record)
{
    if (record->value.len == 3) {
        return flv_reject_with("three", record->key);
    }
    return ++calls % 3 != 0;
}

static int keep(const struct flv_record *record)
{
    (void)record;
    return FLV_KEEP;
}

FLV_LOOK_BACK(record)
{
    return record->has_key ? FLV_DONE
                           : flv_reject_with("no key", record->value);
}

FLV_MAP(in, out)
{
    out->has_key = !in->has_key;
    out->key = flv_format_i64(in->offset);
    return flv_json_text(in->value, &out->value) ? FLV_DONE
                                                 : flv_reject("escape");
}

FLV_FILTER_MAP(in, out)
{
    enum flv_json found =
        flv_json_field(in->value, flv_bytes("a", 1), &out->value);

    return found == FLV_JSON_BAD ? flv_reject("no JSON") : (int)found;
}

FLV_ARRAY_MAP(in, out)
{
    struct flv_json_items items;
    struct flv_record item = *in;
    enum flv_json found = flv_json_open(in->value, &items);

    while (found == FLV_JSON_FOUND) {
        found = flv_json_next(&items, &item.key, &item.value);
        if (found == FLV_JSON_FOUND) {
            flv_emit(out, &item);
        }
    }
    return found == FLV_JSON_BAD ? flv_reject("no JSON") : FLV_DONE;
}

FLV_AGGREGATE(before, record, after)
{
    int64_t a = 0, b = 0;

    if (flv_parse_i64(before, &a) && flv_parse_i64(record->value, &b)) {
        *after = flv_format_i64(a ^ b);
        return FLV_DONE;
    }
    *after = record->value;
    return record->key.len == 1 ? flv_reject(NULL) : FLV_DONE;
}

static int32_t keep_all(uint8_t *in, size_t len, uint32_t version)
{
    return flv__run_filter(flv_bytes(in, len), version, keep);
}

/* --- its host ------------------------------------------------------------- */

static uint64_t fixed(struct flv_slice *in, size_t bytes)
{
    uint64_t v = 0;

    check(in->len >= bytes);
    for (size_t i = 0; i < bytes; i++) {
        v = v << 8 | in->data[i];
    }
    *in = flv_bytes(in->data + bytes, in->len - bytes);
    return v;
}

static void skip(struct flv_slice *in, int64_t len)
{
    check(len >= 0 && (uint64_t)len <= in->len);
    *in = flv_bytes(in->data + len, in->len - (size_t)len);
}

static void skip_data(struct flv_slice *in)
{
    int64_t len = 0;

    skip(in, (int64_t)flv_varint_get(*in, &len));
    skip(in, len);
}

static void read_hint(struct flv_slice *in)
{
    int64_t len = (int64_t)fixed(in, 2);
    const uint8_t *p = in->data, *end = in->data + len;

    check(len <= 4096);
    skip(in, len);
    while (p < end) {
        const size_t n = flv__utf8(p, (size_t)(end - p));

        check(n > 0);
        p += n;
    }
}

static void read_failure(struct flv_slice *in, size_t fixed_bytes)
{
    read_hint(in);
    (void)fixed(in, fixed_bytes);
    if (fixed(in, 1) == 1) {
        skip_data(in);
    }
    skip_data(in);
}

static void read_output(struct flv_slice in, int32_t count, bool aggregate)
{
    check(fixed(&in, 4) == (uint64_t)count);
    for (int32_t i = 0; i < count; i++) {
        struct flv_wire_record r;

        check(flv_wire_record_get(&in, &r, NULL) == FLV_OK);
    }
    if (fixed(&in, 1) == 1) {
        read_failure(&in, 9);
    }
    if (aggregate) {
        skip(&in, (int64_t)fixed(&in, 4));
    }
    check(in.len == 0);
}

static void read_answer(unsigned which, int32_t rc, struct flv_slice input)
{
    struct flv_slice answer = native_answer();

    if (which == 0 && rc == -2) {
        read_hint(&answer);
        check(answer.len == 0);
    } else if (which == 1 && rc == -99) {
        read_failure(&answer, 8);
        check(answer.len == 0);
    } else if (which <= 1 || rc < 0) {
        check(answer.data == NULL);
    } else {
        read_output(answer, rc, which == 6);
    }
    if (which == 7 && rc >= 0) {
        check(memcmp(answer.data, input.data + 12, answer.len - 1) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static native_entry *const entries[] = {
        flv_native_init,       flv_native_look_back,
        flv_native_filter,     flv_native_map,
        flv_native_filter_map, flv_native_array_map,
        flv_native_aggregate,  keep_all,
    };
    struct flv_slice input;
    unsigned which, version;

    if (size == 0) {
        return 0;
    }
    which = data[0] % 8;
    version = 16 + data[0] / 8 % 10;
    input = flv_bytes(data + 1, size - 1);
    calls = 0;
    read_answer(which, native_call(entries[which], input, version), input);
    native_reset();
    return 0;
}
