/* Modules that mean harm: refused, or one error on one record; the host and
 * its memory are as before. */
#include "util.h"

#include "base/clock.h"
#include "base/mem.h"
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct flv_sm_budget small = {
    .fuel = 2000000,
    .memory_bytes = (size_t)4 << 20,
    .output_records = 10000,
    .output_bytes = (size_t)1 << 20,
};

#define FILTER_HEAD                                                            \
    "(func (export \"filter\") (param $p i32) (param $n i32) (param $v i32)"   \
    " (result i32) "

static void refuses(const char *body, const char *why)
{
    struct flv_err err = {0};
    struct flv_sm_chain *c = chain_of_body(body, &small, &err);

    assert_null(c);
    assert_int_equal(err.rc, FLV_E_INVALID);
    if (strstr(err.text, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    }
}

static void what_loops_before_the_first_record_is_refused(void **state)
{
    (void)state;
    refuses("(func $s (loop $l (br $l))) (start $s)" FILTER_HEAD
            "(i32.const 0))",
            "used up its fuel of 2000000");
    refuses("(func (export \"init\") (param i32 i32 i32) (result i32)"
            " (loop $l (br $l)) (i32.const 0))" FILTER_HEAD "(i32.const 0))",
            "used up its fuel");
    refuses("(func $s unreachable) (start $s)" FILTER_HEAD "(i32.const 0))",
            "unreachable");
    refuses("(func (export \"init\") (param i32 i32 i32) (result i32)"
            " (i32.const -10))" FILTER_HEAD "(i32.const 0))",
            "init gave -10: it cannot read its parameters");
    /* says that it has words, and has none */
    refuses("(func (export \"init\") (param i32 i32 i32) (result i32)"
            " (i32.const -2))" FILTER_HEAD "(i32.const 0))",
            "did not announce its output");
}

static void init_refuses_in_its_own_words(void **state)
{
    (void)state;
    refuses("(data (i32.const 1024) \"\\00\\0bno such key\")"
            "(func (export \"init\") (param i32 i32 i32) (result i32)"
            " (call $copy_records (i32.const 1024) (i32.const 13))"
            " (i32.const -2))" FILTER_HEAD "(i32.const 0))",
            "filter body: no such key");
}

static void fails(const char *body, enum flv_sm_cause cause, const char *why)
{
    struct flv_err err = {0};
    struct flv_sm_chain *c = chain_of_body(body, &small, &err);
    struct flv_sm_result r;

    if (c == NULL) {
        fail_msg("%s", err.text);
    }
    for (int i = 0; i < 3; i++) {
        r = run(c, "a b", false);
        assert_int_equal(r.failed, 2);
        assert_int_equal(r.record_count, 0);
        if (r.failures[0].cause != cause ||
            strstr(r.failures[0].text, why) == NULL) {
            fail_msg("%s: %s", flv_sm_cause_name(r.failures[0].cause),
                     r.failures[0].text);
        }
    }
    flv_sm_chain_destroy(c);
}

static void outputs_that_lie_are_broken(void **state)
{
    (void)state;
    fails(FILTER_HEAD "(call $copy_records (i32.const -1) (i32.const 1))"
                      " (i32.const 0))",
          FLV_SM_BROKEN, "outside its memory");
    fails(FILTER_HEAD "(call $copy_records (i32.const 131071) (i32.const 2))"
                      " (i32.const 0))",
          FLV_SM_BROKEN, "outside its memory");
    fails(FILTER_HEAD "(call $copy_records (i32.const 0) (i32.const 0))"
                      " (i32.const 0))",
          FLV_SM_BROKEN, "ends before its record count");
    fails(FILTER_HEAD "(call $copy_records (i32.const 8) (i32.const 4))"
                      " (i32.const 0))",
          FLV_SM_BROKEN, "ends inside its error");
}

static void more_records_than_there_were_are_broken(void **state)
{
    (void)state;
    fails(FILTER_HEAD
          "(drop (call $begin (local.get $p) (i32.const 4096))) (call $read)"
          "(call $emit (i32.const 0) (i32.const 1024) (i32.const 1))"
          "(call $emit (i32.const 1) (i32.const 1024) (i32.const 1))"
          "(call $emit (i32.const 2) (i32.const 1024) (i32.const 1))"
          "(call $finish))",
          FLV_SM_BROKEN, "gave 3 records for 1");
}

static void huge_outputs_are_refused(void **state)
{
    struct flv_sm_chain *c;
    struct flv_sm_result r;

    (void)state;
    fails(FILTER_HEAD
          "(drop (call $begin (local.get $p) (i32.const 2000000)))"
          "(call $read)"
          "(call $emit (i32.const 0) (i32.const 1024) (i32.const 1500000))"
          "(call $finish))",
          FLV_SM_OUTPUT, "gave 1500");
    c = chain_of(NULL, 1, "array_map");
    r = run(c, "ab * cd", false);
    assert_string_equal(values_of(&r), "a b c d");
    assert_int_equal(r.failures[0].cause, FLV_SM_OUTPUT);
    assert_non_null(strstr(r.failures[0].text, "gave 20000 records for one"));
    flv_sm_chain_destroy(c);
}

/* The prelude has an alloc; a body cannot have another: these stand alone. */
#define ALONE(alloc)                                                           \
    "(import \"env\" \"copy_records\" (func $copy_records (param i32 i32)))"   \
    "(memory (export \"memory\") 2)"                                           \
    "(func (export \"alloc\") (param i32) (result i32) " alloc ")" FILTER_HEAD \
    "(i32.const 0))"

static void
alloc_fails(const char *body, enum flv_sm_cause cause, const char *why)
{
    struct flv_slice wasm = assemble_body(false, body);
    struct flv_sm_step step = {.budget = small};
    struct flv_sm_chain *c = NULL;
    struct flv_err err = {0};
    struct flv_sm_result r;

    assert_int_equal(
        flv_sm_module_create(&step.module, engine, "alone", wasm, &err),
        FLV_OK);
    assert_int_equal(flv_sm_chain_create(&c, &step, 1, &err), FLV_OK);
    r = run(c, "a", false);
    assert_int_equal(r.failures[0].cause, cause);
    assert_non_null(strstr(r.failures[0].text, why));
    flv_sm_chain_destroy(c);
    flv_sm_module_unref(step.module);
    free_slice(wasm);
}

static void alloc_may_lie_loop_and_trap(void **state)
{
    (void)state;
    alloc_fails(ALONE("(i32.const -16)"), FLV_SM_BROKEN, "outside its memory");
    alloc_fails(ALONE("(i32.const 131070)"), FLV_SM_BROKEN,
                "outside its memory");
    alloc_fails(ALONE("(i32.const 0)"), FLV_SM_MEMORY, "has no room");
    alloc_fails(ALONE("(loop $l (br $l)) (i32.const 0)"), FLV_SM_FUEL, "fuel");
    alloc_fails(ALONE("unreachable"), FLV_SM_TRAP, "unreachable");
    alloc_fails(ALONE("(i32.const 1024)"), FLV_SM_BROKEN, "did not announce");
}

/* Writes `text` to standard error `times` times, then `last`, then traps. */
static void traps_with_words(const char *text,
                             int times,
                             const char *last,
                             void (*check)(const struct flv_sm_failure *f))
{
    char body[4096];
    struct flv_slice wasm;
    struct flv_sm_step step = {.budget = small};
    struct flv_sm_chain *c = NULL;
    struct flv_err err = {0};
    struct flv_sm_result r;

    snprintf(body, sizeof(body),
             "(import \"env\" \"copy_records\" (func (param i32 i32)))"
             "(import \"wasi_snapshot_preview1\" \"fd_write\""
             " (func $w (param i32 i32 i32 i32) (result i32)))"
             "(memory (export \"memory\") 1)"
             "(data (i32.const 1024) \"%s\") (data (i32.const 3072) \"%s\")"
             "(func (export \"alloc\") (param i32) (result i32)"
             " (i32.const 8192)) " FILTER_HEAD "(local $i i32)"
             "(i32.store (i32.const 8) (i32.const 1024))"
             "(i32.store (i32.const 12) (i32.const %zu))"
             "(block $done (loop $more"
             " (br_if $done (i32.ge_s (local.get $i) (i32.const %d)))"
             " (local.set $i (i32.add (local.get $i) (i32.const 1)))"
             " (drop (call $w (i32.const 2) (i32.const 8) (i32.const 1)"
             "  (i32.const 16))) (br $more)))"
             "(i32.store (i32.const 8) (i32.const 3072))"
             "(i32.store (i32.const 12) (i32.const %zu))"
             "(drop (call $w (i32.const 2) (i32.const 8) (i32.const 1)"
             " (i32.const 16))) unreachable)",
             text, last, strlen(text), times, strlen(last));
    wasm = assemble_body(false, body);
    assert_int_equal(
        flv_sm_module_create(&step.module, engine, "says", wasm, &err), FLV_OK);
    assert_int_equal(flv_sm_chain_create(&c, &step, 1, &err), FLV_OK);
    r = run(c, "a", false);
    assert_int_equal(r.failures[0].cause, FLV_SM_TRAP);
    check(&r.failures[0]);
    flv_sm_chain_destroy(c);
    flv_sm_module_unref(step.module);
    free_slice(wasm);
}

static void check_all(const struct flv_sm_failure *f)
{
    assert_true(flv_slice_eq_str(f->hint, "panicked at src/lib.rs:1: boom"));
    assert_non_null(
        strstr(f->text, "; it said: panicked at src/lib.rs:1: boom"));
    assert_null(strstr(f->text, "note:"));
}

static void check_cut(const struct flv_sm_failure *f)
{
    assert_int_equal(f->hint.len, 1024);
    assert_memory_equal(f->hint.data, "...", 3);
    assert_memory_equal(f->hint.data + 1024 - 14, "the last words", 14);
    assert_non_null(strstr(f->text, "; it said: ..."));
    assert_string_equal(f->text + strlen(f->text) - 14, "the last words");
}

static void the_last_words_of_a_module_are_kept(void **state)
{
    static char line[1200];

    (void)state;
    restore_signals();
    traps_with_words("", 0,
                     "panicked at src/lib.rs:1: boom note: run with "
                     "`RUST_BACKTRACE=1` environment variable",
                     check_all);
    traps_with_words("some words that nobody needs ", 300, "the last words",
                     check_cut);
    memset(line, 'x', sizeof(line) - 1);
    traps_with_words(line, 3, "the last words", check_cut);
}

static void tables_are_few(void)
{
    refuses("(table 1 funcref) (table 1 funcref) (table 1 funcref)"
            "(table 1 funcref) (table 1 funcref)" FILTER_HEAD "(i32.const 0))",
            "table");
}

static void memory_and_tables_have_ceilings(void **state)
{
    struct flv_slice wasm = assemble_body(
        false, "(import \"env\" \"copy_records\" (func (param i32 i32)))"
               "(memory (export \"memory\") 65)"
               "(func (export \"alloc\") (param i32) (result i32) "
               "(i32.const 8))" FILTER_HEAD "(i32.const 0))");
    struct flv_sm_step step = {.budget = small};
    struct flv_sm_chain *c = NULL;
    struct flv_err err = {0};

    (void)state;
    assert_int_equal(
        flv_sm_module_create(&step.module, engine, "big", wasm, &err), FLV_OK);
    assert_int_equal(flv_sm_chain_create(&c, &step, 1, &err), FLV_E_INVALID);
    assert_non_null(strstr(err.text, "wanted more than its 4 MiB"));
    flv_sm_module_unref(step.module);
    free_slice(wasm);
    /* a table that grows until it is refused, then a trap */
    fails("(table $t 1 funcref)" FILTER_HEAD
          "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) "
          "(i32.const 1000)) (i32.const -1)))) unreachable)",
          FLV_SM_TRAP, "unreachable");
    /* one step beyond the ceiling */
    fails("(table $t 1 funcref)" FILTER_HEAD
          "(if (i32.ne (table.grow $t (ref.null func) (i32.const 100000)) "
          "(i32.const -1)) (then (loop $l (br $l)))) unreachable)",
          FLV_SM_TRAP, "unreachable");
    tables_are_few();
}

static void a_deadline_ends_what_fuel_does_not(void **state)
{
    const struct flv_sm_budget budget = {.fuel = UINT64_MAX / 4, .cpu_ms = 30};
    struct flv_sm_chain *c = chain_of(&budget, 1, "filter");
    uint64_t begin = flv_clock_thread_ns(), took;
    struct flv_sm_result r = run(c, "k1 loop k2", false);

    (void)state;
    took = (flv_clock_thread_ns() - begin) / 1000000;
    assert_string_equal(values_of(&r), "k1 k2");
    assert_int_equal(r.failures[0].cause, FLV_SM_DEADLINE);
    assert_string_equal(
        r.failures[0].text,
        "filter filter: took more than its 30 ms of processor time");
    /* Twice (batch and replay), and a tick each; the rest is a busy machine. */
    assert_true(took >= 60 && took < 1000);
    flv_sm_chain_destroy(c);
}

/* How often this thread was off its core, by itself or because it had to. */
static long times_away(void)
{
    struct rusage use;

    assert_int_equal(getrusage(RUSAGE_THREAD, &use), 0);
    return use.ru_nvcsw + use.ru_nivcsw;
}

static void what_only_computes_leaves_its_core_now_and_then(void **state)
{
    const struct flv_sm_budget budget = {.fuel = UINT64_MAX / 4, .cpu_ms = 100};
    struct flv_sm_chain *c = chain_of(&budget, 1, "filter");
    long before = times_away();
    struct flv_sm_result r = run(c, "loop", false);

    (void)state;
    assert_int_equal(r.failures[0].cause, FLV_SM_DEADLINE);
    /* A hundred times, but for ticks that came late. */
    assert_true(times_away() - before >= 15);
    flv_sm_chain_destroy(c);
}

static void calls_into_the_host_end_at_the_deadline(void **state)
{
    const struct flv_sm_budget budget = {.fuel = UINT64_MAX / 4, .cpu_ms = 30};
    struct flv_err err = {0};
    struct flv_sm_chain *c =
        chain_of_body(FILTER_HEAD "(loop $l (call $copy_records (i32.const 0)"
                                  " (i32.const 0)) (br $l)) (i32.const 0))",
                      &budget, &err);
    struct flv_sm_result r = run(c, "a", false);

    (void)state;
    assert_int_equal(r.failures[0].cause, FLV_SM_DEADLINE);
    flv_sm_chain_destroy(c);
}

static long resident_kb(void)
{
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &size, &resident), 2);
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void memory_goes_back_to_where_it_was(void **state)
{
    /* Touches all the memory that it can have, then traps. */
    struct flv_slice wasm = assemble_body(
        true, FILTER_HEAD "(local $m i32) (loop $g (br_if $g (i32.ne "
                          "(memory.grow (i32.const 16)) (i32.const -1)))) "
                          "(local.set $m (i32.mul (memory.size) (i32.const "
                          "65536))) (memory.fill (i32.const 4096) (i32.const "
                          "1) (i32.sub (local.get $m) (i32.const 4096))) "
                          "unreachable)");
    struct flv_sm_step step = {.budget.memory_bytes = (size_t)24 << 20};
    struct flv_err err = {0};
    long before = 0;

    (void)state;
    assert_int_equal(
        flv_sm_module_create(&step.module, engine, "fat", wasm, &err), FLV_OK);
    for (int i = 0; i < 8; i++) {
        struct flv_sm_chain *c = NULL;
        struct flv_sm_result r;

        assert_int_equal(flv_sm_chain_create(&c, &step, 1, &err), FLV_OK);
        r = run(c, "a b", false);
        assert_int_equal(r.failed, 2);
        assert_int_equal(r.failures[0].cause, FLV_SM_MEMORY);
        flv_sm_chain_destroy(c);
        if (i == 1) {
            before = resident_kb(); /* what is made once is made */
        }
    }
    assert_true(resident_kb() - before < 12 * 1024);
    flv_sm_module_unref(step.module);
    free_slice(wasm);
}

