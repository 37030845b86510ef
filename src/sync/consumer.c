/* Records out: copied on the loop into blocks, taken from there by the
 * program's thread. While enough of them wait, the consumer is paused. */
#include "sync/sync_priv.h"

#include "base/clock.h"
#include "base/field.h"
#include "base/mem.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WAITING_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define FLUSH_PERIOD_MS 10000

/* What one call of the asynchronous consumer gave. */
struct block {
    struct block *next;
    size_t bytes;
    size_t count, at; /* at: the next one to give */
    struct flv_sync_record records[];
};

/* How far a partition has come. */
struct place {
    uint32_t partition;
    int64_t given;  /* caller: the last offset that next gave */
    int64_t marked; /* lock; -1: none */
    int64_t told;   /* lock: to the loop */
};

struct flv_sync_consumer {
    struct flv__sync_child child;
    struct flv_sync *sync;         /* borrowed */
    struct flv_consumer *consumer; /* loop; NULL: not there, or not any more */
    struct consumer_op *opening;   /* loop: waits for every partition */
    struct consumer_op *closing;   /* owned; for the last call */
    bool broken;                   /* loop: a block could not be made */
    char topic[256];
    enum flv_offset_strategy offsets; /* NONE where there is no id */
    uint32_t flush_ms;
    bool stores_marks; /* MANUAL: the client does, from time to time */
    struct flv_task resume, marker;

    pthread_cond_t came;
    struct block *first, *last;     /* lock: wait to be taken */
    size_t waiting_bytes;           /* lock */
    bool paused, resuming;          /* lock; resuming: the loop was told */
    bool ended;                     /* lock */
    struct flv_err end_err;         /* lock: with ended */
    struct flv_err trouble;         /* lock: what is being repeated now */
    struct place *places;           /* owned; lock where it grows */
    size_t place_count, place_room; /* lock */
    bool marking;                   /* lock: the loop has been told */

    struct block *block;   /* caller: records are given from it */
    size_t found_place;    /* caller: where find_place() looks first */
    size_t last_place;     /* caller: of the last record given */
    int64_t before;        /* caller: given there before that; -1: none */
    bool open_record;      /* caller: it was not followed by another next */
    uint64_t told_mono_ms; /* caller: AUTO, when the loop was told last */
};

struct consumer_op { /* opening, commit, statistics, closing */
    struct flv__sync_op op;
    struct flv_sync_consumer *owner;
    const struct flv_consumer_conf *conf; /* the caller's, for run() */
    struct flv_consumer_stats stats;
};

static flv_rc op_create(struct flv_sync_consumer *k,
                        void (*run)(struct flv__sync_op *op),
                        struct consumer_op **out,
                        struct flv_err *err)
{
    struct consumer_op *o = NULL;
    const flv_rc rc = flv__sync_op_create(k->sync, sizeof(*o), run, &o, err);

    if (rc == FLV_OK) {
        o->owner = k;
        *out = o;
    }
    return rc;
}

/* ------------------------------------------------------- loop: what comes */

static struct block *block_create(const struct flv_sync_consumer *k,
                                  const struct flv_record_batch *b)
{
    size_t bytes = sizeof(struct block);
    struct block *block = NULL;
    uint8_t *to = NULL;

    for (size_t i = 0; i < b->count; i++) {
        bytes += sizeof(struct flv_sync_record) + b->records[i].value.len +
                 (b->records[i].has_key ? b->records[i].key.len : 0);
    }
    block = flv_alloc(bytes);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct block){.bytes = bytes, .count = b->count};
    to = (uint8_t *)&block->records[b->count];
    for (size_t i = 0; i < b->count; i++) {
        const struct flv_record_view *from = &b->records[i];
        const size_t key_len = from->has_key ? from->key.len : 0;

        if (key_len > 0) {
            memcpy(to, from->key.data, key_len);
        }
        if (from->value.len > 0) {
            memcpy(to + key_len, from->value.data, from->value.len);
        }
        block->records[i] = (struct flv_sync_record){
            .topic = k->topic,
            .partition = b->partition,
            .offset = from->offset,
            .timestamp_ms = from->timestamp_ms,
            .key = flv_slice(to, key_len),
            .value = flv_slice(to + key_len, from->value.len),
            .has_key = from->has_key,
        };
        to += key_len + from->value.len;
    }
    return block;
}

