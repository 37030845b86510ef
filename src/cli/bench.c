#include "cli/bench.h"

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"
#include "base/rand.h"

#include <assert.h>
#include <inttypes.h>

/* Values are made before the clock starts, and used again in turn. */
#define POOL_BYTES ((size_t)16 << 20)
#define TOKENS 8192
#define KEY_BYTES 40
#define LINE_MS 1000

struct bench;

/* One record on its way. Free ones are chained. */
struct token {
    struct flv_send send;
    struct worker *worker; /* borrowed */
    uint64_t at_ns;
    struct token *next_free;
};

struct worker {
    struct bench *bench; /* borrowed */
    unsigned id;
    struct flv_producer *producer; /* owned */
    uint64_t left;                 /* records not yet accepted */
    struct token *tokens;          /* owned */
    struct token *free_tokens;
    char key[KEY_BYTES];
};

struct bench {
    struct cli *cli; /* borrowed */
    const struct cli_bench_conf *conf;
    struct worker *workers; /* owned; conf->producers */
    size_t open;            /* producers opened */
    uint8_t *pool;          /* owned */
    size_t pool_records, next;
    struct flv_consumer *consumer; /* owned */
    uint64_t positioned;           /* partitions the consumer is at */
    uint64_t start_ns, acknowledged;
    struct cli_bench_result *out;
    /* Since the last line. */
    struct cli_times second;
    uint64_t second_ns, second_records, second_bytes;
    struct flv_timer line, limit;
    bool ended;
    struct flv_err err; /* rc FLV_OK: none */
};

/* ---- The end ------------------------------------------------------------- */

static void end(struct bench *b)
{
    if (!b->ended) {
        b->ended = true;
        b->out->elapsed_ns = flv_clock_mono_ns() - b->start_ns;
        flv_loop_stop(b->cli->loop);
    }
}

static void fail(struct bench *b, const struct flv_err *err)
{
    if (!b->ended) {
        b->err = *err;
        end(b);
    }
}

static void on_signal(void *ctx, int signum)
{
    struct bench *b = ctx;
    b->out->signum = signum;
    end(b);
}

static void too_late(struct flv_timer *t)
{
    struct bench *b = FLV_OWNER_OF(t, struct bench, limit);
    struct flv_err err = {0};
    flv_rc rc =
        flv_fail(&err, FLV_E_TIMEOUT,
                 "%" PRIu64 " of %" PRIu64 " records within %" PRIu64
                 " s; --worker-timeout sets another limit",
                 b->out->records, b->conf->records, b->conf->timeout_ms / 1000);
    assert(rc != FLV_OK);
    fail(b, &err);
}

/* One record more has arrived where the figures are taken. */
static void count(struct bench *b, uint64_t ns, size_t bytes)
{
    cli_times_add(&b->out->times, ns);
    cli_times_add(&b->second, ns);
    b->out->records++;
    b->out->bytes += bytes;
    b->second_records++;
    b->second_bytes += bytes;
}

static void end_when_done(struct bench *b)
{
    if (b->acknowledged == b->conf->records &&
        b->out->records >= b->conf->records) {
        end(b);
    }
}

/* ---- Producers ------------------------------------------------------------
 */

static void pump(struct worker *w);

static void sent(struct flv_send *send, const struct flv_err *err)
{
    struct token *t = FLV_OWNER_OF(send, struct token, send);
    struct worker *w = t->worker;
    struct bench *b = w->bench;
    t->next_free = w->free_tokens;
    w->free_tokens = t;
    if (err != NULL) {
        fail(b, err);
        return;
    }
    b->acknowledged++;
    if (!b->conf->consume) {
        count(b, flv_clock_mono_ns() - t->at_ns, b->conf->record_bytes);
    }
    end_when_done(b);
    pump(w);
}

/* Sixteen hexadecimal digits, which any value can begin with. */
static void stamp(uint8_t *value, uint64_t ns)
{
    for (int i = CLI_BENCH_STAMP_BYTES - 1; i >= 0; i--, ns >>= 4) {
        value[i] = (uint8_t) "0123456789abcdef"[ns & 15];
    }
}

static struct flv_msg next_message(struct worker *w, uint64_t now_ns)
{
    struct bench *b = w->bench;
    uint8_t *value = b->pool + b->next * b->conf->record_bytes;
    if (b->conf->consume) {
        stamp(value, now_ns);
    }
    if (b->conf->key == CLI_BENCH_RANDOM_KEY) {
        snprintf(w->key, sizeof w->key, "random-%010" PRIx64,
                 flv_rand_below((uint64_t)1 << 40));
    }
    b->next = (b->next + 1) % b->pool_records;
    return (struct flv_msg){
        .key = flv_slice_str(w->key),
        .has_key = b->conf->key != CLI_BENCH_NO_KEY,
        .value = flv_slice(value, b->conf->record_bytes),
        .partition = -1,
    };
}

