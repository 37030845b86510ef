#include "client/consumer.h"

#include "base/field.h"
#include "base/mem.h"
#include "base/text.h"
#include "client/modules.h"
#include <assert.h>
#include <stdlib.h>

#define FETCH_BYTES 1048890

/* The stored offsets are on their way; outlives the consumer. */
struct offsets_wait {
    struct flv_consumer *consumer; /* borrowed; NULL: gone */
};

struct flv_consumer_conf flv_consumer_conf_default(const char *topic)
{
    return (struct flv_consumer_conf){
        .topic = topic,
        .start = {.kind = FLV_START_END},
        .end_offset = -1,
        .isolation = FLV_READ_UNCOMMITTED,
    };
}

static uint32_t default_max_bytes(void)
{
    const char *text = getenv("FLV_CLIENT_MAX_FETCH_BYTES");
    uint64_t n = 0;

    if (text == NULL || flv_text_u64(text, 1, INT32_MAX, &n, NULL) != FLV_OK) {
        return FETCH_BYTES;
    }
    return (uint32_t)n;
}

/* --------------------------------------------------------------- ending */

static void stop_feeds(struct flv_consumer *k)
{
    for (size_t i = 0; i < k->feed_count; i++) {
        flv__feed_stop(k->feeds[i]);
    }
}

void flv__consumer_fail(struct flv_consumer *k, const struct flv_err *err)
{
    if (k->state == FLV__CONSUMER_CLOSING || k->failed) {
        return;
    }
    assert(err->rc != FLV_OK);
    k->failed = true;
    k->end_err = *err;
    k->state = FLV__CONSUMER_ENDED;
    flv__finder_stop(&k->lookup);
    stop_feeds(k);
    flv_loop_defer(k->client->loop, &k->end_task);
}

void flv__consumer_feed_opened(struct flv_consumer *k)
{
    bool all = k->state == FLV__CONSUMER_OPEN && !k->told_opened;

    for (size_t i = 0; all && i < k->feed_count; i++) {
        all = k->feeds[i]->opened || k->feeds[i]->ended;
    }
    if (all) {
        k->told_opened = true;
        k->conf.opened(k->conf.user);
    }
}

void flv__consumer_feed_ended(struct flv_consumer *k)
{
    flv__consumer_feed_opened(k);
    for (size_t i = 0; i < k->feed_count; i++) {
        if (!k->feeds[i]->ended) {
            return;
        }
    }
    if (k->state == FLV__CONSUMER_OPEN) {
        k->state = FLV__CONSUMER_ENDED;
        flv_loop_defer(k->client->loop, &k->end_task);
    }
}

static void tell_end(struct flv_task *t)
{
    struct flv_consumer *k = FLV_OWNER_OF(t, struct flv_consumer, end_task);

    if (k->failed) {
        for (size_t i = 0; i < k->feed_count; i++) {
            flv__commit_fail_all(k->feeds[i], &k->end_err);
        }
    }
    if (k->conf.ended != NULL && k->state != FLV__CONSUMER_CLOSING &&
        !k->storing) {
        k->conf.ended(k->conf.user, k->failed ? &k->end_err : NULL);
    }
}

/* -------------------------------------------------------------- opening */

static void topic_changed(struct flv__meta_listener *l)
{
    struct flv_consumer *k = FLV_OWNER_OF(l, struct flv_consumer, changes);
    const struct flv__meta *m = &k->client->meta;
    struct flv_err err;

    if (flv__meta_topic(m, k->topic) != NULL) {
        for (size_t i = 0; i < k->feed_count; i++) {
            flv__feed_pump(k->feeds[i]);
        }
    } else if (flv__meta_fresh(m) && k->state == FLV__CONSUMER_OPEN) {
        (void)flv_fail(&err, FLV_E_NOT_FOUND, "Topic deleted: %s", k->topic);
        err.wire = FLV_WIRE_TOPIC_DELETED;
        flv__consumer_fail(k, &err);
    }
}

static void start_feeds(struct flv_consumer *k)
{
    k->state = FLV__CONSUMER_OPEN;
    k->changes.changed = topic_changed;
    flv__meta_listen(&k->client->meta, &k->changes);
    for (size_t i = 0; i < k->feed_count; i++) {
        flv__feed_pump(k->feeds[i]);
    }
}

