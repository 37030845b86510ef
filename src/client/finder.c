#include "client/internal.h"

#include <assert.h>

#include "base/field.h"

static bool is_led(const struct flv__topic_meta *t)
{
    for (uint32_t i = 0; i < t->partitions; i++) {
        if (flv__meta_leader(t, i) < 0) {
            return false;
        }
    }
    return t->partitions > 0;
}

static bool is_found(const struct flv__meta *m, const struct flv__topic_meta *t)
{
    for (uint32_t i = 0; i < t->partitions; i++) {
        if (flv__meta_spu(m, flv__meta_leader(t, i)) == NULL) {
            return false;
        }
    }
    return true;
}

/* Watches of different objects are answered in any order: an SPU may be named
 * as a leader before it is known where it is. One that is still not known when
 * all were answered holds up its own partitions only. */
static bool is_complete(const struct flv__meta *m,
                        const struct flv__topic_meta *t)
{
    return is_led(t) && (flv__meta_fresh(m) || is_found(m, t));
}

static void
end(struct flv__finder *l, const struct flv__topic_meta *t, struct flv_err *err)
{
    assert((t == NULL) != (err == NULL));
    flv__finder_stop(l);
    l->done(l, t, err);
}

static bool is_missing(const struct flv__finder *l)
{
    const struct flv__meta *m = &l->client->meta;

    return flv__meta_topic(m, l->topic) == NULL && flv__meta_fresh(m);
}

static void not_found(struct flv__finder *l)
{
    struct flv_err err;

    (void)flv_fail(&err, FLV_E_NOT_FOUND, "Topic not found: %s", l->topic);
    err.wire = FLV_WIRE_TOPIC_NOT_FOUND;
    end(l, NULL, &err);
}

/* Whether a topic that is not there yet is given time. */
static bool waits(struct flv__finder *l)
{
    if (!l->waits && l->wait_ms != 0) {
        l->waits = flv_timer_start(&l->timer, l->wait_ms, 0, NULL) == FLV_OK;
    }
    return l->waits;
}

static void check(struct flv__finder *l)
{
    const struct flv__topic_meta *t =
        flv__meta_topic(&l->client->meta, l->topic);

    if (t != NULL && is_complete(&l->client->meta, t)) {
        end(l, t, NULL);
    } else if (is_missing(l) && !waits(l)) {
        not_found(l);
    }
}

static void changed(struct flv__meta_listener *listener)
{
    check(FLV_OWNER_OF(listener, struct flv__finder, listener));
}

static void first_look(struct flv_task *t)
{
    check(FLV_OWNER_OF(t, struct flv__finder, task));
}

static void expired(struct flv_timer *timer)
{
    struct flv__finder *l = FLV_OWNER_OF(timer, struct flv__finder, timer);
    const struct flv_client *c = l->client;
    struct flv_err err;

    if (is_missing(l)) {
        not_found(l);
        return;
    }
    if (flv__meta_fresh(&c->meta)) {
        (void)flv_fail(&err, FLV_E_TIMEOUT,
                       "topic %s has partitions without a leader after %u ms",
                       l->topic,
                       l->waits ? l->wait_ms : c->conf.metadata_timeout_ms);
    } else if (c->meta.last_err.rc != FLV_OK) {
        err = c->meta.last_err;
    } else {
        (void)flv_fail(&err, FLV_E_TIMEOUT, "%s sent no metadata within %u ms",
                       flv__peer_address(c->sc), c->conf.metadata_timeout_ms);
    }
    end(l, NULL, &err);
}

flv_rc flv__finder_start(struct flv__finder *l, struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    assert(l->client != NULL && l->topic != NULL && l->done != NULL);
    assert(!l->active);
    flv_timer_init(&l->timer, l->client->loop, expired);
    rc =
        flv_timer_start(&l->timer, l->client->conf.metadata_timeout_ms, 0, err);
    if (rc != FLV_OK) {
        return rc;
    }
    flv_task_init(&l->task, first_look);
    l->active = true;
    l->waits = false;
    l->listener = (struct flv__meta_listener){.changed = changed};
    flv__meta_start(&l->client->meta);
    flv__meta_listen(&l->client->meta, &l->listener);
    flv_loop_defer(l->client->loop, &l->task);
    return FLV_OK;
}

void flv__finder_stop(struct flv__finder *l)
{
    if (!l->active) {
        return;
    }
    l->active = false;
    flv__meta_unlisten(&l->client->meta, &l->listener);
    flv_timer_stop(&l->timer);
    flv_loop_undefer(l->client->loop, &l->task);
}
