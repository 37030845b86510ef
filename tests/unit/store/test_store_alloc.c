/* Memory runs out at every allocation in turn: an error, nothing leaked,
 * nothing lost, and the same call works afterwards. */
#include <stdio.h>

#include "cm.h"
#include "base/mem.h"
#include "util.h"

static struct flv_log_conf small_conf(struct sim *disk)
{
    struct flv_log_conf conf = test_conf(disk);

    conf.segment_bytes = 1500;
    conf.checkpoint_bytes = 600;
    conf.segments_open_max = 1;
    return conf;
}

/* Appends, rolls, checkpoints; whatever fails is tried again once. */
static void use(struct flv_log *log, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        struct sent s;
        flv_rc rc;

        make_plain(&s, 200);
        rc = flv_log_stage(log, &s.append, NULL);
        if (rc != FLV_OK) {
            assert_int_equal(rc, FLV_E_NOMEM);
            assert_int_equal(flv_log_stage(log, &s.append, NULL), FLV_OK);
        }
        for (int again = 0; again < 3 && s.ended == 0; again++) {
            commit_all(log);
        }
        assert_int_equal(s.ended, 1);
        assert_true(s.rc == FLV_OK || s.rc == FLV_E_NOMEM);
        forget(&s);
        (void)run_job(flv_log_upkeep_job(log));
    }
}

static void numbered(struct flv_log *log, int64_t id)
{
    struct sent s;
    flv_rc rc;

    make_numbered(&s, id, 0, 0, 1);
    rc = flv_log_stage(log, &s.append, NULL);
    if (rc == FLV_E_NOMEM) {
        rc = flv_log_stage(log, &s.append, NULL);
    }
    assert_int_equal(rc, FLV_OK);
    while (s.ended == 0) {
        commit_all(log);
    }
    forget(&s);
}

static void read_all(struct flv_log *log)
{
    for (int64_t offset = 0; offset < flv_log_leo(log);) {
        struct flv_log_read rd = {.offset = offset};
        flv_rc rc = read_once(log, &rd);

        if (rc == FLV_E_NOMEM) {
            rd = (struct flv_log_read){.offset = offset};
            rc = read_once(log, &rd);
        }
        assert_int_equal(rc, FLV_OK);
        offset = rd.next_offset;
    }
}

static void
running_out_of_memory_while_open_is_an_error_and_no_more(void **state)
{
    uint64_t total = 1;

    (void)state;
    for (uint64_t n = 1; n <= total; n++) {
        struct sim disk;
        struct flv_log_conf conf;
        struct flv_log *log;
        struct flv_log_info info;
        int64_t leo;

        sim_init(&disk, n);
        conf = small_conf(&disk);
        log = open_log(&conf, NULL);
        (void)flv__mem_fail_at(n);
        use(log, 12);
        numbered(log, 5);
        read_all(log);
        total = flv__mem_fail_at(0) + 1;
        flv_log_stat(log, &info);
        assert_int_equal(info.state, FLV_LOG_OK);
        leo = flv_log_leo(log);
        assert_true(leo >= 12);
        assert_int_equal(flv_log_close(log, NULL), FLV_OK);
        log = open_log(&conf, NULL);
        assert_int_equal(count_records(log), leo);
        flv_log_abandon(log);
        sim_deinit(&disk);
    }
    printf("# %u allocations\n", (unsigned)total - 1);
    assert_true(total > 20);
}

static void running_out_of_memory_while_opening_harms_nothing(void **state)
{
    struct sim master;
    struct flv_log_conf conf;
    struct flv_log *log;
    int64_t leo;
    uint64_t n = 1;
    flv_rc rc;

    (void)state;
    sim_init(&master, 1);
    conf = small_conf(&master);
    log = open_log(&conf, NULL);
    use(log, 9);
    numbered(log, 5);
    leo = flv_log_leo(log);
    flv_log_abandon(log);
    do {
        struct sim disk;

        sim_init(&disk, n);
        sim_copy(&disk, &master);
        conf = small_conf(&disk);
        (void)flv__mem_fail_at(n++);
        rc = flv_log_open(&conf, &log, NULL, NULL);
        (void)flv__mem_fail_at(0);
        if (rc == FLV_OK) {
            flv_log_abandon(log);
        } else {
            assert_int_equal(rc, FLV_E_NOMEM);
        }
        assert_int_equal(disk.open_files, 0);
        log = open_log(&conf, NULL);
        assert_int_equal(flv_log_leo(log), leo);
        assert_int_equal(count_records(log), leo);
        flv_log_abandon(log);
        sim_deinit(&disk);
    } while (rc != FLV_OK || n < 40);
    sim_deinit(&master);
}

