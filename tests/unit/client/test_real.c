/* The client against fluvio-server itself, which is killed on the way. */
#include <fluvio/client.h>

#include "base/clock.h"
#include "cm.h"
#include "loop/loop.h"
#include "real.h"

#include <signal.h>
#include <stdio.h>

#define LIMIT_MS 30000
#define RECORDS 3000

struct note {
    bool came;
    struct flv_err err;
};

static void done(void *user, const struct flv_err *err)
{
    struct note *n = user;

    n->came = true;
    if (err != NULL) {
        n->err = *err;
    }
}

static void closed(void *user)
{
    done(user, NULL);
}

static void tick(struct flv_timer *t)
{
    (void)t; /* only wakes the loop */
}

static void wait_for(struct flv_loop *loop, const bool *flag)
{
    const uint64_t end = flv_clock_mono_ms() + LIMIT_MS;
    struct flv_timer t;

    flv_timer_init(&t, loop, tick);
    assert_int_equal(flv_timer_start(&t, LIMIT_MS, 0, NULL), FLV_OK);
    while (!*flag && flv_clock_mono_ms() < end) {
        (void)flv_loop_turn(loop, true);
    }
    flv_timer_stop(&t);
    if (!*flag) {
        fail_msg("the callback did not come");
    }
}

static void succeeds(struct flv_loop *loop, const struct note *n)
{
    wait_for(loop, &n->came);
    if (n->err.rc != FLV_OK) {
        fail_msg("%s", n->err.text);
    }
}

static struct flv_client *connect_to(const struct server *s,
                                     struct flv_loop *loop)
{
    char address[32];
    struct flv_client_conf conf = {.retry_min_ms = 5, .retry_max_ms = 50};
    struct flv_client *c = NULL;
    struct note n = {.came = false};

    (void)snprintf(address, sizeof(address), "127.0.0.1:%s", s->ports[0]);
    conf.address = address;
    assert_int_equal(flv_client_create(&c, loop, &conf, NULL), FLV_OK);
    assert_int_equal(flv_client_connect(c, 0, done, &n, NULL), FLV_OK);
    succeeds(loop, &n);
    return c;
}

static void disconnect(struct flv_loop *loop, struct flv_client *c)
{
    struct note n = {.came = false};

    flv_client_close(c, closed, &n);
    succeeds(loop, &n);
    flv_loop_run(loop);
}

/* ------------------------------------------------------------- records */

struct sent {
    struct flv_send send;
    int64_t offset;
    unsigned times;
    flv_rc rc;
};

static struct sent sends[RECORDS];
static unsigned acked;

static void acknowledged(struct flv_send *send, const struct flv_err *err)
{
    struct sent *s = send->user;

    s->times++;
    s->offset = send->offset;
    s->rc = err != NULL ? err->rc : FLV_OK;
    acked++;
}

struct got {
    unsigned count;
    bool in_order;
    struct note ended;
};

static void batch_came(void *user, const struct flv_record_batch *b)
{
    struct got *g = user;

    for (size_t i = 0; i < b->count; i++) {
        char expected[16];
        const int n =
            snprintf(expected, sizeof(expected), "record-%u", g->count);

        g->in_order =
            g->in_order && b->records[i].offset == g->count &&
            b->records[i].value.len == (size_t)n &&
            memcmp(b->records[i].value.data, expected, (size_t)n) == 0;
        g->count++;
    }
}

static void consumer_ended(void *user, const struct flv_err *err)
{
    done(&((struct got *)user)->ended, err);
}

static void create_topic(struct flv_loop *loop,
                         struct flv_client *c,
                         enum flv_durability durability)
{
    struct flv_topic_conf conf = flv_topic_conf_default("events");
    struct note n = {.came = false};

    conf.durability = durability;
    assert_int_equal(flv_client_topic_create(c, &conf, done, &n, NULL), FLV_OK);
    succeeds(loop, &n);
}

