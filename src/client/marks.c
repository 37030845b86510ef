/* Offsets by strategy: what was handled is marked, and stored from time to
 * time or when asked. */
#include "client/consumer.h"

#include "base/field.h"
#include "base/mem.h"
#include <assert.h>

#define FLUSH_PERIOD_MS 10000

/* One flush, and what it stores of each partition. */
struct part {
    struct flv__flush_marks *flush;
    struct flv__feed *feed; /* borrowed; outlives its commits */
    int64_t offset;
};

struct flv__flush_marks {
    struct flv__flush_marks *next;
    struct flv_consumer *consumer; /* borrowed */
    struct flv_task over;
    flv_done_fn done; /* NULL: nobody waits */
    void *user;
    struct flv_err err; /* the first failure */
    size_t pending;
    size_t count;
    struct part parts[]; /* one per feed */
};

static void take_off(struct flv__flush_marks *m)
{
    struct flv__flush_marks **at = &m->consumer->flushes;

    while (*at != m) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = m->next;
    flv_loop_undefer(m->consumer->client->loop, &m->over);
}

static void complete(struct flv__flush_marks *m)
{
    const flv_done_fn done = m->done;
    const struct flv_err err = m->err;
    void *user = m->user;

    take_off(m);
    flv_free(m);
    if (done != NULL) {
        done(user, err.rc != FLV_OK ? &err : NULL);
    }
}

static void nothing_left(struct flv_task *t)
{
    complete(FLV_OWNER_OF(t, struct flv__flush_marks, over));
}

static void stored(void *user, const struct flv_err *err)
{
    struct part *p = user;
    struct flv__flush_marks *m = p->flush;
    struct flv__feed *f = p->feed;

    if (err == NULL) {
        m->consumer->stats.commits++;
    } else {
        if (m->err.rc == FLV_OK) {
            m->err = *err;
        }
        if (f->asked == p->offset) {
            f->asked = -1; /* once more next time */
        }
    }
    assert(m->pending > 0);
    if (--m->pending == 0) {
        complete(m);
    }
}

static flv_rc store_marks(struct flv__flush_marks *m, struct flv_err *err)
{
    struct flv_consumer *k = m->consumer;
    flv_rc rc = FLV_OK;

    for (size_t i = 0; rc == FLV_OK && i < k->feed_count; i++) {
        struct flv__feed *f = k->feeds[i];
        struct part *p = &m->parts[m->count];

        if (f->marked < 0 || f->marked == f->asked) {
            continue;
        }
        *p = (struct part){.flush = m, .feed = f, .offset = f->marked};
        rc = flv__commit_add(f, f->marked, stored, p, err);
        if (rc == FLV_OK) {
            f->asked = f->marked;
            m->count++;
            m->pending++;
        }
    }
    return rc;
}

flv_rc flv__marks_flush(struct flv_consumer *k,
                        flv_done_fn done,
                        void *user,
                        struct flv_err *err)
{
    struct flv__flush_marks *m =
        flv_zalloc(1, sizeof(*m) + k->feed_count * sizeof(struct part));
    struct flv_err why = {.rc = FLV_OK};

    if (m == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for offsets");
    }
    m->consumer = k;
    m->done = done;
    m->user = user;
    flv_task_init(&m->over, nothing_left);
    m->next = k->flushes;
    k->flushes = m;
    if (store_marks(m, &why) != FLV_OK) {
        m->err = why; /* is told when those that were sent are answered */
    }
    if (m->pending == 0) {
        flv_loop_defer(k->client->loop, &m->over);
    }
    return FLV_OK;
}

void flv__marks_cancel(struct flv_consumer *k, const struct flv_err *err)
{
    while (k->flushes != NULL) {
        struct flv__flush_marks *m = k->flushes;

        assert(m->pending == 0); /* the commits ended before */
        if (m->err.rc == FLV_OK && m->count == 0) {
            m->err = *err;
        }
        complete(m);
    }
}

