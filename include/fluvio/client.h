/*
 * client.h - libfluvio: topics, records and profiles, asynchronously.
 *
 * Purpose    An asynchronous client of Fluvio's protocol: one connection to
 *            the metadata service (SC), one to each partition service (SPU)
 *            in use, producers, consumers, administration, and the profile
 *            file that says where the cluster is.
 * Threads    Everything belongs to the loop that the client was made with
 *            and is called on that loop's thread. Profiles need no loop.
 * Callbacks  Run on the loop, never from inside the call that asked for
 *            them, exactly once per request. `err` is NULL on success. What a
 *            callback is shown (lists, records, texts) is valid only until it
 *            returns.
 * Ownership  create/open hands out a handle; close is asynchronous and ends
 *            with its callback, after which the handle is gone. Whatever was
 *            pending is completed first, with FLV_E_CANCELED. Configuration
 *            structs and their texts are copied.
 * Errors     Branch on flv_rc_class(err->rc). err->wire holds the server's
 *            error code where a server answered with one.
 * Units      offset = record number; _ms, _s and _bytes as named.
 * See        docs/architecture.md, tests/unit/client/
 */
#ifndef FLUVIO_CLIENT_H
#define FLUVIO_CLIENT_H

#include <fluvio/err.h>
#include <fluvio/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct flv_loop;
struct flv_client;
struct flv_producer;
struct flv_consumer;
struct flv_profiles;

/* ------------------------------------------------------------ profiles */

enum flv_tls_policy {
    FLV_TLS_DISABLED,
    FLV_TLS_ANONYMOUS, /* encrypted, nobody verified */
    FLV_TLS_VERIFIED,  /* both sides present certificates */
};

/* How to speak TLS to a cluster. Texts are borrowed for the call. */
struct flv_client_tls {
    enum flv_tls_policy policy;
    /* VERIFIED: the name in the SC's certificate (NULL: the address' host);
     * that of SPU NAME is NAME.domain. */
    const char *domain;
    bool is_inline; /* the rest are PEM texts, not paths */
    /* Who may sign the servers' certificates; NULL: the system's. */
    const char *ca_cert;
    const char *cert, *key; /* ours; both or none */
};

/* One profile joined with its cluster. All texts are borrowed from the
 * flv_profiles and valid until its next change; NULL = not set. */
struct flv_profile {
    const char *name;
    const char *cluster;
    const char *topic;
    int64_t partition;    /* -1 = not set */
    const char *endpoint; /* "host:port" of the SC */
    bool use_spu_local_address;
    const char *client_id;
    const char *installation; /* "local", "docker", ... */
    struct flv_client_tls tls;
};

/* Reads the file (NULL: FLV_PROFILE_PATH, else ~/.fluvio/config). A missing
 * file is an empty set; a malformed one is FLV_E_INVALID with path and line. */
FLV_CHECKED flv_rc flv_profiles_load(struct flv_profiles **out,
                                     const char *path,
                                     struct flv_err *err);
void flv_profiles_destroy(struct flv_profiles *p);
/* Writes the file atomically, mode 0600, keeping comments and unknown keys. */
FLV_CHECKED flv_rc flv_profiles_save(struct flv_profiles *p,
                                     struct flv_err *err);
const char *flv_profiles_path(const struct flv_profiles *p);
/* Name of the active profile, NULL when none is set. */
const char *flv_profiles_current(const struct flv_profiles *p);
size_t flv_profiles_count(const struct flv_profiles *p);
/* i < count, in the file's order. A profile whose cluster is missing has a
 * NULL endpoint. */
void flv_profiles_at(const struct flv_profiles *p,
                     size_t i,
                     struct flv_profile *out);
/* NULL name: the active one. "Profile not found in config: X", "No active
 * profile set in config". */
FLV_CHECKED flv_rc flv_profiles_find(const struct flv_profiles *p,
                                     const char *name,
                                     struct flv_profile *out,
                                     struct flv_err *err);
/* These change memory only; flv_profiles_save() makes it last. */
FLV_CHECKED flv_rc flv_profiles_switch(struct flv_profiles *p,
                                       const char *name,
                                       struct flv_err *err);
FLV_CHECKED flv_rc flv_profiles_rename(struct flv_profiles *p,
                                       const char *from,
                                       const char *to,
                                       struct flv_err *err);
FLV_CHECKED flv_rc flv_profiles_delete(struct flv_profiles *p,
                                       const char *name,
                                       struct flv_err *err);
