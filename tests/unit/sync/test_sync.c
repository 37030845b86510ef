/* The blocking face against fluvio-server itself. */
#include <fluvio/sync.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cm.h"
#include "real.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define LIMIT_MS 20000
#define WRITERS 4
#define EACH 1000

struct rig {
    struct server server;
    struct flv_sync *s;
};

static struct flv_err err; /* of the test's own thread */

#define ok(call)                                                               \
    do {                                                                       \
        if ((call) != FLV_OK) {                                                \
            fail_msg("%s: %s", #call, err.text);                               \
        }                                                                      \
    } while (0)

static void open_with(struct rig *r, struct flv_sync_conf conf)
{
    char address[32];

    (void)snprintf(address, sizeof(address), "127.0.0.1:%s",
                   r->server.ports[0]);
    conf.address = address;
    ok(flv_sync_open(&r->s, &conf, &err));
}

static void open_rig(struct rig *r, uint32_t timeout_ms)
{
    open_with(r, (struct flv_sync_conf){.timeout_ms = timeout_ms});
}

static void rig_init(struct rig *r, uint32_t timeout_ms)
{
    server_init(&r->server);
    open_rig(r, timeout_ms);
}

static void rig_deinit(struct rig *r)
{
    flv_sync_close(r->s);
    server_deinit(&r->server);
}

static void make_topic(struct rig *r, const char *name, uint32_t partitions)
{
    struct flv_topic_conf conf = flv_topic_conf_default(name);

    conf.partitions = partitions;
    conf.durability = FLV_DURABILITY_PAGE_CACHE;
    ok(flv_sync_topic_create(r->s, &conf, &err));
}

static struct flv_sync_producer *producer(struct rig *r, const char *topic)
{
    const struct flv_producer_conf conf = flv_producer_conf_default(topic);
    struct flv_sync_producer *p = NULL;

    ok(flv_sync_producer_open(&p, r->s, &conf, &err));
    return p;
}

static struct flv_sync_consumer *consumer(struct rig *r,
                                          const struct flv_consumer_conf *conf)
{
    struct flv_sync_consumer *k = NULL;

    ok(flv_sync_consumer_open(&k, r->s, conf, &err));
    return k;
}

static struct flv_consumer_conf from_the_beginning(const char *topic)
{
    struct flv_consumer_conf conf = flv_consumer_conf_default(topic);

    conf.start.kind = FLV_START_BEGINNING;
    conf.stop_at_end = true;
    return conf;
}

static struct flv_msg text_msg(const char *text, int32_t partition)
{
    return (struct flv_msg){.value = flv_slice_str(text),
                            .partition = partition};
}

static void put_numbers(struct flv_sync_producer *p, int count)
{
    for (int i = 0; i < count; i++) {
        char text[16];
        const int len = snprintf(text, sizeof(text), "%d", i);
        const struct flv_msg msg = {.value = flv_slice(text, (size_t)len),
                                    .partition = -1};

        ok(flv_sync_put(p, &msg, 1, LIMIT_MS, &err));
    }
    ok(flv_sync_flush(p, LIMIT_MS, &err));
}

static const struct flv_sync_record *next(struct flv_sync_consumer *k)
{
    const struct flv_sync_record *r = NULL;

    ok(flv_sync_next(k, LIMIT_MS, &r, &err));
    return r;
}

static int number_of(const struct flv_sync_record *r)
{
    int n = 0;

    assert_true(r->value.len < 10);
    for (size_t i = 0; i < r->value.len; i++) {
        n = n * 10 + (r->value.data[i] - '0');
    }
    return n;
}

static void topics_are_made_listed_and_deleted(void **state)
{
    const struct flv_topic_conf again = flv_topic_conf_default("one");
    struct flv_sync_topics topics;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    ok(flv_sync_topics(r.s, NULL, &topics, &err));
    assert_int_equal(topics.count, 0);
    flv_sync_topics_free(&topics);
    make_topic(&r, "one", 1);
    make_topic(&r, "three", 3);
    assert_int_equal(flv_sync_topic_create(r.s, &again, &err), FLV_E_EXISTS);
    assert_non_null(strstr(err.text, "already exists"));
    ok(flv_sync_topics(r.s, NULL, &topics, &err));
    assert_int_equal(topics.count, 2);
    flv_sync_topics_free(&topics);
    ok(flv_sync_topics(r.s, "three", &topics, &err));
    assert_int_equal(topics.count, 1);
    assert_string_equal(topics.at[0].name, "three");
    assert_int_equal(topics.at[0].partitions, 3);
    flv_sync_topics_free(&topics);
    ok(flv_sync_topic_delete(r.s, "three", &err));
    assert_int_equal(flv_sync_topic_delete(r.s, "three", &err),
                     FLV_E_NOT_FOUND);
    rig_deinit(&r);
}

static void send_returns_where_each_record_went(void **state)
{
    const struct flv_msg msgs[] = {text_msg("a", 1), text_msg("b", 0),
                                   text_msg("c", 1), text_msg("d", 7)};
    struct flv_sync_place places[4];
    struct flv_sync_producer *p = NULL;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 2);
    p = producer(&r, "events");
    ok(flv_sync_send(p, msgs, 3, places, LIMIT_MS, &err));
    assert_int_equal(places[0].partition, 1);
    assert_int_equal(places[0].offset, 0);
    assert_int_equal(places[1].partition, 0);
    assert_int_equal(places[1].offset, 0);
    assert_int_equal(places[2].offset, 1);
    /* One of two is not possible: the other is told all the same. */
    assert_int_equal(flv_sync_send(p, &msgs[2], 2, places, LIMIT_MS, &err),
                     FLV_E_INVALID);
    assert_non_null(strstr(err.text, "no partition 7"));
    assert_int_equal(places[0].offset, 2);
    assert_int_equal(places[1].offset, -1);
    ok(flv_sync_flush(p, LIMIT_MS, &err)); /* it was told already */
    ok(flv_sync_producer_close(p, LIMIT_MS, &err));
    rig_deinit(&r);
}

