#include "server/watch.h"

#include "base/mem.h"
#include "server/objects.h"
#include "server/state.h"
#include "wire/sc.h"

#include <assert.h>

/* A client with more unread bytes than this gets no more changes. */
#define BEHIND_BYTES ((size_t)1 << 20)
#define FRAME_ARENA_MAX ((size_t)64 << 20)

/* ---- frames ---- */

/* The kinds of objects that watches are fed with. */
union frame {
    struct flv_wire_topic_watch topic;
    struct flv_wire_partition_watch partition;
    struct flv_wire_spu_watch spu;
    struct flv_wire_table_format_watch format;
    struct flv_wire_smartmodule_watch module; /* and for all others, empty */
};

static const struct flv_wire_schema *schema_of(enum flv_wire_object object)
{
    switch (object) {
    case FLV_WIRE_TOPIC:
        return &flv_wire_topic_watch_schema;
    case FLV_WIRE_PARTITION:
        return &flv_wire_partition_watch_schema;
    case FLV_WIRE_SPU_OBJECT:
        return &flv_wire_spu_watch_schema;
    case FLV_WIRE_TABLE_FORMAT:
        return &flv_wire_table_format_watch_schema;
    default:
        return &flv_wire_smartmodule_watch_schema;
    }
}

static bool push(const struct flv_watch *w, const union frame *frame)
{
    const struct flv_wire_message message = {
        .schema = schema_of(w->object),
        .body = frame,
        .label = flv_wire_object_label(w->object)};
    return flv_peer_push(w->peer, &w->head, &message);
}

static flv_rc no_memory(struct flv_err *err)
{
    return flv_fail(err, FLV_E_NOMEM, "out of memory");
}

static flv_rc all_topics(const struct flv_server *s,
                         struct flv_arena *arena,
                         struct flv_wire_topic_watch *out,
                         struct flv_err *err)
{
    out->all.at =
        FLV_ARENA_NEW(arena, struct flv_wire_topic, s->topics.len + 1);
    if (out->all.at == NULL) {
        return no_memory(err);
    }
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < s->topics.len && rc == FLV_OK; i++) {
        const struct flv_topic *t = s->topics.sorted[i];
        if (t->state != FLV_TOPIC_CREATING) {
            rc = flv_object_topic(t, arena, &out->all.at[out->all.len++], err);
        }
    }
    return rc;
}

static flv_rc all_partitions(const struct flv_server *s,
                             struct flv_arena *arena,
                             struct flv_wire_partition_watch *out,
                             struct flv_err *err)
{
    out->all.at = FLV_ARENA_NEW(arena, struct flv_wire_partition,
                                s->topics.partition_count + 1);
    if (out->all.at == NULL) {
        return no_memory(err);
    }
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < s->topics.len; i++) {
        const struct flv_topic *t = s->topics.sorted[i];
        if (t->state == FLV_TOPIC_CREATING) {
            continue;
        }
        for (uint32_t p = 0; p < t->partition_count && rc == FLV_OK; p++) {
            assert(out->all.len <= s->topics.partition_count);
            rc = flv_object_partition(t, p, arena, &out->all.at[out->all.len++],
                                      err);
        }
    }
    return rc;
}

static flv_rc all_spus(const struct flv_server *s,
                       struct flv_arena *arena,
                       struct flv_wire_spu_watch *out,
                       struct flv_err *err)
{
    out->all.at = FLV_ARENA_NEW(arena, struct flv_wire_spu, 1);
    if (out->all.at == NULL) {
        return no_memory(err);
    }
    out->all.len = 1;
    return flv_object_spu(s, arena, out->all.at, err);
}

static flv_rc all_modules(const struct flv_server *s,
                          struct flv_arena *arena,
                          struct flv_wire_smartmodule_watch *out,
                          struct flv_err *err)
{
    out->all.at =
        FLV_ARENA_NEW(arena, struct flv_wire_smartmodule, s->modules.len + 1);
    if (out->all.at == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < s->modules.len; i++) {
        out->all.at[out->all.len++] = flv_object_module(s->modules.sorted[i]);
    }
    return FLV_OK;
}

static flv_rc all_formats(const struct flv_server *s,
                          struct flv_arena *arena,
                          struct flv_wire_table_format_watch *out,
                          struct flv_err *err)
{
    out->all.at =
        FLV_ARENA_NEW(arena, struct flv_wire_table_format, s->formats.len + 1);
    if (out->all.at == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < s->formats.len; i++) {
        out->all.at[out->all.len++] = flv_object_format(s->formats.sorted[i]);
    }
    return FLV_OK;
}

