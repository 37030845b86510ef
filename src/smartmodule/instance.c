#include "smartmodule/instance.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "smartmodule/codec.h"
#include "smartmodule/module_priv.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Tables are the one thing besides memory that a guest can grow, and count
 * towards no budget: 3 MiB together. Compilers make one, with an element for
 * each function whose address is taken. */
#define TABLE_ELEMENTS_MAX 100000
#define TABLES_MAX 4

/* Whoever was away for so long since the last tick let others have the core. */
#define AWAY_NS 20000

/* Of a fault's text; who hands it on puts the module's name before it. */
#define SENTENCE_MAX 140

bool flv__fault(struct flv__fault *f,
                enum flv_sm_cause cause,
                const char *fmt,
                ...)
{
    va_list args;

    f->host = f->canceled = false;
    f->cause = cause;
    f->memory_wanted = 0;
    f->offset = -1;
    f->hint = flv_slice(NULL, 0);
    va_start(args, fmt);
    vsnprintf(f->text, sizeof(f->text), fmt, args);
    va_end(args);
    return false;
}

/* --- how calls end ------------------------------------------------------ */

/* A variable that the host cannot set is of no use to anybody. */
static const char rust_note[] = "note: run with `RUST_BACKTRACE";

/* What is in the sentence is cut at its front: the last words are the ones
 * that explain a trap. All that was kept is the hint. */
static bool trap_with_words(const struct flv__inst *in,
                            const char *text,
                            struct flv__fault *f)
{
    const char *note =
        memmem(in->words, in->words_len, rust_note, sizeof(rust_note) - 1);
    size_t len = note != NULL ? (size_t)(note - in->words) : in->words_len;
    size_t room, skip;
    int head;

    while (len > 0 &&
           (in->words[len - 1] == ' ' || in->words[len - 1] == '\n')) {
        len--;
    }
    flv__fault(f, FLV_SM_TRAP, "trapped: %s", text);
    if (len == 0) {
        return false;
    }
    head =
        snprintf(f->text, sizeof(f->text), "trapped: %.60s; it said: ", text);
    assert(head > 0 && (size_t)head + 40 < sizeof(f->text));
    room = SENTENCE_MAX - (size_t)head;
    skip = len > room ? len - room + 3 : 0;
    snprintf(f->text + head, sizeof(f->text) - (size_t)head, "%s%.*s",
             skip > 0 ? "..." : "", (int)(len - skip), in->words + skip);
    for (char *p = f->text; *p != '\0'; p++) {
        *p = *p == '\n' ? ' ' : *p;
    }
    f->hint = flv_slice(in->words, len);
    return false;
}

static bool fault_of_text(const struct flv__inst *in,
                          const char *text,
                          struct flv__fault *f)
{
    if (in->canceled) {
        flv__fault(f, FLV_SM_DEADLINE, "was ended by its host");
        f->host = f->canceled = true;
        return false;
    }
    if (in->late) {
        return flv__fault(f, FLV_SM_DEADLINE,
                          "took more than its %u ms of processor time",
                          in->budget->cpu_ms);
    }
    if (in->limit.host_failed) {
        flv__fault(f, FLV_SM_MEMORY, "%s", text);
        f->host = true;
        return false;
    }
    if (in->limit.denied) {
        flv__fault(f, FLV_SM_MEMORY,
                   "wanted more than its %zu MiB of memory, then: %s",
                   in->budget->memory_bytes >> 20, text);
        f->memory_wanted = in->limit.wanted;
        return false;
    }
    return trap_with_words(in, text, f);
}

/* One of both is there. */
static bool fault_of(const struct flv__inst *in,
                     wasmtime_error_t *error,
                     wasm_trap_t *trap,
                     struct flv__fault *f)
{
    wasmtime_trap_code_t code;
    bool has_code = trap != NULL && flv__wt.wasmtime_trap_code(trap, &code);
    char text[120];

    if (trap != NULL) {
        flv__wt_trap_text(trap, text, sizeof(text));
    } else {
        flv__wt_error_text(error, text, sizeof(text));
    }
    if (has_code && code == WASMTIME_TRAP_CODE_OUT_OF_FUEL) {
        return flv__fault(f, FLV_SM_FUEL, "used up its fuel of %llu",
                          (unsigned long long)in->budget->fuel);
    }
    return fault_of_text(in, text, f);
}

/* On Linux a thread that wakes on the core of one that only computes may wait
 * for a tick of the kernel, 4 ms. Priorities do not help where it is not in
 * this process's scheduling group (of a session, a service, a container), as
 * the threads of the kernel that a neighbour's fdatasync waits for. So a call
 * that had its core for itself since the last tick leaves it for a moment:
 * the shortest sleep, some 55 us. */
static void leave_the_core(uint64_t cpu_ns)
{
    static _Thread_local uint64_t away_ns; /* off any core, at the last tick */
    const struct timespec least = {.tv_nsec = 1};
    uint64_t now_ns = flv_clock_mono_ns() - cpu_ns;

    if (now_ns - away_ns < AWAY_NS) {
        (void)nanosleep(&least, NULL);
        now_ns = flv_clock_mono_ns() - flv_clock_thread_ns();
    }
    away_ns = now_ns;
}

