#include "packet.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

/* --- reading -------------------------------------------------------------- */

struct cursor {
    struct flv_slice rest;
    struct flv_err *err;
    bool failed; /* the first failure stays */
};

static void broken(struct cursor *c, const char *what)
{
    if (!c->failed) {
        c->failed = true;
        (void)flv_fail(c->err, FLV_E_PROTOCOL, "malformed MQTT packet: %s",
                       what);
    }
    c->rest.len = 0;
}

static struct flv_slice take(struct cursor *c, size_t n, const char *what)
{
    if (n > c->rest.len) {
        broken(c, what);
        return flv_slice(NULL, 0);
    }
    struct flv_slice out = flv_slice(c->rest.data, n);
    c->rest = flv_slice(c->rest.data + n, c->rest.len - n);
    return out;
}

static uint8_t take_u8(struct cursor *c, const char *what)
{
    struct flv_slice s = take(c, 1, what);
    return s.len == 1 ? s.data[0] : 0;
}

static uint16_t take_u16(struct cursor *c, const char *what)
{
    struct flv_slice s = take(c, 2, what);
    return s.len == 2 ? flv_get_u16(s.data) : 0;
}

static struct flv_slice take_bytes(struct cursor *c, const char *what)
{
    return take(c, take_u16(c, what), what);
}

/* Well-formed UTF-8 without U+0000 [MQTT-1.5.3-1, -2]. */
static struct flv_slice take_text(struct cursor *c, const char *what)
{
    struct flv_slice s = take_bytes(c, what);
    if (s.len > 0 &&
        (!flv_text_is_utf8(s) || memchr(s.data, 0, s.len) != NULL)) {
        broken(c, what);
        s.len = 0;
    }
    return s;
}

/* A length of one to four bytes; false: not whole yet. */
static bool
read_length(struct flv_slice bytes, uint32_t *out, size_t *used, bool *bad)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        if (i >= bytes.len) {
            return false;
        }
        value |= (uint32_t)(bytes.data[i] & 0x7f) << (7 * i);
        if ((bytes.data[i] & 0x80) == 0) {
            *out = value;
            *used = i + 1;
            /* The shortest form is the only one. */
            *bad = i > 0 && bytes.data[i] == 0;
            return true;
        }
    }
    *bad = true;
    return true;
}

static uint32_t take_length(struct cursor *c, const char *what)
{
    uint32_t value = 0;
    size_t used = 0;
    bool bad = false;
    if (!read_length(c->rest, &value, &used, &bad) || bad) {
        broken(c, what);
        return 0;
    }
    (void)take(c, used, what);
    return value;
}

/* --- properties (MQTT 5, section 2.2.2) ----------------------------------- */

enum kind { BYTE, U16, U32, VARINT, TEXT, BINARY, PAIR };

struct property {
    uint8_t id;
    uint8_t kind;
    uint16_t packets; /* bit per type: where it may stand */
};

#define IN(type) (1u << (type))
static const struct property known[] = {
    {1, BYTE, IN(MQTT_PUBLISH)},    /* payload format */
    {2, U32, IN(MQTT_PUBLISH)},     /* message expiry */
    {3, TEXT, IN(MQTT_PUBLISH)},    /* content type */
    {8, TEXT, IN(MQTT_PUBLISH)},    /* response topic */
    {9, BINARY, IN(MQTT_PUBLISH)},  /* correlation data */
    {11, VARINT, IN(MQTT_PUBLISH)}, /* subscription identifier */
    {17, U32, IN(MQTT_CONNACK) | IN(MQTT_DISCONNECT)}, /* session expiry */
    {18, TEXT, IN(MQTT_CONNACK)},                      /* assigned client id */
    {19, U16, IN(MQTT_CONNACK)},                       /* server keep alive */
    {21, TEXT, IN(MQTT_CONNACK) | IN(MQTT_AUTH)},      /* authentication */
    {22, BINARY, IN(MQTT_CONNACK) | IN(MQTT_AUTH)},    /* its data */
    {26, TEXT, IN(MQTT_CONNACK)}, /* response information */
    {28, TEXT, IN(MQTT_CONNACK) | IN(MQTT_DISCONNECT)}, /* server reference */
    {31, TEXT,
     IN(MQTT_CONNACK) | IN(MQTT_PUBREL) | IN(MQTT_SUBACK) |
         IN(MQTT_DISCONNECT) | IN(MQTT_AUTH)}, /* reason */
    {33, U16, IN(MQTT_CONNACK)},               /* receive maximum */
    {34, U16, IN(MQTT_CONNACK)},               /* topic alias maximum */
    {35, U16, IN(MQTT_PUBLISH)},               /* topic alias */
    {36, BYTE, IN(MQTT_CONNACK)},              /* maximum quality of service */
    {37, BYTE, IN(MQTT_CONNACK)},              /* retain available */
    {38, PAIR,
     IN(MQTT_CONNACK) | IN(MQTT_PUBLISH) | IN(MQTT_PUBREL) | IN(MQTT_SUBACK) |
         IN(MQTT_DISCONNECT) | IN(MQTT_AUTH)}, /* user property */
    {39, U32, IN(MQTT_CONNACK)},               /* maximum packet size */
    {40, BYTE, IN(MQTT_CONNACK)},              /* wildcards available */
    {41, BYTE, IN(MQTT_CONNACK)},              /* subscription ids available */
    {42, BYTE, IN(MQTT_CONNACK)},              /* shared ones available */
};

