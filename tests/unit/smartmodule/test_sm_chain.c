/* Whole batches through modules: outcomes, replay, counters, state. */
#include "util.h"

#include "base/mem.h"
#include <stdio.h>

static const struct flv_sm_budget small = {
    .fuel = 2000000,
    .memory_bytes = (size_t)4 << 20,
};

static void filter_keeps_what_the_module_keeps(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "filter");
    struct flv_sm_result r = run(c, "k1 x2 k3 x4", false);

    (void)state;
    assert_string_equal(values_of(&r), "k1 k3");
    assert_int_equal(r.in, 4);
    assert_int_equal(r.passed, 2);
    assert_int_equal(r.filtered, 2);
    assert_false(r.replayed);
    assert_int_equal(r.records[1].origin, 2);
    assert_int_equal(r.records[1].timestamp_ms, 1000020);
    flv_sm_chain_destroy(c);
}

static void each_hostile_record_fails_alone(void **state)
{
    static const struct {
        const char *word;
        enum flv_sm_cause cause;
        const char *text;
    } cases[] = {
        {"error", FLV_SM_USER_ERROR, "filter filter: error"},
        {"trap", FLV_SM_TRAP, "filter filter: trapped: wasm `unreachable`"},
        {"loop", FLV_SM_FUEL, "filter filter: used up its fuel of 2000000"},
        {"recurse", FLV_SM_TRAP, "filter filter: trapped: call stack"},
        {"memory", FLV_SM_MEMORY, "filter filter: wanted more than its 4 MiB"},
        {"wild", FLV_SM_BROKEN, "filter filter: announced an output of 2147"},
        {"nothing", FLV_SM_BROKEN, "filter filter: did not announce its"},
        {"code", FLV_SM_CODE, "filter filter: filter gave -22: it cannot"},
        {"y", FLV_SM_BROKEN, "filter filter: its output counts 2147483647"},
    };
    struct flv_sm_chain *c = chain_of(&small, 1, "filter");

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char words[64];
        struct flv_sm_result r;

        snprintf(words, sizeof(words), "k1 x2 %s k4 x5", cases[i].word);
        r = run(c, words, false);
        assert_string_equal(values_of(&r), "k1 k4");
        assert_int_equal(r.in, 5);
        assert_int_equal(r.passed, 2);
        assert_int_equal(r.filtered, 2);
        assert_int_equal(r.failed, 1);
        assert_true(r.replayed);
        assert_memory_equal(r.failures[0].text, cases[i].text,
                            strlen(cases[i].text));
        assert_int_equal(r.failures[0].cause, cases[i].cause);
        assert_int_equal(r.failures[0].input, 2);
        assert_true(flv_slice_eq_str(r.failures[0].value, cases[i].word));
        assert_int_equal(r.failures[0].timestamp_ms, 1000020);
        assert_int_equal(r.records[1].origin, 3);
        assert_int_equal(r.records[1].timestamp_ms, 1000030);
    }
    flv_sm_chain_destroy(c);
}

static void an_error_of_the_module_keeps_its_words(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "filter");
    struct flv_sm_result r = run(c, "k1 error-words", false);

    (void)state;
    assert_int_equal(r.failures[0].cause, FLV_SM_USER_ERROR);
    assert_true(flv_slice_eq_str(r.failures[0].hint, "error-words"));
    assert_string_equal(flv_sm_cause_name(r.failures[0].cause), "user-error");
    flv_sm_chain_destroy(c);
}

static void stop_ends_at_the_first_failure(void **state)
{
    struct flv_sm_chain *c = chain_of(&small, 1, "filter");
    struct flv_sm_result r = run(c, "k1 x2 trap k4 trap k6", true);

    (void)state;
    assert_string_equal(values_of(&r), "k1");
    assert_int_equal(r.in, 3);
    assert_int_equal(r.failure_count, 1);
    r = run(c, "k1 k2", true);
    assert_string_equal(values_of(&r), "k1 k2");
    flv_sm_chain_destroy(c);
}

