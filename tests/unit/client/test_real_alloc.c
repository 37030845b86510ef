/* Every request of administration against fluvio-server, with each allocation
 * failing in turn: one answer each time, and a client that goes on. */
#include <fluvio/client.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cm.h"
#include "loop/loop.h"
#include "real.h"

#include <signal.h>
#include <stdio.h>

#define LIMIT_MS 20000
#define REQUEST_MS 1000

struct rig {
    struct server server;
    struct flv_loop *loop;
    struct flv_client *c;
    char topic_id[FLV_TOPIC_ID_MAX + 1];
    unsigned n; /* makes names unique */
    /* of the request under way */
    unsigned answers;
    struct flv_err err;
};

static void done(void *user, const struct flv_err *err)
{
    struct rig *r = user;

    r->answers++;
    flv_err_clear(&r->err);
    if (err != NULL) {
        r->err = *err;
    }
}

static void closed(void *user)
{
    done(user, NULL);
}

static void topics(void *user,
                   const struct flv_err *err,
                   const struct flv_topic_info *at,
                   size_t count)
{
    (void)at;
    (void)count;
    done(user, err);
}

static void partitions(void *user,
                       const struct flv_err *err,
                       const struct flv_partition_info *at,
                       size_t count)
{
    (void)at;
    (void)count;
    done(user, err);
}

static void spus(void *user,
                 const struct flv_err *err,
                 const struct flv_spu_info *at,
                 size_t count)
{
    (void)at;
    (void)count;
    done(user, err);
}

static void modules(void *user,
                    const struct flv_err *err,
                    const struct flv_smartmodule_info *at,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(at[i].wasm_err.rc != FLV_OK || at[i].wasm.len == 5000);
    }
    done(user, err);
}

static void offsets(void *user,
                    const struct flv_err *err,
                    const struct flv_consumer_offset *at,
                    size_t count)
{
    (void)at;
    (void)count;
    done(user, err);
}

static void topic_id(void *user, const struct flv_err *err, const char *id)
{
    struct rig *r = user;

    if (err == NULL) {
        (void)snprintf(r->topic_id, sizeof(r->topic_id), "%s", id);
    }
    done(user, err);
}

/* ------------------------------------------------------------- requests */

static flv_rc connect(struct rig *r, struct flv_err *err)
{
    return flv_client_connect(r->c, 0, done, r, err);
}

static flv_rc create_topic(struct rig *r, struct flv_err *err)
{
    char name[32] = "";
    struct flv_topic_conf conf = flv_topic_conf_default(name);

    (void)snprintf(name, sizeof(name), "topic-%u", r->n);
    conf.partitions = 2;
    conf.durability = FLV_DURABILITY_PAGE_CACHE;
    return flv_client_topic_create(r->c, &conf, done, r, err);
}

static flv_rc add_partitions(struct rig *r, struct flv_err *err)
{
    return flv_client_topic_add_partitions(r->c, "none", 1, done, r, err);
}

static flv_rc delete_topic(struct rig *r, struct flv_err *err)
{
    return flv_client_topic_delete(r->c, "none", false, done, r, err);
}

static flv_rc list_topics(struct rig *r, struct flv_err *err)
{
    return flv_client_topics(r->c, NULL, false, topics, r, err);
}

static flv_rc list_partitions(struct rig *r, struct flv_err *err)
{
    return flv_client_partitions(r->c, false, partitions, r, err);
}

static flv_rc list_spus(struct rig *r, struct flv_err *err)
{
    return flv_client_spus(r->c, spus, r, err);
}

static flv_rc ask_topic_id(struct rig *r, struct flv_err *err)
{
    return flv_client_topic_id(r->c, "events", topic_id, r, err);
}

static flv_rc store_position(struct rig *r, struct flv_err *err)
{
    const struct flv_position p = {.consumer_id = "me",
                                   .topic = "events",
                                   .topic_id = r->topic_id,
                                   .offset = -1};

    return flv_client_position_store(r->c, &p, done, r, err);
}

static flv_rc create_module(struct rig *r, struct flv_err *err)
{
    static const uint8_t wasm[5000] = {'x'};
    const struct flv_smartmodule_conf conf = {
        .name = "module", .wasm = flv_slice(wasm, sizeof(wasm))};

    return flv_client_smartmodule_create(r->c, &conf, done, r, err);
}

static flv_rc list_modules(struct rig *r, struct flv_err *err)
{
    return flv_client_smartmodules(r->c, NULL, true, modules, r, err);
}

static flv_rc delete_module(struct rig *r, struct flv_err *err)
{
    return flv_client_smartmodule_delete(r->c, "module", done, r, err);
}

static flv_rc list_offsets(struct rig *r, struct flv_err *err)
{
    return flv_client_consumer_offsets(r->c, NULL, offsets, r, err);
}

