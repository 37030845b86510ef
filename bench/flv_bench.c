/*
 * flv_bench.c - the work of bench/run: one measurement per call, printed as
 * one line of key=value.
 *
 *     flv-bench produce  ADDRESS TOPIC PRODUCERS RECORD BATCH IN_FLIGHT SECONDS
 *     flv-bench spread   ADDRESS TOPIC PRODUCERS RECORD BURST PARTITIONS
 *            SECONDS: with BURST records to a partition, then to the next
 *     flv-bench consume  ADDRESS TOPIC RECORDS
 *     flv-bench latency  ADDRESS TOPIC RECORD SECONDS
 *     flv-bench sift     PORT TOPIC RECORDS WASM KEY=VALUE  see sift.h
 *     flv-bench spin     PORT TOPIC WASM STREAMS            see sift.h
 *     flv-bench disk|pages|intake|loopback|handoff      see limits.h
 *
 * Sizes in bytes. A record counts when it was acknowledged (produce, latency)
 * or seen by the callback (consume). Every producer has a connection of its
 * own; all live on one loop.
 */
#include <fluvio/client.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "limits.h"
#include "loop/loop.h"
#include "sift.h"
#include "tool.h"

/* ------------------------------------------------------------- produce */

struct bench {
    struct flv_loop *loop;
    struct flv_timer until;
    uint64_t start_ns, end_ns, acked, opened;
    double cpu_start;
    size_t record_size, producers;
    size_t burst, partitions; /* 0: the producer chooses partitions */
    uint8_t *record;
    bool over;
    uint64_t *latency_ns; /* ring of the newest */
    size_t latency_count;
};

enum { LATENCY_MAX = 1 << 20 };

static struct bench bench;

struct token {
    struct flv_send send;
    struct load *load;
    uint64_t sent_ns;
};

struct load {
    struct flv_client *client;
    struct flv_producer *producer;
    struct flv_task more;
    struct token *tokens, **idle;
    size_t idle_count;
    size_t index, sent;
};

/* Producers go through the partitions one behind the other. */
static int32_t partition_of(const struct load *load)
{
    if (bench.partitions == 0) {
        return -1;
    }
    return (
        int32_t)((load->index + load->sent / bench.burst * bench.producers) %
                 bench.partitions);
}

static void check(const struct flv_err *err)
{
    if (err != NULL && !bench.over) {
        die(err->text);
    }
}

static void acked(struct flv_send *send, const struct flv_err *err)
{
    struct token *token = (struct token *)send;
    struct load *load = token->load;

    load->idle[load->idle_count++] = token;
    check(err);
    if (bench.over) {
        return;
    }
    bench.latency_ns[bench.latency_count++ % LATENCY_MAX] =
        flv_clock_mono_ns() - token->sent_ns;
    bench.acked++;
    flv_loop_defer(bench.loop, &load->more);
}

static void fill(struct flv_task *task)
{
    struct load *load =
        (struct load *)((char *)task - offsetof(struct load, more));
    struct flv_msg msg = {.value = flv_slice(bench.record, bench.record_size)};

    while (!bench.over && load->idle_count > 0) {
        struct token *token = load->idle[load->idle_count - 1];
        struct flv_err err;
        flv_rc rc;

        token->sent_ns = flv_clock_mono_ns();
        msg.partition = partition_of(load);
        rc = flv_producer_send(load->producer, &msg, 1, &token->send, &err);
        if (rc == FLV_E_BUSY) {
            return;
        }
        if (rc != FLV_OK) {
            die(err.text);
        }
        load->idle_count--;
        load->sent++;
    }
}

static void writable(void *user)
{
    struct load *load = user;

    flv_loop_defer(bench.loop, &load->more);
}

static void time_over(struct flv_timer *timer)
{
    (void)timer;
    bench.over = true;
    bench.end_ns = flv_clock_mono_ns();
    flv_loop_stop(bench.loop);
}

