#include "server/topics.h"

#include "base/mem.h"
#include "server/ids.h"
#include "server/modules.h"
#include "wire/compress.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SPEC_ARENA_MAX ((size_t)1 << 20)

/* The stored form: the spec as the body of a create request, since that is
 * the message which carries it. */

void flv_topics_init(struct flv_topics *set)
{
    *set = (struct flv_topics){.next_id = 1};
}

static void topic_free(struct flv_topic *t)
{
    flv_free(t->partitions);
    flv_free(t->dedupers);
    flv_buf_deinit(&t->spec_bytes);
    flv_arena_deinit(&t->arena);
    flv_free(t);
}

void flv_topics_deinit(struct flv_topics *set)
{
    for (size_t i = 0; i < set->len; i++) {
        topic_free(set->sorted[i]);
    }
    flv_free(set->sorted);
    *set = (struct flv_topics){0};
}

/* ---- the sorted array ---- */

/* Where the name is, or where it would be inserted. */
static size_t
place(const struct flv_topics *set, struct flv_slice name, bool *found)
{
    size_t low = 0;
    size_t high = set->len;
    *found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = flv_slice_compare_str(name, set->sorted[mid]->name);
        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

struct flv_topic *flv_topics_find(const struct flv_topics *set,
                                  struct flv_slice name)
{
    bool found;
    size_t at = place(set, name, &found);
    return found ? set->sorted[at] : NULL;
}

struct flv_topic *flv_topics_by_id(const struct flv_topics *set, uint64_t id)
{
    for (size_t i = 0; i < set->len; i++) {
        if (set->sorted[i]->id == id) {
            return set->sorted[i];
        }
    }
    return NULL;
}

struct flv_partition *flv_topics_partition(const struct flv_topics *set,
                                           struct flv_slice topic,
                                           uint32_t partition,
                                           struct flv_topic **out_topic)
{
    struct flv_topic *t = flv_topics_find(set, topic);
    if (t == NULL || t->state == FLV_TOPIC_CREATING ||
        partition >= t->partition_count) {
        return NULL;
    }
    if (out_topic != NULL) {
        *out_topic = t;
    }
    return t->partitions[partition];
}

static flv_rc
insert(struct flv_topics *set, struct flv_topic *t, struct flv_err *err)
{
    bool found;
    size_t at = place(set, flv_slice_str(t->name), &found);
    assert(!found);
    if (set->len == set->cap) {
        size_t cap = set->cap > 0 ? set->cap * 2 : 16;
        void *grown =
            flv_realloc(set->sorted, cap * sizeof(struct flv_topic *));
        if (grown == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory");
        }
        set->sorted = grown;
        set->cap = cap;
    }
    memmove(&set->sorted[at + 1], &set->sorted[at],
            (set->len - at) * sizeof(struct flv_topic *));
    set->sorted[at] = t;
    set->len++;
    return FLV_OK;
}

void flv_topics_remove(struct flv_topics *set, struct flv_topic *t)
{
    bool found;
    size_t at = place(set, flv_slice_str(t->name), &found);
    assert(found && set->sorted[at] == t);
    memmove(&set->sorted[at], &set->sorted[at + 1],
            (set->len - at - 1) * sizeof(struct flv_topic *));
    set->len--;
    topic_free(t);
}

/* ---- specs ---- */

static flv_rc adopt_spec(struct flv_topic *t,
                         struct flv_slice bytes,
                         int version,
                         struct flv_err *err)
{
    struct flv_wire_topic_create stored;
    struct flv_slice in = bytes;
    flv_rc rc = flv_wire_topic_create_decode((int16_t)version, &in, &t->arena,
                                             &stored, err);
    if (rc == FLV_E_PROTOCOL) {
        flv_err_prefix(err, "spec of topic %s in meta.db", t->name);
        rc = FLV_E_CORRUPT;
    }
    if (rc == FLV_OK) {
        t->spec = stored.spec;
    }
    return rc;
}

static flv_rc keep_spec(struct flv_topic *t,
                        const struct flv_wire_topic_spec *spec,
                        struct flv_err *err)
{
    const struct flv_wire_topic_create stored = {.spec = *spec};
    struct flv_buf bytes;
    flv_buf_init(&bytes, FLV_TOPIC_SPEC_BYTES_MAX);
    flv_rc rc = flv_wire_topic_create_encode(FLV_TOPIC_SPEC_VERSION, &stored,
                                             &bytes, err);
    if (rc != FLV_OK) {
        flv_buf_deinit(&bytes);
        return rc;
    }
    struct flv_arena old = t->arena;
    flv_arena_init(&t->arena, 256, SPEC_ARENA_MAX);
    rc = adopt_spec(t, flv_buf_slice(&bytes), FLV_TOPIC_SPEC_VERSION, err);
    if (rc != FLV_OK) {
        flv_arena_deinit(&t->arena);
        t->arena = old;
        flv_buf_deinit(&bytes);
        return rc;
    }
    flv_arena_deinit(&old);
    flv_buf_deinit(&t->spec_bytes);
    t->spec_bytes = bytes;
    return FLV_OK;
}

static struct flv_topic *topic_new(struct flv_slice name)
{
    struct flv_topic *t = flv_zalloc(1, sizeof *t);
    if (t != NULL) {
        assert(name.len <= FLV_TOPIC_NAME_MAX);
        memcpy(t->name, name.data, name.len);
        flv_buf_init(&t->spec_bytes, FLV_TOPIC_SPEC_BYTES_MAX);
        flv_arena_init(&t->arena, 256, SPEC_ARENA_MAX);
        t->state = FLV_TOPIC_CREATING;
    }
    return t;
}

flv_rc flv_topics_add(struct flv_topics *set,
                      struct flv_slice name,
                      const struct flv_wire_topic_spec *spec,
                      enum flv_durability durability,
                      struct flv_topic **out,
                      struct flv_err *err)
{
    assert(flv_topic_name_ok(name));
    struct flv_topic *t = topic_new(name);
    if (t == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    t->durability = durability;
    flv_rc rc = keep_spec(t, spec, err);
    if (rc == FLV_OK) {
        rc = insert(set, t, err);
    }
    if (rc != FLV_OK) {
        topic_free(t);
        return rc;
    }
    t->id = set->next_id++;
    *out = t;
    return FLV_OK;
}

flv_rc flv_topics_load(struct flv_topics *set,
                       const struct flv_topic_row *row,
                       struct flv_topic **out,
                       struct flv_err *err)
{
    if (row->name.len == 0 || row->name.len > FLV_TOPIC_NAME_MAX ||
        flv_topics_find(set, row->name) != NULL ||
        row->durability > FLV_DURABLE_PAGE_CACHE) {
        return flv_fail(err, FLV_E_CORRUPT,
                        "topic %llu in meta.db has a broken name or "
                        "durability",
                        (unsigned long long)row->id);
    }
    struct flv_topic *t = topic_new(row->name);
    if (t == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    t->id = row->id;
    t->durability = row->durability;
    flv_rc rc = flv_buf_add(&t->spec_bytes, row->spec.data, row->spec.len);
    if (rc == FLV_OK) {
        rc = adopt_spec(t, flv_buf_slice(&t->spec_bytes), row->spec_version,
                        err);
    }
    if (rc == FLV_OK) {
        rc = insert(set, t, err);
    }
    if (rc != FLV_OK) {
        topic_free(t);
        return rc;
    }
    *out = t;
    return FLV_OK;
}

flv_rc
flv_topic_set_count(struct flv_topic *t, uint32_t count, struct flv_err *err)
{
    assert(t->spec.replicas.tag == FLV_WIRE_REPLICA_COMPUTED);
    struct flv_wire_topic_spec spec = t->spec;
    spec.replicas.computed.partitions = count;
    return keep_spec(t, &spec, err);
}

flv_rc
flv_topic_reserve(struct flv_topic *t, uint32_t count, struct flv_err *err)
{
    assert(count >= t->partition_count && count <= FLV_TOPIC_PARTITIONS_MAX);
    struct flv_partition **partitions =
        flv_realloc(t->partitions, count * sizeof(void *));
    if (partitions == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    t->partitions = partitions;
    for (uint32_t i = t->partition_count; i < count; i++) {
        partitions[i] = NULL;
    }
    struct flv_deduper **dedupers =
        flv_realloc(t->dedupers, count * sizeof(void *));
    if (dedupers == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    t->dedupers = dedupers;
    for (uint32_t i = t->partition_count; i < count; i++) {
        dedupers[i] = NULL;
    }
    return FLV_OK;
}

struct flv_topic_row flv_topic_row(const struct flv_topic *t)
{
    return (struct flv_topic_row){
        .id = t->id,
        .name = flv_slice_str(t->name),
        .partition_count = t->partition_count,
        .durability = (uint8_t)t->durability,
        .system = t->spec.system,
        .spec_version = FLV_TOPIC_SPEC_VERSION,
        .spec = flv_buf_slice(&t->spec_bytes),
    };
}

struct flv_part_conf flv_topic_part_conf(const struct flv_topic *t,
                                         uint32_t batch_bytes_max)
{
    struct flv_part_conf conf = {.durability = t->durability,
                                 .batch_bytes_max = batch_bytes_max};
    const struct flv_wire_topic_storage *storage = &t->spec.storage.v;
    uint32_t keep_s = t->spec.cleanup_policy.has
                          ? t->spec.cleanup_policy.v.retention_seconds
                          : FLV_TOPIC_KEEP_SECONDS;
    conf.keep.age_ms = (uint64_t)keep_s * 1000;
    conf.keep.roll = t->spec.cleanup_policy.has;
    conf.keep.bytes = FLV_TOPIC_KEEP_BYTES;
    if (t->spec.storage.has && storage->segment_size_bytes.has) {
        conf.segment_bytes = storage->segment_size_bytes.v;
    }
    if (t->spec.storage.has && storage->partition_size_bytes_max.has) {
        conf.keep.bytes = storage->partition_size_bytes_max.v;
    }
    return conf;
}

/* ---- checks ---- */

bool flv_topic_name_ok(struct flv_slice name)
{
    if (name.len == 0 || name.len > FLV_TOPIC_NAME_MAX || name.data[0] == '-' ||
        name.data[name.len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') {
            return false;
        }
    }
    return true;
}

#define WHY(...) ((void)snprintf(why, FLV_TOPIC_WHY_MAX, __VA_ARGS__))

static int16_t check_assigned(const struct flv_wire_replica_spec *replicas,
                              uint32_t *out_partitions,
                              char *why)
{
    for (uint32_t i = 0; i < replicas->assigned.len; i++) {
        const struct flv_wire_partition_map *map = &replicas->assigned.at[i];
        if (map->id != i) {
            WHY("assigned partitions must be numbered from 0 without gaps, "
                "and number %u stands in place %u",
                map->id, i);
            return FLV_WIRE_TOPIC_INVALID_CONFIGURATION;
        }
        if (map->replicas.len != 1 || map->replicas.at[0] != FLV_SPU_ID) {
            WHY("partition %u must be assigned to SPU %d alone, the only one "
                "of this cluster",
                i, FLV_SPU_ID);
            return FLV_WIRE_TOPIC_ERROR;
        }
    }
    *out_partitions = replicas->assigned.len;
    return FLV_WIRE_NONE;
}

static int16_t check_replicas(const struct flv_wire_replica_spec *replicas,
                              uint32_t *out_partitions,
                              char *why)
{
    int16_t code = FLV_WIRE_NONE;
    *out_partitions = 0;
    switch (replicas->tag) {
    case FLV_WIRE_REPLICA_COMPUTED:
        *out_partitions = replicas->computed.partitions;
        if (replicas->computed.replication_factor == 0) {
            WHY("the replication factor must be greater than 0");
            return FLV_WIRE_TOPIC_INVALID_CONFIGURATION;
        }
        if (replicas->computed.replication_factor > 1) {
            WHY("a replication factor of %u needs as many SPUs, and this "
                "cluster has 1",
                replicas->computed.replication_factor);
            return FLV_WIRE_TOPIC_NOT_PROVISIONED;
        }
        break;
    case FLV_WIRE_REPLICA_ASSIGNED:
        code = check_assigned(replicas, out_partitions, why);
        break;
    default:
        WHY("mirror topics are not supported by this version of the server");
        return FLV_WIRE_TOPIC_INVALID_CONFIGURATION;
    }
    if (code == FLV_WIRE_NONE &&
        (*out_partitions == 0 || *out_partitions > FLV_TOPIC_PARTITIONS_MAX)) {
        WHY("a topic has 1 to %d partitions and %u were asked for",
            FLV_TOPIC_PARTITIONS_MAX, *out_partitions);
        code = FLV_WIRE_TOPIC_INVALID_CONFIGURATION;
    }
    return code;
}

static int16_t check_storage(const struct flv_wire_topic_storage *storage,
                             char *why)
{
    uint64_t segment = UINT64_C(1) << 30;
    if (storage->segment_size_bytes.has) {
        segment = storage->segment_size_bytes.v;
        if (segment < 1024 || segment > FLV_SEGMENT_BYTES_MAX) {
            WHY("the segment size must be 1024 to %u bytes and is %llu",
                FLV_SEGMENT_BYTES_MAX, (unsigned long long)segment);
            return FLV_WIRE_TOPIC_INVALID_CONFIGURATION;
        }
    }
    if (storage->partition_size_bytes_max.has) {
        uint64_t whole = storage->partition_size_bytes_max.v;
        if (whole < 2048 || whole < segment) {
            WHY("the partition size must be at least 2048 bytes and at least "
                "the segment size (%llu), and is %llu",
                (unsigned long long)segment, (unsigned long long)whole);
            return FLV_WIRE_TOPIC_INVALID_CONFIGURATION;
        }
    }
    return FLV_WIRE_NONE;
}

/* Whether the SmartModule is here is asked elsewhere: a topic outlives it. */
static int16_t check_dedup(const struct flv_wire_deduplication *d, char *why)
{
    size_t bytes = 0;
    if (d->uses.len == 0 || d->uses.len > FLV_MODULE_KEY_MAX ||
        memchr(d->uses.data, 0, d->uses.len) != NULL) {
        WHY("the SmartModule of a deduplication has a name of 1 to %d bytes",
            FLV_MODULE_KEY_MAX);
        return FLV_WIRE_DEDUPLICATION_NAME_INVALID;
    }
    if (d->count > FLV_TOPIC_DEDUP_COUNT_MAX) {
        WHY("a deduplication remembers at most %d records and %llu were asked "
            "for",
            FLV_TOPIC_DEDUP_COUNT_MAX, (unsigned long long)d->count);
        return FLV_WIRE_TOPIC_INVALID_CONFIGURATION;
    }
    for (uint32_t i = 0; i < d->with.len; i++) {
        bytes += d->with.at[i].key.len + d->with.at[i].value.len;
    }
    if (d->with.len > FLV_TOPIC_DEDUP_PARAMS_MAX ||
        bytes > FLV_TOPIC_DEDUP_BYTES_MAX) {
        WHY("a deduplication has at most %d parameters of %d bytes in all",
            FLV_TOPIC_DEDUP_PARAMS_MAX, FLV_TOPIC_DEDUP_BYTES_MAX);
        return FLV_WIRE_TOPIC_INVALID_CONFIGURATION;
    }
    return FLV_WIRE_NONE;
}

int16_t flv_topic_spec_check(const struct flv_wire_topic_spec *spec,
                             uint32_t *out_partitions,
                             char *why)
{
    int16_t code = check_replicas(&spec->replicas, out_partitions, why);
    if (code != FLV_WIRE_NONE) {
        return code;
    }
    if (spec->cleanup_policy.has &&
        spec->cleanup_policy.v.retention_seconds < 10) {
        WHY("the retention time must be at least 10 seconds and is %u",
            spec->cleanup_policy.v.retention_seconds);
        return FLV_WIRE_TOPIC_INVALID_CONFIGURATION;
    }
    if (spec->storage.has) {
        code = check_storage(&spec->storage.v, why);
        if (code != FLV_WIRE_NONE) {
            return code;
        }
    }
    if (spec->compression > FLV_WIRE_COMPRESSION_ZSTD) {
        WHY("%u is not a compression", spec->compression);
        return FLV_WIRE_TOPIC_INVALID_CONFIGURATION;
    }
    return spec->deduplication.has ? check_dedup(&spec->deduplication.v, why)
                                   : FLV_WIRE_NONE;
}

bool flv_topic_codec_ok(const struct flv_wire_topic_spec *spec,
                        enum flv_codec codec)
{
    switch (spec->compression) {
    case FLV_WIRE_COMPRESSION_ANY:
        return true;
    case FLV_WIRE_COMPRESSION_NONE:
        return codec == FLV_CODEC_NONE;
    case FLV_WIRE_COMPRESSION_GZIP:
        return codec == FLV_CODEC_GZIP;
    case FLV_WIRE_COMPRESSION_SNAPPY:
        return codec == FLV_CODEC_SNAPPY;
    case FLV_WIRE_COMPRESSION_LZ4:
        return codec == FLV_CODEC_LZ4;
    case FLV_WIRE_COMPRESSION_ZSTD:
        return codec == FLV_CODEC_ZSTD;
    default:
        return false;
    }
}
