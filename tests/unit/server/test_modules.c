/* SmartModules as objects, asked for over sockets. */
#include "rig.h"

#include "base/mem.h"
#include "server/modules.h"

#define SC 19

struct one {
    struct rig rig;
    struct link sc;
};

static int setup(void **state)
{
    static struct one o;
    memset(&o, 0, sizeof o);
    rig_init(&o.rig);
    rig_start(&o.rig);
    link_open(&o.sc, o.rig.sc);
    *state = &o;
    return 0;
}

static int teardown(void **state)
{
    struct one *o = *state;
    link_close(&o->sc);
    rig_stop(&o->rig);
    rig_deinit(&o->rig);
    return 0;
}

static void restart(struct one *o)
{
    link_close(&o->sc);
    rig_stop(&o->rig);
    rig_start(&o->rig);
    link_open(&o->sc, o->rig.sc);
}

/* ---- questions ---- */

static struct flv_wire_status
ask_create(struct one *o,
           const char *name,
           const struct flv_wire_smartmodule_spec *spec,
           bool dry_run)
{
    const struct flv_wire_smartmodule_create req = {
        .common = {.name = flv_slice_str(name), .dry_run = dry_run},
        .spec = *spec};
    struct flv_wire_status status;
    int32_t asked =
        link_ask(&o->sc, FLV_API_SC_CREATE, SC,
                 &flv_wire_smartmodule_create_schema, &req, "SmartModule");
    assert_int_equal(link_next(&o->sc), asked);
    link_read(&o->sc, SC, &flv_wire_status_schema, &status, NULL);
    return status;
}

static void create(struct one *o, const char *name, struct flv_slice bytes)
{
    const struct flv_wire_smartmodule_spec spec = {.payload = bytes};
    struct flv_wire_status status = ask_create(o, name, &spec, false);
    assert_int_equal(status.error.code, 0);
    assert_true(flv_slice_eq_str(status.name, name));
}

static struct flv_wire_smartmodule_spec packaged(const char *name,
                                                 const char *group,
                                                 const char *version,
                                                 const char *bytes)
{
    struct flv_wire_smartmodule_spec spec = {.payload = flv_slice_str(bytes)};
    spec.meta.has = true;
    spec.meta.v.name = flv_slice_str(name);
    spec.meta.v.group = flv_slice_str(group);
    spec.meta.v.version = flv_slice_str(version);
    spec.meta.v.api_version = flv_slice_str("0.1.0");
    return spec;
}

static struct flv_wire_status ask_delete(struct one *o, const char *key)
{
    const struct flv_wire_delete_request req = {.key = flv_slice_str(key)};
    struct flv_wire_status status;
    int32_t asked =
        link_ask(&o->sc, FLV_API_SC_DELETE, SC, &flv_wire_delete_request_schema,
                 &req, "SmartModule");
    assert_int_equal(link_next(&o->sc), asked);
    link_read(&o->sc, SC, &flv_wire_status_schema, &status, NULL);
    return status;
}

static struct flv_wire_smartmodule_list
list(struct one *o, const char *filter, bool summary)
{
    struct flv_slice name = flv_slice_str(filter != NULL ? filter : "");
    struct flv_wire_list_request req = {.summary = summary};
    struct flv_wire_smartmodule_list out;
    req.name_filters.at = &name;
    req.name_filters.len = filter != NULL ? 1 : 0;
    int32_t asked =
        link_ask(&o->sc, FLV_API_SC_LIST, SC, &flv_wire_list_request_schema,
                 &req, "SmartModule");
    assert_int_equal(link_next(&o->sc), asked);
    link_read(&o->sc, SC, &flv_wire_smartmodule_list_schema, &out,
              "SmartModule");
    return out;
}

/* "key=size key=size ", size of the bytes or, with ~, of a summary. */
static void
expect_list(struct one *o, const char *filter, bool summary, const char *want)
{
    char got[2000] = "";
    struct flv_wire_smartmodule_list l = list(o, filter, summary);
    for (uint32_t i = 0; i < l.items.len; i++) {
        const struct flv_wire_smartmodule *m = &l.items.at[i];
        size_t at = strlen(got);
        if (m->spec.summary_wasm_bytes.has) {
            assert_int_equal(m->spec.payload.len, 0);
        }
        snprintf(got + at, sizeof got - at, "%.*s=%s%zu ", (int)m->name.len,
                 (const char *)m->name.data,
                 m->spec.summary_wasm_bytes.has ? "~" : "",
                 m->spec.summary_wasm_bytes.has
                     ? (size_t)m->spec.summary_wasm_bytes.v
                     : m->spec.payload.len);
    }
    assert_string_equal(got, want);
}