static void a_result_says_how_far_records_came(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 2, "filter", "filter");
    struct flv_sm_result r = run(c, "keep drop keep", false);

    (void)state;
    assert_int_equal(r.reached[0], 3);
    assert_int_equal(r.reached[1], 2);
    r = run(c, "keep error drop keep", false);
    assert_true(r.replayed);
    assert_int_equal(r.reached[0], 4);
    assert_int_equal(r.reached[1], 2);
    r = run(c, "keep error drop keep", true);
    assert_int_equal(r.reached[0], 2);
    assert_int_equal(r.reached[1], 1);
    flv_sm_chain_destroy(c);
}

static void a_replay_can_be_stopped(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "filter");
    atomic_bool stop = true;
    struct flv_sm_result r;
    struct batch b;

    (void)state;
    batch_make(&b, "keep error keep");
    const struct flv_sm_input in = {.section = flv_buf_slice(&b.section),
                                    .stop = &stop};
    assert_int_equal(flv_sm_chain_run(c, &in, false, &r, NULL), FLV_OK);
    assert_int_equal(r.in, 0);
    assert_int_equal(r.record_count + r.failure_count, 0);
    atomic_store(&stop, false);
    assert_int_equal(flv_sm_chain_run(c, &in, false, &r, NULL), FLV_OK);
    assert_int_equal(r.in, 3);
    assert_int_equal(r.failed, 1);
    batch_free(&b);
    flv_sm_chain_destroy(c);
}

/* Runs `words` through each module alone, one behind the other. */
static void one_by_one(const char *words, char out[4096], size_t n, ...)
{
    va_list names;

    snprintf(out, 4096, "%s", words);
    va_start(names, n);
    for (size_t i = 0; i < n; i++) {
        struct flv_sm_chain *c = chain_of(NULL, 1, va_arg(names, const char *));
        struct flv_sm_result r = run(c, out, false);

        snprintf(out, 4096, "%s", values_of(&r));
        flv_sm_chain_destroy(c);
    }
    va_end(names);
}

static void a_chain_equals_its_modules_one_by_one(void **state)
{
    const char *words = "kab x kcd kz kk-k z";
    struct flv_sm_chain *c;
    struct flv_sm_result r;
    char expected[4096];

    (void)state;
    one_by_one(words, expected, 3, "filter", "map", "array_map");
    c = chain_of(NULL, 3, "filter", "map", "array_map");
    r = run(c, words, false);
    assert_string_equal(values_of(&r), expected);
    assert_string_equal(expected, "K A B K C D K Z K K - K");
    assert_int_equal(r.passed, 4);
    assert_int_equal(r.filtered, 2);
    assert_int_equal(r.records[0].origin, FLV_SM_NO_ORIGIN);
    flv_sm_chain_destroy(c);

    one_by_one(words, expected, 3, "map", "array_map", "aggregate");
    c = chain_of(NULL, 3, "map", "array_map", "aggregate");
    r = run(c, words, false);
    assert_string_equal(values_of(&r), expected);
    flv_sm_chain_destroy(c);
}

static void an_empty_chain_passes_everything(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 0);
    struct flv_sm_result r = run(c, "a b c", false);

    (void)state;
    assert_string_equal(values_of(&r), "a b c");
    assert_int_equal(r.passed, 3);
    assert_int_equal(r.records[2].origin, 2);
    flv_sm_chain_destroy(c);
}

static void an_empty_batch_is_no_work(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "filter");
    struct flv_sm_result r = run(c, "", false);

    (void)state;
    assert_int_equal(r.in, 0);
    assert_int_equal(r.record_count, 0);
    flv_sm_chain_destroy(c);
}

static void batch_and_replay_count_the_same(void **state)
{
    /* The trap makes a replay of what would else be a batch. */
    struct flv_sm_chain *c = chain_of(NULL, 2, "map", "array_map");
    struct flv_sm_result r = run(c, "ab - cd", false);

    (void)state;
    assert_false(r.replayed);
    assert_string_equal(values_of(&r), "A B C D");
    assert_int_equal(r.passed, 3);
    assert_int_equal(r.filtered, 0);
    r = run(c, "ab - cd e", false);
    assert_true(r.replayed);
    assert_string_equal(values_of(&r), "A B C D");
    assert_int_equal(r.passed, 3);
    assert_int_equal(r.filtered, 0);
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.failures[0].step, 0);
    r = run(c, "ab", false);
    assert_int_equal(r.records[1].origin, 0); /* alone it can be told */
    flv_sm_chain_destroy(c);
}

