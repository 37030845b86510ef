#include "sql_sink.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "loop/pool.h"

#define TARGET "sql"
/* What one transaction takes: batches that wait are put together up to this,
 * so that the cost of a commit is shared. One batch may be larger. */
#define JOB_ROWS 4096u
#define JOB_BYTES ((size_t)8 << 20)
#define JOB_ARENA_BYTES ((size_t)512 << 20)
#define STACK_BYTES ((size_t)1 << 20)

enum { ROWS, TRANSACTIONS, CONNECTIONS };
static const char *const counters[] = {"rows", "transactions", "connections",
                                       NULL};

struct part {
    struct sql_mark mark;
    bool found;  /* there is a row */
    bool owned;  /* and it is ours */
    bool halted; /* nothing behind a record that stopped it */
    struct flv_sink_batch *first, *last; /* waiting, by `next` */
};

enum task { TASK_NONE, TASK_ASK, TASK_KEEP, TASK_APPLY };
enum job_state {
    JOB_IDLE,
    JOB_RUNS,   /* on the worker; then it owns db, marks and rows */
    JOB_PAUSES, /* until the database is tried again */
    JOB_WAITS,  /* for verdicts */
};

/* A row of the job, and the record that it was read from. */
struct source {
    struct flv_sink_record *record; /* gone once the row is skipped */
    int64_t offset;
    bool pending;
    bool unread; /* its value says no operation */
};

/* A batch of the job. When all its records were disposed of it is gone. */
struct piece {
    struct flv_sink_batch *batch;
    int64_t next_offset;
    size_t rows;
};

struct job {
    enum task task;
    enum job_state state;
    struct flv_work work;
    uint32_t from, count; /* ASK, KEEP: partitions */
    struct part *part;    /* APPLY */
    int64_t next;
    struct piece *pieces; /* owned */
    size_t piece_count, piece_max;
    struct sql_row *rows; /* owned; row_max of each */
    struct source *sources;
    size_t row_count, row_max;
    size_t pending; /* verdicts */
    struct flv_arena arena;
    struct flv_err err;
};

enum drain { DRAIN_NOT, DRAIN_ALL, DRAIN_NONE };

struct sql_sink {
    const struct sql_conf *conf; /* borrowed */
    struct flv_sink *sink;
    struct sql_db_conf db_conf;
    struct sql_db *db;     /* owned; NULL: not connected */
    struct flv_pool *pool; /* owned */
    atomic_bool canceled;
    int64_t instance, claims;
    char topic_id[SQL_CREATION_MAX];
    struct part **parts; /* owned, each owned */
    uint32_t part_count, turn;
    struct job job;
    /* What the runtime wants to know or to have kept; borrowed. */
    const struct flv_sink_ask *asked;
    const struct flv_sink_position *starts;
    size_t start_count;
    struct flv_backoff backoff;
    struct flv_timer pause;
    struct flv_task leave;
    bool troubled, was_open, closing;
    enum drain drain;
    bool drained;
};

static void step(struct sql_sink *s);

/* --- on the worker -----------------------------------------------------------
 */

static int64_t next_owner(struct sql_sink *s)
{
    int64_t claim = ++s->claims & ((INT64_C(1) << SQL_CLAIM_BITS) - 1);
    return s->instance << SQL_CLAIM_BITS | claim;
}

/* After a loss: is the row where it was left, or where the lost transaction
 * would have moved it? */
static flv_rc reclaim(struct sql_sink *s, struct part *p, struct flv_err *err)
{
    struct sql_mark m = p->mark;
    flv_rc rc = sql_db_claim(s->db, &m, next_owner(s), SQL_CLAIM_AGAIN, err);
    if (rc == FLV_E_NOT_FOUND || (rc == FLV_OK && m.owner == 0)) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "the position of partition %" PRIu32
                        " is gone from the database, or is another topic's",
                        p->mark.partition);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    bool applied =
        s->job.task == TASK_APPLY && s->job.part == p && m.next == s->job.next;
    if (m.next != p->mark.next && !applied) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "the database came back with position %" PRId64
                        " of partition %" PRIu32 ", after %" PRId64
                        " was confirmed (was it restored?); a new start goes "
                        "on from there",
                        m.next, p->mark.partition, p->mark.next);
    }
    p->mark = m;
    return FLV_OK;
}

