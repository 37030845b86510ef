#include "cli/cli.h"

#include "cli/topic_file.h"

#include <ctype.h>
#include <inttypes.h>

#define NAME_BYTES_MAX 63
#define TOPIC_PARTITION_BYTES_MIN 2048
/* Error code: a system object may only be deleted with force. */
#define WIRE_SYSTEM_OBJECT 12001
/* A topic without a segment size of its own gets Fluvio's. */
#define SEGMENT_DEFAULT_BYTES 1073741824

/* The one that Fluvio takes; there it comes from the hub. */
#define DEDUP_FILTER "fluvio/dedup-bloom-filter@0.1.0"

/* ---- topic create ------------------------------------------------------ */

static const char *const compressions[] = {"any", "none", "gzip", "snappy",
                                           "lz4", "zstd", NULL};
static const enum flv_compression compression_values[] = {
    FLV_COMPRESSION_ANY,    FLV_COMPRESSION_NONE, FLV_COMPRESSION_GZIP,
    FLV_COMPRESSION_SNAPPY, FLV_COMPRESSION_LZ4,  FLV_COMPRESSION_ZSTD};

static const char *const durabilities[] = {"disk", "page-cache", NULL};

struct create_conf {
    char *name;
    uint64_t partitions;
    uint64_t replication;
    bool ignore_rack;
    char *assignment;
    bool dry_run;
    uint64_t retention_ms;
    uint64_t segment_bytes;
    uint64_t partition_bytes;
    int compression;
    int durability;
    bool dedup;
    uint64_t dedup_count;
    uint64_t dedup_age_ms;
    char *dedup_filter;
    char *config;
    char *mirror_apply;
    bool mirror;
    bool home_to_remote;
    bool system;
};

static const struct flv_opt create_opts[] = {
    {.name = "name",
     FLV_STR(struct create_conf, name),
     .flags = FLV_OPT_POSITIONAL,
     .help = "The name of the Topic to create"},
    {.name = "partitions",
     .letter = 'p',
     FLV_U64(struct create_conf, partitions),
     .arg = "partitions",
     .fallback = "1",
     .min = 1,
     .max = UINT32_MAX,
     .help = "The number of Partitions to give the Topic"},
    {.name = "replication",
     .letter = 'r',
     FLV_U64(struct create_conf, replication),
     .arg = "integer",
     .fallback = "1",
     .min = 1,
     .max = UINT32_MAX,
     .help = "The number of full replicas of the Topic to keep"},
    {.name = "ignore-rack-assignment",
     .letter = 'i',
     FLV_FLAG(struct create_conf, ignore_rack),
     .help = "Ignore racks while computing replica assignment"},
    {.name = "replica-assignment",
     .letter = 'f',
     FLV_STR(struct create_conf, assignment),
     .arg = "file.json",
     .help = "Replica assignment file"},
    {.name = "dry-run",
     .letter = 'd',
     FLV_FLAG(struct create_conf, dry_run),
     .help = "Validates configuration, does not provision"},
    {.name = "retention-time",
     FLV_DURATION(struct create_conf, retention_ms),
     .arg = "time",
     .min = 1,
     .help = "Retention time (round to seconds), such as '1h', '2d 10s', "
             "'7 days' (default)"},
    {.name = "segment-size",
     FLV_SIZE(struct create_conf, segment_bytes),
     .arg = "bytes",
     .help = "Segment size, such as '2048', '2 Ki', '10Mb', '1 Gb' (default)"},
    {.name = "max-partition-size",
     FLV_SIZE(struct create_conf, partition_bytes),
     .arg = "bytes",
     .help = "Max partition size, such as '2048', '10Mb', '100 Gb' (default)"},
    {.name = "compression-type",
     FLV_CHOICE(struct create_conf, compression),
     .choices = compressions,
     .arg = "compression",
     .fallback = "any",
     .help = "Compression configuration for topic"},
    {.name = "durability",
     FLV_CHOICE(struct create_conf, durability),
     .choices = durabilities,
     .arg = "when",
     .fallback = "disk",
     .help = "What an acknowledgement means: synced to disk, or written to "
             "the page cache only"},
    {.name = "dedup",
     FLV_FLAG(struct create_conf, dedup),
     .help = "Drop records that the topic has had lately"},
    {.name = "dedup-count",
     FLV_U64(struct create_conf, dedup_count),
     .arg = "count",
     .fallback = "5",
     .min = 1,
     .max = INT64_MAX,
     .help = "With --dedup: how many of the last records are remembered"},
    {.name = "dedup-age",
     FLV_DURATION(struct create_conf, dedup_age_ms),
     .arg = "time",
     .fallback = "5s",
     .min = 1,
     .help = "With --dedup: how old these may be"},
    {.name = "dedup-filter",
     FLV_STR(struct create_conf, dedup_filter),
     .arg = "name",
     .fallback = DEDUP_FILTER,
     .help = "With --dedup: the SmartModule on the cluster that decides"},
    {.name = "config",
     .letter = 'c',
     FLV_STR(struct create_conf, config),
     .arg = "PATH",
     .help = "Path to topic configuration file"},
    {.name = "mirror-apply",
     .letter = 'm',
     FLV_STR(struct create_conf, mirror_apply),
     .arg = "file.json",
     .help = "Mirror apply file (needs a Fluvio cluster with mirroring)"},
    {.name = "mirror",
     FLV_FLAG(struct create_conf, mirror),
     .help = "Make the topic a mirror (needs a Fluvio cluster with mirroring)"},
    {.name = "home-to-remote",
     FLV_FLAG(struct create_conf, home_to_remote),
     .help = "Mirror from home to remote (needs a Fluvio cluster with "
             "mirroring)"},
    {.name = "system",
     .letter = 's',
     FLV_FLAG(struct create_conf, system),
     .flags = FLV_OPT_HIDDEN,
     .help = "Create a system topic"},
    {.name = NULL}};