static void a_chain_goes_on_behind_every_failure(void **state)
{
    struct flv_sm_chain *c = chain_of(&small, 2, "filter", "map");
    char words[512] = "";

    (void)state;
    for (int i = 0; i < 20; i++) {
        size_t n = strlen(words);

        snprintf(words + n, sizeof(words) - n, "%s ",
                 i % 3 == 0   ? "kx"
                 : i % 3 == 1 ? "trap"
                              : "wild");
    }
    for (int i = 0; i < 5; i++) {
        struct flv_sm_result r = run(c, words, false);

        assert_int_equal(r.passed, 7);
        assert_int_equal(r.failed, 13);
        r = run(c, "ka kb", false);
        assert_false(r.replayed);
        assert_string_equal(values_of(&r), "KA KB");
    }
    flv_sm_chain_destroy(c);
}

static void look_back_modules_get_their_outputs_back_past_the_mark(void **state)
{
    const struct flv_sm_budget budget = {.recycle_bytes = 65536};
    struct flv_err err = {0};
    /* Leaves its outputs behind until dealloc takes them; one byte of state. */
    struct flv_slice wasm = assemble_body(
        false,
        "(import \"env\" \"copy_records\" (func $copy_records (param i32 "
        "i32))) (memory (export \"memory\") 2)"
        "(global $used (mut i32) (i32.const 65536))"
        "(func $room (param $n i32) (result i32) (local $p i32)"
        " (local.set $p (global.get $used)) (global.set $used (i32.add "
        "(local.get $p) (local.get $n)))"
        " (if (i32.gt_u (global.get $used) (i32.mul (memory.size) (i32.const "
        "65536))) (then (if (i32.eq (memory.grow (i32.const 1)) (i32.const "
        "-1)) (then unreachable)))) (local.get $p))"
        "(func (export \"alloc\") (param i32) (result i32) (i32.const 4096))"
        "(func (export \"dealloc\") (param $p i32) (param $n i32)"
        " (global.set $used (i32.const 65536))"
        " (i32.store8 (i32.const 1025) (i32.const 1)))"
        "(func (export \"look_back\") (param i32 i32 i32) (result i32)"
        " (i32.const 0))" FILTER_HEAD " (local $q i32)"
        " (local.set $q (call $room (i32.const 20000)))"
        " (i32.store8 (i32.const 1024) (i32.add (i32.const 1) (i32.load8_u "
        "(i32.const 1024))))"
        " (memory.fill (local.get $q) (i32.const 0) (i32.const 16))"
        " (call $copy_records (local.get $q) (i32.const 20000))"
        " (i32.const 0))");
    struct flv_sm_step step = {.budget = budget};
    struct flv_sm_chain *c = NULL;
    struct flv_sm_stats stats;

    (void)state;
    assert_int_equal(
        flv_sm_module_create(&step.module, engine, "leaks", wasm, &err),
        FLV_OK);
    assert_int_equal(flv_sm_chain_create(&c, &step, 1, &err), FLV_OK);
    for (int i = 0; i < 200; i++) {
        struct flv_sm_result r = run(c, "a", false);

        assert_int_equal(r.filtered, 1);
    }
    flv_sm_chain_stats(c, 0, &stats);
    assert_int_equal(stats.instances, 1);
    assert_true(stats.memory_bytes < 65536 * 8);
    flv_sm_chain_destroy(c);
    flv_sm_module_unref(step.module);
    free_slice(wasm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_loops_before_the_first_record_is_refused),
        cmocka_unit_test(init_refuses_in_its_own_words),
        cmocka_unit_test(outputs_that_lie_are_broken),
        cmocka_unit_test(more_records_than_there_were_are_broken),
        cmocka_unit_test(huge_outputs_are_refused),
        cmocka_unit_test(alloc_may_lie_loop_and_trap),
        cmocka_unit_test(the_last_words_of_a_module_are_kept),
        cmocka_unit_test(memory_and_tables_have_ceilings),
        cmocka_unit_test(a_deadline_ends_what_fuel_does_not),
        cmocka_unit_test(what_only_computes_leaves_its_core_now_and_then),
        cmocka_unit_test(calls_into_the_host_end_at_the_deadline),
        cmocka_unit_test(memory_goes_back_to_where_it_was),
        cmocka_unit_test(a_chain_goes_on_behind_every_failure),
        cmocka_unit_test(
            look_back_modules_get_their_outputs_back_past_the_mark),
    };

    return cmocka_run_group_tests(tests, setup_engine, teardown_engine);
}
