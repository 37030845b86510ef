#include "server/making.h"

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"
#include "server/state.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define COUNT_BYTES 4
#define READ_BYTES ((size_t)1 << 20)
/* One call of a module that is shown the past in pieces. */
#define PIECE_RECORDS 8192
#define PIECE_BYTES ((size_t)1 << 20)

/* The records that one module wants to see. Found by halving the offsets
 * between low and high, when an age is asked for, then read. */
struct flv_past {
    struct flv_making *making;
    struct flv_work work;
    struct flv_log_read read;
    struct flv_compressor *z; /* owned */
    struct flv_batch_reader reader;
    struct flv_buf section;
    uint8_t *buf; /* owned: of the read */
    size_t buf_bytes;
    int64_t low, high; /* the first record wanted is in low..high */
    int64_t at, end;   /* to be read */
    int64_t oldest_ms; /* 0: any */
    uint32_t count;
    struct flv_slice rest;  /* of the buffer, behind the batch that is open */
    bool full;              /* the piece; the next one begins with `next` */
    bool held;              /* and the buffer and the reader stand there */
    struct flv_record next; /* borrowed from them */
    bool searching;
    flv_rc rc;
    struct flv_err err;
};

static void past_next(struct flv_past *p);
static void next_step(struct flv_making *k, size_t from);

/* ---- ends ---- */

static void past_free(struct flv_past *p)
{
    if (p == NULL) {
        return;
    }
    flv_batch_reader_deinit(&p->reader);
    flv_compressor_destroy(p->z);
    flv_buf_deinit(&p->section);
    flv_free(p->buf);
    flv_free(p);
}

static void let_next_read(struct flv_smart *m)
{
    struct flv_making *next = STAILQ_FIRST(&m->look_line);
    m->looking = false;
    if (next != NULL) {
        STAILQ_REMOVE_HEAD(&m->look_line, link);
        next->waiting = false;
        next_step(next, next->back.step);
    }
}

static void past_over(struct flv_making *k)
{
    if (k->past != NULL) {
        past_free(k->past);
        k->past = NULL;
        let_next_read(k->smart);
    }
}

static void making_over(struct flv_making *k)
{
    past_over(k);
    if (k->why.error.code != FLV_WIRE_NONE) {
        flv_sm_chain_destroy(k->chain);
        k->chain = NULL;
    }
    flv_partition_release(k->partition);
    k->done(k);
}

static void failed(struct flv_making *k, const char *text)
{
    flv_trouble_set(&k->why, FLV_WIRE_SMARTMODULE_LOOKBACK_ERROR, text);
    making_over(k);
}

/* ---- reading the past ---- */

static bool is_piece(const struct flv_past *p, const struct flv_record *r)
{
    return p->making->pieces && p->count > 0 &&
           (p->count == PIECE_RECORDS ||
            p->section.len + r->raw.len > PIECE_BYTES);
}

static flv_rc keep_record(struct flv_past *p, const struct flv_record *r)
{
    if (r->offset < p->at || r->offset >= p->end ||
        r->timestamp_ms < p->oldest_ms) {
        return FLV_OK;
    }
    if (is_piece(p, r)) {
        p->full = true;
        p->next = *r;
        return FLV_OK;
    }
    if (p->count == FLV_SM_RECORDS_MAX ||
        flv_buf_add(&p->section, r->raw.data, r->raw.len) != FLV_OK) {
        return flv_fail(&p->err, FLV_E_LIMIT,
                        "a SmartModule may look back on at most %d records "
                        "and 64 MiB; ask for fewer",
                        FLV_SM_RECORDS_MAX);
    }
    p->count++;
    return FLV_OK;
}

/* Of the batch that is open. */
static flv_rc keep_records(struct flv_past *p)
{
    struct flv_record r;
    bool more = true;
    flv_rc rc = FLV_OK;
    while (rc == FLV_OK && !p->full) {
        rc = flv_batch_reader_next(&p->reader, &r, &more, &p->err);
        if (rc != FLV_OK || !more) {
            break;
        }
        rc = keep_record(p, &r);
    }
    return rc;
}

static flv_rc keep_batches(struct flv_past *p)
{
    struct flv_slice batch;
    struct flv_batch_header h;
    flv_rc rc = FLV_OK;
    if (p->held) {
        rc = keep_record(p, &p->next);
        rc = rc == FLV_OK ? keep_records(p) : rc;
    } else {
        p->rest = flv_slice(p->buf, p->read.len);
    }
    while (rc == FLV_OK && !p->full) {
        rc = flv_batch_walk(&p->rest, &batch, &h, &p->err);
        if (rc != FLV_OK || batch.len == 0) {
            break;
        }
        rc = flv_batch_reader_open(&p->reader, batch, &p->err);
        rc = rc == FLV_OK ? keep_records(p) : rc;
    }
    return rc;
}

