#include "rig.h"

#include "base/field.h"
#include "server/numbers.h"

#include <string.h>

static struct flv_run run(int64_t id, int16_t epoch, int32_t first, int count)
{
    return (struct flv_run){.producer_id = id,
                            .epoch = epoch,
                            .first = first,
                            .last = first + count - 1};
}

static enum flv_number
judge(const struct flv_numbers *n, struct flv_run r, int64_t *base)
{
    int64_t nowhere = 0;
    return flv_numbers_judge(n, &r, base != NULL ? base : &nowhere);
}

static void pass(struct flv_numbers *n, struct flv_run r, int64_t base)
{
    assert_int_equal(judge(n, r, NULL), FLV_NUMBER_NEXT);
    assert_int_equal(flv_numbers_note(n, &r), FLV_OK);
    flv_numbers_place(n, &r, base);
}

static void what_went_through_is_known(void **state)
{
    struct flv_numbers n = {.producers = NULL};
    int64_t base = 0;
    (void)state;
    pass(&n, run(7, 0, 5, 10), 100); /* not known: any number is taken */
    pass(&n, run(7, 0, 15, 1), 102);
    assert_int_equal(judge(&n, run(7, 0, 5, 10), &base), FLV_NUMBER_KNOWN);
    assert_int_equal(base, 100);
    assert_int_equal(judge(&n, run(7, 0, 15, 1), &base), FLV_NUMBER_KNOWN);
    assert_int_equal(base, 102);
    assert_int_equal(judge(&n, run(8, 0, 15, 1), NULL), FLV_NUMBER_NEXT);
    struct flv_run late = run(7, 0, 16, 2);
    assert_int_equal(flv_numbers_note(&n, &late), FLV_OK);
    assert_int_equal(judge(&n, late, &base), FLV_NUMBER_KNOWN);
    assert_int_equal(base, -1);
    flv_numbers_clear(&n);
    assert_int_equal(judge(&n, late, NULL), FLV_NUMBER_NEXT);
}

static void what_skips_or_overlaps_is_wrong(void **state)
{
    struct flv_numbers n = {.producers = NULL};
    (void)state;
    pass(&n, run(7, 1, 0, 10), 0);
    pass(&n, run(7, 1, 10, 10), 10);
    assert_int_equal(judge(&n, run(7, 1, 21, 1), NULL), FLV_NUMBER_WRONG);
    assert_int_equal(judge(&n, run(7, 1, 15, 10), NULL), FLV_NUMBER_WRONG);
    assert_int_equal(judge(&n, run(7, 1, 0, 11), NULL), FLV_NUMBER_WRONG);
    assert_int_equal(judge(&n, run(7, 0, 20, 1), NULL), FLV_NUMBER_WRONG);
    assert_int_equal(judge(&n, run(7, 2, 20, 1), NULL), FLV_NUMBER_WRONG);
    pass(&n, run(7, 2, 0, 1), 20);
    assert_int_equal(judge(&n, run(7, 1, 20, 1), NULL), FLV_NUMBER_WRONG);
    flv_numbers_clear(&n);
}

static void older_than_the_window_is_known_without_a_place(void **state)
{
    struct flv_numbers n = {.producers = NULL};
    int64_t base = 0;
    (void)state;
    for (int i = 0; i < 3 * FLV_NUMBERS_WINDOW; i++) {
        pass(&n, run(7, 0, i, 1), i);
    }
    assert_int_equal(judge(&n, run(7, 0, 3, 1), &base), FLV_NUMBER_KNOWN);
    assert_int_equal(base, -1);
    assert_int_equal(judge(&n, run(7, 0, 2 * FLV_NUMBERS_WINDOW, 1), &base),
                     FLV_NUMBER_KNOWN);
    assert_int_equal(base, 2 * FLV_NUMBERS_WINDOW);
    flv_numbers_clear(&n);
}

static void undo(struct flv_numbers *n, struct flv_run r)
{
    assert_int_equal(flv_numbers_undo(n, &r), FLV_OK);
}

static void what_failed_comes_again_before_what_is_behind_it(void **state)
{
    struct flv_numbers n = {.producers = NULL};
    (void)state;
    undo(&n, run(7, 0, 0, 10)); /* the first of it that anybody sees */
    assert_int_equal(judge(&n, run(7, 0, 10, 10), NULL), FLV_NUMBER_WRONG);
    pass(&n, run(7, 0, 0, 10), 0);
    for (int i = 1; i <= 2 * FLV_NUMBERS_WINDOW; i++) {
        pass(&n, run(7, 0, 10 * i, 10), 10 * i);
    }
    undo(&n, run(7, 0, 20, 10)); /* not in the window any more */
    undo(&n, run(7, 0, 30, 10)); /* and one behind it */
    assert_int_equal(judge(&n, run(7, 0, 10, 10), NULL), FLV_NUMBER_KNOWN);
    assert_int_equal(judge(&n, run(7, 0, 30, 10), NULL), FLV_NUMBER_WRONG);
    pass(&n, run(7, 0, 20, 10), 20);
    pass(&n, run(7, 0, 30, 10), 30);
    pass(&n, run(7, 1, 0, 1), 40);
    undo(&n, run(7, 0, 30, 10)); /* of an epoch that is over */
    assert_int_equal(judge(&n, run(7, 1, 0, 1), NULL), FLV_NUMBER_KNOWN);
    flv_numbers_clear(&n);
}

