/* Requests to the metadata service: one call each, answers turned into the
 * plain structs of the public header. */
#include "client/admin.h"

#include "base/field.h"
#include "base/mem.h"
#include "client/modules.h"
#include "wire/ext.h"
#include "wire/spu.h"
#include <assert.h>
#include <stddef.h>

#define OFFSETS_TOPIC "consumer-offset"
/* A new cluster of Fluvio's makes that topic some seconds after its start. */
#define OFFSETS_WAIT_MS 10000
#define OFFSETS_AGAIN_MS 200
#define DEDUP_NAME_MAX 255
#define DEDUP_PARAMS_MAX 254

/* Leaves the client and lets go of everything but the memory, so that the
 * callback can be the last thing that happens. */
static void detach(struct admin_op *o)
{
    flv__op_remove(&o->op);
    flv__peer_cancel(&o->call);
    flv__finder_stop(&o->lookup);
    flv_timer_stop(&o->again);
}

void flv__admin_drop(struct admin_op *o)
{
    flv_arena_deinit(&o->arena);
    flv_free(o);
}

/* The end of an op, with what came of it. */
static void complete(struct admin_op *o,
                     const struct flv_err *err,
                     const void *infos,
                     size_t count)
{
    detach(o);
    o->deliver(o, err, infos, count);
    flv__admin_drop(o);
}

static void fail(struct admin_op *o, const struct flv_err *err)
{
    complete(o, err, NULL, 0);
}

void flv__admin_deliver(struct admin_op *o,
                        const struct flv_err *err,
                        const void *infos,
                        size_t count)
{
    (void)infos;
    (void)count;
    o->fn.done(o->user, err);
}

static void cancel(struct flv__op *op, const struct flv_err *err)
{
    fail(FLV_OWNER_OF(op, struct admin_op, op), err);
}

static void look_again(struct flv_timer *t)
{
    struct admin_op *o = FLV_OWNER_OF(t, struct admin_op, again);
    struct flv_err err;

    if (flv__finder_start(&o->lookup, &err) != FLV_OK) {
        fail(o, &err);
    }
}

/* A server of Fluvio's that has just started leads no partition yet. */
static bool asks_again(struct admin_op *o, const struct flv_err *err)
{
    return err->wire != 0 && flv__may_pass(err) &&
           ++o->tries < OFFSETS_WAIT_MS / OFFSETS_AGAIN_MS &&
           flv_timer_start(&o->again, OFFSETS_AGAIN_MS, 0, NULL) == FLV_OK;
}

flv_rc flv__admin_new(struct flv_client *c,
                      void *user,
                      struct admin_op **out,
                      struct flv_err *err)
{
    struct admin_op *o = NULL;

    if (c->closing) {
        return flv__closing(err);
    }
    o = flv_zalloc(1, sizeof(*o));
    if (o == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a request");
    }
    o->op.cancel = cancel;
    flv_timer_init(&o->again, c->loop, look_again);
    o->client = c;
    o->user = user;
    o->call.user = o;
    o->call.version = -1;
    o->call.timeout_ms = c->conf.request_timeout_ms;
    flv_arena_init(&o->arena, 4096, FLV__CLIENT_ARENA_MAX);
    *out = o;
    return FLV_OK;
}

static flv_rc
send(struct admin_op *o, struct flv__peer *peer, struct flv_err *err)
{
    const flv_rc rc = flv__peer_call(peer, &o->call, err);

    if (rc == FLV_OK && o->op.next == NULL) {
        flv__op_add(o->client, &o->op);
    }
    return rc;
}

flv_rc flv__admin_submit(struct admin_op *o, struct flv_err *err)
{
    const flv_rc rc = send(o, o->client->sc, err);

    if (rc != FLV_OK) {
        flv__admin_drop(o);
    }
    return rc;
}

static flv_rc no_memory(const struct admin_op *o, struct flv_err *err)
{
    return flv_arena_full(&o->arena)
               ? flv_fail(err, FLV_E_LIMIT, "the answer is too long")
               : flv_fail(err, FLV_E_NOMEM, "out of memory for an answer");
}

/* A NUL-terminated copy in the arena, NULL when there is no memory. */
static const char *text(struct admin_op *o, struct flv_slice s)
{
    return flv_arena_text(&o->arena, (const char *)s.data, s.len);
}

static bool
copy_text(struct admin_op *o, const char *from, struct flv_slice *out)
{
    const char *copy = flv_arena_text(&o->arena, from, strlen(from));

    *out = flv_slice_str(copy != NULL ? copy : "");
    return copy != NULL;
}

/* ------------------------------------------------------- create, delete */

/* Codes whose own text leaves open what was wrong. */
static bool says_nothing(int code)
{
    return code == FLV_WIRE_OTHER || code == FLV_WIRE_SMARTMODULE_ERROR ||
           code == FLV_WIRE_TABLE_FORMAT_ERROR ||
           code == FLV_WIRE_TOPIC_INVALID_CONFIGURATION ||
           code == FLV_WIRE_TOPIC_INVALID_REPLICA_TYPE ||
           code == FLV_WIRE_DEDUPLICATION_NOT_LOADED ||
           code == FLV_WIRE_DEDUPLICATION_NAME_INVALID;
}