static flv_rc connect_db(struct sql_sink *s, struct flv_err *err)
{
    if (s->db != NULL) {
        return FLV_OK;
    }
    flv_rc rc = sql_db_open(&s->db, &s->db_conf, err);
    for (uint32_t i = 0; rc == FLV_OK && i < s->part_count; i++) {
        if (s->parts[i]->owned) {
            rc = reclaim(s, s->parts[i], err);
        }
    }
    return rc;
}

static flv_rc claim_parts(struct sql_sink *s, struct flv_err *err)
{
    bool keep = s->job.task == TASK_KEEP;
    flv_rc rc = FLV_OK;
    for (uint32_t i = 0; rc == FLV_OK && i < s->job.count; i++) {
        struct part *p = s->parts[s->job.from + i];
        if (p->owned || (keep && p->mark.next < 0)) {
            continue; /* claimed before a loss, or not asked for */
        }
        struct sql_mark m = p->mark;
        m.next = keep ? m.next : 0;
        rc = sql_db_claim(s->db, &m, next_owner(s),
                          keep ? SQL_CLAIM_MADE : SQL_CLAIM_FOUND, err);
        if (rc == FLV_OK && keep && m.next != p->mark.next) {
            return sql_fail_moved(&m, err);
        }
        if (rc == FLV_OK) {
            p->mark = m;
            p->found = true;
            p->owned = m.owner != 0;
        }
        if (rc == FLV_E_NOT_FOUND) {
            flv_err_clear(err);
            rc = FLV_OK;
        }
    }
    return rc;
}

/* Anew for each attempt: what an attempt before left in the arena would add up
 * to its ceiling. */
static flv_rc parse(struct job *j, struct flv_err *err)
{
    flv_arena_reset(&j->arena);
    for (size_t i = 0; i < j->row_count; i++) {
        struct sql_row *row = &j->rows[i];
        flv_err_clear(&row->err);
        if (row->skip) {
            continue;
        }
        flv_rc rc = sql_op_read(j->sources[i].record->value, &j->arena,
                                &row->op, &row->err);
        j->sources[i].unread = rc == FLV_E_INVALID;
        if (rc == FLV_E_NOMEM && flv_arena_full(&j->arena)) {
            return flv_fail(err, FLV_E_LIMIT,
                            "the operations of %zu records, from offset "
                            "%" PRId64 " of partition %" PRIu32
                            ", take more than %zu MiB of memory; write them "
                            "in smaller batches",
                            j->row_count, j->sources[0].offset,
                            j->part->mark.partition, JOB_ARENA_BYTES >> 20);
        }
        if (rc != FLV_OK && rc != FLV_E_INVALID) {
            *err = row->err;
            return rc;
        }
    }
    return sql_rows_verdict(j->rows, j->row_count, err);
}

static flv_rc apply(struct sql_sink *s, struct flv_err *err)
{
    struct job *j = &s->job;
    if (j->part->mark.next == j->next && j->next > 0) {
        return FLV_OK; /* the transaction that was thought lost was not */
    }
    flv_rc rc = parse(j, err);
    return rc == FLV_OK ? sql_db_apply(s->db, &j->part->mark, j->next, j->rows,
                                       j->row_count, err)
                        : rc;
}

/* What leaves the connection as it was. */
static bool is_clean(flv_rc rc)
{
    return rc == FLV_OK || rc == FLV_E_INVALID;
}

static void run_job(struct flv_work *w)
{
    struct sql_sink *s = FLV_OWNER_OF(w, struct sql_sink, job.work);
    struct job *j = &s->job;
    flv_err_clear(&j->err);
    s->was_open = s->db != NULL;
    flv_rc rc = connect_db(s, &j->err);
    if (rc == FLV_OK) {
        rc =
            j->task == TASK_APPLY ? apply(s, &j->err) : claim_parts(s, &j->err);
    } else if (rc == FLV_E_INVALID) {
        j->err.rc = rc = FLV_E_BUSY; /* no record was looked at yet */
    }
    if (!is_clean(rc)) {
        sql_db_close(s->db);
        s->db = NULL;
    }
    assert(j->err.rc == rc);
}

/* --- jobs --------------------------------------------------------------------
 */

static void job_done(struct flv_work *w, flv_rc rc);