static void a_failed_put_is_told_by_one_flush(void **state)
{
    const struct flv_msg bad = text_msg("x", 7);
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_sync_producer *p = NULL;
    struct flv_msg large = text_msg("x", -1);
    char value[5000] = "";
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 1);
    conf.request_size_bytes_max = 4096;
    ok(flv_sync_producer_open(&p, r.s, &conf, &err));
    large.value = flv_slice(value, sizeof(value));
    assert_int_equal(flv_sync_put(p, &large, 1, 0, &err), FLV_E_LIMIT);
    large.value.len = 4090; /* too large only with what is around it */
    ok(flv_sync_put(p, &large, 1, 0, &err));
    assert_int_equal(flv_sync_flush(p, LIMIT_MS, &err), FLV_E_LIMIT);
    ok(flv_sync_put(p, &bad, 1, LIMIT_MS, &err));
    assert_int_equal(flv_sync_flush(p, LIMIT_MS, &err), FLV_E_INVALID);
    ok(flv_sync_flush(p, LIMIT_MS, &err));
    ok(flv_sync_put(p, &bad, 1, LIMIT_MS, &err));
    assert_int_equal(flv_sync_producer_close(p, LIMIT_MS, &err), FLV_E_INVALID);
    rig_deinit(&r);
}

static void a_record_that_fails_costs_the_others_nothing(void **state)
{
    const struct flv_consumer_conf conf = from_the_beginning("events");
    const struct flv_msg msgs[] = {text_msg("0", -1), text_msg("1", 7),
                                   text_msg("2", 0), text_msg("3", 9),
                                   text_msg("4", -1)};
    struct flv_sync_producer *p = NULL;
    struct flv_sync_consumer *k = NULL;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 1);
    p = producer(&r, "events");
    ok(flv_sync_put(p, msgs, COUNT(msgs), LIMIT_MS, &err));
    assert_int_equal(flv_sync_flush(p, LIMIT_MS, &err), FLV_E_INVALID);
    assert_non_null(strstr(err.text, "no partition 7"));
    ok(flv_sync_flush(p, LIMIT_MS, &err));
    k = consumer(&r, &conf);
    for (int i = 0; i < 5; i += 2) {
        assert_int_equal(number_of(next(k)), i);
    }
    assert_null(next(k));
    rig_deinit(&r);
}

