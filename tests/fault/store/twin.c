#include "twin.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "batches.h"
#include "io_sim.h"
#include "store/format.h"
#include "store/log.h"
#include "store/log_impl.h"
#include "wire/crc32c.h"

#define DIR_NAME "/data/p"
#define CLIENTS 3
#define READS 3
#define TORNS 64

/* A batch that is in the log. */
struct stored {
    int64_t base, next;
    size_t len;
    uint8_t *bytes; /* owned */
    bool ends;      /* the last of its record set */
    uint64_t at_ms; /* when, at the latest */
};

struct content {
    struct stored *at; /* owned */
    size_t len, cap;
};

/* A producer with an id; it repeats a record set until it knows its fate. */
struct client {
    int64_t id;
    int16_t epoch;
    int32_t next; /* sequence */
    uint8_t *set; /* owned; being sent, NULL: none */
    size_t set_len;
    int32_t set_records;
    unsigned flying; /* how often it is staged */
    /* the last one acknowledged */
    uint8_t *old; /* owned */
    size_t old_len;
    int64_t old_base;
    unsigned since_old; /* batches stored later */
};

struct sent {
    struct flv_append append;
    struct sent *next; /* in order of staging */
    struct twin *twin;
    struct client *client; /* NULL: without an id */
    uint8_t *bytes;        /* owned */
    bool in_job;
};

struct reading {
    bool out;
    struct flv_log_read rd;
    uint8_t *buf; /* owned */
    int64_t limit;
};

struct torn_file {
    char path[160];
    uint32_t crc;
    size_t len;
};

struct twin {
    struct sim sim;
    uint64_t now_ms; /* the log's clock, moved by steps */
    uint64_t random;
    struct flv_log_conf conf;
    struct flv_log *log; /* NULL between lives */
    struct flv_log_job *commit, *upkeep;
    bool commit_ran, upkeep_ran;
    bool disk, was_disk; /* durability, now and when it was written to */
    bool exists;         /* an open has succeeded: it must be there */
    bool maybe_deleted;
    struct content model;     /* what was written, from some start on */
    struct content uncertain; /* one group that may follow it */
    int64_t start_low, start_high;
    int64_t promised; /* everything below is there, whatever happens */
    bool kept;        /* a checkpoint is durable, ... */
    int64_t kept_end; /* ... and says that the log ends here */
    bool closed_clean;
    struct sent *first, **last; /* staged */
    struct client clients[CLIENTS];
    struct reading reads[READS];
    struct flv_log_scrub scrub;
    bool scrubbing;
    struct torn_file torn[TORNS];
    unsigned torn_count;
    struct twin_stats *stats;
    char *why;
    size_t why_size;
    bool broken;
};

static void broken(struct twin *t, const char *fmt, ...) FLV_PRINTF(2, 3);

static void broken(struct twin *t, const char *fmt, ...)
{
    va_list args;

    if (t->broken) {
        return;
    }
    t->broken = true;
    va_start(args, fmt);
    vsnprintf(t->why, t->why_size, fmt, args);
    va_end(args);
}

static uint64_t below(struct twin *t, uint64_t n)
{
    uint64_t z = t->random += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

/* ---- content ---- */

static int64_t end_of(const struct twin *t)
{
    return t->model.len > 0 ? t->model.at[t->model.len - 1].next
                            : t->start_high;
}

static void push(struct content *c, const uint8_t *bytes, size_t len, bool ends)
{
    struct flv__batch_head head;
    flv_rc rc = flv__batch_head_get(bytes, &head);
    uint8_t *copy = malloc(len);

    assert(rc == FLV_OK && copy != NULL);
    (void)rc;
    memcpy(copy, bytes, len);
    if (c->len == c->cap) {
        c->cap = c->cap > 0 ? c->cap * 2 : 64;
        c->at = realloc(c->at, c->cap * sizeof(*c->at));
        assert(c->at != NULL);
    }
    c->at[c->len++] = (struct stored){
        .base = head.base_offset,
        .next = head.next_offset,
        .len = len,
        .bytes = copy,
        .ends = ends,
    };
}

static void push_set(struct content *c, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        struct flv__batch_head head;
        flv_rc rc = flv__batch_head_get(bytes + at, &head);

        assert(rc == FLV_OK);
        (void)rc;
        push(c, bytes + at, head.size, at + head.size == len);
        at += head.size;
    }
}

static void shorten(struct content *c, size_t len)
{
    while (c->len > len) {
        free(c->at[--c->len].bytes);
    }
}

static void clear(struct content *c)
{
    shorten(c, 0);
    free(c->at);
    *c = (struct content){0};
}