static flv_rc send_all(struct flv_watch *w, struct flv_err *err)
{
    const struct flv_server *s = w->peer->server;
    struct flv_arena arena;
    flv_arena_init(&arena, 4096, FRAME_ARENA_MAX);
    union frame frame = {0};
    flv_rc rc = FLV_OK;
    frame.module.epoch = s->epoch;
    switch (w->object) {
    case FLV_WIRE_TOPIC:
        rc = all_topics(s, &arena, &frame.topic, err);
        break;
    case FLV_WIRE_PARTITION:
        rc = all_partitions(s, &arena, &frame.partition, err);
        break;
    case FLV_WIRE_SPU_OBJECT:
        rc = all_spus(s, &arena, &frame.spu, err);
        break;
    case FLV_WIRE_SMARTMODULE:
        rc = all_modules(s, &arena, &frame.module, err);
        break;
    case FLV_WIRE_TABLE_FORMAT:
        rc = all_formats(s, &arena, &frame.format, err);
        break;
    default:
        break; /* objects that this server does not have */
    }
    if (rc == FLV_OK) {
        w->behind = false;
        push(w, &frame);
    }
    flv_arena_deinit(&arena);
    return rc;
}

/* ---- life ---- */

flv_rc flv_watch_start(const struct flv_request *r,
                       enum flv_wire_object object,
                       struct flv_err *err)
{
    struct flv_peer *p = r->peer;
    if (p->watch_count >= FLV_WATCHES_PER_PEER_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "more than %d watches on one connection",
                        FLV_WATCHES_PER_PEER_MAX);
    }
    struct flv_watch *w = flv_zalloc(1, sizeof *w);
    if (w == NULL) {
        return no_memory(err);
    }
    w->peer = p;
    w->head = r->head;
    w->head.client_id = flv_slice(NULL, 0);
    w->object = object;
    LIST_INSERT_HEAD(&p->watches, w, of_peer);
    LIST_INSERT_HEAD(&p->server->watchers, w, of_server);
    p->watch_count++;
    return send_all(w, err);
}

void flv_watch_end_all(struct flv_peer *p)
{
    struct flv_watch *w;
    while ((w = LIST_FIRST(&p->watches)) != NULL) {
        LIST_REMOVE(w, of_peer);
        LIST_REMOVE(w, of_server);
        p->watch_count--;
        flv_free(w);
    }
}

void flv_watch_catch_up(struct flv_peer *p)
{
    struct flv_watch *w;
    LIST_FOREACH(w, &p->watches, of_peer)
    {
        if (!w->behind || flv_peer_backlog(p) > BEHIND_BYTES / 2) {
            continue;
        }
        struct flv_err err = {0};
        if (send_all(w, &err) != FLV_OK) {
            flv_peer_close(p, err.text);
        }
        if (flv_peer_is_closed(p)) {
            return; /* its watches are gone */
        }
    }
}

/* ---- changes ---- */

/* To every watcher of that object; one that ends on the way takes all
 * watches of its connection along, so the walk begins anew then. */
static void broadcast(struct flv_server *s,
                      enum flv_wire_object object,
                      const union frame *frame)
{
    struct flv_watch *w = LIST_FIRST(&s->watchers);
    while (w != NULL) {
        struct flv_watch *next = LIST_NEXT(w, of_server);
        if (w->object == object && flv_peer_backlog(w->peer) > BEHIND_BYTES) {
            w->behind = true;
        } else if (w->object == object && !w->behind && !push(w, frame)) {
            /* Those before this one have the frame already; getting it twice
             * does no harm, since changes replace. */
            next = LIST_FIRST(&s->watchers);
        }
        w = next;
    }
}

static void partitions_changed(struct flv_server *s,
                               const struct flv_topic *t,
                               uint32_t first,
                               bool deleted,
                               struct flv_arena *arena)
{
    uint32_t n = t->partition_count - first;
    union frame frame = {0};
    struct flv_wire_partition_watch *body = &frame.partition;
    body->epoch = s->epoch;
    body->changes.at =
        FLV_ARENA_NEW(arena, struct flv_wire_partition_change, n);
    for (uint32_t i = 0; i < n && body->changes.at != NULL; i++) {
        struct flv_wire_partition_change *c = &body->changes.at[i];
        c->kind = deleted ? FLV_WIRE_CHANGE_DELETE : FLV_WIRE_CHANGE_UPDATE;
        if (flv_object_partition(t, first + i, arena, &c->item, NULL) !=
            FLV_OK) {
            return;
        }
        flv_partition_take_changed(t->partitions[first + i]);
        body->changes.len++;
    }
    if (body->changes.len > 0) {
        broadcast(s, FLV_WIRE_PARTITION, &frame);
    }
}