static void puts_make_nothing_for_each_record(void **state)
{
    const int count = 10000;
    struct flv_sync_producer *p = NULL;
    uint64_t made = 0;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 1);
    p = producer(&r, "events");
    (void)flv__mem_fail_at(0);
    put_numbers(p, count);
    made = flv__mem_fail_at(0);
    if (made > (uint64_t)count / 2) {
        fail_msg("%llu allocations for %d records", (unsigned long long)made,
                 count);
    }
    rig_deinit(&r);
}

static void all_partitions_come_in_one_stream(void **state)
{
    const struct flv_consumer_conf conf = from_the_beginning("events");
    struct flv_consumer_stats cs;
    struct flv_producer_stats ps;
    struct flv_sync_producer *p = NULL;
    struct flv_sync_consumer *k = NULL;
    int last[3] = {-1, -1, -1};
    struct rig r;
    int count = 0;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 3);
    p = producer(&r, "events");
    put_numbers(p, 3000);
    k = consumer(&r, &conf);
    for (const struct flv_sync_record *i = next(k); i != NULL; i = next(k)) {
        assert_true(i->partition < 3);
        assert_true(number_of(i) > last[i->partition]);
        last[i->partition] = number_of(i);
        assert_string_equal(i->topic, "events");
        assert_false(i->has_key);
        count++;
    }
    assert_int_equal(count, 3000);
    assert_null(next(k)); /* the end stays */
    ok(flv_sync_producer_stats(p, &ps, &err));
    ok(flv_sync_consumer_stats(k, &cs, &err));
    assert_int_equal(ps.records, 3000);
    assert_int_equal(ps.bytes, 10 + 90 * 2 + 900 * 3 + 2000 * 4);
    assert_int_equal(ps.failed + ps.retries + ps.buffered_bytes, 0);
    assert_true(ps.batches >= 3 && ps.latency.count == ps.batches);
    assert_true(ps.latency.p50_us <= ps.latency.p99_us);
    assert_true(ps.latency.p99_us <= ps.latency.max_us);
    assert_true(ps.latency.avg_us <= ps.latency.max_us);
    assert_int_equal(cs.records, 3000);
    assert_int_equal(cs.bytes, ps.bytes);
    assert_int_equal(cs.batches, ps.batches);
    rig_deinit(&r); /* closes what is open */
}

/* ------------------------------------------------------------- threads */

struct writer {
    struct flv_sync_producer *p;
    int number;
    flv_rc rc;
};

static void *write_all(void *user)
{
    struct writer *w = user;
    struct flv_producer_stats stats;

    for (int i = 0; w->rc == FLV_OK && i < EACH; i++) {
        char text[16];
        const int len =
            snprintf(text, sizeof(text), "%d", w->number * EACH + i);
        const struct flv_msg msg = {.value = flv_slice(text, (size_t)len),
                                    .partition = -1};

        w->rc = i % 70 == 0 ? flv_sync_send(w->p, &msg, 1, NULL, LIMIT_MS, NULL)
                            : flv_sync_put(w->p, &msg, 1, LIMIT_MS, NULL);
        if (w->rc == FLV_OK && i % 100 == 0) {
            w->rc = flv_sync_flush(w->p, LIMIT_MS, NULL);
        }
        if (w->rc == FLV_OK && i % 150 == 0) {
            w->rc = flv_sync_producer_stats(w->p, &stats, NULL);
        }
    }
    return NULL;
}

/* Four threads put, send and flush while this one takes; of each thread, in
 * order. */
static void threads_share_a_producer(void **state)
{
    struct flv_consumer_conf conf = flv_consumer_conf_default("events");
    struct flv_producer_conf small = flv_producer_conf_default("events");
    struct flv_sync_producer *p = NULL;
    struct flv_sync_consumer *k = NULL;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    int seen[WRITERS] = {0};
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 1);
    small.buffer_bytes_max = 20000; /* full again and again */
    ok(flv_sync_producer_open(&p, r.s, &small, &err));
    k = consumer(&r, &conf); /* what is put later comes */
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.p = p, .number = i};
        assert_int_equal(
            pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS * EACH; i++) {
        const int n = number_of(next(k));

        assert_int_equal(seen[n / EACH], n % EACH);
        seen[n / EACH]++;
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(writers[i].rc, FLV_OK);
    }
    ok(flv_sync_consumer_close(k, 0, &err));
    ok(flv_sync_producer_close(p, LIMIT_MS, &err));
    rig_deinit(&r);
}

