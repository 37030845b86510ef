#include "connector/options.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A filter and one shape may be given, the filter runs first. */
#define FILTER_GROUP "filter"
#define SHAPE_GROUP "shape"

static const char *const codecs[] = {"none", "gzip", "snappy",
                                     "lz4",  "zstd", NULL};
static const char *const linger_names[] = {"linger", "source-linger", NULL};
static const char *const compression_names[] = {"compression",
                                                "source-compression", NULL};
static const char *const batch_names[] = {"batch-size", "source-batch-size",
                                          NULL};
static const char *const arraymap_names[] = {"array-map", NULL};
static const char *const partition_names[] = {"fluvio-partition", NULL};
static const char *const initial_names[] = {"aggregate-init", NULL};

#define SMART_HELP(kind)                                                       \
    "Path of " kind " smartstream used as a pre-produce step If not found "    \
    "file in that path, it will be fetch the smartmodule with that name if "   \
    "present"

/* clang-format off */
static const struct flv_opt shared_opts[] = {
    {.name = "config", FLV_STR(struct flv_shared_conf, config),
     .help = "File with the connector's configuration (YAML)"},
    {.name = "secrets", FLV_STR(struct flv_shared_conf, secrets),
     .help = "File with the secrets that the configuration names, lines of "
             "NAME=VALUE"},
    {.name = "describe", FLV_FLAG(struct flv_shared_conf, describe),
     .flags = FLV_OPT_HIDDEN,
     .help = "Prints name, version and options as JSON"},
    {.name = "log-file", FLV_STR(struct flv_shared_conf, log_file),
     .flags = FLV_OPT_HIDDEN,
     .help = "For managers: file to log to, opened anew on SIGHUP"},
    {.name = "exit-file", FLV_STR(struct flv_shared_conf, exit_file),
     .flags = FLV_OPT_HIDDEN,
     .help = "For managers: file that says at the end how it went"},
    {.name = "lock-fd", FLV_U64(struct flv_shared_conf, lock_fd),
     .max = 1048576, .flags = FLV_OPT_HIDDEN,
     .help = "For managers: descriptor with a lock to hold for life"},
    {.name = "control-fd", FLV_U64(struct flv_shared_conf, control_fd),
     .max = 1048576, .flags = FLV_OPT_HIDDEN,
     .help = "For managers: listening unix socket to be steered by"},
    {.name = "check", FLV_FLAG(struct flv_shared_conf, check),
     .group = "instead", .flags = FLV_OPT_HIDDEN,
     .help = "Reads and checks everything, starts nothing"},
    {.name = "probe", FLV_FLAG(struct flv_shared_conf, probe),
     .group = "instead", .flags = FLV_OPT_HIDDEN,
     .help = "Looks once whether the far side is there, starts nothing"},
    {.name = "fluvio-topic", FLV_STR(struct flv_shared_conf, fluvio_topic),
     .flags = FLV_OPT_REQUIRED,
     .help = "The topic where all things should go"},
    {.name = "rust-log", FLV_STR(struct flv_shared_conf, rust_log),
     .help = "The rust log level"},
    {.name = "cluster", FLV_STR(struct flv_shared_conf, cluster),
     .group = "cluster",
     .help = "Address of the cluster, host:port, instead of the active "
             "profile's"},
    {.name = "profile", FLV_STR(struct flv_shared_conf, profile),
     .group = "cluster",
     .help = "Fluvio profile to use instead of the active one"},
    {.name = "smartstream-filter",
     FLV_STR(struct flv_shared_conf, smart_filter), .group = FILTER_GROUP,
     .help = SMART_HELP("filter")},
    {.name = "smartstream-map", FLV_STR(struct flv_shared_conf, smart_map),
     .group = SHAPE_GROUP, .help = SMART_HELP("map")},
    {.name = "smartstream-arraymap",
     FLV_STR(struct flv_shared_conf, smart_arraymap), .group = SHAPE_GROUP,
     .help = SMART_HELP("arraymap")},
    {.name = "filter", FLV_STR(struct flv_shared_conf, filter),
     .group = FILTER_GROUP,
     .help = "SmartModule that filters records: a file, or else a name on the "
             "cluster"},
    {.name = "map", FLV_STR(struct flv_shared_conf, map),
     .group = SHAPE_GROUP, .help = "SmartModule that maps records"},
    {.name = "arraymap", FLV_STR(struct flv_shared_conf, arraymap),
     .group = SHAPE_GROUP, .aliases = arraymap_names,
     .help = "SmartModule that makes several records of one"},
    {.name = "filter-map", FLV_STR(struct flv_shared_conf, filter_map),
     .group = SHAPE_GROUP,
     .help = "SmartModule that filters and maps records"},
    {.name = "aggregate", FLV_STR(struct flv_shared_conf, aggregate),
     .group = SHAPE_GROUP, .help = "SmartModule that accumulates records"},
    {.name = "aggregate-initial-value",
     FLV_STR(struct flv_shared_conf, initial_value), .arg = "value",
     .aliases = initial_names, .help = "First value of the accumulator"},
    {.name = "smart-module", FLV_STR(struct flv_shared_conf, smart_module),
     .group = SHAPE_GROUP, .help = "SmartModule of any kind"},
    {.name = "smartmodule-parameters",
     FLV_LIST(struct flv_shared_conf, smart_params), .arg = "key:value",
     .help = "Parameter of the SmartModule"},
    {.name = "transform", FLV_LIST(struct flv_shared_conf, transforms),
     .arg = "json",
     .help = "SmartModule of a chain, as in transforms of a file, such as "
             "{\"uses\":\"a.wasm\",\"with\":{\"key\":\"value\"}}"},
    {.name = "on-error", FLV_STR(struct flv_shared_conf, on_error),
     .arg = "policy",
     .help = "What becomes of a record that a SmartModule fails on: halt, "
             "discard, retry:N, dead-letter:TOPIC; default: halt"},
    {.name = "smartmodule-fuel", FLV_U64(struct flv_shared_conf, budget.fuel),
     .arg = "instructions", .min = 1, .max = FLV_BUDGET_FUEL_MAX,
     .help = "Instructions that a SmartModule may use for a record; default: "
             "1000000000"},
    {.name = "smartmodule-cpu-ms",
     FLV_U64(struct flv_shared_conf, budget.cpu_ms), .arg = "ms", .min = 1,
     .max = FLV_BUDGET_CPU_MS_MAX,
     .help = "Processor time that a SmartModule may use for a record; "
             "default: 1000"},
    {.name = "smartmodule-memory",
     FLV_SIZE(struct flv_shared_conf, budget.memory_bytes), .arg = "size",
     .min = FLV_BUDGET_MEMORY_MIN, .max = FLV_BUDGET_MEMORY_MAX,
     .help = "Memory that a SmartModule may have; default: 256 Mi"},
    {.name = "smartmodule-output-records",
     FLV_U64(struct flv_shared_conf, budget.output_records), .arg = "count",
     .min = 1, .max = FLV_BUDGET_RECORDS_MAX,
     .help = "Records that a SmartModule may make of one; default: 10000"},
    {.name = "smartmodule-output-bytes",
     FLV_SIZE(struct flv_shared_conf, budget.output_bytes), .arg = "size",
     .min = 1, .max = FLV_BUDGET_BYTES_MAX,
     .help = "Bytes that a SmartModule may make of one record; default: "
             "16 Mi"},
    {.name = NULL},
};
/* clang-format on */