/* Index of the batch that contains `offset`, or len. */
static size_t batch_at(const struct content *c, int64_t offset)
{
    size_t low = 0, high = c->len;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (c->at[mid].next <= offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < c->len && c->at[low].base <= offset ? low : c->len;
}

/* ---- producers ---- */

static void acknowledged(struct twin *t, struct client *c, int64_t base)
{
    free(c->old);
    c->old = c->set;
    c->old_len = c->set_len;
    c->old_base = base;
    c->since_old = 0;
    c->set = NULL;
    c->next = (int32_t)((c->next + c->set_records) & INT32_MAX);
    (void)t;
}

static void note_stored(struct twin *t, const struct sent *s)
{
    if (s->append.base_offset != end_of(t)) {
        broken(t, "stored at %" PRId64 " instead of %" PRId64,
               s->append.base_offset, end_of(t));
        return;
    }
    push_set(&t->model, s->bytes, s->append.len);
    for (size_t i = t->model.len - s->append.batches; i < t->model.len; i++) {
        t->model.at[i].at_ms = t->now_ms;
    }
    t->stats->appended += s->append.batches;
    if (t->disk) {
        t->promised = end_of(t);
    }
    if (s->client != NULL) {
        s->client->since_old += s->append.batches;
    }
}

static void
sent_done(struct flv_append *req, flv_rc rc, const struct flv_err *err)
{
    struct sent *s = req->user;
    struct twin *t = s->twin;
    struct client *c = s->client;
    bool repeated = req->size == 0;

    if (t->first != s) {
        broken(t, "appends do not end in the order of staging");
        return;
    }
    t->first = s->next;
    if (t->first == NULL) {
        t->last = &t->first;
    }
    if ((rc == FLV_OK) != (err == NULL)) {
        broken(t, "result and error do not agree");
    }
    if (rc == FLV_OK && !repeated) {
        note_stored(t, s);
    } else if (rc == FLV_OK) {
        t->stats->repeats++;
        if (req->base_offset + req->records > end_of(t)) {
            broken(t, "a repetition ended before the original");
        }
    } else if (s->in_job && rc != FLV_E_NOSPACE && rc != FLV_E_NOMEM &&
               !repeated) {
        push_set(&t->uncertain, s->bytes, req->len);
    }
    if (c != NULL) {
        c->flying--;
        if (rc == FLV_OK && !repeated) {
            acknowledged(t, c, req->base_offset);
        } else if (rc == FLV_OK && req->base_offset != c->old_base) {
            broken(t, "a repetition got another offset");
        }
    }
    free(s->bytes);
    free(s);
}

static void
stage(struct twin *t, struct client *c, const uint8_t *bytes, size_t len);

/* The log says it knows this record set. */
static void check_known(struct twin *t, struct client *c, const struct sent *s)
{
    int64_t base = s->append.base_offset;
    size_t i;

    t->stats->repeats++;
    if (c == NULL) {
        broken(t, "a record set without a producer is known");
        return;
    }
    if (base < 0) {
        if (s->append.len == c->set_len && c->set != NULL &&
            memcmp(s->bytes + 21, c->set + 21, c->set_len - 21) == 0) {
            broken(t, "the newest record set of a producer is too old");
        }
        return;
    }
    i = batch_at(&t->model, base);
    if (base < t->start_high) {
        return; /* trimmed */
    }
    if (i == t->model.len || t->model.at[i].base != base ||
        memcmp(t->model.at[i].bytes + 21, s->bytes + 21, BATCH_HEAD - 21) !=
            0) {
        broken(t, "a repetition is said to lie at %" PRId64 ", wrongly", base);
        return;
    }
    if (c->set != NULL && c->flying == 0 &&
        memcmp(s->bytes + 17, c->set + 17, BATCH_HEAD - 17) == 0) {
        acknowledged(t, c, base);
    }
}

static void check_refusal(struct twin *t, flv_rc rc, const struct flv_err *err)
{
    struct flv_log_info info;

    flv_log_stat(t->log, &info);
    switch (rc) {
    case FLV_E_BUSY:
    case FLV_E_LIMIT:
        return;
    case FLV_E_POISONED:
        if (info.state == FLV_LOG_POISONED) {
            return;
        }
        break;
    default:
        break;
    }
    broken(t, "staging failed with %s: %s", flv_rc_name(rc), err->text);
}

static void
stage(struct twin *t, struct client *c, const uint8_t *bytes, size_t len)
{
    struct sent *s = calloc(1, sizeof(*s));
    struct flv_err err = {0};
    flv_rc rc;

    assert(s != NULL);
    s->twin = t;
    s->client = c;
    s->bytes = malloc(len);
    assert(s->bytes != NULL);
    memcpy(s->bytes, bytes, len);
    s->append.data = s->bytes;
    s->append.len = len;
    s->append.done = sent_done;
    s->append.user = s;
    rc = flv_log_stage(t->log, &s->append, &err);
    if (rc == FLV_OK) {
        *t->last = s;
        t->last = &s->next;
        if (c != NULL) {
            c->flying++;
        }
        return;
    }
    if (rc == FLV_E_EXISTS) {
        check_known(t, c, s);
    } else {
        check_refusal(t, rc, &err);
    }
    free(s->bytes);
    free(s);
}

static size_t random_set(struct twin *t,
                         const struct client *c,
                         uint8_t *out,
                         int32_t *records)
{
    unsigned batches = 1 + (below(t, 4) == 0 ? (unsigned)below(t, 3) : 0);
    int32_t sequence = c != NULL ? c->next : -1;
    size_t len = 0;

    *records = 0;
    for (unsigned i = 0; i < batches; i++) {
        uint32_t bytes =
            (uint32_t)(below(t, 10) == 0 ? below(t, 1500) : below(t, 120));
        struct batch_spec spec =
            plain_batch(bytes, 1 + (uint32_t)below(t, 5), below(t, 1u << 30));

        if (c != NULL) {
            spec.producer_id = c->id;
            spec.epoch = c->epoch;
            spec.sequence = sequence;
            sequence = (int32_t)((sequence + (int64_t)spec.count) & INT32_MAX);
        }
        *records += (int32_t)spec.count;
        len += put_batch(out + len, &spec);
    }
    return len;
}

static void step_append(struct twin *t)
{
    uint8_t bytes[3 * (BATCH_HEAD + 1500)];
    struct client *c = NULL;
    int32_t records;
    size_t len;

    if (below(t, 2) == 0) {
        c = &t->clients[below(t, CLIENTS)];
    }
    if (c == NULL) {
        len = random_set(t, NULL, bytes, &records);
        stage(t, NULL, bytes, len);
        return;
    }
    if (c->old != NULL && c->since_old < 4 && below(t, 8) == 0) {
        stage(t, c, c->old, c->old_len); /* an answer that went astray */
        return;
    }
    if (c->flying > 0 && below(t, 4) != 0) {
        return;
    }
    if (c->set == NULL) {
        len = random_set(t, c, bytes, &records);
        c->set = malloc(len);
        assert(c->set != NULL);
        memcpy(c->set, bytes, len);
        c->set_len = len;
        c->set_records = records;
    }
    stage(t, c, c->set, c->set_len);
}

/* ---- jobs ---- */

/* Every failure has a cause. */
static void check_result(struct twin *t, flv_rc rc, const struct flv_err *err)
{
    const struct sim_faults *f = &t->sim.faults;

    t->stats->faults_met += rc != FLV_OK;
    if (rc != FLV_OK && !t->sim.down && t->sim.space == UINT64_MAX &&
        (f->no_space | f->write | f->sync | f->names | f->read) == 0) {
        broken(t, "a job failed out of nothing: %s", err->text);
    }
}

static void finish_commit(struct twin *t)
{
    struct flv_err err = {0};
    flv_rc rc = flv_log_job_finish(t->commit, &err);

    t->commit = NULL;
    check_result(t, rc, &err);
}

static void step_commit(struct twin *t)
{
    if (t->commit == NULL) {
        t->commit = flv_log_commit_job(t->log);
        t->commit_ran = false;
        if (t->commit == NULL) {
            return;
        }
        t->stats->rolls += t->commit->roll;
        t->stats->late_seals += t->commit->roll && !t->commit->seal;
        for (struct flv_append *a = t->commit->group.head; a != NULL;
             a = a->next) {
            ((struct sent *)a->user)->in_job = true;
        }
    }
    if (!t->commit_ran) {
        if (below(t, 8) == 0) {
            return; /* begins later */
        }
        flv_log_job_run(t->commit);
        t->commit_ran = true;
        if (below(t, 4) == 0) {
            return; /* ends later */
        }
    }
    finish_commit(t);
}

static void finish_upkeep(struct twin *t)
{
    struct flv_err err = {0};
    bool kept = t->upkeep->kept;
    flv_rc rc = flv_log_job_finish(t->upkeep, &err);

    t->upkeep = NULL;
    check_result(t, rc, &err);
    if (flv_log_hw(t->log) > t->promised) {
        t->promised = flv_log_hw(t->log);
    }
    if (kept) {
        t->kept = true;
        t->kept_end = t->log->last_kept.next_offset;
        t->start_low = t->log->last_kept.start_offset;
    }
}

static void step_upkeep(struct twin *t)
{
    if (t->upkeep == NULL) {
        t->upkeep = below(t, 2) == 0 ? flv_log_sync_job(t->log)
                                     : flv_log_upkeep_job(t->log);
        t->upkeep_ran = false;
        if (t->upkeep == NULL) {
            return;
        }
    }
    if (!t->upkeep_ran) {
        if (below(t, 4) == 0) {
            return; /* begins later */
        }
        flv_log_job_run(t->upkeep);
        t->upkeep_ran = true;
        if (below(t, 4) == 0) {
            return;
        }
    }
    finish_upkeep(t);
}

static void follow_start(struct twin *t)
{
    t->start_high = flv_log_start_offset(t->log);
}

/* What is younger stays, unless there is too much of it. */
static void step_retain(struct twin *t)
{
    struct flv_log_keep keep = {0};
    int64_t before = flv_log_start_offset(t->log), start;
    struct flv_log_info info;

    if (below(t, 2) == 0) {
        keep.age_ms = 1 + below(t, 100);
        keep.roll = below(t, 4) != 0;
    }
    if (below(t, 2) == 0) {
        keep.bytes = 1 + below(t, 20000);
    }
    t->stats->trims += flv_log_retain(t->log, &keep) > 0;
    flv_log_stat(t->log, &info);
    start = info.start_offset;
    for (size_t i = 0; i < t->model.len && keep.bytes == 0; i++) {
        if (t->model.at[i].base >= before && t->model.at[i].base < start &&
            t->now_ms - t->model.at[i].at_ms <= keep.age_ms) {
            broken(t, "removed what is young, at %" PRId64,
                   t->model.at[i].base);
        }
    }
    /* What is not synced is not removed. */
    if (keep.bytes > 0 && info.state == FLV_LOG_OK &&
        info.segments > (t->log->unsealed != NULL ? 2 : 1) &&
        info.size_bytes > keep.bytes) {
        broken(t, "%" PRIu64 " bytes are left, not %" PRIu64, info.size_bytes,
               keep.bytes);
    }
    follow_start(t);
}

static void step_trim(struct twin *t)
{
    int64_t upto = t->start_high +
                   (int64_t)below(t, (uint64_t)(end_of(t) - t->start_high) + 1);

    t->stats->trims += flv_log_trim(t->log, upto) > 0;
    if (flv_log_start_offset(t->log) > upto &&
        flv_log_start_offset(t->log) > t->start_high) {
        broken(t, "trimmed more than asked");
    }
    follow_start(t);
}

/* ---- reading ---- */

/* Delivered bytes are those of the model from the batch at rd->offset on. */
static void compare(struct twin *t, const struct flv_log_read *rd)
{
    size_t i = batch_at(&t->model, rd->offset);
    size_t at = 0;

    if (i == t->model.len || t->model.at[i].base != rd->base_offset) {
        broken(t, "a read of %" PRId64 " begins at %" PRId64, rd->offset,
               rd->base_offset);
        return;
    }
    for (uint32_t n = 0; n < rd->batches; n++, i++) {
        if (i == t->model.len || t->model.at[i].len > rd->len - at ||
            memcmp(t->model.at[i].bytes, rd->buf + at, t->model.at[i].len) !=
                0) {
            broken(t, "a read of %" PRId64 " delivers what was not stored",
                   rd->offset);
            return;
        }
        at += t->model.at[i].len;
    }
    if (at != rd->len || t->model.at[i - 1].next != rd->next_offset) {
        broken(t, "a read of %" PRId64 " has a wrong end", rd->offset);
    }
}

static void end_read(struct twin *t, struct reading *r)
{
    struct flv_err err = {0};
    flv_rc rc = flv_log_read_run(&r->rd, &err);

    t->stats->reads++;
    if (rc == FLV_OK) {
        compare(t, &r->rd);
        if (r->rd.next_offset > r->limit) {
            broken(t, "a read goes beyond what it may see");
        }
        if ((t->disk || r->rd.isolation == FLV_READ_COMMITTED) &&
            r->rd.next_offset > t->promised) {
            t->promised = r->rd.next_offset;
        }
    } else if (rc == FLV_E_LIMIT) {
        if (r->rd.need_bytes <= r->rd.buf_bytes) {
            broken(t, "a read asks for less room than it has");
        }
    } else if (rc != FLV_E_IO || (t->sim.faults.read == 0 && !t->sim.down)) {
        broken(t, "a read of %" PRId64 " failed with %s: %s", r->rd.offset,
               flv_rc_name(rc), err.text);
    }
    flv_log_read_finish(&r->rd);
    free(r->buf);
    r->out = false;
}

static void begin_read(struct twin *t, struct reading *r)
{
    int64_t low = t->start_high > 0 ? t->start_high - 1 : 0;
    int64_t end = end_of(t);
    struct flv_err err = {0};
    bool ready = false;
    flv_rc rc;

    r->rd = (struct flv_log_read){
        .offset = low + (int64_t)below(t, (uint64_t)(end - low) + 3),
        .isolation =
            below(t, 2) == 0 ? FLV_READ_COMMITTED : FLV_READ_UNCOMMITTED,
        .buf_bytes = 128 + below(t, 4000),
    };
    r->rd.bytes_max = below(t, 3) == 0 ? below(t, 1000) : 0;
    r->buf = malloc(r->rd.buf_bytes);
    assert(r->buf != NULL);
    r->rd.buf = r->buf;
    r->limit = r->rd.isolation == FLV_READ_COMMITTED ? flv_log_hw(t->log)
                                                     : flv_log_leo(t->log);
    rc = flv_log_read_prepare(t->log, &r->rd, &ready, &err);
    if (rc == FLV_OK && ready) {
        r->out = true;
        return;
    }
    free(r->buf);
    if (rc == FLV_OK
            ? r->rd.offset < r->limit || r->rd.offset > end
            : (rc == FLV_E_NOT_FOUND) != (r->rd.offset < t->start_high) ||
                  (rc == FLV_E_INVALID) != (r->rd.offset > end)) {
        broken(t,
               "preparing a read of %" PRId64 " in [%" PRId64 ", %" PRId64
               ") gave %s",
               r->rd.offset, t->start_high, end, flv_rc_name(rc));
    }
}

static void step_read(struct twin *t)
{
    struct reading *r = &t->reads[below(t, READS)];

    if (!r->out) {
        begin_read(t, r);
    }
    if (r->out && below(t, 4) != 0) {
        end_read(t, r);
    }
}

static void end_scrub(struct twin *t)
{
    flv_log_scrub_run(&t->scrub);
    if (t->scrub.damage.rc != FLV_OK && t->sim.faults.read == 0 &&
        !t->sim.down) {
        broken(t, "a scrub finds %s", t->scrub.damage.text);
    }
    flv_log_scrub_finish(&t->scrub);
    t->scrubbing = false;
}

static void step_scrub(struct twin *t)
{
    if (!t->scrubbing) {
        t->scrub.bytes_max = 1 + below(t, 4000);
        t->scrubbing = flv_log_scrub_prepare(t->log, &t->scrub);
    }
    if (t->scrubbing && below(t, 2) == 0) {
        end_scrub(t);
    }
}

/* ---- opening ---- */

/* What the log holds now, batch by batch. */
static void read_all(struct twin *t, struct content *out)
{
    uint8_t buf[3 * (BATCH_HEAD + 1500)];
    int64_t offset = flv_log_start_offset(t->log);

    while (!t->broken) {
        struct flv_log_read rd = {
            .offset = offset,
            .isolation = FLV_READ_UNCOMMITTED,
            .buf = buf,
            .buf_bytes = sizeof(buf),
        };
        struct flv_err err = {0};
        bool ready = false;
        flv_rc rc = flv_log_read_prepare(t->log, &rd, &ready, &err);

        if (rc == FLV_OK && !ready) {
            return;
        }
        if (rc == FLV_OK) {
            rc = flv_log_read_run(&rd, &err);
            flv_log_read_finish(&rd);
        }
        if (rc != FLV_OK) {
            broken(t, "after opening, offset %" PRId64 " gives %s: %s", offset,
                   flv_rc_name(rc), err.text);
            return;
        }
        for (size_t at = 0; at < rd.len;) {
            struct flv__batch_head head;

            if (flv__batch_head_get(buf + at, &head) != FLV_OK) {
                broken(t, "a read delivered no batch");
                return;
            }
            push(out, buf + at, head.size, false);
            at += head.size;
        }
        offset = rd.next_offset;
    }
}

static bool same(const struct stored *a, const struct stored *b)
{
    return a->base == b->base && a->len == b->len &&
           memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* The batches of each numbered producer continue one another. */
static void check_once(struct twin *t, const struct content *c)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        int32_t next = -1;
        int16_t epoch = -1;

        for (size_t k = 0; k < c->len; k++) {
            struct flv__batch_head h;

            if (flv__batch_head_get(c->at[k].bytes, &h) != FLV_OK ||
                h.producer_id != t->clients[i].id) {
                continue;
            }
            if (h.producer_epoch == epoch && h.first_sequence != next) {
                broken(t, "producer %" PRId64 ": sequence %d instead of %d",
                       h.producer_id, h.first_sequence, next);
            }
            epoch = h.producer_epoch;
            next = (int32_t)(((int64_t)h.last_sequence + 1) & INT32_MAX);
        }
    }
}

