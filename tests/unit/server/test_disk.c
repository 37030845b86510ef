#include "rig.h"

#include "base/clock.h"
#include "store/io.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

/* The real disk with switches, in memory that the server's process shares
 * with the test. */
struct switches {
    atomic_bool full;       /* writes fail with ENOSPC */
    atomic_bool sync_fails; /* fdatasync fails with EIO */
    sem_t flushes;          /* of page-cache topics, one after the other */
};

struct switched_io {
    struct flv_io io; /* first */
    struct flv_io_ops ops;
    struct switches *switches;
};

static struct switched_io disk;

/* Files come from the real one, so the switches are found through `disk`. */
static flv_rc switched_write(struct flv_file *file,
                             const struct iovec *iov,
                             int count,
                             uint64_t pos,
                             size_t *done,
                             struct flv_err *err)
{
    if (atomic_load(&disk.switches->full)) {
        return flv_fail_sys(err, FLV_E_NOSPACE, ENOSPC,
                            "cannot write to the log");
    }
    return flv_io_posix()->ops->write(file, iov, count, pos, done, err);
}

static flv_rc
switched_sync(struct flv_file *file, enum flv_sync site, struct flv_err *err)
{
    if (atomic_load(&disk.switches->sync_fails)) {
        return flv_fail_sys(err, FLV_E_IO, EIO, "cannot sync the log");
    }
    if (site == FLV_SYNC_FLUSH) {
        sem_post(&disk.switches->flushes);
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

struct both {
    struct rig rig;
    struct link sc, spu;
    struct flv_buf batch;
};

static int setup(void **state)
{
    static struct both b;
    memset(&b, 0, sizeof b);
    disk.ops = *flv_io_posix()->ops;
    disk.ops.open = switched_open;
    disk.ops.write = switched_write;
    disk.ops.sync = switched_sync;
    disk.io.ops = &disk.ops;
    disk.switches = mmap(NULL, sizeof *disk.switches, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(disk.switches != MAP_FAILED);
    assert_int_equal(sem_init(&disk.switches->flushes, 1, 0), 0);
    rig_init(&b.rig);
    b.rig.conf.io = &disk.io;
    rig_start(&b.rig);
    link_open(&b.sc, b.rig.sc);
    link_open(&b.spu, b.rig.spu);
    flv_buf_init(&b.batch, 1u << 20);
    rig_batch(&b.batch, 1, 100, FLV_CODEC_NONE, -1, -1);
    assert_int_equal(rig_create_topic(&b.sc, "t", 1), 0);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct both *b = *state;
    link_close(&b->sc);
    link_close(&b->spu);
    rig_stop(&b->rig);
    rig_deinit(&b->rig);
    flv_buf_deinit(&b->batch);
    munmap(disk.switches, sizeof *disk.switches);
    return 0;
}

static int16_t produce(struct both *b, int64_t *base)
{
    return rig_produce(&b->spu, "t", 0, flv_buf_slice(&b->batch), base);
}

static int16_t read_first(struct both *b)
{
    struct flv_wire_stream_fetch_response resp;
    int32_t asked = rig_stream_ask(&b->spu, "t", 0, 0, 1000, NULL);
    assert_int_equal(link_next(&b->spu), asked);
    link_read(&b->spu, 25, &flv_wire_stream_fetch_response_schema, &resp, NULL);
    return resp.partition.error.code;
}

static void full_disk_is_told_and_passes(void **state)
{
    struct both *b = *state;
    int64_t base = -1;
    assert_int_equal(produce(b, NULL), 0);
    atomic_store(&disk.switches->full, true);
    assert_int_equal(produce(b, NULL), FLV_WIRE_PARTITION_FULL);
    assert_int_equal(produce(b, NULL), FLV_WIRE_PARTITION_FULL);
    assert_int_equal(read_first(b), 0);
    atomic_store(&disk.switches->full, false);
    assert_int_equal(produce(b, &base), 0);
    assert_int_equal(base, 1);
}

/* What the server itself says is wrong: NULL for nothing. */
static void trouble_is(struct both *b, const char *kind)
{
    const struct flv_wire_server_look req = {.troubles_max = 10};
    struct flv_wire_server_state st;
    link_call(&b->sc, FLV_API_SC_SERVER_LOOK, 19, &flv_wire_server_look_schema,
              &req, &flv_wire_server_state_schema, &st);
    assert_int_equal(st.troubled, kind != NULL);
    assert_int_equal(st.troubles.len, kind != NULL);
    if (kind != NULL) {
        assert_int_equal(st.troubles.at[0].kind.len, strlen(kind));
        assert_memory_equal(st.troubles.at[0].kind.data, kind, strlen(kind));
        assert_true(st.troubles.at[0].cause.len > 0);
    }
}

static void failed_sync_poisons_until_restart(void **state)
{
    struct both *b = *state;
    int64_t base = -1;
    assert_int_equal(produce(b, NULL), 0);
    trouble_is(b, NULL);
    atomic_store(&disk.switches->sync_fails, true);
    assert_int_equal(produce(b, NULL), FLV_WIRE_STORAGE_ERROR);
    atomic_store(&disk.switches->sync_fails, false);
    assert_int_equal(produce(b, NULL), FLV_WIRE_STORAGE_ERROR);
    assert_int_equal(read_first(b), 0);
    trouble_is(b, "poisoned");
    link_close(&b->sc);
    link_close(&b->spu);
    rig_stop(&b->rig);
    rig_start(&b->rig);
    link_open(&b->sc, b->rig.sc);
    link_open(&b->spu, b->rig.spu);
    assert_int_equal(produce(b, &base), 0);
    assert_true(base >= 1); /* the failed one may be there: nobody was told */
}

static void topic_that_cannot_be_made_leaves_no_trace(void **state)
{
    struct both *b = *state;
    atomic_store(&disk.switches->full, true);
    assert_int_equal(rig_create_topic(&b->sc, "u", 3),
                     FLV_WIRE_TOPIC_NOT_PROVISIONED);
    atomic_store(&disk.switches->full, false);
    assert_int_equal(rig_create_topic(&b->sc, "u", 3), 0);
    assert_int_equal(
        rig_produce(&b->spu, "u", 2, flv_buf_slice(&b->batch), NULL), 0);
}

/* The next one that the server does; when, in ms. */
static uint64_t wait_for_flush(void)
{
    struct timespec until;
    int rc;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    while ((rc = sem_timedwait(&disk.switches->flushes, &until)) != 0 &&
           errno == EINTR) {
    }
    assert_int_equal(rc, 0);
    return flv_clock_mono_ms();
}

/* 256 partitions in a second, also when more want it in the same one. */
static void syncs_of_many_partitions_do_not_come_at_once(void **state)
{
    enum { MANY = 600 };
    struct both *b = *state;
    struct flv_wire_topic_create_ext req = {
        .durability = FLV_WIRE_DURABILITY_PAGE_CACHE,
        .create.common.name = flv_slice_str("many"),
        .create.spec = {.replicas = {.tag = FLV_WIRE_REPLICA_COMPUTED,
                                     .computed = {.partitions = MANY,
                                                  .replication_factor = 1}},
                        .compression = FLV_WIRE_COMPRESSION_ANY}};
    static struct flv_wire_produce_partition parts[MANY];
    struct flv_wire_produce_topic topic = {.name = flv_slice_str("many")};
    struct flv_wire_produce_request all = {.acks = 1};
    struct flv_wire_produce_response resp;
    struct flv_wire_status status;
    uint64_t first_ms, last_ms = 0;
    link_call(&b->sc, FLV_API_SC_TOPIC_CREATE_EXT, 19,
              &flv_wire_topic_create_ext_schema, &req, &flv_wire_status_schema,
              &status);
    assert_int_equal(status.error.code, 0);
    for (uint32_t i = 0; i < MANY; i++) {
        parts[i] = (struct flv_wire_produce_partition){
            .partition = i, .records = flv_buf_slice(&b->batch)};
    }
    topic.partitions.at = parts;
    topic.partitions.len = MANY;
    all.topics.at = &topic;
    all.topics.len = 1;
    link_call(&b->spu, FLV_API_SPU_PRODUCE, 25,
              &flv_wire_produce_request_schema, &all,
              &flv_wire_produce_response_schema, &resp);
    first_ms = wait_for_flush();
    for (uint32_t i = 1; i < MANY; i++) {
        last_ms = wait_for_flush();
    }
    assert_true(last_ms - first_ms >= 1000); /* in three turns */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(full_disk_is_told_and_passes),
        T(failed_sync_poisons_until_restart),
        T(topic_that_cannot_be_made_leaves_no_trace),
        T(syncs_of_many_partitions_do_not_come_at_once),
    };
    cmocka_set_test_filter(getenv("RIG_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