static void offsets_came(void *user,
                         const struct flv_err *err,
                         const struct flv_consumer_offset *offsets,
                         size_t count)
{
    struct offsets_wait *wait = user;
    struct flv_consumer *k = wait->consumer;

    flv_free(wait);
    if (k == NULL) {
        return;
    }
    k->offsets = NULL;
    if (err != NULL) {
        flv__consumer_fail(k, err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct flv_consumer_offset *o = &offsets[i];

        for (size_t n = 0; n < k->feed_count; n++) {
            if (o->partition == k->feeds[n]->partition && o->offset >= 0 &&
                strcmp(o->topic, k->topic) == 0) {
                k->feeds[n]->next_offset = o->offset + 1;
            }
        }
    }
    start_feeds(k);
}

static flv_rc ask_offsets(struct flv_consumer *k, struct flv_err *err)
{
    struct offsets_wait *wait = flv_zalloc(1, sizeof(*wait));
    flv_rc rc = FLV_OK;

    if (wait == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for offsets");
    }
    wait->consumer = k;
    rc = flv_client_consumer_offsets(k->client, k->consumer_id, offsets_came,
                                     wait, err);
    if (rc != FLV_OK) {
        flv_free(wait);
        return rc;
    }
    k->offsets = wait;
    return FLV_OK;
}

static flv_rc
make_feeds(struct flv_consumer *k, uint32_t partitions, struct flv_err *err)
{
    const size_t count =
        k->wanted != NULL ? k->conf.partition_count : partitions;
    flv_rc rc = FLV_OK;

    assert(k->feeds == NULL && count > 0);
    k->feeds = flv_zalloc(count, sizeof(struct flv__feed *));
    if (k->feeds == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for partitions");
    }
    for (size_t i = 0; rc == FLV_OK && i < count; i++) {
        const uint32_t n = k->wanted != NULL ? k->wanted[i] : (uint32_t)i;

        if (n >= partitions) {
            return flv_fail(err, FLV_E_NOT_FOUND,
                            "topic %s has no partition %u, only 0 to %u",
                            k->topic, n, partitions - 1);
        }
        rc = flv__feed_create(k, n, &k->feeds[i], err);
        k->feed_count += rc == FLV_OK ? 1 : 0;
    }
    return rc;
}

static void found(struct flv__finder *l,
                  const struct flv__topic_meta *t,
                  const struct flv_err *err)
{
    struct flv_consumer *k = FLV_OWNER_OF(l, struct flv_consumer, lookup);
    struct flv_err why = {.rc = FLV_OK};
    flv_rc rc = FLV_OK;

    if (t == NULL) {
        flv__consumer_fail(k, err);
        return;
    }
    rc = make_feeds(k, t->partitions, &why);
    if (rc == FLV_OK && k->consumer_id[0] != '\0') {
        rc = ask_offsets(k, &why);
    } else if (rc == FLV_OK) {
        start_feeds(k);
    }
    if (rc != FLV_OK) {
        flv__consumer_fail(k, &why);
    }
}

static void close_now(struct flv_task *t);
static void client_closes(struct flv__op *op, const struct flv_err *err);

static void consumer_free(struct flv_consumer *k)
{
    for (size_t i = 0; i < k->feed_count; i++) {
        flv__feed_destroy(k->feeds[i]);
    }
    flv_free(k->feeds);
    flv_timer_stop(&k->flush_timer);
    flv_free(k->wanted);
    flv_free(k->views);
    flv_compressor_destroy(k->z);
    flv_arena_deinit(&k->arena);
    flv_free(k);
}

static flv_rc check_conf(const struct flv_consumer_conf *c, struct flv_err *err)
{
    if (c->start.kind != FLV_START_END &&
        c->start.kind != FLV_START_BEGINNING && c->start.n < 0) {
        return flv_fail(err, FLV_E_INVALID, "a start of %lld is below 0",
                        (long long)c->start.n);
    }
    if (c->start.kind == FLV_START_ABSOLUTE && c->end_offset >= 0 &&
        c->end_offset < c->start.n) {
        return flv_fail(err, FLV_E_INVALID,
                        "Argument end-offset must be greater than or equal to "
                        "specified start offset");
    }
    if (c->max_bytes > INT32_MAX || c->end_offset == INT64_MAX) {
        return flv_fail(err, FLV_E_INVALID,
                        "max bytes %u or end offset %lld is too large",
                        c->max_bytes, (long long)c->end_offset);
    }
    return FLV_OK;
}

static flv_rc copy_conf(struct flv_consumer *k,
                        const struct flv_consumer_conf *conf,
                        struct flv_err *err)
{
    flv_rc rc = flv__name_copy(k->topic, conf->topic, "Topic name", err);

    k->conf = *conf;
    k->conf.topic = k->topic;
    k->told_opened = conf->opened == NULL;
    if (conf->consumer_id == NULL) {
        k->conf.offsets = FLV_OFFSETS_NONE;
    }
    if (k->conf.max_bytes == 0) {
        k->conf.max_bytes = default_max_bytes();
    }
    if (rc == FLV_OK && conf->consumer_id != NULL) {
        rc = flv__name_copy(k->consumer_id, conf->consumer_id, "consumer id",
                            err);
    }
    if (rc == FLV_OK) {
        rc = flv__module_uses(conf->smartmodules, conf->smartmodule_count,
                              &k->arena, &k->modules, err);
    }
    if (rc != FLV_OK || conf->partition_count == 0) {
        return rc;
    }
    k->wanted = flv_zalloc(conf->partition_count, sizeof(uint32_t));
    if (k->wanted == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a consumer");
    }
    memcpy(k->wanted, conf->partitions,
           conf->partition_count * sizeof(uint32_t));
    return FLV_OK;
}

flv_rc flv_consumer_open(struct flv_consumer **out,
                         struct flv_client *c,
                         const struct flv_consumer_conf *conf,
                         struct flv_err *err)
{
    struct flv_consumer *k = NULL;
    flv_rc rc = check_conf(conf, err);

    assert(conf->batch != NULL);
    if (rc != FLV_OK || c->closing) {
        return rc != FLV_OK ? rc : flv__closing(err);
    }
    k = flv_zalloc(1, sizeof(*k));
    if (k == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a consumer");
    }
    k->client = c;
    flv_arena_init(&k->arena, 1024, FLV__CLIENT_ARENA_MAX);
    k->op.cancel = client_closes;
    flv_task_init(&k->close_task, close_now);
    flv_task_init(&k->end_task, tell_end);
    k->z = flv_compressor_create();
    k->views = flv_zalloc(FLV__FEED_VIEWS_MAX, sizeof(*k->views));
    if (k->z == NULL || k->views == NULL) {
        rc = flv_fail(err, FLV_E_NOMEM, "out of memory for a consumer");
    } else {
        rc = copy_conf(k, conf, err);
    }
    if (rc == FLV_OK) {
        rc = flv__marks_start(k, err);
    }
    if (rc == FLV_OK) {
        k->lookup =
            (struct flv__finder){.client = c, .topic = k->topic, .done = found};
        rc = flv__finder_start(&k->lookup, err);
    }
    if (rc != FLV_OK) {
        consumer_free(k);
        return rc;
    }
    flv__op_add(c, &k->op);
    *out = k;
    return FLV_OK;
}

/* -------------------------------------------------------------- running */

void flv_consumer_pause(struct flv_consumer *k)
{
    k->paused = true;
}

void flv_consumer_resume(struct flv_consumer *k)
{
    if (!k->paused) {
        return;
    }
    k->paused = false;
    for (size_t i = 0; i < k->feed_count; i++) {
        flv__feed_pump(k->feeds[i]);
    }
}

void flv_consumer_stats(const struct flv_consumer *k,
                        struct flv_consumer_stats *out)
{
    *out = k->stats;
    out->latency = flv__latency_read(&k->latency);
}

/* -------------------------------------------------------------- closing */

static void finalize(struct flv_consumer *k, const struct flv_err *err)
{
    struct flv_loop *loop = k->client->loop;
    flv_closed_fn closed = NULL;
    void *user = NULL;

    k->state = FLV__CONSUMER_CLOSING;
    flv__op_remove(&k->op);
    flv__finder_stop(&k->lookup);
    flv__meta_unlisten(&k->client->meta, &k->changes);
    if (k->offsets != NULL) {
        k->offsets->consumer = NULL;
    }
    for (size_t i = 0; i < k->feed_count; i++) {
        flv__commit_fail_all(k->feeds[i], err);
    }
    flv__marks_cancel(k, err);
    flv_loop_undefer(loop, &k->end_task);
    flv_loop_undefer(loop, &k->close_task);
    closed = k->closed; /* a callback may just have set it */
    user = k->closed_user;
    consumer_free(k);
    if (closed != NULL) {
        closed(user);
    }
}

static void client_closes(struct flv__op *op, const struct flv_err *err)
{
    finalize(FLV_OWNER_OF(op, struct flv_consumer, op), err);
}

static void close_now(struct flv_task *t)
{
    struct flv_consumer *k = FLV_OWNER_OF(t, struct flv_consumer, close_task);
    struct flv_err err;

    (void)flv_fail(&err, FLV_E_CANCELED, "the consumer was closed");
    finalize(k, &err);
}

static void close_soon(struct flv_consumer *k)
{
    k->state = FLV__CONSUMER_CLOSING;
    flv_loop_defer(k->client->loop, &k->close_task);
}

static void last_stored(void *user, const struct flv_err *err)
{
    (void)err; /* what was handled and is not stored comes again */
    close_soon(user);
}

/* Nothing is delivered any more, but what was handled is stored. */
static bool store_first(struct flv_consumer *k)
{
    if (k->conf.offsets != FLV_OFFSETS_AUTO || k->failed ||
        k->state == FLV__CONSUMER_OPENING) {
        return false;
    }
    k->storing = true;
    k->state = FLV__CONSUMER_ENDED;
    stop_feeds(k);
    return flv__marks_flush(k, last_stored, k, NULL) == FLV_OK;
}

void flv_consumer_close(struct flv_consumer *k,
                        flv_closed_fn closed,
                        void *user)
{
    assert(k->closed == NULL);
    k->closed = closed;
    k->closed_user = user;
    if (k->state == FLV__CONSUMER_CLOSING) {
        return; /* its client closes it just now */
    }
    if (!store_first(k)) {
        close_soon(k);
    }
}
