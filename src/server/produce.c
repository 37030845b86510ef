#include "server/service.h"

#include "base/arena.h"
#include "base/field.h"
#include "base/mem.h"
#include "server/dedup.h"
#include "server/sift.h"
#include "server/state.h"
#include "wire/batch.h"

#include <assert.h>
#include <string.h>

/* No client comes near these; a frame of empty entries would. */
#define ENTRIES_MAX 16384
/* What SmartModules may take for one record set. */
#define ENTRY_MS_MAX 10000
#define REQUEST_ARENA_MAX ((size_t)64 << 20)

/* One request while its record sets are on their way to disk. */
struct produce {
    struct flv_token token;
    struct flv_chunk *frame; /* owned reference: names and records */
    struct flv_arena arena;  /* owned: everything below, this struct not */
    struct flv_wire_produce_response response;
    uint32_t pending;
    bool committed; /* acks */
    /* With SmartModules: */
    struct flv_plan *plan; /* owned; NULL: none */
    bool preparing;        /* the plan */
    struct entry *entries; /* in the arena */
    size_t entry_count, entry_next;
    struct flv_cpu_job job;
    struct flv_trouble why;
    struct flv_made made; /* by the job */
};

struct entry {
    struct flv_part_append append; /* first */
    struct produce *request;
    struct flv_slice topic; /* borrowed: in the frame */
    struct flv_wire_produce_result *result;
    struct flv_slice records; /* borrowed: as they came */
    struct flv_chunk *grown;  /* owned: the record set, if not in the frame */
};

/* A request that has to wait for one before it: the order of a connection's
 * records in a partition is that of its requests. */
struct flv_produce_wait {
    struct flv_token token;
    struct flv_chunk *frame; /* owned reference */
    struct flv_slice body;   /* in the frame */
    STAILQ_ENTRY(flv_produce_wait) link;
};

/* ---- the answer ---- */

static void produce_end(struct produce *req)
{
    flv_token_answer(&req->token, &flv_wire_produce_response_schema,
                     &req->response, NULL);
    flv_plan_drop(req->plan);
    flv_chunk_unref(req->frame);
    flv_arena_deinit(&req->arena);
    flv_free(req);
}

/* A sentence that outlives err; without memory the code has to do. */
static struct flv_wire_error
with_text(struct produce *req, int16_t code, const char *text)
{
    char *copy = flv_arena_text(&req->arena, text, strlen(text));
    return flv_wire_error_text(code, copy != NULL ? copy : "");
}

static struct flv_wire_error
store_error(const struct entry *e, flv_rc rc, const struct flv_err *err)
{
    struct produce *req = e->request;
    switch (rc) {
    case FLV_E_LIMIT:
        return flv_wire_error(FLV_WIRE_MESSAGE_TOO_LARGE);
    case FLV_E_REFUSED:
    case FLV_E_NOT_FOUND:
        return flv_wire_error(FLV_WIRE_OFFSET_OUT_OF_RANGE);
    case FLV_E_POISONED:
    case FLV_E_CORRUPT:
    case FLV_E_IO:
        return flv_wire_error(FLV_WIRE_STORAGE_ERROR);
    case FLV_E_NOSPACE:
        if (!flv_wire_code_known(FLV_WIRE_PARTITION_FULL, FLV_WIRE_SPU,
                                 req->token.head.version)) {
            return with_text(req, FLV_WIRE_OTHER, err->text);
        }
        return (struct flv_wire_error){.code = FLV_WIRE_PARTITION_FULL,
                                       .topic = e->topic,
                                       .partition = e->result->partition};
    case FLV_E_CANCELED:
        if (req->token.peer->server->phase == FLV_SERVER_SERVING) {
            return flv_wire_error(FLV_WIRE_TOPIC_NOT_FOUND);
        }
        return flv_wire_error(FLV_WIRE_SPU_OFFLINE); /* stopping: try later */
    case FLV_E_NOMEM:
        return flv_wire_error(FLV_WIRE_SPU_ERROR);
    default:
        return with_text(req, FLV_WIRE_OTHER, err->text);
    }
}