static void end(struct flv_sync_consumer *k, const struct flv_err *err)
{
    (void)pthread_mutex_lock(&k->sync->lock);
    if (!k->ended && err != NULL) {
        k->end_err = *err;
    }
    k->ended = true;
    (void)pthread_cond_signal(&k->came);
    (void)pthread_mutex_unlock(&k->sync->lock);
}

static void on_batch(void *user, const struct flv_record_batch *b)
{
    struct flv_sync_consumer *k = user;
    struct block *block = k->broken ? NULL : block_create(k, b);
    struct flv_err err;
    bool full = false;

    if (block == NULL) {
        /* Nothing may be left out: what comes behind is not wanted either. */
        k->broken = true;
        (void)flv_fail(&err, FLV_E_NOMEM, "out of memory for records of %s",
                       k->topic);
        end(k, &err);
        return;
    }
    (void)pthread_mutex_lock(&k->sync->lock);
    if (k->last == NULL) {
        k->first = block;
    } else {
        k->last->next = block;
    }
    k->last = block;
    k->waiting_bytes += block->bytes;
    full = k->waiting_bytes >= WAITING_BYTES_MAX;
    k->paused = k->paused || full;
    (void)pthread_cond_signal(&k->came);
    (void)pthread_mutex_unlock(&k->sync->lock);
    if (full) {
        flv_consumer_pause(k->consumer);
    }
}

static void resume(struct flv_task *t)
{
    struct flv_sync_consumer *k =
        FLV_OWNER_OF(t, struct flv_sync_consumer, resume);
    bool room = false;

    (void)pthread_mutex_lock(&k->sync->lock);
    k->resuming = false;
    room = k->waiting_bytes < WAITING_BYTES_MAX / 2; /* as it was, or less */
    k->paused = k->paused && !room;
    (void)pthread_mutex_unlock(&k->sync->lock);
    if (room && k->consumer != NULL) {
        flv_consumer_resume(k->consumer);
    }
}

static void opened(struct flv_sync_consumer *k, const struct flv_err *err)
{
    struct consumer_op *o = k->opening;

    k->opening = NULL;
    if (o != NULL) {
        flv__sync_done(&o->op, err);
    }
}

static void on_opened(void *user)
{
    opened(user, NULL);
}

static void on_ended(void *user, const struct flv_err *err)
{
    end(user, err);
    opened(user, err);
}

static void on_trouble(void *user, const struct flv_err *err)
{
    struct flv_sync_consumer *k = user;

    flv__sync_note(k->sync, &k->trouble, err);
}

/* ----------------------------------------------------------------- marks */

static void tell_marks(struct flv_sync_consumer *k)
{
    (void)pthread_mutex_lock(&k->sync->lock);
    for (size_t i = 0; k->consumer != NULL && i < k->place_count; i++) {
        struct place *p = &k->places[i];

        /* An ended consumer takes no marks. */
        if (p->marked > p->told &&
            flv_consumer_mark(k->consumer, p->partition, p->marked, NULL) ==
                FLV_OK) {
            p->told = p->marked;
        }
    }
    (void)pthread_mutex_unlock(&k->sync->lock);
}

static void marker(struct flv_task *t)
{
    struct flv_sync_consumer *k =
        FLV_OWNER_OF(t, struct flv_sync_consumer, marker);

    (void)pthread_mutex_lock(&k->sync->lock);
    k->marking = false;
    (void)pthread_mutex_unlock(&k->sync->lock);
    tell_marks(k);
}

/* The caller's thread is the only one that adds places. */
static struct place *find_place(struct flv_sync_consumer *k, uint32_t partition)
{
    if (k->found_place < k->place_count &&
        k->places[k->found_place].partition == partition) {
        return &k->places[k->found_place];
    }
    for (size_t i = 0; i < k->place_count; i++) {
        if (k->places[i].partition == partition) {
            k->found_place = i;
            return &k->places[i];
        }
    }
    return NULL;
}

static struct place *make_place(struct flv_sync_consumer *k, uint32_t partition)
{
    struct place *place = find_place(k, partition);

    if (place != NULL) {
        return place;
    }
    (void)pthread_mutex_lock(&k->sync->lock);
    if (k->place_count == k->place_room) {
        const size_t room = k->place_room > 0 ? k->place_room * 2 : 4;
        struct place *grown = flv_realloc(k->places, room * sizeof(*grown));

        if (grown != NULL) {
            k->places = grown;
            k->place_room = room;
        }
    }
    if (k->place_count < k->place_room) {
        k->found_place = k->place_count++;
        place = &k->places[k->found_place];
        *place = (struct place){
            .partition = partition, .given = -1, .marked = -1, .told = -1};
    }
    (void)pthread_mutex_unlock(&k->sync->lock);
    return place;
}

