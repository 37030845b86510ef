#include "server/service.h"

#include "base/arena.h"
#include "base/field.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/state.h"

#include <assert.h>
#include <string.h>

/* Fetch, the request that StreamFetch replaced: one answer, at once, with
 * whole batches from each partition that is asked for, or with none. */

#define PARTITIONS_MAX 1024
#define FETCH_ARENA_MAX ((size_t)4 << 20)
#define FETCH_BYTES_MAX                                                        \
    ((size_t)4 << 20) /* of one answer, beyond one batch                       \
                       */
#define FETCH_BYTES_MIN ((size_t)4096)

struct item {
    struct flv_slice topic; /* borrowed: in the frame */
    struct flv_wire_fetch_partition *result;
    int64_t offset;
    size_t bytes_max;
    size_t at, len; /* of its batches in the buffer */
};

struct fetch {
    struct flv_work work; /* first */
    struct flv_server *s;
    struct flv_token token;
    struct flv_chunk *frame; /* owned reference: names */
    struct flv_arena arena;  /* owned: response and items */
    struct flv_wire_fetch_response response;
    enum flv_isolation isolation;
    size_t bytes_max; /* of all batches; the first one may be larger */
    struct item *items;
    size_t count, next;
    uint8_t *buf; /* owned */
    size_t size, used;
    struct flv_budget_waiter waiter;
    struct flv_task task;
    struct flv_log_read read;
    struct flv_partition *reading; /* held */
    flv_rc rc;
    struct flv_err err;
};

static void go_on(struct fetch *f);

static void fetch_free(struct fetch *f)
{
    struct flv_server *s = f->s;
    assert(f->reading == NULL);
    flv_free(f->buf);
    flv_chunk_unref(f->frame);
    flv_arena_deinit(&f->arena);
    flv_free(f);
    flv_server_ended(s);
}

/* ---- the answer ---- */

static void answer(struct fetch *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct item *it = &f->items[i];
        if (it->len > 0) {
            it->result->records = flv_slice(f->buf + it->at, it->len);
        }
        flv_wire_error_downgrade(&it->result->error, FLV_WIRE_SPU,
                                 f->token.head.version);
    }
    flv_token_answer(&f->token, &flv_wire_fetch_response_schema, &f->response,
                     NULL);
    fetch_free(f);
}

static void answer_error(struct fetch *f, const char *text)
{
    f->response = (struct flv_wire_fetch_response){
        .error = flv_wire_error_text(FLV_WIRE_OTHER, text)};
    f->count = 0;
    answer(f);
}

/* A sentence that outlives err; without memory the code has to do. */
static struct flv_wire_error other(struct fetch *f, const char *text)
{
    char *copy = flv_arena_text(&f->arena, text, strlen(text));
    return flv_wire_error_text(FLV_WIRE_OTHER, copy != NULL ? copy : "");
}

/* ---- reading ---- */

/* The partition, if it can be read from there; else the error is noted. */
static struct flv_partition *find(struct fetch *f, struct item *it)
{
    struct flv_wire_fetch_partition *out = it->result;
    struct flv_topic *t = NULL;
    struct flv_partition *p =
        flv_topics_partition(&f->s->topics, it->topic, out->partition, &t);
    if (!flv_peer_may(f->token.peer, FLV_RIGHT_CONSUME, it->topic)) {
        out->error = flv_wire_error(FLV_WIRE_PERMISSION_DENIED);
    } else if (p == NULL || flv_partition_state(p) == FLV_PART_CLOSING) {
        out->error = flv_wire_error(FLV_WIRE_NOT_LEADER_FOR_PARTITION);
    } else if (flv_partition_state(p) != FLV_PART_ONLINE) {
        out->error = flv_wire_error(FLV_WIRE_STORAGE_ERROR);
    } else {
        out->high_watermark = flv_partition_end(p, FLV_READ_COMMITTED);
        out->log_start_offset = flv_partition_start(p);
        if (it->offset < out->log_start_offset) {
            out->error = (struct flv_wire_error){
                .code = FLV_WIRE_OFFSET_EVICTED,
                .offset = it->offset,
                .next_available = out->log_start_offset};
        } else if (it->offset > flv_partition_end(p, FLV_READ_UNCOMMITTED)) {
            out->error = flv_wire_error(FLV_WIRE_OFFSET_OUT_OF_RANGE);
        }
    }
    return out->error.code == FLV_WIRE_NONE ? p : NULL;
}

