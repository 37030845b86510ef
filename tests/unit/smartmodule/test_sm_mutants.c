/* Ten thousand damaged modules: each is refused, or runs within its budget.
 * FLV_MUTANTS in the environment says how many, FLV_MUTANTS_SEED which; the
 * seed that is printed before each ten thousand leads to them alone. */
#include "util.h"

#include "base/mem.h"
#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>

/* As small as a module can be that allocates, loops, calls and answers: its
 * output is its input's section, and the zero of the empty parameters behind
 * it says that there was no error. */
static const char small[] =
    "(import \"env\" \"copy_records\" (func $copy (param i32 i32)))"
    "(memory (export \"memory\") 1)"
    "(global $top (mut i32) (i32.const 1024))"
    "(func $alloc (export \"alloc\") (param i32) (result i32)"
    " (global.get $top)"
    " (global.set $top (i32.add (global.get $top) (local.get 0)))"
    " (if (i32.gt_u (global.get $top) (i32.const 60000))"
    "  (then (drop (memory.grow (i32.const 1))))))"
    "(func $sum (param $p i32) (param $n i32) (result i32) (local $s i32)"
    " (loop $more"
    "  (local.set $s (i32.add (local.get $s) (i32.load8_u (local.get $p))))"
    "  (local.set $p (i32.add (local.get $p) (i32.const 1)))"
    "  (local.set $n (i32.sub (local.get $n) (i32.const 1)))"
    "  (br_if $more (local.get $n)))"
    " (local.get $s))"
    "(func (export \"filter\") (param i32 i32 i32) (result i32)"
    " (i32.store (i32.const 16) (call $sum (local.get 0) (local.get 1)))"
    " (call $copy (i32.add (local.get 0) (i32.const 12))"
    "  (i32.sub (local.get 1) (i32.const 12)))"
    " (i32.const 0))";

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return random_state >> 33;
}

static uint64_t number(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    uint64_t value = fallback;

    if (text != NULL) {
        assert_int_equal(flv_text_u64(text, 1, UINT64_MAX, &value, NULL),
                         FLV_OK);
    }
    return value;
}

/* Bytes changed, moved, cut: behind the magic, and mostly in the code. */
static size_t mutate(uint8_t *p, size_t len)
{
    for (uint64_t n = 1 + (random_next() % 4 == 0); n > 0; n--) {
        size_t at = 8 + random_next() % (len - 8);

        switch (random_next() % 8) {
        case 0:
            p[at] ^= (uint8_t)(1U << random_next() % 8);
            break;
        case 1: {
            size_t from = 8 + random_next() % (len - 8);
            size_t size = 1 + random_next() % 8;

            size = size < len - at ? size : len - at;
            size = size < len - from ? size : len - from;
            memmove(p + at, p + from, size);
            break;
        }
        case 2:
            if (random_next() % 16 == 0) {
                len = at > 16 ? at : len;
            }
            break;
        case 3:
            p[at]++;
            break;
        default:
            p[at] = (uint8_t)random_next();
            break;
        }
    }
    return len;
}

enum fate { REFUSED, NOT_STARTED, RAN, FATES };

static enum fate try_one(struct flv_slice wasm)
{
    struct flv_sm_step step = {.budget = {.fuel = 100000,
                                          .cpu_ms = 200,
                                          .memory_bytes = (size_t)2 << 20,
                                          .output_records = 100,
                                          .output_bytes = 65536}};
    struct flv_sm_chain *c = NULL;
    struct flv_err err = {0};
    struct flv_sm_result r;

    if (flv_sm_module_create(&step.module, engine, "mutant", wasm, &err) !=
        FLV_OK) {
        assert_int_not_equal(err.text[0], '\0');
        return REFUSED;
    }
    if (flv_sm_chain_create(&c, &step, 1, &err) != FLV_OK) {
        flv_sm_module_unref(step.module);
        return NOT_STARTED;
    }
    flv_sm_module_unref(step.module);
    r = run(c, "k1 x k2", false);
    for (size_t i = 0; i < r.record_count; i++) {
        assert_true(r.records[i].origin < 3);
    }
    for (size_t i = 0; i < r.failure_count; i++) {
        assert_int_not_equal(r.failures[i].text[0], '\0');
    }
    flv_sm_chain_destroy(c);
    return RAN;
}

static void mutants_are_refused_or_run_within_their_budget(void **state)
{
    struct flv_slice wasm = assemble_body(false, small);
    size_t count = number("FLV_MUTANTS", 10000), fates[FATES] = {0};
    uint8_t *copy = flv_alloc(wasm.len);

    (void)state;
    random_state = number("FLV_MUTANTS_SEED", 22);
    for (size_t i = 0; i < count; i++) {
        if (i % 10000 == 0) {
            print_message("# mutant %zu: FLV_MUTANTS_SEED=%llu\n", i,
                          (unsigned long long)random_state);
        }
        memcpy(copy, wasm.data, wasm.len);
        fates[try_one(flv_slice(copy, mutate(copy, wasm.len)))]++;
    }
    print_message("# %zu mutants: %zu refused, %zu not started, %zu ran\n",
                  count, fates[REFUSED], fates[NOT_STARTED], fates[RAN]);
    /* The mutants are worth something: many get through to their code. */
    assert_true(fates[RAN] > count / 10);
    flv_free(copy);
    free_slice(wasm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutants_are_refused_or_run_within_their_budget),
    };

    return cmocka_run_group_tests(tests, setup_engine, teardown_engine);
}
