/*
 * flv-bench-sm - what SmartModules cost in process.
 *
 *   flv-bench-sm FOLDER
 *
 * FOLDER holds contains.wasm and json-field.wasm (build/smartmodules).
 * Prints NAME=NUMBER words, which bench/run puts into its table: times to
 * start, and microseconds of processor time per record of 1 KiB JSON for a
 * filter in whole batches, once per record, in a chain of three, for a C
 * function that decides the same, and for a map that fails on one record of a
 * batch.
 */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "smartmodule/chain.h"
#include "wire/record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_SIZE 1024
#define ROUNDS 20
#define TEXT "\"level\":\"error\""

static void die(const struct flv_err *err)
{
    fprintf(stderr, "flv-bench-sm: %s\n", err->text);
    exit(1);
}

static void check(flv_rc rc, const struct flv_err *err)
{
    if (rc != FLV_OK) {
        die(err);
    }
}

static double ms_since(uint64_t begin_ns)
{
    return (double)(flv_clock_mono_ns() - begin_ns) / 1e6;
}

/* Of this thread: others on the machine's cores cost it less that way. */
static double cpu_us_since(uint64_t begin_ns)
{
    return (double)(flv_clock_thread_ns() - begin_ns) / 1e3;
}

static struct flv_slice read_file(const char *dir, const char *name)
{
    static uint8_t bytes[4 << 20];
    char path[4096];
    FILE *f;
    size_t n;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr, "flv-bench-sm: cannot read %s\n", path);
        exit(1);
    }
    n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    return flv_slice(bytes, n);
}

/* 1 KiB of JSON like a log line; every second one is an error. */
static void make_value(uint8_t value[VALUE_SIZE], uint32_t i)
{
    static const char filler[] = "lorem ipsum dolor sit amet ";
    char head[128], tail[64];
    int head_len =
        snprintf(head, sizeof(head),
                 "{\"id\":%u,\"host\":\"node-%u\",\"message\":\"", i, i % 17);
    int tail_len = snprintf(tail, sizeof(tail), "\",\"level\":\"%s\"}",
                            i % 2 ? "error" : "notes");

    for (size_t n = 0; n < VALUE_SIZE; n++) {
        value[n] = (uint8_t)filler[n % (sizeof(filler) - 1)];
    }
    memcpy(value, head, (size_t)head_len);
    memcpy(value + VALUE_SIZE - tail_len, tail, (size_t)tail_len);
}

static void make_section(struct flv_buf *b, uint32_t first, uint32_t count)
{
    uint8_t value[VALUE_SIZE];

    flv_buf_reset(b);
    if (flv_buf_add_u32(b, count) != FLV_OK) {
        exit(1);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct flv_wire_record r = {.offset_delta = i};

        make_value(value, first + i);
        r.value = flv_slice(value, sizeof(value));
        if (flv_wire_record_put(b, &r) != FLV_OK) {
            exit(1);
        }
    }
}

static double run_native(struct flv_slice section, uint32_t count)
{
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begin = flv_clock_thread_ns();
        struct flv_slice rest = flv_slice(section.data + 4, section.len - 4);
        struct flv_wire_record r;
        volatile size_t kept = 0;
        double us;

        while (rest.len > 0 && flv_wire_record_get(&rest, &r, NULL) == FLV_OK) {
            kept += memmem(r.value.data, r.value.len, TEXT, sizeof(TEXT) - 1) !=
                    NULL;
        }
        us = cpu_us_since(begin) / count;
        best = us < best ? us : best;
    }
    return best;
}

static struct flv_sm_chain *
chain_of(struct flv_sm_module *m, size_t count, const char *key, const char *v)
{
    const struct flv_sm_param text = {flv_slice_str(key), flv_slice_str(v)};
    struct flv_sm_step steps[3] = {0};
    struct flv_sm_chain *c;
    struct flv_err err = {0};

    for (size_t i = 0; i < count; i++) {
        steps[i].module = m;
        steps[i].params = &text;
        steps[i].param_count = 1;
    }
    check(flv_sm_chain_create(&c, steps, count, &err), &err);
    return c;
}

