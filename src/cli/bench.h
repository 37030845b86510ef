/*
 * bench.h - one run of `fluvio benchmark`.
 *
 * Purpose    Producers that send records as fast as the cluster takes them,
 *            and, where asked, a consumer that reads them meanwhile; what was
 *            moved and how long each record took.
 * Threads    One: all run in the loop of the command.
 * Ownership  cli_bench_run() owns what it opens and closes it.
 * Errors     Sentences; the first one ends the run.
 * Units      Bytes of values, nanoseconds.
 * See        docs/cli.md, section benchmark
 */
#ifndef FLV_CLI_BENCH_H
#define FLV_CLI_BENCH_H

#include "cli/bench_times.h"
#include "cli/cli.h"

#include <signal.h>

#define CLI_BENCH_PRODUCERS_MAX 256
#define CLI_BENCH_RECORD_MAX ((uint64_t)64 << 20)
/* The time of sending, in front of a value that a consumer looks at. */
#define CLI_BENCH_STAMP_BYTES 16

enum cli_bench_key {
    CLI_BENCH_NO_KEY,
    CLI_BENCH_SHARED_KEY,
    CLI_BENCH_WORKER_KEY,
    CLI_BENCH_RANDOM_KEY,
};

struct cli_bench_conf {
    struct flv_producer_conf producer;
    const char *topic;
    enum cli_bench_key key;
    uint64_t producers, records, record_bytes;
    uint64_t partitions;
    uint64_t timeout_ms; /* of the whole run */
    bool consume;        /* the figures are those of the consumer */
};

struct cli_bench_result {
    struct cli_times times;
    uint64_t records, bytes, elapsed_ns;
    int signum; /* that ended it early, else 0 */
};

/* The topic exists. Prints a line a second. */
FLV_CHECKED flv_rc cli_bench_run(struct cli *c,
                                 const struct cli_bench_conf *conf,
                                 struct cli_bench_result *out,
                                 struct flv_err *err);

/* "12.3 MiB" of bytes in that time, per second. */
void cli_bench_rate(uint64_t bytes, uint64_t ns, char out[CLI_TIMES_TEXT_MAX]);
uint64_t cli_bench_per_second(uint64_t count, uint64_t ns);

#endif