/* What only sources have: how batches are made. */
/* clang-format off */
static const struct flv_opt source_opts[] = {
    {.name = "producer-linger",
     FLV_DURATION(struct flv_shared_conf, linger_ms),
     .aliases = linger_names, .max = 86400000,
     .help = "Time to wait for more records before sending a batch, such as "
             "100ms"},
    {.name = "producer-compression",
     FLV_CHOICE(struct flv_shared_conf, compression), .choices = codecs,
     .aliases = compression_names, .help = "Compression of batches"},
    {.name = "producer-batch-size",
     FLV_SIZE(struct flv_shared_conf, batch_size_bytes),
     .aliases = batch_names, .min = 1, .max = UINT64_C(32) << 20,
     .help = "Largest size of a batch before compression, such as 16 KB"},
    {.name = NULL},
};

/* What only sinks have: what is read, and whose the position is. */
static const struct flv_opt sink_opts[] = {
    {.name = "consumer", FLV_STR(struct flv_shared_conf, consumer),
     .example = "billing",
     .help = "Name under which the position in the topic is kept; default: "
             "the connector's name, else its type"},
    {.name = "start", FLV_STR(struct flv_shared_conf, start),
     .fallback = "beginning", .example = "end",
     .help = "Where reading begins when no position is kept: beginning, end, "
             "absolute:N, from-beginning:N, from-end:N"},
    {.name = "consumer-partition",
     FLV_LIST(struct flv_shared_conf, consumer_partitions), .arg = "number",
     .aliases = partition_names, .example = "0",
     .help = "Partition to read; default: all"},
    {.name = "consumer-max-bytes",
     FLV_SIZE(struct flv_shared_conf, consumer_max_bytes), .min = 1,
     .max = UINT64_C(32) << 20,
     .help = "Bytes that one answer of the cluster may have"},
    {.name = NULL},
};
/* clang-format on */

