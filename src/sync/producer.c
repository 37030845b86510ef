/* Records in: copied under the lock, handed to the asynchronous producer on
 * the loop, several calls' at once. */
#include "sync/sync_priv.h"

#include "base/bytes.h"
#include "base/field.h"
#include "base/mem.h"
#include "client/producer.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

struct send_op;
struct producer_op;

/* In front of the key and the value of a record that waits for the loop. */
struct head {
    uint32_t key_len, value_len;
    int32_t partition;
    bool has_key;
};

/* The asynchronous producer is given records in groups: few enough that room
 * comes back bit by bit, enough that one token for all of them is little. */
#define GROUP_RECORDS 256
#define GROUP_BYTES ((size_t)64 * 1024)
/* A buffer that grew beyond this is let go when it is empty. */
#define KEEP_BYTES ((size_t)1024 * 1024)

struct group {
    struct flv_send send;
    struct flv_sync_producer *owner; /* borrowed */
    size_t cost;
};

/* A record of one send call. */
struct item {
    struct flv_send send;
    struct send_op *op; /* borrowed */
    size_t cost;
};

struct flv_sync_producer {
    struct flv__sync_child child;
    struct flv_sync *sync;         /* borrowed */
    struct flv_producer *producer; /* loop; NULL: not there, or not any more */
    struct flv_task kick;
    struct producer_op *closing; /* owned; for the last call */
    size_t buffer_max, request_max;
    char topic[64];       /* for texts; cut */
    struct flv_buf taken; /* loop: what it is giving to its producer */

    pthread_cond_t room;
    size_t waiting;         /* lock: threads that wait for room */
    size_t pending;         /* lock: bytes accepted and not settled */
    struct flv_buf put;     /* lock: records not with the loop yet */
    bool kicked;            /* lock: the loop has been told */
    struct flv_err failed;  /* lock: the first failure nobody was told */
    struct flv_err trouble; /* lock: what is being repeated now */
};

struct send_op {
    struct flv__sync_op op;
    struct flv_sync_producer *owner;
    struct flv_buf records;       /* owned, until run() hands them over */
    struct item *items;           /* owned; one per record */
    size_t cost;                  /* of them, until run() */
    size_t left;                  /* loop: records without an answer */
    struct flv_err first;         /* loop: the first failure */
    struct flv_sync_place *place; /* owned; one per record */
};

/* ---------------------------------------------------------------- records */

/* At least what the asynchronous producer counts, so that it has room for what
 * was accepted here. */
static size_t record_cost(const struct flv_msg *msg)
{
    return sizeof(struct head) + flv__lane_record_cost(msg);
}

