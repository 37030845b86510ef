/* Arenas, budgets and chunks; buffers when memory runs out. */
#include "cm.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/chunk.h"
#include "base/mem.h"

static void arena_pieces_are_aligned_and_apart(void **state)
{
    struct flv_arena a;
    uint8_t *pieces[200];

    (void)state;
    flv_arena_init(&a, 100, 1 << 20);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        size_t align = (size_t)1 << (i % 7);

        pieces[i] = flv_arena_alloc(&a, i + 1, align);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % align, 0);
        memset(pieces[i], (int)i, i + 1);
    }
    for (size_t i = 0; i < COUNT(pieces); i++) {
        for (size_t j = 0; j <= i; j++) {
            assert_int_equal(pieces[i][j], (uint8_t)i);
        }
    }
    flv_arena_deinit(&a);
}

static void arena_stops_at_its_ceiling(void **state)
{
    struct flv_arena a;
    size_t total = 0;

    (void)state;
    flv_arena_init(&a, 64, 1000);
    assert_null(flv_arena_alloc(&a, 1001, 1));
    assert_true(flv_arena_full(&a));
    flv_arena_reset(&a);
    while (flv_arena_alloc(&a, 10, 1) != NULL) {
        total += 10;
    }
    assert_true(flv_arena_full(&a));
    assert_in_range(total, 900, 1000);
    assert_null(flv_arena_zalloc(&a, SIZE_MAX / 2, 4, 1));
    assert_null(flv_arena_alloc(&a, SIZE_MAX, 1));
    flv_arena_reset(&a);
    assert_false(flv_arena_full(&a));
    assert_non_null(flv_arena_alloc(&a, 10, 1));
    flv_arena_deinit(&a);
    flv_arena_deinit(NULL);
}

static void arena_uses_its_block_again_after_reset(void **state)
{
    struct flv_arena a;

    (void)state;
    flv_arena_init(&a, 4096, 1 << 20);
    for (int round = 0; round < 3; round++) {
        struct pair {
            uint64_t x, y;
        } *p = FLV_ARENA_NEW(&a, struct pair, 8);
        char *text = flv_arena_text(&a, "abcdef", 3);

        assert_non_null(p);
        assert_int_equal(p[7].y, 0);
        p[7].y = 9;
        assert_string_equal(text, "abc");
        flv_arena_reset(&a);
        if (round == 0) {
            flv__mem_fail_at(0);
        }
    }
    assert_int_equal(flv__mem_fail_at(0), 0);
    flv_arena_deinit(&a);
}

static void arena_survives_failing_memory(void **state)
{
    struct flv_arena a;

    (void)state;
    flv_arena_init(&a, 64, 1000);
    flv__mem_fail_at(1);
    assert_null(flv_arena_alloc(&a, 10, 1));
    assert_false(flv_arena_full(&a));
    assert_non_null(flv_arena_alloc(&a, 10, 1));
    flv_arena_deinit(&a);
}

static void chunks_are_charged_until_the_last_reference(void **state)
{
    struct flv_budget g;
    struct flv_chunk *a = NULL, *b = NULL;
    size_t cost = flv_chunk_cost(100);

    (void)state;
    flv_budget_init(&g, cost + cost / 2);
    assert_int_equal(flv_chunk_create(&g, 100, &a), FLV_OK);
    assert_int_equal(g.used, cost);
    assert_int_equal(flv_chunk_create(&g, 100, &b), FLV_E_BUSY);
    assert_int_equal(flv_chunk_create(&g, 100000, &b), FLV_E_LIMIT);
    assert_null(b);
    assert_ptr_equal(flv_chunk_ref(a), a);
    flv_chunk_unref(a);
    assert_int_equal(g.used, cost);
    flv_chunk_unref(a);
    assert_int_equal(g.used, 0);
    flv__mem_fail_at(1);
    assert_int_equal(flv_chunk_create(&g, 100, &b), FLV_E_NOMEM);
    assert_int_equal(g.used, 0);
    assert_int_equal(flv_chunk_create(NULL, 0, &b), FLV_OK);
    flv_chunk_unref(b);
    flv_chunk_unref(NULL);
}

struct waiting {
    struct flv_budget_waiter waiter; /* first */
    int granted;
};

static void note_grant(struct flv_budget_waiter *w)
{
    ((struct waiting *)w)->granted++;
}

