/* fuzz-libs: flv_store_sim */
/* A partition whose only segment is the input. The first byte says which
 * checksums are made right first, so that what lies behind them is reached.
 * What is served has to be whole batches with valid CRCs that continue one
 * another; a log that calls itself sound takes one more and keeps it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "batches.h"
#include "io_sim.h"
#include "store/format.h"
#include "store/log.h"
#include "wire/crc32c.h"

#define DIR_NAME "/p"
#define FIX_HEAD 1 /* bits of the first byte */
#define FIX_GROUPS 2
#define FIX_BATCHES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fix_batches(uint8_t *p, size_t len)
{
    while (len >= FLV__BATCH_HEAD) {
        uint64_t size = (uint64_t)flv_get_u32(p + 8) + FLV__BATCH_PREFIX;

        if (size < FLV__BATCH_HEAD || size > len) {
            return;
        }
        flv_put_u32(p + 17, flv_crc32c(0, p + 21, size - 21));
        p += size;
        len -= size;
    }
}

static void fix(uint8_t *p, size_t len, unsigned what)
{
    if (len < FLV__SEGMENT_HEAD) {
        return;
    }
    if (what & FIX_HEAD) {
        flv_put_u32(p + 60, flv_crc32c(0, p, 60));
    }
    p += FLV__SEGMENT_HEAD;
    len -= FLV__SEGMENT_HEAD;
    while (len >= FLV__GROUP_HEAD) {
        size_t bytes = flv_get_u32(p + 48);

        if (bytes > len - FLV__GROUP_HEAD) {
            bytes = len - FLV__GROUP_HEAD;
        }
        if (what & FIX_BATCHES) {
            fix_batches(p + FLV__GROUP_HEAD, bytes);
        }
        if (what & FIX_GROUPS) {
            flv_put_u32(p + 52, flv_crc32c(0, p + FLV__GROUP_HEAD, bytes));
            flv_put_u32(p + 60, flv_crc32c(0, p, 60));
        }
        p += FLV__GROUP_HEAD + bytes;
        len -= FLV__GROUP_HEAD + bytes;
    }
}

static void check_batches(const struct flv_log_read *rd)
{
    int64_t expect = rd->base_offset;
    size_t at = 0;

    for (uint32_t i = 0; i < rd->batches; i++) {
        const uint8_t *b = rd->buf + at;
        size_t size;

        assert(rd->len - at >= FLV__BATCH_HEAD);
        size = (size_t)flv_get_u32(b + 8) + FLV__BATCH_PREFIX;
        assert(size <= rd->len - at);
        assert((int64_t)flv_get_u64(b) == expect && b[16] == 2);
        assert(flv_get_u32(b + 17) == flv_crc32c(0, b + 21, size - 21));
        expect += (int64_t)flv_get_u32(b + 23) + 1;
        at += size;
    }
    assert(at == rd->len && expect == rd->next_offset);
}

static void read_all(struct flv_log *log)
{
    static uint8_t buf[1 << 16];
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
            assert(rc == FLV_E_CORRUPT || rc == FLV_E_LIMIT);
            return;
        }
        assert(rd.base_offset <= offset && rd.next_offset > offset);
        check_batches(&rd);
        offset = rd.next_offset;
    }
}

static void
append_done(struct flv_append *req, flv_rc rc, const struct flv_err *err)
{
    (void)err;
    *(flv_rc *)req->user = rc;
}

static void append(struct flv_log *log)
{
    struct batch_spec spec = plain_batch(30, 2, 3);
    uint8_t bytes[BATCH_HEAD + 30];
    flv_rc rc = FLV_E_TIMEOUT;
    int64_t leo = flv_log_leo(log);
    struct flv_append req = {.data = bytes, .done = append_done, .user = &rc};
    struct flv_log_job *job;

    req.len = put_batch(bytes, &spec);
    if (flv_log_stage(log, &req, NULL) != FLV_OK) {
        return; /* damaged, or the offsets end here */
    }
    job = flv_log_commit_job(log);
    assert(job != NULL);
    flv_log_job_run(job);
    rc = flv_log_job_finish(job, NULL);
    assert(rc == FLV_OK && flv_log_leo(log) == leo + 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim disk;
    struct flv_log_conf conf = {
        .io = &disk.io, .dir = DIR_NAME, .segment_bytes = 1 << 16};
    struct flv_log *log = NULL;
    struct flv_log_check out;
    uint8_t *bytes;

    if (size < 1 || size > 1 << 16) {
        return 0;
    }
    bytes = malloc(size);
    assert(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    fix(bytes, size - 1, data[0]);
    sim_init(&disk, 1);
    sim_mkdir(&disk, DIR_NAME);
    sim_put(&disk, DIR_NAME "/00000000000000000000.log", bytes, size - 1);
    free(bytes);
    (void)!flv_log_check(&disk.io, DIR_NAME, NULL, NULL, &out, NULL);
    if (flv_log_open(&conf, &log, NULL, NULL) == FLV_OK) {
        read_all(log);
        append(log);
        read_all(log);
        (void)!flv_log_close(log, NULL);
        if (flv_log_open(&conf, &log, NULL, NULL) == FLV_OK) {
            read_all(log);
            flv_log_abandon(log);
        }
    }
    sim_deinit(&disk);
    return 0;
}
