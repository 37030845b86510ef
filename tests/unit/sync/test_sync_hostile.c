/* The blocking face against peers that misbehave: each call is back in time,
 * and says whom it could not get an answer from. */
#include <fluvio/sync.h>

#include "base/clock.h"
#include "cm.h"
#include "fake.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIME_MS 300
#define LATEST_MS 5000 /* on a machine that has much else to do */

/* ------------------------------------------- a listener that speaks no word */

enum manner { SILENT, GARBAGE, ANOTHER_PROTOCOL, CLOSES, CUTS };

struct peer {
    enum manner manner;
    int listener, fd;
    char address[32];
    pthread_t thread;
};

static void say(int fd, const void *data, size_t len)
{
    (void)send(fd, data, len, MSG_NOSIGNAL);
}

static void *meet(void *user)
{
    static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    /* 100 bytes are announced, six of them come. */
    static const uint8_t cut[] = {0, 0, 0, 100, 0, 0, 0, 1, 0, 0};
    struct peer *p = user;
    uint8_t noise[512];
    uint8_t in[512];

    p->fd = accept(p->listener, NULL, NULL);
    (void)recv(p->fd, in, sizeof(in), 0);
    for (size_t i = 0; i < sizeof(noise); i++) {
        noise[i] = (uint8_t)(i * 37 + 11);
    }
    switch (p->manner) {
    case SILENT:
        (void)recv(p->fd, in, sizeof(in), 0); /* until the client is gone */
        break;
    case GARBAGE:
        say(p->fd, noise, sizeof(noise));
        break;
    case ANOTHER_PROTOCOL:
        say(p->fd, http, sizeof(http) - 1);
        break;
    case CLOSES:
        break;
    case CUTS:
        say(p->fd, cut, sizeof(cut));
        break;
    }
    (void)close(p->fd);
    return NULL;
}

static void peer_init(struct peer *p, enum manner manner)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->manner = manner;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(p->listener >= 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(p->listener, 8), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(p->address, sizeof(p->address), "127.0.0.1:%u",
                   ntohs(at.sin_port));
    assert_int_equal(pthread_create(&p->thread, NULL, meet, p), 0);
}

static void peer_deinit(struct peer *p)
{
    assert_int_equal(pthread_join(p->thread, NULL), 0);
    (void)close(p->listener);
}

static void opening_errs_in_time_and_names_the_address(void **state)
{
    static const struct {
        enum manner manner;
        flv_rc rc;
    } cases[] = {
        {SILENT, FLV_E_TIMEOUT},
        {GARBAGE, FLV_E_LIMIT},
        {ANOTHER_PROTOCOL, FLV_E_LIMIT},
        {CLOSES, FLV_E_CLOSED},
        {CUTS, FLV_E_CLOSED},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct peer p;
        struct flv_sync_conf conf = {.timeout_ms = TIME_MS};
        struct flv_sync *s = NULL;
        struct flv_err err;
        const uint64_t begin = flv_clock_mono_ms();

        peer_init(&p, cases[i].manner);
        conf.address = p.address;
        if (flv_sync_open(&s, &conf, &err) != cases[i].rc) {
            fail_msg("case %zu: %s (%s)", i, flv_rc_name(err.rc), err.text);
        }
        assert_true(flv_clock_mono_ms() - begin < LATEST_MS);
        assert_non_null(strstr(err.text, p.address));
        assert_null(s);
        peer_deinit(&p);
    }
}

static void nobody_listening_is_told_at_once(void **state)
{
    const struct flv_sync_conf conf = {.address = "127.0.0.1:1"};
    struct flv_sync *s = NULL;
    struct flv_err err;

    (void)state;
    assert_int_equal(flv_sync_open(&s, &conf, &err), FLV_E_CONNECT);
    assert_non_null(strstr(err.text, "127.0.0.1:1"));
}

/* --------------------------------- a cluster that goes wrong later, on a
 * thread of its own */

struct cluster {
    struct fake f;
    void (*spoil)(struct fake *f);
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool up;
    atomic_bool over;
};

static void tick(struct flv_timer *t)
{
    (void)t; /* only wakes the loop */
}

static void *run(void *user)
{
    struct cluster *c = user;
    struct flv_timer t;

    fake_init(&c->f);
    c->spoil(&c->f);
    flv_timer_init(&t, c->f.loop, tick);
    (void)pthread_mutex_lock(&c->lock);
    c->up = flv_timer_start(&t, 5, 5, NULL) == FLV_OK;
    (void)pthread_cond_signal(&c->cond);
    (void)pthread_mutex_unlock(&c->lock);
    while (!atomic_load(&c->over)) {
        (void)flv_loop_turn(c->f.loop, true);
    }
    flv_timer_stop(&t);
    fake_deinit(&c->f);
    return NULL;
}

