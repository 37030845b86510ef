/* Damage of every kind that a disk can do to bytes at rest: every byte of a
 * small partition changed in turn, every file cut at every length, every file
 * gone. Opening and reading give what was written, up to an explicit error or
 * an end that nothing had promised. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cm.h"
#include "batches.h"
#include "io_sim.h"
#include "store/log.h"

#define DIR_NAME "/p"
#define BATCH_MAX 400
#define MANY 200

struct batch {
    int64_t base, next;
    size_t len;
    uint8_t bytes[BATCH_MAX];
};

/* How it was left. */
enum end {
    CLOSED,
    KILLED,
    UNSEALED, /* killed, and of a page-cache topic, between a roll and the sync
                 that makes up for it */
};

/* What was written, and the disk that holds it. */
struct fixture {
    struct sim disk;
    struct batch batches[MANY];
    size_t count;
    bool kept; /* a checkpoint covers all of it */
};

struct tally {
    unsigned opened, refused, damaged, shorter, complete;
    unsigned notes; /* of the last check */
};

static enum flv_durability durability;

static struct flv_log_conf conf_of(struct sim *disk)
{
    return (struct flv_log_conf){
        .io = &disk->io,
        .dir = DIR_NAME,
        .create = true,
        .log_id = 0xfeedbeef12345678,
        .durability = durability,
        .segment_bytes = 1500,
        .batch_bytes_max = BATCH_MAX,
        .index_interval = 64,
        .segments_open_max = 1,
    };
}

static struct flv_log *must_open(struct sim *disk)
{
    struct flv_log_conf conf = conf_of(disk);
    struct flv_log *log = NULL;
    struct flv_err err = {0};

    if (flv_log_open(&conf, &log, NULL, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return log;
}

static void
ignore_done(struct flv_append *req, flv_rc rc, const struct flv_err *err)
{
    (void)err;
    *(flv_rc *)req->user = rc;
}

static void run_job(struct flv_log_job *job)
{
    if (job != NULL) {
        flv_log_job_run(job);
        assert_int_equal(flv_log_job_finish(job, NULL), FLV_OK);
    }
}

/* One group of one batch. */
static void append(struct fixture *f, struct flv_log *log, unsigned i)
{
    struct batch *b = &f->batches[f->count++];
    struct batch_spec spec = plain_batch(20 + i * 37 % 150, 1 + i % 3, i);
    flv_rc rc = FLV_E_IO;
    struct flv_append req = {
        .data = b->bytes, .done = ignore_done, .user = &rc};

    if (i % 4 == 1) {
        spec.producer_id = 7;
        spec.epoch = 0;
        spec.sequence = (int32_t)(i / 4 * 2);
        spec.count = 2;
    }
    assert_true(f->count <= MANY);
    req.len = b->len = put_batch(b->bytes, &spec);
    assert_int_equal(flv_log_stage(log, &req, NULL), FLV_OK);
    run_job(flv_log_commit_job(log));
    assert_int_equal(rc, FLV_OK);
    b->base = req.base_offset;
    b->next = req.base_offset + req.records;
}

static bool has_next(struct sim *disk)
{
    const char *name;

    for (size_t i = 0; (name = sim_name(disk, DIR_NAME, i)) != NULL; i++) {
        if (strstr(name, ".next") != NULL) {
            return true;
        }
    }
    return false;
}

/* Several segments. */
static void build(struct fixture *f, enum end end)
{
    struct flv_log *log;
    unsigned i = 0;

    memset(f, 0, sizeof(*f));
    durability = end == UNSEALED ? FLV_DURABLE_PAGE_CACHE : FLV_DURABLE_DISK;
    sim_init(&f->disk, 5);
    log = must_open(&f->disk);
    while (i < 24) {
        append(f, log, i++);
        run_job(flv_log_upkeep_job(log));
    }
    if (end == UNSEALED) {
        run_job(flv_log_sync_job(log));
        while (!has_next(&f->disk)) {
            append(f, log, i++);
        }
        append(f, log, i++);
        append(f, log, i++);
    }
    f->kept = end == CLOSED;
    if (end == CLOSED) {
        assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    } else {
        flv_log_abandon(log);
    }
}

/* The batch that contains `offset`. */
static const struct batch *find(const struct fixture *f, int64_t offset)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->batches[i].base <= offset && offset < f->batches[i].next) {
            return &f->batches[i];
        }
    }
    return NULL;
}

/* Reads at `offset`: FLV_OK and the next offset, or why not. What is
 * delivered has to be what was written. */
