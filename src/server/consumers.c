#include "server/service.h"

#include "base/clock.h"
#include "base/mem.h"
#include "server/state.h"
#include "server/stream.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Rows of one answer: far more than a cluster of one node has consumers. */
#define ROWS_MAX 100000
#define ROWS_ARENA_MAX ((size_t)64 << 20)

/* ---- fetch offsets (1002) ---- */

struct fetch {
    struct flv_offset_ask ask; /* first */
    struct flv_token token;
    struct flv_chunk *frame; /* owned reference: names */
    struct flv_arena arena;  /* owned: response */
    struct flv_wire_fetch_offsets_response out;
};

static flv_rc fill_topic(const struct flv_server *s,
                         const struct flv_wire_offsets_topic *in,
                         struct flv_arena *arena,
                         struct flv_wire_offsets_topic_result *out,
                         struct flv_err *err)
{
    out->name = in->name;
    out->partitions.len = in->partitions.len;
    out->partitions.at = FLV_ARENA_NEW(arena, struct flv_wire_offsets_partition,
                                       in->partitions.len + 1);
    if (out->partitions.at == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < in->partitions.len; i++) {
        struct flv_wire_offsets_partition *o = &out->partitions.at[i];
        const struct flv_partition *p = flv_topics_partition(
            &s->topics, in->name, in->partitions.at[i], NULL);
        o->partition = in->partitions.at[i];
        if (p == NULL || flv_partition_state(p) != FLV_PART_ONLINE) {
            o->error = flv_wire_error(FLV_WIRE_PARTITION_NOT_LEADER);
            o->start_offset = -1;
            o->last_stable_offset = -1;
            continue;
        }
        o->start_offset = flv_partition_start(p);
        /* What was acknowledged counts, also where a page-cache topic has not
         * synced it yet: a reader "to the end" must not stop before it. */
        o->last_stable_offset = flv_partition_end(p, FLV_READ_UNCOMMITTED);
    }
    return FLV_OK;
}

