/* What a connector sees of a stream: topics, appends, settlement in order. */
#include "stream/stream.h"

#include "../client/rig.h"
#include "cm.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define APPENDS_MAX 512

struct bed {
    struct rig r; /* its client stays unused */
    struct flv_stream *s;
    struct flv_writer *w;
    uint64_t settled[APPENDS_MAX];
    flv_rc rcs[APPENDS_MAX];
    unsigned count, wanted;
    bool enough;
    struct note writable, trouble;
    unsigned recovered;
};

static void on_settled(void *user, uint64_t token, const struct flv_err *err)
{
    struct bed *b = user;

    assert_true(b->count < APPENDS_MAX);
    b->settled[b->count] = token;
    b->rcs[b->count++] = err != NULL ? err->rc : FLV_OK;
    b->enough = b->count >= b->wanted;
}

static void on_writable(void *user)
{
    rig_done(&((struct bed *)user)->writable, NULL);
}

static void on_trouble(void *user, const struct flv_err *err)
{
    struct bed *b = user;

    if (err == NULL) {
        b->recovered++;
    } else {
        rig_done(&b->trouble, err);
    }
}

static void bed_init(struct bed *b)
{
    struct flv_stream_conf conf = {.client_id = "fluvio_connector_test"};
    struct note n = {.came = false};
    struct flv_err err;

    memset(b, 0, sizeof(*b));
    rig_init(&b->r);
    conf.address = b->r.f.address;
    if (flv_stream_create(&b->s, b->r.f.loop, &conf, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(flv_stream_address(b->s), b->r.f.address);
    assert_int_equal(flv_stream_connect(b->s, 0, rig_done, &n, NULL), FLV_OK);
    rig_wait(&b->r, &n);
    assert_int_equal(n.err.rc, FLV_OK);
}

static void bed_deinit(struct bed *b)
{
    struct note n = {.came = false};

    flv_stream_close(b->s, rig_closed, &n);
    rig_wait(&b->r, &n);
    rig_deinit(&b->r);
}

static void open_writer(struct bed *b, size_t buffer_bytes)
{
    struct flv_writer_conf conf = flv_writer_conf_default("events");
    struct note n = {.came = false};

    conf.batch_size_bytes = 120;
    conf.settled = on_settled;
    conf.writable = on_writable;
    conf.trouble = on_trouble;
    conf.user = b;
    if (buffer_bytes > 0) {
        conf.buffer_bytes_max = buffer_bytes;
    }
    assert_int_equal(flv_writer_open(&b->w, b->s, &conf, rig_done, &n, NULL),
                     FLV_OK);
    assert_int_equal(
        flv_writer_append(b->w, &(struct flv_msg){.partition = -1}, 1, 0, NULL),
        FLV_E_BUSY);
    rig_wait(&b->r, &n);
    if (n.err.rc != FLV_OK) {
        fail_msg("%s", n.err.text);
    }
}

static flv_rc append(struct bed *b, uint64_t token, size_t records)
{
    struct flv_msg msgs[8];
    char text[24];
    const int len =
        snprintf(text, sizeof(text), "v%llu", (unsigned long long)token);

    assert_true(records <= COUNT(msgs));
    for (size_t i = 0; i < records; i++) {
        msgs[i] = (struct flv_msg){.value = flv_slice(text, (size_t)len),
                                   .partition = -1};
    }
    return flv_writer_append(b->w, msgs, records, token, NULL);
}

static void wait_settled(struct bed *b, unsigned count)
{
    b->wanted = count;
    b->enough = b->count >= count;
    if (!fake_until(&b->r.f, &b->enough, RIG_LIMIT_MS)) {
        fail_msg("only %u of %u were settled", b->count, count);
    }
}

static void unknown_drivers_are_refused_by_name(void **state)
{
    const struct flv_stream_conf kafka = {.driver = "kafka"};
    const struct flv_stream_conf both = {.address = "a:1", .profile = "p"};
    struct flv_stream *s = NULL;
    struct flv_err err;
    struct rig r;

    (void)state;
    rig_init(&r);
    assert_int_equal(flv_stream_create(&s, r.f.loop, &kafka, &err),
                     FLV_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "kafka"));
    assert_int_equal(flv_stream_create(&s, r.f.loop, &both, &err), FLV_E_USAGE);
    rig_deinit(&r);
}

static void the_profile_says_where_the_cluster_is(void **state)
{
    const struct flv_stream_conf conf = {.client_id = "x"};
    char path[] = "/tmp/flv-stream-XXXXXX";
    const int fd = mkstemp(path);
    struct flv_stream *s = NULL;
    struct note n = {.came = false};
    struct flv_err err;
    struct rig r;

    (void)state;
    assert_true(fd >= 0);
    rig_init(&r);
    assert_int_equal(setenv("FLV_PROFILE_PATH", path, 1), 0);
    assert_int_equal(flv_stream_create(&s, r.f.loop, &conf, &err),
                     FLV_E_NOT_FOUND);
    assert_string_equal(err.text, "No active profile set in config");
    assert_true(dprintf(fd,
                        "current_profile = \"p\"\n[profile.p]\n"
                        "cluster = \"c\"\n[cluster.c]\nendpoint = \"%s\"\n",
                        r.f.address) > 0);
    assert_int_equal(flv_stream_create(&s, r.f.loop, &conf, &err), FLV_OK);
    assert_string_equal(flv_stream_address(s), r.f.address);
    flv_stream_close(s, rig_closed, &n);
    rig_wait(&r, &n);
    assert_int_equal(unsetenv("FLV_PROFILE_PATH"), 0);
    (void)close(fd);
    (void)unlink(path);
    rig_deinit(&r);
}

struct ensured {
    struct note n;
    bool created;
};

static void on_ensured(void *user, const struct flv_err *err, bool created)
{
    struct ensured *e = user;

    e->created = created;
    rig_done(&e->n, err);
}

static void ensuring_a_topic_makes_it_once(void **state)
{
    const struct flv_topic_conf topic = flv_topic_conf_default("events");
    struct ensured e = {.created = false};
    struct bed b;

    (void)state;
    bed_init(&b);
    assert_int_equal(flv_stream_topic_ensure(b.s, &topic, on_ensured, &e, NULL),
                     FLV_OK);
    rig_wait(&b.r, &e.n);
    assert_int_equal(e.n.err.rc, FLV_OK);
    assert_true(e.created);
    e = (struct ensured){.created = true};
    b.r.f.create_error = FLV_WIRE_TOPIC_ALREADY_EXISTS;
    assert_int_equal(flv_stream_topic_ensure(b.s, &topic, on_ensured, &e, NULL),
                     FLV_OK);
    rig_wait(&b.r, &e.n);
    assert_int_equal(e.n.err.rc, FLV_OK);
    assert_false(e.created);
    e = (struct ensured){.created = true};
    b.r.f.create_error = FLV_WIRE_TOPIC_INVALID_NAME;
    assert_int_equal(flv_stream_topic_ensure(b.s, &topic, on_ensured, &e, NULL),
                     FLV_OK);
    rig_wait(&b.r, &e.n);
    assert_int_equal(e.n.err.wire, FLV_WIRE_TOPIC_INVALID_NAME);
    bed_deinit(&b);
}

static void appends_settle_in_order_over_partitions(void **state)
{
    struct bed b;

    (void)state;
    bed_init(&b);
    b.r.f.partitions = 4;
    open_writer(&b, 0);
    for (uint64_t i = 0; i < 200; i++) {
        assert_int_equal(append(&b, 1000 + i, 1 + i % 7), FLV_OK);
    }
    assert_int_equal(flv_writer_pending(b.w), 200);
    assert_int_equal(b.count, 0);
    flv_writer_push(b.w);
    wait_settled(&b, 200);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(b.settled[i], 1000 + i);
        assert_int_equal(b.rcs[i], FLV_OK);
    }
    assert_int_equal(flv_writer_pending(b.w), 0);
    bed_deinit(&b);
}