static void send_one(struct flv_producer *p, unsigned i)
{
    char value[16];
    const int len = snprintf(value, sizeof(value), "record-%u", i);
    const struct flv_msg msg = {.value = flv_slice(value, (size_t)len),
                                .partition = -1};

    sends[i] = (struct sent){.send = {.done = acknowledged}};
    sends[i].send.user = &sends[i];
    assert_int_equal(flv_producer_send(p, &msg, 1, &sends[i].send, NULL),
                     FLV_OK);
}

static void
read_back(struct flv_loop *loop, struct flv_client *c, struct got *g)
{
    struct flv_consumer_conf conf = flv_consumer_conf_default("events");
    struct flv_consumer *k = NULL;

    *g = (struct got){.in_order = true};
    conf.start.kind = FLV_START_BEGINNING;
    conf.stop_at_end = true;
    conf.batch = batch_came;
    conf.ended = consumer_ended;
    conf.user = g;
    assert_int_equal(flv_consumer_open(&k, c, &conf, NULL), FLV_OK);
    succeeds(loop, &g->ended);
}

/* A server that is killed under load and comes back: each record is there
 * once, in order, and each send was completed once. */
static void kills_neither_lose_nor_repeat(void **state)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    struct flv_producer *p = NULL;
    struct flv_client *c = NULL;
    struct flv_loop *loop = NULL;
    struct note n = {.came = false};
    struct server s;
    struct got g;

    (void)state;
    server_init(&s);
    assert_int_equal(flv_loop_create(&loop, 0, NULL), FLV_OK);
    c = connect_to(&s, loop);
    create_topic(loop, c, FLV_DURABILITY_DEFAULT);
    conf.batch_size_bytes = 200;
    assert_int_equal(flv_producer_open(&p, c, &conf, done, &n, NULL), FLV_OK);
    succeeds(loop, &n);
    acked = 0;
    for (unsigned i = 0; i < RECORDS; i++) {
        send_one(p, i);
        if (i % 10 == 0) {
            (void)flv_loop_turn(loop, false);
        }
        if (i % 500 == 250) {
            server_stop(&s, i % 1000 == 250 ? SIGKILL : SIGTERM);
            server_start(&s);
        }
    }
    n = (struct note){.came = false};
    assert_int_equal(flv_producer_flush(p, done, &n, NULL), FLV_OK);
    succeeds(loop, &n);
    assert_int_equal(acked, RECORDS);
    for (unsigned i = 0; i < RECORDS; i++) {
        assert_int_equal(sends[i].times, 1);
        assert_int_equal(sends[i].rc, FLV_OK);
        assert_true(sends[i].offset == i || sends[i].offset == -1);
    }
    read_back(loop, c, &g);
    assert_int_equal(g.count, RECORDS);
    assert_true(g.in_order);
    disconnect(loop, c);
    flv_loop_destroy(loop);
    server_deinit(&s);
}

/* ------------------------------------------------------------- offsets */

static void offsets_came(void *user,
                         const struct flv_err *err,
                         const struct flv_consumer_offset *offsets,
                         size_t count)
{
    struct got *g = user;

    g->count = (unsigned)count;
    if (count == 1) {
        g->in_order = offsets[0].offset == 41 &&
                      strcmp(offsets[0].topic, "events") == 0 &&
                      strcmp(offsets[0].consumer_id, "me") == 0;
    }
    done(&g->ended, err);
}

struct late {
    struct flv_consumer *k;
    bool enough;
    int64_t first;
    unsigned count, wanted;
};

static void late_batch(void *user, const struct flv_record_batch *b)
{
    struct late *l = user;

    if (l->count == 0) {
        l->first = b->records[0].offset;
    }
    l->count += (unsigned)b->count;
    l->enough = l->count >= l->wanted;
}

static void consume_named(struct flv_loop *loop,
                          struct flv_client *c,
                          struct late *l,
                          unsigned wanted)
{
    struct flv_consumer_conf conf = flv_consumer_conf_default("events");

    *l = (struct late){.wanted = wanted};
    conf.start.kind = FLV_START_BEGINNING;
    conf.consumer_id = "me";
    conf.batch = late_batch;
    conf.user = l;
    assert_int_equal(flv_consumer_open(&l->k, c, &conf, NULL), FLV_OK);
    wait_for(loop, &l->enough);
}