static struct flv_sync *cluster_init(struct cluster *c,
                                     void (*spoil)(struct fake *f))
{
    struct flv_sync_conf conf = {.timeout_ms = 10000};
    struct flv_sync *s = NULL;
    struct flv_err err;

    *c = (struct cluster){.spoil = spoil};
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->cond, NULL);
    assert_int_equal(pthread_create(&c->thread, NULL, run, c), 0);
    (void)pthread_mutex_lock(&c->lock);
    while (!c->up) {
        (void)pthread_cond_wait(&c->cond, &c->lock);
    }
    (void)pthread_mutex_unlock(&c->lock);
    conf.address = c->f.address;
    if (flv_sync_open(&s, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return s;
}

static void cluster_deinit(struct cluster *c, struct flv_sync *s)
{
    flv_sync_close(s);
    atomic_store(&c->over, true);
    assert_int_equal(pthread_join(c->thread, NULL), 0);
    (void)pthread_mutex_destroy(&c->lock);
    (void)pthread_cond_destroy(&c->cond);
}

static struct flv_sync_producer *open_producer(struct flv_sync *s,
                                               size_t buffer_bytes_max)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_sync_producer *p = NULL;
    struct flv_err err;

    conf.buffer_bytes_max = buffer_bytes_max;
    if (flv_sync_producer_open(&p, s, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return p;
}

static enum fake_act never_answers(struct fake *f,
                                   uint32_t partition,
                                   const struct flv_batch_header *h,
                                   int16_t *code)
{
    (void)f;
    (void)partition;
    (void)h;
    (void)code;
    return FAKE_ACT_SILENT;
}

static void spoil_acks(struct fake *f)
{
    f->on_produce = never_answers;
}

/* What is never acknowledged: put takes until the buffer is full, then errs in
 * time; so do flush, send and close. */
static void back_pressure_is_told_in_time(void **state)
{
    static const char value[1000];
    const struct flv_msg msg = {.value = {(const uint8_t *)value, 1000},
                                .partition = -1};
    struct flv_sync_place place = {.offset = 7};
    struct cluster c;
    struct flv_sync *s = cluster_init(&c, spoil_acks);
    struct flv_sync_producer *p = open_producer(s, 10000);
    struct flv_err err = {.rc = FLV_OK};
    int taken = 0;

    (void)state;
    while (flv_sync_put(p, &msg, 1, taken > 3 ? 50 : 0, &err) == FLV_OK) {
        taken++;
    }
    assert_in_range(taken, 5, 9);
    assert_int_equal(err.rc, FLV_E_BUSY);
    assert_non_null(strstr(err.text, c.f.address));
    assert_int_equal(flv_sync_flush(p, 50, &err), FLV_E_TIMEOUT);
    assert_non_null(strstr(err.text, c.f.address));
    assert_int_equal(flv_sync_send(p, &msg, 1, &place, 50, &err), FLV_E_BUSY);
    assert_int_equal(place.offset, 7);
    /* Nothing is left out in silence. */
    assert_int_equal(flv_sync_producer_close(p, 50, &err), FLV_E_CANCELED);
    p = open_producer(s, 10000);
    assert_int_equal(flv_sync_send(p, &msg, 1, &place, 50, &err),
                     FLV_E_TIMEOUT);
    assert_int_equal(place.offset, 7);
    assert_int_equal(flv_sync_producer_close(p, 0, &err), FLV_E_CANCELED);
    p = open_producer(s, 10000);
    assert_int_equal(flv_sync_put(p, &msg, 1, 0, &err), FLV_OK);
    cluster_deinit(&c, s); /* closes it, too */
}

static void spoil_spu(struct fake *f)
{
    f->hello_spu = FAKE_HELLO_SILENT;
}

static void spoil_stream(struct fake *f)
{
    f->stream_error = 1;
}

/* The metadata service is well, the partition's is not. */
static void a_silent_partition_is_told_in_time(void **state)
{
    const struct flv_consumer_conf conf = flv_consumer_conf_default("events");
    const struct flv_msg msg = {.value = flv_slice_str("x"), .partition = -1};
    struct flv_sync_conf short_conf = {.timeout_ms = TIME_MS};
    struct cluster c;
    struct flv_sync *s = cluster_init(&c, spoil_spu);
    struct flv_sync_producer *p = open_producer(s, 10000);
    struct flv_sync_consumer *k = NULL;
    struct flv_sync *other = NULL;
    struct flv_err err;

    (void)state;
    assert_int_equal(flv_sync_send(p, &msg, 1, NULL, TIME_MS, &err),
                     FLV_E_TIMEOUT);
    assert_non_null(strstr(err.text, "127.0.0.1:"));
    short_conf.address = c.f.address;
    assert_int_equal(flv_sync_open(&other, &short_conf, &err), FLV_OK);
    assert_int_equal(flv_sync_consumer_open(&k, other, &conf, &err),
                     FLV_E_TIMEOUT);
    assert_non_null(strstr(err.text, "127.0.0.1:"));
    assert_null(k);
    flv_sync_close(other);
    cluster_deinit(&c, s);
}

static void a_refused_stream_ends_the_consumer(void **state)
{
    struct flv_consumer_conf conf = flv_consumer_conf_default("events");
    const struct flv_sync_record *r = NULL;
    struct cluster c;
    struct flv_sync *s = cluster_init(&c, spoil_stream);
    struct flv_sync_consumer *k = NULL;
    struct flv_err err;
    flv_rc rc = FLV_OK;

    (void)state;
    conf.start.kind = FLV_START_BEGINNING;
    rc = flv_sync_consumer_open(&k, s, &conf, &err);
    if (rc == FLV_OK) {
        rc = flv_sync_next(k, LATEST_MS, &r, &err);
    }
    assert_int_not_equal(rc, FLV_OK);
    assert_null(r);
    cluster_deinit(&c, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_errs_in_time_and_names_the_address),
        cmocka_unit_test(nobody_listening_is_told_at_once),
        cmocka_unit_test(back_pressure_is_told_in_time),
        cmocka_unit_test(a_silent_partition_is_told_in_time),
        cmocka_unit_test(a_refused_stream_ends_the_consumer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
