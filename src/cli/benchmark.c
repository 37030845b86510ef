#include "cli/cli.h"

#include "base/rand.h"
#include "cli/bench.h"

#include <inttypes.h>

#define NAME_BYTES 32

struct bench_opts {
    uint64_t batch_size, queue_size, max_request_size;
    uint64_t linger_ms, server_timeout_ms, worker_timeout_ms;
    uint64_t num_samples, between_ms;
    int compression, keys;
    uint64_t num_producers, num_records, record_size;
    uint64_t partitions, replicas;
    char *topic_name;
    bool keep_topic, delete_topic, ignore_rack;
};

static const char *const compressions[] = {"none", "gzip", "snappy",
                                           "lz4",  "zstd", NULL};
static const enum flv_compression compression_values[] = {
    FLV_COMPRESSION_NONE, FLV_COMPRESSION_GZIP, FLV_COMPRESSION_SNAPPY,
    FLV_COMPRESSION_LZ4, FLV_COMPRESSION_ZSTD};
/* In the order of enum cli_bench_key. */
static const char *const key_names[] = {"no-key", "all-share-same-key",
                                        "producer-worker-unique-key",
                                        "random-key", NULL};

/* clang-format off */
#define BENCH_OPTS                                                            \
    {.name = "batch-size",                                                    \
     .letter = 'b',                                                           \
     FLV_SIZE(struct bench_opts, batch_size),                                 \
     .arg = "bytes",                                                          \
     .fallback = "16kib",                                                     \
     .min = 1,                                                                \
     .max = 1 << 30,                                                          \
     .help = "Size of each batch"},                                           \
    {.name = "queue-size",                                                    \
     .letter = 'q',                                                           \
     FLV_U64(struct bench_opts, queue_size),                                  \
     .arg = "count",                                                          \
     .fallback = "100",                                                       \
     .min = 1,                                                                \
     .max = 65536,                                                            \
     .help = "Number of batches that a producer holds at a time"},            \
    {.name = "max-request-size",                                              \
     FLV_SIZE(struct bench_opts, max_request_size),                           \
     .arg = "bytes",                                                          \
     .fallback = "32mib",                                                     \
     .min = 1,                                                                \
     .max = 1 << 30,                                                          \
     .help = "Maximum size of a request"},                                    \
    {.name = "linger",                                                        \
     .letter = 'l',                                                           \
     FLV_DURATION(struct bench_opts, linger_ms),                              \
     .arg = "time",                                                           \
     .fallback = "0ms",                                                       \
     .max = 86400000,                                                         \
     .help = "Time to wait for new records"},                                 \
    {.name = "server-timeout",                                                \
     FLV_DURATION(struct bench_opts, server_timeout_ms),                      \
     .arg = "time",                                                           \
     .fallback = "5000ms",                                                    \
     .min = 1,                                                                \
     .max = INT32_MAX,                                                        \
     .help = "Timeout for the server"},                                       \
    {.name = "compression",                                                   \
     .letter = 'c',                                                           \
     FLV_CHOICE(struct bench_opts, compression),                              \
     .choices = compressions,                                                 \
     .fallback = "none",                                                      \
     .help = "Compression algorithm to use"},                                 \
    {.name = "num-samples",                                                   \
     FLV_U64(struct bench_opts, num_samples),                                 \
     .fallback = "3",                                                         \
     .flags = FLV_OPT_HIDDEN,                                                 \
     .help = "Without use: a run is one sample"},                             \
    {.name = "time-between-samples",                                          \
     FLV_DURATION(struct bench_opts, between_ms),                             \
     .fallback = "250ms",                                                     \
     .flags = FLV_OPT_HIDDEN,                                                 \
     .help = "Without use: a run is one sample"},                             \
    {.name = "worker-timeout",                                                \
     FLV_DURATION(struct bench_opts, worker_timeout_ms),                      \
     .arg = "time",                                                           \
     .fallback = "3000s",                                                     \
     .min = 1,                                                                \
     .help = "Timeout for the whole run"},                                    \
    {.name = "record-key-allocation-strategy",                                \
     FLV_CHOICE(struct bench_opts, keys),                                     \
     .choices = key_names,                                                    \
     .arg = "strategy",                                                       \
     .fallback = "no-key",                                                    \
     .help = "Strategy for allocating record keys"},                          \
    {.name = "num-producers",                                                 \
     FLV_U64(struct bench_opts, num_producers),                               \
     .arg = "count",                                                          \
     .fallback = "1",                                                         \
     .min = 1,                                                                \
     .max = CLI_BENCH_PRODUCERS_MAX,                                          \
     .help = "Number of producers that will send records"},                   \
    {.name = "num-records",                                                   \
     FLV_U64(struct bench_opts, num_records),                                 \
     .arg = "count",                                                          \
     .fallback = "10000",                                                     \
     .min = 1,                                                                \
     .help = "Number of records that all producers send together"},           \
    {.name = "record-size",                                                   \
     FLV_SIZE(struct bench_opts, record_size),                                \
     .arg = "bytes",                                                          \
     .fallback = "5kib",                                                      \
     .min = 1,                                                                \
     .max = CLI_BENCH_RECORD_MAX,                                             \
     .help = "Size of each record in bytes"},                                 \
    {.name = "partitions",                                                    \
     .letter = 'p',                                                           \
     FLV_U64(struct bench_opts, partitions),                                  \
     .arg = "count",                                                          \
     .fallback = "1",                                                         \
     .min = 1,                                                                \
     .max = 1000,                                                             \
     .help = "Number of partitions for the topic"},                           \
    {.name = "replicas",                                                      \
     .letter = 'r',                                                           \
     FLV_U64(struct bench_opts, replicas),                                    \
     .arg = "count",                                                          \
     .fallback = "1",                                                         \
     .min = 1,                                                                \
     .max = INT32_MAX,                                                        \
     .help = "Number of replicas for the topic"},                             \
    {.name = "topic-name",                                                    \
     .letter = 't',                                                           \
     FLV_STR(struct bench_opts, topic_name),                                  \
     .arg = "name",                                                           \
     .help = "Name of the topic to create, benchmark- and ten letters if "    \
             "absent"},                                                       \
    {.name = "keep-topic",                                                    \
     .letter = 'k',                                                           \
     FLV_FLAG(struct bench_opts, keep_topic),                                 \
     .help = "Keep the topic after the benchmark"},                           \
    {.name = "delete-topic",                                                  \
     .letter = 'd',                                                           \
     FLV_FLAG(struct bench_opts, delete_topic),                               \
     .flags = FLV_OPT_HIDDEN,                                                 \
     .help = "Without use: a topic that the run creates is deleted"},         \
    {.name = "ignore-rack",                                                   \
     FLV_FLAG(struct bench_opts, ignore_rack),                                \
     .help = "Ignore rack assignment"}