/* Sends until the producer or the tokens have enough. */
static void pump(struct worker *w)
{
    struct bench *b = w->bench;
    while (w->left > 0 && w->free_tokens != NULL && !b->ended) {
        struct token *t = w->free_tokens;
        struct flv_err err = {0};
        t->at_ns = flv_clock_mono_ns();
        t->send = (struct flv_send){.done = sent};
        struct flv_msg msg = next_message(w, t->at_ns);
        flv_rc rc = flv_producer_send(w->producer, &msg, 1, &t->send, &err);
        if (rc == FLV_E_BUSY) {
            return;
        }
        if (rc != FLV_OK) {
            fail(b, &err);
            return;
        }
        w->free_tokens = t->next_free;
        w->left--;
    }
}

static void writable(void *user)
{
    pump(user);
}

static flv_rc
open_worker(struct bench *b, struct worker *w, struct flv_err *err)
{
    const struct cli_bench_conf *conf = b->conf;
    struct flv_producer_conf producer = conf->producer;
    uint64_t all = conf->producers;
    size_t tokens = TOKENS / all + 16;
    struct cli_call call;
    w->bench = b;
    w->id = (unsigned)(w - b->workers);
    w->left = conf->records / all + (w->id == 0 ? conf->records % all : 0);
    w->tokens = flv_zalloc(tokens, sizeof *w->tokens);
    if (w->tokens == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < tokens; i++) {
        w->tokens[i].worker = w;
        w->tokens[i].next_free = w->free_tokens;
        w->free_tokens = &w->tokens[i];
    }
    if (conf->key == CLI_BENCH_SHARED_KEY) {
        snprintf(w->key, sizeof w->key, "shared_key");
    } else if (conf->key == CLI_BENCH_WORKER_KEY) {
        snprintf(w->key, sizeof w->key, "producer-%u", w->id);
    }
    producer.topic = conf->topic;
    producer.writable = writable;
    producer.user = w;
    cli_call_init(&call, b->cli);
    flv_rc rc = flv_producer_open(&w->producer, b->cli->client, &producer,
                                  cli_call_done, &call, err);
    return rc == FLV_OK ? cli_call_wait(&call, err) : rc;
}

/* Letters and digits, which do not compress to nothing. */
static flv_rc make_pool(struct bench *b, struct flv_err *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl"
                                  "mnopqrstuvwxyz0123456789-_";
    size_t size = b->conf->record_bytes;
    size_t wanted = size < POOL_BYTES ? POOL_BYTES / size : 1;
    uint64_t state = flv_rand_u64() | 1;
    b->pool_records = wanted < b->conf->records ? wanted : b->conf->records;
    b->pool = flv_alloc(b->pool_records * size);
    if (b->pool == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < b->pool_records * size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b->pool[i] = (uint8_t)letters[(state >> 32) & 63];
    }
    return FLV_OK;
}

/* ---- Consumer -------------------------------------------------------------
 */

