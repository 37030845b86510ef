#include "acks.h"

#include <assert.h>

#include "base/hash.h"
#include "base/mem.h"

/* Packet identifiers, and places in the ring: one of them never has two. */
#define SLOTS 65536

enum state {
    FREE,
    WAITING,  /* delivered, not acknowledged */
    RECEIVED, /* QoS 2: PUBREC was sent, PUBREL did not come */
};

struct mqtt_slot {
    uint64_t number;
    uint64_t content; /* hash of topic and payload */
    uint8_t state;    /* enum state */
    uint8_t qos;
    bool owed; /* in the ring */
};

struct mqtt_owed {
    uint64_t number;
    uint16_t id;
    uint8_t qos;
};

flv_rc mqtt_acks_init(struct mqtt_acks *a, struct flv_err *err)
{
    *a = (struct mqtt_acks){.slots = NULL};
    a->slots = flv_zalloc(SLOTS, sizeof(*a->slots));
    a->ring = flv_zalloc(SLOTS, sizeof(*a->ring));
    if (a->slots == NULL || a->ring == NULL) {
        mqtt_acks_deinit(a);
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    return FLV_OK;
}

void mqtt_acks_deinit(struct mqtt_acks *a)
{
    flv_free(a->slots);
    flv_free(a->ring);
    a->slots = NULL;
    a->ring = NULL;
}

static uint64_t content_of(const struct mqtt_publish *m)
{
    struct flv_siphash h;
    flv_siphash_init(&h, 0, 0);
    flv_siphash_add(&h, m->topic.data, m->topic.len);
    flv_siphash_add(&h, "", 1); /* no topic has this byte */
    flv_siphash_add(&h, m->payload.data, m->payload.len);
    return flv_siphash_end(&h);
}

static void owe(struct mqtt_acks *a, uint16_t id)
{
    struct mqtt_slot *slot = &a->slots[id];
    assert(a->owed < SLOTS && !slot->owed);
    a->ring[(a->head + a->owed) % SLOTS] =
        (struct mqtt_owed){.number = slot->number, .id = id, .qos = slot->qos};
    a->owed++;
    slot->owed = true;
}

flv_rc mqtt_acks_publish(struct mqtt_acks *a,
                         const struct mqtt_publish *m,
                         bool *out_new,
                         struct flv_err *err)
{
    assert(m->qos > 0 && m->id != 0);
    const struct mqtt_slot *slot = &a->slots[m->id];
    bool again = m->dup && slot->state != FREE && slot->qos == m->qos &&
                 slot->content == content_of(m);
    *out_new = !again;
    if (slot->owed && !again) {
        return flv_fail(err, FLV_E_PROTOCOL,
                        "the broker uses packet identifier %u again before "
                        "it was acknowledged",
                        m->id);
    }
    /* MQTT 3.1.1 lets a broker repeat what waits long for its answer on the
     * same connection: one answer does for both. */
    if (again && !slot->owed) {
        owe(a, m->id);
    }
    return FLV_OK;
}

void mqtt_acks_take(struct mqtt_acks *a,
                    const struct mqtt_publish *m,
                    uint64_t number)
{
    struct mqtt_slot *slot = &a->slots[m->id];
    assert(!slot->owed);
    *slot = (struct mqtt_slot){.number = number,
                               .content = content_of(m),
                               .state = WAITING,
                               .qos = m->qos};
    owe(a, m->id);
}

void mqtt_acks_settled(struct mqtt_acks *a, uint64_t upto)
{
    assert(upto >= a->settled);
    a->settled = upto;
}

bool mqtt_acks_next(struct mqtt_acks *a, enum mqtt_type *out, uint16_t *out_id)
{
    if (a->owed == 0 || a->ring[a->head].number > a->settled) {
        return false;
    }
    const struct mqtt_owed *first = &a->ring[a->head];
    struct mqtt_slot *slot = &a->slots[first->id];
    slot->owed = false;
    slot->state = first->qos == 2 ? RECEIVED : FREE;
    *out = first->qos == 2 ? MQTT_PUBREC : MQTT_PUBACK;
    *out_id = first->id;
    a->head = (a->head + 1) % SLOTS;
    a->owed--;
    return true;
}

flv_rc mqtt_acks_release(struct mqtt_acks *a,
                         uint16_t id,
                         uint8_t *out_code,
                         struct flv_err *err)
{
    struct mqtt_slot *slot = &a->slots[id];
    if (slot->owed || slot->state == WAITING) {
        return flv_fail(err, FLV_E_PROTOCOL,
                        "the broker released packet identifier %u before it "
                        "was acknowledged",
                        id);
    }
    *out_code = slot->state == RECEIVED ? 0 : MQTT_REASON_PACKET_ID_NOT_FOUND;
    slot->state = FREE;
    return FLV_OK;
}

void mqtt_acks_disconnected(struct mqtt_acks *a)
{
    while (a->owed > 0) {
        a->slots[a->ring[a->head].id].owed = false;
        a->head = (a->head + 1) % SLOTS;
        a->owed--;
    }
}

void mqtt_acks_forget(struct mqtt_acks *a)
{
    assert(a->owed == 0);
    for (size_t i = 0; i < SLOTS; i++) {
        a->slots[i].state = FREE;
    }
}