/* Lowercase letters, digits and '-', no '-' at either end. */
static bool name_is_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || name[0] == '-' || name[len - 1] == '-') {
        return false;
    }
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static bool is_blank(const char *text)
{
    for (; *text != '\0'; text++) {
        if (isspace((unsigned char)*text) == 0) {
            return false;
        }
    }
    return true;
}

static flv_rc check_name(const char *name, bool system, struct flv_err *err)
{
    if (is_blank(name)) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: Topic name is required");
    }
    if (!system && strlen(name) > NAME_BYTES_MAX) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: Invalid Topic name %.80s. Name "
                        "exceeds max characters allowed %d",
                        name, NAME_BYTES_MAX);
    }
    if (!system && !name_is_valid(name)) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: Invalid Topic name %.80s. Contain "
                        "only lowercase alphanumeric characters or '-'",
                        name);
    }
    return FLV_OK;
}

static flv_rc check_sizes(const struct flv_topic_conf *t, struct flv_err *err)
{
    const uint64_t max = t->partition_bytes_max;
    const uint64_t segment = t->segment_size_bytes != 0 ? t->segment_size_bytes
                                                        : SEGMENT_DEFAULT_BYTES;
    if (max == 0) {
        return FLV_OK;
    }
    if (max < TOPIC_PARTITION_BYTES_MIN) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: max_partition_size %" PRIu64
                        " is less than minimum %d",
                        max, TOPIC_PARTITION_BYTES_MIN);
    }
    if (max < segment) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: max_partition_size %" PRIu64
                        " is less than segment size %" PRIu64,
                        max, segment);
    }
    return FLV_OK;
}

static flv_rc check_unsupported(const struct create_conf *conf,
                                struct flv_err *err)
{
    if (conf->mirror || conf->home_to_remote || conf->mirror_apply != NULL) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "this version has no mirroring; leave the mirror "
                        "options out");
    }
    return FLV_OK;
}

