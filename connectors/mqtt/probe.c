#include <inttypes.h>
#include <stdio.h>

#include "base/field.h"
#include "base/mem.h"
#include "base/rand.h"
#include "loop/loop.h"
#include "loop/tls.h"
#include "options.h"

/* Two attempts: the other protocol, too, where that is free. */
#define ATTEMPTS 2

struct probe {
    struct flv_probe *probe; /* borrowed */
    struct mqtt_link *link;  /* owned until closed */
    struct flv_tls *tls;     /* owned; NULL: plain */
    struct mqtt_url where;
    char client_id[MQTT_CLIENT_ID_MAX];
    struct flv_task leave;
    unsigned failures;
    bool found;
    struct flv_err err; /* of the last attempt */
};

static void on_readable(void *arg)
{
    (void)arg; /* whatever comes is for nobody */
}

static void on_state(void *arg,
                     enum mqtt_state state,
                     const struct flv_err *err,
                     uint64_t retry_ms)
{
    struct probe *p = arg;
    (void)retry_ms;
    if (state == MQTT_LIVE) {
        p->found = true;
    } else {
        p->err = *err;
        p->failures++;
    }
    if (p->found || p->failures == ATTEMPTS) {
        flv_loop_defer(flv_probe_loop(p->probe), &p->leave);
    }
}

static void link_closed(void *arg)
{
    struct probe *p = arg;
    char text[FLV_ERR_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%.80s:%u grants the subscription",
                   p->where.host, p->where.port);
    flv_probe_done(p->probe, p->found ? text : NULL, p->found ? NULL : &p->err);
    flv_tls_destroy(p->tls);
    flv_free(p);
}

static void leave(struct flv_task *task)
{
    struct probe *p = FLV_OWNER_OF(task, struct probe, leave);
    mqtt_link_close(p->link, link_closed, p);
}

flv_rc
mqtt_probe(const void *conf, struct flv_probe *probe, struct flv_err *err)
{
    struct mqtt_link_conf link;
    struct probe *p = flv_zalloc(1, sizeof(*p));
    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    flv_rc rc = mqtt_link_settings(conf, &p->where, &p->tls, &link, err);
    if (rc != FLV_OK) {
        flv_free(p);
        return rc;
    }
    p->probe = probe;
    flv_task_init(&p->leave, leave);
    (void)snprintf(p->client_id, sizeof(p->client_id),
                   "fluvio-probe-%016" PRIx64, flv_rand_u64());
    link.loop = flv_probe_loop(probe);
    link.client_id = p->client_id;
    link.clean = true;
    link.readable = on_readable;
    link.state = on_state;
    link.arg = p;
    rc = mqtt_link_open(&p->link, &link, err);
    if (rc != FLV_OK) {
        flv_tls_destroy(p->tls);
        flv_free(p);
    }
    return rc;
}