static void read_run(struct flv_work *w)
{
    struct fetch *f = (struct fetch *)w;
    f->rc = flv_log_read_run(&f->read, &f->err);
}

static void grow(struct fetch *f, size_t size);

static void note_failure(struct fetch *f, struct item *it)
{
    /* Damage has been told, once for each segment: note_read(). */
    FLV_LOG_AT(f->rc == FLV_E_CORRUPT ? FLV_LEVEL_DEBUG : FLV_LEVEL_WARN,
               "fetch", "cannot read", FLV_KV_SLICE("topic", it->topic),
               FLV_KV_U64("partition", it->result->partition),
               FLV_KV_I64("offset", it->offset), FLV_KV_ERR(&f->err));
    it->result->error = other(f, f->err.text);
}

/* What a read means for the partition, as when a stream reads. */
static void note_read(struct fetch *f)
{
    if (f->rc == FLV_OK && f->read.len > 0) {
        flv_partition_count_out(
            f->reading, (uint64_t)(f->read.next_offset - f->read.base_offset),
            f->read.len);
    } else if (f->rc == FLV_E_CORRUPT) {
        flv_partition_note_damage(f->reading, f->read.segment_base, &f->err);
    }
}

static void read_over(struct flv_work *w, flv_rc rc)
{
    struct fetch *f = (struct fetch *)w;
    struct item *it = &f->items[f->next];
    flv_log_read_finish(&f->read);
    if (rc != FLV_OK) {
        f->rc = flv_fail(&f->err, rc, "the server is stopping");
    }
    note_read(f);
    flv_partition_release(f->reading);
    f->reading = NULL;
    if (f->rc == FLV_E_LIMIT && f->used == 0 && f->read.need_bytes > f->size) {
        grow(f, f->read.need_bytes); /* the first batch comes whole */
        return;
    }
    if (f->rc == FLV_OK) {
        it->at = f->used;
        it->len = f->read.len;
        f->used += f->read.len;
    } else if (f->rc != FLV_E_LIMIT) {
        note_failure(f, it);
    }
    f->next++;
    go_on(f);
}

/* Begins a read for this item. False: there is nothing to wait for. */
static bool read_start(struct fetch *f, struct item *it)
{
    struct flv_partition *p = find(f, it);
    struct flv_log *log = p != NULL ? flv_partition_log(p) : NULL;
    size_t room = f->size - f->used;
    bool ready = false;
    if (log == NULL || it->offset >= flv_partition_end(p, f->isolation) ||
        room == 0) {
        return false;
    }
    f->read = (struct flv_log_read){
        .offset = it->offset,
        .isolation = f->isolation,
        .buf = f->buf + f->used,
        .buf_bytes = room,
        .bytes_max = it->bytes_max < room ? it->bytes_max : room};
    flv_err_clear(&f->err);
    f->rc = flv_log_read_prepare(log, &f->read, &ready, &f->err);
    if (f->rc != FLV_OK) {
        note_failure(f, it);
        return false;
    }
    if (!ready) {
        return false;
    }
    f->reading = p;
    flv_partition_hold(p);
    f->work.run = read_run;
    f->work.done = read_over;
    flv_rc rc = flv_pool_submit(f->s->read_pool, &f->work);
    if (rc != FLV_OK) {
        flv_log_read_finish(&f->read);
        flv_partition_release(p);
        f->reading = NULL;
        it->result->error = other(f, "no thread for a disk read");
        return false;
    }
    return true;
}

static void go_on(struct fetch *f)
{
    for (; f->next < f->count; f->next++) {
        if (read_start(f, &f->items[f->next])) {
            return;
        }
    }
    answer(f);
}

/* ---- memory ---- */

static void have_memory(struct fetch *f)
{
    f->buf = flv_alloc(f->size);
    if (f->buf == NULL) {
        answer_error(f, "out of memory");
    } else {
        go_on(f);
    }
}

static void granted_later(struct flv_task *t)
{
    have_memory(FLV_OWNER_OF(t, struct fetch, task));
}

static void granted(struct flv_budget_waiter *w)
{
    struct fetch *f = FLV_OWNER_OF(w, struct fetch, waiter);
    f->token.charge = w->need;
    flv_loop_defer(f->s->loop, &f->task);
}