/* One call, in microseconds of this thread; half of the records, or all of
 * them (kept), have to come through. */
static double
run_once(struct flv_sm_chain *c, struct flv_slice section, uint32_t kept)
{
    const struct flv_sm_input in = {.section = section, .base_timestamp_ms = 1};
    struct flv_err err = {0};
    struct flv_sm_result r;
    uint64_t begin = flv_clock_thread_ns();
    double us;

    check(flv_sm_chain_run(c, &in, true, &r, &err), &err);
    us = cpu_us_since(begin);
    if (r.failed > 0 || r.passed != kept) {
        fprintf(stderr, "flv-bench-sm: %s\n",
                r.failed > 0 ? r.failures[0].text : "wrong result");
        exit(1);
    }
    return us;
}

/* Those that make_section() makes and the filter keeps. */
static void make_kept(struct flv_buf *b, uint32_t count)
{
    uint8_t value[VALUE_SIZE];

    if (flv_buf_add_u32(b, count) != FLV_OK) {
        exit(1);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct flv_wire_record r = {.offset_delta = i};

        make_value(value, 2 * i + 1);
        r.value = flv_slice(value, sizeof(value));
        if (flv_wire_record_put(b, &r) != FLV_OK) {
            exit(1);
        }
    }
}

/* The best of some rounds, after one that warms up. */
static double
run_best(struct flv_sm_chain *c, struct flv_slice section, uint32_t count)
{
    double best = 1e9;

    for (int round = 0; round <= ROUNDS; round++) {
        double us = run_once(c, section, count / 2) / count;

        best = round > 0 && us < best ? us : best;
    }
    return best;
}

/* A chain of three, and its modules one behind the other, of which the second
 * and the third get what the first keeps; by turns. Per record of the first. */
static void
compare_chains(struct flv_sm_module *m, struct flv_slice all, uint32_t count)
{
    struct flv_sm_chain *three = chain_of(m, 3, "text", TEXT), *alone[3];
    double chain = 1e9, parts = 1e9;
    struct flv_buf half;

    flv_buf_init(&half, 64 << 20);
    make_kept(&half, count / 2);
    for (int i = 0; i < 3; i++) {
        alone[i] = chain_of(m, 1, "text", TEXT);
    }
    for (int round = 0; round < ROUNDS; round++) {
        double us = run_once(three, all, count / 2) / count;

        chain = us < chain ? us : chain;
        us = 0;
        for (int i = 0; i < 3; i++) {
            us += run_once(alone[i], i == 0 ? all : flv_buf_slice(&half),
                           count / 2);
        }
        parts = us / count < parts ? us / count : parts;
    }
    printf("sm_chain3_us=%.3f sm_parts3_us=%.3f ", chain, parts);
    for (int i = 0; i < 3; i++) {
        flv_sm_chain_destroy(alone[i]);
    }
    flv_sm_chain_destroy(three);
    flv_buf_deinit(&half);
}

static double run_singly(struct flv_sm_chain *c, uint32_t count)
{
    struct flv_err err = {0};
    struct flv_sm_result r;
    struct flv_buf b;
    double best = 1e9;

    flv_buf_init(&b, 1 << 20);
    for (int round = 0; round < ROUNDS; round++) {
        double us = 0;

        for (uint32_t i = 0; i < count; i++) {
            struct flv_sm_input in = {.base_timestamp_ms = 1};
            uint64_t begin;

            make_section(&b, i, 1);
            in.section = flv_buf_slice(&b);
            begin = flv_clock_thread_ns();
            check(flv_sm_chain_run(c, &in, true, &r, &err), &err);
            us += cpu_us_since(begin);
        }
        best = us / count < best ? us / count : best;
    }
    flv_buf_deinit(&b);
    return best;
}