/* AUTO: all that was given is handled, but for a record that no call of next
 * followed. */
static void mark_handled(struct flv_sync_consumer *k)
{
    (void)pthread_mutex_lock(&k->sync->lock);
    for (size_t i = 0; i < k->place_count; i++) {
        struct place *p = &k->places[i];

        p->marked = k->open_record && i == k->last_place ? k->before : p->given;
    }
    (void)pthread_mutex_unlock(&k->sync->lock);
}

/* With the lock: the loop looks at the marks. */
static void tell_loop(struct flv_sync_consumer *k)
{
    if (!k->marking) {
        k->marking = flv_loop_post(k->sync->loop, &k->marker) == FLV_OK;
    }
}

/* AUTO: next is called. The loop is told now and then. */
static void follow(struct flv_sync_consumer *k, bool tell)
{
    const uint64_t now = flv_clock_mono_ms();

    if (k->offsets != FLV_OFFSETS_AUTO || !k->open_record) {
        return;
    }
    k->open_record = false;
    if (!tell && now - k->told_mono_ms < k->flush_ms) {
        return;
    }
    mark_handled(k);
    k->told_mono_ms = now;
    (void)pthread_mutex_lock(&k->sync->lock);
    tell_loop(k);
    (void)pthread_mutex_unlock(&k->sync->lock);
}

flv_rc flv_sync_mark(struct flv_sync_consumer *k,
                     uint32_t partition,
                     int64_t offset,
                     struct flv_err *err)
{
    struct place *place = find_place(k, partition);

    if (k->offsets != FLV_OFFSETS_MANUAL) {
        return flv_fail(err, FLV_E_INVALID,
                        "offsets are marked by consumers with an id and "
                        "manual offsets only");
    }
    if (place == NULL || offset < 0 || offset > place->given) {
        return flv_fail(err, FLV_E_INVALID,
                        "offset %lld of %.100s-%u was not given yet",
                        (long long)offset, k->topic, partition);
    }
    (void)pthread_mutex_lock(&k->sync->lock);
    place->marked = offset > place->marked ? offset : place->marked;
    if (k->stores_marks) {
        tell_loop(k);
    }
    (void)pthread_mutex_unlock(&k->sync->lock);
    return FLV_OK;
}

static void commit_run(struct flv__sync_op *op)
{
    struct consumer_op *o = FLV_OWNER_OF(op, struct consumer_op, op);
    struct flv_err err;

    tell_marks(o->owner);
    if (flv_consumer_flush(o->owner->consumer, flv__sync_done_fn, op, &err) !=
        FLV_OK) {
        flv__sync_done(op, &err);
    }
}

static flv_rc
commit(struct flv_sync_consumer *k, uint32_t timeout_ms, struct flv_err *err)
{
    struct consumer_op *o = NULL;
    flv_rc rc = op_create(k, commit_run, &o, err);

    if (k->offsets == FLV_OFFSETS_AUTO) {
        mark_handled(k);
    }
    if (rc == FLV_OK) {
        rc = flv__sync_call(&o->op, flv__sync_deadline(timeout_ms),
                            "storing offsets", err);
        flv__sync_op_release(&o->op);
    }
    return rc;
}

flv_rc flv_sync_commit(struct flv_sync_consumer *k,
                       uint32_t timeout_ms,
                       struct flv_err *err)
{
    if (k->offsets == FLV_OFFSETS_NONE) {
        return flv_fail(err, FLV_E_INVALID,
                        "offsets are stored for consumers with an id and a "
                        "strategy only");
    }
    return commit(k, timeout_ms, err);
}

/* ------------------------------------------------------------------ next */

/* With the lock: the next block, or what is to be said instead. */
static bool
take_block(struct flv_sync_consumer *k, flv__deadline at, struct flv_err *why)
{
    struct flv_sync *s = k->sync;
    bool in_time = true;

    while (k->first == NULL && !k->ended && in_time) {
        in_time = flv__sync_wait(s, &k->came, at);
    }
    k->block = k->first;
    if (k->block == NULL) {
        *why = k->ended ? k->end_err : k->trouble;
        return k->ended;
    }
    k->first = k->block->next;
    k->last = k->first != NULL ? k->last : NULL;
    k->waiting_bytes -= k->block->bytes;
    if (k->paused && !k->resuming && k->waiting_bytes < WAITING_BYTES_MAX / 2) {
        k->resuming = flv_loop_post(s->loop, &k->resume) == FLV_OK;
    }
    return true;
}