static void a_failure_in_a_later_step_names_it(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 3, "filter", "map", "array_map");
    struct flv_sm_result r = run(c, "ka ke T kT", false);

    (void)state;
    assert_false(r.replayed); /* "kT" begins with K there */
    flv_sm_chain_destroy(c);
    c = chain_of(NULL, 2, "map", "array_map");
    r = run(c, "a t b", false);
    assert_string_equal(values_of(&r), "A B");
    assert_int_equal(r.failures[0].step, 1);
    assert_int_equal(r.failures[0].input, 1);
    assert_true(flv_slice_eq_str(r.failures[0].value, "t"));
    flv_sm_chain_destroy(c);
}

static void a_replay_gives_the_same_every_time(void **state)
{
    static const char words[] = "k1 trap x error k2 loop memory k3 wild code";
    char first[4096] = "";

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct flv_sm_chain *c = chain_of(&small, 2, "filter", "map");

        for (int j = 0; j < 3; j++) {
            struct flv_sm_result r = run(c, words, false);
            char text[4096];
            size_t n = (size_t)snprintf(text, sizeof(text), "%s;%u",
                                        values_of(&r), r.filtered);

            for (size_t k = 0; k < r.failure_count; k++) {
                n += (size_t)snprintf(text + n, sizeof(text) - n, ";%u %s",
                                      r.failures[k].input, r.failures[k].text);
            }
            if (first[0] == '\0') {
                memcpy(first, text, sizeof(text));
            }
            assert_string_equal(text, first);
        }
        flv_sm_chain_destroy(c);
    }
}

static void offset_deltas_that_are_no_positions_become_positions(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "filter");
    struct flv_err err = {0};
    struct flv_sm_result r;
    struct batch b;

    (void)state;
    batch_make(&b, "x k k");
    /* record: length, attributes, time, offset delta */
    b.section.data[4 + 3] = 2 * 7;
    const struct flv_sm_input in = {.section = flv_buf_slice(&b.section)};
    assert_int_equal(flv_sm_chain_run(c, &in, false, &r, &err), FLV_OK);
    assert_int_equal(r.records[0].origin, 1);
    assert_int_equal(r.records[1].origin, 2);
    assert_int_equal(r.records[0].timestamp_ms, -1); /* batch without time */
    batch_free(&b);
    flv_sm_chain_destroy(c);
}

static void a_damaged_input_is_the_callers_error(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "filter");
    struct flv_err err = {0};
    struct flv_sm_result r;
    struct batch b;

    (void)state;
    batch_make(&b, "k k");
    for (size_t len = 0; len < b.section.len; len++) {
        const struct flv_sm_input in = {.section =
                                            flv_slice(b.section.data, len)};

        assert_int_equal(flv_sm_chain_run(c, &in, false, &r, &err),
                         FLV_E_CORRUPT);
    }
    flv_put_u32(b.section.data, 1);
    const struct flv_sm_input in = {.section = flv_buf_slice(&b.section)};
    assert_int_equal(flv_sm_chain_run(c, &in, false, &r, &err), FLV_E_CORRUPT);
    batch_free(&b);
    flv_sm_chain_destroy(c);
}

/* --- replays ------------------------------------------------------------ */

static void one_record_is_run_once_unless_others_may_have_failed_it(void **s)
{
    static const char *const words[] = {"error", "code", "loop", "trap",
                                        "memory"};

    (void)s;
    for (size_t i = 0; i < COUNT(words); i++) {
        bool own = i < 2;
        struct flv_sm_chain *c = chain_of(&small, 1, "filter");
        struct flv_sm_stats stats;
        struct flv_sm_result r = run(c, words[i], false);

        assert_int_equal(r.failed, 1);
        assert_false(r.replayed);
        assert_int_equal(r.reached[0], 1);
        assert_true(flv_slice_eq_str(r.failures[0].value, words[i]));
        flv_sm_chain_stats(c, 0, &stats);
        assert_int_equal(stats.calls, 1); /* a fresh instance: no doubt */
        r = run(c, "k", false);
        r = run(c, words[i], false);
        assert_int_equal(r.failed, 1);
        flv_sm_chain_stats(c, 0, &stats);
        assert_int_equal(stats.calls, own ? 3 : 4);
        assert_int_equal(stats.replays, own ? 0 : 1);
        flv_sm_chain_destroy(c);
    }
}

