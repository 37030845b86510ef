#include "cm.h"
#include "server/partition.h"
#include "tmpdir.h"
#include "wire/batch.h"
#include "wire/compress.h"

#include "base/field.h"
#include "base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* One partition with a loop and pools of its own, on the real disk with
 * switches. */

enum { CLIENTS = 8, SET_BYTES = 8192 };

static struct {
    struct flv_io io; /* first */
    struct flv_io_ops ops;
    atomic_bool refuses;       /* the next write, with ENOSPC */
    atomic_uint refuses_names; /* so many renames */
    atomic_uint names;         /* renames */
    atomic_uint checkpoints;   /* made durable */
    atomic_bool takes_a_while; /* a sync */
    atomic_bool fails;         /* the next sync of what was written */
    struct flv_loop *loop;
    struct flv_task *at_sync; /* posted by the first; NULL: nothing */
} disk;

static flv_rc switched_write(struct flv_file *file,
                             const struct iovec *iov,
                             int count,
                             uint64_t pos,
                             size_t *done,
                             struct flv_err *err)
{
    if (atomic_exchange(&disk.refuses, false)) {
        return flv_fail_sys(err, FLV_E_NOSPACE, ENOSPC,
                            "cannot write to the log");
    }
    return flv_io_posix()->ops->write(file, iov, count, pos, done, err);
}

static flv_rc switched_rename(struct flv_io *io,
                              const char *from,
                              const char *to,
                              struct flv_err *err)
{
    (void)io;
    if (strstr(from, ".next") != NULL &&
        atomic_fetch_add(&disk.names, 1) < atomic_load(&disk.refuses_names)) {
        return flv_fail_sys(err, FLV_E_NOSPACE, ENOSPC, "cannot rename");
    }
    return flv_io_posix()->ops->rename(flv_io_posix(), from, to, err);
}

static flv_rc
switched_sync(struct flv_file *file, enum flv_sync site, struct flv_err *err)
{
    const struct timespec while_ns = {.tv_nsec = 1000000};
    if (site == FLV_SYNC_FLUSH && atomic_load(&disk.takes_a_while)) {
        if (disk.at_sync != NULL) {
            assert_int_equal(flv_loop_post(disk.loop, disk.at_sync), FLV_OK);
            disk.at_sync = NULL;
        }
        nanosleep(&while_ns, NULL);
    }
    if (site == FLV_SYNC_FLUSH && atomic_exchange(&disk.fails, false)) {
        return flv_fail_sys(err, FLV_E_IO, EIO, "cannot sync the log");
    }
    if (site == FLV_SYNC_CHECKPOINT_FILE) {
        atomic_fetch_add(&disk.checkpoints, 1);
    }
    return flv_io_posix()->ops->sync(file, site, err);
}

static flv_rc switched_open(struct flv_io *io,
                            const char *path,
                            enum flv_io_open how,
                            struct flv_file **out,
                            struct flv_err *err)
{
    flv_rc rc = flv_io_posix()->ops->open(flv_io_posix(), path, how, out, err);
    if (rc == FLV_OK) {
        (*out)->io = io;
    }
    return rc;
}

struct fixture {
    struct tmpdir tmp;
    struct flv_loop *loop;
    struct flv_part_env env;
    struct flv_partition *p;
    unsigned pending;       /* appends */
    uint32_t segment_bytes; /* 0: the default */
};

/* One record set on its way, again and again. */
struct client {
    struct fixture *f;
    struct flv_part_append append;
    struct flv_chunk *frame; /* owned */
    unsigned rounds;         /* still to go */
    unsigned ended;
    flv_rc rc;
    int64_t hw_then;      /* the visible end when it ended */
    struct client *after; /* goes when this one has ended */
};