/* `found` is the model from a legal start on, with or without the uncertain
 * group; on page-cache topics less may be left. Becomes the model. */
static void compare_all(struct twin *t, struct content *found, bool power)
{
    int64_t start = flv_log_start_offset(t->log);
    int64_t end = flv_log_leo(t->log);
    struct content all = {0};
    size_t from = 0, sure;

    for (size_t i = 0; i < t->model.len; i++) {
        push(&all, t->model.at[i].bytes, t->model.at[i].len,
             t->model.at[i].ends);
    }
    sure = all.len;
    for (size_t i = 0; i < t->uncertain.len; i++) {
        push(&all, t->uncertain.at[i].bytes, t->uncertain.at[i].len,
             i + 1 == t->uncertain.len);
    }
    if (start < t->start_low || start > t->start_high) {
        broken(t, "starts at %" PRId64 ", not in %" PRId64 "..%" PRId64, start,
               t->start_low, t->start_high);
    }
    while (from < all.len && all.at[from].base < start) {
        from++;
    }
    if (found->len > all.len - from) {
        broken(t, "holds %zu batches, only %zu were written", found->len,
               all.len - from);
    }
    for (size_t i = 0; !t->broken && i < found->len; i++) {
        if (!same(&found->at[i], &all.at[from + i])) {
            broken(t, "offset %" PRId64 " is not what was written",
                   found->at[i].base);
        }
        found->at[i].ends = all.at[from + i].ends;
        found->at[i].at_ms = t->now_ms; /* the disk does not know */
    }
    if (!t->broken && end < t->promised) {
        broken(t, "ends at %" PRId64 ", promised was %" PRId64, end,
               t->promised);
    }
    if (!t->broken && found->len > 0 && !found->at[found->len - 1].ends) {
        broken(t, "ends at %" PRId64 ", inside a record set", end);
    }
    if (!t->broken && !(power && !t->was_disk) && from + found->len < sure) {
        broken(t, "lost acknowledged batches");
    }
    clear(&all);
    check_once(t, found);
}