static void entry_over(struct entry *e)
{
    struct produce *req = e->request;
    flv_chunk_unref(e->grown);
    e->grown = NULL;
    assert(req->pending > 0);
    if (--req->pending == 0) {
        produce_end(req);
    }
}

static void
entry_done(struct flv_part_append *a, flv_rc rc, const struct flv_err *err)
{
    struct entry *e = (struct entry *)a;
    if (rc == FLV_OK) {
        e->result->base_offset = a->base.base_offset;
    } else {
        e->result->error = store_error(e, rc, err);
    }
    entry_over(e);
}

/* A copy of the error that lives as long as the answer. */
static struct flv_wire_error keep_error(struct produce *req,
                                        struct flv_trouble *why)
{
    req->token.peer->server->counts.module_failures++;
    flv_trouble_downgrade(why, req->token.head.version);
    struct flv_wire_error e = why->error;
    struct flv_slice *parts[] = {&e.text, &e.name.v, &e.record_key.v,
                                 &e.record_value};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        void *copy = flv_arena_copy(&req->arena, parts[i]->data, parts[i]->len);
        *parts[i] = flv_slice(copy, copy != NULL ? parts[i]->len : 0);
    }
    flv_trouble_clear(why);
    return e;
}

static void dedup_done(struct flv_dedup_put *d)
{
    struct entry *e = d->user;
    if (d->why.error.code != FLV_WIRE_NONE) {
        e->result->error = keep_error(e->request, &d->why);
    } else if (d->rc != FLV_OK) {
        e->result->error = store_error(e, d->rc, &d->err);
    } else {
        e->result->base_offset = d->base_offset;
    }
    entry_over(e);
}

/* ---- checking record sets ---- */

/* Takes empty batches out of the set, in place: they carry nothing and count
 * as nothing. */
static void drop_batch(uint8_t *data, size_t *len, size_t pos, size_t size)
{
    assert(pos + size <= *len);
    memmove(data + pos, data + pos + size, *len - pos - size);
    *len -= size;
}

static struct flv_wire_error check_batch(struct produce *req,
                                         const struct flv_topic *t,
                                         struct flv_slice batch,
                                         uint32_t *out_count)
{
    const struct flv_server *s = req->token.peer->server;
    struct flv_batch_header header;
    struct flv_err err = {0};
    if (batch.len > s->conf.batch_bytes_max) {
        return flv_wire_error(FLV_WIRE_MESSAGE_TOO_LARGE);
    }
    if (flv_batch_check(batch, s->compressor, &header, &err) != FLV_OK) {
        return with_text(req, FLV_WIRE_OTHER, err.text);
    }
    if (!flv_topic_codec_ok(&t->spec, header.codec)) {
        return flv_wire_error(FLV_WIRE_COMPRESSION_ERROR);
    }
    *out_count = header.count;
    return flv_wire_error(FLV_WIRE_NONE);
}

/* All batches of a record set; *len shrinks by those that are empty. */
static struct flv_wire_error check_set(struct produce *req,
                                       const struct flv_topic *t,
                                       uint8_t *data,
                                       size_t *len)
{
    size_t pos = 0;
    while (pos < *len) {
        struct flv_batch_header header;
        struct flv_err err = {0};
        uint32_t count = 0;
        if (flv_batch_parse(flv_slice(data + pos, *len - pos), &header, &err) !=
            FLV_OK) {
            return with_text(req, FLV_WIRE_OTHER, err.text);
        }
        struct flv_wire_error error = check_batch(
            req, t, flv_slice(data + pos, header.size_bytes), &count);
        if (error.code != FLV_WIRE_NONE) {
            return error;
        }
        if (count == 0) {
            drop_batch(data, len, pos, header.size_bytes);
        } else {
            pos += header.size_bytes;
        }
    }
    return flv_wire_error(FLV_WIRE_NONE);
}