static const struct property *property_of(uint32_t id, enum mqtt_type type)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].id == id && (known[i].packets & IN(type)) != 0) {
            return &known[i];
        }
    }
    return NULL;
}

/* Those that change what we do. */
static void apply_number(struct cursor *c,
                         struct mqtt_packet *p,
                         uint8_t id,
                         uint32_t value)
{
    switch (id) {
    case 19:
        p->connack.has_keep_alive = true;
        p->connack.keep_alive_s = (uint16_t)value;
        break;
    case 36:
        if (value > 1) {
            broken(c, "maximum quality of service");
        }
        p->connack.qos_max = (uint8_t)value;
        break;
    case 40:
        p->connack.wildcards = value != 0;
        break;
    case 35:
        /* We allow none: topic alias maximum is 0 [MQTT-3.1.2-27]. */
        broken(c, "topic alias, which was not allowed");
        break;
    default:
        break;
    }
}

static void apply_text(struct mqtt_packet *p, uint8_t id, struct flv_slice text)
{
    if (id == 18) {
        p->connack.client_id = text;
    } else if (id == 31) {
        p->reason = text;
    }
}

/* All but two stand once; `seen` has a bit for each that did. */
static const struct property *
next_property(struct cursor *c, const struct mqtt_packet *p, uint64_t *seen)
{
    const struct property *prop =
        property_of(take_length(c, "property"), p->type);
    if (prop == NULL) {
        broken(c, "property that does not belong there");
        return NULL;
    }
    uint64_t bit = UINT64_C(1) << prop->id;
    if ((*seen & bit) != 0 && prop->kind != PAIR && prop->kind != VARINT) {
        broken(c, "property that stands twice");
        return NULL;
    }
    *seen |= bit;
    return prop;
}

static void
take_property(struct cursor *c, struct mqtt_packet *p, uint64_t *seen)
{
    const struct property *prop = next_property(c, p, seen);
    if (prop == NULL) {
        return;
    }
    switch (prop->kind) {
    case BYTE:
        apply_number(c, p, prop->id, take_u8(c, "property"));
        break;
    case U16:
        apply_number(c, p, prop->id, take_u16(c, "property"));
        break;
    case U32:
        (void)take(c, 4, "property");
        break;
    case VARINT:
        if (take_length(c, "subscription identifier") == 0) {
            broken(c, "subscription identifier");
        }
        break;
    case BINARY:
        (void)take_bytes(c, "property");
        break;
    case PAIR:
        (void)take_text(c, "user property");
        (void)take_text(c, "user property");
        break;
    default:
        apply_text(p, prop->id, take_text(c, "property"));
        break;
    }
}

static void take_properties(struct cursor *c, struct mqtt_packet *p)
{
    size_t len = take_length(c, "properties");
    struct cursor props = {.rest = take(c, len, "properties"), .err = c->err};
    if (c->failed) {
        return;
    }
    uint64_t seen = 0;
    while (props.rest.len > 0) {
        take_property(&props, p, &seen);
    }
    if (props.failed) {
        c->failed = true;
        c->rest.len = 0;
    }
}

/* --- packets ---------------------------------------------------------------
 */

static void
read_connack(struct cursor *c, enum mqtt_version version, struct mqtt_packet *p)
{
    uint8_t flags = take_u8(c, "CONNACK");
    if ((flags & 0xfe) != 0) {
        broken(c, "flags of CONNACK");
    }
    p->connack.session_present = (flags & 1) != 0;
    p->connack.code = take_u8(c, "CONNACK");
    p->connack.qos_max = 2;
    p->connack.wildcards = true;
    /* A broker that knows no MQTT 5 refuses it in the form of 3.1.1. */
    if (version == MQTT_5 && (c->rest.len > 0 || p->connack.code == 0)) {
        take_properties(c, p);
    }
    if (p->connack.code != 0 && p->connack.session_present) {
        broken(c, "refused, with a session"); /* [MQTT-3.2.2-4] */
    }
}