static void check_torn(struct twin *t)
{
    for (unsigned i = 0; i < t->torn_count; i++) {
        size_t len = 0;
        const uint8_t *bytes = sim_bytes(&t->sim, t->torn[i].path, &len);

        if (bytes == NULL || len != t->torn[i].len ||
            flv_crc32c(0, bytes, len) != t->torn[i].crc) {
            broken(t, "%s is gone or has changed", t->torn[i].path);
        }
    }
}

static void see_note(void *user, const struct flv_log_note *note)
{
    struct twin *t = user;
    struct torn_file *f = &t->torn[t->torn_count];
    const uint8_t *bytes;

    if (note->kind == FLV_NOTE_DAMAGE) {
        broken(t, "damage out of nothing: %s", note->text);
    }
    if (note->kind != FLV_NOTE_TORN || t->torn_count == TORNS) {
        return;
    }
    snprintf(f->path, sizeof(f->path), "%s", note->file);
    t->stats->dropped += strstr(f->path, "-0000000000-") != NULL;
    bytes = sim_bytes(&t->sim, f->path, &f->len);
    if (strstr(f->path, FLV__ENDING_TORN) == NULL) { /* zeros: only cut off */
        t->stats->zeros++;
        if (bytes == NULL || f->len != note->pos) {
            broken(t, "%s was not cut to %" PRIu64 " bytes", f->path,
                   note->pos);
        }
        return;
    }
    if (bytes == NULL || f->len != note->bytes) {
        broken(t, "%s does not hold the torn bytes", f->path);
        return;
    }
    f->crc = flv_crc32c(0, bytes, f->len);
    t->torn_count++;
}