void flv__admin_status(struct flv__call *call,
                       const struct flv__answer *a,
                       const struct flv_err *err)
{
    struct admin_op *o = call->user;
    struct flv_wire_status status;
    struct flv_err why = {.rc = FLV_OK};
    struct flv_slice in;
    flv_rc rc = FLV_OK;

    if (err != NULL) {
        fail(o, err);
        return;
    }
    in = a->body;
    rc = flv_wire_status_decode(a->version, &in, &o->arena, &status, &why);
    if (rc == FLV_OK && status.error.code != FLV_WIRE_NONE) {
        rc = flv_wire_error_raise(&status.error, &why);
        if (says_nothing(status.error.code) && status.message.has &&
            status.error.text.len == 0) {
            const int code = why.wire;

            rc = flv_fail(&why, rc, "%.*s", (int)status.message.v.len,
                          (const char *)status.message.v.data);
            why.wire = code;
        }
    }
    if (rc != FLV_OK) {
        fail(o, &why);
        return;
    }
    complete(o, NULL, NULL, 0);
}

struct flv_topic_conf flv_topic_conf_default(const char *name)
{
    return (struct flv_topic_conf){
        .name = name,
        .partitions = 1,
        .replication = 1,
        .compression = FLV_COMPRESSION_ANY,
    };
}

static flv_rc fill_assignment(struct admin_op *o,
                              const struct flv_topic_conf *conf,
                              struct flv_wire_replica_spec *out,
                              struct flv_err *err)
{
    const size_t count = conf->assignment_count;
    struct flv_wire_partition_map *maps = NULL;

    if (count == 0 || count > FLV__META_PARTITIONS_MAX) {
        return flv_fail(err, FLV_E_INVALID,
                        "an assignment of %zu partitions is not possible",
                        count);
    }
    maps = FLV_ARENA_NEW(&o->arena, struct flv_wire_partition_map, count);
    if (maps == NULL) {
        return no_memory(o, err);
    }
    for (size_t i = 0; i < count; i++) {
        const struct flv_replica *r = &conf->assignment[i];
        int32_t *spus =
            flv_arena_copy(&o->arena, r->spus, r->spu_count * sizeof(*r->spus));

        if (spus == NULL) {
            return no_memory(o, err);
        }
        maps[i].id = r->partition;
        maps[i].replicas.at = spus;
        maps[i].replicas.len = (uint32_t)r->spu_count;
    }
    out->tag = FLV_WIRE_REPLICA_ASSIGNED;
    out->assigned.at = maps;
    out->assigned.len = (uint32_t)count;
    return FLV_OK;
}

static flv_rc fill_dedup(struct admin_op *o,
                         const struct flv_dedup *from,
                         struct flv_wire_deduplication *out,
                         struct flv_err *err)
{
    const size_t count = from->param_count;
    const char *filter = from->filter != NULL ? from->filter : "";
    struct flv_wire_pair *pairs = NULL;

    if (filter[0] == '\0' || strlen(filter) > DEDUP_NAME_MAX ||
        count > DEDUP_PARAMS_MAX) {
        return flv_fail(err, FLV_E_INVALID,
                        "deduplication needs the name of a SmartModule (1 to "
                        "%d bytes) and takes at most %d parameters",
                        DEDUP_NAME_MAX, DEDUP_PARAMS_MAX);
    }
    pairs = FLV_ARENA_NEW(&o->arena, struct flv_wire_pair, count + 1);
    if (pairs == NULL || !copy_text(o, filter, &out->uses)) {
        return no_memory(o, err);
    }
    for (size_t i = 0; i < count; i++) {
        if (!copy_text(o, from->params[2 * i], &pairs[i].key) ||
            !copy_text(o, from->params[2 * i + 1], &pairs[i].value)) {
            return no_memory(o, err);
        }
    }
    out->with.at = pairs;
    out->with.len = (uint32_t)count;
    out->count = from->count;
    out->age.has = from->age_ms > 0;
    out->age.v = flv_wire_duration_of_ms(from->age_ms);
    return FLV_OK;
}

static flv_rc fill_create(struct admin_op *o,
                          const struct flv_topic_conf *conf,
                          struct flv_wire_topic_create *out,
                          struct flv_err *err)
{
    struct flv_wire_topic_spec *spec = &out->spec;

