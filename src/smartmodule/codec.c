#include "smartmodule/codec.h"

#include "base/mem.h"
#include "wire/record.h"
#include <assert.h>
#include <stdlib.h>

/* base offset, length of the section; empty params, no look-back, an empty
 * join record, base timestamp */
#define INPUT_HEAD 12
#define INPUT_TAIL (2 + 1 + 4 + 8)
#define COUNT_SIZE 4

size_t flv__sm_args_size(const struct flv__sm_args *in)
{
    return INPUT_HEAD + in->section.len + INPUT_TAIL +
           (in->aggregate ? 4 + in->accumulator.len : 0);
}

static uint8_t *put_bytes(uint8_t *p, struct flv_slice s)
{
    assert(s.len <= INT32_MAX);
    flv_put_u32(p, (uint32_t)s.len);
    if (s.len > 0) {
        memcpy(p + 4, s.data, s.len);
    }
    return p + 4 + s.len;
}

void flv__sm_args_put(const struct flv__sm_args *in, uint8_t *p)
{
    flv_put_u64(p, (uint64_t)in->base_offset);
    p = put_bytes(p + 8, in->section);
    memset(p, 0, 2 + 1 + 4);
    flv_put_u64(p + 2 + 1 + 4, (uint64_t)in->base_timestamp_ms);
    if (in->aggregate) {
        put_bytes(p + INPUT_TAIL, in->accumulator);
    }
}

/* --- init --------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    struct flv_slice x = ((const struct flv_sm_param *)a)->key;
    struct flv_slice y = ((const struct flv_sm_param *)b)->key;
    size_t n = x.len < y.len ? x.len : y.len;
    int order = n > 0 ? memcmp(x.data, y.data, n) : 0;

    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static flv_rc put_str(struct flv_buf *out, struct flv_slice s)
{
    flv_rc rc = flv_buf_add_u16(out, (uint16_t)s.len);

    return rc == FLV_OK ? flv_buf_add(out, s.data, s.len) : rc;
}

static flv_rc put_look_back(struct flv_buf *out, const struct flv_sm_step *step)
{
    bool asked = step->look_back_last > 0 || step->look_back_age_ms > 0;
    bool aged = step->look_back_age_ms > 0;
    flv_rc rc = flv_buf_reserve(out, 1 + 8 + 1 + 12);

    if (rc != FLV_OK || !asked) {
        return rc == FLV_OK ? flv_buf_add_u8(out, 0) : rc;
    }
    rc = flv_buf_add_u8(out, 1);
    rc = rc == FLV_OK ? flv_buf_add_u64(out, step->look_back_last) : rc;
    rc = rc == FLV_OK ? flv_buf_add_u8(out, aged) : rc;
    if (rc == FLV_OK && aged) {
        uint32_t ns = (uint32_t)(step->look_back_age_ms % 1000) * 1000000;

        rc = flv_buf_add_u64(out, step->look_back_age_ms / 1000);
        rc = rc == FLV_OK ? flv_buf_add_u32(out, ns) : rc;
    }
    return rc;
}

static flv_rc check_params(const struct flv_sm_step *step, struct flv_err *err)
{
    size_t bytes = 0;

    if (step->param_count > FLV_SM_PARAMS_MAX) {
        return flv_fail(err, FLV_E_INVALID, "%zu parameters, at most %d",
                        step->param_count, FLV_SM_PARAMS_MAX);
    }
    for (size_t i = 0; i < step->param_count; i++) {
        const struct flv_sm_param *p = &step->params[i];

        /* Readers take the 16-bit length as signed. */
        if (p->key.len > INT16_MAX || p->value.len > INT16_MAX) {
            return flv_fail(err, FLV_E_INVALID,
                            "parameter %.*s of %zu bytes, at most %d",
                            (int)(p->key.len < 40 ? p->key.len : 40),
                            (const char *)p->key.data, p->value.len, INT16_MAX);
        }
        bytes += p->key.len + p->value.len;
    }
    if (bytes > FLV_SM_PARAM_BYTES_MAX) {
        return flv_fail(err, FLV_E_INVALID,
                        "parameters of %zu bytes together, at most %d", bytes,
                        FLV_SM_PARAM_BYTES_MAX);
    }
    return FLV_OK;
}

