/* fuzz-libs: flv_store_sim */
/* A sound partition with the input as its checkpoint. With the first byte odd
 * its checksum is made right first. Opening gives an error, a log that knows
 * of damage, or one that serves what was written. What can be decoded is the
 * same when it is encoded again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "batches.h"
#include "io_sim.h"
#include "store/checkpoint.h"
#include "store/log.h"
#include "wire/crc32c.h"

#define DIR_NAME "/p"
#define BATCHES 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
append_done(struct flv_append *req, flv_rc rc, const struct flv_err *err)
{
    (void)err;
    *(flv_rc *)req->user = rc;
}

static void append(struct flv_log *log, unsigned i)
{
    struct batch_spec spec = plain_batch(20 + i, 2, i);
    uint8_t bytes[BATCH_HEAD + 100];
    flv_rc rc = FLV_E_TIMEOUT;
    struct flv_append req = {.data = bytes, .done = append_done, .user = &rc};
    struct flv_log_job *job;

    req.len = put_batch(bytes, &spec);
    rc = flv_log_stage(log, &req, NULL);
    assert(rc == FLV_OK);
    job = flv_log_commit_job(log);
    flv_log_job_run(job);
    rc = flv_log_job_finish(job, NULL);
    assert(rc == FLV_OK);
}

static void round_trip(const uint8_t *bytes, size_t len)
{
    struct flv__checkpoint ck;
    struct flv__producers table;
    struct flv__index index;
    struct flv_buf again;

    flv__producers_init(&table, UINT32_MAX);
    flv__index_init(&index, 1, UINT32_MAX);
    flv_buf_init(&again, FLV__CHECKPOINT_MAX);
    if (flv__checkpoint_decode(flv_slice(bytes, len), &ck, &table, &index) ==
        FLV_OK) {
        flv_rc rc = flv__checkpoint_encode(&ck, &table, &index, &again);

        assert(rc == FLV_OK && again.len <= len);
        (void)rc;
        rc = flv__checkpoint_decode(flv_buf_slice(&again), &ck, NULL, NULL);
        assert(rc == FLV_OK);
    }
    flv_buf_deinit(&again);
    flv__index_deinit(&index);
    flv__producers_deinit(&table);
}

static void read_all(struct flv_log *log)
{
    uint8_t buf[1000];
    int64_t offset = flv_log_start_offset(log);

    for (;;) {
        struct flv_log_read rd = {
            .offset = offset, .buf = buf, .buf_bytes = sizeof(buf)};
        bool ready = false;
        flv_rc rc = flv_log_read_prepare(log, &rd, &ready, NULL);

        if (rc != FLV_OK || !ready) {
            return;
        }
        rc = flv_log_read_run(&rd, NULL);
        flv_log_read_finish(&rd);
        if (rc != FLV_OK) {
            assert(rc == FLV_E_CORRUPT);
            return;
        }
        for (size_t at = 0; at < rd.len;) {
            /* Two records a batch; its size tells which one it is. */
            int64_t base = (int64_t)flv_get_u64(buf + at);
            size_t len = flv_get_u32(buf + at + 8) + 12;

            assert(base % 2 == 0 && len == BATCH_HEAD + 20 + (size_t)base / 2);
            at += len;
        }
        offset = rd.next_offset;
    }
}

static uint8_t *input(const uint8_t *data, size_t len)
{
    uint8_t *bytes = malloc(len + 1);

    assert(bytes != NULL);
    memcpy(bytes, data + 1, len);
    if ((data[0] & 1) != 0 && len >= 84) {
        flv_put_u32(bytes + 12, (uint32_t)len);
        flv_put_u32(bytes + len - 4, flv_crc32c(0, bytes, len - 4));
    }
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim disk;
    struct flv_log_conf conf = {.io = &disk.io,
                                .dir = DIR_NAME,
                                .create = true,
                                .log_id = 0x0102030405060708,
                                .segment_bytes = 1500};
    struct flv_log *log = NULL;
    uint8_t *bytes;
    flv_rc rc;

    if (size < 1 || size > 1 << 14) {
        return 0;
    }
    bytes = input(data, size - 1);
    round_trip(bytes, size - 1);
    sim_init(&disk, 1);
    rc = flv_log_open(&conf, &log, NULL, NULL);
    assert(rc == FLV_OK);
    for (unsigned i = 0; i < BATCHES; i++) {
        append(log, i);
    }
    flv_log_abandon(log);
    sim_put(&disk, DIR_NAME "/checkpoint", bytes, size - 1);
    free(bytes);
    if (flv_log_open(&conf, &log, NULL, NULL) == FLV_OK) {
        read_all(log);
        (void)!flv_log_close(log, NULL);
    }
    sim_deinit(&disk);
    return 0;
}