/* "k0 k1 ... kN", with another word at one place. */
static char *words_with(size_t count, size_t at, const char *word)
{
    char *text = flv_alloc(count * 8), *p = text;

    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        p += i == at ? snprintf(p, 8, "%s ", word)
                     : snprintf(p, 8, "k%zu ", i % 1000);
    }
    return text;
}

/* A record in a thousand that fails costs a few calls, not a thousand. */
static void a_failure_is_found_by_halves(void **state)
{
    static const struct {
        const char *word;
        uint64_t calls_max;
    } cases[] = {{"error", 16}, {"trap", 45}, {"code", 45}, {"y", 45}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct flv_sm_chain *c = chain_of(NULL, 2, "filter", "map");
        char *words = words_with(1000, 700, cases[i].word);
        struct flv_sm_result r = run(c, words, false);
        struct flv_sm_stats stats;

        assert_int_equal(r.passed, 999);
        assert_int_equal(r.failed, 1);
        assert_int_equal(r.failures[0].input, 700);
        assert_int_equal(r.record_count, 999);
        for (uint32_t k = 0; k < 999; k++) {
            assert_int_equal(r.records[k].origin, k < 700 ? k : k + 1);
        }
        flv_sm_chain_stats(c, 0, &stats);
        if (stats.calls > cases[i].calls_max) {
            fail_msg("%s: %llu calls", cases[i].word,
                     (unsigned long long)stats.calls);
        }
        flv_free(words);
        flv_sm_chain_destroy(c);
    }
}

/* What took too much for one record is not tried in large parts again. */
static void what_takes_too_much_is_replayed_one_by_one(void **state)
{
    struct flv_sm_chain *c = chain_of(&small, 1, "filter");
    char *words = words_with(300, 200, "loop");
    struct flv_sm_result r = run(c, words, false);
    struct flv_sm_stats stats;

    (void)state;
    assert_int_equal(r.passed, 299);
    assert_int_equal(r.failures[0].cause, FLV_SM_FUEL);
    flv_sm_chain_stats(c, 0, &stats);
    assert_int_equal(stats.calls, 1 + 300);
    assert_true(stats.fuel < 3 * small.fuel);
    flv_free(words);
    flv_sm_chain_destroy(c);
}

/* What became of records, as a text: outputs, then failures. */
static void
note(char *text, size_t size, uint32_t first, const struct flv_sm_result *r)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < r->record_count; i++) {
        n += (size_t)snprintf(text + n, size - n, "%.*s ",
                              (int)r->records[i].value.len,
                              (const char *)r->records[i].value.data);
        assert_true(n < size);
    }
    for (size_t i = 0; i < r->failure_count; i++) {
        n += (size_t)snprintf(text + n, size - n, "[%u %u %s] ",
                              first + r->failures[i].input, r->failures[i].step,
                              r->failures[i].text);
        assert_true(n < size);
    }
}

/* Outputs and failures apart: their order among each other is not told. */
static void
same_in_batches(size_t batch, const char *const *words, size_t count, char *out)
{
    static const char *const chains[][2] = {
        {"filter", "map"}, {"seen", "aggregate"}, {"map", "array_map"}};

    out[0] = '\0';
    for (size_t i = 0; i < COUNT(chains); i++) {
        struct flv_sm_chain *c =
            chain_of(&small, 2, chains[i][0], chains[i][1]);
        char failed[16384] = "";

        for (size_t at = 0; at < count; at += batch) {
            char text[1024] = "";
            struct flv_sm_result r;

            for (size_t k = at; k < count && k < at + batch; k++) {
                snprintf(text + strlen(text), sizeof(text) - strlen(text),
                         "%s ", words[k]);
            }
            r = run(c, text, false);
            for (size_t k = 0; k < r.failure_count; k++) {
                struct flv_sm_result one = {.failures = &r.failures[k],
                                            .failure_count = 1};

                note(failed, sizeof(failed), (uint32_t)at, &one);
            }
            r.failure_count = 0;
            note(out, 32768, 0, &r);
        }
        snprintf(out + strlen(out), 32768 - strlen(out), "| %s |", failed);
        flv_sm_chain_destroy(c);
    }
}

