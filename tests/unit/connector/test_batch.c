
#include <stdlib.h>

#include "cm.h"
#include "connector/stage.h"

static void records_are_copied_and_numbered(void **state)
{
    (void)state;
    struct flv_batch b;
    char value[] = "value", key[] = "key";
    assert_int_equal(flv__batch_init(&b, NULL), FLV_OK);
    flv__batch_reset(&b, 3, 41);
    assert_int_equal(flv_batch_next_number(&b), 41);
    assert_int_equal(flv_batch_add(&b, NULL, 0, value, 5, NULL), FLV_OK);
    assert_int_equal(flv_batch_add(&b, key, 3, value, 5, NULL), FLV_OK);
    assert_int_equal(flv_batch_add(&b, key, 0, NULL, 0, NULL), FLV_OK);
    memset(value, 'x', 5);
    memset(key, 'x', 3);
    assert_int_equal(flv_batch_count(&b), 3);
    assert_int_equal(flv_batch_next_number(&b), 44);
    assert_false(b.msgs[0].has_key);
    assert_memory_equal(b.msgs[0].value.data, "value", 5);
    assert_true(b.msgs[1].has_key);
    assert_memory_equal(b.msgs[1].key.data, "key", 3);
    assert_true(b.msgs[2].has_key);
    assert_int_equal(b.msgs[2].key.len, 0);
    assert_int_equal(b.msgs[2].value.len, 0);
    assert_int_equal(b.msgs[2].partition, -1);
    flv__batch_deinit(&b);
}

static void credit_is_a_ceiling(void **state)
{
    (void)state;
    struct flv_batch b;
    struct flv_err err = {0};
    assert_int_equal(flv__batch_init(&b, NULL), FLV_OK);
    flv__batch_reset(&b, 1, 1);
    assert_int_equal(flv_batch_add(&b, NULL, 0, "a", 1, &err), FLV_OK);
    assert_int_equal(flv_batch_add(&b, NULL, 0, "b", 1, &err), FLV_E_BUSY);
    assert_int_equal(flv_batch_count(&b), 1);
    flv__batch_deinit(&b);
}

static void bytes_are_a_ceiling(void **state)
{
    (void)state;
    struct flv_batch b;
    struct flv_err err = {0};
    char *big = calloc(1, FLV_BATCH_BYTES_MAX + 1);
    assert_non_null(big);
    assert_int_equal(flv__batch_init(&b, NULL), FLV_OK);
    for (int round = 0; round < 3; round++) {
        /* Small pieces first, so that the arena has begun blocks. */
        flv__batch_reset(&b, FLV_BATCH_RECORDS_MAX, 1);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(flv_batch_add(&b, NULL, 0, big, 9000, &err),
                             FLV_OK);
        }
        size_t rest = FLV_BATCH_BYTES_MAX - 900000;
        assert_int_equal(flv_batch_add(&b, NULL, 0, big, rest + 1, &err),
                         FLV_E_BUSY);
        assert_int_equal(flv_batch_add(&b, NULL, 0, big, rest, &err), FLV_OK);
        assert_int_equal(flv_batch_add(&b, NULL, 0, big, 1, &err), FLV_E_BUSY);
        flv__batch_reset(&b, 1, 1);
        assert_int_equal(
            flv_batch_add(&b, NULL, 0, big, FLV_BATCH_BYTES_MAX, &err), FLV_OK);
    }
    flv__batch_reset(&b, 1, 1);
    assert_int_equal(
        flv_batch_add(&b, NULL, 0, big, FLV_BATCH_BYTES_MAX + 1, &err),
        FLV_E_LIMIT);
    assert_int_equal(flv_batch_add(&b, big, FLV_BATCH_BYTES_MAX, big, 1, &err),
                     FLV_E_LIMIT);
    assert_true(b.arena.used < 1 << 20);
    flv__batch_deinit(&b);
    free(big);
}

/* --- stages -------------------------------------------------------------- */

/* Keeps records that begin with a capital letter; '!' fails by policy. */
static flv_rc keep_capitals(void *state,
                            const struct flv_batch *in,
                            struct flv_batch *out,
                            struct flv_stage_counts *counts,
                            struct flv_err *err)
{
    (void)state;
    for (uint32_t i = 0; i < in->count; i++) {
        char c = (char)in->msgs[i].value.data[0];
        if (c == '!') {
            counts->failed++;
        } else if (c < 'A' || c > 'Z') {
            counts->filtered++;
        } else {
            counts->passed++;
            flv_rc rc = flv_batch_add(out, NULL, 0, in->msgs[i].value.data,
                                      in->msgs[i].value.len, err);
            if (rc != FLV_OK) {
                return rc;
            }
        }
    }
    return FLV_OK;
}

