#include "util.h"

#include "cm.h"

#include <stdlib.h>

struct flv_log_conf test_conf(struct sim *disk)
{
    return (struct flv_log_conf){
        .io = disk != NULL ? &disk->io : NULL,
        .dir = LOG_DIR,
        .create = true,
        .log_id = LOG_ID,
        .segment_bytes = 4096,
    };
}

struct flv_log *open_log(const struct flv_log_conf *conf,
                         struct flv_log_report *report)
{
    struct flv_log *log = NULL;
    struct flv_err err = {0};

    if (flv_log_open(conf, &log, report, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return log;
}

static void
sent_done(struct flv_append *req, flv_rc rc, const struct flv_err *err)
{
    struct sent *s = req->user;

    s->ended++;
    s->rc = rc;
    if (err != NULL) {
        s->err = *err;
    }
}

void make(struct sent *s, const struct batch_spec *specs, unsigned count)
{
    size_t len = 0;

    *s = (struct sent){.rc = FLV_E_TIMEOUT};
    for (unsigned i = 0; i < count; i++) {
        len += BATCH_HEAD + specs[i].bytes;
    }
    s->bytes = malloc(len > 0 ? len : 1);
    assert_non_null(s->bytes);
    s->append.data = s->bytes;
    for (unsigned i = 0; i < count; i++) {
        s->append.len += put_batch(s->bytes + s->append.len, &specs[i]);
    }
    s->append.done = sent_done;
    s->append.user = s;
}

void forget(struct sent *s)
{
    free(s->bytes);
    s->bytes = NULL;
}

void make_plain(struct sent *s, uint32_t bytes)
{
    struct batch_spec spec = plain_batch(bytes, 1, bytes);

    make(s, &spec, 1);
}

void make_numbered(struct sent *s,
                   int64_t id,
                   int16_t epoch,
                   int32_t sequence,
                   uint32_t records)
{
    struct batch_spec spec = plain_batch(40, records, (uint64_t)sequence);

    spec.producer_id = id;
    spec.epoch = epoch;
    spec.sequence = sequence;
    make(s, &spec, 1);
}

flv_rc run_job(struct flv_log_job *job)
{
    if (job == NULL) {
        return FLV_OK;
    }
    flv_log_job_run(job);
    return flv_log_job_finish(job, NULL);
}

void commit_all(struct flv_log *log)
{
    struct flv_log_job *job;

    while ((job = flv_log_commit_job(log)) != NULL) {
        (void)run_job(job);
    }
}

int64_t append_plain(struct flv_log *log, uint32_t bytes)
{
    struct sent s;

    make_plain(&s, bytes);
    assert_int_equal(flv_log_stage(log, &s.append, NULL), FLV_OK);
    commit_all(log);
    assert_int_equal(s.ended, 1);
    assert_int_equal(s.rc, FLV_OK);
    forget(&s);
    return s.append.base_offset;
}

flv_rc read_once(struct flv_log *log, struct flv_log_read *rd)
{
    static uint8_t buf[64 << 10];
    bool ready = false;
    flv_rc rc;

    rd->buf = buf;
    rd->buf_bytes = rd->buf_bytes > 0 ? rd->buf_bytes : sizeof(buf);
    rc = flv_log_read_prepare(log, rd, &ready, NULL);
    if (rc != FLV_OK || !ready) {
        return rc == FLV_OK ? FLV_E_CLOSED : rc;
    }
    rc = flv_log_read_run(rd, NULL);
    flv_log_read_finish(rd);
    return rc;
}

int64_t count_records(struct flv_log *log)
{
    int64_t start = flv_log_start_offset(log), offset = start;

    for (;;) {
        struct flv_log_read rd = {.offset = offset};
        flv_rc rc = read_once(log, &rd);

        if (rc == FLV_E_CLOSED) {
            break;
        }
        assert_int_equal(rc, FLV_OK);
        assert_int_equal(rd.base_offset, offset);
        offset = rd.next_offset;
    }
    assert_int_equal(offset, flv_log_leo(log));
    return offset - start;
}