static void batches_of_any_size_have_the_same_outcome(void **state)
{
    static const char *const kinds[] = {"k",      "x",    "kz", "error", "trap",
                                        "code",   "y",    "a",  "-",     "b",
                                        "memory", "wild", "c",  "loop",  "K"};
    static char alone[32768], together[32768];
    uint32_t seed = 7;

    (void)state;
    for (int round = 0; round < 4; round++) {
        const char *words[60];

        for (size_t i = 0; i < COUNT(words); i++) {
            seed = seed * 1103515245 + 12345;
            /* Rarely and often failing ones. */
            words[i] = kinds[(seed >> 16) % (round % 2 ? COUNT(kinds) : 4)];
        }
        same_in_batches(1, words, COUNT(words), alone);
        same_in_batches(60, words, COUNT(words), together);
        assert_string_equal(together, alone);
        same_in_batches(13, words, COUNT(words), together);
        assert_string_equal(together, alone);
    }
}

/* --- canceling ---------------------------------------------------------- */

static const struct flv_sm_budget endless = {.fuel = UINT64_MAX / 4,
                                             .cpu_ms = 600000};

static void what_nobody_waits_for_ends_at_once(void **state)
{
    static const char *const bodies[] = {
        "(func $s (loop $l (br $l))) (start $s)",
        "(func (export \"init\") (param i32 i32 i32) (result i32)"
        " (loop $l (br $l)) (i32.const 0))"};
    atomic_bool cancel = true;
    struct flv_sm_making making = {.cancel = &cancel};

    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        char body[512];
        struct flv_sm_step step = {.budget = endless};
        struct flv_sm_chain *c = NULL;
        struct flv_err err = {0};
        struct flv_slice wasm;

        snprintf(body, sizeof(body),
                 "%s(func (export \"filter\") (param i32 i32 i32)"
                 " (result i32) (i32.const 0))",
                 bodies[i]);
        wasm = assemble_body(true, body);
        restore_signals();
        assert_int_equal(
            flv_sm_module_create(&step.module, engine, "slow", wasm, &err),
            FLV_OK);
        assert_int_equal(flv_sm_chain_make(&c, &step, 1, &making, &err),
                         FLV_E_CANCELED);
        flv_sm_module_unref(step.module);
        free_slice(wasm);
    }
}

static void a_canceled_batch_leaves_what_had_run(void **state)
{
    atomic_bool cancel = false;
    struct flv_sm_making making = {.cancel = &cancel};
    struct flv_sm_step step = {.module = module_of("filter"),
                               .budget = endless};
    struct flv_sm_chain *c = NULL;
    struct flv_err err = {0};
    struct flv_sm_result r;
    struct batch b;

    (void)state;
    restore_signals();
    assert_int_equal(flv_sm_chain_make(&c, &step, 1, &making, &err), FLV_OK);
    r = run(c, "k1 k2", false);
    assert_int_equal(r.passed, 2);
    atomic_store(&cancel, true);
    r = run(c, "k1 loop k2", false);
    assert_int_equal(r.in, 0);
    assert_int_equal(r.record_count + r.failure_count + r.reached[0], 0);
    batch_make(&b, "k");
    const struct flv_sm_input in = {.section = flv_buf_slice(&b.section)};
    assert_int_equal(flv_sm_chain_run(c, &in, false, &r, &err), FLV_E_CANCELED);
    batch_free(&b);
    flv_sm_chain_destroy(c);
    flv_sm_module_unref(step.module);
}

/* --- state -------------------------------------------------------------- */

static void an_accumulator_lives_from_batch_to_batch(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "aggregate");
    struct flv_sm_result r = run(c, "a b", false);

    (void)state;
    assert_string_equal(values_of(&r), "a ab");
    assert_int_equal(r.records[1].origin, 1);
    r = run(c, "c", false);
    assert_string_equal(values_of(&r), "abc");
    flv_sm_chain_destroy(c);
}

