/* Records in: copied under the lock, handed to the asynchronous producer on
 * the loop, several calls' at once. */
#include "sync/sync_priv.h"

#include "base/field.h"
#include "base/mem.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

struct send_op;
struct producer_op;

/* One record between put and its acknowledgement. */
struct item {
    struct flv_send send;
    struct item *next;
    struct flv_sync_producer *owner; /* borrowed */
    struct send_op *op;              /* who waits for it; NULL: nobody */
    size_t index;                    /* place in that call */
    size_t cost;
    struct flv_msg msg;
    uint8_t bytes[]; /* key and value */
};

struct flv_sync_producer {
    struct flv__sync_child child;
    struct flv_sync *sync;         /* borrowed */
    struct flv_producer *producer; /* loop; NULL: not there, or not any more */
    struct flv_task kick;
    struct producer_op *closing; /* owned; for the last call */
    size_t buffer_max, request_max;
    char topic[64]; /* for texts; cut */

    pthread_cond_t room;
    size_t waiting;            /* lock: threads that wait for room */
    size_t pending;            /* lock: bytes accepted and not settled */
    struct item *first, *last; /* lock: not with the loop yet */
    bool kicked;               /* lock: the loop has been told */
    struct flv_err failed;     /* lock: the first failure nobody was told */
    struct flv_err trouble;    /* lock: what is being repeated now */
};

struct send_op {
    struct flv__sync_op op;
    struct flv_sync_producer *owner;
    struct item *items;           /* owned, until run() hands them over */
    size_t cost;                  /* of them */
    size_t left;                  /* loop: records without an answer */
    struct flv_err first;         /* loop: the first failure */
    struct flv_sync_place *place; /* owned; one per record */
};

/* ------------------------------------------------------------------ items */

static void items_free(struct item *first)
{
    while (first != NULL) {
        struct item *next = first->next;

        flv_free(first);
        first = next;
    }
}

static struct item *item_create(struct flv_sync_producer *p,
                                const struct flv_msg *msg)
{
    const size_t key_len = msg->has_key ? msg->key.len : 0;
    struct item *i = NULL;

    if (key_len > p->request_max || msg->value.len > p->request_max) {
        return NULL;
    }
    i = flv_zalloc(1, sizeof(*i) + key_len + msg->value.len);
    if (i == NULL) {
        return NULL;
    }
    if (key_len > 0) {
        memcpy(i->bytes, msg->key.data, key_len);
    }
    if (msg->value.len > 0) {
        memcpy(i->bytes + key_len, msg->value.data, msg->value.len);
    }
    i->owner = p;
    i->cost = sizeof(*i) + key_len + msg->value.len;
    i->msg = *msg;
    i->msg.key = flv_slice(i->bytes, key_len);
    i->msg.value = flv_slice(i->bytes + key_len, msg->value.len);
    return i;
}

static flv_rc check(const struct flv_sync_producer *p,
                    const struct flv_msg *msgs,
                    size_t count,
                    size_t *out_cost,
                    struct flv_err *err)
{
    size_t cost = 0;

    if (count == 0) {
        return flv_fail(err, FLV_E_INVALID, "there is no record to send");
    }
    for (size_t i = 0; i < count; i++) {
        const size_t key_len = msgs[i].has_key ? msgs[i].key.len : 0;

        if (msgs[i].value.len > p->request_max ||
            key_len > p->request_max - msgs[i].value.len) {
            return flv_fail(err, FLV_E_LIMIT,
                            "a key of %zu and a value of %zu bytes exceed the "
                            "maximum request size (%zu bytes)",
                            key_len, msgs[i].value.len, p->request_max);
        }
        cost += sizeof(struct item) + key_len + msgs[i].value.len;
    }
    if (cost > p->buffer_max) {
        return flv_fail(err, FLV_E_LIMIT,
                        "%zu records take %zu bytes, more than the buffer of "
                        "%zu",
                        count, cost, p->buffer_max);
    }
    *out_cost = cost;
    return FLV_OK;
}

static flv_rc items_create(struct flv_sync_producer *p,
                           const struct flv_msg *msgs,
                           size_t count,
                           struct item **out_first,
                           struct item **out_last,
                           struct flv_err *err)
{
    struct item *first = NULL;
    struct item *last = NULL;

