/* What is a SmartModule, what is refused and why; the folder of compiled
 * modules. */
#include "util.h"

#include "base/mem.h"
#include "smartmodule/cache.h"
#include "tmpdir.h"
#include "wire/compress.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY "(import \"env\" \"copy_records\" (func (param i32 i32)))"
#define FRAME                                                                  \
    "(memory (export \"memory\") 1)"                                           \
    "(func (export \"alloc\") (param i32) (result i32) (i32.const 8))"
#define ENTRY(name)                                                            \
    "(func (export \"" name "\") (param i32 i32 i32) (result i32)"             \
    " (i32.const 0))"

static void refuses(struct flv_slice wasm, flv_rc rc, const char *why)
{
    struct flv_sm_module_info info;
    struct flv_sm_module *m = NULL;
    struct flv_err err = {0};

    assert_int_equal(flv_sm_inspect(wasm, &info, &err), rc);
    if (strstr(err.text, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    }
    assert_int_equal(flv_sm_module_create(&m, engine, "it", wasm, &err), rc);
    assert_non_null(strstr(err.text, why));
    assert_non_null(strstr(err.text, "SmartModule it: "));
}

static void refuses_text(const char *text, const char *why)
{
    struct flv_slice wasm = assemble_body(false, text);

    refuses(wasm, FLV_E_INVALID, why);
    free_slice(wasm);
}

static void what_is_no_smartmodule_is_refused_with_the_reason(void **state)
{
    static const uint8_t component[] = {0, 'a', 's', 'm', 13, 0, 1, 0};

    (void)state;
    refuses(flv_slice_str(""), FLV_E_INVALID, "not WebAssembly: 0 bytes");
    refuses(flv_slice_str("(module)"), FLV_E_INVALID, "not WebAssembly");
    refuses(flv_slice(component, 8), FLV_E_INVALID, "component");
    refuses(flv_slice_str("\x1f\x8b no gzip"), FLV_E_INVALID, "damaged gzip");
    refuses_text("", "exports none of filter, map");
    refuses_text(COPY ENTRY("filter"), "does not export its memory");
    refuses_text(COPY "(memory (export \"memory\") 1)" ENTRY("filter"),
                 "does not export alloc");
    refuses_text(COPY FRAME "(func (export \"filter\"))", "exports none of");
    refuses_text(COPY FRAME "(func (export \"dealloc\"))" ENTRY("filter"),
                 "its dealloc is not");
    refuses_text(FRAME ENTRY("filter"), "does not import copy_records");
}

static void imports_that_nobody_provides_are_named(void **state)
{
    (void)state;
    refuses_text(
        "(import \"env\" \"open_files\" (func))"
        "(import \"wasi_snapshot_preview1\" \"fd_write\" (func))"
        "(import \"host\" \"key\" (global i32))" COPY FRAME ENTRY("map"),
        "env.open_files, wasi_snapshot_preview1.fd_write, host.key");
    refuses_text(
        "(import \"env\" \"copy_records\" (func (param i64)))" FRAME ENTRY(
            "map"),
        "env.copy_records");
}

static void the_first_known_entry_decides(void **state)
{
    static const char *const names[] = {"filter", "map", "filter_map",
                                        "array_map", "aggregate"};

    (void)state;
    for (int first = 0; first < FLV_SM_KIND_COUNT; first++) {
        struct flv_sm_module_info info;
        struct flv_err err = {0};
        struct flv_slice wasm;
        char text[2048];
        size_t n = (size_t)snprintf(text, sizeof(text), "%s%s%s%s", COPY, FRAME,
                                    ENTRY("init"), ENTRY("look_back"));

        for (int i = FLV_SM_KIND_COUNT - 1; i >= first; i--) {
            n += (size_t)snprintf(text + n, sizeof(text) - n,
                                  "(func (export \"%s\") (param i32 i32 i32) "
                                  "(result i32) (i32.const 0))",
                                  names[i]);
        }
        wasm = assemble_body(false, text);
        assert_int_equal(flv_sm_inspect(wasm, &info, &err), FLV_OK);
        assert_int_equal(info.kind, first);
        assert_string_equal(flv_sm_kind_name(info.kind), names[first]);
        assert_true(info.has_init && info.has_look_back);
        assert_int_equal(info.wasm_bytes, wasm.len);
        free_slice(wasm);
    }
}

static void a_packed_module_is_the_same_module(void **state)
{
    struct flv_slice wasm = assemble("filter");
    struct flv_compressor *z = flv_compressor_create();
    struct flv_sm_module *plain = NULL, *packed = NULL;
    struct flv_err err = {0};
    struct flv_buf b;

    (void)state;
    flv_buf_init(&b, 1 << 20);
    assert_int_equal(flv_compress(z, FLV_CODEC_GZIP, wasm, &b, &err), FLV_OK);
    assert_int_equal(flv_sm_module_create(&plain, engine, "a", wasm, &err),
                     FLV_OK);
    assert_int_equal(
        flv_sm_module_create(&packed, engine, "b", flv_buf_slice(&b), &err),
        FLV_OK);
    assert_string_equal(flv_sm_module_info(plain).hash,
                        flv_sm_module_info(packed).hash);
    assert_int_equal(flv_sm_module_info(packed).wasm_bytes, wasm.len);
    flv_sm_module_unref(plain);
    flv_sm_module_unref(packed);
    /* cut anywhere it is damaged */
    for (size_t len = 2; len < b.len; len += 97) {
        struct flv_sm_module_info info;

        assert_int_equal(flv_sm_inspect(flv_slice(b.data, len), &info, &err),
                         FLV_E_INVALID);
    }
    flv_buf_deinit(&b);
    flv_compressor_destroy(z);
    free_slice(wasm);
}

static void a_module_that_unpacks_without_end_is_refused(void **state)
{
    struct flv_compressor *z = flv_compressor_create();
    size_t size = FLV_SM_WASM_BYTES_MAX + 1;
    uint8_t *zeros = flv_zalloc(1, size);
    struct flv_sm_module_info info;
    struct flv_err err = {0};
    struct flv_buf b;

    (void)state;
    flv_buf_init(&b, 1 << 20);
    assert_int_equal(
        flv_compress(z, FLV_CODEC_GZIP, flv_slice(zeros, size), &b, &err),
        FLV_OK);
    assert_int_equal(flv_sm_inspect(flv_buf_slice(&b), &info, &err),
                     FLV_E_LIMIT);
    assert_int_equal(flv_sm_inspect(flv_slice(zeros, size), &info, &err),
                     FLV_E_LIMIT);
    flv_buf_deinit(&b);
    flv_free(zeros);
    flv_compressor_destroy(z);
}

static void wasi_gives_harmless_answers(void **state)
{
    /* One letter per answer: all must be as WASI has them for a program
     * without files, arguments and environment. */
    static const char body[] =
        "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param "
        "i32 i32 i32 i32) (result i32)))"
        "(import \"wasi_snapshot_preview1\" \"path_open\" (func $open (param "
        "i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"
        "(import \"wasi_snapshot_preview1\" \"environ_sizes_get\" (func $env "
        "(param i32 i32) (result i32)))"
        "(import \"wasi_snapshot_preview1\" \"random_get\" (func $random "
        "(param i32 i32) (result i32)))"
        "(import \"wasi_snapshot_preview1\" \"clock_time_get\" (func $clock "
        "(param i32 i64 i32) (result i32)))"
        "(import \"wasi_snapshot_preview1\" \"fd_prestat_get\" (func $prestat "
        "(param i32 i32) (result i32)))"
        "(import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param "
        "i32)))" COPY "(memory (export \"memory\") 1)"
        "(func (export \"alloc\") (param i32) (result i32) (i32.const 4096))"
        "(data (i32.const 64) \"\\50\\00\\00\\00\\05\\00\\00\\00\")"
        "(data (i32.const 80) \"oh no\")"
        "(func $want (param i32 i32) (if (i32.ne (local.get 0) (local.get 1))"
        " (then unreachable)))"
        "(func (export \"filter\") (param i32 i32 i32) (result i32)"
        " (call $want (call $open (i32.const 3) (i32.const 0) (i32.const 0) "
        "(i32.const 0) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const "
        "0) (i32.const 0)) (i32.const 8))"
        " (call $want (call $prestat (i32.const 3) (i32.const 0)) (i32.const "
        "8))"
        " (call $want (call $env (i32.const 0) (i32.const 4)) (i32.const 0))"
        " (call $want (i32.load (i32.const 0)) (i32.const 0))"
        " (call $want (call $random (i32.const 0) (i32.const 16)) (i32.const "
        "0))"
        " (call $want (i64.eqz (i64.load (i32.const 8))) (i32.const 0))"
        " (call $want (call $random (i32.const 65530) (i32.const 16)) "
        "(i32.const 21))"
        " (call $want (call $clock (i32.const 0) (i64.const 0) (i32.const 0)) "
        "(i32.const 0))"
        " (call $want (call $clock (i32.const 9) (i64.const 0) (i32.const 0)) "
        "(i32.const 28))"
        " (call $want (call $write (i32.const 7) (i32.const 64) (i32.const 1) "
        "(i32.const 32)) (i32.const 8))"
        " (call $want (call $write (i32.const 1) (i32.const -8) (i32.const 1) "
        "(i32.const 32)) (i32.const 21))"
        " (call $want (call $write (i32.const 2) (i32.const 64) (i32.const 1) "
        "(i32.const 32)) (i32.const 0))"
        " (call $want (i32.load (i32.const 32)) (i32.const 5))"
        " (call $exit (i32.const 1)) (i32.const 0))";
    struct flv_slice wasm = assemble_body(false, body);
    struct flv_sm_step step = {0};
    struct flv_sm_chain *c = NULL;
    struct flv_err err = {0};
    struct flv_sm_result r;

    (void)state;
    if (flv_sm_module_create(&step.module, engine, "wasi", wasm, &err) !=
        FLV_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(flv_sm_chain_create(&c, &step, 1, &err), FLV_OK);
    r = run(c, "a", false);
    assert_string_equal(r.failures[0].text,
                        "filter wasi: trapped: the module called proc_exit; it "
                        "said: oh no");
    flv_sm_chain_destroy(c);
    flv_sm_module_unref(step.module);
    free_slice(wasm);
}

/* --- the folder of compiled modules ------------------------------------- */

static struct flv_sm_engine *engine_with(const char *dir)
{
    const struct flv_sm_engine_conf conf = {.cache_dir = dir};
    struct flv_sm_engine *e = NULL;
    struct flv_err err = {0};

    if (flv_sm_engine_create(&e, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return e;
}

static void load_in(const char *dir)
{
    struct flv_slice wasm = assemble("filter");
    struct flv_sm_engine *e = engine_with(dir);
    struct flv_sm_module *m = NULL;
    struct flv_err err = {0};

    if (flv_sm_module_create(&m, e, "it", wasm, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    flv_sm_module_unref(m);
    flv_sm_engine_destroy(e);
    free_slice(wasm);
}

/* The only file in the folder. */
static void only_file(const char *dir, char *out, size_t size, struct stat *st)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    int found = 0;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(out, size, "%s/%s", dir, entry->d_name);
            found++;
        }
    }
    closedir(d);
    assert_int_equal(found, 1);
    assert_int_equal(stat(out, st), 0);
}

static void a_compiled_module_is_kept_and_used_again(void **state)
{
    struct stat first, second;
    char file[4096];
    struct tmpdir t;

    (void)state;
    tmpdir_make(&t, "smcache");
    snprintf(t.sub, sizeof(t.sub), "%s/deep/modules", t.path);
    load_in(t.sub);
    only_file(t.sub, file, sizeof(file), &first);
    assert_int_equal(first.st_mode & 0777, 0600);
    load_in(t.sub);
    only_file(t.sub, file, sizeof(file), &second);
    assert_int_equal(first.st_ino, second.st_ino);
    tmpdir_remove(&t);
}

static void damaged_and_foreign_files_are_never_loaded(void **state)
{
    struct stat st, now;
    char file[4096];
    struct tmpdir t;

    (void)state;
    tmpdir_make(&t, "smcache");
    load_in(t.sub);
    only_file(t.sub, file, sizeof(file), &st);
    for (int i = 0; i < 6; i++) {
        ino_t before = st.st_ino;
        FILE *f = fopen(file, "r+b");

        assert_non_null(f);
        switch (i) {
        case 0:
            assert_int_equal(ftruncate(fileno(f), st.st_size / 2), 0);
            break;
        case 1:
            assert_int_equal(ftruncate(fileno(f), 0), 0);
            break;
        case 2:
            fseek(f, (long)st.st_size / 2, SEEK_SET);
            fputs("flipped", f);
            break;
        case 3:
            fseek(f, 0, SEEK_SET);
            fputs("something else altogether", f);
            break;
        case 4:
            fseek(f, 0, SEEK_END);
            fputc('x', f);
            break;
        default:
            assert_int_equal(fchmod(fileno(f), 0622), 0);
            break;
        }
        fclose(f);
        load_in(t.sub); /* compiles, and puts a good file in its place */
        only_file(t.sub, file, sizeof(file), &now);
        assert_int_not_equal(now.st_ino, before);
        st = now;
    }
    tmpdir_remove(&t);
}

static void a_folder_that_others_may_write_is_refused(void **state)
{
    struct flv_sm_engine_conf conf = {0};
    struct flv_sm_engine *e = NULL;
    struct flv_err err = {0};
    struct tmpdir t;

    (void)state;
    tmpdir_make(&t, "smcache");
    conf.cache_dir = t.path;
    assert_int_equal(chmod(t.path, 0777), 0);
    assert_int_equal(flv_sm_engine_create(&e, &conf, &err), FLV_E_INVALID);
    assert_non_null(strstr(err.text, "nobody else may write"));
    assert_int_equal(chmod(t.path, 0700), 0);
    tmpdir_write(t.path, "file", "");
    snprintf(t.sub, sizeof(t.sub), "%s/file", t.path);
    conf.cache_dir = t.sub;
    assert_int_not_equal(flv_sm_engine_create(&e, &conf, &err), FLV_OK);
    tmpdir_remove(&t);
}

static void the_oldest_files_go_when_the_folder_is_full(void **state)
{
    char path[256];
    struct tmpdir t;

    (void)state;
    tmpdir_make(&t, "smcache");
    for (int i = 0; i < 5; i++) {
        struct timespec times[2] = {{.tv_sec = 1000 + (i * 3 + 2) % 5},
                                    {.tv_sec = 1000 + (i * 3 + 2) % 5}};

        snprintf(path, sizeof(path), "%d.cwasm", i);
        tmpdir_write(t.path, path, "0123456789");
        snprintf(path, sizeof(path), "%s/%d.cwasm", t.path, i);
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    tmpdir_write(t.path, "notes.txt", "not ours");
    flv__sm_cache_trim(t.path, 25);
    for (int i = 0; i < 5; i++) {
        bool kept = (i * 3 + 2) % 5 >= 3;

        snprintf(path, sizeof(path), "%s/%d.cwasm", t.path, i);
        assert_int_equal(access(path, F_OK), kept ? 0 : -1);
    }
    snprintf(path, sizeof(path), "%s/notes.txt", t.path);
    assert_int_equal(access(path, F_OK), 0);
    tmpdir_remove(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_smartmodule_is_refused_with_the_reason),
        cmocka_unit_test(imports_that_nobody_provides_are_named),
        cmocka_unit_test(the_first_known_entry_decides),
        cmocka_unit_test(a_packed_module_is_the_same_module),
        cmocka_unit_test(a_module_that_unpacks_without_end_is_refused),
        cmocka_unit_test(wasi_gives_harmless_answers),
        cmocka_unit_test(a_compiled_module_is_kept_and_used_again),
        cmocka_unit_test(damaged_and_foreign_files_are_never_loaded),
        cmocka_unit_test(a_folder_that_others_may_write_is_refused),
        cmocka_unit_test(the_oldest_files_go_when_the_folder_is_full),
    };

    return cmocka_run_group_tests(tests, setup_engine, teardown_engine);
}
