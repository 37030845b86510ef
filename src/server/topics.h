/*
 * topics.h - the topics in memory: what SQLite and the disk hold, as objects.
 *
 * Purpose    Finds topics and partitions by name, knows specs and durability,
 *            keeps topics in the order of their names. Says nothing to
 *            clients and writes nothing: see lifecycle.h.
 * Threads    Loop thread only.
 * Ownership  A topic owns its spec and its array of partitions; partitions
 *            are opened and closed by lifecycle.c. The set owns its topics.
 * Errors     FLV_E_NOMEM, FLV_E_CORRUPT for a stored spec that does not
 *            decode; spec checks return a Fluvio code and a sentence.
 * See        tests/unit/server/test_server.c
 */
#ifndef FLV_SERVER_TOPICS_H
#define FLV_SERVER_TOPICS_H

#include "base/arena.h"
#include "base/bytes.h"
#include "server/metadb.h"
#include "server/partition.h"
#include "wire/compress.h"
#include "wire/ext.h"
#include "wire/sc.h"

#include <fluvio/err.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FLV_TOPIC_NAME_MAX 63
#define FLV_TOPIC_PARTITIONS_MAX 1000
#define FLV_TOPIC_SPEC_VERSION FLV_WIRE_SC_MAX
#define FLV_TOPIC_SPEC_BYTES_MAX (256 << 10)
/* What is kept of a partition unless the topic says otherwise, as Fluvio does,
 * where the newest segment always stays; a topic that names a retention time
 * gets it for all of its records
 * (infinyon/fluvio: crates/fluvio-types/src/defaults.rs). */
#define FLV_TOPIC_KEEP_SECONDS (7u * 24 * 3600)
#define FLV_TOPIC_KEEP_BYTES (UINT64_C(100) << 30)
/* What a deduplication may ask for; two more parameters are its bounds. */
#define FLV_TOPIC_DEDUP_COUNT_MAX 10000000
#define FLV_TOPIC_DEDUP_PARAMS_MAX 254
#define FLV_TOPIC_DEDUP_BYTES_MAX 60000
#define FLV_OFFSETS_TOPIC "consumer-offset"
/* Told about a topic that is in doubt. */
#define FLV_TOPIC_DOUBT_TEXT                                                   \
    "whether it was done will be known when the disk takes writes again, or "  \
    "after a restart"

struct flv_deduper;

enum flv_topic_state {
    FLV_TOPIC_CREATING, /* the name is taken, nobody sees it yet */
    FLV_TOPIC_ONLINE,
    FLV_TOPIC_DELETING, /* being removed from meta.db */
};

struct flv_topic {
    uint64_t id; /* creation id */
    enum flv_topic_state state;
    bool growing;  /* partitions are being added */
    bool in_doubt; /* a change failed and may be found at the next start: it
                    * stays CREATING, growing or DELETING until settled */
    enum flv_durability durability;
    struct flv_wire_topic_spec spec;   /* borrows from spec_bytes, arena */
    struct flv_partition **partitions; /* owned array */
    struct flv_deduper **dedupers;     /* owned array: dedup.c finds them there,
                                        * NULL or one for each partition */
    uint32_t partition_count;
    struct flv_buf spec_bytes; /* owned: spec at FLV_TOPIC_SPEC_VERSION */
    struct flv_arena arena;    /* owned: vectors of spec */
    char name[FLV_TOPIC_NAME_MAX + 1];
};

/* The one that the server made for itself and keeps; a person may make further
 * system topics, which differ from others in who is shown them. */
static inline bool flv_topic_is_own(const struct flv_topic *t)
{
    return strcmp(t->name, FLV_OFFSETS_TOPIC) == 0;
}

/* Its partitions have logs. */
static inline bool flv_topic_has_logs(const struct flv_topic *t)
{
    return !flv_topic_is_own(t) && t->state != FLV_TOPIC_CREATING;
}

struct flv_topics {
    struct flv_topic **sorted; /* owned, by name */
    size_t len, cap;
    uint64_t next_id;
    size_t partition_count; /* of all topics */
};

void flv_topics_init(struct flv_topics *set);
/* Topics must have no partitions any more. */
void flv_topics_deinit(struct flv_topics *set);

/* In any state; NULL when there is none. */
struct flv_topic *flv_topics_find(const struct flv_topics *set,
                                  struct flv_slice name);
struct flv_topic *flv_topics_by_id(const struct flv_topics *set, uint64_t id);
/* Only what clients may see: an ONLINE or DELETING topic's partition. */
struct flv_partition *flv_topics_partition(const struct flv_topics *set,
                                           struct flv_slice topic,
                                           uint32_t partition,
                                           struct flv_topic **out_topic);

/* A topic with a copy of the spec and no partitions, in the set, CREATING. */
FLV_CHECKED flv_rc flv_topics_add(struct flv_topics *set,
                                  struct flv_slice name,
                                  const struct flv_wire_topic_spec *spec,
                                  enum flv_durability durability,
                                  struct flv_topic **out,
                                  struct flv_err *err);
/* The same from a row of meta.db. */
FLV_CHECKED flv_rc flv_topics_load(struct flv_topics *set,
                                   const struct flv_topic_row *row,
                                   struct flv_topic **out,
                                   struct flv_err *err);
/* Takes it out of the set and frees it; its partitions are gone or were
 * taken over. */
void flv_topics_remove(struct flv_topics *set, struct flv_topic *t);

/* Replaces the spec by one with that many partitions. */
FLV_CHECKED flv_rc flv_topic_set_count(struct flv_topic *t,
                                       uint32_t count,
                                       struct flv_err *err);
/* Makes the arrays hold `count`; new places are NULL. */
FLV_CHECKED flv_rc flv_topic_reserve(struct flv_topic *t,
                                     uint32_t count,
                                     struct flv_err *err);
/* Borrows from t. */
struct flv_topic_row flv_topic_row(const struct flv_topic *t);
/* How the topic's logs are to be opened (without dir and name). */
struct flv_part_conf flv_topic_part_conf(const struct flv_topic *t,
                                         uint32_t batch_bytes_max);

/* ---- what people ask for ---- */

bool flv_topic_name_ok(struct flv_slice name);

#define FLV_TOPIC_WHY_MAX 200
/* FLV_WIRE_NONE, or the code and a sentence in `why`. *out_partitions is the
 * number of partitions asked for. */
int16_t flv_topic_spec_check(const struct flv_wire_topic_spec *spec,
                             uint32_t *out_partitions,
                             char *why);
/* Whether a batch of that codec may enter. */
bool flv_topic_codec_ok(const struct flv_wire_topic_spec *spec,
                        enum flv_codec codec);

#endif
