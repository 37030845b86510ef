/* What makes meta.db durable cannot be left out: on a disk that only claims
 * to do it, the stories of test_meta_twin find a broken promise. */
#include <inttypes.h>
#include <stdio.h>

#include "cm.h"
#include "meta_twin.h"

#define RUNS_MAX 10000

static void is_found(unsigned ignored, const char *text)
{
    struct meta_stats stats = {0};
    char why[400] = "";
    uint64_t seed = 1;

    while (seed <= RUNS_MAX &&
           meta_twin_run(seed, ignored, &stats, why, sizeof why)) {
        seed++;
    }
    printf("# without %s: FLV_SEED=%" PRIu64 " FLV_IGNORED=%u: %s\n", text,
           seed, ignored, why);
    fflush(stdout);
    assert_true(seed <= RUNS_MAX);
}

static void a_disk_without_any_sync_is_found(void **state)
{
    (void)state;
    is_found(META_IGNORE_SYNCS, "any sync");
}

static void a_disk_without_one_kind_is_found(void **state)
{
    (void)state;
    for (int call = 0; call < META_CALL_COUNT; call++) {
        is_found(1u << call, meta_call_text((enum meta_call)call));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_without_any_sync_is_found),
        cmocka_unit_test(a_disk_without_one_kind_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
