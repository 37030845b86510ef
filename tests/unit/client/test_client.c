/* The connection and administration, against servers that misbehave. */
#include "rig.h"

#include "cm.h"
#include <stdio.h>
#include <stdlib.h>

static struct flv_err connect_once(struct rig *r, uint32_t wait_ms)
{
    struct note n = {.came = false};

    assert_int_equal(flv_client_connect(r->c, wait_ms, rig_done, &n, NULL),
                     FLV_OK);
    assert_false(n.came); /* never from inside the call */
    rig_wait(r, &n);
    assert_int_equal(n.times, 1);
    return n.err;
}

static void connects_and_reports_the_platform_version(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r);
    rig_client(&r, 0);
    assert_null(flv_client_platform_version(r.c));
    assert_int_equal(connect_once(&r, 0).rc, FLV_OK);
    assert_string_equal(flv_client_platform_version(r.c), FLV_PLATFORM_VERSION);
    /* a second one finds it connected */
    assert_int_equal(connect_once(&r, 0).rc, FLV_OK);
    assert_int_equal(r.f.connects, 1);
    rig_deinit(&r);
}

static void tells_at_once_that_nobody_listens(void **state)
{
    struct rig r;
    struct flv_err err;

    (void)state;
    rig_init(&r);
    (void)snprintf(r.f.address, sizeof(r.f.address), "127.0.0.1:1");
    rig_client(&r, 0);
    err = connect_once(&r, 0);
    assert_int_equal(err.rc, FLV_E_CONNECT);
    assert_non_null(strstr(err.text, "127.0.0.1:1"));
    rig_deinit(&r);
}

static void keeps_trying_for_the_time_it_was_given(void **state)
{
    struct rig r;
    struct flv_err err;

    (void)state;
    rig_init(&r);
    r.f.hello_sc = FAKE_HELLO_CLOSE;
    rig_client(&r, 0);
    err = connect_once(&r, 150);
    assert_int_not_equal(err.rc, FLV_OK);
    assert_true(r.f.connects > 2);
    r.f.hello_sc = FAKE_HELLO_ANSWER;
    assert_int_equal(connect_once(&r, 5000).rc, FLV_OK);
    rig_deinit(&r);
}

static void refuses_each_broken_greeting(void **state)
{
    static const struct {
        enum fake_hello hello;
        flv_rc rc;
    } cases[] = {
        {FAKE_HELLO_SILENT, FLV_E_TIMEOUT},
        {FAKE_HELLO_CLOSE, FLV_E_CLOSED},
        {FAKE_HELLO_GARBAGE, FLV_E_LIMIT},
        {FAKE_HELLO_HUGE, FLV_E_LIMIT},
        {FAKE_HELLO_NEGATIVE, FLV_E_PROTOCOL},
        {FAKE_HELLO_CUT, FLV_E_CLOSED},
        {FAKE_HELLO_WRONG_ID, FLV_E_PROTOCOL},
        {FAKE_HELLO_NO_VERSION, FLV_E_PROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rig r;
        struct flv_err err;

        rig_init(&r);
        r.f.hello_sc = cases[i].hello;
        rig_client(&r, 0);
        err = connect_once(&r, 0);
        if (err.rc != cases[i].rc) {
            fail_msg("case %zu: %s (%s)", i, flv_rc_name(err.rc), err.text);
        }
        assert_non_null(strstr(err.text, r.f.address));
        rig_deinit(&r);
    }
}

static void what_accepts_has_its_own_time_to_answer(void **state)
{
    (void)state;
    for (uint32_t ms = 0; ms <= 80; ms += 80) {
        struct rig r;
        struct flv_err err;

        rig_init(&r);
        r.f.hello_sc = FAKE_HELLO_SILENT;
        r.answer_timeout_ms = ms;
        rig_client(&r, 0);
        err = connect_once(&r, 0);
        assert_int_equal(err.rc, FLV_E_TIMEOUT);
        assert_non_null(strstr(err.text, ms > 0
                                             ? "did not answer within 80 ms"
                                             : "did not answer within 500 ms"));
        rig_deinit(&r);
    }
}

static void ignores_answers_nobody_asked_for(void **state)
{
    struct rig r;
    struct note n = {.came = false};

    (void)state;
    rig_init(&r);
    r.f.hello_sc = FAKE_HELLO_STRAY;
    rig_client(&r, 0);
    assert_int_equal(
        flv_client_topic_delete(r.c, "events", false, rig_done, &n, NULL),
        FLV_OK);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_OK);
    rig_deinit(&r);
}