/* ---- claims ---- */

static void bytes_come_back_untouched_after_a_restart(void **state)
{
    struct one *o = *state;
    create(o, "raw", flv_slice("\0asm\1\0\0\0", 8));
    create(o, "damaged", flv_slice("\x1f\x8b nonsense", 11));
    create(o, "empty", flv_slice(NULL, 0));
    for (int i = 0; i < 2; i++) {
        expect_list(o, NULL, false, "damaged=11 empty=0 raw=8 ");
        expect_list(o, NULL, true, "damaged=~11 empty=~0 raw=~8 ");
        struct flv_wire_smartmodule_list l = list(o, "raw", false);
        assert_int_equal(l.items.len, 1);
        assert_true(flv_slice_eq(l.items.at[0].spec.payload,
                                 flv_slice("\0asm\1\0\0\0", 8)));
        restart(o);
    }
}

static void creating_again_replaces(void **state)
{
    struct one *o = *state;
    create(o, "m", flv_slice_str("first"));
    create(o, "m", flv_slice_str("second one"));
    expect_list(o, NULL, false, "m=10 ");
    restart(o);
    expect_list(o, NULL, false, "m=10 ");
}

static void deleting_answers_whether_it_was_there(void **state)
{
    struct one *o = *state;
    create(o, "m", flv_slice_str("x"));
    assert_int_equal(ask_delete(o, "m").error.code, 0);
    expect_list(o, NULL, true, "");
    struct flv_wire_status status = ask_delete(o, "m");
    assert_int_equal(status.error.code, FLV_WIRE_SMARTMODULE_NOT_FOUND);
    assert_true(flv_slice_eq_str(status.error.text, "m"));
    assert_int_equal(ask_delete(o, "").error.code,
                     FLV_WIRE_SMARTMODULE_NOT_FOUND);
    restart(o);
    expect_list(o, NULL, true, "");
}

static void package_data_makes_the_key_and_is_found_in_parts(void **state)
{
    struct one *o = *state;
    struct flv_wire_smartmodule_spec spec =
        packaged("regex", "infinyon", "0.1.0", "one");
    struct flv_wire_status status = ask_create(o, "ignored", &spec, false);
    assert_int_equal(status.error.code, 0);
    assert_true(flv_slice_eq_str(status.name, "regex-infinyon-0.1.0"));
    spec = packaged("regex", "infinyon", "0.2.0", "two.");
    assert_int_equal(ask_create(o, "", &spec, false).error.code, 0);
    spec = packaged("regex", "other", "0.1.0", "three");
    assert_int_equal(ask_create(o, "", &spec, false).error.code, 0);
    create(o, "plain", flv_slice_str("p"));
    restart(o);
    expect_list(o, "regex", true,
                "regex-infinyon-0.1.0=~3 regex-infinyon-0.2.0=~4 "
                "regex-other-0.1.0=~5 ");
    expect_list(o, "infinyon/regex", true,
                "regex-infinyon-0.1.0=~3 regex-infinyon-0.2.0=~4 ");
    expect_list(o, "infinyon/regex@0.2.0", false, "regex-infinyon-0.2.0=4 ");
    expect_list(o, "infinyon/regex@0.3.0", true, "");
    /* A version only stands behind a group. */
    expect_list(o, "regex@0.2.0", true, "");
    expect_list(o, "regex-infinyon-0.2.0", true, "");
    expect_list(o, "plain", false, "plain=1 ");
    expect_list(o, "plai", false, "");
    struct flv_wire_smartmodule_list l = list(o, "other/regex", true);
    assert_true(l.items.at[0].spec.meta.has);
    assert_true(flv_slice_eq_str(l.items.at[0].spec.meta.v.version, "0.1.0"));
    /* Deleting takes the key, or a name that says which. */
    assert_int_equal(ask_delete(o, "regex-other-0.1.0").error.code, 0);
    assert_int_equal(ask_delete(o, "infinyon/regex@0.1.0").error.code, 0);
    expect_list(o, NULL, true, "plain=~1 regex-infinyon-0.2.0=~4 ");
}