    for (size_t i = 0; i < count; i++) {
        struct item *one = item_create(p, &msgs[i]);

        if (one == NULL) {
            items_free(first);
            return flv_fail(err, FLV_E_NOMEM, "out of memory for a record");
        }
        one->index = i;
        if (last == NULL) {
            first = one;
        } else {
            last->next = one;
        }
        last = one;
    }
    *out_first = first;
    *out_last = last;
    return FLV_OK;
}

/* ------------------------------------------------------- loop: settlement */

static void send_settled(struct item *i, const struct flv_err *err)
{
    struct send_op *o = i->op;

    if (err == NULL) {
        o->place[i->index].offset = i->send.offset;
        o->place[i->index].partition = i->send.partition;
    } else if (o->first.rc == FLV_OK) {
        o->first = *err;
    }
    assert(o->left > 0);
    if (--o->left == 0) {
        flv__sync_done(&o->op, o->first.rc != FLV_OK ? &o->first : NULL);
    }
}

static void settle(struct item *i, const struct flv_err *err)
{
    struct flv_sync_producer *p = i->owner;
    struct flv_sync *s = p->sync;

    (void)pthread_mutex_lock(&s->lock);
    assert(p->pending >= i->cost);
    p->pending -= i->cost;
    if (err != NULL && p->failed.rc == FLV_OK &&
        (i->op == NULL || i->op->op.left_behind)) {
        p->failed = *err;
    }
    if (p->waiting > 0) {
        (void)pthread_cond_broadcast(&p->room);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (i->op != NULL) {
        send_settled(i, err);
    }
    flv_free(i);
}

static void acknowledged(struct flv_send *send, const struct flv_err *err)
{
    settle(FLV_OWNER_OF(send, struct item, send), err);
}

static void hand_over(struct flv_sync_producer *p, struct item *i)
{
    while (i != NULL) {
        struct item *next = i->next;
        struct flv_err err;

        i->send.done = acknowledged;
        if (flv_producer_send(p->producer, &i->msg, 1, &i->send, &err) !=
            FLV_OK) {
            settle(i, &err);
        }
        i = next;
    }
}

/* All that was put. */
static void take_items(struct flv_sync_producer *p)
{
    struct item *first = NULL;

    (void)pthread_mutex_lock(&p->sync->lock);
    first = p->first;
    p->first = NULL;
    p->last = NULL;
    (void)pthread_mutex_unlock(&p->sync->lock);
    hand_over(p, first);
}

static void kicked(struct flv_task *t)
{
    struct flv_sync_producer *p =
        FLV_OWNER_OF(t, struct flv_sync_producer, kick);

    (void)pthread_mutex_lock(&p->sync->lock);
    p->kicked = false;
    (void)pthread_mutex_unlock(&p->sync->lock);
    take_items(p);
}

static void on_trouble(void *user, const struct flv_err *err)
{
    struct flv_sync_producer *p = user;

    flv__sync_note(p->sync, &p->trouble, err);
}

/* --------------------------------------------------------------- put, send */

/* What the caller is told when the time is up. */
static flv_rc late(struct flv_sync_producer *p,
                   flv_rc rc,
                   const char *what,
                   struct flv_err *err)
{
    struct flv_err trouble;
    char text[160];

    (void)pthread_mutex_lock(&p->sync->lock);
    trouble = p->trouble;
    (void)snprintf(text, sizeof(text),
                   "%s: %zu bytes wait for topic %s at %.60s", what, p->pending,
                   p->topic, p->sync->address);
    (void)pthread_mutex_unlock(&p->sync->lock);
    return flv__sync_late(&trouble, rc, err, text);
}

/* With the lock: there is room, or the time is up. */
static bool
wait_for_room(struct flv_sync_producer *p, size_t cost, flv__deadline at)
{
    bool in_time = true;

    p->waiting++;
    while (in_time && p->pending > p->buffer_max - cost) {
        in_time = flv__sync_wait(p->sync, &p->room, at);
    }
    p->waiting--;
    return p->pending <= p->buffer_max - cost;
}

/* Takes room for so many bytes. */
static flv_rc reserve(struct flv_sync_producer *p,
                      size_t cost,
                      flv__deadline at,
                      struct flv_err *err)
{
    bool got = false;

    (void)pthread_mutex_lock(&p->sync->lock);
    got = wait_for_room(p, cost, at);
    p->pending += got ? cost : 0;
    (void)pthread_mutex_unlock(&p->sync->lock);
    return got ? FLV_OK : late(p, FLV_E_BUSY, "no room for a record", err);
}

static void
append(struct flv_sync_producer *p, struct item *first, struct item *last)
{
    struct flv_sync *s = p->sync;

    (void)pthread_mutex_lock(&s->lock);
    if (p->last == NULL) {
        p->first = first;
    } else {
        p->last->next = first;
    }
    p->last = last;
    /* A full mailbox: the next put or flush tells the loop. */
    if (!p->kicked) {
        p->kicked = flv_loop_post(s->loop, &p->kick) == FLV_OK;
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* Checked and copied, with room for them. */
static flv_rc prepare(struct flv_sync_producer *p,
                      const struct flv_msg *msgs,
                      size_t count,
                      flv__deadline at,
                      struct item *out[2],
                      size_t *out_cost,
                      struct flv_err *err)
{
    flv_rc rc = check(p, msgs, count, out_cost, err);

    if (rc == FLV_OK) {
        rc = items_create(p, msgs, count, &out[0], &out[1], err);
    }
    if (rc == FLV_OK) {
        rc = reserve(p, *out_cost, at, err);
        if (rc != FLV_OK) {
            items_free(out[0]);
        }
    }
    return rc;
}

flv_rc flv_sync_put(struct flv_sync_producer *p,
                    const struct flv_msg *msgs,
                    size_t count,
                    uint32_t timeout_ms,
                    struct flv_err *err)
{
    struct item *ends[2] = {NULL, NULL};
    size_t cost = 0;
    const flv_rc rc = prepare(p, msgs, count, flv__sync_deadline(timeout_ms),
                              ends, &cost, err);

    if (rc == FLV_OK) {
        append(p, ends[0], ends[1]);
    }
    return rc;
}

static void give_back(struct flv_sync_producer *p, size_t cost)
{
    (void)pthread_mutex_lock(&p->sync->lock);
    assert(p->pending >= cost);
    p->pending -= cost;
    (void)pthread_cond_broadcast(&p->room);
    (void)pthread_mutex_unlock(&p->sync->lock);
}

static void send_drop(struct flv__sync_op *op)
{
    struct send_op *o = FLV_OWNER_OF(op, struct send_op, op);

    if (o->items != NULL) { /* never ran */
        give_back(o->owner, o->cost);
        items_free(o->items);
    }
    flv_free(o->place);
}

static void send_run(struct flv__sync_op *op)
{
    struct send_op *o = FLV_OWNER_OF(op, struct send_op, op);
    struct item *first = o->items;

    o->items = NULL;
    take_items(o->owner); /* what was put before goes before */
    hand_over(o->owner, first);
}

static flv_rc send_create(struct flv_sync_producer *p,
                          size_t count,
                          struct send_op **out,
                          struct flv_err *err)
{
    struct send_op *o = NULL;
    flv_rc rc = flv__sync_op_create(p->sync, sizeof(*o), send_run, &o, err);

    if (rc != FLV_OK) {
        return rc;
    }
    o->op.drop = send_drop;
    o->owner = p;
    o->left = count;
    o->place = flv_zalloc(count, sizeof(*o->place));
    if (o->place == NULL) {
        flv__sync_op_release(&o->op);
        return flv_fail(err, FLV_E_NOMEM, "out of memory for offsets");
    }
    for (size_t i = 0; i < count; i++) {
        o->place[i].offset = -1;
    }
    *out = o;
    return FLV_OK;
}

flv_rc flv_sync_send(struct flv_sync_producer *p,
                     const struct flv_msg *msgs,
                     size_t count,
                     struct flv_sync_place *places,
                     uint32_t timeout_ms,
                     struct flv_err *err)
{
    const flv__deadline at = flv__sync_deadline(timeout_ms);
    struct item *ends[2] = {NULL, NULL};
    struct send_op *o = NULL;
    size_t cost = 0;
    flv_rc rc = prepare(p, msgs, count, at, ends, &cost, err);

    if (rc != FLV_OK) {
        return rc;
    }
    rc = send_create(p, count, &o, err);
    if (rc != FLV_OK) {
        give_back(p, cost);
        items_free(ends[0]);
        return rc;
    }
    for (struct item *i = ends[0]; i != NULL; i = i->next) {
        i->op = o;
    }
    o->items = ends[0];
    o->cost = cost;
    rc = flv__sync_call(&o->op, at, "sending", err);
    if (flv__sync_is_left(&o->op)) {
        rc = late(p, FLV_E_TIMEOUT, "not acknowledged in time", err);
    } else if (places != NULL) {
        memcpy(places, o->place, count * sizeof(*places));
    }
    flv__sync_op_release(&o->op);
    return rc;
}

/* ----------------------------------------------------------------- flush */

struct producer_op { /* flush, statistics, opening, closing */
    struct flv__sync_op op;
    struct flv_sync_producer *owner;
    const struct flv_producer_conf *conf; /* the caller's, for run() */
    uint32_t drain_ms;
    struct flv_producer_stats stats;
};

/* The failure that nobody was told, unless nobody is there to be told. */
static struct flv_err take_failure(struct producer_op *o)
{
    struct flv_err err = {.rc = FLV_OK};

    (void)pthread_mutex_lock(&o->op.sync->lock);
    if (!o->op.left_behind) {
        err = o->owner->failed;
        flv_err_clear(&o->owner->failed);
    }
    (void)pthread_mutex_unlock(&o->op.sync->lock);
    return err;
}

static void flushed(void *user, const struct flv_err *err)
{
    struct producer_op *o = user;
    struct flv_err failed = {.rc = FLV_OK};

    if (err == NULL) {
        failed = take_failure(o);
        err = failed.rc != FLV_OK ? &failed : NULL;
    }
    flv__sync_done(&o->op, err);
}

static void flush_run(struct flv__sync_op *op)
{
    struct producer_op *o = FLV_OWNER_OF(op, struct producer_op, op);
    struct flv_err err;

    take_items(o->owner);
    if (flv_producer_flush(o->owner->producer, flushed, o, &err) != FLV_OK) {
        flv__sync_done(op, &err);
    }
}

static flv_rc op_create(struct flv_sync_producer *p,
                        void (*run)(struct flv__sync_op *op),
                        struct producer_op **out,
                        struct flv_err *err)
{
    struct producer_op *o = NULL;
    const flv_rc rc = flv__sync_op_create(p->sync, sizeof(*o), run, &o, err);

    if (rc == FLV_OK) {
        o->owner = p;
        *out = o;
    }
    return rc;
}

flv_rc flv_sync_flush(struct flv_sync_producer *p,
                      uint32_t timeout_ms,
                      struct flv_err *err)
{
    struct producer_op *o = NULL;
    flv_rc rc = op_create(p, flush_run, &o, err);

    if (rc == FLV_OK) {
        rc = flv__sync_call(&o->op, flv__sync_deadline(timeout_ms), "flushing",
                            err);
        if (flv__sync_is_left(&o->op)) {
            rc = late(p, FLV_E_TIMEOUT, "not acknowledged in time", err);
        }
        flv__sync_op_release(&o->op);
    }
    return rc;
}

static void stats_run(struct flv__sync_op *op)
{
    struct producer_op *o = FLV_OWNER_OF(op, struct producer_op, op);

    flv_producer_stats(o->owner->producer, &o->stats);
    flv__sync_done(op, NULL);
}

flv_rc flv_sync_producer_stats(struct flv_sync_producer *p,
                               struct flv_producer_stats *out,
                               struct flv_err *err)
{
    struct producer_op *o = NULL;
    flv_rc rc = op_create(p, stats_run, &o, err);

    if (rc == FLV_OK) {
        rc = flv__sync_call(&o->op, flv__sync_deadline(p->sync->timeout_ms),
                            "counting", err);
        if (rc == FLV_OK) {
            *out = o->stats;
        }
        flv__sync_op_release(&o->op);
    }
    return rc;
}

/* ----------------------------------------------------------------- close */

static void closed(void *user)
{
    struct producer_op *o = user;

    o->owner->producer = NULL;
    flv__sync_done(&o->op, NULL);
}

static void close_run(struct flv__sync_op *op)
{
    struct producer_op *o = FLV_OWNER_OF(op, struct producer_op, op);

    if (o->owner->producer == NULL) {
        flv__sync_done(op, NULL);
        return;
    }
    take_items(o->owner);
    flv_producer_close(o->owner->producer, o->drain_ms, closed, o);
}

static void producer_free(struct flv_sync_producer *p)
{
    (void)pthread_cond_destroy(&p->room);
    flv_free(p);
}

/* The op was made when the producer was, so that closing cannot fail. */
flv_rc flv_sync_producer_close(struct flv_sync_producer *p,
                               uint32_t timeout_ms,
                               struct flv_err *err)
{
    struct flv_err failed;

    if (p == NULL) {
        return FLV_OK;
    }
    flv__sync_disown(p->sync, &p->child);
    p->closing->drain_ms = timeout_ms;
    flv__sync_must(&p->closing->op);
    flv__sync_op_release(&p->closing->op);
    failed = p->failed;
    producer_free(p);
    if (failed.rc != FLV_OK && err != NULL) {
        *err = failed;
    }
    return failed.rc;
}

static void close_child(struct flv__sync_child *child)
{
    (void)flv_sync_producer_close(
        FLV_OWNER_OF(child, struct flv_sync_producer, child), 0, NULL);
}

/* ------------------------------------------------------------------ open */

static void open_run(struct flv__sync_op *op)
{
    struct producer_op *o = FLV_OWNER_OF(op, struct producer_op, op);
    struct flv_producer_conf conf = *o->conf;
    struct flv_err err;

    conf.trouble = on_trouble;
    conf.user = o->owner;
    if (flv_producer_open(&o->owner->producer, op->sync->client, &conf,
                          flv__sync_done_fn, op, &err) != FLV_OK) {
        flv__sync_done(op, &err);
    }
}

static flv_rc create(struct flv_sync *s,
                     const struct flv_producer_conf *conf,
                     struct flv_sync_producer **out,
                     struct flv_err *err)
{
    struct flv_sync_producer *p = flv_zalloc(1, sizeof(*p));
    flv_rc rc = FLV_OK;

    if (p == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a producer");
    }
    assert(conf->topic != NULL);
    p->sync = s;
    p->child.close = close_child;
    flv_task_init(&p->kick, kicked);
    p->buffer_max = conf->buffer_bytes_max;
    p->request_max = conf->request_size_bytes_max;
    (void)snprintf(p->topic, sizeof(p->topic), "%s", conf->topic);
    rc = flv__sync_cond_init(&p->room, err);
    if (rc != FLV_OK) {
        flv_free(p);
        return rc;
    }
    rc = op_create(p, close_run, &p->closing, err);
    if (rc != FLV_OK) {
        producer_free(p);
        return rc;
    }
    *out = p;
    return FLV_OK;
}

flv_rc flv_sync_producer_open(struct flv_sync_producer **out,
                              struct flv_sync *s,
                              const struct flv_producer_conf *conf,
                              struct flv_err *err)
{
    struct flv_sync_producer *p = NULL;
    struct producer_op *o = NULL;
    flv_rc rc = FLV_OK;

    if (conf->transform != NULL || conf->writable != NULL ||
        conf->trouble != NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "a blocking producer calls nothing back: transform, "
                        "writable and trouble have to be NULL");
    }
    rc = create(s, conf, &p, err);
    if (rc != FLV_OK) {
        return rc;
    }
    flv__sync_adopt(s, &p->child);
    rc = op_create(p, open_run, &o, err);
    if (rc == FLV_OK) {
        o->conf = conf;
        rc = flv__sync_call(&o->op, flv__sync_deadline(s->timeout_ms),
                            "opening a producer", err);
        flv__sync_op_release(&o->op);
    }
    if (rc != FLV_OK) {
        (void)flv_sync_producer_close(p, 0, NULL);
        return rc;
    }
    *out = p;
    return FLV_OK;
}