static void waiters_are_granted_in_line(void **state)
{
    struct flv_budget g;
    struct waiting big = {.waiter = {.granted = note_grant, .need = 80}};
    struct waiting small = {.waiter = {.granted = note_grant, .need = 10}};

    (void)state;
    flv_budget_init(&g, 100);
    assert_int_equal(flv_budget_take(&g, 50), FLV_OK);
    assert_int_equal(flv_budget_take(&g, 30), FLV_OK);
    flv_budget_wait(&g, &big.waiter);
    flv_budget_wait(&g, &small.waiter);
    /* There would be room for 10, but nobody overtakes. */
    assert_int_equal(flv_budget_take(&g, 10), FLV_E_BUSY);
    flv_budget_give(&g, 50);
    assert_int_equal(big.granted, 0);
    assert_int_equal(small.granted, 0);
    flv_budget_give(&g, 30);
    assert_int_equal(big.granted, 1);
    assert_int_equal(small.granted, 1);
    assert_int_equal(g.used, 90);
    flv_budget_give(&g, 90);
    assert_int_equal(g.used, 0);
}

static void a_waiter_who_leaves_lets_others_pass(void **state)
{
    struct flv_budget g;
    struct waiting big = {.waiter = {.granted = note_grant, .need = 80}};
    struct waiting small = {.waiter = {.granted = note_grant, .need = 10}};

    (void)state;
    flv_budget_init(&g, 100);
    assert_int_equal(flv_budget_take(&g, 50), FLV_OK);
    flv_budget_wait(&g, &big.waiter);
    flv_budget_wait(&g, &small.waiter);
    flv_budget_cancel(&g, &big.waiter);
    assert_int_equal(small.granted, 1);
    flv_budget_cancel(&g, &big.waiter);
    assert_int_equal(big.granted, 0);
    assert_int_equal(g.used, 60);
}

static void buffers_survive_failing_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 20; n++) {
        struct flv_buf b;
        flv_rc rc = FLV_OK;

        flv_buf_init(&b, 10000);
        flv__mem_fail_at(n);
        for (int i = 0; i < 100 && rc == FLV_OK; i++) {
            size_t len = b.len;

            rc = flv_buf_addf(&b, "%s", "0123456789abcdef");
            assert_int_equal(b.len, rc == FLV_OK ? len + 16 : len);
        }
        assert_true(rc == FLV_OK || rc == FLV_E_NOMEM);
        flv_buf_deinit(&b);
    }
    flv__mem_fail_at(0);
}

static void buffers_stop_at_their_ceiling(void **state)
{
    struct flv_buf b;
    size_t len;
    uint8_t *taken;

    (void)state;
    flv_buf_init(&b, 10);
    assert_int_equal(flv_buf_add(&b, "0123456789", 10), FLV_OK);
    assert_int_equal(flv_buf_add_u8(&b, 1), FLV_E_LIMIT);
    assert_int_equal(flv_buf_reserve(&b, SIZE_MAX), FLV_E_LIMIT);
    assert_string_equal(flv_buf_str(&b), "0123456789");
    flv_buf_drop(&b, 4);
    assert_string_equal(flv_buf_str(&b), "456789");
    assert_int_equal(flv_buf_addf(&b, "%d", 12345), FLV_E_LIMIT);
    assert_int_equal(flv_buf_addf(&b, "%d", 123), FLV_OK);
    taken = flv_buf_take(&b, &len);
    assert_int_equal(len, 9);
    assert_memory_equal(taken, "456789123", 9);
    flv_free(taken);
    flv_buf_deinit(&b);
}

static void a_spare_serves_small_charges_alone(void **state)
{
    struct flv_budget g;
    const size_t large = FLV_BUDGET_SMALL + 1;
    struct waiting big = {.waiter = {.granted = note_grant, .need = large}};
    struct waiting late = {
        .waiter = {.granted = note_grant, .need = FLV_BUDGET_SMALL}};

    (void)state;
    flv_budget_init(&g, 2 * large);
    g.spare_max = 2 * FLV_BUDGET_SMALL;
    assert_int_equal(flv_budget_take(&g, large), FLV_OK);
    assert_int_equal(flv_budget_take(&g, large), FLV_OK);
    assert_int_equal(flv_budget_take(&g, large), FLV_E_BUSY);
    flv_budget_wait(&g, &big.waiter);
    assert_int_equal(flv_budget_take(&g, FLV_BUDGET_SMALL), FLV_OK);
    assert_int_equal(flv_budget_take(&g, FLV_BUDGET_SMALL), FLV_OK);
    assert_int_equal(flv_budget_take(&g, 1), FLV_E_BUSY);
    flv_budget_wait(&g, &late.waiter);
    /* What comes back fills the spare up first, for the small one in line. */
    flv_budget_give(&g, FLV_BUDGET_SMALL);
    assert_int_equal(late.granted, 1);
    assert_int_equal(big.granted, 0);
    flv_budget_give(&g, large + 2 * FLV_BUDGET_SMALL);
    assert_int_equal(big.granted, 1);
    flv_budget_give(&g, 2 * large);
    assert_int_equal(g.used, 0);
    assert_int_equal(g.spare_used, 0);
}

