/* Percentiles of many times from few buckets. */
#include "cli/bench_times.h"
#include "cm.h"

#include <inttypes.h>

static struct cli_times times;

static int set_up(void **state)
{
    (void)state;
    times = (struct cli_times){0};
    return 0;
}

static void nothing_counted_is_zero(void **state)
{
    (void)state;
    assert_int_equal(cli_times_at(&times, 0.5), 0);
    assert_int_equal(cli_times_mean(&times), 0);
}

static void small_times_are_exact(void **state)
{
    (void)state;
    for (uint64_t ns = 1; ns <= 60; ns++) {
        cli_times_add(&times, ns);
    }
    assert_int_equal(cli_times_at(&times, 0), 1);
    assert_int_equal(cli_times_at(&times, 0.5), 30);
    assert_int_equal(cli_times_at(&times, 1), 60);
    assert_int_equal(cli_times_mean(&times), 30);
}

static void percentiles_are_within_a_bucket(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100000; i++) {
        cli_times_add(&times, i * 1000);
    }
    const double parts[] = {0.5, 0.95, 0.99};
    for (size_t i = 0; i < 3; i++) {
        double exact = parts[i] * 1e8;
        double told = (double)cli_times_at(&times, parts[i]);
        assert_true(told >= exact * 0.999 && told <= exact * 1.017);
    }
    assert_int_equal(cli_times_at(&times, 1), 100000000);
}

static void every_time_has_a_bucket(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        cli_times_add(&times, (uint64_t)1 << bit);
        cli_times_add(&times, ((uint64_t)1 << bit) - 1);
    }
    cli_times_add(&times, UINT64_MAX);
    assert_int_equal(times.count, 129);
    assert_true(cli_times_at(&times, 1) == UINT64_MAX);
    for (uint64_t ns = 1; ns < UINT64_MAX / 3; ns = ns * 3 + 1) {
        struct cli_times one = {0};
        cli_times_add(&one, ns);
        assert_true(cli_times_at(&one, 0.5) == ns);
    }
}

static void times_have_the_unit_that_fits(void **state)
{
    (void)state;
    const struct {
        uint64_t ns;
        const char *text;
    } all[] = {{0, "0ns"},
               {999, "999ns"},
               {1000, "1.0us"},
               {12345678, "12.3ms"},
               {1500000000, "1.5s"},
               {120000000000, "2.0m"},
               {UINT64_MAX, "307445734.6m"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char text[CLI_TIMES_TEXT_MAX];
        cli_times_format(all[i].ns, text);
        assert_string_equal(text, all[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_counted_is_zero, set_up),
        cmocka_unit_test_setup(small_times_are_exact, set_up),
        cmocka_unit_test_setup(percentiles_are_within_a_bucket, set_up),
        cmocka_unit_test_setup(every_time_has_a_bucket, set_up),
        cmocka_unit_test_setup(times_have_the_unit_that_fits, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
