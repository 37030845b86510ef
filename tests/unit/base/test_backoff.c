#include "base/backoff.h"

#include "base/rand.h"
#include "cm.h"

static void pauses_grow_by_half_up_to_the_ceiling(void **state)
{
    (void)state;
    struct flv_backoff b = {.min_ms = 1000, .max_ms = 60000};
    uint64_t whole = 1000;
    for (int i = 0; i < 20; i++) {
        uint64_t ms = flv_backoff_next(&b);
        assert_int_equal(b.last_ms, whole);
        assert_in_range(ms, whole - whole / 2, whole);
        whole = whole + whole / 2 < 60000 ? whole + whole / 2 : 60000;
    }
    flv_backoff_reset(&b);
    assert_in_range(flv_backoff_next(&b), 500, 1000);
}

static void extremes_neither_overflow_nor_stand_still(void **state)
{
    (void)state;
    struct flv_backoff b = {.min_ms = 1, .max_ms = UINT64_MAX};
    for (int i = 0; i < 200; i++) {
        uint64_t before = b.last_ms;
        assert_in_range(flv_backoff_next(&b), 1, UINT64_MAX);
        assert_true(b.last_ms > before || b.last_ms == UINT64_MAX);
    }
    assert_int_equal(b.last_ms, UINT64_MAX);
    b = (struct flv_backoff){.min_ms = 1, .max_ms = 1};
    assert_int_equal(flv_backoff_next(&b), 1);
    assert_int_equal(flv_backoff_next(&b), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_grow_by_half_up_to_the_ceiling),
        cmocka_unit_test(extremes_neither_overflow_nor_stand_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