    out->common.name = flv_slice_str(o->name);
    out->common.dry_run = conf->dry_run;
    spec->compression = flv__compression_wire(conf->compression);
    spec->system = conf->system;
    if (conf->retention_s > 0) {
        spec->cleanup_policy.has = true;
        spec->cleanup_policy.v.retention_seconds = conf->retention_s;
    }
    if (conf->segment_size_bytes > 0) {
        spec->storage.has = true;
        spec->storage.v.segment_size_bytes.has = true;
        spec->storage.v.segment_size_bytes.v = conf->segment_size_bytes;
    }
    if (conf->partition_bytes_max > 0) {
        spec->storage.has = true;
        spec->storage.v.partition_size_bytes_max.has = true;
        spec->storage.v.partition_size_bytes_max.v = conf->partition_bytes_max;
    }
    if (conf->dedup != NULL) {
        flv_rc rc = fill_dedup(o, conf->dedup, &spec->deduplication.v, err);

        if (rc != FLV_OK) {
            return rc;
        }
        spec->deduplication.has = true;
    }
    if (conf->assignment != NULL) {
        return fill_assignment(o, conf, &spec->replicas, err);
    }
    spec->replicas.tag = FLV_WIRE_REPLICA_COMPUTED;
    spec->replicas.computed.partitions =
        conf->partitions != 0 ? conf->partitions : 1;
    spec->replicas.computed.replication_factor =
        conf->replication != 0 ? conf->replication : 1;
    spec->replicas.computed.ignore_rack = conf->ignore_rack;
    return FLV_OK;
}

flv_rc flv_client_topic_create(struct flv_client *c,
                               const struct flv_topic_conf *conf,
                               flv_done_fn done,
                               void *user,
                               struct flv_err *err)
{
    const bool ext = conf->durability != FLV_DURABILITY_DEFAULT;
    struct admin_op *o = NULL;
    flv_rc rc = flv__admin_new(c, user, &o, err);

    assert(done != NULL);
    if (rc != FLV_OK) {
        return rc;
    }
    o->fn.done = done;
    o->deliver = flv__admin_deliver;
    o->call.done = flv__admin_status;
    rc = flv__name_copy(o->name, conf->name, "Topic name", err);
    if (rc == FLV_OK) {
        rc = fill_create(
            o, conf, ext ? &o->body.create_ext.create : &o->body.create, err);
    }
    if (rc != FLV_OK) {
        flv__admin_drop(o);
        return rc;
    }
    if (ext) {
        o->body.create_ext.durability = (uint8_t)conf->durability;
        o->call.api = FLV_API_SC_TOPIC_CREATE_EXT;
        o->call.version = FLV_WIRE_SC_MAX;
        o->call.must_list = true;
        o->call.message = (struct flv_wire_message){
            .schema = &flv_wire_topic_create_ext_schema, .body = &o->body};
    } else {
        o->call.api = FLV_API_SC_CREATE;
        o->call.message = (struct flv_wire_message){
            .schema = &flv_wire_topic_create_schema,
            .body = &o->body,
            .label = flv_wire_object_label(FLV_WIRE_TOPIC)};
    }
    return flv__admin_submit(o, err);
}

/* What its name is called. */
static const char *noun(enum flv_wire_object object)
{
    return object == FLV_WIRE_TOPIC          ? "Topic name"
           : object == FLV_WIRE_TABLE_FORMAT ? "TableFormat name"
                                             : "SmartModule name";
}

flv_rc flv__admin_remove(struct flv_client *c,
                         const struct remove_ask *ask,
                         flv_done_fn done,
                         void *user,
                         struct flv_err *err)
{
    struct admin_op *o = NULL;
    flv_rc rc = flv__admin_new(c, user, &o, err);

    assert(done != NULL);
    if (rc != FLV_OK) {
        return rc;
    }
    rc = flv__name_copy(o->name, ask->name, noun(ask->object), err);
    if (rc != FLV_OK) {
        flv__admin_drop(o);
        return rc;
    }
    o->fn.done = done;
    o->deliver = flv__admin_deliver;
    o->call.done = flv__admin_status;
    o->body.remove.key = flv_slice_str(o->name);
    o->body.remove.force = ask->force;
    o->call.api = FLV_API_SC_DELETE;
    o->call.message =
        (struct flv_wire_message){.schema = &flv_wire_delete_request_schema,
                                  .body = &o->body,
                                  .label = flv_wire_object_label(ask->object)};
    return flv__admin_submit(o, err);
}

flv_rc flv_client_topic_delete(struct flv_client *c,
                               const char *name,
                               bool force,
                               flv_done_fn done,
                               void *user,
                               struct flv_err *err)
{
    const struct remove_ask ask = {
        .object = FLV_WIRE_TOPIC, .name = name, .force = force};

    return flv__admin_remove(c, &ask, done, user, err);
}

/* ---------------------------------------------------------------- lists */

/* Opens the envelope of a list answer. */
static flv_rc open_list(struct admin_op *o,
                        const struct flv__answer *a,
                        enum flv_wire_object object,
                        struct flv_slice *out_body,
                        struct flv_err *err)
{
    struct flv_slice in = a->body;
    struct flv_wire_envelope env;
    flv_rc rc = flv_wire_envelope_decode(a->version, &in, &o->arena, &env, err);

    if (rc != FLV_OK) {
        return rc;
    }
    if (!flv_slice_eq_str(env.label, flv_wire_object_label(object))) {
        return flv_fail(err, FLV_E_PROTOCOL,
                        "a list of %s was asked for, '%.*s' came",
                        flv_wire_object_label(object),
                        (int)(env.label.len < 40 ? env.label.len : 40),
                        (const char *)env.label.data);
    }
    *out_body = env.body;
    return FLV_OK;
}