static void what_no_client_could_read_is_refused(void **state)
{
    struct one *o = *state;
    struct flv_wire_smartmodule_spec bad[] = {
        packaged("", "g", "0.1.0", "x"),
        packaged("n", "", "0.1.0", "x"),
        packaged("n", "g", "new", "x"),
        {.payload = flv_slice_str("x")}, /* without a name */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct flv_wire_status status = ask_create(o, "", &bad[i], false);
        assert_int_equal(status.error.code, FLV_WIRE_SMARTMODULE_ERROR);
        assert_true(status.message.has && status.message.v.len > 20);
    }
    char name[400] = "";
    memset(name, 'x', 256);
    struct flv_wire_smartmodule_spec spec = {.payload = flv_slice_str("x")};
    assert_int_equal(ask_create(o, name, &spec, false).error.code,
                     FLV_WIRE_SMARTMODULE_ERROR);
    name[255] = '\0';
    assert_int_equal(ask_create(o, name, &spec, false).error.code, 0);
    assert_int_equal(ask_delete(o, name).error.code, 0);
    assert_int_equal(ask_create(o, "dry", &spec, true).error.code, 0);
    expect_list(o, NULL, true, "");
}

static void largest_module_passes_and_the_next_byte_is_refused(void **state)
{
    struct one *o = *state;
    struct flv_wire_smartmodule_spec spec = {0};
    uint8_t *bytes = flv_zalloc(FLV_MODULE_PAYLOAD_MAX + 1, 1);
    assert_non_null(bytes);
    spec.payload = flv_slice(bytes, FLV_MODULE_PAYLOAD_MAX + 1);
    assert_int_equal(ask_create(o, "big", &spec, false).error.code,
                     FLV_WIRE_SMARTMODULE_ERROR);
    create(o, "big", flv_slice(bytes, FLV_MODULE_PAYLOAD_MAX));
    create(o, "big2", flv_slice(bytes, FLV_MODULE_PAYLOAD_MAX));
    /* Both together are more than one list carries. */
    expect_list(o, NULL, false, "big=33554432 big2=~33554432 ");
    expect_list(o, "big2", false, "big2=33554432 ");
    flv_free(bytes);
}

/* More answers than --memory-max has room for, asked for at once. */
static void lists_wait_for_memory_instead_of_failing(void **state)
{
    struct one *o = *state;
    enum { LISTS = 6 };
    static struct link links[LISTS];
    uint8_t *bytes = flv_zalloc(FLV_MODULE_PAYLOAD_MAX, 1);
    assert_non_null(bytes);
    create(o, "big", flv_slice(bytes, FLV_MODULE_PAYLOAD_MAX));
    flv_free(bytes);
    const struct flv_wire_list_request req = {.summary = false};
    for (int i = 0; i < LISTS; i++) {
        link_open(&links[i], o->rig.sc);
        link_ask(&links[i], FLV_API_SC_LIST, SC, &flv_wire_list_request_schema,
                 &req, "SmartModule");
    }
    /* Nobody reads yet: the server itself goes on. */
    expect_list(o, NULL, true, "big=~33554432 ");
    for (int i = 0; i < LISTS; i++) {
        struct flv_wire_smartmodule_list out;
        (void)link_next(&links[i]);
        link_read(&links[i], SC, &flv_wire_smartmodule_list_schema, &out,
                  "SmartModule");
        assert_int_equal(out.items.at[0].spec.payload.len,
                         FLV_MODULE_PAYLOAD_MAX);
        link_close(&links[i]);
    }
}

static void little_memory_lists_summaries(void **state)
{
    struct one *o = *state;
    create(o, "m", flv_slice_str("small"));
    uint8_t *bytes = flv_zalloc(1, (size_t)3 << 20);
    assert_non_null(bytes);
    create(o, "three-megabytes", flv_slice(bytes, (size_t)3 << 20));
    flv_free(bytes);
    o->rig.conf.memory_bytes_max = (uint64_t)4 << 20;
    restart(o);
    expect_list(o, NULL, false, "m=5 three-megabytes=~3145728 ");
}

static struct flv_wire_smartmodule_watch next_update(struct one *o,
                                                     int32_t asked)
{
    struct flv_wire_smartmodule_watch out;
    assert_int_equal(link_next(&o->sc), asked);
    link_read(&o->sc, SC, &flv_wire_smartmodule_watch_schema, &out,
              "SmartModule");
    return out;
}