/* clang-format on */

static const struct flv_opt bench_opts[] = {BENCH_OPTS, {.name = NULL}};

/* ---- Its topic ------------------------------------------------------------
 */

struct look {
    struct cli_call call;
    const char *name; /* borrowed */
    uint64_t partitions;
};

static void looked(void *user,
                   const struct flv_err *err,
                   const struct flv_topic_info *topics,
                   size_t count)
{
    struct look *l = user;
    for (size_t i = 0; err == NULL && i < count; i++) {
        if (strcmp(topics[i].name, l->name) == 0) {
            l->partitions = topics[i].replica_count;
        }
    }
    cli_call_end(&l->call, err);
}

/* *partitions is 0 where there is no such topic. */
static flv_rc find_topic(struct cli *c,
                         const char *name,
                         uint64_t *partitions,
                         struct flv_err *err)
{
    struct look l = {.name = name};
    cli_call_init(&l.call, c);
    flv_rc rc = flv_client_topics(c->client, name, false, looked, &l, err);
    rc = rc == FLV_OK ? cli_call_wait(&l.call, err) : rc;
    *partitions = l.partitions;
    return rc;
}

static flv_rc create_topic(struct cli *c,
                           const struct bench_opts *opts,
                           const char *name,
                           struct flv_err *err)
{
    struct flv_topic_conf topic = flv_topic_conf_default(name);
    struct cli_call call;
    topic.partitions = (uint32_t)opts->partitions;
    topic.replication = (uint32_t)opts->replicas;
    topic.ignore_rack = opts->ignore_rack;
    cli_call_init(&call, c);
    flv_rc rc =
        flv_client_topic_create(c->client, &topic, cli_call_done, &call, err);
    return rc == FLV_OK ? cli_call_wait(&call, err) : rc;
}

