/*
 * flv_bench.c - the work of bench/run: one measurement per call, printed as
 * one line of key=value.
 *
 *     flv-bench produce  ADDRESS TOPIC PRODUCERS RECORD BATCH IN_FLIGHT SECONDS
 *     flv-bench consume  ADDRESS TOPIC RECORDS
 *     flv-bench latency  ADDRESS TOPIC RECORD SECONDS
 *     flv-bench sift     PORT TOPIC RECORDS WASM KEY=VALUE  see sift.h
 *     flv-bench spin     PORT TOPIC WASM STREAMS            see sift.h
 *     flv-bench disk     FOLDER SIZE SECONDS     write + fdatasync, appended
 *     flv-bench loopback SIZE SECONDS            one TCP connection, copied
 *
 * Sizes in bytes. A record counts when it was acknowledged (produce, latency)
 * or seen by the callback (consume). Every producer has a connection of its
 * own; all live on one loop.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <fluvio/client.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "loop/loop.h"
#include "sift.h"

static void die(const char *what)
{
    fprintf(stderr, "flv-bench: %s\n", what);
    exit(1);
}

static uint64_t number(const char *text, uint64_t max)
{
    struct flv_err err;
    uint64_t n;

    if (flv_text_u64(text, 1, max, &n, &err) != FLV_OK) {
        die(err.text);
    }
    return n;
}

static void *need(void *memory)
{
    if (memory == NULL) {
        die("out of memory");
    }
    return memory;
}

static double cpu_seconds(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static double since_s(uint64_t start_ns)
{
    return (double)(flv_clock_mono_ns() - start_ns) / 1e9;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Sorts; permille 500 is the median. */
static double percentile_us(uint64_t *ns, size_t count, unsigned permille)
{
    size_t at = count * permille / 1000;

    qsort(ns, count, sizeof(*ns), by_size);
    return (double)ns[at < count ? at : count - 1] / 1e3;
}

/* A record whose bytes are neither all alike nor different each time. */
static uint8_t *make_record(size_t size)
{
    uint8_t *data = need(flv_alloc(size));

    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)("abcdefghijklmnopqrstuvwxyz0123456"[i * 7 % 33]);
    }
    return data;
}

/* ------------------------------------------------------------- produce */