/* Once a tick. */
static wasmtime_error_t *at_deadline(const wasmtime_context_t *ctx,
                                     void *data,
                                     uint64_t *delta,
                                     wasmtime_update_deadline_kind_t *kind)
{
    struct flv__inst *in = data;
    const uint64_t cpu_ns = flv_clock_thread_ns();

    (void)ctx;
    if (in->cancel != NULL && atomic_load(in->cancel)) {
        in->canceled = true;
        return flv__wt.wasmtime_error_new("canceled");
    }
    if (cpu_ns >= in->cpu_end_ns) {
        in->late = true;
        return flv__wt.wasmtime_error_new("deadline");
    }
    leave_the_core(cpu_ns);
    *delta = 1;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    return NULL;
}

/* --- life --------------------------------------------------------------- */

static const char *const names[FLV__ENTRY_COUNT] = {
    [FLV__ENTRY_INIT] = "init",
    [FLV__ENTRY_LOOK_BACK] = "look_back",
    [FLV__ENTRY_ALLOC] = "alloc",
    [FLV__ENTRY_DEALLOC] = "dealloc",
};

static void find_exports(struct flv__inst *in, const wasmtime_instance_t *made)
{
    wasmtime_extern_t item;

    for (int i = 0; i < FLV__ENTRY_COUNT; i++) {
        const char *name = i == FLV__ENTRY_TRANSFORM
                               ? flv_sm_kind_name(in->module->kind)
                               : names[i];

        if (flv__wt.wasmtime_instance_export_get(in->ctx, made, name,
                                                 strlen(name), &item) &&
            item.kind == WASMTIME_EXTERN_FUNC) {
            in->funcs[i] = item.of.func;
        }
    }
    /* Checked when the module was made. */
    if (flv__wt.wasmtime_instance_export_get(in->ctx, made, "memory", 6,
                                             &item)) {
        assert(item.kind == WASMTIME_EXTERN_MEMORY);
        in->memory = item.of.memory;
    }
}

static bool instantiate(struct flv__inst *in, struct flv__fault *f)
{
    wasmtime_instance_t made;
    wasmtime_error_t *error;
    wasm_trap_t *trap = NULL;

    flv__sm_memory_limit_set(&in->limit);
    error = flv__wt.wasmtime_instance_pre_instantiate(in->module->pre, in->ctx,
                                                      &made, &trap);
    flv__sm_memory_limit_set(NULL);
    if (error != NULL || trap != NULL) {
        return fault_of(in, error, trap, f);
    }
    find_exports(in, &made);
    return true;
}

bool flv__inst_create(struct flv__inst **out,
                      struct flv_sm_module *module,
                      const struct flv_sm_budget *budget,
                      const atomic_bool *cancel,
                      struct flv__fault *f)
{
    struct flv__inst *in = flv_zalloc(1, sizeof(*in));
    bool ok;

    if (in == NULL) {
        flv__fault(f, FLV_SM_MEMORY, "the host is out of memory");
        f->host = true;
        return false;
    }
    in->module = module;
    in->budget = budget;
    in->cancel = cancel;
    in->limit.bytes_max = budget->memory_bytes;
    in->store = flv__wt.wasmtime_store_new(module->engine->wt, in, NULL);
    in->ctx = flv__wt.wasmtime_store_context(in->store);
    flv__wt.wasmtime_store_limiter(in->store, -1, TABLE_ELEMENTS_MAX, 1,
                                   TABLES_MAX, 1);
    flv__wt.wasmtime_store_epoch_deadline_callback(in->store, at_deadline, in,
                                                   NULL);
    flv__inst_begin(in);
    ok = instantiate(in, f);
    flv__inst_end(in, NULL);
    if (!ok) {
        flv__inst_destroy(in);
        return false;
    }
    *out = in;
    return true;
}

void flv__inst_destroy(struct flv__inst *in)
{
    if (in == NULL) {
        return;
    }
    flv__wt.wasmtime_store_delete(in->store);
    flv_free(in);
}

/* --- calls -------------------------------------------------------------- */

void flv__inst_begin(struct flv__inst *in)
{
    wasmtime_error_t *error;

    in->late = in->canceled = false;
    in->limit.denied = in->limit.host_failed = false;
    in->words_len = 0;
    in->words_cut = false;
    in->cpu_end_ns =
        flv_clock_thread_ns() + (uint64_t)in->budget->cpu_ms * 1000000;
    error = flv__wt.wasmtime_context_set_fuel(in->ctx, in->budget->fuel);
    assert(error == NULL); /* the engine counts fuel */
    (void)error;
    flv__wt.wasmtime_context_set_epoch_deadline(in->ctx, 1);
    flv__sm_engine_enter(in->module->engine);
}