static void a_first_accumulator_is_taken(void **state)
{
    struct flv_sm_step step = {.module = module_of("aggregate"),
                               .accumulator = flv_slice_str("xy")};
    struct flv_sm_chain *c = NULL;
    struct flv_err err = {0};
    struct flv_sm_result r;

    (void)state;
    assert_int_equal(flv_sm_chain_create(&c, &step, 1, &err), FLV_OK);
    r = run(c, "z", false);
    assert_string_equal(values_of(&r), "xyz");
    flv_sm_chain_destroy(c);
    flv_sm_module_unref(step.module);
}

static void a_failed_record_leaves_no_trace_in_an_accumulator(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 2, "aggregate", "map");
    struct flv_sm_result r = run(c, "a b t c error d", false);

    (void)state;
    assert_string_equal(values_of(&r), "A AB ABC ABCD");
    assert_int_equal(r.failed, 2);
    r = run(c, "f", false);
    assert_string_equal(values_of(&r), "ABCDF");
    flv_sm_chain_destroy(c);
    /* Also when a later step fails: map takes no values with e. */
    c = chain_of(NULL, 3, "map", "aggregate", "array_map");
    r = run(c, "a b t", false); /* T is trap of array_map: ABT begins with A */
    assert_false(r.replayed);
    flv_sm_chain_destroy(c);
}

static void what_look_back_showed_is_known(void **state)
{
    struct flv_sm_step step = {.module = module_of("seen"),
                               .look_back_last = 10,
                               .look_back_age_ms = 1500};
    struct flv_sm_look_back want;
    struct flv_sm_chain *c = NULL;
    struct flv_err err = {0};
    struct flv_sm_result r;
    struct batch b;

    (void)state;
    assert_int_equal(flv_sm_chain_create(&c, &step, 1, &err), FLV_OK);
    assert_true(flv_sm_chain_wants_look_back(c, 0, &want));
    assert_int_equal(want.step, 0);
    assert_int_equal(want.last, 10);
    assert_int_equal(want.age_ms, 1500);
    assert_false(flv_sm_chain_wants_look_back(c, 1, &want));
    batch_make(&b, "a b");
    assert_int_equal(
        flv_sm_chain_look_back(c, 0, flv_buf_slice(&b.section), &err), FLV_OK);
    batch_free(&b);
    r = run(c, "a c b c d", false);
    assert_string_equal(values_of(&r), "c d");
    batch_make(&b, "xyz!");
    assert_int_equal(
        flv_sm_chain_look_back(c, 0, flv_buf_slice(&b.section), &err),
        FLV_E_INVALID);
    assert_string_equal(err.text, "filter seen: xyz!");
    batch_free(&b);
    flv_sm_chain_destroy(c);
    flv_sm_module_unref(step.module);
}

static void memory_of_look_back_modules_survives_failures(void **state)
{
    struct flv_sm_chain *c = chain_of(NULL, 1, "seen");
    struct flv_sm_look_back want;
    struct flv_sm_result r = run(c, "a b", false);

    (void)state;
    assert_false(flv_sm_chain_wants_look_back(c, 0, &want)); /* not asked to */
    r = run(c, "a c t error d", false);
    assert_string_equal(values_of(&r), "c d");
    assert_int_equal(r.failed, 2);
    r = run(c, "a b c d f", false);
    assert_string_equal(values_of(&r), "f");
    /* Both marked themselves before they failed, and yet did not. */
    r = run(c, "t", false);
    assert_int_equal(r.failures[0].cause, FLV_SM_TRAP);
    flv_sm_chain_destroy(c);
}