/* Refuses while a profile uses the cluster, unless force. */
FLV_CHECKED flv_rc flv_profiles_delete_cluster(struct flv_profiles *p,
                                               const char *cluster,
                                               bool force,
                                               struct flv_err *err);
/* Makes or updates profile NAME and cluster NAME and activates it.
 * installation may be NULL. */
FLV_CHECKED flv_rc flv_profiles_add(struct flv_profiles *p,
                                    const char *name,
                                    const char *endpoint,
                                    const char *installation,
                                    struct flv_err *err);
/* How the profile's cluster is spoken to from now on; flv_profiles_add() sets
 * it back to plain. VERIFIED in the file of a profile needs all four texts. */
FLV_CHECKED flv_rc flv_profiles_set_tls(struct flv_profiles *p,
                                        const char *name,
                                        const struct flv_client_tls *tls,
                                        struct flv_err *err);
/* TOML text of one profile alone, usable through FLV_PROFILE_PATH. The
 * caller frees it with flv_client_free(). NULL name: the active one. */
FLV_CHECKED flv_rc flv_profiles_export(const struct flv_profiles *p,
                                       const char *name,
                                       char **out_text,
                                       struct flv_err *err);
void flv_client_free(void *text);

/* -------------------------------------------------------------- client */

/* As a time in ms: without a limit. */
#define FLV_FOREVER UINT32_MAX

struct flv_client_conf {
    const char *address;   /* "host:port" of the SC */
    const char *client_id; /* NULL: "fluvio" */
    bool use_spu_local_address;
    struct flv_client_tls tls;
    uint32_t connect_timeout_ms;  /* until one attempt is accepted; 0: 5,000 */
    uint32_t answer_timeout_ms;   /* then, until the first answer, and before
                                   * it for TLS; 0: as connect_timeout_ms */
    uint32_t request_timeout_ms;  /* 0: FLV_SOCKET_WAIT, else 60,000 */
    uint32_t metadata_timeout_ms; /* 0: FLV_METADATA_TIMEOUT, else 60,000 */
    uint32_t retry_min_ms;        /* first back-off; 0: 50 */
    uint32_t retry_max_ms;        /* longest back-off; 0: 5,000 */
    /* A server that is silent for so long is asked whether it is there, and
     * given up when it is silent for as long again: its connection is made
     * anew, and producers send again what it had not acknowledged. 0:
     * FLV_SERVER_QUIET (in seconds; 0 there: never), else 15,000;
     * FLV_FOREVER: never, as where a disk may stand still for minutes. */
    uint32_t quiet_ms;
    /* From flv_client_connect() on: the connection to the SC broke, or one more
     * attempt to make it failed (err); NULL: it is there again. It is made
     * again whether anybody listens or not. May be NULL. */
    void (*link)(void *user, const struct flv_err *err);
    void *user; /* of link */
};

/* The profile's endpoint, TLS and settings; borrows its texts. */
FLV_CHECKED flv_rc flv_client_conf_profile(struct flv_client_conf *out,
                                           const struct flv_profile *profile,
                                           struct flv_err *err);

typedef void (*flv_done_fn)(void *user, const struct flv_err *err);
typedef void (*flv_closed_fn)(void *user);

/* No I/O happens before the first use. */
FLV_CHECKED flv_rc flv_client_create(struct flv_client **out,
                                     struct flv_loop *loop,
                                     const struct flv_client_conf *conf,
                                     struct flv_err *err);
/* Connects to the SC. Keeps trying, with jittered back-off, for wait_ms; 0 =
 * one attempt, so that "nobody listens" is told at once. Later losses are
 * repaired by themselves. The error names the address. */
FLV_CHECKED flv_rc flv_client_connect(struct flv_client *c,
                                      uint32_t wait_ms,
                                      flv_done_fn done,
                                      void *user,
                                      struct flv_err *err);
/* Closes producers and consumers (cancelling), then connections. `closed` may
 * be NULL. */
void flv_client_close(struct flv_client *c, flv_closed_fn closed, void *user);
const char *flv_client_address(const struct flv_client *c);
/* Version the SC reported ("0.18.1"); NULL before the first connection. */
const char *flv_client_platform_version(const struct flv_client *c);

/* --------------------------------------------------------------- admin */