static void submit(struct sql_sink *s)
{
    s->job.work.run = run_job;
    s->job.work.done = job_done;
    s->job.state = JOB_RUNS;
    flv_rc rc = flv_pool_submit(s->pool, &s->job.work);
    if (rc != FLV_OK) {
        struct flv_err err = {0};
        s->job.state = JOB_IDLE;
        (void)flv_fail(&err, rc, "a thread for the database");
        flv_sink_fail(s->sink, &err);
    }
}

static void end_job(struct sql_sink *s)
{
    s->job.task = TASK_NONE;
    s->job.state = JOB_IDLE;
    s->job.part = NULL;
    s->job.piece_count = 0;
    s->job.row_count = 0;
    s->job.pending = 0;
    flv_arena_reset(&s->job.arena);
}

static void on_pause_over(struct flv_timer *t)
{
    submit(FLV_OWNER_OF(t, struct sql_sink, pause));
}

static void try_again(struct sql_sink *s)
{
    struct flv_err err = {0};
    uint64_t in_ms = flv_backoff_next(&s->backoff);
    s->troubled = true;
    s->job.state = JOB_PAUSES;
    flv_sink_trouble(s->sink, &s->job.err, in_ms);
    flv_log_warn(TARGET, "the database fails, trying again",
                 FLV_KV_ERR(&s->job.err), FLV_KV_U64("retry_ms", in_ms));
    if (flv_timer_start(&s->pause, in_ms, 0, &err) != FLV_OK) {
        flv_sink_fail(s->sink, &err);
    }
}

/* All of it, or with a job that was cut, what is left of it. */
static void confirm(struct sql_sink *s)
{
    struct job *j = &s->job;
    size_t at = 0, applied = 0;
    for (size_t i = 0; i < j->piece_count; i++) {
        const struct piece *p = &j->pieces[i];
        bool whole = p->next_offset <= j->next;
        size_t from = at, alive = 0;
        for (; at < j->row_count && at < from + p->rows; at++) {
            alive += !j->rows[at].skip;
        }
        applied += alive;
        if (whole && (alive > 0 || p->rows == 0)) {
            flv_sink_batch_done(s->sink, p->batch);
        }
        for (; !whole && from < at; from++) {
            if (!j->rows[from].skip) {
                flv_sink_done(s->sink, j->sources[from].record);
            }
        }
    }
    flv_sink_count(s->sink, ROWS, applied);
    flv_sink_count(s->sink, TRANSACTIONS, 1);
}

/* All at fault are told at once; verdicts come later, one by one. */
static void tell_faults(struct sql_sink *s)
{
    struct job *j = &s->job;
    j->state = JOB_WAITS;
    for (size_t i = 0; i < j->row_count; i++) {
        j->sources[i].pending = j->rows[i].err.rc != FLV_OK;
        j->pending += j->sources[i].pending;
    }
    assert(j->pending > 0);
    for (size_t i = 0; i < j->row_count; i++) {
        if (j->sources[i].pending) {
            flv_sink_failed(s->sink, j->sources[i].record,
                            j->sources[i].unread ? FLV_AT_EXTRACT
                                                 : FLV_AT_PROTOCOL,
                            &j->rows[i].err);
        }
    }
}

static void answer_ask(struct sql_sink *s)
{
    struct flv_err err = {0};
    uint32_t from = s->job.from, count = s->job.count, n = 0;
    struct flv_sink_position *found =
        flv_zalloc(count > 0 ? count : 1, sizeof(*found));
    if (found == NULL) {
        (void)flv_fail(&err, FLV_E_NOMEM, "out of memory");
        flv_sink_positions(s->sink, NULL, 0, &err);
        return;
    }
    for (uint32_t i = from; i < from + count; i++) {
        if (s->parts[i]->found) {
            found[n++] = (struct flv_sink_position){
                .partition = i,
                .next_offset = s->parts[i]->mark.next,
                .topic_id = s->parts[i]->mark.creation};
        }
    }
    flv_sink_positions(s->sink, found, n, NULL);
    flv_free(found);
}

static void succeed(struct sql_sink *s)
{
    enum task task = s->job.task;
    flv_backoff_reset(&s->backoff);
    if (!s->was_open) {
        flv_sink_count(s->sink, CONNECTIONS, 1);
    }
    if (s->troubled) {
        s->troubled = false;
        flv_log_info(TARGET, "the database is well again");
    }
    flv_sink_well(s->sink);
    if (task == TASK_APPLY) {
        s->job.part->mark.next = s->job.next;
        confirm(s);
        end_job(s);
        return;
    }
    if (task == TASK_ASK) {
        answer_ask(s);
    }
    end_job(s);
    if (task == TASK_KEEP) {
        flv_sink_kept(s->sink, NULL);
    }
}

