#include <stdio.h>
#include <string.h>

#include "cm.h"
#include "options.h"

static void brokers_are_written_in_every_usual_way(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        bool tls;
    } good[] = {
        {"mqtt.hsl.fi", "mqtt.hsl.fi", 1883, false},
        {"localhost:18830", "localhost", 18830, false},
        {"mqtt://h", "h", 1883, false},
        {"MQTT://h:7/", "h", 7, false},
        {"tcp://h", "h", 1883, false},
        {"mqtts://h", "h", 8883, true},
        {"ssl://[::1]:99", "::1", 99, true},
        {"mqtt://u:p@h?client_id=c", "h", 1883, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct mqtt_url url;
        struct flv_err err = {0};
        if (mqtt_url_read(good[i].text, &url, &err) != FLV_OK) {
            fail_msg("%s: %s", good[i].text, err.text);
        }
        assert_string_equal(url.host, good[i].host);
        assert_int_equal(url.port, good[i].port);
        assert_int_equal(url.tls, good[i].tls);
    }
}

static void an_address_may_carry_user_password_and_name(void **state)
{
    struct mqtt_url url;
    struct flv_err err = {0};
    (void)state;
    assert_int_equal(
        mqtt_url_read("mqtts://me%40x:p%3Aq@h:1?client_id=a%20b", &url, &err),
        FLV_OK);
    assert_string_equal(url.user, "me@x");
    assert_string_equal(url.password, "p:q");
    assert_string_equal(url.client_id, "a b");
    assert_int_equal(mqtt_url_read("mqtt://me@h", &url, &err), FLV_OK);
    assert_true(url.has_user && !url.has_password);
}

static void bad_addresses_are_refused_without_their_password(void **state)
{
    static const char *const bad[] = {
        "",
        "http://h",
        "mqtt://",
        "h:0",
        "h:70000",
        "h:x",
        "mqtt://h/path",
        "mqtt://secret%zz@h",
        "h?a=b",
        "h?client_id=",
        "mqtt://u:secret@",
        "mqtt://u:secret@h:x",
        "mqtt://u:secret@h/x",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct mqtt_url url;
        struct flv_err err = {0};
        if (mqtt_url_read(bad[i], &url, &err) != FLV_E_USAGE) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        assert_non_null(strstr(err.text, "mqtt-url"));
        assert_null(strstr(err.text, "secret"));
    }
}

static void check_record(const char *payload,
                         size_t len,
                         enum mqtt_payload form,
                         const char *want)
{
    struct flv_buf b;
    struct flv_err err = {0};
    flv_buf_init(&b, 4096);
    assert_int_equal(mqtt_record(flv_slice_str("a/\"b"),
                                 flv_slice(payload, len), form, &b, &err),
                     FLV_OK);
    assert_int_equal(b.len, strlen(want));
    assert_memory_equal(b.data, want, b.len);
    flv_buf_deinit(&b);
}

static void records_have_the_shape_that_users_know(void **state)
{
    (void)state;
    check_record(
        "\0\x09\x0a\x63\x64\xff", 6, MQTT_PAYLOAD_BINARY,
        "{\"mqtt_topic\":\"a/\\\"b\",\"payload\":[0,9,10,99,100,255]}");
    check_record("", 0, MQTT_PAYLOAD_BINARY,
                 "{\"mqtt_topic\":\"a/\\\"b\",\"payload\":[]}");
    /* Verbatim: numbers that no parser of ours could hold. */
    check_record("{\"n\": 123456789012345678901234567890.10}", 40,
                 MQTT_PAYLOAD_JSON,
                 "{\"mqtt_topic\":\"a/\\\"b\",\"payload\":{\"n\": "
                 "123456789012345678901234567890.10}}");
}

static void a_payload_that_is_no_json_is_no_record(void **state)
{
    struct flv_buf b;
    struct flv_err err = {0};
    (void)state;
    flv_buf_init(&b, 4096);
    assert_int_equal(mqtt_record(flv_slice_str("t"), flv_slice_str("{\"a\":}"),
                                 MQTT_PAYLOAD_JSON, &b, &err),
                     FLV_E_INVALID);
    assert_int_equal(b.len, 0);
    flv_buf_init(&b, 20);
    assert_int_equal(mqtt_record(flv_slice_str("t"), flv_slice_str("12345678"),
                                 MQTT_PAYLOAD_BINARY, &b, &err),
                     FLV_E_LIMIT);
    flv_buf_deinit(&b);
}