enum flv_compression {
    FLV_COMPRESSION_NONE,
    FLV_COMPRESSION_GZIP,
    FLV_COMPRESSION_SNAPPY,
    FLV_COMPRESSION_LZ4,
    FLV_COMPRESSION_ZSTD,
    FLV_COMPRESSION_ANY, /* topic: the producer's choice;
                          * producer: the topic's choice, else none */
};
/* "none" ... "zstd", "any". */
const char *flv_compression_name(enum flv_compression c);
FLV_CHECKED flv_rc flv_compression_parse(const char *text,
                                         enum flv_compression *out,
                                         struct flv_err *err);

enum flv_durability {
    FLV_DURABILITY_DEFAULT, /* the server's: disk */
    FLV_DURABILITY_DISK,
    FLV_DURABILITY_PAGE_CACHE,
};

struct flv_replica {
    uint32_t partition;
    const int32_t *spus; /* borrowed; leader first */
    size_t spu_count;
};

/* A topic that drops records which it has had lately: a SmartModule on the
 * server looks at each record before it is stored. */
struct flv_dedup {
    const char *filter; /* name of the SmartModule */
    uint64_t count;     /* how many of the last records it remembers; 0: of old
                         * clients, no bound */
    uint64_t age_ms;    /* and how old they may be; 0: no bound */
    /* What the SmartModule is given besides: name, value, name, value, ... */
    const char *const *params;
    size_t param_count; /* pairs */
};

struct flv_topic_conf {
    const char *name;
    uint32_t partitions;  /* 0: 1 */
    uint32_t replication; /* 0: 1 */
    bool ignore_rack;
    const struct flv_replica *assignment; /* non-NULL excludes the three */
    size_t assignment_count;
    uint32_t retention_s;             /* 0: the server's default */
    uint32_t segment_size_bytes;      /* 0: the server's default */
    uint64_t partition_bytes_max;     /* 0: the server's default */
    enum flv_compression compression; /* of topic_conf_default: ANY */
    enum flv_durability durability;   /* other than DEFAULT: fluvio-server */
    const struct flv_dedup *dedup;    /* NULL: every record is stored */
    bool system;
    bool dry_run;
};
struct flv_topic_conf flv_topic_conf_default(const char *name);

/* FLV_E_EXISTS, FLV_E_NOT_FOUND, ... with err->wire and the server's text. */
FLV_CHECKED flv_rc flv_client_topic_create(struct flv_client *c,
                                           const struct flv_topic_conf *conf,
                                           flv_done_fn done,
                                           void *user,
                                           struct flv_err *err);
FLV_CHECKED flv_rc flv_client_topic_delete(struct flv_client *c,
                                           const char *name,
                                           bool force,
                                           flv_done_fn done,
                                           void *user,
                                           struct flv_err *err);

/* Gives a topic `count` more partitions; done comes when they are made, from
 * a Fluvio cluster possibly a little before. */
FLV_CHECKED flv_rc flv_client_topic_add_partitions(struct flv_client *c,
                                                   const char *name,
                                                   uint32_t count,
                                                   flv_done_fn done,
                                                   void *user,
                                                   struct flv_err *err);

enum flv_topic_kind {
    FLV_TOPIC_ASSIGNED,
    FLV_TOPIC_COMPUTED,
    FLV_TOPIC_MIRROR,
};

enum flv_topic_state {
    FLV_TOPIC_INIT,
    FLV_TOPIC_PENDING,
    FLV_TOPIC_INSUFFICIENT_RESOURCES,
    FLV_TOPIC_INVALID_CONFIG,
    FLV_TOPIC_PROVISIONED,
    FLV_TOPIC_DELETING,
};

struct flv_topic_info {
    const char *name;
    enum flv_topic_kind kind;
    uint32_t partitions, replication;
    bool ignore_rack;
    const struct flv_replica *assignment; /* ASSIGNED only */
    size_t assignment_count;
    bool has_retention, has_segment_size, has_partition_bytes_max;
    uint32_t retention_s;
    uint32_t segment_size_bytes;
    uint64_t partition_bytes_max;
    enum flv_compression compression;
    const struct flv_dedup *dedup; /* NULL: none */
    bool system;
    enum flv_topic_state state;
    const char *reason;                 /* "" when there is none */
    const struct flv_replica *replicas; /* status: where partitions live */
    size_t replica_count;
};

enum flv_partition_state {
    FLV_PARTITION_OFFLINE,
    FLV_PARTITION_ONLINE,
    FLV_PARTITION_LEADER_OFFLINE,
    FLV_PARTITION_ELECTION_LEADER_FOUND,
    FLV_PARTITION_OUT_OF_STORAGE,
};

