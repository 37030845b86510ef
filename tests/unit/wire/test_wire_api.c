/* Versions, objects, semantic versions and error codes. */
#include <stdio.h>

#include "cm.h"
#include "frames.h"
#include "wire/ext.h"
#include "wire/schemas.h"

#define STR(s) flv_slice_str(s)

static void servers_advertise_what_they_serve(void **state)
{
    (void)state;
    for (int side = FLV_WIRE_SC; side <= FLV_WIRE_SPU; side++) {
        enum flv_wire_side s = (enum flv_wire_side)side;
        const struct flv_wire_api_range *apis;
        size_t len;

        apis = flv_wire_apis(s, &len);
        assert_int_equal(len, side == FLV_WIRE_SC ? 6 : 8);
        for (size_t i = 0; i < len; i++) {
            uint16_t api = (uint16_t)apis[i].api_key;

            assert_true(flv_wire_api_served(s, api, apis[i].min));
            assert_true(flv_wire_api_served(s, api, apis[i].max));
            assert_false(
                flv_wire_api_served(s, api, (int16_t)(apis[i].max + 1)));
            assert_false(
                flv_wire_api_served(s, api, (int16_t)(apis[i].min - 1)));
            assert_string_not_equal(flv_wire_api_name(s, api), "unknown");
            assert_non_null(flv_wire_request_schema(s, api, STR("Topic")));
            assert_non_null(flv_wire_response_schema(s, api, STR("Topic")));
        }
        assert_true(flv_wire_api_served(s, FLV_API_VERSIONS, 0));
        assert_false(flv_wire_api_served(s, FLV_API_VERSIONS, 3));
        assert_false(flv_wire_api_served(s, 999, 0));
    }
    assert_string_equal(flv_wire_api_name(FLV_WIRE_SC, 1007), "unknown");
    assert_string_equal(flv_wire_api_name(FLV_WIRE_SPU, 1003), "stream_fetch");
}

static int16_t max_of(const struct flv_wire_api_versions_response *r, int api)
{
    for (uint32_t i = 0; i < r->apis.len; i++) {
        if (r->apis.at[i].api_key == api) {
            return r->apis.at[i].max;
        }
    }
    return -1;
}

static void clients_without_a_version_get_an_older_stream_fetch(void **state)
{
    struct flv_wire_api_versions_request q = {0};
    struct flv_wire_api_versions_response r;
    struct flv_arena arena;

    (void)state;
    flv_arena_init(&arena, 1024, 4096);
    assert_int_equal(
        flv_wire_api_versions_answer(FLV_WIRE_SPU, &q, &arena, &r, NULL),
        FLV_OK);
    assert_int_equal(max_of(&r, FLV_API_SPU_STREAM_FETCH), 15);
    q.client_version = STR("0.14.9");
    assert_int_equal(
        flv_wire_api_versions_answer(FLV_WIRE_SPU, &q, &arena, &r, NULL),
        FLV_OK);
    assert_int_equal(max_of(&r, FLV_API_SPU_STREAM_FETCH), 25);
    assert_true(flv_wire_semver_ok(r.platform_version));
    assert_int_equal(
        flv_wire_api_versions_answer(FLV_WIRE_SC, &q, &arena, &r, NULL),
        FLV_OK);
    assert_int_equal(max_of(&r, FLV_API_SC_WATCH), 19);
    flv_arena_deinit(&arena);
}

static void the_client_picks_the_newest_common_version(void **state)
{
    struct flv_wire_api_range offered[] = {
        {FLV_API_SC_LIST, 15, 19},    {FLV_API_SC_WATCH, 11, 14},
        {FLV_API_SC_CREATE, 1, 10},   {FLV_API_SC_DELETE, 20, 30},
        {FLV_API_SPU_PRODUCE, 0, 99}, {FLV_API_SC_TOPIC_CREATE_EXT, 11, 19},
    };
    struct flv_wire_api_versions_response r = {.apis = {offered, 6}};
    struct flv_err err = {0};
    int16_t v = -7;

    (void)state;
    assert_int_equal(
        flv_wire_api_pick(FLV_WIRE_SC, FLV_API_SC_LIST, &r, &v, &err), FLV_OK);
    assert_int_equal(v, 19);
    assert_int_equal(
        flv_wire_api_pick(FLV_WIRE_SC, FLV_API_SC_WATCH, &r, &v, &err), FLV_OK);
    assert_int_equal(v, 14);
    assert_int_equal(
        flv_wire_api_pick(FLV_WIRE_SPU, FLV_API_SPU_PRODUCE, &r, &v, &err),
        FLV_OK);
    assert_int_equal(v, 25);
    assert_int_equal(flv_wire_api_pick(FLV_WIRE_SC, FLV_API_SC_TOPIC_CREATE_EXT,
                                       &r, &v, &err),
                     FLV_OK);
    assert_int_equal(v, 19);
    /* Servers do not list these, yet they answer. */
    assert_int_equal(flv_wire_api_pick(FLV_WIRE_SPU,
                                       FLV_API_SPU_FETCH_CONSUMER_OFFSETS, &r,
                                       &v, &err),
                     FLV_OK);
    assert_int_equal(v, 25);
    v = -7;
    assert_int_equal(
        flv_wire_api_pick(FLV_WIRE_SC, FLV_API_SC_CREATE, &r, &v, &err),
        FLV_E_UNSUPPORTED);
    assert_string_equal(err.text,
                        "the server offers create in versions 1 to 10, this "
                        "client speaks 11 to 19");
    assert_int_equal(
        flv_wire_api_pick(FLV_WIRE_SC, FLV_API_SC_DELETE, &r, &v, &err),
        FLV_E_UNSUPPORTED);
    assert_int_equal(
        flv_wire_api_pick(FLV_WIRE_SC, FLV_API_SC_UPDATE, &r, &v, &err),
        FLV_E_UNSUPPORTED);
    assert_int_equal(v, -7);
}