/* All lists have one shape. */
union answer {
    struct flv_wire_topic_list topics;
    struct flv_wire_partition_list partitions;
    struct flv_wire_spu_list spus;
    struct flv_wire_smartmodule_list modules;
    struct {
        struct {
            void *at;
            uint32_t len;
        } items;
    } any;
};

static flv_rc fill_list(struct admin_op *o,
                        const struct flv__answer *a,
                        uint8_t **out,
                        size_t *out_count,
                        struct flv_err *err)
{
    const struct list_kind *kind = o->list;
    union answer answer = {.any = {.items = {.len = 0}}};
    struct flv_slice body = {.len = 0};
    flv_rc rc = open_list(o, a, kind->object, &body, err);

    if (rc == FLV_OK) {
        rc = flv_wire_decode(kind->schema, a->version, &body, &o->arena,
                             &answer, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    *out = flv_arena_zalloc(&o->arena, (size_t)answer.any.items.len + 1,
                            kind->info_size, _Alignof(max_align_t));
    if (*out == NULL) {
        return no_memory(o, err);
    }
    for (uint32_t i = 0; rc == FLV_OK && i < answer.any.items.len; i++) {
        const uint8_t *wire = answer.any.items.at;
        bool keep = true;

        rc = kind->fill(o, wire + i * kind->wire_size,
                        *out + *out_count * kind->info_size, &keep, err);
        *out_count += keep ? 1 : 0;
    }
    return rc;
}

static void list_done(struct flv__call *call,
                      const struct flv__answer *a,
                      const struct flv_err *err)
{
    struct admin_op *o = call->user;
    struct flv_err why = {.rc = FLV_OK};
    uint8_t *infos = NULL;
    size_t count = 0;

    if (err != NULL) {
        fail(o, err);
    } else if (fill_list(o, a, &infos, &count, &why) != FLV_OK) {
        fail(o, &why);
    } else {
        complete(o, NULL, infos, count);
    }
}

static flv_rc
fill_filter(struct admin_op *o, const char *name, struct flv_err *err)
{
    struct flv_slice *filter = FLV_ARENA_NEW(&o->arena, struct flv_slice, 1);
    flv_rc rc = FLV_OK;

    if (filter == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a request");
    }
    rc = flv__name_copy(o->name, name, noun(o->list->object), err);
    *filter = flv_slice_str(o->name);
    o->body.list.name_filters.at = filter;
    o->body.list.name_filters.len = 1;
    return rc;
}

flv_rc flv__admin_list(struct flv_client *c,
                       const struct list_kind *kind,
                       const struct list_ask *ask,
                       union admin_fn fn,
                       void *user,
                       struct flv_err *err)
{
    struct admin_op *o = NULL;
    flv_rc rc = flv__admin_new(c, user, &o, err);

    if (rc != FLV_OK) {
        return rc;
    }
    o->fn = fn;
    o->list = kind;
    o->deliver = kind->deliver;
    o->call.done = list_done;
    rc = ask->name != NULL ? fill_filter(o, ask->name, err) : FLV_OK;
    if (rc != FLV_OK) {
        flv__admin_drop(o);
        return rc;
    }
    o->body.list.system = ask->system;
    o->body.list.summary = ask->summary;
    o->call.api = FLV_API_SC_LIST;
    o->call.message =
        (struct flv_wire_message){.schema = &flv_wire_list_request_schema,
                                  .body = &o->body,
                                  .label = flv_wire_object_label(kind->object)};
    return flv__admin_submit(o, err);
}

/* NULL without memory. */
static const struct flv_dedup *dedup_of(struct admin_op *o,
                                        const struct flv_wire_deduplication *w)
{
    const uint32_t count = w->with.len;
    struct flv_dedup *d = FLV_ARENA_NEW(&o->arena, struct flv_dedup, 1);
    const char **params =
        FLV_ARENA_NEW(&o->arena, const char *, 2 * (size_t)count + 1);

    if (d == NULL || params == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        params[2 * i] = text(o, w->with.at[i].key);
        params[2 * i + 1] = text(o, w->with.at[i].value);
        if (params[2 * i] == NULL || params[2 * i + 1] == NULL) {
            return NULL;
        }
    }
    *d = (struct flv_dedup){.filter = text(o, w->uses),
                            .count = w->count,
                            .params = params,
                            .param_count = count};
    if (w->age.has) {
        d->age_ms = flv_wire_duration_ms(&w->age.v);
        d->age_ms = d->age_ms > 0 ? d->age_ms : 1;
    }
    return d->filter != NULL ? d : NULL;
}

static flv_rc fill_topic_texts(struct admin_op *o,
                               const struct flv_wire_topic *w,
                               struct flv_topic_info *out,
                               struct flv_err *err)
{
    const struct flv_wire_topic_spec *s = &w->spec;
    const uint32_t maps = w->status.replica_map.len;
    const uint32_t assigned = s->replicas.assigned.len;
    struct flv_replica *assignment =
        FLV_ARENA_NEW(&o->arena, struct flv_replica, assigned + 1);
    struct flv_replica *replicas =
        FLV_ARENA_NEW(&o->arena, struct flv_replica, maps + 1);

    out->name = text(o, w->name);
    out->reason = text(o, w->status.reason);
    out->dedup = s->deduplication.has ? dedup_of(o, &s->deduplication.v) : NULL;
    if (assignment == NULL || replicas == NULL || out->name == NULL ||
        out->reason == NULL || (s->deduplication.has && out->dedup == NULL)) {
        return no_memory(o, err);
    }
    for (uint32_t i = 0; i < assigned; i++) {
        const struct flv_wire_partition_map *m = &s->replicas.assigned.at[i];

        assignment[i] = (struct flv_replica){.partition = m->id,
                                             .spus = m->replicas.at,
                                             .spu_count = m->replicas.len};
    }
    for (uint32_t i = 0; i < maps; i++) {
        const struct flv_wire_replica_entry *m = &w->status.replica_map.at[i];

        replicas[i] = (struct flv_replica){.partition = m->partition,
                                           .spus = m->spus.at,
                                           .spu_count = m->spus.len};
    }
    out->assignment = assignment;
    out->assignment_count = assigned;
    out->replicas = replicas;
    out->replica_count = maps;
    return FLV_OK;
}

static void fill_topic_numbers(const struct flv_wire_topic *w,
                               struct flv_topic_info *out)
{
    const struct flv_wire_topic_spec *s = &w->spec;

    out->kind =
        s->replicas.tag == FLV_WIRE_REPLICA_ASSIGNED   ? FLV_TOPIC_ASSIGNED
        : s->replicas.tag == FLV_WIRE_REPLICA_COMPUTED ? FLV_TOPIC_COMPUTED
                                                       : FLV_TOPIC_MIRROR;
    if (out->kind == FLV_TOPIC_COMPUTED) {
        out->partitions = s->replicas.computed.partitions;
        out->replication = s->replicas.computed.replication_factor;
        out->ignore_rack = s->replicas.computed.ignore_rack;
    } else {
        out->partitions =
            (uint32_t)(out->kind == FLV_TOPIC_ASSIGNED ? out->assignment_count
                                                       : out->replica_count);
        out->replication =
            (uint32_t)(out->assignment_count > 0 ? out->assignment[0].spu_count
                                                 : 1);
    }
    out->has_retention = s->cleanup_policy.has;
    out->retention_s = s->cleanup_policy.v.retention_seconds;
    out->has_segment_size = s->storage.v.segment_size_bytes.has;
    out->segment_size_bytes = s->storage.v.segment_size_bytes.v;
    out->has_partition_bytes_max = s->storage.v.partition_size_bytes_max.has;
    out->partition_bytes_max = s->storage.v.partition_size_bytes_max.v;
    out->compression = flv__compression_of(s->compression);
    out->system = s->system;
    out->state = (enum flv_topic_state)w->status.resolution;
}

static flv_rc fill_topic(struct admin_op *o,
                         const void *wire,
                         void *info,
                         bool *keep,
                         struct flv_err *err)
{
    const struct flv_wire_topic *w = wire;
    flv_rc rc = FLV_OK;

    if (o->name[0] != '\0' && !flv_slice_eq_str(w->name, o->name)) {
        *keep = false; /* filters match parts of names */
        return FLV_OK;
    }
    rc = fill_topic_texts(o, w, info, err);
    if (rc == FLV_OK) {
        fill_topic_numbers(w, info);
    }
    return rc;
}

static void deliver_topics(struct admin_op *o,
                           const struct flv_err *err,
                           const void *infos,
                           size_t count)
{
    o->fn.topics(o->user, err, infos, count);
}

static const struct list_kind topic_list = {
    .object = FLV_WIRE_TOPIC,
    .schema = &flv_wire_topic_list_schema,
    .wire_size = sizeof(struct flv_wire_topic),
    .info_size = sizeof(struct flv_topic_info),
    .fill = fill_topic,
    .deliver = deliver_topics,
};

flv_rc flv_client_topics(struct flv_client *c,
                         const char *name,
                         bool system,
                         flv_topics_fn done,
                         void *user,
                         struct flv_err *err)
{
    const struct list_ask ask = {.name = name, .system = system};

    assert(done != NULL);
    return flv__admin_list(c, &topic_list, &ask,
                           (union admin_fn){.topics = done}, user, err);
}

static const char *mirror_name(struct admin_op *o,
                               const struct flv_wire_partition_mirror *m)
{
    return text(o, m->tag == FLV_WIRE_MIRROR_REMOTE ? m->remote.home_cluster
                                                    : m->home.remote_cluster);
}

static flv_rc fill_partition(struct admin_op *o,
                             const void *wire,
                             void *info,
                             bool *keep,
                             struct flv_err *err)
{
    const struct flv_wire_partition *w = wire;
    struct flv_partition_info *out = info;
    const struct flv_wire_partition_spec *s = &w->spec;
    const struct flv_wire_partition_status *st = &w->status;
    struct flv_slice topic = {.len = 0};
    struct flv_replica_status *followers = FLV_ARENA_NEW(
        &o->arena, struct flv_replica_status, (size_t)st->followers.len + 1);

    (void)keep; /* all are wanted */
    if (!flv__partition_name(w->name, &topic, &out->partition)) {
        return flv_fail(err, FLV_E_PROTOCOL,
                        "'%.*s' is not the name of a partition",
                        (int)(w->name.len < 80 ? w->name.len : 80),
                        (const char *)w->name.data);
    }
    out->topic = text(o, topic);
    out->mirror = s->mirror.has ? mirror_name(o, &s->mirror.v) : NULL;
    out->dedup = s->deduplication.has ? dedup_of(o, &s->deduplication.v) : NULL;
    if (followers == NULL || out->topic == NULL ||
        (s->mirror.has && out->mirror == NULL) ||
        (s->deduplication.has && out->dedup == NULL)) {
        return no_memory(o, err);
    }
    for (uint32_t i = 0; i < st->followers.len; i++) {
        followers[i] = (struct flv_replica_status){
            .spu = st->followers.at[i].spu,
            .hw = st->followers.at[i].hw,
            .leo = st->followers.at[i].leo,
        };
    }
    out->leader = s->leader;
    out->replicas = s->replicas.at;
    out->replica_count = s->replicas.len;
    out->has_retention = s->cleanup_policy.has;
    out->retention_s = s->cleanup_policy.v.retention_seconds;
    out->has_segment_size = s->storage.v.segment_size_bytes.has;
    out->segment_size_bytes = s->storage.v.segment_size_bytes.v;
    out->has_partition_bytes_max = s->storage.v.partition_size_bytes_max.has;
    out->partition_bytes_max = s->storage.v.partition_size_bytes_max.v;
    out->compression = flv__compression_of(s->compression);
    out->system = s->system;
    out->state = (enum flv_partition_state)st->resolution;
    out->leader_status = (struct flv_replica_status){
        .spu = st->leader.spu, .hw = st->leader.hw, .leo = st->leader.leo};
    out->followers = followers;
    out->follower_count = st->followers.len;
    out->live_replicas = st->live_replicas;
    out->size_bytes = st->size_bytes;
    out->is_being_deleted = st->is_being_deleted;
    out->base_offset = st->base_offset;
    return FLV_OK;
}

static void deliver_partitions(struct admin_op *o,
                               const struct flv_err *err,
                               const void *infos,
                               size_t count)
{
    o->fn.partitions(o->user, err, infos, count);
}

static const struct list_kind partition_list = {
    .object = FLV_WIRE_PARTITION,
    .schema = &flv_wire_partition_list_schema,
    .wire_size = sizeof(struct flv_wire_partition),
    .info_size = sizeof(struct flv_partition_info),
    .fill = fill_partition,
    .deliver = deliver_partitions,
};

flv_rc flv_client_partitions(struct flv_client *c,
                             bool system,
                             flv_partitions_fn done,
                             void *user,
                             struct flv_err *err)
{
    const struct list_ask ask = {.system = system};

    assert(done != NULL);
    return flv__admin_list(c, &partition_list, &ask,
                           (union admin_fn){.partitions = done}, user, err);
}

static flv_rc fill_spu(struct admin_op *o,
                       const void *wire,
                       void *info,
                       bool *keep,
                       struct flv_err *err)
{
    const struct flv_wire_spu *w = wire;
    struct flv_spu_info *out = info;
    const struct flv_wire_spu_spec *s = &w->spec;
    struct flv_slice host = {.len = 0};

    (void)keep; /* all are wanted */
    if (s->public_endpoint.ingress.len > 0) {
        const struct flv_wire_ingress *in = &s->public_endpoint.ingress.at[0];

        host = in->hostname.has ? in->hostname.v : in->ip.v;
    }
    out->name = text(o, w->name);
    out->id = s->id;
    out->custom = s->spu_type == FLV_WIRE_SPU_CUSTOM;
    out->state = (enum flv_spu_state)w->status;
    out->public_host = text(o, host);
    out->public_port = s->public_endpoint.port;
    out->private_host = text(o, s->private_endpoint.host);
    out->private_port = s->private_endpoint.port;
    out->rack = s->rack.has ? text(o, s->rack.v) : NULL;
    if (s->public_local.has) {
        out->local_host = text(o, s->public_local.v.host);
        out->local_port = s->public_local.v.port;
    }
    if (out->name == NULL || out->public_host == NULL ||
        out->private_host == NULL || (s->rack.has && out->rack == NULL) ||
        (s->public_local.has && out->local_host == NULL)) {
        return no_memory(o, err);
    }
    return FLV_OK;
}

static void deliver_spus(struct admin_op *o,
                         const struct flv_err *err,
                         const void *infos,
                         size_t count)
{
    o->fn.spus(o->user, err, infos, count);
}

static const struct list_kind spu_list = {
    .object = FLV_WIRE_SPU_OBJECT,
    .schema = &flv_wire_spu_list_schema,
    .wire_size = sizeof(struct flv_wire_spu),
    .info_size = sizeof(struct flv_spu_info),
    .fill = fill_spu,
    .deliver = deliver_spus,
};

flv_rc flv_client_spus(struct flv_client *c,
                       flv_spus_fn done,
                       void *user,
                       struct flv_err *err)
{
    const struct list_ask ask = {.name = NULL};

    assert(done != NULL);
    return flv__admin_list(c, &spu_list, &ask, (union admin_fn){.spus = done},
                           user, err);
}

/* --------------------------------------------------------- SmartModules */

flv_rc flv_client_smartmodule_create(struct flv_client *c,
                                     const struct flv_smartmodule_conf *conf,
                                     flv_done_fn done,
                                     void *user,
                                     struct flv_err *err)
{
    struct admin_op *o = NULL;
    struct flv_wire_smartmodule_create *body = NULL;
    flv_rc rc = flv__admin_new(c, user, &o, err);

    assert(done != NULL);
    if (rc != FLV_OK) {
        return rc;
    }
    body = &o->body.module_create;
    o->fn.done = done;
    o->deliver = flv__admin_deliver;
    o->call.done = flv__admin_status;
    rc = flv__name_copy(o->name, conf->name, "SmartModule name", err);
    if (rc == FLV_OK) {
        rc = flv__module_pack(conf->wasm, &o->arena, &body->spec.payload, err);
    }
    if (rc != FLV_OK) {
        flv__admin_drop(o);
        return rc;
    }
    body->common.name = flv_slice_str(o->name);
    body->common.dry_run = conf->dry_run;
    o->call.api = FLV_API_SC_CREATE;
    o->call.message = (struct flv_wire_message){
        .schema = &flv_wire_smartmodule_create_schema,
        .body = &o->body,
        .label = flv_wire_object_label(FLV_WIRE_SMARTMODULE)};
    return flv__admin_submit(o, err);
}

flv_rc flv_client_smartmodule_delete(struct flv_client *c,
                                     const char *name,
                                     flv_done_fn done,
                                     void *user,
                                     struct flv_err *err)
{
    const struct remove_ask ask = {.object = FLV_WIRE_SMARTMODULE,
                                   .name = name};

    return flv__admin_remove(c, &ask, done, user, err);
}

static flv_rc fill_module(struct admin_op *o,
                          const void *wire,
                          void *info,
                          bool *keep,
                          struct flv_err *err)
{
    (void)keep; /* all are wanted */
    return flv__module_info(wire, &o->arena, info, err);
}

static void deliver_modules(struct admin_op *o,
                            const struct flv_err *err,
                            const void *infos,
                            size_t count)
{
    o->fn.modules(o->user, err, infos, count);
}

static const struct list_kind module_list = {
    .object = FLV_WIRE_SMARTMODULE,
    .schema = &flv_wire_smartmodule_list_schema,
    .wire_size = sizeof(struct flv_wire_smartmodule),
    .info_size = sizeof(struct flv_smartmodule_info),
    .fill = fill_module,
    .deliver = deliver_modules,
};

flv_rc flv_client_smartmodules(struct flv_client *c,
                               const char *name,
                               bool with_bytes,
                               flv_smartmodules_fn done,
                               void *user,
                               struct flv_err *err)
{
    const struct list_ask ask = {.name = name, .summary = !with_bytes};

    assert(done != NULL);
    return flv__admin_list(c, &module_list, &ask,
                           (union admin_fn){.modules = done}, user, err);
}

/* ----------------------------------------------------- consumer offsets */

/* They live where partition 0 of their topic does. */
static void offsets_home(struct flv__finder *l,
                         const struct flv__topic_meta *t,
                         const struct flv_err *err)
{
    struct admin_op *o = FLV_OWNER_OF(l, struct admin_op, lookup);
    struct flv__peer *peer = NULL;
    struct flv_err why = {.rc = FLV_OK};
    flv_rc rc = FLV_OK;

    if (t == NULL) {
        fail(o, err);
        return;
    }
    rc = flv__client_spu(o->client, flv__meta_leader(t, 0), &peer, &why);
    if (rc == FLV_OK) {
        rc = send(o, peer, &why);
    }
    if (rc != FLV_OK) {
        fail(o, &why);
    }
}

static flv_rc submit_offsets(struct admin_op *o, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    o->lookup.client = o->client;
    o->lookup.topic = OFFSETS_TOPIC;
    o->lookup.wait_ms = OFFSETS_WAIT_MS;
    o->lookup.done = offsets_home;
    rc = flv__finder_start(&o->lookup, err);
    if (rc != FLV_OK) {
        flv__admin_drop(o);
        return rc;
    }
    flv__op_add(o->client, &o->op);
    return FLV_OK;
}

static flv_rc
fill_offsets(struct admin_op *o,
             const struct flv_wire_fetch_consumer_offsets_response *answer,
             struct flv_consumer_offset *out,
             size_t *out_count,
             struct flv_err *err)
{
    size_t count = 0;

    for (uint32_t i = 0; i < answer->consumers.len; i++) {
        const struct flv_wire_consumer_offset *w = &answer->consumers.at[i];

        if (o->name[0] != '\0' && !flv_slice_eq_str(w->consumer_id, o->name)) {
            continue; /* servers before version 24 know no filter */
        }
        out[count] = (struct flv_consumer_offset){
            .consumer_id = text(o, w->consumer_id),
            .topic = text(o, w->replica.topic),
            .partition = w->replica.partition,
            .offset = w->offset,
            .modified_s = w->modified_time_s,
        };
        if (out[count].consumer_id == NULL || out[count].topic == NULL) {
            return no_memory(o, err);
        }
        count++;
    }
    *out_count = count;
    return FLV_OK;
}

static void deliver_offsets(struct admin_op *o,
                            const struct flv_err *err,
                            const void *infos,
                            size_t count)
{
    o->fn.offsets(o->user, err, infos, count);
}

static void offsets_done(struct flv__call *call,
                         const struct flv__answer *a,
                         const struct flv_err *err)
{
    struct admin_op *o = call->user;
    struct flv_wire_fetch_consumer_offsets_response answer;
    struct flv_consumer_offset *offsets = NULL;
    struct flv_err why = {.rc = FLV_OK};
    struct flv_slice in;
    size_t count = 0;
    flv_rc rc = FLV_OK;

    if (err != NULL) {
        fail(o, err);
        return;
    }
    in = a->body;
    rc = flv_wire_fetch_consumer_offsets_response_decode(
        a->version, &in, &o->arena, &answer, &why);
    if (rc == FLV_OK && answer.error.code != FLV_WIRE_NONE) {
        rc = flv_wire_error_raise(&answer.error, &why);
    }
    if (rc == FLV_OK) {
        offsets = FLV_ARENA_NEW(&o->arena, struct flv_consumer_offset,
                                (size_t)answer.consumers.len + 1);
        rc = offsets != NULL ? fill_offsets(o, &answer, offsets, &count, &why)
                             : no_memory(o, &why);
    }
    if (rc == FLV_OK) {
        complete(o, NULL, offsets, count);
    } else if (!asks_again(o, &why)) {
        fail(o, &why);
    }
}

flv_rc flv_client_consumer_offsets(struct flv_client *c,
                                   const char *consumer_id,
                                   flv_offsets_fn done,
                                   void *user,
                                   struct flv_err *err)
{
    struct admin_op *o = NULL;
    flv_rc rc = flv__admin_new(c, user, &o, err);

    assert(done != NULL);
    if (rc != FLV_OK) {
        return rc;
    }
    o->fn.offsets = done;
    o->deliver = deliver_offsets;
    if (consumer_id != NULL) {
        rc = flv__name_copy(o->name, consumer_id, "consumer id", err);
        if (rc != FLV_OK) {
            flv__admin_drop(o);
            return rc;
        }
        o->body.offsets.filter.has = true;
        o->body.offsets.filter.v.consumer_id.has = true;
        o->body.offsets.filter.v.consumer_id.v = flv_slice_str(o->name);
    }
    o->call.api = FLV_API_SPU_FETCH_CONSUMER_OFFSETS;
    o->call.done = offsets_done;
    o->call.message = (struct flv_wire_message){
        .schema = &flv_wire_fetch_consumer_offsets_request_schema,
        .body = &o->body};
    return submit_offsets(o, err);
}

static void offset_delete_done(struct flv__call *call,
                               const struct flv__answer *a,
                               const struct flv_err *err)
{
    struct admin_op *o = call->user;
    struct flv_wire_delete_consumer_offset_response answer;
    struct flv_err why = {.rc = FLV_OK};
    struct flv_slice in;
    flv_rc rc = FLV_OK;

    if (err != NULL) {
        fail(o, err);
        return;
    }
    in = a->body;
    rc = flv_wire_delete_consumer_offset_response_decode(
        a->version, &in, &o->arena, &answer, &why);
    if (rc == FLV_OK && answer.error.code != FLV_WIRE_NONE) {
        rc = flv_wire_error_raise(&answer.error, &why);
    }
    if (rc != FLV_OK) {
        fail(o, &why);
        return;
    }
    complete(o, NULL, NULL, 0);
}

flv_rc flv_client_consumer_offset_delete(struct flv_client *c,
                                         const struct flv_consumer_ref *ref,
                                         flv_done_fn done,
                                         void *user,
                                         struct flv_err *err)
{
    struct admin_op *o = NULL;
    char *topic = NULL;
    flv_rc rc = flv__admin_new(c, user, &o, err);

    assert(done != NULL);
    if (rc != FLV_OK) {
        return rc;
    }
    o->fn.done = done;
    o->deliver = flv__admin_deliver;
    rc = flv__name_copy(o->name, ref->consumer_id, "consumer id", err);
    if (rc == FLV_OK) {
        topic = flv_arena_text(&o->arena, ref->topic, strlen(ref->topic));
        rc = topic != NULL ? FLV_OK : no_memory(o, err);
    }
    if (rc != FLV_OK) {
        flv__admin_drop(o);
        return rc;
    }
    o->body.offset_delete.consumer_id = flv_slice_str(o->name);
    o->body.offset_delete.replica.topic = flv_slice_str(topic);
    o->body.offset_delete.replica.partition = ref->partition;
    o->call.api = FLV_API_SPU_DELETE_CONSUMER_OFFSET;
    o->call.done = offset_delete_done;
    o->call.message = (struct flv_wire_message){
        .schema = &flv_wire_delete_consumer_offset_request_schema,
        .body = &o->body};
    return submit_offsets(o, err);
}
