#include "util.h"

#include "wasm_signals.h"

#include "base/mem.h"
#include "wire/record.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasmtime.h>

struct flv_sm_engine *engine;
static struct wasm_signals handlers;

int setup_engine(void **state)
{
    const struct flv_sm_engine_conf conf = {0};
    struct flv_err err = {0};

    (void)state;
    if (flv_sm_engine_create(&engine, &conf, &err) != FLV_OK) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    wasm_signals_keep(&handlers);
    return 0;
}

void restore_signals(void)
{
    wasm_signals_restore(&handlers);
}

int teardown_engine(void **state)
{
    (void)state;
    flv_sm_engine_destroy(engine);
    return 0;
}

static void add_file(struct flv_buf *b, const char *name)
{
    char path[512];
    FILE *f;
    int c;

    snprintf(path, sizeof(path),
             FLV_SOURCE_DIR "/tests/unit/smartmodule/modules/%s.wat", name);
    f = fopen(path, "r");
    if (f == NULL) {
        fail_msg("cannot open %s", path);
    }
    while ((c = fgetc(f)) != EOF) {
        assert_int_equal(flv_buf_add_u8(b, (uint8_t)c), FLV_OK);
    }
    fclose(f);
}

struct flv_slice assemble_text(const char *text)
{
    wasmtime_error_t *(*wat2wasm)(const char *, size_t, wasm_byte_vec_t *);
    void (*error_message)(const wasmtime_error_t *, wasm_name_t *);
    void (*vec_delete)(wasm_byte_vec_t *);
    void *dl = dlopen(FLV_WASMTIME_BUILD, RTLD_NOW);
    wasmtime_error_t *error;
    wasm_byte_vec_t out;
    uint8_t *copy;

    assert_non_null(dl);
    *(void **)&wat2wasm = dlsym(dl, "wasmtime_wat2wasm");
    assert_non_null(wat2wasm);
    *(void **)&error_message = dlsym(dl, "wasmtime_error_message");
    *(void **)&vec_delete = dlsym(dl, "wasm_byte_vec_delete");
    error = wat2wasm(text, strlen(text), &out);
    if (error != NULL) {
        error_message(error, &out);
        fail_msg("%.*s", (int)out.size, out.data);
    }
    copy = flv_alloc(out.size);
    assert_non_null(copy);
    memcpy(copy, out.data, out.size);
    struct flv_slice s = flv_slice(copy, out.size);
    vec_delete(&out);
    return s;
}

void free_slice(struct flv_slice s)
{
    flv_free((void *)(uintptr_t)s.data);
}

static struct flv_slice
compose(bool prelude, const char *file, const char *text)
{
    struct flv_slice wasm;
    struct flv_buf b;

    flv_buf_init(&b, 16 << 20);
    assert_int_equal(flv_buf_add_str(&b, "(module\n"), FLV_OK);
    if (prelude) {
        add_file(&b, "prelude");
    }
    if (file != NULL) {
        add_file(&b, file);
    }
    assert_int_equal(flv_buf_add_str(&b, text), FLV_OK);
    assert_int_equal(flv_buf_add_str(&b, ")"), FLV_OK);
    wasm = assemble_text(flv_buf_str(&b));
    flv_buf_deinit(&b);
    return wasm;
}

struct flv_slice assemble(const char *name)
{
    return compose(true, name, "");
}

struct flv_slice assemble_body(bool prelude, const char *text)
{
    return compose(prelude, NULL, text);
}

struct flv_sm_module *module_of(const char *name)
{
    struct flv_slice wasm = assemble(name);
    struct flv_sm_module *m = NULL;
    struct flv_err err = {0};

    if (flv_sm_module_create(&m, engine, name, wasm, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    free_slice(wasm);
    return m;
}

struct flv_sm_chain *chain_of_body(const char *text,
                                   const struct flv_sm_budget *budget,
                                   struct flv_err *err)
{
    struct flv_slice wasm = assemble_body(true, text);
    struct flv_sm_step step = {0};
    struct flv_sm_chain *c = NULL;

    restore_signals();
    if (budget != NULL) {
        step.budget = *budget;
    }
    if (flv_sm_module_create(&step.module, engine, "body", wasm, err) ==
            FLV_OK &&
        flv_sm_chain_create(&c, &step, 1, err) != FLV_OK) {
        c = NULL;
    }
    flv_sm_module_unref(step.module);
    free_slice(wasm);
    return c;
}

struct flv_sm_chain *
chain_of(const struct flv_sm_budget *budget, size_t count, ...)
{
    struct flv_sm_step steps[FLV_SM_STEPS_MAX] = {0};
    struct flv_sm_chain *c = NULL;
    struct flv_err err = {0};
    va_list names;

    restore_signals();
    va_start(names, count);
    for (size_t i = 0; i < count; i++) {
        steps[i].module = module_of(va_arg(names, const char *));
        if (budget != NULL) {
            steps[i].budget = *budget;
        }
    }
    va_end(names);
    if (flv_sm_chain_create(&c, steps, count, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < count; i++) {
        flv_sm_module_unref(steps[i].module);
    }
    return c;
}

void batch_make(struct batch *b, const char *words)
{
    b->count = 0;
    flv_buf_init(&b->section, 64 << 20);
    assert_int_equal(flv_buf_add_u32(&b->section, 0), FLV_OK);
    while (*words != '\0') {
        size_t n = strcspn(words, " ");
        struct flv_wire_record r = {
            .offset_delta = b->count,
            .ts_delta = b->count * 10,
            .value = flv_slice(words, n),
        };

        assert_int_equal(flv_wire_record_put(&b->section, &r), FLV_OK);
        b->count++;
        words += n;
        words += strspn(words, " ");
    }
    flv_put_u32(b->section.data, b->count);
}

void batch_free(struct batch *b)
{
    flv_buf_deinit(&b->section);
}

struct flv_sm_result
run(struct flv_sm_chain *c, const char *words, bool stop_at_failure)
{
    struct flv_sm_result r = {0};
    struct flv_err err = {0};
    struct batch b;

    restore_signals();
    batch_make(&b, words);
    const struct flv_sm_input in = {
        .section = flv_buf_slice(&b.section),
        .base_offset = 100,
        .base_timestamp_ms = 1000000,
    };
    if (flv_sm_chain_run(c, &in, stop_at_failure, &r, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    batch_free(&b);
    assert_int_equal(r.in, r.passed + r.filtered + r.failed);
    assert_int_equal(r.failed, r.failure_count);
    return r;
}

const char *values_of(const struct flv_sm_result *r)
{
    static char text[4096];
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < r->record_count; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s",
                              i > 0 ? " " : "", (int)r->records[i].value.len,
                              (const char *)r->records[i].value.data);
        assert_true(n < sizeof(text));
    }
    return text;
}
