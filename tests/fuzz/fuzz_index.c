/* fuzz-libs: flv_store_sim */
/* A sound partition of two segments, and the input as the index of the old
 * one: an index is a hint, so every read has to be right whatever it says.
 * With the first byte odd its checksum is made right first. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "batches.h"
#include "io_sim.h"
#include "store/index.h"
#include "store/log.h"
#include "wire/crc32c.h"

#define DIR_NAME "/p"
#define BATCHES 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
append_done(struct flv_append *req, flv_rc rc, const struct flv_err *err)
{
    (void)err;
    *(flv_rc *)req->user = rc;
}

static void append(struct flv_log *log, unsigned i)
{
    struct batch_spec spec = plain_batch(20 + i, 1 + i % 3, i);
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

static struct flv_log_conf conf_of(struct sim *disk)
{
    return (struct flv_log_conf){
        .io = &disk->io,
        .dir = DIR_NAME,
        .create = true,
        .log_id = 0x0102030405060708,
        .segment_bytes = 3000,
        .index_interval = 64,
    };
}

/* Every offset, each in a read of its own. */
static void read_every_offset(struct flv_log *log)
{
    uint8_t buf[1000];

    for (int64_t offset = 0; offset < flv_log_leo(log); offset++) {
        struct flv_log_read rd = {.offset = offset,
                                  .buf = buf,
                                  .buf_bytes = sizeof(buf),
                                  .bytes_max = 1};
        bool ready = false;
        flv_rc rc = flv_log_read_prepare(log, &rd, &ready, NULL);

        assert(rc == FLV_OK && ready);
        rc = flv_log_read_run(&rd, NULL);
        flv_log_read_finish(&rd);
        assert(rc == FLV_OK && rd.batches == 1);
        assert(rd.base_offset <= offset && offset < rd.next_offset);
        assert((int64_t)flv_get_u64(buf) == rd.base_offset);
    }
}

static void put_index(struct sim *disk, const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size);
    size_t len = size - 1;

    assert(bytes != NULL);
    memcpy(bytes, data + 1, len);
    if ((data[0] & 1) != 0 && len >= FLV__INDEX_HEAD) {
        uint32_t crc = flv_crc32c(0, bytes, 60);

        flv_put_u32(bytes + 60, flv_crc32c(crc, bytes + FLV__INDEX_HEAD,
                                           len - FLV__INDEX_HEAD));
    }
    sim_put(disk, DIR_NAME "/00000000000000000000.index", bytes, len);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim disk;
    struct flv_log_conf conf;
    struct flv_log *log = NULL;
    struct flv_log_check out;
    flv_rc rc;

    if (size < 1 || size > 1 << 14) {
        return 0;
    }
    sim_init(&disk, 1);
    conf = conf_of(&disk);
    rc = flv_log_open(&conf, &log, NULL, NULL);
    assert(rc == FLV_OK);
    for (unsigned i = 0; i < BATCHES; i++) {
        append(log, i);
    }
    rc = flv_log_close(log, NULL);
    assert(rc == FLV_OK);
    put_index(&disk, data, size);
    rc = flv_log_check(&disk.io, DIR_NAME, NULL, NULL, &out, NULL);
    assert(rc == FLV_OK && out.damages == 0);
    rc = flv_log_open(&conf, &log, NULL, NULL);
    assert(rc == FLV_OK);
    read_every_offset(log);
    rc = flv_log_close(log, NULL);
    assert(rc == FLV_OK);
    sim_deinit(&disk);
    return 0;
}
