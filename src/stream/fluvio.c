/* The driver `fluvio`: libfluvio behind the stream's table. */
#include "stream/driver.h"

#include "base/mem.h"
#include "stream/fluvio_reader.h"
#include "stream/fluvio_tail.h"
#include <assert.h>

#define ENSURE_TRIES_MAX 10
/* A stream lives for long, and whoever looks at it wants to see it well within
 * a second of its cluster. */
#define RETRY_MAX_MS 500

struct fluvio_writer {
    struct flv_writer base; /* first */
    struct fluvio_stream *stream;
    struct fluvio_writer *next, *prev; /* in the stream's list */
    struct flv_producer *producer;     /* owned */
    bool closing;
    flv_closed_fn closed;
    void *closed_user;
};

struct fluvio_append {
    struct flv__append base; /* first */
    struct flv_send send;
    struct flv_writer *writer; /* borrowed */
};

struct fluvio_stream {
    struct flv_stream base; /* first */
    struct flv_client *client;
    struct fluvio_writer *writers; /* owned */
    struct flv__tail *tails;       /* owned */
    flv_closed_fn closed;
    void *closed_user;
};

static struct fluvio_stream *stream_of(struct flv_stream *s)
{
    assert(s->driver == &flv__driver_fluvio);
    return (struct fluvio_stream *)(void *)s;
}

static struct fluvio_writer *writer_of(struct flv_writer *w)
{
    return (struct fluvio_writer *)(void *)w;
}

/* --------------------------------------------------------------- stream */

static flv_rc create_client(struct fluvio_stream *s,
                            struct flv_loop *loop,
                            const struct flv_stream_conf *conf,
                            struct flv_err *err)
{
    struct flv_client_conf client = {.address = conf->address};
    struct flv_profiles *profiles = NULL;
    struct flv_profile profile;
    flv_rc rc = FLV_OK;

    if (conf->address == NULL) {
        rc = flv_profiles_load(&profiles, NULL, err);
        if (rc == FLV_OK) {
            rc = flv_profiles_find(profiles, conf->profile, &profile, err);
        }
        if (rc == FLV_OK) {
            rc = flv_client_conf_profile(&client, &profile, err);
        }
    }
    if (conf->client_id != NULL) {
        client.client_id = conf->client_id;
    }
    client.retry_max_ms = RETRY_MAX_MS;
    client.link = conf->link;
    client.user = conf->user;
    if (rc == FLV_OK) {
        rc = flv_client_create(&s->client, loop, &client, err);
    }
    flv_profiles_destroy(profiles);
    return rc;
}

static flv_rc fluvio_create(struct flv_stream **out,
                            struct flv_loop *loop,
                            const struct flv_stream_conf *conf,
                            struct flv_err *err)
{
    struct fluvio_stream *s = NULL;
    flv_rc rc = FLV_OK;

    if (conf->address != NULL && conf->profile != NULL) {
        return flv_fail(err, FLV_E_USAGE,
                        "cluster addr is not valid when profile is used");
    }
    s = flv_zalloc(1, sizeof(*s));
    if (s == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a stream");
    }
    s->base.driver = &flv__driver_fluvio;
    rc = create_client(s, loop, conf, err);
    if (rc != FLV_OK) {
        flv_free(s);
        return rc;
    }
    *out = &s->base;
    return FLV_OK;
}

static flv_rc fluvio_connect(struct flv_stream *s,
                             uint32_t wait_ms,
                             flv_done_fn done,
                             void *user,
                             struct flv_err *err)
{
    return flv_client_connect(stream_of(s)->client, wait_ms, done, user, err);
}

static const char *fluvio_address(const struct flv_stream *s)
{
    return flv_client_address(
        ((const struct fluvio_stream *)(const void *)s)->client);
}

static void client_closed(void *user)
{
    struct fluvio_stream *s = user;
    const flv_closed_fn closed = s->closed;
    void *closed_user = s->closed_user;

    assert(s->writers == NULL && s->tails == NULL);
    flv_free(s);
    if (closed != NULL) {
        closed(closed_user);
    }
}

static void
fluvio_close(struct flv_stream *base, flv_closed_fn closed, void *user)
{
    struct fluvio_stream *s = stream_of(base);

    s->closed = closed;
    s->closed_user = user;
    for (struct fluvio_writer *w = s->writers; w != NULL; w = w->next) {
        if (!w->closing) {
            flv_writer_close(&w->base, 0, NULL, NULL);
        }
    }
    flv__tail_close_all(s->tails);
    flv_client_close(s->client, client_closed, s);
}