static struct flv_pool *pool(struct fixture *f, const char *name, size_t n)
{
    const struct flv_pool_conf conf = {
        .name = name, .threads_max = n, .queue_max = 64};
    struct flv_pool *out = NULL;
    assert_int_equal(flv_pool_create(&out, f->loop, &conf, NULL), FLV_OK);
    return out;
}

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    disk.ops = *flv_io_posix()->ops;
    disk.ops.open = switched_open;
    disk.ops.write = switched_write;
    disk.ops.sync = switched_sync;
    disk.ops.rename = switched_rename;
    disk.io.ops = &disk.ops;
    atomic_store(&disk.checkpoints, 0);
    atomic_store(&disk.names, 0);
    atomic_store(&disk.refuses_names, 0);
    atomic_store(&disk.takes_a_while, false);
    tmpdir_make(&f.tmp, "partition");
    assert_int_equal(flv_loop_create(&f.loop, 64, NULL), FLV_OK);
    f.env.loop = f.loop;
    f.env.io = &disk.io;
    f.env.commit_pool = pool(&f, "commit", 4);
    f.env.write_pool = pool(&f, "write", 1);
    f.env.sync_pool = pool(&f, "sync", 2);
    f.env.read_pool = pool(&f, "read", 1);
    f.env.tails = (struct flv_tail_pool){.max = 1 << 20, .max_of_one = 1 << 20};
    TAILQ_INIT(&f.env.upkeep_line);
    *state = &f;
    return 0;
}

static void open_partition(struct fixture *f,
                           enum flv_durability durability,
                           uint64_t checkpoint_bytes)
{
    struct flv_err err = {0};
    const struct flv_part_conf conf = {.dir = f->tmp.sub,
                                       .name = "t-0",
                                       .create = true,
                                       .log_id = 7,
                                       .durability = durability,
                                       .segment_bytes = f->segment_bytes,
                                       .batch_bytes_max = 2u << 20,
                                       .checkpoint_bytes = checkpoint_bytes};
    f->p = flv_partition_create(&f->env, "t-0", false);
    assert_non_null(f->p);
    assert_int_equal(flv_partition_open_log(f->p, &conf, &err), FLV_OK);
    flv_partition_set_trouble(f->p, NULL);
    flv_partition_opened(f->p);
}

static void closed(void *ctx)
{
    struct fixture *f = ctx;
    flv_loop_stop(f->loop);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flv_partition_close(f->p, true, closed, f);
    flv_loop_run(f->loop);
    flv_pool_destroy(f->env.commit_pool);
    flv_pool_destroy(f->env.sync_pool);
    flv_pool_destroy(f->env.write_pool);
    flv_pool_destroy(f->env.read_pool);
    flv_loop_destroy(f->loop);
    tmpdir_remove(&f->tmp);
    return 0;
}

/* ---- clients ---- */

static void go(struct client *c)
{
    struct flv_part_append *a = &c->append;
    bool committed = a->committed;
    void (*done)(struct flv_part_append *, flv_rc, const struct flv_err *) =
        a->done;
    memset(a, 0, sizeof *a);
    a->base.data = c->frame->data;
    a->base.len = c->frame->size;
    a->frame = c->frame;
    a->committed = committed;
    a->done = done;
    c->f->pending++;
    flv_partition_append(c->f->p, a);
}

static void ended(struct flv_part_append *a, flv_rc rc, const struct flv_err *e)
{
    struct client *c = FLV_OWNER_OF(a, struct client, append);
    (void)e;
    c->ended++;
    c->rc = rc;
    c->hw_then = flv_partition_end(c->f->p, FLV_READ_COMMITTED);
    c->f->pending--;
    if (c->after != NULL) {
        go(c->after);
    }
    if (c->rounds > 0) {
        c->rounds--;
        go(c);
    } else if (c->f->pending == 0) {
        flv_loop_stop(c->f->loop);
    }
}

/* A set of so many batches with one record each. */
static void client_init_as(struct client *c,
                           struct fixture *f,
                           uint32_t batches,
                           size_t value_bytes,
                           struct flv_batch_stamp stamp)
{
    struct flv_batch_builder b;
    struct flv_buf bytes;
    uint8_t *value = flv_zalloc(1, value_bytes);
    assert_non_null(value);
    memset(c, 0, sizeof *c);
    flv_buf_init(&bytes, 64u << 20);
    flv_batch_builder_init(&b, 4u << 20);
    for (uint32_t i = 0; i < batches; i++) {
        assert_int_equal(flv_batch_builder_add(&b, NULL,
                                               flv_slice(value, value_bytes),
                                               1700000000000, NULL),
                         FLV_OK);
        assert_int_equal(flv_batch_builder_finish(&b, NULL, FLV_CODEC_NONE,
                                                  stamp, &bytes, NULL),
                         FLV_OK);
        flv_batch_builder_reset(&b);
    }
    assert_int_equal(flv_chunk_create(NULL, bytes.len, &c->frame), FLV_OK);
    memcpy(c->frame->data, bytes.data, bytes.len);
    flv_batch_builder_deinit(&b);
    flv_buf_deinit(&bytes);
    flv_free(value);
    c->f = f;
    c->append.done = ended;
}