static void stored_offsets_outlive_the_server(void **state)
{
    struct flv_producer_conf conf = flv_producer_conf_default("events");
    const struct flv_consumer_ref ref = {
        .consumer_id = "me", .topic = "events", .partition = 0};
    struct flv_producer *p = NULL;
    struct flv_client *c = NULL;
    struct flv_loop *loop = NULL;
    struct note n = {.came = false};
    struct server s;
    struct late l;
    struct got g = {.in_order = false};

    (void)state;
    server_init(&s);
    assert_int_equal(flv_loop_create(&loop, 0, NULL), FLV_OK);
    c = connect_to(&s, loop);
    create_topic(loop, c, FLV_DURABILITY_PAGE_CACHE);
    assert_int_equal(flv_producer_open(&p, c, &conf, done, &n, NULL), FLV_OK);
    succeeds(loop, &n);
    for (unsigned i = 0; i < 100; i++) {
        send_one(p, i);
    }
    consume_named(loop, c, &l, 100);
    assert_int_equal(l.first, 0);
    n = (struct note){.came = false};
    assert_int_equal(flv_consumer_commit(l.k, 0, 41, done, &n, NULL), FLV_OK);
    succeeds(loop, &n);
    server_stop(&s, SIGKILL);
    server_start(&s);
    assert_int_equal(
        flv_client_consumer_offsets(c, "me", offsets_came, &g, NULL), FLV_OK);
    succeeds(loop, &g.ended);
    assert_int_equal(g.count, 1);
    assert_true(g.in_order);
    n = (struct note){.came = false};
    flv_consumer_close(l.k, closed, &n);
    succeeds(loop, &n);
    consume_named(loop, c, &l, 58);
    assert_int_equal(l.first, 42);
    n = (struct note){.came = false};
    assert_int_equal(flv_client_consumer_offset_delete(c, &ref, done, &n, NULL),
                     FLV_OK);
    succeeds(loop, &n);
    g = (struct got){.count = 9};
    assert_int_equal(
        flv_client_consumer_offsets(c, NULL, offsets_came, &g, NULL), FLV_OK);
    succeeds(loop, &g.ended);
    assert_int_equal(g.count, 0);
    disconnect(loop, c);
    flv_loop_destroy(loop);
    server_deinit(&s);
}

/* --------------------------------------------------------- SmartModules */

struct modules {
    struct note note;
    char text[400]; /* "name:stored/plain ..." */
};

static void modules_came(void *user,
                         const struct flv_err *err,
                         const struct flv_smartmodule_info *infos,
                         size_t count)
{
    struct modules *m = user;

    for (size_t i = 0; i < count; i++) {
        const size_t at = strlen(m->text);

        (void)snprintf(m->text + at, sizeof(m->text) - at, "%s:%d/%d%s ",
                       infos[i].name, (int)infos[i].stored_bytes,
                       (int)infos[i].wasm.len,
                       infos[i].wasm_err.rc != FLV_OK ? "!" : "");
    }
    done(&m->note, err);
}

static struct modules list_modules(struct flv_loop *loop,
                                   struct flv_client *c,
                                   const char *name,
                                   bool with_bytes)
{
    struct modules m = {.text = ""};

    assert_int_equal(
        flv_client_smartmodules(c, name, with_bytes, modules_came, &m, NULL),
        FLV_OK);
    succeeds(loop, &m.note);
    return m;
}

static void put_module(struct flv_loop *loop,
                       struct flv_client *c,
                       const char *name,
                       struct flv_slice wasm)
{
    const struct flv_smartmodule_conf conf = {.name = name, .wasm = wasm};
    struct note n = {.came = false};

    assert_int_equal(flv_client_smartmodule_create(c, &conf, done, &n, NULL),
                     FLV_OK);
    succeeds(loop, &n);
}

struct watched {
    bool came;
    unsigned alls;
    char text[400]; /* "+name -name ", of all that came with the last all */
};