static void signals_stay_as_they_are(void **state)
{
    struct sigaction act;
    sigset_t before;
    sigset_t after;
    struct rig r;

    (void)state;
    assert_int_equal(signal(SIGPIPE, SIG_DFL) == SIG_ERR, 0);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    rig_init(&r, 0);
    assert_int_equal(sigaction(SIGPIPE, NULL, &act), 0);
    assert_true(act.sa_handler == SIG_DFL);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int i = 1; i < NSIG; i++) {
        assert_int_equal(sigismember(&before, i), sigismember(&after, i));
    }
    /* The connection breaks, and is written to. */
    make_topic(&r, "events", 1);
    server_stop(&r.server, SIGKILL);
    server_start(&r.server);
    put_numbers(producer(&r, "events"), 10);
    rig_deinit(&r);
}

/* ------------------------------------------------------------- waiting */

static void next_errs_in_time_and_names_the_address(void **state)
{
    const struct flv_consumer_conf conf = flv_consumer_conf_default("events");
    const struct flv_msg msg = text_msg("late", -1);
    const struct flv_sync_record *record = NULL;
    struct flv_sync_consumer *k = NULL;
    struct flv_sync_place place;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 1);
    k = consumer(&r, &conf);
    assert_int_equal(flv_sync_next(k, 0, &record, &err), FLV_E_TIMEOUT);
    assert_int_equal(flv_sync_next(k, 50, &record, &err), FLV_E_TIMEOUT);
    assert_non_null(strstr(err.text, r.server.ports[0]));
    assert_non_null(strstr(err.text, "events"));
    ok(flv_sync_send(producer(&r, "events"), &msg, 1, &place, LIMIT_MS, &err));
    assert_int_equal(next(k)->offset, place.offset);
    server_stop(&r.server, SIGKILL);
    while (flv_sync_next(k, 50, &record, &err) == FLV_E_TIMEOUT) {
        /* The loss takes a moment to be seen. */
    }
    assert_int_equal(flv_rc_class(err.rc), FLV_CLASS_RETRY);
    assert_non_null(strstr(err.text, r.server.ports[1]));
    server_start(&r.server);
    ok(flv_sync_topic_delete(r.s, "events", &err));
    while (flv_rc_class(flv_sync_next(k, 1000, &record, &err)) ==
           FLV_CLASS_RETRY) {
        /* The server has to be found again first. */
    }
    assert_int_equal(err.rc, FLV_E_NOT_FOUND);
    assert_int_equal(flv_sync_next(k, 0, &record, &err), FLV_E_NOT_FOUND);
    rig_deinit(&r);
}

static void a_call_without_a_server_says_why(void **state)
{
    struct flv_sync_topics topics = {.count = 7};
    struct rig r;

    (void)state;
    rig_init(&r, 700);
    server_stop(&r.server, SIGKILL);
    assert_int_not_equal(flv_sync_topics(r.s, NULL, &topics, &err), FLV_OK);
    assert_int_equal(flv_rc_class(err.rc), FLV_CLASS_RETRY);
    assert_non_null(strstr(err.text, r.server.ports[0]));
    assert_int_equal(topics.count, 7);
    server_start(&r.server);
    while (flv_sync_topics(r.s, NULL, &topics, &err) != FLV_OK) {
        assert_int_equal(flv_rc_class(err.rc), FLV_CLASS_RETRY);
    }
    assert_int_equal(topics.count, 0);
    flv_sync_topics_free(&topics);
    rig_deinit(&r);
}

static void names_the_sc(const struct rig *r, flv_rc rc)
{
    assert_int_equal(rc, FLV_E_TIMEOUT);
    assert_non_null(strstr(err.text, r->server.ports[0]));
}

/* It accepts, and is silent: every call is back in time, and nothing is lost
 * when it wakes up. */