/* What no time heals. */
static bool is_final(flv_rc rc)
{
    return rc == FLV_E_LOCKED || rc == FLV_E_USAGE || rc == FLV_E_UNSUPPORTED ||
           rc == FLV_E_CORRUPT || rc == FLV_E_LIMIT;
}

static void job_done(struct flv_work *w, flv_rc canceled)
{
    struct sql_sink *s = FLV_OWNER_OF(w, struct sql_sink, job.work);
    struct job *j = &s->job;
    j->state = JOB_IDLE;
    if (s->closing || canceled != FLV_OK) {
        flv_loop_defer(flv_sink_loop(s->sink), &s->leave);
        return;
    }
    flv_rc rc = j->err.rc;
    if (rc == FLV_OK) {
        succeed(s);
    } else if (s->drain == DRAIN_NONE) {
        end_job(s);
    } else if (rc == FLV_E_INVALID && j->task == TASK_APPLY) {
        tell_faults(s);
    } else if (is_final(rc)) {
        struct flv_err err = j->err;
        end_job(s);
        for (uint32_t i = 0; i < s->part_count; i++) {
            s->parts[i]->halted = true;
        }
        flv_sink_fail(s->sink, &err);
    } else {
        try_again(s);
    }
    step(s);
}

/* --- what is next ------------------------------------------------------------
 */

static bool has_rows(struct job *j, size_t more)
{
    size_t max = j->row_max == 0 ? 1024 : j->row_max;
    while (max < j->row_count + more) {
        max *= 2;
    }
    if (max == j->row_max) {
        return true;
    }
    struct sql_row *rows = flv_realloc(j->rows, max * sizeof(*rows));
    j->rows = rows != NULL ? rows : j->rows;
    struct source *sources = flv_realloc(j->sources, max * sizeof(*sources));
    j->sources = sources != NULL ? sources : j->sources;
    j->row_max = rows != NULL && sources != NULL ? max : j->row_max;
    return rows != NULL && sources != NULL;
}

static bool has_piece(struct job *j)
{
    if (j->piece_count < j->piece_max) {
        return true;
    }
    size_t max = j->piece_max == 0 ? 16 : j->piece_max * 2;
    struct piece *pieces = flv_realloc(j->pieces, max * sizeof(*pieces));
    j->pieces = pieces != NULL ? pieces : j->pieces;
    j->piece_max = pieces != NULL ? max : j->piece_max;
    return pieces != NULL;
}

static size_t add_batch(struct job *j, struct flv_sink_batch *b)
{
    size_t bytes = 0;
    j->pieces[j->piece_count++] = (struct piece){
        .batch = b, .next_offset = b->next_offset, .rows = b->count};
    for (uint32_t i = 0; i < b->count; i++, j->row_count++) {
        struct flv_sink_record *r = &b->records[i];
        j->rows[j->row_count] = (struct sql_row){.skip = false};
        j->sources[j->row_count] =
            (struct source){.record = r, .offset = r->offset};
        bytes += r->value.len;
    }
    j->next = b->next_offset;
    return bytes;
}

/* Takes what waits for the partition into one transaction. */
static flv_rc take(struct sql_sink *s, struct part *p)
{
    struct job *j = &s->job;
    size_t bytes = 0;
    j->task = TASK_APPLY;
    j->part = p;
    while (p->first != NULL && bytes < JOB_BYTES) {
        struct flv_sink_batch *b = p->first;
        if (j->piece_count > 0 && j->row_count + b->count > JOB_ROWS) {
            break;
        }
        if (!has_rows(j, b->count) || !has_piece(j)) {
            return j->piece_count > 0 ? FLV_OK : FLV_E_NOMEM;
        }
        bytes += add_batch(j, b);
        p->first = b->next;
    }
    p->last = p->first == NULL ? NULL : p->last;
    return FLV_OK;
}

static struct part *next_part(struct sql_sink *s)
{
    for (uint32_t i = 0; i < s->part_count; i++) {
        struct part *p = s->parts[(s->turn + i) % s->part_count];
        if (p->first != NULL && !p->halted) {
            s->turn = p->mark.partition + 1;
            return p;
        }
    }
    return NULL;
}