static size_t key_len_of(const struct flv_msg *msg)
{
    return msg->has_key ? msg->key.len : 0;
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
        const size_t key_len = key_len_of(&msgs[i]);

        if (msgs[i].value.len > p->request_max ||
            key_len > p->request_max - msgs[i].value.len) {
            return flv_fail(err, FLV_E_LIMIT,
                            "a key of %zu and a value of %zu bytes exceed the "
                            "maximum request size (%zu bytes)",
                            key_len, msgs[i].value.len, p->request_max);
        }
        cost += record_cost(&msgs[i]);
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

/* All of them or none: cost is more than they take here. */
static flv_rc write_records(struct flv_buf *to,
                            const struct flv_msg *msgs,
                            size_t count,
                            size_t cost)
{
    flv_rc rc = flv_buf_reserve(to, cost);

    for (size_t i = 0; i < count && rc == FLV_OK; i++) {
        const struct head head = {.key_len = (uint32_t)key_len_of(&msgs[i]),
                                  .value_len = (uint32_t)msgs[i].value.len,
                                  .partition = msgs[i].partition,
                                  .has_key = msgs[i].has_key};

        rc = flv_buf_add(to, &head, sizeof(head));
        if (rc == FLV_OK) {
            rc = flv_buf_add(to, msgs[i].key.data, head.key_len);
        }
        if (rc == FLV_OK) {
            rc = flv_buf_add(to, msgs[i].value.data, head.value_len);
        }
    }
    return rc;
}

/* The first one, off the front. */
static struct flv_msg read_record(struct flv_slice *from)
{
    struct head head;
    struct flv_msg msg;

    assert(from->len >= sizeof(head));
    memcpy(&head, from->data, sizeof(head));
    msg = (struct flv_msg){
        .key = flv_slice(from->data + sizeof(head), head.key_len),
        .value =
            flv_slice(from->data + sizeof(head) + head.key_len, head.value_len),
        .has_key = head.has_key,
        .partition = head.partition,
    };
    *from = flv_slice(msg.value.data + msg.value.len,
                      from->len - sizeof(head) - head.key_len - head.value_len);
    return msg;
}

/* ------------------------------------------------------- loop: settlement */

/* A failure that no call waits for is kept for the next flush. */
static void settle(struct flv_sync_producer *p,
                   size_t cost,
                   const struct flv_err *err,
                   const struct flv__sync_op *op)
{
    struct flv_sync *s = p->sync;

    (void)pthread_mutex_lock(&s->lock);
    assert(p->pending >= cost);
    p->pending -= cost;
    if (err != NULL && p->failed.rc == FLV_OK &&
        (op == NULL || op->left_behind)) {
        p->failed = *err;
    }
    if (p->waiting > 0) {
        (void)pthread_cond_broadcast(&p->room);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

static void group_settled(struct flv_send *send, const struct flv_err *err)
{
    struct group *g = FLV_OWNER_OF(send, struct group, send);

    settle(g->owner, g->cost, err, NULL);
    flv_free(g);
}

static void item_settled(struct flv_send *send, const struct flv_err *err)
{
    struct item *i = FLV_OWNER_OF(send, struct item, send);
    struct send_op *o = i->op;
    const size_t index = (size_t)(i - o->items);

    settle(o->owner, i->cost, err, &o->op);
    if (err == NULL) {
        o->place[index].offset = send->offset;
        o->place[index].partition = send->partition;
    } else if (o->first.rc == FLV_OK) {
        o->first = *err;
    }
    assert(o->left > 0);
    if (--o->left == 0) {
        flv__sync_done(&o->op, o->first.rc != FLV_OK ? &o->first : NULL);
    }
}

/* --------------------------------------------------------- loop: hand over */

static flv_rc send_group(struct flv_sync_producer *p,
                         const struct flv_msg *msgs,
                         size_t count,
                         size_t cost,
                         struct flv_err *err)
{
    struct group *g = flv_zalloc(1, sizeof(*g));
    flv_rc rc = FLV_OK;

    if (g == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a record");
    }
    g->send.done = group_settled;
    g->owner = p;
    g->cost = cost;
    rc = flv_producer_send(p->producer, msgs, count, &g->send, err);
    if (rc != FLV_OK) {
        flv_free(g);
    }
    return rc;
}

/* Where a group is refused, its records go alone: one that cannot be taken
 * costs the others nothing. */
static void hand_over_group(struct flv_sync_producer *p,
                            const struct flv_msg *msgs,
                            size_t count,
                            size_t cost)
{
    struct flv_err err;

    if (send_group(p, msgs, count, cost, &err) == FLV_OK) {
        return;
    }
    if (count == 1) {
        settle(p, cost, &err, NULL);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const size_t one = record_cost(&msgs[i]);

        if (send_group(p, &msgs[i], 1, one, &err) != FLV_OK) {
            settle(p, one, &err, NULL);
        }
    }
}

static void hand_over(struct flv_sync_producer *p, struct flv_slice records)
{
    struct flv_msg msgs[GROUP_RECORDS];

    while (records.len > 0) {
        size_t count = 0;
        size_t cost = 0;

        do {
            msgs[count] = read_record(&records);
            cost += record_cost(&msgs[count]);
            count++;
        } while (records.len > 0 && count < GROUP_RECORDS &&
                 cost < GROUP_BYTES);
        hand_over_group(p, msgs, count, cost);
    }
}

static void let_go(struct flv_buf *b)
{
    flv_buf_reset(b);
    if (b->cap > KEEP_BYTES) {
        flv_buf_deinit(b);
    }
}

/* All that was put. The two buffers change places: none is made anew. */
static void take_records(struct flv_sync_producer *p)
{
    struct flv_buf put;

    assert(p->taken.len == 0);
    (void)pthread_mutex_lock(&p->sync->lock);
    put = p->put;
    p->put = p->taken;
    p->taken = put;
    (void)pthread_mutex_unlock(&p->sync->lock);
    hand_over(p, flv_buf_slice(&p->taken));
    let_go(&p->taken);
}

static void kicked(struct flv_task *t)
{
    struct flv_sync_producer *p =
        FLV_OWNER_OF(t, struct flv_sync_producer, kick);

    (void)pthread_mutex_lock(&p->sync->lock);
    p->kicked = false;
    (void)pthread_mutex_unlock(&p->sync->lock);
    take_records(p);
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

/* With the lock: the loop looks at what was put. A full mailbox: the next put
 * or flush tells it. */
static void tell_loop(struct flv_sync_producer *p)
{
    if (!p->kicked) {
        p->kicked = flv_loop_post(p->sync->loop, &p->kick) == FLV_OK;
    }
}

flv_rc flv_sync_put(struct flv_sync_producer *p,
                    const struct flv_msg *msgs,
                    size_t count,
                    uint32_t timeout_ms,
                    struct flv_err *err)
{
    size_t cost = 0;
    flv_rc rc = check(p, msgs, count, &cost, err);

    if (rc != FLV_OK) {
        return rc;
    }
    (void)pthread_mutex_lock(&p->sync->lock);
    rc = FLV_E_BUSY;
    if (wait_for_room(p, cost, flv__sync_deadline(timeout_ms))) {
        rc = write_records(&p->put, msgs, count, cost);
    }
    if (rc == FLV_OK) {
        p->pending += cost;
        tell_loop(p);
    }
    (void)pthread_mutex_unlock(&p->sync->lock);
    if (rc == FLV_E_BUSY) {
        return late(p, rc, "no room for a record", err);
    }
    return rc == FLV_OK ? rc : flv_fail(err, rc, "out of memory for a record");
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

static void send_drop(struct flv__sync_op *op)
{
    struct send_op *o = FLV_OWNER_OF(op, struct send_op, op);

    if (o->cost > 0) { /* never ran */
        settle(o->owner, o->cost, NULL, NULL);
    }
    flv_buf_deinit(&o->records);
    flv_free(o->items);
    flv_free(o->place);
}

static void send_run(struct flv__sync_op *op)
{
    struct send_op *o = FLV_OWNER_OF(op, struct send_op, op);
    struct flv_slice records = flv_buf_slice(&o->records);

    o->cost = 0;
    take_records(o->owner); /* what was put before goes before */
    for (struct item *i = o->items; records.len > 0; i++) {
        const struct flv_msg msg = read_record(&records);
        struct flv_err err;

        i->send.done = item_settled;
        i->op = o;
        i->cost = record_cost(&msg);
        if (flv_producer_send(o->owner->producer, &msg, 1, &i->send, &err) !=
            FLV_OK) {
            item_settled(&i->send, &err);
        }
    }
    flv_buf_deinit(&o->records);
}

/* Checked and copied, with room for them, in an op that is released by the
 * caller. */
static flv_rc send_create(struct flv_sync_producer *p,
                          const struct flv_msg *msgs,
                          size_t count,
                          flv__deadline at,
                          struct send_op **out,
                          struct flv_err *err)
{
    struct send_op *o = NULL;
    size_t cost = 0;
    flv_rc rc = check(p, msgs, count, &cost, err);

    if (rc == FLV_OK) {
        rc = flv__sync_op_create(p->sync, sizeof(*o), send_run, &o, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    flv_buf_init(&o->records, cost);
    o->op.drop = send_drop;
    o->owner = p;
    o->left = count;
    o->items = flv_zalloc(count, sizeof(*o->items));
    o->place = flv_zalloc(count, sizeof(*o->place));
    if (o->items == NULL || o->place == NULL ||
        write_records(&o->records, msgs, count, cost) != FLV_OK) {
        rc = flv_fail(err, FLV_E_NOMEM, "out of memory for a record");
    }
    for (size_t i = 0; i < count && rc == FLV_OK; i++) {
        o->place[i].offset = -1;
    }
    rc = rc == FLV_OK ? reserve(p, cost, at, err) : rc;
    if (rc != FLV_OK) {
        flv__sync_op_release(&o->op);
        return rc;
    }
    o->cost = cost;
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
    struct send_op *o = NULL;
    flv_rc rc = send_create(p, msgs, count, at, &o, err);

    if (rc != FLV_OK) {
        return rc;
    }
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

    take_records(o->owner);
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
    take_records(o->owner);
    flv_producer_close(o->owner->producer, o->drain_ms, closed, o);
}

static void producer_free(struct flv_sync_producer *p)
{
    (void)pthread_cond_destroy(&p->room);
    flv_buf_deinit(&p->put);
    flv_buf_deinit(&p->taken);
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
    p->buffer_max = conf->buffer_bytes_max > 0 ? conf->buffer_bytes_max : 1;
    flv_buf_init(&p->put, p->buffer_max);
    flv_buf_init(&p->taken, p->buffer_max);
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