struct flv_replica_status {
    int32_t spu;
    int64_t hw, leo; /* -1 = unknown */
};

struct flv_partition_info {
    const char *topic;
    uint32_t partition;
    int32_t leader; /* SPU id */
    const int32_t *replicas;
    size_t replica_count;
    bool has_retention, has_segment_size, has_partition_bytes_max;
    uint32_t retention_s;
    uint32_t segment_size_bytes;
    uint64_t partition_bytes_max;
    enum flv_compression compression;
    const struct flv_dedup *dedup; /* NULL: none */
    bool system;
    const char *mirror; /* name of the far cluster, NULL when none */
    enum flv_partition_state state;
    struct flv_replica_status leader_status;
    const struct flv_replica_status *followers;
    size_t follower_count;
    uint32_t live_replicas;
    int64_t size_bytes; /* -1 error, -2 unsupported */
    bool is_being_deleted;
    int64_t base_offset;
};

enum flv_spu_state { FLV_SPU_ONLINE, FLV_SPU_OFFLINE, FLV_SPU_INIT };

struct flv_spu_info {
    const char *name;
    int32_t id;
    bool custom; /* else managed */
    enum flv_spu_state state;
    const char *rack;                       /* NULL when not set */
    const char *public_host, *private_host; /* "" when unknown */
    uint16_t public_port, private_port;
    const char *local_host; /* NULL when not set */
    uint16_t local_port;
};

typedef void (*flv_topics_fn)(void *user,
                              const struct flv_err *err,
                              const struct flv_topic_info *topics,
                              size_t count);
typedef void (*flv_partitions_fn)(void *user,
                                  const struct flv_err *err,
                                  const struct flv_partition_info *parts,
                                  size_t count);
typedef void (*flv_spus_fn)(void *user,
                            const struct flv_err *err,
                            const struct flv_spu_info *spus,
                            size_t count);

/* name NULL: all; else exactly that one (an empty list when it is missing).
 * system: only the system's own objects, else only the others. */
FLV_CHECKED flv_rc flv_client_topics(struct flv_client *c,
                                     const char *name,
                                     bool system,
                                     flv_topics_fn done,
                                     void *user,
                                     struct flv_err *err);
FLV_CHECKED flv_rc flv_client_partitions(struct flv_client *c,
                                         bool system,
                                         flv_partitions_fn done,
                                         void *user,
                                         struct flv_err *err);
FLV_CHECKED flv_rc flv_client_spus(struct flv_client *c,
                                   flv_spus_fn done,
                                   void *user,
                                   struct flv_err *err);

/* ---- creations of a topic */

#define FLV_TOPIC_ID_MAX 63 /* bytes of a creation id */

/* id: a text that no other topic has, of any name, time or server; "" where
 * the cluster cannot tell (only fluvio-server can). */
typedef void (*flv_topic_id_fn)(void *user,
                                const struct flv_err *err,
                                const char *id);
/* FLV_E_NOT_FOUND: there is no such topic. */
FLV_CHECKED flv_rc flv_client_topic_id(struct flv_client *c,
                                       const char *name,
                                       flv_topic_id_fn done,
                                       void *user,
                                       struct flv_err *err);

struct flv_position {
    const char *consumer_id, *topic;
    const char *topic_id; /* not "" */
    uint32_t partition;
    int64_t offset; /* of the last record handled; -1: none yet */
};
/* Stores it if the topic is still of that creation, else FLV_E_NOT_FOUND. Done
 * when it is durable. Needs fluvio-server. */
FLV_CHECKED flv_rc flv_client_position_store(struct flv_client *c,
                                             const struct flv_position *p,
                                             flv_done_fn done,
                                             void *user,
                                             struct flv_err *err);

/* ---- SmartModules */

struct flv_smartmodule_conf {
    const char *name;
    struct flv_slice wasm; /* plain, or gzip; is sent as gzip */
    bool dry_run;
};
/* Takes the place of what has that name. What the bytes are is not looked at:
 * clusters store anything. */
FLV_CHECKED flv_rc
flv_client_smartmodule_create(struct flv_client *c,
                              const struct flv_smartmodule_conf *conf,
                              flv_done_fn done,
                              void *user,
                              struct flv_err *err);
/* FLV_E_NOT_FOUND: "SmartModule X was not found". */
FLV_CHECKED flv_rc flv_client_smartmodule_delete(struct flv_client *c,
                                                 const char *name,
                                                 flv_done_fn done,
                                                 void *user,
                                                 struct flv_err *err);