void flv__inst_end(struct flv__inst *in, struct flv_sm_stats *stats)
{
    uint64_t left = 0, begun;

    flv__sm_engine_leave(in->module->engine);
    if (stats == NULL) {
        return;
    }
    begun = in->cpu_end_ns - (uint64_t)in->budget->cpu_ms * 1000000;
    stats->cpu_ns += flv_clock_thread_ns() - begun;
    if (flv__wt.wasmtime_context_get_fuel(in->ctx, &left) == NULL) {
        stats->fuel += in->budget->fuel - left;
    }
    stats->memory_bytes = flv__inst_memory(in);
}

static bool call(struct flv__inst *in,
                 enum flv__entry entry,
                 wasmtime_val_raw_t *values,
                 size_t count,
                 struct flv__fault *f)
{
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error;

    assert(in->funcs[entry].store_id != 0);
    in->announced = false;
    error = flv__wt.wasmtime_func_call_unchecked(in->ctx, &in->funcs[entry],
                                                 values, count, &trap);
    return (error == NULL && trap == NULL) || fault_of(in, error, trap, f);
}

bool flv__inst_alloc(struct flv__inst *in,
                     size_t size,
                     uint32_t *ptr,
                     uint8_t **host,
                     struct flv__fault *f)
{
    wasmtime_val_raw_t values[1];
    size_t memory;

    if (size > INT32_MAX) {
        return flv__fault(f, FLV_SM_MEMORY,
                          "an input of %zu bytes does not fit 32 bits", size);
    }
    values[0].i32 = (int32_t)size;
    if (!call(in, FLV__ENTRY_ALLOC, values, 1, f)) {
        return false;
    }
    *ptr = (uint32_t)values[0].i32;
    if (*ptr == 0) {
        return flv__fault(f, FLV_SM_MEMORY,
                          "has no room for an input of %zu bytes in its %zu "
                          "MiB",
                          size, in->budget->memory_bytes >> 20);
    }
    memory = flv__inst_memory(in);
    if ((uint64_t)*ptr + size > memory) {
        return flv__fault(f, FLV_SM_BROKEN,
                          "alloc(%zu) gave %u, outside its memory of %zu "
                          "bytes",
                          size, *ptr, memory);
    }
    *host = flv__wt.wasmtime_memory_data(in->ctx, &in->memory) + *ptr;
    return true;
}

bool flv__inst_call(struct flv__inst *in,
                    enum flv__entry entry,
                    uint32_t ptr,
                    size_t size,
                    int32_t *rc,
                    struct flv__fault *f)
{
    wasmtime_val_raw_t values[3];

    memset(values, 0, sizeof(values));
    values[0].i32 = (int32_t)ptr;
    values[1].i32 = (int32_t)size;
    values[2].i32 = FLV__SM_ABI;
    if (!call(in, entry, values, 3, f)) {
        return false;
    }
    *rc = values[0].i32;
    return true;
}

bool flv__inst_output(struct flv__inst *in,
                      struct flv_slice *out,
                      struct flv__fault *f)
{
    size_t memory = flv__inst_memory(in);

    if (!in->announced) {
        return flv__fault(f, FLV_SM_BROKEN,
                          "did not announce its output (copy_records)");
    }
    if ((uint64_t)in->out_ptr + in->out_len > memory) {
        return flv__fault(f, FLV_SM_BROKEN,
                          "announced an output of %u bytes at %u, outside its "
                          "memory of %zu bytes",
                          in->out_len, in->out_ptr, memory);
    }
    *out = flv_slice(flv__wt.wasmtime_memory_data(in->ctx, &in->memory) +
                         in->out_ptr,
                     in->out_len);
    return true;
}

bool flv__inst_dealloc(struct flv__inst *in, struct flv__fault *f)
{
    wasmtime_val_raw_t values[2];

    if (!in->announced || in->funcs[FLV__ENTRY_DEALLOC].store_id == 0) {
        return true;
    }
    memset(values, 0, sizeof(values));
    values[0].i32 = (int32_t)in->out_ptr;
    values[1].i32 = (int32_t)in->out_len;
    return call(in, FLV__ENTRY_DEALLOC, values, 2, f);
}

size_t flv__inst_memory(const struct flv__inst *in)
{
    return flv__wt.wasmtime_memory_data_size(in->ctx, &in->memory);
}

flv_rc flv__inst_save(const struct flv__inst *in, struct flv_buf *out)
{
    const uint8_t *p = flv__wt.wasmtime_memory_data(in->ctx, &in->memory);

    flv_buf_reset(out);
    return flv_buf_add(out, p, flv__inst_memory(in));
}

bool flv__inst_restore(struct flv__inst *in,
                       struct flv_slice image,
                       struct flv__fault *f)
{
    size_t size = flv__inst_memory(in);
    uint64_t before;

    if (size < image.len) {
        wasmtime_error_t *error = flv__wt.wasmtime_memory_grow(
            in->ctx, &in->memory, (image.len - size) / 65536, &before);

        if (error != NULL) {
            return fault_of(in, error, NULL, f);
        }
    }
    assert(flv__inst_memory(in) >= image.len);
    if (image.len > 0) {
        memcpy(flv__wt.wasmtime_memory_data(in->ctx, &in->memory), image.data,
               image.len);
    }
    return true;
}