/* ---- staging ---- */

static struct flv_wire_error find_partition(struct produce *req,
                                            struct flv_slice name,
                                            uint32_t index,
                                            struct flv_topic **topic)
{
    struct flv_server *s = req->token.peer->server;
    struct flv_topic *t = flv_topics_find(&s->topics, name);
    if (!flv_peer_may(req->token.peer, FLV_RIGHT_PRODUCE, name)) {
        return flv_wire_error(FLV_WIRE_PERMISSION_DENIED);
    }
    if (t != NULL && t->state == FLV_TOPIC_DELETING && t->in_doubt) {
        /* It may be gone after the next start, and this with it. */
        return flv_wire_error(FLV_WIRE_STORAGE_ERROR);
    }
    if (t == NULL || t->state != FLV_TOPIC_ONLINE) {
        return flv_wire_error(FLV_WIRE_TOPIC_NOT_FOUND);
    }
    if (index >= t->partition_count) {
        return flv_wire_error(FLV_WIRE_NOT_LEADER_FOR_PARTITION);
    }
    if (flv_topic_is_own(t)) {
        return flv_wire_error_text(FLV_WIRE_OTHER,
                                   "this topic is written by the server "
                                   "alone");
    }
    *topic = t;
    return flv_wire_error(FLV_WIRE_NONE);
}

/* The same by way of what drops repeated records. */
static void deduplicate(struct produce *req,
                        struct entry *e,
                        struct flv_topic *t,
                        struct flv_chunk *frame,
                        struct flv_slice set)
{
    struct flv_dedups *dedups = &req->token.peer->server->dedups;
    struct flv_dedup_put *put =
        FLV_ARENA_NEW(&req->arena, struct flv_dedup_put, 1);
    struct flv_err err = {0};
    req->pending++;
    if (put != NULL) {
        put->frame = frame;
        put->at = (size_t)(set.data - frame->data);
        put->len = set.len;
        put->committed = req->committed;
        put->done = dedup_done;
        put->user = e;
    }
    if (put == NULL ||
        flv_dedup_add(dedups, t, e->result->partition, put, &err) != FLV_OK) {
        e->result->error = flv_wire_error(FLV_WIRE_SPU_ERROR); /* no memory */
        entry_over(e);
    }
}

/* Hands a checked record set to its partition. */
static void stage(struct produce *req,
                  struct entry *e,
                  struct flv_topic *t,
                  struct flv_chunk *frame,
                  uint8_t *data,
                  size_t len)
{
    if (t->spec.deduplication.has) {
        deduplicate(req, e, t, frame, flv_slice(data, len));
        return;
    }
    e->append.base.data = data;
    e->append.base.len = len;
    e->append.frame = frame;
    e->append.committed = req->committed;
    e->append.done = entry_done;
    req->pending++;
    flv_partition_append(t->partitions[e->result->partition], &e->append);
}

/* The frame is ours to change: offsets are patched where they lie. */
static uint8_t *in_frame(const struct produce *req, const struct entry *e)
{
    return req->frame->data + (size_t)(e->records.data - req->frame->data);
}

static void start_entry(struct produce *req, struct entry *e)
{
    struct flv_topic *t = NULL;
    struct flv_wire_error *error = &e->result->error;
    size_t len = e->records.len;
    *error = find_partition(req, e->topic, e->result->partition, &t);
    if (error->code != FLV_WIRE_NONE || len == 0) {
        return;
    }
    *error = check_set(req, t, in_frame(req, e), &len);
    if (error->code != FLV_WIRE_NONE || len == 0) {
        return;
    }
    stage(req, e, t, req->frame, in_frame(req, e), len);
}