/* After a loss on a page-cache topic producers begin anew. */
static void reset_clients(struct twin *t)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &t->clients[i];

        assert(c->flying == 0);
        free(c->set);
        free(c->old);
        c->set = c->old = NULL;
        c->epoch++;
        c->next = 0;
    }
}

static void check_report(struct twin *t, const struct flv_log_report *report)
{
    if (report->damaged) {
        broken(t, "damage out of nothing: %s", report->damage.text);
    }
    if (report->checkpoint_bad) {
        broken(t, "a broken checkpoint was left behind");
    }
    if (t->kept && report->full_scan) {
        broken(t, "the checkpoint is gone");
    }
    if (t->closed_clean && report->bytes_read > 0) {
        broken(t, "read %" PRIu64 " bytes after a clean close",
               report->bytes_read);
    }
    if (t->exists && report->created) {
        broken(t, "the log was gone");
    }
    if (report->next_offset != flv_log_leo(t->log) ||
        (t->disk && flv_log_hw(t->log) != flv_log_leo(t->log))) {
        broken(t, "the report does not agree with the log");
    }
}

/* The log is open: is it what it has to be? */
static void
verify(struct twin *t, const struct flv_log_report *report, bool power)
{
    struct sim_faults faults = t->sim.faults;
    struct content found = {0};

    t->sim.faults = (struct sim_faults){.shorter = faults.shorter};
    check_report(t, report);
    if (!power && t->closed_clean && t->was_disk == t->disk &&
        report->torn_bytes > 0) {
        broken(t, "cut off %" PRIu64 " bytes after a clean close",
               report->torn_bytes);
    }
    check_torn(t);
    if (!t->broken) {
        read_all(t, &found);
    }
    if (!t->broken) {
        compare_all(t, &found, power);
    }
    t->sim.faults = faults;
    clear(&t->model);
    clear(&t->uncertain);
    t->model = found;
    t->start_high = flv_log_start_offset(t->log);
    /* What was on disk is there, whether or not this log can prove it. */
    if (t->disk) {
        t->promised = flv_log_leo(t->log);
    } else if (flv_log_hw(t->log) > t->promised) {
        t->promised = flv_log_hw(t->log);
    }
    t->stats->torn += report->torn_bytes > 0;
    t->exists = true;
    t->closed_clean = false;
    if (power && !t->was_disk) {
        reset_clients(t);
    }
    t->was_disk = t->disk;
}

