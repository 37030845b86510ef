#include "client/consumer.h"

#include "base/field.h"
#include "base/mem.h"
#include <assert.h>

/* Takes one commit off the list and completes it. */
static void end(struct flv__commit *c, const struct flv_err *err)
{
    struct flv__feed *f = c->feed;
    const flv_done_fn done = c->done;
    void *user = c->user;
    struct flv__commit **at = &f->commits;
    struct flv__commit *before = NULL;

    while (*at != c) {
        assert(*at != NULL);
        before = *at;
        at = &(*at)->next;
    }
    *at = c->next;
    if (f->commit_upto == c) {
        f->commit_upto = before; /* NULL: the answer is nobody's any more */
    }
    flv_timer_stop(&c->timer);
    flv_free(c);
    done(user, err);
}

static void expired(struct flv_timer *t)
{
    struct flv__commit *c = FLV_OWNER_OF(t, struct flv__commit, timer);
    const struct flv_consumer *k = c->feed->consumer;
    struct flv_err err;

    (void)flv_fail(&err, FLV_E_TIMEOUT,
                   "offset %lld of %s-%u was not stored within %u ms",
                   (long long)c->offset, k->topic, c->feed->partition,
                   k->client->conf.request_timeout_ms);
    end(c, &err);
}

/* Everything up to and with `upto` is settled by one answer. */
static void end_upto(struct flv__feed *f, const struct flv_err *err)
{
    while (f->commit_upto != NULL) {
        const bool last = f->commits == f->commit_upto;

        end(f->commits, err);
        if (last) {
            f->commit_upto = NULL;
            return;
        }
    }
}

static void answered(struct flv__call *call,
                     const struct flv__answer *a,
                     const struct flv_err *err)
{
    struct flv__feed *f = call->user;
    struct flv_wire_update_consumer_offset_response answer;
    struct flv_err why = {.rc = FLV_OK};
    struct flv_arena arena;
    struct flv_slice in;

    if (a == NULL) {
        why = *err;
    } else {
        flv_arena_init(&arena, 512, 64 * 1024);
        in = a->body;
        if (flv_wire_update_consumer_offset_response_decode(
                a->version, &in, &arena, &answer, &why) == FLV_OK &&
            answer.error.code != FLV_WIRE_NONE) {
            (void)flv_wire_error_raise(&answer.error, &why);
        }
        flv_arena_deinit(&arena);
    }
    if (why.rc != FLV_OK && a == NULL &&
        flv_rc_class(why.rc) == FLV_CLASS_RETRY) {
        f->commit_upto = NULL; /* again on the next stream */
        return;
    }
    end_upto(f, why.rc != FLV_OK ? &why : NULL);
    flv__feed_pump(f);
}

void flv__commit_send(struct flv__feed *f)
{
    struct flv__commit *last = f->commits;
    struct flv_err err;

    if (last == NULL || f->stream_id == 0 ||
        f->stream.state != FLV__CALL_SENT ||
        f->commit.state != FLV__CALL_IDLE) {
        return;
    }
    while (last->next != NULL) {
        last = last->next;
    }
    f->commit_body = (struct flv_wire_update_consumer_offset_request){
        .offset = last->offset, .stream_id = f->stream_id};
    f->commit = (struct flv__call){
        .api = FLV_API_SPU_UPDATE_CONSUMER_OFFSET,
        .version = -1,
        .only_ready = true,
        .timeout_ms = f->consumer->client->conf.request_timeout_ms,
        .message = {.schema = &flv_wire_update_consumer_offset_request_schema,
                    .body = &f->commit_body},
        .done = answered,
        .user = f,
    };
    if (flv__peer_call(f->peer, &f->commit, &err) == FLV_OK) {
        f->commit_upto = last;
    }
}

void flv__commit_lost(struct flv__feed *f)
{
    flv__peer_cancel(&f->commit);
    f->commit_upto = NULL;
}

void flv__commit_fail_all(struct flv__feed *f, const struct flv_err *err)
{
    flv__commit_lost(f);
    while (f->commits != NULL) {
        end(f->commits, err);
    }
}

int64_t flv__commit_stream_offset(const struct flv__feed *f)
{
    int64_t at = f->next_offset;

    for (const struct flv__commit *c = f->commits; c != NULL; c = c->next) {
        at = c->offset < at ? c->offset : at;
    }
    return at;
}

flv_rc flv__commit_add(struct flv__feed *f,
                       int64_t offset,
                       flv_done_fn done,
                       void *user,
                       struct flv_err *err)
{
    struct flv__commit *c = flv_zalloc(1, sizeof(*c));
    struct flv__commit **at = &f->commits;
    flv_rc rc = FLV_OK;

    if (c == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for an offset");
    }
    c->feed = f;
    c->offset = offset;
    c->done = done;
    c->user = user;
    flv_timer_init(&c->timer, f->consumer->client->loop, expired);
    rc = flv_timer_start(&c->timer,
                         f->consumer->client->conf.request_timeout_ms, 0, err);
    if (rc != FLV_OK) {
        flv_free(c);
        return rc;
    }
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = c;
    flv__feed_pump(f);
    return FLV_OK;
}
