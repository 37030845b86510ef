#include <stdio.h>

#include <string.h>

#include "cm.h"
#include "packet.h"

/* A packet written as hex, blanks allowed. */
struct bytes {
    uint8_t data[512];
    size_t len;
};

static struct bytes hex(const char *text)
{
    struct bytes b = {.len = 0};
    for (; *text != '\0'; text++) {
        if (*text == ' ') {
            continue;
        }
        unsigned v = 0;
        assert_int_equal(sscanf(text, "%2x", &v), 1);
        b.data[b.len++] = (uint8_t)v;
        text++;
    }
    return b;
}

static flv_rc read_hex(const char *text,
                       enum mqtt_version version,
                       struct mqtt_packet *out,
                       struct flv_err *err)
{
    static struct bytes b; /* the packet borrows from it */
    b = hex(text);
    return mqtt_decode(flv_slice(b.data, b.len), version, 1024, out, err);
}

static void
reads(const char *text, enum mqtt_version version, struct mqtt_packet *out)
{
    struct flv_err err = {0};
    if (read_hex(text, version, out, &err) != FLV_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    assert_true(out->size > 0);
}

static void refuses(const char *text, enum mqtt_version version)
{
    struct mqtt_packet p;
    struct flv_err err = {0};
    if (read_hex(text, version, &p, &err) != FLV_E_PROTOCOL) {
        fail_msg("%s was taken", text);
    }
    assert_true(err.text[0] != '\0');
}

static void a_message_keeps_topic_payload_and_flags(void **state)
{
    struct mqtt_packet p;
    (void)state;
    reads("3b 09 0003 612f62 0102 6869", MQTT_311, &p);
    assert_int_equal(p.type, MQTT_PUBLISH);
    assert_int_equal(p.size, 11);
    assert_true(p.publish.dup && p.publish.retain);
    assert_int_equal(p.publish.qos, 1);
    assert_int_equal(p.publish.id, 0x102);
    assert_memory_equal(p.publish.topic.data, "a/b", 3);
    assert_int_equal(p.publish.payload.len, 2);
    /* MQTT 5: properties in between, an empty payload. */
    reads("34 0f 0001 61 0007 09 01 01 02 00000005 0b 02", MQTT_5, &p);
    assert_int_equal(p.publish.qos, 2);
    assert_int_equal(p.publish.payload.len, 0);
    assert_int_equal(p.publish.id, 7);
}

static void an_answer_to_connect_says_what_the_broker_can(void **state)
{
    struct mqtt_packet p;
    (void)state;
    reads("20 02 01 00", MQTT_311, &p);
    assert_true(p.connack.session_present);
    assert_int_equal(p.connack.qos_max, 2);
    reads("20 12 00 00 0f 13 003c 24 01 28 00 12 0002 7879 21 0014", MQTT_5,
          &p);
    assert_false(p.connack.session_present);
    assert_true(p.connack.has_keep_alive);
    assert_int_equal(p.connack.keep_alive_s, 60);
    assert_int_equal(p.connack.qos_max, 1);
    assert_false(p.connack.wildcards);
    assert_memory_equal(p.connack.client_id.data, "xy", 2);
    /* A broker that knows only 3.1.1 refuses MQTT 5 in its own form. */
    reads("20 02 00 01", MQTT_5, &p);
    assert_int_equal(p.connack.code, 1);
    reads("20 0b 00 87 08 1f 0005 6e6f206e6f", MQTT_5, &p);
    assert_memory_equal(p.reason.data, "no no", 5);
}

static void the_rest_of_what_a_broker_says_is_read(void **state)
{
    struct mqtt_packet p;
    (void)state;
    reads("90 04 0001 0080", MQTT_311, &p);
    assert_int_equal(p.id, 1);
    assert_int_equal(p.codes.len, 2);
    reads("62 02 0009", MQTT_311, &p);
    assert_int_equal(p.id, 9);
    reads("62 04 0009 92 00", MQTT_5, &p);
    assert_int_equal(p.code, 0x92);
    reads("d0 00", MQTT_311, &p);
    reads("e0 00", MQTT_5, &p);
    reads("e0 01 8e", MQTT_5, &p);
    assert_int_equal(p.code, 0x8e);
}

static void a_packet_that_is_not_whole_asks_for_more(void **state)
{
    const struct bytes b = hex("32 09 0003 612f62 0102 6869");
    struct mqtt_packet p;
    struct flv_err err = {0};
    (void)state;
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(
            mqtt_decode(flv_slice(b.data, n), MQTT_311, 1024, &p, &err),
            FLV_OK);
        assert_int_equal(p.size, 0);
    }
}