static void a_request_without_an_answer_times_out(void **state)
{
    struct rig r;
    struct note n = {.came = false};

    (void)state;
    rig_init(&r);
    r.f.hello_sc = FAKE_HELLO_SILENT;
    rig_client(&r, 100);
    assert_int_equal(
        flv_client_topic_delete(r.c, "events", false, rig_done, &n, NULL),
        FLV_OK);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_E_TIMEOUT);
    assert_non_null(strstr(n.err.text, r.f.address));
    assert_int_equal(n.times, 1);
    rig_deinit(&r);
}

static void create_carries_the_servers_error(void **state)
{
    struct rig r;
    struct note n = {.came = false};
    const struct flv_topic_conf conf = flv_topic_conf_default("events");

    (void)state;
    rig_init(&r);
    rig_client(&r, 0);
    assert_int_equal(flv_client_topic_create(r.c, &conf, rig_done, &n, NULL),
                     FLV_OK);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_OK);
    n = (struct note){.came = false};
    r.f.create_error = FLV_WIRE_TOPIC_ALREADY_EXISTS;
    assert_int_equal(flv_client_topic_create(r.c, &conf, rig_done, &n, NULL),
                     FLV_OK);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_E_EXISTS);
    assert_int_equal(n.err.wire, FLV_WIRE_TOPIC_ALREADY_EXISTS);
    assert_string_equal(n.err.text, "Topic already exists");
    assert_int_equal(r.f.creates, 2);
    rig_deinit(&r);
}

static void durability_needs_a_server_that_offers_it(void **state)
{
    struct rig r;
    struct note n = {.came = false};
    struct flv_topic_conf conf = flv_topic_conf_default("events");

    (void)state;
    rig_init(&r);
    rig_client(&r, 0);
    conf.durability = FLV_DURABILITY_PAGE_CACHE;
    assert_int_equal(flv_client_topic_create(r.c, &conf, rig_done, &n, NULL),
                     FLV_OK);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_E_UNSUPPORTED);
    assert_int_equal(r.f.ext_creates, 0);
    fake_break(&r.f, FLV_WIRE_SC);
    r.f.lists_ext = true;
    n = (struct note){.came = false};
    fake_run(&r.f, 20);
    assert_int_equal(flv_client_topic_create(r.c, &conf, rig_done, &n, NULL),
                     FLV_OK);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_OK);
    assert_int_equal(r.f.ext_creates, 1);
    assert_int_equal(r.f.ext_durability, FLV_DURABILITY_PAGE_CACHE);
    rig_deinit(&r);
}

static void id_came(void *user, const struct flv_err *err, const char *id)
{
    struct note *n = user;

    assert_null(err);
    assert_string_equal(id, "");
    n->came = true;
}

static void a_plain_cluster_knows_no_creations(void **state)
{
    const struct flv_position p = {.consumer_id = "me",
                                   .topic = "events",
                                   .topic_id = "a-1",
                                   .offset = -1};
    struct rig r;
    struct note n = {.came = false};

    (void)state;
    rig_init(&r);
    rig_client(&r, 0);
    assert_int_equal(flv_client_topic_id(r.c, "events", id_came, &n, NULL),
                     FLV_OK);
    rig_wait(&r, &n);
    n = (struct note){.came = false};
    assert_int_equal(flv_client_position_store(r.c, &p, rig_done, &n, NULL),
                     FLV_OK);
    rig_wait(&r, &n);
    assert_int_equal(n.err.rc, FLV_E_UNSUPPORTED);
    assert_int_equal(flv_client_topic_id(r.c, "", id_came, &n, NULL),
                     FLV_E_INVALID);
    rig_deinit(&r);
}

