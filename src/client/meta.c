#include "client/meta.h"

#include "base/field.h"
#include "base/mem.h"
#include <assert.h>

#define ARENA_MAX ((size_t)256 * 1024 * 1024)

static const enum flv_wire_object objects[FLV__META_WATCHES] = {
    FLV_WIRE_SPU_OBJECT, FLV_WIRE_PARTITION, FLV_WIRE_TOPIC};

/* --------------------------------------------------------------- topics */

static struct flv__topic_meta *find_topic(const struct flv__meta *m,
                                          struct flv_slice name)
{
    struct flv__topic_meta *t = NULL;

    if (name.len == 0) {
        return NULL;
    }
    HASH_FIND(hh, m->topics, name.data, name.len, t);
    return t;
}

static void topic_destroy(struct flv__topic_meta *t)
{
    if (t != NULL) {
        flv_free(t->name);
        flv_free(t->parts);
        flv_free(t);
    }
}

/* One macro of uthash. NOLINTNEXTLINE(readability-function-size) */
static bool add_topic(struct flv__meta *m, struct flv__topic_meta *t)
{
    HASH_ADD_KEYPTR(hh, m->topics, t->name, strlen(t->name), t);
    return !t->lost;
}

static struct flv__topic_meta *make_topic(struct flv__meta *m,
                                          struct flv_slice name)
{
    struct flv__topic_meta *t = find_topic(m, name);

    if (t != NULL) {
        return t;
    }
    if (name.len == 0 || HASH_COUNT(m->topics) >= FLV__META_TOPICS_MAX) {
        return NULL;
    }
    t = flv_zalloc(1, sizeof(*t));
    if (t == NULL) {
        return NULL;
    }
    t->name = flv_slice_dup(name);
    if (t->name == NULL || !add_topic(m, t)) {
        topic_destroy(t);
        return NULL;
    }
    return t;
}

/* Forgets a topic of which nothing is left. */
static void prune(struct flv__meta *m, struct flv__topic_meta *t)
{
    bool empty = !t->known;

    for (uint32_t i = 0; i < t->part_count; i++) {
        empty = empty && t->parts[i].leader < 0;
    }
    if (empty) {
        HASH_DEL(m->topics, t);
        topic_destroy(t);
    }
}

static uint32_t partitions_of(const struct flv_wire_topic *w)
{
    const struct flv_wire_replica_spec *r = &w->spec.replicas;

    switch (r->tag) {
    case FLV_WIRE_REPLICA_ASSIGNED:
        return r->assigned.len;
    case FLV_WIRE_REPLICA_COMPUTED:
        return r->computed.partitions;
    default:
        return w->status.replica_map.len;
    }
}

static flv_rc put_topic(struct flv__meta *m, const struct flv_wire_topic *w)
{
    struct flv__topic_meta *t = make_topic(m, w->name);
    const uint32_t count = partitions_of(w);

    if (t == NULL) {
        return FLV_E_NOMEM;
    }
    t->known = true;
    t->partitions =
        count < FLV__META_PARTITIONS_MAX ? count : FLV__META_PARTITIONS_MAX;
    t->compression = w->spec.compression;
    t->resolution = w->status.resolution;
    return FLV_OK;
}

static void drop_topic(struct flv__meta *m, struct flv_slice name)
{
    struct flv__topic_meta *t = find_topic(m, name);

    if (t != NULL) {
        t->known = false;
        prune(m, t);
    }
}

static flv_rc apply_topics(struct flv__meta *m,
                           struct flv_slice *in,
                           const struct flv__answer *a,
                           struct flv_arena *arena,
                           struct flv_err *err)
{
    const bool first = !m->fresh[2];
    struct flv_wire_topic_watch w;
    struct flv__topic_meta *t = NULL;
    struct flv__topic_meta *tmp = NULL;
    flv_rc rc = flv_wire_topic_watch_decode(a->version, in, arena, &w, err);

    if (rc == FLV_OK && (first || w.all.len > 0)) {
        for (t = m->topics; t != NULL; t = t->hh.next) {
            t->known = false;
        }
        for (uint32_t i = 0; rc == FLV_OK && i < w.all.len; i++) {
            rc = put_topic(m, &w.all.at[i]);
        }
        HASH_ITER(hh, m->topics, t, tmp)
        {
            prune(m, t);
        }
    }
    for (uint32_t i = 0; rc == FLV_OK && i < w.changes.len; i++) {
        if (w.changes.at[i].kind == FLV_WIRE_CHANGE_DELETE) {
            drop_topic(m, w.changes.at[i].item.name);
        } else {
            rc = put_topic(m, &w.changes.at[i].item);
        }
    }
    return rc;
}

