/*
 * options.h - the option table of the MQTT source and what it cannot say.
 *
 * Purpose    The table, the check of settings that depend on each other, and
 *            the name under which a broker keeps a session.
 * Threads    Pure, but for the random name of a session that nobody keeps.
 * Ownership  Tables are static.
 */
#ifndef FLV_CONNECTORS_MQTT_OPTIONS_H
#define FLV_CONNECTORS_MQTT_OPTIONS_H

#include "link.h"

extern const struct flv_opt mqtt_opts[];

FLV_CHECKED flv_rc mqtt_check(void *conf, struct flv_err *err);
/* What a link needs of it, all but loop, client id and callbacks. *out_tls is
 * the caller's to destroy once the link is closed; NULL: plain. */
FLV_CHECKED flv_rc mqtt_link_settings(const struct mqtt_conf *conf,
                                      struct mqtt_url *out_where,
                                      struct flv_tls **out_tls,
                                      struct mqtt_link_conf *out,
                                      struct flv_err *err);
/* Connects and subscribes once, in a session of its own that nobody keeps. */
FLV_CHECKED flv_rc mqtt_probe(const void *conf,
                              struct flv_probe *probe,
                              struct flv_err *err);
bool mqtt_is_clean(const struct mqtt_conf *conf);
/* What is given (option, then address); for a session that is kept a name
 * made of connector, topic, filters and QoS, so that another subscription is
 * another session; else a random one. */
void mqtt_client_id(const struct mqtt_conf *conf,
                    const struct mqtt_url *where,
                    const char *name,
                    const char *topic,
                    char out[MQTT_CLIENT_ID_MAX]);

#endif