static void a_frozen_server_is_told_in_time_and_waited_for(void **state)
{
    const struct flv_consumer_conf conf = flv_consumer_conf_default("events");
    const struct flv_producer_conf pconf = flv_producer_conf_default("events");
    const struct flv_msg msg = text_msg("0", -1);
    const struct flv_sync_record *record = NULL;
    struct flv_sync_topics topics;
    struct flv_sync_producer *p = NULL;
    struct flv_sync_consumer *k = NULL;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 1);
    ok(flv_sync_producer_open(&p, r.s, &pconf, &err));
    k = consumer(&r, &conf);
    assert_int_equal(kill(r.server.pid, SIGSTOP), 0);
    ok(flv_sync_put(p, &msg, 1, 50, &err));
    names_the_sc(&r, flv_sync_flush(p, 50, &err));
    names_the_sc(&r, flv_sync_send(p, &msg, 1, NULL, 50, &err));
    names_the_sc(&r, flv_sync_next(k, 50, &record, &err));
    assert_int_equal(kill(r.server.pid, SIGCONT), 0);
    ok(flv_sync_flush(p, LIMIT_MS, &err));
    assert_int_equal(next(k)->offset, 0);
    assert_int_equal(next(k)->offset, 1);
    flv_sync_close(r.s);
    /* A new one waits for the answer of the first request, or a list. */
    server_stop(&r.server, SIGTERM);
    server_start(&r.server);
    open_rig(&r, 400);
    assert_int_equal(kill(r.server.pid, SIGSTOP), 0);
    names_the_sc(&r, flv_sync_topics(r.s, NULL, &topics, &err));
    assert_int_equal(kill(r.server.pid, SIGCONT), 0);
    rig_deinit(&r);
}

static void silence_is_as_long_as_it_is_set(void **state)
{
    const struct flv_msg msg = text_msg("0", -1);
    const uint64_t end_ms = flv_clock_mono_ms() + LIMIT_MS;
    struct flv_sync_producer *p = NULL;
    struct rig r;

    (void)state;
    server_init(&r.server);
    open_with(&r, (struct flv_sync_conf){.quiet_ms = 100});
    make_topic(&r, "events", 1);
    p = producer(&r, "events");
    ok(flv_sync_send(p, &msg, 1, NULL, LIMIT_MS, &err)); /* it is connected */
    assert_int_equal(kill(r.server.pid, SIGSTOP), 0);
    ok(flv_sync_put(p, &msg, 1, 0, &err));
    do { /* by itself it would be after twice 15 seconds */
        assert_true(flv_clock_mono_ms() < end_ms);
        assert_int_not_equal(flv_sync_flush(p, 50, &err), FLV_OK);
    } while (strstr(err.text, "stopped answering: it was silent for 100 ms") ==
             NULL);
    assert_int_equal(kill(r.server.pid, SIGCONT), 0);
    ok(flv_sync_flush(p, LIMIT_MS, &err));
    rig_deinit(&r);
}

/* Also where no batch was made yet, for want of a connection. */
static void a_server_that_never_greeted_is_what_records_wait_for(void **state)
{
    const struct flv_msg msg = text_msg("0", -1);
    const uint64_t end_ms = flv_clock_mono_ms() + LIMIT_MS;
    struct flv_sync_producer *p = NULL;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 1);
    flv_sync_close(r.s);
    open_rig(&r, 400);
    p = producer(&r, "events");
    assert_int_equal(kill(r.server.pid, SIGSTOP), 0);
    ok(flv_sync_put(p, &msg, 1, 0, &err));
    do {
        assert_true(flv_clock_mono_ms() < end_ms);
        assert_int_not_equal(flv_sync_flush(p, 50, &err), FLV_OK);
    } while (strstr(err.text, r.server.ports[1]) == NULL); /* of the SPU */
    assert_int_equal(kill(r.server.pid, SIGCONT), 0);
    ok(flv_sync_flush(p, LIMIT_MS, &err));
    rig_deinit(&r);
}

static void what_is_not_there_is_not_found(void **state)
{
    const struct flv_producer_conf pconf = flv_producer_conf_default("none");
    struct flv_consumer_conf conf = flv_consumer_conf_default("none");
    const uint32_t partition = 5;
    struct flv_sync_producer *p = NULL;
    struct flv_sync_consumer *k = NULL;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 1);
    assert_int_equal(flv_sync_producer_open(&p, r.s, &pconf, &err),
                     FLV_E_NOT_FOUND);
    assert_string_equal(err.text, "Topic not found: none");
    assert_int_equal(flv_sync_consumer_open(&k, r.s, &conf, &err),
                     FLV_E_NOT_FOUND);
    conf = flv_consumer_conf_default("events");
    conf.partitions = &partition;
    conf.partition_count = 1;
    assert_int_equal(flv_sync_consumer_open(&k, r.s, &conf, &err),
                     FLV_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "no partition 5"));
    assert_null(p);
    assert_null(k);
    rig_deinit(&r);
}