struct setup {
    struct flv_opts opts;
    struct mqtt_conf conf;
};

/* "name=value" pairs, ends with NULL; the outcome of the check. */
static flv_rc
configure(struct setup *s, const char *const *pairs, struct flv_err *err)
{
    *s = (struct setup){0};
    flv_opts_init(&s->opts, mqtt_opts, &s->conf);
    for (; *pairs != NULL; pairs++) {
        char name[64];
        const char *eq = strchr(*pairs, '=');
        (void)snprintf(name, sizeof(name), "%.*s", (int)(eq - *pairs), *pairs);
        flv_rc rc = flv_opts_set(&s->opts, name, eq + 1, FLV_SOURCE_USER, err);
        if (rc != FLV_OK) {
            return rc;
        }
    }
    flv_rc rc = flv_opts_finish(&s->opts, err);
    return rc == FLV_OK ? mqtt_check(&s->conf, err) : rc;
}

static void a_kept_session_has_a_name_that_stays(void **state)
{
    const char *const pairs[] = {"mqtt-url=h", "mqtt-topic=a/#", NULL};
    const char *const other[] = {"mqtt-url=h", "mqtt-topic=b/#", NULL};
    const char *const once[] = {"mqtt-url=h", "mqtt-topic=a", "qos=0", NULL};
    char a[MQTT_CLIENT_ID_MAX], b[MQTT_CLIENT_ID_MAX];
    struct mqtt_url where = {.port = 1883};
    struct flv_err err = {0};
    struct setup s;
    (void)state;
    assert_int_equal(configure(&s, pairs, &err), FLV_OK);
    assert_false(mqtt_is_clean(&s.conf));
    mqtt_client_id(&s.conf, &where, "sensors", "topic", a);
    mqtt_client_id(&s.conf, &where, "sensors", "topic", b);
    assert_string_equal(a, b);
    assert_non_null(strstr(a, "fluvio-sensors-topic-"));
    flv_opts_deinit(&s.opts);
    /* Another subscription is another session. */
    assert_int_equal(configure(&s, other, &err), FLV_OK);
    mqtt_client_id(&s.conf, &where, "sensors", "topic", b);
    assert_string_not_equal(a, b);
    (void)snprintf(where.client_id, sizeof(where.client_id), "mine");
    mqtt_client_id(&s.conf, &where, "sensors", "topic", b);
    assert_string_equal(b, "mine");
    flv_opts_deinit(&s.opts);
    /* A clean one has no name worth keeping. */
    where.client_id[0] = '\0';
    assert_int_equal(configure(&s, once, &err), FLV_OK);
    assert_true(mqtt_is_clean(&s.conf));
    mqtt_client_id(&s.conf, &where, "sensors", "topic", a);
    mqtt_client_id(&s.conf, &where, "sensors", "topic", b);
    assert_string_not_equal(a, b);
    flv_opts_deinit(&s.opts);
}

static void settings_that_cannot_be_are_refused(void **state)
{
    static const char *const bad[][5] = {
        {"mqtt-url=h", NULL},
        {"mqtt-topic=a", NULL},
        {"mqtt-url=h", "mqtt-topic=a#", NULL},
        {"mqtt-url=h", "mqtt-topic=a", "qos=3", NULL},
        {"mqtt-url=h", "mqtt-topic=a", "receive-max=0", NULL},
        {"mqtt-url=h", "mqtt-topic=a", "timeout=0", NULL},
        {"mqtt-url=h", "mqtt-topic=a", "password=p", NULL},
        {"mqtt-url=h", "mqtt-topic=a", "ca-file=/x", NULL},
        {"mqtt-url=mqtts://h", "mqtt-topic=a", "cert-file=/x", NULL},
        {"mqtt-url=ftp://h", "mqtt-topic=a", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct setup s;
        struct flv_err err = {0};
        if (configure(&s, bad[i], &err) != FLV_E_USAGE) {
            fail_msg("case %zu was taken: %s", i, err.text);
        }
        flv_opts_deinit(&s.opts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brokers_are_written_in_every_usual_way),
        cmocka_unit_test(an_address_may_carry_user_password_and_name),
        cmocka_unit_test(bad_addresses_are_refused_without_their_password),
        cmocka_unit_test(records_have_the_shape_that_users_know),
        cmocka_unit_test(a_payload_that_is_no_json_is_no_record),
        cmocka_unit_test(a_kept_session_has_a_name_that_stays),
        cmocka_unit_test(settings_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