/* Nothing is under way: nobody but the link would notice. */
static void a_lost_link_is_told_and_so_is_its_return(void **state)
{
    struct rig r;
    struct note link = {.came = false};

    (void)state;
    rig_init(&r);
    rig_client_link(&r, &link);
    assert_int_equal(connect_once(&r, 0).rc, FLV_OK);
    assert_false(link.came); /* it was never lost */
    r.f.hello_sc = FAKE_HELLO_CLOSE;
    fake_break(&r.f, FLV_WIRE_SC);
    while (link.times < 3) { /* the loss, then each attempt */
        link.came = false;
        rig_wait(&r, &link);
        assert_int_equal(link.err.rc, FLV_E_CLOSED);
        assert_non_null(strstr(link.err.text, r.f.address));
    }
    r.f.hello_sc = FAKE_HELLO_ANSWER;
    while (link.err.rc != FLV_OK) {
        link.came = false;
        rig_wait(&r, &link);
    }
    link = (struct note){.came = false};
    fake_run(&r.f, 50);
    assert_false(link.came); /* once is enough */
    rig_deinit(&r);
}

/* A process that hangs keeps its connections: only it can say that it lives. */
static void a_server_that_says_nothing_is_given_up(void **state)
{
    struct rig r;
    struct note link = {.came = false};

    (void)state;
    rig_init(&r);
    rig_client_quiet(&r, &link, 40);
    assert_int_equal(connect_once(&r, 0).rc, FLV_OK);
    r.f.hello_sc = FAKE_HELLO_SILENT;
    rig_wait(&r, &link);
    assert_int_equal(link.err.rc, FLV_E_TIMEOUT);
    assert_non_null(strstr(link.err.text, r.f.address));
    assert_non_null(
        strstr(link.err.text, "stopped answering: it was silent for 40 ms"));
    r.f.hello_sc = FAKE_HELLO_ANSWER;
    while (link.err.rc != FLV_OK) {
        link.came = false;
        rig_wait(&r, &link);
    }
    rig_deinit(&r);
}

static void silence_is_set_by_the_environment(void **state)
{
    struct rig r;
    struct note link = {.came = false};

    (void)state;
    rig_init(&r);
    assert_int_equal(setenv("FLV_SERVER_QUIET", "1", 1), 0);
    rig_client_link(&r, &link);
    assert_int_equal(unsetenv("FLV_SERVER_QUIET"), 0);
    assert_int_equal(connect_once(&r, 0).rc, FLV_OK);
    r.f.hello_sc = FAKE_HELLO_SILENT;
    rig_wait(&r, &link);
    assert_non_null(strstr(link.err.text, "silent for 1000 ms"));
    rig_deinit(&r);
}

static void a_slip_in_the_environment_is_told(void **state)
{
    const struct flv_client_conf conf = {.address = "127.0.0.1:9003"};
    struct rig r;
    struct flv_client *c = NULL;
    struct flv_err err = {0};

    (void)state;
    rig_init(&r);
    assert_int_equal(setenv("FLV_SERVER_QUIET", "60s", 1), 0);
    assert_int_equal(flv_client_create(&c, r.f.loop, &conf, &err),
                     FLV_E_INVALID);
    assert_int_equal(unsetenv("FLV_SERVER_QUIET"), 0);
    assert_non_null(strstr(err.text, "FLV_SERVER_QUIET is '60s'"));
    rig_deinit(&r);
}

static void a_server_that_has_nothing_to_say_is_kept(void **state)
{
    struct rig r;
    struct note link = {.came = false};

    (void)state;
    rig_init(&r);
    rig_client_quiet(&r, &link, 200);
    assert_int_equal(connect_once(&r, 0).rc, FLV_OK);
    while (r.f.hellos < r.f.connects + 3) {
        fake_run(&r.f, 50);
    }
    assert_false(link.came);
    assert_int_equal(r.f.connects, 1);
    rig_deinit(&r);
}

