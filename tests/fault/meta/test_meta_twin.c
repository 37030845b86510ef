/* Ten thousand seeded stories of meta.db: a committed consumer offset never
 * goes back, a topic or SmartModule that was answered as created or deleted
 * stays so.
 *
 *     FLV_SEED=n     only that one, and its story's numbers
 *     FLV_RUNS=n     so many instead of 10,000
 *     FLV_IGNORED=n  with FLV_SEED: what the disk leaves out (meta_vfs.h)
 */
#include <inttypes.h>
#include <stdio.h>

#include "cm.h"
#include "seeds.h"
#include "meta_twin.h"

static void print_stats(const struct meta_stats *s)
{
    printf("# %" PRIu64 " stories, %" PRIu64 " lives, %" PRIu64
           " commits, %" PRIu64 " failures, %" PRIu64 " power cuts, %" PRIu64
           " kills, %" PRIu64 " clean ends, %" PRIu64 " never open, %" PRIu64
           " checkpoints; without an answer: %" PRIu64 " made, %" PRIu64
           " not made, %" PRIu64 " surely not, %" PRIu64 " settled\n",
           s->stories, s->lives, s->commits, s->failures, s->power_cuts,
           s->kills, s->closes, s->unopened, s->checkpoints, s->late_new,
           s->late_gone, s->sure_failures, s->settled);
    for (int i = 0; i < META_CALL_COUNT; i++) {
        printf("# %" PRIu64 " x %s\n", s->count[i],
               meta_call_text((enum meta_call)i));
    }
}

/* Everything has happened that this test is there for. */
static int has_gap(const struct meta_stats *s)
{
    int gap = s->late_new == 0 || s->late_gone == 0 || s->unopened == 0 ||
              s->closes == 0 || s->kills == 0 || s->failures == 0 ||
              s->checkpoints == 0 || s->sure_failures == 0 || s->settled == 0;

    for (int i = 0; i < META_CALL_COUNT; i++) {
        gap |= s->count[i] == 0;
    }
    return gap;
}

/* One worker's share. */
static int work(uint64_t first, uint64_t end)
{
    struct meta_stats stats = {0};

    for (uint64_t seed = first; seed < end; seed += SEED_WORKERS) {
        char why[400];

        if (!meta_twin_run(seed, 0, &stats, why, sizeof why)) {
            printf("# FLV_SEED=%" PRIu64 ": %s\n", seed, why);
            fflush(stdout);
            return 1;
        }
    }
    print_stats(&stats);
    fflush(stdout);
    if (end - first >= 1000 && has_gap(&stats)) {
        printf("# the runs did not meet everything\n");
        return 1;
    }
    return 0;
}

static void every_answer_holds_in_ten_thousand_stories(void **state)
{
    (void)state;
    seeds_share(seed_number("FLV_RUNS", 10000), work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_holds_in_ten_thousand_stories),
    };
    uint64_t seed = seed_number("FLV_SEED", 0);

    if (seed != 0) {
        unsigned ignored = (unsigned)seed_number("FLV_IGNORED", 0);
        struct meta_stats stats = {0};
        char why[400];
        bool ok = meta_twin_run(seed, ignored, &stats, why, sizeof why);

        printf("%s - seed %" PRIu64 " %s\n", ok ? "ok" : "not ok", seed, why);
        print_stats(&stats);
        return !ok;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