/* Its maker has what it takes to make another one. */
static void an_unsaved_chain_is_spent_by_a_failure(void **state)
{
    static const char *const failing[] = {"c error d", "c t"};
    (void)state;
    for (size_t i = 0; i < COUNT(failing); i++) {
        struct flv_sm_chain *c = chain_of(NULL, 1, "seen");
        struct flv_err err = {0};
        struct flv_sm_result r = run(c, "a b", false);
        struct batch b;
        size_t saved = flv_sm_chain_memory(c);

        flv_sm_chain_set_unsaved(c, true);
        assert_true(flv_sm_chain_memory(c) < saved);
        r = run(c, "a c b", false);
        assert_string_equal(values_of(&r), "c");
        flv_sm_chain_set_unsaved(c, false);
        r = run(c, "error f", false); /* now it is brought back */
        assert_string_equal(values_of(&r), "f");
        flv_sm_chain_set_unsaved(c, true);
        batch_make(&b, failing[i]);
        const struct flv_sm_input in = {.section = flv_buf_slice(&b.section)};
        for (int again = 0; again < 2; again++) {
            assert_int_equal(flv_sm_chain_run(c, &in, true, &r, &err),
                             FLV_E_POISONED);
            assert_non_null(strstr(err.text, "SmartModules: "));
        }
        batch_free(&b);
        flv_sm_chain_destroy(c);
    }
}

static void past_the_mark_a_fresh_instance_takes_over(void **state)
{
    const struct flv_sm_budget budget = {.recycle_bytes = 200000};
    struct flv_sm_chain *c = chain_of(&budget, 1, "filter");
    struct flv_sm_stats stats;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct flv_sm_result r = run(c, "k1 x k2", false);

        assert_int_equal(r.record_count, 2);
        flv_sm_chain_stats(c, 0, &stats);
        assert_true(stats.memory_bytes <= 400000);
    }
    assert_true(stats.instances > 5);
    assert_int_equal(stats.calls, 1000);
    assert_int_equal(stats.records, 3000);
    assert_true(stats.fuel > 0 && stats.cpu_ns > 0);
    assert_int_equal(stats.replays, 0);
    flv_sm_chain_destroy(c);
}

/* Beside the memory of the instances. */
static size_t held_besides(const struct flv_sm_chain *c)
{
    struct flv_sm_stats stats;

    flv_sm_chain_stats(c, 0, &stats);
    assert_true(flv_sm_chain_memory(c) >= stats.memory_bytes);
    return flv_sm_chain_memory(c) - stats.memory_bytes;
}

static void what_a_chain_holds_is_counted_and_given_back(void **state)
{
    enum { SIZE = 6 << 20 };
    struct flv_sm_chain *c = chain_of(NULL, 1, "filter");
    char *words = flv_alloc(SIZE + 16);
    struct flv_sm_result r;

    (void)state;
    assert_non_null(words);
    memset(words, 'k', SIZE);
    memcpy(words + SIZE, " error", 7);
    r = run(c, words, false);
    assert_true(r.replayed);
    assert_int_equal(r.passed, 1);
    /* The input, its record alone, and what it became. */
    assert_true(held_besides(c) >= (size_t)3 * SIZE);
    r = run(c, "k", false);
    assert_int_equal(r.passed, 1);
    assert_true(held_besides(c) < SIZE);
    flv_free(words);
    flv_sm_chain_destroy(c);
}

/* 18 records of 15 MB each are more than a call may make: those that find no
 * room beside the others have not failed. */
static void what_finds_no_room_in_a_call_is_left_to_the_next(void **state)
{
    enum { COUNT = 18 };
    struct flv_err err = {0};
    struct flv_sm_chain *c = chain_of_body(
        "(func (export \"filter\") (param $p i32) (param $n i32) (param $v i32)"
        " (result i32) (if (i32.ne (call $begin (local.get $p)"
        " (i32.const 16000000)) (i32.const 1)) (then unreachable)) (call $read)"
        " (call $emit (i32.const 0) (i32.const 1024) (i32.const 15000000))"
        " (call $finish))",
        NULL, &err);
    atomic_bool stop = false;
    struct flv_sm_result r;
    struct batch b;
    uint32_t done;

    (void)state;
    assert_non_null(c);
    restore_signals();
    batch_make(&b, "a a a a a a a a a a a a a a a a a a");
    assert_int_equal(b.count, COUNT);
    struct flv_sm_input in = {.section = flv_buf_slice(&b.section),
                              .stop = &stop};
    assert_int_equal(flv_sm_chain_run(c, &in, false, &r, &err), FLV_OK);
    assert_true(r.in > 10 && r.in < COUNT);
    assert_int_equal(r.passed, r.in);
    assert_int_equal(r.record_count, r.in);
    done = r.in;
    /* For callers that cannot run them again they have failed. */
    in.stop = NULL;
    assert_int_equal(flv_sm_chain_run(c, &in, false, &r, &err), FLV_OK);
    assert_int_equal(r.in, COUNT);
    assert_int_equal(r.failed, COUNT - done);
    assert_int_equal(r.failures[0].cause, FLV_SM_OUTPUT);
    batch_free(&b);
    flv_sm_chain_destroy(c);
}