struct bench {
    struct flv_loop *loop;
    struct flv_timer until;
    uint64_t start_ns, end_ns, acked, opened;
    double cpu_start;
    size_t record_size, producers;
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
};

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
    struct flv_msg msg = {.partition = -1};

    msg.value = flv_slice(bench.record, bench.record_size);
    while (!bench.over && load->idle_count > 0) {
        struct token *token = load->idle[load->idle_count - 1];
        struct flv_err err;
        flv_rc rc;

        token->sent_ns = flv_clock_mono_ns();
        rc = flv_producer_send(load->producer, &msg, 1, &token->send, &err);
        if (rc == FLV_E_BUSY) {
            return;
        }
        if (rc != FLV_OK) {
            die(err.text);
        }
        load->idle_count--;
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
                      const char *const *argv,
                      size_t tokens)
{
    struct flv_producer_conf conf = flv_producer_conf_default(argv[1]);
    struct flv_err err;

    load->client = connect_client(argv[0]);
    load->tokens = need(flv_zalloc(tokens, sizeof(*load->tokens)));
    load->idle = need(flv_zalloc(tokens, sizeof(*load->idle)));
    for (size_t i = 0; i < tokens; i++) {
        load->tokens[i].load = load;
        load->tokens[i].send.done = acked;
        load->idle[load->idle_count++] = &load->tokens[i];
    }
    flv_task_init(&load->more, fill);
    conf.batch_size_bytes = (uint32_t)number(argv[4], 1 << 30);
    conf.in_flight_max = (uint32_t)number(argv[5], 1024);
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

static void produce(const char *const *argv)
{
    size_t batch = number(argv[4], 1 << 30);
    size_t in_flight = number(argv[5], 1024);
    uint64_t run_ms = number(argv[6], 3600) * 1000;
    struct load *loads;
    size_t tokens;
    struct flv_err err;
    double wall;

    bench.producers = number(argv[2], 1024);
    bench.record_size = number(argv[3], 32 << 20);
    bench.record = make_record(bench.record_size);
    start_loop();
    loads = need(flv_zalloc(bench.producers, sizeof(*loads)));
    /* One batch more than what may be in flight: the next one to go. */
    tokens = (in_flight + 1) * (batch / bench.record_size + 1);
    for (size_t i = 0; i < bench.producers; i++) {
        open_load(&loads[i], loads, argv, tokens);
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
    if (bench.acked == 0) {
        die("nothing was acknowledged");
    }
    printf("records=%llu records_per_s=%.0f mb_per_s=%.1f p50_us=%.0f "
           "p99_us=%.0f cpu_s=%.2f\n",
           (unsigned long long)bench.acked, (double)bench.acked / wall,
           (double)bench.acked * (double)bench.record_size / wall / 1e6,
           percentile_us(bench.latency_ns, bench.latency_count, 500),
           percentile_us(bench.latency_ns, bench.latency_count, 990),
           cpu_seconds() - bench.cpu_start);
}

static void latency(const char *const *argv)
{
    /* One record at a time is one token. */
    const char *const as_produce[] = {argv[0], argv[1], "1",    argv[2],
                                      "1",     "1",     argv[3]};

    produce(as_produce);
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

/* -------------------------------------------------- the machine's limits */

static void disk(const char *const *argv)
{
    size_t size = number(argv[1], 1 << 30), count = 0;
    uint64_t run_ns = number(argv[2], 3600) * 1000000000;
    uint8_t *data = make_record(size);
    uint64_t start;
    char path[4096];
    double wall;
    int fd;

    bench.latency_ns = need(flv_zalloc(LATENCY_MAX, sizeof(uint64_t)));
    snprintf(path, sizeof(path), "%s/flv-bench.disk", argv[0]);
    fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        die(path);
    }
    start = flv_clock_mono_ns();
    while (flv_clock_mono_ns() - start < run_ns && count < LATENCY_MAX) {
        uint64_t begin = flv_clock_mono_ns();

        if (write(fd, data, size) != (ssize_t)size || fdatasync(fd) != 0) {
            die(strerror(errno));
        }
        bench.latency_ns[count++] = flv_clock_mono_ns() - begin;
    }
    wall = since_s(start);
    close(fd);
    unlink(path);
    printf("writes=%zu mb_per_s=%.1f p50_us=%.0f p99_us=%.0f\n", count,
           (double)count * (double)size / wall / 1e6,
           percentile_us(bench.latency_ns, count, 500),
           percentile_us(bench.latency_ns, count, 990));
    flv_free(data);
}

static void *swallow(void *arg)
{
    int fd = *(int *)arg;
    uint8_t *data = need(flv_alloc(1 << 20));

    while (read(fd, data, 1 << 20) > 0) {
    }
    flv_free(data);
    return NULL;
}

static void loopback(const char *const *argv)
{
    size_t size = number(argv[0], 1 << 30);
    uint64_t run_ns = number(argv[1], 3600) * 1000000000, start, sent = 0;
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);
    uint8_t *data = make_record(size);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), in;
    pthread_t reader;
    double wall;

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&addr, len) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&addr, &len) != 0 ||
        connect(out, (struct sockaddr *)&addr, len) != 0) {
        die(strerror(errno));
    }
    in = accept(listener, NULL, NULL);
    if (in < 0 || pthread_create(&reader, NULL, swallow, &in) != 0) {
        die(strerror(errno));
    }
    start = flv_clock_mono_ns();
    while (flv_clock_mono_ns() - start < run_ns) {
        ssize_t n = write(out, data, size);

        if (n < 0) {
            die(strerror(errno));
        }
        sent += (uint64_t)n;
    }
    shutdown(out, SHUT_WR);
    pthread_join(reader, NULL);
    wall = since_s(start);
    printf("mb_per_s=%.1f\n", (double)sent / wall / 1e6);
    close(in);
    close(out);
    close(listener);
    flv_free(data);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int args;
        void (*run)(const char *const *argv);
    } modes[] = {{"produce", 7, produce},  {"consume", 3, consume},
                 {"latency", 4, latency},  {"sift", 5, sift},
                 {"spin", 4, spin},        {"disk", 3, disk},
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
