/* Table formats as objects, asked for over sockets. */
#include "rig.h"

#include "server/formats.h"

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

static int32_t send_create(struct one *o,
                           const char *name,
                           const struct flv_wire_table_format_spec *spec,
                           bool dry_run)
{
    const struct flv_wire_table_format_create req = {
        .common = {.name = flv_slice_str(name), .dry_run = dry_run},
        .spec = *spec};
    return link_ask(&o->sc, FLV_API_SC_CREATE, SC,
                    &flv_wire_table_format_create_schema, &req, "TableFormat");
}

static int32_t send_delete(struct one *o, const char *name)
{
    const struct flv_wire_delete_request req = {.key = flv_slice_str(name)};
    return link_ask(&o->sc, FLV_API_SC_DELETE, SC,
                    &flv_wire_delete_request_schema, &req, "TableFormat");
}

static int status_of(struct one *o, int32_t asked)
{
    struct flv_wire_status status;
    assert_int_equal(link_next(&o->sc), asked);
    link_read(&o->sc, SC, &flv_wire_status_schema, &status, NULL);
    assert_int_equal(status.message.has, status.error.code != 0);
    return status.error.code;
}

static int create(struct one *o, const char *name)
{
    const struct flv_wire_table_format_spec spec = {.name =
                                                        flv_slice_str(name)};
    return status_of(o, send_create(o, name, &spec, false));
}

static struct flv_wire_table_format_list list(struct one *o, const char *filter)
{
    struct flv_slice name = flv_slice_str(filter != NULL ? filter : "");
    struct flv_wire_list_request req = {.summary = false};
    struct flv_wire_table_format_list out;
    req.name_filters.at = &name;
    req.name_filters.len = filter != NULL ? 1 : 0;
    int32_t asked =
        link_ask(&o->sc, FLV_API_SC_LIST, SC, &flv_wire_list_request_schema,
                 &req, "TableFormat");
    assert_int_equal(link_next(&o->sc), asked);
    link_read(&o->sc, SC, &flv_wire_table_format_list_schema, &out,
              "TableFormat");
    return out;
}

static void expect_list(struct one *o, const char *filter, const char *want)
{
    char got[2000] = "";
    struct flv_wire_table_format_list l = list(o, filter);
    for (uint32_t i = 0; i < l.items.len; i++) {
        size_t at = strlen(got);
        assert_int_equal(l.items.at[i].resolution, 0);
        snprintf(got + at, sizeof got - at, "%.*s ",
                 (int)l.items.at[i].name.len,
                 (const char *)l.items.at[i].name.data);
    }
    assert_string_equal(got, want);
}

/* ---- claims ---- */

static void every_field_comes_back_after_a_restart(void **state)
{
    struct one *o = *state;
    struct flv_wire_table_column columns[2] = {
        {.key_path = flv_slice_str("price")},
        {.key_path = flv_slice_str("id")}};
    columns[0].header_label.has = true;
    columns[0].header_label.v = flv_slice_str("Price");
    columns[0].alignment.has = true;
    columns[0].alignment.v = 1;
    columns[0].header_text_color.has = true;
    columns[0].header_text_color.v = 2;
    columns[1].primary_key.has = true;
    columns[1].primary_key.v = true;
    columns[1].display.has = true;
    struct flv_wire_table_format_spec spec = {.name = flv_slice_str("t")};
    spec.input_format.has = true;
    spec.columns.has = true;
    spec.columns.v.at = columns;
    spec.columns.v.len = 2;
    spec.smartmodule.has = true;
    spec.smartmodule.v = flv_slice_str("sm");
    assert_int_equal(status_of(o, send_create(o, "t", &spec, false)), 0);
    restart(o);
    struct flv_wire_table_format_list l = list(o, NULL);
    assert_int_equal(l.items.len, 1);
    const struct flv_wire_table_format_spec *got = &l.items.at[0].spec;
    assert_true(got->input_format.has && got->columns.has);
    assert_int_equal(got->columns.v.len, 2);
    const struct flv_wire_table_column *c = got->columns.v.at;
    assert_true(flv_slice_eq_str(c[0].key_path, "price"));
    assert_true(flv_slice_eq_str(c[0].header_label.v, "Price"));
    assert_int_equal(c[0].alignment.v, 1);
    assert_int_equal(c[0].header_text_color.v, 2);
    assert_false(c[0].primary_key.has || c[0].width.has || c[0].display.has);
    assert_true(c[1].primary_key.v && c[1].display.has && !c[1].display.v);
    assert_true(flv_slice_eq_str(got->smartmodule.v, "sm"));
}