static void producer_opened(void *user, const struct flv_err *err)
{
    (void)user;
    check(err);
    if (++bench.opened < bench.producers) {
        return;
    }
    bench.start_ns = flv_clock_mono_ns();
    bench.cpu_start = cpu_seconds();
    for (size_t i = 0; i < bench.producers; i++) {
        struct load *loads = user;

        flv_loop_defer(bench.loop, &loads[i].more);
    }
}

static struct flv_client *connect_client(const char *address)
{
    struct flv_client_conf conf = {.address = address};
    struct flv_client *client;
    struct flv_err err;

    if (flv_client_create(&client, bench.loop, &conf, &err) != FLV_OK) {
        die(err.text);
    }
    return client;
}

static void connected(void *user, const struct flv_err *err)
{
    (void)user;
    check(err);
}

static void open_load(struct load *load,
                      struct load *first,
                      const struct flv_producer_conf *with,
                      const char *address,
                      size_t tokens)
{
    struct flv_producer_conf conf = *with;
    struct flv_err err;

    load->index = (size_t)(load - first);
    load->client = connect_client(address);
    load->tokens = need(flv_zalloc(tokens, sizeof(*load->tokens)));
    load->idle = need(flv_zalloc(tokens, sizeof(*load->idle)));
    for (size_t i = 0; i < tokens; i++) {
        load->tokens[i].load = load;
        load->tokens[i].send.done = acked;
        load->idle[load->idle_count++] = &load->tokens[i];
    }
    flv_task_init(&load->more, fill);
    conf.buffer_bytes_max = (size_t)64 << 20;
    conf.writable = writable;
    conf.user = load;
    if (flv_client_connect(load->client, 2000, connected, NULL, &err) !=
            FLV_OK ||
        flv_producer_open(&load->producer, load->client, &conf, producer_opened,
                          first, &err) != FLV_OK) {
        die(err.text);
    }
}

static void start_loop(void)
{
    struct flv_err err;

    bench.latency_ns = need(flv_zalloc(LATENCY_MAX, sizeof(uint64_t)));
    if (flv_loop_create(&bench.loop, 0, &err) != FLV_OK) {
        die(err.text);
    }
}

/* Producers with `tokens` records under way each. */
static void run_producers(const char *address,
                          const struct flv_producer_conf *conf,
                          size_t tokens,
                          uint64_t run_ms)
{
    struct load *loads = need(flv_zalloc(bench.producers, sizeof(*loads)));
    struct flv_err err;
    double wall;

    bench.record = make_record(bench.record_size);
    start_loop();
    for (size_t i = 0; i < bench.producers; i++) {
        open_load(&loads[i], loads, conf, address, tokens);
    }
    flv_timer_init(&bench.until, bench.loop, time_over);
    if (flv_timer_start(&bench.until, run_ms, 0, &err) != FLV_OK) {
        die(err.text);
    }
    flv_loop_run(bench.loop);
    wall = (double)(bench.end_ns - bench.start_ns) / 1e9;
    if (bench.latency_count > LATENCY_MAX) {
        bench.latency_count = LATENCY_MAX;
    }
    printf("records=%llu records_per_s=%.0f mb_per_s=%.1f p50_us=%.0f "
           "p99_us=%.0f cpu_s=%.2f\n",
           (unsigned long long)bench.acked, (double)bench.acked / wall,
           (double)bench.acked * (double)bench.record_size / wall / 1e6,
           percentile_us(bench.latency_ns, bench.latency_count, 500),
           percentile_us(bench.latency_ns, bench.latency_count, 990),
           cpu_seconds() - bench.cpu_start);
}

static void produce(const char *const *argv)
{
    struct flv_producer_conf conf = flv_producer_conf_default(argv[1]);
    size_t batch = number(argv[4], 1 << 30);

    bench.producers = number(argv[2], 1024);
    bench.record_size = number(argv[3], 32 << 20);
    conf.batch_size_bytes = (uint32_t)batch;
    conf.in_flight_max = (uint32_t)number(argv[5], 1024);
    /* One batch more than what may be in flight: the next one to go. */
    run_producers(argv[0], &conf,
                  (conf.in_flight_max + 1) * (batch / bench.record_size + 1),
                  number(argv[6], 3600) * 1000);
}