/* ------------------------------------------------------- from time to time */

static void period_over(struct flv_timer *t)
{
    struct flv_consumer *k = FLV_OWNER_OF(t, struct flv_consumer, flush_timer);

    if (k->state == FLV__CONSUMER_CLOSING || k->failed || k->flushes != NULL ||
        flv__marks_flush(k, NULL, NULL, NULL) != FLV_OK) {
        return; /* what cannot be stored now is, with the next period */
    }
}

flv_rc flv__marks_start(struct flv_consumer *k, struct flv_err *err)
{
    uint32_t period_ms = k->conf.offset_flush_ms;

    flv_timer_init(&k->flush_timer, k->client->loop, period_over);
    if (k->conf.offsets == FLV_OFFSETS_AUTO && period_ms == 0) {
        period_ms = FLUSH_PERIOD_MS;
    }
    if (k->conf.offsets == FLV_OFFSETS_NONE || period_ms == 0) {
        return FLV_OK;
    }
    return flv_timer_start(&k->flush_timer, period_ms, period_ms, err);
}

/* -------------------------------------------------------------- interface */

static flv_rc check(const struct flv_consumer *k, struct flv_err *err)
{
    if (k->consumer_id[0] == '\0' || k->conf.offsets == FLV_OFFSETS_NONE) {
        return flv_fail(err, FLV_E_INVALID,
                        "offsets are stored for consumers with an id and a "
                        "strategy only");
    }
    if (k->state == FLV__CONSUMER_CLOSING || k->failed) {
        return flv_fail(err, FLV_E_CANCELED, "the consumer has ended");
    }
    return FLV_OK;
}

/* The feed to which such an offset was delivered. */
static flv_rc find(const struct flv_consumer *k,
                   uint32_t partition,
                   int64_t offset,
                   struct flv__feed **out,
                   struct flv_err *err)
{
    for (size_t i = 0; i < k->feed_count; i++) {
        struct flv__feed *f = k->feeds[i];

        if (f->partition != partition) {
            continue;
        }
        if (offset < 0 || offset >= f->next_offset) {
            return flv_fail(err, FLV_E_INVALID,
                            "offset %lld of %s-%u was not delivered yet",
                            (long long)offset, k->topic, partition);
        }
        *out = f;
        return FLV_OK;
    }
    return flv_fail(err, FLV_E_INVALID,
                    "partition %u of %s is not consumed here", partition,
                    k->topic);
}

flv_rc flv_consumer_mark(struct flv_consumer *k,
                         uint32_t partition,
                         int64_t offset,
                         struct flv_err *err)
{
    struct flv__feed *f = NULL;
    flv_rc rc = check(k, err);

    if (rc == FLV_OK) {
        rc = find(k, partition, offset, &f, err);
    }
    if (rc == FLV_OK && offset > f->marked) {
        f->marked = offset;
    }
    return rc;
}

flv_rc flv_consumer_flush(struct flv_consumer *k,
                          flv_done_fn done,
                          void *user,
                          struct flv_err *err)
{
    const flv_rc rc = check(k, err);

    assert(done != NULL);
    return rc == FLV_OK ? flv__marks_flush(k, done, user, err) : rc;
}

flv_rc flv_consumer_commit(struct flv_consumer *k,
                           uint32_t partition,
                           int64_t offset,
                           flv_done_fn done,
                           void *user,
                           struct flv_err *err)
{
    struct flv__feed *f = NULL;
    flv_rc rc = check(k, err);

    assert(done != NULL);
    if (rc == FLV_OK) {
        rc = find(k, partition, offset, &f, err);
    }
    if (rc == FLV_OK) {
        rc = flv__commit_add(f, offset, done, user, err);
    }
    if (rc == FLV_OK) {
        f->marked = offset; /* an older mark does not undo it */
        f->asked = offset;
    }
    return rc;
}
