#include "cli/letters.h"

#include "base/field.h"

#include <assert.h>
#include <inttypes.h>

/* ---- Reading a stretch -------------------------------------------------- */

struct reading {
    struct cli_call call;
    struct flv_timer timer;
    cli_batch_fn fn;
    void *user;
    const char *topic; /* borrowed */
    uint64_t patience_ms;
    bool moved;             /* since the timer fired last */
    struct flv_err trouble; /* what is being repeated, if anything */
    bool closed;
    int64_t *positions; /* borrowed; -1: not known yet */
    uint32_t count, known;
};

static void end_reading(struct reading *r, const struct flv_err *err)
{
    if (!r->call.done) {
        cli_call_end(&r->call, err);
    }
}

static void got_batch(void *user, const struct flv_record_batch *batch)
{
    struct reading *r = user;
    struct flv_err err = {0};
    r->moved = true;
    if (r->call.done) {
        return;
    }
    flv_rc rc = r->fn(r->user, batch, &err);
    if (rc != FLV_OK) {
        end_reading(r, rc == FLV_E_CANCELED ? NULL : &err);
    }
}

static void reading_ended(void *user, const struct flv_err *err)
{
    end_reading(user, err);
}

static void reading_troubled(void *user, const struct flv_err *err)
{
    struct reading *r = user;
    r->trouble = err != NULL ? *err : (struct flv_err){0};
}

static void reading_closed(void *user)
{
    struct reading *r = user;
    r->closed = true;
    flv_loop_stop(r->call.cli->loop);
}

static void no_patience(struct flv_timer *t)
{
    struct reading *r = FLV_OWNER_OF(t, struct reading, timer);
    struct flv_err err = {0};
    if (!r->moved) {
        (void)flv_fail(&err, FLV_E_TIMEOUT,
                       "the cluster sent nothing of topic %.60s for %" PRIu64
                       " ms%s%s",
                       r->topic, r->patience_ms,
                       r->trouble.rc != FLV_OK ? ": " : "", r->trouble.text);
        end_reading(r, &err);
    }
    r->moved = false;
}

/* Runs the consumer to its end and closes it. */
static flv_rc run_reading(struct reading *r,
                          struct cli *c,
                          struct flv_consumer_conf *conf,
                          struct flv_err *err)
{
    struct flv_consumer *k = NULL;
    conf->batch = got_batch;
    conf->ended = reading_ended;
    conf->trouble = reading_troubled;
    conf->user = r;
    r->topic = conf->topic;
    if (r->patience_ms == 0) {
        r->patience_ms = CLI_LETTERS_PATIENCE_MS;
    }
    cli_call_init(&r->call, c);
    flv_timer_init(&r->timer, c->loop, no_patience);
    flv_rc rc = flv_timer_start(&r->timer, r->patience_ms, r->patience_ms, err);
    rc = rc == FLV_OK ? flv_consumer_open(&k, c->client, conf, err) : rc;
    rc = rc == FLV_OK ? cli_call_wait(&r->call, err) : rc;
    flv_timer_stop(&r->timer);
    if (k != NULL) {
        flv_consumer_close(k, reading_closed, r);
        while (!r->closed) {
            flv_loop_run(c->loop);
        }
    }
    return rc;
}

flv_rc cli_read(struct cli *c,
                const struct cli_stretch *what,
                cli_batch_fn fn,
                void *user,
                struct flv_err *err)
{
    struct reading r = {
        .fn = fn, .user = user, .patience_ms = what->patience_ms};
    struct flv_consumer_conf conf = flv_consumer_conf_default(what->topic);
    conf.partitions = &what->partition;
    conf.partition_count = 1;
    conf.start = (struct flv_start){.kind = FLV_START_BEGINNING};
    if (what->first >= 0) {
        conf.start =
            (struct flv_start){.kind = FLV_START_ABSOLUTE, .n = what->first};
    }
    conf.end_offset = what->last;
    conf.stop_at_end = what->last < 0;
    return run_reading(&r, c, &conf, err);
}

/* ---- Positions ---------------------------------------------------------- */

static flv_rc
no_batch(void *user, const struct flv_record_batch *batch, struct flv_err *err)
{
    (void)user;
    (void)batch;
    (void)err;
    return FLV_OK;
}

/* Called again where a connection was lost: the first answer counts. */
static void positioned(void *user, uint32_t partition, int64_t offset)
{
    struct reading *r = user;
    r->moved = true;
    if (partition >= r->count || r->positions[partition] >= 0) {
        return;
    }
    r->positions[partition] = offset;
    if (++r->known == r->count) {
        end_reading(r, NULL);
    }
}