/* --------------------------------------------------------------- topics */

struct ensure {
    struct flv_client *client; /* borrowed */
    struct flv_topic_conf topic;
    char *name; /* owned */
    unsigned tries;
    flv_ensured_fn done;
    void *user;
};

static void
ensure_end(struct ensure *e, const struct flv_err *err, bool created)
{
    const flv_ensured_fn done = e->done;
    void *user = e->user;

    flv_free(e->name);
    flv_free(e);
    done(user, err, created);
}

static void ensure_answered(void *user, const struct flv_err *err)
{
    struct ensure *e = user;
    struct flv_err again;

    if (err != NULL && err->rc == FLV_E_EXISTS) {
        ensure_end(e, NULL, false);
        return;
    }
    /* The connection broke: whether the topic was made shows the next try. */
    if (err != NULL && err->rc == FLV_E_CLOSED && e->tries < ENSURE_TRIES_MAX) {
        e->tries++;
        if (flv_client_topic_create(e->client, &e->topic, ensure_answered, e,
                                    &again) == FLV_OK) {
            return;
        }
    }
    ensure_end(e, err, err == NULL);
}

static flv_rc fluvio_topic_ensure(struct flv_stream *s,
                                  const struct flv_topic_conf *topic,
                                  flv_ensured_fn done,
                                  void *user,
                                  struct flv_err *err)
{
    struct ensure *e = flv_zalloc(1, sizeof(*e));
    flv_rc rc = FLV_OK;

    assert(topic->assignment == NULL); /* would have to be copied */
    if (e != NULL) {
        e->name = flv_strdup(topic->name);
    }
    if (e == NULL || e->name == NULL) {
        flv_free(e);
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a topic");
    }
    e->client = stream_of(s)->client;
    e->topic = *topic;
    e->topic.name = e->name;
    e->done = done;
    e->user = user;
    rc = flv_client_topic_create(e->client, &e->topic, ensure_answered, e, err);
    if (rc != FLV_OK) {
        flv_free(e->name);
        flv_free(e);
    }
    return rc;
}

static flv_rc fluvio_tail(struct flv_stream *s,
                          const struct flv_tail_conf *conf,
                          flv_tail_fn done,
                          void *user,
                          struct flv_err *err)
{
    struct fluvio_stream *f = stream_of(s);

    return flv__tail_open(&f->tails, f->client, conf, done, user, err);
}

/* -------------------------------------------------------------- reading */

static flv_rc fluvio_look(struct flv_stream *s,
                          const char *topic,
                          flv_look_fn done,
                          void *user,
                          struct flv_err *err)
{
    return flv__fluvio_look(stream_of(s)->client, topic, done, user, err);
}

static flv_rc fluvio_positions(struct flv_stream *s,
                               const char *consumer,
                               flv_offsets_fn done,
                               void *user,
                               struct flv_err *err)
{
    return flv_client_consumer_offsets(stream_of(s)->client, consumer, done,
                                       user, err);
}

static flv_rc fluvio_position_store(struct flv_stream *s,
                                    const struct flv_position *p,
                                    flv_done_fn done,
                                    void *user,
                                    struct flv_err *err)
{
    return flv_client_position_store(stream_of(s)->client, p, done, user, err);
}

static flv_rc fluvio_reader_open(struct flv_reader **out,
                                 struct flv_stream *s,
                                 const struct flv_reader_conf *conf,
                                 struct flv_err *err)
{
    return flv__fluvio_reader_open(out, stream_of(s)->client, conf, err);
}

/* --------------------------------------------------------- SmartModules */

struct fetch {
    flv_module_fn done;
    void *user;
};

static void fetched(void *user,
                    const struct flv_err *err,
                    const struct flv_smartmodule_info *modules,
                    size_t count)
{
    struct fetch *f = user;
    const struct flv_err *bad = err;

    if (bad == NULL && count > 0 && modules[0].wasm_err.rc != FLV_OK) {
        bad = &modules[0].wasm_err;
    }
    f->done(f->user, bad, bad == NULL && count > 0 ? &modules[0].wasm : NULL);
    flv_free(f);
}

static flv_rc fluvio_smartmodule(struct flv_stream *s,
                                 const char *name,
                                 flv_module_fn done,
                                 void *user,
                                 struct flv_err *err)
{
    struct fetch *f = flv_zalloc(1, sizeof(*f));
    flv_rc rc = FLV_OK;

