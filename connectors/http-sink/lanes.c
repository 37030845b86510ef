#include "lanes.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"

flv_rc lanes_init(struct lanes *l,
                  const struct http_sink_conf *conf,
                  struct flv_err *err)
{
    *l = (struct lanes){.conf = conf, .seed = {flv_rand_u64(), flv_rand_u64()}};
    TAILQ_INIT(&l->ready);
    TAILQ_INIT(&l->asleep);
    TAILQ_INIT(&l->all);
    l->buckets = flv_zalloc(LANES_BUCKETS, sizeof(struct lane *));
    return l->buckets != NULL ? FLV_OK
                              : flv_fail(err, FLV_E_NOMEM, "out of memory");
}

static uint64_t hash_of(const struct lanes *l,
                        uint32_t partition,
                        const struct flv_sink_record *keyed)
{
    struct flv_siphash h;
    flv_siphash_init(&h, l->seed[0], l->seed[1]);
    flv_siphash_add(&h, &partition, sizeof(partition));
    if (keyed != NULL) {
        flv_siphash_add(&h, keyed->key.data, keyed->key.len);
    }
    return flv_siphash_end(&h);
}

/* The key of a lane is that of its records. */
static bool is_of(const struct lane *lane,
                  uint32_t partition,
                  const struct flv_sink_record *keyed)
{
    if (lane->partition != partition || lane->keyed != (keyed != NULL)) {
        return false;
    }
    return keyed == NULL || (lane->first->key.len == keyed->key.len &&
                             (keyed->key.len == 0 ||
                              memcmp(lane->first->key.data, keyed->key.data,
                                     keyed->key.len) == 0));
}

static void leave(struct lanes *l, struct lane *lane)
{
    struct lane **at = &l->buckets[lane->hash % LANES_BUCKETS];
    while (lane->shared && *at != lane) {
        assert(*at != NULL);
        at = &(*at)->same;
    }
    if (lane->shared) {
        *at = lane->same;
    }
    assert(l->count > 0);
    l->count--;
    TAILQ_REMOVE(&l->all, lane, every);
    flv_free(lane);
}

void lanes_deinit(struct lanes *l)
{
    struct lane *lane;
    while (l->buckets != NULL && (lane = TAILQ_FIRST(&l->all)) != NULL) {
        leave(l, lane);
    }
    flv_free(l->buckets);
    l->buckets = NULL;
}

static struct lane *make(struct lanes *l,
                         const struct flv_sink_record *r,
                         const struct flv_sink_record *keyed,
                         uint64_t hash,
                         bool shared)
{
    struct lane *lane = flv_zalloc(1, sizeof(*lane));
    if (lane == NULL) {
        return NULL;
    }
    lane->hash = hash;
    lane->partition = r->batch->partition;
    lane->keyed = keyed != NULL;
    lane->shared = shared;
    lane->backoff.min_ms = l->conf->backoff_min_ms;
    lane->backoff.max_ms = l->conf->backoff_max_ms;
    lane->state = LANE_READY;
    if (shared) {
        lane->same = l->buckets[hash % LANES_BUCKETS];
        l->buckets[hash % LANES_BUCKETS] = lane;
    }
    TAILQ_INSERT_TAIL(&l->ready, lane, link);
    TAILQ_INSERT_TAIL(&l->all, lane, every);
    l->count++;
    return lane;
}

flv_rc
lanes_add(struct lanes *l, struct flv_sink_record *r, struct flv_err *err)
{
    bool by_key = l->conf->order == HTTP_SINK_BY_KEY &&
                  l->conf->format == HTTP_SINK_RECORD && r->has_key;
    const struct flv_sink_record *keyed = by_key ? r : NULL;
    bool shared = l->conf->order != HTTP_SINK_UNORDERED ||
                  l->conf->format != HTTP_SINK_RECORD;
    uint64_t hash = shared ? hash_of(l, r->batch->partition, keyed) : 0;
    struct lane *lane = shared ? l->buckets[hash % LANES_BUCKETS] : NULL;
    while (lane != NULL &&
           (lane->hash != hash || !is_of(lane, r->batch->partition, keyed))) {
        lane = lane->same;
    }
    if (lane == NULL) {
        lane = make(l, r, keyed, hash, shared);
    }
    if (lane == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    r->next = NULL;
    r->own = lane;
    if (lane->last != NULL) {
        lane->last->next = r;
    } else {
        lane->first = r;
    }
    lane->last = r;
    return FLV_OK;
}

struct lane *lanes_next(struct lanes *l)
{
    struct lane *lane = TAILQ_FIRST(&l->ready);
    if (lane != NULL) {
        assert(lane->state == LANE_READY && lane->first != NULL);
        TAILQ_REMOVE(&l->ready, lane, link);
        lane->state = LANE_BUSY;
        l->busy++;
    }
    return lane;
}

/* Out of the state it is in. */
static void depart(struct lanes *l, struct lane *lane)
{
    switch (lane->state) {
    case LANE_READY:
        TAILQ_REMOVE(&l->ready, lane, link);
        break;
    case LANE_BUSY:
        l->busy--;
        break;
    case LANE_ASLEEP:
        TAILQ_REMOVE(&l->asleep, lane, link);
        l->sleeping--;
        break;
    case LANE_BLOCKED:
        l->blocked--;
        break;
    }
}

void lanes_ready(struct lanes *l, struct lane *lane)
{
    depart(l, lane);
    lane->state = LANE_READY;
    TAILQ_INSERT_TAIL(&l->ready, lane, link);
}

void lanes_done(struct lanes *l, struct lane *lane, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert(lane->first != NULL);
        lane->first = lane->first->next;
    }
    flv_backoff_reset(&lane->backoff);
    if (lane->first != NULL) {
        lanes_ready(l, lane);
        return;
    }
    depart(l, lane);
    leave(l, lane);
}

void lanes_sleep(struct lanes *l, struct lane *lane, uint64_t due_ms)
{
    struct lane *at;
    depart(l, lane);
    lane->state = LANE_ASLEEP;
    lane->due_ms = due_ms;
    l->sleeping++;
    TAILQ_FOREACH_REVERSE(at, &l->asleep, lane_list, link)
    {
        if (at->due_ms <= due_ms) {
            break;
        }
    }
    if (at != NULL) {
        TAILQ_INSERT_AFTER(&l->asleep, at, lane, link);
    } else {
        TAILQ_INSERT_HEAD(&l->asleep, lane, link);
    }
}

void lanes_block(struct lanes *l, struct lane *lane)
{
    depart(l, lane);
    lane->state = LANE_BLOCKED;
    l->blocked++;
}

uint64_t lanes_wake(struct lanes *l, uint64_t now_ms)
{
    struct lane *lane;
    while ((lane = TAILQ_FIRST(&l->asleep)) != NULL && lane->due_ms <= now_ms) {
        lanes_ready(l, lane);
    }
    return lane != NULL ? lane->due_ms : 0;
}