/* The batch in the middle is old enough or not: half remains. */
static flv_rc halve(struct flv_past *p)
{
    struct flv_slice rest = flv_slice(p->buf, p->read.len);
    struct flv_slice batch;
    struct flv_batch_header h;
    flv_rc rc = flv_batch_walk(&rest, &batch, &h, &p->err);
    if (rc == FLV_OK && h.max_timestamp_ms >= p->oldest_ms) {
        p->high = h.base_offset > p->low ? h.base_offset : p->low;
    } else if (rc == FLV_OK) {
        p->low = h.base_offset + (int64_t)h.count;
    }
    return rc;
}

static void past_run(struct flv_work *w)
{
    struct flv_past *p = FLV_OWNER_OF(w, struct flv_past, work);
    p->rc = p->held ? FLV_OK : flv_log_read_run(&p->read, &p->err);
    if (p->rc == FLV_OK) {
        p->rc = p->searching ? halve(p) : keep_batches(p);
    }
}

static void past_done(struct flv_work *w, flv_rc rc)
{
    struct flv_past *p = FLV_OWNER_OF(w, struct flv_past, work);
    size_t need = p->held ? 0 : p->read.need_bytes;
    if (!p->held) {
        flv_log_read_finish(&p->read);
    }
    p->held = p->full;
    if (rc == FLV_OK && p->rc == FLV_E_LIMIT && need > p->buf_bytes) {
        flv_free(p->buf);
        p->buf = flv_alloc(need);
        p->buf_bytes = need;
        p->rc = FLV_OK;
    } else if (rc == FLV_OK && p->rc == FLV_OK && !p->searching && !p->full) {
        p->at = p->read.next_offset;
    }
    if (rc != FLV_OK || p->rc != FLV_OK || p->buf == NULL) {
        failed(p->making, rc != FLV_OK      ? "the server is stopping"
                          : p->rc != FLV_OK ? p->err.text
                                            : "out of memory");
        return;
    }
    past_next(p);
}

static bool past_submit(struct flv_past *p)
{
    p->work.run = past_run;
    p->work.done = past_done;
    return flv_pool_submit(p->making->smart->server->read_pool, &p->work) ==
           FLV_OK;
}

static void past_read(struct flv_past *p, int64_t offset, size_t bytes_max)
{
    struct flv_making *k = p->making;
    struct flv_log *log = flv_partition_log(k->partition);
    bool ready = false;
    p->read = (struct flv_log_read){
        .offset = offset,
        .isolation = k->pieces ? FLV_READ_UNCOMMITTED : FLV_READ_COMMITTED,
        .buf = p->buf,
        .buf_bytes = p->buf_bytes,
        .bytes_max = bytes_max};
    flv_err_clear(&p->err);
    if (log == NULL) {
        failed(k, "the partition went away");
        return;
    }
    flv_rc rc = flv_log_read_prepare(log, &p->read, &ready, &p->err);
    if (rc != FLV_OK || !ready) {
        failed(k, rc != FLV_OK ? p->err.text : "records went away");
        return;
    }
    if (!past_submit(p)) {
        flv_log_read_finish(&p->read);
        failed(k, "no thread for a disk read");
    }
}

static void look_run(struct flv_cpu_job *j, struct flv_bench *b)
{
    struct flv_making *k = FLV_OWNER_OF(j, struct flv_making, job);
    struct flv_err err = {0};
    (void)b;
    flv_put_u32(k->past->section.data, k->past->count);
    if (flv_sm_chain_look_back(k->chain, k->back.step,
                               flv_buf_slice(&k->past->section),
                               &err) != FLV_OK) {
        flv_trouble_set(&k->why, FLV_WIRE_SMARTMODULE_LOOKBACK_ERROR, err.text);
    }
}

static void look_done(struct flv_cpu_job *j, flv_rc rc)
{
    struct flv_making *k = FLV_OWNER_OF(j, struct flv_making, job);
    if (rc != FLV_OK) {
        failed(k, "no thread for SmartModules");
    } else if (k->why.error.code != FLV_WIRE_NONE) {
        making_over(k);
    } else if (k->past->full) {
        k->past->full = false;
        k->past->count = 0;
        k->past->section.len = COUNT_BYTES;
        past_next(k->past);
    } else {
        size_t next = k->back.step + 1;
        past_over(k);
        next_step(k, next);
    }
}

