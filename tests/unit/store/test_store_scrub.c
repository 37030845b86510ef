/* The walk that reads what is stored before anybody asks for it. */
#include <stdio.h>

#include "cm.h"
#include "util.h"

#define FIRST LOG_DIR "/00000000000000000000.log"
#define ROUNDS_MAX 100000

struct world {
    struct sim disk;
    struct flv_log_conf conf;
    struct flv_log *log;
};

/* What one whole walk came across. */
struct walk {
    unsigned steps, damages;
    uint64_t bytes;
    int64_t base;       /* of the last damaged segment */
    struct flv_err err; /* what it said */
};

static int begin(void **state)
{
    static struct world w;

    sim_init(&w.disk, 1);
    w.conf = test_conf(&w.disk);
    w.log = open_log(&w.conf, NULL);
    *state = &w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    flv_log_abandon(w->log);
    sim_deinit(&w->disk);
    return 0;
}

static void fill(struct world *w, unsigned groups)
{
    for (unsigned i = 0; i < groups; i++) {
        struct flv_log_job *job;

        append_plain(w->log, 100);
        while ((job = flv_log_upkeep_job(w->log)) != NULL) {
            assert_int_equal(run_job(job), FLV_OK);
        }
    }
}

static struct walk walk_once(struct world *w, uint64_t bytes_max)
{
    struct walk seen = {.base = -1};
    struct flv_log_scrub sc = {.bytes_max = bytes_max};

    while (flv_log_scrub_prepare(w->log, &sc)) {
        flv_log_scrub_run(&sc);
        flv_log_scrub_finish(&sc);
        assert_true(++seen.steps < ROUNDS_MAX);
        seen.bytes += sc.bytes;
        if (sc.damage.rc != FLV_OK) {
            seen.damages++;
            seen.base = sc.base;
            seen.err = sc.damage;
        }
    }
    return seen;
}

static uint64_t stored(const struct world *w)
{
    struct flv_log_info info;

    flv_log_stat(w->log, &info);
    return info.size_bytes;
}

static void a_walk_reads_all_that_is_stored_in_steps_of_any_size(void **state)
{
    struct world *w = *state;
    struct flv_log_info info;
    struct walk seen;

    fill(w, 60);
    flv_log_stat(w->log, &info);
    assert_true(info.segments > 2);
    seen = walk_once(w, 1);
    assert_int_equal(seen.steps, 60);
    assert_int_equal(seen.damages, 0);
    assert_int_equal(seen.bytes, walk_once(w, 1 << 20).bytes);
    assert_int_equal(seen.bytes, walk_once(w, 333).bytes);
    assert_int_equal(walk_once(w, 1 << 20).steps, info.segments);
    assert_true(seen.bytes <= stored(w) && seen.bytes > 60 * 100);
}

static void an_empty_log_has_a_header_to_look_at(void **state)
{
    struct world *w = *state;
    size_t len;

    assert_int_equal(walk_once(w, 100).damages, 0);
    sim_bytes(&w->disk, FIRST, &len)[9] ^= 4;
    assert_int_equal(walk_once(w, 100).damages, 1);
}

static void every_flipped_byte_is_found_and_named(void **state)
{
    struct world *w = *state;
    size_t len;

    fill(w, 60);
    sim_bytes(&w->disk, FIRST, &len);
    for (size_t i = 0; i < len; i++) {
        struct walk seen;
        uint8_t *bytes = sim_bytes(&w->disk, FIRST, &len);

        bytes[i] ^= 0x10;
        seen = walk_once(w, 500);
        bytes[i] ^= 0x10;
        if (seen.damages != 1 || seen.base != 0 ||
            strstr(seen.err.text, FIRST) == NULL) {
            fail_msg("byte %zu of %zu: %u damages, %s", i, len, seen.damages,
                     seen.err.text);
        }
    }
    assert_int_equal(walk_once(w, 500).damages, 0);
}

static void damage_is_told_once_and_the_next_segment_is_read(void **state)
{
    struct world *w = *state;
    struct flv_log_read rd = {.offset = 59};
    uint64_t whole;
    struct walk seen;
    size_t len;

    fill(w, 60);
    whole = walk_once(w, 200).bytes;
    sim_bytes(&w->disk, FIRST, &len)[150] ^= 1;
    sim_bytes(&w->disk, FIRST, &len)[700] ^= 1;
    seen = walk_once(w, 200);
    assert_int_equal(seen.damages, 1);
    assert_true(seen.bytes < whole && seen.bytes >= whole - len);
    /* Nothing is cut, and the rest is served. */
    assert_int_equal(read_once(w->log, &rd), FLV_OK);
    append_plain(w->log, 10);
}

static void a_file_that_is_gone_or_cut_is_damage(void **state)
{
    struct world *w = *state;
    struct walk seen;

    fill(w, 60);
    sim_put(&w->disk, FIRST, "FLV", 3);
    seen = walk_once(w, 200);
    assert_int_equal(seen.damages, 1);
    assert_true(strstr(seen.err.text, "the file ends before") != NULL);
    sim_remove(&w->disk, FIRST);
    seen = walk_once(w, 200);
    assert_int_equal(seen.damages, 1);
    assert_true(strstr(seen.err.text, "is missing") != NULL);
}

static void what_is_not_synced_is_left_alone(void **state)
{
    struct world *w = *state;
    struct walk seen;
    uint64_t synced;

    flv_log_abandon(w->log);
    w->conf.durability = FLV_DURABLE_PAGE_CACHE;
    w->log = open_log(&w->conf, NULL);
    append_plain(w->log, 100);
    assert_int_equal(walk_once(w, 1000).bytes, 0);
    assert_int_equal(run_job(flv_log_sync_job(w->log)), FLV_OK);
    synced = walk_once(w, 1000).bytes;
    assert_true(synced > 100);
    append_plain(w->log, 100);
    seen = walk_once(w, 1000);
    assert_int_equal(seen.bytes, synced);
    assert_int_equal(seen.damages, 0);
}

static void a_walk_goes_on_behind_what_was_removed(void **state)
{
    struct world *w = *state;
    struct flv_log_scrub sc = {.bytes_max = 1};
    struct flv_log_job *job;
    unsigned steps = 0;

    fill(w, 60);
    assert_true(flv_log_scrub_prepare(w->log, &sc));
    /* Its segment is removed while the step is out; the file stays. */
    assert_true(flv_log_trim(w->log, 40) > 0);
    while ((job = flv_log_upkeep_job(w->log)) != NULL) {
        assert_int_equal(run_job(job), FLV_OK);
    }
    flv_log_scrub_run(&sc);
    flv_log_scrub_finish(&sc);
    assert_int_equal(sc.damage.rc, FLV_OK);
    assert_true(sc.bytes > 0);
    while (flv_log_scrub_prepare(w->log, &sc)) {
        flv_log_scrub_run(&sc);
        flv_log_scrub_finish(&sc);
        assert_int_equal(sc.damage.rc, FLV_OK);
        assert_true(sc.base >= flv_log_start_offset(w->log));
        assert_true(++steps < ROUNDS_MAX);
    }
    assert_int_equal(steps, 60 - flv_log_start_offset(w->log));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_walk_reads_all_that_is_stored_in_steps_of_any_size),
        TEST(an_empty_log_has_a_header_to_look_at),
        TEST(every_flipped_byte_is_found_and_named),
        TEST(damage_is_told_once_and_the_next_segment_is_read),
        TEST(a_file_that_is_gone_or_cut_is_damage),
        TEST(what_is_not_synced_is_left_alone),
        TEST(a_walk_goes_on_behind_what_was_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
