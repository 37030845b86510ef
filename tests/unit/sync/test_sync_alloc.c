/* The blocking face where memory runs out: an error or a late success, but no
 * crash, no leak, no call that does not come back. */
#include <fluvio/sync.h>

#include "base/mem.h"
#include "cm.h"
#include "real.h"
#include <stdio.h>

#define CALL_MS 2000

static struct flv_sync_conf where;
static char address[32];

/* What fails in the end: memory, or what waited for it. */
static void check(flv_rc rc, const struct flv_err *err)
{
    if (rc != FLV_OK && flv_rc_class(rc) != FLV_CLASS_RETRY &&
        rc != FLV_E_CANCELED) {
        fail_msg("%s (%s)", err->text, flv_rc_name(rc));
    }
}

static void list(struct flv_sync *s)
{
    struct flv_sync_topics topics;
    struct flv_err err;
    const flv_rc rc = flv_sync_topics(s, NULL, &topics, &err);

    check(rc, &err);
    if (rc == FLV_OK) {
        assert_int_equal(topics.count, 1);
        flv_sync_topics_free(&topics);
    }
}

/* Whether they were stored, as far as the library knows. */
static bool write_two(struct flv_sync *s)
{
    const struct flv_producer_conf conf = flv_producer_conf_default("events");
    const struct flv_msg msgs[] = {
        {.value = flv_slice_str("a"), .partition = -1},
        {.value = flv_slice_str("b"), .partition = -1}};
    struct flv_sync_place places[2];
    struct flv_sync_producer *p = NULL;
    struct flv_err err;
    flv_rc rc = flv_sync_producer_open(&p, s, &conf, &err);

    check(rc, &err);
    if (rc != FLV_OK) {
        return false;
    }
    rc = flv_sync_put(p, &msgs[0], 1, CALL_MS, &err);
    check(rc, &err);
    if (rc == FLV_OK) {
        rc = flv_sync_send(p, &msgs[1], 1, places, CALL_MS, &err);
        check(rc, &err);
    }
    if (rc == FLV_OK) {
        rc = flv_sync_flush(p, CALL_MS, &err);
        check(rc, &err);
    }
    return flv_sync_producer_close(p, 0, &err) == FLV_OK && rc == FLV_OK;
}

/* What comes, up to the first error, is complete and in order. */
static void read_some(struct flv_sync *s, const char *consumer_id)
{
    struct flv_consumer_conf conf = flv_consumer_conf_default("events");
    struct flv_sync_consumer *k = NULL;
    const struct flv_sync_record *r = NULL;
    struct flv_err err;
    int64_t expected = 0;
    flv_rc rc = FLV_OK;

    conf.start.kind = FLV_START_BEGINNING;
    conf.end_offset = 3;
    conf.consumer_id = consumer_id;
    rc = flv_sync_consumer_open(&k, s, &conf, &err);
    check(rc, &err);
    if (rc != FLV_OK) {
        return;
    }
    rc = flv_sync_next(k, CALL_MS, &r, &err);
    while (rc == FLV_OK && r != NULL) {
        assert_int_equal(r->offset, expected);
        expected++;
        assert_int_equal(flv_sync_mark(k, 0, r->offset, &err), FLV_OK);
        rc = flv_sync_next(k, CALL_MS, &r, &err);
    }
    check(rc, &err);
    if (rc == FLV_OK) {
        assert_int_equal(expected, 4);
        rc = flv_sync_commit(k, CALL_MS, &err);
        check(rc, &err);
    }
    (void)flv_sync_consumer_close(k, 0, NULL);
}

/* Whether what was written is stored. */
static bool use(uint64_t nth)
{
    struct flv_sync *s = NULL;
    struct flv_err err;
    const flv_rc rc = flv_sync_open(&s, &where, &err);
    char consumer_id[32];
    bool stored = false;

    check(rc, &err);
    if (rc == FLV_OK) {
        (void)snprintf(consumer_id, sizeof(consumer_id), "c%u", (unsigned)nth);
        list(s);
        stored = write_two(s);
        read_some(s, consumer_id);
        flv_sync_close(s);
    }
    return stored;
}

static void survives_each_failing_allocation(void **state)
{
    const struct flv_topic_conf topic = flv_topic_conf_default("events");
    struct server server;
    struct flv_sync *s = NULL;
    uint64_t nth = 1;
    bool stored = false;

    (void)state;
    server_init(&server);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%s", server.ports[0]);
    where = (struct flv_sync_conf){.address = address, .timeout_ms = CALL_MS};
    assert_int_equal(flv_sync_open(&s, &where, NULL), FLV_OK);
    assert_int_equal(flv_sync_topic_create(s, &topic, NULL), FLV_OK);
    assert_true(write_two(s) && write_two(s));
    flv_sync_close(s);
    for (bool fired = true; fired; nth++) {
        (void)flv__mem_fail_at(nth);
        stored = use(nth);
        fired = flv__mem_fail_at(0) >= nth;
    }
    assert_true(stored); /* the last one, where none failed */
    assert_true(nth > 60);
    server_deinit(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_each_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