static void forget_log(struct twin *t)
{
    clear(&t->model);
    clear(&t->uncertain);
    t->exists = t->kept = t->closed_clean = t->maybe_deleted = false;
    t->start_low = t->start_high = t->promised = 0;
    t->torn_count = 0;
    reset_clients(t);
    t->conf.log_id++;
}

/* It is gone, but until its directory is synced a power cut brings it back:
 * nobody makes another in its place before that. */
static void end_deletion(struct twin *t)
{
    struct sim_faults faults = t->sim.faults;
    flv_rc rc;

    t->sim.down_at = 0;
    t->sim.faults = (struct sim_faults){0};
    rc = t->sim.io.ops->sync_dir(&t->sim.io, "/data", FLV_SYNC_DELETE, NULL);
    if (rc != FLV_OK) {
        broken(t, "the deletion cannot be made durable");
    }
    t->sim.faults = faults;
    forget_log(t);
}

/* A check changes nothing, and finds what opening is going to find. */
static bool check_before(struct twin *t, struct flv_log_check *found)
{
    struct sim_faults faults = t->sim.faults;
    struct flv_err err = {0};
    flv_rc rc;

    t->sim.faults = (struct sim_faults){.shorter = faults.shorter};
    t->sim.frozen = true;
    rc = flv_log_check(&t->sim.io, DIR_NAME, NULL, NULL, found, &err);
    t->sim.frozen = false;
    t->sim.faults = faults;
    if (rc != FLV_OK && rc != FLV_E_NOT_FOUND) {
        broken(t, "cannot be checked: %s: %s", flv_rc_name(rc), err.text);
    } else if (rc == FLV_OK && found->damages > 0) {
        broken(t, "a check finds damage out of nothing");
    }
    return rc == FLV_OK;
}

static void compare_check(struct twin *t,
                          const struct flv_log_check *found,
                          const struct flv_log_report *report)
{
    if (found->next_offset != report->next_offset) {
        broken(t, "ends at %" PRId64 ", a check found %" PRId64,
               report->next_offset, found->next_offset);
    }
    /* It does not know which zeros a topic may have. */
    if (t->disk && report->torn_bytes > 0 && found->torn_bytes == 0) {
        broken(t, "a check found nothing torn");
    }
}