/* No answer can come before the request is there, nor to a question behind it.
 */
static void a_server_that_takes_a_request_slowly_is_kept(void **state)
{
    const size_t size = (size_t)28 << 20;
    const struct flv_smartmodule_conf module = {
        .name = "big", .wasm = {.data = calloc(1, size), .len = size}};
    struct rig r;
    struct note link = {.came = false};
    struct note made = {.came = false};
    struct flv_err err;

    (void)state;
    assert_non_null(module.wasm.data);
    ((uint8_t *)module.wasm.data)[0] = 0x1f; /* gzip: is sent as it is */
    ((uint8_t *)module.wasm.data)[1] = 0x8b;
    rig_init(&r);
    rig_client_quiet(&r, &link, 400);
    assert_int_equal(connect_once(&r, 0).rc, FLV_OK);
    struct flv_frames *frames = &r.f.conns.next->frames;
    assert_int_equal(
        flv_client_smartmodule_create(r.c, &module, rig_done, &made, &err),
        FLV_OK);
    /* Each time it takes some, but all of it only after twice the limit. */
    while (!made.came && !link.came) {
        flv_frames_pause(frames);
        fake_run(&r.f, 150);
        flv_frames_resume(frames);
        fake_run(&r.f, 1);
    }
    assert_false(link.came);
    rig_deinit(&r);
    free((void *)module.wasm.data);
}

struct listed {
    struct note n;
    size_t count;
    char first[64];
    uint32_t number;
};

static void topics_came(void *user,
                        const struct flv_err *err,
                        const struct flv_topic_info *t,
                        size_t count)
{
    struct listed *l = user;

    l->count = count;
    if (count > 0) {
        (void)snprintf(l->first, sizeof(l->first), "%s", t[0].name);
        l->number = t[0].partitions;
    }
    rig_done(&l->n, err);
}

static void partitions_came(void *user,
                            const struct flv_err *err,
                            const struct flv_partition_info *p,
                            size_t count)
{
    struct listed *l = user;

    l->count = count;
    if (count > 0) {
        (void)snprintf(l->first, sizeof(l->first), "%s", p[count - 1].topic);
        l->number = p[count - 1].partition;
    }
    rig_done(&l->n, err);
}

static void spus_came(void *user,
                      const struct flv_err *err,
                      const struct flv_spu_info *s,
                      size_t count)
{
    struct listed *l = user;

    l->count = count;
    if (count > 0) {
        (void)snprintf(l->first, sizeof(l->first), "%s", s[0].public_host);
        l->number = s[0].public_port;
    }
    rig_done(&l->n, err);
}

static void lists_are_turned_into_plain_structs(void **state)
{
    struct rig r;
    struct listed l = {.count = 0};

    (void)state;
    rig_init(&r);
    r.f.partitions = 3;
    rig_client(&r, 0);
    assert_int_equal(
        flv_client_topics(r.c, "events", false, topics_came, &l, NULL), FLV_OK);
    rig_wait(&r, &l.n);
    assert_int_equal(l.n.err.rc, FLV_OK);
    assert_int_equal(l.count, 1); /* the fake does not filter, we do */
    assert_string_equal(l.first, "events");
    assert_int_equal(l.number, 3);
    l = (struct listed){.count = 0};
    assert_int_equal(
        flv_client_partitions(r.c, false, partitions_came, &l, NULL), FLV_OK);
    rig_wait(&r, &l.n);
    assert_int_equal(l.count, 4);
    assert_string_equal(l.first, "events");
    assert_int_equal(l.number, 2);
    l = (struct listed){.count = 0};
    assert_int_equal(flv_client_spus(r.c, spus_came, &l, NULL), FLV_OK);
    rig_wait(&r, &l.n);
    assert_int_equal(l.count, 1);
    assert_string_equal(l.first, "127.0.0.1");
    assert_int_equal(l.number, r.f.spu_port);
    rig_deinit(&r);
}

