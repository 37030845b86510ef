#include "client/internal.h"

#include <assert.h>

#include "base/field.h"

/* Watches of different objects come in any order: an SPU may be named as a
 * leader before it is known where it is. -1 in *out_leader: there is none. */
static bool first_unled(const struct flv__meta *m,
                        const struct flv__topic_meta *t,
                        uint32_t *out_partition,
                        int32_t *out_leader)
{
    for (uint32_t i = 0; i < t->partitions; i++) {
        const int32_t leader = flv__meta_leader(t, i);

        if (leader < 0 || flv__meta_spu(m, leader) == NULL) {
            *out_partition = i;
            *out_leader = leader;
            return true;
        }
    }
    return false;
}

static bool is_complete(const struct flv__meta *m,
                        const struct flv__topic_meta *t)
{
    uint32_t partition = 0;
    int32_t leader = -1;

    return t->partitions > 0 && !first_unled(m, t, &partition, &leader);
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

static void say_unled(const struct flv__finder *l, struct flv_err *err)
{
    const struct flv_client *c = l->client;
    const struct flv__topic_meta *t = flv__meta_topic(&c->meta, l->topic);
    const uint32_t ms = l->waits ? l->wait_ms : c->conf.metadata_timeout_ms;
    uint32_t partition = 0;
    int32_t leader = -1;

    if (t != NULL && first_unled(&c->meta, t, &partition, &leader) &&
        leader >= 0) {
        (void)flv_fail(err, FLV_E_TIMEOUT,
                       "SPU %d, which leads partition %u of topic %s, is not "
                       "known to %s after %u ms",
                       leader, partition, l->topic, c->address, ms);
    } else {
        (void)flv_fail(err, FLV_E_TIMEOUT,
                       "topic %s has partitions without a leader after %u ms",
                       l->topic, ms);
    }
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
        say_unled(l, &err);
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