static flv_rc delete_topic(struct cli *c, const char *name, struct flv_err *err)
{
    struct cli_call call;
    cli_call_init(&call, c);
    flv_rc rc = flv_client_topic_delete(c->client, name, false, cli_call_done,
                                        &call, err);
    return rc == FLV_OK ? cli_call_wait(&call, err) : rc;
}

/* ---- What came of it ------------------------------------------------------
 */

static void print_latencies(const struct cli_times *t, const char *what)
{
    static const double parts[] = {0, 0.5, 0.95, 0.99, 1};
    char text[CLI_TIMES_TEXT_MAX];
    printf("\n**%s**\n\n| Variable |", what);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        printf(" p%4.2f    |", parts[i]);
    }
    printf("\n|----------|");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        printf("----------|");
    }
    printf("\n| Latency  |");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        cli_times_format(cli_times_at(t, parts[i]), text);
        printf(" %-8s |", text);
    }
    printf("\n");
}

static void print_result(const struct cli_bench_result *r, bool consume)
{
    static const double parts[] = {0.5, 0.95, 0.99};
    char a[CLI_TIMES_TEXT_MAX], b[CLI_TIMES_TEXT_MAX], d[CLI_TIMES_TEXT_MAX];
    cli_times_format(r->times.min, a);
    cli_times_format(cli_times_mean(&r->times), b);
    cli_times_format(r->times.max, d);
    printf("\nlatencies: %s min, %s avg, %s max", a, b, d);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        cli_times_format(cli_times_at(&r->times, parts[i]), a);
        printf(", %s p%4.2f", a, parts[i]);
    }
    cli_bench_rate(r->bytes, r->elapsed_ns, a);
    cli_times_format(r->elapsed_ns, b);
    printf("\n%" PRIu64 " total records %s, %" PRIu64
           " records/sec: (%s/sec), total time: %s\n",
           r->records, consume ? "received" : "sent",
           cli_bench_per_second(r->records, r->elapsed_ns), a, b);
    print_latencies(&r->times, consume
                                   ? "Per Record E2E Latency, Send To Receive"
                                   : "Per Record E2E Latency");
    printf("\n**Throughput (Total %s Bytes / Time)**\n\n"
           "| Variable            | Speed          |\n"
           "|---------------------|----------------|\n"
           "| %s Throughput | %s/sec%*s |\n\n",
           consume ? "Consumed" : "Produced", consume ? "Consumed" : "Produced",
           a, (int)(strlen(a) < 10 ? 10 - strlen(a) : 0), "");
}

/* ---- The commands ---------------------------------------------------------
 */

static struct cli_bench_conf
conf_of(const struct bench_opts *opts, const char *topic, bool consume)
{
    struct cli_bench_conf conf = {
        .producer = flv_producer_conf_default(topic),
        .topic = topic,
        .key = (enum cli_bench_key)opts->keys,
        .producers = opts->num_producers < opts->num_records
                         ? opts->num_producers
                         : opts->num_records,
        .records = opts->num_records,
        .record_bytes = opts->record_size,
        .timeout_ms = opts->worker_timeout_ms,
        .consume = consume,
    };
    /* At least two records, whatever the size of a batch. */
    uint64_t batch = opts->batch_size > 2 * opts->record_size
                         ? opts->batch_size
                         : 2 * opts->record_size + 1024;
    uint64_t buffer = batch * opts->queue_size;
    conf.producer.batch_size_bytes = (uint32_t)opts->batch_size;
    conf.producer.request_size_bytes_max = (uint32_t)opts->max_request_size;
    conf.producer.buffer_bytes_max =
        (size_t)(buffer < (uint64_t)1 << 30 ? buffer : (uint64_t)1 << 30);
    conf.producer.linger_ms = (uint32_t)opts->linger_ms;
    conf.producer.timeout_ms = (uint32_t)opts->server_timeout_ms;
    conf.producer.compression = compression_values[opts->compression];
    conf.producer.isolation = FLV_READ_UNCOMMITTED;
    conf.producer.fail_on_storage = true;
    return conf;
}