static uint64_t stamp_of(struct flv_slice value)
{
    uint64_t ns = 0;
    for (size_t i = 0; i < CLI_BENCH_STAMP_BYTES && i < value.len; i++) {
        uint8_t c = value.data[i];
        ns = (ns << 4) | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return ns;
}

static void got(void *user, const struct flv_record_batch *batch)
{
    struct bench *b = user;
    uint64_t now = flv_clock_mono_ns();
    for (size_t i = 0; i < batch->count && !b->ended; i++) {
        struct flv_slice value = batch->records[i].value;
        uint64_t at = stamp_of(value);
        count(b, now > at ? now - at : 0, value.len);
    }
    end_when_done(b);
}

static void consumer_ended(void *user, const struct flv_err *err)
{
    struct flv_err why = {0};
    flv_rc rc = flv_fail(&why, FLV_E_CLOSED, "the consumer ended early");
    assert(rc != FLV_OK);
    fail(user, err != NULL ? err : &why);
}

static void positioned(void *user, uint32_t partition, int64_t offset)
{
    struct bench *b = user;
    (void)partition;
    (void)offset;
    b->positioned++;
    if (b->start_ns == 0) {
        flv_loop_stop(b->cli->loop);
    }
}

/* Open at every partition before the first record is sent. */
static flv_rc open_consumer(struct bench *b, struct flv_err *err)
{
    struct flv_consumer_conf conf = flv_consumer_conf_default(b->conf->topic);
    conf.start.kind = FLV_START_BEGINNING;
    conf.isolation = b->conf->producer.isolation;
    conf.batch = got;
    conf.ended = consumer_ended;
    conf.positioned = positioned;
    conf.user = b;
    flv_rc rc = flv_consumer_open(&b->consumer, b->cli->client, &conf, err);
    while (rc == FLV_OK && !b->ended && b->positioned < b->conf->partitions) {
        flv_loop_run(b->cli->loop);
    }
    return rc;
}

/* ---- The whole ------------------------------------------------------------
 */

uint64_t cli_bench_per_second(uint64_t count, uint64_t ns)
{
    return ns == 0 ? 0 : (uint64_t)((double)count * 1e9 / (double)ns);
}

void cli_bench_rate(uint64_t bytes, uint64_t ns, char out[CLI_TIMES_TEXT_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double rate = ns == 0 ? 0 : (double)bytes * 1e9 / (double)ns;
    size_t i = 0;
    while (rate >= 1024 && i + 1 < sizeof units / sizeof units[0]) {
        rate /= 1024;
        i++;
    }
    snprintf(out, CLI_TIMES_TEXT_MAX, i == 0 ? "%.0f %s" : "%.1f %s", rate,
             units[i]);
}

static void print_second(struct flv_timer *t)
{
    struct bench *b = FLV_OWNER_OF(t, struct bench, line);
    uint64_t now = flv_clock_mono_ns(), ns = now - b->second_ns;
    char rate[CLI_TIMES_TEXT_MAX], mean[CLI_TIMES_TEXT_MAX];
    char max[CLI_TIMES_TEXT_MAX];
    cli_bench_rate(b->second_bytes, ns, rate);
    cli_times_format(cli_times_mean(&b->second), mean);
    cli_times_format(b->second.max, max);
    printf("%" PRIu64 " records %s, %" PRIu64
           " records/sec: (%s/sec), %s avg latency, %s max latency\n",
           b->second_records, b->conf->consume ? "received" : "sent",
           cli_bench_per_second(b->second_records, ns), rate, mean, max);
    fflush(stdout);
    b->second = (struct cli_times){0};
    b->second_records = b->second_bytes = 0;
    b->second_ns = now;
}

static flv_rc open_all(struct bench *b, struct flv_err *err)
{
    struct flv_loop *loop = b->cli->loop;
    flv_timer_init(&b->line, loop, print_second);
    flv_timer_init(&b->limit, loop, too_late);
    b->workers = flv_zalloc(b->conf->producers, sizeof *b->workers);
    if (b->workers == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc = make_pool(b, err);
    rc =
        rc == FLV_OK ? flv_loop_on_signal(loop, SIGINT, on_signal, b, err) : rc;
    rc = rc == FLV_OK ? flv_loop_on_signal(loop, SIGTERM, on_signal, b, err)
                      : rc;
    rc = rc == FLV_OK ? flv_timer_start(&b->limit, b->conf->timeout_ms, 0, err)
                      : rc;
    while (rc == FLV_OK && b->open < b->conf->producers && !b->ended) {
        rc = open_worker(b, &b->workers[b->open++], err);
    }
    return rc == FLV_OK && b->conf->consume ? open_consumer(b, err) : rc;
}

static void closed(void *user)
{
    cli_call_end(user, NULL);
}

static void close_all(struct bench *b)
{
    struct cli_call call;
    struct flv_err none;
    flv_timer_stop(&b->line);
    flv_timer_stop(&b->limit);
    cli_ignore(flv_loop_on_signal(b->cli->loop, SIGINT, NULL, NULL, NULL));
    cli_ignore(flv_loop_on_signal(b->cli->loop, SIGTERM, NULL, NULL, NULL));
    if (b->consumer != NULL) {
        cli_call_init(&call, b->cli);
        flv_consumer_close(b->consumer, closed, &call);
        cli_ignore(cli_call_wait(&call, &none));
    }
    for (size_t i = 0; b->workers != NULL && i < b->open; i++) {
        if (b->workers[i].producer != NULL) {
            cli_call_init(&call, b->cli);
            flv_producer_close(b->workers[i].producer, 0, closed, &call);
            cli_ignore(cli_call_wait(&call, &none));
        }
        flv_free(b->workers[i].tokens);
    }
    flv_free(b->workers);
    flv_free(b->pool);
}

flv_rc cli_bench_run(struct cli *c,
                     const struct cli_bench_conf *conf,
                     struct cli_bench_result *out,
                     struct flv_err *err)
{
    static struct bench bench;
    struct bench *b = &bench;
    *out = (struct cli_bench_result){0};
    *b = (struct bench){.cli = c, .conf = conf, .out = out};
    flv_rc rc = open_all(b, err);
    if (rc == FLV_OK && !b->ended) {
        printf("Benchmark started\n");
        fflush(stdout);
        b->start_ns = b->second_ns = flv_clock_mono_ns();
        rc = flv_timer_start(&b->line, LINE_MS, LINE_MS, err);
        for (size_t i = 0; rc == FLV_OK && i < conf->producers; i++) {
            pump(&b->workers[i]);
        }
        while (rc == FLV_OK && !b->ended) {
            flv_loop_run(c->loop);
        }
    }
    b->ended = true; /* nothing more is counted */
    if (rc == FLV_OK && b->err.rc != FLV_OK) {
        *err = b->err;
        rc = b->err.rc;
    }
    close_all(b);
    return rc;
}