/* Opens, through any number of failures and crashes. */
static void open_log(struct twin *t, bool power)
{
    struct flv_log_check found;
    bool checked = below(t, 4) == 0 && check_before(t, &found);

    if (below(t, 6) == 0) { /* its settings were changed meanwhile */
        t->disk = !t->disk;
        t->conf.durability =
            t->disk ? FLV_DURABLE_DISK : FLV_DURABLE_PAGE_CACHE;
    }
    for (unsigned attempt = 0; !t->broken; attempt++) {
        struct sim_faults faults = t->sim.faults;
        struct flv_log_report report = {0};
        struct flv_err err = {0};
        flv_rc rc;

        t->conf.create = !t->exists;
        if (attempt > 4) {
            t->sim.faults = (struct sim_faults){0};
            t->sim.space = UINT64_MAX;
        } else if (below(t, 8) == 0) {
            t->sim.down_at = t->sim.calls + 1 + below(t, 30);
        }
        rc = flv_log_open(&t->conf, &t->log, &report, &err);
        t->sim.faults = faults;
        if (rc == FLV_OK && !t->sim.down) {
            t->sim.down_at = 0;
            if (checked && attempt == 0) {
                compare_check(t, &found, &report);
            }
            verify(t, &report, power);
            return;
        }
        if (rc == FLV_OK) { /* stopped after the last thing that mattered */
            flv_log_abandon(t->log);
            t->log = NULL;
        } else if (rc == FLV_E_NOT_FOUND && t->maybe_deleted) {
            end_deletion(t);
            continue;
        } else if (attempt > 4 || (rc != FLV_E_IO && rc != FLV_E_NOSPACE)) {
            broken(t, "cannot be opened: %s: %s", flv_rc_name(rc), err.text);
            return;
        }
        t->stats->faults_met++;
        if (t->sim.down && below(t, 2) == 0) {
            sim_power_cut(&t->sim);
            power = true;
        } else {
            sim_restart(&t->sim);
        }
    }
}

/* ---- ends of a life ---- */

/* The process or the machine is gone: frees what it had in memory. */
static void bury(struct twin *t)
{
    t->sim.down = true;
    if (t->commit != NULL) {
        if (!t->commit_ran) {
            flv_log_job_run(t->commit);
        }
        finish_commit(t);
    }
    if (t->upkeep != NULL) {
        if (!t->upkeep_ran) {
            flv_log_job_run(t->upkeep);
        }
        finish_upkeep(t);
    }
    for (unsigned i = 0; i < READS; i++) {
        if (t->reads[i].out) {
            flv_log_read_finish(&t->reads[i].rd);
            free(t->reads[i].buf);
            t->reads[i].out = false;
        }
    }
    if (t->scrubbing) {
        end_scrub(t);
    }
    t->scrub = (struct flv_log_scrub){0};
    flv_log_cancel(t->log);
    flv_log_abandon(t->log);
    t->log = NULL;
}

/* What is staged does not wait for ever: each round one of those who can do
 * something about it does so. */
static void drain(struct twin *t)
{
    for (unsigned i = 0; i < 300 && t->first != NULL && !t->broken; i++) {
        step_commit(t);
        step_upkeep(t);
    }
    if (t->first != NULL && !t->sim.down) {
        broken(t, "what is staged waits for ever");
    }
}

static void settle(struct twin *t)
{
    if (!t->sim.down && below(t, 2) == 0) {
        drain(t);
    }
    while (t->commit != NULL) {
        step_commit(t);
    }
    while (t->upkeep != NULL) {
        step_upkeep(t);
    }
    for (unsigned i = 0; i < READS; i++) {
        if (t->reads[i].out) {
            end_read(t, &t->reads[i]);
        }
    }
    if (t->scrubbing) {
        end_scrub(t);
    }
    t->scrub = (struct flv_log_scrub){0};
    flv_log_cancel(t->log);
}

static void close_log(struct twin *t)
{
    struct flv_log_info info;
    struct flv_err err = {0};
    bool durable;
    flv_rc rc;

    settle(t);
    flv_log_stat(t->log, &info);
    /* What was opened with may not be: then nobody has promised it. */
    durable = t->log->keep_due || t->log->last_kept.next_offset != info.leo ||
              t->log->last_kept.start_offset != info.start_offset ||
              (t->kept && t->kept_end == info.leo);
    rc = flv_log_close(t->log, &err);
    t->log = NULL;
    if (rc == FLV_OK && info.state == FLV_LOG_OK && !t->sim.down && durable) {
        t->kept = true;
        t->kept_end = info.leo;
        t->closed_clean = true;
        t->start_low = t->start_high;
        t->promised = end_of(t);
    }
}

static void delete_log(struct twin *t)
{
    struct flv_err err = {0};
    flv_rc rc;

    close_log(t);
    rc = flv_log_delete(&t->sim.io, DIR_NAME, &err);
    if (rc == FLV_OK && !t->sim.down) {
        t->stats->deletions++;
        if (sim_name(&t->sim, "/data", 0) != NULL) {
            broken(t, "deletion left something behind");
        }
        forget_log(t);
        t->maybe_deleted = false;
        return;
    }
    t->maybe_deleted = true;
}