/* What the options say; texts stay borrowed from conf, *out borrows *dedup. */
static flv_rc from_options(const struct create_conf *conf,
                           const struct flv_opts *opts,
                           struct flv_topic_conf *out,
                           struct flv_dedup *dedup,
                           struct flv_err *err)
{
    flv_rc rc = check_unsupported(conf, err);
    if (rc != FLV_OK) {
        return rc;
    }
    uint64_t retention_s = (conf->retention_ms + 999) / 1000;
    if (retention_s > UINT32_MAX || conf->segment_bytes > UINT32_MAX) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: --%s is too large; the protocol "
                        "holds at most 4294967295 %s",
                        retention_s > UINT32_MAX ? "retention-time"
                                                 : "segment-size",
                        retention_s > UINT32_MAX ? "seconds" : "bytes");
    }
    *out = flv_topic_conf_default(conf->name != NULL ? conf->name : "");
    out->partitions = (uint32_t)conf->partitions;
    out->replication = (uint32_t)conf->replication;
    out->ignore_rack = conf->ignore_rack;
    out->retention_s = (uint32_t)retention_s;
    out->segment_size_bytes = (uint32_t)conf->segment_bytes;
    out->partition_bytes_max = conf->partition_bytes;
    out->compression = compression_values[conf->compression];
    if (flv_opts_given(opts, "durability")) {
        out->durability = conf->durability == 0 ? FLV_DURABILITY_DISK
                                                : FLV_DURABILITY_PAGE_CACHE;
    }
    *dedup = (struct flv_dedup){.filter = conf->dedup_filter,
                                .count = conf->dedup_count,
                                .age_ms = conf->dedup_age_ms};
    out->dedup = conf->dedup ? dedup : NULL;
    out->system = conf->system;
    return FLV_OK;
}

/* The first option given besides --config and --dry-run, or NULL. */
static const char *beside_config(const struct flv_opts *opts)
{
    for (const struct flv_opt *o = create_opts; o->name != NULL; o++) {
        if (strcmp(o->name, "config") != 0 && strcmp(o->name, "dry-run") != 0 &&
            flv_opts_given(opts, o->name)) {
            return o->name;
        }
    }
    return NULL;
}

/* Options that exclude one another, in the words of the argument parser. */
static int create_conflicts(struct cli *c,
                            const struct create_conf *conf,
                            const struct flv_opts *opts)
{
    static const char *const alone[] = {"partitions", "replication",
                                        "ignore-rack-assignment"};
    static const char *const of_dedup[] = {"dedup-count", "dedup-age",
                                           "dedup-filter"};
    const char *other = conf->config != NULL ? beside_config(opts) : NULL;
    if (other != NULL) {
        return cli_usage(c,
                         "the argument '--config <PATH>' cannot be used with "
                         "'%s%s'",
                         strcmp(other, "name") == 0 ? "" : "--",
                         strcmp(other, "name") == 0 ? "[name]" : other);
    }
    for (size_t i = 0; !conf->dedup && i < 3; i++) {
        if (flv_opts_given(opts, of_dedup[i])) {
            return cli_usage(c, "--%s needs --dedup beside it", of_dedup[i]);
        }
    }
    for (size_t i = 0; conf->assignment != NULL && i < 3; i++) {
        if (flv_opts_given(opts, alone[i])) {
            return cli_usage(c,
                             "the argument '--replica-assignment <file.json>' "
                             "cannot be used with '--%s'",
                             alone[i]);
        }
    }
    return 0;
}