static void read_publish(struct cursor *c,
                         enum mqtt_version version,
                         uint8_t flags,
                         struct mqtt_packet *p)
{
    struct mqtt_publish *m = &p->publish;
    m->dup = (flags & 8) != 0;
    m->qos = (flags >> 1) & 3;
    m->retain = (flags & 1) != 0;
    if (m->qos == 3 || (m->qos == 0 && m->dup)) {
        broken(c, "quality of service");
    }
    m->topic = take_text(c, "topic");
    if (m->topic.len == 0 || memchr(m->topic.data, '#', m->topic.len) != NULL ||
        memchr(m->topic.data, '+', m->topic.len) != NULL) {
        broken(c, "topic"); /* [MQTT-3.3.2-2], [MQTT-4.7.3-1] */
    }
    if (m->qos > 0) {
        m->id = take_u16(c, "packet identifier");
        if (m->id == 0) {
            broken(c, "packet identifier");
        }
    }
    if (version == MQTT_5) {
        take_properties(c, p);
    }
    m->payload = c->rest;
    c->rest.len = 0;
}

static void
read_pubrel(struct cursor *c, enum mqtt_version version, struct mqtt_packet *p)
{
    p->id = take_u16(c, "packet identifier");
    if (p->id == 0) {
        broken(c, "packet identifier");
    }
    if (version == MQTT_5 && c->rest.len > 0) {
        p->code = take_u8(c, "reason");
        if (c->rest.len > 0) {
            take_properties(c, p);
        }
    }
}

static void
read_suback(struct cursor *c, enum mqtt_version version, struct mqtt_packet *p)
{
    p->id = take_u16(c, "packet identifier");
    if (version == MQTT_5) {
        take_properties(c, p);
    }
    if (p->id == 0 || c->rest.len == 0) {
        broken(c, "SUBACK");
    }
    p->codes = c->rest;
    c->rest.len = 0;
}

static void read_disconnect(struct cursor *c,
                            enum mqtt_version version,
                            struct mqtt_packet *p)
{
    if (version != MQTT_5) {
        broken(c, "DISCONNECT from a broker");
        return;
    }
    if (c->rest.len > 0) {
        p->code = take_u8(c, "reason");
        if (c->rest.len > 0) {
            take_properties(c, p);
        }
    }
}

static void read_body(struct cursor *c,
                      enum mqtt_version version,
                      uint8_t flags,
                      struct mqtt_packet *p)
{
    uint8_t want = p->type == MQTT_PUBREL ? 2 : 0;
    if (p->type != MQTT_PUBLISH && flags != want) {
        broken(c, "reserved flags");
        return;
    }
    switch (p->type) {
    case MQTT_CONNACK:
        read_connack(c, version, p);
        break;
    case MQTT_PUBLISH:
        read_publish(c, version, flags, p);
        break;
    case MQTT_PUBREL:
        read_pubrel(c, version, p);
        break;
    case MQTT_SUBACK:
        read_suback(c, version, p);
        break;
    case MQTT_PINGRESP:
        break;
    case MQTT_DISCONNECT:
        read_disconnect(c, version, p);
        break;
    default:
        broken(c, "a type that no broker sends to a subscriber");
        break;
    }
    if (c->rest.len > 0) {
        broken(c, "more bytes than fields");
    }
}

flv_rc mqtt_decode(struct flv_slice bytes,
                   enum mqtt_version version,
                   size_t size_max,
                   struct mqtt_packet *out,
                   struct flv_err *err)
{
    struct mqtt_packet p = {0};
    uint32_t length = 0;
    size_t used = 0;
    bool bad = false;
    *out = p;
    if (bytes.len < 2 || !read_length(flv_slice(bytes.data + 1, bytes.len - 1),
                                      &length, &used, &bad)) {
        return FLV_OK;
    }
    if (bad) {
        return flv_fail(err, FLV_E_PROTOCOL,
                        "malformed MQTT packet: remaining length");
    }
    size_t size = 1 + used + length;
    if (size > size_max) {
        return flv_fail(err, FLV_E_LIMIT,
                        "an MQTT packet of %zu bytes; at most %zu are taken",
                        size, size_max);
    }
    p.type = (enum mqtt_type)(bytes.data[0] >> 4);
    if (bytes.len < size) {
        return FLV_OK;
    }
    struct cursor c = {.rest = flv_slice(bytes.data + 1 + used, length),
                       .err = err};
    read_body(&c, version, bytes.data[0] & 0x0f, &p);
    if (c.failed) {
        return FLV_E_PROTOCOL;
    }
    p.size = size;
    *out = p;
    return FLV_OK;
}

