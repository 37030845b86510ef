#include "server/service.h"

#include "base/mem.h"
#include "server/ids.h"
#include "server/lifecycle.h"
#include "server/objects.h"
#include "server/state.h"
#include "server/watch.h"
#include "wire/classic.h"
#include "wire/ext.h"
#include "wire/sc.h"

#include <stdio.h>
#include <string.h>

#define LIST_ARENA_MAX ((size_t)64 << 20)

/* ---- statuses ---- */

void flv_status_answer(struct flv_token *t,
                       struct flv_slice name,
                       struct flv_wire_error error,
                       const char *message)
{
    struct flv_wire_status body = {.name = name, .error = error};
    flv_wire_error_downgrade(&body.error, FLV_WIRE_SC, t->head.version);
    body.message.has = message != NULL;
    body.message.v = flv_slice_str(message);
    flv_token_answer(t, &flv_wire_status_schema, &body, NULL);
}

flv_rc flv_status_refuse(const struct flv_request *r,
                         struct flv_slice name,
                         int16_t code,
                         const char *message)
{
    struct flv_token t = flv_peer_hold(r);
    flv_status_answer(&t, name, flv_wire_error_text(code, message), message);
    return FLV_OK;
}

struct flv_status_later *flv_status_later_new(const struct flv_request *r,
                                              struct flv_slice name)
{
    struct flv_status_later *l = flv_zalloc(1, sizeof *l + name.len);
    if (l != NULL) {
        l->token = flv_peer_hold(r);
        l->name_len = name.len;
        if (name.len > 0) {
            memcpy(l->name, name.data, name.len);
        }
    }
    return l;
}

void flv_status_later_done(void *ctx, int16_t code, const char *why)
{
    struct flv_status_later *l = ctx;
    flv_status_answer(&l->token, flv_slice(l->name, l->name_len),
                      flv_wire_error_text(code, why), why);
    flv_free(l);
}

/* A change of the topic failed and may have been made nevertheless. */
static flv_rc refuse_doubt(const struct flv_request *r, struct flv_slice name)
{
    return flv_status_refuse(
        r, name, FLV_WIRE_TOPIC_ERROR,
        "a change of this topic failed; " FLV_TOPIC_DOUBT_TEXT);
}

/* ---- objects that this version does not have ---- */

struct absent {
    const char *plural;
    int16_t create_code, delete_code;
};

static struct absent absent_of(enum flv_wire_object object)
{
    switch (object) {
    case FLV_WIRE_TABLE_FORMAT:
        return (struct absent){"changes of table formats",
                               FLV_WIRE_TABLE_FORMAT_ERROR,
                               FLV_WIRE_TABLE_FORMAT_ERROR};
    case FLV_WIRE_MIRROR:
        return (struct absent){"mirrors", FLV_WIRE_OTHER,
                               FLV_WIRE_MIRROR_NOT_FOUND};
    case FLV_WIRE_PARTITION:
        return (struct absent){"changes of single partitions", FLV_WIRE_OTHER,
                               FLV_WIRE_OTHER};
    default:
        return (struct absent){"further SPUs", FLV_WIRE_SPU_ERROR,
                               FLV_WIRE_SPU_NOT_FOUND};
    }
}

static flv_rc refuse_absent(const struct flv_request *r,
                            enum flv_wire_object object,
                            struct flv_slice name)
{
    char message[128];
    const struct absent absent = absent_of(object);
    bool is_delete = r->head.api_key == FLV_API_SC_DELETE;
    snprintf(message, sizeof message,
             "%s are not supported by this version of fluvio-server",
             absent.plural);
    struct flv_token t = flv_peer_hold(r);
    const struct flv_wire_error error = flv_wire_error_text(
        is_delete ? absent.delete_code : absent.create_code, message);
    flv_status_answer(&t, name, error, message);
    return FLV_OK;
}

/* ---- create ---- */

/* A topic that nobody could produce to is not made. */
static int16_t check_module(const struct flv_server *s,
                            struct flv_slice name,
                            char why[FLV_TOPIC_WHY_MAX])
{
    if (flv_modules_find(&s->modules, name) != NULL) {
        return FLV_WIRE_NONE;
    }
    snprintf(why, FLV_TOPIC_WHY_MAX,
             "Deduplication SmartModule not loaded: there is no SmartModule "
             "%.*s on this cluster; store it with `fluvio smartmodule create` "
             "first",
             (int)(name.len < 60 ? name.len : 60), (const char *)name.data);
    return FLV_WIRE_DEDUPLICATION_NOT_LOADED;
}