    if (f == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a SmartModule");
    }
    f->done = done;
    f->user = user;
    rc = flv_client_smartmodules(stream_of(s)->client, name, true, fetched, f,
                                 err);
    if (rc != FLV_OK) {
        flv_free(f);
    }
    return rc;
}

/* --------------------------------------------------------------- writer */

static void send_done(struct flv_send *send, const struct flv_err *err)
{
    struct fluvio_append *a = send->user;

    flv__append_over(a->writer, &a->base, err);
}

static flv_rc writer_append(struct flv_writer *w,
                            const struct flv_msg *msgs,
                            size_t count,
                            struct flv__append *base,
                            struct flv_err *err)
{
    struct fluvio_append *a = (struct fluvio_append *)(void *)base;

    a->writer = w;
    a->send.done = send_done;
    a->send.user = a;
    return flv_producer_send(writer_of(w)->producer, msgs, count, &a->send,
                             err);
}

static void pushed(void *user, const struct flv_err *err)
{
    (void)user; /* every append hears for itself */
    (void)err;
}

static void writer_push(struct flv_writer *w)
{
    struct flv_err err;

    /* Without memory for it, what lingers goes when its time is over. */
    if (flv_producer_flush(writer_of(w)->producer, pushed, NULL, &err) !=
        FLV_OK) {
        return;
    }
}

static void producer_closed(void *user)
{
    struct fluvio_writer *w = user;
    const flv_closed_fn closed = w->closed;
    void *closed_user = w->closed_user;

    assert(w->base.first == NULL && w->base.pending == 0);
    if (w->prev != NULL) {
        w->prev->next = w->next;
    } else {
        w->stream->writers = w->next;
    }
    if (w->next != NULL) {
        w->next->prev = w->prev;
    }
    flv_free(w);
    if (closed != NULL) {
        closed(closed_user);
    }
}

static void writer_close(struct flv_writer *base,
                         uint32_t drain_ms,
                         flv_closed_fn closed,
                         void *user)
{
    struct fluvio_writer *w = writer_of(base);

    assert(!w->closing);
    w->closing = true;
    w->closed = closed;
    w->closed_user = user;
    flv_producer_close(w->producer, drain_ms, producer_closed, w);
}

static const struct flv__writer_ops writer_ops = {
    .append_size = sizeof(struct fluvio_append),
    .append = writer_append,
    .push = writer_push,
    .close = writer_close,
};

static flv_rc fluvio_writer_open(struct flv_writer **out,
                                 struct flv_stream *base,
                                 const struct flv_writer_conf *conf,
                                 flv_done_fn opened,
                                 void *user,
                                 struct flv_err *err)
{
    struct fluvio_stream *s = stream_of(base);
    struct flv_producer_conf p = flv_producer_conf_default(conf->topic);
    struct fluvio_writer *w = flv_zalloc(1, sizeof(*w));
    flv_rc rc = FLV_OK;

    if (w == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a writer");
    }
    w->base.ops = &writer_ops;
    w->base.settled = conf->settled;
    w->base.user = conf->user;
    w->stream = s;
    p.linger_ms = conf->linger_ms;
    p.batch_size_bytes = conf->batch_size_bytes;
    p.request_size_bytes_max = conf->request_size_bytes_max;
    p.buffer_bytes_max = conf->buffer_bytes_max;
    p.compression = conf->compression;
    p.delivery_timeout_ms = conf->delivery_timeout_ms;
    p.writable = conf->writable;
    p.trouble = conf->trouble;
    p.user = conf->user;
    rc = flv_producer_open(&w->producer, s->client, &p, opened, user, err);
    if (rc != FLV_OK) {
        flv_free(w);
        return rc;
    }
    w->next = s->writers;
    if (w->next != NULL) {
        w->next->prev = w;
    }
    s->writers = w;
    *out = &w->base;
    return FLV_OK;
}

const struct flv__driver flv__driver_fluvio = {
    .name = "fluvio",
    .create = fluvio_create,
    .connect = fluvio_connect,
    .address = fluvio_address,
    .close = fluvio_close,
    .topic_ensure = fluvio_topic_ensure,
    .smartmodule = fluvio_smartmodule,
    .tail = fluvio_tail,
    .topic_look = fluvio_look,
    .positions = fluvio_positions,
    .position_store = fluvio_position_store,
    .reader_open = fluvio_reader_open,
    .writer_open = fluvio_writer_open,
};