static void watchers_get_summaries_before_the_answer(void **state)
{
    struct one *o = *state;
    create(o, "old", flv_slice_str("xyz"));
    const struct flv_wire_watch_request req = {.summary = false};
    int32_t asked =
        link_ask(&o->sc, FLV_API_SC_WATCH, SC, &flv_wire_watch_request_schema,
                 &req, "SmartModule");
    struct flv_wire_smartmodule_watch u = next_update(o, asked);
    assert_int_equal(u.all.len, 1);
    assert_int_equal(u.all.at[0].spec.summary_wasm_bytes.v, 3);

    const struct flv_wire_smartmodule_create create_req = {
        .common = {.name = flv_slice_str("new")},
        .spec = {.payload = flv_slice_str("12345")}};
    int32_t created = link_ask(&o->sc, FLV_API_SC_CREATE, SC,
                               &flv_wire_smartmodule_create_schema, &create_req,
                               "SmartModule");
    u = next_update(o, asked);
    assert_int_equal(u.changes.len, 1);
    assert_int_equal(u.changes.at[0].kind, FLV_WIRE_CHANGE_UPDATE);
    assert_true(flv_slice_eq_str(u.changes.at[0].item.name, "new"));
    assert_int_equal(u.changes.at[0].item.spec.summary_wasm_bytes.v, 5);
    assert_int_equal(link_next(&o->sc), created);

    const struct flv_wire_delete_request del = {.key = flv_slice_str("old")};
    int32_t deleted =
        link_ask(&o->sc, FLV_API_SC_DELETE, SC, &flv_wire_delete_request_schema,
                 &del, "SmartModule");
    u = next_update(o, asked);
    assert_int_equal(u.changes.at[0].kind, FLV_WIRE_CHANGE_DELETE);
    assert_true(flv_slice_eq_str(u.changes.at[0].item.name, "old"));
    assert_int_equal(link_next(&o->sc), deleted);
}

static void pipelined_requests_see_those_before_them(void **state)
{
    struct one *o = *state;
    const struct flv_wire_delete_request del = {.key = flv_slice_str("m")};
    const struct flv_wire_list_request all = {0};
    struct flv_wire_status status;
    for (int i = 0; i < 20; i++) {
        const struct flv_wire_smartmodule_create req = {
            .common = {.name = flv_slice_str("m")},
            .spec = {.payload = flv_slice_str("bytes")}};
        int32_t first =
            link_ask(&o->sc, FLV_API_SC_CREATE, SC,
                     &flv_wire_smartmodule_create_schema, &req, "SmartModule");
        link_ask(&o->sc, FLV_API_SC_LIST, SC, &flv_wire_list_request_schema,
                 &all, "SmartModule");
        link_ask(&o->sc, FLV_API_SC_DELETE, SC, &flv_wire_delete_request_schema,
                 &del, "SmartModule");
        for (int n = 0; n < 3; n++) {
            int32_t which = link_next(&o->sc) - first;
            if (which == 1) {
                continue; /* the list may come in between */
            }
            link_read(&o->sc, SC, &flv_wire_status_schema, &status, NULL);
            assert_int_equal(status.error.code, 0);
        }
    }
    expect_list(o, NULL, true, "");
}

/* Frames of the real CLI and what the real cluster answered. */
static void captured_frames_get_the_captured_answers(void **state)
{
    struct one *o = *state;
    static const uint8_t wasm[] = "some bytes of a module";
    create(o, "refuser", flv_slice(wasm, 22));
    static const uint8_t ask[] =
        "\0\0\0\x2b\x03\xeb\0\x13\0\0\0\x04\0\x0a"
        "FLUVIO_CLI\0\x0bSmartModule\0\0\0\x06\0\0\0\0\x01\0";
    static const uint8_t want[] = "\0\x0bSmartModule\0\0\0\x18\0\0\0\x01\0\x07"
                                  "refuser\0\x01\0\0\0\x16\0\0\0\0\0";
    link_send(&o->sc, ask, sizeof ask - 1);
    assert_int_equal(link_next(&o->sc), 4);
    assert_int_equal(o->sc.frame.len, sizeof want - 1);
    assert_memory_equal(o->sc.frame.data, want, sizeof want - 1);
    static const uint8_t ask_delete_it[] =
        "\0\0\0\x2f\x03\xea\0\x13\0\0\0\x05\0\x0a"
        "FLUVIO_CLI\0\x0bSmartModule\0\0\0\x0a\0\x07refuser\0";
    static const uint8_t want_status[] = "\0\x07refuser\0\0\0";
    link_send(&o->sc, ask_delete_it, sizeof ask_delete_it - 1);
    assert_int_equal(link_next(&o->sc), 5);
    assert_int_equal(o->sc.frame.len, sizeof want_status - 1);
    assert_memory_equal(o->sc.frame.data, want_status, sizeof want_status - 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(bytes_come_back_untouched_after_a_restart),
        T(creating_again_replaces),
        T(deleting_answers_whether_it_was_there),
        T(package_data_makes_the_key_and_is_found_in_parts),
        T(what_no_client_could_read_is_refused),
        T(largest_module_passes_and_the_next_byte_is_refused),
        T(lists_wait_for_memory_instead_of_failing),
        T(little_memory_lists_summaries),
        T(watchers_get_summaries_before_the_answer),
        T(pipelined_requests_see_those_before_them),
        T(captured_frames_get_the_captured_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
