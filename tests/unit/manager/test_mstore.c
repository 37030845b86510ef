#include <stdio.h>
#include <sys/stat.h>

#include "cm.h"
#include "loop/loop.h"
#include "manager/journal.h"
#include "manager/store.h"
#include "tmpdir.h"

static struct tmpdir tmp;
static char path[128];

static int set_up(void **state)
{
    (void)state;
    tmpdir_make(&tmp, "mstore");
    (void)snprintf(path, sizeof(path), "%s/manager.db", tmp.path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tmpdir_remove(&tmp);
    return 0;
}

static struct flv_mstore *open_store(void)
{
    struct flv_mstore *s = NULL;
    struct flv_err err = {0};
    if (flv_mstore_create(&s, path, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return s;
}

static struct flv_mchange put(const char *name, const char *file)
{
    return (struct flv_mchange){.kind = FLV_MCHANGE_PUT,
                                .row = {.name = flv_slice_str(name),
                                        .file = flv_slice_str(file),
                                        .cause = flv_slice_str("why"),
                                        .generation = 3,
                                        .created_ms = 4,
                                        .updated_ms = 5,
                                        .over = FLV_MOVER_FAILED,
                                        .over_ms = 6}};
}

static struct flv_mchange event(uint64_t id)
{
    return (struct flv_mchange){.kind = FLV_MCHANGE_EVENT,
                                .event = {.id = id,
                                          .time_ms = 1,
                                          .name = flv_slice_str("cats"),
                                          .kind = flv_slice_str("created"),
                                          .text = flv_slice_str("from")}};
}

static flv_rc apply(struct flv_mstore *s, const struct flv_mchange *c)
{
    return flv_mstore_apply(s, &c, 1, NULL);
}

struct seen {
    char names[256];
    uint64_t first_event, last_event, events;
    struct flv_mrow last;
};

static flv_rc see_row(const struct flv_mrow *row, void *arg, struct flv_err *e)
{
    struct seen *s = arg;
    size_t n = strlen(s->names);
    (void)e;
    (void)snprintf(s->names + n, sizeof(s->names) - n, "%.*s=%.*s ",
                   (int)row->name.len, (const char *)row->name.data,
                   (int)row->file.len, (const char *)row->file.data);
    s->last = *row;
    return FLV_OK;
}

static flv_rc
see_event(const struct flv_mevent *event, void *arg, struct flv_err *e)
{
    struct seen *s = arg;
    (void)e;
    s->first_event = s->events == 0 ? event->id : s->first_event;
    s->last_event = event->id;
    s->events++;
    return FLV_OK;
}

static void rows_are_there_after_a_reopen(void **state)
{
    struct seen seen = {.names = ""};
    (void)state;
    struct flv_mstore *s = open_store();
    const struct flv_mchange b = put("b", "two"), a = put("a", "one");
    assert_int_equal(apply(s, &b), FLV_OK);
    assert_int_equal(apply(s, &a), FLV_OK);
    flv_mstore_destroy(s);
    s = open_store();
    assert_int_equal(flv_mstore_each_row(s, see_row, &seen, NULL), FLV_OK);
    assert_string_equal(seen.names, "a=one b=two ");
    assert_int_equal(seen.last.generation, 3);
    assert_int_equal(seen.last.over, FLV_MOVER_FAILED);
    assert_int_equal(seen.last.over_ms, 6);
    flv_mstore_destroy(s);
}

static void a_put_replaces_and_a_drop_forgets(void **state)
{
    struct seen seen = {.names = ""};
    (void)state;
    struct flv_mstore *s = open_store();
    const struct flv_mchange a = put("a", "one"), b = put("a", "two");
    const struct flv_mchange drop = {.kind = FLV_MCHANGE_DROP,
                                     .row = {.name = flv_slice_str("a")}};
    assert_int_equal(apply(s, &a), FLV_OK);
    assert_int_equal(apply(s, &b), FLV_OK);
    assert_int_equal(flv_mstore_each_row(s, see_row, &seen, NULL), FLV_OK);
    assert_string_equal(seen.names, "a=two ");
    assert_int_equal(apply(s, &drop), FLV_OK);
    seen.names[0] = '\0';
    assert_int_equal(flv_mstore_each_row(s, see_row, &seen, NULL), FLV_OK);
    assert_string_equal(seen.names, "");
    flv_mstore_destroy(s);
}

static void old_events_make_room(void **state)
{
    struct seen seen = {.names = ""};
    (void)state;
    struct flv_mstore *s = open_store();
    struct flv_mchange changes[512];
    const struct flv_mchange *list[512];
    uint64_t id = 1;
    while (id <= FLV_MEVENTS_MAX + 512) {
        size_t n = 0;
        for (; n < 512; n++) {
            changes[n] = event(id++);
            list[n] = &changes[n];
        }
        assert_int_equal(flv_mstore_apply(s, list, n, NULL), FLV_OK);
    }
    assert_int_equal(flv_mstore_each_event(s, see_event, &seen, NULL), FLV_OK);
    assert_int_equal(seen.last_event, id - 1);
    assert_true(seen.events <= FLV_MEVENTS_MAX + 64);
    assert_true(seen.first_event > 1);
    flv_mstore_destroy(s);
}

static void a_newer_schema_is_refused(void **state)
{
    struct flv_err err = {0};
    (void)state;
    flv_mstore_destroy(open_store());
    /* user_version stands at byte 60 of an SQLite file. */
    FILE *f = fopen(path, "r+");
    assert_int_equal(fseek(f, 63, SEEK_SET), 0);
    assert_int_equal(fputc(9, f), 9);
    (void)fclose(f);
    struct flv_mstore *s = NULL;
    assert_int_equal(flv_mstore_create(&s, path, &err), FLV_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "start the newer version"));
}

struct done {
    unsigned calls;
    flv_rc rc;
};

static void on_done(void *arg, const struct flv_err *err)
{
    struct done *d = arg;
    d->calls++;
    d->rc = err != NULL ? err->rc : FLV_OK;
}

static void the_journal_answers_in_order_and_after_the_disk(void **state)
{
    struct flv_loop *loop;
    struct flv_journal *j;
    struct done done = {0};
    struct seen seen = {.names = ""};
    (void)state;
    struct flv_mstore *s = open_store();
    assert_int_equal(flv_loop_create(&loop, 0, NULL), FLV_OK);
    assert_int_equal(flv_journal_create(&j, loop, s, NULL), FLV_OK);
    for (int i = 0; i < 600; i++) {
        char name[16], file[16];
        (void)snprintf(name, sizeof(name), "n%d", i % 3);
        (void)snprintf(file, sizeof(file), "f%d", i);
        const struct flv_mchange c = put(name, file);
        assert_int_equal(flv_journal_add(j, &c, on_done, &done, NULL), FLV_OK);
        assert_int_equal(done.calls, 0); /* never from inside */
    }
    while (done.calls < 600) {
        (void)flv_loop_turn(loop, true);
    }
    assert_int_equal(done.rc, FLV_OK);
    const struct flv_mchange last = put("n9", "late");
    assert_int_equal(flv_journal_add(j, &last, on_done, &done, NULL), FLV_OK);
    flv_journal_destroy(j); /* waits for what is under way */
    assert_int_equal(done.calls, 601);
    assert_int_equal(flv_mstore_each_row(s, see_row, &seen, NULL), FLV_OK);
    assert_string_equal(seen.names, "n0=f597 n1=f598 n2=f599 n9=late ");
    flv_mstore_destroy(s);
    while (flv_loop_turn(loop, false)) {
    }
    flv_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_there_after_a_reopen, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_put_replaces_and_a_drop_forgets,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_events_make_room, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            the_journal_answers_in_order_and_after_the_disk, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