static void client_init(struct client *c,
                        struct fixture *f,
                        uint32_t batches,
                        size_t value_bytes)
{
    client_init_as(c, f, batches, value_bytes, FLV_BATCH_NO_STAMP);
}

static struct client clients[CLIENTS];

static void half_go(int from)
{
    for (int i = from; i < from + CLIENTS / 2; i++) {
        go(&clients[i]);
    }
}

static void other_half_goes(struct flv_task *t)
{
    (void)t;
    half_go(CLIENTS / 2);
}

/* ---- tests ---- */

/* A log that is full of what is being written has no room for the third set.
 * When the first fails so does what waits behind it; what comes later, out of
 * the answer to the first, is stored. */
static void what_waits_for_room_fails_with_what_is_before_it(void **state)
{
    struct fixture *f = *state;
    static struct client first, second, waits, later;
    open_partition(f, FLV_DURABLE_DISK, 0);
    client_init(&first, f, 31, 1 << 20);
    client_init(&second, f, 31, 1 << 20);
    client_init(&waits, f, 3, 1 << 20);
    client_init(&later, f, 1, 10);
    first.after = &later;
    atomic_store(&disk.refuses, true);
    go(&first);
    go(&second);
    go(&waits);
    flv_loop_run(f->loop);
    assert_int_equal(first.rc, FLV_E_NOSPACE);
    assert_int_equal(second.rc, FLV_E_NOSPACE);
    assert_int_equal(waits.rc, FLV_E_NOSPACE);
    assert_int_equal(waits.ended, 1);
    assert_int_equal(later.rc, FLV_OK);
    assert_int_equal(later.append.base.base_offset, 0);
    assert_int_equal(flv_partition_end(f->p, FLV_READ_UNCOMMITTED), 1);
    flv_chunk_unref(first.frame);
    flv_chunk_unref(second.frame);
    flv_chunk_unref(waits.frame);
    flv_chunk_unref(later.frame);
}

/* Of producers that wait for a sync one half comes while the other is synced:
 * whenever a sync ends there is something for another. */
static void checkpoints_are_made_under_a_steady_load_of_syncs(void **state)
{
    enum { ROUNDS = 100, CHECKPOINT_BYTES = CLIENTS * SET_BYTES };
    struct fixture *f = *state;
    struct flv_task other_half;
    open_partition(f, FLV_DURABLE_PAGE_CACHE, CHECKPOINT_BYTES);
    for (int i = 0; i < CLIENTS; i++) {
        client_init(&clients[i], f, 1, SET_BYTES);
        clients[i].append.committed = true;
        clients[i].rounds = ROUNDS;
    }
    flv_task_init(&other_half, other_half_goes);
    disk.loop = f->loop;
    disk.at_sync = &other_half;
    atomic_store(&disk.takes_a_while, true);
    half_go(0);
    flv_loop_run(f->loop);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(clients[i].ended, ROUNDS + 1);
        assert_int_equal(clients[i].rc, FLV_OK);
        flv_chunk_unref(clients[i].frame);
    }
    assert_in_range(atomic_load(&disk.checkpoints), ROUNDS / 4, ROUNDS * 2);
}

/* What is stored and not synced yet is not more than that when it comes
 * again. */
static void a_repetition_waits_for_the_sync_it_asks_for(void **state)
{
    struct fixture *f = *state;
    const struct flv_batch_stamp stamp = {.producer_id = 9};
    struct client written;
    struct client again;
    open_partition(f, FLV_DURABLE_PAGE_CACHE, 0);
    client_init_as(&written, f, 1, 10, stamp);
    client_init_as(&again, f, 1, 10, stamp);
    again.append.committed = true;
    written.after = &again;
    go(&written);
    flv_loop_run(f->loop);
    assert_int_equal(written.rc, FLV_OK);
    assert_int_equal(again.rc, FLV_OK);
    assert_int_equal(again.ended, 1);
    assert_int_equal(again.append.base.base_offset, 0);
    assert_int_equal(flv_partition_end(f->p, FLV_READ_UNCOMMITTED), 1);
    assert_int_equal(again.hw_then, 1);
    flv_chunk_unref(written.frame);
    flv_chunk_unref(again.frame);
}