static flv_rc
read_at(const struct fixture *f, struct flv_log *log, int64_t *offset)
{
    uint8_t buf[1000];
    struct flv_log_read rd = {
        .offset = *offset, .buf = buf, .buf_bytes = sizeof(buf)};
    struct flv_err err = {0};
    bool ready = false;
    const struct batch *b = find(f, *offset);
    flv_rc rc = flv_log_read_prepare(log, &rd, &ready, &err);
    size_t at = 0;

    if (rc != FLV_OK || !ready) {
        return rc == FLV_OK ? FLV_E_CLOSED : rc;
    }
    rc = flv_log_read_run(&rd, &err);
    flv_log_read_finish(&rd);
    if (rc != FLV_OK) {
        assert_true(err.rc == rc && err.text[0] != '\0');
        return rc;
    }
    assert_non_null(b);
    for (uint32_t n = 0; n < rd.batches; n++, b++) {
        assert_true(b < f->batches + f->count);
        assert_true(b->len <= rd.len - at);
        assert_memory_equal(b->bytes, buf + at, b->len);
        at += b->len;
    }
    assert_int_equal(at, rd.len);
    assert_int_equal(rd.next_offset, b[-1].next);
    *offset = rd.next_offset;
    return FLV_OK;
}

/* Everything from the start on; where it ends, and why. */
static flv_rc
read_through(const struct fixture *f, struct flv_log *log, int64_t *end)
{
    int64_t offset = flv_log_start_offset(log);
    flv_rc rc;

    do {
        rc = read_at(f, log, &offset);
    } while (rc == FLV_OK);
    *end = offset;
    /* Whatever lies behind an error is right or an error, too. */
    for (size_t i = 0; i < f->count; i++) {
        offset = f->batches[i].next - 1;
        (void)read_at(f, log, &offset);
    }
    return rc;
}

/* An open log that says it is whole takes new records and keeps them. */
static void
append_and_reopen(struct fixture *f, struct sim *disk, struct flv_log *log)
{
    size_t count = f->count;
    struct flv_log_info info;
    int64_t end, before = flv_log_leo(log);

    flv_log_stat(log, &info);
    if (info.state != FLV_LOG_OK) {
        flv_log_abandon(log);
        return;
    }
    while (f->count > 0 && f->batches[f->count - 1].next > before) {
        f->count--; /* lost: what comes now takes its place */
    }
    if (f->count < count) {
        static struct fixture other;

        memcpy(other.batches, f->batches, sizeof(other.batches));
        other.count = f->count;
        append(&other, log, 60);
        assert_int_equal(flv_log_close(log, NULL), FLV_OK);
        log = must_open(disk);
        (void)read_through(&other, log, &end);
    } else {
        append(f, log, 60);
        assert_int_equal(flv_log_close(log, NULL), FLV_OK);
        log = must_open(disk);
        (void)read_through(f, log, &end);
    }
    f->count = count;
    flv_log_abandon(log);
}

static void count_note(void *user, const struct flv_log_note *note)
{
    assert_true(note->file[0] != '\0' && note->text[0] != '\0');
    (*(unsigned *)user)++;
}

/* The disk has been changed: whatever it gives now has to be true. */
static void examine(struct fixture *f, struct sim *disk, struct tally *t)
{
    struct flv_log_conf conf = conf_of(disk);
    struct flv_log_report report = {0};
    struct flv_log_check found;
    struct flv_err err = {0};
    struct flv_log *log = NULL;
    int64_t end = 0, full = f->batches[f->count - 1].next;
    flv_rc rc;

    conf.create = false;
    assert_int_equal(
        flv_log_check(&disk->io, DIR_NAME, count_note, &t->notes, &found, &err),
        FLV_OK);
    rc = flv_log_open(&conf, &log, &report, &err);
    if (rc != FLV_OK) {
        assert_true(err.text[0] != '\0');
        assert_true(rc == FLV_E_INVALID || rc == FLV_E_UNSUPPORTED ||
                    rc == FLV_E_NOT_FOUND);
        t->refused++;
        return;
    }
    t->opened++;
    t->damaged += report.damaged;
    rc = read_through(f, log, &end);
    assert_true(rc == FLV_E_CLOSED || rc == FLV_E_CORRUPT);
    assert_true(end <= full);
    if (end == full) {
        t->complete++;
    } else if (rc == FLV_E_CLOSED) {
        /* A shorter log is only believed where no checkpoint knows better. */
        t->shorter++;
        if (f->kept && !report.full_scan) {
            fail_msg("lost %" PRId64 " records without a word", full - end);
        }
    }
    /* What opening found, checking had found, too. */
    if (report.damaged) {
        assert_true(found.damages > 0);
        assert_int_equal(report.damage.rc, FLV_E_CORRUPT);
    }
    if (report.torn_bytes > 0) {
        assert_true(found.torn_bytes > 0);
    }
    append_and_reopen(f, disk, log);
}

static void print_tally(const char *what, const struct tally *t)
{
    printf("# %s: %u opened (%u complete, %u damaged, %u shorter), %u "
           "refused\n",
           what, t->opened, t->complete, t->damaged, t->shorter, t->refused);
}

static void path_of(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", DIR_NAME, name);
}