static flv_rc fill(const struct flv_server *s,
                   const struct flv_wire_fetch_offsets_request *in,
                   struct flv_arena *arena,
                   struct flv_wire_fetch_offsets_response *out,
                   struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    out->topics.at = FLV_ARENA_NEW(arena, struct flv_wire_offsets_topic_result,
                                   in->topics.len + 1);
    if (out->topics.at == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    out->topics.len = in->topics.len;
    for (uint32_t i = 0; i < in->topics.len && rc == FLV_OK; i++) {
        rc = fill_topic(s, &in->topics.at[i], arena, &out->topics.at[i], err);
    }
    return rc;
}

/* The consumer's own place takes that of the log's start. */
static void apply_row(const struct flv_server *s,
                      struct flv_wire_fetch_offsets_response *out,
                      const struct flv_offset_row *row)
{
    const struct flv_topic *t = flv_topics_by_id(&s->topics, row->topic_id);
    for (uint32_t i = 0; t != NULL && i < out->topics.len; i++) {
        struct flv_wire_offsets_topic_result *topic = &out->topics.at[i];
        if (!flv_slice_eq_str(topic->name, t->name)) {
            continue;
        }
        for (uint32_t p = 0; p < topic->partitions.len; p++) {
            if (topic->partitions.at[p].partition == row->partition) {
                topic->partitions.at[p].start_offset = row->offset + 1;
            }
        }
    }
}

static void fetch_end(struct fetch *f)
{
    flv_token_answer(&f->token, &flv_wire_fetch_offsets_response_schema,
                     &f->out, NULL);
    flv_chunk_unref(f->frame);
    flv_arena_deinit(&f->arena);
    flv_free(f);
}

static void fetch_asked(struct flv_offset_ask *ask)
{
    struct fetch *f = (struct fetch *)ask;
    const struct flv_server *s = f->token.peer->server;
    for (uint32_t i = 0; ask->rc != FLV_OK && i < f->out.topics.len; i++) {
        struct flv_wire_offsets_topic_result *topic = &f->out.topics.at[i];
        for (uint32_t p = 0; p < topic->partitions.len; p++) {
            topic->partitions.at[p].error =
                flv_wire_error_text(FLV_WIRE_OTHER, ask->err.text);
        }
    }
    for (size_t i = 0; ask->rc == FLV_OK && i < ask->count; i++) {
        apply_row(s, &f->out, &ask->rows[i]);
    }
    fetch_end(f);
}

static flv_rc bad_name(struct flv_err *err)
{
    return flv_fail(err, FLV_E_PROTOCOL, "a consumer name has 1 to %d bytes",
                    FLV_CONSUMER_NAME_MAX);
}

static flv_rc serve_fetch_offsets(struct flv_request *r, struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    struct flv_wire_fetch_offsets_request in;
    struct fetch *f = flv_zalloc(1, sizeof *f);
    if (f == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_arena_init(&f->arena, 1024, ROWS_ARENA_MAX);
    flv_rc rc = flv_wire_fetch_offsets_request_decode(r->head.version, &r->body,
                                                      &f->arena, &in, err);
    if (rc == FLV_OK) {
        rc = fill(s, &in, &f->arena, &f->out, err);
    }
    if (rc == FLV_OK && in.consumer_id.has &&
        in.consumer_id.v.len > FLV_CONSUMER_NAME_MAX) {
        rc = bad_name(err);
    }
    if (rc != FLV_OK) {
        flv_arena_deinit(&f->arena);
        flv_free(f);
        return rc;
    }
    f->token = flv_peer_hold(r);
    f->frame = flv_chunk_ref(r->frame);
    if (!in.consumer_id.has || in.consumer_id.v.len == 0) {
        fetch_end(f);
        return FLV_OK;
    }
    memcpy(f->ask.name, in.consumer_id.v.data, in.consumer_id.v.len);
    f->ask.query.consumer = flv_slice(f->ask.name, in.consumer_id.v.len);
    f->ask.max = ROWS_MAX;
    f->ask.done = fetch_asked;
    flv_offsets_query(&s->offsets, &f->ask);
    return FLV_OK;
}

/* ---- update (1006) and delete (1007) ---- */

struct change {
    struct flv_offset_op op; /* first */
    struct flv_token token;
};

static struct change *change_new(const struct flv_request *r,
                                 struct flv_slice name)
{
    struct change *c = flv_zalloc(1, sizeof *c);
    if (c != NULL) {
        assert(name.len <= FLV_CONSUMER_NAME_MAX);
        memcpy(c->op.name, name.data, name.len);
        c->op.change.row.consumer = flv_slice(c->op.name, name.len);
        c->token = flv_peer_hold(r);
    }
    return c;
}

static void
answer_update(struct flv_token *t, int64_t offset, struct flv_wire_error error)
{
    struct flv_wire_update_consumer_offset_response out = {.offset = offset,
                                                           .error = error};
    flv_wire_error_downgrade(&out.error, FLV_WIRE_SPU, t->head.version);
    flv_token_answer(t, &flv_wire_update_consumer_offset_response_schema, &out,
                     NULL);
}

static void update_done(struct flv_offset_op *op,
                        flv_rc rc,
                        bool found,
                        const struct flv_err *err)
{
    struct change *c = (struct change *)op;
    struct flv_wire_error error = flv_wire_error(FLV_WIRE_NONE);
    if (rc != FLV_OK) {
        error =
            flv_wire_error_text(FLV_WIRE_OFFSET_FLUSH_REQUEST_ERROR, err->text);
    } else if (!found) {
        error = flv_wire_error(FLV_WIRE_TOPIC_NOT_FOUND);
    }
    answer_update(&c->token, op->change.row.offset, error);
    flv_free(c);
}

static flv_rc serve_update(struct flv_request *r, struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    struct flv_wire_update_consumer_offset_request in;
    flv_rc rc = flv_wire_update_consumer_offset_request_decode(
        r->head.version, &r->body, &s->arena, &in, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct flv_stream_consumer consumer;
    bool known = flv_stream_consumer(r->peer, in.stream_id, &consumer);
    if (!known || consumer.name == NULL) {
        struct flv_token t = flv_peer_hold(r);
        answer_update(&t, in.offset,
                      known ? flv_wire_error_text(
                                  FLV_WIRE_OTHER,
                                  "the stream was opened without a consumer "
                                  "name")
                            : flv_wire_error(FLV_WIRE_FETCH_SESSION_NOT_FOUND));
        return FLV_OK;
    }
    if (in.offset < -1 || in.offset == INT64_MAX) {
        struct flv_token t = flv_peer_hold(r);
        answer_update(&t, in.offset,
                      flv_wire_error_text(FLV_WIRE_OTHER,
                                          "this cannot be the offset of a "
                                          "record"));
        return FLV_OK;
    }
    struct change *c = change_new(r, flv_slice_str(consumer.name));
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    c->op.change.row.topic_id = consumer.topic_id;
    c->op.change.row.partition = consumer.partition;
    c->op.change.row.offset = in.offset;
    c->op.change.row.modified_s = flv_clock_wall_ms() / 1000;
    c->op.done = update_done;
    flv_offsets_change(&s->offsets, &c->op);
    return FLV_OK;
}

/* ---- a position bound to the creation of its topic ---- */

void flv_topic_creation(const struct flv_server *s,
                        uint64_t topic_id,
                        char out[FLV_WIRE_TOPIC_ID_MAX + 1])
{
    (void)snprintf(out, FLV_WIRE_TOPIC_ID_MAX + 1, "%016" PRIx64 "-%" PRIu64,
                   s->store_id, topic_id);
}

static void store_done(struct flv_offset_op *op,
                       flv_rc rc,
                       bool found,
                       const struct flv_err *err)
{
    struct change *c = (struct change *)op;
    struct flv_wire_error error = flv_wire_error(FLV_WIRE_NONE);
    if (rc != FLV_OK) {
        error =
            flv_wire_error_text(FLV_WIRE_OFFSET_FLUSH_REQUEST_ERROR, err->text);
    } else if (!found) {
        error = flv_wire_error(FLV_WIRE_TOPIC_NOT_FOUND);
    }
    flv_status_answer(&c->token, op->change.row.consumer, error, NULL);
    flv_free(c);
}

/* The topic of that name, if it is still of that creation and has the
 * partition. */
static const struct flv_topic *
same_topic(const struct flv_server *s, const struct flv_wire_position_store *in)
{
    struct flv_topic *t = NULL;
    char id[FLV_WIRE_TOPIC_ID_MAX + 1];
    if (flv_topics_partition(&s->topics, in->topic, in->partition, &t) ==
        NULL) {
        return NULL;
    }
    flv_topic_creation(s, t->id, id);
    return flv_slice_eq_str(in->topic_id, id) ? t : NULL;
}

flv_rc flv_position_store_serve(struct flv_request *r, struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    struct flv_wire_position_store in;
    flv_rc rc = flv_wire_position_store_decode(r->head.version, &r->body,
                                               &s->arena, &in, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (in.consumer.len == 0 || in.consumer.len > FLV_CONSUMER_NAME_MAX) {
        return bad_name(err);
    }
    if (in.offset < -1 || in.offset == INT64_MAX) {
        return flv_fail(err, FLV_E_PROTOCOL, "an offset of %lld is below -1",
                        (long long)in.offset);
    }
    bool may = flv_peer_may(r->peer, FLV_RIGHT_CONSUME, in.topic);
    const struct flv_topic *t = may ? same_topic(s, &in) : NULL;
    if (t == NULL) {
        struct flv_token token = flv_peer_hold(r);
        flv_status_answer(&token, in.consumer,
                          flv_wire_error(may ? FLV_WIRE_TOPIC_NOT_FOUND
                                             : FLV_WIRE_PERMISSION_DENIED),
                          may ? NULL : FLV_SERVICE_NO_RIGHT);
        return FLV_OK;
    }
    struct change *c = change_new(r, in.consumer);
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    c->op.change.row.topic_id = t->id;
    c->op.change.row.partition = in.partition;
    c->op.change.row.offset = in.offset;
    c->op.change.row.modified_s = flv_clock_wall_ms() / 1000;
    c->op.done = store_done;
    flv_offsets_change(&s->offsets, &c->op);
    return FLV_OK;
}

static void answer_delete(struct flv_token *t, struct flv_wire_error error)
{
    struct flv_wire_delete_consumer_offset_response out = {.error = error};
    flv_wire_error_downgrade(&out.error, FLV_WIRE_SPU, t->head.version);
    flv_token_answer(t, &flv_wire_delete_consumer_offset_response_schema, &out,
                     NULL);
}

static void delete_done(struct flv_offset_op *op,
                        flv_rc rc,
                        bool found,
                        const struct flv_err *err)
{
    struct change *c = (struct change *)op;
    (void)found; /* a consumer that was never there is gone as well */
    answer_delete(&c->token, rc == FLV_OK ? flv_wire_error(FLV_WIRE_NONE)
                                          : flv_wire_error_text(FLV_WIRE_OTHER,
                                                                err->text));
    flv_free(c);
}

static flv_rc serve_delete(struct flv_request *r, struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    struct flv_wire_delete_consumer_offset_request in;
    flv_rc rc = flv_wire_delete_consumer_offset_request_decode(
        r->head.version, &r->body, &s->arena, &in, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (in.consumer_id.len > FLV_CONSUMER_NAME_MAX) {
        return bad_name(err);
    }
    struct flv_topic *t = NULL;
    if (!flv_peer_may(r->peer, FLV_RIGHT_CONSUME, in.replica.topic)) {
        struct flv_token token = flv_peer_hold(r);
        answer_delete(&token, flv_wire_error(FLV_WIRE_PERMISSION_DENIED));
        return FLV_OK;
    }
    if (flv_topics_partition(&s->topics, in.replica.topic, in.replica.partition,
                             &t) == NULL) {
        struct flv_token token = flv_peer_hold(r);
        answer_delete(&token, flv_wire_error(FLV_WIRE_TOPIC_NOT_FOUND));
        return FLV_OK;
    }
    struct change *c = change_new(r, in.consumer_id);
    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    c->op.change.remove = true;
    c->op.change.row.topic_id = t->id;
    c->op.change.row.partition = in.replica.partition;
    c->op.done = delete_done;
    flv_offsets_change(&s->offsets, &c->op);
    return FLV_OK;
}

/* ---- fetch consumer offsets (1008) ---- */

struct list {
    struct flv_offset_ask ask; /* first */
    struct flv_token token;
};

static flv_rc fill_rows(const struct flv_server *s,
                        const struct flv_offset_ask *ask,
                        struct flv_arena *arena,
                        struct flv_wire_fetch_consumer_offsets_response *out,
                        struct flv_err *err)
{
    out->consumers.at =
        FLV_ARENA_NEW(arena, struct flv_wire_consumer_offset, ask->count + 1);
    if (out->consumers.at == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < ask->count; i++) {
        const struct flv_offset_row *row = &ask->rows[i];
        const struct flv_topic *t = flv_topics_by_id(&s->topics, row->topic_id);
        if (t == NULL) {
            continue; /* deleted while we asked */
        }
        out->consumers.at[out->consumers.len++] =
            (struct flv_wire_consumer_offset){
                .consumer_id = row->consumer,
                .replica = {.topic = flv_slice_str(t->name),
                            .partition = row->partition},
                .offset = row->offset,
                .modified_time_s = (uint64_t)row->modified_s};
    }
    return FLV_OK;
}

static void list_asked(struct flv_offset_ask *ask)
{
    struct list *l = (struct list *)ask;
    struct flv_arena arena;
    flv_arena_init(&arena, 4096, ROWS_ARENA_MAX);
    struct flv_wire_fetch_consumer_offsets_response out = {0};
    struct flv_err err = ask->err;
    if (ask->rc != FLV_OK ||
        fill_rows(l->token.peer->server, ask, &arena, &out, &err) != FLV_OK) {
        out.consumers.len = 0;
        out.error = flv_wire_error_text(FLV_WIRE_OTHER, err.text);
    }
    flv_token_answer(&l->token,
                     &flv_wire_fetch_consumer_offsets_response_schema, &out,
                     NULL);
    flv_arena_deinit(&arena);
    flv_free(l);
}

/* The question that the filter means; false: about nothing that exists. */
static bool narrow(const struct flv_server *s,
                   const struct flv_wire_consumer_filter *filter,
                   struct flv_offset_ask *ask)
{
    if (filter->replica.has) {
        struct flv_topic *t = NULL;
        if (flv_topics_partition(&s->topics, filter->replica.v.topic,
                                 filter->replica.v.partition, &t) == NULL) {
            return false;
        }
        ask->query.topic_id = t->id;
        ask->query.partition = filter->replica.v.partition;
    }
    if (filter->consumer_id.has) {
        struct flv_slice name = filter->consumer_id.v;
        if (name.len == 0 || name.len > FLV_CONSUMER_NAME_MAX) {
            return false;
        }
        memcpy(ask->name, name.data, name.len);
        ask->query.consumer = flv_slice(ask->name, name.len);
    }
    return true;
}

static flv_rc serve_list(struct flv_request *r, struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    struct flv_wire_fetch_consumer_offsets_request in;
    flv_rc rc = flv_wire_fetch_consumer_offsets_request_decode(
        r->head.version, &r->body, &s->arena, &in, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct list *l = flv_zalloc(1, sizeof *l);
    if (l == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    l->token = flv_peer_hold(r);
    l->ask.max = ROWS_MAX;
    l->ask.done = list_asked;
    if (in.filter.has && !narrow(s, &in.filter.v, &l->ask)) {
        list_asked(&l->ask);
        return FLV_OK;
    }
    flv_offsets_query(&s->offsets, &l->ask);
    return FLV_OK;
}

/* ---- dispatch ---- */

flv_rc flv_consumer_offsets_serve(struct flv_request *r, struct flv_err *err)
{
    switch (r->head.api_key) {
    case FLV_API_SPU_FETCH_OFFSETS:
        return serve_fetch_offsets(r, err);
    case FLV_API_SPU_UPDATE_CONSUMER_OFFSET:
        return serve_update(r, err);
    case FLV_API_SPU_DELETE_CONSUMER_OFFSET:
        return serve_delete(r, err);
    default:
        assert(r->head.api_key == FLV_API_SPU_FETCH_CONSUMER_OFFSETS);
        return serve_list(r, err);
    }
}