/* Every allocation of ours fails once: the call says so, or did without. */
static void
no_memory_is_the_hosts_error_and_no_record_fails_for_it(void **state)
{
    struct flv_sm_step steps[2] = {{.module = module_of("seen")},
                                   {.module = module_of("aggregate")}};
    struct batch b;
    uint64_t nth = 0;
    bool failed = true;

    (void)state;
    restore_signals();
    batch_make(&b, "a e b");
    while (failed) {
        const struct flv_sm_input in = {.section = flv_buf_slice(&b.section)};
        struct flv_sm_chain *c = NULL;
        struct flv_sm_result r = {0};
        struct flv_err err = {0};
        flv_rc rc;

        flv__mem_fail_at(++nth);
        rc = flv_sm_chain_create(&c, steps, 2, &err);
        if (rc == FLV_OK) {
            rc = flv_sm_chain_run(c, &in, false, &r, &err);
        }
        failed = flv__mem_fail_at(0) >= nth;
        if (rc == FLV_OK) {
            assert_string_equal(values_of(&r), "a ab");
            assert_int_equal(r.failed, 1);
            assert_int_equal(r.failures[0].cause, FLV_SM_USER_ERROR);
        } else {
            assert_int_equal(rc, FLV_E_NOMEM);
        }
        flv_sm_chain_destroy(c);
    }
    assert_true(nth > 20);
    batch_free(&b);
    flv_sm_module_unref(steps[0].module);
    flv_sm_module_unref(steps[1].module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filter_keeps_what_the_module_keeps),
        cmocka_unit_test(each_hostile_record_fails_alone),
        cmocka_unit_test(an_error_of_the_module_keeps_its_words),
        cmocka_unit_test(stop_ends_at_the_first_failure),
        cmocka_unit_test(a_result_says_how_far_records_came),
        cmocka_unit_test(a_replay_can_be_stopped),
        cmocka_unit_test(a_chain_equals_its_modules_one_by_one),
        cmocka_unit_test(an_empty_chain_passes_everything),
        cmocka_unit_test(an_empty_batch_is_no_work),
        cmocka_unit_test(batch_and_replay_count_the_same),
        cmocka_unit_test(a_failure_in_a_later_step_names_it),
        cmocka_unit_test(a_replay_gives_the_same_every_time),
        cmocka_unit_test(offset_deltas_that_are_no_positions_become_positions),
        cmocka_unit_test(
            one_record_is_run_once_unless_others_may_have_failed_it),
        cmocka_unit_test(a_failure_is_found_by_halves),
        cmocka_unit_test(what_takes_too_much_is_replayed_one_by_one),
        cmocka_unit_test(batches_of_any_size_have_the_same_outcome),
        cmocka_unit_test(what_nobody_waits_for_ends_at_once),
        cmocka_unit_test(a_canceled_batch_leaves_what_had_run),
        cmocka_unit_test(a_damaged_input_is_the_callers_error),
        cmocka_unit_test(an_accumulator_lives_from_batch_to_batch),
        cmocka_unit_test(a_first_accumulator_is_taken),
        cmocka_unit_test(a_failed_record_leaves_no_trace_in_an_accumulator),
        cmocka_unit_test(what_look_back_showed_is_known),
        cmocka_unit_test(memory_of_look_back_modules_survives_failures),
        cmocka_unit_test(an_unsaved_chain_is_spent_by_a_failure),
        cmocka_unit_test(past_the_mark_a_fresh_instance_takes_over),
        cmocka_unit_test(what_a_chain_holds_is_counted_and_given_back),
        cmocka_unit_test(what_finds_no_room_in_a_call_is_left_to_the_next),
        cmocka_unit_test(
            no_memory_is_the_hosts_error_and_no_record_fails_for_it),
    };

    return cmocka_run_group_tests(tests, setup_engine, teardown_engine);
}
