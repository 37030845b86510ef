/* fuzz-libs: flv_connect_mqtt */
/*
 * What a broker sends, byte by byte as it likes: the reader takes whole
 * packets or refuses; it never reads beyond them, and what it took lies
 * inside the bytes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../../connectors/mqtt/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

static bool is_inside(struct flv_slice part, struct flv_slice whole)
{
    return part.len == 0 || (part.data >= whole.data &&
                             part.data + part.len <= whole.data + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    enum mqtt_version version = data[0] % 2 == 0 ? MQTT_311 : MQTT_5;
    struct flv_slice rest = flv_slice(data + 1, size - 1);
    for (;;) {
        struct mqtt_packet p;
        struct flv_err err = {0};
        if (mqtt_decode(rest, version, 4096, &p, &err) != FLV_OK) {
            demand(err.text[0] != '\0' && p.size == 0);
            return 0;
        }
        if (p.size == 0) {
            return 0;
        }
        demand(p.size >= 2 && p.size <= rest.len && p.size <= 4096);
        struct flv_slice packet = flv_slice(rest.data, p.size);
        demand(is_inside(p.publish.topic, packet));
        demand(is_inside(p.publish.payload, packet));
        demand(is_inside(p.codes, packet) && is_inside(p.reason, packet));
        demand(is_inside(p.connack.client_id, packet));
        demand(p.type != MQTT_PUBLISH ||
               (p.publish.qos <= 2 && p.publish.topic.len > 0 &&
                (p.publish.qos == 0) == (p.publish.id == 0)));
        rest = flv_slice(rest.data + p.size, rest.len - p.size);
    }
}