static flv_rc create(const struct flv_request *r,
                     const struct flv_wire_topic_create *req,
                     enum flv_durability durability)
{
    struct flv_server *s = r->peer->server;
    struct flv_slice name = req->common.name;
    char why[FLV_TOPIC_WHY_MAX];
    uint32_t partitions = 0;
    if (!flv_topic_name_ok(name)) {
        return flv_status_refuse(
            r, name, FLV_WIRE_TOPIC_INVALID_NAME,
            "a topic name has 1 to 63 characters of a-z, 0-9 and -, "
            "and neither begins nor ends with -");
    }
    if (!flv_peer_may(r->peer, FLV_RIGHT_CREATE, name)) {
        return flv_status_refuse(r, name, FLV_WIRE_PERMISSION_DENIED,
                                 FLV_SERVICE_NO_RIGHT);
    }
    const struct flv_topic *t = flv_topics_find(&s->topics, name);
    if (t != NULL && t->in_doubt) {
        return refuse_doubt(r, name);
    }
    if (t != NULL) {
        snprintf(why, sizeof why, "Topic '%.*s' already exists", (int)name.len,
                 (const char *)name.data);
        return flv_status_refuse(r, name, FLV_WIRE_TOPIC_ALREADY_EXISTS, why);
    }
    int16_t code = flv_topic_spec_check(&req->spec, &partitions, why);
    if (code == FLV_WIRE_NONE && req->spec.deduplication.has) {
        code = check_module(s, req->spec.deduplication.v.uses, why);
    }
    if (code != FLV_WIRE_NONE || req->common.dry_run) {
        return flv_status_refuse(r, name, code,
                                 code != FLV_WIRE_NONE ? why : NULL);
    }
    struct flv_status_later *l = flv_status_later_new(r, name);
    if (l == NULL) {
        return flv_status_refuse(r, name, FLV_WIRE_TOPIC_ERROR,
                                 "out of memory");
    }
    flv_lifecycle_create(s, name, &req->spec, durability, flv_status_later_done,
                         l);
    return FLV_OK;
}

static flv_rc serve_create(struct flv_request *r,
                           enum flv_wire_object object,
                           struct flv_slice body,
                           struct flv_err *err)
{
    struct flv_arena *arena = &r->peer->server->arena;
    if (object == FLV_WIRE_TOPIC) {
        struct flv_wire_topic_create req;
        flv_rc rc = flv_wire_topic_create_decode(r->head.version, &body, arena,
                                                 &req, err);
        return rc == FLV_OK ? create(r, &req, FLV_DURABLE_DISK) : rc;
    }
    if (object == FLV_WIRE_SMARTMODULE) {
        return flv_module_create_serve(r, body, err);
    }
    if (object == FLV_WIRE_TABLE_FORMAT) {
        return flv_format_create_serve(r, body, err);
    }
    struct flv_wire_create_common common;
    flv_rc rc = flv_wire_create_common_decode(r->head.version, &body, arena,
                                              &common, err);
    return rc == FLV_OK ? refuse_absent(r, object, common.name) : rc;
}