static void who_waits_for_a_sync_that_fails_hears_of_it(void **state)
{
    struct fixture *f = *state;
    struct client c;
    open_partition(f, FLV_DURABLE_PAGE_CACHE, 0);
    client_init(&c, f, 1, 10);
    c.append.committed = true;
    atomic_store(&disk.fails, true);
    go(&c);
    flv_loop_run(f->loop);
    assert_int_equal(c.ended, 1);
    assert_int_equal(c.rc, FLV_E_POISONED);
    assert_int_equal(flv_partition_health(f->p), FLV_HEALTH_POISONED);
    flv_chunk_unref(c.frame);
}

/* Nobody else asks for a sync here, and there is no tick: where a segment
 * ends what waits for one begins it, however many wait for an upkeep. */
static void a_segment_that_ends_waits_in_no_line(void **state)
{
    enum { ROUNDS = 60 };
    struct fixture *f = *state;
    struct client c;
    f->segment_bytes = 4 * SET_BYTES;
    f->env.upkeeps = 8; /* of others, without end */
    open_partition(f, FLV_DURABLE_PAGE_CACHE, 0);
    client_init(&c, f, 1, SET_BYTES);
    c.rounds = ROUNDS;
    go(&c);
    flv_loop_run(f->loop);
    assert_int_equal(c.rc, FLV_OK);
    assert_int_equal(flv_partition_end(f->p, FLV_READ_UNCOMMITTED), ROUNDS + 1);
    assert_true(atomic_load(&disk.names) > 5);
    f->env.upkeeps = 0;
    flv_chunk_unref(c.frame);
}

struct ticker {
    struct flv_timer timer;
    struct client *c;
    unsigned names, rounds;
};

/* Once nothing moves any more. */
static void tick(struct flv_timer *timer)
{
    struct ticker *t = FLV_OWNER_OF(timer, struct ticker, timer);
    unsigned names = atomic_load(&disk.names);
    bool quiet = names > 0 && names == t->names;
    t->names = names;
    if (quiet && ++t->rounds == 2) {
        assert_int_equal(t->c->ended, 0);
        flv_timer_stop(timer);
        flv_partition_tick(t->c->f->p, flv_loop_now_ms(t->c->f->loop));
    }
}

/* A disk that refuses is asked again once a second. */
static void a_refused_sync_is_tried_again_by_the_tick(void **state)
{
    struct fixture *f = *state;
    struct ticker ticker = {0};
    struct client first;
    struct client next;
    f->segment_bytes = SET_BYTES + 512;
    open_partition(f, FLV_DURABLE_PAGE_CACHE, 0);
    client_init(&first, f, 1, SET_BYTES);
    client_init(&next, f, 1, 1000); /* into a segment of its own */
    next.append.committed = true;
    first.after = &next;
    atomic_store(&disk.refuses_names, 2); /* upkeep's and the first sync's */
    ticker.c = &next;
    flv_timer_init(&ticker.timer, f->loop, tick);
    assert_int_equal(flv_timer_start(&ticker.timer, 20, 20, NULL), FLV_OK);
    go(&first);
    flv_loop_run(f->loop);
    assert_int_equal(next.rc, FLV_OK);
    assert_int_equal(ticker.names, 2);
    assert_int_equal(atomic_load(&disk.names), 3);
    flv_timer_stop(&ticker.timer);
    flv_chunk_unref(first.frame);
    flv_chunk_unref(next.frame);
}

/* They may take seconds where there is much to write: the threads in which
 * disk topics commit are not for them. */
static void syncs_take_no_thread_from_commits(void **state)
{
    struct fixture *f = *state;
    struct flv_pool *commits = f->env.commit_pool;
    struct client c;
    f->env.commit_pool = NULL;
    open_partition(f, FLV_DURABLE_PAGE_CACHE, 0);
    client_init(&c, f, 1, SET_BYTES);
    c.append.committed = true;
    c.rounds = 5;
    go(&c);
    flv_loop_run(f->loop);
    assert_int_equal(c.rc, FLV_OK);
    assert_int_equal(c.ended, 6);
    f->env.commit_pool = commits;
    flv_chunk_unref(c.frame);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_waits_for_room_fails_with_what_is_before_it),
        T(checkpoints_are_made_under_a_steady_load_of_syncs),
        T(a_repetition_waits_for_the_sync_it_asks_for),
        T(who_waits_for_a_sync_that_fails_hears_of_it),
        T(a_segment_that_ends_waits_in_no_line),
        T(a_refused_sync_is_tried_again_by_the_tick),
        T(syncs_take_no_thread_from_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