static void topic_changed(struct flv_server *s,
                          const struct flv_topic *t,
                          bool deleted,
                          struct flv_arena *arena)
{
    struct flv_wire_topic_change change = {
        .kind = deleted ? FLV_WIRE_CHANGE_DELETE : FLV_WIRE_CHANGE_UPDATE};
    union frame frame = {0};
    frame.topic.epoch = s->epoch;
    frame.topic.changes.at = &change;
    frame.topic.changes.len = 1;
    if (flv_object_topic(t, arena, &change.item, NULL) == FLV_OK) {
        broadcast(s, FLV_WIRE_TOPIC, &frame);
    }
}

void flv_watch_topic(struct flv_server *s,
                     const struct flv_topic *t,
                     uint32_t first,
                     bool deleted)
{
    s->epoch++;
    if (LIST_EMPTY(&s->watchers)) {
        return;
    }
    struct flv_arena arena;
    flv_arena_init(&arena, 4096, FRAME_ARENA_MAX);
    if (deleted) {
        partitions_changed(s, t, first, true, &arena);
        topic_changed(s, t, true, &arena);
    } else {
        topic_changed(s, t, false, &arena);
        partitions_changed(s, t, first, false, &arena);
    }
    flv_arena_deinit(&arena);
}

void flv_watch_module(struct flv_server *s,
                      const struct flv_module *m,
                      bool deleted)
{
    struct flv_wire_smartmodule_change change = {
        .kind = deleted ? FLV_WIRE_CHANGE_DELETE : FLV_WIRE_CHANGE_UPDATE,
        .item = flv_object_module(m)};
    union frame frame = {0};
    s->epoch++;
    frame.module.epoch = s->epoch;
    frame.module.changes.at = &change;
    frame.module.changes.len = 1;
    broadcast(s, FLV_WIRE_SMARTMODULE, &frame);
}

void flv_watch_format(struct flv_server *s,
                      const struct flv_format *f,
                      bool deleted)
{
    struct flv_wire_table_format_change change = {
        .kind = deleted ? FLV_WIRE_CHANGE_DELETE : FLV_WIRE_CHANGE_UPDATE,
        .item = flv_object_format(f)};
    union frame frame = {0};
    s->epoch++;
    frame.format.epoch = s->epoch;
    frame.format.changes.at = &change;
    frame.format.changes.len = 1;
    broadcast(s, FLV_WIRE_TABLE_FORMAT, &frame);
}

/* One frame has at most this many partitions. */
#define CHANGES_MAX 512

void flv_watch_partitions(struct flv_server *s)
{
    struct flv_arena arena;
    flv_arena_init(&arena, 4096, FRAME_ARENA_MAX);
    union frame frame = {0};
    struct flv_wire_partition_watch *body = &frame.partition;
    for (size_t i = 0; i < s->topics.len; i++) {
        const struct flv_topic *t = s->topics.sorted[i];
        for (uint32_t p = 0; p < t->partition_count; p++) {
            if (!flv_partition_take_changed(t->partitions[p]) ||
                LIST_EMPTY(&s->watchers)) {
                continue;
            }
            if (body->changes.at == NULL) {
                s->epoch++;
                body->epoch = s->epoch;
                body->changes.at = FLV_ARENA_NEW(
                    &arena, struct flv_wire_partition_change, CHANGES_MAX);
            }
            if (body->changes.at == NULL ||
                flv_object_partition(t, p, &arena,
                                     &body->changes.at[body->changes.len].item,
                                     NULL) != FLV_OK) {
                continue;
            }
            if (++body->changes.len == CHANGES_MAX) {
                broadcast(s, FLV_WIRE_PARTITION, &frame);
                flv_arena_reset(&arena);
                body->changes.at = NULL;
                body->changes.len = 0;
            }
        }
    }
    if (body->changes.len > 0) {
        broadcast(s, FLV_WIRE_PARTITION, &frame);
    }
    flv_arena_deinit(&arena);
}