struct flv_smartmodule_param_info {
    const char *name;
    const char *description; /* NULL when there is none */
    bool optional;
};

struct flv_smartmodule_info {
    const char *name; /* the key */
    /* Package data; all NULL when the module has none. */
    const char *package, *group, *version, *api_version;
    const char *description, *license, *repository; /* NULL: not given */
    const struct flv_smartmodule_param_info *params;
    size_t param_count;
    uint64_t stored_bytes; /* as the cluster keeps it: usually gzip */
    struct flv_slice wasm; /* plain; only when asked for the bytes */
    /* Asked for the bytes and did not get them: FLV_E_CORRUPT when the gzip is
     * damaged, FLV_E_LIMIT when they are too many for one list (ask by name)
     * or unpack to more than 32 MiB. */
    struct flv_err wasm_err;
};

typedef void (*flv_smartmodules_fn)(void *user,
                                    const struct flv_err *err,
                                    const struct flv_smartmodule_info *modules,
                                    size_t count);
/* name NULL: all; else [group/]name[@version]. */
FLV_CHECKED flv_rc flv_client_smartmodules(struct flv_client *c,
                                           const char *name,
                                           bool with_bytes,
                                           flv_smartmodules_fn done,
                                           void *user,
                                           struct flv_err *err);

struct flv_smartmodule_change {
    bool deleted;
    struct flv_smartmodule_info info;
};
/* First all that there are, as one call with `all`; then each change. After a
 * lost connection all come anew. err: it is over; close it in any case. */
typedef void (*flv_smartmodule_watch_fn)(
    void *user,
    const struct flv_err *err,
    bool all,
    const struct flv_smartmodule_change *changes,
    size_t count);
struct flv_smartmodule_watch;
FLV_CHECKED flv_rc
flv_client_smartmodule_watch(struct flv_smartmodule_watch **out,
                             struct flv_client *c,
                             flv_smartmodule_watch_fn changed,
                             void *user,
                             struct flv_err *err);
/* At once; `changed` does not run any more. A client that closes ends it with
 * FLV_E_CANCELED before. */
void flv_smartmodule_watch_close(struct flv_smartmodule_watch *w);

/* ---- Table formats: how consumers lay out JSON records as a table */

enum flv_table_align {
    FLV_TABLE_ALIGN_NONE, /* not said */
    FLV_TABLE_ALIGN_LEFT,
    FLV_TABLE_ALIGN_RIGHT,
    FLV_TABLE_ALIGN_CENTER,
};

enum flv_table_color {
    FLV_TABLE_COLOR_NONE, /* not said */
    FLV_TABLE_COLOR_BLUE,
    FLV_TABLE_COLOR_YELLOW,
    FLV_TABLE_COLOR_GREEN,
};

enum flv_table_flag {
    FLV_TABLE_UNSAID,
    FLV_TABLE_NO,
    FLV_TABLE_YES,
};

struct flv_table_column {
    const char *key_path;     /* which member of a record */
    const char *header_label; /* NULL: the key path */
    const char *width;        /* NULL: not said */
    const char *format;       /* NULL: not said */
    enum flv_table_align alignment;
    enum flv_table_flag display;     /* unsaid: shown */
    enum flv_table_flag primary_key; /* unsaid: none */
    enum flv_table_color header_bg_color, header_text_color;
};

/* For creating one, and what a list shows. */
struct flv_table_format {
    const char *name;
    bool input_json;  /* the input format is said to be JSON */
    bool has_columns; /* false: those that the records have */
    const struct flv_table_column *columns;
    size_t column_count;
    const char *smartmodule; /* NULL: none */
    /* Lists only: "Init", "Invalid", "Running", "Pending" or "Failed". */
    const char *state;
    const char *reason; /* NULL: none */
};

/* FLV_E_EXISTS: there is one of that name. */
FLV_CHECKED flv_rc
flv_client_table_format_create(struct flv_client *c,
                               const struct flv_table_format *format,
                               flv_done_fn done,
                               void *user,
                               struct flv_err *err);
FLV_CHECKED flv_rc flv_client_table_format_delete(struct flv_client *c,
                                                  const char *name,
                                                  flv_done_fn done,
                                                  void *user,
                                                  struct flv_err *err);

typedef void (*flv_table_formats_fn)(void *user,
                                     const struct flv_err *err,
                                     const struct flv_table_format *formats,
                                     size_t count);