static flv_rc delete_offset(struct rig *r, struct flv_err *err)
{
    const struct flv_consumer_ref ref = {
        .consumer_id = "me", .topic = "events", .partition = 0};

    return flv_client_consumer_offset_delete(r->c, &ref, done, r, err);
}

/* ---------------------------------------------------------------- sweep */

static void tick(struct flv_timer *t)
{
    (void)t; /* only wakes the loop */
}

static void wait_answer(struct rig *r)
{
    const uint64_t end = flv_clock_mono_ms() + LIMIT_MS;
    struct flv_timer t;

    flv_timer_init(&t, r->loop, tick);
    while (flv_timer_start(&t, 100, 100, NULL) != FLV_OK) {
        /* That was the one that failed. */
    }
    while (r->answers == 0 && flv_clock_mono_ms() < end) {
        (void)flv_loop_turn(r->loop, true);
    }
    flv_timer_stop(&t);
    if (r->answers != 1) {
        fail_msg("%u answers came", r->answers);
    }
}

static void run(struct rig *r, flv_rc (*ask)(struct rig *, struct flv_err *))
{
    flv_rc rc = FLV_OK;

    r->answers = 0;
    r->n++;
    flv_err_clear(&r->err);
    rc = ask(r, &r->err);
    if (rc == FLV_OK) {
        wait_answer(r);
    }
}

/* The last one, where nothing failed, ends as `rc`. */
static void sweep(struct rig *r,
                  const char *name,
                  flv_rc (*ask)(struct rig *, struct flv_err *),
                  flv_rc rc)
{
    uint64_t nth = 1;

    for (bool fired = true; fired; nth++) {
        (void)flv__mem_fail_at(nth);
        run(r, ask);
        fired = flv__mem_fail_at(0) >= nth;
        if (r->err.rc != FLV_OK && r->err.rc != rc &&
            flv_rc_class(r->err.rc) != FLV_CLASS_RETRY) {
            fail_msg("%s, allocation %u: %s", name, (unsigned)nth, r->err.text);
        }
    }
    /* A connection that broke at the end comes back. */
    while (flv_rc_class(r->err.rc) == FLV_CLASS_RETRY) {
        run(r, ask);
    }
    if (r->err.rc != rc) {
        fail_msg("%s: %s", name, r->err.text);
    }
    printf("# %s: %u allocations\n", name, (unsigned)nth - 2);
}

static void rig_init(struct rig *r)
{
    char address[32];
    struct flv_client_conf conf = {.request_timeout_ms = REQUEST_MS,
                                   .metadata_timeout_ms = REQUEST_MS,
                                   .retry_min_ms = 2,
                                   .retry_max_ms = 10};
    const struct flv_topic_conf events = flv_topic_conf_default("events");

    server_init(&r->server);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%s",
                   r->server.ports[0]);
    conf.address = address;
    assert_int_equal(flv_loop_create(&r->loop, 0, NULL), FLV_OK);
    assert_int_equal(flv_client_create(&r->c, r->loop, &conf, NULL), FLV_OK);
    r->answers = 0;
    assert_int_equal(flv_client_topic_create(r->c, &events, done, r, NULL),
                     FLV_OK);
    wait_answer(r);
    assert_int_equal(r->err.rc, FLV_OK);
}

static void rig_deinit(struct rig *r)
{
    r->answers = 0;
    flv_client_close(r->c, closed, r);
    wait_answer(r);
    flv_loop_run(r->loop);
    flv_loop_destroy(r->loop);
    server_deinit(&r->server);
}

static void survives_each_failing_allocation(void **state)
{
    struct rig r = {.n = 0};

    (void)state;
    rig_init(&r);
    sweep(&r, "connect", connect, FLV_OK);
    sweep(&r, "create a topic", create_topic, FLV_OK);
    sweep(&r, "add partitions", add_partitions, FLV_E_NOT_FOUND);
    sweep(&r, "delete a topic", delete_topic, FLV_E_NOT_FOUND);
    sweep(&r, "topics", list_topics, FLV_OK);
    sweep(&r, "partitions", list_partitions, FLV_OK);
    sweep(&r, "SPUs", list_spus, FLV_OK);
    sweep(&r, "topic's id", ask_topic_id, FLV_OK);
    sweep(&r, "position", store_position, FLV_OK);
    sweep(&r, "offsets", list_offsets, FLV_OK);
    sweep(&r, "delete an offset", delete_offset, FLV_OK);
    sweep(&r, "create a SmartModule", create_module, FLV_OK);
    sweep(&r, "SmartModules", list_modules, FLV_OK);
    sweep(&r, "delete a SmartModule", delete_module, FLV_E_NOT_FOUND);
    rig_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_each_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