static void what_the_standard_forbids_is_refused(void **state)
{
    (void)state;
    refuses("36 05 0001 61 0001", MQTT_311);     /* QoS 3 */
    refuses("38 03 0001 61", MQTT_311);          /* DUP at QoS 0 */
    refuses("32 05 0001 61 0000", MQTT_311);     /* identifier 0 */
    refuses("30 02 0000", MQTT_311);             /* empty topic */
    refuses("30 04 0002 6123", MQTT_311);        /* wildcard in a topic */
    refuses("30 04 0002 6100", MQTT_311);        /* U+0000 */
    refuses("30 04 0002 c328", MQTT_311);        /* no UTF-8 */
    refuses("30 03 0009 61", MQTT_311);          /* longer than it is */
    refuses("20 02 02 00", MQTT_311);            /* reserved flags */
    refuses("20 02 01 05", MQTT_311);            /* refused, with a session */
    refuses("20 03 00 00 00", MQTT_311);         /* more bytes than fields */
    refuses("20 05 00 00 02 24 02", MQTT_5);     /* maximum QoS 2 */
    refuses("20 07 00 00 04 2400 2400", MQTT_5); /* twice */
    refuses("20 05 00 00 02 01 00", MQTT_5);     /* belongs to a message */
    refuses("30 07 0001 61 03 230001", MQTT_5);  /* topic alias: none allowed */
    refuses("30 05 0001 61 01 0b", MQTT_5);      /* cut property */
    refuses("60 02 0001", MQTT_311);             /* PUBREL without its flag */
    refuses("62 02 0000", MQTT_311);
    refuses("90 02 0001", MQTT_311); /* no code */
    refuses("e0 00", MQTT_311);      /* no broker says goodbye */
    refuses("10 00", MQTT_311);      /* CONNECT from a broker */
    refuses("40 02 0001", MQTT_311); /* we publish nothing */
    refuses("d1 00", MQTT_311);
    refuses("30 80 80 80 80 01", MQTT_311); /* five bytes of length */
    refuses("d0 80 00", MQTT_311);          /* not the shortest form */
}

static void a_packet_beyond_the_limit_is_refused_at_its_head(void **state)
{
    const struct bytes b = hex("30 ff ff ff 7f");
    struct mqtt_packet p;
    struct flv_err err = {0};
    (void)state;
    assert_int_equal(
        mqtt_decode(flv_slice(b.data, b.len), MQTT_311, 1024, &p, &err),
        FLV_E_LIMIT);
    assert_non_null(strstr(err.text, "1024"));
}

static void writes(struct flv_buf *b, const char *want)
{
    const struct bytes w = hex(want);
    assert_int_equal(b->len, w.len);
    assert_memory_equal(b->data, w.data, w.len);
    flv_buf_reset(b);
}