/* A buffer of that size for all batches, now or when there is room. */
static void grow(struct fetch *f, size_t size)
{
    struct flv_budget *answers = &f->s->answers;
    flv_free(f->buf);
    f->buf = NULL;
    f->size = size;
    flv_budget_give(answers, f->token.charge);
    f->token.charge = 0;
    flv_rc rc = flv_budget_take(answers, size);
    if (rc == FLV_OK) {
        f->token.charge = size;
        have_memory(f);
    } else if (rc == FLV_E_BUSY) {
        f->waiter.need = size;
        f->waiter.granted = granted;
        flv_budget_wait(answers, &f->waiter);
    } else {
        answer_error(f, "the next batch is larger than the server's memory "
                        "for answers; see --memory-max");
    }
}

/* ---- the request ---- */

static flv_rc count_partitions(const struct flv_wire_fetch_request *req,
                               size_t *out,
                               struct flv_err *err)
{
    *out = 0;
    for (uint32_t i = 0; i < req->topics.len; i++) {
        *out += req->topics.at[i].partitions.len;
    }
    return *out <= PARTITIONS_MAX && req->topics.len <= PARTITIONS_MAX
               ? FLV_OK
               : flv_fail(err, FLV_E_LIMIT,
                          "a fetch of more than %d partitions", PARTITIONS_MAX);
}

/* The response with an empty entry for each of the request, and the items. */
static bool
lay_out(struct fetch *f, const struct flv_wire_fetch_request *req, size_t n)
{
    struct flv_wire_fetch_response *out = &f->response;
    f->items = FLV_ARENA_NEW(&f->arena, struct item, n + 1);
    out->topics.at = FLV_ARENA_NEW(
        &f->arena, struct flv_wire_fetch_topic_result, req->topics.len + 1);
    if (f->items == NULL || out->topics.at == NULL) {
        return false;
    }
    out->topics.len = req->topics.len;
    for (uint32_t i = 0; i < req->topics.len; i++) {
        const struct flv_wire_fetch_topic *from = &req->topics.at[i];
        struct flv_wire_fetch_topic_result *to = &out->topics.at[i];
        to->name = from->name;
        to->partitions.at =
            FLV_ARENA_NEW(&f->arena, struct flv_wire_fetch_partition,
                          from->partitions.len + 1);
        if (to->partitions.at == NULL) {
            return false;
        }
        to->partitions.len = from->partitions.len;
        for (uint32_t k = 0; k < from->partitions.len; k++) {
            const struct flv_wire_fetch_request_partition *p =
                &from->partitions.at[k];
            to->partitions.at[k].partition = p->partition;
            f->items[f->count++] = (struct item){
                .topic = from->name,
                .result = &to->partitions.at[k],
                .offset = p->fetch_offset,
                .bytes_max =
                    p->max_bytes > 0 ? (size_t)p->max_bytes : FETCH_BYTES_MAX};
        }
    }
    return true;
}

/* How much the answer may hold; before version 3 only partitions say so. */
static size_t bytes_of(const struct fetch *f,
                       const struct flv_wire_fetch_request *req)
{
    size_t bytes = 0;
    for (size_t i = 0; i < f->count && bytes < FETCH_BYTES_MAX; i++) {
        bytes += f->items[i].bytes_max;
    }
    if (f->token.head.version >= 3 && req->max_bytes >= 0 &&
        (size_t)req->max_bytes < bytes) {
        bytes = (size_t)req->max_bytes;
    }
    bytes = bytes < FETCH_BYTES_MAX ? bytes : FETCH_BYTES_MAX;
    return bytes > FETCH_BYTES_MIN ? bytes : FETCH_BYTES_MIN;
}

flv_rc flv_fetch_serve(struct flv_request *r, struct flv_err *err)
{
    struct flv_wire_fetch_request req;
    size_t n = 0;
    struct fetch *f = flv_zalloc(1, sizeof *f);
    if (f == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_arena_init(&f->arena, 1024, FETCH_ARENA_MAX);
    flv_rc rc = flv_wire_fetch_request_decode(r->head.version, &r->body,
                                              &f->arena, &req, err);
    rc = rc == FLV_OK ? count_partitions(&req, &n, err) : rc;
    if (rc == FLV_OK && !lay_out(f, &req, n)) {
        rc = flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    if (rc != FLV_OK) {
        flv_arena_deinit(&f->arena);
        flv_free(f);
        return rc;
    }
    f->s = r->peer->server;
    flv_server_began(f->s);
    flv_task_init(&f->task, granted_later);
    f->frame = flv_chunk_ref(r->frame);
    f->token = flv_peer_hold(r);
    f->isolation = r->head.version >= 4 && req.isolation == 1
                       ? FLV_READ_COMMITTED
                       : FLV_READ_UNCOMMITTED;
    grow(f, bytes_of(f, &req));
    return FLV_OK;
}
