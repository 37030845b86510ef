#include "stream/fluvio_tail.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"

#define BLOCK 65536
/* Room in the arena for what is set aside at the ends of its blocks. */
#define SLACK 2

/* A record with what puts it into order. */
struct kept {
    struct flv_record_view view; /* its bytes are the arena's */
    uint32_t partition;
};

struct flv__tail {
    struct flv__tail **list;
    struct flv__tail *next, *prev;
    struct flv_consumer *consumer; /* owned */
    struct flv_tail_conf conf;
    struct flv_arena arena;
    struct kept *kept; /* owned */
    size_t count, cap, bytes;
    struct flv_err err; /* of the answer */
    bool over;
    flv_tail_fn done;
    void *user;
};

static void unlink_tail(struct flv__tail *t)
{
    if (t->prev != NULL) {
        t->prev->next = t->next;
    } else {
        *t->list = t->next;
    }
    if (t->next != NULL) {
        t->next->prev = t->prev;
    }
}

static void free_tail(struct flv__tail *t)
{
    flv_arena_deinit(&t->arena);
    flv_free(t->kept);
    flv_free(t);
}

/* By time; what has the same time, or none, by place. */
static int by_time(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    if (x->view.timestamp_ms != y->view.timestamp_ms) {
        return x->view.timestamp_ms < y->view.timestamp_ms ? -1 : 1;
    }
    if (x->partition != y->partition) {
        return x->partition < y->partition ? -1 : 1;
    }
    return x->view.offset < y->view.offset ? -1 : 1;
}

static void answer(struct flv__tail *t)
{
    struct flv_record_view *views = NULL;
    size_t n = t->count < t->conf.records_max ? t->count : t->conf.records_max;
    if (t->err.rc == FLV_OK && n > 0) {
        views = flv_zalloc(n, sizeof(*views));
        if (views == NULL) {
            (void)flv_fail(&t->err, FLV_E_NOMEM,
                           "out of memory for %zu records", n);
        }
    }
    if (views != NULL) {
        qsort(t->kept, t->count, sizeof(*t->kept), by_time);
        for (size_t i = 0; i < n; i++) {
            views[i] = t->kept[t->count - n + i].view;
        }
    }
    t->done(t->user, t->err.rc != FLV_OK ? &t->err : NULL, views,
            views != NULL ? n : 0);
    flv_free(views);
}

static void closed(void *user)
{
    struct flv__tail *t = user;
    unlink_tail(t);
    answer(t);
    free_tail(t);
}

/* The first word counts: nothing is taken from here on. */
static void finish(struct flv__tail *t, const struct flv_err *err)
{
    if (t->over) {
        return;
    }
    t->over = true;
    if (err != NULL) {
        t->err = *err;
    }
    flv_consumer_close(t->consumer, closed, t);
}

static flv_rc keep(struct flv__tail *t,
                   uint32_t partition,
                   const struct flv_record_view *r,
                   struct flv_err *err)
{
    size_t bytes = r->key.len + r->value.len;
    if (bytes > t->conf.bytes_max - t->bytes) {
        return flv_fail(err, FLV_E_LIMIT,
                        "the last records of the topic \"%.60s\" take more "
                        "than %zu bytes",
                        t->conf.topic, t->conf.bytes_max);
    }
    if (t->count == t->cap) {
        size_t cap = t->cap > 0 ? 2 * t->cap : 256;
        struct kept *p = flv_realloc(t->kept, cap * sizeof(*p));
        if (p == NULL) {
            return flv_fail(err, FLV_E_NOMEM, "out of memory for records");
        }
        t->kept = p;
        t->cap = cap;
    }
    struct kept *k = &t->kept[t->count];
    *k = (struct kept){.view = *r, .partition = partition};
    const void *key = flv_arena_copy(&t->arena, r->key.data, r->key.len);
    const void *value = flv_arena_copy(&t->arena, r->value.data, r->value.len);
    if (key == NULL || value == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for records");
    }
    k->view.key.data = key;
    k->view.value.data = value;
    t->bytes += bytes;
    t->count++;
    return FLV_OK;
}

static void on_batch(void *user, const struct flv_record_batch *batch)
{
    struct flv__tail *t = user;
    struct flv_err err = {0};
    for (size_t i = 0; i < batch->count && !t->over; i++) {
        const struct flv_record_view *r = &batch->records[i];
        bool old = r->timestamp_ms >= 0 && r->timestamp_ms < t->conf.since_ms;
        if (!old && keep(t, batch->partition, r, &err) != FLV_OK) {
            finish(t, &err);
        }
    }
}

static void on_ended(void *user, const struct flv_err *err)
{
    finish(user, err);
}

flv_rc flv__tail_open(struct flv__tail **list,
                      struct flv_client *client,
                      const struct flv_tail_conf *conf,
                      flv_tail_fn done,
                      void *user,
                      struct flv_err *err)
{
    struct flv_consumer_conf c = flv_consumer_conf_default(conf->topic);
    struct flv__tail *t = flv_zalloc(1, sizeof(*t));
    assert(conf->records_max > 0 && done != NULL);
    if (t == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for records");
    }
    t->list = list;
    t->conf = *conf;
    t->done = done;
    t->user = user;
    flv_arena_init(&t->arena, BLOCK, SLACK * conf->bytes_max + 16 * BLOCK);
    c.start = (struct flv_start){.kind = FLV_START_FROM_END,
                                 .n = (int64_t)conf->records_max};
    c.stop_at_end = true;
    c.batch = on_batch;
    c.ended = on_ended;
    c.user = t;
    flv_rc rc = flv_consumer_open(&t->consumer, client, &c, err);
    if (rc != FLV_OK) {
        free_tail(t);
        return rc;
    }
    t->next = *list;
    if (t->next != NULL) {
        t->next->prev = t;
    }
    *list = t;
    return FLV_OK;
}

void flv__tail_close_all(struct flv__tail *list)
{
    struct flv_err err = {0};
    (void)flv_fail(&err, FLV_E_CANCELED, "the stream was closed");
    for (struct flv__tail *t = list; t != NULL; t = t->next) {
        finish(t, &err);
    }
}