/* ----------------------------------------------------------- partitions */

bool flv__partition_name(struct flv_slice name,
                         struct flv_slice *out_topic,
                         uint32_t *out_number)
{
    size_t dash = name.len;
    uint64_t n = 0;

    while (dash > 0 && name.data[dash - 1] != '-') {
        dash--;
    }
    if (dash < 2 || dash == name.len || name.len - dash > 9) {
        return false;
    }
    for (size_t i = dash; i < name.len; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') {
            return false;
        }
        n = n * 10 + (name.data[i] - '0');
    }
    if (n >= FLV__META_PARTITIONS_MAX) {
        return false;
    }
    *out_topic = flv_slice(name.data, dash - 1);
    *out_number = (uint32_t)n;
    return true;
}

static flv_rc grow_parts(struct flv__topic_meta *t, uint32_t count)
{
    struct flv__part_meta *parts = NULL;
    uint32_t cap = t->part_cap == 0 ? 4 : t->part_cap;

    while (cap < count) {
        cap *= 2;
    }
    if (cap > t->part_cap) {
        parts = flv_realloc(t->parts, cap * sizeof(*parts));
        if (parts == NULL) {
            return FLV_E_NOMEM;
        }
        t->parts = parts;
        t->part_cap = cap;
    }
    while (t->part_count < count) {
        t->parts[t->part_count++] = (struct flv__part_meta){.leader = -1};
    }
    return FLV_OK;
}

static flv_rc put_partition(struct flv__meta *m,
                            const struct flv_wire_partition *w)
{
    struct flv__topic_meta *t = NULL;
    struct flv_slice topic;
    uint32_t n = 0;

    if (!flv__partition_name(w->name, &topic, &n)) {
        return FLV_E_PROTOCOL;
    }
    t = make_topic(m, topic);
    if (t == NULL || grow_parts(t, n + 1) != FLV_OK) {
        return FLV_E_NOMEM;
    }
    t->parts[n] = (struct flv__part_meta){
        .leader = w->spec.leader,
        .online = w->status.resolution == FLV_WIRE_PARTITION_ONLINE,
    };
    return FLV_OK;
}

static void drop_partition(struct flv__meta *m, struct flv_slice name)
{
    struct flv__topic_meta *t = NULL;
    struct flv_slice topic;
    uint32_t n = 0;

    if (flv__partition_name(name, &topic, &n)) {
        t = find_topic(m, topic);
    }
    if (t != NULL && n < t->part_count) {
        t->parts[n] = (struct flv__part_meta){.leader = -1};
        prune(m, t);
    }
}

static flv_rc apply_partitions(struct flv__meta *m,
                               struct flv_slice *in,
                               const struct flv__answer *a,
                               struct flv_arena *arena,
                               struct flv_err *err)
{
    const bool first = !m->fresh[1];
    struct flv_wire_partition_watch w;
    struct flv__topic_meta *t = NULL;
    struct flv__topic_meta *tmp = NULL;
    flv_rc rc = flv_wire_partition_watch_decode(a->version, in, arena, &w, err);

    if (rc == FLV_OK && (first || w.all.len > 0)) {
        for (t = m->topics; t != NULL; t = t->hh.next) {
            t->part_count = 0;
        }
        for (uint32_t i = 0; rc == FLV_OK && i < w.all.len; i++) {
            rc = put_partition(m, &w.all.at[i]);
        }
        HASH_ITER(hh, m->topics, t, tmp)
        {
            prune(m, t);
        }
    }
    for (uint32_t i = 0; rc == FLV_OK && i < w.changes.len; i++) {
        if (w.changes.at[i].kind == FLV_WIRE_CHANGE_DELETE) {
            drop_partition(m, w.changes.at[i].item.name);
        } else {
            rc = put_partition(m, &w.changes.at[i].item);
        }
    }
    return rc;
}

/* ------------------------------------------------------------------ SPUs */

static void spu_destroy(struct flv__spu_meta *s)
{
    if (s != NULL) {
        flv_free(s->name);
        flv_free(s->host);
        flv_free(s->local_host);
        flv_free(s);
    }
}

static struct flv__spu_meta *find_spu(const struct flv__meta *m, int32_t id)
{
    struct flv__spu_meta *s = NULL;

    HASH_FIND(hh, m->spus, &id, sizeof(id), s);
    return s;
}

static void drop_spu(struct flv__meta *m, struct flv__spu_meta *s)
{
    if (s != NULL) {
        HASH_DEL(m->spus, s);
        spu_destroy(s);
    }
}