static void a_name_is_taken_once(void **state)
{
    struct one *o = *state;
    assert_int_equal(create(o, "t"), 0);
    assert_int_equal(create(o, "t"), FLV_WIRE_TABLE_FORMAT_ALREADY_EXISTS);
    restart(o);
    assert_int_equal(create(o, "t"), FLV_WIRE_TABLE_FORMAT_ALREADY_EXISTS);
    expect_list(o, NULL, "t ");
}

static void deleting_answers_whether_it_was_there(void **state)
{
    struct one *o = *state;
    assert_int_equal(create(o, "t"), 0);
    assert_int_equal(status_of(o, send_delete(o, "t")), 0);
    expect_list(o, NULL, "");
    assert_int_equal(status_of(o, send_delete(o, "t")),
                     FLV_WIRE_TABLE_FORMAT_NOT_FOUND);
    assert_int_equal(status_of(o, send_delete(o, "")),
                     FLV_WIRE_TABLE_FORMAT_NOT_FOUND);
    restart(o);
    expect_list(o, NULL, "");
}

static void filters_are_parts_of_names(void **state)
{
    struct one *o = *state;
    assert_int_equal(create(o, "orders"), 0);
    assert_int_equal(create(o, "old-orders"), 0);
    assert_int_equal(create(o, "prices"), 0);
    expect_list(o, NULL, "old-orders orders prices ");
    expect_list(o, "orders", "old-orders orders ");
    expect_list(o, "none", "");
}

static void pipelined_requests_see_those_before_them(void **state)
{
    struct one *o = *state;
    const struct flv_wire_table_format_spec spec = {.name = flv_slice_str("t")};
    int32_t asked[5] = {send_create(o, "t", &spec, false),
                        send_create(o, "t", &spec, false), send_delete(o, "t"),
                        send_create(o, "t", &spec, false),
                        send_delete(o, "other")};
    int want[5] = {0, FLV_WIRE_TABLE_FORMAT_ALREADY_EXISTS, 0, 0,
                   FLV_WIRE_TABLE_FORMAT_NOT_FOUND};
    int got[5];
    for (size_t i = 0; i < 5; i++) {
        struct flv_wire_status status;
        int32_t id = link_next(&o->sc);
        link_read(&o->sc, SC, &flv_wire_status_schema, &status, NULL);
        for (size_t k = 0; k < 5; k++) {
            if (asked[k] == id) {
                got[k] = status.error.code;
            }
        }
    }
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(got[i], want[i]);
    }
    expect_list(o, NULL, "t ");
}

static void what_cannot_be_kept_is_refused(void **state)
{
    struct one *o = *state;
    static struct flv_wire_table_column columns[FLV_FORMAT_COLUMNS_MAX + 1];
    static char text[FLV_FORMAT_SPEC_BYTES_MAX + 1];
    char name[FLV_FORMAT_NAME_MAX + 2];
    struct flv_wire_table_format_spec spec = {.name = flv_slice_str("t")};
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(create(o, ""), FLV_WIRE_TABLE_FORMAT_ERROR);
    assert_int_equal(create(o, "a b"), FLV_WIRE_TABLE_FORMAT_ERROR);
    assert_int_equal(create(o, name), FLV_WIRE_TABLE_FORMAT_ERROR);
    spec.columns.has = true;
    spec.columns.v.at = columns;
    spec.columns.v.len = FLV_FORMAT_COLUMNS_MAX + 1;
    assert_int_equal(status_of(o, send_create(o, "t", &spec, false)),
                     FLV_WIRE_TABLE_FORMAT_ERROR);
    spec.columns.v.len = 1;
    columns[0].key_path = flv_slice_str(text);
    assert_int_equal(status_of(o, send_create(o, "t", &spec, false)),
                     FLV_WIRE_TABLE_FORMAT_ERROR);
    spec.columns.has = false;
    assert_int_equal(status_of(o, send_create(o, "t", &spec, true)), 0);
    expect_list(o, NULL, "");
}

