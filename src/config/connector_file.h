/*
 * connector_file.h - a connector's file, whatever dialect it is written in.
 *
 * Purpose    Reads the flat format of Fluvio 0.9 and 0.10 (name, type, topic,
 *            parameters), the same as Kafka Connect would have it (name,
 *            config), and the `meta:` format of the connector development
 *            kit (apiVersion 0.0.0, 0.1.0, 0.2.0) into one model. The settings
 *            of the connector, the producer's included, come out as a list of
 *            key and text with their places: exactly what a command line would
 *            have said. What a setting means is the asker's business.
 * Threads    No sharing.
 * Ownership  The file owns everything it hands out.
 * Errors     FLV_E_INVALID "file:line:column: sentence"; FLV_E_NOT_FOUND and
 *            FLV_E_IO when it cannot be read. What is ignored on purpose is
 *            listed in `warnings`. Values of secrets are in no message.
 * See        docs/connectors.md, tests/unit/config/test_connector_file.c
 */
#ifndef FLV_CONFIG_CONNECTOR_FILE_H
#define FLV_CONFIG_CONNECTOR_FILE_H

#include "base/arena.h"
#include "config/dedup.h"
#include "config/report.h"

#define FLV_CFILE_SETTINGS_MAX 1000
#define FLV_CFILE_SECRETS_MAX 64
#define FLV_CFILE_WARNINGS_MAX 32
#define FLV_CFILE_TRANSFORMS_MAX 16

/* What a budget may be set to, here and on command lines. */
#define FLV_BUDGET_FUEL_MAX (UINT64_C(1) << 50)
#define FLV_BUDGET_CPU_MS_MAX UINT64_C(600000)
#define FLV_BUDGET_MEMORY_MIN (UINT64_C(64) << 10)
#define FLV_BUDGET_MEMORY_MAX (UINT64_C(4) << 30)
#define FLV_BUDGET_RECORDS_MAX UINT64_C(1000000)
#define FLV_BUDGET_BYTES_MAX (UINT64_C(31) << 20)

enum flv_cfile_dialect {
    FLV_CFILE_FLAT, /* name, type, topic, parameters */
    FLV_CFILE_META, /* meta: and a section of settings */
};

enum flv_cfile_direction {
    FLV_CFILE_ANY, /* not said */
    FLV_CFILE_SOURCE,
    FLV_CFILE_SINK,
};

/* What a manager does when the connector's process ends. */
enum flv_cfile_restart {
    FLV_CFILE_ON_FAILURE, /* also when nothing is said */
    FLV_CFILE_ALWAYS,
    FLV_CFILE_NEVER,
};

/* One `--key=value`. A list gives one setting per item, a map one `k:v` per
 * pair; a boolean or number is the text that was written. */
struct flv_setting {
    const char *key;             /* with `-`, never `_` */
    const char *value;           /* templates replaced */
    const struct flv_node *node; /* the value's place */
    const struct flv_node *key_node;
    bool secret; /* a secret went into the value */
};

/* An entry of a flat file's `secrets`: an environment variable. */
struct flv_cfile_secret {
    const char *name;
    const char *value;
};

/* A zero was not said. */
struct flv_budget {
    uint64_t fuel, cpu_ms, memory_bytes, output_records, output_bytes;
};

struct flv_transform_param {
    const char *key, *value;
};

/* An entry of `transforms`. */
struct flv_transform {
    const char *uses;
    const struct flv_node *node; /* its place */
    /* What is no text is JSON text. */
    const struct flv_transform_param *params;
    size_t param_count;
    uint64_t look_back_last, look_back_age_ms;
    const char *on_error; /* "halt", "retry:3", "dead-letter:T"; or NULL */
    struct flv_budget budget;
};

struct flv_cfile_topic {
    const char *name;
    const struct flv_node *node;      /* its place */
    uint32_t partitions, replication; /* 0: not said */
    bool ignore_rack;
    uint32_t retention_s;         /* 0: not said */
    uint32_t segment_size_bytes;  /* 0: not said */
    uint64_t partition_bytes_max; /* 0: not said */
    const char *compression;      /* lower case; NULL: not said */
    struct flv_doc_dedup dedup;   /* filter NULL: not said */
};

struct flv_cfile {
    struct flv_arena arena; /* owns what the document does not */
    struct flv_doc *doc;    /* owned */
    enum flv_cfile_dialect dialect;
    enum flv_cfile_direction direction;
    const char *name;    /* of the instance */
    const char *type;    /* "http", without -source; of sinks "http-sink" */
    const char *version; /* as written, or NULL */
    const struct flv_node *type_node;
    struct flv_cfile_topic topic;
    bool create_topic; /* always true in a meta file */
    /* For a manager; a connector that is started by hand ignores them. */
    enum flv_cfile_restart restart;
    uint64_t memory_bytes_max;    /* 0: not said */
    uint64_t files_max;           /* 0: not said */
    struct flv_setting *settings; /* in the file's order */
    size_t setting_count;
    struct flv_cfile_secret *secrets;
    size_t secret_count;
    struct flv_transform *transforms; /* in order */
    size_t transform_count;
    const struct flv_node *consumer; /* a map, or NULL */
    const char *warnings[FLV_CFILE_WARNINGS_MAX];
    size_t warning_count;
    bool secrets_used; /* a value or a declaration needs one */
};

/* Looks up a secret's value by name: NULL when there is none. */
typedef const char *(*flv_secret_fn)(void *arg, const char *name);

struct flv_cfile_conf {
    const char *section;  /* key of the settings in a meta file besides
                           * "custom"; or NULL */
    flv_secret_fn secret; /* NULL: there are none */
    void *secret_arg;
    /* Names without a value are taken to have one, which is not known. */
    bool secrets_open;
    const char *secret_help; /* how to give one, for messages; or NULL */
    /* All mistakes and warnings go here, reading goes on behind each, and the
     * result is FLV_OK; what is missing in the file is NULL then. Or NULL. */
    struct flv_report *report;
};

/* Bytes of a type without its -source or -sink. */
size_t flv_cfile_type_len(const char *type);

/* flv_cfile_deinit() in any case. */
FLV_CHECKED flv_rc flv_cfile_read(struct flv_cfile *out,
                                  const char *path,
                                  const struct flv_cfile_conf *conf,
                                  struct flv_err *err);
FLV_CHECKED flv_rc flv_cfile_parse(struct flv_cfile *out,
                                   const char *name,
                                   struct flv_slice text,
                                   const struct flv_cfile_conf *conf,
                                   struct flv_err *err);
/* One entry of `transforms` alone, as YAML or JSON: `out` has nothing but that
 * (and warnings). */
FLV_CHECKED flv_rc flv_cfile_parse_transform(struct flv_cfile *out,
                                             const char *name,
                                             struct flv_slice text,
                                             const struct flv_cfile_conf *conf,
                                             struct flv_err *err);
/* A file that has nothing but `transforms`, a list of them. */
FLV_CHECKED flv_rc flv_cfile_read_transforms(struct flv_cfile *out,
                                             const char *path,
                                             const struct flv_cfile_conf *conf,
                                             struct flv_err *err);
/* Of a document that is there already; takes it in any case. */
FLV_CHECKED flv_rc flv_cfile_take(struct flv_cfile *out,
                                  struct flv_doc *doc,
                                  const struct flv_cfile_conf *conf,
                                  struct flv_err *err);
void flv_cfile_deinit(struct flv_cfile *f);

#endif
