#include "meta_twin.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "loop/pool.h"
#include "server/metadb.h"
#include "server/offsets.h"

#define DIR_NAME "/data"
#define DB_NAME DIR_NAME "/meta.db"
#define TOPICS 4
#define PARTITIONS 3
#define CONSUMERS 64
#define FEW 5 /* consumers of a story that is not big */
#define MAYBES 24
#define SPEC_MAX 3000
#define CHANGES_MAX 600 /* of one turn */
#define MODULES 2
#define PAYLOAD_MAX 150000 /* several parts */

/* Without padding: compared byte by byte. */
struct topic {
    uint64_t id; /* 0: there is none */
    uint64_t partitions, durability, spec_seed, spec_len;
};

struct position {
    int64_t offset, modified_s; /* -1: there is none */
};

/* Without padding, too. */
struct module {
    uint64_t revision; /* 0: there is none */
    uint64_t seed, len;
};

/* All that meta.db holds. */
struct state {
    uint64_t next_id, next_revision;
    struct module modules[MODULES]; /* by key */
    struct topic topics[TOPICS];    /* by name */
    struct position at[TOPICS][PARTITIONS][CONSUMERS];
};

struct twin {
    struct meta_disk disk;
    struct meta_stats *stats;
    struct flv_metadb *db; /* NULL between lives */
    struct flv_loop *loop;
    struct flv_pool *pool;      /* one thread: the metadata's */
    struct flv_offsets offsets; /* of this life */
    unsigned waiting;           /* answers that are due */
    bool faulty;                /* this life: calls may fail on their own */
    bool big;                   /* groups and specs that fill many pages */
    struct state sure;          /* what was answered */
    /* What is there instead if a change without an answer was made. */
    struct state maybe[MAYBES];
    unsigned maybe_count;
    struct state seen;
    char *why;
    size_t why_size;
    bool broken;
};

static uint64_t below(struct twin *t, uint64_t n)
{
    return sim_below(&t->disk.sim, n);
}

__attribute__((format(printf, 2, 3))) static void
broken(struct twin *t, const char *text, ...)
{
    va_list ap;

    if (t->broken) {
        return;
    }
    t->broken = true;
    va_start(ap, text);
    vsnprintf(t->why, t->why_size, text, ap);
    va_end(ap);
}

/* A call failed: may it? */
static void excuse(struct twin *t, const char *what, const struct flv_err *err)
{
    t->stats->failures++;
    if (!t->faulty && !t->disk.sim.down && !t->disk.stopped) {
        broken(t, "%s failed on a disk without faults: %s", what, err->text);
    }
}

/* ---- what rows look like ---- */

static void empty(struct state *s)
{
    memset(s, 0, sizeof *s);
    s->next_id = 1;
    s->next_revision = 1;
    for (size_t i = 0; i < TOPICS * PARTITIONS * CONSUMERS; i++) {
        (&s->at[0][0][0])[i] = (struct position){-1, -1};
    }
}

static void topic_name(char out[16], unsigned topic)
{
    snprintf(out, 16, "topic-%u", topic);
}

/* Those that only big stories have are long, so that rows fill pages. */
static void consumer_name(char out[256], unsigned consumer)
{
    snprintf(out, 256, "c%02u%0*u", consumer, consumer < FEW ? 1 : 240, 0u);
}

/* Bytes that begin with their seed. */
static void fill(uint8_t *out, uint64_t seed, size_t len)
{
    uint64_t z = seed;

    assert(len >= 8);
    memcpy(out, &z, 8);
    for (size_t i = 8; i < len; i++) {
        z = z * 6364136223846793005u + 1442695040888963u;
        out[i] = (uint8_t)(z >> 56);
    }
}

static void fill_spec(uint8_t *out, const struct topic *topic)
{
    assert(topic->spec_len <= SPEC_MAX);
    fill(out, topic->spec_seed, topic->spec_len);
}

static void module_key(char out[16], unsigned module)
{
    snprintf(out, 16, "module-%u", module);
}