flv_rc flv__sm_init_put(const struct flv_sm_step *step,
                        struct flv_buf *out,
                        struct flv_err *err)
{
    struct flv_sm_param sorted[FLV_SM_PARAMS_MAX];
    size_t n = step->param_count;
    flv_rc rc = check_params(step, err);

    if (rc != FLV_OK) {
        return rc;
    }
    if (n > 0) {
        memcpy(sorted, step->params, n * sizeof(sorted[0]));
        qsort(sorted, n, sizeof(sorted[0]), compare_keys);
    }
    rc = flv_buf_add_u16(out, (uint16_t)n);
    for (size_t i = 0; i < n && rc == FLV_OK; i++) {
        if (i > 0 && compare_keys(&sorted[i - 1], &sorted[i]) == 0) {
            return flv_fail(
                err, FLV_E_INVALID, "parameter %.*s is given twice",
                (int)(sorted[i].key.len < 40 ? sorted[i].key.len : 40),
                (const char *)sorted[i].key.data);
        }
        rc = put_str(out, sorted[i].key);
        rc = rc == FLV_OK ? put_str(out, sorted[i].value) : rc;
    }
    rc = rc == FLV_OK ? put_look_back(out, step) : rc;
    return rc == FLV_OK ? FLV_OK : flv_fail(err, rc, "parameters of a module");
}

/* --- output ------------------------------------------------------------- */

void flv__sm_records_deinit(struct flv__sm_records *r)
{
    flv_free(r->at);
    memset(r, 0, sizeof(*r));
}

flv_rc flv__sm_records_reserve(struct flv__sm_records *r, size_t extra)
{
    size_t cap = r->cap > 0 ? r->cap : 64;
    struct flv_sm_record *at;

    if (extra <= r->cap - r->len) {
        return FLV_OK;
    }
    while (cap - r->len < extra) {
        if (cap > SIZE_MAX / sizeof(*at) / 4) {
            return FLV_E_NOMEM;
        }
        cap *= 2;
    }
    at = flv_realloc(r->at, cap * sizeof(*at));
    if (at == NULL) {
        return FLV_E_NOMEM;
    }
    r->at = at;
    r->cap = cap;
    return FLV_OK;
}

int64_t flv__sm_timestamp(int64_t base_ms, int64_t delta)
{
    return base_ms > 0 ? (int64_t)((uint64_t)base_ms + (uint64_t)delta) : -1;
}

static void add_record(struct flv__sm_records *to,
                       const struct flv_wire_record *r)
{
    bool fits = r->offset_delta >= 0 && r->offset_delta < FLV_SM_NO_ORIGIN;
    uint32_t origin = fits ? (uint32_t)r->offset_delta : FLV_SM_NO_ORIGIN;

    assert(to->len < to->cap);
    to->at[to->len++] = (struct flv_sm_record){
        .has_key = r->has_key,
        .key = r->key,
        .value = r->value,
        .timestamp_ms = flv__sm_timestamp(to->base_timestamp_ms, r->ts_delta),
        .origin = to->origin_known ? to->origin : origin,
    };
}

flv_rc flv__sm_walk(struct flv_slice *in,
                    struct flv__sm_records *to,
                    struct flv__sm_walk *out,
                    struct flv_err *err)
{
    struct flv_slice rest = *in;
    struct flv__sm_walk w = {.in_place = true};
    struct flv_wire_record r;
    int64_t last = -1;
    bool grow = true;
    flv_rc rc;

