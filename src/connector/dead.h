/*
 * dead.h - the topics that failed records go to.
 *
 * Purpose    Makes sure of every topic of dead letters and keeps a writer to
 *            each. A lane is a number for one of them.
 * Threads    Loop thread only.
 * Ownership  _open makes it; after `closed` ran and the stream is gone,
 *            _destroy frees it. Topics and stream are borrowed.
 * Errors     Opening: the first failure, with the topic's name. Later: as
 *            flv_writer_append() and `settled` say it.
 * See        docs/connectors.md, pipeline.h
 */
#ifndef FLV_CONNECTOR_DEAD_H
#define FLV_CONNECTOR_DEAD_H

#include "connector/stage.h"

struct flv_dead;

struct flv_dead_conf {
    struct flv_stream *stream;
    const char *const *topics; /* by lane; the first is not ours */
    uint32_t lanes;            /* at least 2: the first, and ours */
    /* As of flv_writer_conf, with the letters' topic. */
    void (*settled)(void *user,
                    const char *topic,
                    uint64_t token,
                    const struct flv_err *err);
    void (*writable)(void *user);
    void (*trouble)(void *user, const char *topic, const struct flv_err *err);
    void *user;
};

/* Creates what is missing (one partition), then opens the writers. */
FLV_CHECKED flv_rc flv__dead_open(struct flv_dead **out,
                                  const struct flv_dead_conf *conf,
                                  flv_done_fn opened,
                                  void *user,
                                  struct flv_err *err);
FLV_CHECKED flv_rc flv__dead_append(struct flv_dead *d,
                                    uint32_t lane,
                                    const struct flv_msg *msgs,
                                    size_t count,
                                    uint64_t token,
                                    struct flv_err *err);
void flv__dead_push(struct flv_dead *d);
/* Cancels what is left; `closed` runs later, once. */
void flv__dead_close(struct flv_dead *d, void (*closed)(void *arg), void *arg);
void flv__dead_destroy(struct flv_dead *d); /* NULL is allowed */

#endif