static void written_packets_have_the_bytes_of_the_standard(void **state)
{
    struct flv_buf b;
    const char *const filters[] = {"a/#", "b"};
    (void)state;
    flv_buf_init(&b, 4096);
    struct mqtt_connect c = {.version = MQTT_311,
                             .client_id = "me",
                             .user = "u",
                             .password = flv_slice_str("pw"),
                             .has_password = true,
                             .keep_alive_s = 60,
                             .receive_max = 1000,
                             .packet_max = 65536};
    assert_int_equal(mqtt_put_connect(&b, &c), FLV_OK);
    writes(&b, "10 15 0004 4d515454 04 c0 003c 0002 6d65 0001 75 0002 7077");
    c = (struct mqtt_connect){.version = MQTT_5,
                              .client_id = "",
                              .clean = true,
                              .session_expiry_s = 1,
                              .receive_max = 1000,
                              .packet_max = 65536};
    assert_int_equal(mqtt_put_connect(&b, &c), FLV_OK);
    writes(&b, "10 1a 0004 4d515454 05 02 0000 0d 11 00000001 21 03e8 "
               "27 00010000 0000");
    assert_int_equal(mqtt_put_subscribe(&b, MQTT_311, 1, filters, 2, 1),
                     FLV_OK);
    writes(&b, "82 0c 0001 0003 612f23 01 0001 62 01");
    assert_int_equal(mqtt_put_subscribe(&b, MQTT_5, 1, filters, 1, 2), FLV_OK);
    writes(&b, "82 09 0001 00 0003 612f23 12");
    assert_int_equal(mqtt_put_ack(&b, MQTT_PUBACK, MQTT_311, 258, 0), FLV_OK);
    writes(&b, "40 02 0102");
    assert_int_equal(mqtt_put_ack(&b, MQTT_PUBREC, MQTT_5, 1, 0), FLV_OK);
    writes(&b, "50 02 0001");
    assert_int_equal(mqtt_put_ack(&b, MQTT_PUBCOMP, MQTT_5, 1,
                                  MQTT_REASON_PACKET_ID_NOT_FOUND),
                     FLV_OK);
    writes(&b, "70 03 0001 92");
    assert_int_equal(mqtt_put_ping(&b), FLV_OK);
    writes(&b, "c0 00");
    assert_int_equal(mqtt_put_disconnect(&b), FLV_OK);
    writes(&b, "e0 00");
    flv_buf_deinit(&b);
}

static void what_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    struct flv_buf b;
    (void)state;
    flv_buf_init(&b, 5);
    assert_int_equal(mqtt_put_ack(&b, MQTT_PUBACK, MQTT_311, 1, 0), FLV_OK);
    assert_int_equal(mqtt_put_ack(&b, MQTT_PUBACK, MQTT_311, 2, 0),
                     FLV_E_LIMIT);
    assert_int_equal(b.len, 4);
    flv_buf_deinit(&b);
}

static void codes_have_words_whoever_answers(void **state)
{
    (void)state;
    assert_string_equal(mqtt_code_text(MQTT_311, MQTT_CONNACK, 5),
                        "not authorized");
    assert_string_equal(mqtt_code_text(MQTT_5, MQTT_CONNACK, 0x87),
                        "not authorized");
    assert_string_equal(mqtt_code_text(MQTT_5, MQTT_CONNACK, 1),
                        "unacceptable protocol version");
    assert_string_equal(mqtt_code_text(MQTT_5, MQTT_CONNACK, 6),
                        "unknown code");
    assert_string_equal(mqtt_code_text(MQTT_311, MQTT_SUBACK, 0x80), "refused");
}

static void filters_have_wildcards_in_their_places(void **state)
{
    const char *const good[] = {"a",   "/",     "#",     "+",
                                "a/#", "+/b/+", "/a//b", "$SYS/#"};
    const char *const bad[] = {"", "a#", "#/a", "a/#/b", "a+", "+a/b", "a/b+"};
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(mqtt_filter_ok(good[i]));
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(mqtt_filter_ok(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_keeps_topic_payload_and_flags),
        cmocka_unit_test(an_answer_to_connect_says_what_the_broker_can),
        cmocka_unit_test(the_rest_of_what_a_broker_says_is_read),
        cmocka_unit_test(a_packet_that_is_not_whole_asks_for_more),
        cmocka_unit_test(what_the_standard_forbids_is_refused),
        cmocka_unit_test(a_packet_beyond_the_limit_is_refused_at_its_head),
        cmocka_unit_test(written_packets_have_the_bytes_of_the_standard),
        cmocka_unit_test(what_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(codes_have_words_whoever_answers),
        cmocka_unit_test(filters_have_wildcards_in_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