/* ---- reading it all ---- */

static flv_rc
see_topic(const struct flv_topic_row *row, void *arg, struct flv_err *err)
{
    struct twin *t = arg;
    uint8_t spec[SPEC_MAX];
    char name[16];
    struct topic seen = {.id = row->id,
                         .partitions = row->partition_count,
                         .durability = row->durability,
                         .spec_len = row->spec.len};

    (void)err;
    for (unsigned i = 0; i < TOPICS; i++) {
        topic_name(name, i);
        if (!flv_slice_eq_str(row->name, name)) {
            continue;
        }
        if (seen.spec_len >= 8 && seen.spec_len <= SPEC_MAX) {
            memcpy(&seen.spec_seed, row->spec.data, 8);
            fill_spec(spec, &seen);
            if (memcmp(spec, row->spec.data, seen.spec_len) == 0 &&
                t->seen.topics[i].id == 0 && row->system == (i == 0)) {
                t->seen.topics[i] = seen;
                return FLV_OK;
            }
        }
    }
    broken(t, "an invented topic: %.*s", (int)row->name.len,
           (const char *)row->name.data);
    return FLV_OK;
}

static flv_rc
see_offset(const struct flv_offset_row *row, void *arg, struct flv_err *err)
{
    struct twin *t = arg;
    char name[256];
    unsigned topic = 0, c = 0;

    (void)err;
    while (topic < TOPICS && t->seen.topics[topic].id != row->topic_id) {
        topic++;
    }
    if (row->consumer.len > 3) {
        c = (unsigned)(row->consumer.data[1] - '0') * 10 +
            (unsigned)(row->consumer.data[2] - '0');
    }
    consumer_name(name, c < CONSUMERS ? c : 0);
    if (topic == TOPICS || row->partition >= PARTITIONS ||
        !flv_slice_eq_str(row->consumer, name) ||
        t->seen.at[topic][row->partition][c].offset != -1) {
        broken(t, "an invented offset: topic %" PRIu64 ", consumer %.*s",
               row->topic_id, (int)row->consumer.len,
               (const char *)row->consumer.data);
        return FLV_OK;
    }
    t->seen.at[topic][row->partition][c] =
        (struct position){row->offset, row->modified_s};
    return FLV_OK;
}

static flv_rc
see_module(const struct flv_module_row *row, void *arg, struct flv_err *err)
{
    struct twin *t = arg;
    char key[16];

    (void)err;
    for (unsigned i = 0; i < MODULES; i++) {
        module_key(key, i);
        if (flv_slice_eq_str(row->key, key) &&
            t->seen.modules[i].revision == 0 && row->revision > 0 &&
            row->payload_bytes >= 8 && row->payload_bytes <= PAYLOAD_MAX &&
            flv_slice_eq_str(row->spec, "spec")) {
            t->seen.modules[i] = (struct module){.revision = row->revision,
                                                 .len = row->payload_bytes};
            return FLV_OK;
        }
    }
    broken(t, "an invented SmartModule: %.*s", (int)row->key.len,
           (const char *)row->key.data);
    return FLV_OK;
}

/* The bytes are those of some store, else metadb's own sum finds them out. */
static flv_rc read_payload(struct twin *t, unsigned i, struct flv_err *err)
{
    static uint8_t want[PAYLOAD_MAX];
    struct module *m = &t->seen.modules[i];
    struct flv_buf got;

    if (m->revision == 0) {
        return FLV_OK;
    }
    flv_buf_init(&got, PAYLOAD_MAX);
    flv_rc rc = flv_metadb_read_module(t->db, m->revision, &got, err);
    if (rc == FLV_OK && got.len == m->len) {
        memcpy(&m->seed, got.data, 8);
        fill(want, m->seed, m->len);
        if (memcmp(want, got.data, m->len) != 0) {
            broken(t, "SmartModule %u has invented bytes", i);
        }
    } else if (rc == FLV_OK || rc == FLV_E_CORRUPT || rc == FLV_E_NOT_FOUND) {
        broken(t, "SmartModule %u has %zu bytes, not %" PRIu64 ": %s", i,
               got.len, m->len, err->text);
    }
    flv_buf_deinit(&got);
    return rc;
}