/* name NULL: all; else that one, or none. */
FLV_CHECKED flv_rc flv_client_table_formats(struct flv_client *c,
                                            const char *name,
                                            flv_table_formats_fn done,
                                            void *user,
                                            struct flv_err *err);

/* One step of a chain that the server runs on the records of a consumer. */
enum flv_smartmodule_kind {
    FLV_SMARTMODULE_ANY, /* what the module exports */
    FLV_SMARTMODULE_FILTER,
    FLV_SMARTMODULE_MAP,
    FLV_SMARTMODULE_FILTER_MAP,
    FLV_SMARTMODULE_ARRAY_MAP,
    FLV_SMARTMODULE_AGGREGATE,
};

struct flv_smartmodule_param {
    const char *key, *value;
};

struct flv_smartmodule_use {
    const char *name;      /* of one on the cluster; or, with wasm, how to call
                            * what is sent along */
    struct flv_slice wasm; /* plain or gzip; empty: the one of that name */
    enum flv_smartmodule_kind kind;
    bool has_accumulator; /* aggregate: the first value */
    struct flv_slice accumulator;
    const struct flv_smartmodule_param *params;
    size_t param_count;
    /* Past records that the module sees first; both 0: none. */
    uint64_t look_back_last, look_back_age_ms;
};

struct flv_consumer_offset {
    const char *consumer_id, *topic;
    uint32_t partition;
    int64_t offset;      /* of the last record handled */
    uint64_t modified_s; /* UTC seconds since 1970 */
};
typedef void (*flv_offsets_fn)(void *user,
                               const struct flv_err *err,
                               const struct flv_consumer_offset *offsets,
                               size_t count);
/* consumer_id NULL: all. */
FLV_CHECKED flv_rc flv_client_consumer_offsets(struct flv_client *c,
                                               const char *consumer_id,
                                               flv_offsets_fn done,
                                               void *user,
                                               struct flv_err *err);
struct flv_consumer_ref {
    const char *consumer_id, *topic;
    uint32_t partition;
};
FLV_CHECKED flv_rc
flv_client_consumer_offset_delete(struct flv_client *c,
                                  const struct flv_consumer_ref *ref,
                                  flv_done_fn done,
                                  void *user,
                                  struct flv_err *err);

/* ------------------------------------------------------------- records */

enum flv_isolation {
    FLV_READ_UNCOMMITTED,
    FLV_READ_COMMITTED,
};

/* A record on its way in. */
struct flv_msg {
    struct flv_slice key; /* only looked at with has_key */
    struct flv_slice value;
    bool has_key;      /* an empty key is not "no key" */
    int32_t partition; /* -1: by key, else round robin */
};

/* A record that was read. */
struct flv_record_view {
    int64_t offset;
    int64_t timestamp_ms; /* since 1970; -1 = unknown */
    struct flv_slice key;
    struct flv_slice value;
    bool has_key;
};

/* ------------------------------------------------------------ producer */

enum flv_delivery {
    FLV_AT_LEAST_ONCE, /* repeated until acknowledged; exactly once where the
                        * server knows producer ids (fluvio-server) */
    FLV_AT_MOST_ONCE,  /* sent once */
};

/* Seam for chains of transforms: gets the records about to be batched, puts
 * what shall be sent instead into *out (its own memory, valid until its next
 * call). An error refuses the whole send. */
typedef flv_rc (*flv_transform_fn)(void *user,
                                   const struct flv_msg *in,
                                   size_t in_count,
                                   const struct flv_msg **out,
                                   size_t *out_count,
                                   struct flv_err *err);

struct flv_producer_conf {
    const char *topic;
    uint32_t linger_ms;              /* 0: sent at the end of the loop's turn */
    uint32_t batch_size_bytes;       /* 16,384; a larger record goes alone */
    uint32_t request_size_bytes_max; /* 32 MiB; a larger record is refused */
    size_t buffer_bytes_max;         /* 32 MiB accepted and not acknowledged */
    uint32_t in_flight_max;          /* 32 requests per partition */
    enum flv_compression compression; /* ANY: the topic's choice */
    enum flv_isolation isolation;     /* what an acknowledgement waits for */
    enum flv_delivery delivery;
    /* 0: the producer chooses. Else every partition gets batches of this
     * producer id, numbered from 0, at least once: a later producer that
     * sends the same again under the same id has it stored once by a server
     * that knows producer ids. What a server refuses as out of sequence then
     * fails instead of going out under another id. */
    int64_t producer_id;
    uint32_t timeout_ms;          /* 1,500: server's limit for replication */
    uint32_t delivery_timeout_ms; /* 120,000 from send to done; 0: no limit */
    bool fail_on_storage;         /* a full or failing disk of the server ends
                                   * a record at once instead of being waited
                                   * for like other trouble; for people */
    flv_transform_fn transform;   /* may be NULL */
    void *transform_user;
    /* After FLV_E_BUSY: half of the buffer is free again. May be NULL. */
    void (*writable)(void *user);
    /* Something failed that is being repeated; NULL: it works again. For log
     * lines and states. May be NULL. */
    void (*trouble)(void *user, const struct flv_err *err);
    void *user; /* of both */
};
struct flv_producer_conf flv_producer_conf_default(const char *topic);