/* Large ones come back while they are wanted, and are given to the system when
 * nobody has asked for a while. */
static void large_chunks_lie_idle_for_the_next(void **state)
{
    const size_t large = FLV_CHUNK_IDLE_MIN;
    struct flv_budget g;
    struct flv_chunk *a, *b;
    uint8_t *bytes;

    (void)state;
    flv_budget_init(&g, 16 * large);
    g.idle_max = 3 * large;
    assert_int_equal(flv_chunk_create(&g, large - 1, &a), FLV_OK);
    flv_chunk_unref(a);
    assert_int_equal(g.idle_bytes, 0); /* small: the allocator keeps it */

    assert_int_equal(flv_chunk_create(&g, 2 * large, &a), FLV_OK);
    bytes = a->data;
    flv_chunk_unref(a);
    assert_int_equal(g.used, 0);
    assert_int_equal(g.idle_bytes, 2 * large);
    assert_int_equal(flv_chunk_create(&g, 2 * large + 1, &b), FLV_OK);
    assert_ptr_not_equal(b->data, bytes); /* too small for it */
    assert_int_equal(flv_chunk_create(&g, large, &a), FLV_OK);
    assert_ptr_equal(a->data, bytes);
    assert_int_equal(a->size, large);
    assert_int_equal(g.used, flv_chunk_cost(large) + flv_chunk_cost(b->size));
    flv_chunk_unref(a);
    flv_chunk_unref(b); /* beyond what may lie idle */
    assert_int_equal(g.idle_bytes, 2 * large);

    flv_budget_tidy(&g); /* it was of use */
    assert_int_equal(g.idle_bytes, 2 * large);
    flv_budget_tidy(&g);
    assert_int_equal(g.idle_bytes, 0);
    assert_int_equal(flv_chunk_create(&g, large, &a), FLV_OK);
    flv_chunk_unref(a);
    flv_budget_deinit(&g);
}

/* However often large ones are used again for less, there is never more memory
 * than is charged and may lie idle. */
static void what_chunks_have_beyond_their_size_is_idle(void **state)
{
    const size_t large = FLV_CHUNK_IDLE_MIN;
    struct flv_budget g;
    struct flv_chunk *a, *held[4];
    size_t beyond = 0;

    (void)state;
    flv_budget_init(&g, 16 * large);
    g.idle_max = 2 * large;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(flv_chunk_create(&g, 2 * large, &a), FLV_OK);
        flv_chunk_unref(a);
        assert_int_equal(flv_chunk_create(&g, large, &held[i]), FLV_OK);
        beyond += held[i]->cap - held[i]->size;
        assert_true(beyond + (g.idle != NULL ? g.idle->cap : 0) <= g.idle_max);
    }
    flv_budget_tidy(&g);
    flv_budget_tidy(&g);
    assert_int_equal(g.idle_bytes, beyond);
    for (size_t i = 0; i < 4; i++) {
        flv_chunk_unref(held[i]);
    }
    flv_budget_deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_chunks_lie_idle_for_the_next),
        cmocka_unit_test(what_chunks_have_beyond_their_size_is_idle),
        cmocka_unit_test(arena_pieces_are_aligned_and_apart),
        cmocka_unit_test(arena_stops_at_its_ceiling),
        cmocka_unit_test(arena_uses_its_block_again_after_reset),
        cmocka_unit_test(arena_survives_failing_memory),
        cmocka_unit_test(chunks_are_charged_until_the_last_reference),
        cmocka_unit_test(waiters_are_granted_in_line),
        cmocka_unit_test(a_waiter_who_leaves_lets_others_pass),
        cmocka_unit_test(a_spare_serves_small_charges_alone),
        cmocka_unit_test(buffers_survive_failing_memory),
        cmocka_unit_test(buffers_stop_at_their_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