static flv_rc twice(void *state,
                    const struct flv_batch *in,
                    struct flv_batch *out,
                    struct flv_stage_counts *counts,
                    struct flv_err *err)
{
    (void)state;
    for (uint32_t i = 0; i < in->count * 2; i++) {
        const struct flv_slice *v = &in->msgs[i / 2].value;
        flv_rc rc = flv_batch_add(out, NULL, 0, v->data, v->len, err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    counts->passed += in->count;
    return FLV_OK;
}

static flv_rc broken(void *state,
                     const struct flv_batch *in,
                     struct flv_batch *out,
                     struct flv_stage_counts *counts,
                     struct flv_err *err)
{
    (void)state;
    (void)in;
    (void)out;
    counts->passed = 1;
    return flv_fail(err, FLV_E_INVALID, "nothing works");
}

static void fill(struct flv_batch *b, const char *const *values)
{
    flv__batch_reset(b, FLV_BATCH_RECORDS_MAX, 1);
    for (; *values != NULL; values++) {
        assert_int_equal(
            flv_batch_add(b, NULL, 0, *values, strlen(*values), NULL), FLV_OK);
    }
}

static const char *const words[] = {"One", "two", "!three", "Four", NULL};

static void no_stages_pass_the_batch_itself(void **state)
{
    (void)state;
    struct flv_chain chain;
    struct flv_batch in, *out = NULL;
    assert_int_equal(flv__batch_init(&in, NULL), FLV_OK);
    assert_int_equal(flv__chain_init(&chain, NULL, 0, NULL), FLV_OK);
    fill(&in, words);
    assert_int_equal(flv__chain_apply(&chain, &in, &out, NULL), FLV_OK);
    assert_ptr_equal(out, &in);
    assert_int_equal(chain.all.in, 4);
    assert_int_equal(chain.all.passed, 4);
    flv__chain_deinit(&chain);
    flv__batch_deinit(&in);
}

static void every_record_is_accounted_for(void **state)
{
    (void)state;
    const struct flv_stage stages[] = {{.name = "f", .apply = keep_capitals},
                                       {.name = "t", .apply = twice},
                                       {.name = "f", .apply = keep_capitals}};
    struct flv_chain chain;
    struct flv_batch in, *out = NULL;
    assert_int_equal(flv__batch_init(&in, NULL), FLV_OK);
    assert_int_equal(flv__chain_init(&chain, stages, 3, NULL), FLV_OK);
    for (unsigned round = 1; round <= 2; round++) {
        fill(&in, words);
        assert_int_equal(flv__chain_apply(&chain, &in, &out, NULL), FLV_OK);
        assert_int_equal(out->count, 4);
        assert_memory_equal(out->msgs[3].value.data, "Four", 4);
        assert_int_equal(chain.each[0].in, 4 * round);
        assert_int_equal(chain.each[0].passed, 2 * round);
        assert_int_equal(chain.each[0].filtered, round);
        assert_int_equal(chain.each[0].failed, round);
        assert_int_equal(chain.each[2].in, 4 * round);
        assert_int_equal(chain.all.in, 6 * round);
        assert_int_equal(chain.all.passed, 4 * round);
        assert_int_equal(chain.all.filtered, round);
        assert_int_equal(chain.all.failed, round);
    }
    flv__chain_deinit(&chain);
    flv__batch_deinit(&in);
}

static void a_broken_stage_fails_its_whole_batch(void **state)
{
    (void)state;
    const struct flv_stage stages[] = {{.name = "bad", .apply = broken},
                                       {.name = "t", .apply = twice}};
    struct flv_chain chain;
    struct flv_err err = {0};
    struct flv_batch in, *out = NULL;
    assert_int_equal(flv__batch_init(&in, NULL), FLV_OK);
    assert_int_equal(flv__chain_init(&chain, stages, 2, NULL), FLV_OK);
    fill(&in, words);
    assert_int_equal(flv__chain_apply(&chain, &in, &out, &err), FLV_E_INVALID);
    assert_string_equal(err.text, "stage bad: nothing works");
    assert_int_equal(chain.all.in, 4);
    assert_int_equal(chain.all.failed, 4);
    assert_int_equal(chain.all.passed, 0);
    assert_int_equal(chain.each[1].in, 0);
    flv__chain_deinit(&chain);
    flv__batch_deinit(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_copied_and_numbered),
        cmocka_unit_test(credit_is_a_ceiling),
        cmocka_unit_test(bytes_are_a_ceiling),
        cmocka_unit_test(no_stages_pass_the_batch_itself),
        cmocka_unit_test(every_record_is_accounted_for),
        cmocka_unit_test(a_broken_stage_fails_its_whole_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