/* While it ends, a job does not wait for verdicts: what stands before the
 * first record without one is applied, and the rest read again. */
static void cut(struct sql_sink *s)
{
    struct job *j = &s->job;
    size_t at = 0;
    while (at < j->row_count && !j->sources[at].pending) {
        at++;
    }
    assert(at < j->row_count);
    j->part->halted = true;
    j->next = j->sources[at].offset;
    /* A record of the topic is applied whole or not at all. */
    while (at > 0 && j->sources[at - 1].offset == j->next) {
        at--;
    }
    j->row_count = at;
    j->pending = 0;
    if (j->next > j->part->mark.next) {
        submit(s);
    } else {
        end_job(s);
    }
}

static flv_rc grow(struct sql_sink *s, uint32_t count)
{
    if (count <= s->part_count) {
        return FLV_OK;
    }
    struct part **parts = flv_realloc(s->parts, count * sizeof(struct part *));
    if (parts == NULL) {
        return FLV_E_NOMEM;
    }
    s->parts = parts;
    for (; s->part_count < count; s->part_count++) {
        struct part *p = flv_zalloc(1, sizeof(*p));
        if (p == NULL) {
            return FLV_E_NOMEM;
        }
        p->mark = (struct sql_mark){.consumer = flv_sink_consumer(s->sink),
                                    .topic = flv_sink_topic(s->sink),
                                    .partition = s->part_count,
                                    .next = -1};
        memcpy(p->mark.creation, s->topic_id, sizeof(s->topic_id));
        s->parts[s->part_count] = p;
    }
    return FLV_OK;
}

/* Asking and keeping come before anything is put, and again when partitions
 * are added: then a batch may be under way, and they wait for their turn. */
static bool begin_question(struct sql_sink *s)
{
    struct flv_err err = {0};
    struct job *j = &s->job;
    uint32_t end = 0;
    if (s->asked != NULL) {
        j->task = TASK_ASK;
        j->from = s->asked->first;
        end = j->from + s->asked->count;
        (void)snprintf(s->topic_id, sizeof(s->topic_id), "%s", s->asked->id);
    } else if (s->starts != NULL) {
        j->task = TASK_KEEP;
        j->from = s->starts[0].partition;
        end = s->starts[s->start_count - 1].partition + 1;
    } else {
        return false;
    }
    if (grow(s, end) != FLV_OK) {
        end_job(s);
        (void)flv_fail(&err, FLV_E_NOMEM, "out of memory");
        flv_sink_fail(s->sink, &err);
        return true;
    }
    j->count = end - j->from;
    for (size_t i = 0; i < s->start_count; i++) {
        struct part *p = s->parts[s->starts[i].partition];
        p->mark.next = s->starts[i].next_offset;
        (void)snprintf(p->mark.creation, sizeof(p->mark.creation), "%s",
                       s->starts[i].topic_id);
    }
    s->asked = NULL;
    s->starts = NULL;
    s->start_count = 0;
    submit(s);
    return true;
}

static void begin(struct sql_sink *s)
{
    struct part *p = s->drain != DRAIN_NONE ? next_part(s) : NULL;
    struct flv_err err = {0};
    if (s->drain == DRAIN_NOT && begin_question(s)) {
        return;
    }
    if (p != NULL) {
        if (take(s, p) == FLV_OK) {
            submit(s);
            return;
        }
        end_job(s);
        (void)flv_fail(&err, FLV_E_NOMEM, "out of memory for a batch");
        flv_sink_fail(s->sink, &err);
    }
    if (s->drain != DRAIN_NOT && !s->drained) {
        s->drained = true;
        flv_sink_drained(s->sink);
    }
}

static void step(struct sql_sink *s)
{
    struct job *j = &s->job;
    if (s->closing) {
        return;
    }
    if (s->drain == DRAIN_NONE && j->state == JOB_PAUSES) {
        flv_timer_stop(&s->pause);
        end_job(s);
    }
    if (s->drain != DRAIN_NOT && j->state == JOB_WAITS) {
        cut(s);
    }
    if (j->state == JOB_IDLE) {
        begin(s);
    }
}

/* --- what the runtime calls --------------------------------------------------
 */

static void ask(void *state, const struct flv_sink_ask *topic)
{
    struct sql_sink *s = state;
    s->asked = topic;
    step(s);
}

