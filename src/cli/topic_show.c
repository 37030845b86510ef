#include "cli/topic_show.h"

#include "base/text.h"
#include "cli/list.h"
#include "cli/table.h"

#include <assert.h>
#include <inttypes.h>

#define TEXT_BYTES_MAX ((size_t)64 << 20)
/* What a topic without a retention time of its own gets: 7 days. */
#define RETENTION_DEFAULT_S 604800

/* ---- Topics as text ---------------------------------------------------- */

struct show_conf {
    char *name;
    int output;
    bool system;
};

struct show_call {
    struct cli_list list;
    const struct show_conf *conf;
};

static const char *kind_name(enum flv_topic_kind kind)
{
    switch (kind) {
    case FLV_TOPIC_ASSIGNED:
        return "assigned";
    case FLV_TOPIC_COMPUTED:
        return "computed";
    case FLV_TOPIC_MIRROR:
        return "mirror";
    }
    return "computed";
}

/* Names of a state: in lists and for people, and in documents. */
struct state_name {
    const char *list, *plain, *doc;
};

static const struct state_name state_names[] = {
    [FLV_TOPIC_INIT] = {"resolution::initializing", "initializing", "Init"},
    [FLV_TOPIC_PENDING] = {"resolution::pending", "pending", "Pending"},
    [FLV_TOPIC_INSUFFICIENT_RESOURCES] = {"resolution::insufficient-resources",
                                          "insufficient-resources",
                                          "InsufficientResources"},
    [FLV_TOPIC_INVALID_CONFIG] = {"resolution::invalid-config",
                                  "invalid-config", "InvalidConfig"},
    [FLV_TOPIC_PROVISIONED] = {"resolution::provisioned", "provisioned",
                               "Provisioned"},
    [FLV_TOPIC_DELETING] = {"Deleting", "Deleting", "Deleting"},
};

/* humantime's layout: "7days", "1h 30m", "1day 2h". */
static void format_retention(uint64_t s, char *out, size_t size)
{
    static const struct {
        uint64_t s;
        const char *one, *many;
    } units[] = {
        {31557600, "year", "years"},
        {2630016, "month", "months"},
        {86400, "day", "days"},
        {3600, "h", "h"},
        {60, "m", "m"},
        {1, "s", "s"},
    };
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        uint64_t n = s / units[i].s;
        s %= units[i].s;
        if (n > 0 && at < size) {
            at += (size_t)snprintf(out + at, size - at, "%s%" PRIu64 "%s",
                                   at > 0 ? " " : "", n,
                                   n == 1 ? units[i].one : units[i].many);
        }
    }
    if (at == 0) {
        snprintf(out, size, "0s");
    }
}

static void list_row(struct cli_table *t, const struct flv_topic_info *topic)
{
    char retention[96];
    format_retention(topic->has_retention ? topic->retention_s
                                          : RETENTION_DEFAULT_S,
                     retention, sizeof retention);
    bool computed = topic->kind == FLV_TOPIC_COMPUTED;
    size_t partitions = computed ? topic->partitions : topic->assignment_count;
    cli_table_cell(t, topic->name);
    cli_table_cell(t, kind_name(topic->kind));
    cli_table_cellf(t, "%zu", partitions);
    if (computed) {
        cli_table_cellf(t, "%" PRIu32, topic->replication);
    } else {
        cli_table_cell(t, "-");
    }
    cli_table_cell(t, retention);
    cli_table_cell(t, flv_compression_name(topic->compression));
    cli_table_cell(t, topic->dedup != NULL ? topic->dedup->filter : "none");
    cli_table_cell(t, state_names[topic->state].list);
    cli_table_cell(t, topic->reason);
    cli_table_end_row(t);
}

