/* Clock, random numbers, SipHash. */
#include "cm.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/rand.h"

static void wall_time_is_written_as_rfc3339(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1700000000123, "2023-11-14T22:13:20.123Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {4107542399999, "2100-02-28T23:59:59.999Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-62167219200000, "0000-01-01T00:00:00.000Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    char text[FLV_CLOCK_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        flv_clock_format(rows[i].ms, text);
        assert_string_equal(text, rows[i].text);
    }
}

static uint64_t fixed_mono(void *ctx)
{
    return *(uint64_t *)ctx;
}

static int64_t fixed_wall(void *ctx)
{
    return (int64_t) * (uint64_t *)ctx / 2;
}

static void tests_can_set_the_clock(void **state)
{
    uint64_t now = 5000000;
    const struct flv_clock clock = {
        .mono_ns = fixed_mono, .wall_ms = fixed_wall, .ctx = &now};
    uint64_t before;

    (void)state;
    flv__clock_set(&clock);
    assert_int_equal(flv_clock_mono_ns(), 5000000);
    assert_int_equal(flv_clock_mono_ms(), 5);
    assert_int_equal(flv_clock_wall_ms(), 2500000);
    flv__clock_set(NULL);
    before = flv_clock_mono_ns();
    assert_true(flv_clock_mono_ns() >= before);
    assert_true(flv_clock_wall_ms() > 1600000000000);
}

static void siphash_agrees_with_its_paper(void **state)
{
    /* Key 00 01 .. 0f, message 00 01 .. 0e: appendix A of the paper. */
    uint8_t message[15];

    (void)state;
    for (uint8_t i = 0; i < sizeof(message); i++) {
        message[i] = i;
    }
    assert_true(flv_siphash24(0x0706050403020100U, 0x0f0e0d0c0b0a0908U, message,
                              sizeof(message)) == 0xa129ca6149be45e5U);
}

static void siphash_agrees_with_the_partitioner(void **state)
{
    static const struct {
        const char *key;
        uint64_t hash;
    } rows[] = {
        {"k", 0x9178e6d5b39eb48a},
        {"hello", 0xd17f96bd0852ce12},
        {"key 0", 0xee25e3786149534c},
        {"abcdefghi", 0x51fbcadc0a74ccde},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t length[8] = {(uint8_t)strlen(rows[i].key)};
        struct flv_siphash h;

        flv_siphash_init(&h, 0, 0);
        flv_siphash_add(&h, length, sizeof(length));
        flv_siphash_add(&h, rows[i].key, strlen(rows[i].key));
        assert_true(flv_siphash_end(&h) == rows[i].hash);
    }
}

static void siphash_does_not_depend_on_the_cuts(void **state)
{
    const char text[] = "the quick brown fox jumps over the lazy dog";
    uint64_t whole = flv_siphash24(1, 2, text, sizeof(text));

    (void)state;
    for (size_t a = 0; a <= sizeof(text); a++) {
        for (size_t b = a; b <= sizeof(text); b++) {
            struct flv_siphash h;

            flv_siphash_init(&h, 1, 2);
            flv_siphash_add(&h, text, a);
            flv_siphash_add(&h, text + a, b - a);
            flv_siphash_add(&h, text + b, sizeof(text) - b);
            assert_true(flv_siphash_end(&h) == whole);
        }
    }
}

static void random_numbers_repeat_with_a_seed(void **state)
{
    uint64_t first[4], seen = 0;

    (void)state;
    flv__rand_seed(7);
    for (size_t i = 0; i < COUNT(first); i++) {
        first[i] = flv_rand_u64();
    }
    flv__rand_seed(7);
    for (size_t i = 0; i < COUNT(first); i++) {
        assert_true(flv_rand_u64() == first[i]);
    }
    for (int i = 0; i < 1000; i++) {
        uint64_t v = flv_rand_below(5);

        assert_in_range(v, 0, 4);
        seen |= 1U << v;
    }
    assert_int_equal(seen, 31);
    assert_int_equal(flv_rand_below(1), 0);
    flv__rand_seed(0);
    assert_true(flv_rand_u64() != flv_rand_u64());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wall_time_is_written_as_rfc3339),
        cmocka_unit_test(tests_can_set_the_clock),
        cmocka_unit_test(siphash_agrees_with_its_paper),
        cmocka_unit_test(siphash_agrees_with_the_partitioner),
        cmocka_unit_test(siphash_does_not_depend_on_the_cuts),
        cmocka_unit_test(random_numbers_repeat_with_a_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
