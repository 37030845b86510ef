#include "smartmodule/imports.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/rand.h"
#include "smartmodule/instance.h"
#include <stdio.h>
#include <string.h>

/* Numbers of WASI preview 1. */
enum wasi_errno {
    WASI_OK = 0,
    WASI_BADF = 8,
    WASI_FAULT = 21,
    WASI_INVAL = 28,
    WASI_NOSYS = 52,
    WASI_SPIPE = 70,
};
#define WASI_IOVS_MAX 1024
/* A call into the host costs no fuel, so each does a bounded amount of work. */
#define WASI_RANDOM_MAX 65536

/* One call into the host: the guest's memory and the arguments. */
struct call {
    struct flv__inst *in;
    uint8_t *memory; /* NULL: it exports none yet */
    size_t size;
    const wasmtime_val_raw_t *args;
};

static uint32_t arg32(const struct call *c, size_t i)
{
    return (uint32_t)c->args[i].i32;
}

/* `len` bytes of guest memory, or NULL. */
static uint8_t *at(const struct call *c, uint32_t ptr, size_t len)
{
    if (c->memory == NULL || (uint64_t)ptr + len > c->size) {
        return NULL;
    }
    return c->memory + ptr;
}

static void put_le(uint8_t *p, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint32_t get_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static enum wasi_errno
store(const struct call *c, size_t arg, uint64_t v, size_t bytes)
{
    uint8_t *p = at(c, arg32(c, arg), bytes);

    if (p == NULL) {
        return WASI_FAULT;
    }
    put_le(p, v, bytes);
    return WASI_OK;
}

static enum wasi_errno answer_ok(const struct call *c)
{
    (void)c;
    return WASI_OK;
}

static enum wasi_errno answer_badf(const struct call *c)
{
    (void)c;
    return WASI_BADF;
}

static enum wasi_errno answer_nosys(const struct call *c)
{
    (void)c;
    return WASI_NOSYS;
}

/* args_sizes_get, environ_sizes_get: nothing, of no bytes. */
static enum wasi_errno answer_no_strings(const struct call *c)
{
    enum wasi_errno rc = store(c, 0, 0, 4);

    return rc == WASI_OK ? store(c, 1, 0, 4) : rc;
}

static enum wasi_errno answer_clock_res(const struct call *c)
{
    return store(c, 1, 1000000, 8);
}

static enum wasi_errno answer_clock_time(const struct call *c)
{
    switch (arg32(c, 0)) {
    case 0:
        return store(c, 2, (uint64_t)flv_clock_wall_ms() * 1000000, 8);
    case 1:
        return store(c, 2, flv_clock_mono_ns(), 8);
    default:
        return WASI_INVAL;
    }
}

static bool is_stdio(const struct call *c)
{
    return arg32(c, 0) <= 2;
}

static enum wasi_errno answer_close(const struct call *c)
{
    return is_stdio(c) ? WASI_OK : WASI_BADF;
}

/* A character device without rights. */
static enum wasi_errno answer_fdstat(const struct call *c)
{
    uint8_t *p = at(c, arg32(c, 1), 24);

    if (!is_stdio(c)) {
        return WASI_BADF;
    }
    if (p == NULL) {
        return WASI_FAULT;
    }
    memset(p, 0, 24);
    p[0] = 2;
    return WASI_OK;
}

static enum wasi_errno answer_seek(const struct call *c)
{
    return is_stdio(c) ? WASI_SPIPE : WASI_BADF;
}

static enum wasi_errno answer_read(const struct call *c)
{
    return arg32(c, 0) == 0 ? store(c, 3, 0, 4) : WASI_BADF;
}

/* Standard output is swallowed; the last words on standard error explain a
 * trap. */
static void keep_words(struct flv__inst *in, const uint8_t *p, size_t len)
{
    const size_t max = sizeof(in->words);
    size_t gone;

    if (len > max) {
        p += len - max;
        len = max;
        in->words_cut = true;
    }
    if (in->words_len > max - len) {
        gone = in->words_len - (max - len);
        memmove(in->words, in->words + gone, in->words_len - gone);
        in->words_len -= gone;
        in->words_cut = true;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t b = p[i];
        bool plain = (b >= ' ' && b != 127) || b == '\n';

        in->words[in->words_len++] = (char)(plain ? b : ' ');
    }
    if (in->words_cut) {
        memcpy(in->words, "...", 3); /* never shorter then */
    }
}

static enum wasi_errno answer_write(const struct call *c)
{
    uint32_t fd = arg32(c, 0), count = arg32(c, 2);
    const uint8_t *iov = at(c, arg32(c, 1), (size_t)count * 8);
    uint64_t sum = 0;

    if (fd != 1 && fd != 2) {
        return WASI_BADF;
    }
    if (iov == NULL || count > WASI_IOVS_MAX) {
        return iov == NULL ? WASI_FAULT : WASI_INVAL;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = get_le32(iov + (size_t)i * 8 + 4);
        const uint8_t *p = at(c, get_le32(iov + (size_t)i * 8), len);

        if (p == NULL) {
            return WASI_FAULT;
        }
        if (fd == 2) {
            keep_words(c->in, p, len);
        }
        sum += len;
    }
    return store(c, 3, sum, 4);
}

static enum wasi_errno answer_random(const struct call *c)
{
    uint32_t len = arg32(c, 1);
    uint8_t *p = at(c, arg32(c, 0), len);

    if (p == NULL || len > WASI_RANDOM_MAX) {
        return p == NULL ? WASI_FAULT : WASI_INVAL;
    }
    for (uint32_t i = 0; i < len; i += 8) {
        put_le(p + i, flv_rand_u64(), len - i < 8 ? len - i : 8);
    }
    return WASI_OK;
}

/* --- the table ---------------------------------------------------------- */

struct import {
    const char *name, *params, *results;
    enum wasi_errno (*answer)(const struct call *c); /* results "i" */
};

static const char copy_records[] = "copy_records";
static const char proc_exit[] = "proc_exit";

static const struct import wasi[] = {
    {"args_get", "ii", "i", answer_ok},
    {"args_sizes_get", "ii", "i", answer_no_strings},
    {"clock_res_get", "ii", "i", answer_clock_res},
    {"clock_time_get", "iIi", "i", answer_clock_time},
    {"environ_get", "ii", "i", answer_ok},
    {"environ_sizes_get", "ii", "i", answer_no_strings},
    {"fd_advise", "iIIi", "i", answer_badf},
    {"fd_allocate", "iII", "i", answer_badf},
    {"fd_close", "i", "i", answer_close},
    {"fd_datasync", "i", "i", answer_badf},
    {"fd_fdstat_get", "ii", "i", answer_fdstat},
    {"fd_fdstat_set_flags", "ii", "i", answer_badf},
    {"fd_fdstat_set_rights", "iII", "i", answer_badf},
    {"fd_filestat_get", "ii", "i", answer_badf},
    {"fd_filestat_set_size", "iI", "i", answer_badf},
    {"fd_filestat_set_times", "iIIi", "i", answer_badf},
    {"fd_pread", "iiiIi", "i", answer_badf},
    {"fd_prestat_dir_name", "iii", "i", answer_badf},
    {"fd_prestat_get", "ii", "i", answer_badf},
    {"fd_pwrite", "iiiIi", "i", answer_badf},
    {"fd_read", "iiii", "i", answer_read},
    {"fd_readdir", "iiiIi", "i", answer_badf},
    {"fd_renumber", "ii", "i", answer_badf},
    {"fd_seek", "iIii", "i", answer_seek},
    {"fd_sync", "i", "i", answer_badf},
    {"fd_tell", "ii", "i", answer_seek},
    {"fd_write", "iiii", "i", answer_write},
    {"path_create_directory", "iii", "i", answer_badf},
    {"path_filestat_get", "iiiii", "i", answer_badf},
    {"path_filestat_set_times", "iiiiIIi", "i", answer_badf},
    {"path_link", "iiiiiii", "i", answer_badf},
    {"path_open", "iiiiiIIii", "i", answer_badf},
    {"path_readlink", "iiiiii", "i", answer_badf},
    {"path_remove_directory", "iii", "i", answer_badf},
    {"path_rename", "iiiiii", "i", answer_badf},
    {"path_symlink", "iiiii", "i", answer_badf},
    {"path_unlink_file", "iii", "i", answer_badf},
    {"poll_oneoff", "iiii", "i", answer_nosys},
    {proc_exit, "i", "", NULL},
    {"proc_raise", "i", "i", answer_nosys},
    {"random_get", "ii", "i", answer_random},
    {"sched_yield", "", "i", answer_ok},
    {"sock_accept", "iii", "i", answer_nosys},
    {"sock_recv", "iiiiii", "i", answer_nosys},
    {"sock_send", "iiiii", "i", answer_nosys},
    {"sock_shutdown", "ii", "i", answer_nosys},
};
static const struct import copy = {copy_records, "ii", "", NULL};

/* NULL: nobody provides it, or not so. */
static const struct import *find(const struct flv__wasm *w,
                                 const struct flv__wasm_import *import)
{
    const struct import *f = NULL;

    if (import->item != FLV__WASM_FUNC) {
        return NULL;
    }
    if (flv_slice_eq_str(import->name, copy_records)) {
        f = &copy;
    } else if (flv_slice_eq_str(import->module, "wasi_snapshot_preview1")) {
        for (size_t i = 0; i < sizeof(wasi) / sizeof(wasi[0]); i++) {
            if (flv_slice_eq_str(import->name, wasi[i].name)) {
                f = &wasi[i];
            }
        }
    }
    if (f == NULL ||
        !flv__wasm_type_is(w, import->type, f->params, f->results)) {
        return NULL;
    }
    return f;
}

/* Appends "module.name" as far as there is room, printable. */
static void
add_name(char *list, size_t size, const struct flv__wasm_import *import)
{
    size_t n = strlen(list);
    int len = snprintf(list + n, size - n, "%s%.*s.%.*s", n > 0 ? ", " : "",
                       (int)(import->module.len < 60 ? import->module.len : 60),
                       (const char *)import->module.data,
                       (int)(import->name.len < 60 ? import->name.len : 60),
                       (const char *)import->name.data);

    if (len < 0 || (size_t)len >= size - n) {
        list[n] = '\0';
        if (n + 4 < size) {
            memcpy(list + n, "...", 4);
        }
    }
    for (; list[n] != '\0'; n++) {
        if ((unsigned char)list[n] < ' ' || list[n] == 127) {
            list[n] = '?';
        }
    }
}

flv_rc flv__sm_imports_check(const struct flv__wasm *w, struct flv_err *err)
{
    struct flv__wasm_vec rest = w->imports;
    struct flv__wasm_import import;
    char missing[140] = "";
    bool copies = false;

    while (flv__wasm_next_import(&rest, &import)) {
        const struct import *f = find(w, &import);

        if (f == NULL) {
            add_name(missing, sizeof(missing), &import);
        }
        copies = copies || f == &copy;
    }
    if (missing[0] != '\0') {
        return flv_fail(err, FLV_E_INVALID,
                        "imports what no host of SmartModules provides: %s",
                        missing);
    }
    if (!copies) {
        return flv_fail(err, FLV_E_INVALID,
                        "not a SmartModule: it does not import copy_records "
                        "(ptr i32, len i32)");
    }
    return FLV_OK;
}

/* --- the calls ---------------------------------------------------------- */

static wasm_trap_t *call_copy(void *env,
                              wasmtime_caller_t *caller,
                              wasmtime_val_raw_t *values,
                              size_t count)
{
    struct flv__inst *in = flv__wt.wasmtime_context_get_data(
        flv__wt.wasmtime_caller_context(caller));

    (void)env;
    (void)count;
    in->announced = true;
    in->out_ptr = (uint32_t)values[0].i32;
    in->out_len = (uint32_t)values[1].i32;
    return NULL;
}

static wasm_trap_t *call_wasi(void *env,
                              wasmtime_caller_t *caller,
                              wasmtime_val_raw_t *values,
                              size_t count)
{
    const struct import *f = env;
    wasmtime_context_t *ctx = flv__wt.wasmtime_caller_context(caller);
    struct call c = {
        .in = flv__wt.wasmtime_context_get_data(ctx),
        .args = values,
    };
    wasmtime_extern_t item;

    (void)count;
    if (f->answer == NULL) {
        static const char text[] = "the module called proc_exit";

        return flv__wt.wasmtime_trap_new(text, sizeof(text) - 1);
    }
    if (flv__wt.wasmtime_caller_export_get(caller, "memory", 6, &item) &&
        item.kind == WASMTIME_EXTERN_MEMORY) {
        c.memory = flv__wt.wasmtime_memory_data(ctx, &item.of.memory);
        c.size = flv__wt.wasmtime_memory_data_size(ctx, &item.of.memory);
    }
    values[0].i32 = (int32_t)f->answer(&c);
    return NULL;
}

static void fill_types(wasm_valtype_vec_t *v, const char *letters)
{
    wasm_valtype_t *types[16];
    size_t n = strlen(letters);

    for (size_t i = 0; i < n; i++) {
        types[i] =
            flv__wt.wasm_valtype_new(letters[i] == 'I' ? WASM_I64 : WASM_I32);
    }
    flv__wt.wasm_valtype_vec_new(v, n, types);
}

flv_rc flv__sm_imports_define(const struct flv__wasm *w,
                              wasmtime_linker_t *linker,
                              struct flv_err *err)
{
    struct flv__wasm_vec rest = w->imports;
    struct flv__wasm_import import;

    flv__wt.wasmtime_linker_allow_shadowing(linker, true);
    while (flv__wasm_next_import(&rest, &import)) {
        const struct import *f = find(w, &import);
        wasm_valtype_vec_t params, results;
        wasm_functype_t *type;
        wasmtime_error_t *error;

        if (f == NULL) {
            return flv_fail(err, FLV_E_INVALID, "import that was not checked");
        }
        fill_types(&params, f->params);
        fill_types(&results, f->results);
        type = flv__wt.wasm_functype_new(&params, &results);
        error = flv__wt.wasmtime_linker_define_func_unchecked(
            linker, (const char *)import.module.data, import.module.len,
            (const char *)import.name.data, import.name.len, type,
            f == &copy ? call_copy : call_wasi, (void *)(uintptr_t)f, NULL);
        flv__wt.wasm_functype_delete(type);
        if (error != NULL) {
            char text[120];

            flv__wt_error_text(error, text, sizeof(text));
            return flv_fail(err, FLV_E_INVALID, "cannot link: %s", text);
        }
    }
    return FLV_OK;
}
