#include "server/objects.h"

#include "server/ids.h"
#include "server/state.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static flv_rc no_memory(const struct flv_arena *arena, struct flv_err *err)
{
    return flv_arena_full(arena)
               ? flv_fail(err, FLV_E_LIMIT, "the answer would be too large")
               : flv_fail(err, FLV_E_NOMEM, "out of memory");
}

/* Every replica of this cluster lives on its only SPU. */
static int32_t *the_spu(struct flv_arena *arena)
{
    int32_t *id = FLV_ARENA_NEW(arena, int32_t, 1);
    if (id != NULL) {
        *id = FLV_SPU_ID;
    }
    return id;
}

flv_rc flv_object_topic(const struct flv_topic *t,
                        struct flv_arena *arena,
                        struct flv_wire_topic *out,
                        struct flv_err *err)
{
    int32_t *spu = the_spu(arena);
    struct flv_wire_replica_entry *map =
        FLV_ARENA_NEW(arena, struct flv_wire_replica_entry, t->partition_count);
    if (spu == NULL || (map == NULL && t->partition_count > 0)) {
        return no_memory(arena, err);
    }
    for (uint32_t i = 0; i < t->partition_count; i++) {
        map[i].partition = i;
        map[i].spus.at = spu;
        map[i].spus.len = 1;
    }
    *out = (struct flv_wire_topic){
        .name = flv_slice_str(t->name),
        .spec = t->spec,
        .status = {.resolution = FLV_WIRE_TOPIC_PROVISIONED},
    };
    out->status.replica_map.at = map;
    out->status.replica_map.len = t->partition_count;
    return FLV_OK;
}

flv_rc flv_object_partition(const struct flv_topic *t,
                            uint32_t index,
                            struct flv_arena *arena,
                            struct flv_wire_partition *out,
                            struct flv_err *err)
{
    assert(index < t->partition_count);
    const struct flv_partition *p = t->partitions[index];
    int32_t *spu = the_spu(arena);
    const char *name = flv_partition_name(p);
    char *copy = flv_arena_text(arena, name, strlen(name));
    if (spu == NULL || copy == NULL) {
        return no_memory(arena, err);
    }
    struct flv_part_info info;
    flv_partition_info(p, &info);
    bool online = flv_partition_state(p) == FLV_PART_ONLINE;
    *out = (struct flv_wire_partition){
        .name = flv_slice_str(copy),
        .spec = {.leader = FLV_SPU_ID,
                 .compression = t->spec.compression,
                 .system = t->spec.system},
        .status = {.resolution = online ? FLV_WIRE_PARTITION_ONLINE
                                        : FLV_WIRE_PARTITION_OFFLINE,
                   .leader = {.spu = FLV_SPU_ID,
                              .hw = info.hw,
                              .leo = info.leo},
                   .size_bytes = online ? (int64_t)info.size_bytes : -1,
                   .base_offset = info.start_offset},
    };
    out->spec.replicas.at = spu;
    out->spec.replicas.len = 1;
    out->spec.cleanup_policy.has = t->spec.cleanup_policy.has;
    out->spec.cleanup_policy.v = t->spec.cleanup_policy.v;
    out->spec.storage.has = t->spec.storage.has;
    out->spec.storage.v = t->spec.storage.v;
    out->spec.deduplication.has = t->spec.deduplication.has;
    out->spec.deduplication.v = t->spec.deduplication.v;
    return FLV_OK;
}

struct flv_wire_smartmodule flv_object_module(const struct flv_module *m)
{
    struct flv_wire_smartmodule out = {.name = flv_slice_str(m->key),
                                       .spec = m->spec};
    out.spec.summary_wasm_bytes.has = true;
    out.spec.summary_wasm_bytes.v = m->payload_bytes;
    return out;
}

/* Fluvio's own cluster leaves them in that state, too. */
struct flv_wire_table_format flv_object_format(const struct flv_format *f)
{
    return (struct flv_wire_table_format){.name = flv_slice_str(f->name),
                                          .spec = f->spec};
}

flv_rc flv_object_spu(const struct flv_server *s,
                      struct flv_arena *arena,
                      struct flv_wire_spu *out,
                      struct flv_err *err)
{
    struct flv_wire_ingress *ingress =
        FLV_ARENA_NEW(arena, struct flv_wire_ingress, 1);
    if (ingress == NULL) {
        return no_memory(arena, err);
    }
    ingress->hostname.has = true;
    ingress->hostname.v = flv_slice_str(s->conf.advertise);
    *out = (struct flv_wire_spu){
        .name = flv_slice_str(FLV_SPU_NAME),
        .spec = {.id = FLV_SPU_ID,
                 .spu_type = FLV_WIRE_SPU_CUSTOM,
                 .public_endpoint = {.port = flv_listener_port(s->spu)},
                 .private_endpoint = {.port = FLV_SPU_PRIVATE_PORT,
                                      .host =
                                          flv_slice_str(s->conf.advertise)}},
        .status = FLV_WIRE_SPU_ONLINE,
    };
    out->spec.public_endpoint.ingress.at = ingress;
    out->spec.public_endpoint.ingress.len = 1;
    return FLV_OK;
}