/* One macro of uthash. NOLINTNEXTLINE(readability-function-size) */
static bool add_spu(struct flv__meta *m, struct flv__spu_meta *s)
{
    HASH_ADD(hh, m->spus, id, sizeof(s->id), s);
    return !s->lost;
}

static flv_rc put_spu(struct flv__meta *m, const struct flv_wire_spu *w)
{
    const struct flv_wire_ingress_port *pub = &w->spec.public_endpoint;
    struct flv__spu_meta *old = find_spu(m, w->spec.id);
    struct flv__spu_meta *s = NULL;
    struct flv_slice host = {.len = 0};

    if (old == NULL && HASH_COUNT(m->spus) >= FLV__META_SPUS_MAX) {
        return FLV_E_LIMIT;
    }
    if (pub->ingress.len > 0) {
        host = pub->ingress.at[0].hostname.has ? pub->ingress.at[0].hostname.v
                                               : pub->ingress.at[0].ip.v;
    }
    s = flv_zalloc(1, sizeof(*s));
    if (s == NULL) {
        return FLV_E_NOMEM;
    }
    s->id = w->spec.id;
    s->port = pub->port;
    s->name = flv_slice_dup(w->name);
    s->host = flv_slice_dup(host);
    if (w->spec.public_local.has) {
        s->local_host = flv_slice_dup(w->spec.public_local.v.host);
        s->local_port = w->spec.public_local.v.port;
    }
    if (s->name == NULL || s->host == NULL ||
        (w->spec.public_local.has && s->local_host == NULL)) {
        spu_destroy(s);
        return FLV_E_NOMEM;
    }
    drop_spu(m, old);
    if (!add_spu(m, s)) {
        spu_destroy(s);
        return FLV_E_NOMEM;
    }
    return FLV_OK;
}

static flv_rc apply_spus(struct flv__meta *m,
                         struct flv_slice *in,
                         const struct flv__answer *a,
                         struct flv_arena *arena,
                         struct flv_err *err)
{
    const bool first = !m->fresh[0];
    struct flv_wire_spu_watch w;
    struct flv__spu_meta *s = NULL;
    struct flv__spu_meta *tmp = NULL;
    flv_rc rc = flv_wire_spu_watch_decode(a->version, in, arena, &w, err);

    if (rc == FLV_OK && (first || w.all.len > 0)) {
        for (s = m->spus; s != NULL; s = s->hh.next) {
            s->stale = true;
        }
        for (uint32_t i = 0; rc == FLV_OK && i < w.all.len; i++) {
            rc = put_spu(m, &w.all.at[i]);
        }
        HASH_ITER(hh, m->spus, s, tmp)
        {
            if (s->stale) {
                drop_spu(m, s);
            }
        }
    }
    for (uint32_t i = 0; rc == FLV_OK && i < w.changes.len; i++) {
        if (w.changes.at[i].kind == FLV_WIRE_CHANGE_DELETE) {
            drop_spu(m, find_spu(m, w.changes.at[i].item.spec.id));
        } else {
            rc = put_spu(m, &w.changes.at[i].item);
        }
    }
    return rc;
}

/* --------------------------------------------------------------- watches */

static void tell(struct flv__meta *m)
{
    m->cursor = m->listeners.next;
    while (m->cursor != &m->listeners) {
        struct flv__meta_listener *l = m->cursor;

        m->cursor = l->next;
        l->changed(l);
    }
    m->cursor = NULL;
}

static flv_rc apply(struct flv__meta *m,
                    size_t which,
                    const struct flv__answer *a,
                    struct flv_err *err)
{
    static flv_rc (*const appliers[FLV__META_WATCHES])(
        struct flv__meta *, struct flv_slice *, const struct flv__answer *,
        struct flv_arena *,
        struct flv_err *) = {apply_spus, apply_partitions, apply_topics};
    struct flv_slice in = a->body;
    struct flv_wire_envelope env;
    struct flv_arena arena;
    flv_rc rc = FLV_OK;

    flv_err_clear(err);
    flv_arena_init(&arena, 4096, ARENA_MAX);
    rc = flv_wire_envelope_decode(a->version, &in, &arena, &env, err);
    if (rc == FLV_OK &&
        !flv_slice_eq_str(env.label, flv_wire_object_label(objects[which]))) {
        rc = flv_fail(err, FLV_E_PROTOCOL, "watch answers another object");
    }
    if (rc == FLV_OK) {
        rc = appliers[which](m, &env.body, a, &arena, err);
    }
    flv_arena_deinit(&arena);
    if (rc != FLV_OK && err->rc == FLV_OK) {
        rc = flv_fail(err, rc, "metadata cannot be kept: %s", flv_rc_text(rc));
    }
    return rc;
}