static void watch_came(void *user,
                       const struct flv_err *err,
                       bool all,
                       const struct flv_smartmodule_change *changes,
                       size_t count)
{
    struct watched *w = user;

    assert_null(err);
    if (all) {
        w->alls++;
        w->text[0] = '\0';
    }
    for (size_t i = 0; i < count; i++) {
        const size_t at = strlen(w->text);

        (void)snprintf(w->text + at, sizeof(w->text) - at, "%c%s ",
                       changes[i].deleted ? '-' : '+', changes[i].info.name);
    }
    w->came = true;
}

static void smartmodules_come_back_plain(void **state)
{
    /* "hello" ten times, as gzip; and such a stream cut short. */
    static const uint8_t gz[] = {0x1f, 0x8b, 8,    0,    0,    0,    0, 0, 2,
                                 3,    0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86,
                                 0xa6, 0x10, 0x36, 5,    0,    0,    0};
    struct server s;
    struct flv_loop *loop = NULL;
    struct note n = {.came = false};
    char big[5000];

    (void)state;
    memset(big, 'x', sizeof(big));
    assert_int_equal(flv_loop_create(&loop, 0, NULL), FLV_OK);
    server_init(&s);
    struct flv_client *c = connect_to(&s, loop);
    put_module(loop, c, "big", flv_slice(big, sizeof(big)));
    put_module(loop, c, "gz", flv_slice(gz, sizeof(gz)));
    put_module(loop, c, "cut", flv_slice(gz, sizeof(gz) - 6));
    struct modules m = list_modules(loop, c, "gz", false);
    assert_string_equal(m.text, "gz:25/0! ");
    m = list_modules(loop, c, NULL, true);
    assert_non_null(strstr(m.text, "cut:19/0! gz:25/5 "));
    assert_non_null(strstr(m.text, "/5000 "));
    m = list_modules(loop, c, "none", true);
    assert_string_equal(m.text, "");
    assert_int_equal(flv_client_smartmodule_delete(c, "gz", done, &n, NULL),
                     FLV_OK);
    succeeds(loop, &n);
    n = (struct note){.came = false};
    assert_int_equal(flv_client_smartmodule_delete(c, "gz", done, &n, NULL),
                     FLV_OK);
    wait_for(loop, &n.came);
    assert_int_equal(n.err.rc, FLV_E_NOT_FOUND);
    assert_string_equal(n.err.text, "SmartModule gz was not found");
    disconnect(loop, c);
    server_deinit(&s);
    flv_loop_destroy(loop);
}

static void watch_of_smartmodules_outlives_the_server(void **state)
{
    struct server s;
    struct flv_loop *loop = NULL;
    struct watched w = {.came = false};
    struct flv_smartmodule_watch *watch = NULL;

    (void)state;
    assert_int_equal(flv_loop_create(&loop, 0, NULL), FLV_OK);
    server_init(&s);
    struct flv_client *c = connect_to(&s, loop);
    put_module(loop, c, "one", flv_slice_str("bytes"));
    assert_int_equal(
        flv_client_smartmodule_watch(&watch, c, watch_came, &w, NULL), FLV_OK);
    wait_for(loop, &w.came);
    assert_string_equal(w.text, "+one ");
    put_module(loop, c, "two", flv_slice_str("bytes"));
    assert_string_equal(w.text, "+one +two ");
    w.came = false;
    server_stop(&s, SIGKILL);
    server_start(&s);
    wait_for(loop, &w.came);
    assert_int_equal(w.alls, 2);
    assert_string_equal(w.text, "+one +two ");
    flv_smartmodule_watch_close(watch);
    disconnect(loop, c);
    server_deinit(&s);
    flv_loop_destroy(loop);
}

struct formats {
    struct note note;
    char text[400];
};