/* What Fluvio's own command sends and gets, byte for byte. */
static void captured_requests_have_the_captured_answers(void **state)
{
    static const struct {
        const char *request, *response;
    } frames[] = {
        /* create tf1, one column Name of name */
        {"0000004c03e9001300000004000a464c5556494f5f434c49000b5461626c65466f72"
         "6d6174000000270003746631000000037466310001000000010100044e616d6500"
         "0000046e616d65000000000000",
         "0003746631000000"},
        /* list */
        {"0000002b03eb001300000004000a464c5556494f5f434c49000b5461626c65466f72"
         "6d617400000006000000000000",
         "000b5461626c65466f726d61740000002b00000001000374663100037466310001000"
         "0"
         "00010100044e616d65000000046e616d650000000000000000"},
        /* delete */
        {"0000002b03ea001300000004000a464c5556494f5f434c49000b5461626c65466f72"
         "6d617400000006000374663100",
         "0003746631000000"}};
    struct one *o = *state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[200];
        char hex[400] = "";
        size_t n = strlen(frames[i].request) / 2;
        for (size_t k = 0; k < n; k++) {
            unsigned byte = 0;
            assert_int_equal(sscanf(frames[i].request + 2 * k, "%2x", &byte),
                             1);
            bytes[k] = (uint8_t)byte;
        }
        link_send(&o->sc, bytes, n);
        assert_int_equal(link_next(&o->sc), 4);
        for (size_t k = 0; k < o->sc.frame.len; k++) {
            snprintf(hex + 2 * k, sizeof hex - 2 * k, "%02x",
                     o->sc.frame.data[k]);
        }
        assert_string_equal(hex, frames[i].response);
    }
}

static void watchers_hear_before_the_answer(void **state)
{
    struct one *o = *state;
    struct flv_wire_table_format_watch u;
    const struct flv_wire_watch_request req = {.summary = false};
    const struct flv_wire_table_format_spec spec = {.name = flv_slice_str("n")};
    assert_int_equal(create(o, "old"), 0);
    int32_t watch =
        link_ask(&o->sc, FLV_API_SC_WATCH, SC, &flv_wire_watch_request_schema,
                 &req, "TableFormat");
    assert_int_equal(link_next(&o->sc), watch);
    link_read(&o->sc, SC, &flv_wire_table_format_watch_schema, &u,
              "TableFormat");
    assert_int_equal(u.all.len, 1);
    int32_t created = send_create(o, "new", &spec, false);
    assert_int_equal(link_next(&o->sc), watch);
    link_read(&o->sc, SC, &flv_wire_table_format_watch_schema, &u,
              "TableFormat");
    assert_int_equal(u.changes.len, 1);
    assert_int_equal(u.changes.at[0].kind, FLV_WIRE_CHANGE_UPDATE);
    assert_true(flv_slice_eq_str(u.changes.at[0].item.name, "new"));
    assert_int_equal(status_of(o, created), 0);
    int32_t deleted = send_delete(o, "old");
    assert_int_equal(link_next(&o->sc), watch);
    link_read(&o->sc, SC, &flv_wire_table_format_watch_schema, &u,
              "TableFormat");
    assert_int_equal(u.changes.at[0].kind, FLV_WIRE_CHANGE_DELETE);
    assert_true(flv_slice_eq_str(u.changes.at[0].item.name, "old"));
    assert_int_equal(status_of(o, deleted), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_field_comes_back_after_a_restart),
        T(a_name_is_taken_once),
        T(deleting_answers_whether_it_was_there),
        T(filters_are_parts_of_names),
        T(pipelined_requests_see_those_before_them),
        T(what_cannot_be_kept_is_refused),
        T(captured_requests_have_the_captured_answers),
        T(watchers_hear_before_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