static flv_rc give(struct flv_sync_consumer *k,
                   const struct flv_sync_record **out,
                   struct flv_err *err)
{
    const struct flv_sync_record *r = &k->block->records[k->block->at];
    struct place *place = make_place(k, r->partition);

    if (place == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a partition");
    }
    k->block->at++;
    k->last_place = (size_t)(place - k->places);
    k->before = place->given;
    k->open_record = true;
    place->given = r->offset;
    *out = r;
    return FLV_OK;
}

static flv_rc no_record(const struct flv_sync_consumer *k,
                        const struct flv_err *trouble,
                        uint32_t timeout_ms,
                        struct flv_err *err)
{
    char text[FLV_ERR_TEXT_MAX];

    (void)snprintf(text, sizeof(text),
                   "no record of topic %.60s came from %.60s within %u ms",
                   k->topic, k->sync->address, timeout_ms);
    return flv__sync_late(trouble, FLV_E_TIMEOUT, err, text);
}

flv_rc flv_sync_next(struct flv_sync_consumer *k,
                     uint32_t timeout_ms,
                     const struct flv_sync_record **out,
                     struct flv_err *err)
{
    struct flv_err why = {.rc = FLV_OK};
    bool over = false;

    if (k->block != NULL && k->block->at < k->block->count) {
        follow(k, false);
        return give(k, out, err);
    }
    follow(k, true);
    flv_free(k->block);
    k->block = NULL;
    (void)pthread_mutex_lock(&k->sync->lock);
    over = take_block(k, flv__sync_deadline(timeout_ms), &why);
    (void)pthread_mutex_unlock(&k->sync->lock);
    if (k->block != NULL) {
        return give(k, out, err);
    }
    if (!over) {
        return no_record(k, &why, timeout_ms, err);
    }
    if (why.rc != FLV_OK) {
        if (err != NULL) {
            *err = why;
        }
        return why.rc;
    }
    *out = NULL;
    return FLV_OK;
}

static void stats_run(struct flv__sync_op *op)
{
    struct consumer_op *o = FLV_OWNER_OF(op, struct consumer_op, op);

    flv_consumer_stats(o->owner->consumer, &o->stats);
    flv__sync_done(op, NULL);
}

flv_rc flv_sync_consumer_stats(struct flv_sync_consumer *k,
                               struct flv_consumer_stats *out,
                               struct flv_err *err)
{
    struct consumer_op *o = NULL;
    flv_rc rc = op_create(k, stats_run, &o, err);

