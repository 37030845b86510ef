
#include <stdlib.h>

#include "cm.h"
#include "connector/batch.h"

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
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_copied_and_numbered),
        cmocka_unit_test(credit_is_a_ceiling),
        cmocka_unit_test(bytes_are_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