/* The topic's name, and whether the run makes it and takes it away again. */
static flv_rc prepare(struct cli *c,
                      const struct bench_opts *opts,
                      bool consume,
                      char name[NAME_BYTES],
                      struct cli_bench_conf *conf,
                      bool *out_made,
                      struct flv_err *err)
{
    uint64_t there = 0;
    snprintf(name, NAME_BYTES, "benchmark-%010" PRIx64,
             flv_rand_below((uint64_t)1 << 40));
    *conf = conf_of(opts, opts->topic_name != NULL ? opts->topic_name : name,
                    consume);
    flv_rc rc = cli_connect(c, err);
    rc = rc == FLV_OK ? find_topic(c, conf->topic, &there, err) : rc;
    if (rc == FLV_OK && there > 0 && consume) {
        return flv_fail(err, FLV_E_EXISTS,
                        "topic \"%.80s\" is there already; `fluvio benchmark "
                        "consumer` makes a topic of its own",
                        conf->topic);
    }
    conf->partitions = there > 0 ? there : opts->partitions;
    if (rc == FLV_OK && there == 0) {
        rc = create_topic(c, opts, conf->topic, err);
        *out_made = rc == FLV_OK;
    }
    return rc;
}

static int run(struct flv_args *args, struct cli *c, bool consume)
{
    static struct cli_bench_result result;
    const struct bench_opts *opts = flv_args_conf(args);
    struct cli_bench_conf conf;
    char name[NAME_BYTES];
    bool made = false;
    struct flv_err err = {0}, why = {0};
    if (consume && opts->record_size < CLI_BENCH_STAMP_BYTES) {
        return cli_usage(c, "--record-size: a consumer needs records of at "
                            "least 16 bytes, for the time of sending");
    }
    flv_rc rc = prepare(c, opts, consume, name, &conf, &made, &err);
    rc = rc == FLV_OK ? cli_bench_run(c, &conf, &result, &err) : rc;
    if (rc == FLV_OK && result.records > 0) {
        print_result(&result, consume);
        if (result.signum == 0) {
            printf("Benchmark completed\n");
        }
    }
    int status = rc == FLV_OK ? 0 : cli_fail(&err);
    if (made && !opts->keep_topic && delete_topic(c, conf.topic, &why) != 0) {
        status =
            cli_failf("topic \"%s\" was not deleted: %s", conf.topic, why.text);
    }
    return status == 0 && result.signum != 0 ? 128 + result.signum : status;
}

static int run_producer(struct flv_args *args, void *ctx)
{
    return run(args, ctx, false);
}

static int run_consumer(struct flv_args *args, void *ctx)
{
    return run(args, ctx, true);
}

static const struct flv_cmd producer_cmd = {
    .name = "producer",
    .about = "Run a producer benchmark\n\n"
             "Sends records as fast as the cluster takes them and tells the "
             "throughput and how long each record waited for its "
             "acknowledgement.",
    .opts = bench_opts,
    .conf_size = sizeof(struct bench_opts),
    .run = run_producer,
};

static const struct flv_cmd consumer_cmd = {
    .name = "consumer",
    .about = "Run a consumer benchmark\n\n"
             "Sends records like the producer benchmark and reads them "
             "meanwhile; tells the throughput of the consumer and how long "
             "each record took from sending to receiving.",
    .opts = bench_opts,
    .conf_size = sizeof(struct bench_opts),
    .run = run_consumer,
};

static const struct flv_cmd *const commands[] = {&producer_cmd, &consumer_cmd,
                                                 NULL};
static const char *const aliases[] = {"bench", NULL};

const struct flv_cmd cli_cmd_benchmark = {
    .name = "benchmark",
    .about = "Benchmarks for Fluvio\n\n"
             "They use a topic of their own and delete it at the end.",
    .aliases = aliases,
    .commands = commands,
};