/* More than may wait: the consumer pauses, and goes on. */
static void a_slow_reader_gets_everything(void **state)
{
    struct flv_consumer_conf conf = from_the_beginning("events");
    static char value[100000];
    struct flv_sync_producer *p = NULL;
    struct flv_sync_consumer *k = NULL;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 2);
    p = producer(&r, "events");
    for (int i = 0; i < 200; i++) {
        const struct flv_msg msg = {.value = flv_slice(value, sizeof(value)),
                                    .partition = i % 2};

        ok(flv_sync_put(p, &msg, 1, LIMIT_MS, &err));
    }
    ok(flv_sync_producer_close(p, LIMIT_MS, &err));
    k = consumer(&r, &conf);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(next(k)->value.len, sizeof(value));
    }
    assert_null(next(k));
    ok(flv_sync_consumer_close(k, LIMIT_MS, &err));
    /* One that is closed with much waiting. */
    k = consumer(&r, &conf);
    assert_non_null(next(k));
    ok(flv_sync_consumer_close(k, LIMIT_MS, &err));
    rig_deinit(&r);
}

/* ------------------------------------------------------------- offsets */

static void manual_offsets_store_what_was_marked(void **state)
{
    struct flv_consumer_conf conf = from_the_beginning("events");
    struct flv_sync_consumer *k = NULL;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 1);
    put_numbers(producer(&r, "events"), 10);
    conf.consumer_id = "me";
    k = consumer(&r, &conf);
    assert_int_equal(flv_sync_mark(k, 0, 0, &err), FLV_E_INVALID);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(number_of(next(k)), i);
    }
    ok(flv_sync_mark(k, 0, 2, &err));
    assert_int_equal(flv_sync_mark(k, 0, 5, &err), FLV_E_INVALID);
    assert_non_null(strstr(err.text, "offset 5 of events-0"));
    ok(flv_sync_consumer_close(k, LIMIT_MS, &err)); /* stores nothing */
    k = consumer(&r, &conf);
    assert_int_equal(number_of(next(k)), 0);
    assert_int_equal(number_of(next(k)), 1);
    ok(flv_sync_mark(k, 0, 1, &err));
    ok(flv_sync_commit(k, LIMIT_MS, &err));
    ok(flv_sync_commit(k, LIMIT_MS, &err)); /* nothing new */
    ok(flv_sync_consumer_close(k, LIMIT_MS, &err));
    server_stop(&r.server, SIGKILL);
    server_start(&r.server);
    k = consumer(&r, &conf);
    assert_int_equal(number_of(next(k)), 2);
    while (next(k) != NULL) {
        /* to the end */
    }
    ok(flv_sync_mark(k, 0, 9, &err));
    ok(flv_sync_commit(k, LIMIT_MS, &err)); /* behind the end, too */
    ok(flv_sync_consumer_close(k, LIMIT_MS, &err));
    conf.offsets = FLV_OFFSETS_NONE;
    k = consumer(&r, &conf);
    assert_null(next(k));
    assert_int_equal(flv_sync_commit(k, LIMIT_MS, &err), FLV_E_INVALID);
    ok(flv_sync_consumer_close(k, LIMIT_MS, &err));
    conf.consumer_id = NULL;
    conf.offsets = FLV_OFFSETS_MANUAL;
    k = consumer(&r, &conf);
    assert_int_equal(number_of(next(k)), 0);
    assert_int_equal(flv_sync_mark(k, 0, 0, &err), FLV_E_INVALID);
    rig_deinit(&r);
}

static void marks_are_stored_from_time_to_time_where_asked(void **state)
{
    struct flv_consumer_conf conf = from_the_beginning("events");
    const uint64_t end_ms = flv_clock_mono_ms() + LIMIT_MS;
    struct flv_consumer_stats stats = {.commits = 0};
    struct flv_sync_consumer *k = NULL;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 1);
    put_numbers(producer(&r, "events"), 3);
    conf.consumer_id = "me";
    conf.offset_flush_ms = 20;
    k = consumer(&r, &conf);
    assert_int_equal(number_of(next(k)), 0);
    assert_int_equal(number_of(next(k)), 1);
    ok(flv_sync_mark(k, 0, 0, &err));
    while (stats.commits == 0) {
        assert_true(flv_clock_mono_ms() < end_ms);
        ok(flv_sync_consumer_stats(k, &stats, &err));
    }
    ok(flv_sync_consumer_close(k, LIMIT_MS, &err));
    k = consumer(&r, &conf);
    assert_int_equal(number_of(next(k)), 1);
    rig_deinit(&r);
}