    if (rc == FLV_OK) {
        rc = flv__sync_call(&o->op, flv__sync_deadline(k->sync->timeout_ms),
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
    struct consumer_op *o = user;

    o->owner->consumer = NULL;
    flv__sync_done(&o->op, NULL);
}

static void close_run(struct flv__sync_op *op)
{
    struct consumer_op *o = FLV_OWNER_OF(op, struct consumer_op, op);
    struct flv_sync_consumer *k = o->owner;
    struct flv_err err;

    (void)flv_fail(&err, FLV_E_CANCELED, "the consumer was closed");
    opened(k, &err);
    if (k->consumer == NULL) {
        flv__sync_done(op, NULL);
        return;
    }
    flv_consumer_close(k->consumer, closed, o);
}

static void consumer_free(struct flv_sync_consumer *k)
{
    while (k->first != NULL) {
        struct block *next = k->first->next;

        flv_free(k->first);
        k->first = next;
    }
    flv_free(k->block);
    flv_free(k->places);
    (void)pthread_cond_destroy(&k->came);
    flv_free(k);
}

/* Whether AUTO has something to store: nothing of a consumer that failed. */
static bool has_handled(struct flv_sync_consumer *k)
{
    bool has = false;

    (void)pthread_mutex_lock(&k->sync->lock);
    has = k->offsets == FLV_OFFSETS_AUTO && k->place_count > 0 &&
          k->end_err.rc == FLV_OK;
    (void)pthread_mutex_unlock(&k->sync->lock);
    return has;
}

flv_rc flv_sync_consumer_close(struct flv_sync_consumer *k,
                               uint32_t timeout_ms,
                               struct flv_err *err)
{
    flv_rc rc = FLV_OK;

    if (k == NULL) {
        return FLV_OK;
    }
    flv__sync_disown(k->sync, &k->child);
    if (timeout_ms > 0 && has_handled(k)) {
        rc = commit(k, timeout_ms, err);
    }
    flv__sync_must(&k->closing->op);
    flv__sync_op_release(&k->closing->op);
    consumer_free(k);
    return rc;
}

static void close_child(struct flv__sync_child *child)
{
    (void)flv_sync_consumer_close(
        FLV_OWNER_OF(child, struct flv_sync_consumer, child), 0, NULL);
}

/* ------------------------------------------------------------------ open */

static void open_run(struct flv__sync_op *op)
{
    struct consumer_op *o = FLV_OWNER_OF(op, struct consumer_op, op);
    struct flv_sync_consumer *k = o->owner;
    struct flv_consumer_conf conf = *o->conf;
    struct flv_err err;

    conf.batch = on_batch;
    conf.ended = on_ended;
    conf.opened = on_opened;
    conf.trouble = on_trouble;
    conf.user = k;
    if (k->offsets == FLV_OFFSETS_AUTO) {
        conf.offsets = FLV_OFFSETS_MANUAL; /* what is handled is known here */
        conf.offset_flush_ms = k->flush_ms;
    }
    k->opening = o;
    if (flv_consumer_open(&k->consumer, op->sync->client, &conf, &err) !=
        FLV_OK) {
        opened(k, &err);
    }
}

static flv_rc create(struct flv_sync *s,
                     const struct flv_consumer_conf *conf,
                     struct flv_sync_consumer **out,
                     struct flv_err *err)
{
    struct flv_sync_consumer *k = flv_zalloc(1, sizeof(*k));
    flv_rc rc = FLV_OK;

    if (k == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a consumer");
    }
    assert(conf->topic != NULL);
    k->sync = s;
    k->child.close = close_child;
    flv_task_init(&k->resume, resume);
    flv_task_init(&k->marker, marker);
    (void)snprintf(k->topic, sizeof(k->topic), "%s", conf->topic);
    k->offsets = conf->consumer_id != NULL ? conf->offsets : FLV_OFFSETS_NONE;
    k->flush_ms =
        conf->offset_flush_ms != 0 ? conf->offset_flush_ms : FLUSH_PERIOD_MS;
    k->stores_marks = conf->offset_flush_ms != 0;
    k->told_mono_ms = flv_clock_mono_ms();
    rc = flv__sync_cond_init(&k->came, err);
    if (rc != FLV_OK) {
        flv_free(k);
        return rc;
    }
    rc = op_create(k, close_run, &k->closing, err);
    if (rc != FLV_OK) {
        consumer_free(k);
        return rc;
    }
    *out = k;
    return FLV_OK;
}

static flv_rc not_opened(struct flv_sync_consumer *k, struct flv_err *err)
{
    struct flv_err trouble;
    char text[FLV_ERR_TEXT_MAX];

    (void)pthread_mutex_lock(&k->sync->lock);
    trouble = k->trouble.rc != FLV_OK ? k->trouble : k->sync->link;
    (void)pthread_mutex_unlock(&k->sync->lock);
    (void)snprintf(text, sizeof(text),
                   "not every partition of topic %.60s at %.60s could be "
                   "opened in time",
                   k->topic, k->sync->address);
    return flv__sync_late(&trouble, FLV_E_TIMEOUT, err, text);
}

flv_rc flv_sync_consumer_open(struct flv_sync_consumer **out,
                              struct flv_sync *s,
                              const struct flv_consumer_conf *conf,
                              struct flv_err *err)
{
    struct flv_sync_consumer *k = NULL;
    struct consumer_op *o = NULL;
    flv_rc rc = FLV_OK;

    if (conf->batch != NULL || conf->ended != NULL || conf->opened != NULL ||
        conf->positioned != NULL || conf->found != NULL ||
        conf->trouble != NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "a blocking consumer calls nothing back: batch, ended "
                        "and the others have to be NULL");
    }
    rc = create(s, conf, &k, err);
    if (rc != FLV_OK) {
        return rc;
    }
    flv__sync_adopt(s, &k->child);
    rc = op_create(k, open_run, &o, err);
    if (rc == FLV_OK) {
        o->conf = conf;
        rc = flv__sync_call(&o->op, flv__sync_deadline(s->timeout_ms),
                            "opening a consumer", err);
        if (flv__sync_is_left(&o->op)) {
            rc = not_opened(k, err);
        }
        flv__sync_op_release(&o->op);
    }
    if (rc != FLV_OK) {
        (void)flv_sync_consumer_close(k, 0, NULL);
        return rc;
    }
    *out = k;
    return FLV_OK;
}