/* One send: a token of the caller's memory, its own until `done` ran. The
 * records themselves are copied by flv_producer_send(). */
struct flv_send {
    /* set by the caller */
    void (*done)(struct flv_send *send, const struct flv_err *err);
    void *user;
    /* set before done, on success: where the first record went. Records of
     * one send that go to other partitions have offsets of their own. -1: a
     * repetition of what the server had, it no longer knows where. */
    int64_t offset;
    uint32_t partition;
    /* private */
    uint32_t pending;
    uint64_t number;
    struct flv_send *next;
    struct flv_err err;
};

/* Looks the topic up ("Topic not found: X" after the metadata came) and calls
 * `opened`; sends are refused with FLV_E_BUSY before. Close it in any case. */
FLV_CHECKED flv_rc flv_producer_open(struct flv_producer **out,
                                     struct flv_client *c,
                                     const struct flv_producer_conf *conf,
                                     flv_done_fn opened,
                                     void *user,
                                     struct flv_err *err);
uint32_t flv_producer_partition_count(const struct flv_producer *p);
/* Where records with this key go, as long as the count stays. */
uint32_t flv_producer_key_partition(const struct flv_producer *p,
                                    struct flv_slice key);
/* Takes all count records or none. Refusals leave `send` unused: FLV_E_BUSY
 * (buffer full, wait for writable), FLV_E_LIMIT (a record above the request
 * size, or together above the buffer's ceiling), FLV_E_INVALID (partition).
 * Done runs when every record was acknowledged or one of them failed for good.
 */
FLV_CHECKED flv_rc flv_producer_send(struct flv_producer *p,
                                     const struct flv_msg *msgs,
                                     size_t count,
                                     struct flv_send *send,
                                     struct flv_err *err);
/* Sends what lingers; done when everything accepted so far is completed. */
FLV_CHECKED flv_rc flv_producer_flush(struct flv_producer *p,
                                      flv_done_fn done,
                                      void *user,
                                      struct flv_err *err);
/* Bytes accepted and not yet completed. */
size_t flv_producer_buffered_bytes(const struct flv_producer *p);

/* p50 and p99 are at most an eighth too high. */
struct flv_latency {
    uint64_t count, avg_us, p50_us, p99_us, max_us;
};

/* Since it was opened. */
struct flv_producer_stats {
    uint64_t records, bytes;       /* acknowledged: of keys and values */
    uint64_t failed;               /* records, for good */
    uint64_t batches, batch_bytes; /* acknowledged: as they were sent */
    uint64_t retries;              /* batches sent once more */
    uint64_t buffered_bytes;       /* now */
    struct flv_latency latency;    /* of batches: from their first record's
                                    * being accepted to acknowledgement */
};
void flv_producer_stats(const struct flv_producer *p,
                        struct flv_producer_stats *out);
/* Sends and waits for what is left for at most drain_ms (0: cancels it at
 * once), completes every send, then calls closed (may be NULL). */
void flv_producer_close(struct flv_producer *p,
                        uint32_t drain_ms,
                        flv_closed_fn closed,
                        void *user);

/* ------------------------------------------------------------ consumer */

enum flv_start_kind {
    FLV_START_END, /* only new records */
    FLV_START_BEGINNING,
    FLV_START_ABSOLUTE,       /* offset n */
    FLV_START_FROM_BEGINNING, /* n behind the first retained record */
    FLV_START_FROM_END,       /* n before the end */
};

struct flv_start {
    enum flv_start_kind kind;
    int64_t n;
};

/* Records of one partition in order; at most 1,024 a call, of one batch. */
struct flv_record_batch {
    const char *topic;
    uint32_t partition;
    const struct flv_record_view *records;
    size_t count;
    int64_t high_watermark, log_start_offset;
    int64_t producer_id; /* of the batch they are stored in; -1: none */
};