static void running_out_of_memory_while_checking_is_told(void **state)
{
    struct sim disk;
    struct flv_log_conf conf;
    struct flv_log *log;
    struct flv_log_check out;
    uint64_t n = 1;
    flv_rc rc;

    (void)state;
    sim_init(&disk, 1);
    conf = small_conf(&disk);
    log = open_log(&conf, NULL);
    use(log, 9);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    do {
        (void)flv__mem_fail_at(n++);
        rc = flv_log_check(&disk.io, LOG_DIR, NULL, NULL, &out, NULL);
        (void)flv__mem_fail_at(0);
        assert_true(rc == FLV_OK || rc == FLV_E_NOMEM);
        assert_int_equal(disk.open_files, 0);
    } while (rc != FLV_OK);
    assert_true(n > 5);
    sim_deinit(&disk);
}

static void scrub(struct flv_log *log)
{
    struct flv_log_scrub sc = {.bytes_max = 700};

    while (flv_log_scrub_prepare(log, &sc)) {
        flv_log_scrub_run(&sc);
        flv_log_scrub_finish(&sc);
        /* Want of memory is not damage. */
        assert_int_not_equal(sc.damage.rc, FLV_E_CORRUPT);
    }
}

static void running_out_of_memory_in_upkeep_harms_nothing(void **state)
{
    bool fired = true;

    (void)state;
    for (uint64_t n = 1; fired; n++) {
        struct sim disk;
        struct flv_log_conf conf;
        struct flv_log *log;
        struct flv_log_info info;
        int64_t start;

        sim_init(&disk, n);
        conf = small_conf(&disk);
        log = open_log(&conf, NULL);
        use(log, 20);
        (void)flv__mem_fail_at(n);
        if (flv_log_trim(log, 12) == 0) {
            assert_true(flv_log_trim(log, 12) > 0);
        }
        for (int i = 0; i < 4; i++) {
            commit_all(log);
            (void)run_job(flv_log_upkeep_job(log));
        }
        scrub(log);
        fired = flv__mem_fail_at(0) >= n;
        flv_log_stat(log, &info);
        assert_int_equal(info.state, FLV_LOG_OK);
        start = flv_log_start_offset(log);
        assert_in_range(start, 1, 12);
        assert_int_equal(flv_log_close(log, NULL), FLV_OK);
        log = open_log(&conf, NULL);
        assert_in_range(flv_log_start_offset(log), 0, start);
        assert_int_equal(count_records(log), 20 - flv_log_start_offset(log));
        assert_int_equal(append_plain(log, 200), 20);
        flv_log_abandon(log);
        sim_deinit(&disk);
    }
}

static void running_out_of_memory_while_deleting_can_be_repeated(void **state)
{
    bool fired = true;

    (void)state;
    for (uint64_t n = 1; fired; n++) {
        struct sim disk;
        struct flv_log_conf conf;
        struct flv_log *log;
        flv_rc rc;

        sim_init(&disk, n);
        conf = small_conf(&disk);
        log = open_log(&conf, NULL);
        use(log, 9);
        assert_int_equal(flv_log_close(log, NULL), FLV_OK);
        (void)flv__mem_fail_at(n);
        rc = flv_log_delete(&disk.io, LOG_DIR, NULL);
        fired = flv__mem_fail_at(0) >= n;
        assert_true(rc == FLV_OK || rc == FLV_E_NOMEM);
        assert_int_equal(disk.open_files, 0);
        if (rc == FLV_E_NOMEM) {
            rc = flv_log_delete(&disk.io, LOG_DIR, NULL);
            assert_true(rc == FLV_OK || rc == FLV_E_NOT_FOUND);
        }
        assert_int_equal(flv_log_delete(&disk.io, LOG_DIR, NULL),
                         FLV_E_NOT_FOUND);
        sim_deinit(&disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            running_out_of_memory_while_open_is_an_error_and_no_more),
        cmocka_unit_test(running_out_of_memory_while_opening_harms_nothing),
        cmocka_unit_test(running_out_of_memory_while_checking_is_told),
        cmocka_unit_test(running_out_of_memory_in_upkeep_harms_nothing),
        cmocka_unit_test(running_out_of_memory_while_deleting_can_be_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
