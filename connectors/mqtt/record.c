#include "mqtt.h"

#include "base/text.h"

/* ",255" and the like: the longest form of one byte. */
#define NUMBER_MAX 4

static flv_rc add_numbers(struct flv_buf *b, struct flv_slice payload)
{
    flv_rc rc = flv_buf_add_str(b, "[");
    for (size_t i = 0; i < payload.len && rc == FLV_OK; i++) {
        char text[NUMBER_MAX];
        size_t n = 0;
        unsigned v = payload.data[i];
        if (i > 0) {
            text[n++] = ',';
        }
        if (v >= 100) {
            text[n++] = (char)('0' + v / 100);
        }
        if (v >= 10) {
            text[n++] = (char)('0' + v / 10 % 10);
        }
        text[n++] = (char)('0' + v % 10);
        rc = flv_buf_add(b, text, n);
    }
    return rc == FLV_OK ? flv_buf_add_str(b, "]") : rc;
}

flv_rc mqtt_record(struct flv_slice topic,
                   struct flv_slice payload,
                   enum mqtt_payload form,
                   struct flv_buf *out,
                   struct flv_err *err)
{
    if (form == MQTT_PAYLOAD_JSON && !flv_text_is_json(payload)) {
        return flv_fail(err, FLV_E_INVALID, "the payload is not JSON");
    }
    flv_rc rc = flv_buf_add_str(out, "{\"mqtt_topic\":");
    if (rc == FLV_OK) {
        rc = flv_text_json(out, topic);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(out, ",\"payload\":");
    }
    if (rc == FLV_OK) {
        rc = form == MQTT_PAYLOAD_JSON
                 ? flv_buf_add(out, payload.data, payload.len)
                 : add_numbers(out, payload);
    }
    if (rc == FLV_OK) {
        rc = flv_buf_add_str(out, "}");
    }
    return rc == FLV_OK ? FLV_OK
                        : flv_fail(err, rc,
                                   "the record of a message of %zu "
                                   "bytes: %s",
                                   payload.len, flv_rc_text(rc));
}