static void an_outage_is_told_once_and_outlived(void **state)
{
    struct bed b;

    (void)state;
    bed_init(&b);
    open_writer(&b, 0);
    assert_int_equal(append(&b, 1, 1), FLV_OK);
    wait_settled(&b, 1);
    fake_stop_spu(&b.r.f);
    assert_int_equal(append(&b, 2, 1), FLV_OK);
    assert_int_equal(append(&b, 3, 1), FLV_OK);
    rig_wait(&b.r, &b.trouble);
    assert_non_null(strstr(b.trouble.err.text, "127.0.0.1"));
    fake_run(&b.r.f, 100);
    assert_int_equal(b.trouble.times, 1);
    assert_int_equal(b.recovered, 0);
    fake_start_spu(&b.r.f);
    wait_settled(&b, 3);
    assert_int_equal(b.recovered, 1);
    assert_int_equal(b.settled[2], 3);
    assert_int_equal(b.r.f.parts[0].leo, 3);
    bed_deinit(&b);
}

static void a_full_writer_pushes_back(void **state)
{
    uint64_t token = 0;
    struct bed b;

    (void)state;
    bed_init(&b);
    open_writer(&b, 1500);
    while (append(&b, token, 1) == FLV_OK) {
        token++;
        assert_true(token < 200);
    }
    assert_int_equal(append(&b, token, 1), FLV_E_BUSY);
    assert_int_equal(flv_writer_pending(b.w), token);
    rig_wait(&b.r, &b.writable);
    assert_int_equal(append(&b, token, 1), FLV_OK);
    wait_settled(&b, (unsigned)token + 1);
    bed_deinit(&b);
}

static void closing_settles_what_is_pending(void **state)
{
    struct note closed = {.came = false};
    struct bed b;

    (void)state;
    bed_init(&b);
    open_writer(&b, 0);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(append(&b, i, 2), FLV_OK);
    }
    flv_writer_close(b.w, 10000, rig_closed, &closed);
    rig_wait(&b.r, &closed);
    assert_int_equal(b.count, 10);
    assert_int_equal(b.rcs[9], FLV_OK);
    b.count = 0;
    open_writer(&b, 0);
    fake_stop_spu(&b.r.f);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(append(&b, i, 2), FLV_OK);
    }
    bed_deinit(&b); /* closes the stream with its writer */
    assert_int_equal(b.count, 10);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(b.settled[i], i);
        assert_int_equal(b.rcs[i], FLV_E_CANCELED);
    }
}

static void survives_each_failing_allocation(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 100; nth++) {
        unsigned accepted = 0;
        struct bed b;

        bed_init(&b);
        open_writer(&b, 0);
        fake_fail_at(nth);
        for (uint64_t i = 0; i < 10; i++) {
            accepted += append(&b, i, 3) == FLV_OK;
        }
        wait_settled(&b, accepted);
        fake_fail_at(0);
        assert_int_equal(b.count, accepted);
        bed_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_drivers_are_refused_by_name),
        cmocka_unit_test(the_profile_says_where_the_cluster_is),
        cmocka_unit_test(ensuring_a_topic_makes_it_once),
        cmocka_unit_test(appends_settle_in_order_over_partitions),
        cmocka_unit_test(an_outage_is_told_once_and_outlived),
        cmocka_unit_test(a_full_writer_pushes_back),
        cmocka_unit_test(closing_settles_what_is_pending),
        cmocka_unit_test(survives_each_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