flv_rc cli_positions(struct cli *c,
                     const char *topic,
                     bool end,
                     uint32_t count,
                     int64_t *out,
                     struct flv_err *err)
{
    struct reading r = {.fn = no_batch, .positions = out, .count = count};
    struct flv_consumer_conf conf = flv_consumer_conf_default(topic);
    conf.start =
        (struct flv_start){.kind = end ? FLV_START_END : FLV_START_BEGINNING};
    conf.positioned = positioned;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = -1;
    }
    return run_reading(&r, c, &conf, err);
}

/* ---- Sending ------------------------------------------------------------ */

flv_rc cli_producer_open(struct cli *c,
                         const struct flv_producer_conf *conf,
                         struct flv_producer **out,
                         struct flv_err *err)
{
    struct flv_producer *p = NULL;
    struct cli_call call;
    cli_call_init(&call, c);
    flv_rc rc =
        flv_producer_open(&p, c->client, conf, cli_call_done, &call, err);
    rc = rc == FLV_OK ? cli_call_wait(&call, err) : rc;
    if (rc != FLV_OK) {
        cli_producer_close(c, p);
        return rc;
    }
    *out = p;
    return FLV_OK;
}

static void producer_closed(void *user)
{
    cli_call_end(user, NULL);
}

void cli_producer_close(struct cli *c, struct flv_producer *p)
{
    struct cli_call call;
    if (p == NULL) {
        return;
    }
    cli_call_init(&call, c);
    flv_producer_close(p, 0, producer_closed, &call);
    cli_ignore(cli_call_wait(&call, NULL));
}

static void sent(struct flv_send *send, const struct flv_err *err)
{
    cli_call_end(send->user, err);
}

flv_rc cli_producer_send(struct cli *c,
                         struct flv_producer *p,
                         const struct flv_msg *msgs,
                         size_t count,
                         int64_t *out_offset,
                         struct flv_err *err)
{
    struct cli_call call;
    struct flv_send send = {.done = sent, .user = &call};
    cli_call_init(&call, c);
    flv_rc rc = flv_producer_send(p, msgs, count, &send, err);
    rc = rc == FLV_OK ? cli_call_wait(&call, err) : rc;
    if (rc == FLV_OK) {
        *out_offset = send.offset;
    }
    return rc;
}

/* ---- The letters' topic ------------------------------------------------- */

static flv_rc take_batch(void *user,
                         const struct flv_record_batch *batch,
                         struct flv_err *err)
{
    struct cli_letters *l = user;
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < batch->count && rc == FLV_OK; i++) {
        const struct flv_record_view *r = &batch->records[i];
        rc = r->offset < l->ledger.next
                 ? FLV_OK
                 : cli_ledger_take(&l->ledger, r->offset, r->value, err);
    }
    return rc;
}

static flv_rc
take_upto(struct cli_letters *l, int64_t last, struct flv_err *err)
{
    const struct cli_stretch what = {
        .topic = l->topic,
        .partition = l->partition,
        .first = l->ledger.next > 0 ? l->ledger.next : -1,
        .last = last,
    };
    return cli_read(l->cli, &what, take_batch, l, err);
}

flv_rc cli_letters_update(struct cli_letters *l, struct flv_err *err)
{
    return take_upto(l, -1, err);
}

struct find {
    struct cli_call call;
    const char *topic;
    uint32_t partitions;
};

static void found(void *user,
                  const struct flv_err *err,
                  const struct flv_topic_info *topics,
                  size_t count)
{
    struct find *f = user;
    struct flv_err own = {0};
    if (err == NULL && count == 0) {
        (void)flv_fail(&own, FLV_E_NOT_FOUND, "Topic not found: %s", f->topic);
        err = &own;
    } else if (err == NULL) {
        f->partitions = topics[0].partitions;
    }
    cli_call_end(&f->call, err);
}