/* --- writing -------------------------------------------------------------- */

/* Bytes that a length takes. */
static size_t length_size(size_t n)
{
    return n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : 4;
}

/* Callers have reserved the room: these cannot fail. */
static void put(struct flv_buf *b, const void *data, size_t len)
{
    flv_rc rc = flv_buf_add(b, data, len);
    assert(rc == FLV_OK);
    (void)rc;
}

static void put_u8(struct flv_buf *b, uint8_t v)
{
    put(b, &v, 1);
}

static void put_u16(struct flv_buf *b, size_t v)
{
    uint8_t bytes[2];
    assert(v <= UINT16_MAX);
    flv_put_u16(bytes, (uint16_t)v);
    put(b, bytes, 2);
}

static void put_u32(struct flv_buf *b, uint32_t v)
{
    uint8_t bytes[4];
    flv_put_u32(bytes, v);
    put(b, bytes, 4);
}

static void put_text(struct flv_buf *b, struct flv_slice text)
{
    put_u16(b, text.len);
    put(b, text.data, text.len);
}

/* Reserves a whole packet and writes its fixed header. */
static flv_rc begin(struct flv_buf *b, uint8_t first, size_t length)
{
    if (length > MQTT_LENGTH_MAX) {
        return FLV_E_LIMIT;
    }
    flv_rc rc = flv_buf_reserve(b, 1 + length_size(length) + length);
    if (rc != FLV_OK) {
        return rc;
    }
    put_u8(b, first);
    do {
        uint8_t more = length > 127 ? 0x80 : 0;
        put_u8(b, (uint8_t)((length & 0x7f) | more));
        length >>= 7;
    } while (length > 0);
    return FLV_OK;
}

/* Session expiry, receive maximum, maximum packet size. */
#define CONNECT_PROPERTIES (5 + 3 + 5)

flv_rc mqtt_put_connect(struct flv_buf *b, const struct mqtt_connect *c)
{
    struct flv_slice id = flv_slice_str(c->client_id);
    struct flv_slice user = flv_slice_str(c->user);
    bool five = c->version == MQTT_5;
    if (id.len > UINT16_MAX || user.len > UINT16_MAX ||
        c->password.len > UINT16_MAX) {
        return FLV_E_LIMIT;
    }
    size_t properties = five ? 1 + CONNECT_PROPERTIES : 0;
    size_t length = 10 + properties + 2 + id.len +
                    (c->user != NULL ? 2 + user.len : 0) +
                    (c->has_password ? 2 + c->password.len : 0);
    flv_rc rc = begin(b, MQTT_CONNECT << 4, length);
    if (rc != FLV_OK) {
        return rc;
    }
    put_text(b, flv_slice_str("MQTT"));
    put_u8(b, (uint8_t)c->version);
    put_u8(b, (uint8_t)((c->clean ? 2 : 0) | (c->has_password ? 0x40 : 0) |
                        (c->user != NULL ? 0x80 : 0)));
    put_u16(b, c->keep_alive_s);
    if (five) {
        put_u8(b, CONNECT_PROPERTIES);
        put_u8(b, 17);
        put_u32(b, c->session_expiry_s);
        put_u8(b, 33);
        put_u16(b, c->receive_max);
        put_u8(b, 39);
        put_u32(b, c->packet_max);
    }
    put_text(b, id);
    if (c->user != NULL) {
        put_text(b, user);
    }
    if (c->has_password) {
        put_text(b, c->password);
    }
    return FLV_OK;
}

/* Option of a subscription (MQTT 5): what the broker retains comes only when
 * the session does not have the subscription yet. */
#define RETAINED_WHEN_NEW 0x10

