#include "mqtt.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "loop/net.h"

static const struct {
    const char *prefix;
    bool tls;
} schemes[] = {{"mqtt://", false},
               {"tcp://", false},
               {"mqtts://", true},
               {"ssl://", true},
               {"tls://", true}};

/* user[:password] in front of the '@'. */
static flv_rc
read_user(const char *text, size_t len, struct mqtt_url *out, struct flv_err *e)
{
    const char *colon = memchr(text, ':', len);
    size_t user = colon != NULL ? (size_t)(colon - text) : len;
    out->has_user = true;
    out->has_password = colon != NULL;
    if (!flv_text_unpercent(text, user, out->user, sizeof(out->user)) ||
        (colon != NULL &&
         !flv_text_unpercent(colon + 1, len - user - 1, out->password,
                             sizeof(out->password)))) {
        return flv_fail(e, FLV_E_USAGE,
                        "mqtt-url: the user or password is longer than %d "
                        "bytes or has a bad %%-escape",
                        MQTT_CLIENT_ID_MAX - 1);
    }
    return FLV_OK;
}

/* client_id=NAME; nothing else is known. */
static flv_rc
read_query(const char *query, struct mqtt_url *out, struct flv_err *err)
{
    while (*query != '\0') {
        size_t len = strcspn(query, "&");
        if (len <= 10 || strncmp(query, "client_id=", 10) != 0) {
            return flv_fail(err, FLV_E_USAGE,
                            "mqtt-url: \"%.*s\" is not known there; only "
                            "?client_id=NAME is",
                            (int)strcspn(query, "=&"), query);
        }
        if (!flv_text_unpercent(query + 10, len - 10, out->client_id,
                                sizeof(out->client_id))) {
            return flv_fail(err, FLV_E_USAGE,
                            "mqtt-url: client_id is longer than %d bytes or "
                            "has a bad %%-escape",
                            MQTT_CLIENT_ID_MAX - 1);
        }
        query += len + (query[len] == '&');
    }
    return FLV_OK;
}

static flv_rc
read_scheme(const char **text, struct mqtt_url *out, struct flv_err *err)
{
    if (strstr(*text, "://") == NULL) {
        return FLV_OK;
    }
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i].prefix);
        if (strncasecmp(*text, schemes[i].prefix, len) == 0) {
            out->tls = schemes[i].tls;
            *text += len;
            return FLV_OK;
        }
    }
    return flv_fail(err, FLV_E_USAGE,
                    "mqtt-url: \"%.*s\" is not a scheme of MQTT; write "
                    "mqtt://, mqtts:// or only host:port",
                    (int)strcspn(*text, ":"), *text);
}

flv_rc
mqtt_url_read(const char *text, struct mqtt_url *out, struct flv_err *err)
{
    struct mqtt_url url = {.tls = false};
    flv_rc rc = read_scheme(&text, &url, err);
    if (rc != FLV_OK) {
        return rc;
    }
    const char *query = strchr(text, '?');
    size_t len = query != NULL ? (size_t)(query - text) : strlen(text);
    const char *sign = memrchr(text, '@', len);
    if (sign != NULL) {
        rc = read_user(text, (size_t)(sign - text), &url, err);
        len -= (size_t)(sign + 1 - text);
        text = sign + 1;
    }
    if (rc == FLV_OK && query != NULL) {
        rc = read_query(query + 1, &url, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    char address[MQTT_HOST_MAX + 8];
    if (len > 0 && text[len - 1] == '/') {
        len--;
    }
    if (len == 0 || len >= sizeof(address) || memchr(text, '/', len) != NULL) {
        return flv_fail(err, FLV_E_USAGE,
                        "mqtt-url: \"%.*s\" is not host or host:port",
                        (int)(len < 60 ? len : 60), text);
    }
    memcpy(address, text, len);
    address[len] = '\0';
    rc = flv_net_split(address, url.tls ? 8883 : 1883, url.host,
                       sizeof(url.host), &url.port, err);
    if (rc != FLV_OK) {
        flv_err_prefix(err, "mqtt-url");
        return rc == FLV_E_INVALID ? FLV_E_USAGE : rc;
    }
    *out = url;
    return FLV_OK;
}