static void closing_cancels_what_is_under_way(void **state)
{
    struct rig r;
    struct note a = {.came = false};
    struct note b = {.came = false};
    struct note closed = {.came = false};

    (void)state;
    rig_init(&r);
    r.f.hello_sc = FAKE_HELLO_SILENT;
    rig_client(&r, 0);
    assert_int_equal(flv_client_connect(r.c, 60000, rig_done, &a, NULL),
                     FLV_OK);
    assert_int_equal(
        flv_client_topic_delete(r.c, "events", false, rig_done, &b, NULL),
        FLV_OK);
    fake_run(&r.f, 30); /* well into the greeting */
    flv_client_close(r.c, rig_closed, &closed);
    assert_false(a.came || b.came || closed.came);
    rig_wait(&r, &closed);
    assert_int_equal(a.err.rc, FLV_E_CANCELED);
    assert_int_equal(b.err.rc, FLV_E_CANCELED);
    assert_int_equal(a.times + b.times, 2);
    r.c = NULL;
    rig_deinit(&r);
}

static void closing_at_any_moment_leaves_nothing_behind(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 40; turns++) {
        struct rig r;
        struct note n = {.came = false};
        struct listed l = {.count = 0};

        rig_init(&r);
        rig_client(&r, 0);
        assert_int_equal(flv_client_connect(r.c, 0, rig_done, &n, NULL),
                         FLV_OK);
        assert_int_equal(
            flv_client_topics(r.c, NULL, false, topics_came, &l, NULL), FLV_OK);
        for (unsigned i = 0; i < turns; i++) {
            (void)flv_loop_turn(r.f.loop, false);
        }
        rig_deinit(&r);
        assert_int_equal(n.times, 1);
        assert_int_equal(l.n.times, 1);
    }
}

static void survives_each_failing_allocation(void **state)
{
    uint64_t nth = 1;

    (void)state;
    for (bool fired = true; fired; nth++) {
        struct rig r;
        struct listed l = {.count = 0};
        flv_rc rc = FLV_OK;

        rig_init(&r);
        rig_client(&r, 200);
        fake_fail_at(nth);
        rc = flv_client_topics(r.c, NULL, false, topics_came, &l, NULL);
        if (rc == FLV_OK) {
            (void)fake_until(&r.f, &l.n.came, RIG_LIMIT_MS);
        }
        fired = fake_fail_end();
        assert_true(rc == FLV_E_NOMEM || l.n.times == 1);
        rig_deinit(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_and_reports_the_platform_version),
        cmocka_unit_test(tells_at_once_that_nobody_listens),
        cmocka_unit_test(keeps_trying_for_the_time_it_was_given),
        cmocka_unit_test(refuses_each_broken_greeting),
        cmocka_unit_test(what_accepts_has_its_own_time_to_answer),
        cmocka_unit_test(ignores_answers_nobody_asked_for),
        cmocka_unit_test(a_request_without_an_answer_times_out),
        cmocka_unit_test(create_carries_the_servers_error),
        cmocka_unit_test(durability_needs_a_server_that_offers_it),
        cmocka_unit_test(a_plain_cluster_knows_no_creations),
        cmocka_unit_test(a_lost_link_is_told_and_so_is_its_return),
        cmocka_unit_test(a_server_that_says_nothing_is_given_up),
        cmocka_unit_test(silence_is_set_by_the_environment),
        cmocka_unit_test(a_slip_in_the_environment_is_told),
        cmocka_unit_test(a_server_that_has_nothing_to_say_is_kept),
        cmocka_unit_test(a_server_that_takes_a_request_slowly_is_kept),
        cmocka_unit_test(lists_are_turned_into_plain_structs),
        cmocka_unit_test(closing_cancels_what_is_under_way),
        cmocka_unit_test(closing_at_any_moment_leaves_nothing_behind),
        cmocka_unit_test(survives_each_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