static flv_rc list_table(const struct flv_topic_info *topics,
                         size_t count,
                         struct flv_buf *out,
                         struct flv_err *err)
{
    static const char *const header[] = {
        "NAME",           "TYPE",        "PARTITIONS",    "REPLICAS",
        "RETENTION TIME", "COMPRESSION", "DEDUPLICATION", "STATUS",
        "REASON",         NULL};
    struct cli_table t;
    cli_table_init(&t, 1);
    cli_table_row(&t, header);
    for (size_t i = 0; i < count; i++) {
        list_row(&t, &topics[i]);
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

static void describe_table_rows(struct cli_table *t,
                                const struct flv_topic_info *topic)
{
    static const char rule[] = "-----------------";
#define LINE(...) (cli_table_cellf(t, __VA_ARGS__), cli_table_end_row(t))
    LINE("Name:%s", topic->name);
    LINE("Type:%s", kind_name(topic->kind));
    if (topic->kind == FLV_TOPIC_COMPUTED) {
        LINE("Partition Count:%" PRIu32, topic->partitions);
        LINE("Replication Factor:%" PRIu32, topic->replication);
        LINE("Ignore Rack Assignment:%s",
             topic->ignore_rack ? "true" : "false");
    } else {
        LINE("Partition Count:%zu", topic->assignment_count);
    }
    if (topic->dedup != NULL) {
        LINE("Deduplication Filter:%s", topic->dedup->filter);
    }
    if (topic->dedup != NULL && topic->dedup->count > 0) {
        LINE("Deduplication Count Bound:%" PRIu64, topic->dedup->count);
    }
    if (topic->dedup != NULL && topic->dedup->age_ms > 0) {
        char age[FLV_TEXT_FORMAT_MAX];
        flv_text_format_duration(topic->dedup->age_ms, age);
        LINE("Deduplication Age Bound:%s", age);
    }
    LINE("Status:%s", state_names[topic->state].plain);
    LINE("Reason:%s", topic->reason);
    LINE("%s", rule);
#undef LINE
}

static flv_rc describe_table(const struct flv_topic_info *topic,
                             struct flv_buf *out,
                             struct flv_err *err)
{
    struct cli_table t;
    cli_table_init(&t, 2);
    describe_table_rows(&t, topic);
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

/* ---- Topics as documents ----------------------------------------------- */

static void doc_replicas(struct cli_doc *d, const struct flv_topic_info *topic)
{
    cli_doc_map(d, "replicas");
    if (topic->kind == FLV_TOPIC_COMPUTED) {
        cli_doc_map(d, "computed");
        cli_doc_i64(d, "partitions", topic->partitions);
        cli_doc_i64(d, "replicationFactor", topic->replication);
        cli_doc_bool(d, "ignoreRackAssignment", topic->ignore_rack);
        cli_doc_end(d);
    } else {
        cli_doc_list(d, kind_name(topic->kind));
        for (size_t i = 0; i < topic->assignment_count; i++) {
            cli_doc_map(d, NULL);
            cli_doc_i64(d, "id", topic->assignment[i].partition);
            cli_doc_list(d, "replicas");
            for (size_t k = 0; k < topic->assignment[i].spu_count; k++) {
                cli_doc_i64(d, NULL, topic->assignment[i].spus[k]);
            }
            cli_doc_end(d);
            cli_doc_end(d);
        }
        cli_doc_end(d);
    }
    cli_doc_end(d);
}

void cli_dedup_doc(struct cli_doc *d, const struct flv_dedup *dedup)
{
    char age[FLV_TEXT_FORMAT_MAX];
    if (dedup == NULL) {
        cli_doc_null(d, "deduplication");
        return;
    }
    cli_doc_map(d, "deduplication");
    cli_doc_map(d, "bounds");
    cli_doc_i64(d, "count", (int64_t)dedup->count);
    if (dedup->age_ms > 0) {
        flv_text_format_duration(dedup->age_ms, age);
        cli_doc_str(d, "age", age);
    }
    cli_doc_end(d);
    cli_doc_map(d, "filter");
    cli_doc_map(d, "transform");
    cli_doc_str(d, "uses", dedup->filter);
    if (dedup->param_count > 0) {
        cli_doc_map(d, "with");
        for (size_t i = 0; i < dedup->param_count; i++) {
            cli_doc_str(d, dedup->params[2 * i], dedup->params[2 * i + 1]);
        }
        cli_doc_end(d);
    }
    cli_doc_end(d);
    cli_doc_end(d);
    cli_doc_end(d);
}

static void doc_settings(struct cli_doc *d, const struct flv_topic_info *topic)
{
    static const char *const compression[] = {"None", "Gzip", "Snappy",
                                              "Lz4",  "Zstd", "Any"};
    if (topic->has_retention) {
        cli_doc_map(d, "cleanupPolicy");
        cli_doc_map(d, "segment");
        cli_doc_i64(d, "timeInSeconds", topic->retention_s);
        cli_doc_end(d);
        cli_doc_end(d);
    }
    if (topic->has_segment_size || topic->has_partition_bytes_max) {
        cli_doc_map(d, "storage");
        if (topic->has_segment_size) {
            cli_doc_i64(d, "segmentSize", topic->segment_size_bytes);
        } else {
            cli_doc_null(d, "segmentSize");
        }
        if (topic->has_partition_bytes_max) {
            cli_doc_i64(d, "maxPartitionSize",
                        (int64_t)topic->partition_bytes_max);
        } else {
            cli_doc_null(d, "maxPartitionSize");
        }
        cli_doc_end(d);
    }
    assert((size_t)topic->compression <
           sizeof compression / sizeof compression[0]);
    cli_doc_str(d, "compressionType", compression[topic->compression]);
    if (topic->dedup != NULL) {
        cli_dedup_doc(d, topic->dedup);
    }
    cli_doc_bool(d, "system", topic->system);
}

static void doc_status(struct cli_doc *d, const struct flv_topic_info *topic)
{
    cli_doc_map(d, "status");
    cli_doc_str(d, "resolution", state_names[topic->state].doc);
    cli_doc_map(d, "replicaMap");
    for (size_t i = 0; i < topic->replica_count; i++) {
        char key[16];
        snprintf(key, sizeof key, "%" PRIu32, topic->replicas[i].partition);
        cli_doc_list(d, key);
        for (size_t k = 0; k < topic->replicas[i].spu_count; k++) {
            cli_doc_i64(d, NULL, topic->replicas[i].spus[k]);
        }
        cli_doc_end(d);
    }
    cli_doc_end(d);
    cli_doc_map(d, "mirrorMap");
    cli_doc_end(d);
    cli_doc_str(d, "reason", topic->reason);
    cli_doc_end(d);
}

static void doc_topic(struct cli_doc *d, const struct flv_topic_info *topic)
{
    cli_doc_map(d, NULL);
    cli_doc_str(d, "name", topic->name);
    cli_doc_map(d, "spec");
    doc_replicas(d, topic);
    doc_settings(d, topic);
    cli_doc_end(d);
    doc_status(d, topic);
    cli_doc_end(d);
}

/* A list, or one topic alone. */
static flv_rc doc_topics(enum cli_format format,
                         const struct flv_topic_info *topics,
                         size_t count,
                         bool alone,
                         struct flv_buf *out)
{
    struct cli_doc d;
    cli_doc_init(&d, format);
    if (!alone) {
        cli_doc_list(&d, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        doc_topic(&d, &topics[i]);
    }
    if (!alone) {
        cli_doc_end(&d);
    }
    return cli_doc_put(&d, out, NULL);
}

/* ---- topic list, topic describe ---------------------------------------- */

static const struct flv_opt list_opts[] = {
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct show_conf, output),
     .choices = cli_format_names,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = "system",
     .letter = 's',
     FLV_FLAG(struct show_conf, system),
     .help = "Show system topics only"},
    {.name = NULL}};

static const struct flv_opt describe_opts[] = {
    {.name = "name",
     FLV_STR(struct show_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the Topic to describe"},
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct show_conf, output),
     .choices = cli_format_names,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = "system",
     .letter = 's',
     FLV_FLAG(struct show_conf, system),
     .help = "Describe a system topic"},
    {.name = NULL}};

static flv_rc print_topics(struct show_call *s,
                           const struct flv_topic_info *topics,
                           struct flv_err *err)
{
    struct cli_list *l = &s->list;
    bool alone = s->conf->name != NULL;
    if (l->count == 0) {
        return alone ? flv_fail(err, FLV_E_NOT_FOUND, "Topic not found: %s",
                                s->conf->name)
                     : FLV_OK;
    }
    flv_rc rc = FLV_OK;
    if (l->output != CLI_FORMAT_TABLE) {
        rc = doc_topics((enum cli_format)l->output, topics, l->count, alone,
                        &l->text);
    } else if (alone) {
        rc = describe_table(&topics[0], &l->text, err);
    } else {
        rc = list_table(topics, l->count, &l->text, err);
    }
    return rc == FLV_OK
               ? FLV_OK
               : flv_fail(err, rc, "cannot print %zu topics", l->count);
}

static void got_topics(void *user,
                       const struct flv_err *err,
                       const struct flv_topic_info *topics,
                       size_t count)
{
    struct show_call *s = user;
    struct flv_err own = {0};
    s->list.count = count;
    if (err == NULL && print_topics(s, topics, &own) != FLV_OK) {
        err = &own;
    }
    cli_call_end(&s->list.call, err);
}

static int topic_show(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct show_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    struct show_call s = {.conf = conf};
    flv_rc rc = cli_list_begin(&s.list, c, conf->output, TEXT_BYTES_MAX, &err);
    if (rc == FLV_OK) {
        rc = flv_client_topics(c->client, conf->name, conf->system, got_topics,
                               &s, &err);
    }
    return cli_list_end(&s.list, rc, "No topics found", &err);
}

const struct flv_cmd cli_cmd_topic_list = {
    .name = "list",
    .about = "List all of the available Topics",
    .opts = list_opts,
    .conf_size = sizeof(struct show_conf),
    .run = topic_show,
};

const struct flv_cmd cli_cmd_topic_describe = {
    .name = "describe",
    .about = "Print detailed information about a Topic",
    .opts = describe_opts,
    .conf_size = sizeof(struct show_conf),
    .run = topic_show,
};