/* Returns whether the power failed. */
static bool end_life(struct twin *t)
{
    unsigned how = (unsigned)below(t, 8);
    bool power = below(t, 3) != 0;

    if (t->sim.down || how < 4) {
        bury(t);
    } else if (how < 7) {
        close_log(t);
    } else {
        delete_log(t);
    }
    t->stats->power_cuts += power;
    t->stats->kills += !power;
    if (power) {
        sim_power_cut(&t->sim);
    } else {
        sim_restart(&t->sim);
    }
    return power;
}

/* ---- a life story ---- */

static void check_state(struct twin *t)
{
    struct flv_log_info info;

    flv_log_stat(t->log, &info);
    if (info.leo != end_of(t) || info.hw > info.leo ||
        (t->disk && info.hw != info.leo)) {
        broken(t, "leo %" PRId64 ", hw %" PRId64 ", model %" PRId64, info.leo,
               info.hw, end_of(t));
    }
    if (info.state == FLV_LOG_DAMAGED) {
        broken(t, "damage out of nothing");
    }
}

static void live(struct twin *t)
{
    unsigned steps = 5 + (unsigned)below(t, 60);

    if (below(t, 2) == 0) {
        t->sim.down_at = t->sim.calls + 1 + below(t, 120);
    }
    for (unsigned i = 0; i < steps && !t->sim.down && !t->broken; i++) {
        unsigned what = (unsigned)below(t, 20);

        if (what < 7) {
            step_append(t);
        } else if (what < 13) {
            step_commit(t);
        } else if (what < 15) {
            step_upkeep(t);
        } else if (what < 18) {
            step_read(t);
        } else if (what < 19) {
            step_scrub(t);
        } else if (below(t, 2) == 0) {
            step_trim(t);
        } else {
            step_retain(t);
        }
        t->now_ms += below(t, 20);
        if (!t->broken && !t->sim.down) {
            check_state(t);
        }
    }
}

static unsigned rarely(struct twin *t)
{
    return below(t, 3) == 0 ? 10 + (unsigned)below(t, 60) : 0;
}

static void choose(struct twin *t)
{
    t->disk = below(t, 2) == 0;
    t->conf = (struct flv_log_conf){
        .io = &t->sim.io,
        .dir = DIR_NAME,
        .log_id = 0x1d000000 + below(t, 1000),
        .durability = t->disk ? FLV_DURABLE_DISK : FLV_DURABLE_PAGE_CACHE,
        .segment_bytes = 1024 + (uint32_t)below(t, 6000),
        .batch_bytes_max = 1200,
        .group_bytes_max = 200 + (uint32_t)below(t, 3000),
        .ahead_bytes = below(t, 2) == 0 ? 1 : 1 + (uint32_t)below(t, 40000),
        .staged_bytes_max = 4000 + below(t, 8000),
        .checkpoint_bytes = 200 + below(t, 6000),
        .index_interval = 64 + (uint32_t)below(t, 512),
        .index_entries_max = 2 + (uint32_t)below(t, 16),
        .producers_max = CLIENTS,
        .segments_open_max = 1 + (uint32_t)below(t, 3),
        .note = see_note,
        .note_user = t,
    };
    if (below(t, 2) == 0) {
        t->sim.faults = (struct sim_faults){
            .no_space = rarely(t),
            .write = rarely(t),
            .sync = rarely(t),
            .names = rarely(t),
            .read = rarely(t),
            .shorter = below(t, 2) == 0 ? 3 : 0,
        };
    }
    if (below(t, 8) == 0) { /* a disk that is all but full */
        t->sim.faults = (struct sim_faults){.no_space = 2};
    }
    if (below(t, 6) == 0) {
        t->sim.space = 4000 + below(t, 20000);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        t->clients[i].id = 100 + i;
        if (below(t, 4) == 0) {
            t->clients[i].epoch = (int16_t)below(t, 100);
        }
    }
}

static uint64_t mono_ns(void *ctx)
{
    return ((const struct twin *)ctx)->now_ms * 1000000;
}

static int64_t wall_ms(void *ctx)
{
    return 1700000000000 + (int64_t)((const struct twin *)ctx)->now_ms;
}

bool twin_run(uint64_t seed,
              int ignored,
              struct twin_stats *stats,
              char *why,
              size_t why_size)
{
    struct twin t = {
        .random = seed * 0x5851f42d4c957f2du + 11,
        .stats = stats,
        .why = why,
        .why_size = why_size,
    };
    unsigned lives;
    bool power = false;
    const struct flv_clock clock = {mono_ns, wall_ms, &t};

    t.last = &t.first;
    flv__clock_set(&clock);
    sim_init(&t.sim, seed);
    sim_mkdir(&t.sim, "/data");
    t.sim.ignored = ignored;
    choose(&t);
    lives = 2 + (unsigned)below(&t, 5);
    for (; lives > 0 && !t.broken; lives--) {
        open_log(&t, power);
        stats->lives++;
        if (!t.broken) {
            live(&t);
        }
        if (!t.broken) {
            power = end_life(&t);
        }
    }
    if (!t.broken) {
        open_log(&t, power);
    }
    if (t.log != NULL) {
        bury(&t);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        free(t.clients[i].set);
        free(t.clients[i].old);
    }
    for (unsigned i = 0; i < FLV_SYNC_COUNT; i++) {
        stats->syncs[i] += t.sim.syncs[i];
    }
    clear(&t.model);
    clear(&t.uncertain);
    sim_deinit(&t.sim);
    flv__clock_set(NULL);
    return !t.broken;
}