static void flip_every_byte(enum end end, const char *what)
{
    static struct fixture f;
    struct tally tally = {0};
    const char *name;

    build(&f, end);
    for (size_t i = 0; (name = sim_name(&f.disk, DIR_NAME, i)) != NULL; i++) {
        char path[128];
        size_t len = 0;

        path_of(path, sizeof(path), name);
        assert_non_null(sim_bytes(&f.disk, path, &len));
        for (size_t at = 0; at < len; at++) {
            for (int bit = 0; bit < 2; bit++) {
                struct sim disk;
                uint8_t *byte;

                sim_init(&disk, at);
                sim_copy(&disk, &f.disk);
                byte = &sim_bytes(&disk, path, &len)[at];
                *byte = (uint8_t)(*byte ^ (bit ? 1u << at % 8 : 0xffu));
                tally.notes = 0;
                examine(&f, &disk, &tally);
                assert_true(tally.notes > 0);
                sim_deinit(&disk);
            }
        }
    }
    sim_deinit(&f.disk);
    print_tally(what, &tally);
    assert_true(tally.damaged > 0 || tally.shorter > 0);
}

static void every_flipped_byte_of_a_closed_log_is_noticed(void **state)
{
    (void)state;
    flip_every_byte(CLOSED, "flipped, closed");
}

static void every_flipped_byte_of_a_killed_log_is_noticed(void **state)
{
    (void)state;
    flip_every_byte(KILLED, "flipped, killed");
}

static void every_flipped_byte_of_an_unsealed_log_is_noticed(void **state)
{
    (void)state;
    flip_every_byte(UNSEALED, "flipped, unsealed");
}

static void cut_every_file(enum end end, const char *what)
{
    static struct fixture f;
    struct tally tally = {0};
    const char *name;

    build(&f, end);
    for (size_t i = 0; (name = sim_name(&f.disk, DIR_NAME, i)) != NULL; i++) {
        char path[128];
        size_t len = 0;

        path_of(path, sizeof(path), name);
        assert_non_null(sim_bytes(&f.disk, path, &len));
        /* The last round: no such file. */
        for (size_t cut = 0; cut <= len; cut++) {
            struct sim disk;

            sim_init(&disk, cut);
            sim_copy(&disk, &f.disk);
            if (cut == len) {
                sim_remove(&disk, path);
            } else {
                size_t ignored;
                uint8_t *bytes = sim_bytes(&f.disk, path, &ignored);

                sim_put(&disk, path, bytes, cut);
            }
            examine(&f, &disk, &tally);
            sim_deinit(&disk);
        }
    }
    sim_deinit(&f.disk);
    print_tally(what, &tally);
    assert_true(tally.damaged > 0);
}

static void every_cut_of_a_closed_log_is_noticed(void **state)
{
    (void)state;
    cut_every_file(CLOSED, "cut, closed");
}

static void every_cut_of_a_killed_log_gives_a_prefix_or_an_error(void **state)
{
    (void)state;
    cut_every_file(KILLED, "cut, killed");
}

static void
every_cut_of_an_unsealed_log_gives_a_prefix_or_an_error(void **state)
{
    (void)state;
    cut_every_file(UNSEALED, "cut, unsealed");
}

/* Under a running log, which has no reason to expect it. */
static void
bytes_that_change_under_an_open_log_are_never_delivered(void **state)
{
    static struct fixture f;
    struct flv_log *log;
    unsigned met = 0;
    const char *name;

    (void)state;
    build(&f, CLOSED);
    log = must_open(&f.disk);
    for (size_t i = 0; (name = sim_name(&f.disk, DIR_NAME, i)) != NULL; i++) {
        char path[128];
        size_t len = 0;
        uint8_t *bytes;

        path_of(path, sizeof(path), name);
        bytes = sim_bytes(&f.disk, path, &len);
        for (size_t at = 0; strstr(name, ".log") != NULL && at < len; at++) {
            int64_t end = 0;
            flv_rc rc;

            bytes[at] ^= 0x41;
            rc = read_through(&f, log, &end);
            bytes[at] ^= 0x41;
            met += rc == FLV_E_CORRUPT;
            assert_true(rc == FLV_E_CORRUPT || rc == FLV_E_CLOSED);
        }
    }
    assert_true(met > 1000);
    assert_int_equal(flv_log_close(log, NULL), FLV_OK);
    sim_deinit(&f.disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flipped_byte_of_a_closed_log_is_noticed),
        cmocka_unit_test(every_flipped_byte_of_a_killed_log_is_noticed),
        cmocka_unit_test(every_flipped_byte_of_an_unsealed_log_is_noticed),
        cmocka_unit_test(every_cut_of_a_closed_log_is_noticed),
        cmocka_unit_test(every_cut_of_a_killed_log_gives_a_prefix_or_an_error),
        cmocka_unit_test(
            every_cut_of_an_unsealed_log_gives_a_prefix_or_an_error),
        cmocka_unit_test(
            bytes_that_change_under_an_open_log_are_never_delivered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
