#include "server/tail.h"

#include "cm.h"
#include "wire/batch.h"

enum { RECORDS = 3, MAX = 64 };

struct fixture {
    struct flv_budget budget;
    struct flv_tail_pool pool;
    struct flv_tail tail;
    size_t batch_bytes, chunk_cost;
};

/* A chunk with n batches of three records, the first at `base`; added to the
 * tail, which alone holds it afterwards. */
static void add(struct fixture *f, int64_t base, uint32_t n)
{
    struct flv_batch_builder b;
    struct flv_buf bytes;
    flv_buf_init(&bytes, 1u << 20);
    flv_batch_builder_init(&b, 1u << 20);
    for (int i = 0; i < RECORDS; i++) {
        assert_int_equal(
            flv_batch_builder_add(&b, NULL, flv_slice_str("value"), 1000, NULL),
            FLV_OK);
    }
    for (uint32_t i = 0; i < n; i++) {
        size_t at = bytes.len;
        assert_int_equal(flv_batch_builder_finish(&b, NULL, FLV_CODEC_NONE,
                                                  FLV_BATCH_NO_STAMP, &bytes,
                                                  NULL),
                         FLV_OK);
        flv_batch_set_base_offset(bytes.data + at, base + (int64_t)i * RECORDS);
    }
    struct flv_chunk *chunk = NULL;
    assert_int_equal(flv_chunk_create(&f->budget, bytes.len, &chunk), FLV_OK);
    memcpy(chunk->data, bytes.data, bytes.len);
    f->batch_bytes = bytes.len / n;
    f->chunk_cost = flv_chunk_cost(chunk->size);
    flv_tail_add(&f->tail, chunk, flv_slice(chunk->data, chunk->size));
    flv_chunk_unref(chunk);
    flv_batch_builder_deinit(&b);
    flv_buf_deinit(&bytes);
}

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){.pool = {.max = 1u << 20, .max_of_one = 1u << 20}};
    flv_budget_init(&f.budget, 4u << 20);
    flv_tail_init(&f.tail, &f.pool);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flv_tail_clear(&f->tail);
    /* Every reference came back. */
    return f->budget.used != 0 || f->pool.used != 0;
}

/* How many parts there are from `offset` on; *base is that of the first. */
static uint32_t get(struct fixture *f,
                    int64_t offset,
                    int64_t end,
                    size_t bytes_max,
                    int64_t *base)
{
    struct flv_slice parts[MAX];
    struct flv_chunk *chunks[MAX];
    struct flv_tail_parts got = {parts, chunks, MAX, 0};
    uint64_t records = 0;
    uint32_t n = flv_tail_get(&f->tail, offset, end, bytes_max, &got);
    for (uint32_t i = 0; i < n; i++) {
        struct flv_batch_header h;
        assert_int_equal(flv_batch_parse(parts[i], &h, NULL), FLV_OK);
        *base = i == 0 ? h.base_offset : *base;
        records += h.count;
        flv_chunk_unref(chunks[i]);
    }
    assert_int_equal(got.records, records);
    return n;
}

static void get_begins_with_the_batch_that_contains_the_offset(void **state)
{
    struct fixture *f = *state;
    int64_t base = -1;
    add(f, 100, 2);
    add(f, 106, 1);
    assert_int_equal(get(f, 100, 109, 1u << 20, &base), 3);
    assert_int_equal(base, 100);
    assert_int_equal(get(f, 105, 109, 1u << 20, &base), 2);
    assert_int_equal(base, 103);
    assert_int_equal(get(f, 108, 109, 1u << 20, &base), 1);
    assert_int_equal(base, 106);
}

static void get_knows_nothing_outside(void **state)
{
    struct fixture *f = *state;
    int64_t base = -1;
    assert_int_equal(get(f, 0, 100, 1u << 20, &base), 0);
    add(f, 100, 1);
    assert_int_equal(get(f, 99, 103, 1u << 20, &base), 0);
    assert_int_equal(get(f, 103, 103, 1u << 20, &base), 0);
}

static void get_stops_at_the_end_and_at_the_limit(void **state)
{
    struct fixture *f = *state;
    int64_t base = -1;
    add(f, 0, 4);
    assert_int_equal(get(f, 0, 6, 1u << 20, &base), 2);
    assert_int_equal(get(f, 0, 12, 1, &base), 1);
    assert_int_equal(get(f, 0, 12, 2 * f->batch_bytes, &base), 2);
    assert_int_equal(get(f, 0, 12, 3 * f->batch_bytes - 1, &base), 2);
}

static void gap_starts_the_tail_afresh(void **state)
{
    struct fixture *f = *state;
    int64_t base = -1;
    add(f, 0, 1);
    add(f, 50, 1);
    assert_int_equal(get(f, 0, 53, 1u << 20, &base), 0);
    assert_int_equal(get(f, 50, 53, 1u << 20, &base), 1);
}

static void old_batches_give_way(void **state)
{
    struct fixture *f = *state;
    int64_t base = -1;
    add(f, 0, 1);
    f->pool.max_of_one = 3 * f->chunk_cost;
    for (int64_t i = 1; i < 10; i++) {
        add(f, 3 * i, 1);
    }
    assert_int_equal(f->tail.len, 3);
    assert_int_equal(get(f, 0, 30, 1u << 20, &base), 0);
    assert_int_equal(get(f, 21, 30, 1u << 20, &base), 3);
    assert_int_equal(f->pool.used, 3 * f->chunk_cost);
}

static void others_may_hold_it_all(void **state)
{
    struct fixture *f = *state;
    int64_t base = -1;
    add(f, 0, 1);
    f->pool.used += f->pool.max - f->chunk_cost; /* somebody else's */
    add(f, 3, 1);
    assert_int_equal(get(f, 3, 6, 1u << 20, &base), 1);
    f->pool.used += f->chunk_cost;
    add(f, 6, 1);
    assert_int_equal(f->tail.len, 0);
    f->pool.used -= f->pool.max;
}

static void number_of_batches_is_bounded(void **state)
{
    struct fixture *f = *state;
    f->pool.max = SIZE_MAX / 2;
    f->pool.max_of_one = SIZE_MAX / 2;
    for (int64_t i = 0; i < 3; i++) {
        add(f, i * 3 * 2000, 2000);
    }
    assert_int_equal(f->tail.len, FLV_TAIL_ITEMS_MAX);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(get_begins_with_the_batch_that_contains_the_offset),
        T(get_knows_nothing_outside),
        T(get_stops_at_the_end_and_at_the_limit),
        T(gap_starts_the_tail_afresh),
        T(old_batches_give_way),
        T(others_may_hold_it_all),
        T(number_of_batches_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