    if (rest.len < COUNT_SIZE) {
        return flv_fail(err, FLV_E_CORRUPT, "ends before its record count");
    }
    w.count = flv_get_u32(rest.data);
    rest = flv_slice(rest.data + COUNT_SIZE, rest.len - COUNT_SIZE);
    if (w.count > rest.len / FLV_RECORD_SIZE_MIN) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "counts %u records in %zu bytes, which hold %zu at "
                        "most",
                        w.count, rest.len, rest.len / FLV_RECORD_SIZE_MIN);
    }
    if (to != NULL && flv__sm_records_reserve(to, w.count) != FLV_OK) {
        return flv_fail(err, FLV_E_NOMEM, "%u records", w.count);
    }
    for (uint32_t i = 0; i < w.count; i++) {
        const uint8_t *start = rest.data;
        size_t size;

        rc = flv_wire_record_get(&rest, &r, err);
        if (rc != FLV_OK) {
            flv_err_prefix(err, "record %u of %u", i, w.count);
            return rc;
        }
        size = (size_t)(rest.data - start);
        w.record_bytes_max =
            size > w.record_bytes_max ? size : w.record_bytes_max;
        grow = grow && r.offset_delta > last && r.offset_delta < UINT32_MAX - 1;
        last = r.offset_delta;
        w.deltas_begin = i == 0 && grow ? (uint32_t)last : w.deltas_begin;
        w.in_place = w.in_place && r.offset_delta == i;
        if (to != NULL) {
            add_record(to, &r);
        }
    }
    w.deltas_end = grow ? (uint32_t)(last + 1) : 0;
    *out = w;
    *in = rest;
    return FLV_OK;
}

/* u16 length, taken as signed, and bytes. */
static bool get_str(struct flv_slice *in, struct flv_slice *out)
{
    size_t len;

    if (in->len < 2) {
        return false;
    }
    len = flv_get_u16(in->data);
    len = len > INT16_MAX ? 0 : len;
    if (len > in->len - 2) {
        return false;
    }
    *out = flv_slice(in->data + 2, len);
    *in = flv_slice(in->data + 2 + len, in->len - 2 - len);
    return true;
}

static bool skip(struct flv_slice *in, size_t n)
{
    if (n > in->len) {
        return false;
    }
    *in = flv_slice(in->data + n, in->len - n);
    return true;
}

static bool skip_rdata(struct flv_slice *in)
{
    int64_t len;
    size_t n = flv_varint_get(*in, &len);

    return n > 0 && skip(in, n) && len >= 0 && (uint64_t)len <= in->len &&
           skip(in, (size_t)len);
}

/* opt<RuntimeError>: hint, offset, kind, opt key, value. Which record it is we
 * find out ourselves; the offset says where to look first. */
static bool get_error(struct flv_slice *in, struct flv__sm_output *out)
{
    uint8_t key;

    if (in->len < 1 || in->data[0] > 1) {
        return false;
    }
    out->has_error = in->data[0] == 1;
    skip(in, 1);
    if (!out->has_error) {
        return true;
    }
    if (!get_str(in, &out->hint) || in->len < 8 + 1 + 1) {
        return false;
    }
    out->error_offset = (int64_t)flv_get_u64(in->data);
    skip(in, 8 + 1);
    key = in->data[0];
    skip(in, 1);
    return key <= 1 && (key == 0 || skip_rdata(in)) && skip_rdata(in);
}

flv_rc flv__sm_output_get(struct flv_slice bytes,
                          bool aggregate,
                          struct flv__sm_records *to,
                          struct flv__sm_output *out,
                          struct flv_err *err)
{
    struct flv__sm_output o = {0};
    struct flv_slice rest = bytes;
    size_t before = to != NULL ? to->len : 0;
    flv_rc rc = flv__sm_walk(&rest, to, &o.walk, err);

    if (rc != FLV_OK) {
        goto fail;
    }
    o.section = flv_slice(bytes.data, (size_t)(rest.data - bytes.data));
    if (!get_error(&rest, &o)) {
        rc = flv_fail(err, FLV_E_CORRUPT,
                      "ends inside its error, or that is none");
        goto fail;
    }
    if (aggregate) {
        if (rest.len < 4 || flv_get_u32(rest.data) > rest.len - 4) {
            rc = flv_fail(err, FLV_E_CORRUPT,
                          "has no accumulator, or one that passes its end");
            goto fail;
        }
        o.accumulator = flv_slice(rest.data + 4, flv_get_u32(rest.data));
    }
    *out = o;
    return FLV_OK;
fail:
    if (to != NULL) {
        to->len = before;
    }
    return rc;
}

struct flv_slice flv__sm_hint_get(struct flv_slice bytes)
{
    struct flv_slice hint;

    return get_str(&bytes, &hint) ? hint : flv_slice(NULL, 0);
}
