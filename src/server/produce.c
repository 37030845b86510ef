#include "server/service.h"

#include "base/arena.h"
#include "base/mem.h"
#include "server/state.h"
#include "wire/batch.h"

#include <assert.h>
#include <string.h>

/* No client comes near these; a frame of empty entries would. */
#define ENTRIES_MAX 16384
#define REQUEST_ARENA_MAX ((size_t)64 << 20)

/* One request while its record sets are on their way to disk. */
struct produce {
    struct flv_token token;
    struct flv_chunk *frame; /* owned reference: names and records */
    struct flv_arena arena;  /* owned: everything below, this struct not */
    struct flv_wire_produce_response response;
    uint32_t pending;
    bool committed; /* acks */
};

struct entry {
    struct flv_part_append append; /* first */
    struct produce *request;
    struct flv_slice topic; /* borrowed: in the frame */
    struct flv_wire_produce_result *result;
};

/* ---- the answer ---- */

static void produce_end(struct produce *req)
{
    flv_token_answer(&req->token, &flv_wire_produce_response_schema,
                     &req->response, NULL);
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

static void
entry_done(struct flv_part_append *a, flv_rc rc, const struct flv_err *err)
{
    struct entry *e = (struct entry *)a;
    struct produce *req = e->request;
    if (rc == FLV_OK) {
        e->result->base_offset = a->base.base_offset;
    } else {
        e->result->error = store_error(e, rc, err);
    }
    assert(req->pending > 0);
    if (--req->pending == 0) {
        produce_end(req);
    }
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
                                            struct flv_topic **topic,
                                            struct flv_partition **partition)
{
    struct flv_server *s = req->token.peer->server;
    struct flv_topic *t = flv_topics_find(&s->topics, name);
    if (t == NULL || t->state != FLV_TOPIC_ONLINE) {
        return flv_wire_error(FLV_WIRE_TOPIC_NOT_FOUND);
    }
    if (index >= t->partition_count) {
        return flv_wire_error(FLV_WIRE_NOT_LEADER_FOR_PARTITION);
    }
    if (t->spec.system) {
        return flv_wire_error_text(FLV_WIRE_OTHER,
                                   "system topics are written by the server "
                                   "alone");
    }
    *topic = t;
    *partition = t->partitions[index];
    return flv_wire_error(FLV_WIRE_NONE);
}

static void start_entry(struct produce *req,
                        struct flv_slice topic,
                        const struct flv_wire_produce_partition *in,
                        struct entry *e)
{
    struct flv_topic *t = NULL;
    struct flv_partition *p = NULL;
    struct flv_wire_error *error = &e->result->error;
    size_t len = in->records.len;
    *error = find_partition(req, topic, in->partition, &t, &p);
    if (error->code != FLV_WIRE_NONE || len == 0) {
        return;
    }
    /* The frame is ours to change: offsets are patched where they lie. */
    uint8_t *data =
        req->frame->data + (size_t)(in->records.data - req->frame->data);
    *error = check_set(req, t, data, &len);
    if (error->code != FLV_WIRE_NONE || len == 0) {
        return;
    }
    e->request = req;
    e->topic = topic;
    e->append.base.data = data;
    e->append.base.len = len;
    e->append.frame = req->frame;
    e->append.committed = req->committed;
    e->append.done = entry_done;
    req->pending++;
    flv_partition_append(p, &e->append);
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
            (e++)->result = &topics[i].partitions.at[p];
        }
    }
    req->response.topics.at = topics;
    req->response.topics.len = in->topics.len;
    return FLV_OK;
}

static void start_all(struct produce *req,
                      const struct flv_wire_produce_request *in,
                      struct entry *e)
{
    for (uint32_t i = 0; i < in->topics.len; i++) {
        const struct flv_wire_produce_topic *topic = &in->topics.at[i];
        for (uint32_t p = 0; p < topic->partitions.len; p++, e++) {
            if (in->smartmodules.len > 0) {
                e->result->error = flv_wire_error_text(
                    FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR,
                    "SmartModules are not run by this version of "
                    "fluvio-server");
                continue;
            }
            start_entry(req, topic->name, &topic->partitions.at[p], e);
        }
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

flv_rc flv_produce_serve(struct flv_request *r, struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    struct flv_wire_produce_request in;
    flv_rc rc = flv_wire_produce_request_decode(r->head.version, &r->body,
                                                &s->arena, &in, err);
    if (rc != FLV_OK) {
        return rc;
    }
    size_t entries = count_entries(&in);
    if (entries + in.topics.len > ENTRIES_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "a produce request of more than %d entries",
                        ENTRIES_MAX);
    }
    struct produce *req = flv_zalloc(1, sizeof *req);
    if (req == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    struct entry *e = NULL;
    flv_arena_init(&req->arena, 1024, REQUEST_ARENA_MAX);
    rc = shape(req, &in, entries, &e, err);
    if (rc != FLV_OK) {
        flv_arena_deinit(&req->arena);
        flv_free(req);
        return rc;
    }
    req->token = flv_peer_hold(r);
    req->frame = flv_chunk_ref(r->frame);
    req->committed = in.acks < 0;
    req->pending = 1; /* this function */
    start_all(req, &in, e);
    if (--req->pending == 0) {
        produce_end(req);
    }
    return FLV_OK;
}
