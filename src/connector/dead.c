#include "connector/dead.h"

#include <assert.h>

#include "base/log.h"
#include "base/mem.h"

struct lane {
    struct flv_dead *dead;
    const char *topic;         /* borrowed */
    struct flv_writer *writer; /* owned; NULL: not open, or closed */
};

struct flv_dead {
    struct flv_dead_conf conf;
    struct lane lanes[FLV_LANES_MAX];
    uint32_t opening; /* the lane on its way */
    uint32_t open;    /* writers not closed */
    bool closing;
    flv_done_fn opened;
    void *opened_user;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void next_lane(struct flv_dead *d);

/* --- opening ---------------------------------------------------------------
 */

static void opened_all(struct flv_dead *d, const struct flv_err *err)
{
    struct flv_err named = {0};
    if (err != NULL) {
        named = *err;
        flv_err_prefix(&named, "the topic of dead letters \"%.60s\"",
                       d->lanes[d->opening].topic);
    }
    d->opened(d->opened_user, err != NULL ? &named : NULL);
}

static void on_settled(void *user, uint64_t token, const struct flv_err *err)
{
    const struct lane *l = user;
    l->dead->conf.settled(l->dead->conf.user, l->topic, token, err);
}

static void on_writable(void *user)
{
    const struct lane *l = user;
    l->dead->conf.writable(l->dead->conf.user);
}

static void on_trouble(void *user, const struct flv_err *err)
{
    const struct lane *l = user;
    l->dead->conf.trouble(l->dead->conf.user, l->topic, err);
}

static void on_opened(void *user, const struct flv_err *err)
{
    struct lane *l = user;
    struct flv_dead *d = l->dead;
    if (d->closing) {
        return;
    }
    if (err != NULL) {
        opened_all(d, err);
        return;
    }
    d->opening++;
    next_lane(d);
}

static void open_writer(struct lane *l)
{
    struct flv_dead *d = l->dead;
    struct flv_err err = {0};
    struct flv_writer_conf conf = flv_writer_conf_default(l->topic);
    conf.settled = on_settled;
    conf.writable = on_writable;
    conf.trouble = on_trouble;
    conf.user = l;
    if (flv_writer_open(&l->writer, d->conf.stream, &conf, on_opened, l,
                        &err) != FLV_OK) {
        opened_all(d, &err);
        return;
    }
    d->open++;
}

static void on_ensured(void *user, const struct flv_err *err, bool created)
{
    struct lane *l = user;
    if (l->dead->closing) {
        return;
    }
    if (err != NULL) {
        opened_all(l->dead, err);
        return;
    }
    if (created) {
        flv_log_info("connector", "topic of dead letters successfully created",
                     FLV_KV_STR("topic", l->topic));
    }
    open_writer(l);
}

/* One after the other; the callbacks come from the loop. */
static void next_lane(struct flv_dead *d)
{
    if (d->opening == d->conf.lanes) {
        d->opened(d->opened_user, NULL);
        return;
    }
    struct lane *l = &d->lanes[d->opening];
    const struct flv_topic_conf topic = flv_topic_conf_default(l->topic);
    struct flv_err err = {0};
    if (flv_stream_topic_ensure(d->conf.stream, &topic, on_ensured, l, &err) !=
        FLV_OK) {
        opened_all(d, &err);
    }
}

flv_rc flv__dead_open(struct flv_dead **out,
                      const struct flv_dead_conf *conf,
                      flv_done_fn opened,
                      void *user,
                      struct flv_err *err)
{
    const uint32_t first = FLV_LANE_TOPIC + 1;
    assert(conf->lanes > first && conf->lanes <= FLV_LANES_MAX);
    struct flv_dead *d = flv_zalloc(1, sizeof(*d));
    if (d == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for dead letters");
    }
    d->conf = *conf;
    d->opened = opened;
    d->opened_user = user;
    d->opening = first;
    for (uint32_t i = first; i < conf->lanes; i++) {
        d->lanes[i] = (struct lane){.dead = d, .topic = conf->topics[i]};
    }
    const struct flv_topic_conf topic =
        flv_topic_conf_default(d->lanes[first].topic);
    flv_rc rc = flv_stream_topic_ensure(conf->stream, &topic, on_ensured,
                                        &d->lanes[first], err);
    if (rc != FLV_OK) {
        flv_free(d);
        return rc;
    }
    *out = d;
    return FLV_OK;
}

/* --- use --------------------------------------------------------------------
 */

flv_rc flv__dead_append(struct flv_dead *d,
                        uint32_t lane,
                        const struct flv_msg *msgs,
                        size_t count,
                        uint64_t token,
                        struct flv_err *err)
{
    assert(lane > FLV_LANE_TOPIC && lane < d->conf.lanes);
    struct lane *l = &d->lanes[lane];
    flv_rc rc = flv_writer_append(l->writer, msgs, count, token, err);
    if (rc != FLV_OK && rc != FLV_E_BUSY) {
        flv_err_prefix(err, "dead letter to \"%.60s\"", l->topic);
    }
    return rc;
}

void flv__dead_push(struct flv_dead *d)
{
    for (uint32_t i = 0; i < d->conf.lanes; i++) {
        if (d->lanes[i].writer != NULL) {
            flv_writer_push(d->lanes[i].writer);
        }
    }
}

/* --- the end ----------------------------------------------------------------
 */

static void writer_closed(void *user)
{
    struct flv_dead *d = user;
    assert(d->open > 0);
    if (--d->open == 0) {
        d->closed(d->closed_arg);
    }
}

void flv__dead_close(struct flv_dead *d, void (*closed)(void *arg), void *arg)
{
    assert(!d->closing);
    d->closing = true;
    d->closed = closed;
    d->closed_arg = arg;
    if (d->open == 0) {
        closed(arg); /* only at the start: nothing of it is open yet */
        return;
    }
    for (uint32_t i = 0; i < d->conf.lanes; i++) {
        struct flv_writer *w = d->lanes[i].writer;
        d->lanes[i].writer = NULL;
        if (w != NULL) {
            flv_writer_close(w, 0, writer_closed, d);
        }
    }
}

void flv__dead_destroy(struct flv_dead *d)
{
    flv_free(d);
}