static void spread(const char *const *argv)
{
    struct flv_producer_conf conf = flv_producer_conf_default(argv[1]);

    bench.producers = number(argv[2], 1024);
    bench.record_size = number(argv[3], 32 << 20);
    bench.burst = number(argv[4], 1024);
    bench.partitions = number(argv[5], 100000);
    conf.linger_ms = 0;
    conf.batch_size_bytes = (uint32_t)(bench.burst * (bench.record_size + 64));
    run_producers(argv[0], &conf, 8 * bench.burst,
                  number(argv[6], 3600) * 1000);
}

/* One record at a time: the next one is sent when this one is acknowledged. */
static void latency(const char *const *argv)
{
    struct flv_producer_conf conf = flv_producer_conf_default(argv[1]);

    bench.producers = 1;
    bench.record_size = number(argv[2], 32 << 20);
    conf.batch_size_bytes = 1; /* each goes at once */
    conf.in_flight_max = 1;
    run_producers(argv[0], &conf, 1, number(argv[3], 3600) * 1000);
}

/* ------------------------------------------------------------- consume */

static uint64_t seen, wanted, seen_bytes;

static void batch_seen(void *user, const struct flv_record_batch *batch)
{
    (void)user;
    for (size_t i = 0; i < batch->count; i++) {
        seen_bytes += batch->records[i].value.len;
    }
    seen += batch->count;
    if (seen >= wanted) {
        bench.over = true;
        bench.end_ns = flv_clock_mono_ns();
        flv_loop_stop(bench.loop);
    }
}

static void ended(void *user, const struct flv_err *err)
{
    (void)user;
    check(err);
    if (!bench.over) {
        die("the topic has fewer records");
    }
}

static void consume(const char *const *argv)
{
    struct flv_consumer_conf conf = flv_consumer_conf_default(argv[1]);
    struct flv_consumer *consumer;
    struct flv_client *client;
    struct flv_err err;
    double wall;

    wanted = number(argv[2], UINT64_MAX);
    start_loop();
    client = connect_client(argv[0]);
    conf.start.kind = FLV_START_BEGINNING;
    conf.stop_at_end = true;
    conf.batch = batch_seen;
    conf.ended = ended;
    bench.start_ns = flv_clock_mono_ns();
    bench.cpu_start = cpu_seconds();
    if (flv_client_connect(client, 2000, connected, NULL, &err) != FLV_OK ||
        flv_consumer_open(&consumer, client, &conf, &err) != FLV_OK) {
        die(err.text);
    }
    flv_loop_run(bench.loop);
    wall = (double)(bench.end_ns - bench.start_ns) / 1e9;
    printf("records=%llu records_per_s=%.0f mb_per_s=%.1f cpu_s=%.2f\n",
           (unsigned long long)seen, (double)seen / wall,
           (double)seen_bytes / wall / 1e6, cpu_seconds() - bench.cpu_start);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int args;
        void (*run)(const char *const *argv);
    } modes[] = {{"produce", 7, produce},  {"spread", 7, spread},
                 {"consume", 3, consume},  {"latency", 4, latency},
                 {"sift", 5, sift},        {"spin", 4, spin},
                 {"disk", 3, disk},        {"pages", 3, pages},
                 {"intake", 5, intake},    {"handoff", 3, handoff},
                 {"loopback", 2, loopback}};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (argc > 1 && strcmp(argv[1], modes[i].name) == 0 &&
            argc == modes[i].args + 2) {
            modes[i].run((const char *const *)argv + 2);
            fflush(stdout);
            /* The kernel ends connections and memory sooner than we could. */
            _exit(0);
        }
    }
    fprintf(stderr, "usage: see the head of bench/flv_bench.c\n");
    return 2;
}
