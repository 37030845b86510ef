#include "stream/driver.h"

#include "base/mem.h"
#include <assert.h>

static const struct flv__driver *const drivers[] = {&flv__driver_fluvio};

flv_rc flv_stream_create(struct flv_stream **out,
                         struct flv_loop *loop,
                         const struct flv_stream_conf *conf,
                         struct flv_err *err)
{
    const char *name = conf->driver != NULL ? conf->driver : "fluvio";

    assert(out != NULL && loop != NULL);
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        if (strcmp(name, drivers[i]->name) == 0) {
            return drivers[i]->create(out, loop, conf, err);
        }
    }
    return flv_fail(err, FLV_E_UNSUPPORTED,
                    "there is no stream driver '%.40s'; use fluvio", name);
}

flv_rc flv_stream_connect(struct flv_stream *s,
                          uint32_t wait_ms,
                          flv_done_fn done,
                          void *user,
                          struct flv_err *err)
{
    assert(done != NULL);
    return s->driver->connect(s, wait_ms, done, user, err);
}

const char *flv_stream_address(const struct flv_stream *s)
{
    return s->driver->address(s);
}

void flv_stream_close(struct flv_stream *s, flv_closed_fn closed, void *user)
{
    s->driver->close(s, closed, user);
}

flv_rc flv_stream_topic_ensure(struct flv_stream *s,
                               const struct flv_topic_conf *topic,
                               flv_ensured_fn done,
                               void *user,
                               struct flv_err *err)
{
    assert(done != NULL && topic != NULL);
    return s->driver->topic_ensure(s, topic, done, user, err);
}

flv_rc flv_stream_smartmodule(struct flv_stream *s,
                              const char *name,
                              flv_module_fn done,
                              void *user,
                              struct flv_err *err)
{
    assert(done != NULL && name != NULL);
    return s->driver->smartmodule(s, name, done, user, err);
}

flv_rc flv_stream_tail(struct flv_stream *s,
                       const struct flv_tail_conf *conf,
                       flv_tail_fn done,
                       void *user,
                       struct flv_err *err)
{
    assert(done != NULL && conf->topic != NULL && conf->records_max > 0);
    return s->driver->tail(s, conf, done, user, err);
}

flv_rc flv_stream_topic_look(struct flv_stream *s,
                             const char *topic,
                             flv_look_fn done,
                             void *user,
                             struct flv_err *err)
{
    assert(done != NULL && topic != NULL);
    return s->driver->topic_look(s, topic, done, user, err);
}

flv_rc flv_stream_positions(struct flv_stream *s,
                            const char *consumer,
                            flv_offsets_fn done,
                            void *user,
                            struct flv_err *err)
{
    assert(done != NULL && consumer != NULL);
    return s->driver->positions(s, consumer, done, user, err);
}

flv_rc flv_stream_position_store(struct flv_stream *s,
                                 const struct flv_position *p,
                                 flv_done_fn done,
                                 void *user,
                                 struct flv_err *err)
{
    assert(done != NULL);
    return s->driver->position_store(s, p, done, user, err);
}

flv_rc flv_reader_open(struct flv_reader **out,
                       struct flv_stream *s,
                       const struct flv_reader_conf *conf,
                       struct flv_err *err)
{
    assert(out != NULL && conf->batch != NULL && conf->found != NULL);
    assert(conf->positioned != NULL && conf->ended != NULL);
    return s->driver->reader_open(out, s, conf, err);
}

void flv_reader_hold(struct flv_reader *r, bool on)
{
    r->ops->hold(r, on);
}

flv_rc flv_reader_commit(struct flv_reader *r,
                         int64_t offset,
                         flv_done_fn done,
                         void *user,
                         struct flv_err *err)
{
    return r->ops->commit(r, offset, done, user, err);
}

void flv_reader_close(struct flv_reader *r, flv_closed_fn closed, void *user)
{
    r->ops->close(r, closed, user);
}

struct flv_writer_conf flv_writer_conf_default(const char *topic)
{
    const struct flv_producer_conf p = flv_producer_conf_default(topic);

    return (struct flv_writer_conf){
        .topic = topic,
        .linger_ms = p.linger_ms,
        .batch_size_bytes = p.batch_size_bytes,
        .request_size_bytes_max = p.request_size_bytes_max,
        .buffer_bytes_max = p.buffer_bytes_max,
        .compression = p.compression,
    };
}

flv_rc flv_writer_open(struct flv_writer **out,
                       struct flv_stream *s,
                       const struct flv_writer_conf *conf,
                       flv_done_fn opened,
                       void *user,
                       struct flv_err *err)
{
    assert(out != NULL && conf->settled != NULL && opened != NULL);
    return s->driver->writer_open(out, s, conf, opened, user, err);
}

flv_rc flv_writer_append(struct flv_writer *w,
                         const struct flv_msg *msgs,
                         size_t count,
                         uint64_t token,
                         struct flv_err *err)
{
    struct flv__append *a = NULL;
    flv_rc rc = FLV_OK;

    assert(count > 0 && w->ops->append_size >= sizeof(*a));
    a = flv_zalloc(1, w->ops->append_size);
    if (a == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for an append");
    }
    a->token = token;
    rc = w->ops->append(w, msgs, count, a, err);
    if (rc != FLV_OK) {
        flv_free(a);
        return rc;
    }
    assert(!a->over); /* never from inside the call */
    if (w->last != NULL) {
        w->last->next = a;
    } else {
        w->first = a;
    }
    w->last = a;
    w->pending++;
    return FLV_OK;
}

/* Partitions answer in any order; the owner hears in the order of appends. */
void flv__append_over(struct flv_writer *w,
                      struct flv__append *a,
                      const struct flv_err *err)
{
    assert(!a->over && w->first != NULL);
    a->over = true;
    if (err != NULL) {
        a->err = *err;
    }
    while (w->first != NULL && w->first->over) {
        struct flv__append *done = w->first;

        w->first = done->next;
        if (w->first == NULL) {
            w->last = NULL;
        }
        assert(w->pending > 0);
        w->pending--;
        w->settled(w->user, done->token,
                   done->err.rc != FLV_OK ? &done->err : NULL);
        flv_free(done);
    }
}

void flv_writer_push(struct flv_writer *w)
{
    w->ops->push(w);
}

size_t flv_writer_pending(const struct flv_writer *w)
{
    return w->pending;
}

void flv_writer_close(struct flv_writer *w,
                      uint32_t drain_ms,
                      flv_closed_fn closed,
                      void *user)
{
    w->ops->close(w, drain_ms, closed, user);
}
