/*
 * connector_file.h - a connector's file, whatever dialect it is written in.
 *
 * Purpose    Reads the flat format of Fluvio 0.9 and 0.10 (name, type, topic,
 *            parameters) and the `meta:` format of the connector development
 *            kit (apiVersion 0.0.0, 0.1.0, 0.2.0) into one model. The settings
 *            of the connector, the producer's included, come out as a list of
 *            key and text with their places: exactly what a command line would
 *            have said. What a setting means is the asker's business.
 * Threads    No sharing.
 * Ownership  The file owns everything it hands out.
 * Errors     FLV_E_INVALID "file:line:column: sentence"; FLV_E_NOT_FOUND and
 *            FLV_E_IO when it cannot be read. What is ignored on purpose is
 *            listed in `warnings`.
 * See        docs/connectors.md, tests/unit/config/test_connector_file.c
 */
#ifndef FLV_CONFIG_CONNECTOR_FILE_H
#define FLV_CONFIG_CONNECTOR_FILE_H

#include "config/doc.h"

#define FLV_CFILE_SETTINGS_MAX 1000
#define FLV_CFILE_WARNINGS_MAX 32

enum flv_cfile_dialect {
    FLV_CFILE_FLAT, /* name, type, topic, parameters */
    FLV_CFILE_META, /* meta: and a section of settings */
};

enum flv_cfile_direction {
    FLV_CFILE_ANY, /* not said */
    FLV_CFILE_SOURCE,
    FLV_CFILE_SINK,
};

/* One `--key=value`. A list gives one setting per item, a map one `k:v` per
 * pair; a boolean or number is the text that was written. */
struct flv_setting {
    const char *key;           /* with `-`, never `_` */
    const char *value;         /* templates replaced */
    const struct flv_node *at; /* the value's place */
    const struct flv_node *key_at;
    bool secret; /* a secret went into the value */
};

struct flv_cfile {
    struct flv_doc *doc; /* owned */
    enum flv_cfile_dialect dialect;
    enum flv_cfile_direction direction;
    const char *name;    /* of the instance */
    const char *type;    /* "http", without -source or -sink */
    const char *version; /* as written, or NULL */
    const char *topic;
    const struct flv_node *type_at, *topic_at; /* places */
    bool create_topic; /* said in a flat file; always in a meta file */
    uint32_t partitions, replication; /* of a topic to create: 1, 1 */
    const char *section;          /* meta: the key of the settings, or NULL */
    struct flv_setting *settings; /* owned; in the file's order */
    size_t setting_count;
    const struct flv_node *transforms;      /* a non-empty list, or NULL */
    const struct flv_node *consumer;        /* a map, or NULL */
    char *warnings[FLV_CFILE_WARNINGS_MAX]; /* owned */
    size_t warning_count;
};

/* Looks up a secret's value by name: NULL when there is none. */
typedef const char *(*flv_secret_fn)(void *arg, const char *name);

/* `sections` names the keys that may hold the settings in a meta file (the
 * type's own, for instance "http"), ends with NULL; "custom" is always one.
 * `secret` may be NULL: a template is then an error. */
struct flv_cfile_conf {
    const char *section; /* or NULL */
    flv_secret_fn secret;
    void *secret_arg;
};

FLV_CHECKED flv_rc flv_cfile_read(struct flv_cfile *out,
                                  const char *path,
                                  const struct flv_cfile_conf *conf,
                                  struct flv_err *err);
FLV_CHECKED flv_rc flv_cfile_parse(struct flv_cfile *out,
                                   const char *name,
                                   struct flv_slice text,
                                   const struct flv_cfile_conf *conf,
                                   struct flv_err *err);
void flv_cfile_deinit(struct flv_cfile *f);

#endif
