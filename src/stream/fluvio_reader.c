#include "stream/fluvio_reader.h"

#include <assert.h>

#include "base/mem.h"
#include "stream/driver.h"

/* --- looking at a topic ----------------------------------------------------
 */

struct look {
    struct flv_client *client; /* borrowed */
    char *topic;               /* owned */
    uint32_t partitions;
    flv_look_fn done;
    void *user;
};

static void look_end(struct look *l,
                     const struct flv_err *err,
                     const struct flv_topic_look *look)
{
    const flv_look_fn done = l->done;
    void *user = l->user;
    flv_free(l->topic);
    flv_free(l);
    done(user, err, look);
}

static void id_came(void *user, const struct flv_err *err, const char *id)
{
    struct look *l = user;
    const struct flv_topic_look look = {.id = id, .partitions = l->partitions};
    look_end(l, err, err == NULL ? &look : NULL);
}

static void topics_came(void *user,
                        const struct flv_err *err,
                        const struct flv_topic_info *topics,
                        size_t count)
{
    struct look *l = user;
    struct flv_err why = {0};
    if (err != NULL) {
        look_end(l, err, NULL);
        return;
    }
    if (count == 0) {
        (void)flv_fail(&why, FLV_E_NOT_FOUND, "Topic not found: %.100s",
                       l->topic);
    } else {
        l->partitions = topics[0].kind == FLV_TOPIC_ASSIGNED
                            ? (uint32_t)topics[0].replica_count
                            : topics[0].partitions;
        if (flv_client_topic_id(l->client, l->topic, id_came, l, &why) ==
            FLV_OK) {
            return;
        }
    }
    look_end(l, &why, NULL);
}

flv_rc flv__fluvio_look(struct flv_client *client,
                        const char *topic,
                        flv_look_fn done,
                        void *user,
                        struct flv_err *err)
{
    struct look *l = flv_zalloc(1, sizeof(*l));
    if (l != NULL) {
        l->topic = flv_strdup(topic);
    }
    if (l == NULL || l->topic == NULL) {
        flv_free(l);
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a topic");
    }
    l->client = client;
    l->done = done;
    l->user = user;
    flv_rc rc = flv_client_topics(client, topic, false, topics_came, l, err);
    if (rc != FLV_OK) {
        flv_free(l->topic);
        flv_free(l);
    }
    return rc;
}

/* --- readers ---------------------------------------------------------------
 */

struct fluvio_reader {
    struct flv_reader base;        /* first */
    struct flv_consumer *consumer; /* owned */
    struct flv_reader_conf conf;
    bool closing;
    flv_closed_fn closed;
    void *closed_user;
};

static struct fluvio_reader *reader_of(struct flv_reader *r)
{
    return (struct fluvio_reader *)(void *)r;
}

static void on_batch(void *user, const struct flv_record_batch *batch)
{
    struct fluvio_reader *r = user;
    if (!r->closing) {
        r->conf.batch(r->conf.user, batch);
    }
}

static void on_found(void *user, uint32_t partition, int64_t first, int64_t end)
{
    struct fluvio_reader *r = user;
    (void)partition;
    if (!r->closing) {
        r->conf.found(r->conf.user, first, end);
    }
}

static void on_positioned(void *user, uint32_t partition, int64_t offset)
{
    struct fluvio_reader *r = user;
    (void)partition;
    if (!r->closing) {
        r->conf.positioned(r->conf.user, offset);
    }
}

static void on_ended(void *user, const struct flv_err *err)
{
    struct fluvio_reader *r = user;
    assert(err != NULL); /* it has no end */
    if (!r->closing) {
        r->conf.ended(r->conf.user, err);
    }
}

static void on_trouble(void *user, const struct flv_err *err)
{
    struct fluvio_reader *r = user;
    if (!r->closing) {
        r->conf.trouble(r->conf.user, err);
    }
}

static void reader_hold(struct flv_reader *base, bool on)
{
    struct fluvio_reader *r = reader_of(base);
    if (on) {
        flv_consumer_pause(r->consumer);
    } else {
        flv_consumer_resume(r->consumer);
    }
}

static flv_rc reader_commit(struct flv_reader *base,
                            int64_t offset,
                            flv_done_fn done,
                            void *user,
                            struct flv_err *err)
{
    struct fluvio_reader *r = reader_of(base);
    return flv_consumer_commit(r->consumer, r->conf.partition, offset, done,
                               user, err);
}

static void consumer_closed(void *user)
{
    struct fluvio_reader *r = user;
    const flv_closed_fn closed = r->closed;
    void *closed_user = r->closed_user;
    flv_free(r);
    if (closed != NULL) {
        closed(closed_user);
    }
}

static void
reader_close(struct flv_reader *base, flv_closed_fn closed, void *user)
{
    struct fluvio_reader *r = reader_of(base);
    assert(!r->closing);
    r->closing = true;
    r->closed = closed;
    r->closed_user = user;
    flv_consumer_close(r->consumer, consumer_closed, r);
}

static const struct flv__reader_ops reader_ops = {
    .hold = reader_hold,
    .commit = reader_commit,
    .close = reader_close,
};

flv_rc flv__fluvio_reader_open(struct flv_reader **out,
                               struct flv_client *client,
                               const struct flv_reader_conf *conf,
                               struct flv_err *err)
{
    struct flv_consumer_conf c = flv_consumer_conf_default(conf->topic);
    struct fluvio_reader *r = flv_zalloc(1, sizeof(*r));
    if (r == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a reader");
    }
    r->base.ops = &reader_ops;
    r->conf = *conf;
    c.partitions = &conf->partition;
    c.partition_count = 1;
    c.start = conf->start;
    c.consumer_id = conf->consumer;
    c.max_bytes = conf->max_bytes;
    /* What is not on disk can still be lost, and other records can come in its
     * place, which a reader that is further would never see. */
    c.isolation = FLV_READ_COMMITTED;
    c.batch = on_batch;
    c.found = on_found;
    c.positioned = on_positioned;
    c.ended = on_ended;
    c.trouble = conf->trouble != NULL ? on_trouble : NULL;
    c.user = r;
    flv_rc rc = flv_consumer_open(&r->consumer, client, &c, err);
    if (rc != FLV_OK) {
        flv_free(r);
        return rc;
    }
    if (conf->held) {
        flv_consumer_pause(r->consumer);
    }
    *out = &r->base;
    return FLV_OK;
}
