/* Ten thousand seeded lives of a partition: docs/durability.md holds in all.
 *
 *     FLV_SEED=n   only that one, and its story's numbers
 *     FLV_RUNS=n   so many instead of 10,000
 */
#include <inttypes.h>
#include <stdio.h>

#include "cm.h"
#include "seeds.h"
#include "twin.h"

static void print_stats(const struct twin_stats *s)
{
    printf("# %" PRIu64 " lives, %" PRIu64 " batches, %" PRIu64
           " reads, %" PRIu64 " power cuts, %" PRIu64 " kills, %" PRIu64
           " faults met, %" PRIu64 " torn tails (%" PRIu64 " zeros, %" PRIu64
           " with a segment behind), %" PRIu64 " rolls (%" PRIu64
           " sealed later), %" PRIu64 " trims, %" PRIu64 " deletions, %" PRIu64
           " repetitions\n",
           s->lives, s->appended, s->reads, s->power_cuts, s->kills,
           s->faults_met, s->torn, s->zeros, s->dropped, s->rolls,
           s->late_seals, s->trims, s->deletions, s->repeats);
}

/* One worker's share. Seeds are printed before they can bring it down. */
static int work(uint64_t first, uint64_t end)
{
    struct twin_stats stats = {0};

    for (uint64_t seed = first; seed < end; seed += SEED_WORKERS) {
        char why[400];

        if (!twin_run(seed, -1, &stats, why, sizeof(why))) {
            printf("# FLV_SEED=%" PRIu64 ": %s\n", seed, why);
            fflush(stdout);
            return 1;
        }
    }
    print_stats(&stats);
    fflush(stdout);
    /* Everything has happened that this test is there for. */
    if (end - first >= 1000 &&
        (stats.torn == 0 || stats.zeros == 0 || stats.rolls == 0 ||
         stats.late_seals == 0 || stats.dropped == 0 || stats.trims == 0 ||
         stats.deletions == 0 || stats.repeats == 0)) {
        printf("# the runs did not meet everything\n");
        return 1;
    }
    return 0;
}

static void every_promise_holds_in_ten_thousand_lives(void **state)
{
    (void)state;
    seeds_share(seed_number("FLV_RUNS", 10000), work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_promise_holds_in_ten_thousand_lives),
    };
    uint64_t seed = seed_number("FLV_SEED", 0);

    if (seed != 0) {
        uint64_t ignored = seed_number("FLV_IGNORED", 0);
        struct twin_stats stats = {0};
        char why[400] = "";
        bool ok = twin_run(seed, (int)ignored - 1, &stats, why, sizeof(why));

        printf("%s - seed %" PRIu64 " %s\n", ok ? "ok" : "not ok", seed, why);
        print_stats(&stats);
        return !ok;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