/* Retention goes on meanwhile: what it removed is not the past any more. */
static void skip_removed(struct flv_past *p)
{
    int64_t start = flv_partition_start(p->making->partition);
    start = start < p->end ? start : p->end;
    p->low = p->low < start ? start : p->low;
    p->high = p->high < start ? start : p->high;
    p->at = p->at < start ? start : p->at;
}

static void past_next(struct flv_past *p)
{
    struct flv_making *k = p->making;
    if (k->left) {
        failed(k, "the client left");
        return;
    }
    skip_removed(p);
    if (p->searching && p->low < p->high) {
        past_read(p, p->low + (p->high - p->low) / 2, 1);
        return;
    }
    if (p->searching) {
        p->searching = false;
        p->at = p->low;
    }
    if (p->held && !p->full) {
        if (!past_submit(p)) {
            failed(k, "no thread for records of the past");
        }
        return;
    }
    if (p->at < p->end && !p->full) {
        past_read(p, p->at, p->buf_bytes);
        return;
    }
    k->job.run = look_run;
    k->job.done = look_done;
    flv_cpu_submit(&k->job);
}

static bool past_init(struct flv_making *k)
{
    struct flv_past *p = flv_zalloc(1, sizeof *p);
    if (p == NULL) {
        return false;
    }
    k->past = p;
    p->making = k;
    p->z = flv_compressor_create();
    p->buf_bytes = READ_BYTES;
    p->buf = flv_alloc(p->buf_bytes);
    flv_batch_reader_init(&p->reader, p->z, FLV_BATCH_SECTION_MAX);
    flv_buf_init(&p->section, FLV_BATCH_SECTION_MAX);
    return p->z != NULL && p->buf != NULL &&
           flv_buf_add_u32(&p->section, 0) == FLV_OK;
}

static void look(struct flv_making *k)
{
    struct flv_part_info info;
    const struct flv_sm_look_back *back = &k->back;
    struct flv_smart *m = k->smart;
    m->looking = true;
    if (!past_init(k)) {
        bool begun = k->past != NULL;
        failed(k, "out of memory");
        if (!begun) {
            let_next_read(m);
        }
        return;
    }
    struct flv_past *p = k->past;
    flv_partition_info(k->partition, &info);
    p->end = k->pieces ? info.leo : info.hw;
    p->low = info.start_offset;
    if (back->last > 0 && back->last < (uint64_t)(p->end - p->low)) {
        p->low = p->end - (int64_t)back->last;
    }
    p->high = p->low;
    if (back->age_ms > 0) {
        int64_t now_ms = flv_clock_wall_ms();
        p->oldest_ms = back->age_ms < (uint64_t)now_ms
                           ? now_ms - (int64_t)back->age_ms
                           : 1;
        p->high = p->end;
    }
    p->searching = true;
    past_next(p);
}

/* ---- the chain ---- */

/* The next module, from the given one on, that wants to look back. */
static void next_step(struct flv_making *k, size_t from)
{
    if (!flv_sm_chain_wants_look_back(k->chain, from, &k->back)) {
        making_over(k);
    } else if (k->smart->looking) {
        k->waiting = true;
        STAILQ_INSERT_TAIL(&k->smart->look_line, k, link);
    } else {
        look(k);
    }
}

static void make_run(struct flv_cpu_job *j, struct flv_bench *b)
{
    struct flv_making *k = FLV_OWNER_OF(j, struct flv_making, job);
    (void)b;
    k->chain = flv_plan_chain(k->plan, &j->cancel, &k->why);
}

static void make_done(struct flv_cpu_job *j, flv_rc rc)
{
    struct flv_making *k = FLV_OWNER_OF(j, struct flv_making, job);
    if (rc != FLV_OK) {
        flv_trouble_set(&k->why, FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR,
                        "no thread for SmartModules");
    }
    if (k->chain == NULL) {
        making_over(k);
    } else {
        next_step(k, 0);
    }
}

void flv_making_start(struct flv_making *k)
{
    assert(k->chain == NULL && k->past == NULL && !k->waiting);
    flv_partition_hold(k->partition);
    k->job.smart = k->smart;
    k->job.run = make_run;
    k->job.done = make_done;
    flv_cpu_submit(&k->job);
}

bool flv_making_cancel(struct flv_making *k)
{
    if (k->waiting) {
        STAILQ_REMOVE(&k->smart->look_line, k, flv_making, link);
        k->waiting = false;
    } else if (!flv_cpu_cancel(&k->job)) {
        k->left = true;
        return false;
    }
    past_over(k);
    flv_sm_chain_destroy(k->chain);
    k->chain = NULL;
    flv_trouble_clear(&k->why);
    flv_partition_release(k->partition);
    return true;
}