static flv_rc create_topic(struct cli *c,
                           const struct flv_topic_conf *topic,
                           struct flv_err *err)
{
    flv_rc rc = check_name(topic->name, topic->system, err);
    rc = rc == FLV_OK ? check_sizes(topic, err) : rc;
    rc = rc == FLV_OK ? cli_connect(c, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    struct cli_call call;
    cli_call_init(&call, c);
    rc = flv_client_topic_create(c->client, topic, cli_call_done, &call, err);
    rc = rc == FLV_OK ? cli_call_wait(&call, err) : rc;
    if (rc == FLV_OK) {
        printf("topic \"%s\" created\n", topic->name);
    }
    return rc;
}

static int topic_create(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct create_conf *conf = flv_args_conf(args);
    const struct flv_opts *opts = flv_args_opts(args);
    struct cli_topic_file file = {0};
    struct flv_topic_conf topic = {0};
    struct flv_dedup dedup;
    struct flv_err err = {0};
    int status = create_conflicts(c, conf, opts);
    if (status != 0) {
        return status;
    }
    flv_rc rc = conf->config != NULL
                    ? cli_topic_file_read(conf->config, &file, &topic, &err)
                    : from_options(conf, opts, &topic, &dedup, &err);
    if (rc == FLV_OK && conf->assignment != NULL) {
        rc = cli_assignment_read(conf->assignment, &file, &topic, &err);
    }
    if (rc == FLV_OK) {
        topic.dry_run = conf->dry_run;
        rc = create_topic(c, &topic, &err);
    }
    cli_topic_file_deinit(&file);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static const struct flv_cmd topic_create_cmd = {
    .name = "create",
    .about = "Create a Topic with the given name",
    .opts = create_opts,
    .conf_size = sizeof(struct create_conf),
    .run = topic_create,
};

/* ---- topic delete ------------------------------------------------------ */

struct delete_conf {
    struct flv_list names;
    bool continue_on_error;
    bool system;
    bool force;
};

static const struct flv_opt delete_opts[] = {
    {.name = "name",
     FLV_LIST(struct delete_conf, names),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "One or more name(s) of the topic(s) to be deleted"},
    {.name = "continue-on-error",
     .letter = 'c',
     FLV_FLAG(struct delete_conf, continue_on_error),
     .help = "Continue deleting in case of an error"},
    {.name = "system",
     .letter = 's',
     FLV_FLAG(struct delete_conf, system),
     .help = "Delete system topics"},
    {.name = "force",
     .letter = 'f',
     FLV_FLAG(struct delete_conf, force),
     .help = "Skip deletion confirmation of a system topic"},
    {.name = NULL}};

static flv_rc delete_one(struct cli *c,
                         const struct delete_conf *conf,
                         const char *name,
                         struct flv_err *err)
{
    struct cli_call call;
    cli_call_init(&call, c);
    flv_rc rc = flv_client_topic_delete(c->client, name, conf->force,
                                        cli_call_done, &call, err);
    rc = rc == FLV_OK ? cli_call_wait(&call, err) : rc;
    if (rc != FLV_OK && err->wire == WIRE_SYSTEM_OBJECT) {
        return flv_fail(err, rc,
                        conf->force
                            ? "the server keeps its system topic '%s'"
                            : "system topic '%s' can only be deleted forcibly",
                        name);
    }
    if (rc == FLV_OK) {
        printf("%stopic \"%s\" deleted\n", conf->system ? "system " : "", name);
    }
    return rc;
}

static int topic_delete(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct delete_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    bool failed = false;
    if (cli_connect(c, &err) != FLV_OK) {
        return cli_fail(&err);
    }
    for (size_t i = 0; i < conf->names.count; i++) {
        if (delete_one(c, conf, conf->names.items[i], &err) == FLV_OK) {
            continue;
        }
        if (!conf->continue_on_error) {
            return cli_fail(&err);
        }
        printf("topic \"%s\" delete failed with: %s\n", conf->names.items[i],
               err.text);
        failed = true;
        flv_err_clear(&err);
    }
    return failed
               ? cli_failf("Failed deleting topic(s). Check previous errors.")
               : 0;
}

static const struct flv_cmd topic_delete_cmd = {
    .name = "delete",
    .about = "Delete one or more Topics with the given name(s)",
    .opts = delete_opts,
    .conf_size = sizeof(struct delete_conf),
    .run = topic_delete,
};

static const struct flv_cmd *const topic_commands[] = {
    &topic_create_cmd,
    &cli_cmd_topic_describe,
    &topic_delete_cmd,
    &cli_cmd_topic_list,
    &cli_cmd_topic_add_partition,
    &cli_cmd_topic_add_mirror,
    &cli_cmd_topic_names,
    NULL};

const struct flv_cmd cli_cmd_topic = {
    .name = "topic",
    .about = "Manage and view Topics\n\n"
             "A Topic is essentially the name of a stream which carries "
             "messages that are related to each other. Similar to the role of "
             "tables in a relational database, the names and contents of "
             "Topics will typically reflect the structure of the application "
             "domain they are used for.",
    .commands = topic_commands,
};