static const char *const line_only[] = {
    "config",   "secrets",   "describe", "check",      "probe",
    "log-file", "exit-file", "lock-fd",  "control-fd", NULL};

static bool is_line_only(const char *name)
{
    for (const char *const *n = line_only; *n != NULL; n++) {
        if (strcmp(*n, name) == 0) {
            return true;
        }
    }
    return false;
}

static size_t count_of(const struct flv_opt *table)
{
    size_t n = 0;
    while (table != NULL && table[n].name != NULL) {
        n++;
    }
    return n;
}

static int by_name(const void *a, const void *b)
{
    const struct flv_opt *x = a, *y = b;
    return strcmp(x->name, y->name);
}

flv_rc flv__conn_opts_init(struct flv_conn_opts *o,
                           const struct flv_connector *type,
                           struct flv_err *err)
{
    const size_t align = alignof(max_align_t);
    const struct flv_opt *way = type->sink != NULL ? sink_opts : source_opts;
    size_t common = count_of(shared_opts), ways = count_of(way);
    size_t shared = common + ways, own = count_of(type->opts);
    *o = (struct flv_conn_opts){0};
    if (shared + own > FLV_OPT_COUNT_MAX) {
        return flv_fail(err, FLV_E_LIMIT,
                        "connector %s has %zu options; at most %zu are "
                        "possible",
                        type->name, own, FLV_OPT_COUNT_MAX - shared);
    }
    o->table = flv_zalloc(shared + own + 1, sizeof(*o->table));
    if (o->table == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    o->own_offset =
        (sizeof(struct flv_shared_conf) + align - 1) / align * align;
    o->conf_size = o->own_offset + type->conf_size;
    memcpy(o->table, shared_opts, common * sizeof(*o->table));
    memcpy(o->table + common, way, ways * sizeof(*o->table));
    for (size_t i = 0; i < shared; i++) {
        struct flv_opt *opt = &o->table[i];
        if (strcmp(opt->name, "fluvio-topic") == 0) {
            opt->aliases = type->topic_aliases;
        }
        if (strcmp(opt->name, "fluvio-topic") == 0 && type->sink != NULL) {
            opt->help = "The topic to read";
        }
        if (strcmp(opt->name, "on-error") == 0 && type->sink != NULL) {
            opt->help = "What becomes of a record that a SmartModule fails on "
                        "or the far side refuses: halt, discard, retry:N, "
                        "dead-letter:TOPIC; default: halt";
        }
        opt->flags |= FLV_OPT_SHARED;
        opt->flags |= is_line_only(opt->name) ? FLV_OPT_LINE : 0;
    }
    for (size_t i = 0; i < own; i++) {
        o->table[shared + i] = type->opts[i];
        o->table[shared + i].offset += o->own_offset;
    }
    qsort(o->table, shared + own, sizeof(*o->table), by_name);
    return FLV_OK;
}

void flv__conn_opts_deinit(struct flv_conn_opts *o)
{
    flv_free(o->table);
    o->table = NULL;
}