static flv_rc serve_create_ext(struct flv_request *r, struct flv_err *err)
{
    struct flv_wire_topic_create_ext req;
    flv_rc rc = flv_wire_topic_create_ext_decode(
        r->head.version, &r->body, &r->peer->server->arena, &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (req.durability > FLV_WIRE_DURABILITY_PAGE_CACHE) {
        return flv_status_refuse(r, req.create.common.name,
                                 FLV_WIRE_TOPIC_INVALID_CONFIGURATION,
                                 "the durability must be disk or page-cache");
    }
    return create(r, &req.create,
                  req.durability == FLV_WIRE_DURABILITY_PAGE_CACHE
                      ? FLV_DURABLE_PAGE_CACHE
                      : FLV_DURABLE_DISK);
}

/* ---- delete and update ---- */

/* The topic, if it can be worked on; otherwise the request is answered. */
static struct flv_topic *topic_for(const struct flv_request *r,
                                   enum flv_right right,
                                   struct flv_slice name,
                                   bool force)
{
    struct flv_topic *t = flv_topics_find(&r->peer->server->topics, name);
    bool is_delete = r->head.api_key == FLV_API_SC_DELETE;
    if (!flv_peer_may(r->peer, right, name)) {
        (void)flv_status_refuse(r, name, FLV_WIRE_PERMISSION_DENIED,
                                FLV_SERVICE_NO_RIGHT);
        return NULL;
    }
    if (t != NULL && t->in_doubt) {
        (void)refuse_doubt(r, name);
        return NULL;
    }
    if (t == NULL || t->state == FLV_TOPIC_DELETING) {
        (void)flv_status_refuse(r, name, FLV_WIRE_TOPIC_NOT_FOUND, "not found");
        return NULL;
    }
    if (flv_topic_is_own(t) || (t->spec.system && is_delete && !force)) {
        struct flv_token token = flv_peer_hold(r);
        const struct flv_wire_error error = {
            .code = is_delete ? FLV_WIRE_SYSTEM_SPEC_DELETION_ATTEMPT
                              : FLV_WIRE_SYSTEM_SPEC_UPDATING_ATTEMPT,
            .text = flv_slice_str("Topic"),
            .text2 = name};
        flv_status_answer(
            &token, name, error,
            flv_topic_is_own(t)
                ? "this system topic belongs to the server and stays as it is"
                : "system topics are only deleted by force");
        return NULL;
    }
    if (t->state == FLV_TOPIC_CREATING || t->growing) {
        (void)flv_status_refuse(
            r, name, FLV_WIRE_TOPIC_PENDING_INITIALIZATION,
            "partitions of the topic are being made; try again");
        return NULL;
    }
    return t;
}

static flv_rc serve_delete(struct flv_request *r,
                           enum flv_wire_object object,
                           struct flv_slice body,
                           struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    if (object == FLV_WIRE_CUSTOM_SPU) {
        struct flv_wire_custom_spu_delete req;
        flv_rc rc = flv_wire_custom_spu_delete_decode(r->head.version, &body,
                                                      &s->arena, &req, err);
        return rc == FLV_OK ? refuse_absent(r, object, req.name) : rc;
    }
    struct flv_wire_delete_request req;
    flv_rc rc = flv_wire_delete_request_decode(r->head.version, &body,
                                               &s->arena, &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (object == FLV_WIRE_SMARTMODULE) {
        return flv_module_delete_serve(r, req.key, err);
    }
    if (object == FLV_WIRE_TABLE_FORMAT) {
        return flv_format_delete_serve(r, req.key, err);
    }
    if (object != FLV_WIRE_TOPIC) {
        return refuse_absent(r, object, req.key);
    }
    struct flv_topic *t = topic_for(r, FLV_RIGHT_DELETE, req.key, req.force);
    if (t == NULL) {
        return FLV_OK;
    }
    struct flv_status_later *l = flv_status_later_new(r, req.key);
    if (l == NULL) {
        return flv_status_refuse(r, req.key, FLV_WIRE_TOPIC_ERROR,
                                 "out of memory");
    }
    flv_lifecycle_delete(s, t, flv_status_later_done, l);
    return FLV_OK;
}

static flv_rc
grow(const struct flv_request *r, struct flv_topic *t, uint32_t more)
{
    struct flv_slice name = flv_slice_str(t->name);
    if (t->spec.replicas.tag != FLV_WIRE_REPLICA_COMPUTED) {
        return flv_status_refuse(r, name, FLV_WIRE_TOPIC_INVALID_REPLICA_TYPE,
                                 "only topics with computed replicas can grow");
    }
    if (more == 0 || more > FLV_TOPIC_PARTITIONS_MAX - t->partition_count) {
        return flv_status_refuse(
            r, name, FLV_WIRE_TOPIC_INVALID_CONFIGURATION,
            "a topic has at most 1000 partitions, and at least one "
            "has to be added");
    }
    struct flv_status_later *l = flv_status_later_new(r, name);
    if (l == NULL) {
        return flv_status_refuse(r, name, FLV_WIRE_TOPIC_ERROR,
                                 "out of memory");
    }
    flv_lifecycle_grow(r->peer->server, t, more, flv_status_later_done, l);
    return FLV_OK;
}

static flv_rc serve_update(struct flv_request *r,
                           enum flv_wire_object object,
                           struct flv_slice body,
                           struct flv_err *err)
{
    if (object != FLV_WIRE_TOPIC) {
        return refuse_absent(r, object, flv_slice(NULL, 0));
    }
    struct flv_wire_topic_update req;
    flv_rc rc = flv_wire_topic_update_decode(
        r->head.version, &body, &r->peer->server->arena, &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct flv_topic *t = topic_for(r, FLV_RIGHT_CREATE, req.key, false);
    if (t == NULL) {
        return FLV_OK;
    }
    return req.action.tag == FLV_WIRE_TOPIC_ADD_PARTITION
               ? grow(r, t, req.action.count)
               : flv_status_refuse(
                     r, req.key, FLV_WIRE_OTHER,
                     "mirrors are not supported by this version of "
                     "fluvio-server");
}

/* ---- list ---- */

static bool contains(const char *name, struct flv_slice part)
{
    return part.len == 0 ||
           memmem(name, strlen(name), part.data, part.len) != NULL;
}

bool flv_list_wants(const struct flv_wire_list_request *req, const char *name)
{
    bool match = req->name_filters.len == 0;
    for (uint32_t i = 0; i < req->name_filters.len && !match; i++) {
        match = contains(name, req->name_filters.at[i]);
    }
    return match;
}

static bool is_listed(const struct flv_topic *t,
                      const struct flv_wire_list_request *req,
                      bool by_name)
{
    if (t->state == FLV_TOPIC_CREATING || t->spec.system != req->system) {
        return false;
    }
    return !by_name || flv_list_wants(req, t->name);
}

static flv_rc list_topics(const struct flv_server *s,
                          const struct flv_wire_list_request *req,
                          struct flv_arena *arena,
                          struct flv_wire_topic_list *out,
                          struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    out->items.at =
        FLV_ARENA_NEW(arena, struct flv_wire_topic, s->topics.len + 1);
    if (out->items.at == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < s->topics.len && rc == FLV_OK; i++) {
        if (is_listed(s->topics.sorted[i], req, true)) {
            rc = flv_object_topic(s->topics.sorted[i], arena,
                                  &out->items.at[out->items.len++], err);
        }
    }
    return rc;
}

static flv_rc list_partitions(const struct flv_server *s,
                              const struct flv_wire_list_request *req,
                              struct flv_arena *arena,
                              struct flv_wire_partition_list *out,
                              struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    out->items.at = FLV_ARENA_NEW(arena, struct flv_wire_partition,
                                  s->topics.partition_count + 1);
    if (out->items.at == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < s->topics.len; i++) {
        const struct flv_topic *t = s->topics.sorted[i];
        if (!is_listed(t, req, false)) {
            continue;
        }
        for (uint32_t p = 0; p < t->partition_count && rc == FLV_OK; p++) {
            rc = flv_object_partition(t, p, arena,
                                      &out->items.at[out->items.len++], err);
        }
    }
    return rc;
}

static flv_rc list_spus(const struct flv_server *s,
                        const struct flv_wire_list_request *req,
                        struct flv_arena *arena,
                        struct flv_wire_spu_list *out,
                        struct flv_err *err)
{
    out->items.at = FLV_ARENA_NEW(arena, struct flv_wire_spu, 1);
    if (out->items.at == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc = flv_object_spu(s, arena, out->items.at, err);
    out->items.len = flv_list_wants(req, FLV_SPU_NAME) ? 1 : 0;
    return rc;
}

static flv_rc serve_list(struct flv_request *r,
                         enum flv_wire_object object,
                         struct flv_slice body,
                         struct flv_err *err)
{
    struct flv_server *s = r->peer->server;
    struct flv_wire_list_request req;
    if (object == FLV_WIRE_SMARTMODULE) {
        return flv_module_list_serve(r, body, err);
    }
    if (object == FLV_WIRE_TABLE_FORMAT) {
        return flv_format_list_serve(r, body, err);
    }
    flv_rc rc = flv_wire_list_request_decode(r->head.version, &body, &s->arena,
                                             &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    union {
        struct flv_wire_topic_list topics;
        struct flv_wire_partition_list partitions;
        struct flv_wire_spu_list spus;
        struct flv_wire_smartmodule_list empty; /* stands for all others */
    } out = {0};
    const struct flv_wire_schema *schema = &flv_wire_smartmodule_list_schema;
    struct flv_arena arena;
    flv_arena_init(&arena, 4096, LIST_ARENA_MAX);
    switch (object) {
    case FLV_WIRE_TOPIC:
        schema = &flv_wire_topic_list_schema;
        rc = list_topics(s, &req, &arena, &out.topics, err);
        break;
    case FLV_WIRE_PARTITION:
        schema = &flv_wire_partition_list_schema;
        rc = list_partitions(s, &req, &arena, &out.partitions, err);
        break;
    case FLV_WIRE_SPU_OBJECT:
        schema = &flv_wire_spu_list_schema;
        rc = list_spus(s, &req, &arena, &out.spus, err);
        break;
    default:
        break;
    }
    if (rc == FLV_OK) {
        struct flv_token t = flv_peer_hold(r);
        flv_token_answer(&t, schema, &out, flv_wire_object_label(object));
    }
    flv_arena_deinit(&arena);
    return rc;
}

/* ---- dispatch ---- */

static flv_rc serve_watch(struct flv_request *r,
                          enum flv_wire_object object,
                          struct flv_slice body,
                          struct flv_err *err)
{
    struct flv_wire_watch_request req;
    flv_rc rc = flv_wire_watch_request_decode(
        r->head.version, &body, &r->peer->server->arena, &req, err);
    return rc == FLV_OK ? flv_watch_start(r, object, err) : rc;
}

static flv_rc unknown_object(const struct flv_request *r,
                             struct flv_slice label,
                             struct flv_err *err)
{
    if (r->head.api_key == FLV_API_SC_LIST ||
        r->head.api_key == FLV_API_SC_WATCH) {
        return flv_fail(err, FLV_E_PROTOCOL, "unknown object type %.*s",
                        (int)(label.len < 64 ? label.len : 64),
                        (const char *)label.data);
    }
    return flv_status_refuse(r, flv_slice(NULL, 0), FLV_WIRE_OTHER,
                             "unknown admin object type");
}

/* ---- the creation of a topic ---- */

static flv_rc serve_topic_look(struct flv_request *r, struct flv_err *err)
{
    struct flv_wire_topic_look req;
    struct flv_server *s = r->peer->server;
    flv_rc rc = flv_wire_topic_look_decode(r->head.version, &r->body, &s->arena,
                                           &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    const struct flv_topic *t = topic_for(r, FLV_RIGHT_CONSUME, req.name, true);
    char id[FLV_WIRE_TOPIC_ID_MAX + 1];
    if (t == NULL) {
        return FLV_OK;
    }
    flv_topic_creation(s, t->id, id);
    return flv_status_refuse(r, req.name, FLV_WIRE_NONE, id);
}

/* ---- mirroring ---- */

/* A remote cluster that takes this one for its home. */
static flv_rc refuse_mirroring(const struct flv_request *r,
                               struct flv_slice body,
                               struct flv_err *err)
{
    struct flv_wire_mirroring_request req;
    flv_rc rc = flv_wire_mirroring_request_decode(
        r->head.version, &body, &r->peer->server->arena, &req, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct flv_wire_mirroring_status out = {
        .name = req.remote_id,
        .error = flv_wire_error(FLV_WIRE_MIRROR_NOT_FOUND)};
    flv_wire_error_downgrade(&out.error, FLV_WIRE_SC, r->head.version);
    out.message.has = true;
    out.message.v = flv_slice_str(
        "mirrors are not supported by this version of fluvio-server");
    struct flv_token t = flv_peer_hold(r);
    flv_token_answer(&t, &flv_wire_mirroring_status_schema, &out, NULL);
    return FLV_OK;
}

static flv_rc serve_object(struct flv_request *r, struct flv_err *err)
{
    struct flv_arena *arena = &r->peer->server->arena;
    struct flv_wire_envelope env;
    flv_rc rc = flv_wire_is_classic(r->head.version)
                    ? flv_wire_classic_open(r->head.api_key, r->head.version,
                                            r->body, arena, &env, err)
                    : flv_wire_envelope_decode(r->head.version, &r->body, arena,
                                               &env, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (r->head.api_key == FLV_API_SC_MIRRORING) {
        return refuse_mirroring(r, env.body, err);
    }
    enum flv_wire_object object;
    if (!flv_wire_object_of(env.label, &object)) {
        return unknown_object(r, env.label, err);
    }
    switch (r->head.api_key) {
    case FLV_API_SC_CREATE:
        return serve_create(r, object, env.body, err);
    case FLV_API_SC_DELETE:
        return serve_delete(r, object, env.body, err);
    case FLV_API_SC_LIST:
        return serve_list(r, object, env.body, err);
    case FLV_API_SC_WATCH:
        return serve_watch(r, object, env.body, err);
    default:
        return serve_update(r, object, env.body, err);
    }
}

flv_rc flv_sc_serve(struct flv_request *r, struct flv_err *err)
{
    switch (r->head.api_key) {
    case FLV_API_VERSIONS:
        return flv_api_versions_serve(r, err);
    case FLV_API_SC_CREATE:
    case FLV_API_SC_DELETE:
    case FLV_API_SC_LIST:
    case FLV_API_SC_WATCH:
    case FLV_API_SC_MIRRORING:
    case FLV_API_SC_UPDATE:
        return serve_object(r, err);
    case FLV_API_SC_TOPIC_CREATE_EXT:
        return serve_create_ext(r, err);
    case FLV_API_SC_TOPIC_LOOK:
        return serve_topic_look(r, err);
    case FLV_API_SC_POSITION_STORE:
        return flv_position_store_serve(r, err);
    case FLV_API_SC_SERVER_LOOK:
        return flv_server_look_serve(r, err);
    default:
        return flv_fail(err, FLV_E_PROTOCOL, "api key %u is unknown",
                        r->head.api_key);
    }
}