static void watch_answer(struct flv__call *call, const struct flv__answer *a)
{
    struct flv__meta *m = call->user;
    const size_t which = (size_t)(call - m->watches);
    struct flv_err err = {.rc = FLV_OK};

    assert(which < FLV__META_WATCHES);
    if (apply(m, which, a, &err) != FLV_OK) {
        flv_err_prefix(&err, "%s", flv__peer_address(m->sc));
        flv__peer_drop(m->sc, &err);
        return;
    }
    m->fresh[which] = true;
    tell(m);
}

static void watch_done(struct flv__call *call,
                       const struct flv__answer *a,
                       const struct flv_err *err)
{
    struct flv__meta *m = call->user;

    assert(a == NULL && err != NULL);
    m->last_err = *err;
    if (flv__peer_is_ready(m->sc)) {
        flv__peer_drop(m->sc, err); /* could not even be asked: again later */
    }
}

static void link_up(struct flv__peer_listener *l)
{
    struct flv__meta *m = FLV_OWNER_OF(l, struct flv__meta, link);

    for (size_t i = 0; i < FLV__META_WATCHES; i++) {
        struct flv__call *call = &m->watches[i];
        struct flv_err err = {.rc = FLV_OK};

        m->fresh[i] = false;
        *call = (struct flv__call){
            .api = FLV_API_SC_WATCH,
            .version = -1,
            .stream = true,
            .only_ready = true,
            .message = {.schema = &flv_wire_watch_request_schema,
                        .body = &m->body,
                        .label = flv_wire_object_label(objects[i])},
            .answer = watch_answer,
            .done = watch_done,
            .user = m,
        };
        if (flv__peer_call(m->sc, call, &err) != FLV_OK) {
            flv__peer_drop(m->sc, &err);
            return;
        }
    }
}

static void link_down(struct flv__peer_listener *l, const struct flv_err *err)
{
    struct flv__meta *m = FLV_OWNER_OF(l, struct flv__meta, link);

    for (size_t i = 0; i < FLV__META_WATCHES; i++) {
        m->fresh[i] = false;
    }
    m->last_err = *err;
}

/* ------------------------------------------------------------- lifecycle */

void flv__meta_init(struct flv__meta *m, struct flv__peer *sc)
{
    *m = (struct flv__meta){.sc = sc,
                            .link = {.up = link_up, .down = link_down}};
    m->listeners.next = &m->listeners;
    m->listeners.prev = &m->listeners;
}

void flv__meta_deinit(struct flv__meta *m)
{
    struct flv__topic_meta *t = NULL;
    struct flv__topic_meta *tmp_t = NULL;
    struct flv__spu_meta *s = NULL;
    struct flv__spu_meta *tmp_s = NULL;

    assert(m->listeners.next == &m->listeners);
    flv__peer_unlisten(&m->link);
    for (size_t i = 0; i < FLV__META_WATCHES; i++) {
        flv__peer_cancel(&m->watches[i]);
    }
    HASH_ITER(hh, m->topics, t, tmp_t)
    {
        HASH_DEL(m->topics, t);
        topic_destroy(t);
    }
    HASH_ITER(hh, m->spus, s, tmp_s)
    {
        drop_spu(m, s);
    }
}

void flv__meta_start(struct flv__meta *m)
{
    if (m->started) {
        return;
    }
    m->started = true;
    flv__peer_listen(m->sc, &m->link);
    if (flv__peer_is_ready(m->sc)) {
        link_up(&m->link);
    }
}

bool flv__meta_fresh(const struct flv__meta *m)
{
    return m->fresh[0] && m->fresh[1] && m->fresh[2];
}

const struct flv__topic_meta *flv__meta_topic(const struct flv__meta *m,
                                              const char *name)
{
    const struct flv__topic_meta *t = find_topic(m, flv_slice_str(name));

    return t != NULL && t->known ? t : NULL;
}

int32_t flv__meta_leader(const struct flv__topic_meta *t, uint32_t partition)
{
    return partition < t->part_count ? t->parts[partition].leader : -1;
}

const struct flv__spu_meta *flv__meta_spu(const struct flv__meta *m, int32_t id)
{
    return find_spu(m, id);
}

void flv__meta_listen(struct flv__meta *m, struct flv__meta_listener *l)
{
    assert(l->next == NULL && l->changed != NULL);
    l->next = &m->listeners;
    l->prev = m->listeners.prev;
    l->prev->next = l;
    m->listeners.prev = l;
}

void flv__meta_unlisten(struct flv__meta *m, struct flv__meta_listener *l)
{
    if (l->next == NULL) {
        return;
    }
    if (m->cursor == l) {
        m->cursor = l->next;
    }
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->next = NULL;
    l->prev = NULL;
}