static void automatic_offsets_follow_next(void **state)
{
    struct flv_consumer_conf conf = from_the_beginning("events");
    struct flv_consumer_stats stats = {.commits = 0};
    struct flv_sync_consumer *k = NULL;
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    make_topic(&r, "events", 2);
    put_numbers(producer(&r, "events"), 10);
    conf.consumer_id = "me";
    conf.offsets = FLV_OFFSETS_AUTO;
    k = consumer(&r, &conf);
    for (int i = 0; i < 3; i++) {
        assert_non_null(next(k));
    }
    /* The third was given, but nobody knows whether it was handled. */
    ok(flv_sync_consumer_close(k, LIMIT_MS, &err));
    k = consumer(&r, &conf);
    for (int i = 0; i < 8; i++) {
        assert_non_null(next(k));
    }
    assert_null(next(k));
    ok(flv_sync_consumer_close(k, LIMIT_MS, &err));
    k = consumer(&r, &conf);
    assert_null(next(k));
    ok(flv_sync_consumer_close(k, LIMIT_MS, &err));
    /* From time to time, by itself. */
    conf.offset_flush_ms = 20;
    conf.stop_at_end = false;
    put_numbers(producer(&r, "events"), 4);
    k = consumer(&r, &conf);
    while (stats.commits == 0) {
        const struct flv_sync_record *record = NULL;

        const flv_rc rc = flv_sync_next(k, 20, &record, NULL);

        assert_true(rc == FLV_OK || rc == FLV_E_TIMEOUT);
        ok(flv_sync_consumer_stats(k, &stats, &err));
    }
    rig_deinit(&r);
}

/* -------------------------------------------------------------- profiles */

static void the_active_profile_says_where(void **state)
{
    struct flv_sync_conf conf = {.timeout_ms = 2000};
    struct flv_sync *s = NULL;
    char path[256];
    char text[256];
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    (void)snprintf(path, sizeof(path), "%s/profiles", r.server.tmp.path);
    (void)snprintf(text, sizeof(text),
                   "version = \"2.0\"\ncurrent_profile = \"here\"\n"
                   "[profile.here]\ncluster = \"c\"\n"
                   "[cluster.c]\nendpoint = \"127.0.0.1:%s\"\n",
                   r.server.ports[0]);
    tmpdir_write(r.server.tmp.path, "profiles", text);
    conf.profile_path = path;
    ok(flv_sync_open(&s, &conf, &err));
    flv_sync_close(s);
    conf.profile = "there";
    assert_int_equal(flv_sync_open(&s, &conf, &err), FLV_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "there"));
    flv_sync_close(NULL);
    rig_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_are_made_listed_and_deleted),
        cmocka_unit_test(send_returns_where_each_record_went),
        cmocka_unit_test(a_failed_put_is_told_by_one_flush),
        cmocka_unit_test(a_record_that_fails_costs_the_others_nothing),
        cmocka_unit_test(puts_make_nothing_for_each_record),
        cmocka_unit_test(all_partitions_come_in_one_stream),
        cmocka_unit_test(threads_share_a_producer),
        cmocka_unit_test(signals_stay_as_they_are),
        cmocka_unit_test(next_errs_in_time_and_names_the_address),
        cmocka_unit_test(a_call_without_a_server_says_why),
        cmocka_unit_test(a_frozen_server_is_told_in_time_and_waited_for),
        cmocka_unit_test(silence_is_as_long_as_it_is_set),
        cmocka_unit_test(a_server_that_never_greeted_is_what_records_wait_for),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(a_slow_reader_gets_everything),
        cmocka_unit_test(manual_offsets_store_what_was_marked),
        cmocka_unit_test(marks_are_stored_from_time_to_time_where_asked),
        cmocka_unit_test(automatic_offsets_follow_next),
        cmocka_unit_test(the_active_profile_says_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