static void
keep(void *state, const struct flv_sink_position *starts, size_t count)
{
    struct sql_sink *s = state;
    s->starts = starts;
    s->start_count = count;
    step(s);
}

static void put(void *state, struct flv_sink_batch *batch)
{
    struct sql_sink *s = state;
    struct part *p = s->parts[batch->partition];
    assert(p->owned);
    batch->next = NULL;
    if (p->last != NULL) {
        p->last->next = batch;
    } else {
        p->first = batch;
    }
    p->last = batch;
    step(s);
}

static void verdict(void *state,
                    struct flv_sink_record *record,
                    enum flv_sink_verdict verdict)
{
    struct sql_sink *s = state;
    struct job *j = &s->job;
    if (j->state != JOB_WAITS) {
        return; /* the job was given up; the next start reads it again */
    }
    size_t i = 0;
    while (i < j->row_count &&
           !(j->sources[i].pending && j->sources[i].record == record)) {
        i++;
    }
    if (i == j->row_count) {
        return;
    }
    j->sources[i].pending = false;
    j->rows[i].skip = verdict == FLV_SINK_DISPOSED;
    if (--j->pending == 0) {
        submit(s);
    }
}

static void drain(void *state, bool all)
{
    struct sql_sink *s = state;
    s->drain = all ? DRAIN_ALL : DRAIN_NONE;
    s->drained = false;
    step(s);
}

static void leave(struct flv_task *t)
{
    struct sql_sink *s = FLV_OWNER_OF(t, struct sql_sink, leave);
    struct flv_sink *sink = s->sink;
    flv_pool_destroy(s->pool);
    sql_db_close(s->db);
    for (uint32_t i = 0; i < s->part_count; i++) {
        flv_free(s->parts[i]);
    }
    flv_free(s->parts);
    flv_free(s->job.rows);
    flv_free(s->job.sources);
    flv_free(s->job.pieces);
    flv_arena_deinit(&s->job.arena);
    flv_sink_closed(sink);
}

static flv_rc open_sink(void *state,
                        const void *conf,
                        struct flv_sink *sink,
                        struct flv_err *err)
{
    const struct flv_pool_conf pool = {.name = "sql",
                                       .threads_max = 1,
                                       .queue_max = 1,
                                       .stack_bytes = STACK_BYTES};
    struct sql_sink *s = state;
    flv_rc rc = flv_pool_create(&s->pool, flv_sink_loop(sink), &pool, err);
    if (rc != FLV_OK) {
        return rc;
    }
    s->conf = conf;
    s->sink = sink;
    s->db_conf = sql_db_settings(s->conf, flv_sink_name(sink), &s->canceled);
    s->instance = (int64_t)(flv_rand_u64() >> (SQL_CLAIM_BITS + 1)) | 1;
    s->backoff.max_ms = s->conf->backoff_max_ms;
    s->backoff.min_ms = s->conf->backoff_min_ms < s->conf->backoff_max_ms
                            ? s->conf->backoff_min_ms
                            : s->conf->backoff_max_ms;
    flv_arena_init(&s->job.arena, 65536, JOB_ARENA_BYTES);
    flv_timer_init(&s->pause, flv_sink_loop(sink), on_pause_over);
    flv_task_init(&s->leave, leave);
    return FLV_OK;
}

static void close_sink(void *state)
{
    struct sql_sink *s = state;
    s->closing = true;
    atomic_store(&s->canceled, true);
    flv_timer_stop(&s->pause);
    if (s->job.state != JOB_RUNS) {
        flv_loop_defer(flv_sink_loop(s->sink), &s->leave);
    }
}

static const struct flv_sink_ops ops = {
    .state_size = sizeof(struct sql_sink),
    .keeps_positions = true,
    .open = open_sink,
    .ask = ask,
    .keep = keep,
    .put = put,
    .verdict = verdict,
    .drain = drain,
    .close = close_sink,
};

const struct flv_connector sql_sink_connector = {
    .abi = FLV_CONNECTOR_ABI,
    .name = "sql-sink",
    .version = FLV_VERSION,
    .summary =
        "Applies records that are SQL operations to PostgreSQL or SQLite",
    .section = "sql",
    .opts = sql_opts,
    .conf_size = sizeof(struct sql_conf),
    .check = sql_check,
    .counters = counters,
    .sink = &ops,
    .probe = sql_probe,
};