static void what_was_before_the_first_is_not_known(void **state)
{
    struct flv_numbers n = {.producers = NULL};
    (void)state;
    pass(&n, run(7, 0, 10, 10), 0);
    assert_int_equal(judge(&n, run(7, 0, 0, 10), NULL), FLV_NUMBER_WRONG);
    flv_numbers_clear(&n);
}

static void the_producer_idle_for_longest_is_forgotten(void **state)
{
    struct flv_numbers n = {.producers = NULL};
    (void)state;
    for (int i = 0; i < FLV_NUMBERS_PRODUCERS_MAX; i++) {
        pass(&n, run(i, 0, 0, 1), i);
    }
    pass(&n, run(0, 0, 1, 1), 1000);
    pass(&n, run(5000, 0, 0, 1), 1001);
    assert_int_equal(n.count, FLV_NUMBERS_PRODUCERS_MAX);
    assert_int_equal(judge(&n, run(0, 0, 0, 1), NULL), FLV_NUMBER_KNOWN);
    assert_int_equal(judge(&n, run(1, 0, 0, 1), NULL), FLV_NUMBER_NEXT);
    assert_int_equal(judge(&n, run(2, 0, 0, 1), NULL), FLV_NUMBER_KNOWN);
    flv_numbers_clear(&n);
}

struct bounded {
    struct flv_numbers numbers;
    size_t held, max;
};

static bool may_hold(struct flv_numbers *n, size_t bytes)
{
    struct bounded *b = FLV_OWNER_OF(n, struct bounded, numbers);
    if (bytes > b->held && bytes > b->max) {
        return false;
    }
    b->held = bytes;
    return true;
}

static void places_are_taken_with_need_and_told(void **state)
{
    struct bounded b = {.numbers.may_hold = may_hold, .max = SIZE_MAX};
    struct flv_numbers *n = &b.numbers;
    size_t most = 0;
    (void)state;
    assert_int_equal(flv_numbers_memory(n), 0);
    for (int i = 0; i < FLV_NUMBERS_PRODUCERS_MAX + 10; i++) {
        pass(n, run(i, 0, 0, 1), i);
        assert_int_equal(b.held, flv_numbers_memory(n));
        most = b.held / FLV_NUMBERS_PRODUCERS_MAX;
        assert_true(i > 3 || b.held < 3000);
    }
    assert_in_range(most, 400, 700);
    flv_numbers_clear(n);
    assert_int_equal(b.held, 0);
    pass(n, run(1, 0, 0, 1), 0); /* goes on being asked */
    assert_true(b.held > 0);
    flv_numbers_clear(n);
}

static void without_room_for_one_more_the_idle_one_is_forgotten(void **state)
{
    struct bounded b = {.numbers.may_hold = may_hold, .max = 0};
    struct flv_numbers *n = &b.numbers;
    struct flv_run first = run(0, 0, 0, 1);
    uint32_t places;
    (void)state;
    assert_int_equal(flv_numbers_note(n, &first), FLV_E_NOMEM);
    assert_int_equal(n->count, 0);
    b.max = 3000;
    pass(n, first, 0);
    places = n->cap;
    for (uint32_t i = 1; i <= places; i++) {
        pass(n, run(i, 0, 0, 1), i);
    }
    assert_int_equal(n->count, places);
    assert_int_equal(judge(n, first, NULL), FLV_NUMBER_NEXT);
    assert_int_equal(judge(n, run(1, 0, 0, 1), NULL), FLV_NUMBER_KNOWN);
    flv_numbers_clear(n);
}

static void add(struct flv_buf *out, int64_t id, int32_t sequence, int count)
{
    rig_batch(out, (uint32_t)count, 1, FLV_CODEC_NONE, id, sequence);
}

static void a_set_has_the_numbers_of_its_batches(void **state)
{
    struct flv_buf buf;
    struct flv_run r;
    (void)state;
    flv_buf_init(&buf, 1u << 20);
    assert_false(flv_run_of(flv_slice(NULL, 0), &r));
    add(&buf, 7, 3, 2);
    add(&buf, 7, 5, 4);
    assert_true(flv_run_of(flv_buf_slice(&buf), &r));
    assert_int_equal(r.producer_id, 7);
    assert_int_equal(r.first, 3);
    assert_int_equal(r.last, 8);
    add(&buf, 7, 10, 1); /* 9 is missing */
    assert_false(flv_run_of(flv_buf_slice(&buf), &r));
    flv_buf_reset(&buf);
    add(&buf, -1, -1, 1);
    assert_false(flv_run_of(flv_buf_slice(&buf), &r));
    flv_buf_reset(&buf);
    add(&buf, 7, INT32_MAX, 1);
    assert_true(flv_run_of(flv_buf_slice(&buf), &r));
    assert_int_equal(r.last, INT32_MAX);
    flv_buf_reset(&buf);
    add(&buf, 7, INT32_MAX, 2);
    assert_false(flv_run_of(flv_buf_slice(&buf), &r));
    flv_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_went_through_is_known),
        cmocka_unit_test(what_skips_or_overlaps_is_wrong),
        cmocka_unit_test(older_than_the_window_is_known_without_a_place),
        cmocka_unit_test(what_failed_comes_again_before_what_is_behind_it),
        cmocka_unit_test(what_was_before_the_first_is_not_known),
        cmocka_unit_test(the_producer_idle_for_longest_is_forgotten),
        cmocka_unit_test(places_are_taken_with_need_and_told),
        cmocka_unit_test(without_room_for_one_more_the_idle_one_is_forgotten),
        cmocka_unit_test(a_set_has_the_numbers_of_its_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