/* One record that is no JSON among those that a map takes a member of. */
static double run_failing(struct flv_sm_engine *e,
                          const char *folder,
                          struct flv_buf *b,
                          uint32_t count)
{
    struct flv_sm_input in = {.base_timestamp_ms = 1};
    struct flv_err err = {0};
    struct flv_sm_chain *c;
    struct flv_sm_module *m;
    struct flv_sm_result r;
    double best = 1e9;

    check(flv_sm_module_create(&m, e, "json-field",
                               read_file(folder, "json-field.wasm"), &err),
          &err);
    c = chain_of(m, 1, "field", "id");
    make_section(b, 0, count);
    for (uint8_t *p = b->data + b->len * 7 / 10;; p++) {
        if (memcmp(p, "{\"id", 4) == 0) {
            *p = '?';
            break;
        }
    }
    in.section = flv_buf_slice(b);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begin = flv_clock_thread_ns();
        double us;

        check(flv_sm_chain_run(c, &in, false, &r, &err), &err);
        us = cpu_us_since(begin) / count;
        best = us < best ? us : best;
    }
    if (r.failed != 1 || r.passed != count - 1) {
        fprintf(stderr, "flv-bench-sm: %u records failed\n", r.failed);
        exit(1);
    }
    flv_sm_chain_destroy(c);
    flv_sm_module_unref(m);
    return best;
}

static struct flv_sm_module *
load(struct flv_sm_engine *e, struct flv_slice wasm, const char *what)
{
    uint64_t begin = flv_clock_mono_ns();
    struct flv_sm_module *m;
    struct flv_err err = {0};

    check(flv_sm_module_create(&m, e, "contains", wasm, &err), &err);
    printf("%s=%.2f ", what, ms_since(begin));
    return m;
}

static long memory_kb(void)
{
    char line[256];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "VmRSS: %ld", &kb) == 1) {
            break;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return kb;
}

int main(int argc, char **argv)
{
    const uint32_t count = 1000;
    char cache[] = "/tmp/flv-bench-sm-XXXXXX", path[4096];
    struct flv_sm_engine_conf conf = {0};
    struct flv_sm_engine *e;
    struct flv_sm_module *m;
    struct flv_sm_chain *one;
    struct flv_err err = {0};
    struct flv_slice wasm;
    struct flv_buf b;
    uint64_t begin;

    if (argc != 2 || mkdtemp(cache) == NULL) {
        fprintf(stderr, "usage: flv-bench-sm FOLDER\n");
        return 1;
    }
    snprintf(path, sizeof(path), "%s/modules", cache);
    conf.cache_dir = path;
    wasm = read_file(argv[1], "contains.wasm");
    flv_buf_init(&b, 64 << 20);
    make_section(&b, 0, count);

    printf("sm_rss_before_kb=%ld ", memory_kb());
    begin = flv_clock_mono_ns();
    check(flv_sm_engine_create(&e, &conf, &err), &err);
    printf("sm_engine_ms=%.2f ", ms_since(begin));
    flv_sm_module_unref(load(e, wasm, "sm_compile_ms"));
    printf("sm_rss_after_compile_kb=%ld ", memory_kb());
    m = load(e, wasm, "sm_load_ms");
    begin = flv_clock_mono_ns();
    one = chain_of(m, 1, "text", TEXT);
    printf("sm_instantiate_ms=%.3f ", ms_since(begin));
    printf("sm_native_us=%.3f ", run_native(flv_buf_slice(&b), count));
    printf("sm_batch_us=%.3f ", run_best(one, flv_buf_slice(&b), count));
    printf("sm_single_us=%.3f ", run_singly(one, count));
    compare_chains(m, flv_buf_slice(&b), count);
    printf("sm_failing_us=%.3f\n", run_failing(e, argv[1], &b, count));

    flv_sm_chain_destroy(one);
    flv_sm_module_unref(m);
    flv_sm_engine_destroy(e);
    flv_buf_deinit(&b);
    snprintf(path, sizeof(path), "rm -rf '%s'", cache);
    return system(path) == 0 ? 0 : 1;
}
