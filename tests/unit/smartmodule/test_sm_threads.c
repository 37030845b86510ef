/* Modules shared by threads, the ticker among calls, engines side by side. */
#include "util.h"

#include "base/mem.h"
#include "wasm_signals.h"
#include <pthread.h>
#include <stdio.h>

#define THREADS 3
#define ROUNDS 40

struct worker {
    pthread_t thread;
    struct flv_sm_module *module;
    bool ok;
};

/* No assertions off the test's thread: the outcome is checked behind it. */
static void *work(void *arg)
{
    struct worker *w = arg;
    struct flv_sm_step step = {.module = w->module, .budget = {.fuel = 200000}};
    struct flv_sm_chain *c = NULL;
    struct flv_err err;
    struct batch b;
    bool ok = flv_sm_chain_create(&c, &step, 1, &err) == FLV_OK;

    batch_make(&b, "k1 trap x loop k2");
    for (int i = 0; ok && i < ROUNDS; i++) {
        const struct flv_sm_input in = {.section = flv_buf_slice(&b.section)};
        struct flv_sm_result r;

        ok = flv_sm_chain_run(c, &in, false, &r, &err) == FLV_OK &&
             r.passed == 2 && r.filtered == 1 && r.failed == 2 &&
             r.failures[0].cause == FLV_SM_TRAP &&
             r.failures[1].cause == FLV_SM_FUEL;
    }
    batch_free(&b);
    flv_sm_chain_destroy(c);
    w->ok = ok;
    return NULL;
}

static void threads_share_a_module(void **state)
{
    struct worker workers[THREADS] = {0};
    struct flv_sm_module *m = module_of("filter");
    pthread_attr_t attr;

    (void)state;
    restore_signals();
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, FLV_SM_THREAD_STACK_BYTES);
    for (int i = 0; i < THREADS; i++) {
        workers[i].module = m;
        assert_int_equal(
            pthread_create(&workers[i].thread, &attr, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_true(workers[i].ok);
    }
    pthread_attr_destroy(&attr);
    flv_sm_module_unref(m);
}

static void a_chain_goes_from_thread_to_thread(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "aggregate");

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct flv_sm_result r = run(c, "a", false);

        assert_int_equal(r.records[0].value.len, (size_t)i + 1);
    }
    flv_sm_chain_destroy(c);
}

static void the_ticker_wakes_and_sleeps_with_the_calls(void **state)
{
    const struct flv_sm_budget budget = {.fuel = UINT64_MAX / 4, .cpu_ms = 20};
    struct flv_sm_chain *c = chain_of(&budget, 1, "filter");

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct flv_sm_result r = run(c, "loop", false);

        assert_int_equal(r.failures[0].cause, FLV_SM_DEADLINE);
        r = run(c, "k", false);
        assert_int_equal(r.passed, 1);
    }
    flv_sm_chain_destroy(c);
}

static void engines_come_and_go(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        const struct flv_sm_engine_conf conf = {0};
        struct flv_sm_engine *e = NULL;
        struct flv_err err = {0};

        assert_int_equal(flv_sm_engine_create(&e, &conf, &err), FLV_OK);
        flv_sm_engine_destroy(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_a_module),
        cmocka_unit_test(a_chain_goes_from_thread_to_thread),
        cmocka_unit_test(the_ticker_wakes_and_sleeps_with_the_calls),
        cmocka_unit_test(engines_come_and_go),
    };

    return cmocka_run_group_tests(tests, setup_engine, teardown_engine);
}