static void semantic_versions_are_told_from_others(void **state)
{
    static const char *const good[] = {
        "0.18.1",       "0.0.0",    "1.2.3-alpha.1+build.5",
        "0.18.2-dev-1", "1.0.0+01", "1.0.0--"};
    static const char *const bad[] = {
        "",       "1",      "1.2",      "1.2.3.4",
        "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b",
        "1.2.3+", "v1.2.3", "1.2.3 ",   "99999999999999999999.0.0"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(flv_wire_semver_ok(STR(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(flv_wire_semver_ok(STR(bad[i])));
    }
}

static void labels_name_objects(void **state)
{
    enum flv_wire_object o = FLV_WIRE_MIRROR;

    (void)state;
    for (unsigned i = 0; i < FLV_WIRE_OBJECT_COUNT; i++) {
        const char *label = flv_wire_object_label((enum flv_wire_object)i);

        assert_true(flv_wire_object_of(STR(label), &o));
        assert_int_equal(o, i);
        assert_non_null(
            flv_wire_response_schema(FLV_WIRE_SC, FLV_API_SC_LIST, STR(label)));
    }
    assert_false(flv_wire_object_of(STR("topic"), &o));
    assert_null(
        flv_wire_request_schema(FLV_WIRE_SC, FLV_API_SC_LIST, STR("topic")));
    assert_null(flv_wire_request_schema(FLV_WIRE_SC, FLV_API_SC_CREATE,
                                        STR("Nothing")));
    assert_null(flv_wire_request_schema(FLV_WIRE_SPU, 77, STR("")));
}

/* --- errors
 * ------------------------------------------------------------------------ */

static void the_words_of_codes_are_those_people_know(void **state)
{
    static const struct {
        int16_t code;
        const char *text;
    } table[] = {
        {2001, "Topic not found"},
        {2002, "Topic already exists"},
        {5001, "Connector not found"},
        {5002, "Connector already exists"},
        {6001, "SmartModule not found"},
        {7001, "TableFormat not found"},
        {7002, "TableFormat already exists"},
        {11001, "Mirror not found"},
        {13, "permission denied"},
        {4711, "Unknown error code"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_string_equal(flv_wire_code_text(table[i].code), table[i].text);
    }
    assert_string_equal(flv_wire_code_name(2002), "topic_already_exists");
    assert_null(flv_wire_code_name(4711));
}

static void payloads_are_described(void **state)
{
    struct flv_wire_error e =
        flv_wire_error_text(FLV_WIRE_SMARTMODULE_NOT_FOUND, "refuser");
    char text[64];

    (void)state;
    flv_wire_error_describe(&e, text, sizeof(text));
    assert_string_equal(text, "SmartModule refuser was not found");
    e = (struct flv_wire_error){
        .code = FLV_WIRE_OFFSET_EVICTED, .offset = 3, .next_available = 9};
    flv_wire_error_describe(&e, text, sizeof(text));
    assert_string_equal(text, "Offset 3 is evicted. The next available is 9");
    e = (struct flv_wire_error){.code = FLV_WIRE_SMARTMODULE_RUNTIME_ERROR,
                                .text = STR("no"),
                                .offset = 7,
                                .record_value = STR("a\nb")};
    flv_wire_error_describe(&e, text, sizeof(text));
    assert_string_equal(text,
                        "SmartModule runtime error at offset 7: no (value "
                        "'a.b')");
    e.record_key.has = true;
    e.record_key.v = STR("k");
    flv_wire_error_describe(&e, text, sizeof(text));
    assert_string_equal(text,
                        "SmartModule runtime error at offset 7: no (key 'k', "
                        "value 'a.b'");
    e = (struct flv_wire_error){.code = FLV_WIRE_SYSTEM_SPEC_DELETION_ATTEMPT,
                                .text = STR("topic"),
                                .text2 = STR("consumer-offset")};
    flv_wire_error_describe(&e, text, 20);
    assert_string_equal(text, "system topic 'consu");
}

static void old_clients_get_codes_that_they_know(void **state)
{
    struct flv_wire_error e = {.code = FLV_WIRE_PARTITION_FULL};

    (void)state;
    flv_wire_error_downgrade(&e, FLV_WIRE_SPU, 25);
    assert_int_equal(e.code, FLV_WIRE_PARTITION_FULL);
    flv_wire_error_downgrade(&e, FLV_WIRE_SPU, 23);
    assert_int_equal(e.code, FLV_WIRE_OTHER);
    assert_true(flv_slice_eq_str(e.text, "Partition full"));
    assert_true(flv_wire_code_known(FLV_WIRE_TOPIC_NOT_FOUND, FLV_WIRE_SC, 11));
    assert_false(flv_wire_code_known(FLV_WIRE_TOPIC_DELETED, FLV_WIRE_SC, 12));
    assert_true(flv_wire_code_known(FLV_WIRE_TOPIC_DELETED, FLV_WIRE_SPU, 23));
    assert_false(flv_wire_code_known(4711, FLV_WIRE_SC, 19));
}

static void received_codes_become_errors_of_their_class(void **state)
{
    static const struct {
        int16_t code;
        flv_rc rc;
    } table[] = {
        {FLV_WIRE_TOPIC_NOT_FOUND, FLV_E_NOT_FOUND},
        {FLV_WIRE_TOPIC_ALREADY_EXISTS, FLV_E_EXISTS},
        {FLV_WIRE_REQUEST_TIMED_OUT, FLV_E_TIMEOUT},
        {FLV_WIRE_PARTITION_NOT_LEADER, FLV_E_BUSY},
        {FLV_WIRE_MESSAGE_TOO_LARGE, FLV_E_LIMIT},
        {FLV_WIRE_TOPIC_INVALID_NAME, FLV_E_INVALID},
        {FLV_WIRE_PARTITION_FULL, FLV_E_NOSPACE},
        {FLV_WIRE_STORAGE_ERROR, FLV_E_IO},
        {FLV_WIRE_OTHER, FLV_E_REFUSED},
        {FLV_WIRE_UNKNOWN_SERVER_ERROR, FLV_E_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct flv_wire_error e = flv_wire_error(table[i].code);
        struct flv_err err = {0};

        assert_int_equal(flv_wire_error_raise(&e, &err), table[i].rc);
        assert_int_equal(err.wire, table[i].code);
        assert_true(strlen(err.text) > 5);
        assert_int_equal(flv_wire_error_raise(&e, NULL), table[i].rc);
    }
}

static void every_code_round_trips_with_its_payload(void **state)
{
    struct flv_arena arena;
    unsigned codes = 0;

    (void)state;
    flv_arena_init(&arena, 4096, 1 << 16);
    for (int code = -5; code < 13000; code++) {
        struct flv_wire_error e = {
            .code = (int16_t)code,
            .text = STR("one"),
            .text2 = STR("two"),
            .name = {true, STR("three")},
            .offset = 4,
            .next_available = 5,
            .timeout_ms = 6,
            .topic = STR("seven"),
            .partition = 8,
            .requested_bytes = 9,
            .max_bytes = 10,
            .record_key = {true, STR("key")},
            .record_value = STR("value"),
        };
        struct flv_wire_error back;
        struct flv_buf a, b;
        struct flv_slice in;
        flv_rc rc;

        flv_buf_init(&a, 256);
        flv_buf_init(&b, 256);
        rc = flv_wire_encode(&flv_wire_error_schema, 19, &e, &a, NULL, NULL);
        assert_int_equal(rc == FLV_OK,
                         flv_wire_code_name((int16_t)code) != NULL);
        if (rc == FLV_OK) {
            in = flv_buf_slice(&a);
            assert_int_equal(flv_wire_decode(&flv_wire_error_schema, 19, &in,
                                             &arena, &back, NULL),
                             FLV_OK);
            assert_int_equal(in.len, 0);
            assert_int_equal(back.code, code);
            assert_int_equal(flv_wire_encode(&flv_wire_error_schema, 19, &back,
                                             &b, NULL, NULL),
                             FLV_OK);
            assert_true(flv_slice_eq(flv_buf_slice(&a), flv_buf_slice(&b)));
            codes++;
        }
        flv_buf_deinit(&a);
        flv_buf_deinit(&b);
        flv_arena_reset(&arena);
    }
    assert_int_equal(codes, 64);
    flv_arena_deinit(&arena);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_advertise_what_they_serve),
        cmocka_unit_test(clients_without_a_version_get_an_older_stream_fetch),
        cmocka_unit_test(the_client_picks_the_newest_common_version),
        cmocka_unit_test(semantic_versions_are_told_from_others),
        cmocka_unit_test(labels_name_objects),
        cmocka_unit_test(the_words_of_codes_are_those_people_know),
        cmocka_unit_test(payloads_are_described),
        cmocka_unit_test(old_clients_get_codes_that_they_know),
        cmocka_unit_test(received_codes_become_errors_of_their_class),
        cmocka_unit_test(every_code_round_trips_with_its_payload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