/* What becomes of the offsets of a consumer with an id. It begins behind what
 * is stored in any case. Without an id nothing is stored. */
enum flv_offset_strategy {
    FLV_OFFSETS_MANUAL, /* what flv_consumer_commit() says; what was marked, at
                         * each flv_consumer_flush() and every offset_flush_ms,
                         * but not at close */
    FLV_OFFSETS_AUTO,   /* a record is handled when `batch` has returned from
                         * it: stored from time to time and at close, which
                         * therefore takes up to request_timeout_ms */
    FLV_OFFSETS_NONE,   /* stays where it is */
};

struct flv_consumer_conf {
    const char *topic;
    const uint32_t *partitions; /* NULL: all */
    size_t partition_count;
    struct flv_start start; /* with consumer_id: where nothing is stored */
    int64_t end_offset;     /* last one to deliver; -1: none */
    bool stop_at_end;       /* at the end as it was when the stream opened */
    uint32_t max_bytes;     /* 0: FLV_CLIENT_MAX_FETCH_BYTES, else 1,048,890 */
    enum flv_isolation isolation;
    const char *consumer_id; /* NULL: no stored offsets */
    enum flv_offset_strategy offsets;
    /* How often what was handled (AUTO) or marked (MANUAL) is stored. 0: AUTO
     * every 10,000; MANUAL only when asked to. */
    uint32_t offset_flush_ms;
    const struct flv_smartmodule_use *smartmodules; /* one behind the other */
    size_t smartmodule_count;                       /* at most 16 */
    void (*batch)(void *user, const struct flv_record_batch *batch);
    /* Once, unless closed before: NULL = every partition reached its end;
     * else the error that stopped the consumer. Close it in any case. */
    void (*ended)(void *user, const struct flv_err *err);
    /* Once: every partition's stream is open and positioned, so that what is
     * produced from now on comes. May be NULL. */
    void (*opened)(void *user);
    /* Every time a partition's stream is open and positioned. May be NULL. */
    void (*positioned)(void *user, uint32_t partition, int64_t offset);
    /* Before that, each time: the first offset that is there and the one
     * behind the last. May be NULL, which saves a question where the place is
     * known. */
    void (*found)(void *user, uint32_t partition, int64_t first, int64_t end);
    /* Something failed that is being repeated; NULL: it works again. For log
     * lines and states. May be NULL. */
    void (*trouble)(void *user, const struct flv_err *err);
    void *user;
};
struct flv_consumer_conf flv_consumer_conf_default(const char *topic);

FLV_CHECKED flv_rc flv_consumer_open(struct flv_consumer **out,
                                     struct flv_client *c,
                                     const struct flv_consumer_conf *conf,
                                     struct flv_err *err);
/* No more batch calls until resume; at most one frame a partition waits. */
void flv_consumer_pause(struct flv_consumer *k);
void flv_consumer_resume(struct flv_consumer *k);
/* Stores that `offset` of the partition was handled. Needs consumer_id. Done
 * after the server made it durable. */
FLV_CHECKED flv_rc flv_consumer_commit(struct flv_consumer *k,
                                       uint32_t partition,
                                       int64_t offset,
                                       flv_done_fn done,
                                       void *user,
                                       struct flv_err *err);
/* Remembers that all of the partition up to and with `offset` was handled. */
FLV_CHECKED flv_rc flv_consumer_mark(struct flv_consumer *k,
                                     uint32_t partition,
                                     int64_t offset,
                                     struct flv_err *err);
/* Stores what is marked and was not stored yet, as one commit for each such
 * partition. */
FLV_CHECKED flv_rc flv_consumer_flush(struct flv_consumer *k,
                                      flv_done_fn done,
                                      void *user,
                                      struct flv_err *err);

/* Since it was opened. */
struct flv_consumer_stats {
    uint64_t records, bytes;    /* delivered: of keys and values */
    uint64_t batches;           /* opened, and found whole */
    uint64_t retries;           /* streams opened once more */
    uint64_t commits;           /* offsets stored by strategy */
    struct flv_latency latency; /* from the timestamp of a batch's last record
                                 * to its delivery, by the clocks of both
                                 * machines */
};
void flv_consumer_stats(const struct flv_consumer *k,
                        struct flv_consumer_stats *out);
void flv_consumer_close(struct flv_consumer *k,
                        flv_closed_fn closed,
                        void *user);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