static void formats_came(void *user,
                         const struct flv_err *err,
                         const struct flv_table_format *infos,
                         size_t count)
{
    struct formats *f = user;

    for (size_t i = 0; i < count; i++) {
        const size_t at = strlen(f->text);
        const struct flv_table_format *t = &infos[i];

        (void)snprintf(f->text + at, sizeof(f->text) - at,
                       "%s/%s json %d sm %s", t->name, t->state, t->input_json,
                       t->smartmodule != NULL ? t->smartmodule : "-");
        for (size_t k = 0; k < t->column_count; k++) {
            const struct flv_table_column *c = &t->columns[k];
            const size_t end = strlen(f->text);

            (void)snprintf(f->text + end, sizeof(f->text) - end,
                           " %s=%s w %s f %s %d%d%d%d%d", c->key_path,
                           c->header_label != NULL ? c->header_label : "-",
                           c->width != NULL ? c->width : "-",
                           c->format != NULL ? c->format : "-",
                           (int)c->alignment, (int)c->display,
                           (int)c->primary_key, (int)c->header_bg_color,
                           (int)c->header_text_color);
        }
        (void)strncat(f->text, ";", sizeof(f->text) - strlen(f->text) - 1);
    }
    done(&f->note, err);
}

static struct formats
list_formats(struct flv_loop *loop, struct flv_client *c, const char *name)
{
    struct formats f = {.text = ""};

    assert_int_equal(flv_client_table_formats(c, name, formats_came, &f, NULL),
                     FLV_OK);
    succeeds(loop, &f.note);
    return f;
}

static void table_formats_come_back_as_they_were(void **state)
{
    static const struct flv_table_column columns[] = {
        {.key_path = "id",
         .primary_key = FLV_TABLE_YES,
         .display = FLV_TABLE_NO},
        {.key_path = "price",
         .header_label = "Price",
         .width = "8",
         .format = "f",
         .alignment = FLV_TABLE_ALIGN_RIGHT,
         .header_bg_color = FLV_TABLE_COLOR_BLUE,
         .header_text_color = FLV_TABLE_COLOR_GREEN}};
    const struct flv_table_format full = {.name = "full",
                                          .input_json = true,
                                          .has_columns = true,
                                          .columns = columns,
                                          .column_count = 2,
                                          .smartmodule = "m"};
    const struct flv_table_format bare = {.name = "bare-full"};
    struct server s;
    struct flv_loop *loop = NULL;

    (void)state;
    assert_int_equal(flv_loop_create(&loop, 0, NULL), FLV_OK);
    server_init(&s);
    struct flv_client *c = connect_to(&s, loop);
    struct note n = {.came = false};
    assert_int_equal(flv_client_table_format_create(c, &full, done, &n, NULL),
                     FLV_OK);
    succeeds(loop, &n);
    n = (struct note){.came = false};
    assert_int_equal(flv_client_table_format_create(c, &bare, done, &n, NULL),
                     FLV_OK);
    succeeds(loop, &n);
    n = (struct note){.came = false};
    assert_int_equal(flv_client_table_format_create(c, &full, done, &n, NULL),
                     FLV_OK);
    wait_for(loop, &n.came);
    assert_int_equal(n.err.rc, FLV_E_EXISTS);
    assert_string_equal(n.err.text, "TableFormat already exists");
    struct formats f = list_formats(loop, c, "full");
    assert_string_equal(f.text, "full/Init json 1 sm m id=- w - f - 01200 "
                                "price=Price w 8 f f 20013;");
    f = list_formats(loop, c, NULL);
    assert_non_null(strstr(f.text, "bare-full/Init json 0 sm -;full/Init"));
    n = (struct note){.came = false};
    assert_int_equal(flv_client_table_format_delete(c, "full", done, &n, NULL),
                     FLV_OK);
    succeeds(loop, &n);
    n = (struct note){.came = false};
    assert_int_equal(flv_client_table_format_delete(c, "full", done, &n, NULL),
                     FLV_OK);
    wait_for(loop, &n.came);
    assert_int_equal(n.err.rc, FLV_E_NOT_FOUND);
    assert_string_equal(n.err.text, "TableFormat not found");
    disconnect(loop, c);
    server_deinit(&s);
    flv_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_neither_lose_nor_repeat),
        cmocka_unit_test(stored_offsets_outlive_the_server),
        cmocka_unit_test(smartmodules_come_back_plain),
        cmocka_unit_test(watch_of_smartmodules_outlives_the_server),
        cmocka_unit_test(table_formats_come_back_as_they_were),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