static flv_rc
choose_partition(struct cli_letters *l, int64_t partition, struct flv_err *err)
{
    struct find f = {.topic = l->topic};
    cli_call_init(&f.call, l->cli);
    flv_rc rc =
        flv_client_topics(l->cli->client, l->topic, false, found, &f, err);
    rc = rc == FLV_OK ? cli_call_wait(&f.call, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    if (partition < 0 && f.partitions > 1) {
        return flv_fail(err, FLV_E_USAGE,
                        "topic %.100s has %" PRIu32 " partitions; say which "
                        "with '--partition <integer>'",
                        l->topic, f.partitions);
    }
    if (partition >= (int64_t)f.partitions) {
        return flv_fail(err, FLV_E_USAGE,
                        "topic %.100s has no partition %" PRId64
                        ", only 0 to %" PRIu32,
                        l->topic, partition, f.partitions - 1);
    }
    l->partition = partition > 0 ? (uint32_t)partition : 0;
    return FLV_OK;
}

flv_rc cli_letters_open(struct cli_letters *l,
                        struct cli *c,
                        const char *topic,
                        int64_t partition,
                        struct flv_err *err)
{
    *l = (struct cli_letters){.cli = c, .topic = topic};
    cli_ledger_init(&l->ledger);
    flv_rc rc = c->client != NULL ? FLV_OK : cli_connect(c, err);
    rc = rc == FLV_OK ? choose_partition(l, partition, err) : rc;
    return rc == FLV_OK ? cli_letters_update(l, err) : rc;
}

void cli_letters_close(struct cli_letters *l)
{
    if (l->cli != NULL) {
        cli_producer_close(l->cli, l->notes);
        cli_ledger_deinit(&l->ledger);
    }
    *l = (struct cli_letters){.cli = NULL};
}

static flv_rc open_notes(struct cli_letters *l, struct flv_err *err)
{
    if (l->notes != NULL) {
        return FLV_OK;
    }
    struct flv_producer_conf conf = flv_producer_conf_default(l->topic);
    conf.delivery_timeout_ms = CLI_LETTERS_PATIENCE_MS;
    return cli_producer_open(l->cli, &conf, &l->notes, err);
}

flv_rc cli_letters_append(struct cli_letters *l,
                          const struct flv_buf *settlement,
                          struct flv_err *err)
{
    int64_t offset = -1;
    const struct flv_msg msg = {.value = flv_buf_slice(settlement),
                                .partition = (int32_t)l->partition};
    flv_rc rc = open_notes(l, err);
    rc = rc == FLV_OK
             ? cli_producer_send(l->cli, l->notes, &msg, 1, &offset, err)
             : rc;
    if (rc != FLV_OK) {
        flv_err_prefix(err, "settlement to %.60s", l->topic);
        return rc;
    }
    /* Without an offset it is there all the same: the end is behind it. */
    rc = take_upto(l, offset, err);
    if (rc == FLV_OK && offset >= 0 && l->ledger.last != offset) {
        return flv_fail(err, FLV_E_BUSY,
                        "somebody else settled letters of %.60s at the same "
                        "moment",
                        l->topic);
    }
    return rc;
}

/* ---- Letters one by one ------------------------------------------------- */

struct each {
    struct cli_letters *letters;
    const struct cli_choice *choice;
    int64_t last;
    cli_letter_fn fn;
    void *user;
};

static bool is_chosen(const struct cli_choice *c, const struct cli_letter *l)
{
    return (c->connector == NULL || strcmp(l->connector, c->connector) == 0) &&
           (c->stage == 0 || l->stage == c->stage);
}

static flv_rc
each_one(struct each *e, const struct flv_record_view *r, struct flv_err *err)
{
    const struct cli_choice *c = e->choice;
    struct cli_letter letter = {.doc = NULL};
    struct flv_err why = {0};
    flv_rc rc = FLV_OK;
    if (cli_is_settlement(r->value) ||
        (!c->settled && !cli_ledger_is_open(&e->letters->ledger, r->offset))) {
        return FLV_OK;
    }
    if (cli_letter_read(&letter, r->value, &why) == FLV_E_NOMEM) {
        *err = why;
        return why.rc;
    }
    if (letter.doc != NULL && is_chosen(c, &letter)) {
        rc = e->fn(e->user, r, &letter, NULL, err);
    } else if (letter.doc == NULL && c->connector == NULL && c->stage == 0) {
        rc = e->fn(e->user, r, NULL, &why, err);
    }
    cli_letter_deinit(&letter);
    return rc;
}

static flv_rc each_batch(void *user,
                         const struct flv_record_batch *batch,
                         struct flv_err *err)
{
    struct each *e = user;
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < batch->count && rc == FLV_OK; i++) {
        rc = batch->records[i].offset > e->last
                 ? FLV_E_CANCELED
                 : each_one(e, &batch->records[i], err);
    }
    return rc;
}

flv_rc cli_letters_each(struct cli_letters *l,
                        const struct cli_choice *choice,
                        cli_letter_fn fn,
                        void *user,
                        struct flv_err *err)
{
    const struct cli_ledger *ledger = &l->ledger;
    const int64_t end = ledger->next - 1;
    struct each e = {
        .letters = l,
        .choice = choice,
        .last = choice->last < 0 || choice->last > end ? end : choice->last,
        .fn = fn,
        .user = user};
    int64_t first = choice->first;
    if (!choice->settled) {
        first = cli_ledger_next_open(ledger, first);
    } else if (first < ledger->first) {
        first = ledger->first;
    }
    if (first < 0 || first > e.last) {
        return FLV_OK;
    }
    const struct cli_stretch what = {.topic = l->topic,
                                     .partition = l->partition,
                                     .first = first,
                                     .last = e.last};
    return cli_read(l->cli, &what, each_batch, &e, err);
}