/* False: it could not be read. */
static bool read_all(struct twin *t)
{
    struct flv_err err = {0};
    struct flv_offset_query every = {.topic_id = 0};

    empty(&t->seen);
    flv_rc rc = flv_metadb_next_id(t->db, &t->seen.next_id, &err);
    if (rc == FLV_OK) {
        rc = flv_metadb_each_topic(t->db, see_topic, t, &err);
    }
    if (rc == FLV_OK) {
        rc = flv_metadb_each_offset(t->db, &every, see_offset, t, &err);
    }
    if (rc == FLV_OK) {
        rc = flv_metadb_next_revision(t->db, &t->seen.next_revision, &err);
    }
    if (rc == FLV_OK) {
        rc = flv_metadb_each_module(t->db, see_module, t, &err);
    }
    for (unsigned i = 0; i < MODULES && rc == FLV_OK; i++) {
        rc = read_payload(t, i, &err);
    }
    if (rc != FLV_OK) {
        excuse(t, "reading", &err);
    }
    return rc == FLV_OK;
}

static bool same(const struct state *a, const struct state *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Says how what was seen differs from what was answered. */
static void tell_difference(struct twin *t, const char *when)
{
    const struct state *want = &t->sure, *got = &t->seen;

    if (got->next_id != want->next_id) {
        broken(t, "%s the next id is %" PRIu64 ", not %" PRIu64, when,
               got->next_id, want->next_id);
    }
    if (got->next_revision != want->next_revision) {
        broken(t, "%s the next revision is %" PRIu64 ", not %" PRIu64, when,
               got->next_revision, want->next_revision);
    }
    for (unsigned i = 0; i < MODULES; i++) {
        const struct module *a = &want->modules[i], *b = &got->modules[i];

        if (memcmp(a, b, sizeof *a) != 0) {
            broken(t,
                   "%s SmartModule %u has revision %" PRIu64 ", not %" PRIu64
                   "%s",
                   when, i, b->revision, a->revision,
                   a->revision == b->revision ? ", but differs" : "");
        }
    }
    for (unsigned i = 0; i < TOPICS; i++) {
        const struct topic *a = &want->topics[i], *b = &got->topics[i];

        if (memcmp(a, b, sizeof *a) != 0) {
            broken(t, "%s topic %u has id %" PRIu64 ", not %" PRIu64 "%s", when,
                   i, b->id, a->id, a->id == b->id ? ", but differs" : "");
        }
    }
    for (unsigned i = 0; i < TOPICS * PARTITIONS * CONSUMERS; i++) {
        const struct position *a = &(&want->at[0][0][0])[i];
        const struct position *b = &(&got->at[0][0][0])[i];

        if (memcmp(a, b, sizeof *a) != 0) {
            broken(t,
                   "%s topic %u partition %u consumer %u is at %" PRId64
                   ", not %" PRId64,
                   when, i / (PARTITIONS * CONSUMERS),
                   i / CONSUMERS % PARTITIONS, i % CONSUMERS, b->offset,
                   a->offset);
        }
    }
}

/* In one life a change that failed has not been made. */
static void check_now(struct twin *t)
{
    if (read_all(t) && !same(&t->seen, &t->sure)) {
        tell_difference(t, "in the same life");
    }
}

/* After a new start each change without an answer is there as a whole or not
 * at all; what is seen now has to stay. */
static void check_start(struct twin *t)
{
    if (!read_all(t)) {
        return;
    }
    for (unsigned i = 0; i < t->maybe_count; i++) {
        if (same(&t->seen, &t->maybe[i]) && !same(&t->seen, &t->sure)) {
            t->stats->late_new++;
            t->sure = t->seen;
            t->maybe_count = 0;
            return;
        }
    }
    if (!same(&t->seen, &t->sure)) {
        tell_difference(t, "after a new start");
        return;
    }
    t->stats->late_gone += t->maybe_count > 0;
    t->maybe_count = 0;
}

/* ---- changes ---- */

/* maybe[maybe_count] is what the change makes of it all. */
static struct state *draft(struct twin *t)
{
    assert(t->maybe_count < MAYBES);
    t->maybe[t->maybe_count] = t->sure;
    return &t->maybe[t->maybe_count];
}

static void answered(struct twin *t,
                     const char *what,
                     flv_rc rc,
                     bool in_doubt,
                     const struct flv_err *err)
{
    if (rc != FLV_OK) {
        t->maybe_count += in_doubt;
        t->stats->sure_failures += !in_doubt;
        excuse(t, what, err);
        return;
    }
    t->stats->commits++;
    if (in_doubt) {
        broken(t, "%s succeeded and left the doubt before it", what);
    }
    /* It took the place of all that failed before it. */
    t->sure = t->maybe[t->maybe_count];
    t->maybe_count = 0;
}

/* Nothing but the end of a doubt. */
static void settle(struct twin *t)
{
    struct flv_err err = {0};

    draft(t);
    t->stats->settled += flv_metadb_in_doubt(t->db);
    flv_rc rc = flv_metadb_settle(t->db, &err);
    answered(t, "settling", rc, flv_metadb_in_doubt(t->db), &err);
}

static void forget_offsets(struct state *s, unsigned topic)
{
    for (size_t i = 0; i < PARTITIONS * CONSUMERS; i++) {
        (&s->at[topic][0][0])[i] = (struct position){-1, -1};
    }
}

static void put_topic(struct twin *t, unsigned i)
{
    struct state *s = draft(t);
    struct flv_err err = {0};
    uint8_t spec[SPEC_MAX];
    char name[16];

    if (s->topics[i].id == 0) {
        s->topics[i].id = s->next_id++;
    }
    s->topics[i].partitions = 1 + below(t, 9);
    s->topics[i].durability = below(t, 2);
    s->topics[i].spec_seed = sim_random(&t->disk.sim);
    s->topics[i].spec_len = 8 + below(t, t->big ? SPEC_MAX - 8 : 60);
    fill_spec(spec, &s->topics[i]);
    topic_name(name, i);
    struct flv_topic_row row = {
        .id = s->topics[i].id,
        .name = flv_slice_str(name),
        .partition_count = (uint32_t)s->topics[i].partitions,
        .durability = (uint8_t)s->topics[i].durability,
        .system = i == 0,
        .spec_version = 19,
        .spec = flv_slice(spec, s->topics[i].spec_len),
    };
    flv_rc rc = flv_metadb_put_topic(t->db, &row, &err);
    answered(t, "storing a topic", rc, flv_metadb_in_doubt(t->db), &err);
}

static void delete_topic(struct twin *t, unsigned i)
{
    struct state *s = draft(t);
    struct flv_err err = {0};
    uint64_t id = s->topics[i].id;

    memset(&s->topics[i], 0, sizeof s->topics[i]);
    forget_offsets(s, i);
    flv_rc rc =
        flv_metadb_delete_topic(t->db, id != 0 ? id : s->next_id + 7, &err);
    answered(t, "deleting a topic", rc, flv_metadb_in_doubt(t->db), &err);
}

/* ---- consumer offsets, through src/server/offsets.c ---- */

/* A change that was asked for, and what came of it. */
struct wish {
    struct flv_offset_op op; /* first */
    struct twin *t;
    unsigned topic, partition, consumer;
    flv_rc rc;
    bool found, in_doubt;
    struct flv_err err;
};

/* A question for one position, put between two groups. */
struct query {
    struct flv_offset_ask ask; /* first */
    struct twin *t;
    unsigned topic, partition, consumer;
    bool asked;
    flv_rc rc;
    size_t count;
    struct position seen;
};

static void wish_done(struct flv_offset_op *op,
                      flv_rc rc,
                      bool found,
                      const struct flv_err *err)
{
    struct wish *w = (struct wish *)op;

    w->rc = rc;
    w->found = found;
    w->in_doubt = flv_metadb_in_doubt(w->t->db);
    if (err != NULL) {
        w->err = *err;
    }
    w->t->waiting--;
}

static void ask_for(struct twin *t, struct wish *w)
{
    unsigned consumer = (unsigned)below(t, t->big ? CONSUMERS : FEW);

    *w = (struct wish){.t = t,
                       .topic = (unsigned)below(t, TOPICS),
                       .partition = (unsigned)below(t, PARTITIONS),
                       .consumer = consumer};
    uint64_t id = t->sure.topics[w->topic].id;
    consumer_name(w->op.name, consumer);
    w->op.done = wish_done;
    w->op.change = (struct flv_offset_change){
        .row = {.topic_id = id != 0 ? id : t->sure.next_id + w->topic,
                .partition = w->partition,
                .consumer = flv_slice_str(w->op.name),
                .offset = (int64_t)below(t, 1u << 30),
                .modified_s = (int64_t)below(t, 1u << 30)},
        .remove = below(t, 8) == 0,
    };
    t->waiting++;
    flv_offsets_change(&t->offsets, &w->op);
}

/* Makes it in the state; true: its row or topic is there to be found. */
static bool make_wish(struct state *s, const struct wish *w)
{
    struct position *at = &s->at[w->topic][w->partition][w->consumer];
    const struct flv_offset_row *row = &w->op.change.row;
    bool was_there = at->offset != -1;

    if (w->op.change.remove) {
        *at = (struct position){-1, -1};
        return was_there;
    }
    if (s->topics[w->topic].id != row->topic_id) {
        return false;
    }
    *at = (struct position){row->offset, row->modified_s};
    return true;
}

/* The wishes of one transaction: all were answered alike. */
static void check_group(struct twin *t, const struct wish *w, size_t n)
{
    struct state *s = draft(t);
    bool told = true;

    for (size_t i = 0; i < n; i++) {
        told &= make_wish(s, &w[i]) == w[i].found;
        if (w[i].rc != w[0].rc) {
            broken(t, "one group of offsets had two ends");
        }
    }
    answered(t, "storing offsets", w[0].rc, w[0].in_doubt, &w[0].err);
    if (w[0].rc == FLV_OK && !told) {
        broken(t, "a group of offsets was told wrongly what it found");
    }
}

static void query_done(struct flv_offset_ask *ask)
{
    struct query *q = (struct query *)ask;

    q->rc = ask->rc;
    q->count = ask->count;
    q->seen = (struct position){-1, -1};
    if (ask->count == 1) {
        q->seen =
            (struct position){ask->rows[0].offset, ask->rows[0].modified_s};
    }
    q->t->waiting--;
}

static void start_query(struct twin *t, struct query *q)
{
    *q = (struct query){.t = t,
                        .asked = true,
                        .topic = (unsigned)below(t, TOPICS),
                        .partition = (unsigned)below(t, PARTITIONS),
                        .consumer = (unsigned)below(t, FEW)};
    q->ask.max = 2;
    q->ask.done = query_done;
    consumer_name(q->ask.name, q->consumer);
    q->ask.query = (struct flv_offset_query){
        .topic_id = t->sure.topics[q->topic].id,
        .partition = q->partition,
        .consumer = flv_slice_str(q->ask.name),
    };
    if (q->ask.query.topic_id == 0) {
        q->asked = false;
        return;
    }
    t->waiting++;
    flv_offsets_query(&t->offsets, &q->ask);
}

static void check_query(struct twin *t, const struct query *q)
{
    const struct position *want =
        &t->sure.at[q->topic][q->partition][q->consumer];

    if (!q->asked) {
        return;
    }
    if (q->rc != FLV_OK) {
        excuse(t, "asking for an offset", &q->ask.err);
    } else if (q->count > 1 || memcmp(want, &q->seen, sizeof *want) != 0) {
        broken(t, "a consumer was told %" PRId64 ", not %" PRId64,
               q->seen.offset, want->offset);
    }
}

/* What is asked for in one turn: the first goes alone, at once, and all that
 * comes while that is under way goes together. A question waits for its turn
 * behind the first. */
static void commit_offsets(struct twin *t)
{
    static struct wish wishes[CHANGES_MAX];
    static struct query query;
    size_t n = 1 + below(t, t->big && below(t, 2) == 0 ? CHANGES_MAX : 6);

    query.asked = false;
    for (size_t i = 0; i < n; i++) {
        ask_for(t, &wishes[i]);
        if (i == 0 && below(t, 3) == 0) {
            start_query(t, &query);
        }
    }
    while (t->waiting > 0) {
        (void)flv_loop_turn(t->loop, true);
    }
    check_group(t, wishes, 1);
    check_query(t, &query);
    if (n > 1) {
        check_group(t, wishes + 1, n - 1);
    }
}

/* ---- SmartModules ---- */

static void put_module(struct twin *t)
{
    static uint8_t payload[PAYLOAD_MAX];
    struct state *s = draft(t);
    struct flv_err err = {0};
    unsigned i = (unsigned)below(t, MODULES);
    struct module *m = &s->modules[i];
    char key[16];

    m->revision = s->next_revision++;
    m->seed = sim_random(&t->disk.sim);
    m->len = 8 + below(t, t->big ? PAYLOAD_MAX - 8 : 500);
    fill(payload, m->seed, m->len);
    module_key(key, i);
    const struct flv_module_row row = {.key = flv_slice_str(key),
                                       .revision = m->revision,
                                       .payload_bytes = m->len,
                                       .spec_version = 19,
                                       .spec = flv_slice_str("spec")};
    flv_rc rc =
        flv_metadb_put_module(t->db, &row, flv_slice(payload, m->len), &err);
    answered(t, "storing a SmartModule", rc, flv_metadb_in_doubt(t->db), &err);
}

static void delete_module(struct twin *t)
{
    struct state *s = draft(t);
    struct flv_err err = {0};
    unsigned i = (unsigned)below(t, MODULES);
    bool want = s->modules[i].revision != 0, found = !want;
    char key[16];

    memset(&s->modules[i], 0, sizeof s->modules[i]);
    module_key(key, i);
    flv_rc rc =
        flv_metadb_delete_module(t->db, flv_slice_str(key), &found, &err);
    answered(t, "deleting a SmartModule", rc, flv_metadb_in_doubt(t->db), &err);
    if (rc == FLV_OK && found != want) {
        broken(t, "a deletion was told wrongly whether it found something");
    }
}

static void step(struct twin *t)
{
    unsigned i = (unsigned)below(t, TOPICS);
    uint64_t db_syncs = t->disk.count[META_DB];

    switch (below(t, 12)) {
    case 0:
    case 1:
        put_topic(t, i);
        break;
    case 2:
        delete_topic(t, i);
        break;
    case 3:
        check_now(t);
        break;
    case 4:
    case 5:
        put_module(t);
        break;
    case 6:
        delete_module(t);
        break;
    case 7:
        settle(t);
        break;
    default:
        commit_offsets(t);
        break;
    }
    t->stats->checkpoints += t->disk.count[META_DB] > db_syncs;
}

/* ---- lives ---- */

/* How the disk behaves in this life. */
static void tune(struct twin *t, bool last)
{
    struct sim *sim = &t->disk.sim;
    unsigned often = 3 + (unsigned)below(t, 40);

    sim->faults = (struct sim_faults){0};
    sim->space = UINT64_MAX;
    sim->down_at = 0;
    t->faulty = !last && below(t, 3) == 0;
    if (last) {
        return;
    }
    if (below(t, 2) == 0) {
        uint64_t far = t->big ? 4000 : 400;

        sim->down_at = sim->calls + 1 + below(t, below(t, 2) == 0 ? 60 : far);
    }
    sim->faults.shorter = below(t, 4) == 0 ? often : 0;
    if (!t->faulty) {
        return;
    }
    sim->faults.sync = below(t, 2) == 0 ? often : 0;
    sim->faults.write = below(t, 3) == 0 ? often : 0;
    sim->faults.no_space = below(t, 3) == 0 ? often : 0;
    sim->faults.read = below(t, 6) == 0 ? often * 4 : 0;
    sim->faults.names = below(t, 4) == 0 ? often : 0;
    if (below(t, 6) == 0) {
        sim->space = below(t, 200000);
    }
}

static void start(struct twin *t, bool last)
{
    struct flv_err err = {0};

    if (flv_metadb_create(&t->db, DB_NAME, false, &err) != FLV_OK) {
        t->stats->unopened++;
        excuse(t, "opening", &err);
        return;
    }
    flv_offsets_init(&t->offsets, t->db, t->pool, t->loop);
    check_start(t);
    if (!t->broken && (last || below(t, 8) == 0) &&
        flv_metadb_check(t->db, &err) != FLV_OK) {
        excuse(t, "the integrity check", &err);
    }
}

static void end(struct twin *t)
{
    struct sim *sim = &t->disk.sim;
    unsigned how = (unsigned)below(t, 8);

    if (how < 6 && !sim->down) {
        sim->down = true; /* nothing is written on the way out */
    }
    t->stats->closes += !sim->down;
    flv_metadb_destroy(t->db);
    t->db = NULL;
    sim_restart(sim);
    if (t->disk.stopped || how % 2 == 0) {
        t->stats->power_cuts++;
        meta_disk_power_cut(&t->disk);
    } else {
        t->stats->kills++;
    }
}

static void live(struct twin *t, bool last)
{
    t->stats->lives++;
    tune(t, last);
    start(t, last);
    /* Some lives only look: what they saw has to stay without their help. */
    bool idle = last || below(t, 4) == 0;
    for (uint64_t n = idle ? 0 : below(t, t->big ? 40 : 16);
         n > 0 && t->db != NULL && !t->broken && !t->disk.sim.down &&
         t->maybe_count + 1 < MAYBES;
         n--) {
        step(t);
        if (t->maybe_count > 0 && below(t, 2) == 0) {
            break; /* in the middle of a doubt */
        }
    }
    end(t);
}

bool meta_twin_run(uint64_t seed,
                   unsigned ignored,
                   struct meta_stats *stats,
                   char *why,
                   size_t why_size)
{
    struct twin *t = calloc(1, sizeof *t);

    assert(t != NULL && why_size > 0);
    why[0] = '\0';
    t->stats = stats;
    t->why = why;
    t->why_size = why_size;
    stats->stories++;
    sim_init(&t->disk.sim, seed);
    sim_mkdir(&t->disk.sim, DIR_NAME);
    meta_disk_use(&t->disk, seed);
    t->disk.ignored = ignored;
    t->big = below(t, 16) == 0;
    const struct flv_pool_conf pool = {
        .name = "meta", .threads_max = 1, .queue_max = 8};
    flv_rc rc = flv_loop_create(&t->loop, 0, NULL);
    assert(rc == FLV_OK);
    rc = flv_pool_create(&t->pool, t->loop, &pool, NULL);
    assert(rc == FLV_OK);
    (void)rc;
    empty(&t->sure);
    for (uint64_t lives = 1 + below(t, 4); lives > 0 && !t->broken; lives--) {
        live(t, false);
    }
    if (!t->broken) {
        live(t, true);
    }
    for (int i = 0; i < META_CALL_COUNT; i++) {
        stats->count[i] += t->disk.count[i];
    }
    flv_pool_destroy(t->pool);
    while (flv_loop_turn(t->loop, false)) {
    }
    flv_loop_destroy(t->loop);
    sim_deinit(&t->disk.sim);
    bool ok = !t->broken;
    free(t);
    return ok;
}
