
#include <string.h>

#include "acks.h"
#include "cm.h"

static struct mqtt_acks acks;

static int make(void **state)
{
    struct flv_err err = {0};
    (void)state;
    return mqtt_acks_init(&acks, &err) == FLV_OK ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    mqtt_acks_deinit(&acks);
    return 0;
}

static struct mqtt_publish
message(uint16_t id, uint8_t qos, bool dup, const char *text)
{
    return (struct mqtt_publish){.id = id,
                                 .qos = qos,
                                 .dup = dup,
                                 .topic = flv_slice_str("t"),
                                 .payload = flv_slice_str(text)};
}

/* A message comes; it is delivered as `number` when it is new. */
static bool
comes(uint16_t id, uint8_t qos, bool dup, const char *text, uint64_t number)
{
    struct flv_err err = {0};
    bool is_new = false;
    const struct mqtt_publish m = message(id, qos, dup, text);
    if (mqtt_acks_publish(&acks, &m, &is_new, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    if (is_new) {
        mqtt_acks_take(&acks, &m, number);
    }
    return is_new;
}

static void sends(enum mqtt_type want, uint16_t want_id)
{
    enum mqtt_type type = 0;
    uint16_t id = 0;
    assert_true(mqtt_acks_next(&acks, &type, &id));
    assert_int_equal(type, want);
    assert_int_equal(id, want_id);
}

static void sends_nothing(void)
{
    enum mqtt_type type;
    uint16_t id;
    assert_false(mqtt_acks_next(&acks, &type, &id));
}

static void nothing_is_acknowledged_before_it_is_settled(void **state)
{
    (void)state;
    assert_true(comes(1, 1, false, "a", 1));
    assert_true(comes(2, 2, false, "b", 2));
    assert_true(comes(3, 1, false, "c", 3));
    sends_nothing();
    mqtt_acks_settled(&acks, 2);
    sends(MQTT_PUBACK, 1);
    sends(MQTT_PUBREC, 2);
    sends_nothing();
    mqtt_acks_settled(&acks, 3);
    sends(MQTT_PUBACK, 3);
    sends_nothing();
}

static void a_message_without_a_record_follows_the_one_before_it(void **state)
{
    (void)state;
    assert_true(comes(1, 1, false, "bad", 0));
    sends(MQTT_PUBACK, 1); /* nothing was before it */
    assert_true(comes(2, 1, false, "good", 1));
    assert_true(comes(3, 1, false, "bad", 1));
    sends_nothing();
    mqtt_acks_settled(&acks, 1);
    sends(MQTT_PUBACK, 2);
    sends(MQTT_PUBACK, 3);
}

static void the_same_message_on_a_later_connection_is_known_again(void **state)
{
    (void)state;
    assert_true(comes(1, 1, false, "a", 1));
    assert_true(comes(2, 2, false, "b", 2));
    mqtt_acks_disconnected(&acks);
    mqtt_acks_settled(&acks, 2);
    sends_nothing(); /* nothing is owed on a connection that is gone */
    assert_false(comes(1, 1, true, "a", 99));
    assert_false(comes(2, 2, true, "b", 99));
    sends(MQTT_PUBACK, 1);
    sends(MQTT_PUBREC, 2);
}

static void what_is_in_doubt_is_delivered(void **state)
{
    (void)state;
    /* Acknowledged: the broker may have given the number to another one. */
    assert_true(comes(1, 1, false, "a", 1));
    mqtt_acks_settled(&acks, 1);
    sends(MQTT_PUBACK, 1);
    mqtt_acks_disconnected(&acks);
    assert_true(comes(1, 1, true, "a", 2));
    mqtt_acks_disconnected(&acks);
    /* Other content, or not said to be the same. */
    assert_true(comes(1, 1, true, "b", 3));
    mqtt_acks_disconnected(&acks);
    assert_true(comes(1, 1, false, "b", 4));
    mqtt_acks_disconnected(&acks);
    assert_true(comes(1, 2, true, "b", 5));
    mqtt_acks_disconnected(&acks);
    /* The broker has lost the session: nothing comes again. */
    mqtt_acks_forget(&acks);
    assert_true(comes(1, 2, true, "b", 6));
}

static void a_received_message_of_qos_2_stays_until_it_is_released(void **state)
{
    struct flv_err err = {0};
    uint8_t code = 0;
    (void)state;
    assert_true(comes(7, 2, false, "a", 1));
    /* Released before it was received: the broker is wrong. */
    assert_int_equal(mqtt_acks_release(&acks, 7, &code, &err), FLV_E_PROTOCOL);
    mqtt_acks_settled(&acks, 1);
    sends(MQTT_PUBREC, 7);
    mqtt_acks_disconnected(&acks);
    assert_false(comes(7, 2, true, "a", 99)); /* PUBREC was lost */
    sends(MQTT_PUBREC, 7);
    assert_int_equal(mqtt_acks_release(&acks, 7, &code, &err), FLV_OK);
    assert_int_equal(code, 0);
    assert_int_equal(mqtt_acks_release(&acks, 7, &code, &err), FLV_OK);
    assert_int_equal(code, MQTT_REASON_PACKET_ID_NOT_FOUND);
    assert_true(comes(7, 2, true, "a", 2)); /* another one */
}

static void an_identifier_under_way_cannot_be_used_again(void **state)
{
    struct flv_err err = {0};
    bool is_new;
    (void)state;
    assert_true(comes(1, 1, false, "a", 1));
    const struct mqtt_publish again = message(1, 1, false, "b");
    assert_int_equal(mqtt_acks_publish(&acks, &again, &is_new, &err),
                     FLV_E_PROTOCOL);
    assert_non_null(strstr(err.text, "packet identifier 1"));
}

static void what_is_repeated_on_the_same_connection_is_answered_once(void **s)
{
    (void)s;
    assert_true(comes(1, 1, false, "a", 1));
    assert_true(comes(2, 2, false, "b", 2));
    assert_false(comes(1, 1, true, "a", 99));
    assert_false(comes(2, 2, true, "b", 99));
    sends_nothing();
    mqtt_acks_settled(&acks, 2);
    sends(MQTT_PUBACK, 1);
    sends(MQTT_PUBREC, 2);
    sends_nothing();
}

static void the_whole_window_goes_round(void **state)
{
    uint64_t number = 0;
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (uint32_t id = 1; id <= UINT16_MAX; id++) {
            assert_true(comes((uint16_t)id, 1, false, "x", ++number));
        }
        mqtt_acks_settled(&acks, number);
        for (uint32_t id = 1; id <= UINT16_MAX; id++) {
            sends(MQTT_PUBACK, (uint16_t)id);
        }
        sends_nothing();
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_acknowledged_before_it_is_settled),
        TEST(a_message_without_a_record_follows_the_one_before_it),
        TEST(the_same_message_on_a_later_connection_is_known_again),
        TEST(what_is_in_doubt_is_delivered),
        TEST(a_received_message_of_qos_2_stays_until_it_is_released),
        TEST(an_identifier_under_way_cannot_be_used_again),
        TEST(what_is_repeated_on_the_same_connection_is_answered_once),
        TEST(the_whole_window_goes_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
