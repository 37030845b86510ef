#include "wasm.h"

#include "base/mem.h"
#include "wire/record.h"
#include <stdio.h>
#include <stdlib.h>

#define WORDS_MAX 16

static struct flv_slice read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data;
    long size;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
        fail_msg("%s: cannot read", path);
        return flv_slice(NULL, 0);
    }
    rewind(f);
    data = flv_alloc((size_t)size);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, f), size);
    fclose(f);
    return flv_slice(data, (size_t)size);
}

static struct flv_slice next_word(const char **text)
{
    const size_t n = strcspn(*text, " ");
    const struct flv_slice word = flv_slice(*text, n);

    *text += n + strspn(*text + n, " ");
    return word;
}

struct flv_sm_chain *wasm_chain(const struct wasm_case *c, struct flv_err *err)
{
    struct flv_sm_param params[WORDS_MAX];
    struct flv_sm_step step = {
        .params = params,
        .accumulator = flv_slice_str(c->accumulator),
    };
    const struct flv_slice wasm = read_file(c->path);
    struct flv_sm_chain *chain = NULL;

    for (const char *p = c->params; p != NULL && *p != '\0';) {
        assert_true(step.param_count < WORDS_MAX);
        params[step.param_count].key = next_word(&p);
        params[step.param_count++].value = next_word(&p);
    }
    if (flv_sm_module_create(&step.module, engine, c->path, wasm, err) !=
        FLV_OK) {
        fail_msg("%s", err->text);
    }
    flv_free((void *)(uintptr_t)wasm.data);
    if (flv_sm_chain_create(&chain, &step, 1, err) != FLV_OK) {
        chain = NULL;
    }
    flv_sm_module_unref(step.module);
    return chain;
}

/* "key=value" or "value" */
void wasm_section(struct flv_buf *out, const char *records)
{
    uint32_t count = 0;

    flv_buf_init(out, 1 << 20);
    assert_int_equal(flv_buf_add_u32(out, 0), FLV_OK);
    while (*records != '\0') {
        struct flv_wire_record r = {.offset_delta = count,
                                    .ts_delta = 10 * (int64_t)count};
        const uint8_t *equals;

        r.value = next_word(&records);
        equals = memchr(r.value.data, '=', r.value.len);
        if (equals != NULL) {
            r.has_key = true;
            r.key = flv_slice(r.value.data, (size_t)(equals - r.value.data));
            r.value = flv_slice(equals + 1, r.value.len - r.key.len - 1);
        }
        assert_int_equal(flv_wire_record_put(out, &r), FLV_OK);
        count++;
    }
    flv_put_u32(out->data, count);
}

static void add(struct flv_buf *out, struct flv_slice s)
{
    assert_int_equal(flv_buf_add(out, s.data, s.len), FLV_OK);
}

static void check_failure(const struct flv_sm_result *r, const char *expected)
{
    const struct flv_sm_failure *f = &r->failures[0];
    char text[400];

    assert_int_equal(r->failure_count, 1);
    assert_int_equal(f->cause, FLV_SM_USER_ERROR);
    snprintf(text, sizeof(text), "%u:%.*s", f->input, (int)f->hint.len,
             (const char *)f->hint.data);
    if (strncmp(text, expected, strlen(expected)) != 0) {
        fail_msg("\"%s\" where \"%s\" was expected", text, expected);
    }
}

void wasm_run(struct flv_sm_chain *chain, const struct wasm_case *c)
{
    struct flv_sm_result r = {0};
    struct flv_err err = {0};
    struct flv_buf section, out;

    wasm_section(&section, c->in);
    const struct flv_sm_input in = {.section = flv_buf_slice(&section),
                                    .base_offset = 100,
                                    .base_timestamp_ms = 1000000};
    if (flv_sm_chain_run(chain, &in, false, &r, &err) != FLV_OK) {
        fail_msg("%s: %s", c->path, err.text);
    }
    flv_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < r.record_count; i++) {
        add(&out, flv_slice_str(i > 0 ? " " : ""));
        if (r.records[i].has_key) {
            add(&out, r.records[i].key);
            add(&out, flv_slice_str("="));
        }
        add(&out, r.records[i].value);
    }
    assert_string_equal(flv_buf_str(&out), c->out);
    assert_int_equal(r.in, r.passed + r.filtered + r.failed);
    assert_int_equal(r.filtered, c->filtered);
    if (c->failed != NULL) {
        check_failure(&r, c->failed);
    } else {
        assert_int_equal(r.failure_count, 0);
        assert_false(r.replayed);
    }
    flv_buf_deinit(&out);
    flv_buf_deinit(&section);
}

void wasm_check(const struct wasm_case *c)
{
    struct flv_err err = {0};
    struct flv_sm_chain *chain = wasm_chain(c, &err);

    if (chain == NULL) {
        fail_msg("%s: %s", c->path, err.text);
    }
    wasm_run(chain, c);
    flv_sm_chain_destroy(chain);
}

void wasm_look_back(struct flv_sm_chain *chain, const char *records)
{
    struct flv_err err = {0};
    struct flv_buf section;

    wasm_section(&section, records);
    if (flv_sm_chain_look_back(chain, 0, flv_buf_slice(&section), &err) !=
        FLV_OK) {
        fail_msg("%s", err.text);
    }
    flv_buf_deinit(&section);
}