/* The answer's shape: an entry for each of the request, in its order. */
static flv_rc shape(struct produce *req,
                    const struct flv_wire_produce_request *in,
                    size_t entries,
                    struct entry **out,
                    struct flv_err *err)
{
    struct flv_arena *arena = &req->arena;
    struct flv_wire_produce_topic_result *topics = FLV_ARENA_NEW(
        arena, struct flv_wire_produce_topic_result, in->topics.len + 1);
    *out = FLV_ARENA_NEW(arena, struct entry, entries + 1);
    if (topics == NULL || *out == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    struct entry *e = *out;
    for (uint32_t i = 0; i < in->topics.len; i++) {
        const struct flv_wire_produce_topic *topic = &in->topics.at[i];
        uint32_t n = topic->partitions.len;
        topics[i].name = topic->name;
        topics[i].partitions.len = n;
        topics[i].partitions.at =
            FLV_ARENA_NEW(arena, struct flv_wire_produce_result, n + 1);
        if (topics[i].partitions.at == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory");
        }
        for (uint32_t p = 0; p < n; p++) {
            topics[i].partitions.at[p].partition =
                topic->partitions.at[p].partition;
            e->request = req;
            e->topic = topic->name;
            e->records = topic->partitions.at[p].records;
            (e++)->result = &topics[i].partitions.at[p];
        }
    }
    req->response.topics.at = topics;
    req->response.topics.len = in->topics.len;
    return FLV_OK;
}

/* ---- SmartModules ---- */

static void serve_line(struct flv_peer *p);

static void refuse_all(struct produce *req, struct flv_wire_error error)
{
    for (size_t i = 0; i < req->entry_count; i++) {
        req->entries[i].result->error = error;
    }
}

/* All records of the request are staged, in order: the next one's turn. */
static void modules_over(struct produce *req)
{
    struct flv_peer *peer = flv_peer_ref(req->token.peer);
    flv_trouble_clear(&req->why);
    assert(req->pending > 0);
    peer->producing = NULL;
    if (--req->pending == 0) {
        produce_end(req);
    }
    serve_line(peer);
    flv_peer_unref(peer);
}

void flv_produce_left(struct flv_peer *p)
{
    if (p->producing == NULL) {
        return;
    }
    struct produce *req = FLV_OWNER_OF(p->producing, struct produce, job);
    if (req->preparing) {
        req->preparing = false;
        flv_plan_drop(req->plan);
        req->plan = NULL;
        modules_over(req);
    } else if (flv_cpu_cancel(&req->job)) {
        modules_over(req);
    }
}

static void entry_run(struct flv_cpu_job *j, struct flv_bench *b)
{
    struct produce *req = FLV_OWNER_OF(j, struct produce, job);
    const struct entry *e = &req->entries[req->entry_next];
    struct flv_sift_sets sets = {
        .chain = flv_plan_chain(req->plan, &j->cancel, &req->why),
        .batch_bytes_max = req->token.peer->server->conf.batch_bytes_max,
        .stop = &j->stop};
    if (sets.chain == NULL) {
        return;
    }
    if (flv_sift_set(&sets, flv_slice(in_frame(req, e), e->append.base.len), b,
                     &req->why) &&
        !flv_made_put(&req->made, in_frame(req, e), e->records.len, &b->out)) {
        flv_trouble_set(&req->why, FLV_WIRE_OTHER, "out of memory");
    }
    flv_sm_chain_destroy(sets.chain);
}

static void stage_made(struct produce *req, struct entry *e)
{
    struct flv_topic *t = NULL;
    struct flv_made *made = &req->made;
    struct flv_wire_error *error = &e->result->error;
    /* Looked up anew: much may have happened since. */
    *error = find_partition(req, e->topic, e->result->partition, &t);
    if (error->code != FLV_WIRE_NONE) {
        flv_chunk_unref(made->grown);
        made->grown = NULL;
        return;
    }
    if (made->grown == NULL) {
        stage(req, e, t, req->frame, in_frame(req, e), made->bytes);
    } else if (flv_made_charge(made, &req->token.peer->server->requests)) {
        e->grown = made->grown;
        made->grown = NULL;
        stage(req, e, t, e->grown, e->grown->data, made->bytes);
    } else {
        *error = flv_wire_error_text(FLV_WIRE_OTHER, FLV_MADE_NO_ROOM);
    }
}

static void next_entry(struct produce *req);

static void entry_made(struct flv_cpu_job *j, flv_rc rc)
{
    struct produce *req = FLV_OWNER_OF(j, struct produce, job);
    struct entry *e = &req->entries[req->entry_next];
    if (rc != FLV_OK) {
        flv_trouble_set(&req->why, FLV_WIRE_OTHER,
                        "no thread for SmartModules");
    }
    if (req->why.error.code != FLV_WIRE_NONE) {
        e->result->error = keep_error(req, &req->why);
    } else if (req->made.bytes > 0) {
        stage_made(req, e);
    }
    req->entry_next++;
    next_entry(req);
}

/* What our own clients number cannot be numbered behind a SmartModule. */
static bool has_stamp(struct flv_slice set)
{
    struct flv_slice batch;
    struct flv_batch_header h;
    while (flv_batch_walk(&set, &batch, &h, NULL) == FLV_OK && batch.len > 0) {
        if (h.producer_id != FLV_BATCH_NO_PRODUCER) {
            return true;
        }
    }
    return false;
}

/* Checks the record set as it came; its length afterwards, 0: nothing to do. */
static size_t check_entry(struct produce *req, struct entry *e)
{
    struct flv_topic *t = NULL;
    struct flv_wire_error *error = &e->result->error;
    size_t len = e->records.len;
    *error = find_partition(req, e->topic, e->result->partition, &t);
    if (error->code == FLV_WIRE_NONE && len > 0) {
        *error = check_set(req, t, in_frame(req, e), &len);
    }
    if (error->code == FLV_WIRE_NONE && len > 0 &&
        has_stamp(flv_slice(in_frame(req, e), len))) {
        *error = flv_wire_error_text(
            FLV_WIRE_OTHER,
            "batches that are numbered for exactly-once cannot pass "
            "SmartModules on the server; run the SmartModules in the "
            "producer");
    }
    return error->code == FLV_WIRE_NONE ? len : 0;
}

static void next_entry(struct produce *req)
{
    const struct flv_server *s = req->token.peer->server;
    for (; req->entry_next < req->entry_count; req->entry_next++) {
        struct entry *e = &req->entries[req->entry_next];
        if (s->phase >= FLV_SERVER_CLOSING ||
            flv_peer_is_closed(req->token.peer)) {
            e->result->error = flv_wire_error(FLV_WIRE_SPU_OFFLINE);
            continue;
        }
        size_t len = check_entry(req, e);
        if (len > 0) {
            e->append.base.len = len;
            req->made.bytes = 0;
            flv_cpu_submit(&req->job);
            return;
        }
    }
    modules_over(req);
}

static void prepared(void *ctx, struct flv_trouble *why)
{
    struct produce *req = ctx;
    req->preparing = false;
    if (why->error.code != FLV_WIRE_NONE) {
        refuse_all(req, keep_error(req, why));
        modules_over(req);
        return;
    }
    next_entry(req);
}

static void start_modules(struct produce *req,
                          const struct flv_wire_produce_request *in)
{
    struct flv_peer *peer = req->token.peer;
    struct flv_smart *smart = &peer->server->smart;
    assert(peer->producing == NULL);
    if (flv_peer_is_closed(peer)) { /* it waited in line until then */
        refuse_all(req, flv_wire_error(FLV_WIRE_SPU_OFFLINE));
        return;
    }
    peer->producing = &req->job;
    req->job.smart = smart;
    req->job.run = entry_run;
    req->job.done = entry_made;
    req->job.turn_ms = ENTRY_MS_MAX;
    req->pending++; /* until modules_over */
    req->plan = flv_plan_create(smart, in->smartmodules.at,
                                in->smartmodules.len, req->frame, &req->why);
    if (req->plan == NULL) {
        refuse_all(req, keep_error(req, &req->why));
        modules_over(req);
        return;
    }
    req->preparing = true;
    flv_plan_prepare(req->plan, prepared, req);
}

/* ---- requests ---- */

static void start_all(struct produce *req,
                      const struct flv_wire_produce_request *in)
{
    if (in->smartmodules.len > 0) {
        start_modules(req, in);
        return;
    }
    for (size_t i = 0; i < req->entry_count; i++) {
        start_entry(req, &req->entries[i]);
    }
}

static size_t count_entries(const struct flv_wire_produce_request *in)
{
    size_t n = 0;
    for (uint32_t i = 0; i < in->topics.len; i++) {
        n += in->topics.at[i].partitions.len;
    }
    return n;
}

/* Takes the token over, unless it fails. */
static flv_rc begin(const struct flv_token *token,
                    struct flv_chunk *frame,
                    const struct flv_wire_produce_request *in,
                    struct flv_err *err)
{
    size_t entries = count_entries(in);
    if (entries + in->topics.len > ENTRIES_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "a produce request of more than %d entries",
                        ENTRIES_MAX);
    }
    struct produce *req = flv_zalloc(1, sizeof *req);
    if (req == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_arena_init(&req->arena, 1024, REQUEST_ARENA_MAX);
    flv_rc rc = shape(req, in, entries, &req->entries, err);
    if (rc != FLV_OK) {
        flv_arena_deinit(&req->arena);
        flv_free(req);
        return rc;
    }
    req->token = *token;
    req->frame = flv_chunk_ref(frame);
    req->committed = in->acks < 0;
    req->entry_count = entries;
    req->pending = 1; /* this function */
    start_all(req, in);
    if (--req->pending == 0) {
        produce_end(req);
    }
    return FLV_OK;
}

static void serve_waiting(struct flv_produce_wait *w)
{
    struct flv_peer *p = w->token.peer;
    struct flv_arena *arena = &p->server->arena;
    struct flv_wire_produce_request in;
    struct flv_err err = {0};
    flv_rc rc = flv_wire_produce_request_decode(w->token.head.version, &w->body,
                                                arena, &in, &err);
    if (rc == FLV_OK) {
        rc = begin(&w->token, w->frame, &in, &err);
    }
    flv_arena_reset(arena);
    if (rc != FLV_OK) {
        flv_peer_close(p, err.text);
        flv_token_drop(&w->token);
    }
    flv_chunk_unref(w->frame);
    flv_free(w);
}

static void serve_line(struct flv_peer *p)
{
    struct flv_produce_wait *w;
    if (p->produce_serving) {
        return; /* whoever does goes on */
    }
    p->produce_serving = true;
    while (p->producing == NULL &&
           (w = STAILQ_FIRST(&p->produce_line)) != NULL) {
        STAILQ_REMOVE_HEAD(&p->produce_line, link);
        serve_waiting(w);
    }
    p->produce_serving = false;
}

static flv_rc wait_in_line(struct flv_request *r, struct flv_err *err)
{
    struct flv_produce_wait *w = flv_zalloc(1, sizeof *w);
    if (w == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    w->token = flv_peer_hold(r);
    w->frame = flv_chunk_ref(r->frame);
    w->body = r->body;
    STAILQ_INSERT_TAIL(&r->peer->produce_line, w, link);
    return FLV_OK;
}

flv_rc flv_produce_serve(struct flv_request *r, struct flv_err *err)
{
    struct flv_wire_produce_request in;
    const struct flv_peer *p = r->peer;
    if (p->producing != NULL || p->produce_serving ||
        !STAILQ_EMPTY(&p->produce_line)) {
        return wait_in_line(r, err);
    }
    flv_rc rc = flv_wire_produce_request_decode(
        r->head.version, &r->body, &r->peer->server->arena, &in, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct flv_token token = flv_peer_hold(r);
    rc = begin(&token, r->frame, &in, err);
    if (rc != FLV_OK) {
        flv_token_drop(&token);
    }
    return rc;
}