flv_rc mqtt_put_subscribe(struct flv_buf *b,
                          enum mqtt_version version,
                          uint16_t id,
                          const char *const *filters,
                          size_t count,
                          uint8_t qos)
{
    size_t length = version == MQTT_5 ? 3 : 2;
    assert(id != 0 && count > 0 && qos <= 2);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(filters[i]);
        if (len > UINT16_MAX) {
            return FLV_E_LIMIT;
        }
        length += 2 + len + 1;
    }
    flv_rc rc = begin(b, MQTT_SUBSCRIBE << 4 | 2, length);
    if (rc != FLV_OK) {
        return rc;
    }
    put_u16(b, id);
    if (version == MQTT_5) {
        put_u8(b, 0);
    }
    for (size_t i = 0; i < count; i++) {
        put_text(b, flv_slice_str(filters[i]));
        put_u8(b, version == MQTT_5 ? qos | RETAINED_WHEN_NEW : qos);
    }
    return FLV_OK;
}

flv_rc mqtt_put_ack(struct flv_buf *b,
                    enum mqtt_type type,
                    enum mqtt_version version,
                    uint16_t id,
                    uint8_t code)
{
    bool with_code = code != 0 && version == MQTT_5;
    assert(type == MQTT_PUBACK || type == MQTT_PUBREC || type == MQTT_PUBCOMP);
    assert(id != 0);
    flv_rc rc = begin(b, (uint8_t)(type << 4), with_code ? 3 : 2);
    if (rc == FLV_OK) {
        put_u16(b, id);
        if (with_code) {
            put_u8(b, code);
        }
    }
    return rc;
}

flv_rc mqtt_put_ping(struct flv_buf *b)
{
    return begin(b, MQTT_PINGREQ << 4, 0);
}

flv_rc mqtt_put_disconnect(struct flv_buf *b)
{
    return begin(b, MQTT_DISCONNECT << 4, 0);
}

/* --- words -----------------------------------------------------------------
 */

static const struct {
    uint8_t code;
    const char *text;
} reasons[] = {
    {0x00, "success"},
    {0x04, "disconnect with will"},
    {0x80, "unspecified error"},
    {0x81, "malformed packet"},
    {0x82, "protocol error"},
    {0x83, "implementation specific error"},
    {0x84, "unsupported protocol version"},
    {0x85, "client identifier not valid"},
    {0x86, "bad user name or password"},
    {0x87, "not authorized"},
    {0x88, "server unavailable"},
    {0x89, "server busy"},
    {0x8a, "banned"},
    {0x8b, "server shutting down"},
    {0x8c, "bad authentication method"},
    {0x8d, "keep alive timeout"},
    {0x8e, "session taken over by another client of the same identifier"},
    {0x8f, "topic filter invalid"},
    {0x90, "topic name invalid"},
    {0x91, "packet identifier in use"},
    {0x92, "packet identifier not found"},
    {0x93, "receive maximum exceeded"},
    {0x94, "topic alias invalid"},
    {0x95, "packet too large"},
    {0x96, "message rate too high"},
    {0x97, "quota exceeded"},
    {0x98, "administrative action"},
    {0x99, "payload format invalid"},
    {0x9a, "retain not supported"},
    {0x9b, "quality of service not supported"},
    {0x9c, "use another server"},
    {0x9d, "server moved"},
    {0x9e, "shared subscriptions not supported"},
    {0x9f, "connection rate exceeded"},
    {0xa0, "maximum connect time"},
    {0xa1, "subscription identifiers not supported"},
    {0xa2, "wildcard subscriptions not supported"},
};

static const char *const connack_texts[] = {
    "accepted",
    "unacceptable protocol version",
    "client identifier rejected",
    "server unavailable",
    "bad user name or password",
    "not authorized",
};

const char *
mqtt_code_text(enum mqtt_version version, enum mqtt_type type, uint8_t code)
{
    /* MQTT 5 has no codes of 1 to 5: it was asked of a broker of old. */
    if (type == MQTT_CONNACK && (version == MQTT_311 || code < 0x80)) {
        return code < sizeof(connack_texts) / sizeof(connack_texts[0])
                   ? connack_texts[code]
                   : "unknown code";
    }
    if (type == MQTT_SUBACK && code <= 2) {
        return "granted";
    }
    if (version == MQTT_311) {
        return "refused";
    }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].code == code) {
            return reasons[i].text;
        }
    }
    return "unknown code";
}

bool mqtt_filter_ok(const char *filter)
{
    struct flv_slice s = flv_slice_str(filter);
    if (s.len == 0 || s.len > UINT16_MAX || !flv_text_is_utf8(s)) {
        return false;
    }
    for (const char *p = filter; *p != '\0'; p++) {
        bool starts = p == filter || p[-1] == '/';
        bool ends = p[1] == '\0' || p[1] == '/';
        if (*p == '+' && !(starts && ends)) {
            return false;
        }
        if (*p == '#' && !(starts && p[1] == '\0')) {
            return false;
        }
    }
    return true;
}
