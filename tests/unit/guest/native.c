#include "native.h"

#include "wire/record.h"
#include <assert.h>
#include <stdlib.h>

/* What the header asks of whoever compiles it for this machine. */
void *flv_native_alloc(size_t len);
void *flv_native_mark(void);
void flv_native_release(void *mark);
void flv_native_keep(void);
void flv_native_answered(void);
void flv_native_copy_records(const uint8_t *data, size_t len);

/* Blocks in the order in which they were made; a mark is the newest one. */
struct block {
    struct block *older;
    void *data;
    size_t len;
};

static struct {
    struct block *newest, *base;
    struct flv_slice answer;
    bool answered;
    size_t held, held_max;
} state;

void *flv_native_alloc(size_t len)
{
    struct block *b = malloc(sizeof(*b));

    assert(b != NULL);
    *b = (struct block){state.newest, malloc(len > 0 ? len : 1), len};
    assert(b->data != NULL);
    memset(b->data, 0xa5, len); /* nobody may count on zeros */
    state.newest = b;
    state.held += len;
    if (state.held > state.held_max) {
        state.held_max = state.held;
    }
    return b->data;
}

void *flv_native_mark(void)
{
    return state.newest;
}

void flv_native_release(void *mark)
{
    while (state.newest != mark) {
        struct block *b = state.newest;

        assert(b != NULL);
        state.newest = b->older;
        state.held -= b->len;
        free(b->data);
        free(b);
    }
}

void flv_native_keep(void)
{
    state.base = state.newest;
}

void flv_native_answered(void)
{
    state.answered = true;
}

void flv_native_copy_records(const uint8_t *data, size_t len)
{
    assert(state.answer.data == NULL);
    state.answer = flv_slice(data, len);
}

void native_reset(void)
{
    flv_native_release(NULL);
    memset(&state, 0, sizeof(state));
}

int32_t native_call(native_entry *entry, struct flv_slice input, uint32_t v)
{
    uint8_t *in;

    if (state.answered) {
        flv_native_release(state.base);
        state.answered = false;
    }
    in = flv_native_alloc(input.len);
    if (input.len > 0) {
        memcpy(in, input.data, input.len);
    }
    state.answer = flv_slice(NULL, 0);
    return entry(in, input.len, v);
}

struct flv_slice native_answer(void)
{
    return state.answer;
}

size_t native_held(void)
{
    return state.held;
}

size_t native_held_max(void)
{
    return state.held_max;
}

/* --- inputs --------------------------------------------------------------- */

static void must(flv_rc rc)
{
    if (rc != FLV_OK) {
        abort();
    }
}

static void put_records(struct flv_buf *out,
                        const struct native_record *records,
                        size_t count)
{
    struct flv_buf section;

    flv_buf_init(&section, 1 << 24);
    must(flv_buf_add_u32(&section, (uint32_t)count));
    for (size_t i = 0; i < count; i++) {
        struct flv_wire_record r = {
            .ts_delta = records[i].ts_delta,
            .offset_delta = records[i].offset_delta,
            .has_key = records[i].key != NULL,
            .key = flv_slice_str(records[i].key),
            .value = flv_slice_str(records[i].value),
        };

        must(flv_wire_record_put(&section, &r));
    }
    must(flv_buf_add_u32(out, (uint32_t)section.len));
    must(flv_buf_add(out, section.data, section.len));
    flv_buf_deinit(&section);
}

void native_input(struct flv_buf *out,
                  uint32_t version,
                  int64_t base_offset,
                  int64_t base_timestamp_ms,
                  const struct native_record *records,
                  size_t count,
                  const char *accumulator)
{
    must(flv_buf_add_u64(out, (uint64_t)base_offset));
    put_records(out, records, count);
    if (version <= 22) {
        must(flv_buf_add_u16(out, 0)); /* parameters */
        if (version >= 20) {
            must(flv_buf_add_u8(out, 0)); /* look-back */
        }
        must(flv_buf_add_u32(out, 0)); /* join */
    }
    if (version >= 22) {
        must(flv_buf_add_u64(out, (uint64_t)base_timestamp_ms));
    }
    if (accumulator != NULL) {
        must(flv_buf_add_u32(out, (uint32_t)strlen(accumulator)));
        must(flv_buf_add_str(out, accumulator));
    }
}

void native_params(struct flv_buf *out, const char *const *pairs)
{
    size_t count = 0;

    while (pairs[count] != NULL) {
        count++;
    }
    must(flv_buf_add_u16(out, (uint16_t)(count / 2)));
    for (size_t i = 0; i < count; i++) {
        must(flv_buf_add_u16(out, (uint16_t)strlen(pairs[i])));
        must(flv_buf_add_str(out, pairs[i]));
    }
    must(flv_buf_add_u8(out, 0)); /* no look-back */
}

/* --- outputs -------------------------------------------------------------- */

static uint64_t fixed(struct flv_slice *in, size_t bytes)
{
    uint64_t v = 0;

    if (in->len < bytes) {
        abort();
    }
    for (size_t i = 0; i < bytes; i++) {
        v = v << 8 | in->data[i];
    }
    *in = flv_slice(in->data + bytes, in->len - bytes);
    return v;
}

static char *text(struct native_output *out, struct flv_slice *in, size_t len)
{
    char *s;

    if (in->len < len || out->owned_count == 256) {
        abort();
    }
    s = malloc(len + 1);
    assert(s != NULL);
    memcpy(s, in->data, len);
    s[len] = '\0';
    *in = flv_slice(in->data + len, in->len - len);
    out->owned[out->owned_count++] = s;
    return s;
}

static char *data(struct native_output *out, struct flv_slice *in)
{
    int64_t len;
    size_t n = flv_varint_get(*in, &len);

    if (n == 0 || len < 0) {
        abort();
    }
    *in = flv_slice(in->data + n, in->len - n);
    return text(out, in, (size_t)len);
}

static void failure(struct native_output *out, struct flv_slice *in, bool kind)
{
    out->failed = true;
    out->hint = text(out, in, (size_t)fixed(in, 2));
    out->offset = (int64_t)fixed(in, 8);
    out->kind = kind ? (int)fixed(in, 1) : -1;
    out->key = fixed(in, 1) == 1 ? data(out, in) : NULL;
    out->value = data(out, in);
}

void native_decode(struct native_output *out,
                   struct flv_slice in,
                   bool aggregate)
{
    memset(out, 0, sizeof(*out));
    out->count = (size_t)fixed(&in, 4);
    for (size_t i = 0; i < out->count; i++) {
        struct flv_wire_record r;
        struct flv_slice key, value;

        if (i == NATIVE_RECORDS_MAX) {
            abort();
        }
        must(flv_wire_record_get(&in, &r, NULL));
        key = r.key;
        value = r.value;
        out->records[i] = (struct native_record){
            r.has_key ? text(out, &key, key.len) : NULL,
            text(out, &value, value.len), r.ts_delta, r.offset_delta};
    }
    if (fixed(&in, 1) == 1) {
        failure(out, &in, true);
    }
    if (aggregate) {
        out->accumulator = text(out, &in, (size_t)fixed(&in, 4));
    }
    if (in.len != 0) {
        abort();
    }
}

void native_decode_look_back(struct native_output *out, struct flv_slice in)
{
    memset(out, 0, sizeof(*out));
    failure(out, &in, false);
    if (in.len != 0) {
        abort();
    }
}

void native_output_deinit(struct native_output *out)
{
    for (size_t i = 0; i < out->owned_count; i++) {
        free(out->owned[i]);
    }
    memset(out, 0, sizeof(*out));
}
